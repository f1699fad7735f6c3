/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Steps for people, one line each: + makes, - removes, ~ changes, = keeps. No secret
 * is in them.
 */
#include "steps/desired.h"
#include "steps/steps.h"

static void put_dev(struct kwgi_buf *b, const char *link)
{
	kwgi_buf_puts(b, " dev ");
	kwgi_buf_puts(b, link);
}

static void put_route(struct kwgi_buf *b, const struct kwgi_host_route *r, const char *link)
{
	if (r->closed)
		kwgi_buf_puts(b, r->passed ? "throw " : "unreachable ");
	kwgi_buf_prefix(b, &r->dst);
	if (r->gw.family) {
		kwgi_buf_puts(b, " via ");
		kwgi_buf_addr(b, &r->gw);
	}
	if (!r->closed)
		put_dev(b, link);
	if (r->src.family) {
		kwgi_buf_puts(b, " src ");
		kwgi_buf_addr(b, &r->src);
	}
	if (r->onlink)
		kwgi_buf_puts(b, " onlink");
	if (r->table != KWGI_TABLE_MAIN)
		kwgi_buf_printf(b, " table %u", r->table);
	if (r->metric)
		kwgi_buf_printf(b, " metric %u", r->metric);
	if (r->mtu)
		kwgi_buf_printf(b, " mtu %u", r->mtu);
}

static void put_rule(struct kwgi_buf *b, const struct kwgi_host_rule *r)
{
	kwgi_buf_printf(b, "%srule %sfrom ", r->family == KWGI_AF_V6 && !r->src.addr.family &&
					      !r->dst.addr.family ? "IPv6 " : "",
			r->invert ? "not " : "");
	if (r->src.addr.family)
		kwgi_buf_prefix(b, &r->src);
	else
		kwgi_buf_puts(b, "all");
	if (r->dst.addr.family) {
		kwgi_buf_puts(b, " to ");
		kwgi_buf_prefix(b, &r->dst);
	}
	if (*r->iif)
		kwgi_buf_printf(b, " iif %s", r->iif);
	if (r->mask)
		kwgi_buf_printf(b, " fwmark 0x%x", r->fwmark);
	if (r->mask && r->mask != UINT32_MAX)
		kwgi_buf_printf(b, "/0x%x", r->mask);
	if (r->table == KWGI_TABLE_MAIN)
		kwgi_buf_puts(b, " lookup main");
	else
		kwgi_buf_printf(b, " lookup %u", r->table);
	if (r->suppress)
		kwgi_buf_printf(b, " suppress_prefixlength %u", r->suppress - 1);
	if (r->priority != KWGI_RULE_PRIORITY_MAX)
		kwgi_buf_printf(b, " priority %u", r->priority);
}

static void put_allowed(struct kwgi_buf *b, const struct kwgi_host_peer *p)
{
	uint32_t i;

	kwgi_buf_puts(b, " allowed-ips ");
	for (i = 0; i < p->n_allowed_ips; i++) {
		if (i)
			kwgi_buf_putc(b, ',');
		kwgi_buf_prefix(b, &p->allowed_ips[i]);
	}
	if (!p->n_allowed_ips)
		kwgi_buf_puts(b, "(none)");
}

static void put_peer(struct kwgi_buf *b, const struct kwgi_step *s,
		     const struct kwgi_host_peer *p, uint32_t parts)
{
	kwgi_buf_puts(b, " wireguard-peer ");
	kwgi_buf_key(b, &p->key);
	if (s->label)
		kwgi_buf_printf(b, " (%s)", s->label);
	put_dev(b, s->link);
	if (parts & KWGI_WG_ENDPOINT && p->endpoint.port) {
		kwgi_buf_puts(b, " endpoint ");
		kwgi_buf_endpoint(b, &p->endpoint);
	}
	if (parts & KWGI_WG_KEEPALIVE)
		kwgi_buf_printf(b, " persistent-keepalive %u", p->keepalive);
	if (parts & KWGI_WG_PSK)
		kwgi_buf_puts(b, kwgi_key_is_zero(&p->psk) ? " no preshared-key"
							   : " preshared-key (hidden)");
	if (parts & (KWGI_WG_ALLOWED_ADD | KWGI_WG_ALLOWED_REPLACE))
		put_allowed(b, p);
}

enum { ALL_PEER_PARTS = KWGI_WG_ENDPOINT | KWGI_WG_KEEPALIVE | KWGI_WG_ALLOWED_REPLACE };

static void format_peer_set(struct kwgi_buf *b, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_host_peer *peer = s->u.peer.peer, *old = s->u.peer.old;

	if (old) {
		kwgi_buf_putc(b, '~');
		put_peer(b, s, undo ? old : peer, s->parts);
	} else {
		kwgi_buf_putc(b, undo ? '-' : '+');
		put_peer(b, s, peer, undo ? 0 : s->parts & ~(uint32_t)KWGI_WG_PSK);
	}
}

static void format_device(struct kwgi_buf *b, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_wg_device_conf *c = undo ? &s->u.wg.old : &s->u.wg.conf;

	kwgi_buf_puts(b, "~ wireguard");
	put_dev(b, s->link);
	if (s->parts & KWGI_WG_PRIVATE_KEY)
		kwgi_buf_puts(b, kwgi_key_is_zero(&c->private_key) ? " no private-key"
								   : " private-key (hidden)");
	if (s->parts & KWGI_WG_PORT)
		kwgi_buf_printf(b, " listen-port %u", c->port);
	if (s->parts & KWGI_WG_FWMARK)
		kwgi_buf_printf(b, " fwmark %u", c->fwmark);
}

static void put_tunnel(struct kwgi_buf *b, const struct kwgi_tunnel *t, uint32_t mtu)
{
	char mac[KWGI_MAC_TEXT];

	if (t->local.family) {
		kwgi_buf_puts(b, " local ");
		kwgi_buf_addr(b, &t->local);
	}
	if (t->port)
		kwgi_buf_printf(b, " id %u port %u address %s", t->id, t->port,
				kwgi_mac_format(mac, t->mac));
	kwgi_buf_printf(b, " mtu %u", mtu);
}

static void format_link(struct kwgi_buf *b, const struct kwgi_step *s, bool undo)
{
	bool made = (s->kind == KWGI_STEP_LINK_ADD) != undo;

	kwgi_buf_printf(b, "%c link %s", made ? '+' : '-', s->link);
	if (!made)
		return;
	kwgi_buf_printf(b, " type %s", s->u.link_alias.kind);
	if (s->u.link_alias.tunnel)
		put_tunnel(b, s->u.link_alias.tunnel, s->u.link_alias.mtu);
}

/* In the words of ip-neighbour(8) and bridge(8). */
static void format_neigh(struct kwgi_buf *b, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_host_neigh *to = undo ? &s->u.neigh.old : &s->u.neigh.neigh;
	const struct kwgi_host_neigh *from = undo ? &s->u.neigh.neigh : &s->u.neigh.old;
	char mac[KWGI_MAC_TEXT];

	kwgi_buf_puts(b, !to->addr.family ? "- " : from->addr.family ? "~ " : "+ ");
	if (!to->addr.family)
		to = from;
	kwgi_mac_format(mac, to->mac);
	kwgi_buf_puts(b, to->fdb ? "fdb " : "neighbour ");
	if (to->fdb)
		kwgi_buf_printf(b, "%s dst ", mac);
	kwgi_buf_addr(b, &to->addr);
	if (!to->fdb)
		kwgi_buf_printf(b, " lladdr %s", mac);
	put_dev(b, s->link);
}

/* A userspace WireGuard makes its interface, and ends when that is deleted. */
static void format_daemon(struct kwgi_buf *b, const struct kwgi_step *s, bool undo)
{
	if (undo)
		kwgi_buf_printf(b, "- link %s", s->link);
	else
		kwgi_buf_printf(b, "+ link %s type %s by starting %s %s", s->link,
				s->u.link_alias.kind, s->label ? s->label : "?", s->link);
}

static void format_alias(struct kwgi_buf *b, const struct kwgi_step *s, bool undo)
{
	const char *alias = undo ? s->u.link_alias.old_alias : s->u.link_alias.alias;

	kwgi_buf_printf(b, "~ link %s alias \"%s\"", s->link, alias ? alias : "");
}

static void format_route_change(struct kwgi_buf *b, const struct kwgi_step *s,
				const struct kwgi_host *h, bool undo)
{
	const struct kwgi_link *old = kwgi_host_link_by_index(h, s->u.route.old.oif);

	kwgi_buf_puts(b, "~ route ");
	if (undo)
		put_route(b, &s->u.route.old, old ? old->name : "?");
	else
		put_route(b, &s->u.route.route, s->link);
}

static void put_table(struct kwgi_buf *b, const struct kwgi_nft_table *t)
{
	kwgi_buf_printf(b, "nftables table inet %s", t->name);
}

static void format_firewall(struct kwgi_buf *b, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_nft_table *to = undo ? s->u.firewall.old : s->u.firewall.table;
	const struct kwgi_nft_table *from = undo ? s->u.firewall.table : s->u.firewall.old;

	kwgi_buf_puts(b, !to ? "- " : from ? "~ " : "+ ");
	put_table(b, to ? to : from);
	if (to)
		kwgi_buf_printf(b, " with %u chains, %u rules, %u sets of %u elements",
				to->shape.chains, to->shape.rules, to->shape.sets,
				to->shape.elements);
}

static void format_cni(struct kwgi_buf *b, const struct kwgi_cni_file *f, bool undo)
{
	kwgi_buf_printf(b, "%c CNI configuration %s", f->old ? '~' : undo ? '-' : '+', f->path);
	if (!undo)
		kwgi_buf_printf(b, " with pod networks %s", f->networks);
	else if (f->old)
		kwgi_buf_puts(b, " as it was");
}

static void format_iptables(struct kwgi_buf *b, const struct kwgi_step *s, bool undo)
{
	const struct kwgi_ipt_rules *to = undo ? s->u.iptables.old : s->u.iptables.rules;
	const struct kwgi_ipt_rules *from = undo ? s->u.iptables.rules : s->u.iptables.old;
	const struct kwgi_ipt_rules *any = to ? to : from;

	kwgi_buf_puts(b, !to ? "- " : from ? "~ " : "+ ");
	kwgi_buf_puts(b, kwgi_ipt_program(any));
	kwgi_buf_putc(b, ' ');
	kwgi_ipt_describe(b, any);
}

void kwgi_step_format(struct kwgi_buf *b, const struct kwgi_step *s, const struct kwgi_host *h,
		      bool undo)
{
	switch ((enum kwgi_step_kind)s->kind) {
	case KWGI_STEP_LINK_WAIT:
		kwgi_buf_printf(b, "? link %s, which somebody else makes", s->link);
		break;
	case KWGI_STEP_LINK_DAEMON:
		format_daemon(b, s, undo);
		break;
	case KWGI_STEP_LINK_ADD:
	case KWGI_STEP_LINK_DEL:
		format_link(b, s, undo);
		break;
	case KWGI_STEP_LINK_ALIAS:
		format_alias(b, s, undo);
		break;
	case KWGI_STEP_LINK_MTU:
		kwgi_buf_printf(b, "~ link %s mtu %u", s->link,
				undo ? s->u.link_mtu.old_mtu : s->u.link_mtu.mtu);
		break;
	case KWGI_STEP_LINK_NAME:
		kwgi_buf_printf(b, "~ link %s name %s", undo ? s->u.link_name.name : s->link,
				undo ? s->link : s->u.link_name.name);
		break;
	case KWGI_STEP_LINK_UP:
	case KWGI_STEP_LINK_DOWN:
		kwgi_buf_printf(b, "~ link %s %s", s->link,
				(s->kind == KWGI_STEP_LINK_UP) != undo ? "up" : "down");
		break;
	case KWGI_STEP_WG_DEVICE:
		format_device(b, s, undo);
		break;
	case KWGI_STEP_PEER_SET:
		format_peer_set(b, s, undo);
		break;
	case KWGI_STEP_PEER_DEL:
		kwgi_buf_putc(b, undo ? '+' : '-');
		put_peer(b, s, s->u.peer.old, undo ? ALL_PEER_PARTS : 0);
		break;
	case KWGI_STEP_ADDR_ADD:
	case KWGI_STEP_ADDR_DEL:
		kwgi_buf_puts(b, (s->kind == KWGI_STEP_ADDR_ADD) != undo ? "+ address " : "- address ");
		kwgi_buf_prefix(b, &s->u.addr.prefix);
		if (s->u.addr.peer.family) {
			kwgi_buf_puts(b, " peer ");
			kwgi_buf_addr(b, &s->u.addr.peer);
		}
		put_dev(b, s->link);
		break;
	case KWGI_STEP_NEIGH_SET:
	case KWGI_STEP_NEIGH_DEL:
		format_neigh(b, s, undo);
		break;
	case KWGI_STEP_RULE_ADD:
	case KWGI_STEP_RULE_DEL:
		kwgi_buf_puts(b, (s->kind == KWGI_STEP_RULE_ADD) != undo ? "+ " : "- ");
		put_rule(b, &s->u.rule.rule);
		break;
	case KWGI_STEP_ROUTE_ADD:
		kwgi_buf_puts(b, undo ? "- route " : "+ route ");
		put_route(b, &s->u.route.route, s->link);
		break;
	case KWGI_STEP_ROUTE_DEL:
		kwgi_buf_puts(b, undo ? "+ route " : "- route ");
		put_route(b, &s->u.route.old, s->link);
		break;
	case KWGI_STEP_ROUTE_AGAIN:
		kwgi_buf_puts(b, "= route ");
		put_route(b, &s->u.again.other->route, s->link);
		kwgi_buf_puts(b, ", which somebody else has made, once more");
		break;
	case KWGI_STEP_ROUTE_CHANGE:
		format_route_change(b, s, h, undo);
		break;
	case KWGI_STEP_FIREWALL:
		format_firewall(b, s, undo);
		break;
	case KWGI_STEP_CNI:
		format_cni(b, s->u.cni.file, undo);
		break;
	case KWGI_STEP_IPTABLES:
		format_iptables(b, s, undo);
		break;
	case KWGI_STEP_VALID_MARK:
		kwgi_buf_printf(b, "~ sysctl net.ipv4.conf.all.src_valid_mark %d",
				s->u.valid_mark.set != undo);
		break;
	}
}
