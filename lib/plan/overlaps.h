/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Networks and addresses that two have, or that lie in each other: see verdict.h. */
#ifndef KWGI_OVERLAPS_H
#define KWGI_OVERLAPS_H

#include "plan/topology.h"

/* Compares all that is not left out with all, for cfg->diags; t is complete. 0 or -1. */
int kwgi_overlaps(struct kwg_config *cfg, const struct kwgi_topology *t);

#endif
