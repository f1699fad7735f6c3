/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The configuration: what all INI files together say, as typed values. Keys
 * are described by one table (config_keys.c), which is also what kilowg.ini(5) is
 * checked against.
 */
#ifndef KWGI_CONFIG_H
#define KWGI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/key.h"
#include "config/diag.h"

enum kwgi_granularity { KWGI_GRANULARITY_LOCATION, KWGI_GRANULARITY_FULL };
enum kwgi_encapsulation { KWGI_ENCAP_ALWAYS, KWGI_ENCAP_CROSS_SUBNET, KWGI_ENCAP_NEVER };
enum kwgi_encap_protocol { KWGI_ENCAP_IPIP, KWGI_ENCAP_VXLAN };
enum kwgi_compatibility { KWGI_COMPAT_NONE, KWGI_COMPAT_FLANNEL, KWGI_COMPAT_CILIUM };
enum kwgi_backend {
	KWGI_BACKEND_AUTO, KWGI_BACKEND_KERNEL, KWGI_BACKEND_USERSPACE, KWGI_BACKEND_EXTERNAL
};
enum kwgi_firewall { KWGI_FIREWALL_NFTABLES, KWGI_FIREWALL_IPTABLES, KWGI_FIREWALL_NONE };

enum {
	KWGI_PORT_OF_ENDPOINT = 0,	/* mesh.port: each node's own endpoint says */
	KWGI_DEFAULT_PORT = 51820,	/* what that is for a node without one, as mesh.port's default */
	KWGI_MTU_AUTO = 0,
	KWGI_VXLAN_ID_AUTO = 0,
	KWGI_IFNAME_MAX = 15,
	KWGI_NAME_MAX = 253,
	KWGI_RULE_PRIORITY_MAX = 32765,	/* just before the main table's rule */
	KWGI_RULES_OF_DEFAULT = 2,	/* that come after the others, see steps/desired_rules.c */
};

struct kwgi_cidr {
	struct kwgi_prefix prefix;
	bool left_out;		/* by plan/topology.c: somebody else has it, or an equal one counts for it */
	struct kwgi_place at;
};

struct kwgi_cidrs {
	struct kwgi_cidr *v;
	uint32_t n, cap;
};

/* "KEY host:port": where this node has seen the owner of KEY. */
struct kwgi_discovered {
	struct kwgi_key key;
	struct kwgi_endpoint endpoint;	/* port 0: seen without an address */
};

struct kwgi_discovereds {
	struct kwgi_discovered *v;
	uint32_t n, cap;
};

/* What a node has to have to take part; AUTO: as Kilo has it where any node has pods. */
enum kwgi_requirements { KWGI_REQUIRE_AUTO, KWGI_REQUIRE_KILO, KWGI_REQUIRE_MINIMAL };

enum { KWGI_ORIGIN_TEXT = 17, KWGI_ORIGINS = 2 };

struct kwgi_mesh {
	struct kwgi_place at;		/* line 0: there is no [mesh] */
	uint32_t format;
	struct kwgi_place format_at;
	bool end_marker;		/* the file that says so has to end with [end] */
	uint32_t granularity, encapsulation, encap_protocol, compatibility;
	uint32_t requirements;
	uint32_t vxlan_port, vxlan_id;	/* id 0: from the name, see encap.h */
	struct kwgi_prefix subnet;
	struct kwgi_place subnet_at;
	uint32_t port;
	const char *name;
	struct kwgi_cidrs service_cidrs;
	/* Where packets may go in clear between nodes of one location, though it is not private. */
	struct kwgi_cidrs trusted_networks;
	/* Where [mesh] stands, by which the mesh is known again when it has another name: the file
	 * itself, and the path that was given, which may lead to another file by now. "": none. */
	char origins[KWGI_ORIGINS][KWGI_ORIGIN_TEXT];
};

/* Keys whose value was refused: that they are missing then is no second mistake. */
enum {
	KWGI_REFUSED_NAME = 1 << 0,
	KWGI_REFUSED_KEY = 1 << 1,
	KWGI_REFUSED_ENDPOINT = 1 << 2,
	KWGI_REFUSED_NETWORKS = 1 << 3,		/* pod-cidr, allowed-ip */
};

struct kwgi_node {
	struct kwgi_place at, key_at, endpoint_at, internal_ip_at;
	const char *name, *location;
	struct kwgi_endpoint endpoint;		/* port 0: none */
	struct kwgi_addr endpoint_address;	/* what a name resolves to, if known */
	struct kwgi_key key;			/* all zero: none */
	struct kwgi_prefix internal_ip;		/* host bits kept; family NONE: none */
	bool internal_ip_off;			/* "-": switched off by the administrator */
	bool leader;
	bool ready;				/* set by kwgi_check(): takes part */
	uint8_t refused;			/* KWGI_REFUSED_*: there, but not accepted */
	uint32_t keepalive;			/* seconds, 0: none */
	struct kwgi_cidrs pod_cidrs, allowed_location_ips;
	struct kwgi_discovereds discovered;
	struct kwgi_prefix cni_ip;		/* in the overlay of another CNI; host bits kept */
};

struct kwgi_peer {
	struct kwgi_place at, key_at, endpoint_at;
	const char *name;
	struct kwgi_key key, psk;		/* psk all zero: none */
	const char *psk_file;
	uint8_t refused;			/* KWGI_REFUSED_* */
	struct kwgi_cidrs allowed_ips;
	struct kwgi_endpoint endpoint;
	struct kwgi_addr endpoint_address;
	uint32_t keepalive;
	struct kwgi_cidrs addresses, dns;	/* of its own interface; host bits kept */
	uint32_t mtu;				/* of that, 0: whatever its program takes */
};

struct kwgi_local {
	struct kwgi_place at, node_at;
	const char *node, *interface, *private_key_file, *cni_path;
	const char *tunnel_interface;		/* NULL: auto, see encap.h */
	struct kwgi_place tunnel_interface_at;
	uint32_t backend, firewall;
	bool create_interface, clean_up_interface, manage_local_routes, forward_rules, cni;
	bool fail_closed;
	uint32_t interface_timeout;		/* seconds */
	uint32_t resolve_timeout;		/* seconds; 0: do not look up */
	uint32_t port;				/* 0: that of the mesh */
	uint32_t mtu;				/* 0: auto */
	uint32_t route_table, route_protocol, route_metric, fwmark;
	struct kwgi_cidrs allow_cover;
	uint32_t rule_priority;			/* of the last policy rule */
	bool default_route;			/* take 0.0.0.0/0 and ::/0 of others, in default_table */
	uint32_t default_table;
	struct kwgi_place rule_priority_at, default_route_at, default_table_at;	/* line 0: not given */
	uint32_t max_shrink;			/* per cent of the nodes that may go at once */
	struct kwgi_key private_key;		/* instead of that in the file; all zero: none */
};

/* A text that was added, as it was. */
struct kwgi_config_text {
	const char *name, *text;
	size_t len;
};

struct kwgi_topology;
struct kwgi_entry;

enum { KWGI_SECTION_KEYS = 32 };		/* at most, of any section */

struct kwg_config {
	struct kwgi_arena arena;
	struct kwgi_diags diags;
	struct kwgi_mesh mesh;
	struct kwgi_local local;
	struct kwgi_place local_seen[KWGI_SECTION_KEYS]; /* where each key of [local] is set */
	struct kwgi_node *nodes;		/* in the order of the files */
	uint32_t n_nodes, nodes_cap;
	struct kwgi_peer *peers;
	uint32_t n_peers, peers_cap;
	struct kwgi_topology *topology;		/* set by kwg_config_finish() */
	struct kwgi_config_text *texts;		/* for the history */
	uint32_t n_texts, texts_cap;
	const char *interface_option;		/* that kwg_config_set_local() was given, or NULL */
	const struct kwgi_entry *restored;	/* plan/entry.h; it was applied before; else NULL */
	bool finished;
	bool unended;		/* the last text ends within a line, and not with [end] */
	/* Names of the first file that seems to be cut off, and of the first that is empty; or NULL. */
	const char *cut_off, *empty;
};

/* What a [local] key gets when no file sets it; also used by tests. */
int kwgi_config_init(struct kwg_config *cfg);
int kwgi_config_add_text(struct kwg_config *cfg, const char *name, const char *text, size_t len);
/* 0, KWG_ERR_NOMEM, or KWG_ERR_USAGE with the reason in *why (valid as long as cfg). */
int kwgi_config_set_local(struct kwg_config *cfg, const char *key, const char *value,
			  const char **why);
/* "section key repeatable type default" lines of all keys. */
void kwgi_config_keys(struct kwgi_buf *b);

/* Reports what is missing or clashes. Errors and warnings go to cfg->diags. */
void kwgi_check(struct kwg_config *cfg);

/* It is part of names of files, and of marks. */
bool kwgi_mesh_name_is_valid(const char *v);
/* Does it have all that is asked of a node or peer that takes part? Of nodes kwgi_check() finds it out. */
bool kwgi_node_is_ready(const struct kwgi_node *n);
/* Is all of it asked for that Kilo asks for? */
bool kwgi_mesh_is_strict(const struct kwg_config *cfg);
/* What is asked of a node, in words, and of that what lets others and it find each other. */
const char *kwgi_mesh_requires(bool strict);
const char *kwgi_mesh_requires_way(bool strict);
/* Has it that? One that others cannot call has to call them, and to keep the way open. */
bool kwgi_node_has_way(const struct kwgi_node *n, bool strict);
bool kwgi_peer_is_ready(const struct kwgi_peer *p);

/* The word that stands for a value of an enum in files. */
const char *kwgi_granularity_name(uint32_t v);
const char *kwgi_encapsulation_name(uint32_t v);
const char *kwgi_encap_protocol_name(uint32_t v);
const char *kwgi_compatibility_name(uint32_t v);
const char *kwgi_requirements_name(uint32_t v);
const char *kwgi_backend_name(uint32_t v);
const char *kwgi_firewall_name(uint32_t v);

void kwgi_config_json(const struct kwg_config *cfg, struct kwgi_buf *b);
struct kwgi_json;
void kwgi_json_cidrs(struct kwgi_json *j, const char *key, const struct kwgi_cidrs *list);

#endif
