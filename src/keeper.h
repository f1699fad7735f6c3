/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Who goes back if there is no confirmation in time: a timer of systemd, or a process. */
#ifndef KEEPER_H
#define KEEPER_H

#include <stdbool.h>

#include "kilowg.h"

/* Does systemd run here, and can it be asked? */
bool has_systemd(void);
/* The path of its systemd-run; if it is not there, starting it fails, of which people are told. */
const char *find_systemd_run(void);

/* What kwg_host_options.keep_arg points to. */
struct keeper {
	unsigned seconds;
	const char *userspace;		/* KILOWG_USERSPACE for it, or NULL */
};

/* For kwg_host_options.keep. */
int keeper_start(void *arg, const char *mesh, const char *id, char *keeper, size_t size,
		 struct kwg_error *err);
/* It is not needed any more. One that cannot be ended finds nothing to do. */
void keeper_stop(const char *keeper);
/*
 * In the process that waits: until the time of this wait is over. False: there is nothing to go
 * back from any more.
 */
bool keeper_wait(const char *mesh, const char *id);

/* Memory may run out: others go first. */
void keeper_protect(void);

#endif
