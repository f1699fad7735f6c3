/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* genkey, genpsk, pubkey: as wg(8). */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* The text may be a secret: stdio's copy must not outlive it. */
static int print_key(char key[KWG_KEY_TEXT])
{
	char line[KWG_KEY_TEXT + 1];
	ssize_t n;

	memcpy(line, key, KWG_KEY_TEXT - 1);
	line[KWG_KEY_TEXT - 1] = '\n';
	n = write(STDOUT_FILENO, line, KWG_KEY_TEXT);
	explicit_bzero(line, sizeof(line));
	explicit_bzero(key, KWG_KEY_TEXT);
	if (n == KWG_KEY_TEXT)
		return EXIT_DONE;
	perror("kilowg: writing to stdout");
	return EXIT_OTHER;
}

void warn_if_readable(const struct cli *cli)
{
	struct stat st;

	if (!cli->quiet && !fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode) && (st.st_mode & 0077))
		fputs("kilowg: warning: a key goes to a file that others can read\n", stderr);
}

static int generate(const struct cli *cli, int argc,
		    int (*make)(char out[KWG_KEY_TEXT], struct kwg_error *err))
{
	struct kwg_error err = { 0 };
	char key[KWG_KEY_TEXT];

	if (argc)
		return usage_error("this command takes no operand");
	warn_if_readable(cli);
	return make(key, &err) ? report(&err) : print_key(key);
}

static int run_genkey(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	(void)argv;
	(void)given;
	return generate(cli, argc, kwg_genkey);
}

static int run_genpsk(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	(void)argv;
	(void)given;
	return generate(cli, argc, kwg_genpsk);
}

void read_key(int fd, char key[KEY_LINE])
{
	size_t len = 0;
	ssize_t n;

	while (len < KEY_LINE - 1 && (n = read(fd, key + len, KEY_LINE - 1 - len)) > 0)
		len += (size_t)n;
	key[len] = '\0';
	key[strcspn(key, " \t\r\n")] = '\0';
}

static int run_pubkey(struct cli *cli, int argc, char **argv, const struct option_values *given)
{
	char line[KEY_LINE], key[KWG_KEY_TEXT];
	struct kwg_error err = { 0 };
	int ret;

	(void)cli;
	(void)argv;
	(void)given;
	if (argc)
		return usage_error("pubkey takes no operand; the private key comes on stdin");
	read_key(STDIN_FILENO, line);
	ret = kwg_pubkey(key, line, &err);
	explicit_bzero(line, sizeof(line));
	return ret ? report(&err) : print_key(key);
}

const struct command command_genkey = {
	.name = "genkey", .args = "", .takes = TAKES_QUIET, .summary = "print a new private key", .run = run_genkey,
};

const struct command command_genpsk = {
	.name = "genpsk", .args = "", .takes = TAKES_QUIET, .summary = "print a new preshared key", .run = run_genpsk,
};

const struct command command_pubkey = {
	.name = "pubkey", .args = "", .summary = "read a private key from stdin, print its public key",
	.run = run_pubkey,
};
