/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A thread that asks the data plane over its configuration socket, now and then, for something that
 * needs all its locks and no time. Without an answer for long, it says so.
 *
 * It counts seconds in which it ran itself, so that a process that is stopped, frozen or suspended,
 * or a clock that is set, gives no alarm.
 */
#ifndef KWGI_WATCHDOG_H
#define KWGI_WATCHDOG_H

#include <pthread.h>
#include <stdbool.h>

#include "kilowg.h"
#include "userspace/uapi_server.h"

struct kwgi_watchdog {
	unsigned seconds;	/* that an answer may take */
	void (*hung)(void *arg);	/* called by the thread, once */
	void *arg;
	int fd, stop;		/* to the server; eventfd */
	bool started;
	pthread_t thread;
};

#define KWGI_WATCHDOG_NONE ((struct kwgi_watchdog){ .fd = -1, .stop = -1 })

/* Connects it to the server; w->seconds, hung and arg are set. KWG_ERR_KERNEL. */
int kwgi_watchdog_open(struct kwgi_watchdog *w, struct kwgi_uapi_server *s, struct kwg_error *err);
/* In the sandbox, if there is one. KWG_ERR_KERNEL. */
int kwgi_watchdog_start(struct kwgi_watchdog *w, struct kwg_error *err);
/* Ends the thread, too. All of KWGI_WATCHDOG_NONE is fine. */
void kwgi_watchdog_close(struct kwgi_watchdog *w);

#endif
