/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Tables of kilowg in nf_tables: what is there. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/nft.h"
#include "host/nft_attr.h"
#include "steps/desired.h"
#include "sys/mnl.h"

enum {
	TRIES = 20,		/* a dump that keeps changing under our hands */
};

static const char prefix[] = "kilowg-";

/* ---- copies ---------------------------------------------------------- */

/*
 * What makes an object. The kernel adds counts and numbers, more of them with
 * each version, and refuses those that it gets back.
 */
static bool is_definition(uint8_t type, uint16_t attr)
{
	switch (type) {
	case NFT_MSG_NEWTABLE:
		return attr == NFTA_TABLE_NAME || attr == NFTA_TABLE_FLAGS ||
		       attr == NFTA_TABLE_USERDATA;
	case NFT_MSG_NEWCHAIN:
		return attr == NFTA_CHAIN_TABLE || attr == NFTA_CHAIN_NAME ||
		       attr == NFTA_CHAIN_HOOK || attr == NFTA_CHAIN_POLICY ||
		       attr == NFTA_CHAIN_TYPE || attr == NFTA_CHAIN_USERDATA;
	case NFT_MSG_NEWSET:
		return (attr >= NFTA_SET_TABLE && attr <= NFTA_SET_USERDATA &&
			attr != NFTA_SET_ID) || attr == NFTA_SET_OBJ_TYPE;
	case NFT_MSG_NEWRULE:
		return attr == NFTA_RULE_TABLE || attr == NFTA_RULE_CHAIN ||
		       attr == NFTA_RULE_EXPRESSIONS || attr == NFTA_RULE_USERDATA;
	default:
		return attr == NFTA_SET_ELEM_LIST_TABLE || attr == NFTA_SET_ELEM_LIST_SET ||
		       attr == NFTA_SET_ELEM_LIST_ELEMENTS;
	}
}

static void copy_attr(struct nlmsghdr *to, const struct nlattr *attr)
{
	mnl_attr_put(to, attr->nla_type, mnl_attr_get_payload_len(attr),
		     mnl_attr_get_payload(attr));
}

/*
 * The kernel gives flags with an exthdr expression that writes, and refuses to
 * take any (net/netfilter/nft_exthdr.c, nft_exthdr_tcp_set_init).
 */
static void copy_expression(struct nlmsghdr *to, const struct nlattr *element)
{
	const struct nlattr *name = nft_find_nested(element, NFTA_EXPR_NAME), *attr;
	const struct nlattr *data = nft_find_nested(element, NFTA_EXPR_DATA);
	struct nlattr *nest = mnl_attr_nest_start(to, NFTA_LIST_ELEM), *inner;
	bool writes = name && data && !strcmp(nft_string(name), "exthdr") &&
		      nft_find_nested(data, NFTA_EXTHDR_SREG);

	if (name)
		copy_attr(to, name);
	if (data) {
		inner = mnl_attr_nest_start(to, NFTA_EXPR_DATA);
		kwgi_attr_for_each_nested(attr, data)
			if (!writes || mnl_attr_get_type(attr) != NFTA_EXTHDR_FLAGS)
				copy_attr(to, attr);
		mnl_attr_nest_end(to, inner);
	}
	mnl_attr_nest_end(to, nest);
}

static void copy_expressions(struct nlmsghdr *to, const struct nlattr *list)
{
	struct nlattr *nest = mnl_attr_nest_start(to, NFTA_RULE_EXPRESSIONS);
	const struct nlattr *element;

	kwgi_attr_for_each_nested(element, list)
		copy_expression(to, element);
	mnl_attr_nest_end(to, nest);
}

/* Appends a message of a dump in the form in which it can be sent. */
static int keep(struct kwgi_buf *b, const struct nlmsghdr *nlh, uint32_t set_id)
{
	size_t room = nlh->nlmsg_len + 64u;
	char *copy = calloc(1, room);
	const struct nlattr *attr;
	struct nlmsghdr *to;

	if (!copy)
		return -1;
	to = mnl_nlmsg_put_header(copy);
	to->nlmsg_type = nlh->nlmsg_type;
	to->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_APPEND;
	memcpy(mnl_nlmsg_put_extra_header(to, sizeof(struct nfgenmsg)),
	       mnl_nlmsg_get_payload(nlh), sizeof(struct nfgenmsg));
	/* What goes back is the generation of the rules, here it is nothing. */
	((struct nfgenmsg *)mnl_nlmsg_get_payload(to))->res_id = 0;
	kwgi_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (!is_definition(nft_type(nlh), mnl_attr_get_type(attr)))
			continue;
		if (nft_type(nlh) == NFT_MSG_NEWRULE &&
		    mnl_attr_get_type(attr) == NFTA_RULE_EXPRESSIONS)
			copy_expressions(to, attr);
		else
			copy_attr(to, attr);
	}
	if (set_id)
		mnl_attr_put_u32(to, NFTA_SET_ID, htonl(set_id));
	kwgi_buf_add(b, to, kwgi_nl_aligned(to));
	free(copy);
	return b->failed ? -1 : 0;
}

/* ---- observing ------------------------------------------------------- */

struct look {
	struct kwgi_host *h;
	struct kwgi_nl nl;
	struct kwgi_nft_table *table;	/* the one being looked at */
	struct kwgi_buf all;		/* its messages */
	bool nomem;
};

static int nomem(struct look *l)
{
	l->nomem = true;
	return MNL_CB_ERROR;
}

static void count(struct look *l, const struct nlmsghdr *nlh, uint16_t handle, uint32_t *n)
{
	const struct nlattr *attr = nft_find(nlh, handle);
	uint64_t v = attr ? nft_u64(attr) : 0;

	(*n)++;
	if (v > l->table->shape.last_handle)
		l->table->shape.last_handle = v;
}

static bool is_inet(const struct nlmsghdr *nlh)
{
	return nft_family(nlh) == NFPROTO_INET;
}

/* The comment that nft(8) shows, the first of type 0 in a list of type, length, value. */
static void read_mark(struct kwgi_nft_table *t, const struct nlattr *attr)
{
	const unsigned char *p = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);

	for (; len >= 2 && len >= 2u + p[1]; len -= 2u + p[1], p += 2 + p[1])
		if (!p[0] && p[1] && p[1] <= sizeof(t->mark) && !p[1 + p[1]]) {
			memcpy(t->mark, p + 2, p[1]);
			return;
		}
}

static int on_table(const struct nlmsghdr *nlh, void *arg)
{
	const char *name = nft_string_in(nlh, NFTA_TABLE_NAME);
	const struct nlattr *attr;
	struct look *l = arg;
	struct kwgi_host *h = l->h;
	struct kwgi_nft_table *t;

	if (nft_type(nlh) != NFT_MSG_NEWTABLE || !is_inet(nlh) ||
	    strncmp(name, prefix, sizeof(prefix) - 1))
		return MNL_CB_OK;
	if (kwgi_arena_grow(&h->arena, &h->tables, h->n_tables, &h->tables_cap, sizeof(*h->tables)))
		return nomem(l);
	t = &h->tables[h->n_tables++];
	*t = (struct kwgi_nft_table){ 0 };
	snprintf(t->name, sizeof(t->name), "%s", name);
	attr = nft_find(nlh, NFTA_TABLE_USERDATA);
	if (attr)
		read_mark(t, attr);
	attr = nft_find(nlh, NFTA_TABLE_FLAGS);
	t->shape.altered = attr && nft_u32(attr);
	return MNL_CB_OK;
}

static int on_table_again(const struct nlmsghdr *nlh, void *arg)
{
	struct look *l = arg;

	if (is_inet(nlh) && !strcmp(nft_string_in(nlh, NFTA_TABLE_NAME), l->table->name) &&
	    keep(&l->all, nlh, 0))
		return nomem(l);
	return MNL_CB_OK;
}

static bool drops(const struct nlmsghdr *nlh)
{
	const struct nlattr *policy = nft_find(nlh, NFTA_CHAIN_POLICY);

	return policy && nft_u32(policy) == NF_DROP;
}

static bool is_mine(const struct look *l, const struct nlmsghdr *nlh, uint16_t table)
{
	return is_inet(nlh) && !strcmp(nft_string_in(nlh, table), l->table->name);
}

static int on_chain(const struct nlmsghdr *nlh, void *arg)
{
	struct look *l = arg;

	if (!is_mine(l, nlh, NFTA_CHAIN_TABLE))
		return MNL_CB_OK;
	count(l, nlh, NFTA_CHAIN_HANDLE, &l->table->shape.chains);
	l->table->shape.altered |= drops(nlh);
	return keep(&l->all, nlh, 0) ? nomem(l) : MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct look *l = arg;

	if (!is_mine(l, nlh, NFTA_RULE_TABLE))
		return MNL_CB_OK;
	count(l, nlh, NFTA_RULE_HANDLE, &l->table->shape.rules);
	return keep(&l->all, nlh, 0) ? nomem(l) : MNL_CB_OK;
}

static int on_set(const struct nlmsghdr *nlh, void *arg)
{
	struct look *l = arg;

	if (!is_mine(l, nlh, NFTA_SET_TABLE))
		return MNL_CB_OK;
	count(l, nlh, NFTA_SET_HANDLE, &l->table->shape.sets);
	return keep(&l->all, nlh, l->table->shape.sets) ? nomem(l) : MNL_CB_OK;
}

static int on_elements(const struct nlmsghdr *nlh, void *arg)
{
	const char *set = nft_string_in(nlh, NFTA_SET_ELEM_LIST_SET);
	const struct nlattr *list = nft_find(nlh, NFTA_SET_ELEM_LIST_ELEMENTS), *element, *key, *flags;
	struct look *l = arg;

	if (!list || !is_mine(l, nlh, NFTA_SET_ELEM_LIST_TABLE))
		return MNL_CB_OK;
	kwgi_attr_for_each_nested(element, list) {
		key = nft_find_nested(element, NFTA_SET_ELEM_KEY);
		key = key ? nft_find_nested(key, NFTA_DATA_VALUE) : NULL;
		flags = nft_find_nested(element, NFTA_SET_ELEM_FLAGS);
		l->table->shape.elements++;
		if (key)
			l->table->shape.sum += kwgi_nft_element_sum(
				set, mnl_attr_get_payload(key), mnl_attr_get_payload_len(key),
				flags && nft_u32(flags) & NFT_SET_ELEM_INTERVAL_END);
	}
	return keep(&l->all, nlh, 0) ? nomem(l) : MNL_CB_OK;
}

struct question {
	uint8_t type, family;
	uint16_t table;			/* attribute with the table's name; 0: of all tables */
	const char *set;
	mnl_cb_t cb;
};

static int ask(struct look *l, const struct question *q, struct kwg_error *err)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(&l->nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | q->type), 0);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = q->family;
	nfg->version = NFNETLINK_V0;
	if (q->table)
		mnl_attr_put_strz(nlh, q->table, l->table->name);
	if (q->set)
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, q->set);
	return kwgi_nl_dump(&l->nl, nlh, q->cb, l, "listing nftables", err);
}

/* The elements of each set that stands in messages from here on. */
static int ask_elements(struct look *l, size_t from, struct kwg_error *err)
{
	size_t to = l->all.len;
	int ret = 0;

	while (from < to && !ret) {
		const struct nlmsghdr *nlh = (const void *)(l->all.p + from);
		char name[KWGI_NFT_NAME_MAX];

		from += kwgi_nl_aligned(nlh);
		snprintf(name, sizeof(name), "%s", nft_string_in(nlh, NFTA_SET_NAME));
		ret = ask(l, &(struct question){ NFT_MSG_GETSETELEM, NFPROTO_INET,
						 NFTA_SET_ELEM_LIST_TABLE, name, on_elements }, err);
	}
	return ret;
}

static int look_at_table(struct look *l, struct kwg_error *err)
{
	size_t from;
	int ret;

	l->all.len = 0;
	ret = ask(l, &(struct question){ NFT_MSG_GETTABLE, NFPROTO_INET, 0, NULL, on_table_again },
		  err);
	from = l->all.len;
	if (!ret)
		ret = ask(l, &(struct question){ NFT_MSG_GETSET, NFPROTO_INET, NFTA_SET_TABLE,
						 NULL, on_set }, err);
	if (!ret)
		ret = ask_elements(l, from, err);
	if (!ret)
		ret = ask(l, &(struct question){ NFT_MSG_GETCHAIN, NFPROTO_INET, 0, NULL,
						 on_chain }, err);
	if (!ret)
		ret = ask(l, &(struct question){ NFT_MSG_GETRULE, NFPROTO_INET, NFTA_RULE_TABLE,
						 NULL, on_rule }, err);
	return ret;
}

static int store_messages(struct look *l)
{
	char *copy = kwgi_arena_alloc(&l->h->arena, l->all.len + 1, 1);

	if (!copy)
		return -1;
	if (l->all.len)
		memcpy(copy, l->all.p, l->all.len);
	l->table->messages = copy;
	l->table->size = l->all.len;
	return 0;
}

static int look_at_all(struct look *l, struct kwg_error *err)
{
	uint32_t i;
	int ret;

	l->h->n_tables = 0;
	ret = ask(l, &(struct question){ NFT_MSG_GETTABLE, NFPROTO_INET, 0, NULL, on_table }, err);
	if (!ret)
		ret = kwgi_nft_look_at_others(l->h, &l->nl, err);
	for (i = 0; i < l->h->n_tables && !ret; i++) {
		l->table = &l->h->tables[i];
		if (strncmp(l->table->mark, "kilowg ", 7))
			continue;
		ret = look_at_table(l, err);
		if (!ret && store_messages(l))
			return kwgi_nomem(err);
	}
	return ret;
}

/* What a kernel answers that has no nf_tables, or that does not let this process see them. */
static bool has_none(int sys_errno)
{
	return sys_errno == EPROTONOSUPPORT || sys_errno == EAFNOSUPPORT || sys_errno == EINVAL ||
	       sys_errno == EOPNOTSUPP || sys_errno == EPERM;
}

int kwgi_nft_observe(struct kwgi_host *h, struct kwg_error *err)
{
	struct look l = { .h = h };
	struct kwg_error own = { 0 };
	int i, ret = kwgi_nl_open(&l.nl, NETLINK_NETFILTER, &own);

	if (!ret) {
		ret = KWGI_NL_AGAIN;
		for (i = 0; i < TRIES && ret == KWGI_NL_AGAIN; i++)
			ret = look_at_all(&l, &own);
		kwgi_nl_close(&l.nl);
	}
	kwgi_buf_free(&l.all);
	if (l.nomem)
		return kwgi_nomem(err);
	if (ret == KWGI_NL_AGAIN)
		return kwgi_fail(err, KWG_ERR_KERNEL, EAGAIN,
				 "listing nftables: it changed under way %d times in a row", TRIES);
	if (ret && has_none(own.sys_errno)) {
		h->no_nftables = true;
		h->nft_denied = own.sys_errno == EPERM;
		return 0;
	}
	if (ret && err)
		*err = own;
	return ret;
}
