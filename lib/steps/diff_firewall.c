/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference of the firewall, in either form. */
#include <string.h>

#include "base/error.h"
#include "steps/diff.h"
#include "steps/mark.h"

/*
 * Two meshes do not share a route protocol (check_rivals), so a firewall with
 * ours is left from a mesh that had another name, unless that still has a link.
 */
static bool is_left(const char *mark, const void *arg)
{
	const struct kwgi_diff *d = arg;
	uint32_t i;

	if (kwgi_mark_is_ours(mark, &d->h->owner))
		return true;
	if (!kwgi_mark_is_rival(mark, &d->h->owner) ||
	    kwgi_mark_number(mark, " protocol=") != d->w->protocol)
		return false;
	for (i = 0; i < d->h->n_links; i++)
		if (kwgi_mark_is_rival(d->h->links[i].alias, &d->h->owner) &&
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

int kwgi_diff_nftables(struct kwgi_diff *d, struct kwg_error *err)
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
	if (have && !kwgi_mark_is_ours(have->mark, &d->h->owner))
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
static int diff_ruleset(struct kwgi_diff *d, const struct kwgi_ipt_rules *want,
			const struct kwgi_ipt_rules *all, struct kwg_error *err)
{
	const struct kwgi_journal *j = &d->h->journal;
	struct kwgi_ipt_rules *have = kwgi_arena_alloc(&d->s->arena, 1, sizeof(*have));
	struct kwgi_step step = { .kind = KWGI_STEP_IPTABLES, .link = want ? d->w->ifname : "" };
	const char *clash;

	if (!have || kwgi_ipt_pick(have, &d->s->arena, all, j->chains, j->n_chains, is_left, d))
		return kwgi_nomem(err);
	clash = want ? kwgi_ipt_clash(want, have, all) : NULL;
	if (clash)
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "the chain %s of %s was not made by kilowg; remove it, or set firewall = none",
				 clash, kwgi_ipt_program(all));
	step.u.iptables.rules = want;
	step.u.iptables.old = kwgi_ipt_is_empty(have) ? NULL : have;
	if (!want && step.u.iptables.old)
		kwgi_diff_break(d, &step);
	else if (want && !kwgi_ipt_equal(want, have))
		kwgi_diff_make(d, &step);
	return 0;
}

int kwgi_diff_iptables(struct kwgi_diff *d, struct kwg_error *err)
{
	const struct kwgi_ipt_rules *want;
	uint32_t i, j;
	int ret = 0;

	for (i = 0; i < d->h->n_iptables && !ret; i++) {
		const struct kwgi_ipt_rules *all = &d->h->iptables[i];

		for (want = NULL, j = 0; j < d->w->n_iptables; j++)
			if (d->w->iptables[j].family == all->family &&
			    d->w->iptables[j].variant == all->variant)
				want = &d->w->iptables[j];
		ret = diff_ruleset(d, want, all, err);
	}
	return ret;
}
