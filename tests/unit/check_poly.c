/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Poly1305 in ordinary registers against libsodium, with what carries far. */
#include "dp/poly.h"
#include "unit.h"

#include <sodium.h>

enum { MAX_BLOCKS = 40 };

#if defined(__x86_64__)

static void compare(const uint8_t key[32], const uint8_t *data, uint32_t blocks)
{
	struct kwgi_poly p = kwgi_poly_begin(key, data, blocks);
	uint8_t want[16], got[16];
	uint32_t i;

	for (i = 0; i < blocks; i++)
		kwgi_poly_block(&p.h, &p.r, data + 16 * i);
	kwgi_poly_finish(p.h, key + 16, got);
	crypto_onetimeauth_poly1305(want, data, 16 * (size_t)blocks, key);
	ck_assert_mem_eq(want, got, sizeof(want));
}

/* RFC 8439 appendix A.3, numbers 7 to 11: blocks of one byte and fifteen others. */
START_TEST(edges_of_the_rfc)
{
	static const struct { uint8_t r, first_rest[3][2]; uint32_t blocks; } v[] = {
		{ 2, { { 0xff, 0xff } }, 1 },
		{ 2, { { 0x02, 0x00 } }, 1 },
		{ 1, { { 0xff, 0xff }, { 0xf0, 0xff }, { 0x11, 0x00 } }, 3 },
		{ 1, { { 0xff, 0xff }, { 0xfb, 0xfe }, { 0x01, 0x01 } }, 3 },
		{ 2, { { 0xfd, 0xff } }, 1 },
	};
	uint8_t key[32], data[48];
	size_t i, b;

	for (i = 0; i < N_OF(v); i++) {
		memset(key, 0, sizeof(key));
		key[0] = v[i].r;
		for (b = 0; b < v[i].blocks; b++) {
			memset(data + 16 * b, v[i].first_rest[b][1], 16);
			data[16 * b] = v[i].first_rest[b][0];
		}
		compare(key, data, v[i].blocks);
		memset(key + 16, 0xff, 16);
		compare(key, data, v[i].blocks);
	}
}
END_TEST

/* With r = 1, h is the sum of the blocks: 2^130 - 16 and up, with three blocks of 2^128 and more. */
START_TEST(around_the_modulus)
{
	uint8_t key[32] = { 1 }, data[48];
	unsigned last;

	for (last = 0; last < 32; last++) {
		memset(data, 0, sizeof(data));
		memset(data, 0xff, 16);
		data[0] = 0xf0;
		data[32] = (uint8_t)last;
		compare(key, data, 3);
	}
}
END_TEST

/* All of r that clamping leaves, all of the data, and some of each. */
START_TEST(large_limbs)
{
	static const uint8_t fill[] = { 0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff };
	static uint8_t data[16 * MAX_BLOCKS];
	uint8_t key[32];
	size_t i, j;
	uint32_t n;

	for (i = 0; i < sizeof(fill); i++) {
		for (j = 0; j < sizeof(fill); j++) {
			memset(key, fill[i], sizeof(key));
			memset(data, fill[j], sizeof(data));
			for (n = 0; n <= MAX_BLOCKS; n++)
				compare(key, data, n);
		}
	}
}
END_TEST

START_TEST(random_ones)
{
	static uint8_t data[16 * MAX_BLOCKS];
	uint8_t seed[randombytes_SEEDBYTES] = { 0 }, key[32];
	uint32_t i;

	for (i = 0; i < 20000; i++) {
		memcpy(seed, &i, sizeof(i));
		randombytes_buf_deterministic(data, sizeof(data), seed);
		seed[8] ^= 1;
		randombytes_buf_deterministic(key, sizeof(key), seed);
		compare(key, data, i % (MAX_BLOCKS + 1));
	}
}
END_TEST

#endif

static void add(TCase *tc)
{
#if defined(__x86_64__)
	if (!__builtin_cpu_supports("bmi2"))
		return;
	tcase_add_test(tc, edges_of_the_rfc);
	tcase_add_test(tc, around_the_modulus);
	tcase_add_test(tc, large_limbs);
	tcase_add_test(tc, random_ones);
#else
	(void)tc;
#endif
}

int main(void)
{
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return unit_run("poly", add);
}
