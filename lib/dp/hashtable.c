/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "dp/hashtable.h"

enum { FIRST_SIZE = 16 };

/* There is always a free one. */
static void put(struct kwgi_hashtable *t, const struct kwgi_slot *s)
{
	uint32_t i = s->hash & t->mask;

	while (t->v[i].value)
		i = (i + 1) & t->mask;
	t->v[i] = *s;
}

/* Makes room for one more, so that at most half of the slots are in use. */
static int reserve(struct kwgi_hashtable *t)
{
	uint32_t size = t->v ? t->mask + 1 : 0, i;
	struct kwgi_hashtable bigger = { .n = t->n };

	if (t->n < size / 2)
		return 0;
	if (size > UINT32_MAX / 4)
		return -1;
	bigger.mask = (size ? size * 2 : FIRST_SIZE) - 1;
	bigger.v = calloc((size_t)bigger.mask + 1, sizeof(*bigger.v));
	if (!bigger.v)
		return -1;
	for (i = 0; i < size; i++)
		if (t->v[i].value)
			put(&bigger, &t->v[i]);
	free(t->v);
	*t = bigger;
	return 0;
}

int kwgi_hashtable_add(struct kwgi_hashtable *t, const struct kwgi_slot *s)
{
	if (reserve(t))
		return -1;
	put(t, s);
	t->n++;
	return 0;
}

/*
 * The gap is closed: the next slot that may lie there, which is one whose
 * search would pass it, moves into it and leaves a gap of its own (Knuth, TAOCP
 * volume 3, 6.4, algorithm R).
 */
void kwgi_hashtable_remove(struct kwgi_hashtable *t, struct kwgi_slot *s)
{
	uint32_t i = (uint32_t)(s - t->v), j, home;

	for (j = (i + 1) & t->mask; t->v[j].value; j = (j + 1) & t->mask) {
		home = t->v[j].hash & t->mask;
		if (((j - home) & t->mask) < ((j - i) & t->mask))
			continue;
		t->v[i] = t->v[j];
		i = j;
	}
	t->v[i] = (struct kwgi_slot){ 0 };
	t->n--;
}

void kwgi_hashtable_free(struct kwgi_hashtable *t)
{
	free(t->v);
	*t = (struct kwgi_hashtable){ 0 };
}
