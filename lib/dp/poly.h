/* SPDX-License-Identifier: ISC */
/*
 * Poly1305 (RFC 8439 section 2.5) in ordinary registers, for x86-64 CPUs with BMI2. Vector code
 * leaves these idle: one block after another is added to two packets' sums between its
 * instructions, and costs next to nothing there.
 */
#ifndef KWGI_POLY_H
#define KWGI_POLY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dp/bytes.h"

#if defined(__x86_64__)

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

/*
 * h = (h + block + 2^128) * r modulo 2^130 - 5, partly reduced. In assembler, as
 * compilers make two to three times as many instructions of it, which then cost as much as
 * vectors (gcc 12, Zen 4: 34 cycles for a block of one packet, instead of 16).
 */
__attribute__((always_inline)) static inline void kwgi_poly_block(struct kwgi_poly_sum *h,
								  const struct kwgi_poly_key *r,
								  const uint8_t block[16])
{
	uint64_t lo0, hi0, hi1, t, u;

	__asm__("addq	%[m0], %[h0]\n\t"		/* h + block + 2^128 */
		"adcq	%[m1], %[h1]\n\t"
		"adcq	$1, %[h2]\n\t"
		"movq	%[h0], %%rdx\n\t"
		"mulxq	%[r0], %[lo0], %[hi0]\n\t"	/* h0 * r0 */
		"mulxq	%[r1], %[h0], %[hi1]\n\t"	/* h0 * r1 */
		"movq	%[h1], %%rdx\n\t"
		"mulxq	%[s1], %[t], %[u]\n\t"		/* h1 * s1 */
		"mulxq	%[r0], %[h1], %%rdx\n\t"	/* h1 * r0 */
		"addq	%[t], %[lo0]\n\t"		/* at bit 0: h0 * r0 + h1 * s1 */
		"adcq	%[u], %[hi0]\n\t"
		"addq	%[h0], %[h1]\n\t"		/* at bit 64: h0 * r1 + h1 * r0 */
		"adcq	%[hi1], %%rdx\n\t"
		"movq	%[s1], %[t]\n\t"
		"imulq	%[h2], %[t]\n\t"		/* h2 * s1, at bit 64 too */
		"imulq	%[r0], %[h2]\n\t"		/* h2 * r0, at bit 128 */
		"addq	%[hi0], %[h1]\n\t"
		"adcq	$0, %%rdx\n\t"
		"addq	%[t], %[h1]\n\t"
		"adcq	%[h2], %%rdx\n\t"
		"movq	%%rdx, %[h0]\n\t"		/* from bit 130 on, times 5 */
		"movq	%%rdx, %[h2]\n\t"
		"andq	$-4, %[h0]\n\t"
		"shrq	$2, %%rdx\n\t"
		"andl	$3, %k[h2]\n\t"
		"addq	%%rdx, %[h0]\n\t"
		"addq	%[lo0], %[h0]\n\t"
		"adcq	$0, %[h1]\n\t"
		"adcq	$0, %[h2]"
		: [h0] "+&r" (h->h0), [h1] "+&r" (h->h1), [h2] "+&r" (h->h2), [lo0] "=&r" (lo0),
		  [hi0] "=&r" (hi0), [hi1] "=&r" (hi1), [t] "=&r" (t), [u] "=&r" (u)
		: [m0] "m" (*(const uint8_t (*)[8])block), [m1] "m" (*(const uint8_t (*)[8])(block + 8)),
		  [r0] "m" (r->r0), [r1] "m" (r->r1), [s1] "m" (r->s1)
		: "rdx", "cc");
}

#endif
#endif
