/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference of links and their addresses. */
#include <string.h>

#include "base/error.h"
#include "steps/diff.h"
#include "steps/mark.h"

/* A link that a crash left between being made and being marked. */
static bool is_unfinished(const struct kwgi_diff *d, const struct kwgi_link *l)
{
	return kwgi_host_is_unfinished(d->h, l) && !kwgi_link_is_tunnel(l);
}

/* ---- links that make room --------------------------------------------- */

bool kwgi_diff_is_set_down(const struct kwgi_diff *d, const struct kwgi_link *l)
{
	return d->w->ifname && l != d->link && l->up && kwgi_diff_is_ours(d, l) &&
	       !kwgi_mark_is_tunnel(l->alias);
}

static void take_addrs(struct kwgi_diff *d, const struct kwgi_link *l)
{
	const struct kwgi_host *h = d->h;
	uint32_t i;

	/* Backwards, so that the first one of a subnet is the first again once this is undone. */
	for (i = h->n_addrs; i-- > 0;)
		if (h->addrs[i].ifindex == l->index && !h->addrs[i].auto_made) {
			kwgi_diff_take_sources(d, &h->addrs[i].prefix.addr);
			kwgi_diff_make(d, &(struct kwgi_step){
				.kind = KWGI_STEP_ADDR_DEL, .link = l->name,
				.u.addr = { h->addrs[i].prefix, h->addrs[i].peer } });
		}
}

/* Routes, and IPv6 addresses, would go by themselves, but not come back when it is up again. */
static void set_down(struct kwgi_diff *d, const struct kwgi_link *l)
{
	kwgi_diff_take_routes(d, l, KWGI_AF_NONE);
	/* Those of a link that stays are for kwgi_diff_addrs(). */
	if (!kwgi_mark_is_adopted(l->alias))
		take_addrs(d, l);
	kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_DOWN, .link = l->name });
}

/*
 * The old link is kept under another name, with its keys and peers, until all
 * the rest is done: if that fails, it is as it was when it has its name back
 * and is up. Down it needs no UDP port; a daemon hears of that some time later.
 */
static void set_aside(struct kwgi_diff *d, const struct kwgi_link *l)
{
	const struct kwgi_host_wg *wg = &d->h->aside_wg;
	char *name = kwgi_arena_alloc(&d->s->arena, KWGI_IFNAME_MAX + 1, 1);

	if (!name) {
		d->failed = true;
		return;
	}
	kwgi_mark_aside_name(name, l->name);
	if (kwgi_diff_is_set_down(d, l))
		set_down(d, l);
	if (wg->userspace && wg->port)
		kwgi_diff_make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_WG_DEVICE, .link = l->name, .parts = KWGI_WG_PORT,
			.userspace = kwgi_diff_has_daemon(l),
			.u.wg = { .old = { wg->private_key, wg->port, wg->fwmark } } });
	kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_NAME, .link = l->name,
					       .u.link_name = { name } });
	kwgi_diff_break(d, &(struct kwgi_step){
		.kind = KWGI_STEP_LINK_DEL, .link = name, .label = l->name,
		.u.link_alias = { .old_alias = l->alias, .kind = l->kind } });
}

/* First of all links, so that what cannot be undone is last of all. */
static void diff_aside(struct kwgi_diff *d)
{
	uint32_t i;

	for (i = 0; i < d->h->n_links; i++)
		if (d->h->links[i].aside)
			set_aside(d, &d->h->links[i]);
}

/* Left by a crash under the name that set_aside() needs. */
static bool is_in_the_way(const struct kwgi_diff *d, const struct kwgi_link *l)
{
	char name[KWGI_IFNAME_MAX + 1];

	if (!d->w->ifname)
		return false;
	kwgi_mark_aside_name(name, d->w->ifname);
	return !strcmp(l->name, name);
}

/* ---- links ----------------------------------------------------------- */

/*
 * What we set on a WireGuard device that stays: key, UDP port and peers. The
 * port goes first if the wanted interface may need it.
 */
static void empty_device(struct kwgi_diff *d, const struct kwgi_link *l,
			 const struct kwgi_host_wg *wg)
{
	struct kwgi_step reset = {
		.kind = KWGI_STEP_WG_DEVICE, .link = l->name,
		.userspace = kwgi_diff_has_daemon(l),
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
		kwgi_diff_make(d, &reset);
	else if (reset.parts)
		kwgi_diff_break(d, &reset);
	for (i = 0; i < wg->n_peers; i++)
		kwgi_diff_break(d, &(struct kwgi_step){
			.kind = KWGI_STEP_PEER_DEL, .link = l->name,
			.userspace = kwgi_diff_has_daemon(l),
			.u.peer = { .old = &wg->peers[i] } });
}

/* Sets a link that stays down and takes off it what we put there. */
static void empty_link(struct kwgi_diff *d, const struct kwgi_link *l)
{
	struct kwgi_step down = { .kind = KWGI_STEP_LINK_DOWN, .link = l->name };
	const struct kwgi_host_wg *wg = kwgi_host_old_device(d->h, l->name);

	if (kwgi_diff_is_set_down(d, l))
		set_down(d, l);
	else if (l->up)
		kwgi_diff_break(d, &down);
	if (wg)
		empty_device(d, l, wg);
}

/* Leaves a link to whoever made it: the mark goes last, so that a crash before finds it again. */
static void give_back(struct kwgi_diff *d, const struct kwgi_link *l)
{
	uint32_t mtu = kwgi_mark_number(l->alias, " mtu=");

	kwgi_diff_break(d, &(struct kwgi_step){
		.kind = KWGI_STEP_LINK_ALIAS, .link = l->name,
		.u.link_alias = { .alias = "", .old_alias = l->alias } });
	if (mtu && mtu != l->mtu)
		kwgi_diff_break(d, &(struct kwgi_step){
			.kind = KWGI_STEP_LINK_MTU, .link = l->name,
			.u.link_mtu = { mtu, l->mtu } });
	empty_link(d, l);
}

/* The kernel gives the port of a link that is set down back at once, a daemon some time later. */
static void free_port(struct kwgi_diff *d, const struct kwgi_link *l)
{
	const struct kwgi_host_wg *wg = kwgi_host_old_device(d->h, l->name);

	if (!d->w->ifname || !wg || wg->port != d->w->wg.port)
		return;
	kwgi_diff_make(d, &(struct kwgi_step){
		.kind = KWGI_STEP_WG_DEVICE, .link = l->name, .parts = KWGI_WG_PORT,
		.userspace = kwgi_diff_has_daemon(l),
		.u.wg = { .old = { wg->private_key, wg->port, wg->fwmark } } });
}

/* Set down it frees the UDP port that the wanted one needs. */
static void make_room(struct kwgi_diff *d, const struct kwgi_link *l)
{
	if (kwgi_diff_is_set_down(d, l))
		set_down(d, l);
	free_port(d, l);
}

static bool is_leftover(const struct kwgi_diff *d, const struct kwgi_link *l)
{
	return l != d->link && !l->aside && !kwgi_mark_is_tunnel(l->alias) &&
	       (kwgi_diff_is_ours(d, l) || is_unfinished(d, l));
}

/* Its name is needed for the next link that is made, or renamed. */
static bool goes_first(const struct kwgi_diff *d, const struct kwgi_link *l)
{
	return is_unfinished(d, l) || l->replaced || is_in_the_way(d, l);
}

/*
 * A link that carries our mark but is not the wanted one: renamed by somebody,
 * or left from a configuration with another interface name. It goes when all
 * else is done.
 */
static void diff_leftover(struct kwgi_diff *d, const struct kwgi_link *l)
{
	struct kwgi_step del = { .kind = KWGI_STEP_LINK_DEL, .link = l->name,
				 .u.link_alias = { .old_alias = l->alias, .kind = l->kind } };

	if (goes_first(d, l)) {
		kwgi_diff_make(d, &del);
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
	if (!d->link && d->w->ifname)
		d->makes_room = true;
	else
		make_room(d, l);
	kwgi_diff_break(d, &del);
}

/*
 * What packets go by is up until the device in its place has all that it needs, a daemon that has
 * started included: what is lost in between is what the steps from here to the new routes take.
 */
void kwgi_diff_make_room(struct kwgi_diff *d)
{
	uint32_t i;

	for (i = 0; d->makes_room && i < d->h->n_links; i++)
		if (is_leftover(d, &d->h->links[i]) && !goes_first(d, &d->h->links[i]) &&
		    !kwgi_mark_is_adopted(d->h->links[i].alias))
			make_room(d, &d->h->links[i]);
	if (kwgi_diff_port_is_late(d))
		kwgi_diff_make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_WG_DEVICE, .link = d->w->ifname, .parts = KWGI_WG_PORT,
			.userspace = true, .u.wg = { .conf = d->w->wg } });
}

bool kwgi_diff_port_is_late(const struct kwgi_diff *d)
{
	return d->makes_room && d->userspace;
}

int kwgi_diff_check_foreign(struct kwgi_diff *d, struct kwg_error *err)
{
	const struct kwgi_desired *w = d->w;

	if (!d->link || is_unfinished(d, d->link) ||
	    (kwgi_diff_is_ours(d, d->link) && !kwgi_mark_is_tunnel(d->link->alias)))
		return 0;
	if (w->create)
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "%s: the interface exists but was not made by kilowg: it is foreign, %s%s; set create-interface = no to use it, or give another interface name",
				 w->ifname, *d->link->kind ? "of kind " : "a piece of hardware",
				 d->link->kind);
	if (*d->link->alias)
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "%s: the interface carries the alias \"%.100s\" of somebody else; remove it to let kilowg use the interface",
				 w->ifname, d->link->alias);
	return 0;
}

/*
 * The MTU that a link of somebody else had before it got another one. The first
 * difference that is seen is between his and ours; then the mark knows.
 */
static uint32_t mtu_before(const struct kwgi_diff *d)
{
	uint32_t mtu = 0;

	if (kwgi_diff_is_ours(d, d->link))
		mtu = kwgi_mark_number(d->link->alias, " mtu=");
	if (!mtu && d->w->mtu && d->w->mtu != d->link->mtu)
		mtu = d->link->mtu;
	return mtu;
}

static void diff_mark(struct kwgi_diff *d)
{
	const struct kwgi_desired *w = d->w;
	bool adopted = kwgi_diff_is_ours(d, d->link) ? kwgi_mark_is_adopted(d->link->alias)
					   : kwgi_mark_is_adopted(w->alias);
	char *alias = kwgi_arena_alloc(&d->s->arena, KWGI_ALIAS_MAX, 1);

	if (!alias) {
		d->failed = true;
		return;
	}
	/* Who made a link is remembered, whatever the configuration says now. */
	if (adopted)
		kwgi_mark_adopted(alias, w->mesh, w->protocol, w->wg.port, mtu_before(d));
	else
		kwgi_mark_format(alias, w->mesh, w->protocol, w->wg.port, false);
	if (strcmp(d->link->alias, alias))
		kwgi_diff_make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_LINK_ALIAS, .link = w->ifname,
			.u.link_alias = { .alias = alias, .old_alias = d->link->alias } });
}

static void make_link(struct kwgi_diff *d)
{
	const struct kwgi_desired *w = d->w;
	struct kwgi_step step = { .kind = KWGI_STEP_LINK_ADD, .link = w->ifname,
				  .u.link_alias = { .alias = w->alias, .kind = "wireguard" } };

	if (!w->create) {
		step.kind = KWGI_STEP_LINK_WAIT;
	} else if (w->userspace) {
		step.kind = KWGI_STEP_LINK_DAEMON;
		step.label = w->program;
		step.u.link_alias.kind = "tun";
	}
	kwgi_diff_make(d, &step);
}

void kwgi_diff_links(struct kwgi_diff *d)
{
	const struct kwgi_desired *w = d->w;
	uint32_t i;

	diff_aside(d);
	for (i = 0; i < d->h->n_links; i++)
		if (is_leftover(d, &d->h->links[i]))
			diff_leftover(d, &d->h->links[i]);
	if (!w->ifname)
		return;
	if (!d->link)
		make_link(d);
	else
		diff_mark(d);
	if (w->mtu && (!d->link || d->link->mtu != w->mtu))
		kwgi_diff_make(d, &(struct kwgi_step){
			.kind = KWGI_STEP_LINK_MTU, .link = w->ifname,
			.u.link_mtu = { w->mtu, d->link ? d->link->mtu : 0 } });
}

/* With the link down, the routes that others have put on it would go, and come back with nothing. */
static bool carries_others(const struct kwgi_diff *d)
{
	uint32_t i;

	for (i = 0; d->link && i < d->h->n_others; i++)
		if (d->h->others[i].route.oif == d->link->index)
			return true;
	return false;
}

void kwgi_diff_up(struct kwgi_diff *d)
{
	bool up = d->link && d->link->up;

	if (!d->w->ifname || up == d->w->up)
		return;
	if (d->w->up)
		kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_UP, .link = d->w->ifname,
						       .userspace = d->userspace,
						       .u.wg.conf.port = d->w->wg.port });
	else if (!carries_others(d))
		kwgi_diff_break(d, &(struct kwgi_step){ .kind = KWGI_STEP_LINK_DOWN,
						    .link = d->w->ifname });
}

/* ---- addresses ------------------------------------------------------- */

static bool was_set(const struct kwgi_diff *d, const struct kwgi_prefix *p)
{
	uint32_t i;

	for (i = 0; i < d->h->journal.n_set; i++)
		if (kwgi_prefix_equal(&d->h->journal.set[i], p))
			return true;
	return false;
}

/*
 * Is an address on a link of ours one that we set? On an adopted link only those of the mesh, and
 * those that the journal knows: the mesh may have had another subnet.
 */
static bool is_our_addr(const struct kwgi_diff *d, const struct kwgi_host_addr *a,
			const struct kwgi_link *l)
{
	if (a->auto_made || !kwgi_diff_is_ours(d, l) || kwgi_mark_is_tunnel(l->alias))
		return false;
	return !kwgi_mark_is_adopted(l->alias) ||
	       kwgi_prefix_contains(&d->w->subnet, &a->prefix.addr) || was_set(d, &a->prefix);
}

void kwgi_diff_addrs(struct kwgi_diff *d)
{
	const struct kwgi_desired *w = d->w;
	uint32_t i;

	if (w->ifname)
		kwgi_diff_link_addrs(d, d->link, w->ifname, &w->addr, is_our_addr);
	for (i = 0; i < d->h->n_addrs; i++) {
		const struct kwgi_host_addr *a = &d->h->addrs[i];
		const struct kwgi_link *l = kwgi_host_link_by_index(d->h, a->ifindex);

		/* Those of a link that goes away go with it. */
		if (l && l != d->link && is_our_addr(d, a, l) &&
		    (kwgi_mark_is_adopted(l->alias) || w->keep_link))
			kwgi_diff_break(d, &(struct kwgi_step){ .kind = KWGI_STEP_ADDR_DEL,
								.link = l->name,
								.u.addr = { a->prefix, a->peer } });
	}
}
