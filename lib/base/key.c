/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <sodium.h>

#include "base/key.h"
#include "base/stack.h"

/* libsodium 1.0.18 takes some bytes above 127 for base64 letters. */
static bool is_ascii(const char *s)
{
	unsigned char seen = 0;

	for (; *s; s++)
		seen |= (unsigned char)*s;
	return !(seen & 0x80);
}

int kwgi_key_parse(struct kwgi_key *out, const char *s)
{
	struct kwgi_key k;
	size_t len;
	int ret = -1;

	if (strlen(s) == KWGI_KEY_TEXT - 1 && is_ascii(s) &&
	    !sodium_base642bin(k.b, sizeof(k.b), s, KWGI_KEY_TEXT - 1, NULL, &len, NULL,
			       sodium_base64_VARIANT_ORIGINAL) &&
	    len == sizeof(k.b)) {
		*out = k;
		ret = 0;
	}
	sodium_memzero(&k, sizeof(k));
	return ret;
}

int kwgi_key_parse_hex(struct kwgi_key *out, const char *s)
{
	struct kwgi_key k;
	size_t len;
	int ret = -1;

	if (strlen(s) == KWGI_KEY_HEX - 1 &&
	    !sodium_hex2bin(k.b, sizeof(k.b), s, KWGI_KEY_HEX - 1, NULL, &len, NULL) &&
	    len == sizeof(k.b)) {
		*out = k;
		ret = 0;
	}
	sodium_memzero(&k, sizeof(k));
	return ret;
}

char *kwgi_key_format(char out[KWGI_KEY_TEXT], const struct kwgi_key *k)
{
	return sodium_bin2base64(out, KWGI_KEY_TEXT, k->b, sizeof(k->b),
				 sodium_base64_VARIANT_ORIGINAL);
}

char *kwgi_key_format_hex(char out[KWGI_KEY_HEX], const struct kwgi_key *k)
{
	return sodium_bin2hex(out, KWGI_KEY_HEX, k->b, sizeof(k->b));
}

bool kwgi_key_is_zero(const struct kwgi_key *k)
{
	return sodium_is_zero(k->b, sizeof(k->b));
}

/*
 * The coordinates of all points of order 1, 2, 4 and 8 on the curve and its twist, in all
 * their encodings below 2^255: 0, 1 and -1 modulo p = 2^255 - 19, the two of order 8, and
 * p and p + 1, which are 0 and 1 once more. RFC 7748 section 5 takes no notice of the last
 * bit; section 6.1 has what comes of these points.
 */
bool kwgi_key_is_low_order(const struct kwgi_key *k)
{
	enum { P_LOW = 0xed };		/* of p, which has 0xff in all others, but for the last */
	static const uint8_t order_8[2][KWGI_KEY_LEN] = {
		{ 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f,
		  0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16,
		  0x5f, 0x49, 0xb8, 0x00 },
		{ 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83,
		  0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd,
		  0xd0, 0x9f, 0x11, 0x57 },
	};
	uint8_t low = k->b[0], last = k->b[KWGI_KEY_LEN - 1] & 127, between_or = 0, between_and = 0xff;
	unsigned i;

	for (i = 1; i < KWGI_KEY_LEN - 1; i++) {
		between_or |= k->b[i];
		between_and &= k->b[i];
	}
	if (!between_or && !last)
		return low <= 1;
	if (between_and == 0xff && last == 127)
		return low >= P_LOW - 1 && low <= P_LOW + 1;
	for (i = 0; i < 2; i++)
		if (!memcmp(k->b, order_8[i], KWGI_KEY_LEN - 1) && last == order_8[i][KWGI_KEY_LEN - 1])
			return true;
	return false;
}

bool kwgi_key_equal(const struct kwgi_key *a, const struct kwgi_key *b)
{
	return !sodium_memcmp(a->b, b->b, sizeof(a->b));
}

int kwgi_key_cmp(const struct kwgi_key *a, const struct kwgi_key *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

void kwgi_key_clamp(struct kwgi_key *k)
{
	k->b[0] &= 248;
	k->b[31] = (uint8_t)((k->b[31] & 127) | 64);
}

int kwgi_key_public(struct kwgi_key *pub, const struct kwgi_key *priv)
{
	int ret = crypto_scalarmult_base(pub->b, priv->b) ? -1 : 0;

	kwgi_stack_wipe(KWGI_STACK_CURVE);
	return ret;
}

void kwgi_buf_key(struct kwgi_buf *b, const struct kwgi_key *k)
{
	char text[KWGI_KEY_TEXT];

	kwgi_buf_puts(b, kwgi_key_format(text, k));
	sodium_memzero(text, sizeof(text));
}
