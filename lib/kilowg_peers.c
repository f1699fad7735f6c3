/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over lib/dp: key and peers of a device, as values instead of text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "facade.h"
#include "facade_dp.h"

_Static_assert((int)KWG_KEY_LEN == (int)KWGI_KEY_LEN, "keys");
_Static_assert((int)KWG_KEY_TEXT == (int)KWGI_KEY_TEXT, "keys in base64");
_Static_assert((int)KWG_KEY_HEX == (int)KWGI_KEY_HEX, "keys in hex");

/* ---- keys ------------------------------------------------------------------------ */

int kwg_key_parse(uint8_t out[KWG_KEY_LEN], const char *text, struct kwg_error *err)
{
	struct kwgi_key k;
	int ret = kwgi_key_parse(&k, text) && kwgi_key_parse_hex(&k, text) ? -1 : 0;

	if (!ret)
		memcpy(out, k.b, KWG_KEY_LEN);
	sodium_memzero(&k, sizeof(k));
	return ret ? kwgi_fail(err, KWG_ERR_USAGE, 0,
			       "not a key: 44 characters of base64 or 64 of hex are") : 0;
}

/* By no value that is returned: a copy of it might stay on the stack. */
static void take_key(struct kwgi_key *out, const uint8_t *bytes)
{
	memcpy(out->b, bytes, sizeof(out->b));
}

char *kwg_key_text(char out[KWG_KEY_TEXT], const uint8_t key[KWG_KEY_LEN])
{
	struct kwgi_key k;

	take_key(&k, key);
	kwgi_key_format(out, &k);
	sodium_memzero(&k, sizeof(k));
	return out;
}

char *kwg_key_hex(char out[KWG_KEY_HEX], const uint8_t key[KWG_KEY_LEN])
{
	struct kwgi_key k;

	take_key(&k, key);
	kwgi_key_format_hex(out, &k);
	sodium_memzero(&k, sizeof(k));
	return out;
}

/* ---- changes --------------------------------------------------------------------- */

int kwgi_device_change(struct kwg_device *dev, const struct kwgi_uapi_set *set,
		       const struct kwgi_time *t, struct kwg_error *err)
{
	int e = kwgi_device_configure(dev->d, set, t);

	/* The keepalives that were turned on. */
	kwgi_timers_run(dev->d, t);
	if (e == ENOMEM)
		return kwgi_nomem(err);
	if (e)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "the request cannot be carried out: %s",
				 strerror(e));
	return 0;
}

int kwg_device_set_private_key(struct kwg_device *dev, const uint8_t key[KWG_KEY_LEN],
			       uint64_t now, uint64_t wall, struct kwg_error *err)
{
	struct kwgi_uapi_set set = { .parts = KWGI_UAPI_PRIVATE_KEY };
	struct kwgi_time t = { now, wall };
	int ret;

	take_key(&set.private_key, key);
	ret = kwgi_device_change(dev, &set, &t, err);
	sodium_memzero(&set, sizeof(set));
	return ret;
}

static int take_network(struct kwgi_uapi_ip *out, const struct kwg_network *n)
{
	unsigned max = n->family == 4 ? 32 : 128;

	if ((n->family != 4 && n->family != 6) || n->bits > max)
		return -1;
	out->op = KWGI_UAPI_IP_ADD;
	out->prefix.addr.family = n->family;
	memcpy(out->prefix.addr.b, n->addr, n->family == 4 ? 4 : 16);
	out->prefix.len = n->bits;
	out->prefix = kwgi_prefix_masked(&out->prefix);
	return 0;
}

/* Its allowed IPs, to be freed. */
static int take_networks(struct kwgi_uapi_peer *u, struct kwgi_uapi_ip **out, const struct kwg_peer *p,
			 struct kwg_error *err)
{
	struct kwgi_uapi_ip *v;
	size_t i;

	if (p->n_allowed_ips >= UINT32_MAX / sizeof(*v))
		return kwgi_nomem(err);
	v = calloc(p->n_allowed_ips + 1, sizeof(*v));
	if (!v)
		return kwgi_nomem(err);
	if (p->replace_allowed_ips)
		v[u->n_ips++].op = KWGI_UAPI_IP_CLEAR;
	for (i = 0; i < p->n_allowed_ips; i++)
		if (take_network(&v[u->n_ips++], &p->allowed_ips[i])) {
			free(v);
			return kwgi_fail(err, KWG_ERR_USAGE, 0, "allowed IP %zu is no network", i);
		}
	u->ips = *out = v;
	return 0;
}

static int take_endpoint(struct kwgi_uapi_peer *u, const struct kwg_endpoint *e, struct kwg_error *err)
{
	if ((e->family != 4 && e->family != 6) || !e->port)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the endpoint has no address or no port");
	u->parts |= KWGI_UAPI_ENDPOINT;
	u->endpoint.addr.family = e->family;
	memcpy(u->endpoint.addr.b, e->addr, e->family == 4 ? 4 : 16);
	u->endpoint.port = e->port;
	u->endpoint.scope_id = e->scope;
	return 0;
}

static int take_peer(struct kwgi_uapi_peer *u, struct kwgi_uapi_ip **ips, const struct kwg_peer *p,
		     struct kwg_error *err)
{
	int ret;

	take_key(&u->public_key, p->public_key);
	if (kwgi_key_is_zero(&u->public_key))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "the public key is all zero");
	if (p->keepalive < -1 || p->keepalive > UINT16_MAX)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "keepalive is not within 0 to 65535 s");
	if (p->keepalive >= 0)
		u->parts |= KWGI_UAPI_KEEPALIVE;
	u->keepalive = (uint16_t)(p->keepalive >= 0 ? p->keepalive : 0);
	if (p->update_only)
		u->parts |= KWGI_UAPI_UPDATE_ONLY;
	if (p->psk) {
		u->parts |= KWGI_UAPI_PSK;
		take_key(&u->psk, p->psk);
	}
	ret = p->endpoint ? take_endpoint(u, p->endpoint, err) : 0;
	return ret ? ret : take_networks(u, ips, p, err);
}

int kwg_device_set_peer(struct kwg_device *dev, const struct kwg_peer *given, uint64_t now,
			uint64_t wall, struct kwg_error *err)
{
	struct kwg_peer p = KWG_PEER_INIT;
	struct kwgi_uapi_peer u = { .parts = 0 };
	struct kwgi_uapi_set set = { .peers = &u, .n_peers = 1 };
	struct kwgi_uapi_ip *ips = NULL;
	struct kwgi_time t = { now, wall };
	int ret = kwgi_take(&p, sizeof(p), given, "kwg_peer", err);

	if (!ret)
		ret = take_peer(&u, &ips, &p, err);
	if (!ret)
		ret = kwgi_device_change(dev, &set, &t, err);
	sodium_memzero(&u, sizeof(u));
	free(ips);
	return ret;
}

static struct kwgi_dp_peer *find(const struct kwg_device *dev, const uint8_t *public_key)
{
	struct kwgi_key k;

	take_key(&k, public_key);
	return kwgi_device_find(dev->d, &k);
}

bool kwg_device_remove_peer(struct kwg_device *dev, const uint8_t public_key[KWG_KEY_LEN],
			    uint64_t now, uint64_t wall)
{
	struct kwgi_dp_peer *p = find(dev, public_key);
	struct kwgi_time t = { now, wall };

	if (!p)
		return false;
	kwgi_device_remove(dev->d, p);
	kwgi_timers_run(dev->d, &t);
	return true;
}

/* ---- looking --------------------------------------------------------------------- */

static bool describe(const struct kwgi_dp_peer *p, uint64_t now, struct kwg_peer_state *out)
{
	if (!p)
		return false;
	*out = (struct kwg_peer_state){
		.has_psk = !kwgi_key_is_zero(&p->remote.psk),
		.has_session = kwgi_keypair_sends(p->current, now),
		.endpoint = { .family = p->path.family, .port = p->path.port, .scope = p->path.scope },
		.last_handshake = p->last_handshake_wall,
		.tx_bytes = atomic_load_explicit(&p->tx_bytes, memory_order_relaxed),
		.rx_bytes = atomic_load_explicit(&p->rx_bytes, memory_order_relaxed),
		.keepalive = (uint16_t)(p->persistent_interval / KWGI_SECOND),
		.n_allowed_ips = p->allowed_ips.n,
		.n_waiting = p->staged_count,
	};
	memcpy(out->public_key, p->remote.static_public.b, sizeof(out->public_key));
	memcpy(out->endpoint.addr, p->path.addr, sizeof(out->endpoint.addr));
	return true;
}

bool kwg_device_peer(const struct kwg_device *dev, const uint8_t public_key[KWG_KEY_LEN],
		     uint64_t now, struct kwg_peer_state *out)
{
	return describe(find(dev, public_key), now, out);
}

bool kwg_device_next_peer(const struct kwg_device *dev, const uint8_t *after, uint64_t now,
			  struct kwg_peer_state *out)
{
	const struct kwgi_dp_peer *p = after ? find(dev, after) : NULL;

	return describe(after ? p ? p->next_peer : NULL : dev->d->first, now, out);
}

size_t kwg_device_allowed_ips(const struct kwg_device *dev, const uint8_t public_key[KWG_KEY_LEN],
			      struct kwg_network *out, size_t max)
{
	const struct kwgi_dp_peer *p = find(dev, public_key);
	const struct kwgi_allowedips_node *n = p ? p->allowed_ips.first : NULL;
	struct kwgi_prefix prefix;
	size_t i;

	for (i = 0; n && i < max; i++) {
		n = kwgi_allowedips_next(n, &prefix);
		out[i] = (struct kwg_network){ .family = prefix.addr.family, .bits = prefix.len };
		memcpy(out[i].addr, prefix.addr.b, sizeof(out[i].addr));
	}
	return p ? p->allowed_ips.n : 0;
}
