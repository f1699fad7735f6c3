/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/endpoints.h"
#include "host/resolve.h"

enum { NO_LOOKUP = UINT32_MAX };

/* Peers on one host share a lookup. */
struct lookups {
	struct kwgi_lookup *v;
	uint32_t n;
	uint32_t *of_peer;	/* index into v, or NO_LOOKUP */
};

/* What WireGuard has of the peer, or had on the interface that this one takes the place of. */
static const struct kwgi_host_peer *last_known(const struct kwgi_endpoints_ask *ask,
					       const struct kwgi_key *key)
{
	const struct kwgi_host *h = ask->host;
	const struct kwgi_host_peer *p = kwgi_host_peer(&h->wg, key);
	uint32_t i;

	if (!p || !p->endpoint.port)
		p = kwgi_host_peer(&h->aside_wg, key);
	for (i = 0; i < h->n_old_devices && (!p || !p->endpoint.port); i++)
		p = kwgi_host_peer(&h->old_devices[i].wg, key);
	return p && p->endpoint.port ? p : NULL;
}

static uint32_t add_lookup(struct lookups *l, const char *host)
{
	uint32_t i;

	for (i = 0; i < l->n; i++)
		if (!strcmp(l->v[i].host, host))
			return i;
	l->v[l->n].host = host;
	return l->n++;
}

static int lookups_init(struct lookups *l, uint32_t n)
{
	uint32_t i;

	*l = (struct lookups){
		.v = calloc(n + 1u, sizeof(*l->v)),
		.of_peer = calloc(n + 1u, sizeof(*l->of_peer)),
	};
	for (i = 0; l->of_peer && i < n; i++)
		l->of_peer[i] = NO_LOOKUP;
	return l->v && l->of_peer ? 0 : -1;
}

static void lookups_free(struct lookups *l)
{
	if (l->v)
		kwgi_resolve_free(l->v, l->n);
	free(l->v);
	free(l->of_peer);
}

/* Why the answers are of no use. */
static const char *reason(const struct kwgi_lookup *l, uint32_t timeout, struct kwgi_buf *b)
{
	uint32_t i;

	if (!l->n) {
		kwgi_buf_puts(b, l->why);
		if (!strcmp(l->why, kwgi_resolve_late))
			kwgi_buf_printf(b, " (resolve-timeout = %u)", timeout);
		return b->failed ? "out of memory" : b->p;
	}
	kwgi_buf_puts(b, "this host can reach none of its addresses:");
	for (i = 0; i < l->n; i++) {
		kwgi_buf_putc(b, ' ');
		kwgi_buf_addr(b, &l->answers[i].addr);
	}
	return b->failed ? "out of memory" : b->p;
}

static void warn(const struct kwgi_endpoints_ask *ask, const struct kwgi_wg_peer *p,
		 const struct kwgi_lookup *l, const struct kwgi_host_peer *known)
{
	const struct kwg_config *cfg = ask->plan->cfg;
	struct kwgi_buf b = { 0 }, why = { 0 };
	char place[KWGI_PLACE_TEXT];

	if (!ask->log)
		return;
	kwgi_buf_printf(&b, "%s: endpoint: %s \"%s\": %s: %s; ",
			kwgi_diags_place(&cfg->diags, place, p->endpoint_at),
			p->peer ? "peer" : "node", p->peer ? p->name : p->node->name,
			p->endpoint.host, reason(l, cfg->local.resolve_timeout, &why));
	if (known) {
		kwgi_buf_puts(&b, "the last known endpoint stays, ");
		kwgi_buf_endpoint(&b, &known->endpoint);
	} else {
		kwgi_buf_puts(&b, "it has no endpoint until an apply finds one");
	}
	if (!b.failed)
		ask->log(ask->log_arg, KWG_WARNING, b.p);
	kwgi_buf_free(&b);
	kwgi_buf_free(&why);
}

static void tell_turn(const struct kwgi_endpoints_ask *ask, const struct kwgi_wg_peer *p,
		      const struct kwgi_addr *from, const struct kwgi_addr *to)
{
	struct kwgi_buf b = { 0 };

	if (!ask->log)
		return;
	kwgi_buf_printf(&b, "%s \"%s\": no answer from ", p->peer ? "peer" : "node",
			p->peer ? p->name : p->node->name);
	kwgi_buf_addr(&b, from);
	kwgi_buf_printf(&b, "; %s is tried at ", p->endpoint.host);
	kwgi_buf_addr(&b, to);
	if (!b.failed)
		ask->log(ask->log_arg, KWG_NOTE, b.p);
	kwgi_buf_free(&b);
}

static void choose(struct kwgi_endpoint *out, const struct kwgi_endpoints_ask *ask, uint32_t i,
		   const struct kwgi_host_peer *known, const struct kwgi_lookup *l)
{
	const struct kwgi_wg_peer *p = &ask->plan->peers[i];
	const struct kwgi_addr last = ask->turns[i].addr;

	if (!kwgi_names_choose(out, &ask->turns[i], p, known, l->answers, l->n, ask->up))
		warn(ask, p, l, known);
	else if (known && kwgi_addr_equal(&last, &known->endpoint.addr) &&
		 !kwgi_addr_equal(&last, &out->addr))
		tell_turn(ask, p, &last, &out->addr);
}

static bool works(const struct kwgi_endpoints_ask *ask, uint32_t i)
{
	return kwgi_names_works(kwgi_host_peer(&ask->host->wg, &ask->plan->peers[i].key), ask->now);
}

static void settle(struct kwgi_endpoint *out, const struct kwgi_endpoints_ask *ask, uint32_t i,
		   const struct kwgi_lookup *l)
{
	const struct kwgi_host_peer *known = last_known(ask, &ask->plan->peers[i].key);

	*out = known ? known->endpoint : (struct kwgi_endpoint){ 0 };
	if (l)
		choose(out, ask, i, known, l);
	else if (works(ask, i))
		kwgi_names_rest(&ask->turns[i], known, ask->up);
}

int kwgi_endpoints_find(struct kwgi_endpoint *out, const struct kwgi_endpoints_ask *ask,
			struct kwg_error *err)
{
	const struct kwg_plan *plan = ask->plan;
	const struct kwgi_local *local = &plan->cfg->local;
	struct lookups l;
	uint32_t i;
	int ret;

	ret = lookups_init(&l, plan->n_peers) ? kwgi_nomem(err) : 0;
	for (i = 0; i < plan->n_peers && !ret && !ask->dont_ask && local->resolve_timeout; i++)
		if (kwgi_names_is_named(&plan->peers[i]) && !works(ask, i))
			l.of_peer[i] = add_lookup(&l, plan->peers[i].endpoint.host);
	if (!ret)
		ret = kwgi_resolve(l.v, l.n, local->resolve_timeout * 1000, local->fwmark,
				   ask->stop, err);
	for (i = 0; i < plan->n_peers && !ret; i++)
		if (kwgi_names_is_named(&plan->peers[i]))
			settle(&out[i], ask, i,
			       l.of_peer[i] == NO_LOOKUP ? NULL : &l.v[l.of_peer[i]]);
	lookups_free(&l);
	return ret;
}
