/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A tunnel in its simplest form: two processes with nothing between them but a
 * socketpair, and one pings the other through WireGuard.
 *
 *     cc ping.c $(pkg-config --static --cflags --libs kilowg) -o ping
 *     ./ping
 *
 * Each end owns one struct kwg_tunnel and one loop: what comes from the socket
 * goes into kwg_tunnel_read(), what the host has to say into
 * kwg_tunnel_write(), and kwg_tunnel_tick() is called when it is due. Whatever
 * they give back is either a datagram for the socket or a packet for the host.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kilowg.h>

enum { PINGS = 3, HEADERS = 28, PACKET_MAX = 1420, ECHO_REPLY = 0, ECHO_REQUEST = 8 };

struct end {
	struct kwg_tunnel *tunnel;
	int fd;
	bool answers;		/* the far end; the near one counts answers */
	int answered;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#define NOW clock_ns(CLOCK_BOOTTIME)
#define WALL clock_ns(CLOCK_REALTIME)

/* ---- what the host says and hears ---------------------------------------------- */

/* RFC 1071 */
static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint16_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

/* An IPv4 packet with an ICMP message; from and to are the last byte of 10.0.0.x. */
static size_t make_ping(uint8_t *p, uint8_t type, uint8_t from, uint8_t to, uint16_t number)
{
	memset(p, 0, HEADERS);
	p[0] = 0x45;
	put16(p + 2, HEADERS);
	p[8] = 64;
	p[9] = 1;
	memcpy(p + 12, (uint8_t[]){ 10, 0, 0, from, 10, 0, 0, to }, 8);
	put16(p + 10, checksum(p, 20));
	p[20] = type;
	put16(p + 26, number);
	put16(p + 22, checksum(p + 20, 8));
	return HEADERS;
}

static void act(struct end *e, enum kwg_tunnel_op op, uint8_t *out, size_t len);

static void say(struct end *e, uint8_t type, uint16_t number)
{
	uint8_t packet[HEADERS], out[PACKET_MAX + KWG_OVERHEAD];
	size_t len = make_ping(packet, type, e->answers ? 2 : 1, e->answers ? 1 : 2, number);
	size_t out_len = sizeof(out);
	enum kwg_tunnel_op op;

	op = kwg_tunnel_write(e->tunnel, packet, len, out, &out_len, NOW, WALL);
	act(e, op, out, out_len);
}

static void hear(struct end *e, const uint8_t *p, size_t len)
{
	uint16_t number;

	if (len < HEADERS || p[9] != 1)
		return;
	number = (uint16_t)(p[26] << 8 | p[27]);
	if (e->answers && p[20] == ECHO_REQUEST) {
		say(e, ECHO_REPLY, number);
	} else if (!e->answers && p[20] == ECHO_REPLY) {
		printf("%zu bytes from 10.0.0.%u: seq=%u\n", len, p[15], number);
		e->answered++;
	}
}

/* ---- the loop ------------------------------------------------------------------------ */

/* Does what the tunnel wants, until it wants nothing more. */
static void act(struct end *e, enum kwg_tunnel_op op, uint8_t *out, size_t len)
{
	uint8_t more[PACKET_MAX + KWG_OVERHEAD];

	if (op == KWG_TUNNEL_SEND && send(e->fd, out, len, 0) < 0)
		perror("send");
	else if (op == KWG_TUNNEL_DELIVER)
		hear(e, out, len);
	while (op != KWG_TUNNEL_DONE) {
		len = sizeof(more);
		op = kwg_tunnel_read(e->tunnel, NULL, 0, more, &len, NOW, WALL);
		if (op == KWG_TUNNEL_SEND && send(e->fd, more, len, 0) < 0)
			perror("send");
	}
}

/* Milliseconds until the tunnel wants to be called, at most 1 s. */
static int patience(const struct end *e)
{
	uint64_t now = NOW, deadline = kwg_tunnel_deadline(e->tunnel);

	if (deadline <= now)
		return 0;
	return deadline - now > 1000000000 ? 1000 : (int)((deadline - now) / 1000000 + 1);
}

/* One turn; false when the other end has gone. */
static bool turn(struct end *e)
{
	struct pollfd p = { .fd = e->fd, .events = POLLIN };
	uint8_t in[PACKET_MAX + KWG_OVERHEAD], out[sizeof(in)];
	size_t out_len = sizeof(out);
	enum kwg_tunnel_op op;
	ssize_t n;

	poll(&p, 1, patience(e));
	op = kwg_tunnel_tick(e->tunnel, out, &out_len, NOW, WALL);
	act(e, op, out, out_len);
	if (!p.revents)
		return true;
	n = recv(e->fd, in, sizeof(in), 0);
	if (n <= 0)
		return false;
	out_len = sizeof(out);
	op = kwg_tunnel_read(e->tunnel, in, (size_t)n, out, &out_len, NOW, WALL);
	act(e, op, out, out_len);
	return true;
}

/* ---- both ends -------------------------------------------------------------------------- */

static int far_end(struct end *e)
{
	while (turn(e))
		;
	return 0;
}

static int near_end(struct end *e)
{
	uint64_t end = NOW + 30 * UINT64_C(1000000000);
	struct kwg_tunnel_stats stats;
	int i;

	for (i = 1; i <= PINGS; i++) {
		say(e, ECHO_REQUEST, (uint16_t)i);
		while (e->answered < i && NOW < end)
			turn(e);
	}
	kwg_tunnel_stats(e->tunnel, NOW, &stats);
	printf("%d of %d answered, %llu bytes out, %llu in\n", e->answered, PINGS,
	       (unsigned long long)stats.tx_bytes, (unsigned long long)stats.rx_bytes);
	return e->answered == PINGS ? 0 : 1;
}

/* Each end knows its own private key, the other's public key, and what both share. */
static int run(int fd, bool answers, char keys[2][2][KWG_KEY_TEXT], const char *psk)
{
	struct end e = { .fd = fd, .answers = answers };
	struct kwg_error err;
	int ret = kwg_tunnel_new(&e.tunnel, keys[answers][0], keys[!answers][1], psk, 0, NOW, WALL,
				 &err);

	if (ret)
		fprintf(stderr, "%s\n", err.text);
	else
		ret = answers ? far_end(&e) : near_end(&e);
	kwg_tunnel_free(e.tunnel);
	close(fd);
	return ret ? 1 : 0;
}

int main(void)
{
	char keys[2][2][KWG_KEY_TEXT], psk[KWG_KEY_TEXT];	/* [end][private, public] */
	struct kwg_error err;
	int i, ret, fd[2];
	pid_t child;

	for (i = 0; i < 2; i++)
		if (kwg_genkey(keys[i][0], &err) || kwg_pubkey(keys[i][1], keys[i][0], &err))
			return 1;
	if (kwg_genpsk(psk, &err) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd))
		return 1;
	child = fork();
	if (child < 0)
		return 1;
	close(fd[child ? 1 : 0]);
	ret = run(fd[child ? 0 : 1], !child, keys, psk);
	if (child)
		waitpid(child, NULL, 0);
	return ret;
}
