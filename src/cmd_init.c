/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* init: the first files of a host, from options or from answers on a terminal. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

enum { NAME, LOCATION, ENDPOINT, INTERNAL_IP, PRIVATE_KEY, N_QUESTIONS = PRIVATE_KEY };

enum { ANSWER_MAX = 512 };

/* The key in kilowg.ini(5), and how it is asked for. */
static const struct {
	const char *key, *text;
} questions[N_QUESTIONS] = {
	[NAME] = { "name", "Name of this node" },
	[LOCATION] = { "location", "Location (those of one share a private network)" },
	[ENDPOINT] = { "endpoint", "HOST:PORT where others reach it, or -" },
	[INTERNAL_IP] = { "internal-ip", "Private address, such as 10.1.1.1/24, or -" },
};

struct answers {
	char v[N_QUESTIONS][ANSWER_MAX];
	char choices[ANSWER_MAX];	/* of several addresses */
};

/* ---- proposals ------------------------------------------------------- */

static void note(char out[ANSWER_MAX], const char *value, size_t len)
{
	snprintf(out, ANSWER_MAX, "%.*s", (int)len, value);
}

/* A line of the section that facts proposes. Of several addresses none is better than the others. */
static void take_line(struct answers *a, const char *line, size_t len)
{
	static const char choice[] = "#internal-ip = ";
	size_t used = strlen(a->choices);
	int i;

	if (!strncmp(line, choice, sizeof(choice) - 1)) {
		snprintf(a->choices + used, sizeof(a->choices) - used, "%s%.*s", used ? ", " : "",
			 (int)(len - (sizeof(choice) - 1)), line + sizeof(choice) - 1);
		return;
	}
	for (i = ENDPOINT; i < N_QUESTIONS; i++) {
		size_t key = strlen(questions[i].key);

		if (len > key + 3 && !strncmp(line, questions[i].key, key) && !strncmp(line + key, " = ", 3))
			note(a->v[i], line + key + 3, len - key - 3);
	}
}

/* What facts knows of a host that no file knows. Without privilege that may be nothing. */
static void propose(struct answers *a)
{
	static const char mesh[] = "[mesh]\nformat = 1\n";
	struct kwg_config *cfg = kwg_config_new();
	struct kwg_error err = { 0 };
	char *text, *line;

	if (gethostname(a->v[NAME], ANSWER_MAX))
		a->v[NAME][0] = '\0';
	/* A name is one word of the host's; others of its domain need no more. */
	a->v[NAME][strcspn(a->v[NAME], ".")] = '\0';
	strcpy(a->v[LOCATION], a->v[NAME]);
	strcpy(a->v[ENDPOINT], "-");
	strcpy(a->v[INTERNAL_IP], "-");
	if (cfg && !kwg_config_add_text(cfg, "init", mesh, sizeof(mesh) - 1, &err) && !kwg_config_finish(cfg, &err) &&
	    !kwg_facts_ini(cfg, a->v[NAME], &text, NULL, &err)) {
		for (line = text; *line; line += strcspn(line, "\n") + 1)
			take_line(a, line, strcspn(line, "\n"));
		kwg_text_free(text);
	}
	kwg_config_free(cfg);
}

/* ---- questions ------------------------------------------------------- */

/* As the files would be read with it; false after the message of that. */
static bool is_accepted(const char *key, const char *value)
{
	struct kwg_config *cfg = kwg_config_new();
	const struct kwg_diag *d;
	struct kwg_error err = { 0 };
	bool accepted = true;
	char text[ANSWER_MAX + 128];
	size_t i;
	int len;

	if (!strcmp(value, "-"))
		return strcmp(key, "name") != 0;
	len = snprintf(text, sizeof(text), "[mesh]\nformat = 1\n[node]\n%s%s = %s\n",
		       strcmp(key, "name") ? "name = x\n" : "", key, value);
	if (cfg && !kwg_config_add_text(cfg, "", text, (size_t)len, &err))
		(void)kwg_config_finish(cfg, &err);
	for (i = 0; cfg && (d = kwg_config_diag(cfg, i)); i++) {
		if (d->severity != KWG_ERROR)
			continue;
		fprintf(stderr, "  %s\n", d->text);
		accepted = false;
	}
	kwg_config_free(cfg);
	return accepted;
}

/* False at the end of the input. */
static bool ask(const struct answers *a, int i, char out[ANSWER_MAX])
{
	char line[ANSWER_MAX];

	if (i == INTERNAL_IP && *a->choices)
		fprintf(stderr, "  This host has %s.\n", a->choices);
	do {
		fprintf(stderr, "%s [%s]: ", questions[i].text, out);
		fflush(stderr);
		if (!fgets(line, sizeof(line), stdin))
			return false;
		line[strcspn(line, "\r\n")] = '\0';
		if (!*line)
			strcpy(line, out);
	} while (!is_accepted(questions[i].key, line));
	strcpy(out, line);
	return true;
}

/* What no option says is asked for, or is as proposed. An exit status. */
static int answer(struct answers *a, const struct option_values *given)
{
	bool asks = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	int i;

	for (i = 0; i < N_QUESTIONS; i++) {
		if (given[i].n) {
			if (strlen(given[i].v[given[i].n - 1]) >= ANSWER_MAX)
				return usage_error("--%s: this is too long", questions[i].key);
			strcpy(a->v[i], given[i].v[given[i].n - 1]);
			if (i == NAME)
				strcpy(a->v[LOCATION], a->v[NAME]);
		} else if (asks && !ask(a, i, a->v[i])) {
			fputc('\n', stderr);
			return usage_error("the answers end; no file was made");
		} else if (asks && i == NAME) {
			strcpy(a->v[LOCATION], a->v[NAME]);
		}
	}
	return EXIT_DONE;
}

/* ---- the command ----------------------------------------------------- */

/* No signal may leave half of it. */
static int make(const struct cli *cli, const struct answers *a, const struct option_values *key)
{
	struct kwg_init_options o = KWG_INIT_OPTIONS_INIT;
	struct kwg_error err = { 0 };
	sigset_t all, old;
	char *text;
	int ret;

	o.folder = cli->n_paths ? cli->paths[0] : NULL;
	o.private_key_file = key->n ? key->v[key->n - 1] : NULL;
	o.name = a->v[NAME];
	o.location = a->v[LOCATION];
	o.endpoint = a->v[ENDPOINT];
	o.internal_ip = a->v[INTERNAL_IP];
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	ret = kwg_init(&o, &text, NULL, &err);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ret ? report(&err) : print_text(text);
}

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct answers a = { .choices = "" };
	int status;

	(void)argv;
	if (argc)
		return usage_error("init takes no operand; --name says which node this is");
	if (cli->n_paths > 1 || (cli->n_paths && !strcmp(cli->paths[0], "-")))
		return usage_error("with init, -f names the one folder that the files are made in");
	propose(&a);
	if (cli->node) {
		note(a.v[NAME], cli->node, strlen(cli->node));
		strcpy(a.v[LOCATION], a.v[NAME]);
	}
	status = answer(&a, given);
	return status ? status : make(cli, &a, &given[PRIVATE_KEY]);
}

const struct command command_init = {
	.name = "init", .args = "", .takes = TAKES_FILE | TAKES_NODE,
	.summary = "create the first files of this host, and its key",
	.details = "Creates the private key, and local.ini and mesh.ini in /etc/kilowg or the folder\n"
		   "of -f; all or none. On a terminal it asks for values without an option; otherwise\n"
		   "it uses the detected ones. It prints the section of this node, for\n"
		   "\"kilowg node add --from FILE\" on another node.",
	.options = {
		[NAME] = { "name", "NAME", "name of this node (default: the host name without its domain)" },
		[LOCATION] = { "location", "NAME", "nodes with the same one share a private network (default: NAME)" },
		[ENDPOINT] = { "endpoint", "HOST:PORT", "where others reach this host; - if they cannot" },
		[INTERNAL_IP] = { "internal-ip", "CIDR", "its address in the private network of its location; - if none" },
		[PRIVATE_KEY] = { "private-key", "FILE", "the private key, created if it is missing" },
	},
	.run = run,
};
