/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Inner packets: length and addresses, ECN, padding, and the ICMP answer to those that cannot go. */
#ifndef KWGI_IPPACKET_H
#define KWGI_IPPACKET_H

#include <stddef.h>
#include <stdint.h>

enum {
	KWGI_IP4_HEADER = 20,
	KWGI_IP6_HEADER = 40,
	KWGI_TCP_HEADER = 20,
	KWGI_UDP_HEADER = 8,
	KWGI_PROTO_TCP = 6,
	KWGI_PROTO_UDP = 17,

	/* A UDP payload over IPv4 (65507) less message header and tag. */
	KWGI_INNER_MAX = 65475,
	KWGI_PAD_MULTIPLE = 16,

	KWGI_ECN_NOT_ECT = 0, KWGI_ECN_ECT1 = 1, KWGI_ECN_ECT0 = 2, KWGI_ECN_CE = 3,

	/* What kwgi_icmp_unreachable() writes at most: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c). */
	KWGI_ICMP4_MAX = 576, KWGI_ICMP6_MAX = 1280,
};

struct kwgi_ip {
	const uint8_t *src, *dst;	/* in the packet: 4 bytes for version 4, 16 for 6 */
	uint32_t len;			/* of the packet without what follows it */
	uint8_t version;		/* 4 or 6 */
	uint8_t addr_len;		/* 4 or 16 */
};

/*
 * Version and lengths of a packet that lies in len bytes, padding included. 0,
 * or -1 if it is no IP packet or longer than len; nothing else is checked.
 */
int kwgi_ip_parse(struct kwgi_ip *ip, const uint8_t *packet, size_t len);

/* The ECN bits of a packet of at least 2 bytes; 0 if it is no IP packet. */
uint8_t kwgi_ecn(const uint8_t *packet);

/* ECN bits of the outer header for an inner packet of at least 2 bytes: RFC 6040 section 4.1, normal mode. */
uint8_t kwgi_ecn_encap(const uint8_t *packet);

/*
 * RFC 6040 section 4.2 for a packet that kwgi_ip_parse() took, which came with
 * this TOS or traffic class outside: may mark it CE (and correct the IPv4
 * header checksum). -1 if it has to be dropped.
 */
int kwgi_ecn_decap(uint8_t *packet, uint8_t outer_tos);

/*
 * Length of a packet of len bytes with its padding, for a link with this MTU; 0
 * = unknown. Padding never goes beyond the MTU nor, unless the packet itself
 * does, beyond KWGI_INNER_MAX.
 */
uint32_t kwgi_pad_len(uint32_t len, uint32_t mtu);

/*
 * The answer "host unreachable" or "address unreachable" to a packet read from
 * the TUN, to be written to the TUN again: to the sender of the packet, from
 * its destination. That address is routed into this TUN, so the answer passes
 * the reverse path filter, and it is not one of the host's, so it is no
 * martian. out has room for size bytes. Returns the length, or 0 if there may
 * be none: RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e). The caller limits
 * the rate.
 */
size_t kwgi_icmp_unreachable(const uint8_t *packet, size_t len, uint8_t *out, size_t size);

#endif
