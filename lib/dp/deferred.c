/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "dp/deferred.h"
#include "dp/protocol.h"

void kwgi_run_deferred(struct kwgi_device *d, struct kwgi_deferred *todo,
		       const struct kwgi_time *t)
{
	struct kwgi_keypair *kp;
	struct kwgi_dp_peer *p;
	unsigned i;

	for (i = 0; i < todo->n; i++) {
		kp = kwgi_session(d, todo->v[i].index);
		if (!kp)
			continue;
		p = kp->peer;
		atomic_flag_clear_explicit(&p->deferred, memory_order_relaxed);
		kwgi_timers_schedule(d, p);
		if (todo->v[i].reason == KWGI_DEFER_SCHEDULE)
			continue;
		if (todo->v[i].reason == KWGI_DEFER_LAST_MINUTE)
			p->last_minute_sent = true;
		kwgi_initiate(d, p, false, t);
	}
	todo->n = 0;
}
