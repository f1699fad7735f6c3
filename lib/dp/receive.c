/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* From the network to the host: message -> session -> opened packet -> its sender checked. */
#include <string.h>

#include "dp/deferred.h"
#include "dp/ippacket.h"
#include "dp/protocol.h"

/* ---- many at once, in any thread ------------------------------------ */

/* A short critical section, seldom met by another thread: sessions stay on one socket. */
static void lock_replay(struct kwgi_keypair *kp)
{
	while (atomic_flag_test_and_set_explicit(&kp->replay_lock, memory_order_acquire))
		;
}

static void unlock_replay(struct kwgi_keypair *kp)
{
	atomic_flag_clear_explicit(&kp->replay_lock, memory_order_release);
}

static void open_run(struct kwgi_device *d, struct kwgi_keypair *kp, struct kwgi_incoming *v,
		     unsigned n)
{
	struct kwgi_aead_packet a[KWGI_BATCH];
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct kwgi_transport *header = (const void *)v[i].message;

		a[i].data = v[i].message + sizeof(*header);
		a[i].len = v[i].message_len - KWGI_TRANSPORT_MIN;
		a[i].counter = kwgi_get64(header->counter);
	}
	d->aead->open(kp->receive_key.b, a, n);
	lock_replay(kp);
	for (i = 0; i < n; i++) {
		v[i].packet = a[i].data;
		v[i].packet_len = a[i].len;
		if (!a[i].ok)
			v[i].status = KWGI_DROPPED_NOT_AUTHENTIC;
		else if (!kwgi_replay_check_and_set(&kp->replay, a[i].counter))
			v[i].status = KWGI_DROPPED_REPLAY;
		else
			v[i].status = a[i].len ? KWGI_RECEIVED_PACKET : KWGI_RECEIVED_KEEPALIVE;
	}
	unlock_replay(kp);
}

/* Is it an IP packet, whole, and from an address that is the peer's? */
static enum kwgi_receive_status judge(const struct kwgi_device *d, const struct kwgi_dp_peer *p,
				      struct kwgi_incoming *in, const uint8_t **last_source)
{
	struct kwgi_ip ip;
	const void *owner;

	if (kwgi_ip_parse(&ip, in->packet, in->packet_len))
		return KWGI_DROPPED_CONTENT;
	/* Packets of a batch tend to come from one address; a found one is good again. */
	if (!*last_source || ip.addr_len != (**last_source >> 4 == 4 ? 4 : 16) ||
	    memcmp(*last_source + (ip.src - in->packet), ip.src, ip.addr_len)) {
		owner = ip.version == 4 ? kwgi_allowedips_lookup4(&d->allowed_ips, ip.src) :
					  kwgi_allowedips_lookup6(&d->allowed_ips, ip.src);
		if (owner != p)
			return KWGI_DROPPED_SOURCE;
		*last_source = in->packet;
	}
	if (kwgi_ecn_decap(in->packet, in->tos))
		return KWGI_DROPPED_CONTENT;
	in->packet_len = ip.len;
	return KWGI_RECEIVED_PACKET;
}

/* A session whose last minute has come, and that we began, is replaced even if we only listen. */
static bool wants_last_minute(const struct kwgi_keypair *kp, uint64_t now)
{
	return kp && kp->initiator && !kp->peer->last_minute_sent &&
	       now - kp->created >= REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
}

/* n messages of one session. */
static void receive_run(struct kwgi_device *d, struct kwgi_keypair *kp, struct kwgi_incoming *v,
			unsigned n, uint64_t now, struct kwgi_deferred *todo)
{
	struct kwgi_incoming *last = NULL;
	const uint8_t *last_source = NULL;
	struct kwgi_dp_peer *p = kp->peer;
	bool data = false, reschedule;
	uint64_t bytes = 0;
	unsigned i;

	open_run(d, kp, v, n);
	for (i = 0; i < n; i++) {
		if (v[i].status != KWGI_RECEIVED_PACKET && v[i].status != KWGI_RECEIVED_KEEPALIVE)
			continue;
		bytes += v[i].message_len;
		last = &v[i];
		if (v[i].status == KWGI_RECEIVED_KEEPALIVE)
			continue;
		data = true;
		v[i].status = judge(d, p, &v[i], &last_source);
	}
	if (!last)
		return;
	last->index = kp->local_index;
	last->slow = kwgi_peer_is_unconfirmed(p, kp) || !kwgi_path_same(&p->path, last->from);
	atomic_fetch_add_explicit(&p->rx_bytes, bytes, memory_order_relaxed);
	reschedule = kwgi_timers_any_received(p, now);
	if (data)
		reschedule |= kwgi_timers_data_received(p, now);
	if (wants_last_minute(p->current, now))
		kwgi_defer(todo, kp, KWGI_DEFER_LAST_MINUTE);
	else if (reschedule)
		kwgi_defer(todo, kp, KWGI_DEFER_SCHEDULE);
}

/* The session of a transport message, or NULL with the status that says why not. */
static struct kwgi_keypair *classify(const struct kwgi_device *d, struct kwgi_incoming *in,
				     uint64_t now)
{
	const struct kwgi_transport *header = (const void *)in->message;
	struct kwgi_keypair *kp;

	in->slow = false;
	in->status = KWGI_DROPPED_MALFORMED;
	if (in->message_len < KWGI_TRANSPORT_MIN)
		return NULL;
	switch (kwgi_get32(header->type)) {
	case KWGI_MSG_INITIATION:
	case KWGI_MSG_RESPONSE:
	case KWGI_MSG_COOKIE_REPLY:
		in->status = KWGI_RECEIVED_HANDSHAKE;
		return NULL;
	case KWGI_MSG_TRANSPORT:
		in->status = KWGI_DROPPED_NO_SESSION;
		kp = kwgi_session(d, kwgi_get32(header->receiver));
		return kp && kwgi_keypair_receives(kp, now) ? kp : NULL;
	}
	return NULL;
}

void kwgi_receive_batch(struct kwgi_device *d, struct kwgi_incoming *v, unsigned n, uint64_t now,
			struct kwgi_deferred *todo)
{
	struct kwgi_keypair *kp, *run = NULL;
	unsigned i, first = 0;

	for (i = 0; i < n; i++) {
		kp = classify(d, &v[i], now);
		if (kp == run && i - first < KWGI_BATCH)
			continue;
		if (run)
			receive_run(d, run, v + first, i - first, now, todo);
		run = kp;
		first = i;
	}
	if (run)
		receive_run(d, run, v + first, n - first, now, todo);
}

/* ---- alone ------------------------------------ */

void kwgi_receive_slow(struct kwgi_device *d, const struct kwgi_incoming *in,
		       const struct kwgi_time *t)
{
	struct kwgi_keypair *kp = kwgi_session(d, in->index);
	struct kwgi_dp_peer *p;

	/* The session may have ended since. */
	if (!in->slow || !kp)
		return;
	p = kp->peer;
	kwgi_peer_moved(d, p, in->from);
	if (kwgi_peer_is_unconfirmed(p, kp)) {
		kwgi_peer_confirm_next(d, p);
		kwgi_timers_handshake_complete(p, t);
		kwgi_send_staged(d, p, t);
	}
}

enum kwgi_receive_status kwgi_device_receive(struct kwgi_device *d, struct kwgi_incoming *in,
					     const struct kwgi_time *t)
{
	struct kwgi_deferred todo = { 0 };

	if (!d->up)
		return KWGI_DROPPED_NO_SESSION;
	kwgi_receive_batch(d, in, 1, t->now, &todo);
	if (in->status == KWGI_RECEIVED_HANDSHAKE) {
		kwgi_queue_handshake(d, in, t->now);
		kwgi_work_handshakes(d, 1, t);
	}
	kwgi_receive_slow(d, in, t);
	kwgi_run_deferred(d, &todo, t);
	return in->status;
}
