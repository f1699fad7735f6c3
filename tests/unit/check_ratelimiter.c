/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The rate limiter of handshakes, in virtual time. */
#include "dp/ratelimiter.h"
#include "vectors.h"

#define MS UINT64_C(1000000)

static const uint8_t secret[KWGI_RATELIMITER_SEED] = "0123456789abcde";
static struct kwgi_ratelimiter r;

static void setup(void)
{
	ck_assert_int_eq(kwgi_ratelimiter_init(&r, 1024, secret), 0);
}

static void teardown(void)
{
	kwgi_ratelimiter_free(&r);
}

/* How many of n at one moment pass. */
static int pass(const char *source, int n, uint64_t now)
{
	struct kwgi_addr a = addr(source);
	int i, passed = 0;

	for (i = 0; i < n; i++)
		passed += kwgi_ratelimiter_allow(&r, &a, now);
	return passed;
}

START_TEST(burst_and_rate)
{
	uint64_t t = 7 * 1000 * MS;

	ck_assert_int_eq(pass("192.0.2.1", 9, t), 5);
	ck_assert_int_eq(pass("192.0.2.1", 9, t + 49 * MS), 0);
	ck_assert_int_eq(pass("192.0.2.1", 9, t + 50 * MS), 1);
	ck_assert_int_eq(pass("192.0.2.1", 9, t + 151 * MS), 2);
	ck_assert_int_eq(pass("192.0.2.1", 9, t + 199 * MS), 0);
	ck_assert_int_eq(pass("192.0.2.1", 9, t + 200 * MS), 1);
	/* What was not used adds up to the burst and no further. */
	ck_assert_int_eq(pass("192.0.2.1", 9, t + 449 * MS), 4);
	ck_assert_int_eq(pass("192.0.2.1", 9, t + 3000 * MS), 5);
}
END_TEST

START_TEST(sustained)
{
	uint64_t t;
	int passed = 0;

	for (t = 0; t < 10000; t++)
		passed += pass("192.0.2.1", 1, t * MS);
	ck_assert_int_eq(passed, 5 + 10 * 20 - 1);
}
END_TEST

START_TEST(from_time_zero)
{
	ck_assert_int_eq(pass("0.0.0.0", 9, 0), 5);
	ck_assert_int_eq(pass("::", 9, 0), 5);
}
END_TEST

START_TEST(sources)
{
	uint64_t t = 1000 * MS;

	ck_assert_int_eq(pass("192.0.2.1", 9, t), 5);
	ck_assert_int_eq(pass("192.0.2.2", 9, t), 5);
	ck_assert_int_eq(pass("2001:db8:0:1::1", 3, t), 3);
	ck_assert_int_eq(pass("2001:db8:0:1:ffff::2", 9, t), 2);
	ck_assert_int_eq(pass("2001:db8:0:2::1", 9, t), 5);
}
END_TEST

/* The same first bytes in the other family are another source: in the smallest table they meet. */
START_TEST(families)
{
	struct kwgi_addr a = { .b = { 192, 0, 2 } };
	uint64_t t = 0;
	int n, i, passed;

	kwgi_ratelimiter_free(&r);
	ck_assert_int_eq(kwgi_ratelimiter_init(&r, 1, secret), 0);
	for (n = 0; n < 100; n++, t += 1000 * MS) {
		a.b[3] = (uint8_t)n;
		for (i = passed = 0; i < 18; i++) {
			a.family = i < 9 ? KWGI_AF_V4 : KWGI_AF_V6;
			passed += kwgi_ratelimiter_allow(&r, &a, t);
		}
		ck_assert_int_eq(passed, 10);
	}
}
END_TEST

/* With every place taken the next source is refused; a place is free when its bucket is full again. */
START_TEST(bounded)
{
	struct kwgi_addr a = { .family = KWGI_AF_V4 };
	uint64_t t = 1000 * MS, seed = 5;
	uint32_t n, in_use = 0, refused = 0;

	for (n = 0; n < 20000; n++) {
		memcpy(a.b, (uint32_t[]){ random_u32(&seed) }, 4);
		if (kwgi_ratelimiter_allow(&r, &a, t))
			in_use++;
		else
			refused++;
	}
	ck_assert_uint_ge(in_use, 1024);
	ck_assert_uint_le(in_use, 1024 + 15);
	ck_assert_uint_eq(in_use + refused, 20000);
	ck_assert_int_eq(kwgi_ratelimiter_allow(&r, &a, t + 49 * MS), 0);
	ck_assert_int_eq(kwgi_ratelimiter_allow(&r, &a, t + 50 * MS), 1);
}
END_TEST

/* Half as many sources as places: nearly all of them find one. */
START_TEST(half_full)
{
	struct kwgi_addr a = { .family = KWGI_AF_V6 };
	uint32_t n, refused = 0;

	for (n = 0; n < 512; n++) {
		memcpy(a.b + 4, &n, 4);
		refused += !kwgi_ratelimiter_allow(&r, &a, 1);
	}
	ck_assert_uint_eq(refused, 0);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, burst_and_rate);
	tcase_add_test(tc, sustained);
	tcase_add_test(tc, from_time_zero);
	tcase_add_test(tc, sources);
	tcase_add_test(tc, families);
	tcase_add_test(tc, bounded);
	tcase_add_test(tc, half_full);
}

int main(void)
{
	return unit_run("ratelimiter", add);
}
