/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What a worker does with many packets at a time: they go to peers in every order, in all sizes,
 * marked and not, cut by it or not, in turns that are larger than each of its batches.
 *
 * KWG_TEST_ROUNDS: how many random patterns; KWG_TEST_SEED: which ones.
 */
#include "dp/ippacket.h"
#include "plane.h"
#include "userspace/worker.h"
#include "unit.h"

enum {
	TURN = 300,		/* packets: more than KWGI_BATCH and KWGI_UDP_BATCH */
	SMALL = 1300, LARGE = 60000,
	GSO_MIN = 48,		/* the least of Linux' TCP */
};
_Static_assert((int)TURN > KWGI_BATCH && (int)TURN > KWGI_UDP_BATCH, "a turn is more than one batch");

static unsigned rounds = 20;
static uint64_t first_seed = 1;

/* ---- patterns ------------------------------------ */

enum order { ONE_PEER, ALTERNATE, RUNS, RANDOM_PEER, ORDERS };
enum size { EQUAL, RISING, FALLING, RANDOM_SIZE, SIZES };
enum inner { ONLY4, ONLY6, BOTH, INNERS };
enum cut { NONE, SOME, ALL, CUTS };

struct pattern {
	enum order order;
	enum size size;
	enum inner inner;
	enum cut cut;
	bool marks;		/* another TOS each time */
	unsigned n;		/* packets */
};

static unsigned peer_of(const struct pattern *t, unsigned peers, unsigned i, uint64_t *seed)
{
	switch (t->order) {
	case ONE_PEER: return 0;
	case ALTERNATE: return i % peers;
	case RUNS: return i / 7 % peers;
	case RANDOM_PEER: case ORDERS: break;
	}
	return random_below(seed, peers);
}

static uint32_t payload_of(const struct pattern *t, unsigned i, uint64_t *seed)
{
	switch (t->size) {
	case EQUAL: return 200;
	case RISING: return i * 16 % SMALL;
	case FALLING: return SMALL - i * 16 % SMALL;
	case RANDOM_SIZE: case SIZES: break;
	}
	return random_below(seed, SMALL + 1);
}

static struct plane_packet packet_of(const struct pattern *t, const struct plane_options *o,
				     unsigned i, uint64_t *seed)
{
	struct plane_packet p = {
		.peer = peer_of(t, o->peers, i, seed),
		.worker = i / 3 % o->workers,
		.ip6 = t->inner == ONLY6 || (t->inner == BOTH && i % 2),
		.tos = (uint8_t)(t->marks ? i % 4 : 0),
		.payload = payload_of(t, i, seed),
	};

	if (o->offloads && (t->cut == ALL || (t->cut == SOME && i % 9 == 8))) {
		p.gso = GSO_MIN + random_below(seed, SMALL - GSO_MIN);
		p.payload = random_below(seed, LARGE) + 1;
	}
	return p;
}

/* Large reads are fewer: what counts is how many packets they become. */
static unsigned reads_of(const struct pattern *t)
{
	return t->cut == ALL ? t->n / 20 + 1 : t->n;
}

/* All of a pattern in one turn of the workers, out and then in. */
static void play(const struct pattern *t, const struct plane_options *o, uint64_t *seed)
{
	unsigned i;
	struct plane_packet p;

	for (i = 0; i < reads_of(t); i++) {
		p = packet_of(t, o, i, seed);
		plane_send(&p);
	}
	plane_turns();
	for (i = 0; i < t->n; i++) {
		p = packet_of(t, o, i, seed);
		p.gso = 0;
		p.payload %= SMALL + 1;
		plane_answer(&p);
	}
	plane_turns();
}

static void play_all(const struct plane_options *o)
{
	struct pattern t = { .n = TURN };
	uint64_t seed = 1;

	plane_begin(o);
	for (t.order = 0; t.order < ORDERS; t.order++)
		for (t.size = 0; t.size < SIZES; t.size++)
			for (t.inner = 0; t.inner < INNERS; t.inner++) {
				t.cut = t.inner == BOTH ? SOME : NONE;
				t.marks = t.size != EQUAL;
				play(&t, o, &seed);
			}
	plane_end();
}

static struct plane_options options_of(unsigned peers, unsigned workers, bool offloads)
{
	return (struct plane_options){ .peers = peers, .workers = workers, .offloads = offloads };
}

/* ---- tests ------------------------------------ */

/* Two peers in turn: as many bursts as packets, and twice as many packets as bursts fit a call. */
START_TEST(each_packet_is_a_burst)
{
	const struct plane_options o = options_of(2, 1, _i);
	const struct pattern t = { ALTERNATE, RISING, ONLY4, NONE, true, 2 * KWGI_UDP_BATCH };
	uint64_t seed = 1;
	unsigned i;

	plane_begin(&o);
	memset(&plane_count, 0, sizeof(plane_count));
	for (i = 0; i < t.n; i++) {
		struct plane_packet p = packet_of(&t, &o, i, &seed);

		plane_send(&p);
	}
	plane_turns();
	ck_assert_uint_eq(plane_count.messages, t.n);
	ck_assert_uint_eq(plane_count.datagrams, t.n);
	ck_assert_uint_eq(plane_count.most, KWGI_UDP_BATCH);
	plane_end();
}
END_TEST

/* One peer, and as many packets as fit a burst are one message. */
START_TEST(a_flow_is_few_bursts)
{
	const struct plane_options o = options_of(2, 1, true);
	const struct plane_packet p = { .peer = 1, .payload = 64 * 500, .gso = 500 };

	plane_begin(&o);
	memset(&plane_count, 0, sizeof(plane_count));
	plane_send(&p);
	plane_turns();
	ck_assert_uint_eq(plane_count.reads, 1);
	ck_assert_uint_eq(plane_count.datagrams, 64);
	ck_assert_uint_eq(plane_count.messages, 1);
	plane_end();
}
END_TEST

/* The most packets that one turn can have: small ones, and then the one that is cut most often. */
START_TEST(the_longest_turn)
{
	const struct plane_options o = options_of(3, 1, true);
	const struct plane_packet large = { .peer = 2, .payload = 65000, .gso = GSO_MIN };
	struct plane_packet small = { .payload = 8 };
	unsigned i;

	plane_begin(&o);
	for (i = 0; i < KWGI_BATCH - 1; i++) {
		small.peer = i % 2;
		plane_send(&small);
	}
	for (i = 0; i < 3; i++)
		plane_send(&large);
	plane_turns();
	plane_end();
}
END_TEST

/* Peers and offloads; each with one worker and more. */
static const struct { unsigned peers; bool offloads; } planes[] = {
	{ 2, true }, { 3, true }, { PLANE_PEERS, true }, { 3, false },
};
enum { PLANES = N_OF(planes) * PLANE_WORKERS };

START_TEST(every_pattern)
{
	const struct plane_options o = options_of(planes[_i / PLANE_WORKERS].peers,
						  1 + (unsigned)_i % PLANE_WORKERS,
						  planes[_i / PLANE_WORKERS].offloads);

	play_all(&o);
}
END_TEST

static void play_random(uint64_t seed)
{
	static const unsigned peers[] = { 2, 3, 7, 40, PLANE_PEERS };
	struct plane_options o = options_of(peers[random_below(&seed, N_OF(peers))],
					    1 + random_below(&seed, PLANE_WORKERS),
					    random_below(&seed, 4));
	unsigned i;

	plane_begin(&o);
	for (i = 0; i < 10; i++) {
		struct pattern t = {
			.order = random_below(&seed, ORDERS), .size = random_below(&seed, SIZES),
			.inner = random_below(&seed, INNERS), .cut = random_below(&seed, CUTS),
			.marks = random_below(&seed, 2), .n = 1 + random_below(&seed, 3 * TURN),
		};

		plane_set_mtu(1280 + random_below(&seed, 300));
		play(&t, &o, &seed);
		plane_tick(random_below(&seed, 20000) * KWGI_MS);
	}
	plane_end();
}

START_TEST(random_patterns)
{
	play_random(first_seed + (unsigned)_i);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, each_packet_is_a_burst, 0, 2);
	tcase_add_test(tc, a_flow_is_few_bursts);
	tcase_add_test(tc, the_longest_turn);
	tcase_add_loop_test(tc, every_pattern, 0, PLANES);
	tcase_add_loop_test(tc, random_patterns, 0, (int)rounds);
}

int main(void)
{
	const char *s = getenv("KWG_TEST_SEED"), *n = getenv("KWG_TEST_ROUNDS");

	if (s)
		first_seed = strtoull(s, NULL, 10);
	if (n)
		rounds = (unsigned)strtoul(n, NULL, 10);
	printf("# seeds from %llu on, %u of them\n", (unsigned long long)first_seed, rounds);
	fflush(stdout);
	return unit_run("worker", add);
}
