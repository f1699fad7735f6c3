/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Steps about links as rtnetlink requests. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "host/rtnl.h"
#include "steps/desired.h"
#include "steps/mark.h"

enum { WHAT = 128, TTL = 64 };

uint8_t kwgi_rtnl_family(uint8_t family)
{
	return family == KWGI_AF_V4 ? AF_INET : AF_INET6;
}

void kwgi_rtnl_put_addr(struct nlmsghdr *nlh, uint16_t type, const struct kwgi_addr *a)
{
	if (a->family)
		mnl_attr_put(nlh, type, kwgi_addr_bits(a) / 8, a->b);
}

int kwgi_rtnl_index(const char *name, uint32_t *index, struct kwg_error *err)
{
	*index = if_nametoindex(name);
	if (*index)
		return 0;
	return kwgi_fail(err, KWG_ERR_KERNEL, ENODEV, "%s: there is no such interface", name);
}

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

/* A change of the link that has this name; NULL if there is none. */
static struct nlmsghdr *begin_change(struct kwgi_nl *nl, const char *name, struct kwg_error *err)
{
	uint32_t index;

	if (kwgi_rtnl_index(name, &index, err))
		return NULL;
	return begin_link(nl, RTM_SETLINK, 0, index, 0, false);
}

static int set_alias(struct kwgi_nl *nl, const char *name, const char *alias,
		     struct kwg_error *err)
{
	struct nlmsghdr *nlh = begin_change(nl, name, err);
	char what[WHAT];

	if (!nlh)
		return KWG_ERR_KERNEL;
	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	snprintf(what, sizeof(what), "%s: setting the alias", name);
	return kwgi_nl_request(nl, nlh, what, err);
}

static int del_link(struct kwgi_nl *nl, const char *name, struct kwg_error *err)
{
	char what[WHAT];
	uint32_t index;
	int ret = kwgi_rtnl_index(name, &index, err);

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "%s: deleting the link", name);
	ret = kwgi_nl_request(nl, begin_link(nl, RTM_DELLINK, 0, index, 0, false), what, err);
	if (ret != KWGI_IN_DOUBT)
		return ret;
	/* The link itself has the answer; undoing would not bring its keys and peers back. */
	return if_nametoindex(name) == index ? KWG_ERR_KERNEL : 0;
}

/*
 * The outer header has a time to live of its own, or packets that have few hops
 * left would end inside the tunnel (RFC 2003, section 3.1). Path MTU discovery
 * is on with that.
 */
static void put_ipip(struct nlmsghdr *nlh, const struct kwgi_tunnel *t)
{
	kwgi_rtnl_put_addr(nlh, KWGI_IPTUN_LOCAL, &t->local);
	mnl_attr_put_u8(nlh, KWGI_IPTUN_TTL, TTL);
	mnl_attr_put_u8(nlh, KWGI_IPTUN_PMTUDISC, 1);
}

static void put_vxlan(struct nlmsghdr *nlh, const struct kwgi_tunnel *t)
{
	bool v6 = t->local.family == KWGI_AF_V6;

	mnl_attr_put_u32(nlh, IFLA_VXLAN_ID, t->id);
	kwgi_rtnl_put_addr(nlh, v6 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, &t->local);
	mnl_attr_put_u16(nlh, IFLA_VXLAN_PORT, htons(t->port));
	mnl_attr_put_u8(nlh, IFLA_VXLAN_LEARNING, t->learning);
}

static void put_tunnel(struct nlmsghdr *nlh, const char *kind, const struct kwgi_tunnel *t)
{
	struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);

	if (!strcmp(kind, "vxlan"))
		put_vxlan(nlh, t);
	else
		put_ipip(nlh, t);
	mnl_attr_nest_end(nlh, data);
}

/* t: NULL for what is no tunnel. */
static int make_unfinished(struct kwgi_nl *nl, const char *name, const char *kind,
			   const struct kwgi_tunnel *t, uint32_t mtu, const char *what,
			   struct kwg_error *err)
{
	struct nlmsghdr *nlh = begin_link(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0, false);
	struct nlattr *info;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	if (t && mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	if (t && t->port)
		mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(t->mac), t->mac);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	if (t)
		put_tunnel(nlh, kind, t);
	mnl_attr_nest_end(nlh, info);
	return kwgi_nl_request(nl, nlh, what, err);
}

/* Mark and name at once, so that no crash leaves a link that nobody owns. */
static int mark_and_rename(struct kwgi_nl *nl, const char *from, const char *to, const char *alias,
			   const char *what, struct kwg_error *err)
{
	struct nlmsghdr *nlh = begin_change(nl, from, err);

	if (!nlh)
		return KWG_ERR_KERNEL;
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

static int fail_no_kind(const char *name, const char *kind, struct kwg_error *err)
{
	if (!strcmp(kind, "ipip"))
		return kwgi_fail(err, KWG_ERR_KERNEL, EOPNOTSUPP,
				 "%s: this kernel has no IPIP tunnels (module ipip); encapsulation-protocol = vxlan encapsulates in UDP, encapsulation = never does not",
				 name);
	if (!strcmp(kind, "vxlan"))
		return kwgi_fail(err, KWG_ERR_KERNEL, EOPNOTSUPP,
				 "%s: this kernel has no VXLAN (module vxlan); use encapsulation-protocol = ipip, or encapsulation = never",
				 name);
	return kwgi_fail(err, KWG_ERR_KERNEL, EOPNOTSUPP,
			 "%s: this kernel has no WireGuard; backend = auto or userspace starts one outside of it, and with backend = external you run one yourself",
			 name);
}

static int add_link(struct kwgi_nl *nl, const struct kwgi_step *s, const char *alias,
		    struct kwg_error *err)
{
	const char *kind = s->u.link_alias.kind, *name = s->link;
	const struct kwgi_tunnel *t = s->u.link_alias.tunnel;
	char what[WHAT], unfinished[KWGI_IFNAME_MAX + 1];
	int ret;

	kwgi_mark_unfinished_name(unfinished, name);
	snprintf(what, sizeof(what), "%s: making a link of type %s", name, kind);
	ret = make_unfinished(nl, unfinished, kind, t, s->u.link_alias.mtu, what, err);
	if (ret && has_no_such_kind(err->sys_errno))
		return fail_no_kind(name, kind, err);
	if (ret && ret != KWGI_IN_DOUBT)
		return ret;
	if (!ret)
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
	ret = make_unfinished(nl, name, "wireguard", NULL, 0, "asking the kernel for a WireGuard link", &own);
	*has = !ret || own.sys_errno == EEXIST;
	if (!ret)
		return del_link(nl, name, err);
	if (*has || has_no_such_kind(own.sys_errno))
		return 0;
	if (err)
		*err = own;
	return KWG_ERR_KERNEL;
}

static int set_up(struct kwgi_nl *nl, const char *name, bool up, struct kwg_error *err)
{
	char what[WHAT];
	uint32_t index;
	int ret = kwgi_rtnl_index(name, &index, err);

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "%s: setting the link %s", name, up ? "up" : "down");
	return kwgi_nl_request(nl, begin_link(nl, RTM_NEWLINK, 0, index, IFF_UP, up), what, err);
}

static int rename_link(struct kwgi_nl *nl, const char *from, const char *to, struct kwg_error *err)
{
	struct nlmsghdr *nlh = begin_change(nl, from, err);
	char what[WHAT];

	if (!nlh)
		return KWG_ERR_KERNEL;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, to);
	snprintf(what, sizeof(what), "%s: renaming the link to %s", from, to);
	return kwgi_nl_request(nl, nlh, what, err);
}

static int set_mtu(struct kwgi_nl *nl, const char *name, uint32_t mtu, struct kwg_error *err)
{
	struct nlmsghdr *nlh = begin_change(nl, name, err);
	char what[WHAT];

	if (!nlh)
		return KWG_ERR_KERNEL;
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	snprintf(what, sizeof(what), "%s: setting mtu %u", name, mtu);
	return kwgi_nl_request(nl, nlh, what, err);
}

/* ---- steps ----------------------------------------------------------- */

static int step_link(struct kwgi_nl *nl, const struct kwgi_step *s, bool make,
		     struct kwg_error *err)
{
	const char *alias = s->kind == KWGI_STEP_LINK_ADD ? s->u.link_alias.alias
							  : s->u.link_alias.old_alias;

	if (make)
		return add_link(nl, s, alias ? alias : "", err);
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

int kwgi_rtnl_link_step(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
			struct kwg_error *err)
{
	switch ((int)s->kind) {
	case KWGI_STEP_LINK_ADD:
	case KWGI_STEP_LINK_DEL:
		return step_link(nl, s, (s->kind == KWGI_STEP_LINK_ADD) != undo, err);
	case KWGI_STEP_LINK_ALIAS:
		return step_alias(nl, s, undo, err);
	case KWGI_STEP_LINK_NAME:
		return step_name(nl, s, undo, err);
	case KWGI_STEP_LINK_MTU:
		return step_mtu(nl, s, undo, err);
	default:	/* UP, DOWN */
		return set_up(nl, s->link, (s->kind == KWGI_STEP_LINK_UP) != undo, err);
	}
}
