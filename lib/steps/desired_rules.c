/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "steps/desired_rules.h"

enum { RULES_OF_DEFAULT = 2 * KWGI_RULES_OF_DEFAULT };	/* for both families */

/* How many numbers before rule-priority the first rules stand. */
static uint32_t first_priority(const struct kwgi_desired_rules *w, const struct kwgi_local *local)
{
	return local->rule_priority - (w->default_way->mark ? KWGI_RULES_OF_DEFAULT : 0);
}

static bool has(const struct kwgi_desired_rules *w, const struct kwgi_host_rule *r)
{
	uint32_t i;

	for (i = 0; i < w->n_rules; i++)
		if (!kwgi_host_rule_cmp(&w->rules[i], r))
			return true;
	return false;
}

/* A rule of the plan without its destination. */
static struct kwgi_host_rule to_all(const struct kwgi_desired_rules *w, const struct kwg_plan *plan,
				    const struct kwgi_rule *r)
{
	struct kwgi_host_rule rule = {
		.src = r->src, .family = r->dst.addr.family,
		.table = plan->cfg->local.route_table,
		.priority = first_priority(w, &plan->cfg->local), .protocol = w->protocol,
	};

	if (r->iif_kilo)
		memcpy(rule.iif, w->ifname, strlen(w->ifname) + 1);
	return rule;
}

/*
 * As wg-quick(8) has them. Whatever the main table knows but for its default route stays as it is;
 * the rest goes into the other table, but for WireGuard's own packets, and the answers to who came
 * another way (firewall), which have the mark.
 */
static void add_default(struct kwgi_desired_rules *w, const struct kwgi_local *local, uint8_t family)
{
	if (!kwgi_default_is_taken(w->default_way, family))
		return;
	w->rules[w->n_rules++] = (struct kwgi_host_rule){
		.family = family, .table = KWGI_TABLE_MAIN, .suppress = 1,
		.priority = local->rule_priority - 1, .protocol = w->protocol,
	};
	w->rules[w->n_rules++] = (struct kwgi_host_rule){
		.family = family, .table = local->default_table, .invert = true,
		.fwmark = w->default_way->mark, .mask = UINT32_MAX,
		.priority = local->rule_priority, .protocol = w->protocol,
	};
}

int kwgi_desired_rules(struct kwgi_desired_rules *w, struct kwgi_arena *a,
		       const struct kwg_plan *plan)
{
	uint32_t i;

	w->rules = kwgi_arena_alloc(a, plan->n_rules + (size_t)RULES_OF_DEFAULT, sizeof(*w->rules));
	if (!w->rules)
		return -1;
	/* Those of the plan lead to routes over the tunnel, if there is one. */
	for (i = 0; w->tunnel && i < plan->n_rules; i++) {
		struct kwgi_host_rule rule = to_all(w, plan, &plan->rules[i]);

		if (!has(w, &rule))
			w->rules[w->n_rules++] = rule;
	}
	add_default(w, &plan->cfg->local, KWGI_AF_V4);
	add_default(w, &plan->cfg->local, KWGI_AF_V6);
	return 0;
}
