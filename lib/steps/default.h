/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The way to everywhere, 0.0.0.0/0 and ::/0, that a peer or a location offers. In the main table it
 * would be in the way of WireGuard's own packets, so it is taken if the host is told to only
 * (default-route), in a table of its own behind policy rules.
 */
#ifndef KWGI_DEFAULT_H
#define KWGI_DEFAULT_H

#include "steps/connmark.h"
#include "steps/finding.h"
#include "steps/snapshot.h"

enum kwgi_default_state {
	KWGI_DEFAULT_NONE,	/* nobody offers it */
	KWGI_DEFAULT_TAKEN,
	KWGI_DEFAULT_OFF,	/* default-route = no */
	KWGI_DEFAULT_RIVAL,	/* another program has taken it */
	KWGI_DEFAULT_CHECKED,	/* return path checks would drop all answers, and cannot be told */
};

struct kwgi_default {
	uint8_t state[2];			/* enum kwgi_default_state: IPv4, IPv6 */
	const struct kwgi_host_rule *rival[2];	/* that leads to the other one */
	uint32_t mark;				/* 0: it is not taken */
	bool valid_mark;			/* needs net.ipv4.conf.all.src_valid_mark */
};

/* What of it this host takes. */
void kwgi_default_decide(struct kwgi_default *d, const struct kwg_plan *plan,
			 const struct kwgi_host *h);
bool kwgi_default_is_taken(const struct kwgi_default *d, uint8_t family);
/* What is left out, and what it costs. */
void kwgi_default_find(const struct kwgi_default *d, const struct kwg_plan *plan,
		       const struct kwgi_host *h, struct kwgi_findings *f);

#endif
