/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A network service that is reachable only through WireGuard, in a program
 * without privileges and without a network interface: a UDP echo at port 7 of
 * 10.9.0.1, an address that exists only in this process.
 *
 *     cc echo.c $(pkg-config --static --cflags --libs kilowg) -o echo
 *     ./echo PORT PRIVATE-KEY PEER-PUBLIC-KEY	serves (keys are hexadecimal)
 *     ./echo					serves and asks itself, and says if that works
 *
 * The service is a struct kwg_device: configured by text, as any WireGuard
 * device is, fed with what arrives at a UDP socket, and calling back with what
 * is to be sent and with what has come out of the tunnel.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kilowg.h>

enum { HEADERS = 28, DATAGRAM_MAX = 65536, ECHO_PORT = 7, PACKET_MAX = 1420 };

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#define NOW clock_ns(CLOCK_BOOTTIME)
#define WALL clock_ns(CLOCK_REALTIME)

/* ---- packets ------------------------------------------------------------------------ */

static void put16(uint8_t *p, uint16_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 1071, of an IPv4 header */
static uint16_t checksum(const uint8_t *p)
{
	uint32_t sum = 0;
	int i;

	for (i = 0; i < 20; i += 2)
		sum += get16(p + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* IPv4 and UDP headers before a text. The UDP checksum is 0, which means none (RFC 768). */
static size_t make_packet(uint8_t *p, const uint8_t from_to[8], uint16_t from, uint16_t to,
			  const void *text, size_t len)
{
	memset(p, 0, HEADERS);
	p[0] = 0x45;
	put16(p + 2, (uint16_t)(HEADERS + len));
	p[8] = 64;
	p[9] = IPPROTO_UDP;
	memcpy(p + 12, from_to, 8);
	put16(p + 10, checksum(p));
	put16(p + 20, from);
	put16(p + 22, to);
	put16(p + 24, (uint16_t)(8 + len));
	memmove(p + HEADERS, text, len);
	return HEADERS + len;
}

/* ---- the service ---------------------------------------------------------------------- */

struct service {
	struct kwg_device *dev;
	int fd;
	/* An answer waits here until the device may be called again. */
	uint8_t room[KWG_HEADROOM + DATAGRAM_MAX + KWG_TAILROOM];
	size_t answer;
};

static void on_send(void *arg, const struct kwg_endpoint *to, const uint8_t *datagram, size_t len,
		    uint8_t tos)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(to->port) };
	struct service *s = arg;

	(void)tos;
	memcpy(&a.sin_addr, to->addr, sizeof(a.sin_addr));
	if (sendto(s->fd, datagram, len, 0, (struct sockaddr *)&a, sizeof(a)) < 0)
		perror("sendto");
}

/* What has come through the tunnel. Its sender is authentic, and the address is the sender's. */
static void on_deliver(void *arg, const uint8_t *public_key, uint8_t *p, size_t len)
{
	struct service *s = arg;
	uint8_t to_from[8];

	(void)public_key;
	if (len < HEADERS || p[0] != 0x45 || p[9] != IPPROTO_UDP || get16(p + 22) != ECHO_PORT)
		return;
	memcpy(to_from, p + 16, 4);
	memcpy(to_from + 4, p + 12, 4);
	s->answer = make_packet(s->room + KWG_HEADROOM, to_from, ECHO_PORT, get16(p + 20),
				p + HEADERS, len - HEADERS);
}

static void on_readable(struct service *s)
{
	struct kwg_endpoint from = { .family = 4 };
	static uint8_t datagram[DATAGRAM_MAX];
	struct sockaddr_in a;
	socklen_t alen = sizeof(a);
	ssize_t n = recvfrom(s->fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&a, &alen);

	if (n < 0)
		return;
	memcpy(from.addr, &a.sin_addr, sizeof(a.sin_addr));
	from.port = ntohs(a.sin_port);
	s->answer = 0;
	kwg_device_read_in_place(s->dev, &from, datagram, (size_t)n, 0, NOW, WALL);
	if (s->answer)
		kwg_device_write_in_place(s->dev, s->room + KWG_HEADROOM, s->answer, NOW, WALL);
}

static int configure(struct kwg_device *dev, const char *private_key, const char *peer)
{
	struct kwg_error err;
	char text[512];
	int ret;

	snprintf(text, sizeof(text), "set=1\nprivate_key=%s\npublic_key=%s\nallowed_ip=10.9.0.2/32\n\n",
		 private_key, peer);
	ret = kwg_device_set(dev, text, strlen(text), NOW, WALL, &err);
	if (ret)
		fprintf(stderr, "%s\n", err.text);
	return ret;
}

static int serve(int fd, const char *private_key, const char *peer)
{
	static struct service s;
	struct kwg_device_callbacks cb = { .size = sizeof(cb), .arg = &s, .send = on_send, .deliver = on_deliver };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct kwg_error err;
	uint64_t now, next;
	int ms;

	s.fd = fd;
	if (kwg_device_new(&s.dev, &cb, &err) || configure(s.dev, private_key, peer))
		return 1;
	for (;;) {
		now = NOW;
		next = kwg_device_tick(s.dev, now, WALL);
		ms = next - now > UINT64_C(1000000000000) ? -1 : (int)((next - now) / 1000000 + 1);
		if (poll(&p, 1, ms) > 0)
			on_readable(&s);
	}
}

/* ---- who asks --------------------------------------------------------------------------- */

/* Sends one question, and waits until its echo comes back or 20 s are over. */
static bool ask(struct kwg_tunnel *t, int fd, const char *text)
{
	static const uint8_t from_to[8] = { 10, 9, 0, 2, 10, 9, 0, 1 };
	uint8_t packet[PACKET_MAX], in[PACKET_MAX + KWG_OVERHEAD], out[PACKET_MAX + KWG_OVERHEAD];
	size_t len = make_packet(packet, from_to, 4000, ECHO_PORT, text, strlen(text));
	size_t out_len = sizeof(out);
	enum kwg_tunnel_op op = kwg_tunnel_write(t, packet, len, out, &out_len, NOW, WALL);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t end = NOW + 20 * UINT64_C(1000000000);
	ssize_t n;

	while (NOW < end) {
		if (op == KWG_TUNNEL_DELIVER)
			return out_len == len && !memcmp(out + HEADERS, text, strlen(text));
		if (op == KWG_TUNNEL_SEND && send(fd, out, out_len, 0) < 0)
			perror("send");
		out_len = sizeof(out);
		n = 0;
		if (op == KWG_TUNNEL_DONE && poll(&p, 1, 100) > 0)
			n = recv(fd, in, sizeof(in), 0);
		op = n > 0 ? kwg_tunnel_read(t, in, (size_t)n, out, &out_len, NOW, WALL) :
			     kwg_tunnel_tick(t, out, &out_len, NOW, WALL);
	}
	return false;
}

static void to_hex(char hex[65], const char *base64)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, have = 0, at = 0;

	for (; *base64 && *base64 != '='; base64++) {
		bits = bits << 6 | (unsigned)(strchr(digits, *base64) - digits);
		for (have += 6; have >= 8 && at < 64; have -= 8, at += 2)
			snprintf(hex + at, 3, "%02x", bits >> (have - 8) & 0xff);
	}
}

static int udp_socket(uint16_t port, struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(at, 0, sizeof(*at));
	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at->sin_port = htons(port);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) ||
	    getsockname(fd, (struct sockaddr *)at, &len)) {
		perror("UDP socket");
		exit(1);
	}
	return fd;
}

static int demonstrate(void)
{
	char ours[2][KWG_KEY_TEXT], theirs[2][KWG_KEY_TEXT], hex[2][65];
	struct sockaddr_in service, client;
	int fd = udp_socket(0, &service), mine = udp_socket(0, &client);
	struct kwg_tunnel *t = NULL;
	struct kwg_error err;
	bool ok = false;
	pid_t child;

	if (kwg_genkey(ours[0], &err) || kwg_pubkey(ours[1], ours[0], &err) ||
	    kwg_genkey(theirs[0], &err) || kwg_pubkey(theirs[1], theirs[0], &err))
		return 1;
	to_hex(hex[0], theirs[0]);
	to_hex(hex[1], ours[1]);
	child = fork();
	if (!child)
		_exit(serve(fd, hex[0], hex[1]));
	if (child > 0 && !connect(mine, (struct sockaddr *)&service, sizeof(service)) &&
	    !kwg_tunnel_new(&t, ours[0], theirs[1], NULL, 0, NOW, WALL, &err))
		ok = ask(t, mine, "hello, is anybody there?") && ask(t, mine, "and still there?");
	puts(ok ? "the echo came back twice" : "there was no echo");
	kwg_tunnel_free(t);
	if (child > 0) {
		kill(child, SIGTERM);
		waitpid(child, NULL, 0);
	}
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at;

	if (argc == 1)
		return demonstrate();
	if (argc != 4) {
		fprintf(stderr, "usage: echo [PORT PRIVATE-KEY PEER-PUBLIC-KEY]\n");
		return 1;
	}
	return serve(udp_socket((uint16_t)atoi(argv[1]), &at), argv[2], argv[3]);
}
