/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "steps/beside.h"

static bool has(const struct kwgi_desired *w, const struct kwgi_host_route *r)
{
	uint32_t i;

	for (i = 0; i < w->n_closed; i++)
		if (!kwgi_host_route_cmp(&w->closed[i], r))
			return true;
	return false;
}

/* w->closed has room. */
static void add(struct kwgi_desired *w, const struct kwg_plan *plan, const struct kwgi_addr *to)
{
	struct kwgi_host_route r = {
		.dst = kwgi_prefix_host(to), .metric = KWGI_METRIC_CLOSED, .closed = true, .passed = true,
		.table = plan->cfg->local.default_table, .protocol = w->protocol,
	};

	if (kwgi_default_is_taken(&w->default_way, to->family) && !has(w, &r))
		w->closed[w->n_closed++] = r;
}

/*
 * Encapsulated packets have no mark, so those for a node in another network of the same location,
 * as clouds have them, would be led into the tunnel that they come out of.
 */
static void add_members(struct kwgi_desired *w, const struct kwg_plan *plan)
{
	const struct kwgi_prefix *own = &plan->node->internal_ip;
	uint32_t i;

	for (i = 0; i < plan->segment->n; i++) {
		const struct kwgi_node *m = plan->segment->members[i];

		if (m != plan->node && kwgi_node_has_private_ip(m) &&
		    !(kwgi_node_has_private_ip(plan->node) &&
		      kwgi_prefix_contains(own, &m->internal_ip.addr)))
			add(w, plan, &m->internal_ip.addr);
	}
}

static bool is_kept(const struct kwgi_vitals *vitals, const struct kwgi_vital *v)
{
	const struct kwgi_host_route *way = v->kind == KWGI_VITAL_KEPT ? kwgi_vitals_way(vitals, v) : NULL;

	return way && !way->dst.len;
}

int kwgi_keep_beside(struct kwgi_desired *w, const struct kwg_plan *plan,
		     const struct kwgi_vitals *vitals)
{
	uint32_t room = w->n_closed + plan->segment->n, i;
	struct kwgi_host_route *v;

	if (!w->default_way.mark)
		return 0;
	for (i = 0; i < vitals->n; i++)
		room += is_kept(vitals, &vitals->v[i]);
	v = kwgi_arena_alloc(&w->arena, room + 1u, sizeof(*v));
	if (!v)
		return -1;
	if (w->n_closed)
		memcpy(v, w->closed, w->n_closed * sizeof(*v));
	w->closed = v;
	add_members(w, plan);
	for (i = 0; i < vitals->n; i++)
		if (is_kept(vitals, &vitals->v[i]))
			add(w, plan, &vitals->v[i].net.addr);
	return 0;
}
