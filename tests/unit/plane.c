/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The stand-ins take the places of their namesakes in the library: as they are defined here, the
 * linker does not look for those in the archive.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "dp/bytes.h"
#include "dp/checksum.h"
#include "dp/ippacket.h"
#include "dp/protocol.h"
#include "plane.h"
#include "userspace/path.h"
#include "userspace/worker_in.h"
#include "userspace/worker_out.h"

enum {
	TUN = 1000,		/* descriptors: of worker n */
	UDP4 = 2000, UDP6 = 3000,
	PORT = 10000,		/* of peer n */
	OUR_PORT = 51820,
	TCP = KWGI_TCP_HEADER,
	MTU = 1420,
	LARGEST = KWGI_VNET_LEN + KWGI_IP6_HEADER + 65535,
};

/* What waits to be read. */
struct item {
	struct item *next;
	unsigned peer;
	uint8_t tos;		/* of a datagram */
	size_t len;
	uint8_t data[];
};

struct queue {
	struct item *first, **end;
};

/* How far a flow has come: what is sent next, and what has to arrive next. */
struct at {
	uint32_t seq;
	uint16_t id;
};

struct flow {
	struct at sent, arrived;
	bool lossy;		/* some may have been sent without a session */
};

struct plane_peer {
	struct kwgi_device *d;
	struct kwgi_path path;
	struct kwgi_key private_key;
	uint64_t seed;
	unsigned number;
	struct flow to[PLANE_WORKERS][2], from[2];
};

static struct kwgi_dataplane plane;
static struct plane_options options;
static struct kwgi_time now;
static uint64_t seed;
static struct plane_peer *peers;
static struct kwgi_path our_path[2];
static bool held[PLANE_WORKERS];
static struct queue tun[PLANE_WORKERS], udp[PLANE_WORKERS][2];
struct plane_count plane_count;

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* ---- queues ------------------------------------ */

static struct item *item_new(size_t len)
{
	struct item *i = calloc(1, sizeof(*i) + len);

	must(i);
	i->len = len;
	return i;
}

static void put(struct queue *q, struct item *i)
{
	if (!q->first)
		q->end = &q->first;
	*q->end = i;
	q->end = &i->next;
}

static struct item *take(struct queue *q)
{
	struct item *i = q->first;

	if (i)
		q->first = i->next;
	return i;
}

static void queue_free(struct queue *q)
{
	struct item *i;

	while ((i = take(q)))
		free(i);
}

/* ---- packets ------------------------------------ */

/* Which packet: of a peer, in a direction; the source port is the worker. */
struct what {
	const struct plane_peer *peer;
	unsigned worker;
	bool ip6, to_peer;
	uint8_t tos;
};

static uint32_t headers_len(bool ip6)
{
	return (ip6 ? KWGI_IP6_HEADER : KWGI_IP4_HEADER) + TCP;
}

static void write_address(uint8_t *p, const struct what *w, bool peer)
{
	static const uint8_t host4[4] = { 10, 1, 0, 1 }, host6[16] = { 0xfd, 1, [15] = 1 };
	static const uint8_t peer4[4] = { 10, 9 }, peer6[16] = { 0xfd, 9 };
	unsigned n = w->ip6 ? 16 : 4;

	memcpy(p, w->ip6 ? (peer ? peer6 : host6) : (peer ? peer4 : host4), n);
	if (peer)
		put16(p + n - 2, w->peer->number);
}

static void write_ip(uint8_t *p, const struct what *w, const struct at *at, uint32_t len)
{
	uint16_t check;

	if (w->ip6) {
		put32(p, 6u << 28 | (uint32_t)w->tos << 20);
		put16(p + 4, len - KWGI_IP6_HEADER);
		p[6] = KWGI_PROTO_TCP;
		p[7] = 64;
		write_address(p + 8, w, !w->to_peer);
		write_address(p + 24, w, w->to_peer);
		return;
	}
	p[0] = 0x45;
	p[1] = w->tos;
	put16(p + 2, len);
	put16(p + 4, at->id);
	p[8] = 64;
	p[9] = KWGI_PROTO_TCP;
	write_address(p + 12, w, !w->to_peer);
	write_address(p + 16, w, w->to_peer);
	check = kwgi_csum_ipv4(p, KWGI_IP4_HEADER);
	memcpy(p + 10, &check, sizeof(check));
}

/* A packet of TCP, at a zeroed place, whose content is a function of where it is in the flow. */
static uint32_t write_packet(uint8_t *p, const struct what *w, const struct at *at, uint32_t payload,
			     bool whole)
{
	uint32_t len = headers_len(w->ip6) + payload, i;
	uint8_t *tcp = p + headers_len(w->ip6) - TCP;
	uint64_t sum;
	uint16_t check;

	write_ip(p, w, at, len);
	put16(tcp, 1000 + w->worker);
	put16(tcp + 2, 443);
	put32(tcp + 4, at->seq);
	tcp[12] = TCP / 4 << 4;
	tcp[13] = 0x10;		/* ACK */
	for (i = 0; i < payload; i++)
		tcp[TCP + i] = (uint8_t)((at->seq + i) * 7 >> 3);
	sum = w->ip6 ? kwgi_csum_pseudo6(p + 8, KWGI_PROTO_TCP, TCP + payload) :
		       kwgi_csum_pseudo4(p + 12, KWGI_PROTO_TCP, TCP + payload);
	check = kwgi_csum_fold(whole ? kwgi_csum_partial(tcp, TCP + payload, sum) : sum);
	check = whole ? (uint16_t)~check : check;
	memcpy(tcp + 16, &check, sizeof(check));
	return len;
}

static void advance(struct at *at, uint32_t payload, unsigned packets)
{
	at->seq += payload;
	at->id = (uint16_t)(at->id + packets);
}

/* Some packets have no payload, and those of IPv6 no identification. */
static bool is_later(const struct at *a, const struct at *b)
{
	int32_t bytes = (int32_t)(a->seq - b->seq);

	return bytes > 0 || (!bytes && (int16_t)(a->id - b->id) > 0);
}

/* Is it the next packet of its flow, unchanged? */
static void arrive(struct flow *f, const struct what *w, const uint8_t *packet, uint32_t len)
{
	uint32_t payload = len - headers_len(w->ip6);
	uint8_t *want = calloc(1, len);
	struct at at = { .seq = get32(packet + headers_len(w->ip6) - TCP + 4),
			 .id = w->ip6 ? f->arrived.id : (uint16_t)get16(packet + 4) };

	must(want);
	if (f->lossy && is_later(&at, &f->arrived))
		f->arrived = at;
	must(write_packet(want, w, &f->arrived, payload, true) == len);
	must(!memcmp(want, packet, len));
	free(want);
	advance(&f->arrived, payload, 1);
}

/* Looks whose it is: at the host (peer is NULL), or at a peer. */
static void arrive_any(const uint8_t *packet, uint32_t len, const struct plane_peer *peer)
{
	bool to_peer = peer;
	struct what w = { .to_peer = to_peer };
	struct plane_peer *p;
	struct flow *f;
	unsigned number;

	must(len >= KWGI_IP4_HEADER + TCP);
	w.ip6 = packet[0] >> 4 == 6;
	must(len >= headers_len(w.ip6));
	number = get16(packet + (w.ip6 ? to_peer ? 38 : 22 : to_peer ? 18 : 14));
	must(number < options.peers);
	w.peer = p = &peers[number];
	w.worker = get16(packet + headers_len(w.ip6) - TCP) - 1000;
	must(w.worker < options.workers);
	w.tos = w.ip6 ? (uint8_t)(get16(packet) >> 4) : packet[1];
	f = to_peer ? &p->to[w.worker][w.ip6] : &p->from[w.ip6];
	if (!to_peer || p == peer)
		arrive(f, &w, packet, len);
	else
		must(f->lossy);		/* the address was another one's meanwhile */
}

/* ---- clock and locks ------------------------------------ */

uint64_t kwgi_now(void)
{
	return now.now;
}

struct kwgi_time kwgi_dataplane_time(void)
{
	return now;
}

void kwgi_worker_lock(struct kwgi_worker *w)
{
	must(!plane.alone && !held[w - plane.workers]);
	held[w - plane.workers] = true;
}

void kwgi_worker_unlock(struct kwgi_worker *w)
{
	must(!plane.alone && held[w - plane.workers]);
	held[w - plane.workers] = false;
}

void kwgi_worker_lock_all(struct kwgi_worker *w)
{
	unsigned i;

	for (i = 0; i < plane.n_workers; i++)
		kwgi_worker_lock(&plane.workers[i]);
	plane.alone = w;
}

void kwgi_worker_unlock_all(struct kwgi_worker *w)
{
	unsigned i;

	must(plane.alone == w);
	plane.alone = NULL;
	for (i = 0; i < plane.n_workers; i++)
		kwgi_worker_unlock(&plane.workers[i]);
}

/* ---- the TUN device ------------------------------------ */

ssize_t readv(int fd, const struct iovec *iov, int n)
{
	struct kwgi_worker *w = &plane.workers[fd - TUN];
	struct item *i;
	size_t at, part;

	must(fd >= TUN && fd < TUN + (int)plane.n_workers && held[w - plane.workers]);
	i = take(&tun[fd - TUN]);
	if (!i) {
		errno = EAGAIN;
		return -1;
	}
	for (at = 0; n-- && at < i->len; at += part, iov++) {
		part = iov->iov_len < i->len - at ? iov->iov_len : i->len - at;
		memcpy(iov->iov_base, i->data + at, part);
	}
	free(i);
	plane_count.reads++;
	return (ssize_t)at;
}

/* What a worker itself tells the host: that nobody is there. */
ssize_t writev(int fd, const struct iovec *iov, int n)
{
	ssize_t len = 0;

	must(fd >= TUN && fd < TUN + (int)plane.n_workers);
	while (n--)
		len += (ssize_t)iov[n].iov_len;
	return len;
}

/* One write, taken together, into what the host makes of it: packets. */
static void read_write(const uint8_t *data, size_t len)
{
	static struct kwgi_segment out[KWGI_SPLIT_SEGMENTS];
	static _Alignas(64) uint8_t arena[KWGI_SPLIT_ROOM];
	static struct kwgi_split s;
	struct iovec iov[KWGI_SPLIT_IOV];
	unsigned i, n;
	size_t at, part;

	must(!kwgi_split_init(&s, arena, sizeof(arena), options.offloads, 0));
	n = kwgi_split_iov(&s, iov);
	for (at = 0, i = 0; i < n && at < len; at += part, i++) {
		part = iov[i].iov_len < len - at ? iov[i].iov_len : len - at;
		memcpy(iov[i].iov_base, data + at, part);
	}
	must(at == len);
	n = kwgi_split_done(&s, len, out, KWGI_SPLIT_SEGMENTS);
	must(n > 0);
	for (i = 0; i < n; i++)
		arrive_any(out[i].data, out[i].len, NULL);
}

void kwgi_tun_writer_init(struct kwgi_tun_writer *w, bool batched)
{
	(void)batched;
	memset(w, 0, sizeof(*w));
}

void kwgi_tun_writer_free(struct kwgi_tun_writer *w)
{
	(void)w;
}

void kwgi_tun_write(struct kwgi_tun_writer *writer, int fd, const struct kwgi_write *v, unsigned n)
{
	static uint8_t data[LARGEST];
	const struct kwgi_worker_in *in = plane.workers[fd - TUN].in;
	const uint8_t *end = in->buffers + (size_t)KWGI_IN_MESSAGES * KWGI_UDP_BUFFER;
	unsigned k;
	size_t len;

	must(writer == &in->writer && n <= KWGI_COALESCE_PACKETS);
	for (; n--; v++) {
		for (k = 0, len = 0; k < (unsigned)v->n; len += v->iov[k++].iov_len) {
			const uint8_t *p = v->iov[k].iov_base;

			must(p >= in->buffers && v->iov[k].iov_len <= (size_t)(end - p));
			must(v->iov[k].iov_len <= sizeof(data) - len);
			memcpy(data + len, p, v->iov[k].iov_len);
		}
		read_write(data, len);
		plane_count.writes++;
	}
}

/* ---- the sockets ------------------------------------ */

static void hand_to_peer(struct plane_peer *p, const struct kwgi_path *from, const uint8_t *msg,
			 size_t len, uint8_t tos)
{
	struct kwgi_incoming in = { .message_len = (uint32_t)len, .from = from, .tos = tos };
	enum kwgi_receive_status status;

	plane_count.datagrams++;
	in.message = malloc(len);
	must(in.message);
	memcpy(in.message, msg, len);
	status = kwgi_device_receive(p->d, &in, &now);
	/* Nothing is damaged or said twice. */
	must(status != KWGI_DROPPED_MALFORMED && status != KWGI_DROPPED_NOT_AUTHENTIC &&
	     status != KWGI_DROPPED_REPLAY && status != KWGI_DROPPED_SOURCE);
	if (status == KWGI_RECEIVED_PACKET)
		arrive_any(in.packet, in.packet_len, p);
	free(in.message);
}

static uint16_t port_of(const struct kwgi_sockaddr *to)
{
	return ntohs(to->family == AF_INET6 ? to->v6.sin6_port : to->v4.sin_port);
}

/* One message: its datagrams, to whom it is for. */
static void carry(const struct kwgi_udp_out *o)
{
	static uint8_t data[KWGI_UDP_MAX_V6];
	size_t len = 0, at, size, part;
	unsigned i, number = port_of(&o->to) - PORT;

	for (i = 0; i < o->n_iov; len += o->iov[i++].iov_len) {
		must(o->iov[i].iov_len <= sizeof(data) - len);
		memcpy(data + len, o->iov[i].iov_base, o->iov[i].iov_len);
	}
	size = o->gso_size ? o->gso_size : len;
	must(len && len <= KWGI_UDP_MAX_V4 && len <= KWGI_UDP_SEGMENTS * size);
	if (number >= options.peers)
		return;
	for (at = 0; at < len; at += part) {
		part = size < len - at ? size : len - at;
		hand_to_peer(&peers[number], &our_path[o->to.family == AF_INET6], data + at, part,
			     o->tos);
	}
}

/* A batch of a worker lies in its own memory. */
static void check_batch(const struct kwgi_worker *w, const struct kwgi_udp_out *v, unsigned n)
{
	const struct kwgi_worker_out *out = w->out;
	const uint8_t *p;
	unsigned i, k;

	for (i = 0; i < n; i++) {
		must(v[i].n_iov && v[i].iov >= out->iov && v[i].n_iov <= KWGI_UDP_SEGMENTS &&
		     v[i].n_iov <= out->iov + KWGI_BATCH - v[i].iov);
		for (k = 0; k < v[i].n_iov; k++) {
			p = v[i].iov[k].iov_base;
			must(p >= out->arena && p <= out->arena + KWGI_OUT_ARENA &&
			     v[i].iov[k].iov_len <= (size_t)(out->arena + KWGI_OUT_ARENA - p));
		}
	}
}

unsigned kwgi_udp_send(struct kwgi_udp *u, struct kwgi_udp_out *v, unsigned n, uint64_t when)
{
	struct kwgi_worker *w = (void *)((uint8_t *)u - offsetof(struct kwgi_worker, udp));
	unsigned i;

	must(n && n <= KWGI_UDP_BATCH && when == now.now && held[w - plane.workers]);
	if (v == w->out->bursts)
		check_batch(w, v, n);
	else
		must(n == 1 && plane.alone == w);
	plane_count.most = n > plane_count.most ? n : plane_count.most;
	for (i = 0; i < n; i++) {
		carry(&v[i]);
		v[i].result = KWGI_UDP_SENT;
		v[i].error = 0;
		plane_count.messages++;
	}
	return 0;
}

/* As the kernel does with UDP_GRO: datagrams of one size and sender are one message. */
static bool joins(const struct kwgi_udp_in *in, const struct item *first, const struct item *i)
{
	return options.offloads && i && i->peer == first->peer && i->tos == first->tos && i->len &&
	       i->len <= first->len && in->len % first->len == 0 &&
	       in->len / first->len < KWGI_UDP_SEGMENTS && in->len + i->len <= in->cap;
}

static void receive_one(struct kwgi_udp_in *in, struct queue *q)
{
	struct item *first = take(q), *i = first;

	in->len = 0;
	in->tos = first->tos;
	memset(&in->to, 0, sizeof(in->to));
	kwgi_path_sockaddr(&in->from, &peers[first->peer].path);
	do {
		must(i->len <= in->cap - in->len);
		memcpy(in->data + in->len, i->data, i->len);
		in->len += i->len;
		plane_count.received++;
		if (i != first)
			free(i);
		i = joins(in, first, q->first) ? take(q) : NULL;
	} while (i);
	in->gso_size = (uint16_t)(in->len > first->len ? first->len : 0);
	free(first);
}

int kwgi_udp_receive(struct kwgi_udp *u, int fd, struct kwgi_udp_in *v, unsigned n)
{
	struct kwgi_worker *w = (void *)((uint8_t *)u - offsetof(struct kwgi_worker, udp));
	struct queue *q = &udp[w - plane.workers][fd == u->fd6];
	unsigned i;

	must(held[w - plane.workers] && n <= KWGI_UDP_BATCH);
	for (i = 0; i < n && q->first; i++)
		receive_one(&v[i], q);
	return (int)i;
}

/* ---- devices ------------------------------------ */

static void random_bytes(uint64_t *state, uint8_t *out, size_t len)
{
	while (len--) {
		*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
		*out++ = (uint8_t)(*state >> 56);
	}
}

static void our_random(void *arg, void *out, size_t len)
{
	(void)arg;
	random_bytes(&seed, out, len);
}

static void our_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	(void)arg;
	must(plane.alone != NULL);
	kwgi_worker_send(plane.alone, to, msg, len, tos);
}

static void peer_random(void *arg, void *out, size_t len)
{
	struct plane_peer *p = arg;

	random_bytes(&p->seed, out, len);
}

static struct queue *inbox(const struct plane_peer *p)
{
	return &udp[p->number % options.workers][p->path.family == 6];
}

static void peer_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	struct plane_peer *p = arg;
	struct item *i = item_new(len);

	(void)to;
	i->peer = p->number;
	i->tos = tos;
	memcpy(i->data, msg, len);
	put(inbox(p), i);
}

static struct kwgi_dp_peer *device_peer(struct kwgi_device *d, const struct kwgi_key *key,
					const struct kwgi_prefix *v4, const struct kwgi_prefix *v6,
					const struct kwgi_path *path)
{
	struct kwgi_dp_peer *p = kwgi_device_add(d, key);

	must(p && !kwgi_allowedips_insert(&d->allowed_ips, v4, &p->allowed_ips) &&
	     !kwgi_allowedips_insert(&d->allowed_ips, v6, &p->allowed_ips));
	kwgi_peer_set_path(p, path);
	return p;
}

static void path_set(struct kwgi_path *p, uint8_t family, unsigned number, unsigned port)
{
	memset(p, 0, sizeof(*p));
	p->family = family;
	p->addr[0] = family == 4 ? 198 : 0x20;
	p->addr[1] = family == 4 ? 18 : 1;
	put16(p->addr + (family == 4 ? 2 : 14), number);
	p->port = (uint16_t)port;
}

static void begin_peer(struct plane_peer *p, unsigned number)
{
	const struct kwgi_device_io io = { .arg = p, .random = peer_random, .send = peer_send };
	static const struct kwgi_prefix all4 = { .addr.family = KWGI_AF_V4 };
	static const struct kwgi_prefix all6 = { .addr.family = KWGI_AF_V6 };
	struct kwgi_prefix v4 = { .addr.family = KWGI_AF_V4, .len = 32 };
	struct kwgi_prefix v6 = { .addr.family = KWGI_AF_V6, .len = 128 };
	struct what me = { .peer = p };

	p->number = number;
	p->seed = number + 100;
	p->d = kwgi_device_new(&io, kwgi_aead_best());
	must(p->d);
	peer_random(p, p->private_key.b, sizeof(p->private_key.b));
	kwgi_device_set_private_key(p->d, &p->private_key);
	path_set(&p->path, number % 2 ? 6 : 4, number + 2, PORT + number);
	write_address(v4.addr.b, &me, true);
	me.ip6 = true;
	write_address(v6.addr.b, &me, true);
	device_peer(plane.device, &p->d->identity.public_key, &v4, &v6, &p->path);
	device_peer(p->d, &plane.device->identity.public_key, &all4, &all6,
		    &our_path[number % 2]);
	kwgi_device_set_up(p->d, true, &now);
}

static void begin_device(void)
{
	const struct kwgi_device_io io = { .random = our_random, .send = our_send };
	struct kwgi_key key;

	seed = 1;
	now.now = 1000 * KWGI_SECOND;
	now.wall = 1700000000 * KWGI_SECOND;
	plane.device = kwgi_device_new(&io, kwgi_aead_best());
	must(plane.device);
	our_random(NULL, key.b, sizeof(key.b));
	kwgi_device_set_private_key(plane.device, &key);
	path_set(&our_path[0], 4, 1, OUR_PORT);
	path_set(&our_path[1], 6, 1, OUR_PORT);
}

static void begin_worker(unsigned i)
{
	struct kwgi_worker *w = &plane.workers[i];

	w->plane = &plane;
	w->tun = TUN + (int)i;
	w->udp.fd4 = UDP4 + (int)i;
	w->udp.fd6 = UDP6 + (int)i;
	must(!kwgi_worker_out_init(w) && !kwgi_worker_in_init(w));
}

/* ---- what has to arrive ------------------------------------ */

/* Do packets pass, from the session of one to that of the other? */
static bool passes(const struct kwgi_device *from, const struct kwgi_dp_peer *p,
		   const struct kwgi_device *to)
{
	const struct kwgi_keypair *other;

	if (!from->up || !to->up || !p->path.family || p->staged ||
	    !kwgi_keypair_sends(p->current, now.now))
		return false;
	other = kwgi_session(to, p->current->remote_index);
	return other && other->remote_index == p->current->local_index &&
	       kwgi_keypair_receives(other, now.now);
}

static bool owns(const struct kwgi_dp_peer *p, const struct plane_peer *peer)
{
	struct what w = { .peer = peer };
	uint8_t a[16];

	write_address(a, &w, true);
	if (kwgi_allowedips_lookup4(&plane.device->allowed_ips, a) != p)
		return false;
	w.ip6 = true;
	write_address(a, &w, true);
	return kwgi_allowedips_lookup6(&plane.device->allowed_ips, a) == p;
}

static bool lives(const struct plane_peer *peer, bool to_peer)
{
	const struct kwgi_dp_peer *p = kwgi_device_find(plane.device, &peer->d->identity.public_key);

	if (!p || !owns(p, peer))
		return false;
	if (!to_peer)
		return passes(peer->d, peer->d->first, plane.device);
	return p->path.port == PORT + peer->number && passes(plane.device, p, peer->d);
}

static void check_flow(struct flow *f, bool alive)
{
	if (!f->lossy) {
		must(f->arrived.seq == f->sent.seq && f->arrived.id == f->sent.id);
	} else if (alive) {
		/* What has not come by now is lost. */
		f->arrived = f->sent;
		f->lossy = false;
	}
}

static void check_flows(void)
{
	unsigned i, k;

	for (i = 0; i < options.peers; i++) {
		struct plane_peer *p = &peers[i];
		bool to = lives(p, true), from = lives(p, false);

		for (k = 0; k < 2 * options.workers; k++)
			check_flow(&p->to[k / 2][k % 2], to);
		for (k = 0; k < 2; k++)
			check_flow(&p->from[k], from);
	}
}

/* ---- for tests ------------------------------------ */

void plane_send(const struct plane_packet *d)
{
	struct plane_peer *p = &peers[d->peer];
	struct what w = { p, d->worker, d->ip6, true, d->tos };
	struct flow *f = &p->to[d->worker][d->ip6];
	uint32_t gso = options.offloads && d->gso < d->payload ? d->gso : 0;
	unsigned header = options.offloads ? KWGI_VNET_LEN : 0;
	struct item *i = item_new(header + headers_len(d->ip6) + d->payload);
	struct kwgi_vnet vnet = {
		.flags = KWGI_VNET_NEEDS_CSUM, .gso_size = (uint16_t)gso,
		.gso_type = d->ip6 ? KWGI_VNET_GSO_TCPV6 : KWGI_VNET_GSO_TCPV4,
		.csum_start = (uint16_t)(headers_len(d->ip6) - TCP), .csum_offset = 16,
	};

	if (gso)
		memcpy(i->data, &vnet, sizeof(vnet));
	write_packet(i->data + header, &w, &f->sent, d->payload, !gso);
	put(&tun[d->worker], i);
	advance(&f->sent, d->payload, gso ? (d->payload + gso - 1) / gso : 1);
	f->lossy |= !lives(p, true);
}

void plane_answer(const struct plane_packet *d)
{
	struct plane_peer *p = &peers[d->peer];
	struct what w = { p, p->number % options.workers, d->ip6, false, d->tos };
	struct flow *f = &p->from[d->ip6];
	uint32_t len = headers_len(d->ip6) + d->payload;
	uint8_t *room = calloc(1, KWGI_TRANSPORT_MIN + len + KWGI_PAD_MULTIPLE);

	must(room);
	write_packet(room + sizeof(struct kwgi_transport), &w, &f->sent, d->payload, true);
	advance(&f->sent, d->payload, 1);
	f->lossy |= !lives(p, false);
	kwgi_device_send(p->d, room + sizeof(struct kwgi_transport), len, &now);
	free(room);
}

void plane_intrude(unsigned peer, const uint8_t *data, size_t len)
{
	peer_send(&peers[peer], NULL, data, len, 0);
}

static void work_handshakes(void)
{
	struct kwgi_worker *w = &plane.workers[0];

	kwgi_worker_lock_all(w);
	while (kwgi_work_handshakes(plane.device, KWGI_HANDSHAKES_PER_TURN, &now))
		;
	kwgi_worker_unlock_all(w);
}

static bool take_turn(unsigned i)
{
	struct kwgi_worker *w = &plane.workers[i];
	bool any = tun[i].first || udp[i][0].first || udp[i][1].first;

	if (tun[i].first)
		must(kwgi_worker_read_tun(w));
	if (udp[i][0].first)
		kwgi_worker_read_udp(w, 4);
	if (udp[i][1].first)
		kwgi_worker_read_udp(w, 6);
	return any;
}

void plane_turns(void)
{
	bool any = true;
	unsigned i;

	while (any) {
		any = false;
		for (i = 0; i < plane.n_workers; i++)
			any |= take_turn(i);
		work_handshakes();
	}
	check_flows();
}

void plane_tick(uint64_t ns)
{
	struct kwgi_worker *w = &plane.workers[0];
	unsigned i;

	plane_turns();
	now.now += ns;
	now.wall += ns;
	kwgi_worker_lock_all(w);
	kwgi_timers_run(plane.device, &now);
	kwgi_worker_unlock_all(w);
	for (i = 0; i < options.peers; i++)
		kwgi_timers_run(peers[i].d, &now);
	plane_turns();
}

void plane_set_mtu(uint32_t mtu)
{
	unsigned i;

	plane_turns();
	plane.device->mtu = mtu;
	for (i = 0; i < plane.n_workers; i++)
		kwgi_split_set_mtu(&plane.workers[i].out->split, mtu);
}

void plane_set_up(bool up)
{
	struct kwgi_worker *w = &plane.workers[0];

	plane_turns();
	kwgi_worker_lock_all(w);
	if (up != plane.device->up)
		kwgi_device_set_up(plane.device, up, &now);
	kwgi_worker_unlock_all(w);
	plane_turns();
}

void plane_configure(const char *text, size_t len)
{
	struct kwgi_worker *w = &plane.workers[0];
	struct kwgi_uapi_request r;
	struct kwgi_arena a = { 0 };

	plane_turns();
	if (!kwgi_uapi_parse(&r, &a, text, len) && r.op != KWGI_UAPI_GET) {
		kwgi_worker_lock_all(w);
		(void)kwgi_device_configure(plane.device, &r.set, &now);
		kwgi_worker_unlock_all(w);
	}
	kwgi_arena_free(&a);
	plane_turns();
}

const struct kwgi_key *plane_key(unsigned peer)
{
	return &peers[peer].d->identity.public_key;
}

void plane_begin(const struct plane_options *o)
{
	unsigned i;

	options = *o;
	memset(&plane, 0, sizeof(plane));
	memset(&plane_count, 0, sizeof(plane_count));
	begin_device();
	plane.tun.vnet_hdr = o->offloads;
	plane.coalesce = o->offloads ? KWGI_COALESCE_VNET | KWGI_COALESCE_TCP4 | KWGI_COALESCE_TCP6 : 0;
	plane.n_workers = o->workers;
	plane.workers = calloc(o->workers, sizeof(*plane.workers));
	peers = calloc(o->peers, sizeof(*peers));
	must(plane.workers && peers);
	for (i = 0; i < o->workers; i++)
		begin_worker(i);
	for (i = 0; i < o->peers; i++)
		begin_peer(&peers[i], i);
	plane_set_mtu(MTU);
	plane_set_up(true);
	for (i = 0; i < o->peers; i++)
		plane_answer(&(struct plane_packet){ .peer = i });
	plane_turns();
	for (i = 0; i < o->peers; i++)
		must(lives(&peers[i], true) && lives(&peers[i], false));
}

void plane_end(void)
{
	unsigned i;

	for (i = 0; i < plane.n_workers; i++) {
		queue_free(&tun[i]);
		queue_free(&udp[i][0]);
		queue_free(&udp[i][1]);
		kwgi_worker_out_free(&plane.workers[i]);
		kwgi_worker_in_free(&plane.workers[i]);
	}
	kwgi_device_free(plane.device);
	for (i = 0; i < options.peers; i++)
		kwgi_device_free(peers[i].d);
	free(plane.workers);
	free(peers);
}
