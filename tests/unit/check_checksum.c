/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "dp/checksum.h"
#include "packets.h"
#include "unit.h"

/* A folded sum in host order. */
static uint32_t host(uint16_t folded)
{
	return at16((uint8_t *)&folded);
}

static void check_sum(const uint8_t *p, size_t len, const char *what)
{
	static uint8_t copy[70000];
	uint32_t want = slow_sum(p, len, 0);
	uint8_t *to = copy + len % 32;

	memset(to, 0, len);
	to[len] = 0xa5;
	ck_assert_msg(host(kwgi_csum_fold(kwgi_csum_copy(to, p, len, 0))) == want, "%s, copied: %zu bytes", what, len);
	ck_assert_msg(!memcmp(to, p, len) && to[len] == 0xa5, "%s, the copy: %zu bytes", what, len);

	ck_assert_msg(host(kwgi_csum_fold(kwgi_csum_partial(p, len, 0))) == want, "%s: %zu bytes", what, len);
	ck_assert_msg(host(kwgi_csum_fold(kwgi_csum_partial_portable(p, len, 0))) == want,
		      "%s, portable: %zu bytes", what, len);
}

/* RFC 1071 section 3. */
START_TEST(knows_the_example)
{
	static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	ck_assert_uint_eq(host(kwgi_csum_fold(kwgi_csum_partial(data, sizeof(data), 0))), 0xddf2);
}
END_TEST

START_TEST(any_length_and_alignment)
{
	static uint8_t data[1024];
	uint64_t seed = 1;
	size_t i, offset, len;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_u32(&seed);
	for (offset = 0; offset < 33; offset++)
		for (len = 0; len < 600; len++)
			check_sum(data + offset, len, "random");
}
END_TEST

/* Carries: as many as there can be. */
START_TEST(long_and_full)
{
	static uint8_t data[65536];
	uint64_t seed = 2;
	size_t i;

	memset(data, 0xff, sizeof(data));
	for (i = 0; i < 300; i++)
		check_sum(data, i, "ones");
	check_sum(data, sizeof(data), "ones");
	check_sum(data, sizeof(data) - 1, "ones");
	memset(data, 0, sizeof(data));
	check_sum(data, sizeof(data), "zeros");
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_u32(&seed);
	for (i = 0; i < 300; i++)
		check_sum(data, random_below(&seed, sizeof(data) + 1), "random");
}
END_TEST

/* What came before counts, with its carry. */
START_TEST(goes_on)
{
	static uint8_t data[4096], copy[4096];
	static const uint64_t before[] = { 0, 1, 0xffff, 0xffffffff, 0x100000000, UINT64_MAX - 1, UINT64_MAX };
	uint64_t seed = 3;
	uint16_t folded;
	size_t i, n, at;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_u32(&seed);
	for (i = 0; i < 1000; i++) {
		n = random_below(&seed, sizeof(data));
		at = random_below(&seed, (uint32_t)n / 2 + 1) * 2;
		folded = kwgi_csum_fold(kwgi_csum_partial(data + at, n - at, kwgi_csum_partial(data, at, 0)));
		ck_assert_uint_eq(host(folded), slow_sum(data, n, 0));
	}
	for (i = 0; i < N_OF(before); i++)
		for (n = 0; n < 300; n++) {
			folded = kwgi_csum_fold(before[i]);
			ck_assert_uint_eq(host(kwgi_csum_fold(kwgi_csum_partial(data, n, before[i]))),
					  slow_sum(data, n, host(folded)));
			ck_assert_uint_eq(host(kwgi_csum_fold(kwgi_csum_partial_portable(data, n, before[i]))),
					  slow_sum(data, n, host(folded)));
			ck_assert_uint_eq(host(kwgi_csum_fold(kwgi_csum_copy(copy, data, n, before[i]))),
					  slow_sum(data, n, host(folded)));
		}
}
END_TEST

START_TEST(folds)
{
	ck_assert_uint_eq(kwgi_csum_fold(0), 0);
	ck_assert_uint_eq(kwgi_csum_fold(0xffff), 0xffff);
	ck_assert_uint_eq(kwgi_csum_fold(0x10000), 1);
	ck_assert_uint_eq(kwgi_csum_fold(0x1fffe), 0xffff);
	ck_assert_uint_eq(kwgi_csum_fold(0xffff0001ffffffff), 1);
	ck_assert_uint_eq(kwgi_csum_fold(UINT64_MAX), 0xffff);
	ck_assert_uint_eq(kwgi_csum_add(UINT64_MAX, 1), 1);
	ck_assert_uint_eq(kwgi_csum_fold(kwgi_csum_sub(kwgi_csum_add(1234, 4321), 4321)), 1234);
}
END_TEST

/* Not one byte before or behind. */
START_TEST(stays_inside)
{
	uint8_t *edge = guarded(4096) + 4096;
	size_t len;

	memset(edge - 4096, 0xa5, 4096);
	for (len = 0; len < 600; len++) {
		check_sum(edge - len, len, "at the end of a page");
		check_sum(edge - 4096, len, "at its begin");
	}
}
END_TEST

START_TEST(pseudo_headers)
{
	static const uint32_t lens[] = { 0, 1, 20, 255, 256, 65535, 65536, 70000 };
	uint8_t header[40];
	size_t i, k;

	for (i = 0; i < N_OF(lens); i++) {
		for (k = 0; k < 32; k++)
			header[k] = (uint8_t)(0x91 + k * 31);
		set32(header + 32, lens[i]);
		set32(header + 36, 6);
		ck_assert_uint_eq(host(kwgi_csum_fold(kwgi_csum_pseudo6(header, 6, lens[i]))),
				  slow_sum(header, 40, 0));
		set32(header + 8, lens[i]);
		set32(header + 12, 17);
		ck_assert_uint_eq(host(kwgi_csum_fold(kwgi_csum_pseudo4(header, 17, lens[i]))),
				  slow_sum(header, 16, 0));
	}
}
END_TEST

/* RFC 1624 section 4: equation 3 gives 0x0000 where RFC 1141 had 0xffff. */
START_TEST(updates)
{
	uint8_t header[20], word[2];
	uint64_t seed = 4;
	uint16_t old, new, check;
	size_t i, k;

	ck_assert_uint_eq(kwgi_csum_update(0xdd2f, 0x5555, 0x3285), 0);
	for (i = 0; i < 10000; i++) {
		for (k = 0; k < sizeof(header); k++)
			header[k] = (uint8_t)random_u32(&seed);
		memset(header + 10, 0, 2);
		check = kwgi_csum_ipv4(header, sizeof(header));
		ck_assert_uint_eq(host(check), ~slow_sum(header, sizeof(header), 0) & 0xffff);
		memcpy(&old, header, 2);
		set16(word, random_u32(&seed));
		memcpy(header, word, 2);
		memcpy(&new, header, 2);
		ck_assert_uint_eq(kwgi_csum_update(check, old, new), kwgi_csum_ipv4(header, sizeof(header)));
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, knows_the_example);
	tcase_add_test(tc, any_length_and_alignment);
	tcase_add_test(tc, long_and_full);
	tcase_add_test(tc, goes_on);
	tcase_add_test(tc, folds);
	tcase_add_test(tc, stays_inside);
	tcase_add_test(tc, pseudo_headers);
	tcase_add_test(tc, updates);
}

int main(void)
{
	return unit_run("checksum", add);
}
