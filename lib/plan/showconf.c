/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* WireGuard configuration texts as kgctl showconf prints them. */
#include "config/json.h"
#include "plan/showconf.h"

void kwgi_showconf_leader(const struct kwg_plan *plan, const struct kwgi_key *psks,
			  struct kwgi_buf *b)
{
	uint32_t i;

	kwgi_buf_printf(b, "[Interface]\nListenPort = %u\n", plan->port);
	for (i = 0; i < plan->n_peers; i++) {
		kwgi_buf_putc(b, '\n');
		kwgi_wg_format_peer(b, &plan->peers[i], &psks[i]);
	}
}

int kwgi_showconf_segment(struct kwg_plan *plan, struct kwgi_buf *b)
{
	struct kwgi_wg_peer p;

	(void)kwgi_wg_segment(&p, NULL, plan->topo, plan->node, plan->segment, false);
	/*
	 * For machines outside: the endpoint as configured (Kilo: AsPeer), and
	 * each allowed IP once (kgctl: DeduplicateIPs).
	 */
	p.endpoint = plan->segment->leader->endpoint;
	if (kwgi_wg_list_once(&p, &plan->arena))
		return -1;
	kwgi_wg_format_peer(b, &p, NULL);
	return 0;
}

/* ---- outside peers --------------------------------------------------- */

static int add_route(struct kwgi_peer_view *v, const struct kwgi_prefix *dst,
		     const struct kwgi_addr *gw)
{
	bool has_gw = gw && gw->family == dst->addr.family;

	if (kwgi_arena_grow(&v->arena, &v->routes, v->n_routes, &v->routes_cap,
			    sizeof(*v->routes)))
		return -1;
	v->routes[v->n_routes++] = (struct kwgi_route){
		.dst = *dst, .gw = has_gw ? *gw : (struct kwgi_addr){ 0 },
		.role = KWGI_ROLE_KILO, .onlink = has_gw,
	};
	return 0;
}

static int add_routes(struct kwgi_peer_view *v, const struct kwgi_prefix *dst, size_t n,
		      const struct kwgi_addr *gw)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (add_route(v, &dst[i], gw))
			return -1;
	return 0;
}

/* Every pod CIDR, every private address, every allowed location IP, then the gateway itself. */
static int add_segment_routes(struct kwgi_peer_view *v, const struct kwgi_segment *s)
{
	struct kwgi_prefix host = kwgi_prefix_host(&s->wg_ip);
	uint32_t i, k;

	for (i = 0; i < s->n; i++)
		for (k = 0; k < s->members[i]->pod_cidrs.n; k++)
			if (add_route(v, &s->members[i]->pod_cidrs.v[k].prefix, &s->wg_ip))
				return -1;
	for (i = 0; s->has_private_ips && i < s->n; i++) {
		struct kwgi_prefix ip = kwgi_prefix_host(&s->members[i]->internal_ip.addr);

		if (add_route(v, &ip, &s->wg_ip))
			return -1;
	}
	if (add_routes(v, s->location_ips.v, s->location_ips.n, &s->wg_ip))
		return -1;
	return add_route(v, &host, NULL);
}

static int build_routes(struct kwgi_peer_view *v, const struct kwgi_topology *t,
			const struct kwgi_prefix *extra, size_t n_extra)
{
	uint32_t i;

	for (i = 0; i < t->n_segments; i++)
		if (add_segment_routes(v, &t->segments[i]))
			return -1;
	for (i = 0; i < t->n_peers; i++)
		if (t->peers[i].peer != v->peer &&
		    add_routes(v, t->peers[i].allowed_ips.v, t->peers[i].allowed_ips.n, NULL))
			return -1;
	if (t->n_segments && add_routes(v, extra, n_extra, &t->segments[0].wg_ip))
		return -1;
	return kwgi_routes_settle(&v->arena, v->routes, &v->n_routes, &v->diags);
}

int kwgi_peer_view_build(struct kwgi_peer_view *v, const struct kwgi_topology *t,
			 const struct kwgi_node *viewpoint, const struct kwgi_mesh_peer *p,
			 const struct kwgi_prefix *extra, size_t n_extra)
{
	uint32_t i;

	v->diags.arena = &v->arena;
	v->peer = p->peer;
	v->peers = kwgi_arena_alloc(&v->arena, t->n_segments + (size_t)t->n_peers + 1,
				    sizeof(*v->peers));
	if (!v->peers)
		return -1;
	for (i = 0; i < t->n_segments; i++)
		if (kwgi_wg_segment(&v->peers[v->n_peers++], &v->arena, t, viewpoint,
				    &t->segments[i], true))
			return -1;
	for (i = 0; i < t->n_peers; i++)
		if (&t->peers[i] != p)
			kwgi_wg_peer(&v->peers[v->n_peers++], t, viewpoint, &t->peers[i]);
	for (i = 0; i < v->n_peers; i++)
		v->peers[i].keepalive = p->peer->keepalive;
	if (kwgi_wg_settle(v->peers, v->n_peers, &v->arena, &v->diags))
		return -1;
	return build_routes(v, t, extra, n_extra);
}

void kwgi_peer_view_conf(const struct kwgi_peer_view *v, const struct kwgi_key *psk,
			 struct kwgi_buf *b)
{
	uint32_t i;

	/* The preshared key is between this peer and the mesh, not between two peers. */
	for (i = 0; i < v->n_peers; i++) {
		if (i)
			kwgi_buf_putc(b, '\n');
		kwgi_wg_format_peer(b, &v->peers[i], v->peers[i].is_segment ? psk : NULL);
	}
}

void kwgi_peer_view_json(const struct kwgi_peer_view *v, const char *conf, struct kwgi_buf *b)
{
	struct kwgi_json j = { .b = b };
	struct kwgi_buf line = { 0 };
	uint32_t i;

	kwgi_json_object(&j, NULL);
	kwgi_json_string(&j, "conf", conf);
	kwgi_json_array(&j, "routes");
	for (i = 0; i < v->n_routes; i++) {
		line.len = 0;
		kwgi_route_format(&line, &v->routes[i], kwgi_role_names, 0);
		kwgi_json_string(&j, NULL, line.p ? line.p : "");
	}
	kwgi_json_end_array(&j);
	kwgi_json_end_object(&j);
	b->failed |= line.failed;
	kwgi_buf_free(&line);
}
