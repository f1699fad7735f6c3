/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "sys/ctypes.h"
#include "userspace/udp_work.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* The size says what a control message carries; the payload need not be aligned for it. */
static bool fetch(const struct cmsghdr *c, void *out, size_t len)
{
	if (c->cmsg_len < CMSG_LEN(len))
		return false;
	memcpy(out, CMSG_DATA(c), len);
	return true;
}

static void read_control_v4(struct kwgi_udp_in *in, const struct cmsghdr *c)
{
	struct in_pktinfo info;

	if (c->cmsg_type == IP_TOS) {
		(void)fetch(c, &in->tos, sizeof(in->tos));
	} else if (c->cmsg_type == IP_PKTINFO && fetch(c, &info, sizeof(info))) {
		/* ipi_addr would be a broadcast address for a broadcast: nothing to send from. */
		in->to.family = AF_INET;
		in->to.v4 = info.ipi_spec_dst;
		in->to.ifindex = (uint32_t)info.ipi_ifindex;
	}
}

static void read_control_v6(struct kwgi_udp_in *in, const struct cmsghdr *c)
{
	struct in6_pktinfo info;
	int tclass;

	if (c->cmsg_type == IPV6_TCLASS && fetch(c, &tclass, sizeof(tclass))) {
		in->tos = (uint8_t)tclass;
	} else if (c->cmsg_type == IPV6_PKTINFO && fetch(c, &info, sizeof(info))) {
		in->to.family = AF_INET6;
		in->to.v6 = info.ipi6_addr;
		in->to.ifindex = info.ipi6_ifindex;
	}
}

static void read_control(struct kwgi_udp_in *in, struct msghdr *m)
{
	struct cmsghdr *c;
	int size;

	for (c = CMSG_FIRSTHDR(m); c; c = kwgi_cmsg_next(m, c)) {
		if (c->cmsg_level == IPPROTO_IP)
			read_control_v4(in, c);
		else if (c->cmsg_level == IPPROTO_IPV6)
			read_control_v6(in, c);
		else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO &&
			 fetch(c, &size, sizeof(size)) && size > 0 && size <= UINT16_MAX)
			in->gso_size = (uint16_t)size;
	}
}

static void prepare(struct kwgi_udp_work *w, struct kwgi_udp_in *v, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		struct msghdr *m = &w->msg[i].msg_hdr;

		/* Addresses are compared byte by byte, and the kernel writes only 16 for IPv4. */
		v[i].from = (struct kwgi_sockaddr){ .family = AF_UNSPEC };
		v[i].to = (struct kwgi_source){ .family = AF_UNSPEC };
		v[i].len = v[i].gso_size = v[i].tos = 0;
		w->iov[i] = (struct iovec){ v[i].data, v[i].cap };
		*m = (struct msghdr){
			.msg_name = &v[i].from,
			.msg_namelen = sizeof(v[i].from),
			.msg_iov = &w->iov[i],
			.msg_iovlen = 1,
			.msg_control = w->control[i].b,
			.msg_controllen = sizeof(w->control[i].b),
		};
	}
}

static void finish(struct kwgi_udp *u, struct kwgi_udp_in *in, struct mmsghdr *m)
{
	/* A burst whose end or size is lost cannot be told apart from one datagram. */
	if (m->msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		u->stats.truncated++;
		return;
	}
	in->len = m->msg_len;
	read_control(in, &m->msg_hdr);
	if (in->gso_size >= in->len)
		in->gso_size = 0;
}

static bool is_fatal(int e)
{
	return e == EBADF || e == ENOTSOCK || e == EFAULT || e == EINVAL || e == ENOSYS ||
	       e == EPERM;
}

int kwgi_udp_receive(struct kwgi_udp *u, int fd, struct kwgi_udp_in *v, unsigned n)
{
	struct kwgi_udp_work *w = u->work;
	int i, got, tries = 8;

	if (n > KWGI_UDP_BATCH)
		n = KWGI_UDP_BATCH;
	/* An error that a datagram left behind goes away by being read. */
	do {
		prepare(w, v, n);
		got = recvmmsg(fd, w->msg, n, MSG_DONTWAIT, NULL);
	} while (got < 0 && errno != EAGAIN && !is_fatal(errno) && --tries);
	if (got < 0)
		return is_fatal(errno) ? -errno : 0;
	for (i = 0; i < got; i++)
		finish(u, &v[i], &w->msg[i]);
	return got;
}
