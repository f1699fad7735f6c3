/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "base/prefixset.h"
#include "plan/peeraddr.h"

enum { TRIES = 1 << 16, LAST_BYTE = 255 };

struct taken {
	struct kwgi_arena arena;
	struct kwgi_prefixset set;
	bool failed;
};

/* 0.0.0.0/0 is said of a way out, and leaves all addresses free. */
static void take(struct taken *t, const struct kwgi_prefix *p)
{
	struct kwgi_prefix net = kwgi_prefix_masked(p);

	if (p->addr.family && p->len)
		t->failed |= kwgi_prefixset_add(&t->set, &t->arena, &net, 0) != 0;
}

static void take_all(struct taken *t, const struct kwgi_cidrs *list)
{
	uint32_t i;

	for (i = 0; i < list->n; i++)
		take(t, &list->v[i].prefix);
}

static void take_address(struct taken *t, const struct kwgi_addr *a)
{
	struct kwgi_prefix host = kwgi_prefix_host(a);

	take(t, &host);
}

static void take_configuration(struct taken *t, const struct kwg_config *cfg)
{
	uint32_t i;

	take(t, &cfg->mesh.subnet);
	take_all(t, &cfg->mesh.service_cidrs);
	take_all(t, &cfg->mesh.trusted_networks);
	for (i = 0; i < cfg->n_nodes; i++) {
		const struct kwgi_node *n = &cfg->nodes[i];

		take(t, &n->internal_ip);
		take(t, &n->cni_ip);
		take_all(t, &n->pod_cidrs);
		take_all(t, &n->allowed_location_ips);
		take_address(t, &n->endpoint.addr);
		take_address(t, &n->endpoint_address);
	}
	for (i = 0; i < cfg->n_peers; i++) {
		take_all(t, &cfg->peers[i].allowed_ips);
		/* With the length of their network, of which others may be free. */
		for (uint32_t k = 0; k < cfg->peers[i].addresses.n; k++)
			take_address(t, &cfg->peers[i].addresses.v[k].prefix.addr);
	}
	kwgi_prefixset_build(&t->set);
}

/* Behind the largest network that has the address; false if none has it. */
static bool skip(const struct taken *t, struct kwgi_addr *a, bool *ends)
{
	uint32_t i = kwgi_prefixset_lookup(&t->set, a);
	const struct kwgi_prefix *p;
	unsigned host_bits;

	if (i == KWGI_NO_ITEM)
		return false;
	while (t->set.v[i].parent != KWGI_NO_ITEM)
		i = t->set.v[i].parent;
	p = &t->set.v[i].prefix;
	host_bits = kwgi_addr_bits(a) - p->len;
	*ends = host_bits > 63 || !kwgi_addr_add(a, &p->addr, UINT64_C(1) << host_bits);
	return true;
}

/* Some programs take these for the network's own, or for all. */
static bool is_odd(const struct kwgi_addr *a)
{
	return a->family == KWGI_AF_V4 && (!a->b[3] || a->b[3] == LAST_BYTE);
}

/* The first one from *a on that is free. */
static bool find_free(const struct taken *t, struct kwgi_addr *a)
{
	bool ends = false;
	int i;

	for (i = 0; i < TRIES && !ends; i++) {
		if (skip(t, a, &ends))
			continue;
		if (!is_odd(a) && !kwgi_addr_useless(a))
			return true;
		ends = !kwgi_addr_add(a, a, 1);
	}
	return false;
}

/* The last peer's first address of a family, if it is one that it has to itself. */
static bool find_neighbour(struct kwgi_addr *out, const struct kwgi_peer *p, uint8_t family)
{
	uint32_t i;

	for (i = 0; i < p->allowed_ips.n; i++) {
		const struct kwgi_prefix *a = &p->allowed_ips.v[i].prefix;

		if (a->addr.family == family && a->len == kwgi_addr_bits(&a->addr)) {
			*out = a->addr;
			return true;
		}
	}
	return false;
}

static int find_beside(struct kwgi_addr out[KWGI_PEERADDR_MAX], const struct kwg_config *cfg)
{
	uint32_t i;
	int n = 0;

	for (i = cfg->n_peers; i && !n; i--) {
		n += find_neighbour(&out[n], &cfg->peers[i - 1], KWGI_AF_V4);
		n += find_neighbour(&out[n], &cfg->peers[i - 1], KWGI_AF_V6);
	}
	return n;
}

static int find_behind_subnet(struct kwgi_addr out[KWGI_PEERADDR_MAX], const struct kwg_config *cfg)
{
	const struct kwgi_prefix *s = &cfg->mesh.subnet;
	unsigned host_bits = kwgi_addr_bits(&s->addr) - s->len;

	return host_bits < 63 && s->len && kwgi_addr_add(&out[0], &s->addr, UINT64_C(1) << host_bits);
}

int kwgi_peeraddr_find(struct kwgi_addr out[KWGI_PEERADDR_MAX], const struct kwg_config *cfg)
{
	struct kwgi_addr from[KWGI_PEERADDR_MAX + 1];
	struct taken t = { .failed = false };
	int i, n, found = 0;

	take_configuration(&t, cfg);
	n = find_beside(from, cfg);
	if (!n)
		n = find_behind_subnet(from, cfg);
	for (i = 0; i < n && !t.failed; i++)
		if (find_free(&t, &from[i]))
			out[found++] = from[i];
	kwgi_arena_free(&t.arena);
	return t.failed ? -1 : found;
}
