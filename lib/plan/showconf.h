/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* WireGuard configurations of nodes and peers, for other machines. */
#ifndef KWGI_SHOWCONF_H
#define KWGI_SHOWCONF_H

#include "plan/plan.h"

/* psks: the preshared key of each of plan->peers, all zero for none. */
void kwgi_showconf_leader(const struct kwg_plan *plan, const struct kwgi_key *psks,
			  struct kwgi_buf *b);
/* The node's segment as a peer of some other WireGuard machine. 0 or -1. */
int kwgi_showconf_segment(struct kwg_plan *plan, struct kwgi_buf *b);

/* What an outside peer should configure, and how it should route. */
struct kwgi_peer_view {
	struct kwgi_arena arena;
	const struct kwgi_peer *peer;
	struct kwgi_wg_peer *peers;
	uint32_t n_peers;
	struct kwgi_route *routes;
	uint32_t n_routes, routes_cap;
	struct kwgi_diags diags;
};

/* extra: further networks to reach through the first segment. 0 or -1. */
int kwgi_peer_view_build(struct kwgi_peer_view *v, const struct kwgi_topology *t,
			 const struct kwgi_node *viewpoint, const struct kwgi_mesh_peer *p,
			 const struct kwgi_prefix *extra, size_t n_extra);
void kwgi_peer_view_conf(const struct kwgi_peer_view *v, const struct kwgi_key *psk,
			 struct kwgi_buf *b);
void kwgi_peer_view_json(const struct kwgi_peer_view *v, const char *conf, struct kwgi_buf *b);

#endif
