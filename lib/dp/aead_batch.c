/* SPDX-License-Identifier: ISC */
#include <sodium.h>

#include "dp/aead_batch.h"

#if defined(__x86_64__)

/* ---- Poly1305 of a short packet, in ordinary registers (RFC 8439 section 2.5) ---- */

__extension__ typedef unsigned __int128 u128;

struct scalar {
	uint64_t h0, h1, h2, r0, r1, r2, s1, s2;	/* s is 20 times r */
};

static const uint64_t M44 = (UINT64_C(1) << 44) - 1, M42 = (UINT64_C(1) << 42) - 1;

/* h = (h + block) * r; the limbs of h get at most a few bits too large. */
__attribute__((always_inline)) static inline void scalar_block(struct scalar *p, uint64_t lo, uint64_t hi)
{
	u128 d0, d1, d2;
	uint64_t c;

	p->h0 += lo & M44;
	p->h1 += (lo >> 44 | hi << 20) & M44;
	p->h2 += hi >> 24 | UINT64_C(1) << 40;
	d0 = (u128)p->h0 * p->r0 + (u128)p->h1 * p->s2 + (u128)p->h2 * p->s1;
	d1 = (u128)p->h0 * p->r1 + (u128)p->h1 * p->r0 + (u128)p->h2 * p->s2;
	d2 = (u128)p->h0 * p->r2 + (u128)p->h1 * p->r1 + (u128)p->h2 * p->r0;
	d1 += (uint64_t)(d0 >> 44);
	d2 += (uint64_t)(d1 >> 44);
	c = (uint64_t)(d2 >> 42) * 5 + ((uint64_t)d0 & M44);
	p->h0 = c & M44;
	p->h1 = ((uint64_t)d1 & M44) + (c >> 44);
	p->h2 = (uint64_t)d2 & M42;
}

__attribute__((noinline)) static void poly_short(const uint8_t key[32], const struct kwgi_aead_packet *v,
		       uint8_t tag[KWGI_AEAD_TAG])
{
	uint64_t lo = kwgi_aead_load64(key) & 0x0ffffffc0fffffff;
	uint64_t hi = kwgi_aead_load64(key + 8) & 0x0ffffffc0ffffffc;
	struct scalar p = { .r0 = lo & M44, .r1 = (lo >> 44 | hi << 20) & M44, .r2 = hi >> 24 };
	const uint8_t *data = v->data;
	uint32_t len = v->len;
	uint8_t last[16] = { 0 };

	p.s1 = p.r1 * 20;
	p.s2 = p.r2 * 20;
	for (; len >= 16; len -= 16, data += 16)
		scalar_block(&p, kwgi_aead_load64(data), kwgi_aead_load64(data + 8));
	if (len) {
		memcpy(last, data, len);
		scalar_block(&p, kwgi_aead_load64(last), kwgi_aead_load64(last + 8));
	}
	scalar_block(&p, 0, v->len);
	kwgi_aead_poly_finish(p.h0, p.h1, p.h2, key + 16, tag);
}

/* ---- batches ---- */

enum {
	/* A chunk's ciphertext is still in the first-level cache when its tags are computed. */
	CHUNK_BYTES = 20000,
	/* More than what the functions below use of the stack: kernel->poly, and all others. */
	DEEP_STACK = 4096, STACK = 1280,
};

struct batch {
	const struct kwgi_aead_kernel *kernel;
	const uint8_t *key;
	struct kwgi_aead_lanes lanes;
	unsigned rows;			/* of keys that were in use */
	bool deep;			/* kernel->poly was called */
	uint8_t keys[KWGI_AEAD_CHUNK][KWGI_AEAD_BLOCK] __attribute__((aligned(64)));
	uint8_t tags[KWGI_AEAD_CHUNK][KWGI_AEAD_TAG];
};

static void flush(struct batch *b)
{
	struct kwgi_aead_lanes *l = &b->lanes;
	unsigned i;

	if (!l->n)
		return;
	for (i = l->n; i < b->kernel->lanes; i++) {
		l->len[i] = 0;
		l->full = false;
	}
	b->kernel->chacha(b->key, l);
	l->n = 0;
	l->full = true;
}

/* Adds the key stream of a packet, from its block number block on, to len bytes of data. */
static void add_stream(struct batch *b, uint64_t counter, uint32_t block, uint8_t *data, uint32_t len)
{
	struct kwgi_aead_lanes *l = &b->lanes;
	uint32_t piece;

	for (; len; len -= piece, data += piece) {
		piece = len < KWGI_AEAD_BLOCK ? len : KWGI_AEAD_BLOCK;
		l->block[l->n] = block++;
		l->lo[l->n] = (uint32_t)counter;
		l->hi[l->n] = (uint32_t)(counter >> 32);
		l->data[l->n] = data;
		l->len[l->n] = piece;
		l->full &= piece == KWGI_AEAD_BLOCK;
		if (++l->n == b->kernel->lanes)
			flush(b);
	}
}

/* Few blocks are done before the powers of r would be there. */
static bool is_short(const struct kwgi_aead_kernel *kernel, const struct kwgi_aead_packet *v, unsigned n)
{
	uint64_t blocks = 0;
	unsigned i;

	for (i = 0; i < n; i++)
		blocks += kwgi_aead_poly_blocks(v[i].len);
	return blocks <= kernel->short_blocks;
}

static void make_tags(struct batch *b, const struct kwgi_aead_packet *v, unsigned n)
{
	const unsigned width = b->kernel->width;
	unsigned i, j, m;

	for (i = 0; i < n; i += width) {
		m = n - i < width ? n - i : width;
		if (is_short(b->kernel, v + i, m)) {
			for (j = i; j < i + m; j++)
				poly_short(b->keys[j], &v[j], b->tags[j]);
		} else {
			b->kernel->poly((const void *)(b->keys + i), v + i, m, b->tags + i);
			b->deep = true;
		}
	}
}

/* Key stream is added to what is there. */
static void clear_rows(struct batch *b, unsigned n)
{
	memset(b->keys, 0, n * sizeof(b->keys[0]));
	b->rows = b->rows < n ? n : b->rows;
}

static void seal_chunk(struct batch *b, struct kwgi_aead_packet *v, unsigned n)
{
	unsigned i;

	clear_rows(b, n);
	for (i = 0; i < n; i++) {
		add_stream(b, v[i].counter, 0, b->keys[i], KWGI_AEAD_BLOCK);
		add_stream(b, v[i].counter, 1, v[i].data, v[i].len);
	}
	flush(b);
	make_tags(b, v, n);
	for (i = 0; i < n; i++)
		memcpy(v[i].data + v[i].len, b->tags[i], KWGI_AEAD_TAG);
}

static bool authentic(const struct batch *b, struct kwgi_aead_packet *v, unsigned i)
{
	v[i].ok = !crypto_verify_16(b->tags[i], v[i].data + v[i].len);
	return v[i].ok;
}

static uint32_t stream_blocks(const struct kwgi_aead_packet *p)
{
	return (uint32_t)(((uint64_t)p->len + KWGI_AEAD_BLOCK - 1) / KWGI_AEAD_BLOCK);
}

static void add_bytes(uint8_t *data, const uint8_t *stream, uint32_t len)
{
	uint64_t x;

	for (; len >= 8; len -= 8, data += 8, stream += 8) {
		x = kwgi_aead_load64(data) ^ kwgi_aead_load64(stream);
		memcpy(data, &x, sizeof(x));
	}
	while (len--)
		*data++ ^= *stream++;
}

/*
 * Few blocks are made at once, as a second call of kernel->chacha takes as long as the first:
 * the key stream waits behind the keys until it is known whether the tag is right.
 */
static unsigned open_few(struct batch *b, struct kwgi_aead_packet *v, unsigned n)
{
	unsigned i, row = n, good = 0;

	for (i = 0; i < n; i++)
		add_stream(b, v[i].counter, 0, b->keys[i], KWGI_AEAD_BLOCK);
	for (i = 0; i < n; row += stream_blocks(&v[i]), i++)
		add_stream(b, v[i].counter, 1, b->keys[row], stream_blocks(&v[i]) * KWGI_AEAD_BLOCK);
	flush(b);
	make_tags(b, v, n);
	for (i = 0, row = n; i < n; row += stream_blocks(&v[i]), i++) {
		if (authentic(b, v, i)) {
			add_bytes(v[i].data, b->keys[row], v[i].len);
			good++;
		}
	}
	return good;
}

static unsigned open_many(struct batch *b, struct kwgi_aead_packet *v, unsigned n)
{
	unsigned i, good = 0;

	for (i = 0; i < n; i++)
		add_stream(b, v[i].counter, 0, b->keys[i], KWGI_AEAD_BLOCK);
	flush(b);
	make_tags(b, v, n);
	for (i = 0; i < n; i++) {
		if (authentic(b, v, i)) {
			add_stream(b, v[i].counter, 1, v[i].data, v[i].len);
			good++;
		}
	}
	flush(b);
	return good;
}

static unsigned open_chunk(struct batch *b, struct kwgi_aead_packet *v, unsigned n)
{
	uint64_t rows = n;
	unsigned i;

	for (i = 0; i < n; i++)
		rows += stream_blocks(&v[i]);
	if (rows <= b->kernel->few) {
		clear_rows(b, (unsigned)rows);
		return open_few(b, v, n);
	}
	clear_rows(b, n);
	return open_many(b, v, n);
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
 * Wipe what was left on the stack: the frames were where these are, as these are never inlined.
 */
__attribute__((noinline)) static void wipe_stack(void)
{
	uint8_t below[STACK];

	sodium_memzero(below, sizeof(below));
}

__attribute__((noinline)) static void wipe_deep_stack(void)
{
	uint8_t below[DEEP_STACK];

	sodium_memzero(below, sizeof(below));
}

static void batch_begin(struct batch *b, const struct kwgi_aead_kernel *kernel, const uint8_t *key)
{
	b->kernel = kernel;
	b->key = key;
	b->rows = 0;
	b->deep = false;
	b->lanes.n = 0;
	b->lanes.full = true;
}

static void batch_end(struct batch *b)
{
	sodium_memzero(b->keys, b->rows * sizeof(b->keys[0]));
	sodium_memzero(b->tags, b->rows * sizeof(b->tags[0]));
	if (b->deep)
		wipe_deep_stack();
	else
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
	batch_end(&b);
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
	batch_end(&b);
	return good;
}

#endif
