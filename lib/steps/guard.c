/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "base/error.h"
#include "plan/topology.h"
#include "steps/guard.h"

enum {
	/* One node may always go, also of two. */
	SHRINK_MIN = 2,
};

static bool shrinks_too_much(uint32_t was, uint32_t is, uint32_t percent)
{
	uint32_t fewer = was > is ? was - is : 0;

	return fewer >= SHRINK_MIN && (uint64_t)fewer * 100 > (uint64_t)was * percent;
}

int kwgi_guard_judge(const struct kwg_config *cfg, uint32_t applied, struct kwg_error *err)
{
	uint32_t n = cfg->topology->n_nodes;

	if (cfg->empty)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0,
				 "%.300s: the file is empty, so something may be missing; nothing is changed (remove the file, or use --allow-shrink)",
				 cfg->empty);
	if (cfg->cut_off)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0,
				 "%.300s: the last line is incomplete, so the file may be cut off; nothing is changed (end it with a line feed or with [end], or use --allow-shrink)",
				 cfg->cut_off);
	if (shrinks_too_much(applied, n, cfg->local.max_shrink))
		return kwgi_fail(err, KWG_ERR_CONFIG, 0,
				 "the files have %u node%s that take%s part, and %u are applied: max-shrink = %u does not allow to remove so many at once; nothing is changed (--allow-shrink permits it)",
				 n, n == 1 ? "" : "s", n == 1 ? "s" : "", applied,
				 cfg->local.max_shrink);
	return 0;
}
