/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Segments, leaders, addresses and what locations may announce. Golden files have the rest. */
#include <stdarg.h>

#include "plan/topology.h"
#include "unit.h"

/* Reads, checks and builds; cfg->topology is NULL after an error in the text. */
static void config_finish(struct kwg_config *cfg, const char *text)
{
	config_read(cfg, text);
	kwgi_check(cfg);
	if (!cfg->diags.errors)
		ck_assert_int_eq(kwgi_topology_build(cfg), 0);
}

__attribute__((format(printf, 3, 4)))
static void put_node(struct kwgi_buf *b, unsigned i, const char *fmt, ...);

/* A node that takes part; its name and the rest of its lines follow. */
static void put_node(struct kwgi_buf *b, unsigned i, const char *fmt, ...)
{
	va_list ap;

	kwgi_buf_printf(b, "[node]\npublic-key = %s\npod-cidr = 10.42.%u.0/24\n", key_text(i + 1), i);
	va_start(ap, fmt);
	kwgi_buf_vprintf(b, fmt, ap);
	va_end(ap);
	kwgi_buf_putc(b, '\n');
}

/* ---- segments -------------------------------------------------------- */

/* All segments as "ID(LEADER: MEMBER ...) ", in order. */
static char *segments_text(const struct kwgi_topology *t)
{
	struct kwgi_buf b = { 0 };
	uint32_t i, j;

	for (i = 0; i < t->n_segments; i++) {
		kwgi_buf_printf(&b, "%s(%s:", t->segments[i].id, t->segments[i].leader->name);
		for (j = 0; j < t->segments[i].n; j++)
			kwgi_buf_printf(&b, " %s", t->segments[i].members[j]->name);
		kwgi_buf_puts(&b, ") ");
	}
	kwgi_buf_add(&b, "", 0);
	return kwgi_buf_take(&b, NULL);
}

/* Nodes: name, location, with private address? */
static const struct {
	const char *granularity, *nodes, *want;
} layouts[] = {
	{ "location", "", "" },
	{ "location", "a x y|b x y|c z y", "location:x(a: a b) location:z(c: c) " },
	{ "location", "b x y|a x y|c x y", "location:x(a: a b c) " },
	{ "location", "a  y|b  y", "location:(a: a b) " },
	/* without private address alone; all locations stand before all nodes */
	{ "location", "a x y|b x n|c x y", "location:x(a: a c) node:b(b: b) " },
	{ "location", "a zz y|B x n|b a n", "location:zz(a: a) node:B(B: B) node:b(b: b) " },
	/* bytes, not numbers and not letters */
	{ "location", "a 10 y|b 2 y|c B y|d a y|e \xc3\xa4 y|f _ y",
	  "location:10(a: a) location:2(b: b) location:B(c: c) location:_(f: f) location:a(d: d) "
	  "location:\xc3\xa4(e: e) " },
	{ "location", "a x y|aa x y|a. x y|A x y", "location:x(A: A a a. aa) " },
	{ "full", "b x y|a x y|c z n", "node:a(a: a) node:b(b: b) node:c(c: c) " },
};

static void put_layout(struct kwgi_buf *b, const char *nodes)
{
	char copy[256], *item, *rest = copy, *name, *location;
	unsigned i = 0;

	snprintf(copy, sizeof(copy), "%s", nodes);
	while ((item = strtok_r(rest, "|", &rest))) {
		name = strsep(&item, " ");
		location = strsep(&item, " ");
		put_node(b, i, "name = %s\nlocation = %s\nendpoint = 10.0.0.1:1\ninternal-ip = %s", name,
			 location, *item == 'y' ? "192.168.1.1/24" : "-");
		i++;
	}
}

START_TEST(segments)
{
	struct kwgi_buf b = { 0 };
	struct kwg_config cfg;
	char *got;

	kwgi_buf_printf(&b, "[mesh]\nformat = 1\ngranularity = %s\n", layouts[_i].granularity);
	put_layout(&b, layouts[_i].nodes);
	config_finish(&cfg, b.p);
	got = segments_text(cfg.topology);
	ck_assert_str_eq(got, layouts[_i].want);
	free(got);
	kwgi_arena_free(&cfg.arena);
	kwgi_buf_free(&b);
}
END_TEST

/* ---- leaders --------------------------------------------------------- */

/*
 * Members a, b, c, ...: L asks to lead, l does not; P public, p private, D a
 * name that resolves to a public address, d to a private one, u to none.
 */
static const struct {
	const char *members, *leader;
} leaders[] = {
	{ "lp", "a" },
	{ "lp lp lp", "a" },
	{ "lp lP lp", "b" },
	{ "lp lP lP", "b" },
	{ "lp lp Lp", "c" },
	{ "lP lp Lp", "c" },	/* asking counts more than an address */
	{ "Lp LP lp", "b" },
	{ "Lp Lp lP", "a" },
	{ "LP LP", "a" },
	{ "lP LP LP", "b" },
	{ "lP Lp LP", "c" },
	{ "lp lD", "b" },
	{ "lp ld", "a" },
	{ "lp lu lP", "c" },
	{ "lu lu", "a" },
	{ "Lu LD", "b" },
	{ "lp Lu lP", "b" },
};

static const char *endpoint_of(char c)
{
	switch (c) {
	case 'P':
		return "endpoint = 203.0.113.1:1";
	case 'D':
		return "endpoint = a.example.org:1\nendpoint-address = 203.0.113.1";
	case 'd':
		return "endpoint = a.example.org:1\nendpoint-address = 10.0.0.1";
	case 'u':
		return "endpoint = a.example.org:1";
	}
	return "endpoint = 10.0.0.1:1";
}

/* In both orders of the file. */
static void check_leader(const char *members, const char *want, bool backwards)
{
	unsigned n = (unsigned)(strlen(members) + 1) / 3, i, m;
	struct kwgi_buf b = { 0 };
	struct kwg_config cfg;

	kwgi_buf_puts(&b, "[mesh]\nformat = 1\n");
	for (i = 0; i < n; i++) {
		m = backwards ? n - 1 - i : i;
		put_node(&b, m, "name = %c\ninternal-ip = 192.168.1.%u/24\nleader = %s\n%s", 'a' + (int)m, m + 1,
			 members[3 * m] == 'L' ? "yes" : "no", endpoint_of(members[3 * m + 1]));
	}
	config_finish(&cfg, b.p);
	ck_assert_msg(!strcmp(cfg.topology->segments[0].leader->name, want), "%s: %s", members,
		      cfg.topology->segments[0].leader->name);
	kwgi_arena_free(&cfg.arena);
	kwgi_buf_free(&b);
}

START_TEST(leader)
{
	size_t i;

	for (i = 0; i < N_OF(leaders); i++) {
		check_leader(leaders[i].members, leaders[i].leader, false);
		check_leader(leaders[i].members, leaders[i].leader, true);
	}
}
END_TEST

/* ---- addresses ------------------------------------------------------- */

/* n segments in a subnet: the last one's address, or "" if there are too few. */
static const struct {
	const char *subnet;
	unsigned n;
	const char *last;
} subnets[] = {
	{ "10.4.0.0/16", 1, "10.4.0.1" },
	{ "10.4.0.0/30", 3, "10.4.0.3" },
	{ "10.4.0.0/30", 4, "" },
	{ "10.4.0.0/31", 1, "10.4.0.1" },
	{ "10.4.0.0/31", 2, "" },
	{ "10.4.0.0/32", 0, NULL },
	{ "10.4.0.0/32", 1, "" },
	{ "10.4.0.0/24", 255, "10.4.0.255" },
	{ "10.4.0.0/23", 256, "10.4.1.0" },
	{ "10.4.255.0/24", 255, "10.4.255.255" },
	{ "255.255.255.252/30", 3, "255.255.255.255" },
	{ "0.0.0.0/0", 2, "0.0.0.2" },
	{ "fd00::/126", 3, "fd00::3" },
	{ "fd00::/126", 4, "" },
	{ "fd00::/128", 1, "" },
	{ "fd00::/64", 256, "fd00::100" },
	{ "::/0", 1, "::1" },
	{ "fd00::/65", 1, "fd00::1" },
	{ "fd00::/66", 1, "fd00::1" },
};

START_TEST(allocates)
{
	struct kwgi_buf b = { 0 };
	char got[KWGI_ADDR_TEXT];
	struct kwg_config cfg;
	unsigned i, n = subnets[_i].n;
	const char *want = subnets[_i].last;

	kwgi_buf_printf(&b, "[mesh]\nformat = 1\ngranularity = full\nsubnet = %s\n", subnets[_i].subnet);
	for (i = 0; i < n; i++)
		kwgi_buf_printf(&b, "[node]\nname = n%03u\nendpoint = 10.0.0.1:1\npublic-key = %03xAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\npod-cidr = 10.%u.%u.0/24\n",
				i, i + 1, 50 + i / 256, i % 256);
	config_finish(&cfg, b.p);
	if (want && !*want) {
		ck_assert_uint_eq(cfg.diags.errors, 1);
		for (i = 0; i < cfg.diags.n && cfg.diags.v[i].diag.severity != KWG_ERROR; i++)
			;
		ck_assert_uint_lt(i, cfg.diags.n);
		ck_assert_ptr_nonnull(strstr(cfg.diags.v[i].diag.text, "ran out of IP addresses"));
	} else {
		ck_assert_uint_eq(cfg.diags.errors, 0);
		ck_assert_uint_eq(cfg.topology->n_segments, n);
		if (want)
			ck_assert_str_eq(kwgi_addr_format(got, &cfg.topology->segments[n - 1].wg_ip), want);
	}
	kwgi_arena_free(&cfg.arena);
	kwgi_buf_free(&b);
}
END_TEST

/* ---- allowed location IPs: the rules of golden/README.md, word for word -- */

struct list {
	char text[40][KWGI_PREFIX_TEXT];
	struct kwgi_prefix v[40];
	uint32_t n;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void list_add(struct list *l, const struct kwgi_prefix *p)
{
	char text[KWGI_PREFIX_TEXT];
	uint32_t i;

	kwgi_prefix_format(text, p);
	for (i = 0; i < l->n; i++)
		if (!strcmp(l->text[i], text))
			return;
	ck_assert_uint_lt(l->n, N_OF(l->text));
	memcpy(l->text[l->n++], text, sizeof(text));
}

/* "Within a segment equal ones (as text) are merged, then all are sorted as text." */
static void list_collect(struct list *l, const struct kwgi_segment *s)
{
	uint32_t i, j;

	l->n = 0;
	for (i = 0; i < s->n; i++)
		for (j = 0; j < s->members[i]->allowed_location_ips.n; j++)
			list_add(l, &s->members[i]->allowed_location_ips.v[j].prefix);
	qsort(l->text, l->n, sizeof(*l->text), by_text);
	for (i = 0; i < l->n; i++)
		l->v[i] = prefix(l->text[i]);
}

/* "Two networks overlap if one contains the address part of the other." */
static bool overlap(const struct kwgi_prefix *a, const struct kwgi_prefix *b)
{
	return kwgi_prefix_contains(a, &b->addr) || kwgi_prefix_contains(b, &a->addr);
}

/* "1. it overlaps an allowed location IP that another segment has at that moment" */
static bool has_rival(const struct list *now, uint32_t n, uint32_t s, const struct kwgi_prefix *p)
{
	uint32_t i, j;

	for (i = 0; i < n; i++)
		for (j = 0; i != s && j < now[i].n; j++)
			if (overlap(&now[i].v[j], p))
				return true;
	return false;
}

/*
 * "2. its address part lies in an allowed IP of any segment, its own included:
 * a pod CIDR, a private address, or a WireGuard address. Of WireGuard
 * addresses only those of the segments up to this one exist at that moment."
 */
static bool begins_inside(const struct kwgi_topology *t, uint32_t s, const struct kwgi_prefix *p)
{
	uint32_t i, j;

	for (i = 0; i < t->n_segments; i++) {
		const struct kwgi_prefixes *ips = &t->segments[i].allowed_ips;

		for (j = 0; j < ips->n; j++)
			if (kwgi_prefix_contains(&ips->v[j], &p->addr) && (i <= s || j + 1 < ips->n))
				return true;
	}
	return false;
}

/* "3. it overlaps an allowed IP of a peer (after deduplication)." */
static bool meets_peer(const struct kwgi_topology *t, const struct kwgi_prefix *p)
{
	uint32_t i, j;

	for (i = 0; i < t->n_peers; i++)
		for (j = 0; j < t->peers[i].allowed_ips.n; j++)
			if (overlap(&t->peers[i].allowed_ips.v[j], p))
				return true;
	return false;
}

static void naive_filter(const struct kwgi_topology *t, struct list *now, struct list *gone)
{
	uint32_t s, i, kept;

	for (s = 0; s < t->n_segments; s++)
		list_collect(&now[s], &t->segments[s]);
	for (s = 0; s < t->n_segments; s++) {
		gone[s].n = 0;
		for (i = 0, kept = 0; i < now[s].n; i++) {
			struct kwgi_prefix p = now[s].v[i];

			if (has_rival(now, t->n_segments, s, &p) || begins_inside(t, s, &p) || meets_peer(t, &p))
				gone[s].v[gone[s].n++] = p;
			else
				now[s].v[kept++] = p;
		}
		now[s].n = kept;
	}
}

static void same_list(const char *what, const struct kwgi_segment *s, const struct list *want,
		      const struct kwgi_prefixes *got, const char *text)
{
	char p[KWGI_PREFIX_TEXT];
	uint32_t i;

	ck_assert_msg(want->n == got->n, "%s %s: %u, not %u\n%s", s->id, what, got->n, want->n, text);
	for (i = 0; i < want->n; i++)
		ck_assert_msg(kwgi_prefix_equal(&want->v[i], &got->v[i]), "%s %s: %s\n%s", s->id, what,
			      kwgi_prefix_format(p, &want->v[i]), text);
}

/* Networks that are near each other, pods, private and WireGuard addresses, and peers. */
static void put_random_net(struct kwgi_buf *b, uint64_t *seed)
{
	static const char *const nets[] = {
		"10.8.%u.0", "10.8.0.%u", "10.42.%u.0", "10.42.%u.7", "192.168.1.%u", "10.4.0.%u", "10.5.0.%u",
		"10.%u.0.0", "fd00:8::%x", "fd00:8:%x::", "fd00:42:%x::", "%u.0.0.0",
	};
	static const unsigned lens[] = { 0, 4, 7, 8, 13, 14, 15, 16, 20, 22, 23, 24, 25, 29, 30, 31, 32 };
	char text[64];
	struct kwgi_prefix p;
	unsigned len = lens[random_below(seed, N_OF(lens))];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), nets[random_below(seed, N_OF(nets))], random_below(seed, 10));
#pragma GCC diagnostic pop
	p.addr = addr(text);
	p.len = (uint8_t)(p.addr.family == KWGI_AF_V6 ? len * 4 : len);
	if (p.len < 4 && random_below(seed, 4))
		p.len = (uint8_t)kwgi_addr_bits(&p.addr);
	p = kwgi_prefix_masked(&p);
	/* What kwgi_check() refuses. */
	if (kwgi_addr_useless(&p.addr))
		p = prefix("10.9.0.0/16");
	kwgi_buf_prefix(b, &p);
}

static void put_random_mesh(struct kwgi_buf *b, uint64_t *seed)
{
	unsigned i, j, n = 1 + random_below(seed, 7);

	kwgi_buf_printf(b, "[mesh]\nformat = 1\nsubnet = 10.4.0.0/24\ngranularity = %s\n",
			random_below(seed, 4) ? "location" : "full");
	for (i = 0; i < n; i++) {
		put_node(b, i, "name = n%u\nlocation = l%u\nendpoint = 203.0.113.1:1\ninternal-ip = %s%u/24",
			 i, random_below(seed, 4), random_below(seed, 6) ? "192.168.1." : "fd00:8::", i + 1);
		if (random_below(seed, 3))
			kwgi_buf_printf(b, "pod-cidr = fd00:42:%x::/48\n", i);
		for (j = random_below(seed, 5); j; j--) {
			kwgi_buf_puts(b, "allowed-location-ip = ");
			put_random_net(b, seed);
			kwgi_buf_putc(b, '\n');
		}
	}
	for (i = 0; i < random_below(seed, 3); i++)
		kwgi_buf_printf(b, "[peer]\nname = p%u\npublic-key = %s\nallowed-ip = 10.5.0.%u/32\nallowed-ip = 10.5.0.%u/31\n",
				i, key_text(100 + i), random_below(seed, 8), random_below(seed, 4) * 2);
}

START_TEST(location_ips)
{
	static struct list now[8], gone[8];
	uint32_t i, kept = 0, rejected = 0;
	struct kwgi_buf b = { 0 };
	struct kwg_config cfg;
	uint64_t seed = 4711;
	unsigned round;

	for (round = 0; round < 5000; round++) {
		put_random_mesh(&b, &seed);
		config_finish(&cfg, b.p);
		ck_assert_msg(cfg.topology, "%s\n%s", b.p, diags_text(&cfg.diags));
		naive_filter(cfg.topology, now, gone);
		for (i = 0; i < cfg.topology->n_segments; i++) {
			const struct kwgi_segment *s = &cfg.topology->segments[i];

			same_list("kept", s, &now[i], &s->location_ips, b.p);
			same_list("rejected", s, &gone[i], &s->rejected_location_ips, b.p);
			kept += now[i].n;
			rejected += gone[i].n;
		}
		kwgi_arena_free(&cfg.arena);
		kwgi_buf_free(&b);
	}
	/* It was about something. */
	ck_assert_uint_gt(kept, 5000);
	ck_assert_uint_gt(rejected, 5000);
}
END_TEST

/* ---- peers and discovered endpoints ---------------------------------- */

START_TEST(peers)
{
	struct kwg_config cfg;
	const struct kwgi_topology *t;
	char text[KWGI_PREFIX_TEXT];
	struct kwgi_buf b = { 0 };

	kwgi_buf_printf(&b, "[mesh]\nformat = 1\n"
			    "[peer]\nname = b\npublic-key = %s\nallowed-ip = 10.5.0.1/32, 10.5.0.2/32, 10.5.0.2/32\n"
			    "[peer]\nname = a\npublic-key = %s\nallowed-ip = 10.5.0.1/32\n"
			    "[peer]\nname = c\npublic-key = %s\nallowed-ip = 10.5.0.2/32\nallowed-ip = 10.5.0.0/24\n"
			    "[peer]\nname = 0\nallowed-ip = 10.5.0.0/24\n",
			key_text(1), key_text(2), key_text(3));
	config_finish(&cfg, b.p);
	t = cfg.topology;
	ck_assert_uint_eq(t->n_peers, 3);	/* one has no key */
	ck_assert_str_eq(t->peers[0].peer->name, "a");
	ck_assert_uint_eq(t->peers[0].allowed_ips.n, 1);
	ck_assert_str_eq(t->peers[1].peer->name, "b");
	ck_assert_uint_eq(t->peers[1].allowed_ips.n, 1);
	ck_assert_str_eq(kwgi_prefix_format(text, &t->peers[1].allowed_ips.v[0]), "10.5.0.2/32");
	ck_assert_uint_eq(t->peers[2].allowed_ips.n, 1);
	ck_assert_str_eq(kwgi_prefix_format(text, &t->peers[2].allowed_ips.v[0]), "10.5.0.0/24");
	kwgi_arena_free(&cfg.arena);
	kwgi_buf_free(&b);
}
END_TEST

/* The own entry first; then those of all, segment after segment, member after member. */
START_TEST(discovered)
{
	static const struct {
		unsigned viewpoint, owner;
		int port;	/* -1: no entry */
	} lookups[] = {
		{ 0, 50, 3 }, { 1, 50, 2 }, { 2, 50, 1 }, { 3, 50, 3 }, { 0, 51, 7 }, { 2, 51, 0 }, { 0, 52, -1 },
	};
	/* Segments: location:a has n2, location:b has n1 and n0; n3 has seen nobody. */
	struct kwgi_buf b = { 0 };
	struct kwg_config cfg;
	char name[8];
	size_t i;

	kwgi_buf_puts(&b, "[mesh]\nformat = 1\n");
	put_node(&b, 0, "name = n0\nlocation = b\nendpoint = 203.0.113.1:1\ninternal-ip = 192.168.1.1/24\ndiscovered-endpoint = %s 1.1.1.1:3",
		 key_text(50));
	put_node(&b, 1, "name = n1\nlocation = b\nendpoint = 203.0.113.1:1\ninternal-ip = 192.168.1.2/24\ndiscovered-endpoint = %s 1.1.1.1:2, %s 1.1.1.1:7",
		 key_text(50), key_text(51));
	put_node(&b, 2, "name = n2\nlocation = c\nendpoint = 203.0.113.1:1\ninternal-ip = 192.168.1.3/24\ndiscovered-endpoint = %s 1.1.1.1:1, %s -",
		 key_text(50), key_text(51));
	put_node(&b, 3, "name = n3\nlocation = a\nendpoint = 203.0.113.1:1\ninternal-ip = 192.168.1.4/24");
	config_finish(&cfg, b.p);
	for (i = 0; i < N_OF(lookups); i++) {
		const struct kwgi_discovered *d;
		struct kwgi_key k = key(lookups[i].owner);
		uint32_t n;

		snprintf(name, sizeof(name), "n%u", lookups[i].viewpoint);
		n = kwgi_topology_find(cfg.topology, name);
		d = kwgi_topology_discovered(cfg.topology, cfg.topology->nodes[n], &k);
		ck_assert_msg((d ? d->endpoint.port : -1) == lookups[i].port, "case %zu: %d", i,
			      d ? d->endpoint.port : -1);
	}
	ck_assert_uint_eq(kwgi_topology_find(cfg.topology, "n"), UINT32_MAX);
	ck_assert_uint_eq(kwgi_topology_find(cfg.topology, "n4"), UINT32_MAX);
	kwgi_arena_free(&cfg.arena);
	kwgi_buf_free(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, segments, 0, N_OF(layouts));
	tcase_add_test(tc, leader);
	tcase_add_loop_test(tc, allocates, 0, N_OF(subnets));
	tcase_add_test(tc, location_ips);
	tcase_add_test(tc, peers);
	tcase_add_test(tc, discovered);
}

int main(void)
{
	return unit_run("topology", add);
}
