/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Handshakes, link state and keys of devices that are wired together (WireGuard paper, sections 5 and 6). */
#include "pair.h"

/* ---- the handshake --------------------------------------------------------------- */

START_TEST(first_packet_makes_a_session)
{
	struct datagram *g;

	ck_assert_int_eq(say(&w, 0, 1, 7), KWGI_SEND_SLOW);
	g = take_type(&w.h[0], KWGI_MSG_INITIATION);
	ck_assert_uint_eq(g->len, 148);
	ck_assert_uint_eq(g->tos, 0x88);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	give(&w, 0, 1, g);
	g = take_type(&w.h[1], KWGI_MSG_RESPONSE);
	ck_assert_uint_eq(g->len, 92);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	ck_assert_ptr_null(p10()->current);
	ck_assert_ptr_nonnull(p10()->next_pair);
	ck_assert_uint_eq(p10()->last_handshake_wall, 0);
	give(&w, 1, 0, g);
	ck_assert_uint_eq(p01()->last_handshake_wall, w.t.wall);
	ck_assert_ptr_null(p01()->handshake.state ? p01() : NULL);
	g = take_type(&w.h[0], KWGI_MSG_TRANSPORT);
	ck_assert_uint_eq(kwgi_get64(g->data + 8), 0);
	ck_assert_uint_eq(g->len, 32 + 32);
	ck_assert_int_eq(give(&w, 0, 1, g), KWGI_RECEIVED_PACKET);
	ck_assert_uint_eq(heard(&w.h[1]), 7);
	ck_assert_ptr_nonnull(p10()->current);
	ck_assert_ptr_null(p10()->next_pair);
	ck_assert_uint_eq(p10()->last_handshake_wall, w.t.wall);
	/* And now the other way, too. */
	ck_assert_int_eq(say(&w, 1, 0, 8), KWGI_SEND_NOW);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[0]), 8);
}
END_TEST

START_TEST(nothing_staged_then_a_keepalive_confirms)
{
	struct datagram *g;

	kwgi_initiate(w.h[0].d, p01(), false, &w.t);
	give(&w, 0, 1, take_type(&w.h[0], KWGI_MSG_INITIATION));
	give(&w, 1, 0, take_type(&w.h[1], KWGI_MSG_RESPONSE));
	g = take_type(&w.h[0], KWGI_MSG_TRANSPORT);
	ck_assert_uint_eq(g->len, 32);
	ck_assert_uint_eq(g->tos, 0);
	ck_assert_int_eq(give(&w, 0, 1, g), KWGI_RECEIVED_KEEPALIVE);
	ck_assert_ptr_nonnull(p10()->current);
}
END_TEST

START_TEST(responder_waits_for_confirmation)
{
	struct datagram *g;

	say(&w, 0, 1, 1);
	give(&w, 0, 1, take_any(&w.h[0]));
	g = take_type(&w.h[1], KWGI_MSG_RESPONSE);
	/* The session is not confirmed, and the response counts as the last handshake sent. */
	ck_assert_int_eq(say(&w, 1, 0, 2), KWGI_SEND_SLOW);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	give(&w, 1, 0, g);
	give(&w, 0, 1, take_type(&w.h[0], KWGI_MSG_TRANSPORT));
	ck_assert_int_eq(give(&w, 1, 0, take_type(&w.h[1], KWGI_MSG_TRANSPORT)),
			 KWGI_RECEIVED_PACKET);
	ck_assert_uint_eq(heard(&w.h[0]), 2);
}
END_TEST

/* What waits behind a lost handshake is not forgotten: it asks again after REKEY_TIMEOUT. */
START_TEST(responder_asks_itself_if_nothing_confirms)
{
	say(&w, 0, 1, 1);
	give(&w, 0, 1, take_any(&w.h[0]));
	lose(&w.h[1]);
	kwgi_device_set_up(w.h[0].d, false, &w.t);
	kwgi_device_set_up(w.h[0].d, true, &w.t);
	say(&w, 1, 0, 2);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	run_for(&w, 5 * S + 334 * MS);
	settle(&w);
	ck_assert_uint_eq(w.h[0].received, 1);
}
END_TEST

START_TEST(replayed_initiation)
{
	struct datagram first, *g;
	struct kwgi_path far = w.h[3].at;

	say(&w, 0, 1, 1);
	first = *take_any(&w.h[0]);
	give(&w, 0, 1, &first);
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
	settle(&w);
	far.family = 4;
	far.port = 99;
	run_for(&w, 1 * S);
	give_from(&w, 1, &first, &far);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	ck_assert_uint_ne(p10()->path.port, 99);
	ck_assert_ptr_null(p10()->next_pair);
	/* Its timestamp is kept when all keys are erased. */
	run_for(&w, 1000 * S);
	ck_assert_ptr_null(p10()->current);
	lose(&w.h[0]);
	lose(&w.h[1]);
	give(&w, 0, 1, &first);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	/* A newer one goes. */
	say(&w, 0, 1, 1);
	g = take_type(&w.h[0], KWGI_MSG_INITIATION);
	give(&w, 0, 1, g);
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
}
END_TEST

/* A new initiation of host 0, now, whatever was before. */
static struct datagram *fresh_initiation(void)
{
	p01()->last_handshake_sent = 0;
	kwgi_initiate(w.h[0].d, p01(), false, &w.t);
	return take_type(&w.h[0], KWGI_MSG_INITIATION);
}

START_TEST(initiations_within_20_ms)
{
	give(&w, 0, 1, fresh_initiation());
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
	w.t.now += 20 * MS - 1;
	w.t.wall += 20 * MS;
	give(&w, 0, 1, fresh_initiation());
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
	w.t.now += 1;
	w.t.wall += 20 * MS;
	give(&w, 0, 1, fresh_initiation());
	ck_assert_uint_eq(waiting(&w.h[1]), 2);
}
END_TEST

START_TEST(psk_mismatch)
{
	struct kwgi_key psk = key(9);

	kwgi_peer_set_psk(p01(), &psk);
	say(&w, 0, 1, 1);
	give(&w, 0, 1, take_any(&w.h[0]));
	give(&w, 1, 0, take_type(&w.h[1], KWGI_MSG_RESPONSE));
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	ck_assert_ptr_null(p01()->current);
	/* The right one, later: the retry succeeds. */
	kwgi_peer_set_psk(p10(), &psk);
	run_for(&w, 6 * S);
	settle(&w);
	ck_assert_uint_eq(w.h[1].received, 1);
}
END_TEST

START_TEST(strangers_are_met_with_silence)
{
	befriend(&w, 2, 1, true);
	kwgi_device_set_up(w.h[2].d, true, &w.t);
	say(&w, 2, 1, 1);
	give(&w, 2, 1, take_type(&w.h[2], KWGI_MSG_INITIATION));
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
}
END_TEST

START_TEST(wrong_mac1_and_wrong_lengths)
{
	struct datagram g, bad;
	unsigned i;

	say(&w, 0, 1, 1);
	g = *take_any(&w.h[0]);
	for (i = 0; i < g.len - 16; i++) {
		bad = g;
		bad.data[i] ^= 1;
		give(&w, 0, 1, &bad);
		ck_assert_uint_eq(waiting(&w.h[1]), 0);
	}
	bad = g;
	for (bad.len = 0; bad.len < 160; bad.len++) {
		if (bad.len == g.len)
			continue;
		give(&w, 0, 1, &bad);
		ck_assert_uint_eq(waiting(&w.h[1]), 0);
	}
	/* mac2 is not looked at when there is no load. */
	memset(g.data + g.len - 16, 0x77, 16);
	give(&w, 0, 1, &g);
	ck_assert_uint_eq(waiting(&w.h[1]), 1);
}
END_TEST

START_TEST(a_small_step_back_of_the_wall_clock)
{
	meet(&w);
	w.move = settle;
	run_for(&w, 200 * S);
	w.t.wall -= 3600 * S;
	say(&w, 0, 1, 5);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[1]), 5);
}
END_TEST

/* ---- link and configuration --------------------------------------------------------------- */

START_TEST(down_and_up)
{
	struct datagram old;

	meet(&w);
	say(&w, 1, 0, 2);
	old = *take_any(&w.h[1]);
	say(&w, 0, 1, 3);
	lose(&w.h[0]);
	kwgi_device_set_up(w.h[0].d, false, &w.t);
	ck_assert_ptr_null(p01()->current);
	ck_assert_int_eq(give(&w, 1, 0, &old), KWGI_DROPPED_NO_SESSION);
	say(&w, 0, 1, 4);
	ck_assert_uint_eq(p01()->staged_count, 0);
	kwgi_peer_set_persistent(w.h[0].d, p01(), 10 * S, &w.t);
	run_for(&w, 100 * S);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	ck_assert_uint_eq(kwgi_timers_next(w.h[0].d), UINT64_MAX);
	lose(&w.h[1]);
	/* The first initiation is immediate. */
	kwgi_device_set_up(w.h[0].d, true, &w.t);
	run_for(&w, 0);
	take_type(&w.h[0], KWGI_MSG_INITIATION);
	kwgi_device_set_up(w.h[0].d, false, &w.t);
	w.t.now += 25 * MS;
	w.t.wall += 25 * MS;
	kwgi_device_set_up(w.h[0].d, true, &w.t);
	run_for(&w, 0);
	ck_assert_uint_eq(waiting(&w.h[0]), 1);
	settle(&w);
	ck_assert_ptr_nonnull(p01()->current);
}
END_TEST

START_TEST(down_takes_no_handshake)
{
	kwgi_device_set_up(w.h[1].d, false, &w.t);
	say(&w, 0, 1, 1);
	give(&w, 0, 1, take_any(&w.h[0]));
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	ck_assert_uint_eq(p10()->rx_bytes, 0);
}
END_TEST

START_TEST(private_key_changes)
{
	struct kwgi_key other = key(77);
	struct datagram old;

	meet(&w);
	/* The same again changes nothing. */
	kwgi_device_set_private_key(w.h[0].d, &w.h[0].private_key);
	ck_assert_int_eq(say(&w, 0, 1, 2), KWGI_SEND_NOW);
	settle(&w);
	say(&w, 1, 0, 3);
	old = *take_any(&w.h[1]);
	kwgi_device_set_private_key(w.h[0].d, &other);
	/* What is on its way still arrives; nothing leaves, and the initiation is immediate. */
	ck_assert_int_eq(give(&w, 1, 0, &old), KWGI_RECEIVED_PACKET);
	ck_assert_int_eq(say(&w, 0, 1, 4), KWGI_SEND_SLOW);
	take_type(&w.h[0], KWGI_MSG_INITIATION);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	/* The other side learns our new key: all is well. */
	kwgi_device_remove(w.h[1].d, p10());
	w.h[0].public_key = w.h[0].d->identity.public_key;
	befriend(&w, 1, 0, true);
	run_for(&w, 6 * S);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[1]), 4);
}
END_TEST

START_TEST(no_private_key)
{
	struct kwgi_key zero = { { 0 } };

	kwgi_device_set_private_key(w.h[0].d, &zero);
	ck_assert(!w.h[0].d->identity.set);
	say(&w, 0, 1, 1);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	say(&w, 1, 0, 1);
	give(&w, 1, 0, take_any(&w.h[1]));
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

START_TEST(own_key_is_no_peer)
{
	ck_assert_ptr_null(kwgi_device_add(w.h[0].d, &w.h[0].public_key));
	/* A key that makes a peer ourselves takes the peer away. */
	kwgi_device_set_private_key(w.h[0].d, &w.h[1].private_key);
	ck_assert_ptr_null(p01());
	ck_assert_uint_eq(w.h[0].d->n_peers, 0);
	ck_assert_int_eq(say(&w, 0, 1, 1), KWGI_SEND_NO_PEER);
}
END_TEST

START_TEST(removed_peers_leave_nothing)
{
	struct datagram old;

	meet(&w);
	say(&w, 1, 0, 2);
	old = *take_any(&w.h[1]);
	p01()->current->created -= 200 * S;
	say(&w, 0, 1, 3);
	ck_assert_uint_eq(p01()->staged_count, 1);
	kwgi_device_remove(w.h[0].d, p01());
	ck_assert_uint_eq(w.h[0].d->indices.table.n, 0);
	ck_assert_uint_eq(w.h[0].d->allowed_ips.n, 0);
	ck_assert_uint_eq(w.h[0].d->staged_bytes, 0);
	ck_assert_uint_eq(kwgi_timers_next(w.h[0].d), UINT64_MAX);
	ck_assert_ptr_null(w.h[0].d->first);
	ck_assert_int_eq(give(&w, 1, 0, &old), KWGI_DROPPED_NO_SESSION);
	ck_assert_int_eq(say(&w, 0, 1, 3), KWGI_SEND_NO_PEER);
}
END_TEST

/* ---- all -------------------------------------------------------------------------------------- */

static void add(TCase *tc)
{
	pair_fixture(tc);
	tcase_add_test(tc, first_packet_makes_a_session);
	tcase_add_test(tc, nothing_staged_then_a_keepalive_confirms);
	tcase_add_test(tc, responder_waits_for_confirmation);
	tcase_add_test(tc, responder_asks_itself_if_nothing_confirms);
	tcase_add_test(tc, replayed_initiation);
	tcase_add_test(tc, initiations_within_20_ms);
	tcase_add_test(tc, psk_mismatch);
	tcase_add_test(tc, strangers_are_met_with_silence);
	tcase_add_test(tc, wrong_mac1_and_wrong_lengths);
	tcase_add_test(tc, a_small_step_back_of_the_wall_clock);
	tcase_add_test(tc, down_and_up);
	tcase_add_test(tc, down_takes_no_handshake);
	tcase_add_test(tc, private_key_changes);
	tcase_add_test(tc, no_private_key);
	tcase_add_test(tc, own_key_is_no_peer);
	tcase_add_test(tc, removed_peers_leave_nothing);
}

int main(void)
{
	return unit_run("device", add);
}
