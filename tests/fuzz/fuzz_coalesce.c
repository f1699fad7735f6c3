/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Any packets are coalesced and what was merged is split again: it must be
 * equal to the packets that went in.
 *
 * Input: a byte of flags of the device; then for each packet a byte
 *
 *	1	lengths and checksums are made right
 *	2	the headers follow those of the packet before: no bytes are given
 *	12	number of changes, each a byte of offset and one of value
 *	16	the changes come after the checksums
 *
 * two bytes of length, a byte of how many of the first bytes follow, these,
 * and the changes. Other bytes are zeros.
 */
#include <stdlib.h>
#include <string.h>

#include "dp/checksum.h"
#include "dp/coalesce.h"
#include "dp/ippacket.h"
#include "dp/split.h"
#include "fuzz.h"

enum { MAX_PACKETS = 80, MAX_LEN = 2000, MEND = 1, FOLLOW = 2, LATE = 16 };

struct packets {
	uint8_t *room[MAX_PACKETS];	/* the packet stands KWGI_COALESCE_FRONT bytes behind its begin */
	uint8_t *copy[MAX_PACKETS];
	uint32_t len[MAX_PACKETS];
	unsigned n;
};

static void check(int truth)
{
	if (!truth)
		abort();
}

static void add16(uint8_t *p, uint32_t n)
{
	n += (uint32_t)p[0] << 8 | p[1];
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static void set16(uint8_t *p, uint32_t n)
{
	p[0] = p[1] = 0;
	add16(p, n);
}

/* ---- making packets -------------------------------------------------- */

static void mend_transport(uint8_t *p, uint32_t len, uint64_t pseudo, uint8_t protocol)
{
	uint8_t *field = p + (protocol == KWGI_PROTO_TCP ? 16 : 6);
	uint16_t sum;

	if (len < KWGI_TCP_HEADER)
		return;
	if (protocol == KWGI_PROTO_UDP)
		set16(p + 4, len);
	set16(field, 0);
	sum = (uint16_t)~kwgi_csum_fold(kwgi_csum_partial(p, len, pseudo));
	memcpy(field, &sum, 2);
}

static void mend(uint8_t *p, uint32_t len)
{
	uint16_t sum;

	if (len >= 40 && p[0] >> 4 == 6) {
		set16(p + 4, len - 40);
		mend_transport(p + 40, len - 40, kwgi_csum_pseudo6(p + 8, p[6], len - 40), p[6]);
	} else if (len >= 20 && p[0] == 0x45) {
		set16(p + 2, len);
		set16(p + 10, 0);
		sum = kwgi_csum_ipv4(p, 20);
		memcpy(p + 10, &sum, 2);
		mend_transport(p + 20, len - 20, kwgi_csum_pseudo4(p + 12, p[9], len - 20), p[9]);
	}
}

/* The headers of the packet before, with the next identification and sequence number. */
static void follow(uint8_t *p, uint32_t len, const uint8_t *last, uint32_t last_len)
{
	uint32_t at, head, sent;

	memcpy(p, last, len < last_len ? len : last_len);
	if (len < 60 || last_len < 60)
		return;
	at = p[0] >> 4 == 6 ? 40 : 20;
	head = at + (p[at + 12] >> 4) * 4u;
	sent = last_len > head ? last_len - head : 0;
	if (p[0] >> 4 != 6)
		add16(p + 4, 1);
	if (p[at == 40 ? 6 : 9] != KWGI_PROTO_TCP)
		return;
	if (sent + ((uint32_t)p[at + 6] << 8 | p[at + 7]) > 0xffff)
		add16(p + at + 4, 1);
	add16(p + at + 6, sent);
}

static void change(uint8_t *p, uint32_t len, struct fuzz_input *in, unsigned n)
{
	for (; n; n--) {
		uint8_t at = fuzz_u8(in), value = fuzz_u8(in);

		if (at < len)
			p[at] = value;
	}
}

static void make_packet(struct packets *v, struct fuzz_input *in)
{
	uint8_t mode = fuzz_u8(in), given;
	uint32_t len = (uint32_t)fuzz_uint(in, 2) % MAX_LEN + 1;
	uint8_t *p;

	v->room[v->n] = calloc(1, KWGI_COALESCE_FRONT + len);
	v->copy[v->n] = malloc(len);
	check(v->room[v->n] && v->copy[v->n]);
	p = v->room[v->n] + KWGI_COALESCE_FRONT;
	given = fuzz_u8(in);
	if (mode & FOLLOW && v->n)
		follow(p, len, v->copy[v->n - 1], v->len[v->n - 1]);
	else
		fuzz_bytes(in, p, given < len ? given : len);
	if (!(mode & LATE))
		change(p, len, in, mode >> 2 & 3);
	if (mode & MEND)
		mend(p, len);
	if (mode & LATE)
		change(p, len, in, mode >> 2 & 3);
	memcpy(v->copy[v->n], p, len);
	v->len[v->n++] = len;
}

/* ---- looking at writes ----------------------------------------------- */

/* The packet in whose room p lies. */
static unsigned packet_of(const struct packets *v, const uint8_t *p)
{
	unsigned i;

	for (i = 0; i < v->n; i++)
		if (p >= v->room[i] && p < v->room[i] + KWGI_COALESCE_FRONT + v->len[i])
			return i;
	abort();
}

static void check_merged(const struct packets *v, const struct kwgi_write *w)
{
	static uint8_t arena[KWGI_SPLIT_ROOM], bytes[KWGI_VNET_LEN + KWGI_COALESCE_TOTAL];
	static struct kwgi_segment out[MAX_PACKETS];
	static struct kwgi_split s;
	struct iovec iov[KWGI_SPLIT_IOV];
	size_t len = 0, at = 0, part;
	unsigned i, k, n;

	for (i = 0; i < w->packets; i++) {
		check(len + w->iov[i].iov_len <= sizeof(bytes));
		memcpy(bytes + len, w->iov[i].iov_base, w->iov[i].iov_len);
		len += w->iov[i].iov_len;
	}
	check(!kwgi_split_init(&s, arena, sizeof(arena), true, 0));
	n = kwgi_split_iov(&s, iov);
	for (i = 0; i < n && at < len; i++, at += part) {
		part = iov[i].iov_len < len - at ? iov[i].iov_len : len - at;
		memcpy(iov[i].iov_base, bytes + at, part);
	}
	check(at == len);
	check(kwgi_split_done(&s, len, out, MAX_PACKETS) == w->packets);
	for (i = 0; i < w->packets; i++) {
		k = packet_of(v, w->iov[i].iov_base);
		check(out[i].len == v->len[k] && !memcmp(out[i].data, v->copy[k], v->len[k]));
	}
}

static void check_write(const struct packets *v, const struct kwgi_write *w, uint32_t header)
{
	unsigned k = packet_of(v, w->iov[0].iov_base);

	check(w->n == (int)w->packets);
	if (w->packets > 1) {
		check(header != 0);
		check_merged(v, w);
		return;
	}
	check(w->iov[0].iov_len == v->len[k] + header);
	check(!memcmp((uint8_t *)w->iov[0].iov_base + header, v->copy[k], v->len[k]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct kwgi_coalesce c;
	struct fuzz_input in = { data, len };
	struct packets v = { .n = 0 };
	const struct kwgi_write *w;
	unsigned i, n, packets = 0;

	kwgi_coalesce_init(&c, fuzz_u8(&in));
	while (in.left && v.n < MAX_PACKETS) {
		make_packet(&v, &in);
		check(!kwgi_coalesce_add(&c, v.room[v.n - 1] + KWGI_COALESCE_FRONT, v.len[v.n - 1]));
	}
	w = kwgi_coalesce_writes(&c, &n);
	for (i = 0; i < n; i++) {
		check_write(&v, &w[i], c.flags & KWGI_COALESCE_VNET ? KWGI_VNET_LEN : 0);
		packets += w[i].packets;
	}
	check(packets == v.n);
	for (i = 0; i < v.n; i++) {
		free(v.room[i]);
		free(v.copy[i]);
	}
	return 0;
}
