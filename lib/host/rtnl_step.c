/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Steps as rtnetlink requests (those about links: rtnl_link.c, about rules: rtnl_rule.c), and the
 * wait for a link.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "host/files.h"
#include "host/rtnl.h"
#include "steps/desired.h"
#include "sys/errtext.h"

enum { WHAT = 128 };

/* ---- addresses ------------------------------------------------------- */

static int change_addr(struct kwgi_nl *nl, const struct kwgi_step *s, bool add,
		       struct kwg_error *err)
{
	const struct kwgi_prefix *p = &s->u.addr.prefix;
	const struct kwgi_addr *peer = &s->u.addr.peer;
	const char *name = s->link;
	struct nlmsghdr *nlh;
	struct ifaddrmsg *ifa;
	char what[WHAT], text[KWGI_PREFIX_TEXT];
	uint32_t index;
	int ret = kwgi_rtnl_index(name, &index, err);

	if (ret)
		return ret;
	nlh = kwgi_nl_begin(nl, add ? RTM_NEWADDR : RTM_DELADDR,
			    add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = kwgi_rtnl_family(p->addr.family);
	ifa->ifa_prefixlen = p->len;
	ifa->ifa_index = index;
	/* Nobody on a tunnel answers duplicate address detection. */
	if (p->addr.family == KWGI_AF_V6)
		ifa->ifa_flags = IFA_F_NODAD;
	kwgi_rtnl_put_addr(nlh, IFA_LOCAL, &p->addr);
	/* Of IPv4 it has to be the one that is there (net/ipv4/devinet.c, inet_rtm_deladdr). */
	kwgi_rtnl_put_addr(nlh, IFA_ADDRESS, peer->family ? peer : &p->addr);
	snprintf(what, sizeof(what), "%s: %s address %s", name, add ? "adding" : "removing",
		 kwgi_prefix_format(text, p));
	return kwgi_nl_request(nl, nlh, what, err);
}

/* ---- neighbours ------------------------------------------------------ */

/* A forwarding entry goes to the device itself (NTF_SELF), not to a bridge that it is in. */
static int change_neigh(struct kwgi_nl *nl, const char *name, const struct kwgi_host_neigh *n,
			bool set, struct kwg_error *err)
{
	struct nlmsghdr *nlh;
	struct ndmsg *ndm;
	char what[WHAT], text[KWGI_ADDR_TEXT];
	uint32_t index;
	int ret = kwgi_rtnl_index(name, &index, err);

	if (ret)
		return ret;
	nlh = kwgi_nl_begin(nl, set ? RTM_NEWNEIGH : RTM_DELNEIGH,
			    set ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = n->fdb ? AF_BRIDGE : kwgi_rtnl_family(n->addr.family);
	ndm->ndm_ifindex = (int)index;
	ndm->ndm_state = NUD_PERMANENT;
	ndm->ndm_flags = n->fdb ? NTF_SELF : 0;
	mnl_attr_put(nlh, NDA_LLADDR, sizeof(n->mac), n->mac);
	kwgi_rtnl_put_addr(nlh, NDA_DST, &n->addr);
	snprintf(what, sizeof(what), "%s: %s the neighbour %s", name,
		 set ? "setting" : "removing", kwgi_addr_format(text, &n->addr));
	return kwgi_nl_request(nl, nlh, what, err);
}

/* ---- routes ---------------------------------------------------------- */

/*
 * Among routes with the same destination and metric, FRONT and BEHIND add the first and the last;
 * CHANGE replaces the first, whosever it is.
 */
enum verb { ADD, FRONT, BEHIND, CHANGE, REMOVE };

/* A next hop of another family goes into RTA_VIA. */
static void put_gateway(struct nlmsghdr *nlh, const struct kwgi_host_route *r)
{
	__kernel_sa_family_t family = kwgi_rtnl_family(r->gw.family);
	size_t len = kwgi_addr_bits(&r->gw) / 8;
	uint8_t via[sizeof(family) + 16];	/* struct rtvia */

	if (r->gw.family == r->dst.addr.family || !r->gw.family) {
		kwgi_rtnl_put_addr(nlh, RTA_GATEWAY, &r->gw);
		return;
	}
	memcpy(via, &family, sizeof(family));
	memcpy(via + sizeof(family), r->gw.b, len);
	mnl_attr_put(nlh, RTA_VIA, sizeof(family) + len, via);
}

static struct nlmsghdr *begin_route(struct kwgi_nl *nl, enum verb verb,
				    const struct kwgi_host_route *r)
{
	static const uint16_t flags[] = {
		[ADD] = NLM_F_CREATE | NLM_F_EXCL, [FRONT] = NLM_F_CREATE,
		[BEHIND] = NLM_F_CREATE | NLM_F_APPEND,
		[CHANGE] = NLM_F_CREATE | NLM_F_REPLACE,
		[REMOVE] = 0,
	};
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, verb == REMOVE ? RTM_DELROUTE : RTM_NEWROUTE,
					     flags[verb]);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = kwgi_rtnl_family(r->dst.addr.family);
	rtm->rtm_dst_len = r->dst.len;
	rtm->rtm_table = RT_TABLE_UNSPEC;	/* RTA_TABLE says */
	rtm->rtm_protocol = r->protocol;
	rtm->rtm_type = r->passed ? RTN_THROW : r->closed ? RTN_UNREACHABLE : RTN_UNICAST;
	/* NOWHERE: whatever scope the route to remove has (net/ipv4/fib_trie.c). */
	if (verb == REMOVE)
		rtm->rtm_scope = RT_SCOPE_NOWHERE;
	else if (!r->gw.family && !r->closed && r->dst.addr.family == KWGI_AF_V4)
		rtm->rtm_scope = RT_SCOPE_LINK;
	if (r->onlink && verb != REMOVE)
		rtm->rtm_flags = RTNH_F_ONLINK;
	return nlh;
}

/* Without a lock: what the inner connections learn of their path still counts. */
static void put_route_mtu(struct nlmsghdr *nlh, uint32_t mtu)
{
	struct nlattr *metrics;

	if (!mtu)
		return;
	metrics = mnl_attr_nest_start(nlh, RTA_METRICS);
	mnl_attr_put_u32(nlh, RTAX_MTU, mtu);
	mnl_attr_nest_end(nlh, metrics);
}

static int change_route(struct kwgi_nl *nl, enum verb verb, const struct kwgi_host_route *r,
			const char *link, struct kwg_error *err)
{
	static const char *const verbs[] = { "adding", "adding", "adding", "changing", "removing" };
	char what[WHAT], text[KWGI_PREFIX_TEXT];
	struct nlmsghdr *nlh;
	uint32_t oif = r->oif;

	if (!oif && !r->closed && kwgi_rtnl_index(link, &oif, err))
		return KWG_ERR_KERNEL;
	nlh = begin_route(nl, verb, r);
	kwgi_rtnl_put_addr(nlh, RTA_DST, &r->dst.addr);
	put_gateway(nlh, r);
	kwgi_rtnl_put_addr(nlh, RTA_PREFSRC, &r->src);
	if (oif)
		mnl_attr_put_u32(nlh, RTA_OIF, oif);
	mnl_attr_put_u32(nlh, RTA_TABLE, r->table);
	if (r->metric)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, r->metric);
	if (verb != REMOVE)
		put_route_mtu(nlh, r->mtu);
	snprintf(what, sizeof(what), "%s route %s in table %u", verbs[verb],
		 kwgi_prefix_format(text, &r->dst), r->table);
	return kwgi_nl_request(nl, nlh, what, err);
}

/* ---- steps ----------------------------------------------------------- */

/* A route that was, by the name of its link, which may have been made anew. */
static struct kwgi_host_route by_name(const struct kwgi_host_route *was, const char *link)
{
	struct kwgi_host_route again = *was;
	uint32_t index = if_nametoindex(link);

	if (index)
		again.oif = index;
	return again;
}

/* In place, unless a route of others would be meant by it. */
static int exchange(struct kwgi_nl *nl, const struct kwgi_host_route *to, const char *to_link,
		    const struct kwgi_host_route *from, const char *from_link, uint8_t company,
		    struct kwg_error *err)
{
	int ret;

	if (company != KWGI_BEHIND)
		return change_route(nl, CHANGE, to, to_link, err);
	ret = change_route(nl, BEHIND, to, to_link, err);
	return ret ? ret : change_route(nl, REMOVE, from, from_link, err);
}

static int step_route(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		      struct kwg_error *err)
{
	static const enum verb add[] = { [KWGI_ALONE] = ADD, [KWGI_IN_FRONT] = FRONT, [KWGI_BEHIND] = BEHIND };
	const struct kwgi_host_route *route = &s->u.route.route;
	uint8_t company = s->u.route.company;
	const char *old_link = s->kind == KWGI_STEP_ROUTE_DEL ? s->link : s->u.route.old_link;
	struct kwgi_host_route old;

	if (s->kind == KWGI_STEP_ROUTE_ADD)
		return change_route(nl, undo ? REMOVE : add[company], route, s->link, err);
	if (!undo && s->kind == KWGI_STEP_ROUTE_DEL)
		return change_route(nl, REMOVE, &s->u.route.old, s->link, err);
	if (!undo)
		return exchange(nl, route, s->link, &s->u.route.old, old_link, company, err);
	old = by_name(&s->u.route.old, old_link);
	if (s->kind == KWGI_STEP_ROUTE_DEL)
		return change_route(nl, add[company], &old, s->link, err);
	return exchange(nl, &old, old_link, route, s->link, company, err);
}

/* The kernel's own words, without what it only tells. */
static int make_again(struct kwgi_nl *nl, const struct kwgi_step *s, struct kwg_error *err)
{
	const struct nlmsghdr *was = s->u.again.other->message;
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	char what[WHAT], text[KWGI_PREFIX_TEXT];
	const struct nlattr *attr;

	memcpy(rtm, mnl_nlmsg_get_payload(was), sizeof(*rtm));
	rtm->rtm_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
	kwgi_attr_for_each(attr, was, sizeof(*rtm))
		if (mnl_attr_get_type(attr) != RTA_CACHEINFO)
			mnl_attr_put(nlh, attr->nla_type, mnl_attr_get_payload_len(attr),
				     mnl_attr_get_payload(attr));
	snprintf(what, sizeof(what), "making the route %s of somebody else again",
		 kwgi_prefix_format(text, &s->u.again.other->route.dst));
	return kwgi_nl_request(nl, nlh, what, err);
}

static int step_neigh(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		      struct kwg_error *err)
{
	const struct kwgi_host_neigh *to = undo ? &s->u.neigh.old : &s->u.neigh.neigh;

	if (to->addr.family)
		return change_neigh(nl, s->link, to, true, err);
	return change_neigh(nl, s->link, undo ? &s->u.neigh.neigh : &s->u.neigh.old, false, err);
}

static int run(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo, struct kwg_error *err)
{
	switch ((enum kwgi_step_kind)s->kind) {
	case KWGI_STEP_LINK_ADD:
	case KWGI_STEP_LINK_DEL:
	case KWGI_STEP_LINK_ALIAS:
	case KWGI_STEP_LINK_NAME:
	case KWGI_STEP_LINK_MTU:
	case KWGI_STEP_LINK_UP:
	case KWGI_STEP_LINK_DOWN:
		return kwgi_rtnl_link_step(nl, s, undo, err);
	case KWGI_STEP_NEIGH_SET:
	case KWGI_STEP_NEIGH_DEL:
		return step_neigh(nl, s, undo, err);
	case KWGI_STEP_ADDR_ADD:
	case KWGI_STEP_ADDR_DEL:
		return change_addr(nl, s, (s->kind == KWGI_STEP_ADDR_ADD) != undo, err);
	case KWGI_STEP_RULE_ADD:
	case KWGI_STEP_RULE_DEL:
		return kwgi_rtnl_rule_step(nl, s, undo, err);
	case KWGI_STEP_ROUTE_ADD:
	case KWGI_STEP_ROUTE_CHANGE:
	case KWGI_STEP_ROUTE_DEL:
		return step_route(nl, s, undo, err);
	case KWGI_STEP_ROUTE_AGAIN:
		return undo ? 0 : make_again(nl, s, err);
	case KWGI_STEP_FIREWALL:
	case KWGI_STEP_CNI:
	case KWGI_STEP_IPTABLES:
	case KWGI_STEP_VALID_MARK:
	case KWGI_STEP_LINK_WAIT:
	case KWGI_STEP_LINK_DAEMON:
	case KWGI_STEP_WG_DEVICE:
	case KWGI_STEP_PEER_SET:
	case KWGI_STEP_PEER_DEL:
		break;
	}
	return 0;
}

static bool makes(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_LINK_ADD || s->kind == KWGI_STEP_ADDR_ADD ||
	       s->kind == KWGI_STEP_RULE_ADD || s->kind == KWGI_STEP_ROUTE_ADD ||
	       s->kind == KWGI_STEP_NEIGH_SET;
}

static bool removes(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_LINK_DEL || s->kind == KWGI_STEP_ADDR_DEL ||
	       s->kind == KWGI_STEP_RULE_DEL || s->kind == KWGI_STEP_ROUTE_DEL ||
	       s->kind == KWGI_STEP_NEIGH_DEL;
}

/*
 * What is to be removed has gone already: with its link, or with an address. When undoing, what is
 * to be there again may never have gone: a step in doubt is undone as well.
 */
static bool is_so_already(const struct kwgi_step *s, bool undo, int sys_errno)
{
	if (undo ? makes(s) || s->kind == KWGI_STEP_LINK_NAME : removes(s))
		return sys_errno == ENOENT || sys_errno == ESRCH || sys_errno == ENODEV ||
		       sys_errno == EADDRNOTAVAIL;
	return (undo ? removes(s) : s->kind == KWGI_STEP_ROUTE_AGAIN) && sys_errno == EEXIST;
}

int kwgi_rtnl_step(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		   struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	int ret = run(nl, s, undo, &own);

	if (!ret || (ret != KWGI_IN_DOUBT && is_so_already(s, undo, own.sys_errno)))
		return 0;
	if (err)
		*err = own;
	return ret;
}

/* ---- waiting --------------------------------------------------------- */

static int wait_event(const struct mnl_socket *sock, int64_t deadline)
{
	struct pollfd p = { .fd = mnl_socket_get_fd(sock), .events = POLLIN };
	int64_t left = deadline - kwgi_monotonic_ms();
	char buf[8192];
	int n;

	if (left <= 0)
		return 0;
	n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
	/* What happened does not matter, nor whether events were lost: the link is looked for. */
	if (n > 0)
		(void)mnl_socket_recvfrom(sock, buf, sizeof(buf));
	return 1;
}

static bool is_there(const char *ifname, bool up)
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int fd, ret;

	if (!if_nametoindex(ifname))
		return false;
	if (!up)
		return true;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	ret = ioctl(fd, SIOCGIFFLAGS, &ifr);
	close(fd);
	return !ret && ifr.ifr_flags & IFF_UP;
}

static int64_t next_look(int64_t deadline)
{
	int64_t next = kwgi_monotonic_ms() + KWGI_STOP_LOOK;

	return next < deadline ? next : deadline;
}

int kwgi_rtnl_wait_link(const char *ifname, bool up, int64_t deadline,
			const struct kwgi_stop *stop, const char *who, struct kwg_error *err)
{
	struct mnl_socket *sock;
	int ret = 0;

	if (is_there(ifname, up))
		return 0;
	sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!sock || mnl_socket_bind(sock, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0) {
		int e = errno;

		if (sock)
			mnl_socket_close(sock);
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "listening for links: %s", kwgi_errtext(e));
	}
	/* Subscribed first, looked second: no link can slip through in between. */
	while (!is_there(ifname, up)) {
		if (kwgi_stop_cancelled(stop)) {
			ret = kwgi_stop_fail(stop, err, "the interface %s was there", ifname);
			break;
		}
		if (wait_event(sock, stop && stop->has_fd ? next_look(deadline) : deadline) ||
		    kwgi_monotonic_ms() < deadline)
			continue;
		ret = kwgi_fail(err, KWG_ERR_TIMEOUT, 0,
				"%s: the interface %s within interface-timeout; %s", ifname,
				if_nametoindex(ifname) ? "was not set up" : "did not appear", who);
		break;
	}
	mnl_socket_close(sock);
	return ret;
}

int kwgi_rtnl_is_tun(const char *ifname, bool *is_tun, struct kwg_error *err)
{
	const struct kwgi_link *l;
	struct kwgi_host h = { 0 };
	struct kwgi_nl nl;
	int ret = kwgi_nl_open(&nl, NETLINK_ROUTE, err);

	if (ret)
		return ret;
	ret = kwgi_rtnl_observe(&nl, 0, &h, err);
	if (!ret) {
		l = kwgi_host_link(&h, ifname);
		*is_tun = l && !strcmp(l->kind, "tun");
	}
	kwgi_host_free(&h);
	kwgi_nl_close(&nl);
	return ret;
}
