/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "dp/allowedips.h"

/* Address bits from the top; an IPv4 address fills the upper half of hi. */
struct bits {
	uint64_t hi, lo;
};

/*
 * A node stands for the first len bits of its bits. One without list is a
 * fork: it always has both children, so there are fewer forks than prefixes.
 */
struct kwgi_allowedips_node {
	struct bits bits;			/* zero from len on */
	uint8_t len, family;
	struct kwgi_allowedips_node *child[2];	/* by the bit after the first len */
	struct kwgi_allowedips_list *list;	/* whose prefix this is, or NULL */
	/* A lookup reads what stands above. */
	struct kwgi_allowedips_node *prev, *next;	/* in list */
};

/* ---- bits ------------------------------------ */

static struct bits load4(const void *addr)
{
	uint32_t v;

	memcpy(&v, addr, sizeof(v));
	return (struct bits){ .hi = (uint64_t)be32toh(v) << 32 };
}

static struct bits load6(const void *addr)
{
	uint64_t v[2];

	memcpy(v, addr, sizeof(v));
	return (struct bits){ be64toh(v[0]), be64toh(v[1]) };
}

static unsigned bit_at(struct bits b, unsigned i)
{
	return (unsigned)((i < 64 ? b.hi >> (63 - i) : b.lo >> (127 - i)) & 1);
}

/* The first n of 64 bits. */
static uint64_t upper(uint64_t v, unsigned n)
{
	return n ? v & UINT64_MAX << (64 - n) : 0;
}

static struct bits masked(struct bits b, unsigned len)
{
	if (len <= 64)
		return (struct bits){ .hi = upper(b.hi, len) };
	return (struct bits){ .hi = b.hi, .lo = upper(b.lo, len - 64) };
}

/* How many bits a and b have in common from the top. */
static unsigned common(struct bits a, struct bits b)
{
	if (a.hi != b.hi)
		return (unsigned)__builtin_clzll(a.hi ^ b.hi);
	if (a.lo != b.lo)
		return 64 + (unsigned)__builtin_clzll(a.lo ^ b.lo);
	return 128;
}

static bool covers(const struct kwgi_allowedips_node *n, struct bits b)
{
	return common(n->bits, b) >= n->len;
}

/* ---- lists of peers ------------------------------------ */

void kwgi_allowedips_list_init(struct kwgi_allowedips_list *list, void *peer)
{
	*list = (struct kwgi_allowedips_list){ .peer = peer };
}

static void list_add(struct kwgi_allowedips_list *list, struct kwgi_allowedips_node *n)
{
	n->list = list;
	n->next = NULL;
	n->prev = list->last;
	*(n->prev ? &n->prev->next : &list->first) = n;
	list->last = n;
	list->n++;
}

static void list_del(struct kwgi_allowedips_node *n)
{
	*(n->prev ? &n->prev->next : &n->list->first) = n->next;
	*(n->next ? &n->next->prev : &n->list->last) = n->prev;
	n->list->n--;
	n->list = NULL;
}

const struct kwgi_allowedips_node *kwgi_allowedips_next(const struct kwgi_allowedips_node *n,
							struct kwgi_prefix *p)
{
	unsigned i;

	*p = (struct kwgi_prefix){ .addr.family = n->family, .len = n->len };
	for (i = 0; i < kwgi_addr_bits(&p->addr) / 8; i++)
		p->addr.b[i] = (uint8_t)((i < 8 ? n->bits.hi : n->bits.lo) >> (56 - i % 8 * 8));
	return n->next;
}

/* ---- the tries ------------------------------------ */

static struct kwgi_allowedips_node **root_of(struct kwgi_allowedips *t, uint8_t family)
{
	return family == KWGI_AF_V4 ? &t->root4 : &t->root6;
}

static struct bits bits_of(const struct kwgi_prefix *p)
{
	return masked(p->addr.family == KWGI_AF_V4 ? load4(p->addr.b) : load6(p->addr.b), p->len);
}

static struct kwgi_allowedips_node *node_new(struct bits b, unsigned len, uint8_t family)
{
	struct kwgi_allowedips_node *n = calloc(1, sizeof(*n));

	if (n) {
		n->bits = masked(b, len);
		n->len = (uint8_t)len;
		n->family = family;
	}
	return n;
}

/* A new node between *link, which does not cover it, and whatever *link points to. */
static struct kwgi_allowedips_node *node_add(struct kwgi_allowedips_node **link, struct bits b,
					     unsigned len, uint8_t family)
{
	struct kwgi_allowedips_node *n = node_new(b, len, family), *below = *link, *fork;
	unsigned same;

	if (!n)
		return NULL;
	if (!below) {
		*link = n;
		return n;
	}
	same = common(b, below->bits);
	if (same >= len) {
		n->child[bit_at(below->bits, len)] = below;
		*link = n;
		return n;
	}
	fork = node_new(b, same, family);
	if (!fork) {
		free(n);
		return NULL;
	}
	fork->child[bit_at(b, same)] = n;
	fork->child[!bit_at(b, same)] = below;
	*link = fork;
	return n;
}

int kwgi_allowedips_insert(struct kwgi_allowedips *t, const struct kwgi_prefix *p,
			   struct kwgi_allowedips_list *list)
{
	struct kwgi_allowedips_node **link = root_of(t, p->addr.family), *n;
	struct bits b = bits_of(p);

	for (n = *link; n && n->len < p->len && covers(n, b); n = *link)
		link = &n->child[bit_at(b, n->len)];
	if (!n || n->len != p->len || !covers(n, b))
		n = node_add(link, b, p->len, p->addr.family);
	if (!n)
		return -1;
	if (n->list == list)
		return 0;
	if (n->list)
		list_del(n);
	else
		t->n++;
	list_add(list, n);
	return 0;
}

/* Takes out a node that no peer holds, if it is not needed as a fork. */
static void splice(struct kwgi_allowedips_node **link)
{
	struct kwgi_allowedips_node *n = *link;

	if (n->list || (n->child[0] && n->child[1]))
		return;
	*link = n->child[0] ? n->child[0] : n->child[1];
	free(n);
}

/* The prefix goes if it is there and list holds it. */
static bool remove_bits(struct kwgi_allowedips *t, struct bits b, unsigned len, uint8_t family,
			const struct kwgi_allowedips_list *list)
{
	struct kwgi_allowedips_node **link = root_of(t, family), **above = NULL, *n;

	for (n = *link; n && n->len < len && covers(n, b); n = *link) {
		above = link;
		link = &n->child[bit_at(b, n->len)];
	}
	if (!n || n->len != len || !covers(n, b) || n->list != list)
		return false;
	list_del(n);
	t->n--;
	splice(link);
	if (above)
		splice(above);
	return true;
}

bool kwgi_allowedips_remove(struct kwgi_allowedips *t, const struct kwgi_prefix *p,
			    struct kwgi_allowedips_list *list)
{
	return remove_bits(t, bits_of(p), p->len, p->addr.family, list);
}

void kwgi_allowedips_remove_all(struct kwgi_allowedips *t, struct kwgi_allowedips_list *list)
{
	const struct kwgi_allowedips_node *n;

	while ((n = list->first))
		remove_bits(t, n->bits, n->len, n->family, list);
}

/* No deeper than an address has bits. */
static void free_below(struct kwgi_allowedips_node *n)
{
	if (!n)
		return;
	free_below(n->child[0]);
	free_below(n->child[1]);
	if (n->list)
		list_del(n);
	free(n);
}

void kwgi_allowedips_free(struct kwgi_allowedips *t)
{
	free_below(t->root4);
	free_below(t->root6);
	*t = (struct kwgi_allowedips){ 0 };
}

/* ---- lookup ------------------------------------ */

/*
 * Whether a node covers the address is the one thing to branch on: the bit
 * that is set below all of an address keeps clz defined, and costs no len 0.
 * Below a /32 there is nothing: bit 32 is zero and both children are NULL.
 */
void *kwgi_allowedips_lookup4(const struct kwgi_allowedips *t, const void *addr)
{
	const struct kwgi_allowedips_node *n = t->root4;
	const struct kwgi_allowedips_list *best = NULL;
	struct bits b = load4(addr);

	while (n && __builtin_clzll((n->bits.hi ^ b.hi) | 1) >= n->len) {
		if (n->list)
			best = n->list;
		n = n->child[b.hi >> (63 - n->len) & 1];
	}
	return best ? best->peer : NULL;
}

void *kwgi_allowedips_lookup6(const struct kwgi_allowedips *t, const void *addr)
{
	const struct kwgi_allowedips_node *n = t->root6;
	const struct kwgi_allowedips_list *best = NULL;
	struct bits b = load6(addr);

	while (n && covers(n, b)) {
		if (n->list)
			best = n->list;
		if (n->len == 128)
			break;
		n = n->child[bit_at(b, n->len)];
	}
	return best ? best->peer : NULL;
}
