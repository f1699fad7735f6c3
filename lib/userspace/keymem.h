/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Memory for keys: pages of their own, which are locked (no swap) as far as
 * the system allows, and are in no core dump.
 *
 * Only what holds keys is locked, so that the limit that an unprivileged
 * process has (RLIMIT_MEMLOCK, 8 MiB on most systems) goes a long way, and nothing
 * else can fail for it, as a stack or heap would after mlockall(2). What is over the
 * limit is not locked; it serves all the same.
 *
 * One thread at a time.
 */
#ifndef KWGI_KEYMEM_H
#define KWGI_KEYMEM_H

#include <stddef.h>

struct kwgi_keymem_chunk;

/* Pieces of one size. */
struct kwgi_keymem_pool {
	size_t size;
	struct kwgi_keymem_chunk *with_room;	/* list of chunks with a free piece */
};

enum {
	KWGI_KEYMEM_SIZES = 4,		/* how many sizes there can be */
	KWGI_KEYMEM_ALIGN = 64,
	KWGI_KEYMEM_CHUNK = 64 * 1024,	/* what is locked at once; no piece is larger than a quarter */
};

/* A zeroed one is empty. */
struct kwgi_keymem {
	struct kwgi_keymem_pool pools[KWGI_KEYMEM_SIZES];
	int error;	/* the errno of the first time that memory could not be locked, or 0 */
};

/* Zeroed, aligned to KWGI_KEYMEM_ALIGN. NULL without memory, or if it is one size too many. */
void *kwgi_keymem_alloc(struct kwgi_keymem *m, size_t size);

/* p is of kwgi_keymem_alloc() with this size; it is wiped. NULL is fine. */
void kwgi_keymem_free(struct kwgi_keymem *m, void *p, size_t size);

/* Gives back what is kept for later; all has to be freed before. It is then empty and usable. */
void kwgi_keymem_end(struct kwgi_keymem *m);

#endif
