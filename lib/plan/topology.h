/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The topology: which nodes form a segment, who leads it, which WireGuard
 * address it has, what lies behind it. The same on every node, and the same
 * that Kilo computes (pkg/mesh/topology.go); see topology.c for the rules.
 */
#ifndef KWGI_TOPOLOGY_H
#define KWGI_TOPOLOGY_H

#include "config/config.h"

struct kwgi_prefixes {
	struct kwgi_prefix *v;
	uint32_t n;
};

struct kwgi_segment {
	const char *id;			/* "location:NAME" or "node:NAME" */
	const char *name;		/* into id */
	const struct kwgi_node **members;	/* sorted by name */
	uint32_t n;
	bool has_private_ips;		/* each member has one, or a lone node has none */
	const struct kwgi_node *leader;
	struct kwgi_addr wg_ip;
	/* Of each member the pod CIDRs and the private address; last the WireGuard address. */
	struct kwgi_prefixes allowed_ips;
	struct kwgi_prefixes location_ips, rejected_location_ips;	/* sorted as text */
};

/* A peer that takes part, with what deduplication left of its allowed IPs. */
struct kwgi_mesh_peer {
	const struct kwgi_peer *peer;
	struct kwgi_prefixes allowed_ips;
};

struct kwgi_topology {
	struct kwgi_segment *segments;
	uint32_t n_segments;
	const struct kwgi_node **nodes;		/* all that take part, sorted by name */
	uint32_t *segment_of;			/* index of the segment of each of them */
	uint32_t n_nodes;
	struct kwgi_mesh_peer *peers;		/* sorted by name */
	uint32_t n_peers;
	/* What nodes have seen of others, the first entry for a key only; sorted by key. */
	struct kwgi_discovered *discovered;
	uint32_t n_discovered;
};

/*
 * Builds it in cfg's arena and sets cfg->topology. Remarks (a network left
 * out, the subnet too small) go to cfg->diags. 0 or KWG_ERR_NOMEM.
 */
int kwgi_topology_build(struct kwg_config *cfg);

/* Index into nodes, or UINT32_MAX. */
uint32_t kwgi_topology_find(const struct kwgi_topology *t, const char *node);

/*
 * The merged entry for a key as seen from a node: its own first, then those
 * of all others. NULL if nobody has one.
 */
const struct kwgi_discovered *kwgi_topology_discovered(const struct kwgi_topology *t,
						       const struct kwgi_node *viewpoint,
						       const struct kwgi_key *key);

/* Is it the segment "location:LOCATION"? */
bool kwgi_segment_is_location(const struct kwgi_segment *s, const char *location);

static inline bool kwgi_node_has_private_ip(const struct kwgi_node *n)
{
	return n->internal_ip.addr.family && !n->internal_ip_off;
}

#endif
