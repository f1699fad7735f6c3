/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "dp/bytes.h"
#include "dp/checksum.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 1
#else
#define HAVE_AVX2 0
#endif

enum {
	VECTOR_MIN = 128,	/* below this the portable loop is as fast */
};

/* Less than 8 bytes: as they would lie in front of zeros. */
static uint64_t add_tail(const uint8_t *p, size_t len, uint64_t sum)
{
	if (len & 4) {
		sum = kwgi_csum_add(sum, load32(p));
		p += 4;
	}
	if (len & 3) {
		uint8_t rest[4] = { 0 };

		rest[0] = p[0];
		if (len & 2)
			rest[1] = p[1];
		if ((len & 3) == 3)
			rest[2] = p[2];
		sum = kwgi_csum_add(sum, load32(rest));
	}
	return sum;
}

/* Four sums side by side, so that no addition waits for the one before it. */
uint64_t kwgi_csum_partial_portable(const void *p, size_t len, uint64_t sum)
{
	const uint8_t *b = p;
	uint64_t s1 = 0, s2 = 0, s3 = 0;

	for (; len >= 32; b += 32, len -= 32) {
		sum = kwgi_csum_add(sum, load64(b));
		s1 = kwgi_csum_add(s1, load64(b + 8));
		s2 = kwgi_csum_add(s2, load64(b + 16));
		s3 = kwgi_csum_add(s3, load64(b + 24));
	}
	sum = kwgi_csum_add(kwgi_csum_add(sum, s1), kwgi_csum_add(s2, s3));
	for (; len >= 8; b += 8, len -= 8)
		sum = kwgi_csum_add(sum, load64(b));
	return len ? add_tail(b, len, sum) : sum;
}

#if HAVE_AVX2
/*
 * 32-bit words are added in lanes of 64 bits, which overflow after 2^32 of
 * them: lengths are far below. A word of 2 * 16 bits has the same sum modulo
 * 2^16 - 1 wherever in 64 bits it stands.
 */
#define AVX2 __attribute__((target("avx2"), always_inline)) static inline

AVX2 __m256i load256(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

AVX2 __m256i add_lanes(__m256i acc, __m256i v)
{
	const __m256i low = _mm256_set1_epi64x(0xffffffff);

	return _mm256_add_epi64(acc, _mm256_add_epi64(_mm256_and_si256(v, low), _mm256_srli_epi64(v, 32)));
}

/* The sum of all lanes, and of the len bytes at p that are left, less than 32. */
AVX2 uint64_t finish_avx2(__m256i a, const uint8_t *p, size_t len, uint64_t sum)
{
	__m128i half = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));

	sum = kwgi_csum_add(sum, (uint64_t)_mm_cvtsi128_si64(half));
	sum = kwgi_csum_add(sum, (uint64_t)_mm_extract_epi64(half, 1));
	for (; len >= 8; p += 8, len -= 8)
		sum = kwgi_csum_add(sum, load64(p));
	return len ? add_tail(p, len, sum) : sum;
}

__attribute__((target("avx2")))
static uint64_t partial_avx2(const uint8_t *p, size_t len, uint64_t sum)
{
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;

	for (; len >= 128; p += 128, len -= 128) {
		a = add_lanes(a, load256(p));
		b = add_lanes(b, load256(p + 32));
		c = add_lanes(c, load256(p + 64));
		d = add_lanes(d, load256(p + 96));
	}
	for (; len >= 32; p += 32, len -= 32)
		a = add_lanes(a, load256(p));
	a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
	return finish_avx2(a, p, len, sum);
}

AVX2 __m256i copy256(uint8_t *to, const uint8_t *from)
{
	__m256i v = load256(from);

	_mm256_storeu_si256((__m256i *)(void *)to, v);
	return v;
}

__attribute__((target("avx2")))
static uint64_t copy_avx2(uint8_t *to, const uint8_t *from, size_t len, uint64_t sum)
{
	__m256i a = _mm256_setzero_si256(), b = a;

	for (; len >= 64; to += 64, from += 64, len -= 64) {
		a = add_lanes(a, copy256(to, from));
		b = add_lanes(b, copy256(to + 32, from + 32));
	}
	if (len >= 32) {
		a = add_lanes(a, copy256(to, from));
		to += 32;
		from += 32;
		len -= 32;
	}
	memcpy(to, from, len);
	return finish_avx2(_mm256_add_epi64(a, b), from, len, sum);
}
#endif

uint64_t kwgi_csum_partial(const void *p, size_t len, uint64_t sum)
{
#if HAVE_AVX2
	if (len >= VECTOR_MIN && __builtin_cpu_supports("avx2"))
		return partial_avx2(p, len, sum);
#endif
	return kwgi_csum_partial_portable(p, len, sum);
}

uint64_t kwgi_csum_copy(void *to, const void *from, size_t len, uint64_t sum)
{
#if HAVE_AVX2
	if (len >= VECTOR_MIN && __builtin_cpu_supports("avx2"))
		return copy_avx2(to, from, len, sum);
#endif
	memcpy(to, from, len);
	return kwgi_csum_partial_portable(from, len, sum);
}

/* Length and protocol, the last words of the version 6 pseudo header; the same sum as in version 4. */
static uint64_t pseudo_tail(uint8_t protocol, uint32_t len)
{
	const uint8_t tail[8] = {
		(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		0, 0, 0, protocol,
	};

	return load64(tail);
}

uint64_t kwgi_csum_pseudo4(const uint8_t addresses[8], uint8_t protocol, uint32_t len)
{
	return kwgi_csum_add(load64(addresses), pseudo_tail(protocol, len));
}

uint64_t kwgi_csum_pseudo6(const uint8_t addresses[32], uint8_t protocol, uint32_t len)
{
	uint64_t sum = kwgi_csum_add(load64(addresses), load64(addresses + 8));

	sum = kwgi_csum_add(sum, kwgi_csum_add(load64(addresses + 16), load64(addresses + 24)));
	return kwgi_csum_add(sum, pseudo_tail(protocol, len));
}

uint16_t kwgi_csum_update(uint16_t check, uint16_t old, uint16_t new)
{
	uint64_t sum = (uint64_t)(uint16_t)~check + (uint16_t)~old + new;

	return (uint16_t)~kwgi_csum_fold(sum);
}

uint16_t kwgi_csum_ipv4(const void *header, size_t len)
{
	return (uint16_t)~kwgi_csum_fold(kwgi_csum_partial_portable(header, len, 0));
}
