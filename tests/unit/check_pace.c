/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* When the host is looked at, and when it is repaired. Time is a number here. */
#include "steps/pace.h"
#include "unit.h"

enum { START = 1000000 };

static struct kwgi_pace pace(void)
{
	struct kwgi_pace p;

	kwgi_pace_init(&p, START, 0);
	return p;
}

/* ---- bursts ----------------------------------------------------------- */

START_TEST(nothing_happens)
{
	struct kwgi_pace p = pace();

	ck_assert_uint_eq(kwgi_pace_next(&p), START + KWGI_PACE_REFRESH);
	ck_assert_int_eq(kwgi_pace_take(&p, START + KWGI_PACE_REFRESH - 1), KWGI_PACE_NOTHING);
	ck_assert_int_eq(kwgi_pace_take(&p, START + KWGI_PACE_REFRESH), KWGI_PACE_ALL);
	ck_assert_msg(kwgi_pace_next(&p) == START + 2 * (uint64_t)KWGI_PACE_REFRESH,
		      "the interval begins anew");
}
END_TEST

START_TEST(jitter)
{
	struct kwgi_pace p;
	uint64_t seed = 1;
	int i;

	for (i = 0; i < 100; i++) {
		kwgi_pace_init(&p, START, random_u32(&seed));
		ck_assert_uint_ge(kwgi_pace_next(&p), START + KWGI_PACE_REFRESH);
		ck_assert_uint_lt(kwgi_pace_next(&p), START + KWGI_PACE_REFRESH + KWGI_PACE_JITTER);
	}
}
END_TEST

START_TEST(one_notice)
{
	struct kwgi_pace p = pace();

	kwgi_pace_notice(&p, START);
	ck_assert_uint_eq(kwgi_pace_next(&p), START + KWGI_PACE_QUIET);
	ck_assert_int_eq(kwgi_pace_take(&p, START + KWGI_PACE_QUIET - 1), KWGI_PACE_NOTHING);
	ck_assert_int_eq(kwgi_pace_take(&p, START + KWGI_PACE_QUIET), KWGI_PACE_LOOK);
	ck_assert_int_eq(kwgi_pace_take(&p, START + KWGI_PACE_QUIET), KWGI_PACE_NOTHING);
	kwgi_pace_nothing(&p, START + KWGI_PACE_QUIET);
	ck_assert_uint_eq(kwgi_pace_next(&p), START + KWGI_PACE_REFRESH);
}
END_TEST

START_TEST(a_burst_is_one_look)
{
	struct kwgi_pace p = pace();
	uint64_t t;
	int looks = 0;

	for (t = START; t < START + 300; t += 10) {
		kwgi_pace_notice(&p, t);
		looks += kwgi_pace_take(&p, t) == KWGI_PACE_LOOK;
	}
	ck_assert_int_eq(looks, 0);
	ck_assert_uint_eq(kwgi_pace_next(&p), START + 290 + KWGI_PACE_QUIET);
}
END_TEST

START_TEST(a_burst_without_end_is_cut)
{
	struct kwgi_pace p = pace();
	uint64_t t;

	for (t = START; t < START + KWGI_PACE_BURST; t += 10) {
		kwgi_pace_notice(&p, t);
		ck_assert_int_eq(kwgi_pace_take(&p, t), KWGI_PACE_NOTHING);
	}
	ck_assert_int_eq(kwgi_pace_take(&p, t), KWGI_PACE_LOOK);
}
END_TEST

/* Notices for a minute, of what is not ours. */
START_TEST(noise)
{
	struct kwgi_pace p = pace();
	uint64_t t, last = START, longest = 0;
	int looks = 0;

	for (t = START; t < START + 60000; t += 5) {
		kwgi_pace_notice(&p, t);
		if (!kwgi_pace_take(&p, t))
			continue;
		kwgi_pace_nothing(&p, t);
		looks++;
		if (t - last > longest)
			longest = t - last;
		last = t;
	}
	ck_assert_int_le(looks, 70);
	ck_assert_uint_le(longest, KWGI_PACE_NOISE + 5);

	/* And when it is over, the next notice is looked after soon. */
	t += 10000;
	p.first = 0;
	kwgi_pace_notice(&p, t);
	ck_assert_uint_eq(kwgi_pace_next(&p), t + KWGI_PACE_QUIET);
}
END_TEST

START_TEST(names_in_a_hurry)
{
	struct kwgi_pace p = pace();

	kwgi_pace_hurry(&p, START);
	ck_assert_int_eq(kwgi_pace_take(&p, START + KWGI_PACE_QUIET), KWGI_PACE_ALL);
}
END_TEST

START_TEST(turns)
{
	struct kwgi_pace p = pace();

	kwgi_pace_turn(&p, START);
	ck_assert_uint_ge(kwgi_pace_next(&p), START + 15000);
	ck_assert_uint_lt(kwgi_pace_next(&p), START + 16000);
	/* Notices that come meanwhile do not put it off. */
	kwgi_pace_notice(&p, START + 1000);
	ck_assert_int_eq(kwgi_pace_take(&p, START + 1000 + KWGI_PACE_QUIET), KWGI_PACE_LOOK);
	ck_assert_int_eq(kwgi_pace_take(&p, START + KWGI_PACE_TURN), KWGI_PACE_ALL);
	ck_assert_uint_eq(kwgi_pace_next(&p), START + KWGI_PACE_TURN + KWGI_PACE_REFRESH);
	/* Nor does it put off what is due before. */
	kwgi_pace_hurry(&p, START + 20000);
	kwgi_pace_turn(&p, START + 20000);
	ck_assert_uint_eq(kwgi_pace_next(&p), START + 20000 + KWGI_PACE_QUIET);
}
END_TEST

START_TEST(locked)
{
	struct kwgi_pace p = pace();

	kwgi_pace_locked(&p, START);
	ck_assert_uint_eq(kwgi_pace_next(&p), START + KWGI_PACE_LOCKED);
	ck_assert_int_eq(kwgi_pace_take(&p, START + KWGI_PACE_LOCKED), KWGI_PACE_LOOK);
}
END_TEST

START_TEST(failures)
{
	static const unsigned seconds[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
	struct kwgi_pace p = pace();
	uint64_t t = START;
	size_t i;

	p.refresh = KWGI_PACE_NEVER;
	for (i = 0; i < N_OF(seconds); i++) {
		kwgi_pace_failed(&p, t);
		ck_assert_uint_eq(kwgi_pace_next(&p), t + seconds[i] * 1000);
		t = kwgi_pace_next(&p);
		ck_assert_int_eq(kwgi_pace_take(&p, t), KWGI_PACE_LOOK);
	}
	/* A notice does not wait for that. */
	kwgi_pace_failed(&p, t);
	kwgi_pace_notice(&p, t + 2000);
	ck_assert_uint_eq(kwgi_pace_next(&p), t + 2000 + KWGI_PACE_QUIET);
	kwgi_pace_take(&p, t + 3000);
	kwgi_pace_nothing(&p, t + 3000);
	kwgi_pace_failed(&p, t + 9000);
	ck_assert_msg(kwgi_pace_next(&p) == t + 10000, "it begins anew once all is well");
}
END_TEST

/* ---- fights ----------------------------------------------------------- */

/* Somebody undoes each repair at once. Returns the number of repairs in so many ms. */
static int fight(struct kwgi_pace *p, const uint64_t *v, size_t n, uint64_t from, uint64_t ms,
		 uint64_t *at)
{
	uint64_t t;
	int repairs = 0;

	for (t = from; t < from + ms; t++) {
		if (t % 20 == 0)
			kwgi_pace_notice(p, t);
		if (!kwgi_pace_take(p, t) || !kwgi_pace_may_run(p, v, n, t))
			continue;
		kwgi_pace_ran(p, v, n, false, t);
		if (at && repairs < 16)
			at[repairs] = t - from;
		repairs++;
	}
	return repairs;
}

START_TEST(fights)
{
	struct kwgi_pace p = pace();
	uint64_t v[] = { kwgi_pace_hash("+ rule a") }, at[16];

	/* At once, at once, at once, then after 1, 2, 4, 8, 16, 32, 60, 60, 60 s */
	ck_assert_int_eq(fight(&p, v, 1, START, 250000, at), 12);
	ck_assert_uint_le(at[0], 500);
	ck_assert_uint_le(at[2], 1600);
	ck_assert_uint_ge(at[4] - at[3], 2000);
	ck_assert_uint_le(at[4] - at[3], 2600);
	ck_assert_uint_ge(at[8] - at[7], 32000);
	ck_assert_uint_ge(at[10] - at[9], 60000);
	ck_assert_uint_le(at[10] - at[9], 60600);
}
END_TEST

START_TEST(what_is_new_does_not_wait)
{
	struct kwgi_pace p = pace();
	uint64_t old[] = { kwgi_pace_hash("+ rule a") };
	uint64_t both[] = { old[0], kwgi_pace_hash("+ route b") };

	ck_assert_uint_ne(both[0] % KWGI_PACE_SLOTS, both[1] % KWGI_PACE_SLOTS);
	fight(&p, old, 1, START, 20000, NULL);
	ck_assert(!kwgi_pace_may_run(&p, old, 1, START + 20000));
	ck_assert(kwgi_pace_may_run(&p, both, 2, START + 20000));
	/* And while others fight it is seen soon. */
	ck_assert(!kwgi_pace_may_run(&p, old, 1, START + 20000));
	kwgi_pace_notice(&p, START + 20000);
	ck_assert_uint_le(kwgi_pace_next(&p), START + 20000 + KWGI_PACE_NOISE);
}
END_TEST

START_TEST(held_back_is_not_forgotten)
{
	struct kwgi_pace p = pace();
	uint64_t v[] = { 7 }, t;

	kwgi_pace_ran(&p, v, 1, false, START);
	kwgi_pace_ran(&p, v, 1, false, START + 50);
	kwgi_pace_ran(&p, v, 1, false, START + 100);
	kwgi_pace_take(&p, START + 500);
	ck_assert(!kwgi_pace_may_run(&p, v, 1, START + 500));
	t = kwgi_pace_next(&p);
	ck_assert_msg(t == START + 1100, "without any notice");
	ck_assert_int_eq(kwgi_pace_take(&p, t), KWGI_PACE_LOOK);
	ck_assert(kwgi_pace_may_run(&p, v, 1, t));
}
END_TEST

/* A link that flaps now and then is repaired at once each time. */
START_TEST(rare_is_no_fight)
{
	struct kwgi_pace p = pace();
	uint64_t v[] = { 1, 2, 3 }, t = START;
	int i;

	for (i = 0; i < 20; i++, t += 15000) {
		ck_assert(kwgi_pace_may_run(&p, v, 3, t));
		ck_assert_uint_eq(kwgi_pace_ran(&p, v, 3, false, t), 0);
	}
}
END_TEST

START_TEST(a_failure_waits)
{
	struct kwgi_pace p = pace();
	uint64_t v[] = { 1 };

	ck_assert_uint_eq(kwgi_pace_ran(&p, v, 1, true, START), 1000);
	ck_assert(!kwgi_pace_may_run(&p, v, 1, START + 999));
	ck_assert(kwgi_pace_may_run(&p, v, 1, START + 1000));
	ck_assert_uint_eq(kwgi_pace_ran(&p, v, 1, true, START + 1000), 2000);
}
END_TEST

/* More steps than there are slots are one repair all the same. */
START_TEST(many_steps)
{
	struct kwgi_pace p = pace();
	uint64_t v[3000], seed = 1;
	size_t i;

	for (i = 0; i < N_OF(v); i++)
		v[i] = random_u32(&seed);
	ck_assert_uint_eq(kwgi_pace_ran(&p, v, N_OF(v), false, START), 0);
	ck_assert_uint_eq(kwgi_pace_ran(&p, v, N_OF(v), false, START + 50), 0);
	ck_assert(kwgi_pace_may_run(&p, v, N_OF(v), START + 100));
	ck_assert_uint_eq(kwgi_pace_ran(&p, v, N_OF(v), false, START + 100), 1000);
	ck_assert(!kwgi_pace_may_run(&p, v, N_OF(v), START + 200));
}
END_TEST

START_TEST(after_a_repair_comes_one_look)
{
	struct kwgi_pace p = pace();
	uint64_t v[] = { 1 }, t;

	kwgi_pace_ran(&p, v, 1, false, START);
	t = kwgi_pace_next(&p);
	ck_assert_uint_eq(t, START + KWGI_PACE_QUIET);
	ck_assert_int_eq(kwgi_pace_take(&p, t), KWGI_PACE_LOOK);
	kwgi_pace_nothing(&p, t);
	ck_assert_uint_eq(kwgi_pace_next(&p), START + KWGI_PACE_REFRESH);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, nothing_happens);
	tcase_add_test(tc, jitter);
	tcase_add_test(tc, one_notice);
	tcase_add_test(tc, a_burst_is_one_look);
	tcase_add_test(tc, a_burst_without_end_is_cut);
	tcase_add_test(tc, noise);
	tcase_add_test(tc, names_in_a_hurry);
	tcase_add_test(tc, turns);
	tcase_add_test(tc, locked);
	tcase_add_test(tc, failures);
	tcase_add_test(tc, fights);
	tcase_add_test(tc, what_is_new_does_not_wait);
	tcase_add_test(tc, held_back_is_not_forgotten);
	tcase_add_test(tc, rare_is_no_fight);
	tcase_add_test(tc, a_failure_waits);
	tcase_add_test(tc, many_steps);
	tcase_add_test(tc, after_a_repair_comes_one_look);
}

int main(void)
{
	return unit_run("pace", add);
}
