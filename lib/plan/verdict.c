/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Everything is sorted by network, and of all that have one network by kind and owner.
 * So what is around a network is found by way of its parents, and of a thousand owners
 * of one network the one that counts by halving: n log n in all, however they overlap.
 */
#include <stdlib.h>
#include <string.h>

#include "base/prefixset.h"
#include "plan/verdict.h"

/* ---- the table ------------------------------------------------------- */

struct rule {
	uint8_t first, second;		/* enum kwgi_net_kind */
	uint8_t near;			/* of enum kwgi_nearness */
	uint8_t verdict[KWGI_N_RELATIONS];
	bool same_port;			/* only if both are on one port */
	const char *why;		/* what comes of it, and what would be right */
};

#define OTHERS (KWGI_SEGMENT | KWGI_LOCATION | KWGI_FAR)
#define ELSEWHERE (KWGI_LOCATION | KWGI_FAR)

enum { F = KWGI_FINE, S = KWGI_SAID, W = KWGI_WARNED, L = KWGI_LEFT_OUT, E = KWGI_WRONG };

#define OTHER_SUBNET "give the mesh a subnet that nothing else uses"
#define LOOP "so the packets to it would go into a tunnel of the mesh; "
#define REACHABLE LOOP "give an address that is reached without the mesh"

/* The verdicts are on EQUAL, INSIDE and AROUND. kilowg.ini(5) has the same table, tests/unit/check_verdict.c its sense. */
static const struct rule rules[] = {
	{ KWGI_NET_SUBNET, KWGI_NET_POD, KWGI_ANY, { W, W, W }, false,
	  "so a pod may have the WireGuard address of a leader; " OTHER_SUBNET },
	{ KWGI_NET_SUBNET, KWGI_NET_INTERNAL, KWGI_ANY, { F, F, W }, false,
	  "so a leader may get this address, and leaders look for it in the mesh; " OTHER_SUBNET },
	{ KWGI_NET_SUBNET, KWGI_NET_NETWORK, KWGI_ANY, { S, W, S }, false,
	  "so leaders look for a part of that network in the mesh; " OTHER_SUBNET },

	{ KWGI_NET_SERVICE, KWGI_NET_SUBNET, KWGI_ANY, { W, W, W }, false,
	  "where WireGuard addresses come from; give both networks of their own" },
	{ KWGI_NET_SERVICE, KWGI_NET_POD, KWGI_ANY, { W, W, W }, false,
	  "so a service may have the address of a pod; give both networks of their own" },
	{ KWGI_NET_SERVICE, KWGI_NET_INTERNAL, KWGI_ANY, { W, F, W }, false,
	  "so a service may have the address of a node; give services a network of their own" },
	{ KWGI_NET_SERVICE, KWGI_NET_NETWORK, KWGI_ANY, { S, F, S }, false, "" },
	{ KWGI_NET_SERVICE, KWGI_NET_WIREGUARD, KWGI_ANY, { S, F, S }, false, "" },
	{ KWGI_NET_SERVICE, KWGI_NET_ENDPOINT, KWGI_ANY, { W, F, W }, false,
	  "so a service may have the address where a node is reached; give services a network of their own" },

	{ KWGI_NET_POD, KWGI_NET_POD, KWGI_ANY, { E, E, E }, false,
	  "and pod CIDRs have to be disjoint; give each node networks of its own" },
	{ KWGI_NET_POD, KWGI_NET_NETWORK, KWGI_ANY, { S, W, S }, false,
	  "so hosts of that network with addresses of pods are not reached; give pods a network of their own" },
	{ KWGI_NET_POD, KWGI_NET_WIREGUARD, KWGI_ANY, { S, F, S }, false, "" },
	{ KWGI_NET_NETWORK, KWGI_NET_WIREGUARD, KWGI_ANY, { F, F, S }, false, "" },

	{ KWGI_NET_INTERNAL, KWGI_NET_POD, KWGI_ANY, { W, W, F }, false,
	  "so a pod may have the address of the node; give an address of the node outside of all pod networks, or -" },
	{ KWGI_NET_INTERNAL, KWGI_NET_INTERNAL, KWGI_ANY, { W, F, F }, false,
	  "and from elsewhere only one of them is reached by it; give each node its own, or -" },
	{ KWGI_NET_INTERNAL, KWGI_NET_NETWORK, KWGI_FAR, { F, W, F }, false,
	  "which is of another location; there, a host of that address is not reached any more; renumber one network, give the nodes of one network one location, or give -" },
	{ KWGI_NET_INTERNAL, KWGI_NET_WIREGUARD, KWGI_ANY, { S, F, F }, false, "" },
	{ KWGI_NET_NETWORK, KWGI_NET_NETWORK, KWGI_FAR, { S, S, S }, false, "" },

	{ KWGI_NET_ENDPOINT, KWGI_NET_SUBNET, KWGI_ANY, { F, W, F }, false,
	  "where leaders look for others in the mesh; give an address that is reached without it" },
	{ KWGI_NET_ENDPOINT, KWGI_NET_POD, KWGI_OWN, { E, E, F }, false,
	  "so its packets would go into their own tunnel; give an address of the node that is none of its pods" },
	{ KWGI_NET_ENDPOINT, KWGI_NET_POD, OTHERS, { W, W, F }, false, REACHABLE },
	{ KWGI_NET_ENDPOINT, KWGI_NET_INTERNAL, ELSEWHERE, { W, F, F }, false, REACHABLE },
	{ KWGI_NET_ENDPOINT, KWGI_NET_WIREGUARD, KWGI_ANY, { S, F, F }, false, "" },
	{ KWGI_NET_ENDPOINT, KWGI_NET_ENDPOINT, KWGI_ANY, { W, F, F }, true,
	  "and only one of them can answer there; give each leader an address or a port of its own" },

	{ KWGI_NET_LOCATION, KWGI_NET_SUBNET, KWGI_ANY, { W, W, F }, false,
	  "where leaders get WireGuard addresses; offer networks outside of it" },
	{ KWGI_NET_LOCATION, KWGI_NET_SERVICE, KWGI_ANY, { W, W, F }, false,
	  "so services of the cluster may have its addresses; offer networks outside of it" },
	{ KWGI_NET_LOCATION, KWGI_NET_POD, KWGI_ANY, { L, L, F }, false,
	  "which keeps it; offer networks that are none of pods" },
	{ KWGI_NET_LOCATION, KWGI_NET_INTERNAL, KWGI_ANY, { L, F, F }, false,
	  "which keeps it; the address of a node need not be offered" },
	{ KWGI_NET_LOCATION, KWGI_NET_NETWORK, ELSEWHERE, { W, W, F }, false,
	  "so that node would look for its own neighbours in the mesh; renumber one of the two, or leave it out here" },
	{ KWGI_NET_LOCATION, KWGI_NET_WIREGUARD, KWGI_ANY, { L, F, F }, false,
	  "which keeps it; offer networks outside of the subnet" },
	{ KWGI_NET_LOCATION, KWGI_NET_ENDPOINT, KWGI_OWN, { W, F, W }, false,
	  "so its packets would go into their own tunnel; offer networks without the endpoint" },
	{ KWGI_NET_LOCATION, KWGI_NET_ENDPOINT, OTHERS, { W, F, W }, false,
	  LOOP "offer networks without the endpoint" },
	{ KWGI_NET_LOCATION, KWGI_NET_LOCATION, ELSEWHERE, { L, L, L }, false,
	  "which comes later and keeps it; offer it in one location" },
	{ KWGI_NET_LOCATION, KWGI_NET_PEER, KWGI_ANY, { L, L, L }, false,
	  "which keeps it; give each networks of its own" },
	{ KWGI_NET_LOCATION, KWGI_NET_PEER_ENDPOINT, KWGI_ANY, { W, F, W }, false,
	  LOOP "offer networks without the endpoint" },

	{ KWGI_NET_PEER, KWGI_NET_SUBNET, KWGI_ANY, { W, W, F }, false,
	  "so a leader may get its address when the mesh grows; give an address outside of the subnet" },
	{ KWGI_NET_PEER, KWGI_NET_SERVICE, KWGI_ANY, { W, W, F }, false,
	  "so services of the cluster may have its addresses; give networks outside of it" },
	{ KWGI_NET_PEER, KWGI_NET_POD, KWGI_ANY, { L, L, F }, false,
	  "which keeps it; give the peer a network that is none of pods" },
	{ KWGI_NET_PEER, KWGI_NET_INTERNAL, KWGI_ANY, { L, F, F }, false,
	  "which keeps it; give the peer an address of its own" },
	{ KWGI_NET_PEER, KWGI_NET_NETWORK, KWGI_ANY, { W, W, F }, false,
	  "so that node would look for its own neighbours at the peer; renumber one of the two, or give single addresses of the peer" },
	{ KWGI_NET_PEER, KWGI_NET_WIREGUARD, KWGI_ANY, { L, F, F }, false,
	  "which keeps it; give the peer an address outside of the subnet" },
	{ KWGI_NET_PEER, KWGI_NET_ENDPOINT, KWGI_ANY, { L, F, W }, false,
	  LOOP "give networks without the endpoint" },
	{ KWGI_NET_PEER, KWGI_NET_PEER, KWGI_ANY, { L, F, F }, false,
	  "which keeps it; each network can be of one peer" },
	{ KWGI_NET_PEER, KWGI_NET_PEER_ENDPOINT, KWGI_OWN, { W, F, W }, false,
	  "so its packets would go into their own tunnel; give networks without the endpoint" },
	{ KWGI_NET_PEER, KWGI_NET_PEER_ENDPOINT, OTHERS, { W, F, W }, false,
	  LOOP "give networks without the endpoint" },

	{ KWGI_NET_PEER_ENDPOINT, KWGI_NET_SUBNET, KWGI_ANY, { F, W, F }, false,
	  "where leaders look for others in the mesh; give an address that is reached without it" },
	{ KWGI_NET_PEER_ENDPOINT, KWGI_NET_POD, KWGI_ANY, { W, W, F }, false, REACHABLE },
	{ KWGI_NET_PEER_ENDPOINT, KWGI_NET_INTERNAL, KWGI_ANY, { W, F, F }, false, REACHABLE },
	{ KWGI_NET_PEER_ENDPOINT, KWGI_NET_WIREGUARD, KWGI_ANY, { S, F, F }, false, "" },
	{ KWGI_NET_PEER_ENDPOINT, KWGI_NET_ENDPOINT, KWGI_ANY, { W, F, F }, true,
	  "and only one of them can answer there; give each an address or a port of its own" },
	{ KWGI_NET_PEER_ENDPOINT, KWGI_NET_PEER_ENDPOINT, KWGI_ANY, { W, F, F }, true,
	  "and only one of them can answer there; give each an address or a port of its own" },
};

enum { N_RULES = sizeof(rules) / sizeof(*rules) };

static const struct rule *find_rule(uint8_t first, uint8_t second, uint8_t near)
{
	size_t i;

	for (i = 0; i < N_RULES; i++)
		if (rules[i].first == first && rules[i].second == second && (rules[i].near & near))
			return &rules[i];
	return NULL;
}

enum kwgi_verdict kwgi_verdict_of(enum kwgi_net_kind first, enum kwgi_net_kind second,
				  enum kwgi_nearness near, enum kwgi_relation relation)
{
	const struct rule *r = find_rule((uint8_t)first, (uint8_t)second, (uint8_t)near);

	return r ? (enum kwgi_verdict)r->verdict[relation] : KWGI_FINE;
}

bool kwgi_verdict_needs_port(enum kwgi_net_kind first, enum kwgi_net_kind second)
{
	const struct rule *r = find_rule((uint8_t)first, (uint8_t)second, KWGI_ANY);

	return r && r->same_port;
}

enum kwgi_relation kwgi_relation_of(const struct kwgi_prefix *a, const struct kwgi_prefix *b)
{
	if (a->len == b->len)
		return KWGI_EQUAL;
	return a->len > b->len ? KWGI_INSIDE : KWGI_AROUND;
}

/* ---- what is said ---------------------------------------------------- */

static const char *const keys[KWGI_N_NET_KINDS] = {
	[KWGI_NET_SUBNET] = "subnet",
	[KWGI_NET_SERVICE] = "service-cidr",
	[KWGI_NET_POD] = "pod-cidr",
	[KWGI_NET_INTERNAL] = "internal-ip",
	[KWGI_NET_NETWORK] = "internal-ip",
	[KWGI_NET_WIREGUARD] = "",
	[KWGI_NET_ENDPOINT] = "endpoint",
	[KWGI_NET_LOCATION] = "allowed-location-ip",
	[KWGI_NET_PEER] = "allowed-ip",
	[KWGI_NET_PEER_ENDPOINT] = "endpoint",
};

static bool is_host(uint8_t kind)
{
	return kind == KWGI_NET_INTERNAL || kind == KWGI_NET_WIREGUARD ||
	       kind == KWGI_NET_ENDPOINT || kind == KWGI_NET_PEER_ENDPOINT;
}

/* Without "/32" behind what is no network. */
static const char *net_text(char out[KWGI_PREFIX_TEXT], const struct kwgi_net *n)
{
	char addr[KWGI_ADDR_TEXT];

	if (!is_host(n->kind))
		return kwgi_prefix_format(out, &n->prefix);
	memcpy(out, kwgi_addr_format(addr, &n->prefix.addr), sizeof(addr));
	return out;
}

static void put_owner(struct kwgi_buf *b, const struct kwgi_net *n)
{
	if (n->node || n->peer)
		kwgi_buf_printf(b, " of %s \"%s\"", n->node ? "node" : "peer",
				n->node ? n->node->name : n->peer->name);
}

static void put_other(struct kwgi_buf *b, const struct kwg_config *cfg, const struct kwgi_net *n)
{
	static const char network[] = "the network", wireguard[] = "the WireGuard address";
	char text[KWGI_PREFIX_TEXT], at[KWGI_PLACE_TEXT];
	const char *what = n->kind == KWGI_NET_NETWORK ? network
			 : n->kind == KWGI_NET_WIREGUARD ? wireguard : keys[n->kind];

	kwgi_buf_printf(b, "%s %s", what, net_text(text, n));
	put_owner(b, n);
	kwgi_buf_printf(b, " (%s)", kwgi_diags_place(&cfg->diags, at, n->at));
}

void kwgi_verdict_say(struct kwg_config *cfg, enum kwgi_verdict verdict, const struct kwgi_net *a,
		      const struct kwgi_net *b, enum kwgi_nearness near, uint32_t more)
{
	static const char *const words[KWGI_N_RELATIONS] = {
		[KWGI_EQUAL] = "equals", [KWGI_INSIDE] = "lies inside", [KWGI_AROUND] = "contains",
	};
	const struct rule *r = find_rule(a->kind, b->kind, (uint8_t)near);
	struct kwgi_buf text = { 0 };
	char net[KWGI_PREFIX_TEXT];

	kwgi_buf_puts(&text, net_text(net, a));
	put_owner(&text, a);
	if (verdict == KWGI_LEFT_OUT)
		kwgi_buf_puts(&text, " is left out: it");
	kwgi_buf_printf(&text, " %s ", words[kwgi_relation_of(&a->prefix, &b->prefix)]);
	put_other(&text, cfg, b);
	if (more)
		kwgi_buf_printf(&text, " and %u more", more);
	kwgi_buf_printf(&text, ", %s", r ? r->why : "");
	if (text.failed)
		cfg->diags.failed = true;
	else
		kwgi_diags_add(&cfg->diags, verdict == KWGI_WRONG ? KWG_ERROR : KWG_WARNING, a->at,
			       keys[a->kind], "%s", text.p);
	kwgi_buf_free(&text);
}
