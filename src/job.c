/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "job.h"
#include "progress.h"
#include "signals.h"

enum { MAX_CONFIRM = 7 * 24 * 3600, MAX_LOCK_TIMEOUT = 24 * 3600 };	/* seconds */

/* ---- life ----------------------------------------------------------------- */

void job_begin(struct job *job, struct cli *cli, const struct option_values *keep)
{
	*job = (struct job){ .cli = cli };
	apply_options(&job->opt, cli, keep);
	job->opt.stop = signals_waiting;
}

void job_free(struct job *job)
{
	kwg_steps_free(job->steps);
	kwg_plan_free(job->plan);
	kwg_config_free(job->cfg);
	job->steps = NULL;
	job->plan = NULL;
	job->cfg = NULL;
}

/* ---- options ----------------------------------------------------------------- */

bool read_number(unsigned *out, const char *option, const char *text, unsigned max)
{
	unsigned long n = 0;

	if (*text && strspn(text, "0123456789") == strlen(text) && strlen(text) < 10)
		n = strtoul(text, NULL, 10);
	if (n && n <= max) {
		*out = (unsigned)n;
		return true;
	}
	usage_error("%s is a number from 1 to %u", option, max);
	return false;
}

int job_lock_timeout(struct job *job, const struct option_values *given)
{
	if (given->n && !read_number(&job->opt.lock_timeout, "--lock-timeout", given->v[given->n - 1],
				     MAX_LOCK_TIMEOUT))
		return EXIT_CONFIG;
	return EXIT_DONE;
}

int job_confirm(struct job *job, const struct option_values *confirm,
		const struct option_values *probes)
{
	if (!confirm->n && probes->n)
		return usage_error("--probe needs --confirm SECONDS");
	if (!confirm->n)
		return EXIT_DONE;
	if (!read_number(&job->opt.confirm, "--confirm", confirm->v[confirm->n - 1], MAX_CONFIRM))
		return EXIT_CONFIG;
	job->keeper = (struct keeper){ job->opt.confirm, getenv("KILOWG_USERSPACE") };
	job->opt.keep = keeper_start;
	job->opt.keep_arg = &job->keeper;
	job->probes = probes->n ? probes : NULL;
	return EXIT_DONE;
}

/* ---- preparing ------------------------------------------------------------------ */

/* Names that lead nowhere are found out before anything is changed. */
static int find_addresses(struct job *job)
{
	struct kwg_error err = { 0 };
	int i;

	for (i = 0; job->probes && i < job->probes->n; i++)
		if (kwg_probe_address(job->plan, job->probes->v[i], job->addresses[i], &err))
			return report(&err);
	return EXIT_DONE;
}

/* What was before instead of the files; with no mesh before, all goes. */
static int prepare_restore(struct job *job, struct kwg_error *err)
{
	int ret;

	job_free(job);
	job->opt.restore = job->pending.id;
	job->opt.confirm = 0;
	job->probes = NULL;
	ret = kwg_restore_config(&job->cfg, job->pending.mesh, err);
	if (ret)
		return ret;
	if (!job->cfg)
		return kwg_steps_new_down_mesh(&job->steps, job->pending.mesh, &job->opt, err);
	ret = kwg_plan_new(&job->plan, job->cfg, kwg_config_local_node(job->cfg), err);
	return ret ? ret : kwg_steps_new(&job->steps, job->plan, &job->opt, err);
}

int job_prepare(struct job *job)
{
	struct kwg_error err = { 0 }, held;
	int ret = find_addresses(job);

	if (ret)
		return ret;
	ret = kwg_steps_new(&job->steps, job->plan, &job->opt, &err);
	if (ret == KWG_ERR_HELD) {
		held = err;
		ret = kwg_pending_of(&job->pending, job->cfg, &err);
		if (!ret)
			ret = prepare_restore(job, &err);
		/* Told once it is known that it can be done. */
		progress_show(NULL, NULL, 0, 0);
		fprintf(stderr, "kilowg: not applied: %s\n", held.text);
		job->held = true;
	}
	/* The mesh is to stay down. */
	if (ret == KWG_ERR_DOWN && job->cli->quiet)
		return EXIT_DONE;
	return ret ? report(&err) : EXIT_DONE;
}

int job_print_steps(const struct job *job)
{
	struct kwg_error err = { 0 };
	char *text;
	size_t i;

	if (job->cli->json)
		return kwg_steps_json(job->steps, &text, NULL, &err) ? report(&err) : print_text(text);
	for (i = 0; i < kwg_steps_count(job->steps); i++)
		puts(kwg_steps_text(job->steps, i));
	for (i = 0; i < kwg_steps_left_out_count(job->steps); i++)
		printf("! %s\n", kwg_steps_left_out(job->steps, i));
	(void)fflush(stdout);
	return EXIT_DONE;
}

/* ---- going back --------------------------------------------------------------------- */

/* Carries the steps out; a signal that comes meanwhile is obeyed when they are done or undone. */
static int run_steps(struct job *job)
{
	struct kwg_error err = { 0 };
	int status = EXIT_DONE, number;

	signals_hold();
	if (kwg_steps_run(job->steps, &err))
		status = report(&err);
	else
		job->partial = kwg_steps_left_out_count(job->steps);
	progress_show(NULL, NULL, 0, 0);
	number = signals_release();
	if (!number)
		return status;
	fprintf(stderr, "kilowg: ended by %s, %s\n", signal_name(number),
		status ? "with all steps undone" : "after all steps");
	job_free(job);
	signals_end(number);
}

int job_go_back(struct cli *cli, const struct kwg_pending *p, const char *reason, bool due)
{
	struct kwg_error err = { 0 };
	struct job job;
	int ret, status;

	job_begin(&job, cli, NULL);
	job.pending = *p;
	job.opt.wait_lock = true;
	job.opt.restore_due = due;
	job.opt.reason = reason;
	ret = prepare_restore(&job, &err);
	/* Somebody else was faster. */
	if (ret == KWG_ERR_STOPPED && due)
		status = EXIT_DONE;
	else
		status = ret ? report(&err) : run_steps(&job);
	job_free(&job);
	if (!ret && !status)
		keeper_stop(p->keeper);
	return status;
}

/* ---- a confirmation ------------------------------------------------------------------- */

static int say_back(int status, const char *why)
{
	if (status)
		return status;
	fprintf(stderr, "kilowg: %s: rolled back\n", why);
	return EXIT_DIFFERENT;
}

static int confirm_now(struct job *job)
{
	struct kwg_error err = { 0 };

	if (kwg_confirm(job->pending.mesh, job->pending.id, &job->opt, &err))
		return report(&err);
	keeper_stop(job->pending.keeper);
	return EXIT_DONE;
}

/* "10.4.0.2 and laptop" */
static void name_silent(const struct job *job, const bool *answered, char *out, size_t size)
{
	const char *between = "";
	size_t len = 0;
	int i;

	*out = '\0';
	for (i = 0; i < job->probes->n && len < size; i++) {
		if (answered[i])
			continue;
		len += (size_t)snprintf(out + len, size - len, "%s%s", between, job->probes->v[i]);
		between = ", ";
	}
}

static int64_t time_left(const struct job *job)
{
	struct kwg_pending p;

	if (kwg_pending_get(&p, job->pending.mesh, NULL) || !p.waits || strcmp(p.id, job->pending.id))
		return -1;
	return p.left;
}

/* So much earlier it goes back itself, and says why. */
static int64_t margin(const struct job *job)
{
	int64_t ms = (int64_t)job->opt.confirm * 1000 / 4;

	return ms < 2000 ? ms : 2000;
}

static int probe(struct job *job)
{
	const char *addresses[MAX_VALUES];
	bool answered[MAX_VALUES] = { false };
	struct kwg_error err = { 0 };
	char silent[160], reason[224];
	int64_t left;
	int i, missing = 1;

	for (i = 0; i < job->probes->n; i++)
		addresses[i] = job->addresses[i];
	progress_show(NULL, "waiting for answers through the mesh", 0, 0);
	while (missing > 0 && (left = time_left(job) - margin(job)) > 0)
		missing = kwg_probe(addresses, (size_t)job->probes->n, answered,
				    left < 1000 ? (unsigned)left : 1000, &err);
	progress_show(NULL, NULL, 0, 0);
	if (!missing)
		return confirm_now(job);
	if (missing < 0)
		(void)report(&err);
	name_silent(job, answered, silent, sizeof(silent));
	snprintf(reason, sizeof(reason), "no answer from %s", silent);
	return say_back(job_go_back(job->cli, &job->pending, reason, false), reason);
}

/* An answer of a person: 'y', 'n'; 0: none yet; -1: there will be none. */
static int read_answer(void)
{
	struct pollfd p = { STDIN_FILENO, POLLIN, 0 };
	char line[64];
	ssize_t n;

	if (poll(&p, 1, 1000) <= 0)
		return 0;
	n = read(STDIN_FILENO, line, sizeof(line));
	if (n <= 0)
		return n < 0 && errno == EINTR ? 0 : -1;
	return *line == 'y' || *line == 'Y' ? 'y' : 'n';
}

/* It was ended by somebody else, or its time is over. */
static int follow(struct job *job)
{
	struct kwg_pending p;

	if (kwg_pending_get(&p, job->pending.mesh, NULL) || strcmp(p.id, job->pending.id)) {
		fputs("kilowg: confirmed meanwhile\n", stderr);
		return EXIT_DONE;
	}
	return say_back(p.waits ? job_go_back(job->cli, &p, NULL, true) : EXIT_DONE,
			p.waits ? "not confirmed" : p.reason);
}

static int ask(struct job *job)
{
	int64_t left;
	int answer = 0;

	while (!answer && (left = time_left(job)) > 0) {
		fprintf(stderr, "\r\033[Kkeep? [y/N] %ld s ", (long)((left + 999) / 1000));
		(void)fflush(stderr);
		answer = read_answer();
	}
	fputs(answer == 'y' || answer == 'n' ? "" : "\r\033[K", stderr);
	if (answer == 'y')
		return confirm_now(job);
	if (answer == 'n')
		return say_back(job_go_back(job->cli, &job->pending, "it was not to be kept", false),
				"not confirmed");
	/* The terminal has gone: whoever sits at it next may still confirm. */
	return answer < 0 ? EXIT_DONE : follow(job);
}

static void tell_time(const struct job *job)
{
	time_t until = (time_t)job->pending.until;
	char at[16] = "";
	struct tm tm;

	if (job->cli->quiet || job->cli->json)
		return;
	if (localtime_r(&until, &tm))
		(void)strftime(at, sizeof(at), "%T", &tm);
	printf("applied; without \"kilowg confirm\" within %u s, by %s, %s rolls back\n",
	       job->opt.confirm, at, job->pending.keeper);
	(void)fflush(stdout);
}

/* After the steps. */
static int see_to_confirmation(struct job *job)
{
	struct kwg_error err = { 0 };

	/* Nothing was changed. */
	if (kwg_pending_of(&job->pending, job->cfg, &err) || !job->pending.waits)
		return EXIT_DONE;
	if (!job->pending.keeper_lives)
		return say_back(job_go_back(job->cli, &job->pending, "its keeper has died", false),
				"nothing would roll back in time any more");
	/* Others may confirm, or go back, meanwhile. */
	kwg_steps_free(job->steps);
	job->steps = NULL;
	if (job->probes)
		return probe(job);
	tell_time(job);
	/* Not in the background of a shell, where reading would stop it. */
	if (!job->cli->quiet && isatty(STDERR_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp())
		return ask(job);
	return EXIT_DONE;
}

/* ---- carrying out ------------------------------------------------------------------------ */

int job_carry_out(struct job *job, int status)
{
	struct kwg_pending old = { .waits = false };
	int printed = EXIT_DONE;

	progress_show(NULL, NULL, 0, 0);
	if (!job->steps) {
		job_free(job);
		return status;
	}
	if (!status && job->opt.supersede && job->cfg)
		(void)kwg_pending_of(&old, job->cfg, NULL);
	if (!status && (job->dry_run || job->cli->verbose || job->cli->json))
		printed = job_print_steps(job);
	/* That nobody can read the steps is no reason not to take them. */
	if (!status)
		status = job->dry_run ? printed : run_steps(job);
	if (!status && !job->dry_run && old.waits)
		keeper_stop(old.keeper);
	if (!status && job->held)
		status = EXIT_DIFFERENT;
	if (!status && !job->dry_run && job->opt.confirm)
		status = see_to_confirmation(job);
	if (!status && job->partial)
		status = EXIT_REFUSED;
	job_free(job);
	return status;
}
