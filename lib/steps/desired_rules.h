/* SPDX-License-Identifier: ISC */
/*
 * The policy rules of a host. Kilo has one for each node whose private address is behind the
 * tunnel; but the table that they lead to has these addresses only, and who finds nothing in it
 * goes on to the next rule. So one for all packets from pods here and one for all that come out of
 * WireGuard do the same, and the kernel, which tries one rule after the other, is done sooner.
 */
#ifndef KWGI_DESIRED_RULES_H
#define KWGI_DESIRED_RULES_H

#include "steps/desired.h"

/* Those of a plan, into w->rules; w->ifname, protocol and default_way are set. 0 or -1. */
int kwgi_desired_rules(struct kwgi_desired *w, const struct kwg_plan *plan);

#endif
