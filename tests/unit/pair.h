/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Wired hosts, made anew for each test, of which the first two know each other and are up. */
#ifndef PAIR_H
#define PAIR_H

#include "dp/protocol.h"
#include "wire.h"

#define S KWGI_SECOND
#define MS KWGI_MS

static struct wire w;

/* What host 0 has of host 1, and the other way round. */
static inline struct kwgi_dp_peer *p01(void)
{
	return peer(&w, 0, 1);
}

static inline struct kwgi_dp_peer *p10(void)
{
	return peer(&w, 1, 0);
}

static void pair_begin(void)
{
	wire_pair(&w, HOSTS, 11);
}

static void pair_end(void)
{
	wire_free(&w);
}

static inline void pair_fixture(TCase *tc)
{
	tcase_add_checked_fixture(tc, pair_begin, pair_end);
}

#endif
