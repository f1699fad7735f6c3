/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What commands about this host tell the library. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "keeper.h"
#include "progress.h"

static void log_line(void *arg, enum kwg_severity severity, const char *line)
{
	const struct cli *cli = arg;

	if (cli->quiet || (severity == KWG_NOTE && !cli->verbose))
		return;
	progress_hide();
	fprintf(stderr, "kilowg: %s%s\n", severity == KWG_WARNING ? "warning: " : "", line);
}

static void find_userspace(struct cli *cli)
{
	const char *program = getenv("KILOWG_USERSPACE");
	size_t n = 0;

	/*
	 * systemd ends all processes of a unit or a session with it, unless they are in
	 * a unit of their own. A scope, and not a service: that would start the daemon
	 * in the network namespace of systemd, not in ours. Without systemd's private
	 * socket, as in most containers, there is nobody to ask and nobody who ends us.
	 */
	cli->userspace[0] = program && *program ? program : KWG_BINDIR "/kilowg-userspace";
	if (!has_systemd())
		return;
	cli->launcher[n++] = find_systemd_run();
	cli->launcher[n++] = "--scope";
	cli->launcher[n++] = "--collect";
	cli->launcher[n++] = "--quiet";
	cli->launcher[n++] = "--";
}

/* Fit to be printed. */
static const char *printable(const char *s, char *out, size_t size)
{
	size_t i;

	snprintf(out, size, "%s", s);
	for (i = 0; out[i]; i++)
		if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
			out[i] = '?';
	return out;
}

/* Who is to be asked why: behind sudo(8), who called that. */
static void find_caller(struct cli *cli)
{
	const char *from = getenv("KILOWG_FROM"), *user = getenv("SUDO_USER");
	const struct passwd *pw = user && *user ? NULL : getpwuid(getuid());
	char number[24];

	snprintf(number, sizeof(number), "%lu", (unsigned long)getuid());
	printable(from && *from ? from : "command line", cli->from, sizeof(cli->from));
	printable(user && *user ? user : pw ? pw->pw_name : number, cli->user, sizeof(cli->user));
}

void apply_options(struct kwg_host_options *opt, struct cli *cli, const struct option_values *keep)
{
	host_options(opt, cli, keep);
	find_caller(cli);
	opt->from = cli->from;
	opt->user = cli->user;
}

void host_options(struct kwg_host_options *opt, struct cli *cli, const struct option_values *keep)
{
	find_userspace(cli);
	*opt = (struct kwg_host_options){
		.size = sizeof(*opt), .cancel_fd = -1,
		.log = log_line, .log_arg = cli, .userspace_command = cli->userspace,
		.userspace_launcher = *cli->launcher ? cli->launcher : NULL,
		.keep_reachable = keep ? keep->v : NULL, .client = find_client(cli->client),
		.progress = progress_show,
	};
	if (!cli->quiet)
		progress_begin();
}
