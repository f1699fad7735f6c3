/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Ten thousand tunnels in one loop, behind one UDP socket: a program that
 * speaks for many users, each with keys of his own, to one server.
 *
 *     cc many.c $(pkg-config --static --cflags --libs kilowg) -o many
 *     ./many [TUNNELS]
 *
 * Datagrams of all tunnels come in at the same socket. Which one is meant
 * stands in their index: each tunnel has a prefix for its own, its number, so
 * that a shift finds it (kwg_tunnel_set_index_prefix). When a tunnel is due
 * stands in a heap, so that the loop sleeps until the first one is. The server
 * is a struct kwg_device behind a socket of its own, in the same loop.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <kilowg.h>

enum { TUNNELS = 10000, PREFIX_BITS = 14, ROOM = 2048, PACKET = 60, SECONDS = 300, BUSY = 64 };

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#define NOW clock_ns(CLOCK_BOOTTIME)
#define WALL clock_ns(CLOCK_REALTIME)

/* ---- clients: when is which one due? ----------------------------------------------- */

struct client {
	struct kwg_tunnel *tunnel;
	uint64_t due;
	unsigned at;		/* in the heap */
	bool asked, answered;
};

static struct client *clients, **heap;
static unsigned n_clients, n_answered;
static int client_fd, server_fd;

static void place(unsigned at, struct client *c)
{
	heap[at] = c;
	c->at = at;
}

/* To its place after its time has changed. */
static void sift(struct client *c)
{
	unsigned at = c->at, child;

	for (; at && heap[(at - 1) / 2]->due > c->due; at = (at - 1) / 2)
		place(at, heap[(at - 1) / 2]);
	for (; (child = 2 * at + 1) < n_clients; at = child) {
		if (child + 1 < n_clients && heap[child + 1]->due < heap[child]->due)
			child++;
		if (heap[child]->due >= c->due)
			break;
		place(at, heap[child]);
	}
	place(at, c);
}

/* ---- clients: packets and datagrams ---------------------------------------------------- */

/* From 10.x.y.z, its number, to 10.255.0.1; no protocol (RFC 3692). */
static void make_packet(uint8_t p[PACKET], unsigned from, bool back)
{
	const uint8_t it[4] = { 10, (uint8_t)(from >> 16), (uint8_t)(from >> 8), (uint8_t)from };
	static const uint8_t server[4] = { 10, 255, 0, 1 };

	memset(p, 0, PACKET);
	p[0] = 0x45;
	p[3] = PACKET;
	p[8] = 64;
	p[9] = 253;
	memcpy(p + 12, back ? server : it, 4);
	memcpy(p + 16, back ? it : server, 4);
}

/* Does what the tunnel wants, until it wants nothing more. */
static void act(struct client *c, enum kwg_tunnel_op op, uint8_t *out, size_t len)
{
	for (;;) {
		if (op == KWG_TUNNEL_SEND && send(client_fd, out, len, 0) < 0)
			perror("send");
		if (op == KWG_TUNNEL_DELIVER && !c->answered) {
			c->answered = true;
			n_answered++;
		}
		if (op != KWG_TUNNEL_SEND && op != KWG_TUNNEL_DELIVER)
			break;
		len = ROOM;
		op = kwg_tunnel_read(c->tunnel, NULL, 0, out, &len, NOW, WALL);
	}
	c->due = kwg_tunnel_deadline(c->tunnel);
	sift(c);
}

/* The first packet of a client: begins a handshake, and waits for it. */
static void ask(struct client *c)
{
	uint8_t packet[PACKET], out[ROOM];
	size_t len = sizeof(out);
	enum kwg_tunnel_op op;

	make_packet(packet, (unsigned)(c - clients), false);
	op = kwg_tunnel_write(c->tunnel, packet, PACKET, out, &len, NOW, WALL);
	c->asked = true;
	act(c, op, out, len);
}

static void on_client_datagram(void)
{
	uint8_t in[ROOM], out[ROOM];
	size_t len = sizeof(out);
	ssize_t n = recv(client_fd, in, sizeof(in), MSG_DONTWAIT);
	uint32_t i = n < 0 ? UINT32_MAX : kwg_datagram_index(in, (size_t)n) >> (32 - PREFIX_BITS);
	enum kwg_tunnel_op op;

	if (i >= n_clients)
		return;
	op = kwg_tunnel_read(clients[i].tunnel, in, (size_t)n, out, &len, NOW, WALL);
	act(&clients[i], op, out, len);
}

/* Returns for how many ms nothing is due. */
static int tick(void)
{
	enum kwg_tunnel_op op;
	uint64_t now = NOW;
	uint8_t out[ROOM];
	size_t len;

	while (heap[0]->due <= now) {
		len = sizeof(out);
		op = kwg_tunnel_tick(heap[0]->tunnel, out, &len, now, WALL);
		act(heap[0], op, out, len);
	}
	return heap[0]->due - now > 1000000000 ? 1000 : (int)((heap[0]->due - now) / 1000000) + 1;
}

/* ---- the server ----------------------------------------------------------------------- */

static struct kwg_device *server;
static unsigned answer_to = UINT32_MAX;		/* until the device may be called again */

static void on_send(void *arg, const struct kwg_endpoint *to, const uint8_t *datagram, size_t len,
		    uint8_t tos)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(to->port) };

	(void)arg, (void)tos;
	memcpy(&a.sin_addr, to->addr, sizeof(a.sin_addr));
	if (sendto(server_fd, datagram, len, 0, (struct sockaddr *)&a, sizeof(a)) < 0)
		perror("sendto");
}

static void on_deliver(void *arg, const uint8_t *public_key, uint8_t *p, size_t len)
{
	(void)arg, (void)public_key;
	if (len >= 20)
		answer_to = (unsigned)(p[13] << 16 | p[14] << 8 | p[15]);
}

static void on_server_datagram(void)
{
	struct kwg_endpoint from = { .family = 4 };
	uint8_t in[ROOM], packet[PACKET];
	struct sockaddr_in a;
	socklen_t alen = sizeof(a);
	ssize_t n = recvfrom(server_fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&a, &alen);

	if (n < 0)
		return;
	memcpy(from.addr, &a.sin_addr, sizeof(a.sin_addr));
	from.port = ntohs(a.sin_port);
	answer_to = UINT32_MAX;
	kwg_device_read_in_place(server, &from, in, (size_t)n, 0, NOW, WALL);
	if (answer_to == UINT32_MAX)
		return;
	make_packet(packet, answer_to, true);
	kwg_device_write(server, packet, PACKET, NOW, WALL);
}

/* ---- beginning, and the loop -------------------------------------------------------------- */

static int udp_socket(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20;

	memset(at, 0, sizeof(*at));
	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) ||
	    getsockname(fd, (struct sockaddr *)at, &len)) {
		perror("UDP socket");
		exit(1);
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/* Client i of the server, and the server's peer. */
static int add_client(unsigned i, const char *server_key, struct kwg_error *err)
{
	struct kwg_network net = { 4, { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }, 32 };
	char private_key[KWG_KEY_TEXT], public_key[KWG_KEY_TEXT];
	struct kwg_peer peer = KWG_PEER_INIT;
	int ret = kwg_genkey(private_key, err);

	if (!ret)
		ret = kwg_pubkey(public_key, private_key, err);
	if (!ret)
		ret = kwg_key_parse(peer.public_key, public_key, err);
	peer.allowed_ips = &net;
	peer.n_allowed_ips = 1;
	if (!ret)
		ret = kwg_device_set_peer(server, &peer, NOW, WALL, err);
	if (!ret)
		ret = kwg_tunnel_new(&clients[i].tunnel, private_key, server_key, NULL, 0, NOW, WALL, err);
	if (!ret)
		ret = kwg_tunnel_set_index_prefix(clients[i].tunnel, i, PREFIX_BITS, err);
	clients[i].due = UINT64_MAX;
	place(i, &clients[i]);
	return ret;
}

static int begin(struct kwg_error *err)
{
	struct kwg_device_callbacks cb = KWG_DEVICE_CALLBACKS_INIT;
	char private_key[KWG_KEY_TEXT], public_key[KWG_KEY_TEXT];
	uint8_t key[KWG_KEY_LEN];
	unsigned i;
	int ret;

	cb.send = on_send;
	cb.deliver = on_deliver;
	ret = kwg_device_new(&server, &cb, err);
	if (!ret)
		ret = kwg_genkey(private_key, err);
	if (!ret)
		ret = kwg_pubkey(public_key, private_key, err);
	if (!ret)
		ret = kwg_key_parse(key, private_key, err);
	if (!ret)
		ret = kwg_device_set_private_key(server, key, NOW, WALL, err);
	for (i = 0; i < n_clients && !ret; i++)
		ret = add_client(i, public_key, err);
	return ret;
}

static void add_to(int loop, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e)) {
		perror("epoll_ctl");
		exit(1);
	}
}

/* Until each client has its answer. Not all begin at once, or a server has to think of an attack. */
static void run(void)
{
	uint64_t end = NOW + SECONDS * UINT64_C(1000000000);
	int loop = epoll_create1(EPOLL_CLOEXEC), i, n, ms;
	struct epoll_event e[2];
	unsigned next = 0;

	add_to(loop, client_fd);
	add_to(loop, server_fd);
	while (n_answered < n_clients && NOW < end) {
		while (next < n_clients && next < n_answered + BUSY)
			ask(&clients[next++]);
		ms = tick();
		kwg_device_tick(server, NOW, WALL);
		n = epoll_wait(loop, e, 2, ms);
		for (i = 0; i < n; i++)
			e[i].data.fd == client_fd ? on_client_datagram() : on_server_datagram();
	}
	close(loop);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at, ours;
	struct kwg_error err;
	unsigned i;

	n_clients = argc > 1 ? (unsigned)atoi(argv[1]) : TUNNELS;
	if (!n_clients || n_clients > 1 << PREFIX_BITS) {
		fprintf(stderr, "usage: many [TUNNELS], up to %d\n", 1 << PREFIX_BITS);
		return 1;
	}
	clients = calloc(n_clients, sizeof(*clients));
	heap = calloc(n_clients, sizeof(*heap));
	server_fd = udp_socket(&at);
	client_fd = udp_socket(&ours);
	if (!clients || !heap || connect(client_fd, (struct sockaddr *)&at, sizeof(at)))
		return 1;
	if (begin(&err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	run();
	printf("%u of %u tunnels have their answer\n", n_answered, n_clients);
	for (i = 0; i < n_clients; i++)
		kwg_tunnel_free(clients[i].tunnel);
	kwg_device_free(server);
	free(clients);
	free(heap);
	return n_answered == n_clients ? 0 : 1;
}
