/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
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

void kwgi_diff_take_route(struct kwgi_diff *d, uint32_t i)
{
	const struct kwgi_host_route *r = &d->h->routes[i];
	const struct kwgi_link *l = kwgi_host_link_by_index(d->h, r->oif);

	if (d->taken[i])
		return;
	d->taken[i] = true;
	kwgi_diff_make(d, &(struct kwgi_step){
		.kind = KWGI_STEP_ROUTE_DEL, .link = l ? l->name : "?",
		.u.route = { .old = *r, .company = (uint8_t)kwgi_host_company(d->h, r, i) } });
}

void kwgi_diff_take_routes(struct kwgi_diff *d, const struct kwgi_link *l, uint8_t family)
{
	uint32_t i;

	for (i = 0; i < d->h->n_routes; i++)
		if (d->h->routes[i].oif == l->index &&
		    (!family || d->h->routes[i].dst.addr.family == family))
			kwgi_diff_take_route(d, i);
}

void kwgi_diff_take_sources(struct kwgi_diff *d, const struct kwgi_addr *source)
{
	uint32_t i;

	for (i = 0; i < d->h->n_routes; i++)
		if (kwgi_addr_equal(&d->h->routes[i].src, source))
			kwgi_diff_take_route(d, i);
}
