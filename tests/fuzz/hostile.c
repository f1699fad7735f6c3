/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * hostile COUNT [SEED]: so many random and changed datagrams against a device
 * that has a session. None may be answered, delivered or change anything, memory may
 * not grow, and the session goes on. Meant to be built with --enable-sanitizers.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dp/device.h"
#include "dp/ippacket.h"

enum { ROOM = 2048, KEPT = 4, PER_SESSION = 10000, INNER = 100 };

struct side {
	struct kwgi_device *d;
	struct kwgi_key private_key, public_key;
	struct kwgi_path at;
	uint8_t last[ROOM];
	size_t last_len;
	unsigned sent;
};

static struct side a, b;
static struct kwgi_time t = { .now = 1000 * KWGI_SECOND, .wall = 1700000000 * KWGI_SECOND };
/* Real messages, as they have been on the wire, to be changed. */
static uint8_t kept[KEPT][ROOM];
static size_t kept_len[KEPT];
static uint64_t seed = 1;

static uint32_t number(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((seed >> 32) % below);
}

static void io_random(void *arg, void *out, size_t len)
{
	uint8_t *p = out;

	(void)arg;
	while (len--)
		*p++ = (uint8_t)number(256);
}

static void io_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	struct side *s = arg;

	(void)to;
	(void)tos;
	s->sent++;
	s->last_len = len < ROOM ? len : ROOM;
	memcpy(s->last, msg, s->last_len);
}

static void side_open(struct side *s, uint8_t last)
{
	const struct kwgi_device_io io = { .arg = s, .random = io_random, .send = io_send };

	io_random(s, &s->private_key, sizeof(s->private_key));
	kwgi_key_clamp(&s->private_key);
	kwgi_key_public(&s->public_key, &s->private_key);
	s->at = (struct kwgi_path){ .family = 4, .addr = { 192, 0, 2, last }, .port = 51820 };
	s->d = kwgi_device_new(&io, kwgi_aead_best());
	if (!s->d)
		exit(2);
	kwgi_device_set_private_key(s->d, &s->private_key);
}

static void befriend(struct side *s, struct side *other, uint8_t last)
{
	struct kwgi_dp_peer *p = kwgi_device_add(s->d, &other->public_key);
	struct kwgi_prefix ip = { .addr = { .family = 4, .b = { 10, 0, 0, last } }, .len = 32 };

	if (!p || kwgi_allowedips_insert(&s->d->allowed_ips, &ip, &p->allowed_ips))
		exit(2);
	kwgi_peer_set_path(p, &other->at);
	kwgi_device_set_up(s->d, true, &t);
}

static enum kwgi_receive_status give(struct side *s, const struct kwgi_path *from, uint8_t *msg,
				     size_t len, uint8_t tos)
{
	struct kwgi_incoming in = { .message = msg, .message_len = (uint32_t)len, .from = from,
				    .tos = tos };

	return kwgi_device_receive(s->d, &in, &t);
}

/* Keeps what a side has sent last, and hands it over. */
static enum kwgi_receive_status pass(struct side *from, struct side *to, unsigned slot)
{
	uint8_t msg[ROOM];

	memcpy(kept[slot], from->last, from->last_len);
	kept_len[slot] = from->last_len;
	memcpy(msg, from->last, from->last_len);
	return give(to, &from->at, msg, from->last_len, 0);
}

/* A packet from a to b; is it there? */
static bool packet_arrives(void)
{
	uint8_t room[ROOM] = { 0 }, *p = room + 16;

	p[0] = 0x45;
	p[3] = INNER;
	memcpy(p + 12, (uint8_t[]){ 10, 0, 0, 1, 10, 0, 0, 2 }, 8);
	return kwgi_device_send(a.d, p, INNER, &t) == KWGI_SEND_NOW &&
	       pass(&a, &b, 3) == KWGI_RECEIVED_PACKET;
}

/* A new session, and the messages that made it. */
static bool begin_session(void)
{
	uint8_t room[ROOM] = { 0 }, *p = room + 16;

	t.now += 200 * KWGI_SECOND;
	t.wall += 200 * KWGI_SECOND;
	p[0] = 0x45;
	p[3] = INNER;
	memcpy(p + 12, (uint8_t[]){ 10, 0, 0, 1, 10, 0, 0, 2 }, 8);
	kwgi_device_send(a.d, p, INNER, &t);
	pass(&a, &b, 0);
	pass(&b, &a, 1);
	return pass(&a, &b, 3) == KWGI_RECEIVED_PACKET && packet_arrives();
}

static size_t change(uint8_t *msg, size_t len)
{
	unsigned n = 1 + number(8);

	while (n--)
		msg[number((uint32_t)len)] = (uint8_t)number(256);
	if (!number(4))
		len = number(ROOM);
	return len;
}

/* A right mac1, so that it gets as far as the cryptography. */
static void repair_mac1(uint8_t *msg, size_t len)
{
	struct kwgi_cookie_maker m = { 0 };

	if (len < sizeof(struct kwgi_macs))
		return;
	kwgi_cookie_keys(m.mac1_key, m.cookie_key, &b.public_key);
	kwgi_cookie_add_macs(&m, msg, len, t.now);
}

static size_t make(uint8_t *msg)
{
	unsigned slot = number(KEPT + 1);
	size_t len = slot < KEPT ? kept_len[slot] : 0;

	if (!len) {
		len = number(ROOM);
		io_random(NULL, msg, len < 64 ? len : 64);
		if (len >= 4 && number(2))
			kwgi_put32(msg, 1 + number(4));
	} else {
		memcpy(msg, kept[slot], len);
		/* Now and then as it was: a replay. */
		len = number(50) ? change(msg, len) : len;
	}
	if (!number(64))
		repair_mac1(msg, len);
	return len;
}

/* Bytes that are allocated; the sanitizers have an allocator of their own. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
#ifdef HAVE_MALLINFO2
	return mallinfo2().uordblks;
#else
	return 0;	/* nobody counts: only effects are seen */
#endif
}

/* One datagram. False, and it is shown, if it had an effect. */
static bool strike(void)
{
	/* In memory of its own length, so that a byte read behind it is found. */
	static uint8_t msg[ROOM];
	struct kwgi_path from = { .family = 4, .addr = { 203, 0, 113, (uint8_t)number(256) },
				  .port = (uint16_t)number(65536) };
	struct kwgi_dp_peer *p = kwgi_device_find(b.d, &a.public_key);
	uint64_t received = p->rx_bytes;
	unsigned sent = b.sent;
	size_t i, len = make(msg);
	uint8_t *copy = malloc(len ? len : 1);
	enum kwgi_receive_status status;

	if (!copy)
		exit(2);
	memcpy(copy, msg, len);
	/* 10,000 s for 10 million: never so many at once that it is load. */
	t.now += KWGI_MS;
	status = give(&b, &from, copy, len, (uint8_t)number(256));
	free(copy);
	if (b.sent == sent && p->rx_bytes == received && status != KWGI_RECEIVED_PACKET &&
	    status != KWGI_RECEIVED_KEEPALIVE && p->path.addr[0] == 192)
		return true;
	printf("# status %d, %u sent, %zu bytes:", (int)status, b.sent - sent, len);
	for (i = 0; i < len && i < 160; i++)
		printf(" %02x", msg[i]);
	printf("\n");
	return false;
}

int main(int argc, char **argv)
{
	unsigned long i, count = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000, wrong = 0;
	unsigned long sessions = 0, lost = 0;
	size_t before = 0, after;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	if (sodium_init() < 0)
		return 2;
	side_open(&a, 1);
	side_open(&b, 2);
	befriend(&a, &b, 2);
	befriend(&b, &a, 1);
	for (i = 0; i < count && wrong < 10; i++) {
		if (i % PER_SESSION == 0) {
			lost += i && !packet_arrives();
			lost += !begin_session();
			sessions++;
		}
		if (i == PER_SESSION)
			before = allocated();
		wrong += !strike();
	}
	after = allocated();
	lost += !packet_arrives();
	printf("1..3\n%s 1 - %lu random and changed datagrams: none has an effect\n",
	       wrong ? "not ok" : "ok", i);
	printf("%s 2 - %lu sessions go on\n", lost ? "not ok" : "ok", sessions);
	printf("%s 3 - memory does not grow: %zu bytes, then %zu\n",
	       after > before + 4096 ? "not ok" : "ok", before, after);
	kwgi_device_free(a.d);
	kwgi_device_free(b.d);
	return wrong || lost || after > before + 4096;
}
