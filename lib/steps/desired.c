/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "steps/desired.h"
#include "steps/desired_rules.h"
#include "steps/mark.h"
#include "steps/names.h"

/* ---- peers ----------------------------------------------------------- */

static int by_prefix(const void *a, const void *b)
{
	return kwgi_prefix_cmp(a, b);
}

static void sort_allowed(struct kwgi_host_peer *p)
{
	uint32_t i, n = 0;

	if (p->n_allowed_ips)
		qsort(p->allowed_ips, p->n_allowed_ips, sizeof(*p->allowed_ips), by_prefix);
	for (i = 0; i < p->n_allowed_ips; i++)
		if (!n || !kwgi_prefix_equal(&p->allowed_ips[n - 1], &p->allowed_ips[i]))
			p->allowed_ips[n++] = p->allowed_ips[i];
	p->n_allowed_ips = n;
}

static int set_allowed(struct kwgi_arena *a, struct kwgi_host_peer *p,
		       const struct kwgi_prefixes *more)
{
	uint32_t n = p->n_allowed_ips;
	struct kwgi_prefix *v = kwgi_arena_alloc(a, n + (size_t)more->n + 1, sizeof(*v));

	if (!v)
		return -1;
	if (n)
		memcpy(v, p->allowed_ips, n * sizeof(*v));
	if (more->n)
		memcpy(v + n, more->v, more->n * sizeof(*v));
	p->allowed_ips = v;
	p->n_allowed_ips = n + more->n;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct kwgi_desired_peer *x = a, *y = b;
	int c = kwgi_key_cmp(&x->peer.key, &y->peer.key);

	return c ? c : strcmp(x->name, y->name);
}

static struct kwgi_endpoint endpoint_of(const struct kwgi_wg_peer *p,
				     const struct kwgi_endpoint *found)
{
	struct kwgi_endpoint e = p->endpoint;

	if (kwgi_names_is_named(p))
		return *found;
	if (e.port && e.host)
		e.addr = p->endpoint_address;
	e.host = NULL;
	return e;
}

static int add_peer(struct kwgi_desired *w, const struct kwgi_wg_peer *from,
		    const struct kwgi_key *psk, const struct kwgi_endpoint *found)
{
	struct kwgi_desired_peer *to = &w->peers[w->n_peers++];

	/* For one with a name, what WireGuard has learnt has had its say (steps/names.c). */
	*to = (struct kwgi_desired_peer){
		.name = from->name,
		.keep_endpoint = from->roams && !kwgi_names_is_named(from),
		.peer = { .key = from->key, .psk = *psk, .keepalive = from->keepalive,
			  .endpoint = endpoint_of(from, found) },
	};
	return set_allowed(&w->arena, &to->peer, &from->allowed_ips);
}

/*
 * A peer that has the key of a node is one WireGuard peer with the allowed
 * IPs of both; the first one's endpoint counts if it has any.
 */
static int merge_same_keys(struct kwgi_desired *w)
{
	uint32_t i, n = 0;

	for (i = 0; i < w->n_peers; i++) {
		struct kwgi_host_peer *p = &w->peers[i].peer, *last = n ? &w->peers[n - 1].peer : NULL;
		struct kwgi_prefixes more = { p->allowed_ips, p->n_allowed_ips };

		if (!last || kwgi_key_cmp(&last->key, &p->key)) {
			w->peers[n++] = w->peers[i];
			continue;
		}
		if (set_allowed(&w->arena, last, &more))
			return -1;
		if (!last->endpoint.port)
			last->endpoint = p->endpoint;
		if (kwgi_key_is_zero(&last->psk))
			last->psk = p->psk;
	}
	w->n_peers = n;
	return 0;
}

int kwgi_desired_peers(struct kwgi_desired *w, const struct kwg_plan *plan,
		      const struct kwgi_resolved *resolved)
{
	uint32_t i;

	w->peers = kwgi_arena_alloc(&w->arena, plan->n_peers + 1u, sizeof(*w->peers));
	if (!w->peers)
		return -1;
	for (i = 0; i < plan->n_peers; i++) {
		/* WireGuard ignores itself as a peer (wireguard: netlink.c, set_peer). */
		if (!kwgi_key_cmp(&plan->peers[i].key, &w->public_key))
			continue;
		if (add_peer(w, &plan->peers[i], &resolved->psks[i], &resolved->endpoints[i]))
			return -1;
	}
	if (w->n_peers)
		qsort(w->peers, w->n_peers, sizeof(*w->peers), by_key);
	if (merge_same_keys(w))
		return -1;
	for (i = 0; i < w->n_peers; i++)
		sort_allowed(&w->peers[i].peer);
	return 0;
}

/* ---- routes ---------------------------------------------------------- */

struct devices {
	const char *names[KWGI_N_ROLES];
	uint32_t index[KWGI_N_ROLES];	/* 0: not there yet */
};

static void set_device(struct devices *d, enum kwgi_role role, const struct kwgi_link *l)
{
	d->names[role] = l->name;
	d->index[role] = l->index;
}

/* Links that are missing have no name. */
static void find_devices(struct devices *d, const struct kwgi_desired *w,
			 const struct kwg_plan *plan, const struct kwgi_host *h)
{
	const struct kwgi_link *l = kwgi_host_link(h, plan->cfg->local.interface);

	d->names[KWGI_ROLE_KILO] = plan->cfg->local.interface;
	if (l)
		set_device(d, KWGI_ROLE_KILO, l);
	l = kwgi_node_has_private_ip(plan->node)
		    ? kwgi_host_link_with_addr(h, &plan->node->internal_ip.addr) : NULL;
	if (l)
		set_device(d, KWGI_ROLE_PRIV, l);
	if (*w->tunnel.name)
		d->names[KWGI_ROLE_TUNL] = w->tunnel.name;
	l = kwgi_host_link(h, w->tunnel.name);
	if (l)
		set_device(d, KWGI_ROLE_TUNL, l);
}

uint32_t kwgi_desired_metric(const struct kwgi_local *local, uint8_t family)
{
	return family == KWGI_AF_V6 && local->route_metric == KWGI_METRIC6_DEFAULT ? 0
										     : local->route_metric;
}

/* A source that the host does not have would be refused; without one the kernel finds one itself. */
static void set_source(struct kwgi_host_route *r, const struct devices *d)
{
	if (!d->names[KWGI_ROLE_PRIV])
		r->src = (struct kwgi_addr){ 0 };
}

/* 0.0.0.0/0 and ::/0 never go into the main table: see desired_rules.h. */
static uint32_t table_of(const struct kwg_config *cfg, const struct kwgi_route *r)
{
	if (!r->dst.len)
		return cfg->local.default_table;
	return r->in_table ? cfg->local.route_table : KWGI_TABLE_MAIN;
}

static int build_routes(struct kwgi_desired *w, const struct kwg_plan *plan,
			const struct devices *d)
{
	uint32_t i;

	w->routes = kwgi_arena_alloc(&w->arena, plan->n_routes + 1u, sizeof(*w->routes));
	if (!w->routes)
		return -1;
	for (i = 0; i < plan->n_routes; i++) {
		const struct kwgi_route *r = &plan->routes[i];
		struct kwgi_desired_route *to = &w->routes[w->n_routes];

		if (!r->dst.len && !kwgi_default_is_taken(&w->default_way, r->dst.addr.family))
			continue;
		if (!d->names[r->role]) {
			w->no_internal_ip = true;
			w->n_without_internal_ip++;
			continue;
		}
		*to = (struct kwgi_desired_route){
			.link = d->names[r->role], .plain = r->role == KWGI_ROLE_PRIV,
			.route = {
				.dst = r->dst, .gw = r->gw, .src = r->src,
				.oif = d->index[r->role], .onlink = r->onlink,
				.table = table_of(plan->cfg, r),
				.metric = kwgi_desired_metric(&plan->cfg->local, r->dst.addr.family),
				.protocol = w->protocol,
			},
		};
		set_source(&to->route, d);
		w->n_routes++;
	}
	return 0;
}

static int build_closed(struct kwgi_desired *w, const struct kwg_plan *plan)
{
	uint32_t i;

	w->closed = kwgi_arena_alloc(&w->arena, plan->n_closed + 1u, sizeof(*w->closed));
	if (!w->closed)
		return -1;
	for (i = 0; i < plan->n_closed; i++)
		w->closed[w->n_closed++] = (struct kwgi_host_route){
			.dst = plan->closed[i].dst, .metric = KWGI_METRIC_CLOSED, .closed = true,
			.table = plan->closed[i].in_table ? plan->cfg->local.route_table : KWGI_TABLE_MAIN,
			.protocol = w->protocol,
		};
	return 0;
}

/* Is it in a network of the device, so that it answers there itself? */
static bool is_on_link(const struct kwgi_host *h, uint32_t link, const struct kwgi_addr *a)
{
	uint32_t i;

	for (i = 0; i < h->n_addrs; i++) {
		const struct kwgi_host_addr *own = &h->addrs[i];
		struct kwgi_prefix net = own->prefix;

		if (own->ifindex != link)
			continue;
		if (own->peer.family)
			net.addr = own->peer;
		if (kwgi_prefix_contains(&net, a))
			return true;
	}
	return false;
}

const struct kwgi_addr *kwgi_desired_next_neighbour(const struct kwgi_desired *w,
						    const struct kwgi_host *h, uint32_t *i)
{
	const struct kwgi_addr *last = *i ? &w->routes[*i - 1].route.gw : NULL;

	for (; *i < w->n_routes; ++*i) {
		const struct kwgi_desired_route *r = &w->routes[*i];

		if (!r->plain || (last && kwgi_addr_equal(last, &r->route.gw)))
			continue;
		if (!strcmp(r->link, "lo") || !is_on_link(h, r->route.oif, &r->route.gw))
			return &w->routes[(*i)++].route.gw;
	}
	return NULL;
}

void kwgi_desired_set_way(struct kwgi_desired *w, const struct kwgi_host *h,
			  const struct kwgi_addr *to, const struct kwgi_host_route *way)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(h, way->oif);
	struct kwgi_addr gw = *to;
	uint32_t i;

	if (!l || !strcmp(l->name, w->ifname) || !strcmp(l->name, "lo"))
		return;
	for (i = 0; i < w->n_routes; i++) {
		struct kwgi_desired_route *r = &w->routes[i];

		if (!r->plain || !kwgi_addr_equal(&r->route.gw, &gw))
			continue;
		r->link = l->name;
		r->route.oif = l->index;
		if (way->gw.family == gw.family)
			r->route.gw = way->gw;
	}
	if (way->gw.family == gw.family) {
		w->behind = gw;
		w->gateway = way->gw;
	}
}

/* ---- the whole ------------------------------------------------------- */

static void set_common(struct kwgi_desired *w, const struct kwg_config *cfg)
{
	w->mesh = cfg->mesh.name;
	w->protocol = (uint8_t)cfg->local.route_protocol;
	w->subnet = cfg->mesh.subnet;
	w->create = cfg->local.create_interface && cfg->local.backend != KWGI_BACKEND_EXTERNAL;
}

void kwgi_desired_nothing(struct kwgi_desired *w, const struct kwg_config *cfg)
{
	set_common(w, cfg);
	w->keep_link = !cfg->local.clean_up_interface;
}

int kwgi_desired_closed(struct kwgi_desired *w, const struct kwg_plan *plan, struct kwg_error *err)
{
	set_common(w, plan->cfg);
	w->closed_only = true;
	return build_closed(w, plan) ? kwgi_nomem(err) : 0;
}

static int build_rules(struct kwgi_desired *w, const struct kwg_plan *plan)
{
	struct kwgi_desired_rules r = {
		.protocol = w->protocol, .ifname = w->ifname, .tunnel = *w->tunnel.name,
		.default_way = &w->default_way,
	};
	int ret = kwgi_desired_rules(&r, &w->arena, plan);

	w->rules = r.rules;
	w->n_rules = r.n_rules;
	return ret;
}

int kwgi_desired_build(struct kwgi_desired *w, const struct kwg_plan *plan,
		      const struct kwgi_host *h, const struct kwgi_resolved *resolved,
		      struct kwg_error *err)
{
	const struct kwg_config *cfg = plan->cfg;
	struct devices d = { 0 };
	int ret;

	set_common(w, cfg);
	w->node = plan->node->name;
	w->n_nodes = plan->topo->n_nodes;
	w->ifname = cfg->local.interface;
	kwgi_mark_format(w->alias, w->mesh, w->protocol, plan->port, !w->create);
	w->up = plan->leader;
	w->mtu = w->path_mtu = cfg->local.mtu;
	if (plan->leader)
		w->addr = plan->wg_cidr;
	kwgi_default_decide(&w->default_way, plan, h);
	w->wg = (struct kwgi_wg_device_conf){
		.private_key = resolved->private_key, .port = (uint16_t)plan->port,
		.fwmark = w->default_way.mark ? w->default_way.mark : cfg->local.fwmark,
	};
	if (kwgi_key_is_zero(&resolved->private_key))
		w->public_key = plan->node->key;
	else if (kwgi_key_public(&w->public_key, &resolved->private_key))
		return kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: the private key has no public key",
				 cfg->local.private_key_file);
	ret = kwgi_desired_tunnel(&w->tunnel, &w->arena, plan, h, err);
	if (ret)
		return ret;
	find_devices(&d, w, plan, h);
	if (kwgi_desired_peers(w, plan, resolved) || build_routes(w, plan, &d) ||
	    build_closed(w, plan) || build_rules(w, plan))
		return kwgi_nomem(err);
	return 0;
}

void kwgi_desired_free(struct kwgi_desired *w)
{
	kwgi_arena_free(&w->arena);
	sodium_memzero(w, sizeof(*w));
}
