/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A command with all that it has started, for so many seconds. A limit that only the shell of
 * a script keeps is none: its jq goes on, and so does the pipe that somebody waits for.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api.h"

/* For what is told to end, before it is ended. */
enum { GRACE_MS = 2000 };

void end_with_parent(int signal)
{
	pid_t parent = getppid();

	prctl(PR_SET_PDEATHSIG, signal);
	if (getppid() != parent)
		raise(signal);	/* it has ended already */
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void run_command(char *const *command, const sigset_t *mask)
{
	/* A group of its own, so that all of it can be told to end. What leaves it, as a daemon, stays. */
	setpgid(0, 0);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(command[0], command);
	fprintf(stderr, "kilowg-api: %s cannot be run: %s\n", command[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Until the child has ended or DEADLINE. Signals are passed on. Returns whether it has ended. */
static bool wait_until(int fd, pid_t child, int64_t deadline, int *status, bool *told)
{
	struct signalfd_siginfo info;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline - now_ms();

		if (waitpid(child, status, WNOHANG) == child)
			return true;
		if (left <= 0)
			return false;
		if (poll(&p, 1, left > 60000 ? 60000 : (int)left) <= 0 ||
		    read(fd, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGCHLD)
			continue;
		kill(-child, (int)info.ssi_signo);
		kill(child, (int)info.ssi_signo);	/* which may not have its group yet */
		if (!*told && deadline > now_ms() + GRACE_MS)
			deadline = now_ms() + GRACE_MS;
		*told = true;
	}
}

int limit(unsigned seconds, char *const *command)
{
	bool told = false, in_time;
	sigset_t mask, old;
	int fd, status = 0;
	pid_t child;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, &old);
	end_with_parent(SIGTERM);
	fd = signalfd(-1, &mask, SFD_CLOEXEC);
	child = fd < 0 ? -1 : fork();
	if (child < 0) {
		fprintf(stderr, "kilowg-api: %s cannot be run: %s\n", command[0], strerror(errno));
		return 126;
	}
	if (!child)
		run_command(command, &old);
	setpgid(child, child);
	in_time = wait_until(fd, child, now_ms() + (int64_t)seconds * 1000, &status, &told);
	if (in_time)
		return status_of(status);
	if (!told) {
		kill(-child, SIGTERM);
		in_time = wait_until(fd, child, now_ms() + GRACE_MS, &status, &told);
	}
	kill(-child, SIGKILL);
	if (!in_time)
		waitpid(child, &status, 0);
	return told ? status_of(status) : EXIT_LIMIT;
}
