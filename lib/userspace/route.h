/* SPDX-License-Identifier: ISC */
/*
 * Does the way to an endpoint still leave through the interface of its sticky
 * source? Notices of the kernel say only that something changed; then ask.
 */
#ifndef KWGI_ROUTE_H
#define KWGI_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "kilowg.h"
#include "sys/mnl.h"
#include "userspace/udp.h"

struct kwgi_route {
	int fd;			/* to be polled for reading */
	struct kwgi_nl nl;	/* for questions */
};

/* KWG_ERR_KERNEL, KWG_ERR_NOMEM. */
int kwgi_route_open(struct kwgi_route *r, struct kwg_error *err);
void kwgi_route_close(struct kwgi_route *r);

/* Takes all notices. True if a route, rule or address has changed since the last call. */
bool kwgi_route_changed(struct kwgi_route *r);

/*
 * Which interface a datagram to this endpoint, from this source (only its
 * address counts; zeros: any) and with this mark, would leave through. 0 or a negative
 * errno: ENETUNREACH and others if there is no way, EINVAL if the source is not ours.
 */
int kwgi_route_oif(struct kwgi_route *r, const struct kwgi_sockaddr *to,
		   const struct kwgi_source *from, uint32_t fwmark, uint32_t *oif);

#endif
