/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference between what is wanted and what a host has, step by step and as text. */
#include "world.h"

#define ALIAS "kilowg mesh=m protocol=107 port=51820"
/* Base64 of key(10), key(11), key(12). */
#define A "CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo="
#define B "CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws="
#define C "DAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw="

/* A leader with two peers, three routes and two rules, on a host that has all of it. */
static void make_leader(struct world *o)
{
	world_init(o);
	o->w.mesh = "m";
	o->w.protocol = PROTOCOL;
	o->w.ifname = "wg0";
	o->w.create = o->w.up = true;
	o->w.mtu = 1420;
	o->w.addr = prefix("10.4.0.1/16");
	o->w.subnet = prefix("10.4.0.0/16");
	o->w.wg = (struct kwgi_wg_device_conf){ .private_key = key(PRIVATE), .port = 51820 };
	o->w.public_key = key(PUBLIC);
	kwgi_mark_format(o->w.alias, "m", PROTOCOL, 51820, false);
	want_peer(o, 10, "a", "203.0.113.1:51820", "10.4.0.2/32 10.42.1.0/24");
	want_peer(o, 11, "b", "[2001:db8::2]:51820", "10.4.0.3/32 10.42.2.0/24");
	o->peers[1].keep_endpoint = true;
	o->peers[1].peer.keepalive = 25;
	o->peers[1].peer.psk = key(99);
	want_route(o, "10.42.1.0/24", "10.4.0.2", "192.168.1.1", "wg0", MAIN);
	want_route(o, "10.42.2.0/24", "10.4.0.3", "", "wg0", MAIN);
	want_route(o, "10.42.9.0/24", "192.168.1.9", "", "eth0", TABLE);
	o->rules[o->w.n_rules++] = rule("10.42.0.0/24", "192.168.1.9/32", "");
	o->rules[o->w.n_rules++] = rule("", "192.168.1.9/32", "wg0");
	mirror(o);
}

static void is_down(struct world *o)
{
	o->w.ifname = NULL;
	o->w.n_peers = o->w.n_routes = o->w.n_rules = 0;
	o->w.mtu = 0;
	o->w.up = false;
	o->w.addr = prefix("");
	memset(&o->h.wg, 0, sizeof(o->h.wg));
}

/* ---- one change each ------------------------------------------------- */

static void nothing(struct world *o) { (void)o; }

static void no_link(struct world *o)
{
	o->h.n_links = 1;
	o->h.n_addrs = o->h.n_routes = o->h.n_rules = 0;
	o->h.wg = (struct kwgi_host_wg){ 0 };
}

static void no_foreign_link(struct world *o)
{
	no_link(o);
	o->w.create = false;
	o->w.n_peers = o->w.n_routes = o->w.n_rules = 0;
}

static void other_mtu(struct world *o) { o->links[1].mtu = 1280; }
static void any_mtu(struct world *o) { o->links[1].mtu = 1280; o->w.mtu = 0; }
static void is_off(struct world *o) { o->links[1].up = false; }
static void other_port(struct world *o) { o->h.wg.port = 4242; }
static void other_fwmark(struct world *o) { o->w.wg.fwmark = 7; }
static void no_key(struct world *o) { o->h.wg.private_key = o->h.wg.public_key = key(0); }

/* A daemon that keeps its private key back, and has the right or a wrong one. */
static void hidden_key(struct world *o) { o->h.wg.private_key = key(0); }
static void hidden_wrong_key(struct world *o)
{
	hidden_key(o);
	o->h.wg.public_key = key(3);
}

static void becomes_follower(struct world *o)
{
	o->w.up = false;
	o->w.addr = prefix("");
	o->w.n_peers = 0;
	o->w.n_routes = 0;
	want_route(o, "10.42.1.0/24", "192.168.1.9", "", "eth0", MAIN);
}

/* ---- addresses ---- */

static void no_addr(struct world *o) { o->h.n_addrs = 0; }
static void other_addr(struct world *o) { o->addrs[0].prefix = prefix("10.4.0.7/16"); }
static void second_addr(struct world *o) { add_addr(o, WG, "192.168.77.1/24"); }
static void auto_addr(struct world *o)
{
	add_addr(o, WG, "fe80::1/64");
	o->addrs[1].auto_made = true;
}

static void addr_v6(struct world *o)
{
	o->w.addr = prefix("fd00::1/64");
	o->w.subnet = prefix("fd00::/64");
	o->addrs[0].prefix = prefix("fd00::2/64");
}

static void foreign_addr(struct world *o) { add_addr(o, ETH, "10.4.0.9/16"); }

/* ---- peers ---- */

static void no_peer(struct world *o) { o->h.wg.n_peers = 1; }
static void no_first_peer(struct world *o) { REMOVE(o->host_peers, o->h.wg.n_peers, 0); }
static void unknown_peer(struct world *o)
{
	o->w.n_peers = 1;
	o->host_peers[1].endpoint = endpoint("203.0.113.5:1");
}

static void moved_peer(struct world *o) { o->host_peers[0].endpoint = endpoint("203.0.113.9:9"); }
static void lost_endpoint(struct world *o) { o->host_peers[0].endpoint = endpoint(""); }
static void nameless_endpoint(struct world *o) { o->peers[0].peer.endpoint = endpoint(""); }
/* By packets of a session that works. */
static void learnt_endpoint(struct world *o)
{
	o->host_peers[1].endpoint = endpoint("198.51.100.1:1");
	o->w.now = 10000;
	o->host_peers[1].last_handshake = o->w.now - 120;
}

static void learnt_long_ago(struct world *o)
{
	learnt_endpoint(o);
	o->host_peers[1].last_handshake = o->w.now - 200;
}

static void unlearnt_endpoint(struct world *o) { o->host_peers[1].endpoint = endpoint(""); }
/* What WireGuard has learnt stays, also where the peer changes otherwise. */
static void learnt_and_changed(struct world *o)
{
	learnt_endpoint(o);
	o->host_peers[1].keepalive = 0;
}

static void other_keepalive(struct world *o) { o->host_peers[1].keepalive = 10; }
static void other_psk(struct world *o) { o->host_peers[1].psk = key(98); }
static void no_psk(struct world *o) { o->host_peers[1].psk = key(0); }
static void unwanted_psk(struct world *o) { o->host_peers[0].psk = key(98); }
static void fewer_ips(struct world *o) { o->host_peers[0].n_allowed_ips = 1; }
static void more_ips(struct world *o)
{
	o->host_ips[0][2] = prefix("10.42.7.0/24");
	o->host_peers[0].n_allowed_ips = 3;
}

static void other_ips(struct world *o) { o->host_ips[0][1] = prefix("10.42.7.0/24"); }
static void all_ips_gone(struct world *o) { o->peers[0].peer.n_allowed_ips = 0; }
static void handshakes(struct world *o)
{
	o->host_peers[0].last_handshake = 1234;
	o->host_peers[0].rx_bytes = 5;
}

/* ---- routes and rules ---- */

static void no_route(struct world *o) { REMOVE(o->host_routes, o->h.n_routes, 0); }
static void other_gw(struct world *o) { o->host_routes[0].gw = addr("10.4.0.3"); }
static void other_src(struct world *o) { o->host_routes[0].src = addr(""); }
static void other_link(struct world *o) { o->host_routes[0].oif = ETH; }
static void unknown_link(struct world *o) { o->host_routes[0].oif = 77; }
static void unwanted_route(struct world *o) { o->w.n_routes = 2; }
static void other_table(struct world *o) { o->host_routes[2].table = 1108; }
static void other_metric(struct world *o) { o->host_routes[1].metric = 1024; }
static void no_rule(struct world *o) { REMOVE(o->host_rules, o->h.n_rules, 0); }
static void unwanted_rule(struct world *o) { o->w.n_rules = 1; }
static void other_priority(struct world *o) { o->host_rules[1].priority = 1; }

/* ---- leftovers ---- */

static void renamed_link(struct world *o)
{
	memcpy(o->links[1].name, "old", 4);
	o->w.n_peers = o->w.n_routes = o->w.n_rules = 0;
	o->h.n_routes = o->h.n_rules = 0;
	o->h.wg = (struct kwgi_host_wg){ 0 };
}

/* Both daemons may want the port at once. */
static void renamed_daemon(struct world *o)
{
	memcpy(o->old_device.ifname, "old", 4);
	o->old_device.wg = o->h.wg;
	o->h.old_devices = &o->old_device;
	o->h.n_old_devices = 1;
	renamed_link(o);
	strcpy(o->links[1].kind, "tun");
	o->w.userspace = true;
	o->w.program = "daemon";
}

static void second_link(struct world *o)
{
	add_link(o, 6, "wg1", "wireguard", ALIAS);
	add_addr(o, 6, "10.4.0.9/16");
	o->host_routes[o->h.n_routes++] = route("10.42.7.0/24", "10.4.0.2", "", 6, MAIN);
}

static void other_mesh(struct world *o)
{
	add_link(o, 6, "wg1", "wireguard", "kilowg mesh=m2 protocol=108 port=51821");
	add_link(o, 7, "wg2", "wireguard", "somebody's own");
	add_link(o, 8, "wg3", "wireguard", "");
	add_link(o, 9, "wg4", "wireguard", "kilowg mesh=");
	add_addr(o, 6, "10.4.0.9/16");
	add_addr(o, 8, "10.4.0.8/16");
}

static void unfinished_link(struct world *o)
{
	char name[KWGI_IFNAME_MAX + 1];

	kwgi_mark_unfinished_name(name, "wg0");
	add_link(o, 6, name, "wireguard", "");
	note_making(o, name);
	/* Not ours by its name, nor because of the name alone. */
	kwgi_mark_unfinished_name(name, "wg1");
	add_link(o, 7, name, "wireguard", "");
	add_link(o, 9, "dummy0", "dummy", "");
	note_making(o, "dummy0");
}

static void left_aside(struct world *o)
{
	char name[KWGI_IFNAME_MAX + 1];

	kwgi_mark_aside_name(name, "wg0");
	add_link(o, 6, name, "wireguard", ALIAS);
}

/* A daemon makes room for the kernel; it knows better where the peer b is. */
static void other_backend(struct world *o)
{
	o->w.n_rules = o->h.n_rules = 0;
	memcpy(o->links[1].kind, "tun", 4);
	o->links[1].replaced = o->links[1].aside = true;
	o->h.aside_wg = o->h.wg;
	o->h.aside_wg.userspace = true;
	o->host_peers[1].endpoint = endpoint("203.0.113.7:7");
	o->w.now = 10000;
	o->host_peers[1].last_handshake = o->w.now - 120;
	o->h.wg = (struct kwgi_host_wg){ 0 };
	o->routes[0].route.oif = o->routes[1].route.oif = 0;
}

/* ---- the tunnel ---- */

#define TUNNEL_ALIAS "kilowg mesh=m protocol=107 tunnel"
#define MAC1 "02:00:00:00:00:01"
#define MAC2 "02:00:00:00:00:02"

static void set_tunnel(struct kwgi_desired_tunnel *t, const char *name, const char *kind)
{
	*t = (struct kwgi_desired_tunnel){ .kind = kind, .mtu = 1480, .neighs = t->neighs };
	strcpy(t->name, name);
	kwgi_mark_tunnel(t->alias, "m", PROTOCOL);
	t->conf.local = addr("192.168.1.1");
	t->addr = prefix("10.42.0.1/32");
}

static void add_neigh(struct kwgi_desired_tunnel *t, bool fdb, const char *a, uint8_t last)
{
	struct kwgi_host_neigh *n = &t->neighs[t->n_neighs++];

	*n = (struct kwgi_host_neigh){ .fdb = fdb, .addr = addr(a), .mac = { 2, 0, 0, 0, 0, last } };
}

/* One route through it. */
static void want_ipip(struct world *o)
{
	set_tunnel(&o->w.tunnel, "wg0-ipip", "ipip");
	o->routes[2].link = "wg0-ipip";
	o->routes[2].route.oif = 0;
	o->routes[2].route.table = MAIN;
}

static void want_vxlan(struct world *o)
{
	want_ipip(o);
	set_tunnel(&o->w.tunnel, "wg0-vxlan", "vxlan");
	o->routes[2].link = "wg0-vxlan";
	o->w.tunnel.mtu = 1450;
	o->w.tunnel.conf.id = 70000;
	o->w.tunnel.conf.port = 4789;
	o->w.tunnel.conf.mac[0] = 2;
	add_neigh(&o->w.tunnel, false, "192.168.1.9", 1);
	add_neigh(&o->w.tunnel, true, "192.168.1.9", 1);
}

static void has_ipip(struct world *o) { want_ipip(o); mirror(o); }
static void has_vxlan(struct world *o) { want_vxlan(o); mirror(o); }

static void no_tunnel(struct world *o)
{
	want_vxlan(o);
	REMOVE(o->host_routes, o->h.n_routes, 2);
}

static void ipip_to_vxlan(struct world *o)
{
	has_ipip(o);
	want_vxlan(o);
}

/* The kernel would not have both. */
static void other_local(struct world *o) { has_vxlan(o); o->links[2].tunnel.local = addr("192.168.1.7"); }
static void other_tunnel_name(struct world *o)
{
	has_ipip(o);
	strcpy(o->links[2].name, "tun9");
	o->routes[2].route.oif = 0;
}

static void other_tunnel_mtu(struct world *o) { has_ipip(o); o->links[2].mtu = 1400; }
static void tunnel_is_down(struct world *o) { has_ipip(o); o->links[2].up = false; }
static void other_tunnel_addr(struct world *o)
{
	has_ipip(o);
	o->addrs[1].prefix = prefix("10.42.0.3/32");
}

static void other_tunnel_mark(struct world *o)
{
	has_ipip(o);
	kwgi_mark_tunnel(o->links[2].alias, "m", 99);
}

static void node_moved(struct world *o)
{
	has_vxlan(o);
	o->neighs[1].addr = addr("192.168.1.8");
	o->neighs[0].mac[5] = 2;
}

static void node_gone(struct world *o)
{
	has_vxlan(o);
	o->w.tunnel.n_neighs = 0;
}

static void unfinished_tunnel(struct world *o)
{
	char name[KWGI_IFNAME_MAX + 1];

	kwgi_mark_unfinished_name(name, "t0");
	add_link(o, 6, name, "vxlan", "");
	note_making(o, name);
	kwgi_mark_unfinished_name(name, "t1");
	add_link(o, 7, name, "vxlan", "");
}

/* It has all that the wanted one has, and is nobody else's. */
static void unfinished_vxlan(struct world *o)
{
	want_vxlan(o);
	unfinished_tunnel(o);
	o->links[2].tunnel = o->w.tunnel.conf;
}

static void others_tunnels(struct world *o)
{
	has_ipip(o);
	add_link(o, 20, "tunl0", "ipip", "");
	add_link(o, 21, "calico", "vxlan", "");
	add_link(o, 22, "t2", "ipip", "kilowg mesh=m2 protocol=108 tunnel")->tunnel.local =
		addr("192.168.1.2");
}

static void foreign_tunnel(struct world *o)
{
	want_ipip(o);
	o->w.tunnel = (struct kwgi_desired_tunnel){ .name = "flannel.1" };
	add_link(o, TUNNEL, "flannel.1", "vxlan", "")->up = false;
	o->routes[2].link = "flannel.1";
	o->host_routes[2].table = MAIN;
	o->host_routes[2].oif = o->routes[2].route.oif = TUNNEL;
}

static void foreign_tunnel_up(struct world *o)
{
	foreign_tunnel(o);
	o->w.tunnel.set_up = true;
}

static void down_tunnel(struct world *o)
{
	has_vxlan(o);
	is_down(o);
	o->w.tunnel = (struct kwgi_desired_tunnel){ .kind = NULL };
	o->h.n_routes = o->h.n_rules = 0;
}

static void down_keeps_no_tunnel(struct world *o)
{
	down_tunnel(o);
	o->w.keep_link = true;
}

/* ---- links of others ---- */

static void adopts(struct world *o)
{
	o->w.create = false;
	kwgi_mark_format(o->w.alias, "m", PROTOCOL, 51820, true);
	o->links[1].alias[0] = '\0';
}

static void adopted_before(struct world *o)
{
	adopts(o);
	memcpy(o->links[1].alias, o->w.alias, sizeof(o->w.alias));
	add_addr(o, WG, "192.168.77.1/24");	/* not of the mesh: its owner's */
	add_addr(o, WG, "10.4.0.9/16");
}

/* The MTU that it had is noted, once. */
static void adopts_with_mtu(struct world *o)
{
	adopts(o);
	o->links[1].mtu = 1500;
}

static void adopted_with_mtu(struct world *o)
{
	adopts(o);
	kwgi_mark_adopted(o->links[1].alias, "m", PROTOCOL, 51820, 1500);
	o->links[1].mtu = 1280;
}

/* Who made a link does not change when the configuration does. */
static void made_before(struct world *o)
{
	o->w.create = false;
	kwgi_mark_format(o->w.alias, "m", PROTOCOL, 51820, true);
}

/* ---- taking down ---- */

static void down(struct world *o) { is_down(o); }

static void down_keeps_link(struct world *o)
{
	struct kwgi_host_wg wg = o->h.wg;

	is_down(o);
	o->w.keep_link = true;
	memcpy(o->old_device.ifname, "wg0", 4);
	o->old_device.wg = wg;
	o->h.old_devices = &o->old_device;
	o->h.n_old_devices = 1;
}

static void down_adopted(struct world *o)
{
	down_keeps_link(o);
	o->w.keep_link = false;
	kwgi_mark_adopted(o->links[1].alias, "m", PROTOCOL, 51820, 1500);
	add_addr(o, WG, "192.168.77.1/24");
}

static void down_nothing(struct world *o)
{
	is_down(o);
	o->h.n_links = 1;
	o->h.n_addrs = o->h.n_routes = o->h.n_rules = 0;
}

static void down_others(struct world *o)
{
	down_nothing(o);
	other_mesh(o);
}

static const struct {
	const char *name;
	void (*change)(struct world *o);
	const char *steps;
	const char *undo;	/* of each step, in their order; NULL: not looked at */
} cases[] = {
	{ "nothing", nothing, "", "" },
	{ "no link", no_link,
	  "+ link wg0 type wireguard\n"
	  "~ link wg0 mtu 1420\n"
	  "~ wireguard dev wg0 private-key (hidden) listen-port 51820\n"
	  "+ wireguard-peer " A " (a) dev wg0 endpoint 203.0.113.1:51820 persistent-keepalive 0 allowed-ips 10.4.0.2/32,10.42.1.0/24\n"
	  "+ wireguard-peer " B " (b) dev wg0 endpoint [2001:db8::2]:51820 persistent-keepalive 25 allowed-ips 10.4.0.3/32,10.42.2.0/24\n"
	  "~ link wg0 up\n"
	  "+ address 10.4.0.1/16 dev wg0\n"
	  "+ rule from 10.42.0.0/24 to 192.168.1.9/32 lookup 1107\n"
	  "+ rule from all to 192.168.1.9/32 iif wg0 lookup 1107\n"
	  "+ route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n"
	  "+ route 10.42.2.0/24 via 10.4.0.3 dev wg0 onlink\n"
	  "+ route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1107\n",
	  "- link wg0\n"
	  "~ link wg0 mtu 0\n"
	  "~ wireguard dev wg0 no private-key listen-port 0\n"
	  "- wireguard-peer " A " (a) dev wg0\n"
	  "- wireguard-peer " B " (b) dev wg0\n"
	  "~ link wg0 down\n"
	  "- address 10.4.0.1/16 dev wg0\n"
	  "- rule from 10.42.0.0/24 to 192.168.1.9/32 lookup 1107\n"
	  "- rule from all to 192.168.1.9/32 iif wg0 lookup 1107\n"
	  "- route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n"
	  "- route 10.42.2.0/24 via 10.4.0.3 dev wg0 onlink\n"
	  "- route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1107\n" },
	{ "no link, others make it", no_foreign_link,
	  "? link wg0, which somebody else makes\n"
	  "~ link wg0 mtu 1420\n"
	  "~ wireguard dev wg0 private-key (hidden) listen-port 51820\n"
	  "~ link wg0 up\n"
	  "+ address 10.4.0.1/16 dev wg0\n", NULL },
	{ "mtu", other_mtu, "~ link wg0 mtu 1420\n", "~ link wg0 mtu 1280\n" },
	{ "mtu auto", any_mtu, "", "" },
	{ "off", is_off, "~ link wg0 up\n", "~ link wg0 down\n" },
	{ "port", other_port, "~ wireguard dev wg0 listen-port 51820\n",
	  "~ wireguard dev wg0 listen-port 4242\n" },
	{ "fwmark", other_fwmark, "~ wireguard dev wg0 fwmark 7\n", "~ wireguard dev wg0 fwmark 0\n" },
	{ "no key", no_key, "~ wireguard dev wg0 private-key (hidden)\n",
	  "~ wireguard dev wg0 no private-key\n" },
	{ "hidden key", hidden_key, "", "" },
	{ "hidden wrong key", hidden_wrong_key, "~ wireguard dev wg0 private-key (hidden)\n", NULL },
	{ "follower", becomes_follower,
	  "~ route 10.42.1.0/24 via 192.168.1.9 dev eth0 onlink\n"
	  "- route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1107\n"
	  "- route 10.42.2.0/24 via 10.4.0.3 dev wg0 onlink\n"
	  "- address 10.4.0.1/16 dev wg0\n"
	  "~ link wg0 down\n"
	  "- wireguard-peer " B " dev wg0\n"
	  "- wireguard-peer " A " dev wg0\n", NULL },

	{ "no address", no_addr, "+ address 10.4.0.1/16 dev wg0\n", "- address 10.4.0.1/16 dev wg0\n" },
	/* the kernel drops later addresses of a subnet with the first, and routes with the last of a link */
	{ "other address", other_addr,
	  "+ address 10.4.0.1/32 dev wg0\n- address 10.4.0.7/16 dev wg0\n+ address 10.4.0.1/16 dev wg0\n- address 10.4.0.1/32 dev wg0\n",
	  "- address 10.4.0.1/32 dev wg0\n+ address 10.4.0.7/16 dev wg0\n- address 10.4.0.1/16 dev wg0\n+ address 10.4.0.1/32 dev wg0\n" },
	{ "IPv6 address", addr_v6, "+ address fd00::1/64 dev wg0\n- address fd00::2/64 dev wg0\n",
	  "- address fd00::1/64 dev wg0\n+ address fd00::2/64 dev wg0\n" },
	{ "second address", second_addr, "- address 192.168.77.1/24 dev wg0\n",
	  "+ address 192.168.77.1/24 dev wg0\n" },
	{ "the kernel's own address", auto_addr, "", "" },
	{ "address of another link", foreign_addr, "", "" },

	{ "no peer", no_peer,
	  "+ wireguard-peer " B " (b) dev wg0 endpoint [2001:db8::2]:51820 persistent-keepalive 25 allowed-ips 10.4.0.3/32,10.42.2.0/24\n",
	  "- wireguard-peer " B " (b) dev wg0\n" },
	{ "no first peer", no_first_peer,
	  "+ wireguard-peer " A " (a) dev wg0 endpoint 203.0.113.1:51820 persistent-keepalive 0 allowed-ips 10.4.0.2/32,10.42.1.0/24\n",
	  "- wireguard-peer " A " (a) dev wg0\n" },
	{ "unwanted peer", unknown_peer, "- wireguard-peer " B " dev wg0\n",
	  "+ wireguard-peer " B " dev wg0 endpoint 203.0.113.5:1 persistent-keepalive 25 allowed-ips 10.4.0.3/32,10.42.2.0/24\n" },
	{ "endpoint", moved_peer, "~ wireguard-peer " A " (a) dev wg0 endpoint 203.0.113.1:51820\n",
	  "~ wireguard-peer " A " (a) dev wg0 endpoint 203.0.113.9:9\n" },
	{ "no endpoint", lost_endpoint, "~ wireguard-peer " A " (a) dev wg0 endpoint 203.0.113.1:51820\n",
	  NULL },
	{ "no endpoint wanted", nameless_endpoint, "", "" },
	{ "learnt endpoint", learnt_endpoint, "", "" },
	{ "endpoint learnt long ago", learnt_long_ago,
	  "~ wireguard-peer " B " (b) dev wg0 endpoint [2001:db8::2]:51820\n",
	  "~ wireguard-peer " B " (b) dev wg0 endpoint 198.51.100.1:1\n" },
	{ "nothing learnt yet", unlearnt_endpoint,
	  "~ wireguard-peer " B " (b) dev wg0 endpoint [2001:db8::2]:51820\n", NULL },
	{ "learnt endpoint and a change", learnt_and_changed,
	  "~ wireguard-peer " B " (b) dev wg0 persistent-keepalive 25\n",
	  "~ wireguard-peer " B " (b) dev wg0 persistent-keepalive 0\n" },
	{ "keepalive", other_keepalive, "~ wireguard-peer " B " (b) dev wg0 persistent-keepalive 25\n",
	  "~ wireguard-peer " B " (b) dev wg0 persistent-keepalive 10\n" },
	{ "preshared key", other_psk, "~ wireguard-peer " B " (b) dev wg0 preshared-key (hidden)\n",
	  "~ wireguard-peer " B " (b) dev wg0 preshared-key (hidden)\n" },
	{ "no preshared key", no_psk, "~ wireguard-peer " B " (b) dev wg0 preshared-key (hidden)\n",
	  "~ wireguard-peer " B " (b) dev wg0 no preshared-key\n" },
	{ "unwanted preshared key", unwanted_psk, "~ wireguard-peer " A " (a) dev wg0 no preshared-key\n",
	  "~ wireguard-peer " A " (a) dev wg0 preshared-key (hidden)\n" },
	{ "fewer allowed IPs", fewer_ips,
	  "~ wireguard-peer " A " (a) dev wg0 allowed-ips 10.4.0.2/32,10.42.1.0/24\n",
	  "~ wireguard-peer " A " (a) dev wg0 allowed-ips 10.4.0.2/32\n" },
	{ "more allowed IPs", more_ips,
	  "~ wireguard-peer " A " (a) dev wg0 allowed-ips 10.4.0.2/32,10.42.1.0/24\n",
	  "~ wireguard-peer " A " (a) dev wg0 allowed-ips 10.4.0.2/32,10.42.1.0/24,10.42.7.0/24\n" },
	{ "other allowed IPs", other_ips,
	  "~ wireguard-peer " A " (a) dev wg0 allowed-ips 10.4.0.2/32,10.42.1.0/24\n",
	  "~ wireguard-peer " A " (a) dev wg0 allowed-ips 10.4.0.2/32,10.42.7.0/24\n" },
	{ "no allowed IPs", all_ips_gone, "~ wireguard-peer " A " (a) dev wg0 allowed-ips (none)\n",
	  "~ wireguard-peer " A " (a) dev wg0 allowed-ips 10.4.0.2/32,10.42.1.0/24\n" },
	{ "handshakes", handshakes, "", "" },

	{ "no route", no_route, "+ route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n",
	  "- route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n" },
	{ "next hop", other_gw, "~ route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n",
	  "~ route 10.42.1.0/24 via 10.4.0.3 dev wg0 src 192.168.1.1 onlink\n" },
	{ "source", other_src, "~ route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n",
	  "~ route 10.42.1.0/24 via 10.4.0.2 dev wg0 onlink\n" },
	{ "device", other_link, "~ route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n",
	  "~ route 10.42.1.0/24 via 10.4.0.2 dev eth0 src 192.168.1.1 onlink\n" },
	{ "device that has gone", unknown_link,
	  "~ route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n", NULL },
	{ "unwanted route", unwanted_route,
	  "- route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1107\n",
	  "+ route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1107\n" },
	{ "table", other_table,
	  "+ route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1107\n"
	  "- route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1108\n", NULL },
	{ "metric", other_metric, "+ route 10.42.2.0/24 via 10.4.0.3 dev wg0 onlink\n"
				  "- route 10.42.2.0/24 via 10.4.0.3 dev wg0 onlink metric 1024\n", NULL },
	{ "no rule", no_rule, "+ rule from 10.42.0.0/24 to 192.168.1.9/32 lookup 1107\n",
	  "- rule from 10.42.0.0/24 to 192.168.1.9/32 lookup 1107\n" },
	{ "unwanted rule", unwanted_rule, "- rule from all to 192.168.1.9/32 iif wg0 lookup 1107\n",
	  "+ rule from all to 192.168.1.9/32 iif wg0 lookup 1107\n" },
	{ "priority", other_priority, "+ rule from all to 192.168.1.9/32 iif wg0 lookup 1107\n"
				      "- rule from all to 192.168.1.9/32 iif wg0 lookup 1107 priority 1\n", NULL },

	/* the old link has the port that the new one needs, so it goes first */
	{ "renamed link", renamed_link,
	  "+ link wg0 type wireguard\n"
	  "~ link wg0 mtu 1420\n"
	  "~ wireguard dev wg0 private-key (hidden) listen-port 51820\n"
	  "- address 10.4.0.1/16 dev old\n"
	  "~ link old down\n"
	  "~ link wg0 up\n"
	  "+ address 10.4.0.1/16 dev wg0\n"
	  "- link old\n",
	  "- link wg0\n"
	  "~ link wg0 mtu 0\n"
	  "~ wireguard dev wg0 no private-key listen-port 0\n"
	  "+ address 10.4.0.1/16 dev old\n"
	  "~ link old up\n"
	  "~ link wg0 down\n"
	  "- address 10.4.0.1/16 dev wg0\n"
	  "+ link old type wireguard\n" },
	{ "renamed link of a daemon", renamed_daemon,
	  "+ link wg0 type tun by starting daemon wg0\n"
	  "~ link wg0 mtu 1420\n"
	  "~ wireguard dev wg0 private-key (hidden)\n"
	  "- address 10.4.0.1/16 dev old\n"
	  "~ link old down\n"
	  "~ wireguard dev old listen-port 0\n"
	  "~ wireguard dev wg0 listen-port 51820\n"
	  "~ link wg0 up\n"
	  "+ address 10.4.0.1/16 dev wg0\n"
	  "- link old\n", NULL },
	{ "second link", second_link,
	  "- route 10.42.7.0/24 via 10.4.0.2 dev wg1 onlink\n"
	  "- address 10.4.0.9/16 dev wg1\n"
	  "~ link wg1 down\n"
	  "- link wg1\n",
	  "+ route 10.42.7.0/24 via 10.4.0.2 dev wg1 onlink\n"
	  "+ address 10.4.0.9/16 dev wg1\n"
	  "~ link wg1 up\n"
	  "+ link wg1 type wireguard\n" },
	{ "links of others", other_mesh, "", "" },
	{ "unfinished link", unfinished_link, "- link kwgnewd1d4ddc9\n", NULL },
	{ "link left aside", left_aside, "- link kwgoldd1d4ddc9\n", NULL },
	/* the old link goes when all else is done */
	{ "other backend", other_backend,
	  "- route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n"
	  "- route 10.42.2.0/24 via 10.4.0.3 dev wg0 onlink\n"
	  "- address 10.4.0.1/16 dev wg0\n"
	  "~ link wg0 down\n"
	  "~ wireguard dev wg0 listen-port 0\n"
	  "~ link wg0 name kwgoldd1d4ddc9\n"
	  "+ link wg0 type wireguard\n"
	  "~ link wg0 mtu 1420\n"
	  "~ wireguard dev wg0 private-key (hidden) listen-port 51820\n"
	  "+ wireguard-peer " A " (a) dev wg0 endpoint 203.0.113.1:51820 persistent-keepalive 0 allowed-ips 10.4.0.2/32,10.42.1.0/24\n"
	  "+ wireguard-peer " B " (b) dev wg0 endpoint 203.0.113.7:7 persistent-keepalive 25 allowed-ips 10.4.0.3/32,10.42.2.0/24\n"
	  "~ link wg0 up\n"
	  "+ address 10.4.0.1/16 dev wg0\n"
	  "+ route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n"
	  "+ route 10.42.2.0/24 via 10.4.0.3 dev wg0 onlink\n"
	  "- link kwgoldd1d4ddc9\n", NULL },

	{ "no tunnel", no_tunnel,
	  "+ link wg0-vxlan type vxlan local 192.168.1.1 id 70000 port 4789 address 02:00:00:00:00:00 mtu 1450\n"
	  "~ link wg0-vxlan up\n"
	  "+ address 10.42.0.1/32 dev wg0-vxlan\n"
	  "+ neighbour 192.168.1.9 lladdr " MAC1 " dev wg0-vxlan\n"
	  "+ fdb " MAC1 " dst 192.168.1.9 dev wg0-vxlan\n"
	  "+ route 10.42.9.0/24 via 192.168.1.9 dev wg0-vxlan onlink\n",
	  "- link wg0-vxlan\n"
	  "~ link wg0-vxlan down\n"
	  "- address 10.42.0.1/32 dev wg0-vxlan\n"
	  "- neighbour 192.168.1.9 lladdr " MAC1 " dev wg0-vxlan\n"
	  "- fdb " MAC1 " dst 192.168.1.9 dev wg0-vxlan\n"
	  "- route 10.42.9.0/24 via 192.168.1.9 dev wg0-vxlan onlink\n" },
	{ "IPIP", has_ipip, "", "" },
	{ "VXLAN", has_vxlan, "", "" },
	/* the new one works before the route moves, and the old one until then */
	{ "from IPIP to VXLAN", ipip_to_vxlan,
	  "+ link wg0-vxlan type vxlan local 192.168.1.1 id 70000 port 4789 address 02:00:00:00:00:00 mtu 1450\n"
	  "~ link wg0-vxlan up\n"
	  "+ address 10.42.0.1/32 dev wg0-vxlan\n"
	  "+ neighbour 192.168.1.9 lladdr " MAC1 " dev wg0-vxlan\n"
	  "+ fdb " MAC1 " dst 192.168.1.9 dev wg0-vxlan\n"
	  "~ route 10.42.9.0/24 via 192.168.1.9 dev wg0-vxlan onlink\n"
	  "- address 10.42.0.1/32 dev wg0-ipip\n"
	  "~ link wg0-ipip down\n"
	  "- link wg0-ipip\n", NULL },
	{ "another local address", other_local,
	  "- route 10.42.9.0/24 via 192.168.1.9 dev wg0-vxlan onlink\n"
	  "- neighbour 192.168.1.9 lladdr " MAC1 " dev wg0-vxlan\n"
	  "- fdb " MAC1 " dst 192.168.1.9 dev wg0-vxlan\n"
	  "- address 10.42.0.1/32 dev wg0-vxlan\n"
	  "~ link wg0-vxlan down\n"
	  "- link wg0-vxlan\n"
	  "+ link wg0-vxlan type vxlan local 192.168.1.1 id 70000 port 4789 address 02:00:00:00:00:00 mtu 1450\n"
	  "~ link wg0-vxlan up\n"
	  "+ address 10.42.0.1/32 dev wg0-vxlan\n"
	  "+ neighbour 192.168.1.9 lladdr " MAC1 " dev wg0-vxlan\n"
	  "+ fdb " MAC1 " dst 192.168.1.9 dev wg0-vxlan\n"
	  "+ route 10.42.9.0/24 via 192.168.1.9 dev wg0-vxlan onlink\n", NULL },
	{ "another name", other_tunnel_name,
	  "- route 10.42.9.0/24 via 192.168.1.9 dev tun9 onlink\n"
	  "- address 10.42.0.1/32 dev tun9\n"
	  "~ link tun9 down\n"
	  "~ link tun9 name wg0-ipip\n"
	  "~ link wg0-ipip up\n"
	  "+ address 10.42.0.1/32 dev wg0-ipip\n"
	  "+ route 10.42.9.0/24 via 192.168.1.9 dev wg0-ipip onlink\n",
	  "+ route 10.42.9.0/24 via 192.168.1.9 dev tun9 onlink\n"
	  "+ address 10.42.0.1/32 dev tun9\n"
	  "~ link tun9 up\n"
	  "~ link wg0-ipip name tun9\n"
	  "~ link wg0-ipip down\n"
	  "- address 10.42.0.1/32 dev wg0-ipip\n"
	  "- route 10.42.9.0/24 via 192.168.1.9 dev wg0-ipip onlink\n" },
	{ "tunnel MTU", other_tunnel_mtu, "~ link wg0-ipip mtu 1480\n", "~ link wg0-ipip mtu 1400\n" },
	{ "tunnel is down", tunnel_is_down, "~ link wg0-ipip up\n", "~ link wg0-ipip down\n" },
	{ "tunnel address", other_tunnel_addr,
	  "+ address 10.42.0.1/32 dev wg0-ipip\n- address 10.42.0.3/32 dev wg0-ipip\n", NULL },
	{ "tunnel mark", other_tunnel_mark, "~ link wg0-ipip alias \"" TUNNEL_ALIAS "\"\n", NULL },
	{ "a node has moved", node_moved,
	  "~ neighbour 192.168.1.9 lladdr " MAC1 " dev wg0-vxlan\n"
	  "~ fdb " MAC1 " dst 192.168.1.9 dev wg0-vxlan\n",
	  "~ neighbour 192.168.1.9 lladdr " MAC2 " dev wg0-vxlan\n"
	  "~ fdb " MAC1 " dst 192.168.1.8 dev wg0-vxlan\n" },
	{ "a node is gone", node_gone,
	  "- fdb " MAC1 " dst 192.168.1.9 dev wg0-vxlan\n"
	  "- neighbour 192.168.1.9 lladdr " MAC1 " dev wg0-vxlan\n",
	  "+ fdb " MAC1 " dst 192.168.1.9 dev wg0-vxlan\n"
	  "+ neighbour 192.168.1.9 lladdr " MAC1 " dev wg0-vxlan\n" },
	{ "unfinished tunnel where one is wanted", unfinished_vxlan, NULL, NULL },
	{ "unfinished tunnel", unfinished_tunnel, "~ link kwgnew0944ee69 down\n- link kwgnew0944ee69\n", NULL },
	{ "others' tunnels", others_tunnels, "", "" },
	{ "a tunnel that others make", foreign_tunnel, "", "" },
	{ "the same, to be set up", foreign_tunnel_up, "~ link flannel.1 up\n", NULL },
	{ "down with a tunnel", down_tunnel, "- link wg0-vxlan\n- link wg0\n", NULL },
	{ "down, link stays, tunnel does not", down_keeps_no_tunnel, "- link wg0-vxlan\n- address 10.4.0.1/16 dev wg0\n~ link wg0 down\n", NULL },

	{ "adopts", adopts, "~ link wg0 alias \"" ALIAS " adopted\"\n", "~ link wg0 alias \"\"\n" },
	{ "adopts, other MTU", adopts_with_mtu,
	  "~ link wg0 alias \"" ALIAS " mtu=1500 adopted\"\n~ link wg0 mtu 1420\n",
	  "~ link wg0 alias \"\"\n~ link wg0 mtu 1500\n" },
	{ "adopted with another MTU", adopted_with_mtu, "~ link wg0 mtu 1420\n", NULL },
	{ "adopted before", adopted_before, "- address 10.4.0.9/16 dev wg0\n", NULL },
	{ "made before", made_before, "", "" },

	{ "down", down,
	  "- route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1107\n"
	  "- route 10.42.2.0/24 via 10.4.0.3 dev wg0 onlink\n"
	  "- route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink\n"
	  "- rule from 10.42.0.0/24 to 192.168.1.9/32 lookup 1107\n"
	  "- rule from all to 192.168.1.9/32 iif wg0 lookup 1107\n"
	  "- link wg0\n", NULL },
	{ "down, link stays", down_keeps_link, NULL, NULL },
	{ "down, adopted", down_adopted, NULL, NULL },
	{ "down, nothing there", down_nothing, "", "" },
	{ "down, links of others", down_others, "", "" },
};

static char *text_of(const struct kwgi_steps *s, bool undo)
{
	struct kwgi_buf b = { 0 };
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		kwgi_step_format(&b, &s->v[i], s->host, undo);
		kwgi_buf_putc(&b, '\n');
	}
	return kwgi_buf_take(&b, NULL);
}

static void compare(const char *name, const char *what, char *got, const char *want)
{
	ck_assert_msg(!want || !strcmp(got, want), "%s: %s, wanted:\n%s\ngot:\n%s", name, what, want, got);
	free(got);
}

START_TEST(texts)
{
	struct kwg_error err = { 0 };
	struct kwgi_steps s = { 0 };
	struct world o;
	int ret;

	make_leader(&o);
	cases[_i].change(&o);
	ret = kwgi_steps_diff(&s, &o.w, &o.h, &err);
	ck_assert_msg(!ret, "%s: %s", cases[_i].name, err.text);
	compare(cases[_i].name, "steps", text_of(&s, false), cases[_i].steps);
	compare(cases[_i].name, "undo", text_of(&s, true), cases[_i].undo);
	kwgi_steps_clear(&s);
}
END_TEST

/* ---- the order when much changes ------------------------------------- */

static bool makes(const struct kwgi_step *s)
{
	switch ((enum kwgi_step_kind)s->kind) {
	case KWGI_STEP_PEER_SET:
	case KWGI_STEP_RULE_ADD:
	case KWGI_STEP_ROUTE_ADD:
	case KWGI_STEP_ROUTE_CHANGE:
		return true;
	default:
		return false;
	}
}

static bool breaks(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_PEER_DEL || s->kind == KWGI_STEP_RULE_DEL ||
	       s->kind == KWGI_STEP_ROUTE_DEL || s->kind == KWGI_STEP_LINK_DOWN;
}

START_TEST(makes_before_it_breaks)
{
	struct kwg_error err = { 0 };
	struct kwgi_steps s = { 0 };
	uint32_t i, first_break = UINT32_MAX, last_make = 0;
	struct world o;

	make_leader(&o);
	o.host_peers[0].key = key(9);
	o.host_peers[1].keepalive = 0;
	o.host_routes[0].dst = prefix("10.42.77.0/24");
	o.host_routes[1].gw = addr("10.4.0.9");
	o.host_rules[1].dst = prefix("192.168.1.8/32");
	ck_assert_int_eq(kwgi_steps_diff(&s, &o.w, &o.h, &err), 0);
	ck_assert_uint_eq(s.n, 8);
	for (i = 0; i < s.n; i++) {
		if (makes(&s.v[i]))
			last_make = i;
		if (breaks(&s.v[i]) && first_break > i)
			first_break = i;
	}
	ck_assert_uint_eq(last_make, 4);
	ck_assert_uint_eq(first_break, 5);
	/* Traffic moves away from a peer before the peer goes. */
	ck_assert_int_eq(s.v[5].kind, KWGI_STEP_ROUTE_DEL);
	ck_assert_int_eq(s.v[6].kind, KWGI_STEP_RULE_DEL);
	ck_assert_int_eq(s.v[7].kind, KWGI_STEP_PEER_DEL);
	kwgi_steps_clear(&s);
}
END_TEST

/* ---- what is refused ------------------------------------------------- */

static void foreign_link(struct world *o) { memcpy(o->links[1].alias, "", 1); }
static void foreign_alias(struct world *o) { memcpy(o->links[1].alias, "mine", 5); }
static void adopt_alias(struct world *o)
{
	adopts(o);
	memcpy(o->links[1].alias, "mine", 5);
}

static void rival_on_link(struct world *o)
{
	kwgi_mark_format(o->links[1].alias, "m2", 108, 51820, false);
}

static void rival_protocol(struct world *o)
{
	add_link(o, 6, "wg1", "wireguard", "kilowg mesh=m2 protocol=107 port=4");
}

static void rival_port(struct world *o)
{
	add_link(o, 6, "wg1", "wireguard", "kilowg mesh=m2 protocol=108 port=51820");
}

static void tunnel_name_taken(struct world *o)
{
	want_ipip(o);
	add_link(o, 6, "wg0-ipip", "bridge", "");
}

/* Ours, but the WireGuard interface of before. */
static void tunnel_name_ours(struct world *o)
{
	want_ipip(o);
	add_link(o, 6, "wg0-ipip", "wireguard", ALIAS);
}

static void tunnel_is_link(struct world *o) { strcpy(o->links[1].alias, TUNNEL_ALIAS); }

static void second_ipip(struct world *o)
{
	want_ipip(o);
	add_link(o, 6, "other", "ipip", "")->tunnel.local = addr("192.168.1.1");
}

static void second_vxlan(struct world *o)
{
	want_vxlan(o);
	add_link(o, 6, "other", "vxlan", "")->tunnel = o->w.tunnel.conf;
	o->links[2].tunnel.local = addr("");
}

static void rival_tunnel(struct world *o)
{
	add_link(o, 6, "t2", "vxlan", "kilowg mesh=m2 protocol=107 tunnel");
}

static const struct {
	void (*change)(struct world *o);
	int ret;
	const char *text;	/* beginning */
} refusals[] = {
	{ tunnel_name_taken, KWG_ERR_KERNEL, "wg0-ipip: the interface exists but is no tunnel of this mesh" },
	{ tunnel_name_ours, KWG_ERR_KERNEL, "wg0-ipip: the interface exists but is no tunnel of this mesh" },
	{ tunnel_is_link, KWG_ERR_KERNEL, "wg0: the interface exists but was not made by kilowg" },
	{ second_ipip, KWG_ERR_KERNEL, "wg0-ipip: the interface other is an IPIP tunnel of 192.168.1.1 already" },
	{ second_vxlan, KWG_ERR_KERNEL, "wg0-vxlan: the interface other has the VXLAN identifier 70000 and port 4789" },
	{ rival_tunnel, KWG_ERR_CONFIG, "t2 belongs to another mesh that has route-protocol 107" },
	{ foreign_link, KWG_ERR_KERNEL, "wg0: the interface exists but was not made by kilowg: it is foreign, of kind wireguard; " },
	{ foreign_alias, KWG_ERR_KERNEL, "wg0: the interface exists but was not made by kilowg" },
	{ adopt_alias, KWG_ERR_KERNEL, "wg0: the interface carries the alias \"mine\" of somebody else" },
	{ rival_on_link, 0, "wg0" },
	{ rival_protocol, KWG_ERR_CONFIG, "wg1 belongs to another mesh that has route-protocol 107" },
	{ rival_port, KWG_ERR_CONFIG, "wg1 belongs to another mesh that uses port 51820" },
};

START_TEST(refuses)
{
	struct kwg_error err = { 0 };
	struct kwgi_steps s = { 0 };
	struct world o;
	int ret;

	make_leader(&o);
	refusals[_i].change(&o);
	ret = kwgi_steps_diff(&s, &o.w, &o.h, &err);
	ck_assert_msg(ret < 0 && (!refusals[_i].ret || ret == refusals[_i].ret), "case %d: %d", _i, ret);
	ck_assert_int_eq(err.status, ret);
	ck_assert_msg(!strncmp(err.text, refusals[_i].text, strlen(refusals[_i].text)), "case %d: %s", _i,
		      err.text);
	ck_assert_uint_eq(s.n, 0);
	kwgi_steps_clear(&s);
}
END_TEST

/* ---- taking down what stays ------------------------------------------ */

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);
	const char *p;

	for (p = text; (p = strstr(p, line)); p++)
		if ((p == text || p[-1] == '\n') && p[len] == '\n')
			return true;
	return false;
}

/* A link that stays loses all that was put on it, and its mark if it is another's. */
START_TEST(down_empties_what_stays)
{
	static const char *const lines[] = {
		"- route 10.42.1.0/24 via 10.4.0.2 dev wg0 src 192.168.1.1 onlink",
		"- route 10.42.9.0/24 via 192.168.1.9 dev eth0 onlink table 1107",
		"- rule from all to 192.168.1.9/32 iif wg0 lookup 1107",
		"- address 10.4.0.1/16 dev wg0",
		"- wireguard-peer " A " dev wg0", "- wireguard-peer " B " dev wg0",
		"~ wireguard dev wg0 no private-key listen-port 0", "~ link wg0 down",
	};
	struct kwg_error err = { 0 };
	struct kwgi_steps s = { 0 };
	struct world o;
	char *text;
	size_t i;

	make_leader(&o);
	if (_i)
		down_adopted(&o);
	else
		down_keeps_link(&o);
	ck_assert_int_eq(kwgi_steps_diff(&s, &o.w, &o.h, &err), 0);
	text = text_of(&s, false);
	for (i = 0; i < N_OF(lines); i++)
		ck_assert_msg(has_line(text, lines[i]), "no \"%s\" in\n%s", lines[i], text);
	ck_assert_msg(!strstr(text, "192.168.77.1"), "takes the owner's address away:\n%s", text);
	ck_assert_msg(!strstr(text, "- link"), "removes the link:\n%s", text);
	ck_assert_int_eq(has_line(text, "~ link wg0 alias \"\""), _i);
	ck_assert_int_eq(has_line(text, "~ link wg0 mtu 1500"), _i);
	free(text);
	kwgi_steps_clear(&s);
}
END_TEST

/* ---- marks ----------------------------------------------------------- */

static const struct {
	const char *alias, *mesh;
	bool ours, adopted, rival;
	uint32_t protocol, port;
} marks[] = {
	{ "kilowg mesh=m protocol=107 port=51820", "m", true, false, false, 107, 51820 },
	{ "kilowg mesh=m protocol=107 port=51820 adopted", "m", true, true, false, 107, 51820 },
	{ "kilowg mesh=m protocol=107", "m", true, false, false, 107, 0 },
	{ "kilowg mesh=m protocol=107", "mm", false, false, true, 107, 0 },
	{ "kilowg mesh=mm protocol=107", "m", false, false, true, 107, 0 },
	{ "kilowg mesh=m protocol=1071", "x", false, false, true, 1071, 0 },
	{ "kilowg mesh=m", "m", false, false, true, 0, 0 },
	{ "Kilowg mesh=m protocol=107", "m", false, false, false, 107, 0 },
	{ " kilowg mesh=m protocol=107", "m", false, false, false, 107, 0 },
	{ "", "m", false, false, false, 0, 0 },
	{ " adopted", "m", false, false, false, 0, 0 },
	{ "uplink", "m", false, false, false, 0, 0 },
};

static const struct kwgi_owner *owner(const char *mesh)
{
	static struct kwgi_owner o;

	o.mesh = mesh;
	return &o;
}

START_TEST(reads_former_names)
{
	static const char *const former[] = { "old", "older" };
	const struct kwgi_owner o = { "new", former, 2 };

	ck_assert(kwgi_mark_is_ours("kilowg mesh=new protocol=107 port=1", &o));
	ck_assert(kwgi_mark_is_ours("kilowg mesh=old protocol=107 port=1", &o));
	ck_assert(kwgi_mark_is_ours("kilowg mesh=older protocol=107 tunnel", &o));
	ck_assert(!kwgi_mark_is_rival("kilowg mesh=older protocol=107 tunnel", &o));
	ck_assert(!kwgi_mark_is_ours("kilowg mesh=ol protocol=107 port=1", &o));
	ck_assert(kwgi_mark_is_rival("kilowg mesh=oldest protocol=107 port=1", &o));
	ck_assert(!kwgi_mark_is_ours("kilowg mesh=new protocol=107 port=1", &(struct kwgi_owner){ 0 }));
}
END_TEST

START_TEST(reads_marks)
{
	size_t i;

	for (i = 0; i < N_OF(marks); i++) {
		const char *a = marks[i].alias;

		ck_assert_msg(kwgi_mark_is_ours(a, owner(marks[i].mesh)) == marks[i].ours, "%s", a);
		ck_assert_msg(kwgi_mark_is_adopted(a) == marks[i].adopted, "%s", a);
		ck_assert_msg(kwgi_mark_is_rival(a, owner(marks[i].mesh)) == marks[i].rival, "%s", a);
		ck_assert_uint_eq(kwgi_mark_number(a, " protocol="), marks[i].protocol);
		ck_assert_uint_eq(kwgi_mark_number(a, " port="), marks[i].port);
	}
}
END_TEST

START_TEST(writes_marks)
{
	char alias[KWGI_ALIAS_MAX], name[KWGI_IFNAME_MAX + 1], other[KWGI_IFNAME_MAX + 1], *mesh;

	kwgi_mark_format(alias, "m", 107, 51820, false);
	ck_assert_str_eq(alias, ALIAS);
	kwgi_mark_format(alias, "m", 107, 51820, true);
	ck_assert_str_eq(alias, ALIAS " adopted");
	kwgi_mark_adopted(alias, "m", 107, 51820, 0);
	ck_assert_str_eq(alias, ALIAS " adopted");
	kwgi_mark_adopted(alias, "m", 107, 51820, 1500);
	ck_assert_str_eq(alias, ALIAS " mtu=1500 adopted");
	ck_assert(kwgi_mark_is_ours(alias, owner("m")) && kwgi_mark_is_adopted(alias));
	ck_assert_uint_eq(kwgi_mark_number(alias, " mtu="), 1500);
	/* The longest name of a mesh leaves all of it in place. */
	mesh = malloc(64);
	memset(mesh, 'm', 63);
	mesh[63] = '\0';
	kwgi_mark_format(alias, mesh, 255, 65535, true);
	ck_assert(kwgi_mark_is_ours(alias, owner(mesh)) && kwgi_mark_is_adopted(alias));
	ck_assert_uint_eq(kwgi_mark_number(alias, " port="), 65535);
	free(mesh);
	kwgi_mark_unfinished_name(name, "wg0");
	kwgi_mark_unfinished_name(other, "wg1");
	ck_assert_str_ne(name, other);
	ck_assert_uint_le(strlen(name), KWGI_IFNAME_MAX);
	kwgi_mark_tunnel(alias, "m", 107);
	ck_assert_str_eq(alias, TUNNEL_ALIAS);
	ck_assert(kwgi_mark_is_tunnel(alias) && kwgi_mark_is_ours(alias, owner("m")) && !kwgi_mark_is_adopted(alias));
	ck_assert(!kwgi_mark_is_tunnel(ALIAS) && !kwgi_mark_is_tunnel("my tunnel"));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, texts, 0, N_OF(cases));
	tcase_add_test(tc, makes_before_it_breaks);
	tcase_add_loop_test(tc, refuses, 0, N_OF(refusals));
	tcase_add_loop_test(tc, down_empties_what_stays, 0, 2);
	tcase_add_test(tc, reads_former_names);
	tcase_add_test(tc, reads_marks);
	tcase_add_test(tc, writes_marks);
}

int main(void)
{
	return unit_run("steps", add);
}
