/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * mac1, mac2 and cookies (WireGuard paper, sections 5.4.4, 5.4.7): who sends us
 * handshake messages has to know our public key, and under load also has to
 * receive at the address it claims.
 */
#ifndef KWGI_COOKIE_H
#define KWGI_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key.h"
#include "dp/messages.h"

/* Receiver's side, one per device. */
struct kwgi_cookie_checker {
	uint8_t mac1_key[32], cookie_key[32];	/* of our own public key */
	uint8_t secret[32];
	uint64_t secret_until;			/* 0: none drawn yet */
};

/* Sender's side, one per peer. */
struct kwgi_cookie_maker {
	uint8_t mac1_key[32], cookie_key[32];	/* of the peer's public key */
	uint8_t cookie[KWGI_COOKIE_LEN];
	uint8_t last_mac1[KWGI_MAC_LEN];
	uint64_t cookie_until;			/* 0: no cookie */
	bool sent_mac1;				/* and no reply to it has come */
};

/* The keys for messages to the owner of a public key. */
void kwgi_cookie_keys(uint8_t mac1_key[32], uint8_t cookie_key[32], const struct kwgi_key *pub);

/* Both take a whole handshake message, whose last 32 bytes are the macs. */
bool kwgi_cookie_mac1_ok(const struct kwgi_cookie_checker *c, const uint8_t *msg, size_t len);
/* source: address and port as the caller lays them out, the same way each time. */
bool kwgi_cookie_mac2_ok(const struct kwgi_cookie_checker *c, const uint8_t *msg, size_t len,
			 const uint8_t *source, size_t source_len, uint64_t now);

/* Is it time for 32 new random bytes by kwgi_cookie_renew()? */
bool kwgi_cookie_is_old(const struct kwgi_cookie_checker *c, uint64_t now);
void kwgi_cookie_renew(struct kwgi_cookie_checker *c, const uint8_t random[32], uint64_t now);

/* Answers a handshake message whose mac2 does not do; nonce: 24 random bytes. */
void kwgi_cookie_create_reply(struct kwgi_cookie_reply *out, const struct kwgi_cookie_checker *c,
			      const uint8_t *msg, size_t len, const uint8_t *source,
			      size_t source_len, const uint8_t nonce[KWGI_COOKIE_NONCE_LEN]);

/* Writes both macs at the end of a handshake message, and remembers mac1. */
void kwgi_cookie_add_macs(struct kwgi_cookie_maker *m, uint8_t *msg, size_t len, uint64_t now);

/* Takes the cookie of a reply; false if it does not answer our last message. */
bool kwgi_cookie_consume_reply(struct kwgi_cookie_maker *m, const struct kwgi_cookie_reply *msg,
			       uint64_t now);

#endif
