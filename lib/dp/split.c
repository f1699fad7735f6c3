/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <string.h>

#include "dp/checksum.h"
#include "dp/ippacket.h"
#include "dp/split.h"

enum {
	PACKET_MAX = 65535 + KWGI_IP6_HEADER,
	/* After as many small packets in a row the long list of iovecs costs more than it may save. */
	PLAIN_MAX = 32,

	TCP_CHECK = 16, UDP_CHECK = 6,
	TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80,
	IP4_FRAGMENT = 0x3fff,	/* more fragments, and the offset */
	PROTO_HOPOPTS = 0, PROTO_ROUTING = 43, PROTO_DSTOPTS = 60,
};

/* A large packet, and what becomes of it. */
struct large {
	uint8_t *data;		/* first segment; the others follow at the stride */
	uint32_t transport;	/* offset of the TCP or UDP header */
	uint32_t head;		/* length of all headers */
	uint32_t gso, stride, segments;
	uint32_t last_len;	/* of the last segment */
	uint64_t pseudo;	/* sum of the pseudo header without the length */
	uint16_t id;
	uint32_t seq;
	uint8_t protocol, flags;
	bool ip6, extended;
};

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put32(uint8_t *p, uint32_t n)
{
	put16(p, n >> 16);
	put16(p + 2, n);
}

int kwgi_split_init(struct kwgi_split *s, uint8_t *arena, size_t size, bool vnet, uint32_t mtu)
{
	if (size < KWGI_SPLIT_ROOM)
		return -1;
	*s = (struct kwgi_split){ .arena = arena, .size = size, .vnet = vnet, .mtu = mtu };
	return 0;
}

void kwgi_split_set_mtu(struct kwgi_split *s, uint32_t mtu)
{
	s->mtu = mtu;
}

void kwgi_split_reset(struct kwgi_split *s)
{
	s->used = 0;
}

/* ---- before the read ------------------------------------ */

static uint32_t message_len(uint32_t padded)
{
	return KWGI_SPLIT_FRONT + padded + KWGI_SPLIT_BACK;
}

static uint8_t *next_packet(const struct kwgi_split *s)
{
	return s->arena + s->used + KWGI_SPLIT_FRONT;
}

/* Where the pieces of a packet of the last shape go; 0 if that does not help. */
static unsigned lay_pieces(struct kwgi_split *s, struct iovec *iov, unsigned max)
{
	uint32_t stride = message_len(kwgi_pad_len(s->head + s->gso, s->mtu));
	uint32_t pieces = (PACKET_MAX - s->head + s->gso - 1) / s->gso, k, rest = 0;
	uint8_t *at = next_packet(s) + s->head;

	if (pieces > max - 1)
		pieces = max - 1;
	if (s->head + pieces * s->gso < PACKET_MAX)
		rest = PACKET_MAX - s->head - pieces * s->gso;
	if (pieces < 2 || pieces * stride + s->head + rest > KWGI_SPLIT_ROOM - KWGI_SPLIT_FRONT)
		return 0;
	for (k = 0; k < pieces; k++)
		iov[k] = (struct iovec){ at + (size_t)k * stride, s->gso };
	iov[0] = (struct iovec){ next_packet(s), s->head + s->gso };
	if (rest)
		iov[k++] = (struct iovec){ at + (size_t)pieces * stride, rest };

	s->laid_head = s->head;
	s->laid_gso = s->gso;
	s->laid_stride = stride;
	s->laid_pieces = pieces;
	return k;
}

unsigned kwgi_split_iov(struct kwgi_split *s, struct iovec *iov, unsigned max)
{
	unsigned n = 0, pieces = 0;

	if (s->size - s->used < KWGI_SPLIT_ROOM)
		return 0;
	if (s->vnet) {
		memset(&s->hdr, 0, sizeof(s->hdr));
		iov[n++] = (struct iovec){ &s->hdr, KWGI_VNET_LEN };
	}
	s->laid_gso = 0;
	if (s->gso && s->plain < PLAIN_MAX)
		pieces = lay_pieces(s, iov + n, max - n);
	if (pieces)
		return n + pieces;
	iov[n++] = (struct iovec){ next_packet(s), PACKET_MAX };
	return n;
}

/* ---- moving what was read elsewhere ------------------------------------ */

/* How many of n bytes lie together at the begin. */
static uint32_t together(const struct kwgi_split *s, uint32_t n)
{
	return s->laid_gso && n > s->laid_head + s->laid_gso ? s->laid_head + s->laid_gso : n;
}

/* Closes the gaps of the layout: all bytes move down, the first ones first. */
static void join_pieces(struct kwgi_split *s, uint32_t n)
{
	uint8_t *to = next_packet(s);
	uint32_t at = together(s, n), k, len;

	for (k = 1; at < n; k++, at += len) {
		len = n - at;
		if (k < s->laid_pieces && len > s->laid_gso)
			len = s->laid_gso;
		memmove(to + at, to + (size_t)k * s->laid_stride + s->laid_head, len);
	}
	s->laid_gso = 0;
}

static uint32_t segment_len(const struct large *l, uint32_t k)
{
	return k + 1 < l->segments ? l->head + l->gso : l->last_len;
}

/* Opens the gaps between segments: all bytes move up, the last ones first. */
static void spread_pieces(const struct large *l)
{
	uint32_t k;

	for (k = l->segments - 1; k; k--)
		memmove(l->data + (size_t)k * l->stride + l->head, l->data + l->head + (size_t)k * l->gso,
			segment_len(l, k) - l->head);
}

/* ---- reading a large packet ------------------------------------ */

/*
 * Behind the extension headers that a socket may have put there (RFC 3542);
 * fragments are never large.
 */
static bool find_transport6(struct large *l, uint32_t n)
{
	const uint8_t *p = l->data;
	uint8_t next = p[6];
	uint32_t at = KWGI_IP6_HEADER;

	while (next == PROTO_HOPOPTS || next == PROTO_ROUTING || next == PROTO_DSTOPTS) {
		if (n - at < 8 || n - at < (p[at + 1] + 1u) * 8)
			return false;
		next = p[at];
		at += (p[at + 1] + 1u) * 8;
	}
	l->protocol = next;
	l->transport = at;
	l->extended = at > KWGI_IP6_HEADER;
	return true;
}

static bool find_transport(struct large *l, uint32_t n)
{
	const uint8_t *p = l->data;

	l->ip6 = p[0] >> 4 == 6;
	if (l->ip6)
		return n >= KWGI_IP6_HEADER && find_transport6(l, n);
	if (p[0] >> 4 != 4 || n < KWGI_IP4_HEADER)
		return false;
	l->transport = (p[0] & 15u) * 4;
	l->protocol = p[9];
	l->extended = false;
	return l->transport >= KWGI_IP4_HEADER && l->transport <= n && !(get16(p + 6) & IP4_FRAGMENT);
}

/* Of the n bytes that lie together: where the headers end. hdr_len is not asked. */
static bool find_head(struct large *l, uint32_t n)
{
	if (!find_transport(l, n))
		return false;
	if (l->protocol == KWGI_PROTO_UDP) {
		l->head = l->transport + KWGI_UDP_HEADER;
		return l->head <= n;
	}
	if (l->protocol != KWGI_PROTO_TCP || n - l->transport < KWGI_TCP_HEADER)
		return false;
	l->head = l->transport + (l->data[l->transport + 12] >> 4) * 4u;
	return l->head >= l->transport + KWGI_TCP_HEADER && l->head <= n;
}

/* Do the headers agree with what the kernel says of them? */
static bool head_agrees(const struct large *l, const struct kwgi_vnet *h)
{
	uint32_t check = l->protocol == KWGI_PROTO_TCP ? TCP_CHECK : UDP_CHECK;

	switch (h->gso_type) {
	case KWGI_VNET_GSO_TCPV4:
	case KWGI_VNET_GSO_TCPV4 | KWGI_VNET_GSO_ECN:
		if (l->ip6 || l->protocol != KWGI_PROTO_TCP)
			return false;
		break;
	case KWGI_VNET_GSO_TCPV6:
	case KWGI_VNET_GSO_TCPV6 | KWGI_VNET_GSO_ECN:
		if (!l->ip6 || l->protocol != KWGI_PROTO_TCP)
			return false;
		break;
	case KWGI_VNET_GSO_UDP_L4:
		if (l->protocol != KWGI_PROTO_UDP)
			return false;
		break;
	default:
		return false;
	}
	if (h->flags & KWGI_VNET_NEEDS_CSUM)
		return h->csum_start == l->transport && h->csum_offset == check;
	return !l->extended;
}

/* How a packet of n bytes with these headers is cut; false if that cannot be. */
static bool plan_segments(struct large *l, const struct kwgi_split *s, uint32_t n, uint32_t max)
{
	uint32_t payload = n - l->head, last;

	l->gso = s->hdr.gso_size;
	if (!l->gso || !payload)
		return false;
	l->segments = (payload + l->gso - 1) / l->gso;
	l->last_len = n - (l->segments - 1) * l->gso;
	l->stride = message_len(kwgi_pad_len(l->head + l->gso, s->mtu));
	last = message_len(kwgi_pad_len(l->last_len, s->mtu));
	return l->segments <= max && segment_len(l, 0) <= KWGI_INNER_MAX &&
	       (uint64_t)(l->segments - 1) * l->stride + last <= s->size - s->used;
}

/* Brings the n bytes that were read to their places. */
static bool place_segments(struct large *l, struct kwgi_split *s, uint32_t n, uint32_t max)
{
	if (s->laid_gso && find_head(l, together(s, n)) && l->head == s->laid_head &&
	    s->hdr.gso_size == s->laid_gso && head_agrees(l, &s->hdr) && plan_segments(l, s, n, max) &&
	    l->segments <= s->laid_pieces && l->stride == s->laid_stride)
		return true;
	join_pieces(s, n);
	if (!find_head(l, n) || !head_agrees(l, &s->hdr) || !plan_segments(l, s, n, max))
		return false;
	spread_pieces(l);
	return true;
}

/* ---- writing segments ------------------------------------ */

/* A length in the order of sums; it may need 17 bits. */
static uint64_t length_sum(uint32_t len)
{
	return (uint64_t)htons((uint16_t)len) + htons((uint16_t)(len >> 16));
}

/* Fields that differ between segments, before the first one is changed. */
static void read_fields(struct large *l, uint32_t n)
{
	const uint8_t *p = l->data, *transport = p + l->transport;
	uint16_t check;

	l->id = l->ip6 ? 0 : (uint16_t)get16(p + 4);
	if (l->protocol == KWGI_PROTO_TCP) {
		l->seq = get32(transport + 4);
		l->flags = transport[13];
	}
	if (l->extended) {
		/* A routing header changes the destination that counts: the kernel's sum knows it. */
		memcpy(&check, transport + (l->protocol == KWGI_PROTO_TCP ? TCP_CHECK : UDP_CHECK),
		       sizeof(check));
		l->pseudo = kwgi_csum_sub(check, length_sum(n - l->transport));
	} else if (l->ip6) {
		l->pseudo = kwgi_csum_pseudo6(p + 8, l->protocol, 0);
	} else {
		l->pseudo = kwgi_csum_pseudo4(p + 12, l->protocol, 0);
	}
}

static void write_ip(const struct large *l, uint8_t *p, uint32_t k, uint32_t len)
{
	uint16_t check;

	if (l->ip6) {
		put16(p + 4, len - KWGI_IP6_HEADER);
		return;
	}
	put16(p + 2, len);
	put16(p + 4, l->id + k);
	memset(p + 10, 0, sizeof(check));
	check = kwgi_csum_ipv4(p, l->transport);
	memcpy(p + 10, &check, sizeof(check));
}

static void write_transport(const struct large *l, uint8_t *transport, uint32_t k, uint32_t len)
{
	uint8_t *field = transport + UDP_CHECK, flags = l->flags;
	uint16_t check;

	if (l->protocol == KWGI_PROTO_TCP) {
		if (k + 1 < l->segments)
			flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
		if (k)
			flags &= (uint8_t)~TCP_CWR;
		put32(transport + 4, l->seq + k * l->gso);
		transport[13] = flags;
		field = transport + TCP_CHECK;
	} else {
		put16(transport + 4, len);
	}
	memset(field, 0, sizeof(check));
	check = (uint16_t)~kwgi_csum_fold(kwgi_csum_partial(transport, len,
							    kwgi_csum_add(l->pseudo, length_sum(len))));
	/* RFC 768: 0 would say that there is no checksum. */
	if (!check && l->protocol == KWGI_PROTO_UDP)
		check = 0xffff;
	memcpy(field, &check, sizeof(check));
}

/* Hands out the packet at data, with zeros behind it. Its message is the last of the arena. */
static void emit(struct kwgi_split *s, struct kwgi_segment *out, uint8_t *data, uint32_t len)
{
	uint32_t padded = kwgi_pad_len(len, s->mtu);

	memset(data + len, 0, padded - len);
	*out = (struct kwgi_segment){ data, len, padded };
	s->used += message_len(padded);
}

static unsigned split_large(struct kwgi_split *s, uint32_t n, struct kwgi_segment *out, uint32_t max)
{
	struct large l = { .data = next_packet(s) };
	uint32_t k, len;
	uint8_t *p;

	if (!place_segments(&l, s, n, max))
		return 0;
	read_fields(&l, n);
	for (k = 0, p = l.data; k < l.segments; k++, p += l.stride) {
		len = segment_len(&l, k);
		if (k)
			memcpy(p, l.data, l.head);
		write_ip(&l, p, k, len);
		write_transport(&l, p + l.transport, k, len - l.transport);
		emit(s, &out[k], p, len);
	}
	s->head = l.head;
	s->gso = l.gso;
	s->plain = 0;
	return l.segments;
}

/* ---- small packets ------------------------------------ */

/* The field holds the sum of the pseudo header: it is part of what is summed. */
static bool complete_checksum(uint8_t *p, uint32_t n, const struct kwgi_vnet *h)
{
	uint32_t field = (uint32_t)h->csum_start + h->csum_offset;
	uint16_t check;

	if (field + sizeof(check) > n)
		return false;
	check = (uint16_t)~kwgi_csum_fold(kwgi_csum_partial(p + h->csum_start, n - h->csum_start, 0));
	if (!check && h->csum_offset == UDP_CHECK)
		check = 0xffff;
	memcpy(p + field, &check, sizeof(check));
	return true;
}

static unsigned split_small(struct kwgi_split *s, uint32_t n, struct kwgi_segment *out)
{
	if (n > KWGI_INNER_MAX)
		return 0;
	join_pieces(s, n);
	if (s->vnet && s->hdr.flags & KWGI_VNET_NEEDS_CSUM && !complete_checksum(next_packet(s), n, &s->hdr))
		return 0;
	if (s->plain < PLAIN_MAX)
		s->plain++;
	emit(s, out, next_packet(s), n);
	return 1;
}

unsigned kwgi_split_done(struct kwgi_split *s, size_t n, struct kwgi_segment *out, unsigned max)
{
	size_t header = s->vnet ? KWGI_VNET_LEN : 0;

	if (n <= header || n - header > PACKET_MAX || !max)
		return 0;
	n -= header;
	if (s->vnet && s->hdr.gso_type != KWGI_VNET_GSO_NONE)
		return split_large(s, (uint32_t)n, out, max);
	return split_small(s, (uint32_t)n, out);
}
