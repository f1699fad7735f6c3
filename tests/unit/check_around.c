/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What a host has around the mesh: forwarding, router advertisements, ways, the leader, the way to
 * everywhere, firewalls of others; and the policy rules of a large location.
 */
#include "steps/around.h"
#include "steps/beside.h"
#include "steps/default.h"
#include "steps/desired_rules.h"
#include "steps/input.h"
#include "steps/leader.h"
#include "steps/ways.h"
#include "world.h"

#define ALL(f) (int)(f).n, (f).n ? (f).v[0].text : "nothing"

/* A leader of two nodes with pods, and another location; both families. */
struct around_world {
	struct world o;
	struct kwg_config cfg;
	struct kwg_plan plan;
	struct kwgi_topology topo;
	struct kwgi_segment segments[2];
	struct kwgi_node node, leader;
	struct kwgi_cidr pods[1];
	struct kwgi_findings f;
};

static void make(struct around_world *a)
{
	struct world *o = &a->o;

	memset(a, 0, sizeof(*a));
	world_init(o);
	o->w.ifname = "wg0";
	o->w.protocol = PROTOCOL;
	a->cfg.diags.arena = &a->cfg.arena;
	a->cfg.local = (struct kwgi_local){ .interface = "wg0", .route_table = TABLE,
		.rule_priority = KWGI_RULE_PRIORITY_MAX, .default_table = 1108,
		.cni_path = "/etc/cni/net.d/10-kilo.conflist" };
	a->pods[0].prefix = prefix("10.42.0.0/24");
	a->node = (struct kwgi_node){ .name = "a", .internal_ip = prefix("192.168.1.1/24"),
				      .pod_cidrs = { a->pods, 1, 1 } };
	a->leader = (struct kwgi_node){ .name = "l", .internal_ip = prefix("192.168.1.9/24") };
	a->segments[0] = (struct kwgi_segment){ .id = "location:x", .n = 2, .leader = &a->node,
						.wg_ip = addr("10.4.0.1") };
	a->segments[1] = (struct kwgi_segment){ .id = "location:y", .n = 1, .wg_ip = addr("10.4.0.2") };
	a->topo = (struct kwgi_topology){ .segments = a->segments, .n_segments = 2 };
	a->plan = (struct kwg_plan){ .cfg = &a->cfg, .topo = &a->topo, .node = &a->node,
				     .segment = &a->segments[0], .leader = true, .port = 51820 };
	add_link(o, WG, "wg0", "wireguard", "");
	add_link(o, ETH, "eth0", "", "");
	add_link(o, 7, "pod0", "veth", "");
	add_addr(o, ETH, "192.168.1.1/24");
	add_addr(o, 7, "10.42.0.1/24");
	want_route(o, "10.42.2.0/24", "10.4.0.2", "", "wg0", MAIN);
	want_route(o, "192.168.1.9/32", "192.168.1.9", "", "eth0", TABLE);
}

static void unmake(struct around_world *a)
{
	kwgi_findings_free(&a->f);
	kwgi_arena_free(&a->plan.arena);
	kwgi_arena_free(&a->cfg.arena);
	kwgi_arena_free(&a->o.w.arena);
}

/* ---- forwarding ------------------------------------------------------ */

static void give_v6(struct around_world *a)
{
	want_route(&a->o, "fd02::/64", "", "", "wg0", MAIN);
}

static const struct {
	bool v6, off4, off6, link_off;
	int accept_ra;			/* of eth0, over which the default route comes */
	int n;
	const char *code, *text, *remedy;
	bool error;
} forwarding[] = {
	{ .accept_ra = 2, .n = 0 },
	{ .off4 = true, .accept_ra = 2, .n = 1, .code = "forwarding-off", .error = true,
	  .text = "this host does not forward IPv4 packets", .remedy = "sysctl -w net.ipv4.ip_forward=1" },
	{ .link_off = true, .accept_ra = 2, .n = 1, .code = "forwarding-off", .error = true,
	  .text = "IPv4 packets that arrive on eth0 are not forwarded",
	  .remedy = "sysctl -w net.ipv4.conf.eth0.forwarding=1" },
	/* Without IPv6 in the mesh nobody asks for it. */
	{ .off6 = true, .accept_ra = 1, .n = 0 },
	{ .v6 = true, .off6 = true, .accept_ra = 2, .n = 1, .code = "forwarding-off", .error = true,
	  .text = "this host does not forward IPv6 packets", .remedy = "sysctl -w net.ipv6.conf.all.forwarding=1" },
	{ .v6 = true, .accept_ra = 1, .n = 1, .code = "accept-ra", .error = false,
	  .text = "the IPv6 default route over eth0 comes from router advertisements",
	  .remedy = "sysctl -w net.ipv6.conf.eth0.accept_ra=2" },
	{ .v6 = true, .accept_ra = 2, .n = 0 },
	/* Not accepted, or not known: nothing is lost by forwarding. */
	{ .v6 = true, .accept_ra = 0, .n = 0 },
	{ .v6 = true, .accept_ra = -1, .n = 0 },
};

START_TEST(forwards)
{
	struct kwgi_around around = { .n_links = 0 };
	struct around_world a;
	uint32_t i;

	make(&a);
	if (forwarding[_i].v6)
		give_v6(&a);
	kwgi_around_list(&around, &a.plan, &a.o.w, &a.o.h);
	ck_assert_uint_eq(around.n_links, 3);
	around.off4 = forwarding[_i].off4;
	around.off6 = forwarding[_i].off6;
	for (i = 0; i < around.n_links; i++)
		if (!strcmp(around.links[i].name, "eth0")) {
			around.links[i].ra = true;
			around.links[i].accept_ra = forwarding[_i].accept_ra;
			around.links[i].off = forwarding[_i].link_off;
		}
	kwgi_around_judge(&around, &a.plan, &a.o.w, &a.f);
	ck_assert_msg((int)a.f.n == forwarding[_i].n, "%d: %s", ALL(a.f));
	if (a.f.n) {
		ck_assert_str_eq(a.f.v[0].code, forwarding[_i].code);
		ck_assert_int_eq(a.f.v[0].error, forwarding[_i].error);
		ck_assert_msg(!strncmp(a.f.v[0].text, forwarding[_i].text, strlen(forwarding[_i].text)),
			      "%s", a.f.v[0].text);
		ck_assert_msg(!strncmp(a.f.v[0].remedy, forwarding[_i].remedy,
				       strlen(forwarding[_i].remedy)), "%s", a.f.v[0].remedy);
	}
	unmake(&a);
}
END_TEST

/* A follower without pods has nothing to forward. */
START_TEST(forwards_nothing)
{
	struct kwgi_around around = { .off4 = true };
	struct around_world a;

	make(&a);
	a.plan.leader = false;
	a.o.h.n_addrs = 1;
	kwgi_around_list(&around, &a.plan, &a.o.w, &a.o.h);
	ck_assert_uint_eq(around.n_links, 0);
	kwgi_around_judge(&around, &a.plan, &a.o.w, &a.f);
	ck_assert_msg(!a.f.n, "%d: %s", ALL(a.f));
	unmake(&a);
}
END_TEST

/* ---- ways ------------------------------------------------------------ */

static struct kwgi_host_rule to_all(const char *src, const char *iif)
{
	struct kwgi_host_rule r = rule(src, "", iif);

	r.family = KWGI_AF_V4;
	return r;
}

/* All of it is there, and answers come as if the kernel did as it is wanted to. */
static void make_ways(struct around_world *a, struct kwgi_ways *s)
{
	struct world *o = &a->o;
	uint32_t i;

	o->rules[o->w.n_rules++] = to_all("10.42.0.0/24", "");
	o->rules[o->w.n_rules++] = to_all("", "wg0");
	for (i = 0; i < o->w.n_routes; i++)
		o->host_routes[o->h.n_routes++] = o->routes[i].route;
	for (i = 0; i < o->w.n_rules; i++)
		o->host_rules[o->h.n_rules++] = o->rules[i];
	memset(s, 0, sizeof(*s));
	ck_assert_int_eq(kwgi_ways_list(s, &o->w, &o->h), 0);
	for (i = 0; i < s->n; i++)
		s->v[i].way.route = s->v[i].want->route;
}

static const struct kwgi_wanted_way *way_by(const struct kwgi_ways *s, const struct kwgi_host_rule *rule)
{
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i].rule == rule)
			return &s->v[i];
	return NULL;
}

START_TEST(ways_are_asked)
{
	const struct kwgi_wanted_way *v;
	struct around_world a;
	struct kwgi_ways s;
	struct kwgi_addr pod = addr("10.42.0.2"), member = addr("192.168.1.9");

	make(&a);
	make_ways(&a, &s);
	ck_assert_uint_eq(s.n, 3);
	v = way_by(&s, &a.o.rules[0]);
	ck_assert_ptr_nonnull(v);
	ck_assert(kwgi_addr_equal(&v->way.from, &pod) && kwgi_addr_equal(&v->way.to, &member));
	ck_assert_uint_eq(v->way.iif, 7);
	v = way_by(&s, &a.o.rules[1]);
	ck_assert_ptr_nonnull(v);
	ck_assert_uint_eq(v->way.iif, WG);
	kwgi_ways_judge(&s, &a.o.w, &a.o.h, &a.f);
	ck_assert_msg(!a.f.n, "%d: %s", ALL(a.f));
	kwgi_ways_free(&s);
	unmake(&a);
}
END_TEST

/* A rule of others with this number stands before ours: what is advised? */
static const struct {
	uint32_t priority;
	const char *remedy;
} before[] = {
	{ 105, "set rule-priority below 105 in [local], or take it away: ip rule del priority 105" },
	{ 1, "set rule-priority below 1 in [local], or take it away: ip rule del priority 1" },
	{ 0, "give that rule a number above 0, and set rule-priority to a smaller one in [local], or take it away: ip rule del priority 0" },
};

START_TEST(rule_before_ours)
{
	struct kwgi_host_rule others[] = {
		{ .family = KWGI_AF_V4, .table = MAIN, .suppress = 1, .priority = before[_i].priority },
		{ .family = KWGI_AF_V4, .table = MAIN, .priority = 32766 },
	};
	struct around_world a;
	struct kwgi_ways s;
	uint32_t i;

	make(&a);
	make_ways(&a, &s);
	a.o.h.other_rules = others;
	a.o.h.n_other_rules = 2;
	for (i = 0; i < s.n; i++)
		if (s.v[i].rule) {
			s.v[i].way.route = route("192.168.1.0/24", "", "", 7, MAIN);
			s.v[i].way.match = s.v[i].way.route;
		}
	kwgi_ways_judge(&s, &a.o.w, &a.o.h, &a.f);
	ck_assert_msg(a.f.n == 1, "%d: %s", ALL(a.f));
	ck_assert_str_eq(a.f.v[0].code, "way-rule");
	ck_assert_str_eq(a.f.v[0].remedy, before[_i].remedy);
	kwgi_ways_free(&s);
	unmake(&a);
}
END_TEST

/* A route of ours that is more specific, with steps due or not: they may take it away. */
START_TEST(own_route_that_passes)
{
	struct around_world a;
	struct kwgi_ways s;
	uint32_t i;

	make(&a);
	make_ways(&a, &s);
	a.o.h.protocol = 107;
	for (i = 0; i < s.n; i++)
		if (!s.v[i].rule) {
			s.v[i].way.route = route("10.42.1.0/25", "", "", ETH, MAIN);
			s.v[i].way.match = s.v[i].way.route;
			s.v[i].way.match.protocol = 107;
		}
	s.steps_due = true;
	kwgi_ways_judge(&s, &a.o.w, &a.o.h, &a.f);
	ck_assert_msg(!a.f.n, "%d: %s", ALL(a.f));
	s.steps_due = false;
	kwgi_ways_judge(&s, &a.o.w, &a.o.h, &a.f);
	ck_assert_uint_eq(a.f.n, 1);
	ck_assert_str_eq(a.f.v[0].code, "way-route");
	kwgi_ways_free(&s);
	unmake(&a);
}
END_TEST

/* Routes of others in our table: all that pods send looks there. */
START_TEST(strangers)
{
	struct kwgi_host_route in_table = route("192.0.2.0/24", "", "", ETH, TABLE), elsewhere, more;
	struct around_world a;
	struct kwgi_ways s;
	uint32_t i;

	make(&a);
	make_ways(&a, &s);
	elsewhere = in_table;
	elsewhere.table = 77;
	kwgi_ways_add_stranger(&s, &a.o.w, &elsewhere);
	ck_assert_uint_eq(s.n_strangers, 0);
	kwgi_ways_add_stranger(&s, &a.o.w, &in_table);
	more = route("192.168.1.9/32", "", "", ETH, TABLE);
	more.metric = 9;
	kwgi_ways_add_stranger(&s, &a.o.w, &more);
	kwgi_ways_judge(&s, &a.o.w, &a.o.h, &a.f);
	ck_assert_msg(a.f.n == 2, "%d: %s", ALL(a.f));
	ck_assert_str_eq(a.f.v[0].code, "table-shared");
	ck_assert(!a.f.v[0].error);
	ck_assert_msg(a.f.v[1].error, "%s", a.f.v[1].text);
	for (i = 0; i < 2 * KWGI_STRANGERS; i++)
		kwgi_ways_add_stranger(&s, &a.o.w, &in_table);
	ck_assert_uint_eq(s.n_strangers, KWGI_STRANGERS);
	kwgi_ways_free(&s);
	unmake(&a);
}
END_TEST

START_TEST(more_specific_route)
{
	struct around_world a;
	struct kwgi_ways s;

	make(&a);
	make_ways(&a, &s);
	ck_assert_ptr_null(s.v[0].rule);
	s.v[0].way.route = s.v[0].way.match = route("10.42.2.0/25", "", "", ETH, MAIN);
	kwgi_ways_judge(&s, &a.o.w, &a.o.h, &a.f);
	ck_assert_msg(a.f.n == 1, "%d: %s", ALL(a.f));
	ck_assert_str_eq(a.f.v[0].text, "packets for 10.42.2.0/25 leave by eth0, not wg0: the route 10.42.2.0/25 dev eth0 table main is more specific");
	ck_assert_str_eq(a.f.v[0].remedy, "take it away: ip route del 10.42.2.0/25 dev eth0 table main");
	kwgi_ways_free(&s);
	unmake(&a);
}
END_TEST

/* ---- the leader ------------------------------------------------------ */

static void follow(struct around_world *a)
{
	a->plan.leader = false;
	a->segments[0].leader = &a->leader;
	want_route(&a->o, "10.4.0.2/32", "192.168.1.9", "", "eth0", MAIN);
}

static const struct {
	int error;
	bool echoed, router;
	uint8_t neigh;
	const char *word, *code;	/* NULL: nothing is told */
} leaders[] = {
	{ .echoed = true, .word = "answers" },
	{ .neigh = KWGI_NEIGH_ANSWERS, .word = "answers as a neighbour only", .code = "leader-unsure" },
	{ .neigh = KWGI_NEIGH_ANSWERS, .router = true, .word = "not known to answer", .code = "leader-unsure" },
	{ .neigh = KWGI_NEIGH_UNKNOWN, .word = "not known to answer", .code = "leader-unsure" },
	{ .neigh = KWGI_NEIGH_SILENT, .word = "does not answer", .code = "leader-silent" },
	{ .neigh = KWGI_NEIGH_SILENT, .echoed = true, .word = "answers" },
	{ .error = 113, .word = "does not answer", .code = "leader-silent" },
};

START_TEST(leader_answers)
{
	struct kwgi_leader l = { .node = NULL };
	struct around_world a;

	make(&a);
	follow(&a);
	kwgi_leader_find(&l, &a.plan, &a.o.w);
	ck_assert_ptr_eq(l.node, &a.leader);
	ck_assert_ptr_eq(l.other, &a.segments[1]);
	l.way.error = leaders[_i].error;
	l.way.route = route("192.168.1.0/24", leaders[_i].router ? "192.168.1.254" : "", "", ETH, MAIN);
	l.echoed = leaders[_i].echoed;
	l.neigh = leaders[_i].neigh;
	ck_assert_str_eq(kwgi_leader_word(&l), leaders[_i].word);
	ck_assert(!kwgi_leader_leads_out(&l));
	l.out.route = l.wanted->route;
	ck_assert(kwgi_leader_leads_out(&l));
	kwgi_leader_judge(&l, &a.plan, &a.f);
	ck_assert_msg(a.f.n == (leaders[_i].code ? 1 : 0), "%d: %s", ALL(a.f));
	if (a.f.n)
		ck_assert_str_eq(a.f.v[0].code, leaders[_i].code);
	unmake(&a);
}
END_TEST

START_TEST(leader_itself)
{
	struct kwgi_leader l = { .node = NULL };
	struct around_world a;

	make(&a);
	kwgi_leader_find(&l, &a.plan, &a.o.w);
	ck_assert_ptr_null(l.node);
	unmake(&a);
}
END_TEST

/* ---- rules ------------------------------------------------------------ */

static void make_rules(struct kwgi_desired *w, const struct kwg_plan *plan)
{
	struct kwgi_desired_rules r = {
		.protocol = w->protocol, .ifname = w->ifname, .tunnel = *w->tunnel.name,
		.default_way = &w->default_way,
	};

	ck_assert_int_eq(kwgi_desired_rules(&r, &w->arena, plan), 0);
	w->rules = r.rules;
	w->n_rules = r.n_rules;
}

START_TEST(few_rules)
{
	static const uint32_t sizes[] = { 1, 4, 400, 5000 };
	struct kwgi_addr member = addr("192.168.1.2");
	struct kwgi_rule *rules = calloc(2 * 5000, sizeof(*rules));
	struct around_world a;
	uint32_t i;

	ck_assert_ptr_nonnull(rules);
	make(&a);
	for (i = 0; i < sizes[_i]; i++) {
		rules[2 * i] = (struct kwgi_rule){ .src = prefix("10.42.0.0/24"),
						   .dst = kwgi_prefix_host(&member) };
		rules[2 * i + 1] = (struct kwgi_rule){ .dst = kwgi_prefix_host(&member), .iif_kilo = true };
		ck_assert(kwgi_addr_add(&member, &member, 1));
	}
	a.plan.rules = rules;
	a.plan.n_rules = 2 * sizes[_i];
	memcpy(a.o.w.tunnel.name, "tunl1", sizeof("tunl1"));
	make_rules(&a.o.w, &a.plan);
	ck_assert_uint_eq(a.o.w.n_rules, 2);
	ck_assert(!a.o.w.rules[0].dst.len && a.o.w.rules[0].src.len == 24 && !*a.o.w.rules[0].iif);
	ck_assert(!a.o.w.rules[1].dst.len && !a.o.w.rules[1].src.len);
	ck_assert_str_eq(a.o.w.rules[1].iif, "wg0");
	ck_assert_uint_eq(a.o.w.rules[0].priority, 32765);
	unmake(&a);
	free(rules);
}
END_TEST

/* ---- the way to everywhere -------------------------------------------- */

enum { OURS = 32765 };

static const struct {
	bool yes, strict, valid_mark, read_only, rival_has_route;
	struct kwgi_host_rule rival;
	uint8_t state;
	bool wants_valid_mark;
	uint32_t n_rules;
} defaults[] = {
	{ .state = KWGI_DEFAULT_OFF },
	{ .yes = true, .state = KWGI_DEFAULT_TAKEN, .n_rules = 2 },
	{ .yes = true, .strict = true, .state = KWGI_DEFAULT_TAKEN, .wants_valid_mark = true, .n_rules = 2 },
	{ .yes = true, .strict = true, .read_only = true, .state = KWGI_DEFAULT_CHECKED },
	{ .yes = true, .strict = true, .read_only = true, .valid_mark = true,
	  .state = KWGI_DEFAULT_TAKEN, .wants_valid_mark = true, .n_rules = 2 },
	/* as wg-quick, as Tailscale, and as a host with two providers */
	{ .yes = true, .rival_has_route = true, .state = KWGI_DEFAULT_RIVAL,
	  .rival = { .table = 51820, .invert = true, .fwmark = 51820, .mask = UINT32_MAX } },
	{ .yes = true, .rival_has_route = true, .state = KWGI_DEFAULT_RIVAL, .rival = { .table = 52 } },
	{ .yes = true, .state = KWGI_DEFAULT_TAKEN, .rival = { .table = 52 }, .n_rules = 2 },
	{ .yes = true, .rival_has_route = true, .state = KWGI_DEFAULT_TAKEN, .n_rules = 2,
	  .rival = { .table = 100, .fwmark = 1, .mask = UINT32_MAX } },
	{ .yes = true, .state = KWGI_DEFAULT_TAKEN, .rival = { .table = MAIN }, .n_rules = 2 },
};

START_TEST(way_to_everywhere)
{
	struct kwgi_host_rule rival = defaults[_i].rival;
	struct kwgi_other_route other = { .route = route("0.0.0.0/0", "", "", ETH, rival.table) };
	struct kwgi_route offered = { .dst = prefix("0.0.0.0/0") };
	struct around_world a;
	struct kwgi_default *d = &a.o.w.default_way;

	make(&a);
	rival.family = KWGI_AF_V4;
	a.plan.routes = &offered;
	a.plan.n_routes = 1;
	a.cfg.local.default_route = defaults[_i].yes;
	a.o.h.checks = (struct kwgi_checks){ defaults[_i].strict, defaults[_i].valid_mark, defaults[_i].read_only };
	a.o.h.other_rules = &rival;
	a.o.h.n_other_rules = rival.table != 0;
	a.o.h.others = &other;
	a.o.h.n_others = defaults[_i].rival_has_route;
	kwgi_default_decide(d, &a.plan, &a.o.h);
	ck_assert_uint_eq(d->state[0], defaults[_i].state);
	ck_assert_uint_eq(d->state[1], KWGI_DEFAULT_NONE);
	ck_assert_int_eq(d->valid_mark, defaults[_i].wants_valid_mark);
	ck_assert_uint_eq(d->mark, defaults[_i].n_rules ? KWGI_DEFAULT_MARK : 0);
	make_rules(&a.o.w, &a.plan);
	ck_assert_uint_eq(a.o.w.n_rules, defaults[_i].n_rules);
	if (a.o.w.n_rules) {
		ck_assert(a.o.w.rules[0].suppress == 1 && a.o.w.rules[0].priority == OURS - 1);
		ck_assert(a.o.w.rules[1].invert && a.o.w.rules[1].priority == OURS);
	}
	kwgi_default_find(d, &a.plan, &a.o.h, &a.f);
	ck_assert_uint_eq(a.f.n, d->state[0] != KWGI_DEFAULT_TAKEN);
	if (a.f.n)
		ck_assert_int_eq(a.f.v[0].error, defaults[_i].yes);
	unmake(&a);
}
END_TEST

/* ---- firewalls of others ----------------------------------------------- */

static const struct {
	const char *chain;
	bool iptables;
	uint8_t verdict;
	uint32_t keepalive;
	bool error;
	const char *text, *remedy;
} inputs[] = {
	{ "inet fw in", false, KWGI_INPUT_DROPPED, 0, true,
	  "the nftables chain inet fw in drops packets of WireGuard, port 51820/udp",
	  "nft insert rule inet fw in udp dport 51820 accept; " },
	{ "inet fw in", false, KWGI_INPUT_UNSURE, 0, false,
	  "the nftables chain inet fw in may drop packets of WireGuard, port 51820/udp",
	  "nft insert rule inet fw in udp dport 51820 accept; " },
	{ "inet fw in", false, KWGI_INPUT_DROPPED, 25, false,
	  "the nftables chain inet fw in drops packets of WireGuard, port 51820/udp",
	  "nft insert rule inet fw in udp dport 51820 accept; " },
	{ "ip filter INPUT", true, KWGI_INPUT_DROPPED, 0, true,
	  "the iptables chain ip filter INPUT drops packets of WireGuard, port 51820/udp",
	  "iptables -I INPUT -p udp --dport 51820 -j ACCEPT" },
	{ "inet firewalld filter_INPUT", false, KWGI_INPUT_DROPPED, 0, true,
	  "the nftables chain inet firewalld filter_INPUT drops packets of WireGuard, port 51820/udp",
	  "firewall-cmd --permanent --add-port=51820/udp, and firewall-cmd --reload" },
};

START_TEST(input)
{
	struct kwgi_inputs in = { .n = 0 };
	struct around_world a;

	make(&a);
	a.node.keepalive = inputs[_i].keepalive;
	a.o.w.tunnel.kind = "ipip";
	kwgi_inputs_list(&in, &a.plan, &a.o.w);
	ck_assert_uint_eq(in.n, 2);
	ck_assert_uint_eq(in.v[0].packet.port, 51820);
	ck_assert_uint_eq(in.v[1].packet.protocol, 4);
	in.v[0].n_chains = 1;
	snprintf(in.v[0].chains[0].chain, sizeof(in.v[0].chains[0].chain), "%s", inputs[_i].chain);
	in.v[0].chains[0].iptables = inputs[_i].iptables;
	in.v[0].chains[0].verdict = inputs[_i].verdict;
	kwgi_inputs_judge(&in, &a.plan, &a.f);
	ck_assert_msg(a.f.n == 1, "%d: %s", ALL(a.f));
	ck_assert_str_eq(a.f.v[0].text, inputs[_i].text);
	ck_assert_msg(!strncmp(a.f.v[0].remedy, inputs[_i].remedy, strlen(inputs[_i].remedy)), "%s",
		      a.f.v[0].remedy);
	ck_assert_int_eq(a.f.v[0].error, inputs[_i].error);
	unmake(&a);
}
END_TEST

/* ---- beside the exit node --------------------------------------------- */

static void be_behind_an_exit(struct around_world *a, const struct kwgi_node *members[2])
{
	make(a);
	members[0] = &a->node;
	members[1] = &a->leader;
	a->segments[0].members = members;
	a->o.w.default_way = (struct kwgi_default){ .state = { KWGI_DEFAULT_TAKEN, KWGI_DEFAULT_OFF }, .mark = 7 };
}

START_TEST(beside_the_exit)
{
	const struct kwgi_host_route way = route("0.0.0.0/0", "192.168.1.254", "", ETH, MAIN);
	const struct kwgi_host_route lan = route("10.9.0.0/16", "192.168.1.254", "", ETH, MAIN);
	const struct kwgi_prefix kept[] = { prefix("192.0.2.9/32"), prefix("10.9.1.1/32"), prefix("192.168.7.9/32"),
					    prefix("2001:db8::9/128") };
	const struct kwgi_node *members[2];
	struct kwgi_vitals vitals = { 0 };
	struct around_world a;
	struct kwgi_desired *w = &a.o.w;
	int i;

	/* A neighbour on the link needs none. */
	be_behind_an_exit(&a, members);
	ck_assert(!kwgi_keep_beside(w, &a.plan, &vitals));
	ck_assert_uint_eq(w->n_closed, 0);
	/* A member elsewhere, and what is to be kept and is known by the default route only, once. */
	a.leader.internal_ip = prefix("192.168.7.9/24");
	for (i = 0; i < 4; i++)
		ck_assert(!kwgi_vitals_add(&vitals, KWGI_VITAL_KEPT, &kept[i], NULL));
	ck_assert(!kwgi_vitals_add_way(&vitals, &way) && !kwgi_vitals_add_way(&vitals, &lan) &&
		  !kwgi_vitals_build(&vitals));
	ck_assert(!kwgi_keep_beside(w, &a.plan, &vitals));
	ck_assert_uint_eq(w->n_closed, 2);
	for (i = 0; i < 2; i++)
		ck_assert(w->closed[i].closed && w->closed[i].passed && w->closed[i].table == 1108);
	ck_assert(kwgi_prefix_equal(&w->closed[0].dst, &kept[2]));
	ck_assert(kwgi_prefix_equal(&w->closed[1].dst, &kept[0]));
	/* Nothing without the exit. */
	w->n_closed = 0;
	w->default_way = (struct kwgi_default){ .mark = 0 };
	ck_assert(!kwgi_keep_beside(w, &a.plan, &vitals));
	ck_assert_uint_eq(w->n_closed, 0);
	kwgi_vitals_free(&vitals);
	unmake(&a);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, forwards, 0, N_OF(forwarding));
	tcase_add_test(tc, forwards_nothing);
	tcase_add_test(tc, ways_are_asked);
	tcase_add_loop_test(tc, rule_before_ours, 0, N_OF(before));
	tcase_add_test(tc, own_route_that_passes);
	tcase_add_test(tc, strangers);
	tcase_add_test(tc, more_specific_route);
	tcase_add_loop_test(tc, leader_answers, 0, N_OF(leaders));
	tcase_add_test(tc, leader_itself);
	tcase_add_loop_test(tc, few_rules, 0, 4);
	tcase_add_loop_test(tc, way_to_everywhere, 0, N_OF(defaults));
	tcase_add_test(tc, beside_the_exit);
	tcase_add_loop_test(tc, input, 0, N_OF(inputs));
}

int main(void)
{
	return unit_run("around", add);
}
