/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/prefixset.h"

int kwgi_prefixset_add(struct kwgi_prefixset *s, struct kwgi_arena *a,
		       const struct kwgi_prefix *p, uint32_t value)
{
	if (kwgi_arena_grow(a, &s->v, s->n, &s->cap, sizeof(*s->v)))
		return -1;
	s->v[s->n++] = (struct kwgi_prefixset_item){
		.prefix = kwgi_prefix_masked(p), .value = value,
	};
	return 0;
}

static int by_prefix(const void *a, const void *b)
{
	const struct kwgi_prefixset_item *x = a, *y = b;
	int c = kwgi_prefix_cmp(&x->prefix, &y->prefix);

	if (c)
		return c;
	return x->value < y->value ? -1 : x->value > y->value;
}

void kwgi_prefixset_build(struct kwgi_prefixset *s)
{
	uint32_t i, up;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_prefix);
	for (i = 0; i < s->n; i++) {
		/* What is around i is the item before it or around that one. */
		up = i ? i - 1 : KWGI_NO_ITEM;
		while (up != KWGI_NO_ITEM &&
		       !kwgi_prefix_contains(&s->v[up].prefix, &s->v[i].prefix.addr))
			up = s->v[up].parent;
		s->v[i].parent = up;
	}
}

/* The number of items that sort before p. */
static uint32_t lower_bound(const struct kwgi_prefixset *s, const struct kwgi_prefix *p)
{
	uint32_t lo = 0, hi = s->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (kwgi_prefix_cmp(&s->v[mid].prefix, p) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t kwgi_prefixset_lookup(const struct kwgi_prefixset *s, const struct kwgi_addr *a)
{
	struct kwgi_prefix host = kwgi_prefix_host(a);
	uint32_t i;

	host.len++;	/* so that an item for the address itself sorts before it */
	i = lower_bound(s, &host);
	i = i ? i - 1 : KWGI_NO_ITEM;
	while (i != KWGI_NO_ITEM && !kwgi_prefix_contains(&s->v[i].prefix, a))
		i = s->v[i].parent;
	return i;
}

uint32_t kwgi_prefixset_find(const struct kwgi_prefixset *s, const struct kwgi_prefix *p)
{
	uint32_t i = lower_bound(s, p);

	return i < s->n && kwgi_prefix_equal(&s->v[i].prefix, p) ? i : KWGI_NO_ITEM;
}

uint32_t kwgi_prefixset_inside(const struct kwgi_prefixset *s, const struct kwgi_prefix *p)
{
	uint32_t i = lower_bound(s, p);

	return i < s->n && kwgi_prefix_contains(p, &s->v[i].prefix.addr) ? i : KWGI_NO_ITEM;
}

uint32_t kwgi_prefixset_overlap(const struct kwgi_prefixset *s, const struct kwgi_prefix *p)
{
	struct kwgi_prefix m = kwgi_prefix_masked(p);
	uint32_t i = lower_bound(s, &m);

	if (i < s->n && kwgi_prefix_contains(&m, &s->v[i].prefix.addr))
		return i;
	return kwgi_prefixset_lookup(s, &m.addr);
}
