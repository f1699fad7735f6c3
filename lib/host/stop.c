/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "host/stop.h"

/* Of a descriptor that is none the other end has gone, too. */
static bool wait_until(const struct kwgi_stop *stop, int ms)
{
	struct pollfd p = { .fd = stop && stop->has_fd ? stop->fd : -1, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

bool kwgi_stop_cancelled(const struct kwgi_stop *stop)
{
	return stop && stop->has_fd && wait_until(stop, 0);
}

bool kwgi_stop_asked(const struct kwgi_stop *stop)
{
	return kwgi_stop_cancelled(stop) || (stop && stop->asked && stop->asked(stop->arg));
}

void kwgi_stop_pause(const struct kwgi_stop *stop, int ms)
{
	(void)wait_until(stop, ms < KWGI_STOP_LOOK ? ms : KWGI_STOP_LOOK);
}

int kwgi_stop_fail(const struct kwgi_stop *stop, struct kwg_error *err, const char *fmt, ...)
{
	bool cancelled = kwgi_stop_cancelled(stop);
	char before[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(before, sizeof(before), fmt, ap);
	va_end(ap);
	return kwgi_fail(err, cancelled ? KWG_ERR_CANCELLED : KWG_ERR_STOPPED, 0, "%s before %s",
			 cancelled ? "cancelled" : "stopped", before);
}
