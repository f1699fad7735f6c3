/* SPDX-License-Identifier: ISC */
#include "cli.h"

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	struct kwg_config *cfg;
	char *text;
	int status;

	(void)argv;
	(void)given;
	if (argc)
		return usage_error("graph takes no operand");
	cfg = load_config(cli, &status);
	if (!cfg)
		return status;
	if (kwg_graph_dot(cfg, &text, NULL, &err))
		status = report(&err);
	else
		status = print_text(text);
	kwg_config_free(cfg);
	return status;
}

const struct command command_graph = {
	.name = "graph", .args = "", .takes = TAKES_FILE | TAKES_VERBOSE,
	.summary = "print the mesh as a Graphviz graph",
	.details = "For a picture: kilowg graph | dot -Tsvg >mesh.svg",
	.run = run,
};
