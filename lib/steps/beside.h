/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * With default-route = yes, what the main table knows by its default route only goes through the
 * exit node. What must not, has a route in that table that leads back to the next rule, and so to
 * the host's own default route.
 */
#ifndef KWGI_BESIDE_H
#define KWGI_BESIDE_H

#include "steps/desired.h"
#include "steps/vital.h"

/* Adds them to w->closed, after kwgi_desired_build(). 0 or -1 (no memory). */
int kwgi_keep_beside(struct kwgi_desired *w, const struct kwg_plan *plan,
		     const struct kwgi_vitals *vitals);

#endif
