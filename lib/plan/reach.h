/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Endpoints that are accepted, and to which others can hardly send. */
#ifndef KWGI_REACH_H
#define KWGI_REACH_H

#include "plan/topology.h"

/* Warnings for cfg->diags, where somebody has to send there; t is complete. 0 or -1. */
int kwgi_reach(struct kwg_config *cfg, const struct kwgi_topology *t);

#endif
