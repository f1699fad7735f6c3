/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "steps/forward.h"

/* Rules of ours that accept, in the FORWARD chain of this family and program. */
static bool accepts_there(const struct kwgi_desired *w, const struct kwgi_host *h,
			  const struct kwgi_drop *d)
{
	const struct kwgi_ipt_table *t;
	uint32_t i, j;

	for (i = 0; i < w->n_iptables; i++) {
		if (w->iptables[i].family != d->family)
			continue;
		t = &w->iptables[i].tables[KWGI_IPT_FILTER];
		for (j = 0; j < t->n_jumps; j++)
			if (!strcmp(t->jumps[j].chain, "FORWARD"))
				break;
		if (j == t->n_jumps)
			return false;
	}
	for (i = 0; i < h->n_iptables; i++)
		if (h->iptables[i].variant == KWGI_IPT_DEFAULT && h->iptables[i].family == d->family)
			return h->iptables[i].is_nft == !d->legacy;
	return false;
}

bool kwgi_drop_matters(const struct kwgi_drop *d, const struct kwgi_desired *w,
		       const struct kwgi_host *h)
{
	return !w->n_iptables || !d->iptables || !accepts_there(w, h, d);
}

void kwgi_drop_describe(struct kwgi_buf *b, const struct kwgi_drop *d)
{
	kwgi_buf_printf(b, "the %s chain %s drops what is forwarded and not accepted there (%s)",
			!d->iptables ? "nftables" : d->legacy ? "iptables-legacy" : "iptables",
			d->chain, d->by_rule ? "a rule without conditions" : "its policy is drop");
}

void kwgi_drop_remedy(struct kwgi_buf *b, const struct kwgi_drop *d, const struct kwgi_local *local)
{
	const char *program = d->family == KWGI_AF_V6 ? "ip6tables" : "iptables";
	const char *variant = d->legacy ? "-legacy" : "";

	if (!d->iptables && !strncmp(d->chain, "inet firewalld ", 15)) {
		kwgi_buf_printf(b, "make %s part of a zone that forwards: firewall-cmd --permanent --zone=trusted --add-interface=%s",
				local->interface, local->interface);
		return;
	}
	if (!d->iptables) {
		kwgi_buf_printf(b, "accept the interface there: nft insert rule %s iifname %s accept, and the same with oifname",
				d->chain, local->interface);
		return;
	}
	if (local->firewall != KWGI_FIREWALL_IPTABLES)
		kwgi_buf_puts(b, "set firewall = iptables, cni = yes and forward-rules = yes");
	else if (!local->cni || !local->forward_rules)
		kwgi_buf_puts(b, "set cni = yes and forward-rules = yes");
	else
		kwgi_buf_printf(b, "let %s be %s%s", program, program,
				d->legacy ? "-legacy" : "-nft");
	kwgi_buf_printf(b, "; or accept the interface there: %s%s -I FORWARD -i %s -j ACCEPT, and the same with -o (with Docker: -I DOCKER-USER)",
			program, variant, local->interface);
}

void kwgi_drop_json(struct kwgi_json *j, const struct kwgi_drop *d, const struct kwgi_local *local)
{
	struct kwgi_buf remedy = { 0 };

	kwgi_drop_remedy(&remedy, d, local);
	kwgi_json_object(j, NULL);
	kwgi_json_string(j, "chain", d->chain);
	kwgi_json_string(j, "kind", !d->iptables ? "nftables" : d->legacy ? "iptables-legacy"
								    : "iptables");
	kwgi_json_string(j, "remedy", remedy.failed ? NULL : remedy.p);
	kwgi_json_end_object(j);
	kwgi_buf_free(&remedy);
}
