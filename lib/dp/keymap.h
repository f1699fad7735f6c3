/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Peers by public key, with a keyed hash: public keys are
 * chosen by others, who must not be able to make them collide. The caller
 * holds the lock.
 */
#ifndef KWGI_KEYMAP_H
#define KWGI_KEYMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/key.h"
#include "dp/hashtable.h"

enum { KWGI_KEYMAP_SEED = 16 };

struct kwgi_keymap {
	struct kwgi_hashtable table;
	size_t key_at;				/* where in a value its key is */
	uint8_t seed[KWGI_KEYMAP_SEED];
};

/*
 * An empty map of values that have their key at this offset; seed is random.
 * Ends with kwgi_keymap_free().
 */
void kwgi_keymap_init(struct kwgi_keymap *m, const uint8_t seed[KWGI_KEYMAP_SEED], size_t key_at);

/* Frees the map, not keys and values. It is then empty and usable. */
void kwgi_keymap_free(struct kwgi_keymap *m);

/*
 * Adds a value (not NULL) whose key is not there yet, and stays as it is while it
 * is in the map. 0, or -1 without memory: then nothing has changed.
 */
int kwgi_keymap_insert(struct kwgi_keymap *m, void *value);

/* The value, or NULL. */
void *kwgi_keymap_lookup(const struct kwgi_keymap *m, const struct kwgi_key *key);

/* Takes a key out and returns its value, or NULL. */
void *kwgi_keymap_remove(struct kwgi_keymap *m, const struct kwgi_key *key);

#endif
