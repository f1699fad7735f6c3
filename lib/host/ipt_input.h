/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Would the chain INPUT of iptables-legacy drop a packet? */
#ifndef KWGI_IPT_INPUT_H
#define KWGI_IPT_INPUT_H

#include "steps/input.h"

/*
 * Adds the chains of iptables-legacy to those of each of in, after kwgi_nft_inputs(), which sees the
 * others. Runs nothing where the kernel has none, and passes over what cannot be looked at.
 * KWG_ERR_NOMEM.
 */
int kwgi_ipt_inputs(struct kwgi_inputs *in, struct kwg_error *err);

#endif
