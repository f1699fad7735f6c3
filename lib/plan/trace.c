/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "plan/trace.h"

/* A packet under way. */
struct packet {
	const struct kwgi_trace *back;	/* what it answers */
	const struct kwgi_end *to;
	const struct kwgi_node *at;	/* NULL: at the peer */
	const struct kwgi_mesh_peer *peer;
	struct kwgi_addr src, dst;
	bool from_kilo, started;
};

/* ---- one node -------------------------------------------------------- */

static bool is_local(const struct kwgi_view *v, const struct kwgi_addr *a)
{
	const struct kwg_plan *plan = &v->plan;

	return kwgi_view_has_address(plan->node, a) || (plan->leader && kwgi_addr_equal(&plan->wg_cidr.addr, a)) ||
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
		i = kwgi_view_lookup(&v->table, &p->dst);
	if (i == KWGI_NO_ITEM) {
		hop->rule = NULL;
		i = kwgi_view_lookup(&v->main, &p->dst);
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

	if (was_there(p->back, p->at) || kwgi_view_lookup(&v->known, &p->dst) != KWGI_NO_ITEM ||
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
	uint32_t i = kwgi_view_lookup(&sender->allowed, &p->dst), known, expected;

	out->stop = KWGI_STOP_NO_PEER;
	if (i == KWGI_NO_ITEM)
		return 0;
	hop->wg = &sender->peers[i];
	if (!hop->wg->is_segment)
		peer = mesh_peer(t, hop->wg->peer);
	receiver = peer ? kwgi_view_of_peer(t, peer) : kwgi_view_of_node(t, hop->wg->node);
	if (!receiver)
		return -1;
	known = peer ? index_at_peer(t, peer, p, sender) : index_at_leader(t, receiver, p, sender);
	out->stop = KWGI_STOP_ENDPOINT;
	if (!hop->wg->endpoint.port && !receiver->peers[known].endpoint.port)
		return 0;
	expected = kwgi_view_lookup(&receiver->allowed, &p->src);
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
	uint32_t i = kwgi_view_lookup(&v->gateways, next);
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
	receiver = kwgi_view_of_node(t, m);
	if (!receiver)
		return -1;
	out->stop = KWGI_STOP_TUNNEL;
	if (hop->via == KWGI_VIA_TUNNEL && receiver->plan.tunl_fw.append.n &&
	    kwgi_view_lookup(&receiver->tunnel, &p->at->internal_ip.addr) == KWGI_NO_ITEM)
		return 0;
	p->at = m;
	p->from_kilo = false;
	return 1;
}

static const struct kwgi_node *who_has(const struct kwgi_tracer *t, const struct kwgi_addr *a)
{
	uint32_t i;

	for (i = 0; i < t->topo->n_nodes; i++)
		if (kwgi_view_has_address(t->topo->nodes[i], a))
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
	uint32_t i = kwgi_view_lookup(&v->gateways, &p->dst);
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
	const struct kwgi_view *v = kwgi_view_of_node(t, p->at);
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
	const struct kwgi_view *v = kwgi_view_of_peer(t, p->peer);

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
	struct packet p = { .back = back, .to = to, .at = from->node, .peer = from->peer,
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
	uint32_t i = kwgi_view_lookup(&v->allowed, dst);
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

	out->varies = kwgi_view_lookup(&v->known, dst) == KWGI_NO_ITEM || has_rule_for(v, dst);
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
		i = kwgi_view_lookup(&v->gateways, hop.route && hop.route->gw.family ? &hop.route->gw : dst);
	out->varies = i == KWGI_NO_ITEM || is_far(v, &hop);
	if (!out->varies)
		out->next = kwgi_tracer_place(t, v->plan.segment->members[i], NULL);
}

int kwgi_trace_decide(const struct kwgi_tracer *t, uint32_t place, const struct kwgi_addr *dst,
		      struct kwgi_decision *out)
{
	const struct kwgi_view *v = kwgi_view_at(t, place);

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
	uint32_t i = kwgi_view_lookup(&v->allowed, src);

	return i == KWGI_NO_ITEM ? UINT32_MAX : place_of_wg(t, &v->peers[i]);
}

bool kwgi_trace_accepts_tunnel(const struct kwgi_tracer *t, uint32_t place)
{
	const struct kwgi_view *v = t->views[place];
	const struct kwgi_segment *s = v->plan.segment;
	uint32_t i;

	for (i = 0; s && v->plan.tunl_fw.append.n && i < s->n; i++)
		if (kwgi_view_lookup(&v->tunnel, &s->members[i]->internal_ip.addr) == KWGI_NO_ITEM)
			return false;
	return true;
}
