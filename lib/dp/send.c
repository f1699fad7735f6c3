/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* From the host to the network: inner packet -> peer -> session -> sealed message. */
#include <string.h>

#include "dp/deferred.h"
#include "dp/ippacket.h"
#include "dp/protocol.h"

/* ---- many at once, in any thread ------------------------------------ */

/* Whose packet is it? The last answer serves again while packets go to one address. */
static struct kwgi_dp_peer *peer_of(const struct kwgi_device *d, const struct kwgi_outgoing *o,
				 const struct kwgi_outgoing *before)
{
	unsigned at, n;

	if (o->len < KWGI_IP4_HEADER)
		return NULL;
	at = o->packet[0] >> 4 == 4 ? 16 : 24;
	n = at == 16 ? 4 : 16;
	if (o->len < at + n)
		return NULL;
	if (before && before->len >= at + n && before->packet[0] >> 4 == o->packet[0] >> 4 &&
	    !memcmp(before->packet + at, o->packet + at, n))
		return before->peer;
	switch (o->packet[0] >> 4) {
	case 4: return kwgi_allowedips_lookup4(&d->allowed_ips, o->packet + at);
	case 6: return kwgi_allowedips_lookup6(&d->allowed_ips, o->packet + at);
	}
	return NULL;
}

/* A session that is getting old is replaced by who began it; one that is used up by either. */
static bool wants_rekey(const struct kwgi_keypair *kp, uint64_t counter, uint64_t now)
{
	return counter > REKEY_AFTER_MESSAGES ||
	       (kp->initiator && now - kp->created >= REKEY_AFTER_TIME);
}

/* Header, padding, and what the cipher has to know. */
static uint32_t prepare(const struct kwgi_device *d, const struct kwgi_keypair *kp,
			struct kwgi_outgoing *o, uint64_t counter, struct kwgi_aead_packet *a)
{
	uint32_t padded = o->len ? kwgi_pad_len(o->len, d->mtu) : 0;
	struct kwgi_transport *header = (void *)(o->packet - sizeof(*header));

	o->tos = o->len ? kwgi_ecn_encap(o->packet) : 0;
	memset(o->packet + o->len, 0, padded - o->len);
	kwgi_put32(header->type, KWGI_MSG_TRANSPORT);
	kwgi_put32(header->receiver, kp->remote_index);
	kwgi_put64(header->counter, counter);
	a->data = o->packet;
	a->len = padded;
	a->counter = counter;
	o->message = (uint8_t *)header;
	o->message_len = (uint32_t)sizeof(*header) + padded + KWGI_TAG_LEN;
	o->status = KWGI_SEND_NOW;
	return o->message_len;
}

/* Seals n packets of one peer with its session kp. False if the counter is at its end. */
static bool seal_run(struct kwgi_device *d, struct kwgi_keypair *kp, struct kwgi_outgoing *v,
		     unsigned n, uint64_t now, struct kwgi_deferred *todo)
{
	struct kwgi_aead_packet a[KWGI_BATCH];
	struct kwgi_dp_peer *p = kp->peer;
	bool reschedule = false, data = false;
	uint64_t counter, bytes = 0;
	unsigned i;

	counter = atomic_fetch_add_explicit(&kp->next_counter, n, memory_order_relaxed);
	if (counter + n > REJECT_AFTER_MESSAGES)
		return false;
	for (i = 0; i < n; i++) {
		data |= v[i].len;
		bytes += prepare(d, kp, &v[i], counter + i, &a[i]);
	}
	d->aead->seal(kp->send_key.b, a, n);
	atomic_fetch_add_explicit(&p->tx_bytes, bytes, memory_order_relaxed);
	reschedule |= kwgi_timers_any_sent(p, now);
	if (data)
		reschedule |= kwgi_timers_data_sent(p, now);
	if (wants_rekey(kp, counter + n, now))
		kwgi_defer(todo, kp, KWGI_DEFER_REKEY);
	else if (reschedule)
		kwgi_defer(todo, kp, KWGI_DEFER_SCHEDULE);
	return true;
}

static void send_run(struct kwgi_device *d, struct kwgi_outgoing *v, unsigned n, uint64_t now,
		     struct kwgi_deferred *todo)
{
	struct kwgi_dp_peer *p = v[0].peer;
	enum kwgi_send_status status = KWGI_SEND_SLOW;
	unsigned i;

	if (!p)
		status = KWGI_SEND_NO_PEER;
	else if (!p->path.family)
		status = KWGI_SEND_NO_PATH;
	else if (!p->staged && kwgi_keypair_sends(p->current, now) &&
		 seal_run(d, p->current, v, n, now, todo))
		return;
	for (i = 0; i < n; i++)
		v[i].status = status;
}

void kwgi_send_batch(struct kwgi_device *d, struct kwgi_outgoing *v, unsigned n, uint64_t now,
		     struct kwgi_deferred *todo)
{
	unsigned i, first = 0;

	for (i = 0; i < n; i++) {
		v[i].peer = peer_of(d, &v[i], i ? &v[i - 1] : NULL);
		if (v[i].peer == v[first].peer && i - first < KWGI_BATCH)
			continue;
		send_run(d, v + first, i - first, now, todo);
		first = i;
	}
	if (n)
		send_run(d, v + first, n - first, now, todo);
}

/* ---- alone ------------------------------------ */

_Static_assert((int)KWGI_STAGED_MAX <= (int)KWGI_BATCH, "all that waits is sealed at once");

static unsigned list_staged(struct kwgi_dp_peer *p, struct kwgi_outgoing *v)
{
	struct kwgi_staged *s;
	unsigned n = 0;

	for (s = p->staged; s && n < KWGI_BATCH; s = s->next) {
		v[n].packet = s->data + sizeof(struct kwgi_transport);
		v[n].len = s->len;
		v[n++].peer = p;
	}
	return n;
}

/* Seals and sends the whole queue; it stays there for its memory. */
static bool send_all(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_time *t)
{
	struct kwgi_deferred todo = { 0 };
	struct kwgi_outgoing v[KWGI_BATCH];
	unsigned i, n = list_staged(p, v);

	if (!seal_run(d, p->current, v, n, t->now, &todo))
		return false;
	for (i = 0; i < n; i++)
		d->io.send(d->io.arg, &p->path, v[i].message, v[i].message_len, v[i].tos);
	if (n == 1 && !v[0].len)
		kwgi_tell(d, p, KWGI_EVENT_KEEPALIVE_SENT);
	kwgi_peer_drop_staged(d, p);
	kwgi_run_deferred(d, &todo, t);
	return true;
}

void kwgi_send_staged(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_time *t)
{
	if (!p->staged || !d->up)
		return;
	if (!p->path.family || !kwgi_keypair_sends(p->current, t->now) || !send_all(d, p, t))
		kwgi_initiate(d, p, false, t);
}

/* After something was to be staged: if there was no memory for it, the next one needs a session, too. */
static void send_or_initiate(struct kwgi_device *d, struct kwgi_dp_peer *p,
			     const struct kwgi_time *t)
{
	if (p->staged)
		kwgi_send_staged(d, p, t);
	else if (!kwgi_keypair_sends(p->current, t->now))
		kwgi_initiate(d, p, false, t);
}

void kwgi_send_keepalive(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_time *t)
{
	if (!p->staged)
		kwgi_peer_stage(d, p, NULL, 0);
	send_or_initiate(d, p, t);
}

void kwgi_send_slow(struct kwgi_device *d, const struct kwgi_outgoing *o,
		    const struct kwgi_time *t)
{
	/* The peer may have gone since the batch looked: look again. */
	struct kwgi_dp_peer *p = peer_of(d, o, NULL);

	if (!p || !d->up)
		return;
	kwgi_peer_stage(d, p, o->packet, o->len);
	send_or_initiate(d, p, t);
}

enum kwgi_send_status kwgi_device_send(struct kwgi_device *d, uint8_t *packet, uint32_t len,
				       const struct kwgi_time *t)
{
	struct kwgi_outgoing o = { .packet = packet, .len = len };
	struct kwgi_deferred todo = { 0 };

	kwgi_send_batch(d, &o, 1, t->now, &todo);
	if (o.status == KWGI_SEND_NOW)
		d->io.send(d->io.arg, &o.peer->path, o.message, o.message_len, o.tos);
	if (o.status == KWGI_SEND_SLOW)
		kwgi_send_slow(d, &o, t);
	kwgi_run_deferred(d, &todo, t);
	return o.status;
}
