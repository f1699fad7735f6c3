/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A bucket is kept as the moment at which it will be full again: one number
 * instead of tokens and a time of last use (the "virtual scheduling" form of
 * the leaky bucket, ITU-T I.371). A full bucket is as good as none, so its
 * slot is free for others without anybody noticing: nothing has to be swept.
 */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dp/ratelimiter.h"

enum {
	COST = 50 * 1000 * 1000,		/* nanoseconds: 20 in a second */
	CAPACITY = 5 * COST,
	PROBES = 16,				/* slots in which a source may lie */
};

struct kwgi_ratelimiter_slot {
	uint64_t net;				/* IPv4 address, or first half of the IPv6 one */
	uint64_t full_at;			/* nanoseconds; the slot is free from then on */
	uint8_t family;
};

int kwgi_ratelimiter_init(struct kwgi_ratelimiter *r, uint32_t sources,
			  const uint8_t seed[KWGI_RATELIMITER_SEED])
{
	uint32_t n = PROBES;

	while (n < sources && n < UINT32_C(1) << 30)
		n *= 2;
	/* The last place of a source lies up to PROBES - 1 behind its first: no wrapping. */
	r->slots = calloc((size_t)n + PROBES - 1, sizeof(*r->slots));
	r->mask = n - 1;
	memcpy(r->seed, seed, sizeof(r->seed));
	return r->slots ? 0 : -1;
}

void kwgi_ratelimiter_free(struct kwgi_ratelimiter *r)
{
	free(r->slots);
	r->slots = NULL;
	sodium_memzero(r->seed, sizeof(r->seed));
}

/* Where a source may lie: its own slot, else the first free one, else NULL. */
static struct kwgi_ratelimiter_slot *find(struct kwgi_ratelimiter *r, uint64_t net, uint8_t family,
					  uint64_t now)
{
	uint8_t in[9], hash[crypto_shorthash_BYTES];
	struct kwgi_ratelimiter_slot *s, *vacant = NULL;
	uint32_t at;
	unsigned i;

	memcpy(in, &net, sizeof(net));
	in[8] = family;
	crypto_shorthash(hash, in, sizeof(in), r->seed);
	memcpy(&at, hash, sizeof(at));
	s = r->slots + (at & r->mask);
	for (i = 0; i < PROBES; i++, s++) {
		if (s->full_at <= now)
			vacant = vacant ? vacant : s;
		else if (s->net == net && s->family == family)
			return s;
	}
	return vacant;
}

bool kwgi_ratelimiter_allow(struct kwgi_ratelimiter *r, const struct kwgi_addr *source,
			    uint64_t now)
{
	struct kwgi_ratelimiter_slot *s;
	uint64_t net = 0;

	memcpy(&net, source->b, source->family == KWGI_AF_V4 ? 4 : 8);
	s = find(r, net, source->family, now);
	if (!s)
		return false;
	if (s->full_at <= now)
		*s = (struct kwgi_ratelimiter_slot){ net, now, source->family };
	if (s->full_at - now > CAPACITY - COST)
		return false;
	s->full_at += COST;
	return true;
}
