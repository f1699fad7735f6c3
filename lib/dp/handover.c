/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Each function goes through the members of a structure, in one order for both directions: what is
 * written is what is read. Each member is named, those that stay behind in a comment: who adds one
 * hears from tests/handover.t.sh, and who changes what is written from tests/unit/check_handover,
 * which has bytes of each KWGI_HANDOVER_VERSION.
 */
#include <string.h>

#include <sodium.h>

#include "dp/handover.h"
#include "dp/protocol.h"

enum {
	MAX_PEERS = 1 << 20,
	MAX_STAGED = 65535,	/* bytes of a waiting packet */
};

/* ---- bytes ------------------------------------ */

struct cursor {
	const uint8_t *in;	/* reading */
	uint8_t *out;		/* writing; both NULL: counting */
	size_t at, len;
	bool failed;
};

static void bytes(struct cursor *c, void *v, size_t n)
{
	if (c->failed || n > c->len - c->at) {
		c->failed = true;
		if (c->in)
			memset(v, 0, n);
		return;
	}
	if (c->in)
		memcpy(v, c->in + c->at, n);
	else if (c->out)
		memcpy(c->out + c->at, v, n);
	c->at += n;
}

#define field(c, v) bytes((c), &(v), sizeof(v))

static void flag(struct cursor *c, bool *v)
{
	uint8_t b = *v;

	field(c, b);
	c->failed |= b > 1;
	*v = b == 1;
}

/* At most max. */
static void number(struct cursor *c, uint32_t *v, uint32_t max)
{
	field(c, *v);
	if (*v > max) {
		c->failed = true;
		*v = 0;
	}
}

static void shared(struct cursor *c, _Atomic uint64_t *v)
{
	uint64_t n = atomic_load_explicit(v, memory_order_relaxed);

	field(c, n);
	atomic_store_explicit(v, n, memory_order_relaxed);
}

static void key(struct cursor *c, struct kwgi_key *k)
{
	bytes(c, k->b, sizeof(k->b));
}

/* ---- parts of a peer ------------------------------------ */

static void family(struct cursor *c, uint8_t *v)
{
	field(c, *v);
	if (*v != 0 && *v != 4 && *v != 6) {
		c->failed = true;
		*v = 0;
	}
}

static void path(struct cursor *c, struct kwgi_path *p)
{
	family(c, &p->family);
	field(c, p->addr);
	field(c, p->port);
	field(c, p->scope);
	flag(c, &p->has_source);
	field(c, p->source);
	field(c, p->source_ifindex);
	field(c, p->way);
	flag(c, &p->way_changed);
}

static void remote(struct cursor *c, struct kwgi_remote *r)
{
	/* static_public is how the peer was found. */
	key(c, &r->psk);
	key(c, &r->static_static);
	flag(c, &r->has_static_static);
}

static void cookie(struct cursor *c, struct kwgi_cookie_maker *m)
{
	/* mac1_key and cookie_key follow from the public key. */
	field(c, m->cookie);
	field(c, m->last_mac1);
	field(c, m->cookie_until);
	flag(c, &m->sent_mac1);
}

static void timers(struct cursor *c, struct kwgi_timers *t)
{
	bool another = atomic_load_explicit(&t->another_keepalive, memory_order_relaxed);

	shared(c, &t->keepalive);
	shared(c, &t->new_handshake);
	shared(c, &t->persistent);
	flag(c, &another);
	atomic_store_explicit(&t->another_keepalive, another, memory_order_relaxed);
	field(c, t->retransmit);
	field(c, t->erase);
	field(c, t->jitter);
	/* scheduled and heap_slot follow from these. */
}

/* Gives an index its meaning back. */
static void claim_index(struct cursor *c, struct kwgi_device *d, uint32_t index, uint32_t tag,
			void *value)
{
	if (!c->failed && kwgi_indextable_put(&d->indices, index, tag, value))
		c->failed = true;
}

static void handshake(struct cursor *c, struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	struct kwgi_handshake *h = &p->handshake;
	uint32_t state = (uint32_t)h->state;
	bool indexed = p->handshake_indexed;

	number(c, &state, KWGI_HANDSHAKE_INITIATION_CONSUMED);
	h->state = (enum kwgi_handshake_state)state;
	field(c, h->local_index);
	field(c, h->remote_index);
	key(c, &h->ephemeral_private);
	field(c, h->remote_ephemeral);
	field(c, h->hash);
	field(c, h->chaining_key);
	flag(c, &indexed);
	if (!c->in)
		return;
	if (indexed)
		claim_index(c, d, h->local_index, KWGI_INDEX_HANDSHAKE, p);
	p->handshake_indexed = indexed && !c->failed;
}

static void replay(struct cursor *c, struct kwgi_replay *r)
{
	field(c, r->last);
	field(c, r->ring);
}

static void keypair(struct cursor *c, struct kwgi_keypair *kp)
{
	uint32_t crossing = (uint32_t)kp->crossing;

	/* peer is the one that it is read for; nobody holds replay_lock. */
	shared(c, &kp->next_counter);
	field(c, kp->created);
	field(c, kp->local_index);
	field(c, kp->remote_index);
	flag(c, &kp->initiator);
	flag(c, &kp->may_send);
	number(c, &crossing, KWGI_CROSSING_LOST);
	kp->crossing = (enum kwgi_crossing)crossing;
	key(c, &kp->send_key);
	key(c, &kp->receive_key);
	replay(c, &kp->replay);
}

static void session(struct cursor *c, struct kwgi_device *d, struct kwgi_dp_peer *p,
		    struct kwgi_keypair **slot)
{
	static const struct kwgi_session_keys none;
	bool there = *slot;

	flag(c, &there);
	if (!there || c->failed)
		return;
	if (c->in)
		*slot = kwgi_keypair_new(d, p, &none, 0, false, 0);
	if (!*slot) {
		c->failed = true;
		return;
	}
	keypair(c, *slot);
	if (!c->in)
		return;
	claim_index(c, d, (*slot)->local_index, KWGI_INDEX_KEYPAIR, *slot);
	if (!c->failed)
		return;
	/* Without an index of its own: that number may be another's. */
	kwgi_secret_free(&d->io, *slot, sizeof(**slot));
	*slot = NULL;
}

/* ---- lists of a peer ------------------------------------ */

static void prefix(struct cursor *c, struct kwgi_prefix *p)
{
	family(c, &p->addr.family);
	bytes(c, p->addr.b, sizeof(p->addr.b));
	field(c, p->len);
	c->failed |= !p->addr.family || p->len > (p->addr.family == 4 ? 32 : 128);
}

/* The list's first and n, and d->allowed_ips, come of putting each in again. */
static void allowed_ips(struct cursor *c, struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	const struct kwgi_allowedips_node *n = p->allowed_ips.first;
	uint32_t i, count = p->allowed_ips.n;
	struct kwgi_prefix v = { 0 };

	number(c, &count, UINT32_MAX);
	for (i = 0; i < count && !c->failed; i++) {
		if (!c->in)
			n = kwgi_allowedips_next(n, &v);
		prefix(c, &v);
		if (c->in && !c->failed &&
		    kwgi_allowedips_insert(&d->allowed_ips, &v, &p->allowed_ips))
			c->failed = true;
	}
}

static void read_staged(struct cursor *c, struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	uint32_t i, len, count = 0;

	number(c, &count, UINT32_MAX);
	for (i = 0; i < count && !c->failed; i++) {
		number(c, &len, MAX_STAGED);
		if (c->failed || len > c->len - c->at) {
			c->failed = true;
			return;
		}
		kwgi_peer_stage(d, p, c->in + c->at, len);
		c->at += len;
	}
}

/* staged_end, staged_bytes, prev_holder and next_holder come of staging them again. */
static void staged(struct cursor *c, struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	uint32_t count = p->staged_count;
	struct kwgi_staged *s;

	if (c->in) {
		read_staged(c, d, p);
		return;
	}
	field(c, count);
	for (s = p->staged; s; s = s->next) {
		field(c, s->len);
		bytes(c, s->data + sizeof(struct kwgi_transport), s->len);
	}
}

/* ---- the device ------------------------------------ */

static void peer(struct cursor *c, struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	uint32_t attempts = p->attempts;

	/* None is deferred: the workers stand still. had_session is for who suspends a device. */
	path(c, &p->path);
	remote(c, &p->remote);
	shared(c, &p->rx_bytes);
	shared(c, &p->tx_bytes);
	field(c, p->persistent_interval);
	field(c, p->greatest_timestamp);
	field(c, p->next_initiation_wall);
	field(c, p->last_initiation_received);
	field(c, p->last_handshake_sent);
	field(c, p->handshake_pause);
	field(c, p->last_handshake_wall);
	field(c, attempts);
	p->attempts = attempts;
	flag(c, &p->last_minute_sent);
	cookie(c, &p->cookie);
	timers(c, &p->timers);
	handshake(c, d, p);
	session(c, d, p, &p->current);
	session(c, d, p, &p->previous);
	session(c, d, p, &p->next_pair);
	/* A rival is one of the current session, which it will take the place of. */
	if (c->in && !p->current && p->next_pair && p->next_pair->crossing == KWGI_CROSSING_RIVAL)
		c->failed = true;
	allowed_ips(c, d, p);
	staged(c, d, p);
}

static void peers(struct cursor *c, struct kwgi_device *d)
{
	struct kwgi_dp_peer *p = d->first;
	uint32_t i, count = d->n_peers;
	struct kwgi_key public;

	number(c, &count, MAX_PEERS);
	for (i = 0; i < count && !c->failed; i++) {
		if (!c->in)
			public = p->remote.static_public;
		key(c, &public);
		if (c->in && !c->failed)
			p = kwgi_device_find(d, &public) ? NULL : kwgi_device_add(d, &public);
		if (!p || c->failed) {
			c->failed = true;
			return;
		}
		peer(c, d, p);
		if (c->in && !c->failed)
			kwgi_timers_schedule(d, p);
		if (!c->in)
			p = p->next_peer;
	}
}

static void identity(struct cursor *c, struct kwgi_device *d)
{
	struct kwgi_key private_key = { { 0 } };	/* the public_key follows from it */

	if (d->identity.set)
		private_key = d->identity.private_key;
	key(c, &private_key);
	if (c->in && !c->failed)
		kwgi_device_set_private_key(d, &private_key);
	sodium_memzero(&private_key, sizeof(private_key));
}

static void queued(struct cursor *c, struct kwgi_queued_handshake *q)
{
	path(c, &q->from);
	flag(c, &q->suspect);
	field(c, q->len);
	field(c, q->msg);
	c->failed |= !kwgi_is_handshake(q->msg, q->len) || !q->from.family;
}

/* Handshakes that have come and were not worked on. */
static void queue(struct cursor *c, struct kwgi_device *d)
{
	uint32_t i, count = d->queue_len;

	number(c, &count, KWGI_HANDSHAKE_QUEUE);
	for (i = 0; i < count && !c->failed; i++) {
		struct kwgi_queued_handshake *q = c->in ? kwgi_device_queue_add(d) : kwgi_device_queued(d, i);

		if (q)
			queued(c, q);
		c->failed |= !q;
	}
	/* queue_head and queue_size are of the ring that it is in. */
	if (c->failed)
		d->queue_len = 0;
}

static void checker(struct cursor *c, struct kwgi_cookie_checker *k)
{
	/* mac1_key and cookie_key follow from the own key. */
	field(c, k->secret);
	field(c, k->secret_until);
}

/*
 * io and aead are of the process. The tables indices, by_key and heap (heap_len, heap_cap), the
 * holders and staged_bytes come with the peers (first, last; prev_peer). The limiter begins anew.
 * index_prefix and index_bits are for embedders, who hand nothing over.
 */
static void device(struct cursor *c, struct kwgi_device *d)
{
	identity(c, d);
	field(c, d->mtu);
	flag(c, &d->up);
	field(c, d->listen_port);
	field(c, d->fwmark);
	checker(c, &d->checker);
	field(c, d->under_load_until);
	field(c, d->busy_until);
	flag(c, &d->new_paths);
	queue(c, d);
	peers(c, d);
}

size_t kwgi_handover_size(struct kwgi_device *d)
{
	struct cursor c = { .len = SIZE_MAX };

	device(&c, d);
	return c.at;
}

void kwgi_handover_save(struct kwgi_device *d, uint8_t *out, size_t len)
{
	struct cursor c = { .out = out, .len = len };

	device(&c, d);
}

/* Peers that are taken over are no news. */
int kwgi_handover_load(struct kwgi_device *d, const uint8_t *in, size_t len)
{
	void (*event)(void *arg, const struct kwgi_dp_peer *p, enum kwgi_event event) = d->io.event;
	struct cursor c = { .in = in, .len = len };

	d->io.event = NULL;
	device(&c, d);
	d->io.event = event;
	return c.failed || c.at != c.len ? -1 : 0;
}
