/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "steps/restore.h"

struct restore {
	struct kwgi_steps *s;
	const struct kwgi_host *now, *before;
	bool failed;
};

static void add(struct restore *r, const struct kwgi_step *step)
{
	struct kwgi_steps *s = r->s;

	if (kwgi_arena_grow(&s->arena, &s->v, s->n, &s->cap, sizeof(*s->v)))
		r->failed = true;
	else
		s->v[s->n++] = *step;
}

/* The same link now; it may have been made anew. NULL: there is none. */
static const struct kwgi_link *same_link(const struct restore *r, uint32_t ifindex)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(r->before, ifindex);

	return l ? kwgi_host_link_named(r->now, l->name) : NULL;
}

/* ---- links ----------------------------------------------------------- */

static void restore_link(struct restore *r, const struct kwgi_link *was)
{
	const struct kwgi_link *l = kwgi_host_link_named(r->now, was->name);

	if (!l || strncmp(was->alias, l->alias, sizeof(l->alias)) || !*was->alias)
		return;
	if (l->mtu != was->mtu)
		add(r, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_MTU, .link = l->name,
					    .u.link_mtu = { was->mtu, l->mtu } });
	if (l->up != was->up)
		add(r, &(struct kwgi_step){ .kind = was->up ? KWGI_STEP_LINK_UP : KWGI_STEP_LINK_DOWN,
					    .link = l->name });
}

/* ---- addresses ------------------------------------------------------- */

static bool has_addr(const struct kwgi_host *h, uint32_t ifindex, const struct kwgi_host_addr *a)
{
	uint32_t i;

	for (i = 0; i < h->n_addrs; i++)
		if (h->addrs[i].ifindex == ifindex &&
		    kwgi_prefix_equal(&h->addrs[i].prefix, &a->prefix) &&
		    kwgi_addr_equal(&h->addrs[i].peer, &a->peer))
			return true;
	return false;
}

/* Addresses of links of kilowg; those of others never went by a step of ours. */
static void restore_addrs(struct restore *r)
{
	const struct kwgi_link *was, *l;
	uint32_t i;

	for (i = 0; i < r->before->n_addrs; i++) {
		const struct kwgi_host_addr *a = &r->before->addrs[i];

		was = kwgi_host_link_by_index(r->before, a->ifindex);
		l = same_link(r, a->ifindex);
		if (l && *was->alias && !a->auto_made && !has_addr(r->now, l->index, a))
			add(r, &(struct kwgi_step){ .kind = KWGI_STEP_ADDR_ADD, .link = l->name,
						    .u.addr = { a->prefix, a->peer } });
	}
}

/* ---- neighbours ------------------------------------------------------ */

static bool has_neigh(const struct kwgi_host *h, uint32_t ifindex, const struct kwgi_host_neigh *n)
{
	uint32_t i;

	for (i = 0; i < h->n_neighs; i++)
		if (h->neighs[i].ifindex == ifindex && h->neighs[i].fdb == n->fdb &&
		    kwgi_addr_equal(&h->neighs[i].addr, &n->addr) &&
		    !memcmp(h->neighs[i].mac, n->mac, sizeof(n->mac)))
			return true;
	return false;
}

static void restore_neighs(struct restore *r)
{
	const struct kwgi_link *l;
	uint32_t i;

	for (i = 0; i < r->before->n_neighs; i++) {
		const struct kwgi_host_neigh *n = &r->before->neighs[i];

		l = same_link(r, n->ifindex);
		if (l && !has_neigh(r->now, l->index, n))
			add(r, &(struct kwgi_step){ .kind = KWGI_STEP_NEIGH_SET, .link = l->name,
						    .u.neigh = { .neigh = *n } });
	}
}

/* ---- rules ----------------------------------------------------------- */

static bool has_rule(const struct kwgi_host *h, const struct kwgi_host_rule *rule)
{
	uint32_t i;

	for (i = 0; i < h->n_rules; i++)
		if (!kwgi_host_rule_cmp(&h->rules[i], rule) && h->rules[i].protocol == rule->protocol)
			return true;
	return false;
}

static void restore_rules(struct restore *r)
{
	uint32_t i;

	for (i = 0; i < r->before->n_rules; i++)
		if (!has_rule(r->now, &r->before->rules[i]))
			add(r, &(struct kwgi_step){ .kind = KWGI_STEP_RULE_ADD, .link = "",
						    .u.rule = { r->before->rules[i] } });
	for (i = 0; i < r->now->n_rules; i++)
		if (!has_rule(r->before, &r->now->rules[i]))
			add(r, &(struct kwgi_step){ .kind = KWGI_STEP_RULE_DEL, .link = "",
						    .u.rule = { r->now->rules[i] } });
}

/* ---- routes ---------------------------------------------------------- */

/* The route that was, by the index that its link has now. */
static struct kwgi_host_route as_now(const struct kwgi_host_route *was, const struct kwgi_link *l)
{
	struct kwgi_host_route route = *was;

	route.oif = l->index;
	return route;
}

static int by_destination(const void *a, const void *b)
{
	return kwgi_host_route_cmp(*(const struct kwgi_host_route *const *)a,
				   *(const struct kwgi_host_route *const *)b);
}

/* The routes of a host in the order of their destinations, or NULL. */
static const struct kwgi_host_route **sorted(struct restore *r, const struct kwgi_host *h)
{
	const struct kwgi_host_route **v = kwgi_arena_alloc(&r->s->arena, h->n_routes + 1u, sizeof(*v));
	uint32_t i;

	for (i = 0; v && i < h->n_routes; i++)
		v[i] = &h->routes[i];
	if (v && h->n_routes)
		qsort(v, h->n_routes, sizeof(*v), by_destination);
	r->failed |= !v;
	return v;
}

static const struct kwgi_host_route *find_route(const struct kwgi_host_route **v, uint32_t n,
						const struct kwgi_host_route *r)
{
	const struct kwgi_host_route **found = n ? bsearch(&r, v, n, sizeof(*v), by_destination) : NULL;

	return found ? *found : NULL;
}

/* have: the one to the same destination now, or NULL. */
static void restore_route(struct restore *r, const struct kwgi_host_route *was,
			  const struct kwgi_host_route *have)
{
	const struct kwgi_link *l = same_link(r, was->oif), *other;
	struct kwgi_step step = { .kind = KWGI_STEP_ROUTE_ADD };

	if (!l)
		return;
	step.link = l->name;
	step.u.route.route = as_now(was, l);
	step.u.route.company = (uint8_t)kwgi_host_company(r->before, was, (uint32_t)(was - r->before->routes));
	if (have && kwgi_host_same_way(have, &step.u.route.route))
		return;
	if (have) {
		other = kwgi_host_link_by_index(r->now, have->oif);
		step.kind = KWGI_STEP_ROUTE_CHANGE;
		step.u.route.old = *have;
		step.u.route.old_link = other ? other->name : "?";
	}
	add(r, &step);
}

static void restore_routes(struct restore *r)
{
	const struct kwgi_host *now = r->now, *before = r->before;
	const struct kwgi_host_route **now_v = sorted(r, now), **before_v = sorted(r, before);
	const struct kwgi_link *l;
	uint32_t i;

	if (r->failed)
		return;
	for (i = 0; i < now->n_routes; i++) {
		l = kwgi_host_link_by_index(now, now->routes[i].oif);
		if (!find_route(before_v, before->n_routes, &now->routes[i]))
			add(r, &(struct kwgi_step){ .kind = KWGI_STEP_ROUTE_DEL,
						    .link = l ? l->name : "?",
						    .u.route = { .old = now->routes[i] } });
	}
	for (i = 0; i < before->n_routes; i++)
		restore_route(r, &before->routes[i],
			      find_route(now_v, now->n_routes, &before->routes[i]));
}

static bool has_closed(const struct kwgi_host *h, const struct kwgi_host_route *r)
{
	uint32_t i;

	for (i = 0; i < h->n_closed; i++)
		if (!kwgi_host_route_cmp(&h->closed[i], r) && h->closed[i].protocol == r->protocol)
			return true;
	return false;
}

static void restore_closed(struct restore *r)
{
	const struct kwgi_host *now = r->now, *before = r->before;
	uint32_t i;

	for (i = 0; i < now->n_closed; i++)
		if (!has_closed(before, &now->closed[i]))
			add(r, &(struct kwgi_step){ .kind = KWGI_STEP_ROUTE_DEL, .link = "",
						    .u.route = { .old = now->closed[i] } });
	for (i = 0; i < before->n_closed; i++)
		if (!has_closed(now, &before->closed[i]))
			add(r, &(struct kwgi_step){ .kind = KWGI_STEP_ROUTE_ADD, .link = "",
						    .u.route = { .route = before->closed[i] } });
}

static bool has_other(const struct kwgi_host *h, const struct kwgi_host_route *r)
{
	uint32_t i;

	for (i = 0; i < h->n_others; i++)
		if (!kwgi_host_route_cmp(&h->others[i].route, r) && kwgi_host_same_way(&h->others[i].route, r))
			return true;
	return false;
}

static void restore_others(struct restore *r)
{
	const struct kwgi_link *l;
	uint32_t i;

	for (i = 0; i < r->before->n_others; i++) {
		const struct kwgi_other_route *o = &r->before->others[i];

		l = same_link(r, o->route.oif);
		if (l && l->index == o->route.oif && !has_other(r->now, &o->route))
			add(r, &(struct kwgi_step){ .kind = KWGI_STEP_ROUTE_AGAIN, .link = l->name,
						    .u.again = { o } });
	}
}

int kwgi_steps_restore(struct kwgi_steps *s, const struct kwgi_host *now,
		       const struct kwgi_host *before)
{
	struct restore r = { s, now, before, false };
	uint32_t i;

	s->host = now;
	for (i = 0; i < before->n_links; i++)
		restore_link(&r, &before->links[i]);
	restore_addrs(&r);
	restore_neighs(&r);
	restore_rules(&r);
	restore_routes(&r);
	restore_closed(&r);
	restore_others(&r);
	return r.failed ? -1 : 0;
}
