/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dp/device.h"

/* ---- paths ------------------------------------ */

static bool is_link_local(const struct kwgi_path *p)
{
	return p->family == 6 && p->source[0] == 0xfe && (p->source[1] & 0xc0) == 0x80;
}

/* Which interface a datagram came in by is not asked: with several uplinks that may change all the time. */
bool kwgi_path_same(const struct kwgi_path *a, const struct kwgi_path *b)
{
	if (a->family != b->family || a->port != b->port || a->scope != b->scope ||
	    memcmp(a->addr, b->addr, sizeof(a->addr)) || a->has_source != b->has_source)
		return false;
	return !a->has_source ||
	       (!memcmp(a->source, b->source, sizeof(a->source)) &&
		(!is_link_local(a) || a->source_ifindex == b->source_ifindex));
}

void kwgi_peer_moved(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_path *from)
{
	if (kwgi_path_same(&p->path, from))
		return;
	p->path = *from;
	d->new_paths = true;
}

/* ---- memory ------------------------------------ */

void *kwgi_secret_alloc(const struct kwgi_device_io *io, size_t size)
{
	return io->alloc ? io->alloc(io->arg, size) : calloc(1, size);
}

void kwgi_secret_free(const struct kwgi_device_io *io, void *p, size_t size)
{
	sodium_memzero(p, size);
	if (io->release)
		io->release(io->arg, p, size);
	else
		free(p);
}

/* ---- keypairs ------------------------------------ */

struct kwgi_keypair *kwgi_keypair_new(struct kwgi_device *d, struct kwgi_dp_peer *p,
				      const struct kwgi_session_keys *keys,
				      uint32_t remote_index, bool initiator, uint64_t now)
{
	struct kwgi_keypair *kp = kwgi_secret_alloc(&d->io, sizeof(*kp));

	if (!kp)
		return NULL;
	kp->peer = p;
	kp->send_key = keys->send;
	kp->receive_key = keys->receive;
	kp->created = now;
	kp->remote_index = remote_index;
	kp->initiator = initiator;
	kp->may_send = true;
	atomic_flag_clear(&kp->replay_lock);
	return kp;
}

void kwgi_keypair_drop(struct kwgi_device *d, struct kwgi_keypair *kp)
{
	if (!kp)
		return;
	kwgi_indextable_remove(&d->indices, kp->local_index);
	/* Deferred work may name it by an index that is none any more. */
	atomic_flag_clear_explicit(&kp->peer->deferred, memory_order_relaxed);
	kwgi_secret_free(&d->io, kp, sizeof(*kp));
}

bool kwgi_keypair_receives(const struct kwgi_keypair *kp, uint64_t now)
{
	return now - kp->created < REJECT_AFTER_TIME;
}

bool kwgi_keypair_sends(const struct kwgi_keypair *kp, uint64_t now)
{
	return kp && kp->may_send && now - kp->created < REJECT_AFTER_TIME &&
	       atomic_load_explicit(&kp->next_counter, memory_order_relaxed) <
		       REJECT_AFTER_MESSAGES;
}

/*
 * Both sides at once. Each answers the other's initiation and keeps its own, so that no more than
 * a round trip is lost, whatever the other does: the kernel and wireguard-go forget their own, and
 * so complete ours only. A kilowg completes both. Then there are two sessions, each begun by one
 * side, and both sides have to use the same, or both would be initiators and begin at once again
 * whenever the session is replaced.
 *
 *  - A session that is confirmed before the own initiation is answered has won: the own is
 *    forgotten. Not both sides can do so, for who confirms has had an answer already.
 *  - Else each side has the own session as its current one, and the other's as the next. When that
 *    is confirmed, that of the greater public key wins, on both sides.
 *
 * Both receive until the next handshake. The one that has lost stays in the place of the next, so
 * that what is on its way in the session before both arrives as well.
 */
static bool own_key_is_greater(const struct kwgi_device *d, const struct kwgi_dp_peer *p)
{
	return memcmp(d->identity.public_key.b, p->remote.static_public.b,
		      sizeof(p->remote.static_public.b)) > 0;
}

/*
 * An initiator may send at once. If a session that the peer began earlier still waits for its
 * first packet, that one is kept for what is on its way, until the next handshake.
 */
void kwgi_peer_begin_as_initiator(struct kwgi_device *d, struct kwgi_dp_peer *p,
				  struct kwgi_keypair *kp)
{
	struct kwgi_keypair *next = p->next_pair;

	kwgi_keypair_drop(d, p->previous);
	p->previous = p->current;
	p->current = kp;
	if (!next)
		return;
	switch (next->crossing) {
	case KWGI_CROSSING_NONE:
		next->crossing = KWGI_CROSSING_LOST;
		break;
	case KWGI_CROSSING_OPEN:
		next->crossing = KWGI_CROSSING_RIVAL;
		break;
	case KWGI_CROSSING_RIVAL:
	case KWGI_CROSSING_LOST:
		p->next_pair = NULL;
		kwgi_keypair_drop(d, next);
		break;
	}
}

/* A responder may not send before it has received: the initiator may not have got the response. */
void kwgi_peer_begin_as_responder(struct kwgi_device *d, struct kwgi_dp_peer *p,
				  struct kwgi_keypair *kp)
{
	kwgi_keypair_drop(d, p->next_pair);
	kwgi_keypair_drop(d, p->previous);
	p->previous = NULL;
	p->next_pair = kp;
	if (p->handshake.state == KWGI_HANDSHAKE_INITIATION_CREATED)
		kp->crossing = KWGI_CROSSING_OPEN;
}

/* Two sessions of one moment, each confirmed: who wins is the current one. */
static void settle_crossing(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	struct kwgi_keypair *rival = p->current;

	if (!own_key_is_greater(d, p)) {
		p->current = p->next_pair;
		p->current->crossing = KWGI_CROSSING_NONE;
		p->next_pair = rival;
	}
	p->next_pair->crossing = KWGI_CROSSING_LOST;
}

void kwgi_peer_confirm_next(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	if (p->next_pair->crossing == KWGI_CROSSING_RIVAL) {
		settle_crossing(d, p);
		return;
	}
	/* Whatever we had begun is over: one session comes of both. */
	kwgi_peer_drop_handshake(d, p);
	kwgi_keypair_drop(d, p->previous);
	p->previous = p->current;
	p->current = p->next_pair;
	p->current->crossing = KWGI_CROSSING_NONE;
	p->next_pair = NULL;
}

void kwgi_peer_drop_handshake(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	if (p->handshake_indexed)
		kwgi_indextable_remove(&d->indices, p->handshake.local_index);
	p->handshake_indexed = false;
	kwgi_handshake_wipe(&p->handshake);
	/* It will have no answer: if there is another one, that is younger than this session. */
	if (p->next_pair && p->next_pair->crossing == KWGI_CROSSING_OPEN)
		p->next_pair->crossing = KWGI_CROSSING_NONE;
}

void kwgi_peer_erase_keys(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	kwgi_peer_drop_handshake(d, p);
	kwgi_keypair_drop(d, p->current);
	kwgi_keypair_drop(d, p->previous);
	kwgi_keypair_drop(d, p->next_pair);
	p->current = p->previous = p->next_pair = NULL;
}

/* ---- waiting packets ------------------------------------ */

/*
 * Peers that hold from 2^n to less than 2^(n+1) bytes are in one list: in the highest that is not
 * empty is who holds most, or nearly so, and nobody has to look at all peers for it.
 */
static unsigned holders_of(size_t bytes)
{
	unsigned n = 0;

	while (bytes >>= 1)
		n++;
	return n < KWGI_HOLDERS ? n : KWGI_HOLDERS - 1;
}

static void leave_holders(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	struct kwgi_dp_peer **first = &d->holders[holders_of(p->staged_bytes)];

	if (!p->staged_bytes)
		return;
	*(p->prev_holder ? &p->prev_holder->next_holder : first) = p->next_holder;
	if (p->next_holder)
		p->next_holder->prev_holder = p->prev_holder;
	p->prev_holder = p->next_holder = NULL;
}

static void join_holders(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	struct kwgi_dp_peer **first = &d->holders[holders_of(p->staged_bytes)];

	if (!p->staged_bytes)
		return;
	p->next_holder = *first;
	if (*first)
		(*first)->prev_holder = p;
	*first = p;
}

/* Both counts, and the list that follows from them. */
static void hold(struct kwgi_device *d, struct kwgi_dp_peer *p, size_t bytes)
{
	d->staged_bytes += bytes - p->staged_bytes;
	if (p->staged_bytes && bytes && holders_of(bytes) == holders_of(p->staged_bytes)) {
		p->staged_bytes = bytes;
		return;
	}
	leave_holders(d, p);
	p->staged_bytes = bytes;
	join_holders(d, p);
}

static struct kwgi_dp_peer *greatest_holder(const struct kwgi_device *d)
{
	unsigned n = KWGI_HOLDERS;

	while (n--)
		if (d->holders[n])
			return d->holders[n];
	return NULL;
}

static void drop_oldest(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	struct kwgi_staged *s = p->staged;

	if (!s)
		return;
	p->staged = s->next;
	if (!p->staged)
		p->staged_end = &p->staged;
	p->staged_count--;
	hold(d, p, p->staged_bytes - s->size);
	free(s);
}

void kwgi_peer_drop_staged(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	while (p->staged)
		drop_oldest(d, p);
}

void kwgi_peer_stage(struct kwgi_device *d, struct kwgi_dp_peer *p, const uint8_t *packet,
		     uint32_t len)
{
	size_t size = sizeof(struct kwgi_transport) + len + KWGI_PADDING + KWGI_TAG_LEN;
	struct kwgi_dp_peer *most;
	struct kwgi_staged *s;

	while (p->staged_count >= KWGI_STAGED_MAX)
		drop_oldest(d, p);
	while (d->staged_bytes + size > KWGI_STAGED_BYTES && (most = greatest_holder(d)))
		drop_oldest(d, most);
	s = malloc(sizeof(*s) + size);
	if (!s)
		return;
	s->next = NULL;
	s->len = len;
	s->size = (uint32_t)size;
	if (len)
		memcpy(s->data + sizeof(struct kwgi_transport), packet, len);
	*p->staged_end = s;
	p->staged_end = &s->next;
	p->staged_count++;
	hold(d, p, p->staged_bytes + size);
}
