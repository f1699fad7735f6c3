/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

enum { PATIENCE = 1 };		/* seconds without a line */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool runs, shown, waiting;
	struct timespec since;		/* what takes its time */
	char what[160];
} state = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void clear_line(void)
{
	if (state.shown)
		(void)!write(STDERR_FILENO, "\r\033[K", 4);
	state.shown = false;
}

static void print_line(time_t seconds)
{
	char line[224];
	int n = snprintf(line, sizeof(line), "\r\033[K%.70s ... %ld s", state.what, (long)seconds);

	(void)!write(STDERR_FILENO, line, (size_t)n);
	state.shown = true;
}

/* The library waits inside of its functions, so somebody else has to look at the clock. */
static void *look(void *arg)
{
	struct timespec next, now;

	(void)arg;
	pthread_mutex_lock(&state.mutex);
	for (;;) {
		if (!state.waiting) {
			pthread_cond_wait(&state.changed, &state.mutex);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - state.since.tv_sec > PATIENCE ||
		    (now.tv_sec - state.since.tv_sec == PATIENCE && now.tv_nsec >= state.since.tv_nsec))
			print_line(now.tv_sec - state.since.tv_sec);
		next = now;
		next.tv_nsec += 250000000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_sec++;
			next.tv_nsec -= 1000000000;
		}
		(void)pthread_cond_timedwait(&state.changed, &state.mutex, &next);
	}
	return NULL;
}

void progress_begin(void)
{
	pthread_condattr_t monotonic;
	sigset_t all, before;
	pthread_t thread;

	if (state.runs || !isatty(STDERR_FILENO))
		return;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&state.changed, &monotonic);
	/* Signals are for who works. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	state.runs = !pthread_create(&thread, NULL, look, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (state.runs)
		pthread_detach(thread);
}

void progress_show(void *arg, const char *what, unsigned step, unsigned of)
{
	(void)arg;
	(void)step;
	(void)of;
	if (!state.runs)
		return;
	pthread_mutex_lock(&state.mutex);
	if (!what)
		clear_line();
	/* The time is that of the whole, not of each step. */
	if (what && !state.waiting)
		clock_gettime(CLOCK_MONOTONIC, &state.since);
	state.waiting = what;
	snprintf(state.what, sizeof(state.what), "%s", what ? what : "");
	pthread_cond_signal(&state.changed);
	pthread_mutex_unlock(&state.mutex);
}

void progress_hide(void)
{
	if (!state.runs)
		return;
	pthread_mutex_lock(&state.mutex);
	clear_line();
	pthread_mutex_unlock(&state.mutex);
}
