/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Giving up what a running data plane does not need. */
#ifndef KWGI_SANDBOX_H
#define KWGI_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "kilowg.h"

/* No core dumps, no ptrace by the same user. Before the first secret. Best effort. */
void kwgi_sandbox_no_dumps(void);

/*
 * Lets the process lock as much memory as it may be allowed to: without limit if it is
 * privileged still, else up to the hard limit. Best effort.
 */
void kwgi_sandbox_allow_locking(void);

enum {
	KWGI_SANDBOX_NO_SECCOMP = 1,	/* leave system calls and files alone: debugging, tests */
};

/*
 * For the calling thread and those it starts, so before any other is started: no new
 * privileges, all capabilities gone but CAP_NET_ADMIN (fwmark, buffers, rtnetlink) and
 * CAP_NET_BIND_SERVICE (ports below 1024), no files where the kernel has Landlock, then a filter for
 * system calls where built in. After all is open that needs more: the TUN device with its queues,
 * kwgi_link_open(), kwgi_route_open(), kwgi_uapi_server_open(); files, netlink sockets and
 * programs cannot be opened afterwards, while UDP sockets, epoll and timer descriptors and
 * threads can; what else can still be done is a table in kilowg-userspace(8). folder: a
 * descriptor of the only folder in which names can be removed, or -1. *filtered (may be NULL): is
 * there a filter now? KWG_ERR_KERNEL.
 */
int kwgi_sandbox_enter(unsigned flags, int folder, bool *filtered, struct kwg_error *err);

/* Is a filter for system calls built in? */
bool kwgi_sandbox_has_seccomp(void);

#endif
