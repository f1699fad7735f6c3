/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "config/json.h"
#include "steps/forward.h"
#include "steps/health.h"
#include "steps/status.h"

enum { SCHEMA = 1 };

static const struct kwgi_link *our_link(const struct kwgi_status *s)
{
	return kwgi_host_link(s->host, s->wanted->ifname);
}

bool kwgi_status_is_healthy(const struct kwgi_status *s)
{
	return our_link(s) && !s->drift && !s->findings.failed && !kwgi_findings_errors(&s->findings);
}

/* ---- text ------------------------------------------------------------ */

static void put_age(struct kwgi_buf *b, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;

	/* The clock went backwards. */
	if (seconds < 0) {
		kwgi_buf_printf(b, "in %lld s", (long long)-seconds);
		return;
	}
	while (i < 3 && seconds < units[i].seconds)
		i++;
	kwgi_buf_printf(b, "%lld %s ago", (long long)(seconds / units[i].seconds), units[i].name);
}

/* Binary units with one decimal, in whole numbers so that no locale is asked. */
static void put_bytes(struct kwgi_buf *b, uint64_t n)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	uint64_t tenths = n * 10;
	size_t i = 0;

	if (n < 1024) {
		kwgi_buf_printf(b, "%u B", (unsigned)n);
		return;
	}
	for (tenths = n / 1024 * 10 + n % 1024 * 10 / 1024, i = 1; tenths >= 10240 && i < 5; i++)
		tenths /= 1024;
	kwgi_buf_printf(b, "%llu.%u %s", (unsigned long long)(tenths / 10),
			(unsigned)(tenths % 10), units[i]);
}

/* A cell: what put into it since start is filled up to width columns. */
static void pad(struct kwgi_buf *b, size_t start, size_t width)
{
	do
		kwgi_buf_putc(b, ' ');
	while (!b->failed && b->len - start < width);
}

static void put_coloured(struct kwgi_buf *b, bool colour, enum kwgi_answer_state h, const char *text)
{
	static const char *const codes[] = { "32", "2", "31", "31" };

	if (colour)
		kwgi_buf_printf(b, "\033[%sm%s\033[0m", codes[h], text);
	else
		kwgi_buf_puts(b, text);
}

/* Columns of variable width: names, and endpoints, which may be IPv6 addresses. */
struct widths {
	size_t name, endpoint;
};

static void put_endpoint(struct kwgi_buf *b, const struct kwgi_host_peer *have)
{
	if (have && have->endpoint.port)
		kwgi_buf_endpoint(b, &have->endpoint);
	else
		kwgi_buf_putc(b, '-');
}

static void put_peer_row(struct kwgi_buf *b, const struct kwgi_status *s, uint32_t i, bool colour,
			 const struct widths *w)
{
	const struct kwgi_desired_peer *want = &s->wanted->peers[i];
	const struct kwgi_host_peer *have = kwgi_host_peer(&s->host->wg, &want->peer.key);
	size_t start = b->len;
	enum kwgi_answer_state h;
	bool sure;

	kwgi_buf_puts(b, want->name);
	pad(b, start, w->name);
	start = b->len;
	put_endpoint(b, have);
	pad(b, start, w->endpoint);
	start = b->len;
	if (have && have->last_handshake)
		put_age(b, s->now - have->last_handshake);
	else
		kwgi_buf_puts(b, "never");
	pad(b, start, 12);
	start = b->len;
	put_bytes(b, have ? have->rx_bytes : 0);
	pad(b, start, 12);
	start = b->len;
	put_bytes(b, have ? have->tx_bytes : 0);
	pad(b, start, 12);
	h = kwgi_health_answer(s, i, &sure);
	put_coloured(b, colour, h, kwgi_answer_names[h]);
	kwgi_buf_putc(b, '\n');
}

static void put_head(struct kwgi_buf *b, const struct kwgi_status *s, bool colour)
{
	const struct kwgi_link *l = our_link(s);

	kwgi_buf_printf(b, "mesh %s, node %s: %s of %s\n", s->plan->cfg->mesh.name,
			s->plan->node->name, s->plan->leader ? "leader" : "follower",
			s->plan->segment->id);
	kwgi_buf_printf(b, "interface %s: ", s->wanted->ifname);
	if (!l) {
		put_coloured(b, colour, KWGI_ANSWER_MISSING, "missing");
		kwgi_buf_putc(b, '\n');
		return;
	}
	kwgi_buf_printf(b, "%s, mtu %u, %s WireGuard", l->up ? "up" : "down", l->mtu,
			s->host->wg.present ? s->host->wg.implementation : "no");
	if (s->plan->leader)
		kwgi_buf_printf(b, ", port %u, %u peers", s->host->wg.port, s->host->wg.n_peers);
	kwgi_buf_putc(b, '\n');
}

static void put_leader(struct kwgi_buf *b, const struct kwgi_status *s)
{
	const struct kwgi_leader *l = &s->leader;
	const struct kwgi_link *link = kwgi_host_link_by_index(s->host, l->way.route.oif);

	if (!l->node)
		return;
	kwgi_buf_printf(b, "leader %s: ", l->node->name);
	kwgi_buf_addr(b, &l->addr);
	if (link)
		kwgi_buf_printf(b, " on %s", link->name);
	kwgi_buf_printf(b, ", %s", kwgi_leader_word(l));
	if (l->other)
		kwgi_buf_printf(b, "; the route to %s %s through it", l->other->id,
				kwgi_leader_leads_out(l) ? "goes" : "does not go");
	kwgi_buf_putc(b, '\n');
}

const char *kwgi_status_backend(const struct kwgi_status *s)
{
	return s->backend->userspace ? "userspace" : "kernel";
}

static void put_backend(struct kwgi_buf *b, const struct kwgi_status *s)
{
	if (s->backend && (our_link(s) || !s->backend->external))
		kwgi_buf_printf(b, "backend %s (%s)\n", kwgi_status_backend(s), s->backend->reason);
}

static void put_tunnel(struct kwgi_buf *b, const struct kwgi_status *s, bool colour)
{
	const struct kwgi_desired_tunnel *t = &s->wanted->tunnel;
	const struct kwgi_link *l = kwgi_host_link(s->host, t->name);

	if (!*t->name)
		return;
	kwgi_buf_printf(b, "tunnel %s: ", t->name);
	if (l)
		kwgi_buf_printf(b, "%s, mtu %u, %s%s", l->up ? "up" : "down", l->mtu,
				*l->kind ? l->kind : "unknown", t->kind ? "" : " of others");
	else
		put_coloured(b, colour, KWGI_ANSWER_MISSING, "missing");
	kwgi_buf_putc(b, '\n');
}

static void widen(size_t *width, size_t len)
{
	if (len + 2 > *width)
		*width = len + 2;
}

static struct widths measure(const struct kwgi_status *s)
{
	struct widths w = { strlen("PEER") + 2, strlen("ENDPOINT") + 2 };
	struct kwgi_buf b = { 0 };
	uint32_t i;

	for (i = 0; i < s->wanted->n_peers; i++) {
		const struct kwgi_desired_peer *p = &s->wanted->peers[i];

		widen(&w.name, strlen(p->name));
		put_endpoint(&b, kwgi_host_peer(&s->host->wg, &p->peer.key));
		widen(&w.endpoint, b.len);
		kwgi_buf_free(&b);
	}
	return w;
}

static void put_peers(struct kwgi_buf *b, const struct kwgi_status *s, bool colour)
{
	struct widths w = measure(s);
	size_t start = b->len;
	uint32_t i;

	if (!s->wanted->n_peers)
		return;
	kwgi_buf_puts(b, "PEER");
	pad(b, start, w.name);
	start = b->len;
	kwgi_buf_puts(b, "ENDPOINT");
	pad(b, start, w.endpoint);
	kwgi_buf_puts(b, "HANDSHAKE   RECEIVED    SENT        STATE\n");
	for (i = 0; i < s->wanted->n_peers; i++)
		put_peer_row(b, s, i, colour, &w);
}

static void put_findings(struct kwgi_buf *b, const struct kwgi_status *s, bool colour)
{
	uint32_t i;

	for (i = 0; i < s->findings.n; i++) {
		const struct kwgi_finding *f = &s->findings.v[i];
		const char *word = f->error ? "error" : "warning";

		if (f->error)
			put_coloured(b, colour, KWGI_ANSWER_NONE, word);
		else
			kwgi_buf_puts(b, word);
		kwgi_buf_printf(b, ": %s\n", f->text);
		if (*f->remedy)
			kwgi_buf_printf(b, "%*s%s\n", (int)strlen(word) + 2, "", f->remedy);
	}
}

static void put_drops(struct kwgi_buf *b, const struct kwgi_status *s)
{
	uint32_t i;

	for (i = 0; i < s->host->n_drops; i++) {
		const struct kwgi_drop *d = &s->host->drops[i];

		if (!kwgi_drop_matters(d, s->wanted, s->host))
			continue;
		kwgi_buf_puts(b, "warning: ");
		kwgi_drop_describe(b, d);
		kwgi_buf_puts(b, "\n         ");
		kwgi_drop_remedy(b, d, &s->plan->cfg->local);
		kwgi_buf_putc(b, '\n');
	}
}

void kwgi_status_text(const struct kwgi_status *s, bool colour, struct kwgi_buf *b)
{
	put_head(b, s, colour);
	put_leader(b, s);
	put_backend(b, s);
	put_tunnel(b, s, colour);
	put_peers(b, s, colour);
	put_findings(b, s, colour);
	put_drops(b, s);
	if (s->wanted->mtu_warning)
		kwgi_buf_printf(b, "warning: %s\n", s->wanted->mtu_warning);
	if (!s->drift)
		kwgi_buf_puts(b, "drift: none\n");
	else
		kwgi_buf_printf(b, "drift: %u difference%s; \"kilowg diff\" shows them\n", s->drift,
				s->drift == 1 ? "" : "s");
}

/* ---- JSON ------------------------------------------------------------ */

static void put_peer_json(struct kwgi_json *j, const struct kwgi_status *s, uint32_t i)
{
	static const struct kwgi_host_peer none;
	const struct kwgi_desired_peer *want = &s->wanted->peers[i];
	const struct kwgi_host_peer *have = kwgi_host_peer(&s->host->wg, &want->peer.key);
	bool sure;

	if (!have)
		have = &none;
	kwgi_json_object(j, NULL);
	kwgi_json_endpoint(j, "endpoint", &have->endpoint);
	if (have->last_handshake)
		kwgi_json_int(j, "handshake_age", s->now - have->last_handshake);
	else
		kwgi_json_null(j, "handshake_age");
	kwgi_json_string(j, "name", want->name);
	kwgi_json_key(j, "public_key", &want->peer.key);
	kwgi_json_uint(j, "received_bytes", have->rx_bytes);
	kwgi_json_uint(j, "sent_bytes", have->tx_bytes);
	kwgi_json_string(j, "state", kwgi_answer_names[kwgi_health_answer(s, i, &sure)]);
	kwgi_json_end_object(j);
}

/* A name that sorts behind "leader", which tells whether this node is one. */
static void put_leader_json(struct kwgi_json *j, const struct kwgi_status *s)
{
	const struct kwgi_leader *l = &s->leader;
	const struct kwgi_link *link = kwgi_host_link_by_index(s->host, l->way.route.oif);

	if (!l->node) {
		kwgi_json_null(j, "leader_seen");
		return;
	}
	kwgi_json_object(j, "leader_seen");
	kwgi_json_bool(j, "echoes", l->echoed);
	kwgi_json_string(j, "interface", link ? link->name : NULL);
	kwgi_json_addr(j, "internal_ip", &l->addr);
	kwgi_json_bool(j, "leads_out", kwgi_leader_leads_out(l));
	kwgi_json_string(j, "name", l->node->name);
	kwgi_json_string(j, "state", kwgi_leader_word(l));
	kwgi_json_end_object(j);
}

static void put_drops_json(struct kwgi_json *j, const struct kwgi_status *s)
{
	uint32_t i;

	kwgi_json_array(j, "forward_drop");
	for (i = 0; i < s->host->n_drops; i++) {
		const struct kwgi_drop *d = &s->host->drops[i];

		if (kwgi_drop_matters(d, s->wanted, s->host))
			kwgi_drop_json(j, d, &s->plan->cfg->local);
	}
	kwgi_json_end_array(j);
}

static void put_tunnel_json(struct kwgi_json *j, const struct kwgi_status *s)
{
	const struct kwgi_desired_tunnel *t = &s->wanted->tunnel;
	const struct kwgi_link *l = kwgi_host_link(s->host, t->name);

	if (!*t->name) {
		kwgi_json_null(j, "tunnel");
		return;
	}
	kwgi_json_object(j, "tunnel");
	kwgi_json_string(j, "kind", l ? l->kind : t->kind);
	kwgi_json_uint(j, "mtu", l ? l->mtu : 0);
	kwgi_json_string(j, "name", t->name);
	kwgi_json_bool(j, "of_others", !t->kind);
	kwgi_json_bool(j, "present", l != NULL);
	kwgi_json_bool(j, "up", l && l->up);
	kwgi_json_end_object(j);
}

void kwgi_status_json(const struct kwgi_status *s, struct kwgi_buf *b)
{
	const struct kwgi_link *l = our_link(s);
	struct kwgi_json json = { .b = b }, *j = &json;
	uint32_t i;

	kwgi_json_object(j, NULL);
	kwgi_json_uint(j, "drift", s->drift);
	kwgi_findings_json(j, "findings", &s->findings);
	put_drops_json(j, s);
	kwgi_json_bool(j, "healthy", kwgi_status_is_healthy(s));
	kwgi_json_object(j, "interface");
	kwgi_json_string(j, "backend", s->backend ? kwgi_status_backend(s) : NULL);
	kwgi_json_string(j, "backend_reason", s->backend ? s->backend->reason : NULL);
	kwgi_json_string(j, "implementation", s->host->wg.present ? s->host->wg.implementation : NULL);
	kwgi_json_uint(j, "mtu", l ? l->mtu : 0);
	kwgi_json_string(j, "mtu_warning", s->wanted->mtu_warning);
	kwgi_json_string(j, "name", s->wanted->ifname);
	kwgi_json_uint(j, "path_mtu", s->wanted->path_mtu);
	kwgi_json_uint(j, "port", s->host->wg.port);
	kwgi_json_bool(j, "present", l != NULL);
	kwgi_json_bool(j, "up", l && l->up);
	kwgi_json_end_object(j);
	kwgi_json_bool(j, "leader", s->plan->leader);
	put_leader_json(j, s);
	kwgi_json_string(j, "location", s->plan->segment->id);
	kwgi_json_string(j, "mesh", s->plan->cfg->mesh.name);
	kwgi_json_string(j, "node", s->plan->node->name);
	kwgi_json_array(j, "peers");
	for (i = 0; i < s->wanted->n_peers; i++)
		put_peer_json(j, s, i);
	kwgi_json_end_array(j);
	kwgi_json_uint(j, "schema", SCHEMA);
	put_tunnel_json(j, s);
	kwgi_json_end_object(j);
}
