/* SPDX-License-Identifier: ISC */
/*
 * Endpoints that are names: when they are looked up, and which of the answers
 * is taken. Rotating answers, a dead name server and a peer that moves about
 * must not disturb what works.
 */
#ifndef KWGI_NAMES_H
#define KWGI_NAMES_H

#include "steps/snapshot.h"

struct kwgi_answer {
	struct kwgi_addr addr;
	bool reachable;		/* the host has a route to it */
};

/* Does the plan leave the address of this peer's endpoint to a lookup? */
bool kwgi_names_is_named(const struct kwgi_wg_peer *p);

/*
 * Has a session that works now, so that nothing about it is looked up or
 * changed? have: what WireGuard has of the peer, or NULL; now: seconds since 1970.
 */
bool kwgi_names_works(const struct kwgi_host_peer *have, int64_t now);

/*
 * The endpoint for a peer without such a session. The address in use stays if
 * it is among the answers, with the port that was learnt if the peer roams;
 * otherwise the first answer counts, IPv4 before IPv6 and low before high.
 * Addresses that cannot be reached are none. False, *out untouched: no answer
 * is of use.
 */
bool kwgi_names_choose(struct kwgi_endpoint *out, const struct kwgi_wg_peer *p,
		       const struct kwgi_host_peer *have, const struct kwgi_answer *answers,
		       uint32_t n);

#endif
