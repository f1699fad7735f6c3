/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A hash table, what the tables of indices and of keys have in common: open addressing
 * with linear probing, at most half of the slots in use, no marks of removed ones.
 * Looking up is theirs: the one has its hash at hand, the other compares keys.
 */
#ifndef KWGI_HASHTABLE_H
#define KWGI_HASHTABLE_H

#include <stdint.h>

struct kwgi_slot {
	void *value;			/* NULL: the slot is free */
	uint32_t hash, tag;		/* tag: whatever the table's user wants to know of it */
};

/* Zeroed, it is empty. The place of a hash is the first from hash & mask on. */
struct kwgi_hashtable {
	struct kwgi_slot *v;
	uint32_t mask;			/* slots - 1 */
	uint32_t n;			/* in use */
};

/* Adds one; 0, or -1 without memory: then nothing has changed. */
int kwgi_hashtable_add(struct kwgi_hashtable *t, const struct kwgi_slot *s);

/* Frees a slot in use. Others may move. */
void kwgi_hashtable_remove(struct kwgi_hashtable *t, struct kwgi_slot *s);

/* Frees the slots, not the values. It is then empty and usable. */
void kwgi_hashtable_free(struct kwgi_hashtable *t);

#endif
