/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Handshake messages, out and in, and what protects us from those who only
 * want to make us compute (WireGuard paper, sections 5.3 and 5.4.7).
 */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dp/protocol.h"

enum { QUEUE_FIRST = 4 };	/* a device worked off after each datagram needs no more */

/* ---- out ------------------------------------ */

static void send_handshake(struct kwgi_device *d, struct kwgi_dp_peer *p, void *msg, size_t len,
			   const struct kwgi_time *t)
{
	kwgi_cookie_add_macs(&p->cookie, msg, len, t->now);
	p->last_handshake_sent = t->now;
	p->handshake_pause = REKEY_TIMEOUT + kwgi_timers_jitter(d);
	atomic_fetch_add_explicit(&p->tx_bytes, len, memory_order_relaxed);
	kwgi_timers_any_sent(p, t->now);
	d->io.send(d->io.arg, &p->path, msg, len, KWGI_TOS_HANDSHAKE);
}

static void random_bytes(const struct kwgi_device *d, void *out, size_t len)
{
	d->io.random(d->io.arg, out, len);
}

/* Computed when first needed: a device may have thousands of peers that never talk. */
static const struct kwgi_remote *remote_of(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	if (!p->remote.has_static_static)
		kwgi_remote_precompute(&p->remote, &d->identity);
	return &p->remote;
}

/* For kwgi_indextable_insert(). */
static void draw_index(void *ctx, void *out, size_t len)
{
	const struct kwgi_device *d = ctx;
	uint32_t i;

	random_bytes(d, &i, sizeof(i));
	if (d->index_bits)
		i = i >> d->index_bits | d->index_prefix << (32 - d->index_bits);
	/* Who looks for the receiver of a datagram by its index takes 0 for none. */
	if (d->index_bits && !i)
		i = 1;
	memcpy(out, &i, len);
}

static bool create_initiation(struct kwgi_device *d, struct kwgi_dp_peer *p,
			      struct kwgi_initiation *msg, uint64_t wall)
{
	uint8_t random[32], timestamp[KWGI_TIMESTAMP_LEN];
	bool ok;

	kwgi_peer_drop_handshake(d, p);
	if (kwgi_indextable_insert(&d->indices, KWGI_INDEX_HANDSHAKE, p, draw_index, d,
				   &p->handshake.local_index))
		return false;
	p->handshake_indexed = true;
	/*
	 * The peer takes none that is not greater than all before (section 5.1 of
	 * the paper), also if our wall clock has been set back.
	 */
	if (wall < p->next_initiation_wall)
		wall = p->next_initiation_wall;
	p->next_initiation_wall = wall + KWGI_TIMESTAMP_STEP;
	random_bytes(d, random, sizeof(random));
	kwgi_tai64n(timestamp, wall);
	ok = kwgi_noise_create_initiation(msg, &p->handshake, &d->identity, remote_of(d, p), random,
					  timestamp);
	sodium_memzero(random, sizeof(random));
	if (!ok)
		kwgi_peer_drop_handshake(d, p);
	return ok;
}

void kwgi_initiate(struct kwgi_device *d, struct kwgi_dp_peer *p, bool retry,
		   const struct kwgi_time *t)
{
	struct kwgi_initiation msg;

	if (!retry)
		p->attempts = 0;
	if (!d->up || !p->path.family)
		return;
	if (p->last_handshake_sent && t->now - p->last_handshake_sent < p->handshake_pause) {
		/* A response holds us back, too, but nobody would ask again then. */
		if ((p->staged || retry) && !p->timers.retransmit)
			kwgi_timers_initiation_sent(d, p);
		return;
	}
	if (!create_initiation(d, p, &msg, t->wall))
		return;
	send_handshake(d, p, &msg, sizeof(msg), t);
	kwgi_timers_initiation_sent(d, p);
	kwgi_tell(d, p, KWGI_EVENT_INITIATION_SENT);
}

/*
 * Answers an authentic initiation; the session is ours to receive with at once.
 * The session's index is drawn first, so that nothing has changed without memory.
 */
static void respond(struct kwgi_device *d, struct kwgi_dp_peer *p,
		    const struct kwgi_opened_initiation *o, const struct kwgi_time *t)
{
	struct kwgi_session_keys keys = { 0 };
	struct kwgi_response msg;
	struct kwgi_keypair *kp;
	uint8_t random[32];

	kp = kwgi_keypair_new(d, p, &keys, o->remote_index, false, t->now);
	if (!kp)
		return;
	if (kwgi_indextable_insert(&d->indices, KWGI_INDEX_KEYPAIR, kp, draw_index, d,
				   &kp->local_index)) {
		kwgi_secret_free(&d->io, kp, sizeof(*kp));
		return;
	}
	random_bytes(d, random, sizeof(random));
	if (kwgi_noise_create_response(&msg, &keys, o, &p->remote, kp->local_index, random)) {
		kp->send_key = keys.send;
		kp->receive_key = keys.receive;
		kwgi_peer_begin_as_responder(d, p, kp);
		kwgi_timers_session_derived(d, p, t->now);
		send_handshake(d, p, &msg, sizeof(msg), t);
		kwgi_timers_schedule(d, p);
		kwgi_tell(d, p, KWGI_EVENT_RESPONSE_SENT);
	} else {
		kwgi_keypair_drop(d, kp);
	}
	sodium_memzero(random, sizeof(random));
	sodium_memzero(&keys, sizeof(keys));
}

/* ---- in ------------------------------------ */

/* A message of the peer is authentic. */
static void authentic(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_path *from,
		      size_t len, uint64_t now)
{
	kwgi_peer_moved(d, p, from);
	atomic_fetch_add_explicit(&p->rx_bytes, len, memory_order_relaxed);
	kwgi_timers_any_received(p, now);
	kwgi_timers_schedule(d, p);
}

/* Neither one that was sent again by somebody, nor one too soon after the last. */
static bool initiation_is_new(const struct kwgi_dp_peer *p, const struct kwgi_opened_initiation *o,
			      uint64_t now)
{
	if (memcmp(o->timestamp, p->greatest_timestamp, sizeof(o->timestamp)) <= 0)
		return false;
	return !p->last_initiation_received ||
	       now - p->last_initiation_received >= INITIATIONS_INTERVAL;
}

static void consume_initiation(struct kwgi_device *d, const struct kwgi_queued_handshake *q,
			       const struct kwgi_time *t)
{
	const struct kwgi_initiation *msg = (const void *)q->msg;
	struct kwgi_opened_initiation o;
	struct kwgi_key key;
	struct kwgi_dp_peer *p;

	memset(&o, 0, sizeof(o));
	if (!kwgi_noise_open_static(&o, msg, &d->identity))
		goto out;
	memcpy(key.b, o.static_public, sizeof(key.b));
	p = kwgi_keymap_lookup(&d->by_key, &key);
	if (!p || !kwgi_noise_open_timestamp(&o, msg, remote_of(d, p)) ||
	    !initiation_is_new(p, &o, t->now))
		goto out;
	memcpy(p->greatest_timestamp, o.timestamp, sizeof(p->greatest_timestamp));
	p->last_initiation_received = t->now;
	authentic(d, p, &q->from, sizeof(*msg), t->now);
	kwgi_tell(d, p, KWGI_EVENT_INITIATION_RECEIVED);
	respond(d, p, &o, t);
out:
	sodium_memzero(&o, sizeof(o));
}

static void consume_response(struct kwgi_device *d, const struct kwgi_queued_handshake *q,
			     const struct kwgi_time *t)
{
	const struct kwgi_response *msg = (const void *)q->msg;
	struct kwgi_session_keys keys;
	struct kwgi_keypair *kp;
	struct kwgi_dp_peer *p;
	uint32_t tag;

	p = kwgi_indextable_lookup(&d->indices, kwgi_get32(msg->receiver), &tag);
	if (!p || tag != KWGI_INDEX_HANDSHAKE)
		return;
	if (!kwgi_noise_consume_response(&keys, &p->handshake, msg, &d->identity, &p->remote))
		return;
	authentic(d, p, &q->from, sizeof(*msg), t->now);
	kwgi_tell(d, p, KWGI_EVENT_RESPONSE_RECEIVED);
	kp = kwgi_keypair_new(d, p, &keys, p->handshake.remote_index, true, t->now);
	sodium_memzero(&keys, sizeof(keys));
	if (!kp) {
		kwgi_peer_drop_handshake(d, p);
		return;
	}
	/* The session takes the handshake's index over. */
	kp->local_index = p->handshake.local_index;
	kwgi_indextable_replace(&d->indices, kp->local_index, KWGI_INDEX_KEYPAIR, kp);
	p->handshake_indexed = false;
	kwgi_handshake_wipe(&p->handshake);
	kwgi_peer_begin_as_initiator(d, p, kp);
	kwgi_timers_handshake_complete(p, t);
	kwgi_timers_session_derived(d, p, t->now);
	/* The responder may not send before it has heard from us. */
	kwgi_send_keepalive(d, p, t);
}

static void consume_cookie_reply(struct kwgi_device *d, const struct kwgi_cookie_reply *msg,
				 uint64_t now)
{
	struct kwgi_dp_peer *p;
	uint32_t tag;
	void *value = kwgi_indextable_lookup(&d->indices, kwgi_get32(msg->receiver), &tag);

	if (!value)
		return;
	p = tag == KWGI_INDEX_HANDSHAKE ? value : ((struct kwgi_keypair *)value)->peer;
	if (kwgi_cookie_consume_reply(&p->cookie, msg, now))
		kwgi_tell(d, p, KWGI_EVENT_COOKIE_RECEIVED);
}

/* ---- the queue, and load ------------------------------------ */

/* Address and port of a sender, for its cookie. */
static size_t source_of(uint8_t out[18], const struct kwgi_path *from)
{
	size_t n = from->family == 4 ? 4 : 16;

	memcpy(out, from->addr, n);
	out[n] = (uint8_t)(from->port >> 8);
	out[n + 1] = (uint8_t)from->port;
	return n + 2;
}

static void send_cookie(struct kwgi_device *d, struct kwgi_queued_handshake *q, uint64_t now)
{
	uint8_t nonce[KWGI_COOKIE_NONCE_LEN], secret[32], source[18];
	size_t n = source_of(source, &q->from);
	struct kwgi_cookie_reply reply;

	if (kwgi_cookie_is_old(&d->checker, now)) {
		random_bytes(d, secret, sizeof(secret));
		kwgi_cookie_renew(&d->checker, secret, now);
		sodium_memzero(secret, sizeof(secret));
	}
	random_bytes(d, nonce, sizeof(nonce));
	kwgi_cookie_create_reply(&reply, &d->checker, q->msg, q->len, source, n, nonce);
	d->io.send(d->io.arg, &q->from, (const uint8_t *)&reply, sizeof(reply),
		   KWGI_TOS_HANDSHAKE);
	kwgi_tell(d, NULL, KWGI_EVENT_COOKIE_REPLY_SENT);
}

/* Under load, only who receives at its address, and not too often, makes us compute. */
static bool may_compute(struct kwgi_device *d, struct kwgi_queued_handshake *q, uint64_t now)
{
	struct kwgi_addr a = { .family = q->from.family };
	uint8_t source[18];
	size_t n;

	if (!q->suspect)
		return true;
	n = source_of(source, &q->from);
	if (!kwgi_cookie_mac2_ok(&d->checker, q->msg, q->len, source, n, now)) {
		send_cookie(d, q, now);
		return false;
	}
	memcpy(a.b, q->from.addr, sizeof(a.b));
	return kwgi_ratelimiter_allow(&d->limiter, &a, now);
}

bool kwgi_is_handshake(const uint8_t *msg, size_t len)
{
	switch (len < 4 ? 0 : kwgi_get32(msg)) {
	case KWGI_MSG_INITIATION:
		return len == sizeof(struct kwgi_initiation);
	case KWGI_MSG_RESPONSE:
		return len == sizeof(struct kwgi_response);
	case KWGI_MSG_COOKIE_REPLY:
		return len == sizeof(struct kwgi_cookie_reply);
	}
	return false;
}

struct kwgi_queued_handshake *kwgi_device_queued(struct kwgi_device *d, unsigned i)
{
	return &d->queue[(d->queue_head + i) % d->queue_size];
}

/*
 * A queue that is worked off after each datagram does not grow, however many
 * there are: what they would cost is counted as well, as a leaky bucket does.
 */
static bool too_many(struct kwgi_device *d, uint64_t now)
{
	const uint64_t full = KWGI_HANDSHAKE_QUEUE * KWGI_LOAD_COST;

	if (d->busy_until < now)
		d->busy_until = now;
	if (d->busy_until - now >= full)
		return true;
	d->busy_until += KWGI_LOAD_COST;
	return false;
}

/* Room for so many; false without memory, or if that is more than there may be. */
static bool queue_room(struct kwgi_device *d, unsigned n)
{
	unsigned i, size = d->queue_size ? d->queue_size : QUEUE_FIRST;
	struct kwgi_queued_handshake *v;

	if (n <= d->queue_size)
		return true;
	if (n > KWGI_HANDSHAKE_QUEUE)
		return false;
	while (size < n)
		size *= 2;
	if (size > KWGI_HANDSHAKE_QUEUE)
		size = KWGI_HANDSHAKE_QUEUE;
	v = calloc(size, sizeof(*v));
	if (!v)
		return false;
	for (i = 0; i < d->queue_len; i++)
		v[i] = *kwgi_device_queued(d, i);
	free(d->queue);
	d->queue = v;
	d->queue_size = size;
	d->queue_head = 0;
	return true;
}

struct kwgi_queued_handshake *kwgi_device_queue_add(struct kwgi_device *d)
{
	if (!queue_room(d, d->queue_len + 1))
		return NULL;
	return kwgi_device_queued(d, d->queue_len++);
}

void kwgi_queue_handshake(struct kwgi_device *d, const struct kwgi_incoming *in, uint64_t now)
{
	struct kwgi_queued_handshake *q;
	unsigned places;

	if (!d->up || !d->identity.set || !kwgi_is_handshake(in->message, in->message_len))
		return;
	/* It has no mac1 that would keep strangers out of the queue, and costs little. */
	if (kwgi_get32(in->message) == KWGI_MSG_COOKIE_REPLY) {
		consume_cookie_reply(d, (const void *)in->message, now);
		return;
	}
	if (!kwgi_cookie_mac1_ok(&d->checker, in->message, in->message_len))
		return;
	if (d->queue_len == KWGI_HANDSHAKE_QUEUE || too_many(d, now))
		d->under_load_until = now + KWGI_SECOND;
	places = now < d->under_load_until ? KWGI_UNDER_LOAD_QUEUE : KWGI_HANDSHAKE_QUEUE;
	q = d->queue_len < places ? kwgi_device_queue_add(d) : NULL;
	if (!q)
		return;
	q->from = *in->from;
	q->suspect = now < d->under_load_until;
	q->len = (uint8_t)in->message_len;
	memcpy(q->msg, in->message, in->message_len);
}

static void work(struct kwgi_device *d, struct kwgi_queued_handshake *q, const struct kwgi_time *t)
{
	if (!may_compute(d, q, t->now))
		return;
	if (kwgi_get32(q->msg) == KWGI_MSG_INITIATION)
		consume_initiation(d, q, t);
	else
		consume_response(d, q, t);
}

unsigned kwgi_work_handshakes(struct kwgi_device *d, unsigned max, const struct kwgi_time *t)
{
	for (; max && d->queue_len; max--) {
		work(d, kwgi_device_queued(d, 0), t);
		d->queue_head = (d->queue_head + 1) % d->queue_size;
		d->queue_len--;
	}
	return d->queue_len;
}
