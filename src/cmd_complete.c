/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What may follow on a command line, from the program's own tables and the files that it names; for
 * contrib/completion. Called as "kilowg complete -- WORD...", the last of which is to be completed
 * and may be empty. Prints candidates, one a line, perhaps with a tab and an explanation, or
 * ":files" for names of files.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum wants { NOTHING, FILES, NODES, PEERS, NODES_AND_PEERS, INTERFACES };

/* Values by the names of options; others by what help calls their argument. */
static const struct {
	const char *option;
	enum wants wants;
} by_option[] = {
	{ "file", FILES }, { "node", NODES }, { "interface", INTERFACES }, { "probe", NODES_AND_PEERS },
};

/* A command line as far as it has come. */
struct line {
	const struct command *command;	/* NULL: it is not there yet */
	bool unknown;			/* what stands in its place is none */
	const char *operands[2];
	int n_operands;
	bool value;			/* the last word is one of an option, ... */
	enum wants wants;		/* ... and this is asked for */
	bool only_operands;		/* behind "--" */
	struct cli *cli;
};

/* ---- candidates ------------------------------------------------------ */

/* word: as far as it is there; head: what the shell takes for its begin, too. */
static void offer(const char *head, const char *word, const char *name, const char *help)
{
	if (strncmp(name, word, strlen(word)))
		return;
	/* Of an explanation of several lines the first. */
	printf("%s%s%s%.*s\n", head, name, *help ? "\t" : "", (int)strcspn(help, "\n"), help);
}

static void offer_names(const struct kwg_config *cfg, bool peers, const char *head, const char *word)
{
	struct kwg_error err = { 0 };
	char *text, *name, *rest;

	if (kwg_config_names(cfg, peers, &text, NULL, &err))
		return;
	for (name = strtok_r(text, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest))
		offer(head, word, name, "");
	kwg_text_free(text);
}

/* Errors in files are no reason to be silent: names are there all the same. */
static void offer_of_files(struct cli *cli, bool nodes, bool peers, const char *head, const char *word)
{
	int status;
	struct kwg_config *cfg = read_config(cli, &status);

	if (!cfg)
		return;
	if (nodes)
		offer_names(cfg, false, head, word);
	if (peers)
		offer_names(cfg, true, head, word);
	kwg_config_free(cfg);
}

static void offer_interfaces(const char *head, const char *word)
{
	struct if_nameindex *list = if_nameindex(), *i;

	for (i = list; i && i->if_index; i++)
		offer(head, word, i->if_name, "");
	if (list)
		if_freenameindex(list);
}

static void offer_values(const struct line *l, enum wants wants, const char *head, const char *word)
{
	switch (wants) {
	case NOTHING:
		break;
	case FILES:
		puts(":files");
		break;
	case NODES:
	case PEERS:
	case NODES_AND_PEERS:
		offer_of_files(l->cli, wants != PEERS, wants != NODES, head, word);
		break;
	case INTERFACES:
		offer_interfaces(head, word);
		break;
	}
}

static void offer_commands(const char *word)
{
	int i;

	for (i = 0; commands[i]; i++)
		offer("", word, commands[i]->name, commands[i]->summary);
}

static void offer_options(const struct command *c, const char *word)
{
	const struct command_option *o;
	char name[64];
	int i;

	for (i = 0; global_options[i].name; i++) {
		if (!takes_option(c, global_options[i].val))
			continue;
		snprintf(name, sizeof(name), "--%s", global_options[i].name);
		offer("", word, name, "");
	}
	for (o = c ? c->options : NULL; o && o->name; o++) {
		snprintf(name, sizeof(name), "--%s", o->name);
		offer("", word, name, o->help);
	}
}

/* "location=" and so on, of the section that the command is about. */
static void offer_keys(const char *section, const char *word)
{
	size_t len = strlen(section);
	struct kwg_error err = { 0 };
	char *text, *line, *rest, name[64];

	if (kwg_config_keys(&text, NULL, &err))
		return;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, section, len) || line[len] != '\t')
			continue;
		line += len + 1;
		snprintf(name, sizeof(name), "%.*s=", (int)strcspn(line, "\t"), line);
		/* That is what the operand before is, or a secret. */
		if (strcmp(name, "name=") && strcmp(name, "preshared-key="))
			offer("", word, name, "");
	}
	kwg_text_free(text);
}

/* node|peer add|set|remove NAME KEY=VALUE... */
static void offer_of_edit(const struct line *l, const char *word)
{
	bool adds = l->n_operands && !strcmp(l->operands[0], "add");

	if (!l->n_operands) {
		offer("", word, "add", "");
		offer("", word, "set", "");
		offer("", word, "remove", "");
	} else if (l->n_operands == 1 && !adds) {
		offer_values(l, l->command == &command_peer ? PEERS : NODES, "", word);
	} else if (l->n_operands > 1 && strcmp(l->operands[0], "remove")) {
		offer_keys(l->command->name, word);
	}
}

/* The few whose operands are words. */
static void offer_operands(const struct line *l, const char *word)
{
	if (!strcmp(l->command->name, "help") && !l->n_operands)
		offer_commands(word);
	if (l->command == &command_node || l->command == &command_peer)
		offer_of_edit(l, word);
	if (l->command == &command_explain && l->n_operands < 2) {
		offer_values(l, NODES, "", word);
		offer_values(l, PEERS, "", word);
	}
	if (l->command != &command_showconf)
		return;
	if (!l->n_operands) {
		offer("", word, "node", "");
		offer("", word, "peer", "");
	} else if (l->n_operands == 1) {
		offer_values(l, strcmp(l->operands[0], "peer") ? NODES : PEERS, "", word);
	}
}

/* ---- options --------------------------------------------------------- */

/* What an option without its dashes, of len characters, takes; false: no value. */
static bool takes_value(const struct command *c, const char *name, size_t len, enum wants *wants)
{
	const struct command_option *o;
	bool takes = false;
	size_t i;

	*wants = NOTHING;
	for (i = 0; global_options[i].name; i++)
		if (strlen(global_options[i].name) == len && !memcmp(global_options[i].name, name, len))
			takes = global_options[i].has_arg == required_argument;
	for (o = c ? c->options : NULL; o && o->name; o++) {
		if (strlen(o->name) != len || memcmp(o->name, name, len))
			continue;
		takes = o->arg != NULL;
		if (takes && !strncmp(o->arg, "FILE", 4))
			*wants = FILES;
	}
	for (i = 0; i < sizeof(by_option) / sizeof(*by_option); i++)
		if (strlen(by_option[i].option) == len && !memcmp(by_option[i].option, name, len))
			*wants = by_option[i].wants;
	return takes;
}

/* The long name of a short option, or "". */
static const char *long_name(char c)
{
	int i;

	for (i = 0; global_options[i].name; i++)
		if (global_options[i].val == c)
			return global_options[i].name;
	return "";
}

/* As the shell would: it has not expanded the words yet. */
static const char *expand_home(const char *path)
{
	const char *home = getenv("HOME");
	char *out;

	if (strncmp(path, "~/", 2) || !home)
		return path;
	out = malloc(strlen(home) + strlen(path));
	if (!out)
		return path;
	sprintf(out, "%s%s", home, path + 1);
	return out;	/* for as long as this program runs, which is not long */
}

static void note_value(struct cli *cli, const char *name, size_t len, const char *value)
{
	const char **paths;

	if (len != 4 || memcmp(name, "file", 4))
		return;
	paths = realloc(cli->paths, ((size_t)cli->n_paths + 1) * sizeof(*paths));
	if (!paths)
		return;
	paths[cli->n_paths++] = expand_home(value);
	cli->paths = paths;
}

/*
 * The option in a word: its name and what is behind it. NULL: none with a value. Of short ones that
 * stand together the first that takes one.
 */
static const char *option_in(const struct command *c, const char *word, size_t *len, const char **value,
			     enum wants *wants)
{
	const char *name, *p;

	if (!strncmp(word, "--", 2)) {
		name = word + 2;
		*len = strcspn(name, "=");
		*value = name[*len] ? name + *len + 1 : NULL;
		return takes_value(c, name, *len, wants) ? name : NULL;
	}
	for (p = word + 1; *p; p++) {
		name = long_name(*p);
		*len = strlen(name);
		*value = p[1] ? p + 1 : NULL;
		if (takes_value(c, name, *len, wants))
			return name;
	}
	return NULL;
}

/* ---- the line -------------------------------------------------------- */

static const struct command *command_named(const char *name)
{
	int i;

	for (i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void take_operand(struct line *l, const char *word)
{
	if (!l->command && !l->unknown) {
		l->command = command_named(word);
		l->unknown = !l->command;
	} else if (l->n_operands < 2) {
		l->operands[l->n_operands++] = word;
	}
}

/* Bash makes three words of --file=NAME. */
static int skip_equals(int i, int n, char **words)
{
	return i < n && !strcmp(words[i], "=") ? i + 1 : i;
}

/* All words but the last, and what they make of that. */
static void read_line(struct line *l, int n, char **words)
{
	const char *name, *value;
	enum wants wants;
	size_t len;
	int i = 0;

	while (i < n) {
		const char *word = words[i++];

		if (l->only_operands || *word != '-' || !word[1]) {
			take_operand(l, word);
			continue;
		}
		if (!strcmp(word, "--")) {
			l->only_operands = true;
			continue;
		}
		name = option_in(l->command, word, &len, &value, &wants);
		if (!name)
			continue;
		if (!value) {
			i = skip_equals(i, n, words);
			l->value = i >= n;
			l->wants = wants;
			value = l->value ? NULL : words[i++];
		}
		if (value)
			note_value(l->cli, name, len, value);
	}
}

/* --node=NAME in one word, as other shells have it. */
static bool complete_joined(const struct line *l, const char *word)
{
	const char *value;
	enum wants wants;
	char head[64];
	size_t len;

	if (strncmp(word, "--", 2) || !strchr(word, '=') ||
	    !option_in(l->command, word, &len, &value, &wants))
		return false;
	if (snprintf(head, sizeof(head), "%.*s", (int)(value - word), word) < (int)sizeof(head))
		offer_values(l, wants, head, value);
	return true;
}

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	struct line l = { .cli = cli };
	const char *word;

	(void)given;
	if (!argc)
		return usage_error("complete wants a word");
	read_line(&l, argc - 1, argv);
	word = argv[argc - 1];
	if (l.value && !strcmp(word, "="))
		word = "";
	if (l.unknown)
		return EXIT_DONE;
	if (l.value)
		offer_values(&l, l.wants, "", word);
	else if (!l.only_operands && complete_joined(&l, word))
		return EXIT_DONE;
	else if (!l.only_operands && *word == '-')
		offer_options(l.command, word);
	else if (!l.command)
		offer_commands(word);
	else
		offer_operands(&l, word);
	return EXIT_DONE;
}

const struct command command_complete = {
	.name = "complete", .args = "WORD...",
	.summary = "print what may follow on a command line; for completion by shells",
	.run = run,
};
