/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Thousands of connections over networks that lose, delay, reorder and double
 * datagrams, with links that go down, addresses that change and wall clocks that
 * jump, in virtual time. Whatever happens:
 *
 *  - no counter is used twice with one key, and no key by both sides;
 *  - no packet is accepted twice;
 *  - a session is used for less than 180 s, and its keys are gone at 540 s;
 *  - once the network is well again, traffic flows again in both directions.
 *
 * KWG_TEST_SEED repeats or changes a run, KWG_TEST_CONNECTIONS its size.
 *
 * All is real but the curve: X25519 would take four fifths of the time, and
 * has tests of its own.
 */
#include <sodium.h>

#include "dp/protocol.h"
#include "wire.h"
/* After wire.h, which says what unit.h has to leave out. */
#include "vectors.h"

enum { CONNECTIONS = 10000, BATCHES = 20, FLIGHTS = 512, KEYS = 4096, PACKETS = 65536 };

#define S KWGI_SECOND
#define MS KWGI_MS

/* A datagram on its way. */
struct flight {
	uint64_t arrives;
	unsigned from;
	struct kwgi_path source;
	struct datagram g;
};

struct used_key {
	uint8_t begin[8];
	unsigned owner;
	uint64_t counter;
};

struct network {
	uint64_t seed;
	uint32_t loss, twice;		/* of 1000 */
	uint64_t delay, jitter;
	uint64_t dark_until;		/* nothing arrives before */
	struct flight *v;
	unsigned n;
};

static struct wire w;
static struct network net;
static struct used_key *keys;
static unsigned n_keys;
static uint8_t *seen[2];
static uint32_t next_packet;
static unsigned connection;
static uint64_t total_accepted, total_sessions, total_lost, total_hours;

/* Not ck_assert_msg(), which writes to a file each time. */
#define hold(x) do { \
	if (!(x)) \
		ck_abort_msg("connection %u, at %.3f s: %s", connection, (double)w.t.now / 1e9, #x); \
} while (0)

/* ---- a curve for tests ----------------------------------------------------------- */

/* Diffie and Hellman's own group, of a prime that is far too small; four of it. */
#define PRIME ((UINT64_C(1) << 31) - 1)

static uint32_t power(uint64_t base, uint32_t n)
{
	uint64_t r = 1;

	for (base %= PRIME; n; n >>= 1) {
		if (n & 1)
			r = r * base % PRIME;
		base = base * base % PRIME;
	}
	return (uint32_t)r;
}

/* In place of libsodium's, by the linker's --wrap, which a static libsodium takes, too. */
int __wrap_crypto_scalarmult_curve25519(unsigned char *q, const unsigned char *n,
					const unsigned char *p);
int __wrap_crypto_scalarmult_curve25519_base(unsigned char *q, const unsigned char *n);
int __wrap_crypto_scalarmult_base(unsigned char *q, const unsigned char *n);

int __wrap_crypto_scalarmult_curve25519(unsigned char *q, const unsigned char *n,
					const unsigned char *p)
{
	unsigned i;

	memset(q + 16, 0, 16);
	for (i = 0; i < 16; i += 4)
		kwgi_put32(q + i, power(kwgi_get32(p + i), kwgi_get32(n + i)));
	return 0;
}

int __wrap_crypto_scalarmult_curve25519_base(unsigned char *q, const unsigned char *n)
{
	static const unsigned char generator[32] = { 37, [4] = 38, [8] = 39, [12] = 40 };

	return __wrap_crypto_scalarmult_curve25519(q, n, generator);
}

int __wrap_crypto_scalarmult_base(unsigned char *q, const unsigned char *n)
{
	return __wrap_crypto_scalarmult_curve25519_base(q, n);
}

/* ---- numbers ------------------------------------------------------------------------ */

static uint64_t below(uint64_t n)
{
	uint64_t r = (uint64_t)random_u32(&net.seed) << 32 | random_u32(&net.seed);

	return n ? r % n : 0;
}

static struct kwgi_dp_peer *other(unsigned host)
{
	return w.h[host].d->first;
}

/* ---- invariants -------------------------------------------------------------------- */

/* A transport message that host has just sent: with its current session. */
static void check_sent(unsigned host, const struct datagram *g)
{
	const struct kwgi_keypair *kp = other(host)->current;
	uint64_t counter = kwgi_get64(g->data + 8);
	unsigned i;

	hold(kp && kp->remote_index == kwgi_get32(g->data + 4));
	hold(w.t.now - kp->created < 180 * S);
	hold(kp->may_send);
	for (i = n_keys; i && memcmp(keys[i - 1].begin, kp->send_key.b, 8); i--)
		;
	if (!i) {
		hold(n_keys < KEYS);
		hold(counter == 0);
		memcpy(keys[n_keys].begin, kp->send_key.b, 8);
		keys[n_keys].owner = host;
		keys[n_keys++].counter = 0;
		return;
	}
	hold(keys[i - 1].owner == host);
	hold(counter > keys[i - 1].counter);
	keys[i - 1].counter = counter;
}

static void check_accepted(unsigned host, uint64_t created)
{
	uint32_t n;

	hold(w.h[host].last_len == 32);
	memcpy(&n, w.h[host].last + 20, sizeof(n));
	hold(w.t.now - created < 180 * S);
	hold(n < PACKETS);
	hold(!(seen[host][n / 8] & 1 << n % 8));
	seen[host][n / 8] |= (uint8_t)(1 << n % 8);
	total_accepted++;
}

/* No key lives longer than 540 s from the last session on, nor are there more than three. */
static void check_keys(unsigned host)
{
	const struct kwgi_dp_peer *p = other(host);
	const struct kwgi_keypair *kp[3] = { p->current, p->previous, p->next_pair };
	uint64_t newest = 0;
	uint32_t live = p->handshake_indexed;
	unsigned i;

	for (i = 0; i < 3; i++) {
		live += !!kp[i];
		if (kp[i] && kp[i]->created > newest)
			newest = kp[i]->created;
	}
	hold(w.h[host].d->indices.table.n == live);
	hold(!newest || w.t.now - newest < 540 * S);
	hold(p->staged_count <= KWGI_STAGED_MAX);
}

/* ---- the network --------------------------------------------------------------------- */

static void fly(unsigned from, const struct datagram *g)
{
	struct flight *f;

	if (below(1000) < net.loss || net.n == FLIGHTS) {
		total_lost++;
		return;
	}
	f = &net.v[net.n++];
	f->arrives = w.t.now + net.delay + below(net.jitter + 1);
	f->from = from;
	f->source = w.h[from].at;
	f->g = *g;
}

/* What the hosts have said goes into the network. */
static void collect(void)
{
	struct datagram *g;
	unsigned i;

	for (i = 0; i < 2; i++) {
		while ((g = take(&w.h[i]))) {
			if (kwgi_get32(g->data) == KWGI_MSG_TRANSPORT)
				check_sent(i, g);
			fly(i, g);
			if (below(1000) < net.twice)
				fly(i, g);
		}
		/* From the start again, so that little memory is touched. */
		w.h[i].out_head = w.h[i].out_tail = 0;
		check_keys(i);
	}
}

static unsigned first_flight(void)
{
	unsigned i, first = 0;

	for (i = 1; i < net.n; i++)
		if (net.v[i].arrives < net.v[first].arrives)
			first = i;
	return first;
}

static void land(unsigned i)
{
	struct flight *f = &net.v[i];
	unsigned to = !f->from;
	bool transport = kwgi_get32(f->g.data) == KWGI_MSG_TRANSPORT;
	const struct kwgi_keypair *kp =
		transport ? kwgi_session(w.h[to].d, kwgi_get32(f->g.data + 4)) : NULL;
	uint64_t created = kp ? kp->created : 0;

	if (w.t.now < net.dark_until)
		total_lost++;
	else if (give_from(&w, to, &f->g, &f->source) == KWGI_RECEIVED_PACKET)
		check_accepted(to, created);
	net.v[i] = net.v[--net.n];
	collect();
}

static void speak(unsigned from)
{
	if (next_packet == PACKETS)
		return;
	say(&w, from, !from, next_packet++);
	collect();
}

/* Runs to a time; every datagram and timer in its order. */
static void pass_until(uint64_t end)
{
	unsigned i, f;
	uint64_t next;

	for (;;) {
		next = first_deadline(&w);
		f = first_flight();
		if (net.n && net.v[f].arrives <= next)
			next = net.v[f].arrives;
		if (next > end)
			break;
		if (next > w.t.now) {
			w.t.wall += next - w.t.now;
			w.t.now = next;
		}
		if (net.n && net.v[f].arrives <= w.t.now) {
			land(f);
			continue;
		}
		for (i = 0; i < 2; i++)
			hold(kwgi_timers_run(w.h[i].d, &w.t) > w.t.now);
		collect();
	}
	w.t.wall += end - w.t.now;
	w.t.now = end;
}

/* ---- what happens ---------------------------------------------------------------------- */

static void new_weather(void)
{
	net.loss = below(4) ? (uint32_t)below(100) : (uint32_t)below(700);
	net.twice = below(3) ? 0 : (uint32_t)below(300);
	net.delay = below(200) * MS;
	net.jitter = below(3) ? 0 : below(3000) * MS;
}

/* One of the two says something, the other may answer, for a while. */
static void chat(uint64_t end)
{
	unsigned from = (unsigned)below(2), answers = (unsigned)below(3);
	uint64_t pace = below(3) ? below(20 * S) : below(200 * MS);
	unsigned most = 30;

	for (; w.t.now < end && most; most--) {
		speak(from);
		if (answers && !below(answers))
			speak(!from);
		pass_until(w.t.now + 1 * MS + below(pace + 1));
	}
}

static void incident(void)
{
	unsigned host = (unsigned)below(2);

	switch (below(8)) {
	case 0:
		net.dark_until = w.t.now + below(200 * S);
		break;
	case 1:
		kwgi_device_set_up(w.h[host].d, false, &w.t);
		pass_until(w.t.now + below(20 * S));
		kwgi_device_set_up(w.h[host].d, true, &w.t);
		break;
	case 2:
		w.t.wall += below(100000 * S);
		break;
	case 3:
		w.t.wall -= below(100000 * S);
		break;
	case 4:	/* A new port: the NAT has forgotten us. */
		w.h[host].at.port = (uint16_t)(2000 + below(60000));
		break;
	case 5:
		pass_until(w.t.now + below(700 * S));
		break;
	case 6:
		speak(0);
		speak(1);
		break;
	default:
		new_weather();
	}
	collect();
}

/* A good network, and two hosts that talk: within a minute both hear the other. */
static void resume(void)
{
	uint64_t end;
	unsigned before[2], i;

	net.loss = net.twice = 0;
	net.jitter = 0;
	net.delay = 30 * MS;
	net.dark_until = 0;
	next_packet = next_packet > PACKETS - 400 ? PACKETS - 400 : next_packet;
	pass_until(w.t.now + 5 * S);
	for (i = 0; i < 2; i++)
		before[i] = w.h[i].received;
	end = w.t.now + 60 * S;
	while (w.h[0].received == before[0] || w.h[1].received == before[1]) {
		hold(w.t.now < end);
		speak(0);
		speak(1);
		pass_until(w.t.now + 1 * S);
	}
}

/* Left alone, both forget all keys and wake up no more. */
static void rest(void)
{
	pass_until(w.t.now + 700 * S);
	hold(first_deadline(&w) == UINT64_MAX);
	hold(!w.h[0].d->indices.table.n && !w.h[1].d->indices.table.n);
}

/* The devices stay for a batch; their peers, and all that is known of them, are new. */
static void begin(uint64_t seed)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		befriend(&w, i, !i, true);
		kwgi_device_set_up(w.h[i].d, true, &w.t);
		w.h[i].seed = seed * 4 + 2 + i;
		w.h[i].received = 0;
	}
	net.seed = seed * 4 + 1;
	net.n = 0;
	net.dark_until = 0;
	n_keys = 0;
	next_packet = 0;
	new_weather();
}

static void end(void)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		memset(seen[i], 0, next_packet / 8 + 1);
		kwgi_device_set_up(w.h[i].d, false, &w.t);
		kwgi_device_remove(w.h[i].d, other(i));
	}
}

static void simulate(uint64_t seed, bool for_hours)
{
	uint64_t start, stop;

	begin(seed);
	start = w.t.now;
	stop = start + (for_hours ? 3600 * S + below(7200 * S) : below(100 * S));
	while (w.t.now < stop && next_packet < PACKETS - 1000) {
		chat(w.t.now + below(120 * S));
		if (for_hours || !below(4))
			incident();
	}
	resume();
	if (!below(8))
		rest();
	total_sessions += n_keys;
	total_hours += (w.t.now - start) / (3600 * S);
	end();
}

START_TEST(connections)
{
	const char *env = getenv("KWG_TEST_CONNECTIONS");
	unsigned all = env ? (unsigned)atoi(env) : CONNECTIONS, i;
	uint64_t seed = test_seed(1);

	keys = calloc(KEYS, sizeof(*keys));
	net.v = calloc(FLIGHTS, sizeof(*net.v));
	seen[0] = calloc(PACKETS / 8 + 1, 1);
	seen[1] = calloc(PACKETS / 8 + 1, 1);
	wire_init(&w, 2, seed * 1000 + (unsigned)_i);
	for (i = (unsigned)_i; i < all; i += BATCHES) {
		connection = i;
		simulate(seed * 1000000 + i, i % 100 == 99);
	}
	/* The simulation is one of something. */
	hold(total_accepted > all / BATCHES && total_sessions > all / BATCHES && total_lost);
	if (getenv("KWG_TEST_VERBOSE"))
		printf("# %llu accepted, %llu keys, %llu lost, %llu hours\n",
		       (unsigned long long)total_accepted, (unsigned long long)total_sessions,
		       (unsigned long long)total_lost, (unsigned long long)total_hours);
	wire_free(&w);
	free(keys);
	free(net.v);
	free(seen[0]);
	free(seen[1]);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, connections, 0, BATCHES);
}

int main(void)
{
	return unit_run("simulation", add);
}
