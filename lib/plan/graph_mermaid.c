/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The mesh as a Mermaid flowchart, which wikis and code hosts draw from text. */
#include "plan/graph.h"
#include "plan/plan.h"

/* In quotes, Mermaid takes HTML entities with # instead of &. */
static void put_text(struct kwgi_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '"')
			kwgi_buf_puts(b, "#quot;");
		else if (*s == '&')
			kwgi_buf_puts(b, "#amp;");
		else if (*s == '#')
			kwgi_buf_puts(b, "#35;");
		else if (*s == '<')
			kwgi_buf_puts(b, "#lt;");
		else
			kwgi_buf_putc(b, *s);
	}
}

static void put_node(struct kwgi_buf *b, const struct kwgi_topology *t, const struct kwgi_segment *s,
		     const struct kwgi_node *m)
{
	kwgi_buf_printf(b, "    n%u[\"", kwgi_topology_find(t, m->name));
	put_text(b, m->name);
	if (m == s->leader) {
		kwgi_buf_puts(b, "<br/>");
		kwgi_buf_addr(b, &s->wg_ip);
	} else if (kwgi_node_has_private_ip(m)) {
		kwgi_buf_puts(b, "<br/>");
		kwgi_buf_addr(b, &m->internal_ip.addr);
	}
	kwgi_buf_puts(b, m == s->leader ? "\"]:::leader\n" : "\"]\n");
}

static void put_segment(struct kwgi_buf *b, const struct kwgi_topology *t, uint32_t i)
{
	const struct kwgi_segment *s = &t->segments[i];
	uint32_t j;

	kwgi_buf_printf(b, "  subgraph s%u[\"", i);
	put_text(b, s->id);
	kwgi_buf_puts(b, "\"]\n");
	for (j = 0; j < s->n; j++)
		put_node(b, t, s, s->members[j]);
	kwgi_buf_puts(b, "  end\n");
}

/* Within a location, between leaders, and to peers. */
static void put_links(struct kwgi_buf *b, const struct kwgi_topology *t)
{
	uint32_t i, j;

	for (i = 0; i < t->n_segments; i++) {
		const struct kwgi_segment *s = &t->segments[i];
		uint32_t leader = kwgi_topology_find(t, s->leader->name);

		for (j = 0; j < s->n; j++)
			if (s->members[j] != s->leader)
				kwgi_buf_printf(b, "  n%u --- n%u\n", leader, kwgi_topology_find(t, s->members[j]->name));
		for (j = i + 1; j < t->n_segments; j++)
			kwgi_buf_printf(b, "  n%u <==> n%u\n", leader,
					kwgi_topology_find(t, t->segments[j].leader->name));
		for (j = 0; j < t->n_peers; j++)
			kwgi_buf_printf(b, "  n%u -.- p%u\n", leader, j);
	}
}

void kwgi_graph_mermaid(const struct kwg_config *cfg, struct kwgi_buf *b)
{
	const struct kwgi_topology *t = cfg->topology;
	uint32_t i;

	kwgi_buf_puts(b, "flowchart LR\n");
	for (i = 0; i < t->n_segments; i++)
		put_segment(b, t, i);
	for (i = 0; i < t->n_peers; i++) {
		kwgi_buf_printf(b, "  p%u([\"", i);
		put_text(b, t->peers[i].peer->name);
		kwgi_buf_puts(b, "\"])\n");
	}
	put_links(b, t);
	kwgi_buf_puts(b, "  classDef leader stroke-width:3px\n");
}
