/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What tests/bench/dataplane sends and counts, where iperf3 and ping are not
 * precise enough. Each prints one line of JSON.
 *
 * send ADDRESS PORT SIZE SECONDS   UDP packets with SIZE bytes of payload, one
 *                                  system call each, as fast as it goes
 * sink PORT SIZE SECONDS           counts them: all until there are no more,
 *                                  and those of SECONDS after the first one
 * ping ADDRESS SECONDS MICROSECONDS
 *                                  ICMP echo requests, one every MICROSECONDS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_SIZE = 65507, MIN_SIZE = 8,	/* a sequence number fits */
	BATCH = 64,			/* packets between two looks at the clock */
	FIRST_MS = 5000,		/* how long the sink waits for the first packet */
	QUIET_MS = 300,			/* without packets: the sender has ended */
	SOCKET_BUFFER = 8 << 20,
	MAX_PINGS = 1 << 20,
	PING_DATA = 56,			/* as ping(8) */
	PING_LATE_MS = 1000,
};

static const int64_t NS = 1000000000;

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "dataplane_load: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

static double number(const char *s, double min, double max)
{
	char *end;
	double d = strtod(s, &end);

	if (*end || end == s || d < min || d > max) {
		errno = EINVAL;
		die(s);
	}
	return d;
}

static struct sockaddr_in address(const char *s, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	a.sin_port = htons((uint16_t)number(port, 0, 65535));
	if (inet_pton(AF_INET, s, &a.sin_addr) != 1) {
		errno = EINVAL;
		die(s);
	}
	return a;
}

/* ---- UDP ------------------------------------------------------------- */

static void udp_send(const char *addr, const char *port, const char *size, const char *seconds)
{
	static uint8_t packet[MAX_SIZE];
	struct sockaddr_in to = address(addr, port);
	size_t len = (size_t)number(size, MIN_SIZE, MAX_SIZE);
	int64_t end = now() + (int64_t)(number(seconds, 0, 3600) * 1e9);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t n = 0, refused = 0;

	if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof(to)))
		die("socket");
	do {
		int i;

		for (i = 0; i < BATCH; i++) {
			memcpy(packet, &n, sizeof(n));
			if (send(s, packet, len, 0) == (ssize_t)len)
				n++;
			else if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
				refused++;
			else
				die("send");
		}
	} while (now() < end);
	printf("{\"sent\": %llu, \"refused\": %llu}\n", (unsigned long long)n,
	       (unsigned long long)refused);
}

struct count {
	uint64_t packets, window;	/* all; those within the time */
	uint64_t bad, reordered;	/* of another size; not newer than one before */
	uint64_t newest;
	int64_t start, end;
};

static void count_batch(struct count *c, const struct mmsghdr *msgs, int n, size_t len)
{
	int64_t t = now();
	uint64_t seq;
	int i;

	if (!c->packets) {
		c->end = t + c->end - c->start;
		c->start = t;
	}
	for (i = 0; i < n; i++) {
		memcpy(&seq, msgs[i].msg_hdr.msg_iov->iov_base, sizeof(seq));
		c->bad += msgs[i].msg_len != len;
		c->reordered += c->packets && seq <= c->newest;
		if (seq > c->newest)
			c->newest = seq;
		c->packets++;
		c->window += t <= c->end;
	}
}

static int sink_open(const char *port)
{
	struct sockaddr_in own = address("0.0.0.0", port);
	int s = socket(AF_INET, SOCK_DGRAM, 0), size = SOCKET_BUFFER;

	if (s < 0 || bind(s, (struct sockaddr *)&own, sizeof(own)))
		die("socket");
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return s;
}

static void udp_sink(const char *port, const char *size, const char *seconds)
{
	static uint8_t buf[BATCH][2048];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	size_t len = (size_t)number(size, MIN_SIZE, sizeof(buf[0]));
	struct count c = { .end = (int64_t)(number(seconds, 0, 3600) * 1e9) };
	int64_t window = c.end;
	int s = sink_open(port), i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ buf[i], sizeof(buf[i]) };
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	for (;;) {
		struct pollfd p = { .fd = s, .events = POLLIN };

		n = recvmmsg(s, msgs, BATCH, MSG_DONTWAIT, NULL);
		if (n > 0)
			count_batch(&c, msgs, n, len);
		else if (poll(&p, 1, c.packets ? QUIET_MS : FIRST_MS) == 0)
			break;
	}
	printf("{\"packets\": %llu, \"window\": %llu, \"seconds\": %.9f, \"bad\": %llu, "
	       "\"reordered\": %llu}\n", (unsigned long long)c.packets,
	       (unsigned long long)c.window, (double)window / 1e9, (unsigned long long)c.bad,
	       (unsigned long long)c.reordered);
}

/* ---- ICMP ------------------------------------------------------------ */

struct echo {
	struct icmphdr h;
	int64_t sent;
	uint8_t data[PING_DATA - sizeof(int64_t)];
};

static uint16_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;
	uint16_t word;

	for (; len > 1; p += 2, len -= 2) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~((sum & 0xffff) + (sum >> 16));
}

static void ping_send(int s, const struct sockaddr_in *to, uint16_t id, unsigned seq)
{
	struct echo e = { .h = { .type = ICMP_ECHO } };

	e.h.un.echo.id = id;
	e.h.un.echo.sequence = htons((uint16_t)seq);
	e.sent = now();
	e.h.checksum = checksum(&e, sizeof(e));
	if (sendto(s, &e, sizeof(e), 0, (const struct sockaddr *)to, sizeof(*to)) < 0 &&
	    errno != ENOBUFS)
		die("sending a ping");
}

/* Round trip in ns of the answer that is there; -1 if it is none of ours. */
static int64_t ping_receive(int s, uint16_t id)
{
	uint8_t buf[512];
	struct echo e;
	ssize_t n = recv(s, buf, sizeof(buf), MSG_DONTWAIT);
	int64_t t = now();
	size_t hlen = (size_t)(buf[0] & 15) * 4;

	if (n < (ssize_t)(hlen + sizeof(e)))
		return -1;
	memcpy(&e, buf + hlen, sizeof(e));
	return e.h.type == ICMP_ECHOREPLY && e.h.un.echo.id == id ? t - e.sent : -1;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double at(const int64_t *rtt, size_t n, double part)
{
	return n ? (double)rtt[(size_t)(part * (double)(n - 1))] / 1e3 : 0;
}

/* Sends on time, whatever the answers do. */
static void ping(const char *addr, const char *seconds, const char *interval)
{
	struct sockaddr_in to = address(addr, "0");
	int64_t step = (int64_t)(number(interval, 1, 1e9) * 1e3), next = now(), t, r;
	int64_t end = next + (int64_t)(number(seconds, 0, 3600) * 1e9);
	int64_t *rtt = calloc(MAX_PINGS, sizeof(*rtt));
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	uint16_t id = (uint16_t)getpid();
	size_t n = 0, sent = 0;

	if (s < 0 || !rtt)
		die("ICMP socket");
	for (t = now(); n < MAX_PINGS; t = now()) {
		struct pollfd p = { .fd = s, .events = POLLIN };
		struct timespec left;

		if (t >= next && t < end) {
			ping_send(s, &to, id, (unsigned)sent++);
			next += step;
			continue;
		}
		if (t >= end && (n >= sent || t >= end + PING_LATE_MS * (NS / 1000)))
			break;
		r = (t < end ? next : end + PING_LATE_MS * (NS / 1000)) - t;
		left = (struct timespec){ r / NS, r % NS };
		if (ppoll(&p, 1, &left, NULL) == 1 && (r = ping_receive(s, id)) >= 0)
			rtt[n++] = r;
	}
	qsort(rtt, n, sizeof(*rtt), by_time);
	printf("{\"sent\": %zu, \"answers\": %zu, \"min\": %.1f, \"p50\": %.1f, \"p90\": %.1f, "
	       "\"p99\": %.1f, \"max\": %.1f}\n", sent, n, at(rtt, n, 0), at(rtt, n, 0.5),
	       at(rtt, n, 0.9), at(rtt, n, 0.99), at(rtt, n, 1));
	free(rtt);
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "send"))
		udp_send(argv[2], argv[3], argv[4], argv[5]);
	else if (argc == 5 && !strcmp(argv[1], "sink"))
		udp_sink(argv[2], argv[3], argv[4]);
	else if (argc == 5 && !strcmp(argv[1], "ping"))
		ping(argv[2], argv[3], argv[4]);
	else {
		fprintf(stderr, "usage: dataplane_load send ADDRESS PORT SIZE SECONDS\n"
				"       dataplane_load sink PORT SIZE SECONDS\n"
				"       dataplane_load ping ADDRESS SECONDS MICROSECONDS\n");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
