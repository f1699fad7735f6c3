/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "steps/around.h"

/* ---- forwarding ------------------------------------------------------ */

static void add_link(struct kwgi_around *a, const struct kwgi_link *l)
{
	uint32_t i;

	if (!l || a->n_links == KWGI_AROUND_LINKS)
		return;
	for (i = 0; i < a->n_links; i++)
		if (!strcmp(a->links[i].name, l->name))
			return;
	memcpy(a->links[a->n_links].name, l->name, sizeof(l->name));
	a->links[a->n_links++].accept_ra = -1;
}

static const struct kwgi_link *pod_link(const struct kwg_plan *plan, const struct kwgi_host *h)
{
	const struct kwgi_cidrs *pods = &plan->node->pod_cidrs;
	uint32_t i, j;

	for (i = 0; i < h->n_addrs; i++)
		for (j = 0; j < pods->n; j++)
			if (kwgi_prefix_contains(&pods->v[j].prefix, &h->addrs[i].prefix.addr))
				return kwgi_host_link_by_index(h, h->addrs[i].ifindex);
	return NULL;
}

/*
 * Members send to other locations through the tunnel, from addresses to which the main table
 * has a way beside it. For the kernel's own filter there are rules, for "iif" WireGuard.
 */
static void look_for_path_filter(struct kwgi_around *a, const struct kwgi_desired *w,
				 const struct kwgi_host *h)
{
	uint32_t i;

	for (i = 0; i < w->n_rules && !a->path_filter; i++) {
		const char *filter = h->path_filter[w->rules[i].family == KWGI_AF_V6];

		if (*w->rules[i].iif && *filter)
			a->path_filter = filter;
	}
}

void kwgi_around_list(struct kwgi_around *a, const struct kwg_plan *plan,
		      const struct kwgi_desired *w, const struct kwgi_host *h)
{
	const struct kwgi_link *pods = pod_link(plan, h), *own = NULL;

	look_for_path_filter(a, w, h);
	if (kwgi_node_has_private_ip(plan->node))
		own = kwgi_host_link_with_addr(h, &plan->node->internal_ip.addr);
	if (!pods && !(plan->leader && plan->segment->n > 1))
		return;
	if (plan->leader)
		add_link(a, kwgi_host_link(h, w->ifname));
	add_link(a, pods);
	if (plan->segment->n > 1) {
		add_link(a, own);
		add_link(a, kwgi_host_link(h, w->tunnel.name));
	}
}

bool kwgi_around_forwards(const struct kwgi_around *a, const struct kwgi_desired *w, uint8_t family)
{
	uint32_t i;

	for (i = 0; a->n_links && i < w->n_routes; i++)
		if (w->routes[i].route.dst.addr.family == family)
			return true;
	return false;
}

static void find_forwarding(const struct kwgi_around *a, const struct kwgi_desired *w,
			    struct kwgi_findings *f)
{
	bool v4 = kwgi_around_forwards(a, w, KWGI_AF_V4);
	uint32_t i;

	if (v4 && a->off4)
		kwgi_findings_say(f, true, "forwarding-off",
				  "this host does not forward IPv4 packets of other nodes and of pods; sysctl -w net.ipv4.ip_forward=1, and the same in a file of /etc/sysctl.d");
	for (i = 0; v4 && !a->off4 && i < a->n_links; i++)
		if (a->links[i].off)
			kwgi_findings_say(f, true, "forwarding-off",
					  "IPv4 packets that arrive on %s are not forwarded; sysctl -w net.ipv4.conf.%s.forwarding=1, and find the program that disabled it",
					  a->links[i].name, a->links[i].name);
	if (kwgi_around_forwards(a, w, KWGI_AF_V6) && a->off6)
		kwgi_findings_say(f, true, "forwarding-off",
				  "this host does not forward IPv6 packets of other nodes and of pods; sysctl -w net.ipv6.conf.all.forwarding=1, and the same in a file of /etc/sysctl.d");
}

/* linux/Documentation/networking/ip-sysctl.rst, accept_ra. */
static void find_accept_ra(const struct kwgi_around *a, const struct kwgi_desired *w,
			   struct kwgi_findings *f)
{
	uint32_t i;

	for (i = 0; kwgi_around_forwards(a, w, KWGI_AF_V6) && i < a->n_links; i++)
		if (a->links[i].ra && a->links[i].accept_ra == 1)
			kwgi_findings_say(f, false, "accept-ra",
					  "the IPv6 default route over %s comes from router advertisements, which a host that forwards ignores; sysctl -w net.ipv6.conf.%s.accept_ra=2",
					  a->links[i].name, a->links[i].name);
}

/* ---- the private network --------------------------------------------- */

/* A cloud that gives each host a /32, such as Hetzner and Google have it. */
static void find_gateway(const struct kwgi_desired *w, struct kwgi_findings *f)
{
	char node[KWGI_ADDR_TEXT], gw[KWGI_ADDR_TEXT];

	if (w->behind.family)
		kwgi_findings_say(f, false, "behind-gateway",
				  "%s of this location is reached through the gateway %s, which needs routes to the networks of the mesh; add them there, or set encapsulation = always in [mesh], which needs none",
				  kwgi_addr_format(node, &w->behind), kwgi_addr_format(gw, &w->gateway));
}

/* ---- port and pods --------------------------------------------------- */

void kwgi_around_put_holder(struct kwgi_buf *out, const struct kwgi_around *a)
{
	if (a->holder > 0)
		kwgi_buf_printf(out, "%s (process %ld)", a->holder_name, a->holder);
	else
		kwgi_buf_puts(out, a->holder ? "a process that cannot be seen from here"
					     : "the kernel, for another interface (ip -d link: wireguard, vxlan)");
}

static void find_port(const struct kwgi_around *a, const struct kwg_plan *plan,
		      struct kwgi_findings *f)
{
	struct kwgi_buf text = { 0 }, remedy = { 0 };

	if (!a->port_held)
		return;
	kwgi_buf_printf(&text, "port %u/udp is held by ", plan->port);
	kwgi_around_put_holder(&text, a);
	kwgi_buf_puts(&remedy, "stop it, or give this node another port: endpoint in [node], or port in [local]");
	kwgi_findings_add(f, true, "port-held", &text, &remedy);
}

void kwgi_around_judge(const struct kwgi_around *a, const struct kwg_plan *plan,
		       const struct kwgi_desired *w, struct kwgi_findings *f)
{
	find_forwarding(a, w, f);
	find_accept_ra(a, w, f);
	find_port(a, plan, f);
	find_gateway(w, f);
	if (a->path_filter)
		kwgi_findings_say(f, false, "path-filter",
				  "the chain %s drops packets that nodes of this location send to others through this one, unless it accepts them before its reverse path check; let it accept iifname \"%s\" (NixOS: networking.firewall.extraReversePathFilterRules, or checkReversePath = \"loose\")",
				  a->path_filter, w->tunnel.name);
	if (*a->cni_first)
		kwgi_findings_say(f, true, "cni-order",
				  "%s sorts before %s, so the container runtime uses that file for pods; rename one of the two (cni-path), or remove the unused one",
				  a->cni_first, plan->cfg->local.cni_path);
}

/* ---- the configuration ----------------------------------------------- */

static void put_lack(struct kwgi_buf *b, bool lacks, const char *key)
{
	if (lacks)
		kwgi_buf_printf(b, "%s%s", b->len ? ", " : "", key);
}

/* lacks is emptied. */
static void tell_left_out(const struct kwg_config *cfg, const char *kind, const char *name,
			  struct kwgi_place at, struct kwgi_buf *lacks, struct kwgi_findings *f)
{
	struct kwgi_buf text = { 0 }, remedy = { 0 };
	char place[KWGI_PLACE_TEXT];

	kwgi_buf_printf(&text, "%s %s takes no part in the mesh: it has no %s", kind,
			name && *name ? name : "without a name", lacks->p ? lacks->p : "");
	kwgi_buf_printf(&remedy, "see %s", kwgi_diags_place(&cfg->diags, place, at));
	f->failed |= lacks->failed;
	kwgi_buf_free(lacks);
	kwgi_findings_add(f, false, "left-out", &text, &remedy);
}

void kwgi_around_left_out(const struct kwg_config *cfg, struct kwgi_findings *f)
{
	bool strict = kwgi_mesh_is_strict(cfg);
	struct kwgi_buf lacks = { 0 };
	uint32_t i;

	for (i = 0; i < cfg->n_nodes; i++) {
		const struct kwgi_node *n = &cfg->nodes[i];

		if (kwgi_node_is_ready(n))
			continue;
		put_lack(&lacks, !n->name || !*n->name, "name");
		put_lack(&lacks, kwgi_key_is_zero(&n->key), "public-key");
		put_lack(&lacks, !kwgi_node_has_way(n, strict), kwgi_mesh_requires_way(strict));
		put_lack(&lacks, strict && !n->pod_cidrs.n, "pod-cidr");
		tell_left_out(cfg, "node", n->name, n->at, &lacks, f);
	}
	for (i = 0; i < cfg->n_peers; i++) {
		const struct kwgi_peer *p = &cfg->peers[i];

		if (kwgi_peer_is_ready(p))
			continue;
		put_lack(&lacks, !p->name || !*p->name, "name");
		put_lack(&lacks, kwgi_key_is_zero(&p->key), "public-key");
		put_lack(&lacks, !p->allowed_ips.n, "allowed-ip");
		tell_left_out(cfg, "peer", p->name, p->at, &lacks, f);
	}
}

static void add_diags(const struct kwgi_diags *d, struct kwgi_findings *f)
{
	struct kwgi_buf text = { 0 };
	uint32_t i;

	for (i = 0; i < d->n; i++) {
		const struct kwg_diag *diag = &d->v[i].diag;

		if (diag->severity != KWG_WARNING)
			continue;
		if (diag->line)
			kwgi_buf_printf(&text, "%s:%u: ", diag->file, diag->line);
		if (*diag->key)
			kwgi_buf_printf(&text, "%s: ", diag->key);
		kwgi_buf_puts(&text, diag->text);
		kwgi_findings_add(f, false, "configuration", &text, NULL);
	}
}

void kwgi_around_warnings(const struct kwg_plan *plan, struct kwgi_findings *f)
{
	add_diags(&plan->cfg->diags, f);
	add_diags(&plan->diags, f);
}
