/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * One tunnel in another, as for two hops: what the inner one sends is the
 * content of packets of the outer one.
 *
 *     cc nested.c $(pkg-config --static --cflags --libs kilowg) -o nested
 *     ./nested
 *
 *     client: packet -> inner tunnel -> UDP packet -> outer tunnel -> datagram
 *     relay:                            UDP packet <- outer tunnel <- datagram
 *     server: packet <- inner tunnel <- its payload
 *
 * The relay sees neither the packet nor who it is for inside, and the server
 * not where the client is. All three are in this process, and arrays are the
 * network, so that nothing but the order of calls is shown.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <kilowg.h>

enum {
	HEADERS = 28,				/* IPv4 and UDP */
	INNER_MAX = 1340,			/* 1420 less what the inner tunnel and these add */
	ROOM = INNER_MAX + HEADERS + 2 * KWG_OVERHEAD,
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#define NOW clock_ns(CLOCK_BOOTTIME)
#define WALL clock_ns(CLOCK_REALTIME)

static struct kwg_tunnel *inner[2], *outer[2];	/* [0] of the client, [1] of the server, of the relay */
static uint8_t arrived[INNER_MAX];
static size_t arrived_len;
static unsigned bytes_outside;

/* ---- packets ---------------------------------------------------------------------- */

static void put16(uint8_t *p, size_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

/* Puts headers before a datagram of the inner tunnel. Nobody here looks at checksums. */
static size_t wrap(uint8_t *p, const uint8_t *datagram, size_t len)
{
	static const uint8_t from_to[8] = { 10, 1, 0, 1, 10, 1, 0, 2 };

	memmove(p + HEADERS, datagram, len);
	memset(p, 0, HEADERS);
	p[0] = 0x45;
	p[8] = 64;
	p[9] = 17;
	put16(p + 2, HEADERS + len);
	memcpy(p + 12, from_to, 8);
	put16(p + 20, 51820);
	put16(p + 22, 51820);
	put16(p + 24, 8 + len);
	return HEADERS + len;
}

/* ---- the way of a datagram ---------------------------------------------------------- */

static void act_inner(int side, enum kwg_tunnel_op op, uint8_t *out, size_t len);

/* What to do with what the outer tunnel of a side gives, until it gives nothing more. */
static void act_outer(int side, enum kwg_tunnel_op op, uint8_t *out, size_t len)
{
	uint8_t more[ROOM];
	size_t more_len = sizeof(more);

	if (op == KWG_TUNNEL_SEND) {
		bytes_outside += (unsigned)len;
		op = kwg_tunnel_read(outer[!side], out, len, more, &more_len, NOW, WALL);
		act_outer(!side, op, more, more_len);
	} else if (op == KWG_TUNNEL_DELIVER && len > HEADERS) {
		op = kwg_tunnel_read(inner[side], out + HEADERS, len - HEADERS, more, &more_len, NOW, WALL);
		act_inner(side, op, more, more_len);
	} else {
		return;
	}
	more_len = sizeof(more);
	op = kwg_tunnel_read(outer[side], NULL, 0, more, &more_len, NOW, WALL);
	act_outer(side, op, more, more_len);
}

static void act_inner(int side, enum kwg_tunnel_op op, uint8_t *out, size_t len)
{
	uint8_t packet[ROOM], more[ROOM];
	size_t more_len = sizeof(more);

	if (op == KWG_TUNNEL_SEND) {
		len = wrap(packet, out, len);
		op = kwg_tunnel_write(outer[side], packet, len, more, &more_len, NOW, WALL);
		act_outer(side, op, more, more_len);
	} else if (op == KWG_TUNNEL_DELIVER) {
		memcpy(arrived, out, len);
		arrived_len = len;
	} else {
		return;
	}
	more_len = sizeof(more);
	op = kwg_tunnel_read(inner[side], NULL, 0, more, &more_len, NOW, WALL);
	act_inner(side, op, more, more_len);
}

/* ---- the demonstration ---------------------------------------------------------------- */

static int pair(struct kwg_tunnel *t[2])
{
	char key[2][2][KWG_KEY_TEXT];
	struct kwg_error err;
	int i, ret = 0;

	for (i = 0; i < 2 && !ret; i++) {
		ret = kwg_genkey(key[i][0], &err);
		if (!ret)
			ret = kwg_pubkey(key[i][1], key[i][0], &err);
	}
	for (i = 0; i < 2 && !ret; i++)
		ret = kwg_tunnel_new(&t[i], key[i][0], key[!i][1], NULL, 0, NOW, WALL, &err);
	if (ret)
		fprintf(stderr, "%s\n", err.text);
	return ret;
}

static bool goes_through(size_t len)
{
	uint8_t packet[INNER_MAX], out[ROOM];
	size_t out_len = sizeof(out), i;
	enum kwg_tunnel_op op;

	for (i = 0; i < len; i++)
		packet[i] = (uint8_t)(i * 7);
	packet[0] = 0x45;
	put16(packet + 2, len);
	arrived_len = 0;
	op = kwg_tunnel_write(inner[0], packet, len, out, &out_len, NOW, WALL);
	act_inner(0, op, out, out_len);
	return arrived_len == len && !memcmp(arrived, packet, len);
}

int main(void)
{
	bool ok = !pair(inner) && !pair(outer) && goes_through(100) && goes_through(INNER_MAX);
	unsigned before = bytes_outside;

	ok = ok && goes_through(1000);
	if (ok)
		printf("1000 bytes went through both tunnels, in %u bytes\n", bytes_outside - before);
	else
		puts("they did not come through");
	kwg_tunnel_free(inner[0]);
	kwg_tunnel_free(inner[1]);
	kwg_tunnel_free(outer[0]);
	kwg_tunnel_free(outer[1]);
	return ok ? 0 : 1;
}
