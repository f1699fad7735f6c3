/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* apply, diff and down: three uses of one list of steps. */
#include <stdio.h>
#include <stdlib.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "job.h"
#include "signals.h"

enum {
	DRY_RUN, WAIT, LOCK_TIMEOUT, SUPERSEDE,
	/* of apply */
	SWITCH_BACKEND, CONFIRM, PROBE, KEEP, ALLOW_SHRINK, LEAVE, UNLESS_DOWN, CLOSED_ONLY,
	/* of down */
	MESH = SWITCH_BACKEND, ALL, KEEP_CLOSED,
};

/* of diff */
enum { DIFF_KEEP };

_Static_assert((int)CLOSED_ONLY < (int)MAX_OPTIONS, "room for all options");

/* What apply and down have in common. */
static int read_options(struct job *job, struct cli *cli, const struct option_values *given,
			const struct option_values *keep)
{
	job_begin(job, cli, keep);
	job->opt.read_only = job->dry_run = given[DRY_RUN].n;
	job->opt.wait_lock = given[WAIT].n;
	job->opt.supersede = given[SUPERSEDE].n;
	return job_lock_timeout(job, &given[LOCK_TIMEOUT]);
}

/* What a timer or a path unit starts is not what somebody asks for (systemd.exec(5), since 252). */
static bool is_triggered(void)
{
	const char *unit = getenv("TRIGGER_UNIT");

	return unit && *unit;
}

static void set_apply_options(struct kwg_host_options *opt, const struct option_values *given)
{
	opt->switch_backend = given[SWITCH_BACKEND].n;
	opt->allow_shrink = given[ALLOW_SHRINK].n;
	opt->unless_down = given[UNLESS_DOWN].n || is_triggered();
	opt->closed_only = given[CLOSED_ONLY].n;
}

/* The node of this host does not stand in the files any more: the mesh goes from here. */
static int prepare_leave(struct job *job, const char *node)
{
	struct kwg_error err = { 0 };

	job->opt.leaving = node;
	if (!job->opt.allow_shrink && kwg_config_guard(job->cfg, &err))
		return report(&err);
	if (kwg_steps_new_down(&job->steps, job->cfg, &job->opt, &err))
		return report(&err);
	if (kwg_steps_count(job->steps))
		fprintf(stderr, "kilowg: the files have no node \"%s\", so the mesh is removed from this host\n",
			node);
	return EXIT_DONE;
}

/*
 * --leave: a node that does not stand in the files is no error. That a host has got another name
 * from somewhere is not enough to take it down, see kwg_host_options.leaving.
 */
static int load_or_leave(struct job *job, bool *leaves)
{
	struct kwg_error err = { 0 };
	const char *node;
	int status;

	job->cfg = load_config(job->cli, &status);
	if (!job->cfg)
		return status;
	node = which_node(job->cli, job->cfg, job->host);
	*leaves = !kwg_config_has_node(job->cfg, node);
	if (*leaves)
		return prepare_leave(job, node);
	return kwg_plan_new(&job->plan, job->cfg, node, &err) ? report(&err) : EXIT_DONE;
}

/* Returns an exit status; job_free() is due in any case. */
static int prepare_apply(struct job *job, const struct option_values *given)
{
	bool leaves = false;
	int status = EXIT_DONE;

	if (given[LEAVE].n)
		status = load_or_leave(job, &leaves);
	else
		(void)load_plan(job->cli, &job->cfg, &job->plan, &status);
	return status || leaves ? status : job_prepare(job);
}

static int run_apply(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct job job;
	int status = read_options(&job, cli, given, &given[KEEP]);

	(void)argv;
	if (argc)
		return usage_error("apply takes no operand");
	if (given[CLOSED_ONLY].n && given[LEAVE].n)
		return usage_error("apply takes --closed-only or --leave, not both");
	set_apply_options(&job.opt, given);
	if (!status)
		status = job_confirm(&job, &given[CONFIRM], &given[PROBE]);
	if (!status && job.opt.confirm && job.opt.switch_backend)
		status = usage_error("--switch-backend cannot be rolled back, so it cannot be combined with --confirm");
	if (!status && job.opt.confirm && job.opt.closed_only)
		status = usage_error("--closed-only takes nothing back, so it does not go with --confirm");
	if (status)
		return status;
	signals_ignore_pipe();
	return job_carry_out(&job, prepare_apply(&job, given));
}

/* ---- down ------------------------------------------------------------ */

static int down_mesh(struct cli *cli, const char *mesh, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	struct job job;
	int ret, status = read_options(&job, cli, given, NULL);

	if (status)
		return status;
	job.opt.keep_closed = given[KEEP_CLOSED].n;
	ret = kwg_steps_new_down_mesh(&job.steps, mesh, &job.opt, &err);
	return job_carry_out(&job, ret ? report(&err) : EXIT_DONE);
}

/* The meshes that there are, or NULL after an error. */
static char *find_meshes(int *status)
{
	struct kwg_error err = { 0 };
	char *names = NULL;

	*status = kwg_meshes(&names, NULL, &err) ? report(&err) : EXIT_DONE;
	return names;
}

static int down_all(struct cli *cli, const struct option_values *given)
{
	char *names, *name, *rest;
	int status, worst;

	names = rest = find_meshes(&worst);
	while (names && (name = strtok_r(rest, "\n", &rest))) {
		status = down_mesh(cli, name, given);
		worst = worst ? worst : status;
	}
	kwg_text_free(names);
	return worst;
}

/* No file says which mesh is meant: if there is one only, that is it. */
static int down_without_file(struct cli *cli, const struct option_values *given)
{
	char *names, *name, *rest;
	int status;

	names = rest = find_meshes(&status);
	if (!names)
		return status;
	name = strtok_r(rest, "\n", &rest);
	if (name && !*rest && !cli->n_paths) {
		fprintf(stderr, "kilowg: there is one mesh on this host, \"%s\", which is removed\n", name);
		status = down_mesh(cli, name, given);
	} else if (name || cli->n_paths) {
		status = EXIT_CONFIG;
		for (; name; name = strtok_r(rest, "\n", &rest))
			fprintf(stderr, "kilowg: to remove the mesh \"%s\": kilowg down --mesh %s\n", name, name);
	}
	kwg_text_free(names);
	return status;
}

/* A file with errors is no reason to leave everything as it is: marks say what is ours. */
static int down_by_file(struct cli *cli, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	struct job job;
	int ret, status = read_options(&job, cli, given, NULL);

	if (status)
		return status;
	job.cfg = read_config(cli, &status);
	if (!job.cfg)
		return down_without_file(cli, given);
	print_diags(job.cfg, cli->verbose);
	job.opt.keep_closed = given[KEEP_CLOSED].n;
	ret = kwg_steps_new_down(&job.steps, job.cfg, &job.opt, &err);
	return job_carry_out(&job, ret ? report(&err) : EXIT_DONE);
}

static int run_down(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	(void)argv;
	if (argc)
		return usage_error("down takes no operand");
	if (given[MESH].n > 1 || (given[MESH].n && given[ALL].n))
		return usage_error("down takes one --mesh, or --all");
	signals_ignore_pipe();
	if (given[ALL].n)
		return down_all(cli, given);
	return given[MESH].n ? down_mesh(cli, given[MESH].v[0], given) : down_by_file(cli, given);
}

/* ---- diff ------------------------------------------------------------ */

static int run_diff(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	struct job job;
	int status;

	(void)argv;
	if (argc)
		return usage_error("diff takes no operand");
	job_begin(&job, cli, &given[DIFF_KEEP]);
	job.opt.read_only = true;
	job.opt.from = NULL;
	if (load_plan(cli, &job.cfg, &job.plan, &status) &&
	    kwg_steps_new(&job.steps, job.plan, &job.opt, &err))
		status = report(&err);
	if (!status && !cli->quiet)
		status = job_print_steps(&job);
	if (!status && (kwg_steps_count(job.steps) || kwg_steps_left_out_count(job.steps)))
		status = EXIT_DIFFERENT;
	job_free(&job);
	return status;
}

const struct command command_apply = {
	.name = "apply", .args = "", .has_json = true, .takes = TAKES_ALL,
	.summary = "change this host so that it matches the plan",
	.details = "Takes the steps that \"diff\" prints. If a step fails, those before it are undone.\n"
		   "With -v or --json also prints the steps. --confirm rolls back by itself, even if this\n"
		   "terminal is lost or the host reboots; on a terminal it asks.",
	.options = {
		[DRY_RUN] = { "dry-run", NULL, "print the steps, change nothing" },
		[WAIT] = { "wait", NULL, "wait while another kilowg holds the lock of the mesh" },
		[LOCK_TIMEOUT] = { "lock-timeout", "SECONDS", "the same, but at most this long" },
		[SUPERSEDE] = { "supersede", NULL, "even if another change waits for a confirmation, or was not confirmed" },
		[SWITCH_BACKEND] = { "switch-backend", NULL, "replace an interface of another backend" },
		[CONFIRM] = { "confirm", "SECONDS", "roll back unless \"kilowg confirm\" is run in time" },
		[PROBE] = { "probe", "ADDRESS|PEER", "confirm when it answers through the mesh; repeatable" },
		[KEEP] = OPTION_KEEP,
		[ALLOW_SHRINK] = { "allow-shrink", NULL, "accept files that are empty, incomplete, or have far fewer nodes" },
		[LEAVE] = { "leave", NULL, "if this node is not in the files, remove the mesh from this host" },
		[CLOSED_ONLY] = { "closed-only", NULL, "with fail-closed, only close the networks; for the boot" },
		[UNLESS_DOWN] = { "unless-down", NULL, "do nothing after \"down\" until an apply without this option" },
	},
	.run = run_apply,
};

const struct command command_diff = {
	.name = "diff", .args = "", .has_json = true, .takes = TAKES_ALL,
	.summary = "print what apply would change; exit status 3 if there is anything",
	.options = {
		[DIFF_KEEP] = OPTION_KEEP,
	},
	.run = run_diff,
};

const struct command command_down = {
	.name = "down", .args = "", .has_json = true, .takes = TAKES_FILE | TAKES_INTERFACE | TAKES_QUIET | TAKES_VERBOSE,
	.summary = "remove all that kilowg made for this mesh, and nothing else",
	.options = {
		[DRY_RUN] = { "dry-run", NULL, "print the steps, change nothing" },
		[WAIT] = { "wait", NULL, "wait while another kilowg holds the lock of the mesh" },
		[LOCK_TIMEOUT] = { "lock-timeout", "SECONDS", "the same, but at most this long" },
		[SUPERSEDE] = { "supersede", NULL, "even if another change waits for a confirmation" },
		[MESH] = { "mesh", "NAME", "of this mesh, by its marks, whatever the files say" },
		[ALL] = { "all", NULL, "of all meshes" },
		[KEEP_CLOSED] = { "keep-closed", NULL, "leave networks closed that fail-closed has closed" },
	},
	.run = run_down,
};
