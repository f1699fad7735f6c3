/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * ChaCha20-Poly1305 with AVX2: eight blocks of ChaCha20 at once, one per lane; Poly1305 over four
 * blocks of a packet at once, with powers of r (M. Goll, S. Gueron, "Vectorization of Poly1305
 * message authentication code", ITNG 2015), in five limbs of 26 bits (D. J. Bernstein, P. Schwabe,
 * "NEON crypto", CHES 2012). The powers of four packets are computed at once, one packet per lane.
 */
#include "dp/aead_batch.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,bmi2")))
#define INLINE __attribute__((always_inline)) TARGET static inline

/* ---- ChaCha20: 8 blocks ---- */

/* So many blocks of Poly1305 of each of two packets are done in a double round. */
enum { STRIDE = 2 };

INLINE __m256i rotate16(__m256i x)
{
	return _mm256_shuffle_epi8(x, _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
						       2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12,
						       13));
}

INLINE __m256i rotate8(__m256i x)
{
	return _mm256_shuffle_epi8(x, _mm256_setr_epi8(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
						       3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13,
						       14));
}

INLINE __m256i rotate(__m256i x, int n)
{
	return _mm256_or_si256(_mm256_slli_epi32(x, n), _mm256_srli_epi32(x, 32 - n));
}

INLINE void quarter(__m256i *a, __m256i *b, __m256i *c, __m256i *d)
{
	*a = _mm256_add_epi32(*a, *b);
	*d = rotate16(_mm256_xor_si256(*d, *a));
	*c = _mm256_add_epi32(*c, *d);
	*b = rotate(_mm256_xor_si256(*b, *c), 12);
	*a = _mm256_add_epi32(*a, *b);
	*d = rotate8(_mm256_xor_si256(*d, *a));
	*c = _mm256_add_epi32(*c, *d);
	*b = rotate(_mm256_xor_si256(*b, *c), 7);
}

/* The block of one of two packets, at its data + at. */
INLINE void meanwhile(struct kwgi_poly_sum h[2], const struct kwgi_poly *p, unsigned side, size_t at)
{
	if (p)
		kwgi_poly_block(&h[side], &p[side].r, p[side].data + at);
}

/* p: NULL where nothing is done meanwhile. */
INLINE void double_round(__m256i x[16], struct kwgi_poly_sum h[2], const struct kwgi_poly *p, size_t at)
{
	quarter(&x[0], &x[4], &x[8], &x[12]);
	meanwhile(h, p, 0, at);
	quarter(&x[1], &x[5], &x[9], &x[13]);
	quarter(&x[2], &x[6], &x[10], &x[14]);
	meanwhile(h, p, 1, at);
	quarter(&x[3], &x[7], &x[11], &x[15]);
	quarter(&x[0], &x[5], &x[10], &x[15]);
	meanwhile(h, p, 0, at + 16);
	quarter(&x[1], &x[6], &x[11], &x[12]);
	quarter(&x[2], &x[7], &x[8], &x[13]);
	meanwhile(h, p, 1, at + 16);
	quarter(&x[3], &x[4], &x[9], &x[14]);
}

/* The twenty rounds. */
INLINE void rounds(__m256i x[16], struct kwgi_poly_pair *pair)
{
	const struct kwgi_poly_pair own = *pair;	/* on the stack: no register for its address */
	struct kwgi_poly_sum h[2] = { own.p[0].h, own.p[1].h };
	uint32_t n = kwgi_poly_pair_blocks(&own) / STRIDE, i;

	if (n > 10)
		n = 10;
	for (i = 0; i < n; i++)
		double_round(x, h, own.p, 16 * STRIDE * (size_t)i);
	for (; i < 10; i++)
		double_round(x, NULL, NULL, 0);
	kwgi_poly_pair_advance(pair, h, STRIDE * n);
}

/* Four words of the blocks j and 4 + j come to stand in x[j]. */
INLINE void transpose_four(__m256i *x)
{
	__m256i a = _mm256_unpacklo_epi32(x[0], x[1]), b = _mm256_unpackhi_epi32(x[0], x[1]);
	__m256i c = _mm256_unpacklo_epi32(x[2], x[3]), d = _mm256_unpackhi_epi32(x[2], x[3]);

	x[0] = _mm256_unpacklo_epi64(a, c);
	x[1] = _mm256_unpackhi_epi64(a, c);
	x[2] = _mm256_unpacklo_epi64(b, d);
	x[3] = _mm256_unpackhi_epi64(b, d);
}

INLINE void swap_halves(__m256i *a, __m256i *b)
{
	__m256i low = _mm256_permute2x128_si256(*a, *b, 0x20);

	*b = _mm256_permute2x128_si256(*a, *b, 0x31);
	*a = low;
}

/* Eight words of block i come to stand in x[i]. */
INLINE void transpose_eight(__m256i *x)
{
	transpose_four(x);
	transpose_four(x + 4);
	swap_halves(&x[0], &x[4]);
	swap_halves(&x[1], &x[5]);
	swap_halves(&x[2], &x[6]);
	swap_halves(&x[3], &x[7]);
}

INLINE void add_half(uint8_t *data, __m256i stream)
{
	_mm256_storeu_si256((__m256i *)(void *)data,
			    _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(void *)data), stream));
}

INLINE void add_block(uint8_t *data, __m256i first, __m256i second)
{
	add_half(data, first);
	add_half(data + 32, second);
}

#define WORD(i) _mm256_set1_epi32((int)l->words[i])
#define OF_LANES(of) _mm256_load_si256((const __m256i *)(const void *)(of))
#define STATE(op) \
	op(0, WORD(0)); op(1, WORD(1)); op(2, WORD(2)); op(3, WORD(3)); \
	op(4, WORD(4)); op(5, WORD(5)); op(6, WORD(6)); op(7, WORD(7)); \
	op(8, WORD(8)); op(9, WORD(9)); op(10, WORD(10)); op(11, WORD(11)); \
	op(12, OF_LANES(l->block)); op(13, _mm256_setzero_si256()); \
	op(14, OF_LANES(l->lo)); op(15, OF_LANES(l->hi))
#define SET(i, v) x[i] = (v)
#define ADD(i, v) x[i] = _mm256_add_epi32(x[i], (v))
#define EACH_LANE(do) do(0); do(1); do(2); do(3); do(4); do(5); do(6); do(7)
#define FULL(i) add_block(l->data[i], x[i], x[8 + (i)])

TARGET static void chacha8(const struct kwgi_aead_lanes *l, struct kwgi_poly_pair *meanwhile)
{
	__m256i x[16];

	STATE(SET);
	rounds(x, meanwhile);
	STATE(ADD);
	transpose_eight(x);
	transpose_eight(x + 8);
	EACH_LANE(FULL);
}

/*
 * For few blocks: the rows of the state of block 2g + i (RFC 8439 section 2.3) in the halves i of
 * a[g] to d[g]. The second half of a double round works on the rows turned, as diagonals.
 */
INLINE void double_round_rows(__m256i *a, __m256i *b, __m256i *c, __m256i *d)
{
	quarter(a, b, c, d);
	*b = _mm256_shuffle_epi32(*b, 0x39);
	*c = _mm256_shuffle_epi32(*c, 0x4e);
	*d = _mm256_shuffle_epi32(*d, 0x93);
	quarter(a, b, c, d);
	*b = _mm256_shuffle_epi32(*b, 0x93);
	*c = _mm256_shuffle_epi32(*c, 0x4e);
	*d = _mm256_shuffle_epi32(*d, 0x39);
}

INLINE __m256i same_row(const uint32_t row[4])
{
	return _mm256_broadcastsi128_si256(_mm_load_si128((const void *)row));
}

/* The last rows of the lanes i and i + 1. */
INLINE __m256i last_rows(const struct kwgi_aead_lanes *l, int i)
{
	return _mm256_setr_epi32((int)l->block[i], 0, (int)l->lo[i], (int)l->hi[i],
				 (int)l->block[i + 1], 0, (int)l->lo[i + 1], (int)l->hi[i + 1]);
}

TARGET static void chacha4(const struct kwgi_aead_lanes *l)
{
	const __m256i a0 = same_row(l->words), b0 = same_row(l->words + 4), c0 = same_row(l->words + 8);
	const __m256i d0[2] = { last_rows(l, 0), last_rows(l, 2) };
	__m256i a[2] = { a0, a0 }, b[2] = { b0, b0 }, c[2] = { c0, c0 }, d[2] = { d0[0], d0[1] };
	int i, g;

	for (i = 0; i < 10; i++) {
		double_round_rows(&a[0], &b[0], &c[0], &d[0]);
		double_round_rows(&a[1], &b[1], &c[1], &d[1]);
	}
	for (g = 0; g < 2; g++) {
		a[g] = _mm256_add_epi32(a[g], a0);
		b[g] = _mm256_add_epi32(b[g], b0);
		c[g] = _mm256_add_epi32(c[g], c0);
		d[g] = _mm256_add_epi32(d[g], d0[g]);
		swap_halves(&a[g], &b[g]);
		swap_halves(&c[g], &d[g]);
		add_block(l->data[2 * g], a[g], c[g]);
		add_block(l->data[2 * g + 1], b[g], d[g]);
	}
}

static void chacha(const struct kwgi_aead_lanes *l, struct kwgi_poly_pair *meanwhile)
{
	if (l->n <= 4)
		chacha4(l);
	else
		chacha8(l, meanwhile);
}

/* ---- Poly1305 (RFC 8439 section 2.5) ---- */

struct limbs {
	__m256i l[5];			/* 26 bits each, some more while working */
};

/* A multiplier: its limbs, and those that wrap around times 5, as 2^130 is 5. */
struct factor {
	__m256i l[5], times5[5];
};

#define M26 _mm256_set1_epi64x((1 << 26) - 1)

INLINE __m256i times5(__m256i x)
{
	return _mm256_add_epi64(x, _mm256_slli_epi64(x, 2));
}

INLINE struct factor make_factor(struct limbs a)
{
	struct factor f = {
		{ a.l[0], a.l[1], a.l[2], a.l[3], a.l[4] },
		{ a.l[0], times5(a.l[1]), times5(a.l[2]), times5(a.l[3]), times5(a.l[4]) },
	};
	return f;
}

INLINE void carry(__m256i *from, __m256i *to)
{
	*to = _mm256_add_epi64(*to, _mm256_srli_epi64(*from, 26));
	*from = _mm256_and_si256(*from, M26);
}

INLINE __m256i five_products(const __m256i h[5], __m256i a, __m256i b, __m256i c, __m256i d, __m256i e)
{
	__m256i x = _mm256_add_epi64(_mm256_mul_epu32(h[0], a), _mm256_mul_epu32(h[1], b));
	__m256i y = _mm256_add_epi64(_mm256_mul_epu32(h[2], c), _mm256_mul_epu32(h[3], d));

	return _mm256_add_epi64(_mm256_add_epi64(x, y), _mm256_mul_epu32(h[4], e));
}

/*
 * h * r modulo 2^130 - 5, four times. With limbs of h below 2^28 and of r below 2^27, five times
 * which is below 2^30, sums stay below 2^61; limbs of the result are below 2^27.
 */
INLINE struct limbs multiply(struct limbs h, const struct factor *f)
{
	const __m256i *r = f->l, *s = f->times5;
	struct limbs d;
	__m256i top;

	d.l[0] = five_products(h.l, r[0], s[4], s[3], s[2], s[1]);
	d.l[1] = five_products(h.l, r[1], r[0], s[4], s[3], s[2]);
	d.l[2] = five_products(h.l, r[2], r[1], r[0], s[4], s[3]);
	d.l[3] = five_products(h.l, r[3], r[2], r[1], r[0], s[4]);
	d.l[4] = five_products(h.l, r[4], r[3], r[2], r[1], r[0]);
	/* two chains beside each other */
	carry(&d.l[0], &d.l[1]);
	carry(&d.l[3], &d.l[4]);
	carry(&d.l[1], &d.l[2]);
	top = _mm256_srli_epi64(d.l[4], 26);
	d.l[4] = _mm256_and_si256(d.l[4], M26);
	d.l[0] = _mm256_add_epi64(d.l[0], times5(top));
	carry(&d.l[2], &d.l[3]);
	carry(&d.l[0], &d.l[1]);
	carry(&d.l[3], &d.l[4]);
	return d;
}

/* Numbers of 128 bits, lo and hi, as limbs. */
INLINE struct limbs split(__m256i lo, __m256i hi)
{
	__m256i mid = _mm256_or_si256(_mm256_srli_epi64(lo, 52), _mm256_slli_epi64(hi, 12));
	struct limbs a;

	a.l[0] = _mm256_and_si256(lo, M26);
	a.l[1] = _mm256_and_si256(_mm256_srli_epi64(lo, 26), M26);
	a.l[2] = _mm256_and_si256(mid, M26);
	a.l[3] = _mm256_and_si256(_mm256_srli_epi64(hi, 14), M26);
	a.l[4] = _mm256_srli_epi64(hi, 40);
	return a;
}

/* Four blocks as limbs; block i comes to stand in the lane that BLOCK_OF_LANE says. */
#define BLOCK_OF_LANE _mm256_setr_epi64x(0, 2, 1, 3)

INLINE struct limbs add_blocks(struct limbs h, const uint8_t *p, __m256i bit128)
{
	__m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
	struct limbs m = split(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));

	h.l[0] = _mm256_add_epi64(h.l[0], m.l[0]);
	h.l[1] = _mm256_add_epi64(h.l[1], m.l[1]);
	h.l[2] = _mm256_add_epi64(h.l[2], m.l[2]);
	h.l[3] = _mm256_add_epi64(h.l[3], m.l[3]);
	h.l[4] = _mm256_add_epi64(h.l[4], _mm256_or_si256(m.l[4], bit128));
	return h;
}

INLINE __m256i lane0(__m256i x)
{
	return _mm256_broadcastq_epi64(_mm256_castsi256_si128(x));
}

/*
 * The sum of all blocks times their powers of r, in four parts. powers holds in each lane what
 * the lane's last block is multiplied with: r^4 in lane 0 to r in lane 3. So that the last
 * block, the lengths, stands there, there are zeros before the first.
 */
INLINE struct limbs sum_blocks(const struct kwgi_aead_packet *v, struct limbs powers)
{
	uint32_t n = kwgi_aead_poly_blocks(v->len), steps = (n + 3) / 4, pad = (4 * steps - n) * 16;
	const __m256i bit128 = _mm256_set1_epi64x(1 << 24), none = _mm256_setzero_si256();
	__m256i zeros = _mm256_cmpgt_epi64(_mm256_set1_epi64x(pad / 16), BLOCK_OF_LANE);
	struct factor last = make_factor(powers), r4;
	struct limbs h = { { none, none, none, none, none } };
	uint8_t edge[64] __attribute__((aligned(32))) = { 0 };
	uint64_t len = v->len;
	const uint8_t *p = v->data;
	uint32_t i;

	if (steps > 1) {
		r4 = make_factor((struct limbs){ { lane0(powers.l[0]), lane0(powers.l[1]),
						   lane0(powers.l[2]), lane0(powers.l[3]),
						   lane0(powers.l[4]) } });
		memcpy(edge + pad, p, 64 - pad);
		p += 64 - pad;
		h = multiply(add_blocks(h, edge, _mm256_andnot_si256(zeros, bit128)), &r4);
		for (i = 1; i < steps - 1; i++, p += 64)
			h = multiply(add_blocks(h, p, bit128), &r4);
		memset(edge, 0, sizeof(edge));
		zeros = none;
		pad = 0;
	}
	if (len)
		memcpy(edge + pad, p, (size_t)(v->data + len - p));
	memcpy(edge + 56, &len, sizeof(len));
	return multiply(add_blocks(h, edge, _mm256_andnot_si256(zeros, bit128)), &last);
}

/* r of up to four packets, clamped (RFC 8439 section 2.5), one per lane. */
INLINE struct limbs load_r(const uint8_t (*keys)[KWGI_AEAD_BLOCK], unsigned n)
{
	uint64_t lo[4] = { 0 }, hi[4] = { 0 };
	__m256i a, b;
	unsigned i;

	for (i = 0; i < n; i++) {
		lo[i] = load64(keys[i]) & 0x0ffffffc0fffffff;
		hi[i] = load64(keys[i] + 8) & 0x0ffffffc0ffffffc;
	}
	a = _mm256_loadu_si256((const __m256i *)(const void *)lo);
	b = _mm256_loadu_si256((const __m256i *)(const void *)hi);
	return split(a, b);
}

/* From one power per row and one packet per lane to one packet per row. */
INLINE void transpose_powers(__m256i out[4], __m256i a, __m256i b, __m256i c, __m256i d)
{
	out[0] = _mm256_unpacklo_epi64(a, b);
	out[1] = _mm256_unpackhi_epi64(a, b);
	out[2] = _mm256_unpacklo_epi64(c, d);
	out[3] = _mm256_unpackhi_epi64(c, d);
	swap_halves(&out[0], &out[2]);
	swap_halves(&out[1], &out[3]);
}

INLINE uint64_t sum_lanes(__m256i x)
{
	__m128i a = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

	return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(a, _mm_unpackhi_epi64(a, a)));
}

TARGET static void poly_four(const uint8_t (*keys)[KWGI_AEAD_BLOCK], const struct kwgi_aead_packet *v,
			     unsigned n, uint8_t (*tags)[KWGI_AEAD_TAG])
{
	struct limbs r = load_r(keys, n), r2, r3, r4, h;
	struct factor f = make_factor(r);
	__m256i powers[5][4];
	unsigned i;

	r2 = multiply(r, &f);
	r3 = multiply(r2, &f);
	f = make_factor(r2);
	r4 = multiply(r2, &f);
	for (i = 0; i < 5; i++)		/* the order of BLOCK_OF_LANE */
		transpose_powers(powers[i], r4.l[i], r2.l[i], r3.l[i], r.l[i]);
	for (i = 0; i < n; i++) {
		h = sum_blocks(&v[i], (struct limbs){ { powers[0][i], powers[1][i], powers[2][i],
							powers[3][i], powers[4][i] } });
		/* Limbs of 26 bits begin at the bits 0, 26, 52, 78 and 104, those of 44 at 0, 44, 88. */
		kwgi_aead_poly_finish(sum_lanes(h.l[0]) + (sum_lanes(h.l[1]) << 26),
				      (sum_lanes(h.l[2]) << 8) + (sum_lanes(h.l[3]) << 34),
				      sum_lanes(h.l[4]) << 16, keys[i] + 16, tags[i]);
	}
}

/* ---- */

enum { LANES = 8, FEW = 4, WIDTH = 4, SHORT = 20 };
_Static_assert((int)LANES <= (int)KWGI_AEAD_LANES && (int)FEW <= (int)KWGI_AEAD_CHUNK, "room in a batch");

static const struct kwgi_aead_kernel kernel = { LANES, chacha, STRIDE, FEW, WIDTH, SHORT, poly_four };

static void seal(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	kwgi_aead_batch_seal(&kernel, key, v, n);
}

static unsigned open(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	return kwgi_aead_batch_open(&kernel, key, v, n);
}

const struct kwgi_aead kwgi_aead_avx2 = { "avx2", seal, open };

#endif
