/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The program: global options, the table of commands, and what commands share. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "progress.h"
#include "standard.h"

static const struct command command_help;

const struct command *const commands[] = {
	&command_init, &command_node, &command_peer,
	&command_check, &command_plan, &command_diff, &command_apply, &command_confirm, &command_rollback,
	&command_history, &command_down, &command_watch,
	&command_status, &command_metrics, &command_showconf, &command_graph, &command_explain, &command_detect, &command_facts,
	&command_genkey, &command_genpsk, &command_pubkey, &command_help, NULL,
};

enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) - 1, OPT_COMMAND = 256 };

const struct option global_options[] = {
	{ "file", required_argument, NULL, 'f' },
	{ "node", required_argument, NULL, 'n' },
	{ "interface", required_argument, NULL, 'i' },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

enum { N_GLOBAL = sizeof(global_options) / sizeof(*global_options) - 1 };

/* In the order of global_options. */
static const char *const global_help[N_GLOBAL] = {
	"  -f, --file FILE|DIR   read this instead of the default folders; repeatable, - is stdin",
	"  -n, --node NAME       the node (default: node in [local], or the host name)",
	"  -i, --interface NAME  the WireGuard interface (default: [local] interface)",
	"  -j, --json            print JSON",
	"  -q, --quiet           print errors only",
	"  -v, --verbose         print warnings and steps",
	"  -V, --version         print the version",
	"  -h, --help            print help, also of a command",
};

bool takes_option(const struct command *c, int letter)
{
	switch (c ? letter : 'h') {
	case 'f':
		return c->takes & TAKES_FILE;
	case 'n':
		return c->takes & TAKES_NODE;
	case 'i':
		return c->takes & TAKES_INTERFACE;
	case 'j':
		return c->has_json;
	case 'q':
		return c->takes & TAKES_QUIET;
	case 'v':
		return c->takes & TAKES_VERBOSE;
	}
	return true;
}

/* ---- shared with commands -------------------------------------------- */

int usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs("kilowg: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_CONFIG;
}

enum { CAP_NET_ADMIN_BIT = 12 };	/* linux/capability.h */

/* True also if that cannot be told. */
static bool has_net_admin(void)
{
	unsigned long long caps = ~0ull;
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (f)
		fclose(f);
	return caps >> CAP_NET_ADMIN_BIT & 1;
}

/* What the kernel's words leave to be guessed. */
static void explain_refusal(const struct kwg_error *err)
{
	if ((err->sys_errno != EPERM && err->sys_errno != EACCES) || strstr(err->text, "as root") ||
	    strstr(err->text, "CAP_"))
		return;
	if (geteuid())
		fputs("kilowg: this needs the privileges of root; \"check\" and \"plan\" do not\n", stderr);
	else if (err->status == KWG_ERR_KERNEL && !has_net_admin())
		fputs("kilowg: root has not CAP_NET_ADMIN here, which this needs; give it to the container or unit\n",
		      stderr);
}

int report(const struct kwg_error *err)
{
	progress_show(NULL, NULL, 0, 0);
	fprintf(stderr, "kilowg: %s\n", err->text);
	explain_refusal(err);
	switch ((enum kwg_result)err->status) {
	case KWG_OK:
		return EXIT_DONE;
	case KWG_ERR_USAGE:
	case KWG_ERR_CONFIG:
		return EXIT_CONFIG;
	case KWG_ERR_KERNEL:
	case KWG_ERR_TIMEOUT:
	case KWG_ERR_STOPPED:
	case KWG_ERR_CANCELLED:
		return EXIT_REFUSED;
	case KWG_ERR_LOCKED:
		return EXIT_LOCKED;
	case KWG_ERR_HELD:
		return EXIT_DIFFERENT;
	/* As it is meant to be. */
	case KWG_ERR_DOWN:
		return EXIT_DONE;
	case KWG_ERR_NOMEM:
	case KWG_ERR_IO:
		break;
	}
	return EXIT_OTHER;
}

int print_text(char *text)
{
	bool failed = fputs(text, stdout) == EOF || fflush(stdout) == EOF;

	kwg_text_free(text);
	if (!failed)
		return EXIT_DONE;
	fprintf(stderr, "kilowg: writing to stdout: %s\n", strerror(errno));
	return EXIT_OTHER;
}

static int add_paths(const struct cli *cli, struct kwg_config *cfg, struct kwg_error *err)
{
	int i, ret = 0;

	if (!cli->n_paths)
		return kwg_config_add_default(cfg, err);
	for (i = 0; i < cli->n_paths && !ret; i++)
		ret = kwg_config_add_path(cfg, cli->paths[i], err);
	return ret;
}

struct kwg_config *read_config(const struct cli *cli, int *status)
{
	struct kwg_config *cfg = kwg_config_new();
	struct kwg_error err = { 0 };
	int ret;

	if (!cfg) {
		fputs("kilowg: out of memory\n", stderr);
		*status = EXIT_OTHER;
		return NULL;
	}
	ret = add_paths(cli, cfg, &err);
	if (!ret && cli->interface)
		ret = kwg_config_set_local(cfg, "interface", cli->interface, &err);
	if (!ret)
		ret = kwg_config_finish(cfg, &err);
	*status = EXIT_DONE;
	if (!ret)
		return cfg;
	if (ret == KWG_ERR_CONFIG) {
		*status = EXIT_CONFIG;
		return cfg;
	}
	*status = report(&err);
	/* A configuration that cannot be read is a configuration error. */
	if (ret == KWG_ERR_IO)
		*status = EXIT_CONFIG;
	kwg_config_free(cfg);
	return NULL;
}

void print_diag(const struct kwg_diag *d)
{
	if (d->line)
		fprintf(stderr, "%s:%u: ", d->file, d->line);
	if (d->severity == KWG_WARNING)
		fputs("warning: ", stderr);
	if (*d->key)
		fprintf(stderr, "%s: ", d->key);
	fprintf(stderr, "%s\n", d->text);
}

void print_diags(const struct kwg_config *cfg, bool warnings)
{
	size_t i;

	for (i = 0; i < kwg_config_diag_count(cfg); i++)
		if (warnings || kwg_config_diag(cfg, i)->severity == KWG_ERROR)
			print_diag(kwg_config_diag(cfg, i));
}

struct kwg_config *load_config(const struct cli *cli, int *status)
{
	struct kwg_config *cfg = read_config(cli, status);

	if (!cfg)
		return NULL;
	print_diags(cfg, cli->verbose);
	if (*status == EXIT_DONE)
		return cfg;
	kwg_config_free(cfg);
	return NULL;
}

const char *which_node(const struct cli *cli, const struct kwg_config *cfg, char buf[256])
{
	const char *local = kwg_config_local_node(cfg);

	if (cli->node)
		return cli->node;
	if (local)
		return local;
	if (gethostname(buf, 256))
		buf[0] = '\0';
	buf[255] = '\0';
	return buf;
}

/* Of two names the one that is the other and a domain. */
static bool is_with_domain(const char *a, const char *b)
{
	size_t len = strlen(b);

	return !strncmp(a, b, len) && a[len] == '.';
}

/* The name of this host was taken for want of another. Perhaps the files have it with its domain, or without. */
static void explain_host_name(const struct kwg_config *cfg, const char *host)
{
	struct kwg_error err = { 0 };
	char *names, *name, *rest;

	if (kwg_config_names(cfg, false, &names, NULL, &err))
		return;
	for (name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest))
		if (is_with_domain(name, host) || is_with_domain(host, name))
			break;
	if (kwg_config_has_node(cfg, host))
		fputs("kilowg: that is the name of this host; --node or [local] node name another\n", stderr);
	else if (name)
		fprintf(stderr,
			"kilowg: that is the name of this host; the files have \"%s\": give --node %s, or node = %s in [local]\n",
			name, name, name);
	else
		fputs("kilowg: that is the name of this host, which the files do not have; --node or [local] node name another\n",
		      stderr);
	free(names);
}

bool load_plan(const struct cli *cli, struct kwg_config **cfg, struct kwg_plan **plan, int *status)
{
	struct kwg_error err = { 0 };
	char host[256];
	const char *node;
	size_t i;

	*cfg = load_config(cli, status);
	if (!*cfg)
		return false;
	node = which_node(cli, *cfg, host);
	if (!kwg_plan_new(plan, *cfg, node, &err)) {
		for (i = 0; cli->verbose && i < kwg_plan_diag_count(*plan); i++)
			print_diag(kwg_plan_diag(*plan, i));
		return true;
	}
	*status = report(&err);
	if (node == host)
		explain_host_name(*cfg, host);
	kwg_config_free(*cfg);
	*cfg = NULL;
	return false;
}

/* ---- help ------------------------------------------------------------ */

static void print_global_help(const struct command *c)
{
	size_t i;

	for (i = 0; i < N_GLOBAL; i++)
		if (takes_option(c, global_options[i].val))
			puts(global_help[i]);
}

static void print_help(void)
{
	size_t i;

	puts("Usage: kilowg [OPTIONS] COMMAND\n\n"
	     "Joins nodes in several places into one WireGuard network, as files describe it.\n");
	puts("Commands:");
	for (i = 0; i < N_COMMANDS; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	puts("\nOptions:");
	print_global_help(NULL);
	puts("\n\"kilowg COMMAND --help\" explains a command; see also kilowg(8) and kilowg.ini(5).");
}

static void print_command_help(const struct command *c)
{
	const struct command_option *o;
	char left[64];

	printf("Usage: kilowg [OPTIONS] %s%s%s\n\n%s\n", c->name, *c->args ? " " : "", c->args,
	       c->summary);
	if (c->details)
		printf("\n%s\n", c->details);
	if (c->options[0].name)
		puts("\nOptions of this command:");
	for (o = c->options; o->name; o++) {
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("  %-22s  %s\n", left, o->help);
	}
	puts("\nOptions that other commands take, too:");
	print_global_help(c);
}

/* ---- options --------------------------------------------------------- */

static int add_path(struct cli *cli, const char *path)
{
	const char **v = realloc(cli->paths, ((size_t)cli->n_paths + 1) * sizeof(*v));

	if (!v) {
		fputs("kilowg: out of memory\n", stderr);
		return EXIT_OTHER;
	}
	v[cli->n_paths++] = path;
	cli->paths = v;
	return EXIT_DONE;
}

/* One global option; -1: go on, else the exit status. */
static int global_option(struct cli *cli, int c, const struct command *command)
{
	switch (c) {
	case 'f':
		return add_path(cli, optarg) ? EXIT_OTHER : -1;
	case 'n':
		cli->node = optarg;
		return -1;
	case 'i':
		cli->interface = optarg;
		return -1;
	case 'j':
		cli->json = true;
		return -1;
	case 'q':
		cli->quiet = true;
		return -1;
	case 'v':
		cli->verbose = true;
		return -1;
	case 'V':
		printf("kilowg %s\n", kwg_version());
		return EXIT_DONE;
	case 'h':
		if (command)
			print_command_help(command);
		else
			print_help();
		return EXIT_DONE;
	}
	fprintf(stderr, "Try \"kilowg %s%s--help\".\n", command ? command->name : "",
		command ? " " : "");
	return EXIT_CONFIG;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return strcmp(command_complete.name, name) ? NULL : &command_complete;
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

enum { NAME_MAX_LEN = 32 };

/* Levenshtein distance; b at most NAME_MAX_LEN long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_LEN + 1], diagonal, above, i, k, n = (unsigned)strlen(b);

	for (k = 0; k <= n; k++)
		row[k] = k;
	for (i = 1; a[i - 1]; i++) {
		diagonal = row[0];
		row[0] = i;
		for (k = 1; k <= n; k++) {
			above = row[k];
			row[k] = smallest(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

/* What was perhaps meant, if it is near enough. */
static int unknown_command(const char *name)
{
	const struct command *best = NULL;
	unsigned d, nearest = 3;
	size_t i;

	for (i = 0; i < N_COMMANDS; i++) {
		d = distance(name, commands[i]->name);
		if (d < nearest && d < strlen(commands[i]->name)) {
			best = commands[i];
			nearest = d;
		}
	}
	if (best)
		return usage_error("unknown command \"%s\"; did you mean %s? \"kilowg --help\" has the list", name,
				   best->name);
	return usage_error("unknown command \"%s\"; \"kilowg --help\" has the list", name);
}

static int run_help(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	const struct command *c = argc ? find_command(argv[0]) : NULL;

	(void)cli;
	(void)given;
	if (argc > 1)
		return usage_error("help takes one command");
	if (argc && !c)
		return unknown_command(argv[0]);
	if (c)
		print_command_help(c);
	else
		print_help();
	return EXIT_DONE;
}

static const struct command command_help = {
	.name = "help", .args = "[COMMAND]", .summary = "print the list of commands, or the help of one",
	.run = run_help,
};

/* The command's own options behind the global ones, as getopt_long() wants them. */
static void merge_options(struct option out[N_GLOBAL + MAX_OPTIONS + 1], const struct command *c)
{
	int i;

	memcpy(out, global_options, sizeof(global_options));
	for (i = 0; i < MAX_OPTIONS && c->options[i].name; i++)
		out[N_GLOBAL + i] = (struct option){
			c->options[i].name,
			c->options[i].arg ? required_argument : no_argument, NULL, OPT_COMMAND + i,
		};
	memset(&out[N_GLOBAL + i], 0, sizeof(*out));
}

static int run_command(struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct option options[N_GLOBAL + MAX_OPTIONS + 1];
	struct option_values given[MAX_OPTIONS] = { 0 };
	int c, status;

	merge_options(options, command);
	optind = 0;	/* not 1: the order of options and operands is free from here on */
	while ((c = getopt_long(argc, argv, "f:n:i:jqvVh", options, NULL)) != -1) {
		if (c < OPT_COMMAND) {
			status = global_option(cli, c, command);
			if (status >= 0)
				return status;
			continue;
		}
		if (given[c - OPT_COMMAND].n == MAX_VALUES)
			return usage_error("--%s is given too often", command->options[c - OPT_COMMAND].name);
		given[c - OPT_COMMAND].v[given[c - OPT_COMMAND].n++] = optarg;
	}
	if (cli->json && !command->has_json)
		return usage_error("%s has no JSON form", command->name);
	return command->run(cli, argc - optind, argv + optind, given);
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct option options[N_GLOBAL + 1];
	struct cli cli = { 0 };
	char name[] = "kilowg";		/* for getopt's messages, wherever the program is */
	int c, status;

	if (argc > 0)
		argv[0] = name;
	standard_fill();
	/* Whatever this program creates is for root only, unless said otherwise. */
	umask(077);
	memcpy(options, global_options, sizeof(global_options));
	while ((c = getopt_long(argc, argv, "+f:n:i:jqvVh", options, NULL)) != -1) {
		status = global_option(&cli, c, NULL);
		if (status >= 0)
			goto out;
	}
	if (optind == argc) {
		print_help();
		status = EXIT_CONFIG;
		goto out;
	}
	command = find_command(argv[optind]);
	if (!command) {
		status = unknown_command(argv[optind]);
		goto out;
	}
	argv[optind] = name;
	status = run_command(&cli, command, argc - optind, argv + optind);
out:
	free(cli.paths);
	return status;
}
