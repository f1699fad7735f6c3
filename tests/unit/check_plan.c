/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Plans and what a host makes of them: where something has to be settled. Golden files have the rest. */
#include "plan/showconf.h"
#include "steps/desired.h"
#include "steps/mark.h"
#include "unit.h"

/* ---- routes that fight ----------------------------------------------- */

/* "DST GW ROLE TABLE" each, separated by "|"; what stays, and how many remarks. */
static const struct {
	const char *routes, *want;
	uint32_t remarks;
} routes[] = {
	{ "", "", 0 },
	{ "10.1.0.0/16 1.1.1.1 0 0", "10.1.0.0/16 1.1.1.1 0 0|", 0 },
	/* the last one stays, at its place */
	{ "10.1.0.0/16 1.1.1.1 0 0|10.2.0.0/16 1.1.1.1 0 0|10.1.0.0/16 1.1.1.2 0 0",
	  "10.2.0.0/16 1.1.1.1 0 0|10.1.0.0/16 1.1.1.2 0 0|", 1 },
	{ "10.1.0.0/16 1.1.1.1 0 0|10.1.0.0/16 1.1.1.2 0 0|10.1.0.0/16 1.1.1.3 0 0",
	  "10.1.0.0/16 1.1.1.3 0 0|", 2 },
	/* twice the same is nothing to talk about */
	{ "10.1.0.0/16 1.1.1.1 0 0|10.1.0.0/16 1.1.1.1 0 0", "10.1.0.0/16 1.1.1.1 0 0|", 0 },
	{ "10.1.0.0/16 1.1.1.1 0 0|10.1.0.0/16 1.1.1.1 1 0", "10.1.0.0/16 1.1.1.1 1 0|", 1 },
	/* each table has its own */
	{ "10.1.0.0/16 1.1.1.1 0 0|10.1.0.0/16 1.1.1.2 0 1",
	  "10.1.0.0/16 1.1.1.1 0 0|10.1.0.0/16 1.1.1.2 0 1|", 0 },
	/* other lengths and families are other destinations */
	{ "10.1.0.0/16 1.1.1.1 0 0|10.1.0.0/17 1.1.1.2 0 0|::/0 fd00::1 0 0|0.0.0.0/0 1.1.1.1 0 0",
	  "10.1.0.0/16 1.1.1.1 0 0|10.1.0.0/17 1.1.1.2 0 0|::/0 fd00::1 0 0|0.0.0.0/0 1.1.1.1 0 0|", 0 },
};

static uint32_t parse_routes(struct kwgi_route v[8], const char *text)
{
	char copy[512], *item, *rest = copy;
	uint32_t n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((item = strtok_r(rest, "|", &rest))) {
		v[n].dst = prefix(strsep(&item, " "));
		v[n].gw = addr(strsep(&item, " "));
		v[n].src = addr("");
		v[n].role = (uint8_t)(*strsep(&item, " ") - '0');
		v[n++].in_table = *item == '1';
	}
	return n;
}

static char *routes_text(const struct kwgi_route *v, uint32_t n)
{
	struct kwgi_buf b = { 0 };
	uint32_t i;

	for (i = 0; i < n; i++) {
		kwgi_buf_prefix(&b, &v[i].dst);
		kwgi_buf_putc(&b, ' ');
		kwgi_buf_addr(&b, &v[i].gw);
		kwgi_buf_printf(&b, " %u %u|", v[i].role, v[i].in_table);
	}
	return kwgi_buf_take(&b, NULL);
}

START_TEST(routes_settle)
{
	struct kwgi_arena arena = { 0 };
	struct kwgi_diags d = { .arena = &arena };
	struct kwgi_route v[8];
	uint32_t n = parse_routes(v, routes[_i].routes);
	char *got;

	ck_assert_int_eq(kwgi_routes_settle(&arena, v, &n, &d), 0);
	got = routes_text(v, n);
	ck_assert_str_eq(got, routes[_i].want);
	ck_assert_uint_eq(d.n, routes[_i].remarks);
	free(got);
	kwgi_arena_free(&arena);
}
END_TEST

/* ---- allowed IPs that fight ------------------------------------------ */

/* The lists of peers, separated by "|". */
static const struct {
	const char *peers, *want;
	uint32_t remarks;
} allowed[] = {
	{ "10.1.0.0/16 10.2.0.0/16|10.3.0.0/16", "10.1.0.0/16 10.2.0.0/16 |10.3.0.0/16 |", 0 },
	{ "10.1.0.0/16 10.2.0.0/16|10.1.0.0/16", "10.2.0.0/16 |10.1.0.0/16 |", 1 },
	{ "10.1.0.0/16|10.1.0.0/16|10.1.0.0/16", "||10.1.0.0/16 |", 2 },
	{ "10.1.0.0/16|10.1.0.0/17", "10.1.0.0/16 |10.1.0.0/17 |", 0 },
	{ "10.1.0.0/16 10.2.0.0/16|10.2.0.0/16|10.1.0.0/16", "|10.2.0.0/16 |10.1.0.0/16 |", 2 },
	/* the order of what stays does not change */
	{ "10.9.0.0/16 10.1.0.0/16 10.5.0.0/16|10.1.0.0/16", "10.9.0.0/16 10.5.0.0/16 |10.1.0.0/16 |", 1 },
};

START_TEST(allowed_ips_settle)
{
	struct kwgi_arena arena = { 0 };
	struct kwgi_diags d = { .arena = &arena };
	struct kwgi_wg_peer peers[4] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
	struct kwgi_prefix v[4][8];
	char copy[256], *list, *item, *rest = copy;
	struct kwgi_buf b = { 0 };
	uint32_t i, j, n = 0;

	snprintf(copy, sizeof(copy), "%s", allowed[_i].peers);
	while ((list = strsep(&rest, "|"))) {
		peers[n].allowed_ips.v = v[n];
		while ((item = strtok_r(list, " ", &list)))
			v[n][peers[n].allowed_ips.n++] = prefix(item);
		n++;
	}
	ck_assert_int_eq(kwgi_wg_settle(peers, n, &arena, &d), 0);
	for (i = 0; i < n; i++) {
		for (j = 0; j < peers[i].allowed_ips.n; j++) {
			kwgi_buf_prefix(&b, &peers[i].allowed_ips.v[j]);
			kwgi_buf_putc(&b, ' ');
		}
		kwgi_buf_putc(&b, '|');
	}
	ck_assert_str_eq(b.p, allowed[_i].want);
	ck_assert_uint_eq(d.n, allowed[_i].remarks);
	kwgi_buf_free(&b);
	kwgi_arena_free(&arena);
}
END_TEST

/* ---- one plan -------------------------------------------------------- */

#define KEY(c) c "QEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

/* a leads x with member b; c is alone in y and roams; p has c's key. */
static const char mesh[] =
	"[mesh]\nformat = 1\nencapsulation = never\n"
	"[local]\nnode = a\nport = 4242\nroute-table = 99\nfwmark = 7\nmtu = 1380\n"
	"[node]\nname = a\nlocation = x\nendpoint = 203.0.113.1:51820\npublic-key = " KEY("A") "\n"
	"internal-ip = 192.168.1.1/24\npod-cidr = 10.42.1.0/24\npersistent-keepalive = 10\n"
	"[node]\nname = b\nlocation = x\nendpoint = 10.0.0.2:51820\npublic-key = " KEY("B") "\n"
	"internal-ip = 192.168.1.2/24\npod-cidr = 10.42.2.0/24, fd00:42::/64\n"
	"[node]\nname = c\nlocation = y\nendpoint = c.example.org:51820\npublic-key = " KEY("C") "\n"
	"internal-ip = 192.168.3.1/24\npod-cidr = 10.42.3.0/24\npersistent-keepalive = 25\n"
	"[peer]\nname = p\npublic-key = " KEY("C") "\nallowed-ip = 10.5.0.1/32\n"
	"preshared-key = " KEY("D") "\nendpoint = 198.51.100.1:1\n"
	"[peer]\nname = q\npublic-key = " KEY("E") "\nallowed-ip = 10.5.0.2/32\n"
	"endpoint = q.example.org:5\nendpoint-address = 198.51.100.2\n";

struct made {
	struct kwg_config cfg;
	struct kwg_plan plan;
};

static void make(struct made *m, const char *text, const char *node)
{
	struct kwg_error err = { 0 };

	config_read(&m->cfg, text);
	kwgi_check(&m->cfg);
	ck_assert_msg(!m->cfg.diags.errors, "%s", m->cfg.diags.v[0].diag.text);
	ck_assert_int_eq(kwgi_topology_build(&m->cfg), 0);
	memset(&m->plan, 0, sizeof(m->plan));
	ck_assert_msg(!kwgi_plan_build(&m->plan, &m->cfg, node, &err), "%s", err.text);
}

static void made_free(struct made *m)
{
	kwgi_arena_free(&m->plan.arena);
	kwgi_arena_free(&m->cfg.arena);
}

/* ---- where names lead ------------------------------------------------ */

/* As b sees it: a leads x, whose members have these private addresses. */
#define NAMED(endpoint, more) \
	"[mesh]\nformat = 1\ntrusted-network = 203.0.113.0/24\n" \
	"[node]\nname = a\nlocation = x\nendpoint = " endpoint ":1\npublic-key = " KEY("A") "\n" \
	"internal-ip = 203.0.113.1/24\npod-cidr = 10.42.1.0/24\nleader = yes\n" more \
	"[node]\nname = a2\nlocation = x\nendpoint = 203.0.113.2:1\npublic-key = " KEY("B") "\n" \
	"internal-ip = 203.0.113.2/24\npod-cidr = 10.42.2.0/24\n" \
	"[node]\nname = b\nlocation = y\nendpoint = 203.0.113.9:1\npublic-key = " KEY("C") "\n" \
	"internal-ip = 192.168.3.1/24\npod-cidr = 10.42.3.0/24\n" \
	"[node]\nname = c\nlocation = z\nendpoint = c.example.org:1\npublic-key = " KEY("D") "\n" \
	"internal-ip = -\npod-cidr = 10.42.4.0/24\n"

/* The endpoints that were found, of a and c; and the text of which plan comes out. */
static const struct {
	const char *text, *a, *c, *like;
	bool changed;
} leads[] = {
	{ NAMED("a.example.org", ""), "203.0.113.1:1", "", NAMED("203.0.113.1", ""), true },
	/* roamed */
	{ NAMED("a.example.org", ""), "203.0.113.1:777", "", NAMED("203.0.113.1", ""), true },
	/* that of another member */
	{ NAMED("a.example.org", ""), "203.0.113.2:1", "", NAMED("203.0.113.2", ""), true },
	{ NAMED("a.example.org", ""), "198.51.100.1:1", "", NAMED("198.51.100.1", ""), false },
	{ NAMED("a.example.org", ""), "", "", NAMED("198.51.100.1", ""), false },
	/* c is somewhere else, whatever its name leads to */
	{ NAMED("a.example.org", ""), "", "203.0.113.1:1", NAMED("198.51.100.1", ""), false },
	/* what the files say counts */
	{ NAMED("a.example.org", "endpoint-address = 203.0.113.1\n"), "", "",
	  NAMED("203.0.113.1", ""), false },
	{ NAMED("203.0.113.1", ""), "", "", NAMED("203.0.113.1", ""), false },
};

static struct kwgi_endpoint *found_of(const struct made *m, const char *a, const char *c)
{
	struct kwgi_endpoint *v = calloc(m->plan.n_peers, sizeof(*v));
	uint32_t i;

	ck_assert_ptr_nonnull(v);
	for (i = 0; i < m->plan.n_peers; i++)
		v[i] = endpoint(m->plan.peers[i].name[9] == 'x' ? a : c);
	return v;
}

static char *routes_of(const struct kwg_plan *plan)
{
	struct kwgi_buf b = { 0 };
	uint32_t i;

	for (i = 0; i < plan->n_routes; i++) {
		kwgi_route_format(&b, &plan->routes[i], kwgi_role_names, 0);
		kwgi_buf_putc(&b, '\n');
	}
	return kwgi_buf_take(&b, NULL);
}

START_TEST(where_names_lead)
{
	struct kwg_error err = { 0 };
	struct kwg_plan found = { .n_peers = 0 };
	struct made m, like;
	struct kwgi_endpoint *v;
	char *want, *got;

	make(&m, leads[_i].text, "b");
	make(&like, leads[_i].like, "b");
	v = found_of(&m, leads[_i].a, leads[_i].c);
	ck_assert_int_eq(kwgi_plan_is_changed_by(&m.plan, v), leads[_i].changed);
	ck_assert_int_eq(kwgi_plan_build_found(&found, &m.cfg, "b", v, &err), 0);
	want = routes_of(&like.plan);
	got = routes_of(&found);
	ck_assert_str_eq(got, want);
	free(got);
	got = routes_of(&m.plan);
	ck_assert_int_eq(!strcmp(got, want), !leads[_i].changed);
	free(got);
	free(want);
	free(v);
	kwgi_arena_free(&found.arena);
	made_free(&like);
	made_free(&m);
}
END_TEST

/* ---- parts of a plan ------------------------------------------------- */

/* [local] speaks for the node that it names. */
static const struct {
	const char *mesh_port, *local, *node;
	uint32_t want;
} ports[] = {
	{ "1000", "", "a", 1000 },
	{ "endpoint", "", "a", 51820 },
	{ "endpoint", "port = 9", "a", 9 },
	{ "1000", "port = 9", "b", 9 },
	{ "1000", "node = a\nport = 9", "a", 9 },
	{ "1000", "node = a\nport = 9", "b", 1000 },
	{ "endpoint", "node = a\nport = 9", "b", 51820 },
};

START_TEST(listen_port)
{
	struct kwgi_buf b = { 0 };
	struct made m;

	kwgi_buf_printf(&b, "[mesh]\nformat = 1\ngranularity = full\nport = %s\n[local]\n%s\n%s",
			ports[_i].mesh_port, ports[_i].local, strstr(mesh, "[node]"));
	make(&m, b.p, ports[_i].node);
	ck_assert_uint_eq(m.plan.port, ports[_i].want);
	made_free(&m);
	kwgi_buf_free(&b);
}
END_TEST

START_TEST(no_such_node)
{
	struct kwg_error err = { 0 };
	struct kwg_plan plan = { .n_peers = 0 };
	struct made m;

	make(&m, mesh, "a");
	ck_assert_int_eq(kwgi_plan_build(&plan, &m.cfg, "A", &err), KWG_ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, "\"A\""));
	kwgi_arena_free(&plan.arena);
	made_free(&m);
}
END_TEST

/* a and b share an address: others that take x for a peer learn it once, where it stood first. */
START_TEST(as_peer_lists_once)
{
	static const char text[] =
		"[mesh]\nformat = 1\n"
		"[node]\nname = a\nlocation = x\nendpoint = 203.0.113.1:51820\npublic-key = " KEY("A") "\n"
		"internal-ip = 192.168.1.1/24\npod-cidr = 10.42.1.0/24\n"
		"[node]\nname = b\nlocation = x\nendpoint = 10.0.0.2:51820\npublic-key = " KEY("B") "\n"
		"internal-ip = 192.168.1.1/24\npod-cidr = 10.42.0.0/24\n";
	static const char want[] =
		"[Peer]\n"
		"AllowedIPs = 10.42.1.0/24, 192.168.1.1/32, 10.42.0.0/24, 10.4.0.1/32\n"
		"Endpoint = 203.0.113.1:51820\n"
		"PersistentKeepalive = 0\n"
		"PublicKey = " KEY("A") "\n";
	struct kwgi_buf b = { 0 };
	struct made m;

	make(&m, text, "b");
	/* Kilo's topology has it twice, and so has what nodes configure. */
	ck_assert_uint_eq(m.plan.segment->allowed_ips.n, 5);
	ck_assert_int_eq(kwgi_showconf_segment(&m.plan, &b), 0);
	ck_assert_str_eq(b.p, want);
	ck_assert_uint_eq(m.plan.segment->allowed_ips.n, 5);
	kwgi_buf_free(&b);
	made_free(&m);
}
END_TEST

static char *plan_text(const struct kwg_plan *plan)
{
	struct kwgi_buf b = { 0 };

	kwgi_plan_text(plan, &b);
	return kwgi_buf_take(&b, NULL);
}

/* No secret is in it, and a follower has no peers. */
START_TEST(canonical_text)
{
	static const char head[] =
		"kilowg-plan 1\nmesh kilo\nnode a\nsegment location:x\nrole leader\n"
		"interface kilo0 up mtu 1380\naddress 10.4.0.1/16\nlisten-port 4242\nfwmark 7\n";
	struct made m;
	char *got;

	make(&m, mesh, "a");
	got = plan_text(&m.plan);
	ck_assert_msg(!strncmp(got, head, sizeof(head) - 1), "%s", got);
	ck_assert_ptr_nonnull(strstr(got, "\nwireguard-peer " KEY("C") " endpoint c.example.org:51820 roams persistent-keepalive 10 name location:y\n"));
	ck_assert_ptr_nonnull(strstr(got, " preshared-key name p\n"));
	ck_assert_ptr_null(strstr(got, KEY("D")));
	free(got);
	made_free(&m);
	make(&m, mesh, "b");
	ck_assert_uint_eq(m.plan.n_peers, 0);
	ck_assert(!m.plan.leader);
	made_free(&m);
}
END_TEST

/* No route has a next hop or source of another family. */
START_TEST(families)
{
	static const char *const nodes[] = { "a", "b", "c" };
	struct made m;
	size_t n;
	uint32_t i;

	for (n = 0; n < N_OF(nodes); n++) {
		make(&m, mesh, nodes[n]);
		for (i = 0; i < m.plan.n_routes; i++) {
			const struct kwgi_route *r = &m.plan.routes[i];

			ck_assert(!r->gw.family || r->gw.family == r->dst.addr.family);
			ck_assert(!r->src.family || r->src.family == r->dst.addr.family);
			ck_assert_int_eq(r->onlink, r->gw.family != KWGI_AF_NONE);
		}
		made_free(&m);
	}
}
END_TEST

/* ---- what a host makes of it ----------------------------------------- */

struct host {
	struct kwgi_host h;
	struct kwgi_link links[4];
	struct kwgi_host_addr addrs[4];
};

static void make_host(struct host *o)
{
	memset(o, 0, sizeof(*o));
	o->h.links = o->links;
	o->h.addrs = o->addrs;
	o->links[0] = (struct kwgi_link){ .index = 2, .name = "eth0", .up = true };
	o->links[1] = (struct kwgi_link){ .index = 5, .name = "kilo0", .kind = "wireguard" };
	o->h.n_links = 2;
	o->addrs[0] = (struct kwgi_host_addr){ .ifindex = 2, .prefix = prefix("192.168.1.1/16") };
	o->h.n_addrs = 1;
}

static int wanted(struct kwgi_desired *w, const struct made *m, const struct host *o, const char *resolved,
		  struct kwg_error *err)
{
	struct kwgi_key psks[4] = { { { 0 } } };
	struct kwgi_endpoint endpoints[4] = { { 0 } };
	struct kwgi_resolved facts = { .private_key = key(1), .psks = psks, .endpoints = endpoints };

	/* peers: location:y, p, q */
	if (m->plan.n_peers) {
		ck_assert_uint_eq(m->plan.n_peers, 3);
		endpoints[0] = endpoint(resolved);
		psks[1] = key(9);
	}
	memset(w, 0, sizeof(*w));
	return kwgi_desired_build(w, &m->plan, &o->h, &facts, err);
}

static const struct kwgi_desired_peer *peer_with(const struct kwgi_desired *w, const char *text)
{
	struct kwgi_key k;
	uint32_t i;

	ck_assert_int_eq(kwgi_key_parse(&k, text), 0);
	for (i = 0; i < w->n_peers; i++)
		if (kwgi_key_equal(&w->peers[i].peer.key, &k))
			return &w->peers[i];
	return NULL;
}

START_TEST(wanted_leader)
{
	struct kwg_error err = { 0 };
	const struct kwgi_desired_peer *p;
	struct kwgi_desired w;
	struct kwgi_buf b = { 0 };
	struct host o;
	struct made m;
	uint32_t i;

	make(&m, mesh, "a");
	make_host(&o);
	ck_assert_msg(!wanted(&w, &m, &o, "203.0.113.77:51820", &err), "%s", err.text);
	ck_assert_str_eq(w.ifname, "kilo0");
	ck_assert(kwgi_mark_is_ours(w.alias, &(struct kwgi_owner){ .mesh = "kilo" }) && !kwgi_mark_is_adopted(w.alias));
	ck_assert(w.create && w.up);
	ck_assert_uint_eq(w.mtu, 1380);
	ck_assert_uint_eq(w.wg.port, 4242);
	ck_assert_uint_eq(w.wg.fwmark, 7);
	/* One WireGuard peer for the node and the peer of the same key. */
	ck_assert_uint_eq(w.n_peers, 2);
	p = peer_with(&w, KEY("C"));
	ck_assert_uint_eq(p->peer.keepalive, 10);
	ck_assert_uint_eq(p->peer.psk.b[0], 9);
	kwgi_buf_endpoint(&b, &p->peer.endpoint);
	ck_assert_str_eq(b.p, "203.0.113.77:51820");
	kwgi_buf_free(&b);
	ck_assert_uint_eq(p->peer.n_allowed_ips, 4);
	for (i = 1; i < p->peer.n_allowed_ips; i++)
		ck_assert_int_lt(kwgi_prefix_cmp(&p->peer.allowed_ips[i - 1], &p->peer.allowed_ips[i]), 0);
	/* The configuration says where this name is. */
	p = peer_with(&w, KEY("E"));
	ck_assert(!p->keep_endpoint && !p->peer.endpoint.host);
	kwgi_buf_endpoint(&b, &p->peer.endpoint);
	ck_assert_str_eq(b.p, "198.51.100.2:5");
	kwgi_buf_free(&b);
	for (i = 0; i < w.n_routes; i++)
		ck_assert_uint_eq(w.routes[i].route.oif, strcmp(w.routes[i].link, "eth0") ? 5 : 2);
	kwgi_desired_free(&w);
	made_free(&m);
}
END_TEST

/* A name that nobody knows leaves the peer without endpoint, or with the other one's. */
START_TEST(wanted_unresolved)
{
	struct kwg_error err = { 0 };
	struct kwgi_desired w;
	struct kwgi_buf b = { 0 };
	struct host o;
	struct made m;

	make(&m, mesh, "a");
	make_host(&o);
	ck_assert_int_eq(wanted(&w, &m, &o, "", &err), 0);
	kwgi_buf_endpoint(&b, &peer_with(&w, KEY("C"))->peer.endpoint);
	ck_assert_str_eq(b.p, "198.51.100.1:1");
	kwgi_buf_free(&b);
	kwgi_desired_free(&w);
	made_free(&m);
}
END_TEST

START_TEST(wanted_follower)
{
	struct kwg_error err = { 0 };
	struct kwgi_desired w;
	struct host o;
	struct made m;
	uint32_t i;

	make(&m, mesh, "b");
	make_host(&o);
	/* No device has the private address of b. */
	ck_assert_int_eq(wanted(&w, &m, &o, "", &err), 0);
	ck_assert(w.no_internal_ip && !w.n_routes);
	ck_assert_uint_gt(w.n_without_internal_ip, 3);
	kwgi_desired_free(&w);
	o.addrs[0].prefix = prefix("192.168.1.2/24");
	ck_assert_int_eq(wanted(&w, &m, &o, "", &err), 0);
	ck_assert(!w.up && !w.addr.addr.family && !w.n_peers);
	ck_assert_uint_gt(w.n_routes, 3);
	for (i = 0; i < w.n_routes; i++)
		ck_assert_str_eq(w.routes[i].link, "eth0");
	kwgi_desired_free(&w);
	made_free(&m);
}
END_TEST

/* The own key among the peers: WireGuard takes no notice of itself, nor do we. */
START_TEST(wanted_own_key)
{
	struct kwg_error err = { 0 };
	struct kwgi_resolved facts = { .private_key = key(1) };
	struct kwgi_key psks[4] = { { { 0 } } };
	struct kwgi_endpoint endpoints[4] = { { 0 } };
	struct kwgi_desired w = { 0 };
	struct host o;
	struct made m;

	make(&m, mesh, "a");
	make_host(&o);
	facts.psks = psks;
	facts.endpoints = endpoints;
	ck_assert_int_eq(kwgi_key_public(&m.plan.peers[2].key, &facts.private_key), 0);
	ck_assert_int_eq(kwgi_desired_build(&w, &m.plan, &o.h, &facts, &err), 0);
	ck_assert_uint_eq(w.n_peers, 1);
	kwgi_desired_free(&w);
	made_free(&m);
}
END_TEST

START_TEST(wanted_nothing)
{
	struct kwgi_desired w = { 0 };
	struct made m;

	make(&m, mesh, "a");
	kwgi_desired_nothing(&w, &m.cfg);
	ck_assert_ptr_null(w.ifname);
	ck_assert(!w.n_peers && !w.n_routes && !w.n_rules && !w.keep_link);
	kwgi_desired_free(&w);
	made_free(&m);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, routes_settle, 0, N_OF(routes));
	tcase_add_loop_test(tc, allowed_ips_settle, 0, N_OF(allowed));
	tcase_add_loop_test(tc, where_names_lead, 0, N_OF(leads));
	tcase_add_loop_test(tc, listen_port, 0, N_OF(ports));
	tcase_add_test(tc, no_such_node);
	tcase_add_test(tc, as_peer_lists_once);
	tcase_add_test(tc, canonical_text);
	tcase_add_test(tc, families);
	tcase_add_test(tc, wanted_leader);
	tcase_add_test(tc, wanted_unresolved);
	tcase_add_test(tc, wanted_follower);
	tcase_add_test(tc, wanted_own_key);
	tcase_add_test(tc, wanted_nothing);
}

int main(void)
{
	return unit_run("plan", add);
}
