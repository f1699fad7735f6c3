/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Typed values: what each key accepts and refuses, at its borders. */
#include "unit.h"

#define K1 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X253 X63 X63 X63 X63 "x"

/* Whether "[section] key = value" is accepted. Values are separated by "|". */
static const struct {
	const char *section, *key, *good, *bad;
} values[] = {
	/* A yes alone asks for an [end] that is not there. */
	{ "mesh", "end-marker", "no|off|yes\n[end]|true\n[end]", "|Yes|1|yes|on" },
	{ "mesh", "granularity", "location|full", "|Location|locations|full,full" },
	{ "mesh", "encapsulation", "always|cross-subnet|never", "|crosssubnet|yes" },
	{ "mesh", "encapsulation-protocol", "ipip|vxlan", "|IPIP|vxlan,ipip|gre" },
	{ "mesh", "vxlan-port", "1|4789|65535", "|0|65536|auto" },
	{ "mesh", "vxlan-id", "auto|1|16777215", "|0|16777216|Auto" },
	{ "mesh", "compatibility", "none|flannel|cilium", "|calico|no" },
	{ "mesh", "node-requirements", "auto|kilo|minimal", "|strict|yes" },
	{ "mesh", "subnet", "10.4.0.0/16|0.0.0.0/0|fd00::/64|1.2.3.4/32|::/0",
	  "|10.4.0.0|10.4.0.1/16|10.4.0.0/33|fd00::/129|10.4.0.0/16,10.5.0.0/16|a/8" },
	{ "mesh", "port", "1|65535|51820|endpoint", "|0|65536|-1|+1|01|1.0|0x1|51820 1|Endpoint" },
	{ "mesh", "name", "a|kilo|A-b_c.9|" X63, "|.a|a b|a/b|\xc3\xa4|" X63 "x" },
	{ "mesh", "trusted-network", "198.51.100.0/24|198.51.100.0/24, 2001:db8::/32", "|198.51.100.7/24|198.51.100.0|public" },
	{ "mesh", "service-cidr", "10.0.0.0/8|10.0.0.0/8,fd00::/8|10.0.0.0/8 , 11.0.0.0/8",
	  "|,|10.0.0.0/8,|,10.0.0.0/8|10.0.0.0/8;11.0.0.0/8|10.0.0.0/8 11.0.0.0/8|10.0.0.1/8" },

	{ "local", "node", "a|A B|" X253, "|" X253 "x|a\tb" },
	{ "local", "interface", "a|kilo0|wg-0.1_x|abcdefghijklmno", "|abcdefghijklmnop|a b|a/b|a:b|a%d|.|.." },
	{ "local", "tunnel-interface", "auto|a|tunl1|abcdefghijklmno", "|abcdefghijklmnop|a b|a/b|a:b|a%d|.|.." },
	{ "local", "backend", "auto|kernel|userspace|external", "|none|wireguard-go" },
	{ "local", "create-interface", "yes|no|true|false|on|off", "|1|0|y|Yes|TRUE|enabled" },
	{ "local", "clean-up-interface", "yes|no", "|2" },
	{ "local", "manage-local-routes", "yes|no", "|2" },
	{ "local", "forward-rules", "yes|no", "|2" },
	{ "local", "cni", "yes|no", "|2" },
	{ "local", "interface-timeout", "0|86400|30s|1m30s|24h|1.5h", "|86401|-1|24h1s|1d|soon" },
	{ "local", "resolve-timeout", "0|60|5s|1m", "|61|-1|1m1s|never" },
	{ "local", "private-key-file", "/|/a b", "|a|./a|~/a" },
	{ "local", "cni-path", "/etc/x", "|etc/x" },
	{ "local", "port", "1|65535", "|0|65536|endpoint" },
	{ "local", "mtu", "auto|1280|65455", "|1279|65456|Auto|0" },
	{ "local", "firewall", "nftables|iptables|none", "|nft|no" },
	{ "local", "route-table", "1|252|256|4294967295", "|0|253|254|255|4294967296|main" },
	{ "local", "route-protocol", "5|255", "|0|4|256|static" },
	{ "local", "route-metric", "0|4294967295", "|4294967296|-1|0x1|low" },
	{ "local", "allow-cover", "10.0.0.0/8|10.0.0.0/8,fd00::/8", "|10.0.0.1/8|-" },
	{ "local", "rule-priority", "0|32765", "|32766|-1|main" },
	{ "local", "default-route", "yes|no", "|2|kilo0" },
	{ "local", "default-route-table", "1|252|256|4294967295", "|0|253|254|255|4294967296|main" },
	{ "local", "fail-closed", "yes|no", "|2" },
	{ "local", "max-shrink", "0|50|100", "|101|-1|50%" },
	{ "local", "fwmark", "0|4294967295", "|4294967296|0x1|-1" },

	{ "node", "name", "a|\xc3\xa4 b|" X253, "|" X253 "x|a\x01|\x7f" },
	{ "node", "location", "a||" X253, X253 "x|a\tb" },
	{ "node", "endpoint", "1.2.3.4:1|[::1]:65535|a.b:1", "|a|a:0|a:65536|::1:1|A:1|[a]:1|1.2.3.4" },
	{ "node", "endpoint-address", "1.2.3.4|::1", "|a.b|1.2.3.4:1|1.2.3.4/32" },
	{ "node", "public-key", K1, "|x|AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=|" K1 "x" },
	{ "node", "internal-ip", "10.0.0.1/8|10.0.0.1/32|fd00::1/64|-", "|10.0.0.1|10.0.0.1/33|--|no" },
	{ "node", "pod-cidr", "10.0.0.0/8|10.0.0.0/8,fd00::/8", "|10.0.0.1/8|-" },
	{ "node", "leader", "yes|no|true|false|on|off", "|1|maybe" },
	{ "node", "persistent-keepalive", "0|65535|25s|1h", "|65536|-1|18h12m16s|off" },
	{ "node", "allowed-location-ip", "10.0.0.0/8|0.0.0.0/0,::/0", "|10.0.0.1/8" },
	{ "node", "discovered-endpoint", K1 " 1.2.3.4:5|" K1 "\t[::1]:5|" K1 "   a.b:5|" K1 " -|" K1 " a:1, " K1 " b:2",
	  "|" K1 "|" K1 " |" K1 "1.2.3.4:5|1.2.3.4:5|x 1.2.3.4:5|" K1 " 1.2.3.4|" K1 " --" },
	{ "node", "cni-compatibility-ip", "10.0.0.1|10.0.0.1/24|fd00::1|fd00::1/128", "|10.0.0.1/33|x|-" },

	{ "peer", "name", "a|" X253, "|" X253 "x" },
	{ "peer", "public-key", K1, "|x" },
	{ "peer", "preshared-key", K1, "|x|AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
	{ "peer", "preshared-key-file", "/a", "|a" },
	{ "peer", "allowed-ip", "10.0.0.1/32|10.0.0.0/8,fd00::/8", "|10.0.0.1|10.0.0.1/24" },
	{ "peer", "endpoint", "1.2.3.4:1|a.b:1", "|a" },
	{ "peer", "endpoint-address", "1.2.3.4|::1", "|a" },
	{ "peer", "persistent-keepalive", "0|65535|1m", "|65536" },
	{ "peer", "address", "10.5.0.1|10.5.0.1/24|fd00::1/64", "|10.5.0.1/33|x|-" },
	{ "peer", "dns", "10.5.0.53|fd00::53", "|10.5.0.53/32|dns.example.org" },
	{ "peer", "mtu", "auto|1280|65455", "|0|1279|65456" },
};

static uint32_t errors_of(const char *text)
{
	struct kwg_config cfg;
	uint32_t n;

	config_read(&cfg, text);
	n = cfg.diags.errors;
	kwgi_arena_free(&cfg.arena);
	return n;
}

static void check_values(const char *section, const char *k, const char *list, bool good)
{
	struct kwgi_buf b = { 0 };
	const char *end;

	for (;; list = end + 1) {
		end = strchr(list, '|');
		kwgi_buf_printf(&b, "[%s]\n%s = %.*s\n", section, k,
				end ? (int)(end - list) : (int)strlen(list), list);
		ck_assert_msg(!errors_of(b.p) == good, "%s:\n%s", good ? "refused" : "accepted", b.p);
		kwgi_buf_free(&b);
		if (!end)
			return;
	}
}

START_TEST(accepts_and_refuses)
{
	check_values(values[_i].section, values[_i].key, values[_i].good, true);
	check_values(values[_i].section, values[_i].key, values[_i].bad, false);
}
END_TEST

/* Every key of the format stands in the table above. */
START_TEST(all_keys_are_tested)
{
	struct kwgi_buf b = { 0 };
	char *line, *rest, name[64];
	size_t i, n = 0;

	kwgi_config_keys(&b);
	for (rest = b.p; (line = strtok_r(rest, "\n", &rest)); n++) {
		for (i = 0; i < N_OF(values); i++) {
			snprintf(name, sizeof(name), "%s\t%s\t", values[i].section, values[i].key);
			if (!strncmp(line, name, strlen(name)))
				break;
		}
		ck_assert_msg(i < N_OF(values) || !strncmp(line, "mesh\tformat\t", 12), "not tested: %s",
			      line);
	}
	ck_assert_uint_eq(n, N_OF(values) + 1);
	kwgi_buf_free(&b);
}
END_TEST

START_TEST(format)
{
	ck_assert_uint_eq(errors_of("[mesh]\nformat = 1\n"), 0);
	ck_assert_uint_eq(errors_of("[mesh]\nformat = 0\n"), 1);
	ck_assert_uint_eq(errors_of("[mesh]\nformat = 2\n"), 1);
	ck_assert_uint_eq(errors_of("[mesh]\nformat = one\n"), 1);
}
END_TEST

/* ---- what becomes of a value ----------------------------------------- */

START_TEST(defaults)
{
	struct kwgi_prefix subnet = prefix("10.4.0.0/16");
	struct kwg_config c;

	config_read(&c, "");
	ck_assert(kwgi_prefix_equal(&c.mesh.subnet, &subnet));
	ck_assert_uint_eq(c.mesh.port, 51820);
	ck_assert_uint_eq(c.mesh.granularity, KWGI_GRANULARITY_LOCATION);
	ck_assert_uint_eq(c.mesh.encapsulation, KWGI_ENCAP_ALWAYS);
	ck_assert_uint_eq(c.mesh.compatibility, KWGI_COMPAT_NONE);
	ck_assert_uint_eq(c.mesh.format, 0);
	ck_assert_str_eq(c.mesh.name, "kilo");
	ck_assert_ptr_null(c.local.node);
	ck_assert_str_eq(c.local.interface, "kilo0");
	ck_assert_str_eq(c.local.private_key_file, "/var/lib/kilowg/key");
	ck_assert_str_eq(c.local.cni_path, "/etc/cni/net.d/10-kilo.conflist");
	ck_assert_uint_eq(c.local.backend, KWGI_BACKEND_AUTO);
	ck_assert_uint_eq(c.local.firewall, KWGI_FIREWALL_NFTABLES);
	ck_assert(c.local.create_interface && c.local.clean_up_interface && c.local.manage_local_routes);
	ck_assert(!c.local.forward_rules && !c.local.cni);
	ck_assert_uint_eq(c.local.interface_timeout, 30);
	ck_assert_uint_eq(c.local.port, 0);
	ck_assert_uint_eq(c.local.mtu, KWGI_MTU_AUTO);
	ck_assert_uint_eq(c.local.route_table, 1107);
	ck_assert_uint_eq(c.local.fwmark, 0);
	ck_assert(!c.local.fail_closed);
	ck_assert_uint_eq(c.local.max_shrink, 50);
	ck_assert_uint_eq(c.n_nodes + c.n_peers, 0);
	kwgi_arena_free(&c.arena);
}
END_TEST

static const char one_node[] =
	"[node]\n"
	"name = Node A\n"
	"location = here, there\n"
	"endpoint = a.example.org:51821\n"
	"endpoint-address = ::ffff:203.0.113.1\n"
	"public-key = " K1 "\n"
	"internal-ip = 192.168.1.5/24\n"
	"pod-cidr = 10.42.1.0/24, fd00::/64\n"
	"leader = on\n"
	"pod-cidr = 10.42.2.0/24\n"
	"persistent-keepalive = 1m\n"
	"discovered-endpoint = " K1 " 1.2.3.4:5," K1 " -\n"
	"cni-compatibility-ip = 10.0.0.7\n"
	"[node]\n"
	"name = b\n"
	"internal-ip = -\n";

/* Repeated keys add up in their order, each with its line; single ones are what they say. */
START_TEST(node)
{
	struct kwg_config c;
	const struct kwgi_node *n;
	struct kwgi_key k = key(1);
	char text[KWGI_PREFIX_TEXT];

	config_read(&c, one_node);
	ck_assert_uint_eq(c.diags.n, 0);
	ck_assert_uint_eq(c.n_nodes, 2);
	n = &c.nodes[0];
	ck_assert_uint_eq(n->at.line, 1);
	ck_assert_str_eq(n->name, "Node A");
	ck_assert_str_eq(n->location, "here, there");
	ck_assert_str_eq(n->endpoint.host, "a.example.org");
	ck_assert_uint_eq(n->endpoint.port, 51821);
	ck_assert_uint_eq(n->endpoint_at.line, 4);
	ck_assert_str_eq(kwgi_addr_format(text, &n->endpoint_address), "203.0.113.1");
	ck_assert(kwgi_key_equal(&n->key, &k));
	ck_assert_uint_eq(n->key_at.line, 6);
	ck_assert_str_eq(kwgi_prefix_format(text, &n->internal_ip), "192.168.1.5/24");
	ck_assert(n->leader && !n->internal_ip_off);
	ck_assert_uint_eq(n->keepalive, 60);
	ck_assert_uint_eq(n->pod_cidrs.n, 3);
	ck_assert_str_eq(kwgi_prefix_format(text, &n->pod_cidrs.v[1].prefix), "fd00::/64");
	ck_assert_uint_eq(n->pod_cidrs.v[1].at.line, 8);
	ck_assert_str_eq(kwgi_prefix_format(text, &n->pod_cidrs.v[2].prefix), "10.42.2.0/24");
	ck_assert_uint_eq(n->pod_cidrs.v[2].at.line, 10);
	ck_assert_uint_eq(n->discovered.n, 2);
	ck_assert_uint_eq(n->discovered.v[0].endpoint.port, 5);
	ck_assert_uint_eq(n->discovered.v[1].endpoint.port, 0);
	ck_assert_str_eq(kwgi_prefix_format(text, &n->cni_ip), "10.0.0.7/32");
	n = &c.nodes[1];
	ck_assert_uint_eq(n->at.line, 14);
	ck_assert_str_eq(n->location, "");
	ck_assert(n->internal_ip_off && !n->internal_ip.addr.family && !n->leader);
	ck_assert(!kwgi_node_is_ready(n));
	kwgi_arena_free(&c.arena);
}
END_TEST

/* ---- remarks --------------------------------------------------------- */

static const struct {
	const char *text, *want;	/* of reading alone */
} remarks[] = {
	{ "[mesh]\nsubnet = 10.4.7.1/16\n",
	  "t:2: subnet: \"10.4.7.1/16\" is not accepted: it has host bits set; write 10.4.0.0/16\n" },
	{ "[node]\npod-cidr = 10.0.0.0/8, fd00::ff/64\n",
	  "t:2: pod-cidr: \"fd00::ff/64\" is not accepted: it has host bits set; write fd00::/64\n" },
	{ "[node]\npod-cidr = 10.0.0.0/8,x,y\n",
	  "t:2: pod-cidr: \"x\" is not accepted; accepted: network, such as 10.2.1.0/24 or fd00:1::/64\n"
	  "t:2: pod-cidr: \"y\" is not accepted; accepted: network, such as 10.2.1.0/24 or fd00:1::/64\n" },
	{ "[local]\nmtu = 1400\n\nmtu = 1500\n",
	  "t:4: mtu: given twice in [local]; once is accepted, and t:2 has it\n" },
	{ "[node]\nname = a\n[node]\nname = a\n", "" },	/* reading alone finds nothing */
	{ "[node]\nname = a\n[peer]\nname = a\n[node]\nname = b\n", "" },
	{ "[local]\nmut = 1400\n", "t:2: mut: unknown key in [local]; did you mean mtu?\n" },
	{ "[local]\nMTU = 1400\n", "t:2: MTU: unknown key in [local]; did you mean mtu?\n" },
	{ "[local]\nroute_table = 5\n",
	  "t:2: route_table: unknown key in [local]; did you mean route-table?\n" },
	{ "[peer]\nAllowedIPs = x\n", "t:2: AllowedIPs: unknown key in [peer]; did you mean allowed-ip?\n" },
	{ "[peer]\nleader = yes\n", "t:2: leader: unknown key in [peer]; it belongs in [node]\n" },
};

START_TEST(remarks_of_reading)
{
	struct kwg_config c;
	char *got;

	config_read(&c, remarks[_i].text);
	got = diags_text(&c.diags);
	ck_assert_str_eq(got, remarks[_i].want);
	free(got);
	kwgi_arena_free(&c.arena);
}
END_TEST

/* ---- options --------------------------------------------------------- */

START_TEST(set_local)
{
	struct kwg_config c;
	const char *why;

	config_read(&c, "[local]\ninterface = wg0\n");
	ck_assert_int_eq(kwgi_config_set_local(&c, "interface", "wg1", &why), 0);
	ck_assert_str_eq(c.local.interface, "wg1");
	ck_assert_int_eq(kwgi_config_set_local(&c, "interface", "a/b", &why), KWG_ERR_USAGE);
	ck_assert_str_eq(c.local.interface, "wg1");
	ck_assert_ptr_nonnull(strstr(why, "1 to 15 characters"));
	ck_assert_int_eq(kwgi_config_set_local(&c, "interfaces", "wg1", &why), KWG_ERR_USAGE);
	ck_assert_int_eq(kwgi_config_set_local(&c, "granularity", "full", &why), KWG_ERR_USAGE);
	ck_assert_uint_eq(c.diags.n, 0);
	kwgi_arena_free(&c.arena);
}
END_TEST

/* No bytes make it crash, and nothing is lost in silence: a value is set or remarked upon. */
START_TEST(random_lines)
{
	static const char *const words[] = {
		"[mesh]", "[node]", "[peer]", "[local]", "\n", "\n", "\n", " = ", "=", ",", "name", "port",
		"pod-cidr", "allowed-ip", "discovered-endpoint", "endpoint", "10.0.0.0/8", "a:1", K1, "yes",
		"-", " ", "#", "\xff", "internal-ip", "51820", "public-key",
	};
	struct kwgi_buf b = { 0 };
	struct kwg_config c;
	uint64_t seed = 9;
	unsigned i, j;

	for (i = 0; i < 3000; i++) {
		for (j = random_below(&seed, 60); j; j--)
			kwgi_buf_puts(&b, words[random_below(&seed, N_OF(words))]);
		kwgi_buf_puts(&b, "");
		config_read(&c, b.p ? b.p : "");
		kwgi_check(&c);
		free(diags_text(&c.diags));
		kwgi_arena_free(&c.arena);
		kwgi_buf_free(&b);
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, accepts_and_refuses, 0, N_OF(values));
	tcase_add_test(tc, all_keys_are_tested);
	tcase_add_test(tc, format);
	tcase_add_test(tc, defaults);
	tcase_add_test(tc, node);
	tcase_add_loop_test(tc, remarks_of_reading, 0, N_OF(remarks));
	tcase_add_test(tc, set_local);
	tcase_add_test(tc, random_lines);
}

int main(void)
{
	return unit_run("config", add);
}
