/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "plan/entry.h"
#include "plan/plan.h"
#include "unit.h"

static struct kwgi_arena arena;

static void teardown(void)
{
	kwgi_arena_free(&arena);
}

static const char mesh_text[] = "[mesh]\nformat = 1\n\0binary\nend 0\n";

static struct kwgi_entry make_entry(void)
{
	struct kwgi_entry e = {
		.mesh = "kilo", .node = "a", .interface = "kilo1", .origins = { "0123456789abcdef", "fedcba9876543210" },
		.time = 1700000000, .from = "command line", .user = "eve\n%41", .result = KWGI_RESULT_APPLIED,
	};
	struct kwgi_input_file in = { .path = "/etc/kilowg/a b%\n.ini", .text = mesh_text, .len = sizeof(mesh_text) - 1 };

	memset(e.plan, 'a', KWGI_DIGEST_TEXT - 1);
	kwgi_digest(in.digest, in.text, in.len);
	ck_assert_int_eq(kwgi_inputs_add(&e.files, &arena, &in), 0);
	in = (struct kwgi_input_file){ .path = "/etc/kilowg/empty.ini", .text = "", .digest = "-" };
	ck_assert_int_eq(kwgi_inputs_add(&e.files, &arena, &in), 0);
	in = (struct kwgi_input_file){ .path = "/var/lib/kilowg/key", .secret = true, .digest = "-" };
	ck_assert_int_eq(kwgi_inputs_add(&e.files, &arena, &in), 0);
	return e;
}

static struct kwgi_buf text_of(const struct kwgi_entry *e)
{
	struct kwgi_buf b = { 0 };

	kwgi_entry_format(&b, e);
	ck_assert(!b.failed);
	return b;
}

START_TEST(entry_there_and_back)
{
	struct kwgi_entry e = make_entry(), got;
	struct kwgi_buf b = text_of(&e), again;

	ck_assert_int_eq(kwgi_entry_parse(&got, &arena, b.p, b.len), 0);
	ck_assert(kwgi_entry_same(&e, &got));
	ck_assert_str_eq(got.user, e.user);
	ck_assert_str_eq(got.interface, "kilo1");
	ck_assert_str_eq(got.origins[1], e.origins[1]);
	ck_assert_int_eq(got.time, e.time);
	ck_assert_uint_eq(got.files.n, 3);
	ck_assert_str_eq(got.files.v[0].path, e.files.v[0].path);
	ck_assert_uint_eq(got.files.v[0].len, sizeof(mesh_text) - 1);
	ck_assert(!memcmp(got.files.v[0].text, mesh_text, sizeof(mesh_text) - 1));
	ck_assert_uint_eq(got.files.v[1].len, 0);
	ck_assert(got.files.v[2].secret && !got.files.v[2].text);
	again = text_of(&got);
	ck_assert_uint_eq(again.len, b.len);
	ck_assert(!memcmp(again.p, b.p, b.len));
	kwgi_buf_free(&again);
	kwgi_buf_free(&b);
}
END_TEST

/* A digest is over all of it, so nothing that was cut off or changed is taken for an entry. */
START_TEST(entry_damaged)
{
	struct kwgi_entry e = make_entry(), got;
	struct kwgi_buf b = text_of(&e);
	size_t i;
	char *copy;

	for (i = 0; i < b.len; i++) {
		/* At its very end, so that a sanitizer sees what is read behind it. */
		copy = malloc(i + 1);
		ck_assert_ptr_nonnull(copy);
		memcpy(copy, b.p, i);
		ck_assert_int_eq(kwgi_entry_parse(&got, &arena, copy, i), -1);
		free(copy);
	}
	for (i = 0; i < b.len; i++) {
		b.p[i] ^= 1;
		ck_assert_int_eq(kwgi_entry_parse(&got, &arena, b.p, b.len), -1);
		b.p[i] ^= 1;
	}
	kwgi_buf_putc(&b, 'x');
	ck_assert_int_eq(kwgi_entry_parse(&got, &arena, b.p, b.len), -1);
	kwgi_buf_free(&b);
}
END_TEST

/* With a right digest, but by somebody else. */
static const char *const bad_lines[] = {
	"mesh ../etc\n", "mesh a%\n", "mesh a%0\n", "mesh a%00\n", "nothing x\n", "mesh\n", "time -1\n", "time x\n",
	"plan a/b\n", "origin 0123456789abcdef0\n", "origin a\norigin b\norigin c\n", "file - 5 x\nabc\n",
	"file - 99999999999999999999 x\nabc\n", "file -\n", "file - 3\nabc\n", "file - 3 x\nabcd\n", "secret\n",
	"secret a%b x\n", "\n", " \n",
};

START_TEST(entry_hostile)
{
	static const char good[] = "node a\nfrom x\nuser \nresult applied\n";
	struct kwgi_buf b = { 0 };
	struct kwgi_entry got;
	char digest[KWGI_DIGEST_TEXT];

	kwgi_buf_printf(&b, "kilowg-entry 1\n%s%s%s", strncmp(bad_lines[_i], "mesh ", 5) ? "mesh kilo\n" : "",
			good, bad_lines[_i]);
	kwgi_digest(digest, b.p, b.len);
	kwgi_buf_printf(&b, "end %s\n", digest);
	ck_assert_int_eq(kwgi_entry_parse(&got, &arena, b.p, b.len), -1);
	kwgi_buf_free(&b);
}
END_TEST

START_TEST(record_there_and_back)
{
	struct kwgi_record r = {
		.state = KWGI_RECORD_WAITS, .mesh = "kilo", .id = "0123456789abcdef", .boot = "b-1", .due = 5000,
		.since = 100, .until = 160, .seconds = 60, .running = true, .keeper = "process 7",
		.reason = "", .has_target = true,
	}, got;
	struct kwgi_kept_key key = { .path = "/k", .key = { .b = { 1, 2, 3 } } };
	struct kwgi_input_file in = { .path = "/etc/x.ini", .digest = "-" };
	struct kwgi_buf b = { 0 };
	size_t i;

	r.target = make_entry();
	r.keys = &key;
	r.n_keys = 1;
	ck_assert_int_eq(kwgi_inputs_add(&r.changed, &arena, &in), 0);
	ck_assert_int_eq(kwgi_inputs_add(&r.then, &arena, &in), 0);
	kwgi_record_format(&b, &r);
	ck_assert_int_eq(kwgi_record_parse(&got, &arena, b.p, b.len), 0);
	ck_assert_int_eq(got.state, KWGI_RECORD_WAITS);
	ck_assert(got.running && got.has_target && kwgi_entry_same(&got.target, &r.target));
	ck_assert_str_eq(got.keeper, "process 7");
	ck_assert_uint_eq(got.n_keys, 1);
	ck_assert(kwgi_key_equal(&got.keys[0].key, &key.key));
	ck_assert_uint_eq(got.changed.n, 1);
	ck_assert_uint_eq(got.then.n, 1);
	for (i = 0; i < b.len; i++)
		ck_assert_int_eq(kwgi_record_parse(&got, &arena, b.p, i), -1);
	kwgi_buf_free(&b);
}
END_TEST

START_TEST(record_time)
{
	struct kwgi_record r = { .state = KWGI_RECORD_WAITS, .boot = "one", .due = 1000 };

	ck_assert_int_eq(kwgi_record_left(&r, "one", 400), 600);
	ck_assert(!kwgi_record_is_due(&r, "one", 999));
	ck_assert(kwgi_record_is_due(&r, "one", 1000));
	/* Another start of the host, whatever its clock says. */
	ck_assert(kwgi_record_is_due(&r, "two", 0));
	r.state = KWGI_RECORD_HELD;
	ck_assert(!kwgi_record_is_due(&r, "one", 1000));
	ck_assert_int_eq(kwgi_record_left(&r, "one", 0), 0);
}
END_TEST

/* "a1 b2": file a with digest 1, and so on. */
static struct kwgi_inputs_list files(const char *text)
{
	struct kwgi_inputs_list l = { 0 };

	for (; *text; text += 2 + (text[2] == ' ')) {
		struct kwgi_input_file in = { .path = kwgi_arena_strndup(&arena, text, 1) };

		in.digest[0] = text[1];
		ck_assert_int_eq(kwgi_inputs_add(&l, &arena, &in), 0);
	}
	return l;
}

static const struct {
	const char *before, *changed, *now;
	bool held;
} holds[] = {
	{ "a1 b1", "a2 b1", "a2 b1", true },	/* as it was taken back */
	{ "a1 b1", "a2 b1", "a1 b1", false },	/* put back */
	{ "a1 b1", "a2 b1", "a3 b1", false },	/* edited */
	{ "a1 b1", "a2 b1", "a2 b9", true },	/* the other one was */
	{ "a1 b1", "a2 b2", "a3 b2", true },	/* one of two was */
	{ "a1", "a1 b2", "a1 b2", true },	/* a new file */
	{ "a1", "a1 b2", "a1", false },
	{ "a1 b1", "a1", "a1", true },		/* a file less */
	{ "a1 b1", "a1", "a1 b1", false },
	{ "a1 b1", "a2", "a3", true },		/* edited, but still a file less */
	{ "a1", "c2", "a1", false },		/* tried from somewhere else */
	{ "a1", "c2", "c2", true },
	{ "a1", "c2", "c3", false },		/* the place is another, but that is no file less */
	{ "", "a1", "a1", true },		/* there was no mesh before */
	{ "a1", "a1", "a1", false },
};

START_TEST(held)
{
	struct kwgi_inputs_list before = files(holds[_i].before), changed = files(holds[_i].changed);
	struct kwgi_inputs_list now = files(holds[_i].now), list = { 0 };

	ck_assert_int_eq(kwgi_inputs_changed_list(&list, &arena, &before, &changed), 0);
	ck_assert_msg(!kwgi_inputs_held(&list, &before, &now) == !holds[_i].held, "%s -> %s, now %s", holds[_i].before,
		      holds[_i].changed, holds[_i].now);
}
END_TEST

static const struct {
	const char *from, *to, *want;
} diffs[] = {
	{ "", "", "" },
	{ "a\n", "a\n", "" },
	{ "a\n", "", "- a\n" },
	{ "", "a\nb\n", "+ a\n+ b\n" },
	{ "a\nb\nc\n", "a\nc\nd\n", "- b\n+ d\n" },
	{ "p K x\n  1\n  2\nq L\n  1\n", "p K x\n  1\nq L\n  1\n  2\n", "  p K x\n-   2\n  q L\n+   2\n" },
	/* Only the line of the peer is another one. */
	{ "p K x\n  1\n", "p K y\n  1\n", "- p K x\n+ p K y\n" },
	{ "p K x\n  1\n", "p K y\n  1\n  2\n", "- p K x\n+ p K y\n+   2\n" },
	{ "a", "a\n", "" },
};

START_TEST(plan_diff)
{
	struct kwgi_buf b = { 0 };

	kwgi_buf_puts(&b, "");
	ck_assert_int_eq(kwgi_plan_text_diff(&b, diffs[_i].from, diffs[_i].to), 0);
	ck_assert_uint_eq(b.len, strlen(diffs[_i].want));
	ck_assert(!b.len || !memcmp(b.p, diffs[_i].want, b.len));
	kwgi_buf_free(&b);
}
END_TEST

START_TEST(good)
{
	struct kwgi_entry e = { .result = KWGI_RESULT_APPLIED };

	ck_assert(kwgi_entry_is_good(&e));
	e.result = KWGI_RESULT_CONFIRMED;
	ck_assert(kwgi_entry_is_good(&e));
	e.result = KWGI_RESULT_WAITS;
	ck_assert(!kwgi_entry_is_good(&e));
	e.result = KWGI_RESULT_UNDONE ": x";
	ck_assert(!kwgi_entry_is_good(&e));
	e.result = KWGI_RESULT_FAILED ": applied";
	ck_assert(!kwgi_entry_is_good(&e));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, entry_there_and_back);
	tcase_add_test(tc, entry_damaged);
	tcase_add_loop_test(tc, entry_hostile, 0, N_OF(bad_lines));
	tcase_add_test(tc, record_there_and_back);
	tcase_add_test(tc, record_time);
	tcase_add_loop_test(tc, held, 0, N_OF(holds));
	tcase_add_loop_test(tc, plan_diff, 0, N_OF(diffs));
	tcase_add_test(tc, good);
}

int main(void)
{
	return unit_run("entry", add);
}
