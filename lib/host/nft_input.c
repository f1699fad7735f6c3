/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A packet is taken through the rules of base chains of others: what a rule compares is known of it
 * (protocol, port, that it is the first of a connection), or not (who sends it, over which link).
 * With what is not known a rule may match or not. So the way that is taken for the packet's is the
 * one where no such rule matches; if one of those would accept, the answer is not sure. A rule that
 * names the very port, and something that is not known beside, is taken to be meant for us.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "host/nft_attr.h"
#include "host/nft_input.h"

enum {
	TRIES = 5, DEPTH = 16,
	LOOKS_MAX = 4000000,		/* less than a second */
	WORD = 4, WORDS = 20, KEY_MAX = 64,
	STATE_NEW = 8,			/* NF_CT_STATE_BIT(IP_CT_NEW) */
	MULTIPORT_DESTINATION = 1,	/* of linux/netfilter/xt_multiport.h */
};

/* ---- what there is --------------------------------------------------- */

struct chain {
	uint8_t family;
	char table[128], name[128];
	bool at_input, drops;		/* base chain; its policy */
};

struct stored {
	const struct nlmsghdr *nlh;
};

struct look {
	struct kwgi_nl nl;
	struct kwgi_arena arena;
	struct chain *chains;
	uint32_t n_chains, chains_cap;
	struct stored *rules;		/* in the kernel's order */
	uint32_t n_rules, rules_cap;
	struct stored *elements;	/* of the set asked for last */
	uint32_t n_elements, elements_cap;
	const struct kwgi_inputs *in;
	uint32_t looks;			/* at rules, so far */
	bool nomem, again;
};

static int keep(struct look *l, struct stored **v, uint32_t *n, uint32_t *cap,
		const struct nlmsghdr *nlh)
{
	void *copy;

	if (kwgi_arena_grow(&l->arena, v, *n, cap, sizeof(**v))) {
		l->nomem = true;
		return MNL_CB_ERROR;
	}
	copy = kwgi_arena_alloc(&l->arena, nlh->nlmsg_len, 1);
	if (!copy) {
		l->nomem = true;
		return MNL_CB_ERROR;
	}
	memcpy(copy, nlh, nlh->nlmsg_len);
	(*v)[(*n)++].nlh = copy;
	return MNL_CB_OK;
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *hook = nft_find(nlh, NFTA_CHAIN_HOOK), *num;
	const struct nlattr *policy = nft_find(nlh, NFTA_CHAIN_POLICY);
	uint8_t family = nft_family(nlh);
	struct look *l = arg;
	struct chain *c;

	if (family != NFPROTO_INET && family != NFPROTO_IPV4 && family != NFPROTO_IPV6)
		return MNL_CB_OK;
	if (kwgi_arena_grow(&l->arena, &l->chains, l->n_chains, &l->chains_cap, sizeof(*c))) {
		l->nomem = true;
		return MNL_CB_ERROR;
	}
	c = &l->chains[l->n_chains++];
	num = hook ? nft_find_nested(hook, NFTA_HOOK_HOOKNUM) : NULL;
	*c = (struct chain){ .family = family, .at_input = num && nft_u32(num) == NF_INET_LOCAL_IN,
			     .drops = policy && nft_u32(policy) == NF_DROP };
	snprintf(c->table, sizeof(c->table), "%s", nft_string_in(nlh, NFTA_CHAIN_TABLE));
	snprintf(c->name, sizeof(c->name), "%s", nft_string_in(nlh, NFTA_CHAIN_NAME));
	return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct look *l = arg;

	return keep(l, &l->rules, &l->n_rules, &l->rules_cap, nlh);
}

static int on_elements(const struct nlmsghdr *nlh, void *arg)
{
	struct look *l = arg;

	return keep(l, &l->elements, &l->n_elements, &l->elements_cap, nlh);
}

static int ask(struct look *l, uint8_t type, uint8_t family, const char *table, const char *set,
	       mnl_cb_t cb)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(&l->nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	struct kwg_error own = { 0 };
	int ret;

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	if (table)
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, table);
	if (set)
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	ret = kwgi_nl_dump(&l->nl, nlh, cb, l, "listing nftables", &own);
	l->again |= ret == KWGI_NL_AGAIN;
	return ret;
}

/* ---- a packet on its way --------------------------------------------- */

enum match { NO, MAYBE, YES };
enum outcome { CONTINUES, RETURNS, ACCEPTS, DROPS };

/* A link is known as far as it is none of ours, and not lo. */
enum tag { PLAIN, LINK_NAME };

struct registers {
	uint8_t v[WORDS * WORD];
	bool known[WORDS];
	uint8_t tag[WORDS];		/* enum tag */
	bool port[WORDS];		/* it is what we are known by: port, or protocol of IPIP */
};

struct walk {
	struct look *l;
	const struct kwgi_input_packet *packet;
	const struct chain *base;
	bool maybe;			/* a rule that may match accepts */
	bool meant;			/* one that may match, and names our port */
	bool named;			/* that which accepted names it */
	unsigned depth;
};

/* What a rule does to a packet that it matches. */
struct verdict {
	enum outcome outcome;
	const char *chain;		/* jump or goto there; NULL: none */
	bool is_goto;
};

static int word_of(uint32_t reg)
{
	if (reg >= NFT_REG_1 && reg <= NFT_REG_4)
		return (int)reg * (16 / WORD);
	return reg >= NFT_REG32_00 && reg <= NFT_REG32_15 ? (int)(reg - NFT_REG32_00) + 16 / WORD : -1;
}

static const struct nlattr *in(const struct nlattr *data, uint16_t type)
{
	return data ? nft_find_nested(data, type) : NULL;
}

static uint32_t number(const struct nlattr *data, uint16_t type)
{
	const struct nlattr *attr = in(data, type);

	return attr ? nft_u32(attr) : 0;
}

static void forget(struct registers *r, const struct nlattr *data, uint16_t dreg, uint8_t tag)
{
	int w = word_of(number(data, dreg)), i;

	for (i = w; w >= 0 && i < w + 16 / WORD && i < WORDS; i++) {
		r->known[i] = r->port[i] = false;
		r->tag[i] = tag;
	}
}

static void set(struct registers *r, const struct nlattr *data, uint16_t dreg, const void *v,
		size_t len, bool port)
{
	int w = word_of(number(data, dreg));

	forget(r, data, dreg, PLAIN);
	if (w < 0 || (size_t)w * WORD + len > sizeof(r->v))
		return;
	memset(r->v + w * WORD, 0, (len + WORD - 1) / WORD * WORD);
	memcpy(r->v + w * WORD, v, len);
	for (size_t i = 0; i < (len + WORD - 1) / WORD; i++) {
		r->known[(size_t)w + i] = true;
		r->port[(size_t)w + i] = port;
	}
}

static bool is_known(const struct registers *r, int w, size_t len)
{
	size_t i;

	if (w < 0 || (size_t)w * WORD + len > sizeof(r->v))
		return false;
	for (i = 0; i < (len + WORD - 1) / WORD; i++)
		if (!r->known[(size_t)w + i])
			return false;
	return true;
}

/* ---- loading --------------------------------------------------------- */

static void load_meta(const struct walk *k, struct registers *r, const struct nlattr *data)
{
	uint8_t nfproto = k->packet->family == KWGI_AF_V6 ? NFPROTO_IPV6 : NFPROTO_IPV4;

	switch (number(data, NFTA_META_KEY)) {
	case NFT_META_NFPROTO:
		set(r, data, NFTA_META_DREG, &nfproto, 1, false);
		break;
	case NFT_META_L4PROTO:
		set(r, data, NFTA_META_DREG, &k->packet->protocol, 1, !k->packet->port);
		break;
	case NFT_META_IIFNAME:
		forget(r, data, NFTA_META_DREG, LINK_NAME);
		break;
	default:
		forget(r, data, NFTA_META_DREG, PLAIN);
	}
}

static void load_payload(const struct walk *k, struct registers *r, const struct nlattr *data)
{
	uint32_t base = number(data, NFTA_PAYLOAD_BASE), offset = number(data, NFTA_PAYLOAD_OFFSET);
	uint32_t len = number(data, NFTA_PAYLOAD_LEN);
	const uint8_t port[2] = { (uint8_t)(k->packet->port >> 8), (uint8_t)k->packet->port };

	if (base == NFT_PAYLOAD_TRANSPORT_HEADER && offset == 2 && len == 2 && k->packet->port)
		set(r, data, NFTA_PAYLOAD_DREG, port, 2, true);
	else if (base == NFT_PAYLOAD_NETWORK_HEADER && len == 1 &&
		 offset == (k->packet->family == KWGI_AF_V6 ? 6 : 9))
		set(r, data, NFTA_PAYLOAD_DREG, &k->packet->protocol, 1, !k->packet->port);
	else
		forget(r, data, NFTA_PAYLOAD_DREG, PLAIN);
}

static void load_ct(struct registers *r, const struct nlattr *data)
{
	static const uint32_t state = STATE_NEW, none = 0;

	switch (number(data, NFTA_CT_KEY)) {
	case NFT_CT_STATE:
		set(r, data, NFTA_CT_DREG, &state, sizeof(state), false);
		break;
	case NFT_CT_STATUS:
		set(r, data, NFTA_CT_DREG, &none, sizeof(none), false);
		break;
	default:
		forget(r, data, NFTA_CT_DREG, PLAIN);
	}
}

/* It comes to an address of this host. */
static void load_fib(struct registers *r, const struct nlattr *data)
{
	static const uint32_t local = 2;	/* RTN_LOCAL */

	if (number(data, NFTA_FIB_RESULT) == NFT_FIB_RESULT_ADDRTYPE &&
	    number(data, NFTA_FIB_FLAGS) & NFTA_FIB_F_DADDR)
		set(r, data, NFTA_FIB_DREG, &local, sizeof(local), false);
	else
		forget(r, data, NFTA_FIB_DREG, PLAIN);
}

static void load_bitwise(struct registers *r, const struct nlattr *data)
{
	const struct nlattr *mask = in(in(data, NFTA_BITWISE_MASK), NFTA_DATA_VALUE);
	const struct nlattr *xor = in(in(data, NFTA_BITWISE_XOR), NFTA_DATA_VALUE);
	int w = word_of(number(data, NFTA_BITWISE_SREG));
	size_t len = number(data, NFTA_BITWISE_LEN), i;
	uint8_t v[16];

	if (!mask || !xor || len > sizeof(v) || !is_known(r, w, len) ||
	    mnl_attr_get_payload_len(mask) < len || mnl_attr_get_payload_len(xor) < len) {
		forget(r, data, NFTA_BITWISE_DREG, PLAIN);
		return;
	}
	for (i = 0; i < len; i++)
		v[i] = (uint8_t)((r->v[(size_t)w * WORD + i] & ((const uint8_t *)mnl_attr_get_payload(mask))[i]) ^
				 ((const uint8_t *)mnl_attr_get_payload(xor))[i]);
	set(r, data, NFTA_BITWISE_DREG, v, len, false);
}

/* ---- comparing ------------------------------------------------------- */

static enum match truth(bool yes)
{
	return yes ? YES : NO;
}

/* "lo" and links of ours are none over which it comes. A name ends with a zero, unless it is a start. */
static bool is_no_way(const struct walk *k, const uint8_t *v, size_t len)
{
	const char *names[] = { "lo", k->l->in->own[0], k->l->in->own[1] };
	size_t i;

	for (i = 0; i < 3; i++)
		if (names[i] && *names[i] && len > strlen(names[i]) &&
		    !memcmp(v, names[i], strlen(names[i]) + 1))
			return true;
	return false;
}

static enum match compare(const struct walk *k, const struct registers *r, const struct nlattr *data,
			  bool *port)
{
	const struct nlattr *value = in(in(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);
	uint32_t op = number(data, NFTA_CMP_OP);
	int w = word_of(number(data, NFTA_CMP_SREG)), c;
	size_t len = value ? mnl_attr_get_payload_len(value) : 0;

	if (!value || w < 0)
		return MAYBE;
	if (!is_known(r, w, len)) {
		if (r->tag[w] == LINK_NAME && is_no_way(k, mnl_attr_get_payload(value), len))
			return truth(op == NFT_CMP_NEQ);
		return MAYBE;
	}
	*port |= r->port[w] && op != NFT_CMP_NEQ;
	c = memcmp(r->v + w * WORD, mnl_attr_get_payload(value), len);
	switch (op) {
	case NFT_CMP_EQ:
		return truth(!c);
	case NFT_CMP_NEQ:
		return truth(c);
	case NFT_CMP_LT:
		return truth(c < 0);
	case NFT_CMP_LTE:
		return truth(c <= 0);
	case NFT_CMP_GT:
		return truth(c > 0);
	case NFT_CMP_GTE:
		return truth(c >= 0);
	}
	return MAYBE;
}

static enum match compare_range(const struct registers *r, const struct nlattr *data, bool *port)
{
	const struct nlattr *from = in(in(data, NFTA_RANGE_FROM_DATA), NFTA_DATA_VALUE);
	const struct nlattr *to = in(in(data, NFTA_RANGE_TO_DATA), NFTA_DATA_VALUE);
	int w = word_of(number(data, NFTA_RANGE_SREG));
	size_t len = from ? mnl_attr_get_payload_len(from) : 0;
	bool inside;

	if (!from || !to || mnl_attr_get_payload_len(to) != len || !is_known(r, w, len))
		return MAYBE;
	*port |= r->port[w];
	inside = memcmp(r->v + w * WORD, mnl_attr_get_payload(from), len) >= 0 &&
		 memcmp(r->v + w * WORD, mnl_attr_get_payload(to), len) <= 0;
	return truth(inside == (number(data, NFTA_RANGE_OP) == NFT_RANGE_EQ));
}

/* ---- sets ------------------------------------------------------------ */

static struct verdict verdict_of(const struct nlattr *data)
{
	const struct nlattr *v = in(data, NFTA_DATA_VERDICT), *chain = in(v, NFTA_VERDICT_CHAIN);
	struct verdict out = { CONTINUES, NULL, false };

	if (!v)
		return out;
	switch ((int)number(v, NFTA_VERDICT_CODE)) {
	case NF_ACCEPT:
		out.outcome = ACCEPTS;
		break;
	case NF_DROP:
		out.outcome = DROPS;
		break;
	case NFT_RETURN:
		out.outcome = RETURNS;
		break;
	case NFT_GOTO:
		out.is_goto = true;
		out.chain = chain ? nft_string(chain) : NULL;
		break;
	case NFT_JUMP:
		out.chain = chain ? nft_string(chain) : NULL;
		break;
	}
	return out;
}

/* Elements of intervals are begins and ends, wherever they stand: the greatest one up to the key says. */
struct finder {
	const uint8_t *key;
	size_t len;
	const struct nlattr *best;
	bool best_ends, intervals;
};

static void look_at_element(struct finder *f, const struct nlattr *element)
{
	const struct nlattr *key = in(in(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
	const struct nlattr *end = in(in(element, NFTA_SET_ELEM_KEY_END), NFTA_DATA_VALUE), *was;
	bool ends = number(element, NFTA_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END;
	int c;

	if (!key || mnl_attr_get_payload_len(key) != f->len)
		return;
	f->intervals |= ends;
	c = memcmp(mnl_attr_get_payload(key), f->key, f->len);
	if (end) {
		if (c <= 0 && mnl_attr_get_payload_len(end) == f->len &&
		    memcmp(mnl_attr_get_payload(end), f->key, f->len) >= 0) {
			f->best = element;
			f->best_ends = false;
		}
		return;
	}
	if (c > 0)
		return;
	was = f->best ? in(in(f->best, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE) : NULL;
	c = was ? memcmp(mnl_attr_get_payload(key), mnl_attr_get_payload(was), f->len) : 1;
	if (c > 0 || (!c && f->best_ends)) {
		f->best = element;
		f->best_ends = ends;
	}
}

static int fetch(const struct walk *k, const char *name)
{
	k->l->n_elements = 0;
	return ask(k->l, NFT_MSG_GETSETELEM, k->base->family, k->base->table, name, on_elements);
}

#define FOR_EACH_ELEMENT(k, i, list, element) \
	for ((i) = 0; (i) < (k)->l->n_elements; (i)++) \
		if (((list) = nft_find((k)->l->elements[i].nlh, NFTA_SET_ELEM_LIST_ELEMENTS))) \
			kwgi_attr_for_each_nested(element, list)

static const struct nlattr *find_element(const struct walk *k, const uint8_t *key, size_t len)
{
	struct finder f = { .key = key, .len = len };
	const struct nlattr *list, *element, *was;
	uint32_t i;

	FOR_EACH_ELEMENT(k, i, list, element)
		look_at_element(&f, element);
	if (!f.best || f.best_ends)
		return NULL;
	was = in(in(f.best, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
	/* Without ends, and behind the last begin, it has to be the very key. */
	if (!f.intervals && !in(f.best, NFTA_SET_ELEM_KEY_END) &&
	    memcmp(mnl_attr_get_payload(was), key, len))
		return NULL;
	return f.best;
}

static size_t key_len(const struct walk *k)
{
	const struct nlattr *list, *element, *key;
	uint32_t i;

	FOR_EACH_ELEMENT(k, i, list, element) {
		key = in(in(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
		if (key)
			return mnl_attr_get_payload_len(key);
	}
	return 0;
}

static enum outcome go(struct walk *k, const struct verdict *v, enum match match, bool port);

/* Each element may be the one. */
static enum outcome any_element(struct walk *k, bool port)
{
	const struct nlattr *list, *element, *data;
	struct verdict v[64];
	enum outcome o;
	uint32_t i, n = 0;

	FOR_EACH_ELEMENT(k, i, list, element) {
		data = in(element, NFTA_SET_ELEM_DATA);
		/* Over lo it does not come. */
		if (!data || n == sizeof(v) / sizeof(*v))
			continue;
		data = in(element, NFTA_SET_ELEM_KEY);
		data = in(data, NFTA_DATA_VALUE);
		if (data && mnl_attr_get_payload_len(data) == 16 &&
		    is_no_way(k, mnl_attr_get_payload(data), 16))
			continue;
		v[n++] = verdict_of(in(element, NFTA_SET_ELEM_DATA));
	}
	/* The elements may be others' by now: their memory stays. */
	for (i = 0; i < n; i++) {
		o = go(k, &v[i], MAYBE, port);
		if (o == ACCEPTS || o == DROPS)
			return o;
	}
	return CONTINUES;
}

struct lookup {
	enum match match;
	struct verdict verdict;		/* of a map of verdicts */
	bool any;			/* it may be any of the elements' */
};

static struct lookup look_up(const struct walk *k, const struct registers *r,
			     const struct nlattr *data, bool *port)
{
	const struct nlattr *name = in(data, NFTA_LOOKUP_SET), *element;
	bool is_map = in(data, NFTA_LOOKUP_DREG), inverted = number(data, NFTA_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
	int w = word_of(number(data, NFTA_LOOKUP_SREG));
	struct lookup out = { MAYBE, { CONTINUES, NULL, false }, is_map };
	size_t len;

	if (!name || w < 0 || fetch(k, nft_string(name)))
		return out;
	len = key_len(k);
	if (!len) {
		out.any = false;
		out.match = truth(inverted);
		return out;
	}
	/* Of several values together one may be known: then it names our port, too. */
	*port |= r->port[w] && !inverted && is_known(r, w, 1);
	if (!is_known(r, w, len))
		return out;
	element = find_element(k, r->v + w * WORD, len);
	out.any = false;
	out.match = truth((element != NULL) != inverted);
	if (element && is_map)
		out.verdict = verdict_of(in(element, NFTA_SET_ELEM_DATA));
	return out;
}

/* ---- iptables' own ---------------------------------------------------- */

static bool has_port(uint16_t port, const uint16_t range[2], bool inverted)
{
	return (port >= range[0] && port <= range[1]) != inverted;
}

static enum match match_udp(const struct walk *k, const struct xt_udp *u, bool *port)
{
	if (k->packet->protocol != IPPROTO_UDP)
		return NO;
	if (!has_port(k->packet->port, u->dpts, u->invflags & XT_UDP_INV_DSTPT))
		return NO;
	*port |= u->dpts[0] || u->dpts[1] != 0xffff;
	return !u->spts[0] && u->spts[1] == 0xffff ? YES : MAYBE;
}

static enum match match_multiport(const struct walk *k, const struct xt_multiport_v1 *m, bool *port)
{
	bool found = false;
	uint32_t i;

	if (!k->packet->port)
		return NO;
	if (m->flags != MULTIPORT_DESTINATION || m->count > XT_MULTI_PORTS)
		return MAYBE;
	for (i = 0; i < m->count; i++) {
		uint16_t range[2] = { m->ports[i], m->ports[i] };

		if (m->pflags[i] && i + 1u < m->count)
			range[1] = m->ports[++i];
		found |= has_port(k->packet->port, range, false);
	}
	*port |= found && !m->invert;
	return truth(found != m->invert);
}

static enum match match_state(const struct xt_conntrack_mtinfo3 *m)
{
	if (m->match_flags != XT_CONNTRACK_STATE)
		return MAYBE;
	return truth(!!(m->state_mask & STATE_NEW) != !!(m->invert_flags & XT_CONNTRACK_STATE));
}

static enum match match_addrtype(const struct xt_addrtype_info_v1 *m)
{
	if (m->source || m->flags & (uint32_t)~XT_ADDRTYPE_INVERT_DEST)
		return MAYBE;
	return truth(!!(m->dest & XT_ADDRTYPE_LOCAL) != !!(m->flags & XT_ADDRTYPE_INVERT_DEST));
}

static enum match match_compat(const struct walk *k, const struct nlattr *data, bool *port)
{
	const struct nlattr *name = in(data, NFTA_MATCH_NAME), *info = in(data, NFTA_MATCH_INFO);
	const char *s = name ? nft_string(name) : "";
	uint32_t revision = number(data, NFTA_MATCH_REV);
	size_t len = info ? mnl_attr_get_payload_len(info) : 0;

	if (!strcmp(s, "comment"))
		return YES;
	if (!strcmp(s, "tcp") || !strcmp(s, "icmp") || !strcmp(s, "icmp6"))
		return NO;
	if (!strcmp(s, "udp") && len >= sizeof(struct xt_udp))
		return match_udp(k, mnl_attr_get_payload(info), port);
	if (!strcmp(s, "multiport") && revision == 1 && len >= sizeof(struct xt_multiport_v1))
		return match_multiport(k, mnl_attr_get_payload(info), port);
	if (!strcmp(s, "conntrack") && revision == 3 && len >= sizeof(struct xt_conntrack_mtinfo3))
		return match_state(mnl_attr_get_payload(info));
	if (!strcmp(s, "addrtype") && revision == 1 && len >= sizeof(struct xt_addrtype_info_v1))
		return match_addrtype(mnl_attr_get_payload(info));
	return MAYBE;
}

/* ---- rules ------------------------------------------------------------ */

struct effect {
	enum match match;
	bool port;			/* a condition is our port or protocol */
	bool any;			/* of a map, whose elements have been fetched */
	struct verdict verdict;
};

static void join(struct effect *e, enum match m)
{
	if (m < e->match)
		e->match = m;
}

static void on_lookup(const struct walk *k, const struct registers *r, const struct nlattr *data,
		      struct effect *e)
{
	struct lookup found = look_up(k, r, data, &e->port);

	join(e, found.match);
	e->any |= found.any;
	if (found.verdict.outcome != CONTINUES || found.verdict.chain)
		e->verdict = found.verdict;
}

static void on_immediate(struct registers *r, const struct nlattr *data, struct effect *e)
{
	const struct nlattr *value = in(in(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VALUE);

	if (number(data, NFTA_IMMEDIATE_DREG) == NFT_REG_VERDICT)
		e->verdict = verdict_of(in(data, NFTA_IMMEDIATE_DATA));
	else if (value)
		set(r, data, NFTA_IMMEDIATE_DREG, mnl_attr_get_payload(value),
		    mnl_attr_get_payload_len(value), false);
}

static void on_target(const struct nlattr *data, struct effect *e)
{
	const struct nlattr *name = in(data, NFTA_TARGET_NAME);

	if (name && !strcmp(nft_string(name), "REJECT"))
		e->verdict.outcome = DROPS;
}

static bool only_looks_on(const char *s)
{
	static const char *const names[] = { "counter", "log", "notrack", "objref", "last", "dup" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(s, names[i]))
			return true;
	return false;
}

static void apply(const struct walk *k, struct registers *r, const char *s, const struct nlattr *data,
		  struct effect *e)
{
	if (!strcmp(s, "meta")) {
		if (in(data, NFTA_META_DREG))
			load_meta(k, r, data);
	} else if (!strcmp(s, "payload")) {
		if (in(data, NFTA_PAYLOAD_DREG))
			load_payload(k, r, data);
	} else if (!strcmp(s, "ct")) {
		if (in(data, NFTA_CT_DREG))
			load_ct(r, data);
	} else if (!strcmp(s, "fib")) {
		load_fib(r, data);
	} else if (!strcmp(s, "bitwise")) {
		load_bitwise(r, data);
	} else if (!strcmp(s, "cmp")) {
		join(e, compare(k, r, data, &e->port));
	} else if (!strcmp(s, "range")) {
		join(e, compare_range(r, data, &e->port));
	} else if (!strcmp(s, "lookup")) {
		on_lookup(k, r, data, e);
	} else if (!strcmp(s, "immediate")) {
		on_immediate(r, data, e);
	} else if (!strcmp(s, "match")) {
		join(e, match_compat(k, data, &e->port));
	} else if (!strcmp(s, "target")) {
		on_target(data, e);
	} else if (!strcmp(s, "reject")) {
		e->verdict.outcome = DROPS;
	} else if (!only_looks_on(s)) {
		/* limit, socket and many more: what they put into a register is not known either. */
		memset(r, 0, sizeof(*r));
		join(e, MAYBE);
	}
}

static struct effect effect_of(const struct walk *k, const struct nlmsghdr *rule)
{
	const struct nlattr *list = nft_find(rule, NFTA_RULE_EXPRESSIONS), *element, *name;
	struct effect e = { .match = YES };
	struct registers r;

	memset(&r, 0, sizeof(r));
	if (list)
		kwgi_attr_for_each_nested(element, list) {
			name = in(element, NFTA_EXPR_NAME);
			apply(k, &r, name ? nft_string(name) : "", in(element, NFTA_EXPR_DATA), &e);
			if (e.match == NO)
				break;
		}
	return e;
}

static bool is_of(const struct nlmsghdr *rule, const struct chain *base, const char *chain)
{
	return nft_family(rule) == base->family &&
	       !strcmp(nft_string_in(rule, NFTA_RULE_TABLE), base->table) &&
	       !strcmp(nft_string_in(rule, NFTA_RULE_CHAIN), chain);
}

static enum outcome walk_chain(struct walk *k, const char *chain)
{
	enum outcome o = CONTINUES;
	uint32_t i;

	if (k->depth == DEPTH)
		return CONTINUES;
	k->depth++;
	for (i = 0; i < k->l->n_rules && o == CONTINUES; i++) {
		struct effect e;

		/* Nobody waits for an answer to so many. */
		if (++k->l->looks > LOOKS_MAX)
			return ACCEPTS;
		if (!is_of(k->l->rules[i].nlh, k->base, chain))
			continue;
		e = effect_of(k, k->l->rules[i].nlh);
		if (e.match == NO)
			continue;
		o = e.any ? any_element(k, e.port) : go(k, &e.verdict, e.match, e.port);
	}
	k->depth--;
	return o == RETURNS ? CONTINUES : o;
}

/* What becomes of a packet that a rule matches, or may match. */
static enum outcome go(struct walk *k, const struct verdict *v, enum match match, bool port)
{
	bool named = k->named;
	enum outcome o = v->outcome;

	if (v->chain) {
		k->named = false;
		o = walk_chain(k, v->chain);
		port |= k->named;
		if (v->is_goto && o == CONTINUES)
			o = RETURNS;
	}
	k->named = named || (o == ACCEPTS && port);
	if (match == YES)
		return o;
	/* What returns may leave a chain that drops. */
	k->maybe |= o == ACCEPTS || o == RETURNS;
	k->meant |= o == ACCEPTS && port;
	/* Somebody has thought of us. */
	return k->meant ? ACCEPTS : CONTINUES;
}

/* ---- the whole ------------------------------------------------------- */

static bool is_iptables(const struct chain *c)
{
	return c->family != NFPROTO_INET && !strcmp(c->table, "filter") && !strcmp(c->name, "INPUT");
}

static void judge(struct look *l, struct kwgi_input *input, const struct chain *base)
{
	struct walk k = { .l = l, .packet = &input->packet, .base = base };
	enum outcome o = walk_chain(&k, base->name);
	struct kwgi_input_chain *c;

	if (o == ACCEPTS || (o != DROPS && !base->drops) || input->n_chains == KWGI_INPUT_CHAINS)
		return;
	c = &input->chains[input->n_chains++];
	*c = (struct kwgi_input_chain){ .iptables = is_iptables(base),
		.verdict = k.maybe ? KWGI_INPUT_UNSURE : KWGI_INPUT_DROPPED };
	snprintf(c->chain, sizeof(c->chain), "%s %.100s %.100s",
		 base->family == NFPROTO_INET ? "inet" : base->family == NFPROTO_IPV4 ? "ip" : "ip6",
		 base->table, base->name);
}

static bool concerns(const struct chain *c, const struct kwgi_input_packet *p)
{
	if (!c->at_input || !strncmp(c->table, "kilowg-", 7))
		return false;
	return c->family == NFPROTO_INET ||
	       (c->family == NFPROTO_IPV6) == (p->family == KWGI_AF_V6);
}

static bool any_concerns(const struct look *l, const struct kwgi_inputs *inputs)
{
	uint32_t i, j;

	for (i = 0; i < l->n_chains; i++)
		for (j = 0; j < inputs->n; j++)
			if (concerns(&l->chains[i], &inputs->v[j].packet))
				return true;
	return false;
}

static void look(struct look *l, struct kwgi_inputs *inputs)
{
	uint32_t i, j;

	l->n_chains = l->n_rules = l->looks = 0;
	l->again = false;
	for (j = 0; j < inputs->n; j++)
		inputs->v[j].n_chains = 0;
	if (ask(l, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NULL, NULL, on_chain) ||
	    !any_concerns(l, inputs) ||
	    ask(l, NFT_MSG_GETRULE, NFPROTO_UNSPEC, NULL, NULL, on_rule))
		return;
	for (i = 0; i < l->n_chains; i++)
		for (j = 0; j < inputs->n; j++)
			if (concerns(&l->chains[i], &inputs->v[j].packet))
				judge(l, &inputs->v[j], &l->chains[i]);
}

int kwgi_nft_inputs(struct kwgi_inputs *inputs, struct kwg_error *err)
{
	struct look l = { .in = inputs };
	struct kwg_error own = { 0 };
	uint32_t i;

	if (!inputs->n || kwgi_nl_open(&l.nl, NETLINK_NETFILTER, &own))
		return 0;
	for (i = 0; i < TRIES; i++) {
		look(&l, inputs);
		if (!l.again)
			break;
	}
	for (i = 0; l.again && i < inputs->n; i++)
		inputs->v[i].n_chains = 0;
	kwgi_nl_close(&l.nl);
	kwgi_arena_free(&l.arena);
	return l.nomem ? kwgi_nomem(err) : 0;
}
