/* SPDX-License-Identifier: ISC */
/*
 * Peers by public key. Open addressing with a keyed hash: public keys are
 * chosen by others, who must not be able to make them collide. The caller
 * holds the lock.
 */
#ifndef KWGI_KEYMAP_H
#define KWGI_KEYMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/key.h"

enum { KWGI_KEYMAP_SEED = 16 };

struct kwgi_keymap_slot;

struct kwgi_keymap {
	struct kwgi_keymap_slot *slots;
	uint32_t mask;				/* slots - 1; at most half of them are in use */
	uint32_t n;
	uint8_t seed[KWGI_KEYMAP_SEED];
};

/* An empty map; seed is random. Ends with kwgi_keymap_free(). */
void kwgi_keymap_init(struct kwgi_keymap *m, const uint8_t seed[KWGI_KEYMAP_SEED]);

/* Frees the map, not keys and values. It is then empty and usable. */
void kwgi_keymap_free(struct kwgi_keymap *m);

/*
 * Adds a value (not NULL) under a key that is not there yet. The key is not
 * copied: it lies in the value, and stays as it is while it is in the map.
 * 0, or -1 without memory: then nothing has changed.
 */
int kwgi_keymap_insert(struct kwgi_keymap *m, const struct kwgi_key *key, void *value);

/* The value, or NULL. The key need not be the one of insert, just equal. */
void *kwgi_keymap_lookup(const struct kwgi_keymap *m, const struct kwgi_key *key);

/* Takes a key out and returns its value, or NULL. */
void *kwgi_keymap_remove(struct kwgi_keymap *m, const struct kwgi_key *key);

#endif
