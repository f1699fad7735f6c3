/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Firewall rules of a plan, as purposes. Which address is masqueraded and
 * which is not follows Kilo (pkg/mesh/routes.go, Rules, and
 * pkg/encapsulation/ipip.go); the text form is that of iptables.
 */
#include "plan/plan.h"

struct rule_form {
	const char *table, *chain;
	const char *match;		/* "-s", "-d", or what stands there instead of a network */
	const char *comment;		/* NULL: from the reason */
	const char *target;		/* NULL: the rule makes the chain */
	bool comment_first;		/* iptables prints what was added last first */
};

static const struct rule_form forms[] = {
	[KWGI_FW_NAT_CHAIN] = { "nat", "KILO-NAT", NULL, NULL, NULL, false },
	[KWGI_FW_NAT_SERVICE] = { "nat", "KILO-NAT", "-d",
		"do not NAT packets destined for service CIDRs", "RETURN", false },
	[KWGI_FW_NAT_REST] = { "nat", "KILO-NAT", "", "NAT remaining packets", "MASQUERADE", false },
	[KWGI_FW_NAT_JUMP_POD] = { "nat", "POSTROUTING", "-s", "jump to KILO-NAT chain",
		"KILO-NAT", false },
	[KWGI_FW_NAT_JUMP_SRC] = { "nat", "POSTROUTING", "-s", "jump to NAT chain",
		"KILO-NAT", false },
	[KWGI_FW_NAT_JUMP_DST] = { "nat", "POSTROUTING", "-d", "jump to NAT chain",
		"KILO-NAT", false },
	[KWGI_FW_NAT_WIREGUARD] = { "nat", "KILO-NAT", "-d",
		"do not NAT packets destined for WireGuared IPs", "RETURN", false },
	[KWGI_FW_NAT_KNOWN] = { "nat", "KILO-NAT", "-d",
		"do not NAT packets destined for known IPs", "RETURN", false },
	[KWGI_FW_NAT_PEER] = { "nat", "KILO-NAT", "-d",
		"do not NAT packets destined for peers", "RETURN", false },
	[KWGI_FW_FORWARD_SRC] = { "filter", "FORWARD", "-s", NULL, "ACCEPT", true },
	[KWGI_FW_FORWARD_DST] = { "filter", "FORWARD", "-d", NULL, "ACCEPT", true },
	[KWGI_FW_TUNL_CHAIN] = { "filter", "KILO-IPIP", NULL, NULL, NULL, false },
	[KWGI_FW_TUNL_JUMP] = { "filter", "INPUT", "-p ipencap ", "jump to IPIP chain",
		"KILO-IPIP", false },
	[KWGI_FW_TUNL_ACCEPT] = { "filter", "KILO-IPIP", "-s", "allow IPIP traffic",
		"ACCEPT", false },
	[KWGI_FW_TUNL_DROP] = { "filter", "INPUT", "-p ipencap ", "reject other IPIP traffic",
		"DROP", false },
};

/* The same for VXLAN, which Kilo does not know. */
static const struct rule_form vxlan_forms[] = {
	[KWGI_FW_TUNL_CHAIN] = { "filter", "KILO-VXLAN", NULL, NULL, NULL, false },
	[KWGI_FW_TUNL_JUMP] = { "filter", "INPUT", NULL, "jump to VXLAN chain", "KILO-VXLAN", false },
	[KWGI_FW_TUNL_ACCEPT] = { "filter", "KILO-VXLAN", "-s", "allow VXLAN traffic",
		"ACCEPT", false },
	[KWGI_FW_TUNL_DROP] = { "filter", "INPUT", NULL, "reject other VXLAN traffic",
		"DROP", false },
};

static const char *const reasons[] = {
	[KWGI_FW_POD] = "the pod subnet",
	[KWGI_FW_LOCATION] = "allowed location IPs",
	[KWGI_FW_PRIVATE] = "private IPs",
	[KWGI_FW_NODE_POD] = "the node's pod subnet",
};

static void put_match(struct kwgi_buf *b, const struct rule_form *f, const struct kwgi_fw_rule *r)
{
	if (f->match)
		kwgi_buf_puts(b, f->match);
	else
		kwgi_buf_printf(b, "-p udp --dport %u ", r->port);
	if (!r->net.addr.family)
		return;
	kwgi_buf_putc(b, ' ');
	kwgi_buf_prefix(b, &r->net);
	kwgi_buf_putc(b, ' ');
}

static void put_comment(struct kwgi_buf *b, const struct rule_form *f,
			const struct kwgi_fw_rule *r)
{
	kwgi_buf_puts(b, "-m comment --comment \"Kilo: ");
	if (f->comment) {
		kwgi_buf_puts(b, f->comment);
	} else {
		kwgi_buf_puts(b, r->kind == KWGI_FW_FORWARD_SRC ? "forward packets from "
								: "forward packets to ");
		kwgi_buf_puts(b, reasons[r->reason]);
	}
	kwgi_buf_puts(b, "\" ");
}

void kwgi_firewall_format(struct kwgi_buf *b, const struct kwgi_fw_rule *r)
{
	const struct rule_form *f = r->port ? &vxlan_forms[r->kind] : &forms[r->kind];

	kwgi_buf_puts(b, r->family == KWGI_AF_V4 ? "4 " : "6 ");
	kwgi_buf_puts(b, f->table);
	kwgi_buf_puts(b, f->target ? " -A " : " -N ");
	kwgi_buf_puts(b, f->chain);
	if (!f->target)
		return;
	kwgi_buf_putc(b, ' ');
	if (f->comment_first)
		put_comment(b, f, r);
	put_match(b, f, r);
	if (!f->comment_first)
		put_comment(b, f, r);
	kwgi_buf_puts(b, "-j ");
	kwgi_buf_puts(b, f->target);
}

bool kwgi_fw_is_of_default(const struct kwgi_fw_rule *r)
{
	return r->net.addr.family && !r->net.len &&
	       (r->kind == KWGI_FW_NAT_PEER || r->kind == KWGI_FW_NAT_JUMP_SRC);
}

/* ---- which rules ----------------------------------------------------- */

static int add(struct kwg_plan *plan, struct kwgi_fw_rules *list, enum kwgi_fw_kind kind,
	       const struct kwgi_prefix *net)
{
	if (kwgi_arena_grow(&plan->arena, &list->v, list->n, &list->cap, sizeof(*list->v)))
		return -1;
	list->v[list->n++] = (struct kwgi_fw_rule){
		.kind = (uint8_t)kind, .family = net->addr.family, .net = *net,
	};
	return 0;
}

/* A rule of no network, for both families. */
static int add_both(struct kwg_plan *plan, struct kwgi_fw_rules *list, enum kwgi_fw_kind kind)
{
	static const struct kwgi_prefix none;
	int err = 0;

	err |= add(plan, list, kind, &none);
	err |= add(plan, list, kind, &none);
	if (err)
		return -1;
	list->v[list->n - 2].family = KWGI_AF_V4;
	list->v[list->n - 1].family = KWGI_AF_V6;
	return 0;
}

static int add_cidrs(struct kwg_plan *plan, struct kwgi_fw_rules *list, enum kwgi_fw_kind kind,
		     const struct kwgi_cidrs *cidrs)
{
	uint32_t i;

	for (i = 0; i < cidrs->n; i++)
		if (add(plan, list, kind, &cidrs->v[i].prefix))
			return -1;
	return 0;
}

static int add_forward(struct kwg_plan *plan, const struct kwgi_prefix *net,
		       enum kwgi_fw_reason reason)
{
	struct kwgi_fw_rules *list = &plan->nat.prepend;

	if (add(plan, list, KWGI_FW_FORWARD_SRC, net) || add(plan, list, KWGI_FW_FORWARD_DST, net))
		return -1;
	list->v[list->n - 2].reason = (uint8_t)reason;
	list->v[list->n - 1].reason = (uint8_t)reason;
	return 0;
}

static int add_forward_cidrs(struct kwg_plan *plan, const struct kwgi_cidrs *cidrs,
			     enum kwgi_fw_reason reason)
{
	uint32_t i;

	for (i = 0; i < cidrs->n; i++)
		if (add_forward(plan, &cidrs->v[i].prefix, reason))
			return -1;
	return 0;
}

/* A leader forwards for its whole segment, others for their own pods. */
static int build_forward(struct kwg_plan *plan)
{
	const struct kwgi_segment *s = plan->segment;
	struct kwgi_prefix host;
	uint32_t i;

	if (!plan->leader)
		return add_forward_cidrs(plan, &plan->node->pod_cidrs, KWGI_FW_NODE_POD);
	for (i = 0; i < s->n; i++)
		if (add_forward_cidrs(plan, &s->members[i]->pod_cidrs, KWGI_FW_POD))
			return -1;
	for (i = 0; i < s->location_ips.n; i++)
		if (add_forward(plan, &s->location_ips.v[i], KWGI_FW_LOCATION))
			return -1;
	for (i = 0; s->has_private_ips && i < s->n; i++) {
		host = kwgi_prefix_host(&s->members[i]->internal_ip.addr);
		if (add_forward(plan, &host, KWGI_FW_PRIVATE))
			return -1;
	}
	return 0;
}

static int build_segment(struct kwg_plan *plan, const struct kwgi_segment *s)
{
	struct kwgi_fw_rules *list = &plan->nat.prepend;
	struct kwgi_prefix wg = kwgi_prefix_host(&s->wg_ip);
	uint32_t i;

	if (add(plan, list, KWGI_FW_NAT_WIREGUARD, &wg))
		return -1;
	for (i = 0; i < s->allowed_ips.n; i++)
		if (add(plan, list, KWGI_FW_NAT_KNOWN, &s->allowed_ips.v[i]))
			return -1;
	for (i = 0; s == plan->segment && i < s->location_ips.n; i++)
		if (add(plan, list, KWGI_FW_NAT_JUMP_DST, &s->location_ips.v[i]))
			return -1;
	return 0;
}

static int build_peer(struct kwg_plan *plan, const struct kwgi_mesh_peer *p)
{
	struct kwgi_fw_rules *list = &plan->nat.prepend;
	uint32_t i;

	for (i = 0; i < p->allowed_ips.n; i++)
		if (add(plan, list, KWGI_FW_NAT_JUMP_SRC, &p->allowed_ips.v[i]) ||
		    add(plan, list, KWGI_FW_NAT_PEER, &p->allowed_ips.v[i]))
			return -1;
	return 0;
}

static int build_nat(struct kwg_plan *plan)
{
	const struct kwg_config *cfg = plan->cfg;
	struct kwgi_fw_rules *append = &plan->nat.append;
	uint32_t i;

	if (add_both(plan, append, KWGI_FW_NAT_CHAIN) ||
	    add_cidrs(plan, append, KWGI_FW_NAT_SERVICE, &cfg->mesh.service_cidrs) ||
	    add_both(plan, append, KWGI_FW_NAT_REST))
		return -1;
	if (cfg->local.cni && add_cidrs(plan, &plan->nat.prepend, KWGI_FW_NAT_JUMP_POD,
					&plan->node->pod_cidrs))
		return -1;
	if (cfg->local.cni && cfg->local.forward_rules && build_forward(plan))
		return -1;
	for (i = 0; i < plan->topo->n_segments; i++)
		if (build_segment(plan, &plan->topo->segments[i]))
			return -1;
	for (i = 0; i < plan->topo->n_peers; i++)
		if (build_peer(plan, &plan->topo->peers[i]))
			return -1;
	return 0;
}

/* Members of the segment of the node's location, even if the node itself stands alone. */
static int build_tunnel(struct kwg_plan *plan)
{
	const struct kwgi_topology *t = plan->topo;
	struct kwgi_fw_rules *append = &plan->tunl_fw.append;
	struct kwgi_prefix host;
	uint32_t i, j;

	if (add_both(plan, append, KWGI_FW_TUNL_CHAIN) ||
	    add_both(plan, append, KWGI_FW_TUNL_JUMP) || add_both(plan, append, KWGI_FW_TUNL_DROP))
		return -1;
	for (i = 0; i < t->n_segments; i++) {
		const struct kwgi_segment *s = &t->segments[i];

		if (!kwgi_segment_is_location(s, plan->node->location))
			continue;
		for (j = 0; j < s->n; j++) {
			host = kwgi_prefix_host(&s->members[j]->internal_ip.addr);
			if (add(plan, &plan->tunl_fw.prepend, KWGI_FW_TUNL_ACCEPT, &host))
				return -1;
		}
	}
	return 0;
}

static void set_port(struct kwgi_fw_rules *list, uint16_t port)
{
	uint32_t i;

	for (i = 0; i < list->n; i++)
		list->v[i].port = port;
}

int kwgi_firewall_build(struct kwg_plan *plan)
{
	if (plan->cfg->local.firewall == KWGI_FIREWALL_NONE)
		return 0;
	if (build_nat(plan))
		return -1;
	/* Kilo filters where it manages the routes; what receives VXLAN here always does. */
	if (!plan->tunl_addr.addr.family &&
	    !(kwgi_plan_has_vxlan(plan) && kwgi_plan_needs_tunnel(plan)))
		return 0;
	if (build_tunnel(plan))
		return -1;
	if (kwgi_plan_has_vxlan(plan)) {
		set_port(&plan->tunl_fw.append, (uint16_t)plan->cfg->mesh.vxlan_port);
		set_port(&plan->tunl_fw.prepend, (uint16_t)plan->cfg->mesh.vxlan_port);
	}
	return 0;
}
