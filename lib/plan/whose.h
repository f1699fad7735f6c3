/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Who asks for a network, and where: for messages about what a host cannot carry out. */
#ifndef KWGI_WHOSE_H
#define KWGI_WHOSE_H

#include "plan/plan.h"

struct kwgi_whose {
	const char *what;	/* "pod-cidr", "internal-ip", "WireGuard address", ... */
	const char *kind;	/* "node", "peer" */
	const char *name;
	struct kwgi_place at;
};

/* Of several, the one whose route a plan keeps: the last. False: nobody asks for just that. */
bool kwgi_whose_find(struct kwgi_whose *out, const struct kwg_plan *plan,
		     const struct kwgi_prefix *net);
/* "the pod-cidr of node c (mesh.ini:31)". */
void kwgi_whose_put(struct kwgi_buf *b, const struct kwgi_whose *w, const struct kwg_plan *plan);

#endif
