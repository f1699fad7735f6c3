/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * ChaCha20-Poly1305 for 64-bit ARM, where every processor has NEON: four blocks of ChaCha20 at once,
 * one per lane, and meanwhile Poly1305 of two other packets in ordinary registers. Vectors of 128
 * bits have no product that is wide enough for more than that to pay off in Poly1305: two products of 32
 * bits are one instruction, as one of 64 bits in ordinary registers is two.
 */
#include "dp/aead_batch.h"

#if KWGI_AEAD_NEON

#include <arm_neon.h>

#define INLINE __attribute__((always_inline)) static inline

/* So many blocks of Poly1305 of each of two packets are done in a double round. */
enum { STRIDE = 1 };

INLINE uint32x4_t rotate16(uint32x4_t x)
{
	return vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(x)));
}

/* By table: one instruction instead of two. */
INLINE uint32x4_t rotate8(uint32x4_t x)
{
	static const uint8_t order[16] = { 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14 };

	return vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(x), vld1q_u8(order)));
}

#define ROTATE(x, n) vsriq_n_u32(vshlq_n_u32((x), (n)), (x), 32 - (n))

INLINE void quarter(uint32x4_t *a, uint32x4_t *b, uint32x4_t *c, uint32x4_t *d)
{
	*a = vaddq_u32(*a, *b);
	*d = rotate16(veorq_u32(*d, *a));
	*c = vaddq_u32(*c, *d);
	*b = veorq_u32(*b, *c);
	*b = ROTATE(*b, 12);
	*a = vaddq_u32(*a, *b);
	*d = rotate8(veorq_u32(*d, *a));
	*c = vaddq_u32(*c, *d);
	*b = veorq_u32(*b, *c);
	*b = ROTATE(*b, 7);
}

INLINE void double_round(uint32x4_t x[16])
{
	quarter(&x[0], &x[4], &x[8], &x[12]);
	quarter(&x[1], &x[5], &x[9], &x[13]);
	quarter(&x[2], &x[6], &x[10], &x[14]);
	quarter(&x[3], &x[7], &x[11], &x[15]);
	quarter(&x[0], &x[5], &x[10], &x[15]);
	quarter(&x[1], &x[6], &x[11], &x[12]);
	quarter(&x[2], &x[7], &x[8], &x[13]);
	quarter(&x[3], &x[4], &x[9], &x[14]);
}

/* The twenty rounds; the compiler mixes the two kinds of instructions. */
INLINE void rounds(uint32x4_t x[16], struct kwgi_poly_pair *pair)
{
	const struct kwgi_poly *p = pair->p;
	struct kwgi_poly_sum h[2] = { p[0].h, p[1].h };
	uint32_t n = kwgi_poly_pair_blocks(pair) / STRIDE, i;

	if (n > 10)
		n = 10;
	for (i = 0; i < n; i++) {
		double_round(x);
		kwgi_poly_block(&h[0], &p[0].r, p[0].data + 16 * (size_t)i);
		kwgi_poly_block(&h[1], &p[1].r, p[1].data + 16 * (size_t)i);
	}
	for (; i < 10; i++)
		double_round(x);
	kwgi_poly_pair_advance(pair, h, n);
}

/* Four words of block i come to stand in x[i]. */
INLINE void transpose(uint32x4_t x[4])
{
	uint64x2_t a = vreinterpretq_u64_u32(vtrn1q_u32(x[0], x[1]));
	uint64x2_t b = vreinterpretq_u64_u32(vtrn2q_u32(x[0], x[1]));
	uint64x2_t c = vreinterpretq_u64_u32(vtrn1q_u32(x[2], x[3]));
	uint64x2_t d = vreinterpretq_u64_u32(vtrn2q_u32(x[2], x[3]));

	x[0] = vreinterpretq_u32_u64(vtrn1q_u64(a, c));
	x[1] = vreinterpretq_u32_u64(vtrn1q_u64(b, d));
	x[2] = vreinterpretq_u32_u64(vtrn2q_u64(a, c));
	x[3] = vreinterpretq_u32_u64(vtrn2q_u64(b, d));
}

INLINE void add_words(uint8_t *data, uint32x4_t stream)
{
	vst1q_u8(data, veorq_u8(vld1q_u8(data), vreinterpretq_u8_u32(stream)));
}

/* The first state of all lanes (RFC 8439 section 2.3), word i. */
INLINE uint32x4_t first_word(const struct kwgi_aead_lanes *l, unsigned i)
{
	switch (i) {
	case 12: return vld1q_u32(l->block);
	case 13: return vdupq_n_u32(0);
	case 14: return vld1q_u32(l->lo);
	case 15: return vld1q_u32(l->hi);
	}
	return vdupq_n_u32(l->words[i]);
}

static void chacha(const struct kwgi_aead_lanes *l, struct kwgi_poly_pair *meanwhile)
{
	uint32x4_t x[16];
	unsigned i, k;

	for (i = 0; i < 16; i++)
		x[i] = first_word(l, i);
	rounds(x, meanwhile);
	for (i = 0; i < 16; i++)
		x[i] = vaddq_u32(x[i], first_word(l, i));
	for (i = 0; i < 16; i += 4)
		transpose(x + i);
	for (k = 0; k < 4; k++)
		for (i = 0; i < 4; i++)
			add_words(l->data[k] + 16 * (size_t)i, x[4 * i + k]);
}

/* ---- */

enum { LANES = 4, FEW = 4, WIDTH = 2 };
_Static_assert((int)LANES <= (int)KWGI_AEAD_LANES && (int)FEW <= (int)KWGI_AEAD_CHUNK, "room in a batch");

static const struct kwgi_aead_kernel kernel = { LANES, chacha, STRIDE, FEW, WIDTH, 0, kwgi_aead_poly_two };

static void seal(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	kwgi_aead_batch_seal(&kernel, key, v, n);
}

static unsigned open(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	return kwgi_aead_batch_open(&kernel, key, v, n);
}

const struct kwgi_aead kwgi_aead_neon = { "neon", seal, open };

#endif
