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
#include <string.h>
#include <time.h>

#include "host/files.h"
#include "host/uapi.h"
#include "host/wake.h"
#include "host/wg_genl.h"

enum {
	ON = 65535,		/* seconds: nothing but the first one comes */
	UP_TIMEOUT = 500,	/* ms that a daemon may take to send */
	UP_LOOK = 10,		/* ms between two looks */
};

/* The step that has made this device, or NULL. */
static const struct kwgi_step *maker(const struct kwgi_steps *s, const char *ifname)
{
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if ((s->v[i].kind == KWGI_STEP_LINK_DAEMON || s->v[i].kind == KWGI_STEP_LINK_ADD) &&
		    !strcmp(s->v[i].link, ifname))
			return &s->v[i];
	return NULL;
}

/* Does this step make a peer that stays quiet, though it could send? */
static bool is_quiet(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_PEER_SET && !s->u.peer.old && s->u.peer.peer->endpoint.port &&
	       !s->u.peer.peer->keepalive;
}

static const struct kwgi_step *first_quiet(const struct kwgi_steps *s)
{
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if (is_quiet(&s->v[i]))
			return &s->v[i];
	return NULL;
}

static int set_keepalives(struct kwgi_wg *w, const struct kwgi_steps *s, uint32_t keepalive,
			  struct kwg_error *err)
{
	struct kwgi_host_peer peer;
	uint32_t i;
	int ret = 0;

	for (i = 0; i < s->n && !ret; i++) {
		if (!is_quiet(&s->v[i]))
			continue;
		peer = *s->v[i].u.peer.peer;
		peer.keepalive = keepalive;
		ret = w->ops->set_peer(w, KWGI_WG_KEEPALIVE, &peer, true, err);
	}
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

static int wake(struct kwgi_wg *w, const struct kwgi_steps *s, bool daemon, struct kwg_error *err)
{
	bool is_up = !daemon;
	/* Reading tells whose daemon it is, too. */
	int ret = daemon ? has_sent(w, &is_up, err) : 0;

	if (ret || w->boringtun)
		return ret;
	ret = set_keepalives(w, s, ON, err);
	if (!ret && !is_up)
		ret = wait_for_daemon(w, err);
	return ret ? ret : set_keepalives(w, s, 0, err);
}

int kwgi_wake(const struct kwgi_steps *s, struct kwg_error *err)
{
	const struct kwgi_step *quiet = first_quiet(s);
	const struct kwgi_step *made = quiet ? maker(s, quiet->link) : NULL;
	struct kwgi_wg w = { 0 };
	int ret;

	if (!made)
		return 0;
	if (made->kind == KWGI_STEP_LINK_DAEMON)
		ret = kwgi_uapi_open(&w, made->link, err);
	else
		ret = kwgi_wg_genl_open(&w, made->link, err);
	if (!ret)
		ret = wake(&w, s, made->kind == KWGI_STEP_LINK_DAEMON, err);
	kwgi_wg_close(&w);
	return ret;
}
