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
