/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Starting other programs: posix_spawn with an absolute path, no shell. The
 * one place of this library that starts processes.
 */
#ifndef KWGI_SPAWN_H
#define KWGI_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "host/stop.h"
#include "kilowg.h"

struct kwgi_spawn {
	const char *const *argv;	/* argv[0] is the path */
	const char *const *env;	/* NULL: that of this process */
	int in, out, err;	/* -1: /dev/null */
};

/*
 * In a session of its own, so that what a terminal sends is not for it; no
 * signal is blocked or ignored there, and no other file is open that this
 * process has open. Returns 0 or an errno value.
 */
int kwgi_spawn(pid_t *pid, const struct kwgi_spawn *s);

/*
 * Until the process has ended or the time (of kwgi_monotonic_ms) is over, or the
 * caller wants no more; false then. Kernels before Linux 5.3 have no way to do
 * that: waits for ever there. stop may be NULL.
 */
bool kwgi_spawn_wait(pid_t pid, int64_t deadline, const struct kwgi_stop *stop);

/* Ends it, and what it has started, unless that has left its session. */
void kwgi_spawn_kill(pid_t pid);

/* The exit status; 0 also if the caller's program does not let anybody wait for children. */
int kwgi_spawn_reap(pid_t pid);

/* Makes the start of what a program complained of one line without blanks at its end. */
void kwgi_spawn_tidy(char *complaint);

enum { KWGI_COMPLAINT_MAX = 200, KWGI_PROGRAM_PATH_MAX = 64 };

/* A program that is run to its end. */
struct kwgi_program {
	const char *const *argv;
	const void *input;		/* what it reads */
	size_t input_size;
	struct kwgi_buf *out;		/* what it writes; NULL: nobody cares */
	size_t out_max;			/* more than so many bytes is an error */
	uint32_t timeout;		/* ms that it may take */
};

/* Where a name is looked for, for people. */
extern const char kwgi_program_folders[];

/* Looks there, not in $PATH. False if it is in none of them. */
bool kwgi_program_find(char path[KWGI_PROGRAM_PATH_MAX], const char *name);

/*
 * Runs it with an environment that holds nothing but PATH and LC_ALL.
 * KWG_ERR_KERNEL with what it wrote to standard error if its exit status is not
 * 0, KWG_ERR_TIMEOUT, KWG_ERR_NOMEM.
 */
int kwgi_program_run(const struct kwgi_program *p, struct kwg_error *err);

#endif
