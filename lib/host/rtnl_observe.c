/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Dumps into a snapshot. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "host/rtnl.h"
#include "steps/desired.h"
#include "steps/mark.h"

enum {
	TRIES = 20,			/* a dump that keeps changing under our hands */
};

struct collect {
	struct kwgi_host *h;
	uint8_t family;			/* wanted of routes, rules and neighbours */
	uint32_t ifindex;		/* wanted of neighbours */
	bool nomem;
};

static void copy_string(char *out, size_t size, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);

	if (len >= size)
		len = size - 1;
	memcpy(out, mnl_attr_get_payload(attr), len);
	out[len] = '\0';
}

static void copy_addr(struct kwgi_addr *out, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);

	if (len != 4 && len != 16)
		return;
	*out = (struct kwgi_addr){ .family = len == 4 ? KWGI_AF_V4 : KWGI_AF_V6 };
	memcpy(out->b, mnl_attr_get_payload(attr), len);
}

static uint32_t copy_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 4 ? mnl_attr_get_u32(attr) : 0;
}

static void copy_mac(uint8_t mac[KWGI_MAC_LEN], const struct nlattr *attr)
{
	if (mnl_attr_get_payload_len(attr) == KWGI_MAC_LEN)
		memcpy(mac, mnl_attr_get_payload(attr), KWGI_MAC_LEN);
}

/* Room for one more element; NULL stops the dump. */
#define ADD(c, list) \
	(kwgi_arena_grow(&(c)->h->arena, &(c)->h->list, (c)->h->n_##list, &(c)->h->list##_cap, \
			 sizeof(*(c)->h->list)) ? NULL : &(c)->h->list[(c)->h->n_##list++])

static int nomem(struct collect *c)
{
	c->nomem = true;
	return MNL_CB_ERROR;
}

/* ---- links ----------------------------------------------------------- */

static uint16_t copy_port(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 2 ? ntohs(mnl_attr_get_u16(attr)) : 0;
}

/* 0.0.0.0 and :: are what the kernel says for none. */
static void copy_known_addr(struct kwgi_addr *out, const struct nlattr *attr)
{
	static const uint8_t zero[sizeof(out->b)];
	struct kwgi_addr a = { 0 };

	copy_addr(&a, attr);
	if (memcmp(a.b, zero, sizeof(zero)))
		*out = a;
}

static void read_ipip(struct kwgi_tunnel *t, const struct nlattr *data)
{
	const struct nlattr *attr;

	kwgi_attr_for_each_nested(attr, data) {
		switch (mnl_attr_get_type(attr)) {
		case KWGI_IPTUN_LOCAL:
			copy_known_addr(&t->local, attr);
			break;
		case KWGI_IPTUN_REMOTE:
			copy_known_addr(&t->remote, attr);
			break;
		case KWGI_IPTUN_LINK:
			t->lower = copy_u32(attr);
			break;
		}
	}
}

static void read_vxlan(struct kwgi_tunnel *t, const struct nlattr *data)
{
	const struct nlattr *attr;

	kwgi_attr_for_each_nested(attr, data) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_VXLAN_ID:
			t->id = copy_u32(attr);
			break;
		case IFLA_VXLAN_LOCAL:
		case IFLA_VXLAN_LOCAL6:
			copy_known_addr(&t->local, attr);
			break;
		case IFLA_VXLAN_GROUP:
		case IFLA_VXLAN_GROUP6:
			copy_known_addr(&t->remote, attr);
			break;
		case IFLA_VXLAN_LINK:
			t->lower = copy_u32(attr);
			break;
		case IFLA_VXLAN_PORT:
			t->port = copy_port(attr);
			break;
		case IFLA_VXLAN_LEARNING:
			t->learning = mnl_attr_get_u8(attr);
			break;
		}
	}
}

static void read_info(struct kwgi_link *l, const struct nlattr *info)
{
	const struct nlattr *attr, *data = NULL;

	kwgi_attr_for_each_nested(attr, info) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			copy_string(l->kind, sizeof(l->kind), attr);
		else if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	if (data && !strcmp(l->kind, "ipip"))
		read_ipip(&l->tunnel, data);
	else if (data && !strcmp(l->kind, "vxlan"))
		read_vxlan(&l->tunnel, data);
}

/* net.ipv6.conf of a link, by enum DEVCONF_* of linux/ipv6.h; 0: the kernel does not tell. */
static uint32_t conf6(const struct nlattr *attr, unsigned which)
{
	int32_t value;

	if (mnl_attr_get_payload_len(attr) < (which + 1) * sizeof(value))
		return 0;
	memcpy(&value, (const int32_t *)mnl_attr_get_payload(attr) + which, sizeof(value));
	return value > 0 ? (uint32_t)value : 0;
}

/*
 * A link that IPv6 does not know, for one because its MTU is below 1280, has nothing here. A
 * router's advertisement can say less than what the device can do (RFC 4861, 4.6.4).
 */
static void read_ipv6(struct kwgi_link *l, const struct nlattr *families)
{
	const struct nlattr *family, *attr;

	kwgi_attr_for_each_nested(family, families) {
		if (mnl_attr_get_type(family) != AF_INET6)
			continue;
		kwgi_attr_for_each_nested(attr, family) {
			if (mnl_attr_get_type(attr) != IFLA_INET6_CONF)
				continue;
			l->mtu6 = conf6(attr, DEVCONF_MTU6);
			l->ipv6 = !conf6(attr, DEVCONF_DISABLE_IPV6);
		}
	}
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifm = mnl_nlmsg_get_payload(nlh);
	struct collect *c = arg;
	struct kwgi_link *l;
	const struct nlattr *attr, *mac = NULL;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	l = ADD(c, links);
	if (!l)
		return nomem(c);
	*l = (struct kwgi_link){ .index = (uint32_t)ifm->ifi_index, .up = ifm->ifi_flags & IFF_UP };
	kwgi_attr_for_each(attr, nlh, sizeof(*ifm)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_string(l->name, sizeof(l->name), attr);
			break;
		case IFLA_IFALIAS:
			copy_string(l->alias, sizeof(l->alias), attr);
			break;
		case IFLA_MTU:
			l->mtu = copy_u32(attr);
			break;
		case IFLA_AF_SPEC:
			read_ipv6(l, attr);
			break;
		case IFLA_ADDRESS:
			mac = attr;
			break;
		case IFLA_LINKINFO:
			read_info(l, attr);
			break;
		}
	}
	/* Of an IPIP link it is the local address once more. */
	if (mac && !strcmp(l->kind, "vxlan"))
		copy_mac(l->tunnel.mac, mac);
	return MNL_CB_OK;
}

/* ---- addresses ------------------------------------------------------- */

/* Of IPv4 the bit of temporary addresses means secondary ones, which stay. */
static bool is_fleeting(const struct ifaddrmsg *ifa, uint32_t flags)
{
	return flags & IFA_F_DEPRECATED ||
		(ifa->ifa_family == AF_INET6 && flags & (IFA_F_TEMPORARY | IFA_F_TENTATIVE | IFA_F_DADFAILED));
}

static int on_addr(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct collect *c = arg;
	struct kwgi_addr local = { 0 }, address = { 0 };
	struct kwgi_host_addr *a;
	uint32_t flags = ifa->ifa_flags;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWADDR)
		return MNL_CB_OK;
	kwgi_attr_for_each(attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) == IFA_LOCAL)
			copy_addr(&local, attr);
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			copy_addr(&address, attr);
		else if (mnl_attr_get_type(attr) == IFA_FLAGS && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			flags = mnl_attr_get_u32(attr);
	}
	a = ADD(c, addrs);
	if (!a)
		return nomem(c);
	/* On point-to-point links IFA_ADDRESS is the other end. */
	*a = (struct kwgi_host_addr){
		.ifindex = ifa->ifa_index,
		.prefix = { local.family ? local : address, ifa->ifa_prefixlen },
		.auto_made = ifa->ifa_family == AF_INET6 && ifa->ifa_scope == RT_SCOPE_LINK,
		.fleeting = is_fleeting(ifa, flags),
	};
	if (local.family && address.family && !kwgi_addr_equal(&local, &address))
		a->peer = address;
	return MNL_CB_OK;
}

/* ---- neighbours ------------------------------------------------------ */

static int on_neigh(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct collect *c = arg;
	struct kwgi_host_neigh *n;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNEIGH || (uint32_t)ndm->ndm_ifindex != c->ifindex ||
	    ndm->ndm_family != c->family || !(ndm->ndm_state & NUD_PERMANENT))
		return MNL_CB_OK;
	n = ADD(c, neighs);
	if (!n)
		return nomem(c);
	*n = (struct kwgi_host_neigh){ .ifindex = c->ifindex, .fdb = c->family == AF_BRIDGE };
	kwgi_attr_for_each(attr, nlh, sizeof(*ndm)) {
		if (mnl_attr_get_type(attr) == NDA_DST)
			copy_addr(&n->addr, attr);
		else if (mnl_attr_get_type(attr) == NDA_LLADDR)
			copy_mac(n->mac, attr);
	}
	return MNL_CB_OK;
}

/* ---- routes ---------------------------------------------------------- */

/* RTA_VIA: a next hop of any family. */
static void read_via(struct kwgi_addr *out, const struct nlattr *attr)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr), bytes;

	if (len < sizeof(*via))
		return;
	bytes = via->rtvia_family == AF_INET ? 4 : 16;
	if (len < sizeof(*via) + bytes)
		return;
	*out = (struct kwgi_addr){ .family = bytes == 4 ? KWGI_AF_V4 : KWGI_AF_V6 };
	memcpy(out->b, via->rtvia_addr, bytes);
}

static void read_metrics(struct kwgi_host_route *r, const struct nlattr *metrics)
{
	const struct nlattr *attr;

	kwgi_attr_for_each_nested(attr, metrics)
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			r->mtu = copy_u32(attr);
}

void kwgi_rtnl_read_route(struct kwgi_host_route *r, const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	kwgi_attr_for_each(attr, nlh, sizeof(struct rtmsg)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			copy_addr(&r->dst.addr, attr);
			break;
		case RTA_GATEWAY:
			copy_addr(&r->gw, attr);
			break;
		case RTA_VIA:
			read_via(&r->gw, attr);
			break;
		case RTA_PREFSRC:
			copy_addr(&r->src, attr);
			break;
		case RTA_OIF:
			r->oif = copy_u32(attr);
			break;
		case RTA_TABLE:
			r->table = copy_u32(attr);
			break;
		case RTA_PRIORITY:
			r->metric = copy_u32(attr);
			break;
		case RTA_METRICS:
			read_metrics(r, attr);
			break;
		}
	}
}

bool kwgi_rtnl_read_dumped(struct kwgi_host_route *r, const struct nlmsghdr *nlh, uint8_t family,
			   uint8_t type)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_type != type ||
	    rtm->rtm_flags & RTM_F_CLONED || rtm->rtm_family != family)
		return false;
	*r = (struct kwgi_host_route){
		.dst = { { .family = family == AF_INET ? KWGI_AF_V4 : KWGI_AF_V6 }, rtm->rtm_dst_len },
		.table = rtm->rtm_table, .protocol = rtm->rtm_protocol, .tos = rtm->rtm_tos,
		.onlink = rtm->rtm_flags & RTNH_F_ONLINK,
	};
	kwgi_rtnl_read_route(r, nlh);
	if (family == AF_INET6 && r->metric == KWGI_METRIC6_DEFAULT)
		r->metric = 0;
	return true;
}

void kwgi_rtnl_dump_both(struct kwgi_nl *nl, uint16_t type, size_t header, uint8_t *family, mnl_cb_t cb,
			 void *arg)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct kwg_error own = { 0 };
	struct nlmsghdr *nlh;
	struct rtgenmsg *g;
	size_t i;

	for (i = 0; i < 2; i++) {
		*family = families[i];
		nlh = kwgi_nl_begin(nl, type, 0);
		g = mnl_nlmsg_put_extra_header(nlh, header);
		g->rtgen_family = families[i];
		(void)kwgi_nl_dump(nl, nlh, cb, arg, "listing routes and neighbours", &own);
	}
}

static bool is_our_link(const struct collect *c, const struct kwgi_link *l)
{
	return l && *l->alias && kwgi_mark_is_ours(l->alias, &c->h->owner);
}

/*
 * Through a link of ours, or from an address on one, with which it would go, or to where the plan
 * has a route, too.
 */
static bool is_of_interest(const struct collect *c, const struct kwgi_host_route *r)
{
	if (kwgi_prefixset_find(&c->h->interest, &r->dst) != KWGI_NO_ITEM)
		return true;
	if (r->protocol == RTPROT_KERNEL)
		return false;
	return is_our_link(c, kwgi_host_link_by_index(c->h, r->oif)) ||
	       (r->src.family && is_our_link(c, kwgi_host_link_with_addr(c->h, &r->src)));
}

static int keep_other(struct collect *c, const struct kwgi_host_route *r, const struct nlmsghdr *nlh)
{
	struct kwgi_other_route *other;
	void *copy;

	if (!is_of_interest(c, r))
		return MNL_CB_OK;
	other = ADD(c, others);
	copy = other ? kwgi_arena_alloc(&c->h->arena, nlh->nlmsg_len, 1) : NULL;
	if (!copy)
		return nomem(c);
	memcpy(copy, nlh, nlh->nlmsg_len);
	*other = (struct kwgi_other_route){ *r, c->h->n_routes, copy, nlh->nlmsg_len };
	return MNL_CB_OK;
}

/* One that has nothing that ours never have: they could not be removed by what ours have. */
static bool can_be_ours(const struct nlmsghdr *nlh, const struct rtmsg *rtm)
{
	const struct nlattr *attr;

	if (rtm->rtm_tos)
		return false;
	if (rtm->rtm_family != AF_INET)
		return true;
	kwgi_attr_for_each(attr, nlh, sizeof(*rtm))
		if (mnl_attr_get_type(attr) == RTA_MULTIPATH)
			return false;
	return true;
}

/* IPv6 puts them on the loopback device, which says nothing. */
static int keep_closed(struct collect *c, const struct kwgi_host_route *route, bool passed)
{
	struct kwgi_host_route *r;

	if (!kwgi_host_is_our_protocol(c->h, route->protocol) || route->tos || route->metric != KWGI_METRIC_CLOSED)
		return MNL_CB_OK;
	r = ADD(c, closed);
	if (!r)
		return nomem(c);
	*r = (struct kwgi_host_route){
		.dst = route->dst, .table = route->table, .metric = route->metric,
		.protocol = route->protocol, .closed = true, .passed = passed,
	};
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	struct kwgi_host_route route, *r;
	struct collect *c = arg;

	if (kwgi_rtnl_read_dumped(&route, nlh, c->family, RTN_UNREACHABLE))
		return keep_closed(c, &route, false);
	if (kwgi_rtnl_read_dumped(&route, nlh, c->family, RTN_THROW))
		return keep_closed(c, &route, true);
	if (!kwgi_rtnl_read_dumped(&route, nlh, c->family, RTN_UNICAST))
		return MNL_CB_OK;
	if (!kwgi_host_is_our_protocol(c->h, route.protocol) || !can_be_ours(nlh, mnl_nlmsg_get_payload(nlh)))
		return keep_other(c, &route, nlh);
	r = ADD(c, routes);
	if (!r)
		return nomem(c);
	*r = route;
	return MNL_CB_OK;
}

/* ---- rules ----------------------------------------------------------- */

void kwgi_rtnl_read_rule(struct kwgi_host_rule *r, const struct nlmsghdr *nlh)
{
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	*r = (struct kwgi_host_rule){
		.family = frh->family == AF_INET ? KWGI_AF_V4 : KWGI_AF_V6,
		.table = frh->table, .invert = frh->flags & FIB_RULE_INVERT,
	};
	kwgi_attr_for_each(attr, nlh, sizeof(*frh)) {
		switch (mnl_attr_get_type(attr)) {
		case FRA_SRC:
			copy_addr(&r->src.addr, attr);
			r->src.len = frh->src_len;
			break;
		case FRA_DST:
			copy_addr(&r->dst.addr, attr);
			r->dst.len = frh->dst_len;
			break;
		case FRA_IIFNAME:
			copy_string(r->iif, sizeof(r->iif), attr);
			break;
		case FRA_TABLE:
			r->table = copy_u32(attr);
			break;
		case FRA_PRIORITY:
			r->priority = copy_u32(attr);
			break;
		case FRA_FWMARK:
			r->fwmark = copy_u32(attr);
			break;
		case FRA_FWMASK:
			r->mask = copy_u32(attr);
			break;
		case FRA_SUPPRESS_PREFIXLEN:
			/* 0xffffffff: none. */
			r->suppress = copy_u32(attr) + 1;
			break;
		case FRA_PROTOCOL:
			r->protocol = mnl_attr_get_u8(attr);
			break;
		}
	}
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(nlh);
	struct collect *c = arg;
	struct kwgi_host_rule rule, *r;

	/* Ours never do anything else. */
	if (nlh->nlmsg_type != RTM_NEWRULE || frh->family != c->family ||
	    frh->action != FR_ACT_TO_TBL)
		return MNL_CB_OK;
	kwgi_rtnl_read_rule(&rule, nlh);
	r = kwgi_host_is_our_protocol(c->h, rule.protocol) ? ADD(c, rules) : ADD(c, other_rules);
	if (!r)
		return nomem(c);
	*r = rule;
	return MNL_CB_OK;
}

/* ---- the whole ------------------------------------------------------- */

static void clear(struct kwgi_host *h)
{
	h->n_links = h->n_addrs = h->n_neighs = h->n_routes = h->n_closed = h->n_others = h->n_rules = 0;
	h->n_other_rules = 0;
}

/* header: of the family's request, all zero (any) but for the family. */
static int dump(struct kwgi_nl *nl, uint16_t type, size_t header, uint8_t family, mnl_cb_t cb,
		struct collect *c, const char *what, struct kwg_error *err)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, type, 0);
	struct rtgenmsg *g = mnl_nlmsg_put_extra_header(nlh, header);
	int ret;

	g->rtgen_family = family;
	ret = kwgi_nl_dump(nl, nlh, cb, c, what, err);
	return c->nomem ? kwgi_nomem(err) : ret;
}

/*
 * Routes and rules of one family. A kernel without IPv6 lists those of IPv4
 * instead, or refuses: both mean that there are none.
 */
static int dump_family(struct kwgi_nl *nl, struct collect *c, uint8_t family,
		       struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	int ret;

	c->family = family;
	ret = dump(nl, RTM_GETROUTE, sizeof(struct rtmsg), family, on_route, c, "listing routes",
		   &own);
	if (!ret)
		ret = dump(nl, RTM_GETRULE, sizeof(struct fib_rule_hdr), family, on_rule, c,
			   "listing rules", &own);
	if (ret < 0 && (own.sys_errno == EAFNOSUPPORT || own.sys_errno == EOPNOTSUPP))
		return 0;
	if (ret < 0 && err)
		*err = own;
	return ret;
}

/*
 * Static neighbours and forwarding entries of one link. Kernels before 5.0
 * list those of all links, hence the second look in on_neigh().
 */
static int dump_neighs(struct kwgi_nl *nl, struct collect *c, struct kwg_error *err)
{
	static const uint8_t families[] = { AF_BRIDGE, AF_INET, AF_INET6 };
	struct nlmsghdr *nlh;
	struct ndmsg *ndm;
	int ret = 0;
	size_t i;

	for (i = 0; i < 3 && !ret; i++) {
		c->family = families[i];
		nlh = kwgi_nl_begin(nl, RTM_GETNEIGH, 0);
		ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
		ndm->ndm_family = c->family;
		mnl_attr_put_u32(nlh, NDA_IFINDEX, c->ifindex);
		ret = kwgi_nl_dump(nl, nlh, on_neigh, c, "listing neighbours", err);
		if (c->nomem)
			return kwgi_nomem(err);
	}
	return ret;
}

/* Only tunnels of kilowg have neighbours that matter. */
static int dump_all_neighs(struct kwgi_nl *nl, struct collect *c, struct kwg_error *err)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < c->h->n_links && !ret; i++) {
		const struct kwgi_link *l = &c->h->links[i];

		if (strcmp(l->kind, "vxlan") || !kwgi_mark_is_tunnel(l->alias))
			continue;
		c->ifindex = l->index;
		ret = dump_neighs(nl, c, err);
	}
	return ret;
}

/* Numbers that the marks of our links name. */
static void learn_protocols(struct kwgi_host *h)
{
	uint32_t i, number;

	for (i = 0; i < h->n_links; i++) {
		number = kwgi_mark_number(h->links[i].alias, " protocol=");
		if (number && number < 256 && kwgi_mark_is_ours(h->links[i].alias, &h->owner))
			h->journal.protocols[number] = true;
	}
}

static int dump_all(struct kwgi_nl *nl, struct collect *c, struct kwg_error *err)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	size_t i;
	int ret;

	ret = dump(nl, RTM_GETLINK, sizeof(struct ifinfomsg), AF_UNSPEC, on_link, c,
		   "listing links", err);
	learn_protocols(c->h);
	if (!ret)
		ret = dump(nl, RTM_GETADDR, sizeof(struct ifaddrmsg), AF_UNSPEC, on_addr, c,
			   "listing addresses", err);
	if (!ret)
		ret = dump_all_neighs(nl, c, err);
	for (i = 0; i < 2 && !ret; i++)
		ret = dump_family(nl, c, families[i], err);
	return ret;
}

int kwgi_rtnl_observe(struct kwgi_nl *nl, uint8_t protocol, struct kwgi_host *h,
		      struct kwg_error *err)
{
	struct collect c = { .h = h };
	int i, ret = KWGI_NL_AGAIN;

	h->protocol = protocol;
	for (i = 0; i < TRIES && ret == KWGI_NL_AGAIN; i++) {
		clear(h);
		ret = dump_all(nl, &c, err);
	}
	if (ret == KWGI_NL_AGAIN)
		return kwgi_fail(err, KWG_ERR_KERNEL, EAGAIN,
				 "listing the network state: it changed under way %d times in a row",
				 TRIES);
	return ret;
}
