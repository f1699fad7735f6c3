/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "cli.h"

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	struct kwg_config *cfg;
	bool reached;
	char *text;
	int status;

	(void)given;
	if (argc != 2)
		return usage_error("explain takes two operands: from where, and to where");
	cfg = load_config(cli, &status);
	if (!cfg)
		return status;
	if (kwg_explain(cfg, argv[0], argv[1], cli->json, &reached, &text, NULL, &err))
		status = report(&err);
	else
		status = print_text(text);
	kwg_config_free(cfg);
	return status || reached ? status : EXIT_DIFFERENT;
}

const struct command command_explain = {
	.name = "explain", .args = "FROM TO", .has_json = true,
	.summary = "trace a packet from one place to another, and the answer back",
	.details = "FROM and TO are the name of a node or peer, pod:NODE for a pod of a node, or an address.\n"
		   "Reads the configuration only. Exit status 3: the packet or its answer does not arrive.",
	.run = run,
};
