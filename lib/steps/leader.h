/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What a follower sees of the leader of its location. */
#ifndef KWGI_LEADER_H
#define KWGI_LEADER_H

#include "steps/desired.h"
#include "steps/finding.h"
#include "steps/way.h"

/* As far as the neighbour table tells. */
enum kwgi_neigh_state { KWGI_NEIGH_UNKNOWN, KWGI_NEIGH_ANSWERS, KWGI_NEIGH_SILENT };

struct kwgi_leader {
	const struct kwgi_node *node;	/* NULL: this node leads, or nobody was asked */
	struct kwgi_addr addr;		/* internal-ip */
	struct kwgi_way way;		/* to it */
	bool echoed;			/* it has answered an echo request */
	uint8_t neigh;			/* enum kwgi_neigh_state, of the next hop */
	/* Another location, the wanted route there, and the way that packets take. */
	const struct kwgi_segment *other;	/* NULL: there is none */
	const struct kwgi_desired_route *wanted;
	struct kwgi_way out;
};

/* The way by the main table that is wanted for an address; NULL: there is none. */
const struct kwgi_desired_route *kwgi_leader_route(const struct kwgi_desired *w,
						   const struct kwgi_addr *to);
/* Of a follower: whom to ask. Leaves l as it is, all zero, if there is nobody. */
void kwgi_leader_find(struct kwgi_leader *l, const struct kwg_plan *plan,
		      const struct kwgi_desired *w);
bool kwgi_leader_has_router(const struct kwgi_leader *l);
/* Does what goes out go through it? */
bool kwgi_leader_leads_out(const struct kwgi_leader *l);
/* "answers", "answers as a neighbour only", "does not answer", "not known to answer" */
const char *kwgi_leader_word(const struct kwgi_leader *l);
void kwgi_leader_judge(const struct kwgi_leader *l, const struct kwg_plan *plan,
		       struct kwgi_findings *f);

#endif
