/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What the tables of the userspace WireGuard cost per packet, per handshake
 * and per request, on one core. Fails where a target of the design is missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "dp/allowedips.h"
#include "dp/blake2s.h"
#include "dp/indextable.h"
#include "dp/keymap.h"
#include "dp/ratelimiter.h"
#include "dp/replay.h"
#include "dp/uapi_text.h"

enum { PREFIXES = 20000, PEERS = 10000, INDICES = 1 << 16, ROUNDS = 2000000 };

static bool missed;
static volatile uintptr_t sink;		/* keeps results from being optimised away */

/* Of our own work: others on the machine do not count. */
static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* max: target, 0 if there is none */
static void report(const char *what, double value, const char *unit, double max)
{
	printf("%-52s %9.2f %s\n", what, value, unit);
	if (max > 0 && value > max) {
		printf("    target missed: %.0f %s\n", max, unit);
		missed = true;
	}
}

static void per_round(const char *what, double start)
{
	report(what, (now_ms() - start) * 1e6 / ROUNDS, "ns", 0);
}

/* The same numbers on every run: xorshift64*. */
static uint32_t random_u32(void)
{
	static uint64_t s = 88172645463325252u;

	s ^= s >> 12;
	s ^= s << 25;
	s ^= s >> 27;
	return (uint32_t)(s * 2685821657736338717u >> 32);
}

static void draw(void *ctx, void *out, size_t len)
{
	uint32_t n = random_u32();

	(void)ctx;
	memcpy(out, &n, len);
}

static void need(bool ok)
{
	if (!ok) {
		fprintf(stderr, "no memory, or a wrong result\n");
		exit(EXIT_FAILURE);
	}
}

/* ---- allowed IPs: PREFIXES of one peer of 5000 each, half of them IPv6 --- */

static struct kwgi_prefix nth_prefix(uint32_t i)
{
	struct kwgi_prefix p = { .addr.family = i % 2 ? KWGI_AF_V6 : KWGI_AF_V4 };
	uint8_t *b = p.addr.b;

	b[0] = i % 2 ? 0xfd : 10;
	b[1] = (uint8_t)(i >> 9);
	b[2] = (uint8_t)(i >> 1);
	p.len = i % 2 ? 64 : 24;
	return p;
}

static void allowedips(void)
{
	static struct kwgi_allowedips_list lists[5000];
	struct kwgi_allowedips t = { 0 };
	uint8_t a[16] = { 0xfd };
	struct kwgi_prefix p;
	uint32_t i, n;
	double start;

	for (i = 0; i < 5000; i++)
		kwgi_allowedips_list_init(&lists[i], &lists[i]);
	start = now_ms();
	for (i = 0; i < PREFIXES; i++) {
		p = nth_prefix(i);
		need(!kwgi_allowedips_insert(&t, &p, &lists[i % 5000]));
	}
	report("allowed IPs: 20000 inserted", now_ms() - start, "ms", 200);
	start = now_ms();
	for (i = 0; i < ROUNDS; i++) {
		n = random_u32();
		memcpy(a, (uint8_t[4]){ 10, (uint8_t)(n % 39), (uint8_t)(n >> 8) }, 4);
		sink = (uintptr_t)kwgi_allowedips_lookup4(&t, a);
		need(sink);
	}
	per_round("allowed IPs: IPv4 lookup among 10000", start);
	start = now_ms();
	for (i = 0; i < ROUNDS; i++) {
		n = random_u32();
		memcpy(a, (uint8_t[4]){ 0xfd, (uint8_t)(n % 39), (uint8_t)(n >> 8) }, 4);
		sink = (uintptr_t)kwgi_allowedips_lookup6(&t, a);
		need(sink);
	}
	per_round("allowed IPs: IPv6 lookup among 10000", start);
	start = now_ms();
	for (i = 0; i < 5000; i++)
		kwgi_allowedips_remove_all(&t, &lists[i]);
	report("allowed IPs: 20000 removed peer by peer", now_ms() - start, "ms", 200);
}

/* ---- per packet -------------------------------------------------------- */

static void replay(void)
{
	static struct kwgi_replay r;
	double start = now_ms();
	uint64_t i;

	for (i = 0; i < ROUNDS; i++)
		need(kwgi_replay_check_and_set(&r, i));
	per_round("replay window: in order", start);
	start = now_ms();
	for (i = 0; i < ROUNDS; i++)
		need(kwgi_replay_check_and_set(&r, ROUNDS + (i ^ 7)));
	per_round("replay window: out of order by 7", start);
}

static void indices(void)
{
	static uint32_t index[INDICES];
	struct kwgi_indextable t = { 0 };
	double start;
	uint32_t i;

	for (i = 0; i < INDICES; i++)
		need(!kwgi_indextable_insert(&t, 0, index + i, draw, NULL, &index[i]));
	start = now_ms();
	for (i = 0; i < ROUNDS; i++)
		need(kwgi_indextable_lookup(&t, index[random_u32() % INDICES], NULL) != NULL);
	per_round("indices: lookup of a known one among 65536", start);
	start = now_ms();
	for (i = 0; i < ROUNDS; i++)
		sink = (uintptr_t)kwgi_indextable_lookup(&t, random_u32(), NULL);
	per_round("indices: lookup of an unknown one", start);
	kwgi_indextable_free(&t);
}

/* ---- per handshake ------------------------------------------------------ */

static void keys(void)
{
	static struct kwgi_key key[INDICES];
	const uint8_t seed[KWGI_KEYMAP_SEED] = { 1 };
	struct kwgi_keymap m;
	double start;
	uint32_t i, j;

	kwgi_keymap_init(&m, seed, 0);
	for (i = 0; i < INDICES; i++) {
		for (j = 0; j < 8; j++)
			memcpy(key[i].b + 4 * j, (uint32_t[]){ random_u32() }, 4);
		need(!kwgi_keymap_insert(&m, &key[i]));
	}
	start = now_ms();
	for (i = 0; i < ROUNDS; i++)
		need(kwgi_keymap_lookup(&m, &key[random_u32() % INDICES]) != NULL);
	per_round("peers by key: lookup among 65536", start);
	kwgi_keymap_free(&m);
}

static void limiter(void)
{
	const uint8_t seed[KWGI_RATELIMITER_SEED] = { 1 };
	struct kwgi_addr a = { .family = KWGI_AF_V4 };
	struct kwgi_ratelimiter r;
	double start;
	uint32_t i;

	need(!kwgi_ratelimiter_init(&r, 8192, seed));
	start = now_ms();
	for (i = 0; i < ROUNDS; i++) {
		memcpy(a.b, (uint32_t[]){ random_u32() }, 4);
		sink = kwgi_ratelimiter_allow(&r, &a, i);
	}
	per_round("rate limiter: random sources, table full", start);
	kwgi_ratelimiter_free(&r);
}

static void blake(void)
{
	uint8_t key[KWGI_HASH_LEN] = { 1 }, data[148] = { 2 };
	double start = now_ms();
	uint32_t i;

	for (i = 0; i < ROUNDS / 10; i++)
		kwgi_mac(key, key, sizeof(key), data, 116);
	report("BLAKE2s: mac1 of an initiation", (now_ms() - start) * 1e7 / ROUNDS, "ns", 0);
	start = now_ms();
	for (i = 0; i < ROUNDS / 10; i++)
		kwgi_kdf2(key, data, key, data, 32);
	report("BLAKE2s: KDF2", (now_ms() - start) * 1e7 / ROUNDS, "ns", 0);
}

/* ---- requests ----------------------------------------------------------- */

static void request_text(struct kwgi_buf *b)
{
	uint32_t i, j;

	kwgi_buf_puts(b, "set=1\nreplace_peers=true\n");
	for (i = 0; i < PEERS; i++) {
		kwgi_buf_printf(b, "public_key=%056x%08x\nendpoint=192.0.2.1:51820\n"
				"persistent_keepalive_interval=25\nreplace_allowed_ips=true\n", 1, i);
		for (j = 0; j < 4; j++)
			kwgi_buf_printf(b, j % 2 ? "allowed_ip=fd00:%x:%x::/64\n" :
					"allowed_ip=10.%u.%u.0/24\n", (4 * i + j) >> 8 & 255,
					(4 * i + j) & 255);
	}
	kwgi_buf_puts(b, "\n");
}

static void uapi(void)
{
	struct kwgi_uapi_request r;
	struct kwgi_arena a = { 0 };
	struct kwgi_buf b = { 0 };
	double start, best = 1e9;
	uint32_t i;

	request_text(&b);
	for (i = 0; i < 5; i++) {
		start = now_ms();
		need(!kwgi_uapi_parse(&r, &a, b.p, b.len));
		need(r.set.n_peers == PEERS && r.set.peers[PEERS - 1].n_ips == 5);
		kwgi_arena_free(&a);
		best = now_ms() - start < best ? now_ms() - start : best;
	}
	report("UAPI: set of 10000 peers with 4 allowed IPs read", best, "ms", 50);
	kwgi_buf_free(&b);
}

int main(void)
{
	allowedips();
	replay();
	indices();
	keys();
	limiter();
	blake();
	uapi();
	return missed ? EXIT_FAILURE : EXIT_SUCCESS;
}
