/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Endpoints that are names: when they are looked up, and which of the answers
 * is taken. Rotating answers, a dead name server and a peer that moves about
 * must not disturb what works.
 */
#ifndef KWGI_NAMES_H
#define KWGI_NAMES_H

#include "steps/snapshot.h"

struct kwgi_name_answer {
	struct kwgi_addr addr;
	bool reachable;		/* the host has a route to it */
};

/*
 * The turn of an address, of a name that has several. It is kept from one run to the next
 * (host/turns.h), whoever runs it.
 */
struct kwgi_turn {
	struct kwgi_key key;		/* of the peer */
	struct kwgi_addr addr;		/* family NONE: its name has one address, or none yet */
	int64_t since;			/* of asking there without an answer; seconds since the start of the host */
	uint64_t rx_bytes, tx_bytes;	/* of the peer, then */
	bool waits;			/* for an answer: see soon whether it is the next one's turn */
};

enum { KWGI_NAMES_PATIENCE = 15 };	/* seconds without an answer until the next address is tried */

/* Does the plan leave the address of this peer's endpoint to a lookup? */
bool kwgi_names_is_named(const struct kwgi_wg_peer *p);

/*
 * Has a session that works now, so that nothing about it is looked up or
 * changed? have: what WireGuard has of the peer, or NULL; now: seconds since 1970.
 */
bool kwgi_names_works(const struct kwgi_host_peer *have, int64_t now);

/* It works: where it is would be the first to be tried if the interface were made anew. */
void kwgi_names_rest(struct kwgi_turn *turn, const struct kwgi_host_peer *have, int64_t now);

/*
 * The endpoint for a peer without such a session. The address in use stays if
 * it is among the answers, with the port that was learnt if the peer roams;
 * otherwise the first answer counts, IPv4 before IPv6 and low before high.
 * Addresses that cannot be reached are none. If there is another address and
 * WireGuard has asked the one in use for some time without an answer, it is the
 * next one's turn, from the last on to the first. turn: of this peer, as it was
 * left the last time. now: seconds since the start of the host. False, *out and
 * *turn untouched: no answer is of use.
 */
bool kwgi_names_choose(struct kwgi_endpoint *out, struct kwgi_turn *turn,
		       const struct kwgi_wg_peer *p, const struct kwgi_host_peer *have,
		       const struct kwgi_name_answer *answers, uint32_t n, int64_t now);

#endif
