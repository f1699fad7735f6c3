/* SPDX-License-Identifier: ISC */
/*
 * A plan in the kernel's terms: roles have become devices, names of peers
 * addresses, files keys. It is what a host is compared with.
 */
#ifndef KWGI_WANTED_H
#define KWGI_WANTED_H

#include "steps/snapshot.h"
#include "steps/step.h"

struct kwgi_wanted_peer {
	const char *name;
	bool keep_endpoint;		/* WireGuard may have learnt a better one */
	struct kwgi_host_peer peer;
};

struct kwgi_wanted_route {
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

/* The encapsulating tunnel within the location. */
struct kwgi_wanted_tunnel {
	char name[KWGI_IFNAME_MAX + 1];	/* "": there is none */
	const char *kind;		/* "ipip", "vxlan"; NULL: others make it */
	bool set_up;			/* that of others may be down */
	char alias[KWGI_ALIAS_MAX];
	struct kwgi_tunnel conf;
	uint32_t mtu;
	struct kwgi_prefix addr;	/* family NONE: none */
	struct kwgi_host_neigh *neighs;	/* in the order of kwgi_neigh_cmp; without ifindex */
	uint32_t n_neighs;
};

struct kwgi_wanted {
	struct kwgi_arena arena;
	const char *mesh;
	uint8_t protocol;
	const char *ifname;		/* NULL: no interface at all (down) */
	const char *old_ifname;		/* down: the one whose device was observed */
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
	struct kwgi_wanted_tunnel tunnel;
	struct kwgi_wg_device_conf wg;
	struct kwgi_key public_key;
	struct kwgi_wanted_peer *peers;	/* sorted by key */
	uint32_t n_peers;
	struct kwgi_wanted_route *routes;
	uint32_t n_routes;
	struct kwgi_host_rule *rules;
	uint32_t n_rules;
	const struct kwgi_cni_file *cni;	/* NULL: not ours to write */
	const struct kwgi_nft_table *table;	/* NULL: no firewall of nftables */
	const struct kwgi_ipt_rules *iptables;	/* of each family; none: no firewall of iptables */
	uint32_t n_iptables;
};

/* What only the outside knows: the answers that the plan lacks. */
struct kwgi_facts {
	struct kwgi_key private_key;
	const struct kwgi_key *psks;		/* of plan->peers, all zero for none */
	const struct kwgi_endpoint *endpoints;	/* of those with a name; port 0: unknown */
};

enum { KWGI_RULE_PRIORITY = 32765 };	/* just before the main table's rule */

/*
 * Our mark: "kilowg mesh=NAME protocol=N port=N", and " adopted" for a link
 * somebody else made.
 */
void kwgi_mark_format(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol, uint32_t port,
		      bool adopted);
/*
 * That of a link somebody else made, which had another MTU before: with " mtu=N"
 * in front of " adopted", so that it gets it back. mtu 0: it had the same.
 */
void kwgi_mark_adopted(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol, uint32_t port,
		       uint32_t mtu);
/* Does an alias carry the mark of this mesh? */
bool kwgi_mark_is_ours(const char *alias, const char *mesh);
bool kwgi_mark_is_adopted(const char *alias);
/* The mark of a tunnel, of whichever mesh: "kilowg mesh=NAME protocol=N tunnel". */
void kwgi_mark_tunnel(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol);
bool kwgi_mark_is_tunnel(const char *alias);
/*
 * The kernel takes no alias when it makes a link (net/core/rtnetlink.c,
 * rtnl_create_link), so a link is made under this name, and marked and renamed
 * in one request. One that a crash left under it is known by the name.
 */
void kwgi_mark_unfinished_name(char out[KWGI_IFNAME_MAX + 1], const char *ifname);
/* The same for the tunnel of the mesh that has the WireGuard interface ifname. */
void kwgi_mark_unfinished_tunnel(char out[KWGI_IFNAME_MAX + 1], const char *ifname);
/* What a link is called while another one takes its name. */
void kwgi_mark_aside_name(char out[KWGI_IFNAME_MAX + 1], const char *ifname);
/* A number after "WORD=" in a mark; 0 if there is none. */
uint32_t kwgi_mark_number(const char *alias, const char *word);
/* Is it the mark of another mesh of kilowg? */
bool kwgi_mark_is_rival(const char *alias, const char *mesh);

/*
 * The mark of a table: "kilowg mesh=NAME protocol=N digest=...", digest being
 * that of its messages.
 */
void kwgi_mark_table(char out[KWGI_NFT_MARK_MAX], const char *mesh, uint8_t protocol,
		     const char *digest);

/* The peers only: into w, which is empty but for its public key. 0 or -1. */
int kwgi_wanted_peers(struct kwgi_wanted *w, const struct kwg_plan *plan,
		      const struct kwgi_facts *facts);
/*
 * wanted_tunnel.c: fills w->tunnel. KWG_ERR_KERNEL if a link is missing,
 * KWG_ERR_CONFIG if this tunnel cannot carry what it has to, KWG_ERR_NOMEM.
 */
int kwgi_wanted_tunnel(struct kwgi_wanted *w, const struct kwg_plan *plan,
		       const struct kwgi_host *h, struct kwg_error *err);
/*
 * Name of the device that others have to make for this plan, or NULL. h may
 * be NULL; cilium's is wanted only where it is there.
 */
const char *kwgi_wanted_foreign_tunnel(const struct kwg_plan *plan, const struct kwgi_host *h);
/* The link that has the node's address, or else an error that says which is missing. */
int kwgi_wanted_link_of(const struct kwgi_link **out, const struct kwg_plan *plan,
			const struct kwgi_host *h, const struct kwgi_addr *a, const char *key,
			struct kwg_error *err);
/* By kind, then by what they are found by: MAC address or address. */
int kwgi_neigh_cmp(const struct kwgi_host_neigh *a, const struct kwgi_host_neigh *b);

/* w is empty; facts are copied. 0, KWG_ERR_KERNEL (a device is missing) or KWG_ERR_NOMEM. */
int kwgi_wanted_build(struct kwgi_wanted *w, const struct kwg_plan *plan,
		      const struct kwgi_host *h, const struct kwgi_facts *facts,
		      struct kwg_error *err);
/* Nothing of this mesh. */
void kwgi_wanted_nothing(struct kwgi_wanted *w, const struct kwg_config *cfg);
void kwgi_wanted_free(struct kwgi_wanted *w);

/*
 * The steps from h to w; both have to live as long as s. KWG_ERR_KERNEL if
 * something that is not ours stands in the way, KWG_ERR_NOMEM.
 */
int kwgi_steps_diff(struct kwgi_steps *s, const struct kwgi_wanted *w, const struct kwgi_host *h,
		    struct kwg_error *err);
void kwgi_steps_clear(struct kwgi_steps *s);

/* steps_text.c: one line. */
void kwgi_step_format(struct kwgi_buf *b, const struct kwgi_step *s, const struct kwgi_host *h,
		      bool undo);

#endif
