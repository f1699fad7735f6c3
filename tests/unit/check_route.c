/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What the kernel's notices say about ways to endpoints, and whom that concerns; no socket is opened. */
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "unit.h"
#include "userspace/route.h"

enum { OWN = 9, ETH = 2, ETH1 = 3 };

static _Alignas(struct nlmsghdr) char buf[8192];
static struct nlmsghdr *nlh;
static struct kwgi_changes c;

static void begin(void)
{
	memset(&c, 0, sizeof(c));
}

static void *message(uint16_t type, size_t extra)
{
	memset(buf, 0, sizeof(buf));
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	return mnl_nlmsg_put_extra_header(nlh, extra);
}

static void put_prefix(uint16_t type, const struct kwgi_prefix *p)
{
	mnl_attr_put(nlh, type, p->addr.family == KWGI_AF_V4 ? 4 : 16, p->addr.b);
}

static int af(const struct kwgi_prefix *p)
{
	return p->addr.family == KWGI_AF_V4 ? AF_INET : AF_INET6;
}

static void read_it(void)
{
	kwgi_changes_read(&c, buf, nlh->nlmsg_len, OWN);
}

static void route(uint16_t type, const char *dst, uint32_t oif, uint8_t kind)
{
	struct kwgi_prefix p = prefix(dst);
	struct rtmsg *m = message(type, sizeof(*m));

	m->rtm_family = (uint8_t)af(&p);
	m->rtm_dst_len = p.len;
	m->rtm_type = kind;
	if (p.len)
		put_prefix(RTA_DST, &p);
	if (oif)
		mnl_attr_put_u32(nlh, RTA_OIF, oif);
	read_it();
}

static void address_gone(const char *a)
{
	struct kwgi_prefix p = prefix(a);
	struct ifaddrmsg *m = message(RTM_DELADDR, sizeof(*m));

	m->ifa_family = (uint8_t)af(&p);
	put_prefix(IFA_ADDRESS, &p);
	read_it();
}

static void link_is(uint16_t type, int ifindex, unsigned flags, unsigned change)
{
	struct ifinfomsg *m = message(type, sizeof(*m));

	m->ifi_index = ifindex;
	m->ifi_flags = flags;
	m->ifi_change = change;
	read_it();
}

static struct kwgi_path path(const char *to, const char *source, uint32_t ifindex, uint32_t way)
{
	struct kwgi_prefix t = prefix(to), s = prefix(source);
	struct kwgi_path p = { .family = t.addr.family, .port = 1, .has_source = true,
			       .source_ifindex = ifindex, .way = way };

	memcpy(p.addr, t.addr.b, 16);
	memcpy(p.source, s.addr.b, 16);
	return p;
}

START_TEST(only_whose_endpoint_lies_in_it)
{
	struct kwgi_path a = path("203.0.113.7/32", "192.0.2.1/32", ETH, ETH);
	struct kwgi_path b = path("198.51.100.7/32", "192.0.2.1/32", ETH, ETH);
	struct kwgi_path six = path("2001:db8::7/128", "2001:db8:1::1/128", ETH, ETH);

	ck_assert(!kwgi_changes_concern(&c, &a));
	route(RTM_NEWROUTE, "203.0.113.0/24", ETH, RTN_UNICAST);
	ck_assert(kwgi_changes_concern(&c, &a));
	ck_assert(!kwgi_changes_concern(&c, &b) && !kwgi_changes_concern(&c, &six));
	route(RTM_DELROUTE, "2001:db8::/32", 0, RTN_UNICAST);
	ck_assert(kwgi_changes_concern(&c, &six) && !kwgi_changes_concern(&c, &b));
	route(RTM_NEWROUTE, "0.0.0.0/0", ETH1, RTN_UNREACHABLE);
	ck_assert(kwgi_changes_concern(&c, &b));
	a.has_source = false;
	ck_assert(!kwgi_changes_concern(&c, &a));
}
END_TEST

/* Routes into the tunnel, of which a mesh has thousands; what decides about no way. */
START_TEST(what_does_not_count)
{
	route(RTM_NEWROUTE, "203.0.113.0/24", OWN, RTN_UNICAST);
	route(RTM_DELROUTE, "0.0.0.0/0", OWN, RTN_UNICAST);
	route(RTM_NEWROUTE, "203.0.113.255/32", ETH, RTN_BROADCAST);
	link_is(RTM_NEWLINK, OWN, 0, IFF_UP);
	link_is(RTM_NEWLINK, ETH, IFF_UP | IFF_RUNNING, 0);
	link_is(RTM_NEWLINK, ETH, IFF_UP | IFF_RUNNING, UINT32_MAX);
	link_is(RTM_NEWLINK, ETH, IFF_UP | IFF_RUNNING | IFF_PROMISC, IFF_PROMISC);
	ck_assert(!c.all && !c.n);
	/* Without a number of ours, as when our link is in another namespace, it is another's. */
	kwgi_changes_read(&c, buf, 0, 0);
	ck_assert(!c.all && !c.n);
}
END_TEST

START_TEST(addresses_links_and_rules)
{
	struct kwgi_path a = path("203.0.113.7/32", "192.0.2.1/32", ETH, ETH);
	struct kwgi_path b = path("203.0.113.7/32", "192.0.2.2/32", ETH1, ETH1);

	address_gone("192.0.2.1/32");
	ck_assert(kwgi_changes_concern(&c, &a) && !kwgi_changes_concern(&c, &b));
	begin();
	link_is(RTM_NEWLINK, ETH1, IFF_RUNNING, IFF_UP);
	ck_assert(!kwgi_changes_concern(&c, &a) && kwgi_changes_concern(&c, &b));
	b.source_ifindex = b.way = ETH;
	ck_assert(!kwgi_changes_concern(&c, &b));
	b.way = 0;
	ck_assert(kwgi_changes_concern(&c, &b));
	begin();
	link_is(RTM_DELLINK, ETH, IFF_UP | IFF_RUNNING, UINT32_MAX);
	ck_assert(kwgi_changes_concern(&c, &a));
	begin();
	link_is(RTM_NEWLINK, ETH, IFF_UP | IFF_RUNNING, IFF_RUNNING);
	ck_assert(c.all);
	begin();
	message(RTM_NEWRULE, sizeof(struct rtmsg));
	read_it();
	ck_assert(c.all && kwgi_changes_concern(&c, &a));
}
END_TEST

/* The same again takes no place; too many are all. */
START_TEST(so_many_changes)
{
	struct kwgi_path a = path("203.0.113.7/32", "192.0.2.1/32", ETH, ETH);
	char text[32];
	unsigned i;

	for (i = 0; i < 100; i++)
		route(RTM_NEWROUTE, "198.51.100.0/24", ETH, RTN_UNICAST);
	ck_assert_uint_eq(c.n, 1);
	for (i = 0; i < KWGI_CHANGES - 1; i++) {
		snprintf(text, sizeof(text), "10.%u.0.0/16", i);
		route(RTM_NEWROUTE, text, ETH, RTN_UNICAST);
	}
	ck_assert(c.n == KWGI_CHANGES && !c.all && !kwgi_changes_concern(&c, &a));
	route(RTM_NEWROUTE, "10.200.0.0/16", ETH, RTN_UNICAST);
	ck_assert(c.all && kwgi_changes_concern(&c, &a));
}
END_TEST

/* Lengths and attributes that no kernel sends: nothing is read beyond the buffer, and all is asked. */
START_TEST(messages_that_are_none)
{
	uint64_t seed = 3;
	struct rtmsg *m;
	unsigned i, k;

	m = message(RTM_NEWROUTE, sizeof(*m));
	m->rtm_family = AF_INET;
	m->rtm_type = RTN_UNICAST;
	m->rtm_dst_len = 33;
	read_it();
	ck_assert(c.all);
	begin();
	m = message(RTM_NEWROUTE, sizeof(*m));
	m->rtm_family = AF_INET;
	m->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_DST, 3, "abc");
	read_it();
	ck_assert(c.all);
	for (i = 0; i < 20000; i++) {
		static const uint16_t types[] = { RTM_NEWROUTE, RTM_DELADDR, RTM_NEWLINK, RTM_DELROUTE };
		size_t len = sizeof(struct nlmsghdr) + random_below(&seed, 120);
		char *exact = malloc(len);

		ck_assert_ptr_nonnull(exact);
		for (k = 0; k < len; k++)
			exact[k] = (char)random_below(&seed, i % 2 ? 256 : 4);
		nlh = (struct nlmsghdr *)(void *)exact;
		nlh->nlmsg_len = (uint32_t)(i % 3 ? len : random_below(&seed, 200));
		nlh->nlmsg_type = types[i % 4];
		begin();
		kwgi_changes_read(&c, exact, len, OWN);
		for (k = 0; k < c.n; k++)
			ck_assert_uint_le(c.v[k].prefix.len, 128);
		free(exact);
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, only_whose_endpoint_lies_in_it);
	tcase_add_test(tc, what_does_not_count);
	tcase_add_test(tc, addresses_links_and_rules);
	tcase_add_test(tc, so_many_changes);
	tcase_add_test(tc, messages_that_are_none);
}

int main(void)
{
	return unit_run("route", add);
}
