/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Numbered packets, for tests that ask what is lost and what leaves in clear.
 *
 * numbers send ADDRESS PORT		one every 2 ms; "sent N refused M" at the end
 * numbers receive ADDRESS PORT		"received N lost L gap G late D" at the end: of the numbers up to
 *					the last one that came those that did not; the longest time, in
 *					ms of the sender, from a packet that came to the next that did
 *					where some were lost between; and the longest way of one
 * numbers spy INTERFACE		"seen N" at the end: frames there that have such a packet in clear;
 *					before it the first one, in hexadecimal
 *
 * Each prints "ready" first, and ends with SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { INTERVAL_NS = 2000000, MAGIC = 24, FRAME_MAX = 65536, BUFFER = 8 << 20 };

static const char magic[MAGIC + 1] = "kilowg numbered packet: ";

struct packet {
	char magic[MAGIC];
	uint64_t number, sent_ns;
};

_Static_assert(sizeof(struct packet) == MAGIC + 16, "no padding");

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "numbers: %s: %s\n", what, strerror(errno));
	return 1;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static int open_udp(const char *address, const char *port, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;
	uint16_t number = htons((uint16_t)strtoul(port, NULL, 10));
	int size = BUFFER, fd;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = number;
		*len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = number;
		*len = sizeof(*v6);
	} else {
		errno = EINVAL;
		return -1;
	}
	fd = socket(ss->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/* How many ticks have passed; 0: to be ended. */
static uint64_t wait_tick(int timer)
{
	uint64_t ticks = 0;

	while (!ended && read(timer, &ticks, sizeof(ticks)) < 0 && errno == EINTR)
		;
	return ended ? 0 : ticks;
}

/* Not connected: an answer of the network must not hold it up. What is missed is made up for. */
static int send_all(int fd, const struct sockaddr_storage *to, socklen_t len)
{
	struct itimerspec every = { { 0, INTERVAL_NS }, { 0, INTERVAL_NS } };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct packet p = { .number = 0 };
	uint64_t refused = 0, ticks;

	memcpy(p.magic, magic, MAGIC);
	if (timer < 0 || timerfd_settime(timer, 0, &every, NULL))
		return fail("timer");
	ready();
	while ((ticks = wait_tick(timer)))
		for (; ticks; ticks--) {
			p.number++;
			p.sent_ns = now_ns();
			if (sendto(fd, &p, sizeof(p), MSG_DONTWAIT, (const struct sockaddr *)to, len) < 0)
				refused++;
		}
	printf("sent %" PRIu64 " refused %" PRIu64 "\n", p.number, refused);
	return 0;
}

struct tally {
	uint64_t received, last, last_ns, gap_ns, late_ns;
};

/* Those that were overtaken have come, too. */
static void count(struct tally *t, const struct packet *p)
{
	uint64_t way = now_ns() - p->sent_ns;

	t->received++;
	if (way > t->late_ns)
		t->late_ns = way;
	if (p->number <= t->last)
		return;
	if (t->last && p->number > t->last + 1 && p->sent_ns - t->last_ns > t->gap_ns)
		t->gap_ns = p->sent_ns - t->last_ns;
	t->last = p->number;
	t->last_ns = p->sent_ns;
}

static int receive_all(int fd, const struct sockaddr_storage *at, socklen_t len)
{
	struct tally t = { 0 };
	struct packet p;

	if (bind(fd, (const struct sockaddr *)at, len))
		return fail("bind");
	ready();
	while (!ended)
		if (recv(fd, &p, sizeof(p), 0) == sizeof(p) && !memcmp(p.magic, magic, MAGIC))
			count(&t, &p);
	printf("received %" PRIu64 " lost %" PRIu64 " gap %" PRIu64 " late %" PRIu64 "\n", t.received,
	       t.last - t.received, t.gap_ns / 1000000, t.late_ns / 1000000);
	return 0;
}

static void print_frame(const char *frame, size_t n)
{
	size_t i;

	printf("frame ");
	for (i = 0; i < n; i++)
		printf("%02x", (unsigned char)frame[i]);
	putchar('\n');
}

static int spy(const char *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(interface) };
	/* Without a protocol, or it would hear all interfaces until it is bound to one. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), size = BUFFER;
	static char frame[FRAME_MAX];
	uint64_t seen = 0;
	ssize_t n;

	if (fd < 0 || !at.sll_ifindex || bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		return fail(interface);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	ready();
	while (!ended) {
		n = recv(fd, frame, sizeof(frame), 0);
		if (n <= 0 || !memmem(frame, (size_t)n, magic, MAGIC))
			continue;
		if (!seen++)
			print_frame(frame, (size_t)n);
	}
	printf("seen %" PRIu64 "\n", seen);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = end };
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	sigaction(SIGTERM, &sa, NULL);
	if (argc == 3 && !strcmp(argv[1], "spy"))
		return spy(argv[2]);
	if (argc != 4) {
		fputs("usage: numbers send|receive ADDRESS PORT | spy INTERFACE\n", stderr);
		return 2;
	}
	fd = open_udp(argv[2], argv[3], &ss, &len);
	if (fd < 0)
		return fail(argv[2]);
	return strcmp(argv[1], "send") ? receive_all(fd, &ss, len) : send_all(fd, &ss, len);
}
