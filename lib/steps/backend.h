/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Which WireGuard carries the packets of a mesh on this host, and why. */
#ifndef KWGI_BACKEND_H
#define KWGI_BACKEND_H

#include "config/config.h"
#include "steps/snapshot.h"

struct kwgi_backend_choice {
	bool userspace;		/* a daemon behind a socket, else the kernel */
	bool external;		/* somebody else makes the interface */
	bool replace;		/* the interface that is there has to make room */
	bool aside;		/* but it works, and is needed until the new one does */
	bool could_switch;	/* another one is wanted, but only when told */
	char reason[160];	/* for people */
};

/*
 * link: the interface of that name, NULL if there is none. kernel_has: the
 * kernel has WireGuard. answers: a daemon does on the interface's socket.
 * switch_backend: the user says that an interface may be replaced by one of the
 * wanted backend; without it one that works stays.
 */
void kwgi_backend_choose(struct kwgi_backend_choice *c, const struct kwg_config *cfg,
			 const struct kwgi_host *h, bool kernel_has, bool answers,
			 bool switch_backend);

#endif
