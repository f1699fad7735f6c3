/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * From the firewall rules of a plan to messages of nf_tables. Each message is
 * an nfgenmsg and attributes; an expression is one element of a rule's list
 * (linux/netfilter/nf_tables.h names them).
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/nft.h"
#include "steps/desired.h"
#include "steps/mark.h"
#include "sys/mnl.h"

enum {
	MESSAGE = 48 * 1024,		/* more than any message here */
	CHUNK = 400,			/* networks in a message */
	MANGLE = -150, SRCNAT = 100,	/* priorities, linux/netfilter_ipv4.h */
	TYPE_IPV4_ADDR = 7, TYPE_IPV6_ADDR = 8,	/* what nft(8) calls the type of a set's key */
	ELEMENT = 4 * 4 + 4 + 16,	/* what one takes: four attribute headers, flags, address */
	NAMES = 1024,			/* more than the message's own headers and names */
	UDP_DPORT = 2, UDP_HEADER = 8, VXLAN_VNI = 4,
	TCP_FLAGS = 13, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_MAXSEG = 2,
};

/* A network has an element for its begin and one for its end. */
_Static_assert(2 * CHUNK * ELEMENT + NAMES <= MESSAGE, "all elements of a message have room");

/* What a set is for. */
enum use { PLAIN, MASQ_SRC, MASQ_DST, FORWARD_SRC, FORWARD_DST, TUNNEL, N_USES };

static const char *const use_names[] = {
	[PLAIN] = "no-masquerade", [MASQ_SRC] = "masquerade-from", [MASQ_DST] = "masquerade-to",
	[FORWARD_SRC] = "forward-from", [FORWARD_DST] = "forward-to", [TUNNEL] = "tunnel-from",
};

struct set {
	char name[24];
	uint32_t id;
	struct kwgi_prefix *v;		/* sorted, disjoint */
	uint32_t n, cap;
};

struct encoder {
	struct kwgi_arena *arena;
	struct kwgi_nft_table *out;
	struct kwgi_buf all;		/* messages so far */
	char *message;
	struct set sets[N_USES][2];	/* IPv4, IPv6 */
	uint32_t vxlan_id;		/* of the tunnel; 0: it is IPIP */
	uint16_t vxlan_port;
	uint32_t mark;			/* of the default route; 0: it is not taken */
	const char *tunnel;		/* of the location; "": none */
	char ifname[KWGI_IFNAME_MAX + 1];
	bool failed;
};

static struct nlmsghdr *begin(struct encoder *e, uint16_t type)
{
	struct nlmsghdr *nlh;
	struct nfgenmsg *nfg;

	memset(e->message, 0, MESSAGE);
	nlh = mnl_nlmsg_put_header(e->message);
	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_APPEND;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = NFPROTO_INET;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static void end(struct encoder *e, const struct nlmsghdr *nlh)
{
	kwgi_buf_add(&e->all, nlh, kwgi_nl_aligned(nlh));
}

static void put_u32(struct nlmsghdr *nlh, uint16_t type, uint32_t v)
{
	mnl_attr_put_u32(nlh, type, htonl(v));
}

/* ---- sets ------------------------------------------------------------ */

static int use_of(uint8_t kind)
{
	switch ((enum kwgi_fw_kind)kind) {
	case KWGI_FW_NAT_SERVICE:
	case KWGI_FW_NAT_WIREGUARD:
	case KWGI_FW_NAT_KNOWN:
	case KWGI_FW_NAT_PEER:
		return PLAIN;
	case KWGI_FW_NAT_JUMP_POD:
	case KWGI_FW_NAT_JUMP_SRC:
		return MASQ_SRC;
	case KWGI_FW_NAT_JUMP_DST:
		return MASQ_DST;
	case KWGI_FW_FORWARD_SRC:
		return FORWARD_SRC;
	case KWGI_FW_FORWARD_DST:
		return FORWARD_DST;
	case KWGI_FW_TUNL_ACCEPT:
		return TUNNEL;
	case KWGI_FW_NAT_CHAIN:
	case KWGI_FW_NAT_REST:
	case KWGI_FW_TUNL_CHAIN:
	case KWGI_FW_TUNL_JUMP:
	case KWGI_FW_TUNL_DROP:
		break;
	}
	return -1;
}

static void collect(struct encoder *e, const struct kwgi_fw_rules *list)
{
	uint32_t i;
	int use;

	for (i = 0; i < list->n; i++) {
		const struct kwgi_prefix *net = &list->v[i].net;
		struct set *s;

		use = use_of(list->v[i].kind);
		if (use < 0 || !net->addr.family || kwgi_fw_is_of_default(&list->v[i]))
			continue;
		s = &e->sets[use][net->addr.family == KWGI_AF_V6];
		if (kwgi_arena_grow(e->arena, &s->v, s->n, &s->cap, sizeof(*s->v))) {
			e->failed = true;
			return;
		}
		s->v[s->n++] = kwgi_prefix_masked(net);
	}
}

/* The first address after a network; false if it is the last of all. */
static bool after(struct kwgi_addr *out, const struct kwgi_prefix *p)
{
	unsigned bit = p->len, byte;

	*out = p->addr;
	while (bit-- > 0) {
		byte = bit / 8;
		out->b[byte] ^= (uint8_t)(0x80 >> bit % 8);
		if (out->b[byte] & 0x80 >> bit % 8)
			return true;
	}
	return false;
}

uint64_t kwgi_nft_element_sum(const char *set, const void *key, size_t len, bool is_end)
{
	uint64_t hash = 14695981039346656037u;	/* FNV-1a: nobody attacks it */
	const unsigned char *p = key;
	size_t i;

	for (; *set; set++)
		hash = (hash ^ (unsigned char)*set) * 1099511628211u;
	for (i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 1099511628211u;
	return (hash ^ is_end) * 1099511628211u;
}

static void put_element(struct encoder *e, struct nlmsghdr *nlh, const struct set *s,
			const struct kwgi_addr *a, bool is_end)
{
	struct nlattr *element = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM), *key;
	size_t len = kwgi_addr_bits(a) / 8;

	if (is_end)
		put_u32(nlh, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	key = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, len, a->b);
	mnl_attr_nest_end(nlh, key);
	mnl_attr_nest_end(nlh, element);
	e->out->shape.elements++;
	e->out->shape.sum += kwgi_nft_element_sum(s->name, a->b, len, is_end);
}

/* Elements of the networks from *i on, so many as one message takes. */
static void put_elements(struct encoder *e, const struct set *s, uint32_t *i)
{
	struct nlmsghdr *nlh = begin(e, NFT_MSG_NEWSETELEM);
	struct kwgi_addr next;
	struct nlattr *list;
	uint32_t n;

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, e->out->name);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, s->name);
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (n = 0; *i < s->n && n < CHUNK; n++, (*i)++) {
		put_element(e, nlh, s, &s->v[*i].addr, false);
		/* Networks side by side make one interval. */
		while (after(&next, &s->v[*i]) && *i + 1 < s->n &&
		       kwgi_addr_equal(&next, &s->v[*i + 1].addr))
			(*i)++;
		if (after(&next, &s->v[*i]))
			put_element(e, nlh, s, &next, true);
	}
	mnl_attr_nest_end(nlh, list);
	end(e, nlh);
}

static void put_set(struct encoder *e, struct set *s, bool v6)
{
	struct nlmsghdr *nlh = begin(e, NFT_MSG_NEWSET);
	uint32_t i = 0;

	s->id = ++e->out->shape.sets;
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, e->out->name);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, s->name);
	put_u32(nlh, NFTA_SET_FLAGS, NFT_SET_INTERVAL);
	put_u32(nlh, NFTA_SET_KEY_TYPE, v6 ? TYPE_IPV6_ADDR : TYPE_IPV4_ADDR);
	put_u32(nlh, NFTA_SET_KEY_LEN, v6 ? 16 : 4);
	put_u32(nlh, NFTA_SET_ID, s->id);
	end(e, nlh);
	while (i < s->n)
		put_elements(e, s, &i);
}

static void put_sets(struct encoder *e)
{
	int use, v6;

	for (use = 0; use < N_USES; use++)
		for (v6 = 0; v6 < 2; v6++) {
			struct set *s = &e->sets[use][v6];

			s->n = kwgi_prefix_outermost(s->v, s->n);
			snprintf(s->name, sizeof(s->name), "%s-%d", use_names[use], v6 ? 6 : 4);
			if (s->n)
				put_set(e, s, v6);
		}
}

/* ---- chains and rules ------------------------------------------------ */

static void put_chain(struct encoder *e, const char *name, const char *type, uint32_t hook,
		      int priority)
{
	struct nlmsghdr *nlh = begin(e, NFT_MSG_NEWCHAIN);
	struct nlattr *nest;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, e->out->name);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	nest = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
	put_u32(nlh, NFTA_HOOK_HOOKNUM, hook);
	put_u32(nlh, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	mnl_attr_nest_end(nlh, nest);
	put_u32(nlh, NFTA_CHAIN_POLICY, NF_ACCEPT);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, type);
	end(e, nlh);
	e->out->shape.chains++;
}

struct rule {
	struct nlmsghdr *nlh;
	struct nlattr *list, *element, *data;
};

static void begin_rule(struct encoder *e, struct rule *r, const char *chain)
{
	r->nlh = begin(e, NFT_MSG_NEWRULE);
	mnl_attr_put_strz(r->nlh, NFTA_RULE_TABLE, e->out->name);
	mnl_attr_put_strz(r->nlh, NFTA_RULE_CHAIN, chain);
	r->list = mnl_attr_nest_start(r->nlh, NFTA_RULE_EXPRESSIONS);
}

static void end_rule(struct encoder *e, struct rule *r)
{
	mnl_attr_nest_end(r->nlh, r->list);
	end(e, r->nlh);
	e->out->shape.rules++;
}

static void begin_expr(struct rule *r, const char *name)
{
	r->element = mnl_attr_nest_start(r->nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(r->nlh, NFTA_EXPR_NAME, name);
	r->data = mnl_attr_nest_start(r->nlh, NFTA_EXPR_DATA);
}

static void end_expr(struct rule *r)
{
	mnl_attr_nest_end(r->nlh, r->data);
	mnl_attr_nest_end(r->nlh, r->element);
}

static void put_value(struct rule *r, uint16_t type, const void *v, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(r->nlh, type);

	mnl_attr_put(r->nlh, NFTA_DATA_VALUE, len, v);
	mnl_attr_nest_end(r->nlh, nest);
}

static void meta(struct rule *r, uint32_t key)
{
	begin_expr(r, "meta");
	put_u32(r->nlh, NFTA_META_DREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_META_KEY, key);
	end_expr(r);
}

static void compare(struct rule *r, uint32_t op, const void *v, size_t len)
{
	begin_expr(r, "cmp");
	put_u32(r->nlh, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_CMP_OP, op);
	put_value(r, NFTA_CMP_DATA, v, len);
	end_expr(r);
}

static void equals(struct rule *r, const void *v, size_t len)
{
	compare(r, NFT_CMP_EQ, v, len);
}

static void meta_is_byte(struct rule *r, uint32_t key, uint8_t v)
{
	meta(r, key);
	equals(r, &v, 1);
}

static void payload(struct rule *r, uint32_t base, uint32_t offset, uint32_t len)
{
	begin_expr(r, "payload");
	put_u32(r->nlh, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_PAYLOAD_BASE, base);
	put_u32(r->nlh, NFTA_PAYLOAD_OFFSET, offset);
	put_u32(r->nlh, NFTA_PAYLOAD_LEN, len);
	end_expr(r);
}

/* Source and destination in a header: RFC 791, section 3.1; RFC 8200, section 3. */
static void address_in(struct rule *r, const struct set *s, bool v6, bool dst)
{
	uint32_t len = v6 ? 16 : 4;

	meta_is_byte(r, NFT_META_NFPROTO, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	payload(r, NFT_PAYLOAD_NETWORK_HEADER, (v6 ? 8u : 12u) + (dst ? len : 0), len);
	begin_expr(r, "lookup");
	mnl_attr_put_strz(r->nlh, NFTA_LOOKUP_SET, s->name);
	put_u32(r->nlh, NFTA_LOOKUP_SREG, NFT_REG_1);
	end_expr(r);
}

static void verdict(struct rule *r, int code)
{
	struct nlattr *data, *nest;

	begin_expr(r, "immediate");
	put_u32(r->nlh, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(r->nlh, NFTA_IMMEDIATE_DATA);
	nest = mnl_attr_nest_start(r->nlh, NFTA_DATA_VERDICT);
	put_u32(r->nlh, NFTA_VERDICT_CODE, (uint32_t)code);
	mnl_attr_nest_end(r->nlh, nest);
	mnl_attr_nest_end(r->nlh, data);
	end_expr(r);
}

static void masquerade(struct rule *r)
{
	begin_expr(r, "masq");
	end_expr(r);
}

static bool has_set(const struct encoder *e, enum use use)
{
	return e->sets[use][0].n || e->sets[use][1].n;
}

/*
 * Protocol 4, or VXLAN of this mesh: UDP port and network identifier (RFC 7348,
 * section 5), so that others' VXLAN on the port is let alone.
 */
static void encapsulated(const struct encoder *e, struct rule *r)
{
	const uint8_t id[3] = { (uint8_t)(e->vxlan_id >> 16), (uint8_t)(e->vxlan_id >> 8),
				(uint8_t)e->vxlan_id };
	const uint8_t port[2] = { (uint8_t)(e->vxlan_port >> 8), (uint8_t)e->vxlan_port };

	if (!e->vxlan_id) {
		meta_is_byte(r, NFT_META_L4PROTO, IPPROTO_IPIP);
		return;
	}
	meta_is_byte(r, NFT_META_L4PROTO, IPPROTO_UDP);
	payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_DPORT, sizeof(port));
	equals(r, port, sizeof(port));
	payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_HEADER + VXLAN_VNI, sizeof(id));
	equals(r, id, sizeof(id));
}

/* One rule for each family that has networks. code 0: masquerade. */
static void put_address_rules(struct encoder *e, const char *chain, enum use use, bool dst,
			      int code)
{
	struct rule r;
	int v6;

	for (v6 = 0; v6 < 2; v6++) {
		if (!e->sets[use][v6].n)
			continue;
		begin_rule(e, &r, chain);
		if (use == TUNNEL)
			encapsulated(e, &r);
		address_in(&r, &e->sets[use][v6], v6, dst);
		if (code)
			verdict(&r, code);
		else
			masquerade(&r);
		end_rule(e, &r);
	}
}

/*
 * Kilo has the same as jumps to a chain: who is in no-masquerade returns from
 * it, the rest is masqueraded.
 */
static void put_nat(struct encoder *e)
{
	struct rule r;

	if (!has_set(e, MASQ_SRC) && !has_set(e, MASQ_DST))
		return;
	put_chain(e, "postrouting", "nat", NF_INET_POST_ROUTING, SRCNAT);
	if (e->mark) {
		begin_rule(e, &r, "postrouting");
		meta(&r, NFT_META_OIFNAME);
		equals(&r, e->ifname, sizeof(e->ifname));
		verdict(&r, NFT_RETURN);
		end_rule(e, &r);
	}
	put_address_rules(e, "postrouting", PLAIN, true, NFT_RETURN);
	put_address_rules(e, "postrouting", MASQ_SRC, false, 0);
	put_address_rules(e, "postrouting", MASQ_DST, true, 0);
}

static void put_forward(struct encoder *e)
{
	if (!has_set(e, FORWARD_SRC) && !has_set(e, FORWARD_DST))
		return;
	put_chain(e, "forward", "filter", NF_INET_FORWARD, 0);
	put_address_rules(e, "forward", FORWARD_SRC, false, NF_ACCEPT);
	put_address_rules(e, "forward", FORWARD_DST, true, NF_ACCEPT);
}

static void put_tunnel(struct encoder *e, const struct kwg_plan *plan)
{
	struct rule r;

	if (!plan->tunl_fw.append.n)
		return;
	put_chain(e, "input", "filter", NF_INET_LOCAL_IN, 0);
	put_address_rules(e, "input", TUNNEL, false, NF_ACCEPT);
	begin_rule(e, &r, "input");
	encapsulated(e, &r);
	verdict(&r, NF_DROP);
	end_rule(e, &r);
}

/* ---- the default route ------------------------------------------------ */

static void ct(struct rule *r, uint32_t key)
{
	begin_expr(r, "ct");
	put_u32(r->nlh, NFTA_CT_DREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_CT_KEY, key);
	end_expr(r);
}

static void bits(struct rule *r, const void *mask, const void *none, size_t len)
{
	begin_expr(r, "bitwise");
	put_u32(r->nlh, NFTA_BITWISE_SREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_BITWISE_DREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_BITWISE_LEN, (uint32_t)len);
	put_value(r, NFTA_BITWISE_MASK, mask, len);
	put_value(r, NFTA_BITWISE_XOR, none, len);
	end_expr(r);
}

enum { DIR_ORIGINAL, DIR_REPLY };	/* linux/netfilter/nf_conntrack_tuple_common.h */

static void has_direction(struct rule *r, uint8_t direction)
{
	ct(r, NFT_CT_DIRECTION);
	equals(r, &direction, 1);
}

/* Is it of a connection from elsewhere to an address of this host? */
static void is_for_us(struct rule *r)
{
	static const uint32_t local = 2;		/* RTN_LOCAL */

	has_direction(r, DIR_ORIGINAL);
	begin_expr(r, "fib");
	put_u32(r->nlh, NFTA_FIB_DREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	put_u32(r->nlh, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	end_expr(r);
	equals(r, &local, sizeof(local));
}

/* Is it of a connection of TCP that was there before any was looked at? */
static void is_older(struct rule *r)
{
	static const uint32_t is_new = 8, zero = 0;	/* NF_CT_STATE_BIT(IP_CT_NEW) */
	static const uint8_t syn = TCP_SYN, none = 0;

	ct(r, NFT_CT_STATE);
	bits(r, &is_new, &zero, sizeof(is_new));
	compare(r, NFT_CMP_NEQ, &zero, sizeof(zero));
	meta_is_byte(r, NFT_META_L4PROTO, IPPROTO_TCP);
	payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS, 1);
	bits(r, &syn, &none, 1);
	equals(r, &none, 1);
}

static void has_no_mark(struct rule *r)
{
	static const uint32_t none = 0;

	ct(r, NFT_CT_MARK);
	equals(r, &none, sizeof(none));
}

static void immediate(struct rule *r, const void *v, size_t len)
{
	begin_expr(r, "immediate");
	put_u32(r->nlh, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	put_value(r, NFTA_IMMEDIATE_DATA, v, len);
	end_expr(r);
}

static void mark_packet(struct rule *r)
{
	begin_expr(r, "meta");
	put_u32(r->nlh, NFTA_META_KEY, NFT_META_MARK);
	put_u32(r->nlh, NFTA_META_SREG, NFT_REG_1);
	end_expr(r);
}

static void mark_connection(struct rule *r, uint32_t mark)
{
	immediate(r, &mark, sizeof(mark));
	begin_expr(r, "ct");
	put_u32(r->nlh, NFTA_CT_KEY, NFT_CT_MARK);
	put_u32(r->nlh, NFTA_CT_SREG, NFT_REG_1);
	end_expr(r);
}

/* A packet of a connection with our mark gets it, too. */
static void put_mark_rule(struct encoder *e, const char *chain)
{
	struct rule r;

	begin_rule(e, &r, chain);
	ct(&r, NFT_CT_MARK);
	equals(&r, &e->mark, sizeof(e->mark));
	ct(&r, NFT_CT_MARK);
	mark_packet(&r);
	end_rule(e, &r);
}

/*
 * A packet that comes out of the tunnel of the location has the mark of the one that it came in,
 * which was for this host: it is another one, and may be for the exit node.
 */
static void put_fresh(struct encoder *e)
{
	static const uint32_t none = 0;
	char name[KWGI_IFNAME_MAX + 1] = "";
	struct rule r;

	if (!*e->tunnel)
		return;
	snprintf(name, sizeof(name), "%s", e->tunnel);
	begin_rule(e, &r, "mark-in");
	meta(&r, NFT_META_IIFNAME);
	equals(&r, name, sizeof(name));
	meta(&r, NFT_META_MARK);
	equals(&r, &e->mark, sizeof(e->mark));
	immediate(&r, &none, sizeof(none));
	mark_packet(&r);
	end_rule(e, &r);
}

/*
 * Who came another way than through the tunnel is answered that way: connections to this host have
 * the mark; those that are older than the marks or the tracking of connections, such as the one over
 * which this is switched on; and what WireGuard sends, so that return path checks see it in what comes back.
 */
static void put_mark(struct encoder *e)
{
	static const uint32_t op[] = { NFT_CMP_NEQ, NFT_CMP_EQ };
	struct rule r;
	int i;

	if (!e->mark)
		return;
	put_chain(e, "mark-in", "filter", NF_INET_PRE_ROUTING, MANGLE);
	put_fresh(e);
	for (i = 0; i < 2; i++) {
		begin_rule(e, &r, "mark-in");
		meta(&r, NFT_META_IIFNAME);
		compare(&r, op[i], e->ifname, sizeof(e->ifname));
		is_for_us(&r);
		has_no_mark(&r);
		mark_connection(&r, i ? kwgi_default_tunnel_mark(e->mark) : e->mark);
		end_rule(e, &r);
	}
	put_mark_rule(e, "mark-in");
	put_chain(e, "mark-out", "route", NF_INET_LOCAL_OUT, MANGLE);
	begin_rule(e, &r, "mark-out");
	is_older(&r);
	has_no_mark(&r);
	mark_connection(&r, e->mark);
	end_rule(e, &r);
	begin_rule(e, &r, "mark-out");
	has_direction(&r, DIR_REPLY);
	has_no_mark(&r);
	mark_connection(&r, e->mark);
	end_rule(e, &r);
	put_mark_rule(e, "mark-out");
	put_chain(e, "mark-keep", "filter", NF_INET_POST_ROUTING, MANGLE);
	begin_rule(e, &r, "mark-keep");
	meta(&r, NFT_META_MARK);
	equals(&r, &e->mark, sizeof(e->mark));
	mark_connection(&r, e->mark);
	end_rule(e, &r);
}

/* ---- MSS --------------------------------------------------------------- */

/* SYN without RST. */
static void is_syn(struct rule *r)
{
	static const uint8_t mask = TCP_SYN | TCP_RST, none = 0, syn = TCP_SYN;

	meta_is_byte(r, NFT_META_L4PROTO, IPPROTO_TCP);
	payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS, 1);
	bits(r, &mask, &none, 1);
	equals(r, &syn, 1);
}

/* The kernel looks at the ways there and back, and never raises what the packet says. */
static void set_mss(struct rule *r)
{
	begin_expr(r, "rt");
	put_u32(r->nlh, NFTA_RT_DREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_RT_KEY, NFT_RT_TCPMSS);
	end_expr(r);
	begin_expr(r, "byteorder");
	put_u32(r->nlh, NFTA_BYTEORDER_SREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_BYTEORDER_DREG, NFT_REG_1);
	put_u32(r->nlh, NFTA_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	put_u32(r->nlh, NFTA_BYTEORDER_LEN, 2);
	put_u32(r->nlh, NFTA_BYTEORDER_SIZE, 2);
	end_expr(r);
	begin_expr(r, "exthdr");
	mnl_attr_put_u8(r->nlh, NFTA_EXTHDR_TYPE, TCP_MAXSEG);
	put_u32(r->nlh, NFTA_EXTHDR_OFFSET, 2);	/* RFC 9293, section 3.2: kind, length, value */
	put_u32(r->nlh, NFTA_EXTHDR_LEN, 2);
	put_u32(r->nlh, NFTA_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
	put_u32(r->nlh, NFTA_EXTHDR_SREG, NFT_REG_1);
	end_expr(r);
}

static void put_mss(struct encoder *e)
{
	static const uint32_t keys[] = { NFT_META_IIFNAME, NFT_META_OIFNAME };
	struct rule r;
	size_t i;

	put_chain(e, "mss", "filter", NF_INET_FORWARD, MANGLE);
	for (i = 0; i < 2; i++) {
		begin_rule(e, &r, "mss");
		meta(&r, keys[i]);
		equals(&r, e->ifname, sizeof(e->ifname));
		is_syn(&r);
		set_mss(&r);
		end_rule(e, &r);
	}
}

/* ---- the table ------------------------------------------------------- */

/* NFTA_TABLE_USERDATA as nft(8) has it: type 0 is the comment, length, text with its NUL. */
static void put_table(struct encoder *e, const char *mark)
{
	struct nlmsghdr *nlh = begin(e, NFT_MSG_NEWTABLE);
	unsigned char data[2 + KWGI_NFT_MARK_MAX];
	size_t len = strlen(mark) + 1;

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, e->out->name);
	put_u32(nlh, NFTA_TABLE_FLAGS, 0);
	data[0] = 0;
	data[1] = (unsigned char)len;
	memcpy(data + 2, mark, len);
	mnl_attr_put(nlh, NFTA_TABLE_USERDATA, len + 2, data);
	end(e, nlh);
}

/* Puts the table's own message in front of the rest, whose digest it carries. */
static void complete(struct encoder *e, const struct kwg_plan *plan)
{
	struct kwgi_buf body = e->all;
	char digest[65], *copy;

	e->all = (struct kwgi_buf){ 0 };
	if (body.failed || !body.p) {
		e->failed = true;
		kwgi_buf_free(&body);
		return;
	}
	kwgi_digest(digest, body.p, body.len);
	kwgi_mark_table(e->out->mark, plan->cfg->mesh.name,
			(uint8_t)plan->cfg->local.route_protocol, digest);
	put_table(e, e->out->mark);
	kwgi_buf_add(&e->all, body.p, body.len);
	kwgi_buf_free(&body);
	copy = e->all.failed ? NULL : kwgi_arena_alloc(e->arena, e->all.len, 1);
	if (!copy) {
		e->failed = true;
		return;
	}
	memcpy(copy, e->all.p, e->all.len);
	e->out->messages = copy;
	e->out->size = e->all.len;
}

int kwgi_nft_encode(struct kwgi_nft_table *out, struct kwgi_arena *a, const struct kwg_plan *plan,
		    uint32_t mark, const char *tunnel)
{
	struct encoder e = { .arena = a, .out = out, .mark = mark, .tunnel = tunnel,
			     .message = kwgi_arena_alloc(a, MESSAGE, 1) };
	struct kwgi_nft_shape *s = &out->shape;

	*out = (struct kwgi_nft_table){ 0 };
	if (!e.message)
		return -1;
	if (kwgi_plan_has_vxlan(plan)) {
		e.vxlan_id = kwgi_encap_vxlan_id(&plan->cfg->mesh);
		e.vxlan_port = (uint16_t)plan->cfg->mesh.vxlan_port;
	}
	snprintf(e.ifname, sizeof(e.ifname), "%s", plan->cfg->local.interface);
	snprintf(out->name, sizeof(out->name), "kilowg-%s", plan->cfg->mesh.name);
	collect(&e, &plan->nat.append);
	collect(&e, &plan->nat.prepend);
	collect(&e, &plan->tunl_fw.prepend);
	put_sets(&e);
	put_nat(&e);
	put_forward(&e);
	put_tunnel(&e, plan);
	put_mark(&e);
	put_mss(&e);
	s->last_handle = (uint64_t)s->sets + s->chains + s->rules;
	complete(&e, plan);
	kwgi_buf_free(&e.all);
	return e.failed ? -1 : 0;
}
