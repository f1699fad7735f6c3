/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Do the sticky sources of peers still do? A source is given up when it is no address of ours any
 * more, and rests while the way to the peer leads through another interface than when it was met:
 * then the kernel chooses one that belongs to the new way, and the peer follows. That the way out is
 * not the way in, as with two uplinks, is no reason.
 *
 * Notices of the kernel say where to look. The questions are asked in turns, and without any lock,
 * so that packets wait for none of them; whole passes over the peers keep a distance that grows
 * with what they cost.
 *
 * With worker.h it is in a circle of files: a pass takes the locks of the workers, and the worker
 * that lets them all go wakes the first one for the next pass.
 */
#ifndef KWGI_SOURCES_H
#define KWGI_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/key.h"
#include "userspace/route.h"

struct kwgi_worker;

/* A struct of zeros has nothing to do. */
struct kwgi_sources {
	struct kwgi_changes heard;	/* for the next pass */
	struct kwgi_changes now;	/* of the pass that is on */
	bool running, begun;
	struct kwgi_key cursor;		/* the peer where it goes on, once begun */
	uint64_t not_before;		/* ns: of the next pass */
	uint64_t spent;			/* ns in questions of this pass */
};

/* For the first worker, holding no lock: takes the notices, with its own. */
void kwgi_sources_notices(struct kwgi_worker *w);
/* When kwgi_sources_work() has something to do: 0 now, UINT64_MAX never. The worker's lock is held. */
uint64_t kwgi_sources_deadline(const struct kwgi_worker *w);
/* A turn, if it is due. It takes the locks that it needs. */
void kwgi_sources_work(struct kwgi_worker *w, uint64_t now);

#endif
