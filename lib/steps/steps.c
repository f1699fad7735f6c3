/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference between what is desired and what a host has, put together. */
#include <string.h>

#include "base/error.h"
#include "steps/diff.h"
#include "steps/mark.h"
#include "steps/steps.h"

/* Several meshes can live side by side if they do not share what tells them apart. */
static int check_rivals(const struct kwgi_diff *d, struct kwg_error *err)
{
	const struct kwgi_desired *w = d->w;
	uint32_t i;

	for (i = 0; w->ifname && i < d->h->n_links; i++) {
		const struct kwgi_link *l = &d->h->links[i];

		if (!kwgi_mark_is_rival(l->alias, &d->h->owner))
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

/*
 * Routes that neither the journal nor a mark says are ours, but that have the number: to take them
 * for ours would be to remove them.
 */
static int check_protocol(const struct kwgi_diff *d, struct kwg_error *err)
{
	const struct kwgi_host *h = d->h;
	char text[KWGI_PREFIX_TEXT];
	uint32_t i;

	if ((!d->w->ifname && !d->w->closed_only) || h->journal.protocols[d->w->protocol])
		return 0;
	for (i = 0; i < h->n_closed; i++)
		if (h->closed[i].protocol == d->w->protocol)
			return kwgi_fail(err, KWG_ERR_CONFIG, 0,
					 "route-protocol = %u: there are unreachable routes of somebody else with this number, such as %s; give this mesh a number that is free, or remove them",
					 d->w->protocol, kwgi_prefix_format(text, &h->closed[i].dst));
	for (i = 0; i < h->n_routes; i++)
		if (h->routes[i].protocol == d->w->protocol)
			return kwgi_fail(err, KWG_ERR_CONFIG, 0,
					 "route-protocol = %u: there are routes of somebody else with this number, such as %s; give this mesh a number that is free, or remove them",
					 d->w->protocol, kwgi_prefix_format(text, &h->routes[i].dst));
	for (i = 0; i < h->n_rules; i++)
		if (h->rules[i].protocol == d->w->protocol)
			return kwgi_fail(err, KWG_ERR_CONFIG, 0,
					 "route-protocol = %u: there are policy rules of somebody else with this number; give this mesh a number that is free, or remove them",
					 d->w->protocol);
	return 0;
}

int kwgi_steps_diff(struct kwgi_steps *s, const struct kwgi_desired *w, const struct kwgi_host *h,
		    struct kwg_error *err)
{
	struct kwgi_diff d = { .s = s, .w = w, .h = h };
	uint32_t i;
	int ret;

	s->host = h;
	if (w->ifname)
		d.link = kwgi_host_link(h, w->ifname);
	d.userspace = d.link ? kwgi_diff_has_daemon(d.link) : w->userspace;
	d.taken = kwgi_arena_alloc(&s->arena, h->n_routes + 1u, sizeof(*d.taken));
	d.taken_rules = kwgi_arena_alloc(&s->arena, h->n_rules + 1u, sizeof(*d.taken_rules));
	if (!d.taken || !d.taken_rules)
		return kwgi_nomem(err);
	ret = check_rivals(&d, err);
	if (!ret)
		ret = check_protocol(&d, err);
	if (!ret)
		ret = kwgi_diff_check_foreign(&d, err);
	if (!ret)
		ret = kwgi_diff_check_tunnel(&d, err);
	if (ret)
		return ret;
	kwgi_diff_close(&d);
	if (w->closed_only)
		return d.failed ? kwgi_nomem(err) : 0;
	kwgi_diff_links(&d);
	kwgi_diff_take_rules(&d);
	if (w->ifname) {
		kwgi_diff_device(&d);
		kwgi_diff_peers(&d);
	}
	kwgi_diff_make_room(&d);
	kwgi_diff_up(&d);
	kwgi_diff_addrs(&d);
	kwgi_diff_tunnel(&d);
	ret = kwgi_diff_nftables(&d, err);
	if (!ret)
		ret = kwgi_diff_iptables(&d, err);
	if (ret)
		return ret;
	kwgi_diff_checks(&d);
	kwgi_diff_reopen(&d);
	kwgi_diff_rules(&d);
	kwgi_diff_routes(&d);
	if (w->cni && w->cni->text)
		kwgi_diff_make(&d, &(struct kwgi_step){ .kind = KWGI_STEP_CNI, .link = "", .u.cni = { w->cni } });
	/* Backwards: routes go before rules, addresses, peers and at last links. */
	for (i = d.n_breaks; i-- > 0;)
		kwgi_diff_make(&d, &d.breaks[i]);
	return d.failed ? kwgi_nomem(err) : 0;
}

void kwgi_steps_clear(struct kwgi_steps *s)
{
	kwgi_arena_free(&s->arena);
	memset(s, 0, sizeof(*s));
}
