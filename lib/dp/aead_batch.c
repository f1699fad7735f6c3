/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <sodium.h>

#include "dp/aead_batch.h"

#if KWGI_AEAD_BATCH

/* ---- Poly1305 of one packet, in ordinary registers ---- */

/* The blocks that are left, what is behind the last whole one, and the lengths. */
static void poly_end(struct kwgi_poly *p, const uint8_t key[32], uint64_t len, uint8_t tag[KWGI_AEAD_TAG])
{
	uint8_t last[16] = { 0 }, lengths[16] = { 0 };
	struct kwgi_poly_sum h = p->h;

	for (; p->blocks; p->blocks--, p->data += 16)
		kwgi_poly_block(&h, &p->r, p->data);
	if (len % 16) {
		memcpy(last, p->data, len % 16);
		kwgi_poly_block(&h, &p->r, last);
	}
	memcpy(lengths + 8, &len, sizeof(len));
	kwgi_poly_block(&h, &p->r, lengths);
	kwgi_poly_finish(h, key + 16, tag);
}

__attribute__((noinline)) static void poly_short(const uint8_t key[32], const struct kwgi_aead_packet *v,
		       uint8_t tag[KWGI_AEAD_TAG])
{
	struct kwgi_poly p = kwgi_poly_begin(key, v->data, v->len / 16);

	poly_end(&p, key, v->len, tag);
}

/* A pair advances as far as both have blocks, while the vectors have nothing to do. */
static void advance_alone(struct kwgi_poly_pair *pair)
{
	const struct kwgi_poly *p = pair->p;
	struct kwgi_poly_sum h[2] = { p[0].h, p[1].h };
	uint32_t n = kwgi_poly_pair_blocks(pair), i;

	for (i = 0; i < n; i++) {
		kwgi_poly_block(&h[0], &p[0].r, p[0].data + 16 * (size_t)i);
		kwgi_poly_block(&h[1], &p[1].r, p[1].data + 16 * (size_t)i);
	}
	kwgi_poly_pair_advance(pair, h, n);
}

#if KWGI_AEAD_NEON
void kwgi_aead_poly_two(const uint8_t (*keys)[KWGI_AEAD_BLOCK], const struct kwgi_aead_packet *v,
			unsigned n, uint8_t (*tags)[KWGI_AEAD_TAG])
{
	struct kwgi_poly_pair pair;
	unsigned i;

	if (n < 2) {
		poly_short(keys[0], &v[0], tags[0]);
		return;
	}
	for (i = 0; i < 2; i++)
		pair.p[i] = kwgi_poly_begin(keys[i], v[i].data, v[i].len / 16);
	advance_alone(&pair);
	for (i = 0; i < 2; i++)
		poly_end(&pair.p[i], keys[i], v[i].len, tags[i]);
}
#endif

/* ---- batches ---- */

enum {
	/* Packets as long as that on average are authenticated while others are ciphered. */
	LONG = 512,
	/* But the first ones of those to be opened by kernel->poly: they make work for the vectors. */
	LEAD = 3,
	AHEAD = KWGI_AEAD_LANES,	/* packets that have a key before the first of them is opened */
	NONE = KWGI_AEAD_CHUNK,		/* no packet */
	/* More than what the functions below use of the stack: kernel->poly, and all others. */
	DEEP_STACK = 4096, STACK = 1536,
};

_Static_assert((int)AHEAD <= (int)KWGI_AEAD_CHUNK, "keys that are ahead have room");

struct batch {
	const struct kwgi_aead_kernel *kernel;
	/* The chunk, and what is known of its packets, all from the first on. */
	struct kwgi_aead_packet *v;
	unsigned n;
	unsigned streamed;		/* the lanes have been given their key stream */
	unsigned given;			/* and all that Poly1305 needs of them: key and ciphertext */
	unsigned ready;			/* that is there */
	unsigned next;			/* they have a tag, or the pair is at them */
	bool meanwhile;			/* the pair is used */
	struct kwgi_poly_pair pair;
	unsigned at[2];			/* the packets of the pair, or NONE */
	struct kwgi_aead_lanes lanes;
	/* Of packets whose last block is shorter: where it is, and the key stream for it. */
	struct { uint8_t *data; uint32_t len; } rest[KWGI_AEAD_LANES];
	unsigned rests;
	uint8_t streams[KWGI_AEAD_LANES][KWGI_AEAD_BLOCK] __attribute__((aligned(64)));
	unsigned rows;			/* of keys that were in use */
	bool deep;			/* kernel->poly was called */
	uint8_t keys[KWGI_AEAD_CHUNK][KWGI_AEAD_BLOCK] __attribute__((aligned(64)));
	uint8_t tags[KWGI_AEAD_CHUNK][KWGI_AEAD_TAG];
};

/* One side of the pair has done its packet, or does it to the end now. */
static void end_side(struct batch *b, unsigned side)
{
	unsigned i = b->at[side];

	if (i == NONE)
		return;
	poly_end(&b->pair.p[side], b->keys[i], b->v[i].len, b->tags[i]);
	b->at[side] = NONE;
}

/*
 * Each side of the pair that has done its packet gets the next one, if that is ready, and as much
 * is still to be ciphered as there is to be authenticated then.
 */
static void refill(struct batch *b)
{
	unsigned side;

	for (side = 0; side < 2; side++) {
		while (b->pair.p[side].blocks < b->kernel->stride) {
			end_side(b, side);
			if (!b->meanwhile || b->next >= b->ready || b->n - b->streamed < 2)
				break;
			b->pair.p[side] = kwgi_poly_begin(b->keys[b->next], b->v[b->next].data,
							  b->v[b->next].len / 16);
			b->at[side] = b->next++;
		}
	}
}

static void add_bytes(uint8_t *data, const uint8_t *stream, uint32_t len)
{
	uint64_t x;

	for (; len >= 8; len -= 8, data += 8, stream += 8) {
		x = load64(data) ^ load64(stream);
		memcpy(data, &x, sizeof(x));
	}
	while (len--)
		*data++ ^= *stream++;
}

/* The lanes that are not in use have to have data. */
static void flush(struct batch *b)
{
	struct kwgi_aead_lanes *l = &b->lanes;
	unsigned i;

	if (!l->n)
		return;
	for (i = l->n; i < b->kernel->lanes; i++)
		l->data[i] = b->streams[i];
	refill(b);
	b->kernel->chacha(l, &b->pair);
	for (i = 0; i < b->rests; i++)
		add_bytes(b->rest[i].data, b->streams[i], b->rest[i].len);
	b->rests = 0;
	l->n = 0;
	b->ready = b->given;
}

static void set_lane(struct kwgi_aead_lanes *l, uint64_t counter, uint32_t block, uint8_t *data)
{
	const unsigned n = l->n++;

	l->block[n] = block;
	l->lo[n] = (uint32_t)counter;
	l->hi[n] = (uint32_t)(counter >> 32);
	l->data[n] = data;
}

/* The next n lanes. Numbers and nonces of all that could follow are written: faster than to count (measured). */
static void set_lanes(struct kwgi_aead_lanes *l, uint64_t counter, uint32_t block, uint8_t *data, unsigned n)
{
	uint32_t *blocks = l->block + l->n, *lo = l->lo + l->n, *hi = l->hi + l->n, i;
	uint8_t **to = l->data + l->n;

	for (i = 0; i < KWGI_AEAD_LANES; i++)
		blocks[i] = block + i;
	for (i = 0; i < KWGI_AEAD_LANES; i++)
		lo[i] = (uint32_t)counter;
	for (i = 0; i < KWGI_AEAD_LANES; i++)
		hi[i] = (uint32_t)(counter >> 32);
	for (i = 0; i < n; i++)
		to[i] = data + i * (size_t)KWGI_AEAD_BLOCK;
	l->n += n;
}

/* A lane whose key stream is added to less than a block, by flush(). */
static void set_rest(struct batch *b, uint64_t counter, uint32_t block, uint8_t *data, uint32_t len)
{
	const unsigned i = b->rests++;

	b->rest[i].data = data;
	b->rest[i].len = len;
	memset(b->streams[i], 0, KWGI_AEAD_BLOCK);
	set_lane(&b->lanes, counter, block, b->streams[i]);
}

/* Adds the key stream of a packet, from its block number block on, to len bytes of data. */
static void add_stream(struct batch *b, uint64_t counter, uint32_t block, uint8_t *data, uint32_t len)
{
	struct kwgi_aead_lanes *l = &b->lanes;
	const unsigned lanes = b->kernel->lanes;
	unsigned n;

	while (len) {
		n = lanes - l->n < len / KWGI_AEAD_BLOCK ? lanes - l->n : len / KWGI_AEAD_BLOCK;
		if (n == 1)
			set_lane(l, counter, block, data);
		else if (n)
			set_lanes(l, counter, block, data, n);
		block += n;
		data += n * (size_t)KWGI_AEAD_BLOCK;
		len -= n * KWGI_AEAD_BLOCK;
		if (l->n < lanes && len) {
			set_rest(b, counter, block, data, len);
			len = 0;
		}
		if (l->n == lanes)
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

/* The tags of the next n packets. */
static void make_tags(struct batch *b, unsigned n)
{
	unsigned first, m;

	for (; n; n -= m) {
		first = b->next;
		m = n < b->kernel->width ? n : b->kernel->width;
		b->next += m;
		if (is_short(b->kernel, b->v + first, m)) {
			for (; first < b->next; first++)
				poly_short(b->keys[first], &b->v[first], b->tags[first]);
		} else {
			/* The type, since up to C17 an array of const is another one than an array. */
			b->kernel->poly((const uint8_t (*)[KWGI_AEAD_BLOCK])(b->keys + first), b->v + first, m,
					b->tags + first);
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

static void seal_chunk(struct batch *b)
{
	struct kwgi_aead_packet *v = b->v;
	unsigned i;

	clear_rows(b, b->n);
	for (i = 0; i < b->n; i++) {
		add_stream(b, v[i].counter, 0, b->keys[i], KWGI_AEAD_BLOCK);
		add_stream(b, v[i].counter, 1, v[i].data, v[i].len);
		b->given = ++b->streamed;
	}
	flush(b);
	advance_alone(&b->pair);
	end_side(b, 0);
	end_side(b, 1);
	make_tags(b, b->n - b->next);
	for (i = 0; i < b->n; i++)
		memcpy(v[i].data + v[i].len, b->tags[i], KWGI_AEAD_TAG);
}

static bool authentic(const struct batch *b, unsigned i)
{
	struct kwgi_aead_packet *p = &b->v[i];

	p->ok = !crypto_verify_16(b->tags[i], p->data + p->len);
	return p->ok;
}

static uint32_t stream_blocks(const struct kwgi_aead_packet *p)
{
	return (uint32_t)(((uint64_t)p->len + KWGI_AEAD_BLOCK - 1) / KWGI_AEAD_BLOCK);
}

/*
 * Few blocks are made at once, as a second call of kernel->chacha takes as long as the first:
 * the key stream waits behind the keys until it is known whether the tag is right.
 */
static unsigned open_few(struct batch *b)
{
	struct kwgi_aead_packet *v = b->v;
	unsigned i, row = b->n, good = 0;

	for (i = 0; i < b->n; i++)
		add_stream(b, v[i].counter, 0, b->keys[i], KWGI_AEAD_BLOCK);
	for (i = 0; i < b->n; row += stream_blocks(&v[i]), i++)
		add_stream(b, v[i].counter, 1, b->keys[row], stream_blocks(&v[i]) * KWGI_AEAD_BLOCK);
	flush(b);
	make_tags(b, b->n);
	for (i = 0, row = b->n; i < b->n; row += stream_blocks(&v[i]), i++) {
		if (authentic(b, i)) {
			add_bytes(v[i].data, b->keys[row], v[i].len);
			good++;
		}
	}
	return good;
}

/* The tag of packet i, before which all have theirs, is made if it is not there. */
static void need_tag(struct batch *b, unsigned i)
{
	unsigned left = b->n - i, side, n;

	if (i == b->next) {
		if (i == b->ready)
			flush(b);
		n = b->meanwhile && left > b->kernel->width ? LEAD : left;
		make_tags(b, n < b->ready - i ? n : b->ready - i);
	}
	for (side = 0; side < 2; side++) {
		if (b->at[side] == i) {
			advance_alone(&b->pair);
			end_side(b, side);
		}
	}
}

static void add_key(struct batch *b)
{
	const unsigned i = b->given++;

	add_stream(b, b->v[i].counter, 0, b->keys[i], KWGI_AEAD_BLOCK);
}

/* Keys are made some packets ahead, so that there is always one to authenticate meanwhile. */
static unsigned open_many(struct batch *b)
{
	struct kwgi_aead_packet *v = b->v;
	unsigned i, good = 0;

	while (b->given < b->n && (!b->meanwhile || b->given < AHEAD))
		add_key(b);
	flush(b);
	for (i = 0; i < b->n; i++) {
		need_tag(b, i);
		if (b->given < b->n)
			add_key(b);
		if (authentic(b, i)) {
			add_stream(b, v[i].counter, 1, v[i].data, v[i].len);
			good++;
		}
		b->streamed++;
	}
	flush(b);
	return good;
}

static unsigned open_chunk(struct batch *b)
{
	uint64_t rows = b->n;
	unsigned i;

	for (i = 0; i < b->n; i++)
		rows += stream_blocks(&b->v[i]);
	if (rows <= b->kernel->few) {
		clear_rows(b, (unsigned)rows);
		return open_few(b);
	}
	clear_rows(b, b->n);
	return open_many(b);
}

/* The next chunk, of n packets at most. */
static void chunk_begin(struct batch *b, struct kwgi_aead_packet *v, unsigned n)
{
	uint64_t bytes = 0;
	unsigned i;

	b->v = v;
	b->n = n < KWGI_AEAD_CHUNK ? n : KWGI_AEAD_CHUNK;
	b->streamed = b->given = b->ready = b->next = 0;
	for (i = 0; i < b->n; i++)
		bytes += v[i].len;
	b->meanwhile = bytes >= (uint64_t)b->n * LONG;
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
	static const uint32_t constants[4] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };

	b->kernel = kernel;
	memcpy(b->lanes.words, constants, sizeof(constants));
	memcpy(b->lanes.words + 4, key, 32);
	b->rows = 0;
	b->deep = false;
	memset(&b->pair, 0, sizeof(b->pair));
	b->at[0] = b->at[1] = NONE;
	b->lanes.n = 0;
	b->rests = 0;
}

static void batch_end(struct batch *b)
{
	sodium_memzero(&b->pair, sizeof(b->pair));
	sodium_memzero(b->lanes.words, sizeof(b->lanes.words));
	sodium_memzero(b->keys, b->rows * sizeof(b->keys[0]));
	sodium_memzero(b->tags, b->rows * sizeof(b->tags[0]));
	sodium_memzero(b->streams, sizeof(b->streams));
	if (b->deep)
		wipe_deep_stack();
	else
		wipe_stack();
}

void kwgi_aead_batch_seal(const struct kwgi_aead_kernel *kernel, const uint8_t key[32],
			  struct kwgi_aead_packet *v, unsigned n)
{
	struct batch b;
	unsigned i;

	batch_begin(&b, kernel, key);
	for (i = 0; i < n; i += b.n) {
		chunk_begin(&b, v + i, n - i);
		seal_chunk(&b);
	}
	batch_end(&b);
}

unsigned kwgi_aead_batch_open(const struct kwgi_aead_kernel *kernel, const uint8_t key[32],
			      struct kwgi_aead_packet *v, unsigned n)
{
	struct batch b;
	unsigned i, good = 0;

	batch_begin(&b, kernel, key);
	for (i = 0; i < n; i += b.n) {
		chunk_begin(&b, v + i, n - i);
		good += open_chunk(&b);
	}
	batch_end(&b);
	return good;
}

#endif
