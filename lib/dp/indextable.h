/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Sender indices of a device: 32 random bits that name a handshake or a
 * keypair. Since the indices are random and ours, they are their own hash. The caller holds the lock.
 */
#ifndef KWGI_INDEXTABLE_H
#define KWGI_INDEXTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/hashtable.h"

/* A zeroed table is an empty one. hash is the index. */
struct kwgi_indextable {
	struct kwgi_hashtable table;
};

/* Fills out with len random bytes. */
typedef void kwgi_random_fn(void *ctx, void *out, size_t len);

/*
 * Draws an index that is not in use, for a value (not NULL) with a tag that
 * tells the caller what it is. 0, or -1 without memory (or without randomness:
 * after 1000 draws that are all in use) and then nothing has changed.
 */
int kwgi_indextable_insert(struct kwgi_indextable *t, uint32_t tag, void *value,
			   kwgi_random_fn *random, void *ctx, uint32_t *index);

/* Takes this index, which is not in use, for a value. -1 if it is, or without memory. */
int kwgi_indextable_put(struct kwgi_indextable *t, uint32_t index, uint32_t tag, void *value);

/* Lets an index name something else: a keypair takes over that of its handshake. False if unknown. */
bool kwgi_indextable_replace(struct kwgi_indextable *t, uint32_t index, uint32_t tag, void *value);

/* Frees an index; false if it was not in use. */
bool kwgi_indextable_remove(struct kwgi_indextable *t, uint32_t index);

/* Frees the table, not the values. It is then empty and usable. */
void kwgi_indextable_free(struct kwgi_indextable *t);

/* The slot of an index, or NULL. Per packet, hence here. */
static inline struct kwgi_slot *kwgi_indextable_find(const struct kwgi_indextable *t,
						     uint32_t index)
{
	struct kwgi_slot *v = t->table.v;
	uint32_t i;

	if (!t->table.n)
		return NULL;
	for (i = index & t->table.mask; v[i].value; i = (i + 1) & t->table.mask)
		if (v[i].hash == index)
			return &v[i];
	return NULL;
}

/* The value of an index, or NULL; tag may be NULL. */
static inline void *kwgi_indextable_lookup(const struct kwgi_indextable *t, uint32_t index,
					   uint32_t *tag)
{
	const struct kwgi_slot *s = kwgi_indextable_find(t, index);

	if (!s)
		return NULL;
	if (tag)
		*tag = s->tag;
	return s->value;
}

#endif
