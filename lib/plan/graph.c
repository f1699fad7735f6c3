/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The mesh in Graphviz DOT, with the meaning that kgctl graph gives it: a
 * cluster per segment and one for the peers; the leader is joined to the
 * other members, to each other leader and to each peer.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/graph.h"
#include "plan/plan.h"

/* A DOT string (graphviz.org/doc/info/lang.html): only the quote needs an escape. */
static void put_escaped(struct kwgi_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			kwgi_buf_putc(b, '\\');
		kwgi_buf_putc(b, *s);
	}
}

static void put_quoted(struct kwgi_buf *b, const char *s)
{
	kwgi_buf_putc(b, '"');
	put_escaped(b, s);
	kwgi_buf_putc(b, '"');
}

static void put_edge(struct kwgi_buf *b, const char *from, const char *to, bool dashed)
{
	kwgi_buf_putc(b, '\t');
	put_quoted(b, from);
	kwgi_buf_puts(b, "->");
	put_quoted(b, to);
	kwgi_buf_puts(b, dashed ? "[ dir=both, style=dashed ];\n" : "[ dir=both ];\n");
}

static void put_edges(struct kwgi_buf *b, const struct kwgi_topology *t)
{
	uint32_t i, j;

	for (i = 0; i < t->n_segments; i++)
		for (j = 0; j < t->segments[i].n; j++)
			if (t->segments[i].members[j] != t->segments[i].leader)
				put_edge(b, t->segments[i].leader->name,
					 t->segments[i].members[j]->name, false);
	for (i = 0; i < t->n_segments; i++)
		for (j = i + 1; j < t->n_segments; j++)
			put_edge(b, t->segments[i].leader->name, t->segments[j].leader->name, false);
	for (i = 0; i < t->n_segments; i++)
		for (j = 0; j < t->n_peers; j++)
			put_edge(b, t->segments[i].leader->name, t->peers[j].peer->name, true);
}

static int by_name(const void *name, const void *peer)
{
	return strcmp(name, ((const struct kwgi_mesh_peer *)peer)->peer->name);
}

/* A peer named like a node shares its bubble, and the peer's label wins. */
static const struct kwgi_mesh_peer *namesake(const struct kwgi_topology *t, const char *name)
{
	if (!t->n_peers)
		return NULL;
	return bsearch(name, t->peers, t->n_peers, sizeof(*t->peers), by_name);
}

/* Endpoints in the graph are those configured, so it is the same from every node. */
static void put_peer_label(struct kwgi_buf *b, const struct kwgi_peer *p)
{
	put_escaped(b, p->name);
	kwgi_buf_puts(b, "\\n");
	if (p->endpoint.port)
		kwgi_buf_endpoint(b, &p->endpoint);
	kwgi_buf_puts(b, "\\n");
}

static void put_member_label(struct kwgi_buf *b, const struct kwgi_segment *s,
			     const struct kwgi_node *m)
{
	uint32_t i;

	put_escaped(b, s->id);
	kwgi_buf_puts(b, "\\n");
	put_escaped(b, m->name);
	for (i = 0; i < m->pod_cidrs.n; i++) {
		kwgi_buf_puts(b, "\\n");
		kwgi_buf_prefix(b, &m->pod_cidrs.v[i].prefix);
	}
	if (s->has_private_ips) {
		kwgi_buf_puts(b, "\\n");
		kwgi_buf_addr(b, &m->internal_ip.addr);
	}
	if (m != s->leader)
		return;
	kwgi_buf_puts(b, "\\n");
	kwgi_buf_addr(b, &s->wg_ip);
	if (!m->endpoint.port)
		return;
	kwgi_buf_puts(b, "\\n");
	kwgi_buf_endpoint(b, &m->endpoint);
}

static void begin_cluster(struct kwgi_buf *b, const char *prefix, const char *id)
{
	kwgi_buf_puts(b, "\tsubgraph \"cluster_");
	kwgi_buf_puts(b, prefix);
	put_escaped(b, id);
	kwgi_buf_puts(b, "\" {\n\t\tlabel=");
	put_quoted(b, id);
	kwgi_buf_puts(b, ";\n\t\tstyle=\"dashed,rounded\";\n");
}

static void put_segment(struct kwgi_buf *b, const struct kwgi_topology *t,
			const struct kwgi_segment *s)
{
	uint32_t i;

	begin_cluster(b, "location_", s->id);
	for (i = 0; i < s->n; i++) {
		const struct kwgi_node *m = s->members[i];
		const struct kwgi_mesh_peer *p = namesake(t, m->name);

		kwgi_buf_puts(b, "\t\t");
		put_quoted(b, m->name);
		kwgi_buf_puts(b, " [ label=\"");
		if (p)
			put_peer_label(b, p->peer);
		else
			put_member_label(b, s, m);
		kwgi_buf_puts(b, m == s->leader ? "\", rank=1, shape=ellipse ];\n"
						: "\", shape=ellipse ];\n");
	}
	kwgi_buf_puts(b, "\t}\n");
}

/* Is the node of this name, if any, a leader? */
static bool leads(const struct kwgi_topology *t, const char *name)
{
	uint32_t i = kwgi_topology_find(t, name);

	return i != UINT32_MAX && t->segments[t->segment_of[i]].leader == t->nodes[i];
}

static void put_peers(struct kwgi_buf *b, const struct kwgi_topology *t)
{
	uint32_t i;

	begin_cluster(b, "", "peers");
	for (i = 0; i < t->n_peers; i++) {
		kwgi_buf_puts(b, "\t\t");
		put_quoted(b, t->peers[i].peer->name);
		kwgi_buf_puts(b, " [ label=\"");
		put_peer_label(b, t->peers[i].peer);
		kwgi_buf_puts(b, leads(t, t->peers[i].peer->name) ? "\", rank=1, shape=ellipse ];\n"
								   : "\", shape=ellipse ];\n");
	}
	kwgi_buf_puts(b, "\t}\n");
}

void kwgi_graph_dot(const struct kwg_config *cfg, struct kwgi_buf *b)
{
	const struct kwgi_topology *t = cfg->topology;
	uint32_t i;

	kwgi_buf_puts(b, "digraph kilo {\n\tlabel=\"");
	kwgi_buf_prefix(b, &cfg->mesh.subnet);
	kwgi_buf_puts(b, "\";\n\tlabelloc=t;\n\toutputorder=nodesfirst;\n\toverlap=false;\n");
	put_edges(b, t);
	for (i = 0; i < t->n_segments; i++)
		put_segment(b, t, &t->segments[i]);
	put_peers(b, t);
	kwgi_buf_puts(b, "}\n");
}
