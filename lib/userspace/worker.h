/* SPDX-License-Identifier: ISC */
/*
 * The running userspace WireGuard: TUN device and UDP sockets around the
 * device of lib/dp.
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
#ifndef KWGI_DATAPLANE_H
#define KWGI_DATAPLANE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dp/coalesce.h"
#include "dp/device.h"
#include "dp/split.h"
#include "userspace/event.h"
#include "userspace/keymem.h"
#include "userspace/link.h"
#include "userspace/route.h"
#include "userspace/tun.h"
#include "userspace/tun_write.h"
#include "userspace/uapi_server.h"
#include "userspace/udp.h"

enum {
	KWGI_IN_MESSAGES = 32,		/* of one recvmmsg() */
	KWGI_OUT_SEGMENTS = 2048,	/* packets of one turn from the TUN; one read has up to KWGI_SPLIT_SEGMENTS */
	KWGI_OUT_ARENA = 512 * 1024,
	KWGI_HANDSHAKES_PER_TURN = 4,	/* each costs as much as hundreds of packets */
	KWGI_TIMERS_PER_TURN = 8,	/* peers: many may begin a handshake at once */
};

/* What a descriptor in a worker's loop is. */
enum {
	KWGI_ON_TUN, KWGI_ON_UDP4, KWGI_ON_UDP6, KWGI_ON_LINK, KWGI_ON_ROUTE, KWGI_ON_UAPI,
	KWGI_ON_STOP, KWGI_ON_WAKE,
};

/* From the TUN device to the sockets. */
struct kwgi_worker_out {
	struct kwgi_split split;
	uint8_t *arena;
	struct kwgi_segment segments[KWGI_SPLIT_SEGMENTS];
	struct kwgi_outgoing packets[KWGI_OUT_SEGMENTS];
	struct kwgi_udp_out bursts[KWGI_UDP_BATCH];
	struct iovec iov[KWGI_BATCH];	/* of bursts */
};

/* From the sockets to the TUN device. */
struct kwgi_worker_in {
	uint8_t *buffers;
	struct kwgi_udp_in messages[KWGI_IN_MESSAGES];
	struct kwgi_path from[KWGI_IN_MESSAGES];
	struct kwgi_incoming batch[KWGI_BATCH];
	unsigned n;			/* in batch */
	struct kwgi_coalesce coalesce;
	struct kwgi_tun_writer writer;
};

struct kwgi_dataplane;

struct kwgi_worker {
	struct kwgi_dataplane *plane;
	pthread_mutex_t lock;
	struct kwgi_loop loop;
	struct kwgi_udp udp;
	int tun;
	struct kwgi_worker_out *out;
	struct kwgi_worker_in *in;
	bool sources_gone;		/* the kernel refused a sticky source */
	uint64_t icmp_next;		/* when the budget for unreachable messages is full again */
	pthread_t thread;		/* not of the first */
	bool started;
};

struct kwgi_dataplane {
	struct kwgi_keymem keys;	/* where device, peers and sessions are */
	bool unlocked_told;
	struct kwgi_device *device;
	struct kwgi_tun tun;
	struct kwgi_link *link;
	struct kwgi_route route;
	bool has_route;
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
	int end;			/* eventfd: the other workers have to end */
	void (*log)(void *arg, bool error, const char *line);
	void *log_arg;
	bool verbose;
};

/* ---- worker_out.c, worker_in.c ------------------------------------------------- */

/* 0 or -1 without memory. */
int kwgi_worker_out_init(struct kwgi_worker *w);
int kwgi_worker_in_init(struct kwgi_worker *w);
void kwgi_worker_out_free(struct kwgi_worker *w);
void kwgi_worker_in_free(struct kwgi_worker *w);

/*
 * Both take in what is there, a bounded amount, and pass it on. False if the
 * TUN device is of no use any more. family: 4 or 6.
 */
bool kwgi_worker_read_tun(struct kwgi_worker *w);
void kwgi_worker_read_udp(struct kwgi_worker *w, int family);

/* Sends one datagram, for struct kwgi_device_io; the worker holds the device alone. */
void kwgi_worker_send(struct kwgi_worker *w, struct kwgi_path *to, const uint8_t *msg, size_t len,
		      uint8_t tos);

/* ---- dataplane.c ------------------------------------------------------------------ */

void kwgi_worker_lock(struct kwgi_worker *w);
void kwgi_worker_unlock(struct kwgi_worker *w);
/* The worker must not hold its own lock. */
void kwgi_worker_lock_all(struct kwgi_worker *w);
void kwgi_worker_unlock_all(struct kwgi_worker *w);

struct kwgi_time kwgi_dataplane_time(void);

/* ---- dataplane_io.c ---------------------------------------------------------------- */

struct kwgi_device_io kwgi_dataplane_io(struct kwgi_dataplane *p);

/* One line to the log; what is no error only if it is verbose. */
__attribute__((format(printf, 3, 4)))
void kwgi_dataplane_say(struct kwgi_dataplane *p, bool error, const char *fmt, ...);

void kwgi_dataplane_close_sockets(struct kwgi_dataplane *p);

/* Each takes all locks. Up, down, another MTU, deleted: brings the device to the link's state. */
void kwgi_dataplane_link_changed(struct kwgi_worker *w);
/*
 * Routes have changed: a peer's sticky source is forgotten if the way to the
 * peer now leaves through another interface.
 */
void kwgi_dataplane_check_sources(struct kwgi_worker *w);
/* Answers a request to the socket, for struct kwgi_uapi_server_options; arg is the data plane. */
int kwgi_dataplane_request(void *arg, const char *request, size_t len, struct kwgi_buf *answer);

#endif
