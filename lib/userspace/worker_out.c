/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "dp/deferred.h"
#include "dp/ippacket.h"
#include "dp/messages.h"
#include "userspace/path.h"
#include "userspace/worker_out.h"

enum {
	ICMP_INTERVAL = 10 * 1000 * 1000,	/* ns between two unreachable messages, on average */
	ICMP_BURST = 10,			/* that may follow each other at once */
};

/* From the arena of one read to the messages of a burst. */
_Static_assert((int)KWGI_SPLIT_SEGMENTS <= (int)KWGI_OUT_SEGMENTS, "all packets of one read");
_Static_assert((int)KWGI_OUT_ARENA >= (int)KWGI_SPLIT_ROOM, "one read always finds room");
_Static_assert((int)KWGI_TUN_VNET_HDR == (int)KWGI_VNET_LEN, "what the device and the packets have in front");
_Static_assert((int)KWGI_INNER_MAX + (int)KWGI_TRANSPORT_MIN <= (int)KWGI_UDP_MAX_V4 &&
	       KWGI_UDP_MAX_V4 <= UINT16_MAX, "the longest message is a datagram, and a segment size");

int kwgi_worker_out_init(struct kwgi_worker *w)
{
	w->out = malloc(sizeof(*w->out));
	if (!w->out)
		return -1;
	w->out->arena = aligned_alloc(64, KWGI_OUT_ARENA);
	if (!w->out->arena) {
		free(w->out);
		w->out = NULL;
		return -1;
	}
	return kwgi_split_init(&w->out->split, w->out->arena, KWGI_OUT_ARENA,
			       w->plane->tun.vnet_hdr, w->plane->device->mtu);
}

void kwgi_worker_out_free(struct kwgi_worker *w)
{
	if (!w->out)
		return;
	free(w->out->arena);
	free(w->out);
	w->out = NULL;
}

void kwgi_worker_send(struct kwgi_worker *w, struct kwgi_path *to, const uint8_t *msg, size_t len,
		      uint8_t tos)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = len };
	struct kwgi_udp_out o = { .iov = &iov, .n_iov = 1, .tos = tos };

	kwgi_path_sockaddr(&o.to, to);
	kwgi_path_source(&o.from, to);
	kwgi_udp_send(&w->udp, &o, 1, kwgi_now());
	if (o.result & KWGI_UDP_SOURCE_GONE)
		to->has_source = false;
}

/* ---- bursts ------------------------------------ */

/* Bursts that are being put together. */
struct bursts {
	unsigned n, n_iov;
	unsigned segments;		/* of the last burst */
	size_t bytes;
	bool closed;			/* its last segment was a short one */
	const struct kwgi_dp_peer *peer;
};

/* A burst of one is a plain datagram. */
static void seal_sizes(struct kwgi_udp_out *v, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (v[i].n_iov == 1 && v[i].iov[0].iov_len <= v[i].gso_size)
			v[i].gso_size = 0;
}

static void flush(struct kwgi_worker *w, struct bursts *b, uint64_t now)
{
	unsigned i;

	if (!b->n)
		return;
	seal_sizes(w->out->bursts, b->n);
	kwgi_udp_send(&w->udp, w->out->bursts, b->n, now);
	for (i = 0; i < b->n; i++)
		if (w->out->bursts[i].result & KWGI_UDP_SOURCE_GONE)
			w->gone = w->out->bursts[i].from;
	*b = (struct bursts){ 0 };
}

static bool fits(const struct kwgi_worker *w, const struct bursts *b, const struct kwgi_outgoing *o)
{
	const struct kwgi_udp_out *last = &w->out->bursts[b->n - 1];

	return !b->closed && b->peer == o->peer && last->tos == o->tos &&
	       o->message_len <= last->gso_size && b->segments < KWGI_UDP_SEGMENTS &&
	       b->bytes + o->message_len <= KWGI_UDP_MAX_V4;
}

/* Packets to two peers in turn, say, are a burst each: those that are ready go when there is no room. */
static void begin_burst(struct kwgi_worker *w, struct bursts *b, const struct kwgi_outgoing *o,
			uint64_t now)
{
	struct kwgi_udp_out *u;

	if (b->n == KWGI_UDP_BATCH)
		flush(w, b, now);
	u = &w->out->bursts[b->n++];
	kwgi_path_sockaddr(&u->to, &o->peer->path);
	kwgi_path_source(&u->from, &o->peer->path);
	u->tos = o->tos;
	u->gso_size = (uint16_t)o->message_len;
	u->iov = &w->out->iov[b->n_iov];
	u->n_iov = 0;
	b->segments = 0;
	b->bytes = 0;
	b->closed = false;
	b->peer = o->peer;
}

/* Messages that follow each other in memory need one iovec. */
static void add_message(struct kwgi_worker *w, struct bursts *b, const struct kwgi_outgoing *o,
			uint64_t now)
{
	struct kwgi_udp_out *u;
	struct iovec *v;

	if (b->n_iov == KWGI_BATCH)
		flush(w, b, now);
	if (!b->n || !fits(w, b, o))
		begin_burst(w, b, o, now);
	u = &w->out->bursts[b->n - 1];
	v = u->n_iov ? &u->iov[u->n_iov - 1] : NULL;
	if (v && (uint8_t *)v->iov_base + v->iov_len == o->message) {
		v->iov_len += o->message_len;
	} else {
		v = &u->iov[u->n_iov++];
		v->iov_base = o->message;
		v->iov_len = o->message_len;
		b->n_iov++;
	}
	b->segments++;
	b->bytes += o->message_len;
	b->closed = o->message_len < u->gso_size;
}

static void send_bursts(struct kwgi_worker *w, const struct kwgi_outgoing *v, unsigned n,
			uint64_t now)
{
	struct bursts b = { 0 };
	unsigned i;

	for (i = 0; i < n; i++)
		if (v[i].status == KWGI_SEND_NOW)
			add_message(w, &b, &v[i], now);
	flush(w, &b, now);
}

/* ---- what the fast path does not do ------------------------------------ */

/* Tells the sender on this host that nobody is there; not for each packet. */
static void answer_unreachable(struct kwgi_worker *w, const struct kwgi_outgoing *o, uint64_t now)
{
	static const struct kwgi_vnet no_offload;
	uint8_t answer[KWGI_ICMP6_MAX];
	struct iovec iov[2] = { { .iov_base = (void *)(uintptr_t)&no_offload,
				  .iov_len = w->plane->tun.vnet_hdr ? sizeof(no_offload) : 0 },
				{ .iov_base = answer } };

	if (w->icmp_next > now + (ICMP_BURST - 1) * (uint64_t)ICMP_INTERVAL)
		return;
	iov[1].iov_len = kwgi_icmp_unreachable(o->packet, o->len, answer, sizeof(answer));
	if (!iov[1].iov_len)
		return;
	w->icmp_next = (w->icmp_next > now ? w->icmp_next : now) + ICMP_INTERVAL;
	/* The link may be down by now: then nobody waits for it. */
	if (writev(w->tun, iov, 2) < 0)
		return;
}

static void send_rest(struct kwgi_worker *w, unsigned n, struct kwgi_deferred *todo)
{
	struct kwgi_time t = kwgi_dataplane_time();
	unsigned i;

	kwgi_worker_lock_all(w);
	/* Of several, the others are met again. */
	if (w->gone.family)
		kwgi_device_forget_source(w->plane->device, w->gone.family == AF_INET ? 4 : 6,
					  (const uint8_t *)&w->gone.v6);
	w->gone = (struct kwgi_source){ .family = AF_UNSPEC };
	for (i = 0; i < n; i++)
		if (w->out->packets[i].status == KWGI_SEND_SLOW)
			kwgi_send_slow(w->plane->device, &w->out->packets[i], &t);
	kwgi_run_deferred(w->plane->device, todo, &t);
	kwgi_worker_unlock_all(w);
}

/* Packets that were sealed are gone; some of the others want more. */
static void finish(struct kwgi_worker *w, unsigned n, uint64_t now, struct kwgi_deferred *todo)
{
	bool rest = todo->n || w->gone.family;
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct kwgi_outgoing *o = &w->out->packets[i];

		rest |= o->status == KWGI_SEND_SLOW;
		if (o->status == KWGI_SEND_NO_PEER || o->status == KWGI_SEND_NO_PATH)
			answer_unreachable(w, o, now);
	}
	if (rest)
		send_rest(w, n, todo);
}

/* ---- reading ------------------------------------ */

/* Appends the packets of one read; false if there is no more to read now. */
static bool read_once(struct kwgi_worker *w, unsigned *n, int *error)
{
	struct kwgi_worker_out *out = w->out;
	struct iovec iov[KWGI_SPLIT_IOV];
	unsigned i, k;
	ssize_t len;

	k = kwgi_split_iov(&out->split, iov);
	if (!k)
		return false;
	len = readv(w->tun, iov, (int)k);
	if (len < 0) {
		*error = errno;
		return false;
	}
	k = kwgi_split_done(&out->split, (size_t)len, out->segments, KWGI_SPLIT_SEGMENTS);
	for (i = 0; i < k; i++) {
		out->packets[*n].packet = out->segments[i].data;
		out->packets[(*n)++].len = out->segments[i].len;
	}
	return true;
}

/* Reads what is there, up to about a batch; returns the number of packets. */
static unsigned read_packets(struct kwgi_worker *w, int *error)
{
	unsigned n = 0;

	kwgi_split_reset(&w->out->split);
	while (n < KWGI_BATCH && n + KWGI_SPLIT_SEGMENTS <= KWGI_OUT_SEGMENTS &&
	       read_once(w, &n, error))
		;
	return n;
}

/* What waits for a session is sent by another way, and in no count. */
static void count(struct kwgi_worker_count *c, const struct kwgi_outgoing *o)
{
	switch (o->status) {
	case KWGI_SEND_NOW:
		c->packets++;
		c->bytes += o->len;
		break;
	case KWGI_SEND_SLOW:
		break;
	case KWGI_SEND_NO_PEER:
	case KWGI_SEND_NO_PATH:
		c->dropped++;
		break;
	}
}

static void send_packets(struct kwgi_worker *w, unsigned n, uint64_t now,
			 struct kwgi_deferred *todo)
{
	struct kwgi_outgoing *v = w->out->packets;
	unsigned i, j, k;

	for (i = 0; i < n; i += k) {
		k = n - i < KWGI_BATCH ? n - i : KWGI_BATCH;
		kwgi_send_batch(w->plane->device, v + i, k, now, todo);
		for (j = i; j < i + k; j++)
			count(&w->sent, &v[j]);
		send_bursts(w, v + i, k, now);
	}
}

bool kwgi_worker_read_tun(struct kwgi_worker *w)
{
	struct kwgi_deferred todo;
	uint64_t now = 0;
	int error = 0;
	unsigned n;

	todo.n = 0;
	kwgi_worker_lock(w);
	n = read_packets(w, &error);
	if (!w->plane->device->up)
		n = 0;
	if (n) {
		now = kwgi_now();
		send_packets(w, n, now, &todo);
	}
	kwgi_worker_unlock(w);
	finish(w, n, now, &todo);
	return !error || error == EAGAIN || error == EINTR || error == EIO;
}
