/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Chains of others in nf_tables: those that drop what is forwarded. An accept
 * ends a packet's way through one base chain, not through those behind it
 * (nft(8), VERDICT STATEMENT), so that a table of ours cannot help against them.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "host/nft.h"
#include "host/nft_attr.h"

/* A base chain at the forward hook; or one that may be about reverse paths. */
struct base {
	uint8_t family;
	char table[128], chain[128];
	bool drops, by_rule;
	bool forward;
};

struct look {
	struct kwgi_host *h;
	struct kwgi_arena arena;
	struct base *v;
	uint32_t n, cap;
	struct base *now;		/* whose rules are being read */
	bool nomem;
};

static const char *family_name(uint8_t family)
{
	return family == NFPROTO_INET ? "inet" : family == NFPROTO_IPV4 ? "ip" :
	       family == NFPROTO_IPV6 ? "ip6" : NULL;
}

/* Ours, or what somebody calls so. */
static bool is_kilowg(const char *name)
{
	return !strncmp(name, "kilowg-", 7);
}

static bool is_iptables_table(uint8_t family, const char *table)
{
	return family != NFPROTO_INET && (!strcmp(table, "filter") || !strcmp(table, "nat") ||
					  !strcmp(table, "mangle"));
}

/* The built-in chains of iptables that we have to do with. */
static void note_base(struct kwgi_host *h, uint8_t family, const char *table, const char *chain)
{
	int t;

	for (t = 0; t < KWGI_IPT_TABLES; t++)
		if (!strcmp(table, kwgi_ipt_table_name(t)))
			h->nft_bases[family == NFPROTO_IPV6] |= kwgi_ipt_base(t, chain);
}

static bool is_at(const struct nlmsghdr *nlh, uint32_t wanted)
{
	const struct nlattr *hook = nft_find(nlh, NFTA_CHAIN_HOOK), *num;

	num = hook ? nft_find_nested(hook, NFTA_HOOK_HOOKNUM) : NULL;
	return num && nft_u32(num) == wanted;
}

/* NixOS has one of its own with iptables, to which PREROUTING jumps. */
static bool is_about_paths(const struct nlmsghdr *nlh, const char *chain)
{
	return is_at(nlh, NF_INET_PRE_ROUTING) || strstr(chain, "rpfilter");
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	const char *table = nft_string_in(nlh, NFTA_CHAIN_TABLE);
	const char *chain = nft_string_in(nlh, NFTA_CHAIN_NAME);
	const struct nlattr *policy = nft_find(nlh, NFTA_CHAIN_POLICY);
	bool forward = is_at(nlh, NF_INET_FORWARD);
	uint8_t family = nft_family(nlh);
	struct look *l = arg;
	struct base *b;

	if (!family_name(family))
		return MNL_CB_OK;
	if (is_kilowg(chain) && is_iptables_table(family, table))
		l->h->nft_iptables = true;
	if (family != NFPROTO_INET)
		note_base(l->h, family, table, chain);
	if ((!forward && !is_about_paths(nlh, chain)) || (family == NFPROTO_INET && is_kilowg(table)))
		return MNL_CB_OK;
	if (kwgi_arena_grow(&l->arena, &l->v, l->n, &l->cap, sizeof(*l->v))) {
		l->nomem = true;
		return MNL_CB_ERROR;
	}
	b = &l->v[l->n++];
	*b = (struct base){ .family = family, .forward = forward,
			    .drops = forward && policy && nft_u32(policy) == NF_DROP };
	snprintf(b->table, sizeof(b->table), "%s", table);
	snprintf(b->chain, sizeof(b->chain), "%s", chain);
	return MNL_CB_OK;
}

/* ---- rules that drop everything --------------------------------------- */

/* As "REJECT" of iptables, which iptables-nft may carry over as it is. */
static bool is_reject_target(const struct nlattr *data)
{
	const struct nlattr *name = data ? nft_find_nested(data, NFTA_TARGET_NAME) : NULL;

	return name && !strcmp(nft_string(name), "REJECT");
}

static bool is_drop_verdict(const struct nlattr *data)
{
	const struct nlattr *attr = data ? nft_find_nested(data, NFTA_IMMEDIATE_DATA) : NULL;

	attr = attr ? nft_find_nested(attr, NFTA_DATA_VERDICT) : NULL;
	attr = attr ? nft_find_nested(attr, NFTA_VERDICT_CODE) : NULL;
	return attr && nft_u32(attr) == NF_DROP;
}

/* An expression: does it drop, does it only look on, or does it choose among packets? */
enum effect { DROPS, LOOKS_ON, CHOOSES };

static enum effect effect_of(const struct nlattr *element)
{
	const struct nlattr *name = nft_find_nested(element, NFTA_EXPR_NAME);
	const struct nlattr *data = nft_find_nested(element, NFTA_EXPR_DATA);
	const char *s = name ? nft_string(name) : "";

	if (!strcmp(s, "counter") || !strcmp(s, "log"))
		return LOOKS_ON;
	if (!strcmp(s, "reject") || (!strcmp(s, "immediate") && is_drop_verdict(data)) ||
	    (!strcmp(s, "target") && is_reject_target(data)))
		return DROPS;
	return CHOOSES;
}

/* ---- reverse paths ---------------------------------------------------- */

/* "fib saddr . iif oif": would an answer go out where the packet has come in? */
static bool is_strict_fib(const struct nlattr *data)
{
	const struct nlattr *flags = data ? nft_find_nested(data, NFTA_FIB_FLAGS) : NULL;
	const struct nlattr *result = data ? nft_find_nested(data, NFTA_FIB_RESULT) : NULL;
	uint32_t strict = NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF;

	return flags && result && (nft_u32(flags) & strict) == strict &&
	       nft_u32(result) != NFT_FIB_RESULT_ADDRTYPE;
}

/* "-m rpfilter" of iptables; the first byte has XT_RPFILTER_LOOSE (linux/netfilter/xt_rpfilter.h). */
static bool is_strict_match(const struct nlattr *data)
{
	const struct nlattr *name = data ? nft_find_nested(data, NFTA_MATCH_NAME) : NULL;
	const struct nlattr *info = data ? nft_find_nested(data, NFTA_MATCH_INFO) : NULL;
	const uint8_t *flags = info && mnl_attr_get_payload_len(info) ? mnl_attr_get_payload(info) : NULL;

	return name && flags && !strcmp(nft_string(name), "rpfilter") && !(*flags & 1);
}

/* "meta nfproto": 0 if this is none; what comes next compares with a family. */
static bool is_nfproto(const struct nlattr *data)
{
	const struct nlattr *key = data ? nft_find_nested(data, NFTA_META_KEY) : NULL;

	return key && nft_u32(key) == NFT_META_NFPROTO;
}

static uint8_t compared_family(const struct nlattr *data)
{
	const struct nlattr *value = data ? nft_find_nested(data, NFTA_CMP_DATA) : NULL;

	value = value ? nft_find_nested(value, NFTA_DATA_VALUE) : NULL;
	return value && mnl_attr_get_payload_len(value) == 1 ? mnl_attr_get_u8(value) : 0;
}

static void note_path_filter(struct look *l, const struct nlattr *list)
{
	const struct nlattr *element, *name, *data;
	uint8_t family = l->now->family;
	bool strict = false, nfproto = false;
	const char *s;
	int i;

	kwgi_attr_for_each_nested(element, list) {
		name = nft_find_nested(element, NFTA_EXPR_NAME);
		data = nft_find_nested(element, NFTA_EXPR_DATA);
		s = name ? nft_string(name) : "";
		if (nfproto && !strcmp(s, "cmp") && compared_family(data))
			family = compared_family(data);
		nfproto = !strcmp(s, "meta") && is_nfproto(data);
		strict |= (!strcmp(s, "fib") && is_strict_fib(data)) ||
			  (!strcmp(s, "match") && is_strict_match(data));
	}
	for (i = 0; strict && i < 2; i++)
		if (family != (i ? NFPROTO_IPV4 : NFPROTO_IPV6) && !*l->h->path_filter[i])
			snprintf(l->h->path_filter[i], sizeof(l->h->path_filter[i]), "%s %.100s %.100s",
				 family_name(l->now->family), l->now->table, l->now->chain);
}

/* ---- the whole ------------------------------------------------------- */

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *list = nft_find(nlh, NFTA_RULE_EXPRESSIONS), *element;
	struct look *l = arg;
	enum effect effect = LOOKS_ON;

	/* Old kernels give the rules of all chains. */
	if (!list || nft_family(nlh) != l->now->family ||
	    strcmp(nft_string_in(nlh, NFTA_RULE_TABLE), l->now->table) ||
	    strcmp(nft_string_in(nlh, NFTA_RULE_CHAIN), l->now->chain))
		return MNL_CB_OK;
	if (!l->now->forward) {
		note_path_filter(l, list);
		return MNL_CB_OK;
	}
	kwgi_attr_for_each_nested(element, list) {
		effect = effect_of(element);
		if (effect != LOOKS_ON)
			break;
	}
	if (effect == DROPS)
		l->now->by_rule = true;
	return MNL_CB_OK;
}

static struct nlmsghdr *begin(struct kwgi_nl *nl, uint8_t type, uint8_t family)
{
	struct nlmsghdr *nlh =
		kwgi_nl_begin(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int look_at_rules(struct look *l, struct kwgi_nl *nl, struct kwg_error *err)
{
	struct nlmsghdr *nlh;
	uint32_t i;
	int ret = 0;

	for (i = 0; i < l->n && !ret; i++) {
		l->now = &l->v[i];
		if (l->now->drops)
			continue;
		nlh = begin(nl, NFT_MSG_GETRULE, l->now->family);
		mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, l->now->table);
		mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, l->now->chain);
		ret = kwgi_nl_dump(nl, nlh, on_rule, l, "listing nftables", err);
	}
	return ret;
}

static int add_drops(struct look *l)
{
	struct kwgi_host *h = l->h;
	struct kwgi_drop *d;
	uint32_t i;

	for (i = 0; i < l->n; i++) {
		const struct base *b = &l->v[i];

		if (!b->drops && !b->by_rule)
			continue;
		if (kwgi_arena_grow(&h->arena, &h->drops, h->n_drops, &h->drops_cap,
				    sizeof(*h->drops)))
			return -1;
		d = &h->drops[h->n_drops++];
		*d = (struct kwgi_drop){ .by_rule = !b->drops };
		d->family = b->family == NFPROTO_IPV4 ? KWGI_AF_V4 :
			    b->family == NFPROTO_IPV6 ? KWGI_AF_V6 : KWGI_AF_NONE;
		d->iptables = is_iptables_table(b->family, b->table) &&
			      !strcmp(b->table, "filter") && !strcmp(b->chain, "FORWARD");
		snprintf(d->chain, sizeof(d->chain), "%s %.100s %.100s", family_name(b->family),
			 b->table, b->chain);
	}
	return 0;
}

int kwgi_nft_look_at_others(struct kwgi_host *h, struct kwgi_nl *nl, struct kwg_error *err)
{
	struct look l = { .h = h };
	int ret;

	h->n_drops = 0;
	h->nft_iptables = false;
	memset(h->nft_bases, 0, sizeof(h->nft_bases));
	memset(h->path_filter, 0, sizeof(h->path_filter));
	ret = kwgi_nl_dump(nl, begin(nl, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC), on_chain, &l,
			   "listing nftables", err);
	if (!ret)
		ret = look_at_rules(&l, nl, err);
	if (l.nomem || (!ret && add_drops(&l)))
		ret = kwgi_nomem(err);
	kwgi_arena_free(&l.arena);
	return ret;
}
