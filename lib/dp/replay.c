/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "dp/replay.h"

enum { WORDS = KWGI_REPLAY_BITS / 64 };

/* Moves the window up to counter: words that it newly covers are of the round before. */
static void advance(struct kwgi_replay *r, uint64_t counter)
{
	uint64_t from = r->last / 64, n = counter / 64 - from, i;

	if (n > WORDS)
		n = WORDS;
	for (i = 1; i <= n; i++)
		r->ring[(from + i) % WORDS] = 0;
	r->last = counter;
}

bool kwgi_replay_check_and_set(struct kwgi_replay *r, uint64_t counter)
{
	uint64_t *word = &r->ring[counter / 64 % WORDS], bit = UINT64_C(1) << counter % 64;

	if (counter >= KWGI_REPLAY_LIMIT)
		return false;
	if (counter > r->last)
		advance(r, counter);
	else if (r->last - counter > KWGI_REPLAY_WINDOW || *word & bit)
		return false;
	*word |= bit;
	return true;
}
