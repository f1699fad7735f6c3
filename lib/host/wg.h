/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A WireGuard device behind a table of functions: of the kernel, which
 * kwgi_wg_genl_open() fills in, or of a daemon, with kwgi_uapi_open().
 */
#ifndef KWGI_WG_H
#define KWGI_WG_H

#include <stdbool.h>

#include "steps/snapshot.h"
#include "steps/step.h"
#include "sys/mnl.h"

struct kwgi_wg;

enum { KWGI_WG_MANY = 500 };	/* peers of one request: meanwhile no packet is worked on */

struct kwgi_wg_ops {
	const char *name;
	/* Reads the device into *wg, lists from a; peers sorted by key, allowed IPs by prefix. */
	int (*get)(struct kwgi_wg *w, struct kwgi_arena *a, struct kwgi_host_wg *wg,
		   struct kwg_error *err);
	/* Sets what parts (KWGI_WG_*) names of the device. */
	int (*set_device)(struct kwgi_wg *w, uint32_t parts, const struct kwgi_wg_device_conf *conf,
			  struct kwg_error *err);
	/*
	 * Sets what parts names of a peer; the peer is complete in any case,
	 * for daemons that cannot change one. exists: the device knows it.
	 */
	int (*set_peer)(struct kwgi_wg *w, uint32_t parts, const struct kwgi_host_peer *p,
			bool exists, struct kwg_error *err);
	int (*del_peer)(struct kwgi_wg *w, const struct kwgi_key *key, struct kwg_error *err);
	/*
	 * Carries out steps about peers, at most KWGI_WG_MANY, with one request. On errors nobody
	 * knows which of them it was, and some may have been carried out. NULL: it cannot.
	 */
	int (*peers)(struct kwgi_wg *w, const struct kwgi_step *v, uint32_t n, struct kwg_error *err);
	void (*close)(struct kwgi_wg *w);
};

struct kwgi_wg {
	const struct kwgi_wg_ops *ops;
	char ifname[KWGI_IFNAME_MAX + 1];
	unsigned mutations;		/* requests that changed something */
	struct kwgi_nl nl;		/* kernel: generic netlink */
	uint16_t genl_family;
	bool known;			/* userspace: it was asked once, so that the next is certain */
	bool boringtun;			/* the daemon cannot change a peer, nor take many at once */
};

/* For who opens one: all zero but for table and name. KWG_ERR_USAGE if the name is too long. */
int kwgi_wg_init(struct kwgi_wg *w, const struct kwgi_wg_ops *ops, const char *ifname,
		 struct kwg_error *err);
/* Closes what is open; all zero is fine. */
void kwgi_wg_close(struct kwgi_wg *w);

/* Carries out or undoes a step about the device or a peer. KWG_ERR_KERNEL. */
int kwgi_wg_step(struct kwgi_wg *w, const struct kwgi_step *s, bool undo, struct kwg_error *err);

/* How many of these n steps, the first ones, are about peers of one device and fit one request. */
uint32_t kwgi_wg_together(const struct kwgi_step *v, uint32_t n);

/* Orders what get() has read. */
void kwgi_wg_sort(struct kwgi_host_wg *wg);

#endif
