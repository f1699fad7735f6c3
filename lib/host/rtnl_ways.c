/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/error.h"
#include "host/echo.h"
#include "host/files.h"
#include "host/rtnl.h"
#include "host/rtnl_ways.h"

enum {
	/* linux/rtnetlink.h; not in every libc's copy */
	FLAG_LOOKUP_TABLE = 0x1000, FLAG_FIB_MATCH = 0x2000,
	ECHO_WAIT = 1000,		/* ms */
	/* ms: DELAY lasts 5 seconds, three probes one each (net/core/neighbour.c) */
	NEIGH_WAIT = 9000,
	NEIGH_LOOK = 200,
	QUESTION = 96,			/* bytes: two headers, two addresses and an index, with theirs */
	GROUP = 64,			/* questions at a time: their answers fit into any socket */
};

_Static_assert(GROUP * QUESTION <= KWGI_NL_MESSAGE, "a group of questions has room");

/* ---- the way --------------------------------------------------------- */

struct answer {
	struct kwgi_host_route *route;
	uint8_t type;
};

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct answer *a = arg;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	a->type = rtm->rtm_type;
	*a->route = (struct kwgi_host_route){
		.dst = { { .family = rtm->rtm_family == AF_INET ? KWGI_AF_V4 : KWGI_AF_V6 },
			 rtm->rtm_dst_len },
		.table = rtm->rtm_table, .protocol = rtm->rtm_protocol,
	};
	kwgi_rtnl_read_route(a->route, nlh);
	return MNL_CB_OK;
}

/* IPv6 always tells the table, and refuses to be asked for it. */
static void put(struct nlmsghdr *nlh, const struct kwgi_way *way, bool match)
{
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = kwgi_rtnl_family(way->to.family);
	rtm->rtm_dst_len = (uint8_t)kwgi_addr_bits(&way->to);
	rtm->rtm_src_len = (uint8_t)kwgi_addr_bits(&way->from);
	rtm->rtm_flags = (way->to.family == KWGI_AF_V4 ? FLAG_LOOKUP_TABLE : 0u) |
			 (match ? FLAG_FIB_MATCH : 0u);
	kwgi_rtnl_put_addr(nlh, RTA_DST, &way->to);
	kwgi_rtnl_put_addr(nlh, RTA_SRC, &way->from);
	if (way->iif)
		mnl_attr_put_u32(nlh, RTA_IIF, way->iif);
}

static struct nlmsghdr *build(struct kwgi_nl *nl, const struct kwgi_way *way, bool match)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, RTM_GETROUTE, 0);

	put(nlh, way, match);
	return nlh;
}

int kwgi_way_ask(struct kwgi_nl *nl, struct kwgi_way *way, bool match, struct kwg_error *err)
{
	struct answer a = { .route = &way->route, .type = RTN_UNICAST };
	struct kwg_error own = { 0 };
	int ret;

	way->match = (struct kwgi_host_route){ 0 };
	ret = kwgi_nl_ask(nl, build(nl, way, false), on_route, &a, "asking for a way",
			  &own);
	way->error = ret ? own.sys_errno : 0;
	way->local = !ret && a.type == RTN_LOCAL;
	if (ret && (ret == KWGI_IN_DOUBT || !own.sys_errno)) {
		if (err)
			*err = own;
		return ret;
	}
	if (ret || !match)
		return 0;
	/* IPv6 tells of a way that is none as of a route of another type. */
	a.route = &way->match;
	if (kwgi_nl_ask(nl, build(nl, way, true), on_route, &a,
			"asking for a route", &own))
		way->match = (struct kwgi_host_route){ 0 };
	return 0;
}

/* ---- many at once ----------------------------------------------------- */

struct group {
	struct kwgi_wanted_way *v;
	uint32_t n;
};

static void on_answer_of(const struct nlmsghdr *nlh, uint32_t i, int sys_errno, void *arg)
{
	struct group *g = arg;
	struct kwgi_way *way = &g->v[i].way;
	struct answer a = { .route = &way->route, .type = RTN_UNICAST };

	way->error = sys_errno;
	if (!sys_errno)
		(void)on_route(nlh, &a);
	way->local = !sys_errno && a.type == RTN_LOCAL;
}

/* A question takes the kernel less time than a system call for it. */
static int ask_group(struct kwgi_nl *nl, struct group *g, struct kwg_error *err)
{
	uint32_t i;

	kwgi_nl_begin_many(nl);
	for (i = 0; i < g->n; i++)
		put(kwgi_nl_add(nl, RTM_GETROUTE), &g->v[i].way, false);
	return kwgi_nl_ask_many(nl, on_answer_of, g, "asking for ways", err);
}

/* If the answers did not fit into the socket's buffer, one after the other. */
static int ask_one_by_one(struct kwgi_nl *nl, const struct group *g, struct kwg_error *err)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < g->n && !ret; i++)
		ret = kwgi_way_ask(nl, &g->v[i].way, false, err);
	return ret;
}

static int ask_all(struct kwgi_nl *nl, struct kwgi_ways *s, struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	struct group g;
	uint32_t i;
	int ret = 0;

	for (i = 0; i < s->n && !ret; i += g.n) {
		g = (struct group){ s->v + i, s->n - i < GROUP ? s->n - i : GROUP };
		if (ask_group(nl, &g, &own))
			ret = ask_one_by_one(nl, &g, err);
	}
	return ret;
}

/* ---- all wanted ones ------------------------------------------------- */

struct collect {
	struct kwgi_ways *s;
	const struct kwgi_desired *w;
	const struct kwgi_host *h;
	uint8_t family;
	bool nomem;
};

static int on_other_route(const struct nlmsghdr *nlh, void *arg)
{
	struct collect *c = arg;
	struct kwgi_host_route r;

	if (!kwgi_rtnl_read_dumped(&r, nlh, c->family, RTN_UNICAST) || kwgi_host_is_our_protocol(c->h, r.protocol))
		return MNL_CB_OK;
	if (r.protocol == RTPROT_RA && !r.dst.len)
		c->s->ra_link = r.oif;
	kwgi_ways_add_stranger(c->s, c->w, &r);
	c->nomem |= kwgi_ways_add_part(c->s, c->w, &r) != 0;
	return c->nomem ? MNL_CB_ERROR : MNL_CB_OK;
}

int kwgi_ways_observe(struct kwgi_nl *nl, struct kwgi_ways *s, const struct kwgi_desired *w,
		      const struct kwgi_host *h, struct kwg_error *err)
{
	struct collect c = { .s = s, .w = w, .h = h };
	uint32_t i;
	int ret;

	if (kwgi_ways_list(s, w, h))
		return kwgi_nomem(err);
	kwgi_rtnl_dump_both(nl, RTM_GETROUTE, sizeof(struct rtmsg), &c.family, on_other_route, &c);
	ret = c.nomem ? kwgi_nomem(err) : ask_all(nl, s, err);
	for (i = 0; i < s->n && !ret; i++)
		if (!kwgi_ways_is_right(&s->v[i]))
			ret = kwgi_way_ask(nl, &s->v[i].way, true, err);
	return ret;
}

/* ---- neighbours ------------------------------------------------------ */

static int on_neigh(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == RTM_NEWNEIGH)
		*(uint16_t *)arg = ndm->ndm_state;
	return MNL_CB_OK;
}

/* None and those that the kernel has not asked lately tell nothing. */
static enum kwgi_neigh_state look_at_neigh(struct kwgi_nl *nl, uint32_t ifindex,
					   const struct kwgi_addr *a)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, RTM_GETNEIGH, 0);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	uint16_t state = NUD_NONE;
	struct kwg_error own = { 0 };

	ndm->ndm_family = kwgi_rtnl_family(a->family);
	ndm->ndm_ifindex = (int)ifindex;
	kwgi_rtnl_put_addr(nlh, NDA_DST, a);
	if (kwgi_nl_ask(nl, nlh, on_neigh, &state, "asking for a neighbour", &own))
		return KWGI_NEIGH_UNKNOWN;
	if (state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP))
		return KWGI_NEIGH_ANSWERS;
	return state & NUD_FAILED ? KWGI_NEIGH_SILENT : KWGI_NEIGH_UNKNOWN;
}

static bool echoes(const struct kwgi_addr *to)
{
	int64_t deadline = kwgi_monotonic_ms() + ECHO_WAIT, left;
	struct kwgi_addr from;
	struct kwgi_echo e;
	bool yes = false;

	kwgi_echo_open(&e, NULL);
	if (kwgi_echo_send(&e, to))
		while (!yes && (left = deadline - kwgi_monotonic_ms()) > 0 &&
		       kwgi_echo_receive(&e, &from, (int)left))
			yes = kwgi_addr_equal(&from, to);
	kwgi_echo_close(&e);
	return yes;
}

/* The echo request makes the kernel ask for the neighbour. */
static void wait_for_neigh(struct kwgi_nl *nl, struct kwgi_leader *l)
{
	const struct kwgi_addr *hop = l->way.route.gw.family ? &l->way.route.gw : &l->addr;
	const struct timespec pause = { .tv_nsec = NEIGH_LOOK * 1000000 };
	int64_t deadline = kwgi_monotonic_ms() + NEIGH_WAIT;

	for (;;) {
		l->neigh = (uint8_t)look_at_neigh(nl, l->way.route.oif, hop);
		if (l->neigh != KWGI_NEIGH_UNKNOWN || kwgi_monotonic_ms() >= deadline)
			return;
		nanosleep(&pause, NULL);
	}
}

int kwgi_leader_ask(struct kwgi_nl *nl, struct kwgi_leader *l, struct kwg_error *err)
{
	int ret;

	if (!l->node)
		return 0;
	ret = kwgi_way_ask(nl, &l->way, false, err);
	if (!ret && l->other)
		ret = kwgi_way_ask(nl, &l->out, true, err);
	if (ret || l->way.error)
		return ret;
	l->echoed = echoes(&l->addr);
	if (!l->echoed)
		wait_for_neigh(nl, l);
	return 0;
}
