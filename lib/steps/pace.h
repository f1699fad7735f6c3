/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * When to look at the host, and when to repair it: a burst of notices is one
 * look, what others undo again and again is repaired less and less often, and
 * while nothing happens there is nothing to do. Pure: the time comes in, in
 * milliseconds of a clock that never goes back.
 */
#ifndef KWGI_PACE_H
#define KWGI_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KWGI_PACE_NEVER UINT64_MAX

enum {
	KWGI_PACE_QUIET = 50,		/* a burst has ended if nothing came for so long, */
	KWGI_PACE_BURST = 500,		/* or is cut here */
	KWGI_PACE_NOISE = 1000,		/* notices that change nothing: at least so much between looks */
	KWGI_PACE_LOCKED = 200,		/* until the lock is tried again */
	KWGI_PACE_REFRESH = 120 * 1000,	/* names, and what no notice tells */
	KWGI_PACE_TURN = 15 * 1000 + KWGI_PACE_QUIET,	/* an address that does not answer: the next one */
	KWGI_PACE_JITTER = 30 * 1000,	/* not all hosts shall ask at the same time */
	KWGI_PACE_SLOTS = 256,
};

/*
 * What was repaired, by a hash of the step. Two steps that share a slot wait
 * for each other, which is rare and does little harm.
 */
struct kwgi_pace_slot {
	uint64_t last;
	uint8_t level;			/* times in a row; 0: never, or long ago */
};

struct kwgi_pace {
	uint64_t first, last;		/* notices after which nobody has looked; first 0: none */
	uint64_t looked;		/* when somebody last did */
	uint64_t not_before;		/* of the next look after notices */
	uint64_t retry, refresh;	/* KWGI_PACE_NEVER: none is due */
	uint64_t interval;		/* of refresh */
	unsigned fruitless;		/* looks in a row that found nothing */
	unsigned failures;		/* looks in a row that failed */
	struct kwgi_pace_slot slots[KWGI_PACE_SLOTS];
};

enum kwgi_pace_due {
	KWGI_PACE_NOTHING,
	KWGI_PACE_LOOK,
	KWGI_PACE_ALL,			/* look, and ask for names */
};

/* jitter: anything. */
void kwgi_pace_init(struct kwgi_pace *p, uint64_t now, uint32_t jitter);

/* Something has happened. */
void kwgi_pace_notice(struct kwgi_pace *p, uint64_t now);
/* Ask for names as soon as the present burst is over. */
void kwgi_pace_hurry(struct kwgi_pace *p, uint64_t now);
/* Ask for them when an address that is being tried has had its time. */
void kwgi_pace_turn(struct kwgi_pace *p, uint64_t now);

/* When something will be due; KWGI_PACE_NEVER. */
uint64_t kwgi_pace_next(const struct kwgi_pace *p);
/* What is due; it then counts as done. */
enum kwgi_pace_due kwgi_pace_take(struct kwgi_pace *p, uint64_t now);

/* ---- what came of a look ---------------------------------------------- */

/* Nothing differs. */
void kwgi_pace_nothing(struct kwgi_pace *p, uint64_t now);
/* It failed; events may bring the next one forward. */
void kwgi_pace_failed(struct kwgi_pace *p, uint64_t now);
/* Another one is at work on this host. */
void kwgi_pace_locked(struct kwgi_pace *p, uint64_t now);
/*
 * These steps are due. False: all of them were repaired too short ago, and too
 * often; a look will be due when the first may be tried again.
 */
bool kwgi_pace_may_run(struct kwgi_pace *p, const uint64_t *hashes, size_t n, uint64_t now);
/*
 * These steps were run; look whether they held. Returns for how many
 * milliseconds the same ones will be left alone if they are due again.
 */
uint64_t kwgi_pace_ran(struct kwgi_pace *p, const uint64_t *hashes, size_t n, bool failed,
		       uint64_t now);

/* Of the line of a step. */
uint64_t kwgi_pace_hash(const char *text);

#endif
