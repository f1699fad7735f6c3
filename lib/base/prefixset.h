/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A sorted set of networks. Two networks are nested or disjoint, so in order
 * (prefix_cmp) everything inside a network follows it directly, and each item
 * needs just a link to the smallest one around it. Queries are logarithmic in
 * the number of items plus the depth of nesting, at most 128.
 */
#ifndef KWGI_PREFIXSET_H
#define KWGI_PREFIXSET_H

#include "base/addr.h"
#include "base/arena.h"

enum { KWGI_NO_ITEM = UINT32_MAX };

struct kwgi_prefixset_item {
	struct kwgi_prefix prefix;	/* no host bits */
	uint32_t value;			/* the caller's; equal prefixes are ordered by it */
	uint32_t parent;		/* smallest item around this one, or KWGI_NO_ITEM */
};

struct kwgi_prefixset {
	struct kwgi_prefixset_item *v;
	uint32_t n, cap;
};

/* 0, or -1 if there is no memory. */
int kwgi_prefixset_add(struct kwgi_prefixset *s, struct kwgi_arena *a,
		       const struct kwgi_prefix *p, uint32_t value);
/* To be called once after the last add and before any query. */
void kwgi_prefixset_build(struct kwgi_prefixset *s);
/* The smallest item that contains the address, or KWGI_NO_ITEM. */
uint32_t kwgi_prefixset_lookup(const struct kwgi_prefixset *s, const struct kwgi_addr *a);
/* The item that is p (of several the first), or KWGI_NO_ITEM. */
uint32_t kwgi_prefixset_find(const struct kwgi_prefixset *s, const struct kwgi_prefix *p);
/* The first item that p has in it, if there are any; others follow it. p has no host bits. */
uint32_t kwgi_prefixset_inside(const struct kwgi_prefixset *s, const struct kwgi_prefix *p);
/* An item that contains p or lies in it, or KWGI_NO_ITEM. */
uint32_t kwgi_prefixset_overlap(const struct kwgi_prefixset *s, const struct kwgi_prefix *p);

#endif
