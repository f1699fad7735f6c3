/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Which counters of a session have been seen: the ring of RFC 6479, so that
 * the window moves without shifting bits. Only authentic packets may move it.
 * The caller holds the lock of the session.
 */
#ifndef KWGI_REPLAY_H
#define KWGI_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum {
	KWGI_REPLAY_BITS = 8192,
	/* One word of the ring is always the one that is being filled. */
	KWGI_REPLAY_WINDOW = KWGI_REPLAY_BITS - 64,
};

/* REJECT_AFTER_MESSAGES of the paper, section 6.1: 2^64 - 2^13 - 1. */
#define KWGI_REPLAY_LIMIT (UINT64_MAX - (UINT64_C(1) << 13))

/* A zeroed filter is that of a new session. */
struct kwgi_replay {
	uint64_t last;				/* the highest accepted */
	uint64_t ring[KWGI_REPLAY_BITS / 64];	/* bit c % KWGI_REPLAY_BITS: c was seen */
};

/*
 * True, and remembers it, for a counter below the limit that was not seen
 * before and is not more than KWGI_REPLAY_WINDOW below the highest accepted.
 */
bool kwgi_replay_check_and_set(struct kwgi_replay *r, uint64_t counter);

#endif
