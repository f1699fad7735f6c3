/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The difference of a link's addresses, without what the kernel does by itself when an IPv4
 * address goes (net/ipv4/devinet.c, __inet_del_ifa; net/ipv4/fib_frontend.c, fib_del_ifaddr):
 *
 *  - those that came later in the same network go with it, unless promote_secondaries is set;
 *  - routes that have it as their source go, on all links;
 *  - if it was the last one, all IPv4 routes of the link go.
 *
 * So the new one comes before the old one goes. In one network it would be the old one's
 * secondary and go with it: there it comes as a network of its own first, with /32, which keeps
 * the routes, and once more when the old one is gone. All that is before routes are made: the
 * address that goes may be the next hop of one, as each location's address moves with the number
 * of locations before it, and an own address is no next hop.
 *
 * Where no address is to be left, but routes are, these are taken off before and made again: so
 * what undoes it is in the list, too.
 */
#include <string.h>

#include "steps/diff.h"

/* What is on a link, and what is to become of it. */
struct addrs {
	struct kwgi_diff *d;
	const struct kwgi_link *l;
	const struct kwgi_prefix *want;	/* NULL: none */
	kwgi_is_our_addr *is_ours;
	struct kwgi_prefix alone;	/* of the wanted one, if it has to come first as one of its own */
	bool has_want, has_alone;
	bool in_turn;			/* the wanted one is in one network with one that goes */
	bool clashes;			/* one that goes is the wanted one, with another length */
	unsigned old4, left4;		/* IPv4 addresses that go, and that there are then */
};

static bool same_network(const struct kwgi_host_addr *a, const struct kwgi_prefix *b)
{
	const struct kwgi_prefix net = { a->peer.family ? a->peer : a->prefix.addr, a->prefix.len };

	return net.addr.family == KWGI_AF_V4 && b->addr.family == KWGI_AF_V4 && net.len == b->len &&
	       kwgi_prefix_contains(&net, &b->addr);
}

/* On one link there is an IPv6 address once, whatever its length (net/ipv6/addrconf.c, ipv6_add_addr). */
static bool same_address6(const struct kwgi_prefix *a, const struct kwgi_prefix *b)
{
	return a->addr.family == KWGI_AF_V6 && kwgi_addr_equal(&a->addr, &b->addr);
}

/* Is it the address that we set or would set? It never has another end. */
static bool is_it(const struct kwgi_host_addr *x, const struct kwgi_prefix *p)
{
	return !x->peer.family && kwgi_prefix_equal(&x->prefix, p);
}

/* An address that goes; the wanted one is none, nor is that which stands in for it. */
static bool is_old(const struct addrs *a, const struct kwgi_host_addr *x)
{
	return x->ifindex == a->l->index && a->is_ours(a->d, x, a->l) &&
	       !(a->want && is_it(x, a->want)) && !(a->want && a->in_turn && is_it(x, &a->alone));
}

static void look(struct addrs *a)
{
	const struct kwgi_host *h = a->d->h;
	uint32_t i;

	for (i = 0; i < h->n_addrs; i++) {
		const struct kwgi_host_addr *x = &h->addrs[i];

		if (x->ifindex != a->l->index)
			continue;
		a->has_want |= a->want && is_it(x, a->want);
		a->has_alone |= a->want && is_it(x, &a->alone);
		a->clashes |= a->want && is_old(a, x) && same_address6(&x->prefix, a->want);
		/* One that stands behind the wanted one is its secondary, and no harm. */
		if (is_old(a, x) && a->want && !a->has_want)
			a->in_turn |= same_network(x, a->want);
	}
	for (i = 0; i < h->n_addrs; i++)
		if (h->addrs[i].ifindex == a->l->index && h->addrs[i].prefix.addr.family == KWGI_AF_V4)
			*(is_old(a, &h->addrs[i]) ? &a->old4 : &a->left4) += 1;
	if (a->want && a->want->addr.family == KWGI_AF_V4 && !a->has_want)
		a->left4++;
}

static void make(const struct addrs *a, enum kwgi_step_kind kind, const struct kwgi_prefix *p)
{
	kwgi_diff_make(a->d, &(struct kwgi_step){ .kind = (uint8_t)kind, .link = a->l->name,
						  .u.addr = { .prefix = *p } });
}

static struct kwgi_step removal(const struct addrs *a, const struct kwgi_host_addr *x)
{
	return (struct kwgi_step){ .kind = KWGI_STEP_ADDR_DEL, .link = a->l->name,
				   .u.addr = { x->prefix, x->peer } };
}

/* Backwards, so that the first one of a network is the first again once this is undone. */
static void remove_old(const struct addrs *a, uint8_t family)
{
	const struct kwgi_host *h = a->d->h;
	struct kwgi_step step;
	uint32_t i;

	for (i = h->n_addrs; i-- > 0;) {
		if (!is_old(a, &h->addrs[i]) || (family && h->addrs[i].prefix.addr.family != family))
			continue;
		kwgi_diff_take_sources(a->d, &h->addrs[i].prefix.addr);
		step = removal(a, &h->addrs[i]);
		kwgi_diff_make(a->d, &step);
	}
}

static void exchange(const struct addrs *a)
{
	if (!a->has_alone)
		make(a, KWGI_STEP_ADDR_ADD, &a->alone);
	if (a->has_want)
		make(a, KWGI_STEP_ADDR_DEL, a->want);
	remove_old(a, KWGI_AF_NONE);
	make(a, KWGI_STEP_ADDR_ADD, a->want);
	make(a, KWGI_STEP_ADDR_DEL, &a->alone);
}

/* No address is to take the place of the old ones: they go when what leads through the link has. */
static void remove_old_last(const struct addrs *a, uint8_t family)
{
	const struct kwgi_host *h = a->d->h;
	struct kwgi_step step;
	uint32_t i;

	/* These steps are read from the end. */
	for (i = 0; i < h->n_addrs; i++) {
		if (!is_old(a, &h->addrs[i]) || (family && h->addrs[i].prefix.addr.family != family))
			continue;
		step = removal(a, &h->addrs[i]);
		kwgi_diff_break(a->d, &step);
	}
}

/* Are IPv4 routes wanted on the link? */
static bool wants_routes4(const struct addrs *a)
{
	const struct kwgi_desired *w = a->d->w;
	uint32_t i;

	for (i = 0; i < w->n_routes; i++)
		if (w->routes[i].route.dst.addr.family == KWGI_AF_V4 &&
		    !strcmp(w->routes[i].link, a->l->name))
			return true;
	return false;
}

/*
 * Routes that others have put on the link: with its last IPv4 address they go, too, but they need
 * none.
 */
static void keep_others(const struct addrs *a, bool last)
{
	const struct kwgi_host *h = a->d->h;
	uint32_t i;

	for (i = 0; i < h->n_others; i++) {
		const struct kwgi_other_route *o = &h->others[i];
		const struct kwgi_step s = { .kind = KWGI_STEP_ROUTE_AGAIN, .link = a->l->name,
					     .u.again = { o } };

		if (o->route.oif != a->l->index || o->route.dst.addr.family != KWGI_AF_V4)
			continue;
		if (last)
			kwgi_diff_break(a->d, &s);
		else
			kwgi_diff_make(a->d, &s);
	}
}

void kwgi_diff_link_addrs(struct kwgi_diff *d, const struct kwgi_link *l, const char *name,
			  const struct kwgi_prefix *want, kwgi_is_our_addr *is_ours)
{
	struct addrs a = { .d = d, .l = l, .want = want->addr.family ? want : NULL, .is_ours = is_ours };

	if (!l) {
		if (a.want)
			kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_ADDR_ADD, .link = name,
							       .u.addr = { .prefix = *want } });
		return;
	}
	a.alone = (struct kwgi_prefix){ want->addr, (uint8_t)kwgi_addr_bits(&want->addr) };
	look(&a);
	if (a.in_turn) {
		exchange(&a);
		return;
	}
	if (a.want && !a.has_want && !a.clashes)
		make(&a, KWGI_STEP_ADDR_ADD, a.want);
	if (a.want) {
		if (a.old4 && !a.left4)
			kwgi_diff_take_routes(d, l, KWGI_AF_V4);
		remove_old(&a, KWGI_AF_NONE);
		if (!a.has_want && a.clashes)
			make(&a, KWGI_STEP_ADDR_ADD, a.want);
	} else if (a.old4 && !a.left4 && wants_routes4(&a)) {
		kwgi_diff_take_routes(d, l, KWGI_AF_V4);
		remove_old(&a, KWGI_AF_V4);
		remove_old_last(&a, KWGI_AF_V6);
	} else {
		/* Read from the end. */
		if (a.old4 && !a.left4)
			keep_others(&a, true);
		remove_old_last(&a, KWGI_AF_NONE);
		return;
	}
	if (a.old4 && !a.left4)
		keep_others(&a, false);
}
