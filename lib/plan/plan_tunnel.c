/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Which packets within a location are encapsulated, and to whom they go. */
#include "config/encap.h"
#include "plan/plan.h"

struct kwgi_addr kwgi_plan_gateway(const struct kwg_plan *plan, const struct kwgi_node *m)
{
	switch ((enum kwgi_compatibility)plan->cfg->mesh.compatibility) {
	case KWGI_COMPAT_CILIUM:
		if (m->cni_ip.addr.family)
			return m->cni_ip.addr;
		break;
	case KWGI_COMPAT_FLANNEL:
		break;
	case KWGI_COMPAT_NONE:
		return m->internal_ip.addr;
	}
	/* A node without pods has nothing in the other CNI's overlay. */
	return m->pod_cidrs.n ? m->pod_cidrs.v[0].prefix.addr : m->internal_ip.addr;
}

bool kwgi_plan_has_vxlan(const struct kwg_plan *plan)
{
	const struct kwgi_mesh *mesh = &plan->cfg->mesh;

	return mesh->encap_protocol == KWGI_ENCAP_VXLAN &&
	       mesh->compatibility == KWGI_COMPAT_NONE && mesh->encapsulation != KWGI_ENCAP_NEVER;
}

bool kwgi_plan_is_tunnelled(const struct kwg_plan *plan, const struct kwgi_addr *gw,
			    uint8_t family)
{
	switch ((enum kwgi_encapsulation)plan->cfg->mesh.encapsulation) {
	case KWGI_ENCAP_ALWAYS:
		return true;
	case KWGI_ENCAP_CROSS_SUBNET:
		/* The private network has no next hop for packets of the other family. */
		if (kwgi_plan_has_vxlan(plan) && gw->family != family)
			return true;
		return !kwgi_prefix_contains(&plan->node->internal_ip, gw);
	case KWGI_ENCAP_NEVER:
		break;
	}
	return false;
}

struct kwgi_addr kwgi_plan_tunnel_gateway(const struct kwg_plan *plan, const struct kwgi_node *m,
					  uint8_t family)
{
	struct kwgi_addr gw = kwgi_plan_gateway(plan, m);
	uint8_t mac[KWGI_MAC_LEN];

	/*
	 * IPv6 takes no next hop that another link leads to (net/ipv6/route.c,
	 * ip6_route_check_nh_onlink), and the private network leads to these.
	 */
	if (!kwgi_plan_has_vxlan(plan) || (gw.family == KWGI_AF_V4 && family == KWGI_AF_V4))
		return gw;
	kwgi_encap_mac(mac, plan->cfg->mesh.name, m->name);
	return kwgi_encap_link_local(mac);
}

bool kwgi_plan_needs_tunnel(const struct kwg_plan *plan)
{
	const struct kwgi_mesh *mesh = &plan->cfg->mesh;
	const struct kwgi_segment *s = plan->segment;
	uint32_t i;

	for (i = 0; i < plan->n_routes; i++)
		if (plan->routes[i].role == KWGI_ROLE_TUNL)
			return true;
	if (mesh->encapsulation == KWGI_ENCAP_NEVER || mesh->compatibility == KWGI_COMPAT_FLANNEL ||
	    !kwgi_node_has_private_ip(plan->node) || s->n < 2)
		return false;
	if (mesh->encapsulation == KWGI_ENCAP_ALWAYS || mesh->compatibility == KWGI_COMPAT_CILIUM ||
	    kwgi_plan_has_vxlan(plan))
		return true;
	/* Others may see a border between networks where this node sees none. */
	for (i = 0; i < s->n; i++)
		if (!kwgi_prefix_contains(&s->members[i]->internal_ip, &plan->node->internal_ip.addr))
			return true;
	return false;
}

/*
 * The tunnel device has the address after the pod CIDR's base address (Kilo:
 * mesh.go, with the IPIP encapsulator), on nodes that have, or had but for
 * their administrator, a private address. Without pods it needs none.
 */
void kwgi_plan_set_tunnel_address(struct kwg_plan *plan)
{
	const struct kwg_config *cfg = plan->cfg;
	struct kwgi_addr a;

	if (!cfg->local.manage_local_routes || cfg->mesh.encapsulation == KWGI_ENCAP_NEVER ||
	    cfg->mesh.compatibility == KWGI_COMPAT_FLANNEL)
		return;
	if (!kwgi_node_has_private_ip(plan->node) && !plan->node->internal_ip_off)
		return;
	if (plan->node->pod_cidrs.n && kwgi_addr_add(&a, &plan->node->pod_cidrs.v[0].prefix.addr, 1))
		plan->tunl_addr = kwgi_prefix_host(&a);
}
