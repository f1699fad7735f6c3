/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/utf8.h"
#include "config/config_keys.h"

/* ---- values ---------------------------------------------------------- */

static int choose(uint32_t *out, const char *v, const char *const *words, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (!strcmp(v, words[i])) {
			*out = i;
			return 0;
		}
	}
	return -1;
}

/* A setter and a name function for an enum whose values are the words' indices. */
#define DEFINE_ENUM(name, ...)						\
static const char *const name##_words[] = { __VA_ARGS__ };		\
									\
const char *kwgi_##name##_name(uint32_t v)				\
{									\
	return name##_words[v];						\
}									\
									\
static int set_##name(struct kwgi_parse *p, void *field, const char *v)	\
{									\
	(void)p;							\
	return choose(field, v, name##_words,				\
		      (uint32_t)(sizeof(name##_words) / sizeof(*name##_words))); \
}

DEFINE_ENUM(granularity, "location", "full")
DEFINE_ENUM(encapsulation, "always", "cross-subnet", "never")
DEFINE_ENUM(encap_protocol, "ipip", "vxlan")
DEFINE_ENUM(compatibility, "none", "flannel", "cilium")
DEFINE_ENUM(requirements, "auto", "kilo", "minimal")
DEFINE_ENUM(backend, "auto", "kernel", "userspace", "external")
DEFINE_ENUM(firewall, "nftables", "iptables", "none")

static int set_bool(struct kwgi_parse *p, void *field, const char *v)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };
	uint32_t i;

	(void)p;
	if (choose(&i, v, words, 6))
		return -1;
	*(bool *)field = i & 1;
	return 0;
}

/* A wish for [end] that was taken back is none. */
static int set_end_marker(struct kwgi_parse *p, void *field, const char *v)
{
	if (set_bool(p, field, v))
		return -1;
	p->marker_at = *(bool *)field ? p->at : (struct kwgi_place){ 0 };
	return 0;
}

static int set_number(void *field, const char *v, uint64_t min, uint64_t max)
{
	uint64_t n;

	if (kwgi_num_parse(&n, v, max) || n < min)
		return -1;
	*(uint32_t *)field = (uint32_t)n;
	return 0;
}

static int set_format(struct kwgi_parse *p, void *field, const char *v)
{
	(void)p;
	return set_number(field, v, KWG_FILE_FORMAT, KWG_FILE_FORMAT);
}

static int set_port(struct kwgi_parse *p, void *field, const char *v)
{
	(void)p;
	return set_number(field, v, 1, 65535);
}

static int set_percent(struct kwgi_parse *p, void *field, const char *v)
{
	(void)p;
	return set_number(field, v, 0, 100);
}

static int set_mesh_port(struct kwgi_parse *p, void *field, const char *v)
{
	if (strcmp(v, "endpoint"))
		return set_port(p, field, v);
	*(uint32_t *)field = KWGI_PORT_OF_ENDPOINT;
	return 0;
}

static int set_mtu(struct kwgi_parse *p, void *field, const char *v)
{
	(void)p;
	if (strcmp(v, "auto"))
		return set_number(field, v, 1280, 65455);
	*(uint32_t *)field = KWGI_MTU_AUTO;
	return 0;
}

static int set_vxlan_id(struct kwgi_parse *p, void *field, const char *v)
{
	(void)p;
	if (strcmp(v, "auto"))
		return set_number(field, v, 1, 16777215);
	*(uint32_t *)field = KWGI_VXLAN_ID_AUTO;
	return 0;
}

static int set_u32(struct kwgi_parse *p, void *field, const char *v)
{
	(void)p;
	return set_number(field, v, 0, UINT32_MAX);
}

static int set_table(struct kwgi_parse *p, void *field, const char *v)
{
	uint32_t n;

	(void)p;
	/* 253 to 255 are default, main and local. */
	if (set_number(&n, v, 1, UINT32_MAX) || (n >= 253 && n <= 255))
		return -1;
	*(uint32_t *)field = n;
	return 0;
}

static int set_rule_priority(struct kwgi_parse *p, void *field, const char *v)
{
	(void)p;
	return set_number(field, v, 0, KWGI_RULE_PRIORITY_MAX);
}

static int set_protocol(struct kwgi_parse *p, void *field, const char *v)
{
	/* Of linux/rtnetlink.h, above those of the kernel and of administrators, 0 to 4. */
	static const uint8_t taken[] = { 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 42, 99, 186, 187,
					 188, 189, 192 };
	uint32_t n;
	size_t i;

	(void)p;
	if (set_number(&n, v, 5, 255))
		return -1;
	for (i = 0; i < sizeof(taken); i++)
		if (n == taken[i])
			return -1;
	*(uint32_t *)field = n;
	return 0;
}

static int set_keepalive(struct kwgi_parse *p, void *field, const char *v)
{
	uint64_t s;

	(void)p;
	if (kwgi_duration_parse(&s, v, 65535))
		return -1;
	*(uint32_t *)field = (uint32_t)s;
	return 0;
}

static int set_timeout(struct kwgi_parse *p, void *field, const char *v)
{
	uint64_t s;

	(void)p;
	if (kwgi_duration_parse(&s, v, 86400))
		return -1;
	*(uint32_t *)field = (uint32_t)s;
	return 0;
}

static int set_resolve_timeout(struct kwgi_parse *p, void *field, const char *v)
{
	uint64_t s;

	(void)p;
	if (kwgi_duration_parse(&s, v, 60))
		return -1;
	*(uint32_t *)field = (uint32_t)s;
	return 0;
}

static int set_text(struct kwgi_parse *p, void *field, const char *v)
{
	char *copy = kwgi_arena_strndup(&p->cfg->arena, v, strlen(v));

	if (!copy)
		p->nomem = true;
	else
		*(const char **)field = copy;
	return 0;
}

static bool is_printable(const char *s)
{
	size_t len;

	while ((len = kwgi_utf8_printable(s)))
		s += len;
	return !*s;
}

/* A name of a node, peer or location: printable, so that it can stand in any output. */
static int set_name(struct kwgi_parse *p, void *field, const char *v)
{
	if (strlen(v) > KWGI_NAME_MAX || !is_printable(v))
		return -1;
	return set_text(p, field, v);
}

static int set_required_name(struct kwgi_parse *p, void *field, const char *v)
{
	return *v ? set_name(p, field, v) : -1;
}

/* The mesh name becomes part of file names and of link aliases. */
bool kwgi_mesh_name_is_valid(const char *v)
{
	return *v && strlen(v) <= 63 && *v != '.' &&
	       strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       strlen(v);
}

static int set_mesh_name(struct kwgi_parse *p, void *field, const char *v)
{
	return kwgi_mesh_name_is_valid(v) ? set_text(p, field, v) : -1;
}

/* As the kernel: net/core/dev.c, dev_valid_name(). */
static int set_interface(struct kwgi_parse *p, void *field, const char *v)
{
	if (!*v || strlen(v) > KWGI_IFNAME_MAX || !strcmp(v, ".") || !strcmp(v, ".."))
		return -1;
	if (strpbrk(v, "/: %") || !is_printable(v))
		return -1;
	return set_text(p, field, v);
}

static int set_tunnel_interface(struct kwgi_parse *p, void *field, const char *v)
{
	if (strcmp(v, "auto"))
		return set_interface(p, field, v);
	*(const char **)field = NULL;
	return 0;
}

static int set_path(struct kwgi_parse *p, void *field, const char *v)
{
	return *v == '/' ? set_text(p, field, v) : -1;
}

static int set_key(struct kwgi_parse *p, void *field, const char *v)
{
	struct kwgi_key k;

	(void)p;
	if (kwgi_key_parse(&k, v) || kwgi_key_is_zero(&k))
		return -1;
	*(struct kwgi_key *)field = k;
	return 0;
}

static int set_address(struct kwgi_parse *p, void *field, const char *v)
{
	(void)p;
	return kwgi_addr_parse(field, v);
}

/* Kilo writes it with a prefix length, mostly /32; a bare address means the same. */
static int set_interface_address(struct kwgi_parse *p, void *field, const char *v)
{
	struct kwgi_addr a;

	if (strchr(v, '/'))
		return kwgi_prefix_parse(field, v);
	if (set_address(p, &a, v))
		return -1;
	*(struct kwgi_prefix *)field = kwgi_prefix_host(&a);
	return 0;
}

static int set_endpoint(struct kwgi_parse *p, void *field, const char *v)
{
	struct kwgi_endpoint e;
	size_t host_len;

	if (kwgi_endpoint_parse(&e, v, &host_len))
		return -1;
	if (host_len) {
		e.host = kwgi_arena_strndup(&p->cfg->arena, v, host_len);
		if (!e.host) {
			p->nomem = true;
			return 0;
		}
	}
	*(struct kwgi_endpoint *)field = e;
	return 0;
}

/* A network; the message for one with host bits says what was probably meant. */
static int set_network(struct kwgi_parse *p, void *field, const char *v)
{
	static const char hint[] = "it has host bits set; write ";
	char text[sizeof(hint) + KWGI_PREFIX_TEXT];
	struct kwgi_prefix prefix, masked;

	if (kwgi_prefix_parse(&prefix, v))
		return -1;
	masked = kwgi_prefix_masked(&prefix);
	if (!kwgi_prefix_equal(&prefix, &masked)) {
		memcpy(text, hint, sizeof(hint));
		kwgi_prefix_format(text + sizeof(hint) - 1, &masked);
		p->accepts = kwgi_arena_strndup(&p->cfg->arena, text, strlen(text));
		return -1;
	}
	*(struct kwgi_prefix *)field = prefix;
	return 0;
}

static int set_internal_ip(struct kwgi_parse *p, void *field, const char *v)
{
	struct kwgi_node *n = p->object;

	if (strcmp(v, "-"))
		return kwgi_prefix_parse(field, v);
	n->internal_ip_off = true;
	return 0;
}

static int add_cidr(struct kwgi_parse *p, struct kwgi_cidrs *list, const struct kwgi_prefix *prefix)
{
	if (kwgi_arena_grow(&p->cfg->arena, &list->v, list->n, &list->cap, sizeof(*list->v)))
		p->nomem = true;
	else
		list->v[list->n++] = (struct kwgi_cidr){ .prefix = *prefix, .at = p->at };
	return 0;
}

static int add_network(struct kwgi_parse *p, void *field, const char *v)
{
	struct kwgi_prefix prefix;

	return set_network(p, &prefix, v) ? -1 : add_cidr(p, field, &prefix);
}

/* An address of an interface, with its prefix length or alone. */
static int add_address(struct kwgi_parse *p, void *field, const char *v)
{
	struct kwgi_prefix prefix;

	return set_interface_address(p, &prefix, v) ? -1 : add_cidr(p, field, &prefix);
}

static int add_server(struct kwgi_parse *p, void *field, const char *v)
{
	return strchr(v, '/') ? -1 : add_address(p, field, v);
}

static int add_discovered(struct kwgi_parse *p, void *field, const char *v)
{
	struct kwgi_discovereds *list = field;
	struct kwgi_discovered d = { 0 };
	char key[KWGI_KEY_TEXT];

	if (strlen(v) < KWGI_KEY_TEXT)
		return -1;
	memcpy(key, v, KWGI_KEY_TEXT - 1);
	key[KWGI_KEY_TEXT - 1] = '\0';
	v += KWGI_KEY_TEXT - 1;
	if ((*v != ' ' && *v != '\t') || kwgi_key_parse(&d.key, key))
		return -1;
	v += strspn(v, " \t");
	if (strcmp(v, "-") && set_endpoint(p, &d.endpoint, v))
		return -1;
	if (kwgi_arena_grow(&p->cfg->arena, &list->v, list->n, &list->cap, sizeof(*list->v))) {
		p->nomem = true;
		return 0;
	}
	list->v[list->n++] = d;
	return 0;
}

/* ---- keys ------------------------------------------------------------ */

#define FIELD(object, field) offsetof(struct kwgi_##object, field)
#define N_KEYS(table) (sizeof(table) / sizeof(*(table)))

static const char type_enum_granularity[] = "location or full";
static const char type_network[] = "network, such as 10.2.1.0/24 or fd00:1::/64";
static const char type_bool[] = "yes or no";
static const char type_key[] = "key of 32 bytes in base64 (44 characters), not all zero";
static const char type_endpoint[] =
	"host:port, with a lower-case DNS name, an IPv4 address or an [IPv6 address], port 1-65535";
static const char type_keepalive[] = "seconds from 0 to 65535, or a duration such as 25s";
static const char type_name[] = "name of 1 to 253 printable characters";
static const char type_path[] = "absolute path";
static const char type_address[] = "IPv4 or IPv6 address";

static const struct kwgi_section_key mesh_keys[] = {
	{ "format", set_format, FIELD(mesh, format), FIELD(mesh, format_at), false, false,
	  "1, the only format this version knows", "required" },
	{ "end-marker", set_end_marker, FIELD(mesh, end_marker), 0, false, false,
	  type_bool, "no" },
	{ "name", set_mesh_name, FIELD(mesh, name), 0, false, false,
	  "name of 1 to 63 letters, digits, dashes, dots and underscores", "kilo" },
	{ "granularity", set_granularity, FIELD(mesh, granularity), 0, false, false,
	  type_enum_granularity, "location" },
	{ "subnet", set_network, FIELD(mesh, subnet), FIELD(mesh, subnet_at), false, false,
	  type_network, "10.4.0.0/16" },
	{ "port", set_mesh_port, FIELD(mesh, port), 0, false, false,
	  "port 1-65535, or endpoint", "51820" },
	{ "service-cidr", add_network, FIELD(mesh, service_cidrs), 0, true, false,
	  type_network, "none" },
	{ "trusted-network", add_network, FIELD(mesh, trusted_networks), 0, true, false,
	  type_network, "none" },
	{ "encapsulation", set_encapsulation, FIELD(mesh, encapsulation), 0, false, false,
	  "always, cross-subnet or never", "always" },
	{ "encapsulation-protocol", set_encap_protocol, FIELD(mesh, encap_protocol), 0, false, false,
	  "ipip or vxlan", "ipip" },
	{ "vxlan-port", set_port, FIELD(mesh, vxlan_port), 0, false, false, "port 1-65535", "4789" },
	{ "vxlan-id", set_vxlan_id, FIELD(mesh, vxlan_id), 0, false, false,
	  "auto, or number from 1 to 16777215", "auto" },
	{ "compatibility", set_compatibility, FIELD(mesh, compatibility), 0, false, false,
	  "none, flannel or cilium", "none" },
	{ "node-requirements", set_requirements, FIELD(mesh, requirements), 0, false, false,
	  "auto, kilo or minimal", "auto" },
};

static const struct kwgi_section_key node_keys[] = {
	{ "name", set_required_name, FIELD(node, name), 0, false, false, type_name, "required" },
	{ "location", set_name, FIELD(node, location), 0, false, false,
	  "up to 253 printable characters", "empty" },
	{ "endpoint", set_endpoint, FIELD(node, endpoint), FIELD(node, endpoint_at), false, false,
	  type_endpoint, "none" },
	{ "endpoint-address", set_address, FIELD(node, endpoint_address), 0, false, false,
	  type_address, "none" },
	{ "public-key", set_key, FIELD(node, key), FIELD(node, key_at), false, true,
	  type_key, "none" },
	{ "internal-ip", set_internal_ip, FIELD(node, internal_ip), FIELD(node, internal_ip_at),
	  false, false, "address with prefix length, such as 192.168.1.5/24, or -", "none" },
	{ "pod-cidr", add_network, FIELD(node, pod_cidrs), 0, true, false, type_network, "none" },
	{ "leader", set_bool, FIELD(node, leader), 0, false, false, type_bool, "no" },
	{ "persistent-keepalive", set_keepalive, FIELD(node, keepalive), 0, false, false,
	  type_keepalive, "0" },
	{ "allowed-location-ip", add_network, FIELD(node, allowed_location_ips), 0, true, false,
	  type_network, "none" },
	{ "discovered-endpoint", add_discovered, FIELD(node, discovered), 0, true, false,
	  "public key, a blank, and host:port or -", "none" },
	{ "cni-compatibility-ip", set_interface_address, FIELD(node, cni_ip), 0, false, false,
	  "IPv4 or IPv6 address, with or without prefix length", "none" },
};

static const struct kwgi_section_key peer_keys[] = {
	{ "name", set_required_name, FIELD(peer, name), 0, false, false, type_name, "required" },
	{ "public-key", set_key, FIELD(peer, key), FIELD(peer, key_at), false, true,
	  type_key, "none" },
	{ "preshared-key", set_key, FIELD(peer, psk), 0, false, true, type_key, "none" },
	{ "preshared-key-file", set_path, FIELD(peer, psk_file), 0, false, false,
	  type_path, "none" },
	{ "allowed-ip", add_network, FIELD(peer, allowed_ips), 0, true, false,
	  type_network, "none" },
	{ "endpoint", set_endpoint, FIELD(peer, endpoint), FIELD(peer, endpoint_at), false, false,
	  type_endpoint, "none" },
	{ "endpoint-address", set_address, FIELD(peer, endpoint_address), 0, false, false,
	  type_address, "none" },
	{ "persistent-keepalive", set_keepalive, FIELD(peer, keepalive), 0, false, false,
	  type_keepalive, "0" },
	{ "address", add_address, FIELD(peer, addresses), 0, true, false,
	  "IPv4 or IPv6 address, with or without prefix length", "none" },
	{ "dns", add_server, FIELD(peer, dns), 0, true, false, type_address, "none" },
	{ "mtu", set_mtu, FIELD(peer, mtu), 0, false, false, "auto, or 1280-65455", "auto" },
};

static const struct kwgi_section_key local_keys[] = {
	{ "node", set_required_name, FIELD(local, node), FIELD(local, node_at), false, false,
	  type_name, "the host name" },
	{ "interface", set_interface, FIELD(local, interface), 0, false, false,
	  "interface name of 1 to 15 characters without blank, slash, colon or %", "kilo0" },
	{ "tunnel-interface", set_tunnel_interface, FIELD(local, tunnel_interface),
	  FIELD(local, tunnel_interface_at), false, false, "interface name, or auto", "auto" },
	{ "backend", set_backend, FIELD(local, backend), 0, false, false,
	  "auto, kernel, userspace or external", "auto" },
	{ "create-interface", set_bool, FIELD(local, create_interface), 0, false, false,
	  type_bool, "yes" },
	{ "interface-timeout", set_timeout, FIELD(local, interface_timeout), 0, false, false,
	  "seconds from 0 to 86400, or a duration such as 1m30s", "30" },
	{ "resolve-timeout", set_resolve_timeout, FIELD(local, resolve_timeout), 0, false, false,
	  "seconds from 0 (never look up) to 60, or a duration such as 5s", "5" },
	{ "clean-up-interface", set_bool, FIELD(local, clean_up_interface), 0, false, false,
	  type_bool, "yes" },
	{ "private-key-file", set_path, FIELD(local, private_key_file), 0, false, false,
	  type_path, "/var/lib/kilowg/key" },
	{ "port", set_port, FIELD(local, port), 0, false, false,
	  "port 1-65535", "that of the mesh" },
	{ "mtu", set_mtu, FIELD(local, mtu), 0, false, false, "auto, or 1280-65455", "auto" },
	{ "manage-local-routes", set_bool, FIELD(local, manage_local_routes), 0, false, false,
	  type_bool, "yes" },
	{ "firewall", set_firewall, FIELD(local, firewall), 0, false, false,
	  "nftables, iptables or none", "nftables" },
	{ "forward-rules", set_bool, FIELD(local, forward_rules), 0, false, false,
	  type_bool, "no" },
	{ "cni", set_bool, FIELD(local, cni), 0, false, false, type_bool, "no" },
	{ "cni-path", set_path, FIELD(local, cni_path), 0, false, false,
	  type_path, "/etc/cni/net.d/10-kilo.conflist" },
	{ "route-table", set_table, FIELD(local, route_table), 0, false, false,
	  "number from 1 to 4294967295 other than 253, 254 and 255", "1107" },
	{ "route-protocol", set_protocol, FIELD(local, route_protocol), 0, false, false,
	  "number from 5 to 255 that no other program has: not 8 to 18, 42, 99, 186 to 189 or 192", "107" },
	{ "route-metric", set_u32, FIELD(local, route_metric), 0, false, false,
	  "number from 0 to 4294967295", "0" },
	{ "allow-cover", add_network, FIELD(local, allow_cover), 0, true, false,
	  type_network, "none" },
	{ "rule-priority", set_rule_priority, FIELD(local, rule_priority),
	  FIELD(local, rule_priority_at), false, false, "number from 0 to 32765", "32765" },
	{ "default-route", set_bool, FIELD(local, default_route), FIELD(local, default_route_at),
	  false, false, type_bool, "no" },
	{ "default-route-table", set_table, FIELD(local, default_table),
	  FIELD(local, default_table_at), false, false,
	  "number from 1 to 4294967295 other than 253, 254 and 255", "1108" },
	{ "fwmark", set_u32, FIELD(local, fwmark), 0, false, false,
	  "number from 0 (none) to 4294967295", "0" },
	{ "fail-closed", set_bool, FIELD(local, fail_closed), 0, false, false, type_bool, "no" },
	{ "max-shrink", set_percent, FIELD(local, max_shrink), 0, false, false,
	  "per cent, from 0 to 100", "50" },
};

static void *begin_mesh(struct kwgi_parse *p)
{
	struct kwgi_mesh *m = &p->cfg->mesh;
	char first[KWGI_PLACE_TEXT];

	if (m->at.line) {
		kwgi_diags_add(&p->cfg->diags, KWG_ERROR, p->at, "",
			       "a second [mesh]; one configuration describes one mesh, and %s has it; two meshes on a host need two configurations, each with its own port, interface and route-protocol",
			       kwgi_diags_place(&p->cfg->diags, first, m->at));
		return NULL;
	}
	m->at = p->at;
	return m;
}

/* Several are one: what all hosts share can be in one file, and what differs in another. */
static void *begin_local(struct kwgi_parse *p)
{
	struct kwgi_local *l = &p->cfg->local;

	if (!l->at.line)
		l->at = p->at;
	return l;
}

static void *begin_node(struct kwgi_parse *p)
{
	struct kwg_config *c = p->cfg;
	struct kwgi_node *n;

	if (kwgi_arena_grow(&c->arena, &c->nodes, c->n_nodes, &c->nodes_cap, sizeof(*c->nodes))) {
		p->nomem = true;
		return NULL;
	}
	n = &c->nodes[c->n_nodes++];
	*n = (struct kwgi_node){ .at = p->at, .name = "", .location = "" };
	return n;
}

static void *begin_peer(struct kwgi_parse *p)
{
	struct kwg_config *c = p->cfg;
	struct kwgi_peer *peer;

	if (kwgi_arena_grow(&c->arena, &c->peers, c->n_peers, &c->peers_cap, sizeof(*c->peers))) {
		p->nomem = true;
		return NULL;
	}
	peer = &c->peers[c->n_peers++];
	*peer = (struct kwgi_peer){ .at = p->at, .name = "" };
	return peer;
}

static void *begin_end(struct kwgi_parse *p)
{
	p->end_at = p->at;
	return NULL;
}

const struct kwgi_section kwgi_sections[KWGI_SECTIONS] = {
	{ "mesh", mesh_keys, N_KEYS(mesh_keys), begin_mesh },
	{ "local", local_keys, N_KEYS(local_keys), begin_local },
	{ "node", node_keys, N_KEYS(node_keys), begin_node },
	{ "peer", peer_keys, N_KEYS(peer_keys), begin_peer },
	{ "end", NULL, 0, begin_end },
};

void kwgi_config_keys(struct kwgi_buf *b)
{
	const struct kwgi_section_key *k;
	size_t s, i;

	for (s = 0; s < KWGI_SECTIONS; s++) {
		for (i = 0; i < kwgi_sections[s].n_keys; i++) {
			k = &kwgi_sections[s].keys[i];
			kwgi_buf_printf(b, "%s\t%s\t%s\t%s\t%s\n", kwgi_sections[s].name, k->name,
					k->repeatable ? "repeatable" : "single", k->type,
					k->fallback);
		}
	}
}

/* Single keys with a default that is a value; the rest are zero or absent. */
void kwgi_config_defaults(struct kwgi_parse *p)
{
	size_t s, i;

	for (s = 0; s <= KWGI_SECTION_LOCAL; s++) {
		for (i = 0; i < kwgi_sections[s].n_keys; i++) {
			const struct kwgi_section_key *k = &kwgi_sections[s].keys[i];
			char *base = s == KWGI_SECTION_LOCAL ? (char *)&p->cfg->local
							     : (char *)&p->cfg->mesh;

			if (!k->repeatable && k->set != set_required_name)
				(void)k->set(p, base + k->offset, k->fallback);
		}
	}
}
