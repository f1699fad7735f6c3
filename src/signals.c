/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "signals.h"

static const struct {
	int number;
	const char *name;
} ending[] = {
	{ SIGHUP, "SIGHUP" }, { SIGINT, "SIGINT" }, { SIGQUIT, "SIGQUIT" }, { SIGTERM, "SIGTERM" },
};

enum { N_ENDING = sizeof(ending) / sizeof(*ending) };

static sigset_t held;

void signals_ignore_pipe(void)
{
	signal(SIGPIPE, SIG_IGN);
}

void signals_hold(void)
{
	struct sigaction now;
	size_t i;

	sigemptyset(&held);
	for (i = 0; i < N_ENDING; i++)
		if (!sigaction(ending[i].number, NULL, &now) && now.sa_handler != SIG_IGN)
			sigaddset(&held, ending[i].number);
	sigprocmask(SIG_BLOCK, &held, NULL);
}

bool signals_waiting(void *arg)
{
	sigset_t waiting;
	size_t i;

	(void)arg;
	sigemptyset(&waiting);
	(void)sigpending(&waiting);
	for (i = 0; i < N_ENDING; i++)
		if (sigismember(&waiting, ending[i].number) == 1)
			return true;
	return false;
}

int signals_release(void)
{
	const struct timespec none = { 0 };
	int number = sigtimedwait(&held, NULL, &none);

	sigprocmask(SIG_UNBLOCK, &held, NULL);
	return number > 0 ? number : 0;
}

const char *signal_name(int number)
{
	size_t i;

	for (i = 0; i < N_ENDING; i++)
		if (ending[i].number == number)
			return ending[i].name;
	return "a signal";
}

void signals_end(int number)
{
	(void)fflush(NULL);
	signal(number, SIG_DFL);
	raise(number);
	/* The first process of a namespace is not ended by that. */
	exit(128 + number);
}
