/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The messages of nf_tables for a plan, read back with rules of our own. What
 * is expected of rules is what "nft --debug=netlink" prints for the same rules
 * in its own language (1.0.6), with values as bytes instead of words.
 */
#include <errno.h>
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "host/nft.h"
#include "host/nft_attr.h"
#include "steps/desired.h"
#include "unit.h"

/* ---- a plan and its messages ------------------------------------------ */

struct made {
	struct kwg_config *cfg;
	struct kwg_plan *plan;
	struct kwgi_arena arena;
	struct kwgi_nft_table table;
};

static const char two_nodes[] =
	"[node]\nname = a\nlocation = x\nendpoint = 192.0.2.1:1\ninternal-ip = 10.1.0.1/24\n"
	"pod-cidr = 10.42.0.0/24, fd00:42::/64\nallowed-location-ip = 192.168.50.0/24\n"
	"public-key = vQuq+FSd5W7c6OWbS0fRP0zqVYh9NlnrNYP+AAiKGW8=\n"
	"[node]\nname = b\nlocation = x\nendpoint = 10.1.0.2:1\ninternal-ip = 10.1.0.2/24\n"
	"pod-cidr = 10.42.1.0/24\n"
	"public-key = nvRa6gbZn3Y108EZL4hEs7H1YQLj4y0yarwxJtlqC3Y=\n";

/* Lines of [mesh] and of [local]. There is a tunnel if there are pods. */
static void make(struct made *m, const char *mesh, const char *local)
{
	struct kwgi_buf text = { 0 };
	struct kwg_error err = { 0 };

	memset(m, 0, sizeof(*m));
	kwgi_buf_printf(&text, "[mesh]\nformat = 1\nencapsulation = %s\n",
			strstr(local, "cni") ? "cross-subnet" : "never");
	kwgi_buf_puts(&text, mesh);
	kwgi_buf_printf(&text, "\n[local]\n%s\n%s", local, two_nodes);
	m->cfg = kwg_config_new();
	ck_assert(m->cfg && !text.failed);
	ck_assert_int_eq(kwg_config_add_text(m->cfg, "t", text.p, text.len, &err), 0);
	ck_assert_msg(!kwg_config_finish(m->cfg, &err), "%s", err.text);
	ck_assert_msg(!kwg_plan_new(&m->plan, m->cfg, "a", &err), "%s", err.text);
	ck_assert_int_eq(kwgi_nft_encode(&m->table, &m->arena, m->plan, 0, ""), 0);
	kwgi_buf_free(&text);
}

static void done(struct made *m)
{
	kwgi_arena_free(&m->arena);
	kwg_plan_free(m->plan);
	kwg_config_free(m->cfg);
}

/* Calls for each message, and checks that they fill the whole without a gap. */
static void each(const struct made *m, void (*f)(const struct nlmsghdr *nlh, void *arg), void *arg)
{
	const char *p = m->table.messages, *end = p + m->table.size;

	while (p < end) {
		const struct nlmsghdr *nlh = (const void *)p;

		ck_assert_uint_ge((size_t)(end - p), sizeof(*nlh) + sizeof(struct nfgenmsg));
		ck_assert_uint_le(nlh->nlmsg_len, (size_t)(end - p));
		ck_assert_uint_eq(nlh->nlmsg_type >> 8, NFNL_SUBSYS_NFTABLES);
		ck_assert_uint_eq(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_APPEND);
		ck_assert_uint_eq(nft_family(nlh), NFPROTO_INET);
		f(nlh, arg);
		p += NLMSG_ALIGN(nlh->nlmsg_len);
	}
	ck_assert_ptr_eq(p, end);
}

/* ---- rules as text ---------------------------------------------------- */

static uint32_t number(const struct nlattr *data, uint16_t type)
{
	const struct nlattr *attr = nft_find_nested(data, type);

	ck_assert_msg(attr != NULL, "attribute %u is missing", type);
	return nft_u32(attr);
}

static void put_data(struct kwgi_buf *b, const struct nlattr *data, uint16_t type)
{
	const struct nlattr *attr = nft_find_nested(data, type);
	const unsigned char *p;
	size_t i;

	ck_assert(attr && (attr = nft_find_nested(attr, NFTA_DATA_VALUE)));
	p = mnl_attr_get_payload(attr);
	for (i = 0; i < mnl_attr_get_payload_len(attr); i++)
		kwgi_buf_printf(b, "%02x", p[i]);
}

static const char *meta_name(uint32_t key)
{
	return key == NFT_META_NFPROTO ? "nfproto" : key == NFT_META_L4PROTO ? "l4proto" :
	       key == NFT_META_IIFNAME ? "iifname" : key == NFT_META_OIFNAME ? "oifname" : "?";
}

static const char *verdict_name(const struct nlattr *data)
{
	const struct nlattr *v = nft_find_nested(data, NFTA_IMMEDIATE_DATA);
	uint32_t code;

	ck_assert_uint_eq(number(data, NFTA_IMMEDIATE_DREG), NFT_REG_VERDICT);
	ck_assert(v && (v = nft_find_nested(v, NFTA_DATA_VERDICT)));
	code = number(v, NFTA_VERDICT_CODE);
	return code == NF_ACCEPT ? "accept" : code == NF_DROP ? "drop" :
	       code == (uint32_t)NFT_RETURN ? "return" : "?";
}

static void put_exthdr(struct kwgi_buf *b, const struct nlattr *data)
{
	const struct nlattr *type = nft_find_nested(data, NFTA_EXTHDR_TYPE);

	ck_assert(type && mnl_attr_get_payload_len(type) == 1);
	ck_assert_uint_eq(number(data, NFTA_EXTHDR_OP), NFT_EXTHDR_OP_TCPOPT);
	/* The kernel takes none from a rule that writes. */
	ck_assert(!nft_find_nested(data, NFTA_EXTHDR_FLAGS));
	kwgi_buf_printf(b, "exthdr write tcpopt reg %u => %ub @ %u + %u",
			number(data, NFTA_EXTHDR_SREG), number(data, NFTA_EXTHDR_LEN),
			mnl_attr_get_u8(type), number(data, NFTA_EXTHDR_OFFSET));
}

static void put_expression(struct kwgi_buf *b, const char *name, const struct nlattr *d)
{
	if (!strcmp(name, "meta")) {
		kwgi_buf_printf(b, "meta load %s => reg %u", meta_name(number(d, NFTA_META_KEY)),
				number(d, NFTA_META_DREG));
	} else if (!strcmp(name, "cmp")) {
		ck_assert_uint_eq(number(d, NFTA_CMP_OP), NFT_CMP_EQ);
		kwgi_buf_printf(b, "cmp eq reg %u ", number(d, NFTA_CMP_SREG));
		put_data(b, d, NFTA_CMP_DATA);
	} else if (!strcmp(name, "payload")) {
		kwgi_buf_printf(b, "payload load %ub @ %s header + %u => reg %u",
				number(d, NFTA_PAYLOAD_LEN),
				number(d, NFTA_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER ? "network"
											   : "transport",
				number(d, NFTA_PAYLOAD_OFFSET), number(d, NFTA_PAYLOAD_DREG));
	} else if (!strcmp(name, "lookup")) {
		kwgi_buf_printf(b, "lookup reg %u set %s", number(d, NFTA_LOOKUP_SREG),
				nft_string(nft_find_nested(d, NFTA_LOOKUP_SET)));
	} else if (!strcmp(name, "immediate")) {
		kwgi_buf_printf(b, "immediate reg 0 %s", verdict_name(d));
	} else if (!strcmp(name, "bitwise")) {
		ck_assert_uint_eq(number(d, NFTA_BITWISE_LEN), 1);
		kwgi_buf_printf(b, "bitwise reg %u = ( reg %u & ", number(d, NFTA_BITWISE_DREG),
				number(d, NFTA_BITWISE_SREG));
		put_data(b, d, NFTA_BITWISE_MASK);
		kwgi_buf_puts(b, " ) ^ ");
		put_data(b, d, NFTA_BITWISE_XOR);
	} else if (!strcmp(name, "rt")) {
		ck_assert_uint_eq(number(d, NFTA_RT_KEY), NFT_RT_TCPMSS);
		kwgi_buf_printf(b, "rt load tcpmss => reg %u", number(d, NFTA_RT_DREG));
	} else if (!strcmp(name, "byteorder")) {
		ck_assert_uint_eq(number(d, NFTA_BYTEORDER_OP), NFT_BYTEORDER_HTON);
		kwgi_buf_printf(b, "byteorder reg %u = hton(reg %u, %u, %u)",
				number(d, NFTA_BYTEORDER_DREG), number(d, NFTA_BYTEORDER_SREG),
				number(d, NFTA_BYTEORDER_SIZE), number(d, NFTA_BYTEORDER_LEN));
	} else if (!strcmp(name, "exthdr")) {
		put_exthdr(b, d);
	} else {
		kwgi_buf_puts(b, name);
	}
}

static void put_rule(const struct nlmsghdr *nlh, struct kwgi_buf *b)
{
	const struct nlattr *list = nft_find(nlh, NFTA_RULE_EXPRESSIONS), *e, *name, *data;

	kwgi_buf_printf(b, "%s\n", nft_string_in(nlh, NFTA_RULE_CHAIN));
	ck_assert(list != NULL);
	kwgi_attr_for_each_nested(e, list) {
		name = nft_find_nested(e, NFTA_EXPR_NAME);
		data = nft_find_nested(e, NFTA_EXPR_DATA);
		ck_assert(mnl_attr_get_type(e) == NFTA_LIST_ELEM && name && data);
		kwgi_buf_puts(b, "  [ ");
		put_expression(b, nft_string(name), data);
		kwgi_buf_puts(b, " ]\n");
	}
}

static void put_chain(const struct nlmsghdr *nlh, struct kwgi_buf *b)
{
	const struct nlattr *hook = nft_find(nlh, NFTA_CHAIN_HOOK);

	ck_assert(hook && nft_u32(nft_find(nlh, NFTA_CHAIN_POLICY)) == NF_ACCEPT);
	kwgi_buf_printf(b, "chain %s type %s hook %u prio %d\n", nft_string_in(nlh, NFTA_CHAIN_NAME),
			nft_string_in(nlh, NFTA_CHAIN_TYPE), number(hook, NFTA_HOOK_HOOKNUM),
			(int)number(hook, NFTA_HOOK_PRIORITY));
}

static void put_message(const struct nlmsghdr *nlh, void *arg)
{
	switch (nft_type(nlh)) {
	case NFT_MSG_NEWCHAIN:
		put_chain(nlh, arg);
		break;
	case NFT_MSG_NEWRULE:
		put_rule(nlh, arg);
		break;
	}
}

#define V4 "  [ meta load nfproto => reg 1 ]\n  [ cmp eq reg 1 02 ]\n"
#define V6 "  [ meta load nfproto => reg 1 ]\n  [ cmp eq reg 1 0a ]\n"
#define SRC4(set) V4 "  [ payload load 4b @ network header + 12 => reg 1 ]\n  [ lookup reg 1 set " set " ]\n"
#define DST4(set) V4 "  [ payload load 4b @ network header + 16 => reg 1 ]\n  [ lookup reg 1 set " set " ]\n"
#define SRC6(set) V6 "  [ payload load 16b @ network header + 8 => reg 1 ]\n  [ lookup reg 1 set " set " ]\n"
#define DST6(set) V6 "  [ payload load 16b @ network header + 24 => reg 1 ]\n  [ lookup reg 1 set " set " ]\n"
#define IS_IPIP "  [ meta load l4proto => reg 1 ]\n  [ cmp eq reg 1 04 ]\n"
#define VERDICT(v) "  [ immediate reg 0 " v " ]\n"
#define CLAMP(key) \
	"mss\n  [ meta load " key " => reg 1 ]\n" \
	"  [ cmp eq reg 1 6b696c6f300000000000000000000000 ]\n" \
	"  [ meta load l4proto => reg 1 ]\n  [ cmp eq reg 1 06 ]\n" \
	"  [ payload load 1b @ transport header + 13 => reg 1 ]\n" \
	"  [ bitwise reg 1 = ( reg 1 & 06 ) ^ 00 ]\n  [ cmp eq reg 1 02 ]\n" \
	"  [ rt load tcpmss => reg 1 ]\n  [ byteorder reg 1 = hton(reg 1, 2, 2) ]\n" \
	"  [ exthdr write tcpopt reg 1 => 2b @ 2 + 2 ]\n"

START_TEST(rules)
{
	static const char want[] =
		"chain postrouting type nat hook 4 prio 100\n"
		"postrouting\n" DST4("no-masquerade-4") VERDICT("return")
		"postrouting\n" DST6("no-masquerade-6") VERDICT("return")
		"postrouting\n" SRC4("masquerade-from-4") "  [ masq ]\n"
		"postrouting\n" SRC6("masquerade-from-6") "  [ masq ]\n"
		"postrouting\n" DST4("masquerade-to-4") "  [ masq ]\n"
		"chain forward type filter hook 2 prio 0\n"
		"forward\n" SRC4("forward-from-4") VERDICT("accept")
		"forward\n" SRC6("forward-from-6") VERDICT("accept")
		"forward\n" DST4("forward-to-4") VERDICT("accept")
		"forward\n" DST6("forward-to-6") VERDICT("accept")
		"chain input type filter hook 1 prio 0\n"
		"input\n" IS_IPIP SRC4("tunnel-from-4") VERDICT("accept")
		"input\n" IS_IPIP VERDICT("drop")
		"chain mss type filter hook 2 prio -150\n"
		CLAMP("iifname") CLAMP("oifname");
	struct kwgi_buf b = { 0 };
	struct made m;

	make(&m, "", "cni = yes\nforward-rules = yes");
	each(&m, put_message, &b);
	ck_assert(!b.failed);
	ck_assert_str_eq(b.p, want);
	ck_assert_uint_eq(m.table.shape.chains, 4);
	ck_assert_uint_eq(m.table.shape.rules, 13);
	kwgi_buf_free(&b);
	done(&m);
}
END_TEST

START_TEST(nothing_but_the_segment_size)
{
	static const char last[] = "chain mss type filter hook 2 prio -150\n"
				   CLAMP("iifname") CLAMP("oifname");
	struct kwgi_buf b = { 0 };
	struct made m;

	make(&m, "", "");
	each(&m, put_message, &b);
	ck_assert(!b.failed && b.len > strlen(last));
	ck_assert_str_eq(b.p + b.len - strlen(last), last);
	ck_assert(!strstr(b.p, "forward\n") && !strstr(b.p, "input"));
	kwgi_buf_free(&b);
	done(&m);
}
END_TEST

/* ---- sets ------------------------------------------------------------- */

enum { NETS = 10000, ADDRESSES = 65536 };

struct seen {
	const char *set;	/* the one that is looked at */
	uint32_t sets, chains, rules, elements, tables, in_set, largest;
	uint64_t sum;
	bool has_last, last_is_end;
	unsigned char last[16];
	uint8_t member[ADDRESSES];	/* of those with this prefix, by the 16 bits behind it */
	unsigned char prefix[8];
	unsigned prefix_len;	/* bytes */
	long open;		/* start of an interval whose end has not come; -1: none */
};

static void see_element(struct seen *s, const char *set, const struct nlattr *element)
{
	const struct nlattr *key = nft_find_nested(element, NFTA_SET_ELEM_KEY);
	const struct nlattr *flags = nft_find_nested(element, NFTA_SET_ELEM_FLAGS);
	bool end = flags && nft_u32(flags) & NFT_SET_ELEM_INTERVAL_END;
	const unsigned char *p;
	size_t len;
	long at;

	ck_assert(key && (key = nft_find_nested(key, NFTA_DATA_VALUE)));
	p = mnl_attr_get_payload(key);
	len = mnl_attr_get_payload_len(key);
	ck_assert_uint_eq(len, strchr(set, '6') ? 16 : 4);
	s->elements++;
	s->sum += kwgi_nft_element_sum(set, p, len, end);
	if (strcmp(set, s->set))
		return;
	s->in_set++;
	/* In order, starts and ends by turns, and no interval touches the next. */
	if (s->has_last) {
		ck_assert_int_lt(memcmp(s->last, p, len), 0);
		ck_assert(s->last_is_end != end);
	} else {
		ck_assert(!end);
	}
	s->has_last = true;
	s->last_is_end = end;
	memcpy(s->last, p, len);
	at = memcmp(p, s->prefix, s->prefix_len) ? ADDRESSES :
	     p[s->prefix_len] << 8 | p[s->prefix_len + 1];
	for (; end && s->open >= 0 && s->open < at; s->open++)
		s->member[s->open]++;
	s->open = end || at == ADDRESSES ? -1 : at;
}

static void see(const struct nlmsghdr *nlh, void *arg)
{
	struct seen *s = arg;
	const struct nlattr *list, *element;

	if (nlh->nlmsg_len > s->largest)
		s->largest = nlh->nlmsg_len;
	s->tables += nft_type(nlh) == NFT_MSG_NEWTABLE;
	s->chains += nft_type(nlh) == NFT_MSG_NEWCHAIN;
	s->rules += nft_type(nlh) == NFT_MSG_NEWRULE;
	s->sets += nft_type(nlh) == NFT_MSG_NEWSET;
	if (nft_type(nlh) != NFT_MSG_NEWSETELEM)
		return;
	list = nft_find(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	ck_assert(list != NULL);
	kwgi_attr_for_each_nested(element, list)
		see_element(s, nft_string_in(nlh, NFTA_SET_ELEM_LIST_SET), element);
}

static void check_counts(const struct seen *s, const struct kwgi_nft_shape *shape)
{
	ck_assert_uint_eq(s->tables, 1);
	ck_assert_uint_eq(s->sets, shape->sets);
	ck_assert_uint_eq(s->chains, shape->chains);
	ck_assert_uint_eq(s->rules, shape->rules);
	ck_assert_uint_eq(s->elements, shape->elements);
	ck_assert(s->sum == shape->sum);
	/* Attributes have 16 bits for their length, and a message fits into a page or two. */
	ck_assert_uint_lt(s->largest, 48 * 1024);
}

static uint64_t seed = 1;

/*
 * Many random networks in one of 65536 addresses: nested, side by side and alone.
 * The set has to have those addresses that are in any of them, once.
 */
static void check_set(const char *set, const char *before, const char *after, unsigned bits,
		      unsigned longest, int n)
{
	static uint8_t model[ADDRESSES];
	static struct seen seen;
	struct kwgi_buf mesh = { 0 };
	struct made m;
	int i;

	memset(model, 0, sizeof(model));
	memset(&seen, 0, sizeof(seen));
	seen.set = set;
	seen.prefix_len = bits / 8;
	memcpy(seen.prefix, addr(strchr(set, '6') ? "fd77::" : "172.20.0.0").b, bits / 8);
	seen.open = -1;
	for (i = 0; i < n; i++) {
		unsigned len = 16 - random_below(&seed, longest), at;

		at = random_below(&seed, ADDRESSES) & ~0u << (16 - len) & 0xffff;
		memset(model + at, 1, (size_t)1 << (16 - len));
		if (strchr(set, '6'))
			kwgi_buf_printf(&mesh, "service-cidr = %s%x%s/%u\n", before, at, after, bits + len);
		else
			kwgi_buf_printf(&mesh, "service-cidr = %s%u.%u%s/%u\n", before, at >> 8, at & 255,
					after, bits + len);
	}
	make(&m, mesh.p, "cni = yes");
	each(&m, see, &seen);
	check_counts(&seen, &m.table.shape);
	for (i = 0; i < ADDRESSES; i++)
		ck_assert_msg(seen.member[i] == model[i], "%s: address %d: %u instead of %u", set, i,
			      seen.member[i], model[i]);
	kwgi_buf_free(&mesh);
	done(&m);
}

START_TEST(sets_are_what_was_given)
{
	int i;

	for (i = 0; i < 20; i++) {
		check_set("no-masquerade-4", "172.20.", "", 16, 9, 1 + (int)random_below(&seed, 300));
		check_set("no-masquerade-6", "fd77:0:0:", "::", 48, 9, 1 + (int)random_below(&seed, 300));
	}
}
END_TEST

START_TEST(many_networks)
{
	check_set("no-masquerade-4", "172.20.", "", 16, 1, NETS);
	check_set("no-masquerade-6", "fd77:0:0:", "::", 48, 2, NETS);
}
END_TEST

/* An interval up to the last address of all has no end: there is nothing behind it. */
START_TEST(the_end_of_all_addresses)
{
	static const struct { const char *cidr, *set; uint32_t elements; bool end; } cases[] = {
		{ "0.0.0.0/0", "no-masquerade-4", 1, false },
		{ "255.255.255.255/32", "no-masquerade-4", 7, false },
		{ "128.0.0.0/1", "no-masquerade-4", 7, false },
		{ "255.255.255.0/25", "no-masquerade-4", 8, true },
		{ "::/0", "no-masquerade-6", 1, false },
		{ "ffff::/16", "no-masquerade-6", 3, false },
	};
	static struct seen seen;
	char line[64];
	struct made m;
	size_t i;

	for (i = 0; i < N_OF(cases); i++) {
		memset(&seen, 0, sizeof(seen));
		seen.set = cases[i].set;
		seen.open = -1;
		snprintf(line, sizeof(line), "service-cidr = %s", cases[i].cidr);
		make(&m, line, "cni = yes");
		each(&m, see, &seen);
		check_counts(&seen, &m.table.shape);
		ck_assert_msg(seen.in_set == cases[i].elements && seen.last_is_end == cases[i].end,
			      "%s: %u elements, end %d", cases[i].cidr, seen.in_set, seen.last_is_end);
		done(&m);
	}
}
END_TEST

/* ---- names ------------------------------------------------------------ */

static void check_table_name(const struct nlmsghdr *nlh, void *arg)
{
	const struct made *m = arg;

	/* The attribute of the table's name is the first in all of them. */
	ck_assert_str_eq(nft_string_in(nlh, 1), m->table.name);
}

START_TEST(long_names)
{
	static const char name[] = "n12345678901234567890123456789012345678901234567890123456789012";
	const struct nlattr *data;
	const struct nlmsghdr *first;
	char line[128], want[128];
	const unsigned char *p;
	struct made m;

	snprintf(line, sizeof(line), "name = %s", name);
	make(&m, line, "cni = yes\ninterface = abcdefghijklmno\nroute-protocol = 250");
	snprintf(want, sizeof(want), "kilowg-%s", name);
	ck_assert_str_eq(m.table.name, want);
	each(&m, check_table_name, &m);
	/* The mark is the comment of the table: type 0, length, text with its NUL. */
	first = m.table.messages;
	ck_assert_uint_eq(nft_type(first), NFT_MSG_NEWTABLE);
	data = nft_find(first, NFTA_TABLE_USERDATA);
	ck_assert(data != NULL);
	p = mnl_attr_get_payload(data);
	ck_assert_uint_eq(p[0], 0);
	ck_assert_uint_eq(p[1], strlen(m.table.mark) + 1);
	ck_assert_str_eq((const char *)p + 2, m.table.mark);
	snprintf(want, sizeof(want), "kilowg mesh=%s protocol=250 digest=", name);
	ck_assert_msg(!strncmp(m.table.mark, want, strlen(want)), "%s", m.table.mark);
	ck_assert_uint_eq(strlen(m.table.mark), strlen(want) + 32);
	done(&m);
}
END_TEST

/* The same plan gives the same bytes, another one another digest. */
START_TEST(digest)
{
	struct made a, b, c;

	make(&a, "", "cni = yes");
	make(&b, "", "cni = yes");
	make(&c, "service-cidr = 10.9.0.0/16", "cni = yes");
	ck_assert_uint_eq(a.table.size, b.table.size);
	ck_assert(!memcmp(a.table.messages, b.table.messages, a.table.size));
	ck_assert_str_ne(a.table.mark, c.table.mark);
	done(&a);
	done(&b);
	done(&c);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, rules);
	tcase_add_test(tc, nothing_but_the_segment_size);
	tcase_add_test(tc, sets_are_what_was_given);
	tcase_add_test(tc, many_networks);
	tcase_add_test(tc, the_end_of_all_addresses);
	tcase_add_test(tc, long_names);
	tcase_add_test(tc, digest);
}

int main(void)
{
	return unit_run("nft", add);
}
