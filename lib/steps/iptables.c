/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* From a plan to chains and rules, and from a difference to what iptables-restore reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/encap.h"
#include "steps/connmark.h"
#include "steps/iptables.h"

static const char *const table_names[] = {
	[KWGI_IPT_MANGLE] = "mangle", [KWGI_IPT_NAT] = "nat", [KWGI_IPT_FILTER] = "filter",
};

bool kwgi_ipt_takes(const char *ifname)
{
	return strspn(ifname, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	       strlen(ifname);
}

/* ---- building -------------------------------------------------------- */

static const struct {
	int table;
	const char *chain;
} bases[KWGI_IPT_BASES] = {
	{ KWGI_IPT_MANGLE, "FORWARD" }, { KWGI_IPT_MANGLE, "PREROUTING" },
	{ KWGI_IPT_MANGLE, "OUTPUT" }, { KWGI_IPT_MANGLE, "POSTROUTING" },
	{ KWGI_IPT_NAT, "POSTROUTING" },
	{ KWGI_IPT_FILTER, "FORWARD" }, { KWGI_IPT_FILTER, "INPUT" },
};

uint16_t kwgi_ipt_base(int table, const char *chain)
{
	int i;

	for (i = 0; i < KWGI_IPT_BASES; i++)
		if (bases[i].table == table && !strcmp(bases[i].chain, chain))
			return (uint16_t)(1 << i);
	return 0;
}

bool kwgi_ipt_has_made(const struct kwgi_ipt_jump *j)
{
	return strstr(j->rule, " made\" ") != NULL;
}

int kwgi_ipt_base_table(int n, const char **chain)
{
	*chain = bases[n].chain;
	return bases[n].table;
}

uint16_t kwgi_ipt_made_bases(const struct kwgi_ipt_rules *r)
{
	uint16_t made = 0;
	uint32_t i;
	int t;

	for (t = 0; r && t < KWGI_IPT_TABLES; t++)
		for (i = 0; i < r->tables[t].n_jumps; i++)
			if (kwgi_ipt_has_made(&r->tables[t].jumps[i]))
				made |= kwgi_ipt_base(t, r->tables[t].jumps[i].chain);
	return made;
}

const char *kwgi_ipt_table_name(int table)
{
	return table_names[table];
}

struct builder {
	struct kwgi_arena *arena;
	struct kwgi_ipt_rules *out;
	const struct kwgi_ipt_rules *here;
	const struct kwg_plan *plan;
	uint8_t family;
	uint32_t fwmark;		/* of the default route; 0: it is not taken */
	const char *tunnel;		/* of the location; "": none */
	char mark[KWGI_IPT_MARK_MAX];
	bool failed;
};

static const char *keep(struct builder *b, struct kwgi_buf *text)
{
	char *copy = NULL;

	if (!text->failed && text->p)
		copy = kwgi_arena_strndup(b->arena, text->p, text->len);
	kwgi_buf_free(text);
	b->failed |= !copy;
	return copy ? copy : "";
}

static struct kwgi_ipt_chain *add_chain(struct builder *b, int table, const char *purpose)
{
	struct kwgi_ipt_table *t = &b->out->tables[table];
	struct kwgi_buf name = { 0 };

	if (kwgi_arena_grow(b->arena, &t->chains, t->n_chains, &t->chains_cap, sizeof(*t->chains))) {
		b->failed = true;
		return NULL;
	}
	kwgi_buf_printf(&name, "kilowg-%s-%s", b->plan->cfg->local.interface, purpose);
	t->chains[t->n_chains] = (struct kwgi_ipt_chain){ .name = keep(b, &name) };
	return &t->chains[t->n_chains++];
}

static void add_rule(struct builder *b, struct kwgi_ipt_chain *c, struct kwgi_buf *text)
{
	const char *rule = keep(b, text);

	if (!c || kwgi_arena_grow(b->arena, &c->rules, c->n, &c->cap, sizeof(*c->rules)))
		b->failed = true;
	else
		c->rules[c->n++] = rule;
}

/* Is it made by the jump, or has it been made by one that leads to this chain? */
static bool makes(const struct builder *b, int table, const char *chain, const char *to)
{
	const struct kwgi_ipt_table *t = &b->here->tables[table];
	size_t len, to_len = strlen(to);
	uint32_t i;

	if (!(b->here->bases & kwgi_ipt_base(table, chain)))
		return true;
	for (i = 0; i < t->n_jumps; i++) {
		len = strlen(t->jumps[i].rule);
		if (!strcmp(t->jumps[i].chain, chain) && kwgi_ipt_has_made(&t->jumps[i]) &&
		    len > to_len && !strcmp(t->jumps[i].rule + len - to_len, to))
			return true;
	}
	return false;
}

/* match: what stands before the comment, or "". */
static void add_jump(struct builder *b, int table, const char *chain, const char *match,
		     const struct kwgi_ipt_chain *to)
{
	struct kwgi_ipt_table *t = &b->out->tables[table];
	struct kwgi_buf text = { 0 };

	if (!to || kwgi_arena_grow(b->arena, &t->jumps, t->n_jumps, &t->jumps_cap, sizeof(*t->jumps))) {
		b->failed = true;
		return;
	}
	kwgi_buf_printf(&text, "%s-m comment --comment \"%s%s\" -j %s", match, b->mark,
			makes(b, table, chain, to->name) ? " made" : "", to->name);
	t->jumps[t->n_jumps++] = (struct kwgi_ipt_jump){ .chain = chain, .rule = keep(b, &text),
							 .at = 1 };
}

/* One rule for each network that a rule of this kind has, without those inside another. */
static void add_networks(struct builder *b, struct kwgi_ipt_chain *c, const char *option,
			 const char *target, unsigned kinds)
{
	const struct kwgi_fw_rules *lists[] = { &b->plan->nat.append, &b->plan->nat.prepend,
						&b->plan->tunl_fw.prepend };
	struct kwgi_prefix *v = NULL;
	uint32_t n = 0, cap = 0, i;
	size_t l;

	for (l = 0; l < sizeof(lists) / sizeof(*lists); l++)
		for (i = 0; i < lists[l]->n; i++) {
			const struct kwgi_fw_rule *r = &lists[l]->v[i];

			if (!(kinds >> r->kind & 1) || r->net.addr.family != b->family ||
			    kwgi_fw_is_of_default(r))
				continue;
			if (kwgi_arena_grow(b->arena, &v, n, &cap, sizeof(*v))) {
				b->failed = true;
				return;
			}
			v[n++] = kwgi_prefix_masked(&r->net);
		}
	n = kwgi_prefix_outermost(v, n);
	for (i = 0; i < n; i++) {
		struct kwgi_buf text = { 0 };

		if (v[i].len) {		/* iptables-save leaves 0.0.0.0/0 away */
			kwgi_buf_printf(&text, "%s ", option);
			kwgi_buf_prefix(&text, &v[i]);
			kwgi_buf_putc(&text, ' ');
		}
		kwgi_buf_printf(&text, "-j %s", target);
		add_rule(b, c, &text);
	}
}

static void add_text(struct builder *b, struct kwgi_ipt_chain *c, const char *rule)
{
	struct kwgi_buf text = { 0 };

	kwgi_buf_puts(&text, rule);
	add_rule(b, c, &text);
}

static bool has(const struct builder *b, unsigned kinds)
{
	const struct kwgi_fw_rules *l = &b->plan->nat.prepend;
	uint32_t i;

	for (i = 0; i < l->n; i++)
		if (kinds >> l->v[i].kind & 1 && l->v[i].net.addr.family == b->family)
			return true;
	return false;
}

#define KIND(name) (1u << KWGI_FW_##name)

enum {
	FROM = KIND(NAT_JUMP_POD) | KIND(NAT_JUMP_SRC),
	TO = KIND(NAT_JUMP_DST),
	PLAIN = KIND(NAT_SERVICE) | KIND(NAT_WIREGUARD) | KIND(NAT_KNOWN) | KIND(NAT_PEER),
	FORWARD = KIND(FORWARD_SRC) | KIND(FORWARD_DST),
};

/* Kilo's chain is the second here; its rules in POSTROUTING are the first. */
static void build_nat(struct builder *b)
{
	struct kwgi_ipt_chain *out, *nat;
	struct kwgi_buf target = { 0 }, tunnel = { 0 };
	const char *to;

	if (!has(b, FROM | TO))
		return;
	nat = add_chain(b, KWGI_IPT_NAT, "nat");
	add_networks(b, nat, "-d", "RETURN", PLAIN);
	add_text(b, nat, "-j MASQUERADE");
	kwgi_buf_puts(&target, nat ? nat->name : "");
	to = keep(b, &target);
	out = add_chain(b, KWGI_IPT_NAT, "out");
	if (b->fwmark) {
		kwgi_buf_printf(&tunnel, "-o %s -j RETURN", b->plan->cfg->local.interface);
		add_rule(b, out, &tunnel);
	}
	add_networks(b, out, "-s", to, FROM);
	add_networks(b, out, "-d", to, TO);
	add_jump(b, KWGI_IPT_NAT, "POSTROUTING", "", out);
}

static void build_forward(struct builder *b)
{
	struct kwgi_ipt_chain *fwd;

	if (!has(b, FORWARD))
		return;
	fwd = add_chain(b, KWGI_IPT_FILTER, "fwd");
	add_networks(b, fwd, "-s", "ACCEPT", KIND(FORWARD_SRC));
	add_networks(b, fwd, "-d", "ACCEPT", KIND(FORWARD_DST));
	add_jump(b, KWGI_IPT_FILTER, "FORWARD", "", fwd);
}

/*
 * Protocol 4, or VXLAN of this mesh by its port and network identifier (RFC 7348,
 * section 5), so that others' VXLAN on the port is let alone. The number stands
 * behind 8 bytes of UDP and 4 of VXLAN, those behind 40 bytes of IPv6 or what the
 * header of IPv4 says.
 */
static void put_encapsulated(struct builder *b, char out[96])
{
	const struct kwgi_mesh *mesh = &b->plan->cfg->mesh;

	if (kwgi_plan_has_vxlan(b->plan))
		snprintf(out, 96, "-p udp -m udp --dport %u -m u32 --u32 \"%s>>0x8=0x%x\" ",
			 (unsigned)mesh->vxlan_port,
			 b->family == KWGI_AF_V6 ? "0x34" : "0x0>>0x16&0x3c@0xc",
			 kwgi_encap_vxlan_id(mesh));
	else
		snprintf(out, 96, "-p ipencap ");
}

static void build_tunnel(struct builder *b)
{
	struct kwgi_ipt_chain *tun;
	char match[96];

	if (!b->plan->tunl_fw.append.n)
		return;
	put_encapsulated(b, match);
	tun = add_chain(b, KWGI_IPT_FILTER, "tun");
	add_networks(b, tun, "-s", "ACCEPT", KIND(TUNL_ACCEPT));
	add_text(b, tun, "-j DROP");
	add_jump(b, KWGI_IPT_FILTER, "INPUT", match, tun);
}

static void build_mss(struct builder *b)
{
	static const char *const directions[] = { "-i", "-o" };
	struct kwgi_ipt_chain *mss = add_chain(b, KWGI_IPT_MANGLE, "mss");
	size_t i;

	for (i = 0; i < 2; i++) {
		struct kwgi_buf text = { 0 };

		kwgi_buf_printf(&text, "%s %s -p tcp -m tcp --tcp-flags SYN,RST SYN "
				"-j TCPMSS --clamp-mss-to-pmtu",
				directions[i], b->plan->cfg->local.interface);
		add_rule(b, mss, &text);
	}
	add_jump(b, KWGI_IPT_MANGLE, "FORWARD", "", mss);
}

/*
 * Who came another way than through the tunnel is answered that way: connections to this host have
 * the mark; those that are older than the marks or the tracking of connections, such as the one over
 * which this is switched on; and what WireGuard sends, so that return path checks see it in what comes back.
 */
static void build_mark(struct builder *b)
{
	static const char restore[] = "-m connmark --mark 0x%x -j MARK --set-xmark 0x%x/0xffffffff";
	static const char keep_it[] = "-m mark --mark 0x%x -j CONNMARK --set-xmark 0x%x/0xffffffff";
	static const char in_mark[] = "%s-i %s -m conntrack --ctdir ORIGINAL -m addrtype --dst-type LOCAL -m connmark --mark 0x0 -j CONNMARK --set-xmark 0x%x/0xffffffff";
	static const char reply[] = "-m conntrack --ctdir REPLY -m connmark --mark 0x0 -j CONNMARK --set-xmark 0x%x/0xffffffff";
	static const char older[] = "-p tcp -m conntrack --ctstate NEW -m tcp ! --tcp-flags SYN SYN -m connmark --mark 0x0 -j CONNMARK --set-xmark 0x%x/0xffffffff";
	/* Out of the tunnel: the mark is that of the packet that it came in, which was for this host. */
	static const char fresh[] = "-i %s -m mark --mark 0x%x -j MARK --set-xmark 0x0/0xffffffff";
	struct kwgi_ipt_chain *in, *out, *post;
	struct kwgi_buf text = { 0 };

	if (!b->fwmark)
		return;
	in = add_chain(b, KWGI_IPT_MANGLE, "min");
	if (*b->tunnel) {
		kwgi_buf_printf(&text, fresh, b->tunnel, b->fwmark);
		add_rule(b, in, &text);
	}
	kwgi_buf_printf(&text, in_mark, "! ", b->plan->cfg->local.interface, b->fwmark);
	add_rule(b, in, &text);
	kwgi_buf_printf(&text, in_mark, "", b->plan->cfg->local.interface,
			kwgi_default_tunnel_mark(b->fwmark));
	add_rule(b, in, &text);
	kwgi_buf_printf(&text, restore, b->fwmark, b->fwmark);
	add_rule(b, in, &text);
	add_jump(b, KWGI_IPT_MANGLE, "PREROUTING", "", in);
	out = add_chain(b, KWGI_IPT_MANGLE, "mout");
	kwgi_buf_printf(&text, older, b->fwmark);
	add_rule(b, out, &text);
	kwgi_buf_printf(&text, reply, b->fwmark);
	add_rule(b, out, &text);
	kwgi_buf_printf(&text, restore, b->fwmark, b->fwmark);
	add_rule(b, out, &text);
	add_jump(b, KWGI_IPT_MANGLE, "OUTPUT", "", out);
	post = add_chain(b, KWGI_IPT_MANGLE, "mpost");
	kwgi_buf_printf(&text, keep_it, b->fwmark, b->fwmark);
	add_rule(b, post, &text);
	add_jump(b, KWGI_IPT_MANGLE, "POSTROUTING", "", post);
}

int kwgi_ipt_build(struct kwgi_ipt_rules *out, struct kwgi_arena *a, const struct kwg_plan *plan,
		   const struct kwgi_ipt_rules *here, uint32_t mark, const char *tunnel)
{
	struct builder b = { .arena = a, .out = out, .plan = plan, .here = here,
			     .family = here->family, .fwmark = mark, .tunnel = tunnel };

	*out = (struct kwgi_ipt_rules){ .family = here->family };
	snprintf(b.mark, sizeof(b.mark), "kilowg mesh=%s protocol=%u", plan->cfg->mesh.name,
		 (unsigned)plan->cfg->local.route_protocol);
	build_mss(&b);
	build_mark(&b);
	build_nat(&b);
	build_forward(&b);
	build_tunnel(&b);
	return b.failed ? -1 : 0;
}

/* ---- what iptables-restore reads ------------------------------------- */

static const struct kwgi_ipt_chain *find_chain(const struct kwgi_ipt_table *t, const char *name)
{
	uint32_t i;

	for (i = 0; i < t->n_chains; i++)
		if (!strcmp(t->chains[i].name, name))
			return &t->chains[i];
	return NULL;
}

/* ":CHAIN" makes a chain, or empties the one that is there. */
static void put_chains(struct kwgi_buf *b, const struct kwgi_ipt_table *to,
		       const struct kwgi_ipt_table *from)
{
	uint32_t i;

	for (i = 0; i < to->n_chains; i++)
		kwgi_buf_printf(b, ":%s - [0:0]\n", to->chains[i].name);
	for (i = 0; i < from->n_chains; i++)
		if (!find_chain(to, from->chains[i].name))
			kwgi_buf_printf(b, ":%s - [0:0]\n", from->chains[i].name);
}

static void put_table(struct kwgi_buf *b, const char *name, const struct kwgi_ipt_table *to,
		      const struct kwgi_ipt_table *from)
{
	uint32_t i, j;

	kwgi_buf_printf(b, "*%s\n", name);
	put_chains(b, to, from);
	for (i = 0; i < from->n_jumps; i++)
		kwgi_buf_printf(b, "-D %s %s\n", from->jumps[i].chain, from->jumps[i].rule);
	for (i = 0; i < to->n_jumps; i++)
		kwgi_buf_printf(b, "-I %s %u %s\n", to->jumps[i].chain, to->jumps[i].at,
				to->jumps[i].rule);
	for (i = 0; i < to->n_chains; i++)
		for (j = 0; j < to->chains[i].n; j++)
			kwgi_buf_printf(b, "-A %s %s\n", to->chains[i].name, to->chains[i].rules[j]);
	for (i = 0; i < from->n_chains; i++)
		if (!find_chain(to, from->chains[i].name))
			kwgi_buf_printf(b, "-X %s\n", from->chains[i].name);
	kwgi_buf_puts(b, "COMMIT\n");
}

/* Jumps of one chain at equal rules, wherever they stand as long as packets get there. */
static bool equal_jumps(const struct kwgi_ipt_table *want, const struct kwgi_ipt_table *have)
{
	uint32_t i, j;

	if (want->n_jumps != have->n_jumps)
		return false;
	for (i = 0; i < want->n_jumps; i++) {
		for (j = 0; j < have->n_jumps; j++)
			if (!strcmp(want->jumps[i].chain, have->jumps[j].chain) &&
			    !have->jumps[j].too_late &&
			    kwgi_ipt_equal_rules(want->jumps[i].rule, have->jumps[j].rule))
				break;
		if (j == have->n_jumps)
			return false;
	}
	return true;
}

static bool equal_tables(const struct kwgi_ipt_table *want, const struct kwgi_ipt_table *have)
{
	uint32_t i, j;

	if (want->n_chains != have->n_chains || !equal_jumps(want, have))
		return false;
	for (i = 0; i < want->n_chains; i++) {
		const struct kwgi_ipt_chain *a = &want->chains[i], *b = find_chain(have, a->name);

		if (!b || a->n != b->n)
			return false;
		for (j = 0; j < a->n; j++)
			if (!kwgi_ipt_equal_rules(a->rules[j], b->rules[j]))
				return false;
	}
	return true;
}

bool kwgi_ipt_equal(const struct kwgi_ipt_rules *want, const struct kwgi_ipt_rules *have)
{
	int t;

	for (t = 0; t < KWGI_IPT_TABLES; t++)
		if (!equal_tables(&want->tables[t], &have->tables[t]))
			return false;
	return true;
}

void kwgi_ipt_format(struct kwgi_buf *b, const struct kwgi_ipt_rules *to,
		     const struct kwgi_ipt_rules *from)
{
	static const struct kwgi_ipt_table nothing;
	int t;

	for (t = 0; t < KWGI_IPT_TABLES; t++) {
		const struct kwgi_ipt_table *want = to ? &to->tables[t] : &nothing;
		const struct kwgi_ipt_table *have = from ? &from->tables[t] : &nothing;

		if (!equal_tables(want, have))
			put_table(b, table_names[t], want, have);
	}
}

/* ---- for people ------------------------------------------------------ */

const char *kwgi_ipt_program(const struct kwgi_ipt_rules *r)
{
	static const char *const names[2][KWGI_IPT_VARIANTS] = {
		{ "iptables", "iptables-nft", "iptables-legacy" },
		{ "ip6tables", "ip6tables-nft", "ip6tables-legacy" },
	};

	return names[r->family == KWGI_AF_V6][r->variant];
}

void kwgi_ipt_describe(struct kwgi_buf *b, const struct kwgi_ipt_rules *r)
{
	uint32_t i, n_rules = 0, n = 0;
	int t;

	kwgi_buf_puts(b, "chains");
	for (t = 0; t < KWGI_IPT_TABLES; t++) {
		n_rules += r->tables[t].n_jumps;
		for (i = 0; i < r->tables[t].n_chains; i++) {
			kwgi_buf_printf(b, "%s %s", n++ ? "," : "", r->tables[t].chains[i].name);
			n_rules += r->tables[t].chains[i].n;
		}
	}
	kwgi_buf_printf(b, "%s with %u rules", n ? "" : " (none)", n_rules);
}

bool kwgi_ipt_is_empty(const struct kwgi_ipt_rules *r)
{
	int t;

	for (t = 0; t < KWGI_IPT_TABLES; t++)
		if (r->tables[t].n_chains || r->tables[t].n_jumps)
			return false;
	return true;
}
