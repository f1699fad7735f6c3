/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <string.h>

#include "dp/bytes.h"
#include "dp/checksum.h"
#include "dp/ippacket.h"
#include "dp/messages.h"
#include "dp/split.h"

enum {
	PACKET_MAX = KWGI_SPLIT_REST,
	FIRST_DEFAULT = 1500,	/* while the link's MTU is unknown */
	FIRST_MIN = 576,	/* all headers are in it */

	TCP_CHECK = 16, UDP_CHECK = 6,
	TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80,
	IP4_FRAGMENT = 0x3fff,	/* more fragments, and the offset */
	PROTO_HOPOPTS = 0, PROTO_ROUTING = 43, PROTO_DSTOPTS = 60,
};

_Static_assert((int)KWGI_SPLIT_FRONT == (int)sizeof(struct kwgi_transport) &&
	       (int)KWGI_SPLIT_BACK == (int)KWGI_TAG_LEN, "a packet and what is around it are a message");
_Static_assert(KWGI_SPLIT_FRONT + (int)KWGI_INNER_MAX + KWGI_SPLIT_BACK <= KWGI_SPLIT_ROOM,
	       "the longest packet has room");
_Static_assert((int)FIRST_DEFAULT <= (int)KWGI_SPLIT_MTU_MAX && (int)FIRST_MIN <= (int)KWGI_SPLIT_MTU_MAX &&
	       KWGI_SPLIT_MTU_MAX <= KWGI_SPLIT_REST, "what is read too much fits in front of the rest");

/* A large packet, and what becomes of it. */
struct large {
	uint8_t *data;		/* first segment; the others follow at the stride */
	const uint8_t *more;	/* the others' payloads, as one */
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

int kwgi_split_init(struct kwgi_split *s, uint8_t *arena, size_t size, bool vnet, uint32_t mtu)
{
	if (size < KWGI_SPLIT_ROOM)
		return -1;
	s->arena = arena;
	s->size = size;
	s->used = 0;
	s->vnet = vnet;
	s->mtu = mtu;
	s->first = 0;
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

static uint8_t *rest(struct kwgi_split *s)
{
	return s->rest + KWGI_SPLIT_MTU_MAX;
}

/* How much is read to a packet's place: what fits the link. */
static uint32_t first_len(const struct kwgi_split *s)
{
	if (!s->mtu)
		return FIRST_DEFAULT;
	if (s->mtu < FIRST_MIN)
		return FIRST_MIN;
	return s->mtu < KWGI_SPLIT_MTU_MAX ? s->mtu : KWGI_SPLIT_MTU_MAX;
}

unsigned kwgi_split_iov(struct kwgi_split *s, struct iovec iov[KWGI_SPLIT_IOV])
{
	unsigned n = 0;

	if (s->size - s->used < KWGI_SPLIT_ROOM)
		return 0;
	if (s->vnet) {
		memset(&s->hdr, 0, sizeof(s->hdr));
		iov[n++] = (struct iovec){ &s->hdr, KWGI_VNET_LEN };
	}
	s->first = first_len(s);
	iov[n++] = (struct iovec){ next_packet(s), s->first };
	iov[n++] = (struct iovec){ rest(s), KWGI_SPLIT_REST - s->first };
	return n;
}

/* ---- bringing what was read to its place ------------------------------------ */

/* A packet of n bytes as a whole. */
static void join(const struct kwgi_split *s, uint32_t n)
{
	if (n > s->first)
		memcpy(next_packet(s) + s->first, s->rest + KWGI_SPLIT_MTU_MAX, n - s->first);
}

static uint32_t segment_len(const struct large *l, uint32_t k)
{
	return k + 1 < l->segments ? l->head + l->gso : l->last_len;
}

/* The first segment to its place, and all that is not of it together elsewhere. */
static void part(struct large *l, struct kwgi_split *s, uint32_t n)
{
	uint32_t len = segment_len(l, 0), have = n < s->first ? n : s->first;

	if (len < have) {
		l->more = memcpy(rest(s) - (have - len), l->data + len, have - len);
	} else {
		l->more = rest(s) + (len - have);
		memcpy(l->data + have, rest(s), len - have);
	}
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

/* Of the n bytes that are at their place: where the headers end. hdr_len is not asked. */
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

/* payload: the sum of the segment's payload. */
static void write_transport(const struct large *l, uint8_t *transport, uint32_t k, uint32_t len,
			    uint64_t payload)
{
	uint8_t *field = transport + UDP_CHECK, flags = l->flags;
	uint64_t sum = kwgi_csum_add(kwgi_csum_add(l->pseudo, length_sum(len)), payload);
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
	check = (uint16_t)~kwgi_csum_fold(kwgi_csum_partial(transport, l->head - l->transport, sum));
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

/* The payload of segment k to its place; its sum. */
static uint64_t place_payload(const struct large *l, uint8_t *p, uint32_t k, uint32_t len)
{
	if (!k)
		return kwgi_csum_partial(p + l->head, len - l->head, 0);
	memcpy(p, l->data, l->head);
	return kwgi_csum_copy(p + l->head, l->more + (size_t)(k - 1) * l->gso, len - l->head, 0);
}

static unsigned split_large(struct kwgi_split *s, uint32_t n, struct kwgi_segment *out, uint32_t max)
{
	struct large l = { .data = next_packet(s) };
	uint32_t k, len;
	uint64_t sum;
	uint8_t *p;

	if (!find_head(&l, n < s->first ? n : s->first) || !head_agrees(&l, &s->hdr) ||
	    !plan_segments(&l, s, n, max))
		return 0;
	part(&l, s, n);
	read_fields(&l, n);
	for (k = 0, p = l.data; k < l.segments; k++, p += l.stride) {
		len = segment_len(&l, k);
		sum = place_payload(&l, p, k, len);
		write_ip(&l, p, k, len);
		write_transport(&l, p + l.transport, k, len - l.transport, sum);
		emit(s, &out[k], p, len);
	}
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
	join(s, n);
	if (s->vnet && s->hdr.flags & KWGI_VNET_NEEDS_CSUM && !complete_checksum(next_packet(s), n, &s->hdr))
		return 0;
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
