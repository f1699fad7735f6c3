/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The replay window: known answers, the limit, and random counters against a naive set. */
#include "dp/replay.h"
#include "vectors.h"

START_TEST(known_answers)
{
	FILE *f = vectors_open("replay.txt");
	char line[256], *w[2], name[64] = "";
	struct kwgi_replay r = { 0 };
	int n, steps = 0;

	while ((n = vectors_words(f, line, sizeof(line), w, 2))) {
		if (!strcmp(w[0], "sequence")) {
			r = (struct kwgi_replay){ 0 };
			snprintf(name, sizeof(name), "%s", w[1]);
			continue;
		}
		ck_assert_msg(kwgi_replay_check_and_set(&r, strtoull(w[0], NULL, 10)) ==
			      (*w[1] == '1'), "%s: %s", name, w[0]);
		steps++;
	}
	fclose(f);
	ck_assert_int_gt(steps, 100);
}
END_TEST

START_TEST(limit)
{
	struct kwgi_replay r = { 0 };

	ck_assert(!kwgi_replay_check_and_set(&r, UINT64_MAX));
	ck_assert(!kwgi_replay_check_and_set(&r, UINT64_MAX - 8192));
	ck_assert(kwgi_replay_check_and_set(&r, 0));
	ck_assert(kwgi_replay_check_and_set(&r, UINT64_MAX - 8193));
	ck_assert(!kwgi_replay_check_and_set(&r, UINT64_MAX - 8193));
	ck_assert(!kwgi_replay_check_and_set(&r, UINT64_MAX - 8192));
	ck_assert(kwgi_replay_check_and_set(&r, UINT64_MAX - 8193 - 8128));
	ck_assert(!kwgi_replay_check_and_set(&r, UINT64_MAX - 8193 - 8129));
}
END_TEST

/* The model keeps every counter of a span that is longer than the jumps below lead to. */
enum { SPAN = 1 << 22 };
static bool seen[SPAN];

START_TEST(random_counters)
{
	uint64_t seed = test_seed(6479), last = 0, c;
	struct kwgi_replay r = { 0 };
	bool want;
	uint32_t i;

	for (i = 0; i < 3000000; i++) {
		switch (random_below(&seed, 400)) {
		case 0:		/* far ahead, past some or all of the ring */
			c = last + random_below(&seed, 20000);
			break;
		case 1:		/* around the edge of the window */
			c = last + 64 - 8128 - random_below(&seed, 128);
			c = c > last + 64 ? 0 : c;
			break;
		default:
			c = last + 4 - random_below(&seed, random_below(&seed, 2) ? 8 : 9000);
			c = c > last + 4 ? 0 : c;
		}
		if (c >= SPAN) {	/* a new session */
			r = (struct kwgi_replay){ 0 };
			memset(seen, 0, sizeof(seen));
			last = 0;
			continue;
		}
		want = (c > last || last - c <= 8128) && !seen[c];
		if (kwgi_replay_check_and_set(&r, c) != want)
			ck_abort_msg("step %u", i);
		seen[c] |= want;
		last = want && c > last ? c : last;
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, known_answers);
	tcase_add_test(tc, limit);
	tcase_add_test(tc, random_counters);
}

int main(void)
{
	return unit_run("replay", add);
}
