/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* A status as metrics, in the text format of Prometheus or in that of OpenMetrics. */
#ifndef KWGI_METRICS_H
#define KWGI_METRICS_H

#include "plan/entry.h"
#include "steps/health.h"
#include "steps/step.h"

struct kwgi_metrics {
	const struct kwgi_status *status;
	const struct kwgi_steps *steps;		/* that apply would take */
	uint32_t left_out, refused;		/* findings; CNI configurations that cannot be written */
	const char *version, *digest;		/* of the program; of the plan */
	const struct kwgi_entry *last;		/* the newest in the history; NULL: none, or it cannot be read */
	bool confirmation_known;		/* the following could be read */
	bool waits, held;			/* for a confirmation; files are held back */
	int64_t until;				/* seconds since 1970, if it waits */
	bool openmetrics;
};

/* Families are sorted by name; each has its HELP and TYPE, also if it has no sample. */
void kwgi_metrics_text(const struct kwgi_metrics *m, struct kwgi_buf *b);

#endif
