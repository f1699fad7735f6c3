/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Allowed IPs: which peer a packet goes to, and may come from (WireGuard
 * paper, section 2, cryptokey routing). Two path-compressed binary tries, one
 * per family; the longest prefix wins; a prefix belongs to one peer at most.
 * No lock inside: whoever changes a table keeps readers away from it.
 */
#ifndef KWGI_ALLOWEDIPS_H
#define KWGI_ALLOWEDIPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct kwgi_allowedips_node;

/* A zeroed table is an empty one. */
struct kwgi_allowedips {
	struct kwgi_allowedips_node *root4, *root6;
	uint32_t n;				/* prefixes in both */
};

/*
 * The prefixes of one peer, in the order in which it got them. It is embedded
 * in the peer and may not move while it holds a prefix.
 */
struct kwgi_allowedips_list {
	void *peer;				/* what a lookup returns */
	struct kwgi_allowedips_node *first, *last;
	uint32_t n;
};

/* An empty list of a peer, which is not NULL. */
void kwgi_allowedips_list_init(struct kwgi_allowedips_list *list, void *peer);

/*
 * Gives a prefix to the peer of list; host bits do not count. Whoever had it
 * loses it; if that is the same peer nothing changes. 0, or -1 without memory:
 * then everything is as before.
 */
int kwgi_allowedips_insert(struct kwgi_allowedips *t, const struct kwgi_prefix *p,
			   struct kwgi_allowedips_list *list);

/* Takes exactly this prefix from the peer of list; false if that peer does not hold it. */
bool kwgi_allowedips_remove(struct kwgi_allowedips *t, const struct kwgi_prefix *p,
			    struct kwgi_allowedips_list *list);

/* Takes all prefixes from the peer of list, which can be used again or freed. */
void kwgi_allowedips_remove_all(struct kwgi_allowedips *t, struct kwgi_allowedips_list *list);

/* Frees the table; all lists are empty then. The table is empty and usable. */
void kwgi_allowedips_free(struct kwgi_allowedips *t);

/* The peer of the longest prefix around an address of 4 or 16 bytes (any alignment), or NULL. */
void *kwgi_allowedips_lookup4(const struct kwgi_allowedips *t, const void *addr);
void *kwgi_allowedips_lookup6(const struct kwgi_allowedips *t, const void *addr);

/*
 * Writes the prefix of n, host bits zero, and returns the node after it or
 * NULL. All prefixes of a peer:
 *	for (n = list->first; n; ) { n = kwgi_allowedips_next(n, &p); ... }
 */
const struct kwgi_allowedips_node *kwgi_allowedips_next(const struct kwgi_allowedips_node *n,
							struct kwgi_prefix *p);

#endif
