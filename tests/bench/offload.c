/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What the TUN's packet offloads cost: checksums in GB/s, splitting and
 * coalescing in nanoseconds per packet and per 64 KB. All data stays in the
 * cache, as it does between the read and the cipher.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dp/checksum.h"
#include "dp/coalesce.h"
#include "dp/ippacket.h"
#include "dp/split.h"

enum {
	HEAD = 40, MSS = 1380, PACKET = HEAD + MSS, SEGMENTS = 47, SLOT = 1536,
	TRIES = 7, TRY_NS = 20000000,
	/* What has to be reached. */
	TARGET_GBS = 20, TARGET_NS = 100,
};

static volatile uint64_t sink;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The best of some tries, in ns per call. */
static double measure(void (*run)(void *arg), void *arg)
{
	double best = 0, start, ns;
	unsigned i, n, calls = 1;

	for (i = 0; i < TRIES;) {
		start = now_ns();
		for (n = 0; n < calls; n++)
			run(arg);
		ns = now_ns() - start;
		if (ns < TRY_NS / 2) {
			calls *= 2;
			continue;
		}
		if (!i++ || ns / calls < best)
			best = ns / calls;
	}
	return best;
}

/* ---- checksums ------------------------------------------------------- */

static uint8_t data[65536];
static size_t data_len;

static void run_sum(void *arg)
{
	(void)arg;
	sink = kwgi_csum_partial(data, data_len, sink);
}

static void run_sum_portable(void *arg)
{
	(void)arg;
	sink = kwgi_csum_partial_portable(data, data_len, sink);
}

static double checksums(void)
{
	static const size_t lens[] = { 20, 64, 256, 576, 1400, 9000, 65535 };
	double ns, at_1400 = 0;
	size_t i;

	printf("%-26s %8s %8s %14s\n", "checksum", "ns", "GB/s", "portable GB/s");
	for (i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		data_len = lens[i];
		ns = measure(run_sum, NULL);
		if (data_len == 1400)
			at_1400 = (double)data_len / ns;
		printf("%5zu bytes                %8.1f %8.1f %14.1f\n", data_len, ns, (double)data_len / ns,
		       (double)data_len / measure(run_sum_portable, NULL));
	}
	return at_1400;
}

/* ---- packets --------------------------------------------------------- */

/* A TCP packet of version 4 with checksums: number n of a flow. */
static void make_packet(uint8_t *p, unsigned n, uint32_t payload, bool partial)
{
	uint32_t len = HEAD + payload, seq = n * MSS;
	uint64_t sum;
	uint16_t check;

	memset(p, 0, HEAD);
	memset(p + HEAD, (int)n, payload);
	memcpy(p, (const uint8_t[]){ 0x45, 0, (uint8_t)(len >> 8), (uint8_t)len, 0, (uint8_t)n, 0x40, 0, 64, 6 }, 10);
	memcpy(p + 12, (const uint8_t[]){ 10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4, (uint8_t)(seq >> 24),
					  (uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq }, 16);
	p[32] = 0x50;
	p[33] = 0x10;
	check = kwgi_csum_ipv4(p, 20);
	memcpy(p + 10, &check, 2);
	sum = kwgi_csum_pseudo4(p + 12, 6, len - 20);
	check = kwgi_csum_fold(sum);
	if (!partial)
		check = (uint16_t)~kwgi_csum_fold(kwgi_csum_partial(p + 20, len - 20, sum));
	memcpy(p + 36, &check, 2);
}

struct work {
	struct kwgi_split split;
	struct kwgi_coalesce coalesce;
	struct iovec iov[KWGI_SPLIT_IOV];
	struct kwgi_segment out[KWGI_SPLIT_SEGMENTS];
	struct kwgi_vnet header;
	uint8_t large[65536];
	uint32_t large_len;
	uint8_t slots[SEGMENTS][SLOT], heads[SEGMENTS][HEAD];
	unsigned flows;
};

/* ---- splitting ------------------------------------------------------- */

/* What the kernel does in readv(). */
static void scatter(struct work *w, unsigned n)
{
	const uint8_t *from = w->large;
	size_t left = w->large_len, take;
	unsigned i;

	memcpy(w->iov[0].iov_base, &w->header, KWGI_VNET_LEN);
	for (i = 1; i < n && left; i++, from += take, left -= take) {
		take = w->iov[i].iov_len < left ? w->iov[i].iov_len : left;
		memcpy(w->iov[i].iov_base, from, take);
	}
}

static void run_read(void *arg)
{
	struct work *w = arg;

	kwgi_split_reset(&w->split);
	scatter(w, kwgi_split_iov(&w->split, w->iov, KWGI_SPLIT_IOV));
}

static void run_split(void *arg)
{
	struct work *w = arg;

	run_read(arg);
	sink += kwgi_split_done(&w->split, KWGI_VNET_LEN + w->large_len, w->out, KWGI_SPLIT_SEGMENTS);
}

static void run_split_moved(void *arg)
{
	struct work *w = arg;

	w->split.gso = 0;
	run_split(arg);
}

static void run_payload_sums(void *arg)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < SEGMENTS; i++)
		sink = kwgi_csum_partial(data + i * MSS, MSS + 20, sink);
}

static void report(const char *what, double ns, unsigned packets)
{
	printf("%-42s %8.0f ns, %6.1f ns per packet\n", what, ns, ns / packets);
}

static double splitting(struct work *w)
{
	double read, whole, sums;

	make_packet(w->large, 0, SEGMENTS * MSS, true);
	w->large_len = HEAD + SEGMENTS * MSS;
	w->header = (struct kwgi_vnet){ KWGI_VNET_NEEDS_CSUM, KWGI_VNET_GSO_TCPV4, HEAD, MSS, 20, 16 };
	run_split(w);
	read = measure(run_read, w);
	whole = measure(run_split, w);
	sums = measure(run_payload_sums, w);
	report("checksums of 64 KB alone", sums, SEGMENTS);
	report("split 64 KB, foreseen", whole - read, SEGMENTS);
	report("split 64 KB, foreseen, beside checksums", whole - read - sums, SEGMENTS);
	report("split 64 KB, moved", measure(run_split_moved, w) - read, SEGMENTS);

	w->header = (struct kwgi_vnet){ KWGI_VNET_NEEDS_CSUM, 0, 0, 0, 20, 16 };
	w->large_len = PACKET;
	report("one packet of 1420 bytes", measure(run_split, w) - measure(run_read, w), 1);
	w->large_len = HEAD;
	report("one packet of 40 bytes", measure(run_split, w) - measure(run_read, w), 1);
	return (whole - read - sums) / SEGMENTS;
}

/* ---- coalescing ------------------------------------------------------ */

/* Headers are changed by the merge: the same packets again. */
static void run_restore(void *arg)
{
	struct work *w = arg;
	unsigned i;

	for (i = 0; i < SEGMENTS; i++)
		memcpy(w->slots[i] + KWGI_COALESCE_FRONT, w->heads[i], HEAD);
}

static void run_coalesce(void *arg)
{
	struct work *w = arg;
	unsigned i, n;

	run_restore(arg);
	for (i = 0; i < SEGMENTS; i++)
		if (kwgi_coalesce_add(&w->coalesce, w->slots[i] + KWGI_COALESCE_FRONT, PACKET))
			abort();
	kwgi_coalesce_writes(&w->coalesce, &n);
	kwgi_coalesce_reset(&w->coalesce);
	sink += n;
}

static double coalescing(struct work *w, unsigned flows)
{
	double whole, sums = measure(run_payload_sums, w), restore;
	char text[64];
	unsigned i;

	for (i = 0; i < SEGMENTS; i++) {
		uint8_t *p = w->slots[i] + KWGI_COALESCE_FRONT;
		uint16_t check, was, now;

		make_packet(p, i / flows, MSS, false);
		memcpy(&was, p + 20, 2);
		p[20] = (uint8_t)(i % flows);
		memcpy(&now, p + 20, 2);
		memcpy(&check, p + 36, 2);
		check = kwgi_csum_update(check, was, now);
		memcpy(p + 36, &check, 2);
		memcpy(w->heads[i], p, HEAD);
	}
	kwgi_coalesce_init(&w->coalesce, KWGI_COALESCE_VNET | KWGI_COALESCE_TCP4);
	restore = measure(run_restore, w);
	whole = measure(run_coalesce, w) - restore;
	snprintf(text, sizeof(text), "coalesce %d packets of %u flows", SEGMENTS, flows);
	report(text, whole, SEGMENTS);
	snprintf(text, sizeof(text), "coalesce %d of %u flows, beside checksums", SEGMENTS, flows);
	report(text, whole - sums, SEGMENTS);
	return (whole - sums) / SEGMENTS;
}

static void verdict(bool met, const char *what, double value)
{
	printf("%s  %s: %.1f\n", met ? "met    " : "NOT MET", what, value);
}

int main(void)
{
	struct work *w = calloc(1, sizeof(*w));
	uint8_t *arena = calloc(1, 2 * KWGI_SPLIT_ROOM);
	double gbs, split, coalesce;

	if (!w || !arena || kwgi_split_init(&w->split, arena, 2 * KWGI_SPLIT_ROOM, true, PACKET))
		return EXIT_FAILURE;
	memset(data, 0xa5, sizeof(data));
	gbs = checksums();
	printf("\n");
	split = splitting(w);
	coalesce = coalescing(w, 1);
	coalescing(w, 12);
	printf("\n");
	verdict(gbs > TARGET_GBS, "checksum of 1400 bytes over 20 GB/s", gbs);
	verdict(split < TARGET_NS, "split under 100 ns per packet beside the checksum", split);
	verdict(coalesce < TARGET_NS, "coalesce under 100 ns per packet beside the checksum", coalesce);
	free(arena);
	free(w);
	return EXIT_SUCCESS;
}
