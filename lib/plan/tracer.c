/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "plan/tracer.h"

/* ---- what they are made of ------------------------------------------- */

static int add_network(struct kwgi_view *v, const struct kwgi_prefix *p, uint32_t value)
{
	if (!p->addr.family)
		return 0;
	return kwgi_prefixset_add(&v->main, &v->arena, p, value);
}

static int add_routes(struct kwgi_view *v)
{
	const struct kwg_plan *plan = &v->plan;
	const struct kwgi_cidrs *pods = &plan->node->pod_cidrs;
	uint32_t i;

	for (i = 0; i < plan->n_routes; i++)
		if (kwgi_prefixset_add(plan->routes[i].in_table ? &v->table : &v->main, &v->arena,
				       &plan->routes[i].dst, i))
			return -1;
	for (i = 0; i < pods->n; i++)
		if (add_network(v, &pods->v[i].prefix, IN_PODS))
			return -1;
	if (kwgi_node_has_private_ip(plan->node) && add_network(v, &plan->node->internal_ip, IN_LINK))
		return -1;
	return plan->leader ? add_network(v, &plan->wg_cidr, IN_SUBNET) : 0;
}

static int add_allowed(struct kwgi_view *v, uint32_t n_peers)
{
	uint32_t i, j;

	for (i = 0; i < n_peers; i++)
		for (j = 0; j < v->peers[i].allowed_ips.n; j++)
			if (kwgi_prefixset_add(&v->allowed, &v->arena, &v->peers[i].allowed_ips.v[j], i))
				return -1;
	return 0;
}

static bool says_known(const struct kwgi_fw_rule *r)
{
	return !kwgi_fw_is_of_default(r) &&
	       (r->kind == KWGI_FW_NAT_SERVICE || r->kind == KWGI_FW_NAT_WIREGUARD ||
		r->kind == KWGI_FW_NAT_KNOWN || r->kind == KWGI_FW_NAT_PEER);
}

static int add_firewall(struct kwgi_view *v)
{
	const struct kwgi_fw_list *nat = &v->plan.nat;
	const struct kwgi_fw_rules *tunnel = &v->plan.tunl_fw.prepend;
	uint32_t i;

	for (i = 0; i < nat->append.n; i++)
		if (says_known(&nat->append.v[i]) &&
		    kwgi_prefixset_add(&v->known, &v->arena, &nat->append.v[i].net, 0))
			return -1;
	for (i = 0; i < nat->prepend.n; i++)
		if (says_known(&nat->prepend.v[i]) &&
		    kwgi_prefixset_add(&v->known, &v->arena, &nat->prepend.v[i].net, 0))
			return -1;
	for (i = 0; i < tunnel->n; i++)
		if (kwgi_prefixset_add(&v->tunnel, &v->arena, &tunnel->v[i].net, 0))
			return -1;
	return 0;
}

static int add_gateway(struct kwgi_view *v, const struct kwgi_addr *a, uint32_t member)
{
	struct kwgi_prefix host = kwgi_prefix_host(a);

	return a->family ? kwgi_prefixset_add(&v->gateways, &v->arena, &host, member) : 0;
}

static int add_gateways(struct kwgi_view *v)
{
	const struct kwg_plan *plan = &v->plan;
	const struct kwgi_segment *s = plan->segment;
	uint32_t i, j;

	for (i = 0; i < s->n; i++) {
		const struct kwgi_node *m = s->members[i];
		struct kwgi_addr v4 = kwgi_plan_tunnel_gateway(plan, m, KWGI_AF_V4);
		struct kwgi_addr v6 = kwgi_plan_tunnel_gateway(plan, m, KWGI_AF_V6);

		if (m == plan->node)
			continue;
		/* Another CNI leads to the pods of its location. */
		for (j = 0; !plan->cfg->local.manage_local_routes && j < m->pod_cidrs.n; j++)
			if (kwgi_prefixset_add(&v->gateways, &v->arena, &m->pod_cidrs.v[j].prefix, i))
				return -1;
		if ((kwgi_node_has_private_ip(m) && add_gateway(v, &m->internal_ip.addr, i)) ||
		    add_gateway(v, &v4, i) || add_gateway(v, &v6, i))
			return -1;
	}
	return 0;
}

static void free_view(struct kwgi_view *v)
{
	if (!v)
		return;
	kwgi_arena_free(&v->plan.arena);
	kwgi_arena_free(&v->outside.arena);
	kwgi_arena_free(&v->arena);
	free(v);
}

static void build_sets(struct kwgi_view *v)
{
	kwgi_prefixset_build(&v->main);
	kwgi_prefixset_build(&v->table);
	kwgi_prefixset_build(&v->allowed);
	kwgi_prefixset_build(&v->known);
	kwgi_prefixset_build(&v->gateways);
	kwgi_prefixset_build(&v->tunnel);
}

/* Where all of them fit. */
static bool begin_set(struct kwgi_view *v, struct kwgi_prefixset *s, uint32_t n)
{
	s->v = kwgi_arena_alloc(&v->arena, n + 1u, sizeof(*s->v));
	s->cap = n + 1u;
	return s->v;
}

static bool begin_sets(struct kwgi_view *v)
{
	const struct kwg_plan *plan = &v->plan;
	uint32_t i, n = 0;

	for (i = 0; i < plan->n_peers; i++)
		n += plan->peers[i].allowed_ips.n;
	return begin_set(v, &v->main, plan->n_routes + plan->node->pod_cidrs.n + 2) &&
	       begin_set(v, &v->allowed, n) &&
	       begin_set(v, &v->known, plan->nat.prepend.n + plan->nat.append.n);
}

static struct kwgi_view *new_view_of_node(const struct kwgi_tracer *t, const struct kwgi_node *n)
{
	struct kwgi_view *v = calloc(1, sizeof(*v));
	struct kwg_error err;

	if (!v || kwgi_plan_build(&v->plan, t->cfg, n->name, &err) || !begin_sets(v))
		goto fail;
	v->peers = v->plan.peers;
	if (add_routes(v) || add_allowed(v, v->plan.n_peers) || add_firewall(v) || add_gateways(v))
		goto fail;
	return v;
fail:
	free_view(v);
	return NULL;
}

static struct kwgi_view *new_view_of_peer(const struct kwgi_tracer *t, const struct kwgi_mesh_peer *p)
{
	struct kwgi_view *v = calloc(1, sizeof(*v));

	if (!v || kwgi_peer_view_build(&v->outside, t->topo, t->topo->segments[0].leader, p, NULL, 0))
		goto fail;
	v->peers = v->outside.peers;
	if (add_allowed(v, v->outside.n_peers))
		goto fail;
	return v;
fail:
	free_view(v);
	return NULL;
}

struct kwgi_view *kwgi_view_at(const struct kwgi_tracer *t, uint32_t place)
{
	struct kwgi_view *v = t->views[place];

	if (v)
		return v;
	v = place < t->topo->n_nodes ? new_view_of_node(t, t->topo->nodes[place])
				     : new_view_of_peer(t, &t->topo->peers[place - t->topo->n_nodes]);
	if (v)
		build_sets(v);
	t->views[place] = v;
	return v;
}

uint32_t kwgi_tracer_place(const struct kwgi_tracer *t, const struct kwgi_node *n, const struct kwgi_mesh_peer *p)
{
	return n ? t->places[n - t->cfg->nodes] : t->topo->n_nodes + (uint32_t)(p - t->topo->peers);
}

struct kwgi_view *kwgi_view_of_node(const struct kwgi_tracer *t, const struct kwgi_node *n)
{
	return kwgi_view_at(t, kwgi_tracer_place(t, n, NULL));
}

struct kwgi_view *kwgi_view_of_peer(const struct kwgi_tracer *t, const struct kwgi_mesh_peer *p)
{
	return kwgi_view_at(t, kwgi_tracer_place(t, NULL, p));
}

int kwgi_tracer_init(struct kwgi_tracer *t, const struct kwg_config *cfg)
{
	const struct kwgi_topology *topo = cfg->topology;
	uint32_t i;

	*t = (struct kwgi_tracer){ .cfg = cfg, .topo = topo };
	t->views = calloc(topo->n_nodes + (size_t)topo->n_peers + 1, sizeof(struct kwgi_view *));
	t->places = calloc(cfg->n_nodes + (size_t)1, sizeof(*t->places));
	if (!t->views || !t->places)
		return -1;
	for (i = 0; i < topo->n_nodes; i++)
		t->places[topo->nodes[i] - cfg->nodes] = i;
	return 0;
}

void kwgi_tracer_free(struct kwgi_tracer *t)
{
	uint32_t i;

	for (i = 0; t->views && i < t->topo->n_nodes + t->topo->n_peers; i++)
		free_view(t->views[i]);
	free(t->views);
	free(t->places);
}

void kwgi_tracer_forget(struct kwgi_tracer *t, uint32_t place)
{
	free_view(t->views[place]);
	t->views[place] = NULL;
}

const struct kwg_plan *kwgi_tracer_plan(struct kwgi_tracer *t, const struct kwgi_node *n)
{
	struct kwgi_view *v = kwgi_view_of_node(t, n);

	return v ? &v->plan : NULL;
}

/* ---- questions ------------------------------------------------------- */

uint32_t kwgi_view_lookup(const struct kwgi_prefixset *s, const struct kwgi_addr *a)
{
	uint32_t i = kwgi_prefixset_lookup(s, a);

	return i == KWGI_NO_ITEM ? KWGI_NO_ITEM : s->v[i].value;
}

bool kwgi_view_has_address(const struct kwgi_node *n, const struct kwgi_addr *a)
{
	return (kwgi_node_has_private_ip(n) && kwgi_addr_equal(&n->internal_ip.addr, a)) ||
	       (n->endpoint.port && !n->endpoint.host && kwgi_addr_equal(&n->endpoint.addr, a)) ||
	       (n->endpoint_address.family && kwgi_addr_equal(&n->endpoint_address, a));
}
