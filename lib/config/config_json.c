/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What was understood of the configuration, as JSON; keys are sorted. */
#include "config/config.h"
#include "config/encap.h"
#include "config/json.h"

enum { SCHEMA = 1 };

void kwgi_json_cidrs(struct kwgi_json *j, const char *key, const struct kwgi_cidrs *list)
{
	uint32_t i;

	kwgi_json_array(j, key);
	for (i = 0; i < list->n; i++)
		kwgi_json_prefix(j, NULL, &list->v[i].prefix);
	kwgi_json_end_array(j);
}

static void put_place(struct kwgi_json *j, const struct kwg_config *cfg, struct kwgi_place at)
{
	bool known = at.line && at.file < cfg->diags.n_files;

	kwgi_json_string(j, "file", known ? cfg->diags.files[at.file] : NULL);
}

static void put_mesh(struct kwgi_json *j, const struct kwg_config *cfg)
{
	const struct kwgi_mesh *m = &cfg->mesh;

	kwgi_json_object(j, "mesh");
	kwgi_json_string(j, "compatibility", kwgi_compatibility_name(m->compatibility));
	kwgi_json_string(j, "encapsulation", kwgi_encapsulation_name(m->encapsulation));
	kwgi_json_string(j, "encapsulation-protocol", kwgi_encap_protocol_name(m->encap_protocol));
	kwgi_json_uint(j, "format", m->format);
	kwgi_json_string(j, "granularity", kwgi_granularity_name(m->granularity));
	kwgi_json_string(j, "name", m->name);
	kwgi_json_string(j, "node-requirements", kwgi_requirements_name(m->requirements));
	if (m->port == KWGI_PORT_OF_ENDPOINT)
		kwgi_json_string(j, "port", "endpoint");
	else
		kwgi_json_uint(j, "port", m->port);
	kwgi_json_cidrs(j, "service-cidr", &m->service_cidrs);
	kwgi_json_prefix(j, "subnet", &m->subnet);
	kwgi_json_cidrs(j, "trusted-network", &m->trusted_networks);
	kwgi_json_uint(j, "vxlan-id", kwgi_encap_vxlan_id(m));
	kwgi_json_uint(j, "vxlan-port", m->vxlan_port);
	kwgi_json_end_object(j);
}

static void put_local(struct kwgi_json *j, const struct kwg_config *cfg)
{
	const struct kwgi_local *l = &cfg->local;

	kwgi_json_object(j, "local");
	kwgi_json_cidrs(j, "allow-cover", &l->allow_cover);
	kwgi_json_string(j, "backend", kwgi_backend_name(l->backend));
	kwgi_json_bool(j, "clean-up-interface", l->clean_up_interface);
	kwgi_json_bool(j, "cni", l->cni);
	kwgi_json_string(j, "cni-path", l->cni_path);
	kwgi_json_bool(j, "create-interface", l->create_interface);
	kwgi_json_bool(j, "default-route", l->default_route);
	kwgi_json_uint(j, "default-route-table", l->default_table);
	kwgi_json_bool(j, "fail-closed", l->fail_closed);
	kwgi_json_string(j, "firewall", kwgi_firewall_name(l->firewall));
	kwgi_json_bool(j, "forward-rules", l->forward_rules);
	kwgi_json_uint(j, "fwmark", l->fwmark);
	kwgi_json_string(j, "interface", l->interface);
	kwgi_json_uint(j, "interface-timeout", l->interface_timeout);
	kwgi_json_bool(j, "manage-local-routes", l->manage_local_routes);
	kwgi_json_uint(j, "max-shrink", l->max_shrink);
	if (l->mtu == KWGI_MTU_AUTO)
		kwgi_json_string(j, "mtu", "auto");
	else
		kwgi_json_uint(j, "mtu", l->mtu);
	kwgi_json_string(j, "node", l->node);
	if (l->port)
		kwgi_json_uint(j, "port", l->port);
	else
		kwgi_json_null(j, "port");
	kwgi_json_string(j, "private-key-file", l->private_key_file);
	kwgi_json_uint(j, "resolve-timeout", l->resolve_timeout);
	kwgi_json_uint(j, "route-metric", l->route_metric);
	kwgi_json_uint(j, "route-protocol", l->route_protocol);
	kwgi_json_uint(j, "route-table", l->route_table);
	kwgi_json_uint(j, "rule-priority", l->rule_priority);
	kwgi_json_string(j, "tunnel-interface", l->tunnel_interface);
	kwgi_json_end_object(j);
}

static void put_node(struct kwgi_json *j, const struct kwg_config *cfg, const struct kwgi_node *n)
{
	char key[KWGI_KEY_TEXT];
	uint32_t i;

	kwgi_json_object(j, NULL);
	kwgi_json_cidrs(j, "allowed-location-ip", &n->allowed_location_ips);
	kwgi_json_prefix(j, "cni-compatibility-ip", &n->cni_ip);
	kwgi_json_object(j, "discovered-endpoint");
	for (i = 0; i < n->discovered.n; i++)
		kwgi_json_endpoint(j, kwgi_key_format(key, &n->discovered.v[i].key),
				   &n->discovered.v[i].endpoint);
	kwgi_json_end_object(j);
	kwgi_json_endpoint(j, "endpoint", &n->endpoint);
	kwgi_json_addr(j, "endpoint-address", &n->endpoint_address);
	put_place(j, cfg, n->at);
	if (n->internal_ip_off)
		kwgi_json_string(j, "internal-ip", "-");
	else
		kwgi_json_prefix(j, "internal-ip", &n->internal_ip);
	kwgi_json_bool(j, "leader", n->leader);
	kwgi_json_uint(j, "line", n->at.line);
	kwgi_json_string(j, "location", n->location);
	kwgi_json_string(j, "name", n->name);
	kwgi_json_uint(j, "persistent-keepalive", n->keepalive);
	kwgi_json_cidrs(j, "pod-cidr", &n->pod_cidrs);
	kwgi_json_key(j, "public-key", &n->key);
	kwgi_json_bool(j, "takes-part", kwgi_node_is_ready(n));
	kwgi_json_end_object(j);
}

static void put_peer(struct kwgi_json *j, const struct kwg_config *cfg, const struct kwgi_peer *p)
{
	kwgi_json_object(j, NULL);
	kwgi_json_cidrs(j, "address", &p->addresses);
	kwgi_json_cidrs(j, "allowed-ip", &p->allowed_ips);
	kwgi_json_cidrs(j, "dns", &p->dns);
	kwgi_json_endpoint(j, "endpoint", &p->endpoint);
	kwgi_json_addr(j, "endpoint-address", &p->endpoint_address);
	put_place(j, cfg, p->at);
	kwgi_json_uint(j, "line", p->at.line);
	if (p->mtu == KWGI_MTU_AUTO)
		kwgi_json_string(j, "mtu", "auto");
	else
		kwgi_json_uint(j, "mtu", p->mtu);
	kwgi_json_string(j, "name", p->name);
	kwgi_json_uint(j, "persistent-keepalive", p->keepalive);
	kwgi_json_bool(j, "preshared-key", !kwgi_key_is_zero(&p->psk));
	kwgi_json_string(j, "preshared-key-file", p->psk_file);
	kwgi_json_key(j, "public-key", &p->key);
	kwgi_json_bool(j, "takes-part", kwgi_peer_is_ready(p));
	kwgi_json_end_object(j);
}

static void put_diags(struct kwgi_json *j, const char *key, const struct kwg_config *cfg,
		      enum kwg_severity severity)
{
	uint32_t i;

	kwgi_json_array(j, key);
	for (i = 0; i < cfg->diags.n; i++) {
		const struct kwg_diag *d = &cfg->diags.v[i].diag;

		if (d->severity != severity)
			continue;
		kwgi_json_object(j, NULL);
		kwgi_json_string(j, "file", *d->file ? d->file : NULL);
		kwgi_json_string(j, "key", *d->key ? d->key : NULL);
		kwgi_json_uint(j, "line", d->line);
		kwgi_json_string(j, "text", d->text);
		kwgi_json_end_object(j);
	}
	kwgi_json_end_array(j);
}

void kwgi_config_json(const struct kwg_config *cfg, struct kwgi_buf *b)
{
	struct kwgi_json j = { .b = b };
	uint32_t i;

	kwgi_json_object(&j, NULL);
	put_diags(&j, "errors", cfg, KWG_ERROR);
	kwgi_json_array(&j, "files");
	for (i = 0; i < cfg->diags.n_files; i++)
		kwgi_json_string(&j, NULL, cfg->diags.files[i]);
	kwgi_json_end_array(&j);
	put_local(&j, cfg);
	put_mesh(&j, cfg);
	kwgi_json_array(&j, "nodes");
	for (i = 0; i < cfg->n_nodes; i++)
		put_node(&j, cfg, &cfg->nodes[i]);
	kwgi_json_end_array(&j);
	kwgi_json_array(&j, "peers");
	for (i = 0; i < cfg->n_peers; i++)
		put_peer(&j, cfg, &cfg->peers[i]);
	kwgi_json_end_array(&j);
	kwgi_json_uint(&j, "schema", SCHEMA);
	put_diags(&j, "warnings", cfg, KWG_WARNING);
	kwgi_json_end_object(&j);
}
