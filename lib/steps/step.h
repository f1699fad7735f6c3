/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Steps: the difference between a plan and a host, as an ordered list of
 * plain changes. Each carries what it sets and what was there before, so that
 * it can be printed, carried out and undone by anyone. Made here, without any
 * system call; carried out by lib/host/apply.c.
 *
 * Order is make before break: links, WireGuard, addresses, link up, rules and
 * routes come first; then what is no longer wanted goes.
 */
#ifndef KWGI_STEP_H
#define KWGI_STEP_H

#include "steps/snapshot.h"

enum kwgi_step_kind {
	KWGI_STEP_LINK_WAIT,	/* somebody else has to make the link */
	KWGI_STEP_LINK_ADD,	/* make a WireGuard link or a tunnel with our mark */
	KWGI_STEP_LINK_DAEMON,	/* start a userspace WireGuard that makes it; label: the program */
	KWGI_STEP_LINK_DEL,	/* label: the name that its daemon goes by, if another */
	KWGI_STEP_LINK_NAME,	/* out of the way of the one that takes its place */
	KWGI_STEP_LINK_ALIAS,	/* set our mark, or take it away */
	KWGI_STEP_LINK_MTU,
	KWGI_STEP_LINK_UP,
	KWGI_STEP_LINK_DOWN,
	KWGI_STEP_WG_DEVICE,	/* private key, port, fwmark */
	KWGI_STEP_PEER_SET,	/* add or change a peer */
	KWGI_STEP_PEER_DEL,
	KWGI_STEP_ADDR_ADD,
	KWGI_STEP_ADDR_DEL,
	KWGI_STEP_NEIGH_SET,	/* add or change a static neighbour of a tunnel */
	KWGI_STEP_NEIGH_DEL,
	KWGI_STEP_RULE_ADD,
	KWGI_STEP_RULE_DEL,
	KWGI_STEP_ROUTE_ADD,
	KWGI_STEP_ROUTE_CHANGE,	/* same destination, other way */
	KWGI_STEP_ROUTE_DEL,
	KWGI_STEP_ROUTE_AGAIN,	/* of somebody else, that the kernel takes along with what goes */
	KWGI_STEP_FIREWALL,	/* make, replace or delete a table of ours */
	KWGI_STEP_CNI,		/* write the CNI configuration of the pods */
	KWGI_STEP_IPTABLES,	/* the same with chains of iptables, in one family */
	KWGI_STEP_VALID_MARK,	/* net.ipv4.conf.all.src_valid_mark, see steps/default.h */
};

/* Which parts of a WireGuard device or peer a step sets. */
enum {
	KWGI_WG_PRIVATE_KEY = 1 << 0,
	KWGI_WG_PORT = 1 << 1,
	KWGI_WG_FWMARK = 1 << 2,
	KWGI_WG_ENDPOINT = 1 << 3,
	KWGI_WG_KEEPALIVE = 1 << 4,
	KWGI_WG_PSK = 1 << 5,
	KWGI_WG_ALLOWED_ADD = 1 << 6,	/* allowed IPs are only added to */
	KWGI_WG_ALLOWED_REPLACE = 1 << 7,	/* the list replaces what is there */
};

struct kwgi_wg_device_conf {
	struct kwgi_key private_key;	/* all zero: none (removes it) */
	uint16_t port;
	uint32_t fwmark;
};

struct kwgi_step {
	uint8_t kind;				/* enum kwgi_step_kind */
	uint32_t parts;				/* KWGI_WG_*, for WG_DEVICE and PEER_SET */
	const char *link;			/* name of the device, for all but routes and rules */
	/*
	 * For WG_DEVICE, LINK_UP and PEER_*: there is a daemon behind the device that has this name at this
	 * point, or after it when undoing. While backends change, a name stands for one after the other.
	 */
	bool userspace;
	const char *label;			/* name of a peer for people */
	/* What it sets, and what was there before (NULL or zero: nothing). */
	union {
		struct {
			const char *alias, *old_alias, *kind;
			/* Of LINK_ADD what is made, of LINK_DEL what was there; NULL: no tunnel. */
			const struct kwgi_tunnel *tunnel;
			uint32_t mtu;	/* of a tunnel */
		} link_alias;
		struct { uint32_t mtu, old_mtu; } link_mtu;
		struct { const char *name; } link_name;
		struct { struct kwgi_wg_device_conf conf, old; } wg;	/* of LINK_UP: the port only */
		struct {
			const struct kwgi_host_peer *peer, *old;
			/* Others that lose allowed IPs to this one, and get them back by undoing. */
			const struct kwgi_host_peer **victims;
			uint32_t n_victims, victims_cap;
		} peer;
		struct { struct kwgi_prefix prefix; struct kwgi_addr peer; } addr;
		/* old.addr of family NONE: nothing */
		struct { struct kwgi_host_neigh neigh, old; } neigh;
		/* beside: one that differs in the protocol only is there, and goes later. */
		struct { struct kwgi_host_rule rule; bool beside; } rule;
		/*
		 * old_link: name of the device of a changed route, which may be made anew by undoing.
		 * company: routes of others with the same destination and metric; one that has gone
		 * and comes again has its place among them.
		 */
		struct {
			struct kwgi_host_route route, old;
			const char *old_link;
			uint8_t company;	/* enum kwgi_company */
		} route;
		struct { const struct kwgi_other_route *other; } again;
		struct { const struct kwgi_nft_table *table, *old; } firewall;
		struct { const struct kwgi_cni_file *file; } cni;
		struct { const struct kwgi_ipt_rules *rules, *old; } iptables;
		struct { bool set; } valid_mark;
	} u;
};

/* A WireGuard device that was deleted would come back without its keys and peers. */
static inline bool kwgi_step_is_final(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_LINK_DEL && !s->u.link_alias.tunnel;
}

struct kwgi_steps {
	struct kwgi_arena arena;
	const struct kwgi_host *host;
	struct kwgi_step *v;
	uint32_t n, cap;
	struct kwgi_diags diags;	/* remarks for people */
};

#endif
