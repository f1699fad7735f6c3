/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * fail-closed: a network of the mesh has a second route that leads nowhere, of the worst metric, in
 * the table of the first. It counts as soon as the first is gone, whoever takes it away.
 */
#include <stdlib.h>

#include "plan/plan.h"

static int by_destination(const void *a, const void *b)
{
	const struct kwgi_route *x = a, *y = b;

	if (x->in_table != y->in_table)
		return x->in_table ? 1 : -1;
	return kwgi_prefix_cmp(&x->dst, &y->dst);
}

static void add(struct kwg_plan *plan, const struct kwgi_prefix *dst, bool in_table)
{
	plan->closed[plan->n_closed++] = (struct kwgi_route){ .dst = *dst, .in_table = in_table };
}

/* The host's own default route would be the better one: to close another does nothing. */
static bool can_be_closed(const struct kwgi_prefix *dst)
{
	return dst->len > 0;
}

int kwgi_plan_close(struct kwg_plan *plan)
{
	struct kwgi_prefix subnet = kwgi_prefix_masked(&plan->cfg->mesh.subnet);
	uint32_t i, n = 0;

	plan->n_closed = 0;
	if (!plan->cfg->local.fail_closed)
		return 0;
	plan->closed = kwgi_arena_alloc(&plan->arena, plan->n_routes + 1u, sizeof(*plan->closed));
	if (!plan->closed)
		return -1;
	/* On a leader it is the network of an address, which has no route in the plan. */
	add(plan, &subnet, false);
	for (i = 0; i < plan->n_routes; i++)
		if (can_be_closed(&plan->routes[i].dst))
			add(plan, &plan->routes[i].dst, plan->routes[i].in_table);
	qsort(plan->closed, plan->n_closed, sizeof(*plan->closed), by_destination);
	for (i = 0; i < plan->n_closed; i++)
		if (!i || by_destination(&plan->closed[i], &plan->closed[i - 1]))
			plan->closed[n++] = plan->closed[i];
	plan->n_closed = n;
	return 0;
}
