/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The text of the userspace API: what is read, every refusal, and what is written. */
#include <errno.h>

#include "dp/uapi_text.h"
#include "unit.h"

#define H32 "0123456789abcdef0123456789ABCDEF"
#define HEX H32 H32
#define ZEROS "00000000000000000000000000000000" "00000000000000000000000000000000"
#define PEER "public_key=" HEX "\n"

static struct kwgi_arena arena;
static struct kwgi_uapi_request q;

static void teardown(void)
{
	kwgi_arena_free(&arena);
}

static int parse(const char *text)
{
	size_t len = strlen(text);
	char *exact = malloc(len ? len : 1);	/* so that a sanitizer sees what is read past it */
	int ret;

	ck_assert(exact != NULL);
	memcpy(exact, text, len);
	ret = kwgi_uapi_parse(&q, &arena, exact, len);
	free(exact);
	return ret;
}

/* ---- refusals --------------------------------------------------------- */

/* Lines of a request that begins with set=1 and ends with an empty line. */
static const struct {
	const char *lines;
	int want;
} cases[] = {
	{ "", 0 },

	/* form of a line */
	{ "listen_port\n", EPROTO },
	{ PEER "remove\n", EPROTO },
	{ " \n", EPROTO },
	{ "\r\n", EPROTO },
	{ "=\n", EINVAL },
	{ "=1\n", EINVAL },
	{ "foo=1\n", EINVAL },
	{ "Listen_port=1\n", EINVAL },
	{ "listen_port =1\n", EINVAL },
	{ " listen_port=1\n", EINVAL },
	{ PEER "foo=1\n", EINVAL },
	{ "set=1\n", EINVAL },
	{ "get=1\n", EINVAL },
	/* the first bad line counts */
	{ "foo=1\nlisten_port\n", EINVAL },
	{ "listen_port\nfoo=1\n", EPROTO },

	/* keys in the wrong part */
	{ PEER "private_key=" HEX "\n", EINVAL },
	{ PEER "listen_port=1\n", EINVAL },
	{ PEER "fwmark=1\n", EINVAL },
	{ PEER "replace_peers=true\n", EINVAL },
	{ "remove=true\n", EINVAL },
	{ "update_only=true\n", EINVAL },
	{ "preshared_key=" HEX "\n", EINVAL },
	{ "endpoint=1.2.3.4:5\n", EINVAL },
	{ "persistent_keepalive_interval=1\n", EINVAL },
	{ "replace_allowed_ips=true\n", EINVAL },
	{ "allowed_ip=1.2.3.4/5\n", EINVAL },
	{ "protocol_version=1\n", EINVAL },

	/* keys */
	{ "private_key=" HEX "\n", 0 },
	{ "private_key=" ZEROS "\n", 0 },
	{ "private_key=\n", EINVAL },
	{ "private_key=" H32 "\n", EINVAL },
	{ "private_key=" HEX "0\n", EINVAL },
	{ "private_key=" HEX "00\n", EINVAL },
	{ "private_key=0x" H32 "0123456789abcdef0123456789abcd" "\n", EINVAL },
	{ "private_key=" H32 "0123456789abcdef0123456789abcdeg" "\n", EINVAL },
	{ "private_key=" H32 "0123456789abcdef0123456789abcde " "\n", EINVAL },
	{ "private_key=" H32 "0123456789abcdef:123456789abcdef" "\n", EINVAL },
	{ "private_key=" H32 "0123456789abcdef`123456789abcdef" "\n", EINVAL },
	{ "private_key=" HEX "\r\n", EINVAL },
	{ "public_key=" H32 "\n", EINVAL },
	{ "public_key=" H32 "0123456789abcdef0123456789abcdeg" "\n", EINVAL },
	{ PEER "public_key=\n", EINVAL },
	{ PEER "preshared_key=" ZEROS "\n", 0 },
	{ PEER "preshared_key=0\n", EINVAL },

	/* numbers */
	{ "listen_port=0\n", 0 },
	{ "listen_port=65535\n", 0 },
	{ "listen_port=00080\n", 0 },
	{ "listen_port=65536\n", EINVAL },
	{ "listen_port=18446744073709551617\n", EINVAL },
	{ "listen_port=99999999999999999999999999999999\n", EINVAL },
	{ "listen_port=-1\n", EINVAL },
	{ "listen_port=+1\n", EINVAL },
	{ "listen_port= 1\n", EINVAL },
	{ "listen_port=1 \n", EINVAL },
	{ "listen_port=0x10\n", EINVAL },
	{ "listen_port=1e3\n", EINVAL },
	{ "listen_port=\n", EINVAL },
	{ "listen_port=1=1\n", EINVAL },
	{ "fwmark=0\n", 0 },
	{ "fwmark=4294967295\n", 0 },
	{ "fwmark=4294967296\n", EINVAL },
	{ "fwmark=0x1\n", EINVAL },
	{ "fwmark=\n", EINVAL },
	{ PEER "persistent_keepalive_interval=65535\n", 0 },
	{ PEER "persistent_keepalive_interval=65536\n", EINVAL },
	{ PEER "persistent_keepalive_interval=off\n", EINVAL },
	{ PEER "persistent_keepalive_interval=\n", EINVAL },
	{ PEER "protocol_version=1\n", 0 },
	{ PEER "protocol_version=2\n", EINVAL },
	{ PEER "protocol_version=\n", EINVAL },

	/* booleans */
	{ "replace_peers=true\n", 0 },
	{ "replace_peers=false\n", EINVAL },
	{ "replace_peers=1\n", EINVAL },
	{ "replace_peers=\n", EINVAL },
	{ "replace_peers=TRUE\n", EINVAL },
	{ "replace_peers=true \n", EINVAL },
	{ PEER "remove=false\n", EINVAL },
	{ PEER "update_only=yes\n", EINVAL },
	{ PEER "replace_allowed_ips=false\n", EINVAL },

	/* allowed IPs */
	{ PEER "allowed_ip=0.0.0.0/0\n", 0 },
	{ PEER "allowed_ip=1.2.3.4/32\n", 0 },
	{ PEER "allowed_ip=::/0\n", 0 },
	{ PEER "allowed_ip=::ffff:1.2.3.4/128\n", 0 },
	{ PEER "allowed_ip=-1.2.3.4/32\n", 0 },
	{ PEER "allowed_ip=-::/0\n", 0 },
	{ PEER "allowed_ip=1.2.3.4/33\n", EINVAL },
	{ PEER "allowed_ip=::/129\n", EINVAL },
	{ PEER "allowed_ip=1.2.3.4\n", EINVAL },
	{ PEER "allowed_ip=1.2.3.4/\n", EINVAL },
	{ PEER "allowed_ip=/32\n", EINVAL },
	{ PEER "allowed_ip=1.2.3.4/-1\n", EINVAL },
	{ PEER "allowed_ip=1.2.3.4/08\n", EINVAL },
	{ PEER "allowed_ip=1.2.3.4/+8\n", EINVAL },
	{ PEER "allowed_ip=1.2.3.4/8/8\n", EINVAL },
	{ PEER "allowed_ip=1.2.3/24\n", EINVAL },
	{ PEER "allowed_ip=01.2.3.4/24\n", EINVAL },
	{ PEER "allowed_ip=1.2.3.256/24\n", EINVAL },
	{ PEER "allowed_ip=::g/24\n", EINVAL },
	{ PEER "allowed_ip=fe80::1%eth0/64\n", EINVAL },
	{ PEER "allowed_ip=--1.2.3.4/32\n", EINVAL },
	{ PEER "allowed_ip=-\n", EINVAL },
	{ PEER "allowed_ip=\n", EINVAL },
	{ PEER "allowed_ip=1.2.3.4/32,1.2.3.5/32\n", EINVAL },

	/* endpoints */
	{ PEER "endpoint=1.2.3.4:1\n", 0 },
	{ PEER "endpoint=1.2.3.4:65535\n", 0 },
	{ PEER "endpoint=[2001:db8::1]:51820\n", 0 },
	{ PEER "endpoint=[fe80::1%eth0]:51820\n", 0 },
	{ PEER "endpoint=[fe80::1%2]:51820\n", 0 },
	{ PEER "endpoint=[fe80::1%fifteen.bytes-1]:1\n", 0 },
	{ PEER "endpoint=1.2.3.4:0\n", EINVAL },
	{ PEER "endpoint=1.2.3.4:65536\n", EINVAL },
	{ PEER "endpoint=1.2.3.4:\n", EINVAL },
	{ PEER "endpoint=1.2.3.4\n", EINVAL },
	{ PEER "endpoint=:51820\n", EINVAL },
	{ PEER "endpoint=\n", EINVAL },
	{ PEER "endpoint=example.com:51820\n", EINVAL },
	{ PEER "endpoint=2001:db8::1:51820\n", EINVAL },
	{ PEER "endpoint=[1.2.3.4]:51820\n", EINVAL },
	{ PEER "endpoint=[]:51820\n", EINVAL },
	{ PEER "endpoint=[:51820\n", EINVAL },
	{ PEER "endpoint=]:51820\n", EINVAL },
	{ PEER "endpoint=[::1]51820\n", EINVAL },
	{ PEER "endpoint=[::1]\n", EINVAL },
	{ PEER "endpoint=1.2.3.4%eth0:51820\n", EINVAL },
	{ PEER "endpoint=[::ffff:1.2.3.4%eth0]:51820\n", EINVAL },
	{ PEER "endpoint=[fe80::1%]:51820\n", EINVAL },
	{ PEER "endpoint=[fe80::1%0]:51820\n", EINVAL },
	{ PEER "endpoint=[fe80::1%4294967296]:51820\n", 0 },	/* a name after all */
	{ PEER "endpoint=[fe80::1%sixteen-bytes-xx]:51820\n", EINVAL },
	{ PEER "endpoint=[fe80::1%a/b]:51820\n", EINVAL },
	{ PEER "endpoint=[fe80::1%a b]:51820\n", EINVAL },
	{ PEER "endpoint=[fe80::1%a%b]:51820\n", EINVAL },
	{ PEER "endpoint=[fe80::1%..]:51820\n", EINVAL },
	{ PEER "endpoint=[%eth0]:51820\n", EINVAL },
};

START_TEST(refusals)
{
	struct kwgi_buf b = { 0 };
	size_t i, j;
	int ret;

	for (i = 0; i < N_OF(cases); i++) {
		kwgi_buf_printf(&b, "set=1\n%s\n", cases[i].lines);
		ret = parse(b.p);
		ck_assert_msg(ret == cases[i].want, "%s: %d", cases[i].lines, ret);
		for (j = 0; ret && j < sizeof(q); j++)
			ck_assert_msg(!((char *)&q)[j], "%s: something is left", cases[i].lines);
		kwgi_buf_free(&b);
		kwgi_arena_free(&arena);
	}
}
END_TEST

static const struct {
	const char *text;
	int want;
} whole[] = {
	{ "get=1\n\n", 0 },
	{ "set=1\n\n", 0 },
	{ "", EPROTO },
	{ "\n", EPROTO },
	{ "get=1", EPROTO },
	{ "get=1\n", EPROTO },
	{ "set=1\n", EPROTO },
	{ "set=1\nlisten_port=1\n", EPROTO },
	{ "set=1\nlisten_port=1", EPROTO },
	{ "set=1\n\n\n", EPROTO },
	{ "get=1\n\nget=1\n\n", EPROTO },
	{ "get\n\n", EPROTO },
	{ "hello\n\n", EPROTO },
	{ "get=2\n\n", EINVAL },
	{ "set=\n\n", EINVAL },
	{ "set=true\n\n", EINVAL },
	{ "del=1\n\n", EINVAL },
	{ "=1\n\n", EINVAL },
	{ "get=1\nlisten_port=1\n\n", EINVAL },
	{ "get=1\nset=1\n\n", EINVAL },
};

START_TEST(operations)
{
	size_t i;

	for (i = 0; i < N_OF(whole); i++)
		ck_assert_msg(parse(whole[i].text) == whole[i].want, "%s", whole[i].text);
	ck_assert_int_eq(parse("get=1\n\n"), 0);
	ck_assert_int_eq(q.op, KWGI_UAPI_GET);
	ck_assert_int_eq(parse("set=1\n\n"), 0);
	ck_assert_int_eq(q.op, KWGI_UAPI_SET);
	ck_assert(!q.set.parts && !q.set.n_peers);
}
END_TEST

START_TEST(hostile_bytes)
{
	static const char nul_line[] = "set=1\nlisten_port=1\0\n\n";
	static const char nul_addr[] = "set=1\n" PEER "allowed_ip=1.2.3.4\0/32\n\n";
	static const char nul_scope[] = "set=1\n" PEER "endpoint=[fe80::1%e\0h]:1\n\n";
	static char lengthy[6000] = "set=1\nlisten_port=";

	ck_assert_int_eq(kwgi_uapi_parse(&q, &arena, nul_line, sizeof(nul_line) - 1), EINVAL);
	ck_assert_int_eq(kwgi_uapi_parse(&q, &arena, nul_addr, sizeof(nul_addr) - 1), EINVAL);
	ck_assert_int_eq(kwgi_uapi_parse(&q, &arena, nul_scope, sizeof(nul_scope) - 1), EINVAL);
	memset(lengthy + strlen(lengthy), '0', 5000);
	strcat(lengthy, "\n\n");
	ck_assert_int_eq(parse(lengthy), EINVAL);
	ck_assert_int_eq(kwgi_uapi_parse(&q, &arena, NULL, 0), EPROTO);
}
END_TEST

/* ---- what is read ------------------------------------------------------ */

static void is_ip(const struct kwgi_uapi_ip *ip, int op, const char *want)
{
	char text[KWGI_PREFIX_TEXT];

	ck_assert_int_eq(ip->op, op);
	if (*want)
		ck_assert_str_eq(kwgi_prefix_format(text, &ip->prefix), want);
}

START_TEST(device_part)
{
	struct kwgi_key k;

	ck_assert_int_eq(parse("set=1\nfwmark=4294967295\nprivate_key=" HEX "\nlisten_port=1\n"
			       "replace_peers=true\nlisten_port=51820\n\n"), 0);
	ck_assert_int_eq(kwgi_key_parse_hex(&k, HEX), 0);
	ck_assert_int_eq(q.set.parts, KWGI_UAPI_PRIVATE_KEY | KWGI_UAPI_LISTEN_PORT |
				      KWGI_UAPI_FWMARK | KWGI_UAPI_REPLACE_PEERS);
	ck_assert(kwgi_key_equal(&q.set.private_key, &k));
	ck_assert_int_eq(q.set.listen_port, 51820);
	ck_assert_uint_eq(q.set.fwmark, UINT32_MAX);
	ck_assert_uint_eq(q.set.n_peers, 0);
	ck_assert_int_eq(parse("set=1\nprivate_key=" ZEROS "\n\n"), 0);
	ck_assert_int_eq(q.set.parts, KWGI_UAPI_PRIVATE_KEY);
	ck_assert(kwgi_key_is_zero(&q.set.private_key));
}
END_TEST

START_TEST(peer_parts)
{
	const struct kwgi_uapi_peer *p;
	struct kwgi_key k;

	ck_assert_int_eq(parse("set=1\n"
		PEER "allowed_ip=10.1.2.3/8\nreplace_allowed_ips=true\nallowed_ip=-10.9.0.0/16\n"
		"preshared_key=" HEX "\npersistent_keepalive_interval=25\nprotocol_version=1\n"
		"endpoint=[fe80::1%eth0]:7\n"
		"public_key=" ZEROS "\nremove=true\n"
		PEER "update_only=true\nendpoint=1.2.3.4:65535\nallowed_ip=2001:db8::1/32\n\n"), 0);
	ck_assert_uint_eq(q.set.n_peers, 3);
	ck_assert_int_eq(kwgi_key_parse_hex(&k, HEX), 0);

	p = &q.set.peers[0];
	ck_assert(kwgi_key_equal(&p->public_key, &k) && kwgi_key_equal(&p->psk, &k));
	ck_assert_int_eq(p->parts, KWGI_UAPI_PSK | KWGI_UAPI_ENDPOINT | KWGI_UAPI_KEEPALIVE);
	ck_assert_int_eq(p->keepalive, 25);
	ck_assert_str_eq(p->endpoint.scope, "eth0");
	ck_assert_int_eq(p->endpoint.port, 7);
	ck_assert_uint_eq(p->n_ips, 3);
	is_ip(&p->ips[0], KWGI_UAPI_IP_ADD, "10.0.0.0/8");
	is_ip(&p->ips[1], KWGI_UAPI_IP_CLEAR, "");
	is_ip(&p->ips[2], KWGI_UAPI_IP_REMOVE, "10.9.0.0/16");

	p++;
	ck_assert(kwgi_key_is_zero(&p->public_key));
	ck_assert_int_eq(p->parts, KWGI_UAPI_REMOVE);
	ck_assert_uint_eq(p->n_ips, 0);

	p++;
	ck_assert(kwgi_key_equal(&p->public_key, &k));
	ck_assert_int_eq(p->parts, KWGI_UAPI_UPDATE_ONLY | KWGI_UAPI_ENDPOINT);
	ck_assert_uint_eq(p->n_ips, 1);
	is_ip(&p->ips[0], KWGI_UAPI_IP_ADD, "2001:db8::/32");
}
END_TEST

static const struct {
	const char *text, *address, *scope;
	uint32_t scope_id;
} endpoints[] = {
	{ "1.2.3.4:9", "1.2.3.4", NULL, 0 },
	{ "[::ffff:1.2.3.4]:9", "1.2.3.4", NULL, 0 },
	{ "[2001:db8::1]:9", "2001:db8::1", NULL, 0 },
	{ "[fe80::1%2]:9", "fe80::1", NULL, 2 },
	{ "[fe80::1%4294967295]:9", "fe80::1", NULL, UINT32_MAX },
	{ "[fe80::1%wg-0.5]:9", "fe80::1", "wg-0.5", 0 },
};

START_TEST(endpoint_forms)
{
	const struct kwgi_uapi_endpoint *e;
	struct kwgi_buf b = { 0 };
	struct kwgi_addr a;
	size_t i;

	for (i = 0; i < N_OF(endpoints); i++) {
		kwgi_buf_printf(&b, "set=1\n" PEER "endpoint=%s\n\n", endpoints[i].text);
		ck_assert_int_eq(parse(b.p), 0);
		e = &q.set.peers[0].endpoint;
		a = addr(endpoints[i].address);
		ck_assert(kwgi_addr_equal(&e->addr, &a));
		ck_assert_int_eq(e->port, 9);
		ck_assert_uint_eq(e->scope_id, endpoints[i].scope_id);
		ck_assert_pstr_eq(e->scope, endpoints[i].scope);
		kwgi_buf_free(&b);
	}
}
END_TEST

/* A request may come in pieces, and another may follow it. */
START_TEST(request_length)
{
	static const char text[] = "set=1\nfwmark=1\n\nget=1\n\n";
	size_t scanned = 0, n;

	for (n = 0; n < 16; n++)
		ck_assert_uint_eq(kwgi_uapi_request_len(text, n, &scanned), 0);
	ck_assert_uint_eq(scanned, 14);
	ck_assert_uint_eq(kwgi_uapi_request_len(text, 16, &scanned), 16);
	scanned = 0;
	ck_assert_uint_eq(kwgi_uapi_request_len(text, sizeof(text) - 1, &scanned), 16);
	ck_assert_uint_eq(kwgi_uapi_request_len(text + 16, 7, &scanned), 7);
	scanned = 0;
	ck_assert_uint_eq(kwgi_uapi_request_len("\nget=1\n\n", 8, &scanned), 1);
}
END_TEST

/* ---- what is written --------------------------------------------------- */

START_TEST(answer)
{
	struct kwgi_key k = key(0xab), psk = key(0xcd);
	struct kwgi_uapi_endpoint e4 = { .addr = addr("1.2.3.4"), .port = 51820 };
	struct kwgi_uapi_endpoint e6 = { .addr = addr("fe80::1"), .port = 1, .scope_id = 7 };
	struct kwgi_prefix p4 = prefix("10.0.0.0/8"), p6 = prefix("2001:db8::/32");
	struct kwgi_allowedips table = { 0 };
	struct kwgi_allowedips_list list;
	struct kwgi_buf b = { 0 };

	kwgi_allowedips_list_init(&list, &list);
	ck_assert_int_eq(kwgi_allowedips_insert(&table, &p6, &list), 0);
	ck_assert_int_eq(kwgi_allowedips_insert(&table, &p4, &list), 0);
	kwgi_uapi_print_device(&b, &(struct kwgi_uapi_device_info){ .private_key = &k,
				.listen_port = 51820, .fwmark = 4294967295 });
	kwgi_uapi_print_peer(&b, &(struct kwgi_uapi_peer_info){ .public_key = &k, .psk = &psk,
				.endpoint = &e4, .handshake_sec = 1700000000,
				.handshake_nsec = 999999999, .tx_bytes = UINT64_MAX,
				.rx_bytes = 148, .keepalive = 25, .ips = &list });
	kwgi_uapi_print_peer(&b, &(struct kwgi_uapi_peer_info){ .public_key = &psk, .endpoint = &e6 });
	e6.scope = "eth0";
	kwgi_uapi_print_peer(&b, &(struct kwgi_uapi_peer_info){ .public_key = &psk, .endpoint = &e6 });
	kwgi_uapi_print_errno(&b, 0);
#define AB "abababababababababababababababababababababababababababababababab"
#define CD "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
#define NEVER "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n" \
	"persistent_keepalive_interval=0\n"
	ck_assert_str_eq(b.p,
		"private_key=" AB "\nlisten_port=51820\nfwmark=4294967295\n"
		"public_key=" AB "\npreshared_key=" CD "\nprotocol_version=1\n"
		"endpoint=1.2.3.4:51820\n"
		"last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=999999999\n"
		"tx_bytes=18446744073709551615\nrx_bytes=148\n"
		"persistent_keepalive_interval=25\n"
		"allowed_ip=2001:db8::/32\nallowed_ip=10.0.0.0/8\n"
		"public_key=" CD "\npreshared_key=" ZEROS "\nprotocol_version=1\n"
		"endpoint=[fe80::1%7]:1\n" NEVER
		"public_key=" CD "\npreshared_key=" ZEROS "\nprotocol_version=1\n"
		"endpoint=[fe80::1%eth0]:1\n" NEVER
		"errno=0\n\n");
	kwgi_buf_free(&b);
	kwgi_allowedips_free(&table);
}
END_TEST

START_TEST(short_answers)
{
	struct kwgi_buf b = { 0 };

	kwgi_uapi_print_device(&b, &(struct kwgi_uapi_device_info){ 0 });
	kwgi_uapi_print_errno(&b, EADDRINUSE);
	ck_assert_str_eq(b.p, "errno=-98\n\n");
	kwgi_buf_free(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, refusals);
	tcase_add_test(tc, operations);
	tcase_add_test(tc, hostile_bytes);
	tcase_add_test(tc, device_part);
	tcase_add_test(tc, peer_parts);
	tcase_add_test(tc, endpoint_forms);
	tcase_add_test(tc, request_length);
	tcase_add_test(tc, answer);
	tcase_add_test(tc, short_answers);
}

int main(void)
{
	return unit_run("uapi_text", add);
}
