/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "plan/whose.h"

static void note(struct kwgi_whose *out, const char *what, const struct kwgi_node *n,
		 struct kwgi_place at)
{
	*out = (struct kwgi_whose){ what, "node", n->name, at };
}

static void look_at_cidrs(struct kwgi_whose *out, const char *what, const struct kwgi_node *n,
			  const struct kwgi_cidrs *list, const struct kwgi_prefix *net)
{
	uint32_t i;

	for (i = 0; i < list->n; i++)
		if (kwgi_prefix_equal(&list->v[i].prefix, net))
			note(out, what, n, list->v[i].at);
}

/* In the order in which routes are made, see plan.c. */
static void look_at_segment(struct kwgi_whose *out, const struct kwgi_segment *s,
			    const struct kwgi_prefix *net)
{
	struct kwgi_prefix host = kwgi_prefix_host(&s->wg_ip);
	uint32_t i;

	if (kwgi_prefix_equal(&host, net))
		note(out, "WireGuard address", s->leader, s->leader->at);
	for (i = 0; i < s->n; i++) {
		const struct kwgi_node *m = s->members[i];

		look_at_cidrs(out, "pod-cidr", m, &m->pod_cidrs, net);
		host = kwgi_prefix_host(&m->internal_ip.addr);
		if (kwgi_node_has_private_ip(m) && kwgi_prefix_equal(&host, net))
			note(out, "internal-ip", m, m->internal_ip_at);
	}
	for (i = 0; i < s->n; i++)
		look_at_cidrs(out, "allowed-location-ip", s->members[i],
			      &s->members[i]->allowed_location_ips, net);
}

bool kwgi_whose_find(struct kwgi_whose *out, const struct kwg_plan *plan,
		     const struct kwgi_prefix *net)
{
	const struct kwgi_topology *t = plan->topo;
	uint32_t i, j;

	*out = (struct kwgi_whose){ 0 };
	for (i = 0; i < t->n_segments; i++)
		look_at_segment(out, &t->segments[i], net);
	for (i = 0; i < t->n_peers; i++) {
		const struct kwgi_peer *p = t->peers[i].peer;

		for (j = 0; j < p->allowed_ips.n; j++)
			if (kwgi_prefix_equal(&p->allowed_ips.v[j].prefix, net))
				*out = (struct kwgi_whose){ "allowed-ip", "peer", p->name,
							    p->allowed_ips.v[j].at };
	}
	return out->kind;
}

void kwgi_whose_put(struct kwgi_buf *b, const struct kwgi_whose *w, const struct kwg_plan *plan)
{
	char place[KWGI_PLACE_TEXT];

	kwgi_buf_printf(b, "the %s of %s %s (%s)", w->what, w->kind, w->name,
			kwgi_diags_place(&plan->cfg->diags, place, w->at));
}
