/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference of closed routes, which no other step touches. */
#include <stdlib.h>

#include "steps/diff.h"

static int by_route(const void *a, const void *b)
{
	return kwgi_host_route_cmp(a, b);
}

/* In the order of by_route; NULL: no memory, or none. */
static const struct kwgi_host_route *find(const struct kwgi_host_route *v, uint32_t n,
					  const struct kwgi_host_route *r)
{
	return n ? bsearch(r, v, n, sizeof(*v), by_route) : NULL;
}

static struct kwgi_host_route *sorted(struct kwgi_diff *d, const struct kwgi_host_route *from, uint32_t n)
{
	struct kwgi_host_route *v = kwgi_arena_alloc(&d->s->arena, n + 1u, sizeof(*v));

	if (!v) {
		d->failed = true;
		return NULL;
	}
	if (n) {
		memcpy(v, from, n * sizeof(*v));
		qsort(v, n, sizeof(*v), by_route);
	}
	return v;
}

void kwgi_diff_close(struct kwgi_diff *d)
{
	const struct kwgi_host_route *have = sorted(d, d->h->closed, d->h->n_closed), *r;
	uint32_t i;

	for (i = 0; have && i < d->w->n_closed; i++) {
		struct kwgi_step step = { .kind = KWGI_STEP_ROUTE_ADD, .link = "",
					  .u.route = { .route = d->w->closed[i] } };

		r = find(have, d->h->n_closed, &d->w->closed[i]);
		if (r && r->protocol == d->w->closed[i].protocol && r->passed == d->w->closed[i].passed)
			continue;
		if (r) {
			step.kind = KWGI_STEP_ROUTE_CHANGE;
			step.u.route.old = *r;
			step.u.route.old_link = "";
		}
		kwgi_diff_make(d, &step);
	}
}

void kwgi_diff_reopen(struct kwgi_diff *d)
{
	const struct kwgi_host_route *want = sorted(d, d->w->closed, d->w->n_closed);
	uint32_t i;

	for (i = 0; want && i < d->h->n_closed; i++)
		if ((!d->w->keep_closed || d->h->closed[i].passed) && !find(want, d->w->n_closed, &d->h->closed[i]))
			kwgi_diff_break(d, &(struct kwgi_step){
				.kind = KWGI_STEP_ROUTE_DEL, .link = "",
				.u.route = { .old = d->h->closed[i] } });
}
