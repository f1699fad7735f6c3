/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "config/json.h"
#include "steps/forward.h"
#include "steps/status.h"

enum {
	SCHEMA = 1,
	/* WireGuard paper, 6.1: after this many seconds a session carries nothing any more. */
	REJECT_AFTER_TIME = 180,
};

enum health { FINE, IDLE, SILENT, MISSING };

static const char *const health_names[] = { "ok", "idle", "silent", "missing" };

static int by_key(const void *key, const void *peer)
{
	return kwgi_key_cmp(key, &((const struct kwgi_host_peer *)peer)->key);
}

static const struct kwgi_host_peer *find_peer(const struct kwgi_host_wg *wg,
					      const struct kwgi_key *key)
{
	if (!wg->n_peers)
		return NULL;
	return bsearch(key, wg->peers, wg->n_peers, sizeof(*wg->peers), by_key);
}

/*
 * With a keepalive there is always a session. Without one a peer that nobody
 * talks to has none, and that is no fault.
 */
static enum health health_of(const struct kwgi_status *s, const struct kwgi_desired_peer *want,
			     const struct kwgi_host_peer *have)
{
	bool fresh;

	if (!have)
		return MISSING;
	fresh = have->last_handshake && s->now - have->last_handshake < REJECT_AFTER_TIME;
	if (fresh)
		return FINE;
	return want->peer.keepalive && have->endpoint.port ? SILENT : IDLE;
}

static const struct kwgi_link *our_link(const struct kwgi_status *s)
{
	return kwgi_host_link(s->host, s->wanted->ifname);
}

bool kwgi_status_is_healthy(const struct kwgi_status *s)
{
	uint32_t i;

	if (!our_link(s) || s->drift)
		return false;
	for (i = 0; i < s->wanted->n_peers; i++) {
		const struct kwgi_desired_peer *p = &s->wanted->peers[i];

		if (health_of(s, p, find_peer(&s->host->wg, &p->peer.key)) >= SILENT)
			return false;
	}
	return true;
}

/* ---- text ------------------------------------------------------------ */

static void put_age(struct kwgi_buf *b, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;

	if (seconds < 0)
		seconds = 0;
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

static void put_coloured(struct kwgi_buf *b, bool colour, enum health h, const char *text)
{
	static const char *const codes[] = { "32", "2", "31", "31" };

	if (colour)
		kwgi_buf_printf(b, "\033[%sm%s\033[0m", codes[h], text);
	else
		kwgi_buf_puts(b, text);
}

static void put_peer_row(struct kwgi_buf *b, const struct kwgi_status *s,
			 const struct kwgi_desired_peer *want, bool colour, size_t name_width)
{
	const struct kwgi_host_peer *have = find_peer(&s->host->wg, &want->peer.key);
	enum health h = health_of(s, want, have);
	size_t start = b->len;

	kwgi_buf_puts(b, want->name);
	pad(b, start, name_width);
	start = b->len;
	if (have && have->endpoint.port)
		kwgi_buf_endpoint(b, &have->endpoint);
	else
		kwgi_buf_putc(b, '-');
	pad(b, start, 28);
	start = b->len;
	if (have && have->last_handshake)
		put_age(b, s->now - have->last_handshake);
	else
		kwgi_buf_puts(b, "never");
	pad(b, start, 14);
	start = b->len;
	put_bytes(b, have ? have->rx_bytes : 0);
	pad(b, start, 13);
	start = b->len;
	put_bytes(b, have ? have->tx_bytes : 0);
	pad(b, start, 13);
	put_coloured(b, colour, h, health_names[h]);
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
		put_coloured(b, colour, MISSING, "missing");
		kwgi_buf_putc(b, '\n');
		return;
	}
	kwgi_buf_printf(b, "%s, mtu %u, %s WireGuard", l->up ? "up" : "down", l->mtu,
			s->host->wg.present ? s->host->wg.implementation : "no");
	if (s->plan->leader)
		kwgi_buf_printf(b, ", port %u, %u peers", s->host->wg.port, s->host->wg.n_peers);
	kwgi_buf_putc(b, '\n');
}

static const char *backend_name(const struct kwgi_status *s)
{
	return s->backend->userspace ? "userspace" : "kernel";
}

static void put_backend(struct kwgi_buf *b, const struct kwgi_status *s)
{
	if (s->backend && (our_link(s) || !s->backend->external))
		kwgi_buf_printf(b, "backend %s (%s)\n", backend_name(s), s->backend->reason);
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
		put_coloured(b, colour, MISSING, "missing");
	kwgi_buf_putc(b, '\n');
}

static size_t widest_name(const struct kwgi_desired *w)
{
	size_t len, widest = 4;
	uint32_t i;

	for (i = 0; i < w->n_peers; i++) {
		len = strlen(w->peers[i].name);
		if (len > widest)
			widest = len;
	}
	return widest + 2;
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
	size_t width = widest_name(s->wanted), start;
	uint32_t i;

	put_head(b, s, colour);
	put_backend(b, s);
	put_tunnel(b, s, colour);
	if (s->wanted->n_peers) {
		start = b->len;
		kwgi_buf_puts(b, "PEER");
		pad(b, start, width);
		kwgi_buf_puts(b, "ENDPOINT                    HANDSHAKE     RECEIVED     SENT         STATE\n");
	}
	for (i = 0; i < s->wanted->n_peers; i++)
		put_peer_row(b, s, &s->wanted->peers[i], colour, width);
	put_drops(b, s);
	if (s->wanted->mtu_warning)
		kwgi_buf_printf(b, "warning: %s\n", s->wanted->mtu_warning);
	if (!s->drift)
		kwgi_buf_puts(b, "drift: none\n");
	else
		kwgi_buf_printf(b, "drift: %u step%s; \"kilowg diff\" shows them\n", s->drift,
				s->drift == 1 ? "" : "s");
}

/* ---- JSON ------------------------------------------------------------ */

static void put_peer_json(struct kwgi_json *j, const struct kwgi_status *s,
			  const struct kwgi_desired_peer *want)
{
	static const struct kwgi_host_peer none;
	const struct kwgi_host_peer *have = find_peer(&s->host->wg, &want->peer.key);
	enum health h = health_of(s, want, have);

	if (!have)
		have = &none;
	kwgi_json_object(j, NULL);
	kwgi_json_endpoint(j, "endpoint", &have->endpoint);
	if (have->last_handshake)
		kwgi_json_int(j, "handshake_age", s->now > have->last_handshake
						   ? s->now - have->last_handshake : 0);
	else
		kwgi_json_null(j, "handshake_age");
	kwgi_json_string(j, "name", want->name);
	kwgi_json_key(j, "public_key", &want->peer.key);
	kwgi_json_uint(j, "received_bytes", have->rx_bytes);
	kwgi_json_uint(j, "sent_bytes", have->tx_bytes);
	kwgi_json_string(j, "state", health_names[h]);
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
	put_drops_json(j, s);
	kwgi_json_bool(j, "healthy", kwgi_status_is_healthy(s));
	kwgi_json_object(j, "interface");
	kwgi_json_string(j, "backend", s->backend ? backend_name(s) : NULL);
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
	kwgi_json_string(j, "location", s->plan->segment->id);
	kwgi_json_string(j, "mesh", s->plan->cfg->mesh.name);
	kwgi_json_string(j, "node", s->plan->node->name);
	kwgi_json_array(j, "peers");
	for (i = 0; i < s->wanted->n_peers; i++)
		put_peer_json(j, s, &s->wanted->peers[i]);
	kwgi_json_end_array(j);
	kwgi_json_uint(j, "schema", SCHEMA);
	put_tunnel_json(j, s);
	kwgi_json_end_object(j);
}
