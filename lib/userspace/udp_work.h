/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What sending and receiving in batches keep between calls. With udp.h it is in a circle of files:
 * udp.c, which makes it, udp_send.c and udp_receive.c are one part, and only they see it.
 */
#ifndef KWGI_UDP_WORK_H
#define KWGI_UDP_WORK_H

#include <sys/socket.h>

#include "userspace/udp.h"

enum {
	KWGI_UDP_PIECES = 2 * KWGI_UDP_BATCH,	/* iovecs for bursts that are cut */
	KWGI_UDP_REFUSALS = 256,		/* destinations remembered; a power of two */
};

_Static_assert((int)KWGI_UDP_BATCH <= (int)KWGI_UDP_PIECES, "each received message has an iovec");
_Static_assert((int)KWGI_UDP_SEGMENTS <= (int)KWGI_UDP_PIECES, "a datagram of any burst has room");
_Static_assert(!(KWGI_UDP_REFUSALS & (KWGI_UDP_REFUSALS - 1)), "a hash is masked");

/* pktinfo of IPv6 40 bytes with its header, traffic class 24, segment size 24: aligned sizes. */
struct kwgi_udp_control {
	_Alignas(struct cmsghdr) uint8_t b[128];
};

/* A destination does not take bursts of this segment size and more. */
struct kwgi_udp_refusal {
	struct kwgi_sockaddr to;	/* port 0 */
	uint16_t size;			/* 0: free */
	uint64_t until;
};

struct kwgi_udp_work {
	struct mmsghdr msg[KWGI_UDP_BATCH];
	struct kwgi_udp_control control[KWGI_UDP_BATCH];
	uint32_t owner[KWGI_UDP_BATCH];		/* which of the caller's messages */
	struct iovec iov[KWGI_UDP_PIECES];
	struct kwgi_udp_refusal refusals[KWGI_UDP_REFUSALS];
};

#endif
