/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "steps/input.h"

enum { PROTOCOL_IPIP = 4, PROTOCOL_UDP = 17 };

static void add(struct kwgi_inputs *in, uint8_t family, uint8_t protocol, uint32_t port)
{
	in->v[in->n++].packet = (struct kwgi_input_packet){ family, protocol, (uint16_t)port };
}

void kwgi_inputs_list(struct kwgi_inputs *in, const struct kwg_plan *plan,
		      const struct kwgi_desired *w)
{
	const struct kwgi_endpoint *e = &plan->node->endpoint;

	in->own[0] = w->ifname;
	in->own[1] = w->tunnel.name;
	/* A name may lead to either; what one family has, the other mostly has, too. */
	if (plan->leader)
		add(in, !e->host && e->addr.family == KWGI_AF_V6 ? KWGI_AF_V6 : KWGI_AF_V4,
		    PROTOCOL_UDP, plan->port);
	if (!w->tunnel.kind || plan->segment->n < 2)
		return;
	if (!strcmp(w->tunnel.kind, "vxlan"))
		add(in, plan->node->internal_ip.addr.family, PROTOCOL_UDP, plan->cfg->mesh.vxlan_port);
	else
		add(in, KWGI_AF_V4, PROTOCOL_IPIP, 0);
}

static void put_packet(struct kwgi_buf *b, const struct kwgi_input_packet *p, bool wireguard)
{
	if (p->port)
		kwgi_buf_printf(b, "%s, port %u/udp", wireguard ? "WireGuard" : "the tunnel of the location",
				p->port);
	else
		kwgi_buf_puts(b, "the tunnel of the location, protocol 4 (IPIP)");
}

static void put_remedy(struct kwgi_buf *b, const struct kwgi_input_packet *p,
		       const struct kwgi_input_chain *c)
{
	const char *program = p->family == KWGI_AF_V6 ? "ip6tables" : "iptables";

	if (!strncmp(c->chain, "inet firewalld ", 15)) {
		if (p->port)
			kwgi_buf_printf(b, "firewall-cmd --permanent --add-port=%u/udp", p->port);
		else
			kwgi_buf_puts(b, "firewall-cmd --permanent --add-protocol=ipip");
		kwgi_buf_puts(b, ", and firewall-cmd --reload");
	} else if (c->iptables) {
		kwgi_buf_printf(b, "%s%s -I INPUT ", program, c->legacy ? "-legacy" : "");
		if (p->port)
			kwgi_buf_printf(b, "-p udp --dport %u -j ACCEPT (with ufw: ufw allow %u/udp)",
					p->port, p->port);
		else
			kwgi_buf_puts(b, "-p 4 -j ACCEPT");
	} else {
		kwgi_buf_printf(b, "nft insert rule %s ", c->chain);
		if (p->port)
			kwgi_buf_printf(b, "udp dport %u accept", p->port);
		else
			kwgi_buf_puts(b, "meta l4proto 4 accept");
	}
	kwgi_buf_puts(b, "; and the same where that firewall is set up from");
}

void kwgi_inputs_judge(const struct kwgi_inputs *in, const struct kwg_plan *plan,
		       struct kwgi_findings *f)
{
	uint32_t i, j;

	for (i = 0; i < in->n; i++)
		for (j = 0; j < in->v[i].n_chains; j++) {
			const struct kwgi_input_packet *p = &in->v[i].packet;
			const struct kwgi_input_chain *c = &in->v[i].chains[j];
			struct kwgi_buf text = { 0 }, remedy = { 0 };
			bool wireguard = plan->leader && !i;
			bool sure = c->verdict == KWGI_INPUT_DROPPED;

			kwgi_buf_printf(&text, "the %s chain %s %s packets of ",
					c->legacy ? "iptables-legacy" : c->iptables ? "iptables" : "nftables",
					c->chain,
					sure ? "drops" : "may drop");
			put_packet(&text, p, wireguard);
			put_remedy(&remedy, p, c);
			/* Who keeps its sessions up itself is reached through them. */
			kwgi_findings_add(f, sure && !(wireguard && plan->node->keepalive),
					  "input-drop", &text, &remedy);
		}
}
