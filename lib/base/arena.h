/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Arena: memory that lives and dies with one object. Everything that a
 * configuration, topology or plan holds is taken from its arena, so that
 * freeing is one call and no half-freed object can exist.
 */
#ifndef KWGI_ARENA_H
#define KWGI_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct kwgi_arena_chunk;

struct kwgi_arena {
	struct kwgi_arena_chunk *chunks;
};

/* Zeroed memory, aligned for any type, or NULL. n * size may not overflow. */
void *kwgi_arena_alloc(struct kwgi_arena *a, size_t n, size_t size);

/* A NUL-terminated copy of len bytes, or NULL. */
char *kwgi_arena_strndup(struct kwgi_arena *a, const char *s, size_t len);

/*
 * Room for one more element in the array *v of *cap elements, n of them in
 * use. Growth doubles, so appending is amortised constant. Returns 0, or -1
 * and leaves the array as it was.
 */
int kwgi_arena_grow(struct kwgi_arena *a, void *v, uint32_t n, uint32_t *cap, size_t size);

/* Wipes (keys may be inside) and frees everything. The arena is then empty and usable. */
void kwgi_arena_free(struct kwgi_arena *a);

#endif
