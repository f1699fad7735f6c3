/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The policy rules of a host. Kilo has one for each node whose private address is behind the
 * tunnel; but the table that they lead to has these addresses only, and who finds nothing in it
 * goes on to the next rule. So one for all packets from pods here and one for all that come out of
 * WireGuard do the same, and the kernel, which tries one rule after the other, is done sooner.
 */
#ifndef KWGI_DESIRED_RULES_H
#define KWGI_DESIRED_RULES_H

#include "steps/default.h"
#include "steps/snapshot.h"

struct kwgi_desired_rules {
	uint8_t protocol;
	const char *ifname;
	bool tunnel;				/* there is one within the location */
	const struct kwgi_default *default_way;	/* that of 0.0.0.0/0 and ::/0 */
	struct kwgi_host_rule *rules;
	uint32_t n_rules;
};

/* Those of a plan, into w->rules, from a; all else is set. 0 or -1. */
int kwgi_desired_rules(struct kwgi_desired_rules *w, struct kwgi_arena *a,
		       const struct kwg_plan *plan);

#endif
