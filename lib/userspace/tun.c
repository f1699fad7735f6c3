/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Linux Documentation/networking/tuntap.rst, include/uapi/linux/if_tun.h, drivers/net/tun.c. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "sys/mnl.h"
#include "sys/ctypes.h"
#include "userspace/tun.h"

/* Linux 6.2; older headers lack them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static void closed(struct kwgi_tun *t)
{
	unsigned i;

	*t = (struct kwgi_tun){ .queues = 0 };
	for (i = 0; i < KWGI_TUN_QUEUES; i++)
		t->fd[i] = -1;
}

int kwgi_tun_check_name(const char *name, struct kwg_error *err)
{
	size_t i, len = strlen(name);

	if (!len)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the name of the interface is empty");
	if (len >= IFNAMSIZ)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "the name of the interface is too long: %zu bytes, at most %d",
				 len, IFNAMSIZ - 1);
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "%s cannot be the name of an interface",
				 name);
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (isspace(c) || iscntrl(c))
			return kwgi_fail(err, KWG_ERR_USAGE, 0, "the name of the interface holds "
					 "white space or a control character");
		if (strchr("/:%", c))
			return kwgi_fail(err, KWG_ERR_USAGE, 0,
					 "%s cannot be the name of an interface: it holds '%c'",
					 name, c);
	}
	return 0;
}

/* ---- offloads -------------------------------------------------------- */

/* Linux takes either all of USO or none: one family alone is EINVAL. */
static void set_offloads(struct kwgi_tun *t, bool wanted)
{
	unsigned long tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	unsigned long uso = tso | TUN_F_USO4 | TUN_F_USO6;
	int fd = t->fd[0];

	t->csum = t->tso = t->uso = false;
	if (!t->vnet_hdr)
		return;
	if (!wanted) {
		(void)ioctl(fd, TUNSETOFFLOAD, 0ul);
		return;
	}
	t->uso = !ioctl(fd, TUNSETOFFLOAD, uso);
	t->tso = t->uso || !ioctl(fd, TUNSETOFFLOAD, tso);
	t->csum = t->tso || !ioctl(fd, TUNSETOFFLOAD, (unsigned long)TUN_F_CSUM);
}

const char *kwgi_tun_offloads(const struct kwgi_tun *t)
{
	if (t->uso)
		return "checksums, TSO, USO";
	if (t->tso)
		return "checksums, TSO";
	return t->csum ? "checksums" : "none";
}

enum { IPV6_MTU_MIN = 1280 };	/* RFC 8200, section 5 */

/* ---- opening --------------------------------------------------------- */

static int open_clone(struct kwg_error *err)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int e = errno;

	if (fd >= 0)
		return fd;
	if (e == ENOENT || e == ENXIO || e == ENODEV)
		return kwgi_fail(err, KWG_ERR_KERNEL, e,
				 "/dev/net/tun: %s (is the kernel's tun driver loaded?)",
				 kwgi_errtext(e));
	return kwgi_fail(err, KWG_ERR_KERNEL, e, "/dev/net/tun: %s", kwgi_errtext(e));
}

static int attach_failed(const char *name, int e, struct kwg_error *err)
{
	switch (e) {
	case EBUSY:
	case EEXIST:
		return kwgi_fail(err, KWG_ERR_KERNEL, EBUSY,
				 "%s: there is an interface of this name already", name);
	case EPERM:
	case EACCES:
		return kwgi_fail(err, KWG_ERR_KERNEL, e,
				 "%s: no permission to make an interface (CAP_NET_ADMIN)", name);
	default:
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "%s: making the TUN device: %s", name,
				 kwgi_errtext(e));
	}
}

/* The header is 10 bytes unless somebody said otherwise: say so to an adopted one. */
static void set_header(int fd)
{
	int size = KWGI_TUN_VNET_HDR;

	(void)ioctl(fd, TUNSETVNETHDRSZ, &size);
}

/*
 * Only the first queue has IFF_TUN_EXCL: without it a second program would be
 * given another queue of the first one's device, with it on all of them we
 * should be refused ourselves.
 */
static int attach(struct kwgi_tun *t, const char *name, const struct kwgi_tun_options *o,
		  unsigned queues, struct kwg_error *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open_clone(err);

	if (fd < 0)
		return fd;
	memcpy(ifr.ifr_name, name, strlen(name));
	if (!o->no_vnet_hdr)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (queues > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	if (!t->queues)
		ifr.ifr_flags = (short)(ifr.ifr_flags | (short)IFF_TUN_EXCL);
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		int e = errno;

		close(fd);
		return attach_failed(name, e, err);
	}
	memcpy(t->name, ifr.ifr_name, sizeof(t->name));
	t->fd[t->queues++] = fd;
	return 0;
}

static int set_mtu(const char *name, int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), e = 0;

	/* A kernel without IPv4 is not the reason to give up. */
	if (s < 0)
		s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return errno;
	memcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	if (ioctl(s, SIOCSIFMTU, &ifr))
		e = errno;
	close(s);
	return e;
}

/* A change of our link that has IFLA_AF_SPEC to follow, or nothing. */
static struct nlmsghdr *link_message(struct kwgi_nl *nl, unsigned index, unsigned change)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, RTM_NEWLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = (int)index;
	ifi->ifi_change = change;
	return nlh;
}

/*
 * What the kernel's WireGuard does with its link (drivers/net/wireguard/device.c): no IPv6
 * link-local address, which wg-quick would save as one of the user's, and no multicast. So nothing
 * is sent before somebody has something to say. Where it cannot be had, as without IPv6, the link
 * is as good.
 *
 * IPv6 joins a router's groups when it meets a link that can multicast, and reports that when the
 * link goes up: so it meets ours again, after an MTU that is too small for it.
 */
static void quieten(const char *name)
{
	unsigned index = if_nametoindex(name);
	struct nlattr *spec, *inet6;
	struct nlmsghdr *nlh;
	struct kwgi_nl nl;

	if (!index || kwgi_nl_open(&nl, NETLINK_ROUTE, NULL))
		return;
	if (!kwgi_nl_request(&nl, link_message(&nl, index, IFF_MULTICAST), "", NULL) &&
	    !set_mtu(name, IPV6_MTU_MIN - 1))
		(void)set_mtu(name, KWGI_TUN_MTU);
	nlh = link_message(&nl, index, 0);
	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(nlh, AF_INET6);
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(nlh, inet6);
	mnl_attr_nest_end(nlh, spec);
	(void)kwgi_nl_request(&nl, nlh, "", NULL);
	kwgi_nl_close(&nl);
}

int kwgi_tun_open(struct kwgi_tun *t, const char *name, const struct kwgi_tun_options *o,
		  struct kwg_error *err)
{
	unsigned i, queues = o->queues ? o->queues : 1;
	int e, ret;

	closed(t);
	ret = kwgi_tun_check_name(name, err);
	if (ret)
		return ret;
	if (queues > KWGI_TUN_QUEUES)
		queues = KWGI_TUN_QUEUES;
	for (i = 0; !ret && i < queues; i++)
		ret = attach(t, name, o, queues, err);
	if (!ret)
		quieten(t->name);
	e = ret ? 0 : set_mtu(t->name, KWGI_TUN_MTU);
	if (e)
		ret = kwgi_fail(err, KWG_ERR_KERNEL, e, "%s: setting the MTU to %d: %s", name,
				KWGI_TUN_MTU, kwgi_errtext(e));
	if (ret) {
		kwgi_tun_close(t);
		return ret;
	}
	t->vnet_hdr = !o->no_vnet_hdr;
	set_offloads(t, !o->no_offload);
	return 0;
}

/* ---- adopting -------------------------------------------------------- */

static int ready_fd(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return errno;
	return 0;
}

int kwgi_tun_adopt(struct kwgi_tun *t, int fd, const struct kwgi_tun_options *o,
		   struct kwg_error *err)
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int e;

	closed(t);
	e = ready_fd(fd);
	if (e)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "descriptor %d: %s", fd, kwgi_errtext(e));
	if (kwgi_ioctl(fd, TUNGETIFF, &ifr))
		return kwgi_fail(err, KWG_ERR_USAGE, errno,
				 "descriptor %d is not attached to a TUN device", fd);
	if ((ifr.ifr_flags & (IFF_TUN | IFF_TAP)) != IFF_TUN)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "descriptor %d is a TAP device", fd);
	if (!(ifr.ifr_flags & IFF_NO_PI))
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "descriptor %d is a TUN device without IFF_NO_PI", fd);
	ifr.ifr_name[IFNAMSIZ - 1] = '\0';
	memcpy(t->name, ifr.ifr_name, sizeof(t->name));
	t->fd[t->queues++] = fd;
	t->vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
	if (t->vnet_hdr)
		set_header(fd);
	set_offloads(t, !o->no_offload);
	/* Where it cannot be set, as in another namespace, it stays what it is. */
	if (!o->keep_mtu)
		(void)set_mtu(t->name, KWGI_TUN_MTU);
	return 0;
}

int kwgi_tun_adopt_queue(struct kwgi_tun *t, int fd, struct kwg_error *err)
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int e = ready_fd(fd);

	if (e)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "descriptor %d: %s", fd, kwgi_errtext(e));
	if (t->queues == KWGI_TUN_QUEUES || kwgi_ioctl(fd, TUNGETIFF, &ifr) ||
	    strncmp(ifr.ifr_name, t->name, sizeof(t->name)) || !(ifr.ifr_flags & IFF_MULTI_QUEUE))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "descriptor %d is no queue of %s", fd, t->name);
	t->fd[t->queues++] = fd;
	return 0;
}

void kwgi_tun_close(struct kwgi_tun *t)
{
	unsigned i;

	for (i = 0; i < t->queues; i++)
		close(t->fd[i]);
	closed(t);
}
