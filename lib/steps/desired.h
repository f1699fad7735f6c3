/* SPDX-License-Identifier: ISC */
/*
 * A plan in the kernel's terms: roles have become devices, names of peers
 * addresses, files keys. It is what a host is compared with.
 */
#ifndef KWGI_DESIRED_H
#define KWGI_DESIRED_H

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
	struct kwgi_prefix addr;	/* family NONE: no address */
	struct kwgi_prefix subnet;	/* addresses in it are ours */
	struct kwgi_desired_tunnel tunnel;
	struct kwgi_wg_device_conf wg;
	struct kwgi_key public_key;
	struct kwgi_desired_peer *peers;	/* sorted by key */
	uint32_t n_peers;
	struct kwgi_desired_route *routes;
	uint32_t n_routes;
	struct kwgi_host_route *closed;	/* see snapshot.h */
	uint32_t n_closed;
	bool closed_only;		/* make these, and leave all else as it is */
	bool keep_closed;		/* down: leave those that there are */
	struct kwgi_host_rule *rules;
	uint32_t n_rules;
	const struct kwgi_cni_file *cni;	/* NULL: not ours to write */
	const struct kwgi_nft_table *table;	/* NULL: no firewall of nftables */
	const struct kwgi_ipt_rules *iptables;	/* of each family; none: no firewall of iptables */
	uint32_t n_iptables;
};

/* What only the outside knows: the answers that the plan lacks. */
struct kwgi_resolved {
	struct kwgi_key private_key;
	const struct kwgi_key *psks;		/* of plan->peers, all zero for none */
	const struct kwgi_endpoint *endpoints;	/* of those with a name; port 0: unknown */
};

enum { KWGI_RULE_PRIORITY = 32765 };	/* just before the main table's rule */

/* The peers only: into w, which is empty but for its public key. 0 or -1. */
int kwgi_desired_peers(struct kwgi_desired *w, const struct kwg_plan *plan,
		      const struct kwgi_resolved *facts);
/* w is empty; facts are copied. 0, KWG_ERR_KERNEL (a device is missing) or KWG_ERR_NOMEM. */
int kwgi_desired_build(struct kwgi_desired *w, const struct kwg_plan *plan,
		      const struct kwgi_host *h, const struct kwgi_resolved *facts,
		      struct kwg_error *err);
/* The closed routes of the plan, and nothing else is to be changed. 0 or KWG_ERR_NOMEM. */
int kwgi_desired_closed(struct kwgi_desired *w, const struct kwg_plan *plan, struct kwg_error *err);
/* Nothing of this mesh. */
void kwgi_desired_nothing(struct kwgi_desired *w, const struct kwg_config *cfg);
void kwgi_desired_free(struct kwgi_desired *w);

#endif
