/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Finds what stands in steps/vital.h: gateways, networks and neighbours of this host, name servers. */
#ifndef KWGI_HOST_VITALS_H
#define KWGI_HOST_VITALS_H

#include "steps/vital.h"
#include "sys/mnl.h"

/* What whoever runs this wants to keep. */
struct kwgi_reachable {
	const char *const *addresses;	/* NULL, or NULL-terminated */
	const char *client;		/* NULL: not known */
};

/*
 * v is all zero. Beside what this host has itself: endpoints of w, and what is kept, unless it is
 * reached through the mesh already. KWG_ERR_USAGE (one is no address), KWG_ERR_KERNEL,
 * KWG_ERR_NOMEM.
 */
int kwgi_vitals_observe(struct kwgi_vitals *v, struct kwgi_nl *nl, const struct kwgi_desired *w,
			const struct kwgi_host *h, const struct kwgi_reachable *kept,
			struct kwg_error *err);

#endif
