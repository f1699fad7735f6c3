/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "steps/pace.h"

enum {
	LONGEST = 60 * 1000,		/* ms between repairs that do not last */
	FREE_REPAIRS = 2,		/* in a row after which the same one may follow at once */
	CALM = 10 * 1000,		/* ms without it, on top of twice its wait: forgotten */
	MAX_LEVEL = 16,
};

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* 1, 2, 4 ... 60 s. */
static uint64_t doubled(unsigned n)
{
	return n > 6 ? LONGEST : min_of(1000u << n, LONGEST);
}

void kwgi_pace_init(struct kwgi_pace *p, uint64_t now, uint32_t jitter)
{
	*p = (struct kwgi_pace){
		.retry = KWGI_PACE_NEVER,
		.interval = KWGI_PACE_REFRESH + jitter % KWGI_PACE_JITTER,
	};
	p->refresh = now + p->interval;
}

void kwgi_pace_notice(struct kwgi_pace *p, uint64_t now)
{
	if (!p->first)
		p->first = now;
	p->last = now;
}

void kwgi_pace_hurry(struct kwgi_pace *p, uint64_t now)
{
	p->refresh = min_of(p->refresh, now + KWGI_PACE_QUIET);
}

void kwgi_pace_turn(struct kwgi_pace *p, uint64_t now)
{
	p->refresh = min_of(p->refresh, now + KWGI_PACE_TURN);
}

/* When the notices that have come are to be looked after. */
static uint64_t burst_end(const struct kwgi_pace *p)
{
	if (!p->first)
		return KWGI_PACE_NEVER;
	return max_of(min_of(p->last + KWGI_PACE_QUIET, p->first + KWGI_PACE_BURST), p->not_before);
}

uint64_t kwgi_pace_next(const struct kwgi_pace *p)
{
	return min_of(burst_end(p), min_of(p->retry, p->refresh));
}

enum kwgi_pace_due kwgi_pace_take(struct kwgi_pace *p, uint64_t now)
{
	bool all = p->refresh <= now;

	if (kwgi_pace_next(p) > now)
		return KWGI_PACE_NOTHING;
	if (all)
		p->refresh = now + p->interval;
	p->first = 0;
	p->retry = KWGI_PACE_NEVER;
	return all ? KWGI_PACE_ALL : KWGI_PACE_LOOK;
}

/* ---- what came of a look ---------------------------------------------- */

void kwgi_pace_nothing(struct kwgi_pace *p, uint64_t now)
{
	/* On a host where much goes on that is not ours, looks get rarer. */
	p->fruitless = now - p->looked < 2 * KWGI_PACE_NOISE ? p->fruitless + 1 : 0;
	p->not_before = now + (p->fruitless > 4 ? KWGI_PACE_NOISE
						: min_of((uint64_t)KWGI_PACE_QUIET << p->fruitless,
							 KWGI_PACE_NOISE));
	p->looked = now;
	p->failures = 0;
}

void kwgi_pace_failed(struct kwgi_pace *p, uint64_t now)
{
	p->looked = now;
	p->not_before = now + KWGI_PACE_BURST;
	p->retry = now + doubled(p->failures);
	if (p->failures < MAX_LEVEL)
		p->failures++;
}

void kwgi_pace_locked(struct kwgi_pace *p, uint64_t now)
{
	p->retry = now + KWGI_PACE_LOCKED;
}

static uint64_t wait_after(unsigned level)
{
	return level <= FREE_REPAIRS ? 0 : doubled(level - FREE_REPAIRS - 1);
}

static struct kwgi_pace_slot *slot_of(struct kwgi_pace *p, uint64_t hash)
{
	return &p->slots[hash % KWGI_PACE_SLOTS];
}

bool kwgi_pace_may_run(struct kwgi_pace *p, const uint64_t *hashes, size_t n, uint64_t now)
{
	uint64_t at, soonest = KWGI_PACE_NEVER;
	size_t i;

	p->looked = now;
	p->failures = p->fruitless = 0;
	for (i = 0; i < n; i++) {
		const struct kwgi_pace_slot *s = slot_of(p, hashes[i]);

		at = s->level ? s->last + wait_after(s->level) : now;
		soonest = min_of(soonest, at);
	}
	if (!n || soonest <= now)
		return true;
	p->retry = soonest;
	/* What is new is repaired at once, so look on, but not at each blow. */
	p->not_before = now + KWGI_PACE_NOISE;
	return false;
}

static void raise_level(struct kwgi_pace_slot *s, bool failed, uint64_t now)
{
	if (s->level && now - s->last > 2 * wait_after(s->level) + CALM)
		s->level = 0;
	if (s->level < MAX_LEVEL)
		s->level++;
	/* What the kernel refuses it will refuse again. */
	if (failed && s->level <= FREE_REPAIRS)
		s->level = FREE_REPAIRS + 1;
	s->last = now;
}

uint64_t kwgi_pace_ran(struct kwgi_pace *p, const uint64_t *hashes, size_t n, bool failed,
		       uint64_t now)
{
	uint64_t soonest = KWGI_PACE_NEVER;
	size_t i;

	for (i = 0; i < n; i++) {
		struct kwgi_pace_slot *s = slot_of(p, hashes[i]);

		/* Once for all that share it. */
		if (!s->level || s->last != now)
			raise_level(s, failed, now);
		soonest = min_of(soonest, wait_after(s->level));
	}
	p->not_before = 0;
	kwgi_pace_notice(p, now);
	return n ? soonest : 0;
}

/* FNV-1a. */
uint64_t kwgi_pace_hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return h ^ h >> 32;
}
