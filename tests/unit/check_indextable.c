/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Sender indices and the map of peers by key, each against a naive array. */
#include "dp/indextable.h"
#include "dp/keymap.h"
#include "vectors.h"

enum { MAX_MODEL = 700 };

/* ---- indices ---------------------------------------------------------- */

/* Few bits, so that draws collide and searches wrap around the end. */
static void draw_narrow(void *ctx, void *out, size_t len)
{
	uint32_t n = random_u32(ctx);

	n = (n & 0x3ff) | (n & 0x400 ? 0xfffff000 : 0);
	must(len == sizeof(n));
	memcpy(out, &n, len);
}

static void draw_constant(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 7, len);
}

static struct {
	uint32_t index, tag;
	void *value;
} model[MAX_MODEL];
static uint32_t n_model;

static void index_insert(struct kwgi_indextable *t, uint64_t *seed)
{
	uint32_t i, twice = 0;

	if (n_model == MAX_MODEL)
		return;
	model[n_model].tag = random_u32(seed);
	model[n_model].value = &model[random_below(seed, MAX_MODEL)];
	must(!kwgi_indextable_insert(t, model[n_model].tag, model[n_model].value, draw_narrow, seed,
				     &model[n_model].index));
	for (i = 0; i < n_model; i++)
		twice += model[i].index == model[n_model].index;
	must(!twice);
	n_model++;
}

static void index_replace(struct kwgi_indextable *t, uint64_t *seed)
{
	uint32_t i;

	if (!n_model)
		return;
	i = random_below(seed, n_model);
	model[i].tag++;
	model[i].value = &model[random_below(seed, MAX_MODEL)];
	must(kwgi_indextable_replace(t, model[i].index, model[i].tag, model[i].value));
}

static void index_remove(struct kwgi_indextable *t, uint64_t *seed)
{
	uint32_t i;

	if (!n_model)
		return;
	i = random_below(seed, n_model);
	must(kwgi_indextable_remove(t, model[i].index));
	must(!kwgi_indextable_remove(t, model[i].index));
	must(!kwgi_indextable_replace(t, model[i].index, 0, model));
	model[i] = model[--n_model];
}

static void index_compare(const struct kwgi_indextable *t)
{
	uint32_t i, tag = 0, wrong = 0;

	for (i = 0; i < n_model; i++)
		wrong += kwgi_indextable_lookup(t, model[i].index, &tag) != model[i].value ||
			 tag != model[i].tag;
	must(!wrong);
	must(t->table.n == n_model);
}

START_TEST(indices)
{
	uint64_t seed = test_seed(32);
	struct kwgi_indextable t = { 0 };
	uint32_t i, what;

	ck_assert(!kwgi_indextable_lookup(&t, 0, NULL));
	ck_assert(!kwgi_indextable_remove(&t, 0));
	for (i = 0; i < 100000; i++) {
		/* Grows and shrinks in long waves. */
		what = random_below(&seed, 10) + (i / 3000 % 2 ? 2 : 0);
		if (what < 6)
			index_insert(&t, &seed);
		else if (what < 7)
			index_replace(&t, &seed);
		else
			index_remove(&t, &seed);
		if (i % 100 == 0)
			index_compare(&t);
	}
	ck_assert_uint_le(t.table.mask + 1, 4 * MAX_MODEL);
	kwgi_indextable_free(&t);
	ck_assert(!kwgi_indextable_lookup(&t, 0, NULL));
}
END_TEST

START_TEST(no_randomness)
{
	struct kwgi_indextable t = { 0 };
	uint32_t index = 0;

	ck_assert_int_eq(kwgi_indextable_insert(&t, 1, &t, draw_constant, NULL, &index), 0);
	ck_assert_uint_eq(index, 0x07070707);
	ck_assert_int_eq(kwgi_indextable_insert(&t, 1, &t, draw_constant, NULL, &index), -1);
	ck_assert_uint_eq(t.table.n, 1);
	kwgi_indextable_free(&t);
}
END_TEST

/* ---- keys ------------------------------------------------------------- */

static struct member {
	bool in;
	struct kwgi_key key;
} peers[1500];

START_TEST(keys)
{
	uint64_t seed = test_seed(64);
	uint8_t secret[KWGI_KEYMAP_SEED] = { 1 };
	struct kwgi_keymap m;
	struct kwgi_key copy;
	uint32_t i, k, n = 0;

	kwgi_keymap_init(&m, secret, offsetof(struct member, key));
	for (i = 0; i < N_OF(peers); i++)
		memcpy(peers[i].key.b + i % 28, &i, 4);
	ck_assert(!kwgi_keymap_lookup(&m, &peers[0].key));
	ck_assert(!kwgi_keymap_remove(&m, &peers[0].key));
	for (i = 0; i < 100000; i++) {
		k = random_below(&seed, N_OF(peers));
		copy = peers[k].key;
		must(kwgi_keymap_lookup(&m, &copy) == (peers[k].in ? &peers[k] : NULL));
		if (random_below(&seed, 10) < (i / 10000 % 2 ? 8u : 2u)) {
			if (!peers[k].in)
				must(!kwgi_keymap_insert(&m, &peers[k]));
			n += !peers[k].in;
			peers[k].in = true;
		} else {
			must(kwgi_keymap_remove(&m, &copy) == (peers[k].in ? &peers[k] : NULL));
			n -= peers[k].in;
			peers[k].in = false;
		}
		must(m.table.n == n);
	}
	kwgi_keymap_free(&m);
	ck_assert(!kwgi_keymap_lookup(&m, &copy));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, indices);
	tcase_add_test(tc, no_randomness);
	tcase_add_test(tc, keys);
}

int main(void)
{
	return unit_run("indextable", add);
}
