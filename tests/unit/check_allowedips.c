/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Allowed IPs: known answers, single rules, and random changes against a naive list. */
#include "vectors.h"

/* Compiled in here so that its allocations can fail. */
static int allocations_left = -1;	/* -1: no end */

static void *limited_calloc(size_t n, size_t size)
{
	if (!allocations_left)
		return NULL;
	allocations_left -= allocations_left > 0;
	return calloc(n, size);
}

#define calloc limited_calloc
#include "dp/allowedips.c"
#undef calloc

enum { PEERS = 8, MAX_MODEL = 128 };

static struct kwgi_allowedips table;
static struct kwgi_allowedips_list lists[PEERS];
static int peers[PEERS];		/* only their addresses count */

static void setup(void)
{
	int i;

	for (i = 0; i < PEERS; i++)
		kwgi_allowedips_list_init(&lists[i], &peers[i]);
}

static void teardown(void)
{
	int i;

	kwgi_allowedips_free(&table);
	ck_assert(!table.root4 && !table.root6 && !table.n);
	for (i = 0; i < PEERS; i++)
		ck_assert(!lists[i].first && !lists[i].last && !lists[i].n);
}

static void give(const char *p, int peer)
{
	struct kwgi_prefix net = prefix(p);

	ck_assert_int_eq(kwgi_allowedips_insert(&table, &net, &lists[peer]), 0);
}

static bool take(const char *p, int peer)
{
	struct kwgi_prefix net = prefix(p);

	return kwgi_allowedips_remove(&table, &net, &lists[peer]);
}

/* -1: none */
static int lookup(struct kwgi_addr a)
{
	int *p = a.family == KWGI_AF_V4 ? kwgi_allowedips_lookup4(&table, a.b) :
					  kwgi_allowedips_lookup6(&table, a.b);

	return p ? (int)(p - peers) : -1;
}

/* The prefixes of a peer as "a b c". */
static void listed(int peer, const char *want)
{
	const struct kwgi_allowedips_node *n;
	struct kwgi_buf b = { 0 };
	struct kwgi_prefix p;

	kwgi_buf_puts(&b, "");
	for (n = lists[peer].first; n;) {
		n = kwgi_allowedips_next(n, &p);
		kwgi_buf_puts(&b, b.len ? " " : "");
		kwgi_buf_prefix(&b, &p);
	}
	ck_assert_str_eq(b.p, want);
	kwgi_buf_free(&b);
}

START_TEST(known_answers)
{
	FILE *f = vectors_open("allowedips.txt");
	char line[256], *w[3];
	int n, want, lookups = 0;

	while ((n = vectors_words(f, line, sizeof(line), w, 3))) {
		if (!strcmp(w[0], "insert")) {
			give(w[1], atoi(w[2]));
		} else if (!strcmp(w[0], "remove")) {
			take(w[1], atoi(w[2]));
		} else if (!strcmp(w[0], "remove_peer")) {
			kwgi_allowedips_remove_all(&table, &lists[atoi(w[1])]);
		} else {
			ck_assert_str_eq(w[0], "lookup");
			want = *w[2] == '-' ? -1 : atoi(w[2]);
			ck_assert_msg(lookup(addr(w[1])) == want, "%s: not %s", w[1], w[2]);
			lookups++;
		}
	}
	fclose(f);
	ck_assert_int_gt(lookups, 100);
}
END_TEST

START_TEST(one_owner)
{
	give("10.0.0.0/8", 0);
	give("10.1.2.3/16", 0);
	give("10.0.0.0/8", 0);
	listed(0, "10.0.0.0/8 10.1.0.0/16");
	give("10.1.9.9/16", 1);
	listed(0, "10.0.0.0/8");
	listed(1, "10.1.0.0/16");
	ck_assert_int_eq(lookup(addr("10.1.0.1")), 1);
	ck_assert_int_eq(lookup(addr("10.2.0.1")), 0);
	ck_assert_uint_eq(table.n, 2);
	ck_assert(!take("10.1.0.0/16", 0));
	ck_assert(!take("10.1.0.0/17", 1));
	ck_assert(!take("10.0.0.0/15", 1));
	ck_assert(take("10.1.77.0/16", 1));
	ck_assert(!take("10.1.0.0/16", 1));
	ck_assert_int_eq(lookup(addr("10.1.0.1")), 0);
	listed(1, "");
	ck_assert_uint_eq(table.n, 1);
}
END_TEST

/* A prefix where only a fork is so far, and a fork that stays when its prefix goes. */
START_TEST(forks)
{
	give("10.0.0.0/9", 1);
	give("10.128.0.0/9", 2);
	ck_assert_int_eq(lookup(addr("10.127.0.0")), 1);
	ck_assert_int_eq(lookup(addr("10.128.0.0")), 2);
	ck_assert(!take("10.0.0.0/8", 1));
	give("10.0.0.0/8", 0);
	listed(0, "10.0.0.0/8");
	ck_assert(take("10.0.0.0/8", 0));
	ck_assert_int_eq(lookup(addr("10.127.0.0")), 1);
	ck_assert_int_eq(lookup(addr("10.128.0.0")), 2);
	ck_assert(take("10.0.0.0/9", 1));
	ck_assert_int_eq(lookup(addr("10.128.0.0")), 2);
	ck_assert_int_eq(lookup(addr("10.127.0.0")), -1);
}
END_TEST

START_TEST(borders)
{
	give("0.0.0.0/0", 0);
	give("::/0", 1);
	give("255.255.255.255/32", 2);
	give("0.0.0.0/32", 3);
	give("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 4);
	give("::/128", 5);
	give("2001:db8::/64", 6);
	give("2001:db8:0:0:8000::/65", 7);
	ck_assert_int_eq(lookup(addr("1.2.3.4")), 0);
	ck_assert_int_eq(lookup(addr("255.255.255.254")), 0);
	ck_assert_int_eq(lookup(addr("255.255.255.255")), 2);
	ck_assert_int_eq(lookup(addr("0.0.0.0")), 3);
	ck_assert_int_eq(lookup(addr("::1")), 1);
	ck_assert_int_eq(lookup(addr("::")), 5);
	ck_assert_int_eq(lookup(addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")), 4);
	ck_assert_int_eq(lookup(addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")), 1);
	ck_assert_int_eq(lookup(addr("2001:db8::7fff:ffff:ffff:ffff")), 6);
	ck_assert_int_eq(lookup(addr("2001:db8::8000:0:0:0")), 7);
	ck_assert_int_eq(lookup(addr("2001:db8:0:1::")), 1);
	ck_assert(take("0.0.0.0/0", 0) && take("::/0", 1));
	ck_assert_int_eq(lookup(addr("1.2.3.4")), -1);
	ck_assert_int_eq(lookup(addr("::1")), -1);
}
END_TEST

/* One node, then a fork as well: without them all is as before. */
START_TEST(no_memory)
{
	static const char *const nets[] = {
		"10.0.0.0/8", "10.128.0.0/10", "10.192.0.0/10", "11.0.0.0/8",
	};
	struct kwgi_prefix p;
	size_t i;
	int n;

	for (i = 0; i < N_OF(nets); i++) {
		p = prefix(nets[i]);
		for (n = 0; n < 3; n++) {
			allocations_left = n;
			if (!kwgi_allowedips_insert(&table, &p, &lists[i]))
				break;
			ck_assert_uint_eq(table.n, i);
			ck_assert(!lists[i].n);
			ck_assert_int_eq(lookup(addr("10.0.0.1")), i > 0 ? 0 : -1);
			ck_assert_int_eq(lookup(addr("10.130.0.1")), i > 1 ? 1 : i > 0 ? 0 : -1);
		}
		ck_assert_int_eq(n, i < 2 ? 1 : 2);
		allocations_left = 0;	/* a move needs nothing */
		ck_assert_int_eq(kwgi_allowedips_insert(&table, &p, &lists[7]), 0);
		ck_assert_int_eq(kwgi_allowedips_insert(&table, &p, &lists[i]), 0);
	}
	allocations_left = -1;
}
END_TEST

/* ---- the model -------------------------------------------------------- */

/* In the order in which the peers got them. */
static struct {
	struct kwgi_prefix p;
	uint64_t bits[2], mask[2];	/* of p, for quick comparing; any byte order */
	int peer;
} model[MAX_MODEL];
static int n_model;

static void model_add(const struct kwgi_prefix *p, int peer)
{
	uint8_t mask[16] = { 0 };
	int i;

	for (i = 0; i < p->len; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	model[n_model].p = *p;
	model[n_model].peer = peer;
	memcpy(model[n_model].bits, p->addr.b, 16);
	memcpy(model[n_model].mask, mask, 16);
	n_model++;
}

static int model_find(const struct kwgi_prefix *p)
{
	int i;

	for (i = 0; i < n_model; i++)
		if (kwgi_prefix_equal(&model[i].p, p))
			return i;
	return -1;
}

static void model_drop(int i)
{
	memmove(&model[i], &model[i + 1], (size_t)(n_model - i - 1) * sizeof(*model));
	n_model--;
}

static int model_lookup(const struct kwgi_addr *a)
{
	int i, best = -1, len = -1;
	uint64_t b[2];

	memcpy(b, a->b, 16);
	for (i = 0; i < n_model; i++) {
		if (model[i].p.len > len && model[i].p.addr.family == a->family &&
		    !((b[0] ^ model[i].bits[0]) & model[i].mask[0]) &&
		    !((b[1] ^ model[i].bits[1]) & model[i].mask[1])) {
			best = model[i].peer;
			len = model[i].p.len;
		}
	}
	return best;
}

/* Bytes are 0 or 255 with one bit changed now and then: much nesting, all lengths of forks. */
static struct kwgi_addr random_addr(uint64_t *seed)
{
	struct kwgi_addr a = { .family = random_below(seed, 2) ? KWGI_AF_V4 : KWGI_AF_V6 };
	unsigned i, bytes = kwgi_addr_bits(&a) / 8;

	for (i = 0; i < bytes; i++)
		a.b[i] = random_below(seed, 4) ? 0 : 255;
	if (random_below(seed, 2))
		a.b[random_below(seed, bytes)] ^= (uint8_t)(1 << random_below(seed, 8));
	return a;
}

static struct kwgi_prefix random_prefix(uint64_t *seed)
{
	struct kwgi_prefix p = { .addr = random_addr(seed) };

	if (n_model && !random_below(seed, 4))
		return model[random_below(seed, (uint32_t)n_model)].p;
	p.len = (uint8_t)random_below(seed, kwgi_addr_bits(&p.addr) + 1);
	return p;
}

static void random_insert(uint64_t *seed)
{
	struct kwgi_prefix p = random_prefix(seed), m = kwgi_prefix_masked(&p);
	int peer = (int)random_below(seed, PEERS), i = model_find(&m);

	if (i < 0 && n_model == MAX_MODEL)
		return;
	must(!kwgi_allowedips_insert(&table, &p, &lists[peer]));
	if (i >= 0 && model[i].peer == peer)
		return;
	if (i >= 0)
		model_drop(i);
	model_add(&m, peer);
}

static void random_remove(uint64_t *seed)
{
	struct kwgi_prefix p = random_prefix(seed), m = kwgi_prefix_masked(&p);
	int peer = (int)random_below(seed, PEERS), i = model_find(&m);
	bool held;

	if (i >= 0 && random_below(seed, 4))
		peer = model[i].peer;
	held = i >= 0 && model[i].peer == peer;
	must(kwgi_allowedips_remove(&table, &p, &lists[peer]) == held);
	if (held)
		model_drop(i);
}

static void random_remove_all(uint64_t *seed)
{
	int peer = (int)random_below(seed, PEERS), i;

	kwgi_allowedips_remove_all(&table, &lists[peer]);
	for (i = n_model; i-- > 0;)
		if (model[i].peer == peer)
			model_drop(i);
}

static void compare_lists(void)
{
	const struct kwgi_allowedips_node *at[PEERS];
	struct kwgi_prefix p;
	int i;

	must((int)table.n == n_model);
	for (i = 0; i < PEERS; i++)
		at[i] = lists[i].first;
	for (i = 0; i < n_model && at[model[i].peer]; i++) {
		at[model[i].peer] = kwgi_allowedips_next(at[model[i].peer], &p);
		if (!kwgi_prefix_equal(&p, &model[i].p))
			break;
	}
	must(i == n_model);
	for (i = 0; i < PEERS; i++)
		must(!at[i]);
}

START_TEST(random_changes)
{
	uint64_t start = test_seed(20240917), seed = start;
	struct kwgi_addr a;
	uint32_t i, what;

	for (i = 0; i < 2000000; i++) {
		what = random_below(&seed, 1000);
		if (what < 300)
			random_insert(&seed);
		else if (what < 480)
			random_remove(&seed);
		else if (what < 482)
			random_remove_all(&seed);
		else if (what < 490)
			compare_lists();
		a = random_addr(&seed);
		if (lookup(a) != model_lookup(&a))
			ck_abort_msg("seed %llu, step %u", (unsigned long long)start, i);
	}
	for (i = 0; i < PEERS; i++)
		kwgi_allowedips_remove_all(&table, &lists[i]);
	ck_assert(!table.root4 && !table.root6);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, known_answers);
	tcase_add_test(tc, one_owner);
	tcase_add_test(tc, forks);
	tcase_add_test(tc, borders);
	tcase_add_test(tc, no_memory);
	tcase_add_test(tc, random_changes);
}

int main(void)
{
	return unit_run("allowedips", add);
}
