/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <sodium.h>

#include "unit.h"

/* base64 of 32 bytes of 0x01 and what is nearly that. */
static const struct {
	const char *text;
	bool ok;
} texts[] = {
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", true },
	{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true },
	{ "//////////////////////////////////////////8=", true },
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", false },	/* no padding */
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE==", false },
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQF=", false },	/* bits behind the end */
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQG=", false },
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", false },	/* 33 bytes */
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==", false },	/* 31 bytes */
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBA===", false },
	{ " QEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", false },
	{ "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n", false },
	{ "AQEBAQEBAQEBAQEBAQEBAQ\nBAQEBAQEBAQEBAQEBAQE=", false },
	{ "________________________________-_________8=", false },	/* base64url */
	{ "AQEBAQEBAQEBAQEBAQEBAQEB=QEBAQEBAQEBAQEBAQE=", false },
	{ "AQEBAQEBAQEBAQEBAQEBAQEB*QEBAQEBAQEBAQEBAQE=", false },
	{ "AQEBAQEBAQEBAQEBAQEBAQEB\xc3\xa4" "EBAQEBAQEBAQEBAQE=", false },
	{ "", false },
	{ "=", false },
	{ "0101010101010101010101010101010101010101010101010101010101010101", false },
};

START_TEST(parses_base64)
{
	char back[KWGI_KEY_TEXT];
	struct kwgi_key k, untouched = key(0xaa);
	size_t i;
	int ret;

	for (i = 0; i < N_OF(texts); i++) {
		k = untouched;
		ret = kwgi_key_parse(&k, texts[i].text);
		ck_assert_msg(!ret == texts[i].ok, "\"%s\": %d", texts[i].text, ret);
		if (ret)
			ck_assert_msg(kwgi_key_equal(&k, &untouched), "\"%s\"", texts[i].text);
		else
			ck_assert_str_eq(kwgi_key_format(back, &k), texts[i].text);
	}
}
END_TEST

#define HEX30 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d"

static const struct {
	const char *text;
	bool ok;
} hex_texts[] = {
	{ HEX30 "1e1f", true },
	{ HEX30 "1E1F", true },
	{ HEX30 "1e1", false },
	{ HEX30 "1e1f2", false },
	{ HEX30 "1e1f20", false },
	{ HEX30 "1e1g", false },
	{ HEX30 "1e:1f", false },
	{ HEX30 " e1f", false },
	{ HEX30 "1e1f\n", false },
	{ "", false },
};

START_TEST(parses_hex)
{
	char back[KWGI_KEY_HEX];
	struct kwgi_key k, untouched = key(0xaa);
	unsigned j;
	size_t i;
	int ret;

	for (i = 0; i < N_OF(hex_texts); i++) {
		k = untouched;
		ret = kwgi_key_parse_hex(&k, hex_texts[i].text);
		ck_assert_msg(!ret == hex_texts[i].ok, "\"%s\": %d", hex_texts[i].text, ret);
		if (ret) {
			ck_assert_msg(kwgi_key_equal(&k, &untouched), "\"%s\"", hex_texts[i].text);
			continue;
		}
		for (j = 0; j < KWGI_KEY_LEN; j++)
			ck_assert_uint_eq(k.b[j], j);
		ck_assert_str_eq(kwgi_key_format_hex(back, &k), HEX30 "1e1f");
	}
}
END_TEST

START_TEST(random_keys)
{
	char text[KWGI_KEY_TEXT], hex[KWGI_KEY_HEX];
	struct kwgi_key k, a, b;
	uint64_t seed = 7;
	unsigned i, j;

	for (i = 0; i < 2000; i++) {
		for (j = 0; j < KWGI_KEY_LEN; j++)
			k.b[j] = (uint8_t)random_u32(&seed);
		ck_assert_int_eq(kwgi_key_parse(&a, kwgi_key_format(text, &k)), 0);
		ck_assert_int_eq(kwgi_key_parse_hex(&b, kwgi_key_format_hex(hex, &k)), 0);
		ck_assert(kwgi_key_equal(&a, &k) && kwgi_key_equal(&b, &k));
		/* Any other last character before the padding is no canonical form. */
		text[42]++;
		ck_assert(kwgi_key_parse(&a, text));
	}
}
END_TEST

/* RFC 7748, 6.1: Alice and Bob. The last two: bits that clamping sets or clears do not count. */
static const struct {
	const char *private, *public;
} known[] = {
	{ "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	  "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a" },
	{ "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
	  "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f" },
	{ "70076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c6a",
	  "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a" },
	{ "58ab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e06b",
	  "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f" },
};

START_TEST(public_keys)
{
	struct kwgi_key private, public, clamped;
	char hex[KWGI_KEY_HEX];
	size_t i;

	for (i = 0; i < N_OF(known); i++) {
		ck_assert_int_eq(kwgi_key_parse_hex(&private, known[i].private), 0);
		ck_assert_int_eq(kwgi_key_public(&public, &private), 0);
		ck_assert_str_eq(kwgi_key_format_hex(hex, &public), known[i].public);
		clamped = private;
		kwgi_key_clamp(&clamped);
		ck_assert_uint_eq(clamped.b[0], private.b[0] & 0xf8u);
		ck_assert_uint_eq(clamped.b[31], (private.b[31] & 0x7fu) | 0x40u);
		ck_assert(!memcmp(clamped.b + 1, private.b + 1, 30));
		ck_assert_int_eq(kwgi_key_public(&public, &clamped), 0);
		ck_assert_str_eq(kwgi_key_format_hex(hex, &public), known[i].public);
	}
}
END_TEST

START_TEST(compares)
{
	struct kwgi_key zero = key(0), a = key(1), b = a;

	b.b[31]++;
	ck_assert(kwgi_key_is_zero(&zero) && !kwgi_key_is_zero(&a));
	ck_assert(kwgi_key_equal(&a, &a) && !kwgi_key_equal(&a, &b));
	ck_assert_int_lt(kwgi_key_cmp(&a, &b), 0);
	ck_assert_int_gt(kwgi_key_cmp(&b, &a), 0);
	ck_assert_int_eq(kwgi_key_cmp(&b, &b), 0);
	zero.b[31] = 0x80;
	ck_assert(!kwgi_key_is_zero(&zero));
}
END_TEST

/* x + n, little-endian. */
static struct kwgi_key plus(struct kwgi_key x, int n)
{
	unsigned i;

	for (i = 0; i < sizeof(x.b); i++) {
		n += x.b[i];
		x.b[i] = (uint8_t)(n & 255);
		n >>= 8;
	}
	return x;
}

static bool has_shared_secret(const struct kwgi_key *k)
{
	uint8_t secret[32];
	struct kwgi_key scalar = key(7);

	return !crypto_scalarmult_curve25519(secret, scalar.b, k->b) && !sodium_is_zero(secret, sizeof(secret));
}

/* Near 0, p and the points of order 8, with the last bit and without it; and any. */
START_TEST(low_order)
{
	struct kwgi_key bases[5] = { 0 }, k;
	unsigned i, n = 0;
	int j;

	memset(bases[1].b, 0xff, sizeof(bases[1].b));
	bases[1].b[0] = 0xed;
	bases[1].b[31] = 0x7f;
	ck_assert(!kwgi_key_parse_hex(&bases[2], "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"));
	ck_assert(!kwgi_key_parse_hex(&bases[3], "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"));
	randombytes_buf(&bases[4], sizeof(bases[4]));
	for (i = 0; i < 2 * N_OF(bases); i++) {
		for (j = -40; j <= 40; j++) {
			k = plus(bases[i / 2], j);
			k.b[31] = (uint8_t)((k.b[31] & 127) | (i % 2 << 7));
			ck_assert_int_eq(kwgi_key_is_low_order(&k), !has_shared_secret(&k));
			n += kwgi_key_is_low_order(&k);
		}
	}
	/* 0 to 1, p - 1 to p + 1, and two, each with both bits. Below 0 is above 2^255 - 40, where p is once more. */
	ck_assert_uint_ge(n, 14);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, low_order);
	tcase_add_test(tc, parses_base64);
	tcase_add_test(tc, parses_hex);
	tcase_add_test(tc, random_keys);
	tcase_add_test(tc, public_keys);
	tcase_add_test(tc, compares);
}

int main(void)
{
	return unit_run("key", add);
}
