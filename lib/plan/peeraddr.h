/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* An address for a new outside peer. */
#ifndef KWGI_PEERADDR_H
#define KWGI_PEERADDR_H

#include "config/config.h"

enum { KWGI_PEERADDR_MAX = 2 };	/* one of each family */

/*
 * Free addresses: behind those of the last peer in the files that has such, one of each family that it
 * has; else the first ones behind the mesh's subnet. Nothing of the configuration has them, and they
 * are in no network that it names. How many, perhaps none; or -1 if there is no memory.
 */
int kwgi_peeraddr_find(struct kwgi_addr out[KWGI_PEERADDR_MAX], const struct kwg_config *cfg);

#endif
