/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * From packets that came out of the tunnel to writes to a TUN device: packets
 * of one flow that follow each other become one large packet with a header
 * that lets the kernel take it as one. Only what would be equal to the input
 * when segmented again is merged; all else passes untouched.
 *
 *	kwgi_coalesce_init(c, flags);
 *	for each packet of a batch:
 *		if (kwgi_coalesce_add(c, packet, len))
 *			... write what is there, kwgi_coalesce_reset(c), add again
 *	w = kwgi_coalesce_writes(c, &n);
 *	for (i = 0; i < n; i++)
 *		writev(tun, w[i].iov, w[i].n);
 *	kwgi_coalesce_reset(c);
 *
 * Packets stay where they are, their headers are changed in place. No
 * allocation, no system call. One per thread.
 */
#ifndef KWGI_COALESCE_H
#define KWGI_COALESCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dp/vnet.h"

enum {
	/* Held at a time; at most IOV_MAX, so that each write fits into one writev(). */
	KWGI_COALESCE_PACKETS = 512,
	KWGI_COALESCE_FLOWS = 256,	/* buckets; a power of 2 */
	KWGI_COALESCE_FRONT = 16,	/* bytes free in front of each packet */
	KWGI_COALESCE_UDP_SEGMENTS = 64,
	KWGI_COALESCE_TOTAL = 65535,	/* bytes of a merged packet */

	/* Flags: what the device can do. */
	KWGI_COALESCE_VNET = 1,		/* IFF_VNET_HDR; without it nothing is merged */
	KWGI_COALESCE_TCP4 = 2,		/* TUN_F_TSO4 */
	KWGI_COALESCE_TCP6 = 4,		/* TUN_F_TSO6 */
	KWGI_COALESCE_UDP = 8,		/* TUN_F_USO4 and TUN_F_USO6 */
};

/* One writev(). The iovecs lie in struct kwgi_coalesce. */
struct kwgi_write {
	struct iovec *iov;
	int n;
	unsigned packets;	/* of the tunnel that it holds */
};

/* A packet, and the next of the same write. */
struct kwgi_coalesce_packet {
	uint8_t *data;
	uint32_t len;
	uint16_t headers;	/* IP and transport; 0 if it is none to be merged */
	uint16_t next;
};

/* The packets of one write. */
struct kwgi_coalesce_group {
	uint16_t first, last;	/* packets */
	uint16_t count;
	uint32_t total;		/* bytes of the merged packet */
	uint16_t gso;		/* payload of the first packet */
	uint8_t transport;	/* its offset */
	uint8_t kind;
	bool push, verified;
};

/* Private. */
struct kwgi_coalesce {
	unsigned flags;
	unsigned packets_n, groups_n;
	uint16_t flows[KWGI_COALESCE_FLOWS];	/* group that may grow, plus 1; 0 = none */
	struct kwgi_coalesce_packet packets[KWGI_COALESCE_PACKETS];
	struct kwgi_coalesce_group groups[KWGI_COALESCE_PACKETS];
	struct kwgi_write writes[KWGI_COALESCE_PACKETS];
	struct iovec iov[KWGI_COALESCE_PACKETS];
};

void kwgi_coalesce_init(struct kwgi_coalesce *c, unsigned flags);

/* Forgets all packets. The flags stay. */
void kwgi_coalesce_reset(struct kwgi_coalesce *c);

/*
 * Takes a packet of len bytes without padding (kwgi_ip_parse()), which stays
 * where it is until the writes are done; the KWGI_COALESCE_FRONT bytes in
 * front of it may be overwritten. 0, or -1 if no more packets can be held.
 */
int kwgi_coalesce_add(struct kwgi_coalesce *c, uint8_t *packet, uint32_t len);

/*
 * The *n writes for all packets since the last reset, with the device's header
 * where it has one. Packets of one flow are in their order. Call once, then reset.
 */
const struct kwgi_write *kwgi_coalesce_writes(struct kwgi_coalesce *c, unsigned *n);

#endif
