/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What the implementations with vector instructions share: packets are cut into blocks of
 * ChaCha20 (RFC 8439 section 2.3), and each lane of a vector makes one block of any packet. So
 * all lanes are busy whatever the lengths are. The Poly1305 key of a packet is a block too.
 * While the vectors do that, ordinary registers authenticate two other packets of the batch.
 */
#ifndef KWGI_AEAD_BATCH_H
#define KWGI_AEAD_BATCH_H

#include <string.h>

#include "dp/aead.h"
#include "dp/bytes.h"
#include "dp/poly.h"

enum {
	KWGI_AEAD_BLOCK = 64,		/* of ChaCha20 */
	KWGI_AEAD_LANES = 16,		/* at most */
	KWGI_AEAD_CHUNK = 128,		/* packets worked on at a time */
};

/* One block per lane; numbers and nonces may be written for as many lanes behind the last one. */
struct kwgi_aead_lanes {
	/* Of the state (RFC 8439 section 2.3): words 0 to 11, with the key; 12, 14 and 15; word 13 is 0. */
	uint32_t words[16] __attribute__((aligned(64)));
	uint32_t block[2 * KWGI_AEAD_LANES];
	uint32_t lo[2 * KWGI_AEAD_LANES], hi[2 * KWGI_AEAD_LANES];
	uint8_t *data[KWGI_AEAD_LANES];	/* 64 bytes each, the key stream is added to these */
	unsigned n;			/* lanes in use, the first ones */
};

/* The two halves of the AEAD in vector instructions. */
struct kwgi_aead_kernel {
	unsigned lanes;			/* how many of a struct kwgi_aead_lanes it fills */
	/*
	 * All lanes have data, also those not in use. Blocks of meanwhile are worked on too, as many
	 * as come for free.
	 */
	void (*chacha)(const struct kwgi_aead_lanes *l, struct kwgi_poly_pair *meanwhile);
	unsigned stride;		/* it advances meanwhile by multiples of that many blocks */
	unsigned few;			/* lanes for which chacha is much faster than for all */
	unsigned width;			/* how many packets poly takes at most */
	unsigned short_blocks;		/* up to that many blocks poly is not worth it (measured) */
	/*
	 * The tags of packets of ciphertext (RFC 8439 section 2.8, without additional data); the
	 * first 32 bytes of each of keys are its one-time key.
	 */
	void (*poly)(const uint8_t (*keys)[KWGI_AEAD_BLOCK], const struct kwgi_aead_packet *v,
		     unsigned n, uint8_t (*tags)[KWGI_AEAD_TAG]);
};

#if KWGI_AEAD_NEON
/* For kernel->poly: two packets side by side in ordinary registers. */
void kwgi_aead_poly_two(const uint8_t (*keys)[KWGI_AEAD_BLOCK], const struct kwgi_aead_packet *v,
			unsigned n, uint8_t (*tags)[KWGI_AEAD_TAG]);
#endif

/* As the members of struct kwgi_aead. */
void kwgi_aead_batch_seal(const struct kwgi_aead_kernel *kernel, const uint8_t key[32],
			  struct kwgi_aead_packet *v, unsigned n);
unsigned kwgi_aead_batch_open(const struct kwgi_aead_kernel *kernel, const uint8_t key[32],
			      struct kwgi_aead_packet *v, unsigned n);

/* 16-byte blocks that Poly1305 sees of a packet: the ciphertext, and the two lengths. */
static inline uint32_t kwgi_aead_poly_blocks(uint32_t len)
{
	return (uint32_t)(((uint64_t)len + 15) / 16 + 1);
}

/*
 * The end of Poly1305 (RFC 8439 section 2.5.1): h, in limbs of 44, 44 and 42 bits that may be
 * up to 2^20 times too large, is reduced modulo 2^130 - 5 and added to s.
 */
static inline void kwgi_aead_poly_finish(uint64_t h0, uint64_t h1, uint64_t h2, const uint8_t s[16],
					 uint8_t tag[16])
{
	const uint64_t m44 = (UINT64_C(1) << 44) - 1, m42 = (UINT64_C(1) << 42) - 1;
	uint64_t g0, g1, g2, lo, hi, less;
	int i;

	for (i = 0; i < 3; i++) {
		h1 += h0 >> 44;
		h0 &= m44;
		h2 += h1 >> 44;
		h1 &= m44;
		h0 += (h2 >> 42) * 5;
		h2 &= m42;
	}
	/* h is less than 2^130 now; g = h + 5 - 2^130 is taken if that is not negative. */
	g0 = h0 + 5;
	g1 = h1 + (g0 >> 44);
	g2 = h2 + (g1 >> 44);
	less = (g2 >> 42) - 1;		/* all ones if g is negative */
	h0 = (h0 & less) | (g0 & m44 & ~less);
	h1 = (h1 & less) | (g1 & m44 & ~less);
	h2 = (h2 & less) | (g2 & m42 & ~less);
	lo = h0 | h1 << 44;
	hi = h1 >> 20 | h2 << 24;
	lo += load64(s);
	hi += load64(s + 8) + (lo < load64(s));
	memcpy(tag, &lo, sizeof(lo));
	memcpy(tag + 8, &hi, sizeof(hi));
}

#endif
