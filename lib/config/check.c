/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Checks over the whole configuration: what is missing, and what clashes.
 * What makes the result wrong for everybody is an error; what Kilo accepts
 * and other nodes act upon is a warning, so that all compute the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

bool kwgi_node_is_ready(const struct kwgi_node *n)
{
	return n->ready;
}

/* Servers without Kubernetes have no pods. Where one node has some, one without is not ready yet. */
bool kwgi_mesh_is_strict(const struct kwg_config *cfg)
{
	uint32_t i;

	if (cfg->mesh.requirements != KWGI_REQUIRE_AUTO)
		return cfg->mesh.requirements == KWGI_REQUIRE_KILO;
	for (i = 0; i < cfg->n_nodes; i++)
		if (cfg->nodes[i].pod_cidrs.n || (cfg->nodes[i].refused & KWGI_REFUSED_NETWORKS))
			return true;
	return false;
}

const char *kwgi_mesh_requires(bool strict)
{
	return strict ? "endpoint, public-key and pod-cidr" : "public-key, and endpoint or persistent-keepalive";
}

const char *kwgi_mesh_requires_way(bool strict)
{
	return strict ? "endpoint" : "endpoint or persistent-keepalive";
}

bool kwgi_node_has_way(const struct kwgi_node *n, bool strict)
{
	return n->endpoint.port || (!strict && n->keepalive);
}

static void find_ready(struct kwg_config *cfg)
{
	bool strict = kwgi_mesh_is_strict(cfg);
	uint32_t i;

	for (i = 0; i < cfg->n_nodes; i++) {
		struct kwgi_node *n = &cfg->nodes[i];

		n->ready = *n->name && !kwgi_key_is_zero(&n->key) && kwgi_node_has_way(n, strict) &&
			   (n->pod_cidrs.n || !strict);
	}
}

bool kwgi_peer_is_ready(const struct kwgi_peer *p)
{
	return *p->name && !kwgi_key_is_zero(&p->key) && p->allowed_ips.n;
}

/* ---- equal names and keys -------------------------------------------- */

/* A thing that has to be unique, and who has it. */
struct claim {
	const void *value;
	size_t len;
	const char *owner_kind, *owner;
	struct kwgi_place at;
};

static int by_value(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->value, y->value, len);

	if (c)
		return c;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	if (x->at.file != y->at.file)
		return x->at.file < y->at.file ? -1 : 1;
	return x->at.line < y->at.line ? -1 : x->at.line > y->at.line;
}

static void report_names(struct kwg_config *cfg, struct claim *v, uint32_t n)
{
	char first[KWGI_PLACE_TEXT];
	uint32_t i;

	if (n)
		qsort(v, n, sizeof(*v), by_value);
	for (i = 1; i < n; i++)
		if (v[i].len == v[i - 1].len && !memcmp(v[i].value, v[i - 1].value, v[i].len))
			kwgi_diags_add(&cfg->diags, KWG_ERROR, v[i].at, "name",
				       "%s \"%s\" is used at %s already; each name is accepted once",
				       v[i].owner_kind, v[i].owner,
				       kwgi_diags_place(&cfg->diags, first, v[i - 1].at));
}

/*
 * Two nodes, or two peers, of one key are an error: WireGuard knows one peer
 * per key. A peer that has the key of a node is accepted by Kilo; the host
 * then gives all their allowed IPs to one WireGuard peer.
 */
static void report_keys(struct kwg_config *cfg, struct claim *v, uint32_t n)
{
	char first[KWGI_PLACE_TEXT];
	uint32_t i;

	if (n)
		qsort(v, n, sizeof(*v), by_value);
	for (i = 1; i < n; i++) {
		bool same_kind = !strcmp(v[i].owner_kind, v[i - 1].owner_kind);

		if (memcmp(v[i].value, v[i - 1].value, v[i].len))
			continue;
		kwgi_diags_add(&cfg->diags, same_kind ? KWG_ERROR : KWG_WARNING, v[i].at,
			       "public-key", "%s \"%s\" has the key of %s \"%s\" (%s); each needs its own",
			       v[i].owner_kind, v[i].owner, v[i - 1].owner_kind, v[i - 1].owner,
			       kwgi_diags_place(&cfg->diags, first, v[i - 1].at));
	}
}

static void check_claims(struct kwg_config *cfg)
{
	size_t total = (size_t)cfg->n_nodes + cfg->n_peers;
	struct claim *names = kwgi_arena_alloc(&cfg->arena, total + 1, sizeof(*names));
	struct claim *keys = kwgi_arena_alloc(&cfg->arena, total + 1, sizeof(*keys));
	uint32_t i, n_names = 0, n_keys = 0;

	if (!names || !keys) {
		cfg->diags.failed = true;
		return;
	}
	for (i = 0; i < cfg->n_nodes; i++) {
		const struct kwgi_node *n = &cfg->nodes[i];

		if (*n->name)
			names[n_names++] = (struct claim){ n->name, strlen(n->name), "node",
							   n->name, n->at };
		if (!kwgi_key_is_zero(&n->key))
			keys[n_keys++] = (struct claim){ n->key.b, sizeof(n->key.b), "node",
							 n->name, n->key_at };
	}
	report_names(cfg, names, n_names);
	for (i = 0, n_names = 0; i < cfg->n_peers; i++) {
		const struct kwgi_peer *p = &cfg->peers[i];

		if (*p->name)
			names[n_names++] = (struct claim){ p->name, strlen(p->name), "peer",
							   p->name, p->at };
		if (!kwgi_key_is_zero(&p->key))
			keys[n_keys++] = (struct claim){ p->key.b, sizeof(p->key.b), "peer",
							 p->name, p->key_at };
	}
	report_names(cfg, names, n_names);
	report_keys(cfg, keys, n_keys);
}

/* ---- networks; what overlaps is in plan/overlaps.c ------------------- */

static void check_net_is_usable(struct kwg_config *cfg, const struct kwgi_cidr *c, const char *key)
{
	const char *why = kwgi_addr_useless(&c->prefix.addr);
	char text[KWGI_PREFIX_TEXT];

	/* The default route begins at the unspecified address and is fine. */
	if (why && c->prefix.len)
		kwgi_diags_add(&cfg->diags, KWG_ERROR, c->at, key,
			       "%s is %s; a network that hosts can have is accepted",
			       kwgi_prefix_format(text, &c->prefix), why);
}

static void check_nets(struct kwg_config *cfg, const struct kwgi_cidrs *list, const char *key)
{
	uint32_t i;

	for (i = 0; i < list->n; i++)
		check_net_is_usable(cfg, &list->v[i], key);
}

/* ---- endpoints ------------------------------------------------------- */

/* Kilo takes any address as endpoint, and nodes that run it act on it: hence warnings. */
static void check_endpoint(struct kwg_config *cfg, const struct kwgi_endpoint *e,
			   struct kwgi_place at)
{
	const char *why;
	char text[KWGI_ADDR_TEXT];

	if (!e->port || e->host)
		return;
	why = kwgi_addr_useless(&e->addr);
	if (why)
		kwgi_diags_add(&cfg->diags, KWG_WARNING, at, "endpoint",
			       "%s is %s; others cannot reach it; give an address of this node that they can",
			       kwgi_addr_format(text, &e->addr), why);
}

/* ---- keys ------------------------------------------------------------ */

/*
 * No session can come about with it, which is no harm to others; WireGuard takes it as a
 * key, and Kilo does: hence a warning. The value is not shown, as it may be something else.
 */
static void check_key(struct kwg_config *cfg, const struct kwgi_key *k, struct kwgi_place at,
		      const char *what, const char *name)
{
	if (!kwgi_key_is_zero(k) && kwgi_key_is_low_order(k))
		kwgi_diags_add(&cfg->diags, KWG_WARNING, at, "public-key",
			       "that of %s \"%s\" is a Curve25519 point of low order, with which no session is possible; give what \"kilowg pubkey\" prints there",
			       what, name);
}

/* ---- nodes and peers ------------------------------------------------- */

/* ", no KEY" if it is missing, unless that it was refused has been said. */
static void put_missing(struct kwgi_buf *b, const char *key, bool missing, bool refused)
{
	if (missing && !refused)
		kwgi_buf_printf(b, "%sno %s", b->len ? ", " : "", key);
}

static void report_left_out(struct kwg_config *cfg, struct kwgi_place at, const char *what,
			    const char *name, const char *needed, struct kwgi_buf *missing)
{
	if (missing->len)
		kwgi_diags_add(&cfg->diags, KWG_WARNING, at, "",
			       "%s \"%s\" is left out: it needs %s, and has %s", what, name, needed,
			       missing->p);
	cfg->diags.failed |= missing->failed;
	kwgi_buf_free(missing);
}

static void check_name(struct kwg_config *cfg, struct kwgi_place at, const char *what,
		       const char *name, uint8_t refused)
{
	if (!*name && !(refused & KWGI_REFUSED_NAME))
		kwgi_diags_add(&cfg->diags, KWG_ERROR, at, "name",
			       "this [%s] has no name; it is required", what);
}

static void check_node_complete(struct kwg_config *cfg, const struct kwgi_node *n)
{
	bool strict = kwgi_mesh_is_strict(cfg);
	struct kwgi_buf missing = { 0 };

	check_name(cfg, n->at, "node", n->name, n->refused);
	if (!*n->name)
		return;
	put_missing(&missing, kwgi_mesh_requires_way(strict), !kwgi_node_has_way(n, strict),
		    n->refused & KWGI_REFUSED_ENDPOINT);
	put_missing(&missing, "public-key", kwgi_key_is_zero(&n->key), n->refused & KWGI_REFUSED_KEY);
	put_missing(&missing, "pod-cidr", strict && !n->pod_cidrs.n, n->refused & KWGI_REFUSED_NETWORKS);
	report_left_out(cfg, n->at, "node", n->name, kwgi_mesh_requires(strict), &missing);
}

/*
 * Others make no route through the mesh to where they send its packets. A name may lead to the
 * private address, as it does on a rented host that has no other one: the plan cannot tell.
 */
static void check_where_name_leads(struct kwg_config *cfg, const struct kwgi_node *n)
{
	char text[KWGI_ADDR_TEXT];

	if (!n->endpoint.port || !n->endpoint.host || n->endpoint_address.family ||
	    !n->internal_ip.addr.family || n->internal_ip_off ||
	    kwgi_addr_is_private(&n->internal_ip.addr))
		return;
	kwgi_diags_add(&cfg->diags, KWG_WARNING, n->internal_ip_at, "internal-ip",
		       "%s may be what \"%s\" resolves to; if so, others make no route to it, which the plan cannot know before apply; give endpoint-address",
		       kwgi_addr_format(text, &n->internal_ip.addr), n->endpoint.host);
}

static void check_node(struct kwg_config *cfg, const struct kwgi_node *n)
{
	const char *why;
	char text[KWGI_ADDR_TEXT];

	check_node_complete(cfg, n);
	check_key(cfg, &n->key, n->key_at, "node", n->name);
	check_endpoint(cfg, &n->endpoint, n->endpoint_at);
	check_nets(cfg, &n->pod_cidrs, "pod-cidr");
	check_nets(cfg, &n->allowed_location_ips, "allowed-location-ip");
	if (!n->internal_ip.addr.family)
		return;
	why = kwgi_addr_useless(&n->internal_ip.addr);
	if (why)
		kwgi_diags_add(&cfg->diags, KWG_ERROR, n->internal_ip_at, "internal-ip",
			       "%s is %s; give the node's address in its private network, or -",
			       kwgi_addr_format(text, &n->internal_ip.addr), why);
	else
		check_where_name_leads(cfg, n);
}

static void check_peer_complete(struct kwg_config *cfg, const struct kwgi_peer *p)
{
	struct kwgi_buf missing = { 0 };

	check_name(cfg, p->at, "peer", p->name, p->refused);
	if (!*p->name)
		return;
	put_missing(&missing, "public-key", kwgi_key_is_zero(&p->key), p->refused & KWGI_REFUSED_KEY);
	put_missing(&missing, "allowed-ip", !p->allowed_ips.n, p->refused & KWGI_REFUSED_NETWORKS);
	report_left_out(cfg, p->at, "peer", p->name, "public-key and allowed-ip", &missing);
}

static void check_peer(struct kwg_config *cfg, const struct kwgi_peer *p)
{
	check_peer_complete(cfg, p);
	check_key(cfg, &p->key, p->key_at, "peer", p->name);
	if (p->psk_file && !kwgi_key_is_zero(&p->psk))
		kwgi_diags_add(&cfg->diags, KWG_ERROR, p->at, "preshared-key-file",
			       "there is a preshared-key, too; one of them is accepted");
	check_endpoint(cfg, &p->endpoint, p->endpoint_at);
	check_nets(cfg, &p->allowed_ips, "allowed-ip");
}

/* ---- encapsulation --------------------------------------------------- */

static bool shares_location(const struct kwg_config *cfg, const struct kwgi_node *n)
{
	uint32_t i;

	for (i = 0; i < cfg->n_nodes; i++)
		if (&cfg->nodes[i] != n && !strcmp(cfg->nodes[i].location, n->location) &&
		    kwgi_node_is_ready(&cfg->nodes[i]))
			return true;
	return false;
}

/* Kilo's tunnel is for IPv4 only, and its nodes act as if it were not: hence warnings. */
static void check_ipip(struct kwg_config *cfg)
{
	const struct kwgi_mesh *m = &cfg->mesh;
	char text[KWGI_ADDR_TEXT];
	uint32_t i;

	if (m->encapsulation == KWGI_ENCAP_NEVER || m->encap_protocol != KWGI_ENCAP_IPIP ||
	    m->compatibility != KWGI_COMPAT_NONE || m->granularity == KWGI_GRANULARITY_FULL)
		return;
	for (i = 0; i < cfg->n_nodes; i++) {
		const struct kwgi_node *n = &cfg->nodes[i];

		if (!kwgi_node_is_ready(n) || n->internal_ip_off ||
		    n->internal_ip.addr.family != KWGI_AF_V6 || !shares_location(cfg, n))
			continue;
		kwgi_diags_add(&cfg->diags, KWG_WARNING, n->internal_ip_at, "internal-ip",
			       "IPIP goes over IPv4 only, so others of its location cannot reach node \"%s\" at %s; use encapsulation-protocol = vxlan, or encapsulation = never",
			       n->name, kwgi_addr_format(text, &n->internal_ip.addr));
	}
}

/* Do packets to N's internal address go in clear, if somebody of its location sends them? */
static bool is_sent_in_clear(const struct kwgi_node *n)
{
	return kwgi_node_is_ready(n) && n->internal_ip.addr.family && !n->internal_ip_off;
}

static bool is_trusted(const struct kwgi_mesh *m, const struct kwgi_addr *a)
{
	uint32_t i;

	for (i = 0; i < m->trusted_networks.n; i++)
		if (kwgi_prefix_contains(&m->trusted_networks.v[i].prefix, a))
			return true;
	return kwgi_addr_is_private(a);
}

static const struct kwgi_node *other_in_clear(const struct kwg_config *cfg, const struct kwgi_node *n)
{
	uint32_t i;

	for (i = 0; i < cfg->n_nodes; i++)
		if (&cfg->nodes[i] != n && !strcmp(cfg->nodes[i].location, n->location) &&
		    is_sent_in_clear(&cfg->nodes[i]))
			return &cfg->nodes[i];
	return NULL;
}

/*
 * Within a location nothing is encrypted, and where nobody has given one all nodes are in the
 * same. Kilo takes no public address for an internal one by itself: only if it is forced to.
 */
static void check_trust(struct kwg_config *cfg)
{
	const struct kwgi_node *other;
	char text[KWGI_ADDR_TEXT];
	uint32_t i;

	if (cfg->mesh.granularity == KWGI_GRANULARITY_FULL)
		return;
	for (i = 0; i < cfg->n_nodes; i++) {
		const struct kwgi_node *n = &cfg->nodes[i];

		/* One that is none is an error already. */
		if (!is_sent_in_clear(n) || kwgi_addr_useless(&n->internal_ip.addr) ||
		    is_trusted(&cfg->mesh, &n->internal_ip.addr))
			continue;
		other = other_in_clear(cfg, n);
		if (other)
			kwgi_diags_add(&cfg->diags, KWG_ERROR, n->internal_ip_at, "internal-ip",
				       "%s is no private address, and packets between nodes of one location, as \"%s\" and \"%s\", are not encrypted; give internal-ip = - or another location, or name its network as trusted-network in [mesh]",
				       kwgi_addr_format(text, &n->internal_ip.addr), n->name, other->name);
	}
}

static void check_encapsulation(struct kwg_config *cfg)
{
	const struct kwgi_mesh *m = &cfg->mesh;
	const struct kwgi_local *l = &cfg->local;

	check_ipip(cfg);
	check_trust(cfg);
	if (l->tunnel_interface && !strcmp(l->tunnel_interface, l->interface))
		kwgi_diags_add(&cfg->diags, KWG_ERROR, l->tunnel_interface_at, "tunnel-interface",
			       "%s is the WireGuard interface; another name is accepted",
			       l->tunnel_interface);
	if (m->compatibility != KWGI_COMPAT_NONE && m->encap_protocol == KWGI_ENCAP_VXLAN)
		kwgi_diags_add(&cfg->diags, KWG_WARNING, m->at, "encapsulation-protocol",
			       "vxlan has no effect with compatibility = %s",
			       kwgi_compatibility_name(m->compatibility));
	if (m->compatibility != KWGI_COMPAT_NONE && m->encapsulation != KWGI_ENCAP_NEVER &&
	    l->manage_local_routes)
		kwgi_diags_add(&cfg->diags, KWG_WARNING, l->at.line ? l->at : m->at,
			       "manage-local-routes",
			       "%s makes the routes within a location itself, and the kernel takes one of each; set manage-local-routes = no",
			       kwgi_compatibility_name(m->compatibility));
}

/* ---- the whole ------------------------------------------------------- */

static void check_mesh(struct kwg_config *cfg)
{
	if (!cfg->mesh.at.line)
		kwgi_diags_add(&cfg->diags, KWG_ERROR, (struct kwgi_place){ 0 }, "",
			       "there is no [mesh] section; it is required, with format = 1");
	else if (!cfg->mesh.format_at.line)
		kwgi_diags_add(&cfg->diags, KWG_ERROR, cfg->mesh.at, "format",
			       "this [mesh] has no format; format = 1 is required");
}

static void check_local(struct kwg_config *cfg)
{
	const char *node = cfg->local.node;
	uint32_t i;

	for (i = 0; node && i < cfg->n_nodes; i++)
		if (!strcmp(cfg->nodes[i].name, node))
			return;
	if (node)
		kwgi_diags_add(&cfg->diags, KWG_ERROR, cfg->local.node_at, "node",
			       "there is no [node] named \"%s\"; the name of one of the %u nodes is accepted",
			       node, cfg->n_nodes);
}

static void check_default_route(struct kwg_config *cfg)
{
	const struct kwgi_local *l = &cfg->local;

	if (!l->default_route)
		return;
	if (l->rule_priority < KWGI_RULES_OF_DEFAULT)
		kwgi_diags_add(&cfg->diags, KWG_ERROR, l->rule_priority_at, "rule-priority",
			       "with default-route = yes it is the last of three numbers in a row; from 2 to 32765 is accepted");
	if (l->default_table == l->route_table)
		kwgi_diags_add(&cfg->diags, KWG_ERROR,
			       l->default_table_at.line ? l->default_table_at : l->default_route_at,
			       "default-route-table",
			       "%u is route-table, too; another number is accepted", l->default_table);
}

void kwgi_check(struct kwg_config *cfg)
{
	uint32_t i;

	find_ready(cfg);
	check_mesh(cfg);
	check_local(cfg);
	for (i = 0; i < cfg->n_nodes; i++)
		check_node(cfg, &cfg->nodes[i]);
	for (i = 0; i < cfg->n_peers; i++)
		check_peer(cfg, &cfg->peers[i]);
	check_claims(cfg);
	check_encapsulation(cfg);
	check_default_route(cfg);
}
