/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What is wrong with the mesh on a host, judged from what was planned and what was seen. */
#ifndef KWGI_HEALTH_H
#define KWGI_HEALTH_H

#include "steps/answer.h"
#include "steps/backend.h"
#include "steps/desired.h"
#include "steps/finding.h"
#include "steps/leader.h"

struct kwgi_status {
	const struct kwg_plan *plan;
	const struct kwgi_desired *wanted;
	const struct kwgi_host *host;
	const struct kwgi_backend_choice *backend;	/* NULL: not known */
	uint32_t drift;		/* steps that apply would take, and what is left out */
	int64_t now, boot;	/* seconds since 1970, and since the start of the host */
	const struct kwgi_answer_memo *memos;	/* of wanted->peers; NULL: this is the first look */
	struct kwgi_leader leader;		/* of a follower */
	struct kwgi_findings findings;		/* kwgi_health_peers(), and what others add */
};

/* Of s->wanted->peers[i]; *sure as kwgi_answer_judge() has it. */
enum kwgi_answer_state kwgi_health_answer(const struct kwgi_status *s, uint32_t i, bool *sure);

/* Peers that do not answer, and clocks that went backwards. */
void kwgi_health_peers(const struct kwgi_status *s, struct kwgi_findings *f);

#endif
