/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over lib/dp for one peer: a device whose only peer owns every address. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "dp/deferred.h"
#include "dp/ippacket.h"
#include "dp/protocol.h"
#include "facade_dp.h"
#include "kilowg.h"

/* More than one call can leave behind: KWGI_STAGED_MAX packets and a handshake. */
enum { QUEUE_MAX = 256 };

/* A datagram that is still to be fetched. */
struct queued {
	struct queued *next;
	size_t len;
	uint8_t tos;
	uint8_t data[];
};

struct kwg_tunnel {
	struct kwgi_device *d;
	struct kwgi_dp_peer *p;
	struct queued *first, **end;
	unsigned n;
	struct queued *given;	/* the one that the caller has, until the next call */
	uint8_t tos, read_tos;	/* of what was sent last, and is read next */
	void (*event)(void *arg, enum kwg_event event);
	void *event_arg;
};

/* Datagrams have no address here; the engine wants one. */
static const struct kwgi_path the_peer = { .family = 4, .port = 1 };

/* ---- what is to be sent ------------------------------------------------------------- */

/* The first that is no longer than max, or NULL. */
static struct queued *take_up_to(struct kwg_tunnel *t, size_t max)
{
	struct queued **at = &t->first, *q;

	while (*at && (*at)->len > max)
		at = &(*at)->next;
	q = *at;
	if (!q)
		return NULL;
	*at = q->next;
	if (!q->next)
		t->end = at;
	t->n--;
	return q;
}

static struct queued *take(struct kwg_tunnel *t)
{
	return take_up_to(t, SIZE_MAX);
}

/*
 * Without memory the datagram is lost, as the network loses some. Of too many the oldest is:
 * those that a caller has no room for must not keep handshakes from coming out.
 */
static void queue(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	struct kwg_tunnel *t = arg;
	struct queued *q = malloc(sizeof(*q) + len);

	(void)to;
	if (!q)
		return;
	if (t->n == QUEUE_MAX)
		free(take(t));
	q->next = NULL;
	q->len = len;
	q->tos = tos;
	memcpy(q->data, msg, len);
	*t->end = q;
	t->end = &q->next;
	t->n++;
}

static enum kwg_tunnel_op give(struct kwg_tunnel *t, uint8_t **out, size_t *out_len)
{
	free(t->given);
	t->given = take(t);
	*out = t->given ? t->given->data : NULL;
	*out_len = t->given ? t->given->len : 0;
	t->tos = t->given ? t->given->tos : 0;
	return t->given ? KWG_TUNNEL_SEND : KWG_TUNNEL_DONE;
}

/*
 * The same into the caller's buffer. What does not fit waits for a larger one, and the caller is
 * told how large: not as a reason to ask again at once, or who never has more would do so for ever.
 */
static enum kwg_tunnel_op give_copy(struct kwg_tunnel *t, void *out, size_t *out_len)
{
	struct queued *q = take_up_to(t, *out_len);

	if (!q) {
		*out_len = t->first ? t->first->len : 0;
		return KWG_TUNNEL_DONE;
	}
	memcpy(out, q->data, q->len);
	*out_len = q->len;
	t->tos = q->tos;
	free(q);
	return KWG_TUNNEL_SEND;
}

/* ---- the tunnel ------------------------------------------------------------------------ */

static int add_peer(struct kwg_tunnel *t, const struct kwgi_key *public_key,
		    const struct kwgi_key *psk)
{
	static const struct kwgi_prefix all[2] = {
		{ .addr = { .family = KWGI_AF_V4 } }, { .addr = { .family = KWGI_AF_V6 } },
	};

	t->p = kwgi_device_add(t->d, public_key);
	if (!t->p || kwgi_allowedips_insert(&t->d->allowed_ips, &all[0], &t->p->allowed_ips) ||
	    kwgi_allowedips_insert(&t->d->allowed_ips, &all[1], &t->p->allowed_ips))
		return -1;
	kwgi_peer_set_psk(t->p, psk);
	kwgi_peer_set_path(t->p, &the_peer);
	return 0;
}

/* The keys in one struct, so that they are wiped together. */
struct keys {
	struct kwgi_key private_key, public_key, own_public, psk;
};

/* Base64 or hex, and not all zero, which is no key. 0 or -1. */
static int parse_key(struct kwgi_key *k, const char *text)
{
	return kwg_key_parse(k->b, text, NULL) || kwgi_key_is_zero(k) ? -1 : 0;
}

static int parse_keys(struct keys *k, const char *private_key, const char *peer_public_key,
		      const char *psk, struct kwg_error *err)
{
	memset(k, 0, sizeof(*k));
	if (parse_key(&k->private_key, private_key) ||
	    kwgi_key_public(&k->own_public, &k->private_key))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the private key is not valid");
	if (parse_key(&k->public_key, peer_public_key))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the public key is not valid");
	if (kwgi_key_equal(&k->public_key, &k->own_public))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "both keys are of the same pair");
	if (psk && parse_key(&k->psk, psk))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the preshared key is not valid");
	return 0;
}

static void tell(void *arg, const struct kwgi_dp_peer *p, enum kwgi_event event)
{
	struct kwg_tunnel *t = arg;

	(void)p;
	if (t->event)
		t->event(t->event_arg, (enum kwg_event)event);
}

static struct kwg_tunnel *tunnel_new(const struct keys *k, unsigned keepalive,
				     const struct kwgi_time *now)
{
	struct kwg_tunnel *t = calloc(1, sizeof(*t));
	/* One peer is one source of handshakes. */
	struct kwgi_device_io io = {
		.arg = t, .random = kwgi_system_random, .send = queue, .event = tell, .sources = 1,
	};

	if (!t)
		return NULL;
	t->end = &t->first;
	t->d = kwgi_device_new(&io, kwgi_aead_best());
	if (t->d)
		kwgi_device_set_private_key(t->d, &k->private_key);
	if (!t->d || add_peer(t, &k->public_key, &k->psk)) {
		kwg_tunnel_free(t);
		return NULL;
	}
	kwgi_device_set_up(t->d, true, now);
	kwgi_peer_set_persistent(t->d, t->p, keepalive * KWGI_SECOND, now);
	kwgi_timers_run(t->d, now);
	return t;
}

int kwg_tunnel_new(struct kwg_tunnel **out, const char *private_key, const char *peer_public_key,
		   const char *psk, unsigned keepalive, uint64_t now, uint64_t wall,
		   struct kwg_error *err)
{
	struct kwgi_time t = { now, wall };
	struct keys k;
	int ret;

	if (sodium_init() < 0)
		return kwgi_fail(err, KWG_ERR_IO, 0, "there is no source of random numbers");
	if (keepalive > UINT16_MAX)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "keepalive is not within 0 to 65535 s");
	ret = parse_keys(&k, private_key, peer_public_key, psk, err);
	if (!ret) {
		struct kwg_tunnel *new = tunnel_new(&k, keepalive, &t);

		if (new)
			*out = new;
		else
			ret = kwgi_nomem(err);
	}
	sodium_memzero(&k, sizeof(k));
	return ret;
}

void kwg_tunnel_free(struct kwg_tunnel *t)
{
	struct queued *q;

	if (!t)
		return;
	kwgi_device_free(t->d);
	while ((q = take(t)))
		free(q);
	free(t->given);
	free(t);
}

/* ---- changes --------------------------------------------------------------------------- */

void kwg_tunnel_on_event(struct kwg_tunnel *t, void (*event)(void *arg, enum kwg_event event),
			 void *arg)
{
	t->event = event;
	t->event_arg = arg;
}

int kwg_tunnel_set_index_prefix(struct kwg_tunnel *t, uint32_t prefix, unsigned bits,
				struct kwg_error *err)
{
	if (bits < 1 || bits > 24 || prefix >> bits)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "a prefix of an index has 1 to 24 bits");
	if (t->d->indices.table.n)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the tunnel has an index already");
	t->d->index_prefix = prefix;
	t->d->index_bits = (uint8_t)bits;
	return 0;
}

uint32_t kwg_datagram_index(const void *datagram, size_t len)
{
	const uint8_t *p = datagram;

	if (len < sizeof(struct kwgi_transport))
		return 0;
	switch (kwgi_get32(p)) {
	case KWGI_MSG_RESPONSE:		/* its sender's comes first */
		return kwgi_get32(((const struct kwgi_response *)datagram)->receiver);
	case KWGI_MSG_COOKIE_REPLY:
		return kwgi_get32(((const struct kwgi_cookie_reply *)datagram)->receiver);
	case KWGI_MSG_TRANSPORT:
		return kwgi_get32(((const struct kwgi_transport *)datagram)->receiver);
	}
	return 0;
}

bool kwg_tunnel_sender(const struct kwg_tunnel *t, const void *datagram, size_t len,
		       uint8_t public_key[KWG_KEY_LEN])
{
	struct kwgi_opened_initiation o;
	bool ok = len == sizeof(struct kwgi_initiation) && kwgi_get32(datagram) == KWGI_MSG_INITIATION &&
		  kwgi_cookie_mac1_ok(&t->d->checker, datagram, len) &&
		  kwgi_noise_open_static(&o, datagram, &t->d->identity);

	if (!ok)
		return false;
	memcpy(public_key, o.static_public, KWG_KEY_LEN);
	sodium_memzero(&o, sizeof(o));
	return true;
}

int kwg_tunnel_set_psk(struct kwg_tunnel *t, const char *psk, struct kwg_error *err)
{
	struct kwgi_key k = { { 0 } };

	if (psk && parse_key(&k, psk))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the preshared key is not valid");
	kwgi_peer_set_psk(t->p, &k);
	sodium_memzero(&k, sizeof(k));
	return 0;
}

int kwg_tunnel_set_keepalive(struct kwg_tunnel *t, unsigned keepalive, uint64_t now, uint64_t wall,
			     struct kwg_error *err)
{
	struct kwgi_time time = { now, wall };

	if (keepalive > UINT16_MAX)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "keepalive is not within 0 to 65535 s");
	kwgi_peer_set_persistent(t->d, t->p, keepalive * KWGI_SECOND, &time);
	return 0;
}

uint8_t kwg_tunnel_tos(const struct kwg_tunnel *t)
{
	return t->tos;
}

void kwg_tunnel_set_read_tos(struct kwg_tunnel *t, uint8_t tos)
{
	t->read_tos = tos;
}

uint64_t kwg_tunnel_deadline(const struct kwg_tunnel *t)
{
	return kwgi_timers_next(t->d);
}

void kwg_tunnel_stats(const struct kwg_tunnel *t, uint64_t now, struct kwg_tunnel_stats *out)
{
	out->last_handshake = t->p->last_handshake_wall;
	out->tx_bytes = atomic_load_explicit(&t->p->tx_bytes, memory_order_relaxed);
	out->rx_bytes = atomic_load_explicit(&t->p->rx_bytes, memory_order_relaxed);
	out->has_session = kwgi_keypair_sends(t->p->current, now);
	out->n_waiting = t->p->staged_count;
}

enum kwg_tunnel_op kwg_tunnel_tick(struct kwg_tunnel *t, void *out, size_t *out_len, uint64_t now,
				   uint64_t wall)
{
	struct kwgi_time time = { now, wall };

	kwgi_timers_run(t->d, &time);
	return give_copy(t, out, out_len);
}

enum kwg_tunnel_op kwg_tunnel_handshake(struct kwg_tunnel *t, void *out, size_t *out_len,
					uint64_t now, uint64_t wall)
{
	struct kwgi_time time = { now, wall };

	if (!t->d->up) {
		*out_len = 0;
		return KWG_TUNNEL_DROPPED;
	}
	t->p->last_handshake_sent = 0;
	kwgi_initiate(t->d, t->p, false, &time);
	return give_copy(t, out, out_len);
}

void kwg_tunnel_suspend(struct kwg_tunnel *t)
{
	const struct kwgi_time never = { 0 };
	struct queued *q;

	kwgi_device_suspend(t->d, &never);
	while ((q = take(t)))
		free(q);
}

enum kwg_tunnel_op kwg_tunnel_resume(struct kwg_tunnel *t, void *out, size_t *out_len, uint64_t now,
				     uint64_t wall)
{
	struct kwgi_time time = { now, wall };

	kwgi_device_resume(t->d, &time);
	return kwg_tunnel_tick(t, out, out_len, now, wall);
}

/* ---- packets ------------------------------------------------------------------------------ */

/* Seals a packet where it is; false if it has to wait for a session, or cannot go. */
static bool seal(struct kwg_tunnel *t, void *packet, size_t len, uint8_t **out, size_t *out_len,
		 const struct kwgi_time *now)
{
	struct kwgi_outgoing o = { .packet = packet, .len = (uint32_t)len };
	struct kwgi_deferred todo = { 0 };

	kwgi_send_batch(t->d, &o, 1, now->now, &todo);
	if (o.status == KWGI_SEND_SLOW)
		kwgi_send_slow(t->d, &o, now);
	kwgi_run_deferred(t->d, &todo, now);
	*out = o.message;
	*out_len = o.message_len;
	t->tos = o.tos;
	return o.status == KWGI_SEND_NOW;
}

static bool is_for_peer(const struct kwg_tunnel *t, const void *packet, size_t len)
{
	struct kwgi_ip ip;

	return t->d->up && len <= KWG_PACKET_MAX && !kwgi_ip_parse(&ip, packet, len);
}

/* A packet that was not sealed has been kept, whether there is a datagram to be sent for it or not. */
static enum kwg_tunnel_op kept(enum kwg_tunnel_op op)
{
	return op == KWG_TUNNEL_DONE ? KWG_TUNNEL_KEPT : op;
}

enum kwg_tunnel_op kwg_tunnel_write_in_place(struct kwg_tunnel *t, void *packet, size_t len,
					     uint8_t **out, size_t *out_len, uint64_t now,
					     uint64_t wall)
{
	struct kwgi_time time = { now, wall };

	if (!is_for_peer(t, packet, len)) {
		*out_len = 0;
		return KWG_TUNNEL_DROPPED;
	}
	if (seal(t, packet, len, out, out_len, &time))
		return KWG_TUNNEL_SEND;
	return kept(give(t, out, out_len));
}

enum kwg_tunnel_op kwg_tunnel_write(struct kwg_tunnel *t, const void *packet, size_t len,
				    void *out, size_t *out_len, uint64_t now, uint64_t wall)
{
	struct kwgi_time time = { now, wall };
	uint8_t *room = out, *message;
	size_t message_len;

	if (!is_for_peer(t, packet, len) || *out_len < len + KWG_OVERHEAD || *out_len < KWG_DATAGRAM_MIN) {
		*out_len = 0;
		return KWG_TUNNEL_DROPPED;
	}
	memmove(room + KWG_HEADROOM, packet, len);
	if (!seal(t, room + KWG_HEADROOM, len, &message, &message_len, &time))
		return kept(give_copy(t, out, out_len));
	*out_len = message_len;
	return KWG_TUNNEL_SEND;
}

static enum kwgi_receive_status receive(struct kwg_tunnel *t, struct kwgi_incoming *in,
					uint64_t now, uint64_t wall)
{
	struct kwgi_time time = { now, wall };

	in->from = &the_peer;
	in->tos = t->read_tos;
	return kwgi_device_receive(t->d, in, &time);
}

static bool is_taken(enum kwgi_receive_status s)
{
	return s == KWGI_RECEIVED_KEEPALIVE || s == KWGI_RECEIVED_HANDSHAKE;
}

enum kwg_tunnel_op kwg_tunnel_read_in_place(struct kwg_tunnel *t, void *datagram, size_t len,
					    uint8_t **out, size_t *out_len, uint64_t now,
					    uint64_t wall)
{
	struct kwgi_incoming in = { .message = datagram };
	enum kwgi_receive_status s;

	if (!len)
		return give(t, out, out_len);
	*out_len = 0;
	if (len > UINT16_MAX)
		return KWG_TUNNEL_DROPPED;
	in.message_len = (uint32_t)len;
	s = receive(t, &in, now, wall);
	if (s == KWGI_RECEIVED_PACKET) {
		*out = in.packet;
		*out_len = in.packet_len;
		return KWG_TUNNEL_DELIVER;
	}
	return is_taken(s) ? give(t, out, out_len) : KWG_TUNNEL_DROPPED;
}

enum kwg_tunnel_op kwg_tunnel_read(struct kwg_tunnel *t, const void *datagram, size_t len,
				   void *out, size_t *out_len, uint64_t now, uint64_t wall)
{
	struct kwgi_incoming in = { .message = out };
	enum kwgi_receive_status s;

	if (!len)
		return give_copy(t, out, out_len);
	if (len > UINT16_MAX || *out_len < len || *out_len < KWG_DATAGRAM_MIN) {
		*out_len = 0;
		return KWG_TUNNEL_DROPPED;
	}
	memmove(out, datagram, len);
	in.message_len = (uint32_t)len;
	s = receive(t, &in, now, wall);
	if (s == KWGI_RECEIVED_PACKET) {
		memmove(out, in.packet, in.packet_len);
		*out_len = in.packet_len;
		return KWG_TUNNEL_DELIVER;
	}
	if (is_taken(s))
		return give_copy(t, out, out_len);
	*out_len = 0;
	return KWG_TUNNEL_DROPPED;
}
