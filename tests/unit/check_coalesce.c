/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "dp/coalesce.h"
#include "dp/ippacket.h"
#include "dp/split.h"
#include "packets.h"
#include "unit.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

enum {
	ALL = KWGI_COALESCE_VNET | KWGI_COALESCE_TCP4 | KWGI_COALESCE_TCP6 | KWGI_COALESCE_UDP,
	SLOT = 2048,
	/* kinds of a table's case */
	T4 = 1, T6 = 2, U4 = 4, U6 = 8, TCP = T4 | T6, UDP = U4 | U6, V4 = T4 | U4, V6 = T6 | U6, ANY = 15,
};

/* ---- a batch --------------------------------------------------------- */

struct batch {
	struct kwgi_coalesce c;
	uint8_t (*slots)[SLOT];		/* packets at KWGI_COALESCE_FRONT */
	uint32_t len[KWGI_COALESCE_PACKETS];
	unsigned n;
	const struct kwgi_write *w;
	unsigned writes;
	struct kwgi_split split;
	uint8_t *arena;
	struct kwgi_segment out[KWGI_SPLIT_SEGMENTS];
	uint8_t whole[MAX_PACKET + KWGI_VNET_LEN];
};

static struct batch *batch(unsigned flags)
{
	struct batch *b = calloc(1, sizeof(*b));

	ck_assert_ptr_nonnull(b);
	b->slots = malloc(KWGI_COALESCE_PACKETS * sizeof(*b->slots));
	b->arena = guarded(KWGI_SPLIT_ROOM);
	ck_assert_ptr_nonnull(b->slots);
	ck_assert_int_eq(kwgi_split_init(&b->split, b->arena, KWGI_SPLIT_ROOM, true, 1420), 0);
	kwgi_coalesce_init(&b->c, flags);
	return b;
}

static void batch_free(struct batch *b)
{
	munmap(b->arena, KWGI_SPLIT_ROOM);
	free(b->slots);
	free(b);
}

static uint8_t *slot(struct batch *b)
{
	return b->slots[b->n] + KWGI_COALESCE_FRONT;
}

static void take(struct batch *b, uint32_t len)
{
	if (kwgi_coalesce_add(&b->c, slot(b), len))	/* ck_assert() would write a file each time */
		ck_abort_msg("full");
	b->len[b->n++] = len;
}

static void put(struct batch *b, struct flow *f, uint8_t flags, uint32_t payload)
{
	take(b, flow_packet(f, slot(b), flags, payload));
}

static void finish(struct batch *b)
{
	b->w = kwgi_coalesce_writes(&b->c, &b->writes);
}

static void again(struct batch *b)
{
	kwgi_coalesce_reset(&b->c);
	b->n = 0;
}

/* The packets of each write, as digits. */
static const char *shape(struct batch *b)
{
	static char text[KWGI_COALESCE_PACKETS * 4];
	size_t at = 0;
	unsigned i;

	finish(b);
	for (i = 0; i < b->writes; i++) {
		ck_assert_int_eq(b->w[i].n, b->w[i].packets);
		at += (size_t)snprintf(text + at, sizeof(text) - at, i ? " %u" : "%u", b->w[i].packets);
	}
	return text;
}

static void expect(struct batch *b, const char *want, const char *what)
{
	const char *got = shape(b);

	ck_assert_msg(!strcmp(got, want), "%s: %s, not %s", what, got, want);
}

/* One write in one piece; its length. */
static uint32_t gather(struct batch *b, const struct kwgi_write *w)
{
	uint32_t len = 0;
	int i;

	for (i = 0; i < w->n; i++) {
		if (len + w->iov[i].iov_len > sizeof(b->whole))
			ck_abort_msg("a write of more than 64 KB");
		memcpy(b->whole + len, w->iov[i].iov_base, w->iov[i].iov_len);
		len += (uint32_t)w->iov[i].iov_len;
	}
	return len;
}

/* The packets of one write, cut again: b->out. */
static unsigned cut(struct batch *b, const struct kwgi_write *w)
{
	struct iovec iov[KWGI_SPLIT_IOV];
	uint32_t len = gather(b, w), at = 0, part;
	unsigned i, n;

	kwgi_split_reset(&b->split);
	n = kwgi_split_iov(&b->split, iov);
	for (i = 0; i < n && at < len; i++, at += part) {
		part = iov[i].iov_len < len - at ? (uint32_t)iov[i].iov_len : len - at;
		memcpy(iov[i].iov_base, b->whole + at, part);
	}
	ck_assert_uint_eq(at, len);
	return kwgi_split_done(&b->split, len, b->out, KWGI_SPLIT_SEGMENTS);
}

/* ---- what is written ------------------------------------------------- */

static void check_merged(struct batch *b, struct flow f, uint8_t flags, unsigned n, uint32_t payload, uint32_t last)
{
	uint32_t at = flow_transport(&f), head = flow_headers(&f), total = head + (n - 1) * payload + last, i,
		 wrong = 0;
	struct kwgi_vnet h;
	uint8_t want[200], tail[4];

	ck_assert_uint_eq(gather(b, &b->w[0]), KWGI_VNET_LEN + total);
	memcpy(&h, b->whole, KWGI_VNET_LEN);
	ck_assert_uint_eq(h.flags, 1);
	ck_assert_uint_eq(h.gso_type, f.udp ? 5 : f.ip6 ? 4 : 1);
	ck_assert_uint_eq(h.hdr_len, head);
	ck_assert_uint_eq(h.gso_size, payload);
	ck_assert_uint_eq(h.csum_start, at);
	ck_assert_uint_eq(h.csum_offset, f.udp ? 6 : 16);

	flow_headers_write(&f, want, flags, total - head);
	if (!f.ip6)
		set16(want + 10, ~slow_sum(want, at, 0));
	set16(tail, f.udp ? 17 : 6);
	set16(tail + 2, total - at);
	set16(want + at + h.csum_offset, slow_sum(tail, 4, slow_sum(f.addresses, f.ip6 ? 32 : 8, 0)));
	ck_assert_mem_eq(b->whole + KWGI_VNET_LEN, want, head);
	for (i = 0; i < total - head; i++)
		wrong += b->whole[KWGI_VNET_LEN + head + i] != (uint8_t)((f.seq + i) * 7 >> 3);
	ck_assert_uint_eq(wrong, 0);
}

START_TEST(merges_all_kinds)
{
	struct batch *b = batch(ALL);
	struct flow f, start;
	unsigned kind, n, i, options, push;

	for (kind = 0; kind < 4; kind++)
		for (options = 0; options <= 40; options += 20)
			for (n = 2; n < 20; n += 3)
				for (push = 0; push < 2; push++) {
					f = a_flow(kind & 1, kind & 2, 1);
					f.options = f.udp ? 0 : (uint8_t)options;
					start = f;
					for (i = 1; i < n; i++)
						put(b, &f, ACK, 1000);
					put(b, &f, push ? ACK | PSH : ACK, n % 2 ? 1000 : 999);
					finish(b);
					ck_assert_uint_eq(b->writes, 1);
					check_merged(b, start, push ? ACK | PSH : ACK, n, 1000, n % 2 ? 1000 : 999);
					again(b);
				}
	batch_free(b);
}
END_TEST

/* Single packets: their bytes, behind a header of zeros; without header where the device has none. */
START_TEST(leaves_single_packets)
{
	struct batch *b = batch(ALL), *plain = batch(0);
	struct flow f = a_flow(false, true, 1);
	uint8_t want[200], zeros[KWGI_VNET_LEN] = { 0 };
	uint32_t len = flow_packet(&f, want, 0, 50);

	memset(slot(b) - KWGI_VNET_LEN, 0xee, KWGI_VNET_LEN);
	memcpy(slot(b), want, len);
	take(b, len);
	finish(b);
	ck_assert_uint_eq(b->writes, 1);
	ck_assert_int_eq(b->w[0].n, 1);
	ck_assert_uint_eq(b->w[0].iov[0].iov_len, KWGI_VNET_LEN + len);
	ck_assert_mem_eq(b->w[0].iov[0].iov_base, zeros, KWGI_VNET_LEN);
	ck_assert_mem_eq((uint8_t *)b->w[0].iov[0].iov_base + KWGI_VNET_LEN, want, len);

	put(plain, &f, 0, 50);
	put(plain, &f, 0, 50);
	expect(plain, "1 1", "no header, nothing merged");
	ck_assert_uint_eq(plain->w[0].iov[0].iov_len, len);
	ck_assert_ptr_eq(plain->w[0].iov[0].iov_base, plain->slots[0] + KWGI_COALESCE_FRONT);
	batch_free(b);
	batch_free(plain);
}
END_TEST

/* What the device cannot take is not merged. */
START_TEST(obeys_the_device)
{
	static const unsigned flags[] = { KWGI_COALESCE_TCP4, KWGI_COALESCE_TCP6, KWGI_COALESCE_UDP,
					  KWGI_COALESCE_UDP };
	struct batch *b;
	struct flow f;
	unsigned kind, i;

	for (kind = 0; kind < 4; kind++)
		for (i = 0; i < 2; i++) {
			b = batch(i ? KWGI_COALESCE_VNET | flags[kind] : ALL & ~flags[kind]);
			f = a_flow(kind & 1, kind & 2, 1);
			put(b, &f, ACK, 100);
			put(b, &f, ACK, 100);
			expect(b, i ? "2" : "1 1", "kind");
			batch_free(b);
		}
}
END_TEST

/* ---- every rule ------------------------------------------------------ */

static void no_change(struct flow *f) { (void)f; }
static void other_source(struct flow *f) { f->addresses[0] ^= 1; }
static void other_source_end(struct flow *f) { f->addresses[f->ip6 ? 15 : 3] ^= 1; }
static void other_destination(struct flow *f) { f->addresses[f->ip6 ? 16 : 4] ^= 1; }
static void other_destination_end(struct flow *f) { f->addresses[f->ip6 ? 31 : 7] ^= 1; }
static void other_sport(struct flow *f) { f->sport++; }
static void other_dport(struct flow *f) { f->dport++; }
static void other_dscp(struct flow *f) { f->tos ^= 0x10; }
static void other_ecn(struct flow *f) { f->tos ^= 1; }
static void other_ttl(struct flow *f) { f->ttl--; }
static void other_df(struct flow *f) { f->dont_fragment = 0; }
static void same_id(struct flow *f) { f->id--; }
static void next_id(struct flow *f) { f->id++; }
static void other_label(struct flow *f) { f->label++; }
static void ip_options(struct flow *f) { f->ip_options = 4; }
static void seq_gap(struct flow *f) { f->seq++; }
static void seq_again(struct flow *f) { f->seq -= 100; }
static void other_ack(struct flow *f) { f->ack++; }
static void other_window(struct flow *f) { f->window++; }
static void other_urgent(struct flow *f) { f->urgent++; }
static void other_options(struct flow *f) { f->option_value = 0; }
static void more_options(struct flow *f) { f->options = (uint8_t)(f->options + 4); }

/* Three packets; the second has the change. Is it merged with the first, and the third with the second? */
static const struct {
	const char *what;
	unsigned kinds;
	const char *want;
	void (*change)(struct flow *f);
	uint8_t flags[3];		/* besides ACK */
	uint32_t payload[3];		/* all 100 if 0 */
} rules[] = {
	{ "nothing", ANY, "3", no_change, { 0 }, { 0 } },
	{ "source", ANY, "1 2", other_source, { 0 }, { 0 } },
	{ "end of source", ANY, "1 2", other_source_end, { 0 }, { 0 } },
	{ "destination", ANY, "1 2", other_destination, { 0 }, { 0 } },
	{ "end of destination", ANY, "1 2", other_destination_end, { 0 }, { 0 } },
	{ "source port", ANY, "1 2", other_sport, { 0 }, { 0 } },
	{ "destination port", ANY, "1 2", other_dport, { 0 }, { 0 } },
	{ "DSCP", ANY, "1 2", other_dscp, { 0 }, { 0 } },
	{ "ECN", ANY, "1 2", other_ecn, { 0 }, { 0 } },
	{ "TTL", ANY, "1 2", other_ttl, { 0 }, { 0 } },
	{ "DF", V4, "1 2", other_df, { 0 }, { 0 } },
	{ "same identification", V4, "1 2", same_id, { 0 }, { 0 } },
	{ "later identification", V4, "1 2", next_id, { 0 }, { 0 } },
	{ "flow label", V6, "1 2", other_label, { 0 }, { 0 } },
	{ "IP options", V4, "1 1 1", ip_options, { 0 }, { 0 } },
	{ "sequence", TCP, "1 2", seq_gap, { 0 }, { 0 } },
	{ "sequence again", TCP, "1 2", seq_again, { 0 }, { 0 } },
	{ "acknowledgement", TCP, "1 2", other_ack, { 0 }, { 0 } },
	{ "window", TCP, "1 2", other_window, { 0 }, { 0 } },
	{ "urgent pointer", TCP, "1 2", other_urgent, { 0 }, { 0 } },
	{ "options", TCP, "1 2", other_options, { 0 }, { 0 } },
	{ "longer options", TCP, "1 2", more_options, { 0 }, { 0 } },
	{ "PSH on the last", TCP, "3", no_change, { 0, 0, PSH }, { 0 } },
	{ "PSH on the second", TCP, "2 1", no_change, { 0, PSH, 0 }, { 0 } },
	{ "PSH on the first", TCP, "1 2", no_change, { PSH, 0, 0 }, { 0 } },
	{ "FIN", TCP, "1 1 1", no_change, { 0, FIN, 0 }, { 0 } },
	{ "FIN on the last", TCP, "2 1", no_change, { 0, 0, FIN }, { 0 } },
	{ "SYN", TCP, "1 1 1", no_change, { 0, SYN, 0 }, { 0 } },
	{ "RST", TCP, "1 1 1", no_change, { 0, RST, 0 }, { 0 } },
	{ "URG", TCP, "1 1 1", no_change, { 0, URG, 0 }, { 0 } },
	{ "ECE", TCP, "1 1 1", no_change, { 0, ECE, 0 }, { 0 } },
	{ "CWR", TCP, "1 1 1", no_change, { 0, CWR, 0 }, { 0 } },
	{ "CWR on all", TCP, "1 1 1", no_change, { CWR, CWR, CWR }, { 0 } },
	{ "no payload", ANY, "1 1 1", no_change, { 0 }, { 100, 0, 100 } },
	{ "short", ANY, "2 1", no_change, { 0 }, { 100, 99, 100 } },
	{ "short last", ANY, "3", no_change, { 0 }, { 100, 100, 1 } },
	{ "short, and again", ANY, "2 1", no_change, { 0 }, { 100, 99, 99 } },
	{ "longer", ANY, "1 2", no_change, { 0 }, { 100, 101, 101 } },
};

START_TEST(rules_of_headers)
{
	struct batch *b = batch(ALL);
	struct flow f;
	char what[100];
	unsigned kind, k;
	size_t i;

	for (i = 0; i < N_OF(rules); i++)
		for (kind = 0; kind < 4; kind++) {
			if (!(rules[i].kinds & 1u << kind))
				continue;
			f = a_flow(kind & 1, kind & 2, 1);
			f.options = f.udp ? 0 : 12;
			for (k = 0; k < 3; k++) {
				if (k == 1)
					rules[i].change(&f);
				put(b, &f, ACK | rules[i].flags[k],
				    rules[i].payload[0] ? rules[i].payload[k] : 100);
			}
			snprintf(what, sizeof(what), "%s, kind %u", rules[i].what, kind);
			expect(b, rules[i].want, what);
			again(b);
		}
	batch_free(b);
}
END_TEST

/* Byte `at` of the second packet xor value, checksums as they should be or not. */
static const struct {
	const char *what;
	unsigned kinds;
	uint32_t at;
	uint8_t value;
	bool mend;
	const char *want;
} damage[] = {
	{ "payload", ANY, 70, 1, false, "1 1 1" },
	{ "nothing", ANY, 0, 0, false, "3" },
	{ "IPv4 checksum", V4, 10, 1, false, "1 1 1" },
	{ "TOS without checksum", V4, 1, 4, false, "1 1 1" },
	{ "TCP checksum", T4, 36, 1, false, "1 1 1" },
	{ "TCP checksum, 6", T6, 56, 0x80, false, "1 1 1" },
	{ "UDP checksum", U4, 27, 1, false, "1 1 1" },
	{ "UDP checksum, 6", U6, 47, 1, false, "1 1 1" },
	{ "IHL", V4, 0, 3, true, "1 1 1" },
	{ "total length", V4, 3, 1, true, "1 1 1" },
	{ "payload length", V6, 5, 1, true, "1 1 1" },
	{ "more fragments", V4, 6, 0x20, true, "1 1 1" },
	{ "fragment offset", V4, 7, 1, true, "1 1 1" },
	{ "hop-by-hop", U6, 6, 17, true, "1 1 1" },
	{ "fragment header", T6, 6, 6 ^ 44, true, "1 1 1" },
	{ "UDP length", U4, 25, 1, true, "1 1 1" },
	{ "UDP length, 6", U6, 45, 1, true, "1 1 1" },
	{ "TCP header length", T4, 32, 0x50 ^ 0x60, true, "1 1 1" },	/* whose payload begins later */
	{ "TCP header length 16", T4, 32, 0x50 ^ 0x40, true, "1 1 1" },
	{ "TCP header length 60", T4, 32, 0x50 ^ 0xf0, true, "1 1 1" },
	{ "reserved bits", T4, 32, 1, true, "1 1 1" },
	{ "reserved bits, 6", T6, 52, 2, true, "1 1 1" },
};

START_TEST(rules_of_bytes)
{
	struct batch *b = batch(ALL);
	struct flow f;
	char what[100];
	unsigned kind, k;
	uint32_t len, payload;
	size_t i;

	for (i = 0; i < N_OF(damage); i++)
		for (kind = 0; kind < 4; kind++) {
			if (!(damage[i].kinds & 1u << kind))
				continue;
			f = a_flow(kind & 1, kind & 2, 1);
			payload = damage[i].at == 32 && damage[i].value > 0x80 ? 30 : 50;
			for (k = 0; k < 3; k++) {
				len = flow_packet(&f, slot(b), ACK, payload);
				if (k == 1) {
					slot(b)[damage[i].at] ^= damage[i].value;
					if (damage[i].mend)
						flow_checksums(&f, slot(b), len, false);
				}
				take(b, len);
			}
			snprintf(what, sizeof(what), "%s, kind %u", damage[i].what, kind);
			expect(b, damage[i].want, what);
			again(b);
		}
	batch_free(b);
}
END_TEST

/* The same where the first packet is the damaged one: the others are merged without it. */
START_TEST(damaged_first)
{
	struct batch *b = batch(ALL);
	struct flow f;
	uint8_t want[200];
	unsigned kind, k;
	uint32_t len;

	for (kind = 0; kind < 4; kind++) {
		f = a_flow(kind & 1, kind & 2, 1);
		for (k = 0; k < 3; k++) {
			len = flow_packet(&f, slot(b), ACK, 100);
			if (!k) {
				slot(b)[90] ^= 1;
				memcpy(want, slot(b), len);
			}
			take(b, len);
		}
		expect(b, "1 2", "damaged first packet");
		ck_assert_mem_eq((uint8_t *)b->w[0].iov[0].iov_base + KWGI_VNET_LEN, want, b->len[0]);
		again(b);
	}
	batch_free(b);
}
END_TEST

START_TEST(udp_without_checksum)
{
	struct batch *b = batch(ALL);
	struct flow f;
	unsigned kind, k;
	uint32_t len;

	for (kind = 2; kind < 4; kind++) {
		f = a_flow(kind & 1, true, 1);
		for (k = 0; k < 3; k++) {
			len = flow_packet(&f, slot(b), 0, 100);
			set16(slot(b) + flow_transport(&f) + 6, 0);
			take(b, len);
		}
		expect(b, "1 1 1", "no checksum");
		again(b);
	}
	batch_free(b);
}
END_TEST

/* No checksum where 0xffff would be right: the sum cannot tell, the field does. */
START_TEST(udp_without_checksum_that_fits)
{
	struct batch *b = batch(ALL);
	struct flow f;
	unsigned i, found = 0;
	uint32_t len;

	for (i = 0; i < 65536; i++) {
		f = a_flow(false, true, 1);
		f.sport = (uint16_t)i;
		len = flow_packet(&f, slot(b), 0, 100);
		if (at16(slot(b) + 26) != 0xffff)
			continue;
		found++;
		set16(slot(b) + 26, 0);
		take(b, len);
		put(b, &f, 0, 100);
		expect(b, "1 1", "no checksum");
		again(b);
	}
	ck_assert_uint_gt(found, 0);
	batch_free(b);
}
END_TEST

/* Reserved bits of the TCP header, the same in all packets. */
START_TEST(reserved_bits)
{
	struct batch *b = batch(ALL);
	struct flow f;
	unsigned k, bit;
	uint32_t len;

	for (bit = 1; bit < 16; bit *= 2) {
		f = a_flow(true, false, 1);
		for (k = 0; k < 3; k++) {
			len = flow_packet(&f, slot(b), ACK, 100);
			slot(b)[52] |= (uint8_t)bit;
			flow_checksums(&f, slot(b), len, false);
			take(b, len);
		}
		expect(b, "1 1 1", "reserved bits");
		again(b);
	}
	batch_free(b);
}
END_TEST

/* 0xffff holds where 0 does, but a sum never comes out so: segmenting would change it. */
START_TEST(other_zero)
{
	struct batch *b = batch(ALL);
	struct flow f = a_flow(false, false, 1);
	uint8_t *p;
	unsigned i, found[2] = { 0 };
	uint32_t len;

	for (i = 0; i < 200000 && (!found[0] || !found[1]); i++) {
		f = a_flow(false, false, i & 0xffff);
		f.addresses[7] = (uint8_t)(i >> 16);
		f.id = (uint16_t)i;
		put(b, &f, ACK, 100);
		len = flow_packet(&f, slot(b), ACK, 100);
		p = slot(b);
		if (!at16(p + 36) || !at16(p + 10)) {
			found[!at16(p + 36)]++;
			take(b, len);
			expect(b, "2", "checksum 0");
			again(b);
			f.id -= 2;
			f.seq -= 200;
			put(b, &f, ACK, 100);
			len = flow_packet(&f, p = slot(b), ACK, 100);
			set16(p + (at16(p + 36) ? 10 : 36), 0xffff);
			take(b, len);
			expect(b, "1 1", "checksum 0xffff");
		}
		again(b);
	}
	ck_assert(found[0] && found[1]);
	batch_free(b);
}
END_TEST

/* ---- limits ---------------------------------------------------------- */

START_TEST(udp_segments)
{
	struct batch *b = batch(ALL);
	struct flow f = a_flow(false, true, 1), t = a_flow(false, false, 1);
	unsigned i;

	for (i = 0; i < 130; i++)
		put(b, &f, 0, 10);
	expect(b, "64 64 2", "UDP");
	again(b);
	for (i = 0; i < 130; i++)
		put(b, &t, ACK, 10);
	expect(b, "130", "TCP");
	batch_free(b);
}
END_TEST

START_TEST(total_length)
{
	struct batch *b = batch(ALL);
	struct flow f;
	unsigned kind, i, n;
	uint32_t fits;

	for (kind = 0; kind < 4; kind++) {
		f = a_flow(kind & 1, kind & 2, 1);
		for (i = 0; i < 60; i++)
			put(b, &f, ACK, 1440);
		finish(b);
		fits = (65535 - flow_headers(&f)) / 1440;
		ck_assert_uint_eq(b->w[0].packets, fits);
		again(b);
		/* to the byte */
		f = a_flow(kind & 1, kind & 2, 1);
		for (n = 0; n < 2; n++) {
			for (i = 0; i < fits; i++)
				put(b, &f, ACK, 1440);
			put(b, &f, ACK, 65535 + n - flow_headers(&f) - fits * 1440);
			finish(b);
			ck_assert_uint_eq(b->writes, 1 + n);
			again(b);
		}
	}
	batch_free(b);
}
END_TEST

START_TEST(full)
{
	struct batch *b = batch(ALL);
	struct flow f = a_flow(true, false, 1);
	uint8_t one_more[SLOT];
	unsigned i, packets = 0;

	for (i = 0; i < KWGI_COALESCE_PACKETS; i++)
		put(b, &f, ACK, 4);
	ck_assert_int_eq(kwgi_coalesce_add(&b->c, one_more + 16, flow_packet(&f, one_more + 16, ACK, 4)), -1);
	finish(b);
	for (i = 0; i < b->writes; i++)
		packets += b->w[i].packets;
	ck_assert_uint_eq(packets, KWGI_COALESCE_PACKETS);
	batch_free(b);
}
END_TEST

/* Many flows, in turns: each becomes one write. */
START_TEST(many_flows)
{
	struct batch *b = batch(ALL);
	struct flow f[16];
	unsigned i, k, full_writes = 0;

	for (i = 0; i < 16; i++)
		f[i] = a_flow(i & 1, i & 2, i * 37);
	for (k = 0; k < 20; k++)
		for (i = 0; i < 16; i++)
			put(b, &f[i], ACK, 200);
	finish(b);
	for (i = 0; i < b->writes; i++)
		full_writes += b->w[i].packets == 20;
	/* few of them may share a bucket */
	ck_assert_uint_ge(full_writes, 12);
	batch_free(b);
}
END_TEST

/* More flows than buckets. Each packet would follow the one before, were it not for the flow. */
START_TEST(flows_that_collide)
{
	struct batch *b = batch(ALL);
	struct flow f;
	unsigned kind, i, way;

	for (kind = 0; kind < 4; kind++)
		for (way = 0; way < 6; way++) {
			f = a_flow(kind & 1, kind & 2, 1);
			for (i = 0; i < KWGI_COALESCE_PACKETS; i++) {
				if (way < 4)
					set16(f.addresses + way * (f.ip6 ? 8 : 2), i);
				else
					*(way == 4 ? &f.sport : &f.dport) = (uint16_t)i;
				put(b, &f, ACK, 10);
			}
			finish(b);
			ck_assert_uint_eq(b->writes, KWGI_COALESCE_PACKETS);
			again(b);
		}
	batch_free(b);
}
END_TEST

/* ---- order ----------------------------------------------------------- */

/* Packets whose ports cannot be told close all flows between their hosts, and no others. */
START_TEST(fragments_close_the_pair)
{
	struct batch *b = batch(ALL);
	struct flow f, other, elsewhere;
	uint32_t len;
	int ip6;

	for (ip6 = 0; ip6 < 2; ip6++) {
		f = a_flow(ip6, true, 1);
		other = a_flow(ip6, false, 2);
		elsewhere = a_flow(ip6, true, 1);
		elsewhere.addresses[5] = 99;
		put(b, &f, 0, 100);
		put(b, &other, ACK, 100);
		put(b, &elsewhere, 0, 100);
		len = flow_packet(&f, slot(b), 0, 100);
		slot(b)[6] = ip6 ? 44 : 0x20;
		take(b, len);
		put(b, &f, 0, 100);
		put(b, &other, ACK, 100);
		put(b, &elsewhere, 0, 100);
		expect(b, "1 1 2 1 1 1", "fragment");
		again(b);
	}
	batch_free(b);
}
END_TEST

/* ICMP and unknown protocols are no part of any flow. */
START_TEST(others_pass_by)
{
	struct batch *b = batch(ALL);
	struct flow f;
	uint32_t len;
	int ip6;

	for (ip6 = 0; ip6 < 2; ip6++) {
		f = a_flow(ip6, true, 1);
		put(b, &f, 0, 100);
		len = flow_packet(&f, slot(b), 0, 100);
		f.id--;
		slot(b)[ip6 ? 6 : 9] = ip6 ? 58 : 1;
		take(b, len);
		put(b, &f, 0, 100);
		expect(b, "2 1", "ICMP");
		again(b);
	}
	memset(slot(b), 0x45, 1);
	take(b, 1);
	memset(slot(b), 0x60, 39);
	take(b, 39);
	memset(slot(b), 0x00, 39);
	take(b, 39);
	expect(b, "1 1 1", "no packets");
	batch_free(b);
}
END_TEST

/* ---- any packets at all ---------------------------------------------- */

enum { FLOWS = 6, BATCH = 96 };

struct expected {
	uint8_t packets[BATCH][SLOT];
	uint32_t len[BATCH];
	unsigned of[FLOWS][BATCH], n[FLOWS], next[FLOWS];
};

/* Makes one thing of the flow different, from now on or for one packet. */
static void vary(struct flow *f, uint8_t *flags, uint32_t *payload, uint64_t *seed)
{
	static void (*const changes[])(struct flow *f) = {
		other_dscp, other_ecn, other_ttl, other_df, same_id, next_id, other_label, seq_gap, seq_again,
		other_ack, other_window, other_urgent, other_options,
	};
	uint32_t n = random_below(seed, 20);

	if (n < N_OF(changes))
		changes[n](f);
	else if (n == 13 && !f->udp)
		f->options = f->options ? 0 : 12;
	else if (n == 14 && !f->ip6)
		f->ip_options = f->ip_options ? 0 : 4;
	else if (n == 15)
		*flags = (uint8_t)random_u32(seed);
	else if (n == 16)
		*flags = ACK | PSH;
	else
		*payload = random_below(seed, 4) ? random_below(seed, 300) : random_below(seed, 1400);
}

/* One bit, not of protocol, addresses or ports, which would make it one of another flow. */
static void damage_bit(const struct flow *f, uint8_t *p, uint32_t len, uint64_t *seed)
{
	uint32_t at = random_below(seed, 3) ? random_below(seed, 60) : random_below(seed, len);
	uint32_t transport = flow_transport(f), from = f->ip6 ? 8 : 12, to = f->ip6 ? 40 : 20;

	if (at >= len || (at >= from && at < to) || (at >= transport && at < transport + 4) ||
	    at == (f->ip6 ? 6 : 9))
		return;
	p[at] ^= (uint8_t)(1u << random_below(seed, at ? 8 : 4));
}

static uint32_t random_packet(struct flow *f, uint8_t *p, const uint8_t *pool, uint64_t *seed)
{
	uint32_t payload = f->udp ? 120 : 200, len;
	uint8_t flags = ACK;

	if (!random_below(seed, 8))
		vary(f, &flags, &payload, seed);
	memcpy(p + flow_headers(f), pool + random_below(seed, 4096), payload);
	len = flow_headers_write(f, p, flags, payload);
	flow_checksums(f, p, len, true);
	f->seq += payload;
	f->id++;
	if (f->udp && !random_below(seed, 100))
		set16(p + flow_transport(f) + 6, 0);
	if (!random_below(seed, 20))
		damage_bit(f, p, len, seed);
	return len;
}

/* The flow whose next packet this is; its packets come in their order, and none twice. */
static void accept_packet(struct expected *e, const struct kwgi_segment *g)
{
	unsigned i, k;

	for (i = 0; i < FLOWS; i++) {
		if (e->next[i] == e->n[i])
			continue;
		k = e->of[i][e->next[i]];
		if (e->len[k] == g->len && !memcmp(e->packets[k], g->data, g->len)) {
			e->next[i]++;
			return;
		}
	}
	ck_abort_msg("a packet that no flow sends next");
}

START_TEST(comes_out_as_it_went_in)
{
	struct batch *b = batch(ALL);
	struct expected *e = calloc(1, sizeof(*e));
	uint8_t pool[4096 + 1400];
	struct flow flows[FLOWS];
	uint64_t seed = 11, packets = 0, writes = 0;
	unsigned i, k, n, rounds, f;

	ck_assert_ptr_nonnull(e);
	for (i = 0; i < sizeof(pool); i++)
		pool[i] = (uint8_t)random_u32(&seed);
	for (rounds = 0; rounds < (SLOW ? 2000 : 20000); rounds++) {
		/* new flows now and then; the last two between the same hosts as the first */
		for (i = 0; !(rounds % 16) && i < FLOWS; i++) {
			flows[i] = a_flow(i & 1, i & 2, random_below(&seed, 50000) / FLOWS * FLOWS + i);
			flows[i].addresses[3] = (uint8_t)(i & 3);
			flows[i].seq = random_u32(&seed);
			flows[i].id = (uint16_t)random_u32(&seed);
			flows[i].dont_fragment = (uint8_t)random_below(&seed, 2);
		}
		memset(e->n, 0, sizeof(e->n));
		memset(e->next, 0, sizeof(e->next));
		for (i = 0, f = 0; i < BATCH; i++) {
			if (!random_below(&seed, 3))
				f = random_below(&seed, FLOWS);
			e->len[i] = random_packet(&flows[f], slot(b), pool, &seed);
			memcpy(e->packets[i], slot(b), e->len[i]);
			e->of[f][e->n[f]++] = i;
			take(b, e->len[i]);
		}
		finish(b);
		for (i = 0; i < b->writes; i++) {
			n = cut(b, &b->w[i]);
			if (n != b->w[i].packets)
				ck_abort_msg("%u packets, not %u", n, b->w[i].packets);
			for (k = 0; k < n; k++)
				accept_packet(e, &b->out[k]);
		}
		for (i = 0; i < FLOWS; i++)
			if (e->next[i] != e->n[i])
				ck_abort_msg("a packet is missing");
		packets += BATCH;
		writes += b->writes;
		again(b);
	}
	/* it would be easy to be right and merge nothing */
	ck_assert_uint_lt(writes * 2, packets);
	free(e);
	batch_free(b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, merges_all_kinds);
	tcase_add_test(tc, leaves_single_packets);
	tcase_add_test(tc, obeys_the_device);
	tcase_add_test(tc, rules_of_headers);
	tcase_add_test(tc, rules_of_bytes);
	tcase_add_test(tc, damaged_first);
	tcase_add_test(tc, udp_without_checksum);
	tcase_add_test(tc, udp_without_checksum_that_fits);
	tcase_add_test(tc, reserved_bits);
	tcase_add_test(tc, other_zero);
	tcase_add_test(tc, udp_segments);
	tcase_add_test(tc, total_length);
	tcase_add_test(tc, full);
	tcase_add_test(tc, many_flows);
	tcase_add_test(tc, flows_that_collide);
	tcase_add_test(tc, fragments_close_the_pair);
	tcase_add_test(tc, others_pass_by);
	tcase_add_test(tc, comes_out_as_it_went_in);
}

int main(void)
{
	return unit_run("coalesce", add);
}
