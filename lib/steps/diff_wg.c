/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference of WireGuard devices: key, port, peers. */
#include "steps/diff.h"
#include "steps/names.h"

void kwgi_diff_device(struct kwgi_diff *d)
{
	const struct kwgi_desired *w = d->w;
	const struct kwgi_host_wg *have = &d->h->wg;
	struct kwgi_step step = { .kind = KWGI_STEP_WG_DEVICE, .link = w->ifname,
				  .userspace = d->userspace, .u.wg = { .conf = w->wg } };

	/* Public keys are compared: some daemons never give the private one back. */
	if (kwgi_key_cmp(&w->public_key, &have->public_key))
		step.parts |= KWGI_WG_PRIVATE_KEY;
	if (w->wg.port != have->port && !kwgi_diff_port_is_late(d))
		step.parts |= KWGI_WG_PORT;
	if (w->wg.fwmark != have->fwmark)
		step.parts |= KWGI_WG_FWMARK;
	step.u.wg.old.private_key = have->private_key;
	step.u.wg.old.port = have->port;
	step.u.wg.old.fwmark = have->fwmark;
	if (step.parts)
		kwgi_diff_make(d, &step);
}

/* Are all of a's allowed IPs among b's? Both in order. */
static bool is_subset(const struct kwgi_host_peer *a, const struct kwgi_host_peer *b)
{
	uint32_t i, j = 0;

	for (i = 0; i < a->n_allowed_ips; i++, j++) {
		while (j < b->n_allowed_ips &&
		       kwgi_prefix_cmp(&b->allowed_ips[j], &a->allowed_ips[i]) < 0)
			j++;
		if (j == b->n_allowed_ips ||
		    !kwgi_prefix_equal(&b->allowed_ips[j], &a->allowed_ips[i]))
			return false;
	}
	return true;
}

static bool same_endpoint(const struct kwgi_endpoint *a, const struct kwgi_endpoint *b)
{
	return a->port == b->port && kwgi_addr_equal(&a->addr, &b->addr);
}

static uint32_t differing_parts(const struct kwgi_diff *d, const struct kwgi_desired_peer *want,
				const struct kwgi_host_peer *have)
{
	const struct kwgi_host_peer *p = &want->peer;
	uint32_t parts = 0;

	/*
	 * WireGuard learns where a peer really is. What it knows stays if the
	 * peer moves about (it has a keepalive, as in Kilo) and a session works
	 * there, or if there is nothing better to say. Without a session, two
	 * that have moved at the same time would never find each other.
	 */
	if (p->endpoint.port && !same_endpoint(&p->endpoint, &have->endpoint) &&
	    !(want->keep_endpoint && kwgi_names_works(have, d->w->now)))
		parts |= KWGI_WG_ENDPOINT;
	if (p->keepalive != have->keepalive)
		parts |= KWGI_WG_KEEPALIVE;
	if (!kwgi_key_equal(&p->psk, &have->psk))
		parts |= KWGI_WG_PSK;
	if (!is_subset(have, p))
		parts |= KWGI_WG_ALLOWED_REPLACE;
	else if (!is_subset(p, have))
		parts |= KWGI_WG_ALLOWED_ADD;
	return parts;
}

/* What a step for a changed peer carries: the wanted peer, with the endpoint to go on with. */
static const struct kwgi_host_peer *complete_peer(struct kwgi_diff *d,
						  const struct kwgi_desired_peer *want,
						  const struct kwgi_host_peer *have,
						  uint32_t parts)
{
	struct kwgi_host_peer *p;

	if (parts & KWGI_WG_ENDPOINT || !have->endpoint.port)
		return &want->peer;
	p = kwgi_arena_alloc(&d->s->arena, 1, sizeof(*p));
	if (!p) {
		d->failed = true;
		return &want->peer;
	}
	*p = want->peer;
	p->endpoint = have->endpoint;
	return p;
}

/* Where a peer is may have been learnt by the device that makes room. */
static const struct kwgi_host_peer *new_peer(struct kwgi_diff *d,
					     const struct kwgi_desired_peer *want)
{
	const struct kwgi_host_peer *known = kwgi_host_peer(&d->h->aside_wg, &want->peer.key);

	return known ? complete_peer(d, want, known, differing_parts(d, want, known)) : &want->peer;
}

static void build_owners(struct kwgi_diff *d)
{
	const struct kwgi_host_wg *wg = &d->h->wg;
	uint32_t i, j;

	for (i = 0; i < wg->n_peers; i++)
		for (j = 0; j < wg->peers[i].n_allowed_ips; j++)
			if (kwgi_prefixset_add(&d->owners, &d->s->arena,
					       &wg->peers[i].allowed_ips[j], i))
				d->failed = true;
	kwgi_prefixset_build(&d->owners);
}

/* An allowed IP belongs to one peer: giving it to this one takes it from its owner. */
static void find_victims(struct kwgi_diff *d, struct kwgi_step *step)
{
	const struct kwgi_host_peer *p = step->u.peer.peer, *owner, **last;
	uint32_t i, item, n = 0;

	for (i = 0; i < p->n_allowed_ips; i++) {
		item = kwgi_prefixset_find(&d->owners, &p->allowed_ips[i]);
		if (item == KWGI_NO_ITEM)
			continue;
		owner = &d->h->wg.peers[d->owners.v[item].value];
		last = n ? &step->u.peer.victims[n - 1] : NULL;
		if (!kwgi_key_cmp(&owner->key, &p->key) || (last && *last == owner))
			continue;
		if (kwgi_arena_grow(&d->s->arena, &step->u.peer.victims, n,
				    &step->u.peer.victims_cap, sizeof(owner))) {
			d->failed = true;
			return;
		}
		step->u.peer.victims[n++] = owner;
	}
	step->u.peer.n_victims = n;
}

static void diff_peer(struct kwgi_diff *d, const struct kwgi_desired_peer *want,
		      const struct kwgi_host_peer *have)
{
	struct kwgi_step step = { .kind = KWGI_STEP_PEER_SET, .link = d->w->ifname,
				  .userspace = d->userspace, .label = want->name };

	if (have) {
		step.parts = differing_parts(d, want, have);
		if (!step.parts)
			return;
		step.u.peer.peer = complete_peer(d, want, have, step.parts);
		step.u.peer.old = have;
	} else {
		step.parts = KWGI_WG_ENDPOINT | KWGI_WG_KEEPALIVE | KWGI_WG_PSK |
			     KWGI_WG_ALLOWED_REPLACE;
		step.u.peer.peer = new_peer(d, want);
	}
	if (step.parts & (KWGI_WG_ALLOWED_ADD | KWGI_WG_ALLOWED_REPLACE))
		find_victims(d, &step);
	kwgi_diff_make(d, &step);
}

void kwgi_diff_peers(struct kwgi_diff *d)
{
	const struct kwgi_desired *w = d->w;
	const struct kwgi_host_wg *have = &d->h->wg;
	uint32_t i = 0, j = 0;
	int c;

	build_owners(d);

	/* Both lists are sorted by key. */
	while (i < w->n_peers || j < have->n_peers) {
		if (i == w->n_peers)
			c = 1;
		else if (j == have->n_peers)
			c = -1;
		else
			c = kwgi_key_cmp(&w->peers[i].peer.key, &have->peers[j].key);
		if (c > 0)
			kwgi_diff_break(d, &(struct kwgi_step){
				.kind = KWGI_STEP_PEER_DEL, .link = w->ifname,
				.userspace = d->userspace, .u.peer = { .old = &have->peers[j] } });
		else
			diff_peer(d, &w->peers[i], c ? NULL : &have->peers[j]);
		i += c <= 0;
		j += c >= 0;
	}
}
