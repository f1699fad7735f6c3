/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What earlier looks at the peers of a mesh have seen, in a file of the run folder. */
#ifndef KWGI_PEERMEMO_H
#define KWGI_PEERMEMO_H

#include "steps/answer.h"
#include "steps/desired.h"

/* Into memos, which has an element for each of w->peers and is all zero. */
void kwgi_peermemo_recall(const char *dir, const char *mesh, const struct kwgi_desired *w,
			  struct kwgi_answer_memo *memos);
/* Who cannot write there looks as if for the first time next time. */
void kwgi_peermemo_save(const char *dir, const char *mesh, const struct kwgi_answer_memo *memos,
			uint32_t n);
void kwgi_peermemo_forget(const char *dir, const char *mesh);

#endif
