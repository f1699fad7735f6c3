/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Packets, paths, counters and cookies of devices that are wired together. */
#include "dp/deferred.h"
#include "pair.h"

/* Host 0 says something that is not carried yet. */
static struct datagram said(uint32_t n)
{
	ck_assert_int_eq(say(&w, 0, 1, n), KWGI_SEND_NOW);
	return *take_type(&w.h[0], KWGI_MSG_TRANSPORT);
}

static struct kwgi_path elsewhere(uint8_t n)
{
	struct kwgi_path p = { .family = 4, .addr = { 198, 51, 100, n }, .port = 4000 };

	return p;
}

/* ---- out ------------------------------------------------------------------------------ */

START_TEST(staged_packets_keep_their_order)
{
	struct datagram *g;
	uint32_t i, n = 100;

	for (i = 1; i <= n; i++)
		say(&w, 0, 1, i);
	ck_assert_uint_eq(waiting(&w.h[0]), 1);
	give(&w, 0, 1, take_any(&w.h[0]));
	give(&w, 1, 0, take_any(&w.h[1]));
	for (i = 1; i <= n; i++) {
		g = take_type(&w.h[0], KWGI_MSG_TRANSPORT);
		ck_assert_uint_eq(kwgi_get64(g->data + 8), i - 1);
		ck_assert_int_eq(give(&w, 0, 1, g), KWGI_RECEIVED_PACKET);
		ck_assert_uint_eq(heard(&w.h[1]), i);
	}
	ck_assert_uint_eq(w.h[0].d->staged_bytes, 0);
}
END_TEST

START_TEST(the_oldest_of_129_goes)
{
	uint32_t i;

	for (i = 1; i <= 131; i++)
		say(&w, 0, 1, i);
	ck_assert_uint_eq(p01()->staged_count, 128);
	give(&w, 0, 1, take_any(&w.h[0]));
	give(&w, 1, 0, take_any(&w.h[1]));
	ck_assert_uint_eq(waiting(&w.h[0]), 128);
	give(&w, 0, 1, take_any(&w.h[0]));
	ck_assert_uint_eq(heard(&w.h[1]), 4);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[1]), 131);
	ck_assert_uint_eq(w.h[1].received, 128);
}
END_TEST

/* Packets of so many bytes wait for a peer that does not answer. */
static struct kwgi_dp_peer *dead_peer(unsigned n, unsigned packets, uint32_t len)
{
	static uint8_t packet[65000];
	struct kwgi_key k = { { (uint8_t)n, (uint8_t)(n >> 8), 9 } };
	struct kwgi_dp_peer *p = kwgi_device_add(w.h[0].d, &k);

	ck_assert_ptr_nonnull(p);
	kwgi_peer_set_path(p, &w.h[3].at);
	while (packets--)
		kwgi_peer_stage(w.h[0].d, p, packet, len);
	return p;
}

/* Many dead peers keep nobody else from beginning a handshake, nor from having a packet wait. */
START_TEST(dead_peers_share_the_room)
{
	struct kwgi_device *d = w.h[0].d;
	struct kwgi_dp_peer *small = dead_peer(0, 10, 1400), *p;
	size_t sum = 0, most = 0;
	unsigned i;

	for (i = 1; i <= 200; i++)
		dead_peer(i, 128, 1400);
	for (; i <= 210; i++)
		dead_peer(i, 128, 65000);
	ck_assert_uint_le(d->staged_bytes, KWGI_STAGED_BYTES);
	ck_assert_uint_ge(d->staged_bytes, KWGI_STAGED_BYTES - 66000);
	for (p = d->first; p; p = p->next_peer) {
		sum += p->staged_bytes;
		if (p->staged_bytes > most)
			most = p->staged_bytes;
		ck_assert(!p->staged == !p->staged_count && !p->staged == !p->staged_bytes);
	}
	ck_assert_uint_eq(sum, d->staged_bytes);
	/* Who holds little loses nothing, and nobody holds far more than the others. */
	ck_assert_uint_eq(small->staged_count, 10);
	ck_assert_uint_lt(most, 2 * 66000 + 131072);
	say(&w, 0, 1, 1);
	ck_assert_uint_eq(p01()->staged_count, 1);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[1]), 1);
	while ((p = d->first))
		kwgi_device_remove(d, p);
	ck_assert_uint_eq(d->staged_bytes, 0);
	for (i = 0; i < KWGI_HOLDERS; i++)
		ck_assert_ptr_null(d->holders[i]);
}
END_TEST

START_TEST(no_keepalive_behind_a_staged_packet)
{
	kwgi_send_keepalive(w.h[0].d, p01(), &w.t);
	kwgi_send_keepalive(w.h[0].d, p01(), &w.t);
	ck_assert_uint_eq(p01()->staged_count, 1);
	say(&w, 0, 1, 1);
	kwgi_send_keepalive(w.h[0].d, p01(), &w.t);
	ck_assert_uint_eq(p01()->staged_count, 2);
}
END_TEST

START_TEST(padding)
{
	static const struct {
		uint32_t mtu, len, padded;
	} v[] = {
		{ 1420, 24, 32 }, { 1420, 32, 32 }, { 1420, 33, 48 }, { 1420, 1419, 1420 },
		{ 1420, 1420, 1420 }, { 1420, 1421, 1436 }, { 0, 1419, 1424 }, { 1400, 24, 32 },
	};
	struct datagram *g;
	unsigned i, k;

	meet(&w);
	for (i = 0; i < N_OF(v); i++) {
		w.h[0].d->mtu = v[i].mtu;
		say_len(&w, 0, 1, v[i].len, i);
		g = take_type(&w.h[0], KWGI_MSG_TRANSPORT);
		ck_assert_uint_eq(g->len, v[i].padded + 32);
		ck_assert_int_eq(give(&w, 0, 1, g), KWGI_RECEIVED_PACKET);
		ck_assert_uint_eq(w.h[1].last_len, v[i].len);
		for (k = 24; k < v[i].len; k++)
			ck_assert_uint_eq(w.h[1].last[k], 0);
	}
}
END_TEST

START_TEST(where_packets_go)
{
	uint8_t room[ROOM + 128 + 32] = { 0 }, *p = room + ROOM;
	unsigned i;

	ck_assert_int_eq(say(&w, 0, 2, 1), KWGI_SEND_NO_PEER);
	befriend(&w, 0, 2, false);
	ck_assert_int_eq(say(&w, 0, 2, 1), KWGI_SEND_NO_PATH);
	ck_assert_int_eq(say(&w, 0, 1, 1), KWGI_SEND_SLOW);
	/* IPv6, cut headers, no IP at all. */
	p[0] = 0x60;
	p[24] = 0xfd;
	p[39] = 2;
	ck_assert_int_eq(kwgi_device_send(w.h[0].d, p, 40, &w.t), KWGI_SEND_SLOW);
	p[39] = 9;
	ck_assert_int_eq(kwgi_device_send(w.h[0].d, p, 40, &w.t), KWGI_SEND_NO_PEER);
	p[39] = 2;
	for (i = 0; i < 40; i++)
		ck_assert_int_eq(kwgi_device_send(w.h[0].d, p, i, &w.t), KWGI_SEND_NO_PEER);
	make_packet(p, 0, 1, 32, 1);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(kwgi_device_send(w.h[0].d, p, i, &w.t), KWGI_SEND_NO_PEER);
	p[0] = 0x55;
	ck_assert_int_eq(kwgi_device_send(w.h[0].d, p, 32, &w.t), KWGI_SEND_NO_PEER);
}
END_TEST

/* Two packets for each of four peers, mixed; sessions with two of them. */
START_TEST(batch_out)
{
	uint8_t room[8][ROOM + 64 + 32];
	struct kwgi_deferred todo = { 0 };
	struct kwgi_outgoing v[8];
	static const unsigned to[8] = { 1, 1, 2, 1, 3, 3, 0, 1 };
	unsigned i;

	befriend(&w, 0, 2, true);
	befriend(&w, 0, 3, false);
	meet(&w);
	for (i = 0; i < 8; i++) {
		make_packet(room[i] + ROOM, 0, to[i], 40, i);
		v[i] = (struct kwgi_outgoing){ .packet = room[i] + ROOM, .len = 40 };
	}
	kwgi_send_batch(w.h[0].d, v, 8, w.t.now, &todo);
	for (i = 0; i < 8; i++) {
		struct datagram g = { .len = v[i].message_len };

		ck_assert_int_eq(v[i].status, to[i] == 1 ? KWGI_SEND_NOW :
					      to[i] == 2 ? KWGI_SEND_SLOW :
					      to[i] == 3 ? KWGI_SEND_NO_PATH : KWGI_SEND_NO_PEER);
		if (to[i] != 1)
			continue;
		memcpy(g.data, v[i].message, g.len);
		ck_assert_int_eq(give(&w, 0, 1, &g), KWGI_RECEIVED_PACKET);
		ck_assert_uint_eq(heard(&w.h[1]), i);
	}
	kwgi_send_slow(w.h[0].d, &v[2], &w.t);
	ck_assert_uint_eq(peer(&w, 0, 2)->staged_count, 1);
}
END_TEST

/* More than are sealed and opened at once, of one session. */
START_TEST(batches_of_any_length)
{
	enum { N = 2 * KWGI_BATCH + 1 };
	static uint8_t room[N][ROOM + 64 + 32];
	static struct kwgi_outgoing out[N];
	static struct kwgi_incoming in[N];
	struct kwgi_deferred todo = { 0 };
	uint32_t i, heard_n;

	meet(&w);
	for (i = 0; i < N; i++) {
		make_packet(room[i] + ROOM, 0, 1, 40, i);
		out[i] = (struct kwgi_outgoing){ .packet = room[i] + ROOM, .len = 40 };
	}
	kwgi_send_batch(w.h[0].d, out, N, w.t.now, &todo);
	for (i = 0; i < N; i++) {
		ck_assert_int_eq(out[i].status, KWGI_SEND_NOW);
		in[i] = (struct kwgi_incoming){ .message = out[i].message, .from = &w.h[0].at,
						.message_len = out[i].message_len };
	}
	kwgi_receive_batch(w.h[1].d, in, N, w.t.now, &todo);
	for (i = 0; i < N; i++) {
		ck_assert_int_eq(in[i].status, KWGI_RECEIVED_PACKET);
		memcpy(&heard_n, in[i].packet + 20, sizeof(heard_n));
		ck_assert_uint_eq(heard_n, i);
	}
}
END_TEST

/* ---- in --------------------------------------------------------------------------------- */

START_TEST(replayed_and_mangled_packets)
{
	struct datagram g, bad;
	uint64_t rx;
	unsigned i;

	meet(&w);
	g = said(5);
	rx = p10()->rx_bytes;
	for (i = 0; i < g.len; i++) {
		bad = g;
		bad.data[i] ^= 1;
		ck_assert_int_ne(give(&w, 2, 1, &bad), KWGI_RECEIVED_PACKET);
	}
	for (i = 0; i < g.len; i++) {
		bad = g;
		bad.len = i;
		ck_assert_int_ne(give(&w, 2, 1, &bad), KWGI_RECEIVED_PACKET);
	}
	ck_assert_uint_eq(p10()->rx_bytes, rx);
	ck_assert_int_eq(give(&w, 0, 1, &g), KWGI_RECEIVED_PACKET);
	ck_assert_int_eq(give(&w, 2, 1, &g), KWGI_DROPPED_REPLAY);
	ck_assert_uint_eq(p10()->rx_bytes, rx + g.len);
	ck_assert_uint_eq(p10()->path.port, w.h[0].at.port);
}
END_TEST

START_TEST(out_of_order)
{
	struct datagram g[50];
	int i;

	meet(&w);
	for (i = 0; i < 50; i++)
		g[i] = said((uint32_t)i);
	for (i = 49; i >= 0; i--)
		ck_assert_int_eq(give(&w, 0, 1, &g[i]), KWGI_RECEIVED_PACKET);
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(give(&w, 0, 1, &g[i]), KWGI_DROPPED_REPLAY);
}
END_TEST

/* Host 0 says it is host 2; the packet is authentic all the same. */
START_TEST(source_filter)
{
	uint8_t room[ROOM + 64 + 32];
	struct kwgi_path far = elsewhere(1);
	struct datagram g;
	uint64_t rx;

	befriend(&w, 1, 2, true);
	meet(&w);
	make_packet(room + ROOM, 2, 1, 32, 3);
	ck_assert_int_eq(kwgi_device_send(w.h[0].d, room + ROOM, 32, &w.t), KWGI_SEND_NOW);
	g = *take_any(&w.h[0]);
	rx = p10()->rx_bytes;
	ck_assert_int_eq(give_from(&w, 1, &g, &far), KWGI_DROPPED_SOURCE);
	ck_assert_uint_eq(p10()->rx_bytes, rx + g.len);
	ck_assert_uint_eq(p10()->path.port, far.port);
	/* An address that moves to another peer counts at once. */
	g = said(4);
	kwgi_allowedips_remove_all(&w.h[1].d->allowed_ips, &p10()->allowed_ips);
	ck_assert_int_eq(give(&w, 0, 1, &g), KWGI_DROPPED_SOURCE);
}
END_TEST

/* Sent by a device that routes everything to its peer, so that any content passes. */
START_TEST(content)
{
	static const struct {
		uint8_t first, len_high, len_low;
		uint32_t len;
		enum kwgi_receive_status want;
	} v[] = {
		{ 0x45, 0, 20, 32, KWGI_RECEIVED_PACKET },	/* padding is cut off */
		{ 0x45, 0, 33, 32, KWGI_DROPPED_CONTENT },	/* longer than it is */
		{ 0x45, 0, 19, 32, KWGI_DROPPED_CONTENT },
		{ 0x4f, 0, 32, 32, KWGI_DROPPED_CONTENT },	/* options beyond its end */
		{ 0x75, 0, 32, 32, KWGI_DROPPED_CONTENT },
		{ 0x00, 0, 32, 32, KWGI_DROPPED_CONTENT },
	};
	struct kwgi_aead_packet a;
	struct datagram g;
	unsigned i;

	meet(&w);
	for (i = 0; i < N_OF(v); i++) {
		struct kwgi_keypair *kp = p01()->current;

		memset(&g, 0, sizeof(g));
		make_packet(g.data + 16, 0, 1, v[i].len, 0);
		g.data[16] = v[i].first;
		g.data[18] = v[i].len_high;
		g.data[19] = v[i].len_low;
		kwgi_put32(g.data, KWGI_MSG_TRANSPORT);
		kwgi_put32(g.data + 4, kp->remote_index);
		a = (struct kwgi_aead_packet){ g.data + 16, v[i].len, false, kp->next_counter++ };
		kwgi_put64(g.data + 8, a.counter);
		kwgi_aead_best()->seal(kp->send_key.b, &a, 1);
		g.len = v[i].len + 32;
		ck_assert_int_eq(give(&w, 0, 1, &g), v[i].want);
		if (v[i].want == KWGI_RECEIVED_PACKET)
			ck_assert_uint_eq(w.h[1].last_len, v[i].len_low);
	}
}
END_TEST

START_TEST(counters)
{
	meet(&w);
	/* Initiation, 32 + 32; and the response the other way. */
	ck_assert_uint_eq(p01()->tx_bytes, 148 + 64);
	ck_assert_uint_eq(p01()->rx_bytes, 92);
	ck_assert_uint_eq(p10()->tx_bytes, 92);
	ck_assert_uint_eq(p10()->rx_bytes, 148 + 64);
	run_for(&w, 10 * S);
	settle(&w);
	ck_assert_uint_eq(p10()->tx_bytes, 92 + 32);
	ck_assert_uint_eq(p01()->rx_bytes, 92 + 32);
}
END_TEST

/* ---- roaming ------------------------------------------------------------------------------- */

START_TEST(roaming_by_transport)
{
	struct kwgi_path a = elsewhere(1), six = { .family = 6, .addr = { 0x20, 1 }, .port = 7 };
	struct datagram g, bad;

	meet(&w);
	g = said(1);
	bad = g;
	bad.data[g.len - 1] ^= 1;
	give_from(&w, 1, &bad, &a);
	ck_assert_uint_eq(p10()->path.port, w.h[0].at.port);
	give_from(&w, 1, &g, &a);
	ck_assert_mem_eq(p10()->path.addr, a.addr, 16);
	/* Played again from elsewhere it moves nothing; an authentic one also to IPv6. */
	give_from(&w, 1, &g, &six);
	ck_assert_uint_eq(p10()->path.family, 4);
	g = said(2);
	give_from(&w, 1, &g, &six);
	ck_assert_uint_eq(p10()->path.family, 6);
	say(&w, 1, 0, 3);
	ck_assert_uint_eq(take_any(&w.h[1])->to.family, 6);
}
END_TEST

START_TEST(roaming_by_handshake_and_keepalive)
{
	struct kwgi_path a = elsewhere(1), b = elsewhere(2), c = elsewhere(3);

	say(&w, 0, 1, 1);
	give_from(&w, 1, take_any(&w.h[0]), &a);
	ck_assert_uint_eq(w.h[1].out_tail, 1);
	ck_assert_mem_eq(take_any(&w.h[1])->to.addr, a.addr, 16);
	w.h[1].out_head--;
	give_from(&w, 0, take_any(&w.h[1]), &b);
	ck_assert_mem_eq(p01()->path.addr, b.addr, 16);
	give(&w, 0, 1, take_any(&w.h[0]));
	kwgi_send_keepalive(w.h[0].d, p01(), &w.t);
	give_from(&w, 1, take_any(&w.h[0]), &c);
	ck_assert_mem_eq(p10()->path.addr, c.addr, 16);
}
END_TEST

START_TEST(no_roaming_by_a_bad_handshake)
{
	struct kwgi_path a = elsewhere(1);
	struct datagram g, r;

	say(&w, 0, 1, 1);
	g = *take_any(&w.h[0]);
	give(&w, 0, 1, &g);
	r = *take_any(&w.h[1]);
	/* A tag that is wrong, with the macs made right again. */
	r.data[50] ^= 1;
	kwgi_cookie_add_macs(&p10()->cookie, r.data, r.len, w.t.now);
	give_from(&w, 0, &r, &a);
	ck_assert_mem_eq(p01()->path.addr, w.h[1].at.addr, 16);
	ck_assert_int_eq(p01()->handshake.state, KWGI_HANDSHAKE_INITIATION_CREATED);
	r.data[50] ^= 1;
	kwgi_cookie_add_macs(&p10()->cookie, r.data, r.len, w.t.now);
	give_from(&w, 0, &r, &a);
	ck_assert_mem_eq(p01()->path.addr, a.addr, 16);
}
END_TEST

START_TEST(batch_in_follows_the_last_valid)
{
	struct kwgi_path path[4] = { elsewhere(1), elsewhere(2), elsewhere(3), elsewhere(4) };
	struct kwgi_deferred todo = { 0 };
	struct kwgi_incoming v[4];
	struct datagram g[4];
	unsigned i;

	meet(&w);
	for (i = 0; i < 4; i++) {
		g[i] = said(i);
		v[i] = (struct kwgi_incoming){ .message = g[i].data, .message_len = g[i].len,
					       .from = &path[i] };
	}
	g[3].data[30] ^= 1;
	memcpy(g[1].data, g[0].data, g[0].len);
	kwgi_receive_batch(w.h[1].d, v, 4, w.t.now, &todo);
	ck_assert_int_eq(v[0].status, KWGI_RECEIVED_PACKET);
	ck_assert_int_eq(v[1].status, KWGI_DROPPED_REPLAY);
	ck_assert_int_eq(v[2].status, KWGI_RECEIVED_PACKET);
	ck_assert_int_eq(v[3].status, KWGI_DROPPED_NOT_AUTHENTIC);
	for (i = 0; i < 4; i++)
		kwgi_receive_slow(w.h[1].d, &v[i], &w.t);
	ck_assert_mem_eq(p10()->path.addr, path[2].addr, 16);
	kwgi_run_deferred(w.h[1].d, &todo, &w.t);
	ck_assert_uint_eq(todo.n, 0);
}
END_TEST

START_TEST(the_sticky_source)
{
	struct kwgi_path a = w.h[0].at;
	struct datagram g;

	a.has_source = true;
	memcpy(a.source, (uint8_t[]){ 192, 0, 2, 77 }, 4);
	a.source_ifindex = 3;
	meet(&w);
	g = said(1);
	give_from(&w, 1, &g, &a);
	ck_assert(p10()->path.has_source);
	ck_assert_uint_eq(p10()->path.source_ifindex, 3);
	kwgi_peer_set_path(p10(), &w.h[0].at);
	ck_assert(!p10()->path.has_source);
	g = said(2);
	give_from(&w, 1, &g, &a);
	kwgi_device_clear_sources(w.h[1].d);
	ck_assert(!p10()->path.has_source);
}
END_TEST

/* ---- cookies under load ------------------------------------------------------------------------ */

static void load(unsigned host)
{
	w.h[host].d->under_load_until = w.t.now + 10 * S;
}

START_TEST(cookie_under_load)
{
	struct datagram g;

	load(1);
	say(&w, 0, 1, 1);
	g = *take_any(&w.h[0]);
	give(&w, 0, 1, &g);
	g = *take_type(&w.h[1], KWGI_MSG_COOKIE_REPLY);
	ck_assert_uint_eq(g.len, 64);
	ck_assert_uint_eq(p10()->rx_bytes, 0);
	give(&w, 1, 0, &g);
	/* Nothing is sent because of it; the retry carries mac2 and passes. */
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_COOKIE_RECEIVED], 1);
	give(&w, 1, 0, &g);
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_COOKIE_RECEIVED], 1);
	run_for(&w, 5 * S + 333 * MS);
	settle(&w);
	ck_assert_uint_eq(w.h[1].received, 1);
	ck_assert_uint_eq(w.h[1].events[KWGI_EVENT_COOKIE_REPLY_SENT], 1);
}
END_TEST

START_TEST(mac2_from_elsewhere)
{
	struct kwgi_path a = elsewhere(1);

	load(1);
	say(&w, 0, 1, 1);
	settle(&w);
	run_for(&w, 5 * S + 333 * MS);
	give_from(&w, 1, take_type(&w.h[0], KWGI_MSG_INITIATION), &a);
	take_type(&w.h[1], KWGI_MSG_COOKIE_REPLY);
	ck_assert_ptr_null(p10()->next_pair);
}
END_TEST

START_TEST(responses_pass_the_same_way)
{
	say(&w, 0, 1, 1);
	give(&w, 0, 1, take_any(&w.h[0]));
	load(0);
	give(&w, 1, 0, take_type(&w.h[1], KWGI_MSG_RESPONSE));
	give(&w, 0, 1, take_type(&w.h[0], KWGI_MSG_COOKIE_REPLY));
	ck_assert_uint_eq(w.h[1].events[KWGI_EVENT_COOKIE_RECEIVED], 1);
	w.move = settle;
	run_for(&w, 6 * S);
	ck_assert_uint_eq(w.h[1].received, 1);
}
END_TEST

START_TEST(a_flood_makes_load)
{
	struct datagram flood, *g;
	unsigned i, cookies = 0;

	say(&w, 0, 1, 1);
	flood = *take_any(&w.h[0]);
	for (i = 0; i < KWGI_HANDSHAKE_QUEUE - 12; i++)
		give(&w, 2, 1, &flood);
	ck_assert_uint_eq(w.h[1].d->under_load_until, 0);
	for (i = 0; i < 200; i++) {
		give(&w, 2, 1, &flood);
		while ((g = take(&w.h[1])))
			cookies += kwgi_get32(g->data) == KWGI_MSG_COOKIE_REPLY;
	}
	ck_assert_uint_eq(cookies, 188);
	/* Transport goes on. A second later all is as before. */
	run_for(&w, 1 * S);
	give(&w, 2, 1, &flood);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
}
END_TEST

/* So many seconds of a flood at this rate: how many of them made us compute? */
static unsigned computed_of_flood(uint64_t ns_each, unsigned seconds)
{
	struct kwgi_incoming in = { .from = &w.h[2].at };
	struct datagram g;
	unsigned computed = 0;
	uint64_t end;

	say(&w, 0, 1, 1);
	g = *take_any(&w.h[0]);
	in.message = g.data;
	in.message_len = g.len;
	for (end = w.t.now + seconds * S; w.t.now < end; w.t.now += ns_each) {
		kwgi_queue_handshake(w.h[1].d, &in, w.t.now);
		if (w.h[1].d->queue_len)
			computed += !w.h[1].d->queue[w.h[1].d->queue_head].suspect;
		kwgi_work_handshakes(w.h[1].d, 1, &w.t);
		lose(&w.h[1]);
	}
	return computed;
}

/* As much as 5120 in a second is worked off; of more, no more than one moment's. */
START_TEST(load_in_the_long_run)
{
	ck_assert_uint_ge(computed_of_flood(KWGI_LOAD_COST + 1000, 3), 15000);
	run_for(&w, 3 * S);
	ck_assert_uint_lt(computed_of_flood(KWGI_LOAD_COST / 4, 3), 3 * KWGI_HANDSHAKE_QUEUE / 2);
}
END_TEST

START_TEST(a_long_queue_makes_load)
{
	struct kwgi_incoming in = { .from = &w.h[0].at };
	struct datagram g;
	unsigned i;

	say(&w, 0, 1, 1);
	g = *take_any(&w.h[0]);
	in.message = g.data;
	in.message_len = g.len;
	for (i = 0; i < KWGI_HANDSHAKE_QUEUE + 10; i++)
		kwgi_queue_handshake(w.h[1].d, &in, w.t.now += 10 * MS);
	ck_assert_uint_eq(w.h[1].d->queue_len, KWGI_HANDSHAKE_QUEUE);
	ck_assert_uint_eq(w.h[1].d->under_load_until, w.t.now + 1 * S);
	/* What came before the load is worked off. */
	ck_assert_uint_eq(kwgi_work_handshakes(w.h[1].d, 1, &w.t), KWGI_HANDSHAKE_QUEUE - 1);
	take_type(&w.h[1], KWGI_MSG_RESPONSE);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	/* What comes under load has fewer places, and has to show a cookie. */
	kwgi_queue_handshake(w.h[1].d, &in, w.t.now);
	ck_assert_uint_eq(kwgi_work_handshakes(w.h[1].d,
					       KWGI_HANDSHAKE_QUEUE - KWGI_UNDER_LOAD_QUEUE, &w.t),
			  KWGI_UNDER_LOAD_QUEUE - 1);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	kwgi_queue_handshake(w.h[1].d, &in, w.t.now);
	kwgi_queue_handshake(w.h[1].d, &in, w.t.now);
	ck_assert_uint_eq(w.h[1].d->queue_len, KWGI_UNDER_LOAD_QUEUE);
	kwgi_work_handshakes(w.h[1].d, KWGI_UNDER_LOAD_QUEUE, &w.t);
	take_type(&w.h[1], KWGI_MSG_COOKIE_REPLY);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	kwgi_queue_handshake(w.h[1].d, &in, w.t.now);
	kwgi_device_set_up(w.h[1].d, false, &w.t);
	ck_assert_uint_eq(kwgi_work_handshakes(w.h[1].d, 24, &w.t), 0);
}
END_TEST

/* A mesh of so many nodes begins at once: nobody has to show a cookie. */
START_TEST(a_thousand_at_once)
{
	struct kwgi_incoming in = { 0 };
	struct kwgi_path from[4];
	struct datagram g;
	unsigned i;

	say(&w, 0, 1, 1);
	g = *take_any(&w.h[0]);
	in.message = g.data;
	in.message_len = g.len;
	for (i = 0; i < 1000; i++) {
		from[i % 4] = elsewhere((uint8_t)(i % 200));
		in.from = &from[i % 4];
		kwgi_queue_handshake(w.h[1].d, &in, w.t.now += 100 * MS / 1000);
	}
	ck_assert_uint_eq(w.h[1].d->queue_len, 1000);
	ck_assert_uint_eq(w.h[1].d->under_load_until, 0);
	while (kwgi_work_handshakes(w.h[1].d, 4, &w.t))
		;
	ck_assert_uint_eq(w.h[1].events[KWGI_EVENT_COOKIE_REPLY_SENT], 0);
}
END_TEST

START_TEST(junk_cookie_replies_make_no_load)
{
	struct datagram junk = { .len = 64, .data = { 3 } };
	struct kwgi_incoming in = { .message = junk.data, .message_len = 64, .from = &w.h[2].at };
	unsigned i;

	for (i = 0; i < 2 * KWGI_HANDSHAKE_QUEUE; i++)
		kwgi_queue_handshake(w.h[1].d, &in, w.t.now);
	ck_assert_uint_eq(w.h[1].d->queue_len, 0);
	ck_assert_uint_eq(w.h[1].d->under_load_until, 0);
}
END_TEST

START_TEST(rate_limit_under_load)
{
	struct datagram g;
	unsigned i;

	load(1);
	say(&w, 0, 1, 1);
	settle(&w);
	run_for(&w, 5 * S + 333 * MS);
	g = *take_type(&w.h[0], KWGI_MSG_INITIATION);
	/* Five at once (of which one is new), then silence. */
	for (i = 0; i < 20; i++)
		give(&w, 0, 1, &g);
	take_type(&w.h[1], KWGI_MSG_RESPONSE);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	p01()->last_handshake_sent = 0;
	w.t.now += 25 * MS;
	w.t.wall += 25 * MS;
	kwgi_initiate(w.h[0].d, p01(), false, &w.t);
	g = *take_type(&w.h[0], KWGI_MSG_INITIATION);
	give(&w, 0, 1, &g);
	ck_assert_uint_eq(waiting(&w.h[1]), 0);
	w.t.now += 25 * MS;
	give(&w, 0, 1, &g);
	take_type(&w.h[1], KWGI_MSG_RESPONSE);
}
END_TEST

/* ---- all ------------------------------------------------------------------------------------------ */

static void add(TCase *tc)
{
	pair_fixture(tc);
	tcase_add_test(tc, staged_packets_keep_their_order);
	tcase_add_test(tc, the_oldest_of_129_goes);
	tcase_add_test(tc, dead_peers_share_the_room);
	tcase_add_test(tc, no_keepalive_behind_a_staged_packet);
	tcase_add_test(tc, padding);
	tcase_add_test(tc, where_packets_go);
	tcase_add_test(tc, batch_out);
	tcase_add_test(tc, batches_of_any_length);
	tcase_add_test(tc, replayed_and_mangled_packets);
	tcase_add_test(tc, out_of_order);
	tcase_add_test(tc, source_filter);
	tcase_add_test(tc, content);
	tcase_add_test(tc, counters);
	tcase_add_test(tc, roaming_by_transport);
	tcase_add_test(tc, roaming_by_handshake_and_keepalive);
	tcase_add_test(tc, no_roaming_by_a_bad_handshake);
	tcase_add_test(tc, batch_in_follows_the_last_valid);
	tcase_add_test(tc, the_sticky_source);
	tcase_add_test(tc, cookie_under_load);
	tcase_add_test(tc, mac2_from_elsewhere);
	tcase_add_test(tc, responses_pass_the_same_way);
	tcase_add_test(tc, a_flood_makes_load);
	tcase_add_test(tc, load_in_the_long_run);
	tcase_add_test(tc, a_long_queue_makes_load);
	tcase_add_test(tc, a_thousand_at_once);
	tcase_add_test(tc, junk_cookie_replies_make_no_load);
	tcase_add_test(tc, rate_limit_under_load);
}

int main(void)
{
	return unit_run("transport", add);
}
