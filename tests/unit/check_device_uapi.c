/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Devices configured by the text of the userspace API, and what they tell of themselves. */
#include <errno.h>

#include "pair.h"

static int configure(unsigned host, const char *text)
{
	struct kwgi_uapi_request r;
	struct kwgi_arena a = { 0 };
	int e = kwgi_uapi_parse(&r, &a, text, strlen(text));

	ck_assert_int_eq(e, 0);
	e = kwgi_device_configure(w.h[host].d, &r.set, &w.t);
	kwgi_arena_free(&a);
	return e;
}

static char *printed(unsigned host)
{
	struct kwgi_buf b = { 0 };

	kwgi_device_print(w.h[host].d, &b);
	return kwgi_buf_take(&b, NULL);
}

#define KEY_A "0000000000000000000000000000000000000000000000000000000000000001"
#define KEY_B "0000000000000000000000000000000000000000000000000000000000000002"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define PRIVATE "78563412785634127856341278563412785634127856341278563412785634a2"
#define CLAMPED "78563412785634127856341278563412785634127856341278563412785634" "62"

START_TEST(configured_and_printed)
{
	char *text;

	ck_assert_int_eq(configure(2, "set=1\nprivate_key=" PRIVATE "\nlisten_port=51820\nfwmark=7\n"
		"public_key=" KEY_A "\nendpoint=192.0.2.9:51820\nallowed_ip=10.1.2.3/24\n"
		"allowed_ip=fd00::/64\npersistent_keepalive_interval=25\n"
		"public_key=" KEY_B "\npreshared_key=" KEY_A "\nendpoint=[fe80::1%3]:9\n\n"), 0);
	text = printed(2);
	ck_assert_str_eq(text, "private_key=" CLAMPED "\nlisten_port=51820\nfwmark=7\n"
		"public_key=" KEY_A "\npreshared_key=" ZERO "\nprotocol_version=1\n"
		"endpoint=192.0.2.9:51820\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
		"tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=25\nallowed_ip=10.1.2.0/24\n"
		"allowed_ip=fd00::/64\n"
		"public_key=" KEY_B "\npreshared_key=" KEY_A "\nprotocol_version=1\n"
		"endpoint=[fe80::1%3]:9\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
		"tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=0\n");
	free(text);
}
END_TEST

START_TEST(configured_again)
{
	struct kwgi_device *d = w.h[2].d;

	configure(2, "set=1\npublic_key=" KEY_A "\nallowed_ip=10.1.0.0/16\nallowed_ip=10.2.0.0/16\n\n");
	/* An allowed IP moves, one is taken away, unknown peers are passed over. */
	configure(2, "set=1\npublic_key=" KEY_B "\nallowed_ip=10.1.0.0/16\n"
		"public_key=" KEY_A "\nallowed_ip=-10.2.0.0/16\nallowed_ip=10.3.0.0/16\n\n");
	ck_assert_uint_eq(d->first->allowed_ips.n, 1);
	ck_assert_uint_eq(d->last->allowed_ips.n, 1);
	configure(2, "set=1\npublic_key=" KEY_A "\nreplace_allowed_ips=true\nallowed_ip=10.4.0.0/16\n\n");
	ck_assert_uint_eq(d->first->allowed_ips.n, 1);
	ck_assert_uint_eq(d->allowed_ips.n, 2);
	configure(2, "set=1\npublic_key=" PRIVATE "\nupdate_only=true\nallowed_ip=10.4.0.0/16\n"
		"public_key=" PRIVATE "\nremove=true\n\n");
	ck_assert_uint_eq(d->n_peers, 2);
	configure(2, "set=1\npublic_key=" KEY_A "\nremove=true\n\n");
	ck_assert_uint_eq(d->n_peers, 1);
	configure(2, "set=1\nreplace_peers=true\npublic_key=" KEY_A "\n\n");
	ck_assert_uint_eq(d->n_peers, 1);
	ck_assert_uint_eq(d->allowed_ips.n, 0);
	configure(2, "set=1\nprivate_key=" ZERO "\nfwmark=0\n\n");
	ck_assert(!d->identity.set);
}
END_TEST

/* A packet waits for an endpoint; the end of the section sends it. */
START_TEST(an_endpoint_wakes_what_waits)
{
	struct kwgi_path nowhere = { .family = 0 };
	char hex[KWGI_KEY_HEX], text[256];

	say(&w, 0, 1, 1);
	lose(&w.h[0]);
	kwgi_peer_set_path(p01(), &nowhere);
	p01()->last_handshake_sent = 0;
	kwgi_key_format_hex(hex, &w.h[1].public_key);
	snprintf(text, sizeof(text), "set=1\npublic_key=%s\nendpoint=192.0.2.2:1001\n\n", hex);
	ck_assert_int_eq(configure(0, text), 0);
	settle(&w);
	ck_assert_uint_eq(w.h[1].received, 1);
	/* Persistent keepalives newly on: one at once. */
	snprintf(text, sizeof(text), "set=1\npublic_key=%s\npersistent_keepalive_interval=5\n\n", hex);
	ck_assert_int_eq(configure(0, text), 0);
	run_for(&w, 0);
	ck_assert_uint_eq(take_type(&w.h[0], KWGI_MSG_TRANSPORT)->len, 32);
	ck_assert_int_eq(configure(0, text), 0);
	run_for(&w, 0);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

/* wg syncconf from cron, say: the keepalive that is due comes when it is due. */
START_TEST(the_same_keepalive_again)
{
	char hex[KWGI_KEY_HEX], text[256];
	unsigned i, n;

	meet(&w);
	kwgi_key_format_hex(hex, &w.h[1].public_key);
	snprintf(text, sizeof(text), "set=1\npublic_key=%s\npersistent_keepalive_interval=5\n\n", hex);
	ck_assert_int_eq(configure(0, text), 0);
	w.move = settle;
	run_for(&w, 20 * S);
	n = w.h[0].events[KWGI_EVENT_KEEPALIVE_SENT];
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(configure(0, text), 0);
		run_for(&w, 3 * S);
	}
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_KEEPALIVE_SENT] - n, 12);
}
END_TEST

/* A key that comes after the peers: what waits for it asks for a session at once, some at a time. */
START_TEST(a_late_private_key)
{
	struct kwgi_key zero = { { 0 } };
	char hex[KWGI_KEY_HEX], text[256];

	kwgi_device_set_private_key(w.h[0].d, &zero);
	befriend(&w, 0, 2, true);
	befriend(&w, 0, 3, true);
	say(&w, 0, 1, 1);
	say(&w, 0, 2, 2);
	run_for(&w, 60 * S);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	kwgi_key_format_hex(hex, &w.h[0].private_key);
	snprintf(text, sizeof(text), "set=1\nprivate_key=%s\n\n", hex);
	ck_assert_int_eq(configure(0, text), 0);
	ck_assert_uint_eq(kwgi_timers_work(w.h[0].d, 1, &w.t), w.t.now);
	run_for(&w, 0);
	/* Not with whom nobody wants to speak. */
	ck_assert_uint_eq(waiting(&w.h[0]), 2);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[1]), 1);
	/* The same again is no change; nothing is asked while the link is down. */
	ck_assert_int_eq(configure(0, text), 0);
	run_for(&w, 0);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

static int refuse_port(void *arg, uint16_t port)
{
	(void)arg;
	return port == 99 ? EADDRINUSE : 0;
}

START_TEST(a_port_in_use)
{
	w.h[2].d->io.listen = refuse_port;
	ck_assert_int_eq(configure(2, "set=1\nlisten_port=98\n\n"), 0);
	ck_assert_int_eq(configure(2, "set=1\nlisten_port=99\n\n"), EADDRINUSE);
	ck_assert_uint_eq(w.h[2].d->listen_port, 98);
}
END_TEST

/* Another port: who has a session hears of it at once, and nobody else. */
START_TEST(a_new_port_is_told)
{
	meet(&w);
	befriend(&w, 0, 2, true);
	run_for(&w, 0);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
	ck_assert_int_eq(configure(0, "set=1\nlisten_port=98\n\n"), 0);
	run_for(&w, 0);
	ck_assert_uint_eq(waiting(&w.h[0]), 1);
	ck_assert_uint_eq(take_type(&w.h[0], KWGI_MSG_TRANSPORT)->len, 32);
	/* The same again, one that is taken, and a session that is over. */
	ck_assert_int_eq(configure(0, "set=1\nlisten_port=98\n\n"), 0);
	w.h[0].d->io.listen = refuse_port;
	ck_assert_int_eq(configure(0, "set=1\nlisten_port=99\n\n"), EADDRINUSE);
	p01()->current->created = w.t.now - REJECT_AFTER_TIME;
	ck_assert_int_eq(configure(0, "set=1\nlisten_port=97\n\n"), 0);
	run_for(&w, 0);
	ck_assert_uint_eq(waiting(&w.h[0]), 0);
}
END_TEST

/* ---- all ------------------------------------------------------------------------------------------ */

static void add(TCase *tc)
{
	pair_fixture(tc);
	tcase_add_test(tc, configured_and_printed);
	tcase_add_test(tc, configured_again);
	tcase_add_test(tc, an_endpoint_wakes_what_waits);
	tcase_add_test(tc, the_same_keepalive_again);
	tcase_add_test(tc, a_late_private_key);
	tcase_add_test(tc, a_port_in_use);
	tcase_add_test(tc, a_new_port_is_told);
}

int main(void)
{
	return unit_run("device_uapi", add);
}
