/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/dataplane_io.h"
#include "userspace/worker_out.h"

/* Between two tries to open a port that is in use; the time doubles. */
#define LISTEN_WAIT (50 * KWGI_MS)
#define LISTEN_WAIT_MAX (10 * KWGI_SECOND)

/*
 * So long the port before receives on after a change: what is on its way still arrives. Peers hear
 * of the new port at once, so that takes about one round trip; and not for ever, whoever sends there.
 */
#define FORMER_QUIET (KWGI_SECOND / 2)
#define FORMER_MAX (5 * KWGI_SECOND)

/* ---- the log ------------------------------------ */

/* Peers are named as wireguard-go does, so that its users find them: AbCd…wxYz. */
static void tell_event(void *arg, const struct kwgi_dp_peer *peer, enum kwgi_event event)
{
	static const char *const text[] = {
		[KWGI_EVENT_INITIATION_SENT] = "sending handshake initiation",
		[KWGI_EVENT_INITIATION_RECEIVED] = "received handshake initiation",
		[KWGI_EVENT_RESPONSE_SENT] = "sending handshake response",
		[KWGI_EVENT_RESPONSE_RECEIVED] = "received handshake response",
		[KWGI_EVENT_COOKIE_REPLY_SENT] = "under load: sending cookie reply",
		[KWGI_EVENT_COOKIE_RECEIVED] = "received cookie reply",
		[KWGI_EVENT_KEEPALIVE_SENT] = "sending keepalive packet",
		[KWGI_EVENT_GAVE_UP] = "handshake did not complete, giving up",
		[KWGI_EVENT_KEYS_ERASED] = "erasing keys of a session that has ended",
		[KWGI_EVENT_PEER_ADDED] = "peer added",
		[KWGI_EVENT_PEER_REMOVED] = "peer removed",
	};
	struct kwgi_dataplane *p = arg;
	char key[KWGI_KEY_TEXT];

	if (!p->log || !p->verbose)
		return;
	if (!peer) {
		kwgi_dataplane_say(p, false, "%s", text[event]);
		return;
	}
	kwgi_key_format(key, &peer->remote.static_public);
	kwgi_dataplane_say(p, false, "peer(%.4s\xe2\x80\xa6%.4s): %s", key, key + 39, text[event]);
}

/* ---- sockets ------------------------------------ */

static int watch_sockets(struct kwgi_worker *w)
{
	int e = w->udp.fd4 < 0 ? 0 : kwgi_loop_add(&w->loop, w->udp.fd4, EPOLLIN, KWGI_ON_UDP4);

	if (!e && w->udp.fd6 >= 0)
		e = kwgi_loop_add(&w->loop, w->udp.fd6, EPOLLIN, KWGI_ON_UDP6);
	return e;
}

/* What is watched already has become the worker's sockets, or those of the port before. */
static void watch_as(struct kwgi_worker *w, const struct kwgi_udp *u, uint64_t on4, uint64_t on6)
{
	if (u->fd4 >= 0)
		(void)kwgi_loop_modify(&w->loop, u->fd4, EPOLLIN, on4);
	if (u->fd6 >= 0)
		(void)kwgi_loop_modify(&w->loop, u->fd6, EPOLLIN, on6);
}

int kwgi_dataplane_watch_sockets(struct kwgi_dataplane *p, struct kwg_error *err)
{
	unsigned i;
	int e = 0;

	for (i = 0; i < p->n_workers && !e; i++)
		e = watch_sockets(&p->workers[i]);
	return e ? kwgi_fail(err, KWG_ERR_KERNEL, e, "epoll: %s", kwgi_errtext(e)) : 0;
}

static void close_former(struct kwgi_dataplane *p)
{
	unsigned i;

	for (i = 0; i < p->n_workers; i++)
		kwgi_udp_close(&p->workers[i].former);
	p->former_at = 0;
}

void kwgi_dataplane_close_sockets(struct kwgi_dataplane *p)
{
	unsigned i;

	for (i = 0; i < p->n_workers; i++)
		kwgi_udp_close(&p->workers[i].udp);
	close_former(p);
}

/* Without a session or a handshake nobody sends anything there that would be lost. */
static void begin_former(struct kwgi_dataplane *p, uint64_t now)
{
	unsigned i;

	if (p->workers[0].former.fd4 < 0 || !p->device->indices.table.n) {
		close_former(p);
		return;
	}
	for (i = 0; i < p->n_workers; i++)
		watch_as(&p->workers[i], &p->workers[i].former, KWGI_ON_FORMER4, KWGI_ON_FORMER6);
	p->former_at = now + FORMER_QUIET;
	p->former_end = now + FORMER_MAX;
	atomic_store(&p->former_used, false);
}

void kwgi_dataplane_former_due(struct kwgi_worker *w, uint64_t now)
{
	struct kwgi_dataplane *p = w->plane;

	kwgi_worker_lock_all(w);
	if (atomic_exchange(&p->former_used, false) && now < p->former_end)
		p->former_at = now + FORMER_QUIET;
	else
		close_former(p);
	kwgi_worker_unlock_all(w);
}

/* Back to the port before, whose sockets are open still. False: it is another. *e: 0 or an errno. */
static bool go_back(struct kwgi_dataplane *p, uint16_t port, int *e)
{
	struct kwgi_worker *w;
	struct kwgi_udp u;
	unsigned i;

	if (!p->former_at || p->workers[0].former.port != port)
		return false;
	*e = 0;
	for (i = 0; !*e && i < p->n_workers; i++)
		*e = kwgi_udp_set_fwmark(&p->workers[i].former, p->device->fwmark);
	if (*e)
		return true;
	for (i = 0; i < p->n_workers; i++) {
		w = &p->workers[i];
		u = w->udp;
		w->udp = w->former;
		w->former = u;
		watch_as(w, &w->udp, KWGI_ON_UDP4, KWGI_ON_UDP6);
	}
	begin_former(p, kwgi_now());
	p->device->listen_port = port;
	return true;
}

/* New sockets for all workers; if that fails, the old ones stay. 0 or an errno. */
static int open_sockets(struct kwgi_dataplane *p, uint16_t port)
{
	struct kwgi_udp_options o = {
		.port = port, .fwmark = p->device->fwmark,
		.no_gso = p->no_gso, .no_gro = p->no_gro,
	};
	struct kwgi_udp *v = calloc(p->n_workers, sizeof(*v));
	struct kwg_error err = { 0 };
	unsigned i;
	int e = 0;

	if (go_back(p, port, &e)) {
		free(v);
		return e;
	}
	if (!v)
		return ENOMEM;
	if (p->n_workers > 1 ? kwgi_udp_open_many(v, p->n_workers, &o, &err) :
			       kwgi_udp_open(v, &o, &err)) {
		free(v);
		if (!p->listen_wait)
			kwgi_dataplane_say(p, true, "cannot listen: %s", err.text);
		return err.sys_errno ? err.sys_errno : EADDRINUSE;
	}
	close_former(p);
	for (i = 0; i < p->n_workers; i++) {
		p->workers[i].former = p->workers[i].udp;
		p->workers[i].udp = v[i];
		e = e ? e : watch_sockets(&p->workers[i]);
	}
	begin_former(p, kwgi_now());
	p->device->listen_port = v[0].port;
	kwgi_dataplane_say(p, false, "listening on port %u", v[0].port);
	free(v);
	return e;
}

/* Is a port free that is wanted later? Who configures hears of it now, not only the log then. */
static int try_port(struct kwgi_dataplane *p, uint16_t port)
{
	struct kwgi_udp_options o = { .port = port, .fwmark = p->device->fwmark };
	struct kwgi_udp u = KWGI_UDP_CLOSED;
	struct kwg_error err = { 0 };

	if (!port || !kwgi_udp_open(&u, &o, &err)) {
		kwgi_udp_close(&u);
		return 0;
	}
	if (err.sys_errno != EADDRINUSE)
		return 0;
	kwgi_dataplane_say(p, true, "cannot listen: %s", err.text);
	return EADDRINUSE;
}

/* While the link is down the port is only remembered. */
static int io_listen(void *arg, uint16_t port)
{
	struct kwgi_dataplane *p = arg;
	int e;

	if (p->device->up)
		return open_sockets(p, port);
	e = try_port(p, port);
	if (e)
		return e;
	p->device->listen_port = port;
	return 0;
}

static int io_fwmark(void *arg, uint32_t mark)
{
	struct kwgi_dataplane *p = arg;
	unsigned i;
	int e = 0;

	for (i = 0; i < p->n_workers && !e; i++)
		if (p->workers[i].udp.fd4 >= 0)
			e = kwgi_udp_set_fwmark(&p->workers[i].udp, mark);
	return e ? EADDRINUSE : 0;
}

static void io_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	struct kwgi_dataplane *p = arg;

	kwgi_worker_send(p->alone, to, msg, len, tos);
}

static void io_random(void *arg, void *out, size_t len)
{
	(void)arg;
	randombytes_buf(out, len);
}

static uint32_t io_scope(void *arg, const char *name)
{
	struct ifreq ifr = { .ifr_ifindex = 0 };
	struct kwgi_dataplane *p = arg;
	int s = p->workers[0].udp.fd4, own = -1;

	if (strlen(name) >= sizeof(ifr.ifr_name))
		return 0;
	memcpy(ifr.ifr_name, name, strlen(name));
	/* if_nametoindex(3) wants a socket of a family that the sandbox does not allow. */
	if (s < 0)
		s = own = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || ioctl(s, SIOCGIFINDEX, &ifr))
		ifr.ifr_ifindex = 0;
	if (own >= 0)
		close(own);
	return (uint32_t)ifr.ifr_ifindex;
}

/* The first time that the system refuses to lock memory is told, if anybody wants to know. */
static void *io_alloc(void *arg, size_t size)
{
	struct kwgi_dataplane *p = arg;
	void *v = kwgi_keymem_alloc(&p->keys, size);

	if (p->keys.error && !p->unlocked_told) {
		p->unlocked_told = true;
		kwgi_dataplane_say(p, false, "not all keys are locked in memory: %s; the limit is RLIMIT_MEMLOCK",
				   kwgi_errtext(p->keys.error));
	}
	return v;
}

static void io_release(void *arg, void *v, size_t size)
{
	struct kwgi_dataplane *p = arg;

	kwgi_keymem_free(&p->keys, v, size);
}

struct kwgi_device_io kwgi_dataplane_io(struct kwgi_dataplane *p)
{
	return (struct kwgi_device_io){
		.arg = p, .random = io_random, .send = io_send, .event = tell_event,
		.listen = io_listen, .fwmark = io_fwmark, .scope = io_scope,
		.alloc = io_alloc, .release = io_release,
	};
}

/* ---- the link ------------------------------------ */

/*
 * A port in use is told in the log, and tried again: a daemon that was killed
 * keeps its port for some time after its interface has gone.
 */
static void listen_later(struct kwgi_dataplane *p, uint64_t now)
{
	p->listen_wait = p->listen_wait ? p->listen_wait * 2 : LISTEN_WAIT;
	if (p->listen_wait > LISTEN_WAIT_MAX)
		p->listen_wait = LISTEN_WAIT_MAX;
	p->listen_at = now + p->listen_wait;
}

static void go_up(struct kwgi_dataplane *p, const struct kwgi_time *t)
{
	if (p->workers[0].udp.fd4 < 0 && open_sockets(p, p->device->listen_port)) {
		listen_later(p, t->now);
		return;
	}
	p->listen_at = p->listen_wait = 0;
	kwgi_device_set_up(p->device, true, t);
	kwgi_dataplane_say(p, false, "interface up");
}

/* Brings the device to the link's state; the device is held alone. */
static void follow_link(struct kwgi_dataplane *p, const struct kwgi_time *t)
{
	const struct kwgi_link_state *s = kwgi_link_state(p->link);
	unsigned i;

	if (s->where == KWGI_LINK_GONE) {
		atomic_store(&p->stop, true);
		return;
	}
	if (s->mtu && s->mtu != p->device->mtu) {
		p->device->mtu = s->mtu;
		for (i = 0; i < p->n_workers; i++)
			kwgi_split_set_mtu(&p->workers[i].out->split, s->mtu);
	}
	if (!s->up)
		p->listen_at = p->listen_wait = 0;
	if (s->up && !p->device->up) {
		go_up(p, t);
	} else if (!s->up && p->device->up) {
		kwgi_device_set_up(p->device, false, t);
		kwgi_dataplane_close_sockets(p);
		kwgi_dataplane_say(p, false, "interface down");
	}
}

void kwgi_dataplane_link_changed(struct kwgi_worker *w)
{
	struct kwgi_time t = kwgi_dataplane_time();

	kwgi_worker_lock_all(w);
	follow_link(w->plane, &t);
	kwgi_worker_unlock_all(w);
}

/* ---- configuration ------------------------------------ */

/*
 * Our own line of the answer, before all others, for each worker: packets, bytes and drops, received
 * and sent. wg(8) passes over keys that it does not know.
 */
static void print_workers(const struct kwgi_dataplane *p, struct kwgi_buf *b)
{
	const struct kwgi_worker *w;

	for (w = p->workers; w < p->workers + p->n_workers; w++) {
		const uint64_t v[] = {
			w->received.packets, w->received.bytes,
			w->received.dropped + w->udp.stats.truncated,
			w->sent.packets, w->sent.bytes, w->sent.dropped + w->udp.stats.dropped,
		};
		unsigned i;

		for (i = 0; i < sizeof(v) / sizeof(*v); i++) {
			kwgi_buf_puts(b, i ? " " : "worker=");
			kwgi_buf_putu(b, v[i]);
		}
		kwgi_buf_putc(b, '\n');
	}
}

static int configure(struct kwgi_worker *w, const struct kwgi_uapi_request *r,
		     struct kwgi_buf *answer)
{
	struct kwgi_dataplane *p = w->plane;
	struct kwgi_time t = kwgi_dataplane_time();
	int e = 0;

	kwgi_worker_lock_all(w);
	if (r->op == KWGI_UAPI_GET) {
		print_workers(p, answer);
		kwgi_device_print(p->device, answer);
	} else {
		/* Who has just brought the link up may be faster than the notice of it. */
		if (r->set.parts & KWGI_UAPI_LISTEN_PORT)
			(void)kwgi_link_refresh(p->link);
		e = kwgi_device_configure(p->device, &r->set, &t);
		follow_link(p, &t);
		/* It asks for the port that could not be opened when the link came up. */
		if (!e && r->set.parts & KWGI_UAPI_LISTEN_PORT && kwgi_link_state(p->link)->up &&
		    !p->device->up)
			e = EADDRINUSE;
	}
	kwgi_worker_unlock_all(w);
	return e;
}

int kwgi_dataplane_request(void *arg, const char *request, size_t len, struct kwgi_buf *answer)
{
	struct kwgi_dataplane *p = arg;
	struct kwgi_uapi_request r;
	struct kwgi_arena a = { 0 };
	int e;

	e = kwgi_uapi_parse(&r, &a, request, len);
	if (!e)
		e = configure(&p->workers[0], &r, answer);
	kwgi_uapi_print_errno(answer, e);
	kwgi_arena_free(&a);
	sodium_memzero(&r, sizeof(r));
	return 0;
}
