/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Tables of nf_tables: making, replacing and deleting one. */
#include <errno.h>
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "host/nft.h"
#include "host/nft_attr.h"

enum { SMALL = 1024 };		/* more than a message without a list takes */

static struct nlmsghdr *put_message(char room[SMALL], uint16_t type, uint16_t flags,
				    uint8_t family, uint16_t res_id)
{
	struct nlmsghdr *nlh;
	struct nfgenmsg *nfg;

	memset(room, 0, SMALL);
	nlh = mnl_nlmsg_put_header(room);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(res_id);
	return nlh;
}

static void add_control(struct kwgi_buf *b, uint16_t type)
{
	char room[SMALL];
	const struct nlmsghdr *nlh = put_message(room, type, 0, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);

	kwgi_buf_add(b, nlh, nlh->nlmsg_len);
}

/* Makes or deletes the bare table. */
static void add_table(struct kwgi_buf *b, uint8_t type, uint16_t flags, const char *name)
{
	char room[SMALL];
	struct nlmsghdr *nlh = put_message(room, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
					   flags, NFPROTO_INET, 0);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	kwgi_buf_add(b, nlh, kwgi_nl_aligned(nlh));
}

/* The last message of all that change something asks for the answer. */
static void ask_for_answer(struct kwgi_buf *b, size_t from)
{
	struct nlmsghdr *nlh;

	while (!b->failed && from < b->len) {
		nlh = (struct nlmsghdr *)(void *)(b->p + from);
		from += kwgi_nl_aligned(nlh);
		if (from >= b->len)
			nlh->nlmsg_flags |= NLM_F_ACK;
	}
}

/*
 * Deleting what may not be there is an error, so it is made first. All of it
 * is one transaction: packets meet the old table or the new one.
 */
static void build_batch(struct kwgi_buf *b, const struct kwgi_nft_table *to,
			const struct kwgi_nft_table *from)
{
	size_t start;

	add_control(b, NFNL_MSG_BATCH_BEGIN);
	start = b->len;
	add_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, to ? to->name : from->name);
	add_table(b, NFT_MSG_DELTABLE, 0, to ? to->name : from->name);
	if (to)
		kwgi_buf_add(b, to->messages, to->size);
	ask_for_answer(b, start);
	add_control(b, NFNL_MSG_BATCH_END);
}

int kwgi_nft_step(const struct kwgi_step *s, bool undo, struct kwg_error *err)
{
	const struct kwgi_nft_table *to = undo ? s->u.firewall.old : s->u.firewall.table;
	const struct kwgi_nft_table *from = undo ? s->u.firewall.table : s->u.firewall.old;
	struct kwgi_buf batch = { 0 };
	char what[128];
	struct kwgi_nl nl;
	int ret;

	build_batch(&batch, to, from);
	if (batch.failed) {
		kwgi_buf_free(&batch);
		return kwgi_nomem(err);
	}
	snprintf(what, sizeof(what), "nftables table inet %.80s", to ? to->name : from->name);
	ret = kwgi_nl_open(&nl, NETLINK_NETFILTER, err);
	if (!ret) {
		ret = kwgi_nl_batch(&nl, batch.p, batch.len, what, err);
		kwgi_nl_close(&nl);
	}
	kwgi_buf_free(&batch);
	return ret;
}

/* ---- what iptables-nft has made for us --------------------------------- */

struct leftover {
	const char *table, *chain;
	uint32_t generation;		/* of the rules, as they were looked at */
	bool empty, alone;
};

static int on_generation(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *id = nft_find(nlh, NFTA_GEN_ID);
	struct leftover *l = arg;

	if (nft_type(nlh) == NFT_MSG_NEWGEN && id)
		l->generation = nft_u32(id);
	return MNL_CB_OK;
}

static int on_leftover_chain(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *use = nft_find(nlh, NFTA_CHAIN_USE);
	const struct nlattr *policy = nft_find(nlh, NFTA_CHAIN_POLICY);
	struct leftover *l = arg;

	if (!strcmp(nft_string_in(nlh, NFTA_CHAIN_TABLE), l->table) &&
	    !strcmp(nft_string_in(nlh, NFTA_CHAIN_NAME), l->chain))
		l->empty = use && !nft_u32(use) && policy && nft_u32(policy) == NF_ACCEPT;
	return MNL_CB_OK;
}

static int on_leftover_table(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *use = nft_find(nlh, NFTA_TABLE_USE);
	struct leftover *l = arg;

	if (!strcmp(nft_string_in(nlh, NFTA_TABLE_NAME), l->table))
		l->alone = use && nft_u32(use) == 1;
	return MNL_CB_OK;
}

static struct nlmsghdr *begin_question(struct kwgi_nl *nl, uint8_t type, uint8_t family)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int look_at_leftover(struct kwgi_nl *nl, uint8_t family, struct leftover *l)
{
	static const char what[] = "listing nftables";
	int ret = kwgi_nl_ask(nl, begin_question(nl, NFT_MSG_GETGEN, NFPROTO_UNSPEC), on_generation,
			      l, what, NULL);

	if (!ret)
		ret = kwgi_nl_dump(nl, begin_question(nl, NFT_MSG_GETCHAIN, family),
				   on_leftover_chain, l, what, NULL);
	if (!ret)
		ret = kwgi_nl_dump(nl, begin_question(nl, NFT_MSG_GETTABLE, family),
				   on_leftover_table, l, what, NULL);
	return ret;
}

static void add_deletion(struct kwgi_buf *b, uint8_t type, uint8_t family,
			 const struct leftover *l)
{
	char room[SMALL];
	struct nlmsghdr *nlh = put_message(room, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0,
					   family, 0);

	/* The table's name is the first attribute of both. */
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, l->table);
	if (type == NFT_MSG_DELCHAIN)
		mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, l->chain);
	kwgi_buf_add(b, nlh, kwgi_nl_aligned(nlh));
}

/* If the generation is another by now, the kernel refuses the batch. */
static int delete_leftover(struct kwgi_nl *nl, uint8_t family, const struct leftover *l)
{
	struct kwgi_buf batch = { 0 };
	char room[SMALL];
	struct nlmsghdr *nlh = put_message(room, NFNL_MSG_BATCH_BEGIN, 0, NFPROTO_UNSPEC,
					   NFNL_SUBSYS_NFTABLES);
	size_t start;
	int ret = -1;

	mnl_attr_put_u32(nlh, NFNL_BATCH_GENID, htonl(l->generation));
	kwgi_buf_add(&batch, nlh, kwgi_nl_aligned(nlh));
	start = batch.len;
	add_deletion(&batch, NFT_MSG_DELCHAIN, family, l);
	if (l->alone)
		add_deletion(&batch, NFT_MSG_DELTABLE, family, l);
	ask_for_answer(&batch, start);
	add_control(&batch, NFNL_MSG_BATCH_END);
	if (!batch.failed)
		ret = kwgi_nl_batch(nl, batch.p, batch.len, "an empty table", NULL);
	kwgi_buf_free(&batch);
	return ret;
}

int kwgi_nft_remove_empty(uint8_t family, const char *table, const char *chain)
{
	struct leftover l = { .table = table, .chain = chain };
	struct kwgi_nl nl;
	int ret = kwgi_nl_open(&nl, NETLINK_NETFILTER, NULL);

	if (ret)
		return ret;
	ret = look_at_leftover(&nl, family, &l);
	if (!ret && l.empty)
		ret = delete_leftover(&nl, family, &l);
	kwgi_nl_close(&nl);
	return ret;
}
