/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Echo requests of ICMP and ICMPv6, which hosts answer. */
#ifndef KWGI_ECHO_H
#define KWGI_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct kwgi_echo {
	int fds[2];		/* IPv4, IPv6; -1: not allowed, or there is no such family */
	int error;		/* why there is none */
	uint16_t id;
};

/* ifname: leave by this link whatever the routes say; NULL: as routes say. Cannot fail: see fds. */
void kwgi_echo_open(struct kwgi_echo *e, const char *ifname);
void kwgi_echo_close(struct kwgi_echo *e);
/* Sends one; false, with errno, if there is no socket or no way. */
bool kwgi_echo_send(struct kwgi_echo *e, const struct kwgi_addr *to);
/* Waits up to so many ms for the next answer; false if there was none. */
bool kwgi_echo_receive(struct kwgi_echo *e, struct kwgi_addr *from, int wait_ms);

#endif
