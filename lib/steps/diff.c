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
