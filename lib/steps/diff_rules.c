/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference of policy rules, and of what a host has to know for them. */
#include <stdlib.h>

#include "steps/diff.h"

static int cmp_rule(const void *a, const void *b)
{
	return kwgi_host_rule_cmp(*(const struct kwgi_host_rule *const *)a,
				  *(const struct kwgi_host_rule *const *)b);
}

static void remove_rule(struct kwgi_diff *d, const struct kwgi_host_rule *r,
			void (*add)(struct kwgi_diff *, const struct kwgi_step *))
{
	add(d, &(struct kwgi_step){ .kind = KWGI_STEP_RULE_DEL, .link = "", .u.rule = { *r } });
}

/*
 * "not from all fwmark OLD lookup 1108" would catch WireGuard's own packets once they have another
 * mark or none: into the tunnel, out of it, and into it again.
 */
void kwgi_diff_take_rules(struct kwgi_diff *d)
{
	const struct kwgi_host *h = d->h;
	uint32_t i;

	if (d->w->ifname && d->w->wg.fwmark == h->wg.fwmark)
		return;
	for (i = 0; i < h->n_rules; i++) {
		const struct kwgi_host_rule *r = &h->rules[i];

		if (!r->invert || !r->mask || r->fwmark == d->w->wg.fwmark)
			continue;
		d->taken_rules[i] = true;
		remove_rule(d, r, kwgi_diff_make);
	}
}

void kwgi_diff_rules(struct kwgi_diff *d)
{
	const struct kwgi_host *h = d->h;
	const struct kwgi_host_rule **have, *key, **found;
	uint32_t i, n = 0;
	bool *used;

	have = kwgi_arena_alloc(&d->s->arena, h->n_rules + 1u, sizeof(*have));
	used = kwgi_arena_alloc(&d->s->arena, h->n_rules + 1u, sizeof(*used));
	if (!have || !used) {
		d->failed = true;
		return;
	}
	for (i = 0; i < h->n_rules; i++)
		if (!d->taken_rules[i])
			have[n++] = &h->rules[i];
	if (n)
		qsort(have, n, sizeof(*have), cmp_rule);
	for (i = 0; i < d->w->n_rules; i++) {
		key = &d->w->rules[i];
		found = n ? bsearch(&key, have, n, sizeof(*have), cmp_rule) : NULL;
		if (found && (*found)->protocol == key->protocol)
			used[found - have] = true;
		else
			kwgi_diff_make(d, &(struct kwgi_step){ .kind = KWGI_STEP_RULE_ADD, .link = "",
						     .u.rule = { *key, found != NULL } });
	}
	for (i = 0; i < n; i++)
		if (!used[i])
			remove_rule(d, have[i], kwgi_diff_break);
}

/* ---- return path checks ---------------------------------------------- */

/* Does somebody else tell packets apart by their mark, and so may need it? */
static bool others_use_marks(const struct kwgi_host *h)
{
	uint32_t i;

	for (i = 0; i < h->n_other_rules; i++)
		if (h->other_rules[i].family == KWGI_AF_V4 && h->other_rules[i].mask)
			return true;
	return false;
}

void kwgi_diff_checks(struct kwgi_diff *d)
{
	const struct kwgi_checks *have = &d->h->checks;
	struct kwgi_step step = { .kind = KWGI_STEP_VALID_MARK, .link = "" };

	if (d->w->default_way.valid_mark && !have->valid_mark) {
		step.u.valid_mark.set = true;
		kwgi_diff_make(d, &step);
	} else if (!d->w->default_way.valid_mark && have->valid_mark && d->h->journal.valid_mark &&
		   !others_use_marks(d->h)) {
		kwgi_diff_break(d, &step);
	}
}
