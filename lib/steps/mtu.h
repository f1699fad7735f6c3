/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * mtu = auto: what fits through the tunnel without fragments outside of it, from
 * the ways to the endpoints. Each way is as wide as its narrowest part; the
 * interface is as wide as the widest way, and routes to peers behind a narrower
 * one carry an MTU of their own. kilowg.ini(5) has the sums.
 *
 * For pods, which have one MTU for all that they talk to, w->path_mtu is the number.
 */
#ifndef KWGI_MTU_H
#define KWGI_MTU_H

#include "steps/desired.h"

enum {
	/* Message of transport data: header 16, tag 16 (WireGuard paper, 5.4.6); UDP 8. */
	KWGI_MTU_OVERHEAD_V4 = 20 + 8 + 32,
	KWGI_MTU_OVERHEAD_V6 = 40 + 8 + 32,
	KWGI_MTU_DEFAULT = 1420,	/* of a new interface: fits into 1500 over IPv6 */
	KWGI_MTU_MIN_V4 = 576,		/* RFC 791, 3.1: what every host must accept */
	KWGI_MTU_MIN_V6 = 1280,		/* RFC 8200, 5; Linux takes IPv6 off a link with less */
	KWGI_MTU_MAX = 65535 - KWGI_MTU_OVERHEAD_V6,
};

/*
 * Where a datagram goes whose address is not known: two addresses that are
 * anycast on the whole internet (RFC 7723, Port Control Protocol), so that the
 * answer is the default route, whatever rules and tables lead to it.
 */
extern const struct kwgi_addr kwgi_mtu_anywhere_v4, kwgi_mtu_anywhere_v6;

/*
 * The addresses whose paths h->paths has to have, in order; from a. w has its
 * peers. 0 or KWG_ERR_NOMEM.
 */
int kwgi_mtu_questions(struct kwgi_arena *a, const struct kwgi_desired *w,
		       const struct kwgi_host *h, struct kwgi_addr **v, uint32_t *n);

/*
 * Sets w->mtu, w->path_mtu, w->mtu_note, w->mtu_warning and the MTUs of routes, and adds
 * routes to addresses of the mesh that need one. With an MTU in the configuration
 * just that. plan: NULL, or what w was made of. 0 or KWG_ERR_NOMEM.
 */
int kwgi_mtu_decide(struct kwgi_desired *w, const struct kwg_config *cfg,
		    const struct kwg_plan *plan, const struct kwgi_host *h);

#endif
