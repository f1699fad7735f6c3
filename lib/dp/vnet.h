/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The header in front of packets of a TUN device with IFF_VNET_HDR: struct
 * virtio_net_hdr (virtio 1.2 section 5.1.6), numbers in native byte order
 * unless TUNSETVNETLE or TUNSETVNETBE say otherwise.
 */
#ifndef KWGI_VNET_H
#define KWGI_VNET_H

#include <stdint.h>

enum {
	KWGI_VNET_LEN = 10,

	/* flags */
	KWGI_VNET_NEEDS_CSUM = 1,

	/* gso_type */
	KWGI_VNET_GSO_NONE = 0,
	KWGI_VNET_GSO_TCPV4 = 1,
	KWGI_VNET_GSO_TCPV6 = 4,
	KWGI_VNET_GSO_UDP_L4 = 5,
	KWGI_VNET_GSO_ECN = 0x80,	/* a bit, with TCP */
};

struct kwgi_vnet {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;	/* never trusted when reading */
	uint16_t gso_size;	/* payload of each segment */
	uint16_t csum_start;	/* from the begin of the packet */
	uint16_t csum_offset;	/* from csum_start */
};

_Static_assert(sizeof(struct kwgi_vnet) == KWGI_VNET_LEN, "struct kwgi_vnet has holes");

#endif
