/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* mlock(2), madvise(2), getrlimit(2) */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include <sodium.h>

#include "userspace/keymem.h"

/* The address sanitizer does not know what of a page is in use; it is told. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WATCHED)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, len) ((void)(p), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(p, len) ((void)(p), (void)(len))
#endif

/* Stands at the beginning of a chunk, which is aligned to its size. */
struct kwgi_keymem_chunk {
	struct kwgi_keymem_chunk *next, *prev;	/* with room */
	uint8_t *free;		/* list: a free piece begins with the address of the next */
	uint32_t used, fresh;	/* pieces in use; pieces that never were begin here */
};

enum { FIRST_PIECE = KWGI_KEYMEM_ALIGN };
_Static_assert(sizeof(struct kwgi_keymem_chunk) <= FIRST_PIECE, "the pieces begin behind it");

static size_t round_up(size_t size)
{
	return (size + KWGI_KEYMEM_ALIGN - 1) & ~(size_t)(KWGI_KEYMEM_ALIGN - 1);
}

static uint32_t pieces(const struct kwgi_keymem_pool *pool)
{
	return (uint32_t)((KWGI_KEYMEM_CHUNK - FIRST_PIECE) / pool->size);
}

/* ---- chunks ---------------------------------------------------------- */

/* Twice as much holds an aligned one; the rest goes back. */
static void *map_aligned(void)
{
	uint8_t *p = mmap(NULL, 2 * KWGI_KEYMEM_CHUNK, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = (size_t)(-(uintptr_t)p & (KWGI_KEYMEM_CHUNK - 1));
	if (before)
		munmap(p, before);
	munmap(p + before + KWGI_KEYMEM_CHUNK, KWGI_KEYMEM_CHUNK - before);
	return p + before;
}

static void link_chunk(struct kwgi_keymem_pool *pool, struct kwgi_keymem_chunk *c)
{
	c->prev = NULL;
	c->next = pool->with_room;
	if (c->next)
		c->next->prev = c;
	pool->with_room = c;
}

static void unlink_chunk(struct kwgi_keymem_pool *pool, struct kwgi_keymem_chunk *c)
{
	*(c->prev ? &c->prev->next : &pool->with_room) = c->next;
	if (c->next)
		c->next->prev = c->prev;
}

static struct kwgi_keymem_chunk *chunk_new(struct kwgi_keymem *m, struct kwgi_keymem_pool *pool)
{
	struct kwgi_keymem_chunk *c = map_aligned();

	if (!c)
		return NULL;
	if (mlock(c, KWGI_KEYMEM_CHUNK) && !m->error)
		m->error = errno;
	(void)madvise(c, KWGI_KEYMEM_CHUNK, MADV_DONTDUMP);
	ASAN_POISON_MEMORY_REGION((uint8_t *)c + FIRST_PIECE, KWGI_KEYMEM_CHUNK - FIRST_PIECE);
	link_chunk(pool, c);
	return c;
}

static void chunk_free(struct kwgi_keymem_pool *pool, struct kwgi_keymem_chunk *c)
{
	unlink_chunk(pool, c);
	ASAN_UNPOISON_MEMORY_REGION(c, KWGI_KEYMEM_CHUNK);
	munmap(c, KWGI_KEYMEM_CHUNK);
}

/* ---- pieces ---------------------------------------------------------- */

/* Of this size, already rounded up; an unused one if there is none yet. */
static struct kwgi_keymem_pool *pool_of(struct kwgi_keymem *m, size_t size)
{
	unsigned i;

	for (i = 0; i < KWGI_KEYMEM_SIZES; i++) {
		if (!m->pools[i].size)
			m->pools[i].size = size;
		if (m->pools[i].size == size)
			return &m->pools[i];
	}
	return NULL;
}

void *kwgi_keymem_alloc(struct kwgi_keymem *m, size_t size)
{
	struct kwgi_keymem_pool *pool;
	struct kwgi_keymem_chunk *c;
	uint8_t *p;

	size = round_up(size);
	if (!size || size > KWGI_KEYMEM_CHUNK / 4)
		return NULL;
	pool = pool_of(m, size);
	if (!pool)
		return NULL;
	c = pool->with_room ? pool->with_room : chunk_new(m, pool);
	if (!c)
		return NULL;
	p = c->free ? c->free : (uint8_t *)c + FIRST_PIECE + c->fresh++ * size;
	ASAN_UNPOISON_MEMORY_REGION(p, size);
	if (c->free) {
		c->free = *(uint8_t **)(void *)p;
		*(uint8_t **)(void *)p = NULL;
	}
	if (++c->used == pieces(pool))
		unlink_chunk(pool, c);
	return p;
}

/* An empty chunk is kept if there is no other with room: one peer comes and goes. */
void kwgi_keymem_free(struct kwgi_keymem *m, void *p, size_t size)
{
	struct kwgi_keymem_chunk *c;
	struct kwgi_keymem_pool *pool;

	size = round_up(size);
	pool = p ? pool_of(m, size) : NULL;
	if (!pool)
		return;
	c = (void *)((uintptr_t)p & ~(uintptr_t)(KWGI_KEYMEM_CHUNK - 1));
	sodium_memzero(p, size);
	*(uint8_t **)p = c->free;
	c->free = p;
	ASAN_POISON_MEMORY_REGION(p, size);
	if (c->used-- == pieces(pool))
		link_chunk(pool, c);
	if (!c->used && (c->next || c->prev))
		chunk_free(pool, c);
}

void kwgi_keymem_end(struct kwgi_keymem *m)
{
	unsigned i;

	for (i = 0; i < KWGI_KEYMEM_SIZES; i++)
		while (m->pools[i].with_room && !m->pools[i].with_room->used)
			chunk_free(&m->pools[i], m->pools[i].with_room);
	*m = (struct kwgi_keymem){ 0 };
}
