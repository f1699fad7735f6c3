/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* no-color.org: set and not empty means no colour. */
static bool wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

enum { PROBE, KEEP };

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	struct kwg_config *cfg;
	struct kwg_plan *plan;
	bool healthy;
	int status;
	char *text;

	(void)argv;
	if (argc)
		return usage_error("status takes no operand");
	host_options(&opt, cli, &given[KEEP]);
	opt.log = NULL;		/* the answer says it all */
	opt.read_only = true;
	opt.probe = given[PROBE].n;
	if (!load_plan(cli, &cfg, &plan, &status))
		return status;
	if (kwg_status(plan, &opt, time(NULL), cli->json, wants_colour(), &healthy, &text, NULL,
		       &err)) {
		status = report(&err);
	} else if (cli->quiet) {
		kwg_text_free(text);
		status = healthy ? EXIT_DONE : EXIT_DIFFERENT;
	} else {
		status = print_text(text);
		if (!status && !healthy)
			status = EXIT_DIFFERENT;
	}
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	return status;
}

const struct command command_status = {
	.name = "status", .args = "", .has_json = true, .takes = TAKES_ALL,
	.summary = "print peers, handshakes, transfer and drift; exit status 3 if unhealthy",
	.details = "STATE of a peer:\n"
		   "  ok          there was a handshake in the last 180 seconds\n"
		   "  idle        no session, and no packet was sent that needs one\n"
		   "  unanswered  packets were sent, and nothing came back\n"
		   "  missing     WireGuard does not have the peer\n"
		   "\"drift\" counts the steps that \"diff\" prints.",
	.options = {
		[PROBE] = { "probe", NULL, "send a packet to each peer, and wait for an answer" },
		[KEEP] = OPTION_KEEP,
	},
	.run = run,
};
