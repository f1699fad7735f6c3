/* SPDX-License-Identifier: ISC */
/* Observing a host, and carrying steps out on it. */
#ifndef KWGI_APPLY_H
#define KWGI_APPLY_H

#include "host/daemon.h"
#include "host/wg.h"
#include "steps/desired.h"
#include "sys/mnl.h"

/* The connections to the kernel and to the WireGuard device. */
struct kwgi_live {
	struct kwgi_nl nl;
	struct kwgi_wg wg;
	bool nl_open, wg_open;
	struct kwgi_launch launch;	/* how a userspace WireGuard is started */
	char made[KWGI_IFNAME_MAX + 1];	/* the link that a step has made, or "" */
	bool made_userspace;		/* there is a daemon behind it */
};

int kwgi_live_open(struct kwgi_live *live, struct kwg_error *err);
void kwgi_live_close(struct kwgi_live *live);
/* The device may be another one by now, of the kernel or behind another socket. */
void kwgi_live_forget_wg(struct kwgi_live *live);

/* Takes a snapshot: links, addresses, routes and rules of this protocol number. */
int kwgi_live_observe(struct kwgi_live *live, uint8_t protocol, struct kwgi_host *h,
		      struct kwg_error *err);
/* The WireGuard device called ifname, if there is one, into h->wg. */
int kwgi_live_observe_wg(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			 struct kwg_error *err);

/* The WireGuard device behind a link that is to be given back or emptied, into h->old_wg. */
int kwgi_live_observe_old(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			  struct kwg_error *err);
/* The one behind a link that makes room, into h->aside_wg. */
int kwgi_live_observe_aside(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			    struct kwg_error *err);

/*
 * Carries the steps out in order. If one fails, those before it are undone in
 * reverse order; what cannot be undone is logged. KWG_ERR_KERNEL.
 */
int kwgi_live_run(struct kwgi_live *live, const struct kwgi_steps *s, kwg_log_fn *log,
		  void *log_arg, struct kwg_error *err);

#endif
