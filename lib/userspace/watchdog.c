/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/event.h"
#include "userspace/watchdog.h"

enum {
	SLICE = 1000,	/* ms; what is counted */
	PAUSES = 3,	/* of an answer's time is the pause after it */
};

int kwgi_watchdog_open(struct kwgi_watchdog *w, struct kwgi_uapi_server *s, struct kwg_error *err)
{
	int fd[2], e;

	w->fd = -1;
	w->stop = kwgi_wake_open();
	if (w->stop < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd))
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "the watchdog's socket: %s",
				 kwgi_errtext(errno));
	w->fd = fd[0];
	e = kwgi_uapi_server_add(s, fd[1]);
	if (e)
		close(fd[1]);
	return e ? kwgi_fail(err, KWG_ERR_KERNEL, e, "the watchdog's socket: %s", kwgi_errtext(e)) : 0;
}

enum heard { ANSWER, NOTHING, END };

/* Waits for one slice at most. wants_answer: else for the end only. */
static enum heard listen_for(const struct kwgi_watchdog *w, bool wants_answer)
{
	struct pollfd p[2] = { { .fd = w->stop, .events = POLLIN },
			       { .fd = wants_answer ? w->fd : -1, .events = POLLIN } };
	char text[64];
	ssize_t n;

	while (poll(p, 2, SLICE) < 0)
		if (errno != EINTR)
			return END;
	if (p[0].revents)
		return END;
	if (!p[1].revents)
		return NOTHING;
	n = recv(w->fd, text, sizeof(text), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? NOTHING : END;
	/* "errno=0" and the empty line come at once, as long as they are. */
	return n ? ANSWER : END;
}

static bool ask(const struct kwgi_watchdog *w)
{
	static const char request[] = "set=1\n\n";

	return send(w->fd, request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT) ==
	       (ssize_t)strlen(request);
}

static void *watch(void *arg)
{
	struct kwgi_watchdog *w = arg;
	unsigned slices, pause = w->seconds / PAUSES + 1;
	enum heard heard = ANSWER;

	while (heard != END && ask(w)) {
		heard = NOTHING;
		for (slices = 0; heard == NOTHING && slices < w->seconds; slices++)
			heard = listen_for(w, true);
		if (heard == NOTHING) {
			w->hung(w->arg);
			break;
		}
		for (slices = 0; heard != END && slices < pause; slices++)
			heard = listen_for(w, false);
	}
	return NULL;
}

int kwgi_watchdog_start(struct kwgi_watchdog *w, struct kwg_error *err)
{
	int e = pthread_create(&w->thread, NULL, watch, w);

	w->started = !e;
	return e ? kwgi_fail(err, KWG_ERR_KERNEL, e, "cannot start a thread: %s", kwgi_errtext(e)) : 0;
}

void kwgi_watchdog_close(struct kwgi_watchdog *w)
{
	if (w->started) {
		kwgi_wake_set(w->stop);
		pthread_join(w->thread, NULL);
	}
	if (w->fd >= 0)
		close(w->fd);
	if (w->stop >= 0)
		close(w->stop);
	*w = KWGI_WATCHDOG_NONE;
}
