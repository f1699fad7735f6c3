/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The process behind a userspace WireGuard: whom to name, and whom to end, if it hangs. */
#ifndef KWGI_PROCESS_H
#define KWGI_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct kwgi_process {
	pid_t pid;		/* 0: not known */
	int pidfd;		/* -1: the kernel has none */
	bool sure;		/* it has the device, so it may be ended */
	char name[16];
};

/*
 * Who has the TUN device ifname of this network namespace? fd: a connection to
 * its socket, or -1. program: what it is called if it is ours, or NULL; that
 * counts where nobody lets us see its files. To be closed.
 */
void kwgi_process_find(struct kwgi_process *o, int fd, const char *ifname, const char *program);
void kwgi_process_close(struct kwgi_process *o);

/* "NAME (process PID)", or "the userspace WireGuard" if nobody knows. Returns out. */
const char *kwgi_process_describe(const struct kwgi_process *o, char *out, size_t size);

/* Ends it, by SIGKILL if it does not listen; some seconds at most. True if it is gone. */
bool kwgi_process_end(const struct kwgi_process *o);

#endif
