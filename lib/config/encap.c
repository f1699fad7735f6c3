/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <blake2.h>
#include <stdio.h>
#include <string.h>

#include "config/encap.h"

enum {
	IPV4_HEADER = 20, IPV6_HEADER = 40,	/* RFC 791, 3.1; RFC 8200, 3 */
	UDP_HEADER = 8, VXLAN_HEADER = 8,	/* RFC 768; RFC 7348, 5 */
	ETHERNET_HEADER = 14,
	MAX_IP_PACKET = 65535,
};

uint32_t kwgi_encap_overhead(uint32_t protocol, uint8_t family)
{
	uint32_t ip = family == KWGI_AF_V6 ? IPV6_HEADER : IPV4_HEADER;

	switch ((enum kwgi_encap_protocol)protocol) {
	case KWGI_ENCAP_VXLAN:
		return ip + UDP_HEADER + VXLAN_HEADER + ETHERNET_HEADER;
	case KWGI_ENCAP_IPIP:
		break;
	}
	return ip;
}

uint32_t kwgi_encap_mtu(uint32_t protocol, uint8_t family, uint32_t link_mtu)
{
	uint32_t overhead = kwgi_encap_overhead(protocol, family);

	if (link_mtu > MAX_IP_PACKET)
		link_mtu = KWGI_ETHERNET_MTU;
	return link_mtu > overhead ? link_mtu - overhead : 0;
}

/* A number of so many bytes from two words, the same everywhere. */
static void derive(uint8_t *out, size_t len, const char *what, const char *a, const char *b)
{
	blake2b_state s;

	memset(out, 0, len);
	if (blake2b_init(&s, len) < 0)
		return;
	/* With their NULs, so that no two pairs look the same. */
	blake2b_update(&s, (const void *)what, strlen(what) + 1);
	blake2b_update(&s, (const void *)a, strlen(a) + 1);
	blake2b_update(&s, (const void *)b, strlen(b) + 1);
	blake2b_final(&s, out, len);
}

void kwgi_encap_mac(uint8_t mac[KWGI_MAC_LEN], const char *mesh, const char *node)
{
	derive(mac, KWGI_MAC_LEN, "kilowg mac", mesh, node);
	/* IEEE 802, 8.4: the lowest bit is for groups, the next for addresses of nobody's range. */
	mac[0] = (uint8_t)((mac[0] & ~1u) | 2u);
}

char *kwgi_mac_format(char out[KWGI_MAC_TEXT], const uint8_t mac[KWGI_MAC_LEN])
{
	snprintf(out, KWGI_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return out;
}

struct kwgi_addr kwgi_encap_link_local(const uint8_t mac[KWGI_MAC_LEN])
{
	return (struct kwgi_addr){
		.family = KWGI_AF_V6,
		.b = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, (uint8_t)(mac[0] ^ 2), mac[1], mac[2],
		       0xff, 0xfe, mac[3], mac[4], mac[5] },
	};
}

uint32_t kwgi_encap_vxlan_id(const struct kwgi_mesh *mesh)
{
	enum { ALL = 1 << 24 };
	uint8_t b[4];

	if (mesh->vxlan_id)
		return mesh->vxlan_id;
	derive(b, sizeof(b), "kilowg vxlan-id", mesh->name, "");
	return KWGI_VXLAN_FIRST_AUTO_ID +
	       ((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]) %
		       (ALL - KWGI_VXLAN_FIRST_AUTO_ID);
}

void kwgi_encap_device(char out[KWGI_IFNAME_MAX + 1], const struct kwgi_local *local,
		       uint32_t protocol)
{
	const char *suffix = kwgi_encap_protocol_name(protocol);
	char name[2 * KWGI_IFNAME_MAX + 2];
	uint8_t b[4];

	snprintf(name, sizeof(name), "%s-%s", local->interface, suffix);
	if (local->tunnel_interface)
		snprintf(name, sizeof(name), "%s", local->tunnel_interface);
	if (strlen(name) > KWGI_IFNAME_MAX) {
		derive(b, sizeof(b), "kilowg device", local->interface, suffix);
		snprintf(name, sizeof(name), "kwg-%02x%02x%02x%02x", b[0], b[1], b[2], b[3]);
	}
	memcpy(out, name, strlen(name) + 1);
}
