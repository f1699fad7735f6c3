/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Snapshot of a host: what lib/host observes, and what a plan is compared
 * with. Plain data. All addresses, routes and rules in it carry our marks or
 * stand on our link; what belongs to others is not in it, except links.
 */
#ifndef KWGI_SNAPSHOT_H
#define KWGI_SNAPSHOT_H

#include "base/addr.h"
#include "base/arena.h"
#include "base/key.h"
#include "base/prefixset.h"
#include "config/encap.h"
#include "plan/plan.h"
#include "steps/iptables.h"

enum { KWGI_KIND_MAX = 16, KWGI_ALIAS_MAX = 256, KWGI_TABLE_MAIN = 254 };

/* Of closed routes: no other route to the same destination is worse. */
#define KWGI_METRIC_CLOSED UINT32_MAX

/* What makes up a tunnel device, of kind "ipip" or "vxlan". */
struct kwgi_tunnel {
	struct kwgi_addr local, remote;	/* family NONE: any */
	uint32_t lower;			/* index of the link it is bound to; 0: none */
	uint32_t id;			/* VXLAN network identifier */
	uint16_t port;			/* of VXLAN; host order */
	bool learning;			/* VXLAN learns who has which MAC address */
	uint8_t mac[KWGI_MAC_LEN];	/* all zero: IPIP has none */
};

struct kwgi_link {
	uint32_t index;
	char name[KWGI_IFNAME_MAX + 1];
	char kind[KWGI_KIND_MAX];	/* "wireguard", "tun", "" for hardware */
	char alias[KWGI_ALIAS_MAX];	/* our mark, or what others put there */
	uint32_t mtu, mtu6;		/* mtu6: for IPv6, if a router has said less; 0: the same */
	bool up;			/* IFF_UP */
	bool ipv6;			/* it may have IPv6 addresses and routes */
	struct kwgi_tunnel tunnel;	/* all zero for other kinds */
	/*
	 * Has to make room before one of its name is made: its daemon has died,
	 * or another backend takes its place. kwgi_host_link() does not find it.
	 */
	bool replaced;
	/* It works, so it is only renamed, and goes when the one in its place does. */
	bool aside;
};

struct kwgi_host_addr {
	uint32_t ifindex;
	struct kwgi_prefix prefix;	/* host bits kept */
	struct kwgi_addr peer;		/* the other end, whose network it then is; family NONE: none */
	bool auto_made;			/* IPv6 link-local and the like: made by the kernel */
	bool fleeting;			/* temporary (RFC 8981), deprecated, or not usable yet: no others are told */
};

/*
 * Static neighbours of our VXLAN devices. fdb: which host has a MAC address
 * (forwarding database); else: which MAC address a next hop has.
 */
struct kwgi_host_neigh {
	uint32_t ifindex;
	bool fdb;
	struct kwgi_addr addr;
	uint8_t mac[KWGI_MAC_LEN];
};

/* A route in the kernel's terms. */
struct kwgi_host_route {
	struct kwgi_prefix dst;
	struct kwgi_addr gw, src;
	uint32_t oif, table, metric;
	uint32_t mtu;			/* 0: that of the device */
	uint8_t protocol, tos;
	bool onlink;
	bool closed;			/* leads nowhere (RTN_UNREACHABLE); no gateway, source or link */
	bool passed;			/* closed as well: the next rule is asked (RTN_THROW) */
};

/* The way that a datagram to an address takes, as the kernel says when asked. */
struct kwgi_host_path {
	struct kwgi_addr to;
	uint32_t oif;			/* 0: there is no way */
	uint32_t mtu;			/* of the route, or learnt by the kernel; 0: that of the device */
	bool learnt;			/* from a router on the way; it will be forgotten */
	int64_t learnt_at;		/* seconds since the start of the host */
};

struct kwgi_host_rule {
	struct kwgi_prefix src, dst;	/* family NONE: all */
	uint8_t family;
	char iif[KWGI_IFNAME_MAX + 1];	/* "": any */
	uint32_t fwmark, mask;		/* of a packet's mark; mask 0: any */
	bool invert;			/* what does not match */
	uint32_t suppress;		/* routes of this prefix length less 1, and shorter, do not count; 0: all do */
	uint32_t table, priority;
	uint8_t protocol;
};

struct kwgi_host_peer {
	struct kwgi_key key, psk;
	struct kwgi_endpoint endpoint;	/* port 0: none; never a name */
	uint32_t keepalive;
	int64_t last_handshake;		/* seconds since 1970; 0: never */
	uint64_t rx_bytes, tx_bytes;
	struct kwgi_prefix *allowed_ips;	/* in the order of prefix_cmp */
	uint32_t n_allowed_ips, allowed_cap;
};

/*
 * A table of nf_tables in the form in which it is sent: messages of nfnetlink
 * without what the kernel adds. The digest of what was sent stands in the
 * mark, and the kernel numbers the objects of a table as they come, so that a
 * change by anyone else shows in the counts.
 */
struct kwgi_nft_shape {
	uint32_t sets, chains, rules, elements;
	uint64_t last_handle;		/* the highest number given to a set, chain or rule */
	uint64_t sum;			/* over the elements, whatever their order */
	bool altered;			/* asleep, or a chain that drops */
};

enum { KWGI_NFT_NAME_MAX = 256, KWGI_NFT_MARK_MAX = 160 };

struct kwgi_nft_table {
	char name[KWGI_NFT_NAME_MAX];
	char mark[KWGI_NFT_MARK_MAX];	/* its comment; "": not ours */
	struct kwgi_nft_shape shape;
	const void *messages;
	size_t size;			/* bytes of messages */
};

/* A chain at the forward hook that drops what it does not accept. No accept elsewhere overrules it. */
struct kwgi_drop {
	char chain[KWGI_NFT_NAME_MAX];	/* "FAMILY TABLE CHAIN" */
	uint8_t family;			/* enum kwgi_family; NONE: of both */
	bool iptables;			/* FORWARD of iptables ... */
	bool legacy;			/* ... of that which is not nf_tables underneath */
	bool by_rule;			/* its last rule does, not its policy */
};

/* What a thread of kilowg-userspace has done since it was started; others do not tell. */
struct kwgi_host_worker {
	struct { uint64_t packets, bytes, dropped; } received, sent;
};

/* A WireGuard device, of the kernel or behind a UAPI socket. */
struct kwgi_host_wg {
	bool present;
	bool userspace;			/* configured over a UAPI socket */
	const char *implementation;	/* "kernel", "wireguard-go", "boringtun", ... */
	struct kwgi_key private_key;	/* all zero: none, or kept back by the daemon */
	struct kwgi_key public_key;	/* all zero: no private key set */
	uint16_t port;
	uint32_t fwmark;
	struct kwgi_host_peer *peers;	/* sorted by key */
	uint32_t n_peers, peers_cap;
	struct kwgi_host_worker *workers;
	uint32_t n_workers, workers_cap;
};

/*
 * Return path checks of IPv4: is a packet dropped if the host would not answer by the link that it
 * came over? That is asked without its mark, unless valid_mark.
 */
struct kwgi_checks {
	bool strict;			/* on any link but ours */
	bool valid_mark;		/* net.ipv4.conf.all.src_valid_mark */
	bool read_only;			/* and we cannot change it */
};

/* Whose marks are ours. */
struct kwgi_owner {
	const char *mesh;
	const char *const *former;	/* names that the same file gave it before */
	uint32_t n_former;
};

enum { KWGI_MAKING_MAX = 32, KWGI_CHAINS_MAX = 8, KWGI_SET_MAX = 16 };

/*
 * What is noted before anything is changed, and holds until all is done (host/journal.h): numbers
 * that routes and rules of ours may have, links that are ours although they have no mark yet, and
 * chains (bits of kwgi_ipt_base()) in which no rule of ours may be left that would say so.
 */
struct kwgi_journal {
	bool exists;
	bool protocols[256];
	char making[KWGI_MAKING_MAX][KWGI_IFNAME_MAX + 1];
	uint32_t n_making;
	/* Interfaces whose chains of iptables are ours, also if no jump with a mark leads to them. */
	char chains[KWGI_CHAINS_MAX][KWGI_IFNAME_MAX + 1];
	uint32_t n_chains;
	uint16_t bases[2];	/* v4, v6: built-in chains that iptables-nft made for us, and left empty */
	/* Addresses that we set: on the interface of somebody else that is all that says so. */
	struct kwgi_prefix set[KWGI_SET_MAX];
	uint32_t n_set;
	bool valid_mark;	/* src_valid_mark was set by us */
	char node[KWGI_NAME_MAX + 1];	/* which of them this host is; "": nobody knows */
	uint32_t nodes;		/* that take part, of what was applied last; 0: nobody knows */
	/* Where the mesh of this name was described last. */
	char origins[KWGI_ORIGINS][KWGI_ORIGIN_TEXT];
};

/* A route of somebody else, and the kernel's message about it, to make it again from. */
struct kwgi_other_route {
	struct kwgi_host_route route;
	uint32_t before;		/* the first of our routes that the kernel has behind it */
	const void *message;		/* struct nlmsghdr and what follows */
	size_t size;
};

/* The WireGuard device of an interface that is not the wanted one. */
struct kwgi_old_device {
	char ifname[KWGI_IFNAME_MAX + 1];
	struct kwgi_host_wg wg;
};

struct kwgi_host {
	struct kwgi_arena arena;
	/* Destinations that the plan has routes to: routes of others to them are looked at, too. */
	struct kwgi_prefixset interest;
	struct kwgi_owner owner;
	struct kwgi_journal journal;	/* of the mesh, under all its names; with what marks say */
	struct kwgi_journal own_journal;	/* under the name that it has now, as the file says */
	uint8_t protocol;		/* routes and rules with it are in here as well, whosever they are */
	struct kwgi_link *links;	/* all links of the namespace */
	uint32_t n_links, links_cap;
	struct kwgi_host_addr *addrs;	/* all addresses of the namespace */
	uint32_t n_addrs, addrs_cap;
	struct kwgi_host_neigh *neighs;	/* static ones, of tunnels of kilowg only */
	uint32_t n_neighs, neighs_cap;
	struct kwgi_host_route *routes;	/* with these protocol numbers only */
	uint32_t n_routes, routes_cap;
	struct kwgi_host_route *closed;	/* with these numbers as well: those that lead nowhere */
	uint32_t n_closed, closed_cap;
	struct kwgi_other_route *others;	/* to destinations of interest, or through links of ours */
	uint32_t n_others, others_cap;
	struct kwgi_host_rule *rules;	/* as the routes */
	uint32_t n_rules, rules_cap;
	struct kwgi_host_rule *other_rules;	/* of somebody else, in the kernel's order; for each family */
	uint32_t n_other_rules, other_rules_cap;
	struct kwgi_checks checks;
	struct kwgi_host_path *paths;	/* those that were asked for, by address */
	uint32_t n_paths, paths_cap;
	struct kwgi_nft_table *tables;	/* inet tables called kilowg-... */
	uint32_t n_tables, tables_cap;
	bool no_nftables;		/* the kernel has none ... */
	bool nft_denied;		/* ... or does not let us see it */
	struct kwgi_ipt_rules *iptables;	/* chains called kilowg-..., and jumps to them */
	uint32_t n_iptables, iptables_cap;
	bool nft_iptables;		/* nf_tables has such chains: iptables-nft made them */
	uint16_t nft_bases[2];		/* its built-in chains there, as kwgi_ipt_base(): IPv4, IPv6 */
	bool iptables_unseen;		/* there may be some, but no program that shows them */
	struct kwgi_drop *drops;	/* of others */
	uint32_t n_drops, drops_cap;
	/* A chain of others that looks at reverse paths, IPv4 and IPv6; "": none. No policy rule for what
	 * comes out of WireGuard counts for it, as it counts for rp_filter. */
	char path_filter[2][256];
	struct kwgi_host_wg wg;		/* of the interface that was asked for */
	/* Of other interfaces with our mark that stay: those that are given back. */
	struct kwgi_old_device *old_devices;
	uint32_t n_old_devices, old_devices_cap;
	struct kwgi_host_wg aside_wg;	/* of the link with aside */
};

/* Are routes and rules of this protocol ours, of now or from before? 0 is nobody's. */
bool kwgi_host_is_our_protocol(const struct kwgi_host *h, uint8_t protocol);
/* Was it being made when kilowg was killed, so that it is ours without a mark? */
bool kwgi_host_is_unfinished(const struct kwgi_host *h, const struct kwgi_link *l);
/* Of the kinds that encapsulate within a location, not WireGuard. */
bool kwgi_link_is_tunnel(const struct kwgi_link *l);
/* The link of that name; kwgi_host_link(): unless it has to make room. */
const struct kwgi_link *kwgi_host_link_named(const struct kwgi_host *h, const char *name);
const struct kwgi_link *kwgi_host_link(const struct kwgi_host *h, const char *name);
const struct kwgi_link *kwgi_host_link_by_index(const struct kwgi_host *h, uint32_t index);
/* The link that holds this address, or NULL. */
const struct kwgi_link *kwgi_host_link_with_addr(const struct kwgi_host *h,
						 const struct kwgi_addr *a);
/* The device of an interface that is not the wanted one; NULL: it was not looked at. */
const struct kwgi_host_wg *kwgi_host_old_device(const struct kwgi_host *h, const char *ifname);
/* Of a device's peers; NULL if it has no such one. */
const struct kwgi_host_peer *kwgi_host_peer(const struct kwgi_host_wg *wg,
					    const struct kwgi_key *key);
/* By what makes them one: table, metric, type of service and destination. */
int kwgi_host_route_cmp(const struct kwgi_host_route *a, const struct kwgi_host_route *b);
/* Is any of its networks closed, so that packets for it are refused? */
bool kwgi_host_is_closed(const struct kwgi_host *h);
/*
 * Routes of others with the table, metric and destination of r, which is h->routes[i] or not there:
 * of several, packets take the first.
 */
enum kwgi_company { KWGI_ALONE, KWGI_IN_FRONT, KWGI_BEHIND };
enum kwgi_company kwgi_host_company(const struct kwgi_host *h, const struct kwgi_host_route *r,
				    uint32_t i);
/* Of two with one destination: do they lead the same way, and are of one protocol? */
bool kwgi_host_same_way(const struct kwgi_host_route *a, const struct kwgi_host_route *b);
/* The number's name in /etc/iproute2/rt_protos, as far as anybody uses it, or NULL. */
const char *kwgi_route_protocol_name(uint8_t protocol);
/* By all but the protocol. */
int kwgi_host_rule_cmp(const struct kwgi_host_rule *a, const struct kwgi_host_rule *b);
void kwgi_host_free(struct kwgi_host *h);

#endif
