/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Which nodes get a tunnel, of which kind, and what is sent through it. */
#include "steps/desired.h"
#include "unit.h"

#define KEY(c) c "QEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

static struct kwg_config cfg;
static struct kwg_plan plan;

/* mesh: lines of [mesh]; local: of [local]; a and b: lines of these nodes of one location. c is elsewhere. */
static void make(const char *mesh, const char *local, const char *a, const char *b, const char *node)
{
	struct kwg_error err = { 0 };
	struct kwgi_buf text = { 0 };

	kwgi_buf_printf(&text,
			"[mesh]\nformat = 1\n%s\n[local]\n%s\n"
			"[node]\nname = a\nlocation = x\nendpoint = 203.0.113.1:1\npublic-key = " KEY("A") "\n%s\n"
			"[node]\nname = b\nlocation = x\nendpoint = 10.0.0.2:1\npublic-key = " KEY("B") "\n%s\n"
			"[node]\nname = c\nlocation = y\nendpoint = 203.0.113.3:1\npublic-key = " KEY("C")
			"\ninternal-ip = 192.168.3.1/24\npod-cidr = 10.42.3.0/24, fd00:3::/64\n",
			mesh, local, a, b);
	config_read(&cfg, text.p);
	kwgi_check(&cfg);
	ck_assert_msg(!cfg.diags.errors, "%s\n%s", cfg.diags.v[0].diag.text, text.p);
	ck_assert_int_eq(kwgi_topology_build(&cfg), 0);
	memset(&plan, 0, sizeof(plan));
	ck_assert_msg(!kwgi_plan_build(&plan, &cfg, node, &err), "%s", err.text);
	kwgi_buf_free(&text);
}

static void unmake(void)
{
	kwgi_arena_free(&plan.arena);
	kwgi_arena_free(&cfg.arena);
}

#define A4 "internal-ip = 192.168.1.1/24\npod-cidr = 10.42.1.0/24, fd00:1::/64"
#define B4 "internal-ip = 192.168.1.2/24\npod-cidr = 10.42.2.0/24, fd00:2::/64"
#define B4_FAR "internal-ip = 192.168.2.2/24\npod-cidr = 10.42.2.0/24, fd00:2::/64"
/* In its own view a is near, in that of a it is far. */
#define B4_WIDE "internal-ip = 192.168.2.2/16\npod-cidr = 10.42.2.0/24, fd00:2::/64"
#define A6 "internal-ip = fd00:9::1/64\npod-cidr = 10.42.1.0/24, fd00:1::/64"
#define B6 "internal-ip = fd00:9::2/64\npod-cidr = 10.42.2.0/24, fd00:2::/64"
#define ALWAYS "encapsulation = always"
#define CROSS "encapsulation = cross-subnet"
#define NEVER "encapsulation = never"
#define VXLAN "\nencapsulation-protocol = vxlan"
#define FLANNEL "\ncompatibility = flannel"
#define CILIUM "\ncompatibility = cilium"
#define NOT_LOCAL "manage-local-routes = no"

/* routes: those to the other node's pods, as text; "-" for none. */
static const struct {
	const char *mesh, *local, *a, *b, *node;
	bool needed;
	const char *v4, *v6;
} cases[] = {
	{ ALWAYS, "", A4, B4, "a", true, "via 192.168.1.2 dev tunl src 192.168.1.1 onlink", "-" },
	{ ALWAYS, "", A4, B4, "b", true, "via 192.168.1.1 dev tunl src 192.168.1.2 onlink", "-" },
	{ ALWAYS, "", A4, B4, "c", false, "via 10.4.0.1 dev kilo src 192.168.3.1 onlink", "dev kilo" },
	{ CROSS, "", A4, B4, "a", false, "via 192.168.1.2 dev priv onlink", "-" },
	{ CROSS, "", A4, B4_FAR, "a", true, "via 192.168.2.2 dev tunl src 192.168.1.1 onlink", "-" },
	{ CROSS, "", A4, B4_WIDE, "a", true, "via 192.168.2.2 dev tunl src 192.168.1.1 onlink", "-" },
	{ CROSS, "", A4, B4_WIDE, "b", true, "via 192.168.1.1 dev priv onlink", "-" },
	{ NEVER, "", A4, B4_FAR, "a", false, "via 192.168.2.2 dev priv onlink", "-" },
	/* the leader takes off what followers put on */
	{ ALWAYS, NOT_LOCAL, A4, B4, "a", true, "-", "-" },
	{ NEVER, NOT_LOCAL, A4, B4, "a", false, "-", "-" },
	{ ALWAYS, "", A4, B6, "a", true, "-", "via fd00:9::2 dev tunl onlink" },

	{ ALWAYS VXLAN, "", A4, B4, "a", true, "via 192.168.1.2 dev tunl src 192.168.1.1 onlink",
	  "via LINK-LOCAL dev tunl onlink" },
	{ CROSS VXLAN, "", A4, B4, "a", true, "via 192.168.1.2 dev priv onlink", "via LINK-LOCAL dev tunl onlink" },
	{ NEVER VXLAN, "", A4, B4, "a", false, "via 192.168.1.2 dev priv onlink", "-" },
	{ ALWAYS VXLAN, "", A6, B6, "a", true, "via LINK-LOCAL dev tunl onlink",
	  "via LINK-LOCAL dev tunl src fd00:9::1 onlink" },
	{ CROSS VXLAN, "", A6, B6, "a", true, "via LINK-LOCAL dev tunl onlink", "via fd00:9::2 dev priv onlink" },
	{ ALWAYS VXLAN, "", A4, B4, "c", false, "via 10.4.0.1 dev kilo src 192.168.3.1 onlink", "dev kilo" },

	{ ALWAYS FLANNEL, "", A4, B4, "a", true, "via 10.42.2.0 dev tunl src 192.168.1.1 onlink", "-" },
	{ ALWAYS FLANNEL, NOT_LOCAL, A4, B4, "a", true, "-", "-" },
	{ ALWAYS VXLAN FLANNEL, "", A4, B4, "a", true, "via 10.42.2.0 dev tunl src 192.168.1.1 onlink", "-" },
	{ ALWAYS CILIUM, "", A4, B4 "\ncni-compatibility-ip = 10.0.0.2", "a", true,
	  "via 10.0.0.2 dev tunl src 192.168.1.1 onlink", "-" },
};

static char *route_to(const char *dst)
{
	struct kwgi_prefix p = prefix(dst);
	struct kwgi_buf b = { 0 };
	uint32_t i;

	for (i = 0; i < plan.n_routes; i++)
		if (kwgi_prefix_equal(&plan.routes[i].dst, &p))
			kwgi_route_format(&b, &plan.routes[i], kwgi_role_names, 1107);
	if (!b.len)
		kwgi_buf_puts(&b, "? -");
	return kwgi_buf_take(&b, NULL);
}

static void compare(const char *dst, const char *want)
{
	char address[KWGI_ADDR_TEXT], full[256], *got = route_to(dst);
	struct kwgi_addr ll;
	uint8_t mac[KWGI_MAC_LEN];

	kwgi_encap_mac(mac, "kilo", "b");
	ll = kwgi_encap_link_local(mac);
	if (!strncmp(want, "via LINK-LOCAL", 14))
		snprintf(full, sizeof(full), "via %s%s", kwgi_addr_format(address, &ll), want + 14);
	else
		snprintf(full, sizeof(full), "%s", want);
	ck_assert_msg(!strcmp(strchr(got, ' ') + 1, full), "case %s, wanted: %s, got: %s", dst, full, got);
	free(got);
}

START_TEST(routes)
{
	bool from_b = !strcmp(cases[_i].node, "b");

	make(cases[_i].mesh, cases[_i].local, cases[_i].a, cases[_i].b, cases[_i].node);
	ck_assert_msg(kwgi_plan_needs_tunnel(&plan) == cases[_i].needed, "case %d", _i);
	compare(from_b ? "10.42.1.0/24" : "10.42.2.0/24", cases[_i].v4);
	compare(from_b ? "fd00:1::/64" : "fd00:2::/64", cases[_i].v6);
	unmake();
}
END_TEST

/* ---- what a host makes of it ----------------------------------------- */

static struct kwgi_host host;
static struct kwgi_link links[4];
static struct kwgi_host_addr addrs[4];

static void make_host(const char *address, uint32_t mtu)
{
	memset(&host, 0, sizeof(host));
	host.links = links;
	host.addrs = addrs;
	links[0] = (struct kwgi_link){ .index = 2, .name = "eth0", .up = true, .mtu = mtu };
	links[1] = (struct kwgi_link){ .index = 5, .name = "kilo0", .kind = "wireguard" };
	host.n_links = 2;
	addrs[0] = (struct kwgi_host_addr){ .ifindex = 2, .prefix = prefix(address) };
	host.n_addrs = 1;
}

static int wanted(struct kwgi_desired *w, struct kwg_error *err)
{
	static struct kwgi_key psks[4];
	static struct kwgi_endpoint endpoints[4];
	struct kwgi_resolved facts = { .private_key = key(1), .psks = psks, .endpoints = endpoints };

	memset(w, 0, sizeof(*w));
	return kwgi_desired_build(w, &plan, &host, &facts, err);
}

START_TEST(ipip_device)
{
	struct kwg_error err = { 0 };
	struct kwgi_desired w;
	char text[KWGI_PREFIX_TEXT];
	uint32_t i, through = 0;

	make(ALWAYS, "", A4, B4, "a");
	make_host("192.168.1.1/24", 1450);
	ck_assert_msg(!wanted(&w, &err), "%s", err.text);
	ck_assert_str_eq(w.tunnel.name, "kilo0-ipip");
	ck_assert_str_eq(w.tunnel.kind, "ipip");
	ck_assert_uint_eq(w.tunnel.mtu, 1430);
	ck_assert_uint_eq(w.tunnel.n_neighs, 0);
	ck_assert_str_eq(kwgi_prefix_format(text, &w.tunnel.addr), "10.42.1.1/32");
	for (i = 0; i < w.n_routes; i++)
		through += !strcmp(w.routes[i].link, "kilo0-ipip") && !w.routes[i].route.oif;
	ck_assert_uint_eq(through, 2);
	kwgi_desired_free(&w);
	unmake();
}
END_TEST

START_TEST(vxlan_device)
{
	struct kwg_error err = { 0 };
	struct kwgi_desired w;
	uint8_t mac[KWGI_MAC_LEN];

	make(ALWAYS VXLAN "\nvxlan-port = 5000\nvxlan-id = 77", "tunnel-interface = tun9", A6, B6, "a");
	make_host("fd00:9::1/64", 1500);
	ck_assert_msg(!wanted(&w, &err), "%s", err.text);
	ck_assert_str_eq(w.tunnel.name, "tun9");
	ck_assert_str_eq(w.tunnel.kind, "vxlan");
	ck_assert_uint_eq(w.tunnel.mtu, 1430);
	ck_assert_uint_eq(w.tunnel.conf.id, 77);
	ck_assert_uint_eq(w.tunnel.conf.port, 5000);
	kwgi_encap_mac(mac, "kilo", "a");
	ck_assert(!memcmp(mac, w.tunnel.conf.mac, sizeof(mac)));
	/* Of b: the MAC address of its link-local address, and where that is. */
	ck_assert_uint_eq(w.tunnel.n_neighs, 2);
	ck_assert(!w.tunnel.neighs[0].fdb && w.tunnel.neighs[1].fdb);
	ck_assert_uint_eq(w.tunnel.neighs[0].addr.b[0], 0xfe);
	kwgi_desired_free(&w);
	unmake();
}
END_TEST

static const struct {
	const char *mesh, *a, *address, *text;
	int ret;
} refusals[] = {
	{ ALWAYS, A6, "fd00:9::1/64", "IPIP goes over IPv4 only", KWG_ERR_CONFIG },
	{ ALWAYS FLANNEL, A4, "192.168.1.1/24", "flannel.1: there is no such interface", KWG_ERR_KERNEL },
	{ ALWAYS CILIUM, A4, "192.168.1.1/24", "has no cni-compatibility-ip", KWG_ERR_CONFIG },
};

START_TEST(refuses)
{
	struct kwg_error err = { 0 };
	struct kwgi_desired w;

	make(refusals[_i].mesh, "", refusals[_i].a, B4, "a");
	make_host(refusals[_i].address, 1500);
	ck_assert_int_eq(wanted(&w, &err), refusals[_i].ret);
	ck_assert_msg(strstr(err.text, refusals[_i].text), "case %d: %s", _i, err.text);
	kwgi_desired_free(&w);
	unmake();
}
END_TEST

/* What needs the private address is not there, and counted. */
START_TEST(without_private_address)
{
	struct kwg_error err = { 0 };
	struct kwgi_desired w;

	make(ALWAYS, "", A4, B4, "a");
	make_host("192.168.1.77/24", 1500);
	ck_assert_msg(!wanted(&w, &err), "%s", err.text);
	ck_assert(w.no_internal_ip && w.n_without_internal_ip);
	ck_assert(!*w.tunnel.name && !w.n_rules);
	kwgi_desired_free(&w);
	unmake();
}
END_TEST

/* name: of the device; up: does kilowg set it up? kind: NULL if it is another's. */
static void check_device(const char *name, const char *kind, bool set_up)
{
	struct kwg_error err = { 0 };
	struct kwgi_desired w;

	ck_assert_msg(!wanted(&w, &err), "%s", err.text);
	ck_assert_str_eq(w.tunnel.name, name);
	ck_assert(!kind == !w.tunnel.kind && w.tunnel.set_up == set_up);
	kwgi_desired_free(&w);
}

START_TEST(devices_of_others)
{
	make(ALWAYS FLANNEL, "", A4, B4, "a");
	make_host("192.168.1.1/24", 1500);
	links[host.n_links++] = (struct kwgi_link){ .index = 8, .name = "flannel.1", .kind = "vxlan" };
	ck_assert_str_eq(kwgi_desired_foreign_tunnel(&plan, NULL), "flannel.1");
	check_device("flannel.1", NULL, false);
	unmake();

	make(ALWAYS FLANNEL, "tunnel-interface = flannel.7", A4, B4, "a");
	ck_assert_str_eq(kwgi_desired_foreign_tunnel(&plan, NULL), "flannel.7");
	unmake();

	/* Cilium's own device if it has one, else one of ours bound to its address. */
	make(ALWAYS CILIUM, "", A4 "\ncni-compatibility-ip = 10.0.0.1", B4, "a");
	make_host("10.0.0.1/32", 1500);
	check_device("kilo0-ipip", "ipip", false);
	links[host.n_links++] = (struct kwgi_link){ .index = 8, .name = "cilium_tunl", .kind = "ipip" };
	check_device("cilium_tunl", NULL, true);
	unmake();
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, routes, 0, N_OF(cases));
	tcase_add_test(tc, ipip_device);
	tcase_add_test(tc, vxlan_device);
	tcase_add_loop_test(tc, refuses, 0, N_OF(refusals));
	tcase_add_test(tc, without_private_address);
	tcase_add_test(tc, devices_of_others);
}

int main(void)
{
	return unit_run("tunnel", add);
}
