/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The limit of a userspace tunnel: TUN to UDP and back with all offloads that
 * a data plane can use, and no cryptography. What a WireGuard costs more than
 * this is its own; what this costs is the kernel's.
 *
 * floor INTERFACE PORT ADDRESS PEER-PORT
 *
 * One thread per direction. Every inner packet travels in a datagram of its
 * own, as long as WireGuard's: 16 bytes of header, the packet, 16 of tag.
 * IPv4 only. Checksums of payloads are never computed: a packet that came out
 * of the TUN without one says so in the header, and goes into the other TUN as
 * such. Errors of single packets are drops; nothing is counted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sys/ctypes.h"

/* Linux 6.2; the headers may be older than the kernel. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
	HEAD = 16, TAG = 16,
	MAX_PACKET = 65535,
	MAX_HEADERS = 120,	/* IPv4 and TCP, both with all options */
	MAX_SEGMENTS = 64,	/* of UDP_SEGMENT, and of UDP towards the TUN */
	MAX_DATAGRAM = 65507,	/* UDP payload over IPv4 */
	RING = 4 * MAX_PACKET,	/* packets read and not sent yet */
	RECEIVES = 8,		/* per system call, each maybe many datagrams */
	UDP_HEADER = 8, UDP_CHECK = 6, TCP_CHECK = 16,
	SOCKET_BUFFER = 7 << 20,
};

/* In front of every packet, where WireGuard has type, receiver and counter. */
struct head {
	uint8_t type;		/* as transport data: 4 */
	uint8_t partial;	/* the transport checksum is not computed */
	uint8_t reserved[HEAD - 2];
};

static int tun, sock;

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- headers --------------------------------------------------------- */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += get16(p);
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static size_t ip_len(const uint8_t *ip)
{
	return (size_t)(ip[0] & 15) * 4;
}

/* Bytes of IPv4 and TCP or UDP header; 0 if it is neither, or cut short. */
static size_t headers_len(const uint8_t *ip, size_t len)
{
	size_t n, tcp;

	if (len < sizeof(struct iphdr) || ip[0] >> 4 != 4)
		return 0;
	n = ip_len(ip);
	if (n < sizeof(struct iphdr) || len < n + UDP_HEADER)
		return 0;
	if (ip[9] == IPPROTO_UDP)
		return n + UDP_HEADER;
	if (ip[9] != IPPROTO_TCP || len < n + sizeof(struct tcphdr))
		return 0;
	tcp = (size_t)(ip[n + 12] >> 4) * 4;
	return tcp >= sizeof(struct tcphdr) && n + tcp <= len ? n + tcp : 0;
}

/* Sets lengths and the IPv4 checksum of a packet that has got another length. */
static void set_len(uint8_t *ip, size_t len)
{
	size_t n = ip_len(ip);

	put16(ip + 2, len);
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~fold(sum16(ip, n, 0)));
	if (ip[9] == IPPROTO_UDP)
		put16(ip + n + 4, len - n);
}

/* What the kernel wants in the checksum field of a packet without checksum: the pseudo header's. */
static void set_partial(uint8_t *ip)
{
	size_t n = ip_len(ip);
	size_t at = n + (ip[9] == IPPROTO_TCP ? TCP_CHECK : UDP_CHECK);

	put16(ip + at, fold(sum16(ip + 12, 8, ip[9] + get16(ip + 2) - (uint32_t)n)));
}

/* ---- from the TUN to the socket -------------------------------------- */

/* Sends iov as datagrams of size bytes each, the last maybe shorter. */
static void send_segments(struct iovec *iov, size_t n, size_t size, bool several)
{
	union {
		char buf[CMSG_SPACE(sizeof(uint16_t))];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct msghdr msg = { .msg_flags = 0 };
	uint16_t size16 = (uint16_t)size;
	struct cmsghdr *c;

	kwgi_msg_iov(&msg, iov, n);
	if (several) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(size16));
		memcpy(CMSG_DATA(c), &size16, sizeof(size16));
	}
	while (sendmsg(sock, &msg, 0) < 0 && errno == EINTR)
		;
}

/* Packets of equal size, side by side in the ring with head and tag, to be sent at once. */
struct run {
	uint8_t *from;
	size_t len, size;	/* size: of the first; only the last may be shorter */
	unsigned n;
};

static void run_send(struct run *r)
{
	struct iovec iov = { .iov_base = r->from, .iov_len = r->len };

	if (r->n)
		send_segments(&iov, 1, r->size, r->n > 1);
	r->n = 0;
}

/* Adds a packet of len bytes, head and tag included; it lies where the run ends, or elsewhere. */
static void run_add(struct run *r, uint8_t *from, size_t len)
{
	bool fits = r->n && r->from + r->len == from && len <= r->size && r->n < MAX_SEGMENTS &&
		    r->len + len <= MAX_DATAGRAM && r->len % r->size == 0;

	if (!fits) {
		run_send(r);
		*r = (struct run){ .from = from, .size = len };
	}
	r->len += len;
	r->n++;
}

/* A large packet leaves as segments whose payloads stay where they are. */
struct split {
	uint8_t heads[MAX_SEGMENTS][HEAD + MAX_HEADERS];
	struct iovec iov[MAX_SEGMENTS * 3];
};

static void segment(uint8_t *out, const uint8_t *ip, size_t hlen, size_t at, size_t n, size_t i,
		    bool last)
{
	struct head head = { .type = 4, .partial = 1 };
	uint8_t *tcp = out + HEAD + ip_len(ip);

	memcpy(out, &head, HEAD);
	memcpy(out + HEAD, ip, hlen);
	put16(out + HEAD + 4, get16(ip + 4) + i);
	if (ip[9] == IPPROTO_TCP) {
		put32(tcp + 4, get32(tcp + 4) + (uint32_t)at);
		if (!last)
			tcp[13] &= (uint8_t)~(TH_FIN | TH_PUSH);
	}
	set_len(out + HEAD, hlen + n);
}

static void split_send(struct split *s, uint8_t *ip, size_t len, size_t gso_size)
{
	static uint8_t tag[TAG];
	size_t hlen = headers_len(ip, len), at, n, i = 0, k = 0;
	size_t size = HEAD + hlen + gso_size + TAG, most = MAX_DATAGRAM / (size ? size : 1);

	if (!hlen || !gso_size || !most)
		return;
	if (most > MAX_SEGMENTS)
		most = MAX_SEGMENTS;
	for (at = 0; at < len - hlen; at += n, i++) {
		n = len - hlen - at < gso_size ? len - hlen - at : gso_size;
		segment(s->heads[k], ip, hlen, at, n, i, at + n == len - hlen);
		s->iov[k * 3] = (struct iovec){ s->heads[k], HEAD + hlen };
		s->iov[k * 3 + 1] = (struct iovec){ ip + hlen + at, n };
		s->iov[k * 3 + 2] = (struct iovec){ tag, TAG };
		if (++k < most && at + n < len - hlen)
			continue;
		send_segments(s->iov, k * 3, size, k > 1);
		k = 0;
	}
}

/* Reads one packet behind its head; its length, or 0 if there is none now. */
static size_t tun_read(struct virtio_net_hdr *vnet, uint8_t *packet)
{
	struct iovec iov[] = { { vnet, sizeof(*vnet) }, { packet, MAX_PACKET } };
	ssize_t n = readv(tun, iov, 2);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		die("reading the TUN");
	return n > (ssize_t)sizeof(*vnet) ? (size_t)n - sizeof(*vnet) : 0;
}

static void *outwards(void *arg)
{
	static uint8_t ring[RING];
	static struct split split;
	struct virtio_net_hdr vnet;
	struct run run = { .n = 0 };
	uint8_t *at = ring;
	size_t len;

	for (;;) {
		struct head head = { .type = 4 };

		if (at + HEAD + MAX_PACKET + TAG > ring + RING) {
			run_send(&run);
			at = ring;
		}
		len = tun_read(&vnet, at + HEAD);
		if (!len) {	/* never wait with something in hand */
			run_send(&run);
			poll(&(struct pollfd){ .fd = tun, .events = POLLIN }, 1, -1);
			continue;
		}
		if (vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
			run_send(&run);
			split_send(&split, at + HEAD, len, vnet.gso_size);
			continue;
		}
		head.partial = (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
		memcpy(at, &head, HEAD);
		run_add(&run, at, HEAD + len + TAG);
		at += HEAD + len + TAG;
	}
	return arg;
}

/* ---- from the socket to the TUN -------------------------------------- */

/* Packets of one flow, one after the other, that go into the TUN as one. */
struct merge {
	uint8_t headers[MAX_HEADERS];
	struct iovec iov[2 + MAX_SEGMENTS];	/* virtio header, headers, payloads */
	size_t n, hlen, len;	/* payloads, bytes of headers, bytes of all */
	size_t size;		/* of the first payload */
	bool partial, closed;	/* closed: nothing may follow */
};

static void merge_write(struct merge *m)
{
	struct virtio_net_hdr vnet = { .flags = 0 };
	uint8_t *ip = m->headers;

	if (!m->n)
		return;
	if (m->partial) {
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet.csum_start = (uint16_t)ip_len(ip);
		vnet.csum_offset = ip[9] == IPPROTO_TCP ? TCP_CHECK : UDP_CHECK;
		if (m->n > 1) {
			vnet.gso_type = ip[9] == IPPROTO_TCP ? VIRTIO_NET_HDR_GSO_TCPV4 :
							       VIRTIO_NET_HDR_GSO_UDP_L4;
			vnet.gso_size = (uint16_t)m->size;
			vnet.hdr_len = (uint16_t)m->hlen;
			set_len(ip, m->len);
		}
		set_partial(ip);
	}
	m->iov[0] = (struct iovec){ &vnet, sizeof(vnet) };
	m->iov[1] = (struct iovec){ ip, m->hlen };
	while (writev(tun, m->iov, (int)(2 + m->n)) < 0 && errno == EINTR)
		;
	m->n = 0;
}

/* Is it the next packet of the same flow, and as the kernel would have segmented it? */
static bool follows(const struct merge *m, const uint8_t *ip, size_t hlen, size_t len)
{
	const uint8_t *first = m->headers;
	size_t n = ip_len(ip), payload = len - hlen;

	if (!m->n || m->closed || hlen != m->hlen || m->n == MAX_SEGMENTS ||
	    payload > m->size || m->len + payload > MAX_PACKET)
		return false;
	/* Version, length of the header, TOS; fragment, TTL, protocol; addresses; ports. */
	if (memcmp(ip, first, 2) || memcmp(ip + 6, first + 6, 4) ||
	    memcmp(ip + 12, first + 12, 8) || memcmp(ip + n, first + n, 4))
		return false;
	if (ip[9] == IPPROTO_UDP)
		return true;
	/* Acknowledgement, data offset; window; options. */
	return get32(ip + n + 4) == get32(first + n + 4) + (uint32_t)(m->len - hlen) &&
	       !memcmp(ip + n + 8, first + n + 8, 5) && !memcmp(ip + n + 14, first + n + 14, 2) &&
	       !memcmp(ip + n + 20, first + n + 20, hlen - n - 20);
}

/* The packet stays where it is until merge_write(). */
static void merge_add(struct merge *m, uint8_t *ip, size_t len, bool partial)
{
	size_t hlen = partial ? headers_len(ip, len) : 0, n = ip_len(ip);
	bool data = hlen && len > hlen && n == sizeof(struct iphdr), push = false;

	if (data && ip[9] == IPPROTO_TCP) {
		push = ip[n + 13] & TH_PUSH;
		data = (ip[n + 13] & ~TH_PUSH) == TH_ACK;
	}
	if (data && follows(m, ip, hlen, len)) {
		if (push)
			m->headers[n + 13] |= TH_PUSH;
	} else {
		merge_write(m);
		m->hlen = hlen ? hlen : sizeof(struct iphdr);
		m->len = m->hlen;
		m->size = len - m->hlen;
		m->partial = hlen != 0;
		m->closed = !data;
		memcpy(m->headers, ip, m->hlen);
	}
	m->iov[2 + m->n++] = (struct iovec){ ip + m->hlen, len - m->hlen };
	m->len += len - m->hlen;
	if (push || len - m->hlen < m->size)
		m->closed = true;
}

/* One received buffer, which may hold several datagrams of size bytes. */
static void deliver(struct merge *m, uint8_t *p, size_t left, size_t size)
{
	struct head head;
	size_t n, len;

	for (; left; p += n, left -= n) {
		n = left < size ? left : size;
		if (n < HEAD + sizeof(struct iphdr) + TAG)
			continue;
		memcpy(&head, p, HEAD);
		len = get16(p + HEAD + 2);
		if (head.type != 4 || p[HEAD] >> 4 != 4 || len < sizeof(struct iphdr) ||
		    len > n - HEAD - TAG)
			continue;
		merge_add(m, p + HEAD, len, head.partial);
	}
}

static size_t gro_size(struct msghdr *msg, size_t otherwise)
{
	struct cmsghdr *c;
	int size;

	for (c = CMSG_FIRSTHDR(msg); c; c = kwgi_cmsg_next(msg, c)) {
		if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof(size));
		if (size > 0)
			return (size_t)size;
	}
	return otherwise;
}

static void *inwards(void *arg)
{
	static uint8_t buf[RECEIVES][MAX_PACKET];
	static struct {
		_Alignas(struct cmsghdr) char buf[CMSG_SPACE(sizeof(int))];
	} control[RECEIVES];
	static struct merge merge;
	struct mmsghdr msgs[RECEIVES];
	struct iovec iov[RECEIVES];
	int i, n;

	for (;;) {
		for (i = 0; i < RECEIVES; i++) {
			iov[i] = (struct iovec){ buf[i], MAX_PACKET };
			msgs[i].msg_hdr = (struct msghdr){
				.msg_iov = &iov[i], .msg_iovlen = 1, .msg_control = control[i].buf,
				.msg_controllen = sizeof(control[i].buf),
			};
		}
		n = recvmmsg(sock, msgs, RECEIVES, MSG_WAITFORONE, NULL);
		for (i = 0; i < n; i++)
			deliver(&merge, buf[i], msgs[i].msg_len,
				gro_size(&msgs[i].msg_hdr, msgs[i].msg_len));
		merge_write(&merge);
	}
	return arg;
}

/* ---- start ----------------------------------------------------------- */

static void open_tun(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };

	if (strlen(name) >= sizeof(ifr.ifr_name)) {
		errno = EINVAL;
		die(name);
	}
	memcpy(ifr.ifr_name, name, strlen(name));
	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun < 0)
		die("/dev/net/tun");
	if (ioctl(tun, TUNSETIFF, &ifr))
		die(name);
	if (ioctl(tun, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4)))
		die("offloads of the TUN");
}

static void open_socket(const char *port, const char *address, const char *peer_port)
{
	struct sockaddr_in own = { .sin_family = AF_INET }, peer = own;
	int on = 1, size = SOCKET_BUFFER;

	own.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	peer.sin_port = htons((uint16_t)strtoul(peer_port, NULL, 10));
	if (inet_pton(AF_INET, address, &peer.sin_addr) != 1) {
		errno = EINVAL;
		die(address);
	}
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&own, sizeof(own)) ||
	    connect(sock, (struct sockaddr *)&peer, sizeof(peer)))
		die("socket");
	if (setsockopt(sock, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)))
		die("UDP_GRO");
	/* As large as WireGuard's; the second form needs a right that may be missing. */
	setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 5) {
		fprintf(stderr, "usage: floor INTERFACE PORT ADDRESS PEER-PORT\n");
		return EXIT_FAILURE;
	}
	open_socket(argv[2], argv[3], argv[4]);
	open_tun(argv[1]);
	errno = pthread_create(&thread, NULL, outwards, NULL);
	if (errno)
		die("thread");
	inwards(NULL);
	return EXIT_SUCCESS;
}
