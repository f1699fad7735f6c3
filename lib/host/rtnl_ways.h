/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Asks the kernel which way packets take, and who is there. */
#ifndef KWGI_RTNL_WAYS_H
#define KWGI_RTNL_WAYS_H

#include "steps/leader.h"
#include "steps/ways.h"
#include "sys/mnl.h"

/*
 * Fills in the answer; with match also which route it comes from, which kernels tell from 4.13 on
 * (IPv6: 4.17). That there is no way is an answer. KWG_ERR_KERNEL.
 */
int kwgi_way_ask(struct kwgi_nl *nl, struct kwgi_way *way, bool match, struct kwg_error *err);

/* Asks for the ways of all wanted networks; *s is all zero before. KWG_ERR_KERNEL, KWG_ERR_NOMEM. */
int kwgi_ways_observe(struct kwgi_nl *nl, struct kwgi_ways *s, const struct kwgi_desired *w,
		      const struct kwgi_host *h, struct kwg_error *err);

/*
 * Is the leader there? Sends an echo request, and looks at the neighbour table. Takes a second if
 * that is not answered, and up to 9 until the kernel has given the neighbour up. KWG_ERR_KERNEL.
 */
int kwgi_leader_ask(struct kwgi_nl *nl, struct kwgi_leader *l, struct kwg_error *err);

#endif
