/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Which implementations of the AEAD there are, and the one that is always there. */
#include <string.h>

#include <sodium.h>

#include "base/stack.h"
#include "dp/aead.h"
#include "dp/poly.h"

static void sodium_seal(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	uint8_t nonce[12];
	unsigned i;

	for (i = 0; i < n; i++) {
		kwgi_aead_nonce(nonce, v[i].counter);
		crypto_aead_chacha20poly1305_ietf_encrypt_detached(v[i].data, v[i].data + v[i].len, NULL,
								   v[i].data, v[i].len, NULL, 0, NULL,
								   nonce, key);
	}
	kwgi_stack_wipe(KWGI_STACK_AEAD);
}

/* libsodium compares the tag first; where it is wrong, it writes zeros for a plaintext. */
static unsigned sodium_open(const uint8_t key[32], struct kwgi_aead_packet *v, unsigned n)
{
	uint8_t nonce[12];
	unsigned i, good = 0;

	for (i = 0; i < n; i++) {
		kwgi_aead_nonce(nonce, v[i].counter);
		v[i].ok = !crypto_aead_chacha20poly1305_ietf_decrypt_detached(v[i].data, NULL, v[i].data,
									      v[i].len,
									      v[i].data + v[i].len,
									      NULL, 0, nonce, key);
		good += v[i].ok;
	}
	kwgi_stack_wipe(KWGI_STACK_AEAD);
	return good;
}

static const struct kwgi_aead sodium = { "sodium", sodium_seal, sodium_open };

/* __builtin_cpu_supports() also asks whether the operating system saves the registers. */
static const struct kwgi_aead *avx2(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
		return &kwgi_aead_avx2;
#endif
	return NULL;
}

static const struct kwgi_aead *avx512(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("bmi2"))
		return &kwgi_aead_avx512;
#endif
	return NULL;
}

static const struct kwgi_aead *neon(void)
{
#if KWGI_AEAD_NEON
	return &kwgi_aead_neon;
#else
	return NULL;
#endif
}

static const struct kwgi_aead *openssl(void)
{
#ifdef KWG_WITH_OPENSSL
	return &kwgi_aead_openssl;
#else
	return NULL;
#endif
}

const struct kwgi_aead *kwgi_aead_best(void)
{
	const struct kwgi_aead *a = avx512();

	if (!a)
		a = avx2();
	if (!a)
		a = neon();
	return a ? a : &sodium;
}

const struct kwgi_aead *kwgi_aead_by_name(const char *name)
{
	if (!strcmp(name, "sodium"))
		return &sodium;
	if (!strcmp(name, "avx2"))
		return avx2();
	if (!strcmp(name, "avx512"))
		return avx512();
	if (!strcmp(name, "neon"))
		return neon();
	return strcmp(name, "openssl") ? NULL : openssl();
}
