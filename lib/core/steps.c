/* SPDX-License-Identifier: ISC */
/*
 * The difference between what is wanted and what a host has. Each diff_*()
 * function looks at one kind of object and appends to one of two lists: what
 * makes, and what breaks. Making comes first.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/prefixset.h"
#include "core/wanted.h"

struct diff {
	struct kwgi_steps *s;
	const struct kwgi_wanted *w;
	const struct kwgi_host *h;
	const struct kwgi_link *link;	/* the WireGuard link, NULL if it is not there */
	struct kwgi_prefixset owners;	/* allowed IPs of the device, value: index of the peer */
	struct kwgi_step *breaks;	/* what goes away, carried out after the rest */
	uint32_t n_breaks, breaks_cap;
	bool failed;
};

static void append(struct diff *d, struct kwgi_step **v, uint32_t *n, uint32_t *cap,
		   const struct kwgi_step *step)
{
	if (kwgi_arena_grow(&d->s->arena, v, *n, cap, sizeof(**v))) {
		d->failed = true;
		return;
	}
	(*v)[(*n)++] = *step;
}

static void make(struct diff *d, const struct kwgi_step *step)
{
	append(d, &d->s->v, &d->s->n, &d->s->cap, step);
}

static void break_later(struct diff *d, const struct kwgi_step *step)
{
	append(d, &d->breaks, &d->n_breaks, &d->breaks_cap, step);
}

static bool is_ours(const struct diff *d, const struct kwgi_link *l)
{
	return kwgi_mark_is_ours(l->alias, d->w->mesh);
}

/* A link that a crash left between being made and being marked. */
static bool is_unfinished(const struct diff *d, const struct kwgi_link *l)
{
	const char *ifname = d->w->ifname ? d->w->ifname : d->w->old_ifname;
	char name[KWGI_IFNAME_MAX + 1];

	if (kwgi_host_is_starting(d->h, l))
		return true;
	if (!ifname || *l->alias)
		return false;
	kwgi_mark_unfinished_name(name, ifname);
	return !strcmp(l->name, name);
}

/* ---- links that make room --------------------------------------------- */

/* A link of ours that is up and not the wanted one: it needs the port of that. */
static bool is_set_down(const struct diff *d, const struct kwgi_link *l)
{
	return d->w->ifname && l != d->link && l->up && is_ours(d, l);
}

static void take_routes(struct diff *d, const struct kwgi_link *l)
{
	const struct kwgi_host *h = d->h;
	uint32_t i;

	for (i = 0; i < h->n_routes; i++)
		if (h->routes[i].oif == l->index)
			make(d, &(struct kwgi_step){
				.kind = KWGI_STEP_ROUTE_DEL, .link = l->name,
				.u.route = { .old = h->routes[i] } });
}

static void take_addrs(struct diff *d, const struct kwgi_link *l)
{
	const struct kwgi_host *h = d->h;
	uint32_t i;

	/* Backwards, so that the first one of a subnet is the first again once this is undone. */
	for (i = h->n_addrs; i-- > 0;)
		if (h->addrs[i].ifindex == l->index && !h->addrs[i].auto_made)
			make(d, &(struct kwgi_step){ .kind = KWGI_STEP_ADDR_DEL, .link = l->name,
						     .u.addr = { h->addrs[i].prefix } });
}

/* Routes, and IPv6 addresses, would go by themselves, but not come back when it is up again. */
static void set_down(struct diff *d, const struct kwgi_link *l)
{
	take_routes(d, l);
	/* Those of a link that stays are for diff_addrs(). */
	if (!kwgi_mark_is_adopted(l->alias))
		take_addrs(d, l);
	make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_DOWN, .link = l->name });
}

/*
 * The old link is kept under another name, with its keys and peers, until all
 * the rest is done: if that fails, it is as it was when it has its name back
 * and is up. Down it needs no UDP port; a daemon hears of that some time later.
 */
static void set_aside(struct diff *d, const struct kwgi_link *l)
{
	const struct kwgi_host_wg *wg = &d->h->aside_wg;
	char *name = kwgi_arena_alloc(&d->s->arena, KWGI_IFNAME_MAX + 1, 1);

	if (!name) {
		d->failed = true;
		return;
	}
	kwgi_mark_aside_name(name, l->name);
	if (is_set_down(d, l))
		set_down(d, l);
	if (wg->userspace && wg->port)
		make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_WG_DEVICE, .link = l->name, .parts = KWGI_WG_PORT,
			.u.wg = { .old = { wg->private_key, wg->port, wg->fwmark } } });
	make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_NAME, .link = l->name,
				     .u.link_name = { name } });
	break_later(d, &(struct kwgi_step){
		.kind = KWGI_STEP_LINK_DEL, .link = name, .label = l->name,
		.u.link_alias = { .old_alias = l->alias, .kind = l->kind } });
}

/* First of all links, so that what cannot be undone is last of all. */
static void diff_aside(struct diff *d)
{
	uint32_t i;

	for (i = 0; i < d->h->n_links; i++)
		if (d->h->links[i].aside)
			set_aside(d, &d->h->links[i]);
}

/* Left by a crash under the name that set_aside() needs. */
static bool is_in_the_way(const struct diff *d, const struct kwgi_link *l)
{
	char name[KWGI_IFNAME_MAX + 1];

	if (!d->w->ifname)
		return false;
	kwgi_mark_aside_name(name, d->w->ifname);
	return !strcmp(l->name, name);
}

/* ---- links ----------------------------------------------------------- */

static const char *name_of(const struct diff *d, uint32_t ifindex)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(d->h, ifindex);

	return l ? l->name : "?";
}

/*
 * What we set on a WireGuard device that stays: key, UDP port and peers. The
 * port goes first if the wanted interface may need it.
 */
static void empty_device(struct diff *d, const struct kwgi_link *l)
{
	const struct kwgi_host_wg *wg = &d->h->old_wg;
	struct kwgi_step reset = {
		.kind = KWGI_STEP_WG_DEVICE, .link = l->name,
		.u.wg = { .old = { wg->private_key, wg->port, wg->fwmark } },
	};
	uint32_t i;

	if (!kwgi_key_is_zero(&wg->public_key))
		reset.parts |= KWGI_WG_PRIVATE_KEY;
	if (wg->port)
		reset.parts |= KWGI_WG_PORT;
	if (wg->fwmark)
		reset.parts |= KWGI_WG_FWMARK;
	if (reset.parts && d->w->ifname)
		make(d, &reset);
	else if (reset.parts)
		break_later(d, &reset);
	for (i = 0; i < wg->n_peers; i++)
		break_later(d, &(struct kwgi_step){
			.kind = KWGI_STEP_PEER_DEL, .link = l->name,
			.u.peer = { .old = &wg->peers[i] } });
}

/* Sets a link that stays down and takes off it what we put there. */
static void empty_link(struct diff *d, const struct kwgi_link *l)
{
	struct kwgi_step down = { .kind = KWGI_STEP_LINK_DOWN, .link = l->name };

	if (is_set_down(d, l))
		set_down(d, l);
	else if (l->up)
		break_later(d, &down);
	if (!strcmp(l->name, d->h->old_ifname))
		empty_device(d, l);
}

/* Leaves a link to whoever made it: the mark goes last, so that a crash before finds it again. */
static void give_back(struct diff *d, const struct kwgi_link *l)
{
	break_later(d, &(struct kwgi_step){
		.kind = KWGI_STEP_LINK_ALIAS, .link = l->name,
		.u.link_alias = { .alias = "", .old_alias = l->alias } });
	empty_link(d, l);
}

/* The kernel gives the port of a link that is set down back at once, a daemon some time later. */
static void free_port(struct diff *d, const struct kwgi_link *l)
{
	const struct kwgi_host_wg *wg = &d->h->old_wg;

	if (!d->w->ifname || strcmp(l->name, d->h->old_ifname) || wg->port != d->w->wg.port)
		return;
	make(d, &(struct kwgi_step){
		.kind = KWGI_STEP_WG_DEVICE, .link = l->name, .parts = KWGI_WG_PORT,
		.u.wg = { .old = { wg->private_key, wg->port, wg->fwmark } } });
}

/*
 * A link that carries our mark but is not the wanted one: renamed by somebody,
 * or left from a configuration with another interface name. Set down it frees
 * the UDP port that the new one needs; it goes when all else is done.
 */
static void diff_leftover(struct diff *d, const struct kwgi_link *l)
{
	struct kwgi_step del = { .kind = KWGI_STEP_LINK_DEL, .link = l->name,
				 .u.link_alias = { .old_alias = l->alias, .kind = l->kind } };

	/* Its name is needed for the next link that is made, or renamed. */
	if (is_unfinished(d, l) || l->replaced || is_in_the_way(d, l)) {
		make(d, &del);
		return;
	}
	if (kwgi_mark_is_adopted(l->alias)) {
		give_back(d, l);
		return;
	}
	if (d->w->keep_link) {
		empty_link(d, l);
		return;
	}
	if (is_set_down(d, l))
		set_down(d, l);
	free_port(d, l);
	break_later(d, &del);
}

static int check_foreign(struct diff *d, struct kwg_error *err)
{
	const struct kwgi_wanted *w = d->w;

	if (!d->link || is_ours(d, d->link) || kwgi_host_is_starting(d->h, d->link))
		return 0;
	if (w->create)
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "%s: the interface exists but was not made by kilowg; set create-interface = no to use it, or give another interface name",
				 w->ifname);
	if (*d->link->alias)
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "%s: the interface carries the alias \"%.100s\" of somebody else; remove it to let kilowg use the interface",
				 w->ifname, d->link->alias);
	return 0;
}

static void diff_mark(struct diff *d)
{
	const struct kwgi_wanted *w = d->w;
	bool adopted = is_ours(d, d->link) ? kwgi_mark_is_adopted(d->link->alias)
					   : kwgi_mark_is_adopted(w->alias);
	char *alias = kwgi_arena_alloc(&d->s->arena, KWGI_ALIAS_MAX, 1);

	if (!alias) {
		d->failed = true;
		return;
	}
	/* Who made a link is remembered, whatever the configuration says now. */
	kwgi_mark_format(alias, w->mesh, w->protocol, w->wg.port, adopted);
	if (strcmp(d->link->alias, alias))
		make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_LINK_ALIAS, .link = w->ifname,
			.u.link_alias = { .alias = alias, .old_alias = d->link->alias } });
}

static void make_link(struct diff *d)
{
	const struct kwgi_wanted *w = d->w;
	struct kwgi_step step = { .kind = KWGI_STEP_LINK_ADD, .link = w->ifname,
				  .u.link_alias = { .alias = w->alias, .kind = "wireguard" } };

	if (!w->create) {
		step.kind = KWGI_STEP_LINK_WAIT;
	} else if (w->userspace) {
		step.kind = KWGI_STEP_LINK_DAEMON;
		step.label = w->program;
		step.u.link_alias.kind = "tun";
	}
	make(d, &step);
}

static void diff_links(struct diff *d)
{
	const struct kwgi_wanted *w = d->w;
	uint32_t i;

	diff_aside(d);
	for (i = 0; i < d->h->n_links; i++) {
		const struct kwgi_link *l = &d->h->links[i];

		if (l != d->link && !l->aside && (is_ours(d, l) || is_unfinished(d, l)))
			diff_leftover(d, l);
	}
	if (!w->ifname)
		return;
	if (!d->link)
		make_link(d);
	else
		diff_mark(d);
	if (w->mtu && (!d->link || d->link->mtu != w->mtu))
		make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_LINK_MTU, .link = w->ifname,
			.u.link_mtu = { w->mtu, d->link ? d->link->mtu : 0 } });
}

static void diff_up(struct diff *d)
{
	bool up = d->link && d->link->up;

	if (!d->w->ifname || up == d->w->up)
		return;
	if (d->w->up)
		make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_UP, .link = d->w->ifname });
	else
		break_later(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_DOWN,
						    .link = d->w->ifname });
}

/* ---- addresses ------------------------------------------------------- */

/* Is an address on a link of ours one that we set? On an adopted link only those of the mesh. */
static bool is_our_addr(const struct diff *d, const struct kwgi_host_addr *a,
			const struct kwgi_link *l)
{
	if (a->auto_made || !is_ours(d, l))
		return false;
	return !kwgi_mark_is_adopted(l->alias) ||
	       kwgi_prefix_contains(&d->w->subnet, &a->prefix.addr);
}

static bool has_wanted_addr(const struct diff *d)
{
	uint32_t i;

	for (i = 0; d->link && i < d->h->n_addrs; i++)
		if (d->h->addrs[i].ifindex == d->link->index &&
		    kwgi_prefix_equal(&d->h->addrs[i].prefix, &d->w->addr))
			return true;
	return false;
}

/*
 * Where an IPv4 address goes away, the kernel takes along those that came
 * later in the same subnet (net/ipv4/devinet.c, __inet_del_ifa), so the old
 * one has to go before the new one comes.
 */
static void remove_addr(struct diff *d, const struct kwgi_host_addr *a, const struct kwgi_link *l,
			bool add)
{
	struct kwgi_step step = { .kind = KWGI_STEP_ADDR_DEL, .link = l->name,
				  .u.addr = { a->prefix } };

	if (add && l == d->link && a->prefix.addr.family == KWGI_AF_V4)
		make(d, &step);
	else
		break_later(d, &step);
}

static void diff_addrs(struct diff *d)
{
	const struct kwgi_wanted *w = d->w;
	bool add = w->addr.addr.family && !has_wanted_addr(d);
	uint32_t i;

	for (i = 0; i < d->h->n_addrs; i++) {
		const struct kwgi_host_addr *a = &d->h->addrs[i];
		const struct kwgi_link *l = kwgi_host_link_by_index(d->h, a->ifindex);

		if (!l || !is_our_addr(d, a, l) ||
		    (l == d->link && kwgi_prefix_equal(&a->prefix, &w->addr)))
			continue;
		/* Those of a link that goes away go with it. */
		if (l == d->link || kwgi_mark_is_adopted(l->alias) || w->keep_link)
			remove_addr(d, a, l, add);
	}
	if (add)
		make(d, &(struct kwgi_step){ .kind = KWGI_STEP_ADDR_ADD, .link = w->ifname,
					     .u.addr = { w->addr } });
}

/* ---- routes ---------------------------------------------------------- */

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
	return a->oif == b->oif && a->onlink == b->onlink && kwgi_addr_equal(&a->gw, &b->gw) &&
	       kwgi_addr_equal(&a->src, &b->src);
}

static void diff_route(struct diff *d, const struct kwgi_wanted_route *want,
		       const struct kwgi_host_route *have)
{
	struct kwgi_step step = { .kind = KWGI_STEP_ROUTE_ADD, .link = want->link,
				  .u.route = { .route = want->route } };

	if (have && same_way(&want->route, have))
		return;
	if (have) {
		step.kind = KWGI_STEP_ROUTE_CHANGE;
		step.u.route.old = *have;
	}
	make(d, &step);
}

/* Is the route there when others are made? It goes with a link that makes room. */
static bool is_kept_route(const struct diff *d, const struct kwgi_host_route *r)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(d->h, r->oif);

	return !l || !(l->replaced || is_set_down(d, l));
}

static void diff_routes(struct diff *d)
{
	const struct kwgi_host *h = d->h;
	const struct kwgi_host_route **have, *key, **found;
	uint32_t i, n = 0;
	bool *used;

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
			break_later(d, &(struct kwgi_step){
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

static void diff_rules(struct diff *d)
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
			make(d, &(struct kwgi_step){ .kind = KWGI_STEP_RULE_ADD, .link = "",
						     .u.rule = { *key } });
	}
	for (i = 0; i < h->n_rules; i++)
		if (!used[i])
			break_later(d, &(struct kwgi_step){ .kind = KWGI_STEP_RULE_DEL, .link = "",
							    .u.rule = { *have[i] } });
}

/* ---- firewall -------------------------------------------------------- */

/*
 * Two meshes do not share a route protocol (check_rivals), so a firewall with
 * ours is left from a mesh that had another name, unless that still has a link.
 */
static bool is_left(const char *mark, const void *arg)
{
	const struct diff *d = arg;
	uint32_t i;

	if (kwgi_mark_is_ours(mark, d->w->mesh))
		return true;
	if (!kwgi_mark_is_rival(mark, d->w->mesh) ||
	    kwgi_mark_number(mark, " protocol=") != d->w->protocol)
		return false;
	for (i = 0; i < d->h->n_links; i++)
		if (kwgi_mark_is_rival(d->h->links[i].alias, d->w->mesh) &&
		    kwgi_mark_number(d->h->links[i].alias, " protocol=") == d->w->protocol)
			return false;
	return true;
}

static bool same_shape(const struct kwgi_nft_shape *a, const struct kwgi_nft_shape *b)
{
	return a->sets == b->sets && a->chains == b->chains && a->rules == b->rules &&
	       a->elements == b->elements && a->sum == b->sum && a->altered == b->altered &&
	       a->last_handle == b->last_handle;
}

static int diff_firewall(struct diff *d, struct kwg_error *err)
{
	const struct kwgi_nft_table *want = d->w->table, *have = NULL;
	uint32_t i;

	for (i = 0; i < d->h->n_tables; i++) {
		const struct kwgi_nft_table *t = &d->h->tables[i];

		if (want && !strcmp(t->name, want->name))
			have = t;
		else if (is_left(t->mark, d))
			break_later(d, &(struct kwgi_step){ .kind = KWGI_STEP_FIREWALL, .link = "",
							    .u.firewall = { .old = t } });
	}
	if (have && !kwgi_mark_is_ours(have->mark, d->w->mesh))
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "the nftables table inet %.100s was not made by kilowg; remove it, or set firewall = none",
				 have->name);
	if (want && (!have || strcmp(have->mark, want->mark) ||
		     !same_shape(&have->shape, &want->shape)))
		make(d, &(struct kwgi_step){ .kind = KWGI_STEP_FIREWALL, .link = "",
					     .u.firewall = { want, have } });
	return 0;
}

/* What is there of ours in one family and program, and what is wanted there. */
static void diff_ruleset(struct diff *d, const struct kwgi_ipt_rules *want,
			 const struct kwgi_ipt_rules *all)
{
	struct kwgi_ipt_rules *have = kwgi_arena_alloc(&d->s->arena, 1, sizeof(*have));
	struct kwgi_step step = { .kind = KWGI_STEP_IPTABLES, .link = "" };

	if (!have || kwgi_ipt_pick(have, &d->s->arena, all, d->w->ifname, is_left, d)) {
		d->failed = true;
		return;
	}
	step.u.iptables.rules = want;
	step.u.iptables.old = kwgi_ipt_is_empty(have) ? NULL : have;
	if (!want && step.u.iptables.old)
		break_later(d, &step);
	else if (want && !kwgi_ipt_equal(want, have))
		make(d, &step);
}

static void diff_iptables(struct diff *d)
{
	const struct kwgi_ipt_rules *want;
	uint32_t i, j;

	for (i = 0; i < d->h->n_iptables; i++) {
		const struct kwgi_ipt_rules *all = &d->h->iptables[i];

		for (want = NULL, j = 0; j < d->w->n_iptables; j++)
			if (d->w->iptables[j].family == all->family &&
			    d->w->iptables[j].variant == all->variant)
				want = &d->w->iptables[j];
		diff_ruleset(d, want, all);
	}
}

/* ---- WireGuard ------------------------------------------------------- */

static void diff_device(struct diff *d)
{
	const struct kwgi_wanted *w = d->w;
	const struct kwgi_host_wg *have = &d->h->wg;
	struct kwgi_step step = { .kind = KWGI_STEP_WG_DEVICE, .link = w->ifname,
				  .u.wg = { .conf = w->wg } };

	/* Public keys are compared: some daemons never give the private one back. */
	if (kwgi_key_cmp(&w->public_key, &have->public_key))
		step.parts |= KWGI_WG_PRIVATE_KEY;
	if (w->wg.port != have->port)
		step.parts |= KWGI_WG_PORT;
	if (w->wg.fwmark != have->fwmark)
		step.parts |= KWGI_WG_FWMARK;
	step.u.wg.old.private_key = have->private_key;
	step.u.wg.old.port = have->port;
	step.u.wg.old.fwmark = have->fwmark;
	if (step.parts)
		make(d, &step);
}

/* Are all of a's allowed IPs among b's? Both in order. */
static bool is_subset(const struct kwgi_host_peer *a, const struct kwgi_host_peer *b)
{
	uint32_t i, j = 0;

	for (i = 0; i < a->n_allowed_ips; i++, j++) {
		while (j < b->n_allowed_ips &&
		       kwgi_prefix_cmp(&b->allowed_ips[j], &a->allowed_ips[i]) < 0)
			j++;
		if (j == b->n_allowed_ips ||
		    !kwgi_prefix_equal(&b->allowed_ips[j], &a->allowed_ips[i]))
			return false;
	}
	return true;
}

static bool same_endpoint(const struct kwgi_endpoint *a, const struct kwgi_endpoint *b)
{
	return a->port == b->port && kwgi_addr_equal(&a->addr, &b->addr);
}

static uint32_t differing_parts(const struct kwgi_wanted_peer *want,
				const struct kwgi_host_peer *have)
{
	const struct kwgi_host_peer *p = &want->peer;
	uint32_t parts = 0;

	/*
	 * WireGuard learns where a peer really is. What it knows stays if the
	 * peer moves about (it has a keepalive, as in Kilo), or if there is
	 * nothing better to say.
	 */
	if (p->endpoint.port && !same_endpoint(&p->endpoint, &have->endpoint) &&
	    !(want->keep_endpoint && have->endpoint.port))
		parts |= KWGI_WG_ENDPOINT;
	if (p->keepalive != have->keepalive)
		parts |= KWGI_WG_KEEPALIVE;
	if (!kwgi_key_equal(&p->psk, &have->psk))
		parts |= KWGI_WG_PSK;
	if (!is_subset(have, p))
		parts |= KWGI_WG_ALLOWED_REPLACE;
	else if (!is_subset(p, have))
		parts |= KWGI_WG_ALLOWED_ADD;
	return parts;
}

/* What a step for a changed peer carries: the wanted peer, with the endpoint to go on with. */
static const struct kwgi_host_peer *complete_peer(struct diff *d,
						  const struct kwgi_wanted_peer *want,
						  const struct kwgi_host_peer *have,
						  uint32_t parts)
{
	struct kwgi_host_peer *p;

	if (parts & KWGI_WG_ENDPOINT || !have->endpoint.port)
		return &want->peer;
	p = kwgi_arena_alloc(&d->s->arena, 1, sizeof(*p));
	if (!p) {
		d->failed = true;
		return &want->peer;
	}
	*p = want->peer;
	p->endpoint = have->endpoint;
	return p;
}

/* Where a peer is may have been learnt by the device that makes room. */
static const struct kwgi_host_peer *new_peer(struct diff *d, const struct kwgi_wanted_peer *want)
{
	const struct kwgi_host_peer *known = kwgi_host_peer(&d->h->aside_wg, &want->peer.key);

	return known ? complete_peer(d, want, known, differing_parts(want, known)) : &want->peer;
}

static void build_owners(struct diff *d)
{
	const struct kwgi_host_wg *wg = &d->h->wg;
	uint32_t i, j;

	for (i = 0; i < wg->n_peers; i++)
		for (j = 0; j < wg->peers[i].n_allowed_ips; j++)
			if (kwgi_prefixset_add(&d->owners, &d->s->arena,
					       &wg->peers[i].allowed_ips[j], i))
				d->failed = true;
	kwgi_prefixset_build(&d->owners);
}

/* An allowed IP belongs to one peer: giving it to this one takes it from its owner. */
static void find_victims(struct diff *d, struct kwgi_step *step)
{
	const struct kwgi_host_peer *p = step->u.peer.peer, *owner, **last;
	uint32_t i, item, n = 0;

	for (i = 0; i < p->n_allowed_ips; i++) {
		item = kwgi_prefixset_find(&d->owners, &p->allowed_ips[i]);
		if (item == KWGI_NO_ITEM)
			continue;
		owner = &d->h->wg.peers[d->owners.v[item].value];
		last = n ? &step->u.peer.victims[n - 1] : NULL;
		if (!kwgi_key_cmp(&owner->key, &p->key) || (last && *last == owner))
			continue;
		if (kwgi_arena_grow(&d->s->arena, &step->u.peer.victims, n,
				    &step->u.peer.victims_cap, sizeof(owner))) {
			d->failed = true;
			return;
		}
		step->u.peer.victims[n++] = owner;
	}
	step->u.peer.n_victims = n;
}

static void diff_peer(struct diff *d, const struct kwgi_wanted_peer *want,
		      const struct kwgi_host_peer *have)
{
	struct kwgi_step step = { .kind = KWGI_STEP_PEER_SET, .link = d->w->ifname,
				  .label = want->name };

	if (have) {
		step.parts = differing_parts(want, have);
		if (!step.parts)
			return;
		step.u.peer.peer = complete_peer(d, want, have, step.parts);
		step.u.peer.old = have;
	} else {
		step.parts = KWGI_WG_ENDPOINT | KWGI_WG_KEEPALIVE | KWGI_WG_PSK |
			     KWGI_WG_ALLOWED_REPLACE;
		step.u.peer.peer = new_peer(d, want);
	}
	if (step.parts & (KWGI_WG_ALLOWED_ADD | KWGI_WG_ALLOWED_REPLACE))
		find_victims(d, &step);
	make(d, &step);
}

static void diff_peers(struct diff *d)
{
	const struct kwgi_wanted *w = d->w;
	const struct kwgi_host_wg *have = &d->h->wg;
	uint32_t i = 0, j = 0;
	int c;

	build_owners(d);

	/* Both lists are sorted by key. */
	while (i < w->n_peers || j < have->n_peers) {
		if (i == w->n_peers)
			c = 1;
		else if (j == have->n_peers)
			c = -1;
		else
			c = kwgi_key_cmp(&w->peers[i].peer.key, &have->peers[j].key);
		if (c > 0)
			break_later(d, &(struct kwgi_step){
				.kind = KWGI_STEP_PEER_DEL, .link = w->ifname,
				.u.peer = { .old = &have->peers[j] } });
		else
			diff_peer(d, &w->peers[i], c ? NULL : &have->peers[j]);
		i += c <= 0;
		j += c >= 0;
	}
}

/* ---- the whole ------------------------------------------------------- */

/* Several meshes can live side by side if they do not share what tells them apart. */
static int check_rivals(const struct diff *d, struct kwg_error *err)
{
	const struct kwgi_wanted *w = d->w;
	uint32_t i;

	for (i = 0; w->ifname && i < d->h->n_links; i++) {
		const struct kwgi_link *l = &d->h->links[i];

		if (!kwgi_mark_is_rival(l->alias, w->mesh))
			continue;
		if (kwgi_mark_number(l->alias, " protocol=") == w->protocol)
			return kwgi_fail(err, KWG_ERR_CONFIG, 0,
					 "%s belongs to another mesh that has route-protocol %u, too (%.100s); give this mesh its own",
					 l->name, w->protocol, l->alias);
		if (w->up && l->up && kwgi_mark_number(l->alias, " port=") == w->wg.port)
			return kwgi_fail(err, KWG_ERR_CONFIG, 0,
					 "%s belongs to another mesh that uses port %u, too (%.100s); give this mesh its own",
					 l->name, w->wg.port, l->alias);
	}
	return 0;
}

int kwgi_steps_diff(struct kwgi_steps *s, const struct kwgi_wanted *w, const struct kwgi_host *h,
		    struct kwg_error *err)
{
	struct diff d = { .s = s, .w = w, .h = h };
	uint32_t i;
	int ret;

	s->host = h;
	if (w->ifname)
		d.link = kwgi_host_link(h, w->ifname);
	ret = check_rivals(&d, err);
	if (!ret)
		ret = check_foreign(&d, err);
	if (ret)
		return ret;
	diff_links(&d);
	if (w->ifname) {
		diff_device(&d);
		diff_peers(&d);
	}
	diff_up(&d);
	diff_addrs(&d);
	ret = diff_firewall(&d, err);
	if (ret)
		return ret;
	diff_iptables(&d);
	diff_rules(&d);
	diff_routes(&d);
	/* Backwards: routes go before rules, addresses, peers and at last links. */
	for (i = d.n_breaks; i-- > 0;)
		make(&d, &d.breaks[i]);
	return d.failed ? kwgi_nomem(err) : 0;
}

void kwgi_steps_clear(struct kwgi_steps *s)
{
	kwgi_arena_free(&s->arena);
	memset(s, 0, sizeof(*s));
}
