/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "cli.h"

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_error err = { 0 };
	int status = EXIT_DONE;
	char *text;
	bool has;

	(void)argv;
	(void)given;
	if (argc)
		return usage_error("detect takes no operand");
	if (kwg_detect(cli->json, &has, &text, NULL, &err))
		return report(&err);
	if (cli->quiet)
		kwg_text_free(text);
	else
		status = print_text(text);
	return status || has ? status : EXIT_DIFFERENT;
}

const struct command command_detect = {
	.name = "detect", .args = "", .has_json = true, .takes = TAKES_QUIET,
	.summary = "ask the kernel whether it has WireGuard; exit status 3 if not",
	.details = "Reads no configuration and creates no interface. Module files are shown as a hint.",
	.run = run,
};
