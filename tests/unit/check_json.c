/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Buffers, UTF-8 and JSON: whatever goes in, well-formed text comes out. */
#include "base/utf8.h"
#include "config/json.h"
#include "unit.h"

/* ---- buffers --------------------------------------------------------- */

START_TEST(buffer_grows)
{
	struct kwgi_buf b = { 0 };
	size_t i, len;
	char *text;

	for (i = 0; i < 100000; i++)
		kwgi_buf_putc(&b, (char)('a' + i % 26));
	kwgi_buf_puts(&b, "");
	kwgi_buf_add(&b, "x\0y", 3);
	text = kwgi_buf_take(&b, &len);
	ck_assert_uint_eq(len, 100003);
	for (i = 0; i < 100000; i++)
		ck_assert_int_eq(text[i], 'a' + (int)(i % 26));
	ck_assert(!memcmp(text + 100000, "x\0y", 4));
	ck_assert_ptr_null(b.p);
	free(text);
}
END_TEST

START_TEST(buffer_prints)
{
	static const uint64_t numbers[] = { 0, 9, 10, 65535, UINT32_MAX, UINT64_MAX };
	struct kwgi_buf b = { 0 };
	char want[64], *text;
	size_t i;

	for (i = 0; i < N_OF(numbers); i++) {
		snprintf(want, sizeof(want), "%llu", (unsigned long long)numbers[i]);
		kwgi_buf_putu(&b, numbers[i]);
		text = kwgi_buf_take(&b, NULL);
		ck_assert_str_eq(text, want);
		free(text);
	}
	kwgi_buf_printf(&b, "%s %*d|", "a", 5000, 7);
	ck_assert_uint_eq(b.len, 5003);
	ck_assert_str_eq(b.p + 5000, " 7|");
	kwgi_buf_free(&b);
	text = kwgi_buf_take(&b, NULL);		/* empty, but a text */
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(buffer_failure_sticks)
{
	struct kwgi_buf b = { 0 };

	kwgi_buf_puts(&b, "a");
	kwgi_buf_add(&b, "b", SIZE_MAX);
	ck_assert(b.failed);
	kwgi_buf_puts(&b, "c");
	ck_assert_ptr_null(kwgi_buf_take(&b, NULL));
	ck_assert(!b.failed && !b.p);		/* usable again */
	kwgi_buf_puts(&b, "d");
	ck_assert_str_eq(b.p, "d");
	kwgi_buf_free(&b);
}
END_TEST

/* ---- UTF-8 ----------------------------------------------------------- */

/* RFC 3629 and its borders. */
static const struct {
	const char *text;
	size_t len;
} characters[] = {
	{ "", 0 }, { "a", 1 }, { "\x7f", 1 }, { "\x01", 1 },
	{ "\x80", 0 }, { "\xbf", 0 }, { "\xc0\x80", 0 }, { "\xc1\xbf", 0 },
	{ "\xc2\x80", 2 }, { "\xdf\xbf", 2 }, { "\xc2", 0 }, { "\xc2\x7f", 0 }, { "\xc2\xc0", 0 },
	{ "\xe0\x80\x80", 0 }, { "\xe0\x9f\xbf", 0 }, { "\xe0\xa0\x80", 3 }, { "\xe0\xa0", 0 },
	{ "\xed\x9f\xbf", 3 }, { "\xed\xa0\x80", 0 }, { "\xed\xbf\xbf", 0 }, { "\xee\x80\x80", 3 },
	{ "\xef\xbf\xbf", 3 }, { "\xef\xbf", 0 }, { "\xef", 0 }, { "\xe2\x82\x41", 0 },
	{ "\xf0\x80\x80\x80", 0 }, { "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 },
	{ "\xf4\x8f\xbf\xbf", 4 }, { "\xf4\x90\x80\x80", 0 }, { "\xf5\x80\x80\x80", 0 },
	{ "\xf0\x9f\x98\x80", 4 }, { "\xf0\x9f\x98", 0 }, { "\xfe", 0 }, { "\xff", 0 },
	{ "\xf8\x88\x80\x80\x80", 0 },
};

START_TEST(utf8)
{
	size_t i;

	for (i = 0; i < N_OF(characters); i++)
		ck_assert_msg(kwgi_utf8_len(characters[i].text) == characters[i].len, "case %zu: %zu", i,
			      kwgi_utf8_len(characters[i].text));
}
END_TEST

/* ---- JSON ------------------------------------------------------------ */

static const struct {
	const char *text, *want;
} strings[] = {
	{ "", "\"\"" },
	{ "a b", "\"a b\"" },
	{ "\"", "\"\\\"\"" },
	{ "\\", "\"\\\\\"" },
	{ "/", "\"/\"" },
	{ "\n\t", "\"\\n\\t\"" },
	{ "\r\b\f", "\"\\u000d\\u0008\\u000c\"" },
	{ "\x01\x1f", "\"\\u0001\\u001f\"" },
	{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
	/* what is no UTF-8 must not make the output something else */
	{ "a\x80z", "\"a\\ufffdz\"" },
	{ "\xc3\"", "\"\\ufffd\\\"\"" },
	{ "\xff\xfe", "\"\\ufffd\\ufffd\"" },
	{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
	{ NULL, "null" },
};

START_TEST(json_strings)
{
	struct kwgi_buf b = { 0 };
	size_t i;

	for (i = 0; i < N_OF(strings); i++) {
		struct kwgi_json j = { .b = &b };

		kwgi_json_string(&j, NULL, strings[i].text);
		ck_assert_str_eq(b.p, strings[i].want);
		kwgi_buf_free(&b);
	}
}
END_TEST

static void put_values(struct kwgi_json *j)
{
	struct kwgi_addr a = addr("::ffff:1.2.3.4"), no_addr = addr("");
	struct kwgi_prefix p = prefix("fd00::/8"), no_prefix = prefix("");
	struct kwgi_endpoint e = endpoint("[2001:db8::1]:5"), no_endpoint = endpoint("");
	struct kwgi_key k = key(1), no_key = key(0);

	kwgi_json_addr(j, NULL, &a);
	kwgi_json_addr(j, NULL, &no_addr);
	kwgi_json_prefix(j, NULL, &p);
	kwgi_json_prefix(j, NULL, &no_prefix);
	kwgi_json_endpoint(j, NULL, &e);
	kwgi_json_endpoint(j, NULL, &no_endpoint);
	kwgi_json_key(j, NULL, &k);
	kwgi_json_key(j, NULL, &no_key);
}

START_TEST(json_structure)
{
	struct kwgi_buf b = { 0 };
	struct kwgi_json j = { .b = &b };

	kwgi_json_object(&j, NULL);
	kwgi_json_array(&j, "a\"");
	kwgi_json_end_array(&j);
	kwgi_json_object(&j, "b");
	kwgi_json_end_object(&j);
	kwgi_json_array(&j, "c");
	kwgi_json_uint(&j, NULL, UINT64_MAX);
	kwgi_json_int(&j, NULL, INT64_MIN);
	kwgi_json_int(&j, NULL, INT64_MAX);
	kwgi_json_int(&j, NULL, -1);
	kwgi_json_bool(&j, NULL, true);
	kwgi_json_bool(&j, NULL, false);
	kwgi_json_null(&j, NULL);
	kwgi_json_end_array(&j);
	kwgi_json_array(&j, "d");
	put_values(&j);
	kwgi_json_end_array(&j);
	kwgi_json_end_object(&j);
	ck_assert_str_eq(b.p,
			 "{\n \"a\\\"\": [],\n \"b\": {},\n"
			 " \"c\": [\n  18446744073709551615,\n  -9223372036854775808,\n"
			 "  9223372036854775807,\n  -1,\n  true,\n  false,\n  null\n ],\n"
			 " \"d\": [\n  \"1.2.3.4\",\n  null,\n  \"fd00::/8\",\n  null,\n"
			 "  \"[2001:db8::1]:5\",\n  null,\n"
			 "  \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\",\n  null\n ]\n}\n");
	kwgi_buf_free(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, buffer_grows);
	tcase_add_test(tc, buffer_prints);
	tcase_add_test(tc, buffer_failure_sticks);
	tcase_add_test(tc, utf8);
	tcase_add_test(tc, json_strings);
	tcase_add_test(tc, json_structure);
}

int main(void)
{
	return unit_run("json", add);
}
