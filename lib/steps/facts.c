/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "config/json.h"
#include "steps/facts.h"
#include "steps/mark.h"

enum { SCHEMA = 1 };

/* ---- what was learnt ------------------------------------------------- */

struct learnt {
	char key[KWGI_KEY_TEXT];
	const char *name;
	const struct kwgi_host_peer *peer;
};

/* The node or peer with this key and a keepalive of its own, NULL if there is none. */
static const char *who_roams(const struct kwgi_topology *t, const struct kwgi_key *key)
{
	uint32_t i;

	for (i = 0; i < t->n_nodes; i++)
		if (t->nodes[i]->keepalive && !kwgi_key_cmp(&t->nodes[i]->key, key))
			return t->nodes[i]->name;
	for (i = 0; i < t->n_peers; i++)
		if (t->peers[i].peer->keepalive && !kwgi_key_cmp(&t->peers[i].peer->key, key))
			return t->peers[i].peer->name;
	return NULL;
}

/* Go writes the members of a map in the order of their names' bytes. */
static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct learnt *)a)->key, ((const struct learnt *)b)->key);
}

/* malloc()ed; NULL if there is no memory. */
static struct learnt *find_learnt(const struct kwgi_facts *a, uint32_t *n)
{
	const struct kwgi_host_wg *wg = &a->host->wg;
	struct learnt *v = calloc(wg->n_peers + 1u, sizeof(*v));
	uint32_t i;

	*n = 0;
	for (i = 0; v && a->plan && i < wg->n_peers; i++) {
		const char *name = wg->peers[i].last_handshake
					   ? who_roams(a->plan->topo, &wg->peers[i].key) : NULL;

		if (!name)
			continue;
		v[*n].name = name;
		v[*n].peer = &wg->peers[i];
		kwgi_key_format(v[*n].key, &wg->peers[i].key);
		(*n)++;
	}
	if (*n)
		qsort(v, *n, sizeof(*v), by_text);
	return v;
}

static void put_udp_addr(struct kwgi_buf *b, const struct learnt *l)
{
	if (!l->peer->endpoint.port) {
		kwgi_buf_printf(b, "\"%s\":null", l->key);
		return;
	}
	kwgi_buf_printf(b, "\"%s\":{\"IP\":\"", l->key);
	kwgi_buf_addr(b, &l->peer->endpoint.addr);
	kwgi_buf_printf(b, "\",\"Port\":%u,\"Zone\":\"\"}", l->peer->endpoint.port);
}

void kwgi_facts_discovered(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	uint32_t i, n;
	struct learnt *v = find_learnt(a, &n);

	b->failed |= !v;
	kwgi_buf_putc(b, '{');
	for (i = 0; i < n; i++) {
		if (i)
			kwgi_buf_putc(b, ',');
		put_udp_addr(b, &v[i]);
	}
	kwgi_buf_putc(b, '}');
	free(v);
}

/* ---- parts ----------------------------------------------------------- */

static const struct kwgi_link *our_link(const struct kwgi_facts *a)
{
	return kwgi_host_link(a->host, a->cfg->local.interface);
}

static const char *backend_name(const struct kwgi_facts *a)
{
	return a->backend->userspace ? "userspace" : "kernel";
}

/* Kilo: what is not set is written as nothing. */
static void put_endpoint(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	if (a->node && a->node->endpoint.port)
		kwgi_buf_endpoint(b, &a->node->endpoint);
}

static void put_internal_ip(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	if (a->node && kwgi_node_has_private_ip(a->node))
		kwgi_buf_prefix(b, &a->node->internal_ip);
}

/*
 * Kilo's agent finds private addresses only. What else stands in the files was forced,
 * by an annotation of its own that all readers prefer, or was published by mistake and
 * must not be said again: the nodes of a location trust such an address with plain text.
 */
static void put_found_ip(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	if (a->node && kwgi_addr_is_private(&a->node->internal_ip.addr))
		put_internal_ip(a, b);
}

static void put_wireguard_ip(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	if (a->plan && a->plan->leader)
		kwgi_buf_prefix(b, &a->plan->wg_cidr);
}

static void put_key(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	if (!kwgi_key_is_zero(&a->key))
		kwgi_buf_key(b, &a->key);
}

/* On bridges of pods; others reach these addresses through the mesh alone. */
static bool is_pods(const struct kwgi_facts *a, const struct kwgi_addr *addr)
{
	uint32_t i;

	for (i = 0; a->node && i < a->node->pod_cidrs.n; i++)
		if (kwgi_prefix_contains(&a->node->pod_cidrs.v[i].prefix, addr))
			return true;
	return false;
}

/* Where this host can be reached from outside it: not what kilowg itself has made. */
static bool is_address(const struct kwgi_facts *a, const struct kwgi_host_addr *at,
		       const struct kwgi_link *l)
{

	return l && !at->auto_made && !at->fleeting && l != our_link(a) && !kwgi_mark_is_ours(l->alias, &a->host->owner) &&
	       !kwgi_mark_is_rival(l->alias, &a->host->owner) && !kwgi_addr_useless(&at->prefix.addr) &&
	       !is_pods(a, &at->prefix.addr);
}

/* ---- text ------------------------------------------------------------ */

static void put_line(const struct kwgi_facts *a, const char *word,
		     void (*put)(const struct kwgi_facts *, struct kwgi_buf *),
		     struct kwgi_buf *b)
{
	size_t before;

	kwgi_buf_printf(b, "%s ", word);
	before = b->len;
	put(a, b);
	kwgi_buf_puts(b, b->len == before ? "-\n" : "\n");
}

static void put_address_lines(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	uint32_t i;

	for (i = 0; i < a->host->n_addrs; i++) {
		const struct kwgi_host_addr *at = &a->host->addrs[i];
		const struct kwgi_link *l = kwgi_host_link_by_index(a->host, at->ifindex);

		if (!is_address(a, at, l))
			continue;
		kwgi_buf_puts(b, "address ");
		kwgi_buf_prefix(b, &at->prefix);
		kwgi_buf_printf(b, " interface %s%s\n", l->name,
				kwgi_addr_is_private(&at->prefix.addr) ? " private" : "");
	}
}

void kwgi_facts_text(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	const struct kwgi_link *l = our_link(a);
	uint32_t i, n;
	struct learnt *v = find_learnt(a, &n);

	b->failed |= !v;
	kwgi_buf_printf(b, "node %s\n", a->name);
	kwgi_buf_printf(b, "takes-part %s\n", a->plan ? a->plan->leader ? "leader" : "follower" : "no");
	put_line(a, "public-key", put_key, b);
	put_line(a, "endpoint", put_endpoint, b);
	put_line(a, "internal-ip", put_internal_ip, b);
	put_line(a, "wireguard-ip", put_wireguard_ip, b);
	kwgi_buf_printf(b, "granularity %s\n", kwgi_granularity_name(a->cfg->mesh.granularity));
	put_address_lines(a, b);
	kwgi_buf_printf(b, "interface %s%s", a->cfg->local.interface, l ? "" : " missing");
	if (l || a->mtu)
		kwgi_buf_printf(b, " mtu %u", l ? l->mtu : a->mtu);
	kwgi_buf_putc(b, '\n');
	kwgi_buf_printf(b, "backend %s (%s)\n", backend_name(a), a->backend->reason);
	for (i = 0; i < n; i++) {
		kwgi_buf_printf(b, "discovered-endpoint %s ", v[i].key);
		if (v[i].peer->endpoint.port)
			kwgi_buf_endpoint(b, &v[i].peer->endpoint);
		else
			kwgi_buf_putc(b, '-');
		kwgi_buf_printf(b, " name %s\n", v[i].name);
	}
	free(v);
}

/* ---- a section of a file ---------------------------------------------- */

static void put_cidrs(struct kwgi_buf *b, const char *key, const struct kwgi_cidrs *list)
{
	uint32_t i;

	for (i = 0; i < list->n; i++) {
		kwgi_buf_printf(b, "%s = ", key);
		kwgi_buf_prefix(b, &list->v[i].prefix);
		kwgi_buf_putc(b, '\n');
	}
}

/* Of the private addresses of this host, or of the others, the one at *i or behind it. */
static const struct kwgi_host_addr *next_address(const struct kwgi_facts *a, bool private, uint32_t *i)
{
	while (*i < a->host->n_addrs) {
		const struct kwgi_host_addr *at = &a->host->addrs[(*i)++];

		if (is_address(a, at, kwgi_host_link_by_index(a->host, at->ifindex)) &&
		    (private ? kwgi_addr_is_private(&at->prefix.addr) : !kwgi_addr_is_inner(&at->prefix.addr)))
			return at;
	}
	return NULL;
}

/* Which of several networks the nodes of a location share, and trust, nobody can guess. */
static void propose_internal_ip(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	const struct kwgi_host_addr *at, *next;
	uint32_t i = 0;

	at = next_address(a, true, &i);
	next = next_address(a, true, &i);
	if (!next) {
		kwgi_buf_puts(b, at ? "internal-ip = " : "internal-ip = -");
		if (at)
			kwgi_buf_prefix(b, &at->prefix);
		kwgi_buf_putc(b, '\n');
		return;
	}
	kwgi_buf_puts(b, "# One of these, or -: the address in the private network that its location shares.\n");
	for (i = 0; (at = next_address(a, true, &i)); ) {
		const struct kwgi_link *l = kwgi_host_link_by_index(a->host, at->ifindex);

		kwgi_buf_puts(b, "#internal-ip = ");
		kwgi_buf_prefix(b, &at->prefix);
		kwgi_buf_printf(b, " (%s)\n", l ? l->name : "");
	}
}

static void propose_endpoint(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	struct kwgi_endpoint e = { .port = a->cfg->mesh.port ? (uint16_t)a->cfg->mesh.port : KWGI_DEFAULT_PORT };
	const struct kwgi_host_addr *at;
	uint32_t i = 0;

	at = next_address(a, false, &i);
	if (at) {
		e.addr = at->prefix.addr;
		kwgi_buf_puts(b, "endpoint = ");
	} else {
		kwgi_buf_puts(b, "# No address of this host is public. If others reach it all the same, say where;\n"
				 "# if not, it has to call them.\n#endpoint = HOST:");
		kwgi_buf_printf(b, "%u\npersistent-keepalive = 25\n", e.port);
		return;
	}
	kwgi_buf_endpoint(b, &e);
	kwgi_buf_putc(b, '\n');
}

static void put_known(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	const struct kwgi_node *n = a->node;

	if (*n->location)
		kwgi_buf_printf(b, "location = %s\n", n->location);
	if (n->endpoint.port) {
		kwgi_buf_puts(b, "endpoint = ");
		kwgi_buf_endpoint(b, &n->endpoint);
		kwgi_buf_putc(b, '\n');
	}
	if (n->endpoint_address.family) {
		kwgi_buf_puts(b, "endpoint-address = ");
		kwgi_buf_addr(b, &n->endpoint_address);
		kwgi_buf_putc(b, '\n');
	}
	if (n->internal_ip_off || n->internal_ip.addr.family) {
		kwgi_buf_puts(b, n->internal_ip_off ? "internal-ip = -" : "internal-ip = ");
		if (!n->internal_ip_off)
			kwgi_buf_prefix(b, &n->internal_ip);
		kwgi_buf_putc(b, '\n');
	}
	put_cidrs(b, "pod-cidr", &n->pod_cidrs);
	if (n->leader)
		kwgi_buf_puts(b, "leader = yes\n");
	if (n->keepalive)
		kwgi_buf_printf(b, "persistent-keepalive = %u\n", n->keepalive);
	put_cidrs(b, "allowed-location-ip", &n->allowed_location_ips);
	if (n->cni_ip.addr.family) {
		kwgi_buf_puts(b, "cni-compatibility-ip = ");
		kwgi_buf_prefix(b, &n->cni_ip);
		kwgi_buf_putc(b, '\n');
	}
}

void kwgi_facts_ini(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	kwgi_buf_printf(b, "[node]\nname = %s\n", a->name);
	if (kwgi_key_is_zero(&a->key))
		kwgi_buf_printf(b, "# There is no key in %s yet: (umask 077; kilowg genkey >%s)\n",
				a->cfg->local.private_key_file, a->cfg->local.private_key_file);
	else
		kwgi_buf_puts(b, "public-key = ");
	put_key(a, b);
	if (!kwgi_key_is_zero(&a->key))
		kwgi_buf_putc(b, '\n');
	if (a->node) {
		put_known(a, b);
		return;
	}
	kwgi_buf_puts(b, "# Nodes with the same location share a private network.\n#location =\n");
	propose_endpoint(a, b);
	propose_internal_ip(a, b);
}

/* ---- JSON ------------------------------------------------------------ */

static void put_string(struct kwgi_json *j, const char *key, const struct kwgi_facts *a,
		       void (*put)(const struct kwgi_facts *, struct kwgi_buf *))
{
	struct kwgi_buf b = { 0 };

	put(a, &b);
	j->b->failed |= b.failed;
	kwgi_json_string(j, key, b.p ? b.p : "");
	kwgi_buf_free(&b);
}

/* pkg/k8s/backend.go, Set; the time in last-seen is the caller's. */
static void put_annotations(struct kwgi_json *j, const struct kwgi_facts *a)
{
	kwgi_json_object(j, "annotations");
	put_string(j, "kilo.squat.ai/discovered-endpoints", a, kwgi_facts_discovered);
	put_string(j, "kilo.squat.ai/endpoint", a, put_endpoint);
	kwgi_json_string(j, "kilo.squat.ai/granularity",
			 kwgi_granularity_name(a->cfg->mesh.granularity));
	put_string(j, "kilo.squat.ai/internal-ip", a, put_found_ip);
	put_string(j, "kilo.squat.ai/key", a, put_key);
	put_string(j, "kilo.squat.ai/wireguard-ip", a, put_wireguard_ip);
	kwgi_json_end_object(j);
}

static void put_discovered(struct kwgi_json *j, const struct kwgi_facts *a)
{
	uint32_t i, n;
	struct learnt *v = find_learnt(a, &n);

	j->b->failed |= !v;
	kwgi_json_array(j, "discovered_endpoints");
	for (i = 0; i < n; i++) {
		kwgi_json_object(j, NULL);
		kwgi_json_endpoint(j, "endpoint", &v[i].peer->endpoint);
		kwgi_json_string(j, "key", v[i].key);
		kwgi_json_int(j, "last_handshake", v[i].peer->last_handshake);
		kwgi_json_string(j, "name", v[i].name);
		kwgi_json_end_object(j);
	}
	kwgi_json_end_array(j);
	free(v);
}

static void put_interface(struct kwgi_json *j, const struct kwgi_facts *a)
{
	const struct kwgi_link *l = our_link(a);

	kwgi_json_object(j, "interface");
	kwgi_json_uint(j, "mtu", l ? l->mtu : a->mtu);
	kwgi_json_string(j, "name", a->cfg->local.interface);
	kwgi_json_uint(j, "port", a->host->wg.port);
	kwgi_json_bool(j, "present", l != NULL);
	kwgi_json_end_object(j);
}

static void put_addresses(struct kwgi_json *j, const struct kwgi_facts *a)
{
	uint32_t i;

	kwgi_json_array(j, "addresses");
	for (i = 0; i < a->host->n_addrs; i++) {
		const struct kwgi_host_addr *at = &a->host->addrs[i];
		const struct kwgi_link *l = kwgi_host_link_by_index(a->host, at->ifindex);

		if (!is_address(a, at, l))
			continue;
		kwgi_json_object(j, NULL);
		kwgi_json_prefix(j, "address", &at->prefix);
		kwgi_json_string(j, "interface", l->name);
		kwgi_json_bool(j, "private", kwgi_addr_is_private(&at->prefix.addr));
		kwgi_json_end_object(j);
	}
	kwgi_json_end_array(j);
}

void kwgi_facts_json(const struct kwgi_facts *a, struct kwgi_buf *b)
{
	static const struct kwgi_endpoint no_endpoint;
	static const struct kwgi_prefix no_prefix;
	struct kwgi_json json = { .b = b }, *j = &json;
	bool has_ip = a->node && kwgi_node_has_private_ip(a->node);

	kwgi_json_object(j, NULL);
	put_addresses(j, a);
	put_annotations(j, a);
	kwgi_json_object(j, "backend");
	kwgi_json_string(j, "implementation",
			 a->host->wg.present ? a->host->wg.implementation : NULL);
	kwgi_json_string(j, "name", backend_name(a));
	kwgi_json_string(j, "reason", a->backend->reason);
	kwgi_json_end_object(j);
	put_discovered(j, a);
	kwgi_json_endpoint(j, "endpoint", a->node ? &a->node->endpoint : &no_endpoint);
	kwgi_json_string(j, "granularity", kwgi_granularity_name(a->cfg->mesh.granularity));
	put_interface(j, a);
	kwgi_json_prefix(j, "internal_ip", has_ip ? &a->node->internal_ip : &no_prefix);
	kwgi_json_bool(j, "leader", a->plan && a->plan->leader);
	kwgi_json_string(j, "mesh", a->cfg->mesh.name);
	kwgi_json_string(j, "node", a->name);
	kwgi_json_key(j, "public_key", &a->key);
	kwgi_json_uint(j, "schema", SCHEMA);
	kwgi_json_bool(j, "takes_part", a->plan != NULL);
	kwgi_json_prefix(j, "wireguard_ip",
			 a->plan && a->plan->leader ? &a->plan->wg_cidr : &no_prefix);
	kwgi_json_end_object(j);
}
