/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <limits.h>

#include "base/num.h"
#include "sys/errtext.h"
#include "unit.h"

enum { REFUSED = -1 };

static const struct {
	const char *text;
	uint64_t max;
	bool ok;
	uint64_t want;
} numbers[] = {
	{ "0", 0, true, 0 },
	{ "1", 1, true, 1 },
	{ "2", 1, false, 0 },
	{ "10", 9, false, 0 },
	{ "65535", 65535, true, 65535 },
	{ "65536", 65535, false, 0 },
	{ "655350", 65535, false, 0 },
	{ "4294967295", UINT32_MAX, true, UINT32_MAX },
	{ "4294967296", UINT32_MAX, false, 0 },
	{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
	{ "18446744073709551616", UINT64_MAX, false, 0 },
	{ "18446744073709551617", UINT64_MAX, false, 0 },
	{ "99999999999999999999", UINT64_MAX, false, 0 },
	{ "184467440737095516150", UINT64_MAX, false, 0 },
	{ "", 10, false, 0 },
	{ "-0", 10, false, 0 },
	{ "+1", 10, false, 0 },
	{ " 1", 10, false, 0 },
	{ "1 ", 10, false, 0 },
	{ "01", 10, false, 0 },
	{ "00", 10, false, 0 },
	{ "0x1", 10, false, 0 },
	{ "1a", 10, false, 0 },
	{ "1.0", 10, false, 0 },
	{ "1,0", 10, false, 0 },
	{ "a", 10, false, 0 },
	{ "\xd9\xa1", 10, false, 0 },	/* a digit elsewhere */
};

START_TEST(parses_numbers)
{
	uint64_t n;
	size_t i;
	int ret;

	for (i = 0; i < N_OF(numbers); i++) {
		n = 12345;
		ret = kwgi_num_parse(&n, numbers[i].text, numbers[i].max);
		ck_assert_msg(!ret == numbers[i].ok, "\"%s\": %d", numbers[i].text, ret);
		ck_assert_msg(n == (ret ? 12345 : numbers[i].want), "\"%s\": %llu", numbers[i].text,
			      (unsigned long long)n);
	}
}
END_TEST

/* The largest is 86400; seconds, or REFUSED. */
static const struct {
	const char *text;
	int64_t want;
} durations[] = {
	{ "0", 0 }, { "30", 30 }, { "86400", 86400 }, { "86401", REFUSED },
	{ "0s", 0 }, { "25s", 25 }, { "1m30s", 90 }, { "1h", 3600 }, { "24h", 86400 },
	{ "24h0m0s", 86400 }, { "24h1ms", 86400 }, { "24h1s", REFUSED }, { "25h", REFUSED },
	{ "1h2m3s", 3723 }, { "3s2m1h", 3723 }, { "1s1s", 2 },
	{ "1.5h", 5400 }, { "0.5m", 30 }, { "1.5s", 1 }, { ".5m", 30 }, { "5.m", 300 },
	{ "500ms", 0 }, { "1000ms", 1 }, { "500ms500ms", 1 }, { "999ms", 0 }, { "1m500ms", 60 },
	{ "0.25h", 900 }, { "1.125h", 4050 }, { "00030s", 30 },
	{ "0.0005h", 1 },	/* 1.8 s */
	{ "1.0005h", 3601 },	/* 3601.8 s */
	{ "0.00000000001h", 0 },
	{ "", REFUSED }, { "s", REFUSED }, { ".s", REFUSED }, { ".", REFUSED }, { "1.", REFUSED },
	{ "1.5", REFUSED }, { "-1s", REFUSED }, { "+1s", REFUSED }, { " 1s", REFUSED },
	{ "1s ", REFUSED }, { "1 s", REFUSED }, { "1m 30s", REFUSED }, { "1m30", REFUSED },
	{ "1d", REFUSED }, { "1S", REFUSED }, { "1sec", REFUSED }, { "1min", REFUSED },
	{ "1.5.5s", REFUSED }, { "1,5s", REFUSED }, { "1e3s", REFUSED }, { "030", REFUSED },
	{ "99999999999999999999999999s", REFUSED }, { "99999999999999999999999999", REFUSED },
	{ "18446744073709551616ms", REFUSED }, { "5124095576h", REFUSED },
	{ "infs", REFUSED }, { "nan", REFUSED },
};

START_TEST(parses_durations)
{
	uint64_t n;
	size_t i;
	int ret;

	for (i = 0; i < N_OF(durations); i++) {
		n = 12345;
		ret = kwgi_duration_parse(&n, durations[i].text, 86400);
		ck_assert_msg(!ret == (durations[i].want != REFUSED), "\"%s\": %d, %llu",
			      durations[i].text, ret, (unsigned long long)n);
		ck_assert_msg(n == (ret ? 12345 : (uint64_t)durations[i].want), "\"%s\": %llu",
			      durations[i].text, (unsigned long long)n);
	}
}
END_TEST

/* Go's and our way to write the same time. */
START_TEST(writes_agree)
{
	char text[64];
	uint64_t n, s;

	for (s = 0; s <= 86400; s += 7) {
		snprintf(text, sizeof(text), "%lluh%llum%llus", (unsigned long long)(s / 3600),
			 (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60));
		ck_assert_int_eq(kwgi_duration_parse(&n, text, 86400), 0);
		ck_assert_uint_eq(n, s);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)s);
		ck_assert_int_eq(kwgi_duration_parse(&n, text, 86400), 0);
		ck_assert_uint_eq(n, s);
	}
}
END_TEST

/* Whoever answers may say any number. */
START_TEST(errnos)
{
	ck_assert_int_eq(kwgi_errno_said(-EEXIST), EEXIST);
	ck_assert_int_eq(kwgi_errno_said(-KWGI_ERRNO_MAX), KWGI_ERRNO_MAX);
	ck_assert_int_eq(kwgi_errno_said(-KWGI_ERRNO_MAX - 1), EBADMSG);
	ck_assert_int_eq(kwgi_errno_said(INT_MIN), EBADMSG);
	ck_assert_int_eq(kwgi_errno_said(EEXIST), EBADMSG);
	ck_assert_int_eq(kwgi_errno_parse("0"), 0);
	ck_assert_int_eq(kwgi_errno_parse("-17"), 17);
	ck_assert_int_eq(kwgi_errno_parse("17"), 17);
	ck_assert_int_eq(kwgi_errno_parse("-2147483648"), EPROTO);
	ck_assert_int_eq(kwgi_errno_parse("99999999999999999999"), EPROTO);
	ck_assert_int_eq(kwgi_errno_parse("--1"), EPROTO);
	ck_assert_int_eq(kwgi_errno_parse("x"), EPROTO);
	ck_assert_int_eq(kwgi_errno_parse(""), EPROTO);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, errnos);
	tcase_add_test(tc, parses_numbers);
	tcase_add_test(tc, parses_durations);
	tcase_add_test(tc, writes_agree);
}

int main(void)
{
	return unit_run("num", add);
}
