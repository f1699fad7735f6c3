/* SPDX-License-Identifier: ISC */
/* The difference between what is wanted and what a host has, put together. */
#include <string.h>

#include "base/error.h"
#include "steps/diff.h"

static void append(struct kwgi_diff *d, struct kwgi_step **v, uint32_t *n, uint32_t *cap,
		   const struct kwgi_step *step)
{
	if (kwgi_arena_grow(&d->s->arena, v, *n, cap, sizeof(**v))) {
		d->failed = true;
		return;
	}
	(*v)[(*n)++] = *step;
}

void kwgi_diff_make(struct kwgi_diff *d, const struct kwgi_step *step)
{
	append(d, &d->s->v, &d->s->n, &d->s->cap, step);
}

void kwgi_diff_break(struct kwgi_diff *d, const struct kwgi_step *step)
{
	append(d, &d->breaks, &d->n_breaks, &d->breaks_cap, step);
}

/* ---- firewall -------------------------------------------------------- */

/*
 * Two meshes do not share a route protocol (check_rivals), so a firewall with
 * ours is left from a mesh that had another name, unless that still has a link.
 */
static bool is_left(const char *mark, const void *arg)
{
	const struct kwgi_diff *d = arg;
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

static int diff_firewall(struct kwgi_diff *d, struct kwg_error *err)
{
	const struct kwgi_nft_table *want = d->w->table, *have = NULL;
	uint32_t i;

	for (i = 0; i < d->h->n_tables; i++) {
		const struct kwgi_nft_table *t = &d->h->tables[i];

		if (want && !strcmp(t->name, want->name))
			have = t;
		else if (is_left(t->mark, d))
			kwgi_diff_break(d, &(struct kwgi_step){ .kind = KWGI_STEP_FIREWALL,
								.link = "",
								.u.firewall = { .old = t } });
	}
	if (have && !kwgi_mark_is_ours(have->mark, d->w->mesh))
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "the nftables table inet %.100s was not made by kilowg; remove it, or set firewall = none",
				 have->name);
	if (want && (!have || strcmp(have->mark, want->mark) ||
		     !same_shape(&have->shape, &want->shape)))
		kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_FIREWALL, .link = "",
					     .u.firewall = { want, have } });
	return 0;
}

/* What is there of ours in one family and program, and what is wanted there. */
static void diff_ruleset(struct kwgi_diff *d, const struct kwgi_ipt_rules *want,
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
		kwgi_diff_break(d, &step);
	else if (want && !kwgi_ipt_equal(want, have))
		kwgi_diff_make(d, &step);
}

static void diff_iptables(struct kwgi_diff *d)
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

/* ---- the whole ------------------------------------------------------- */

/* Several meshes can live side by side if they do not share what tells them apart. */
static int check_rivals(const struct kwgi_diff *d, struct kwg_error *err)
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
	struct kwgi_diff d = { .s = s, .w = w, .h = h };
	uint32_t i;
	int ret;

	s->host = h;
	if (w->ifname)
		d.link = kwgi_host_link(h, w->ifname);
	ret = check_rivals(&d, err);
	if (!ret)
		ret = kwgi_diff_check_foreign(&d, err);
	if (!ret)
		ret = kwgi_diff_check_tunnel(&d, err);
	if (ret)
		return ret;
	kwgi_diff_links(&d);
	if (w->ifname) {
		kwgi_diff_device(&d);
		kwgi_diff_peers(&d);
	}
	kwgi_diff_up(&d);
	kwgi_diff_addrs(&d);
	kwgi_diff_tunnel(&d);
	ret = diff_firewall(&d, err);
	if (ret)
		return ret;
	diff_iptables(&d);
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
