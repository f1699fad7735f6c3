/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Going to the background as wireguard-go does, and the environment that it reads. */
#ifndef DAEMONISE_H
#define DAEMONISE_H

#include <stdbool.h>

enum log_level { LEVEL_SILENT, LEVEL_ERROR, LEVEL_DEBUG };

struct daemonise {
	int parent;		/* a socket to the waiting parent; -1 in the foreground */
	bool speaks;		/* for us: we have no standard error any more */
};

/* WG_PROCESS_FOREGROUND=1 */
bool environment_foreground(void);

/* LOG_LEVEL: verbose and debug, error, silent; anything else, and nothing: error. */
enum log_level environment_log_level(void);

/* The number in a variable, decimal digits only; -1: not set; -2: set, but no number up to max. */
int environment_number(const char *name, int max);

/* A descriptor's number in WG_TUN_FD or WG_UAPI_FD; -1 and -2 as above. */
int environment_fd(const char *name);

/*
 * Forks, unless in the foreground. Returns 0 in the process that goes on, -1
 * with errno. In the background it has left its folder, standard input and output behind, and
 * standard error, too, unless that is kept for the log. The parent does not return: it
 * waits for daemonise_ready() (exit status 0) or daemonise_failed() (prints the line, exit
 * status 1), or for the end of the child (its exit status, or 1). To be called before
 * anything is opened and before threads exist.
 */
int daemonise_begin(struct daemonise *d, bool foreground, bool keep_stderr);

/*
 * The socket answers: lets the parent go, and waits until it says that it goes. False if
 * somebody has ended it, and so wants no daemon. Opens nothing: a sandbox may forbid it.
 */
bool daemonise_ready(struct daemonise *d);

/* Prints a line on stderr, through the parent as long as it waits; then nobody may see it. */
void daemonise_say(const struct daemonise *d, const char *line);

/* The last line; the parent ends with status 1. */
void daemonise_failed(struct daemonise *d, const char *line);

#endif
