/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Where the peers of a plan are whose endpoint is a name. */
#ifndef KWGI_ENDPOINTS_H
#define KWGI_ENDPOINTS_H

#include "host/stop.h"
#include "kilowg.h"
#include "steps/names.h"

struct kwgi_endpoints_ask {
	const struct kwg_plan *plan;
	const struct kwgi_host *host;
	int64_t now;			/* seconds since 1970 */
	int64_t up;			/* seconds since the start of the host */
	struct kwgi_turn *turns;	/* of each plan->peers[i]; are changed */
	bool dont_ask;			/* only say what is known */
	const struct kwgi_stop *stop;	/* of waiting for answers, or NULL */
	kwg_log_fn *log;		/* NULL: silent */
	void *log_arg;
};

/*
 * Fills out[i] for each plan->peers[i] with a name; port 0: unknown. What
 * works is left alone. The names of the others are looked up, all within the
 * configured time; one without an answer keeps the endpoint that WireGuard has,
 * and is a warning. Of a name with several addresses another may have its turn.
 * KWG_ERR_NOMEM.
 */
int kwgi_endpoints_find(struct kwgi_endpoint *out, const struct kwgi_endpoints_ask *ask,
			struct kwg_error *err);

#endif
