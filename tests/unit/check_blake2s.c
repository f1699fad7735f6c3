/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* BLAKE2s, HMAC and KDF: known answers. */
#include "dp/blake2s.h"
#include "vectors.h"

enum { MAX_BYTES = 256 };

static void is_hex(const uint8_t *got, size_t len, const char *want)
{
	char hex[2 * KWGI_HASH_LEN + 1];

	ck_assert_str_eq(sodium_bin2hex(hex, sizeof(hex), got, len), want);
}

static void one_hash(char *w[])
{
	uint8_t in[MAX_BYTES], out[KWGI_HASH_LEN];
	size_t len = vectors_hex(in, sizeof(in), w[1]), cut;

	for (cut = 0; cut <= len; cut++) {
		kwgi_hash(out, cut ? in : NULL, cut, cut < len ? in + cut : NULL, len - cut);
		is_hex(out, sizeof(out), w[2]);
	}
}

static void one_mac(char *w[])
{
	uint8_t key[MAX_BYTES], in[MAX_BYTES], out[KWGI_MAC_LEN];
	size_t keylen = vectors_hex(key, sizeof(key), w[1]);

	kwgi_mac(out, key, keylen, in, vectors_hex(in, sizeof(in), w[2]));
	is_hex(out, sizeof(out), w[3]);
}

static void one_hmac(char *w[])
{
	uint8_t key[MAX_BYTES], in[MAX_BYTES], out[KWGI_HASH_LEN];
	size_t keylen = vectors_hex(key, sizeof(key), w[1]);

	kwgi_hmac(out, key, keylen, in, vectors_hex(in, sizeof(in), w[2]));
	is_hex(out, sizeof(out), w[3]);
}

static void one_kdf(char *w[])
{
	uint8_t key[MAX_BYTES], in[MAX_BYTES], out[3][KWGI_HASH_LEN];
	size_t len = vectors_hex(in, sizeof(in), w[2]);

	vectors_hex(key, sizeof(key), w[1]);
	kwgi_kdf3(out[0], out[1], out[2], key, in, len);
	is_hex(out[0], KWGI_HASH_LEN, w[3]);
	is_hex(out[1], KWGI_HASH_LEN, w[4]);
	is_hex(out[2], KWGI_HASH_LEN, w[5]);
	kwgi_kdf3(NULL, NULL, out[0], key, in, len);
	is_hex(out[0], KWGI_HASH_LEN, w[5]);
	kwgi_kdf2(out[1], out[2], key, in, len);
	is_hex(out[1], KWGI_HASH_LEN, w[3]);
	is_hex(out[2], KWGI_HASH_LEN, w[4]);
	kwgi_kdf2(NULL, out[0], key, in, len);
	is_hex(out[0], KWGI_HASH_LEN, w[4]);
	/* As a chaining key is used. */
	kwgi_kdf1(key, key, in, len);
	is_hex(key, KWGI_HASH_LEN, w[3]);
}

START_TEST(known_answers)
{
	FILE *f = vectors_open("blake2s.txt");
	char line[4096], *w[6];
	int n, lines = 0;

	while ((n = vectors_words(f, line, sizeof(line), w, 6))) {
		if (!strcmp(w[0], "hash"))
			one_hash(w);
		else if (!strcmp(w[0], "mac"))
			one_mac(w);
		else if (!strcmp(w[0], "hmac"))
			one_hmac(w);
		else if (!strcmp(w[0], "kdf"))
			one_kdf(w);
		else
			ck_abort_msg("unknown: %s", w[0]);
		lines++;
	}
	fclose(f);
	ck_assert_int_ge(lines, 10);
}
END_TEST

/* RFC 7693, appendix B: "abc" with BLAKE2s-256. */
START_TEST(rfc_7693)
{
	uint8_t out[KWGI_HASH_LEN];

	kwgi_hash(out, "a", 1, "bc", 2);
	is_hex(out, sizeof(out), "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}
END_TEST

/* RFC 2104: a key longer than a block stands for its hash; a short one for itself and zeros. */
START_TEST(hmac_key_lengths)
{
	uint8_t key[65] = { 1, 2, 3 }, hashed[KWGI_HASH_LEN], a[KWGI_HASH_LEN], b[KWGI_HASH_LEN];

	kwgi_hash(hashed, key, 65, NULL, 0);
	kwgi_hmac(a, key, 65, "x", 1);
	kwgi_hmac(b, hashed, sizeof(hashed), "x", 1);
	ck_assert_mem_eq(a, b, sizeof(a));
	kwgi_hmac(a, key, 64, "x", 1);
	kwgi_hmac(b, key, 3, "x", 1);
	ck_assert_mem_eq(a, b, sizeof(a));
	kwgi_hmac(b, key, 65, "x", 1);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, known_answers);
	tcase_add_test(tc, rfc_7693);
	tcase_add_test(tc, hmac_key_lengths);
}

int main(void)
{
	return unit_run("blake2s", add);
}
