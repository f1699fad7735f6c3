/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * ChaCha20-Poly1305 with AVX-512 IFMA: 16 blocks of ChaCha20 at once, one per lane; Poly1305 over
 * eight blocks of a packet at once, with powers of r (M. Goll, S. Gueron, "Vectorization of
 * Poly1305 message authentication code", ITNG 2015), in limbs of 44, 44 and 42 bits. The powers of
 * eight packets are computed at once, one packet per lane. Of long packets in batches, Poly1305 is
 * computed in ordinary registers instead, between the instructions of ChaCha20.
 */
#include "dp/aead_batch.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")))
#define INLINE __attribute__((always_inline)) TARGET static inline

#include "dp/chacha_avx512.h"

/* ---- ChaCha20: 16 blocks ---- */

/* Four words each of the blocks j, 4 + j, 8 + j and 12 + j come to stand in x[j]. */
INLINE void transpose_words(__m512i *x)
{
	__m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
	__m512i c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);

	x[0] = _mm512_unpacklo_epi64(a, c);
	x[1] = _mm512_unpackhi_epi64(a, c);
	x[2] = _mm512_unpacklo_epi64(b, d);
	x[3] = _mm512_unpackhi_epi64(b, d);
}

/* The quarters of a, b, c, d, taken as a matrix of 4 by 4, are transposed. */
INLINE void transpose_quarters(__m512i *a, __m512i *b, __m512i *c, __m512i *d)
{
	__m512i ab02 = _mm512_shuffle_i32x4(*a, *b, 0x88), ab13 = _mm512_shuffle_i32x4(*a, *b, 0xdd);
	__m512i cd02 = _mm512_shuffle_i32x4(*c, *d, 0x88), cd13 = _mm512_shuffle_i32x4(*c, *d, 0xdd);

	*a = _mm512_shuffle_i32x4(ab02, cd02, 0x88);
	*b = _mm512_shuffle_i32x4(ab13, cd13, 0x88);
	*c = _mm512_shuffle_i32x4(ab02, cd02, 0xdd);
	*d = _mm512_shuffle_i32x4(ab13, cd13, 0xdd);
}

INLINE void add_block(uint8_t *data, __m512i stream)
{
	_mm512_storeu_si512(data, _mm512_xor_si512(_mm512_loadu_si512(data), stream));
}

#define EACH_LANE(do) \
	do(0); do(1); do(2); do(3); do(4); do(5); do(6); do(7); \
	do(8); do(9); do(10); do(11); do(12); do(13); do(14); do(15)

TARGET static void chacha16(const struct kwgi_aead_lanes *l, struct kwgi_poly_pair *meanwhile)
{
	__m512i x[16];

#define FETCH(i) _mm_prefetch((const char *)l->data[i], _MM_HINT_T0)
	EACH_LANE(FETCH);
	kwgi_chacha_avx512_rounds(x, l, meanwhile);
#define ADD(i) x[i] = _mm512_add_epi32(x[i], _mm512_set1_epi32((int)l->words[i]))
	ADD(0); ADD(1); ADD(2); ADD(3); ADD(4); ADD(5);
	ADD(6); ADD(7); ADD(8); ADD(9); ADD(10); ADD(11);
	x[12] = _mm512_add_epi32(x[12], _mm512_load_si512(l->block));
	x[14] = _mm512_add_epi32(x[14], _mm512_load_si512(l->lo));
	x[15] = _mm512_add_epi32(x[15], _mm512_load_si512(l->hi));
	transpose_words(x);
	transpose_words(x + 4);
	transpose_words(x + 8);
	transpose_words(x + 12);
	transpose_quarters(&x[0], &x[4], &x[8], &x[12]);
	transpose_quarters(&x[1], &x[5], &x[9], &x[13]);
	transpose_quarters(&x[2], &x[6], &x[10], &x[14]);
	transpose_quarters(&x[3], &x[7], &x[11], &x[15]);
#define FULL(i) add_block(l->data[i], x[i])
	EACH_LANE(FULL);
}

/* ---- few blocks ---- */

/* Four quarter rounds on each vector. */
INLINE void quarter(__m512i *a, __m512i *b, __m512i *c, __m512i *d)
{
	*a = _mm512_add_epi32(*a, *b);
	*d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 16);
	*c = _mm512_add_epi32(*c, *d);
	*b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 12);
	*a = _mm512_add_epi32(*a, *b);
	*d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 8);
	*c = _mm512_add_epi32(*c, *d);
	*b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 7);
}

/*
 * The rows of the state of block 4g + i (RFC 8439 section 2.3) in the quarters i of
 * a[g] to d[g]. The second half of a double round works on the rows turned, as diagonals.
 */
INLINE void double_round_rows(__m512i *a, __m512i *b, __m512i *c, __m512i *d)
{
	quarter(a, b, c, d);
	*b = _mm512_shuffle_epi32(*b, 0x39);
	*c = _mm512_shuffle_epi32(*c, 0x4e);
	*d = _mm512_shuffle_epi32(*d, 0x93);
	quarter(a, b, c, d);
	*b = _mm512_shuffle_epi32(*b, 0x93);
	*c = _mm512_shuffle_epi32(*c, 0x4e);
	*d = _mm512_shuffle_epi32(*d, 0x39);
}

INLINE __m512i same_row(const uint32_t row[4])
{
	return _mm512_broadcast_i32x4(_mm_load_si128((const void *)row));
}

/* The last rows of the lanes first to first + 3. */
INLINE __m512i last_rows(const struct kwgi_aead_lanes *l, int first)
{
	__m128i block = _mm_load_si128((const void *)(l->block + first)), zero = _mm_setzero_si128();
	__m128i lo = _mm_load_si128((const void *)(l->lo + first));
	__m128i hi = _mm_load_si128((const void *)(l->hi + first));
	__m128i block01 = _mm_unpacklo_epi32(block, zero), block23 = _mm_unpackhi_epi32(block, zero);
	__m128i nonce01 = _mm_unpacklo_epi32(lo, hi), nonce23 = _mm_unpackhi_epi32(lo, hi);
	__m512i x = _mm512_castsi128_si512(_mm_unpacklo_epi64(block01, nonce01));

	x = _mm512_inserti32x4(x, _mm_unpackhi_epi64(block01, nonce01), 1);
	x = _mm512_inserti32x4(x, _mm_unpacklo_epi64(block23, nonce23), 2);
	return _mm512_inserti32x4(x, _mm_unpackhi_epi64(block23, nonce23), 3);
}

INLINE void chacha_rows(const struct kwgi_aead_lanes *l, int groups)
{
	const __m512i a0 = same_row(l->words), b0 = same_row(l->words + 4), c0 = same_row(l->words + 8);
	__m512i a[2], b[2], c[2], d[2], d0[2];
	int i, g;

	for (g = 0; g < groups; g++) {
		a[g] = a0;
		b[g] = b0;
		c[g] = c0;
		d[g] = d0[g] = last_rows(l, 4 * g);
	}
	for (i = 0; i < 10; i++) {
		double_round_rows(&a[0], &b[0], &c[0], &d[0]);
		if (groups > 1)
			double_round_rows(&a[1], &b[1], &c[1], &d[1]);
	}
	for (g = 0; g < groups; g++) {
		a[g] = _mm512_add_epi32(a[g], a0);
		b[g] = _mm512_add_epi32(b[g], b0);
		c[g] = _mm512_add_epi32(c[g], c0);
		d[g] = _mm512_add_epi32(d[g], d0[g]);
		transpose_quarters(&a[g], &b[g], &c[g], &d[g]);
		add_block(l->data[4 * g], a[g]);
		add_block(l->data[4 * g + 1], b[g]);
		add_block(l->data[4 * g + 2], c[g]);
		add_block(l->data[4 * g + 3], d[g]);
	}
}

TARGET static void chacha4(const struct kwgi_aead_lanes *l)
{
	chacha_rows(l, 1);
}

TARGET static void chacha8(const struct kwgi_aead_lanes *l)
{
	chacha_rows(l, 2);
}

static void chacha(const struct kwgi_aead_lanes *l, struct kwgi_poly_pair *meanwhile)
{
	if (l->n <= 4)
		chacha4(l);
	else if (l->n <= 8)
		chacha8(l);
	else
		chacha16(l, meanwhile);
}

/* ---- Poly1305 (RFC 8439 section 2.5) ---- */

struct limbs {
	__m512i l0, l1, l2;		/* 44, 44 and 42 bits, some more while working */
};

#define M44 _mm512_set1_epi64((1LL << 44) - 1)
#define M42 _mm512_set1_epi64((1LL << 42) - 1)

INLINE __m512i times5(__m512i x)
{
	return _mm512_add_epi64(x, _mm512_slli_epi64(x, 2));
}

/* 2^132 is 20 modulo 2^130 - 5. */
INLINE __m512i times20(__m512i x)
{
	return _mm512_slli_epi64(times5(x), 2);
}

/*
 * h * r modulo 2^130 - 5, eight times; s1 and s2 are 20 times r's limbs. With limbs of h below
 * 2^46 and of r below 2^45, the products are below 2^96, the sums of halves below 2^54, and the
 * result's limbs exceed 44, 44 and 42 bits by less than 2^14.
 */
INLINE struct limbs multiply(struct limbs h, struct limbs r, __m512i s1, __m512i s2)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i lo0, lo1, lo2, hi0, hi1, hi2, c;

	lo0 = _mm512_madd52lo_epu64(zero, h.l0, r.l0);
	hi0 = _mm512_madd52hi_epu64(zero, h.l0, r.l0);
	lo1 = _mm512_madd52lo_epu64(zero, h.l0, r.l1);
	hi1 = _mm512_madd52hi_epu64(zero, h.l0, r.l1);
	lo2 = _mm512_madd52lo_epu64(zero, h.l0, r.l2);
	hi2 = _mm512_madd52hi_epu64(zero, h.l0, r.l2);
	lo0 = _mm512_madd52lo_epu64(lo0, h.l1, s2);
	hi0 = _mm512_madd52hi_epu64(hi0, h.l1, s2);
	lo1 = _mm512_madd52lo_epu64(lo1, h.l1, r.l0);
	hi1 = _mm512_madd52hi_epu64(hi1, h.l1, r.l0);
	lo2 = _mm512_madd52lo_epu64(lo2, h.l1, r.l1);
	hi2 = _mm512_madd52hi_epu64(hi2, h.l1, r.l1);
	lo0 = _mm512_madd52lo_epu64(lo0, h.l2, s1);
	hi0 = _mm512_madd52hi_epu64(hi0, h.l2, s1);
	lo1 = _mm512_madd52lo_epu64(lo1, h.l2, s2);
	hi1 = _mm512_madd52hi_epu64(hi1, h.l2, s2);
	lo2 = _mm512_madd52lo_epu64(lo2, h.l2, r.l0);
	hi2 = _mm512_madd52hi_epu64(hi2, h.l2, r.l0);

	/* The high halves begin at bit 52, that is 8 bits into the next limb (10 after the last). */
	lo1 = _mm512_add_epi64(lo1, _mm512_slli_epi64(hi0, 8));
	lo2 = _mm512_add_epi64(lo2, _mm512_slli_epi64(hi1, 8));
	lo1 = _mm512_add_epi64(lo1, _mm512_srli_epi64(lo0, 44));
	lo2 = _mm512_add_epi64(lo2, _mm512_srli_epi64(lo1, 44));
	c = _mm512_add_epi64(_mm512_slli_epi64(hi2, 10), _mm512_srli_epi64(lo2, 42));
	lo0 = _mm512_add_epi64(_mm512_and_si512(lo0, M44), times5(c));
	h.l0 = _mm512_and_si512(lo0, M44);
	h.l1 = _mm512_add_epi64(_mm512_and_si512(lo1, M44), _mm512_srli_epi64(lo0, 44));
	h.l2 = _mm512_and_si512(lo2, M42);
	return h;
}

INLINE struct limbs times(struct limbs a, struct limbs b)
{
	return multiply(a, b, times20(b.l1), times20(b.l2));
}

/* Eight blocks as limbs; block i comes to stand in the lane that BLOCK_OF_LANE says. */
#define BLOCK_OF_LANE _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7)

INLINE struct limbs add_blocks(struct limbs h, __m512i a, __m512i b, __m512i length, __m512i bit128)
{
	__m512i lo = _mm512_unpacklo_epi64(a, b);
	__m512i hi = _mm512_or_si512(_mm512_unpackhi_epi64(a, b), length);
	__m512i mid = _mm512_or_si512(_mm512_srli_epi64(lo, 44), _mm512_slli_epi64(hi, 20));

	h.l0 = _mm512_add_epi64(h.l0, _mm512_and_si512(lo, M44));
	h.l1 = _mm512_add_epi64(h.l1, _mm512_and_si512(mid, M44));
	h.l2 = _mm512_add_epi64(h.l2, _mm512_or_si512(_mm512_srli_epi64(hi, 24), bit128));
	return h;
}

/* A mask of the bytes from to to - 1 among the 64 that start at byte base. */
INLINE __mmask64 byte_mask(uint32_t base, uint32_t from, uint32_t to)
{
	uint64_t low, high;

	from = from < base ? 0 : from - base;
	to = to < base ? 0 : to - base;
	low = from < 64 ? ~UINT64_C(0) << from : 0;
	high = to < 64 ? ~(~UINT64_C(0) << to) : ~UINT64_C(0);
	return low & high;
}

/* Adds the bytes from to to - 1 of the 128 at p, the others as zeros (they are not touched). */
INLINE struct limbs add_edge(struct limbs h, uintptr_t p, uint32_t from, uint32_t to, __m512i length,
			     __m512i bit128)
{
	return add_blocks(h, _mm512_maskz_loadu_epi8(byte_mask(0, from, to), (const void *)p),
			  _mm512_maskz_loadu_epi8(byte_mask(64, from, to), (const void *)(p + 64)),
			  length, bit128);
}

/*
 * The sum of all blocks times their powers of r, in eight parts. powers holds in each lane what
 * the lane's last block is multiplied with: r^8 in lane 0 to r in lane 7. So that the last
 * block, the lengths, stands there, there are zeros before the first.
 */
INLINE struct limbs sum_blocks(const struct kwgi_aead_packet *v, struct limbs powers)
{
	uint32_t n = kwgi_aead_poly_blocks(v->len), steps = (n + 7) / 8, pad = (8 * steps - n) * 16, i;
	const __m512i bit128 = _mm512_set1_epi64(1LL << 40), none = _mm512_setzero_si512();
	const __m512i length = _mm512_setr_epi64(0, 0, 0, 0, 0, 0, 0, (long long)v->len);
	struct limbs h = { none, none, none }, r8;
	uintptr_t p = (uintptr_t)v->data - pad;
	__mmask8 first = _mm512_cmpge_epi64_mask(BLOCK_OF_LANE, _mm512_set1_epi64(pad / 16));
	__m512i s1, s2;

	if (steps == 1) {
		h = add_edge(h, p, pad, pad + v->len, length, _mm512_maskz_mov_epi64(first, bit128));
		return times(h, powers);
	}
	r8.l0 = _mm512_broadcastq_epi64(_mm512_castsi512_si128(powers.l0));
	r8.l1 = _mm512_broadcastq_epi64(_mm512_castsi512_si128(powers.l1));
	r8.l2 = _mm512_broadcastq_epi64(_mm512_castsi512_si128(powers.l2));
	s1 = times20(r8.l1);
	s2 = times20(r8.l2);
	h = add_edge(h, p, pad, 128, none, _mm512_maskz_mov_epi64(first, bit128));
	for (i = 1; i < steps - 1; i++) {
		p += 128;
		h = multiply(h, r8, s1, s2);
		h = add_blocks(h, _mm512_loadu_si512((const void *)p),
			       _mm512_loadu_si512((const void *)(p + 64)), none, bit128);
	}
	p += 128;
	h = multiply(h, r8, s1, s2);
	h = add_edge(h, p, 0, v->len + pad - 128 * (steps - 1), length, bit128);
	return times(h, powers);
}

/* r of up to eight packets, clamped (RFC 8439 section 2.5), one per lane. */
INLINE struct limbs load_r(const uint8_t (*keys)[KWGI_AEAD_BLOCK], unsigned n)
{
	uint64_t lo[8] = { 0 }, hi[8] = { 0 };
	struct limbs r;
	__m512i a, b;
	unsigned i;

	for (i = 0; i < n; i++) {
		lo[i] = load64(keys[i]);
		hi[i] = load64(keys[i] + 8);
	}
	a = _mm512_and_si512(_mm512_loadu_si512(lo), _mm512_set1_epi64(0x0ffffffc0fffffff));
	b = _mm512_and_si512(_mm512_loadu_si512(hi), _mm512_set1_epi64(0x0ffffffc0ffffffc));
	r.l0 = _mm512_and_si512(a, M44);
	r.l1 = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(a, 44), _mm512_slli_epi64(b, 20)), M44);
	r.l2 = _mm512_srli_epi64(b, 24);
	return r;
}

/* From one power per row and one packet per lane to one packet per row. */
INLINE void transpose_powers(__m512i out[8], __m512i a, __m512i b, __m512i c, __m512i d, __m512i e,
			     __m512i f, __m512i g, __m512i h)
{
	out[0] = _mm512_unpacklo_epi64(a, b);
	out[1] = _mm512_unpackhi_epi64(a, b);
	out[2] = _mm512_unpacklo_epi64(c, d);
	out[3] = _mm512_unpackhi_epi64(c, d);
	out[4] = _mm512_unpacklo_epi64(e, f);
	out[5] = _mm512_unpackhi_epi64(e, f);
	out[6] = _mm512_unpacklo_epi64(g, h);
	out[7] = _mm512_unpackhi_epi64(g, h);
	transpose_quarters(&out[0], &out[2], &out[4], &out[6]);
	transpose_quarters(&out[1], &out[3], &out[5], &out[7]);
}

/* The rows of powers[.][i] belong to packet i. */
INLINE void compute_powers(__m512i powers[3][8], struct limbs r)
{
	struct limbs r2 = times(r, r), r3 = times(r2, r), r4 = times(r2, r2), r5, r6, r7, r8;
	__m512i s1 = times20(r4.l1), s2 = times20(r4.l2);

	r5 = multiply(r, r4, s1, s2);
	r6 = multiply(r2, r4, s1, s2);
	r7 = multiply(r3, r4, s1, s2);
	r8 = multiply(r4, r4, s1, s2);
	/* the order of BLOCK_OF_LANE */
	transpose_powers(powers[0], r8.l0, r4.l0, r7.l0, r3.l0, r6.l0, r2.l0, r5.l0, r.l0);
	transpose_powers(powers[1], r8.l1, r4.l1, r7.l1, r3.l1, r6.l1, r2.l1, r5.l1, r.l1);
	transpose_powers(powers[2], r8.l2, r4.l2, r7.l2, r3.l2, r6.l2, r2.l2, r5.l2, r.l2);
}

TARGET static void poly_eight(const uint8_t (*keys)[KWGI_AEAD_BLOCK], const struct kwgi_aead_packet *v,
			      unsigned n, uint8_t (*tags)[KWGI_AEAD_TAG])
{
	__m512i powers[3][8];
	struct limbs h;
	unsigned i;

	compute_powers(powers, load_r(keys, n));
	for (i = 0; i < n; i++) {
		h = sum_blocks(&v[i], (struct limbs){ powers[0][i], powers[1][i], powers[2][i] });
		kwgi_aead_poly_finish((uint64_t)_mm512_reduce_add_epi64(h.l0),
				      (uint64_t)_mm512_reduce_add_epi64(h.l1),
				      (uint64_t)_mm512_reduce_add_epi64(h.l2), keys[i] + 16, tags[i]);
	}
}

/* ---- */

enum { LANES = 16, FEW = 8, WIDTH = 8, SHORT = 20 };
_Static_assert((int)LANES <= (int)KWGI_AEAD_LANES && (int)FEW <= (int)KWGI_AEAD_CHUNK, "room in a batch");

static const struct kwgi_aead_kernel kernel = {
	LANES, chacha, KWGI_CHACHA_AVX512_STRIDE, FEW, WIDTH, SHORT, poly_eight,
};

static void seal(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	kwgi_aead_batch_seal(&kernel, key, v, n);
}

static unsigned open(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	return kwgi_aead_batch_open(&kernel, key, v, n);
}

const struct kwgi_aead kwgi_aead_avx512 = { "avx512", seal, open };

#endif
