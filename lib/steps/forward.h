/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What on a host drops forwarded packets of the mesh, and what helps against it. */
#ifndef KWGI_FORWARD_H
#define KWGI_FORWARD_H

#include "config/config.h"
#include "config/json.h"
#include "steps/desired.h"

/* Is the chain still in the way with the firewall that is wanted? */
bool kwgi_drop_matters(const struct kwgi_drop *d, const struct kwgi_desired *w,
		       const struct kwgi_host *h);

/* One line for people: what the chain does. */
void kwgi_drop_describe(struct kwgi_buf *b, const struct kwgi_drop *d);
/* And what to do about it. */
void kwgi_drop_remedy(struct kwgi_buf *b, const struct kwgi_drop *d,
		      const struct kwgi_local *local);
/* An object of a list, with both. */
void kwgi_drop_json(struct kwgi_json *j, const struct kwgi_drop *d,
		    const struct kwgi_local *local);

#endif
