/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Timers and ages of sessions: two devices, wired together, by a clock that
 * the test moves (WireGuard paper, section 6).
 */
#include "pair.h"

/* ---- timers --------------------------------------------------------------------------- */

START_TEST(retransmission)
{
	uint64_t begin = w.t.now, last = 0;
	unsigned n = 0;

	say(&w, 0, 1, 1);
	p01()->path.has_source = true;
	while (w.t.now < begin + 200 * S) {
		while (take(&w.h[0])) {
			if (n)
				ck_assert_uint_ge(w.t.now - last, 5 * S);
			if (n)
				ck_assert_uint_le(w.t.now - last, 5 * S + 333 * MS);
			last = w.t.now;
			n++;
		}
		run_for(&w, 1 * MS);
	}
	ck_assert_uint_eq(n, 20);
	ck_assert_uint_ge(last - begin, 95 * S);
	ck_assert_uint_le(last - begin, 102 * S);
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_GAVE_UP], 1);
	ck_assert_uint_eq(p01()->staged_count, 0);
	ck_assert(!p01()->path.has_source);
	/* What comes later begins anew. */
	say(&w, 0, 1, 2);
	ck_assert_uint_eq(waiting(&w.h[0]), 1);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[1]), 2);
}
END_TEST

START_TEST(one_initiation_in_5_seconds)
{
	unsigned i;

	for (i = 0; i < 49; i++) {
		say(&w, 0, 1, i);
		w.t.now += 100 * MS;
	}
	ck_assert_uint_eq(waiting(&w.h[0]), 1);
}
END_TEST

START_TEST(giving_up_wipes_after_540_s)
{
	say(&w, 0, 1, 1);
	run_for(&w, 120 * S);
	lose(&w.h[0]);
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_GAVE_UP], 1);
	ck_assert_int_eq(p01()->handshake.state, KWGI_HANDSHAKE_INITIATION_CREATED);
	run_for(&w, 540 * S);
	ck_assert_int_eq(p01()->handshake.state, KWGI_HANDSHAKE_NONE);
	ck_assert_uint_eq(kwgi_timers_next(w.h[0].d), UINT64_MAX);
}
END_TEST

START_TEST(passive_keepalive)
{
	uint64_t begin;

	meet(&w);
	begin = w.t.now;
	run_until(&w, begin + 10 * S - 1);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	run_for(&w, 1);
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
	ck_assert_uint_eq(take_type(&w.h[1], KWGI_MSG_TRANSPORT)->len, 32);
	/* One only: nothing came in between. */
	run_for(&w, 4 * S);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
}
END_TEST

START_TEST(passive_keepalive_not_after_an_answer)
{
	meet(&w);
	run_for(&w, 9 * S);
	say(&w, 1, 0, 2);
	settle(&w);
	run_for(&w, 9 * S);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	/* Data came while the timer ran: there is a second one 10 s after the first. */
	say(&w, 0, 1, 3);
	settle(&w);
	run_for(&w, 5 * S);
	say(&w, 0, 1, 4);
	settle(&w);
	run_for(&w, 5 * S);
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
	settle(&w);
	run_for(&w, 10 * S - 1);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	run_for(&w, 1);
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
}
END_TEST

START_TEST(keepalives_do_not_answer_keepalives)
{
	meet(&w);
	run_for(&w, 10 * S);
	settle(&w);
	run_for(&w, 100 * S);
	ck_assert_uint_eq(waiting(&w.h[0]) + waiting(&w.h[1]), 0);
}
END_TEST

START_TEST(new_handshake_after_15_s_of_silence)
{
	uint64_t begin;

	meet(&w);
	run_for(&w, 20 * S);
	settle(&w);
	begin = w.t.now;
	say(&w, 0, 1, 2);
	lose(&w.h[0]);
	p01()->path.has_source = true;
	run_until(&w, begin + 5 * S);
	say(&w, 0, 1, 3);
	lose(&w.h[0]);
	run_until(&w, begin + 15 * S - 1);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	ck_assert(p01()->path.has_source);
	run_until(&w, begin + 15 * S + 333 * MS);
	take_type(&w.h[0], KWGI_MSG_INITIATION);
	ck_assert(!p01()->path.has_source);
}
END_TEST

START_TEST(no_new_handshake_if_anything_comes)
{
	meet(&w);
	run_for(&w, 20 * S);
	settle(&w);
	say(&w, 0, 1, 2);
	settle(&w);
	run_for(&w, 10 * S);
	settle(&w);		/* the passive keepalive */
	run_for(&w, 20 * S);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

/* The initiator alone, when it sends, and the packet itself still under the old session. */
START_TEST(rekey_at_120_s)
{
	uint32_t index;

	meet(&w);
	index = p01()->current->remote_index;
	w.move = settle;
	run_for(&w, 120 * S - 1);
	w.move = NULL;
	settle(&w);
	say(&w, 0, 1, 2);
	ck_assert_uint_eq(waiting(&w.h[0]), 1);
	settle(&w);
	run_for(&w, 1);
	lose(&w.h[0]);
	lose(&w.h[1]);
	say(&w, 1, 0, 3);
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
	settle(&w);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	say(&w, 0, 1, 4);
	ck_assert_uint_eq(waiting(&w.h[0]), 2);
	ck_assert_uint_eq(kwgi_get32(take_type(&w.h[0], KWGI_MSG_TRANSPORT)->data + 4), index);
	give(&w, 0, 1, take_type(&w.h[0], KWGI_MSG_INITIATION));
	settle(&w);
	ck_assert_uint_ne(p01()->current->remote_index, index);
	ck_assert_uint_eq(p01()->previous->remote_index, index);
}
END_TEST

START_TEST(rekey_by_count_in_either_role)
{
	meet(&w);
	say(&w, 1, 0, 1);
	settle(&w);
	run_for(&w, 6 * S);
	p10()->current->next_counter = REKEY_AFTER_MESSAGES;
	say(&w, 1, 0, 2);
	take_type(&w.h[1], KWGI_MSG_TRANSPORT);
	take_type(&w.h[1], KWGI_MSG_INITIATION);
}
END_TEST

START_TEST(counter_at_its_end)
{
	meet(&w);
	run_for(&w, 6 * S);
	p01()->current->next_counter = REJECT_AFTER_MESSAGES - 1;
	ck_assert_int_eq(say(&w, 0, 1, 2), KWGI_SEND_NOW);
	ck_assert_int_eq(give(&w, 0, 1, take_type(&w.h[0], KWGI_MSG_TRANSPORT)),
			 KWGI_RECEIVED_PACKET);
	take_type(&w.h[0], KWGI_MSG_INITIATION);
	ck_assert_int_eq(say(&w, 0, 1, 3), KWGI_SEND_SLOW);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

START_TEST(last_minute_rekey_of_a_listener)
{
	meet(&w);
	w.move = settle;
	run_for(&w, 164 * S);
	w.move = NULL;
	say(&w, 1, 0, 2);
	settle(&w);
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_INITIATION_SENT], 1);
	run_for(&w, 1 * S);
	say(&w, 1, 0, 3);
	give(&w, 1, 0, take_any(&w.h[1]));
	take_type(&w.h[0], KWGI_MSG_INITIATION);
	/* Once until a handshake is complete. */
	w.t.now += 6 * S;
	say(&w, 1, 0, 4);
	give(&w, 1, 0, take_any(&w.h[1]));
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

START_TEST(no_last_minute_rekey_by_the_responder)
{
	meet(&w);
	w.move = settle;
	run_for(&w, 166 * S);
	w.move = NULL;
	say(&w, 0, 1, 2);
	give(&w, 0, 1, take_any(&w.h[0]));
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
}
END_TEST

START_TEST(sessions_end_at_180_s)
{
	struct datagram early, late;
	uint64_t begin;

	meet(&w);
	begin = w.t.now;
	say(&w, 1, 0, 2);
	early = *take_any(&w.h[1]);
	say(&w, 1, 0, 3);
	late = *take_any(&w.h[1]);
	w.t.now = begin + 180 * S - 1;
	ck_assert_int_eq(give(&w, 1, 0, &early), KWGI_RECEIVED_PACKET);
	ck_assert_int_eq(say(&w, 0, 1, 4), KWGI_SEND_NOW);
	lose(&w.h[0]);
	p01()->last_handshake_sent = 0;
	w.t.now = begin + 180 * S;
	ck_assert_int_eq(give(&w, 1, 0, &late), KWGI_DROPPED_NO_SESSION);
	ck_assert_int_eq(say(&w, 0, 1, 5), KWGI_SEND_SLOW);
	take_type(&w.h[0], KWGI_MSG_INITIATION);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

START_TEST(keys_are_erased_at_540_s)
{
	uint64_t begin;

	meet(&w);
	begin = w.t.now;
	run_until(&w, begin + 540 * S - 1);
	ck_assert_ptr_nonnull(p01()->current);
	ck_assert_ptr_nonnull(p10()->current);
	run_for(&w, 1);
	ck_assert_ptr_null(p01()->current);
	ck_assert_ptr_null(p10()->current);
	ck_assert_uint_eq(w.h[0].d->indices.table.n, 0);
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_KEYS_ERASED], 1);
	lose(&w.h[0]);
	lose(&w.h[1]);
	ck_assert_uint_eq(first_deadline(&w), UINT64_MAX);
}
END_TEST

START_TEST(persistent_keepalive)
{
	unsigned i;

	meet(&w);
	w.move = settle;
	run_for(&w, 15 * S);
	w.move = NULL;
	kwgi_peer_set_persistent(w.h[0].d, p01(), 25 * S, &w.t);
	/* Turned on: one at once. */
	run_for(&w, 0);
	ck_assert_uint_eq(take_type(&w.h[0], KWGI_MSG_TRANSPORT)->len, 32);
	for (i = 0; i < 3; i++) {
		run_for(&w, 25 * S - 1);
		ck_assert_uint_eq(waiting(&w.h[0]), 0);
		lose(&w.h[1]);
		run_for(&w, 1);
		ck_assert_uint_eq(take_type(&w.h[0], KWGI_MSG_TRANSPORT)->len, 32);
	}
	/* Whatever goes either way puts it off. */
	run_for(&w, 10 * S);
	say(&w, 1, 0, 3);
	settle(&w);
	run_for(&w, 9 * S);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	/* The passive one does as well. Changed, it counts from now; 0 ends it. */
	run_for(&w, 1 * S);
	lose(&w.h[0]);
	kwgi_peer_set_persistent(w.h[0].d, p01(), 2 * S, &w.t);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	run_for(&w, 2 * S);
	ck_assert_uint_ge(waiting(&w.h[0]), 1);
	lose(&w.h[0]);
	kwgi_peer_set_persistent(w.h[0].d, p01(), 0, &w.t);
	lose(&w.h[1]);
	run_for(&w, 20 * S);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

/* Thousands of peers may be due at once; others want their turn in between. */
START_TEST(so_many_at_a_time)
{
	unsigned i;

	wire_free(&w);
	wire_init(&w, HOSTS, 12);
	kwgi_device_set_up(w.h[0].d, true, &w.t);
	for (i = 1; i < HOSTS; i++) {
		befriend(&w, 0, i, true);
		kwgi_peer_set_persistent(w.h[0].d, peer(&w, 0, i), 5 * S, &w.t);
	}
	for (i = 1; i < HOSTS; i++) {
		ck_assert_uint_eq(waiting(&w.h[0]), i - 1);
		ck_assert_uint_le(kwgi_timers_next(w.h[0].d), w.t.now);
		kwgi_timers_work(w.h[0].d, 1, &w.t);
	}
	ck_assert_uint_eq(waiting(&w.h[0]), HOSTS - 1);
	ck_assert_uint_gt(kwgi_timers_next(w.h[0].d), w.t.now);
}
END_TEST

START_TEST(persistent_keepalive_makes_a_session)
{
	kwgi_peer_set_persistent(w.h[0].d, p01(), 5 * S, &w.t);
	run_for(&w, 0);
	take_type(&w.h[0], KWGI_MSG_INITIATION);
	w.move = settle;
	run_for(&w, 6 * S);
	ck_assert_ptr_nonnull(p10()->current);
	/* It keeps the session up for hours, and only one side asks. */
	run_for(&w, 7200 * S);
	ck_assert_ptr_nonnull(p01()->current);
	ck_assert_uint_lt(w.t.now - p01()->current->created, 125 * S);
	ck_assert_uint_eq(w.h[1].events[KWGI_EVENT_INITIATION_SENT], 0);
}
END_TEST

/* Turned on and off again at once: the one that turning on sends goes out, and no other. */
START_TEST(persistent_keepalive_for_a_moment)
{
	kwgi_peer_set_persistent(w.h[0].d, p01(), 65535 * S, &w.t);
	kwgi_peer_set_persistent(w.h[0].d, p01(), 0, &w.t);
	run_for(&w, 0);
	take_type(&w.h[0], KWGI_MSG_INITIATION);
	w.move = settle;
	run_for(&w, 6 * S);
	ck_assert_ptr_nonnull(p10()->current);
	run_for(&w, 600 * S);
	ck_assert_uint_eq(first_deadline(&w), UINT64_MAX);
}
END_TEST

/* While the device is down nothing is due, nor made up for later. */
START_TEST(persistent_keepalive_while_down)
{
	kwgi_device_set_up(w.h[0].d, false, &w.t);
	kwgi_peer_set_persistent(w.h[0].d, p01(), 5 * S, &w.t);
	kwgi_peer_set_persistent(w.h[0].d, p01(), 0, &w.t);
	run_for(&w, 0);
	kwgi_device_set_up(w.h[0].d, true, &w.t);
	run_for(&w, 60 * S);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

START_TEST(idle_devices_sleep)
{
	ck_assert_uint_eq(first_deadline(&w), UINT64_MAX);
	meet(&w);
	run_for(&w, 600 * S);
	lose(&w.h[0]);
	lose(&w.h[1]);
	ck_assert_uint_eq(first_deadline(&w), UINT64_MAX);
}
END_TEST

/* Timers of many peers fire in their order, also after half of them have gone. */
START_TEST(a_heap_of_timers)
{
	enum { PEERS = 300 };
	struct kwgi_device *d = w.h[0].d;
	struct kwgi_dp_peer *p[PEERS];
	uint64_t seed = 5, last = 0;
	unsigned i, n = 0;

	kwgi_device_remove(d, p01());
	for (i = 0; i < PEERS; i++) {
		struct kwgi_key k = { { (uint8_t)i, (uint8_t)(i >> 8), 1 } };

		p[i] = kwgi_device_add(d, &k);
		ck_assert_ptr_nonnull(p[i]);
		kwgi_peer_set_persistent(d, p[i], (1 + random_below(&seed, 1000)) * S, &w.t);
	}
	for (i = 0; i < PEERS; i += 2)
		kwgi_device_remove(d, p[i]);
	for (i = 1; i < PEERS; i += 4)
		kwgi_peer_set_persistent(d, p[i], (1 + random_below(&seed, 1000)) * S, &w.t);
	while (kwgi_timers_next(d) < w.t.now + 1001 * S) {
		ck_assert_uint_ge(kwgi_timers_next(d), last);
		last = kwgi_timers_next(d);
		for (i = 1; i < PEERS; i += 2)
			ck_assert_uint_ge(p[i]->timers.scheduled, last);
		kwgi_timers_stop(d, d->heap[0]);
		n++;
	}
	ck_assert_uint_eq(n, PEERS / 2);
}
END_TEST

/* ---- all -------------------------------------------------------------------------------------- */

static void add(TCase *tc)
{
	pair_fixture(tc);
	tcase_add_test(tc, retransmission);
	tcase_add_test(tc, one_initiation_in_5_seconds);
	tcase_add_test(tc, giving_up_wipes_after_540_s);
	tcase_add_test(tc, passive_keepalive);
	tcase_add_test(tc, passive_keepalive_not_after_an_answer);
	tcase_add_test(tc, keepalives_do_not_answer_keepalives);
	tcase_add_test(tc, new_handshake_after_15_s_of_silence);
	tcase_add_test(tc, no_new_handshake_if_anything_comes);
	tcase_add_test(tc, rekey_at_120_s);
	tcase_add_test(tc, rekey_by_count_in_either_role);
	tcase_add_test(tc, counter_at_its_end);
	tcase_add_test(tc, last_minute_rekey_of_a_listener);
	tcase_add_test(tc, no_last_minute_rekey_by_the_responder);
	tcase_add_test(tc, sessions_end_at_180_s);
	tcase_add_test(tc, keys_are_erased_at_540_s);
	tcase_add_test(tc, persistent_keepalive);
	tcase_add_test(tc, persistent_keepalive_makes_a_session);
	tcase_add_test(tc, persistent_keepalive_for_a_moment);
	tcase_add_test(tc, persistent_keepalive_while_down);
	tcase_add_test(tc, so_many_at_a_time);
	tcase_add_test(tc, idle_devices_sleep);
	tcase_add_test(tc, a_heap_of_timers);
}

int main(void)
{
	return unit_run("timers", add);
}
