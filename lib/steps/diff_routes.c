/* SPDX-License-Identifier: ISC */
/* The difference of routes and policy rules. */
#include <stdlib.h>
#include <string.h>

#include "steps/diff.h"

/* ---- routes ---------------------------------------------------------- */

static const char *name_of(const struct kwgi_diff *d, uint32_t ifindex)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(d->h, ifindex);

	return l ? l->name : "?";
}

static int by_table_and_dst(const struct kwgi_host_route *a, const struct kwgi_host_route *b)
{
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	if (a->metric != b->metric)
		return a->metric < b->metric ? -1 : 1;
	return kwgi_prefix_cmp(&a->dst, &b->dst);
}

static int cmp_have(const void *a, const void *b)
{
	return by_table_and_dst(*(const struct kwgi_host_route *const *)a,
				*(const struct kwgi_host_route *const *)b);
}

static bool same_way(const struct kwgi_host_route *a, const struct kwgi_host_route *b)
{
	return a->oif == b->oif && a->onlink == b->onlink && a->mtu == b->mtu &&
	       kwgi_addr_equal(&a->gw, &b->gw) && kwgi_addr_equal(&a->src, &b->src);
}

static void diff_route(struct kwgi_diff *d, const struct kwgi_desired_route *want,
		       const struct kwgi_host_route *have)
{
	struct kwgi_step step = { .kind = KWGI_STEP_ROUTE_ADD, .link = want->link,
				  .u.route = { .route = want->route } };

	/* The device of this name is made anew. */
	if (kwgi_diff_is_gone(d, want->route.oif))
		step.u.route.route.oif = 0;
	if (have && same_way(&want->route, have))
		return;
	if (have) {
		step.kind = KWGI_STEP_ROUTE_CHANGE;
		step.u.route.old = *have;
		step.u.route.old_link = name_of(d, have->oif);
	}
	kwgi_diff_make(d, &step);
}

/* Is the route there when others are made? It goes with a link that makes room. */
static bool is_kept_route(const struct kwgi_diff *d, const struct kwgi_host_route *r)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(d->h, r->oif);

	if (kwgi_diff_is_gone(d, r->oif))
		return false;
	return !l || !(l->replaced || kwgi_diff_is_set_down(d, l));
}

void kwgi_diff_routes(struct kwgi_diff *d)
{
	const struct kwgi_host *h = d->h;
	const struct kwgi_host_route **have, *key, **found;
	bool *used;
	uint32_t i, n = 0;

	have = kwgi_arena_alloc(&d->s->arena, h->n_routes + 1u, sizeof(*have));
	used = kwgi_arena_alloc(&d->s->arena, h->n_routes + 1u, sizeof(*used));
	if (!have || !used) {
		d->failed = true;
		return;
	}
	for (i = 0; i < h->n_routes; i++)
		if (is_kept_route(d, &h->routes[i]))
			have[n++] = &h->routes[i];
	if (n)
		qsort(have, n, sizeof(*have), cmp_have);
	for (i = 0; i < d->w->n_routes; i++) {
		key = &d->w->routes[i].route;
		found = n ? bsearch(&key, have, n, sizeof(*have), cmp_have) : NULL;
		if (found)
			used[found - have] = true;
		diff_route(d, &d->w->routes[i], found ? *found : NULL);
	}
	for (i = 0; i < n; i++)
		if (!used[i])
			kwgi_diff_break(d, &(struct kwgi_step){
				.kind = KWGI_STEP_ROUTE_DEL, .link = name_of(d, have[i]->oif),
				.u.route = { .old = *have[i] } });
}

/* ---- rules ----------------------------------------------------------- */

static int cmp_rule(const void *a, const void *b)
{
	const struct kwgi_host_rule *x = *(const struct kwgi_host_rule *const *)a;
	const struct kwgi_host_rule *y = *(const struct kwgi_host_rule *const *)b;
	int c;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	c = kwgi_prefix_cmp(&x->dst, &y->dst);
	if (!c)
		c = kwgi_prefix_cmp(&x->src, &y->src);
	return c ? c : strcmp(x->iif, y->iif);
}

void kwgi_diff_rules(struct kwgi_diff *d)
{
	const struct kwgi_host *h = d->h;
	const struct kwgi_host_rule **have, *key, **found;
	bool *used;
	uint32_t i;

	have = kwgi_arena_alloc(&d->s->arena, h->n_rules + 1u, sizeof(*have));
	used = kwgi_arena_alloc(&d->s->arena, h->n_rules + 1u, sizeof(*used));
	if (!have || !used) {
		d->failed = true;
		return;
	}
	for (i = 0; i < h->n_rules; i++)
		have[i] = &h->rules[i];
	if (h->n_rules)
		qsort(have, h->n_rules, sizeof(*have), cmp_rule);
	for (i = 0; i < d->w->n_rules; i++) {
		key = &d->w->rules[i];
		found = h->n_rules ? bsearch(&key, have, h->n_rules, sizeof(*have), cmp_rule) : NULL;
		if (found)
			used[found - have] = true;
		else
			kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_RULE_ADD, .link = "",
						     .u.rule = { *key } });
	}
	for (i = 0; i < h->n_rules; i++)
		if (!used[i])
			kwgi_diff_break(d, &(struct kwgi_step){ .kind = KWGI_STEP_RULE_DEL, .link = "",
							    .u.rule = { *have[i] } });
}
