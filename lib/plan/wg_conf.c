/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Segments and outside peers as WireGuard peers. */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

/*
 * Who has a keepalive of its own sits behind a NAT: others have seen where it
 * really is, and that replaces what is configured (Kilo: updateEndpoint). An
 * entry without an address takes the endpoint away.
 */
static void use_discovered(struct kwgi_wg_peer *p, const struct kwgi_topology *t,
			   const struct kwgi_node *viewpoint)
{
	const struct kwgi_discovered *d;

	if (!p->roams)
		return;
	d = kwgi_topology_discovered(t, viewpoint, &p->key);
	if (d)
		p->endpoint = d->endpoint;
}

int kwgi_wg_segment(struct kwgi_wg_peer *out, struct kwgi_arena *a, const struct kwgi_topology *t,
		    const struct kwgi_node *viewpoint, const struct kwgi_segment *s,
		    bool location_ips)
{
	uint32_t n = s->allowed_ips.n, extra = location_ips ? s->location_ips.n : 0;

	*out = (struct kwgi_wg_peer){
		.name = s->id, .is_segment = true, .key = s->leader->key,
		.node = s->leader, .endpoint_at = s->leader->endpoint_at,
		.endpoint = s->leader->endpoint,
		.endpoint_address = s->leader->endpoint_address,
		.roams = s->leader->keepalive != 0,
		.allowed_ips = s->allowed_ips,
	};
	use_discovered(out, t, viewpoint);
	if (!extra)
		return 0;
	out->allowed_ips.v = kwgi_arena_alloc(a, n + extra, sizeof(*out->allowed_ips.v));
	if (!out->allowed_ips.v)
		return -1;
	memcpy(out->allowed_ips.v, s->allowed_ips.v, n * sizeof(*s->allowed_ips.v));
	memcpy(out->allowed_ips.v + n, s->location_ips.v, extra * sizeof(*s->location_ips.v));
	out->allowed_ips.n += extra;
	return 0;
}

void kwgi_wg_peer(struct kwgi_wg_peer *out, const struct kwgi_topology *t,
		  const struct kwgi_node *viewpoint, const struct kwgi_mesh_peer *p)
{
	*out = (struct kwgi_wg_peer){
		.name = p->peer->name, .key = p->peer->key, .peer = p->peer,
		.endpoint_at = p->peer->endpoint_at,
		.endpoint = p->peer->endpoint,
		.endpoint_address = p->peer->endpoint_address,
		.roams = p->peer->keepalive != 0,
		.allowed_ips = p->allowed_ips,
	};
	use_discovered(out, t, viewpoint);
}

/* One allowed IP of one peer. */
struct claim {
	struct kwgi_prefix prefix;
	uint32_t peer;
	bool *lost;
};

static int by_prefix_and_peer(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int c = kwgi_prefix_cmp(&x->prefix, &y->prefix);

	if (c)
		return c;
	return x->peer < y->peer ? -1 : x->peer > y->peer;
}

/* Of the n claims, sorted, all of one prefix: only the last peer's hold. */
static bool settle_group(struct claim *c, uint32_t n, const struct kwgi_wg_peer *peers,
			 struct kwgi_diags *d)
{
	const struct kwgi_wg_peer *winner = &peers[c[n - 1].peer];
	char text[KWGI_PREFIX_TEXT];
	bool any = false;
	uint32_t i;

	for (i = 0; i < n && &peers[c[i].peer] != winner; i++) {
		*c[i].lost = true;
		any = true;
		kwgi_diags_add(d, KWG_WARNING, (struct kwgi_place){ 0 }, "",
			       "allowed IP %s is wanted by %s and by %s; the last one gets it",
			       kwgi_prefix_format(text, &c[i].prefix), peers[c[i].peer].name,
			       winner->name);
	}
	return any;
}

/* The list without what was lost; the old one may be shared, so it stays as it is. */
static int sweep(struct kwgi_prefixes *list, const bool *lost, struct kwgi_arena *a)
{
	struct kwgi_prefix *v = kwgi_arena_alloc(a, list->n + 1u, sizeof(*v));
	uint32_t i, n = 0;

	if (!v)
		return -1;
	for (i = 0; i < list->n; i++)
		if (!lost[i])
			v[n++] = list->v[i];
	*list = (struct kwgi_prefixes){ v, n };
	return 0;
}

int kwgi_wg_settle(struct kwgi_wg_peer *peers, uint32_t n, struct kwgi_arena *a,
		   struct kwgi_diags *d)
{
	uint32_t i, j, total = 0, count = 0;
	bool *lost, any = false;
	struct claim *c;

	for (i = 0; i < n; i++)
		total += peers[i].allowed_ips.n;
	c = kwgi_arena_alloc(a, total + 1u, sizeof(*c));
	lost = kwgi_arena_alloc(a, total + 1u, sizeof(*lost));
	if (!c || !lost)
		return -1;
	for (i = 0; i < n; i++)
		for (j = 0; j < peers[i].allowed_ips.n; j++, count++)
			c[count] = (struct claim){ peers[i].allowed_ips.v[j], i, &lost[count] };
	if (total)
		qsort(c, total, sizeof(*c), by_prefix_and_peer);
	for (i = 0; i < total; i = j) {
		for (j = i + 1; j < total && kwgi_prefix_equal(&c[i].prefix, &c[j].prefix); j++)
			;
		any |= settle_group(c + i, j - i, peers, d);
	}
	for (i = 0, count = 0; any && i < n; i++) {
		j = peers[i].allowed_ips.n;
		if (sweep(&peers[i].allowed_ips, lost + count, a))
			return -1;
		count += j;
	}
	return 0;
}

int kwgi_wg_list_once(struct kwgi_wg_peer *p, struct kwgi_arena *a)
{
	uint32_t i, n = p->allowed_ips.n;
	struct claim *c = kwgi_arena_alloc(a, n + 1u, sizeof(*c));
	bool *lost = kwgi_arena_alloc(a, n + 1u, sizeof(*lost));

	if (!c || !lost)
		return -1;
	/* In the order of the list, as if each were of a peer of its own. */
	for (i = 0; i < n; i++)
		c[i] = (struct claim){ p->allowed_ips.v[i], i, &lost[i] };
	if (n)
		qsort(c, n, sizeof(*c), by_prefix_and_peer);
	for (i = 1; i < n; i++)
		*c[i].lost = kwgi_prefix_equal(&c[i - 1].prefix, &c[i].prefix);
	return sweep(&p->allowed_ips, lost, a);
}

void kwgi_wg_format_peer(struct kwgi_buf *b, const struct kwgi_wg_peer *p,
			 const struct kwgi_key *psk)
{
	uint32_t i;

	kwgi_buf_puts(b, "[Peer]\n");
	if (p->allowed_ips.n)
		kwgi_buf_puts(b, "AllowedIPs = ");
	for (i = 0; i < p->allowed_ips.n; i++) {
		if (i)
			kwgi_buf_puts(b, ", ");
		kwgi_buf_prefix(b, &p->allowed_ips.v[i]);
	}
	if (p->allowed_ips.n)
		kwgi_buf_putc(b, '\n');
	if (p->endpoint.port) {
		kwgi_buf_puts(b, "Endpoint = ");
		kwgi_buf_endpoint(b, &p->endpoint);
		kwgi_buf_putc(b, '\n');
	}
	kwgi_buf_puts(b, "PersistentKeepalive = ");
	kwgi_buf_putu(b, p->keepalive);
	if (psk && !kwgi_key_is_zero(psk)) {
		kwgi_buf_puts(b, "\nPresharedKey = ");
		kwgi_buf_key(b, psk);
	}
	kwgi_buf_puts(b, "\nPublicKey = ");
	kwgi_buf_key(b, &p->key);
	kwgi_buf_putc(b, '\n');
}
