/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "cli.h"

enum { INI };

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	struct kwg_config *cfg;
	char host[256], *text;
	int status, ret;

	(void)argv;
	if (argc)
		return usage_error("facts takes no operand");
	if (given[INI].n && cli->json)
		return usage_error("facts takes --ini or --json, not both");
	cfg = load_config(cli, &status);
	if (!cfg)
		return status;
	ret = given[INI].n ? kwg_facts_ini(cfg, which_node(cli, cfg, host), &text, NULL, &err)
			   : kwg_facts(cfg, which_node(cli, cfg, host), cli->json, &text, NULL, &err);
	if (ret)
		status = report(&err);
	else
		status = print_text(text);
	kwg_config_free(cfg);
	return status;
}

const struct command command_facts = {
	.name = "facts", .args = "", .has_json = true, .takes = TAKES_PLAN,
	.summary = "print information about this node for the others",
	.details = "Works before the node is in the files, so that it can be added.",
	.options = {
		[INI] = { "ini", NULL, "print the [node] section for the files of the others" },
	},
	.run = run,
};
