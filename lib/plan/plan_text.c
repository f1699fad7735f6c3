/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The plan as canonical text: one fact per line, nothing that varies between machines. */
#include <blake2.h>
#include <sodium.h>
#include <string.h>

#include "config/encap.h"
#include "plan/plan.h"

const char *const kwgi_role_names[KWGI_N_ROLES] = { "kilo", "priv", "tunl" };

void kwgi_route_format(struct kwgi_buf *b, const struct kwgi_route *r,
		       const char *const names[KWGI_N_ROLES], uint32_t table)
{
	kwgi_buf_prefix(b, &r->dst);
	if (r->gw.family) {
		kwgi_buf_puts(b, " via ");
		kwgi_buf_addr(b, &r->gw);
	}
	kwgi_buf_puts(b, " dev ");
	kwgi_buf_puts(b, names[r->role]);
	if (r->src.family) {
		kwgi_buf_puts(b, " src ");
		kwgi_buf_addr(b, &r->src);
	}
	if (r->onlink)
		kwgi_buf_puts(b, " onlink");
	if (r->in_table) {
		kwgi_buf_puts(b, " table ");
		kwgi_buf_putu(b, table);
	}
}

void kwgi_rule_format(struct kwgi_buf *b, const struct kwgi_rule *r, const char *iif,
		      uint32_t table)
{
	kwgi_buf_puts(b, "from ");
	if (r->src.addr.family)
		kwgi_buf_prefix(b, &r->src);
	else
		kwgi_buf_puts(b, "all");
	kwgi_buf_puts(b, " to ");
	kwgi_buf_prefix(b, &r->dst);
	if (r->iif_kilo) {
		kwgi_buf_puts(b, " iif ");
		kwgi_buf_puts(b, iif);
	}
	kwgi_buf_puts(b, " lookup ");
	kwgi_buf_putu(b, table);
}

void kwgi_closed_format(struct kwgi_buf *b, const struct kwgi_route *r, uint32_t table)
{
	kwgi_buf_puts(b, "closed ");
	kwgi_buf_prefix(b, &r->dst);
	if (r->in_table)
		kwgi_buf_printf(b, " table %u", table);
}

static void put_peer(struct kwgi_buf *b, const struct kwgi_wg_peer *p)
{
	uint32_t i;

	kwgi_buf_puts(b, "wireguard-peer ");
	kwgi_buf_key(b, &p->key);
	if (p->endpoint.port) {
		kwgi_buf_puts(b, " endpoint ");
		kwgi_buf_endpoint(b, &p->endpoint);
	}
	if (p->endpoint.port && p->endpoint.host && p->endpoint_address.family) {
		kwgi_buf_puts(b, " address ");
		kwgi_buf_addr(b, &p->endpoint_address);
	}
	if (p->roams)
		kwgi_buf_puts(b, " roams");
	if (p->keepalive)
		kwgi_buf_printf(b, " persistent-keepalive %u", p->keepalive);
	if (p->peer && (p->peer->psk_file || !kwgi_key_is_zero(&p->peer->psk)))
		kwgi_buf_puts(b, " preshared-key");
	kwgi_buf_puts(b, " name ");
	kwgi_buf_puts(b, p->name);
	kwgi_buf_putc(b, '\n');
	for (i = 0; i < p->allowed_ips.n; i++) {
		kwgi_buf_puts(b, "  allowed-ip ");
		kwgi_buf_prefix(b, &p->allowed_ips.v[i]);
		kwgi_buf_putc(b, '\n');
	}
}

static void put_routing(struct kwgi_buf *b, const struct kwg_plan *plan)
{
	uint32_t table = plan->cfg->local.route_table, i;

	for (i = 0; i < plan->n_routes; i++) {
		kwgi_buf_puts(b, "route ");
		kwgi_route_format(b, &plan->routes[i], kwgi_role_names, table);
		kwgi_buf_putc(b, '\n');
	}
	for (i = 0; i < plan->n_closed; i++) {
		kwgi_closed_format(b, &plan->closed[i], table);
		kwgi_buf_putc(b, '\n');
	}
	for (i = 0; i < plan->n_rules; i++) {
		kwgi_buf_puts(b, "rule ");
		kwgi_rule_format(b, &plan->rules[i], kwgi_role_names[KWGI_ROLE_KILO], table);
		kwgi_buf_putc(b, '\n');
	}
}

static void put_firewall(struct kwgi_buf *b, const char *word, const struct kwgi_fw_rules *list)
{
	uint32_t i;

	for (i = 0; i < list->n; i++) {
		kwgi_buf_puts(b, word);
		kwgi_firewall_format(b, &list->v[i]);
		kwgi_buf_putc(b, '\n');
	}
}

static void put_header(struct kwgi_buf *b, const struct kwg_plan *plan)
{
	const struct kwgi_local *local = &plan->cfg->local;

	kwgi_buf_printf(b, "kilowg-plan %d\n", KWGI_PLAN_VERSION);
	kwgi_buf_printf(b, "mesh %s\n", plan->cfg->mesh.name);
	kwgi_buf_printf(b, "node %s\n", plan->node->name);
	kwgi_buf_printf(b, "segment %s\n", plan->segment->id);
	kwgi_buf_printf(b, "role %s\n", plan->leader ? "leader" : "follower");
	kwgi_buf_printf(b, "interface %s %s mtu ", local->interface, plan->leader ? "up" : "down");
	if (local->mtu == KWGI_MTU_AUTO)
		kwgi_buf_puts(b, "auto");
	else
		kwgi_buf_putu(b, local->mtu);
	kwgi_buf_puts(b, plan->leader ? "\naddress " : "\nsubnet ");
	kwgi_buf_prefix(b, &plan->wg_cidr);
	kwgi_buf_printf(b, "\nlisten-port %u\n", plan->port);
	if (local->fwmark)
		kwgi_buf_printf(b, "fwmark %u\n", local->fwmark);
	if (plan->tunl_addr.addr.family) {
		kwgi_buf_puts(b, "tunnel-address ");
		kwgi_buf_prefix(b, &plan->tunl_addr);
		kwgi_buf_putc(b, '\n');
	}
	if (kwgi_plan_has_vxlan(plan))
		kwgi_buf_printf(b, "vxlan id %u port %u\n", kwgi_encap_vxlan_id(&plan->cfg->mesh),
				plan->cfg->mesh.vxlan_port);
}

static void put_cni(struct kwgi_buf *b, const struct kwg_plan *plan)
{
	const struct kwgi_cidrs *pods = &plan->node->pod_cidrs;
	uint32_t i;

	if (!plan->cfg->local.cni)
		return;
	kwgi_buf_printf(b, "cni %s", plan->cfg->local.cni_path);
	for (i = 0; i < pods->n; i++) {
		kwgi_buf_putc(b, ' ');
		kwgi_buf_prefix(b, &pods->v[i].prefix);
	}
	kwgi_buf_putc(b, '\n');
}

void kwgi_plan_text(const struct kwg_plan *plan, struct kwgi_buf *b)
{
	uint32_t i;

	put_header(b, plan);
	put_cni(b, plan);
	for (i = 0; i < plan->n_peers; i++)
		put_peer(b, &plan->peers[i]);
	put_routing(b, plan);
	put_firewall(b, "firewall append ", &plan->tunl_fw.append);
	put_firewall(b, "firewall prepend ", &plan->tunl_fw.prepend);
	put_firewall(b, "firewall append ", &plan->nat.append);
	put_firewall(b, "firewall prepend ", &plan->nat.prepend);
}

void kwgi_digest(char out[65], const void *data, size_t len)
{
	uint8_t hash[32];

	blake2b(hash, data, NULL, sizeof(hash), len, 0);
	sodium_bin2hex(out, 65, hash, sizeof(hash));
}
