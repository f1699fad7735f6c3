/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What the parts of the device call of each other; the device is held alone.
 *
 * handshake.c, send.c, timers.c and deferred.c call each other in a circle, which is no lack of
 * layers but the protocol's state machine (WireGuard paper, section 6): sending may need a
 * handshake, a handshake that is done sends what has waited, both arm timers, and a timer that
 * is due sends or begins a handshake. It is a circle of files, not of calls: each function calls
 * only what stands further down here, so none comes back to itself. Read it from the bottom.
 *
 *  kwgi_work_handshakes()   answers initiations; a response begins a session, and is confirmed
 *  kwgi_timers_work()       does what is due
 *  kwgi_receive_slow()      notes a new path; a confirmed session sends what has waited
 *  kwgi_send_slow()         lets a packet wait
 *  kwgi_send_keepalive()    lets an empty one wait if nothing else does
 *  kwgi_send_staged()       sends all that waits, or initiates
 *  kwgi_run_deferred()      schedules or initiates, as sending and receiving have noted
 *  kwgi_initiate()          sends an initiation, but not too soon after the last
 *  kwgi_timers_any_sent()   and the others that say what has happened: write down what is due when
 */
#ifndef KWGI_PROTOCOL_H
#define KWGI_PROTOCOL_H

#include "dp/device.h"

/* What an index of the device's table names. */
enum {
	KWGI_INDEX_HANDSHAKE,	/* a peer: its handshake */
	KWGI_INDEX_KEYPAIR,
};

/* The session of an index, or NULL. */
static inline struct kwgi_keypair *kwgi_session(const struct kwgi_device *d, uint32_t index)
{
	uint32_t tag;
	void *value = kwgi_indextable_lookup(&d->indices, index, &tag);

	return value && tag == KWGI_INDEX_KEYPAIR ? value : NULL;
}

/* ---- handshake.c: requests ------------------------------------ */

/* Sends an initiation unless the pause since the last handshake message is on. retry: by the timer. */
void kwgi_initiate(struct kwgi_device *d, struct kwgi_dp_peer *p, bool retry,
		   const struct kwgi_time *t);

/* Has it type and length of a handshake message, cookie replies included? */
bool kwgi_is_handshake(const uint8_t *msg, size_t len);
/* The i-th of the handshakes that wait; room for one more at the end, NULL without memory. */
struct kwgi_queued_handshake *kwgi_device_queued(struct kwgi_device *d, unsigned i);
struct kwgi_queued_handshake *kwgi_device_queue_add(struct kwgi_device *d);

/* ---- send.c ------------------------------------ */

/* Sends what waits if there is a session, and asks for one if there is none. */
void kwgi_send_staged(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_time *t);
/* An empty packet; if something waits, that is sent instead. */
void kwgi_send_keepalive(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_time *t);

/* ---- timers.c: each is called after what it says ------------------------------ */

/* These four in any thread. They return true if the peer has to be scheduled anew. */
bool kwgi_timers_data_sent(struct kwgi_dp_peer *p, uint64_t now);
bool kwgi_timers_data_received(struct kwgi_dp_peer *p, uint64_t now);
bool kwgi_timers_any_sent(struct kwgi_dp_peer *p, uint64_t now);
bool kwgi_timers_any_received(struct kwgi_dp_peer *p, uint64_t now);

/* Or is to be sent as soon as it may be: it is repeated when the pause since the last is over. */
void kwgi_timers_initiation_sent(struct kwgi_device *d, struct kwgi_dp_peer *p);
/* One is to be sent now, if the device is up. */
void kwgi_timers_initiation_due(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t now);
void kwgi_timers_handshake_complete(struct kwgi_dp_peer *p, const struct kwgi_time *t);
void kwgi_timers_session_derived(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t now);
/* A keepalive is to be sent now, if the device is up. */
void kwgi_timers_keepalive_due(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t now);
/* due: when the next persistent keepalive is. */
void kwgi_timers_persistent_changed(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t due);
void kwgi_timers_stop(struct kwgi_device *d, struct kwgi_dp_peer *p);

/* Up to REKEY_TIMEOUT_JITTER, in ns: so that two who began at once do not meet for ever. */
uint64_t kwgi_timers_jitter(const struct kwgi_device *d);
/* Puts the peer where its earliest timer belongs. */
void kwgi_timers_schedule(struct kwgi_device *d, struct kwgi_dp_peer *p);
/* Room for one more peer; 0 or -1. */
int kwgi_timers_reserve(struct kwgi_device *d);

static inline void kwgi_tell(const struct kwgi_device *d, const struct kwgi_dp_peer *p,
			     enum kwgi_event event)
{
	if (d->io.event)
		d->io.event(d->io.arg, p, event);
}

#endif
