/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What is wanted of a host and the host, small and without allocation, for tests of the difference. */
#ifndef WORLD_H
#define WORLD_H

#include "steps/desired.h"
#include "steps/mark.h"
#include "steps/steps.h"
#include "unit.h"

enum {
	MAX_THINGS = 32, MAX_IPS = 8,
	WG = 5, ETH = 2, TUNNEL = 8,		/* interface indices */
	PROTOCOL = 107, TABLE = 1107, MAIN = 254,
	PRIVATE = 1, PUBLIC = 2,	/* key() of the device */
};

struct world {
	struct kwgi_desired w;
	struct kwgi_desired_peer peers[MAX_THINGS];
	struct kwgi_desired_route routes[MAX_THINGS];
	struct kwgi_host_rule rules[MAX_THINGS];
	struct kwgi_prefix ips[MAX_THINGS][MAX_IPS];

	struct kwgi_host h;
	struct kwgi_link links[MAX_THINGS];
	struct kwgi_host_addr addrs[MAX_THINGS];
	struct kwgi_host_neigh neighs[MAX_THINGS], wanted_neighs[MAX_THINGS];
	struct kwgi_host_peer host_peers[MAX_THINGS], old_peers[MAX_THINGS];
	struct kwgi_old_device old_device;
	struct kwgi_host_route host_routes[MAX_THINGS];
	struct kwgi_host_rule host_rules[MAX_THINGS];
	struct kwgi_prefix host_ips[MAX_THINGS][MAX_IPS];
};

static inline void world_init(struct world *o)
{
	memset(o, 0, sizeof(*o));
	o->w.peers = o->peers;
	o->w.routes = o->routes;
	o->w.rules = o->rules;
	o->h.links = o->links;
	o->h.addrs = o->addrs;
	o->h.neighs = o->neighs;
	o->w.tunnel.neighs = o->wanted_neighs;
	o->h.routes = o->host_routes;
	o->h.rules = o->host_rules;
	o->h.wg.peers = o->host_peers;
	o->h.owner.mesh = "m";
	o->h.journal.exists = true;
	o->h.journal.protocols[PROTOCOL] = true;
}

/* A crash came before the link had its mark. */
static inline void note_making(struct world *o, const char *name)
{
	memcpy(o->h.journal.making[o->h.journal.n_making++], name, strlen(name) + 1);
}

/* ---- what is wanted -------------------------------------------------- */

static inline struct kwgi_prefix *set_ips(struct kwgi_prefix v[MAX_IPS], const char *list, uint32_t *n)
{
	char copy[256], *item, *rest = copy;

	ck_assert_uint_lt(strlen(list), sizeof(copy));
	memcpy(copy, list, strlen(list) + 1);
	*n = 0;
	while ((item = strtok_r(rest, " ", &rest)))
		v[(*n)++] = prefix(item);
	return v;
}

/* ips: separated by blanks, in order. */
static inline struct kwgi_desired_peer *want_peer(struct world *o, unsigned k, const char *name,
						 const char *e, const char *ips)
{
	uint32_t i = o->w.n_peers++;
	struct kwgi_desired_peer *p = &o->peers[i];

	p->name = name;
	p->peer.key = key(k);
	p->peer.endpoint = endpoint(e);
	p->peer.allowed_ips = set_ips(o->ips[i], ips, &p->peer.n_allowed_ips);
	return p;
}

static inline struct kwgi_host_route route(const char *dst, const char *gw, const char *src, uint32_t oif,
					   uint32_t table)
{
	return (struct kwgi_host_route){
		.dst = prefix(dst), .gw = addr(gw), .src = addr(src), .oif = oif, .table = table,
		.protocol = PROTOCOL, .onlink = *gw != '\0',
	};
}

static inline void want_route(struct world *o, const char *dst, const char *gw, const char *src,
			      const char *link, uint32_t table)
{
	o->routes[o->w.n_routes++] = (struct kwgi_desired_route){
		.link = link, .route = route(dst, gw, src, strcmp(link, "eth0") ? WG : ETH, table),
	};
}

static inline struct kwgi_host_rule rule(const char *src, const char *dst, const char *iif)
{
	struct kwgi_host_rule r = {
		.src = prefix(src), .dst = prefix(dst), .family = prefix(dst).addr.family,
		.table = TABLE, .priority = KWGI_RULE_PRIORITY_MAX, .protocol = PROTOCOL,
	};

	memcpy(r.iif, iif, strlen(iif) + 1);
	return r;
}

/* ---- what is there --------------------------------------------------- */

static inline struct kwgi_link *add_link(struct world *o, uint32_t index, const char *name,
					 const char *kind, const char *alias)
{
	struct kwgi_link *l = &o->links[o->h.n_links++];

	*l = (struct kwgi_link){ .index = index, .mtu = 1420, .up = true };
	memcpy(l->name, name, strlen(name) + 1);
	memcpy(l->kind, kind, strlen(kind) + 1);
	memcpy(l->alias, alias, strlen(alias) + 1);
	return l;
}

static inline void add_addr(struct world *o, uint32_t ifindex, const char *p)
{
	o->addrs[o->h.n_addrs++] = (struct kwgi_host_addr){ .ifindex = ifindex, .prefix = prefix(p) };
}

static inline void copy_peer(struct kwgi_host_peer *to, struct kwgi_prefix ips[MAX_IPS],
			     const struct kwgi_host_peer *from)
{
	*to = *from;
	to->allowed_ips = ips;
	memcpy(ips, from->allowed_ips, from->n_allowed_ips * sizeof(*ips));
}

static inline void mirror_tunnel(struct world *o)
{
	const struct kwgi_desired_tunnel *t = &o->w.tunnel;
	struct kwgi_link *l;
	uint32_t i;

	o->h.n_neighs = 0;
	if (!*t->name)
		return;
	l = add_link(o, TUNNEL, t->name, t->kind, t->alias);
	l->mtu = t->mtu;
	l->tunnel = t->conf;
	if (t->addr.addr.family)
		o->addrs[o->h.n_addrs++] = (struct kwgi_host_addr){ .ifindex = TUNNEL, .prefix = t->addr };
	for (i = 0; i < t->n_neighs; i++) {
		o->neighs[i] = t->neighs[i];
		o->neighs[i].ifindex = TUNNEL;
	}
	o->h.n_neighs = i;
}

/* Makes the host what is wanted. */
static inline void mirror(struct world *o)
{
	uint32_t i;

	o->h.n_links = o->h.n_addrs = 0;
	add_link(o, ETH, "eth0", "", "")->mtu = 1500;
	if (!o->w.ifname)
		return;
	add_link(o, WG, o->w.ifname, "wireguard", o->w.alias)->up = o->w.up;
	if (o->w.mtu)
		o->links[1].mtu = o->w.mtu;
	if (o->w.addr.addr.family)
		o->addrs[o->h.n_addrs++] = (struct kwgi_host_addr){ .ifindex = WG, .prefix = o->w.addr };
	mirror_tunnel(o);
	o->h.wg.present = true;
	o->h.wg.private_key = o->w.wg.private_key;
	o->h.wg.public_key = o->w.public_key;
	o->h.wg.port = o->w.wg.port;
	o->h.wg.fwmark = o->w.wg.fwmark;
	for (i = 0; i < o->w.n_peers; i++)
		copy_peer(&o->host_peers[i], o->host_ips[i], &o->peers[i].peer);
	o->h.wg.n_peers = i;
	for (i = 0; i < o->w.n_routes; i++) {
		o->host_routes[i] = o->routes[i].route;
		if (*o->w.tunnel.name && !strcmp(o->routes[i].link, o->w.tunnel.name))
			o->host_routes[i].oif = o->routes[i].route.oif = TUNNEL;
	}
	o->h.n_routes = i;
	for (i = 0; i < o->w.n_rules; i++)
		o->host_rules[i] = o->rules[i];
	o->h.n_rules = i;
}

/* Takes element i out of an array of the host. */
#define REMOVE(v, n, i) \
	memmove(&(v)[i], &(v)[(i) + 1], (--(n) - (i)) * sizeof(*(v)))

#endif
