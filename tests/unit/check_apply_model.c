/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Steps carried out on a host that exists in memory only: it has to become
 * what is wanted, and to be as before once they are undone, all of them or
 * those before a step that fails.
 */
#include "steps/restore.h"
#include "world.h"

enum { ROUNDS = 4000, NEW_WG = 6 /* index of the one in the place of WG */ };

/* ---- a host that steps can be carried out on -------------------------- */

static void set_public(struct kwgi_host_wg *wg)
{
	/* In here the public key of key(n) is key(n + 1). */
	wg->public_key = kwgi_key_is_zero(&wg->private_key) ? key(0) : key(wg->private_key.b[0] + 1u);
}

static struct kwgi_link *find_link(struct world *o, const char *name)
{
	uint32_t i;

	for (i = 0; i < o->h.n_links; i++)
		if (!strcmp(o->links[i].name, name))
			return &o->links[i];
	return NULL;
}

static uint32_t index_of(struct world *o, const char *name)
{
	const struct kwgi_link *l = find_link(o, name);

	return l ? l->index : 0;
}

static void forget_device(struct world *o)
{
	memset(&o->h.wg, 0, sizeof(o->h.wg));
	o->h.wg.peers = o->host_peers;
}

static void remove_routes_of(struct world *o, uint32_t oif)
{
	uint32_t i;

	for (i = o->h.n_routes; i-- > 0;)
		if (o->host_routes[i].oif == oif)
			REMOVE(o->host_routes, o->h.n_routes, i);
}

/* As the kernel: what hangs on a link goes with it. */
static void link_del(struct world *o, const char *name)
{
	uint32_t i, oif = index_of(o, name);
	bool is_tunnel;

	ck_assert_msg(oif, "no link %s", name);
	is_tunnel = kwgi_mark_is_tunnel(find_link(o, name)->alias);
	remove_routes_of(o, oif);
	for (i = o->h.n_addrs; i-- > 0;)
		if (o->addrs[i].ifindex == oif)
			REMOVE(o->addrs, o->h.n_addrs, i);
	for (i = o->h.n_neighs; i-- > 0;)
		if (o->neighs[i].ifindex == oif)
			REMOVE(o->neighs, o->h.n_neighs, i);
	for (i = 0; i < o->h.n_links; i++)
		if (o->links[i].index == oif)
			REMOVE(o->links, o->h.n_links, i);
	if (!strcmp(name, "wg0"))
		forget_device(o);
	else if (!is_tunnel)
		memset(&o->h.aside_wg, 0, sizeof(o->h.aside_wg));
}

static void link_add(struct world *o, const struct kwgi_step *s, const char *alias)
{
	static uint32_t next_index = 1000;
	const struct kwgi_tunnel *t = s->u.link_alias.tunnel;
	struct kwgi_link *l;
	uint32_t i;

	ck_assert_msg(!index_of(o, s->link), "there is a link %s", s->link);
	/* As the kernel: one IPIP tunnel for two addresses, one VXLAN for identifier and port. */
	for (i = 0; t && i < o->h.n_links; i++) {
		const struct kwgi_tunnel *u = &o->links[i].tunnel;

		ck_assert_msg(strcmp(s->u.link_alias.kind, o->links[i].kind) ||
				      (t->port ? t->id != u->id || t->port != u->port
					       : !kwgi_addr_equal(&t->local, &u->local)),
			      "%s excludes %s", o->links[i].name, s->link);
	}
	l = add_link(o, t ? next_index++ : kwgi_host_link_by_index(&o->h, WG) ? NEW_WG : WG, s->link,
		     s->u.link_alias.kind, alias);
	l->up = false;
	if (t) {
		l->tunnel = *t;
		l->mtu = s->u.link_alias.mtu;
	} else {
		o->h.wg.present = true;
	}
}

static void link_set(struct world *o, const struct kwgi_step *s, bool undo)
{
	uint32_t i;

	for (i = 0; i < o->h.n_links && strcmp(o->links[i].name, s->link); i++)
		;
	ck_assert_msg(i < o->h.n_links, "no link %s", s->link);
	if (s->kind == KWGI_STEP_LINK_ALIAS) {
		const char *alias = undo ? s->u.link_alias.old_alias : s->u.link_alias.alias;

		memcpy(o->links[i].alias, alias, strlen(alias) + 1);
	} else if (s->kind == KWGI_STEP_LINK_MTU) {
		o->links[i].mtu = undo ? s->u.link_mtu.old_mtu : s->u.link_mtu.mtu;
	} else {
		o->links[i].up = (s->kind == KWGI_STEP_LINK_UP) != undo;
		if (!o->links[i].up)
			remove_routes_of(o, o->links[i].index);
	}
}

static void set_device_aside(struct world *o)
{
	o->h.aside_wg = o->h.wg;
	memcpy(o->old_peers, o->host_peers, sizeof(o->old_peers));
	o->h.aside_wg.peers = o->old_peers;
	forget_device(o);
}

static void take_device_back(struct world *o)
{
	o->h.wg = o->h.aside_wg;
	memcpy(o->host_peers, o->old_peers, sizeof(o->host_peers));
	o->h.wg.peers = o->host_peers;
	memset(&o->h.aside_wg, 0, sizeof(o->h.aside_wg));
}

/* The device goes with its name: h.wg is that of wg0. */
static void link_rename(struct world *o, const struct kwgi_step *s, bool undo)
{
	const char *name = s->u.link_name.name, *to = undo ? s->link : name;
	struct kwgi_link *l = find_link(o, undo ? name : s->link);

	ck_assert_ptr_nonnull(l);
	ck_assert_msg(!l->up && !find_link(o, to), "%s cannot be renamed to %s", l->name, to);
	memcpy(l->name, to, strlen(to) + 1);
	if (kwgi_mark_is_tunnel(l->alias))
		return;
	if (undo)
		take_device_back(o);
	else
		set_device_aside(o);
}

/* Which device the step is about must not depend on what else has, or had, its name. */
static void check_device(struct world *o, const struct kwgi_step *s)
{
	const struct kwgi_link *l = find_link(o, s->link);

	ck_assert_msg(l != NULL, "no link %s", s->link);
	ck_assert_msg(s->userspace == (strcmp(l->kind, "wireguard") != 0), "a step for the other %s", s->link);
}

static void set_device(struct world *o, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_wg_device_conf *c = undo ? &s->u.wg.old : &s->u.wg.conf;

	if (s->parts & KWGI_WG_PRIVATE_KEY)
		o->h.wg.private_key = c->private_key;
	set_public(&o->h.wg);
	if (s->parts & KWGI_WG_PORT)
		o->h.wg.port = c->port;
	if (s->parts & KWGI_WG_FWMARK)
		o->h.wg.fwmark = c->fwmark;
}

static uint32_t find_peer(const struct world *o, const struct kwgi_key *k)
{
	uint32_t i;

	for (i = 0; i < o->h.wg.n_peers && kwgi_key_cmp(&o->host_peers[i].key, k); i++)
		;
	return i;
}

static void remove_ip(struct kwgi_host_peer *p, const struct kwgi_prefix *ip)
{
	uint32_t i;

	for (i = p->n_allowed_ips; i-- > 0;)
		if (kwgi_prefix_equal(&p->allowed_ips[i], ip))
			REMOVE(p->allowed_ips, p->n_allowed_ips, i);
}

/* WireGuard routes an allowed IP to one peer: the one before loses it. */
static void take_ip(struct world *o, struct kwgi_host_peer *p, const struct kwgi_prefix *ip)
{
	uint32_t i;

	for (i = 0; i < o->h.wg.n_peers; i++)
		remove_ip(&o->host_peers[i], ip);
	ck_assert_uint_lt(p->n_allowed_ips, MAX_IPS);
	for (i = p->n_allowed_ips++; i && kwgi_prefix_cmp(&p->allowed_ips[i - 1], ip) > 0; i--)
		p->allowed_ips[i] = p->allowed_ips[i - 1];
	p->allowed_ips[i] = *ip;
}

static struct kwgi_host_peer *new_peer(struct world *o, const struct kwgi_key *k)
{
	static struct kwgi_prefix ips[MAX_THINGS][MAX_IPS];
	static unsigned next;
	uint32_t i = o->h.wg.n_peers++;

	for (; i && kwgi_key_cmp(&o->host_peers[i - 1].key, k) > 0; i--)
		o->host_peers[i] = o->host_peers[i - 1];
	next = (next + 1) % MAX_THINGS;
	o->host_peers[i] = (struct kwgi_host_peer){ .key = *k, .allowed_ips = ips[next] };
	return &o->host_peers[i];
}

static void set_peer(struct world *o, const struct kwgi_host_peer *from, uint32_t parts)
{
	uint32_t i = find_peer(o, &from->key);
	struct kwgi_host_peer *p = i < o->h.wg.n_peers ? &o->host_peers[i] : new_peer(o, &from->key);

	/* No way to take an endpoint away. */
	if (parts & KWGI_WG_ENDPOINT && from->endpoint.port)
		p->endpoint = from->endpoint;
	if (parts & KWGI_WG_KEEPALIVE)
		p->keepalive = from->keepalive;
	if (parts & KWGI_WG_PSK)
		p->psk = from->psk;
	if (parts & KWGI_WG_ALLOWED_REPLACE)
		p->n_allowed_ips = 0;
	for (i = 0; parts & (KWGI_WG_ALLOWED_REPLACE | KWGI_WG_ALLOWED_ADD) && i < from->n_allowed_ips; i++)
		take_ip(o, p, &from->allowed_ips[i]);
}

static void del_peer(struct world *o, const struct kwgi_key *k)
{
	uint32_t i = find_peer(o, k);

	ck_assert_msg(i < o->h.wg.n_peers, "no such peer");
	REMOVE(o->host_peers, o->h.wg.n_peers, i);
}

enum {
	ALL_PARTS = KWGI_WG_ENDPOINT | KWGI_WG_KEEPALIVE | KWGI_WG_PSK | KWGI_WG_ALLOWED_REPLACE,
};

/* As lib/host/wg.c undoes: all that the peer had, and what it took from others. */
static void peer_step(struct world *o, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_host_peer *old = s->u.peer.old;
	uint32_t i;

	if (s->kind == KWGI_STEP_PEER_DEL && !undo)
		del_peer(o, &old->key);
	else if (!undo)
		set_peer(o, s->u.peer.peer, s->parts);
	else if (old)
		set_peer(o, old, ALL_PARTS);
	else
		del_peer(o, &s->u.peer.peer->key);
	for (i = 0; undo && i < s->u.peer.n_victims; i++)
		set_peer(o, s->u.peer.victims[i], KWGI_WG_ALLOWED_REPLACE);
}

static bool is_v4(const struct kwgi_prefix *p)
{
	return p->addr.family == KWGI_AF_V4;
}

/* Is a later address of the same network on the same link: the kernel's secondary of the first? */
static bool is_secondary(const struct world *o, uint32_t first, uint32_t i)
{
	const struct kwgi_prefix *a = &o->addrs[first].prefix, *b = &o->addrs[i].prefix;

	return first < i && o->addrs[first].ifindex == o->addrs[i].ifindex && is_v4(a) && is_v4(b) &&
	       a->len == b->len && kwgi_prefix_contains(a, &b->addr);
}

static bool has_address(const struct world *o, const struct kwgi_addr *a)
{
	return kwgi_host_link_with_addr(&o->h, a) != NULL;
}

/* What the kernel does by itself when IPv4 addresses of a link have gone: see steps/diff_addrs.c. */
static void lose_routes(struct world *o, uint32_t oif)
{
	bool last = true;
	uint32_t i;

	for (i = 0; i < o->h.n_addrs; i++)
		last &= o->addrs[i].ifindex != oif || !is_v4(&o->addrs[i].prefix);
	for (i = o->h.n_routes; i-- > 0;) {
		const struct kwgi_host_route *r = &o->host_routes[i];

		if (is_v4(&r->dst) && ((last && r->oif == oif) || (r->src.family && !has_address(o, &r->src))))
			REMOVE(o->host_routes, o->h.n_routes, i);
	}
}

static void remove_addr(struct world *o, uint32_t i)
{
	uint32_t j, oif = o->addrs[i].ifindex;
	bool v4 = is_v4(&o->addrs[i].prefix);

	for (j = o->h.n_addrs; j-- > i + 1;)
		if (is_secondary(o, i, j))
			REMOVE(o->addrs, o->h.n_addrs, j);
	REMOVE(o->addrs, o->h.n_addrs, i);
	if (v4)
		lose_routes(o, oif);
}

static void addr_step(struct world *o, const struct kwgi_step *s, bool undo)
{
	uint32_t i, oif = index_of(o, s->link);

	for (i = 0; i < o->h.n_addrs; i++)
		if (o->addrs[i].ifindex == oif && kwgi_prefix_equal(&o->addrs[i].prefix, &s->u.addr.prefix))
			break;
	if ((s->kind == KWGI_STEP_ADDR_ADD) != undo) {
		ck_assert_msg(i == o->h.n_addrs, "address exists");
		ck_assert_uint_lt(i, MAX_THINGS);
		o->addrs[o->h.n_addrs++] = (struct kwgi_host_addr){ .ifindex = oif,
								    .prefix = s->u.addr.prefix };
	} else if (i < o->h.n_addrs) {
		remove_addr(o, i);
	}
}

static void neigh_step(struct world *o, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_host_neigh *to = undo ? &s->u.neigh.old : &s->u.neigh.neigh;
	const struct kwgi_host_neigh *from = undo ? &s->u.neigh.neigh : &s->u.neigh.old;
	const struct kwgi_host_neigh *which = to->addr.family ? to : from;
	uint32_t i, oif = index_of(o, s->link);

	ck_assert_msg(oif, "no link %s", s->link);
	for (i = 0; i < o->h.n_neighs; i++)
		if (o->neighs[i].ifindex == oif && !kwgi_neigh_cmp(&o->neighs[i], which))
			break;
	ck_assert_msg((i < o->h.n_neighs) == (from->addr.family != KWGI_AF_NONE), "neighbour");
	if (!to->addr.family) {
		REMOVE(o->neighs, o->h.n_neighs, i);
		return;
	}
	if (i == o->h.n_neighs)
		o->h.n_neighs++;
	ck_assert_uint_le(o->h.n_neighs, MAX_THINGS);
	o->neighs[i] = *to;
	o->neighs[i].ifindex = oif;
}

static bool same_rule(const struct kwgi_host_rule *a, const struct kwgi_host_rule *b)
{
	return !kwgi_host_rule_cmp(a, b);
}

static void rule_step(struct world *o, const struct kwgi_step *s, bool undo)
{
	uint32_t i;

	for (i = 0; i < o->h.n_rules && !same_rule(&o->host_rules[i], &s->u.rule.rule); i++)
		;
	if ((s->kind == KWGI_STEP_RULE_ADD) != undo) {
		ck_assert_msg(i == o->h.n_rules, "rule exists");
		o->host_rules[o->h.n_rules++] = s->u.rule.rule;
	} else if (i < o->h.n_rules) {
		REMOVE(o->host_rules, o->h.n_rules, i);
	}
}

static uint32_t find_route(const struct world *o, const struct kwgi_host_route *r)
{
	uint32_t i;

	for (i = 0; i < o->h.n_routes; i++)
		if (o->host_routes[i].table == r->table && o->host_routes[i].metric == r->metric &&
		    kwgi_prefix_equal(&o->host_routes[i].dst, &r->dst))
			break;
	return i;
}

/* What the kernel refuses, with EINVAL: NULL, or why. */
static const char *refusal(const struct world *o, const struct kwgi_host_route *r)
{
	uint32_t i;

	if (r->src.family && !has_address(o, &r->src))
		return "the source is not here";
	if (r->gw.family && has_address(o, &r->gw))
		return "the gateway is an own address";
	/* net/ipv6/route.c, ip6_route_check_nh_onlink */
	for (i = 0; r->onlink && r->gw.family == KWGI_AF_V6 && i < o->h.n_routes; i++)
		if (o->host_routes[i].table == MAIN && o->host_routes[i].oif != r->oif &&
		    kwgi_prefix_contains(&o->host_routes[i].dst, &r->gw))
			return "another link leads to the gateway";
	return NULL;
}

/* again: a route that was, whose link may have another index now; if it is refused, restore() has to do it. */
static void put_route(struct world *o, const struct kwgi_host_route *r, const char *link, bool again)
{
	struct kwgi_host_route route = *r;
	uint32_t i = find_route(o, r);
	const char *why;

	if (!route.oif || (again && index_of(o, link)))
		route.oif = index_of(o, link);
	ck_assert_msg(kwgi_host_link_by_index(&o->h, route.oif), "route without device");
	why = refusal(o, &route);
	if (why) {
		ck_assert_msg(again, "a route is refused: %s", why);
		return;
	}
	if (i == o->h.n_routes)
		o->h.n_routes++;
	o->host_routes[i] = route;
}

static void drop_route(struct world *o, const struct kwgi_host_route *r)
{
	uint32_t i = find_route(o, r);

	if (i < o->h.n_routes)
		REMOVE(o->host_routes, o->h.n_routes, i);
}

static void route_step(struct world *o, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_host_route *r = &s->u.route.route, *old = &s->u.route.old;

	switch (s->kind) {
	case KWGI_STEP_ROUTE_ADD:
		ck_assert_msg(undo || find_route(o, r) == o->h.n_routes, "route exists");
		if (undo)
			drop_route(o, r);
		else
			put_route(o, r, s->link, false);
		break;
	case KWGI_STEP_ROUTE_CHANGE:
		put_route(o, undo ? old : r, undo ? s->u.route.old_link : s->link, undo);
		break;
	default:
		if (undo)
			put_route(o, old, s->link, true);
		else
			drop_route(o, old);
	}
}

static void carry_out(struct world *o, const struct kwgi_step *s, bool undo)
{
	switch ((enum kwgi_step_kind)s->kind) {
	case KWGI_STEP_LINK_WAIT:
		ck_abort_msg("nobody else makes links here");
	case KWGI_STEP_LINK_DAEMON:
		ck_abort_msg("no daemon is started here");
	case KWGI_STEP_ROUTE_AGAIN:
	case KWGI_STEP_FIREWALL:
	case KWGI_STEP_CNI:
	case KWGI_STEP_IPTABLES:
	case KWGI_STEP_VALID_MARK:
		ck_abort_msg("there is no firewall here");
	case KWGI_STEP_LINK_ADD:
	case KWGI_STEP_LINK_DEL:
		if ((s->kind == KWGI_STEP_LINK_ADD) == undo)
			link_del(o, s->link);
		else
			link_add(o, s, undo ? s->u.link_alias.old_alias : s->u.link_alias.alias);
		break;
	case KWGI_STEP_LINK_NAME:
		link_rename(o, s, undo);
		break;
	case KWGI_STEP_LINK_ALIAS:
	case KWGI_STEP_LINK_MTU:
	case KWGI_STEP_LINK_UP:
	case KWGI_STEP_LINK_DOWN:
		link_set(o, s, undo);
		break;
	case KWGI_STEP_WG_DEVICE:
		check_device(o, s);
		set_device(o, s, undo);
		break;
	case KWGI_STEP_PEER_SET:
	case KWGI_STEP_PEER_DEL:
		check_device(o, s);
		peer_step(o, s, undo);
		break;
	case KWGI_STEP_ADDR_ADD:
	case KWGI_STEP_ADDR_DEL:
		addr_step(o, s, undo);
		break;
	case KWGI_STEP_NEIGH_SET:
	case KWGI_STEP_NEIGH_DEL:
		neigh_step(o, s, undo);
		break;
	case KWGI_STEP_RULE_ADD:
	case KWGI_STEP_RULE_DEL:
		rule_step(o, s, undo);
		break;
	case KWGI_STEP_ROUTE_ADD:
	case KWGI_STEP_ROUTE_CHANGE:
	case KWGI_STEP_ROUTE_DEL:
		route_step(o, s, undo);
		break;
	}
}

/* ---- the host as text ------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *name_of(const struct world *o, uint32_t ifindex)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(&o->h, ifindex);

	return l ? l->name : "?";
}

/* Everything, sorted: nothing has an order. Indices of tunnels do not count. free() it. */
static char *dump(const struct world *o)
{
	struct kwgi_step s = { .link = "" };
	char *line[6 * MAX_THINGS];
	struct kwgi_buf b = { 0 };
	uint32_t i, j, n = 0;

#define LINE() (line[n++] = kwgi_buf_take(&b, NULL))
	for (i = 0; i < o->h.n_links; i++) {
		const struct kwgi_link *l = &o->links[i];

		kwgi_buf_printf(&b, "link %u %s \"%s\" mtu %u %s %s %u %u ", kwgi_mark_is_tunnel(l->alias) ? 0 : l->index,
				l->name, l->alias, l->mtu, l->up ? "up" : "down", l->kind, l->tunnel.id,
				l->tunnel.port);
		kwgi_buf_addr(&b, &l->tunnel.local);
		LINE();
	}
	for (i = 0; i < o->h.n_neighs; i++) {
		kwgi_buf_printf(&b, "neighbour %d %02x ", o->neighs[i].fdb, o->neighs[i].mac[5]);
		kwgi_buf_addr(&b, &o->neighs[i].addr);
		LINE();
	}
	for (i = 0; i < o->h.n_addrs; i++) {
		kwgi_buf_printf(&b, "address %s ", name_of(o, o->addrs[i].ifindex));
		kwgi_buf_prefix(&b, &o->addrs[i].prefix);
		LINE();
	}
	kwgi_buf_printf(&b, "wireguard %u %u %u %u", o->h.wg.private_key.b[0], o->h.wg.public_key.b[0],
			o->h.wg.port, o->h.wg.fwmark);
	LINE();
	for (i = 0; i < o->h.wg.n_peers; i++) {
		const struct kwgi_host_peer *p = &o->host_peers[i];

		kwgi_buf_printf(&b, "peer %u psk %u keepalive %u endpoint ", p->key.b[0], p->psk.b[0],
				p->keepalive);
		kwgi_buf_endpoint(&b, &p->endpoint);
		for (j = 0; j < p->n_allowed_ips; j++) {
			kwgi_buf_putc(&b, ' ');
			kwgi_buf_prefix(&b, &p->allowed_ips[j]);
		}
		LINE();
	}
	for (i = 0; i < o->h.n_routes; i++) {
		s.kind = KWGI_STEP_ROUTE_ADD;
		s.u.route.route = o->host_routes[i];
		kwgi_step_format(&b, &s, &o->h, false);
		kwgi_buf_printf(&b, " oif %s", name_of(o, o->host_routes[i].oif));
		LINE();
	}
	for (i = 0; i < o->h.n_rules; i++) {
		s.kind = KWGI_STEP_RULE_ADD;
		s.u.rule.rule = o->host_rules[i];
		kwgi_step_format(&b, &s, &o->h, false);
		LINE();
	}
#undef LINE
	qsort(line, n, sizeof(*line), by_text);
	for (i = 0; i < n; i++) {
		kwgi_buf_printf(&b, "%s\n", line[i]);
		free(line[i]);
	}
	return kwgi_buf_take(&b, NULL);
}

/* ---- random pairs of wanted and host --------------------------------- */

static uint64_t seed;

static uint32_t dice(uint32_t n)
{
	return random_below(&seed, n);
}

/* Each allowed IP goes to one peer at most, as in a plan and in WireGuard. */
static void random_ips(char ips[8][256], unsigned n)
{
	char text[32];
	unsigned i;

	for (i = 0; i < n; i++)
		ips[i][0] = '\0';
	for (i = 0; i < 8; i++) {
		snprintf(text, sizeof(text), " 10.42.%u.0/24", i);
		if (n && dice(5))
			strcat(ips[dice(n)], text);
	}
}

static void random_peers(struct world *o)
{
	static const char *const endpoints[] = { "203.0.113.1:1", "203.0.113.2:1", "[2001:db8::1]:2" };
	unsigned i, k, n = dice(6);
	char ips[8][256];

	random_ips(ips, n);
	for (i = 0, k = 10; i < n; i++, k += 1 + dice(3)) {
		struct kwgi_desired_peer *p = want_peer(o, k, "p", endpoints[dice(3)], ips[i]);

		p->keep_endpoint = dice(2);
		p->peer.keepalive = dice(2) * 25;
		p->peer.psk = key(dice(3));
	}
}

/* As a plan: a leader sends to the others' addresses through the tunnel, a follower by way of it. */
static void random_routes6(struct world *o)
{
	bool through = o->w.up && o->w.addr.addr.family == KWGI_AF_V6;
	char dst[32];
	unsigned i;

	for (i = 0; i < 3; i++) {
		snprintf(dst, sizeof(dst), "fd01::%u:0/112", i);
		if (dice(2))
			want_route(o, dst, through ? "fd00::2" : "fe80::1", "", through ? "wg0" : "eth0", MAIN);
	}
	if (!through && dice(2))
		want_route(o, "fd00::2/128", "fe80::1", "", "eth0", MAIN);
}

/* A source that is here: of eth0, of the tunnel if it has one, or none. */
static const char *random_source(const struct world *o, char text[KWGI_ADDR_TEXT])
{
	bool own = o->w.up && is_v4(&o->w.addr);

	switch (dice(3)) {
	case 0:
		return "192.168.1.1";
	case 1:
		return own ? kwgi_addr_format(text, &o->w.addr.addr) : "";
	}
	return "";
}

/*
 * A leader's are addresses of other locations, which change when one comes or goes; a follower's are
 * in its own network.
 */
static const char *random_gateway(const struct world *o)
{
	static const char *const gateways[] = { "", "10.4.0.1", "10.4.0.2", "10.4.0.3" };
	const char *gw = gateways[dice(4)];
	struct kwgi_addr a = addr(gw);

	if (!o->w.up)
		return *gw ? "192.168.1.7" : "";
	return kwgi_addr_equal(&a, &o->w.addr.addr) ? "" : gw;
}

static void random_routes(struct world *o)
{
	char dst[32], source[KWGI_ADDR_TEXT];
	unsigned i;

	for (i = 0; i < 8; i++) {
		snprintf(dst, sizeof(dst), "10.42.%u.0/24", i);
		if (!dice(2))
			continue;
		want_route(o, dst, random_gateway(o), random_source(o, source),
			   *o->w.tunnel.name && dice(2) ? o->w.tunnel.name
			   : o->w.up && dice(2) ? "wg0" : "eth0", MAIN);
		if (!dice(4))
			want_route(o, dst, random_gateway(o), "", "eth0", TABLE);
	}
	random_routes6(o);
	for (i = 0; i < 4; i++) {
		snprintf(dst, sizeof(dst), "192.168.1.%u/32", i);
		if (dice(2))
			o->rules[o->w.n_rules++] = rule(dice(2) ? "10.42.0.0/24" : "", dst,
							dice(2) ? "wg0" : "");
	}
}

static void random_tunnel(struct world *o)
{
	static const char *const names[] = { "t0", "t1" }, *const locals[] = { "192.168.1.1", "192.168.1.7" };
	struct kwgi_desired_tunnel *t = &o->w.tunnel;
	unsigned i, vxlan = dice(2);

	strcpy(t->name, names[dice(2)]);
	t->kind = vxlan ? "vxlan" : "ipip";
	kwgi_mark_tunnel(t->alias, "m", PROTOCOL);
	t->conf.local = addr(locals[dice(2)]);
	t->mtu = 1400 + dice(2);
	if (dice(2))
		t->addr = prefix(dice(2) ? "10.42.0.1/32" : "10.42.0.2/32");
	if (!vxlan)
		return;
	t->conf.id = 1 + dice(2);
	t->conf.port = (uint16_t)(4789 + dice(2));
	t->conf.mac[5] = (uint8_t)dice(2);
	for (i = 0; i < 8; i++) {
		struct kwgi_host_neigh *n = &o->wanted_neighs[t->n_neighs];

		if (!dice(2))
			continue;
		*n = (struct kwgi_host_neigh){ .fdb = i >= 4, .addr = addr("192.168.1.0") };
		n->addr.b[3] = (uint8_t)(n->fdb ? dice(4) : i);
		n->mac[5] = (uint8_t)(n->fdb ? i : dice(4));
		t->n_neighs++;
	}
}

static void random_wanted(struct world *o)
{
	static const char *const addrs[] = { "10.4.0.1/16", "10.4.0.2/16", "10.4.0.2/20", "10.5.0.1/16",
					     "fd00::1/64" };

	world_init(o);
	o->w.mesh = "m";
	o->w.protocol = PROTOCOL;
	o->w.ifname = "wg0";
	o->w.create = true;
	o->w.up = dice(4) != 0;
	o->w.mtu = dice(3) ? 1280 + dice(3) : 0;
	o->w.subnet = prefix("10.4.0.0/16");
	if (o->w.up) {
		o->w.addr = prefix(addrs[dice(5)]);
		random_peers(o);
	}
	o->w.wg = (struct kwgi_wg_device_conf){ .private_key = key(1 + 2 * dice(2)),
						.port = (uint16_t)(51820 + dice(2)), .fwmark = dice(2) };
	o->w.public_key = key(o->w.wg.private_key.b[0] + 1u);
	kwgi_mark_format(o->w.alias, "m", PROTOCOL, o->w.wg.port, false);
	if (dice(3))
		random_tunnel(o);
	random_routes(o);
}

/* Another backend is wanted: the link makes room, and what its device has is known. */
static void random_switch(struct world *o)
{
	struct kwgi_link *l = find_link(o, "wg0");

	ck_assert_ptr_nonnull(l);
	l->replaced = l->aside = true;
	o->h.wg.userspace = dice(2);
	strcpy(l->kind, o->h.wg.userspace ? "tun" : "wireguard");
	set_device_aside(o);
}

/* A host on which some other state was wanted before, or nothing. */
static void random_pair(struct world *o)
{
	struct world *before = malloc(sizeof(*before));
	uint32_t i;

	ck_assert_ptr_nonnull(before);
	random_wanted(before);
	if (!dice(8))
		before->w.ifname = NULL;
	mirror(before);
	add_addr(before, ETH, "192.168.1.1/24");
	random_wanted(o);
	o->h.n_neighs = before->h.n_neighs;
	memcpy(o->neighs, before->neighs, sizeof(o->neighs));
	o->h.n_links = before->h.n_links;
	memcpy(o->links, before->links, sizeof(o->links));
	o->h.n_addrs = before->h.n_addrs;
	memcpy(o->addrs, before->addrs, sizeof(o->addrs));
	o->h.n_routes = before->h.n_routes;
	memcpy(o->host_routes, before->host_routes, sizeof(o->host_routes));
	o->h.n_rules = before->h.n_rules;
	memcpy(o->host_rules, before->host_rules, sizeof(o->host_rules));
	o->h.wg = before->h.wg;
	o->h.wg.peers = o->host_peers;
	for (i = 0; i < o->h.wg.n_peers; i++)
		copy_peer(&o->host_peers[i], o->host_ips[i], &before->host_peers[i]);
	if (before->w.ifname && !dice(4))
		random_switch(o);
	free(before);
}

/* As kwgi_desired_build(): routes name devices by the index that they have now. */
static void find_devices(struct world *o)
{
	uint32_t i;

	for (i = 0; i < o->w.n_routes; i++) {
		const struct kwgi_link *l = kwgi_host_link(&o->h, o->routes[i].link);

		o->routes[i].route.oif = l ? l->index : 0;
	}
}

/*
 * A copy of the host for the steps to be carried out on; they refer to the
 * first one. To itself it has to point.
 */
static struct world *copy_world(const struct world *o)
{
	struct world *c = malloc(sizeof(*c));
	uint32_t i;

	ck_assert_ptr_nonnull(c);
	*c = *o;
	c->h.links = c->links;
	c->h.addrs = c->addrs;
	c->h.neighs = c->neighs;
	c->w.tunnel.neighs = c->wanted_neighs;
	c->h.routes = c->host_routes;
	c->h.rules = c->host_rules;
	c->h.wg.peers = c->host_peers;
	c->w.routes = c->routes;
	for (i = 0; i < c->h.n_links; i++) {
		if (c->links[i].aside)
			take_device_back(c);
		c->links[i].replaced = c->links[i].aside = false;
	}
	for (i = 0; i < c->h.wg.n_peers; i++)
		c->host_peers[i].allowed_ips = c->host_ips[i];
	return c;
}

/* ---- properties ------------------------------------------------------ */

static void diff(struct kwgi_steps *s, const struct world *o)
{
	struct kwg_error err = { 0 };

	memset(s, 0, sizeof(*s));
	ck_assert_msg(!kwgi_steps_diff(s, &o->w, &o->h, &err), "%s", err.text);
}

static char *steps_text(const struct kwgi_steps *s)
{
	struct kwgi_buf b = { 0 };
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		kwgi_step_format(&b, &s->v[i], s->host, false);
		kwgi_buf_putc(&b, '\n');
	}
	kwgi_buf_add(&b, "", 0);
	return kwgi_buf_take(&b, NULL);
}

START_TEST(second_difference_is_empty)
{
	struct kwgi_steps s, again;
	struct world o, *live;
	char *before, *text;
	uint32_t i, round, total = 0;

	seed = 42;
	for (round = 0; round < ROUNDS; round++) {
		random_pair(&o);
		find_devices(&o);
		diff(&s, &o);
		live = copy_world(&o);
		before = dump(live);
		for (i = 0; i < s.n; i++)
			carry_out(live, &s.v[i], false);
		total += s.n;
		text = steps_text(&s);
		find_devices(live);
		diff(&again, live);
		if (again.n)
			fprintf(stderr, "%s\nsteps:\n%s\nbecomes:\n%s\nsteps again:\n%s\n", before,
				text, dump(live), steps_text(&again));
		ck_assert_msg(!again.n, "round %u", round);
		free(before);
		free(text);
		free(live);
		kwgi_steps_clear(&again);
		kwgi_steps_clear(&s);
	}
	ck_assert_uint_gt(total, 5 * ROUNDS);	/* it was about something */
}
END_TEST

/* What the kernel took along by itself when steps were undone. Returns how many steps that needs. */
static uint32_t restore(struct world *live, const struct kwgi_host *before)
{
	struct world *now = copy_world(live);
	struct kwgi_steps s = { 0 };
	uint32_t i, n;

	ck_assert_int_eq(kwgi_steps_restore(&s, &now->h, before), 0);
	for (i = 0; i < s.n; i++)
		carry_out(live, &s.v[i], false);
	n = s.n;
	kwgi_steps_clear(&s);
	free(now);
	return n;
}

/* Carries out the first n steps, or all if there are fewer, and undoes them backwards. */
static void there_and_back(const struct world *o, const struct kwgi_steps *s, uint32_t n, uint32_t round,
			   uint32_t *restored)
{
	struct world *live = copy_world(o);
	char *before = dump(live), *after, *text = steps_text(s);
	uint32_t i;

	for (i = 0; i < n; i++)
		carry_out(live, &s->v[i], false);
	while (i-- > 0)
		carry_out(live, &s->v[i], true);
	*restored += restore(live, &o->h);
	after = dump(live);
	/* More than a message of check holds. */
	if (strcmp(before, after))
		fprintf(stderr, "%s\n%u steps of:\n%s\nundone:\n%s\n", before, n, text, after);
	ck_assert_msg(!strcmp(before, after), "round %u", round);
	free(before);
	free(after);
	free(text);
	free(live);
}

/* The last step of a switch cannot be undone, and needs not: all is done then. */
static bool is_final(const struct kwgi_steps *s)
{
	return s->n && s->v[s->n - 1].kind == KWGI_STEP_LINK_DEL && s->v[s->n - 1].label;
}

START_TEST(undo_gives_the_first_host)
{
	struct kwgi_steps s;
	struct world o;
	uint32_t round, restored = 0;

	seed = 43;
	for (round = 0; round < ROUNDS; round++) {
		random_pair(&o);
		find_devices(&o);
		diff(&s, &o);
		there_and_back(&o, &s, s.n - is_final(&s), round, &restored);
		kwgi_steps_clear(&s);
	}
	/* Of about 15 steps each: nearly all is brought back by undoing them. */
	ck_assert_uint_lt(restored, ROUNDS / 2);
}
END_TEST

/* Any step may fail. */
START_TEST(undo_of_a_part_gives_the_first_host)
{
	struct kwgi_steps s;
	struct world o;
	uint32_t round, n, restored = 0;

	seed = 44;
	for (round = 0; round < ROUNDS / 8; round++) {
		random_pair(&o);
		find_devices(&o);
		diff(&s, &o);
		for (n = 0; n < s.n; n++)
			there_and_back(&o, &s, n, round, &restored);
		kwgi_steps_clear(&s);
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, second_difference_is_empty);
	tcase_add_test(tc, undo_gives_the_first_host);
	tcase_add_test(tc, undo_of_a_part_gives_the_first_host);
}

int main(void)
{
	return unit_run("apply_model", add);
}
