/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What was learnt of others, in the format of Kilo's annotation. */
#include "steps/facts.h"
#include "unit.h"

/* The first byte of the key, what the topology says, what WireGuard says. */
static const struct {
	uint8_t first;
	uint32_t keepalive;	/* of its own */
	int64_t handshake;
	const char *endpoint;
	const char *member;	/* behind the key; NULL: not listed */
} cases[] = {
	{ 0x00, 25, 1, "203.0.113.2:1024", "{\"IP\":\"203.0.113.2\",\"Port\":1024,\"Zone\":\"\"}" },
	{ 0x04, 0, 1, "203.0.113.2:1024", NULL },
	{ 0x08, 25, 0, "203.0.113.2:1024", NULL },
	{ 0x0c, 1, 1, "[2001:db8::1]:65535", "{\"IP\":\"2001:db8::1\",\"Port\":65535,\"Zone\":\"\"}" },
	{ 0x10, 1, 1, "", "null" },
	/* "/" stands before "A" in text, and 0xfc behind 0 in bytes */
	{ 0xfc, 1, 1, "203.0.113.9:1", "{\"IP\":\"203.0.113.9\",\"Port\":1,\"Zone\":\"\"}" },
};

enum { N = N_OF(cases) };

struct world {
	struct kwg_config cfg;
	struct kwgi_node nodes[N];
	struct kwgi_peer peers[N];
	const struct kwgi_node *node_list[N];
	struct kwgi_mesh_peer peer_list[N];
	struct kwgi_topology topo;
	struct kwg_plan plan;
	struct kwgi_host_peer seen[N];
	struct kwgi_host host;
	struct kwgi_facts a;
};

/* Every other one is a node, the rest are peers; which way round is odd. */
static void make(struct world *o, uint32_t odd)
{
	uint32_t i;

	memset(o, 0, sizeof(*o));
	for (i = 0; i < N; i++) {
		struct kwgi_key k = { { 0 } };

		k.b[0] = cases[i].first;
		o->seen[i] = (struct kwgi_host_peer){ .key = k, .last_handshake = cases[i].handshake,
						      .endpoint = endpoint(cases[i].endpoint) };
		if (i % 2 == odd) {
			o->nodes[i] = (struct kwgi_node){ .name = "n", .key = k,
							  .keepalive = cases[i].keepalive };
			o->node_list[o->topo.n_nodes++] = &o->nodes[i];
		} else {
			o->peers[i] = (struct kwgi_peer){ .name = "p", .key = k,
							  .keepalive = cases[i].keepalive };
			o->peer_list[o->topo.n_peers++].peer = &o->peers[i];
		}
	}
	o->topo.nodes = o->node_list;
	o->topo.peers = o->peer_list;
	o->plan.topo = &o->topo;
	o->host.wg = (struct kwgi_host_wg){ .present = true, .peers = o->seen, .n_peers = N };
	o->a = (struct kwgi_facts){ .cfg = &o->cfg, .name = "a", .plan = &o->plan,
				       .host = &o->host };
}

static void put_wanted(struct kwgi_buf *b, uint32_t i)
{
	struct kwgi_key k = { { 0 } };
	char text[KWGI_KEY_TEXT];

	k.b[0] = cases[i].first;
	if (cases[i].member)
		kwgi_buf_printf(b, "%s\"%s\":%s", b->len > 1 ? "," : "", kwgi_key_format(text, &k),
				cases[i].member);
}

START_TEST(discovered)
{
	struct kwgi_buf b = { 0 }, want = { 0 };
	struct world o;
	uint32_t i;

	make(&o, (uint32_t)_i);
	kwgi_facts_discovered(&o.a, &b);
	kwgi_buf_putc(&want, '{');
	put_wanted(&want, N - 1);
	for (i = 0; i < N - 1; i++)
		put_wanted(&want, i);
	kwgi_buf_putc(&want, '}');
	ck_assert(!b.failed && !want.failed);
	ck_assert_str_eq(b.p, want.p);
	kwgi_buf_free(&b);
	kwgi_buf_free(&want);
}
END_TEST

/* Kilo writes an empty map, too. */
START_TEST(nothing)
{
	struct kwgi_buf b = { 0 };
	struct world o;

	make(&o, 0);
	if (_i)
		o.a.plan = NULL;
	else
		o.host.wg.n_peers = 0;
	kwgi_facts_discovered(&o.a, &b);
	ck_assert(!b.failed);
	ck_assert_str_eq(b.p, "{}");
	kwgi_buf_free(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, discovered, 0, 2);
	tcase_add_loop_test(tc, nothing, 0, 2);
}

int main(void)
{
	return unit_run("announce", add);
}
