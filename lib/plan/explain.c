/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "base/error.h"
#include "plan/explain.h"

/* ---- questions ------------------------------------------------------- */

static bool is_node(const struct kwgi_tracer *t, const char *name, struct kwgi_end *out, enum kwgi_end_kind kind)
{
	uint32_t i = kwgi_topology_find(t->topo, name);

	if (i == UINT32_MAX)
		return false;
	*out = (struct kwgi_end){ .kind = kind, .node = t->topo->nodes[i] };
	return true;
}

static bool is_peer(const struct kwgi_tracer *t, const char *name, struct kwgi_end *out)
{
	uint32_t i;

	for (i = 0; i < t->topo->n_peers; i++) {
		if (strcmp(t->topo->peers[i].peer->name, name))
			continue;
		*out = (struct kwgi_end){ .kind = KWGI_END_PEER, .peer = &t->topo->peers[i] };
		return true;
	}
	return false;
}

int kwgi_explain_parse(struct kwgi_tracer *t, const char *text, struct kwgi_end *out, struct kwg_error *err)
{
	struct kwgi_addr a;

	if (is_node(t, text, out, KWGI_END_NODE) || is_peer(t, text, out))
		return 0;
	if (!strncmp(text, "pod:", 4)) {
		if (!is_node(t, text + 4, out, KWGI_END_POD))
			return kwgi_fail(err, KWG_ERR_USAGE, 0, "there is no node \"%.253s\" that takes part", text + 4);
		if (!out->node->pod_cidrs.n)
			return kwgi_fail(err, KWG_ERR_USAGE, 0, "node \"%.253s\" has no pod-cidr", text + 4);
		return 0;
	}
	if (!kwgi_addr_parse(&a, text)) {
		*out = kwgi_trace_whose(t, &a);
		return 0;
	}
	return kwgi_fail(err, KWG_ERR_USAGE, 0,
			 "\"%.253s\" is no node and no peer that takes part, and no address; pod:NODE means a pod of that node",
			 text);
}

/* Of one family, which both have. */
static bool find_addresses(const struct kwgi_tracer *t, struct kwgi_end *from, struct kwgi_end *to)
{
	static const uint8_t families[] = { KWGI_AF_V4, KWGI_AF_V6 };
	struct kwgi_addr src, dst;
	size_t i;

	for (i = 0; i < sizeof(families); i++) {
		src = kwgi_trace_address(t, from, families[i]);
		dst = kwgi_trace_address(t, to, families[i]);
		if (!dst.family || (!src.family && from->kind != KWGI_END_NODE))
			continue;
		to->addr = dst;
		/* Of a node's own addresses the route decides. */
		if (from->kind != KWGI_END_NODE)
			from->addr = src;
		return true;
	}
	return false;
}

int kwgi_explain(struct kwgi_tracer *t, const struct kwgi_end *from, const struct kwgi_end *to,
		 struct kwgi_explained *out, struct kwg_error *err)
{
	struct kwgi_end origin;

	*out = (struct kwgi_explained){ .from = *from, .to = *to };
	if (from->kind == KWGI_END_OUTSIDE)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "the first address is none of the mesh, so nothing is known of the way from there");
	if (!find_addresses(t, &out->from, &out->to))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the two have no addresses of one family, IPv4 or IPv6");
	if (kwgi_trace(t, &out->from, &out->to, NULL, &out->there))
		return kwgi_nomem(err);
	out->has_back = out->there.stop == KWGI_STOP_ARRIVED;
	if (!out->has_back)
		return 0;
	origin = out->from;
	if (kwgi_trace_answer(t, &origin, &out->there, &out->back))
		return kwgi_nomem(err);
	out->reached = out->back.stop == KWGI_STOP_ARRIVED;
	return 0;
}

/* ---- words ----------------------------------------------------------- */

static const char *const end_words[] = {
	[KWGI_END_NODE] = "node", [KWGI_END_POD] = "pod", [KWGI_END_SITE] = "host", [KWGI_END_PEER] = "peer",
	[KWGI_END_OUTSIDE] = "outside",
};

void kwgi_explain_end(struct kwgi_buf *b, const struct kwgi_end *e)
{
	char text[KWGI_ADDR_TEXT] = "";

	if (e->addr.family)
		kwgi_addr_format(text, &e->addr);
	switch (e->kind) {
	case KWGI_END_NODE:
		kwgi_buf_printf(b, "node %s", e->node->name);
		break;
	case KWGI_END_POD:
		kwgi_buf_printf(b, "a pod of node %s", e->node->name);
		break;
	case KWGI_END_SITE:
		kwgi_buf_printf(b, "a host behind node %s", e->node->name);
		break;
	case KWGI_END_PEER:
		kwgi_buf_printf(b, "peer %s", e->peer->peer->name);
		break;
	case KWGI_END_OUTSIDE:
		kwgi_buf_puts(b, "outside of the mesh");
		break;
	}
	if (*text)
		kwgi_buf_printf(b, " (%s)", text);
}

static const char *place(const struct kwgi_hop *h)
{
	return h->node ? h->node->name : h->peer->peer->name;
}

static const char *word(const struct kwgi_hop *h)
{
	return h->node ? "node" : "peer";
}

void kwgi_explain_stop(struct kwgi_buf *b, const struct kwgi_trace *trace)
{
	const struct kwgi_hop *h = &trace->hops[trace->n - 1];
	char src[KWGI_ADDR_TEXT] = "", dst[KWGI_ADDR_TEXT];

	kwgi_addr_format(dst, &h->dst);
	if (h->src.family)
		kwgi_addr_format(src, &h->src);
	switch (trace->stop) {
	case KWGI_STOP_ARRIVED:
		kwgi_buf_puts(b, "arrived at ");
		kwgi_explain_end(b, &trace->end);
		break;
	case KWGI_STOP_LEFT:
		kwgi_buf_printf(b, "%s is no address of the mesh: %s sends it where its own routes lead", dst, place(h));
		break;
	case KWGI_STOP_ELSEWHERE:
		kwgi_buf_printf(b, "it ends at ");
		kwgi_explain_end(b, &trace->end);
		kwgi_buf_puts(b, ", which has that address, too");
		break;
	case KWGI_STOP_NO_PEER:
		kwgi_buf_printf(b, "WireGuard of %s %s drops it: no peer has %s among its allowed IPs", word(h), place(h),
				dst);
		break;
	case KWGI_STOP_SOURCE:
		kwgi_buf_printf(b, "WireGuard of %s drops it: it expects %s from %s, not from %s %s", h->wg->name, src,
				trace->expected ? trace->expected : "nobody", word(h), place(h));
		break;
	case KWGI_STOP_ENDPOINT:
		kwgi_buf_printf(b, "%s %s and %s have no endpoint of each other, so neither can begin a session", word(h),
				place(h), h->wg->name);
		break;
	case KWGI_STOP_GATEWAY:
		kwgi_buf_printf(b, "the gateway ");
		kwgi_buf_addr(b, &h->route->gw);
		kwgi_buf_printf(b, " is no neighbour of %s: not in the network of its internal-ip", place(h));
		break;
	case KWGI_STOP_TUNNEL:
		kwgi_buf_printf(b, "the next node does not accept encapsulated packets of %s", place(h));
		break;
	case KWGI_STOP_FAMILY:
		kwgi_buf_printf(b, "%s %s has no address of the family of %s", word(h), place(h), dst);
		break;
	case KWGI_STOP_LOOP:
		kwgi_buf_printf(b, "it goes round in circles: after %d nodes it is at %s", KWGI_MAX_HOPS, place(h));
		break;
	}
}

static void put_wireguard(struct kwgi_buf *b, const struct kwgi_hop *h)
{
	if (!h->wg)
		return;
	kwgi_buf_printf(b, "encrypted to %s", h->wg->name);
	if (h->wg->endpoint.port) {
		kwgi_buf_puts(b, " at ");
		kwgi_buf_endpoint(b, &h->wg->endpoint);
	} else {
		kwgi_buf_puts(b, ", which begins the session");
	}
}

static void put_via(struct kwgi_buf *b, const struct kwgi_hop *h, bool is_site)
{
	switch (h->via) {
	case KWGI_VIA_NOTHING:
		break;
	case KWGI_VIA_LINK:
		kwgi_buf_puts(b, "in clear over the private network");
		break;
	case KWGI_VIA_TUNNEL:
		kwgi_buf_puts(b, "encapsulated over the private network, not encrypted");
		break;
	case KWGI_VIA_WIREGUARD:
		put_wireguard(b, h);
		break;
	case KWGI_VIA_HOST:
		kwgi_buf_puts(b, is_site ? "in clear, by routes of the host" : "in clear outside of the mesh, by routes of the host");
		break;
	}
}

/* By what it goes there: the rule, the route. */
static void put_reason(struct kwgi_tracer *t, struct kwgi_buf *b, const struct kwgi_hop *h)
{
	const struct kwg_plan *plan = h->node ? kwgi_tracer_plan(t, h->node) : NULL;
	const char *names[KWGI_N_ROLES];
	uint32_t table = t->cfg->local.route_table;

	if (!plan)
		return;
	memcpy(names, kwgi_role_names, sizeof(names));
	if (h->rule) {
		kwgi_buf_puts(b, "\n       rule   ");
		kwgi_rule_format(b, h->rule, names[KWGI_ROLE_KILO], table);
	}
	if (h->route) {
		kwgi_buf_puts(b, "\n       route  ");
		kwgi_route_format(b, h->route, names, table);
	}
}

static void put_translated(struct kwgi_buf *b, const struct kwgi_hop *h)
{
	if (h->restored.family) {
		kwgi_buf_puts(b, "\n       connection tracking puts the destination back: it was ");
		kwgi_buf_addr(b, &h->restored);
	}
	if (h->masqueraded.family) {
		kwgi_buf_puts(b, "\n       masqueraded: the source was ");
		kwgi_buf_addr(b, &h->masqueraded);
	}
}

static void put_trace(struct kwgi_tracer *t, struct kwgi_buf *b, const char *title, const struct kwgi_trace *trace)
{
	uint32_t i;

	kwgi_buf_printf(b, "%s\n", title);
	for (i = 0; i < trace->n; i++) {
		const struct kwgi_hop *h = &trace->hops[i];

		kwgi_buf_printf(b, "  %2u  %s %s: ", i + 1, word(h), place(h));
		kwgi_buf_addr(b, &h->src);
		kwgi_buf_puts(b, " > ");
		kwgi_buf_addr(b, &h->dst);
		if (h->via != KWGI_VIA_NOTHING && (h->wg || h->via != KWGI_VIA_WIREGUARD)) {
			kwgi_buf_puts(b, ", ");
			put_via(b, h, trace->end.kind == KWGI_END_SITE);
		}
		put_reason(t, b, h);
		put_translated(b, h);
		kwgi_buf_putc(b, '\n');
	}
	kwgi_buf_puts(b, trace->stop == KWGI_STOP_ARRIVED ? "      " : "      stops: ");
	kwgi_explain_stop(b, trace);
	kwgi_buf_putc(b, '\n');
}

void kwgi_explain_text(struct kwgi_tracer *t, const struct kwgi_explained *e, struct kwgi_buf *b)
{
	kwgi_buf_puts(b, "from ");
	kwgi_explain_end(b, &e->from);
	kwgi_buf_puts(b, " to ");
	kwgi_explain_end(b, &e->to);
	kwgi_buf_puts(b, "\n\n");
	put_trace(t, b, "there", &e->there);
	if (e->has_back) {
		kwgi_buf_putc(b, '\n');
		put_trace(t, b, "and back", &e->back);
	}
}

/* ---- JSON ------------------------------------------------------------ */

static const char *const via_words[] = {
	[KWGI_VIA_NOTHING] = "nothing", [KWGI_VIA_LINK] = "link", [KWGI_VIA_TUNNEL] = "tunnel",
	[KWGI_VIA_WIREGUARD] = "wireguard", [KWGI_VIA_HOST] = "host",
};

static const char *const stop_words[] = {
	[KWGI_STOP_ARRIVED] = "arrived", [KWGI_STOP_LEFT] = "left", [KWGI_STOP_ELSEWHERE] = "elsewhere",
	[KWGI_STOP_NO_PEER] = "no-peer", [KWGI_STOP_SOURCE] = "source", [KWGI_STOP_ENDPOINT] = "endpoint",
	[KWGI_STOP_GATEWAY] = "gateway", [KWGI_STOP_TUNNEL] = "tunnel", [KWGI_STOP_FAMILY] = "family",
	[KWGI_STOP_LOOP] = "loop",
};

static void json_end(struct kwgi_json *j, const char *key, const struct kwgi_end *e)
{
	kwgi_json_object(j, key);
	kwgi_json_addr(j, "address", &e->addr);
	kwgi_json_string(j, "kind", end_words[e->kind]);
	kwgi_json_string(j, "name", e->node ? e->node->name : e->peer ? e->peer->peer->name : NULL);
	kwgi_json_end_object(j);
}

static void json_addr(struct kwgi_json *j, const char *key, const struct kwgi_addr *a)
{
	if (a->family)
		kwgi_json_addr(j, key, a);
}

static void json_route(struct kwgi_json *j, const struct kwgi_hop *h, uint32_t table)
{
	struct kwgi_buf line = { 0 };

	if (h->route) {
		kwgi_route_format(&line, h->route, kwgi_role_names, table);
		kwgi_json_string(j, "route", line.p ? line.p : "");
		line.len = 0;
	}
	if (h->rule) {
		kwgi_rule_format(&line, h->rule, kwgi_role_names[KWGI_ROLE_KILO], table);
		kwgi_json_string(j, "rule", line.p ? line.p : "");
	}
	j->b->failed |= line.failed;
	kwgi_buf_free(&line);
}

static void json_hop(const struct kwgi_tracer *t, struct kwgi_json *j, const struct kwgi_hop *h)
{
	kwgi_json_object(j, NULL);
	kwgi_json_addr(j, "destination", &h->dst);
	json_addr(j, "destination_before", &h->restored);
	kwgi_json_bool(j, "encrypted", h->via == KWGI_VIA_WIREGUARD);
	if (h->wg && h->wg->endpoint.port)
		kwgi_json_endpoint(j, "endpoint", &h->wg->endpoint);
	kwgi_json_string(j, word(h), place(h));
	json_route(j, h, t->cfg->local.route_table);
	kwgi_json_addr(j, "source", &h->src);
	json_addr(j, "source_before", &h->masqueraded);
	kwgi_json_string(j, "via", via_words[h->via]);
	if (h->wg)
		kwgi_json_string(j, "wireguard_peer", h->wg->name);
	kwgi_json_end_object(j);
}

static void json_trace(const struct kwgi_tracer *t, struct kwgi_json *j, const char *key, const struct kwgi_trace *trace)
{
	struct kwgi_buf why = { 0 };
	uint32_t i;

	kwgi_json_object(j, key);
	kwgi_json_array(j, "hops");
	for (i = 0; i < trace->n; i++)
		json_hop(t, j, &trace->hops[i]);
	kwgi_json_end_array(j);
	kwgi_json_string(j, "result", stop_words[trace->stop]);
	kwgi_explain_stop(&why, trace);
	kwgi_json_string(j, "text", why.p ? why.p : "");
	kwgi_json_end_object(j);
	j->b->failed |= why.failed;
	kwgi_buf_free(&why);
}

void kwgi_explain_json(struct kwgi_tracer *t, const struct kwgi_explained *e, struct kwgi_buf *b)
{
	struct kwgi_json j = { .b = b };

	kwgi_json_object(&j, NULL);
	if (e->has_back)
		json_trace(t, &j, "back", &e->back);
	json_end(&j, "from", &e->from);
	kwgi_json_bool(&j, "reached", e->reached);
	kwgi_json_uint(&j, "schema", 1);
	json_trace(t, &j, "there", &e->there);
	json_end(&j, "to", &e->to);
	kwgi_json_end_object(&j);
}
