/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade's look at this host for what stands in the way of a plan. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "config/json.h"
#include "facade.h"
#include "host/ipt.h"
#include "host/nft.h"
#include "kilowg.h"
#include "kilowg_steps.h"
#include "steps/forward.h"

struct live {
	const struct kwg_plan *plan;
	struct kwgi_host host;
	struct kwgi_desired wanted;	/* only as far as forwarding is concerned */
	struct kwgi_ipt_rules iptables[2];
	struct kwgi_findings findings;
	char problem[sizeof(((struct kwg_error *)0)->text)];	/* with the firewall; "": none */
};

/* Programs that are missing or fail are what is looked for, not a reason to give up. */
static int look_at_iptables(struct live *l, bool wanted, struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	uint32_t i;
	int ret = kwgi_ipt_observe(&l->host, wanted, &own);

	if (ret == KWG_ERR_NOMEM)
		return kwgi_nomem(err);
	if (ret)
		memcpy(l->problem, own.text, sizeof(l->problem));
	for (i = 0; wanted && i < l->host.n_iptables && l->wanted.n_iptables < 2; i++)
		if (l->host.iptables[i].variant == KWGI_IPT_DEFAULT &&
		    kwgi_ipt_build(&l->iptables[l->wanted.n_iptables++], &l->host.arena, l->plan,
				   &l->host.iptables[i], 0, ""))
			return kwgi_nomem(err);
	l->wanted.iptables = l->iptables;
	return 0;
}

static int look(struct live *l, struct kwg_error *err)
{
	static const char no_nftables[] =
		"firewall = nftables: this kernel has no nftables; set firewall = iptables or none";
	static const char denied[] =
		"firewall = nftables: this kernel does not let this user see nftables: CAP_NET_ADMIN is missing";
	uint32_t firewall = l->plan->cfg->local.firewall;
	int ret = kwgi_nft_observe(&l->host, err);

	if (!ret)
		ret = look_at_iptables(l, firewall == KWGI_FIREWALL_IPTABLES, err);
	if (!ret && firewall == KWGI_FIREWALL_NFTABLES && l->host.no_nftables)
		snprintf(l->problem, sizeof(l->problem), "%s", l->host.nft_denied ? denied : no_nftables);
	return ret;
}

/* Of what the caller has to mend he hears; all else apply and status tell. */
static int look_failed(int ret, const struct kwg_error *own, struct kwg_error *err)
{
	if (ret == KWG_ERR_NOMEM)
		return kwgi_nomem(err);
	return ret == KWG_ERR_USAGE ? kwgi_fail(err, ret, 0, "%s", own->text) : 0;
}

/*
 * What has to do with what is applied already, or would be. Where not even that can be said, for
 * lack of a key or an interface of others, apply and status say why.
 */
static int find(struct live *l, const struct kwg_host_options *kept, struct kwg_error *err)
{
	/* Nothing is started, so it does not matter what. */
	static const char *const any[] = { "kilowg-userspace", NULL };
	struct kwg_host_options opt;
	struct kwg_error own = { 0 };
	struct kwg_steps *s = NULL;
	int ret = kwgi_host_options_take(&opt, kept, err);

	if (ret)
		return ret;
	opt = (struct kwg_host_options){
		.size = sizeof(opt), .cancel_fd = -1, .read_only = true, .no_lookup = true,
		.userspace_command = any, .keep_reachable = opt.keep_reachable, .client = opt.client,
	};
	ret = kwgi_steps_new(&s, l->plan, &opt, true, &own);
	if (ret)
		return look_failed(ret, &own, err);
	ret = kwgi_steps_find(s, &l->findings, err);
	kwg_steps_free(s);
	return ret;
}

static void put_text(const struct live *l, struct kwgi_buf *b)
{
	uint32_t i;

	if (*l->problem)
		kwgi_buf_printf(b, "%s\n", l->problem);
	for (i = 0; i < l->findings.n; i++) {
		kwgi_finding_line(b, &l->findings.v[i]);
		kwgi_buf_putc(b, '\n');
	}
	for (i = 0; i < l->host.n_drops; i++) {
		const struct kwgi_drop *d = &l->host.drops[i];

		if (!kwgi_drop_matters(d, &l->wanted, &l->host))
			continue;
		kwgi_drop_describe(b, d);
		kwgi_buf_puts(b, "; ");
		kwgi_drop_remedy(b, d, &l->plan->cfg->local);
		kwgi_buf_putc(b, '\n');
	}
}

static void put_json(const struct live *l, struct kwgi_buf *b)
{
	struct kwgi_json json = { .b = b }, *j = &json;
	uint32_t i;

	kwgi_json_object(j, NULL);
	kwgi_findings_json(j, "findings", &l->findings);
	kwgi_json_string(j, "firewall_problem", *l->problem ? l->problem : NULL);
	kwgi_json_array(j, "forward_drop");
	for (i = 0; i < l->host.n_drops; i++)
		if (kwgi_drop_matters(&l->host.drops[i], &l->wanted, &l->host))
			kwgi_drop_json(j, &l->host.drops[i], &l->plan->cfg->local);
	kwgi_json_end_array(j);
	kwgi_json_uint(j, "schema", 1);
	kwgi_json_end_object(j);
}

int kwg_check_live(const struct kwg_plan *plan, const struct kwg_host_options *opt, bool json,
		   bool *fine, char **out, size_t *len, struct kwg_error *err)
{
	struct live l = { .plan = plan };
	struct kwgi_buf b = { 0 };
	bool none = true;
	uint32_t i;
	int ret = look(&l, err);

	if (!ret)
		ret = find(&l, opt, err);
	if (!ret) {
		for (i = 0; i < l.host.n_drops; i++)
			none &= !kwgi_drop_matters(&l.host.drops[i], &l.wanted, &l.host);
		if (json)
			put_json(&l, &b);
		else
			put_text(&l, &b);
		ret = kwgi_give(&b, out, len, err);
		if (!ret)
			*fine = none && !*l.problem && !l.findings.n;
	}
	kwgi_findings_free(&l.findings);
	kwgi_host_free(&l.host);
	return ret;
}
