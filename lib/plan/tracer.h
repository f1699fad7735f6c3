/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What nodes and outside peers decide by when they send packets on, for traces. */
#ifndef KWGI_TRACER_H
#define KWGI_TRACER_H

#include "base/prefixset.h"
#include "plan/showconf.h"

/* Values in the set of routes beside the indexes of planned ones: networks that a node is in. */
enum { IN_PODS = UINT32_MAX - 3, IN_LINK, IN_SUBNET };

/* What a node or an outside peer decides by. */
struct kwgi_view {
	struct kwg_plan plan;
	struct kwgi_peer_view outside;
	struct kwgi_arena arena;	/* of the sets */
	const struct kwgi_wg_peer *peers;
	struct kwgi_prefixset main, table;	/* routes */
	struct kwgi_prefixset allowed;	/* to the index of a WireGuard peer */
	struct kwgi_prefixset known;	/* not masqueraded */
	struct kwgi_prefixset gateways;	/* to the index of a member of the segment */
	struct kwgi_prefixset tunnel;	/* whose encapsulated packets are accepted */
};

struct kwgi_tracer {
	const struct kwg_config *cfg;
	const struct kwgi_topology *topo;
	struct kwgi_view **views;	/* of topo->nodes and then topo->peers; made when they are needed */
	uint32_t *places;		/* the index there of each of cfg->nodes */
};

/* cfg has no errors, and has to live as long. 0 or -1. */
int kwgi_tracer_init(struct kwgi_tracer *t, const struct kwg_config *cfg);
void kwgi_tracer_free(struct kwgi_tracer *t);
/* The index of a node, or of a peer behind those of all nodes. */
uint32_t kwgi_tracer_place(const struct kwgi_tracer *t, const struct kwgi_node *n,
			   const struct kwgi_mesh_peer *p);
/* Forgets what is known of it, which may be asked for again. */
void kwgi_tracer_forget(struct kwgi_tracer *t, uint32_t place);
const struct kwg_plan *kwgi_tracer_plan(struct kwgi_tracer *t, const struct kwgi_node *n);

/* Made when it is asked for the first time; NULL: there is no memory. */
struct kwgi_view *kwgi_view_at(const struct kwgi_tracer *t, uint32_t place);
struct kwgi_view *kwgi_view_of_node(const struct kwgi_tracer *t, const struct kwgi_node *n);
struct kwgi_view *kwgi_view_of_peer(const struct kwgi_tracer *t, const struct kwgi_mesh_peer *p);

/* The value of the smallest network around the address; KWGI_NO_ITEM: there is none. */
uint32_t kwgi_view_lookup(const struct kwgi_prefixset *s, const struct kwgi_addr *a);
/* Its private address, or one to which WireGuard sends? */
bool kwgi_view_has_address(const struct kwgi_node *n, const struct kwgi_addr *a);

#endif
