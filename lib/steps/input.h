/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What on a host drops packets of WireGuard or of the tunnel that come for itself, and what helps. */
#ifndef KWGI_INPUT_H
#define KWGI_INPUT_H

#include "steps/desired.h"
#include "steps/finding.h"

enum { KWGI_INPUTS = 2, KWGI_INPUT_CHAINS = 8 };

/* A packet as others send it here first. */
struct kwgi_input_packet {
	uint8_t family;			/* enum kwgi_family, outside */
	uint8_t protocol;		/* of IP */
	uint16_t port;			/* of UDP; 0: none */
};

enum kwgi_input_verdict {
	KWGI_INPUT_PASSES,
	KWGI_INPUT_UNSURE,		/* dropped, unless a rule accepts it by what is not known here */
	KWGI_INPUT_DROPPED,
};

struct kwgi_input_chain {
	char chain[KWGI_NFT_NAME_MAX];	/* "FAMILY TABLE CHAIN" */
	bool iptables, legacy;		/* legacy: iptables-legacy, which no nf_tables knows */
	uint8_t verdict;		/* enum kwgi_input_verdict */
};

struct kwgi_input {
	struct kwgi_input_packet packet;
	struct kwgi_input_chain chains[KWGI_INPUT_CHAINS];	/* those that drop it */
	uint32_t n_chains;
};

struct kwgi_inputs {
	struct kwgi_input v[KWGI_INPUTS];
	uint32_t n;
	const char *own[2];		/* links over which no such packet comes: WireGuard, its tunnel */
};

/* What has to come in here: WireGuard on a leader, and encapsulated packets of the location. */
void kwgi_inputs_list(struct kwgi_inputs *in, const struct kwg_plan *plan,
		      const struct kwgi_desired *w);
void kwgi_inputs_judge(const struct kwgi_inputs *in, const struct kwg_plan *plan,
		       struct kwgi_findings *f);

#endif
