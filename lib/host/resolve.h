/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Looking host names up, many at the same time and with a deadline. */
#ifndef KWGI_RESOLVE_H
#define KWGI_RESOLVE_H

#include "host/stop.h"
#include "kilowg.h"
#include "steps/names.h"

struct kwgi_lookup {
	const char *host;
	struct kwgi_name_answer *answers;	/* of kwgi_resolve(); NULL: none */
	uint32_t n;
	const char *why;		/* no answers: the reason; a constant, in English */
};

/* The reason of those that had no answer when the time was up. */
extern const char kwgi_resolve_late[];

/*
 * Looks all of them up as the host's other programs do (nsswitch.conf, the hosts
 * file, search domains), and returns when all have an answer, or after so many
 * milliseconds: what has none by then has why set. fwmark: of the packets that
 * the answers are for, 0 for none. A name without an answer is no error. stop (may be NULL) ends it
 * when it is cancelled: KWG_ERR_CANCELLED. KWG_ERR_NOMEM. Free with kwgi_resolve_free().
 *
 * getaddrinfo() cannot be broken off, so each name has a thread, and one that
 * still waits for a server when the time is up ends by itself when the C library
 * gives up, some seconds later, and frees what it holds.
 */
int kwgi_resolve(struct kwgi_lookup *lookups, uint32_t n, unsigned timeout_ms, uint32_t fwmark,
		 const struct kwgi_stop *stop, struct kwg_error *err);
void kwgi_resolve_free(struct kwgi_lookup *lookups, uint32_t n);

#endif
