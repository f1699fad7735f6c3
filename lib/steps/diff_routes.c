/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference of routes. */
#include <stdlib.h>
#include <string.h>

#include "steps/diff.h"

/* ---- routes ---------------------------------------------------------- */

static const char *name_of(const struct kwgi_diff *d, uint32_t ifindex)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(d->h, ifindex);

	return l ? l->name : "?";
}

static int cmp_have(const void *a, const void *b)
{
	return kwgi_host_route_cmp(*(const struct kwgi_host_route *const *)a,
				   *(const struct kwgi_host_route *const *)b);
}

/* A route that was taken off comes again: where among those of others? */
static enum kwgi_company taken_company(const struct kwgi_diff *d, const struct kwgi_host_route *want)
{
	const struct kwgi_host *h = d->h;
	uint32_t i;

	if (kwgi_host_company(h, want, UINT32_MAX) == KWGI_ALONE)
		return KWGI_ALONE;
	for (i = 0; i < h->n_routes; i++)
		if (d->taken[i] && !kwgi_host_route_cmp(&h->routes[i], want))
			return kwgi_host_company(h, want, i);
	return KWGI_ALONE;
}

/* last: after those that go. */
static void diff_route(struct kwgi_diff *d, const struct kwgi_desired_route *want,
		       const struct kwgi_host_route *have, bool last)
{
	struct kwgi_step step = { .kind = KWGI_STEP_ROUTE_ADD, .link = want->link,
				  .u.route = { .route = want->route } };

	/* The device of this name is made anew. */
	if (kwgi_diff_is_gone(d, want->route.oif))
		step.u.route.route.oif = 0;
	if (have && kwgi_host_same_way(&want->route, have))
		return;
	if (have) {
		step.kind = KWGI_STEP_ROUTE_CHANGE;
		step.u.route.company = (uint8_t)kwgi_host_company(d->h, have, (uint32_t)(have - d->h->routes));
		step.u.route.old = *have;
		step.u.route.old_link = name_of(d, have->oif);
	} else {
		step.u.route.company = (uint8_t)taken_company(d, &want->route);
	}
	if (last)
		kwgi_diff_break(d, &step);
	else
		kwgi_diff_make(d, &step);
}

/* Is the route there when others are made? It goes with a link that makes room. */
static bool is_kept_route(const struct kwgi_diff *d, uint32_t i)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(d->h, d->h->routes[i].oif);

	return !d->taken[i] && !(l && l->replaced);
}

/* What stays for now of what the host has, in the order of cmp_have. */
struct have {
	const struct kwgi_host_route **v;
	bool *used;		/* it is wanted, or has been dealt with */
	uint32_t n;
};

static int list_kept(struct kwgi_diff *d, struct have *have)
{
	const struct kwgi_host *h = d->h;
	uint32_t i;

	have->v = kwgi_arena_alloc(&d->s->arena, h->n_routes + 1u, sizeof(*have->v));
	have->used = kwgi_arena_alloc(&d->s->arena, h->n_routes + 1u, sizeof(*have->used));
	if (!have->v || !have->used) {
		d->failed = true;
		return -1;
	}
	for (i = 0; i < h->n_routes; i++)
		if (is_kept_route(d, i))
			have->v[have->n++] = &h->routes[i];
	if (have->n)
		qsort(have->v, have->n, sizeof(*have->v), cmp_have);
	return 0;
}

/*
 * ---- gateways of IPv6 routes ----
 *
 * An onlink IPv6 route is refused with EINVAL as long as the main table leads to its gateway by
 * another link (net/ipv6/route.c, ip6_route_check_nh_onlink). That is so when a follower becomes
 * leader, or when one is undone that became a follower. So what leads to a gateway by another link
 * goes before all that is made, and comes after all that goes.
 */

static bool leads_to_gateways(const struct kwgi_host_route *r)
{
	return r->dst.addr.family == KWGI_AF_V6 && r->table == KWGI_TABLE_MAIN;
}

static bool has_gateway6(const struct kwgi_host_route *r)
{
	return r->onlink && r->gw.family == KWGI_AF_V6;
}

static void make_way(struct kwgi_diff *d, const struct kwgi_host_route *want,
		     const struct kwgi_prefixset *set, struct have *have)
{
	uint32_t item = kwgi_prefixset_lookup(set, &want->gw), i;

	for (; item != KWGI_NO_ITEM; item = set->v[item].parent) {
		i = set->v[item].value;
		if (have->used[i] || have->v[i]->oif == want->oif)
			continue;
		kwgi_diff_take_route(d, (uint32_t)(have->v[i] - d->h->routes));
		have->used[i] = true;
	}
}

/* Takes off what the host has in the way of gateways that are wanted. */
static void make_way_for_all(struct kwgi_diff *d, struct have *have)
{
	struct kwgi_prefixset set = { 0 };
	uint32_t i;

	for (i = 0; i < have->n; i++)
		if (leads_to_gateways(have->v[i]) &&
		    kwgi_prefixset_add(&set, &d->s->arena, &have->v[i]->dst, i))
			d->failed = true;
	kwgi_prefixset_build(&set);
	for (i = 0; i < d->w->n_routes; i++)
		if (has_gateway6(&d->w->routes[i].route))
			make_way(d, &d->w->routes[i].route, &set, have);
}

/* Of the wanted routes, those that would be in the way of gateways of all that the host has. */
static bool *list_last(struct kwgi_diff *d)
{
	bool *last = kwgi_arena_alloc(&d->s->arena, d->w->n_routes + 1u, sizeof(*last));
	struct kwgi_prefixset set = { 0 };
	uint32_t i, item;

	for (i = 0; i < d->w->n_routes; i++)
		if (leads_to_gateways(&d->w->routes[i].route) &&
		    kwgi_prefixset_add(&set, &d->s->arena, &d->w->routes[i].route.dst, i))
			d->failed = true;
	if (!last)
		d->failed = true;
	kwgi_prefixset_build(&set);
	for (i = 0; i < d->h->n_routes && !d->failed; i++) {
		if (!has_gateway6(&d->h->routes[i]))
			continue;
		item = kwgi_prefixset_lookup(&set, &d->h->routes[i].gw);
		for (; item != KWGI_NO_ITEM; item = set.v[item].parent)
			last[set.v[item].value] |= d->w->routes[set.v[item].value].route.oif != d->h->routes[i].oif;
	}
	return last;
}

/* ---- the whole ------------------------------------------------------- */

void kwgi_diff_routes(struct kwgi_diff *d)
{
	const struct kwgi_host_route *key, **found;
	struct have have = { 0 };
	bool *last;
	uint32_t i;

	if (list_kept(d, &have))
		return;
	make_way_for_all(d, &have);
	last = list_last(d);
	if (d->failed)
		return;
	for (i = 0; i < d->w->n_routes; i++) {
		key = &d->w->routes[i].route;
		found = have.n ? bsearch(&key, have.v, have.n, sizeof(*have.v), cmp_have) : NULL;
		if (found && have.used[found - have.v])
			found = NULL;
		if (found)
			have.used[found - have.v] = true;
		diff_route(d, &d->w->routes[i], found ? *found : NULL, last[i]);
	}
	for (i = 0; i < have.n; i++)
		if (!have.used[i])
			kwgi_diff_break(d, &(struct kwgi_step){
				.kind = KWGI_STEP_ROUTE_DEL, .link = name_of(d, have.v[i]->oif),
				.u.route = { .old = *have.v[i] } });
}
