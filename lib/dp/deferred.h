/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Deferred work. kwgi_send_batch() and kwgi_receive_batch() run in several threads, and may
 * neither begin a handshake nor put a peer elsewhere among the timers. They note the session
 * and the reason instead; once the caller holds the device alone, it has the work done.
 */
#ifndef KWGI_DEFERRED_H
#define KWGI_DEFERRED_H

#include "dp/device.h"

enum kwgi_defer_reason {
	KWGI_DEFER_SCHEDULE,		/* a timer is due earlier than its peer is scheduled */
	KWGI_DEFER_REKEY,		/* the session is getting old, and was used to send */
	KWGI_DEFER_LAST_MINUTE,		/* it ends soon, and we only listen */
};

/* What one caller's batches have found. What finds no room is found again later. */
struct kwgi_deferred {
	unsigned n;
	struct {
		uint32_t index;		/* of the session: it may have ended by then */
		enum kwgi_defer_reason reason;
	} v[32];
};

/* Notes a session for kwgi_run_deferred(), once. In any thread. */
static inline void kwgi_defer(struct kwgi_deferred *todo, struct kwgi_keypair *kp,
			      enum kwgi_defer_reason reason)
{
	if (todo->n == sizeof(todo->v) / sizeof(*todo->v) ||
	    atomic_flag_test_and_set_explicit(&kp->peer->deferred, memory_order_relaxed))
		return;
	todo->v[todo->n].index = kp->local_index;
	todo->v[todo->n++].reason = reason;
}

/* Does what is due for sessions: rekeying, timers. Empties the list. */
void kwgi_run_deferred(struct kwgi_device *d, struct kwgi_deferred *todo,
		       const struct kwgi_time *t);

#endif
