/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "steps/vital.h"

int kwgi_vitals_add(struct kwgi_vitals *s, enum kwgi_vital_kind kind, const struct kwgi_prefix *net,
		    const char *name)
{
	if (s->n == KWGI_VITALS_MAX)
		return 0;
	if (kwgi_arena_grow(&s->arena, &s->v, s->n, &s->cap, sizeof(*s->v)))
		return -1;
	s->v[s->n++] = (struct kwgi_vital){ (uint8_t)kind, *net, name };
	return 0;
}

int kwgi_vitals_add_way(struct kwgi_vitals *s, const struct kwgi_host_route *way)
{
	if (kwgi_arena_grow(&s->arena, &s->ways, s->n_ways, &s->ways_cap, sizeof(*s->ways)))
		return -1;
	s->ways[s->n_ways++] = *way;
	return 0;
}

/* The better metric first, which is then what the set finds. */
static int by_destination(const void *a, const void *b)
{
	const struct kwgi_host_route *x = a, *y = b;
	int c = kwgi_prefix_cmp(&x->dst, &y->dst);

	return c ? c : x->metric < y->metric ? -1 : x->metric > y->metric;
}

int kwgi_vitals_build(struct kwgi_vitals *s)
{
	uint32_t i;

	if (s->n_ways)
		qsort(s->ways, s->n_ways, sizeof(*s->ways), by_destination);
	for (i = 0; i < s->n_ways; i++)
		if (kwgi_prefixset_add(&s->set, &s->arena, &s->ways[i].dst, i))
			return -1;
	kwgi_prefixset_build(&s->set);
	return 0;
}

const struct kwgi_host_route *kwgi_vitals_way(const struct kwgi_vitals *s,
					      const struct kwgi_vital *v)
{
	uint32_t item = v->kind == KWGI_VITAL_NETWORK
				? kwgi_prefixset_find(&s->set, &v->net)
				: kwgi_prefixset_lookup(&s->set, &v->net.addr);

	/* Of several with one destination the first has the best metric. */
	while (item != KWGI_NO_ITEM && item &&
	       kwgi_prefix_equal(&s->set.v[item - 1].prefix, &s->set.v[item].prefix))
		item--;
	return item == KWGI_NO_ITEM ? NULL : &s->ways[s->set.v[item].value];
}

/* ---- who takes what away --------------------------------------------- */

/* The longer one wins, and of two that are equally long that with the lower metric. */
static bool wins(const struct kwgi_host_route *r, const struct kwgi_host_route *way)
{
	return r->dst.len > way->dst.len ||
	       (r->dst.len == way->dst.len && r->metric < way->metric);
}

static bool is_same_way(const struct kwgi_host_route *r, const struct kwgi_host_route *way)
{
	return r->oif && r->oif == way->oif && kwgi_addr_equal(&r->gw, &way->gw);
}

static bool is_allowed(const struct kwgi_cidrs *allow, const struct kwgi_prefix *p)
{
	uint32_t i;

	for (i = 0; i < allow->n; i++)
		if (allow->v[i].prefix.len <= p->len &&
		    kwgi_prefix_contains(&allow->v[i].prefix, &p->addr))
			return true;
	return false;
}

/*
 * A node is a neighbour itself where a network is divided into locations, or with granularity =
 * full, and its internal address goes through the tunnel so that it is encrypted, as Kilo has it.
 */
static bool is_the_neighbour(const struct kwg_plan *plan, const struct kwgi_prefix *dst)
{
	const struct kwgi_topology *t = plan->topo;
	uint32_t i;

	if (dst->len != kwgi_addr_bits(&dst->addr))
		return false;
	for (i = 0; i < t->n_nodes; i++)
		if (kwgi_addr_equal(&t->nodes[i]->internal_ip.addr, &dst->addr))
			return true;
	return false;
}

static bool takes_away(const struct kwgi_host_route *r, const struct kwgi_vital *v,
		       const struct kwgi_host_route *way, const struct kwg_plan *plan)
{
	if (!way)
		return v->kind == KWGI_VITAL_ENDPOINT;
	if (!wins(r, way) || is_same_way(r, way))
		return false;
	return v->kind != KWGI_VITAL_NEIGHBOUR || !is_the_neighbour(plan, &r->dst);
}

static void judge_one(const struct kwgi_vitals *s, const struct kwgi_prefixset *set,
		      const struct kwgi_desired *w, const struct kwg_plan *plan,
		      const struct kwgi_vital *v, const struct kwgi_vital **by)
{
	const struct kwgi_host_route *way = kwgi_vitals_way(s, v);
	uint32_t item, i;

	item = v->kind == KWGI_VITAL_NETWORK ? kwgi_prefixset_find(set, &v->net)
					     : kwgi_prefixset_lookup(set, &v->net.addr);
	/* Without the smallest that covers it, the next one counts. */
	for (; item != KWGI_NO_ITEM; item = set->v[item].parent) {
		i = set->v[item].value;
		/* Of several reasons, the one that most follows from. */
		if ((!by[i] || v->kind < by[i]->kind) &&
		    takes_away(&w->routes[i].route, v, way, plan) &&
		    !is_allowed(&plan->cfg->local.allow_cover, &w->routes[i].route.dst))
			by[i] = v;
	}
}

int kwgi_vitals_judge(const struct kwgi_vitals *s, const struct kwgi_desired *w,
		      const struct kwg_plan *plan, const struct kwgi_vital **by)
{
	struct kwgi_arena arena = { 0 };
	struct kwgi_prefixset set = { 0 };
	uint32_t i;
	int ret = 0;

	for (i = 0; i < w->n_routes && !ret; i++)
		if (w->routes[i].route.table == KWGI_TABLE_MAIN)
			ret = kwgi_prefixset_add(&set, &arena, &w->routes[i].route.dst, i);
	if (!ret) {
		kwgi_prefixset_build(&set);
		for (i = 0; i < s->n; i++)
			judge_one(s, &set, w, plan, &s->v[i], by);
	}
	kwgi_arena_free(&arena);
	return ret;
}

void kwgi_vitals_free(struct kwgi_vitals *s)
{
	kwgi_arena_free(&s->arena);
	*s = (struct kwgi_vitals){ 0 };
}
