/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Would the chain INPUT of iptables drop a packet? For rules that stand in no nf_tables. */
#ifndef KWGI_IPTABLES_INPUT_H
#define KWGI_IPTABLES_INPUT_H

#include "base/arena.h"
#include "steps/input.h"

/*
 * text: what iptables-save prints; only its table filter counts. own: links over which no such
 * packet comes. As lib/host/nft_input.c does it, what is not known of a packet (who sends it, over
 * which link) is taken not to match, and makes the verdict less sure. Memory is of a.
 * 0 or -1 (no memory).
 */
int kwgi_ipt_input(enum kwgi_input_verdict *out, struct kwgi_arena *a, const char *text, size_t len,
		   const struct kwgi_input_packet *p, const char *const own[2]);

#endif
