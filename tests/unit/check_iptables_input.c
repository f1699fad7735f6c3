/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The chain INPUT as iptables-save prints it: what it does to a packet of WireGuard, or of IPIP. */
#include <string.h>

#include "steps/iptables_input.h"
#include "unit.h"

#define USUAL								\
	"-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"	\
	"-A INPUT -i lo -j ACCEPT\n"					\
	"-A INPUT -p icmp -j ACCEPT\n"					\
	"-A INPUT -p tcp -m tcp --dport 22 -m comment --comment \"-j ACCEPT\" -j ACCEPT\n"
#define DROPS ":INPUT DROP [0:0]\n"
#define ACCEPTS ":INPUT ACCEPT [3:4]\n"

static const struct kwgi_input_packet wireguard = { KWGI_AF_V4, 17, 51820 }, ipip = { KWGI_AF_V4, 4, 0 };
static const char *const own[2] = { "kilo0", "" };

static enum kwgi_input_verdict judge(const struct kwgi_input_packet *p, const char *lines)
{
	enum kwgi_input_verdict v = KWGI_INPUT_PASSES;
	struct kwgi_arena a = { 0 };
	char text[4096];

	snprintf(text, sizeof(text),
		 "# Generated\n*nat\n:INPUT DROP [0:0]\n-A INPUT -j DROP\nCOMMIT\n*filter\n%sCOMMIT\n", lines);
	ck_assert(!kwgi_ipt_input(&v, &a, text, strlen(text), p, own));
	kwgi_arena_free(&a);
	return v;
}

static const struct {
	const char *lines;
	enum kwgi_input_verdict wireguard, ipip;
} cases[] = {
#define PASSES KWGI_INPUT_PASSES
#define UNSURE KWGI_INPUT_UNSURE
#define DROPPED KWGI_INPUT_DROPPED
	{ "", PASSES, PASSES },
	{ ACCEPTS USUAL, PASSES, PASSES },
	{ DROPS USUAL, DROPPED, DROPPED },
	{ ACCEPTS USUAL "-A INPUT -j DROP\n", DROPPED, DROPPED },
	{ ACCEPTS USUAL "-A INPUT -j REJECT --reject-with icmp-port-unreachable\n", DROPPED, DROPPED },
	{ ACCEPTS "-A INPUT -m comment --comment \"all of it\" -j DROP\n", DROPPED, DROPPED },
	/* the port */
	{ DROPS USUAL "-A INPUT -p udp -m udp --dport 51820 -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS USUAL "-A INPUT -p udp -m udp --dport 51821 -j ACCEPT\n", DROPPED, DROPPED },
	{ DROPS USUAL "-A INPUT -p udp -m udp --dport 50000:60000 -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS USUAL "-A INPUT -p udp -m udp --dport 50000: -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS USUAL "-A INPUT -p udp -m udp --dport 60000: -j ACCEPT\n", DROPPED, DROPPED },
	{ DROPS USUAL "-A INPUT -p udp -m multiport --dports 53,51000:52000 -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS USUAL "-A INPUT -p udp -m multiport --dports 53,518201 -j ACCEPT\n", DROPPED, DROPPED },
	{ DROPS USUAL "-A INPUT -p udp -m multiport ! --dports 53,54 -j ACCEPT\n", PASSES, DROPPED },
	{ ACCEPTS "-A INPUT -p udp -m udp ! --dport 51820 -j DROP\n", PASSES, PASSES },
	{ ACCEPTS "-A INPUT -p udp -m udp ! --dport 53 -j DROP\n", DROPPED, PASSES },
	{ DROPS USUAL "-A INPUT -p udp -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS USUAL "-A INPUT ! -p tcp -j ACCEPT\n", PASSES, PASSES },
	/* protocol 4 */
	{ DROPS USUAL "-A INPUT -p ipencap -j ACCEPT\n", DROPPED, PASSES },
	{ DROPS USUAL "-A INPUT -p 4 -j ACCEPT\n", DROPPED, PASSES },
	/* the first packet of a connection */
	{ DROPS "-A INPUT -m state --state NEW -j ACCEPT\n", PASSES, PASSES },
	{ ACCEPTS "-A INPUT -m conntrack --ctstate INVALID -j DROP\n", PASSES, PASSES },
	{ ACCEPTS "-A INPUT -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP\n", DROPPED, DROPPED },
	/* links and addresses */
	{ DROPS "-A INPUT -i kilo0 -j ACCEPT\n", DROPPED, DROPPED },
	{ DROPS "-A INPUT -i eth1 -j ACCEPT\n", UNSURE, UNSURE },
	{ DROPS "-A INPUT ! -i lo -j ACCEPT\n", PASSES, PASSES },
	{ DROPS "-A INPUT -s 10.0.0.0/8 -j ACCEPT\n", UNSURE, UNSURE },
	{ DROPS "-A INPUT -i eth0 -p udp -m udp --dport 51820 -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS "-A INPUT -p udp -m udp --dport 51820 -m limit --limit 9/sec -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS "-A INPUT -m set --match-set friends src -j ACCEPT\n", UNSURE, UNSURE },
	{ ACCEPTS "-A INPUT -s 10.66.0.0/16 -j DROP\n", PASSES, PASSES },
	{ ACCEPTS "-A INPUT -m addrtype ! --dst-type LOCAL -j DROP\n", PASSES, PASSES },
	/* chains */
	{ DROPS ":ufw-user-input - [0:0]\n" USUAL "-A INPUT -j ufw-user-input\n"
	  "-A ufw-user-input -p udp -m udp --dport 51820 -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS ":empty - [0:0]\n-A INPUT -j empty\n-A INPUT -j LOG --log-prefix \"x -j ACCEPT\"\n", DROPPED, DROPPED },
	{ ACCEPTS ":a - [0:0]\n-A INPUT -j a\n-A a -p udp -j RETURN\n-A a -j DROP\n", PASSES, DROPPED },
	{ ACCEPTS ":a - [0:0]\n-A INPUT -g a\n-A INPUT -j DROP\n-A a -p tcp -j DROP\n", PASSES, PASSES },
	{ DROPS ":a - [0:0]\n-A INPUT -j a\n-A a -j a\n", DROPPED, DROPPED },
	{ DROPS ":a - [0:0]\n-A INPUT -i eth0 -j a\n-A a -p udp -m udp --dport 51820 -j ACCEPT\n", PASSES, DROPPED },
	{ DROPS "-A INPUT -j NFQUEUE --queue-num 0\n", PASSES, PASSES },
};

START_TEST(verdict)
{
	ck_assert_msg(judge(&wireguard, cases[_i].lines) == cases[_i].wireguard, "WireGuard, %s: %d",
		      cases[_i].lines, (int)judge(&wireguard, cases[_i].lines));
	ck_assert_msg(judge(&ipip, cases[_i].lines) == cases[_i].ipip, "IPIP, %s: %d", cases[_i].lines,
		      (int)judge(&ipip, cases[_i].lines));
}
END_TEST

/* What somebody else may have written: it ends, and reads nothing beyond. */
START_TEST(strange)
{
	static const char *const texts[] = { "*filter", "*filter\n-A ", "*filter\n-A INPUT", "*filter\n-A INPUT -j",
		"*filter\n:INPUT DROP\n-A INPUT ! ! -p\n-A  -j INPUT\n-A INPUT -j INPUT\n", "-A INPUT -j DROP\n",
		"*filter\n-A INPUT --dport , -m multiport --dports ,,:,-1 -p \"\n" };
	enum kwgi_input_verdict v;
	struct kwgi_arena a = { 0 };
	char *text;
	size_t i, n;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		n = strlen(texts[i]);
		text = malloc(n);	/* for the sanitizer: without a NUL */
		ck_assert(text != NULL);
		memcpy(text, texts[i], n);
		ck_assert(!kwgi_ipt_input(&v, &a, text, n, &wireguard, own));
		free(text);
	}
	kwgi_arena_free(&a);
}
END_TEST

/* Chains that lead to two of the next each: nobody waits for all ways. */
START_TEST(many_ways)
{
	struct kwgi_arena a = { 0 };
	enum kwgi_input_verdict v;
	struct kwgi_buf b = { 0 };
	unsigned i, j;

	kwgi_buf_puts(&b, "*filter\n:INPUT DROP\n-A INPUT -j c0\n");
	for (i = 0; i < 15; i++)
		for (j = 0; j < 8; j++)
			kwgi_buf_printf(&b, "-A c%u -j c%u\n", i, i + 1);
	kwgi_buf_puts(&b, "-A c15 -p tcp -j ACCEPT\n");
	ck_assert(!b.failed);
	ck_assert(!kwgi_ipt_input(&v, &a, b.p, b.len, &wireguard, own));
	ck_assert_int_eq(v, KWGI_INPUT_PASSES);
	kwgi_buf_free(&b);
	kwgi_arena_free(&a);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, verdict, 0, (int)(sizeof(cases) / sizeof(*cases)));
	tcase_add_test(tc, strange);
	tcase_add_test(tc, many_ways);
}

int main(void)
{
	return unit_run("iptables_input", add);
}
