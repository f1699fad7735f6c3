/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>

#include "userspace/path.h"
#include "userspace/sources.h"
#include "userspace/worker.h"

enum {
	LOOKED_AT = 512,	/* peers of a turn */
	ASKED = 16,		/* questions of a turn: some microseconds each */
	SHARE = 10,		/* of the time: passes take at most one tenth */
};

#define BETWEEN (100 * KWGI_MS)

struct candidate {
	struct kwgi_key key;
	struct kwgi_path path;
	int error;
	uint32_t oif;
};

/* ---- a pass ------------------------------------ */

static void begin(struct kwgi_sources *s, struct kwgi_device *d)
{
	s->now = s->heard;
	s->heard = (struct kwgi_changes){ 0 };
	s->running = true;
	s->begun = false;
	s->spent = 0;
	d->new_paths = false;
}

/* The rest of s is the first worker's own, but these are looked at by others: with its lock. */
static void end(struct kwgi_sources *s, uint64_t now)
{
	uint64_t pause = s->spent * SHARE;

	s->running = false;
	s->not_before = now + (pause > BETWEEN ? pause : BETWEEN);
}

/* Where to go on. A peer that has been removed meanwhile: from the start again. */
static struct kwgi_dp_peer *resume(const struct kwgi_sources *s, const struct kwgi_device *d)
{
	struct kwgi_dp_peer *p = s->begun ? kwgi_device_find(d, &s->cursor) : NULL;

	return p ? p : d->first;
}

/* Peers whose source is in doubt; with the worker's lock, under which no peer comes, goes or moves. */
static unsigned gather(struct kwgi_sources *s, const struct kwgi_device *d,
		       struct candidate v[ASKED])
{
	struct kwgi_dp_peer *p = resume(s, d);
	unsigned looked, n = 0;

	for (looked = 0; p && looked < LOOKED_AT && n < ASKED; looked++, p = p->next_peer) {
		if (!p->path.has_source || (p->path.way && !kwgi_changes_concern(&s->now, &p->path)))
			continue;
		v[n].key = p->remote.static_public;
		v[n++].path = p->path;
	}
	if (p)
		s->cursor = p->remote.static_public;
	s->begun = p != NULL;
	return n;
}

static void ask(struct kwgi_dataplane *p, struct candidate *v, unsigned n, uint32_t fwmark,
		uint16_t port)
{
	struct kwgi_sockaddr to;
	struct kwgi_source from;
	unsigned i;

	for (i = 0; i < n; i++) {
		v[i].path.way_changed = false;	/* which would hide the source */
		kwgi_path_sockaddr(&to, &v[i].path);
		kwgi_path_source(&from, &v[i].path);
		v[i].oif = 0;
		v[i].error = kwgi_route_oif(&p->route, &to, &from, fwmark, port, &v[i].oif);
	}
}

/* What the kernel's WireGuard does at each send, but that it keeps to the interface of arrival. */
static void judge(struct kwgi_dp_peer *p, const struct candidate *c)
{
	if (c->error == -EINVAL)
		p->path.has_source = false;
	else if (!c->error && !p->path.way)
		p->path.way = c->oif;
	else if (!c->error)
		p->path.way_changed = c->oif != p->path.way;
	/* Else there is no way at all for now, and nothing is sent. */
}

static bool changes_anything(const struct kwgi_dp_peer *p, const struct candidate *c)
{
	if (c->error)
		return c->error == -EINVAL;
	return !p->path.way || p->path.way_changed != (c->oif != p->path.way);
}

static struct kwgi_dp_peer *still_there(const struct kwgi_device *d, const struct candidate *c)
{
	struct kwgi_dp_peer *p = kwgi_device_find(d, &c->key);

	return p && kwgi_path_same(&p->path, &c->path) ? p : NULL;
}

/* Most answers change nothing, and then nobody is stopped for them. */
static void take_answers(struct kwgi_worker *w, const struct candidate *v, unsigned n)
{
	struct kwgi_device *d = w->plane->device;
	struct kwgi_dp_peer *p;
	bool any = false;
	unsigned i;

	kwgi_worker_lock(w);
	for (i = 0; i < n && !any; i++) {
		p = still_there(d, &v[i]);
		any = p && changes_anything(p, &v[i]);
	}
	kwgi_worker_unlock(w);
	if (!any)
		return;
	kwgi_worker_lock_all(w);
	for (i = 0; i < n; i++) {
		p = still_there(d, &v[i]);
		if (p)
			judge(p, &v[i]);
	}
	kwgi_worker_unlock_all(w);
}

/* ---- for the first worker ------------------------------------ */

void kwgi_sources_notices(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	const struct kwgi_link_state *l = kwgi_link_state(p->link);

	/* Other workers look at the deadline. */
	kwgi_worker_lock(w);
	(void)kwgi_route_notices(&p->route, l->where == KWGI_LINK_HERE ? l->ifindex : 0,
				 &p->sources.heard);
	kwgi_worker_unlock(w);
}

uint64_t kwgi_sources_deadline(const struct kwgi_worker *w)
{
	const struct kwgi_sources *s = &w->plane->sources;

	if (s->running)
		return 0;
	return s->heard.all || s->heard.n || w->plane->device->new_paths ? s->not_before :
									   UINT64_MAX;
}

void kwgi_sources_work(struct kwgi_worker *w, uint64_t now)
{
	struct kwgi_dataplane *p = w->plane;
	struct kwgi_sources *s = &p->sources;
	struct candidate v[ASKED];
	uint32_t fwmark;
	uint16_t port;
	unsigned n;

	kwgi_worker_lock(w);
	if (kwgi_sources_deadline(w) > now) {
		kwgi_worker_unlock(w);
		return;
	}
	if (!s->running)
		begin(s, p->device);
	n = gather(s, p->device, v);
	fwmark = p->device->fwmark;
	port = p->device->listen_port;
	kwgi_worker_unlock(w);
	if (n) {
		ask(p, v, n, fwmark, port);
		take_answers(w, v, n);
	}
	kwgi_worker_lock(w);
	s->spent += kwgi_now() - now;
	if (!s->begun)
		end(s, kwgi_now());
	kwgi_worker_unlock(w);
}
