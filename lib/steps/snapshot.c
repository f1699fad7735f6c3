/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "steps/snapshot.h"

bool kwgi_link_is_tunnel(const struct kwgi_link *l)
{
	return !strcmp(l->kind, "vxlan") || !strcmp(l->kind, "ipip");
}

bool kwgi_host_is_unfinished(const struct kwgi_host *h, const struct kwgi_link *l)
{
	uint32_t i;

	if (*l->alias ||
	    (!kwgi_link_is_tunnel(l) && strcmp(l->kind, "tun") && strcmp(l->kind, "wireguard")))
		return false;
	for (i = 0; i < h->journal.n_making; i++)
		if (!strcmp(h->journal.making[i], l->name))
			return true;
	return false;
}

const struct kwgi_link *kwgi_host_link_named(const struct kwgi_host *h, const char *name)
{
	uint32_t i;

	for (i = 0; i < h->n_links; i++)
		if (!strcmp(h->links[i].name, name))
			return &h->links[i];
	return NULL;
}

const struct kwgi_link *kwgi_host_link(const struct kwgi_host *h, const char *name)
{
	uint32_t i;

	for (i = 0; i < h->n_links; i++)
		if (!h->links[i].replaced && !strcmp(h->links[i].name, name))
			return &h->links[i];
	return NULL;
}

bool kwgi_host_is_our_protocol(const struct kwgi_host *h, uint8_t protocol)
{
	return protocol && (protocol == h->protocol || h->journal.protocols[protocol]);
}

const struct kwgi_link *kwgi_host_link_by_index(const struct kwgi_host *h, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < h->n_links; i++)
		if (h->links[i].index == index)
			return &h->links[i];
	return NULL;
}

const struct kwgi_link *kwgi_host_link_with_addr(const struct kwgi_host *h,
						 const struct kwgi_addr *a)
{
	uint32_t i;

	for (i = 0; i < h->n_addrs; i++)
		if (kwgi_addr_equal(&h->addrs[i].prefix.addr, a))
			return kwgi_host_link_by_index(h, h->addrs[i].ifindex);
	return NULL;
}

const struct kwgi_host_wg *kwgi_host_old_device(const struct kwgi_host *h, const char *ifname)
{
	uint32_t i;

	for (i = 0; i < h->n_old_devices; i++)
		if (!strcmp(h->old_devices[i].ifname, ifname))
			return &h->old_devices[i].wg;
	return NULL;
}

static int by_key(const void *key, const void *peer)
{
	return kwgi_key_cmp(key, &((const struct kwgi_host_peer *)peer)->key);
}

const struct kwgi_host_peer *kwgi_host_peer(const struct kwgi_host_wg *wg,
					    const struct kwgi_key *key)
{
	if (!wg->n_peers)
		return NULL;
	return bsearch(key, wg->peers, wg->n_peers, sizeof(*wg->peers), by_key);
}

int kwgi_host_route_cmp(const struct kwgi_host_route *a, const struct kwgi_host_route *b)
{
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	if (a->metric != b->metric)
		return a->metric < b->metric ? -1 : 1;
	if (a->tos != b->tos)
		return a->tos < b->tos ? -1 : 1;
	return kwgi_prefix_cmp(&a->dst, &b->dst);
}

bool kwgi_host_is_closed(const struct kwgi_host *h)
{
	uint32_t i;

	for (i = 0; i < h->n_closed; i++)
		if (!h->closed[i].passed)
			return true;
	return false;
}

enum kwgi_company kwgi_host_company(const struct kwgi_host *h, const struct kwgi_host_route *r,
				    uint32_t i)
{
	enum kwgi_company company = KWGI_ALONE;
	uint32_t k;

	for (k = 0; k < h->n_others; k++) {
		if (kwgi_host_route_cmp(&h->others[k].route, r))
			continue;
		if (h->others[k].before <= i)
			return KWGI_BEHIND;
		company = KWGI_IN_FRONT;
	}
	return company;
}

bool kwgi_host_same_way(const struct kwgi_host_route *a, const struct kwgi_host_route *b)
{
	return a->oif == b->oif && a->onlink == b->onlink && a->mtu == b->mtu &&
	       a->protocol == b->protocol && kwgi_addr_equal(&a->gw, &b->gw) &&
	       kwgi_addr_equal(&a->src, &b->src);
}

static int cmp_u32(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

int kwgi_host_rule_cmp(const struct kwgi_host_rule *a, const struct kwgi_host_rule *b)
{
	int c = cmp_u32(a->table, b->table);

	if (!c)
		c = cmp_u32(a->priority, b->priority);
	if (!c)
		c = cmp_u32(a->family, b->family);
	if (!c)
		c = cmp_u32(a->fwmark, b->fwmark);
	if (!c)
		c = cmp_u32(a->mask, b->mask);
	if (!c)
		c = cmp_u32(a->invert, b->invert);
	if (!c)
		c = cmp_u32(a->suppress, b->suppress);
	if (!c)
		c = kwgi_prefix_cmp(&a->dst, &b->dst);
	if (!c)
		c = kwgi_prefix_cmp(&a->src, &b->src);
	return c ? c : strcmp(a->iif, b->iif);
}

const char *kwgi_route_protocol_name(uint8_t protocol)
{
	static const struct {
		uint8_t number;
		const char *name;
	} known[] = {
		{ 0, "unspec" }, { 1, "redirect" }, { 2, "kernel" }, { 3, "boot" }, { 4, "static" },
		{ 9, "ra" }, { 11, "zebra" }, { 12, "bird" }, { 14, "xorp" }, { 16, "dhcp" },
		{ 18, "keepalived" }, { 42, "babel" }, { 186, "bgp" }, { 187, "isis" },
		{ 188, "ospf" }, { 189, "rip" }, { 192, "eigrp" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].number == protocol)
			return known[i].name;
	return NULL;
}

void kwgi_host_free(struct kwgi_host *h)
{
	kwgi_arena_free(&h->arena);
	sodium_memzero(h, sizeof(*h));
}
