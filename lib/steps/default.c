/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "steps/default.h"

enum { V4, V6, TABLE_DEFAULT = 253, TABLE_LOCAL = 255 };

static const uint8_t families[] = { KWGI_AF_V4, KWGI_AF_V6 };
static const char *const everywhere[] = { "0.0.0.0/0", "::/0" };

/* ---- deciding -------------------------------------------------------- */

static bool is_offered(const struct kwg_plan *plan, uint8_t family)
{
	uint32_t i;

	for (i = 0; i < plan->n_routes; i++)
		if (!plan->routes[i].dst.len && plan->routes[i].dst.addr.family == family)
			return true;
	return false;
}

static bool has_default(const struct kwgi_host *h, uint32_t table, uint8_t family)
{
	uint32_t i;

	for (i = 0; i < h->n_others; i++)
		if (!h->others[i].route.dst.len && h->others[i].route.table == table &&
		    h->others[i].route.dst.addr.family == family)
			return true;
	return false;
}

/*
 * A rule of somebody else for all packets but those with a mark, to a table with a default route:
 * a tunnel as ours. Each would lead the packets of the other into itself.
 */
static const struct kwgi_host_rule *find_rival(const struct kwgi_host *h, uint8_t family)
{
	uint32_t i;

	for (i = 0; i < h->n_other_rules; i++) {
		const struct kwgi_host_rule *r = &h->other_rules[i];

		if (r->family == family && !r->src.len && !r->dst.len && !*r->iif &&
		    (r->invert || !r->mask) && !r->suppress && r->table != KWGI_TABLE_MAIN &&
		    r->table != TABLE_DEFAULT && r->table != TABLE_LOCAL &&
		    has_default(h, r->table, family))
			return r;
	}
	return NULL;
}

/* Strict checks look where a packet would be answered to, by its mark only if they are told to. */
static enum kwgi_default_state decide(struct kwgi_default *d, const struct kwg_plan *plan,
				      const struct kwgi_host *h, int v)
{
	if (!is_offered(plan, families[v]))
		return KWGI_DEFAULT_NONE;
	if (!plan->cfg->local.default_route)
		return KWGI_DEFAULT_OFF;
	d->rival[v] = find_rival(h, families[v]);
	if (d->rival[v])
		return KWGI_DEFAULT_RIVAL;
	if (v == V4 && h->checks.strict && !h->checks.valid_mark && h->checks.read_only)
		return KWGI_DEFAULT_CHECKED;
	return KWGI_DEFAULT_TAKEN;
}

void kwgi_default_decide(struct kwgi_default *d, const struct kwg_plan *plan,
			 const struct kwgi_host *h)
{
	int v;

	*d = (struct kwgi_default){ .mark = 0 };
	for (v = V4; v <= V6; v++) {
		d->state[v] = (uint8_t)decide(d, plan, h, v);
		if (d->state[v] == KWGI_DEFAULT_TAKEN)
			d->mark = plan->cfg->local.fwmark ? plan->cfg->local.fwmark
							  : (uint32_t)KWGI_DEFAULT_MARK;
	}
	d->valid_mark = d->state[V4] == KWGI_DEFAULT_TAKEN && h->checks.strict;
}

bool kwgi_default_is_taken(const struct kwgi_default *d, uint8_t family)
{
	return d->state[family == KWGI_AF_V6 ? V6 : V4] == KWGI_DEFAULT_TAKEN;
}

/* ---- telling --------------------------------------------------------- */

static bool is_in(const struct kwgi_prefixes *list, uint8_t family)
{
	uint32_t i;

	for (i = 0; i < list->n; i++)
		if (!list->v[i].len && list->v[i].addr.family == family)
			return true;
	return false;
}

/* "peer berlin (mesh.ini:41)". Peers come after locations, and the last one gets it. */
static void put_who(struct kwgi_buf *b, const struct kwg_plan *plan, uint8_t family)
{
	const struct kwgi_topology *t = plan->topo;
	char place[KWGI_PLACE_TEXT];
	uint32_t i;

	for (i = t->n_peers; i-- > 0;)
		if (is_in(&t->peers[i].allowed_ips, family)) {
			kwgi_buf_printf(b, "peer %s (%s)", t->peers[i].peer->name,
					kwgi_diags_place(&plan->cfg->diags, place,
							 t->peers[i].peer->at));
			return;
		}
	for (i = t->n_segments; i-- > 0;)
		if (is_in(&t->segments[i].location_ips, family)) {
			kwgi_buf_puts(b, t->segments[i].id);
			return;
		}
	kwgi_buf_puts(b, "somebody");
}

static const char *rival_link(const struct kwgi_host *h, const struct kwgi_host_rule *rule)
{
	const struct kwgi_link *l;
	uint32_t i;

	for (i = 0; i < h->n_others; i++) {
		const struct kwgi_host_route *r = &h->others[i].route;

		if (r->dst.len || r->table != rule->table || r->dst.addr.family != rule->family)
			continue;
		l = kwgi_host_link_by_index(h, r->oif);
		return l ? l->name : "another link";
	}
	return "another link";
}

static void tell(const struct kwgi_default *d, const struct kwg_plan *plan,
		 const struct kwgi_host *h, struct kwgi_findings *f, int v)
{
	struct kwgi_buf text = { 0 }, remedy = { 0 };

	put_who(&text, plan, families[v]);
	kwgi_buf_printf(&text, " offers a default route, %s, ", everywhere[v]);
	switch ((enum kwgi_default_state)d->state[v]) {
	case KWGI_DEFAULT_RIVAL:
		kwgi_buf_printf(&text, "but that stays with %s: rule %u leads to table %u, as that of another tunnel",
				rival_link(h, d->rival[v]), d->rival[v]->priority,
				d->rival[v]->table);
		kwgi_buf_puts(&remedy, "two tunnels would route into each other; stop one, and run kilowg apply, or set default-route = no");
		break;
	case KWGI_DEFAULT_CHECKED:
		kwgi_buf_puts(&text, "but with rp_filter = 1 its answers would be dropped here, and net.ipv4.conf.all.src_valid_mark cannot be set from here");
		kwgi_buf_puts(&remedy, "sysctl -w net.ipv4.conf.all.src_valid_mark=1 where that can be done, or set rp_filter to 2");
		break;
	case KWGI_DEFAULT_OFF:
	case KWGI_DEFAULT_NONE:
	case KWGI_DEFAULT_TAKEN:
		kwgi_buf_puts(&text, "which this host does not take");
		kwgi_buf_puts(&remedy, "default-route = yes in [local] uses it, default-route = no hides this warning");
		break;
	}
	kwgi_findings_add(f, d->state[v] != KWGI_DEFAULT_OFF, "default-route", &text, &remedy);
}

void kwgi_default_find(const struct kwgi_default *d, const struct kwg_plan *plan,
		       const struct kwgi_host *h, struct kwgi_findings *f)
{
	const struct kwgi_local *local = &plan->cfg->local;
	int v;

	for (v = V4; v <= V6; v++) {
		if (d->state[v] == KWGI_DEFAULT_NONE || d->state[v] == KWGI_DEFAULT_TAKEN ||
		    (d->state[v] == KWGI_DEFAULT_OFF && local->default_route_at.line))
			continue;
		tell(d, plan, h, f, v);
	}
	if (d->mark && local->firewall == KWGI_FIREWALL_NONE)
		kwgi_findings_say(f, false, "default-route",
				  "with firewall = none, who comes from outside of the networks of this host is answered through the tunnel, and so gets no answer; set firewall to nftables or iptables, or mark such connections with %u yourself",
				  d->mark);
}
