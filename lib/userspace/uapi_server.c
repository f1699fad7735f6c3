/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A client is in one of these states: collecting a request (EPOLLIN), having an
 * answer that it has not read yet (EPOLLOUT; nothing is read from it
 * meanwhile, so it cannot pile up work), or leaving: what it still sends is
 * thrown away until it closes, since closing first would take its answer away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/uapi_path.h"
#include "userspace/uapi_server.h"

#define SECOND 1000000000ull

enum {
	MAX_CLIENTS = 64,
	MAX_LINE = 4096,			/* bytes, without newline */
	MAX_REQUEST = 64 * 1024 * 1024,		/* 65,536 peers with some allowed IPs */
	MAX_HELD = 2 * MAX_REQUEST,		/* requests of all clients together; answers, too */
	CHUNK = 64 * 1024,
	CHUNKS = 8,				/* and */
	REQUESTS = 16,				/* of one client, before others have their turn */
	TIMEOUT = 30,				/* s without progress */
	PATIENCE = 1,				/* s of it, if another needs the place */
	PAUSE = 1,				/* s, when no descriptor is left to accept with */
	EVENTS = 32,
};

/* data of epoll events that are no client's index */
enum { LISTENER = MAX_CLIENTS, INOTIFY };

struct client {
	int fd;			/* -1: free */
	struct kwgi_buf in;
	size_t start, line;	/* of the request and of its current line, in in */
	struct kwgi_buf out;
	size_t sent;		/* of out */
	uint32_t events;	/* what epoll waits for */
	uint64_t active;	/* time of the last progress */
	bool more;		/* in may hold another whole request */
	bool eof;		/* it sends no more */
	bool leaving;		/* after the answer nothing counts any more */
	bool own;		/* of this process: it stays */
};

struct kwgi_uapi_server {
	int epoll, listener, inotify;
	struct kwgi_uapi_path path;
	kwgi_uapi_handle *handle;
	void *arg;
	bool hands_over;
	int asker;		/* who has asked for that; -1: nobody */
	uint64_t accept_at;	/* no place or descriptor: pause until then; 0: accepting */
	bool full;		/* it is a place that is missing: accept once one is free */
	struct client client[MAX_CLIENTS];
	char chunk[CHUNK];
};

/* ---- clients --------------------------------------------------------- */

static bool has_output(const struct client *c)
{
	return c->sent < c->out.len;
}

static bool has_half_request(const struct client *c)
{
	return c->start < c->in.len;
}

static void end_client(struct client *c)
{
	close(c->fd);
	kwgi_buf_free(&c->in);
	kwgi_buf_free(&c->out);
	*c = (struct client){ .fd = -1 };
}

static void wait_for(struct kwgi_uapi_server *s, struct client *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)(c - s->client) };

	if (c->events == events)
		return;
	c->events = events;
	(void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Says why, and that was it. */
static void refuse(struct client *c, int e)
{
	kwgi_buf_free(&c->in);
	c->start = c->line = 0;
	kwgi_buf_free(&c->out);
	c->sent = 0;
	kwgi_buf_printf(&c->out, "errno=-%d\n\n", e);
	c->leaving = true;
}

/* Writes what the client takes. */
static void flush(struct client *c, uint64_t now)
{
	ssize_t n;

	while (has_output(c)) {
		n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			/* It has gone. */
			c->eof = c->leaving = true;
			break;
		}
		c->sent += (size_t)n;
		c->active = now;
	}
	kwgi_buf_free(&c->out);
	c->sent = 0;
	if (c->leaving)
		(void)shutdown(c->fd, SHUT_WR);
}

/* ---- requests -------------------------------------------------------- */

static bool is_handover(const char *p, size_t len)
{
	return len == 10 && !memcmp(p, "handover=1", 10);
}

static bool is_operation(const char *p, size_t len)
{
	return is_handover(p, len) ||
	       (len == 5 && (!memcmp(p, "get=1", 5) || !memcmp(p, "set=1", 5)));
}

enum scan { HALF, WHOLE, BAD };

/* Goes on line by line; a whole request is what stands before line. */
static enum scan scan(struct client *c)
{
	const char *nl;

	while (c->line < c->in.len &&
	       (nl = memchr(c->in.p + c->line, '\n', c->in.len - c->line))) {
		size_t at = c->line, len = (size_t)(nl - c->in.p) - at;

		if (len > MAX_LINE || (at == c->start && !is_operation(c->in.p + at, len)))
			return BAD;
		if (!len)
			return WHOLE;
		c->line = at + len + 1;
	}
	return c->in.len - c->line > MAX_LINE || c->in.len - c->start > MAX_REQUEST ? BAD : HALF;
}

/* The connection goes to the caller: what is here of it ends, without a word. */
static void let_go(struct kwgi_uapi_server *s, struct client *c)
{
	if (!s->hands_over || s->asker >= 0) {
		refuse(c, s->hands_over ? EBUSY : EPROTO);
		return;
	}
	s->asker = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	if (s->asker < 0) {
		refuse(c, errno);
		return;
	}
	/* The other descriptor keeps the connection open, and epoll would go on. */
	(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	c->start = c->line = c->in.len;
	c->eof = true;
}

/*
 * Others have left answers unread, and with this one they would be too much. A short one is of a
 * change, which has been made: that has to be told.
 */
static bool too_much_unread(const struct kwgi_uapi_server *s, const struct client *c)
{
	size_t others = 0;
	unsigned i;

	for (i = 0; i < MAX_CLIENTS; i++)
		if (&s->client[i] != c)
			others += s->client[i].out.len;
	return others && c->out.len > CHUNK && others + c->out.len > MAX_HELD;
}

/* Hands over what stands before the empty line, and goes behind it. */
static void handle(struct kwgi_uapi_server *s, struct client *c)
{
	size_t len = c->line + 1 - c->start;
	int ret;

	if (is_handover(c->in.p + c->start, len > 10 ? 10 : len)) {
		let_go(s, c);
		return;
	}
	ret = s->handle(s->arg, c->in.p + c->start, len, &c->out);
	sodium_memzero(c->in.p + c->start, len);
	c->start = ++c->line;
	if (c->out.failed)
		refuse(c, ENOMEM);
	else if (too_much_unread(s, c))
		refuse(c, ENOBUFS);
	if (ret)
		c->leaving = true;
}

/* Serves what is whole, until an answer has to wait for its reader. */
static void serve(struct kwgi_uapi_server *s, struct client *c, uint64_t now)
{
	unsigned n;

	c->more = false;
	for (n = 0; !has_output(c) && !c->leaving; n++) {
		enum scan found = scan(c);

		if (found == HALF)
			return;
		if (n == REQUESTS) {
			c->more = true;
			return;
		}
		if (found == BAD)
			refuse(c, EPROTO);
		else
			handle(s, c);
		flush(c, now);
	}
}

/* Makes room in front: what stands there is done, and wiped. */
static void compact(struct client *c)
{
	size_t left = c->in.len - c->start;

	if (!c->start)
		return;
	if (!left) {
		kwgi_buf_free(&c->in);
	} else {
		memmove(c->in.p, c->in.p + c->start, left);
		sodium_memzero(c->in.p + left, c->start);
		c->in.len = left;
	}
	c->line -= c->start;
	c->start = 0;
}

static size_t held(const struct kwgi_uapi_server *s)
{
	size_t sum = 0;
	unsigned i;

	for (i = 0; i < MAX_CLIENTS; i++)
		sum += s->client[i].in.len;
	return sum;
}

static void take(struct kwgi_uapi_server *s, struct client *c, size_t n)
{
	compact(c);
	if (held(s) + n > MAX_HELD) {
		refuse(c, ENOBUFS);
		return;
	}
	kwgi_buf_add(&c->in, s->chunk, n);
	if (c->in.failed)
		refuse(c, ENOMEM);
}

static void read_some(struct kwgi_uapi_server *s, struct client *c, uint64_t now)
{
	unsigned i;
	ssize_t n;

	for (i = 0; i < CHUNKS && !c->eof && !has_output(c) && !c->more; i++) {
		n = recv(c->fd, s->chunk, sizeof(s->chunk), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			c->eof = true;
			break;
		}
		if (!c->leaving) {
			c->active = now;
			take(s, c, (size_t)n);
			flush(c, now);
			serve(s, c, now);
		}
		sodium_memzero(s->chunk, (size_t)n);
	}
}

static void step(struct kwgi_uapi_server *s, struct client *c, uint64_t now)
{
	flush(c, now);
	if (!has_output(c) && !c->leaving)
		serve(s, c, now);
	if (!has_output(c) && !c->more)
		read_some(s, c, now);
	if (c->eof && !has_output(c) && !c->more)
		end_client(c);
	else
		wait_for(s, c, has_output(c) ? EPOLLOUT : c->more || c->eof ? 0 : EPOLLIN);
}

/* ---- time ------------------------------------------------------------ */

static uint64_t client_deadline(const struct client *c)
{
	if (c->fd < 0)
		return UINT64_MAX;
	if (c->more)
		return 0;
	if (has_output(c) || has_half_request(c) || c->leaving)
		return c->active + TIMEOUT * SECOND;
	return UINT64_MAX;
}

uint64_t kwgi_uapi_server_deadline(const struct kwgi_uapi_server *s)
{
	uint64_t deadline = s->accept_at ? s->accept_at : UINT64_MAX;
	unsigned i;

	for (i = 0; i < MAX_CLIENTS; i++) {
		uint64_t t = client_deadline(&s->client[i]);

		if (t < deadline)
			deadline = t;
	}
	return deadline;
}

static void on_time(struct kwgi_uapi_server *s, uint64_t now)
{
	unsigned i;

	for (i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &s->client[i];

		if (c->fd >= 0 && c->more)
			step(s, c, now);
		else if (client_deadline(c) <= now)
			end_client(c);
	}
}

/* ---- new clients ----------------------------------------------------- */

static void listen_events(struct kwgi_uapi_server *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = LISTENER };

	(void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listener, &ev);
}

/* Who may enter the folder may not yet configure the device. */
static bool may_enter(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) &&
	       (cred.uid == 0 || cred.uid == geteuid());
}

/* The time from which on a client may have to go for another. */
static uint64_t patience(const struct client *c)
{
	return c->more || c->own ? UINT64_MAX : c->active + PATIENCE * SECOND;
}

/*
 * A free place; else that of who has been silent for the longest time, and for a second at
 * least: many who do not go on must not keep all others out. NULL: there is none.
 */
static struct client *place(struct kwgi_uapi_server *s, uint64_t now)
{
	struct client *oldest = NULL;
	unsigned i;

	for (i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &s->client[i];

		if (c->fd < 0)
			return c;
		if (patience(c) <= now && (!oldest || patience(c) < patience(oldest)))
			oldest = c;
	}
	return oldest;
}

/* When the next one will have been silent for too long. */
static uint64_t next_place(const struct kwgi_uapi_server *s)
{
	uint64_t t = UINT64_MAX;
	unsigned i;

	for (i = 0; i < MAX_CLIENTS; i++)
		if (patience(&s->client[i]) < t)
			t = patience(&s->client[i]);
	return t;
}

static int admit(struct kwgi_uapi_server *s, struct client *c, int fd, uint64_t now)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int e;

	if (c->fd >= 0)
		end_client(c);
	*c = (struct client){ .fd = fd, .active = now, .events = EPOLLIN };
	ev.data.u64 = (uint64_t)(c - s->client);
	e = epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) ? errno : 0;
	if (e)
		*c = (struct client){ .fd = -1 };
	return e;
}

/* The listener stays readable: without a pause the caller would spin. */
static void pause_until(struct kwgi_uapi_server *s, uint64_t t, bool full)
{
	s->accept_at = t;
	s->full = full;
	listen_events(s, 0);
}

static void resume_accepting(struct kwgi_uapi_server *s, uint64_t now)
{
	if (!s->accept_at || (s->accept_at > now && !(s->full && place(s, now))))
		return;
	s->accept_at = 0;
	listen_events(s, EPOLLIN);
}

/* Who finds no place stays in the backlog, where it has lost nothing. */
static void accept_some(struct kwgi_uapi_server *s, uint64_t now)
{
	struct client *c;
	unsigned i;
	int fd;

	for (i = 0; i < MAX_CLIENTS; i++) {
		c = place(s, now);
		if (!c) {
			pause_until(s, next_place(s), true);
			return;
		}
		fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0 && may_enter(fd)) {
			if (admit(s, c, fd, now))
				close(fd);
			continue;
		}
		if (fd >= 0) {
			close(fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_until(s, now + PAUSE * SECOND, false);
		return;
	}
}

int kwgi_uapi_server_add(struct kwgi_uapi_server *s, int fd)
{
	struct client *c = place(s, 0);
	int e = c ? admit(s, c, fd, 0) : EBUSY;

	if (!e)
		c->own = true;
	return e;
}

/* ---- the loop -------------------------------------------------------- */

static void drain_inotify(struct kwgi_uapi_server *s)
{
	while (read(s->inotify, s->chunk, sizeof(s->chunk)) > 0)
		;
}

int kwgi_uapi_server_process(struct kwgi_uapi_server *s, uint64_t now)
{
	struct epoll_event ev[EVENTS];
	int i, n = epoll_wait(s->epoll, ev, EVENTS, 0);
	bool arrivals = false, notices = false;

	for (i = 0; i < n; i++) {
		uint64_t who = ev[i].data.u64;

		if (who == LISTENER)
			arrivals = true;
		else if (who == INOTIFY)
			notices = true;
		else if (s->client[who].fd >= 0)
			step(s, &s->client[who], now);
	}
	/* After the events of clients: their places may be given away. */
	on_time(s, now);
	resume_accepting(s, now);
	if (arrivals && !s->accept_at)
		accept_some(s, now);
	if (notices)
		drain_inotify(s);
	return notices && !kwgi_uapi_path_is_there(&s->path) ? KWGI_UAPI_REMOVED : 0;
}

void kwgi_uapi_server_is_ours(struct kwgi_uapi_server *s)
{
	kwgi_uapi_path_listen_again(s->listener);
}

int kwgi_uapi_server_asker(struct kwgi_uapi_server *s)
{
	int fd = s->asker;

	s->asker = -1;
	return fd;
}

int kwgi_uapi_server_folder(const struct kwgi_uapi_server *s)
{
	return s->path.dir;
}

int kwgi_uapi_server_listener(const struct kwgi_uapi_server *s, uint64_t *dev, uint64_t *ino)
{
	*dev = s->path.dev;
	*ino = s->path.ino;
	return s->listener;
}

int kwgi_uapi_server_fd(const struct kwgi_uapi_server *s)
{
	return s->epoll;
}

/* ---- life ------------------------------------------------------------ */

static int watch(struct kwgi_uapi_server *s, int fd, uint64_t data)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = data };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) ? errno : 0;
}

/* Without notices it only stays unknown that the name has gone. */
static void watch_name(struct kwgi_uapi_server *s)
{
	if (!s->path.ino)
		return;
	s->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->inotify < 0)
		return;
	/* IN_ATTRIB comes when a name of the file goes: our descriptor keeps the file itself. */
	if (inotify_add_watch(s->inotify, s->path.name,
			      IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF) < 0 ||
	    watch(s, s->inotify, INOTIFY)) {
		close(s->inotify);
		s->inotify = -1;
	}
}

static int open_path(struct kwgi_uapi_server *s, const struct kwgi_uapi_server_options *o,
		     struct kwg_error *err)
{
	int ret = kwgi_uapi_path_init(&s->path, o->dir, o->ifname, err);

	if (ret)
		return ret;
	if (o->fd < 0)
		return kwgi_uapi_path_listen(&s->path, &s->listener, err);
	ret = kwgi_uapi_path_adopt(&s->path, o->fd, err);
	if (ret)
		return ret;
	if (o->ino)
		kwgi_uapi_path_inherit(&s->path, o->dev, o->ino);
	s->listener = o->fd;
	return 0;
}

static void free_server(struct kwgi_uapi_server *s)
{
	unsigned i;

	for (i = 0; i < MAX_CLIENTS; i++)
		if (s->client[i].fd >= 0)
			end_client(&s->client[i]);
	if (s->asker >= 0)
		close(s->asker);
	if (s->listener >= 0)
		close(s->listener);
	if (s->inotify >= 0)
		close(s->inotify);
	kwgi_uapi_path_close(&s->path);
	if (s->epoll >= 0)
		close(s->epoll);
	sodium_memzero(s->chunk, sizeof(s->chunk));
	free(s);
}

int kwgi_uapi_server_open(struct kwgi_uapi_server **out, const struct kwgi_uapi_server_options *o,
			  struct kwg_error *err)
{
	struct kwgi_uapi_server *s = calloc(1, sizeof(*s));
	unsigned i;
	int ret, e;

	if (!s)
		return kwgi_nomem(err);
	s->epoll = s->listener = s->inotify = s->asker = s->path.dir = -1;
	for (i = 0; i < MAX_CLIENTS; i++)
		s->client[i].fd = -1;
	s->handle = o->handle;
	s->hands_over = o->hands_over;
	s->arg = o->arg;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	e = s->epoll < 0 ? errno : 0;
	ret = e ? kwgi_fail(err, KWG_ERR_KERNEL, e, "opening epoll: %s", kwgi_errtext(e)) :
		  open_path(s, o, err);
	if (!ret && (e = watch(s, s->listener, LISTENER))) {
		ret = kwgi_fail(err, KWG_ERR_KERNEL, e, "polling a socket: %s", kwgi_errtext(e));
		if (!o->ino)
			kwgi_uapi_path_remove(&s->path);
	}
	if (ret) {
		if (s->listener == o->fd)
			s->listener = -1;
		free_server(s);
		return ret;
	}
	watch_name(s);
	*out = s;
	return 0;
}

void kwgi_uapi_server_close(struct kwgi_uapi_server *s)
{
	if (!s)
		return;
	/* First the name, so that nobody finds a socket that refuses. */
	kwgi_uapi_path_remove(&s->path);
	free_server(s);
}

void kwgi_uapi_server_abandon(struct kwgi_uapi_server *s)
{
	if (s)
		free_server(s);
}
