/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "steps/ways.h"

enum { TABLE_DEFAULT = 253, TABLE_LOCAL = 255, PROTOCOL_KERNEL = 2, CULPRITS_MAX = 32 };

/* ---- questions ------------------------------------------------------- */

/* One that may be a host's; for a default route one that nobody has (RFC 1112, 4; RFC 3849). */
static bool find_address(struct kwgi_addr *to, const struct kwgi_prefix *p)
{
	if (!p->len)
		return !kwgi_addr_parse(to, p->addr.family == KWGI_AF_V4 ? "240.0.0.1" : "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe");
	*to = p->addr;
	return p->len + 1u >= kwgi_addr_bits(to) || kwgi_addr_add(to, &p->addr, 1);
}

static int by_route(const void *a, const void *b)
{
	return kwgi_host_route_cmp(*(const struct kwgi_host_route *const *)a,
				   *(const struct kwgi_host_route *const *)b);
}

static const struct kwgi_host_route **sort_routes(struct kwgi_arena *a, const struct kwgi_host *h)
{
	const struct kwgi_host_route **v = kwgi_arena_alloc(a, h->n_routes + 1u, sizeof(*v));
	uint32_t i;

	for (i = 0; v && i < h->n_routes; i++)
		v[i] = &h->routes[i];
	if (v && h->n_routes)
		qsort(v, h->n_routes, sizeof(*v), by_route);
	return v;
}

/* What is not there yet is drift, and told so. */
static bool is_there(const struct kwgi_host_route **have, uint32_t n,
		     const struct kwgi_host_route *want)
{
	const struct kwgi_host_route **found = n ? bsearch(&want, have, n, sizeof(*have), by_route)
						 : NULL;

	return found && kwgi_host_same_way(want, *found);
}

static int ask(struct kwgi_ways *s, const struct kwgi_wanted_way *question)
{
	if (kwgi_arena_grow(&s->arena, &s->v, s->n, &s->cap, sizeof(*s->v)))
		return -1;
	s->v[s->n++] = *question;
	return 0;
}

static int ask_route(struct kwgi_ways *s, const struct kwgi_desired *w,
		     const struct kwgi_desired_route *r)
{
	struct kwgi_wanted_way q = { .want = r };
	uint32_t item;

	if (r->route.table != KWGI_TABLE_MAIN || !find_address(&q.way.to, &r->route.dst))
		return 0;
	/* A smaller wanted network may have that address. */
	item = kwgi_prefixset_lookup(&s->set, &q.way.to);
	if (item != KWGI_NO_ITEM)
		q.want = &w->routes[s->set.v[item].value];
	return ask(s, &q);
}

/* An address that this host would receive on the link from somebody behind it. */
static bool find_pod(struct kwgi_way *way, const struct kwgi_prefix *pods, const struct kwgi_host *h)
{
	uint32_t i;

	for (i = 0; i < h->n_addrs; i++) {
		if (!kwgi_prefix_contains(pods, &h->addrs[i].prefix.addr))
			continue;
		way->iif = h->addrs[i].ifindex;
		return kwgi_addr_add(&way->from, &h->addrs[i].prefix.addr, 1) &&
		       kwgi_prefix_contains(pods, &way->from);
	}
	return false;
}

/* One of another location, out of WireGuard. */
static bool find_remote(struct kwgi_way *way, const struct kwgi_desired *w, const struct kwgi_host *h)
{
	const struct kwgi_link *kilo = kwgi_host_link(h, w->ifname);
	uint32_t i;

	for (i = 0; kilo && i < w->n_routes; i++) {
		const struct kwgi_host_route *r = &w->routes[i].route;

		if (r->oif != kilo->index || r->table != KWGI_TABLE_MAIN || !r->dst.len ||
		    r->dst.addr.family != way->to.family || !find_address(&way->from, &r->dst))
			continue;
		way->iif = kilo->index;
		return true;
	}
	return false;
}

/* A rule stands for all that the table it leads to knows. */
static int ask_rule(struct kwgi_ways *s, const struct kwgi_desired *w, const struct kwgi_host *h,
		    const struct kwgi_host_rule *r)
{
	uint32_t i;

	for (i = 0; r->table != KWGI_TABLE_MAIN && i < w->n_routes; i++) {
		struct kwgi_wanted_way q = { .rule = r, .want = &w->routes[i] };
		const struct kwgi_host_route *route = &w->routes[i].route;

		if (route->table != r->table || route->dst.addr.family != r->family || !route->oif ||
		    !find_address(&q.way.to, &route->dst) ||
		    (r->src.addr.family && !find_pod(&q.way, &r->src, h)) ||
		    (*r->iif && !find_remote(&q.way, w, h)))
			continue;
		if (ask(s, &q))
			return -1;
	}
	return 0;
}

static bool has_rule(const struct kwgi_host *h, const struct kwgi_host_rule *want)
{
	uint32_t i;

	for (i = 0; i < h->n_rules; i++)
		if (!kwgi_host_rule_cmp(&h->rules[i], want))
			return true;
	return false;
}

int kwgi_ways_list(struct kwgi_ways *s, const struct kwgi_desired *w, const struct kwgi_host *h)
{
	const struct kwgi_host_route **have = sort_routes(&s->arena, h);
	uint32_t i;

	if (!have)
		return -1;
	for (i = 0; i < w->n_routes; i++)
		if (w->routes[i].route.table == KWGI_TABLE_MAIN &&
		    kwgi_prefixset_add(&s->set, &s->arena, &w->routes[i].route.dst, i))
			return -1;
	kwgi_prefixset_build(&s->set);
	for (i = 0; i < w->n_routes; i++)
		if (is_there(have, h->n_routes, &w->routes[i].route) && ask_route(s, w, &w->routes[i]))
			return -1;
	for (i = 0; i < w->n_rules; i++)
		if (has_rule(h, &w->rules[i]) && ask_rule(s, w, h, &w->rules[i]))
			return -1;
	return 0;
}

int kwgi_ways_add_part(struct kwgi_ways *s, const struct kwgi_desired *w,
		       const struct kwgi_host_route *other)
{
	uint32_t item = kwgi_prefixset_lookup(&s->set, &other->dst.addr);
	struct kwgi_wanted_way q = { .part = true };

	if (other->table != KWGI_TABLE_MAIN || item == KWGI_NO_ITEM)
		return 0;
	q.want = &w->routes[s->set.v[item].value];
	/* Beside a default route all others are meant to be. */
	if (!q.want->route.dst.len || q.want->route.dst.len >= other->dst.len ||
	    q.want->route.oif == other->oif || !find_address(&q.way.to, &other->dst))
		return 0;
	return ask(s, &q);
}

void kwgi_ways_add_stranger(struct kwgi_ways *s, const struct kwgi_desired *w,
			    const struct kwgi_host_route *other)
{
	uint32_t i;

	for (i = 0; i < w->n_rules && s->n_strangers < KWGI_STRANGERS; i++)
		if (w->rules[i].table == other->table && w->rules[i].table != KWGI_TABLE_MAIN &&
		    w->rules[i].family == other->dst.addr.family) {
			s->strangers[s->n_strangers++] = *other;
			return;
		}
}

/* ---- answers --------------------------------------------------------- */

static bool leads_there(const struct kwgi_host_route *r, const struct kwgi_host_route *want)
{
	return r->oif == want->oif && (!want->gw.family || kwgi_addr_equal(&r->gw, &want->gw));
}

/* For what is forwarded there are more reasons to refuse than routes, which others look at. */
bool kwgi_ways_is_right(const struct kwgi_wanted_way *v)
{
	if (v->way.local || (v->way.error && v->way.iif))
		return true;
	if (v->way.error)
		return false;
	/* What a router has told to be a better way for one address is none of the routes. */
	return leads_there(&v->way.route, &v->want->route) ||
	       (v->way.match.dst.addr.family && leads_there(&v->way.match, &v->want->route));
}

/* Who is to blame: a rule, or a route. */
struct culprit {
	const struct kwgi_wanted_way *first;
	const struct kwgi_host_rule *rule;	/* NULL: the route that is matched */
	uint32_t more;				/* other networks */
};

/* Before ours, of which the main table's is one. */
static const struct kwgi_host_rule *find_rule(const struct kwgi_host *h,
					      const struct kwgi_wanted_way *v)
{
	uint32_t before = v->rule ? v->rule->priority : 32766, i;
	uint32_t table = v->way.match.table ? v->way.match.table : v->way.route.table;

	if (table == (v->rule ? v->rule->table : KWGI_TABLE_MAIN) || table == TABLE_LOCAL)
		return NULL;
	for (i = 0; i < h->n_other_rules; i++)
		if (h->other_rules[i].family == v->way.to.family &&
		    h->other_rules[i].table == table && h->other_rules[i].priority <= before)
			return &h->other_rules[i];
	return NULL;
}

static bool is_same(const struct culprit *a, const struct culprit *b)
{
	const struct kwgi_host_route *x = &a->first->way.match, *y = &b->first->way.match;

	if (a->rule || b->rule)
		return a->rule == b->rule;
	return a->first->way.error == b->first->way.error && kwgi_prefix_equal(&x->dst, &y->dst) &&
	       x->oif == y->oif && x->table == y->table;
}

static void put_table(struct kwgi_buf *b, uint32_t table)
{
	if (table == KWGI_TABLE_MAIN)
		kwgi_buf_puts(b, "main");
	else if (table == TABLE_DEFAULT)
		kwgi_buf_puts(b, "default");
	else
		kwgi_buf_putu(b, table);
}

static const char *link_name(const struct kwgi_host *h, uint32_t index)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(h, index);

	return l ? l->name : "another link";
}

static bool is_more_specific(const struct culprit *c)
{
	return !c->rule && c->first->way.match.dst.len > c->first->want->route.dst.len;
}

static void put_packets(struct kwgi_buf *b, const struct culprit *c, const struct kwgi_host *h)
{
	const struct kwgi_wanted_way *v = c->first;

	if (v->rule && *v->rule->iif)
		kwgi_buf_printf(b, "what comes out of %s for ", v->rule->iif);
	else
		kwgi_buf_puts(b, v->rule ? "what pods here send to " : "packets for ");
	kwgi_buf_prefix(b, is_more_specific(c) ? &v->way.match.dst : &v->want->route.dst);
	if (c->rule && c->more)
		kwgi_buf_printf(b, " and %u more", c->more);
	if (v->way.error)
		kwgi_buf_puts(b, " go nowhere");
	else if (v->way.route.oif != v->want->route.oif)
		kwgi_buf_printf(b, " leave by %s, not %s", link_name(h, v->way.route.oif),
				v->want->link);
	else
		kwgi_buf_printf(b, " leave by %s to another gateway", v->want->link);
}

/* As ip-route(8) takes it. */
static void put_route(struct kwgi_buf *b, const struct kwgi_host_route *r, const struct kwgi_host *h)
{
	kwgi_buf_prefix(b, &r->dst);
	if (r->oif)
		kwgi_buf_printf(b, " dev %s", link_name(h, r->oif));
	if (r->metric)
		kwgi_buf_printf(b, " metric %u", r->metric);
	kwgi_buf_puts(b, " table ");
	put_table(b, r->table);
}

static const char *ip_of(const struct kwgi_wanted_way *v)
{
	return v->way.to.family == KWGI_AF_V4 ? "ip" : "ip -6";
}

static void put_rule_remedy(struct kwgi_buf *b, const struct culprit *c)
{
	if (!c->first->rule)
		kwgi_buf_puts(b, "give that rule a number above 32766");
	else if (c->rule->priority)
		kwgi_buf_printf(b, "set rule-priority below %u in [local]", c->rule->priority);
	else
		kwgi_buf_puts(b, "give that rule a number above 0, and set rule-priority to a smaller one in [local]");
	kwgi_buf_printf(b, ", or take it away: %s rule del priority %u", ip_of(c->first),
			c->rule->priority);
}

static void tell_of_rule(const struct culprit *c, const struct kwgi_host *h, struct kwgi_findings *f)
{
	struct kwgi_buf text = { 0 }, remedy = { 0 };

	put_packets(&text, c, h);
	kwgi_buf_printf(&text, ": rule %u (lookup ", c->rule->priority);
	put_table(&text, c->rule->table);
	kwgi_buf_printf(&text, ") stands before that of %s", c->first->rule ? "kilowg" : "the main table");
	put_rule_remedy(&remedy, c);
	kwgi_findings_add(f, true, "way-rule", &text, &remedy);
}

static void tell_of_route(const struct culprit *c, const struct kwgi_host *h, struct kwgi_findings *f)
{
	const struct kwgi_host_route *r = &c->first->way.match;
	struct kwgi_buf text = { 0 }, remedy = { 0 };
	bool own = c->first->part && r->protocol == PROTOCOL_KERNEL;

	put_packets(&text, c, h);
	if (!r->dst.addr.family) {
		kwgi_buf_puts(&remedy, "a route or a policy rule of somebody else comes first: look at \"ip rule\" and \"ip route get ");
		kwgi_buf_addr(&remedy, &c->first->way.to);
		kwgi_buf_puts(&remedy, "\"");
		kwgi_findings_add(f, true, "way-route", &text, &remedy);
		return;
	}
	kwgi_buf_puts(&text, ": the route ");
	put_route(&text, r, h);
	kwgi_buf_printf(&text, " %s", is_more_specific(c) ? "is more specific" : "comes first");
	if (own)
		kwgi_buf_puts(&remedy, "if that network is not meant to be here, but behind the mesh, take its address off the link");
	else {
		kwgi_buf_printf(&remedy, "take it away: %s route del ", ip_of(c->first));
		put_route(&remedy, r, h);
	}
	kwgi_findings_add(f, !own, own ? "way-own-network" : "way-route", &text, &remedy);
}

/* Does it take packets from a route of ours in that table? */
static bool takes_from_ours(const struct kwgi_desired *w, const struct kwgi_host_route *r)
{
	uint32_t i;

	for (i = 0; i < w->n_routes; i++) {
		const struct kwgi_host_route *own = &w->routes[i].route;

		if (own->table == r->table && own->dst.addr.family == r->dst.addr.family &&
		    own->dst.len <= r->dst.len && kwgi_prefix_contains(&own->dst, &r->dst.addr))
			return true;
	}
	return false;
}

/*
 * A rule of ours leads all that pods send into the table, so that a route in it counts for them,
 * whatever it was meant for. It is not ours to remove.
 */
static void tell_of_stranger(const struct kwgi_host_route *r, const struct kwgi_desired *w,
			     const struct kwgi_host *h, struct kwgi_findings *f)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(h, r->oif);
	struct kwgi_buf text = { 0 }, remedy = { 0 };

	/* Another mesh of this host, for the same pods. */
	if (l && !strncmp(l->alias, "kilowg ", 7))
		return;
	kwgi_buf_puts(&text, "the route ");
	put_route(&text, r, h);
	kwgi_buf_printf(&text, " is of somebody else (protocol %u), in a table of kilowg, and so leads what pods here send",
			r->protocol);
	kwgi_buf_printf(&remedy, "take it away: %s route del ", r->dst.addr.family == KWGI_AF_V4 ? "ip" : "ip -6");
	put_route(&remedy, r, h);
	kwgi_buf_puts(&remedy, ", or give kilowg a table that nobody else has: route-table or default-route-table in [local]");
	kwgi_findings_add(f, takes_from_ours(w, r), "table-shared", &text, &remedy);
}

/* One that steps may take away. */
static bool is_passing(const struct kwgi_ways *s, const struct kwgi_host *h, const struct culprit *c)
{
	uint8_t protocol = c->first->way.match.protocol;

	return s->steps_due && !c->rule && kwgi_host_is_our_protocol(h, protocol);
}

void kwgi_ways_judge(const struct kwgi_ways *s, const struct kwgi_desired *w,
		     const struct kwgi_host *h, struct kwgi_findings *f)
{
	struct culprit v[CULPRITS_MAX], c;
	uint32_t i, j, n = 0;

	for (i = 0; i < s->n; i++) {
		if (kwgi_ways_is_right(&s->v[i]))
			continue;
		c = (struct culprit){ .first = &s->v[i], .rule = find_rule(h, &s->v[i]) };
		if (is_passing(s, h, &c))
			continue;
		for (j = 0; j < n && !is_same(&v[j], &c); j++)
			;
		if (j < n)
			v[j].more++;
		else if (n < CULPRITS_MAX)
			v[n++] = c;
	}
	for (j = 0; j < s->n_strangers; j++)
		tell_of_stranger(&s->strangers[j], w, h, f);
	for (j = 0; j < n; j++) {
		if (v[j].rule)
			tell_of_rule(&v[j], h, f);
		else
			tell_of_route(&v[j], h, f);
	}
}

void kwgi_ways_free(struct kwgi_ways *s)
{
	kwgi_arena_free(&s->arena);
	*s = (struct kwgi_ways){ 0 };
}
