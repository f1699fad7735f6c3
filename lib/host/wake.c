/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * No request makes a WireGuard send. But one whose persistent keepalive is
 * turned on sends a keepalive at once (the kernel's set_peer(), wireguard-go's
 * handlePostConfig()), and so begins a handshake; turning it off again does not
 * end that. Peers that want persistent keepalives need none of it: they get
 * their first one when the link goes up.
 *
 * A daemon hears of its link going up, some time after it did. Until then,
 * keepalives that are turned on wait for it, too.
 *
 * BoringTun would lose a peer for a moment (uapi.c), and is left alone.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "host/files.h"
#include "host/uapi.h"
#include "host/wake.h"
#include "host/wg_genl.h"

enum {
	MANY = 100,		/* peers of one request */
	ON = 65535,		/* seconds: nothing but the first one comes */
	UP_TIMEOUT = 500,	/* ms that a daemon may take to send */
	UP_LOOK = 10,		/* ms between two looks */
};

/* Do the steps make this device, or set it up? Then all it sends to is new. */
static bool is_new_device(const struct kwgi_steps *s, const char *ifname)
{
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if ((s->v[i].kind == KWGI_STEP_LINK_DAEMON || s->v[i].kind == KWGI_STEP_LINK_ADD ||
		     s->v[i].kind == KWGI_STEP_LINK_UP) && !strcmp(s->v[i].link, ifname))
			return true;
	return false;
}

/* Does this step make a peer that stays quiet, though it could send? */
static bool is_quiet(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_PEER_SET && !s->u.peer.old && s->u.peer.peer->endpoint.port &&
	       !s->u.peer.peer->keepalive;
}

/*
 * The steps for those that are to be woken: all of a new device, else only who takes the place of
 * another peer, as the new leader of a location does. NULL if there is no memory.
 */
static const struct kwgi_step **list_quiet(const struct kwgi_steps *s, uint32_t *n)
{
	const struct kwgi_step **v = calloc(s->n + 1u, sizeof(*v));
	const char *ifname = NULL;
	bool new_device = false;
	uint32_t i;

	*n = 0;
	for (i = 0; v && i < s->n; i++) {
		if (!is_quiet(&s->v[i]))
			continue;
		if (!ifname)
			new_device = is_new_device(s, ifname = s->v[i].link);
		if (new_device || s->v[i].u.peer.n_victims)
			v[(*n)++] = &s->v[i];
	}
	return v;
}

static int set_some(struct kwgi_wg *w, const struct kwgi_step *const *v, uint32_t n,
		    uint32_t keepalive, struct kwg_error *err)
{
	struct kwgi_step steps[MANY] = { 0 };
	struct kwgi_host_peer peers[MANY];
	uint32_t i;
	int ret = 0;

	for (i = 0; i < n; i++) {
		peers[i] = *v[i]->u.peer.peer;
		peers[i].keepalive = keepalive;
		steps[i] = *v[i];
		steps[i].parts = KWGI_WG_KEEPALIVE;
		steps[i].u.peer.peer = &peers[i];
	}
	if (w->ops->peers)
		return w->ops->peers(w, steps, n, err);
	for (i = 0; i < n && !ret; i++)
		ret = w->ops->set_peer(w, KWGI_WG_KEEPALIVE, &peers[i], true, err);
	return ret;
}

static int set_keepalives(struct kwgi_wg *w, const struct kwgi_step *const *v, uint32_t n,
			  uint32_t keepalive, struct kwg_error *err)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < n && !ret; i += MANY)
		ret = set_some(w, v + i, n - i < MANY ? n - i : MANY, keepalive, err);
	return ret;
}

/* To one peer is enough: a daemon begins with all of them together. */
static int has_sent(struct kwgi_wg *w, bool *sent, struct kwg_error *err)
{
	struct kwgi_arena arena = { 0 };
	struct kwgi_host_wg wg = { 0 };
	int ret = w->ops->get(w, &arena, &wg, err);
	uint32_t i;

	*sent = false;
	for (i = 0; !ret && i < wg.n_peers && !*sent; i++)
		*sent = wg.peers[i].tx_bytes;
	kwgi_arena_free(&arena);
	return ret;
}

static int wait_for_daemon(struct kwgi_wg *w, struct kwg_error *err)
{
	const struct timespec pause = { .tv_nsec = UP_LOOK * 1000000 };
	int64_t deadline = kwgi_monotonic_ms() + UP_TIMEOUT;
	bool sent;
	int ret;

	while (!(ret = has_sent(w, &sent, err)) && !sent && kwgi_monotonic_ms() < deadline)
		nanosleep(&pause, NULL);
	return ret;
}

static int wake(struct kwgi_wg *w, const struct kwgi_step *const *v, uint32_t n,
		struct kwg_error *err)
{
	bool is_up = !v[0]->userspace;
	/* Reading tells whose daemon it is, too. */
	int ret = is_up ? 0 : has_sent(w, &is_up, err);

	if (ret || w->boringtun)
		return ret;
	ret = set_keepalives(w, v, n, ON, err);
	if (!ret && !is_up)
		ret = wait_for_daemon(w, err);
	return ret ? ret : set_keepalives(w, v, n, 0, err);
}

int kwgi_wake(const struct kwgi_steps *s, struct kwg_error *err)
{
	struct kwgi_wg w = { 0 };
	uint32_t n;
	const struct kwgi_step **v = list_quiet(s, &n);
	int ret = v ? 0 : kwgi_nomem(err);

	if (!ret && n) {
		if (v[0]->userspace)
			ret = kwgi_uapi_open(&w, v[0]->link, err);
		else
			ret = kwgi_wg_genl_open(&w, v[0]->link, err);
		if (!ret)
			ret = wake(&w, v, n, err);
		kwgi_wg_close(&w);
	}
	free(v);
	return ret;
}
