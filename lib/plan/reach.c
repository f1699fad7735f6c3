/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A private address is as good as any where all who send to it are in its network: in one
 * data centre, or several that are connected. So it is complained about only if a leader
 * shows that it is elsewhere, by an endpoint that is not private, and the node does not
 * say by a keepalive that it is behind a NAT and begins sessions itself.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/reach.h"

/* A leader whose endpoint is no private address. */
struct distant {
	const struct kwgi_node *node;
	struct kwgi_prefix network;	/* its private one; family NONE: it has none */
	uint32_t next;			/* the first one of another network */
};

struct distants {
	struct distant *v;
	uint32_t n;
};

static const struct kwgi_addr *endpoint_address(const struct kwgi_node *n)
{
	return n->endpoint.host ? &n->endpoint_address : &n->endpoint.addr;
}

/* RFC 3927 section 2.1, RFC 4291 section 2.5.6. */
static bool is_link_local(const struct kwgi_addr *a)
{
	if (a->family == KWGI_AF_V4)
		return a->b[0] == 169 && a->b[1] == 254;
	return a->family == KWGI_AF_V6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* ---- names ----------------------------------------------------------- */

/* What ends in a number is no name of the DNS (RFC 1123 section 2.1), but an address with a mistake. */
static bool ends_in_number(const char *host)
{
	const char *label = strrchr(host, '.');

	label = label ? label + 1 : host;
	return strspn(label, "0123456789") == strlen(label);
}

static void check_name(struct kwg_config *cfg, const struct kwgi_endpoint *e,
		       const struct kwgi_addr *resolved, struct kwgi_place at,
		       const char *what, const char *name)
{
	if (!e->port || !e->host || resolved->family)
		return;
	if (ends_in_number(e->host))
		kwgi_diags_add(&cfg->diags, KWG_WARNING, at, "endpoint",
			       "\"%s\" of %s \"%s\" is no IPv4 address, and as a name it cannot be looked up; give an address of four numbers up to 255, or a name",
			       e->host, what, name);
	else if (!strchr(e->host, '.'))
		kwgi_diags_add(&cfg->diags, KWG_WARNING, at, "endpoint",
			       "\"%s\" of %s \"%s\" has no dot, so each host looks it up in its own domains; give the whole name, or endpoint-address",
			       e->host, what, name);
}

/* ---- addresses ------------------------------------------------------- */

static bool is_distant(const struct kwgi_node *n)
{
	const struct kwgi_addr *a = endpoint_address(n);

	if (!n->endpoint.port)
		return false;
	if (a->family)
		return !kwgi_addr_is_inner(a) && !is_link_local(a) && !kwgi_addr_useless(a);
	/* A name may lead into a private network, if the node is in one. */
	return strchr(n->endpoint.host, '.') && !ends_in_number(n->endpoint.host) &&
	       (!kwgi_node_has_private_ip(n) || !kwgi_addr_is_inner(&n->internal_ip.addr));
}

static int by_network(const void *a, const void *b)
{
	const struct distant *x = a, *y = b;
	int c = kwgi_prefix_cmp(&x->network, &y->network);

	if (!c)
		c = strcmp(x->node->location, y->node->location);
	return c ? c : strcmp(x->node->name, y->node->name);
}

/* Of those of one location and network one is as good as all. */
static int find_distants(struct kwg_config *cfg, const struct kwgi_topology *t, struct distants *d)
{
	uint32_t i, n = 0;

	d->v = kwgi_arena_alloc(&cfg->arena, t->n_segments + 1u, sizeof(*d->v));
	if (!d->v)
		return -1;
	for (i = 0; i < t->n_segments; i++) {
		const struct kwgi_node *leader = t->segments[i].leader;

		if (!is_distant(leader))
			continue;
		d->v[d->n].node = leader;
		if (kwgi_node_has_private_ip(leader))
			d->v[d->n].network = kwgi_prefix_masked(&leader->internal_ip);
		d->n++;
	}
	if (d->n)
		qsort(d->v, d->n, sizeof(*d->v), by_network);
	for (i = 0; i < d->n; i++)
		if (!n || strcmp(d->v[n - 1].node->location, d->v[i].node->location) ||
		    kwgi_prefix_cmp(&d->v[n - 1].network, &d->v[i].network))
			d->v[n++] = d->v[i];
	d->n = n;
	for (i = n; i-- > 0;)
		d->v[i].next = i + 1 < n && !kwgi_prefix_cmp(&d->v[i].network, &d->v[i + 1].network)
				       ? d->v[i + 1].next : i + 1;
	return 0;
}

/*
 * One that is not in the network of the address, or NULL. Few networks have an address in them,
 * and few nodes of one network are of the same location.
 */
static const struct kwgi_node *find_distant(const struct distants *d, const struct kwgi_node *n,
					    const struct kwgi_addr *a)
{
	uint32_t i = 0;

	while (i < d->n) {
		if (kwgi_prefix_contains(&d->v[i].network, a))
			i = d->v[i].next;
		else if (strcmp(d->v[i].node->location, n->location))
			return d->v[i].node;
		else
			i++;
	}
	return NULL;
}

static void check_private(struct kwg_config *cfg, const struct distants *d, const struct kwgi_node *n,
			  const char *what)
{
	const struct kwgi_addr *a = endpoint_address(n);
	const struct kwgi_node *other = find_distant(d, n, a);
	char text[KWGI_ADDR_TEXT], at[KWGI_PLACE_TEXT];

	if (other)
		kwgi_diags_add(&cfg->diags, KWG_WARNING, n->endpoint_at, "endpoint",
			       "%s of node \"%s\" is %s, and node \"%s\" (%s) is not in its network, so that one cannot begin a session; give an address that is reached from there, or, behind a NAT, persistent-keepalive",
			       kwgi_addr_format(text, a), n->name, what, other->name,
			       kwgi_diags_place(&cfg->diags, at, other->endpoint_at));
}

/* Nobody can say over which interface it is. */
static void check_scope(struct kwg_config *cfg, const struct kwgi_endpoint *e, struct kwgi_place at,
			const char *what, const char *name)
{
	char text[KWGI_ADDR_TEXT];

	if (e->port && !e->host && e->addr.family == KWGI_AF_V6 && is_link_local(&e->addr))
		kwgi_diags_add(&cfg->diags, KWG_WARNING, at, "endpoint",
			       "%s of %s \"%s\" is link-local, and nothing can be sent to it without an interface; give another address",
			       kwgi_addr_format(text, &e->addr), what, name);
}

static void check_leader(struct kwg_config *cfg, const struct distants *d, const struct kwgi_node *n)
{
	const struct kwgi_addr *a = endpoint_address(n);

	check_name(cfg, &n->endpoint, &n->endpoint_address, n->endpoint_at, "node", n->name);
	check_scope(cfg, &n->endpoint, n->endpoint_at, "node", n->name);
	if (n->keepalive)
		return;
	if (kwgi_addr_is_inner(a))
		check_private(cfg, d, n, "private");
	else if (is_link_local(a) && a->family == KWGI_AF_V4)
		check_private(cfg, d, n, "link-local");
}

/* Each waits for the other to begin. */
static void check_callers(struct kwg_config *cfg, const struct kwgi_topology *t)
{
	const struct kwgi_node *first = NULL;
	char at[KWGI_PLACE_TEXT];
	uint32_t i;

	for (i = 0; i < t->n_segments; i++) {
		const struct kwgi_node *n = t->segments[i].leader;

		if (n->endpoint.port)
			continue;
		if (first)
			kwgi_diags_add(&cfg->diags, KWG_WARNING, n->at, "endpoint",
				       "neither node \"%s\" nor node \"%s\" (%s) has an endpoint, so neither can begin a session with the other; give one of them an endpoint",
				       n->name, first->name, kwgi_diags_place(&cfg->diags, at, first->at));
		else
			first = n;
	}
}

int kwgi_reach(struct kwg_config *cfg, const struct kwgi_topology *t)
{
	struct distants d = { 0 };
	uint32_t i;

	/* A leader alone sends to peers only, and they to it from where nobody knows. */
	for (i = 0; t->n_segments && i < t->n_peers; i++) {
		const struct kwgi_peer *p = t->peers[i].peer;

		check_name(cfg, &p->endpoint, &p->endpoint_address, p->endpoint_at, "peer", p->name);
		check_scope(cfg, &p->endpoint, p->endpoint_at, "peer", p->name);
	}
	if (t->n_segments + t->n_peers < 2)
		return 0;
	if (find_distants(cfg, t, &d))
		return -1;
	for (i = 0; i < t->n_segments; i++)
		check_leader(cfg, &d, t->segments[i].leader);
	check_callers(cfg, t);
	return 0;
}
