/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Whether all that should reach each other do, by a trace for each pair. */
#ifndef KWGI_PAIRS_H
#define KWGI_PAIRS_H

#include "plan/explain.h"

enum { KWGI_PAIRS_SHOWN = 100 };

struct kwgi_pairs {
	uint64_t traced, failed;
	uint32_t ends;
	struct kwgi_explained shown[KWGI_PAIRS_SHOWN];	/* the first ones that do not */
	uint32_t n_shown;
};

/*
 * Nodes and pods of all nodes among each other; they and the outside peers; they to the hosts behind
 * nodes. Not peers among each other, who need an endpoint for that. Both families. Each packet and
 * its answer have to arrive. KWG_ERR_NOMEM.
 */
int kwgi_pairs_check(struct kwgi_tracer *t, struct kwgi_pairs *out, struct kwg_error *err);
void kwgi_pairs_text(const struct kwgi_pairs *p, struct kwgi_buf *b);
void kwgi_pairs_json(const struct kwgi_pairs *p, struct kwgi_buf *b);

#endif
