/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "steps/names.h"

enum {
	/* WireGuard paper, 6.1: after this many seconds a session carries nothing any more. */
	REJECT_AFTER_TIME = 180,
	/* So long is a handshake initiation (5.4.2); while nobody answers, one goes out every 5 seconds. */
	INITIATION = 148,
	/* Fewer may have got lost on the way, and their answers too. */
	INITIATIONS = 2,
};

bool kwgi_names_is_named(const struct kwgi_wg_peer *p)
{
	return p->endpoint.port && p->endpoint.host && !p->endpoint_address.family;
}

/*
 * A handshake of the future is one from before the clock was set back. Far in
 * the future it says nothing, and must not keep an endpoint for years.
 */
bool kwgi_names_works(const struct kwgi_host_peer *have, int64_t now)
{
	int64_t age;

	if (!have || !have->endpoint.port || !have->last_handshake)
		return false;
	age = now - have->last_handshake;
	return age < REJECT_AFTER_TIME && age > -REJECT_AFTER_TIME;
}

static bool is_of_use(const struct kwgi_name_answer *a)
{
	return a->reachable && a->addr.family && !kwgi_addr_useless(&a->addr);
}

/* ---- turns ----------------------------------------------------------- */

static void begin(struct kwgi_turn *t, const struct kwgi_addr *a, const struct kwgi_host_peer *have,
		  int64_t now)
{
	t->addr = *a;
	t->since = now;
	t->rx_bytes = have ? have->rx_bytes : 0;
	t->tx_bytes = have ? have->tx_bytes : 0;
}

void kwgi_names_rest(struct kwgi_turn *turn, const struct kwgi_host_peer *have, int64_t now)
{
	turn->waits = false;
	if (turn->addr.family)
		begin(turn, &have->endpoint.addr, have, now);
}

/*
 * Has what was noted been going on since then? Counters or a clock that went back tell that the
 * interface was made anew, or that the host has started.
 */
static bool holds(const struct kwgi_turn *t, const struct kwgi_addr *in_use,
		  const struct kwgi_host_peer *have, int64_t now)
{
	return have && have->endpoint.port && in_use && kwgi_addr_equal(&t->addr, in_use) &&
	       t->since <= now && t->rx_bytes == have->rx_bytes && t->tx_bytes <= have->tx_bytes;
}

/*
 * Without a session WireGuard sends nothing but initiations, and these only if somebody has packets
 * for the peer, or it has a keepalive. What nobody has asked need not answer.
 */
static bool is_over(struct kwgi_turn *t, const struct kwgi_wg_peer *p,
		    const struct kwgi_host_peer *have, int64_t now)
{
	uint64_t sent = have->tx_bytes - t->tx_bytes;

	t->waits = sent || p->keepalive;
	if (!t->waits)
		t->since = now;
	return now - t->since >= KWGI_NAMES_PATIENCE &&
	       (p->keepalive || sent >= (uint64_t)INITIATIONS * INITIATION);
}

/* ---- choice ---------------------------------------------------------- */

/* What the answers come to, with what is in use: NULL where there is no such one. */
struct choices {
	const struct kwgi_addr *lowest, *highest;
	const struct kwgi_addr *in_use;	/* if it is among them */
	const struct kwgi_addr *higher;	/* the next after that */
};

static void consider(struct choices *c, const struct kwgi_addr *a, const struct kwgi_addr *in_use)
{
	int cmp = in_use ? kwgi_addr_cmp(a, in_use) : -1;

	if (!c->lowest || kwgi_addr_cmp(a, c->lowest) < 0)
		c->lowest = a;
	if (!c->highest || kwgi_addr_cmp(a, c->highest) > 0)
		c->highest = a;
	if (in_use && !cmp)
		c->in_use = a;
	if (cmp > 0 && (!c->higher || kwgi_addr_cmp(a, c->higher) < 0))
		c->higher = a;
}

/* Of several addresses the one whose turn it is. */
static const struct kwgi_addr *take_turns(struct kwgi_turn *t, const struct choices *c,
					  const struct kwgi_wg_peer *p,
					  const struct kwgi_host_peer *have, int64_t now)
{
	const struct kwgi_addr *a = c->in_use ? c->in_use : c->lowest;

	if (holds(t, c->in_use, have, now)) {
		if (!is_over(t, p, have, now))
			return a;
		a = c->higher ? c->higher : c->lowest;
	}
	begin(t, a, have, now);
	t->waits = true;
	return a;
}

bool kwgi_names_choose(struct kwgi_endpoint *out, struct kwgi_turn *turn,
		       const struct kwgi_wg_peer *p, const struct kwgi_host_peer *have,
		       const struct kwgi_name_answer *answers, uint32_t n, int64_t now)
{
	const struct kwgi_addr *known = have && have->endpoint.port ? &have->endpoint.addr : NULL;
	/* An interface that is made anew goes on where the last one was. */
	const struct kwgi_addr last = turn->addr, *in_use = known ? known : last.family ? &last : NULL;
	const struct kwgi_addr *best;
	struct choices c = { NULL };
	uint32_t i;

	for (i = 0; i < n; i++)
		if (is_of_use(&answers[i]))
			consider(&c, &answers[i].addr, in_use);
	if (!c.lowest)
		return false;
	best = c.lowest;
	if (kwgi_addr_equal(c.lowest, c.highest))
		*turn = (struct kwgi_turn){ .key = turn->key };
	else
		best = take_turns(turn, &c, p, have, now);
	*out = (struct kwgi_endpoint){ .addr = *best, .port = p->endpoint.port };
	if (p->roams && known && kwgi_addr_equal(best, known))
		out->port = have->endpoint.port;
	return true;
}
