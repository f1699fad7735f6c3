/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdbool.h>
#include <string.h>

#include "dp/bytes.h"
#include "dp/checksum.h"
#include "dp/ippacket.h"

enum {
	ICMP_HEADER = 8,
	PROTO_HOPOPTS = 0, PROTO_ICMP = 1, PROTO_ROUTING = 43, PROTO_FRAGMENT = 44, PROTO_AH = 51,
	PROTO_ICMPV6 = 58, PROTO_DSTOPTS = 60,

	ICMP_UNREACHABLE = 3, ICMP_HOST_UNREACHABLE = 1,
	ICMPV6_UNREACHABLE = 1, ICMPV6_ADDRESS_UNREACHABLE = 3,
	ICMPV6_INFO = 128,	/* types from here on are no errors */
	ICMPV6_REDIRECT = 137,

	/* RFC 1812 section 4.3.2.5: errors have precedence 6 (internetwork control). */
	TOS_INTERNETWORK_CONTROL = 0xc0,
	TTL = 64,
};

static int parse4(struct kwgi_ip *ip, const uint8_t *packet, size_t len)
{
	uint32_t total;

	if (len < KWGI_IP4_HEADER)
		return -1;
	total = get16(packet + 2);
	if (total < KWGI_IP4_HEADER || total < (packet[0] & 15u) * 4 || total > len)
		return -1;
	*ip = (struct kwgi_ip){ packet + 12, packet + 16, total, 4, 4 };
	return 0;
}

int kwgi_ip_parse(struct kwgi_ip *ip, const uint8_t *packet, size_t len)
{
	uint32_t total;

	if (!len)
		return -1;
	if (packet[0] >> 4 == 4)
		return parse4(ip, packet, len);
	if (packet[0] >> 4 != 6 || len < KWGI_IP6_HEADER)
		return -1;
	/* In 32 bits: the sum of a large payload does not fit into 16. */
	total = get16(packet + 4) + KWGI_IP6_HEADER;
	if (total > len)
		return -1;
	*ip = (struct kwgi_ip){ packet + 8, packet + 24, total, 6, 16 };
	return 0;
}

/* ---- ECN ------------------------------------------------------------- */

uint8_t kwgi_ecn(const uint8_t *packet)
{
	switch (packet[0] >> 4) {
	case 4:
		return packet[1] & 3;
	case 6:
		return packet[1] >> 4 & 3;	/* the traffic class begins in the byte before */
	}
	return 0;
}

uint8_t kwgi_ecn_encap(const uint8_t *packet)
{
	return kwgi_ecn(packet);
}

static void mark_ce(uint8_t *packet)
{
	uint16_t old, new, check;

	if (packet[0] >> 4 == 6) {
		packet[1] |= KWGI_ECN_CE << 4;
		return;
	}
	memcpy(&old, packet, sizeof(old));
	packet[1] |= KWGI_ECN_CE;
	memcpy(&new, packet, sizeof(new));
	memcpy(&check, packet + 10, sizeof(check));
	check = kwgi_csum_update(check, old, new);
	memcpy(packet + 10, &check, sizeof(check));
}

int kwgi_ecn_decap(uint8_t *packet, uint8_t outer_tos)
{
	uint8_t inner;

	if ((outer_tos & 3) != KWGI_ECN_CE)
		return 0;
	inner = kwgi_ecn(packet);
	/* A sender that does not know ECN would never see the mark: a loss is what it understands. */
	if (inner == KWGI_ECN_NOT_ECT)
		return -1;
	if (inner != KWGI_ECN_CE)
		mark_ce(packet);
	return 0;
}

/* ---- padding ------------------------------------ */

uint32_t kwgi_pad_len(uint32_t len, uint32_t mtu)
{
	/* Above the MTU, as with segments that a NIC would cut, the remainder is what is padded. */
	uint32_t last = mtu && len > mtu ? len % mtu : len;
	uint32_t padded = (last + KWGI_PAD_MULTIPLE - 1) & ~(uint32_t)(KWGI_PAD_MULTIPLE - 1);

	if (mtu && padded > mtu)
		padded = mtu;
	padded += len - last;
	if (padded > KWGI_INNER_MAX)
		return len > KWGI_INNER_MAX ? len : KWGI_INNER_MAX;
	return padded;
}

/* ---- ICMP ------------------------------------------------------------ */

/*
 * RFC 1122 section 3.2.2: nothing for errors, other fragments than the first,
 * nor where source or destination are not a single host.
 */
static bool answer4(const uint8_t *packet, size_t len)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };
	size_t header = (packet[0] & 15u) * 4;
	const uint8_t *src = packet + 12, *dst = packet + 16;

	if (header < KWGI_IP4_HEADER || header > len || get16(packet + 6) & 0x1fff)
		return false;
	if (!src[0] || src[0] == 127 || src[0] >= 224)
		return false;
	/* The answer comes from there. */
	if (!dst[0] || dst[0] == 127 || dst[0] >> 4 == 14 || !memcmp(dst, broadcast, sizeof(broadcast)))
		return false;
	if (packet[9] != PROTO_ICMP)
		return true;
	if (header == len)
		return false;
	/* The queries of RFC 792, router discovery (RFC 1256), masks (RFC 950); others may be errors. */
	switch (packet[header]) {
	case 0: case 8: case 9: case 10: case 13: case 14: case 15: case 16: case 17: case 18:
		return true;
	}
	return false;
}

static size_t unreachable4(const uint8_t *packet, size_t len, uint8_t *out, size_t size)
{
	size_t quote = KWGI_ICMP4_MAX - KWGI_IP4_HEADER - ICMP_HEADER;
	uint8_t *icmp = out + KWGI_IP4_HEADER;
	uint16_t check;

	if (quote > len)
		quote = len;
	len = KWGI_IP4_HEADER + ICMP_HEADER + quote;
	if (len > size)
		return 0;
	memset(out, 0, KWGI_IP4_HEADER + ICMP_HEADER);
	out[0] = 0x45;
	out[1] = TOS_INTERNETWORK_CONTROL;
	put16(out + 2, (uint32_t)len);
	out[8] = TTL;
	out[9] = PROTO_ICMP;
	memcpy(out + 12, packet + 16, 4);
	memcpy(out + 16, packet + 12, 4);
	check = kwgi_csum_ipv4(out, KWGI_IP4_HEADER);
	memcpy(out + 10, &check, sizeof(check));

	icmp[0] = ICMP_UNREACHABLE;
	icmp[1] = ICMP_HOST_UNREACHABLE;
	memcpy(icmp + ICMP_HEADER, packet, quote);
	check = (uint16_t)~kwgi_csum_fold(kwgi_csum_partial(icmp, ICMP_HEADER + quote, 0));
	memcpy(icmp + 2, &check, sizeof(check));
	return len;
}

/* Behind the extension headers; false where that cannot be told: cut off, a later fragment. */
static bool upper6(const uint8_t *packet, size_t len, uint8_t *protocol, size_t *offset)
{
	uint8_t next = packet[6];
	size_t at = KWGI_IP6_HEADER, header;

	for (;; next = packet[at], at += header) {
		switch (next) {
		case PROTO_HOPOPTS: case PROTO_ROUTING: case PROTO_DSTOPTS: case PROTO_FRAGMENT: case PROTO_AH:
			break;
		default:
			*protocol = next;
			*offset = at;
			return true;
		}
		if (len - at < 8)
			return false;
		header = (packet[at + 1] + 1u) * 8;
		if (next == PROTO_AH)
			header = (packet[at + 1] + 2u) * 4;
		if (next == PROTO_FRAGMENT) {
			header = 8;
			if (get16(packet + at + 2) & 0xfff8)
				return false;
		}
		if (len - at < header)
			return false;
	}
}

/* Neither multicast nor :: nor ::1. */
static bool single_host6(const uint8_t addr[16])
{
	static const uint8_t zeros[15];

	return addr[0] != 0xff && (memcmp(addr, zeros, sizeof(zeros)) || addr[15] > 1);
}

/* RFC 4443 section 2.4 (e). */
static bool answer6(const uint8_t *packet, size_t len)
{
	const uint8_t *src = packet + 8, *dst = packet + 24;
	uint8_t protocol;
	size_t offset;

	if (!single_host6(src) || !single_host6(dst))
		return false;
	if (!upper6(packet, len, &protocol, &offset))
		return false;
	if (protocol != PROTO_ICMPV6)
		return true;
	return offset < len && packet[offset] >= ICMPV6_INFO && packet[offset] != ICMPV6_REDIRECT;
}

static size_t unreachable6(const uint8_t *packet, size_t len, uint8_t *out, size_t size)
{
	size_t quote = KWGI_ICMP6_MAX - KWGI_IP6_HEADER - ICMP_HEADER;
	uint8_t *icmp = out + KWGI_IP6_HEADER;
	uint16_t check;
	uint64_t sum;

	if (quote > len)
		quote = len;
	len = KWGI_IP6_HEADER + ICMP_HEADER + quote;
	if (len > size)
		return 0;
	memset(out, 0, KWGI_IP6_HEADER + ICMP_HEADER);
	out[0] = 0x60;
	put16(out + 4, (uint32_t)(ICMP_HEADER + quote));
	out[6] = PROTO_ICMPV6;
	out[7] = TTL;
	memcpy(out + 8, packet + 24, 16);
	memcpy(out + 24, packet + 8, 16);

	icmp[0] = ICMPV6_UNREACHABLE;
	icmp[1] = ICMPV6_ADDRESS_UNREACHABLE;
	memcpy(icmp + ICMP_HEADER, packet, quote);
	sum = kwgi_csum_pseudo6(out + 8, PROTO_ICMPV6, (uint32_t)(ICMP_HEADER + quote));
	check = (uint16_t)~kwgi_csum_fold(kwgi_csum_partial(icmp, ICMP_HEADER + quote, sum));
	memcpy(icmp + 2, &check, sizeof(check));
	return len;
}

size_t kwgi_icmp_unreachable(const uint8_t *packet, size_t len, uint8_t *out, size_t size)
{
	struct kwgi_ip ip;

	if (kwgi_ip_parse(&ip, packet, len))
		return 0;
	if (ip.version == 4)
		return answer4(packet, ip.len) ? unreachable4(packet, ip.len, out, size) : 0;
	return answer6(packet, ip.len) ? unreachable6(packet, ip.len, out, size) : 0;
}
