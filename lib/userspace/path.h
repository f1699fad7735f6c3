/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Between the paths of lib/dp and the addresses of sockets. */
#ifndef KWGI_PATH_H
#define KWGI_PATH_H

#include "dp/peer.h"
#include "userspace/udp.h"

/* Where it leads; zeros for a path to nowhere. */
void kwgi_path_sockaddr(struct kwgi_sockaddr *out, const struct kwgi_path *p);
/* Its sticky source; zeros if it has none, or none to use now. */
void kwgi_path_source(struct kwgi_source *out, const struct kwgi_path *p);
/* The path back to where a datagram came from. */
void kwgi_path_from(struct kwgi_path *out, const struct kwgi_sockaddr *from,
		    const struct kwgi_source *to);

#endif
