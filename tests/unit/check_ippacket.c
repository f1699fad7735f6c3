/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "dp/ippacket.h"
#include "packets.h"
#include "unit.h"

enum { DROP = -1, NO_MORE = -2 };

/* ---- vectors --------------------------------------------------------- */

static char *read_vectors(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[1024], *text = calloc(1, 65536);
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/vectors/%s", top ? top : ".", name);
	f = fopen(path, "r");
	ck_assert_msg(f && text, "cannot read %s", path);
	ck_assert_uint_gt(fread(text, 1, 65535, f), 0);
	fclose(f);
	return text;
}

/* The next number at *s, or DROP for null; NO_MORE where the list of lists ends. */
static long next_number(const char **s)
{
	char *end;
	long n;

	for (;; (*s)++) {
		if (!strncmp(*s, "null", 4)) {
			*s += 4;
			return DROP;
		}
		if (**s >= '0' && **s <= '9') {
			n = strtol(*s, &end, 10);
			*s = end;
			return n;
		}
		if (!**s || **s == '"')
			return NO_MORE;
	}
}

static const char *list(const char *text, const char *key)
{
	const char *s = strstr(text, key);

	ck_assert_msg(s, "no %s", key);
	return s + strlen(key);
}

START_TEST(pads_as_the_vectors)
{
	char *text = read_vectors("padding.json");
	const char *s = list(text, "\"cases\":");
	unsigned cases = 0;
	long len, mtu;

	for (; (len = next_number(&s)) != NO_MORE; cases++) {
		mtu = next_number(&s);
		ck_assert_msg(kwgi_pad_len((uint32_t)len, (uint32_t)mtu) == (uint32_t)next_number(&s),
			      "%ld bytes, MTU %ld", len, mtu);
	}
	ck_assert_uint_gt(cases, 50);
	free(text);
}
END_TEST

/* What fits into a datagram without padding does so with it. */
START_TEST(pads_no_further_than_a_datagram)
{
	uint32_t len;

	ck_assert_uint_eq(kwgi_pad_len(KWGI_INNER_MAX - 20, 65535), 65456);
	ck_assert_uint_eq(kwgi_pad_len(KWGI_INNER_MAX - 2, 65535), KWGI_INNER_MAX);
	ck_assert_uint_eq(kwgi_pad_len(KWGI_INNER_MAX, 0), KWGI_INNER_MAX);
	for (len = 0; len <= 65535; len++) {
		ck_assert_uint_ge(kwgi_pad_len(len, 1420), len);
		ck_assert_uint_lt(kwgi_pad_len(len, 1420), len + 16);
		ck_assert(len > KWGI_INNER_MAX || kwgi_pad_len(len, 0) <= KWGI_INNER_MAX);
	}
}
END_TEST

/* ---- ECN ------------------------------------------------------------- */

/* A packet with these ECN bits and a DSCP that must stay as it is. */
static uint32_t ecn_packet(uint8_t *p, bool ip6, long ecn)
{
	struct flow f = a_flow(ip6, true, 0);

	f.tos = (uint8_t)(0xb8 | ecn);
	return flow_packet(&f, p, 0, 33);
}

START_TEST(ecn_as_the_vectors)
{
	char *text = read_vectors("ecn.json");
	const char *s = list(text, "\"encapsulate\":");
	uint8_t p[128], want[128];
	long inner, outer, result;
	unsigned cases = 0;
	uint32_t len;
	int ip6;

	for (; (inner = next_number(&s)) != NO_MORE; cases++) {
		outer = next_number(&s);
		for (ip6 = 0; ip6 < 2; ip6++) {
			ecn_packet(p, ip6, inner);
			ck_assert_int_eq(kwgi_ecn_encap(p), outer);
		}
	}
	ck_assert_uint_eq(cases, 4);
	s = list(text, "\"decapsulate\":");
	for (cases = 0; (inner = next_number(&s)) != NO_MORE; cases++) {
		outer = next_number(&s);
		result = next_number(&s);
		for (ip6 = 0; ip6 < 2; ip6++) {
			len = ecn_packet(p, ip6, inner);
			ck_assert_int_eq(kwgi_ecn_decap(p, (uint8_t)(0x88 | outer)), result == DROP ? -1 : 0);
			ecn_packet(want, ip6, result == DROP ? inner : result);
			ck_assert_msg(!memcmp(p, want, len), "inner %ld outer %ld ip6 %d", inner, outer, ip6);
		}
	}
	ck_assert_uint_eq(cases, 16);
	free(text);
}
END_TEST

/* ---- lengths --------------------------------------------------------- */

/* The first bytes, how many there are, and the true length; 0 = no packet. */
static const struct {
	uint8_t head[8];
	uint32_t len, want;
} lengths[] = {
	{ { 0x45, 0, 0, 20 }, 20, 20 },
	{ { 0x45, 0, 0, 20 }, 19, 0 },
	{ { 0x45, 0, 0, 19 }, 32, 0 },
	{ { 0x45, 0, 0, 28 }, 32, 28 },
	{ { 0x45, 0, 0, 33 }, 32, 0 },
	{ { 0x45, 0, 0xff, 0xff }, 65535, 65535 },
	{ { 0x44, 0, 0, 19 }, 32, 0 },
	{ { 0x44, 0, 0, 20 }, 32, 20 },
	{ { 0x46, 0, 0, 23 }, 32, 0 },
	{ { 0x46, 0, 0, 24 }, 32, 24 },
	{ { 0x4f, 0, 0, 59 }, 64, 0 },
	{ { 0x4f, 0, 0, 60 }, 64, 60 },
	{ { 0x60 }, 40, 40 },
	{ { 0x60 }, 39, 0 },
	{ { 0x60, 0, 0, 0, 0, 8 }, 64, 48 },
	{ { 0x60, 0, 0, 0, 0, 9 }, 48, 0 },
	/* 16 bits would wrap from here on: to 0, and to 39 */
	{ { 0x60, 0, 0, 0, 0xff, 0xd8 }, 128, 0 },
	{ { 0x60, 0, 0, 0, 0xff, 0xff }, 128, 0 },
	{ { 0x60, 0, 0, 0, 0xff, 0xd8 }, 65536, 65536 },
	{ { 0x60, 0, 0, 0, 0xff, 0xff }, 65575, 65575 },
	{ { 0x60, 0, 0, 0, 0xff, 0xff }, 65574, 0 },
	{ { 0x55, 0, 0, 20 }, 64, 0 },
	{ { 0x05, 0, 0, 20 }, 64, 0 },
	{ { 0xf5, 0, 0, 20 }, 64, 0 },
	{ { 0x45 }, 1, 0 },
	{ { 0x45 }, 0, 0 },
};

START_TEST(finds_the_length)
{
	uint8_t *end = guarded(65600) + 65600, *p;
	struct kwgi_ip ip;
	size_t i;
	int ret;

	for (i = 0; i < N_OF(lengths); i++) {
		p = end - lengths[i].len;
		memset(p, 0xee, lengths[i].len);
		memcpy(p, lengths[i].head, lengths[i].len < 8 ? lengths[i].len : 8);
		ip.len = 0;
		ret = kwgi_ip_parse(&ip, p, lengths[i].len);
		ck_assert_msg(ret == (lengths[i].want ? 0 : -1) && ip.len == lengths[i].want, "case %zu: %u", i,
			      ip.len);
		if (ret)
			continue;
		ck_assert_int_eq(ip.version, p[0] >> 4);
		ck_assert_int_eq(ip.addr_len, ip.version == 4 ? 4 : 16);
		ck_assert_ptr_eq(ip.src, p + (ip.version == 4 ? 12 : 8));
		ck_assert_ptr_eq(ip.dst, p + (ip.version == 4 ? 16 : 24));
	}
}
END_TEST

/* ---- ICMP ------------------------------------------------------------ */

START_TEST(answers_version_4)
{
	uint8_t p[2000], out[KWGI_ICMP4_MAX], short_out[KWGI_ICMP4_MAX - 1];
	struct flow f = a_flow(false, true, 0);
	uint32_t len = flow_packet(&f, p, 0, 1000);

	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, short_out, sizeof(short_out)), 0);
	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), KWGI_ICMP4_MAX);
	ck_assert_uint_eq(slow_sum(out, 20, 0), 0xffff);
	ck_assert_uint_eq(slow_sum(out + 20, KWGI_ICMP4_MAX - 20, 0), 0xffff);
	ck_assert_uint_eq(out[0], 0x45);
	ck_assert_uint_eq(at16(out + 2), KWGI_ICMP4_MAX);
	ck_assert_uint_eq(out[9], 1);
	ck_assert_mem_eq(out + 12, p + 16, 4);
	ck_assert_mem_eq(out + 16, p + 12, 4);
	ck_assert_uint_eq(out[20], 3);
	ck_assert_uint_eq(out[21], 1);
	ck_assert_uint_eq(at32(out + 24), 0);
	ck_assert_mem_eq(out + 28, p, KWGI_ICMP4_MAX - 28);
	/* a short packet is quoted whole, what follows it is not */
	len = flow_packet(&f, p, 0, 3);
	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len + 5, out, sizeof(out)), 28 + len);
	ck_assert_uint_eq(slow_sum(out + 20, 8 + len, 0), 0xffff);
}
END_TEST

START_TEST(answers_version_6)
{
	uint8_t p[2000], out[KWGI_ICMP6_MAX], pseudo[40];
	struct flow f = a_flow(true, false, 0);
	uint32_t len = flow_packet(&f, p, SYN, 1300);

	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, KWGI_ICMP6_MAX - 1), 0);
	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), KWGI_ICMP6_MAX);
	ck_assert_uint_eq(out[0] >> 4, 6);
	ck_assert_uint_eq(at16(out + 4), KWGI_ICMP6_MAX - 40);
	ck_assert_uint_eq(out[6], 58);
	ck_assert_mem_eq(out + 8, p + 24, 16);
	ck_assert_mem_eq(out + 24, p + 8, 16);
	ck_assert_uint_eq(out[40], 1);
	ck_assert_uint_eq(out[41], 3);
	ck_assert_mem_eq(out + 48, p, KWGI_ICMP6_MAX - 48);
	memcpy(pseudo, out + 8, 32);
	set32(pseudo + 32, KWGI_ICMP6_MAX - 40);
	set32(pseudo + 36, 58);
	ck_assert_uint_eq(slow_sum(out + 40, KWGI_ICMP6_MAX - 40, slow_sum(pseudo, 40, 0)), 0xffff);
	len = flow_packet(&f, p, SYN, 0);
	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 48 + len);
}
END_TEST

/* One byte of a UDP packet (version 4: 10.11.12.13 to 14.15.16.17) set to another value, or two. */
static const struct {
	bool ip6, answer;
	const char *what;
	int at, value, at2, value2;
} answers[] = {
	{ false, true, "UDP", 9, 17, 0, 0x45 },
	{ false, false, "from 0.0.0.0/8", 12, 0, 13, 0 },
	{ false, false, "from loopback", 12, 127, 0, 0x45 },
	{ false, false, "from multicast", 12, 224, 0, 0x45 },
	{ false, false, "from class E", 12, 240, 0, 0x45 },
	{ false, true, "from 223", 12, 223, 0, 0x45 },
	{ false, false, "to multicast", 16, 224, 0, 0x45 },
	{ false, false, "to multicast, end", 16, 239, 0, 0x45 },
	{ false, true, "first fragment", 6, 0x20, 7, 0 },
	{ false, false, "second fragment", 6, 0, 7, 1 },
	{ false, false, "options cut off", 0, 0x4f, 3, 60 - 1 },
	{ false, true, "echo request", 9, 1, 20, 8 },
	{ false, true, "echo reply", 9, 1, 20, 0 },
	{ false, false, "unreachable", 9, 1, 20, 3 },
	{ false, false, "source quench", 9, 1, 20, 4 },
	{ false, false, "redirect", 9, 1, 20, 5 },
	{ false, false, "time exceeded", 9, 1, 20, 11 },
	{ false, false, "parameter problem", 9, 1, 20, 12 },
	{ false, false, "unknown ICMP", 9, 1, 20, 99 },
	{ false, false, "no ICMP header", 9, 1, 3, 20 },
	{ true, true, "UDP", 6, 17, 0, 0x60 },
	{ true, false, "from multicast", 8, 0xff, 0, 0x60 },
	{ true, false, "to multicast", 24, 0xff, 0, 0x60 },
	{ true, true, "echo request", 6, 58, 40, 128 },
	{ true, false, "unreachable", 6, 58, 40, 1 },
	{ true, false, "unknown error", 6, 58, 40, 127 },
	{ true, false, "redirect", 6, 58, 40, 137 },
	{ true, false, "no ICMP header", 6, 58, 5, 0 },
};

START_TEST(answers_only_where_it_may)
{
	uint8_t p[200], out[KWGI_ICMP6_MAX];
	struct flow f;
	uint32_t len;
	size_t i;

	for (i = 0; i < N_OF(answers); i++) {
		f = a_flow(answers[i].ip6, true, 0);
		len = flow_packet(&f, p, 0, 40);
		p[answers[i].at] = (uint8_t)answers[i].value;
		p[answers[i].at2] = (uint8_t)answers[i].value2;
		ck_assert_msg(!kwgi_icmp_unreachable(p, len, out, sizeof(out)) == !answers[i].answer, "%d: %s",
			      answers[i].ip6 ? 6 : 4, answers[i].what);
	}
	f = a_flow(false, true, 0);
	memset(f.addresses + 4, 255, 4);
	len = flow_packet(&f, p, 0, 40);
	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
	f = a_flow(true, true, 0);
	memset(f.addresses, 0, 16);
	len = flow_packet(&f, p, 0, 40);
	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
	f.addresses[15] = 1;
	len = flow_packet(&f, p, 0, 40);
	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
	f.addresses[15] = 2;
	len = flow_packet(&f, p, 0, 40);
	ck_assert_uint_ne(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
}
END_TEST

/* ICMPv6 behind other headers: error and echo request; each header of 8 bytes. */
START_TEST(looks_behind_extension_headers)
{
	static const uint8_t types[] = { 0, 43, 60, 44, 51 };
	uint8_t p[200], out[KWGI_ICMP6_MAX];
	struct flow f = a_flow(true, true, 0);
	uint32_t len = flow_packet(&f, p, 0, 100);
	size_t i;

	for (i = 0; i < N_OF(types); i++) {
		p[6] = types[i];
		memset(p + 40, 0, 40);
		p[40] = 60;			/* and then destination options */
		p[48] = 58;
		p[56] = 128;
		ck_assert_uint_ne(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
		p[56] = 1;
		ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
		p[48] = 17;
		ck_assert_uint_ne(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
		p[49] = 200;			/* longer than the packet */
		ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
	}
	p[6] = 44;
	p[40] = 17;
	p[43] = 8;				/* another fragment than the first */
	ck_assert_uint_eq(kwgi_icmp_unreachable(p, len, out, sizeof(out)), 0);
}
END_TEST

/* Random bytes at the end of a page. */
START_TEST(stays_inside)
{
	uint8_t *end = guarded(2048) + 2048, *out_end = guarded(KWGI_ICMP6_MAX) + KWGI_ICMP6_MAX, *p;
	struct kwgi_ip ip;
	uint64_t seed = 5;
	uint32_t i, k, len, size;
	size_t n;

	for (i = 0; i < 200000; i++) {
		len = random_below(&seed, i % 10 ? 90 : 1500);
		p = end - len;
		for (k = 0; k < len && k < 90; k++)
			p[k] = (uint8_t)(random_below(&seed, 3) ? random_below(&seed, 64) : random_u32(&seed));
		if (len >= 40) {
			p[0] = i % 2 ? 0x60 : (uint8_t)(0x45 + random_below(&seed, 4));
			set16(p + (i % 2 ? 4 : 2), i % 2 ? len - 40 : len);
		}
		size = random_below(&seed, KWGI_ICMP6_MAX + 1);
		n = kwgi_icmp_unreachable(p, len, out_end - size, size);
		ck_assert_uint_le(n, size);
		if (!kwgi_ip_parse(&ip, p, len))
			kwgi_ecn_decap(p, 3);
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, pads_as_the_vectors);
	tcase_add_test(tc, pads_no_further_than_a_datagram);
	tcase_add_test(tc, ecn_as_the_vectors);
	tcase_add_test(tc, finds_the_length);
	tcase_add_test(tc, answers_version_4);
	tcase_add_test(tc, answers_version_6);
	tcase_add_test(tc, answers_only_where_it_may);
	tcase_add_test(tc, looks_behind_extension_headers);
	tcase_add_test(tc, stays_inside);
}

int main(void)
{
	return unit_run("ippacket", add);
}
