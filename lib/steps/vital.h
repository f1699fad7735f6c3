/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What a host must not be cut off from: addresses and networks whose packets keep the way that
 * they have without the mesh. lib/host/vitals.c finds them; which routes of a plan would take
 * them away is said here.
 */
#ifndef KWGI_VITAL_H
#define KWGI_VITAL_H

#include "steps/desired.h"

enum kwgi_vital_kind {
	KWGI_VITAL_NETWORK,	/* on a link of this host */
	KWGI_VITAL_GATEWAY,	/* of a default route */
	KWGI_VITAL_NEIGHBOUR,	/* that this host has talked to lately */
	KWGI_VITAL_NAME_SERVER,
	KWGI_VITAL_CLIENT,	/* from where whoever runs this is logged in */
	KWGI_VITAL_KEPT,	/* named by whoever runs this */
	KWGI_VITAL_ENDPOINT,	/* of a peer: WireGuard's own packets */
	KWGI_N_VITALS,
};

/* More are not looked at: that many neighbours are no host's, but a router's. */
enum { KWGI_VITALS_MAX = 65536 };

struct kwgi_vital {
	uint8_t kind;			/* enum kwgi_vital_kind */
	struct kwgi_prefix net;		/* an address, unless it is a network */
	const char *name;		/* of the peer with that endpoint */
};

struct kwgi_vitals {
	struct kwgi_arena arena;
	struct kwgi_vital *v;
	uint32_t n, cap;
	/* Routes of others in the main table that lead to one of them, or to a network on a link. */
	struct kwgi_host_route *ways;
	uint32_t n_ways, ways_cap;
	struct kwgi_prefixset set;	/* of ways; value: index */
	bool no_ipv6;			/* this host has none at all ... */
	bool no_ipv6_on_new;		/* ... or not on a link that is made now */
};

/* 0 or -1; what goes beyond the limit is dropped. */
int kwgi_vitals_add(struct kwgi_vitals *s, enum kwgi_vital_kind kind, const struct kwgi_prefix *net,
		    const char *name);
int kwgi_vitals_add_way(struct kwgi_vitals *s, const struct kwgi_host_route *way);
/* To be called once, after the last way was added. 0 or -1. */
int kwgi_vitals_build(struct kwgi_vitals *s);

/* The way that its packets have without the mesh; NULL: none. */
const struct kwgi_host_route *kwgi_vitals_way(const struct kwgi_vitals *s,
					      const struct kwgi_vital *v);
/*
 * Of w->routes, sets by[i] to what route i would take the way from, or else leaves it NULL; by has
 * room for all. allow-cover of the plan's configuration permits it. 0 or -1.
 */
int kwgi_vitals_judge(const struct kwgi_vitals *s, const struct kwgi_desired *w,
		      const struct kwg_plan *plan, const struct kwgi_vital **by);
void kwgi_vitals_free(struct kwgi_vitals *s);

#endif
