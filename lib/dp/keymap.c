/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <sodium.h>

#include "dp/keymap.h"

void kwgi_keymap_init(struct kwgi_keymap *m, const uint8_t seed[KWGI_KEYMAP_SEED], size_t key_at)
{
	*m = (struct kwgi_keymap){ .key_at = key_at };
	memcpy(m->seed, seed, sizeof(m->seed));
}

void kwgi_keymap_free(struct kwgi_keymap *m)
{
	kwgi_hashtable_free(&m->table);
}

static const struct kwgi_key *key_of(const struct kwgi_keymap *m, const void *value)
{
	return (const void *)((const uint8_t *)value + m->key_at);
}

static uint32_t hash_of(const struct kwgi_keymap *m, const struct kwgi_key *key)
{
	uint64_t hash;

	_Static_assert(sizeof(hash) == crypto_shorthash_BYTES, "SipHash has 64 bits");
	_Static_assert(sizeof(m->seed) == crypto_shorthash_KEYBYTES, "SipHash takes 128 bits");
	crypto_shorthash((unsigned char *)&hash, key->b, sizeof(key->b), m->seed);
	return (uint32_t)hash;
}

/* The slot of a key, or NULL. */
static struct kwgi_slot *find(const struct kwgi_keymap *m, const struct kwgi_key *key)
{
	struct kwgi_slot *v = m->table.v;
	uint32_t hash, i;

	if (!m->table.n)
		return NULL;
	hash = hash_of(m, key);
	for (i = hash & m->table.mask; v[i].value; i = (i + 1) & m->table.mask)
		if (v[i].hash == hash && kwgi_key_equal(key_of(m, v[i].value), key))
			return &v[i];
	return NULL;
}

int kwgi_keymap_insert(struct kwgi_keymap *m, void *value)
{
	const struct kwgi_slot s = { .value = value, .hash = hash_of(m, key_of(m, value)) };

	return kwgi_hashtable_add(&m->table, &s);
}

void *kwgi_keymap_lookup(const struct kwgi_keymap *m, const struct kwgi_key *key)
{
	const struct kwgi_slot *s = find(m, key);

	return s ? s->value : NULL;
}

void *kwgi_keymap_remove(struct kwgi_keymap *m, const struct kwgi_key *key)
{
	struct kwgi_slot *s = find(m, key);
	void *value = s ? s->value : NULL;

	if (s)
		kwgi_hashtable_remove(&m->table, s);
	return value;
}
