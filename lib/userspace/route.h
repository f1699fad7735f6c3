/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What the host's routing table says about the ways to endpoints, and what in it has changed. The
 * kernel's WireGuard asks it at each send; here a notice of the kernel says for which peers it is
 * worth asking again.
 */
#ifndef KWGI_ROUTE_H
#define KWGI_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "dp/peer.h"
#include "kilowg.h"
#include "sys/mnl.h"
#include "userspace/udp.h"

struct kwgi_route {
	int fd;			/* to be polled for reading */
	struct kwgi_nl nl;	/* for questions */
};

enum { KWGI_CHANGES = 32 };	/* more of them are taken for a change of everything */

enum kwgi_change_kind {
	KWGI_CHANGE_ROUTE,	/* of the ways to prefix */
	KWGI_CHANGE_ADDRESS,	/* prefix is no address of ours any more */
	KWGI_CHANGE_LINK,	/* nothing leaves through ifindex any more */
};

struct kwgi_change {
	enum kwgi_change_kind kind;
	struct kwgi_prefix prefix;
	uint32_t ifindex;
};

/* A struct of zeros: nothing has changed. */
struct kwgi_changes {
	bool all;
	unsigned n;
	struct kwgi_change v[KWGI_CHANGES];
};

/* KWG_ERR_KERNEL, KWG_ERR_NOMEM. */
int kwgi_route_open(struct kwgi_route *r, struct kwg_error *err);
void kwgi_route_close(struct kwgi_route *r);

/*
 * Takes notices, but not without end, and adds what they say to c. Routes into our own tunnel do not
 * count: own is its interface index, 0: none here. True if c is not empty then.
 */
bool kwgi_route_notices(struct kwgi_route *r, uint32_t own, struct kwgi_changes *c);
/* The same of a buffer of netlink messages, whatever is in it. */
void kwgi_changes_read(struct kwgi_changes *c, const void *buf, size_t len, uint32_t own);

/* Does any of it concern this path, so that its source may not do any more? */
bool kwgi_changes_concern(const struct kwgi_changes *c, const struct kwgi_path *p);

/*
 * Which interface a datagram to this endpoint, from this source (only its
 * address counts; zeros: any), with this mark and from this UDP port, would leave through. 0 or a
 * negative errno: ENETUNREACH and others if there is no way, EINVAL if the source is not ours.
 */
int kwgi_route_oif(struct kwgi_route *r, const struct kwgi_sockaddr *to,
		   const struct kwgi_source *from, uint32_t fwmark, uint16_t port, uint32_t *oif);

#endif
