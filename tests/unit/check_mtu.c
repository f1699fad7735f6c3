/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* mtu = auto: what fits through the ways to the endpoints. */
#include "steps/mtu.h"
#include "world.h"

enum { WAN = 2, DSL = 3, LO = 4 };

struct fixture {
	struct world o;
	struct kwg_config cfg;
	struct kwgi_host_path paths[MAX_THINGS];
};

static struct fixture *make(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	world_init(&f->o);
	f->cfg.mesh.name = "m";
	f->cfg.local.interface = "wg0";
	f->o.w.mesh = "m";
	f->o.w.ifname = "wg0";
	f->o.w.protocol = PROTOCOL;
	f->o.w.addr = prefix("10.4.0.1/16");
	f->o.h.paths = f->paths;
	add_link(&f->o, WAN, "wan0", "", "")->mtu = 1500;
	add_link(&f->o, DSL, "dsl0", "", "")->mtu = 1400;
	add_link(&f->o, LO, "lo", "", "")->mtu = 65536;
	add_link(&f->o, WG, "wg0", "wireguard", "kilowg mesh=m protocol=107 port=51820");
	return f;
}

static void discard(struct fixture *f)
{
	kwgi_arena_free(&f->o.w.arena);
	free(f);
}

/* In the order of addresses, as they come from the kernel. */
static void path(struct fixture *f, const char *to, uint32_t oif, uint32_t mtu)
{
	f->paths[f->o.h.n_paths++] = (struct kwgi_host_path){ .to = addr(to), .oif = oif, .mtu = mtu };
}

static void decide(struct fixture *f)
{
	ck_assert_int_eq(kwgi_mtu_decide(&f->o.w, &f->cfg, NULL, &f->o.h), 0);
}

static uint32_t mtu_of(const struct fixture *f, const char *dst)
{
	struct kwgi_prefix p = prefix(dst);
	uint32_t i;

	for (i = 0; i < f->o.w.n_routes; i++)
		if (kwgi_prefix_equal(&f->o.w.routes[i].route.dst, &p))
			return f->o.w.routes[i].route.mtu;
	return UINT32_MAX;
}

/* ---- one peer ---- */

static const struct {
	const char *endpoint;
	uint32_t oif, route, link6;
	uint32_t mtu;
} ways[] = {
	{ "203.0.113.3", WAN, 0, 0, 1440 },
	{ "203.0.113.3", DSL, 0, 0, 1340 },
	{ "203.0.113.3", WAN, 1492, 0, 1432 },
	{ "203.0.113.3", WAN, 9000, 0, 1440 },	/* a route cannot make a device wider */
	{ "203.0.113.3", WAN, 1300, 0, 1240 },
	{ "203.0.113.3", WAN, 0, 1280, 1440 },
	{ "203.0.113.3", WAN, 500, 0, 576 },
	{ "203.0.113.3", WAN, 1, 0, 576 },
	{ "203.0.113.3", LO, 0, 0, 65455 },
	{ "203.0.113.3", 0, 0, 0, 0 },		/* no way */
	{ "203.0.113.3", WG, 0, 0, 0 },		/* into the tunnel itself */
	{ "203.0.113.3", 99, 0, 0, 0 },		/* a device that has just gone */
	{ "2001:db8::3", WAN, 0, 0, 1420 },
	{ "2001:db8::3", DSL, 0, 0, 1320 },
	{ "2001:db8::3", WAN, 0, 1460, 1380 },	/* a router has said so */
	{ "2001:db8::3", WAN, 1450, 1460, 1370 },
};

START_TEST(one_way)
{
	struct fixture *f = make();
	char e[64];

	snprintf(e, sizeof(e), strchr(ways[_i].endpoint, ':') ? "[%s]:1" : "%s:1", ways[_i].endpoint);
	want_peer(&f->o, 1, "c", e, "10.4.0.2/32 10.42.1.0/24");
	want_route(&f->o, "10.42.1.0/24", "10.4.0.2", "", "wg0", MAIN);
	f->o.links[0].mtu6 = ways[_i].link6;
	path(f, ways[_i].endpoint, ways[_i].oif, ways[_i].route);
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, ways[_i].mtu);
	ck_assert_uint_eq(f->o.w.path_mtu, ways[_i].mtu ? ways[_i].mtu : 1420);
	ck_assert_uint_eq(f->o.w.n_routes, 1);
	ck_assert_uint_eq(mtu_of(f, "10.42.1.0/24"), 0);
	ck_assert_int_eq(f->o.w.mtu_warning != NULL, ways[_i].mtu == 576);
	discard(f);
}
END_TEST

START_TEST(as_configured)
{
	struct fixture *f = make();

	f->cfg.local.mtu = 1300;
	want_peer(&f->o, 1, "c", "203.0.113.3:1", "10.42.1.0/24");
	path(f, "203.0.113.3", WAN, 0);
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1300);
	ck_assert_uint_eq(f->o.w.path_mtu, 1300);
	discard(f);
}
END_TEST

/* Without an answer it stays as it is, or as it will be made. */
START_TEST(nobody_knows)
{
	struct fixture *f = make();

	want_peer(&f->o, 1, "c", "", "10.42.1.0/24");
	f->o.links[3].mtu = 1333;
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 0);
	ck_assert_uint_eq(f->o.w.path_mtu, 1333);
	f->o.h.n_links--;
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 0);
	ck_assert_uint_eq(f->o.w.path_mtu, KWGI_MTU_DEFAULT);
	discard(f);
}
END_TEST

/* ---- several peers ---- */

static struct fixture *two_ways(void)
{
	struct fixture *f = make();

	want_peer(&f->o, 1, "c", "203.0.113.3:1", "10.4.0.2/32 10.42.1.0/24");
	want_peer(&f->o, 2, "d", "198.51.100.4:1", "10.4.0.3/32 10.42.2.0/24");
	want_route(&f->o, "10.42.1.0/24", "10.4.0.2", "", "wg0", MAIN);
	want_route(&f->o, "10.42.2.0/24", "10.4.0.3", "", "wg0", MAIN);
	want_route(&f->o, "10.42.9.0/24", "192.168.1.9", "", "eth0", MAIN);
	path(f, "198.51.100.4", DSL, 0);
	path(f, "203.0.113.3", WAN, 0);
	return f;
}

/* A daemon pads to 16 bytes whatever the route says. */
START_TEST(widest_and_narrower)
{
	struct fixture *f = two_ways();
	uint32_t narrow = _i ? 1328 : 1340;

	f->o.w.userspace = _i;
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1440);
	ck_assert_uint_eq(f->o.w.path_mtu, narrow);
	ck_assert_uint_eq(mtu_of(f, "10.42.1.0/24"), 0);
	ck_assert_uint_eq(mtu_of(f, "10.42.2.0/24"), narrow);
	ck_assert_uint_eq(mtu_of(f, "10.42.9.0/24"), 0);
	/* The one address of the mesh that the interface's own route would get wrong. */
	ck_assert_uint_eq(f->o.w.n_routes, 4);
	ck_assert_uint_eq(mtu_of(f, "10.4.0.3/32"), narrow);
	ck_assert_ptr_null(f->o.w.mtu_warning);
	ck_assert_str_eq(f->o.w.mtu_note,
			 "mtu 1440: the path to c at 203.0.113.3 over wan0 has 1500, and WireGuard takes 60");
	discard(f);
}
END_TEST

START_TEST(unknown_has_all)
{
	struct fixture *f = two_ways();

	f->paths[0].oif = 0;
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1440);
	ck_assert_uint_eq(f->o.w.path_mtu, 1440);
	ck_assert_uint_eq(mtu_of(f, "10.42.2.0/24"), 0);
	discard(f);
}
END_TEST

/* ---- peers that may be anywhere ---- */

START_TEST(anywhere)
{
	struct fixture *f = make();

	want_peer(&f->o, 1, "c", "203.0.113.3:1", "10.4.0.2/32");
	want_peer(&f->o, 2, "p", "", "10.5.0.1/32");
	want_route(&f->o, "10.5.0.1/32", "", "", "wg0", MAIN);
	f->paths[0] = (struct kwgi_host_path){ .to = kwgi_mtu_anywhere_v4, .oif = WAN, .mtu = 0 };
	f->o.h.n_paths = 1;
	path(f, "203.0.113.3", WAN, 0);
	f->paths[2] = (struct kwgi_host_path){ .to = kwgi_mtu_anywhere_v6, .oif = _i ? DSL : 0, .mtu = 0 };
	f->o.h.n_paths = 3;
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1440);
	ck_assert_uint_eq(mtu_of(f, "10.5.0.1/32"), _i ? 1320 : 0);
	discard(f);
}
END_TEST

static struct fixture *roaming(bool keep, const char *configured)
{
	struct fixture *f = make();
	struct kwgi_host_peer *have = &f->o.host_peers[0];

	want_peer(&f->o, 1, "p", configured, "10.5.0.1/32")->keep_endpoint = keep;
	have->key = key(1);
	have->endpoint = endpoint("198.51.100.4:7");
	f->o.h.wg.n_peers = 1;
	f->paths[0] = (struct kwgi_host_path){ .to = kwgi_mtu_anywhere_v4, .oif = WAN, .mtu = 0 };
	f->o.h.n_paths = 1;
	path(f, "198.51.100.4", DSL, 0);
	path(f, "203.0.113.3", WAN, 0);
	return f;
}

static const struct {
	bool keep;
	const char *configured;
	uint32_t mtu;
} roams[] = {
	{ false, "", 1340 },			/* nothing else is known of it */
	{ true, "203.0.113.3:1", 1340 },
	{ false, "203.0.113.3:1", 1440 },	/* apply sets it back */
};

START_TEST(roamed)
{
	struct fixture *f = roaming(roams[_i].keep, roams[_i].configured);

	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, roams[_i].mtu);
	discard(f);
}
END_TEST

/* That it has come closer does not make room that it may soon not have any more. */
START_TEST(roamed_to_a_wider_network)
{
	struct fixture *f = roaming(false, "");

	f->paths[0].oif = DSL;
	f->paths[1].oif = WAN;
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1340);
	discard(f);
}
END_TEST

/* ---- IPv6 inside ---- */

START_TEST(too_narrow_for_v6)
{
	struct fixture *f = two_ways();

	f->o.links[0].mtu = 1330;
	f->o.links[1].mtu = 1300;
	f->o.peers[1].peer.allowed_ips = set_ips(f->o.ips[1], "10.4.0.3/32 10.42.2.0/24 fd00:2::/64",
						 &f->o.peers[1].peer.n_allowed_ips);
	want_route(&f->o, "fd00:2::/64", "", "", "wg0", MAIN);
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1280);
	ck_assert_uint_eq(f->o.w.path_mtu, 1280);
	ck_assert_uint_eq(mtu_of(f, "10.42.1.0/24"), 1270);
	ck_assert_uint_eq(mtu_of(f, "10.42.2.0/24"), 1240);
	ck_assert_uint_eq(mtu_of(f, "fd00:2::/64"), 0);
	ck_assert_str_eq(f->o.w.mtu_warning,
			 "the path to d at 198.51.100.4 over dsl0 has an MTU of 1300, which leaves 1240 bytes inside; IPv6 needs 1280, so larger packets will go in fragments: give that network an MTU of at least 1340");
	discard(f);
}
END_TEST

START_TEST(v6_behind_a_narrow_way)
{
	struct fixture *f = two_ways();

	f->o.links[1].mtu = 1300;
	f->o.peers[1].peer.allowed_ips = set_ips(f->o.ips[1], "10.42.2.0/24 fd00:2::/64",
						 &f->o.peers[1].peer.n_allowed_ips);
	want_route(&f->o, "fd00:2::/64", "", "", "wg0", MAIN);
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1440);
	ck_assert_uint_eq(f->o.w.path_mtu, 1280);
	ck_assert_uint_eq(mtu_of(f, "10.42.2.0/24"), 1240);
	ck_assert_uint_eq(mtu_of(f, "fd00:2::/64"), 1280);
	ck_assert_ptr_nonnull(f->o.w.mtu_warning);
	discard(f);
}
END_TEST

START_TEST(default_route_too_narrow)
{
	struct fixture *f = make();

	want_peer(&f->o, 2, "p", "", "fd00:5::1/128");
	f->paths[0] = (struct kwgi_host_path){ .to = kwgi_mtu_anywhere_v4, .oif = WAN, .mtu = 1300 };
	f->o.h.n_paths = 1;
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1280);
	ck_assert_ptr_nonnull(strstr(f->o.w.mtu_warning, "the default route over wan0 has an MTU of 1300"));
	discard(f);
}
END_TEST

/* ---- the location ---- */

static const struct {
	uint32_t wan, ours, theirs;
	uint32_t mtu;
} locations[] = {
	{ 1500, 0, 0, 1440 },
	{ 1500, 1480, 0, 1440 },
	{ 1500, 1430, 0, 1430 },
	{ 1400, 1430, 0, 1340 },
	{ 1500, 1430, 1300, 1430 },	/* ours will get its own */
	{ 1500, 0, 1450, 1440 },
	{ 1500, 0, 1400, 1400 },
};

START_TEST(encapsulated)
{
	struct fixture *f = make();
	struct kwgi_desired_tunnel *t = &f->o.w.tunnel;

	f->o.links[0].mtu = locations[_i].wan;
	if (locations[_i].ours || locations[_i].theirs)
		memcpy(t->name, "tunl9", 6);
	if (locations[_i].theirs)
		add_link(&f->o, 9, "tunl9", "vxlan", "")->mtu = locations[_i].theirs;
	if (locations[_i].ours) {
		t->kind = "ipip";
		t->mtu = locations[_i].ours;
	}
	want_peer(&f->o, 1, "c", "203.0.113.3:1", "10.4.0.2/32 10.42.1.0/24");
	path(f, "203.0.113.3", WAN, 0);
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, locations[_i].mtu);
	ck_assert_uint_eq(f->o.w.path_mtu, locations[_i].mtu);
	discard(f);
}
END_TEST

START_TEST(location_too_narrow)
{
	struct fixture *f = make();
	struct kwgi_desired_tunnel *t = &f->o.w.tunnel;

	memcpy(t->name, "tunl9", 6);
	t->kind = "ipip";
	t->mtu = 1270;
	want_peer(&f->o, 1, "c", "203.0.113.3:1", "fd00:1::/64");
	path(f, "203.0.113.3", WAN, 0);
	decide(f);
	ck_assert_uint_eq(f->o.w.mtu, 1280);
	ck_assert_str_eq(f->o.w.mtu_warning,
			 "the tunnel tunl9 within the location has an MTU of 1270; IPv6 needs 1280, so larger packets will go in fragments: give that network an MTU of at least 1280");
	discard(f);
}
END_TEST

/* ---- questions ---- */

START_TEST(questions)
{
	struct fixture *f = roaming(true, "203.0.113.3:1");
	struct kwgi_addr *v;
	uint32_t n, i;

	want_peer(&f->o, 2, "q", "203.0.113.3:2", "10.5.0.2/32");
	want_peer(&f->o, 3, "r", "", "10.5.0.3/32");
	want_peer(&f->o, 4, "s", "[2001:db8::1]:2", "10.5.0.4/32");
	ck_assert_int_eq(kwgi_mtu_questions(&f->o.w.arena, &f->o.w, &f->o.h, &v, &n), 0);
	ck_assert_uint_eq(n, 5);
	for (i = 1; i < n; i++)
		ck_assert_int_lt(kwgi_addr_cmp(&v[i - 1], &v[i]), 0);
	ck_assert(kwgi_addr_equal(&v[0], &kwgi_mtu_anywhere_v4));
	ck_assert(kwgi_addr_equal(&v[3], &kwgi_mtu_anywhere_v6));
	discard(f);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, one_way, 0, N_OF(ways));
	tcase_add_test(tc, as_configured);
	tcase_add_test(tc, nobody_knows);
	tcase_add_loop_test(tc, widest_and_narrower, 0, 2);
	tcase_add_test(tc, unknown_has_all);
	tcase_add_loop_test(tc, anywhere, 0, 2);
	tcase_add_loop_test(tc, roamed, 0, N_OF(roams));
	tcase_add_test(tc, roamed_to_a_wider_network);
	tcase_add_test(tc, too_narrow_for_v6);
	tcase_add_test(tc, v6_behind_a_narrow_way);
	tcase_add_test(tc, default_route_too_narrow);
	tcase_add_loop_test(tc, encapsulated, 0, N_OF(locations));
	tcase_add_test(tc, location_too_narrow);
	tcase_add_test(tc, questions);
}

int main(void)
{
	return unit_run("mtu", add);
}
