/* SPDX-License-Identifier: ISC */
#include "steps/names.h"

enum {
	/* WireGuard paper, 6.1: after this many seconds a session carries nothing any more. */
	REJECT_AFTER_TIME = 180,
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

static bool is_of_use(const struct kwgi_answer *a)
{
	return a->reachable && a->addr.family && !kwgi_addr_useless(&a->addr);
}

bool kwgi_names_choose(struct kwgi_endpoint *out, const struct kwgi_wg_peer *p,
		       const struct kwgi_host_peer *have, const struct kwgi_answer *answers,
		       uint32_t n)
{
	const struct kwgi_addr *best = NULL, *in_use = NULL;
	uint32_t i;

	if (have && have->endpoint.port)
		in_use = &have->endpoint.addr;
	for (i = 0; i < n; i++) {
		const struct kwgi_addr *a = &answers[i].addr;

		if (!is_of_use(&answers[i]))
			continue;
		if (in_use && kwgi_addr_equal(a, in_use)) {
			best = a;
			break;
		}
		if (!best || kwgi_addr_cmp(a, best) < 0)
			best = a;
	}
	if (!best)
		return false;
	*out = (struct kwgi_endpoint){ .addr = *best, .port = p->endpoint.port };
	if (p->roams && in_use && kwgi_addr_equal(best, in_use))
		out->port = have->endpoint.port;
	return true;
}
