/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dp/keymap.h"

enum { FIRST_SIZE = 16 };

struct kwgi_keymap_slot {
	uint64_t hash;
	const struct kwgi_key *key;
	void *value;				/* NULL: the slot is free */
};

void kwgi_keymap_init(struct kwgi_keymap *m, const uint8_t seed[KWGI_KEYMAP_SEED])
{
	*m = (struct kwgi_keymap){ 0 };
	memcpy(m->seed, seed, sizeof(m->seed));
}

void kwgi_keymap_free(struct kwgi_keymap *m)
{
	free(m->slots);
	m->slots = NULL;
	m->mask = m->n = 0;
}

static uint64_t hash_of(const struct kwgi_keymap *m, const struct kwgi_key *key)
{
	uint64_t hash;

	_Static_assert(sizeof(hash) == crypto_shorthash_BYTES, "SipHash has 64 bits");
	_Static_assert(sizeof(m->seed) == crypto_shorthash_KEYBYTES, "SipHash takes 128 bits");
	crypto_shorthash((unsigned char *)&hash, key->b, sizeof(key->b), m->seed);
	return hash;
}

/* The place of a key, or the free one where it would go. There is always one. */
static uint32_t find(const struct kwgi_keymap *m, uint64_t hash, const struct kwgi_key *key)
{
	uint32_t i = (uint32_t)hash & m->mask;

	while (m->slots[i].value &&
	       (m->slots[i].hash != hash || !kwgi_key_equal(m->slots[i].key, key)))
		i = (i + 1) & m->mask;
	return i;
}

/* Makes room for one more, so that at most half of the slots are in use. */
static int reserve(struct kwgi_keymap *m)
{
	uint32_t size = m->slots ? m->mask + 1 : 0, i;
	struct kwgi_keymap bigger = *m;

	if (m->n < size / 2)
		return 0;
	if (size > UINT32_MAX / 4)
		return -1;
	bigger.mask = (size ? size * 2 : FIRST_SIZE) - 1;
	bigger.slots = calloc((size_t)bigger.mask + 1, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (i = 0; i < size; i++)
		if (m->slots[i].value)
			bigger.slots[find(&bigger, m->slots[i].hash, m->slots[i].key)] =
				m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int kwgi_keymap_insert(struct kwgi_keymap *m, const struct kwgi_key *key, void *value)
{
	uint64_t hash = hash_of(m, key);

	if (reserve(m))
		return -1;
	m->slots[find(m, hash, key)] = (struct kwgi_keymap_slot){ hash, key, value };
	m->n++;
	return 0;
}

void *kwgi_keymap_lookup(const struct kwgi_keymap *m, const struct kwgi_key *key)
{
	return m->n ? m->slots[find(m, hash_of(m, key), key)].value : NULL;
}

/* As in indextable.c: what would be searched past the gap moves into it. */
static void close_gap(struct kwgi_keymap *m, uint32_t i)
{
	uint32_t j, home;

	for (j = (i + 1) & m->mask; m->slots[j].value; j = (j + 1) & m->mask) {
		home = (uint32_t)m->slots[j].hash & m->mask;
		if (((j - home) & m->mask) < ((j - i) & m->mask))
			continue;
		m->slots[i] = m->slots[j];
		i = j;
	}
	m->slots[i] = (struct kwgi_keymap_slot){ 0 };
}

void *kwgi_keymap_remove(struct kwgi_keymap *m, const struct kwgi_key *key)
{
	uint32_t i;
	void *value;

	if (!m->n)
		return NULL;
	i = find(m, hash_of(m, key), key);
	value = m->slots[i].value;
	if (!value)
		return NULL;
	close_gap(m, i);
	m->n--;
	return value;
}
