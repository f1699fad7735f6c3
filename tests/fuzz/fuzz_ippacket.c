/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Any inner packet: its lengths, its marks, the ICMP answer to it.
 *
 * Input: the outer TOS, two bytes for the room that the answer has, the packet.
 */
#include <stdlib.h>
#include <string.h>

#include "dp/bytes.h"
#include "dp/checksum.h"
#include "dp/ippacket.h"
#include "fuzz.h"

static void check(int truth)
{
	if (!truth)
		abort();
}

static int sums_up(const uint8_t *header, size_t len)
{
	return kwgi_csum_fold(kwgi_csum_partial(header, len, 0)) == 0xffff;
}

/* Marked CE or as it was; a header checksum that was right stays right. */
static void check_marks(const uint8_t *packet, size_t len, uint8_t tos)
{
	uint8_t *copy = malloc(len), before = kwgi_ecn(packet);
	int dropped, ip4 = packet[0] >> 4 == 4;

	check(copy != NULL);
	memcpy(copy, packet, len);
	dropped = kwgi_ecn_decap(copy, tos);
	check(!dropped == !(before == KWGI_ECN_NOT_ECT && (tos & 3) == KWGI_ECN_CE));
	if (!dropped) {
		check(kwgi_ecn(copy) == ((tos & 3) == KWGI_ECN_CE ? KWGI_ECN_CE : before));
		check(!ip4 || !sums_up(packet, KWGI_IP4_HEADER) || sums_up(copy, KWGI_IP4_HEADER));
		check(!memcmp(copy + 12, packet + 12, len - 12));
	}
	free(copy);
}

/* A whole packet, back to the sender, with right checksums, that itself gets no answer. */
static void check_answer(const struct kwgi_ip *to, uint8_t *out, size_t n, size_t room)
{
	uint8_t again[KWGI_ICMP6_MAX];
	struct kwgi_ip ip;
	uint64_t sum;

	check(n <= room && n <= (to->version == 4 ? KWGI_ICMP4_MAX : KWGI_ICMP6_MAX));
	check(!kwgi_ip_parse(&ip, out, n) && ip.len == n && ip.version == to->version);
	check(!memcmp(ip.dst, to->src, ip.addr_len) && !memcmp(ip.src, to->dst, ip.addr_len));
	if (ip.version == 4) {
		check(sums_up(out, KWGI_IP4_HEADER));
		check(sums_up(out + KWGI_IP4_HEADER, n - KWGI_IP4_HEADER));
	} else {
		sum = kwgi_csum_pseudo6(out + 8, out[6], (uint32_t)(n - KWGI_IP6_HEADER));
		sum = kwgi_csum_partial(out + KWGI_IP6_HEADER, n - KWGI_IP6_HEADER, sum);
		check(kwgi_csum_fold(sum) == 0xffff);
	}
	check(!kwgi_icmp_unreachable(out, n, again, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	uint8_t tos = fuzz_u8(&in), *out;
	size_t room = (size_t)fuzz_uint(&in, 2), n;
	struct kwgi_ip ip;

	out = malloc(room + 1);
	check(out != NULL);
	if (in.left >= 2)
		check(kwgi_ecn_encap(in.p) <= KWGI_ECN_CE);
	n = kwgi_icmp_unreachable(in.p, in.left, out, room);
	if (kwgi_ip_parse(&ip, in.p, in.left)) {
		check(!n);
	} else {
		check(ip.len <= in.left && (size_t)(ip.src - in.p) + ip.addr_len <= ip.len);
		check_marks(in.p, ip.len, tos);
		if (n)
			check_answer(&ip, out, n, room);
	}
	free(out);
	return 0;
}
