/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* A trace in words, and whether all that belong to a mesh reach each other. */
#ifndef KWGI_EXPLAIN_H
#define KWGI_EXPLAIN_H

#include "config/json.h"
#include "plan/trace.h"

/* A question and its answer. */
struct kwgi_explained {
	struct kwgi_end from, to;
	struct kwgi_trace there, back;
	bool has_back;			/* the packet has arrived */
	bool reached;			/* and so has the answer */
};

/*
 * What a user calls an end: the name of a node or peer, "pod:NODE", or an address. KWG_ERR_USAGE if
 * there is no such thing.
 */
int kwgi_explain_parse(struct kwgi_tracer *t, const char *text, struct kwgi_end *out, struct kwg_error *err);
/* Traces there and back. KWG_ERR_USAGE if both have no addresses of one family; KWG_ERR_NOMEM. */
int kwgi_explain(struct kwgi_tracer *t, const struct kwgi_end *from, const struct kwgi_end *to,
		 struct kwgi_explained *out, struct kwg_error *err);

/* "node a", "pod 10.42.3.2 of node c", ... */
void kwgi_explain_end(struct kwgi_buf *b, const struct kwgi_end *e);
/* Why it has not arrived; one line without its end. */
void kwgi_explain_stop(struct kwgi_buf *b, const struct kwgi_trace *trace);
void kwgi_explain_text(struct kwgi_tracer *t, const struct kwgi_explained *e, struct kwgi_buf *b);
void kwgi_explain_json(struct kwgi_tracer *t, const struct kwgi_explained *e, struct kwgi_buf *b);

#endif
