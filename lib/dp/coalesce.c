/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "dp/bytes.h"
#include "dp/checksum.h"
#include "dp/coalesce.h"
#include "dp/ippacket.h"

enum {
	TCP_CHECK = 16, UDP_CHECK = 6,
	TCP_PSH = 0x08, TCP_ACK = 0x10,
	IP4_NO_OPTIONS = 0x45,
	IP4_FRAGMENT = 0x3fff,	/* more fragments, and the offset */
	PROTO_ICMPV6 = 58,
};

_Static_assert(KWGI_COALESCE_PACKETS <= IOV_MAX, "all packets may be one write");
_Static_assert(KWGI_COALESCE_PACKETS <= UINT16_MAX, "they are counted in 16 bits");
_Static_assert((int)KWGI_COALESCE_FRONT >= (int)KWGI_VNET_LEN, "the device's header has room");

enum kind { TCP4, TCP6, UDP4, UDP6 };

/* What the order of a packet depends on. */
enum relation {
	ALONE,		/* on nothing: of a protocol that is never merged */
	PAIR,		/* maybe on every flow between the same hosts: its ports cannot be told */
	FLOW,		/* on its flow, but it cannot be part of anything larger */
	MERGEABLE,	/* alike, and it can */
};

struct view {
	const uint8_t *packet;
	uint32_t len, transport, headers;
	enum kind kind;
	uint32_t bucket;
	bool push;
};

static bool is_tcp(enum kind kind)
{
	return kind == TCP4 || kind == TCP6;
}

static bool is_ip6(enum kind kind)
{
	return kind == TCP6 || kind == UDP6;
}

static bool same_addresses(bool ip6, const uint8_t *a, const uint8_t *b)
{
	if (!ip6)
		return load64(a + 12) == load64(b + 12);
	return !((load64(a + 8) ^ load64(b + 8)) | (load64(a + 16) ^ load64(b + 16)) |
		 (load64(a + 24) ^ load64(b + 24)) | (load64(a + 32) ^ load64(b + 32)));
}

/* ---- looking at one packet ------------------------------------ */

/* Who finds collisions only makes merging worse. */
static uint32_t bucket_of(const struct view *v)
{
	const uint64_t odd = 0x9e3779b97f4a7c15;	/* 2^64 / golden ratio */
	uint64_t h = load32(v->packet + v->transport) + ((uint64_t)v->kind << 32);

	if (is_ip6(v->kind)) {
		h = (h * odd) ^ load64(v->packet + 8) ^ load64(v->packet + 24);
		h = (h * odd) ^ load64(v->packet + 16) ^ load64(v->packet + 32);
	} else {
		h = (h * odd) ^ load64(v->packet + 12);
	}
	h ^= h >> 32;
	return (uint32_t)(h * odd >> 32) % KWGI_COALESCE_FLOWS;
}

static enum relation view_tcp(struct view *v)
{
	const uint8_t *tcp = v->packet + v->transport;

	if (v->len - v->transport < KWGI_TCP_HEADER)
		return PAIR;
	v->bucket = bucket_of(v);
	v->headers = v->transport + (tcp[12] >> 4) * 4u;
	v->push = tcp[13] & TCP_PSH;
	if (v->headers < v->transport + KWGI_TCP_HEADER || v->headers >= v->len || tcp[12] & 15 ||
	    (tcp[13] & ~TCP_PSH) != TCP_ACK)
		return FLOW;
	return MERGEABLE;
}

static enum relation view_udp(struct view *v)
{
	const uint8_t *udp = v->packet + v->transport;

	if (v->len - v->transport < KWGI_UDP_HEADER)
		return PAIR;
	v->bucket = bucket_of(v);
	v->headers = v->transport + KWGI_UDP_HEADER;
	v->push = false;
	if (v->headers == v->len || get16(udp + 4) != v->len - v->transport ||
	    !get16(udp + UDP_CHECK))
		return FLOW;
	return MERGEABLE;
}

static enum relation view_transport(struct view *v, unsigned flags)
{
	static const unsigned allowed[] = {
		[TCP4] = KWGI_COALESCE_TCP4, [TCP6] = KWGI_COALESCE_TCP6,
		[UDP4] = KWGI_COALESCE_UDP, [UDP6] = KWGI_COALESCE_UDP,
	};

	if (!(flags & allowed[v->kind]))
		return ALONE;
	return is_tcp(v->kind) ? view_tcp(v) : view_udp(v);
}

static enum relation view4(struct view *v, unsigned flags)
{
	const uint8_t *p = v->packet;

	if (v->len < KWGI_IP4_HEADER || (p[9] != KWGI_PROTO_TCP && p[9] != KWGI_PROTO_UDP))
		return ALONE;
	if (p[0] != IP4_NO_OPTIONS || get16(p + 6) & IP4_FRAGMENT || get16(p + 2) != v->len)
		return PAIR;
	v->kind = p[9] == KWGI_PROTO_TCP ? TCP4 : UDP4;
	v->transport = KWGI_IP4_HEADER;
	return view_transport(v, flags);
}

static enum relation view6(struct view *v, unsigned flags)
{
	const uint8_t *p = v->packet;

	if (v->len < KWGI_IP6_HEADER || p[6] == PROTO_ICMPV6)
		return ALONE;
	/* Behind an extension header, there may be TCP or UDP. */
	if ((p[6] != KWGI_PROTO_TCP && p[6] != KWGI_PROTO_UDP) || get16(p + 4) + KWGI_IP6_HEADER != v->len)
		return PAIR;
	v->kind = p[6] == KWGI_PROTO_TCP ? TCP6 : UDP6;
	v->transport = KWGI_IP6_HEADER;
	return view_transport(v, flags);
}

static enum relation view_packet(struct view *v, unsigned flags)
{
	if (!(flags & KWGI_COALESCE_VNET) || !v->len)
		return ALONE;
	switch (v->packet[0] >> 4) {
	case 4:
		return view4(v, flags);
	case 6:
		return view6(v, flags);
	}
	return ALONE;
}

static uint64_t pseudo_sum(enum kind kind, const uint8_t *p, uint32_t transport_len)
{
	uint8_t protocol = is_tcp(kind) ? KWGI_PROTO_TCP : KWGI_PROTO_UDP;

	if (is_ip6(kind))
		return kwgi_csum_pseudo6(p + 8, protocol, transport_len);
	return kwgi_csum_pseudo4(p + 12, protocol, transport_len);
}

/*
 * Both checksums are computed anew when the packet is segmented: only those
 * that come out as they were may be merged. 0xffff is as good as 0, but not
 * what a sum results in; in UDP it is.
 */
static bool checksums_hold(enum kind kind, const uint8_t *p, uint32_t len)
{
	uint32_t transport = is_ip6(kind) ? KWGI_IP6_HEADER : KWGI_IP4_HEADER;
	uint64_t sum;

	if (!is_ip6(kind) && (get16(p + 10) == 0xffff || kwgi_csum_ipv4(p, KWGI_IP4_HEADER)))
		return false;
	if (is_tcp(kind) && get16(p + transport + TCP_CHECK) == 0xffff)
		return false;
	sum = pseudo_sum(kind, p, len - transport);
	return kwgi_csum_fold(kwgi_csum_partial(p + transport, len - transport, sum)) == 0xffff;
}

/* ---- merging ------------------------------------ */

/* Same flow, and an IP header that the first one's stands for. Identifications count up when segmented. */
static bool ip_follows(enum kind kind, const uint8_t *first, const uint8_t *p, uint32_t count)
{
	if (is_ip6(kind))
		return load32(first) == load32(p) && first[7] == p[7];
	return first[1] == p[1] && first[8] == p[8] && get16(first + 6) == get16(p + 6) &&
	       (uint16_t)(get16(first + 4) + count) == get16(p + 4);
}

/* Same header length, acknowledgement, window, urgent pointer and options, and the next sequence number. */
static bool tcp_follows(const uint8_t *first, const uint8_t *tcp, uint32_t header_len, uint32_t sent)
{
	return get32(first + 4) + sent == get32(tcp + 4) && load32(first + 8) == load32(tcp + 8) &&
	       first[12] == tcp[12] && get16(first + 14) == get16(tcp + 14) &&
	       get16(first + 18) == get16(tcp + 18) &&
	       !memcmp(first + KWGI_TCP_HEADER, tcp + KWGI_TCP_HEADER, header_len - KWGI_TCP_HEADER);
}

/* All but the checksums. */
static bool follows(const struct kwgi_coalesce *c, const struct kwgi_coalesce_group *g, const struct view *v)
{
	const struct kwgi_coalesce_packet *first = &c->packets[g->first];
	const uint8_t *a = first->data, *b = v->packet;
	uint32_t payload = v->len - v->headers;

	if (g->kind != v->kind || first->headers != v->headers || payload > g->gso ||
	    g->total + payload > KWGI_COALESCE_TOTAL)
		return false;
	if (!same_addresses(is_ip6(v->kind), a, b) || load32(a + v->transport) != load32(b + v->transport) ||
	    !ip_follows(v->kind, a, b, g->count))
		return false;
	if (!is_tcp(v->kind))
		return g->count < KWGI_COALESCE_UDP_SEGMENTS;
	return tcp_follows(a + v->transport, b + v->transport, v->headers - v->transport,
			   g->total - v->headers);
}

static bool first_holds(const struct kwgi_coalesce *c, struct kwgi_coalesce_group *g)
{
	const struct kwgi_coalesce_packet *first = &c->packets[g->first];

	if (!g->verified)
		g->verified = checksums_hold((enum kind)g->kind, first->data, first->len);
	return g->verified;
}

static void append(struct kwgi_coalesce *c, struct kwgi_coalesce_group *g, uint16_t index,
		   const struct view *v)
{
	uint32_t payload = v->len - v->headers;

	c->packets[g->last].next = index;
	g->last = index;
	g->count++;
	g->total += payload;
	g->push = v->push;
	/* Nothing may follow a segment that is short or pushes. */
	if (v->push || payload < g->gso)
		c->flows[v->bucket] = 0;
}

static void start(struct kwgi_coalesce *c, uint16_t index, const struct view *v, bool may_grow)
{
	c->groups[c->groups_n++] = (struct kwgi_coalesce_group){
		.first = index, .last = index, .count = 1, .total = v->len,
		.gso = (uint16_t)(v->len - v->headers), .transport = (uint8_t)v->transport,
		.kind = (uint8_t)v->kind,
	};
	if (may_grow)
		c->flows[v->bucket] = (uint16_t)c->groups_n;
}

/* No flow between the hosts of v grows on, so that later packets stay behind v. */
static void close_pair(struct kwgi_coalesce *c, const struct view *v)
{
	const struct kwgi_coalesce_group *g;
	bool ip6 = v->packet[0] >> 4 == 6;
	unsigned i;

	for (i = 0; i < KWGI_COALESCE_FLOWS; i++) {
		if (!c->flows[i])
			continue;
		g = &c->groups[c->flows[i] - 1];
		if (is_ip6((enum kind)g->kind) == ip6 &&
		    same_addresses(ip6, c->packets[g->first].data, v->packet))
			c->flows[i] = 0;
	}
}

static void add_mergeable(struct kwgi_coalesce *c, uint16_t index, const struct view *v)
{
	struct kwgi_coalesce_group *g;

	if (c->flows[v->bucket]) {
		g = &c->groups[c->flows[v->bucket] - 1];
		if (follows(c, g, v) && first_holds(c, g)) {
			if (checksums_hold(v->kind, v->packet, v->len)) {
				append(c, g, index, v);
				return;
			}
			c->flows[v->bucket] = 0;
			start(c, index, v, false);
			return;
		}
	}
	/* The flow's new group takes the place of the old one, or of another flow. */
	c->flows[v->bucket] = 0;
	start(c, index, v, !v->push);
}

void kwgi_coalesce_init(struct kwgi_coalesce *c, unsigned flags)
{
	c->flags = flags;
	kwgi_coalesce_reset(c);
}

void kwgi_coalesce_reset(struct kwgi_coalesce *c)
{
	c->packets_n = c->groups_n = 0;
	memset(c->flows, 0, sizeof(c->flows));
}

int kwgi_coalesce_add(struct kwgi_coalesce *c, uint8_t *packet, uint32_t len)
{
	struct view v = { .packet = packet, .len = len };
	uint16_t index = (uint16_t)c->packets_n;
	enum relation relation;

	if (index == KWGI_COALESCE_PACKETS)
		return -1;
	relation = view_packet(&v, c->flags);
	c->packets[index] = (struct kwgi_coalesce_packet){ packet, len, (uint16_t)v.headers, 0 };
	c->packets_n++;
	switch (relation) {
	case PAIR:
		close_pair(c, &v);
		start(c, index, &v, false);
		break;
	case FLOW:
		c->flows[v.bucket] = 0;
		start(c, index, &v, false);
		break;
	case ALONE:
		start(c, index, &v, false);
		break;
	case MERGEABLE:
		add_mergeable(c, index, &v);
		break;
	}
	return 0;
}

/* ---- writes ------------------------------------ */

/* Makes the first packet's headers those of the whole. */
static void write_headers(const struct kwgi_coalesce_group *g, uint8_t *p)
{
	uint32_t transport_len = g->total - g->transport;
	uint8_t *transport = p + g->transport;
	uint16_t check;

	if (is_ip6((enum kind)g->kind)) {
		put16(p + 4, g->total - KWGI_IP6_HEADER);
	} else {
		put16(p + 2, g->total);
		put16(p + 10, 0);
		check = kwgi_csum_ipv4(p, KWGI_IP4_HEADER);
		memcpy(p + 10, &check, sizeof(check));
	}
	/* Not inverted: the kernel or the device goes on from here. */
	check = kwgi_csum_fold(pseudo_sum((enum kind)g->kind, p, transport_len));
	if (is_tcp((enum kind)g->kind)) {
		if (g->push)
			transport[13] |= TCP_PSH;
		memcpy(transport + TCP_CHECK, &check, sizeof(check));
	} else {
		put16(transport + 4, transport_len);
		memcpy(transport + UDP_CHECK, &check, sizeof(check));
	}
}

static struct kwgi_vnet vnet_header(const struct kwgi_coalesce_group *g, uint16_t headers)
{
	static const uint8_t types[] = {
		[TCP4] = KWGI_VNET_GSO_TCPV4, [TCP6] = KWGI_VNET_GSO_TCPV6,
		[UDP4] = KWGI_VNET_GSO_UDP_L4, [UDP6] = KWGI_VNET_GSO_UDP_L4,
	};

	if (g->count == 1)
		return (struct kwgi_vnet){ .flags = 0 };
	return (struct kwgi_vnet){
		.flags = KWGI_VNET_NEEDS_CSUM,
		.gso_type = types[g->kind],
		.hdr_len = headers,
		.gso_size = g->gso,
		.csum_start = g->transport,
		.csum_offset = is_tcp((enum kind)g->kind) ? TCP_CHECK : UDP_CHECK,
	};
}

/* The first packet whole, with the device's header in front; of the others the payload. */
static int gather(struct kwgi_coalesce *c, const struct kwgi_coalesce_group *g, struct iovec *iov)
{
	const struct kwgi_coalesce_packet *p = &c->packets[g->first];
	struct kwgi_vnet header;
	unsigned i;

	iov[0] = (struct iovec){ p->data, p->len };
	if (g->count > 1)
		write_headers(g, p->data);
	if (c->flags & KWGI_COALESCE_VNET) {
		header = vnet_header(g, p->headers);
		iov[0] = (struct iovec){ p->data - KWGI_VNET_LEN, p->len + KWGI_VNET_LEN };
		memcpy(iov[0].iov_base, &header, KWGI_VNET_LEN);
	}
	for (i = 1; i < g->count; i++) {
		p = &c->packets[p->next];
		iov[i] = (struct iovec){ p->data + p->headers, p->len - p->headers };
	}
	return g->count;
}

const struct kwgi_write *kwgi_coalesce_writes(struct kwgi_coalesce *c, unsigned *n)
{
	struct iovec *iov = c->iov;
	unsigned i;

	for (i = 0; i < c->groups_n; i++) {
		const struct kwgi_coalesce_group *g = &c->groups[i];

		c->writes[i] = (struct kwgi_write){ iov, gather(c, g, iov), g->count };
		iov += g->count;
	}
	*n = c->groups_n;
	return c->writes;
}
