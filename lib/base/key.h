/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* WireGuard keys: 32 bytes, base64 with padding in text. */
#ifndef KWGI_KEY_H
#define KWGI_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { KWGI_KEY_LEN = 32, KWGI_KEY_TEXT = 45, KWGI_KEY_HEX = 65 };

struct kwgi_key {
	uint8_t b[KWGI_KEY_LEN];
};

/* Strict: 44 characters, canonical padding. Constant time in the key's bytes. 0 or -1. */
int kwgi_key_parse(struct kwgi_key *out, const char *s);
int kwgi_key_parse_hex(struct kwgi_key *out, const char *s);
char *kwgi_key_format(char out[KWGI_KEY_TEXT], const struct kwgi_key *k);
char *kwgi_key_format_hex(char out[KWGI_KEY_HEX], const struct kwgi_key *k);
bool kwgi_key_is_zero(const struct kwgi_key *k);
/* A public key with which nobody gets a shared secret: Curve25519 points of low order. Not constant time. */
bool kwgi_key_is_low_order(const struct kwgi_key *k);
/* Constant time. */
bool kwgi_key_equal(const struct kwgi_key *a, const struct kwgi_key *b);
/* Order of public keys; not constant time. */
int kwgi_key_cmp(const struct kwgi_key *a, const struct kwgi_key *b);
/* RFC 7748 section 5: clears and sets the bits that make it a valid scalar. */
void kwgi_key_clamp(struct kwgi_key *k);
/* Clamps (RFC 7748 section 5) and multiplies with the base point. 0, or -1 for a key without public key. */
int kwgi_key_public(struct kwgi_key *pub, const struct kwgi_key *priv);
void kwgi_buf_key(struct kwgi_buf *b, const struct kwgi_key *k);

#endif
