/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Of the facade over this host: what stands in the way of the mesh, and no step removes. */
#include <string.h>

#include "base/error.h"
#include "host/around.h"
#include "host/ipt_input.h"
#include "host/nft_input.h"
#include "host/rtnl_ways.h"
#include "kilowg_steps.h"

/* The process that is WireGuard here; 0: the kernel is, or nobody knows. */
static long daemon_of(const struct kwg_steps *s)
{
	struct kwgi_process p;
	long pid;

	if (!s->host.wg.present || !s->host.wg.userspace)
		return 0;
	kwgi_daemon_find(&s->live.launch, s->wanted.ifname, s->wanted.ifname, &p);
	pid = p.sure ? p.pid : 0;
	kwgi_process_close(&p);
	return pid;
}

/* What the files say and the host is: the latter counts where something of it is to be used. */
static void find_around(struct kwg_steps *s, struct kwgi_findings *f)
{
	struct kwgi_around around = { 0 };

	kwgi_around_observe(&around, s->plan, &s->wanted, &s->host, &s->ways,
			     daemon_of(s));
	kwgi_around_judge(&around, s->plan, &s->wanted, f);
	kwgi_default_find(&s->wanted.default_way, s->plan, &s->host, f);
	kwgi_around_left_out(s->cfg, f);
}

/* What overrules a route that is there is drift like one that is left out; the rest are notes. */
static void sort_ways(struct kwg_steps *s, const struct kwgi_findings *found)
{
	uint32_t i;

	for (i = 0; i < found->n; i++)
		kwgi_findings_copy_one(found->v[i].error ? &s->left_out : &s->way_notes, &found->v[i]);
	s->left_out.failed |= found->failed;
}

int kwgi_steps_look_at_ways(struct kwg_steps *s, struct kwg_error *err)
{
	struct kwgi_findings found = { 0 };
	int ret;

	s->ways.steps_due = s->steps.n > 0;
	ret = kwgi_ways_observe(&s->live.nl, &s->ways, &s->wanted, &s->host, err);

	if (!ret) {
		kwgi_ways_judge(&s->ways, &s->wanted, &s->host, &found);
		sort_ways(s, &found);
	}
	kwgi_findings_free(&found);
	return !ret && (s->left_out.failed || s->way_notes.failed) ? kwgi_nomem(err) : ret;
}

/* What other firewalls do to packets for this host. */
static int find_inputs(struct kwg_steps *s, struct kwgi_findings *f, struct kwg_error *err)
{
	struct kwgi_inputs in = { .n = 0 };
	int ret;

	kwgi_inputs_list(&in, s->plan, &s->wanted);
	ret = kwgi_nft_inputs(&in, err);
	if (!ret)
		ret = kwgi_ipt_inputs(&in, err);
	if (!ret)
		kwgi_inputs_judge(&in, s->plan, f);
	return ret;
}

int kwgi_steps_find(struct kwg_steps *s, struct kwgi_findings *f, struct kwg_error *err)
{
	int ret;

	kwgi_findings_copy(f, &s->left_out);
	kwgi_findings_copy(f, &s->way_notes);
	find_around(s, f);
	ret = find_inputs(s, f, err);
	return !ret && f->failed ? kwgi_nomem(err) : ret;
}

/* That a line of the file is lost is nothing that packets show: it is said in any case. */
static enum kwg_severity severity_of(const struct kwgi_finding *f)
{
	return f->error || !strcmp(f->code, "left-out") ? KWG_WARNING : KWG_NOTE;
}

void kwgi_steps_tell(struct kwg_steps *s, bool left_out)
{
	struct kwgi_findings f = { 0 };
	struct kwgi_buf line = { 0 };
	struct kwg_error err = { 0 };
	uint32_t i;

	if (kwgi_steps_find(s, &f, &err))
		kwgi_steps_say(s, KWG_WARNING, "%s", err.text);
	for (i = 0; i < f.n; i++) {
		/* They come first. */
		if (!left_out && i < s->left_out.n)
			continue;
		kwgi_finding_line(&line, &f.v[i]);
		if (!line.failed)
			kwgi_steps_say(s, severity_of(&f.v[i]), "%s", line.p);
		kwgi_buf_free(&line);
	}
	kwgi_findings_free(&f);
}
