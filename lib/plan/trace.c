/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

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

/* A packet under way. */
struct packet {
	const struct kwgi_trace *back;	/* what it answers */
	const struct kwgi_end *from, *to;
	const struct kwgi_node *at;	/* NULL: at the peer */
	const struct kwgi_mesh_peer *peer;
	struct kwgi_addr src, dst;
	bool from_kilo, started;
};

/* ---- views ----------------------------------------------------------- */

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

static struct kwgi_view *view_at(const struct kwgi_tracer *t, uint32_t place)
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

static struct kwgi_view *view(const struct kwgi_tracer *t, const struct kwgi_node *n)
{
	return view_at(t, kwgi_tracer_place(t, n, NULL));
}

static struct kwgi_view *view_of_peer(const struct kwgi_tracer *t, const struct kwgi_mesh_peer *p)
{
	return view_at(t, kwgi_tracer_place(t, NULL, p));
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
	struct kwgi_view *v = view(t, n);

	return v ? &v->plan : NULL;
}

/* ---- whose ----------------------------------------------------------- */

static bool has_address(const struct kwgi_node *n, const struct kwgi_addr *a)
{
	return (kwgi_node_has_private_ip(n) && kwgi_addr_equal(&n->internal_ip.addr, a)) ||
	       (n->endpoint.port && !n->endpoint.host && kwgi_addr_equal(&n->endpoint.addr, a)) ||
	       (n->endpoint_address.family && kwgi_addr_equal(&n->endpoint_address, a));
}

/* The smallest network around the address so far. */
struct closest {
	const struct kwgi_addr *a;
	struct kwgi_end end;
	unsigned bits;			/* of it, and one more; 0: none yet */
};

static void look_at(struct closest *c, const struct kwgi_prefix *p, struct kwgi_end end)
{
	if (!kwgi_prefix_contains(p, c->a) || p->len + 1u < c->bits)
		return;
	end.addr = *c->a;
	c->end = end;
	c->bits = p->len + 1u;
}

static void look_at_segment(struct closest *c, const struct kwgi_segment *s)
{
	struct kwgi_prefix host = kwgi_prefix_host(&s->wg_ip);
	uint32_t i, j;

	look_at(c, &host, (struct kwgi_end){ .kind = KWGI_END_NODE, .node = s->leader });
	for (i = 0; i < s->location_ips.n; i++)
		look_at(c, &s->location_ips.v[i],
			(struct kwgi_end){ .kind = KWGI_END_SITE, .node = s->leader });
	host = kwgi_prefix_host(c->a);
	for (i = 0; i < s->n; i++) {
		const struct kwgi_node *m = s->members[i];

		for (j = 0; j < m->pod_cidrs.n; j++)
			look_at(c, &m->pod_cidrs.v[j].prefix,
				(struct kwgi_end){ .kind = KWGI_END_POD, .node = m });
		if (has_address(m, c->a))
			look_at(c, &host, (struct kwgi_end){ .kind = KWGI_END_NODE, .node = m });
	}
}

struct kwgi_end kwgi_trace_whose(struct kwgi_tracer *t, const struct kwgi_addr *a)
{
	struct closest c = { .a = a, .end = { .kind = KWGI_END_OUTSIDE, .addr = *a } };
	uint32_t i, j;

	for (i = 0; i < t->topo->n_peers; i++)
		for (j = 0; j < t->topo->peers[i].allowed_ips.n; j++)
			look_at(&c, &t->topo->peers[i].allowed_ips.v[j],
				(struct kwgi_end){ .kind = KWGI_END_PEER, .peer = &t->topo->peers[i] });
	for (i = 0; i < t->topo->n_segments; i++)
		look_at_segment(&c, &t->topo->segments[i]);
	return c.end;
}

/* Of a network the first address that a host may have. */
static struct kwgi_addr host_in(const struct kwgi_prefix *p)
{
	struct kwgi_addr a = p->addr;

	if (p->len + 1u < kwgi_addr_bits(&a) && !kwgi_prefix_has_host_bits(p) &&
	    !kwgi_addr_add(&a, &p->addr, 2))
		a = p->addr;
	return a;
}

static const struct kwgi_segment *segment_of(const struct kwgi_tracer *t, const struct kwgi_node *n)
{
	return &t->topo->segments[t->topo->segment_of[kwgi_tracer_place(t, n, NULL)]];
}

static struct kwgi_addr address_of_node(const struct kwgi_tracer *t, const struct kwgi_node *n, uint8_t family)
{
	const struct kwgi_segment *s = segment_of(t, n);

	if (kwgi_node_has_private_ip(n) && n->internal_ip.addr.family == family)
		return n->internal_ip.addr;
	if (s->leader == n && s->wg_ip.family == family)
		return s->wg_ip;
	return (struct kwgi_addr){ 0 };
}

static struct kwgi_addr first_of(const struct kwgi_prefix *v, uint32_t n, uint8_t family)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (v[i].addr.family == family)
			return host_in(&v[i]);
	return (struct kwgi_addr){ 0 };
}

struct kwgi_addr kwgi_trace_address(const struct kwgi_tracer *t, const struct kwgi_end *e, uint8_t family)
{
	uint32_t i;

	if (e->addr.family)
		return e->addr.family == family ? e->addr : (struct kwgi_addr){ 0 };
	switch (e->kind) {
	case KWGI_END_NODE:
		return address_of_node(t, e->node, family);
	case KWGI_END_POD:
		for (i = 0; i < e->node->pod_cidrs.n; i++)
			if (e->node->pod_cidrs.v[i].prefix.addr.family == family)
				return host_in(&e->node->pod_cidrs.v[i].prefix);
		break;
	case KWGI_END_SITE:
		return first_of(segment_of(t, e->node)->location_ips.v, segment_of(t, e->node)->location_ips.n,
				family);
	case KWGI_END_PEER:
		return first_of(e->peer->allowed_ips.v, e->peer->allowed_ips.n, family);
	case KWGI_END_OUTSIDE:
		break;
	}
	return (struct kwgi_addr){ 0 };
}

/* ---- one node -------------------------------------------------------- */

/* The value of the smallest network around the address; KWGI_NO_ITEM: there is none. */
static uint32_t lookup(const struct kwgi_prefixset *s, const struct kwgi_addr *a)
{
	uint32_t i = kwgi_prefixset_lookup(s, a);

	return i == KWGI_NO_ITEM ? KWGI_NO_ITEM : s->v[i].value;
}

static bool is_local(const struct kwgi_view *v, const struct kwgi_addr *a)
{
	const struct kwg_plan *plan = &v->plan;

	return has_address(plan->node, a) || (plan->leader && kwgi_addr_equal(&plan->wg_cidr.addr, a)) ||
	       (plan->tunl_addr.addr.family && kwgi_addr_equal(&plan->tunl_addr.addr, a));
}

static const struct kwgi_rule *find_rule(const struct kwgi_view *v, const struct packet *p)
{
	uint32_t i;

	for (i = 0; i < v->plan.n_rules; i++) {
		const struct kwgi_rule *r = &v->plan.rules[i];

		if ((!r->iif_kilo || p->from_kilo) && kwgi_prefix_contains(&r->dst, &p->dst) &&
		    (!r->src.addr.family || (p->src.family && kwgi_prefix_contains(&r->src, &p->src))))
			return r;
	}
	return NULL;
}

static const enum kwgi_via ways[KWGI_N_ROLES] = {
	[KWGI_ROLE_KILO] = KWGI_VIA_WIREGUARD,
	[KWGI_ROLE_PRIV] = KWGI_VIA_LINK,
	[KWGI_ROLE_TUNL] = KWGI_VIA_TUNNEL,
};

/* Where routes lead: hop->via, and rule and route. True: to one of the node's own pods. */
static bool find_way(const struct kwgi_view *v, const struct packet *p, struct kwgi_hop *hop)
{
	uint32_t i = KWGI_NO_ITEM;

	hop->rule = v->table.n ? find_rule(v, p) : NULL;
	if (hop->rule)
		i = lookup(&v->table, &p->dst);
	if (i == KWGI_NO_ITEM) {
		hop->rule = NULL;
		i = lookup(&v->main, &p->dst);
	}
	switch (i) {
	case IN_PODS:
		return true;
	case IN_LINK:
		hop->via = KWGI_VIA_LINK;
		return false;
	case IN_SUBNET:
		hop->via = KWGI_VIA_WIREGUARD;
		return false;
	case KWGI_NO_ITEM:
		hop->via = KWGI_VIA_HOST;
		return false;
	default:
		hop->route = &v->plan.routes[i];
		hop->via = ways[hop->route->role];
		return false;
	}
}

/* The address that the host has where the packet leaves. */
static struct kwgi_addr address_there(const struct kwgi_view *v, const struct kwgi_hop *hop)
{
	const struct kwg_plan *plan = &v->plan;

	if (hop->via == KWGI_VIA_WIREGUARD && plan->leader)
		return plan->wg_cidr.addr;
	if (hop->via == KWGI_VIA_TUNNEL && plan->tunl_addr.addr.family)
		return plan->tunl_addr.addr;
	if (kwgi_node_has_private_ip(plan->node))
		return plan->node->internal_ip.addr;
	if (plan->node->endpoint.port && !plan->node->endpoint.host)
		return plan->node->endpoint.addr;
	return plan->node->endpoint_address;
}

static bool was_there(const struct kwgi_trace *back, const struct kwgi_node *n)
{
	uint32_t i;

	for (i = 0; back && i < back->n; i++)
		if (back->hops[i].node == n)
			return true;
	return false;
}

/* Is there a rule of the plan that sends the packet to the chain? */
static bool is_asked_about(const struct kwgi_view *v, const struct packet *p)
{
	const struct kwgi_fw_rules *list = &v->plan.nat.prepend;
	uint32_t i;

	for (i = 0; i < list->n; i++) {
		const struct kwgi_fw_rule *r = &list->v[i];

		if (kwgi_fw_is_of_default(r))
			continue;
		if ((r->kind == KWGI_FW_NAT_JUMP_POD || r->kind == KWGI_FW_NAT_JUMP_SRC) &&
		    kwgi_prefix_contains(&r->net, &p->src))
			return true;
		if (r->kind == KWGI_FW_NAT_JUMP_DST && kwgi_prefix_contains(&r->net, &p->dst))
			return true;
	}
	return false;
}

/* Connection tracking asks for the first packet of a connection only. */
static void masquerade(const struct kwgi_view *v, struct packet *p, struct kwgi_hop *hop)
{
	struct kwgi_addr own = address_there(v, hop);

	if (was_there(p->back, p->at) || lookup(&v->known, &p->dst) != KWGI_NO_ITEM ||
	    own.family != p->src.family || kwgi_addr_equal(&own, &p->src) || !is_asked_about(v, p))
		return;
	hop->masqueraded = p->src;
	p->src = own;
}

static void restore(struct packet *p, struct kwgi_hop *hop)
{
	uint32_t i;

	for (i = p->back ? p->back->n : 0; i-- > 0;) {
		const struct kwgi_hop *h = &p->back->hops[i];

		if (h->node != p->at || !h->masqueraded.family || !kwgi_addr_equal(&h->src, &p->dst))
			continue;
		hop->restored = p->dst;
		p->dst = h->masqueraded;
	}
}

static void choose_source(const struct kwgi_view *v, struct packet *p, const struct kwgi_hop *hop)
{
	if (p->src.family)
		return;
	p->src = hop->route && hop->route->src.family ? hop->route->src : address_there(v, hop);
	if (p->src.family != p->dst.family && v->plan.leader)
		p->src = v->plan.wg_cidr.addr;
}

/* ---- WireGuard ------------------------------------------------------- */

/* In plan->peers: all segments but its own, then all peers. */
static uint32_t index_of_segment(const struct kwg_plan *plan, uint32_t segment)
{
	return segment > plan->segment_index ? segment - 1 : segment;
}

/* How the receiver, a leader, knows the sender. */
static uint32_t index_at_leader(const struct kwgi_tracer *t, const struct kwgi_view *receiver,
				const struct packet *p, const struct kwgi_view *sender)
{
	if (p->at)
		return index_of_segment(&receiver->plan, sender->plan.segment_index);
	return t->topo->n_segments - 1 + (uint32_t)(p->peer - t->topo->peers);
}

/* How the receiver, an outside peer, knows the sender. */
static uint32_t index_at_peer(const struct kwgi_tracer *t, const struct kwgi_mesh_peer *receiver,
			      const struct packet *p, const struct kwgi_view *sender)
{
	uint32_t own = (uint32_t)(receiver - t->topo->peers), other;

	if (p->at)
		return sender->plan.segment_index;
	other = (uint32_t)(p->peer - t->topo->peers);
	return t->topo->n_segments + (other > own ? other - 1 : other);
}

static const struct kwgi_mesh_peer *mesh_peer(const struct kwgi_tracer *t, const struct kwgi_peer *p)
{
	uint32_t i;

	for (i = 0; i < t->topo->n_peers; i++)
		if (t->topo->peers[i].peer == p)
			return &t->topo->peers[i];
	return NULL;
}

/* Through WireGuard, from sender; 1: it goes on at p->at or p->peer; 0: it ends; -1. */
static int through_wireguard(const struct kwgi_tracer *t, const struct kwgi_view *sender, struct packet *p,
			     struct kwgi_hop *hop, struct kwgi_trace *out)
{
	const struct kwgi_mesh_peer *peer = NULL;
	const struct kwgi_view *receiver;
	uint32_t i = lookup(&sender->allowed, &p->dst), known, expected;

	out->stop = KWGI_STOP_NO_PEER;
	if (i == KWGI_NO_ITEM)
		return 0;
	hop->wg = &sender->peers[i];
	if (!hop->wg->is_segment)
		peer = mesh_peer(t, hop->wg->peer);
	receiver = peer ? view_of_peer(t, peer) : view(t, hop->wg->node);
	if (!receiver)
		return -1;
	known = peer ? index_at_peer(t, peer, p, sender) : index_at_leader(t, receiver, p, sender);
	out->stop = KWGI_STOP_ENDPOINT;
	if (!hop->wg->endpoint.port && !receiver->peers[known].endpoint.port)
		return 0;
	expected = lookup(&receiver->allowed, &p->src);
	out->stop = KWGI_STOP_SOURCE;
	out->expected = expected == KWGI_NO_ITEM ? NULL : receiver->peers[expected].name;
	if (expected != known)
		return 0;
	p->at = peer ? NULL : hop->wg->node;
	p->peer = peer;
	p->from_kilo = true;
	return 1;
}

/* ---- the way --------------------------------------------------------- */

static bool is_site(const struct kwg_plan *plan, const struct kwgi_addr *a)
{
	uint32_t i;

	for (i = 0; i < plan->segment->location_ips.n; i++)
		if (kwgi_prefix_contains(&plan->segment->location_ips.v[i], a))
			return true;
	return false;
}

/* A gateway that is no neighbour answers no ARP. Of a network of one address nothing is known. */
static bool is_far(const struct kwgi_view *v, const struct kwgi_hop *hop)
{
	const struct kwgi_prefix *own = &v->plan.node->internal_ip;

	return hop->via == KWGI_VIA_LINK && hop->route && hop->route->gw.family &&
	       own->len < kwgi_addr_bits(&own->addr) && !kwgi_prefix_contains(own, &hop->route->gw);
}

/* To another node of the location, by the address of the gateway or its own; as through_wireguard(). */
static int over_link(const struct kwgi_tracer *t, const struct kwgi_view *v, struct packet *p,
		     struct kwgi_hop *hop, struct kwgi_trace *out)
{
	const struct kwgi_addr *next = hop->route && hop->route->gw.family ? &hop->route->gw : &p->dst;
	uint32_t i = lookup(&v->gateways, next);
	const struct kwgi_view *receiver;
	const struct kwgi_node *m;

	if (i == KWGI_NO_ITEM) {
		/* Another host of that network, which is none of ours. */
		out->stop = hop->route ? KWGI_STOP_GATEWAY
			    : is_site(&v->plan, &p->dst) ? KWGI_STOP_ARRIVED : KWGI_STOP_LEFT;
		out->end = (struct kwgi_end){ .kind = is_site(&v->plan, &p->dst) ? KWGI_END_SITE : KWGI_END_OUTSIDE,
					      .node = v->plan.segment->leader, .addr = p->dst };
		return 0;
	}
	out->stop = KWGI_STOP_GATEWAY;
	if (is_far(v, hop))
		return 0;
	m = v->plan.segment->members[i];
	receiver = view(t, m);
	if (!receiver)
		return -1;
	out->stop = KWGI_STOP_TUNNEL;
	if (hop->via == KWGI_VIA_TUNNEL && receiver->plan.tunl_fw.append.n &&
	    lookup(&receiver->tunnel, &p->at->internal_ip.addr) == KWGI_NO_ITEM)
		return 0;
	p->at = m;
	p->from_kilo = false;
	return 1;
}

static const struct kwgi_node *who_has(const struct kwgi_tracer *t, const struct kwgi_addr *a)
{
	uint32_t i;

	for (i = 0; i < t->topo->n_nodes; i++)
		if (has_address(t->topo->nodes[i], a))
			return t->topo->nodes[i];
	return NULL;
}

/*
 * By routes that the mesh has not made: to a member over the networks of its location, to what is
 * behind it, or to an address to which WireGuard itself sends.
 */
static int by_host(const struct kwgi_tracer *t, const struct kwgi_view *v, struct packet *p,
		   struct kwgi_trace *out)
{
	uint32_t i = lookup(&v->gateways, &p->dst);
	const struct kwgi_node *n = i == KWGI_NO_ITEM ? NULL : v->plan.segment->members[i];

	if (!n && is_site(&v->plan, &p->dst)) {
		out->stop = KWGI_STOP_ARRIVED;
		out->end = (struct kwgi_end){ .kind = KWGI_END_SITE, .node = v->plan.segment->leader,
					      .addr = p->dst };
		return 0;
	}
	if (!n)
		n = who_has(t, &p->dst);
	out->stop = KWGI_STOP_LEFT;
	out->end = (struct kwgi_end){ .kind = KWGI_END_OUTSIDE, .addr = p->dst };
	if (!n)
		return 0;
	p->at = n;
	p->from_kilo = false;
	return 1;
}

static int at_node(const struct kwgi_tracer *t, struct packet *p, struct kwgi_hop *hop, struct kwgi_trace *out)
{
	const struct kwgi_view *v = view(t, p->at);
	bool to_pod;

	if (!v)
		return -1;
	restore(p, hop);
	hop->dst = p->dst;
	out->stop = KWGI_STOP_ARRIVED;
	if (is_local(v, &p->dst)) {
		hop->src = p->src;
		out->end = (struct kwgi_end){ .kind = KWGI_END_NODE, .node = p->at, .addr = p->dst };
		return 0;
	}
	to_pod = find_way(v, p, hop);
	choose_source(v, p, hop);
	hop->src = p->src;
	if (to_pod) {
		out->end = (struct kwgi_end){ .kind = KWGI_END_POD, .node = p->at, .addr = p->dst };
		return 0;
	}
	out->stop = KWGI_STOP_FAMILY;
	if (p->src.family != p->dst.family)
		return 0;
	masquerade(v, p, hop);
	hop->src = p->src;
	switch (hop->via) {
	case KWGI_VIA_WIREGUARD:
		return through_wireguard(t, v, p, hop, out);
	case KWGI_VIA_LINK:
	case KWGI_VIA_TUNNEL:
		return over_link(t, v, p, hop, out);
	case KWGI_VIA_HOST:
	case KWGI_VIA_NOTHING:
		break;
	}
	return by_host(t, v, p, out);
}

static int at_peer(const struct kwgi_tracer *t, struct packet *p, struct kwgi_hop *hop, struct kwgi_trace *out)
{
	const struct kwgi_view *v = view_of_peer(t, p->peer);

	if (!v)
		return -1;
	hop->src = p->src;
	hop->dst = p->dst;
	if (p->started) {
		out->stop = KWGI_STOP_ARRIVED;
		out->end = (struct kwgi_end){ .kind = KWGI_END_PEER, .peer = p->peer, .addr = p->dst };
		return 0;
	}
	out->stop = KWGI_STOP_FAMILY;
	if (p->src.family != p->dst.family)
		return 0;
	hop->via = KWGI_VIA_WIREGUARD;
	return through_wireguard(t, v, p, hop, out);
}

/* Has it come to where it was to go? */
static bool is_meant(const struct kwgi_end *meant, const struct kwgi_end *end)
{
	if (meant->kind == KWGI_END_PEER)
		return end->kind == KWGI_END_PEER && end->peer == meant->peer;
	if (meant->kind == KWGI_END_OUTSIDE)
		return true;
	return end->kind == meant->kind && end->node == meant->node;
}

static int trace(const struct kwgi_tracer *t, struct packet *p, struct kwgi_trace *out)
{
	int more = 1;

	while (more > 0) {
		struct kwgi_hop *hop = &out->hops[out->n];

		if (out->n == KWGI_MAX_HOPS) {
			out->stop = KWGI_STOP_LOOP;
			return 0;
		}
		out->n++;
		*hop = (struct kwgi_hop){ .node = p->at, .peer = p->at ? NULL : p->peer };
		more = p->at ? at_node(t, p, hop, out) : at_peer(t, p, hop, out);
		p->started = true;
	}
	if (!more && out->stop == KWGI_STOP_ARRIVED && !is_meant(p->to, &out->end))
		out->stop = KWGI_STOP_ELSEWHERE;
	return more;
}

int kwgi_trace(struct kwgi_tracer *t, const struct kwgi_end *from, const struct kwgi_end *to,
	       const struct kwgi_trace *back, struct kwgi_trace *out)
{
	struct packet p = { .back = back, .from = from, .to = to, .at = from->node, .peer = from->peer,
			    .dst = to->addr, .src = from->addr };

	out->n = 0;
	out->expected = NULL;
	return trace(t, &p, out);
}

int kwgi_trace_answer(struct kwgi_tracer *t, const struct kwgi_end *from, const struct kwgi_trace *there,
		      struct kwgi_trace *out)
{
	const struct kwgi_hop *last = &there->hops[there->n - 1];
	struct kwgi_end sender = there->end, to = *from;

	/* From the address that was asked, to what that saw as the source. */
	sender.addr = last->dst;
	to.addr = last->src;
	return kwgi_trace(t, &sender, &to, there, out);
}

/* ---- for many packets ------------------------------------------------ */

static uint32_t place_of_wg(const struct kwgi_tracer *t, const struct kwgi_wg_peer *wg)
{
	return kwgi_tracer_place(t, wg->node, wg->is_segment ? NULL : mesh_peer(t, wg->peer));
}

/* Does a policy rule choose by more than the destination? */
static bool has_rule_for(const struct kwgi_view *v, const struct kwgi_addr *dst)
{
	uint32_t i;

	for (i = 0; i < v->plan.n_rules; i++)
		if (kwgi_prefix_contains(&v->plan.rules[i].dst, dst))
			return true;
	return false;
}

static void decide_wireguard(const struct kwgi_tracer *t, const struct kwgi_view *v, uint32_t place,
			     const struct kwgi_addr *dst, struct kwgi_decision *out)
{
	uint32_t i = lookup(&v->allowed, dst);
	bool own;

	out->via = KWGI_VIA_WIREGUARD;
	if (i == KWGI_NO_ITEM)
		return;
	out->next = place_of_wg(t, &v->peers[i]);
	/* All have the endpoint that the files give. */
	own = place < t->topo->n_nodes ? v->plan.node->endpoint.port
				       : t->topo->peers[place - t->topo->n_nodes].peer->endpoint.port;
	out->has_endpoint = v->peers[i].endpoint.port || own;
}

static void decide_at_node(const struct kwgi_tracer *t, const struct kwgi_view *v, uint32_t place,
			   const struct kwgi_addr *dst, struct kwgi_decision *out)
{
	struct packet p = { .at = v->plan.node, .dst = *dst };
	struct kwgi_hop hop = { 0 };
	uint32_t i = KWGI_NO_ITEM;

	out->varies = lookup(&v->known, dst) == KWGI_NO_ITEM || has_rule_for(v, dst);
	out->end = (struct kwgi_end){ .kind = KWGI_END_NODE, .node = p.at, .addr = *dst };
	if (out->varies || is_local(v, dst))
		return;
	out->end.kind = KWGI_END_POD;
	if (find_way(v, &p, &hop))
		return;
	choose_source(v, &p, &hop);
	out->src = p.src;
	out->via = hop.via;
	if (hop.via == KWGI_VIA_WIREGUARD) {
		decide_wireguard(t, v, place, dst, out);
		return;
	}
	if (hop.via != KWGI_VIA_HOST)
		i = lookup(&v->gateways, hop.route && hop.route->gw.family ? &hop.route->gw : dst);
	out->varies = i == KWGI_NO_ITEM || is_far(v, &hop);
	if (!out->varies)
		out->next = kwgi_tracer_place(t, v->plan.segment->members[i], NULL);
}

int kwgi_trace_decide(const struct kwgi_tracer *t, uint32_t place, const struct kwgi_addr *dst,
		      struct kwgi_decision *out)
{
	const struct kwgi_view *v = view_at(t, place);

	*out = (struct kwgi_decision){ .next = UINT32_MAX };
	if (!v)
		return -1;
	if (place < t->topo->n_nodes)
		decide_at_node(t, v, place, dst, out);
	else
		decide_wireguard(t, v, place, dst, out);
	return 0;
}

uint32_t kwgi_trace_expects(const struct kwgi_tracer *t, uint32_t place, const struct kwgi_addr *src)
{
	const struct kwgi_view *v = t->views[place];
	uint32_t i = lookup(&v->allowed, src);

	return i == KWGI_NO_ITEM ? UINT32_MAX : place_of_wg(t, &v->peers[i]);
}

bool kwgi_trace_accepts_tunnel(const struct kwgi_tracer *t, uint32_t place)
{
	const struct kwgi_view *v = t->views[place];
	const struct kwgi_segment *s = v->plan.segment;
	uint32_t i;

	for (i = 0; s && v->plan.tunl_fw.append.n && i < s->n; i++)
		if (lookup(&v->tunnel, &s->members[i]->internal_ip.addr) == KWGI_NO_ITEM)
			return false;
	return true;
}
