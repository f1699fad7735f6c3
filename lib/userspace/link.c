/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Two sockets in the namespace of our birth. "home" hears of links there.
 * "away" is for another namespace: with NETLINK_LISTEN_ALL_NSID (allowed with
 * CAP_NET_BROADCAST, which we still have when it is opened) it hears of links
 * in every namespace that has a number in ours. When the link moves, the new
 * place (TUNGETDEVNETNS) is given one, if it has none, and requests name it by
 * IFLA_TARGET_NETNSID. Nobody enters it, which would need CAP_SYS_ADMIN. Only
 * then does "away" join the group, so that others' links wake us only while
 * ours is abroad.
 *
 * netlink(7), rtnetlink(7), Linux net/core/net_namespace.c, net/core/rtnetlink.c,
 * drivers/net/tun.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "sys/mnl.h"
#include "sys/ctypes.h"
#include "userspace/link.h"

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif
#ifndef NETLINK_LISTEN_ALL_NSID
#define NETLINK_LISTEN_ALL_NSID 8
#endif

enum { NO_NSID = -1 };

struct kwgi_link {
	int tun_fd, epoll;
	int home, away;			/* notices; away -1: not possible here */
	bool joined;			/* away hears */
	struct kwgi_nl nl;		/* questions */
	dev_t ns_dev;			/* our own namespace; ns_ino 0: not known */
	ino_t ns_ino;
	int nsid;			/* of where the link is, if away */
	struct kwgi_link_state state;
};

/* ---- questions ------------------------------------------------------- */

static int get_nsid_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;

	kwgi_attr_for_each(attr, nlh, sizeof(struct rtgenmsg))
		if (mnl_attr_get_type(attr) == NETNSA_NSID &&
		    !mnl_attr_validate(attr, MNL_TYPE_U32))
			*(int *)arg = (int)mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static struct nlmsghdr *nsid_message(struct kwgi_link *l, uint16_t type, int ns)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(&l->nl, type, 0);
	struct rtgenmsg *g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));

	g->rtgen_family = AF_UNSPEC;
	mnl_attr_put_u32(nlh, NETNSA_FD, (uint32_t)ns);
	return nlh;
}

/* The number of a namespace in ours, or NO_NSID. */
static int get_nsid(struct kwgi_link *l, int ns)
{
	int nsid = NO_NSID;

	if (kwgi_nl_ask(&l->nl, nsid_message(l, RTM_GETNSID, ns), get_nsid_cb, &nsid,
			"asking for a namespace", NULL))
		return NO_NSID;
	return nsid;
}

static int give_nsid(struct kwgi_link *l, int ns)
{
	struct nlmsghdr *nlh;
	int nsid = get_nsid(l, ns);

	if (nsid != NO_NSID)
		return nsid;
	nlh = nsid_message(l, RTM_NEWNSID, ns);
	/* Any free one. */
	mnl_attr_put_u32(nlh, NETNSA_NSID, (uint32_t)NO_NSID);
	(void)kwgi_nl_request(&l->nl, nlh, "naming a namespace", NULL);
	return get_nsid(l, ns);
}

/* What a message about a link says. */
static bool read_link(const struct nlmsghdr *nlh, struct kwgi_link_state *s)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return false;
	s->up = ifi->ifi_flags & IFF_UP;
	s->ifindex = (uint32_t)ifi->ifi_index;
	kwgi_attr_for_each(attr, nlh, sizeof(*ifi)) {
		if (mnl_attr_get_type(attr) == IFLA_MTU && !mnl_attr_validate(attr, MNL_TYPE_U32)) {
			s->mtu = mnl_attr_get_u32(attr);
		} else if (mnl_attr_get_type(attr) == IFLA_IFNAME &&
			   !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) &&
			   strlen(mnl_attr_get_str(attr)) < IFNAMSIZ) {
			memset(s->name, 0, sizeof(s->name));
			strcpy(s->name, mnl_attr_get_str(attr));
		}
	}
	return true;
}

static int get_link_cb(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWLINK)
		(void)read_link(nlh, arg);
	return MNL_CB_OK;
}

/* By its name in namespace nsid (NO_NSID: ours). */
static int get_link(struct kwgi_link *l, const char *name, int nsid, struct kwgi_link_state *s)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(&l->nl, RTM_GETLINK, 0);

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	if (nsid != NO_NSID)
		mnl_attr_put_u32(nlh, IFLA_TARGET_NETNSID, (uint32_t)nsid);
	return kwgi_nl_ask(&l->nl, nlh, get_link_cb, s, "asking for the link", NULL);
}

/* ---- where is it? ---------------------------------------------------- */

static int tun_name(const struct kwgi_link *l, char name[IFNAMSIZ])
{
	struct ifreq ifr = { .ifr_flags = 0 };

	if (kwgi_ioctl(l->tun_fd, TUNGETIFF, &ifr))
		return -1;
	ifr.ifr_name[IFNAMSIZ - 1] = '\0';
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

static bool is_home(const struct kwgi_link *l, int ns)
{
	struct stat st;

	return !fstat(ns, &st) && st.st_dev == l->ns_dev && st.st_ino == l->ns_ino;
}

static void join(struct kwgi_link *l)
{
	int group = RTNLGRP_LINK;

	if (l->joined || l->away < 0)
		return;
	l->joined = !setsockopt(l->away, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
				sizeof(group));
}

static void leave(struct kwgi_link *l)
{
	int group = RTNLGRP_LINK;

	if (l->joined)
		l->joined = !!setsockopt(l->away, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group,
					 sizeof(group));
	l->nsid = NO_NSID;
}

/* s: what was known. Notices are on before the question, so that nothing falls between. */
static void look_away(struct kwgi_link *l, int ns, struct kwgi_link_state *s)
{
	s->where = KWGI_LINK_AWAY;
	l->nsid = l->away >= 0 && ns >= 0 ? give_nsid(l, ns) : NO_NSID;
	if (l->nsid != NO_NSID)
		join(l);
	s->blind = !l->joined || get_link(l, s->name, l->nsid, s);
	if (s->blind)
		s->up = true;
}

/*
 * A name that changes between two questions makes the second one fail; the
 * notice of that comes later and asks again.
 */
static bool look(struct kwgi_link *l)
{
	struct kwgi_link_state s = l->state;
	int ns;
	bool changed;

	s.blind = false;
	if (tun_name(l, s.name)) {
		s.where = KWGI_LINK_GONE;
		s.up = false;
	} else {
		ns = ioctl(l->tun_fd, TUNGETDEVNETNS);
		if (ns >= 0 && l->ns_ino && !is_home(l, ns)) {
			look_away(l, ns, &s);
		} else {
			s.where = KWGI_LINK_HERE;
			leave(l);
			if (get_link(l, s.name, NO_NSID, &s))
				look_away(l, -1, &s);
		}
		if (ns >= 0)
			close(ns);
	}
	changed = memcmp(&s, &l->state, sizeof(s));
	l->state = s;
	return changed;
}

/* ---- notices --------------------------------------------------------- */

static int open_notices(unsigned groups)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int e;

	if (fd < 0)
		return -1;
	if (!bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

static int open_away(void)
{
	int on = 1, fd = open_notices(0);

	if (fd < 0)
		return -1;
	if (!setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)))
		return fd;
	close(fd);
	return -1;
}

/* From which namespace: NO_NSID is ours. */
static int notice_nsid(struct msghdr *m)
{
	struct cmsghdr *c;
	int nsid = NO_NSID;

	for (c = CMSG_FIRSTHDR(m); c; c = kwgi_cmsg_next(m, c))
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID &&
		    c->cmsg_len >= CMSG_LEN(sizeof(nsid)))
			memcpy(&nsid, CMSG_DATA(c), sizeof(nsid));
	return nsid;
}

/* Is any of these messages about our link? Then one question is simpler than their content. */
static bool concerns_us(const struct kwgi_link *l, const char *buf, size_t len)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)buf;
	int left = (int)len;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

		if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK)
			continue;
		if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(*ifi) &&
		    ifi->ifi_index == (int)l->state.ifindex)
			return true;
	}
	return false;
}

/* Reads all that is there; true if our link may have changed. */
static bool drain(struct kwgi_link *l, int fd)
{
	_Alignas(struct nlmsghdr) char buf[16384];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(64)];
	struct sockaddr_nl from;
	bool ours = false, away = fd == l->away;

	for (;;) {
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = {
			.msg_name = &from, .msg_namelen = sizeof(from),
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		/* ENOBUFS: notices were lost, and the error is gone by being read. */
		if (n < 0 && errno == ENOBUFS) {
			ours = true;
			continue;
		}
		if (n <= 0)
			return ours;
		/* Only the kernel (port 0) is to be believed. */
		if (from.nl_pid || (away && notice_nsid(&m) != l->nsid))
			continue;
		ours = ours || (m.msg_flags & MSG_TRUNC) || concerns_us(l, buf, (size_t)n);
	}
}

bool kwgi_link_process(struct kwgi_link *l)
{
	bool ours = drain(l, l->home);

	if (l->joined && drain(l, l->away))
		ours = true;
	return ours && look(l);
}

bool kwgi_link_refresh(struct kwgi_link *l)
{
	return look(l);
}

/* ---- life ------------------------------------------------------------ */

static void find_home(struct kwgi_link *l)
{
	struct stat st;
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!fstat(fd, &st)) {
		l->ns_dev = st.st_dev;
		l->ns_ino = st.st_ino;
	}
	close(fd);
}

static int watch(struct kwgi_link *l, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return fd < 0 ? 0 : epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static int open_all(struct kwgi_link *l, struct kwg_error *err)
{
	int ret = kwgi_nl_open(&l->nl, NETLINK_ROUTE, err);

	if (ret)
		return ret;
	l->home = open_notices(RTMGRP_LINK);
	l->away = open_away();
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->home < 0 || l->epoll < 0 || watch(l, l->home) || watch(l, l->away))
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "following the link: %s",
				 kwgi_errtext(errno));
	find_home(l);
	look(l);
	return 0;
}

int kwgi_link_open(struct kwgi_link **out, int tun_fd, struct kwg_error *err)
{
	struct kwgi_link *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return kwgi_nomem(err);
	l->tun_fd = tun_fd;
	l->home = l->away = l->epoll = -1;
	l->nsid = NO_NSID;
	ret = open_all(l, err);
	if (ret) {
		kwgi_link_close(l);
		return ret;
	}
	*out = l;
	return 0;
}

void kwgi_link_close(struct kwgi_link *l)
{
	if (!l)
		return;
	if (l->home >= 0)
		close(l->home);
	if (l->away >= 0)
		close(l->away);
	if (l->epoll >= 0)
		close(l->epoll);
	kwgi_nl_close(&l->nl);
	free(l);
}

int kwgi_link_fd(const struct kwgi_link *l)
{
	return l->epoll;
}

void kwgi_link_home(const struct kwgi_link *l, uint64_t *dev, uint64_t *ino)
{
	*dev = l->ns_dev;
	*ino = l->ns_ino;
}

const struct kwgi_link_state *kwgi_link_state(const struct kwgi_link *l)
{
	return &l->state;
}
