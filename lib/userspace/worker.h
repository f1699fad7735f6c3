/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A worker, and what all workers of a data plane share: the TUN device and UDP
 * sockets around the device of lib/dp.
 *
 * Each worker is a thread with a queue of the TUN device and a pair of sockets;
 * a packet is read, sealed or opened, and written by one worker, without being
 * handed over. The first worker is the caller's thread; it also serves the
 * link's events, the configuration socket and the timers.
 *
 * A worker holds its own lock while it works on a batch. Whoever wants the
 * device alone takes the locks of all workers. So a batch costs one lock that
 * nobody else wants, and a change waits for at most one batch of each worker.
 */
#ifndef KWGI_WORKER_H
#define KWGI_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dp/device.h"
#include "userspace/event.h"
#include "userspace/keymem.h"
#include "userspace/link.h"
#include "userspace/notify.h"
#include "userspace/route.h"
#include "userspace/sources.h"
#include "userspace/tun.h"
#include "userspace/uapi_server.h"
#include "userspace/udp.h"
#include "userspace/watchdog.h"

/* Of what is due, at most so much at a time: meanwhile no packet is worked on. */
enum {
	KWGI_HANDSHAKES_PER_TURN = 4,	/* each costs as much as hundreds of packets */
	KWGI_TIMERS_PER_TURN = 8,	/* peers: many may begin a handshake at once */
};

/* What a descriptor in a worker's loop is. */
enum {
	KWGI_ON_TUN, KWGI_ON_UDP4, KWGI_ON_UDP6, KWGI_ON_LINK, KWGI_ON_ROUTE, KWGI_ON_UAPI,
	KWGI_ON_STOP, KWGI_ON_WAKE, KWGI_ON_FORMER4, KWGI_ON_FORMER6,
};

/* Of packets in one direction, since the start of the program. */
struct kwgi_worker_count {
	uint64_t packets, bytes;	/* that went through; bytes of the inner packets */
	uint64_t dropped;
};

struct kwgi_dataplane;
struct kwgi_worker_in;
struct kwgi_worker_out;

struct kwgi_worker {
	struct kwgi_dataplane *plane;
	pthread_mutex_t lock;
	struct kwgi_loop loop;
	struct kwgi_udp udp;
	struct kwgi_udp former;		/* of the port before, while it still receives */
	int tun;
	struct kwgi_worker_out *out;	/* from the TUN device to the sockets */
	struct kwgi_worker_in *in;	/* from the sockets to the TUN device */
	struct kwgi_source gone;	/* a sticky source that the kernel has refused; zeros: none */
	struct kwgi_worker_count received, sent;	/* from and to peers; under the lock */
	uint64_t icmp_next;		/* when the budget for unreachable messages is full again */
	pthread_t thread;		/* not of the first */
	bool started;
	bool watches_end;
};

struct kwgi_dataplane {
	struct kwgi_keymem keys;	/* where device, peers and sessions are */
	bool unlocked_told;
	struct kwgi_device *device;
	struct kwgi_tun tun;
	struct kwgi_link *link;
	struct kwgi_route route;
	bool has_route;
	struct kwgi_sources sources;	/* the first worker's */
	struct kwgi_uapi_server *uapi;
	struct kwgi_worker *workers;
	unsigned n_workers;
	struct kwgi_worker *alone;	/* who holds all locks */
	bool no_gso, no_gro, no_aio;
	unsigned coalesce;		/* KWGI_COALESCE_* */
	_Atomic bool stop;
	int wake;			/* eventfd: the first worker has to look at its deadline */
	_Atomic uint64_t deadline;	/* what it waits for */
	uint64_t listen_at;		/* when a port in use is tried again; 0: none is wanted */
	uint64_t listen_wait;		/* since the last try */
	uint64_t former_at;		/* when the port before is to be closed, if nothing comes; 0: it is */
	uint64_t former_end;		/* and in any case */
	_Atomic bool former_used;	/* something has come since the last look */
	int end;			/* eventfd: the other workers have to end */
	struct kwgi_watchdog watchdog;
	struct kwgi_notifier notifier;
	char notify_name[112];		/* how the service manager's socket is called, or "" */
	bool keeps;			/* it keeps descriptors while we are restarted */
	bool ready_told;		/* by a predecessor */
	bool stop_asked;		/* from outside */
	bool borrowed;			/* all is a predecessor's still, ... */
	bool gone;			/* ... or a successor's already: the socket's name stays */
	void (*log)(void *arg, bool error, const char *line);
	void *log_arg;
	bool verbose;
};

void kwgi_worker_lock(struct kwgi_worker *w);
void kwgi_worker_unlock(struct kwgi_worker *w);
/* The worker must not hold its own lock. */
void kwgi_worker_lock_all(struct kwgi_worker *w);
void kwgi_worker_unlock_all(struct kwgi_worker *w);

struct kwgi_time kwgi_dataplane_time(void);

/* One line to the log; what is no error only if it is verbose. */
__attribute__((format(printf, 3, 4)))
void kwgi_dataplane_say(struct kwgi_dataplane *p, bool error, const char *fmt, ...);

#endif
