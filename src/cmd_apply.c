/* SPDX-License-Identifier: ISC */
/* apply, diff and down: three uses of one list of steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "signals.h"

enum {
	DRY_RUN, WAIT,
	SWITCH_BACKEND, ALLOW_SHRINK, LEAVE, UNLESS_DOWN, CLOSED_ONLY,	/* of apply */
	MESH = SWITCH_BACKEND, ALL, KEEP_CLOSED,			/* of down */
};

static int print_steps(const struct cli *cli, const struct kwg_steps *steps)
{
	struct kwg_error err = { 0 };
	char *text;
	size_t i;

	if (cli->json)
		return kwg_steps_json(steps, &text, NULL, &err) ? report(&err) : print_text(text);
	for (i = 0; i < kwg_steps_count(steps); i++)
		puts(kwg_steps_text(steps, i));
	(void)fflush(stdout);
	return EXIT_DONE;
}

/* The configuration, the plan unless everything goes, and the steps. */
struct job {
	struct kwg_config *cfg;
	struct kwg_plan *plan;
	struct kwg_steps *steps;
	char host[256];		/* its name, if that is what the node is called */
};

static void job_free(struct job *job)
{
	kwg_steps_free(job->steps);
	kwg_plan_free(job->plan);
	kwg_config_free(job->cfg);
}

static void set_options(struct kwg_host_options *opt, struct cli *cli, bool read_only,
			const struct option_values *given)
{
	host_options(opt, cli);
	opt->read_only = read_only;
	opt->wait_lock = given && given[WAIT].n;
	opt->stop = signals_waiting;
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
static int prepare_leave(const struct kwg_config *cfg, const char *node,
			 struct kwg_host_options *opt, struct job *job)
{
	struct kwg_error err = { 0 };

	opt->leaving = node;
	if (!opt->allow_shrink && kwg_config_guard(cfg, &err))
		return report(&err);
	if (kwg_steps_new_down(&job->steps, cfg, opt, &err))
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
static int load_or_leave(struct cli *cli, struct kwg_host_options *opt, struct job *job,
			 char host[256], bool *leaves)
{
	struct kwg_error err = { 0 };
	const char *node;
	int status;

	job->cfg = load_config(cli, &status);
	if (!job->cfg)
		return status;
	node = which_node(cli, job->cfg, host);
	*leaves = !kwg_config_has_node(job->cfg, node);
	if (*leaves)
		return prepare_leave(job->cfg, node, opt, job);
	return kwg_plan_new(&job->plan, job->cfg, node, &err) ? report(&err) : EXIT_DONE;
}

/* Returns an exit status; job_free() is due in any case. */
static int prepare_apply(struct cli *cli, struct job *job, const struct option_values *given)
{
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	bool leaves = false;
	int status;

	*job = (struct job){ 0 };
	set_options(&opt, cli, given[DRY_RUN].n, given);
	set_apply_options(&opt, given);
	if (given[LEAVE].n) {
		status = load_or_leave(cli, &opt, job, job->host, &leaves);
		if (status || leaves)
			return status;
	} else if (!load_plan(cli, &job->cfg, &job->plan, &status)) {
		return status;
	}
	status = kwg_steps_new(&job->steps, job->plan, &opt, &err);
	if (status == KWG_ERR_DOWN && cli->quiet)
		return EXIT_DONE;
	return status ? report(&err) : EXIT_DONE;
}

/* Of diff. Returns an exit status; job_free() is due in any case. */
static int prepare(struct cli *cli, struct job *job)
{
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	int status;

	*job = (struct job){ 0 };
	set_options(&opt, cli, true, NULL);
	if (!load_plan(cli, &job->cfg, &job->plan, &status))
		return status;
	return kwg_steps_new(&job->steps, job->plan, &opt, &err) ? report(&err) : EXIT_DONE;
}

/* Carries the steps out; a signal that comes meanwhile is obeyed when they are done or undone. */
static int run_steps(struct job *job)
{
	struct kwg_error err = { 0 };
	int status = EXIT_DONE, number;

	signals_hold();
	if (kwg_steps_run(job->steps, &err))
		status = report(&err);
	number = signals_release();
	if (!number)
		return status;
	fprintf(stderr, "kilowg: ended by %s, %s\n", signal_name(number),
		status ? "with all steps undone" : "after all steps were carried out");
	job_free(job);
	signals_end(number);
}

/*
 * Shows the steps if asked to, and carries them out unless this is a dry run. status: of what has
 * prepared the job, which is freed.
 */
static int carry_out(struct cli *cli, struct job *job, int status, bool dry_run)
{
	int printed = EXIT_DONE;

	if (!job->steps) {
		/* Refused, or the mesh is to stay down. */
		job_free(job);
		return status;
	}
	if (!status && (dry_run || cli->verbose || cli->json))
		printed = print_steps(cli, job->steps);
	/* That nobody can read the steps is no reason not to take them. */
	if (!status)
		status = dry_run ? printed : run_steps(job);
	job_free(job);
	return status;
}

static int run_apply(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	bool dry_run = given[DRY_RUN].n;
	struct job job;

	(void)argv;
	if (argc)
		return usage_error("apply takes no operand");
	if (given[CLOSED_ONLY].n && given[LEAVE].n)
		return usage_error("apply takes --closed-only or --leave, not both");
	signals_ignore_pipe();
	return carry_out(cli, &job, prepare_apply(cli, &job, given), dry_run);
}

/* ---- down ------------------------------------------------------------ */

static int down_mesh(struct cli *cli, const char *mesh, const struct option_values *given)
{
	bool dry_run = given[DRY_RUN].n;
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	struct job job = { 0 };
	int ret;

	set_options(&opt, cli, dry_run, given);
	opt.keep_closed = given[KEEP_CLOSED].n;
	ret = kwg_steps_new_down_mesh(&job.steps, mesh, &opt, &err);
	return carry_out(cli, &job, ret ? report(&err) : EXIT_DONE, dry_run);
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
	bool dry_run = given[DRY_RUN].n;
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	struct job job = { 0 };
	int status, ret;

	job.cfg = read_config(cli, &status);
	if (!job.cfg)
		return down_without_file(cli, given);
	print_diags(job.cfg, cli->verbose);
	set_options(&opt, cli, dry_run, given);
	opt.keep_closed = given[KEEP_CLOSED].n;
	ret = kwg_steps_new_down(&job.steps, job.cfg, &opt, &err);
	return carry_out(cli, &job, ret ? report(&err) : EXIT_DONE, dry_run);
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
	struct job job;
	int status;

	(void)argv;
	(void)given;
	if (argc)
		return usage_error("diff takes no operand");
	status = prepare(cli, &job);
	if (!status && !cli->quiet)
		status = print_steps(cli, job.steps);
	if (!status && kwg_steps_count(job.steps))
		status = EXIT_DIFFERENT;
	job_free(&job);
	return status;
}

const struct command command_apply = {
	.name = "apply", .args = "", .has_json = true,
	.summary = "bring this host to the wanted state",
	.details = "Carries out what \"diff\" shows. If a step fails, those before it are undone.\n"
		   "With -v or --json also prints the steps.",
	.options = {
		[DRY_RUN] = { "dry-run", NULL, "print the steps, change nothing" },
		[WAIT] = { "wait", NULL, "wait while another kilowg is at work on this mesh" },
		[SWITCH_BACKEND] = { "switch-backend", NULL, "replace an interface of another backend than the wanted one" },
		[ALLOW_SHRINK] = { "allow-shrink", NULL, "files may be empty, end within a line, or have far fewer nodes" },
		[LEAVE] = { "leave", NULL, "if the files have not this node, remove the mesh from this host" },
		[CLOSED_ONLY] = { "closed-only", NULL, "with fail-closed, close the networks, and leave all else; for the boot" },
		[UNLESS_DOWN] = { "unless-down", NULL, "do nothing after \"down\" until somebody applies without this" },
	},
	.run = run_apply,
};

const struct command command_diff = {
	.name = "diff", .args = "", .has_json = true,
	.summary = "print what apply would change; exit status 3 if there is anything",
	.run = run_diff,
};

const struct command command_down = {
	.name = "down", .args = "", .has_json = true,
	.summary = "remove all that kilowg made for this mesh, and nothing else",
	.options = {
		[DRY_RUN] = { "dry-run", NULL, "print the steps, change nothing" },
		[WAIT] = { "wait", NULL, "wait while another kilowg is at work on this mesh" },
		[MESH] = { "mesh", "NAME", "of this mesh, by its marks, whatever the files say" },
		[ALL] = { "all", NULL, "of all meshes" },
		[KEEP_CLOSED] = { "keep-closed", NULL, "leave networks closed that fail-closed has closed" },
	},
	.run = run_down,
};
