/* SPDX-License-Identifier: ISC */
#include "cli.h"

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	struct kwg_config *cfg;
	char host[256], *text;
	int status;

	(void)argv;
	(void)given;
	if (argc)
		return usage_error("facts takes no operand");
	cfg = load_config(cli, &status);
	if (!cfg)
		return status;
	if (kwg_facts(cfg, which_node(cli, cfg, host), cli->json, &text, NULL, &err))
		status = report(&err);
	else
		status = print_text(text);
	kwg_config_free(cfg);
	return status;
}

const struct command command_facts = {
	.name = "facts", .args = "", .has_json = true,
	.summary = "print what this node should tell the others about itself",
	.details = "Works before the node stands in the files, so that it can be put there.",
	.run = run,
};
