/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * BLAKE2s (RFC 7693) as WireGuard uses it: Hash, Mac, Hmac and Kdf of the
 * paper, section 5.4. Outputs may lie on inputs. Nothing secret stays behind
 * on the stack. No failure is possible with the lengths given here.
 */
#ifndef KWGI_BLAKE2S_H
#define KWGI_BLAKE2S_H

#include <stddef.h>
#include <stdint.h>

enum {
	KWGI_HASH_LEN = 32,
	KWGI_MAC_LEN = 16,
};

/* BLAKE2s-256 of a || b; either may be NULL with length 0. */
void kwgi_hash(uint8_t out[KWGI_HASH_LEN], const void *a, size_t alen, const void *b, size_t blen);

/* Keyed BLAKE2s with 16 bytes of output; the key has 1 to 32 bytes. */
void kwgi_mac(uint8_t out[KWGI_MAC_LEN], const void *key, size_t keylen,
	      const void *data, size_t len);

/* RFC 2104 over BLAKE2s-256: not keyed BLAKE2s. A key of any length. */
void kwgi_hmac(uint8_t out[KWGI_HASH_LEN], const void *key, size_t keylen,
	       const void *data, size_t len);

/* One, two or three keys from a chaining key and data; an output may be NULL. */
void kwgi_kdf1(uint8_t *out1, const uint8_t key[KWGI_HASH_LEN], const void *data, size_t len);
void kwgi_kdf2(uint8_t *out1, uint8_t *out2, const uint8_t key[KWGI_HASH_LEN],
	       const void *data, size_t len);
void kwgi_kdf3(uint8_t *out1, uint8_t *out2, uint8_t *out3, const uint8_t key[KWGI_HASH_LEN],
	       const void *data, size_t len);

#endif
