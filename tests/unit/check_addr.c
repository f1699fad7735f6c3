/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "unit.h"

/* ---- addresses ------------------------------------------------------- */

/* Text that is accepted and how it is written back; NULL: refused. */
static const struct {
	const char *text, *want;
} addresses[] = {
	{ "0.0.0.0", "0.0.0.0" },
	{ "10.4.0.1", "10.4.0.1" },
	{ "255.255.255.255", "255.255.255.255" },
	{ "::", "::" },
	{ "::1", "::1" },
	{ "1::", "1::" },
	{ "FD00:AB::1", "fd00:ab::1" },
	/* RFC 5952 4.1: no leading zeros; 4.2: shorten the longest, first run, not one group */
	{ "2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1" },
	{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
	{ "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
	{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
	{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
	{ "0:0:1:0:0:0:0:0", "0:0:1::" },
	{ "1:0:0:0:0:0:0:0", "1::" },
	{ "0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7" },
	{ "0:0:2:3:4:5:0:0", "::2:3:4:5:0:0" },
	{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "fe80::1:2:3:4", "fe80::1:2:3:4" },
	/* IPv4-mapped is IPv4, IPv4-compatible and NAT64 are not */
	{ "::ffff:1.2.3.4", "1.2.3.4" },
	{ "::ffff:102:304", "1.2.3.4" },
	{ "::FFFF:0:0", "0.0.0.0" },
	{ "::1.2.3.4", "::102:304" },
	{ "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
	{ "::fffe:1.2.3.4", "::fffe:102:304" },
	{ "::ffff:0:1.2.3.4", "::ffff:0:102:304" },
	{ "", NULL },
	{ " 1.2.3.4", NULL },
	{ "1.2.3.4 ", NULL },
	{ "1.2.3", NULL },
	{ "1.2.3.4.5", NULL },
	{ "1.2.3.256", NULL },
	{ "1.2.3.-4", NULL },
	{ "1.2.3.", NULL },
	{ ".1.2.3", NULL },
	{ "0x1.2.3.4", NULL },
	{ "1.2.3.4/32", NULL },
	{ ":", NULL },
	{ ":::", NULL },
	{ "1::2::3", NULL },
	{ "1:2:3:4:5:6:7", NULL },
	{ "1:2:3:4:5:6:7:8:9", NULL },
	{ "1:2:3:4:5:6:7::8:9", NULL },
	{ "12345::", NULL },
	{ "g::", NULL },
	{ "fe80::1%eth0", NULL },
	{ "[::1]", NULL },
	{ "example.org", NULL },
};

START_TEST(parses_addresses)
{
	char text[KWGI_ADDR_TEXT];
	struct kwgi_addr a;
	size_t i;
	int ret;

	for (i = 0; i < N_OF(addresses); i++) {
		memset(&a, 0xaa, sizeof(a));
		ret = kwgi_addr_parse(&a, addresses[i].text);
		ck_assert_msg(!ret == !!addresses[i].want, "\"%s\": %d", addresses[i].text, ret);
		if (ret) {
			ck_assert_msg(a.family == 0xaa, "\"%s\" changes *out", addresses[i].text);
			continue;
		}
		ck_assert_str_eq(kwgi_addr_format(text, &a), addresses[i].want);
	}
}
END_TEST

/* Any address is the same after writing and reading. */
START_TEST(formats_what_it_parses)
{
	uint64_t seed = 1;
	char text[KWGI_ADDR_TEXT];
	struct kwgi_addr a, b;
	unsigned i, j;

	for (i = 0; i < 20000; i++) {
		a = (struct kwgi_addr){ .family = i % 3 ? KWGI_AF_V6 : KWGI_AF_V4 };
		for (j = 0; j < kwgi_addr_bits(&a) / 8; j++)
			/* many zero groups */
			a.b[j] = random_below(&seed, 3) ? 0 : (uint8_t)random_u32(&seed);
		if (a.family == KWGI_AF_V6)
			a.b[0] |= 1;	/* not IPv4-mapped */
		ck_assert_int_eq(kwgi_addr_parse(&b, kwgi_addr_format(text, &a)), 0);
		ck_assert_msg(kwgi_addr_equal(&a, &b), "%s", text);
	}
}
END_TEST

START_TEST(formats_nothing)
{
	struct kwgi_addr a = { 0 };
	char text[KWGI_ADDR_TEXT];

	ck_assert_str_eq(kwgi_addr_format(text, &a), "");
	ck_assert_uint_eq(kwgi_addr_bits(&a), 0);
	ck_assert(!kwgi_addr_is_public(&a));
}
END_TEST

/* ---- prefixes -------------------------------------------------------- */

static const struct {
	const char *text, *want, *masked;
} prefixes[] = {
	{ "10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8" },
	{ "10.1.2.3/8", "10.1.2.3/8", "10.0.0.0/8" },
	{ "10.1.2.3/9", "10.1.2.3/9", "10.0.0.0/9" },
	{ "10.255.255.255/15", "10.255.255.255/15", "10.254.0.0/15" },
	{ "10.255.255.255/31", "10.255.255.255/31", "10.255.255.254/31" },
	{ "10.1.2.3/32", "10.1.2.3/32", "10.1.2.3/32" },
	{ "1.2.3.4/0", "1.2.3.4/0", "0.0.0.0/0" },
	{ "::/0", "::/0", "::/0" },
	{ "fd00::1/64", "fd00::1/64", "fd00::/64" },
	{ "fd00:0:0:1ff::/55", "fd00:0:0:1ff::/55", "fd00:0:0:0::/55" },
	{ "fd00::1/128", "fd00::1/128", "fd00::1/128" },
	{ "fd00::3/127", "fd00::3/127", "fd00::2/127" },
	{ "::ffff:10.1.2.3/104", "10.1.2.3/8", "10.0.0.0/8" },
	{ "::ffff:10.1.2.3/128", "10.1.2.3/32", "10.1.2.3/32" },
	{ "::ffff:0:0/96", "0.0.0.0/0", "0.0.0.0/0" },
	{ "::ffff:0:0/95", NULL, NULL },
	{ "10.0.0.0", NULL, NULL },
	{ "10.0.0.0/", NULL, NULL },
	{ "10.0.0.0/33", NULL, NULL },
	{ "10.0.0.0/-1", NULL, NULL },
	{ "10.0.0.0/+8", NULL, NULL },
	{ "10.0.0.0/08", NULL, NULL },
	{ "10.0.0.0/ 8", NULL, NULL },
	{ "10.0.0.0/8 ", NULL, NULL },
	{ "10.0.0.0/8/8", NULL, NULL },
	{ "10.0.0.0/255.0.0.0", NULL, NULL },
	{ "10.0.0.0/18446744073709551624", NULL, NULL },
	{ "/8", NULL, NULL },
	{ "", NULL, NULL },
	{ "fd00::/129", NULL, NULL },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/8", NULL, NULL },
};

START_TEST(parses_prefixes)
{
	char text[KWGI_PREFIX_TEXT];
	struct kwgi_prefix p, m, want;
	size_t i;
	int ret;

	for (i = 0; i < N_OF(prefixes); i++) {
		memset(&p, 0xaa, sizeof(p));
		ret = kwgi_prefix_parse(&p, prefixes[i].text);
		ck_assert_msg(!ret == !!prefixes[i].want, "\"%s\": %d", prefixes[i].text, ret);
		if (ret) {
			ck_assert_msg(p.len == 0xaa, "\"%s\" changes *out", prefixes[i].text);
			continue;
		}
		ck_assert_str_eq(kwgi_prefix_format(text, &p), prefixes[i].want);
		m = kwgi_prefix_masked(&p);
		want = prefix(prefixes[i].masked);
		ck_assert_msg(kwgi_prefix_equal(&m, &want), "\"%s\"", prefixes[i].text);
		ck_assert_msg(kwgi_prefix_has_host_bits(&p) == !kwgi_prefix_equal(&p, &want), "\"%s\"",
			      prefixes[i].text);
	}
}
END_TEST

static const struct {
	const char *prefix, *addr;
	bool inside;
} contained[] = {
	{ "10.0.0.0/8", "10.255.255.255", true },
	{ "10.0.0.0/8", "11.0.0.0", false },
	{ "10.0.0.0/8", "9.255.255.255", false },
	{ "10.4.0.0/15", "10.5.255.255", true },
	{ "10.4.0.0/15", "10.6.0.0", false },
	{ "10.4.0.1/16", "10.4.255.255", true },	/* host bits do not count */
	{ "10.4.0.1/32", "10.4.0.1", true },
	{ "10.4.0.1/32", "10.4.0.0", false },
	{ "0.0.0.0/0", "255.255.255.255", true },
	{ "0.0.0.0/0", "::", false },
	{ "::/0", "ffff::", true },
	{ "::/0", "0.0.0.0", false },
	{ "::/0", "::ffff:1.2.3.4", false },
	{ "fd00::/64", "fd00::ffff:ffff:ffff:ffff", true },
	{ "fd00::/64", "fd00:0:0:1::", false },
	{ "fd00::/65", "fd00::8000:0:0:0", false },
	{ "fd00::1/128", "fd00::1", true },
	{ "10.0.0.0/8", "", false },
	{ "0.0.0.0/0", "", false },
};

START_TEST(contains)
{
	size_t i;

	for (i = 0; i < N_OF(contained); i++) {
		struct kwgi_prefix p = prefix(contained[i].prefix);
		struct kwgi_addr a = addr(contained[i].addr);

		ck_assert_msg(kwgi_prefix_contains(&p, &a) == contained[i].inside, "%s in %s",
			      contained[i].addr, contained[i].prefix);
	}
}
END_TEST

/* In the order that prefix_cmp has to give: a network stands before those inside it. */
static const char *const ordered[] = {
	"0.0.0.0/0", "0.0.0.0/1", "9.0.0.0/8", "10.0.0.0/7", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/32",
	"10.0.0.1/32", "10.1.0.0/16", "128.0.0.0/1", "::/0", "::/128", "::1/128", "fd00::/8", "fd00::/16",
};

START_TEST(orders)
{
	size_t i, j;

	for (i = 0; i < N_OF(ordered); i++) {
		for (j = 0; j < N_OF(ordered); j++) {
			struct kwgi_prefix a = prefix(ordered[i]), b = prefix(ordered[j]);
			int c = kwgi_prefix_cmp(&a, &b);

			ck_assert_msg((c < 0) == (i < j) && (c > 0) == (i > j), "%s %s", ordered[i],
				      ordered[j]);
			ck_assert_int_eq(kwgi_prefix_equal(&a, &b), i == j);
		}
	}
}
END_TEST

/* ---- endpoints ------------------------------------------------------- */

#define L63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define L61 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"

/* golden/README.md, "An endpoint is valid if"; NULL: it is not. */
static const struct {
	const char *text, *want;
} endpoints[] = {
	{ "1.2.3.4:51820", "1.2.3.4:51820" },
	{ "1.2.3.4:1", "1.2.3.4:1" },
	{ "1.2.3.4:65535", "1.2.3.4:65535" },
	{ "[2001:db8::1]:51820", "[2001:db8::1]:51820" },
	{ "[::]:51820", "[::]:51820" },
	{ "[::ffff:1.2.3.4]:51820", "1.2.3.4:51820" },
	{ "example.org:51820", "example.org:51820" },
	{ "a:1", "a:1" },
	{ "a-b.c--d.1e:1", "a-b.c--d.1e:1" },
	{ "1.2.3.400:51820", "1.2.3.400:51820" },	/* a DNS name */
	{ "1.2.3:51820", "1.2.3:51820" },
	{ "12345:51820", "12345:51820" },
	{ "xn--bcher-kva.example:51820", "xn--bcher-kva.example:51820" },
	{ L63 ".example:1", L63 ".example:1" },
	{ L63 "." L63 "." L63 "." L61 ":1", L63 "." L63 "." L63 "." L61 ":1" },	/* 253 characters */
	{ L63 "." L63 "." L63 "." L61 "z:1", NULL },
	{ "", NULL },
	{ ":", NULL },
	{ ":51820", NULL },
	{ "[]:51820", NULL },
	{ "1.2.3.4", NULL },
	{ "1.2.3.4:", NULL },
	{ "1.2.3.4:0", NULL },
	{ "1.2.3.4:65536", NULL },
	{ "1.2.3.4:-1", NULL },
	{ "1.2.3.4: 1", NULL },
	{ "1.2.3.4:1 ", NULL },
	{ "1.2.3.4:http", NULL },
	{ "1.2.3.4:0x10", NULL },
	{ " 1.2.3.4:1", NULL },
	{ "1.2.3.4/32:51820", NULL },
	{ "2001:db8::1:51820", NULL },
	{ "2001:db8::1", NULL },
	{ "::1", NULL },
	{ "[2001:db8::1]", NULL },
	{ "[2001:db8::1]51820", NULL },
	{ "[2001:db8::1:51820", NULL },
	{ "2001:db8::1]:51820", NULL },
	{ "[[2001:db8::1]]:51820", NULL },
	{ "[fe80::1%eth0]:51820", NULL },
	{ "[example.org]:51820", NULL },
	{ "Example.org:51820", NULL },
	{ "example.org.:51820", NULL },
	{ ".example.org:51820", NULL },
	{ "example..org:51820", NULL },
	{ ".:51820", NULL },
	{ "-a.org:51820", NULL },
	{ "a-.org:51820", NULL },
	{ "a.org-:51820", NULL },
	{ "a.-b:51820", NULL },
	{ "-:51820", NULL },
	{ "a_b.org:51820", NULL },
	{ "a b.org:51820", NULL },
	{ "b\xc3\xbc" "cher.example:51820", NULL },
	{ "a:b:51820", NULL },
};

START_TEST(parses_endpoints)
{
	struct kwgi_endpoint e;
	struct kwgi_buf b = { 0 };
	size_t i, host_len;
	char host[256];
	int ret;

	for (i = 0; i < N_OF(endpoints); i++) {
		memset(&e, 0xaa, sizeof(e));
		ret = kwgi_endpoint_parse(&e, endpoints[i].text, &host_len);
		ck_assert_msg(!ret == !!endpoints[i].want, "\"%s\": %d", endpoints[i].text, ret);
		if (ret) {
			ck_assert_msg(e.port == 0xaaaa, "\"%s\" changes *out", endpoints[i].text);
			continue;
		}
		ck_assert_ptr_null(e.host);
		if (host_len) {
			memcpy(host, endpoints[i].text, host_len);
			host[host_len] = '\0';
			e.host = host;
			ck_assert_int_eq(e.addr.family, KWGI_AF_NONE);
		}
		kwgi_buf_endpoint(&b, &e);
		ck_assert_str_eq(b.p, endpoints[i].want);
		kwgi_buf_free(&b);
	}
}
END_TEST

/* ---- properties of addresses ----------------------------------------- */

/* As Kilo has it (golden 034 to 054). */
static const struct {
	const char *addr;
	bool public;
} publics[] = {
	{ "9.255.255.255", true }, { "10.0.0.0", false }, { "10.255.255.255", false },
	{ "11.0.0.0", true }, { "172.15.255.255", true }, { "172.16.0.0", false },
	{ "172.24.0.1", false }, { "172.31.255.255", false }, { "172.32.0.0", true },
	{ "192.167.255.255", true }, { "192.168.0.0", false }, { "192.168.255.255", false },
	{ "192.169.0.0", true }, { "127.0.0.1", true }, { "169.254.0.1", true }, { "100.64.0.1", true },
	{ "0.0.0.0", true }, { "224.0.0.1", true }, { "fd00::1", false },
	{ "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false }, { "fd01::1", true }, { "fd12::1", true },
	{ "fcff:ffff::", true }, { "fc00::1", true }, { "fe80::1", true }, { "::1", true },
	{ "2001:db8::1", true }, { "::ffff:10.0.0.1", false }, { "::ffff:11.0.0.1", true },
};

START_TEST(public)
{
	size_t i;

	for (i = 0; i < N_OF(publics); i++) {
		struct kwgi_addr a = addr(publics[i].addr);

		ck_assert_msg(kwgi_addr_is_public(&a) == publics[i].public, "%s", publics[i].addr);
	}
}
END_TEST

static const struct {
	const char *addr;
	bool private;
} privates[] = {
	{ "9.255.255.255", false }, { "10.0.0.0", true }, { "10.255.255.255", true },
	{ "11.0.0.0", false }, { "172.15.255.255", false }, { "172.16.0.0", true },
	{ "172.31.255.255", true }, { "172.32.0.0", false }, { "192.167.255.255", false },
	{ "192.168.0.0", true }, { "192.168.255.255", true }, { "192.169.0.0", false },
	{ "100.64.0.1", false }, { "100.127.255.255", false }, { "127.0.0.1", false },
	{ "169.254.0.1", false }, { "203.0.113.1", false }, { "0.0.0.0", false },
	{ "fcff:ffff::1", false }, { "fc00::1", false }, { "fd00::1", true }, { "fd12::1", true },
	{ "fdff:ffff::1", true }, { "fd::1", false }, { "fe00::1", false }, { "fe80::1", false },
	{ "2001:db8::1", false }, { "::1", false }, { "::ffff:10.0.0.1", true },
	{ "::ffff:11.0.0.1", false },
};

START_TEST(private)
{
	struct kwgi_addr none = { .family = KWGI_AF_NONE };
	size_t i;

	for (i = 0; i < N_OF(privates); i++) {
		struct kwgi_addr a = addr(privates[i].addr);

		ck_assert_msg(kwgi_addr_is_private(&a) == privates[i].private, "%s",
			      privates[i].addr);
	}
	ck_assert(!kwgi_addr_is_private(&none));
}
END_TEST

static const struct {
	const char *addr, *why;
} useless_cases[] = {
	{ "0.0.0.0", "unspecified" }, { "::", "unspecified" }, { "127.0.0.1", "loopback" },
	{ "127.255.255.255", "loopback" }, { "::1", "loopback" }, { "224.0.0.0", "multicast" },
	{ "239.255.255.255", "multicast" }, { "ff02::1", "multicast" }, { "0.0.0.1", NULL },
	{ "126.255.255.255", NULL }, { "128.0.0.0", NULL }, { "223.255.255.255", NULL },
	{ "240.0.0.0", NULL }, { "::2", NULL }, { "fe80::1", NULL }, { "::ffff:127.0.0.1", "loopback" },
	{ "10.0.0.1", NULL },
};

START_TEST(useless)
{
	const char *why;
	size_t i;

	for (i = 0; i < N_OF(useless_cases); i++) {
		struct kwgi_addr a = addr(useless_cases[i].addr);

		why = kwgi_addr_useless(&a);
		ck_assert_msg(!strcmp(why ? why : "", useless_cases[i].why ? useless_cases[i].why : ""),
			      "%s is %s", useless_cases[i].addr, why ? why : "fine");
	}
}
END_TEST

/* from + n = to; to "" if that leaves the address space. offset: what to - from gives. */
static const struct {
	const char *from;
	uint64_t n;
	const char *to;
	uint64_t offset;
} sums[] = {
	{ "10.4.0.0", 0, "10.4.0.0", 0 },
	{ "10.4.0.0", 1, "10.4.0.1", 1 },
	{ "10.4.0.255", 1, "10.4.1.0", 1 },
	{ "10.4.255.255", 1, "10.5.0.0", 1 },
	{ "10.4.0.0", 65536, "10.5.0.0", 65536 },
	{ "0.0.0.0", UINT32_MAX, "255.255.255.255", UINT32_MAX },
	{ "255.255.255.255", 1, "", 0 },
	{ "0.0.0.0", (uint64_t)UINT32_MAX + 1, "", 0 },
	{ "10.0.0.0", UINT64_MAX, "", 0 },
	{ "fd00::", 1, "fd00::1", 1 },
	{ "fd00::ffff:ffff:ffff:ffff", 1, "fd00:0:0:1::", 1 },
	{ "::", INT64_MAX, "::7fff:ffff:ffff:ffff", INT64_MAX },
	{ "::1", INT64_MAX, "::8000:0:0:0", INT64_MAX },
	{ "::ff:ffff:ffff:ffff", (uint64_t)1 << 56, "::1ff:ffff:ffff:ffff", (uint64_t)1 << 56 },
	/* too far for an offset */
	{ "::", (uint64_t)INT64_MAX + 1, "::8000:0:0:0", UINT64_MAX },
	{ "::", UINT64_MAX, "::ffff:ffff:ffff:ffff", UINT64_MAX },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, "", 0 },
	{ "ffff:ffff:ffff:ffff::", UINT64_MAX, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", UINT64_MAX },
};

START_TEST(adds_and_subtracts)
{
	char text[KWGI_ADDR_TEXT];
	struct kwgi_addr sum;
	size_t i;
	bool ok;

	for (i = 0; i < N_OF(sums); i++) {
		struct kwgi_addr from = addr(sums[i].from), to = addr(sums[i].to);

		memset(&sum, 0xaa, sizeof(sum));
		ok = kwgi_addr_add(&sum, &from, sums[i].n);
		ck_assert_msg(ok == !!*sums[i].to, "case %zu", i);
		if (!ok) {
			ck_assert_msg(sum.family == 0xaa, "case %zu changes *out", i);
			continue;
		}
		ck_assert_msg(kwgi_addr_equal(&sum, &to), "case %zu: %s", i,
			      kwgi_addr_format(text, &sum));
		ck_assert_msg(kwgi_addr_offset(&to, &from) == sums[i].offset, "case %zu: offset %llu", i,
			      (unsigned long long)kwgi_addr_offset(&to, &from));
		if (sums[i].n)
			ck_assert_uint_eq(kwgi_addr_offset(&from, &to), UINT64_MAX);
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, parses_addresses);
	tcase_add_test(tc, formats_what_it_parses);
	tcase_add_test(tc, formats_nothing);
	tcase_add_test(tc, parses_prefixes);
	tcase_add_test(tc, contains);
	tcase_add_test(tc, orders);
	tcase_add_test(tc, parses_endpoints);
	tcase_add_test(tc, public);
	tcase_add_test(tc, private);
	tcase_add_test(tc, useless);
	tcase_add_test(tc, adds_and_subtracts);
}

int main(void)
{
	return unit_run("addr", add);
}
