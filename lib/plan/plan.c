/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Routes and policy rules as Kilo makes them (pkg/mesh/routes.go, Routes),
 * with what no kernel can carry out mended, see add_route() and
 * settle_routes(). kilowg-kilo(7) has the table of these differences.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plan/plan.h"

static const struct kwgi_addr no_addr;

/* ---- adding ---------------------------------------------------------- */

/*
 * A next hop or source of another family than the destination cannot be used.
 * WireGuard needs no next hop, since it finds the peer by allowed IPs; VXLAN
 * takes the MAC address of the next hop only. On other links such a route is
 * left out.
 */
static int add_route(struct kwg_plan *plan, struct kwgi_route r)
{
	char dst[KWGI_PREFIX_TEXT], gw[KWGI_ADDR_TEXT];

	if (r.src.family && r.src.family != r.dst.addr.family)
		r.src = no_addr;
	if (r.gw.family && r.gw.family != r.dst.addr.family) {
		if (r.role == KWGI_ROLE_KILO) {
			r.gw = no_addr;
		} else if (r.role != KWGI_ROLE_TUNL || !kwgi_plan_has_vxlan(plan)) {
			kwgi_diags_add(&plan->diags, KWG_WARNING, (struct kwgi_place){ 0 }, "",
				       "no route to %s: the gateway %s is of another address family%s",
				       kwgi_prefix_format(dst, &r.dst), kwgi_addr_format(gw, &r.gw),
				       r.role == KWGI_ROLE_TUNL
					       ? "; encapsulation-protocol = vxlan carries both" : "");
			return 0;
		}
	}
	r.onlink = r.gw.family != KWGI_AF_NONE;
	if (kwgi_arena_grow(&plan->arena, &plan->routes, plan->n_routes, &plan->routes_cap,
			    sizeof(*plan->routes)))
		return -1;
	plan->routes[plan->n_routes++] = r;
	return 0;
}

static int add_rule(struct kwg_plan *plan, const struct kwgi_prefix *src,
		    const struct kwgi_prefix *dst, bool iif_kilo)
{
	if (src && src->addr.family != dst->addr.family)
		return 0;
	if (kwgi_arena_grow(&plan->arena, &plan->rules, plan->n_rules, &plan->rules_cap,
			    sizeof(*plan->rules)))
		return -1;
	plan->rules[plan->n_rules++] = (struct kwgi_rule){
		.src = src ? *src : (struct kwgi_prefix){ .len = 0 }, .dst = *dst, .iif_kilo = iif_kilo,
	};
	return 0;
}

/* Through a node of the own location: encapsulated, or plainly over the private network. */
static int add_via_node(struct kwg_plan *plan, const struct kwgi_prefix *dst,
			const struct kwgi_node *via)
{
	struct kwgi_addr gw = kwgi_plan_gateway(plan, via);
	bool tunnelled = kwgi_plan_is_tunnelled(plan, &gw, dst->addr.family);

	if (tunnelled)
		gw = kwgi_plan_tunnel_gateway(plan, via, dst->addr.family);
	return add_route(plan, (struct kwgi_route){
		.dst = *dst, .gw = gw,
		.src = tunnelled ? plan->node->internal_ip.addr : no_addr,
		.role = tunnelled ? KWGI_ROLE_TUNL : KWGI_ROLE_PRIV,
	});
}

static int add_cidrs_via_node(struct kwg_plan *plan, const struct kwgi_cidrs *cidrs,
			      const struct kwgi_node *via)
{
	uint32_t i;

	for (i = 0; i < cidrs->n; i++)
		if (add_via_node(plan, &cidrs->v[i].prefix, via))
			return -1;
	return 0;
}

static int add_prefixes_via_node(struct kwg_plan *plan, const struct kwgi_prefixes *list,
				 const struct kwgi_node *via)
{
	uint32_t i;

	for (i = 0; i < list->n; i++)
		if (add_via_node(plan, &list->v[i], via))
			return -1;
	return 0;
}

/* Through WireGuard; gw: the segment's WireGuard address, or none. */
static int add_via_kilo(struct kwg_plan *plan, const struct kwgi_prefix *dst,
			const struct kwgi_addr *gw)
{
	bool has_src = kwgi_node_has_private_ip(plan->node);

	return add_route(plan, (struct kwgi_route){
		.dst = *dst, .gw = *gw, .role = KWGI_ROLE_KILO,
		.src = has_src ? plan->node->internal_ip.addr : no_addr,
	});
}

/* ---- the own segment ------------------------------------------------- */

/*
 * The private address of a member over the tunnel, in a table of its own that
 * only pods (and, on a leader, what comes out of WireGuard) look into: other
 * packets of the host must go the plain way, the tunnel's own among them.
 */
static int add_private_over_tunnel(struct kwg_plan *plan, const struct kwgi_node *m)
{
	struct kwgi_prefix host = kwgi_prefix_host(&m->internal_ip.addr);
	const struct kwgi_cidrs *pods = &plan->node->pod_cidrs;
	uint32_t i;

	if (add_route(plan, (struct kwgi_route){
		    .dst = host,
		    .gw = kwgi_plan_tunnel_gateway(plan, m, host.addr.family),
		    .src = plan->node->internal_ip.addr,
		    .role = KWGI_ROLE_TUNL, .in_table = true }))
		return -1;
	for (i = 0; i < pods->n; i++)
		if (add_rule(plan, &pods->v[i].prefix, &host, false))
			return -1;
	return plan->leader ? add_rule(plan, NULL, &host, true) : 0;
}

static int add_members(struct kwg_plan *plan)
{
	const struct kwgi_segment *s = plan->segment;
	uint32_t encap = plan->cfg->mesh.encapsulation;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		const struct kwgi_node *m = s->members[i];
		const struct kwgi_addr *ip = &m->internal_ip.addr;

		if (kwgi_addr_equal(ip, &plan->node->internal_ip.addr))
			continue;
		if (add_cidrs_via_node(plan, &m->pod_cidrs, m))
			return -1;
		if (encap == KWGI_ENCAP_ALWAYS ||
		    (encap == KWGI_ENCAP_CROSS_SUBNET &&
		     !kwgi_prefix_contains(&plan->node->internal_ip, ip)))
			if (add_private_over_tunnel(plan, m))
				return -1;
	}
	return 0;
}

/*
 * The leader does not manage routes of its location, but what comes out of
 * WireGuard for a member still has to enter the other CNI's tunnel.
 */
static int add_members_from_kilo(struct kwg_plan *plan)
{
	const struct kwgi_segment *s = plan->segment;
	struct kwgi_prefix host;
	struct kwgi_addr gw;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		const struct kwgi_node *m = s->members[i];

		gw = kwgi_plan_gateway(plan, m);
		if (m == plan->node || kwgi_addr_equal(&gw, &m->internal_ip.addr))
			continue;
		host = kwgi_prefix_host(&m->internal_ip.addr);
		if (add_route(plan, (struct kwgi_route){ .dst = host, .gw = gw,
							 .role = KWGI_ROLE_TUNL,
							 .in_table = true }) ||
		    add_rule(plan, NULL, &host, true))
			return -1;
	}
	return 0;
}

/* ---- followers ------------------------------------------------------- */

static int add_segment_as_follower(struct kwg_plan *plan, const struct kwgi_segment *s,
				   const struct kwgi_node *leader)
{
	struct kwgi_prefix host = kwgi_prefix_host(&s->wg_ip);
	uint32_t i;

	if (add_via_node(plan, &host, leader))
		return -1;
	if (s == plan->segment)
		return plan->cfg->local.manage_local_routes ? add_members(plan) : 0;
	for (i = 0; i < s->n; i++)
		if (add_cidrs_via_node(plan, &s->members[i]->pod_cidrs, leader))
			return -1;
	for (i = 0; s->has_private_ips && i < s->n; i++) {
		host = kwgi_prefix_host(&s->members[i]->internal_ip.addr);
		if (add_via_node(plan, &host, leader))
			return -1;
	}
	return add_prefixes_via_node(plan, &s->location_ips, leader);
}

static int build_follower_routes(struct kwg_plan *plan)
{
	const struct kwgi_node *leader = plan->segment->leader;
	uint32_t i;

	for (i = 0; i < plan->topo->n_segments; i++)
		if (add_segment_as_follower(plan, &plan->topo->segments[i], leader))
			return -1;
	for (i = 0; i < plan->topo->n_peers; i++)
		if (add_prefixes_via_node(plan, &plan->topo->peers[i].allowed_ips, leader))
			return -1;
	return 0;
}

/* ---- leaders --------------------------------------------------------- */

/* The WireGuard peer of another segment: an index into plan->peers, which has all but the own one. */
static uint32_t peer_of(const struct kwg_plan *plan, const struct kwgi_segment *s)
{
	uint32_t i = (uint32_t)(s - plan->topo->segments);

	return i > plan->segment_index ? i - 1 : i;
}

/* The address that WireGuard sends to, none if it is not known. */
static struct kwgi_addr address_in_use(const struct kwg_plan *plan, uint32_t i)
{
	const struct kwgi_wg_peer *p = &plan->peers[i];

	if (!p->endpoint.port)
		return no_addr;
	if (!p->endpoint.host)
		return p->endpoint.addr;
	if (!p->endpoint_address.family && plan->found && plan->found[i].port)
		return plan->found[i].addr;
	return p->endpoint_address;
}

static int add_member_as_leader(struct kwg_plan *plan, const struct kwgi_segment *s,
				const struct kwgi_node *m, const struct kwgi_addr *endpoint)
{
	struct kwgi_prefix host = kwgi_prefix_host(&m->internal_ip.addr);
	uint32_t i;

	for (i = 0; i < m->pod_cidrs.n; i++)
		if (add_via_kilo(plan, &m->pod_cidrs.v[i].prefix, &s->wg_ip))
			return -1;
	/* WireGuard's own packets must not go into the tunnel. */
	if (!s->has_private_ips || kwgi_addr_equal(&m->internal_ip.addr, endpoint))
		return 0;
	return add_via_kilo(plan, &host, &s->wg_ip);
}

static int add_segment_as_leader(struct kwg_plan *plan, const struct kwgi_segment *s)
{
	bool has_private_ip = kwgi_node_has_private_ip(plan->node);
	struct kwgi_addr endpoint;
	uint32_t i;

	if (s == plan->segment) {
		if (!has_private_ip)
			return 0;
		if (plan->cfg->local.manage_local_routes)
			return add_members(plan);
		if (plan->cfg->mesh.encapsulation == KWGI_ENCAP_NEVER)
			return 0;
		return add_members_from_kilo(plan);
	}
	endpoint = address_in_use(plan, peer_of(plan, s));
	for (i = 0; i < s->n; i++)
		if (add_member_as_leader(plan, s, s->members[i], &endpoint))
			return -1;
	for (i = 0; i < s->location_ips.n; i++)
		if (add_via_kilo(plan, &s->location_ips.v[i], &s->wg_ip))
			return -1;
	return 0;
}

static int build_leader_routes(struct kwg_plan *plan)
{
	const struct kwgi_topology *t = plan->topo;
	uint32_t i, j;

	for (i = 0; i < t->n_segments; i++)
		if (add_segment_as_leader(plan, &t->segments[i]))
			return -1;
	for (i = 0; i < t->n_peers; i++)
		for (j = 0; j < t->peers[i].allowed_ips.n; j++)
			if (add_via_kilo(plan, &t->peers[i].allowed_ips.v[j], &no_addr))
				return -1;
	return 0;
}

static int build_peers(struct kwg_plan *plan)
{
	const struct kwgi_topology *t = plan->topo;
	uint32_t i;

	plan->peers = kwgi_arena_alloc(&plan->arena, t->n_segments + (size_t)t->n_peers,
				       sizeof(*plan->peers));
	if (!plan->peers)
		return -1;
	for (i = 0; i < t->n_segments; i++) {
		if (&t->segments[i] == plan->segment)
			continue;
		if (kwgi_wg_segment(&plan->peers[plan->n_peers++], &plan->arena, t, plan->node,
				    &t->segments[i], true))
			return -1;
	}
	for (i = 0; i < t->n_peers; i++)
		kwgi_wg_peer(&plan->peers[plan->n_peers++], t, plan->node, &t->peers[i]);
	for (i = 0; i < plan->n_peers; i++)
		plan->peers[i].keepalive = plan->node->keepalive;
	return kwgi_wg_settle(plan->peers, plan->n_peers, &plan->arena, &plan->diags);
}

/* ---- routes that fight ----------------------------------------------- */

static bool same_way(const struct kwgi_route *a, const struct kwgi_route *b)
{
	return kwgi_addr_equal(&a->gw, &b->gw) && kwgi_addr_equal(&a->src, &b->src) &&
	       a->role == b->role;
}

static int by_destination(const void *a, const void *b)
{
	const struct kwgi_route *x = *(struct kwgi_route *const *)a;
	const struct kwgi_route *y = *(struct kwgi_route *const *)b;
	int c;

	if (x->in_table != y->in_table)
		return x->in_table ? 1 : -1;
	c = kwgi_prefix_cmp(&x->dst, &y->dst);
	return c ? c : x < y ? -1 : x > y;
}

/*
 * A kernel table holds one route to a destination. Of several in the list the
 * last one stays, as with allowed IPs: so the route and the WireGuard peer
 * behind it are of the same segment. (Kilo installs them by turns.)
 */
int kwgi_routes_settle(struct kwgi_arena *a, struct kwgi_route *routes, uint32_t *n,
		       struct kwgi_diags *d)
{
	struct kwgi_route **sorted = kwgi_arena_alloc(a, *n + 1u, sizeof(*sorted));
	char text[KWGI_PREFIX_TEXT];
	uint32_t i, kept = 0;

	if (!sorted)
		return -1;
	for (i = 0; i < *n; i++)
		sorted[i] = &routes[i];
	if (*n)
		qsort(sorted, *n, sizeof(struct kwgi_route *), by_destination);
	for (i = 0; i + 1 < *n; i++) {
		if (sorted[i]->in_table != sorted[i + 1]->in_table ||
		    !kwgi_prefix_equal(&sorted[i]->dst, &sorted[i + 1]->dst))
			continue;
		if (!same_way(sorted[i], sorted[i + 1]))
			kwgi_diags_add(d, KWG_WARNING, (struct kwgi_place){ 0 }, "",
				       "two routes to %s are wanted; the last one is kept",
				       kwgi_prefix_format(text, &sorted[i]->dst));
		sorted[i]->role = KWGI_N_ROLES;	/* marks it as gone */
	}
	for (i = 0; i < *n; i++)
		if (routes[i].role != KWGI_N_ROLES)
			routes[kept++] = routes[i];
	*n = kept;
	return 0;
}

/* ---- the whole ------------------------------------------------------- */

static uint32_t listen_port(const struct kwg_plan *plan)
{
	const struct kwg_config *cfg = plan->cfg;
	const char *local = cfg->local.node;

	/* [local] speaks for this host only. */
	if (cfg->local.port && (!local || !strcmp(local, plan->node->name)))
		return cfg->local.port;
	if (cfg->mesh.port != KWGI_PORT_OF_ENDPOINT)
		return cfg->mesh.port;
	return plan->node->endpoint.port ? plan->node->endpoint.port : KWGI_DEFAULT_PORT;
}

static bool has_private_ip(const struct kwgi_segment *s, const struct kwgi_addr *a)
{
	uint32_t i;

	for (i = 0; s->has_private_ips && i < s->n; i++)
		if (kwgi_addr_equal(&s->members[i]->internal_ip.addr, a))
			return true;
	return false;
}

bool kwgi_plan_is_changed_by(const struct kwg_plan *plan, const struct kwgi_endpoint *found)
{
	const struct kwgi_segment *s;
	uint32_t i;

	for (i = 0; plan->leader && i < plan->topo->n_segments; i++) {
		s = &plan->topo->segments[i];
		if (s != plan->segment && found[peer_of(plan, s)].port &&
		    has_private_ip(s, &found[peer_of(plan, s)].addr))
			return true;
	}
	return false;
}

static int no_such_node(const struct kwg_config *cfg, const char *name, struct kwg_error *err)
{
	char at[KWGI_PLACE_TEXT];
	uint32_t i;

	for (i = 0; i < cfg->n_nodes; i++)
		if (!strcmp(cfg->nodes[i].name, name))
			return kwgi_fail(err, KWG_ERR_USAGE, 0,
					 "node \"%.100s\" (%s) takes no part: it needs %s", name,
					 kwgi_diags_place(&cfg->diags, at, cfg->nodes[i].at),
					 kwgi_mesh_requires(kwgi_mesh_is_strict(cfg)));
	return kwgi_fail(err, KWG_ERR_USAGE, 0,
			 "there is no node \"%.253s\" that takes part; the file has %u that do",
			 name, cfg->topology->n_nodes);
}

int kwgi_plan_build(struct kwg_plan *plan, const struct kwg_config *cfg, const char *node,
		    struct kwg_error *err)
{
	return kwgi_plan_build_found(plan, cfg, node, NULL, err);
}

int kwgi_plan_build_found(struct kwg_plan *plan, const struct kwg_config *cfg, const char *node,
			  const struct kwgi_endpoint *found, struct kwg_error *err)
{
	const struct kwgi_topology *t = cfg->topology;
	uint32_t i;

	if (!t || cfg->diags.errors)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "the configuration has errors");
	i = kwgi_topology_find(t, node);
	if (i == UINT32_MAX)
		return no_such_node(cfg, node, err);
	plan->cfg = cfg;
	plan->topo = t;
	plan->diags.arena = &plan->arena;
	plan->node = t->nodes[i];
	plan->segment_index = t->segment_of[i];
	plan->segment = &t->segments[plan->segment_index];
	plan->leader = plan->segment->leader == plan->node;
	plan->wg_cidr = cfg->mesh.subnet;
	if (plan->leader)
		plan->wg_cidr.addr = plan->segment->wg_ip;
	plan->port = listen_port(plan);
	plan->found = found;
	kwgi_plan_set_tunnel_address(plan);

	if ((plan->leader && build_peers(plan)) ||
	    (plan->leader ? build_leader_routes(plan) : build_follower_routes(plan)) ||
	    kwgi_routes_settle(&plan->arena, plan->routes, &plan->n_routes, &plan->diags) ||
	    kwgi_plan_close(plan) || kwgi_firewall_build(plan) || plan->diags.failed)
		return kwgi_nomem(err);
	plan->found = NULL;
	kwgi_diags_finish(&plan->diags);
	return 0;
}
