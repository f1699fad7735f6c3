/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The life of the sockets: opening, options, closing. Linux ip(7), ipv6(7), udp(7), socket(7). */
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/udp_work.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	BUFFER = 7 * 1024 * 1024,	/* as other implementations; holds some ms of a fast link */
	TRIES = 100,			/* random ports, until one is free in both families */
};

/* How a socket takes part in a port. */
enum sharing {
	ALONE,		/* bind() fails if anybody has the port */
	FIRST,		/* so does this, and others may join afterwards */
	JOINS,
};

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? errno : 0;
}

/* ---- options --------------------------------------------------------- */

static void set_buffers(int fd)
{
	/* The first is cut to net.core.[rw]mem_max, the second needs CAP_NET_ADMIN. */
	(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
	(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, BUFFER);
	(void)set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER);
	(void)set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER);
}

/*
 * DONT: outer packets that are too large are fragmented, as those of the kernel's WireGuard;
 * path MTU discovery belongs to the inner connections.
 */
static void set_options(int fd, int family)
{
	set_buffers(fd);
	if (family == AF_INET) {
		(void)set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
		(void)set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
		(void)set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
	} else {
		(void)set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
		(void)set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
		(void)set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	}
}

static bool can_gso(int fd)
{
	int value;
	socklen_t len = sizeof(value);

	return !getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &value, &len);
}

int kwgi_udp_set_fwmark(struct kwgi_udp *u, uint32_t fwmark)
{
	int e = set_int(u->fd4, SOL_SOCKET, SO_MARK, (int)fwmark);

	if (!e && u->fd6 >= 0)
		e = set_int(u->fd6, SOL_SOCKET, SO_MARK, (int)fwmark);
	if (!e)
		u->fwmark = fwmark;
	else
		(void)set_int(u->fd4, SOL_SOCKET, SO_MARK, (int)u->fwmark);
	return e;
}

/* ---- binding --------------------------------------------------------- */

static int bind_any(int fd, int family, uint16_t port)
{
	struct kwgi_sockaddr sa = { .family = AF_UNSPEC };

	if (family == AF_INET)
		sa.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	else
		sa.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	return bind(fd, (struct sockaddr *)&sa, family == AF_INET ? sizeof(sa.v4) : sizeof(sa.v6)) ?
	       errno : 0;
}

/*
 * SO_REUSEPORT lets in only sockets of one user that all have it. The first of ours gets it
 * after it is bound, so that it collides with everybody else, other instances included.
 */
static int open_one(int *out, int family, uint16_t port, enum sharing sharing)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), e = 0;

	if (fd < 0)
		return errno;
	if (family == AF_INET6)
		e = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!e && sharing == JOINS)
		e = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!e)
		e = bind_any(fd, family, port);
	if (!e && sharing == FIRST)
		e = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (e) {
		close(fd);
		return e;
	}
	set_options(fd, family);
	*out = fd;
	return 0;
}

static int bound_port(int fd, uint16_t *port)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		return errno;
	*port = ntohs(sa.sin_port);
	return 0;
}

static int open_pair_once(struct kwgi_udp *u, const struct kwgi_udp_options *o, uint16_t port,
			  enum sharing sharing)
{
	int e = open_one(&u->fd4, AF_INET, port, sharing);

	if (!e)
		e = bound_port(u->fd4, &u->port);
	if (!e && !o->no_v6) {
		e = open_one(&u->fd6, AF_INET6, u->port, sharing);
		/* The kernel has none, or it is switched off. */
		if (e == EAFNOSUPPORT || e == EADDRNOTAVAIL)
			e = 0;
	}
	if (e && u->fd4 >= 0) {
		close(u->fd4);
		u->fd4 = -1;
	}
	return e;
}

/* A random port of IPv4 may be taken in IPv6. */
static int open_pair(struct kwgi_udp *u, const struct kwgi_udp_options *o, uint16_t port,
		     enum sharing sharing)
{
	int e, tries = port ? 1 : TRIES;

	do
		e = open_pair_once(u, o, port, sharing);
	while (e == EADDRINUSE && --tries);
	return e;
}

static void use_offloads(struct kwgi_udp *u, const struct kwgi_udp_options *o)
{
	u->gso = !o->no_gso && can_gso(u->fd4) && (u->fd6 < 0 || can_gso(u->fd6));
	if (!o->no_gro)
		u->gro = !set_int(u->fd4, IPPROTO_UDP, UDP_GRO, 1) &&
			 (u->fd6 < 0 || !set_int(u->fd6, IPPROTO_UDP, UDP_GRO, 1));
}

/* ---- the whole object ------------------------------------------------ */

static int open_as(struct kwgi_udp *u, const struct kwgi_udp_options *o, uint16_t port,
		   enum sharing sharing, struct kwg_error *err)
{
	int e;

	*u = KWGI_UDP_CLOSED;
	u->work = calloc(1, sizeof(*u->work));
	if (!u->work)
		return kwgi_nomem(err);
	e = open_pair(u, o, port, sharing);
	if (e) {
		kwgi_udp_close(u);
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "UDP port %u: %s", port, kwgi_errtext(e));
	}
	e = o->fwmark ? kwgi_udp_set_fwmark(u, o->fwmark) : 0;
	if (e) {
		kwgi_udp_close(u);
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "fwmark 0x%x: %s", o->fwmark,
				 kwgi_errtext(e));
	}
	use_offloads(u, o);
	return 0;
}

static bool is_udp(int fd, int family)
{
	int domain = 0, protocol = 0;
	socklen_t len = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == family &&
	       !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) && protocol == IPPROTO_UDP &&
	       fcntl(fd, F_SETFD, FD_CLOEXEC) >= 0;
}

int kwgi_udp_adopt(struct kwgi_udp *u, int fd4, int fd6, const struct kwgi_udp_options *o,
		   struct kwg_error *err)
{
	*u = KWGI_UDP_CLOSED;
	if (!is_udp(fd4, AF_INET) || (fd6 >= 0 && !is_udp(fd6, AF_INET6)) || bound_port(fd4, &u->port))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "descriptors %d and %d are no UDP sockets",
				 fd4, fd6);
	u->work = calloc(1, sizeof(*u->work));
	if (!u->work)
		return kwgi_nomem(err);
	u->fd4 = fd4;
	u->fd6 = fd6;
	u->fwmark = o->fwmark;
	use_offloads(u, o);
	return 0;
}

int kwgi_udp_open(struct kwgi_udp *u, const struct kwgi_udp_options *o, struct kwg_error *err)
{
	return open_as(u, o, o->port, ALONE, err);
}

int kwgi_udp_open_many(struct kwgi_udp *v, unsigned n, const struct kwgi_udp_options *o,
		       struct kwg_error *err)
{
	uint16_t port = o->port;
	unsigned i;
	int ret = 0;

	for (i = 0; i < n; i++)
		v[i] = KWGI_UDP_CLOSED;
	for (i = 0; !ret && i < n; i++) {
		ret = open_as(&v[i], o, port, n == 1 ? ALONE : i ? JOINS : FIRST, err);
		port = v[0].port;
	}
	for (i = 0; ret && i < n; i++)
		kwgi_udp_close(&v[i]);
	return ret;
}

int kwgi_udp_share(struct kwgi_udp *copy, const struct kwgi_udp *u, struct kwg_error *err)
{
	int e = 0;

	*copy = *u;
	copy->fd4 = copy->fd6 = -1;
	copy->stats = (struct kwgi_udp_stats){ 0 };
	copy->work = calloc(1, sizeof(*copy->work));
	if (!copy->work)
		return kwgi_nomem(err);
	copy->fd4 = fcntl(u->fd4, F_DUPFD_CLOEXEC, 0);
	if (copy->fd4 < 0)
		e = errno;
	if (!e && u->fd6 >= 0) {
		copy->fd6 = fcntl(u->fd6, F_DUPFD_CLOEXEC, 0);
		if (copy->fd6 < 0)
			e = errno;
	}
	if (!e)
		return 0;
	kwgi_udp_close(copy);
	return kwgi_fail(err, KWG_ERR_KERNEL, e, "sharing a UDP socket: %s", kwgi_errtext(e));
}

void kwgi_udp_close(struct kwgi_udp *u)
{
	if (u->fd4 >= 0)
		close(u->fd4);
	if (u->fd6 >= 0)
		close(u->fd6);
	free(u->work);
	*u = KWGI_UDP_CLOSED;
}
