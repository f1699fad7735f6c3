/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemonise.h"
#include "standard.h"

/* ---- environment ----------------------------------------------------- */

bool environment_foreground(void)
{
	const char *s = getenv("WG_PROCESS_FOREGROUND");

	return s && !strcmp(s, "1");
}

enum log_level environment_log_level(void)
{
	const char *s = getenv("LOG_LEVEL");

	if (s && (!strcmp(s, "verbose") || !strcmp(s, "debug")))
		return LEVEL_DEBUG;
	return s && !strcmp(s, "silent") ? LEVEL_SILENT : LEVEL_ERROR;
}

int environment_number(const char *name, int max)
{
	const char *s = getenv(name);
	unsigned long n;

	if (!s || !*s)
		return -1;
	/* strtoul() also takes signs and blanks. */
	if (s[strspn(s, "0123456789")] || (s[0] == '0' && s[1]))
		return -2;
	n = strtoul(s, NULL, 10);
	return n > (unsigned long)max ? -2 : (int)n;
}

int environment_fd(const char *name)
{
	return environment_number(name, INT_MAX);
}

/* ---- the parent ------------------------------------------------------ */

static ssize_t read_again(int fd, char *p, size_t len)
{
	ssize_t n;

	do
		n = read(fd, p, len);
	while (n < 0 && errno == EINTR);
	return n;
}

static int status_of(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILURE;
	if (WIFEXITED(status) && WEXITSTATUS(status))
		return WEXITSTATUS(status);
	return EXIT_FAILURE;
}

/*
 * The child writes what it has to say, and a NUL when it is ready. It gets a NUL in return: without
 * that it could not know whether anybody has still read its own.
 */
_Noreturn static void wait_for_child(int fd, pid_t child)
{
	char text[1024], *end;
	bool said = false;
	ssize_t n;

	while ((n = read_again(fd, text, sizeof(text))) > 0) {
		end = memchr(text, '\0', (size_t)n);
		if (end != text)
			(void)!write(STDERR_FILENO, text, end ? (size_t)(end - text) : (size_t)n);
		if (end)
			_exit(write(fd, "", 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
		said = true;
	}
	_exit(said ? EXIT_FAILURE : status_of(child));
}

/* ---- the child ------------------------------------------------------- */

/* Who started us may wait for the end of what we print, or want to unmount a folder. */
static void leave(bool keep_stderr)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)!chdir("/");
	if (fd < 0)
		return;
	(void)fflush(NULL);
	(void)dup2(fd, STDIN_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
	if (!keep_stderr)
		(void)dup2(fd, STDERR_FILENO);
	close(fd);
}

int daemonise_begin(struct daemonise *d, bool foreground, bool keep_stderr)
{
	int fd[2], e;
	pid_t child;

	*d = (struct daemonise){ .parent = -1 };
	standard_fill();
	if (foreground)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return -1;
	(void)fflush(NULL);
	child = fork();
	if (child < 0) {
		e = errno;
		close(fd[0]);
		close(fd[1]);
		errno = e;
		return -1;
	}
	if (child) {
		close(fd[1]);
		wait_for_child(fd[0], child);
	}
	close(fd[0]);
	d->parent = fd[1];
	d->speaks = !keep_stderr;
	/* A session of its own: what the terminal sends is not for us. */
	(void)setsid();
	leave(keep_stderr);
	return 0;
}

/* False if nobody waits any more. */
static bool tell(const struct daemonise *d, const char *p, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(d->parent, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void let_go(struct daemonise *d)
{
	close(d->parent);
	d->parent = -1;
}

bool daemonise_ready(struct daemonise *d)
{
	bool heard;
	char c;

	if (d->parent < 0)
		return true;
	heard = tell(d, "", 1) && read_again(d->parent, &c, 1) == 1;
	let_go(d);
	return heard;
}

static void tell_line(const struct daemonise *d, const char *line)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "%s\n", line);

	if (n >= (int)sizeof(text)) {
		n = sizeof(text) - 1;
		text[n - 1] = '\n';
	}
	if (n > 0)
		(void)tell(d, text, (size_t)n);
}

void daemonise_say(const struct daemonise *d, const char *line)
{
	if (d->parent >= 0 && d->speaks)
		tell_line(d, line);
	else
		fprintf(stderr, "%s\n", line);
}

void daemonise_failed(struct daemonise *d, const char *line)
{
	if (d->parent < 0) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	tell_line(d, line);
	let_go(d);
}
