/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Time, waiting for descriptors and a deadline at once, and waking another thread. */
#ifndef KWGI_EVENT_H
#define KWGI_EVENT_H

#include <stdint.h>
#include <sys/epoll.h>

#include "kilowg.h"

#define KWGI_NEVER UINT64_MAX

/* CLOCK_BOOTTIME in ns: it counts suspend and never jumps. */
uint64_t kwgi_now(void);

/* CLOCK_REALTIME, for TAI64N and the time of the last handshake. */
void kwgi_wall_clock(uint64_t *sec, uint32_t *nsec);

struct kwgi_loop {
	int epoll, timer;
	uint64_t armed;		/* what timer is set to; KWGI_NEVER: nothing */
};

/* KWG_ERR_KERNEL. On errors *l is safe for kwgi_loop_close(). */
int kwgi_loop_open(struct kwgi_loop *l, struct kwg_error *err);
void kwgi_loop_close(struct kwgi_loop *l);

/*
 * events: EPOLLIN and so on, level-triggered unless EPOLLET. data comes back in
 * the event's data.u64; not UINT64_MAX, which is the timer's. 0 or an errno.
 */
int kwgi_loop_add(struct kwgi_loop *l, int fd, uint32_t events, uint64_t data);
int kwgi_loop_modify(struct kwgi_loop *l, int fd, uint32_t events, uint64_t data);
int kwgi_loop_remove(struct kwgi_loop *l, int fd);

/*
 * Waits until a descriptor is ready or deadline (kwgi_now()) is reached;
 * deadline 0 does not wait. Returns the number of events in v; 0 at the
 * deadline, at a signal, and now and then before the deadline. A negative errno
 * should not occur.
 *
 * The timer is moved forward at once but back only when it fires, so that a
 * deadline which every packet puts off costs no system call for each.
 */
int kwgi_loop_wait(struct kwgi_loop *l, struct epoll_event *v, int n, uint64_t deadline);

/* An eventfd, to be polled by one thread and set by others (also by signal handlers). -1: errno. */
int kwgi_wake_open(void);
void kwgi_wake_set(int fd);
void kwgi_wake_clear(int fd);

#endif
