/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "steps/desired.h"
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

/* ---- routes and rules ------------------------------------------------ */

struct devices {
	const char *names[KWGI_N_ROLES];
	uint32_t index[KWGI_N_ROLES];	/* 0: not there yet */
};

static bool uses_role(const struct kwg_plan *plan, enum kwgi_role role)
{
	uint32_t i;

	for (i = 0; i < plan->n_routes; i++)
		if (plan->routes[i].role == role)
			return true;
	return false;
}

static void set_device(struct devices *d, enum kwgi_role role, const struct kwgi_link *l)
{
	d->names[role] = l->name;
	d->index[role] = l->index;
}

static int find_devices(struct devices *d, const struct kwgi_desired *w,
			const struct kwg_plan *plan, const struct kwgi_host *h,
			struct kwg_error *err)
{
	const struct kwgi_link *l = kwgi_host_link(h, plan->cfg->local.interface);
	int ret;

	d->names[KWGI_ROLE_KILO] = plan->cfg->local.interface;
	if (l)
		set_device(d, KWGI_ROLE_KILO, l);
	if (uses_role(plan, KWGI_ROLE_PRIV)) {
		ret = kwgi_desired_link_of(&l, plan, h, &plan->node->internal_ip.addr,
					  "internal-ip", err);
		if (ret)
			return ret;
		set_device(d, KWGI_ROLE_PRIV, l);
	}
	d->names[KWGI_ROLE_TUNL] = w->tunnel.name;
	l = kwgi_host_link(h, w->tunnel.name);
	if (l)
		set_device(d, KWGI_ROLE_TUNL, l);
	return 0;
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

		w->routes[w->n_routes++] = (struct kwgi_desired_route){
			.link = d->names[r->role],
			.route = {
				.dst = r->dst, .gw = r->gw, .src = r->src,
				.oif = d->index[r->role], .onlink = r->onlink,
				.table = r->in_table ? plan->cfg->local.route_table : KWGI_TABLE_MAIN,
				.protocol = w->protocol,
			},
		};
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

static int by_rule_and_place(const void *a, const void *b)
{
	const struct kwgi_host_rule *x = *(const struct kwgi_host_rule *const *)a;
	const struct kwgi_host_rule *y = *(const struct kwgi_host_rule *const *)b;
	int c = kwgi_host_rule_cmp(x, y);

	return c ? c : x < y ? -1 : 1;
}

/* Several members of a location may share an address, and so a rule. The first one counts. */
static int drop_repeated_rules(struct kwgi_desired *w)
{
	const struct kwgi_host_rule **v = kwgi_arena_alloc(&w->arena, w->n_rules + 1u, sizeof(*v));
	bool *again = kwgi_arena_alloc(&w->arena, w->n_rules + 1u, sizeof(*again));
	uint32_t i, n = 0;

	if (!v || !again)
		return -1;
	for (i = 0; i < w->n_rules; i++)
		v[i] = &w->rules[i];
	if (w->n_rules)
		qsort(v, w->n_rules, sizeof(*v), by_rule_and_place);
	for (i = 1; i < w->n_rules; i++)
		again[v[i] - w->rules] = !kwgi_host_rule_cmp(v[i - 1], v[i]);
	for (i = 0; i < w->n_rules; i++)
		if (!again[i])
			w->rules[n++] = w->rules[i];
	w->n_rules = n;
	return 0;
}

static int build_rules(struct kwgi_desired *w, const struct kwg_plan *plan)
{
	uint32_t i;

	w->rules = kwgi_arena_alloc(&w->arena, plan->n_rules + 1u, sizeof(*w->rules));
	if (!w->rules)
		return -1;
	for (i = 0; i < plan->n_rules; i++) {
		const struct kwgi_rule *r = &plan->rules[i];
		struct kwgi_host_rule *to = &w->rules[w->n_rules++];

		*to = (struct kwgi_host_rule){
			.src = r->src, .dst = r->dst, .family = r->dst.addr.family,
			.table = plan->cfg->local.route_table,
			.priority = KWGI_RULE_PRIORITY, .protocol = w->protocol,
		};
		if (r->iif_kilo)
			memcpy(to->iif, w->ifname, strlen(w->ifname) + 1);
	}
	return drop_repeated_rules(w);
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
	w->wg = (struct kwgi_wg_device_conf){
		.private_key = resolved->private_key, .port = (uint16_t)plan->port,
		.fwmark = cfg->local.fwmark,
	};
	if (kwgi_key_public(&w->public_key, &resolved->private_key))
		return kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: the private key has no public key",
				 cfg->local.private_key_file);
	ret = kwgi_desired_tunnel(&w->tunnel, &w->arena, plan, h, err);
	if (!ret)
		ret = find_devices(&d, w, plan, h, err);
	if (ret)
		return ret;
	if (kwgi_desired_peers(w, plan, resolved) || build_routes(w, plan, &d) || build_closed(w, plan) ||
	    build_rules(w, plan))
		return kwgi_nomem(err);
	return 0;
}

void kwgi_desired_free(struct kwgi_desired *w)
{
	kwgi_arena_free(&w->arena);
	sodium_memzero(w, sizeof(*w));
}
