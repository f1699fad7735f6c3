/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * How many handshakes one source may cause while the device is under load:
 * 20 in a second and 5 at once, for an IPv4 address or an IPv6 /64. The table
 * has a fixed size; a secret seed keeps senders from choosing sources that
 * fall on one place of it.
 */
#ifndef KWGI_RATELIMITER_H
#define KWGI_RATELIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

enum { KWGI_RATELIMITER_SEED = 16 };

struct kwgi_ratelimiter_slot;

struct kwgi_ratelimiter {
	struct kwgi_ratelimiter_slot *slots;
	uint32_t mask;
	uint8_t seed[KWGI_RATELIMITER_SEED];
};

/*
 * A table for about so many sources at a time (24 bytes each; 8192 is plenty:
 * a source takes its place for 50 ms per handshake). seed is random. 0, or -1
 * without memory; nothing is allocated later. Ends with kwgi_ratelimiter_free().
 */
int kwgi_ratelimiter_init(struct kwgi_ratelimiter *r, uint32_t sources,
			  const uint8_t seed[KWGI_RATELIMITER_SEED]);
void kwgi_ratelimiter_free(struct kwgi_ratelimiter *r);

/*
 * Takes one handshake from the budget of a source; false if there is none
 * left, or no place for one more source. now: nanoseconds of a clock that
 * does not go back.
 */
bool kwgi_ratelimiter_allow(struct kwgi_ratelimiter *r, const struct kwgi_addr *source,
			    uint64_t now);

#endif
