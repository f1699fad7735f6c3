/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A plan in the kernel's terms: roles have become devices, names of peers
 * addresses, files keys. It is what a host is compared with.
 */
#ifndef KWGI_DESIRED_H
#define KWGI_DESIRED_H

#include "steps/default.h"
#include "steps/desired_tunnel.h"
#include "steps/snapshot.h"
#include "steps/step.h"

struct kwgi_desired_peer {
	const char *name;
	bool keep_endpoint;		/* WireGuard may have learnt a better one */
	struct kwgi_host_peer peer;
};

struct kwgi_desired_route {
	const char *link;		/* the route's oif is 0 until this device exists */
	struct kwgi_host_route route;
	bool plain;			/* over the private network, to a node of the location */
};

/* The CNI configuration of the pods of this node, before and after. */
struct kwgi_cni_file {
	const char *path;
	char *text, *old;		/* NULL: stays as it is; there is none yet */
	size_t len, old_len;
	char *networks;			/* of the pods, for people */
};

struct kwgi_desired {
	struct kwgi_arena arena;
	const char *mesh;
	const char *node;		/* this one; NULL: none (down) */
	uint32_t n_nodes;		/* of the mesh that take part */
	int64_t now;			/* seconds since 1970: which sessions work */
	uint8_t protocol;
	const char *ifname;		/* NULL: no interface at all (down) */
	char alias[KWGI_ALIAS_MAX];	/* our mark on it */
	bool create;			/* make the interface if it is not there */
	bool userspace;			/* by starting program, else in the kernel */
	const char *program;
	bool keep_link;			/* down: leave the interface that we made */
	bool up;
	uint32_t mtu;			/* 0: leave what it has */
	uint32_t path_mtu;		/* what passes to every peer; for pods. See mtu.h */
	const char *mtu_note;		/* NULL, or why it is that */
	const char *mtu_warning;	/* NULL: all is well */
	struct kwgi_addr behind, gateway;	/* a node of the location to which a gateway leads; family NONE: none */
	struct kwgi_prefix addr;	/* family NONE: no address */
	struct kwgi_prefix subnet;	/* addresses in it are ours */
	struct kwgi_desired_tunnel tunnel;
	struct kwgi_wg_device_conf wg;
	struct kwgi_key public_key;
	struct kwgi_desired_peer *peers;	/* sorted by key */
	uint32_t n_peers;
	struct kwgi_desired_route *routes;
	uint32_t n_routes;
	bool no_internal_ip;		/* no link has it, so routes that need it are not there: ... */
	uint32_t n_without_internal_ip;	/* ... this many */
	struct kwgi_host_route *closed;	/* see snapshot.h */
	uint32_t n_closed;
	bool closed_only;		/* make these, and leave all else as it is */
	bool keep_closed;		/* down: leave those that there are */
	struct kwgi_host_rule *rules;
	uint32_t n_rules;
	struct kwgi_default default_way;	/* that of 0.0.0.0/0 and ::/0 */
	const struct kwgi_cni_file *cni;	/* NULL: not ours to write */
	const struct kwgi_nft_table *table;	/* NULL: no firewall of nftables */
	const struct kwgi_ipt_rules *iptables;	/* of each family; none: no firewall of iptables */
	uint32_t n_iptables;
};

/* What only the outside knows: the answers that the plan lacks. */
struct kwgi_resolved {
	struct kwgi_key private_key;		/* all zero: it could not be read; for looking only */
	const struct kwgi_key *psks;		/* of plan->peers, all zero for none */
	const struct kwgi_endpoint *endpoints;	/* of those with a name; port 0: unknown */
};

/* What 0 is for the kernel with IPv6 (linux/ipv6_route.h, IP6_RT_PRIO_USER); in snapshots it is 0. */
enum { KWGI_METRIC6_DEFAULT = 1024 };

/* The peers only: into w, which is empty but for its public key. 0 or -1. */
int kwgi_desired_peers(struct kwgi_desired *w, const struct kwg_plan *plan,
		      const struct kwgi_resolved *facts);
/*
 * w is empty; facts are copied. 0, KWG_ERR_KERNEL (a device of another CNI is missing),
 * KWG_ERR_CONFIG or KWG_ERR_NOMEM.
 */
int kwgi_desired_build(struct kwgi_desired *w, const struct kwg_plan *plan,
		      const struct kwgi_host *h, const struct kwgi_resolved *facts,
		      struct kwg_error *err);
/* The metric of a route of the mesh. */
uint32_t kwgi_desired_metric(const struct kwgi_local *local, uint8_t family);
/*
 * The private address may be one of a network that is behind a gateway, or stand on the loopback
 * interface: then nobody answers for neighbours on its interface. The next that has to be asked
 * for, and to be told the way to; NULL: no more. *i is 0 before the first.
 */
const struct kwgi_addr *kwgi_desired_next_neighbour(const struct kwgi_desired *w,
						    const struct kwgi_host *h, uint32_t *i);
void kwgi_desired_set_way(struct kwgi_desired *w, const struct kwgi_host *h,
			  const struct kwgi_addr *to, const struct kwgi_host_route *way);
/* The closed routes of the plan, and nothing else is to be changed. 0 or KWG_ERR_NOMEM. */
int kwgi_desired_closed(struct kwgi_desired *w, const struct kwg_plan *plan, struct kwg_error *err);
/* Nothing of this mesh. */
void kwgi_desired_nothing(struct kwgi_desired *w, const struct kwg_config *cfg);
void kwgi_desired_free(struct kwgi_desired *w);

#endif
