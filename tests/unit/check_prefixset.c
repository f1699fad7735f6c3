/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The set of networks against a naive list, with random networks of both families. */
#include "base/prefixset.h"
#include "unit.h"

enum { MAX_NETS = 60 };

struct model {
	struct kwgi_prefix v[MAX_NETS];	/* masked */
	uint32_t n;
};

static uint64_t seed = 77;

/* From a small space, so that there is much nesting; sometimes from the whole. */
static struct kwgi_addr random_addr(bool v6)
{
	struct kwgi_addr a = { .family = v6 ? KWGI_AF_V6 : KWGI_AF_V4 };
	unsigned bytes = kwgi_addr_bits(&a) / 8, i;
	bool everywhere = !random_below(&seed, 4);

	for (i = 0; i < bytes; i++)
		a.b[i] = everywhere ? (uint8_t)random_u32(&seed) : (uint8_t)random_below(&seed, 2);
	return a;
}

static struct kwgi_prefix random_net(void)
{
	struct kwgi_prefix p = { .addr = random_addr(random_below(&seed, 2)) };
	unsigned bits = kwgi_addr_bits(&p.addr);

	p.len = (uint8_t)random_below(&seed, bits + 1);
	if (!random_below(&seed, 4))
		p.len = (uint8_t)bits;
	return p;
}

static void build(struct model *m, struct kwgi_prefixset *s, struct kwgi_arena *a)
{
	struct kwgi_prefix p;
	uint32_t i;

	m->n = random_below(&seed, MAX_NETS);
	for (i = 0; i < m->n; i++) {
		p = i && !random_below(&seed, 6) ? m->v[random_below(&seed, i)] : random_net();
		m->v[i] = kwgi_prefix_masked(&p);
		ck_assert_int_eq(kwgi_prefixset_add(s, a, &p, i), 0);
	}
	kwgi_prefixset_build(s);
	ck_assert_uint_eq(s->n, m->n);
}

/* Length of the smallest network around an address, or -1. */
static int naive_lookup(const struct model *m, const struct kwgi_addr *a)
{
	int best = -1;
	uint32_t i;

	for (i = 0; i < m->n; i++)
		if (kwgi_prefix_contains(&m->v[i], a) && (int)m->v[i].len > best)
			best = m->v[i].len;
	return best;
}

static bool naive_overlap(const struct model *m, const struct kwgi_prefix *p)
{
	uint32_t i;

	for (i = 0; i < m->n; i++)
		if (kwgi_prefix_contains(&m->v[i], &p->addr) || kwgi_prefix_contains(p, &m->v[i].addr))
			return true;
	return false;
}

/* An address inside one of the networks, or anywhere. */
static struct kwgi_addr probe(const struct model *m)
{
	struct kwgi_addr a = random_addr(random_below(&seed, 2));

	if (m->n && random_below(&seed, 2)) {
		a = m->v[random_below(&seed, m->n)].addr;
		a.b[kwgi_addr_bits(&a) / 8 - 1] |= (uint8_t)random_below(&seed, 4);
	}
	return a;
}

static void check_queries(const struct model *m, const struct kwgi_prefixset *s)
{
	char text[KWGI_PREFIX_TEXT];
	struct kwgi_prefix p;
	struct kwgi_addr a;
	uint32_t i;
	int want;

	a = probe(m);
	want = naive_lookup(m, &a);
	i = kwgi_prefixset_lookup(s, &a);
	ck_assert_msg((i == KWGI_NO_ITEM ? -1 : (int)s->v[i].prefix.len) == want, "lookup %s: %d",
		      kwgi_addr_format(text, &a), want);
	ck_assert(i == KWGI_NO_ITEM || kwgi_prefix_contains(&s->v[i].prefix, &a));

	p = random_below(&seed, 2) ? random_net() : kwgi_prefix_host(&a);
	i = kwgi_prefixset_overlap(s, &p);
	ck_assert_msg((i != KWGI_NO_ITEM) == naive_overlap(m, &p), "overlap %s",
		      kwgi_prefix_format(text, &p));
	ck_assert(i == KWGI_NO_ITEM || kwgi_prefix_contains(&s->v[i].prefix, &p.addr) ||
		  kwgi_prefix_contains(&p, &s->v[i].prefix.addr));
}

/* The parent is the smallest other network around an item; equal ones form a chain. */
static void check_parents(const struct kwgi_prefixset *s)
{
	uint32_t i, j, want;

	for (i = 0; i < s->n; i++) {
		want = KWGI_NO_ITEM;
		for (j = 0; j < i; j++)
			if (kwgi_prefix_contains(&s->v[j].prefix, &s->v[i].prefix.addr))
				want = j;
		ck_assert_uint_eq(s->v[i].parent, want);
		ck_assert(!i || kwgi_prefix_cmp(&s->v[i - 1].prefix, &s->v[i].prefix) < 0 ||
			  (kwgi_prefix_equal(&s->v[i - 1].prefix, &s->v[i].prefix) &&
			   s->v[i - 1].value < s->v[i].value));
	}
}

START_TEST(equals_a_list)
{
	struct kwgi_prefixset s;
	struct kwgi_arena a;
	struct model m;
	unsigned round, i;

	for (round = 0; round < 800; round++) {
		memset(&s, 0, sizeof(s));
		memset(&a, 0, sizeof(a));
		build(&m, &s, &a);
		check_parents(&s);
		for (i = 0; i < 100; i++)
			check_queries(&m, &s);
		kwgi_arena_free(&a);
	}
}
END_TEST

/* A network around everything, one address, and nothing at all. */
static const struct {
	const char *nets, *addr, *found;	/* found: "" for nothing */
} cases[] = {
	{ "", "10.0.0.1", "" },
	{ "0.0.0.0/0", "10.0.0.1", "0.0.0.0/0" },
	{ "0.0.0.0/0", "::1", "" },
	{ "::/0", "::1", "::/0" },
	{ "::/0", "255.255.255.255", "" },
	{ "0.0.0.0/0 ::/0", "ffff::", "::/0" },
	{ "10.0.0.0/8 10.1.0.0/16 10.1.1.0/24", "10.1.1.255", "10.1.1.0/24" },
	{ "10.0.0.0/8 10.1.0.0/16 10.1.1.0/24", "10.1.2.0", "10.1.0.0/16" },
	{ "10.0.0.0/8 10.1.0.0/16 10.1.1.0/24", "10.2.0.0", "10.0.0.0/8" },
	{ "10.0.0.0/8 10.1.0.0/16 10.1.1.0/24", "11.0.0.0", "" },
	{ "10.1.1.1/32", "10.1.1.1", "10.1.1.1/32" },
	{ "255.255.255.255/32", "255.255.255.255", "255.255.255.255/32" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
	{ "10.1.1.77/24", "10.1.1.1", "10.1.1.0/24" },
};

START_TEST(borders)
{
	char copy[128], text[KWGI_PREFIX_TEXT], *item, *rest;
	struct kwgi_prefixset s;
	struct kwgi_prefix p;
	struct kwgi_addr a;
	struct kwgi_arena arena = { 0 };
	uint32_t found;
	size_t i;

	for (i = 0; i < N_OF(cases); i++) {
		memset(&s, 0, sizeof(s));
		snprintf(copy, sizeof(copy), "%s", cases[i].nets);
		for (rest = copy; (item = strtok_r(rest, " ", &rest));) {
			p = prefix(item);
			ck_assert_int_eq(kwgi_prefixset_add(&s, &arena, &p, 0), 0);
		}
		kwgi_prefixset_build(&s);
		a = addr(cases[i].addr);
		found = kwgi_prefixset_lookup(&s, &a);
		*text = '\0';
		if (found != KWGI_NO_ITEM)
			kwgi_prefix_format(text, &s.v[found].prefix);
		ck_assert_msg(!strcmp(text, cases[i].found), "case %zu: %s", i, text);
	}
	kwgi_arena_free(&arena);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, equals_a_list);
	tcase_add_test(tc, borders);
}

int main(void)
{
	return unit_run("prefixset", add);
}
