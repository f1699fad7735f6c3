/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * From what was read from a TUN device to packets ready to be sealed in place.
 *
 * Packets lie in an arena as messages that follow each other without gaps:
 *
 *	16 bytes for the message header | packet | zeros up to the padded
 *	length | 16 bytes for the tag
 *
 * The segments of one large packet all have the same size, except the last, so
 * that they may go out with one UDP_SEGMENT.
 *
 * A packet that fits the link is read to its place; what a large one has more
 * is read into a buffer that stays in the cache, and goes to its place while
 * its checksum is computed. (One iovec for each segment of what is expected
 * saves that copy; but for the kernel many short pieces take longer than this.)
 *
 *	n = kwgi_split_iov(s, iov);
 *	if (!n)
 *		... send what is there, kwgi_split_reset(s), and ask again
 *	len = readv(tun, iov, n);
 *	if (len > 0)
 *		count = kwgi_split_done(s, len, segments, KWGI_SPLIT_SEGMENTS);
 *
 * No allocation, no system call. One per TUN queue and thread.
 */
#ifndef KWGI_SPLIT_H
#define KWGI_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dp/vnet.h"

enum {
	KWGI_SPLIT_FRONT = 16,		/* room for the message header */
	KWGI_SPLIT_BACK = 16,		/* room for the tag */
	/* What one read may need: 64 KB in segments of 48 bytes, the least that Linux' TCP sends. */
	KWGI_SPLIT_ROOM = 256 * 1024,
	KWGI_SPLIT_REST = 65535 + 40,	/* the longest packet: payload and header of IPv6 */
	KWGI_SPLIT_IOV = 3,
	KWGI_SPLIT_MTU_MAX = 16 * 1024,	/* longer packets are never read to their place at once */
	KWGI_SPLIT_SEGMENTS = 1400,	/* of one read with such segments */
};

/* A packet in the arena; 16 bytes in front of it and 16 behind the padding belong to its message. */
struct kwgi_segment {
	uint8_t *data;
	uint32_t len;		/* without padding */
	uint32_t padded;	/* with it, kwgi_pad_len(); the padding is zero already */
};

/* The caller may read used; all else is private. */
struct kwgi_split {
	uint8_t *arena;
	size_t size;
	size_t used;		/* bytes of messages since kwgi_split_reset() */
	uint32_t mtu;
	bool vnet;

	/* Of the last kwgi_split_iov(). */
	struct kwgi_vnet hdr;
	uint32_t first;		/* bytes that go to the packet's place, the others to rest */
	/* The others begin at KWGI_SPLIT_MTU_MAX: in front goes what was read to the first segment's place too much. */
	uint8_t rest[KWGI_SPLIT_MTU_MAX + KWGI_SPLIT_REST];
};

/*
 * arena stays the caller's, who keeps it as long as s is in use; it has at
 * least KWGI_SPLIT_ROOM bytes (else -1), better some times that. vnet: the
 * device has IFF_VNET_HDR. mtu: of the link, for padding; 0 = unknown.
 */
int kwgi_split_init(struct kwgi_split *s, uint8_t *arena, size_t size, bool vnet, uint32_t mtu);

/* From the next kwgi_split_done() on. */
void kwgi_split_set_mtu(struct kwgi_split *s, uint32_t mtu);

/* Forgets all packets: the arena is empty. */
void kwgi_split_reset(struct kwgi_split *s);

/*
 * Fills iovecs for a readv() of one packet, header included, behind the
 * messages that are in the arena. Their number, or 0 if there is no room for
 * any packet: then flush and reset. May be called again without a read.
 */
unsigned kwgi_split_iov(struct kwgi_split *s, struct iovec iov[KWGI_SPLIT_IOV]);

/*
 * n bytes were read into the iovecs of the last kwgi_split_iov(): fills out
 * with the packets in their order. Their number, or 0 if what was read has to
 * be dropped: too short or long, a header that makes no sense, more than max
 * segments. The packets stay valid until kwgi_split_reset(). Checksums of the
 * packets are complete.
 */
unsigned kwgi_split_done(struct kwgi_split *s, size_t n, struct kwgi_segment *out, unsigned max);

#endif
