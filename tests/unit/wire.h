/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A few devices, a clock that a test moves, and datagrams that go nowhere until
 * the test says so. Host n (from 0) is at 192.0.2.(n + 1), port 1000 + n, and
 * owns 10.0.0.(n + 1) and fd00::(n + 1) inside.
 */
#ifndef WIRE_H
#define WIRE_H

#include "dp/device.h"
#include "dp/ippacket.h"
#include "unit.h"

enum { HOSTS = 4, OUTBOX = 1024, DATAGRAM_MAX = 2048, ROOM = 16 };

struct datagram {
	struct kwgi_path to;
	uint32_t len;
	uint8_t tos;
	uint8_t data[DATAGRAM_MAX];
};

struct host {
	struct kwgi_device *d;
	struct kwgi_key private_key, public_key;
	struct kwgi_path at;
	uint64_t seed;
	struct datagram *outbox;
	unsigned out_head, out_tail;		/* head: next to be taken */
	unsigned events[KWGI_EVENT_PEER_REMOVED + 1];
	unsigned received;			/* inner packets */
	uint32_t last_len;
	uint8_t last[DATAGRAM_MAX];
};

struct wire {
	struct host h[HOSTS];
	unsigned n;
	struct kwgi_time t;
	void (*move)(struct wire *w);		/* after every step of the clock; may be NULL */
};

/* ---- what a device asks of us -------------------------------------------------- */

static inline void host_random(void *arg, void *out, size_t len)
{
	struct host *h = arg;
	uint8_t *p = out;

	while (len--)
		*p++ = (uint8_t)(random_u32(&h->seed) >> 11);
}

static inline void host_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len,
			     uint8_t tos)
{
	struct host *h = arg;
	struct datagram *g = &h->outbox[h->out_tail++ % OUTBOX];

	if (h->out_tail - h->out_head > OUTBOX || len > DATAGRAM_MAX)
		ck_abort_msg("the outbox is too small");
	g->to = *to;
	g->len = (uint32_t)len;
	g->tos = tos;
	memcpy(g->data, msg, len);
}

static inline void host_event(void *arg, const struct kwgi_dp_peer *p, enum kwgi_event event)
{
	struct host *h = arg;

	(void)p;
	h->events[event]++;
}

/* ---- beginning and end ------------------------------------------------------------ */

static inline void host_init(struct host *h, unsigned n, uint64_t seed)
{
	struct kwgi_device_io io = {
		.arg = h, .random = host_random, .send = host_send, .event = host_event,
	};
	struct kwgi_key k;

	memset(h, 0, sizeof(*h));
	h->seed = seed;
	h->outbox = calloc(OUTBOX, sizeof(*h->outbox));
	host_random(h, k.b, sizeof(k.b));
	h->private_key = k;
	kwgi_key_clamp(&h->private_key);
	ck_assert_int_eq(kwgi_key_public(&h->public_key, &h->private_key), 0);
	h->at.family = 4;
	memcpy(h->at.addr, (uint8_t[]){ 192, 0, 2, (uint8_t)(n + 1) }, 4);
	h->at.port = (uint16_t)(1000 + n);
	h->d = kwgi_device_new(&io, kwgi_aead_best());
	ck_assert_ptr_nonnull(h->d);
	kwgi_device_set_private_key(h->d, &h->private_key);
}

static inline void wire_init(struct wire *w, unsigned n, uint64_t seed)
{
	unsigned i;

	memset(w, 0, sizeof(*w));
	w->n = n;
	w->t.now = 1000 * KWGI_SECOND;
	w->t.wall = 1700000000 * KWGI_SECOND;
	for (i = 0; i < n; i++)
		host_init(&w->h[i], i, seed + i);
}

static inline void wire_free(struct wire *w)
{
	unsigned i;

	for (i = 0; i < w->n; i++) {
		kwgi_device_free(w->h[i].d);
		free(w->h[i].outbox);
	}
}

static inline struct kwgi_dp_peer *peer(struct wire *w, unsigned host, unsigned other)
{
	return kwgi_device_find(w->h[host].d, &w->h[other].public_key);
}

/* Makes other a peer of host; it knows where that is if the flag says so. */
static inline struct kwgi_dp_peer *befriend(struct wire *w, unsigned host, unsigned other, bool path)
{
	struct kwgi_device *d = w->h[host].d;
	struct kwgi_dp_peer *p = kwgi_device_add(d, &w->h[other].public_key);
	char text[32];
	struct kwgi_prefix ip;

	ck_assert_ptr_nonnull(p);
	snprintf(text, sizeof(text), "10.0.0.%u/32", other + 1);
	ip = prefix(text);
	ck_assert_int_eq(kwgi_allowedips_insert(&d->allowed_ips, &ip, &p->allowed_ips), 0);
	snprintf(text, sizeof(text), "fd00::%u/128", other + 1);
	ip = prefix(text);
	ck_assert_int_eq(kwgi_allowedips_insert(&d->allowed_ips, &ip, &p->allowed_ips), 0);
	if (path)
		kwgi_peer_set_path(p, &w->h[other].at);
	return p;
}

/* So many hosts, of which the first two know each other and are up. */
static inline void wire_pair(struct wire *w, unsigned hosts, uint64_t seed)
{
	wire_init(w, hosts, seed);
	befriend(w, 0, 1, true);
	befriend(w, 1, 0, true);
	kwgi_device_set_up(w->h[0].d, true, &w->t);
	kwgi_device_set_up(w->h[1].d, true, &w->t);
}

/* ---- packets ------------------------------------------------------------------------- */

/* An IPv4 packet of len bytes from host to host, its payload beginning with n. */
static inline void make_packet(uint8_t *out, unsigned from, unsigned to, uint32_t len, uint32_t n)
{
	memset(out, 0, len);
	out[0] = 0x45;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	out[8] = 64;
	out[9] = KWGI_PROTO_UDP;
	memcpy(out + 12, (uint8_t[]){ 10, 0, 0, (uint8_t)(from + 1) }, 4);
	memcpy(out + 16, (uint8_t[]){ 10, 0, 0, (uint8_t)(to + 1) }, 4);
	if (len >= 24)
		memcpy(out + 20, &n, sizeof(n));
}

static inline enum kwgi_send_status say_len(struct wire *w, unsigned from, unsigned to,
					    uint32_t len, uint32_t n)
{
	uint8_t room[ROOM + DATAGRAM_MAX + 32];

	make_packet(room + ROOM, from, to, len, n);
	return kwgi_device_send(w->h[from].d, room + ROOM, len, &w->t);
}

static inline enum kwgi_send_status say(struct wire *w, unsigned from, unsigned to, uint32_t n)
{
	return say_len(w, from, to, 32, n);
}

/* The number of the last packet that has arrived. */
static inline uint32_t heard(const struct host *h)
{
	uint32_t n = 0;

	ck_assert_uint_ge(h->last_len, 24);
	memcpy(&n, h->last + 20, sizeof(n));
	return n;
}

/* ---- datagrams -------------------------------------------------------------------------- */

static inline unsigned waiting(const struct host *h)
{
	return h->out_tail - h->out_head;
}

/* The next datagram that a host has sent, or NULL. Good until it sends OUTBOX more. */
static inline struct datagram *take(struct host *h)
{
	return waiting(h) ? &h->outbox[h->out_head++ % OUTBOX] : NULL;
}

/* The same, which has to be there. */
static inline struct datagram *take_any(struct host *h)
{
	struct datagram *g = take(h);

	if (!g)
		ck_abort_msg("no datagram was sent");
	return g;
}

/* And of this type. */
static inline struct datagram *take_type(struct host *h, unsigned type)
{
	struct datagram *g = take_any(h);

	ck_assert_uint_eq(kwgi_get32(g->data), type);
	return g;
}

static inline enum kwgi_receive_status give_from(struct wire *w, unsigned to,
						 const struct datagram *g,
						 const struct kwgi_path *from)
{
	struct kwgi_incoming in = { .message_len = g->len, .from = from };
	struct host *h = &w->h[to];
	uint8_t copy[DATAGRAM_MAX];

	memcpy(copy, g->data, g->len);
	in.message = copy;
	if (kwgi_device_receive(h->d, &in, &w->t) == KWGI_RECEIVED_PACKET) {
		h->received++;
		h->last_len = in.packet_len;
		memcpy(h->last, in.packet, in.packet_len);
		return KWGI_RECEIVED_PACKET;
	}
	return h->d->up ? in.status : KWGI_DROPPED_NO_SESSION;
}

/* From where host from is. */
static inline enum kwgi_receive_status give(struct wire *w, unsigned from, unsigned to,
					    const struct datagram *g)
{
	return give_from(w, to, g, &w->h[from].at);
}

static inline int host_at(const struct wire *w, const struct kwgi_path *at)
{
	unsigned i;

	for (i = 0; i < w->n; i++)
		if (w->h[i].at.port == at->port && !memcmp(w->h[i].at.addr, at->addr, 16))
			return (int)i;
	return -1;
}

/* Carries datagrams until there are no more. */
static inline void settle(struct wire *w)
{
	struct datagram *g;
	bool any = true;
	unsigned i;

	while (any) {
		any = false;
		for (i = 0; i < w->n; i++) {
			g = take(&w->h[i]);
			if (!g)
				continue;
			any = true;
			if (host_at(w, &g->to) >= 0)
				give(w, i, (unsigned)host_at(w, &g->to), g);
		}
	}
}

static inline void lose(struct host *h)
{
	h->out_head = h->out_tail;
}

/* ---- time --------------------------------------------------------------------------------- */

static inline uint64_t first_deadline(const struct wire *w)
{
	uint64_t first = UINT64_MAX, next;
	unsigned i;

	for (i = 0; i < w->n; i++) {
		next = kwgi_timers_next(w->h[i].d);
		if (next < first)
			first = next;
	}
	return first;
}

/* Moves the clock to a time, with a stop wherever a timer is due. */
static inline void run_until(struct wire *w, uint64_t end)
{
	uint64_t next;
	unsigned i;

	while ((next = first_deadline(w)) <= end) {
		if (next > w->t.now) {
			w->t.wall += next - w->t.now;
			w->t.now = next;
		}
		for (i = 0; i < w->n; i++)
			ck_assert_uint_gt(kwgi_timers_run(w->h[i].d, &w->t), w->t.now);
		if (w->move)
			w->move(w);
	}
	w->t.wall += end - w->t.now;
	w->t.now = end;
}

static inline void run_for(struct wire *w, uint64_t ns)
{
	run_until(w, w->t.now + ns);
}

/* Host 0 makes a session with host 1 and both have confirmed it. */
static inline void meet(struct wire *w)
{
	unsigned before = w->h[1].received;

	say(w, 0, 1, 1);
	settle(w);
	ck_assert_uint_eq(w->h[1].received, before + 1);
}

#endif
