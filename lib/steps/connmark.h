/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Marks of packets and connections where a host takes the way to everywhere: see default.h. */
#ifndef KWGI_CONNMARK_H
#define KWGI_CONNMARK_H

#include <stdint.h>

/* Of packets that go out as if there were no such route, if the host has not been given another. */
enum { KWGI_DEFAULT_MARK = 0x106b };

/*
 * Of connections from the tunnel to this host, which no packet gets: so that one without any is
 * known to be older than the marks.
 */
static inline uint32_t kwgi_default_tunnel_mark(uint32_t mark)
{
	return mark ^ 1 ? mark ^ 1 : 2;
}

#endif
