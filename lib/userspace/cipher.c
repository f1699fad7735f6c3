/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "userspace/cipher.h"

enum { PACKETS = 16, LEN = 1420, TURNS = 8 };

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The least time of some turns: what disturbs only adds. There is nothing secret in it. */
static uint64_t trial(const struct kwgi_aead *a)
{
	static const uint8_t key[32] = { 0 };
	uint8_t room[PACKETS][LEN + KWGI_AEAD_TAG];
	struct kwgi_aead_packet v[PACKETS];
	uint64_t least = UINT64_MAX, began, took;
	unsigned i, turn;

	memset(room, 0, sizeof(room));
	for (i = 0; i < PACKETS; i++)
		v[i] = (struct kwgi_aead_packet){ .data = room[i], .len = LEN, .counter = i };
	for (turn = 0; turn < TURNS; turn++) {
		began = now_ns();
		a->seal(key, v, PACKETS);
		took = now_ns() - began;
		least = took < least ? took : least;
	}
	return least;
}

static const struct kwgi_aead *fastest(void)
{
	static const char *const names[] = { "sodium", "avx2", "avx512", "neon", "openssl" };
	const struct kwgi_aead *best = NULL, *a;
	uint64_t least = UINT64_MAX, took;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		a = kwgi_aead_by_name(names[i]);
		took = a ? trial(a) : UINT64_MAX;
		if (took < least) {
			least = took;
			best = a;
		}
	}
	return best;
}

const struct kwgi_aead *kwgi_cipher_choose(const char *name)
{
	if (!name)
		return kwgi_aead_best();
	return strcmp(name, "auto") ? kwgi_aead_by_name(name) : fastest();
}
