/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/error.h"
#include "plan/pairs.h"

static const uint8_t families[] = { KWGI_AF_V4, KWGI_AF_V6 };

struct ends {
	struct kwgi_end *v;		/* with the address to send to */
	uint32_t n, cap;
	struct kwgi_arena arena;
};

/* ---- ends ------------------------------------------------------------ */

static int add_end(const struct kwgi_tracer *t, struct ends *ends, struct kwgi_end e)
{
	size_t i;

	for (i = 0; i < sizeof(families); i++) {
		struct kwgi_end with = e;

		with.addr = kwgi_trace_address(t, &e, families[i]);
		if (!with.addr.family)
			continue;
		if (kwgi_arena_grow(&ends->arena, &ends->v, ends->n, &ends->cap, sizeof(*ends->v)))
			return -1;
		ends->v[ends->n++] = with;
	}
	return 0;
}

/* Those of one node follow each other. */
static int find_ends(const struct kwgi_tracer *t, struct ends *ends)
{
	const struct kwgi_topology *topo = t->topo;
	uint32_t i;

	for (i = 0; i < topo->n_nodes; i++) {
		struct kwgi_end node = { .kind = KWGI_END_NODE, .node = topo->nodes[i] };
		struct kwgi_end pod = { .kind = KWGI_END_POD, .node = topo->nodes[i] };

		if (add_end(t, ends, node) || (pod.node->pod_cidrs.n && add_end(t, ends, pod)))
			return -1;
	}
	for (i = 0; i < topo->n_segments; i++) {
		struct kwgi_end site = { .kind = KWGI_END_SITE, .node = topo->segments[i].leader };

		if (topo->segments[i].location_ips.n && add_end(t, ends, site))
			return -1;
	}
	for (i = 0; i < topo->n_peers; i++)
		if (add_end(t, ends, (struct kwgi_end){ .kind = KWGI_END_PEER, .peer = &topo->peers[i] }))
			return -1;
	return 0;
}

static bool should_reach(const struct kwgi_end *from, const struct kwgi_end *to)
{
	if (from->addr.family != to->addr.family || from->kind == KWGI_END_SITE)
		return false;
	if (from->kind == KWGI_END_PEER)
		return to->kind != KWGI_END_PEER;
	return from->node != to->node || to->kind == KWGI_END_SITE;
}

/* ---- pairs ----------------------------------------------------------- */

/* ---- what all packets to an end have in common ----------------------- */

/*
 * Where a place sends what is for an end, if that does not depend on the source; else, and wherever
 * something is amiss, a trace is asked. So this only ever says that a pair is well.
 */
enum {
	ARRIVED = 0x3fffffff, ASK = 0x3ffffffe, PLACE = 0x3fffffff,
	OWN_SOURCE = 1 << 30,		/* its own packets have the address of its end */
};
#define BY_WIREGUARD 0x80000000u

struct forwarding {
	uint32_t *next;			/* of each place, for each end */
	uint32_t *expected;		/* of each place, from which the source of each end is expected */
	bool *accepts_tunnel;		/* of each place */
	uint32_t n_ends, n_places;
	struct kwgi_arena arena;
};

static bool is_meant(const struct kwgi_end *meant, const struct kwgi_end *end)
{
	return meant->kind == end->kind && meant->node == end->node;
}

static uint32_t encode(const struct kwgi_tracer *t, const struct kwgi_decision *d, uint32_t place,
		       const struct kwgi_end *to)
{
	struct kwgi_end node = { .kind = KWGI_END_NODE };
	struct kwgi_addr own;
	uint32_t code;

	if (d->varies)
		return ASK;
	if (d->via == KWGI_VIA_NOTHING)
		return is_meant(to, &d->end) ? ARRIVED : ASK;
	if (d->next == UINT32_MAX || (d->via == KWGI_VIA_WIREGUARD && !d->has_endpoint))
		return ASK;
	code = d->next | (d->via == KWGI_VIA_WIREGUARD ? BY_WIREGUARD : 0);
	if (place >= t->topo->n_nodes)
		return code | OWN_SOURCE;
	node.node = t->topo->nodes[place];
	own = kwgi_trace_address(t, &node, to->addr.family);
	return code | (kwgi_addr_equal(&own, &d->src) ? OWN_SOURCE : 0);
}

/* A place at a time, since the plans of all of them take much memory. */
static int ask_place(struct kwgi_tracer *t, const struct ends *ends, struct forwarding *f, uint32_t place)
{
	uint32_t *next = f->next + (size_t)place * f->n_ends, i;
	uint32_t *expected = f->expected + (size_t)place * f->n_ends;
	struct kwgi_decision d;

	for (i = 0; i < ends->n; i++) {
		if (kwgi_trace_decide(t, place, &ends->v[i].addr, &d))
			return -1;
		next[i] = encode(t, &d, place, &ends->v[i]);
		expected[i] = kwgi_trace_expects(t, place, &ends->v[i].addr);
	}
	f->accepts_tunnel[place] = kwgi_trace_accepts_tunnel(t, place);
	kwgi_tracer_forget(t, place);
	return 0;
}

static int ask_places(struct kwgi_tracer *t, const struct ends *ends, struct forwarding *f)
{
	uint32_t i;

	f->n_ends = ends->n;
	f->n_places = t->topo->n_nodes + t->topo->n_peers;
	f->next = kwgi_arena_alloc(&f->arena, (size_t)f->n_places * ends->n + 1, sizeof(*f->next));
	f->expected = kwgi_arena_alloc(&f->arena, (size_t)f->n_places * ends->n + 1, sizeof(*f->expected));
	f->accepts_tunnel = kwgi_arena_alloc(&f->arena, f->n_places + 1u, sizeof(*f->accepts_tunnel));
	if (!f->next || !f->expected || !f->accepts_tunnel)
		return -1;
	for (i = 0; i < f->n_places; i++)
		if (ask_place(t, ends, f, i))
			return -1;
	return 0;
}

/* Certainly; false: a trace tells. answer: the source is the address that was asked. */
static bool arrives(const struct kwgi_tracer *t, const struct forwarding *f, const struct ends *ends,
		    uint32_t from, uint32_t to, bool answer)
{
	uint32_t at = kwgi_tracer_place(t, ends->v[from].node, ends->v[from].peer), hops, code;

	if (!answer && ends->v[from].kind == KWGI_END_NODE &&
	    !(f->next[(size_t)at * f->n_ends + to] & OWN_SOURCE))
		return false;
	for (hops = 0; hops < KWGI_MAX_HOPS; hops++) {
		/* A peer answers for itself. */
		if (hops && at >= t->topo->n_nodes)
			return ends->v[to].kind == KWGI_END_PEER && at == kwgi_tracer_place(t, NULL, ends->v[to].peer);
		code = f->next[(size_t)at * f->n_ends + to];
		if ((code & PLACE) == ARRIVED || (code & PLACE) == ASK)
			return (code & PLACE) == ARRIVED;
		if (code & BY_WIREGUARD ? f->expected[(size_t)(code & PLACE) * f->n_ends + from] != at
					: !f->accepts_tunnel[code & PLACE])
			return false;
		at = code & PLACE;
	}
	return false;
}

static int check_pair(struct kwgi_tracer *t, const struct kwgi_end *from, const struct kwgi_end *to,
		      struct kwgi_pairs *out, struct kwg_error *err)
{
	struct kwgi_end origin = *from;
	struct kwgi_explained e;
	int ret;

	/* Of a node's own addresses the route decides. */
	if (from->kind == KWGI_END_NODE)
		origin.addr.family = KWGI_AF_NONE;
	ret = kwgi_explain(t, &origin, to, &e, err);
	if (ret || e.reached)
		return ret;
	out->failed++;
	if (out->n_shown < KWGI_PAIRS_SHOWN)
		out->shown[out->n_shown++] = e;
	return 0;
}

static int check_from(struct kwgi_tracer *t, const struct forwarding *f, const struct ends *ends, uint32_t i,
		      struct kwgi_pairs *out, struct kwg_error *err)
{
	uint32_t j;
	int ret;

	for (j = 0; j < ends->n; j++) {
		if (!should_reach(&ends->v[i], &ends->v[j]))
			continue;
		out->traced++;
		if (arrives(t, f, ends, i, j, false) && arrives(t, f, ends, j, i, true))
			continue;
		ret = check_pair(t, &ends->v[i], &ends->v[j], out, err);
		if (ret)
			return ret;
	}
	return 0;
}

int kwgi_pairs_check(struct kwgi_tracer *t, struct kwgi_pairs *out, struct kwg_error *err)
{
	struct forwarding f = { 0 };
	struct ends ends = { 0 };
	uint32_t i;
	int ret = 0;

	if (find_ends(t, &ends) || ask_places(t, &ends, &f))
		ret = kwgi_nomem(err);
	*out = (struct kwgi_pairs){ .ends = ends.n };
	for (i = 0; i < ends.n && !ret; i++)
		ret = check_from(t, &f, &ends, i, out, err);
	kwgi_arena_free(&ends.arena);
	kwgi_arena_free(&f.arena);
	return ret;
}

/* ---- words ----------------------------------------------------------- */

static void put_why(const struct kwgi_explained *e, struct kwgi_buf *b)
{
	if (e->has_back)
		kwgi_buf_puts(b, "the answer is lost: ");
	kwgi_explain_stop(b, e->has_back ? &e->back : &e->there);
}

void kwgi_pairs_text(const struct kwgi_pairs *p, struct kwgi_buf *b)
{
	uint32_t i;

	for (i = 0; i < p->n_shown; i++) {
		kwgi_explain_end(b, &p->shown[i].from);
		kwgi_buf_puts(b, " does not reach ");
		kwgi_explain_end(b, &p->shown[i].to);
		kwgi_buf_puts(b, ": ");
		put_why(&p->shown[i], b);
		kwgi_buf_putc(b, '\n');
	}
	if (p->failed > p->n_shown)
		kwgi_buf_printf(b, "and %llu more\n", (unsigned long long)(p->failed - p->n_shown));
	kwgi_buf_printf(b, "%llu of %llu pairs reach each other\n", (unsigned long long)(p->traced - p->failed),
			(unsigned long long)p->traced);
}

void kwgi_pairs_json(const struct kwgi_pairs *p, struct kwgi_buf *b)
{
	struct kwgi_json j = { .b = b };
	uint32_t i;

	kwgi_json_object(&j, NULL);
	kwgi_json_array(&j, "first");
	for (i = 0; i < p->n_shown; i++) {
		struct kwgi_buf from = { 0 }, to = { 0 }, why = { 0 };

		kwgi_explain_end(&from, &p->shown[i].from);
		kwgi_explain_end(&to, &p->shown[i].to);
		put_why(&p->shown[i], &why);
		kwgi_json_object(&j, NULL);
		kwgi_json_string(&j, "from", from.p);
		kwgi_json_string(&j, "text", why.p);
		kwgi_json_string(&j, "to", to.p);
		kwgi_json_end_object(&j);
		b->failed |= from.failed || to.failed || why.failed;
		kwgi_buf_free(&from);
		kwgi_buf_free(&to);
		kwgi_buf_free(&why);
	}
	kwgi_json_end_array(&j);
	kwgi_json_uint(&j, "pairs", p->traced);
	kwgi_json_uint(&j, "schema", 1);
	kwgi_json_uint(&j, "unreached", p->failed);
	kwgi_json_end_object(&j);
}
