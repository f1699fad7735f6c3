/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Linux include/uapi/linux/rtnetlink.h; what the kernel's WireGuard asks: drivers/net/wireguard/socket.c. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/route.h"

#ifndef IFF_LOWER_UP
#define IFF_LOWER_UP (1 << 16)	/* linux/if.h, which does not go with net/if.h */
#endif

/* Messages that are taken in one turn, so that whoever floods the table does not stop us. */
enum { NOTICES = 64 };

/*
 * All that decides about the way of a datagram. Of a link too: when one goes down, its IPv4 routes
 * go without a notice.
 */
static const int groups[] = {
	RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
	RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK,
};

int kwgi_route_open(struct kwgi_route *r, struct kwg_error *err)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	size_t i;
	int e, ret;

	*r = (struct kwgi_route){ .fd = -1 };
	ret = kwgi_nl_open(&r->nl, NETLINK_ROUTE, err);
	if (ret)
		return ret;
	r->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (r->fd < 0 || bind(r->fd, (struct sockaddr *)&sa, sizeof(sa))) {
		e = errno;
		kwgi_route_close(r);
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "following routes: %s", kwgi_errtext(e));
	}
	/* Without IPv6 its groups exist all the same. */
	for (i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		(void)setsockopt(r->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
				 sizeof(groups[i]));
	return 0;
}

void kwgi_route_close(struct kwgi_route *r)
{
	if (r->fd >= 0)
		close(r->fd);
	kwgi_nl_close(&r->nl);
	r->fd = -1;
}

/* ---- what has changed ------------------------------------ */

static bool same_change(const struct kwgi_change *a, const struct kwgi_change *b)
{
	return a->kind == b->kind && a->ifindex == b->ifindex &&
	       kwgi_prefix_equal(&a->prefix, &b->prefix);
}

static void add_change(struct kwgi_changes *c, const struct kwgi_change *new)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (same_change(&c->v[i], new))
			return;
	if (c->n == KWGI_CHANGES)
		c->all = true;
	else
		c->v[c->n++] = *new;
}

static uint8_t family_of(uint8_t af)
{
	return af == AF_INET ? KWGI_AF_V4 : af == AF_INET6 ? KWGI_AF_V6 : KWGI_AF_NONE;
}

static bool get_address(struct kwgi_addr *a, const struct nlattr *attr)
{
	size_t len = a->family == KWGI_AF_V4 ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != len)
		return false;
	memcpy(a->b, mnl_attr_get_payload(attr), len);
	return true;
}

static bool get_u32(uint32_t *out, const struct nlattr *attr)
{
	if (mnl_attr_validate(attr, MNL_TYPE_U32))
		return false;
	*out = mnl_attr_get_u32(attr);
	return true;
}

/* A route of another table may be one that a rule leads to. */
static void read_route(struct kwgi_changes *c, const struct nlmsghdr *nlh, uint32_t own)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(nlh);
	struct kwgi_change new = { .kind = KWGI_CHANGE_ROUTE };
	const struct nlattr *attr;
	uint32_t oif = 0;
	bool ok = true;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) || m->rtm_flags & RTM_F_CLONED ||
	    m->rtm_type == RTN_BROADCAST || m->rtm_type == RTN_MULTICAST ||
	    m->rtm_type == RTN_ANYCAST)
		return;
	new.prefix.addr.family = family_of(m->rtm_family);
	if (!new.prefix.addr.family)
		return;
	new.prefix.len = m->rtm_dst_len;
	kwgi_attr_for_each(attr, nlh, sizeof(*m)) {
		if (mnl_attr_get_type(attr) == RTA_DST)
			ok &= get_address(&new.prefix.addr, attr);
		else if (mnl_attr_get_type(attr) == RTA_OIF)
			ok &= get_u32(&oif, attr);
	}
	if (!ok || new.prefix.len > kwgi_addr_bits(&new.prefix.addr))
		c->all = true;
	else if (!oif || oif != own)
		add_change(c, &new);
}

/* A new one is no reason to leave that which we have; a route that comes with it has a notice. */
static void read_address(struct kwgi_changes *c, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(nlh);
	struct kwgi_change new = { .kind = KWGI_CHANGE_ADDRESS };
	const struct nlattr *attr;
	bool found = false;

	if (nlh->nlmsg_type != RTM_DELADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*m))
		return;
	new.prefix.addr.family = family_of(m->ifa_family);
	if (!new.prefix.addr.family)
		return;
	/* IFA_ADDRESS is the other side of a point-to-point link, where there is an IFA_LOCAL. */
	kwgi_attr_for_each(attr, nlh, sizeof(*m))
		if (mnl_attr_get_type(attr) == IFA_LOCAL ||
		    (mnl_attr_get_type(attr) == IFA_ADDRESS && !found))
			found = get_address(&new.prefix.addr, attr);
	new.prefix.len = (uint8_t)kwgi_addr_bits(&new.prefix.addr);
	if (found)
		add_change(c, &new);
}

static void read_link(struct kwgi_changes *c, const struct nlmsghdr *nlh, uint32_t own)
{
	const unsigned usable = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(nlh);
	struct kwgi_change new = { .kind = KWGI_CHANGE_LINK };

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) || m->ifi_family != AF_UNSPEC ||
	    (own && m->ifi_index == (int)own))
		return;
	new.ifindex = (uint32_t)m->ifi_index;
	if (nlh->nlmsg_type == RTM_DELLINK || (m->ifi_flags & (IFF_UP | IFF_RUNNING)) !=
					      (IFF_UP | IFF_RUNNING))
		add_change(c, &new);
	else if (m->ifi_change != UINT32_MAX && m->ifi_change & usable)
		/* Routes that slept wake up without a notice. */
		c->all = true;
}

void kwgi_changes_read(struct kwgi_changes *c, const void *buf, size_t len, uint32_t own)
{
	const struct nlmsghdr *nlh = buf;
	int left = (int)len;

	/* libmnl takes a length of 2^31 and more for a negative one, which is below any. */
	for (; mnl_nlmsg_ok(nlh, left) && nlh->nlmsg_len <= (uint32_t)left;
	     nlh = mnl_nlmsg_next(nlh, &left)) {
		switch (nlh->nlmsg_type) {
		case RTM_NEWROUTE:
		case RTM_DELROUTE:
			read_route(c, nlh, own);
			break;
		case RTM_NEWADDR:
		case RTM_DELADDR:
			read_address(c, nlh);
			break;
		case RTM_NEWLINK:
		case RTM_DELLINK:
			read_link(c, nlh, own);
			break;
		case RTM_NEWRULE:
		case RTM_DELRULE:
			c->all = true;
			break;
		}
	}
}

bool kwgi_route_notices(struct kwgi_route *r, uint32_t own, struct kwgi_changes *c)
{
	_Alignas(struct nlmsghdr) char buf[16384];
	struct sockaddr_nl from;
	unsigned i;

	for (i = 0; i < NOTICES; i++) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(r->fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC,
				     (struct sockaddr *)&from, &len);

		/* Some were lost, and the error is gone by being read. */
		if (n < 0 && errno == ENOBUFS)
			c->all = true;
		else if (n < 0 && errno != EINTR)
			break;
		else if (n == 0)
			break;
		/* Only the kernel (port 0) is to be believed. */
		if (n <= 0 || len < sizeof(from) || from.nl_pid)
			continue;
		if ((size_t)n > sizeof(buf))
			c->all = true;
		else
			kwgi_changes_read(c, buf, (size_t)n, own);
	}
	return c->all || c->n;
}

static bool change_concerns(const struct kwgi_change *c, const struct kwgi_path *p)
{
	struct kwgi_addr a = { .family = p->family };

	switch (c->kind) {
	case KWGI_CHANGE_ROUTE:
		memcpy(a.b, p->addr, sizeof(a.b));
		return kwgi_prefix_contains(&c->prefix, &a);
	case KWGI_CHANGE_ADDRESS:
		memcpy(a.b, p->source, sizeof(a.b));
		return kwgi_prefix_contains(&c->prefix, &a);
	case KWGI_CHANGE_LINK:
		return c->ifindex == p->source_ifindex || !p->way || c->ifindex == p->way;
	}
	return true;
}

bool kwgi_changes_concern(const struct kwgi_changes *c, const struct kwgi_path *p)
{
	unsigned i;

	if (!p->has_source)
		return false;
	for (i = 0; !c->all && i < c->n; i++)
		if (change_concerns(&c->v[i], p))
			return true;
	return c->all;
}

/* ---- questions ------------------------------------ */

static int oif_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;

	kwgi_attr_for_each(attr, nlh, sizeof(struct rtmsg))
		if (mnl_attr_get_type(attr) == RTA_OIF && !mnl_attr_validate(attr, MNL_TYPE_U32))
			*(uint32_t *)arg = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static void put_address(struct nlmsghdr *nlh, uint16_t type, sa_family_t family, const void *v4,
			const void *v6)
{
	if (family == AF_INET)
		mnl_attr_put(nlh, type, 4, v4);
	else
		mnl_attr_put(nlh, type, 16, v6);
}

static bool is_zero(const struct kwgi_source *s)
{
	static const struct in6_addr none;

	if (s->family == AF_INET)
		return !s->v4.s_addr;
	return !memcmp(&s->v6, &none, sizeof(none));
}

int kwgi_route_oif(struct kwgi_route *r, const struct kwgi_sockaddr *to,
		   const struct kwgi_source *from, uint32_t fwmark, uint16_t port, uint32_t *oif)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(&r->nl, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	bool v4 = to->family == AF_INET;
	struct kwg_error error = { .sys_errno = 0 };
	uint32_t index = 0;

	rtm->rtm_family = (uint8_t)to->family;
	rtm->rtm_dst_len = v4 ? 32 : 128;
	put_address(nlh, RTA_DST, to->family, &to->v4.sin_addr, &to->v6.sin6_addr);
	if (from->family == to->family && !is_zero(from)) {
		rtm->rtm_src_len = v4 ? 32 : 128;
		put_address(nlh, RTA_SRC, to->family, &from->v4, &from->v6);
	}
	if (!v4 && to->v6.sin6_scope_id)
		mnl_attr_put_u32(nlh, RTA_OIF, to->v6.sin6_scope_id);
	if (fwmark)
		mnl_attr_put_u32(nlh, RTA_MARK, fwmark);
	/* For rules about ports; kernels before 4.17 pass over what they do not know. */
	mnl_attr_put_u8(nlh, RTA_IP_PROTO, IPPROTO_UDP);
	mnl_attr_put_u16(nlh, RTA_SPORT, htons(port));
	mnl_attr_put_u16(nlh, RTA_DPORT, v4 ? to->v4.sin_port : to->v6.sin6_port);
	if (kwgi_nl_ask(&r->nl, nlh, oif_cb, &index, "asking for a route", &error))
		return error.sys_errno ? -error.sys_errno : -EIO;
	if (!index)
		return -ENETUNREACH;
	*oif = index;
	return 0;
}
