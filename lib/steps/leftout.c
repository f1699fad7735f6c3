/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/whose.h"
#include "steps/leftout.h"
#include "steps/mtu.h"

static const char omitted[] = "omitted";

enum {
	TOLD_MAX = 50,		/* findings about single routes */
	PROTOCOL_KERNEL = 2,	/* linux/rtnetlink.h, RTPROT_KERNEL */
};

int kwgi_refusals_add(struct kwgi_refusals *r, const struct kwgi_host_route *route,
		      const char *why)
{
	struct kwgi_refusal *new;

	if (kwgi_arena_grow(&r->arena, &r->v, r->n, &r->cap, sizeof(*r->v)))
		return -1;
	new = &r->v[r->n++];
	new->route = *route;
	snprintf(new->why, sizeof(new->why), "%s", why);
	return 0;
}

void kwgi_refusals_free(struct kwgi_refusals *r)
{
	kwgi_arena_free(&r->arena);
	*r = (struct kwgi_refusals){ 0 };
}

/* Why a route is left out; the first that applies. */
struct reason {
	const struct kwgi_host_route *rival;
	const struct kwgi_vital *vital;
	const struct kwgi_refusal *refusal;
	bool ipv6;
};

struct work {
	struct kwgi_desired *w;
	const struct kwg_plan *plan;
	const struct kwgi_host *h;
	const struct kwgi_vitals *vitals;
	struct kwgi_findings *f;
	struct kwgi_arena *a;
	struct reason *reasons;		/* of w->routes */
	uint32_t told, untold;
};

static const char *name_of(const struct kwgi_host *h, uint32_t ifindex)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(h, ifindex);

	return l ? l->name : "another link";
}

/* ---- rivals ---------------------------------------------------------- */

static int by_route(const void *a, const void *b)
{
	return kwgi_host_route_cmp(*(const struct kwgi_host_route *const *)a,
				   *(const struct kwgi_host_route *const *)b);
}

static const struct kwgi_host_route *find(const struct kwgi_host_route **v, uint32_t n,
					  const struct kwgi_host_route *key)
{
	const struct kwgi_host_route **found = n ? bsearch(&key, v, n, sizeof(struct kwgi_host_route *), by_route)
						 : NULL;

	return found ? *found : NULL;
}

/* The kernel has one route for a destination and metric, unless one is put beside it on purpose. */
static int find_rivals(struct work *k)
{
	const struct kwgi_host *h = k->h;
	const struct kwgi_host_route **own = kwgi_arena_alloc(k->a, h->n_routes + 1u, sizeof(struct kwgi_host_route *));
	const struct kwgi_host_route **others = kwgi_arena_alloc(k->a, h->n_others + 1u, sizeof(struct kwgi_host_route *));
	uint32_t i;

	if (!own || !others)
		return -1;
	for (i = 0; i < h->n_routes; i++)
		own[i] = &h->routes[i];
	for (i = 0; i < h->n_others; i++)
		others[i] = &h->others[i].route;
	if (h->n_routes)
		qsort(own, h->n_routes, sizeof(struct kwgi_host_route *), by_route);
	if (h->n_others)
		qsort(others, h->n_others, sizeof(struct kwgi_host_route *), by_route);
	for (i = 0; i < k->w->n_routes; i++)
		if (!find(own, h->n_routes, &k->w->routes[i].route))
			k->reasons[i].rival = find(others, h->n_others, &k->w->routes[i].route);
	return 0;
}

/* ---- vitals ---------------------------------------------------------- */

static int find_covered(struct work *k)
{
	const struct kwgi_vital **by = kwgi_arena_alloc(k->a, k->w->n_routes + 1u, sizeof(struct kwgi_vital *));
	uint32_t i;

	if (!by || kwgi_vitals_judge(k->vitals, k->w, k->plan, by))
		return -1;
	for (i = 0; i < k->w->n_routes; i++)
		k->reasons[i].vital = by[i];
	return 0;
}

static void find_refused(struct work *k, const struct kwgi_refusals *refusals)
{
	uint32_t i, j;

	for (j = 0; refusals && j < refusals->n; j++)
		for (i = 0; i < k->w->n_routes; i++)
			if (!kwgi_host_route_cmp(&k->w->routes[i].route, &refusals->v[j].route))
				k->reasons[i].refusal = &refusals->v[j];
}

/* ---- IPv6 ------------------------------------------------------------ */

static bool lacks_ipv6(const struct work *k, const char *link)
{
	const struct kwgi_link *l = kwgi_host_link(k->h, link);
	uint32_t mtu = !strcmp(link, k->w->ifname) ? k->w->mtu : !strcmp(link, k->w->tunnel.name) ? k->w->tunnel.mtu : 0;

	if (k->vitals->no_ipv6 || (mtu && mtu < KWGI_MTU_MIN_V6))
		return true;
	/* One whose MTU is too small now gets IPv6 with a larger one, as new ones do. */
	if (!l || (mtu && l->mtu < KWGI_MTU_MIN_V6))
		return k->vitals->no_ipv6_on_new;
	return !l->ipv6;
}

static void find_ipv6(struct work *k)
{
	uint32_t i;

	for (i = 0; i < k->w->n_routes; i++)
		if (k->w->routes[i].route.dst.addr.family == KWGI_AF_V6)
			k->reasons[i].ipv6 = lacks_ipv6(k, k->w->routes[i].link);
}

/* Nor can rules be made, if the kernel does not know the family. */
static void leave_out_rules(struct work *k)
{
	uint32_t i, n = 0;

	for (i = 0; i < k->w->n_rules; i++)
		if (k->w->rules[i].family != KWGI_AF_V6 || !k->vitals->no_ipv6)
			k->w->rules[n++] = k->w->rules[i];
	k->w->n_rules = n;
}

static void leave_out_neighs(struct kwgi_desired_tunnel *t)
{
	uint32_t i, n = 0;

	for (i = 0; i < t->n_neighs; i++)
		if (t->neighs[i].fdb || t->neighs[i].addr.family != KWGI_AF_V6)
			t->neighs[n++] = t->neighs[i];
	t->n_neighs = n;
}

static void leave_out_addresses(struct work *k)
{
	struct kwgi_desired *w = k->w;

	if (w->addr.addr.family == KWGI_AF_V6 && lacks_ipv6(k, w->ifname)) {
		kwgi_findings_say(k->f, true, omitted,
				  "%s gets no address, for that would be of IPv6, which is disabled there; sysctl -w net.ipv6.conf.%s.disable_ipv6=0",
				  w->ifname, w->ifname);
		w->addr = (struct kwgi_prefix){ 0 };
	}
	if (*w->tunnel.name && lacks_ipv6(k, w->tunnel.name)) {
		leave_out_neighs(&w->tunnel);
		if (w->tunnel.addr.addr.family == KWGI_AF_V6)
			w->tunnel.addr = (struct kwgi_prefix){ 0 };
	}
}

/* The command that helps, for the link. */
static void put_ipv6_remedy(struct kwgi_buf *b, const struct work *k, const char *link)
{
	const struct kwgi_link *l = kwgi_host_link(k->h, link);

	if (k->vitals->no_ipv6)
		kwgi_buf_puts(b, "start this host with IPv6 (without ipv6.disable=1)");
	else if (l && l->mtu && l->mtu < KWGI_MTU_MIN_V6)
		kwgi_buf_printf(b, "IPv6 needs an MTU of %d: ip link set %s mtu %d, and the same where that is configured",
				KWGI_MTU_MIN_V6, link, KWGI_MTU_MIN_V6);
	else
		kwgi_buf_printf(b, "sysctl -w net.ipv6.conf.%s.disable_ipv6=0", l ? link : "default");
}

/* One finding for a link, however many routes there are. */
static void tell_of_ipv6(struct work *k, uint32_t first)
{
	const char *link = k->w->routes[first].link;
	struct kwgi_buf text = { 0 }, remedy = { 0 };
	uint32_t i, n = 0;

	for (i = 0; i < first; i++)
		if (k->reasons[i].ipv6 && !strcmp(k->w->routes[i].link, link))
			return;
	for (; i < k->w->n_routes; i++)
		n += k->reasons[i].ipv6 && !strcmp(k->w->routes[i].link, link);
	kwgi_buf_printf(&text, "%s has no IPv6, so ", link);
	kwgi_buf_prefix(&text, &k->w->routes[first].route.dst);
	if (n > 1)
		kwgi_buf_printf(&text, " and %u more are", n - 1);
	else
		kwgi_buf_puts(&text, " is");
	kwgi_buf_puts(&text, " left out");
	put_ipv6_remedy(&remedy, k, link);
	kwgi_findings_add(k->f, true, omitted, &text, &remedy);
}

/* ---- words ----------------------------------------------------------- */

static void put_whose(struct kwgi_buf *b, const struct work *k, const struct kwgi_prefix *dst)
{
	struct kwgi_whose whose;

	if (!kwgi_whose_find(&whose, k->plan, dst))
		return;
	kwgi_buf_puts(b, ", ");
	kwgi_whose_put(b, &whose, k->plan);
	kwgi_buf_putc(b, ',');
}

static void tell_of_rival(struct work *k, const struct kwgi_host_route *r,
			  const struct kwgi_host_route *rival)
{
	struct kwgi_buf text = { 0 }, remedy = { 0 };
	const char *protocol = kwgi_route_protocol_name(rival->protocol);

	kwgi_buf_prefix(&text, &r->dst);
	put_whose(&text, k, &r->dst);
	kwgi_buf_puts(&text, " is left out: it stays with ");
	kwgi_buf_puts(&text, name_of(k->h, rival->oif));
	if (rival->gw.family) {
		kwgi_buf_puts(&text, " via ");
		kwgi_buf_addr(&text, &rival->gw);
	}
	if (protocol)
		kwgi_buf_printf(&text, ", proto %s", protocol);
	else
		kwgi_buf_printf(&text, ", proto %u", rival->protocol);
	/* That of the kernel comes with the host's own address. */
	if (rival->protocol != PROTOCOL_KERNEL) {
		kwgi_buf_puts(&remedy, "remove that route (ip route del ");
		kwgi_buf_prefix(&remedy, &rival->dst);
		kwgi_buf_printf(&remedy, " dev %s), or ", name_of(k->h, rival->oif));
	}
	kwgi_buf_puts(&remedy, "take the network out of the file");
	kwgi_findings_add(k->f, true, omitted, &text, &remedy);
}

static void put_vital(struct kwgi_buf *b, const struct work *k, const struct kwgi_host_route *r,
		      const struct kwgi_vital *v)
{
	static const char *const words[KWGI_N_VITALS] = {
		[KWGI_VITAL_NETWORK] = "is a network of this host",
		[KWGI_VITAL_GATEWAY] = "is this host's default gateway",
		[KWGI_VITAL_NEIGHBOUR] = "is a neighbour of this host",
		[KWGI_VITAL_NAME_SERVER] = "is this host's name server",
		[KWGI_VITAL_CLIENT] = "is where this session comes from",
		[KWGI_VITAL_KEPT] = "is to be kept reachable",
		[KWGI_VITAL_ENDPOINT] = "is where WireGuard's own packets go to",
	};
	const struct kwgi_host_route *way = kwgi_vitals_way(k->vitals, v);

	if (kwgi_prefix_equal(&r->dst, &v->net))
		kwgi_buf_puts(b, "it");
	else
		kwgi_buf_addr(b, &v->net.addr);
	kwgi_buf_printf(b, " %s", words[v->kind]);
	if (v->kind == KWGI_VITAL_ENDPOINT)
		kwgi_buf_printf(b, ", for %.100s", v->name);
	if (way)
		kwgi_buf_printf(b, ", over %s", name_of(k->h, way->oif));
}

static void tell_of_vital(struct work *k, const struct kwgi_host_route *r,
			  const struct kwgi_vital *v)
{
	struct kwgi_buf text = { 0 }, remedy = { 0 };

	kwgi_buf_prefix(&text, &r->dst);
	put_whose(&text, k, &r->dst);
	kwgi_buf_puts(&text, " is left out: ");
	put_vital(&text, k, r, v);
	kwgi_buf_puts(&remedy, "take the network out of the file, or permit it: allow-cover = ");
	kwgi_buf_prefix(&remedy, &r->dst);
	kwgi_buf_puts(&remedy, " in [local]");
	kwgi_findings_add(k->f, true, omitted, &text, &remedy);
}

static void tell_of_refusal(struct work *k, const struct kwgi_host_route *r,
			    const struct kwgi_refusal *refusal)
{
	struct kwgi_buf text = { 0 };

	kwgi_buf_prefix(&text, &r->dst);
	put_whose(&text, k, &r->dst);
	kwgi_buf_printf(&text, " is left out: %s", refusal->why);
	kwgi_findings_add(k->f, true, omitted, &text, NULL);
}

static void tell(struct work *k, uint32_t i)
{
	const struct kwgi_host_route *r = &k->w->routes[i].route;
	const struct reason *why = &k->reasons[i];

	if (why->ipv6) {
		tell_of_ipv6(k, i);
		return;
	}
	if (k->told == TOLD_MAX) {
		k->untold++;
		return;
	}
	k->told++;
	if (why->vital)
		tell_of_vital(k, r, why->vital);
	else if (why->rival)
		tell_of_rival(k, r, why->rival);
	else
		tell_of_refusal(k, r, why->refusal);
}

/* ---- the whole ------------------------------------------------------- */

static bool is_out(const struct reason *r)
{
	return r->rival || r->vital || r->refusal || r->ipv6;
}

static void leave_out_routes(struct work *k)
{
	struct kwgi_desired *w = k->w;
	uint32_t i, n = 0;

	for (i = 0; i < w->n_routes; i++)
		if (is_out(&k->reasons[i]))
			tell(k, i);
	if (k->untold)
		kwgi_findings_say(k->f, true, omitted, "%u more networks are left out", k->untold);
	for (i = 0; i < w->n_routes; i++)
		if (!is_out(&k->reasons[i]))
			w->routes[n++] = w->routes[i];
	w->n_routes = n;
}

static void tell_of_internal_ip(const struct work *k)
{
	const struct kwgi_node *n = k->plan->node;
	char place[KWGI_PLACE_TEXT], addr[KWGI_ADDR_TEXT];

	if (!k->w->no_internal_ip)
		return;
	kwgi_findings_say(k->f, true, omitted,
			  "no interface of this host has %s, the internal-ip of node %s (%s), so the routes to the others of its location are left out (%u); give this host that address, or the node another one",
			  kwgi_addr_format(addr, &n->internal_ip.addr), n->name,
			  kwgi_diags_place(&k->plan->cfg->diags, place, n->internal_ip_at),
			  k->w->n_without_internal_ip);
}

/* A network that is not led into the mesh must not be closed either, where the host depends on it. */
int kwgi_leave_out_closed(struct kwgi_desired *w, const struct kwg_plan *plan,
			  const struct kwgi_vitals *vitals)
{
	struct kwgi_desired closed = { .n_routes = w->n_closed };
	const struct kwgi_vital **by = kwgi_arena_alloc(&w->arena, w->n_closed + 1u, sizeof(struct kwgi_vital *));
	bool no_ipv6 = vitals->no_ipv6 || vitals->no_ipv6_on_new;
	uint32_t i, n = 0;

	closed.routes = kwgi_arena_alloc(&w->arena, w->n_closed + 1u, sizeof(*closed.routes));
	if (!by || !closed.routes)
		return -1;
	for (i = 0; i < w->n_closed; i++)
		closed.routes[i].route = w->closed[i];
	if (kwgi_vitals_judge(vitals, &closed, plan, by))
		return -1;
	for (i = 0; i < w->n_closed; i++)
		if (!by[i] && !(no_ipv6 && w->closed[i].dst.addr.family == KWGI_AF_V6))
			w->closed[n++] = w->closed[i];
	w->n_closed = n;
	return 0;
}

int kwgi_leave_out(struct kwgi_desired *w, const struct kwg_plan *plan, const struct kwgi_host *h,
		   const struct kwgi_vitals *vitals, const struct kwgi_refusals *refusals,
		   struct kwgi_findings *f)
{
	struct kwgi_arena a = { 0 };
	struct work k = { w, plan, h, vitals, f, &a, NULL, 0, 0 };
	int ret = -1;

	k.reasons = kwgi_arena_alloc(&a, w->n_routes + 1u, sizeof(*k.reasons));
	if (k.reasons && !find_rivals(&k) && !find_covered(&k) && !kwgi_leave_out_closed(w, plan, vitals)) {
		find_refused(&k, refusals);
		find_ipv6(&k);
		tell_of_internal_ip(&k);
		leave_out_routes(&k);
		leave_out_rules(&k);
		leave_out_addresses(&k);
		ret = f->failed ? -1 : 0;
	}
	kwgi_arena_free(&a);
	return ret;
}
