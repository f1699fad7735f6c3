/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The firewall of a plan in the words of iptables: chains of our own, and the
 * jumps to them from the built-in chains. Text in and out; lib/host/ipt.c
 * runs the programs.
 *
 * A chain is called kilowg-INTERFACE-PURPOSE. A jump has a comment, "kilowg
 * mesh=NAME protocol=N", by which it is known again.
 */
#ifndef KWGI_IPTABLES_H
#define KWGI_IPTABLES_H

#include "plan/plan.h"

/* There are two iptables, and they do not see each other's rules. */
enum kwgi_ipt_variant {
	KWGI_IPT_DEFAULT,	/* whatever is called iptables */
	KWGI_IPT_NFT,		/* iptables-nft */
	KWGI_IPT_LEGACY,	/* iptables-legacy */
	KWGI_IPT_VARIANTS,
};

enum { KWGI_IPT_MANGLE, KWGI_IPT_NAT, KWGI_IPT_FILTER, KWGI_IPT_TABLES };

/* Rules as they stand behind "-A CHAIN " in what iptables-save prints. */
struct kwgi_ipt_chain {
	const char *name;
	const char **rules;
	uint32_t n, cap;
};

struct kwgi_ipt_jump {
	const char *chain, *rule;
	uint32_t at;		/* its place in the chain, from 1 */
	bool too_late;		/* a rule before it drops everything */
};

struct kwgi_ipt_table {
	struct kwgi_ipt_chain *chains;
	uint32_t n_chains, chains_cap;
	struct kwgi_ipt_jump *jumps;
	uint32_t n_jumps, jumps_cap;
};

/* What there is of kilowg in one address family. */
struct kwgi_ipt_rules {
	uint8_t family;			/* enum kwgi_family */
	uint8_t variant;		/* enum kwgi_ipt_variant */
	bool is_nft;			/* iptables-nft has printed it, by whatever name */
	bool has_tables;		/* anything at all, of anybody */
	uint16_t bases;			/* bits of kwgi_ipt_base(): built-in chains that there are */
	bool forward_drop;		/* the policy of FORWARD is DROP ... */
	bool forward_rule_drops;	/* ... or a rule in it drops everything */
	struct kwgi_ipt_table tables[KWGI_IPT_TABLES];
};

/* A chain's name has at most 28 bytes, of which an interface's may take all that it can. */
enum { KWGI_IPT_NAME_MAX = 29, KWGI_IPT_MARK_MAX = 128 };

/* Can the name of an interface be part of one of a chain, and stand for that interface only? */
bool kwgi_ipt_takes(const char *ifname);

/*
 * iptables-nft makes built-in chains, and tables, when they are first used. The
 * comment of the jump that was the first use ends with " made", so that we know to
 * take them away again.
 */
enum { KWGI_IPT_BASES = 7, KWGI_IPT_ALL_BASES = (1 << KWGI_IPT_BASES) - 1 };
/* The bit of one; 0: none of those that we use. */
uint16_t kwgi_ipt_base(int table, const char *chain);
/* Of the nth bit: the table, and *chain. */
int kwgi_ipt_base_table(int n, const char **chain);
/* Of the jumps that made one, in r or NULL. */
uint16_t kwgi_ipt_made_bases(const struct kwgi_ipt_rules *r);
bool kwgi_ipt_has_made(const struct kwgi_ipt_jump *j);
const char *kwgi_ipt_table_name(int table);

/*
 * The rules of a plan for the family of what is here, in a's memory. mark: that of the default
 * route (steps/default.h), 0: it is not taken. tunnel: the device of
 * that of the location, or "". 0 or -1 (no memory).
 */
int kwgi_ipt_build(struct kwgi_ipt_rules *out, struct kwgi_arena *a, const struct kwg_plan *plan,
		   const struct kwgi_ipt_rules *here, uint32_t mark, const char *tunnel);

/*
 * What is of kilowg, of whichever mesh, in what iptables-save prints. Lines that
 * it does not understand are of others. 0 or -1 (no memory).
 */
int kwgi_ipt_parse(struct kwgi_ipt_rules *out, struct kwgi_arena *a, const char *text, size_t len);

/*
 * Of all, what belongs to one of these interfaces, or hangs on a jump whose mark is accepted.
 * 0 or -1 (no memory).
 */
int kwgi_ipt_pick(struct kwgi_ipt_rules *out, struct kwgi_arena *a,
		  const struct kwgi_ipt_rules *all,
		  const char (*ifnames)[KWGI_IFNAME_MAX + 1], uint32_t n_ifnames,
		  bool (*accepts)(const char *mark, const void *arg), const void *arg);

/* A chain that is wanted and there, but not among those that are ours; NULL: none. */
const char *kwgi_ipt_clash(const struct kwgi_ipt_rules *want, const struct kwgi_ipt_rules *have,
			   const struct kwgi_ipt_rules *all);

/* iptables_parse.c: do two rules say the same? */
bool kwgi_ipt_equal_rules(const char *a, const char *b);

bool kwgi_ipt_is_empty(const struct kwgi_ipt_rules *r);

/*
 * Do they do the same? Not the order of options or how a protocol is called
 * counts, nor what stands before a jump, as long as that drops not everything.
 */
bool kwgi_ipt_equal(const struct kwgi_ipt_rules *want, const struct kwgi_ipt_rules *have);

/*
 * What iptables-restore --noflush has to read to get from one to the other.
 * NULL: nothing. Tables that are equal are left out.
 */
void kwgi_ipt_format(struct kwgi_buf *b, const struct kwgi_ipt_rules *to,
		     const struct kwgi_ipt_rules *from);

/* "iptables", "ip6tables-legacy": the start of the names of the programs for it. */
const char *kwgi_ipt_program(const struct kwgi_ipt_rules *r);

/* For people: "chains a, b with 3 rules". */
void kwgi_ipt_describe(struct kwgi_buf *b, const struct kwgi_ipt_rules *r);

#endif
