/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * ChaCha20-Poly1305 (RFC 8439 section 2.8) for transport data: many packets under one key,
 * each with a counter as nonce (4 zero bytes, then the counter in little-endian order) and
 * without additional data.
 *
 * An implementation is a const table; all compute the same. None has a branch or an index
 * that depends on a secret, none writes outside [data, data + len + 16), and what they leave
 * on the stack is wiped once per call. Lengths, counters and verdicts are not secret. Packets
 * of one call do not overlap; every data pointer and length is fine, 0 included.
 */
#ifndef KWGI_AEAD_H
#define KWGI_AEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { KWGI_AEAD_TAG = 16 };

struct kwgi_aead_packet {
	/*
	 * Worked on in place. Seal: len bytes of plaintext, and 16 bytes of room behind them
	 * for the tag. Open: len bytes of ciphertext, then the tag.
	 */
	uint8_t *data;
	uint32_t len;		/* without the tag */
	bool ok;		/* set by open: the tag is right */
	uint64_t counter;
};

struct kwgi_aead {
	const char *name;
	/* Encrypts n packets and writes their tags. */
	void (*seal)(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n);
	/*
	 * Checks the tags of n packets, in constant time, and decrypts those that are
	 * authentic. Returns how many are. Of one that is not, ok is false and data must not be
	 * used: it holds no plaintext, but whether ciphertext or zeros is unspecified.
	 */
	unsigned (*open)(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n);
};

/* The fastest implementation for batches that this CPU and operating system can run. */
const struct kwgi_aead *kwgi_aead_best(void);

/*
 * "sodium" (always there), "avx2", "avx512", "neon" or "openssl". NULL if the name is unknown, not
 * built in, or not possible on this CPU.
 */
const struct kwgi_aead *kwgi_aead_by_name(const char *name);

/* ---- for the implementations ------------------------------------ */

/* Each where it is built in. Who uses it checks that the CPU has the instructions. */
extern const struct kwgi_aead kwgi_aead_avx2, kwgi_aead_avx512, kwgi_aead_neon, kwgi_aead_openssl;

/* WireGuard paper (NDSS 2017), section 5.4.6: 32 zero bits, then the counter in little-endian order. */
static inline void kwgi_aead_nonce(uint8_t nonce[12], uint64_t counter)
{
	unsigned i;

	memset(nonce, 0, 4);
	for (i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> 8 * i);
}

#endif
