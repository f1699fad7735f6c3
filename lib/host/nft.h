/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The firewall as one table of nf_tables, inet kilowg-MESH, over nfnetlink
 * (linux/netfilter/nf_tables.h). Others' tables are never touched.
 */
#ifndef KWGI_NFT_H
#define KWGI_NFT_H

#include "steps/step.h"
#include "sys/mnl.h"

/*
 * nft_encode.c: the table for the firewall rules of a plan, in a's memory. Not
 * a system call. Networks become sets of intervals, so the number of rules is
 * fixed. mark: that of the default route (steps/default.h), 0: it is not taken.
 * tunnel: the device of that of the location, or "". 0 or -1 (no memory).
 */
int kwgi_nft_encode(struct kwgi_nft_table *out, struct kwgi_arena *a, const struct kwg_plan *plan,
		    uint32_t mark, const char *tunnel);

/* What an element adds to the sum of a shape. key: its bytes, end: of an interval. */
uint64_t kwgi_nft_element_sum(const char *set, const void *key, size_t len, bool end);

/*
 * Fills the tables of kilowg, of whichever mesh, and what drops forwarded
 * packets into h. A kernel without nf_tables, or that does not let this
 * process ask, has none. KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
int kwgi_nft_observe(struct kwgi_host *h, struct kwg_error *err);

/*
 * nft_others.c: looks at all chains, and fills h->drops and h->nft_iptables.
 * KWG_ERR_KERNEL, KWG_ERR_NOMEM, KWGI_NL_AGAIN.
 */
int kwgi_nft_look_at_others(struct kwgi_host *h, struct kwgi_nl *nl, struct kwg_error *err);

/* nft_change.c: carries out or undoes a step KWGI_STEP_FIREWALL, in one transaction. KWG_ERR_KERNEL. */
int kwgi_nft_step(const struct kwgi_step *s, bool undo, struct kwg_error *err);

/*
 * Deletes a base chain of others that has no rule, no use and no policy but accept,
 * and its table if there is nothing else in it. Leaves it, without a word, if not.
 * Not 0 if anything changes meanwhile, or it fails. family: NFPROTO_IPV4 or NFPROTO_IPV6.
 */
int kwgi_nft_remove_empty(uint8_t family, const char *table, const char *chain);

#endif
