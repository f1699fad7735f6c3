/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* memfd_create(2), unix(7), sd_notify(3), sd_listen_fds(3) */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "dp/handover.h"
#include "sys/errtext.h"
#include "sys/ctypes.h"
#include "userspace/takeover.h"
#include "userspace/uapi_path.h"

enum {
	PATIENCE = 5000,	/* ms that a successor may take, and that it waits for an answer */
	FIRST_KEPT = 3,		/* SD_LISTEN_FDS_START */
	NAME = 24,		/* of a descriptor, with NUL */
	SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
};

_Static_assert(sizeof(struct kwgi_handover_plane) == 168, "part of the format: no gaps");

/* ---- descriptors and their names ------------------------------------ */

static void none(int *v)
{
	unsigned i;

	for (i = 0; i < KWGI_TUN_QUEUES; i++)
		v[i] = -1;
}

void kwgi_handover_fds_init(struct kwgi_handover_fds *fds)
{
	fds->state = fds->listener = -1;
	none(fds->tun);
	none(fds->ip4);
	none(fds->ip6);
}

/* The n-th place of all, and its name; NULL: there is no such place. */
static int *place(struct kwgi_handover_fds *fds, unsigned n, char name[NAME])
{
	unsigned worker;

	if (n < 2) {
		snprintf(name, NAME, "kilowg-%s", n ? "socket" : "state");
		return n ? &fds->listener : &fds->state;
	}
	worker = (n - 2) / 3;
	if (worker >= KWGI_TUN_QUEUES)
		return NULL;
	switch ((n - 2) % 3) {
	case 0:
		snprintf(name, NAME, "kilowg-tun-%u", worker);
		return &fds->tun[worker];
	case 1:
		snprintf(name, NAME, "kilowg-ip4-%u", worker);
		return &fds->ip4[worker];
	default:
		snprintf(name, NAME, "kilowg-ip6-%u", worker);
		return &fds->ip6[worker];
	}
}

void kwgi_handover_fds_close(struct kwgi_handover_fds *fds)
{
	char name[NAME];
	unsigned n;
	int *fd;

	for (n = 0; (fd = place(fds, n, name)); n++) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

bool kwgi_handover_fds_take(struct kwgi_handover_fds *fds, const char *name, size_t len, int fd)
{
	char known[NAME];
	unsigned n;
	int *free;

	for (n = 0; (free = place(fds, n, known)); n++) {
		if (strlen(known) != len || memcmp(known, name, len))
			continue;
		if (*free >= 0)
			return false;
		*free = fd;
		return true;
	}
	return false;
}

void kwgi_handover_fds_kept(struct kwgi_handover_fds *fds, unsigned n, const char *names)
{
	size_t len;
	unsigned i;
	int fd;

	for (i = 0; i < n; i++) {
		len = names ? strcspn(names, ":") : 0;
		fd = FIRST_KEPT + (int)i;
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			continue;
		if (!len || !kwgi_handover_fds_take(fds, names, len, fd))
			close(fd);
		if (names)
			names += len + (names[len] == ':');
	}
}

/* ---- the state ------------------------------------ */

enum { FREE, CLAIMED };

struct kwgi_handover_head {
	char magic[16];
	uint32_t version;
	_Atomic uint32_t claim;
	uint64_t device_len;		/* bytes behind plane */
	struct kwgi_handover_plane plane;
	uint8_t device[];
};

static const char magic[16] = "kilowg handover";

static int map(struct kwgi_handover_state *s)
{
	void *p = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);

	if (p == MAP_FAILED)
		return errno;
	s->head = p;
	/* As far as the limit allows: it is for moments. */
	(void)mlock(p, s->size);
	(void)madvise(p, s->size, MADV_DONTDUMP);
	return 0;
}

static int make(struct kwgi_handover_state *s)
{
	s->fd = memfd_create("kilowg-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)s->size) || fcntl(s->fd, F_ADD_SEALS, SEALS))
		return errno;
	return map(s);
}

int kwgi_handover_state_make(struct kwgi_handover_state *s, const struct kwgi_handover_plane *plane,
			     struct kwgi_device *d, struct kwg_error *err)
{
	size_t len = kwgi_handover_size(d);
	int e;

	*s = KWGI_HANDOVER_STATE_NONE;
	s->size = sizeof(*s->head) + len;
	e = make(s);
	if (e) {
		kwgi_handover_state_close(s);
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "memory to hand over in: %s", kwgi_errtext(e));
	}
	memcpy(s->head->magic, magic, sizeof(magic));
	s->head->version = KWGI_HANDOVER_VERSION;
	s->head->device_len = len;
	s->head->plane = *plane;
	kwgi_handover_save(d, s->head->device, len);
	return 0;
}

static int refuse(struct kwg_error *err, const char *why)
{
	return kwgi_fail(err, KWG_ERR_USAGE, 0, "what was handed over %s", why);
}

int kwgi_handover_state_open(struct kwgi_handover_state *s, int fd, struct kwg_error *err)
{
	struct stat st;
	int e;

	*s = (struct kwgi_handover_state){ .fd = fd };
	/* Its size stays what it is: reading it ends in no SIGBUS. */
	if (fd < 0 || fcntl(fd, F_GET_SEALS) < 0 || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS || fstat(fd, &st) ||
	    st.st_size < (off_t)sizeof(*s->head) || (uint64_t)st.st_size > SIZE_MAX / 2)
		return refuse(err, "is no state of a data plane");
	s->size = (size_t)st.st_size;
	e = map(s);
	if (e)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "what was handed over: %s", kwgi_errtext(e));
	if (memcmp(s->head->magic, magic, sizeof(magic)))
		return refuse(err, "is no state of a data plane");
	if (s->head->version != KWGI_HANDOVER_VERSION)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "what was handed over has format %u, this program knows %u",
				 s->head->version, KWGI_HANDOVER_VERSION);
	if (atomic_load(&s->head->claim) != FREE)
		return refuse(err, "has been taken already");
	return 0;
}

int kwgi_handover_state_load(const struct kwgi_handover_state *s, struct kwgi_handover_plane *plane,
			     struct kwgi_device *d, struct kwg_error *err)
{
	size_t len = s->size - sizeof(*s->head);

	*plane = s->head->plane;
	plane->notify[sizeof(plane->notify) - 1] = '\0';
	if (s->head->device_len != len || !plane->queues || plane->queues > KWGI_TUN_QUEUES ||
	    kwgi_handover_load(d, s->head->device, len))
		return refuse(err, "is damaged");
	return 0;
}

bool kwgi_handover_state_claim(struct kwgi_handover_state *s)
{
	uint32_t claim = FREE;

	if (!atomic_compare_exchange_strong(&s->head->claim, &claim, CLAIMED))
		return false;
	sodium_memzero(s->head->device, s->size - sizeof(*s->head));
	return true;
}

void kwgi_handover_state_close(struct kwgi_handover_state *s)
{
	if (s->head)
		munmap(s->head, s->size);
	if (s->fd >= 0)
		close(s->fd);
	*s = KWGI_HANDOVER_STATE_NONE;
}

/* ---- from process to process ------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False when the time is up. */
static bool wait_until(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left;
	int n;

	while ((left = deadline - now_ms()) > 0) {
		n = poll(&p, 1, (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
	return false;
}

/* -1 with errno. EPERM: there is somebody, but not who may be asked; EAGAIN: whose backlog stays full. */
static int dial(const char *dir, const char *ifname)
{
	const struct timeval patience = { .tv_sec = PATIENCE / 1000 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);
	int fd, e;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.sock", dir ? dir : KWGI_UAPI_PATH_DIR,
		     ifname) >= (int)sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	e = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ? errno : 0;
	if (!e && (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ||
		   (cred.uid != 0 && cred.uid != geteuid())))
		e = EPERM;
	if (!e)
		return fd;
	close(fd);
	errno = e;
	return -1;
}

/* An answer: a line for each descriptor, and an empty one at the end. */
struct answer {
	char text[KWGI_HANDOVER_FDS * NAME + 64];
	size_t len;
	int fd[KWGI_HANDOVER_FDS];
	unsigned n;
};

static void take_rights(struct answer *a, struct msghdr *m)
{
	struct cmsghdr *c;
	size_t n, i;
	int fd;

	for (c = CMSG_FIRSTHDR(m); c; c = kwgi_cmsg_next(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (a->n < KWGI_HANDOVER_FDS)
				a->fd[a->n++] = fd;
			else
				close(fd);
		}
	}
}

static bool is_whole(const struct answer *a)
{
	return a->len >= 2 && !memcmp(a->text + a->len - 2, "\n\n", 2);
}

/* False: it ends before the empty line. */
static bool hear(int conn, struct answer *a)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(KWGI_HANDOVER_FDS * sizeof(int))];
	int64_t deadline = now_ms() + PATIENCE;

	while (!is_whole(a) && a->len < sizeof(a->text)) {
		struct iovec iov = { a->text + a->len, sizeof(a->text) - a->len };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				    .msg_controllen = sizeof(control) };
		ssize_t n;

		if (!wait_until(conn, deadline))
			return false;
		n = recvmsg(conn, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return false;
		take_rights(a, &m);
		a->len += (size_t)n;
	}
	return is_whole(a);
}

/* Each line is the name of the next descriptor. False: it is no such answer; all are closed. */
static bool sort(struct answer *a, struct kwgi_handover_fds *fds)
{
	const char *p = a->text, *nl;
	unsigned i = 0;
	bool ok = true;

	for (; ok && (nl = memchr(p, '\n', (size_t)(a->text + a->len - p))) && nl != p; p = nl + 1)
		ok = i < a->n && kwgi_handover_fds_take(fds, p, (size_t)(nl - p), a->fd[i++]);
	ok = ok && i && i == a->n;
	if (!ok) {
		kwgi_handover_fds_init(fds);
		for (i = 0; i < a->n; i++)
			close(a->fd[i]);
	}
	return ok;
}

int kwgi_handover_ask(const char *dir, const char *ifname, struct kwgi_handover_fds *fds, int *conn,
		      struct kwg_error *err)
{
	static const char request[] = "handover=1\n\n";
	int fd = dial(dir, ifname);
	struct answer *a;
	bool ok;

	kwgi_handover_fds_init(fds);
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return KWGI_HANDOVER_NOBODY;
	if (fd < 0 && errno == EPERM)
		return kwgi_fail(err, KWG_ERR_KERNEL, EPERM,
				 "%s: who listens on its socket is neither root nor this user", ifname);
	if (fd < 0 && errno == EAGAIN)
		return kwgi_fail(err, KWG_ERR_KERNEL, EAGAIN,
				 "%s: who listens on its socket does not answer; end it first", ifname);
	if (fd < 0)
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "%s: its socket: %s", ifname,
				 kwgi_errtext(errno));
	a = calloc(1, sizeof(*a));
	ok = a && send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) &&
	     hear(fd, a);
	/* Descriptors without their names are of no use. */
	ok = a && sort(a, fds) && ok;
	free(a);
	if (ok) {
		*conn = fd;
		return 0;
	}
	close(fd);
	kwgi_handover_fds_close(fds);
	return kwgi_fail(err, KWG_ERR_KERNEL, 0,
			 "%s: who answers there does not hand over: it is another program than kilowg-userspace, or an older one, or is busy; end it first",
			 ifname);
}

int kwgi_handover_answer(int conn, const struct kwgi_handover_fds *fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(KWGI_HANDOVER_FDS * sizeof(int))] = { 0 };
	struct kwgi_handover_fds all = *fds;
	char text[KWGI_HANDOVER_FDS * NAME + 64], name[NAME];
	int v[KWGI_HANDOVER_FDS], *fd;
	struct iovec iov = { .iov_base = text };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t n = 0, len = 0;
	unsigned i;

	for (i = 0; (fd = place(&all, i, name)); i++) {
		if (*fd < 0)
			continue;
		v[n++] = *fd;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n", name);
	}
	text[len++] = '\n';
	iov.iov_len = len;
	kwgi_rights_put(&m, control, v, n);
	/* Some kilobytes: the buffer of a new connection takes them at once. */
	return sendmsg(conn, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0 :
	       errno ? errno : EMSGSIZE;
}

void kwgi_handover_wait(int conn)
{
	(void)wait_until(conn, now_ms() + PATIENCE);
}

void kwgi_handover_claimed(int conn)
{
	(void)!send(conn, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- by way of the service manager ------------------------------------ */

/* FDPOLL=0: an error that waits in a socket must not make the manager throw it away. */
int kwgi_handover_keep(const struct kwgi_notifier *n, const struct kwgi_handover_fds *fds)
{
	struct kwgi_handover_fds all = *fds;
	char name[NAME], text[NAME + 64];
	unsigned i;
	int *fd, e = n->fd < 0 ? ENOTCONN : 0;

	for (i = 0; !e && (fd = place(&all, i, name)); i++) {
		if (*fd < 0)
			continue;
		snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
		e = kwgi_notifier_send(n, text, *fd);
	}
	return e;
}

/* BARRIER=1: the manager closes that descriptor once it has read all before. */
static void wait_for_manager(const struct kwgi_notifier *n)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		return;
	if (!kwgi_notifier_send(n, "BARRIER=1", fd[1])) {
		close(fd[1]);
		(void)wait_until(fd[0], now_ms() + PATIENCE);
	} else {
		close(fd[1]);
	}
	close(fd[0]);
}

void kwgi_handover_forget(const struct kwgi_notifier *n, const struct kwgi_handover_fds *fds,
			  bool wait)
{
	struct kwgi_handover_fds all = *fds;
	char name[NAME], text[NAME + 64];
	unsigned i;

	if (n->fd < 0)
		return;
	for (i = 0; place(&all, i, name); i++) {
		snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
		if (*place(&all, i, name) >= 0)
			(void)kwgi_notifier_send(n, text, -1);
	}
	if (wait)
		wait_for_manager(n);
}
