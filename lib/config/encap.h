/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Encapsulation within a location: what a protocol costs, and the numbers and
 * names that all nodes derive in the same way, so that none has to be agreed
 * upon. All functions are pure.
 */
#ifndef KWGI_ENCAP_H
#define KWGI_ENCAP_H

#include "base/addr.h"
#include "config/config.h"

enum {
	KWGI_MAC_LEN = 6, KWGI_MAC_TEXT = 18,
	/* VXLAN network identifiers below are left to software that counts from 1. */
	KWGI_VXLAN_FIRST_AUTO_ID = 65536,
	KWGI_ETHERNET_MTU = 1500,
};

/*
 * Bytes that a packet grows by. protocol: enum kwgi_encap_protocol; family: of
 * the addresses in the outer header, enum kwgi_family.
 */
uint32_t kwgi_encap_overhead(uint32_t protocol, uint8_t family);

/*
 * MTU of a tunnel over a link: link_mtu less the overhead. Loopback links, of
 * no use as a measure, count as Ethernet.
 */
uint32_t kwgi_encap_mtu(uint32_t protocol, uint8_t family, uint32_t link_mtu);

/*
 * MAC address of a node's VXLAN device: unicast, locally administered, from
 * the names of mesh and node.
 */
void kwgi_encap_mac(uint8_t mac[KWGI_MAC_LEN], const char *mesh, const char *node);
/* aa:bb:cc:dd:ee:ff; returns out. */
char *kwgi_mac_format(char out[KWGI_MAC_TEXT], const uint8_t mac[KWGI_MAC_LEN]);
/* The IPv6 link-local address of a MAC address (RFC 4291, appendix A). */
struct kwgi_addr kwgi_encap_link_local(const uint8_t mac[KWGI_MAC_LEN]);

/* The configured VXLAN network identifier, or that of the mesh's name. */
uint32_t kwgi_encap_vxlan_id(const struct kwgi_mesh *mesh);

/*
 * Name of the tunnel's device: the configured one, or else that of the
 * WireGuard interface with "-ipip" or "-vxlan" behind it, so that one device
 * can take the place of the other without a gap. Where that would be too long,
 * "kwg-" and a number from it.
 */
void kwgi_encap_device(char out[KWGI_IFNAME_MAX + 1], const struct kwgi_local *local,
		       uint32_t protocol);

#endif
