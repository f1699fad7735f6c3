/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Packets for tests: made from a flow, with checksums computed byte by byte. */
#ifndef PACKETS_H
#define PACKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dp/checksum.h"
#include "unit.h"

enum {
	FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10, URG = 0x20, ECE = 0x40, CWR = 0x80,
	MAX_PACKET = 65535 + 40,
};

struct flow {
	bool ip6, udp;
	uint8_t addresses[32];	/* source and destination; the first 8 for version 4 */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t id, window, urgent;
	uint8_t tos, ttl, dont_fragment;
	uint32_t label;
	uint8_t ip_options, options;	/* bytes of no-operation: IPv4's, TCP's; multiples of 4 */
	uint8_t option_value;		/* in the TCP options */
};

static inline uint32_t at16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t at32(const uint8_t *p)
{
	return at16(p) << 16 | at16(p + 2);
}

static inline void set16(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static inline void set32(uint8_t *p, uint32_t n)
{
	set16(p, n >> 16);
	set16(p + 2, n);
}

/* Folded sum in host order, by the text of RFC 1071. */
static inline uint32_t slow_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline uint32_t flow_transport(const struct flow *f)
{
	return f->ip6 ? 40 : 20u + f->ip_options;
}

static inline uint32_t flow_headers(const struct flow *f)
{
	return flow_transport(f) + (f->udp ? 8 : 20u + f->options);
}

/* The sum of pseudo header and transport_len bytes at transport, in host order; 0xffff if the checksum holds. */
static inline uint32_t transport_sum(const struct flow *f, const uint8_t *transport, uint32_t len, bool fast)
{
	uint8_t tail[4];
	uint32_t sum;
	uint16_t folded;

	set16(tail, f->udp ? 17 : 6);
	set16(tail + 2, len);
	sum = slow_sum(f->addresses, f->ip6 ? 32 : 8, 0);
	sum = slow_sum(tail, sizeof(tail), sum);
	if (!fast)
		return slow_sum(transport, len, sum);
	folded = kwgi_csum_fold(kwgi_csum_partial(transport, len, 0));
	sum += at16((uint8_t *)&folded);
	return (sum & 0xffff) + (sum >> 16);
}

/* Writes the checksums of a packet whose other fields are final. */
static inline void flow_checksums(const struct flow *f, uint8_t *p, uint32_t len, bool fast)
{
	uint32_t at = flow_transport(f), check;
	uint8_t *field = p + at + (f->udp ? 6 : 16);

	if (!f->ip6) {
		set16(p + 10, 0);
		set16(p + 10, ~slow_sum(p, at, 0));
	}
	set16(field, 0);
	check = ~transport_sum(f, p + at, len - at, fast) & 0xffff;
	set16(field, !check && f->udp ? 0xffff : check);
}

static inline void flow_ip(const struct flow *f, uint8_t *p, uint32_t len)
{
	memset(p, 0, flow_transport(f));
	if (f->ip6) {
		set32(p, 6u << 28 | (uint32_t)f->tos << 20 | f->label);
		set16(p + 4, len - 40);
		p[6] = f->udp ? 17 : 6;
		p[7] = f->ttl;
		memcpy(p + 8, f->addresses, 32);
		return;
	}
	p[0] = (uint8_t)(0x45 + f->ip_options / 4);
	p[1] = f->tos;
	set16(p + 2, len);
	set16(p + 4, f->id);
	p[6] = f->dont_fragment ? 0x40 : 0;
	p[8] = f->ttl;
	p[9] = f->udp ? 17 : 6;
	memcpy(p + 12, f->addresses, 8);
	memset(p + 20, 1, f->ip_options);
}

/* The headers in front of n bytes of payload that lie there already. Length of the packet. */
static inline uint32_t flow_headers_write(const struct flow *f, uint8_t *p, uint8_t flags, uint32_t n)
{
	uint32_t len = flow_headers(f) + n;
	uint8_t *t = p + flow_transport(f);

	flow_ip(f, p, len);
	set16(t, f->sport);
	set16(t + 2, f->dport);
	if (f->udp) {
		set16(t + 4, n + 8);
		return len;
	}
	set32(t + 4, f->seq);
	set32(t + 8, f->ack);
	t[12] = (uint8_t)((5 + f->options / 4) << 4);
	t[13] = flags;
	set16(t + 14, f->window);
	set16(t + 18, f->urgent);
	memset(t + 20, f->option_value, f->options);
	return len;
}

/* The next packet of a flow. Its payload is a function of where it is in the flow. */
static inline uint32_t flow_packet(struct flow *f, uint8_t *p, uint8_t flags, uint32_t n)
{
	uint32_t len = flow_headers_write(f, p, flags, n), i;

	for (i = 0; i < n; i++)
		p[flow_headers(f) + i] = (uint8_t)((f->seq + i) * 7 >> 3);
	flow_checksums(f, p, len, false);
	f->seq += n;
	f->id++;
	return len;
}

static inline struct flow a_flow(bool ip6, bool udp, unsigned n)
{
	struct flow f = { .ip6 = ip6, .udp = udp, .sport = (uint16_t)(1000 + n), .dport = 443, .seq = 0xfffffe00,
			  .ack = 77, .id = 0xfffe, .window = 501, .ttl = 64, .dont_fragment = 1, .label = 0x12345,
			  .option_value = 1 };
	unsigned i;

	for (i = 0; i < 32; i++)
		f.addresses[i] = (uint8_t)(i + 10);
	return f;
}

/* size bytes that end where the next access is a fault. Never freed: unit tests are processes of their own. */
static inline uint8_t *guarded(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page;
	uint8_t *p = mmap(NULL, (pages + 2) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(mprotect(p, page, PROT_NONE), 0);
	ck_assert_int_eq(mprotect(p + (pages + 1) * page, page, PROT_NONE), 0);
	return p + (pages + 1) * page - size;
}

#endif
