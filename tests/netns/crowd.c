/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * crowd COUNT: prints a configuration for wg(8) with so many peers.
 * crowd COUNT NETNS PID SEED ROUNDS [6]: plays them. The device is wg0 of NETNS at 192.0.2.1 (with
 * 6, for every other peer, 2001:db8::1), port 51820, and process PID; its host is 10.1.0.1 and
 * fd01::1, peer n is 10.9.x.y and fd09::n at 192.0.2.2 and 2001:db8::2, port 20000 + n.
 *
 * In each round the process is stopped, packets to or from many peers come together, more than it
 * takes at once, and it goes on: each packet has to arrive once, in the order of its flow.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "dp/blake2s.h"
#include "dp/bytes.h"
#include "dp/checksum.h"
#include "dp/ippacket.h"
#include "dp/protocol.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
	MOST = 300,
	OUR_PORT = 51820, PEER_PORT = 20000, INNER_PORT = 7000,
	QUEUE = 450,		/* packets that the device's queue holds, and some more */
	SMALL = 1300,		/* bytes of UDP that fit the link */
	STAMP = 8,		/* in front of each payload: peer and number */
	CUT = 40,		/* datagrams of a large packet */
	DATAGRAMS = 2500,	/* of a round */
	PATIENCE = 20,		/* s */
};

struct flow {
	uint32_t sent, arrived;
};

struct peer {
	struct kwgi_device *d;
	unsigned number;
	int fd;
	struct flow to[2], from[2];	/* IPv4, IPv6 inside */
};

static struct peer peers[MOST];
static unsigned count, n_tests, n_failed;
static bool ipv6;
static int host[2];		/* sockets of the device's host */
static pid_t process;
static uint64_t seed;
static uint32_t buffer = UINT32_MAX;	/* of a socket that hears: little without real root */

/* ---- telling ------------------------------------ */

static void bail(const char *what)
{
	perror(what);
	exit(2);
}

static void ok(bool passed, const char *what)
{
	n_failed += !passed;
	printf("%s %u - %s\n", passed ? "ok" : "not ok", ++n_tests, what);
	fflush(stdout);
}

/* Told once for a round: the packets behind a lost one are wrong as well. */
static bool wrong;

static void complain(const struct peer *p, const char *what, uint32_t got, uint32_t want)
{
	if (!wrong)
		printf("# peer %u: %s: %u instead of %u\n", p->number, what, got, want);
	wrong = true;
}

static uint32_t below(uint32_t n)
{
	/* xorshift64* (Vigna, 2016) */
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)(seed * 2685821657736338717u >> 32) % n;
}

static struct kwgi_time now(void)
{
	struct timespec t, wall;

	clock_gettime(CLOCK_BOOTTIME, &t);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct kwgi_time){
		.now = (uint64_t)t.tv_sec * KWGI_SECOND + (uint64_t)t.tv_nsec,
		.wall = (uint64_t)wall.tv_sec * KWGI_SECOND + (uint64_t)wall.tv_nsec,
	};
}

/* ---- what is said ------------------------------------ */

static void write_payload(uint8_t *p, unsigned peer, uint32_t number, size_t len)
{
	size_t i;

	put32(p, peer);
	put32(p + 4, number);
	for (i = STAMP; i < len; i++)
		p[i] = (uint8_t)(i * 7 + number);
}

static void read_payload(const struct peer *p, struct flow *f, const uint8_t *data, size_t len)
{
	size_t i;

	if (len < STAMP || get32(data) != p->number) {
		complain(p, "a packet of another one", len < STAMP ? 0 : get32(data), p->number);
		return;
	}
	if (get32(data + 4) != f->arrived)
		complain(p, "number of a packet", get32(data + 4), f->arrived);
	for (i = STAMP; i < len; i++)
		if (data[i] != (uint8_t)(i * 7 + get32(data + 4)))
			complain(p, "byte of a packet", data[i], (uint8_t)(i * 7 + get32(data + 4)));
	f->arrived = get32(data + 4) + 1;
}

static void write_address(uint8_t *out, bool ip6, bool of_host, unsigned number)
{
	static const uint8_t host4[4] = { 10, 1, 0, 1 }, host6[16] = { 0xfd, 1, [15] = 1 };
	static const uint8_t peer4[4] = { 10, 9 }, peer6[16] = { 0xfd, 9 };
	unsigned n = ip6 ? 16 : 4;

	memcpy(out, ip6 ? (of_host ? host6 : peer6) : (of_host ? host4 : peer4), n);
	if (!of_host)
		put16(out + n - 2, number);
}

/* ---- peers ------------------------------------ */

static void key_of(struct kwgi_key *key, unsigned number)
{
	kwgi_hash(key->b, "crowd", 5, &number, sizeof(number));
	kwgi_key_clamp(key);
}

enum { DEVICE = MOST };		/* number of its key */

static void print_configuration(void)
{
	char text[KWGI_KEY_TEXT];
	struct kwgi_key key, public;
	unsigned i;

	key_of(&key, DEVICE);
	printf("[Interface]\nListenPort = %d\nPrivateKey = %s\n", OUR_PORT, kwgi_key_format(text, &key));
	for (i = 0; i < count; i++) {
		key_of(&key, i);
		kwgi_key_public(&public, &key);
		printf("[Peer]\nPublicKey = %s\nAllowedIPs = 10.9.%u.%u/32, fd09::%x/128\n",
		       kwgi_key_format(text, &public), i >> 8, i & 255, i);
	}
}

static void peer_random(void *arg, void *out, size_t len)
{
	(void)arg;
	randombytes_buf(out, len);
}

static void peer_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	struct peer *p = arg;

	(void)to;
	(void)tos;
	if (send(p->fd, msg, len, 0) < 0)
		bail("send");
}

static void set_buffers(int fd)
{
	int size = 16 << 20;
	socklen_t len = sizeof(size);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (!getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len) && (uint32_t)size < buffer)
		buffer = (uint32_t)size;
}

static int open_at(const char *address, unsigned port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	bool is6 = strchr(address, ':');
	int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	inet_pton(is6 ? AF_INET6 : AF_INET, address, is6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr);
	if (fd < 0 || bind(fd, is6 ? (void *)&v6 : (void *)&v4, is6 ? sizeof(v6) : sizeof(v4)))
		bail(address);
	set_buffers(fd);
	return fd;
}

static void connect_to_device(int fd, bool is6)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(OUR_PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(OUR_PORT) };

	inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
	if (connect(fd, is6 ? (void *)&v6 : (void *)&v4, is6 ? sizeof(v6) : sizeof(v4)))
		bail("connect");
}

static void peer_open(struct peer *p, unsigned number)
{
	const struct kwgi_device_io io = { .arg = p, .random = peer_random, .send = peer_send };
	static const struct kwgi_path somewhere = { .family = 4, .port = 1 };
	static const struct kwgi_prefix all4 = { .addr.family = KWGI_AF_V4 };
	static const struct kwgi_prefix all6 = { .addr.family = KWGI_AF_V6 };
	bool outer6 = ipv6 && number % 2;
	struct kwgi_time t = now();
	struct kwgi_dp_peer *device;
	struct kwgi_key key, public;

	p->number = number;
	p->fd = open_at(outer6 ? "2001:db8::2" : "192.0.2.2", PEER_PORT + number);
	connect_to_device(p->fd, outer6);
	p->d = kwgi_device_new(&io, kwgi_aead_best());
	key_of(&key, number);
	kwgi_device_set_private_key(p->d, &key);
	key_of(&key, DEVICE);
	kwgi_key_public(&public, &key);
	device = kwgi_device_add(p->d, &public);
	if (kwgi_allowedips_insert(&p->d->allowed_ips, &all4, &device->allowed_ips) ||
	    kwgi_allowedips_insert(&p->d->allowed_ips, &all6, &device->allowed_ips))
		bail("allowed IPs");
	kwgi_peer_set_path(device, &somewhere);
	kwgi_device_set_up(p->d, true, &t);
	kwgi_send_keepalive(p->d, device, &t);
}

/* ---- hearing ------------------------------------ */

static void take_packet(struct peer *p, const uint8_t *packet, uint32_t len)
{
	bool ip6 = packet[0] >> 4 == 6;
	uint32_t at = ip6 ? KWGI_IP6_HEADER : KWGI_IP4_HEADER;

	/* The host's own, such as those that look for neighbours, do not count. */
	if (packet[ip6 ? 6 : 9] == KWGI_PROTO_UDP && len >= at + KWGI_UDP_HEADER &&
	    get16(packet + at + 2) == INNER_PORT)
		read_payload(p, &p->to[ip6], packet + at + KWGI_UDP_HEADER, len - at - KWGI_UDP_HEADER);
}

static void hear_peer(struct peer *p)
{
	static const struct kwgi_path from = { .family = 4, .port = 1 };
	static uint8_t data[65536];
	struct kwgi_time t = now();
	ssize_t n;

	while ((n = recv(p->fd, data, sizeof(data), 0)) > 0) {
		struct kwgi_incoming in = { .message = data, .message_len = (uint32_t)n, .from = &from };

		if (kwgi_device_receive(p->d, &in, &t) == KWGI_RECEIVED_PACKET)
			take_packet(p, in.packet, in.packet_len);
	}
	kwgi_timers_run(p->d, &t);
}

static void hear_host(bool ip6)
{
	static uint8_t data[65536];
	ssize_t n;

	while ((n = recv(host[ip6], data, sizeof(data), 0)) > 0)
		if (n >= STAMP && get32(data) < count)
			read_payload(&peers[get32(data)], &peers[get32(data)].from[ip6], data, (size_t)n);
}

/* What is there by now, or within some ms. */
static void hear(void)
{
	struct pollfd v[MOST + 2];
	unsigned i;

	for (i = 0; i < count; i++)
		v[i] = (struct pollfd){ peers[i].fd, POLLIN, 0 };
	v[count] = (struct pollfd){ host[0], POLLIN, 0 };
	v[count + 1] = (struct pollfd){ host[1], POLLIN, 0 };
	poll(v, count + 2, 20);
	for (i = 0; i < count; i++)
		hear_peer(&peers[i]);
	hear_host(false);
	if (host[1] >= 0)
		hear_host(true);
}

static bool all_arrived(void)
{
	unsigned i, k;

	for (i = 0; i < count; i++)
		for (k = 0; k < 2; k++)
			if (peers[i].to[k].arrived != peers[i].to[k].sent ||
			    peers[i].from[k].arrived != peers[i].from[k].sent)
				return false;
	return true;
}

static bool all_meet(void)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (!peers[i].d->first->current)
			return false;
	return true;
}

static bool wait_for(bool (*what)(void))
{
	uint64_t end = now().now + PATIENCE * KWGI_SECOND;

	while (!what() && now().now < end)
		hear();
	return what();
}

/* What is still missing is missing for good. */
static void forget_lost(void)
{
	unsigned i, k;

	for (i = 0; i < count; i++)
		for (k = 0; k < 2; k++) {
			struct peer *p = &peers[i];

			if (p->to[k].arrived != p->to[k].sent)
				complain(p, "packets to it", p->to[k].arrived, p->to[k].sent);
			if (p->from[k].arrived != p->from[k].sent)
				complain(p, "packets from it", p->from[k].arrived, p->from[k].sent);
			p->to[k].arrived = p->to[k].sent;
			p->from[k].arrived = p->from[k].sent;
		}
}

/* ---- sending ------------------------------------ */

/* segment: 0 or the size in which it is cut on its way. */
static void host_sends(struct peer *p, bool ip6, int tos, size_t len, int segment)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(INNER_PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(INNER_PORT) };
	size_t at, part, size = segment ? (size_t)segment : len;
	uint8_t data[CUT * SMALL];
	int fd = host[ip6];

	for (at = 0; at < len; at += part) {
		part = size < len - at ? size : len - at;
		write_payload(data + at, p->number, p->to[ip6].sent++, part);
	}
	write_address((void *)&v4.sin_addr, false, false, p->number);
	write_address((void *)&v6.sin6_addr, true, false, p->number);
	if (setsockopt(fd, ip6 ? IPPROTO_IPV6 : IPPROTO_IP, ip6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof(tos)) ||
	    setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) ||
	    sendto(fd, data, len, 0, ip6 ? (void *)&v6 : (void *)&v4, ip6 ? sizeof(v6) : sizeof(v4)) < 0)
		bail("sending as the host");
}

static void peer_says(struct peer *p, bool ip6, uint8_t tos, size_t len)
{
	uint8_t room[sizeof(struct kwgi_transport) + 64 + SMALL + 32] = { 0 };
	uint8_t *packet = room + sizeof(struct kwgi_transport);
	uint32_t at = ip6 ? KWGI_IP6_HEADER : KWGI_IP4_HEADER, udp_len = KWGI_UDP_HEADER + (uint32_t)len;
	uint8_t *udp = packet + at;
	struct kwgi_time t = now();
	uint16_t check;

	write_address(packet + (ip6 ? 8 : 12), ip6, false, p->number);
	write_address(packet + (ip6 ? 24 : 16), ip6, true, 0);
	put32(packet, ip6 ? 6u << 28 | (uint32_t)tos << 20 : 0x45u << 24 | (uint32_t)tos << 16 | (at + udp_len));
	if (ip6)
		put16(packet + 4, udp_len);
	packet[ip6 ? 6 : 9] = KWGI_PROTO_UDP;
	packet[ip6 ? 7 : 8] = 64;
	check = ip6 ? 0 : kwgi_csum_ipv4(packet, at);
	if (!ip6)
		memcpy(packet + 10, &check, sizeof(check));
	put16(udp, INNER_PORT);
	put16(udp + 2, INNER_PORT);
	put16(udp + 4, udp_len);
	write_payload(udp + KWGI_UDP_HEADER, p->number, p->from[ip6].sent++, len);
	check = (uint16_t)~kwgi_csum_fold(kwgi_csum_partial(udp, udp_len, ip6 ?
			kwgi_csum_pseudo6(packet + 8, KWGI_PROTO_UDP, udp_len) :
			kwgi_csum_pseudo4(packet + 12, KWGI_PROTO_UDP, udp_len)));
	check = check ? check : 0xffff;
	memcpy(udp + 6, &check, sizeof(check));
	kwgi_device_send(p->d, packet, at + udp_len, &t);
}

/* ---- rounds ------------------------------------ */

struct pattern {
	unsigned run;		/* packets to one peer, then to the next; 0: to any */
	int step;		/* from one length to the next; 0: any length */
	unsigned large;		/* one in so many is cut; 0: none */
	bool out, marks, both;	/* IPv4 and IPv6 in turn */
};

static size_t length(const struct pattern *t, unsigned i)
{
	int n = t->step ? (int)i * t->step % (SMALL - STAMP) : (int)below(SMALL - STAMP);

	return STAMP + (size_t)(n < 0 ? n + SMALL - STAMP : n);
}

static void stop(void)
{
	char path[64], text[256], *p;
	uint64_t end = now().now + PATIENCE * KWGI_SECOND;
	FILE *f;

	if (kill(process, SIGSTOP))
		bail("SIGSTOP");
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)process);
	do {
		f = fopen(path, "r");
		p = f && fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
		if (f)
			fclose(f);
	} while ((!p || p[2] != 'T') && now().now < end);
}

/* About what Linux counts for a datagram in a buffer: a power of two, and its description. */
static uint32_t true_size(size_t len)
{
	uint32_t size = 512;

	while (size < len + 450)
		size *= 2;
	return size + 256;
}

/* As many packets as all queues on their way hold. */
static void fill(const struct pattern *t)
{
	uint32_t left = buffer / 4 * 3;
	unsigned i, datagrams = 0;

	for (i = 0; i < QUEUE && datagrams < DATAGRAMS; i++) {
		struct peer *p = &peers[t->run ? i / t->run % count : below(count)];
		bool ip6 = t->both && ipv6 && i % 2;
		bool large = t->out && t->large && i % t->large == t->large - 1;
		size_t len = length(t, i);
		uint8_t tos = (uint8_t)(t->marks ? i % 3 : 0);	/* not CE, which the outer one would keep */
		uint32_t size = true_size(len) * (large ? CUT : 1);

		if (size > left)
			break;
		left -= size;
		if (t->out)
			host_sends(p, ip6, tos, large ? CUT * len : len, large ? (int)len : 0);
		else
			peer_says(p, ip6, tos, len);
		datagrams += large ? CUT : 1;
	}
}

static void play(const struct pattern *t)
{
	char what[128];

	wrong = false;
	stop();
	fill(t);
	if (kill(process, SIGCONT))
		bail("SIGCONT");
	wait_for(all_arrived);
	forget_lost();
	snprintf(what, sizeof(what), "%u peers, %s: run %u, step %d, large %u%s%s", count,
		 t->out ? "out" : "in", t->run, t->step, t->large, t->marks ? ", marked" : "",
		 t->both ? ", IPv4 and IPv6" : "");
	ok(!wrong, what);
}

static void play_rounds(unsigned rounds)
{
	/* Each packet is a burst of its own; then some that are not. */
	static const struct pattern first[] = {
		{ .run = 1, .step = 16, .out = true, .marks = true },
		{ .run = 1, .step = -16, .out = true, .large = 30, .both = true },
		{ .run = 1, .step = 16, .marks = true, .both = true },
		{ .run = 40, .step = 1 },
	};
	unsigned i;

	for (i = 0; i < sizeof(first) / sizeof(*first); i++)
		play(&first[i]);
	for (i = 0; i < rounds; i++) {
		struct pattern t = {
			.run = below(4), .step = (int)below(4) * 16 - 16, .large = below(3) * 12,
			.out = below(2), .marks = below(2), .both = below(2),
		};

		play(&t);
	}
}

static void open_host(const char *netns)
{
	int own = open("/proc/self/ns/net", O_RDONLY), other = open(netns, O_RDONLY);

	if (own < 0 || other < 0 || setns(other, CLONE_NEWNET))
		bail(netns);
	host[0] = open_at("10.1.0.1", INNER_PORT);
	host[1] = ipv6 ? open_at("fd01::1", INNER_PORT) : -1;
	if (setns(own, CLONE_NEWNET))
		bail("setns");
	close(own);
	close(other);
}

int main(int argc, char **argv)
{
	uint8_t start[KWGI_HASH_LEN];
	unsigned i;

	count = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
	if (sodium_init() < 0 || !count || count > MOST || (argc != 2 && argc < 6))
		return 2;
	if (argc == 2) {
		print_configuration();
		return 0;
	}
	process = atoi(argv[3]);
	kwgi_hash(start, argv[4], strlen(argv[4]), NULL, 0);
	memcpy(&seed, start, sizeof(seed));
	ipv6 = argc > 6;
	open_host(argv[2]);
	for (i = 0; i < count; i++)
		peer_open(&peers[i], i);
	ok(wait_for(all_meet), "all have a session");
	/* For the device, too: until it has heard the first packet it keeps back KWGI_STAGED_MAX. */
	for (i = 0; i < count; i++)
		host_sends(&peers[i], false, 0, STAMP, 0);
	ok(wait_for(all_arrived), "each hears the host");
	play_rounds((unsigned)atoi(argv[5]));
	for (i = 0; i < count; i++)
		kwgi_device_free(peers[i].d);
	return n_failed ? 1 : 0;
}
