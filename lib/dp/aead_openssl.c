/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The AEAD of OpenSSL's libcrypto: the fastest for long single messages where there is no AVX-512. */
#include "dp/aead.h"

#ifdef KWG_WITH_OPENSSL

#include <limits.h>

#include <openssl/evp.h>
#include <sodium.h>

/* NULL without memory, or where libcrypto's configuration forbids the cipher. */
static EVP_CIPHER_CTX *context_new(const uint8_t key[32], int sealing)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	if (c && EVP_CipherInit_ex(c, EVP_chacha20_poly1305(), NULL, key, NULL, sealing) != 1) {
		EVP_CIPHER_CTX_free(c);
		c = NULL;
	}
	return c;
}

static bool seal_one(EVP_CIPHER_CTX *c, struct kwgi_aead_packet *p)
{
	uint8_t nonce[12];
	int n;

	kwgi_aead_nonce(nonce, p->counter);
	return p->len <= INT_MAX && EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, 1) == 1 &&
	       EVP_CipherUpdate(c, p->data, &n, p->data, (int)p->len) == 1 &&
	       EVP_CipherFinal_ex(c, p->data + p->len, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, KWGI_AEAD_TAG, p->data + p->len) == 1;
}

/* libcrypto decrypts before it knows whether the tag is right. */
static bool open_one(EVP_CIPHER_CTX *c, struct kwgi_aead_packet *p)
{
	uint8_t nonce[12];
	int n;

	kwgi_aead_nonce(nonce, p->counter);
	if (p->len <= INT_MAX && EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, 0) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, KWGI_AEAD_TAG, p->data + p->len) == 1 &&
	    EVP_CipherUpdate(c, p->data, &n, p->data, (int)p->len) == 1 &&
	    EVP_CipherFinal_ex(c, p->data + p->len, &n) == 1)
		return true;
	sodium_memzero(p->data, p->len);
	return false;
}

static void seal(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	EVP_CIPHER_CTX *c = context_new(key, 1);
	unsigned i;

	if (!c) {
		kwgi_aead_by_name("sodium")->seal(key, v, n);
		return;
	}
	for (i = 0; i < n; i++) {
		/* Nothing may go out in the clear: not even where libcrypto fails, which it does not. */
		if (!seal_one(c, &v[i]))
			sodium_memzero(v[i].data, v[i].len + (size_t)KWGI_AEAD_TAG);
	}
	EVP_CIPHER_CTX_free(c);
}

static unsigned open(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	EVP_CIPHER_CTX *c = context_new(key, 0);
	unsigned i, good = 0;

	if (!c)
		return kwgi_aead_by_name("sodium")->open(key, v, n);
	for (i = 0; i < n; i++) {
		v[i].ok = open_one(c, &v[i]);
		good += v[i].ok;
	}
	EVP_CIPHER_CTX_free(c);
	return good;
}

const struct kwgi_aead kwgi_aead_openssl = { "openssl", seal, open };

#endif
