/* SPDX-License-Identifier: ISC */
/* Of the facade over this host: what stands in the way of the mesh, and no step removes. */
#include <string.h>

#include "base/error.h"
#include "host/around.h"
#include "host/ipt_input.h"
#include "host/nft_input.h"
#include "host/rtnl_ways.h"
#include "kilowg_steps.h"
#include "steps/ways.h"

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
static void find_around(struct kwg_steps *s, const struct kwgi_ways *ways, struct kwgi_findings *f)
{
	struct kwgi_around around = { 0 };

	kwgi_around_observe(&around, s->plan, &s->wanted, &s->host, ways, daemon_of(s));
	kwgi_around_judge(&around, s->plan, &s->wanted, f);
	kwgi_default_find(&s->wanted.default_way, s->plan, &s->host, f);
	kwgi_around_left_out(s->cfg, f);
}

static int find_ways(struct kwg_steps *s, struct kwgi_findings *f, struct kwg_error *err)
{
	struct kwgi_ways ways = { 0 };
	int ret = kwgi_ways_observe(&s->live.nl, &ways, &s->wanted, &s->host, err);

	if (!ret) {
		kwgi_ways_judge(&ways, &s->wanted, &s->host, f);
		find_around(s, &ways, f);
	}
	kwgi_ways_free(&ways);
	return ret;
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
	ret = find_ways(s, f, err);

	if (!ret)
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
		if (!left_out && f.v[i].code == kwgi_omitted)
			continue;
		kwgi_finding_line(&line, &f.v[i]);
		if (!line.failed)
			kwgi_steps_say(s, severity_of(&f.v[i]), "%s", line.p);
		kwgi_buf_free(&line);
	}
	kwgi_findings_free(&f);
}
