/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * All networks and addresses of a mesh against each other. They are sorted by network,
 * and those of one network by kind and owner: what is around a network is found by way of
 * its parents, and of a thousand owners of one network one that counts by halving. So it
 * is n log n, however they overlap, and each of them is complained about a few times at
 * most. What topology.c has left out takes no part.
 */
#include <stdlib.h>
#include <string.h>

#include "base/prefixset.h"
#include "plan/overlaps.h"
#include "plan/verdict.h"

/* "of A, B": which is to be complained about, and why. */
struct report {
	const struct kwgi_net *first, *second;
	uint8_t verdict, near;		/* enum kwgi_verdict, enum kwgi_nearness */
};

enum { N_NEAR = 4 };

/* Those of nets that are of one network, of one kind, and outside or not. */
struct run {
	uint32_t begin, end;
	uint8_t kind;
	bool outside;
};

struct overlaps {
	struct kwg_config *cfg;
	struct kwgi_arena arena;	/* for as long as it takes */
	struct kwgi_net *nets;
	uint32_t n, cap;
	struct run *runs;
	uint32_t n_runs, runs_cap;
	struct kwgi_prefixset set;	/* of the networks, each once; value: the first of runs */
	/* The table, ready for use; and is there anything but FINE in it? */
	uint8_t verdicts[KWGI_N_NET_KINDS][KWGI_N_NET_KINDS][N_NEAR][KWGI_N_RELATIONS];
	bool counts[KWGI_N_NET_KINDS][KWGI_N_NET_KINDS];
	struct report *reports;
	uint32_t n_reports, reports_cap;
	uint32_t n_locations;
};

/* ---- what there is --------------------------------------------------- */

static int add(struct overlaps *o, struct kwgi_net n)
{
	/*
	 * What cannot be an address has been said. Of what is as long as everything, a default
	 * route leaves to others what they have, and only pods would really be everywhere.
	 */
	if (!n.prefix.addr.family ||
	    (n.prefix.len ? kwgi_addr_useless(&n.prefix.addr) != NULL : n.kind != KWGI_NET_POD))
		return 0;
	if (kwgi_arena_grow(&o->arena, &o->nets, o->n, &o->cap, sizeof(*o->nets)))
		return -1;
	n.prefix = kwgi_prefix_masked(&n.prefix);
	o->nets[o->n++] = n;
	return 0;
}

static int add_addr(struct overlaps *o, struct kwgi_net n, const struct kwgi_addr *a)
{
	if (!a->family)
		return 0;
	n.prefix = kwgi_prefix_host(a);
	return add(o, n);
}

static int add_cidrs(struct overlaps *o, struct kwgi_net n, const struct kwgi_cidrs *list)
{
	uint32_t i;

	for (i = 0; i < list->n; i++) {
		if (list->v[i].left_out)
			continue;
		n.prefix = list->v[i].prefix;
		n.at = list->v[i].at;
		if (add(o, n))
			return -1;
	}
	return 0;
}

static const struct kwgi_addr *address_of(const struct kwgi_endpoint *e,
					  const struct kwgi_addr *resolved)
{
	return e->host ? resolved : &e->addr;
}

static int add_mesh(struct overlaps *o)
{
	const struct kwgi_mesh *m = &o->cfg->mesh;
	struct kwgi_net n = { .location = UINT32_MAX, .segment = UINT32_MAX, .owner = UINT32_MAX };

	n.kind = KWGI_NET_SERVICE;
	if (add_cidrs(o, n, &m->service_cidrs))
		return -1;
	n.kind = KWGI_NET_SUBNET;
	n.prefix = m->subnet;
	n.at = m->subnet_at.line ? m->subnet_at : m->at;
	return add(o, n);
}

/* The network of all members of a segment is there once. */
static int add_network(struct overlaps *o, struct kwgi_net n)
{
	const struct kwgi_node *m = n.node;
	struct kwgi_prefix net = kwgi_prefix_masked(&m->internal_ip);
	uint32_t i = o->n;

	if (m->internal_ip.len == kwgi_addr_bits(&m->internal_ip.addr))
		return 0;
	while (i-- > 0 && o->nets[i].segment == n.segment)
		if (o->nets[i].kind == KWGI_NET_NETWORK) {
			if (kwgi_prefix_equal(&o->nets[i].prefix, &net))
				return 0;
			break;
		}
	n.kind = KWGI_NET_NETWORK;
	n.prefix = net;
	return add(o, n);
}

/*
 * Nobody makes a route to where WireGuard's own packets go, be it the address itself or a
 * name that may lead there, see check_where_name_leads() in config/check.c.
 */
static bool is_outside(const struct kwgi_addr *ip, const struct kwgi_node *leader)
{
	const struct kwgi_addr *to = address_of(&leader->endpoint, &leader->endpoint_address);

	return to->family ? kwgi_addr_equal(ip, to) : !kwgi_addr_is_private(ip);
}

static int add_internal_ip(struct overlaps *o, struct kwgi_net n, const struct kwgi_segment *s)
{
	const struct kwgi_addr *ip = &n.node->internal_ip.addr;

	if (!kwgi_node_has_private_ip(n.node))
		return 0;
	n.at = n.node->internal_ip_at;
	if (add_network(o, n))
		return -1;
	n.kind = KWGI_NET_INTERNAL;
	n.outside = is_outside(ip, s->leader);
	return add_addr(o, n, ip);
}

static int add_member(struct overlaps *o, struct kwgi_net n, const struct kwgi_segment *s)
{
	const struct kwgi_node *m = n.node;

	if (add_internal_ip(o, n, s))
		return -1;
	n.kind = KWGI_NET_POD;
	if (add_cidrs(o, n, &m->pod_cidrs))
		return -1;
	n.kind = KWGI_NET_LOCATION;
	if (add_cidrs(o, n, &m->allowed_location_ips))
		return -1;
	n.kind = KWGI_NET_ENDPOINT;
	n.at = m->endpoint_at;
	n.port = m->endpoint.port;
	n.outside = m != s->leader;
	if (add_addr(o, n, address_of(&m->endpoint, &m->endpoint_address)))
		return -1;
	n.kind = KWGI_NET_WIREGUARD;
	n.at = m->at;
	return m == s->leader ? add_addr(o, n, &s->wg_ip) : 0;
}

static int by_location(const void *a, const void *b)
{
	const struct kwgi_segment *x = *(const struct kwgi_segment *const *)a;
	const struct kwgi_segment *y = *(const struct kwgi_segment *const *)b;
	int c = strcmp(x->leader->location, y->leader->location);

	return c ? c : x < y ? -1 : x > y;
}

/* Numbers for locations, by segment: with granularity = full, many segments are in one. NULL: no memory. */
static uint32_t *number_locations(struct overlaps *o, const struct kwgi_topology *t)
{
	const struct kwgi_segment **v = kwgi_arena_alloc(&o->arena, t->n_segments + 1u, sizeof(*v));
	uint32_t *location = kwgi_arena_alloc(&o->arena, t->n_segments + 1u, sizeof(*location));
	uint32_t i;

	if (!v || !location)
		return NULL;
	for (i = 0; i < t->n_segments; i++)
		v[i] = &t->segments[i];
	if (t->n_segments)
		qsort(v, t->n_segments, sizeof(*v), by_location);
	for (i = 0; i < t->n_segments; i++) {
		if (i && strcmp(v[i - 1]->leader->location, v[i]->leader->location))
			o->n_locations++;
		location[v[i] - t->segments] = o->n_locations;
	}
	o->n_locations++;
	return location;
}

static int add_nodes(struct overlaps *o, const struct kwgi_topology *t)
{
	uint32_t *location = number_locations(o, t);
	uint32_t i, j, owner = 0;

	if (!location)
		return -1;
	for (i = 0; i < t->n_segments; i++) {
		for (j = 0; j < t->segments[i].n; j++) {
			struct kwgi_net n = {
				.location = location[i], .segment = i, .owner = owner++,
				.node = t->segments[i].members[j],
			};

			if (add_member(o, n, &t->segments[i]))
				return -1;
		}
	}
	return 0;
}

static int add_peers(struct overlaps *o, const struct kwgi_topology *t)
{
	uint32_t i;

	for (i = 0; i < t->n_peers; i++) {
		const struct kwgi_peer *p = t->peers[i].peer;
		struct kwgi_net n = {
			.kind = KWGI_NET_PEER, .peer = p, .location = o->n_locations + i,
			.segment = t->n_segments + i, .owner = t->n_nodes + i,
		};

		if (add_cidrs(o, n, &p->allowed_ips))
			return -1;
		n.kind = KWGI_NET_PEER_ENDPOINT;
		n.at = p->endpoint_at;
		n.port = p->endpoint.port;
		if (n.port && add_addr(o, n, address_of(&p->endpoint, &p->endpoint_address)))
			return -1;
	}
	return 0;
}

/* ---- order ----------------------------------------------------------- */

static int by_number(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int by_place(const struct kwgi_net *a, const struct kwgi_net *b)
{
	int c = by_number(a->at.file, b->at.file);

	return c ? c : by_number(a->at.line, b->at.line);
}

/* As far as the owners are the same, see struct kwgi_net. */
static int by_owner(const struct kwgi_net *a, const struct kwgi_net *b, enum kwgi_nearness near)
{
	int c = by_number(a->location, b->location);

	if (!c && near <= KWGI_SEGMENT)
		c = by_number(a->segment, b->segment);
	if (!c && near <= KWGI_OWN)
		c = by_number(a->owner, b->owner);
	return c;
}

static int by_net(const void *a, const void *b)
{
	const struct kwgi_net *x = a, *y = b;
	int c = kwgi_prefix_cmp(&x->prefix, &y->prefix);

	if (!c)
		c = by_number(x->kind, y->kind);
	if (!c)
		c = by_number(x->outside, y->outside);
	if (!c)
		c = by_owner(x, y, KWGI_OWN);
	return c ? c : by_place(x, y);
}

static int add_run(struct overlaps *o, const struct kwgi_net *n, bool new_prefix)
{
	if (kwgi_arena_grow(&o->arena, &o->runs, o->n_runs, &o->runs_cap, sizeof(*o->runs)) ||
	    (new_prefix && kwgi_prefixset_add(&o->set, &o->arena, &n->prefix, o->n_runs)))
		return -1;
	o->runs[o->n_runs++] = (struct run){
		.begin = (uint32_t)(n - o->nets), .end = (uint32_t)(n - o->nets),
		.kind = n->kind, .outside = n->outside,
	};
	return 0;
}

static int sort(struct overlaps *o)
{
	const struct kwgi_net *n, *last = NULL;
	uint32_t i;

	if (o->n)
		qsort(o->nets, o->n, sizeof(*o->nets), by_net);
	for (i = 0; i < o->n; i++, last = n) {
		bool new_prefix;

		n = &o->nets[i];
		new_prefix = !last || !kwgi_prefix_equal(&n->prefix, &last->prefix);
		if ((new_prefix || n->kind != last->kind || n->outside != last->outside) &&
		    add_run(o, n, new_prefix))
			return -1;
		o->runs[o->n_runs - 1].end = i + 1;
	}
	kwgi_prefixset_build(&o->set);
	return 0;
}

/* ---- pairs ----------------------------------------------------------- */

/* Of [lo, hi), which are of one network and kind, the first that does not come before n in this. */
static const struct kwgi_net *bound(const struct kwgi_net *lo, const struct kwgi_net *hi,
				    const struct kwgi_net *n, enum kwgi_nearness near, bool behind)
{
	const struct kwgi_net *mid;
	int c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = by_owner(mid, n, near);
		if (c < 0 || (behind && !c))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Of [lo, hi), which are of one network and kind, the first that is just so near to n: as
 * near as that, and no nearer. NULL: none is.
 */
static const struct kwgi_net *find_near(const struct kwgi_net *lo, const struct kwgi_net *hi,
					const struct kwgi_net *n, enum kwgi_nearness near)
{
	const struct kwgi_net *from = lo, *to = hi, *inner;

	if (near != KWGI_FAR) {
		from = bound(lo, hi, n, near, false);
		to = bound(lo, hi, n, near, true);
	}
	inner = from;
	if (near == KWGI_OWN)
		return from == n ? (from + 1 < to ? from + 1 : NULL) : from < to ? from : NULL;
	/* What is nearer stands together. */
	if (from < to && !by_owner(from, n, (enum kwgi_nearness)(near >> 1)))
		inner = bound(from, to, n, (enum kwgi_nearness)(near >> 1), true);
	return inner < to ? inner : NULL;
}

static int report(struct overlaps *o, const struct kwgi_net *first, const struct kwgi_net *second,
		  enum kwgi_verdict verdict, enum kwgi_nearness near)
{
	if (kwgi_arena_grow(&o->arena, &o->reports, o->n_reports, &o->reports_cap,
			    sizeof(*o->reports)))
		return -1;
	o->reports[o->n_reports++] = (struct report){ first, second, (uint8_t)verdict, (uint8_t)near };
	return 0;
}

static bool is_told(uint8_t verdict)
{
	return verdict == KWGI_WARNED || verdict == KWGI_WRONG;
}

/*
 * n lies in the network of y, or has the same one. Of different kinds with one network,
 * that is looked at when the first of them comes; of one kind, when the later one comes.
 * 1: this is reported; 0, or -1.
 */
static int judge(struct overlaps *o, const struct kwgi_net *n, const struct kwgi_net *y,
		 unsigned i_near, bool equal)
{
	enum kwgi_nearness near = (enum kwgi_nearness)(1u << i_near);
	uint8_t v = o->verdicts[n->kind][y->kind][i_near][equal ? KWGI_EQUAL : KWGI_INSIDE];
	const struct kwgi_net *first = n, *second = y;

	if (n->kind == y->kind) {
		if (equal && y > n)
			return 0;
		if (by_place(n, y) < 0) {
			first = y;
			second = n;
		}
	} else if (!is_told(v) && !equal) {
		v = o->verdicts[y->kind][n->kind][i_near][KWGI_AROUND];
		first = y;
		second = n;
	}
	if (!is_told(v))
		return 0;
	return report(o, first, second, (enum kwgi_verdict)v, near) ? -1 : 1;
}

/* What is outside is looked at beside what is its own, and private addresses beside each other. */
static bool is_near_enough(const struct kwgi_net *n, const struct run *r, unsigned i_near)
{
	return (!n->outside && !r->outside) || !i_near ||
	       (n->kind == KWGI_NET_INTERNAL && r->kind == KWGI_NET_INTERNAL);
}

static int compare_with_run(struct overlaps *o, const struct kwgi_net *n, const struct run *r,
			    bool equal)
{
	const struct kwgi_net *y;
	unsigned i;
	int ret = 0;

	for (i = 0; i < N_NEAR && !ret && is_near_enough(n, r, i); i++) {
		y = find_near(&o->nets[r->begin], &o->nets[r->end], n, (enum kwgi_nearness)(1u << i));
		if (y)
			ret = judge(o, n, y, i, equal);
	}
	return ret;
}

/* With all of the same network (equal), or of one around it. Each kind is reported once. */
static int compare_with_item(struct overlaps *o, const struct kwgi_net *n, uint32_t item, bool equal,
			     uint32_t *reported)
{
	uint32_t i = o->set.v[item].value;
	uint32_t end = item + 1 < o->set.n ? o->set.v[item + 1].value : o->n_runs;
	int ret;

	for (; i < end; i++) {
		const struct run *r = &o->runs[i];

		if (!o->counts[n->kind][r->kind] || (*reported & 1u << r->kind))
			continue;
		ret = compare_with_run(o, n, r, equal);
		if (ret < 0)
			return -1;
		*reported |= (uint32_t)ret << r->kind;
		/* An address that two nodes have is in the networks of both. */
		if (equal && n->kind == KWGI_NET_INTERNAL && r->kind == KWGI_NET_INTERNAL &&
		    (r->end - r->begin > 1 || n < &o->nets[r->begin] || n >= &o->nets[r->end]))
			*reported |= 1u << KWGI_NET_NETWORK;
	}
	return 0;
}

static int compare(struct overlaps *o)
{
	uint32_t i, j, k, up, end, reported;

	for (i = 0; i < o->set.n; i++) {
		end = i + 1 < o->set.n ? o->set.v[i + 1].value : o->n_runs;
		for (j = o->set.v[i].value; j < end; j++) {
			for (k = o->runs[j].begin; k < o->runs[j].end; k++) {
				reported = 0;
				for (up = i; up != KWGI_NO_ITEM; up = o->set.v[up].parent)
					if (compare_with_item(o, &o->nets[k], up, up == i, &reported))
						return -1;
			}
		}
	}
	return 0;
}

/* ---- endpoints of one address and port ------------------------------- */

static int by_port(const void *a, const void *b)
{
	const struct kwgi_net *x = *(const struct kwgi_net *const *)a;
	const struct kwgi_net *y = *(const struct kwgi_net *const *)b;
	int c = kwgi_prefix_cmp(&x->prefix, &y->prefix);

	if (!c)
		c = by_number(x->port, y->port);
	if (!c)
		c = by_number(x->kind, y->kind);
	return c ? c : by_place(x, y);
}

static int compare_ports(struct overlaps *o)
{
	const struct kwgi_net **v = kwgi_arena_alloc(&o->arena, o->n + 1u, sizeof(*v)), *first;
	uint32_t i, n = 0;
	int ret = 0;

	if (!v)
		return -1;
	for (i = 0; i < o->n; i++)
		if ((o->nets[i].kind == KWGI_NET_ENDPOINT && !o->nets[i].outside) ||
		    o->nets[i].kind == KWGI_NET_PEER_ENDPOINT)
			v[n++] = &o->nets[i];
	if (n)
		qsort(v, n, sizeof(*v), by_port);
	for (i = 1, first = n ? v[0] : NULL; i < n && !ret; i++) {
		/* A peer may be what a node is, too, see report_keys() in config/check.c. */
		if (!kwgi_prefix_equal(&first->prefix, &v[i]->prefix) || first->port != v[i]->port)
			first = v[i];
		else
			ret = report(o, v[i], first, KWGI_WARNED, KWGI_FAR);
	}
	return ret;
}

/* ---- what is said ---------------------------------------------------- */

static int by_first(const void *a, const void *b)
{
	const struct report *x = a, *y = b;
	int c = by_place(x->first, y->first);

	if (!c)
		c = by_number(x->first->kind, y->first->kind);
	if (!c)
		c = kwgi_prefix_cmp(&x->first->prefix, &y->first->prefix);
	if (!c)
		c = by_number(x->second->kind, y->second->kind);
	if (!c)
		c = by_number(x->near, y->near);
	return c ? c : by_place(x->second, y->second);
}

static bool same_complaint(const struct report *a, const struct report *b)
{
	return a->first == b->first && a->second->kind == b->second->kind && a->near == b->near;
}

/* Of many that are wrong in the same way with one network, the first in the files is named. */
static void say(struct overlaps *o)
{
	uint32_t i, j;

	if (o->n_reports)
		qsort(o->reports, o->n_reports, sizeof(*o->reports), by_first);
	for (i = 0; i < o->n_reports; i = j) {
		const struct report *r = &o->reports[i];

		for (j = i + 1; j < o->n_reports && same_complaint(r, &o->reports[j]); j++)
			;
		kwgi_verdict_say(o->cfg, (enum kwgi_verdict)r->verdict, r->first, r->second,
				 (enum kwgi_nearness)r->near, j - i - 1);
	}
}

static void read_table(struct overlaps *o)
{
	unsigned a, b, near, relation;
	enum kwgi_verdict v;

	for (a = 0; a < KWGI_N_NET_KINDS; a++) {
		for (b = 0; b < KWGI_N_NET_KINDS; b++) {
			if (kwgi_verdict_needs_port((enum kwgi_net_kind)a, (enum kwgi_net_kind)b))
				continue;
			for (near = 0; near < N_NEAR; near++) {
				for (relation = 0; relation < KWGI_N_RELATIONS; relation++) {
					v = kwgi_verdict_of((enum kwgi_net_kind)a, (enum kwgi_net_kind)b,
							    (enum kwgi_nearness)(1u << near),
							    (enum kwgi_relation)relation);
					o->verdicts[a][b][near][relation] = (uint8_t)v;
					if (v == KWGI_WARNED || v == KWGI_WRONG)
						o->counts[a][b] = o->counts[b][a] = true;
				}
			}
		}
	}
}

int kwgi_overlaps(struct kwg_config *cfg, const struct kwgi_topology *t)
{
	struct overlaps o = { .cfg = cfg };
	int ret = -1;

	read_table(&o);
	if (!add_nodes(&o, t) && !add_peers(&o, t) && !add_mesh(&o) && !sort(&o) && !compare(&o) &&
	    !compare_ports(&o)) {
		say(&o);
		ret = 0;
	}
	kwgi_arena_free(&o.arena);
	return ret;
}
