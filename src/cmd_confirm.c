/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* confirm and rollback: what becomes of a change. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "job.h"
#include "signals.h"

/* ---- confirm ----------------------------------------------------------------- */

enum { CONFIRM_MESH };

static int run_confirm(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	const char *mesh = given[CONFIRM_MESH].n ? given[CONFIRM_MESH].v[0] : NULL;
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	struct kwg_pending p;

	(void)argv;
	if (argc || given[CONFIRM_MESH].n > 1)
		return usage_error("confirm takes no operand, and one --mesh");
	host_options(&opt, cli, NULL);
	/* That there is nothing to confirm is no wrong usage. */
	if (kwg_pending_get(&p, mesh, &err) || kwg_confirm(p.mesh, p.id, &opt, &err)) {
		(void)report(&err);
		return err.status == KWG_ERR_LOCKED ? EXIT_LOCKED
		       : err.status == KWG_ERR_IO ? EXIT_OTHER : EXIT_DIFFERENT;
	}
	keeper_stop(p.keeper);
	if (!cli->quiet)
		printf("mesh %s: confirmed\n", p.mesh);
	return EXIT_DONE;
}

/* ---- rollback ----------------------------------------------------------------- */

enum { DRY_RUN, WAIT, LOCK_TIMEOUT, SUPERSEDE, CONFIRM, PROBE, MESH, WHEN_DUE };

_Static_assert((int)WHEN_DUE < (int)MAX_OPTIONS, "room for all options");

enum { RETRY = 5, RETRIES = 720 };	/* seconds, and for an hour */

/* The process that waits: it has no terminal, and nobody reads what it prints but a journal. */
static int keep(struct cli *cli, const char *mesh, const char *id)
{
	const struct timespec pause = { .tv_sec = RETRY };
	struct kwg_pending p;
	int status = EXIT_DONE, i;

	for (i = 0; i < RETRIES; i++) {
		if (!keeper_wait(mesh, id) || kwg_pending_get(&p, mesh, NULL))
			return EXIT_DONE;
		status = job_go_back(cli, &p, NULL, true);
		if (!status && !kwg_pending_get(&p, mesh, NULL) && !p.waits)
			fprintf(stderr, "kilowg: mesh %s: not confirmed in time: rolled back\n",
				mesh);
		/* An interface or a route may be in the way that goes. */
		if (status)
			nanosleep(&pause, NULL);
	}
	return status;
}

static int run_when_due(struct cli *cli, const char *mesh, const char *id)
{
	struct kwg_error err = { 0 };
	int status;

	if (!mesh)
		return usage_error("--when-due needs --mesh");
	if (kwg_keeper_begin(id, &err))
		return report(&err);
	keeper_protect();
	status = keep(cli, mesh, id);
	kwg_keeper_end(id);
	return status;
}

/* What waits for a confirmation is gone back from, whatever was before it. */
static bool is_waiting(struct kwg_pending *p, const char *mesh)
{
	return !kwg_pending_get(p, mesh, NULL) && p->waits;
}

static int go_back(struct job *job, const struct kwg_pending *p)
{
	int status;

	if (job->dry_run)
		return usage_error("mesh %s: a change waits for a confirmation; \"kilowg rollback\" takes it back, and --dry-run needs the number of a configuration",
				   p->mesh);
	status = job_go_back(job->cli, p, "it was rolled back", false);
	if (!status && !job->cli->quiet)
		printf("mesh %s: rolled back\n", p->mesh);
	return status;
}

static int roll_back(struct job *job, const char *mesh, unsigned n)
{
	struct kwg_error err = { 0 };
	struct kwg_config *files;
	int status = EXIT_DONE, read;

	if (kwg_history_config(&job->cfg, mesh, n, &job->opt, &err) ||
	    kwg_plan_new(&job->plan, job->cfg, kwg_config_local_node(job->cfg), &err))
		return job_carry_out(job, report(&err));
	/* With errors or without: the timer and others would read them. */
	files = read_config(job->cli, &read);
	job->opt.instead_of = files;
	status = job_prepare(job);
	status = job_carry_out(job, status);
	kwg_config_free(files);
	return status;
}

static int run_rollback(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	const char *mesh = given[MESH].n ? given[MESH].v[0] : NULL;
	struct kwg_pending p;
	struct job job;
	unsigned n = 0;
	int status;

	if (argc > 1 || given[MESH].n > 1)
		return usage_error("rollback takes one number, and one --mesh");
	if (argc && !read_number(&n, "the number of a configuration", argv[0], 99))
		return EXIT_CONFIG;
	signals_ignore_pipe();
	if (given[WHEN_DUE].n)
		return run_when_due(cli, mesh, given[WHEN_DUE].v[0]);
	job_begin(&job, cli, NULL);
	job.opt.read_only = job.dry_run = given[DRY_RUN].n;
	job.opt.wait_lock = given[WAIT].n;
	job.opt.supersede = given[SUPERSEDE].n;
	status = job_lock_timeout(&job, &given[LOCK_TIMEOUT]);
	if (!status)
		status = job_confirm(&job, &given[CONFIRM], &given[PROBE]);
	if (status)
		return status;
	if (!n && is_waiting(&p, mesh))
		return go_back(&job, &p);
	return roll_back(&job, mesh, n);
}

const struct command command_confirm = {
	.name = "confirm", .args = "", .takes = TAKES_QUIET | TAKES_VERBOSE,
	.summary = "keep what apply --confirm has applied; exit status 3 if it is too late",
	.options = {
		[CONFIRM_MESH] = { "mesh", "NAME", "of this mesh, if several wait for it" },
	},
	.run = run_confirm,
};

const struct command command_rollback = {
	.name = "rollback", .args = "[N]", .has_json = true, .takes = TAKES_FILE | TAKES_INTERFACE | TAKES_QUIET | TAKES_VERBOSE,
	.summary = "go back to what was applied before, or to number N of the history",
	.details = "A change that waits for a confirmation is rolled back. Changed files are not\n"
		   "applied again until they change.",
	.options = {
		[DRY_RUN] = { "dry-run", NULL, "print the steps, change nothing" },
		[WAIT] = { "wait", NULL, "wait while another kilowg holds the lock of the mesh" },
		[LOCK_TIMEOUT] = { "lock-timeout", "SECONDS", "the same, but at most this long" },
		[SUPERSEDE] = { "supersede", NULL, "even if another change waits for a confirmation" },
		[CONFIRM] = { "confirm", "SECONDS", "return to the current one unless \"kilowg confirm\" is run in time" },
		[PROBE] = { "probe", "ADDRESS|PEER", "confirm when it answers through the mesh; repeatable" },
		[MESH] = { "mesh", "NAME", "of this mesh, if there are several" },
		[WHEN_DUE] = { "when-due", "ID", "wait until the time is over: what apply --confirm starts" },
	},
	.run = run_rollback,
};
