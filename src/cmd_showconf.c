/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "qr.h"

enum { AS_PEER, ALLOWED_IP, FORMAT, PRIVATE_KEY, AS_QR, AS_SVG, AS_PNG };

static const char *const formats[] = {
	[KWG_CLIENT_WG_QUICK] = "wg-quick", [KWG_CLIENT_WG] = "wg", [KWG_CLIENT_NETWORKD] = "networkd",
	[KWG_CLIENT_NM] = "nm", [KWG_CLIENT_YAML] = "yaml", [KWG_CLIENT_JSON] = "json",
};

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

static bool is_qr(const struct option_values *given)
{
	return given[AS_QR].n || given[AS_SVG].n || given[AS_PNG].n;
}

static bool is_client(const struct option_values *given)
{
	return given[FORMAT].n || given[PRIVATE_KEY].n || is_qr(given);
}

/* What goes together. An exit status. */
static int check_client_options(const struct cli *cli, char **argv, const struct option_values *given)
{
	if (strcmp(argv[0], "peer"))
		return usage_error("--format, --private-key and --qr are for \"showconf peer NAME\"");
	if (given[AS_PEER].n || given[ALLOWED_IP].n || cli->json)
		return usage_error("a whole configuration goes without --as-peer, --allowed-ip and --json; for JSON there is --format json");
	if (given[AS_QR].n + given[AS_SVG].n + given[AS_PNG].n > 1)
		return usage_error("--qr, --qr-svg and --qr-png: give one of them");
	if (is_qr(given) && given[FORMAT].n)
		return usage_error("a QR code has the format wg-quick, which phones read; leave --format out");
	if (is_qr(given) && !given[PRIVATE_KEY].n)
		return usage_error("phones refuse a QR code without private key: give --private-key FILE, or - for standard input");
	return EXIT_DONE;
}

/* An index of formats; -1 after a message. */
static int find_format(const struct option_values *given)
{
	int i;

	if (!given->n)
		return KWG_CLIENT_WG_QUICK;
	for (i = 0; i < (int)(sizeof(formats) / sizeof(*formats)); i++)
		if (!strcmp(given->v[given->n - 1], formats[i]))
			return i;
	usage_error("--format \"%s\" is not accepted; accepted: wg-quick, wg, networkd, nm, yaml or json",
		    given->v[given->n - 1]);
	return -1;
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

static int print_client(char *text, const struct option_values *given)
{
	int status;

	if (!is_qr(given))
		return print_text(text);
	status = qr_print(text, given[AS_SVG].n ? QR_SVG : given[AS_PNG].n ? QR_PNG : QR_TEXT);
	explicit_bzero(text, strlen(text));
	kwg_text_free(text);
	return status;
}

static int show_client(struct cli *cli, const struct kwg_config *cfg, char **argv,
		       const struct option_values *given)
{
	const struct option_values *from = &given[PRIVATE_KEY];
	int format = find_format(&given[FORMAT]), ret;
	char host[256], key[KEY_LINE] = "", *text;
	struct kwg_error err = { 0 };

	if (format < 0)
		return EXIT_CONFIG;
	if (from->n && !load_key(from->v[from->n - 1], key))
		return EXIT_OTHER;
	ret = kwg_client_config(cfg, which_node(cli, cfg, host), argv[1], from->n ? key : NULL,
				(enum kwg_client_format)format, &text, NULL, &err);
	explicit_bzero(key, sizeof(key));
	if (ret)
		return report(&err);
	if (from->n)
		warn_if_readable(cli);
	return print_client(text, given);
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
	.name = "showconf", .args = "node|peer NAME", .has_json = true,
	.summary = "print the WireGuard configuration of a node or peer",
	.details = "A private key is printed only if --private-key gives it; preshared keys are. Endpoints are\n"
		   "those that the node named by --node has seen.",
	.options = {
		[AS_PEER] = { "as-peer", NULL, "print it as others configure it as their peer" },
		[ALLOWED_IP] = { "allowed-ip", "CIDR",
				 "a further network the peer wants to reach, with --json in its\n"
				 "                        routes; repeatable" },
		[FORMAT] = { "format", "FORMAT", "all that a peer needs, for wg-quick, wg, networkd, nm, yaml or json" },
		[PRIVATE_KEY] = { "private-key", "FILE", "the peer's own key, to be in it; - is standard input" },
		[AS_QR] = { "qr", NULL, "all that a phone needs, as a QR code on the terminal" },
		[AS_SVG] = { "qr-svg", NULL, "the same as an SVG image" },
		[AS_PNG] = { "qr-png", NULL, "the same as a PNG image" },
	},
	.run = run,
};
