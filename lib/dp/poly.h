/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Poly1305 (RFC 8439 section 2.5) in ordinary registers, for x86-64 CPUs with BMI2 and 64-bit ARM.
 * Vector code leaves these idle: one block after another is added to two packets' sums between its
 * instructions, and costs next to nothing there.
 */
#ifndef KWGI_POLY_H
#define KWGI_POLY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dp/bytes.h"

/* Where there is code for batches with vectors, and which. */
#if defined(__AARCH64EL__) && defined(__SIZEOF_INT128__)
#define KWGI_AEAD_NEON 1
#else
#define KWGI_AEAD_NEON 0
#endif
#if defined(__x86_64__) || KWGI_AEAD_NEON
#define KWGI_AEAD_BATCH 1
#else
#define KWGI_AEAD_BATCH 0
#endif

#if KWGI_AEAD_BATCH

struct kwgi_poly_sum {
	uint64_t h0, h1, h2;	/* 64, 64 and 3 bits; 2^130 + 2^67 at most */
};

struct kwgi_poly_key {
	uint64_t r0, r1;	/* r, clamped */
	uint64_t s1;		/* r1 times 5/4: r1 stands at bit 64, and 2^130 is 5 */
};

/* A packet on the way. */
struct kwgi_poly {
	struct kwgi_poly_sum h;
	struct kwgi_poly_key r;
	const uint8_t *data;	/* the next block */
	uint32_t blocks;	/* whole blocks to come */
};

/* With the first half of a one-time key, whose second half kwgi_poly_finish() wants. */
static inline struct kwgi_poly kwgi_poly_begin(const uint8_t r[16], const uint8_t *data, uint32_t blocks)
{
	struct kwgi_poly p = { .data = data, .blocks = blocks };

	p.r.r0 = load64(r) & 0x0ffffffc0fffffff;
	p.r.r1 = load64(r + 8) & 0x0ffffffc0ffffffc;
	p.r.s1 = p.r.r1 + p.r.r1 / 4;
	return p;
}

/* RFC 8439 section 2.5.1: h is reduced modulo 2^130 - 5 and added to s, modulo 2^128. */
static inline void kwgi_poly_finish(struct kwgi_poly_sum h, const uint8_t s[16], uint8_t tag[16])
{
	uint64_t g0, g1, g2, less, lo, hi;

	/* g = h + 5 is taken if it is 2^130 or more; h is below twice that. */
	g0 = h.h0 + 5;
	g1 = h.h1 + (g0 < 5);
	g2 = h.h2 + (g1 < h.h1);
	less = (g2 >> 2) - 1;		/* all ones if g is below 2^130 */
	lo = (h.h0 & less) | (g0 & ~less);
	hi = (h.h1 & less) | (g1 & ~less);
	lo += load64(s);
	hi += load64(s + 8) + (lo < load64(s));
	memcpy(tag, &lo, sizeof(lo));
	memcpy(tag + 8, &hi, sizeof(hi));
}

/* Two packets that advance together, so that neither waits for its own last product. */
struct kwgi_poly_pair {
	struct kwgi_poly p[2];
};

/* How many blocks both still have. */
static inline uint32_t kwgi_poly_pair_blocks(const struct kwgi_poly_pair *pair)
{
	return pair->p[0].blocks < pair->p[1].blocks ? pair->p[0].blocks : pair->p[1].blocks;
}

/* n blocks of each have been added to h, the two sums that were taken from pair. */
static inline void kwgi_poly_pair_advance(struct kwgi_poly_pair *pair, const struct kwgi_poly_sum h[2],
					  uint32_t n)
{
	unsigned i;

	/* A pair that has nothing to do has no data either. */
	if (!n)
		return;
	for (i = 0; i < 2; i++) {
		pair->p[i].h = h[i];
		pair->p[i].data += 16 * (size_t)n;
		pair->p[i].blocks -= n;
	}
}

#if defined(__x86_64__)

/*
 * The instructions of h = (h + m + 2^128) * r modulo 2^130 - 5, partly reduced. h2d: the lower half
 * of h2; m0, m1: the block; t0 to t3: registers; rdx is used, too. v0 to v15: instructions that
 * stand between, evenly spread; these must not touch the flags.
 *
 * h2 * s1 + t1 stays below 2^64: h2 is 6 at most (2 bits, a carry, and those of the block), s1 is
 * below 2^60.4 and t1 below 2^61.3, as r0 and r1 are below 2^60.
 */
#define KWGI_POLY_BLOCK(h0, h1, h2, h2d, m0, m1, r0, r1, s1, t0, t1, t2, t3, \
			v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15) \
	v0	"addq	" m0 ", " h0 "\n\t"		/* h + m + 2^128 */ \
	v1	"adcq	" m1 ", " h1 "\n\t" \
		"adcq	$1, " h2 "\n\t" \
	v2	"movq	" h0 ", %%rdx\n\t" \
		"mulxq	" r0 ", " t0 ", " t1 "\n\t"	/* h0 * r0 */ \
	v3	"movq	" h1 ", %%rdx\n\t" \
	v4	"mulxq	" s1 ", " t2 ", " t3 "\n\t"	/* h1 * s1 */ \
		"addq	" t2 ", " t0 "\n\t"		/* t1:t0, at bit 0: their sum */ \
	v5	"adcq	" t3 ", " t1 "\n\t" \
		"mulxq	" r0 ", " h1 ", " t2 "\n\t"	/* h1 * r0 */ \
	v6	"movq	" h0 ", %%rdx\n\t" \
	v7	"mulxq	" r1 ", " t3 ", %%rdx\n\t"	/* h0 * r1 */ \
		"addq	" t3 ", " h1 "\n\t"		/* rdx:h1, at bit 64: their sum */ \
	v8	"adcq	" t2 ", %%rdx\n\t" \
		"movq	" s1 ", " t2 "\n\t" \
	v9	"imulq	" h2 ", " t2 "\n\t"		/* h2 * s1, at bit 64 too */ \
	v10	"imulq	" r0 ", " h2 "\n\t"		/* h2 * r0, at bit 128 */ \
		"addq	" t1 ", " t2 "\n\t" \
	v11	"addq	" t2 ", " h1 "\n\t" \
		"adcq	" h2 ", %%rdx\n\t" \
	v12	"movq	%%rdx, " h2 "\n\t" \
		"shrq	$2, %%rdx\n\t"			/* from bit 130 on, times 5 */ \
	v13	"andl	$3, " h2d "\n\t" \
		"leaq	(%%rdx, %%rdx, 4), " h0 "\n\t" \
	v14	"addq	" t0 ", " h0 "\n\t" \
		"adcq	$0, " h1 "\n\t" \
	v15	"adcq	$0, " h2 "\n\t"

/*
 * A block is added to h. In assembler, as compilers make two to three times as many instructions
 * of it, which then cost as much as vectors (gcc 12, Zen 4: 34 cycles for a block of one packet,
 * instead of 16).
 */
__attribute__((always_inline)) static inline void kwgi_poly_block(struct kwgi_poly_sum *h,
								  const struct kwgi_poly_key *r,
								  const uint8_t block[16])
{
	uint64_t t0, t1, t2, t3;

	__asm__(KWGI_POLY_BLOCK("%[h0]", "%[h1]", "%[h2]", "%k[h2]", "%[m0]", "%[m1]",
				"%[r0]", "%[r1]", "%[s1]", "%[t0]", "%[t1]", "%[t2]", "%[t3]",
				"", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "")
		: [h0] "+&r" (h->h0), [h1] "+&r" (h->h1), [h2] "+&r" (h->h2),
		  [t0] "=&r" (t0), [t1] "=&r" (t1), [t2] "=&r" (t2), [t3] "=&r" (t3)
		: [m0] "m" (*(const uint8_t (*)[8])block), [m1] "m" (*(const uint8_t (*)[8])(block + 8)),
		  [r0] "m" (r->r0), [r1] "m" (r->r1), [s1] "m" (r->s1)
		: "rdx", "cc");
}

#else

/*
 * A block is added to h: h = (h + m + 2^128) * r modulo 2^130 - 5, partly reduced. The bounds are those of
 * the instructions above; both products of a sum are below 2^125.
 */
__attribute__((always_inline)) static inline void kwgi_poly_block(struct kwgi_poly_sum *h,
								  const struct kwgi_poly_key *r,
								  const uint8_t block[16])
{
	unsigned __int128 t = (unsigned __int128)h->h0 + load64(block), d0, d1;
	uint64_t h0 = (uint64_t)t, h1, h2, d2;

	t = (t >> 64) + h->h1 + load64(block + 8);
	h1 = (uint64_t)t;
	h2 = h->h2 + (uint64_t)(t >> 64) + 1;
	d0 = (unsigned __int128)h0 * r->r0 + (unsigned __int128)h1 * r->s1;
	d1 = (unsigned __int128)h0 * r->r1 + (unsigned __int128)h1 * r->r0 + h2 * r->s1 +
	     (uint64_t)(d0 >> 64);
	d2 = h2 * r->r0 + (uint64_t)(d1 >> 64);
	t = (unsigned __int128)(uint64_t)d0 + (d2 & ~UINT64_C(3)) + (d2 >> 2);
	h->h0 = (uint64_t)t;
	t = (unsigned __int128)(uint64_t)d1 + (uint64_t)(t >> 64);
	h->h1 = (uint64_t)t;
	h->h2 = (d2 & 3) + (uint64_t)(t >> 64);
}

#endif
#endif
#endif
