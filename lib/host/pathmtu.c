/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "host/pathmtu.h"

static void read_metrics(struct kwgi_host_path *p, const struct nlattr *metrics)
{
	const struct nlattr *attr;

	kwgi_attr_for_each_nested(attr, metrics)
		if (mnl_attr_get_type(attr) == RTAX_MTU && !mnl_attr_validate(attr, MNL_TYPE_U32))
			p->mtu = mnl_attr_get_u32(attr);
}

/* What has been learnt is of a clone of the route, and has an end. */
static bool expires(const struct nlattr *attr)
{
	struct rta_cacheinfo info;

	if (mnl_attr_get_payload_len(attr) < sizeof(info))
		return false;
	memcpy(&info, mnl_attr_get_payload(attr), sizeof(info));
	return info.rta_expires;
}

/* An address of this host itself is no way to a peer. */
static int on_answer(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct kwgi_host_path *p = arg;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	kwgi_attr_for_each(attr, nlh, sizeof(*rtm)) {
		if (mnl_attr_get_type(attr) == RTA_OIF && !mnl_attr_validate(attr, MNL_TYPE_U32))
			p->oif = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_METRICS)
			read_metrics(p, attr);
		else if (mnl_attr_get_type(attr) == RTA_CACHEINFO)
			p->learnt = rtm->rtm_flags & RTM_F_CLONED && expires(attr);
	}
	p->learnt = p->learnt && p->mtu;
	return MNL_CB_OK;
}

/* What the kernel answers where no datagram can go, and where it has no such family. */
static bool means_no_way(int sys_errno)
{
	switch (sys_errno) {
	case ENETUNREACH:
	case ENETDOWN:
	case ENODEV:
	case EHOSTUNREACH:
	case EACCES:		/* route of type prohibit */
	case EINVAL:		/* blackhole */
	case EAGAIN:		/* throw */
	case ENOENT:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EOPNOTSUPP:
	case EPFNOSUPPORT:
		return true;
	}
	return false;
}

/* Protocol and port count where rules ask for them; kernels before 4.17 ignore them. */
static int ask(struct kwgi_nl *nl, struct kwgi_host_path *p, uint16_t port, uint32_t fwmark,
	       struct kwg_error *err)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	struct kwg_error own = { 0 };
	int ret;

	rtm->rtm_family = p->to.family == KWGI_AF_V4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = (uint8_t)kwgi_addr_bits(&p->to);
	mnl_attr_put(nlh, RTA_DST, kwgi_addr_bits(&p->to) / 8, p->to.b);
	if (fwmark)
		mnl_attr_put_u32(nlh, RTA_MARK, fwmark);
	mnl_attr_put_u8(nlh, RTA_IP_PROTO, IPPROTO_UDP);
	if (port)
		mnl_attr_put_u16(nlh, RTA_SPORT, htons(port));
	ret = kwgi_nl_ask(nl, nlh, on_answer, p, "asking for the way to an endpoint", &own);
	if (!ret || means_no_way(own.sys_errno))
		return 0;
	if (err)
		*err = own;
	return ret;
}

int kwgi_pathmtu_observe(struct kwgi_nl *nl, const struct kwgi_addr *to, uint32_t n,
			 uint16_t port, uint32_t fwmark, struct kwgi_host *h,
			 struct kwg_error *err)
{
	uint32_t i;
	int ret = 0;

	h->n_paths = 0;
	h->paths = kwgi_arena_alloc(&h->arena, n + 1u, sizeof(*h->paths));
	if (!h->paths)
		return kwgi_nomem(err);
	for (i = 0; i < n && !ret; i++) {
		h->paths[i] = (struct kwgi_host_path){ .to = to[i] };
		ret = ask(nl, &h->paths[i], port, fwmark, err);
	}
	h->n_paths = n;
	return ret;
}
