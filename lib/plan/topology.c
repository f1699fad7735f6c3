/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * All orders are by bytes, so that every node computes the same, in every
 * locale. "Kilo" below is pkg/mesh/topology.go of its release 0.7.0.
 */
#include <stdlib.h>
#include <string.h>

#include "base/prefixset.h"
#include "plan/topology.h"
#include "plan/verdict.h"

static void *alloc(struct kwg_config *cfg, size_t n, size_t size)
{
	return kwgi_arena_alloc(&cfg->arena, n ? n : 1, size);
}

/* ---- segments -------------------------------------------------------- */

/* One node on its way into a segment. */
struct candidate {
	const struct kwgi_node *node;
	bool by_location;		/* joins "location:", else stands alone in "node:" */
	const char *segment;		/* name of that segment, without the prefix */
};

/* Kilo: all "location:" come before all "node:", since the whole strings are sorted. */
static int by_segment_and_name(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int c;

	if (x->by_location != y->by_location)
		return x->by_location ? -1 : 1;
	c = strcmp(x->segment, y->segment);
	return c ? c : strcmp(x->node->name, y->node->name);
}

static bool same_segment(const struct candidate *a, const struct candidate *b)
{
	return a->by_location && b->by_location && !strcmp(a->segment, b->segment);
}

static bool has_public_endpoint(const struct kwgi_node *n)
{
	return kwgi_addr_is_public(n->endpoint.host ? &n->endpoint_address : &n->endpoint.addr);
}

/*
 * The first by name that asks to lead and has a public endpoint; else the
 * first that asks to lead; else the first with a public endpoint; else the
 * first (Kilo: findLeader). Of those the first with an endpoint, which in Kilo all have.
 */
static const struct kwgi_node *choose_leader(const struct kwgi_segment *s)
{
	const struct kwgi_node *best = s->members[0];
	unsigned rank, best_rank = 0;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		rank = (s->members[i]->leader ? 4u : 0u) + (has_public_endpoint(s->members[i]) ? 2u : 0u) +
		       (s->members[i]->endpoint.port ? 1u : 0u);
		if (rank > best_rank) {
			best = s->members[i];
			best_rank = rank;
		}
	}
	return best;
}

static int set_id(struct kwg_config *cfg, struct kwgi_segment *s, const struct candidate *c)
{
	const char *prefix = c->by_location ? "location:" : "node:";
	size_t len = strlen(prefix), name_len = strlen(c->segment);
	char *id = alloc(cfg, len + name_len + 1, 1);

	if (!id)
		return -1;
	memcpy(id, prefix, len);
	memcpy(id + len, c->segment, name_len);
	s->id = id;
	s->name = id + len;
	return 0;
}

static struct candidate *candidates(struct kwg_config *cfg, uint32_t *n)
{
	struct candidate *c = alloc(cfg, cfg->n_nodes, sizeof(*c));
	uint32_t i;

	*n = 0;
	for (i = 0; c && i < cfg->n_nodes; i++) {
		const struct kwgi_node *node = &cfg->nodes[i];
		bool shared = cfg->mesh.granularity == KWGI_GRANULARITY_LOCATION &&
			      kwgi_node_has_private_ip(node);

		if (kwgi_node_is_ready(node))
			c[(*n)++] = (struct candidate){ node, shared,
							shared ? node->location : node->name };
	}
	if (c && *n)
		qsort(c, *n, sizeof(*c), by_segment_and_name);
	return c;
}

static int build_segments(struct kwg_config *cfg, struct kwgi_topology *t)
{
	struct candidate *c = candidates(cfg, &t->n_nodes);
	const struct kwgi_node **members = alloc(cfg, t->n_nodes, sizeof(*members));
	struct kwgi_segment *s = NULL;
	uint32_t i;

	t->segments = alloc(cfg, t->n_nodes, sizeof(*t->segments));
	if (!c || !members || !t->segments)
		return -1;
	for (i = 0; i < t->n_nodes; i++) {
		if (!i || !same_segment(&c[i - 1], &c[i])) {
			s = &t->segments[t->n_segments++];
			s->members = &members[i];
			s->has_private_ips = kwgi_node_has_private_ip(c[i].node);
			if (set_id(cfg, s, &c[i]))
				return -1;
		}
		members[i] = c[i].node;
		s->n++;
	}
	for (i = 0; i < t->n_segments; i++)
		t->segments[i].leader = choose_leader(&t->segments[i]);
	return 0;
}

bool kwgi_segment_is_location(const struct kwgi_segment *s, const char *location)
{
	return !strncmp(s->id, "location:", (size_t)(s->name - s->id)) &&
	       !strcmp(s->name, location);
}

/* A node's name and where it is, for finding it again. */
struct located {
	const struct kwgi_node *node;
	uint32_t segment;
};

static int by_name(const void *a, const void *b)
{
	const struct located *x = a, *y = b;

	return strcmp(x->node->name, y->node->name);
}

static int index_nodes(struct kwg_config *cfg, struct kwgi_topology *t)
{
	struct located *l = alloc(cfg, t->n_nodes, sizeof(*l));
	uint32_t s, i, n = 0;

	t->nodes = alloc(cfg, t->n_nodes, sizeof(*t->nodes));
	t->segment_of = alloc(cfg, t->n_nodes, sizeof(*t->segment_of));
	if (!l || !t->nodes || !t->segment_of)
		return -1;
	for (s = 0; s < t->n_segments; s++)
		for (i = 0; i < t->segments[s].n; i++)
			l[n++] = (struct located){ t->segments[s].members[i], s };
	if (n)
		qsort(l, n, sizeof(*l), by_name);
	for (i = 0; i < n; i++) {
		t->nodes[i] = l[i].node;
		t->segment_of[i] = l[i].segment;
	}
	return 0;
}

uint32_t kwgi_topology_find(const struct kwgi_topology *t, const char *node)
{
	uint32_t lo = 0, hi = t->n_nodes, mid;
	int c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = strcmp(t->nodes[mid]->name, node);
		if (!c)
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return UINT32_MAX;
}

/* ---- addresses ------------------------------------------------------- */

/*
 * Segments take the subnet's base address plus 1, 2, ... in order; only the
 * base address is left free. Kilo goes on without an address for the last
 * segment when they run out by one, which no kernel accepts; here it is an
 * error.
 */
static void allocate_addresses(struct kwg_config *cfg, struct kwgi_topology *t)
{
	const struct kwgi_prefix *subnet = &cfg->mesh.subnet;
	unsigned host_bits = kwgi_addr_bits(&subnet->addr) - subnet->len;
	uint64_t usable = host_bits > 62 ? UINT64_MAX : ((uint64_t)1 << host_bits) - 1;
	char text[KWGI_PREFIX_TEXT];
	uint32_t i;

	if (t->n_segments > usable) {
		kwgi_diags_add(&cfg->diags, KWG_ERROR,
			       cfg->mesh.subnet_at.line ? cfg->mesh.subnet_at : cfg->mesh.at,
			       "subnet",
			       "ran out of IP addresses: %s has %llu for %u segments; use a larger network",
			       kwgi_prefix_format(text, subnet), (unsigned long long)usable,
			       t->n_segments);
		return;
	}
	for (i = 0; i < t->n_segments; i++)
		(void)kwgi_addr_add(&t->segments[i].wg_ip, &subnet->addr, i + 1);
}

static int build_allowed_ips(struct kwg_config *cfg, struct kwgi_segment *s)
{
	struct kwgi_prefixes *out = &s->allowed_ips;
	uint32_t i, j, n = 1;

	for (i = 0; i < s->n; i++)
		n += s->members[i]->pod_cidrs.n + 1;
	out->v = alloc(cfg, n, sizeof(*out->v));
	if (!out->v)
		return -1;
	for (i = 0; i < s->n; i++) {
		const struct kwgi_node *m = s->members[i];

		for (j = 0; j < m->pod_cidrs.n; j++)
			out->v[out->n++] = m->pod_cidrs.v[j].prefix;
		if (s->has_private_ips)
			out->v[out->n++] = kwgi_prefix_host(&m->internal_ip.addr);
	}
	if (s->wg_ip.family)
		out->v[out->n++] = kwgi_prefix_host(&s->wg_ip);
	return 0;
}

/* ---- peers ----------------------------------------------------------- */

static int by_peer_name(const void *a, const void *b)
{
	const struct kwgi_mesh_peer *x = a, *y = b;

	return strcmp(x->peer->name, y->peer->name);
}

/* The allowed IPs of all peers, those of the first peer by name first. */
struct peer_ips {
	struct kwgi_prefixset set;	/* value: index into v */
	struct peer_ip {
		const struct kwgi_peer *peer;
		struct kwgi_cidr *cidr;
	} *v;
	uint32_t *next;			/* of each item of the set: itself, or what is to be looked at instead */
};

static int collect_peer_ips(struct kwg_config *cfg, const struct kwgi_topology *t, struct peer_ips *ips)
{
	uint32_t i, j, n = 0;

	for (i = 0; i < t->n_peers; i++)
		n += t->peers[i].peer->allowed_ips.n;
	ips->v = alloc(cfg, n, sizeof(*ips->v));
	ips->next = alloc(cfg, n + 1u, sizeof(*ips->next));
	if (!ips->v || !ips->next)
		return -1;
	for (i = 0, n = 0; i < t->n_peers; i++) {
		const struct kwgi_peer *p = t->peers[i].peer;

		for (j = 0; j < p->allowed_ips.n; j++) {
			ips->v[n] = (struct peer_ip){ p, &p->allowed_ips.v[j] };
			if (kwgi_prefixset_add(&ips->set, &cfg->arena, &p->allowed_ips.v[j].prefix, n++))
				return -1;
		}
	}
	for (i = 0; i <= n; i++)
		ips->next[i] = i;
	kwgi_prefixset_build(&ips->set);
	return 0;
}

static void say_left_out(struct kwg_config *cfg, const struct peer_ip *ip, const struct kwgi_net *keeper)
{
	struct kwgi_net n = {
		.kind = KWGI_NET_PEER, .prefix = ip->cidr->prefix, .peer = ip->peer, .at = ip->cidr->at,
	};

	ip->cidr->left_out = true;
	kwgi_verdict_say(cfg, KWGI_LEFT_OUT, &n, keeper, KWGI_FAR, 0);
}

/* The first item from i on that is not left out yet. */
static uint32_t next_peer_ip(struct peer_ips *ips, uint32_t i)
{
	while (ips->next[i] != i)
		i = ips->next[i] = ips->next[ips->next[i]];
	return i;
}

/* Takes what peers have of it. */
static void claim(struct kwg_config *cfg, struct peer_ips *ips, struct kwgi_net n)
{
	uint32_t i;

	if (!n.prefix.addr.family)
		return;
	i = kwgi_prefixset_inside(&ips->set, &n.prefix);
	for (i = i == KWGI_NO_ITEM ? ips->set.n : next_peer_ip(ips, i);
	     i < ips->set.n && kwgi_prefix_contains(&n.prefix, &ips->set.v[i].prefix.addr);
	     i = next_peer_ip(ips, i + 1)) {
		const struct peer_ip *ip = &ips->v[ips->set.v[i].value];

		if (kwgi_verdict_of(KWGI_NET_PEER, (enum kwgi_net_kind)n.kind, KWGI_FAR,
				    kwgi_relation_of(&ip->cidr->prefix, &n.prefix)) != KWGI_LEFT_OUT)
			continue;
		say_left_out(cfg, ip, &n);
		ips->next[i] = i + 1;
	}
}

/* Nodes win over peers. Kilo gives to peers what they ask for, and takes it from nodes. */
static void claim_for_node(struct kwg_config *cfg, struct peer_ips *ips,
			   const struct kwgi_segment *s, const struct kwgi_node *m)
{
	struct kwgi_net n = { .node = m };
	uint32_t i;

	n.kind = KWGI_NET_POD;
	for (i = 0; i < m->pod_cidrs.n; i++) {
		n.prefix = m->pod_cidrs.v[i].prefix;
		n.at = m->pod_cidrs.v[i].at;
		claim(cfg, ips, n);
	}
	if (s->has_private_ips && kwgi_node_has_private_ip(m)) {
		n.kind = KWGI_NET_INTERNAL;
		n.prefix = kwgi_prefix_host(&m->internal_ip.addr);
		n.at = m->internal_ip_at;
		claim(cfg, ips, n);
	}
	if (m != s->leader)
		return;
	n.kind = KWGI_NET_ENDPOINT;
	n.prefix = kwgi_prefix_host(m->endpoint.host ? &m->endpoint_address : &m->endpoint.addr);
	n.at = m->endpoint_at;
	claim(cfg, ips, n);
	n.kind = KWGI_NET_WIREGUARD;
	n.prefix = kwgi_prefix_host(&s->wg_ip);
	n.at = m->at;
	claim(cfg, ips, n);
}

/*
 * An allowed IP that an earlier peer by name, or the same peer, has listed is
 * dropped (Kilo: deduplicatePeerIPs).
 */
static void drop_peer_ips(struct kwg_config *cfg, const struct kwgi_topology *t, struct peer_ips *ips)
{
	const struct peer_ip *first = NULL, *ip;
	uint32_t i, j;

	for (i = 0; t->n_peers && i < t->n_segments; i++)
		for (j = 0; j < t->segments[i].n; j++)
			claim_for_node(cfg, ips, &t->segments[i], t->segments[i].members[j]);
	for (i = 0; i < ips->set.n; i++) {
		ip = &ips->v[ips->set.v[i].value];
		if (!first || !kwgi_prefix_equal(&first->cidr->prefix, &ip->cidr->prefix))
			first = ip;
		else if (!ip->cidr->left_out)
			say_left_out(cfg, ip, &(struct kwgi_net){
				.kind = KWGI_NET_PEER, .prefix = first->cidr->prefix,
				.peer = first->peer, .at = first->cidr->at,
			});
	}
}

static int build_peers(struct kwg_config *cfg, struct kwgi_topology *t)
{
	struct peer_ips ips = { 0 };
	uint32_t i, j;

	t->peers = alloc(cfg, cfg->n_peers, sizeof(*t->peers));
	if (!t->peers)
		return -1;
	for (i = 0; i < cfg->n_peers; i++)
		if (kwgi_peer_is_ready(&cfg->peers[i]))
			t->peers[t->n_peers++].peer = &cfg->peers[i];
	if (t->n_peers)
		qsort(t->peers, t->n_peers, sizeof(*t->peers), by_peer_name);
	if (collect_peer_ips(cfg, t, &ips))
		return -1;
	drop_peer_ips(cfg, t, &ips);
	for (i = 0; i < t->n_peers; i++) {
		const struct kwgi_cidrs *from = &t->peers[i].peer->allowed_ips;
		struct kwgi_prefixes *to = &t->peers[i].allowed_ips;

		to->v = alloc(cfg, from->n, sizeof(*to->v));
		if (!to->v)
			return -1;
		for (j = 0; j < from->n; j++)
			if (!from->v[j].left_out)
				to->v[to->n++] = from->v[j].prefix;
	}
	return 0;
}

/* ---- allowed location IPs -------------------------------------------- */

/* One allowed location IP of a segment. */
struct location_ip {
	struct kwgi_prefix prefix;
	const struct kwgi_node *node;	/* the first member by name that has it */
	struct kwgi_cidr *cidr;
	uint32_t segment;
	uint32_t rival;			/* of those that overlap it, one of the last segment */
	char text[KWGI_PREFIX_TEXT];
};

struct location_ips {
	struct location_ip *v;
	uint32_t n, cap;
};

/* Kilo sorts them as text; equal ones of a segment become one. */
static int by_segment_and_text(const void *a, const void *b)
{
	const struct location_ip *x = a, *y = b;
	int c;

	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	c = strcmp(x->text, y->text);
	return c ? c : strcmp(x->node->name, y->node->name);
}

static int collect_location_ips(struct kwg_config *cfg, const struct kwgi_topology *t,
				struct location_ips *all)
{
	struct location_ip *l;
	uint32_t s, i, j, n;

	for (s = 0; s < t->n_segments; s++) {
		for (i = 0; i < t->segments[s].n; i++) {
			const struct kwgi_node *m = t->segments[s].members[i];

			for (j = 0; j < m->allowed_location_ips.n; j++) {
				if (kwgi_arena_grow(&cfg->arena, &all->v, all->n, &all->cap,
						    sizeof(*all->v)))
					return -1;
				l = &all->v[all->n++];
				*l = (struct location_ip){
					.prefix = m->allowed_location_ips.v[j].prefix,
					.cidr = &m->allowed_location_ips.v[j],
					.node = m, .segment = s,
				};
				kwgi_prefix_format(l->text, &l->prefix);
			}
		}
	}
	if (all->n)
		qsort(all->v, all->n, sizeof(*all->v), by_segment_and_text);
	for (i = 0, n = 0; i < all->n; i++)
		if (!n || all->v[n - 1].segment != all->v[i].segment ||
		    strcmp(all->v[n - 1].text, all->v[i].text))
			all->v[n++] = all->v[i];
		else
			all->v[i].cidr->left_out = true;
	all->n = n;
	return 0;
}

/* Which of the two is of a later segment? The first, if of one. */
static uint32_t later(const struct location_ips *all, uint32_t a, uint32_t b)
{
	return all->v[b].segment > all->v[a].segment ? b : a;
}

/*
 * Of segments that want overlapping networks the last one keeps it. (Kilo
 * drops an entry if another segment has an overlapping one at that moment:
 * earlier segments have been filtered by then, so what they kept overlaps
 * nothing of a later segment; only later segments can be in the way.)
 */
static int find_rivals(struct kwg_config *cfg, struct location_ips *all)
{
	struct kwgi_prefixset set = { 0 };
	uint32_t *inside, *around;	/* of the items in and around each, one of the last segment */
	uint32_t i, up;

	for (i = 0; i < all->n; i++)
		if (kwgi_prefixset_add(&set, &cfg->arena, &all->v[i].prefix, i))
			return -1;
	kwgi_prefixset_build(&set);
	inside = alloc(cfg, set.n, sizeof(*inside));
	around = alloc(cfg, set.n, sizeof(*around));
	if (!inside || !around)
		return -1;
	for (i = 0; i < set.n; i++) {
		inside[i] = around[i] = set.v[i].value;
		up = set.v[i].parent;
		if (up != KWGI_NO_ITEM)
			around[i] = later(all, around[i], around[up]);
	}
	for (i = set.n; i-- > 0;) {
		up = set.v[i].parent;
		if (up != KWGI_NO_ITEM)
			inside[up] = later(all, inside[up], inside[i]);
		all->v[set.v[i].value].rival = later(all, inside[i], around[i]);
	}
	return 0;
}

/* What stands in the way of allowed location IPs. */
struct obstacles {
	struct kwgi_prefixset nodes;	/* pod CIDRs and private addresses; value: index into v */
	struct kwgi_prefixset peers;
	struct kwgi_net *v;
	uint32_t n, cap;
};

static int add_obstacle(struct kwg_config *cfg, struct obstacles *o, struct kwgi_prefixset *set,
			const struct kwgi_net *n)
{
	if (kwgi_arena_grow(&cfg->arena, &o->v, o->n, &o->cap, sizeof(*o->v)) ||
	    kwgi_prefixset_add(set, &cfg->arena, &n->prefix, o->n))
		return -1;
	o->v[o->n++] = *n;
	return 0;
}

static int add_cidrs(struct kwg_config *cfg, struct obstacles *o, struct kwgi_prefixset *set,
		     struct kwgi_net n, const struct kwgi_cidrs *list)
{
	uint32_t i;

	for (i = 0; i < list->n; i++) {
		n.prefix = list->v[i].prefix;
		n.at = list->v[i].at;
		if (!list->v[i].left_out && add_obstacle(cfg, o, set, &n))
			return -1;
	}
	return 0;
}

static int add_node(struct kwg_config *cfg, struct obstacles *o, const struct kwgi_segment *s,
		    const struct kwgi_node *m)
{
	struct kwgi_net n = { .kind = KWGI_NET_POD, .node = m };

	if (add_cidrs(cfg, o, &o->nodes, n, &m->pod_cidrs))
		return -1;
	if (!s->has_private_ips)
		return 0;
	n.kind = KWGI_NET_INTERNAL;
	n.prefix = kwgi_prefix_host(&m->internal_ip.addr);
	n.at = m->internal_ip_at;
	return add_obstacle(cfg, o, &o->nodes, &n);
}

static int collect_obstacles(struct kwg_config *cfg, const struct kwgi_topology *t,
			     struct obstacles *o)
{
	uint32_t i, j;

	for (i = 0; i < t->n_segments; i++)
		for (j = 0; j < t->segments[i].n; j++)
			if (add_node(cfg, o, &t->segments[i], t->segments[i].members[j]))
				return -1;
	for (i = 0; i < t->n_peers; i++) {
		const struct kwgi_peer *p = t->peers[i].peer;

		if (add_cidrs(cfg, o, &o->peers, (struct kwgi_net){ .kind = KWGI_NET_PEER, .peer = p },
			      &p->allowed_ips))
			return -1;
	}
	kwgi_prefixset_build(&o->nodes);
	kwgi_prefixset_build(&o->peers);
	return 0;
}

/* Is it the WireGuard address of a segment up to this one? Later ones have none yet (Kilo). */
static const struct kwgi_node *leader_at(const struct kwg_config *cfg, const struct kwgi_topology *t,
					 const struct kwgi_addr *a, uint32_t segment)
{
	uint64_t n;

	if (!kwgi_prefix_contains(&cfg->mesh.subnet, a))
		return NULL;
	n = kwgi_addr_offset(a, &cfg->mesh.subnet.addr);
	return n >= 1 && n <= (uint64_t)segment + 1 ? t->segments[n - 1].leader : NULL;
}

static struct kwgi_net net_of(const struct location_ip *l)
{
	return (struct kwgi_net){
		.kind = KWGI_NET_LOCATION, .prefix = l->prefix, .node = l->node, .at = l->cidr->at,
	};
}

/* May the segment announce it? If not, who is in the way? Kilo: filterAllowedLocationIPs. */
static bool accept_location_ip(const struct kwg_config *cfg, const struct kwgi_topology *t,
			       const struct obstacles *o, const struct location_ips *all,
			       const struct location_ip *l, struct kwgi_net *keeper)
{
	const struct kwgi_node *leader;
	uint32_t i;

	if (all->v[l->rival].segment > l->segment) {
		*keeper = net_of(&all->v[l->rival]);
		return false;
	}
	i = kwgi_prefixset_lookup(&o->nodes, &l->prefix.addr);
	if (i != KWGI_NO_ITEM) {
		*keeper = o->v[o->nodes.v[i].value];
		return false;
	}
	leader = leader_at(cfg, t, &l->prefix.addr, l->segment);
	if (leader) {
		*keeper = (struct kwgi_net){
			.kind = KWGI_NET_WIREGUARD, .prefix = kwgi_prefix_host(&l->prefix.addr),
			.node = leader, .at = leader->at,
		};
		return false;
	}
	i = kwgi_prefixset_overlap(&o->peers, &l->prefix);
	if (i != KWGI_NO_ITEM)
		*keeper = o->v[o->peers.v[i].value];
	return i == KWGI_NO_ITEM;
}

static void leave_out_location_ip(struct kwg_config *cfg, const struct location_ip *l,
				  const struct kwgi_net *keeper)
{
	struct kwgi_net n = net_of(l);

	l->cidr->left_out = true;
	kwgi_verdict_say(cfg, KWGI_LEFT_OUT, &n, keeper, KWGI_FAR, 0);
}

static int filter_location_ips(struct kwg_config *cfg, struct kwgi_topology *t)
{
	struct location_ips all = { 0 };
	struct obstacles o = { 0 };
	struct kwgi_prefix *kept, *rejected;
	struct kwgi_prefixes *to;
	struct kwgi_net keeper;
	uint32_t i;

	if (collect_location_ips(cfg, t, &all))
		return -1;
	if (!all.n)
		return 0;
	if (find_rivals(cfg, &all) || collect_obstacles(cfg, t, &o))
		return -1;
	kept = alloc(cfg, all.n, sizeof(*kept));
	rejected = alloc(cfg, all.n, sizeof(*rejected));
	if (!kept || !rejected)
		return -1;
	/* Each segment's share is a slice of the two arrays. */
	for (i = 0; i < all.n; i++) {
		struct kwgi_segment *s = &t->segments[all.v[i].segment];
		bool ok = accept_location_ip(cfg, t, &o, &all, &all.v[i], &keeper);

		if (!ok)
			leave_out_location_ip(cfg, &all.v[i], &keeper);
		to = ok ? &s->location_ips : &s->rejected_location_ips;
		if (!to->v)
			to->v = ok ? kept : rejected;
		to->v[to->n++] = all.v[i].prefix;
		if (ok)
			kept++;
		else
			rejected++;
	}
	return 0;
}

/* ---- discovered endpoints -------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	const struct kwgi_discovered *x = a, *y = b;

	return kwgi_key_cmp(&x->key, &y->key);
}

struct ranked {
	struct kwgi_discovered d;	/* first: by_key() looks at it */
	uint32_t rank;
};

static int by_key_and_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int c = by_key(a, b);

	return c ? c : x->rank < y->rank ? -1 : 1;
}

/* Segment after segment, member after member; the first entry for a key counts. */
static int build_discovered(struct kwg_config *cfg, struct kwgi_topology *t)
{
	struct ranked *all;
	uint32_t s, i, j, n = 0;

	for (i = 0; i < t->n_nodes; i++)
		n += t->nodes[i]->discovered.n;
	all = alloc(cfg, n, sizeof(*all));
	t->discovered = alloc(cfg, n, sizeof(*t->discovered));
	if (!all || !t->discovered)
		return -1;
	for (s = 0, n = 0; s < t->n_segments; s++) {
		for (i = 0; i < t->segments[s].n; i++) {
			const struct kwgi_discovereds *d = &t->segments[s].members[i]->discovered;

			for (j = 0; j < d->n; j++, n++)
				all[n] = (struct ranked){ d->v[j], n };
		}
	}
	if (n)
		qsort(all, n, sizeof(*all), by_key_and_rank);
	for (i = 0; i < n; i++)
		if (!i || by_key(&all[i - 1], &all[i]))
			t->discovered[t->n_discovered++] = all[i].d;
	return 0;
}

const struct kwgi_discovered *kwgi_topology_discovered(const struct kwgi_topology *t,
						       const struct kwgi_node *viewpoint,
						       const struct kwgi_key *key)
{
	struct kwgi_discovered want = { .key = *key };
	uint32_t i;

	for (i = 0; i < viewpoint->discovered.n; i++)
		if (!kwgi_key_cmp(&viewpoint->discovered.v[i].key, key))
			return &viewpoint->discovered.v[i];
	if (!t->n_discovered)
		return NULL;
	return bsearch(&want, t->discovered, t->n_discovered, sizeof(want), by_key);
}

int kwgi_topology_build(struct kwg_config *cfg)
{
	struct kwgi_topology *t = alloc(cfg, 1, sizeof(*t));
	uint32_t i;

	if (!t || build_segments(cfg, t) || index_nodes(cfg, t))
		return KWG_ERR_NOMEM;
	allocate_addresses(cfg, t);
	for (i = 0; i < t->n_segments; i++)
		if (build_allowed_ips(cfg, &t->segments[i]))
			return KWG_ERR_NOMEM;
	if (build_peers(cfg, t) || filter_location_ips(cfg, t) || build_discovered(cfg, t))
		return KWG_ERR_NOMEM;
	cfg->topology = t;
	return 0;
}
