/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Both sides begin at once: after a power cut, or when all nodes of a mesh are configured in the
 * same moment. Two devices, a network with delays and a clock that the test moves; in the end both
 * have to use one session, begun by one side, and no packet may be lost over it. The other side may
 * be one that forgets its own initiation when ours comes in, as the kernel and wireguard-go do.
 */
#include "pair.h"
/* After pair.h, which says what unit.h has to leave out. */
#include "vectors.h"

/* ---- one crossing, message by message ------------------------------------------- */

enum { A, B };

static struct datagram init_a, init_b, response_a, response_b, first_a, first_b;

/* Of which public key is greater; the one of A or B that has it. */
static unsigned greater(void)
{
	return memcmp(w.h[A].public_key.b, w.h[B].public_key.b, 32) > 0 ? A : B;
}

/* Each answers the other's initiation; nobody has an answer yet. */
static void both_begin(void)
{
	say(&w, A, B, 1);
	say(&w, B, A, 2);
	init_a = *take_type(&w.h[A], KWGI_MSG_INITIATION);
	init_b = *take_type(&w.h[B], KWGI_MSG_INITIATION);
	give(&w, A, B, &init_a);
	give(&w, B, A, &init_b);
	response_a = *take_type(&w.h[A], KWGI_MSG_RESPONSE);
	response_b = *take_type(&w.h[B], KWGI_MSG_RESPONSE);
}

static struct kwgi_dp_peer *of(unsigned host)
{
	return host == A ? p01() : p10();
}

/* Both use the session that this one began. */
static void agreed_on(unsigned who)
{
	ck_assert(of(who)->current->initiator);
	ck_assert(!of(!who)->current->initiator);
	ck_assert_uint_eq(p01()->current->remote_index, p10()->current->local_index);
	ck_assert_uint_eq(p10()->current->remote_index, p01()->current->local_index);
	ck_assert_mem_eq(&p01()->current->send_key, &p10()->current->receive_key, 32);
	ck_assert_mem_eq(&p10()->current->send_key, &p01()->current->receive_key, 32);
	ck_assert_int_eq(p01()->current->crossing, KWGI_CROSSING_NONE);
	ck_assert_int_eq(p10()->current->crossing, KWGI_CROSSING_NONE);
	/* No ephemeral key is left, nor anything that would be sent again. */
	ck_assert_int_eq(p01()->handshake.state, KWGI_HANDSHAKE_NONE);
	ck_assert_int_eq(p10()->handshake.state, KWGI_HANDSHAKE_NONE);
	ck_assert(!p01()->timers.retransmit && !p10()->timers.retransmit);
}

/* As many indices as sessions: none has been left behind in the table. */
static void indices_are_those_of_sessions(void)
{
	unsigned i, n;

	for (i = 0; i < 2; i++) {
		n = of(i)->handshake_indexed;
		n += !!of(i)->current;
		n += !!of(i)->previous;
		n += !!of(i)->next_pair;
		ck_assert_uint_eq(w.h[i].d->indices.table.n, n);
	}
}

START_TEST(both_answers_arrive)
{
	both_begin();
	give(&w, B, A, &response_b);
	give(&w, A, B, &response_a);
	/* Each sends in its own session at once. */
	first_a = *take_type(&w.h[A], KWGI_MSG_TRANSPORT);
	first_b = *take_type(&w.h[B], KWGI_MSG_TRANSPORT);
	ck_assert_int_eq(give(&w, A, B, &first_a), KWGI_RECEIVED_PACKET);
	ck_assert_int_eq(give(&w, B, A, &first_b), KWGI_RECEIVED_PACKET);
	ck_assert_uint_eq(heard(&w.h[B]), 1);
	ck_assert_uint_eq(heard(&w.h[A]), 2);
	agreed_on(greater());
	indices_are_those_of_sessions();
	/* A packet is new once, in either session. */
	ck_assert_int_eq(give(&w, A, B, &first_a), KWGI_DROPPED_REPLAY);
	ck_assert_int_eq(give(&w, B, A, &first_b), KWGI_DROPPED_REPLAY);
	agreed_on(greater());
}
END_TEST

/* What was confirmed first has won: the other, which nobody needs any more, is not completed. */
static void one_is_confirmed_first(unsigned who)
{
	struct datagram *first;

	both_begin();
	if (who == A) {
		give(&w, B, A, &response_b);
		first = take_type(&w.h[A], KWGI_MSG_TRANSPORT);
		ck_assert_int_eq(give(&w, A, B, first), KWGI_RECEIVED_PACKET);
		give(&w, A, B, &response_a);
	} else {
		give(&w, A, B, &response_a);
		first = take_type(&w.h[B], KWGI_MSG_TRANSPORT);
		ck_assert_int_eq(give(&w, B, A, first), KWGI_RECEIVED_PACKET);
		give(&w, B, A, &response_b);
	}
	settle(&w);
	agreed_on(who);
	indices_are_those_of_sessions();
	ck_assert_uint_eq(w.h[A].received, 1);
	ck_assert_uint_eq(w.h[B].received, 1);
}

START_TEST(one_answer_is_first)
{
	one_is_confirmed_first(_i ? B : A);
}
END_TEST

/* One of the two answers is lost: no more than that session is. */
START_TEST(one_answer_is_lost)
{
	unsigned who = _i ? B : A;

	both_begin();
	give(&w, !who, who, who == A ? &response_b : &response_a);
	settle(&w);
	agreed_on(who);
	ck_assert_uint_eq(w.h[A].received, 1);
	ck_assert_uint_eq(w.h[B].received, 1);
	w.move = settle;
	run_for(&w, 30 * S);
	ck_assert_uint_eq(w.h[A].events[KWGI_EVENT_INITIATION_SENT], 1);
	ck_assert_uint_eq(w.h[B].events[KWGI_EVENT_INITIATION_SENT], 1);
}
END_TEST

/* B forgets its own initiation when it answers ours, and does not know its answer. */
START_TEST(a_peer_that_forgets_its_own)
{
	both_begin();
	kwgi_peer_drop_handshake(w.h[B].d, p10());
	give(&w, A, B, &response_a);
	ck_assert_uint_eq(waiting(&w.h[B]), 0);
	give(&w, B, A, &response_b);
	settle(&w);
	ck_assert_uint_eq(w.h[A].received, 1);
	ck_assert_uint_eq(w.h[B].received, 1);
	agreed_on(A);
	/* What nobody confirms is gone with the next handshake, and what is on its way arrives. */
	ck_assert_ptr_nonnull(p01()->next_pair);
	w.move = settle;
	run_for(&w, 120 * S);
	w.move = NULL;
	settle(&w);
	say(&w, B, A, 7);
	first_b = *take_type(&w.h[B], KWGI_MSG_TRANSPORT);
	say(&w, A, B, 8);
	settle(&w);
	ck_assert_ptr_null(p01()->next_pair);
	ck_assert_int_eq(give(&w, B, A, &first_b), KWGI_RECEIVED_PACKET);
	ck_assert_uint_eq(heard(&w.h[A]), 7);
	indices_are_those_of_sessions();
}
END_TEST

/* At a rekey there is a session before: what is on its way in it arrives as well. */
START_TEST(three_sessions_receive)
{
	struct datagram old_a, old_b;

	meet(&w);
	say(&w, B, A, 3);
	settle(&w);
	w.t.now += 130 * S;
	w.t.wall += 130 * S;
	p10()->current->initiator = true;
	say(&w, A, B, 4);
	old_a = *take_type(&w.h[A], KWGI_MSG_TRANSPORT);
	say(&w, B, A, 5);
	old_b = *take_type(&w.h[B], KWGI_MSG_TRANSPORT);
	init_a = *take_type(&w.h[A], KWGI_MSG_INITIATION);
	init_b = *take_type(&w.h[B], KWGI_MSG_INITIATION);
	give(&w, A, B, &init_a);
	give(&w, B, A, &init_b);
	settle(&w);
	agreed_on(greater());
	ck_assert_int_eq(give(&w, A, B, &old_a), KWGI_RECEIVED_PACKET);
	ck_assert_int_eq(give(&w, B, A, &old_b), KWGI_RECEIVED_PACKET);
	indices_are_those_of_sessions();
	/* The sessions of a moment that is over do not stay behind. */
	run_for(&w, 200 * S);
	lose(&w.h[A]);
	lose(&w.h[B]);
	meet(&w);
	ck_assert_ptr_null(p01()->next_pair);
	indices_are_those_of_sessions();
}
END_TEST

/* The initiation that was crossed has been given up for a newer one: the newest session wins. */
START_TEST(a_newer_initiation)
{
	both_begin();
	lose(&w.h[A]);
	lose(&w.h[B]);
	run_for(&w, 5 * S + 700 * MS);
	ck_assert_uint_ge(w.h[A].events[KWGI_EVENT_INITIATION_SENT], 2);
	settle(&w);
	w.move = settle;
	run_for(&w, 10 * S);
	ck_assert_uint_eq(w.h[A].received, 1);
	ck_assert_uint_eq(w.h[B].received, 1);
	/* Answers to what is forgotten change nothing. */
	give(&w, B, A, &response_b);
	give(&w, A, B, &response_a);
	ck_assert_uint_eq(waiting(&w.h[A]) + waiting(&w.h[B]), 0);
	agreed_on(p01()->current->initiator ? A : B);
	indices_are_those_of_sessions();
}
END_TEST

/* Whatever state a crossing is in, a new key, a link that goes down and removal leave nothing. */
START_TEST(nothing_is_left_behind)
{
	struct kwgi_key other = key(77);

	both_begin();
	if (_i & 1)
		give(&w, B, A, &response_b);
	if (_i & 2)
		give(&w, A, B, &response_a);
	if (_i & 4)
		settle(&w);
	kwgi_device_set_private_key(w.h[A].d, &other);
	ck_assert_int_eq(p01()->handshake.state, KWGI_HANDSHAKE_NONE);
	ck_assert(!p01()->current || !p01()->current->may_send);
	indices_are_those_of_sessions();
	kwgi_device_set_up(w.h[A].d, false, &w.t);
	kwgi_device_set_up(w.h[B].d, false, &w.t);
	ck_assert_uint_eq(w.h[A].d->indices.table.n, 0);
	ck_assert_uint_eq(w.h[B].d->indices.table.n, 0);
}
END_TEST

/* ---- pauses ------------------------------------------------------------------- */

/* Two who are asked for packets all the time do not try again in the same moment. */
START_TEST(no_try_again_at_the_same_time)
{
	uint64_t begin = w.t.now, again[2] = { 0 };
	unsigned i;

	say(&w, A, B, 1);
	say(&w, B, A, 2);
	while (!again[A] || !again[B]) {
		lose(&w.h[A]);
		lose(&w.h[B]);
		run_for(&w, 100 * 1000);
		say(&w, A, B, 1);
		say(&w, B, A, 1);
		for (i = 0; i < 2; i++)
			if (!again[i] && waiting(&w.h[i]))
				again[i] = w.t.now;
		ck_assert_uint_lt(w.t.now - begin, 6 * S);
	}
	for (i = 0; i < 2; i++) {
		ck_assert_uint_ge(again[i] - begin, 5 * S);
		ck_assert_uint_le(again[i] - begin, 5 * S + 334 * MS);
	}
	ck_assert_uint_ne(again[A], again[B]);
}
END_TEST

/* ---- a day ---------------------------------------------------------------------- */

enum { FLIGHTS = 256 };

static struct flight {
	uint64_t arrives;
	unsigned from;
	struct datagram g;
} flights[FLIGHTS];

static struct day {
	uint64_t seed;
	uint64_t least[2], most[2];	/* delay of datagrams from each side */
	uint64_t pace;			/* of packets */
	bool forgets;			/* host B its own initiation */
	unsigned cuts;			/* of power */
	uint64_t restarts;		/* of one side: time between them, about; 0: none */
	unsigned n;			/* on their way */
	unsigned sent, arrived;
	uint64_t heard[2], silence;
	unsigned tries[2], late[2];	/* initiations; and of those, some after the last cut */
} day;

static uint64_t delay(unsigned from)
{
	uint64_t span = day.most[from] - day.least[from];

	return day.least[from] + (span ? random_u32(&day.seed) % span : 0);
}

static void post(void)
{
	struct datagram *g;
	unsigned i;

	for (i = 0; i < 2; i++) {
		while ((g = take(&w.h[i]))) {
			ck_assert_uint_lt(day.n, FLIGHTS);
			flights[day.n].arrives = w.t.now + delay(i);
			flights[day.n].from = i;
			flights[day.n++].g = *g;
		}
	}
}

static void land(unsigned i)
{
	struct flight f = flights[i];
	unsigned to = !f.from, before = w.h[to].received;
	unsigned answers = w.h[to].events[KWGI_EVENT_RESPONSE_SENT];

	flights[i] = flights[--day.n];
	give(&w, f.from, to, &f.g);
	if (day.forgets && to == B && w.h[B].events[KWGI_EVENT_RESPONSE_SENT] != answers)
		kwgi_peer_drop_handshake(w.h[B].d, p10());
	if (w.h[to].received != before) {
		day.arrived++;
		if (w.t.now - day.heard[to] > day.silence)
			day.silence = w.t.now - day.heard[to];
		day.heard[to] = w.t.now;
	}
	post();
}

static unsigned next_to_land(void)
{
	unsigned i, first = 0;

	for (i = 1; i < day.n; i++)
		if (flights[i].arrives < flights[first].arrives)
			first = i;
	return first;
}

static void move_post(struct wire *unused)
{
	(void)unused;
	post();
}

static void pass_until(uint64_t end)
{
	unsigned f;

	while (day.n && flights[f = next_to_land()].arrives <= end) {
		w.move = move_post;
		run_until(&w, flights[f].arrives);
		/* A timer may have sent something that is there earlier. */
		f = next_to_land();
		if (flights[f].arrives <= w.t.now)
			land(f);
	}
	w.move = move_post;
	run_until(&w, end);
}

/* All that it knows of sessions is gone. */
static void restart(unsigned i)
{
	kwgi_device_set_up(w.h[i].d, false, &w.t);
	kwgi_device_set_up(w.h[i].d, true, &w.t);
}

/* And what is on its way. */
static void cut_power(void)
{
	restart(A);
	restart(B);
	day.n = 0;
}

static void run_day(uint64_t length)
{
	uint64_t end = w.t.now + length, until;
	unsigned i, cut = 0;

	day.heard[0] = day.heard[1] = w.t.now;
	while (w.t.now < end) {
		say(&w, A, B, 1);
		say(&w, B, A, 2);
		day.sent += 2;
		post();
		until = w.t.now + day.pace;
		if (day.restarts && random_u32(&day.seed) % (day.restarts / day.pace) == 0) {
			pass_until(w.t.now + random_u32(&day.seed) % day.pace);
			restart(random_u32(&day.seed) % 2);
			post();
		}
		pass_until(until);
		if (cut < day.cuts && end - w.t.now < length - length / (day.cuts + 1) * (cut + 1)) {
			cut++;
			day.arrived += day.n;
			cut_power();
			for (i = 0; i < 2; i++)
				day.late[i] = w.h[i].events[KWGI_EVENT_INITIATION_SENT] + 1;
		}
	}
	pass_until(end + 1 * S);
	for (i = 0; i < 2; i++) {
		day.tries[i] = w.h[i].events[KWGI_EVENT_INITIATION_SENT];
		day.late[i] = day.tries[i] - (day.cuts ? day.late[i] : 1);
	}
	if (getenv("KWG_TEST_VERBOSE")) {
		printf("# %u of %u arrived, longest silence %.3f s, initiations %u and %u\n",
		       day.arrived, day.sent, (double)day.silence / 1e9, day.tries[A],
		       day.tries[B]);
		fflush(stdout);
	}
}

static void new_day(unsigned n)
{
	memset(&day, 0, sizeof(day));
	day.seed = test_seed(1) * 1000 + n;
	day.pace = 807 * MS;
	day.least[A] = day.most[A] = (5 + random_u32(&day.seed) % 96) * MS;
	day.least[B] = day.most[B] = (5 + random_u32(&day.seed) % 96) * MS;
}

/* Fixed delays of 5 to 100 ms: not a packet is lost, and one side alone begins after the first time. */
START_TEST(a_day)
{
	new_day((unsigned)_i);
	day.forgets = _i >= 3;
	run_day(86400 * S);
	ck_assert_uint_ge(day.arrived + 1, day.sent);
	ck_assert_uint_lt(day.silence, day.pace + 300 * MS);
	ck_assert(!day.late[A] || !day.late[B]);
}
END_TEST

/* The same with every datagram for itself 5 to 100 ms on its way: they overtake each other. */
START_TEST(a_day_of_reordering)
{
	new_day(100 + (unsigned)_i);
	day.least[A] = day.least[B] = 5 * MS;
	day.most[A] = day.most[B] = 100 * MS;
	day.forgets = _i >= 1;
	run_day(86400 * S);
	ck_assert_uint_ge(day.arrived + 4, day.sent);
	ck_assert_uint_lt(day.silence, day.pace + 300 * MS);
}
END_TEST

/* Both lose everything once in a minute and begin at once: packets wait, but not for 5 s. */
START_TEST(power_cuts)
{
	new_day(200 + (unsigned)_i);
	day.pace = 200 * MS;
	if (_i % 2) {
		day.least[A] = day.least[B] = 5 * MS;
		day.most[A] = day.most[B] = 100 * MS;
	}
	day.forgets = _i >= 4;
	day.cuts = 60;
	run_day(3600 * S);
	ck_assert_uint_lt(day.silence, day.pace + 500 * MS);
	ck_assert_uint_ge(day.arrived + 2 * day.cuts, day.sent);
}
END_TEST

/*
 * One side loses everything every second or so, most often amid the handshake that the time before
 * has made necessary, and both have something to say all the time.
 */
START_TEST(restarts_amid_handshakes)
{
	new_day(300 + (unsigned)_i);
	day.pace = 100 * MS;
	day.restarts = 1 * S;
	day.forgets = _i >= 3;
	run_day(1200 * S);
	ck_assert_uint_gt(day.tries[A] + day.tries[B], 1000);
	ck_assert_uint_lt(day.silence, 2 * S);
	ck_assert_uint_gt(day.arrived, day.sent / 2);
}
END_TEST

/* ---- all -------------------------------------------------------------------------- */

static void add(TCase *tc)
{
	pair_fixture(tc);
	tcase_add_test(tc, both_answers_arrive);
	tcase_add_loop_test(tc, one_answer_is_first, 0, 2);
	tcase_add_loop_test(tc, one_answer_is_lost, 0, 2);
	tcase_add_test(tc, a_peer_that_forgets_its_own);
	tcase_add_test(tc, three_sessions_receive);
	tcase_add_test(tc, a_newer_initiation);
	tcase_add_loop_test(tc, nothing_is_left_behind, 0, 8);
	tcase_add_test(tc, no_try_again_at_the_same_time);
	tcase_add_loop_test(tc, a_day, 0, 4);
	tcase_add_loop_test(tc, a_day_of_reordering, 0, 2);
	tcase_add_loop_test(tc, power_cuts, 0, 6);
	tcase_add_loop_test(tc, restarts_amid_handshakes, 0, 4);
}

int main(void)
{
	return unit_run("crossing", add);
}
