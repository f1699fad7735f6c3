/* SPDX-License-Identifier: ISC */
#include <sodium.h>

#include "dp/aead_batch.h"

enum {
	/* A chunk's ciphertext is still in the first-level cache when its tags are computed. */
	CHUNK_BYTES = 20000,
	/* More than what the kernels use of the stack. */
	STACK_BYTES = 4096,
};

struct batch {
	const struct kwgi_aead_kernel *kernel;
	const uint8_t *key;
	struct kwgi_aead_lanes lanes;
	unsigned used;			/* lanes */
	uint8_t keys[KWGI_AEAD_CHUNK][KWGI_AEAD_BLOCK] __attribute__((aligned(64)));
	uint8_t tags[KWGI_AEAD_CHUNK][KWGI_AEAD_TAG];
};

static void flush(struct batch *b)
{
	struct kwgi_aead_lanes *l = &b->lanes;

	if (!b->used)
		return;
	for (; b->used < b->kernel->lanes; b->used++) {
		l->len[b->used] = 0;
		l->full = false;
	}
	b->kernel->chacha(b->key, l);
	b->used = 0;
	l->full = true;
}

/* Adds the key stream of a packet, from its block number block on, to len bytes of data. */
static void add_stream(struct batch *b, uint64_t counter, uint32_t block, uint8_t *data, uint32_t len)
{
	struct kwgi_aead_lanes *l = &b->lanes;
	uint32_t piece;

	for (; len; len -= piece, data += piece) {
		piece = len < KWGI_AEAD_BLOCK ? len : KWGI_AEAD_BLOCK;
		l->block[b->used] = block++;
		l->lo[b->used] = (uint32_t)counter;
		l->hi[b->used] = (uint32_t)(counter >> 32);
		l->data[b->used] = data;
		l->len[b->used] = piece;
		l->full &= piece == KWGI_AEAD_BLOCK;
		if (++b->used == b->kernel->lanes)
			flush(b);
	}
}

static void seal_chunk(struct batch *b, struct kwgi_aead_packet *v, unsigned n)
{
	unsigned i;

	memset(b->keys, 0, n * sizeof(b->keys[0]));
	for (i = 0; i < n; i++) {
		add_stream(b, v[i].counter, 0, b->keys[i], KWGI_AEAD_BLOCK);
		add_stream(b, v[i].counter, 1, v[i].data, v[i].len);
	}
	flush(b);
	b->kernel->poly(b->keys, v, n, b->tags);
	for (i = 0; i < n; i++)
		memcpy(v[i].data + v[i].len, b->tags[i], KWGI_AEAD_TAG);
}

static unsigned open_chunk(struct batch *b, struct kwgi_aead_packet *v, unsigned n)
{
	unsigned i, good = 0;

	memset(b->keys, 0, n * sizeof(b->keys[0]));
	for (i = 0; i < n; i++)
		add_stream(b, v[i].counter, 0, b->keys[i], KWGI_AEAD_BLOCK);
	flush(b);
	b->kernel->poly(b->keys, v, n, b->tags);
	for (i = 0; i < n; i++) {
		v[i].ok = !crypto_verify_16(b->tags[i], v[i].data + v[i].len);
		if (v[i].ok)
			add_stream(b, v[i].counter, 1, v[i].data, v[i].len);
		good += v[i].ok;
	}
	flush(b);
	return good;
}

/* How many of n packets make the next chunk: one at least. */
static unsigned chunk_length(const struct kwgi_aead_packet *v, unsigned n)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < n && i < KWGI_AEAD_CHUNK; i++) {
		bytes += v[i].len;
		if (i && bytes > CHUNK_BYTES)
			break;
	}
	return i;
}

/*
 * Wipes what the kernels left on the stack: their frames were where this one is. It is never
 * inlined, so that its frame begins where theirs did.
 */
__attribute__((noinline)) static void wipe_stack(void)
{
	uint8_t below[STACK_BYTES];

	sodium_memzero(below, sizeof(below));
}

static void batch_begin(struct batch *b, const struct kwgi_aead_kernel *kernel, const uint8_t *key)
{
	b->kernel = kernel;
	b->key = key;
	b->used = 0;
	b->lanes.full = true;
}

/* n is the number of packets that had a key in here, CHUNK at most. */
static void batch_end(struct batch *b, unsigned n)
{
	n = n < KWGI_AEAD_CHUNK ? n : KWGI_AEAD_CHUNK;
	sodium_memzero(b->keys, n * sizeof(b->keys[0]));
	sodium_memzero(b->tags, n * sizeof(b->tags[0]));
	wipe_stack();
}

void kwgi_aead_batch_seal(const struct kwgi_aead_kernel *kernel, const uint8_t key[32],
			  struct kwgi_aead_packet *v, unsigned n)
{
	struct batch b;
	unsigned i, piece;

	batch_begin(&b, kernel, key);
	for (i = 0; i < n; i += piece) {
		piece = chunk_length(v + i, n - i);
		seal_chunk(&b, v + i, piece);
	}
	batch_end(&b, n);
}

unsigned kwgi_aead_batch_open(const struct kwgi_aead_kernel *kernel, const uint8_t key[32],
			      struct kwgi_aead_packet *v, unsigned n)
{
	struct batch b;
	unsigned i, piece, good = 0;

	batch_begin(&b, kernel, key);
	for (i = 0; i < n; i += piece) {
		piece = chunk_length(v + i, n - i);
		good += open_chunk(&b, v + i, piece);
	}
	batch_end(&b, n);
	return good;
}
