/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over what tells of changes: notices, files, and when to act on them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "facade.h"
#include "host/files.h"
#include "host/inputs.h"
#include "host/notices.h"
#include "kilowg_steps.h"
#include "steps/pace.h"
#include "sys/errtext.h"

struct kwg_watch {
	int epoll, timer;
	struct kwgi_inputs inputs;
	struct kwgi_notices notices;
	struct kwgi_pace pace;
	uint64_t armed;			/* what timer is set to; KWGI_PACE_NEVER: nothing */
	enum kwg_watch_todo todo;	/* what the present round is for */
	bool reread;			/* since the files have changed, which is no repair */
	bool files;			/* they may have changed */
	bool host;			/* or something of the host has */
	char ifname[KWGI_IFNAME_MAX + 1];
	char reason[512];
};

/* A clock that goes on while the host sleeps: names age then, too. */
static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void arm(struct kwg_watch *w)
{
	uint64_t next = kwgi_pace_next(&w->pace);
	struct itimerspec t = { .it_value = { 0, 0 } };

	if (next == w->armed)
		return;
	/* A time of zero would switch it off. */
	if (next != KWGI_PACE_NEVER) {
		t.it_value.tv_sec = (time_t)(next / 1000);
		t.it_value.tv_nsec = (long)(next % 1000 * 1000000 + 1);
	}
	(void)timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &t, NULL);
	w->armed = next;
}

/* ---- life -------------------------------------------------------------- */

static int add_fd(struct kwg_watch *w, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return fd < 0 ? 0 : epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static int open_all(struct kwg_watch *w, const char *const *paths, size_t n, struct kwg_error *err)
{
	uint32_t jitter = 0;
	int ret = kwgi_inputs_open(&w->inputs, paths, n, err);

	if (!ret)
		ret = kwgi_notices_open(&w->notices, err);
	if (ret)
		return ret;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->epoll < 0 || w->timer < 0 || add_fd(w, w->timer) || add_fd(w, w->inputs.fd) ||
	    add_fd(w, w->notices.route) || add_fd(w, w->notices.netfilter))
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "watching this host: %s",
				 kwgi_errtext(errno));
	(void)kwgi_file_random(&jitter, sizeof(jitter));
	kwgi_pace_init(&w->pace, now_ms(), jitter);
	arm(w);
	return 0;
}

int kwg_watch_new(struct kwg_watch **out, const char *const *paths, size_t n,
		  struct kwg_error *err)
{
	static const char *const defaults[] = { KWG_SYSCONFDIR, KWG_RUNDIR, KWG_VENDORDIR };
	struct kwg_watch *w = calloc(1, sizeof(*w));
	int ret;

	if (!w)
		return kwgi_nomem(err);
	w->epoll = w->timer = w->inputs.fd = w->notices.route = w->notices.netfilter = -1;
	w->armed = KWGI_PACE_NEVER;
	ret = n ? open_all(w, paths, n, err)
		: open_all(w, defaults, sizeof(defaults) / sizeof(*defaults), err);
	if (ret) {
		kwg_watch_free(w);
		return ret;
	}
	*out = w;
	return 0;
}

void kwg_watch_free(struct kwg_watch *w)
{
	if (!w)
		return;
	kwgi_inputs_close(&w->inputs);
	kwgi_notices_close(&w->notices);
	if (w->timer >= 0)
		close(w->timer);
	if (w->epoll >= 0)
		close(w->epoll);
	free(w);
}

int kwg_watch_fd(const struct kwg_watch *w)
{
	return w->epoll;
}

void kwg_watch_follow(struct kwg_watch *w, const struct kwg_plan *plan)
{
	memcpy(w->ifname, plan->cfg->local.interface, strlen(plan->cfg->local.interface) + 1);
	kwgi_notices_follow(&w->notices, plan);
	kwgi_inputs_follow(&w->inputs, w->ifname);
}

/* ---- what is to be done ------------------------------------------------- */

static void take_events(struct kwg_watch *w, uint64_t now)
{
	unsigned inputs = kwgi_inputs_read(&w->inputs);
	bool host = kwgi_notices_read(&w->notices, false) || inputs & KWGI_INPUTS_SOCKET;
	uint64_t expirations;

	if (read(w->timer, &expirations, sizeof(expirations)) == sizeof(expirations))
		w->armed = KWGI_PACE_NEVER;
	if (inputs & KWGI_INPUTS_FILES)
		w->files = true;
	if (host)
		w->host = true;
	if (inputs || host)
		kwgi_pace_notice(&w->pace, now);
}

/* The time for something has come: for what? */
static enum kwg_watch_todo decide(struct kwg_watch *w, enum kwgi_pace_due due)
{
	/* What failed in the last round is still to be done. */
	enum kwg_watch_todo todo = due == KWGI_PACE_ALL ? KWG_WATCH_LOOK_UP : w->todo;

	if (w->host && todo < KWG_WATCH_LOOK)
		todo = KWG_WATCH_LOOK;
	/* Links to links can change without an event, so files are looked at now and then, too. */
	if ((w->files || due == KWGI_PACE_ALL) && kwgi_inputs_changed(&w->inputs))
		todo = KWG_WATCH_READ;
	w->files = w->host = false;
	w->reread = w->reread || todo == KWG_WATCH_READ;
	return todo;
}

enum kwg_watch_todo kwg_watch_process(struct kwg_watch *w)
{
	enum kwg_watch_todo todo = KWG_WATCH_NOTHING;
	uint64_t now = now_ms();
	enum kwgi_pace_due due;

	take_events(w, now);
	due = kwgi_pace_take(&w->pace, now);
	if (due)
		todo = decide(w, due);
	arm(w);
	if (todo == KWG_WATCH_NOTHING)
		return todo;
	/* If this round fails, the files need not be read once more. */
	w->todo = todo < KWG_WATCH_READ ? todo : KWG_WATCH_LOOK_UP;
	/* Folder and tunnel may have been made anew. */
	if (*w->ifname) {
		kwgi_inputs_follow(&w->inputs, w->ifname);
		kwgi_notices_refilter(&w->notices);
	}
	return todo;
}

const char *kwg_watch_reason(struct kwg_watch *w)
{
	struct kwgi_buf b = { 0 };
	size_t len;

	kwgi_notices_text(&w->notices, &b);
	if (w->reread)
		kwgi_buf_puts(&b, b.len ? ", files changed" : "files changed");
	len = b.failed ? 0 : b.len < sizeof(w->reason) ? b.len : sizeof(w->reason) - 1;
	if (len)
		memcpy(w->reason, b.p, len);
	w->reason[len] = '\0';
	kwgi_buf_free(&b);
	return w->reason;
}

/* ---- what came of it ---------------------------------------------------- */

/* What the pace knows steps by; NULL: no memory. */
static uint64_t *hashes_of(const struct kwg_steps *s)
{
	uint64_t *v = calloc(s->steps.n + 1u, sizeof(*v));
	uint32_t i;

	for (i = 0; v && i < s->steps.n; i++)
		v[i] = kwgi_pace_hash(s->texts[i]);
	return v;
}

static bool waits_for_others(const struct kwg_steps *s)
{
	uint32_t i;

	for (i = 0; i < s->steps.n; i++)
		if (s->steps.v[i].kind == KWGI_STEP_LINK_WAIT)
			return true;
	return false;
}

/* What is left out may have room later, which no notice may tell. */
static void look_again_for(struct kwg_watch *w, const struct kwg_steps *steps, uint64_t now)
{
	if (!kwg_steps_left_out_count(steps))
		return;
	kwgi_pace_failed(&w->pace, now);
	if (w->todo < KWG_WATCH_LOOK)
		w->todo = KWG_WATCH_LOOK;
}

static enum kwg_watch_verdict judge_nothing(struct kwg_watch *w, const struct kwg_steps *steps,
					    uint64_t now)
{
	if (!kwg_steps_left_out_count(steps))
		kwgi_pace_nothing(&w->pace, now);
	kwgi_notices_forget(&w->notices);
	if (w->todo < KWG_WATCH_LOOK_UP) {
		w->todo = KWG_WATCH_NOTHING;
		w->reread = false;
	}
	look_again_for(w, steps, now);
	arm(w);
	return KWG_WATCH_FINE;
}

enum kwg_watch_verdict kwg_watch_judge(struct kwg_watch *w, const struct kwg_steps *steps)
{
	uint64_t *v, now = now_ms();
	bool may = true;

	if (!steps->steps.n)
		return judge_nothing(w, steps, now);
	/* A notice will tell that it has come. */
	if (waits_for_others(steps))
		return KWG_WATCH_HELD;
	v = hashes_of(steps);
	if (v)
		may = kwgi_pace_may_run(&w->pace, v, steps->steps.n, now);
	free(v);
	arm(w);
	return may ? KWG_WATCH_RUN : KWG_WATCH_HELD;
}

/* Peers that were made without asking for the addresses of their names. */
static bool made_peers(const struct kwg_steps *s)
{
	uint32_t i;

	for (i = 0; i < s->steps.n; i++)
		if (s->steps.v[i].kind == KWGI_STEP_PEER_SET)
			return true;
	return false;
}

static bool waits_for_answer(const struct kwg_steps *s)
{
	uint32_t i;

	for (i = 0; s->turns && i < s->plan->n_peers; i++)
		if (s->turns[i].waits)
			return true;
	return false;
}

unsigned kwg_watch_ran(struct kwg_watch *w, const struct kwg_steps *steps, int result)
{
	uint64_t *v = hashes_of(steps), now = now_ms(), wait = 0;
	bool asked = w->todo != KWG_WATCH_LOOK;
	/* The first run, and one for other files, repair nothing. */
	bool repair = w->todo != KWG_WATCH_NOTHING && !w->reread, others;

	kwgi_notices_forget(&w->notices);
	/* Our own changes are told of, too; whether somebody else came between, the next look finds. */
	others = kwgi_notices_read(&w->notices, true);
	if (!steps->steps.n && others) {
		w->host = true;
		kwgi_pace_notice(&w->pace, now);
	}
	if (steps->steps.n) {
		w->host = true;
		wait = kwgi_pace_ran(&w->pace, v, v && (repair || result) ? steps->steps.n : 0, result,
				     now);
		if (!asked && made_peers(steps))
			kwgi_pace_hurry(&w->pace, now);
	}
	if (waits_for_answer(steps))
		kwgi_pace_turn(&w->pace, now);
	w->reread = false;
	w->todo = result && asked ? KWG_WATCH_LOOK_UP : KWG_WATCH_NOTHING;
	look_again_for(w, steps, now);
	free(v);
	arm(w);
	return (unsigned)((wait + 999) / 1000);
}

void kwg_watch_failed(struct kwg_watch *w, int error)
{
	uint64_t now = now_ms();

	/* Nothing to do until something changes: who brings it back makes notices enough. */
	if (error == KWG_ERR_DOWN) {
		kwgi_pace_nothing(&w->pace, now);
		kwgi_notices_forget(&w->notices);
		w->todo = KWG_WATCH_NOTHING;
		arm(w);
		return;
	}
	if (error == KWG_ERR_LOCKED)
		kwgi_pace_locked(&w->pace, now);
	else
		kwgi_pace_failed(&w->pace, now);
	if (w->todo < KWG_WATCH_LOOK)
		w->todo = KWG_WATCH_LOOK;
	arm(w);
}
