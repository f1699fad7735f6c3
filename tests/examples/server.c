/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A server whose peers come and go while it runs, and that says how each of
 * them is doing: keys, endpoints and counts as values, without any text.
 *
 *     cc server.c $(pkg-config --static --cflags --libs kilowg) -o server
 *     ./server
 *
 * Two clients ping it, one of them with a preshared key; then one is thrown
 * out, and is not answered any more. The network is a call: what the server
 * sends goes to the client at that port, which is its number.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <kilowg.h>

enum { CLIENTS = 2, ROOM = 2048, PACKET = 84 };

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#define NOW clock_ns(CLOCK_BOOTTIME)
#define WALL clock_ns(CLOCK_REALTIME)

struct client {
	struct kwg_tunnel *tunnel;
	uint8_t public_key[KWG_KEY_LEN];
	uint8_t in[ROOM];		/* the last datagram that the server has sent it */
	size_t in_len;
};

static struct client clients[CLIENTS];
static struct kwg_device *server;
static unsigned pings;

/* ---- what the server calls -------------------------------------------------------------- */

static void on_send(void *arg, const struct kwg_endpoint *to, const uint8_t *datagram, size_t len,
		    uint8_t tos)
{
	struct client *c = to->port && to->port <= CLIENTS ? &clients[to->port - 1] : NULL;

	(void)arg, (void)tos;
	if (!c || len > sizeof(c->in))
		return;
	memcpy(c->in, datagram, len);
	c->in_len = len;
}

static void on_deliver(void *arg, const uint8_t *public_key, uint8_t *packet, size_t len)
{
	(void)arg, (void)public_key, (void)packet, (void)len;
	pings++;
}

static void on_event(void *arg, const uint8_t *public_key, enum kwg_event event)
{
	char text[KWG_KEY_TEXT];

	(void)arg;
	if (event == KWG_EVENT_INITIATION_RECEIVED)
		printf("%.8s...: wants to talk\n", kwg_key_text(text, public_key));
	if (event == KWG_EVENT_PEER_REMOVED)
		printf("%.8s...: is gone\n", kwg_key_text(text, public_key));
}

/* ---- statistics --------------------------------------------------------------------------- */

static unsigned show(void)
{
	struct kwg_peer_state s;
	struct kwg_network net;
	char text[KWG_KEY_TEXT];
	unsigned n = 0;
	bool more;

	for (more = kwg_device_next_peer(server, NULL, NOW, &s); more; n++) {
		memset(&net, 0, sizeof(net));
		kwg_device_allowed_ips(server, s.public_key, &net, 1);
		printf("%.8s...: %u.%u.%u.%u/%u%s%s, port %u, %llu bytes in, %llu out\n",
		       kwg_key_text(text, s.public_key), net.addr[0], net.addr[1], net.addr[2], net.addr[3],
		       net.bits, s.has_psk ? ", preshared key" : "", s.has_session ? ", session" : "",
		       s.endpoint.port, (unsigned long long)s.rx_bytes, (unsigned long long)s.tx_bytes);
		more = kwg_device_next_peer(server, s.public_key, NOW, &s);
	}
	return n;
}

/* ---- clients --------------------------------------------------------------------------------- */

static int add_client(unsigned i, const char *server_key, const char *psk, struct kwg_error *err)
{
	struct kwg_network net = { 4, { 10, 0, 0, (uint8_t)(i + 1) }, 32 };
	char private_key[KWG_KEY_TEXT], public_key[KWG_KEY_TEXT];
	struct kwg_peer peer = KWG_PEER_INIT;
	uint8_t raw[KWG_KEY_LEN];
	int ret = kwg_genkey(private_key, err);

	if (!ret)
		ret = kwg_pubkey(public_key, private_key, err);
	if (!ret)
		ret = kwg_key_parse(peer.public_key, public_key, err);
	if (!ret && psk)
		ret = kwg_key_parse(raw, psk, err);
	peer.psk = psk ? raw : NULL;
	peer.allowed_ips = &net;
	peer.n_allowed_ips = 1;
	if (!ret)
		ret = kwg_device_set_peer(server, &peer, NOW, WALL, err);
	memcpy(clients[i].public_key, peer.public_key, KWG_KEY_LEN);
	if (!ret)
		ret = kwg_tunnel_new(&clients[i].tunnel, private_key, server_key, psk, 0, NOW, WALL, err);
	return ret;
}

static void to_server(unsigned i, const uint8_t *datagram, size_t len)
{
	struct kwg_endpoint from = { .family = 4, .addr = { 192, 0, 2, 1 }, .port = (uint16_t)(i + 1) };

	kwg_device_read(server, &from, datagram, len, 0, NOW, WALL);
}

/* A packet, and whatever has to go back and forth for it. */
static void ping(unsigned i)
{
	struct client *c = &clients[i];
	uint8_t packet[PACKET] = { 0x45, 0, 0, PACKET }, out[ROOM];
	size_t len = sizeof(out), in_len;
	enum kwg_tunnel_op op;

	packet[12] = 10;
	packet[15] = (uint8_t)(i + 1);
	op = kwg_tunnel_write(c->tunnel, packet, sizeof(packet), out, &len, NOW, WALL);
	while (op == KWG_TUNNEL_SEND) {
		to_server(i, out, len);
		len = sizeof(out);
		in_len = c->in_len;
		c->in_len = 0;
		op = kwg_tunnel_read(c->tunnel, c->in, in_len, out, &len, NOW, WALL);
	}
}

static int begin(struct kwg_error *err)
{
	struct kwg_device_callbacks cb = KWG_DEVICE_CALLBACKS_INIT;
	char private_key[KWG_KEY_TEXT], public_key[KWG_KEY_TEXT], psk[KWG_KEY_TEXT];
	uint8_t key[KWG_KEY_LEN];
	int ret;

	cb.send = on_send;
	cb.deliver = on_deliver;
	cb.event = on_event;
	ret = kwg_device_new(&server, &cb, err);
	if (!ret)
		ret = kwg_genkey(private_key, err);
	if (!ret)
		ret = kwg_pubkey(public_key, private_key, err);
	if (!ret)
		ret = kwg_genpsk(psk, err);
	if (!ret)
		ret = kwg_key_parse(key, private_key, err);
	if (!ret)
		ret = kwg_device_set_private_key(server, key, NOW, WALL, err);
	if (!ret)
		ret = add_client(0, public_key, NULL, err);
	return ret ? ret : add_client(1, public_key, psk, err);
}

int main(void)
{
	struct kwg_error err;
	bool ok;

	if (begin(&err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	ping(0);
	ping(1);
	ping(1);
	ok = pings == 3 && show() == 2;
	ok = kwg_device_remove_peer(server, clients[0].public_key, NOW, WALL) && ok;
	ping(0);
	ping(1);
	ok = pings == 4 && show() == 1 && ok;
	puts(ok ? "as expected" : "that is not what was expected");
	kwg_tunnel_free(clients[0].tunnel);
	kwg_tunnel_free(clients[1].tunnel);
	kwg_device_free(server);
	return ok ? 0 : 1;
}
