/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

enum { KEEP, OPENMETRICS, OUTPUT };

/* ---- --output -------------------------------------------------------- */

static bool write_all(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t n;

	for (; left; text += n, left -= (size_t)n) {
		n = write(fd, text, left);
		if (n < 0 && errno != EINTR)
			return false;
		if (n < 0)
			n = 0;
	}
	return true;
}

/*
 * "FOLDER/.NAME.XXXXXX" beside FILE, for mkostemp(); free() it. A collector of *.prom does not take it
 * for one.
 */
static char *template_for(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t size = strlen(path) + sizeof("..XXXXXX");
	char *tmp = malloc(size);

	if (tmp)
		snprintf(tmp, size, "%.*s.%s.XXXXXX", (int)(name - path), path, name);
	return tmp;
}

/* Whoever reads meanwhile sees the old file or the new one. errno or 0. */
static int replace(const char *path, const char *text)
{
	char *tmp = template_for(path);
	int fd = tmp ? mkostemp(tmp, O_CLOEXEC) : -1, e = 0;

	if (fd < 0) {
		e = tmp ? errno : ENOMEM;
	} else {
		/* For a collector that is not root, whatever the umask is. */
		if (!write_all(fd, text) || fchmod(fd, 0644) || fsync(fd))
			e = errno;
		if (close(fd) && !e)
			e = errno;
		if (!e && rename(tmp, path))
			e = errno;
		if (e)
			unlink(tmp);
	}
	free(tmp);
	return e;
}

/* Takes the text. */
static int write_file(const char *path, char *text)
{
	int e = replace(path, text);

	kwg_text_free(text);
	if (!e)
		return EXIT_DONE;
	fprintf(stderr, "kilowg: %s: %s\n", path, strerror(e));
	return EXIT_OTHER;
}

/* ---- the command ----------------------------------------------------- */

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	const char *path = given[OUTPUT].n ? given[OUTPUT].v[given[OUTPUT].n - 1] : NULL;
	struct kwg_host_options opt;
	struct kwg_error err = { 0 };
	struct kwg_config *cfg;
	struct kwg_plan *plan;
	int status;
	char *text;

	(void)argv;
	if (argc)
		return usage_error("metrics takes no operand");
	host_options(&opt, cli, &given[KEEP]);
	opt.log = NULL;		/* the answer says it all */
	opt.read_only = true;
	if (!load_plan(cli, &cfg, &plan, &status))
		return status;
	if (kwg_metrics(plan, &opt, time(NULL), given[OPENMETRICS].n, &text, NULL, &err))
		status = report(&err);
	else
		status = path && strcmp(path, "-") ? write_file(path, text) : print_text(text);
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	return status;
}

const struct command command_metrics = {
	.name = "metrics", .args = "", .takes = TAKES_ALL,
	.summary = "print what status tells, as metrics for Prometheus",
	.options = {
		[KEEP] = OPTION_KEEP,
		[OPENMETRICS] = { "openmetrics", NULL, "in the format of OpenMetrics" },
		[OUTPUT] = { "output", "FILE", "replace this file, readable for all, instead of printing" },
	},
	.run = run,
};
