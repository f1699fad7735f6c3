/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade: what keeps a configuration from being applied although it has no errors. */
#include <string.h>

#include "base/error.h"
#include "facade.h"
#include "host/downmark.h"
#include "host/journal.h"
#include "kilowg_steps.h"
#include "plan/topology.h"
#include "steps/guard.h"

int kwg_config_guard(const struct kwg_config *cfg, struct kwg_error *err)
{
	struct kwgi_host h = { 0 };
	int ret;

	if (!cfg->topology || cfg->diags.errors)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "the configuration has errors");
	/* It is no file that may be cut off, and was applied as it is. */
	if (cfg->restored)
		return 0;
	ret = kwgi_journal_read(&h, KWG_RUNDIR, &cfg->mesh, err);
	/* What was taken down is applied no more, also where its journal has to stay. */
	if (kwgi_downmark_is_set(KWG_RUNDIR, cfg->mesh.name))
		h.journal.nodes = 0;
	if (!ret)
		ret = kwgi_guard_judge(cfg, h.journal.nodes, err);
	kwgi_host_free(&h);
	return ret;
}

bool kwg_config_has_node(const struct kwg_config *cfg, const char *name)
{
	uint32_t i;

	for (i = 0; i < cfg->n_nodes; i++)
		if (!strcmp(cfg->nodes[i].name, name))
			return true;
	return false;
}

int kwgi_steps_check_down(const struct kwg_steps *s, struct kwg_error *err)
{
	const char *mesh = s->cfg->mesh.name;

	if (!s->opt.unless_down || !kwgi_downmark_is_set(KWG_RUNDIR, mesh))
		return 0;
	return kwgi_fail(err, KWG_ERR_DOWN, 0,
			 "the mesh \"%s\" was taken down, and was not requested since; \"kilowg apply\" brings it back",
			 mesh);
}
