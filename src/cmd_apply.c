/* SPDX-License-Identifier: ISC */
/* apply, diff and down: three uses of one list of steps. */
#include <stdio.h>

#include "cli.h"
#include "signals.h"

enum { DRY_RUN, WAIT, SWITCH_BACKEND };

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
};

static void job_free(struct job *job)
{
	kwg_steps_free(job->steps);
	kwg_plan_free(job->plan);
	kwg_config_free(job->cfg);
}

/* Returns an exit status; job_free() is due in any case. */
static int prepare(struct cli *cli, struct job *job, bool down, bool read_only,
		   const struct option_values *given)
{
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	int status, ret;

	*job = (struct job){ 0 };
	host_options(&opt, cli);
	opt.read_only = read_only;
	opt.wait_lock = given && given[WAIT].n;
	opt.switch_backend = given && given[SWITCH_BACKEND].n;
	opt.stop = signals_waiting;
	if (down) {
		job->cfg = load_config(cli, &status);
		if (!job->cfg)
			return status;
		ret = kwg_steps_new_down(&job->steps, job->cfg, &opt, &err);
	} else {
		if (!load_plan(cli, &job->cfg, &job->plan, &status))
			return status;
		ret = kwg_steps_new(&job->steps, job->plan, &opt, &err);
	}
	return ret ? report(&err) : EXIT_DONE;
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

/* Shows the steps if asked to, and carries them out unless this is a dry run. */
static int carry_out(struct cli *cli, bool down, const struct option_values *given)
{
	bool dry_run = given[DRY_RUN].n;
	struct job job;
	int status, printed = EXIT_DONE;

	signals_ignore_pipe();
	status = prepare(cli, &job, down, dry_run, given);
	if (!status && (dry_run || cli->verbose || cli->json))
		printed = print_steps(cli, job.steps);
	/* That nobody can read the steps is no reason not to take them. */
	if (!status)
		status = dry_run ? printed : run_steps(&job);
	job_free(&job);
	return status;
}

static int run_apply(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	(void)argv;
	return argc ? usage_error("apply takes no operand") : carry_out(cli, false, given);
}

static int run_down(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	(void)argv;
	return argc ? usage_error("down takes no operand") : carry_out(cli, true, given);
}

static int run_diff(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct job job;
	int status;

	(void)argv;
	(void)given;
	if (argc)
		return usage_error("diff takes no operand");
	status = prepare(cli, &job, false, true, NULL);
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
	},
	.run = run_down,
};
