/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <sodium.h>

#include "base/stack.h"
#include "dp/blake2s.h"
#include "dp/cookie.h"

static void label_key(uint8_t out[32], const char label[8], const struct kwgi_key *pub)
{
	kwgi_hash(out, label, 8, pub->b, sizeof(pub->b));
}

void kwgi_cookie_keys(uint8_t mac1_key[32], uint8_t cookie_key[32], const struct kwgi_key *pub)
{
	label_key(mac1_key, "mac1----", pub);
	label_key(cookie_key, "cookie--", pub);
}

/* What mac1 covers, and then what mac2 covers. */
static size_t before_mac1(size_t len)
{
	return len - sizeof(struct kwgi_macs);
}

static size_t before_mac2(size_t len)
{
	return len - KWGI_MAC_LEN;
}

static void make_cookie(uint8_t out[KWGI_COOKIE_LEN], const struct kwgi_cookie_checker *c,
			const uint8_t *source, size_t source_len)
{
	kwgi_mac(out, c->secret, sizeof(c->secret), source, source_len);
}

bool kwgi_cookie_mac1_ok(const struct kwgi_cookie_checker *c, const uint8_t *msg, size_t len)
{
	uint8_t mac[KWGI_MAC_LEN];

	kwgi_mac(mac, c->mac1_key, sizeof(c->mac1_key), msg, before_mac1(len));
	return !sodium_memcmp(mac, msg + before_mac1(len), sizeof(mac));
}

bool kwgi_cookie_is_old(const struct kwgi_cookie_checker *c, uint64_t now)
{
	return now >= c->secret_until;
}

void kwgi_cookie_renew(struct kwgi_cookie_checker *c, const uint8_t random[32], uint64_t now)
{
	memcpy(c->secret, random, sizeof(c->secret));
	c->secret_until = now + COOKIE_SECRET_LIFETIME;
}

bool kwgi_cookie_mac2_ok(const struct kwgi_cookie_checker *c, const uint8_t *msg, size_t len,
			 const uint8_t *source, size_t source_len, uint64_t now)
{
	uint8_t cookie[KWGI_COOKIE_LEN], mac[KWGI_MAC_LEN];
	bool ok;

	if (kwgi_cookie_is_old(c, now))
		return false;
	make_cookie(cookie, c, source, source_len);
	kwgi_mac(mac, cookie, sizeof(cookie), msg, before_mac2(len));
	ok = !sodium_memcmp(mac, msg + before_mac2(len), sizeof(mac));
	sodium_memzero(cookie, sizeof(cookie));
	return ok;
}

void kwgi_cookie_create_reply(struct kwgi_cookie_reply *out, const struct kwgi_cookie_checker *c,
			      const uint8_t *msg, size_t len, const uint8_t *source,
			      size_t source_len, const uint8_t nonce[KWGI_COOKIE_NONCE_LEN])
{
	uint8_t cookie[KWGI_COOKIE_LEN];

	make_cookie(cookie, c, source, source_len);
	kwgi_put32(out->type, KWGI_MSG_COOKIE_REPLY);
	/* Initiation and response both have the sender index in their second word. */
	memcpy(out->receiver, msg + 4, sizeof(out->receiver));
	memcpy(out->nonce, nonce, sizeof(out->nonce));
	crypto_aead_xchacha20poly1305_ietf_encrypt(out->encrypted_cookie, NULL, cookie,
						   sizeof(cookie), msg + before_mac1(len),
						   KWGI_MAC_LEN, NULL, nonce, c->cookie_key);
	kwgi_stack_wipe(KWGI_STACK_AEAD);
	sodium_memzero(cookie, sizeof(cookie));
}

void kwgi_cookie_add_macs(struct kwgi_cookie_maker *m, uint8_t *msg, size_t len, uint64_t now)
{
	kwgi_mac(m->last_mac1, m->mac1_key, sizeof(m->mac1_key), msg, before_mac1(len));
	memcpy(msg + before_mac1(len), m->last_mac1, sizeof(m->last_mac1));
	m->sent_mac1 = true;
	if (now < m->cookie_until)
		kwgi_mac(msg + before_mac2(len), m->cookie, sizeof(m->cookie), msg,
			 before_mac2(len));
	else
		memset(msg + before_mac2(len), 0, KWGI_MAC_LEN);
}

bool kwgi_cookie_consume_reply(struct kwgi_cookie_maker *m, const struct kwgi_cookie_reply *msg,
			       uint64_t now)
{
	uint8_t cookie[KWGI_COOKIE_LEN];
	bool ok;

	if (!m->sent_mac1)
		return false;
	ok = !crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, msg->encrypted_cookie,
							 sizeof(msg->encrypted_cookie), m->last_mac1,
							 sizeof(m->last_mac1), msg->nonce,
							 m->cookie_key);
	kwgi_stack_wipe(KWGI_STACK_AEAD);
	if (!ok)
		return false;
	memcpy(m->cookie, cookie, sizeof(cookie));
	m->cookie_until = now + COOKIE_SECRET_LIFETIME - COOKIE_LATENCY;
	m->sent_mac1 = false;
	sodium_memzero(cookie, sizeof(cookie));
	return true;
}
