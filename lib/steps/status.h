/* SPDX-License-Identifier: ISC */
/* Health of the mesh on a host, from what was planned and what was seen. */
#ifndef KWGI_STATUS_H
#define KWGI_STATUS_H

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
	struct kwgi_findings findings;		/* see health.h */
};

bool kwgi_status_is_healthy(const struct kwgi_status *s);
void kwgi_status_text(const struct kwgi_status *s, bool colour, struct kwgi_buf *b);
void kwgi_status_json(const struct kwgi_status *s, struct kwgi_buf *b);

#endif
