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
static const char *find_systemd_run(void)
{
	static const char *const paths[] = { "/usr/bin/systemd-run", "/bin/systemd-run" };
	size_t i;

	if (access("/run/systemd/system", F_OK) || access("/run/systemd/private", W_OK))
		return NULL;
	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (!access(paths[i], X_OK))
			return paths[i];
	return NULL;
}

static void find_userspace(struct cli *cli)
{
	const char *program = getenv("KILOWG_USERSPACE"), *systemd_run = find_systemd_run();
	size_t n = 0;

	if (systemd_run) {
		cli->userspace[n++] = systemd_run;
		cli->userspace[n++] = "--scope";
		cli->userspace[n++] = "--collect";
		cli->userspace[n++] = "--quiet";
		cli->userspace[n++] = "--";
	}
	cli->userspace[n++] = program && *program ? program : KWG_BINDIR "/kilowg-userspace";
	cli->userspace[n] = NULL;
}

void host_options(struct kwg_host_options *opt, struct cli *cli)
{
	find_userspace(cli);
	*opt = (struct kwg_host_options){
		.log = log_line, .log_arg = cli, .userspace_command = cli->userspace,
	};
}
