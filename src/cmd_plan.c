/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "cli.h"

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	struct kwg_config *cfg;
	struct kwg_plan *plan;
	int status, ret;
	char *text;

	(void)argv;
	(void)given;
	if (argc)
		return usage_error("plan takes no operand; --node names the node");
	if (!load_plan(cli, &cfg, &plan, &status))
		return status;
	ret = cli->json ? kwg_plan_json(plan, &text, NULL, &err)
			: kwg_plan_text(plan, &text, NULL, &err);
	status = ret ? report(&err) : print_text(text);
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	return status;
}

const struct command command_plan = {
	.name = "plan", .args = "", .has_json = true, .takes = TAKES_PLAN,
	.summary = "print the network state that a node should have",
	.details = "Needs no privilege and no network access; works for any --node.",
	.run = run,
};
