/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Raw sockets, since those of ping groups are closed to root by default: CAP_NET_RAW. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/echo.h"
#include "host/files.h"

/* What both families have. */
struct echo_header {
	uint8_t type, code;
	uint16_t checksum, id, sequence;
};

static int open_one(int family, int protocol, const char *ifname)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	if (fd >= 0 && ifname &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname) + 1)) {
		close(fd);
		return -1;
	}
	return fd;
}

void kwgi_echo_open(struct kwgi_echo *e, const char *ifname)
{
	e->fds[0] = open_one(AF_INET, IPPROTO_ICMP, ifname);
	e->error = errno;
	e->fds[1] = open_one(AF_INET6, IPPROTO_ICMPV6, ifname);
	if (kwgi_file_random(&e->id, sizeof(e->id)))
		e->id = (uint16_t)getpid();
}

void kwgi_echo_close(struct kwgi_echo *e)
{
	int i;

	for (i = 0; i < 2; i++)
		if (e->fds[i] >= 0)
			close(e->fds[i]);
}

/* RFC 1071, of one header; that of ICMPv6 the kernel computes (RFC 3542, 3.1). */
static uint16_t checksum(const struct echo_header *h)
{
	uint16_t words[sizeof(*h) / 2];
	uint32_t sum = 0;
	size_t i;

	memcpy(words, h, sizeof(*h));
	for (i = 0; i < sizeof(*h) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~(sum + (sum >> 16));
}

bool kwgi_echo_send(struct kwgi_echo *e, const struct kwgi_addr *to)
{
	bool v4 = to->family == KWGI_AF_V4;
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct echo_header h = { .type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST, .id = e->id,
				 .sequence = htons(1) };
	int fd = e->fds[!v4];

	if (fd < 0) {
		errno = e->error;
		return false;
	}
	h.checksum = v4 ? checksum(&h) : 0;
	memcpy(&in.sin_addr, to->b, sizeof(in.sin_addr));
	memcpy(&in6.sin6_addr, to->b, sizeof(in6.sin6_addr));
	return sendto(fd, &h, sizeof(h), MSG_DONTWAIT, v4 ? (void *)&in : (void *)&in6,
		      v4 ? sizeof(in) : sizeof(in6)) == (ssize_t)sizeof(h);
}

/* Is it an answer to one of ours? IPv4 comes with its header. */
static bool is_answer(const struct kwgi_echo *e, bool v4, const uint8_t *p, size_t len)
{
	struct echo_header h;
	size_t skip = v4 && len ? (size_t)(p[0] & 15) * 4 : 0;

	if (len < skip + sizeof(h))
		return false;
	memcpy(&h, p + skip, sizeof(h));
	return h.type == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) && h.id == e->id;
}

static bool receive_one(struct kwgi_echo *e, bool v4, struct kwgi_addr *from)
{
	union { struct sockaddr_in in; struct sockaddr_in6 in6; } peer;
	socklen_t peer_len = sizeof(peer);
	uint8_t packet[256];
	ssize_t len = recvfrom(e->fds[!v4], packet, sizeof(packet), MSG_DONTWAIT, (void *)&peer,
			       &peer_len);

	if (len < 0 || !is_answer(e, v4, packet, (size_t)len))
		return false;
	*from = (struct kwgi_addr){ .family = v4 ? KWGI_AF_V4 : KWGI_AF_V6 };
	if (v4)
		memcpy(from->b, &peer.in.sin_addr, 4);
	else
		memcpy(from->b, &peer.in6.sin6_addr, 16);
	return true;
}

bool kwgi_echo_receive(struct kwgi_echo *e, struct kwgi_addr *from, int wait_ms)
{
	struct pollfd p[2] = { { .fd = e->fds[0], .events = POLLIN },
			       { .fd = e->fds[1], .events = POLLIN } };
	int64_t deadline = kwgi_monotonic_ms() + wait_ms;
	int left, i;

	/* A raw socket hears what others of the host are told, too. */
	for (;;) {
		left = (int)(deadline - kwgi_monotonic_ms());
		if (poll(p, 2, left > 0 ? left : 0) <= 0)
			return false;
		for (i = 0; i < 2; i++)
			if (p[i].revents && receive_one(e, !i, from))
				return true;
		if (left <= 0)
			return false;
	}
}
