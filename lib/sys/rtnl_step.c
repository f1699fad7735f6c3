/* SPDX-License-Identifier: ISC */
/* Steps as rtnetlink requests, and the wait for a link. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "core/wanted.h"
#include "sys/errtext.h"
#include "sys/files.h"
#include "sys/rtnl.h"

enum { WHAT = 128 };

static uint8_t to_af(uint8_t family)
{
	return family == KWGI_AF_V4 ? AF_INET : AF_INET6;
}

static void put_addr(struct nlmsghdr *nlh, uint16_t type, const struct kwgi_addr *a)
{
	if (a->family)
		mnl_attr_put(nlh, type, kwgi_addr_bits(a) / 8, a->b);
}

/* Index of a device by name, which the failing step names anyway. */
static int find_index(const char *name, uint32_t *index, struct kwg_error *err)
{
	*index = if_nametoindex(name);
	if (*index)
		return 0;
	return kwgi_fail(err, KWG_ERR_KERNEL, ENODEV, "%s: there is no such interface", name);
}

/* ---- links ----------------------------------------------------------- */

static struct nlmsghdr *begin_link(struct kwgi_nl *nl, uint16_t type, uint16_t flags,
				   uint32_t index, unsigned up_mask, bool up)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, type, flags);
	struct ifinfomsg *ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));

	ifm->ifi_family = AF_UNSPEC;
	ifm->ifi_index = (int)index;
	ifm->ifi_change = up_mask;
	ifm->ifi_flags = up ? IFF_UP : 0;
	return nlh;
}

static int set_alias(struct kwgi_nl *nl, const char *name, const char *alias,
		     struct kwg_error *err)
{
	struct nlmsghdr *nlh;
	char what[WHAT];
	uint32_t index;
	int ret = find_index(name, &index, err);

	if (ret)
		return ret;
	nlh = begin_link(nl, RTM_SETLINK, 0, index, 0, false);
	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	snprintf(what, sizeof(what), "%s: setting the alias", name);
	return kwgi_nl_request(nl, nlh, what, err);
}

static int del_link(struct kwgi_nl *nl, const char *name, struct kwg_error *err)
{
	char what[WHAT];
	uint32_t index;
	int ret = find_index(name, &index, err);

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "%s: deleting the link", name);
	return kwgi_nl_request(nl, begin_link(nl, RTM_DELLINK, 0, index, 0, false), what, err);
}

static int make_unfinished(struct kwgi_nl *nl, const char *name, const char *kind,
			   const char *what, struct kwg_error *err)
{
	struct nlmsghdr *nlh = begin_link(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0, false);
	struct nlattr *info;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	mnl_attr_nest_end(nlh, info);
	return kwgi_nl_request(nl, nlh, what, err);
}

/* Mark and name at once, so that no crash leaves a link that nobody owns. */
static int mark_and_rename(struct kwgi_nl *nl, const char *from, const char *to, const char *alias,
			   const char *what, struct kwg_error *err)
{
	struct nlmsghdr *nlh;
	uint32_t index;
	int ret = find_index(from, &index, err);

	if (ret)
		return ret;
	nlh = begin_link(nl, RTM_SETLINK, 0, index, 0, false);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, to);
	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	return kwgi_nl_request(nl, nlh, what, err);
}

/* What kernels answer that know no such link, or cannot load its module. */
static bool has_no_such_kind(int sys_errno)
{
	return sys_errno == EOPNOTSUPP || sys_errno == EAFNOSUPPORT || sys_errno == ENOSYS ||
	       sys_errno == EPROTONOSUPPORT;
}

static int add_link(struct kwgi_nl *nl, const char *name, const char *kind, const char *alias,
		    struct kwg_error *err)
{
	char what[WHAT], unfinished[KWGI_IFNAME_MAX + 1];
	int ret;

	kwgi_mark_unfinished_name(unfinished, name);
	snprintf(what, sizeof(what), "%s: making a link of type %s", name, kind);
	ret = make_unfinished(nl, unfinished, kind, what, err);
	if (ret && has_no_such_kind(err->sys_errno))
		return kwgi_fail(err, KWG_ERR_KERNEL, EOPNOTSUPP,
				 "%s: this kernel has no WireGuard; backend = auto or userspace starts one outside of it, and with backend = external you run one yourself",
				 name);
	if (ret)
		return ret;
	ret = mark_and_rename(nl, unfinished, name, alias, what, err);
	if (ret)
		(void)del_link(nl, unfinished, NULL);
	return ret;
}

int kwgi_rtnl_probe_wireguard(struct kwgi_nl *nl, const char *ifname, bool *has,
			      struct kwg_error *err)
{
	char name[KWGI_IFNAME_MAX + 1];
	struct kwg_error own = { 0 };
	int ret;

	kwgi_mark_unfinished_name(name, ifname);
	ret = make_unfinished(nl, name, "wireguard", "asking the kernel for a WireGuard link", &own);
	*has = !ret || own.sys_errno == EEXIST;
	if (!ret)
		return del_link(nl, name, err);
	if (*has || has_no_such_kind(own.sys_errno))
		return 0;
	if (err)
		*err = own;
	return ret;
}

static int set_up(struct kwgi_nl *nl, const char *name, bool up, struct kwg_error *err)
{
	char what[WHAT];
	uint32_t index;
	int ret = find_index(name, &index, err);

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "%s: setting the link %s", name, up ? "up" : "down");
	return kwgi_nl_request(nl, begin_link(nl, RTM_NEWLINK, 0, index, IFF_UP, up), what, err);
}

static int rename_link(struct kwgi_nl *nl, const char *from, const char *to, struct kwg_error *err)
{
	struct nlmsghdr *nlh;
	char what[WHAT];
	uint32_t index;
	int ret = find_index(from, &index, err);

	if (ret)
		return ret;
	nlh = begin_link(nl, RTM_SETLINK, 0, index, 0, false);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, to);
	snprintf(what, sizeof(what), "%s: renaming the link to %s", from, to);
	return kwgi_nl_request(nl, nlh, what, err);
}

static int set_mtu(struct kwgi_nl *nl, const char *name, uint32_t mtu, struct kwg_error *err)
{
	struct nlmsghdr *nlh;
	char what[WHAT];
	uint32_t index;
	int ret = find_index(name, &index, err);

	if (ret)
		return ret;
	nlh = begin_link(nl, RTM_NEWLINK, 0, index, 0, false);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	snprintf(what, sizeof(what), "%s: setting mtu %u", name, mtu);
	return kwgi_nl_request(nl, nlh, what, err);
}

/* ---- addresses ------------------------------------------------------- */

static int change_addr(struct kwgi_nl *nl, const char *name, const struct kwgi_prefix *p, bool add,
		       struct kwg_error *err)
{
	struct nlmsghdr *nlh;
	struct ifaddrmsg *ifa;
	char what[WHAT], text[KWGI_PREFIX_TEXT];
	uint32_t index;
	int ret = find_index(name, &index, err);

	if (ret)
		return ret;
	nlh = kwgi_nl_begin(nl, add ? RTM_NEWADDR : RTM_DELADDR,
			    add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = to_af(p->addr.family);
	ifa->ifa_prefixlen = p->len;
	ifa->ifa_index = index;
	/* Nobody on a tunnel answers duplicate address detection. */
	if (p->addr.family == KWGI_AF_V6)
		ifa->ifa_flags = IFA_F_NODAD;
	put_addr(nlh, IFA_LOCAL, &p->addr);
	put_addr(nlh, IFA_ADDRESS, &p->addr);
	snprintf(what, sizeof(what), "%s: %s address %s", name, add ? "adding" : "removing",
		 kwgi_prefix_format(text, p));
	return kwgi_nl_request(nl, nlh, what, err);
}

/* ---- rules ----------------------------------------------------------- */

static int change_rule(struct kwgi_nl *nl, const struct kwgi_host_rule *r, bool add,
		       struct kwg_error *err)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, add ? RTM_NEWRULE : RTM_DELRULE,
					     add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct fib_rule_hdr *frh = mnl_nlmsg_put_extra_header(nlh, sizeof(*frh));
	char what[WHAT], text[KWGI_PREFIX_TEXT];

	frh->family = to_af(r->family);
	frh->action = FR_ACT_TO_TBL;
	frh->src_len = r->src.len;
	frh->dst_len = r->dst.len;
	put_addr(nlh, FRA_SRC, &r->src.addr);
	put_addr(nlh, FRA_DST, &r->dst.addr);
	if (*r->iif)
		mnl_attr_put_strz(nlh, FRA_IIFNAME, r->iif);
	mnl_attr_put_u32(nlh, FRA_TABLE, r->table);
	mnl_attr_put_u32(nlh, FRA_PRIORITY, r->priority);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, r->protocol);
	snprintf(what, sizeof(what), "%s rule to %s lookup %u", add ? "adding" : "removing",
		 kwgi_prefix_format(text, &r->dst), r->table);
	return kwgi_nl_request(nl, nlh, what, err);
}

/* ---- routes ---------------------------------------------------------- */

enum verb { ADD, CHANGE, REMOVE };

/* A next hop of another family goes into RTA_VIA. */
static void put_gateway(struct nlmsghdr *nlh, const struct kwgi_host_route *r)
{
	__kernel_sa_family_t family = to_af(r->gw.family);
	size_t len = kwgi_addr_bits(&r->gw) / 8;
	uint8_t via[sizeof(family) + 16];	/* struct rtvia */

	if (r->gw.family == r->dst.addr.family || !r->gw.family) {
		put_addr(nlh, RTA_GATEWAY, &r->gw);
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
		[ADD] = NLM_F_CREATE | NLM_F_EXCL, [CHANGE] = NLM_F_CREATE | NLM_F_REPLACE,
		[REMOVE] = 0,
	};
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, verb == REMOVE ? RTM_DELROUTE : RTM_NEWROUTE,
					     flags[verb]);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = to_af(r->dst.addr.family);
	rtm->rtm_dst_len = r->dst.len;
	rtm->rtm_table = RT_TABLE_UNSPEC;	/* RTA_TABLE says */
	rtm->rtm_protocol = r->protocol;
	rtm->rtm_type = RTN_UNICAST;
	/* NOWHERE: whatever scope the route to remove has (net/ipv4/fib_trie.c). */
	if (verb == REMOVE)
		rtm->rtm_scope = RT_SCOPE_NOWHERE;
	else if (!r->gw.family && r->dst.addr.family == KWGI_AF_V4)
		rtm->rtm_scope = RT_SCOPE_LINK;
	if (r->onlink && verb != REMOVE)
		rtm->rtm_flags = RTNH_F_ONLINK;
	return nlh;
}

static int change_route(struct kwgi_nl *nl, enum verb verb, const struct kwgi_host_route *r,
			const char *link, struct kwg_error *err)
{
	static const char *const verbs[] = { "adding", "changing", "removing" };
	char what[WHAT], text[KWGI_PREFIX_TEXT];
	struct nlmsghdr *nlh;
	uint32_t oif = r->oif;

	if (!oif && find_index(link, &oif, err))
		return KWG_ERR_KERNEL;
	nlh = begin_route(nl, verb, r);
	put_addr(nlh, RTA_DST, &r->dst.addr);
	put_gateway(nlh, r);
	put_addr(nlh, RTA_PREFSRC, &r->src);
	mnl_attr_put_u32(nlh, RTA_OIF, oif);
	mnl_attr_put_u32(nlh, RTA_TABLE, r->table);
	if (r->metric)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, r->metric);
	snprintf(what, sizeof(what), "%s route %s in table %u", verbs[verb],
		 kwgi_prefix_format(text, &r->dst), r->table);
	return kwgi_nl_request(nl, nlh, what, err);
}

/* ---- steps ----------------------------------------------------------- */

static int step_link(struct kwgi_nl *nl, const struct kwgi_step *s, bool make,
		     struct kwg_error *err)
{
	const char *alias = s->kind == KWGI_STEP_LINK_ADD ? s->u.link_alias.alias
							  : s->u.link_alias.old_alias;

	if (make)
		return add_link(nl, s->link, s->u.link_alias.kind, alias ? alias : "", err);
	return del_link(nl, s->link, err);
}

static int step_alias(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		      struct kwg_error *err)
{
	const char *alias = undo ? s->u.link_alias.old_alias : s->u.link_alias.alias;

	return set_alias(nl, s->link, alias ? alias : "", err);
}

static int step_name(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		     struct kwg_error *err)
{
	const char *name = s->u.link_name.name;

	return undo ? rename_link(nl, name, s->link, err) : rename_link(nl, s->link, name, err);
}

static int step_mtu(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		    struct kwg_error *err)
{
	uint32_t mtu = undo ? s->u.link_mtu.old_mtu : s->u.link_mtu.mtu;

	return mtu ? set_mtu(nl, s->link, mtu, err) : 0;
}

static int step_route(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		      struct kwg_error *err)
{
	if (s->kind == KWGI_STEP_ROUTE_ADD)
		return change_route(nl, undo ? REMOVE : ADD, &s->u.route.route, s->link, err);
	if (s->kind == KWGI_STEP_ROUTE_DEL && undo) {
		struct kwgi_host_route again = s->u.route.old;

		again.oif = 0;	/* by name: its link may have been made anew */
		return change_route(nl, ADD, &again, s->link, err);
	}
	if (s->kind == KWGI_STEP_ROUTE_DEL)
		return change_route(nl, REMOVE, &s->u.route.old, s->link, err);
	return change_route(nl, CHANGE, undo ? &s->u.route.old : &s->u.route.route, s->link, err);
}

static int run(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo, struct kwg_error *err)
{
	switch ((enum kwgi_step_kind)s->kind) {
	case KWGI_STEP_LINK_ADD:
	case KWGI_STEP_LINK_DEL:
		return step_link(nl, s, (s->kind == KWGI_STEP_LINK_ADD) != undo, err);
	case KWGI_STEP_LINK_ALIAS:
		return step_alias(nl, s, undo, err);
	case KWGI_STEP_LINK_NAME:
		return step_name(nl, s, undo, err);
	case KWGI_STEP_LINK_MTU:
		return step_mtu(nl, s, undo, err);
	case KWGI_STEP_LINK_UP:
	case KWGI_STEP_LINK_DOWN:
		return set_up(nl, s->link, (s->kind == KWGI_STEP_LINK_UP) != undo, err);
	case KWGI_STEP_ADDR_ADD:
	case KWGI_STEP_ADDR_DEL:
		return change_addr(nl, s->link, &s->u.addr.prefix,
				   (s->kind == KWGI_STEP_ADDR_ADD) != undo, err);
	case KWGI_STEP_RULE_ADD:
	case KWGI_STEP_RULE_DEL:
		return change_rule(nl, &s->u.rule.rule, (s->kind == KWGI_STEP_RULE_ADD) != undo, err);
	case KWGI_STEP_ROUTE_ADD:
	case KWGI_STEP_ROUTE_CHANGE:
	case KWGI_STEP_ROUTE_DEL:
		return step_route(nl, s, undo, err);
	case KWGI_STEP_FIREWALL:
	case KWGI_STEP_IPTABLES:
	case KWGI_STEP_LINK_WAIT:
	case KWGI_STEP_LINK_DAEMON:
	case KWGI_STEP_WG_DEVICE:
	case KWGI_STEP_PEER_SET:
	case KWGI_STEP_PEER_DEL:
		break;
	}
	return 0;
}

/* What is to be removed has gone already: with its link, or with an address. */
static bool is_gone(const struct kwgi_step *s, bool undo, int sys_errno)
{
	bool removes = undo ? s->kind == KWGI_STEP_LINK_ADD || s->kind == KWGI_STEP_ADDR_ADD ||
				      s->kind == KWGI_STEP_RULE_ADD || s->kind == KWGI_STEP_ROUTE_ADD
			    : s->kind == KWGI_STEP_LINK_DEL || s->kind == KWGI_STEP_ADDR_DEL ||
				      s->kind == KWGI_STEP_RULE_DEL || s->kind == KWGI_STEP_ROUTE_DEL;

	return removes && (sys_errno == ENOENT || sys_errno == ESRCH || sys_errno == ENODEV ||
			   sys_errno == EADDRNOTAVAIL);
}

int kwgi_rtnl_step(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		   struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	int ret = run(nl, s, undo, &own);

	if (!ret || is_gone(s, undo, own.sys_errno))
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

static int wait_link(const char *ifname, int64_t deadline, struct kwg_error *err)
{
	struct mnl_socket *sock;
	int ret = 0;

	if (if_nametoindex(ifname))
		return 0;
	sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!sock || mnl_socket_bind(sock, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0) {
		int e = errno;

		if (sock)
			mnl_socket_close(sock);
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "listening for links: %s", kwgi_errtext(e));
	}
	/* Subscribed first, looked second: no link can slip through in between. */
	while (!if_nametoindex(ifname)) {
		if (wait_event(sock, deadline))
			continue;
		ret = kwgi_fail(err, KWG_ERR_TIMEOUT, 0,
				"%s: the interface did not appear within interface-timeout; create-interface = no or backend = external says that somebody else makes it",
				ifname);
		break;
	}
	mnl_socket_close(sock);
	return ret;
}

int kwgi_rtnl_wait_link(const char *ifname, int64_t deadline, bool *is_tun,
			struct kwg_error *err)
{
	const struct kwgi_link *l;
	struct kwgi_host h = { 0 };
	struct kwgi_nl nl;
	int ret = wait_link(ifname, deadline, err);

	if (!ret)
		ret = kwgi_nl_open(&nl, NETLINK_ROUTE, err);
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
