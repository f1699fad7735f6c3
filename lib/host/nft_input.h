/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Would chains at the input hook of nf_tables drop a packet? Their rules are gone through. */
#ifndef KWGI_NFT_INPUT_H
#define KWGI_NFT_INPUT_H

#include "steps/input.h"

/*
 * Fills the chains of each of in. A kernel without nf_tables, or that does not let this process ask,
 * has none; nor has one whose rules change all the time. KWG_ERR_NOMEM.
 */
int kwgi_nft_inputs(struct kwgi_inputs *in, struct kwg_error *err);

#endif
