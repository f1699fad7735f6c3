/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clientconf.h"

enum { AS_PEER, ALLOWED_IP, FORMAT, PRIVATE_KEY, AS_QR, AS_SVG, AS_PNG };

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

/* ---- the whole of a client ------------------------------------------- */

static struct client_form form_of(const struct option_values *given)
{
	return (struct client_form){ &given[FORMAT], &given[AS_QR], &given[AS_SVG], &given[AS_PNG] };
}

static bool is_client(const struct option_values *given)
{
	struct client_form form = form_of(given);

	return given[FORMAT].n || given[PRIVATE_KEY].n || client_form_is_qr(&form);
}

/* What goes together. An exit status. */
static int check_client_options(const struct cli *cli, char **argv, const struct option_values *given)
{
	struct client_form form = form_of(given);

	if (strcmp(argv[0], "peer"))
		return usage_error("--format, --private-key and --qr are for \"showconf peer NAME\"");
	if (given[AS_PEER].n || given[ALLOWED_IP].n || cli->json)
		return usage_error("a whole configuration goes without --as-peer, --allowed-ip and --json; for JSON there is --format json");
	if (client_form_is_qr(&form) && !given[PRIVATE_KEY].n)
		return usage_error("phones refuse a QR code without private key: give --private-key FILE, or - for standard input");
	return EXIT_DONE;
}

/* False after a message. */
static bool load_key(const char *path, char key[KEY_LINE])
{
	bool is_stdin = !strcmp(path, "-");
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		fprintf(stderr, "kilowg: --private-key %s: %s\n", path, strerror(errno));
		return false;
	}
	read_key(fd, key);
	if (!is_stdin)
		close(fd);
	return true;
}

static int show_client(struct cli *cli, const struct kwg_config *cfg, char **argv,
		       const struct option_values *given)
{
	const struct option_values *from = &given[PRIVATE_KEY];
	struct client_form form = form_of(given);
	enum kwg_client_format format;
	int ret;
	char host[256], key[KEY_LINE] = "", *text;
	struct kwg_error err = { 0 };

	if (!client_form_find(&form, &format))
		return EXIT_CONFIG;
	if (from->n && !load_key(from->v[from->n - 1], key))
		return EXIT_OTHER;
	ret = kwg_client_config(cfg, which_node(cli, cfg, host), argv[1], from->n ? key : NULL,
				format, &text, NULL, &err);
	explicit_bzero(key, sizeof(key));
	if (ret)
		return report(&err);
	if (from->n)
		warn_if_readable(cli);
	return client_form_print(&form, text);
}

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct kwg_config *cfg;
	int status;

	if (argc != 2 || (strcmp(argv[0], "node") && strcmp(argv[0], "peer")))
		return usage_error("showconf takes two operands: \"node NAME\" or \"peer NAME\"");
	if (cli->json && (!strcmp(argv[0], "node") || given[AS_PEER].n))
		return usage_error("only \"showconf peer NAME\" has a JSON form");
	status = is_client(given) ? check_client_options(cli, argv, given) : EXIT_DONE;
	if (status)
		return status;
	cfg = load_config(cli, &status);
	if (!cfg)
		return status;
	status = is_client(given) ? show_client(cli, cfg, argv, given) : show(cli, cfg, argv, given);
	kwg_config_free(cfg);
	return status;
}

const struct command command_showconf = {
	.name = "showconf", .args = "node|peer NAME", .has_json = true, .takes = TAKES_FILE | TAKES_NODE | TAKES_VERBOSE,
	.summary = "print the WireGuard configuration of a node or peer",
	.details = "A private key is printed only with --private-key; preshared keys always. Endpoints are\n"
		   "those that the node of --node has seen.",
	.options = {
		[AS_PEER] = { "as-peer", NULL, "print the section that others have for this peer" },
		[ALLOWED_IP] = { "allowed-ip", "CIDR",
				 "an additional network for the peer, with --json in its\n"
				 "                        routes; repeatable" },
		[FORMAT] = { "format", "FORMAT", "print the whole configuration: wg-quick, wg, networkd, nm, yaml or json" },
		[PRIVATE_KEY] = { "private-key", "FILE", "the peer's own key, to be in it; - is standard input" },
		[AS_QR] = { "qr", NULL, "print the configuration as a QR code on the terminal" },
		[AS_SVG] = { "qr-svg", NULL, "the same as an SVG image" },
		[AS_PNG] = { "qr-png", NULL, "the same as a PNG image" },
	},
	.run = run,
};
