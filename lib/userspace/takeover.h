/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A data plane goes on in another process: the TUN device, the sockets and the device of lib/dp
 * are handed over, by one of two ways.
 *
 *  - The successor asks over the configuration socket: "handover=1". The old one stops its
 *    workers and answers with all descriptors, and waits. If the successor fails or takes too
 *    long, the old one goes on.
 *  - The service manager keeps the descriptors between the end of the one and the start of the
 *    other (sd_notify(3), FDSTORE=1).
 *
 * One of the descriptors is the state: memory (memfd_create(2)) whose size is sealed. It has one
 * word by which it is claimed, once: by the successor, before it sends anything, or by the old one
 * that wants to go on. So never do both send with the same counters, whoever is killed when. Who
 * has claimed it overwrites it, for all who still have the descriptor.
 */
#ifndef KWGI_TAKEOVER_H
#define KWGI_TAKEOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/device.h"
#include "kilowg.h"
#include "userspace/notify.h"
#include "userspace/tun.h"

enum { KWGI_HANDOVER_FDS = 3 * KWGI_TUN_QUEUES + 2 };	/* at most; SCM_RIGHTS takes 253 */

/* -1: there is none. Worker n has tun[n], ip4[n] and ip6[n]. */
struct kwgi_handover_fds {
	int state, listener;
	int tun[KWGI_TUN_QUEUES], ip4[KWGI_TUN_QUEUES], ip6[KWGI_TUN_QUEUES];
};

void kwgi_handover_fds_init(struct kwgi_handover_fds *fds);
void kwgi_handover_fds_close(struct kwgi_handover_fds *fds);
/* Takes what has come under this name; false: it is none of ours, or there already. */
bool kwgi_handover_fds_take(struct kwgi_handover_fds *fds, const char *name, size_t len, int fd);
/* Those that a service manager has kept: n from 3 on; names separated by colons. Others are closed. */
void kwgi_handover_fds_kept(struct kwgi_handover_fds *fds, unsigned n, const char *names);

/* What the successor has to know besides the device. Fixed sizes: it is part of the format. */
struct kwgi_handover_plane {
	uint64_t netns_dev, netns_ino;		/* where we were born; 0: not known */
	uint64_t socket_dev, socket_ino;	/* the name of the configuration socket; 0: not ours */
	uint64_t listen_at, listen_wait;
	uint32_t queues;
	char notify[112];			/* NOTIFY_SOCKET, or "" */
	uint8_t keeps;				/* its manager keeps descriptors */
	uint8_t pad[3];
};

struct kwgi_handover_head;

struct kwgi_handover_state {
	int fd;
	struct kwgi_handover_head *head;	/* mapped; NULL: closed */
	size_t size;
};

#define KWGI_HANDOVER_STATE_NONE ((struct kwgi_handover_state){ .fd = -1 })

/* The device is held alone, and sends no more from now on, unless the state is claimed back. */
int kwgi_handover_state_make(struct kwgi_handover_state *s, const struct kwgi_handover_plane *plane,
			     struct kwgi_device *d, struct kwg_error *err);
/*
 * fd becomes that of *s, also on errors. KWG_ERR_USAGE with a reason: of another version, claimed
 * already, or no state at all. KWG_ERR_KERNEL.
 */
int kwgi_handover_state_open(struct kwgi_handover_state *s, int fd, struct kwg_error *err);
/* Copies the one, loads the other, an empty device. KWG_ERR_USAGE: not in order. */
int kwgi_handover_state_load(const struct kwgi_handover_state *s, struct kwgi_handover_plane *plane,
			     struct kwgi_device *d, struct kwg_error *err);
/* For whoever is first; the state is wiped then, and the caller may send. False for the other. */
bool kwgi_handover_state_claim(struct kwgi_handover_state *s);
void kwgi_handover_state_close(struct kwgi_handover_state *s);

/* ---- from process to process ------------------------------------ */

enum { KWGI_HANDOVER_NOBODY = 1 };

/*
 * Asks who answers on the socket of ifname (dir NULL: the usual folder). *conn is to be closed, after
 * the state is claimed or given up. KWGI_HANDOVER_NOBODY: nobody is there. KWG_ERR_KERNEL.
 */
int kwgi_handover_ask(const char *dir, const char *ifname, struct kwgi_handover_fds *fds, int *conn,
		      struct kwg_error *err);
/* The answer. 0 or an errno. */
int kwgi_handover_answer(int conn, const struct kwgi_handover_fds *fds);
/* Waits until the other side says that it has claimed, or has gone; some seconds at most. */
void kwgi_handover_wait(int conn);
/* Says so. */
void kwgi_handover_claimed(int conn);

/* ---- by way of the service manager ------------------------------------ */

/* 0 or an errno: then some may be kept already. */
int kwgi_handover_keep(const struct kwgi_notifier *n, const struct kwgi_handover_fds *fds);
/* It keeps none of these any more. wait: until it has closed them; that needs more than a sandbox allows. */
void kwgi_handover_forget(const struct kwgi_notifier *n, const struct kwgi_handover_fds *fds,
			  bool wait);

#endif
