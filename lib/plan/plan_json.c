/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The plan and its topology as JSON; keys are sorted. */
#include <stdlib.h>

#include "config/encap.h"
#include "config/json.h"
#include "plan/plan.h"

static void put_prefixes(struct kwgi_json *j, const char *key, const struct kwgi_prefixes *list)
{
	uint32_t i;

	kwgi_json_array(j, key);
	for (i = 0; i < list->n; i++)
		kwgi_json_prefix(j, NULL, &list->v[i]);
	kwgi_json_end_array(j);
}

static void put_members(struct kwgi_json *j, const struct kwgi_segment *s)
{
	uint32_t i, k;

	kwgi_json_array(j, "cidrs");
	for (i = 0; i < s->n; i++)
		for (k = 0; k < s->members[i]->pod_cidrs.n; k++)
			kwgi_json_prefix(j, NULL, &s->members[i]->pod_cidrs.v[k].prefix);
	kwgi_json_end_array(j);
	kwgi_json_array(j, "cni_compatibility_ips");
	for (i = 0; i < s->n; i++)
		kwgi_json_prefix(j, NULL, &s->members[i]->cni_ip);
	kwgi_json_end_array(j);
	kwgi_json_endpoint(j, "endpoint", &s->leader->endpoint);
	kwgi_json_array(j, "hostnames");
	for (i = 0; i < s->n; i++)
		kwgi_json_string(j, NULL, s->members[i]->name);
	kwgi_json_end_array(j);
}

static void put_segment(struct kwgi_json *j, const struct kwgi_segment *s)
{
	uint32_t i;

	kwgi_json_object(j, NULL);
	put_prefixes(j, "allowed_ips", &s->allowed_ips);
	put_prefixes(j, "allowed_location_ips", &s->location_ips);
	put_prefixes(j, "allowed_location_ips_rejected", &s->rejected_location_ips);
	put_members(j, s);
	kwgi_json_key(j, "key", &s->leader->key);
	kwgi_json_string(j, "leader", s->leader->name);
	kwgi_json_string(j, "location", s->id);
	kwgi_json_uint(j, "persistent_keepalive", s->leader->keepalive);
	kwgi_json_array(j, "private_ips");
	for (i = 0; s->has_private_ips && i < s->n; i++)
		kwgi_json_addr(j, NULL, &s->members[i]->internal_ip.addr);
	kwgi_json_end_array(j);
	kwgi_json_addr(j, "wireguard_ip", &s->wg_ip);
	kwgi_json_end_object(j);
}

static void put_mesh_peers(struct kwgi_json *j, const struct kwgi_topology *t)
{
	uint32_t i;

	kwgi_json_array(j, "peers");
	for (i = 0; i < t->n_peers; i++) {
		kwgi_json_object(j, NULL);
		put_prefixes(j, "allowed_ips", &t->peers[i].allowed_ips);
		kwgi_json_string(j, "name", t->peers[i].peer->name);
		kwgi_json_key(j, "public_key", &t->peers[i].peer->key);
		kwgi_json_end_object(j);
	}
	kwgi_json_end_array(j);
}

/* The table that holds from this node's point of view. */
static void put_discovered(struct kwgi_json *j, const struct kwg_plan *plan)
{
	const struct kwgi_topology *t = plan->topo;
	const struct kwgi_discovered *d;
	char key[KWGI_KEY_TEXT];
	uint32_t i;

	kwgi_json_object(j, "discovered_endpoints");
	for (i = 0; i < t->n_discovered; i++) {
		d = kwgi_topology_discovered(t, plan->node, &t->discovered[i].key);
		kwgi_json_endpoint(j, kwgi_key_format(key, &d->key), &d->endpoint);
	}
	kwgi_json_end_object(j);
}

/* Addresses of DNS endpoints, as the configuration gives them. */
static void put_wg_endpoints(struct kwgi_json *j, const struct kwg_plan *plan)
{
	char key[KWGI_KEY_TEXT];
	uint32_t i;

	kwgi_json_object(j, "wg_endpoints");
	for (i = 0; i < plan->n_peers; i++) {
		const struct kwgi_wg_peer *p = &plan->peers[i];
		struct kwgi_endpoint e = { .addr = p->endpoint_address, .port = p->endpoint.port };

		if (!p->endpoint.port || !p->endpoint.host)
			continue;
		if (!e.addr.family)
			e.port = 0;
		kwgi_json_endpoint(j, kwgi_key_format(key, &p->key), &e);
	}
	kwgi_json_end_object(j);
}

static void put_wg_peers(struct kwgi_json *j, const struct kwg_plan *plan)
{
	uint32_t i;

	kwgi_json_array(j, "wireguard_peers");
	for (i = 0; i < plan->n_peers; i++) {
		const struct kwgi_wg_peer *p = &plan->peers[i];

		kwgi_json_object(j, NULL);
		put_prefixes(j, "allowed_ips", &p->allowed_ips);
		kwgi_json_endpoint(j, "endpoint", &p->endpoint);
		kwgi_json_string(j, "name", p->name);
		kwgi_json_uint(j, "persistent_keepalive", p->keepalive);
		kwgi_json_bool(j, "preshared_key", p->peer && (p->peer->psk_file ||
				!kwgi_key_is_zero(&p->peer->psk)));
		kwgi_json_key(j, "public_key", &p->key);
		kwgi_json_bool(j, "roams", p->roams);
		kwgi_json_end_object(j);
	}
	kwgi_json_end_array(j);
}

/* Lines of the text form, each through the formatter of its kind. */
static void put_line(struct kwgi_json *j, struct kwgi_buf *line)
{
	kwgi_json_string(j, NULL, line->p ? line->p : "");
	line->len = 0;
}

static void put_firewall(struct kwgi_json *j, const char *key, const struct kwgi_fw_rules *list)
{
	struct kwgi_buf line = { 0 };
	uint32_t i;

	kwgi_json_array(j, key);
	for (i = 0; i < list->n; i++) {
		kwgi_firewall_format(&line, &list->v[i]);
		put_line(j, &line);
	}
	kwgi_json_end_array(j);
	j->b->failed |= line.failed;
	kwgi_buf_free(&line);
}

static void put_firewall_lists(struct kwgi_json *j, const char *key, const struct kwgi_fw_list *l)
{
	kwgi_json_object(j, key);
	put_firewall(j, "append", &l->append);
	put_firewall(j, "prepend", &l->prepend);
	kwgi_json_end_object(j);
}

static void put_closed(struct kwgi_json *j, const struct kwg_plan *plan)
{
	struct kwgi_buf line = { 0 };
	uint32_t i;

	if (!plan->n_closed)
		return;
	kwgi_json_array(j, "closed");
	for (i = 0; i < plan->n_closed; i++) {
		kwgi_closed_format(&line, &plan->closed[i], plan->cfg->local.route_table);
		put_line(j, &line);
	}
	kwgi_json_end_array(j);
	j->b->failed |= line.failed;
	kwgi_buf_free(&line);
}

static void put_routes(struct kwgi_json *j, const struct kwg_plan *plan)
{
	uint32_t table = plan->cfg->local.route_table, i;
	struct kwgi_buf line = { 0 };

	kwgi_json_array(j, "routes");
	for (i = 0; i < plan->n_routes; i++) {
		kwgi_route_format(&line, &plan->routes[i], kwgi_role_names, table);
		put_line(j, &line);
	}
	kwgi_json_end_array(j);
	kwgi_json_array(j, "rules");
	for (i = 0; i < plan->n_rules; i++) {
		kwgi_rule_format(&line, &plan->rules[i], kwgi_role_names[KWGI_ROLE_KILO], table);
		put_line(j, &line);
	}
	kwgi_json_end_array(j);
	j->b->failed |= line.failed;
	kwgi_buf_free(&line);
}

static void put_warnings(struct kwgi_json *j, const struct kwg_plan *plan)
{
	uint32_t i;

	kwgi_json_array(j, "warnings");
	for (i = 0; i < plan->diags.n; i++)
		kwgi_json_string(j, NULL, plan->diags.v[i].diag.text);
	kwgi_json_end_array(j);
}

void kwgi_plan_json(const struct kwg_plan *plan, const char *digest, struct kwgi_buf *b)
{
	const struct kwg_config *cfg = plan->cfg;
	const struct kwgi_node *n = plan->node;
	struct kwgi_json json = { .b = b }, *j = &json;
	bool has_private_ip = kwgi_node_has_private_ip(n);
	uint32_t i;

	kwgi_json_object(j, NULL);
	put_closed(j, plan);
	kwgi_json_string(j, "cni_path", cfg->local.cni ? cfg->local.cni_path : NULL);
	kwgi_json_string(j, "digest", digest);
	put_discovered(j, plan);
	kwgi_json_uint(j, "fwmark", cfg->local.fwmark);
	kwgi_json_string(j, "granularity", kwgi_granularity_name(cfg->mesh.granularity));
	kwgi_json_string(j, "interface", cfg->local.interface);
	put_firewall_lists(j, "iptables", &plan->nat);
	kwgi_json_bool(j, "leader", plan->leader);
	kwgi_json_uint(j, "listen_port", plan->port);
	kwgi_json_string(j, "location", plan->segment->id);
	kwgi_json_string(j, "mesh", cfg->mesh.name);
	if (cfg->local.mtu == KWGI_MTU_AUTO)
		kwgi_json_string(j, "mtu", "auto");
	else
		kwgi_json_uint(j, "mtu", cfg->local.mtu);
	kwgi_json_string(j, "node", n->name);
	put_mesh_peers(j, plan->topo);
	kwgi_json_uint(j, "persistent_keepalive", n->keepalive);
	kwgi_json_prefix(j, "pod_subnet", n->pod_cidrs.n ? &n->pod_cidrs.v[0].prefix : &(struct kwgi_prefix){ 0 });
	kwgi_json_cidrs(j, "pod_subnets", &n->pod_cidrs);
	kwgi_json_prefix(j, "private_ip", has_private_ip ? &n->internal_ip
							 : &(struct kwgi_prefix){ 0 });
	put_routes(j, plan);
	kwgi_json_array(j, "segments");
	for (i = 0; i < plan->topo->n_segments; i++)
		put_segment(j, &plan->topo->segments[i]);
	kwgi_json_end_array(j);
	kwgi_json_prefix(j, "subnet", &cfg->mesh.subnet);
	kwgi_json_prefix(j, "tunnel_address", &plan->tunl_addr);
	put_firewall_lists(j, "tunnel_iptables", &plan->tunl_fw);
	kwgi_json_uint(j, "version", KWGI_PLAN_VERSION);
	if (kwgi_plan_has_vxlan(plan)) {
		kwgi_json_object(j, "vxlan");
		kwgi_json_uint(j, "id", kwgi_encap_vxlan_id(&cfg->mesh));
		kwgi_json_uint(j, "port", cfg->mesh.vxlan_port);
		kwgi_json_end_object(j);
	}
	put_warnings(j, plan);
	put_wg_endpoints(j, plan);
	kwgi_json_prefix(j, "wireguard_cidr", &plan->wg_cidr);
	put_wg_peers(j, plan);
	kwgi_json_end_object(j);
}
