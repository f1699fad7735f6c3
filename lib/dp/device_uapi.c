/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Configuration as the userspace API tells it: from parsed requests, and to answers. */
#include <errno.h>
#include <string.h>

#include "dp/protocol.h"

enum { MAX_PEERS = 1 << 20 };

/* ---- set ------------------------------------ */

static int apply_endpoint(struct kwgi_device *d, struct kwgi_dp_peer *p,
			  const struct kwgi_uapi_endpoint *e)
{
	struct kwgi_path path = { .family = e->addr.family, .port = e->port, .scope = e->scope_id };

	if (e->scope) {
		path.scope = d->io.scope ? d->io.scope(d->io.arg, e->scope) : 0;
		if (!path.scope)
			return EINVAL;
	}
	memcpy(path.addr, e->addr.b, sizeof(path.addr));
	kwgi_peer_set_path(p, &path);
	return 0;
}

static int apply_ips(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_uapi_peer *u)
{
	uint32_t i;

	for (i = 0; i < u->n_ips; i++) {
		switch ((enum kwgi_uapi_ip_op)u->ips[i].op) {
		case KWGI_UAPI_IP_ADD:
			if (kwgi_allowedips_insert(&d->allowed_ips, &u->ips[i].prefix,
						   &p->allowed_ips))
				return ENOMEM;
			break;
		case KWGI_UAPI_IP_REMOVE:
			kwgi_allowedips_remove(&d->allowed_ips, &u->ips[i].prefix,
					       &p->allowed_ips);
			break;
		case KWGI_UAPI_IP_CLEAR:
			kwgi_allowedips_remove_all(&d->allowed_ips, &p->allowed_ips);
			break;
		}
	}
	return 0;
}

static int apply_peer(struct kwgi_device *d, const struct kwgi_uapi_peer *u,
		      const struct kwgi_time *t)
{
	struct kwgi_dp_peer *p = kwgi_device_find(d, &u->public_key);
	int e = 0;

	if (u->parts & KWGI_UAPI_REMOVE) {
		if (p)
			kwgi_device_remove(d, p);
		return 0;
	}
	if (!p && ((u->parts & KWGI_UAPI_UPDATE_ONLY) ||
		   (d->identity.set && kwgi_key_equal(&u->public_key, &d->identity.public_key))))
		return 0;
	if (!p && d->n_peers == MAX_PEERS)
		return ENOSPC;
	if (!p)
		p = kwgi_device_add(d, &u->public_key);
	if (!p)
		return ENOMEM;
	if (u->parts & KWGI_UAPI_PSK)
		kwgi_peer_set_psk(p, &u->psk);
	if (u->parts & KWGI_UAPI_ENDPOINT)
		e = apply_endpoint(d, p, &u->endpoint);
	if (!e)
		e = apply_ips(d, p, u);
	if (e)
		return e;
	if (u->parts & KWGI_UAPI_KEEPALIVE)
		kwgi_peer_set_persistent(d, p, u->keepalive * KWGI_SECOND, t);
	kwgi_send_staged(d, p, t);
	return 0;
}

/* Who only listens has no packet to be known by: the peer would go on sending to the port before. */
static void tell_peers(struct kwgi_device *d, uint64_t now)
{
	struct kwgi_dp_peer *p;

	for (p = d->first; p; p = p->next_peer)
		if (p->path.family && kwgi_keypair_sends(p->current, now))
			kwgi_timers_keepalive_due(d, p, now);
}

static int apply_port(struct kwgi_device *d, uint16_t port, const struct kwgi_time *t)
{
	int e;

	if (port == d->listen_port && port)
		return 0;
	e = d->io.listen ? d->io.listen(d->io.arg, port) : 0;
	if (e)
		return e;
	/* listen() tells a port that it has chosen by setting listen_port itself. */
	if (port)
		d->listen_port = port;
	kwgi_device_clear_sources(d);
	tell_peers(d, t->now);
	return 0;
}

static int apply_fwmark(struct kwgi_device *d, uint32_t mark)
{
	int e = d->io.fwmark && mark != d->fwmark ? d->io.fwmark(d->io.arg, mark) : 0;

	if (e)
		return e;
	d->fwmark = mark;
	kwgi_device_clear_sources(d);
	return 0;
}

/*
 * What had to wait for a key, or has no session with the new one, asks for a session: by the timer,
 * since thousands of peers may want one.
 */
static void apply_private_key(struct kwgi_device *d, const struct kwgi_key *key,
			      const struct kwgi_time *t)
{
	struct kwgi_dp_peer *p;

	kwgi_device_set_private_key(d, key);
	for (p = d->first; d->identity.set && p; p = p->next_peer)
		if (p->staged && !kwgi_keypair_sends(p->current, t->now))
			kwgi_timers_initiation_due(d, p, t->now);
}

int kwgi_device_configure(struct kwgi_device *d, const struct kwgi_uapi_set *set,
			  const struct kwgi_time *t)
{
	uint32_t i;
	int e = 0;

	if (set->parts & KWGI_UAPI_PRIVATE_KEY)
		apply_private_key(d, &set->private_key, t);
	if (set->parts & KWGI_UAPI_LISTEN_PORT)
		e = apply_port(d, set->listen_port, t);
	if (!e && (set->parts & KWGI_UAPI_FWMARK))
		e = apply_fwmark(d, set->fwmark);
	if (e)
		return e;
	if (set->parts & KWGI_UAPI_REPLACE_PEERS)
		while (d->first)
			kwgi_device_remove(d, d->first);
	for (i = 0; i < set->n_peers && !e; i++)
		e = apply_peer(d, &set->peers[i], t);
	return e;
}

/* ---- get ------------------------------------ */

static void print_peer(struct kwgi_buf *out, const struct kwgi_dp_peer *p)
{
	struct kwgi_uapi_endpoint e = { .port = p->path.port, .scope_id = p->path.scope };
	struct kwgi_uapi_peer_info info = {
		.public_key = &p->remote.static_public,
		.psk = &p->remote.psk,
		.endpoint = p->path.family ? &e : NULL,
		.handshake_sec = p->last_handshake_wall / KWGI_SECOND,
		.handshake_nsec = (uint32_t)(p->last_handshake_wall % KWGI_SECOND),
		.tx_bytes = atomic_load_explicit(&p->tx_bytes, memory_order_relaxed),
		.rx_bytes = atomic_load_explicit(&p->rx_bytes, memory_order_relaxed),
		.keepalive = (uint16_t)(p->persistent_interval / KWGI_SECOND),
		.ips = &p->allowed_ips,
	};

	e.addr.family = p->path.family;
	memcpy(e.addr.b, p->path.addr, sizeof(e.addr.b));
	kwgi_uapi_print_peer(out, &info);
}

void kwgi_device_print(const struct kwgi_device *d, struct kwgi_buf *out)
{
	struct kwgi_uapi_device_info info = {
		.private_key = d->identity.set ? &d->identity.private_key : NULL,
		.fwmark = d->fwmark,
		.listen_port = d->listen_port,
	};
	const struct kwgi_dp_peer *p;

	kwgi_uapi_print_device(out, &info);
	for (p = d->first; p; p = p->next_peer)
		print_peer(out, p);
}
