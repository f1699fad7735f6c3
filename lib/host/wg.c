/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/wg.h"

int kwgi_wg_init(struct kwgi_wg *w, const struct kwgi_wg_ops *ops, const char *ifname,
		 struct kwg_error *err)
{
	*w = (struct kwgi_wg){ 0 };
	if (strlen(ifname) > KWGI_IFNAME_MAX)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "%.100s: the interface name is too long", ifname);
	memcpy(w->ifname, ifname, strlen(ifname) + 1);
	w->ops = ops;
	return 0;
}

void kwgi_wg_close(struct kwgi_wg *w)
{
	if (w->ops)
		w->ops->close(w);
	w->ops = NULL;
}

static int by_prefix(const void *a, const void *b)
{
	return kwgi_prefix_cmp(a, b);
}

static int by_key(const void *a, const void *b)
{
	return kwgi_key_cmp(&((const struct kwgi_host_peer *)a)->key,
			    &((const struct kwgi_host_peer *)b)->key);
}

void kwgi_wg_sort(struct kwgi_host_wg *wg)
{
	uint32_t i;

	for (i = 0; i < wg->n_peers; i++)
		if (wg->peers[i].n_allowed_ips)
			qsort(wg->peers[i].allowed_ips, wg->peers[i].n_allowed_ips,
			      sizeof(*wg->peers[i].allowed_ips), by_prefix);
	if (wg->n_peers)
		qsort(wg->peers, wg->n_peers, sizeof(*wg->peers), by_key);
}

enum {
	EVERYTHING = KWGI_WG_ENDPOINT | KWGI_WG_KEEPALIVE | KWGI_WG_PSK | KWGI_WG_ALLOWED_REPLACE,
};

/* No request takes an endpoint away: the peer that had none is made anew. */
static bool got_endpoint(const struct kwgi_step *s)
{
	return s->parts & KWGI_WG_ENDPOINT && !s->u.peer.old->endpoint.port;
}

static int undo_set_peer(struct kwgi_wg *w, const struct kwgi_step *s, struct kwg_error *err)
{
	const struct kwgi_host_peer *old = s->u.peer.old;
	uint32_t i;
	int ret = 0;

	if (!old || got_endpoint(s))
		ret = w->ops->del_peer(w, &s->u.peer.peer->key, err);
	/* All of it: another peer may have taken allowed IPs away meanwhile. */
	if (!ret && old)
		ret = w->ops->set_peer(w, EVERYTHING, old, !got_endpoint(s), err);
	for (i = 0; i < s->u.peer.n_victims && !ret; i++)
		ret = w->ops->set_peer(w, KWGI_WG_ALLOWED_REPLACE, s->u.peer.victims[i], true, err);
	return ret;
}

int kwgi_wg_step(struct kwgi_wg *w, const struct kwgi_step *s, bool undo, struct kwg_error *err)
{
	if (s->kind == KWGI_STEP_WG_DEVICE)
		return w->ops->set_device(w, s->parts, undo ? &s->u.wg.old : &s->u.wg.conf, err);
	if (s->kind == KWGI_STEP_PEER_SET && undo)
		return undo_set_peer(w, s, err);
	if (s->kind == KWGI_STEP_PEER_SET)
		return w->ops->set_peer(w, s->parts, s->u.peer.peer, s->u.peer.old != NULL, err);
	if (undo)
		return w->ops->set_peer(w, EVERYTHING, s->u.peer.old, false, err);
	return w->ops->del_peer(w, &s->u.peer.old->key, err);
}

static bool is_peer_step(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_PEER_SET || s->kind == KWGI_STEP_PEER_DEL;
}

uint32_t kwgi_wg_together(const struct kwgi_step *v, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n && i < KWGI_WG_MANY && is_peer_step(&v[i]) &&
		    v[i].userspace == v->userspace && !strcmp(v[i].link, v->link); i++)
		;
	return i;
}
