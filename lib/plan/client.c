/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <sodium.h>

#include "config/json.h"
#include "plan/client.h"

/* A line on its own where the private key has to be filled in; each of these formats knows # comments. */
static const char no_key[] = "put the private key here";

/* ---- addresses ------------------------------------------------------- */

static bool is_host(const struct kwgi_prefix *p)
{
	return p->len == kwgi_addr_bits(&p->addr);
}

bool kwgi_client_has_address(const struct kwgi_peer *p)
{
	uint32_t i;

	for (i = 0; i < p->allowed_ips.n; i++)
		if (is_host(&p->allowed_ips.v[i].prefix))
			return true;
	return p->addresses.n;
}

/* The first from *i on, and *i behind it; NULL: there are no more. */
static const struct kwgi_prefix *next_address(const struct kwgi_peer *p, uint32_t *i)
{
	const struct kwgi_cidrs *list = p->addresses.n ? &p->addresses : &p->allowed_ips;

	while (*i < list->n) {
		const struct kwgi_prefix *a = &list->v[(*i)++].prefix;

		if (p->addresses.n || is_host(a))
			return a;
	}
	return NULL;
}

static bool has_family(const struct kwgi_peer *p, uint8_t family)
{
	const struct kwgi_prefix *a;
	uint32_t i = 0;

	while ((a = next_address(p, &i)))
		if (a->addr.family == family)
			return true;
	return false;
}

/* ---- pieces ---------------------------------------------------------- */

static void put_addresses(struct kwgi_buf *b, const struct kwgi_peer *p, const char *before,
			  const char *between, const char *behind)
{
	const struct kwgi_prefix *a;
	uint32_t i = 0, n = 0;

	while ((a = next_address(p, &i))) {
		kwgi_buf_puts(b, n++ ? between : before);
		kwgi_buf_prefix(b, a);
	}
	if (n)
		kwgi_buf_puts(b, behind);
}

static void put_dns(struct kwgi_buf *b, const struct kwgi_peer *p, const char *before,
		    const char *between)
{
	uint32_t i;

	for (i = 0; i < p->dns.n; i++) {
		kwgi_buf_puts(b, i ? between : before);
		kwgi_buf_addr(b, &p->dns.v[i].prefix.addr);
	}
	if (p->dns.n)
		kwgi_buf_putc(b, '\n');
}

static void put_key(struct kwgi_buf *b, const struct kwgi_client *c, const char *before)
{
	if (c->key) {
		kwgi_buf_puts(b, before);
		kwgi_buf_key(b, c->key);
		kwgi_buf_putc(b, '\n');
	} else {
		kwgi_buf_printf(b, "# %s%s\n", before, no_key);
	}
}

/* The preshared key is between this peer and the mesh, not between two peers. */
static bool has_psk(const struct kwgi_client *c, const struct kwgi_wg_peer *p)
{
	return p->is_segment && !kwgi_key_is_zero(c->psk);
}

/* What an interface may be called. */
static void put_interface(struct kwgi_buf *b, const struct kwgi_client *c)
{
	kwgi_buf_printf(b, "%.*s", KWGI_IFNAME_MAX, c->mesh);
}

static void put_prefixes(struct kwgi_buf *b, const struct kwgi_prefixes *v, const char *between)
{
	uint32_t i;

	for (i = 0; i < v->n; i++) {
		if (i)
			kwgi_buf_puts(b, between);
		kwgi_buf_prefix(b, &v->v[i]);
	}
}

/* ---- wg-quick, wg ---------------------------------------------------- */

static void put_wg_peers(const struct kwgi_client *c, struct kwgi_buf *b)
{
	uint32_t i;

	for (i = 0; i < c->view->n_peers; i++) {
		const struct kwgi_wg_peer *p = &c->view->peers[i];

		kwgi_buf_printf(b, "\n# %s\n", p->name);
		kwgi_wg_format_peer(b, p, has_psk(c, p) ? c->psk : NULL);
	}
}

void kwgi_client_wg_quick(const struct kwgi_client *c, struct kwgi_buf *b)
{
	const struct kwgi_peer *p = c->view->peer;

	kwgi_buf_puts(b, "[Interface]\n");
	put_key(b, c, "PrivateKey = ");
	put_addresses(b, p, "Address = ", ", ", "\n");
	put_dns(b, p, "DNS = ", ", ");
	if (p->mtu)
		kwgi_buf_printf(b, "MTU = %u\n", p->mtu);
	put_wg_peers(c, b);
}

void kwgi_client_wg(const struct kwgi_client *c, struct kwgi_buf *b)
{
	kwgi_buf_puts(b, "[Interface]\n");
	put_key(b, c, "PrivateKey = ");
	put_wg_peers(c, b);
}

/* ---- systemd-networkd ------------------------------------------------ */

static void put_networkd_peer(const struct kwgi_client *c, const struct kwgi_wg_peer *p,
			      struct kwgi_buf *b)
{
	kwgi_buf_printf(b, "\n# %s\n[WireGuardPeer]\nPublicKey=", p->name);
	kwgi_buf_key(b, &p->key);
	kwgi_buf_putc(b, '\n');
	if (has_psk(c, p)) {
		kwgi_buf_puts(b, "PresharedKey=");
		kwgi_buf_key(b, c->psk);
		kwgi_buf_putc(b, '\n');
	}
	if (p->allowed_ips.n) {
		kwgi_buf_puts(b, "AllowedIPs=");
		put_prefixes(b, &p->allowed_ips, ",");
		kwgi_buf_putc(b, '\n');
	}
	if (p->endpoint.port) {
		kwgi_buf_puts(b, "Endpoint=");
		kwgi_buf_endpoint(b, &p->endpoint);
		kwgi_buf_putc(b, '\n');
	}
	if (p->keepalive)
		kwgi_buf_printf(b, "PersistentKeepalive=%u\n", p->keepalive);
}

static void put_netdev(const struct kwgi_client *c, struct kwgi_buf *b)
{
	uint32_t i;

	kwgi_buf_puts(b, "# /etc/systemd/network/");
	put_interface(b, c);
	kwgi_buf_puts(b, ".netdev, readable by root and systemd-network only\n[NetDev]\nName=");
	put_interface(b, c);
	kwgi_buf_puts(b, "\nKind=wireguard\n");
	if (c->view->peer->mtu)
		kwgi_buf_printf(b, "MTUBytes=%u\n", c->view->peer->mtu);
	kwgi_buf_puts(b, "\n[WireGuard]\n");
	put_key(b, c, "PrivateKey=");
	for (i = 0; i < c->view->n_peers; i++)
		put_networkd_peer(c, &c->view->peers[i], b);
}

/* Older ones than 250 make no routes of allowed IPs. */
static void put_network(const struct kwgi_client *c, struct kwgi_buf *b)
{
	uint32_t i, k;

	kwgi_buf_puts(b, "\n# /etc/systemd/network/");
	put_interface(b, c);
	kwgi_buf_puts(b, ".network\n[Match]\nName=");
	put_interface(b, c);
	kwgi_buf_puts(b, "\n\n[Network]\n");
	put_addresses(b, c->view->peer, "Address=", "\nAddress=", "\n");
	put_dns(b, c->view->peer, "DNS=", "\nDNS=");
	for (i = 0; i < c->view->n_peers; i++)
		for (k = 0; k < c->view->peers[i].allowed_ips.n; k++) {
			kwgi_buf_puts(b, "\n[Route]\nDestination=");
			kwgi_buf_prefix(b, &c->view->peers[i].allowed_ips.v[k]);
			kwgi_buf_puts(b, c->view->peers[i].allowed_ips.v[k].addr.family == KWGI_AF_V4
						 ? "\nScope=link\n" : "\n");
		}
}

void kwgi_client_networkd(const struct kwgi_client *c, struct kwgi_buf *b)
{
	put_netdev(c, b);
	put_network(c, b);
}

/* ---- NetworkManager -------------------------------------------------- */

static void put_nm_peer(const struct kwgi_client *c, const struct kwgi_wg_peer *p, struct kwgi_buf *b)
{
	kwgi_buf_puts(b, "\n[wireguard-peer.");
	kwgi_buf_key(b, &p->key);
	kwgi_buf_puts(b, "]\n");
	if (p->endpoint.port) {
		kwgi_buf_puts(b, "endpoint=");
		kwgi_buf_endpoint(b, &p->endpoint);
		kwgi_buf_putc(b, '\n');
	}
	if (p->keepalive)
		kwgi_buf_printf(b, "persistent-keepalive=%u\n", p->keepalive);
	if (has_psk(c, p)) {
		kwgi_buf_puts(b, "preshared-key=");
		kwgi_buf_key(b, c->psk);
		/* It stands here, and nobody is to be asked for it. */
		kwgi_buf_puts(b, "\npreshared-key-flags=0\n");
	}
	if (p->allowed_ips.n) {
		kwgi_buf_puts(b, "allowed-ips=");
		put_prefixes(b, &p->allowed_ips, ";");
		kwgi_buf_puts(b, ";\n");
	}
}

static void put_nm_family(const struct kwgi_client *c, uint8_t family, struct kwgi_buf *b)
{
	const struct kwgi_peer *p = c->view->peer;
	const struct kwgi_prefix *a;
	uint32_t i = 0, n = 0;

	kwgi_buf_printf(b, "\n[ipv%c]\n", family == KWGI_AF_V4 ? '4' : '6');
	while ((a = next_address(p, &i))) {
		if (a->addr.family != family)
			continue;
		kwgi_buf_printf(b, "address%u=", ++n);
		kwgi_buf_prefix(b, a);
		kwgi_buf_putc(b, '\n');
	}
	for (i = n = 0; i < p->dns.n; i++) {
		if (p->dns.v[i].prefix.addr.family != family)
			continue;
		kwgi_buf_puts(b, n++ ? "" : "dns=");
		kwgi_buf_addr(b, &p->dns.v[i].prefix.addr);
		kwgi_buf_putc(b, ';');
	}
	kwgi_buf_puts(b, n ? "\n" : "");
	kwgi_buf_printf(b, "method=%s\n", has_family(p, family) ? "manual" : "disabled");
}

void kwgi_client_nm(const struct kwgi_client *c, struct kwgi_buf *b)
{
	uint32_t i;

	kwgi_buf_printf(b, "[connection]\nid=%s\ntype=wireguard\ninterface-name=", c->mesh);
	put_interface(b, c);
	kwgi_buf_puts(b, "\n\n[wireguard]\n");
	put_key(b, c, "private-key=");
	if (c->view->peer->mtu)
		kwgi_buf_printf(b, "mtu=%u\n", c->view->peer->mtu);
	for (i = 0; i < c->view->n_peers; i++)
		put_nm_peer(c, &c->view->peers[i], b);
	put_nm_family(c, KWGI_AF_V4, b);
	put_nm_family(c, KWGI_AF_V6, b);
}

/* ---- for programs ---------------------------------------------------- */

static void json_key(struct kwgi_json *j, const char *name, const struct kwgi_key *key)
{
	char text[KWGI_KEY_TEXT];

	kwgi_json_string(j, name, key ? kwgi_key_format(text, key) : NULL);
	sodium_memzero(text, sizeof(text));
}

static void json_peer(const struct kwgi_client *c, const struct kwgi_wg_peer *p, struct kwgi_json *j)
{
	uint32_t i;

	kwgi_json_object(j, NULL);
	kwgi_json_array(j, "allowed_ips");
	for (i = 0; i < p->allowed_ips.n; i++)
		kwgi_json_prefix(j, NULL, &p->allowed_ips.v[i]);
	kwgi_json_end_array(j);
	kwgi_json_endpoint(j, "endpoint", &p->endpoint);
	kwgi_json_string(j, "name", p->name);
	kwgi_json_uint(j, "persistent_keepalive", p->keepalive);
	json_key(j, "preshared_key", has_psk(c, p) ? c->psk : NULL);
	json_key(j, "public_key", &p->key);
	kwgi_json_end_object(j);
}

void kwgi_client_json(const struct kwgi_client *c, struct kwgi_buf *b)
{
	struct kwgi_json json = { .b = b }, *j = &json;
	const struct kwgi_peer *p = c->view->peer;
	const struct kwgi_prefix *a;
	uint32_t i = 0;

	kwgi_json_object(j, NULL);
	kwgi_json_array(j, "addresses");
	while ((a = next_address(p, &i)))
		kwgi_json_prefix(j, NULL, a);
	kwgi_json_end_array(j);
	kwgi_json_array(j, "dns");
	for (i = 0; i < p->dns.n; i++)
		kwgi_json_addr(j, NULL, &p->dns.v[i].prefix.addr);
	kwgi_json_end_array(j);
	kwgi_json_string(j, "mesh", c->mesh);
	kwgi_json_uint(j, "mtu", p->mtu);
	kwgi_json_string(j, "name", p->name);
	kwgi_json_array(j, "peers");
	for (i = 0; i < c->view->n_peers; i++)
		json_peer(c, &c->view->peers[i], j);
	kwgi_json_end_array(j);
	json_key(j, "private_key", c->key);
	kwgi_json_uint(j, "schema", 1);
	kwgi_json_end_object(j);
}

/* JSON is YAML (YAML 1.2, 1.3), but people who ask for this want to read it. */
static void yaml_text(struct kwgi_buf *b, const char *indent, const char *name, const char *text)
{
	struct kwgi_json j = { .b = b };

	kwgi_buf_printf(b, "%s%s: ", indent, name);
	kwgi_json_string(&j, NULL, text);
	kwgi_buf_putc(b, '\n');
}

static void yaml_key(struct kwgi_buf *b, const char *indent, const char *name, const struct kwgi_key *key)
{
	char text[KWGI_KEY_TEXT];

	yaml_text(b, indent, name, key ? kwgi_key_format(text, key) : NULL);
	sodium_memzero(text, sizeof(text));
}

static void yaml_peer(const struct kwgi_client *c, const struct kwgi_wg_peer *p, struct kwgi_buf *b)
{
	yaml_text(b, "  - ", "name", p->name);
	yaml_key(b, "    ", "public_key", &p->key);
	yaml_key(b, "    ", "preshared_key", has_psk(c, p) ? c->psk : NULL);
	kwgi_buf_puts(b, "    endpoint: ");
	if (p->endpoint.port) {
		kwgi_buf_putc(b, '"');
		kwgi_buf_endpoint(b, &p->endpoint);
		kwgi_buf_puts(b, "\"\n");
	} else {
		kwgi_buf_puts(b, "null\n");
	}
	kwgi_buf_printf(b, "    persistent_keepalive: %u\n    allowed_ips: [", p->keepalive);
	if (p->allowed_ips.n)
		kwgi_buf_putc(b, '"');
	put_prefixes(b, &p->allowed_ips, "\", \"");
	kwgi_buf_puts(b, p->allowed_ips.n ? "\"]\n" : "]\n");
}

void kwgi_client_yaml(const struct kwgi_client *c, struct kwgi_buf *b)
{
	const struct kwgi_peer *p = c->view->peer;
	uint32_t i;

	kwgi_buf_puts(b, "schema: 1\n");
	yaml_text(b, "", "name", p->name);
	yaml_text(b, "", "mesh", c->mesh);
	yaml_key(b, "", "private_key", c->key);
	kwgi_buf_puts(b, "addresses: [");
	put_addresses(b, p, "\"", "\", \"", "\"");
	kwgi_buf_puts(b, "]\ndns: [");
	for (i = 0; i < p->dns.n; i++) {
		kwgi_buf_puts(b, i ? ", \"" : "\"");
		kwgi_buf_addr(b, &p->dns.v[i].prefix.addr);
		kwgi_buf_putc(b, '"');
	}
	kwgi_buf_printf(b, "]\nmtu: %u\npeers:%s\n", p->mtu, c->view->n_peers ? "" : " []");
	for (i = 0; i < c->view->n_peers; i++)
		yaml_peer(c, &c->view->peers[i], b);
}
