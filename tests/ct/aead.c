/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Constant time, checked by valgrind's memcheck: keys and plaintext are marked as not initialised, and
 * it then tells of every branch and every address that depends on them (A. Langley's ctgrind,
 * 2010). tests/ct/aead.sh runs this. valgrind does not know AVX-512, so that is not checked.
 *
 * aead NAME: seals (and opens) with this implementation. aead control: does what must be found.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>

/* Whether a tag was right is no secret. The batch code is compiled into this program with that. */
static int public_verify(const unsigned char *a, const unsigned char *b)
{
	int ret = crypto_verify_16(a, b);

	VALGRIND_MAKE_MEM_DEFINED(&ret, sizeof(ret));
	return ret;
}

#define crypto_verify_16 public_verify
#include "dp/aead_batch.c"
#undef crypto_verify_16
#include "dp/aead.h"

enum { PACKETS = 21, ROOM = 2048 };

static void secret(void *p, size_t len)
{
	VALGRIND_MAKE_MEM_UNDEFINED(p, len);
}

static void public(void *p, size_t len)
{
	VALGRIND_MAKE_MEM_DEFINED(p, len);
}

static int control(uint8_t *key)
{
	secret(key, 32);
	if (key[5] == 7)
		puts("seven");
	return EXIT_SUCCESS;
}

/* A lone packet, few, and a batch; short and long ones. libsodium branches on its own verdict. */
static int run(const struct kwgi_aead *a, const uint8_t key[32], bool open)
{
	static uint8_t data[PACKETS][ROOM];
	static const unsigned counts[] = { 1, 3, PACKETS };
	struct kwgi_aead_packet v[PACKETS];
	unsigned c, n, i, good = 0;

	for (c = 0; c < 3; c++) {
		n = counts[c];
		for (i = 0; i < n; i++) {
			v[i] = (struct kwgi_aead_packet){ .data = data[i], .len = i * 97 % (ROOM - 16),
							  .counter = i };
			secret(data[i], v[i].len);
		}
		a->seal(key, v, n);
		for (i = 0; i < n; i++)
			public(data[i], v[i].len + 16);
		if (open && a->open(key, v, n) != n)
			return EXIT_FAILURE;
		good += n;
	}
	printf("%s: %u packets\n", a->name, good);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct kwgi_aead *a;
	uint8_t key[32] = { 1, 2, 3 };

	if (argc != 2 || sodium_init() < 0)
		return EXIT_FAILURE;
	if (!RUNNING_ON_VALGRIND) {
		printf("not under valgrind\n");
		return EXIT_FAILURE;
	}
	if (!strcmp(argv[1], "control"))
		return control(key);
	a = kwgi_aead_by_name(argv[1]);
	if (!a) {
		printf("not possible on the CPU that valgrind shows\n");
		return 77;
	}
	secret(key, sizeof(key));
	return run(a, key, strcmp(argv[1], "sodium") != 0);
}

#else

int main(void)
{
	printf("valgrind/memcheck.h was missing when this was built\n");
	return 77;
}

#endif
