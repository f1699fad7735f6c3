/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dp/protocol.h"

enum { LIMITED_SOURCES = 8192, DEFAULT_MTU = 1420 };

/* ---- the device ------------------------------------ */

struct kwgi_device *kwgi_device_new(const struct kwgi_device_io *io, const struct kwgi_aead *aead)
{
	uint8_t seed[KWGI_RATELIMITER_SEED + KWGI_KEYMAP_SEED];
	struct kwgi_device *d = kwgi_secret_alloc(io, sizeof(*d));

	if (!d)
		return NULL;
	d->io = *io;
	d->aead = aead;
	d->mtu = DEFAULT_MTU;
	io->random(io->arg, seed, sizeof(seed));
	kwgi_keymap_init(&d->by_key, seed + KWGI_RATELIMITER_SEED,
			 offsetof(struct kwgi_dp_peer, remote.static_public));
	if (kwgi_ratelimiter_init(&d->limiter, io->sources ? io->sources : LIMITED_SOURCES, seed)) {
		kwgi_keymap_free(&d->by_key);
		kwgi_secret_free(io, d, sizeof(*d));
		d = NULL;
	}
	sodium_memzero(seed, sizeof(seed));
	return d;
}

void kwgi_device_free(struct kwgi_device *d)
{
	struct kwgi_device_io io;

	if (!d)
		return;
	while (d->first)
		kwgi_device_remove(d, d->first);
	kwgi_allowedips_free(&d->allowed_ips);
	kwgi_indextable_free(&d->indices);
	kwgi_keymap_free(&d->by_key);
	kwgi_ratelimiter_free(&d->limiter);
	free(d->queue);
	free(d->heap);
	io = d->io;
	kwgi_secret_free(&io, d, sizeof(*d));
}

static void peer_down(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	kwgi_timers_stop(d, p);
	kwgi_peer_erase_keys(d, p);
	kwgi_peer_drop_staged(d, p);
	p->last_handshake_sent = 0;
	p->attempts = 0;
	p->last_minute_sent = false;
}

static void peer_up(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_time *t)
{
	kwgi_send_staged(d, p, t);
	kwgi_timers_persistent_changed(d, p, t->now);
}

void kwgi_device_set_up(struct kwgi_device *d, bool up, const struct kwgi_time *t)
{
	struct kwgi_dp_peer *p;

	if (d->up == up)
		return;
	d->up = up;
	d->queue_len = 0;
	for (p = d->first; p; p = p->next_peer) {
		if (up)
			peer_up(d, p, t);
		else
			peer_down(d, p);
	}
}

void kwgi_device_suspend(struct kwgi_device *d, const struct kwgi_time *t)
{
	struct kwgi_dp_peer *p;

	if (!d->up)
		return;
	for (p = d->first; p; p = p->next_peer)
		p->had_session = p->current || p->next_pair;
	kwgi_device_set_up(d, false, t);
}

/* By a timer: with thousands of peers the caller may want to do something else in between. */
void kwgi_device_resume(struct kwgi_device *d, const struct kwgi_time *t)
{
	struct kwgi_dp_peer *p;

	if (d->up)
		return;
	kwgi_device_set_up(d, true, t);
	for (p = d->first; p; p = p->next_peer) {
		if (p->had_session)
			kwgi_timers_keepalive_due(d, p, t->now);
		p->had_session = false;
	}
}

/* Sessions made with the old key receive what is on its way, and send no more. */
static void expire_sessions(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	kwgi_peer_drop_handshake(d, p);
	p->last_handshake_sent = 0;
	if (p->current)
		p->current->may_send = false;
	if (p->next_pair)
		p->next_pair->may_send = false;
}

void kwgi_device_set_private_key(struct kwgi_device *d, const struct kwgi_key *key)
{
	struct kwgi_identity new = { 0 };
	struct kwgi_dp_peer *p;
	bool same;

	kwgi_identity_set(&new, key);
	same = new.set == d->identity.set &&
	       kwgi_key_equal(&new.private_key, &d->identity.private_key);
	if (!same) {
		d->identity = new;
		/* Nobody is a peer of itself. */
		p = new.set ? kwgi_keymap_lookup(&d->by_key, &new.public_key) : NULL;
		if (p)
			kwgi_device_remove(d, p);
		kwgi_cookie_keys(d->checker.mac1_key, d->checker.cookie_key, &new.public_key);
		for (p = d->first; p; p = p->next_peer) {
			p->remote.has_static_static = false;
			sodium_memzero(&p->remote.static_static, sizeof(p->remote.static_static));
			expire_sessions(d, p);
		}
	}
	sodium_memzero(&new, sizeof(new));
}

void kwgi_device_clear_sources(struct kwgi_device *d)
{
	struct kwgi_dp_peer *p;

	for (p = d->first; p; p = p->next_peer)
		p->path.has_source = false;
}

void kwgi_device_forget_source(struct kwgi_device *d, uint8_t family, const uint8_t *source)
{
	struct kwgi_dp_peer *p;

	for (p = d->first; p; p = p->next_peer)
		if (p->path.family == family &&
		    !memcmp(p->path.source, source, family == 4 ? 4 : 16))
			p->path.has_source = false;
}

/* ---- peers ------------------------------------ */

struct kwgi_dp_peer *kwgi_device_find(const struct kwgi_device *d,
				      const struct kwgi_key *public_key)
{
	return kwgi_keymap_lookup(&d->by_key, public_key);
}

static struct kwgi_dp_peer *peer_new(struct kwgi_device *d, const struct kwgi_key *public_key)
{
	struct kwgi_dp_peer *p = kwgi_secret_alloc(&d->io, sizeof(*p));

	if (!p)
		return NULL;
	p->remote.static_public = *public_key;
	p->staged_end = &p->staged;
	atomic_flag_clear(&p->deferred);
	atomic_init(&p->timers.scheduled, UINT64_MAX);
	kwgi_allowedips_list_init(&p->allowed_ips, p);
	kwgi_cookie_keys(p->cookie.mac1_key, p->cookie.cookie_key, public_key);
	return p;
}

struct kwgi_dp_peer *kwgi_device_add(struct kwgi_device *d, const struct kwgi_key *public_key)
{
	struct kwgi_dp_peer *p;

	if (d->identity.set && kwgi_key_equal(public_key, &d->identity.public_key))
		return NULL;
	p = kwgi_timers_reserve(d) ? NULL : peer_new(d, public_key);
	if (!p)
		return NULL;
	if (kwgi_keymap_insert(&d->by_key, p)) {
		kwgi_secret_free(&d->io, p, sizeof(*p));
		return NULL;
	}
	p->prev_peer = d->last;
	if (d->last)
		d->last->next_peer = p;
	else
		d->first = p;
	d->last = p;
	d->n_peers++;
	kwgi_tell(d, p, KWGI_EVENT_PEER_ADDED);
	return p;
}

void kwgi_device_remove(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	kwgi_tell(d, p, KWGI_EVENT_PEER_REMOVED);
	kwgi_timers_stop(d, p);
	kwgi_peer_erase_keys(d, p);
	kwgi_peer_drop_staged(d, p);
	kwgi_allowedips_remove_all(&d->allowed_ips, &p->allowed_ips);
	kwgi_keymap_remove(&d->by_key, &p->remote.static_public);
	*(p->prev_peer ? &p->prev_peer->next_peer : &d->first) = p->next_peer;
	*(p->next_peer ? &p->next_peer->prev_peer : &d->last) = p->prev_peer;
	d->n_peers--;
	kwgi_secret_free(&d->io, p, sizeof(*p));
}

void kwgi_peer_set_psk(struct kwgi_dp_peer *p, const struct kwgi_key *psk)
{
	p->remote.psk = *psk;
}

void kwgi_peer_set_path(struct kwgi_dp_peer *p, const struct kwgi_path *path)
{
	p->path = *path;
}

void kwgi_peer_set_persistent(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t interval,
			      const struct kwgi_time *t)
{
	bool turned_on = interval && !p->persistent_interval;

	/* Whoever sets the same again and again, by wg syncconf say, must not put it off for ever. */
	if (interval == p->persistent_interval)
		return;
	p->persistent_interval = interval;
	/*
	 * By a timer, since thousands of peers may be turned on at once; not by
	 * that which turning off again stops: who does so wants this one to go out.
	 */
	if (turned_on)
		kwgi_timers_keepalive_due(d, p, t->now);
	kwgi_timers_persistent_changed(d, p, t->now + interval);
}
