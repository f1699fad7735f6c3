/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * All implementations of the AEAD against libsodium, on batches.
 *
 * Input: 32 bytes of key, then for each packet a byte that tells how it is damaged before it is
 * opened (0: not), two bytes of length, eight of counter, and the plaintext; what is missing is zeros.
 */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dp/aead.h"
#include "fuzz.h"

enum { MAX_PACKETS = 144, MAX_LEN = 4096 };

struct batch {
	struct kwgi_aead_packet v[MAX_PACKETS];
	uint8_t damage[MAX_PACKETS];
	unsigned n;
};

static void check(int truth)
{
	if (!truth)
		abort();
}

/* Each packet in memory of its own, so that the sanitizers see a byte too much. */
static uint8_t *room(uint32_t len)
{
	uint8_t *p = malloc(len + KWGI_AEAD_TAG);

	check(p != NULL);
	return p;
}

static void batch_read(struct batch *b, struct fuzz_input *in)
{
	struct kwgi_aead_packet *p;

	for (b->n = 0; b->n < MAX_PACKETS && in->left; b->n++) {
		p = &b->v[b->n];
		b->damage[b->n] = fuzz_u8(in);
		p->len = (uint32_t)(fuzz_uint(in, 2) % (MAX_LEN + 1));
		p->counter = fuzz_uint(in, 8);
		p->data = room(p->len);
		p->ok = false;
		fuzz_bytes(in, p->data, p->len);
		memset(p->data + p->len, 0x55, KWGI_AEAD_TAG);
	}
}

static void batch_copy(struct batch *to, const struct batch *from)
{
	unsigned i;

	*to = *from;
	for (i = 0; i < to->n; i++) {
		to->v[i].data = room(to->v[i].len);
		memcpy(to->v[i].data, from->v[i].data, to->v[i].len + KWGI_AEAD_TAG);
	}
}

static void batch_free(struct batch *b)
{
	unsigned i;

	for (i = 0; i < b->n; i++)
		free(b->v[i].data);
}

static void check_seal(const struct batch *a, const struct batch *b)
{
	unsigned i;

	for (i = 0; i < a->n; i++)
		check(!memcmp(a->v[i].data, b->v[i].data, a->v[i].len + KWGI_AEAD_TAG));
}

/* The damage of a packet is a bit from its end, so mostly in the tag. */
static unsigned damage(struct batch *b)
{
	unsigned i, good = 0;
	uint32_t bit;

	for (i = 0; i < b->n; i++) {
		bit = b->damage[i] % ((b->v[i].len + KWGI_AEAD_TAG) * 8);
		if (!b->damage[i])
			good++;
		else
			b->v[i].data[b->v[i].len + KWGI_AEAD_TAG - 1 - bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	return good;
}

static void check_open(const struct batch *opened, const struct batch *plain)
{
	const struct kwgi_aead_packet *p;
	unsigned i;

	for (i = 0; i < opened->n; i++) {
		p = &opened->v[i];
		check(p->ok == !opened->damage[i]);
		if (p->ok)
			check(!memcmp(p->data, plain->v[i].data, p->len));
	}
}

static void compare(const struct kwgi_aead *a, const uint8_t key[32], const struct batch *plain,
		    const struct batch *sealed)
{
	struct batch b;
	unsigned good;

	batch_copy(&b, plain);
	a->seal(key, b.v, b.n);
	check_seal(&b, sealed);
	good = damage(&b);
	check(a->open(key, b.v, b.n) == good);
	check_open(&b, plain);
	batch_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "sodium", "avx2", "avx512", "openssl" };
	struct fuzz_input in = { data, len };
	struct batch plain, sealed;
	uint8_t key[32];
	size_t i;

	check(sodium_init() >= 0);
	fuzz_bytes(&in, key, sizeof(key));
	batch_read(&plain, &in);
	batch_copy(&sealed, &plain);
	kwgi_aead_by_name("sodium")->seal(key, sealed.v, sealed.n);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (kwgi_aead_by_name(names[i]))
			compare(kwgi_aead_by_name(names[i]), key, &plain, &sealed);
	}
	batch_free(&plain);
	batch_free(&sealed);
	return 0;
}
