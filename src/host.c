/* SPDX-License-Identifier: ISC */
/* What commands about this host tell the library. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

static void log_line(void *arg, enum kwg_severity severity, const char *line)
{
	const struct cli *cli = arg;

	if (cli->quiet || (severity == KWG_NOTE && !cli->verbose))
		return;
	fprintf(stderr, "kilowg: %s%s\n", severity == KWG_WARNING ? "warning: " : "", line);
}

/*
 * systemd ends all processes of a unit or a session with it, unless they are in
 * a unit of their own. A scope, and not a service: that would start the daemon
 * in the network namespace of systemd, not in ours. Without systemd's private
 * socket, as in most containers, there is nobody to ask and nobody who ends us.
 */
static bool has_systemd(void)
{
	return !access("/run/systemd/system", F_OK) && !access("/run/systemd/private", W_OK);
}

/* If it is not there, starting it fails, of which people are told. */
static const char *find_systemd_run(void)
{
	static const char *const paths[] = { "/usr/bin/systemd-run", "/bin/systemd-run" };

	return access(paths[0], X_OK) && !access(paths[1], X_OK) ? paths[1] : paths[0];
}

static void find_userspace(struct cli *cli)
{
	const char *program = getenv("KILOWG_USERSPACE");
	size_t n = 0;

	cli->userspace[0] = program && *program ? program : KWG_BINDIR "/kilowg-userspace";
	if (!has_systemd())
		return;
	cli->launcher[n++] = find_systemd_run();
	cli->launcher[n++] = "--scope";
	cli->launcher[n++] = "--collect";
	cli->launcher[n++] = "--quiet";
	cli->launcher[n++] = "--";
}

void host_options(struct kwg_host_options *opt, struct cli *cli, const struct option_values *keep)
{
	find_userspace(cli);
	*opt = (struct kwg_host_options){
		.log = log_line, .log_arg = cli, .userspace_command = cli->userspace,
		.userspace_launcher = *cli->launcher ? cli->launcher : NULL,
		.keep = keep ? keep->v : NULL, .client = find_client(cli->client),
	};
}
