/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Whose an address is, and which address somebody has. */
#include "plan/trace.h"

/* ---- whose ----------------------------------------------------------- */

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
		if (kwgi_view_has_address(m, c->a))
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
