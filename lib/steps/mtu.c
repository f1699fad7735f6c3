/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/prefixset.h"
#include "steps/mark.h"
#include "steps/mtu.h"

const struct kwgi_addr kwgi_mtu_anywhere_v4 = { KWGI_AF_V4, { 192, 0, 0, 9 } };
const struct kwgi_addr kwgi_mtu_anywhere_v6 = {
	KWGI_AF_V6, { 0x20, 0x01, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }
};

/* A way, for people. */
struct way {
	const char *name;		/* of the peer, or of the tunnel of the location */
	const struct kwgi_host_path *path;	/* NULL: it is that tunnel */
	const struct kwgi_link *link;
	uint32_t outer, room;		/* outside, inside; 0: nothing is known */
};

struct mtu {
	struct kwgi_desired *w;
	const struct kwg_config *cfg;
	const struct kwg_plan *plan;	/* NULL: there is none */
	const struct kwgi_host *h;
	uint32_t *rooms;		/* of w->peers: what fits; 0: nobody knows */
	uint32_t n_rooms;
	uint32_t cap;			/* for all of them; 0: none */
	bool has_v6;			/* IPv6 goes through the mesh */
	struct way narrowest, widest;	/* of all, each as narrow as its narrowest part */
};

/* ---- where each peer is ---------------------------------------------- */

static int by_key(const void *key, const void *peer)
{
	return kwgi_key_cmp(key, &((const struct kwgi_host_peer *)peer)->key);
}

/* An endpoint that WireGuard has learnt and that stays, see steps.c; NULL if there is none. */
static const struct kwgi_addr *address_in_use(const struct kwgi_host *h,
					      const struct kwgi_desired_peer *p)
{
	const struct kwgi_host_peer *have;

	if (!h->wg.n_peers || (p->peer.endpoint.port && !p->keep_endpoint))
		return NULL;
	have = bsearch(&p->peer.key, h->wg.peers, h->wg.n_peers, sizeof(*have), by_key);
	return have && have->endpoint.port ? &have->endpoint.addr : NULL;
}

static int by_address(const void *a, const void *b)
{
	return kwgi_addr_cmp(a, b);
}

static uint32_t sort_unique(struct kwgi_addr *v, uint32_t n)
{
	uint32_t i, kept = 0;

	qsort(v, n, sizeof(*v), by_address);
	for (i = 0; i < n; i++)
		if (!kept || !kwgi_addr_equal(&v[kept - 1], &v[i]))
			v[kept++] = v[i];
	return kept;
}

int kwgi_mtu_questions(struct kwgi_arena *a, const struct kwgi_desired *w,
		       const struct kwgi_host *h, struct kwgi_addr **v, uint32_t *n)
{
	const struct kwgi_addr *in_use;
	struct kwgi_addr *list = kwgi_arena_alloc(a, 2 * (size_t)w->n_peers + 2, sizeof(*list));
	uint32_t i, count = 0;

	if (!list)
		return KWG_ERR_NOMEM;
	list[count++] = kwgi_mtu_anywhere_v4;
	list[count++] = kwgi_mtu_anywhere_v6;
	for (i = 0; i < w->n_peers; i++) {
		in_use = address_in_use(h, &w->peers[i]);
		if (w->peers[i].peer.endpoint.port)
			list[count++] = w->peers[i].peer.endpoint.addr;
		if (in_use)
			list[count++] = *in_use;
	}
	*n = sort_unique(list, count);
	*v = list;
	return 0;
}

/* ---- what fits ------------------------------------------------------- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static int by_destination(const void *address, const void *path)
{
	return kwgi_addr_cmp(address, &((const struct kwgi_host_path *)path)->to);
}

static const struct kwgi_host_path *find_path(const struct kwgi_host *h, const struct kwgi_addr *to)
{
	if (!h->n_paths)
		return NULL;
	return bsearch(to, h->paths, h->n_paths, sizeof(*h->paths), by_destination);
}

/* Datagrams that would go into the tunnel itself say nothing of the network below it. */
static bool is_mesh_link(const struct mtu *m, const struct kwgi_link *l)
{
	return !strcmp(l->name, m->cfg->local.interface) ||
	       kwgi_mark_is_ours(l->alias, &m->h->owner);
}

/*
 * The largest packet whose datagram fits. WireGuard pads to a multiple of 16, but
 * never beyond the MTU that it goes by (protocol sheet: paper, 5.4.6; wireguard:
 * send.c, calculate_skb_padding), so a packet of just the MTU gets no padding.
 */
static uint32_t room_of(const struct mtu *m, const struct kwgi_addr *to, struct way *way)
{
	const struct kwgi_host_path *path = find_path(m->h, to);
	const struct kwgi_link *link = path && path->oif ? kwgi_host_link_by_index(m->h, path->oif)
							 : NULL;
	uint32_t overhead = to->family == KWGI_AF_V6 ? KWGI_MTU_OVERHEAD_V6 : KWGI_MTU_OVERHEAD_V4;
	uint32_t outer;

	if (!link || !link->mtu || is_mesh_link(m, link))
		return 0;
	outer = smaller(link->mtu, path->mtu);
	if (to->family == KWGI_AF_V6)
		outer = smaller(outer, link->mtu6);
	outer = smaller(outer, UINT16_MAX);
	outer = outer > overhead ? outer : overhead + 1;
	if (!way->room || outer - overhead < way->room) {
		way->path = path;
		way->link = link;
		way->outer = outer;
		way->room = outer - overhead;
	}
	return outer - overhead;
}

static uint32_t room_anywhere(const struct mtu *m, struct way *way)
{
	return smaller(room_of(m, &kwgi_mtu_anywhere_v4, way),
		       room_of(m, &kwgi_mtu_anywhere_v6, way));
}

/* One that has no endpoint, or none to which there is a way, may turn up anywhere. */
static uint32_t room_of_peer(const struct mtu *m, const struct kwgi_desired_peer *p,
			     struct way *way)
{
	const struct kwgi_addr *in_use = address_in_use(m->h, p);
	uint32_t room = 0;

	if (p->peer.endpoint.port)
		room = room_of(m, &p->peer.endpoint.addr, way);
	if (!room)
		room = room_anywhere(m, way);
	return in_use ? smaller(room, room_of(m, in_use, way)) : room;
}

static void note_way(struct mtu *m, const struct way *way)
{
	if (!way->room)
		return;
	if (!m->narrowest.room || way->room < m->narrowest.room)
		m->narrowest = *way;
	if (way->room > m->widest.room)
		m->widest = *way;
}

static int measure_peers(struct mtu *m)
{
	struct way way;
	uint32_t i;

	m->rooms = kwgi_arena_alloc(&m->w->arena, m->w->n_peers + 1u, sizeof(*m->rooms));
	if (!m->rooms)
		return KWG_ERR_NOMEM;
	for (i = 0; i < m->w->n_peers; i++) {
		way = (struct way){ .name = m->w->peers[i].name };
		m->rooms[m->n_rooms++] = room_of_peer(m, &m->w->peers[i], &way);
		note_way(m, &way);
	}
	if (m->n_rooms)
		return 0;
	/* A follower, whose interface is down; its pods still want to know. */
	way = (struct way){ 0 };
	m->rooms[m->n_rooms++] = room_anywhere(m, &way);
	note_way(m, &way);
	return 0;
}

/*
 * Between the leader and the others of its location packets of pods travel in
 * another tunnel. What comes out of WireGuard has to fit in there; nothing larger
 * comes the other way.
 */
static void measure_location(struct mtu *m)
{
	const struct kwgi_desired_tunnel *t = &m->w->tunnel;
	const struct kwgi_link *l = kwgi_host_link(m->h, t->name);
	struct way way = { .name = t->name };

	if (!*t->name)
		return;
	m->cap = t->kind ? t->mtu : l ? l->mtu : 0;
	way.outer = way.room = m->cap;
	if (m->cap && m->cap < m->widest.room)
		m->widest = way;
	if (m->cap && (!m->narrowest.room || m->cap < m->narrowest.room))
		m->narrowest = way;
}

/* ---- the interface --------------------------------------------------- */

static bool has_v6(const struct mtu *m)
{
	uint32_t i, j;

	if (m->w->addr.addr.family == KWGI_AF_V6)
		return true;
	for (i = 0; i < m->w->n_peers; i++)
		for (j = 0; j < m->w->peers[i].peer.n_allowed_ips; j++)
			if (m->w->peers[i].peer.allowed_ips[j].addr.family == KWGI_AF_V6)
				return true;
	for (i = 0; m->plan && i < m->plan->n_routes; i++)
		if (m->plan->routes[i].dst.addr.family == KWGI_AF_V6)
			return true;
	return false;
}

static uint32_t floor_of(bool v6)
{
	return v6 ? KWGI_MTU_MIN_V6 : KWGI_MTU_MIN_V4;
}

static uint32_t within(uint32_t mtu, bool v6)
{
	if (mtu < floor_of(v6))
		return floor_of(v6);
	return mtu < KWGI_MTU_MAX ? mtu : KWGI_MTU_MAX;
}

/*
 * The MTU of a route to peer i, 0 for that of the interface. A daemon of
 * userspace does not know by which route a packet came, and pads up to the MTU
 * of the interface; so a smaller one has to be a multiple of 16.
 */
static uint32_t route_mtu(const struct mtu *m, uint32_t i, bool v6)
{
	uint32_t room = smaller(m->rooms[i], m->cap);

	if (!room || room >= m->w->mtu)
		return 0;
	if (m->w->userspace)
		room &= ~15u;
	room = within(room, v6);
	return room < m->w->mtu ? room : 0;
}

static void set_interface(struct mtu *m)
{
	uint32_t i, room, largest = 0;

	for (i = 0; i < m->n_rooms; i++) {
		room = smaller(m->rooms[i], m->cap);
		if (room > largest)
			largest = room;
	}
	if (largest)
		m->w->mtu = within(largest, m->has_v6);
	else if (!m->n_rooms && m->w->create)
		m->w->mtu = KWGI_MTU_DEFAULT;	/* no peers: as when it was made */
}

/* What passes to every peer. */
static void set_path_mtu(struct mtu *m)
{
	const struct kwgi_link *l = kwgi_host_link(m->h, m->cfg->local.interface);
	uint32_t i, mtu = m->w->mtu;

	if (!mtu)
		mtu = l && l->mtu ? l->mtu : KWGI_MTU_DEFAULT;
	m->w->path_mtu = mtu;
	for (i = 0; m->w->mtu && i < m->n_rooms; i++)
		m->w->path_mtu = smaller(m->w->path_mtu, route_mtu(m, i, m->has_v6));
}

/* ---- routes ---------------------------------------------------------- */

static int build_owners(struct mtu *m, struct kwgi_prefixset *owners)
{
	uint32_t i, j;

	for (i = 0; i < m->w->n_peers; i++) {
		const struct kwgi_host_peer *p = &m->w->peers[i].peer;

		for (j = 0; j < p->n_allowed_ips; j++)
			if (kwgi_prefixset_add(owners, &m->w->arena, &p->allowed_ips[j], i))
				return KWG_ERR_NOMEM;
	}
	kwgi_prefixset_build(owners);
	return 0;
}

static bool through_mesh(const struct mtu *m, const struct kwgi_desired_route *r)
{
	return r->link && !strcmp(r->link, m->cfg->local.interface);
}

static bool has_route(const struct mtu *m, const struct kwgi_prefix *dst)
{
	uint32_t i;

	for (i = 0; i < m->w->n_routes; i++)
		if (kwgi_prefix_equal(&m->w->routes[i].route.dst, dst))
			return true;
	return false;
}

/*
 * The address of the interface brings a route to the whole mesh along, which has
 * no MTU of its own; addresses of peers that need one get a route.
 */
static void add_mesh_routes(struct mtu *m, uint32_t i)
{
	const struct kwgi_host_peer *p = &m->w->peers[i].peer;
	const struct kwgi_link *l = kwgi_host_link(m->h, m->cfg->local.interface);
	uint32_t j, mtu;

	for (j = 0; j < p->n_allowed_ips; j++) {
		const struct kwgi_prefix *dst = &p->allowed_ips[j];

		mtu = route_mtu(m, i, dst->addr.family == KWGI_AF_V6);
		if (!mtu || dst->len < m->w->addr.len ||
		    !kwgi_prefix_contains(&m->w->addr, &dst->addr) || has_route(m, dst))
			continue;
		m->w->routes[m->w->n_routes++] = (struct kwgi_desired_route){
			.link = m->cfg->local.interface,
			.route = { .dst = *dst, .oif = l ? l->index : 0, .table = KWGI_TABLE_MAIN,
				   .metric = kwgi_desired_metric(&m->cfg->local, dst->addr.family),
				   .mtu = mtu, .protocol = m->w->protocol },
		};
	}
}

static int make_room_for_routes(struct mtu *m)
{
	size_t i, most = m->w->n_routes;
	struct kwgi_desired_route *v;

	for (i = 0; i < m->w->n_peers; i++)
		most += m->w->peers[i].peer.n_allowed_ips;
	v = kwgi_arena_alloc(&m->w->arena, most + 1, sizeof(*v));
	if (!v)
		return KWG_ERR_NOMEM;
	if (m->w->n_routes)
		memcpy(v, m->w->routes, m->w->n_routes * sizeof(*v));
	m->w->routes = v;
	return 0;
}

static bool is_uniform(const struct mtu *m)
{
	uint32_t i;

	for (i = 0; i < m->n_rooms; i++)
		if (route_mtu(m, i, false))
			return false;
	return true;
}

static int set_routes(struct mtu *m)
{
	struct kwgi_prefixset owners = { 0 };
	uint32_t i, item;

	if (!m->w->n_peers || !m->w->mtu || is_uniform(m))
		return 0;
	if (build_owners(m, &owners) || make_room_for_routes(m))
		return KWG_ERR_NOMEM;
	for (i = 0; i < m->w->n_routes; i++) {
		struct kwgi_desired_route *r = &m->w->routes[i];

		item = through_mesh(m, r) ? kwgi_prefixset_find(&owners, &r->route.dst) : KWGI_NO_ITEM;
		if (item != KWGI_NO_ITEM)
			r->route.mtu = route_mtu(m, owners.v[item].value,
						 r->route.dst.addr.family == KWGI_AF_V6);
	}
	for (i = 0; m->w->addr.addr.family && i < m->w->n_peers; i++)
		add_mesh_routes(m, i);
	return 0;
}

/* ---- remarks --------------------------------------------------------- */

static bool is_anywhere(const struct kwgi_addr *a)
{
	return kwgi_addr_equal(a, &kwgi_mtu_anywhere_v4) || kwgi_addr_equal(a, &kwgi_mtu_anywhere_v6);
}

static void put_way(struct kwgi_buf *b, const struct way *n)
{
	if (!n->path) {
		kwgi_buf_printf(b, "the tunnel %s within the location", n->name);
		return;
	}
	if (is_anywhere(&n->path->to)) {
		kwgi_buf_puts(b, "the default route");
	} else {
		kwgi_buf_printf(b, "the path to %.100s at ", n->name);
		kwgi_buf_addr(b, &n->path->to);
	}
	kwgi_buf_printf(b, " over %s", n->link->name);
}

/* Why the interface has its MTU. */
static int explain(struct mtu *m)
{
	const struct way *n = &m->widest;
	struct kwgi_buf b = { 0 };

	if (!m->w->mtu || !n->room)
		return 0;
	kwgi_buf_printf(&b, "mtu %u: ", m->w->mtu);
	put_way(&b, n);
	kwgi_buf_printf(&b, " has %u", n->outer);
	if (n->outer != n->room)
		kwgi_buf_printf(&b, ", and WireGuard takes %u", n->outer - n->room);
	m->w->mtu_note = b.failed ? NULL : kwgi_arena_strndup(&m->w->arena, b.p, b.len);
	kwgi_buf_free(&b);
	return m->w->mtu_note ? 0 : KWG_ERR_NOMEM;
}

static int warn(struct mtu *m)
{
	const struct way *n = &m->narrowest;
	uint32_t least = floor_of(m->has_v6), overhead = n->outer - n->room;
	struct kwgi_buf b = { 0 };

	if (!n->room || n->room >= least)
		return 0;
	put_way(&b, n);
	kwgi_buf_printf(&b, " has an MTU of %u", n->outer);
	if (overhead)
		kwgi_buf_printf(&b, ", which leaves %u bytes inside", n->room);
	kwgi_buf_printf(&b, "; %s needs %u, so larger packets will go in fragments: give that network an MTU of at least %u",
			m->has_v6 ? "IPv6" : "IPv4", least, least + overhead);
	m->w->mtu_warning = b.failed ? NULL : kwgi_arena_strndup(&m->w->arena, b.p, b.len);
	kwgi_buf_free(&b);
	return m->w->mtu_warning ? 0 : KWG_ERR_NOMEM;
}

/* ---- the tunnel ------------------------------------------------------ */

/* With less, it would have no IPv6 at all; an IPIP tunnel never has. */
static void set_tunnel(struct kwgi_desired *w, const struct kwg_plan *plan)
{
	struct kwgi_desired_tunnel *t = &w->tunnel;
	uint32_t i;

	if (!t->kind || !plan || strcmp(t->kind, "vxlan") || t->mtu >= KWGI_MTU_MIN_V6)
		return;
	for (i = 0; i < plan->n_routes; i++)
		if (plan->routes[i].role == KWGI_ROLE_TUNL &&
		    plan->routes[i].dst.addr.family == KWGI_AF_V6)
			t->mtu = KWGI_MTU_MIN_V6;
}

/* ---- the whole ------------------------------------------------------- */

static int decide(struct kwgi_desired *w, const struct kwg_config *cfg, const struct kwg_plan *plan,
		  const struct kwgi_host *h)
{
	struct mtu m = { .w = w, .cfg = cfg, .plan = plan, .h = h };

	w->mtu = w->path_mtu = cfg->local.mtu;
	if (cfg->local.mtu != KWGI_MTU_AUTO)
		return 0;
	m.has_v6 = has_v6(&m);
	if (measure_peers(&m))
		return KWG_ERR_NOMEM;
	measure_location(&m);
	set_interface(&m);
	set_path_mtu(&m);
	return set_routes(&m) || explain(&m) || warn(&m) ? KWG_ERR_NOMEM : 0;
}

int kwgi_mtu_decide(struct kwgi_desired *w, const struct kwg_config *cfg,
		    const struct kwg_plan *plan, const struct kwgi_host *h)
{
	int ret = decide(w, cfg, plan, h);

	set_tunnel(w, plan);
	return ret;
}
