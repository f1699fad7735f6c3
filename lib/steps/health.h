/* SPDX-License-Identifier: ISC */
/* What is wrong with the mesh on a host, judged from what was planned and what was seen. */
#ifndef KWGI_HEALTH_H
#define KWGI_HEALTH_H

#include "steps/finding.h"
#include "steps/status.h"

/* Of s->wanted->peers[i]; *sure as kwgi_answer_judge() has it. */
enum kwgi_answer_state kwgi_health_answer(const struct kwgi_status *s, uint32_t i, bool *sure);

/* Peers that do not answer, and clocks that went backwards. */
void kwgi_health_peers(const struct kwgi_status *s, struct kwgi_findings *f);

#endif
