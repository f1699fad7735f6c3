/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The timers of a peer (WireGuard paper, section 6; the kernel's timers.c has
 * the same five):
 *
 *  retransmit     An initiation has no answer: send it again, and after
 *                 MAX_HANDSHAKE_RETRIES give up and drop what waits.
 *  keepalive      Data came and nothing was sent since: tell the peer that it
 *                 arrived, lest its new_handshake timer runs out.
 *  new_handshake  Data was sent and nothing came since: the session may be
 *                 gone on the other side, so begin a new one.
 *  erase          The last session is long over: wipe all keys.
 *  persistent     Nothing went either way for the configured time: keep the
 *                 path through a NAT open.
 *
 * Packets arm and disarm timers all the time, in several threads. So they only
 * write a due time. The heap holds each peer at the time when it was last
 * found to be due, and who gets there too early is put back. It only has to be
 * corrected when a timer is armed for an earlier time than that, which a
 * packet's functions report.
 */
#include <limits.h>
#include <stdlib.h>

#include "dp/protocol.h"

#define load(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define store(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)

#define NEVER UINT64_MAX

/* ---- the heap, by scheduled ------------------------------------ */

static void place(struct kwgi_device *d, uint32_t slot, struct kwgi_dp_peer *p)
{
	d->heap[slot] = p;
	p->timers.heap_slot = slot;
}

static bool before(const struct kwgi_dp_peer *a, const struct kwgi_dp_peer *b)
{
	return load(a->timers.scheduled) < load(b->timers.scheduled);
}

static void move_up(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	uint32_t slot = p->timers.heap_slot;

	for (; slot && before(p, d->heap[(slot - 1) / 2]); slot = (slot - 1) / 2)
		place(d, slot, d->heap[(slot - 1) / 2]);
	place(d, slot, p);
}

static void move_down(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	uint32_t slot = p->timers.heap_slot, child;

	for (; (child = 2 * slot + 1) < d->heap_len; slot = child) {
		if (child + 1 < d->heap_len && before(d->heap[child + 1], d->heap[child]))
			child++;
		if (!before(d->heap[child], p))
			break;
		place(d, slot, d->heap[child]);
	}
	place(d, slot, p);
}

static void take_out(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	struct kwgi_dp_peer *last = d->heap[--d->heap_len];
	uint32_t slot = p->timers.heap_slot;

	store(p->timers.scheduled, NEVER);
	if (last == p)
		return;
	place(d, slot, last);
	move_up(d, last);
	move_down(d, last);
}

int kwgi_timers_reserve(struct kwgi_device *d)
{
	uint32_t cap = d->heap_cap ? 2 * d->heap_cap : 16;
	struct kwgi_dp_peer **heap;

	if (d->n_peers < d->heap_cap)
		return 0;
	heap = realloc(d->heap, cap * sizeof(*heap));
	if (!heap)
		return -1;
	d->heap = heap;
	d->heap_cap = cap;
	return 0;
}

static uint64_t earlier(uint64_t a, uint64_t due)
{
	return due && due < a ? due : a;
}

static uint64_t first_due(const struct kwgi_timers *t)
{
	uint64_t first = NEVER;

	first = earlier(first, t->retransmit);
	first = earlier(first, t->erase);
	first = earlier(first, load(t->keepalive));
	first = earlier(first, load(t->new_handshake));
	return earlier(first, load(t->persistent));
}

void kwgi_timers_schedule(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	uint64_t old = load(p->timers.scheduled), due = first_due(&p->timers);

	if (due == old)
		return;
	if (due == NEVER) {
		take_out(d, p);
		return;
	}
	if (old == NEVER)
		place(d, d->heap_len++, p);
	store(p->timers.scheduled, due);
	move_up(d, p);
	move_down(d, p);
}

uint64_t kwgi_timers_next(const struct kwgi_device *d)
{
	return d->heap_len ? load(d->heap[0]->timers.scheduled) : NEVER;
}

/* ---- events ------------------------------------ */

static bool arm(struct kwgi_timers *t, _Atomic uint64_t *timer, uint64_t due)
{
	store(*timer, due);
	return due < load(t->scheduled);
}

bool kwgi_timers_data_sent(struct kwgi_dp_peer *p, uint64_t now)
{
	struct kwgi_timers *t = &p->timers;

	return !load(t->new_handshake) &&
	       arm(t, &t->new_handshake, now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + t->jitter);
}

bool kwgi_timers_data_received(struct kwgi_dp_peer *p, uint64_t now)
{
	struct kwgi_timers *t = &p->timers;

	if (!load(t->keepalive))
		return arm(t, &t->keepalive, now + KEEPALIVE_TIMEOUT);
	if (!load(t->another_keepalive))
		store(t->another_keepalive, true);
	return false;
}

/* The path through a NAT has been used. */
static bool traversed(struct kwgi_dp_peer *p, uint64_t now)
{
	struct kwgi_timers *t = &p->timers;

	return p->persistent_interval && arm(t, &t->persistent, now + p->persistent_interval);
}

bool kwgi_timers_any_sent(struct kwgi_dp_peer *p, uint64_t now)
{
	if (load(p->timers.keepalive))
		store(p->timers.keepalive, 0);
	return traversed(p, now);
}

bool kwgi_timers_any_received(struct kwgi_dp_peer *p, uint64_t now)
{
	if (load(p->timers.new_handshake))
		store(p->timers.new_handshake, 0);
	return traversed(p, now);
}

uint64_t kwgi_timers_jitter(const struct kwgi_device *d)
{
	uint32_t r;

	d->io.random(d->io.arg, &r, sizeof(r));
	return r % (REKEY_TIMEOUT_JITTER / 1000) * 1000;
}

void kwgi_timers_initiation_sent(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	p->timers.jitter = kwgi_timers_jitter(d);
	p->timers.retransmit = p->last_handshake_sent + p->handshake_pause;
	kwgi_timers_schedule(d, p);
}

void kwgi_timers_initiation_due(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t now)
{
	if (!d->up)
		return;
	p->attempts = 0;
	p->timers.retransmit = now;
	kwgi_timers_schedule(d, p);
}

void kwgi_timers_handshake_complete(struct kwgi_dp_peer *p, const struct kwgi_time *t)
{
	p->timers.retransmit = 0;
	p->attempts = 0;
	p->last_minute_sent = false;
	p->last_handshake_wall = t->wall;
}

void kwgi_timers_session_derived(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t now)
{
	p->timers.jitter = kwgi_timers_jitter(d);
	p->timers.erase = now + 3 * REJECT_AFTER_TIME;
	kwgi_timers_schedule(d, p);
}

void kwgi_timers_keepalive_due(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t now)
{
	if (!d->up)
		return;
	store(p->timers.keepalive, now);
	kwgi_timers_schedule(d, p);
}

void kwgi_timers_persistent_changed(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t due)
{
	store(p->timers.persistent, p->persistent_interval && d->up ? due : 0);
	kwgi_timers_schedule(d, p);
}

void kwgi_timers_stop(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	struct kwgi_timers *t = &p->timers;

	t->retransmit = t->erase = 0;
	store(t->keepalive, 0);
	store(t->new_handshake, 0);
	store(t->persistent, 0);
	store(t->another_keepalive, false);
	kwgi_timers_schedule(d, p);
}

/* ---- what is due ------------------------------------ */

static bool take_due(_Atomic uint64_t *timer, uint64_t now)
{
	uint64_t due = load(*timer);

	if (!due || due > now)
		return false;
	store(*timer, 0);
	return true;
}

static void give_up(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t now)
{
	kwgi_tell(d, p, KWGI_EVENT_GAVE_UP);
	store(p->timers.keepalive, 0);
	kwgi_peer_drop_staged(d, p);
	/* A handshake that goes nowhere leaves an ephemeral key behind, too. */
	if (!p->timers.erase)
		p->timers.erase = now + 3 * REJECT_AFTER_TIME;
}

static void retransmit(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_time *t)
{
	p->timers.retransmit = 0;
	if (p->attempts > MAX_HANDSHAKE_RETRIES) {
		give_up(d, p, t->now);
		return;
	}
	p->attempts++;
	p->path.has_source = false;
	kwgi_initiate(d, p, true, t);
}

static void erase(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	p->timers.erase = 0;
	kwgi_peer_erase_keys(d, p);
	kwgi_peer_drop_staged(d, p);
	kwgi_tell(d, p, KWGI_EVENT_KEYS_ERASED);
}

static void run_peer(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_time *t)
{
	struct kwgi_timers *m = &p->timers;

	if (m->retransmit && m->retransmit <= t->now)
		retransmit(d, p, t);
	if (take_due(&m->keepalive, t->now)) {
		kwgi_send_keepalive(d, p, t);
		if (load(m->another_keepalive)) {
			store(m->another_keepalive, false);
			store(m->keepalive, t->now + KEEPALIVE_TIMEOUT);
		}
	}
	if (take_due(&m->new_handshake, t->now)) {
		p->path.has_source = false;
		kwgi_initiate(d, p, false, t);
	}
	if (m->erase && m->erase <= t->now)
		erase(d, p);
	if (take_due(&m->persistent, t->now) && p->persistent_interval) {
		kwgi_send_keepalive(d, p, t);
		/* Without a session nothing was sent that would have armed it. */
		if (!load(m->persistent))
			store(m->persistent, t->now + p->persistent_interval);
	}
	kwgi_timers_schedule(d, p);
}

uint64_t kwgi_timers_work(struct kwgi_device *d, unsigned max, const struct kwgi_time *t)
{
	for (; max && kwgi_timers_next(d) <= t->now; max--)
		run_peer(d, d->heap[0], t);
	return kwgi_timers_next(d);
}

uint64_t kwgi_timers_run(struct kwgi_device *d, const struct kwgi_time *t)
{
	uint64_t next;

	do
		next = kwgi_timers_work(d, UINT_MAX, t);
	while (next <= t->now);
	return next;
}
