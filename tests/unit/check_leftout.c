/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What is left out of a plan on a host. Beside single cases, random ones are compared with a model
 * that looks routes up one by one, as the kernel does.
 */
#include "steps/leftout.h"
#include "world.h"

enum { LAN = ETH, DOCKER = 3, CASES = 12 };
enum { GROUPS = 8, ROUNDS = 500 };	/* of random tables */

/* One node a in location x with c in y, and a peer; the file is called "m". */
static const char text[] =
	"[mesh]\nformat = 1\n"
	"[node]\nname = a\npublic-key = CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo=\nlocation = x\n"
	"endpoint = 203.0.113.1:51820\ninternal-ip = 192.168.1.1/24\npod-cidr = 10.42.0.0/24\n"
	"[node]\nname = b\npublic-key = CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws=\nlocation = x\n"
	"endpoint = 203.0.113.2:51820\ninternal-ip = 192.168.1.9/24\npod-cidr = 10.42.1.0/24\n"
	"[node]\nname = c\npublic-key = DAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw=\nlocation = y\n"
	"endpoint = 203.0.113.3:51820\ninternal-ip = 192.168.1.7/24\npod-cidr = 10.42.2.0/24\n"
	"[peer]\nname = p\npublic-key = DQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0=\n"
	"allowed-ip = 10.5.0.0/24\n"
	"[local]\nnode = a\nallow-cover = 10.99.0.0/16\n";

struct scene {
	struct world o;
	struct kwgi_other_route others[MAX_THINGS];
	struct kwgi_vitals vitals;
	struct kwgi_refusals refusals;
	struct kwgi_findings f;
	struct kwg_config *cfg;
	struct kwg_plan *plan;
};

static void begin(struct scene *s)
{
	struct kwg_error err;

	memset(s, 0, sizeof(*s));
	world_init(&s->o);
	s->o.h.others = s->others;
	s->o.w.protocol = PROTOCOL;
	s->o.w.ifname = "wg0";
	s->o.w.mtu = 1420;
	add_link(&s->o, LAN, "eth0", "", "")->ipv6 = true;
	add_link(&s->o, WG, "wg0", "wireguard", "")->ipv6 = true;
	s->o.links[0].mtu = s->o.links[1].mtu = 1500;
	s->cfg = kwg_config_new();
	ck_assert(s->cfg && !kwg_config_add_text(s->cfg, "m", text, strlen(text), &err));
	ck_assert_msg(!kwg_config_finish(s->cfg, &err), "%s", err.text);
	ck_assert(!kwg_plan_new(&s->plan, s->cfg, "a", &err));
}

static void end(struct scene *s)
{
	kwgi_findings_free(&s->f);
	kwgi_vitals_free(&s->vitals);
	kwgi_refusals_free(&s->refusals);
	kwg_plan_free(s->plan);
	kwg_config_free(s->cfg);
}

static void vital(struct scene *s, enum kwgi_vital_kind kind, const char *net)
{
	struct kwgi_prefix p = strchr(net, '/') ? prefix(net) : (struct kwgi_prefix){ 0 };

	if (!p.addr.family) {
		struct kwgi_addr a = addr(net);

		p = kwgi_prefix_host(&a);
	}
	ck_assert(!kwgi_vitals_add(&s->vitals, kind, &p, kind == KWGI_VITAL_ENDPOINT ? "c" : NULL));
}

static void way(struct scene *s, const char *dst, const char *gw, uint32_t oif, uint32_t metric)
{
	struct kwgi_host_route r = route(dst, gw, "", oif, MAIN);

	r.metric = metric;
	ck_assert(!kwgi_vitals_add_way(&s->vitals, &r));
}

static void other(struct scene *s, const char *dst, uint32_t metric, uint8_t protocol)
{
	struct kwgi_host_route *r = &s->others[s->o.h.n_others++].route;

	*r = route(dst, "", "", LAN, MAIN);
	r->metric = metric;
	r->protocol = protocol;
}

static void leave_out(struct scene *s)
{
	ck_assert(!kwgi_vitals_build(&s->vitals));
	ck_assert(!kwgi_leave_out(&s->o.w, s->plan, &s->o.h, &s->vitals, &s->refusals, &s->f));
}

/* ---- cases ----------------------------------------------------------- */

static void rival(struct scene *s) { other(s, "10.42.2.0/24", 0, 4); }
static void other_metric(struct scene *s) { other(s, "10.42.2.0/24", 5, 4); }
static void beside(struct scene *s)
{
	rival(s);
	s->o.host_routes[s->o.h.n_routes++] = route("10.42.2.0/24", "", "", WG, MAIN);
}

static void gateway(struct scene *s)
{
	want_route(&s->o, "192.168.1.254/32", "", "", "wg0", MAIN);
	way(s, "192.168.1.0/24", "", LAN, 0);
	vital(s, KWGI_VITAL_GATEWAY, "192.168.1.254");
}

static void network(struct scene *s)
{
	want_route(&s->o, "192.168.1.0/24", "", "", "wg0", MAIN);
	way(s, "192.168.1.0/24", "", LAN, 100);
	vital(s, KWGI_VITAL_NETWORK, "192.168.1.0/24");
}

static void around_network(struct scene *s)
{
	want_route(&s->o, "192.168.0.0/16", "", "", "wg0", MAIN);
	way(s, "192.168.1.0/24", "", LAN, 100);
	vital(s, KWGI_VITAL_NETWORK, "192.168.1.0/24");
}

/* A node of another location in our network: it goes through the tunnel. */
static void neighbour(struct scene *s)
{
	want_route(&s->o, "192.168.1.7/32", "", "", "wg0", MAIN);
	way(s, "192.168.1.0/24", "", LAN, 0);
	vital(s, KWGI_VITAL_NEIGHBOUR, "192.168.1.7");
}

static void neighbour_of_location(struct scene *s)
{
	want_route(&s->o, "192.168.1.9/32", "", "", "wg0", MAIN);
	way(s, "192.168.1.0/24", "", LAN, 0);
	vital(s, KWGI_VITAL_NEIGHBOUR, "192.168.1.9");
}

static void name_server(struct scene *s)
{
	want_route(&s->o, "10.5.0.0/24", "", "", "wg0", MAIN);
	way(s, "0.0.0.0/0", "192.168.1.254", LAN, 0);
	vital(s, KWGI_VITAL_NAME_SERVER, "10.5.0.53");
}

static void no_way(struct scene *s)
{
	want_route(&s->o, "10.5.0.0/24", "", "", "wg0", MAIN);
	vital(s, KWGI_VITAL_NAME_SERVER, "10.5.0.53");
}

static void endpoint_inside(struct scene *s)
{
	want_route(&s->o, "203.0.113.0/24", "", "", "wg0", MAIN);
	vital(s, KWGI_VITAL_ENDPOINT, "203.0.113.3");
}

static void nested(struct scene *s)
{
	want_route(&s->o, "10.5.0.0/16", "", "", "wg0", MAIN);
	want_route(&s->o, "10.5.0.0/24", "", "", "wg0", MAIN);
	way(s, "0.0.0.0/0", "192.168.1.254", LAN, 0);
	vital(s, KWGI_VITAL_CLIENT, "10.5.0.53");
}

static void allowed(struct scene *s)
{
	want_route(&s->o, "10.99.1.0/24", "", "", "wg0", MAIN);
	way(s, "0.0.0.0/0", "192.168.1.254", LAN, 0);
	vital(s, KWGI_VITAL_KEPT, "10.99.1.1");
}

static void in_other_table(struct scene *s)
{
	want_route(&s->o, "192.168.1.254/32", "", "", "wg0", TABLE);
	way(s, "192.168.1.0/24", "", LAN, 0);
	vital(s, KWGI_VITAL_GATEWAY, "192.168.1.254");
}

static void refused(struct scene *s)
{
	struct kwgi_host_route r = route("10.42.2.0/24", "", "", WG, MAIN);

	ck_assert(!kwgi_refusals_add(&s->refusals, &r, "adding it: Invalid argument"));
}

static void ipv6(struct scene *s)
{
	want_route(&s->o, "fd00:1::/64", "", "", "wg0", MAIN);
	want_route(&s->o, "fd00:2::/64", "", "", "wg0", MAIN);
	s->o.w.addr = prefix("fd00::1/64");
}

static void disabled(struct scene *s) { ipv6(s); s->o.links[1].ipv6 = false; }
static void small_mtu(struct scene *s) { ipv6(s); s->o.w.mtu = 1279; }
static void no_ipv6(struct scene *s)
{
	ipv6(s);
	s->vitals.no_ipv6 = true;
	s->o.rules[s->o.w.n_rules++] = rule("fd00:1::/64", "fd00:2::/64", "");
	s->o.rules[s->o.w.n_rules++] = rule("10.42.0.0/24", "192.168.1.9/32", "");
}

static void mtu_was_small(struct scene *s)
{
	disabled(s);
	s->o.links[1].mtu = 1000;
}

static const struct {
	void (*prepare)(struct scene *s);
	uint32_t findings, routes, rules;	/* routes and rules that are left */
	bool addr;
	const char *says;			/* of the last finding */
} cases[] = {
	{ rival, 1, 0, 0, true, "10.42.2.0/24, the pod-cidr of node c (m:23), is left out: it stays with eth0, proto static; remove that route (ip route del 10.42.2.0/24 dev eth0), or take" },
	{ other_metric, 0, 1, 0, true, "" },
	{ beside, 0, 1, 0, true, "" },
	{ gateway, 1, 1, 0, true, "192.168.1.254/32 is left out: it is this host's default gateway, over eth0; take the network out of the file, or permit it: allow-cover = 192.168.1.254/32 in [local]" },
	{ network, 1, 1, 0, true, "192.168.1.0/24 is left out: it is a network of this host, over eth0" },
	{ around_network, 0, 2, 0, true, "" },
	{ neighbour, 0, 2, 0, true, "" },
	{ neighbour_of_location, 0, 2, 0, true, "" },
	{ name_server, 1, 1, 0, true, "10.5.0.0/24, the allowed-ip of peer p (m:27), is left out: 10.5.0.53 is this host's name server, over eth0" },
	{ no_way, 0, 2, 0, true, "" },
	{ endpoint_inside, 1, 1, 0, true, "203.0.113.0/24 is left out: 203.0.113.3 is where WireGuard's own packets go to, for c" },
	{ nested, 2, 1, 0, true, "10.5.0.0/24, the allowed-ip of peer p (m:27), is left out: 10.5.0.53 is where this session" },
	{ allowed, 0, 2, 0, true, "" },
	{ in_other_table, 0, 2, 0, true, "" },
	{ refused, 1, 0, 0, true, "10.42.2.0/24, the pod-cidr of node c (m:23), is left out: adding it: Invalid argument" },
	{ ipv6, 0, 3, 0, true, "" },
	{ disabled, 2, 1, 0, false, "wg0 gets no address" },
	{ small_mtu, 2, 1, 0, false, "wg0 gets no address" },
	{ no_ipv6, 2, 1, 1, false, "wg0 gets no address" },
	{ mtu_was_small, 0, 3, 0, true, "" },
};

START_TEST(single)
{
	struct kwgi_buf b = { 0 };
	struct scene s;

	begin(&s);
	want_route(&s.o, "10.42.2.0/24", "", "", "wg0", MAIN);
	cases[_i].prepare(&s);
	if (!s.o.w.addr.addr.family)
		s.o.w.addr = prefix("10.4.0.1/16");
	leave_out(&s);
	if (s.f.n)
		kwgi_finding_line(&b, &s.f.v[s.f.n - 1]);
	ck_assert_msg(s.f.n == cases[_i].findings, "case %d: %u findings: %s", _i, s.f.n, b.p ? b.p : "");
	ck_assert_msg(s.o.w.n_routes == cases[_i].routes, "case %d: %u routes", _i, s.o.w.n_routes);
	ck_assert_msg(s.o.w.n_rules == cases[_i].rules, "case %d: %u rules", _i, s.o.w.n_rules);
	ck_assert_msg(!s.o.w.addr.addr.family == !cases[_i].addr, "case %d: address", _i);
	ck_assert_msg(!*cases[_i].says || (b.p && !strncmp(b.p, cases[_i].says, strlen(cases[_i].says))),
		      "case %d: %s", _i, b.p ? b.p : "nothing");
	ck_assert_uint_eq(kwgi_findings_errors(&s.f), s.f.n);
	kwgi_buf_free(&b);
	end(&s);
}
END_TEST

/* Very many are told in few lines, and all of them go. */
START_TEST(many)
{
	struct kwgi_buf b = { 0 };
	struct scene s;
	char net[32];
	uint32_t i;

	begin(&s);
	s.o.w.routes = calloc(1000, sizeof(*s.o.w.routes));
	for (i = 0; i < 1000; i++) {
		snprintf(net, sizeof(net), "10.7.%u.%u/32", i / 250, i % 250);
		s.o.w.routes[s.o.w.n_routes++] =
			(struct kwgi_desired_route){ .link = "wg0", .route = route(net, "", "", WG, MAIN) };
		snprintf(net, sizeof(net), "10.7.%u.%u", i / 250, i % 250);
		vital(&s, KWGI_VITAL_NEIGHBOUR, net);
	}
	way(&s, "10.7.0.0/16", "", LAN, 0);
	leave_out(&s);
	ck_assert_uint_eq(s.o.w.n_routes, 0);
	ck_assert_uint_eq(s.f.n, 51);
	kwgi_finding_line(&b, &s.f.v[50]);
	ck_assert_str_eq(b.p, "950 more networks are left out");
	kwgi_buf_free(&b);
	free(s.o.w.routes);
	end(&s);
}
END_TEST

/* Nor is what the host depends on closed, with fail-closed. */
START_TEST(closed)
{
	static const char *const nets[] = { "192.168.1.254/32", "192.168.1.0/24", "10.42.2.0/24", "fd00:1::/64" };
	struct kwgi_host_route v[N_OF(nets)];
	struct scene s;
	uint32_t i;

	begin(&s);
	for (i = 0; i < N_OF(nets); i++) {
		v[i] = route(nets[i], "", "", 0, MAIN);
		v[i].metric = UINT32_MAX;
	}
	s.o.w.closed = v;
	s.o.w.n_closed = N_OF(nets);
	way(&s, "192.168.1.0/24", "", LAN, 0);
	vital(&s, KWGI_VITAL_GATEWAY, "192.168.1.254");
	vital(&s, KWGI_VITAL_NETWORK, "192.168.1.0/24");
	s.vitals.no_ipv6_on_new = _i;
	leave_out(&s);
	/* The network itself has a better metric. */
	ck_assert_uint_eq(s.o.w.n_closed, _i ? 2 : 3);
	ck_assert(kwgi_prefix_equal(&v[0].dst, &(struct kwgi_prefix){ addr("192.168.1.0"), 24 }));
	ck_assert(kwgi_prefix_equal(&v[1].dst, &(struct kwgi_prefix){ addr("10.42.2.0"), 24 }));
	end(&s);
}
END_TEST

/* ---- the model ------------------------------------------------------- */

struct fib {
	struct kwgi_host_route v[4 * CASES];
	uint32_t n;
};

/* One by one: the longest, then the lowest metric. */
static const struct kwgi_host_route *look_up(const struct fib *f, const struct kwgi_addr *a)
{
	const struct kwgi_host_route *best = NULL;
	uint32_t i;

	for (i = 0; i < f->n; i++) {
		const struct kwgi_host_route *r = &f->v[i];

		if (kwgi_prefix_contains(&r->dst, a) &&
		    (!best || r->dst.len > best->dst.len ||
		     (r->dst.len == best->dst.len && r->metric < best->metric)))
			best = r;
	}
	return best;
}

static struct kwgi_prefix random_network(uint64_t *seed, unsigned least)
{
	struct kwgi_prefix p = { addr("10.0.0.0"), (uint8_t)(least + random_below(seed, 33 - least)) };

	/* Few different ones, so that they meet. */
	p.addr.b[1] = (uint8_t)random_below(seed, 2);
	p.addr.b[2] = (uint8_t)(random_below(seed, 2) * 128);
	p.addr.b[3] = (uint8_t)random_below(seed, 4);
	return kwgi_prefix_masked(&p);
}

static bool has_way(const struct fib *f, const struct kwgi_host_route *r)
{
	uint32_t i;

	for (i = 0; i < f->n; i++)
		if (kwgi_prefix_equal(&f->v[i].dst, &r->dst) && f->v[i].metric == r->metric)
			return true;
	return false;
}

static bool is_wanted(const struct scene *s, const struct kwgi_host_route *r)
{
	uint32_t i;

	for (i = 0; i < s->o.w.n_routes; i++)
		if (kwgi_prefix_equal(&s->o.w.routes[i].route.dst, &r->dst))
			return true;
	return false;
}

/* With all routes that were kept, each vital address goes the way that it went; with any of the others too, one does not. */
static void check_model(const struct scene *s, const struct fib *before,
			const struct kwgi_host_route *wanted, uint32_t n_wanted)
{
	struct fib after = *before;
	uint32_t i, j;

	for (i = 0; i < s->o.w.n_routes; i++)
		after.v[after.n++] = s->o.w.routes[i].route;
	for (j = 0; j < s->vitals.n; j++) {
		const struct kwgi_host_route *was = look_up(before, &s->vitals.v[j].net.addr);
		const struct kwgi_host_route *is = look_up(&after, &s->vitals.v[j].net.addr);

		ck_assert_msg(!was || is->oif == was->oif, "a way is lost");
	}
	for (i = 0; i < n_wanted; i++) {
		struct fib more = after;
		bool lost = false;

		if (is_wanted(s, &wanted[i]))
			continue;
		more.v[more.n++] = wanted[i];
		for (j = 0; j < s->vitals.n && !lost; j++) {
			const struct kwgi_host_route *was = look_up(before, &s->vitals.v[j].net.addr);

			lost = was && look_up(&more, &s->vitals.v[j].net.addr)->oif != was->oif;
		}
		ck_assert_msg(lost, "a route is left out for nothing");
	}
}

static void one_table(uint64_t seed)
{
	struct kwgi_host_route wanted[CASES], r;
	struct fib before = { .n = 0 };
	struct scene s;
	uint32_t i, n;

	begin(&s);
	for (i = 0; i < CASES / 2; i++) {
		r = (struct kwgi_host_route){ .dst = random_network(&seed, i ? 8 : 0), .oif = LAN,
					      .table = MAIN, .metric = random_below(&seed, 3) };
		if (has_way(&before, &r))
			continue;
		before.v[before.n++] = r;
		ck_assert(!kwgi_vitals_add_way(&s.vitals, &r));
	}
	for (i = 0, n = 0; i < CASES; i++) {
		r = (struct kwgi_host_route){ .dst = random_network(&seed, 8), .oif = WG, .table = MAIN,
					      .metric = 1, .protocol = PROTOCOL };
		/* Rivals have cases of their own. */
		if (has_way(&before, &r) || is_wanted(&s, &r))
			continue;
		wanted[n++] = r;
		s.o.routes[s.o.w.n_routes++] = (struct kwgi_desired_route){ .link = "wg0", .route = r };
	}
	for (i = 0; i < 4; i++) {
		struct kwgi_prefix host = random_network(&seed, 32);

		ck_assert(!kwgi_vitals_add(&s.vitals, KWGI_VITAL_KEPT, &host, NULL));
	}
	leave_out(&s);
	check_model(&s, &before, wanted, n);
	end(&s);
}

START_TEST(model)
{
	unsigned i;

	for (i = 0; i < ROUNDS; i++)
		one_table((uint64_t)_i * ROUNDS + i + 1);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, single, 0, N_OF(cases));
	tcase_add_test(tc, many);
	tcase_add_loop_test(tc, closed, 0, 2);
	tcase_add_loop_test(tc, model, 0, GROUPS);
}

int main(void)
{
	return unit_run("leftout", add);
}
