/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "host/ipt.h"
#include "host/ipt_input.h"
#include "host/spawn.h"
#include "steps/iptables_input.h"

enum {
	TIMEOUT = 30000,		/* ms */
	OUTPUT_MAX = 64 * 1024 * 1024,	/* of iptables-save: some hundred thousand rules */
};

static int judge_input(struct kwgi_inputs *in, struct kwgi_input *input, struct kwgi_arena *a,
		       const struct kwgi_buf *text)
{
	bool v6 = input->packet.family == KWGI_AF_V6;
	enum kwgi_input_verdict verdict;
	struct kwgi_input_chain *c;

	if (kwgi_ipt_input(&verdict, a, text->p, text->len, &input->packet, in->own))
		return -1;
	if (verdict == KWGI_INPUT_PASSES || input->n_chains == KWGI_INPUT_CHAINS)
		return 0;
	c = &input->chains[input->n_chains++];
	*c = (struct kwgi_input_chain){ .iptables = true, .legacy = true, .verdict = (uint8_t)verdict };
	strcpy(c->chain, v6 ? "ip6 filter INPUT" : "ip filter INPUT");
	return 0;
}

/* Of the older iptables, by whatever name. False if it cannot be run. */
static bool save_filter(struct kwgi_buf *out, bool v6)
{
	struct kwgi_ipt_rules r = { .family = v6 ? KWGI_AF_V6 : KWGI_AF_V4, .variant = KWGI_IPT_LEGACY };
	char name[40], path[KWGI_PROGRAM_PATH_MAX];
	const char *const argv[] = { path, "-t", "filter", NULL };
	struct kwgi_program p = { .argv = argv, .out = out, .out_max = OUTPUT_MAX, .timeout = TIMEOUT };

	snprintf(name, sizeof(name), "%s-save", kwgi_ipt_program(&r));
	if (!kwgi_program_find(path, name)) {
		r.variant = KWGI_IPT_DEFAULT;
		snprintf(name, sizeof(name), "%s-save", kwgi_ipt_program(&r));
		if (!kwgi_program_find(path, name))
			return false;
	}
	return !kwgi_program_run(&p, NULL) && out->p && !strstr(out->p, "(nf_tables)");
}

static int find_inputs(struct kwgi_inputs *in, bool v6)
{
	struct kwgi_arena a = { 0 };
	struct kwgi_buf text = { 0 };
	uint32_t i;
	int ret = 0;

	if (kwgi_ipt_has_legacy(v6) && save_filter(&text, v6))
		for (i = 0; i < in->n && !ret; i++)
			if ((in->v[i].packet.family == KWGI_AF_V6) == v6)
				ret = judge_input(in, &in->v[i], &a, &text);
	kwgi_buf_free(&text);
	kwgi_arena_free(&a);
	return ret;
}

int kwgi_ipt_inputs(struct kwgi_inputs *in, struct kwg_error *err)
{
	return find_inputs(in, false) || find_inputs(in, true) ? kwgi_nomem(err) : 0;
}
