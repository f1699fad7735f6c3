/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade's question whether somebody answers through the mesh. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "facade.h"
#include "host/echo.h"
#include "host/files.h"
#include "kilowg.h"
#include "plan/plan.h"

/* Do packets for it go into the mesh: by a route of the plan, or as what a peer may have? */
static bool is_in_mesh(const struct kwg_plan *plan, const struct kwgi_addr *a)
{
	uint32_t i, k;

	for (i = 0; i < plan->n_routes; i++)
		if (kwgi_prefix_contains(&plan->routes[i].dst, a))
			return true;
	for (i = 0; i < plan->n_peers; i++)
		for (k = 0; k < plan->peers[i].allowed_ips.n; k++)
			if (kwgi_prefix_contains(&plan->peers[i].allowed_ips.v[k], a))
				return true;
	return false;
}

/* The address in the mesh of the segment that has this node, or of one that leads it. */
static bool find_node(const struct kwg_plan *plan, const char *name, struct kwgi_addr *out)
{
	const struct kwgi_topology *t = plan->topo;
	uint32_t i, k;

	for (i = 0; i < t->n_segments; i++) {
		const struct kwgi_segment *s = &t->segments[i];

		if (s != plan->segment && (!strcmp(s->leader->name, name) || !strcmp(s->id, name))) {
			*out = s->wg_ip;
			return true;
		}
	}
	for (k = 0; k < t->n_nodes; k++)
		if (t->nodes[k] != plan->node && !strcmp(t->nodes[k]->name, name) &&
		    t->nodes[k]->internal_ip.addr.family) {
			*out = t->nodes[k]->internal_ip.addr;
			return true;
		}
	return false;
}

/* An outside peer: its only address, or the first of its largest network. */
static bool find_peer(const struct kwg_plan *plan, const char *name, struct kwgi_addr *out)
{
	const struct kwgi_prefix *best = NULL;
	uint32_t i, k;

	for (i = 0; i < plan->topo->n_peers; i++) {
		const struct kwgi_peer *p = plan->topo->peers[i].peer;

		if (strcmp(p->name, name))
			continue;
		for (k = 0; k < p->allowed_ips.n; k++)
			if (p->allowed_ips.v[k].prefix.len &&
			    (!best || p->allowed_ips.v[k].prefix.len > best->len))
				best = &p->allowed_ips.v[k].prefix;
	}
	if (!best)
		return false;
	*out = best->addr;
	return best->len == kwgi_addr_bits(out) || kwgi_addr_add(out, &best->addr, 1);
}

/* Which answers whatever becomes of the mesh. */
static bool is_own(const struct kwg_plan *plan, const struct kwgi_addr *a)
{
	const struct kwgi_cidrs *pods = &plan->node->pod_cidrs;
	uint32_t i;

	for (i = 0; i < pods->n; i++)
		if (kwgi_prefix_contains(&pods->v[i].prefix, a))
			return true;
	return kwgi_addr_equal(&plan->segment->wg_ip, a) ? plan->leader
	       : kwgi_addr_equal(&plan->node->internal_ip.addr, a);
}

int kwg_probe_address(const struct kwg_plan *plan, const char *target,
		      char out[KWG_ADDRESS_TEXT], struct kwg_error *err)
{
	struct kwgi_addr a;

	if (kwgi_addr_parse(&a, target) && !find_node(plan, target, &a) &&
	    !find_peer(plan, target, &a))
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "\"%.100s\" is neither an address nor the name of another node with a private address, or of a peer",
				 target);
	if (is_own(plan, &a))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "\"%.100s\" is this node itself", target);
	if (!is_in_mesh(plan, &a))
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "\"%.100s\" is not reached through the mesh, so its answer would tell nothing",
				 target);
	kwgi_addr_format(out, &a);
	return 0;
}

_Static_assert((int)KWG_ADDRESS_TEXT == (int)KWGI_ADDR_TEXT, "one length of addresses");

static void hear(const struct kwgi_addr *from, const char *const *addresses, size_t n,
		 bool *answered, int *left)
{
	struct kwgi_addr a;
	size_t i;

	for (i = 0; i < n; i++) {
		if (answered[i] || kwgi_addr_parse(&a, addresses[i]) || !kwgi_addr_equal(&a, from))
			continue;
		answered[i] = true;
		--*left;
	}
}

int kwg_probe(const char *const *addresses, size_t n, bool *answered, unsigned ms,
	      struct kwg_error *err)
{
	int64_t deadline = kwgi_monotonic_ms() + ms, wait;
	struct kwgi_echo echo;
	struct kwgi_addr a;
	int left = 0;
	size_t i;

	/* Through the tunnel whatever else the host routes; a follower asks through its leader. */
	kwgi_echo_open(&echo, NULL);
	if (echo.fds[0] < 0 && echo.fds[1] < 0) {
		kwgi_echo_close(&echo);
		return kwgi_fail(err, KWG_ERR_KERNEL, echo.error, "no echo request can be sent: %s",
				 strerror(echo.error));
	}
	for (i = 0; i < n; i++) {
		left += !answered[i];
		if (!answered[i] && !kwgi_addr_parse(&a, addresses[i]))
			(void)kwgi_echo_send(&echo, &a);
	}
	while (left && (wait = deadline - kwgi_monotonic_ms()) > 0)
		if (kwgi_echo_receive(&echo, &a, (int)wait))
			hear(&a, addresses, n, answered, &left);
	kwgi_echo_close(&echo);
	return left;
}
