/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "steps/leader.h"

const struct kwgi_desired_route *kwgi_leader_route(const struct kwgi_desired *w,
						   const struct kwgi_addr *to)
{
	const struct kwgi_desired_route *best = NULL;
	uint32_t i;

	for (i = 0; i < w->n_routes; i++) {
		const struct kwgi_host_route *r = &w->routes[i].route;

		if (r->table == KWGI_TABLE_MAIN && kwgi_prefix_contains(&r->dst, to) &&
		    (!best || r->dst.len > best->route.dst.len))
			best = &w->routes[i];
	}
	return best;
}

void kwgi_leader_find(struct kwgi_leader *l, const struct kwg_plan *plan,
		      const struct kwgi_desired *w)
{
	const struct kwgi_node *node = plan->segment->leader;
	uint32_t i;

	if (plan->leader || !node || !kwgi_node_has_private_ip(node))
		return;
	l->node = node;
	l->addr = l->way.to = node->internal_ip.addr;
	for (i = 0; i < plan->topo->n_segments && !l->other; i++) {
		const struct kwgi_segment *s = &plan->topo->segments[i];

		if (s == plan->segment)
			continue;
		l->wanted = kwgi_leader_route(w, &s->wg_ip);
		if (l->wanted)
			l->other = s;
		l->out.to = s->wg_ip;
	}
}

bool kwgi_leader_has_router(const struct kwgi_leader *l)
{
	return l->way.route.gw.family && !kwgi_addr_equal(&l->way.route.gw, &l->addr);
}

bool kwgi_leader_leads_out(const struct kwgi_leader *l)
{
	return l->wanted && !l->out.error && l->out.route.oif == l->wanted->route.oif &&
	       kwgi_addr_equal(&l->out.route.gw, &l->wanted->route.gw);
}

static bool is_silent(const struct kwgi_leader *l)
{
	return l->way.error || (!l->echoed && l->neigh == KWGI_NEIGH_SILENT);
}

const char *kwgi_leader_word(const struct kwgi_leader *l)
{
	if (is_silent(l))
		return "does not answer";
	if (l->echoed)
		return "answers";
	return l->neigh == KWGI_NEIGH_ANSWERS && !kwgi_leader_has_router(l) ?
	       "answers as a neighbour only" : "not known to answer";
}

static void find_silent(const struct kwgi_leader *l, const struct kwg_plan *plan,
			struct kwgi_findings *f)
{
	struct kwgi_buf text = { 0 }, remedy = { 0 };
	char place[KWGI_PLACE_TEXT];

	kwgi_buf_printf(&text, "leader %s: ", l->node->name);
	if (l->way.error) {
		kwgi_buf_puts(&text, "there is no route to ");
		kwgi_buf_addr(&text, &l->addr);
		kwgi_buf_puts(&remedy, "is the interface up that has internal-ip here");
	} else {
		kwgi_buf_puts(&text, "no answer from ");
		kwgi_buf_addr(&text, kwgi_leader_has_router(l) ? &l->way.route.gw : &l->addr);
		kwgi_buf_puts(&text, kwgi_leader_has_router(l) ? ", the router on the way to it" : "");
		kwgi_buf_puts(&remedy, "is that host up, and in the same network; ");
	}
	kwgi_buf_puts(&remedy, l->way.error ? "; " : "");
	kwgi_buf_puts(&remedy, "is internal-ip");
	if (l->node->internal_ip_at.line)
		kwgi_buf_printf(&remedy, " (%s)", kwgi_diags_place(&plan->cfg->diags, place,
								     l->node->internal_ip_at));
	kwgi_buf_puts(&remedy, " right");
	kwgi_findings_add(f, true, "leader-silent", &text, &remedy);
}

void kwgi_leader_judge(const struct kwgi_leader *l, const struct kwg_plan *plan,
		       struct kwgi_findings *f)
{
	if (!l->node || l->echoed)
		return;
	if (is_silent(l))
		find_silent(l, plan, f);
	else
		kwgi_findings_say(f, false, "leader-unsure",
				  "leader %s: no answer to an echo request, which may be dropped there, and the neighbour table gives no answer; kilowg status --probe asks other locations through it",
				  l->node->name);
}
