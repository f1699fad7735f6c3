/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What is known of the daemons, and held to for all of them:
 *
 *  - BoringTun lets the settings of one peer leak into the next of the same
 *    request, so there a request carries one peer.
 *  - BoringTun panics on a peer before it has a private key, so the key goes
 *    first, in a request of its own.
 *  - BoringTun panics, with its lock held, on a change to a peer it knows, so
 *    there a peer is removed and then added anew, in two requests.
 *  - BoringTun never gives the private key back but says own_public_key, by
 *    which it is known here; its handshake times are ages.
 *  - wireguard-go refuses boolean keys that are false, BoringTun knows no
 *    update_only: booleans are sent only if true, update_only never.
 *  - An error leaves the lines before it carried out: the caller reads again.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "base/num.h"
#include "host/files.h"
#include "host/process.h"
#include "host/uapi.h"
#include "host/wg.h"
#include "sys/errtext.h"

enum {
	TIMEOUT = 5,			/* seconds that a daemon may take to answer */
	MAX_ANSWER = 64 * 1024 * 1024,
	PORT_PATIENCE = 1000,		/* ms for a port to get free, and ... */
	PORT_PAUSE = 50,		/* ... between two tries */
	TRIES = 2,			/* a daemon that hands over to its successor hangs up */
};

/* ---- the connection -------------------------------------------------- */

/* The folder is shared: whoever could make this socket would be given our keys. */
static bool may_serve(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) &&
	       (cred.uid == 0 || cred.uid == geteuid());
}

int kwgi_uapi_connect(const char *ifname)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval t = { .tv_sec = TIMEOUT };
	int fd, e;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), KWGI_UAPI_DIR "/%s.sock", ifname) >=
	    (int)sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (may_serve(fd))
			return fd;
		errno = EPERM;
	}
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

bool kwgi_uapi_answers(const char *ifname)
{
	int fd = kwgi_uapi_connect(ifname);

	if (fd < 0)
		return errno == EAGAIN;
	close(fd);
	return true;
}

/* Until the deadline (ms of the monotonic clock); then EAGAIN, as for connect(). */
static int wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = deadline - kwgi_monotonic_ms();
	int n = left > 0 ? poll(&p, 1, (int)left) : 0;

	if (n > 0 || (n < 0 && errno == EINTR))
		return 0;
	if (!n)
		errno = EAGAIN;
	return -1;
}

static int send_all(int fd, const char *p, size_t len, int64_t deadline)
{
	ssize_t n;

	while (len) {
		n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno != EAGAIN || wait_for(fd, POLLOUT, deadline)))
			return -1;
		if (n < 0)
			continue;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* An answer ends with an empty line. */
static bool is_complete(const struct kwgi_buf *b)
{
	return b->len >= 2 && !memcmp(b->p + b->len - 2, "\n\n", 2);
}

/* The deadline is that of the whole answer: a daemon may not make us wait by a byte at a time. */
static int receive_all(int fd, struct kwgi_buf *answer, int64_t deadline)
{
	char chunk[16384];
	ssize_t n;

	while (!is_complete(answer)) {
		if (wait_for(fd, POLLIN, deadline))
			break;
		n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0) {
			errno = n ? errno : ECONNRESET;
			break;
		}
		kwgi_buf_add(answer, chunk, (size_t)n);
		if (answer->failed || answer->len > MAX_ANSWER) {
			errno = EMSGSIZE;
			break;
		}
	}
	sodium_memzero(chunk, sizeof(chunk));
	return is_complete(answer) ? 0 : -1;
}

static int fail_silent(const struct kwgi_wg *w, int fd, const char *what, struct kwg_error *err)
{
	struct kwgi_process owner;
	char who[64];

	kwgi_process_find(&owner, fd, w->ifname, NULL);
	kwgi_process_describe(&owner, who, sizeof(who));
	kwgi_process_close(&owner);
	return kwgi_fail(err, KWG_ERR_KERNEL, ETIMEDOUT, "%s: %s: %s does not answer within %d s",
			 w->ifname, what, who, TIMEOUT);
}

static int fail(const struct kwgi_wg *w, int e, const char *what, struct kwg_error *err)
{
	return kwgi_fail(err, KWG_ERR_KERNEL, e, "%s: %s: %s", w->ifname, what, kwgi_errtext(e));
}

static int fail_stranger(const struct kwgi_wg *w, struct kwg_error *err)
{
	return kwgi_fail(err, KWG_ERR_KERNEL, EPERM,
			 "%s: who listens on " KWGI_UAPI_DIR "/%s.sock is neither root nor the user of this program",
			 w->ifname, w->ifname);
}

static int try_transact(const struct kwgi_wg *w, const struct kwgi_buf *request,
			struct kwgi_buf *answer, const char *what, bool *again,
			struct kwg_error *err)
{
	int64_t deadline = kwgi_monotonic_ms() + TIMEOUT * 1000;
	int fd = kwgi_uapi_connect(w->ifname), ret = 0;

	*again = false;
	if (fd < 0 && errno == EPERM)
		return fail_stranger(w, err);
	if (fd < 0 || send_all(fd, request->p, request->len, deadline) ||
	    receive_all(fd, answer, deadline)) {
		*again = fd >= 0 && !answer->len && (errno == ECONNRESET || errno == EPIPE);
		ret = errno == EAGAIN ? fail_silent(w, fd, what, err) : fail(w, errno, what, err);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

/*
 * One request on a connection of its own; both buffers may hold keys, the caller frees them.
 * Each request may be carried out twice, so one without any answer is sent again.
 */
static int transact(const struct kwgi_wg *w, const struct kwgi_buf *request,
		    struct kwgi_buf *answer, const char *what, struct kwg_error *err)
{
	bool again = true;
	int i, ret = 0;

	if (request->failed)
		return kwgi_nomem(err);
	for (i = 0; i < TRIES && again; i++)
		ret = try_transact(w, request, answer, what, &again, err);
	return ret;
}

/* ---- answers --------------------------------------------------------- */

/* Cuts the next "key=value" line off *p; false at the empty line that ends the answer. */
static bool next_line(char **p, char **key, char **value)
{
	char *end = strchr(*p, '\n'), *eq;

	if (!end || end == *p)
		return false;
	*end = '\0';
	eq = strchr(*p, '=');
	*key = *p;
	*value = end;
	if (eq) {
		*eq = '\0';
		*value = eq + 1;
	}
	*p = end + 1;
	return true;
}

/* The errno at the end of an answer; EPROTO if there is none. */
static int answer_errno(struct kwgi_buf *answer)
{
	char *p = answer->p, *key, *value;
	int e = EPROTO;

	while (next_line(&p, &key, &value))
		if (!strcmp(key, "errno"))
			e = kwgi_errno_parse(value);
	return e;
}

static int set(struct kwgi_wg *w, struct kwgi_buf *request, const char *what,
	       struct kwg_error *err)
{
	struct kwgi_buf answer = { 0 };
	int e, ret;

	kwgi_buf_putc(request, '\n');
	w->mutations++;
	ret = transact(w, request, &answer, what, err);
	if (!ret) {
		e = answer_errno(&answer);
		if (e)
			ret = fail(w, e, what, err);
	}
	kwgi_buf_free(&answer);
	kwgi_buf_free(request);
	return ret;
}

/* ---- reading --------------------------------------------------------- */

struct reading {
	struct kwgi_arena *arena;
	struct kwgi_host_wg *wg;
	struct kwgi_host_peer *peer;	/* the one whose lines come now */
	bool boringtun, nomem;
	int error;
};

static uint64_t number(const char *value)
{
	uint64_t n;

	return kwgi_num_parse(&n, value, UINT64_MAX) ? 0 : n;
}

static void begin_peer(struct reading *r, const char *value)
{
	struct kwgi_host_wg *wg = r->wg;
	struct kwgi_key key;

	r->peer = NULL;
	if (kwgi_key_parse_hex(&key, value))
		return;
	if (kwgi_arena_grow(r->arena, &wg->peers, wg->n_peers, &wg->peers_cap,
			    sizeof(*wg->peers))) {
		r->nomem = true;
		return;
	}
	r->peer = &wg->peers[wg->n_peers++];
	*r->peer = (struct kwgi_host_peer){ .key = key };
}

static void read_allowed_ip(struct reading *r, const char *value)
{
	struct kwgi_host_peer *p = r->peer;
	struct kwgi_prefix prefix;

	if (kwgi_prefix_parse(&prefix, value))
		return;
	if (kwgi_arena_grow(r->arena, &p->allowed_ips, p->n_allowed_ips, &p->allowed_cap,
			    sizeof(prefix))) {
		r->nomem = true;
		return;
	}
	p->allowed_ips[p->n_allowed_ips++] = kwgi_prefix_masked(&prefix);
}

static void read_endpoint(struct kwgi_host_peer *p, const char *value)
{
	struct kwgi_endpoint e;
	size_t host_len;

	if (!kwgi_endpoint_parse(&e, value, &host_len) && !host_len)
		p->endpoint = e;
}

/* BoringTun says how long ago it was, and nothing if there was none. */
static int64_t handshake(const struct reading *r, uint64_t seconds)
{
	return r->boringtun ? (int64_t)time(NULL) - (int64_t)seconds : (int64_t)seconds;
}

static void read_peer_line(struct reading *r, const char *key, const char *value)
{
	struct kwgi_host_peer *p = r->peer;

	if (!strcmp(key, "preshared_key"))
		(void)kwgi_key_parse_hex(&p->psk, value);
	else if (!strcmp(key, "endpoint"))
		read_endpoint(p, value);
	else if (!strcmp(key, "persistent_keepalive_interval"))
		p->keepalive = (uint32_t)number(value);
	else if (!strcmp(key, "last_handshake_time_sec"))
		p->last_handshake = handshake(r, number(value));
	else if (!strcmp(key, "rx_bytes"))
		p->rx_bytes = number(value);
	else if (!strcmp(key, "tx_bytes"))
		p->tx_bytes = number(value);
	else if (!strcmp(key, "allowed_ip"))
		read_allowed_ip(r, value);
}

/* "packets bytes dropped packets bytes dropped": received and sent. What is not that is passed over. */
static void read_worker(struct reading *r, const char *value)
{
	struct kwgi_host_wg *wg = r->wg;
	struct kwgi_host_worker o;
	uint64_t *const v[] = {
		&o.received.packets, &o.received.bytes, &o.received.dropped,
		&o.sent.packets, &o.sent.bytes, &o.sent.dropped,
	};
	char word[24];
	size_t i, len;

	for (i = 0; i < sizeof(v) / sizeof(*v); i++) {
		len = strcspn(value, " ");
		if (len >= sizeof(word))
			return;
		memcpy(word, value, len);
		word[len] = '\0';
		if (kwgi_num_parse(v[i], word, UINT64_MAX))
			return;
		value += len + (value[len] == ' ');
	}
	if (kwgi_arena_grow(r->arena, &wg->workers, wg->n_workers, &wg->workers_cap, sizeof(o)))
		r->nomem = true;
	else
		wg->workers[wg->n_workers++] = o;
}

static void read_device_line(struct reading *r, const char *key, const char *value)
{
	struct kwgi_host_wg *wg = r->wg;

	if (!strcmp(key, "private_key")) {
		if (!kwgi_key_parse_hex(&wg->private_key, value) &&
		    !kwgi_key_is_zero(&wg->private_key))
			(void)kwgi_key_public(&wg->public_key, &wg->private_key);
	} else if (!strcmp(key, "own_public_key")) {
		r->boringtun = true;
		(void)kwgi_key_parse_hex(&wg->public_key, value);
	} else if (!strcmp(key, "listen_port")) {
		wg->port = (uint16_t)number(value);
	} else if (!strcmp(key, "fwmark")) {
		wg->fwmark = (uint32_t)number(value);
	} else if (!strcmp(key, "worker")) {
		read_worker(r, value);
	}
}

static void read_line(struct reading *r, const char *key, const char *value)
{
	if (!strcmp(key, "errno"))
		r->error = kwgi_errno_parse(value);
	else if (!strcmp(key, "public_key"))
		begin_peer(r, value);
	else if (r->peer)
		read_peer_line(r, key, value);
	else if (!r->wg->n_peers)
		read_device_line(r, key, value);
}

static int uapi_get(struct kwgi_wg *w, struct kwgi_arena *a, struct kwgi_host_wg *wg,
		    struct kwg_error *err)
{
	struct kwgi_buf request = { 0 }, answer = { 0 };
	struct reading r = { .arena = a, .wg = wg, .error = EPROTO };
	char *p, *key, *value;
	int ret;

	*wg = (struct kwgi_host_wg){ .present = true, .userspace = true };
	kwgi_buf_puts(&request, "get=1\n\n");
	ret = transact(w, &request, &answer, "reading the device", err);
	for (p = answer.p; !ret && next_line(&p, &key, &value);)
		read_line(&r, key, value);
	if (!ret && r.nomem)
		ret = kwgi_nomem(err);
	else if (!ret && r.error)
		ret = fail(w, r.error, "reading the device", err);
	w->boringtun = r.boringtun;
	/* BoringTun does not say who it is before it has a key. */
	w->known = !ret && (r.boringtun || !kwgi_key_is_zero(&wg->private_key));
	wg->implementation = r.boringtun ? "boringtun" : "userspace";
	kwgi_wg_sort(wg);
	kwgi_buf_free(&request);
	kwgi_buf_free(&answer);
	return ret;
}

/* ---- writing --------------------------------------------------------- */

static void put_hex(struct kwgi_buf *b, const char *key, const struct kwgi_key *k)
{
	char text[KWGI_KEY_HEX];

	kwgi_buf_puts(b, key);
	kwgi_buf_puts(b, kwgi_key_format_hex(text, k));
	kwgi_buf_putc(b, '\n');
	sodium_memzero(text, sizeof(text));
}

/* Who had the port until a moment ago may be a daemon that is still ending. */
static int set_port(struct kwgi_wg *w, uint32_t parts, const struct kwgi_wg_device_conf *conf,
		    struct kwg_error *err)
{
	const struct timespec pause = { .tv_nsec = PORT_PAUSE * 1000000 };
	int64_t deadline = kwgi_monotonic_ms() + PORT_PATIENCE;
	struct kwg_error own = { 0 };
	struct kwgi_buf b = { 0 };
	int ret;

	for (;;) {
		kwgi_buf_puts(&b, "set=1\n");
		if (parts & KWGI_WG_PORT)
			kwgi_buf_printf(&b, "listen_port=%u\n", conf->port);
		if (parts & KWGI_WG_FWMARK)
			kwgi_buf_printf(&b, "fwmark=%u\n", conf->fwmark);
		ret = set(w, &b, "setting port and fwmark", &own);
		if (!ret || own.sys_errno != EADDRINUSE || kwgi_monotonic_ms() >= deadline)
			break;
		nanosleep(&pause, NULL);
	}
	if (ret && err)
		*err = own;
	return ret;
}

static int uapi_set_device(struct kwgi_wg *w, uint32_t parts,
			   const struct kwgi_wg_device_conf *conf, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	int ret = 0;

	/* Undoing with a key that the daemon kept back would take its key away. */
	if (parts & KWGI_WG_PRIVATE_KEY && !(w->boringtun && kwgi_key_is_zero(&conf->private_key))) {
		kwgi_buf_puts(&b, "set=1\n");
		put_hex(&b, "private_key=", &conf->private_key);
		ret = set(w, &b, "setting the private key", err);
	}
	if (ret || !(parts & (KWGI_WG_PORT | KWGI_WG_FWMARK)))
		return ret;
	return set_port(w, parts, conf, err);
}

static int uapi_del_peer(struct kwgi_wg *w, const struct kwgi_key *key, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };

	kwgi_buf_puts(&b, "set=1\n");
	put_hex(&b, "public_key=", key);
	kwgi_buf_puts(&b, "remove=true\n");
	return set(w, &b, "removing a peer", err);
}

static void put_peer(struct kwgi_buf *b, uint32_t parts, const struct kwgi_host_peer *p)
{
	uint32_t i;

	put_hex(b, "public_key=", &p->key);
	if (parts & KWGI_WG_PSK)
		put_hex(b, "preshared_key=", &p->psk);
	if (parts & KWGI_WG_ENDPOINT && p->endpoint.port) {
		kwgi_buf_puts(b, "endpoint=");
		kwgi_buf_endpoint(b, &p->endpoint);
		kwgi_buf_putc(b, '\n');
	}
	if (parts & KWGI_WG_KEEPALIVE)
		kwgi_buf_printf(b, "persistent_keepalive_interval=%u\n", p->keepalive);
	if (parts & KWGI_WG_ALLOWED_REPLACE)
		kwgi_buf_puts(b, "replace_allowed_ips=true\n");
	for (i = 0; parts & (KWGI_WG_ALLOWED_ADD | KWGI_WG_ALLOWED_REPLACE) && i < p->n_allowed_ips; i++) {
		kwgi_buf_puts(b, "allowed_ip=");
		kwgi_buf_prefix(b, &p->allowed_ips[i]);
		kwgi_buf_putc(b, '\n');
	}
}

static int uapi_set_peer(struct kwgi_wg *w, uint32_t parts, const struct kwgi_host_peer *p,
			 bool exists, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	int ret = 0;

	if (w->boringtun && exists) {
		ret = uapi_del_peer(w, &p->key, err);
		parts = KWGI_WG_ENDPOINT | KWGI_WG_KEEPALIVE | KWGI_WG_PSK |
			KWGI_WG_ALLOWED_REPLACE;
	}
	if (ret)
		return ret;
	kwgi_buf_puts(&b, "set=1\n");
	put_peer(&b, parts, p);
	return set(w, &b, "setting a peer", err);
}

/* Whoever has just been started has not been asked yet who it is. */
static int get_to_know(struct kwgi_wg *w, struct kwg_error *err)
{
	struct kwgi_arena arena = { 0 };
	struct kwgi_host_wg wg;
	int ret = w->known ? 0 : uapi_get(w, &arena, &wg, err);

	kwgi_arena_free(&arena);
	return ret;
}

static int uapi_peers(struct kwgi_wg *w, const struct kwgi_step *v, uint32_t n,
		      struct kwg_error *err)
{
	int ret = get_to_know(w, err);
	struct kwgi_buf b = { 0 };
	uint32_t i;

	if (!ret && w->boringtun)
		return kwgi_fail(err, KWG_ERR_KERNEL, EOPNOTSUPP, "%s: one peer at a time", w->ifname);
	if (ret)
		return ret;
	kwgi_buf_puts(&b, "set=1\n");
	for (i = 0; i < n; i++) {
		if (v[i].kind == KWGI_STEP_PEER_SET) {
			put_peer(&b, v[i].parts, v[i].u.peer.peer);
		} else {
			put_hex(&b, "public_key=", &v[i].u.peer.old->key);
			kwgi_buf_puts(&b, "remove=true\n");
		}
	}
	return set(w, &b, "setting peers", err);
}

static void uapi_close(struct kwgi_wg *w)
{
	(void)w;	/* each request has a connection of its own */
}

static const struct kwgi_wg_ops uapi_ops = {
	.name = "userspace", .get = uapi_get, .set_device = uapi_set_device,
	.set_peer = uapi_set_peer, .del_peer = uapi_del_peer, .peers = uapi_peers,
	.close = uapi_close,
};

int kwgi_uapi_open(struct kwgi_wg *w, const char *ifname, struct kwg_error *err)
{
	int ret = kwgi_wg_init(w, &uapi_ops, ifname, err), e;

	if (ret || kwgi_uapi_answers(ifname))
		return ret;
	e = errno;
	if (e == EPERM)
		fail_stranger(w, err);
	*w = (struct kwgi_wg){ 0 };
	if (e == EPERM)
		return KWG_ERR_KERNEL;
	return kwgi_fail(err, KWG_ERR_KERNEL, e,
			 "%s: no WireGuard of the kernel, and no userspace WireGuard answers for it",
			 ifname);
}

int kwgi_uapi_greet(const char *ifname, struct kwg_error *err)
{
	struct kwgi_arena arena = { 0 };
	struct kwgi_host_wg wg;
	struct kwgi_wg w;
	int ret = kwgi_wg_init(&w, &uapi_ops, ifname, err);

	if (!ret)
		ret = uapi_get(&w, &arena, &wg, err);
	kwgi_arena_free(&arena);
	return ret;
}

/* ---- waiting --------------------------------------------------------- */

/* Watches the folder of sockets, or the nearest one above that exists. */
static void watch(int fd)
{
	static const char *const dirs[] = { KWGI_UAPI_DIR, "/var/run", "/var" };
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		if (inotify_add_watch(fd, dirs[i], IN_CREATE | IN_MOVED_TO | IN_ATTRIB) >= 0)
			return;
}

/* Waits for a change in the folder, at most ms; true if there was one. */
static bool wait_event(int fd, int64_t ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[4096];

	if (poll(&p, 1, ms > 60000 ? 60000 : (int)ms) <= 0)
		return false;
	(void)!read(fd, buf, sizeof(buf));
	return true;
}

static bool socket_exists(const char *ifname)
{
	char path[sizeof(KWGI_UAPI_DIR) + KWGI_IFNAME_MAX + sizeof("/.sock")];
	struct stat st;

	snprintf(path, sizeof(path), KWGI_UAPI_DIR "/%s.sock", ifname);
	return !stat(path, &st);
}

int kwgi_uapi_wait(const char *ifname, int64_t deadline, const struct kwgi_stop *stop,
		   struct kwg_error *err)
{
	/*
	 * bind() makes the socket appear, but only listen(), which nobody can
	 * watch, makes it answer: as long as it is there, look now and then.
	 */
	enum { LOOK_FIRST = 25, LOOK_LAST = 400 };	/* ms */
	int64_t left, delay = LOOK_FIRST;
	int fd, ret = 0;

	if (kwgi_uapi_answers(ifname))
		return 0;
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "watching " KWGI_UAPI_DIR ": %s",
				 kwgi_errtext(errno));
	for (;;) {
		watch(fd);
		if (kwgi_uapi_answers(ifname))
			break;
		left = deadline - kwgi_monotonic_ms();
		if (left <= 0) {
			ret = kwgi_fail(err, KWG_ERR_TIMEOUT, 0,
					"%s: nothing answers on " KWGI_UAPI_DIR "/%s.sock within interface-timeout; is the userspace WireGuard running?",
					ifname, ifname);
			break;
		}
		if (kwgi_stop_asked(stop)) {
			ret = kwgi_stop_fail(stop, err, "anything answered on " KWGI_UAPI_DIR "/%s.sock",
					     ifname);
			break;
		}
		if (stop && left > KWGI_STOP_LOOK)
			left = KWGI_STOP_LOOK;
		if (wait_event(fd, socket_exists(ifname) && delay < left ? delay : left))
			delay = LOOK_FIRST;
		else if (delay < LOOK_LAST)
			delay *= 2;
	}
	close(fd);
	return ret;
}
