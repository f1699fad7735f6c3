/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "dp/indextable.h"

enum { FIRST_SIZE = 16, MAX_DRAWS = 1000 };

/* The slot of an index, or the free one where it would go. There is always one. */
static struct kwgi_indextable_slot *find(const struct kwgi_indextable *t, uint32_t index)
{
	uint32_t i = index & t->mask;

	while (t->slots[i].value && t->slots[i].index != index)
		i = (i + 1) & t->mask;
	return &t->slots[i];
}

/* Makes room for one more, so that at most half of the slots are in use. */
static int reserve(struct kwgi_indextable *t)
{
	uint32_t size = t->slots ? t->mask + 1 : 0, i;
	struct kwgi_indextable bigger = { .n = t->n };

	if (t->n < size / 2)
		return 0;
	if (size > UINT32_MAX / 4)
		return -1;
	bigger.mask = (size ? size * 2 : FIRST_SIZE) - 1;
	bigger.slots = calloc((size_t)bigger.mask + 1, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (i = 0; i < size; i++)
		if (t->slots[i].value)
			*find(&bigger, t->slots[i].index) = t->slots[i];
	free(t->slots);
	*t = bigger;
	return 0;
}

int kwgi_indextable_insert(struct kwgi_indextable *t, uint32_t tag, void *value,
			   kwgi_random_fn *random, void *ctx, uint32_t *index)
{
	struct kwgi_indextable_slot *s;
	uint32_t drawn;
	unsigned i;

	if (reserve(t))
		return -1;
	for (i = 0; i < MAX_DRAWS; i++) {
		random(ctx, &drawn, sizeof(drawn));
		s = find(t, drawn);
		if (s->value)
			continue;
		*s = (struct kwgi_indextable_slot){ value, drawn, tag };
		t->n++;
		*index = drawn;
		return 0;
	}
	return -1;
}

bool kwgi_indextable_replace(struct kwgi_indextable *t, uint32_t index, uint32_t tag, void *value)
{
	struct kwgi_indextable_slot *s;

	if (!kwgi_indextable_lookup(t, index, NULL))
		return false;
	s = find(t, index);
	s->value = value;
	s->tag = tag;
	return true;
}

/*
 * Closes the gap at i: the next index that may lie there, which is one whose
 * search would pass i, moves into it and leaves a gap of its own (Knuth, TAOCP
 * volume 3, 6.4, algorithm R). So there are no marks of removed ones.
 */
static void close_gap(struct kwgi_indextable *t, uint32_t i)
{
	uint32_t j, home;

	for (j = (i + 1) & t->mask; t->slots[j].value; j = (j + 1) & t->mask) {
		home = t->slots[j].index & t->mask;
		if (((j - home) & t->mask) < ((j - i) & t->mask))
			continue;
		t->slots[i] = t->slots[j];
		i = j;
	}
	t->slots[i] = (struct kwgi_indextable_slot){ 0 };
}

bool kwgi_indextable_remove(struct kwgi_indextable *t, uint32_t index)
{
	if (!kwgi_indextable_lookup(t, index, NULL))
		return false;
	close_gap(t, (uint32_t)(find(t, index) - t->slots));
	t->n--;
	return true;
}

void kwgi_indextable_free(struct kwgi_indextable *t)
{
	free(t->slots);
	*t = (struct kwgi_indextable){ 0 };
}
