/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* node, peer: change the files of a mesh in place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clientconf.h"
#include "signals.h"

enum { DRY_RUN, IN, FROM, PRIVATE_KEY, FORMAT, AS_QR, AS_SVG, AS_PNG };

enum { SECTION_MAX = 64 * 1024, READ_CHUNK = 4096, OWN_SETTINGS = 2 };

/* One call of the program. */
struct change {
	struct cli *cli;
	const struct option_values *given;
	bool peer;
	const char *name;		/* NULL: that of the text */
	const char **settings;		/* with room for OWN_SETTINGS more */
	size_t n;
	char *text;			/* the section of --from, or NULL */
	size_t len;
	struct kwg_config *before, *after;
	struct kwg_edit *edit;
	char key[KWG_KEY_TEXT];		/* private, of a new peer; "": it is not ours */
	char public_setting[sizeof("public-key=") + KWG_KEY_TEXT], *address_setting;
};

static const char *what(const struct change *c)
{
	return c->peer ? "peer" : "node";
}

static const char *last(const struct option_values *v)
{
	return v->n ? v->v[v->n - 1] : NULL;
}

static int nomem(void)
{
	fputs("kilowg: out of memory\n", stderr);
	return EXIT_OTHER;
}

/* ---- the section of --from ------------------------------------------- */

static int read_section(struct change *c, const char *path)
{
	bool is_stdin = !strcmp(path, "-");
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = 1;

	c->text = malloc(SECTION_MAX);
	if (!c->text)
		return nomem();
	while (fd >= 0 && n > 0 && c->len < SECTION_MAX) {
		n = read(fd, c->text + c->len, SECTION_MAX - c->len);
		c->len += n > 0 ? (size_t)n : 0;
	}
	if (fd < 0 || n < 0) {
		fprintf(stderr, "kilowg: --from %s: %s\n", path, strerror(errno));
		return EXIT_OTHER;
	}
	if (!is_stdin)
		close(fd);
	if (c->len == SECTION_MAX)
		return usage_error("--from %s: one section is accepted, and this is longer", path);
	return EXIT_DONE;
}

/* ---- a new peer ------------------------------------------------------ */

static bool has_setting(const struct change *c, const char *key)
{
	size_t i, len = strlen(key);

	for (i = 0; i < c->n; i++)
		if (!strncmp(c->settings[i], key, len) &&
		    c->settings[i][len + strspn(c->settings[i] + len, " ")] == '=')
			return true;
	return false;
}

static int make_key(struct change *c)
{
	struct kwg_error err = { 0 };
	char public[KWG_KEY_TEXT];

	if (kwg_genkey(c->key, &err) || kwg_pubkey(public, c->key, &err))
		return report(&err);
	snprintf(c->public_setting, sizeof(c->public_setting), "public-key=%s", public);
	c->settings[c->n++] = c->public_setting;
	return EXIT_DONE;
}

static int choose_address(struct change *c)
{
	struct kwg_error err = { 0 };
	char *text;
	size_t len;

	if (kwg_config_free_addresses(c->before, &text, &len, &err)) {
		report(&err);
		return usage_error("allowed-ip=ADDRESS/32 says which address the peer has");
	}
	c->address_setting = malloc(len + sizeof("allowed-ip="));
	if (c->address_setting)
		sprintf(c->address_setting, "allowed-ip=%s", text);
	kwg_text_free(text);
	if (!c->address_setting)
		return nomem();
	c->settings[c->n++] = c->address_setting;
	return EXIT_DONE;
}

/* A section from a file says all by itself. */
static int complete_peer(struct change *c)
{
	struct client_form form = { &c->given[FORMAT], &c->given[AS_QR], &c->given[AS_SVG], &c->given[AS_PNG] };
	enum kwg_client_format format;
	int status = EXIT_DONE;

	if (!client_form_find(&form, &format))
		return EXIT_CONFIG;
	if (!c->text && !has_setting(c, "public-key"))
		status = make_key(c);
	else if (c->given[PRIVATE_KEY].n)
		return usage_error("--private-key is for a new key, and the peer has one; leave public-key out");
	else if (client_form_is_qr(&form))
		return usage_error("phones refuse a QR code without private key, and only the peer has it; leave public-key out for a new key");
	if (!status && !c->text && !has_setting(c, "allowed-ip"))
		status = choose_address(c);
	return status;
}

/* The node that the options name, or this host's; or any that takes part. The caller frees it. */
static char *find_viewpoint(const struct change *c)
{
	char host[256], *names, *name, *rest, *found = NULL;
	const char *own = which_node(c->cli, c->after, host);
	struct kwg_error err = { 0 };
	struct kwg_plan *plan;

	if (c->cli->node || kwg_config_has_node(c->after, own))
		return strdup(own);
	if (kwg_config_names(c->after, false, &names, NULL, &err))
		return NULL;
	for (name = strtok_r(names, "\n", &rest); name && !found; name = strtok_r(NULL, "\n", &rest)) {
		if (kwg_plan_new(&plan, c->after, name, &err))
			continue;
		kwg_plan_free(plan);
		found = strdup(name);
	}
	free(names);
	return found ? found : strdup(own);
}

static int make_client(const struct change *c, char **text)
{
	struct client_form form = { &c->given[FORMAT], &c->given[AS_QR], &c->given[AS_SVG], &c->given[AS_PNG] };
	enum kwg_client_format format;
	struct kwg_error err = { 0 };
	char *viewpoint;
	int ret;

	if (!client_form_find(&form, &format))
		return EXIT_CONFIG;
	viewpoint = find_viewpoint(c);
	if (!viewpoint)
		return nomem();
	ret = kwg_client_config(c->after, viewpoint, c->name, *c->key ? c->key : NULL, format, text, NULL, &err);
	free(viewpoint);
	return ret ? report(&err) : EXIT_DONE;
}

static int write_key(const struct change *c, const char *path)
{
	char line[KWG_KEY_TEXT + 1];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), len;
	bool failed;

	if (fd < 0) {
		fprintf(stderr, "kilowg: --private-key %s: %s\n", path, strerror(errno));
		return EXIT_OTHER;
	}
	len = snprintf(line, sizeof(line), "%s\n", c->key);
	failed = write(fd, line, (size_t)len) != len || fsync(fd);
	if (failed) {
		fprintf(stderr, "kilowg: --private-key %s: %s\n", path, strerror(errno));
		unlink(path);
	}
	close(fd);
	explicit_bzero(line, sizeof(line));
	return failed ? EXIT_OTHER : EXIT_DONE;
}

/* ---- the change ------------------------------------------------------ */

static bool has_errors(const struct kwg_config *cfg)
{
	size_t i;

	for (i = 0; i < kwg_config_diag_count(cfg); i++)
		if (kwg_config_diag(cfg, i)->severity == KWG_ERROR)
			return true;
	return false;
}

static bool has_remark(const struct kwg_config *cfg, const struct kwg_diag *d)
{
	size_t i;

	for (i = 0; i < kwg_config_diag_count(cfg); i++)
		if (!strcmp(kwg_config_diag(cfg, i)->text, d->text))
			return true;
	return false;
}

/* That a new node is left out, for example, is worth knowing now. */
static void print_new_warnings(const struct change *c)
{
	size_t i;

	for (i = 0; i < kwg_config_diag_count(c->after); i++)
		if (!has_remark(c->before, kwg_config_diag(c->after, i)))
			print_diag(kwg_config_diag(c->after, i));
}

/* What would be is read as any file is. */
static int check_result(struct change *c)
{
	struct kwg_error err = { 0 };

	if (kwg_edit_config(c->edit, &c->after, &err))
		return report(&err);
	if (has_errors(c->after)) {
		print_diags(c->after, false);
		return usage_error("%s would have errors, so it stays as it was", kwg_edit_file(c->edit));
	}
	if (!c->cli->quiet)
		print_new_warnings(c);
	return EXIT_DONE;
}

static int show_diff(const struct change *c, bool to_stderr)
{
	struct kwg_error err = { 0 };
	char *text;

	if (c->cli->quiet)
		return EXIT_DONE;
	if (kwg_edit_diff(c->edit, &text, NULL, &err))
		return report(&err);
	if (!to_stderr)
		return print_text(text);
	fputs(text, stderr);
	kwg_text_free(text);
	return EXIT_DONE;
}

static int save(const struct change *c)
{
	struct kwg_error err = { 0 };

	return kwg_edit_save(c->edit, &err) ? report(&err) : EXIT_DONE;
}

static int finish(struct change *c)
{
	int status = check_result(c);

	if (!status)
		status = show_diff(c, false);
	return status || c->given[DRY_RUN].n ? status : save(c);
}

/* What is printed is gone afterwards: it comes before the file knows the peer, and nothing is kept of half of it. */
static int finish_peer(struct change *c)
{
	struct client_form form = { &c->given[FORMAT], &c->given[AS_QR], &c->given[AS_SVG], &c->given[AS_PNG] };
	const char *path = last(&c->given[PRIVATE_KEY]);
	int status = check_result(c);
	char *text;

	if (status || c->given[DRY_RUN].n)
		return status ? status : show_diff(c, false);
	status = make_client(c, &text);
	if (status)
		return status;
	if (path)
		status = write_key(c, path);
	if (status) {
		kwg_text_free(text);
		return status;
	}
	show_diff(c, true);
	if (*c->key)
		warn_if_readable(c->cli);
	status = client_form_print(&form, text);
	if (!status)
		status = save(c);
	if (status && path)
		unlink(path);
	return status;
}

static int add(struct change *c)
{
	const char *from = last(&c->given[FROM]);
	struct kwg_error err = { 0 };
	int status = from ? read_section(c, from) : EXIT_DONE;

	if (!status && !c->name && (!from || c->peer))
		return usage_error("%s add wants a name: \"kilowg %s add NAME key=value...\"", what(c), what(c));
	if (!status && c->peer)
		status = complete_peer(c);
	if (status)
		return status;
	if (kwg_edit_add(&c->edit, c->before, last(&c->given[IN]), c->peer, c->name, c->text, c->len, c->settings,
			 c->n, &err)) {
		status = report(&err);
		/* Of several files. */
		if (err.status == KWG_ERR_USAGE && !c->given[IN].n && strstr(err.text, "which one"))
			fputs("kilowg: --in FILE names it\n", stderr);
		return status;
	}
	return c->peer ? finish_peer(c) : finish(c);
}

static int set(struct change *c)
{
	struct kwg_error err = { 0 };

	if (!c->n)
		return usage_error("%s set wants a setting: \"kilowg %s set NAME key=value...\"", what(c), what(c));
	if (kwg_edit_set(&c->edit, c->before, c->peer, c->name, c->settings, c->n, &err))
		return report(&err);
	return finish(c);
}

static int take_out(struct change *c)
{
	struct kwg_error err = { 0 };

	if (c->n)
		return usage_error("%s remove takes one operand, the name", what(c));
	if (kwg_edit_remove(&c->edit, c->before, c->peer, c->name, &err))
		return report(&err);
	return finish(c);
}

/* ---- operands -------------------------------------------------------- */

/* The name, unless the first operand is a setting already. */
static int take_operands(struct change *c, int argc, char **argv)
{
	int i = 1;

	c->settings = calloc((size_t)argc + OWN_SETTINGS, sizeof(*c->settings));
	if (!c->settings)
		return nomem();
	if (argc > 1 && !strchr(argv[1], '='))
		c->name = argv[i++];
	for (; i < argc; i++) {
		if (!strchr(argv[i], '='))
			return usage_error("\"%s\" is no setting; key=value is one", argv[i]);
		c->settings[c->n++] = argv[i];
	}
	return EXIT_DONE;
}

static int check_options(const struct change *c, const char *action)
{
	int i;

	if (!strcmp(action, "add"))
		return EXIT_DONE;
	for (i = IN; i < (c->peer ? AS_PNG + 1 : PRIVATE_KEY); i++)
		if (c->given[i].n)
			return usage_error("%s %s takes no option but --dry-run", what(c), action);
	return c->name ? EXIT_DONE : usage_error("%s %s wants a name", what(c), action);
}

static void forget(struct change *c)
{
	kwg_edit_free(c->edit);
	kwg_config_free(c->after);
	kwg_config_free(c->before);
	if (c->text) {
		explicit_bzero(c->text, c->len);
		free(c->text);
	}
	free(c->settings);
	free(c->address_setting);
	explicit_bzero(c->key, sizeof(c->key));
}

static int run(struct cli *cli, int argc, char **argv, const struct option_values *given, bool peer)
{
	static const struct { const char *name; int (*run)(struct change *c); } actions[] = {
		{ "add", add }, { "set", set }, { "remove", take_out },
	};
	struct change c = { .cli = cli, .given = given, .peer = peer };
	size_t i;
	int status;

	for (i = 0; argc && i < sizeof(actions) / sizeof(*actions); i++)
		if (!strcmp(argv[0], actions[i].name))
			break;
	if (!argc || i == sizeof(actions) / sizeof(*actions))
		return usage_error("%s takes add, set or remove and a name: \"kilowg %s add NAME key=value...\"", what(&c),
				   what(&c));
	/* What cannot be printed is not kept, see finish_peer(). */
	signals_ignore_pipe();
	status = take_operands(&c, argc, argv);
	if (!status)
		status = check_options(&c, argv[0]);
	if (!status) {
		c.before = read_config(cli, &status);
		/* Errors that are there may be what the change mends. */
		status = c.before ? actions[i].run(&c) : status;
	}
	forget(&c);
	return status;
}

static int run_node(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	return run(cli, argc, argv, given, false);
}

static int run_peer(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	return run(cli, argc, argv, given, true);
}

#define EDIT_OPTIONS \
	[DRY_RUN] = { "dry-run", NULL, "print the difference and write nothing" }, \
	[IN] = { "in", "FILE", "add it to this file, if several describe the mesh" }, \
	[FROM] = { "from", "FILE", "add the section in this file; - is standard input" }

const struct command command_node = {
	.name = "node", .args = "add|set|remove NAME [KEY=VALUE...]", .takes = TAKES_FILE | TAKES_QUIET,
	.summary = "add, change or remove a node in the files",
	.details = "The file is changed in place if the result is valid, and the difference is\n"
		   "printed. Keys are those of [node] in kilowg.ini(5); an empty value removes a\n"
		   "key. \"kilowg facts --ini\" prints a section for --from; NAME can be\n"
		   "omitted then.",
	.options = { EDIT_OPTIONS },
	.run = run_node,
};

const struct command command_peer = {
	.name = "peer", .args = "add|set|remove NAME [KEY=VALUE...]", .takes = TAKES_FILE | TAKES_NODE | TAKES_QUIET,
	.summary = "add, change or remove an outside peer in the files",
	.details = "The file is changed in place if the result is valid, and the difference is\n"
		   "printed. Keys are those of [peer] in kilowg.ini(5); an empty value removes a\n"
		   "key. Without public-key, add generates a key pair; without allowed-ip it assigns\n"
		   "the next free address. It prints the whole configuration of the peer with the new\n"
		   "private key, which is not stored.",
	.options = {
		EDIT_OPTIONS,
		[PRIVATE_KEY] = { "private-key", "FILE", "also write the new private key to this new file" },
		[FORMAT] = { "format", "FORMAT", "print it for wg-quick, wg, networkd, nm, yaml or json" },
		[AS_QR] = { "qr", NULL, "print it as a QR code on the terminal" },
		[AS_SVG] = { "qr-svg", NULL, "the same as an SVG image" },
		[AS_PNG] = { "qr-png", NULL, "the same as a PNG image" },
	},
	.run = run_peer,
};
