/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The plan: the complete wanted network state of one node. Interfaces stand
 * in it by their role; which device plays it is found out when it is applied.
 */
#ifndef KWGI_PLAN_H
#define KWGI_PLAN_H

#include "plan/topology.h"

enum { KWGI_PLAN_VERSION = 1 };

enum kwgi_role {
	KWGI_ROLE_KILO,		/* the WireGuard interface */
	KWGI_ROLE_PRIV,		/* the interface that holds the private address */
	KWGI_ROLE_TUNL,		/* the encapsulating tunnel */
	KWGI_N_ROLES,
};

struct kwgi_route {
	struct kwgi_prefix dst;
	struct kwgi_addr gw, src;	/* family NONE: none */
	uint8_t role;			/* enum kwgi_role */
	bool onlink;
	bool in_table;			/* in [local] route-table instead of the main table */
};

/* "from SRC|all to DST [iif kilo] lookup route-table" */
struct kwgi_rule {
	struct kwgi_prefix src;		/* family NONE: all */
	struct kwgi_prefix dst;
	bool iif_kilo;
};

struct kwgi_wg_peer {
	const char *name;		/* segment id or peer name */
	bool is_segment;
	struct kwgi_key key;
	const struct kwgi_peer *peer;	/* for its preshared key; NULL for a segment */
	const struct kwgi_node *node;	/* the leader of the segment; NULL for a peer */
	struct kwgi_place endpoint_at;	/* where the files give it its endpoint */
	struct kwgi_endpoint endpoint;	/* port 0: none; a discovered one if that holds */
	struct kwgi_addr endpoint_address;	/* of a DNS name, if the configuration says */
	uint32_t keepalive;		/* that this node sends */
	bool roams;			/* has a keepalive of its own: WireGuard learns its endpoint */
	struct kwgi_prefixes allowed_ips;
};

/* What one firewall rule is for. Everything else follows from it; see firewall.c. */
enum kwgi_fw_kind {
	KWGI_FW_NAT_CHAIN,		/* make the chain that decides on masquerading */
	KWGI_FW_NAT_SERVICE,		/* dst: do not masquerade */
	KWGI_FW_NAT_REST,		/* masquerade */
	KWGI_FW_NAT_JUMP_POD,		/* src: the node's own pods, ask the chain */
	KWGI_FW_NAT_JUMP_SRC,		/* src: ask the chain */
	KWGI_FW_NAT_JUMP_DST,		/* dst: ask the chain */
	KWGI_FW_NAT_WIREGUARD,		/* dst: a WireGuard address, do not masquerade */
	KWGI_FW_NAT_KNOWN,		/* dst: of the mesh, do not masquerade */
	KWGI_FW_NAT_PEER,		/* dst: of a peer, do not masquerade */
	KWGI_FW_FORWARD_SRC,		/* src: accept forwarding */
	KWGI_FW_FORWARD_DST,		/* dst: accept forwarding */
	KWGI_FW_TUNL_CHAIN,		/* make the chain that knows who may encapsulate */
	KWGI_FW_TUNL_JUMP,		/* encapsulated packets: ask the chain */
	KWGI_FW_TUNL_ACCEPT,		/* src: accept */
	KWGI_FW_TUNL_DROP,		/* the rest: drop */
};

enum kwgi_fw_reason { KWGI_FW_POD, KWGI_FW_LOCATION, KWGI_FW_PRIVATE, KWGI_FW_NODE_POD };

struct kwgi_fw_rule {
	uint8_t kind;			/* enum kwgi_fw_kind */
	uint8_t reason;			/* enum kwgi_fw_reason, of FORWARD rules */
	uint8_t family;			/* enum kwgi_family */
	struct kwgi_prefix net;		/* what src or dst is compared with */
	uint16_t port;			/* of TUNL rules: of VXLAN; 0: IPIP */
};

struct kwgi_fw_rules {
	struct kwgi_fw_rule *v;
	uint32_t n, cap;
};

/*
 * Rules whose order counts (append) and rules that are each put at the top of
 * their chain (prepend), as Kilo has them.
 */
struct kwgi_fw_list {
	struct kwgi_fw_rules append, prepend;
};

struct kwg_plan {
	struct kwgi_arena arena;
	const struct kwg_config *cfg;
	const struct kwgi_topology *topo;
	const struct kwgi_node *node;
	const struct kwgi_segment *segment;	/* the node's own */
	uint32_t segment_index;
	bool leader;

	struct kwgi_prefix wg_cidr;	/* leader: the address to set; else the bare subnet */
	uint32_t port;
	struct kwgi_wg_peer *peers;	/* none unless leader */
	uint32_t n_peers;
	struct kwgi_route *routes;
	uint32_t n_routes, routes_cap;
	/* With fail-closed: where packets must not go any other way; dst and in_table only. */
	struct kwgi_route *closed;
	uint32_t n_closed;
	struct kwgi_rule *rules;
	uint32_t n_rules, rules_cap;
	const struct kwgi_endpoint *found;	/* while it is built, see below */
	struct kwgi_fw_list nat, tunl_fw;
	struct kwgi_prefix tunl_addr;	/* of the tunnel device; family NONE: none */
	struct kwgi_diags diags;	/* what had to be left out */
};

/* 0, KWG_ERR_USAGE, KWG_ERR_CONFIG or KWG_ERR_NOMEM, with err filled. */
int kwgi_plan_build(struct kwg_plan *plan, const struct kwg_config *cfg, const char *node,
		    struct kwg_error *err);
/*
 * The same when it is known where names lead: found has an endpoint for each of the peers that
 * the plan will have, in their order; port 0 for those that are no name, or not known. Segments,
 * leaders and peers stay as they are, so that all nodes agree on them; routes may differ.
 */
int kwgi_plan_build_found(struct kwg_plan *plan, const struct kwg_config *cfg, const char *node,
			  const struct kwgi_endpoint *found, struct kwg_error *err);
/* Does it, if names lead there? */
bool kwgi_plan_is_changed_by(const struct kwg_plan *plan, const struct kwgi_endpoint *found);

/*
 * Of several routes to one destination in one table keeps the last; see
 * plan.c. Changes routes and *n in place. 0 or -1.
 */
int kwgi_routes_settle(struct kwgi_arena *a, struct kwgi_route *routes, uint32_t *n,
		       struct kwgi_diags *d);

/*
 * plan_closed.c: fills in plan->closed, if [local] wants it; the routes are settled. 0 or -1.
 */
int kwgi_plan_close(struct kwg_plan *plan);

/*
 * plan_tunnel.c: encapsulation within the location.
 *
 * Gateway of a member for others of its segment: with a tunnel of our own its
 * private address; with flannel the address of its pod CIDR; with cilium its
 * address in that overlay, or else that of its pod CIDR.
 */
struct kwgi_addr kwgi_plan_gateway(const struct kwg_plan *plan, const struct kwgi_node *m);
/* Have packets of this family for this gateway to be encapsulated? */
bool kwgi_plan_is_tunnelled(const struct kwg_plan *plan, const struct kwgi_addr *gw,
			    uint8_t family);
/* The gateway over the tunnel for packets of this family: as above, or with VXLAN a link-local address. */
struct kwgi_addr kwgi_plan_tunnel_gateway(const struct kwg_plan *plan, const struct kwgi_node *m,
					  uint8_t family);
/* Is the tunnel VXLAN of our own? */
bool kwgi_plan_has_vxlan(const struct kwg_plan *plan);
/* Has the node to have a tunnel, be it for receiving only? Asked of a complete plan. */
bool kwgi_plan_needs_tunnel(const struct kwg_plan *plan);
void kwgi_plan_set_tunnel_address(struct kwg_plan *plan);

/*
 * firewall.c: a rule about 0.0.0.0/0 or ::/0 that a peer offers? Carried out, nothing would be
 * masqueraded any more on any node, also where that way is not taken.
 */
bool kwgi_fw_is_of_default(const struct kwgi_fw_rule *r);
/* 0 or -1. */
int kwgi_firewall_build(struct kwg_plan *plan);
/* The rule as iptables prints it, with family and table in front. */
void kwgi_firewall_format(struct kwgi_buf *b, const struct kwgi_fw_rule *r);

/* wg_conf.c: the peer for a segment or outside peer as viewpoint sees it. */
int kwgi_wg_segment(struct kwgi_wg_peer *out, struct kwgi_arena *a, const struct kwgi_topology *t,
		    const struct kwgi_node *viewpoint, const struct kwgi_segment *s,
		    bool location_ips);
void kwgi_wg_peer(struct kwgi_wg_peer *out, const struct kwgi_topology *t,
		  const struct kwgi_node *viewpoint, const struct kwgi_mesh_peer *p);
/*
 * WireGuard routes an allowed IP to one peer, the last that asked for it.
 * Takes it from the peers before, so that nothing changes hands while a
 * configuration is being set. 0 or -1.
 */
int kwgi_wg_settle(struct kwgi_wg_peer *peers, uint32_t n, struct kwgi_arena *a,
		   struct kwgi_diags *d);
/*
 * Nodes of one segment with one private address give it the same allowed IP
 * several times. Keeps the first of each. 0 or -1.
 */
int kwgi_wg_list_once(struct kwgi_wg_peer *p, struct kwgi_arena *a);
/* psk: NULL or all zero: left out. */
void kwgi_wg_format_peer(struct kwgi_buf *b, const struct kwgi_wg_peer *p,
			 const struct kwgi_key *psk);

/* plan_text.c */
/* names: the devices in the three roles. */
void kwgi_route_format(struct kwgi_buf *b, const struct kwgi_route *r,
		       const char *const names[KWGI_N_ROLES], uint32_t table);
void kwgi_closed_format(struct kwgi_buf *b, const struct kwgi_route *r, uint32_t table);
void kwgi_rule_format(struct kwgi_buf *b, const struct kwgi_rule *r, const char *iif,
		      uint32_t table);
extern const char *const kwgi_role_names[KWGI_N_ROLES];
/* Canonical text without the digest line. */
void kwgi_plan_text(const struct kwg_plan *plan, struct kwgi_buf *b);
/* plan_json.c */
void kwgi_plan_json(const struct kwg_plan *plan, const char *digest, struct kwgi_buf *b);
/* BLAKE2b-256 in hex; out has 65 bytes. */
void kwgi_digest(char out[65], const void *data, size_t len);

#endif
