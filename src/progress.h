/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* One line on the terminal while something takes longer than a second; it goes away. */
#ifndef PROGRESS_H
#define PROGRESS_H

/* To be called once, if somebody looks: standard error is a terminal. */
void progress_begin(void);
/* For kwg_host_options.progress: what has begun, NULL: nothing takes its time. */
void progress_show(void *arg, const char *what, unsigned step, unsigned of);
/* Before anything else is printed there. */
void progress_hide(void);

#endif
