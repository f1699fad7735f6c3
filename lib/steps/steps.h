/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* All steps from a host to what is desired on it. */
#ifndef KWGI_STEPS_H
#define KWGI_STEPS_H

#include "steps/desired.h"
#include "steps/step.h"

/*
 * The steps from h to w; both have to live as long as s. KWG_ERR_KERNEL if
 * something that is not ours stands in the way, KWG_ERR_NOMEM.
 */
int kwgi_steps_diff(struct kwgi_steps *s, const struct kwgi_desired *w, const struct kwgi_host *h,
		    struct kwg_error *err);
void kwgi_steps_clear(struct kwgi_steps *s);

/* step_text.c: one line. */
void kwgi_step_format(struct kwgi_buf *b, const struct kwgi_step *s, const struct kwgi_host *h,
		      bool undo);

#endif
