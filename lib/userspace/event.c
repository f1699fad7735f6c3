/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/event.h"

#define SECOND 1000000000ull

/* data of our own timer; callers use small numbers or pointers. */
#define TIMER UINT64_MAX

uint64_t kwgi_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

void kwgi_wall_clock(uint64_t *sec, uint32_t *nsec)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	*sec = (uint64_t)t.tv_sec;
	*nsec = (uint32_t)t.tv_nsec;
}

int kwgi_loop_open(struct kwgi_loop *l, struct kwg_error *err)
{
	int e;

	*l = (struct kwgi_loop){ .epoll = -1, .timer = -1, .armed = KWGI_NEVER };
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll >= 0)
		l->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer >= 0 && !kwgi_loop_add(l, l->timer, EPOLLIN, TIMER))
		return 0;
	e = errno;
	kwgi_loop_close(l);
	return kwgi_fail(err, KWG_ERR_KERNEL, e, "opening an event loop: %s", kwgi_errtext(e));
}

void kwgi_loop_close(struct kwgi_loop *l)
{
	if (l->timer >= 0)
		close(l->timer);
	if (l->epoll >= 0)
		close(l->epoll);
	*l = (struct kwgi_loop){ .epoll = -1, .timer = -1, .armed = KWGI_NEVER };
}

static int control(struct kwgi_loop *l, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return epoll_ctl(l->epoll, op, fd, &ev) ? errno : 0;
}

int kwgi_loop_add(struct kwgi_loop *l, int fd, uint32_t events, uint64_t data)
{
	return control(l, EPOLL_CTL_ADD, fd, events, data);
}

int kwgi_loop_modify(struct kwgi_loop *l, int fd, uint32_t events, uint64_t data)
{
	return control(l, EPOLL_CTL_MOD, fd, events, data);
}

int kwgi_loop_remove(struct kwgi_loop *l, int fd)
{
	return control(l, EPOLL_CTL_DEL, fd, 0, 0);
}

static void arm(struct kwgi_loop *l, uint64_t deadline)
{
	struct itimerspec t = {
		.it_value.tv_sec = (time_t)(deadline / SECOND),
		.it_value.tv_nsec = (long)(deadline % SECOND),
	};

	/* A timerfd that is set late to a past time fires at once, so nothing is missed. */
	if (!timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &t, NULL))
		l->armed = deadline;
}

/* Takes the timer's event out of v. */
static int without_timer(struct kwgi_loop *l, struct epoll_event *v, int n)
{
	uint64_t expirations;
	int i;

	for (i = 0; i < n; i++) {
		if (v[i].data.u64 != TIMER)
			continue;
		if (read(l->timer, &expirations, sizeof(expirations)) > 0)
			l->armed = KWGI_NEVER;
		v[i] = v[--n];
		break;
	}
	return n;
}

int kwgi_loop_wait(struct kwgi_loop *l, struct epoll_event *v, int n, uint64_t deadline)
{
	int got;

	if (deadline && deadline < l->armed)
		arm(l, deadline);
	got = epoll_wait(l->epoll, v, n, deadline ? -1 : 0);
	if (got < 0)
		return errno == EINTR ? 0 : -errno;
	return without_timer(l, v, got);
}

/* ---- waking another thread ------------------------------------------- */

int kwgi_wake_open(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void kwgi_wake_set(int fd)
{
	uint64_t one = 1;

	/* It fails only when the counter is full, and then the other is awake. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

void kwgi_wake_clear(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
}
