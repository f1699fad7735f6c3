/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Whether the caller wants to wait no longer. */
#ifndef KWGI_STOP_H
#define KWGI_STOP_H

#include <stdbool.h>
#include <stddef.h>

#include "kilowg.h"

enum { KWGI_STOP_LOOK = 100 };	/* ms between two questions */

struct kwgi_stop {
	bool (*asked)(void *arg);	/* NULL: never */
	void *arg;
	bool has_fd;
	int fd;				/* readable: all is to end, not only waiting */
};

/* Is all to end? stop may be NULL, in all of these. */
bool kwgi_stop_cancelled(const struct kwgi_stop *stop);
/* Is waiting to end? */
bool kwgi_stop_asked(const struct kwgi_stop *stop);
/* Sleeps until then or until it is asked, for KWGI_STOP_LOOK ms at most. */
void kwgi_stop_pause(const struct kwgi_stop *stop, int ms);
/* The error of who has stopped: KWG_ERR_CANCELLED or KWG_ERR_STOPPED; before: what has not come yet. */
__attribute__((format(printf, 3, 4)))
int kwgi_stop_fail(const struct kwgi_stop *stop, struct kwg_error *err, const char *fmt, ...);

#endif
