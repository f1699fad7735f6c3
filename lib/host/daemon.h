/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Starting a userspace WireGuard, only if the caller names it.
 */
#ifndef KWGI_DAEMON_H
#define KWGI_DAEMON_H

#include <stdint.h>

#include "host/process.h"
#include "host/stop.h"
#include "kilowg.h"
#include "steps/snapshot.h"

struct kwgi_launch {
	const char *const *command;	/* NULL-terminated; the interface's name is appended */
	const char *const *launcher;	/* words before it, or NULL; done without if it fails */
	kwg_log_fn *log;		/* is told of that; NULL: nobody is */
	void *log_arg;
	uint32_t timeout;		/* seconds until it has to answer */
	struct kwgi_stop stop;		/* the caller may want to wait no longer */
};

/*
 * Runs the command, which returns when its daemon answers on the interface's
 * socket. Waits for both. KWG_ERR_KERNEL with what it wrote to standard error,
 * KWG_ERR_TIMEOUT, KWG_ERR_STOPPED. A daemon of this name that is about to end is waited for.
 */
int kwgi_daemon_start(const struct kwgi_launch *launch, const char *ifname, struct kwg_error *err);

/* Waits, some seconds at most, until nothing answers on the socket any more. */
void kwgi_daemon_wait_end(const char *ifname);

/*
 * A daemon ends with its link, but one that hangs does not. So look who it is
 * (to be closed) before the link is deleted, and see to its end afterwards. It
 * goes by the name of its socket, which may be another than that of the link.
 */
void kwgi_daemon_find(const struct kwgi_launch *launch, const char *link, const char *socket,
		      struct kwgi_process *owner);
void kwgi_daemon_end(const char *socket, const struct kwgi_process *owner);

#endif
