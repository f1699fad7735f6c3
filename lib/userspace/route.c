/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/route.h"

/* All that decides about the way of a datagram. */
static const int groups[] = {
	RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
	RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
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

bool kwgi_route_changed(struct kwgi_route *r)
{
	struct nlmsghdr head;
	bool changed = false;
	ssize_t n;

	/* That there is a notice is enough; the rest of it is cut off. */
	for (;;) {
		n = recv(r->fd, &head, sizeof(head), MSG_DONTWAIT);
		if (n > 0 || (n < 0 && errno == ENOBUFS))
			changed = true;
		else if (n == 0 || errno != EINTR)
			return changed;
	}
}

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
		   const struct kwgi_source *from, uint32_t fwmark, uint32_t *oif)
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
	if (kwgi_nl_ask(&r->nl, nlh, oif_cb, &index, "asking for a route", &error))
		return error.sys_errno ? -error.sys_errno : -EIO;
	if (!index)
		return -ENETUNREACH;
	*oif = index;
	return 0;
}
