/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over this host: plan and snapshot to steps, steps to the kernel. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "config/json.h"
#include "facade.h"
#include "host/cni.h"
#include "host/downmark.h"
#include "host/files.h"
#include "host/journal.h"
#include "host/pathmemo.h"
#include "host/peermemo.h"
#include "host/turns.h"
#include "kilowg_steps.h"
#include "steps/mark.h"
#include "steps/status.h"
#include "steps/steps.h"

/* ---- steps ----------------------------------------------------------- */

enum { ROUNDS_MORE = 2 };

static char *step_text(const struct kwg_steps *s, uint32_t i, bool undo)
{
	struct kwgi_buf b = { 0 };

	kwgi_step_format(&b, &s->steps.v[i], &s->host, undo);
	return kwgi_buf_take(&b, NULL);
}

static int format_steps(struct kwg_steps *s, struct kwg_error *err)
{
	uint32_t i;

	s->texts = calloc(s->steps.n + 1u, sizeof(*s->texts));
	s->undo_texts = calloc(s->steps.n + 1u, sizeof(*s->undo_texts));
	if (!s->texts || !s->undo_texts)
		return kwgi_nomem(err);
	for (i = 0; i < s->steps.n; i++) {
		s->texts[i] = step_text(s, i, false);
		s->undo_texts[i] = step_text(s, i, true);
		if (!s->texts[i] || !s->undo_texts[i])
			return kwgi_nomem(err);
	}
	return 0;
}

static int format_left_out(struct kwg_steps *s, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	uint32_t i;

	s->left_out_texts = calloc(s->left_out.n + 1u, sizeof(*s->left_out_texts));
	for (i = 0; s->left_out_texts && i < s->left_out.n; i++) {
		kwgi_finding_line(&b, &s->left_out.v[i]);
		s->left_out_texts[i] = kwgi_buf_take(&b, NULL);
		if (!s->left_out_texts[i])
			return kwgi_nomem(err);
	}
	return s->left_out_texts ? 0 : kwgi_nomem(err);
}

static int steps_alloc(struct kwg_steps **out, const struct kwg_host_options *opt,
		       struct kwg_error *err)
{
	struct kwg_steps *s = calloc(1, sizeof(*s));
	int ret = s ? kwgi_host_options_take(&s->opt, opt, err) : kwgi_nomem(err);

	if (ret) {
		free(s);
		return ret;
	}
	memset(s->locks, -1, sizeof(s->locks));
	s->live.refusals = &s->own_refusals;
	*out = s;
	return 0;
}

/*
 * Of the name, and of where the file is: who reads the file once it has another name is at work on
 * the same mesh. In one order for all, so that no two wait for each other.
 */
static int take_locks(struct kwg_steps *s, const struct kwg_config *cfg, struct kwg_error *err)
{
	const struct kwgi_mesh *mesh = &cfg->mesh;
	const struct kwgi_stop *stop = &s->live.launch.stop;
	bool swap = strcmp(mesh->origins[0], mesh->origins[1]) > 0;
	int seconds = s->opt.lock_timeout > INT_MAX ? INT_MAX : (int)s->opt.lock_timeout;
	int64_t deadline = kwgi_monotonic_ms() + (int64_t)seconds * 1000, left;
	uint32_t i;
	int ret;

	if (s->opt.read_only)
		return 0;
	if (s->opt.wait_lock && !seconds)
		seconds = KWGI_LOCK_FOREVER;
	kwgi_steps_progress(s, "waiting for another kilowg");
	ret = kwgi_lock_take(KWG_RUNDIR, mesh->name, mesh->name, seconds, stop, &s->locks[0], err);
	for (i = 0; i < KWGI_ORIGINS && !ret; i++) {
		const char *origin = mesh->origins[swap ? 1 - i : i];
		char name[KWGI_ORIGIN_TEXT + 8];

		if (!*origin)
			continue;
		left = deadline - kwgi_monotonic_ms();
		if (seconds > 0)
			seconds = left > 0 ? (int)(left / 1000) : 0;
		/* No mesh has such a name. */
		snprintf(name, sizeof(name), ".file-%s", origin);
		ret = kwgi_lock_take(KWG_RUNDIR, name, mesh->name, seconds, stop,
				     &s->locks[1 + i], err);
	}
	return ret;
}

/* Who only looks is told. */
static int check_guard(const struct kwg_steps *s, struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	int ret = s->opt.allow_shrink ? 0 : kwg_config_guard(s->cfg, &own);

	if (ret == KWG_ERR_CONFIG && s->opt.read_only) {
		kwgi_steps_say(s, KWG_WARNING, "apply refuses this: %s", own.text);
		return 0;
	}
	if (ret && err)
		*err = own;
	return ret;
}

/* Needs neither key nor interface, nor anybody who answers: it is what comes first at boot. */
static int prepare_closed(struct kwg_steps *s, struct kwg_error *err)
{
	int ret = kwgi_live_open(&s->live, err);

	if (!ret)
		ret = kwgi_live_observe(&s->live, (uint8_t)s->cfg->local.route_protocol, &s->host, err);
	if (!ret)
		ret = kwgi_steps_build_closed(s, err);
	if (!ret)
		ret = kwgi_steps_diff(&s->steps, &s->wanted, &s->host, err);
	return ret ? ret : format_steps(s, err);
}

static int prepare(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwg_config *cfg = s->cfg;
	const struct kwgi_local *local = &cfg->local;
	struct kwgi_key key = { 0 };
	int ret;

	kwgi_steps_set_launch(s, cfg);
	ret = take_locks(s, cfg, err);
	if (!ret)
		ret = kwgi_confirm_enter(s, err);
	if (!ret)
		ret = kwgi_steps_check_down(s, err);
	if (!ret)
		ret = check_guard(s, err);
	if (!ret && s->opt.closed_only)
		return prepare_closed(s, err);
	if (!ret)
		ret = kwgi_steps_read_key(s, &key, err);
	if (!ret)
		kwgi_steps_progress(s, "waiting for the interface");
	if (!ret)
		ret = kwgi_steps_wait(s, err);
	if (!ret)
		kwgi_steps_progress(s, "looking at this host");
	if (!ret)
		ret = kwgi_live_open(&s->live, err);
	if (!ret)
		ret = kwgi_steps_observe(s, err);
	if (!ret) {
		kwgi_steps_observe_old(s, cfg, local->interface);
		ret = kwgi_steps_build(s, &key, err);
	}
	if (!ret)
		ret = kwgi_steps_diff(&s->steps, &s->wanted, &s->host, err);
	if (!ret)
		ret = format_steps(s, err);
	if (!ret)
		ret = kwgi_steps_look_at_ways(s, err);
	if (!ret)
		ret = format_left_out(s, err);
	sodium_memzero(&key, sizeof(key));
	kwgi_steps_progress(s, NULL);
	/* Who carries them out hears of it afterwards, and a status has it in the answer. */
	if (!ret && s->opt.read_only && !s->for_status && s->opt.log)
		kwgi_steps_tell(s, false);
	return ret;
}

int kwgi_steps_new(struct kwg_steps **out, const struct kwg_plan *plan,
		   const struct kwg_host_options *opt, bool for_status, struct kwg_error *err)
{
	struct kwg_steps *s;
	int ret = steps_alloc(&s, opt, err);

	if (ret)
		return ret;
	s->given = s->plan = plan;
	s->cfg = plan->cfg;
	s->for_status = for_status;
	ret = prepare(s, err);
	if (ret) {
		kwg_steps_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

int kwg_steps_new(struct kwg_steps **out, const struct kwg_plan *plan,
		  const struct kwg_host_options *opt, struct kwg_error *err)
{
	return kwgi_steps_new(out, plan, opt, false, err);
}

static int check_leaving(const struct kwg_steps *s, struct kwg_error *err)
{
	const char *node = s->host.journal.node;

	if (!s->opt.leaving || !*node || !strcmp(node, s->opt.leaving))
		return 0;
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "the files have no node \"%.253s\", but this host is applied as \"%.253s\"; nothing is changed (--node names the one that leaves)",
			 s->opt.leaving, node);
}

static int prepare_down(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwg_config *cfg = s->cfg;
	int ret;

	kwgi_steps_set_launch(s, cfg);
	ret = take_locks(s, cfg, err);
	if (!ret)
		ret = kwgi_confirm_enter(s, err);
	if (!ret)
		ret = kwgi_live_open(&s->live, err);
	if (!ret)
		ret = kwgi_live_observe(&s->live, 0, &s->host, err);
	if (!ret)
		ret = check_leaving(s, err);
	if (ret)
		return ret;
	ret = kwgi_ipt_observe(&s->host, false, err);
	if (ret)
		return ret;
	kwgi_steps_tell_of_unseen(s);
	kwgi_steps_observe_old(s, cfg, NULL);
	kwgi_desired_nothing(&s->wanted, cfg);
	s->wanted.keep_closed = s->opt.keep_closed;
	if (s->opt.keep_closed && !kwgi_host_is_closed(&s->host))
		kwgi_steps_say(s, KWG_WARNING, "no network is closed that could be kept so: fail-closed = yes does it, with apply");
	ret = kwgi_steps_diff(&s->steps, &s->wanted, &s->host, err);
	return ret ? ret : format_steps(s, err);
}

/* own: cfg, if it goes with the steps, or NULL. */
static int steps_new_down(struct kwg_steps **out, const struct kwg_config *cfg,
			  struct kwg_config *own, const struct kwg_host_options *opt,
			  struct kwg_error *err)
{
	struct kwg_steps *s;
	int ret = steps_alloc(&s, opt, err);

	if (ret) {
		kwg_config_free(own);
		return ret;
	}
	s->cfg = cfg;
	s->own_cfg = own;
	ret = prepare_down(s, err);
	if (ret) {
		kwg_steps_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

int kwg_steps_new_down(struct kwg_steps **out, const struct kwg_config *cfg,
		       const struct kwg_host_options *opt, struct kwg_error *err)
{
	return steps_new_down(out, cfg, NULL, opt, err);
}

int kwg_steps_new_down_mesh(struct kwg_steps **out, const char *mesh,
			    const struct kwg_host_options *opt, struct kwg_error *err)
{
	struct kwg_config *cfg = kwg_config_new();
	char *name = cfg ? kwgi_arena_strndup(&cfg->arena, mesh, strlen(mesh)) : NULL;

	if (!name) {
		kwg_config_free(cfg);
		return kwgi_nomem(err);
	}
	if (!kwgi_mesh_name_is_valid(name)) {
		kwg_config_free(cfg);
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "\"%.100s\" is no name of a mesh", mesh);
	}
	cfg->mesh.name = name;
	return steps_new_down(out, cfg, cfg, opt, err);
}

static void free_texts(char **texts, uint32_t n)
{
	uint32_t i;

	for (i = 0; texts && i < n; i++)
		free(texts[i]);
	free(texts);
}

void kwg_steps_free(struct kwg_steps *s)
{
	size_t i;

	if (!s)
		return;
	kwg_steps_free(s->again);
	free_texts(s->texts, s->steps.n);
	free_texts(s->undo_texts, s->steps.n);
	free_texts(s->left_out_texts, s->left_out.n);
	kwgi_findings_free(&s->left_out);
	kwgi_findings_free(&s->way_notes);
	kwgi_ways_free(&s->ways);
	kwgi_refusals_free(&s->own_refusals);
	kwgi_steps_clear(&s->steps);
	kwgi_desired_free(&s->wanted);
	kwgi_cni_free(&s->cni);
	kwgi_host_free(&s->host);
	kwgi_live_close(&s->live);
	kwg_plan_free(s->found_plan);
	kwgi_confirm_free(s);
	free(s->turns);
	kwg_config_free(s->own_cfg);
	for (i = 0; i < sizeof(s->locks) / sizeof(*s->locks); i++)
		if (s->locks[i] >= 0)
			close(s->locks[i]);
	free(s);
}

size_t kwg_steps_count(const struct kwg_steps *s)
{
	return s->steps.n;
}

const char *kwg_steps_text(const struct kwg_steps *s, size_t i)
{
	return i < s->steps.n ? s->texts[i] : NULL;
}

const char *kwg_steps_undo_text(const struct kwg_steps *s, size_t i)
{
	return i < s->steps.n ? s->undo_texts[i] : NULL;
}

/* The last look at the host knows most. */
static const struct kwg_steps *last_of(const struct kwg_steps *s)
{
	while (s->again)
		s = s->again;
	return s;
}

size_t kwg_steps_left_out_count(const struct kwg_steps *s)
{
	return last_of(s)->left_out.n;
}

const char *kwg_steps_left_out(const struct kwg_steps *s, size_t i)
{
	s = last_of(s);
	return i < s->left_out.n ? s->left_out_texts[i] : NULL;
}

int kwg_steps_json(const struct kwg_steps *s, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	struct kwgi_json j = { .b = &b };
	uint32_t i;

	kwgi_json_object(&j, NULL);
	kwgi_findings_json(&j, "left_out", &s->left_out);
	kwgi_json_uint(&j, "schema", 1);
	kwgi_json_array(&j, "steps");
	for (i = 0; i < s->steps.n; i++) {
		kwgi_json_object(&j, NULL);
		kwgi_json_string(&j, "step", s->texts[i]);
		kwgi_json_string(&j, "undo", s->undo_texts[i]);
		kwgi_json_end_object(&j);
	}
	kwgi_json_end_array(&j);
	kwgi_json_end_object(&j);
	return kwgi_give(&b, out, len, err);
}

/* ---- carrying out ---------------------------------------------------- */

/*
 * The kernel does things by itself, and others work on this host, too: so the host is looked at
 * once more, as diff would, without asking name servers again. *out: what is left to do.
 */
static int look_again(const struct kwg_steps *s, struct kwg_steps **out, struct kwg_error *err)
{
	struct kwg_host_options opt = s->opt;
	struct kwg_steps *again;
	int ret;

	opt.read_only = opt.no_lookup = true;
	opt.log = NULL;
	opt.from = opt.restore = NULL;
	ret = steps_alloc(&again, &opt, err);
	if (ret)
		return ret;
	again->given = again->plan = s->given;
	again->cfg = s->cfg;
	again->live.refusals = s->live.refusals;
	ret = s->plan ? prepare(again, err) : prepare_down(again, err);
	if (ret)
		kwg_steps_free(again);
	else
		*out = again;
	return ret;
}

static bool can_be_undone(const struct kwgi_steps *s)
{
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if (kwgi_step_is_final(&s->v[i]))
			return false;
	return true;
}

/* All rounds that were carried out, from the last on. */
static void undo_rounds(struct kwg_steps *s)
{
	if (s->again)
		undo_rounds(s->again);
	if (s->done && can_be_undone(&s->steps)) {
		kwgi_live_undo(&s->live, &s->steps, s->opt.log, s->opt.log_arg);
		kwgi_journal_undo(&s->host, KWG_RUNDIR, &s->cfg->mesh);
	}
	s->done = false;
}

static int run_round(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_mesh *mesh = &s->cfg->mesh;
	int ret = 0;

	if (s->steps.n)
		ret = kwgi_journal_begin(&s->host, KWG_RUNDIR, mesh, &s->steps, err);
	s->live.progress = s->opt.progress;
	s->live.progress_arg = s->opt.log_arg;
	if (!ret)
		ret = kwgi_live_run(&s->live, &s->steps, s->opt.log, s->opt.log_arg, err);
	if (ret)
		kwgi_journal_undo(&s->host, KWG_RUNDIR, mesh);
	s->done = !ret;
	return ret;
}

/* All is done as far as anybody knows. */
static int tell_unseen(const struct kwg_steps *s, const struct kwg_error *why)
{
	kwgi_steps_say(s, KWG_WARNING, "applied, but the host could not be examined again: %s",
		       why ? why->text : "");
	return 0;
}

/*
 * Until nothing is left to do. *stays: what comes back each time is no failure of a step, but a
 * fight that nobody wins.
 */
static int run_what_is_left(struct kwg_steps *s, bool *stays, struct kwg_error *err)
{
	struct kwg_steps *last = s;
	unsigned rounds;
	size_t i;
	int ret;

	for (rounds = 0;; rounds++) {
		ret = look_again(s, &last->again, err);
		if (ret && !can_be_undone(&s->steps))
			return tell_unseen(s, err);
		if (ret || !last->again->steps.n)
			return ret;
		last = last->again;
		*stays = rounds == ROUNDS_MORE;
		if (*stays)
			return kwgi_fail(err, KWG_ERR_KERNEL, 0,
					 "applied, but undone again each time: %.300s; does another program change the same?",
					 last->texts[0]);
		for (i = 0; i < last->steps.n; i++)
			kwgi_steps_say(s, KWG_NOTE, "once more: %s", last->texts[i]);
		last->opt.log = s->opt.log;
		ret = run_round(last, err);
		if (ret)
			return ret;
	}
}

/* What iptables-nft made for rules that are gone; now or, if that fails, the next time. */
static void tidy_chains(const struct kwg_steps *s, uint16_t bases[2])
{
	struct kwgi_journal j = s->host.journal;

	for (; s; s = s->again)
		kwgi_journal_note(&j, &s->steps);
	memcpy(bases, j.bases, sizeof(j.bases));
	kwgi_ipt_tidy(bases);
}

/* Does a link stay that has our mark? Whose it is has to be known when the mesh has another name. */
static bool keeps_link(const struct kwg_steps *s)
{
	uint32_t i;

	for (i = 0; s->wanted.keep_link && i < s->host.n_links; i++)
		if (kwgi_mark_is_ours(s->host.links[i].alias, &s->host.owner) &&
		    !kwgi_mark_is_tunnel(s->host.links[i].alias) &&
		    !kwgi_mark_is_adopted(s->host.links[i].alias))
			return true;
	return false;
}

/* Closed routes have no mark but their number, which the journal knows. */
static bool keeps_closed(const struct kwg_steps *s)
{
	return s->wanted.keep_closed && kwgi_host_is_closed(&s->host);
}

/* What is kept for the next time. */
static void settle(struct kwg_steps *s)
{
	const struct kwgi_mesh *mesh = &s->cfg->mesh;
	uint16_t bases[2];
	uint32_t i;

	/* What was there before is noted still. */
	if (s->wanted.closed_only)
		return;
	tidy_chains(s, bases);
	kwgi_cni_tidy(s->cfg->local.cni_path);
	for (i = 0; i < s->host.owner.n_former; i++) {
		kwgi_pathmemo_forget(KWG_RUNDIR, s->host.owner.former[i]);
		kwgi_turns_forget(KWG_RUNDIR, s->host.owner.former[i]);
		kwgi_peermemo_forget(KWG_RUNDIR, s->host.owner.former[i]);
	}
	if (s->plan) {
		kwgi_pathmemo_save(KWG_RUNDIR, mesh->name, &s->host);
		kwgi_turns_save(KWG_RUNDIR, mesh->name, s->turns, s->plan->n_peers);
		kwgi_journal_end(&s->host, KWG_RUNDIR, mesh, &s->wanted, bases);
	} else {
		kwgi_pathmemo_forget(KWG_RUNDIR, mesh->name);
		kwgi_turns_forget(KWG_RUNDIR, mesh->name);
		kwgi_peermemo_forget(KWG_RUNDIR, mesh->name);
		if (!keeps_link(s) && !keeps_closed(s))
			kwgi_journal_remove(&s->host, KWG_RUNDIR, mesh);
	}
}

/* As the host was seen last, with nothing left to do. */
static void tell_of_last(struct kwg_steps *s)
{
	struct kwg_steps *last = s;

	while (last->again)
		last = last->again;
	last->opt.log = s->opt.log;
	last->opt.log_arg = s->opt.log_arg;
	kwgi_steps_tell(last, true);
}

/*
 * The mark is there before anything goes, so that it holds for who looks meanwhile. Where it cannot be
 * made, what is to be gone goes all the same.
 */
static void mark_intent(struct kwg_steps *s)
{
	const char *mesh = s->cfg->mesh.name;
	struct kwg_error own = { 0 };

	if (s->wanted.closed_only)
		return;
	if (s->plan)
		kwgi_downmark_clear(KWG_RUNDIR, mesh);
	else if (kwgi_downmark_set(KWG_RUNDIR, mesh, &own))
		kwgi_steps_say(s, KWG_WARNING, "%s; so units may bring the mesh back", own.text);
}

/* Nobody holds the lock for the first kind, and the second would be at work on a host that is gone. */
static int check_run(struct kwg_steps *s, struct kwg_error *err)
{
	if (s->opt.read_only)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "steps that were made with read_only are not carried out");
	if (s->ran)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "these steps were carried out already; look at the host again");
	s->ran = true;
	return 0;
}

int kwg_steps_run(struct kwg_steps *s, struct kwg_error *err)
{
	bool stays = false, was_down = kwgi_downmark_is_set(KWG_RUNDIR, s->cfg->mesh.name);
	bool only_closed = s->wanted.closed_only;
	struct kwg_error own = { 0 };
	int ret = check_run(s, err);

	if (!ret && !only_closed)
		ret = kwgi_confirm_begin(s, err);
	if (ret)
		return ret;
	err = err ? err : &own;
	err->step = 0;
	mark_intent(s);
	ret = run_round(s, err);
	if (!ret && s->steps.n)
		ret = run_what_is_left(s, &stays, err);
	kwgi_steps_progress(s, NULL);
	if (!ret) {
		settle(s);
		if (!only_closed)
			kwgi_confirm_done(s);
		if (s->plan && s->opt.log && !only_closed)
			tell_of_last(s);
	} else {
		if (!stays)
			undo_rounds(s);
		if (!stays && !s->plan && !was_down)
			kwgi_downmark_clear(KWG_RUNDIR, s->cfg->mesh.name);
		if (!only_closed)
			kwgi_confirm_failed(s, err);
	}
	return ret;
}
