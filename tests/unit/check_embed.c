/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* kwg_device_* and kwg_tunnel_* as a program that embeds them sees them. */
#include "base/key.h"
#include "kilowg.h"
#include "unit.h"

enum { ROOM = 2048 };

#define S UINT64_C(1000000000)

static char keys[2][2][KWG_KEY_TEXT];	/* [side][private, public] */
static uint64_t now, wall;

static struct kwg_tunnel *tunnel(unsigned side, unsigned keepalive)
{
	struct kwg_tunnel *t;

	ck_assert_int_eq(kwg_tunnel_new(&t, keys[side][0], keys[!side][1], NULL, keepalive, now,
					wall, NULL), 0);
	return t;
}

static void begin(void)
{
	unsigned i;

	now = 100 * S;
	wall = 1700000000 * S;
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(kwg_genkey(keys[i][0], NULL), 0);
		ck_assert_int_eq(kwg_pubkey(keys[i][1], keys[i][0], NULL), 0);
	}
}

static size_t packet(uint8_t *p, uint32_t len, uint8_t from, uint8_t to)
{
	memset(p, 0, len);
	p[0] = 0x45;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	p[15] = from;
	p[19] = to;
	return len;
}

/* ---- the tunnel ------------------------------------------------------------------- */

/* From a to b, with all that follows, until nothing is left. Returns the packets b got. */
static unsigned carry(struct kwg_tunnel *a, struct kwg_tunnel *b, const uint8_t *msg, size_t len)
{
	uint8_t out[ROOM];
	size_t out_len = sizeof(out);
	unsigned n = 0;
	enum kwg_tunnel_op op = kwg_tunnel_read(b, msg, len, out, &out_len, now, wall);

	for (; op != KWG_TUNNEL_DONE; op = kwg_tunnel_read(b, NULL, 0, out, &out_len, now, wall)) {
		ck_assert_int_ne(op, KWG_TUNNEL_DROPPED);
		if (op == KWG_TUNNEL_SEND)
			carry(b, a, out, out_len);
		else
			n++;
		out_len = sizeof(out);
	}
	return n;
}

static void meet(struct kwg_tunnel *a, struct kwg_tunnel *b)
{
	uint8_t p[64], out[ROOM];
	size_t len = sizeof(out);
	struct kwg_tunnel_stats stats;

	ck_assert_int_eq(kwg_tunnel_write(a, p, packet(p, 40, 1, 2), out, &len, now, wall),
			 KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 148);
	carry(a, b, out, len);
	kwg_tunnel_stats(a, now, &stats);
	ck_assert(stats.has_session);
	ck_assert_uint_eq(stats.last_handshake, wall);
	ck_assert_uint_eq(stats.tx_bytes, 148 + 80);
	ck_assert_uint_eq(stats.rx_bytes, 92);
}

START_TEST(tunnel_in_place)
{
	struct kwg_tunnel *a = tunnel(0, 0), *b = tunnel(1, 0);
	uint8_t room[KWG_HEADROOM + 100 + KWG_TAILROOM], *out;
	size_t len, n;

	meet(a, b);
	for (n = 20; n <= 100; n++) {
		packet(room + KWG_HEADROOM, (uint32_t)n, 1, 2);
		ck_assert_int_eq(kwg_tunnel_write_in_place(a, room + KWG_HEADROOM, n, &out, &len,
							   now, wall), KWG_TUNNEL_SEND);
		ck_assert_ptr_eq(out, room);
		ck_assert_uint_le(len, n + KWG_OVERHEAD);
		ck_assert_int_eq(kwg_tunnel_read_in_place(b, out, len, &out, &len, now, wall),
				 KWG_TUNNEL_DELIVER);
		ck_assert_uint_eq(len, n);
		ck_assert_uint_eq(out[19], 2);
		ck_assert_int_eq(kwg_tunnel_read_in_place(b, NULL, 0, &out, &len, now, wall),
				 KWG_TUNNEL_DONE);
	}
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

START_TEST(tunnel_in_place_handshake)
{
	struct kwg_tunnel *a = tunnel(0, 0), *b = tunnel(1, 0);
	uint8_t room[KWG_HEADROOM + 100 + KWG_TAILROOM], *out;
	size_t len;

	packet(room + KWG_HEADROOM, 100, 1, 2);
	ck_assert_int_eq(kwg_tunnel_write_in_place(a, room + KWG_HEADROOM, 100, &out, &len, now,
						   wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 148);
	ck_assert_int_eq(kwg_tunnel_read_in_place(b, out, len, &out, &len, now, wall),
			 KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 92);
	ck_assert_int_eq(kwg_tunnel_read_in_place(a, out, len, &out, &len, now, wall),
			 KWG_TUNNEL_SEND);
	ck_assert_int_eq(kwg_tunnel_read_in_place(b, out, len, &out, &len, now, wall),
			 KWG_TUNNEL_DELIVER);
	ck_assert_uint_eq(len, 100);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

/* Packets that waited are longer than the message that the session came with: they wait on. */
START_TEST(tunnel_with_little_room)
{
	struct kwg_tunnel *a = tunnel(0, 0), *b = tunnel(1, 0);
	uint8_t p[1000], out[ROOM], response[KWG_DATAGRAM_MIN];
	size_t len, n, i;
	enum kwg_tunnel_op op;

	for (i = 0; i < 4; i++) {
		len = sizeof(out);
		op = kwg_tunnel_write(a, p, packet(p, i == 2 ? 40 : 1000, 1, 2), out, &len, now,
				      wall);
		ck_assert_int_eq(op, i ? KWG_TUNNEL_KEPT : KWG_TUNNEL_SEND);
		ck_assert_uint_eq(len, i ? 0 : 148);
		if (!i) {
			n = sizeof(response);
			op = kwg_tunnel_read(b, out, len, response, &n, now, wall);
			ck_assert_int_eq(op, KWG_TUNNEL_SEND);
		}
	}
	/* One is short enough; of the others we hear how much room they need, and only that. */
	len = KWG_DATAGRAM_MIN;
	ck_assert_int_eq(kwg_tunnel_read(a, response, n, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 80);
	ck_assert_uint_eq(carry(a, b, out, len), 1);
	for (i = 0; i < 3; i++) {
		len = KWG_DATAGRAM_MIN;
		ck_assert_int_eq(kwg_tunnel_read(a, NULL, 0, out, &len, now, wall), KWG_TUNNEL_DONE);
		ck_assert_uint_eq(len, 1008 + 32);
	}
	len = KWG_DATAGRAM_MIN;
	ck_assert_int_eq(kwg_tunnel_tick(a, out, &len, now, wall), KWG_TUNNEL_DONE);
	ck_assert_uint_eq(len, 1008 + 32);
	for (i = 0; i < 3; i++) {
		len = 1008 + 32;
		ck_assert_int_eq(kwg_tunnel_read(a, NULL, 0, out, &len, now, wall), KWG_TUNNEL_SEND);
		ck_assert_uint_eq(carry(a, b, out, len), 1);
	}
	len = KWG_DATAGRAM_MIN;
	ck_assert_int_eq(kwg_tunnel_read(a, NULL, 0, out, &len, now, wall), KWG_TUNNEL_DONE);
	ck_assert_uint_eq(len, 0);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

/* Who never has more room keeps the session all the same. */
START_TEST(tunnel_that_never_has_room)
{
	struct kwg_tunnel *a = tunnel(0, 0), *b = tunnel(1, 0);
	uint8_t p[1000], big[ROOM], out[KWG_DATAGRAM_MIN];
	unsigned i, k;
	size_t len;

	for (i = 0; i < 10; i++) {
		for (k = 0; k < 40; k++) {
			len = sizeof(big);
			if (kwg_tunnel_write(a, p, packet(p, 1000, 1, 2), big, &len, now, wall) ==
			    KWG_TUNNEL_SEND && len <= sizeof(out)) {
				/* An initiation; the answer comes into little room. */
				size_t n = sizeof(big);

				ck_assert_int_eq(kwg_tunnel_read(b, big, len, big, &n, now, wall),
						 KWG_TUNNEL_SEND);
				len = sizeof(out);
				ck_assert_int_eq(kwg_tunnel_read(a, big, n, out, &len, now, wall),
						 KWG_TUNNEL_DONE);
			}
		}
		now += 200 * S;
		wall += 200 * S;
	}
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_handshake(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 148);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

START_TEST(tunnel_refuses)
{
	struct kwg_tunnel *a = tunnel(0, 0), *b = tunnel(1, 0), *none = NULL;
	uint8_t p[100], out[ROOM], junk[200] = { 4 };
	struct kwg_error err;
	size_t len;

	meet(a, b);
	packet(p, 100, 1, 2);
	len = 147;
	ck_assert_int_eq(kwg_tunnel_write(a, p, 100, out, &len, now, wall), KWG_TUNNEL_DROPPED);
	ck_assert_uint_eq(len, 0);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_read(a, junk, sizeof(junk), out, &len, now, wall),
			 KWG_TUNNEL_DROPPED);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(kwg_tunnel_new(&none, "x", keys[1][1], NULL, 0, 1, 1, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_new(&none, keys[0][0], "x", NULL, 0, 1, 1, &err), KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_new(&none, keys[0][0], keys[0][1], NULL, 0, 1, 1, &err),
			 KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_new(&none, keys[0][0], keys[1][1], "x", 0, 1, 1, &err),
			 KWG_ERR_USAGE);
	ck_assert_int_eq(kwg_tunnel_new(&none, keys[0][0], keys[1][1], NULL, 65536, 1, 1, &err),
			 KWG_ERR_USAGE);
	ck_assert_ptr_null(none);
	kwg_tunnel_free(NULL);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

START_TEST(tunnel_timers)
{
	struct kwg_tunnel *a = tunnel(0, 25), *b = tunnel(1, 0);
	uint8_t out[ROOM];
	size_t len = sizeof(out);
	unsigned n;

	/* The keepalive begins a handshake at once. */
	ck_assert_int_eq(kwg_tunnel_tick(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	carry(a, b, out, len);
	ck_assert_uint_eq(kwg_tunnel_deadline(b), now + 540 * S);
	for (n = 0; n < 3; n++) {
		now = kwg_tunnel_deadline(a);
		len = sizeof(out);
		if (kwg_tunnel_tick(a, out, &len, now, wall) == KWG_TUNNEL_SEND)
			ck_assert_uint_eq(len, 32);
	}
	/* A handshake at will, and once more. */
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_handshake(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 148);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_handshake(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	carry(a, b, out, len);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

START_TEST(tunnel_sleeps)
{
	struct kwg_tunnel *a = tunnel(0, 25), *b = tunnel(1, 0);
	uint8_t p[64], out[ROOM];
	size_t len = sizeof(out);
	struct kwg_tunnel_stats stats;

	/* Before there was a session, there is nothing to begin anew; but the keepalive is due. */
	kwg_tunnel_suspend(b);
	ck_assert_int_eq(kwg_tunnel_resume(b, out, &len, now, wall), KWG_TUNNEL_DONE);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_tick(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	carry(a, b, out, len);
	kwg_tunnel_suspend(a);
	kwg_tunnel_suspend(a);
	kwg_tunnel_suspend(b);
	ck_assert_uint_eq(kwg_tunnel_deadline(a), UINT64_MAX);
	ck_assert_uint_eq(kwg_tunnel_deadline(b), UINT64_MAX);
	kwg_tunnel_stats(a, now, &stats);
	ck_assert(!stats.has_session);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_write(a, p, packet(p, 40, 1, 2), out, &len, now, wall), KWG_TUNNEL_DROPPED);
	ck_assert_uint_eq(len, 0);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_handshake(a, out, &len, now, wall), KWG_TUNNEL_DROPPED);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_tick(a, out, &len, now + 10000 * S, wall), KWG_TUNNEL_DONE);
	/* Hours later, and the wall clock has been set back: the responder, too, begins at once. */
	now += 10000 * S;
	wall -= 1000 * S;
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_resume(b, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 148);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_resume(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 148);
	carry(a, b, out, len);
	kwg_tunnel_stats(a, now, &stats);
	ck_assert(stats.has_session);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_write(a, p, packet(p, 40, 1, 2), out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(carry(a, b, out, len), 1);
	/* Once more, at once: the last initiation was moments ago. */
	kwg_tunnel_suspend(a);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_resume(a, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_uint_eq(len, 148);
	kwg_tunnel_free(a);
	kwg_tunnel_free(b);
}
END_TEST

/* ---- the device ------------------------------------------------------------------------ */

struct host {
	struct kwg_device *dev;
	uint8_t out[ROOM], in[ROOM], from[32];
	size_t out_len, in_len;
	unsigned events, port;
};

static void on_send(void *arg, const struct kwg_endpoint *to, const uint8_t *msg, size_t len,
		    uint8_t tos)
{
	struct host *h = arg;

	(void)tos;
	h->port = to->port;
	h->out_len = len;
	memcpy(h->out, msg, len);
}

static void on_deliver(void *arg, const uint8_t *public_key, uint8_t *p, size_t len)
{
	struct host *h = arg;

	h->in_len = len;
	memcpy(h->in, p, len);
	memcpy(h->from, public_key, 32);
}

static void on_event(void *arg, const uint8_t *public_key, enum kwg_event event)
{
	struct host *h = arg;

	(void)public_key;
	h->events |= 1u << event;
}

static void host_init(struct host *h)
{
	struct kwg_device_callbacks cb = { .size = sizeof(cb), .arg = h, .send = on_send, .deliver = on_deliver,
					   .event = on_event };
	char text[512], hex[2][KWGI_KEY_HEX];
	struct kwgi_key k;

	memset(h, 0, sizeof(*h));
	ck_assert_int_eq(kwg_device_new(&h->dev, &cb, NULL), 0);
	ck_assert_int_eq(kwgi_key_parse(&k, keys[1][0]), 0);
	kwgi_key_format_hex(hex[0], &k);
	ck_assert_int_eq(kwgi_key_parse(&k, keys[0][1]), 0);
	kwgi_key_format_hex(hex[1], &k);
	snprintf(text, sizeof(text), "set=1\nprivate_key=%s\nlisten_port=7\npublic_key=%s\n"
		 "allowed_ip=0.0.0.1/32\n\n", hex[0], hex[1]);
	ck_assert_int_eq(kwg_device_set(h->dev, text, strlen(text), now, wall, NULL), 0);
}

START_TEST(device_and_tunnel)
{
	struct kwg_endpoint from = { .family = 4, .addr = { 192, 0, 2, 1 }, .port = 77 };
	struct kwg_tunnel *t = tunnel(0, 0);
	uint8_t p[100], out[ROOM];
	size_t len = sizeof(out);
	struct kwgi_key k;
	struct host h;
	char *text;

	host_init(&h);
	packet(p, 100, 2, 1);
	ck_assert_int_eq(kwg_device_write(h.dev, p, 100, now, wall), KWG_DROPPED_NO_ENDPOINT);
	packet(p, 100, 1, 2);
	ck_assert_int_eq(kwg_device_write(h.dev, p, 100, now, wall), KWG_DROPPED_NO_PEER);
	ck_assert_int_eq(kwg_device_write(h.dev, p, KWG_PACKET_MAX + 1, now, wall),
			 KWG_DROPPED_LENGTH);
	kwg_tunnel_write(t, p, 100, out, &len, now, wall);
	ck_assert_int_eq(kwg_device_read(h.dev, &from, out, len, 0, now, wall), KWG_CONSUMED);
	ck_assert_uint_eq(h.port, 77);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_read(t, h.out, h.out_len, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_int_eq(kwg_device_read(h.dev, &from, out, len, 0, now, wall), KWG_DELIVERED);
	ck_assert_int_eq(kwg_device_read(h.dev, &from, out, len, 0, now, wall), KWG_DROPPED_INVALID);
	ck_assert_uint_eq(h.in_len, 100);
	ck_assert_int_eq(kwgi_key_parse(&k, keys[0][1]), 0);
	ck_assert_mem_eq(h.from, k.b, 32);
	/* An address that is not the peer's; and the way back. */
	packet(p, 100, 9, 2);
	len = sizeof(out);
	kwg_tunnel_write(t, p, 100, out, &len, now, wall);
	ck_assert_int_eq(kwg_device_read(h.dev, &from, out, len, 0, now, wall), KWG_DROPPED_CONTENT);
	packet(p, 100, 2, 1);
	ck_assert_int_eq(kwg_device_write(h.dev, p, 100, now, wall), KWG_SENT);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_read(t, h.out, h.out_len, out, &len, now, wall),
			 KWG_TUNNEL_DELIVER);
	ck_assert_int_eq(kwg_device_get(h.dev, &text, &len, NULL), 0);
	ck_assert_ptr_nonnull(strstr(text, "\nlisten_port=7\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nendpoint=192.0.2.1:77\n"));
	ck_assert_str_eq(text + len - strlen("errno=0\n\n"), "errno=0\n\n");
	kwg_text_free(text);
	ck_assert(h.events & 1u << KWG_EVENT_INITIATION_RECEIVED);
	kwg_device_set_up(h.dev, false, now, wall);
	ck_assert_int_eq(kwg_device_write(h.dev, p, 100, now, wall), KWG_DROPPED_DOWN);
	ck_assert_int_eq(kwg_device_read(h.dev, &from, out, 100, 0, now, wall), KWG_DROPPED_DOWN);
	ck_assert_uint_eq(kwg_device_tick(h.dev, now, wall), UINT64_MAX);
	kwg_device_free(h.dev);
	kwg_tunnel_free(t);
}
END_TEST

START_TEST(device_sleeps)
{
	struct kwg_endpoint from = { .family = 4, .addr = { 192, 0, 2, 1 }, .port = 77 };
	struct kwg_tunnel *t = tunnel(0, 0);
	uint8_t p[100], out[ROOM];
	size_t len = sizeof(out);
	struct host h;
	char *text;

	host_init(&h);
	packet(p, 100, 1, 2);
	kwg_tunnel_write(t, p, 100, out, &len, now, wall);
	ck_assert_int_eq(kwg_device_read(h.dev, &from, out, len, 0, now, wall), KWG_CONSUMED);
	kwg_device_suspend(h.dev);
	ck_assert_int_eq(kwg_device_write(h.dev, p, 100, now, wall), KWG_DROPPED_DOWN);
	ck_assert_int_eq(kwg_device_read(h.dev, &from, out, 100, 0, now, wall), KWG_DROPPED_DOWN);
	ck_assert_uint_eq(kwg_device_tick(h.dev, now + 5000 * S, wall), UINT64_MAX);
	ck_assert_int_eq(kwg_device_get(h.dev, &text, &len, NULL), 0);
	ck_assert_ptr_nonnull(strstr(text, "\nendpoint=192.0.2.1:77\n"));
	kwg_text_free(text);
	now += 5000 * S;
	h.out_len = 0;
	ck_assert_uint_lt(kwg_device_resume(h.dev, now, wall), now + 10 * S);
	ck_assert_uint_eq(h.out_len, 148);
	ck_assert_uint_eq(h.port, 77);
	len = sizeof(out);
	ck_assert_int_eq(kwg_tunnel_read(t, h.out, h.out_len, out, &len, now, wall), KWG_TUNNEL_SEND);
	ck_assert_int_eq(kwg_device_read(h.dev, &from, out, len, 0, now, wall), KWG_CONSUMED);
	packet(p, 100, 2, 1);
	ck_assert_int_eq(kwg_device_write(h.dev, p, 100, now, wall), KWG_SENT);
	kwg_device_free(h.dev);
	kwg_tunnel_free(t);
}
END_TEST

START_TEST(device_refuses)
{
	static const char *const bad[] = { "", "get=1\n\n", "set=1\n", "set=1\nx=1\n\n",
					   "set=1\nlisten_port=70000\n\n" };
	struct kwg_error err;
	struct host h;
	unsigned i;

	host_init(&h);
	for (i = 0; i < N_OF(bad); i++) {
		ck_assert_int_eq(kwg_device_set(h.dev, bad[i], strlen(bad[i]), now, wall, &err),
				 KWG_ERR_CONFIG);
		ck_assert_int_gt(err.sys_errno, 0);
	}
	kwg_device_free(h.dev);
	kwg_device_free(NULL);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, tunnel_in_place);
	tcase_add_test(tc, tunnel_in_place_handshake);
	tcase_add_test(tc, tunnel_with_little_room);
	tcase_add_test(tc, tunnel_that_never_has_room);
	tcase_add_test(tc, tunnel_refuses);
	tcase_add_test(tc, tunnel_timers);
	tcase_add_test(tc, tunnel_sleeps);
	tcase_add_test(tc, device_sleeps);
	tcase_add_test(tc, device_and_tunnel);
	tcase_add_test(tc, device_refuses);
}

int main(void)
{
	return unit_run("embed", add);
}
