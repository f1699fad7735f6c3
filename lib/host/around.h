/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Asks /proc and folders for what stands in steps/around.h. */
#ifndef KWGI_HOST_AROUND_H
#define KWGI_HOST_AROUND_H

#include "steps/around.h"
#include "steps/ways.h"

/*
 * What cannot be read counts as in order. ways: where IPv6 default routes come from. daemon: the
 * process that is our WireGuard, 0: there is none, or it is not known.
 */
void kwgi_around_observe(struct kwgi_around *a, const struct kwg_plan *plan,
			 const struct kwgi_desired *w, const struct kwgi_host *h,
			 const struct kwgi_ways *ways, long daemon);
/* Who has the port, if somebody has. */
void kwgi_around_port(struct kwgi_around *a, uint16_t port);

#endif
