/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Changing INI text: what is not meant stays as it is, byte for byte, and the parser reads the rest. */
#include "config/edit.h"
#include "config/ini.h"
#include "config/textdiff.h"
#include "unit.h"

#define BOM "\xef\xbb\xbf"

/* A copy without a NUL behind it, so that a sanitizer sees reads beyond the end. */
static struct kwgi_text text_of(const char *s)
{
	struct kwgi_text t = { NULL, strlen(s) };
	char *copy = malloc(t.len + !t.len);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, s, t.len);
	t.p = copy;
	return t;
}

static char *taken(struct kwgi_buf *b)
{
	char *s;

	kwgi_buf_puts(b, "");
	s = kwgi_buf_take(b, NULL);
	ck_assert_ptr_nonnull(s);
	return s;
}

static char *add(const char *before, const char *section)
{
	struct kwgi_text t = text_of(before);
	struct kwgi_buf b = { 0 };

	kwgi_edit_add(&b, &t, section);
	free((char *)t.p);
	return taken(&b);
}

static char *set(const char *before, uint32_t line, const char *k, const char *value)
{
	struct kwgi_text t = text_of(before);
	struct kwgi_buf b = { 0 };

	kwgi_edit_set(&b, &t, line, k, value);
	free((char *)t.p);
	return taken(&b);
}

static char *drop(const char *before, uint32_t line)
{
	struct kwgi_text t = text_of(before);
	struct kwgi_buf b = { 0 };

	kwgi_edit_remove(&b, &t, line);
	free((char *)t.p);
	return taken(&b);
}

static void is(const char *wanted, char *got)
{
	ck_assert_str_eq(got, wanted);
	free(got);
}

START_TEST(adds)
{
	static const struct { const char *before, *section, *after; } cases[] = {
		{ "", "[node]\nname = a\n", "[node]\nname = a\n" },
		{ "\n", "[node]\nname = a\n", "\n[node]\nname = a\n" },
		{ "[mesh]\nformat = 1", "[node]\nname = a\n", "[mesh]\nformat = 1\n\n[node]\nname = a\n" },
		{ "# mine\n", "[node]\n", "# mine\n\n[node]\n" },
		/* Behind its kind, and what stands above the next one stays there. */
		{ "[mesh]\nformat=1\n\n[node]\nname=a\n# of a\n\n# laptops\n[peer]\nname=p\n", "[node]\nname = b\n",
		  "[mesh]\nformat=1\n\n[node]\nname=a\n# of a\n\n[node]\nname = b\n\n# laptops\n[peer]\nname=p\n" },
		{ "[node]\nname=a\n# laptops\n[peer]\nname=p\n", "[node]\nname = b\n",
		  "[node]\nname=a\n\n[node]\nname = b\n\n# laptops\n[peer]\nname=p\n" },
		{ "[node]\nname=a\n[peer]\nname=p\n\n\n", "[peer]\nname = q\n",
		  "[node]\nname=a\n[peer]\nname=p\n\n[peer]\nname = q\n\n\n" },
		{ "[ node ] # first\nname=a\n[mesh]\nformat=1\n", "[node]\n",
		  "[ node ] # first\nname=a\n\n[node]\n\n[mesh]\nformat=1\n" },
		/* A header in a comment, or in a value, is none. */
		{ "[mesh]\nformat=1\n#[node]\n", "[node]\n", "[mesh]\nformat=1\n#[node]\n\n[node]\n" },
		{ "[mesh]\nname = [node]\n", "[node]\n", "[mesh]\nname = [node]\n\n[node]\n" },
		/* Before the end marker. */
		{ "[mesh]\nend-marker=yes\n\n# the end\n[end]\n", "[node]\nname=a\n",
		  "[mesh]\nend-marker=yes\n\n[node]\nname=a\n\n# the end\n[end]\n" },
		{ "# the end\n[end]", "[node]\n", "[node]\n\n# the end\n[end]" },
		/* Ends of lines, and a byte order mark. */
		{ "[mesh]\r\nformat = 1\r\n", "[node]\nname = a\n",
		  "[mesh]\r\nformat = 1\r\n\r\n[node]\r\nname = a\r\n" },
		{ "[mesh]\r\nformat = 1", "[node]\n", "[mesh]\r\nformat = 1\n\n[node]\n" },
		{ "[mesh]\r\nformat = 1\r\n[node]\r\nname = a", "[node]\n",
		  "[mesh]\r\nformat = 1\r\n[node]\r\nname = a\r\n\r\n[node]\r\n" },
		{ BOM, "[node]\n", BOM "[node]\n" },
		{ BOM "[node]\nname=a", "[node]\n", BOM "[node]\nname=a\n\n[node]\n" },
	};
	size_t i;

	for (i = 0; i < N_OF(cases); i++)
		is(cases[i].after, add(cases[i].before, cases[i].section));
}
END_TEST

START_TEST(sets)
{
	static const struct { const char *before; uint32_t line; const char *k, *value, *after; } cases[] = {
		{ "[node]\nname = a\n", 1, "name", "b", "[node]\nname = b\n" },
		{ "[node]\n\tname=a   # why\n", 1, "name", "b", "[node]\n\tname= b   # why\n" },
		{ "[node]\r\nname  =  a\r\n", 1, "name", "b", "[node]\r\nname  =  b\r\n" },
		{ "[node]\nname = a", 1, "name", "b", "[node]\nname = b" },
		{ "[node]\nname =\n", 1, "name", "b", "[node]\nname = b\n" },
		{ "[node]\nname = # none\n", 1, "name", "b", "[node]\nname = b # none\n" },
		{ "[node]\nname = a\n\n[node]\nname = b\n", 4, "leader", "yes",
		  "[node]\nname = a\n\n[node]\nname = b\nleader = yes\n" },
		{ "[node]\nname = a\n# more\n\n[node]\nname = b\n", 1, "leader", "yes",
		  "[node]\nname = a\nleader = yes\n# more\n\n[node]\nname = b\n" },
		{ "[node]\nname = a", 1, "leader", "yes", "[node]\nname = a\nleader = yes\n" },
		{ "[node]", 1, "name", "a", "[node]\nname = a\n" },
		{ BOM "[node]\n", 1, "name", "a", BOM "[node]\nname = a\n" },
		{ "[node]\r\nname = a\r\n", 1, "leader", "yes", "[node]\r\nname = a\r\nleader = yes\r\n" },
		{ "[node]\npod-cidr = 1\nname = a\npod-cidr = 2\n", 1, "pod-cidr", "3, 4",
		  "[node]\npod-cidr = 3, 4\nname = a\n" },
		{ "[node]\npod-cidr = 1\nname = a\npod-cidr = 2\n", 1, "pod-cidr", NULL, "[node]\nname = a\n" },
		{ "[node]\nname = a\n", 1, "leader", NULL, "[node]\nname = a\n" },
		/* What only looks like it. */
		{ "[node]\n#leader = no\nname = leader = x\n", 1, "leader", "yes",
		  "[node]\n#leader = no\nname = leader = x\nleader = yes\n" },
		{ "[node]\nname = a\n", 7, "name", "b", "[node]\nname = a\n" },
	};
	size_t i;

	for (i = 0; i < N_OF(cases); i++)
		is(cases[i].after, set(cases[i].before, cases[i].line, cases[i].k, cases[i].value));
}
END_TEST

START_TEST(removes)
{
	static const struct { const char *before; uint32_t line; const char *after; } cases[] = {
		{ "[node]\nname=a\n", 1, "" },
		{ BOM "[node]\nname=a\n\n[node]\nname=b", 1, BOM "[node]\nname=b" },
		{ "[mesh]\nformat=1\n\n[node]\n# a comment\nname=a\n\n[node]\nname=b\n", 4,
		  "[mesh]\nformat=1\n\n[node]\nname=b\n" },
		{ "[mesh]\nformat=1\n\n[node]\nname=a", 4, "[mesh]\nformat=1\n" },
		{ "[mesh]\nformat=1\n[node]\nname=a\n[node]\nname=b\n", 3, "[mesh]\nformat=1\n[node]\nname=b\n" },
		/* Comments: in it and right below go, those about others stay. */
		{ "# berlin\n[node]\nname=a\n# of a\n\n# of b\n[node]\nname=b\n", 2,
		  "# berlin\n\n# of b\n[node]\nname=b\n" },
		{ "[node]\nname=a\n# of b\n[node]\nname=b\n", 1, "# of b\n[node]\nname=b\n" },
		{ "[node]\nname=a\n\n# loose\n\n[node]\nname=b\n", 1, "# loose\n\n[node]\nname=b\n" },
		{ "[mesh]\r\nformat=1\r\n\r\n[node]\r\nname=a\r\n\r\n[end]\r\n", 4,
		  "[mesh]\r\nformat=1\r\n\r\n[end]\r\n" },
		{ "[node]\nname=a\n", 3, "[node]\nname=a\n" },
	};
	size_t i;

	for (i = 0; i < N_OF(cases); i++)
		is(cases[i].after, drop(cases[i].before, cases[i].line));
}
END_TEST

START_TEST(values)
{
	ck_assert(kwgi_edit_is_value("a"));
	ck_assert(kwgi_edit_is_value("a#b;c"));
	ck_assert(kwgi_edit_is_value("[x] = \xc3\xa9"));
	ck_assert(!kwgi_edit_is_value(""));
	ck_assert(!kwgi_edit_is_value("a # b"));
	ck_assert(!kwgi_edit_is_value("a\t;b"));
	ck_assert(!kwgi_edit_is_value("#a"));
	ck_assert(!kwgi_edit_is_value("a\nb"));
	ck_assert(!kwgi_edit_is_value("a\r"));
	ck_assert(!kwgi_edit_is_value("a\x7f"));
}
END_TEST

START_TEST(section)
{
	struct kwgi_text t = text_of("[mesh]\r\nformat=1\r\n[node]\r\nname=a\r\n# c\r\n\r\n[peer]\r\n");
	struct kwgi_buf b = { 0 };

	kwgi_edit_section(&b, &t, 3);
	is("[node]\nname=a\n# c\n", taken(&b));
	free((char *)t.p);
}
END_TEST

/* ---- against the parser ---------------------------------------------- */

static void on_section(void *arg, const char *name, struct kwgi_place at)
{
	(void)at;
	kwgi_buf_printf(arg, "[%s]\n", name);
}

static void on_entry(void *arg, const char *k, char *value, struct kwgi_place at)
{
	(void)at;
	kwgi_buf_printf(arg, "%s=%s\n", k, value);
}

/* What the parser reads, without what it refuses. */
static char *record(const char *text)
{
	static const struct kwgi_ini_ops ops = { on_section, on_entry };
	struct kwgi_arena arena = { 0 };
	struct kwgi_diags d = { .arena = &arena };
	struct kwgi_buf b = { 0 };

	ck_assert_uint_eq(kwgi_diags_file(&d, "f.ini"), 0);
	ck_assert_int_eq(kwgi_ini_parse(text, strlen(text), 0, &ops, &b, &d), 0);
	ck_assert_uint_eq(d.errors, 0);
	kwgi_arena_free(&arena);
	return taken(&b);
}

/* Sections with comments and blank lines anywhere. The n-th section is at line at[n]. */
static char *random_file(uint64_t *seed, uint32_t *at, uint32_t *n)
{
	static const char *const noise[] = { "", "", "# c", "  ; d", "\t", "#[node]" };
	static const char *const kinds[] = { "[mesh]", "[node]", " [ peer ] ; x" };
	const char *end = random_below(seed, 2) ? "\r\n" : "\n";
	struct kwgi_buf b = { 0 };
	uint32_t i, k, line = 1;

	if (random_below(seed, 4) == 0)
		kwgi_buf_puts(&b, BOM);
	*n = random_below(seed, 5);
	for (i = 0; i <= *n; i++) {
		for (k = random_below(seed, 4); k; k--, line++)
			kwgi_buf_printf(&b, "%s%s", noise[random_below(seed, N_OF(noise))], end);
		if (i == *n)
			break;
		at[i] = line++;
		kwgi_buf_printf(&b, "%s%s", kinds[random_below(seed, N_OF(kinds))], end);
		for (k = random_below(seed, 4); k; k--, line++) {
			if (random_below(seed, 3))
				kwgi_buf_printf(&b, "k%u = %u # x%s", random_below(seed, 3), i, end);
			else
				kwgi_buf_printf(&b, "%s%s", noise[random_below(seed, N_OF(noise))], end);
		}
	}
	if (b.len > 3 && random_below(seed, 3) == 0)
		b.len -= strlen(end);
	return taken(&b);
}

/* The record without its i-th section. */
static char *without(const char *rec, uint32_t i)
{
	struct kwgi_buf b = { 0 };
	uint32_t n = 0;

	while (*rec) {
		size_t len = strcspn(rec, "\n") + 1;

		n += *rec == '[';
		if (n != i + 1)
			kwgi_buf_add(&b, rec, len);
		rec += len;
	}
	return taken(&b);
}

/* All lines of a are in b, in this order, whatever the byte order mark stands before. */
static bool is_within(const char *a, const char *b)
{
	a += strncmp(a, BOM, 3) ? 0 : 3;
	b += strncmp(b, BOM, 3) ? 0 : 3;
	while (*a) {
		size_t len = strcspn(a, "\n"), n = strcspn(b, "\n");

		if (len == n && !memcmp(a, b, len))
			a += len + (a[len] == '\n');
		else if (!*b)
			return false;
		b += n + (b[n] == '\n');
	}
	return true;
}

START_TEST(random_texts)
{
	uint64_t seed = 20;
	uint32_t at[8], n, i, round;

	for (round = 0; round < 4000; round++) {
		char *file = random_file(&seed, at, &n), *rec = record(file), *more, *less, *wanted, *got;

		more = add(file, "[node]\nname = new\n");
		got = record(more);
		ck_assert_uint_eq(strlen(got), strlen(rec) + strlen("[node]\nname=new\n"));
		ck_assert_ptr_nonnull(strstr(got, "[node]\nname=new\n"));
		/* The last line may have got its end. */
		if (*file && file[strlen(file) - 1] == '\n')
			ck_assert_msg(is_within(file, more), "in %s\nafter\n%s", more, file);
		free(got);
		for (i = 0; i < n; i++) {
			less = drop(file, at[i]);
			wanted = without(rec, i);
			got = record(less);
			ck_assert_msg(!strcmp(got, wanted), "%s without section %u:\n%s", file, i, less);
			ck_assert(is_within(less, file) || !*less || less[strlen(less) - 1] != '\n');
			free(got);
			free(wanted);
			free(less);
			less = set(file, at[i], "new", "1");
			got = record(less);
			ck_assert_uint_eq(strlen(got), strlen(rec) + strlen("new=1\n"));
			free(got);
			wanted = set(less, at[i], "new", NULL);
			if (*file && file[strlen(file) - 1] == '\n')
				ck_assert_str_eq(wanted, file);
			free(wanted);
			free(less);
		}
		free(more);
		free(rec);
		free(file);
	}
}
END_TEST

START_TEST(add_and_remove)
{
	static const char *const files[] = {
		"[mesh]\nformat=1\n\n[node]\nname=a\n", "[mesh]\nformat=1\n", "# c\n\n[mesh]\nformat=1\n# d\n\n\n",
		"[mesh]\r\nformat=1\r\n\r\n[peer]\r\nname=a\r\n",
	};
	struct kwgi_buf b = { 0 };
	size_t i;

	for (i = 0; i < N_OF(files); i++) {
		char *more = add(files[i], "[node]\nname=new\n"), *at = strstr(more, "[node]\r\nname=new"), *p;
		uint32_t line = 1;

		at = at ? at : strstr(more, "[node]\nname=new");
		for (p = more; p < at; p++)
			line += *p == '\n';
		is(files[i], drop(more, line));
		free(more);
	}
	kwgi_buf_free(&b);
}
END_TEST

/* ---- differences ----------------------------------------------------- */

static char *difference(const char *a, const char *b)
{
	struct kwgi_text before = text_of(a), after = text_of(b);
	struct kwgi_buf out = { 0 };

	kwgi_textdiff(&out, "f.ini", &before, &after);
	free((char *)before.p);
	free((char *)after.p);
	return taken(&out);
}

#define KEY "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

START_TEST(differences)
{
	is("", difference("a\n", "a\n"));
	is("", difference("", ""));
	is("--- f.ini\n+++ f.ini\n@@ -0,0 +1 @@\n+a\n", difference("", "a\n"));
	is("--- f.ini\n+++ f.ini\n@@ -1 +0,0 @@\n-a\n", difference("a\n", ""));
	is("--- f.ini\n+++ f.ini\n@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+new\n 5\n 6\n 7\n",
	   difference("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nnew\n5\n6\n7\n8\n"));
	is("--- f.ini\n+++ f.ini\n@@ -1,2 +1 @@\n a\n-b\n", difference("a\nb\n", "a\n"));
	is("--- f.ini\n+++ f.ini\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n", difference("a", "a\n"));
	is("--- f.ini\n+++ f.ini\n@@ -1 +1 @@\n-a?\n+b\n", difference("a\x1b\r\n", "b\r\n"));
}
END_TEST

START_TEST(no_secrets)
{
	static const char *const secret[] = {
		"preshared-key = " KEY, "preshared-key=typo", "#preshared-key = " KEY, "private-key = typo",
		"# " KEY, "name = " KEY, "public-key = x # " KEY, " preshared-key = " KEY, "#private-key=" KEY, KEY,
	};
	static const char *const fine[] = {
		"public-key = " KEY, "discovered-endpoint = " KEY " 1.2.3.4:5", "preshared-key-file = /etc/key",
		"private-key-file = /etc/key", "name = a",
	};
	char *got;
	size_t i;

	for (i = 0; i < N_OF(secret); i++) {
		got = difference(secret[i], "");
		ck_assert_msg(strstr(got, "(not shown)") && !strstr(got, "AQEB") && !strstr(got, "typo"),
			      "%s: %s", secret[i], got);
		free(got);
	}
	for (i = 0; i < N_OF(fine); i++) {
		got = difference(fine[i], "");
		ck_assert_msg(strstr(got, fine[i]), "%s: %s", fine[i], got);
		free(got);
	}
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, adds);
	tcase_add_test(tc, sets);
	tcase_add_test(tc, removes);
	tcase_add_test(tc, values);
	tcase_add_test(tc, section);
	tcase_add_test(tc, random_texts);
	tcase_add_test(tc, add_and_remove);
	tcase_add_test(tc, differences);
	tcase_add_test(tc, no_secrets);
}

int main(void)
{
	return unit_run("edit", add_tests);
}
