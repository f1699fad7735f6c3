/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdarg.h>
#include <stdio.h>

#include "userspace/worker.h"

/* ---- time and locks ------------------------------------ */

struct kwgi_time kwgi_dataplane_time(void)
{
	struct kwgi_time t = { .now = kwgi_now() };
	uint64_t sec;
	uint32_t nsec;

	kwgi_wall_clock(&sec, &nsec);
	t.wall = sec * KWGI_SECOND + nsec;
	return t;
}

void kwgi_worker_lock(struct kwgi_worker *w)
{
	pthread_mutex_lock(&w->lock);
}

void kwgi_worker_unlock(struct kwgi_worker *w)
{
	pthread_mutex_unlock(&w->lock);
}

void kwgi_worker_lock_all(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	unsigned i;

	for (i = 0; i < p->n_workers; i++)
		pthread_mutex_lock(&p->workers[i].lock);
	p->alone = w;
}

void kwgi_worker_unlock_all(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	bool sooner = w != p->workers &&
		      (p->device->queue_len || kwgi_timers_next(p->device) < p->deadline ||
		       kwgi_sources_deadline(w) < p->deadline);
	unsigned i;

	p->alone = NULL;
	for (i = p->n_workers; i--; )
		pthread_mutex_unlock(&p->workers[i].lock);
	if (sooner)
		kwgi_wake_set(p->wake);
}

/* ---- the log ------------------------------------ */

void kwgi_dataplane_say(struct kwgi_dataplane *p, bool error, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (!p->log || (!error && !p->verbose))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	p->log(p->log_arg, error, line);
}
