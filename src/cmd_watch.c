/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* watch: apply, again and at once whenever this host or the files change. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "cli.h"

enum { TOLD = 64 };

struct watcher {
	struct cli *cli;
	struct kwg_host_options opt;
	kwg_log_fn *log;		/* of opt, before ours was put in front of it */
	struct kwg_watch *watch;
	struct kwg_config *cfg;		/* the last one without errors */
	struct kwg_plan *plan;
	struct kwg_pending held;	/* what the files are held for, while opt.restore is set */
	const char *notify;		/* NOTIFY_SOCKET, or NULL */
	int signals;
	unsigned long repairs;
	uint64_t told[TOLD];		/* hashes of lines that were told already */
	unsigned n_told;
	bool failing;			/* the last look or run has failed */
	bool reading;			/* this round is for files that have changed */
	bool refused;			/* what the files say now is not followed */
	bool down;			/* the mesh was taken down by somebody */
	bool ready;			/* the service manager knows that we have started */
};

/* ---- words ------------------------------------------------------------- */

/* FNV-1a */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}

/* What would be said at every look is said once, until the files change. */
static bool is_new(struct watcher *w, const char *line)
{
	uint64_t h = hash(line);
	unsigned i;

	for (i = 0; i < TOLD; i++)
		if (w->told[i] == h)
			return false;
	w->told[w->n_told++ % TOLD] = h;
	return true;
}

static void forget_told(struct watcher *w)
{
	memset(w->told, 0, sizeof(w->told));
	w->n_told = 0;
}

static void log_once(void *arg, enum kwg_severity severity, const char *line)
{
	struct watcher *w = arg;

	if (is_new(w, line))
		w->log(w->cli, severity, line);
}

/* What is left out, since when something has happened. */
static void tell_left_out(struct watcher *w, const struct kwg_steps *steps)
{
	const char *reason = kwg_watch_reason(w->watch);
	char line[2048];
	size_t i;

	for (i = 0; i < kwg_steps_left_out_count(steps); i++) {
		if (!is_new(w, kwg_steps_left_out(steps, i)))
			continue;
		snprintf(line, sizeof(line), "%s%s%s%s", kwg_steps_left_out(steps, i),
			 *reason ? " (" : "", reason, *reason ? ")" : "");
		w->log(w->cli, KWG_WARNING, line);
	}
}

static void tell_manager(const struct watcher *w, const char *state)
{
	/* Nobody is worse off if it does not hear. */
	(void)kwg_notify(w->notify, state, NULL);
}

static void tell_ready(struct watcher *w)
{
	if (!w->ready)
		tell_manager(w, "READY=1");
	w->ready = true;
}

static void tell_status(const struct watcher *w)
{
	char text[160];

	if (w->failing || w->refused || w->down)
		return;
	snprintf(text, sizeof(text), "STATUS=As planned; %lu repair%s so far", w->repairs,
		 w->repairs == 1 ? "" : "s");
	tell_manager(w, text);
}

/* An error that keeps the mesh from being as planned, for now. */
static void complain(struct watcher *w, const struct kwg_error *err, const char *reason)
{
	char text[sizeof(err->text) + 16];

	if (is_new(w, err->text))
		fprintf(stderr, "kilowg: %s%s%s%s\n", err->text, *reason ? " (" : "", reason,
			*reason ? ")" : "");
	snprintf(text, sizeof(text), "STATUS=%s", err->text);
	tell_manager(w, text);
	w->failing = true;
}

/* Not a failure: it is what somebody wanted. */
static void stay_down(struct watcher *w, const struct kwg_error *err)
{
	if (!w->down)
		fprintf(stderr, "kilowg: %s\n", err->text);
	w->down = true;
	tell_manager(w, "STATUS=The mesh was taken down; waiting until it is requested");
}

static void recover(struct watcher *w)
{
	bool was_down = w->down;

	w->down = false;
	if (!w->failing && !was_down)
		return;
	w->failing = false;
	forget_told(w);
	tell_status(w);
}

static void print_steps(const struct kwg_steps *steps)
{
	size_t i;

	for (i = 0; i < kwg_steps_count(steps); i++)
		puts(kwg_steps_text(steps, i));
	fflush(stdout);
}

/* One line for each repair, and for what files ask for. */
static void tell_repair(struct watcher *w, size_t steps, const char *reason, unsigned wait)
{
	const char *done = w->reading ? "applied" : "repaired";

	w->repairs += !w->reading;
	if (w->cli->quiet)
		return;
	fprintf(stderr, "kilowg: %s: %zu step%s%s%s%s", done, steps, steps == 1 ? "" : "s",
		*reason ? " (" : "", reason, *reason ? ")" : "");
	if (wait)
		fprintf(stderr, "; this does not last, so the next time is in %u s", wait);
	fputc('\n', stderr);
}

/* ---- files -------------------------------------------------------------- */

static void set_plan(struct watcher *w, struct kwg_config *cfg, struct kwg_plan *plan)
{
	kwg_plan_free(w->plan);
	kwg_config_free(w->cfg);
	w->cfg = cfg;
	w->plan = plan;
	kwg_watch_follow(w->watch, plan);
}

/* At the start there is nothing that could hold instead. */
static void refuse(struct watcher *w, const char *what)
{
	const char *then = w->plan ? "what the files said before still holds"
				   : "waiting until the files change";
	char text[160];

	fprintf(stderr, "kilowg: %s\n", then);
	snprintf(text, sizeof(text), "STATUS=%s; %s", what, then);
	tell_ready(w);
	tell_manager(w, text);
	w->refused = true;
}

static void accept(struct watcher *w)
{
	if (w->refused && !w->cli->quiet)
		fputs("kilowg: the files are complete again\n", stderr);
	w->refused = false;
}

/*
 * A configuration with errors, without this node, or that a part seems to be missing of, leaves the
 * one before in its place.
 */
static void read_files(struct watcher *w)
{
	struct kwg_error err = { 0 };
	struct kwg_config *cfg;
	struct kwg_plan *plan;
	int status;

	forget_told(w);
	if (!load_plan(w->cli, &cfg, &plan, &status)) {
		refuse(w, "The files have errors");
		return;
	}
	if (kwg_config_guard(cfg, &err)) {
		report(&err);
		refuse(w, "The files are refused");
		kwg_plan_free(plan);
		kwg_config_free(cfg);
		return;
	}
	accept(w);
	set_plan(w, cfg, plan);
	w->opt.restore = NULL;
	w->reading = true;
	if (w->ready)
		tell_status(w);
}

/* ---- rounds ------------------------------------------------------------- */

static int steps_new(struct watcher *w, struct kwg_steps **out, bool read_only, bool look_up,
		     struct kwg_error *err)
{
	struct kwg_host_options opt = w->opt;

	opt.read_only = read_only;
	opt.no_lookup = !look_up;
	/* What it has to say is said when it counts. */
	if (read_only)
		opt.log = NULL;
	if (read_only)
		opt.from = opt.restore = NULL;
	return kwg_steps_new(out, w->plan, &opt, err);
}

static void carry_out(struct watcher *w, struct kwg_steps *steps)
{
	struct kwg_error err = { 0 };
	size_t n = kwg_steps_count(steps);
	char reason[512];
	unsigned wait;
	int ret;

	if (w->cli->verbose)
		print_steps(steps);
	snprintf(reason, sizeof(reason), "%s", kwg_watch_reason(w->watch));
	ret = kwg_steps_run(steps, &err);
	wait = kwg_watch_ran(w->watch, steps, ret);
	if (ret) {
		complain(w, &err, reason);
		return;
	}
	recover(w);
	if (!n)
		return;
	tell_repair(w, n, reason, wait);
	tell_status(w);
}

/*
 * The files have been applied before, and were taken back: what was before them is kept up until
 * they change. False if that cannot be had, or if there was no mesh.
 */
static bool use_held(struct watcher *w)
{
	struct kwg_config *cfg = NULL;
	struct kwg_plan *plan = NULL;

	if (kwg_pending_of(&w->held, w->cfg, NULL) ||
	    kwg_restore_config(&cfg, w->held.mesh, NULL) || !cfg)
		return false;
	if (kwg_plan_new(&plan, cfg, kwg_config_local_node(cfg), NULL)) {
		kwg_config_free(cfg);
		return false;
	}
	set_plan(w, cfg, plan);
	w->opt.restore = w->held.id;
	return true;
}

/* What was applied by somebody else stays until it is confirmed or gone back from. */
static bool waits(const struct watcher *w)
{
	struct kwg_pending p;

	/* While its steps are carried out, it is the lock that is in the way. */
	return !kwg_pending_of(&p, w->cfg, NULL) && p.waits && !p.due && !p.running;
}

static void tell_of_wait(struct watcher *w, const struct kwg_error *err)
{
	if (!waits(w))
		return;
	if (is_new(w, "waits for a confirmation"))
		fprintf(stderr, "kilowg: %s\n", err->text);
	tell_manager(w, "STATUS=A change waits for a confirmation");
	w->failing = true;
}

/* Of a run that may not be now, or not of these files. True: with another plan it may. */
static bool yields(struct watcher *w, int ret, const struct kwg_error *err)
{
	if (ret == KWG_ERR_LOCKED)
		tell_of_wait(w, err);
	if (ret == KWG_ERR_HELD && is_new(w, err->text))
		fprintf(stderr, "kilowg: not applied: %s\n", err->text);
	if (ret == KWG_ERR_HELD)
		return use_held(w);
	/* They have been confirmed, or something else was applied. */
	if (ret == KWG_ERR_STOPPED && w->opt.restore) {
		read_files(w);
		return true;
	}
	return false;
}

/* Repairs what differs. Names are asked for, and the lock is taken, only if that is due. */
static void repair(struct watcher *w, bool look_up)
{
	struct kwg_steps *steps = NULL;
	struct kwg_error err = { 0 };
	int ret = steps_new(w, &steps, false, look_up, &err);

	if (yields(w, ret, &err))
		ret = steps_new(w, &steps, false, look_up, &err);
	/* A confirmation takes longer than another run; its end is told by a file. */
	if (ret)
		kwg_watch_failed(w->watch, ret == KWG_ERR_LOCKED && waits(w) ? KWG_ERR_HELD : ret);
	if (ret == KWG_ERR_DOWN) {
		stay_down(w, &err);
	} else if (ret && ret != KWG_ERR_LOCKED) {
		complain(w, &err, kwg_watch_reason(w->watch));
	} else if (!ret && kwg_watch_judge(w->watch, steps) != KWG_WATCH_HELD) {
		carry_out(w, steps);
	}
	kwg_steps_free(steps);
}

/*
 * A look that changes nothing comes first: it takes no lock, waits for nobody,
 * and mostly finds nothing.
 */
static enum kwg_watch_verdict look(struct watcher *w)
{
	enum kwg_watch_verdict verdict = KWG_WATCH_HELD;
	struct kwg_steps *steps;
	struct kwg_error err = { 0 };
	int ret = steps_new(w, &steps, true, false, &err);

	if (ret) {
		kwg_watch_failed(w->watch, ret);
		if (ret == KWG_ERR_DOWN)
			stay_down(w, &err);
		else
			complain(w, &err, kwg_watch_reason(w->watch));
		return verdict;
	}
	tell_left_out(w, steps);
	verdict = kwg_watch_judge(w->watch, steps);
	if (verdict == KWG_WATCH_FINE)
		recover(w);
	kwg_steps_free(steps);
	return verdict;
}

/* Between rounds, memory that is free is better off with the host. */
static void give_back(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

static void round_of(struct watcher *w, bool look_up)
{
	enum kwg_watch_verdict verdict = look(w);

	if (verdict == KWG_WATCH_RUN || (verdict == KWG_WATCH_FINE && look_up))
		repair(w, look_up);
	w->reading = false;
	give_back();
}

/* ---- rounds, told to be made ------------------------------------------- */

static void reload(struct watcher *w)
{
	struct timespec t;
	char text[80];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000);
	tell_manager(w, text);
	read_files(w);
	/* Who asks for that asks for the mesh. */
	w->opt.unless_down = false;
	round_of(w, true);
	w->opt.unless_down = true;
	tell_manager(w, "READY=1");
}

/* ---- the loop ----------------------------------------------------------- */

static void process(struct watcher *w)
{
	switch (kwg_watch_process(w->watch)) {
	case KWG_WATCH_NOTHING:
		return;
	case KWG_WATCH_LOOK:
		round_of(w, false);
		return;
	case KWG_WATCH_READ:
		read_files(w);
		round_of(w, true);
		return;
	case KWG_WATCH_LOOK_UP:
		round_of(w, true);
		return;
	}
}

/* False: to be ended. */
static bool take_signals(struct watcher *w)
{
	struct signalfd_siginfo info;
	bool again = false;

	while (read(w->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			return false;
		again = true;
	}
	if (again)
		reload(w);
	return true;
}

static int run_loop(struct watcher *w)
{
	struct pollfd p[] = {
		{ .fd = w->signals, .events = POLLIN },
		{ .fd = kwg_watch_fd(w->watch), .events = POLLIN },
	};

	for (;;) {
		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			perror("kilowg: poll");
			return EXIT_OTHER;
		}
		if (p[0].revents && !take_signals(w))
			return EXIT_DONE;
		if (p[1].revents)
			process(w);
	}
}

/* While we only wait, SIGTERM and SIGINT end us at once; else after what is being done. */
static void end_at_once(bool yes)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(yes ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

static bool open_signals(struct watcher *w)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->signals < 0)
		perror("kilowg: signalfd");
	return w->signals >= 0;
}

/* SIGHUP, or other files. */
static bool may_be_right_now(struct watcher *w, const struct pollfd p[2])
{
	struct signalfd_siginfo info;
	bool again = false;

	while (p[0].revents && read(w->signals, &info, sizeof(info)) == sizeof(info))
		again = true;
	if (p[1].revents && kwg_watch_process(w->watch) == KWG_WATCH_READ)
		again = true;
	return again;
}

/* Who has started us has not to do it again when the files are there and right. */
static int wait_for_files(struct watcher *w)
{
	struct pollfd p[] = {
		{ .fd = w->signals, .events = POLLIN },
		{ .fd = kwg_watch_fd(w->watch), .events = POLLIN },
	};

	read_files(w);
	while (!w->plan) {
		give_back();
		if (poll(p, 2, -1) < 0 && errno != EINTR) {
			perror("kilowg: poll");
			return EXIT_OTHER;
		}
		if (may_be_right_now(w, p))
			read_files(w);
	}
	return EXIT_DONE;
}

/*
 * As apply does it, which waits for interfaces and the lock, fails where that
 * fails, and is ended by a signal while it only waits.
 */
static int first_apply(struct watcher *w)
{
	struct kwg_steps *steps;
	struct kwg_error err = { 0 };
	int ret;

	w->opt.wait_lock = true;
	ret = steps_new(w, &steps, false, true, &err);
	if (yields(w, ret, &err))
		ret = steps_new(w, &steps, false, true, &err);
	w->opt.wait_lock = false;
	w->opt.unless_down = true;
	if (ret)
		return report(&err);
	end_at_once(false);
	if (w->cli->verbose)
		print_steps(steps);
	ret = kwg_steps_run(steps, &err);
	(void)kwg_watch_ran(w->watch, steps, ret);
	w->reading = false;
	kwg_steps_free(steps);
	return ret ? report(&err) : EXIT_DONE;
}

static int watch(struct watcher *w)
{
	struct kwg_error err = { 0 };
	int status;

	if (kwg_watch_new(&w->watch, w->cli->paths, (size_t)w->cli->n_paths, &err))
		return report(&err);
	if (!open_signals(w))
		return EXIT_OTHER;
	status = wait_for_files(w);
	if (!status)
		status = first_apply(w);
	give_back();
	if (status)
		return status;
	tell_ready(w);
	tell_status(w);
	status = run_loop(w);
	tell_manager(w, "STOPPING=1");
	return status;
}

enum { KEEP };

static void watcher_init(struct watcher *w, struct cli *cli, const struct option_values *keep)
{
	const char *notify = getenv("NOTIFY_SOCKET");

	*w = (struct watcher){ .cli = cli, .signals = -1 };
	apply_options(&w->opt, cli, keep);
	if (!getenv("KILOWG_FROM"))
		w->opt.from = "watch";
	w->opt.progress = NULL;
	w->log = w->opt.log;
	w->opt.log = log_once;
	w->opt.log_arg = w;
	/* Not for the daemons that we may start: they would speak in our name. */
	w->notify = notify ? strdup(notify) : NULL;
	unsetenv("NOTIFY_SOCKET");
}

/* What no change of a file will put right. */
static int check_options(const struct cli *cli)
{
	struct kwg_config *cfg;
	struct kwg_error err = { 0 };
	int i, ret;

	for (i = 0; i < cli->n_paths; i++)
		if (!strcmp(cli->paths[i], "-"))
			return usage_error("watch reads its files again, which standard input cannot do");
	cfg = cli->interface ? kwg_config_new() : NULL;
	if (!cfg)
		return EXIT_DONE;
	ret = kwg_config_set_local(cfg, "interface", cli->interface, &err);
	kwg_config_free(cfg);
	return ret ? report(&err) : EXIT_DONE;
}

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct watcher w;
	int status;

	(void)argv;
	if (argc)
		return usage_error("watch takes no operand");
	status = check_options(cli);
	if (status)
		return status;
	watcher_init(&w, cli, &given[KEEP]);
	status = watch(&w);
	kwg_plan_free(w.plan);
	kwg_config_free(w.cfg);
	kwg_watch_free(w.watch);
	if (w.signals >= 0)
		close(w.signals);
	free((char *)(uintptr_t)w.notify);
	return status;
}

const struct command command_watch = {
	.name = "watch", .args = "", .takes = TAKES_ALL,
	.summary = "apply, then keep running and repair changes at once",
	.details = "Applies the files when they change or on SIGHUP, and resolves names again every two\n"
		   "minutes. Waits for missing or invalid files. SIGTERM terminates it; the network stays.\n"
		   "Prints one line on stderr for each repair.",
	.options = {
		[KEEP] = OPTION_KEEP,
	},
	.run = run,
};
