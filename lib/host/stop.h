/* SPDX-License-Identifier: ISC */
/* Whether the caller wants to wait no longer. */
#ifndef KWGI_STOP_H
#define KWGI_STOP_H

#include <stdbool.h>
#include <stddef.h>

enum { KWGI_STOP_LOOK = 100 };	/* ms between two questions */

struct kwgi_stop {
	bool (*asked)(void *arg);	/* NULL: never */
	void *arg;
};

/* stop may be NULL. */
static inline bool kwgi_stop_asked(const struct kwgi_stop *stop)
{
	return stop && stop->asked && stop->asked(stop->arg);
}

#endif
