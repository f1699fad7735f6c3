/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The way that packets to an address take, as the kernel says when it is asked. */
#ifndef KWGI_WAY_H
#define KWGI_WAY_H

#include "steps/snapshot.h"

struct kwgi_way {
	/* The question; iif 0: what this host sends itself, else what it forwards, which has a from. */
	struct kwgi_addr to, from;
	uint32_t iif;
	/* The answer: an errno, or 0 and a route, whose destination is that address. */
	int error;
	bool local;			/* it is of this host */
	struct kwgi_host_route route;
	/* The route that was matched, if that was asked for; dst.addr of no family: not known. */
	struct kwgi_host_route match;
};

#endif
