/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Only the streaming functions of libb2 are used. They can fail by a wrong
 * length alone, and the lengths here are fixed or stated in the header.
 */
#include <string.h>

#include <blake2.h>
#include <sodium.h>

#include "dp/blake2s.h"

static void update(blake2s_state *s, const void *p, size_t len)
{
	if (len)
		blake2s_update(s, p, len);
}

/* libb2 leaves the digest, which may be a key, and parts of the text on its stack. */
enum { STACK_OF_LIBB2 = 1024 };

static void finish(blake2s_state *s, uint8_t *out, size_t len)
{
	blake2s_final(s, out, len);
	sodium_memzero(s, sizeof(*s));
	sodium_stackzero(STACK_OF_LIBB2);
}

void kwgi_hash(uint8_t out[KWGI_HASH_LEN], const void *a, size_t alen, const void *b, size_t blen)
{
	blake2s_state s;

	blake2s_init(&s, KWGI_HASH_LEN);
	update(&s, a, alen);
	update(&s, b, blen);
	finish(&s, out, KWGI_HASH_LEN);
}

void kwgi_mac(uint8_t out[KWGI_MAC_LEN], const void *key, size_t keylen,
	      const void *data, size_t len)
{
	blake2s_state s;

	blake2s_init_key(&s, KWGI_MAC_LEN, key, keylen);
	update(&s, data, len);
	finish(&s, out, KWGI_MAC_LEN);
}

static void xor_pad(uint8_t block[BLAKE2S_BLOCKBYTES], uint8_t with)
{
	unsigned i;

	for (i = 0; i < BLAKE2S_BLOCKBYTES; i++)
		block[i] ^= with;
}

void kwgi_hmac(uint8_t out[KWGI_HASH_LEN], const void *key, size_t keylen,
	       const void *data, size_t len)
{
	uint8_t block[BLAKE2S_BLOCKBYTES] = { 0 }, inner[KWGI_HASH_LEN];

	if (keylen > sizeof(block))
		kwgi_hash(block, key, keylen, NULL, 0);
	else if (keylen)
		memcpy(block, key, keylen);
	xor_pad(block, 0x36);
	kwgi_hash(inner, block, sizeof(block), data, len);
	xor_pad(block, 0x36 ^ 0x5c);
	kwgi_hash(out, block, sizeof(block), inner, sizeof(inner));
	sodium_memzero(block, sizeof(block));
	sodium_memzero(inner, sizeof(inner));
}

/* n keys, each into out[i] unless that is NULL. */
static void kdf(uint8_t *const out[], unsigned n, const uint8_t *key, const void *data, size_t len)
{
	uint8_t secret[KWGI_HASH_LEN], t[KWGI_HASH_LEN + 1];
	unsigned i;

	kwgi_hmac(secret, key, KWGI_HASH_LEN, data, len);
	for (i = 0; i < n; i++) {
		/* The first has no key before it: just its number. */
		size_t before = i ? KWGI_HASH_LEN : 0;

		t[before] = (uint8_t)(i + 1);
		kwgi_hmac(t, secret, sizeof(secret), t, before + 1);
		if (out[i])
			memcpy(out[i], t, KWGI_HASH_LEN);
	}
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(t, sizeof(t));
}

void kwgi_kdf1(uint8_t *out1, const uint8_t key[KWGI_HASH_LEN], const void *data, size_t len)
{
	kdf((uint8_t *[]){ out1 }, 1, key, data, len);
}

void kwgi_kdf2(uint8_t *out1, uint8_t *out2, const uint8_t key[KWGI_HASH_LEN],
	       const void *data, size_t len)
{
	kdf((uint8_t *[]){ out1, out2 }, 2, key, data, len);
}

void kwgi_kdf3(uint8_t *out1, uint8_t *out2, uint8_t *out3, const uint8_t key[KWGI_HASH_LEN],
	       const void *data, size_t len)
{
	kdf((uint8_t *[]){ out1, out2, out3 }, 3, key, data, len);
}
