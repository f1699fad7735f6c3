/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The encapsulating tunnel as a device. Ours is bound to the node's private
 * address, so that it can live beside a tunnel that is bound to none: tunl0,
 * which Kilo, Calico and the kernel itself use. Others' devices are used with
 * flannel and cilium, as Kilo does (pkg/encapsulation/flannel.go, cilium.go).
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "steps/desired_tunnel.h"
#include "steps/mark.h"

static const char flannel_device[] = "flannel.1";
/* What cilium makes of tunl0 with enable-ipip-termination. */
static const char cilium_device[] = "cilium_tunl";

const char *kwgi_desired_foreign_tunnel(const struct kwg_plan *plan, const struct kwgi_host *h)
{
	const char *chosen = plan->cfg->local.tunnel_interface;

	if (!kwgi_plan_needs_tunnel(plan))
		return NULL;
	switch ((enum kwgi_compatibility)plan->cfg->mesh.compatibility) {
	case KWGI_COMPAT_FLANNEL:
		return chosen ? chosen : flannel_device;
	case KWGI_COMPAT_CILIUM:
		return h && !chosen && kwgi_host_link(h, cilium_device) ? cilium_device : NULL;
	case KWGI_COMPAT_NONE:
		break;
	}
	return NULL;
}

/* ---- neighbours ------------------------------------------------------ */

int kwgi_neigh_cmp(const struct kwgi_host_neigh *a, const struct kwgi_host_neigh *b)
{
	if (a->fdb != b->fdb)
		return a->fdb ? 1 : -1;
	return a->fdb ? memcmp(a->mac, b->mac, sizeof(a->mac)) : kwgi_addr_cmp(&a->addr, &b->addr);
}

static int by_key(const void *a, const void *b)
{
	return kwgi_neigh_cmp(a, b);
}

/* Does a route need to know who has a link-local address? A host without IPv6 cannot have them. */
static bool uses_link_local(const struct kwg_plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->n_routes; i++) {
		const struct kwgi_route *r = &plan->routes[i];

		if (r->role == KWGI_ROLE_TUNL && r->gw.family == KWGI_AF_V6 && r->gw.b[0] == 0xfe &&
		    r->gw.b[1] == 0x80)
			return true;
	}
	return false;
}

static int build_neighs(struct kwgi_desired_tunnel *t, struct kwgi_arena *a,
			const struct kwg_plan *plan)
{
	const struct kwgi_segment *s = plan->segment;
	bool link_local = uses_link_local(plan);
	struct kwgi_host_neigh n;
	uint32_t i;

	t->neighs = kwgi_arena_alloc(a, 3 * (size_t)s->n, sizeof(*t->neighs));
	if (!t->neighs)
		return -1;
	for (i = 0; i < s->n; i++) {
		const struct kwgi_node *m = s->members[i];

		if (kwgi_addr_equal(&m->internal_ip.addr, &plan->node->internal_ip.addr))
			continue;
		n = (struct kwgi_host_neigh){ .addr = m->internal_ip.addr };
		kwgi_encap_mac(n.mac, plan->cfg->mesh.name, m->name);
		if (n.addr.family == KWGI_AF_V4)
			t->neighs[t->n_neighs++] = n;
		n.fdb = true;
		t->neighs[t->n_neighs++] = n;
		n.fdb = false;
		n.addr = kwgi_encap_link_local(n.mac);
		if (link_local)
			t->neighs[t->n_neighs++] = n;
	}
	if (t->n_neighs)
		qsort(t->neighs, t->n_neighs, sizeof(*t->neighs), by_key);
	return 0;
}

/* ---- devices --------------------------------------------------------- */

static int use_foreign(struct kwgi_desired_tunnel *t, const struct kwgi_host *h, const char *name,
		       struct kwg_error *err)
{
	if (!kwgi_host_link(h, name))
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "%s: there is no such interface; with compatibility = flannel, flannel has to make it (tunnel-interface names another)",
				 name);
	memcpy(t->name, name, strlen(name) + 1);
	/* Cilium may leave its device down (Kilo: pkg/encapsulation/cilium.go, Init). */
	t->set_up = !strcmp(name, cilium_device);
	return 0;
}

/* Cilium's own address is where other nodes send IPIP packets to, by way of its overlay. */
static int local_address(const struct kwgi_addr **out, const struct kwg_plan *plan,
			 struct kwg_error *err)
{
	const struct kwgi_node *n = plan->node;

	*out = &n->internal_ip.addr;
	if (plan->cfg->mesh.compatibility != KWGI_COMPAT_CILIUM)
		return 0;
	*out = &n->cni_ip.addr;
	if (n->cni_ip.addr.family)
		return 0;
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "node \"%.100s\" has no cni-compatibility-ip, and there is no interface %s; compatibility = cilium needs one of them for a tunnel",
			 n->name, cilium_device);
}

static int check_families(const struct kwg_plan *plan, const struct kwgi_addr *local,
			  struct kwg_error *err)
{
	char text[KWGI_ADDR_TEXT];

	if (local->family == KWGI_AF_V4 || kwgi_plan_has_vxlan(plan))
		return 0;
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "node \"%.100s\" has the IPv6 address %s, and IPIP goes over IPv4 only; set encapsulation-protocol = vxlan, or encapsulation = never",
			 plan->node->name, kwgi_addr_format(text, local));
}

static int build_own(struct kwgi_desired_tunnel *t, struct kwgi_arena *a,
		     const struct kwg_plan *plan, const struct kwgi_host *h, struct kwg_error *err)
{
	const struct kwg_config *cfg = plan->cfg;
	bool vxlan = kwgi_plan_has_vxlan(plan);
	uint32_t protocol = vxlan ? KWGI_ENCAP_VXLAN : KWGI_ENCAP_IPIP;
	const struct kwgi_addr *local;
	const struct kwgi_link *lower;
	int ret = local_address(&local, plan, err);

	if (!ret)
		ret = check_families(plan, local, err);
	if (ret)
		return ret;
	/* Without its address there is none, and what would go over it is left out. */
	lower = kwgi_host_link_with_addr(h, local);
	if (!lower)
		return 0;
	t->kind = kwgi_encap_protocol_name(protocol);
	kwgi_encap_device(t->name, &cfg->local, protocol);
	kwgi_mark_tunnel(t->alias, cfg->mesh.name, (uint8_t)cfg->local.route_protocol);
	t->conf.local = *local;
	t->mtu = kwgi_encap_mtu(protocol, local->family, lower->mtu);
	t->addr = plan->tunl_addr;
	if (!vxlan)
		return 0;
	t->conf.id = kwgi_encap_vxlan_id(&cfg->mesh);
	t->conf.port = (uint16_t)cfg->mesh.vxlan_port;
	kwgi_encap_mac(t->conf.mac, cfg->mesh.name, plan->node->name);
	return build_neighs(t, a, plan) ? kwgi_nomem(err) : 0;
}

int kwgi_desired_tunnel(struct kwgi_desired_tunnel *t, struct kwgi_arena *a,
			const struct kwg_plan *plan, const struct kwgi_host *h,
			struct kwg_error *err)
{
	const char *foreign = kwgi_desired_foreign_tunnel(plan, h);

	if (foreign)
		return use_foreign(t, h, foreign, err);
	return kwgi_plan_needs_tunnel(plan) ? build_own(t, a, plan, h, err) : 0;
}
