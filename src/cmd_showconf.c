/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "cli.h"

enum { AS_PEER, ALLOWED_IP };

static int show(struct cli *cli, const struct kwg_config *cfg, char **argv,
		const struct option_values *given)
{
	bool as_peer = given[AS_PEER].n;
	struct kwg_error err = { 0 };
	char host[256], *text;
	int ret;

	if (!strcmp(argv[0], "node"))
		ret = kwg_showconf_node(cfg, argv[1], as_peer, &text, NULL, &err);
	else
		ret = kwg_showconf_peer(cfg, which_node(cli, cfg, host), argv[1],
					given[ALLOWED_IP].v, (size_t)given[ALLOWED_IP].n, as_peer,
					cli->json, &text, NULL, &err);
	return ret ? report(&err) : print_text(text);
}

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_config *cfg;
	int status;

	if (argc != 2 || (strcmp(argv[0], "node") && strcmp(argv[0], "peer")))
		return usage_error("showconf takes two operands: \"node NAME\" or \"peer NAME\"");
	if (cli->json && (!strcmp(argv[0], "node") || given[AS_PEER].n))
		return usage_error("only \"showconf peer NAME\" has a JSON form");
	cfg = load_config(cli, &status);
	if (!cfg)
		return status;
	status = show(cli, cfg, argv, given);
	kwg_config_free(cfg);
	return status;
}

const struct command command_showconf = {
	.name = "showconf", .args = "node|peer NAME", .has_json = true,
	.summary = "print the WireGuard configuration of a node or peer",
	.details = "Private keys are never printed; preshared keys are. Endpoints are those that the\n"
		   "node named by --node has seen.",
	.options = {
		[AS_PEER] = { "as-peer", NULL, "print it as others configure it as their peer" },
		[ALLOWED_IP] = { "allowed-ip", "CIDR",
				 "a further network the peer wants to reach, with --json in its\n"
				 "                        routes; repeatable" },
	},
	.run = run,
};
