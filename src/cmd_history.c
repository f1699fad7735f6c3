/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* history: the configurations that were applied. */
#include "cli.h"
#include "job.h"

enum { DIFF, MESH };

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	const char *mesh = given[MESH].n ? given[MESH].v[0] : NULL;
	struct kwg_error err = { 0 };
	unsigned a, b;
	char *text;
	int ret;

	if (given[MESH].n > 1 || argc != (given[DIFF].n ? 2 : 0))
		return usage_error("history takes one --mesh, and with --diff two numbers");
	if (given[DIFF].n && cli->json)
		return usage_error("history --diff has no JSON form");
	if (given[DIFF].n && (!read_number(&a, "the number of a configuration", argv[0], 99) ||
			      !read_number(&b, "the number of a configuration", argv[1], 99)))
		return EXIT_CONFIG;
	ret = given[DIFF].n ? kwg_history_diff(mesh, a, b, &text, NULL, &err)
			    : kwg_history(mesh, cli->json, &text, NULL, &err);
	return ret ? report(&err) : print_text(text);
}

const struct command command_history = {
	.name = "history", .args = "[A B]", .has_json = true,
	.summary = "list the last ten configurations that were applied",
	.details = "The latest one has number 1; * marks the current one.",
	.options = {
		[DIFF] = { "diff", NULL, "print the difference between the plans of A and B" },
		[MESH] = { "mesh", "NAME", "of this mesh, if there are several" },
	},
	.run = run,
};
