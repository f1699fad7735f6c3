/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Messages become entries of a sendmmsg() call: one each, or as many as a burst
 * has datagrams where it has to be cut. sendmmsg() stops before the first
 * entry that fails, and says why when that one is the first: then it is repaired
 * or dropped, and the rest goes on. What can happen: Linux net/ipv4/udp.c
 * (udp_send_skb), net/ipv4/route.c, net/ipv6/datagram.c.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "sys/ctypes.h"
#include "userspace/udp_work.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Ten minutes: as long as Linux remembers a path MTU. */
#define REMEMBERED (600 * 1000000000ull)

static size_t total(const struct kwgi_udp_out *out)
{
	size_t len = 0;
	uint32_t i;

	for (i = 0; i < out->n_iov; i++)
		len += out->iov[i].iov_len;
	return len;
}

static bool has_source(const struct kwgi_udp_out *out)
{
	return out->from.family && out->from.family == out->to.family;
}

/* ---- refused burst sizes --------------------------------------------- */

static struct kwgi_sockaddr without_port(const struct kwgi_sockaddr *to)
{
	struct kwgi_sockaddr sa = *to;

	if (sa.family == AF_INET6)
		sa.v6.sin6_port = 0;
	else
		sa.v4.sin_port = 0;
	return sa;
}

static struct kwgi_udp_refusal *refusal_slot(struct kwgi_udp_work *w,
					     const struct kwgi_sockaddr *to)
{
	const uint8_t *b = (const uint8_t *)to;
	uint32_t hash = 2166136261u;	/* FNV-1a; a collision only costs a refusal more */
	size_t i;

	for (i = 0; i < sizeof(*to); i++)
		hash = (hash ^ b[i]) * 16777619u;
	return &w->refusals[(hash ^ hash >> 16) & (KWGI_UDP_REFUSALS - 1)];
}

static bool is_refused(struct kwgi_udp *u, const struct kwgi_udp_out *out, uint64_t now)
{
	struct kwgi_sockaddr to = without_port(&out->to);
	const struct kwgi_udp_refusal *r = refusal_slot(u->work, &to);

	return r->size && out->gso_size >= r->size && now < r->until &&
	       !memcmp(&r->to, &to, sizeof(to));
}

static void remember(struct kwgi_udp *u, const struct kwgi_udp_out *out, uint64_t now)
{
	struct kwgi_sockaddr to = without_port(&out->to);
	struct kwgi_udp_refusal *r = refusal_slot(u->work, &to);

	*r = (struct kwgi_udp_refusal){ to, out->gso_size, now + REMEMBERED };
}

/* ---- control messages ------------------------------------------------ */

_Static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) +
	       CMSG_SPACE(sizeof(uint16_t)) <= sizeof(struct kwgi_udp_control), "all that there may be");

static size_t put(struct kwgi_udp_control *c, size_t at, int level, int type, const void *p,
		  size_t len)
{
	struct cmsghdr h = { .cmsg_len = (socklen_t)CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type };

	memcpy(c->b + at, &h, sizeof(h));
	memcpy(c->b + at + CMSG_LEN(0), p, len);
	return at + CMSG_SPACE(len);
}

/*
 * The address alone, as the kernel's WireGuard does: the way is the routing table's to say, at each
 * datagram. With an index, IPv4 takes any address to be a neighbour on that interface if no route
 * leads through it, and with two uplinks nothing arrives. A link-local address needs its interface.
 */
static size_t put_source(struct kwgi_udp_control *c, size_t at, const struct kwgi_source *s)
{
	struct in_pktinfo v4 = { .ipi_spec_dst = s->v4 };
	struct in6_pktinfo v6 = { .ipi6_addr = s->v6 };

	if (s->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&s->v6))
		v6.ipi6_ifindex = s->ifindex;

	if (s->family == AF_INET)
		return put(c, at, IPPROTO_IP, IP_PKTINFO, &v4, sizeof(v4));
	return put(c, at, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof(v6));
}

/* One entry: where to, and how. segment: 0 or the size to cut the burst into. */
static void address_entry(struct msghdr *m, struct kwgi_udp_control *c, struct kwgi_udp_out *out,
			  bool source, uint16_t segment)
{
	bool v4 = out->to.family == AF_INET;
	int tos = out->tos;
	size_t len = 0;

	if (source)
		len = put_source(c, len, &out->from);
	if (tos)
		len = put(c, len, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS,
			  &tos, sizeof(tos));
	if (segment)
		len = put(c, len, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	m->msg_name = &out->to;
	m->msg_namelen = v4 ? sizeof(out->to.v4) : sizeof(out->to.v6);
	m->msg_control = len ? c->b : NULL;
	m->msg_controllen = (socklen_t)len;
	m->msg_flags = 0;
}

/* ---- cutting a burst ------------------------------------------------- */

struct cutter {
	const struct iovec *iov;
	uint32_t left;		/* iovecs */
	size_t offset;		/* into the first of them */
};

/* The next len bytes, as at most max iovecs. Returns their number; 0 at the end. */
static unsigned cut(struct cutter *c, size_t len, struct iovec *to, unsigned max)
{
	unsigned n = 0;

	while (len && c->left && n < max) {
		size_t part = c->iov->iov_len - c->offset;

		if (part > len)
			part = len;
		if (part) {
			to[n].iov_base = (uint8_t *)c->iov->iov_base + c->offset;
			to[n++].iov_len = part;
		}
		len -= part;
		c->offset += part;
		if (c->offset == c->iov->iov_len) {
			c->iov++;
			c->left--;
			c->offset = 0;
		}
	}
	return n;
}

/* ---- repairing what failed ------------------------------------------- */

static int send_one(int fd, const struct msghdr *m)
{
	ssize_t n;
	int tries = 8;

	do
		n = sendmsg(fd, m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR && --tries);
	return n < 0 ? errno : 0;
}

/* The source may be to blame: it is not ours any more, or its interface is no way. */
static bool blames_source(int e)
{
	return e == EINVAL || e == EADDRNOTAVAIL || e == ENODEV || e == ENETUNREACH ||
	       e == EHOSTUNREACH || e == ENETDOWN;
}

/* Sends an entry that failed with e once more without its source. The error that is left. */
static int retry_without_source(int fd, struct msghdr *m, struct kwgi_udp_out *out,
				uint16_t segment, int e)
{
	struct kwgi_udp_control c;
	int again;

	if (!has_source(out) || !blames_source(e))
		return e;
	address_entry(m, &c, out, false, segment);
	again = send_one(fd, m);
	if (!again || e == EADDRNOTAVAIL || e == ENODEV)
		out->result |= KWGI_UDP_SOURCE_GONE;
	return again;
}

static void drop(struct kwgi_udp *u, struct kwgi_udp_out *out, int e)
{
	out->result |= KWGI_UDP_DROPPED;
	out->error = e;
	u->stats.dropped++;
	u->stats.last_error = e;
}

/* A refused burst again, as the datagrams it consists of. */
static void send_cut(struct kwgi_udp *u, int fd, struct kwgi_udp_out *out)
{
	struct iovec piece[KWGI_UDP_SEGMENTS + 1];
	struct cutter cutter = { out->iov, out->n_iov, 0 };
	struct kwgi_udp_control c;
	unsigned n;
	int e;

	out->result |= KWGI_UDP_ONE_BY_ONE;
	u->stats.resent++;
	while ((n = cut(&cutter, out->gso_size, piece, KWGI_UDP_SEGMENTS + 1))) {
		struct msghdr m = { .msg_flags = 0 };
		bool source = has_source(out) && !(out->result & KWGI_UDP_SOURCE_GONE);

		kwgi_msg_iov(&m, piece, n);
		address_entry(&m, &c, out, source, 0);
		e = send_one(fd, &m);
		if (e && source)
			e = retry_without_source(fd, &m, out, 0, e);
		if (e)
			drop(u, out, e);
		if (e == EAGAIN)
			break;
	}
}

/*
 * EMSGSIZE, in older kernels EINVAL: a segment is larger than the MTU of the
 * path. EIO: the device or IPsec cannot, and that is so for most destinations.
 */
static void repair(struct kwgi_udp *u, int fd, struct mmsghdr *entry, struct kwgi_udp_out *out,
		   bool burst, int e, uint64_t now)
{
	int left = retry_without_source(fd, &entry->msg_hdr, out, burst ? out->gso_size : 0, e);

	if (!left)
		return;
	if (!burst || (left != EMSGSIZE && left != EINVAL && left != EIO)) {
		drop(u, out, left);
		return;
	}
	if (left == EIO)
		u->gso = false;
	else
		remember(u, out, now);
	send_cut(u, fd, out);
}

/* ---- batches --------------------------------------------------------- */

struct batch {
	struct kwgi_udp *u;
	struct kwgi_udp_out *v;
	int fd;
	unsigned n, n_iov;	/* used in work */
	uint64_t now;
	bool full;		/* the send buffer is: no more in this call */
};

static bool is_burst(const struct msghdr *m, const struct kwgi_udp_out *out)
{
	return out->gso_size && m->msg_iov == out->iov;
}

static void flush(struct batch *b)
{
	struct kwgi_udp_work *w = b->u->work;
	unsigned at = 0;
	int sent, e, interrupted = 0;

	while (at < b->n) {
		struct kwgi_udp_out *out = &b->v[w->owner[at]];

		sent = b->full ? -1 : sendmmsg(b->fd, w->msg + at, b->n - at,
					       MSG_DONTWAIT | MSG_NOSIGNAL);
		e = b->full ? EAGAIN : errno;
		if (sent > 0) {
			at += (unsigned)sent;
			continue;
		}
		if (e == EINTR && interrupted++ < 8)
			continue;
		if (e == EAGAIN) {
			b->full = true;
			drop(b->u, out, e);
		} else {
			repair(b->u, b->fd, &w->msg[at], out,
			       is_burst(&w->msg[at].msg_hdr, out), e, b->now);
		}
		at++;
	}
	b->n = b->n_iov = 0;
}

static struct msghdr *add_entry(struct batch *b, uint32_t i, uint16_t segment)
{
	struct kwgi_udp_work *w = b->u->work;
	struct msghdr *m = &w->msg[b->n].msg_hdr;

	w->owner[b->n] = i;
	address_entry(m, &w->control[b->n++], &b->v[i], has_source(&b->v[i]), segment);
	return m;
}

static void add_whole(struct batch *b, uint32_t i, uint16_t segment)
{
	struct msghdr *m;

	if (b->n == KWGI_UDP_BATCH)
		flush(b);
	m = add_entry(b, i, segment);
	kwgi_msg_iov(m, b->v[i].iov, b->v[i].n_iov);
}

static void add_cut(struct batch *b, uint32_t i)
{
	struct kwgi_udp_out *out = &b->v[i];
	struct cutter cutter = { out->iov, out->n_iov, 0 };
	struct iovec *iov;
	struct msghdr *m;
	unsigned n;

	for (;;) {
		if (b->n == KWGI_UDP_BATCH ||
		    b->n_iov + KWGI_UDP_SEGMENTS > KWGI_UDP_PIECES)
			flush(b);
		iov = b->u->work->iov + b->n_iov;
		n = cut(&cutter, out->gso_size, iov, KWGI_UDP_SEGMENTS);
		if (!n)
			break;
		m = add_entry(b, i, 0);
		kwgi_msg_iov(m, iov, n);
		b->n_iov += n;
	}
}

static void add(struct batch *b, uint32_t i)
{
	struct kwgi_udp_out *out = &b->v[i];
	size_t len, max = out->to.family == AF_INET ? KWGI_UDP_MAX_V4 : KWGI_UDP_MAX_V6;

	if (!out->gso_size) {
		add_whole(b, i, 0);
		return;
	}
	len = total(out);
	if (len <= out->gso_size) {
		out->gso_size = 0;
		add_whole(b, i, 0);
	} else if (b->u->gso && len <= max && !is_refused(b->u, out, b->now) &&
		   len <= (size_t)out->gso_size * KWGI_UDP_SEGMENTS) {
		add_whole(b, i, out->gso_size);
	} else {
		out->result |= KWGI_UDP_ONE_BY_ONE;
		add_cut(b, i);
	}
}

/* One family after the other: only the order to each endpoint counts. */
static void send_family(struct kwgi_udp *u, int fd, sa_family_t family, struct kwgi_udp_out *v,
			unsigned n, uint64_t now)
{
	struct batch b = { .u = u, .v = v, .fd = fd, .now = now };
	unsigned i;

	for (i = 0; i < n; i++) {
		if (v[i].to.family != family)
			continue;
		if (fd < 0)
			drop(u, &v[i], EAFNOSUPPORT);
		else
			add(&b, i);
	}
	flush(&b);
}

unsigned kwgi_udp_send(struct kwgi_udp *u, struct kwgi_udp_out *v, unsigned n, uint64_t now)
{
	unsigned i, failed = 0;

	for (i = 0; i < n; i++) {
		v[i].result = 0;
		v[i].error = 0;
		if (v[i].to.family != AF_INET && v[i].to.family != AF_INET6)
			drop(u, &v[i], EDESTADDRREQ);
	}
	send_family(u, u->fd4, AF_INET, v, n, now);
	send_family(u, u->fd6, AF_INET6, v, n, now);
	for (i = 0; i < n; i++) {
		if (v[i].result & KWGI_UDP_DROPPED) {
			failed++;
			continue;
		}
		v[i].result |= KWGI_UDP_SENT;
		u->stats.sent++;
	}
	return failed;
}
