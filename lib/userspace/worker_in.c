/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "dp/deferred.h"
#include "dp/messages.h"
#include "userspace/path.h"
#include "userspace/worker_in.h"

_Static_assert((int)KWGI_IN_MESSAGES <= (int)KWGI_UDP_BATCH, "all buffers are used");
_Static_assert(KWGI_COALESCE_FRONT <= sizeof(struct kwgi_transport), "a packet has its message's header in front");

int kwgi_worker_in_init(struct kwgi_worker *w)
{
	unsigned i;

	w->in = malloc(sizeof(*w->in));
	if (!w->in)
		return -1;
	/* Pages that no message has reached cost nothing. */
	w->in->buffers = aligned_alloc(64, (size_t)KWGI_IN_MESSAGES * KWGI_UDP_BUFFER);
	if (!w->in->buffers) {
		free(w->in);
		w->in = NULL;
		return -1;
	}
	w->in->n = 0;
	for (i = 0; i < KWGI_IN_MESSAGES; i++) {
		w->in->messages[i].data = w->in->buffers + (size_t)i * KWGI_UDP_BUFFER;
		w->in->messages[i].cap = KWGI_UDP_BUFFER;
	}
	kwgi_coalesce_init(&w->in->coalesce, w->plane->coalesce);
	kwgi_tun_writer_init(&w->in->writer, !w->plane->no_aio);
	return 0;
}

void kwgi_worker_in_free(struct kwgi_worker *w)
{
	if (!w->in)
		return;
	kwgi_tun_writer_free(&w->in->writer);
	free(w->in->buffers);
	free(w->in);
	w->in = NULL;
}

/* ---- to the host ------------------------------------ */

static void write_tun(struct kwgi_worker *w)
{
	struct kwgi_coalesce *c = &w->in->coalesce;
	const struct kwgi_write *v;
	unsigned n;

	v = kwgi_coalesce_writes(c, &n);
	kwgi_tun_write(&w->in->writer, w->tun, v, n);
	kwgi_coalesce_reset(c);
}

static void deliver(struct kwgi_worker *w, const struct kwgi_incoming *in)
{
	struct kwgi_coalesce *c = &w->in->coalesce;

	if (!kwgi_coalesce_add(c, in->packet, in->packet_len))
		return;
	write_tun(w);
	kwgi_coalesce_add(c, in->packet, in->packet_len);
}

static void count(struct kwgi_worker_count *c, const struct kwgi_incoming *in)
{
	switch (in->status) {
	case KWGI_RECEIVED_PACKET:
		c->packets++;
		c->bytes += in->packet_len;
		break;
	case KWGI_RECEIVED_KEEPALIVE:
	case KWGI_RECEIVED_HANDSHAKE:
		break;
	case KWGI_DROPPED_MALFORMED:
	case KWGI_DROPPED_NO_SESSION:
	case KWGI_DROPPED_NOT_AUTHENTIC:
	case KWGI_DROPPED_REPLAY:
	case KWGI_DROPPED_CONTENT:
	case KWGI_DROPPED_SOURCE:
		c->dropped++;
		break;
	}
}

/* ---- what wants the device alone ------------------------------------ */

static void receive_rest(struct kwgi_worker *w, struct kwgi_deferred *todo)
{
	struct kwgi_device *d = w->plane->device;
	struct kwgi_time t = kwgi_dataplane_time();
	unsigned i;

	kwgi_worker_lock_all(w);
	for (i = 0; i < w->in->n; i++) {
		if (w->in->batch[i].status == KWGI_RECEIVED_HANDSHAKE)
			kwgi_queue_handshake(d, &w->in->batch[i], t.now);
		kwgi_receive_slow(d, &w->in->batch[i], &t);
	}
	kwgi_run_deferred(d, todo, &t);
	kwgi_worker_unlock_all(w);
}

/* Opens what has been gathered. The worker's lock is held, but let go in between if need be. */
static void receive_batch(struct kwgi_worker *w, uint64_t now)
{
	struct kwgi_worker_in *in = w->in;
	struct kwgi_deferred todo;
	bool rest;
	unsigned i;

	todo.n = 0;
	if (!w->plane->device->up)
		in->n = 0;
	kwgi_receive_batch(w->plane->device, in->batch, in->n, now, &todo);
	rest = todo.n;
	for (i = 0; i < in->n; i++) {
		count(&w->received, &in->batch[i]);
		rest |= in->batch[i].slow || in->batch[i].status == KWGI_RECEIVED_HANDSHAKE;
		if (in->batch[i].status == KWGI_RECEIVED_PACKET)
			deliver(w, &in->batch[i]);
	}
	if (rest) {
		kwgi_worker_unlock(w);
		receive_rest(w, &todo);
		kwgi_worker_lock(w);
	}
	in->n = 0;
}

/* One message from the kernel may hold many datagrams. */
static void add_datagrams(struct kwgi_worker *w, unsigned m, uint64_t now)
{
	struct kwgi_worker_in *in = w->in;
	struct kwgi_udp_in *u = &in->messages[m];
	size_t at, size = u->gso_size ? u->gso_size : u->len;
	struct kwgi_incoming *v;

	kwgi_path_from(&in->from[m], &u->from, &u->to);
	for (at = 0; at < u->len; at += size) {
		v = &in->batch[in->n++];
		v->message = u->data + at;
		v->message_len = (uint32_t)(u->len - at < size ? u->len - at : size);
		v->from = &in->from[m];
		v->tos = u->tos;
		if (in->n == KWGI_BATCH)
			receive_batch(w, now);
	}
}

/* The worker's lock is held. Returns whether anything was there. */
static bool read_sockets(struct kwgi_worker *w, struct kwgi_udp *u, int family)
{
	int fd = family == 4 ? u->fd4 : u->fd6, i, n;
	uint64_t now;

	/* Sockets come and go with the link and the port. */
	n = fd < 0 ? 0 : kwgi_udp_receive(u, fd, w->in->messages, KWGI_IN_MESSAGES);
	if (n <= 0)
		return false;
	now = kwgi_now();
	for (i = 0; i < n; i++)
		add_datagrams(w, (unsigned)i, now);
	if (w->in->n)
		receive_batch(w, now);
	return true;
}

void kwgi_worker_read_udp(struct kwgi_worker *w, int family)
{
	kwgi_worker_lock(w);
	(void)read_sockets(w, &w->udp, family);
	kwgi_worker_unlock(w);
	write_tun(w);
}

bool kwgi_worker_read_former(struct kwgi_worker *w, int family)
{
	bool any;

	kwgi_worker_lock(w);
	any = read_sockets(w, &w->former, family);
	if (any)
		atomic_store_explicit(&w->plane->former_used, true, memory_order_relaxed);
	kwgi_worker_unlock(w);
	write_tun(w);
	return any;
}
