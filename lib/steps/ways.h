/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Do packets for the networks that routes are wanted to take the links that are
 * wanted? A route that is there may be overruled: by a policy rule before ours, by
 * one that is more specific, or by one with a better metric.
 */
#ifndef KWGI_WAYS_H
#define KWGI_WAYS_H

#include "steps/desired.h"
#include "steps/finding.h"
#include "steps/way.h"

struct kwgi_wanted_way {
	struct kwgi_way way;
	const struct kwgi_desired_route *want;
	const struct kwgi_host_rule *rule;	/* that leads to it; NULL: the main table's */
	bool part;				/* only what another route has of the network */
};

enum { KWGI_STRANGERS = 8 };		/* more are not told */

struct kwgi_ways {
	struct kwgi_arena arena;
	struct kwgi_prefixset set;	/* of wanted routes in the main table; value: index */
	struct kwgi_wanted_way *v;
	uint32_t n, cap;
	bool steps_due;			/* so that routes of ours may go yet */
	struct kwgi_host_route strangers[KWGI_STRANGERS];	/* of others, in tables of ours */
	uint32_t n_strangers;
	uint32_t ra_link;		/* of an IPv6 default route by a router's advertisement; 0: none */
};

/*
 * Lists what is to be asked: an address of each wanted network whose route is there already,
 * and what rules of ours are for. 0 or -1.
 */
int kwgi_ways_list(struct kwgi_ways *s, const struct kwgi_desired *w, const struct kwgi_host *h);
/* A route of somebody else, of the main table: asks about it if it is part of a wanted network. 0 or -1. */
int kwgi_ways_add_part(struct kwgi_ways *s, const struct kwgi_desired *w,
		       const struct kwgi_host_route *other);
/* A route of somebody else: is noted if it is in a table that rules of ours lead to. */
void kwgi_ways_add_stranger(struct kwgi_ways *s, const struct kwgi_desired *w,
			    const struct kwgi_host_route *other);
/* An answer is as it should be, or tells nothing. */
bool kwgi_ways_is_right(const struct kwgi_wanted_way *v);
void kwgi_ways_judge(const struct kwgi_ways *s, const struct kwgi_desired *w,
		     const struct kwgi_host *h, struct kwgi_findings *f);
void kwgi_ways_free(struct kwgi_ways *s);

#endif
