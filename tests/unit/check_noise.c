/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The cryptography of handshakes, macs, cookies and transport messages against
 * tests/vectors/{handshake,cookie,x25519}.txt. noise.c and cookie.c are part
 * of this file, so that the values between the messages can be seen, too.
 */
#include "dp/cookie.c"
#include "dp/noise.c"

#include "dp/aead.h"
#include "vectors.h"

enum { MAX_VALUES = 256, MAX_BYTES = 256, CASES = 2, COOKIES = 3, XAEADS = 4 };

/* ---- values by name ------------------------------------------------------------ */

static struct {
	char *name, *value;
} values[MAX_VALUES];
static unsigned n_values;

static void values_read(const char *name)
{
	char line[4096], *w[2];
	FILE *f = vectors_open(name);

	n_values = 0;
	while (vectors_words(f, line, sizeof(line), w, 2) == 2) {
		ck_assert_uint_lt(n_values, MAX_VALUES);
		values[n_values].name = strdup(w[0]);
		values[n_values++].value = strdup(w[1]);
	}
	fclose(f);
}

static void values_free(void)
{
	while (n_values) {
		free(values[--n_values].name);
		free(values[n_values].value);
	}
}

static const char *value(const char *list, unsigned i, const char *name)
{
	char full[64];
	unsigned k;

	snprintf(full, sizeof(full), list ? "%s%u.%s" : "%s%.0u%s", list ? list : "", i, name);
	for (k = 0; k < n_values; k++)
		if (!strcmp(values[k].name, full))
			return values[k].value;
	ck_abort_msg("no vector %s", full);
}

static size_t bytes(uint8_t *out, size_t size, const char *list, unsigned i, const char *name)
{
	return vectors_hex(out, size, value(list, i, name));
}

static struct kwgi_key key_of(unsigned i, const char *name)
{
	struct kwgi_key k;

	ck_assert_uint_eq(bytes(k.b, sizeof(k.b), "", i, name), sizeof(k.b));
	return k;
}

static void is(const void *got, size_t len, const char *list, unsigned i, const char *name)
{
	char hex[2 * MAX_BYTES + 1];

	sodium_bin2hex(hex, sizeof(hex), got, len);
	ck_assert_msg(!strcmp(len ? hex : "-", value(list, i, name)), "%s%u.%s is %s, got %s", list,
		      i, name, value(list, i, name), hex);
}

static void is_step(const struct symmetric *s, unsigned i, unsigned step, bool c, bool h)
{
	char name[32];

	snprintf(name, sizeof(name), "steps.%u.C", step);
	if (c)
		is(s->ck, sizeof(s->ck), "", i, name);
	snprintf(name, sizeof(name), "steps.%u.H", step);
	if (h)
		is(s->h, sizeof(s->h), "", i, name);
}

/* ---- both sides of a case ---------------------------------------------------------- */

struct side {
	struct kwgi_identity id;
	struct kwgi_remote remote;
	struct kwgi_cookie_maker cookie;
	struct kwgi_cookie_checker checker;
};

static void side_init(struct side *s, unsigned i, const char *private_name,
		      const char *public_name, const char *remote_name)
{
	struct kwgi_key private_key = key_of(i, private_name);

	memset(s, 0, sizeof(*s));
	kwgi_identity_set(&s->id, &private_key);
	ck_assert(s->id.set);
	is(s->id.public_key.b, 32, "", i, public_name);
	s->remote.static_public = key_of(i, remote_name);
	s->remote.psk = key_of(i, "psk");
	kwgi_remote_precompute(&s->remote, &s->id);
	ck_assert(s->remote.has_static_static);
	is(s->remote.static_static.b, 32, "", i, "steps.5.dh");
	kwgi_cookie_keys(s->cookie.mac1_key, s->cookie.cookie_key, &s->remote.static_public);
	kwgi_cookie_keys(s->checker.mac1_key, s->checker.cookie_key, &s->id.public_key);
}

static void sides_init(struct side *initiator, struct side *responder, unsigned i)
{
	side_init(initiator, i, "static_private_i", "static_public_i", "static_public_r");
	side_init(responder, i, "static_private_r", "static_public_r", "static_public_i");
}

static void make_initiation(struct side *s, unsigned i, struct kwgi_initiation *msg,
			    struct kwgi_handshake *h)
{
	struct kwgi_key ephemeral = key_of(i, "ephemeral_private_i");
	uint8_t timestamp[KWGI_TIMESTAMP_LEN];

	bytes(timestamp, sizeof(timestamp), "", i, "timestamp");
	memset(h, 0, sizeof(*h));
	h->local_index = (uint32_t)strtoul(value("", i, "sender_index_i"), NULL, 16);
	ck_assert(kwgi_noise_create_initiation(msg, h, &s->id, &s->remote, ephemeral.b, timestamp));
}

/* ---- tests --------------------------------------------------------------------------- */

/* The chaining key, the hash and the keys after each token, by the functions of noise.c. */
START_TEST(every_step)
{
	unsigned i = (unsigned)_i;
	struct kwgi_key e_i = key_of(i, "ephemeral_private_i"), s_r = key_of(i, "static_public_r"),
			e_r = key_of(i, "ephemeral_private_r"), psk = key_of(i, "psk"),
			s_i = key_of(i, "static_public_i");
	uint8_t pub[32], k[32], out[64], timestamp[KWGI_TIMESTAMP_LEN];
	struct symmetric s;
	struct kwgi_key made;

	kwgi_hash(s.ck, construction, sizeof(construction) - 1, NULL, 0);
	kwgi_hash(s.h, s.ck, sizeof(s.ck), identifier, sizeof(identifier) - 1);
	is_step(&s, i, 0, true, true);
	begin(&s, &s_r);
	is_step(&s, i, 1, false, true);
	ck_assert(make_ephemeral(&made, pub, e_i.b));
	ck_assert(kwgi_key_equal(&made, &e_i));
	is(pub, 32, "", i, "ephemeral_public_i");
	mix_ephemeral(&s, pub);
	is_step(&s, i, 2, true, true);
	is(s.h, 32, "", i, "steps.3.aad");
	ck_assert(mix_dh(&s, k, &e_i, s_r.b));
	is_step(&s, i, 3, true, false);
	is(k, 32, "", i, "steps.3.k");
	seal(&s, out, s_i.b, 32, k);
	is(out, 48, "", i, "steps.3.static");
	is_step(&s, i, 4, false, true);
	is(s.h, 32, "", i, "steps.5.aad");
	bytes(out, 32, "", i, "steps.5.dh");
	kwgi_kdf2(s.ck, k, s.ck, out, 32);
	is_step(&s, i, 5, true, false);
	is(k, 32, "", i, "steps.5.k");
	bytes(timestamp, sizeof(timestamp), "", i, "timestamp");
	seal(&s, out, timestamp, sizeof(timestamp), k);
	is(out, 28, "", i, "steps.5.timestamp");
	is_step(&s, i, 6, false, true);

	bytes(pub, 32, "", i, "ephemeral_public_r");
	mix_ephemeral(&s, pub);
	is_step(&s, i, 8, true, true);
	bytes(pub, 32, "", i, "ephemeral_public_i");
	ck_assert(mix_dh(&s, NULL, &e_r, pub));
	is_step(&s, i, 9, true, false);
	ck_assert(mix_dh(&s, NULL, &e_r, s_i.b));
	is_step(&s, i, 10, true, false);
	mix_psk(&s, k, &psk);
	is_step(&s, i, 11, true, true);
	is(k, 32, "", i, "steps.11.k");
	seal(&s, out, NULL, 0, k);
	is(out, 16, "", i, "steps.11.empty");
	is_step(&s, i, 12, false, true);
	kwgi_kdf2(out, out + 32, s.ck, NULL, 0);
	is(out, 32, "", i, "steps.14.T_i_send");
	is(out + 32, 32, "", i, "steps.14.T_r_send");
}
END_TEST

/* Both messages with their macs, and the keys of both sides. */
START_TEST(both_roles)
{
	struct kwgi_opened_initiation o = { 0 };
	struct kwgi_session_keys ki, kr;
	struct side initiator, responder;
	struct kwgi_initiation first;
	struct kwgi_response second;
	struct kwgi_handshake h;
	unsigned i = (unsigned)_i;
	struct kwgi_key e_r = key_of(i, "ephemeral_private_r");
	uint32_t index_r = (uint32_t)strtoul(value("", i, "sender_index_r"), NULL, 16);

	sides_init(&initiator, &responder, i);
	make_initiation(&initiator, i, &first, &h);
	is(h.hash, 32, "", i, "steps.6.H");
	is(h.chaining_key, 32, "", i, "steps.5.C");
	kwgi_cookie_add_macs(&initiator.cookie, (uint8_t *)&first, sizeof(first), 1);
	is(&first, sizeof(first), "", i, "initiation");

	ck_assert(kwgi_cookie_mac1_ok(&responder.checker, (uint8_t *)&first, sizeof(first)));
	ck_assert(kwgi_noise_open_static(&o, &first, &responder.id));
	is(o.static_public, 32, "", i, "static_public_i");
	is(o.ephemeral, 32, "", i, "ephemeral_public_i");
	is(o.hash, 32, "", i, "steps.4.H");
	is(o.chaining_key, 32, "", i, "steps.3.C");
	ck_assert(kwgi_noise_open_timestamp(&o, &first, &responder.remote));
	is(o.timestamp, sizeof(o.timestamp), "", i, "timestamp");
	is(o.hash, 32, "", i, "steps.6.H");
	is(o.chaining_key, 32, "", i, "steps.5.C");
	ck_assert_uint_eq(o.remote_index, h.local_index);

	ck_assert(kwgi_noise_create_response(&second, &kr, &o, &responder.remote, index_r, e_r.b));
	kwgi_cookie_add_macs(&responder.cookie, (uint8_t *)&second, sizeof(second), 1);
	is(&second, sizeof(second), "", i, "response");
	is(kr.receive.b, 32, "", i, "transport_key_i_to_r");
	is(kr.send.b, 32, "", i, "transport_key_r_to_i");

	ck_assert(kwgi_cookie_mac1_ok(&initiator.checker, (uint8_t *)&second, sizeof(second)));
	ck_assert(kwgi_noise_consume_response(&ki, &h, &second, &initiator.id, &initiator.remote));
	is(ki.send.b, 32, "", i, "transport_key_i_to_r");
	is(ki.receive.b, 32, "", i, "transport_key_r_to_i");
	ck_assert_uint_eq(h.remote_index, index_r);
	/* Nothing else is left of the handshake. */
	ck_assert_int_eq(h.state, KWGI_HANDSHAKE_NONE);
	ck_assert(kwgi_key_is_zero(&h.ephemeral_private));
	ck_assert(sodium_is_zero(h.chaining_key, 32) && sodium_is_zero(h.hash, 32));
}
END_TEST

/* Each byte of a message changed in turn: refused, and all is as before. */
START_TEST(damaged_messages)
{
	struct kwgi_opened_initiation o, before;
	struct kwgi_handshake h, h_before;
	struct side initiator, responder;
	struct kwgi_session_keys keys;
	struct kwgi_initiation first;
	struct kwgi_response second;
	unsigned i = (unsigned)_i;
	size_t at;

	sides_init(&initiator, &responder, i);
	make_initiation(&initiator, i, &first, &h);
	for (at = offsetof(struct kwgi_initiation, ephemeral);
	     at < offsetof(struct kwgi_initiation, encrypted_timestamp); at++) {
		/* X25519 does not look at the top bit, but the hash does. */
		((uint8_t *)&first)[at] ^= 0x80;
		ck_assert(!kwgi_noise_open_static(&o, &first, &responder.id));
		((uint8_t *)&first)[at] ^= 0x80;
	}
	ck_assert(kwgi_noise_open_static(&o, &first, &responder.id));
	memcpy(&before, &o, sizeof(o));
	for (at = 0; at < sizeof(first.encrypted_timestamp); at++) {
		first.encrypted_timestamp[at] ^= 1;
		ck_assert(!kwgi_noise_open_timestamp(&o, &first, &responder.remote));
		ck_assert_mem_eq(before.hash, o.hash, 32);
		ck_assert_mem_eq(before.chaining_key, o.chaining_key, 32);
		first.encrypted_timestamp[at] ^= 1;
	}
	bytes((uint8_t *)&second, sizeof(second), "", i, "response");
	memcpy(&h_before, &h, sizeof(h));
	for (at = offsetof(struct kwgi_response, ephemeral);
	     at < offsetof(struct kwgi_response, macs); at++) {
		((uint8_t *)&second)[at] ^= 0x80;
		ck_assert(!kwgi_noise_consume_response(&keys, &h, &second, &initiator.id,
						       &initiator.remote));
		((uint8_t *)&second)[at] ^= 0x80;
		ck_assert_mem_eq(&h_before, &h, sizeof(h));
	}
	initiator.remote.psk.b[31] ^= 1;
	ck_assert(!kwgi_noise_consume_response(&keys, &h, &second, &initiator.id,
					       &initiator.remote));
	ck_assert_mem_eq(&h_before, &h, sizeof(h));
	initiator.remote.psk.b[31] ^= 1;
	ck_assert(kwgi_noise_consume_response(&keys, &h, &second, &initiator.id, &initiator.remote));
	/* Once only. */
	ck_assert(!kwgi_noise_consume_response(&keys, &h, &second, &initiator.id,
					       &initiator.remote));
}
END_TEST

static void one_transport(unsigned i, unsigned t, const struct kwgi_aead *aead)
{
	uint8_t message[MAX_BYTES], packet[MAX_BYTES];
	struct kwgi_aead_packet a = { .data = packet };
	struct kwgi_key k;
	char list[16];
	size_t len;

	snprintf(list, sizeof(list), "%u.transport.", i);
	k = key_of(i, !strcmp(value(list, t, "from"), "initiator") ? "transport_key_i_to_r" :
								    "transport_key_r_to_i");
	len = bytes(message, sizeof(message), list, t, "message");
	a.len = (uint32_t)bytes(packet, sizeof(packet), list, t, "plaintext_padded");
	a.counter = strtoull(value(list, t, "counter_hex"), NULL, 16);
	ck_assert_uint_eq(kwgi_get64(((struct kwgi_transport *)message)->counter), a.counter);
	ck_assert_uint_eq(len, a.len + KWGI_TRANSPORT_MIN);
	aead->seal(k.b, &a, 1);
	ck_assert_mem_eq(packet, message + sizeof(struct kwgi_transport), a.len + KWGI_TAG_LEN);
	ck_assert_uint_eq(aead->open(k.b, &a, 1), 1);
	is(packet, a.len, list, t, "plaintext_padded");
	packet[a.len] ^= 1;
	ck_assert_uint_eq(aead->open(k.b, &a, 1), 0);
	ck_assert(!a.ok);
}

START_TEST(transport)
{
	unsigned t;

	for (t = 0; t < 5; t++) {
		one_transport((unsigned)_i, t, kwgi_aead_best());
		one_transport((unsigned)_i, t, kwgi_aead_by_name("sodium"));
	}
}
END_TEST

static void add_small_order(uint8_t point[32], void (*test)(const uint8_t point[32]))
{
	uint8_t with_top_bit[32];

	test(point);
	memcpy(with_top_bit, point, 32);
	with_top_bit[31] ^= 0x80;
	test(with_top_bit);
}

static void refuse_point(const uint8_t point[32])
{
	struct kwgi_opened_initiation o = { 0 };
	struct kwgi_session_keys keys;
	struct side initiator, responder;
	struct kwgi_initiation first;
	struct kwgi_response second;
	struct kwgi_handshake h;
	uint8_t random[32] = { 1 };
	struct symmetric s = { 0 };

	sides_init(&initiator, &responder, 0);
	ck_assert(!mix_dh(&s, NULL, &initiator.id.private_key, point));
	/* As ephemeral of an initiation. */
	make_initiation(&initiator, 0, &first, &h);
	memcpy(first.ephemeral, point, 32);
	ck_assert(!kwgi_noise_open_static(&o, &first, &responder.id));
	memcpy(o.ephemeral, point, 32);
	ck_assert(!kwgi_noise_create_response(&second, &keys, &o, &responder.remote, 1, random));
	/* As ephemeral of a response. */
	bytes((uint8_t *)&second, sizeof(second), "", 0, "response");
	memcpy(second.ephemeral, point, 32);
	ck_assert(!kwgi_noise_consume_response(&keys, &h, &second, &initiator.id,
					       &initiator.remote));
	ck_assert_int_eq(h.state, KWGI_HANDSHAKE_INITIATION_CREATED);
	/* As static key of a peer. */
	memcpy(initiator.remote.static_public.b, point, 32);
	kwgi_remote_precompute(&initiator.remote, &initiator.id);
	ck_assert(!initiator.remote.has_static_static);
	ck_assert(kwgi_key_is_zero(&initiator.remote.static_static));
	ck_assert(!kwgi_noise_create_initiation(&first, &h, &initiator.id, &initiator.remote,
						random, random));
	ck_assert_int_eq(h.state, KWGI_HANDSHAKE_NONE);
}

static void one_dh(char *w[])
{
	struct kwgi_remote r = { 0 };
	struct kwgi_identity id;
	struct kwgi_key k;
	char hex[65];

	vectors_hex(k.b, 32, w[1]);
	kwgi_identity_set(&id, &k);
	ck_assert_str_eq(sodium_bin2hex(hex, sizeof(hex), id.public_key.b, 32), w[2]);
	vectors_hex(r.static_public.b, 32, w[3]);
	kwgi_remote_precompute(&r, &id);
	ck_assert(r.has_static_static);
	ck_assert_str_eq(sodium_bin2hex(hex, sizeof(hex), r.static_static.b, 32), w[4]);
}

static void one_clamp(char *w[])
{
	struct kwgi_identity id;
	struct kwgi_key k;
	char hex[65];

	vectors_hex(k.b, 32, w[1]);
	kwgi_identity_set(&id, &k);
	ck_assert_str_eq(sodium_bin2hex(hex, sizeof(hex), id.private_key.b, 32), w[2]);
}

/* The vectors have the whole time; ours is rounded down to 2^24 ns. */
static void one_tai64n(char *w[])
{
	uint64_t seconds = strtoull(w[1], NULL, 10), ns = strtoull(w[2], NULL, 10);
	uint8_t got[KWGI_TIMESTAMP_LEN], want[KWGI_TIMESTAMP_LEN];

	vectors_hex(want, sizeof(want), w[3]);
	want[9] = want[10] = want[11] = 0;
	kwgi_tai64n(got, seconds * KWGI_SECOND + ns);
	ck_assert_mem_eq(got, want, sizeof(got));
}

START_TEST(curve_and_time)
{
	unsigned dhs = 0, refused = 0, clamped = 0, times = 0;
	FILE *f = vectors_open("x25519.txt");
	char line[4096], *w[5];
	uint8_t point[32];

	while (vectors_words(f, line, sizeof(line), w, 5)) {
		if (!strcmp(w[0], "dh")) {
			one_dh(w);
			dhs++;
		} else if (!strcmp(w[0], "refused")) {
			vectors_hex(point, sizeof(point), w[1]);
			add_small_order(point, refuse_point);
			refused++;
		} else if (!strcmp(w[0], "clamp")) {
			one_clamp(w);
			clamped++;
		} else {
			one_tai64n(w);
			times++;
		}
	}
	fclose(f);
	ck_assert_uint_eq(dhs, 3);
	ck_assert_uint_eq(refused, 7);
	ck_assert_uint_eq(clamped, 2);
	ck_assert_uint_eq(times, 4);
}
END_TEST

START_TEST(zero_is_no_private_key)
{
	struct kwgi_key zero = { { 0 } };
	struct kwgi_opened_initiation o;
	struct kwgi_initiation first;
	struct side initiator, responder;
	struct kwgi_handshake h;

	sides_init(&initiator, &responder, 0);
	make_initiation(&initiator, 0, &first, &h);
	kwgi_identity_set(&responder.id, &zero);
	ck_assert(!responder.id.set);
	ck_assert(kwgi_key_is_zero(&responder.id.private_key));
	ck_assert(!kwgi_noise_open_static(&o, &first, &responder.id));
	kwgi_remote_precompute(&responder.remote, &responder.id);
	ck_assert(!responder.remote.has_static_static);
}
END_TEST

/* ---- cookies ----------------------------------------------------------------------------- */

static struct kwgi_key cookie_key_of(const char *name)
{
	struct kwgi_key k;

	bytes(k.b, sizeof(k.b), NULL, 0, name);
	return k;
}

static void is_plain(const void *got, size_t len, const char *name)
{
	char hex[2 * MAX_BYTES + 1];

	ck_assert_str_eq(sodium_bin2hex(hex, sizeof(hex), got, len), value(NULL, 0, name));
}

START_TEST(cookies)
{
	struct kwgi_key responder = cookie_key_of("responder_static_public"),
			secret = cookie_key_of("secret_R");
	uint8_t msg[sizeof(struct kwgi_initiation)], source[18], nonce[KWGI_COOKIE_NONCE_LEN];
	uint8_t cookie[KWGI_COOKIE_LEN];
	struct kwgi_cookie_checker c = { .secret_until = 0 };
	struct kwgi_cookie_reply reply;
	struct kwgi_cookie_maker m = { .sent_mac1 = false };
	unsigned i = (unsigned)_i;
	uint64_t now = 1000 * KWGI_SECOND;
	size_t n;

	kwgi_cookie_keys(c.mac1_key, c.cookie_key, &responder);
	kwgi_cookie_keys(m.mac1_key, m.cookie_key, &responder);
	is_plain(c.mac1_key, 32, "mac1_key");
	is_plain(c.cookie_key, 32, "cookie_key");
	ck_assert(kwgi_cookie_is_old(&c, now));
	kwgi_cookie_renew(&c, secret.b, now);
	n = bytes(source, sizeof(source), "cases.", i, "mac_input");
	make_cookie(cookie, &c, source, n);
	is(cookie, sizeof(cookie), "cases.", i, "cookie");

	/* Without a cookie, mac2 is zero, and does not do. */
	bytes(msg, sizeof(msg), NULL, 0, "initiation");
	memset(msg + before_mac1(sizeof(msg)), 0x55, sizeof(struct kwgi_macs));
	kwgi_cookie_add_macs(&m, msg, sizeof(msg), now);
	is_plain(msg, sizeof(msg), "initiation");
	is_plain(m.last_mac1, sizeof(m.last_mac1), "mac1_of_initiation");
	ck_assert(kwgi_cookie_mac1_ok(&c, msg, sizeof(msg)));
	ck_assert(!kwgi_cookie_mac2_ok(&c, msg, sizeof(msg), source, n, now));

	bytes(nonce, sizeof(nonce), "cases.", i, "nonce");
	kwgi_cookie_create_reply(&reply, &c, msg, sizeof(msg), source, n, nonce);
	is(&reply, sizeof(reply), "cases.", i, "cookie_reply");

	/* Damaged: refused, and the right one is taken still; but only once. */
	reply.encrypted_cookie[3] ^= 1;
	ck_assert(!kwgi_cookie_consume_reply(&m, &reply, now));
	reply.encrypted_cookie[3] ^= 1;
	ck_assert(kwgi_cookie_consume_reply(&m, &reply, now));
	ck_assert(!kwgi_cookie_consume_reply(&m, &reply, now));
	kwgi_cookie_add_macs(&m, msg, sizeof(msg), now);
	is(msg, sizeof(msg), "cases.", i, "initiation_with_mac2");
	ck_assert(kwgi_cookie_mac2_ok(&c, msg, sizeof(msg), source, n, now));
	/* From another port it is no good. */
	source[n - 1] ^= 1;
	ck_assert(!kwgi_cookie_mac2_ok(&c, msg, sizeof(msg), source, n, now));
}
END_TEST

START_TEST(cookies_age)
{
	struct kwgi_key responder = cookie_key_of("responder_static_public");
	uint8_t msg[sizeof(struct kwgi_initiation)] = { 1 }, source[6] = { 0 }, random[32] = { 7 };
	uint64_t now = 1000 * KWGI_SECOND;
	struct kwgi_cookie_checker c = { .secret_until = 0 };
	struct kwgi_cookie_maker m = { .sent_mac1 = false };
	struct kwgi_cookie_reply reply;

	kwgi_cookie_keys(c.mac1_key, c.cookie_key, &responder);
	kwgi_cookie_keys(m.mac1_key, m.cookie_key, &responder);
	kwgi_cookie_renew(&c, random, now);
	kwgi_cookie_add_macs(&m, msg, sizeof(msg), now);
	kwgi_cookie_create_reply(&reply, &c, msg, sizeof(msg), source, sizeof(source), random);
	ck_assert(kwgi_cookie_consume_reply(&m, &reply, now));
	now += 115 * KWGI_SECOND;
	kwgi_cookie_add_macs(&m, msg, sizeof(msg), now - 1);
	ck_assert(!sodium_is_zero(msg + before_mac2(sizeof(msg)), KWGI_MAC_LEN));
	ck_assert(kwgi_cookie_mac2_ok(&c, msg, sizeof(msg), source, sizeof(source),
				      now + 5 * KWGI_SECOND - 1));
	ck_assert(!kwgi_cookie_mac2_ok(&c, msg, sizeof(msg), source, sizeof(source),
				       now + 5 * KWGI_SECOND));
	kwgi_cookie_add_macs(&m, msg, sizeof(msg), now + 1);
	ck_assert(sodium_is_zero(msg + before_mac2(sizeof(msg)), KWGI_MAC_LEN));
}
END_TEST

START_TEST(xaead)
{
	uint8_t k[32], nonce[24], aad[MAX_BYTES], text[MAX_BYTES], got[MAX_BYTES];
	const char *list = "xchacha20poly1305.";
	unsigned i = (unsigned)_i;
	size_t len, aad_len;

	bytes(k, sizeof(k), list, i, "key");
	bytes(nonce, sizeof(nonce), list, i, "nonce");
	aad_len = bytes(aad, sizeof(aad), list, i, "aad");
	len = bytes(text, sizeof(text), list, i, "plaintext");
	crypto_aead_xchacha20poly1305_ietf_encrypt(got, NULL, text, len, aad, aad_len, NULL, nonce,
						   k);
	is(got, len + KWGI_TAG_LEN, list, i, "ciphertext_tag");
}
END_TEST

/* ---- all ----------------------------------------------------------------------------------- */

static void handshakes_read(void)
{
	values_read("handshake.txt");
}

static void cookies_read(void)
{
	values_read("cookie.txt");
}

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, handshakes_read, values_free);
	tcase_add_loop_test(tc, every_step, 0, CASES);
	tcase_add_loop_test(tc, both_roles, 0, CASES);
	tcase_add_loop_test(tc, damaged_messages, 0, CASES);
	tcase_add_loop_test(tc, transport, 0, CASES);
	tcase_add_test(tc, curve_and_time);
	tcase_add_test(tc, zero_is_no_private_key);
}

static void add_cookies(TCase *tc)
{
	tcase_add_checked_fixture(tc, cookies_read, values_free);
	tcase_add_loop_test(tc, cookies, 0, COOKIES);
	tcase_add_test(tc, cookies_age);
	tcase_add_loop_test(tc, xaead, 0, XAEADS);
}

int main(void)
{
	Suite *s = suite_create("noise");
	TCase *tc = tcase_create("handshake"), *tc2 = tcase_create("cookie");
	SRunner *sr;
	int failed;

	add(tc);
	add_cookies(tc2);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, tc2);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
