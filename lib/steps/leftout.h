/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What of a plan cannot be carried out on this host, or must not: it is left out and told, and the
 * rest goes on. Without this, one network in somebody's file would stop all changes here, or cut
 * this host off.
 */
#ifndef KWGI_LEFTOUT_H
#define KWGI_LEFTOUT_H

#include "steps/finding.h"
#include "steps/vital.h"

/* A route that the kernel did not take, for a reason of its own. */
struct kwgi_refusal {
	struct kwgi_host_route route;
	char why[160];
};

struct kwgi_refusals {
	struct kwgi_arena arena;
	struct kwgi_refusal *v;
	uint32_t n, cap;
};

/* 0 or -1. */
int kwgi_refusals_add(struct kwgi_refusals *r, const struct kwgi_host_route *route,
		      const char *why);
void kwgi_refusals_free(struct kwgi_refusals *r);

/*
 * Takes out of w what stands against the host: routes where somebody else has one, that would take
 * away the way to something vital, or that were refused before; IPv6 where there is none; what the
 * private address is needed for, if no interface has it. One finding for each, up to a limit. w has
 * its MTU. 0 or -1.
 */
int kwgi_leave_out(struct kwgi_desired *w, const struct kwg_plan *plan, const struct kwgi_host *h,
		   const struct kwgi_vitals *vitals, const struct kwgi_refusals *refusals,
		   struct kwgi_findings *f);

/* Only of what is to be closed, and without a word. 0 or -1. */
int kwgi_leave_out_closed(struct kwgi_desired *w, const struct kwg_plan *plan,
			  const struct kwgi_vitals *vitals);

#endif
