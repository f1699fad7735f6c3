/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Reads from a TUN device with any header and any packet.
 *
 * Input: a byte that chooses the MTU, one for the number of iovecs; then for
 * each read two bytes of length (device header included), a byte of how many
 * of its first bytes follow, and these; the others are zeros.
 */
#include <stdlib.h>
#include <string.h>

#include "dp/ippacket.h"
#include "dp/split.h"
#include "fuzz.h"

enum { ARENA = KWGI_SPLIT_ROOM + 100000, MAX_READS = 64 };

static void check(int truth)
{
	if (!truth)
		abort();
}

/* What the kernel does in readv(). */
static size_t scatter(const struct iovec *iov, unsigned n, const uint8_t *from, size_t len)
{
	size_t done = 0, take;
	unsigned i;

	for (i = 0; i < n && done < len; i++, done += take) {
		take = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;
		memcpy(iov[i].iov_base, from + done, take);
	}
	return done;
}

/* Messages follow each other in the arena; what was cut has the lengths it says. */
static void check_segments(const struct kwgi_split *s, size_t from, const struct kwgi_segment *out, unsigned n)
{
	const uint8_t *at = s->arena + from;
	struct kwgi_ip ip;
	unsigned i;

	for (i = 0; i < n; i++) {
		check(out[i].data == at + KWGI_SPLIT_FRONT && out[i].len > 0 && out[i].len <= KWGI_INNER_MAX);
		check(out[i].padded == kwgi_pad_len(out[i].len, s->mtu));
		if (n > 1)
			check(!kwgi_ip_parse(&ip, out[i].data, out[i].len) && ip.len == out[i].len);
		at = out[i].data + out[i].padded + KWGI_SPLIT_BACK;
	}
	check(at == s->arena + s->used && s->used <= s->size);
}

static void one_read(struct kwgi_split *s, struct fuzz_input *in)
{
	static struct kwgi_segment out[KWGI_SPLIT_SEGMENTS];
	static uint8_t bytes[65536];
	struct iovec iov[KWGI_SPLIT_IOV];
	size_t len = (size_t)fuzz_uint(in, 2), from;
	uint8_t given = fuzz_u8(in);
	unsigned n;

	memset(bytes, 0, len);
	fuzz_bytes(in, bytes, given < len ? given : len);
	n = kwgi_split_iov(s, iov);
	if (!n) {
		kwgi_split_reset(s);
		n = kwgi_split_iov(s, iov);
	}
	check(n && n <= KWGI_SPLIT_IOV);
	check(scatter(iov, n, bytes, len) == len);
	from = s->used;
	n = kwgi_split_done(s, len, out, KWGI_SPLIT_SEGMENTS);
	check_segments(s, from, out, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint32_t mtus[] = { 1420, 0, 576, 65535 };
	struct fuzz_input in = { data, len };
	uint8_t *arena = malloc(ARENA);
	static struct kwgi_split s;
	unsigned reads;

	check(arena && !kwgi_split_init(&s, arena, ARENA, true, mtus[fuzz_u8(&in) % 4]));
	for (reads = 0; in.left && reads < MAX_READS; reads++)
		one_read(&s, &in);
	free(arena);
	return 0;
}
