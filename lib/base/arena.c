/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/arena.h"

enum { CHUNK_SIZE = 64 * 1024 };

struct kwgi_arena_chunk {
	struct kwgi_arena_chunk *next;
	size_t used, size;
	alignas(max_align_t) unsigned char data[];
};

static size_t round_up(size_t n)
{
	return (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

static struct kwgi_arena_chunk *chunk_new(size_t size)
{
	struct kwgi_arena_chunk *c;

	c = calloc(1, sizeof(*c) + size);
	if (c)
		c->size = size;
	return c;
}

void *kwgi_arena_alloc(struct kwgi_arena *a, size_t n, size_t size)
{
	struct kwgi_arena_chunk *c = a->chunks;
	void *p;

	if (size && n > (SIZE_MAX / 2) / size)
		return NULL;
	size = round_up(n * size);
	if (!c || c->size - c->used < size) {
		/* A large piece gets a chunk of its own behind the current one,
		 * which keeps its free rest. */
		c = chunk_new(size > CHUNK_SIZE / 4 ? size : CHUNK_SIZE);
		if (!c)
			return NULL;
		if (a->chunks && c->size == size) {
			c->next = a->chunks->next;
			a->chunks->next = c;
		} else {
			c->next = a->chunks;
			a->chunks = c;
		}
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

char *kwgi_arena_strndup(struct kwgi_arena *a, const char *s, size_t len)
{
	char *p = kwgi_arena_alloc(a, len + 1, 1);

	if (p)
		memcpy(p, s, len);
	return p;
}

int kwgi_arena_grow(struct kwgi_arena *a, void *v, uint32_t n, uint32_t *cap, size_t size)
{
	uint32_t want = *cap ? *cap * 2 : 1;
	void *old, *p;

	if (n < *cap)
		return 0;
	if (want < *cap)
		return -1;
	p = kwgi_arena_alloc(a, want, size);
	if (!p)
		return -1;
	memcpy(&old, v, sizeof(old));
	if (n)
		memcpy(p, old, n * size);
	memcpy(v, &p, sizeof(p));
	*cap = want;
	return 0;
}

void kwgi_arena_free(struct kwgi_arena *a)
{
	struct kwgi_arena_chunk *c, *next;

	for (c = a->chunks; c; c = next) {
		next = c->next;
		sodium_memzero(c->data, c->used);
		free(c);
	}
	a->chunks = NULL;
}
