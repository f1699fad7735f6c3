/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Reading INI text: nothing that inih would lose, cut or guess may get through. */
#include "config/ini.h"
#include "unit.h"

enum { LONG_NAME = 253 };

/* What was read, as text: "LINE [section]" and "LINE key=value" lines, then remarks. */
struct recorder {
	struct kwgi_buf b;
};

static void on_section(void *arg, const char *name, struct kwgi_place at)
{
	struct recorder *r = arg;

	ck_assert_uint_eq(at.file, 0);
	kwgi_buf_printf(&r->b, "%u [%s]\n", at.line, name);
}

static void on_entry(void *arg, const char *k, char *value, struct kwgi_place at)
{
	struct recorder *r = arg;

	ck_assert_uint_eq(at.file, 0);
	kwgi_buf_printf(&r->b, "%u %s=%s\n", at.line, k, value);
}

static const struct kwgi_ini_ops ops = { on_section, on_entry };

/* The record of a text, free() it. Remarks stand in it as "! LINE key: text". */
static char *record(const char *text, size_t len)
{
	struct recorder r = { { 0 } };
	struct kwgi_arena arena = { 0 };
	struct kwgi_diags d = { .arena = &arena };
	char *copy = malloc(len ? len : 1);	/* so that a sanitizer sees reads beyond the end */
	uint32_t i;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	ck_assert_uint_eq(kwgi_diags_file(&d, "f.ini"), 0);
	ck_assert_int_eq(kwgi_ini_parse(copy, len, 0, &ops, &r, &d), 0);
	kwgi_diags_finish(&d);
	for (i = 0; i < d.n; i++) {
		ck_assert_int_eq(d.v[i].diag.severity, KWG_ERROR);
		kwgi_buf_printf(&r.b, "! %u %s: %s\n", d.v[i].diag.line, d.v[i].diag.key,
				d.v[i].diag.text);
	}
	kwgi_arena_free(&arena);
	free(copy);
	return kwgi_buf_take(&r.b, NULL);
}

#define NO_EQUALS ": there is no \"=\"; a line is [section], key = value or # comment\n"
#define BAD_HEADER ": a section header is [name] and nothing else on its line\n"
#define NO_KEY \
	": the text before \"=\" is no key; a key is made of letters, digits and dashes\n"
#define NO_SECTION \
	": is before the first section; begin with [mesh], [local], [node] or [peer]\n"
#define HAS_NUL ": the line has a NUL byte; text is accepted\n"

static const struct {
	const char *text;
	size_t len;		/* 0: up to the NUL */
	const char *want;
} cases[] = {
	{ "", 0, "" },
	{ "\n", 0, "" },
	{ "\n\n \n\t\n", 0, "" },
	{ "[a]", 0, "1 [a]\n" },
	{ "[a]\nk = v\n", 0, "1 [a]\n2 k=v\n" },
	{ "[a]\nk = v", 0, "1 [a]\n2 k=v\n" },
	{ "[a]\nk=v\n", 0, "1 [a]\n2 k=v\n" },
	{ "[a]\nk\t =\t v  \t\n", 0, "1 [a]\n2 k=v\n" },
	{ "[a]\nk =\n", 0, "1 [a]\n2 k=\n" },
	{ "[a]\nk = v w\n", 0, "1 [a]\n2 k=v w\n" },
	{ "[a]\nk = v = w\n", 0, "1 [a]\n2 k=v = w\n" },
	{ "[a]\nk = [b]\n", 0, "1 [a]\n2 k=[b]\n" },
	{ "[a]\nk = a:b\n", 0, "1 [a]\n2 k=a:b\n" },
	{ "[a]\nk = \"v\"\n", 0, "1 [a]\n2 k=\"v\"\n" },
	{ "[ a ]\n", 0, "1 [a]\n" },
	{ "[]\n", 0, "1 []\n" },
	{ "[a b]\n", 0, "1 [a b]\n" },
	/* the same header again starts anew, and inih must not swallow it */
	{ "[a]\nk=1\n[a]\nk=2\n[a]\n[a]\nk=3\n", 0,
	  "1 [a]\n2 k=1\n3 [a]\n4 k=2\n5 [a]\n6 [a]\n7 k=3\n" },
	{ "[a]\nk=1\nk=2\nk=1\n", 0, "1 [a]\n2 k=1\n3 k=2\n4 k=1\n" },
	/* line ends, byte order mark */
	{ "[a]\r\nk = v\r\n\r\nl = w\r\n", 0, "1 [a]\n2 k=v\n4 l=w\n" },
	{ "[a]\r\nk = v\r", 0, "1 [a]\n2 k=v\n" },
	{ "\xef\xbb\xbf[a]\nk = v\n", 0, "1 [a]\n2 k=v\n" },
	{ "\xef\xbb\xbf", 0, "" },
	{ "\xef\xbb", 0, "! 1 " NO_EQUALS },
	{ "\n\xef\xbb\xbf[a]\n", 0, "! 2 " NO_EQUALS },
	/* comments */
	{ "# c\n; c\n  # c\n\t; c = d\n[a] # c\nk = v # c\nl = w ; c\nm = x\t# c\n", 0,
	  "5 [a]\n6 k=v\n7 l=w\n8 m=x\n" },
	{ "[a] ; c\n", 0, "1 [a]\n" },
	{ "[a]\nk = a#b\nl = a;b\nm = #c\nn = ;c\no =#c\n", 0,
	  "1 [a]\n2 k=a#b\n3 l=a;b\n4 m=\n5 n=\n6 o=#c\n" },
	{ "[a]\nk = a#b # c\n", 0, "1 [a]\n2 k=a#b\n" },
	{ "#[a]\n#k = v\n", 0, "" },
	/* an indented line is a line, not more of the value before it */
	{ "[a]\nk = v\n  l = w\n\tm = x\n", 0, "1 [a]\n2 k=v\n3 l=w\n4 m=x\n" },
	{ "[a]\nk = v\n  more\n", 0, "1 [a]\n2 k=v\n! 3 " NO_EQUALS },
	{ "  [a]\n k = v\n\t[b]\n", 0, "1 [a]\n2 k=v\n3 [b]\n" },
	/* mistakes */
	{ "[a]\nk\nl = w\nm\n", 0, "1 [a]\n3 l=w\n! 2 " NO_EQUALS "! 4 " NO_EQUALS },
	{ "[a]\nk: v\n", 0, "1 [a]\n! 2 " NO_EQUALS },
	{ "[a]\n= v\n", 0, "1 [a]\n! 2 " NO_KEY },
	{ "[a]\nk l = v\n", 0, "1 [a]\n! 2 " NO_KEY },
	{ "[a]\nk\xc3\xa4 = v\n", 0, "1 [a]\n! 2 " NO_KEY },
	{ "[a]\n\"k\" = v\n", 0, "1 [a]\n! 2 " NO_KEY },
	{ "k = v\n\nl = w\n", 0, "! 1 k" NO_SECTION "! 3 l" NO_SECTION },
	{ "k = v\n[a]\nl = w\n", 0, "2 [a]\n3 l=w\n! 1 k" NO_SECTION },
	/* what follows a header that cannot be read belongs to no section, least of all the last */
	{ "[a]\nk = 1\n[b\nl = 2\n[c]\nm = 3\n", 0, "1 [a]\n2 k=1\n5 [c]\n6 m=3\n! 3 " BAD_HEADER },
	{ "[b\nl = 2\n", 0, "! 1 " BAD_HEADER },
	{ "[a]]\n", 0, "! 1 " BAD_HEADER },
	{ "[a] k = v\n", 0, "! 1 " BAD_HEADER },
	{ "[a#b]\n[c #d]\n", 0, "1 [a#b]\n! 2 " BAD_HEADER },
	{ "]\n", 0, "! 1 " NO_EQUALS },
	/* NUL */
	{ "[a]\nk = v\0w\nl = x\n", 17, "1 [a]\n3 l=x\n! 2 " HAS_NUL },
	{ "\0", 1, "! 1 " HAS_NUL },
	{ "[a]\n# \0\nl = x\n", 14, "1 [a]\n3 l=x\n! 2 " HAS_NUL },
	{ "[a]\nk = v\n\0", 11, "1 [a]\n2 k=v\n! 3 " HAS_NUL },
};

START_TEST(reads_and_refuses)
{
	size_t i, len;
	char *got;

	for (i = 0; i < N_OF(cases); i++) {
		len = cases[i].len ? cases[i].len : strlen(cases[i].text);
		got = record(cases[i].text, len);
		ck_assert_msg(!strcmp(got, cases[i].want), "case %zu\n%s\nwanted:\n%s\ngot:\n%s", i,
			      cases[i].text, cases[i].want, got);
		free(got);
	}
}
END_TEST

/* len times c, in a buffer that ends with it; free() it. */
static char *repeated(char c, size_t len)
{
	char *s = malloc(len + 1);

	ck_assert_ptr_nonnull(s);
	memset(s, c, len);
	s[len] = '\0';
	return s;
}

/* Values around the lengths at which inih cuts, and up to the longest line. */
START_TEST(long_values)
{
	static const size_t lengths[] = { 1, 48, 49, 50, 193, 194, 195, 196, 197, 198, 199, 200, 201, 253,
					  398, 400, 500, 1000, 4095, 4096, 8192, 65000, 65532 };
	struct kwgi_buf text = { 0 }, want = { 0 };
	char *v, *got;
	size_t i;

	kwgi_buf_puts(&text, "[a]\n");
	kwgi_buf_puts(&want, "1 [a]\n");
	for (i = 0; i < N_OF(lengths); i++) {
		v = repeated((char)('a' + i), lengths[i]);
		kwgi_buf_printf(&text, "k = %s\nl = x\n", v);
		kwgi_buf_printf(&want, "%zu k=%s\n%zu l=x\n", 2 * i + 2, v, 2 * i + 3);
		free(v);
	}
	got = record(text.p, text.len);
	ck_assert_str_eq(got, want.p);
	free(got);
	kwgi_buf_free(&text);
	kwgi_buf_free(&want);
}
END_TEST

/* One byte more than a line may have; those after it count on from the right number. */
START_TEST(overlong_lines)
{
	struct kwgi_buf text = { 0 };
	char *v, *got;

	kwgi_buf_puts(&text, "[a]\n");
	v = repeated('x', KWGI_INI_MAX_LINE - 4);
	kwgi_buf_printf(&text, "k = %sy\nl = 1\nm = 2 \n", v);
	free(v);
	v = repeated('#', 3 * KWGI_INI_MAX_LINE);
	kwgi_buf_printf(&text, "%s\nn = 3", v);
	free(v);
	got = record(text.p, text.len);
	ck_assert_str_eq(got, "1 [a]\n3 l=1\n4 m=2\n6 n=3\n"
			      "! 2 : the line has 65537 bytes; at most 65536 are accepted\n"
			      "! 5 : the line has 196608 bytes; at most 65536 are accepted\n");
	free(got);
	kwgi_buf_free(&text);
}
END_TEST

/* Two long names that differ in their last letter, as section and as value. */
START_TEST(long_names)
{
	char *x = repeated('n', LONG_NAME), *y = repeated('n', LONG_NAME), *got;
	struct kwgi_buf text = { 0 }, want = { 0 };

	x[LONG_NAME - 1] = 'x';
	y[LONG_NAME - 1] = 'y';
	kwgi_buf_printf(&text, "[%s]\nname = %s\n[%s]\nname = %s\n", x, x, y, y);
	kwgi_buf_printf(&want, "1 [%s]\n2 name=%s\n3 [%s]\n4 name=%s\n", x, x, y, y);
	got = record(text.p, text.len);
	ck_assert_str_eq(got, want.p);
	free(got);
	free(x);
	free(y);
	kwgi_buf_free(&text);
	kwgi_buf_free(&want);
}
END_TEST

START_TEST(long_keys)
{
	char *k = repeated('k', KWGI_INI_MAX_KEY), *got;
	struct kwgi_buf text = { 0 }, want = { 0 };

	kwgi_buf_printf(&text, "[a]\n%s = v\n%sk = v\n", k, k);
	kwgi_buf_printf(&want, "1 [a]\n2 %s=v\n! 3 " NO_KEY, k);
	got = record(text.p, text.len);
	ck_assert_str_eq(got, want.p);
	free(got);
	free(k);
	kwgi_buf_free(&text);
	kwgi_buf_free(&want);
}
END_TEST

/* Every one of many entries has its own line number, whatever stands between. */
START_TEST(line_numbers)
{
	static const char *const fillers[] = { "", "\n", "# c\n", "\r\n", "  ; c\n\n", "[a]\n" };
	struct kwgi_buf text = { 0 };
	unsigned line = 0, i, n = 0;
	char *got, *p;
	const char *c;

	kwgi_buf_puts(&text, "[a]\n");
	for (i = 0; i < 20000; i++)
		kwgi_buf_printf(&text, "%sk=%u\n", fillers[i * 7 % N_OF(fillers)], i);
	got = record(text.p, text.len);
	/* Go through the text by hand and look for the same lines in the record. */
	for (c = text.p, p = got; *c; c = strchr(c, '\n') + 1) {
		line++;
		if (strncmp(c, "k=", 2) && strncmp(c, "[a]", 3))
			continue;
		ck_assert_uint_eq(strtoul(p, &p, 10), line);
		if (*c == 'k') {
			ck_assert_msg(!strncmp(p, " k=", 3), "line %u", line);
			ck_assert_uint_eq(strtoul(p + 3, NULL, 10), n);
			n++;
		}
		p = strchr(p, '\n') + 1;
	}
	ck_assert_uint_eq(n, 20000);
	ck_assert_int_eq(*p, '\0');
	free(got);
	kwgi_buf_free(&text);
}
END_TEST

/* Many more sections than fit into any table of inih. */
START_TEST(many_sections)
{
	struct kwgi_buf text = { 0 }, want = { 0 };
	char *got;
	unsigned i;

	for (i = 0; i < 100000; i++) {
		kwgi_buf_printf(&text, "[node]\nk = %u\n", i);
		kwgi_buf_printf(&want, "%u [node]\n%u k=%u\n", 2 * i + 1, 2 * i + 2, i);
	}
	got = record(text.p, text.len);
	ck_assert_uint_eq(strlen(got), want.len);
	ck_assert_msg(!strcmp(got, want.p), "the records differ");
	free(got);
	kwgi_buf_free(&text);
	kwgi_buf_free(&want);
}
END_TEST

/* Remarks and entries in a record, checked for plausible line numbers. */
static void check_record(const char *got, unsigned n_lines)
{
	const char *p;
	unsigned long line;

	for (p = got; *p; p = strchr(p, '\n') + 1) {
		line = strtoul(p + 2 * (*p == '!'), NULL, 10);
		ck_assert_msg(line >= 1 && line <= n_lines, "line %lu of %u", line, n_lines);
	}
}

/* No text crashes it, hangs it or has a line that nobody has heard of. */
START_TEST(random_bytes)
{
	static const char alphabet[] = "[[]]==##;;  \t\t\n\n\n\n\r\rkkv\xef\xbb\xbf\0:-_.,\"\\\xff";
	uint64_t seed = 20261124;
	char text[400], *got;
	unsigned i, j, len, n_lines;

	for (i = 0; i < 20000; i++) {
		len = random_below(&seed, sizeof(text));
		for (j = 0, n_lines = 1; j < len; j++) {
			text[j] = i % 4 ? alphabet[random_below(&seed, sizeof(alphabet))]
					: (char)random_u32(&seed);
			n_lines += text[j] == '\n';
		}
		got = record(text, len);
		/* A value may hold CR, which is no end of a line here. */
		check_record(got, n_lines);
		free(got);
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, reads_and_refuses);
	tcase_add_test(tc, long_values);
	tcase_add_test(tc, overlong_lines);
	tcase_add_test(tc, long_names);
	tcase_add_test(tc, long_keys);
	tcase_add_test(tc, line_numbers);
	tcase_add_test(tc, many_sections);
	tcase_add_test(tc, random_bytes);
}

int main(void)
{
	return unit_run("ini", add);
}
