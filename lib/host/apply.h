/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Observing a host, and carrying steps out on it. */
#ifndef KWGI_APPLY_H
#define KWGI_APPLY_H

#include "host/daemon.h"
#include "host/wg.h"
#include "steps/desired.h"
#include "steps/leftout.h"
#include "sys/mnl.h"

/* The connections to the kernel and to the WireGuard device. */
struct kwgi_live {
	struct kwgi_nl nl;
	struct kwgi_wg wg;
	bool nl_open, wg_open;
	bool wg_userspace;		/* wg is of a daemon */
	const char *dir;		/* of the journal; NULL: none is read */
	const struct kwgi_mesh *mesh;
	struct kwgi_launch launch;	/* how a userspace WireGuard is started */
	struct kwgi_refusals *refusals;	/* NULL, or where routes go that the kernel does not take */
	/* Of steps, numbered from 1; NULL: nobody looks. */
	void (*progress)(void *arg, const char *what, unsigned step, unsigned of);
	void *progress_arg;
};

int kwgi_live_open(struct kwgi_live *live, struct kwg_error *err);
void kwgi_live_close(struct kwgi_live *live);
/* The device may be another one by now, of the kernel or behind another socket. */
void kwgi_live_forget_wg(struct kwgi_live *live);

/*
 * Takes a snapshot for live->mesh: links, addresses, and the routes and rules with numbers that the
 * journal or a mark says are ours, and with protocol (0: no more).
 */
int kwgi_live_observe(struct kwgi_live *live, uint8_t protocol, struct kwgi_host *h,
		      struct kwg_error *err);
/* The WireGuard device called ifname, if there is one, into h->wg. */
int kwgi_live_observe_wg(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			 struct kwg_error *err);

/* The WireGuard device behind a link that is to be given back or emptied, into h->old_devices. */
int kwgi_live_observe_old(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			  struct kwg_error *err);
/* The one behind a link that makes room, into h->aside_wg. */
int kwgi_live_observe_aside(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			    struct kwg_error *err);

/*
 * Carries the steps out in order. A route that the kernel does not take, for a reason that is
 * about this route alone, goes to live->refusals, and the rest goes on. If another step fails, those before it are undone in
 * reverse order, and the host is compared with the snapshot that they came from; what cannot be
 * undone is logged. KWG_ERR_KERNEL.
 */
int kwgi_live_run(struct kwgi_live *live, const struct kwgi_steps *s, kwg_log_fn *log,
		  void *log_arg, struct kwg_error *err);
/* Undoes steps that have all been carried out. */
void kwgi_live_undo(struct kwgi_live *live, const struct kwgi_steps *s, kwg_log_fn *log,
		    void *log_arg);

#endif
