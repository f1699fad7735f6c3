/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Signals that want the program to end, while it is at work on this host: they
 * wait until all is done or undone. Before, they end it at once.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>

/* Nobody reading what we print is no reason to stop. */
void signals_ignore_pipe(void);

/* From here on they wait. Those that were ignored, by nohup(1), stay so. */
void signals_hold(void);

/* Does one wait? For kwg_host_options.stop. */
bool signals_waiting(void *arg);

/* The one that waits, taken; 0: none. From here on others end the program at once. */
int signals_release(void);

/* "SIGTERM". */
const char *signal_name(int number);

/* Ends the program by this signal, as who has sent it expects. */
_Noreturn void signals_end(int number);

#endif
