/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What the commands of the program share. */
#ifndef CLI_H
#define CLI_H

#include <getopt.h>
#include <stdbool.h>

#include "client.h"
#include "kilowg.h"

/* Exit statuses, see kilowg(8). */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_CONFIG = 1,	/* usage or configuration */
	EXIT_REFUSED = 2,	/* kernel or network */
	EXIT_DIFFERENT = 3,	/* a difference, or unhealthy */
	EXIT_LOCKED = 4,
	EXIT_OTHER = 5,
};

/* The global options, and what is made of them. */
struct cli {
	const char **paths;	/* -f */
	int n_paths;
	const char *node, *interface;
	bool json, quiet, verbose;
	const char *userspace[2], *launcher[8];	/* for kwg_host_options.userspace_... */
	char client[CLIENT_TEXT];		/* for kwg_host_options.client */
	char from[64], user[64];		/* for kwg_host_options.from and user */
};

/* An option of one command; the value goes where the command looks for it. */
struct command_option {
	const char *name;	/* without the dashes */
	const char *arg;	/* what help calls the argument; NULL: none */
	const char *help;
};

enum { MAX_OPTIONS = 12, MAX_VALUES = 64 };

/* How often an option was given, and its arguments. */
struct option_values {
	int n;
	const char *v[MAX_VALUES + 1];	/* NULL behind the last */
};

/* What apply and the others that look at this host have in common. */
#define OPTION_KEEP { "keep", "ADDRESS", "no route of the mesh may take packets for it away" }

/* Options of all commands but --json, --help and --version, which every one takes. */
enum {
	TAKES_FILE = 1 << 0,
	TAKES_NODE = 1 << 1,
	TAKES_INTERFACE = 1 << 2,
	TAKES_QUIET = 1 << 3,
	TAKES_VERBOSE = 1 << 4,
	/* Commands that are about a node of the files. */
	TAKES_PLAN = TAKES_FILE | TAKES_NODE | TAKES_INTERFACE | TAKES_VERBOSE,
	TAKES_ALL = TAKES_PLAN | TAKES_QUIET,
};

struct command {
	const char *name;
	const char *args;	/* operands, as help shows them */
	const char *summary;	/* one line */
	struct command_option options[MAX_OPTIONS + 1];
	const char *details;	/* more help, or NULL */
	bool has_json;		/* knows --json */
	unsigned takes;		/* which of the other options of all commands have an effect */
	/* given: what was given for each of options. Returns an exit status. */
	int (*run)(struct cli *cli, int argc, char **argv, const struct option_values *given);
};

/* The tables of main.c, for completion. */
extern const struct command *const commands[];	/* NULL behind the last */
extern const struct option global_options[];	/* all zero behind the last */
/* Has the option of all commands with this letter an effect on it? NULL: before any command. */
bool takes_option(const struct command *c, int letter);

/* ---- help for commands ----------------------------------------------- */

/* Prints to stderr as "kilowg: text" and returns EXIT_CONFIG. */
__attribute__((format(printf, 1, 2)))
int usage_error(const char *fmt, ...);

/* Prints err to stderr and returns the exit status that goes with it. */
int report(const struct kwg_error *err);

/* Writes a text to stdout, wipes and frees it. */
int print_text(char *text);

enum { KEY_LINE = 256 };
/* The first word that comes from fd. The caller wipes it. */
void read_key(int fd, char key[KEY_LINE]);
/* What goes to stdout is a secret. */
void warn_if_readable(const struct cli *cli);

/*
 * Reads and checks the configuration that the options name. Errors are
 * printed; warnings only with -v. NULL after an error, with *status set.
 */
struct kwg_config *load_config(const struct cli *cli, int *status);
/* The same, but also returns a configuration that has errors, and prints nothing. */
struct kwg_config *read_config(const struct cli *cli, int *status);
void print_diags(const struct kwg_config *cfg, bool warnings);
void print_diag(const struct kwg_diag *d);

/*
 * The node that is meant: --node, or that of [local], or the host name in
 * buf. Never NULL.
 */
const char *which_node(const struct cli *cli, const struct kwg_config *cfg, char buf[256]);

/* Configuration and plan of the node that is meant; false after an error, with *status set. */
bool load_plan(const struct cli *cli, struct kwg_config **cfg, struct kwg_plan **plan, int *status);

/*
 * The options that all commands about this host share: log to stderr (notes only
 * with -v), the program of a userspace WireGuard, and what must stay reachable. cli and keep (NULL:
 * none; of --keep) have to live as long.
 */
void host_options(struct kwg_host_options *opt, struct cli *cli, const struct option_values *keep);

/* The same for those that apply, and so are in the history. */
void apply_options(struct kwg_host_options *opt, struct cli *cli, const struct option_values *keep);

/* In no table: it is for the scripts of contrib/completion. */
extern const struct command command_complete;
extern const struct command command_confirm, command_history, command_rollback;
extern const struct command command_check, command_plan, command_diff, command_apply,
	command_down, command_explain, command_watch, command_status, command_metrics, command_showconf, command_graph, command_genkey,
	command_genpsk, command_pubkey, command_detect, command_facts, command_init, command_node, command_peer;

#endif
