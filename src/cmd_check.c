/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum { FORMAT_VERSION, KEYS, LIVE, REACH, STRICT, KEEP };

static int print_keys(void)
{
	struct kwg_error err = { 0 };
	char *text;

	return kwg_config_keys(&text, NULL, &err) ? report(&err) : print_text(text);
}

static int print_format(void)
{
	char *text;

	if (asprintf(&text, "%d\n", KWG_FILE_FORMAT) < 0) {
		fputs("kilowg: out of memory\n", stderr);
		return EXIT_OTHER;
	}
	return print_text(text);
}

static int print_json(const struct kwg_config *cfg)
{
	struct kwg_error err = { 0 };
	char *text;

	return kwg_config_json(cfg, &text, NULL, &err) ? report(&err) : print_text(text);
}

static bool has_warnings(const struct kwg_config *cfg)
{
	size_t i;

	for (i = 0; i < kwg_config_diag_count(cfg); i++)
		if (kwg_config_diag(cfg, i)->severity == KWG_WARNING)
			return true;
	return false;
}

/* One warning for each line. */
static void print_problems(const char *text)
{
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		fprintf(stderr, "kilowg: warning: %.*s\n", (int)(end - text), text);
	}
}

/* What on this host stands in the way of the plan of the node that is meant. */
static int look_at_host(struct cli *cli, const struct kwg_config *cfg,
			const struct option_values *given)
{
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	struct kwg_plan *plan;
	char host[256], *text;
	bool fine;
	int status = EXIT_DONE;

	if (kwg_plan_new(&plan, cfg, which_node(cli, cfg, host), &err))
		return report(&err);
	host_options(&opt, cli, &given[KEEP]);
	if (kwg_check_live(plan, &opt, cli->json, &fine, &text, NULL, &err)) {
		status = report(&err);
	} else if (cli->json) {
		status = print_text(text);
	} else {
		if (!cli->quiet)
			print_problems(text);
		kwg_text_free(text);
	}
	if (!status && given[STRICT].n && !fine)
		status = EXIT_CONFIG;
	kwg_plan_free(plan);
	return status;
}

/* Whether all reach each other, as far as the configuration decides that. */
static int look_at_pairs(const struct cli *cli, const struct kwg_config *cfg)
{
	struct kwg_error err = { 0 };
	bool all;
	char *text;
	int status;

	if (kwg_check_reach(cfg, cli->json, &all, &text, NULL, &err))
		return report(&err);
	if (cli->quiet)
		kwg_text_free(text);
	status = cli->quiet ? EXIT_DONE : print_text(text);
	return status || all ? status : EXIT_DIFFERENT;
}

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_config *cfg;
	int status, printed;

	(void)argv;
	if (argc)
		return usage_error("check takes no operand");
	if (given[FORMAT_VERSION].n)
		return print_format();
	if (given[LIVE].n && given[REACH].n)
		return usage_error("--live and --reach cannot be combined");
	if (given[KEYS].n)
		return print_keys();
	cfg = read_config(cli, &status);
	if (!cfg)
		return status;
	if (given[STRICT].n && has_warnings(cfg))
		status = EXIT_CONFIG;
	print_diags(cfg, !cli->quiet);
	if (given[LIVE].n) {
		if (!status)
			status = look_at_host(cli, cfg, given);
	} else if (given[REACH].n) {
		if (!status)
			status = look_at_pairs(cli, cfg);
	} else if (cli->json) {
		printed = print_json(cfg);
		if (printed)
			status = printed;
	}
	kwg_config_free(cfg);
	return status;
}

const struct command command_check = {
	.name = "check", .args = "", .has_json = true, .takes = TAKES_ALL,
	.summary = "report all errors and warnings of the configuration",
	.details = "Reads all files and changes nothing. With --json prints the configuration, or\n"
		   "the results of --live or --reach.",
	.options = {
		[FORMAT_VERSION] = { "format-version", NULL, "print the number of the file format that is read" },
		[KEYS] = { "keys", NULL, "list all keys of the file format, tab-separated" },
		[LIVE] = { "live", NULL, "also examine this host for obstacles to the plan" },
		[REACH] = { "reach", NULL, "also trace a packet between each pair of nodes, pods and peers" },
		[STRICT] = { "strict", NULL, "exit with 1 for warnings, too" },
		[KEEP] = OPTION_KEEP,
	},
	.run = run,
};
