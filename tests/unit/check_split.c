/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "dp/ippacket.h"
#include "dp/split.h"
#include "packets.h"
#include "unit.h"

enum { ARENA = 3 * KWGI_SPLIT_ROOM };

/* ---- a device that is read ------------------------------------------- */

struct device {
	struct kwgi_split s;
	uint8_t *arena;
	struct kwgi_segment out[KWGI_SPLIT_SEGMENTS];
	unsigned n;
	uint8_t packet[MAX_PACKET];
};

/* Never freed, see guarded(). */
static struct device *device(bool vnet, uint32_t mtu)
{
	struct device *d = (void *)guarded(sizeof(*d));

	d->arena = guarded(ARENA);
	ck_assert_int_eq(kwgi_split_init(&d->s, d->arena, ARENA, vnet, mtu), 0);
	return d;
}

/* What the kernel does: all of it into the iovecs, in order. */
static size_t scatter(const struct iovec *iov, unsigned n, const void *from, size_t len, size_t skip)
{
	size_t done = 0, take;
	unsigned i;

	for (i = 0; i < n && done < len; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		take = iov[i].iov_len - skip < len - done ? iov[i].iov_len - skip : len - done;
		memcpy((uint8_t *)iov[i].iov_base + skip, (const uint8_t *)from + done, take);
		done += take;
		skip = 0;
	}
	return done;
}

static unsigned read_packet(struct device *d, const struct kwgi_vnet *h, const uint8_t *p, size_t len)
{
	struct iovec iov[KWGI_SPLIT_IOV];
	size_t header = d->s.vnet ? KWGI_VNET_LEN : 0;
	unsigned n = kwgi_split_iov(&d->s, iov);

	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(n, KWGI_SPLIT_IOV);
	if (header)
		scatter(iov, n, h, header, 0);
	ck_assert_uint_eq(scatter(iov, n, p, len, header), len);
	d->n = kwgi_split_done(&d->s, header + len, d->out, KWGI_SPLIT_SEGMENTS);
	return d->n;
}

/* A header as the kernel makes it, for a packet of this flow. */
static struct kwgi_vnet large_header(const struct flow *f, uint32_t gso)
{
	return (struct kwgi_vnet){
		.flags = KWGI_VNET_NEEDS_CSUM,
		.gso_type = f->udp ? KWGI_VNET_GSO_UDP_L4 : f->ip6 ? KWGI_VNET_GSO_TCPV6 : KWGI_VNET_GSO_TCPV4,
		.hdr_len = 3,		/* a lie: nobody may believe it */
		.gso_size = (uint16_t)gso,
		.csum_start = (uint16_t)flow_transport(f),
		.csum_offset = f->udp ? 6 : 16,
	};
}

/* A packet as the kernel hands it over: the checksum is the folded pseudo header sum. */
static uint32_t large_packet(const struct flow *f, uint8_t *p, uint8_t flags, uint32_t payload)
{
	uint32_t at = flow_transport(f), len = flow_headers_write(f, p, flags, payload), i;
	uint8_t tail[4];

	for (i = 0; i < payload; i++)
		p[flow_headers(f) + i] = (uint8_t)((f->seq + i) * 7 >> 3);
	set16(tail, f->udp ? 17 : 6);
	set16(tail + 2, len - at);
	set16(p + at + (f->udp ? 6 : 16), slow_sum(tail, 4, slow_sum(f->addresses, f->ip6 ? 32 : 8, 0)));
	if (!f->ip6)
		set16(p + 10, ~slow_sum(p, at, 0));
	return len;
}

/* The zeros behind a packet, and that its message has all of its room. */
static void check_layout(const struct device *d, unsigned i, const uint8_t *message)
{
	const struct kwgi_segment *g = &d->out[i];
	uint32_t k, wrong = 0;

	ck_assert_ptr_eq(g->data, message + 16);
	ck_assert_uint_eq(g->padded, kwgi_pad_len(g->len, d->s.mtu));
	for (k = g->len; k < g->padded; k++)
		wrong |= g->data[k];
	ck_assert_uint_eq(wrong, 0);
	ck_assert(g->data + g->padded + 16 <= d->arena + d->s.used);
}

/* The segments in d->out are what flow f sends by itself, from where it is. */
static void check_segments(const struct device *d, struct flow f, uint8_t flags, uint32_t payload, uint32_t gso)
{
	const uint8_t *message = d->out[0].data - 16;
	static uint8_t want[MAX_PACKET];
	uint32_t n, len, sent;
	unsigned i;

	ck_assert_uint_eq(d->n, (payload + gso - 1) / gso);
	for (i = 0, sent = 0; i < d->n; i++, sent += n) {
		uint8_t now = flags;

		n = payload - sent < gso ? payload - sent : gso;
		if (sent + n < payload)
			now &= (uint8_t)~(FIN | PSH);
		if (sent)
			now &= (uint8_t)~CWR;
		check_layout(d, i, message);
		len = flow_packet(&f, want, now, n);
		ck_assert_msg(d->out[i].len == len, "segment %u: %u bytes, not %u", i, d->out[i].len, len);
		ck_assert_msg(!memcmp(d->out[i].data, want, len), "segment %u", i);
		message += 32 + d->out[i].padded;
	}
	ck_assert_ptr_eq(message, d->arena + d->s.used);
}

static void send_large(struct device *d, const struct flow *f, uint8_t flags, uint32_t payload, uint32_t gso)
{
	struct kwgi_vnet h = large_header(f, gso);
	uint32_t len = large_packet(f, d->packet, flags, payload);

	ck_assert_uint_gt(read_packet(d, &h, d->packet, len), 0);
	check_segments(d, *f, flags, payload, gso);
}

/* ---- large packets --------------------------------------------------- */

START_TEST(cuts_all_kinds)
{
	static const uint32_t mtus[] = { 1420, 0, 576, 1500, 9000, 65535 };
	struct device *d;
	struct flow f;
	uint32_t gso, times, payload;
	unsigned kind, m, options;

	for (m = 0; m < N_OF(mtus); m++)
		for (kind = 0; kind < 4; kind++)
			for (options = 0; options <= 40; options += 20) {
				d = device(true, mtus[m]);
				f = a_flow(kind & 1, kind & 2, 1);
				f.options = f.udp ? 0 : (uint8_t)options;
				f.ip_options = f.ip6 ? 0 : (uint8_t)options;
				gso = (mtus[m] && mtus[m] < 20000 ? mtus[m] : 1420) - flow_headers(&f);
				/* the first time nothing is foreseen, the second time all */
				for (times = 0; times < 3; times++) {
					payload = 65535 - flow_headers(&f) - times;
					send_large(d, &f, ACK, payload, gso);
					kwgi_split_reset(&d->s);
				}
				send_large(d, &f, ACK, gso * 2, gso);
				send_large(d, &f, ACK, gso + 1, gso);
				send_large(d, &f, ACK, gso, gso);
				send_large(d, &f, ACK, 1, gso);
				munmap(d->arena, ARENA);
			}
}
END_TEST

/* FIN and PSH on the last, CWR on the first, all others on all. */
START_TEST(flags)
{
	struct device *d = device(true, 1420);
	struct flow f = a_flow(true, false, 1);
	unsigned i;

	for (i = 0; i < 256; i++) {
		send_large(d, &f, (uint8_t)i, 5000, 1348);
		send_large(d, &f, (uint8_t)i, 500, 1348);
		kwgi_split_reset(&d->s);
	}
}
END_TEST

/* The ECN bit of gso_type changes nothing. */
START_TEST(ecn_bit)
{
	struct device *d = device(true, 1420);
	struct flow f;
	struct kwgi_vnet h;
	uint32_t len;
	int ip6;

	for (ip6 = 0; ip6 < 2; ip6++) {
		f = a_flow(ip6, false, 1);
		h = large_header(&f, 1000);
		h.gso_type |= KWGI_VNET_GSO_ECN;
		len = large_packet(&f, d->packet, ACK | CWR, 3500);
		ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 4);
		check_segments(d, f, ACK | CWR, 3500, 1000);
	}
}
END_TEST

/* A UDP checksum that comes out as 0 is sent as 0xffff; flow_checksums() knows. */
START_TEST(no_zero_in_udp)
{
	struct device *d = device(true, 1420);
	struct flow f = a_flow(false, true, 1);
	struct kwgi_vnet h = large_header(&f, 4);
	unsigned i, zeros = 0;
	uint32_t len;

	for (i = 0; i < 65536; i++) {
		f.sport = (uint16_t)i;
		len = large_packet(&f, d->packet, 0, 8);
		ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 2);
		zeros += at16(d->out[0].data + 26) == 0xffff;
		check_segments(d, f, 0, 8, 4);
		kwgi_split_reset(&d->s);
	}
	ck_assert_uint_gt(zeros, 0);
}
END_TEST

/* IPv6 with extension headers: the pseudo header's sum is the kernel's. */
START_TEST(extension_headers)
{
	struct device *d = device(true, 1500);
	struct flow f = a_flow(true, false, 1);
	struct kwgi_vnet h = large_header(&f, 1000);
	uint32_t len = large_packet(&f, d->packet, ACK, 2500), sum, i;

	memmove(d->packet + 64, d->packet + 40, len - 40);
	memset(d->packet + 40, 0, 24);
	len += 24;
	set16(d->packet + 4, len - 40);
	d->packet[6] = 0;		/* hop-by-hop of 8, destination options of 16 bytes, TCP */
	d->packet[40] = 60;
	d->packet[48] = 6;
	d->packet[49] = 1;
	d->packet[24] ^= 0xff;		/* as with a routing header: not the destination that the sum has */
	h.csum_start = 64;
	ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 3);
	for (i = 0; i < 3; i++) {
		const uint8_t *p = d->out[i].data;

		len = i < 2 ? 1000 : 500;
		ck_assert_uint_eq(d->out[i].len, 84 + len);
		ck_assert_uint_eq(at16(p + 4), 44 + len);
		sum = slow_sum(f.addresses, 32, 0);
		sum = slow_sum((const uint8_t[]){ 0, 6, 0, 0 }, 4, sum);
		sum = slow_sum((const uint8_t[]){ (uint8_t)((20 + len) >> 8), (uint8_t)(20 + len) }, 2, sum);
		ck_assert_uint_eq(slow_sum(p + 64, 20 + len, sum), 0xffff);
		ck_assert_uint_eq(at32(p + 68), f.seq + i * 1000);
	}
	h.flags = 0;			/* then nobody knows it */
	ck_assert_uint_eq(read_packet(d, &h, d->packet, 2584), 0);
}
END_TEST

/* Segments of 48 bytes: what KWGI_SPLIT_ROOM and KWGI_SPLIT_SEGMENTS promise. */
START_TEST(smallest_segments)
{
	struct device *d = device(true, 1420);
	struct flow f = a_flow(true, false, 1);
	unsigned times;

	f.options = 12;
	for (times = 0; times < 2; times++) {
		send_large(d, &f, ACK, 65535 - 72, 48);
		kwgi_split_reset(&d->s);
	}
}
END_TEST

/* ---- where the bytes are read to -------------------------------------- */

/* What fits the link has its place at once; headers always do, and memory has an end. */
START_TEST(reads_to_place)
{
	static const struct { uint32_t mtu, first; } v[] = {
		{ 1420, 1420 }, { 9000, 9000 }, { 0, 1500 }, { 68, 576 }, { 65455, KWGI_SPLIT_MTU_MAX },
	};
	struct iovec iov[KWGI_SPLIT_IOV];
	struct device *d;
	unsigned i;

	for (i = 0; i < N_OF(v); i++) {
		d = device(true, v[i].mtu);
		ck_assert_uint_eq(kwgi_split_iov(&d->s, iov), 3);
		ck_assert_ptr_eq(iov[1].iov_base, d->arena + 16);
		ck_assert_uint_eq(iov[1].iov_len, v[i].first);
		ck_assert_uint_eq(iov[1].iov_len + iov[2].iov_len, KWGI_SPLIT_REST);
		/* asking again gives the same */
		ck_assert_uint_eq(kwgi_split_iov(&d->s, iov), 3);
		ck_assert_uint_eq(iov[1].iov_len, v[i].first);
	}
}
END_TEST

/* Any packet with any MTU: what was read to which place does not show. */
START_TEST(any_place)
{
	static const uint32_t mtus[] = { 0, 68, 576, 1280, 1420, 8920, 65455 };
	struct device *d = device(true, 1420);
	struct kwgi_vnet h;
	struct flow f;
	uint64_t seed = 7;
	uint32_t len, payload, gso, i, small = 0;

	for (i = 0; i < 2000; i++) {
		f = a_flow(random_below(&seed, 2), random_below(&seed, 2), random_below(&seed, 100));
		f.options = f.udp ? 0 : (uint8_t)(random_below(&seed, 4) * 4);
		gso = random_below(&seed, 3) ? 1300 + random_below(&seed, 4) * 10 : 60 + random_below(&seed, 6000);
		payload = random_below(&seed, 2) ? 60000 : 1 + random_below(&seed, 20000);
		if (d->s.size - d->s.used < KWGI_SPLIT_ROOM)
			kwgi_split_reset(&d->s);
		kwgi_split_set_mtu(&d->s, mtus[random_below(&seed, N_OF(mtus))]);
		if (random_below(&seed, 3)) {
			h = large_header(&f, gso);
			len = large_packet(&f, d->packet, ACK | PSH, payload);
			read_packet(d, &h, d->packet, len);
			check_segments(d, f, ACK | PSH, payload, gso);
			continue;
		}
		h = (struct kwgi_vnet){ .flags = 0 };
		len = flow_packet(&f, d->packet, ACK, payload);
		ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 1);
		ck_assert_mem_eq(d->out[0].data, d->packet, len);
		small++;
	}
	ck_assert_uint_gt(small, 100);
}
END_TEST

/* A new MTU between two reads moves the places. */
START_TEST(mtu_changes)
{
	struct device *d = device(true, 1420);
	struct flow f = a_flow(false, false, 1);
	struct iovec iov[KWGI_SPLIT_IOV];
	struct kwgi_vnet h = large_header(&f, 1371);
	uint32_t len = large_packet(&f, d->packet, ACK, 9000), n;

	send_large(d, &f, ACK, 9000, 1371);
	kwgi_split_set_mtu(&d->s, 1411);
	send_large(d, &f, ACK, 9000, 1371);
	n = kwgi_split_iov(&d->s, iov);
	kwgi_split_set_mtu(&d->s, 1420);	/* even between the two calls */
	scatter(iov, n, &h, KWGI_VNET_LEN, 0);
	scatter(iov, n, d->packet, len, KWGI_VNET_LEN);
	d->n = kwgi_split_done(&d->s, KWGI_VNET_LEN + len, d->out, KWGI_SPLIT_SEGMENTS);
	check_segments(d, f, ACK, 9000, 1371);
}
END_TEST

/* ---- small packets --------------------------------------------------- */

START_TEST(any_size_without_header)
{
	static const uint32_t sizes[] = { 1, 2, 15, 16, 17, 20, 40, 1419, 1420, 1421, 9000, 65474, KWGI_INNER_MAX };
	struct device *d = device(false, 1420);
	uint32_t i, at;

	for (i = 0; i < sizeof(d->packet); i++)
		d->packet[i] = (uint8_t)(i * 13 + 1);
	for (i = 0; i < N_OF(sizes); i++) {
		if (d->s.size - d->s.used < KWGI_SPLIT_ROOM)
			kwgi_split_reset(&d->s);
		at = (uint32_t)d->s.used;
		ck_assert_uint_eq(read_packet(d, NULL, d->packet, sizes[i]), 1);
		check_layout(d, 0, d->arena + at);
		ck_assert_uint_eq(d->out[0].len, sizes[i]);
		ck_assert_mem_eq(d->out[0].data, d->packet, sizes[i]);
		ck_assert_uint_eq(d->s.used, at + 32 + d->out[0].padded);
	}
	kwgi_split_reset(&d->s);
	ck_assert_uint_eq(read_packet(d, NULL, d->packet, KWGI_INNER_MAX + 1), 0);
	ck_assert_uint_eq(kwgi_split_done(&d->s, 0, d->out, 1), 0);
	ck_assert_uint_eq(d->s.used, 0);
}
END_TEST

START_TEST(completes_checksums)
{
	struct device *d = device(true, 1420);
	struct kwgi_vnet h;
	struct flow f, next;
	uint32_t len, n, i;
	uint8_t want[4000];
	unsigned kind, odd, zeros = 0;

	for (kind = 0; kind < 4; kind++)
		for (odd = 0; odd < 2; odd++)
			for (i = 0; i < 20000; i++) {
				f = next = a_flow(kind & 1, kind & 2, i);
				n = i ? odd : 3000 + odd;
				len = large_packet(&f, d->packet, ACK, n);
				h = large_header(&f, 0);
				h.gso_type = 0;
				ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 1);
				flow_packet(&next, want, ACK, n);
				ck_assert_mem_eq(d->out[0].data, want, len);
				zeros += at16(want + h.csum_start + h.csum_offset) == 0xffff;
				kwgi_split_reset(&d->s);
			}
	ck_assert_uint_gt(zeros, 0);
	/* a checksum that is complete stays, right or wrong */
	d->packet[60] ^= 1;
	len = (uint32_t)flow_headers(&f) + 1;
	h = (struct kwgi_vnet){ .flags = 2 };
	ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 1);
	ck_assert_mem_eq(d->out[0].data, d->packet, len);
}
END_TEST

/* ---- what is refused ------------------------------------------------- */

/* A packet of 3000 bytes payload in segments of 1000, with one thing wrong. */
static const struct {
	const char *what;
	bool ip6, udp, taken;
	int gso_type, gso_size, csum_start, csum_offset;	/* -1 = as it should be */
	int at, value;					/* of the packet */
	int len;
} wrong[] = {
	{ "nothing", false, false, true, -1, -1, -1, -1, -1, 0, -1 },
	{ "nothing, 6", true, false, true, -1, -1, -1, -1, -1, 0, -1 },
	{ "nothing, UDP", false, true, true, -1, -1, -1, -1, -1, 0, -1 },
	{ "unknown type 2", false, false, false, 2, -1, -1, -1, -1, 0, -1 },
	{ "UFO", false, true, false, 3, -1, -1, -1, -1, 0, -1 },
	{ "only the ECN bit", false, false, false, 0x80, -1, -1, -1, -1, 0, -1 },
	{ "UDP with ECN bit", false, true, false, 0x85, -1, -1, -1, -1, 0, -1 },
	{ "UDP tunnel", false, false, false, 0x21, -1, -1, -1, -1, 0, -1 },
	{ "version 6 as 4", true, false, false, 1, -1, -1, -1, -1, 0, -1 },
	{ "version 4 as 6", false, false, false, 4, -1, -1, -1, -1, 0, -1 },
	{ "TCP as UDP", false, false, false, 5, -1, -1, -1, -1, 0, -1 },
	{ "UDP as TCP", false, true, false, 1, -1, -1, -1, -1, 0, -1 },
	{ "no segment size", false, false, false, -1, 0, -1, -1, -1, 0, -1 },
	{ "segments of 1 byte", false, false, false, -1, 1, -1, -1, -1, 0, -1 },
	{ "checksum in front", false, false, false, -1, -1, 16, -1, -1, 0, -1 },
	{ "checksum behind", false, false, false, -1, -1, 3040, -1, -1, 0, -1 },
	{ "checksum far behind", false, false, false, -1, -1, 65535, -1, -1, 0, -1 },
	{ "offset of UDP", false, false, false, -1, -1, -1, 6, -1, 0, -1 },
	{ "offset far behind", false, false, false, -1, -1, -1, 65535, -1, 0, -1 },
	{ "version 5", false, false, false, -1, -1, -1, -1, 0, 0x55, -1 },
	{ "IHL 4", false, false, false, -1, -1, -1, -1, 0, 0x44, -1 },
	{ "IHL 15", false, false, false, -1, -1, -1, -1, 0, 0x4f, 59 },
	{ "fragment", false, false, false, -1, -1, -1, -1, 7, 1, -1 },
	{ "more fragments", false, false, false, -1, -1, -1, -1, 6, 0x20, -1 },
	{ "TCP header of 16", false, false, false, -1, -1, -1, -1, 32, 0x40, -1 },
	{ "TCP header cut off", false, false, false, -1, -1, -1, -1, 32, 0xf0, 79 },
	{ "only headers", false, false, false, -1, -1, -1, -1, -1, 0, 40 },
	{ "cut in the TCP header", false, false, false, -1, -1, -1, -1, -1, 0, 39 },
	{ "cut in the IP header", false, false, false, -1, -1, -1, -1, -1, 0, 19 },
	{ "cut in the IPv6 header", true, false, false, -1, -1, -1, -1, -1, 0, 39 },
	{ "cut in the UDP header", false, true, false, -1, -1, -1, -1, -1, 0, 27 },
	{ "only UDP headers", false, true, false, -1, -1, -1, -1, -1, 0, 28 },
	{ "one byte", false, false, false, -1, -1, -1, -1, -1, 0, 1 },
	{ "no packet", false, false, false, -1, -1, -1, -1, -1, 0, 0 },
	{ "endless extension header", true, false, false, -1, -1, -1, -1, 6, 60, 50 },
	{ "fragment header", true, false, false, -1, -1, -1, -1, 6, 44, -1 },
};

START_TEST(refuses)
{
	struct device *d = device(true, 1420);
	struct kwgi_vnet h;
	struct flow f;
	uint32_t len;
	size_t i, foreseen;

	for (foreseen = 0; foreseen < 2; foreseen++)
		for (i = 0; i < N_OF(wrong); i++) {
			f = a_flow(wrong[i].ip6, wrong[i].udp, 1);
			if (foreseen)
				send_large(d, &f, ACK, 3000, 1000);
			kwgi_split_reset(&d->s);
			h = large_header(&f, 1000);
			len = large_packet(&f, d->packet, ACK, 3000);
			if (wrong[i].gso_type >= 0)
				h.gso_type = (uint8_t)wrong[i].gso_type;
			if (wrong[i].gso_size >= 0)
				h.gso_size = (uint16_t)wrong[i].gso_size;
			if (wrong[i].csum_start >= 0)
				h.csum_start = (uint16_t)wrong[i].csum_start;
			if (wrong[i].csum_offset >= 0)
				h.csum_offset = (uint16_t)wrong[i].csum_offset;
			if (wrong[i].at >= 0)
				d->packet[wrong[i].at] = (uint8_t)wrong[i].value;
			if (wrong[i].len >= 0)
				len = (uint32_t)wrong[i].len;
			ck_assert_msg(!read_packet(d, &h, d->packet, len) == !wrong[i].taken, "%s",
				      wrong[i].what);
			ck_assert_uint_eq(d->s.used != 0, wrong[i].taken);
		}
}
END_TEST

START_TEST(refuses_partial_checksums_outside)
{
	struct device *d = device(true, 1420);
	struct kwgi_vnet h = { .flags = KWGI_VNET_NEEDS_CSUM, .csum_start = 20, .csum_offset = 16 };
	struct flow f = a_flow(false, false, 1);
	uint32_t len = flow_packet(&f, d->packet, ACK, 0);

	ck_assert_uint_eq(read_packet(d, &h, d->packet, 38), 1);
	ck_assert_uint_eq(read_packet(d, &h, d->packet, 37), 0);
	h.csum_start = 65535;
	ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 0);
	h.csum_start = 20;
	h.csum_offset = 65535;
	ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 0);
}
END_TEST

/* An IPv4 header of 16 bytes with a TCP header where it would end. */
START_TEST(refuses_short_ip_header)
{
	struct device *d = device(true, 1420);
	struct flow f = a_flow(false, false, 1);
	struct kwgi_vnet h = large_header(&f, 1000);
	uint32_t len;

	f.ack = 0x50000000;
	len = large_packet(&f, d->packet, ACK, 3000);
	d->packet[0] = 0x44;
	h.csum_start = 16;
	ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 0);
}
END_TEST

/* Headers so long and segments so short that they need more than is left. */
START_TEST(refuses_what_has_no_room)
{
	struct device *d = device(true, 1420);
	struct flow f = a_flow(false, false, 1);
	struct kwgi_vnet h;
	uint32_t len, payload = 65535 - 120;

	f.options = f.ip_options = 40;
	h = large_header(&f, 48);
	len = large_packet(&f, d->packet, ACK, payload);
	d->s.used = ARENA - KWGI_SPLIT_ROOM;
	ck_assert_uint_eq(read_packet(d, &h, d->packet, len), 0);
	ck_assert_uint_eq(d->s.used, ARENA - KWGI_SPLIT_ROOM);
	kwgi_split_reset(&d->s);
	send_large(d, &f, ACK, payload, 48);
}
END_TEST

/* The caller's limits: his list of segments, his arena. */
START_TEST(keeps_limits)
{
	struct device *d = device(true, 1420);
	struct flow f = a_flow(false, false, 1);
	struct kwgi_vnet h = large_header(&f, 1000);
	uint32_t len = large_packet(&f, d->packet, ACK, 3000);
	struct iovec iov[KWGI_SPLIT_IOV];
	struct kwgi_split s;
	unsigned n, max;

	for (max = 0; max < 5; max++) {
		n = kwgi_split_iov(&d->s, iov);
		scatter(iov, n, &h, KWGI_VNET_LEN, 0);
		scatter(iov, n, d->packet, len, KWGI_VNET_LEN);
		n = kwgi_split_done(&d->s, KWGI_VNET_LEN + len, d->out, max);
		ck_assert_uint_eq(n, max < 3 ? 0 : 3);
	}
	ck_assert_int_eq(kwgi_split_init(&s, d->arena, KWGI_SPLIT_ROOM - 1, true, 0), -1);
	/* until the arena is full, and not one read more */
	kwgi_split_reset(&d->s);
	for (n = 0; d->s.size - d->s.used >= KWGI_SPLIT_ROOM; n++)
		send_large(d, &f, ACK, 60000, 1380);
	ck_assert_uint_gt(n, 5);
	ck_assert_uint_eq(kwgi_split_iov(&d->s, iov), 0);
	kwgi_split_reset(&d->s);
	ck_assert_uint_gt(kwgi_split_iov(&d->s, iov), 0);
}
END_TEST

/* Random headers on half-broken packets in an arena that ends at a page that faults. */
START_TEST(stays_inside)
{
	struct device *d = device(true, 1420);
	struct kwgi_vnet h;
	struct flow f;
	uint64_t seed = 9;
	uint32_t len, i, k, taken = 0;

	for (i = 0; i < 30000; i++) {
		f = a_flow(random_below(&seed, 2), random_below(&seed, 2), 1);
		f.options = f.udp ? 0 : (uint8_t)(random_below(&seed, 11) * 4);
		len = large_packet(&f, d->packet, (uint8_t)random_u32(&seed),
				   random_below(&seed, random_below(&seed, 20) ? 3000 : 65000));
		h = large_header(&f, 1 + random_below(&seed, 2000));
		for (k = random_below(&seed, 3); k; k--)
			((uint8_t *)&h)[random_below(&seed, KWGI_VNET_LEN)] = (uint8_t)random_u32(&seed);
		for (k = random_below(&seed, 3); k; k--)
			d->packet[random_below(&seed, 80)] = (uint8_t)random_u32(&seed);
		if (d->s.size - d->s.used < KWGI_SPLIT_ROOM)
			kwgi_split_reset(&d->s);
		/* often at the very end */
		if (!random_below(&seed, 3))
			d->s.used = d->s.size - KWGI_SPLIT_ROOM;
		kwgi_split_set_mtu(&d->s, random_below(&seed, 2) ? 1420 : random_below(&seed, 20000));
		taken += read_packet(d, &h, d->packet, len) > 0;
		ck_assert_uint_le(d->s.used, d->s.size);
	}
	ck_assert_uint_gt(taken, 3000);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, cuts_all_kinds);
	tcase_add_test(tc, flags);
	tcase_add_test(tc, ecn_bit);
	tcase_add_test(tc, no_zero_in_udp);
	tcase_add_test(tc, extension_headers);
	tcase_add_test(tc, smallest_segments);
	tcase_add_test(tc, reads_to_place);
	tcase_add_test(tc, any_place);
	tcase_add_test(tc, mtu_changes);
	tcase_add_test(tc, any_size_without_header);
	tcase_add_test(tc, completes_checksums);
	tcase_add_test(tc, refuses);
	tcase_add_test(tc, refuses_partial_checksums_outside);
	tcase_add_test(tc, refuses_short_ip_header);
	tcase_add_test(tc, refuses_what_has_no_room);
	tcase_add_test(tc, keeps_limits);
	tcase_add_test(tc, stays_inside);
}

int main(void)
{
	return unit_run("split", add);
}
