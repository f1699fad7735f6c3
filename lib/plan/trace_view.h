/* SPDX-License-Identifier: ISC */
/* What nodes and outside peers decide by when they send packets on, for traces. */
#ifndef KWGI_TRACE_VIEW_H
#define KWGI_TRACE_VIEW_H

#include "plan/showconf.h"
#include "plan/trace.h"

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

/* Made when it is asked for the first time; NULL: there is no memory. */
struct kwgi_view *kwgi_view_at(const struct kwgi_tracer *t, uint32_t place);
struct kwgi_view *kwgi_view_of_node(const struct kwgi_tracer *t, const struct kwgi_node *n);
struct kwgi_view *kwgi_view_of_peer(const struct kwgi_tracer *t, const struct kwgi_mesh_peer *p);

/* The value of the smallest network around the address; KWGI_NO_ITEM: there is none. */
uint32_t kwgi_view_lookup(const struct kwgi_prefixset *s, const struct kwgi_addr *a);
/* Its private address, or one to which WireGuard sends? */
bool kwgi_view_has_address(const struct kwgi_node *n, const struct kwgi_addr *a);

#endif
