/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The difference of the encapsulating tunnel. A device of another kind takes
 * its place while the old one still works, since their names differ; where the
 * kernel does not let both exist, the old one goes first, with all that is on
 * it, step by step, so that all of it can come back.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "steps/diff.h"
#include "steps/mark.h"

bool kwgi_diff_is_gone(const struct kwgi_diff *d, uint32_t ifindex)
{
	uint32_t i;

	for (i = 0; i < d->n_gone; i++)
		if (d->gone[i] == ifindex)
			return true;
	return false;
}

/* ---- what is in the way ---------------------------------------------- */

static bool same_mac(const uint8_t a[KWGI_MAC_LEN], const uint8_t b[KWGI_MAC_LEN])
{
	return !memcmp(a, b, KWGI_MAC_LEN);
}

static bool fits(const struct kwgi_desired_tunnel *t, const struct kwgi_link *l)
{
	const struct kwgi_tunnel *a = &t->conf, *b = &l->tunnel;

	return !strcmp(t->kind, l->kind) && kwgi_addr_equal(&a->local, &b->local) &&
	       kwgi_addr_equal(&a->remote, &b->remote) && a->lower == b->lower && a->id == b->id &&
	       a->port == b->port && a->learning == b->learning && same_mac(a->mac, b->mac);
}

/*
 * Would the kernel refuse the wanted tunnel beside this link? It tells IPIP
 * tunnels apart by their addresses (net/ipv4/ip_tunnel.c, ip_tunnel_find),
 * VXLAN by identifier and port (drivers/net/vxlan, vxlan_vni_in_use).
 */
static bool excludes(const struct kwgi_desired_tunnel *t, const struct kwgi_link *l)
{
	const struct kwgi_tunnel *a = &t->conf, *b = &l->tunnel;

	if (!strcmp(t->name, l->name))
		return true;
	if (strcmp(t->kind, l->kind))
		return false;
	if (!strcmp(t->kind, "vxlan"))
		return a->id == b->id && a->port == b->port;
	return kwgi_addr_equal(&a->local, &b->local) && kwgi_addr_equal(&a->remote, &b->remote) &&
	       a->lower == b->lower;
}

static bool is_our_tunnel(const struct kwgi_diff *d, const struct kwgi_link *l)
{
	return kwgi_diff_is_ours(d, l) && kwgi_mark_is_tunnel(l->alias);
}

static int fail_rival(const struct kwgi_desired_tunnel *t, const struct kwgi_link *l,
		      struct kwg_error *err)
{
	char text[KWGI_ADDR_TEXT];

	if (!strcmp(t->name, l->name))
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "%s: the interface exists but is no tunnel of this mesh; give another name with tunnel-interface",
				 t->name);
	if (!strcmp(t->kind, "vxlan"))
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "%s: the interface %s has the VXLAN identifier %u and port %u, too; give the mesh its own vxlan-id",
				 t->name, l->name, l->tunnel.id, l->tunnel.port);
	return kwgi_fail(err, KWG_ERR_KERNEL, 0,
			 "%s: the interface %s is an IPIP tunnel of %s already, and the kernel takes one; encapsulation-protocol = vxlan does without",
			 t->name, l->name, kwgi_addr_format(text, &t->conf.local));
}

/* Made, but not marked when a crash came. */
static bool is_unfinished(const struct kwgi_diff *d, const struct kwgi_link *l)
{
	return kwgi_host_is_unfinished(d->h, l) && kwgi_link_is_tunnel(l);
}

int kwgi_diff_check_tunnel(struct kwgi_diff *d, struct kwg_error *err)
{
	const struct kwgi_desired_tunnel *t = &d->w->tunnel;
	uint32_t i;

	if (!t->kind)
		return 0;
	for (i = 0; i < d->h->n_links; i++) {
		const struct kwgi_link *l = &d->h->links[i];

		if (!is_our_tunnel(d, l)) {
			if (excludes(t, l) && !is_unfinished(d, l))
				return fail_rival(t, l, err);
		} else if (!strcmp(t->name, l->name) && fits(t, l)) {
			d->tunnel = l;
		}
	}
	return 0;
}

/* ---- what goes ------------------------------------------------------- */

static struct kwgi_step deletion(const struct kwgi_link *l)
{
	return (struct kwgi_step){
		.kind = KWGI_STEP_LINK_DEL, .link = l->name,
		.u.link_alias = { .old_alias = l->alias, .kind = l->kind, .tunnel = &l->tunnel,
				  .mtu = l->mtu } };
}

typedef void append_step(struct kwgi_diff *d, const struct kwgi_step *step);

/* Neighbours and addresses of a link, in the order in which they are found. */
static void take_off(struct kwgi_diff *d, const struct kwgi_link *l, append_step *append)
{
	const struct kwgi_host *h = d->h;
	uint32_t i;

	for (i = 0; i < h->n_neighs; i++)
		if (h->neighs[i].ifindex == l->index)
			append(d, &(struct kwgi_step){ .kind = KWGI_STEP_NEIGH_DEL, .link = l->name,
						       .u.neigh = { .old = h->neighs[i] } });
	for (i = 0; i < h->n_addrs; i++)
		if (h->addrs[i].ifindex == l->index && !h->addrs[i].auto_made)
			append(d, &(struct kwgi_step){ .kind = KWGI_STEP_ADDR_DEL, .link = l->name,
						       .u.addr = { h->addrs[i].prefix, h->addrs[i].peer } });
}

/* Now, down to the device itself. */
static void strip(struct kwgi_diff *d, const struct kwgi_link *l)
{
	struct kwgi_step down = { .kind = KWGI_STEP_LINK_DOWN, .link = l->name };
	uint32_t i;

	if (kwgi_arena_grow(&d->s->arena, &d->gone, d->n_gone, &d->gone_cap, sizeof(*d->gone))) {
		d->failed = true;
		return;
	}
	kwgi_diff_take_routes(d, l, KWGI_AF_NONE);
	for (i = 0; i < d->h->n_addrs; i++)
		if (d->h->addrs[i].ifindex == l->index)
			kwgi_diff_take_sources(d, &d->h->addrs[i].prefix.addr);
	take_off(d, l, kwgi_diff_make);
	if (l->up)
		kwgi_diff_make(d, &down);
	d->gone[d->n_gone++] = l->index;
}

static void remove_now(struct kwgi_diff *d, const struct kwgi_link *l)
{
	struct kwgi_step del = deletion(l);

	strip(d, l);
	kwgi_diff_make(d, &del);
}

/* It differs by its name only, and the kernel takes some time to delete a device. */
static void give_name(struct kwgi_diff *d, const struct kwgi_link *l)
{
	strip(d, l);
	kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_NAME, .link = l->name,
					       .u.link_name = { d->w->tunnel.name } });
	d->renamed = l;
}

/* At the end, which is read backwards. What is on it goes with it when nothing is to follow. */
static void remove_later(struct kwgi_diff *d, const struct kwgi_link *l)
{
	struct kwgi_step down = { .kind = KWGI_STEP_LINK_DOWN, .link = l->name };
	struct kwgi_step del = deletion(l);

	kwgi_diff_break(d, &del);
	if (!d->w->ifname)
		return;
	if (l->up)
		kwgi_diff_break(d, &down);
	take_off(d, l, kwgi_diff_break);
}

/* Does a link have this name, or will it when the steps so far are done? */
static bool named(const struct kwgi_diff *d, const char *name)
{
	return d->renamed || kwgi_host_link(d->h, name);
}

static void diff_leftovers(struct kwgi_diff *d)
{
	const struct kwgi_desired_tunnel *t = &d->w->tunnel;
	uint32_t i;

	for (i = 0; i < d->h->n_links; i++) {
		const struct kwgi_link *l = &d->h->links[i];

		if (l == d->tunnel || !(is_our_tunnel(d, l) || is_unfinished(d, l)))
			continue;
		if (!is_unfinished(d, l) && t->kind && !named(d, t->name) && fits(t, l))
			give_name(d, l);
		else if (is_unfinished(d, l) || (t->kind && excludes(t, l)))
			remove_now(d, l);
		else
			remove_later(d, l);
	}
}

/* ---- what comes ------------------------------------------------------ */

static void diff_device(struct kwgi_diff *d)
{
	const struct kwgi_desired_tunnel *t = &d->w->tunnel;
	const struct kwgi_link *l = d->renamed ? d->renamed : d->tunnel;

	if (!l)
		kwgi_diff_make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_LINK_ADD, .link = t->name,
			.u.link_alias = { .alias = t->alias, .kind = t->kind, .tunnel = &t->conf,
					  .mtu = t->mtu } });
	else if (strcmp(l->alias, t->alias))
		kwgi_diff_make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_LINK_ALIAS, .link = t->name,
			.u.link_alias = { .alias = t->alias, .old_alias = l->alias } });
	if (l && l->mtu != t->mtu)
		kwgi_diff_make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_LINK_MTU, .link = t->name,
			.u.link_mtu = { t->mtu, l->mtu } });
	if (!l || !l->up || d->renamed)
		kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_UP,
						       .link = t->name });
}

static bool is_not_auto(const struct kwgi_diff *d, const struct kwgi_host_addr *a,
			const struct kwgi_link *l)
{
	(void)d;
	(void)l;
	return !a->auto_made;
}

static int cmp_neigh(const void *a, const void *b)
{
	return kwgi_neigh_cmp(*(const struct kwgi_host_neigh *const *)a,
			      *(const struct kwgi_host_neigh *const *)b);
}

static void diff_neigh(struct kwgi_diff *d, const struct kwgi_host_neigh *want,
		       const struct kwgi_host_neigh *have)
{
	struct kwgi_step step = { .kind = KWGI_STEP_NEIGH_SET, .link = d->w->tunnel.name,
				  .u.neigh = { .neigh = *want } };

	if (have && same_mac(want->mac, have->mac) && kwgi_addr_equal(&want->addr, &have->addr))
		return;
	if (have)
		step.u.neigh.old = *have;
	kwgi_diff_make(d, &step);
}

static void diff_neighs(struct kwgi_diff *d)
{
	const struct kwgi_desired_tunnel *t = &d->w->tunnel;
	const struct kwgi_host *h = d->h;
	const struct kwgi_host_neigh **have;
	uint32_t i, j = 0, n = 0;
	int c;

	have = kwgi_arena_alloc(&d->s->arena, h->n_neighs + 1u, sizeof(*have));
	if (!have) {
		d->failed = true;
		return;
	}
	for (i = 0; d->tunnel && i < h->n_neighs; i++)
		if (h->neighs[i].ifindex == d->tunnel->index)
			have[n++] = &h->neighs[i];
	if (n)
		qsort(have, n, sizeof(*have), cmp_neigh);
	/* Both lists are in the same order. */
	for (i = 0; i < t->n_neighs || j < n;) {
		c = i == t->n_neighs ? 1 : j == n ? -1 : kwgi_neigh_cmp(&t->neighs[i], have[j]);
		if (c > 0)
			kwgi_diff_break(d, &(struct kwgi_step){ .kind = KWGI_STEP_NEIGH_DEL,
								.link = t->name,
								.u.neigh = { .old = *have[j] } });
		else
			diff_neigh(d, &t->neighs[i], c ? NULL : have[j]);
		i += c <= 0;
		j += c >= 0;
	}
}

static void diff_foreign(struct kwgi_diff *d)
{
	const struct kwgi_link *l = kwgi_host_link(d->h, d->w->tunnel.name);

	if (d->w->tunnel.set_up && l && !l->up)
		kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_UP, .link = l->name });
}

void kwgi_diff_tunnel(struct kwgi_diff *d)
{
	diff_leftovers(d);
	if (!*d->w->tunnel.name)
		return;
	if (!d->w->tunnel.kind) {
		diff_foreign(d);
		return;
	}
	diff_device(d);
	kwgi_diff_link_addrs(d, d->tunnel, d->w->tunnel.name, &d->w->tunnel.addr, is_not_auto);
	diff_neighs(d);
}
