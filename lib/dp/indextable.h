/* SPDX-License-Identifier: ISC */
/*
 * Sender indices of a device: 32 random bits that name a handshake or a
 * keypair. Open addressing; since the indices are random and ours, their low
 * bits are the hash. The caller holds the lock.
 */
#ifndef KWGI_INDEXTABLE_H
#define KWGI_INDEXTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kwgi_indextable_slot {
	void *value;				/* NULL: the slot is free */
	uint32_t index, tag;
};

/* A zeroed table is an empty one. */
struct kwgi_indextable {
	struct kwgi_indextable_slot *slots;
	uint32_t mask;				/* slots - 1; at most half of them are in use */
	uint32_t n;
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

/* Lets an index name something else: a keypair takes over that of its handshake. False if unknown. */
bool kwgi_indextable_replace(struct kwgi_indextable *t, uint32_t index, uint32_t tag, void *value);

/* Frees an index; false if it was not in use. */
bool kwgi_indextable_remove(struct kwgi_indextable *t, uint32_t index);

/* Frees the table, not the values. It is then empty and usable. */
void kwgi_indextable_free(struct kwgi_indextable *t);

/* The value of an index, or NULL; tag may be NULL. Per packet, hence here. */
static inline void *kwgi_indextable_lookup(const struct kwgi_indextable *t, uint32_t index,
					   uint32_t *tag)
{
	uint32_t i;

	if (!t->n)
		return NULL;
	for (i = index & t->mask; t->slots[i].value; i = (i + 1) & t->mask) {
		if (t->slots[i].index != index)
			continue;
		if (tag)
			*tag = t->slots[i].tag;
		return t->slots[i].value;
	}
	return NULL;
}

#endif
