/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "host/rtnl.h"
#include "host/rtnl_ways.h"
#include "host/vitals.h"
#include "steps/mark.h"

struct collect {
	struct kwgi_vitals *v;
	const struct kwgi_desired *w;
	const struct kwgi_host *h;
	struct kwgi_prefixset known;	/* of addresses that were asked for */
	uint8_t family;
	bool nomem;
};

static int fail_cb(struct collect *c)
{
	c->nomem = true;
	return MNL_CB_ERROR;
}

/* Of the mesh, not of the host around it. */
static bool is_mesh_link(const struct collect *c, uint32_t index)
{
	const struct kwgi_link *l = kwgi_host_link_by_index(c->h, index);

	return l && (kwgi_mark_is_ours(l->alias, &c->h->owner) ||
		     (c->w->ifname && !strcmp(l->name, c->w->ifname)) ||
		     (*c->w->tunnel.name && !strcmp(l->name, c->w->tunnel.name)));
}

/* Of use to others: not ::1, fe80::/10 or 224.0.0.0/4. */
static bool is_vital_address(const struct kwgi_addr *a)
{
	return a->family && !kwgi_addr_useless(a) &&
	       !(a->family == KWGI_AF_V6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
}

static int add_address(struct kwgi_vitals *v, enum kwgi_vital_kind kind, const struct kwgi_addr *a,
		       const char *name)
{
	struct kwgi_prefix host;

	if (!is_vital_address(a))
		return 0;
	host = kwgi_prefix_host(a);
	return kwgi_vitals_add(v, kind, &host, name);
}

/* ---- what is asked for ------------------------------------------------- */

/* As the resolver reads it (resolv.conf(5)); other lines do not matter. */
static int read_name_servers(struct kwgi_vitals *v, const char *path)
{
	char line[512], text[64];
	struct kwgi_addr a;
	FILE *f = fopen(path, "re");
	int ret = 0;

	while (f && !ret && fgets(line, sizeof(line), f))
		if (sscanf(line, "nameserver %63[0-9a-fA-F.:]", text) == 1 && !kwgi_addr_parse(&a, text))
			ret = add_address(v, KWGI_VITAL_NAME_SERVER, &a, NULL);
	if (f)
		fclose(f);
	return ret;
}

/* With systemd-resolved the first file names a server on this host, and the second those behind it. */
static int find_name_servers(struct kwgi_vitals *v)
{
	static const char *const paths[] = { "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf" };
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (read_name_servers(v, paths[i]))
			return -1;
	return 0;
}

/* What the mesh leads to already is not taken away by it. */
static int keep(struct collect *c, struct kwgi_nl *nl, enum kwgi_vital_kind kind, const char *text,
		struct kwg_error *err)
{
	struct kwgi_way way = { .iif = 0 };
	int ret;

	if (kwgi_addr_parse(&way.to, text))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "\"%.60s\" is no address", text);
	ret = kwgi_way_ask(nl, &way, false, err);
	if (ret || (!way.error && (way.local || is_mesh_link(c, way.route.oif))))
		return ret;
	return add_address(c->v, kind, &way.to, NULL) ? kwgi_nomem(err) : 0;
}

static int find_kept(struct collect *c, struct kwgi_nl *nl, const struct kwgi_reachable *kept,
		     struct kwg_error *err)
{
	const char *const *a;
	int ret = 0;

	for (a = kept->addresses; a && *a && !ret; a++)
		ret = keep(c, nl, KWGI_VITAL_KEPT, *a, err);
	if (!ret && kept->client)
		ret = keep(c, nl, KWGI_VITAL_CLIENT, kept->client, err);
	return ret;
}

static int find_endpoints(struct collect *c)
{
	uint32_t i;

	for (i = 0; i < c->w->n_peers; i++)
		if (c->w->peers[i].peer.endpoint.port &&
		    add_address(c->v, KWGI_VITAL_ENDPOINT, &c->w->peers[i].peer.endpoint.addr,
				c->w->peers[i].name))
			return -1;
	return 0;
}

static int index_known(struct collect *c)
{
	uint32_t i;

	for (i = 0; i < c->v->n; i++)
		if (kwgi_prefixset_add(&c->known, &c->v->arena, &c->v->v[i].net, i))
			return -1;
	kwgi_prefixset_build(&c->known);
	return 0;
}

/* ---- routes ---------------------------------------------------------- */

/* The first hop of several tells where packets go well enough: they are all of others. */
static void read_multipath(struct kwgi_host_route *r, const struct nlmsghdr *nlh)
{
	const struct rtnexthop *hop;
	const struct nlattr *attr, *gateway;
	size_t len;

	kwgi_attr_for_each(attr, nlh, sizeof(struct rtmsg)) {
		hop = mnl_attr_get_payload(attr);
		if (mnl_attr_get_type(attr) != RTA_MULTIPATH ||
		    mnl_attr_get_payload_len(attr) < sizeof(*hop) ||
		    mnl_attr_get_payload_len(attr) < hop->rtnh_len)
			continue;
		r->oif = (uint32_t)hop->rtnh_ifindex;
		gateway = (const struct nlattr *)(const void *)(hop + 1);
		if (hop->rtnh_len < sizeof(*hop) + sizeof(*gateway) ||
		    gateway->nla_len > hop->rtnh_len - sizeof(*hop) ||
		    mnl_attr_get_type(gateway) != RTA_GATEWAY)
			continue;
		len = mnl_attr_get_payload_len(gateway);
		if (len != 4 && len != 16)
			continue;
		r->gw = (struct kwgi_addr){ .family = len == 4 ? KWGI_AF_V4 : KWGI_AF_V6 };
		memcpy(r->gw.b, mnl_attr_get_payload(gateway), len);
	}
}

static bool is_ours(const struct collect *c, const struct kwgi_host_route *r)
{
	return (r->protocol &&
		(r->protocol == c->w->protocol || c->h->journal.protocols[r->protocol])) ||
	       is_mesh_link(c, r->oif);
}

static int keep_route(struct collect *c, const struct kwgi_host_route *r)
{
	bool link_local = r->dst.addr.family == KWGI_AF_V6 && r->dst.addr.b[0] == 0xfe;

	if (!r->gw.family && r->dst.len && !link_local && r->dst.len < kwgi_addr_bits(&r->dst.addr) &&
	    kwgi_vitals_add(c->v, KWGI_VITAL_NETWORK, &r->dst, NULL))
		return -1;
	if (r->gw.family && !r->dst.len && add_address(c->v, KWGI_VITAL_GATEWAY, &r->gw, NULL))
		return -1;
	/* Neighbours and gateways are on links; the rest is known. */
	if (r->gw.family && r->dst.len &&
	    kwgi_prefixset_overlap(&c->known, &r->dst) == KWGI_NO_ITEM)
		return 0;
	return kwgi_vitals_add_way(c->v, r);
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	struct collect *c = arg;
	struct kwgi_host_route r;

	if (!kwgi_rtnl_read_dumped(&r, nlh, c->family, RTN_UNICAST))
		return MNL_CB_OK;
	read_multipath(&r, nlh);
	if (r.table != KWGI_TABLE_MAIN || is_ours(c, &r))
		return MNL_CB_OK;
	return keep_route(c, &r) ? fail_cb(c) : MNL_CB_OK;
}

/* ---- neighbours ------------------------------------------------------ */

/* Those that the kernel has found, not those that programs set: overlays are full of them. */
static int on_neigh(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct collect *c = arg;
	struct kwgi_addr a = { 0 };
	const struct nlattr *attr;
	size_t len;

	if (nlh->nlmsg_type != RTM_NEWNEIGH || ndm->ndm_family != c->family ||
	    !(ndm->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)) ||
	    is_mesh_link(c, (uint32_t)ndm->ndm_ifindex))
		return MNL_CB_OK;
	kwgi_attr_for_each(attr, nlh, sizeof(*ndm)) {
		len = mnl_attr_get_payload_len(attr);
		if (mnl_attr_get_type(attr) != NDA_DST || (len != 4 && len != 16))
			continue;
		a = (struct kwgi_addr){ .family = len == 4 ? KWGI_AF_V4 : KWGI_AF_V6 };
		memcpy(a.b, mnl_attr_get_payload(attr), len);
	}
	return add_address(c->v, KWGI_VITAL_NEIGHBOUR, &a, NULL) ? fail_cb(c) : MNL_CB_OK;
}

/* ---- the whole ------------------------------------------------------- */

static void find_ipv6(struct kwgi_vitals *v)
{
	FILE *f = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "re");
	int off = 1;

	v->no_ipv6 = !f && access("/proc/sys/net/ipv6", F_OK) && errno == ENOENT &&
		     !access("/proc/sys/net/ipv4", F_OK);
	v->no_ipv6_on_new = f && fscanf(f, "%d", &off) == 1 && off;
	if (f)
		fclose(f);
}

int kwgi_vitals_observe(struct kwgi_vitals *v, struct kwgi_nl *nl, const struct kwgi_desired *w,
			const struct kwgi_host *h, const struct kwgi_reachable *kept,
			struct kwg_error *err)
{
	struct collect c = { .v = v, .w = w, .h = h };
	int ret = find_kept(&c, nl, kept, err);

	find_ipv6(v);
	if (!ret && (find_name_servers(v) || find_endpoints(&c) || index_known(&c)))
		ret = kwgi_nomem(err);
	if (ret)
		return ret;
	kwgi_rtnl_dump_both(nl, RTM_GETROUTE, sizeof(struct rtmsg), &c.family, on_route, &c);
	kwgi_rtnl_dump_both(nl, RTM_GETNEIGH, sizeof(struct ndmsg), &c.family, on_neigh, &c);
	return c.nomem || kwgi_vitals_build(v) ? kwgi_nomem(err) : 0;
}
