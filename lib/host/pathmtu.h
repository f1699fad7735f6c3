/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The ways of datagrams to endpoints, and how wide they are. */
#ifndef KWGI_PATHMTU_H
#define KWGI_PATHMTU_H

#include "steps/snapshot.h"
#include "sys/mnl.h"

/*
 * Asks for the route that WireGuard's datagrams from this port and with this
 * mark (of the socket; 0: none) take to each of n addresses, given in order,
 * into h->paths. KWG_ERR_KERNEL, KWG_ERR_NOMEM; an address without a way is no error.
 */
int kwgi_pathmtu_observe(struct kwgi_nl *nl, const struct kwgi_addr *to, uint32_t n,
			 uint16_t port, uint32_t fwmark, struct kwgi_host *h,
			 struct kwg_error *err);

#endif
