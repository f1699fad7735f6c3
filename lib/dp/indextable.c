/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "dp/indextable.h"

enum { MAX_DRAWS = 1000 };

int kwgi_indextable_insert(struct kwgi_indextable *t, uint32_t tag, void *value,
			   kwgi_random_fn *random, void *ctx, uint32_t *index)
{
	struct kwgi_slot s = { .value = value, .tag = tag };
	unsigned i;

	for (i = 0; i < MAX_DRAWS; i++) {
		random(ctx, &s.hash, sizeof(s.hash));
		if (kwgi_indextable_find(t, s.hash))
			continue;
		if (kwgi_hashtable_add(&t->table, &s))
			return -1;
		*index = s.hash;
		return 0;
	}
	return -1;
}

int kwgi_indextable_put(struct kwgi_indextable *t, uint32_t index, uint32_t tag, void *value)
{
	struct kwgi_slot s = { .value = value, .hash = index, .tag = tag };

	return kwgi_indextable_find(t, index) ? -1 : kwgi_hashtable_add(&t->table, &s);
}

bool kwgi_indextable_replace(struct kwgi_indextable *t, uint32_t index, uint32_t tag, void *value)
{
	struct kwgi_slot *s = kwgi_indextable_find(t, index);

	if (!s)
		return false;
	s->value = value;
	s->tag = tag;
	return true;
}

bool kwgi_indextable_remove(struct kwgi_indextable *t, uint32_t index)
{
	struct kwgi_slot *s = kwgi_indextable_find(t, index);

	if (!s)
		return false;
	kwgi_hashtable_remove(&t->table, s);
	return true;
}

void kwgi_indextable_free(struct kwgi_indextable *t)
{
	kwgi_hashtable_free(&t->table);
}
