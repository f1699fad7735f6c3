/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "cli.h"

enum { KEYS, STRICT };

static int print_keys(void)
{
	struct kwg_error err = { 0 };
	char *text;

	return kwg_config_keys(&text, NULL, &err) ? report(&err) : print_text(text);
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

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_config *cfg;
	int status, printed;

	(void)argv;
	if (argc)
		return usage_error("check takes no operand");
	if (given[KEYS].n)
		return print_keys();
	cfg = read_config(cli, &status);
	if (!cfg)
		return status;
	if (given[STRICT].n && has_warnings(cfg))
		status = EXIT_CONFIG;
	print_diags(cfg, !cli->quiet);
	if (cli->json) {
		printed = print_json(cfg);
		if (printed)
			status = printed;
	}
	kwg_config_free(cfg);
	return status;
}

const struct command command_check = {
	.name = "check", .args = "", .has_json = true,
	.summary = "report all errors and warnings of the configuration",
	.details = "Reads everything, touches nothing. With --json prints what was understood.",
	.options = {
		[KEYS] = { "keys", NULL, "list every key of the file format, tab-separated" },
		[STRICT] = { "strict", NULL, "exit with 1 for warnings, too" },
	},
	.run = run,
};
