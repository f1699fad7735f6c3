/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Of the facade over this host: links and WireGuard, also while a daemon dies or hangs. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "base/error.h"
#include "host/files.h"
#include "kilowg_steps.h"
#include "steps/mark.h"

enum {
	DYING_TIMEOUT = 5000,	/* ms that a daemon may take to be gone */
	DYING_LOOK = 20,	/* ms between two looks */
};

/* Routes of others to where the plan has one, too, are looked at. */
static int note_interest(struct kwg_steps *s, struct kwg_error *err)
{
	struct kwgi_host *h = &s->host;
	uint32_t i;

	for (i = 0; i < s->plan->n_routes; i++)
		if (kwgi_prefixset_add(&h->interest, &h->arena, &s->plan->routes[i].dst, i))
			return kwgi_nomem(err);
	kwgi_prefixset_build(&h->interest);
	return 0;
}

static int look(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_local *local = &s->plan->cfg->local;
	int ret = note_interest(s, err);

	if (!ret)
		ret = kwgi_live_observe(&s->live, (uint8_t)local->route_protocol, &s->host, err);
	if (!ret)
		ret = kwgi_steps_choose_backend(s, err);
	if (!ret)
		ret = kwgi_live_observe_wg(&s->live, local->interface, &s->host, err);
	if (!ret && s->backend.aside)
		ret = kwgi_live_observe_aside(&s->live, local->interface, &s->host, err);
	return ret;
}

/* The interface, also if it has to make room. */
static struct kwgi_link *find_link(struct kwg_steps *s)
{
	uint32_t i;

	for (i = 0; i < s->host.n_links; i++)
		if (!strcmp(s->host.links[i].name, s->plan->cfg->local.interface))
			return &s->host.links[i];
	return NULL;
}

/* ---- dying ----------------------------------------------------------- */

/*
 * A process that dies closes one file after the other, some of them slowly: its
 * socket may have gone while its link is still there.
 */
static bool is_dying(struct kwg_steps *s, int ret, const struct kwg_error *err)
{
	const struct kwgi_link *l = find_link(s);

	if (!l || strcmp(l->kind, "tun"))
		return false;
	if (!ret)
		return s->backend.replace && !s->backend.aside;
	return ret == KWG_ERR_KERNEL &&
	       (err->sys_errno == ECONNRESET || err->sys_errno == EPIPE ||
		err->sys_errno == ECONNREFUSED || err->sys_errno == ENOENT ||
		err->sys_errno == ENODEV || err->sys_errno == ENXIO);
}

static int look_until_dead(struct kwg_steps *s, struct kwg_error *err)
{
	const struct timespec pause = { .tv_nsec = DYING_LOOK * 1000000 };
	int64_t deadline = kwgi_monotonic_ms() + DYING_TIMEOUT;
	int ret;

	for (;;) {
		*err = (struct kwg_error){ 0 };
		ret = look(s, err);
		/* What is still as it was then has its reason, and is told or repaired. */
		if (!is_dying(s, ret, err) || kwgi_monotonic_ms() >= deadline)
			return ret;
		nanosleep(&pause, NULL);
		kwgi_live_forget_wg(&s->live);
		kwgi_host_free(&s->host);
	}
}

/* ---- hanging --------------------------------------------------------- */

static bool hangs(int ret, const struct kwg_error *err)
{
	return ret == KWG_ERR_KERNEL && err->sys_errno == ETIMEDOUT;
}

/* Is its daemon one that we have started, and may start again? */
static bool is_ours(const struct kwg_steps *s, const struct kwgi_link *l)
{
	return !s->backend.external && !s->backend.replace &&
	       (kwgi_mark_is_ours(l->alias, &s->host.owner) || kwgi_host_is_unfinished(&s->host, l));
}

/* One that cannot be ended would keep its port and socket. */
static bool can_be_ended(const struct kwg_steps *s, const struct kwgi_link *l)
{
	struct kwgi_process owner;
	bool sure;

	kwgi_daemon_find(&s->live.launch, l->name, l->name, &owner);
	sure = owner.sure;
	kwgi_process_close(&owner);
	return sure;
}

/* Once may be bad luck, twice is not. */
static int replace_if_it_hangs(struct kwg_steps *s, struct kwg_error *err)
{
	struct kwgi_link *l = find_link(s);
	int ret;

	if (s->for_status || !l || !is_ours(s, l) || !can_be_ended(s, l))
		return err->status;
	*err = (struct kwg_error){ 0 };
	ret = kwgi_live_observe_wg(&s->live, l->name, &s->host, err);
	if (!hangs(ret, err))
		return ret;
	kwgi_steps_say(s, KWG_WARNING, "%s; it was asked twice, and is to be replaced", err->text);
	sodium_memzero(&s->host.wg, sizeof(s->host.wg));
	l->replaced = true;
	return 0;
}

int kwgi_steps_observe(struct kwg_steps *s, struct kwg_error *err)
{
	struct kwg_error own;
	int ret = look_until_dead(s, &own);

	if (hangs(ret, &own))
		ret = replace_if_it_hangs(s, &own);
	if (!ret)
		kwgi_steps_tell_backend(s);
	/* Status tells that the interface is missing; nothing is started for that. */
	if (!ret && !s->for_status)
		ret = kwgi_steps_check_program(s, &own);
	if (ret && err)
		*err = own;
	return ret;
}
