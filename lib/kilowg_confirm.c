/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The facade's memory: what is in force on this host, and what still has to be confirmed.
 *
 * RUNDIR/MESH.applied is the entry in force, and RUNDIR/MESH.confirm the record of a change that
 * waits or is held, if there is one. The latter has a copy beside the history, without secrets, for the
 * next start of the host. Whoever carries steps out looks at the record first, so that nobody
 * undoes or confirms a change by the way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "facade.h"
#include "host/files.h"
#include "kept.h"
#include "kilowg_steps.h"
#include "plan/plan.h"
#include "sys/errtext.h"

_Static_assert((int)KWGI_BOOT_TEXT == (int)KWGI_BOOT_ID_MAX, "a record holds any boot id");

const char kwgi_kept_history[] = KWG_STATEDIR "/history";

/* ---- finding what is kept ------------------------------------------------ */

/* a is not const, as what is given is not: up to C17 that is another array. */
static bool same_origin(char a[KWGI_ORIGINS][KWGI_ORIGIN_TEXT],
			const char b[KWGI_ORIGINS][KWGI_ORIGIN_TEXT])
{
	uint32_t i, k;

	for (i = 0; i < KWGI_ORIGINS; i++)
		for (k = 0; k < KWGI_ORIGINS; k++)
			if (*a[i] && !strcmp(a[i], b[k]))
				return true;
	return false;
}

/* A search through the folder for a mesh that has had another name. */
struct search {
	const char *dir;
	const struct kwgi_mesh *mesh;
	bool records;
	struct kwgi_kept *found;
};

static void look_at(void *arg, const char *name, size_t len)
{
	struct search *s = arg;
	struct kwgi_kept k;
	char mesh[64];
	int ret;

	if (s->found->exists || len >= sizeof(mesh))
		return;
	memcpy(mesh, name, len);
	mesh[len] = '\0';
	ret = s->records ? kwgi_kept_record(&k, s->dir, mesh, NULL)
			 : kwgi_kept_entry(&k, s->dir, mesh, kwgi_kept_applied, NULL);
	if (!ret && k.exists &&
	    same_origin(s->records ? k.u.record.origins : k.u.entry.origins, s->mesh->origins))
		*s->found = k;
	else
		kwgi_kept_free(&k);
}

static int find_kept(struct kwgi_kept *k, const char *dir, const struct kwgi_mesh *mesh,
		     bool records, struct kwg_error *err)
{
	struct search search = { dir, mesh, records, k };
	int ret = records ? kwgi_kept_record(k, dir, mesh->name, err)
			  : kwgi_kept_entry(k, dir, mesh->name, kwgi_kept_applied, err);

	if (ret || k->exists)
		return ret;
	kwgi_kept_free(k);
	if (*mesh->origins[0])
		kwgi_kept_list(dir, records ? kwgi_kept_confirm : kwgi_kept_applied, look_at, &search);
	return 0;
}

int kwgi_record_find(struct kwgi_kept *k, const struct kwgi_mesh *mesh, struct kwg_error *err)
{
	int ret = find_kept(k, KWG_RUNDIR, mesh, true, err);

	if (ret || k->exists)
		return ret;
	kwgi_kept_free(k);
	return find_kept(k, kwgi_kept_history, mesh, true, err);
}

bool kwgi_record_due_now(const struct kwgi_record *r)
{
	char boot[KWGI_BOOT_ID_MAX];

	return kwgi_boot_id(boot) || kwgi_record_is_due(r, boot, kwgi_boot_ms());
}

/* ---- what a configuration consists of ------------------------------------- */

/* Whichever way it was called, a file has one name. */
static const char *real_path(struct kwgi_arena *a, const char *name)
{
	char *real = strcmp(name, "-") && strncmp(name, "/dev/", 5) && strncmp(name, "/proc/", 6)
			     ? realpath(name, NULL) : NULL;
	const char *copy = kwgi_arena_strndup(a, real ? real : name, strlen(real ? real : name));

	free(real);
	return copy;
}

/* What cannot be read is no other key than what cannot be read. */
static int add_secret(struct kwgi_inputs_list *l, struct kwgi_arena *a, const char *path)
{
	struct kwgi_input_file in = { .path = path, .digest = "-", .secret = true };
	struct kwgi_key key;
	bool open;

	if (kwgi_inputs_find(l, path))
		return 0;
	if (!kwgi_file_read_key(path, &key, &open, NULL)) {
		kwgi_digest(in.digest, key.b, sizeof(key.b));
		sodium_memzero(&key, sizeof(key));
	}
	return kwgi_inputs_add(l, a, &in);
}

int kwgi_inputs_of(struct kwgi_inputs_list *l, struct kwgi_arena *a, const struct kwg_config *cfg)
{
	uint32_t i;
	int ret = 0;

	if (cfg->restored) {
		*l = cfg->restored->files;
		return 0;
	}
	for (i = 0; !ret && i < cfg->n_texts; i++) {
		struct kwgi_input_file in = { .path = real_path(a, cfg->texts[i].name),
					 .text = cfg->texts[i].text, .len = cfg->texts[i].len };

		kwgi_digest(in.digest, in.text, in.len);
		ret = in.path ? kwgi_inputs_add(l, a, &in) : -1;
	}
	if (!ret && cfg->local.private_key_file)
		ret = add_secret(l, a, cfg->local.private_key_file);
	for (i = 0; !ret && i < cfg->n_peers; i++)
		if (cfg->peers[i].psk_file)
			ret = add_secret(l, a, cfg->peers[i].psk_file);
	return ret;
}

/* The entry of what these steps apply; s->given is not NULL. 0 or -1. */
static int make_entry(struct kwgi_entry *e, struct kwgi_arena *a, const struct kwg_steps *s,
		      const char *result)
{
	const struct kwg_config *cfg = s->cfg;

	*e = (struct kwgi_entry){
		.arena = a, .mesh = cfg->mesh.name, .node = s->given->node->name,
		.interface = cfg->interface_option, .time = kwgi_wall_seconds(),
		.from = s->opt.from, .user = s->opt.user ? s->opt.user : "", .result = result,
	};
	memcpy(e->origins, cfg->mesh.origins, sizeof(e->origins));
	return kwgi_inputs_of(&e->files, a, cfg) || kwg_plan_digest(s->given, e->plan, NULL) ? -1 : 0;
}

/* ---- configurations from entries -------------------------------------------- */

static void set_keys(struct kwg_config *cfg, const struct kwgi_record *r)
{
	uint32_t i, k;

	for (i = 0; r && i < r->n_keys; i++) {
		const struct kwgi_kept_key *kept = &r->keys[i];

		if (!strcmp(cfg->local.private_key_file, kept->path))
			cfg->local.private_key = kept->key;
		for (k = 0; k < cfg->n_peers; k++) {
			if (!cfg->peers[k].psk_file || strcmp(cfg->peers[k].psk_file, kept->path))
				continue;
			cfg->peers[k].psk = kept->key;
			cfg->peers[k].psk_file = NULL;
		}
	}
}

/* A copy that lives as long as cfg. */
static const struct kwgi_entry *copy_entry(struct kwg_config *cfg, const struct kwgi_entry *e)
{
	struct kwgi_entry *copy = kwgi_arena_alloc(&cfg->arena, 1, sizeof(*copy));
	struct kwgi_buf b = { 0 };
	char *text = NULL;

	kwgi_entry_format(&b, e);
	if (!b.failed)
		text = kwgi_arena_strndup(&cfg->arena, b.p, b.len);
	if (!text || !copy || kwgi_entry_parse(copy, &cfg->arena, text, b.len))
		copy = NULL;
	kwgi_buf_free(&b);
	return copy;
}

static int fill(struct kwg_config *cfg, const struct kwgi_entry *e, struct kwg_error *err)
{
	uint32_t i;
	int ret = 0;

	cfg->restored = copy_entry(cfg, e);
	if (!cfg->restored)
		return kwgi_nomem(err);
	e = cfg->restored;
	for (i = 0; !ret && i < e->files.n; i++)
		if (!e->files.v[i].secret)
			ret = kwg_config_add_text(cfg, e->files.v[i].path, e->files.v[i].text,
						  e->files.v[i].len, err);
	if (!ret && e->interface)
		ret = kwg_config_set_local(cfg, "interface", e->interface, err);
	return ret;
}

/* The first error, since nobody sees a list of them here. */
static int fail_config(const struct kwg_config *cfg, const struct kwgi_entry *e,
		       struct kwg_error *err)
{
	size_t i;

	for (i = 0; i < kwg_config_diag_count(cfg); i++) {
		const struct kwg_diag *d = kwg_config_diag(cfg, i);

		if (d->severity == KWG_ERROR)
			return kwgi_fail(err, KWG_ERR_CONFIG, 0,
					 "the configuration of mesh %s that was kept: %.150s:%u: %.200s",
					 e->mesh, d->file, d->line, d->text);
	}
	return KWG_ERR_CONFIG;
}

int kwgi_entry_config(struct kwg_config **out, const struct kwgi_entry *e,
		      const struct kwgi_record *keys, struct kwg_error *err)
{
	struct kwg_config *cfg = kwg_config_new();
	int ret = cfg ? fill(cfg, e, err) : kwgi_nomem(err);

	if (!ret)
		ret = kwg_config_finish(cfg, err);
	if (ret == KWG_ERR_CONFIG)
		ret = fail_config(cfg, e, err);
	if (ret) {
		kwg_config_free(cfg);
		return ret;
	}
	memcpy(cfg->mesh.origins, cfg->restored->origins, sizeof(cfg->mesh.origins));
	cfg->local.node = cfg->restored->node;
	set_keys(cfg, keys);
	*out = cfg;
	return 0;
}

/* ---- before anything is changed --------------------------------------------- */

static int fail_waiting(const struct kwgi_record *r, struct kwg_error *err)
{
	char boot[KWGI_BOOT_ID_MAX];
	int64_t left = kwgi_boot_id(boot) ? 0 : kwgi_record_left(r, boot, kwgi_boot_ms());

	return kwgi_fail(err, KWG_ERR_LOCKED, 0,
			 "mesh %s: a change waits for a confirmation, for %" PRId64 " s more; confirm it (kilowg confirm), roll it back (kilowg rollback), or apply with --supersede",
			 r->mesh, (left + 999) / 1000);
}

static int check_restore(const struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_record *r = &s->record.u.record;

	if (!s->record.exists || strcmp(r->id, s->opt.restore))
		return kwgi_fail(err, KWG_ERR_STOPPED, 0,
				 "there is nothing to go back from: it was confirmed, or another change has taken its place");
	if (s->opt.restore_due && r->state == KWGI_RECORD_WAITS && !kwgi_record_due_now(r))
		return kwgi_fail(err, KWG_ERR_STOPPED, 0, "the time for a confirmation is not over yet");
	return 0;
}

/* A file that is still as it was when it was taken back; *held is NULL if there is none. 0 or -1. */
static int find_held(const struct kwgi_input_file **held, const struct kwgi_record *r,
		     struct kwgi_arena *arena, const struct kwg_config *cfg)
{
	struct kwgi_inputs_list now = { 0 };

	if (kwgi_inputs_of(&now, arena, cfg))
		return -1;
	*held = kwgi_inputs_held(&r->changed, &r->target.files, &now);
	return 0;
}

static int check_held(const struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_record *r = &s->record.u.record;
	struct kwgi_arena arena = { 0 };
	const struct kwgi_input_file *held = NULL;
	int ret = find_held(&held, r, &arena, s->cfg) ? kwgi_nomem(err) : 0;

	if (held)
		ret = kwgi_fail(err, KWG_ERR_HELD, 0,
				"%.200s: is still as it was when it was rolled back (%.100s); change it, or apply with --confirm, or with --supersede",
				held->path, r->state == KWGI_RECORD_HELD ? r->reason
									 : "it was not confirmed in time");
	kwgi_arena_free(&arena);
	return ret;
}

static int may_enter(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_record *r = &s->record.u.record;
	int ret;

	if (s->opt.read_only && !s->opt.from)
		return 0;
	ret = kwgi_record_find(&s->record, &s->cfg->mesh, err);
	if (ret)
		return ret;
	if (s->opt.restore)
		return check_restore(s, err);
	if (!s->record.exists || s->opt.supersede)
		return 0;
	if (r->state == KWGI_RECORD_WAITS && !kwgi_record_due_now(r))
		return fail_waiting(r, err);
	/* With a confirmation it is safe to try again, and what goes altogether is no trial. */
	return s->given && !s->opt.confirm && !s->opt.instead_of ? check_held(s, err) : 0;
}

int kwgi_confirm_enter(struct kwg_steps *s, struct kwg_error *err)
{
	struct kwg_error why = { 0 };
	int ret = may_enter(s, &why);

	/* Who only shows what would be done says so. */
	if (ret && s->opt.read_only) {
		kwgi_steps_say(s, KWG_WARNING, "%s", why.text);
		return 0;
	}
	if (ret && err)
		*err = why;
	return ret;
}

void kwgi_confirm_free(struct kwg_steps *s)
{
	kwgi_kept_free(&s->record);
}

/* ---- a confirmation that will be needed ----------------------------------------- */

/* Nothing on this host is of the mesh. */
static int is_nothing(const struct kwg_steps *s, bool *nothing, struct kwg_error *err)
{
	const struct kwg_host_options look = {
		.size = sizeof(look), .cancel_fd = -1, .read_only = true, .no_lookup = true,
	};
	struct kwg_steps *down;
	int ret = kwg_steps_new_down(&down, s->cfg, &look, err);

	if (ret)
		return ret;
	*nothing = !kwg_steps_count(down);
	kwg_steps_free(down);
	return 0;
}

/* What is in force, as far as is known; *has: whether there is anything. */
static int find_before(const struct kwg_steps *s, struct kwgi_kept *k, struct kwgi_history *h,
		       const struct kwgi_entry **before, struct kwg_error *err)
{
	const struct kwgi_mesh *mesh = &s->cfg->mesh;
	bool nothing = false;
	uint32_t i;
	int ret = find_kept(k, KWG_RUNDIR, mesh, false, err);

	*before = NULL;
	if (ret || k->exists) {
		*before = ret ? NULL : &k->u.entry;
		return ret;
	}
	ret = is_nothing(s, &nothing, err);
	if (ret || nothing)
		return ret;
	ret = kwgi_history_load(h, kwgi_kept_history, mesh->name,
				(const char (*)[KWGI_ORIGIN_TEXT])mesh->origins, err);
	for (i = 0; !ret && i < h->n; i++)
		if (kwgi_entry_is_good(&h->v[i].entry)) {
			*before = &h->v[i].entry;
			return 0;
		}
	return ret ? ret : kwgi_fail(err, KWG_ERR_USAGE, 0,
				     "mesh %s: nobody knows which configuration is in force, so it could not come back; apply it once without --confirm",
				     mesh->name);
}

static int keep_key(struct kwgi_record *r, struct kwgi_arena *a, const char *path,
		    const struct kwgi_key *key)
{
	if (!path || kwgi_key_is_zero(key))
		return 0;
	if (kwgi_arena_grow(a, &r->keys, r->n_keys, &r->keys_cap, sizeof(*r->keys)))
		return -1;
	r->keys[r->n_keys++] = (struct kwgi_kept_key){ path, *key };
	return 0;
}

/* As WireGuard has them now: the files may have others already. */
static int keep_keys(const struct kwg_steps *s, struct kwgi_record *r, struct kwgi_arena *a,
		     const struct kwg_config *before)
{
	const struct kwgi_host_wg *wg = &s->host.wg;
	const struct kwgi_host_peer *peer;
	uint32_t i;
	int ret = keep_key(r, a, kwgi_arena_strndup(a, before->local.private_key_file,
						    strlen(before->local.private_key_file)),
			   &wg->private_key);

	for (i = 0; !ret && i < before->n_peers; i++) {
		const char *path = before->peers[i].psk_file;

		peer = path ? kwgi_host_peer(wg, &before->peers[i].key) : NULL;
		if (peer)
			ret = keep_key(r, a, kwgi_arena_strndup(a, path, strlen(path)), &peer->psk);
	}
	return ret;
}

/* Can it be brought back, and is it what the host has now? */
static int try_before(const struct kwg_steps *s, struct kwgi_record *r, struct kwgi_arena *a,
		      bool keys, struct kwg_error *err)
{
	const struct kwg_host_options look = {
		.size = sizeof(look), .cancel_fd = -1, .read_only = true, .no_lookup = true,
	};
	struct kwg_config *cfg = NULL;
	struct kwg_plan *plan = NULL;
	struct kwg_steps *steps = NULL;
	int ret = kwgi_entry_config(&cfg, &r->target, keys ? NULL : r, err);

	if (ret)
		return ret;
	if (keys && keep_keys(s, r, a, cfg))
		ret = kwgi_nomem(err);
	if (!ret)
		set_keys(cfg, r);
	if (!ret)
		ret = kwg_plan_new(&plan, cfg, r->target.node, err);
	if (!ret && keys && !kwg_steps_new(&steps, plan, &look, NULL) && kwg_steps_count(steps))
		kwgi_steps_say(s, KWG_WARNING,
			       "the host is not as it was applied, in %zu step%s (\"%s\"); if it comes to going back, it will be",
			       kwg_steps_count(steps), kwg_steps_count(steps) == 1 ? "" : "s",
			       kwg_steps_text(steps, 0));
	kwg_steps_free(steps);
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	return ret;
}

/* A record, and all that it needs. */
struct wait {
	struct kwgi_record record;
	struct kwgi_arena arena;
	struct kwgi_kept applied;
	struct kwgi_history history;
	char keeper[sizeof(((struct kwg_pending *)0)->keeper)];
};

static void wait_free(struct wait *w)
{
	if (!w)
		return;
	kwgi_kept_free(&w->applied);
	kwgi_history_free(&w->history);
	kwgi_arena_free(&w->arena);
	sodium_memzero(w, sizeof(*w));
	free(w);
}

/* What to go back to: that of a wait which is not over, or what is in force. */
static int choose_target(const struct kwg_steps *s, struct wait *w, struct kwg_error *err)
{
	const struct kwgi_record *old = s->record.exists ? &s->record.u.record : NULL;
	const struct kwgi_entry *before = NULL;
	int ret;

	if (old) {
		w->record.has_target = old->has_target;
		w->record.target = old->target;
		w->record.keys = old->keys;
		w->record.n_keys = old->n_keys;
		return old->has_target ? try_before(s, &w->record, &w->arena, false, err) : 0;
	}
	ret = find_before(s, &w->applied, &w->history, &before, err);
	if (ret || !before)
		return ret;
	w->record.has_target = true;
	w->record.target = *before;
	return try_before(s, &w->record, &w->arena, true, err);
}

static int list_changes(const struct kwg_steps *s, struct wait *w)
{
	const struct kwgi_inputs_list none = { 0 };
	struct kwgi_inputs_list now = { 0 }, files = { 0 };
	struct kwgi_record *r = &w->record;

	if (kwgi_inputs_of(&now, &w->arena, s->cfg) ||
	    kwgi_inputs_changed_list(&r->changed, &w->arena, r->has_target ? &r->target.files : &none,
				     &now))
		return -1;
	if (!s->opt.instead_of)
		return 0;
	return kwgi_inputs_of(&files, &w->arena, s->opt.instead_of) ||
	       kwgi_inputs_changed_list(&r->then, &w->arena, &now, &files) ? -1 : 0;
}

static void set_time(struct kwgi_record *r, unsigned seconds)
{
	r->seconds = seconds;
	r->due = kwgi_boot_ms() + (int64_t)seconds * 1000;
	r->since = kwgi_wall_seconds();
	r->until = r->since + (int64_t)seconds;
}

static int begin_record(struct kwg_steps *s, struct wait *w, struct kwg_error *err)
{
	struct kwgi_record *r = &w->record;
	uint64_t id;
	int e = kwgi_boot_id(r->boot);

	if (e || kwgi_file_random(&id, sizeof(id)))
		return kwgi_fail(err, KWG_ERR_IO, e, "the kernel does not tell its start, or gives no random bytes");
	snprintf(r->id, sizeof(r->id), "%016" PRIx64, id);
	r->mesh = s->cfg->mesh.name;
	memcpy(r->origins, s->cfg->mesh.origins, sizeof(r->origins));
	r->keeper = r->reason = "";
	set_time(r, s->opt.confirm);
	return 0;
}

/* Where only root can read, and nothing is left after the next start: with secrets. */
static int save_record(const struct kwg_steps *s, const struct kwgi_record *r,
		       struct kwg_error *err)
{
	struct kwgi_record bare = *r;
	struct kwg_error why = { 0 };
	int ret = kwgi_kept_write_record(KWG_RUNDIR, r, err);

	if (ret)
		return ret;
	bare.n_keys = 0;
	if (kwgi_kept_write_record(kwgi_kept_history, &bare, &why))
		kwgi_steps_say(s, KWG_WARNING, "%.300s; if the host is started anew, it will not know what was not confirmed",
			       why.text);
	return 0;
}

/* What a keeper that was killed has left. */
static void tidy_keeper(const char *id)
{
	char path[sizeof(KWG_RUNDIR) + 32 + KWGI_RECORD_ID_TEXT];

	snprintf(path, sizeof(path), ".keeper-%s", id);
	if (kwgi_lock_is_taken(KWG_RUNDIR, path))
		return;
	snprintf(path, sizeof(path), KWG_RUNDIR "/.keeper-%s.lock", id);
	unlink(path);
}

/* In the place of one whose copy cannot be removed, so that nobody takes the copy for it. */
static void write_empty(const struct kwg_steps *s, const char *mesh)
{
	const struct kwgi_record empty = { .state = KWGI_RECORD_HELD, .mesh = mesh, .id = "0",
					   .boot = "-", .keeper = "", .reason = "it was confirmed" };
	struct kwg_error why = { 0 };

	if (kwgi_kept_write_record(KWG_RUNDIR, &empty, &why))
		kwgi_steps_say(s, KWG_WARNING, "%.300s", why.text);
}

/* The copy first: where that is all there is, the host has been started anew. */
static void remove_record(const struct kwg_steps *s, const char *mesh)
{
	struct kwg_error why = { 0 };

	if (kwgi_kept_remove(kwgi_kept_history, mesh, kwgi_kept_confirm, &why)) {
		kwgi_steps_say(s, KWG_WARNING, "%.300s; when the host is started anew, it will not know that it is over",
			       why.text);
		write_empty(s, mesh);
	} else if (kwgi_kept_remove(KWG_RUNDIR, mesh, kwgi_kept_confirm, &why)) {
		kwgi_steps_say(s, KWG_WARNING, "%.300s", why.text);
	}
}

int kwgi_confirm_begin(struct kwg_steps *s, struct kwg_error *err)
{
	struct wait *w;
	int ret;

	if (!s->opt.confirm || !s->given || !s->opt.from)
		return 0;
	/* Nothing is changed, and nothing waits. */
	if (!s->steps.n && !s->record.exists && !s->opt.instead_of)
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return kwgi_nomem(err);
	ret = choose_target(s, w, err);
	if (!ret)
		ret = list_changes(s, w) ? kwgi_nomem(err) : begin_record(s, w, err);
	w->record.running = true;
	if (!ret)
		ret = save_record(s, &w->record, err);
	if (ret) {
		wait_free(w);
		return ret;
	}
	s->wait = &w->record;
	if (s->opt.keep)
		ret = s->opt.keep(s->opt.keep_arg, w->record.mesh, w->record.id, w->keeper,
				  sizeof(w->keeper), err);
	w->record.keeper = w->keeper;
	if (!ret)
		ret = save_record(s, &w->record, err);
	if (ret)
		kwgi_confirm_failed(s, NULL);
	return ret;
}

/* ---- afterwards ------------------------------------------------------------------- */

static void warn_of(const struct kwg_steps *s, int ret, const struct kwg_error *why)
{
	if (ret)
		kwgi_steps_say(s, KWG_WARNING, "%.300s; what is applied is not in the history", why->text);
}

static void keep_entry(const struct kwg_steps *s, const struct kwgi_entry *e)
{
	struct kwg_error why = { 0 };

	/* Without a file from before it could not be known what is in force. */
	if (kwgi_kept_write_entry(KWG_RUNDIR, kwgi_kept_applied, e, &why))
		kwgi_steps_say(s, KWG_WARNING, "%.300s", why.text);
}

static void forget_applied(const struct kwg_steps *s)
{
	uint32_t i;

	(void)kwgi_kept_remove(KWG_RUNDIR, s->cfg->mesh.name, kwgi_kept_applied, NULL);
	for (i = 0; i < s->host.owner.n_former; i++)
		(void)kwgi_kept_remove(KWG_RUNDIR, s->host.owner.former[i], kwgi_kept_applied, NULL);
}

/* Of the name that a mesh had before. */
static void forget_former(const struct kwg_steps *s)
{
	uint32_t i;

	for (i = 0; i < s->host.owner.n_former; i++)
		(void)kwgi_kept_remove(KWG_RUNDIR, s->host.owner.former[i], kwgi_kept_applied, NULL);
}

static void note_entry(const struct kwg_steps *s, const char *result)
{
	struct kwgi_arena arena = { 0 };
	struct kwgi_kept k;
	struct kwg_error why = { 0 };
	struct kwgi_entry e;

	if (make_entry(&e, &arena, s, result)) {
		kwgi_steps_say(s, KWG_WARNING, "out of memory; what is applied is not in the history");
	} else {
		/* The same is written once. */
		if (kwgi_kept_entry(&k, KWG_RUNDIR, e.mesh, kwgi_kept_applied, NULL) || !k.exists ||
		    !kwgi_entry_same(&k.u.entry, &e) || strcmp(k.u.entry.result, e.result)) {
			keep_entry(s, &e);
			warn_of(s, kwgi_history_add(kwgi_kept_history, &e, &why), &why);
		}
		kwgi_kept_free(&k);
	}
	kwgi_arena_free(&arena);
}

static void note_failure(const struct kwg_steps *s, const struct kwg_error *why)
{
	struct kwgi_arena arena = { 0 };
	struct kwgi_entry e;
	char result[sizeof(why->text) + 16];

	if (!s->given || !s->opt.from || s->opt.restore || !s->steps.n || !why)
		return;
	snprintf(result, sizeof(result), KWGI_RESULT_FAILED ": %s", why->text);
	if (!make_entry(&e, &arena, s, result))
		(void)kwgi_history_add(kwgi_kept_history, &e, NULL);
	kwgi_arena_free(&arena);
}

static void put_back(struct kwg_steps *s)
{
	const char *mesh = s->wait->mesh;

	if (s->record.exists)
		(void)save_record(s, &s->record.u.record, NULL);
	if (!s->record.exists || strcmp(mesh, s->record.u.record.mesh))
		remove_record(s, mesh);
}

static void end_wait(struct kwg_steps *s)
{
	if (s->wait)
		wait_free((struct wait *)(void *)s->wait);
	s->wait = NULL;
}

_Static_assert(offsetof(struct wait, record) == 0, "a wait is known by its record");

void kwgi_confirm_failed(struct kwg_steps *s, const struct kwg_error *why)
{
	note_failure(s, why);
	if (s->wait)
		put_back(s);
	end_wait(s);
}

/* Somebody has gone back: what was before is in force, and files that say otherwise are held. */
static void done_restoring(struct kwg_steps *s)
{
	struct kwgi_record *r = &s->record.u.record;
	bool waited = r->state == KWGI_RECORD_WAITS;
	struct kwg_error why = { 0 };
	char result[320];

	if (s->given && s->cfg->restored)
		keep_entry(s, s->cfg->restored);
	else
		forget_applied(s);
	forget_former(s);
	if (strcmp(r->mesh, s->cfg->mesh.name))
		(void)kwgi_kept_remove(KWG_RUNDIR, r->mesh, kwgi_kept_applied, NULL);
	if (!waited)
		return;
	r->state = KWGI_RECORD_HELD;
	r->reason = s->opt.reason ? s->opt.reason : "it was not confirmed in time";
	r->keeper = "";
	r->running = false;
	snprintf(result, sizeof(result), KWGI_RESULT_UNDONE ": %s", r->reason);
	(void)kwgi_history_conclude(kwgi_kept_history, r->mesh, result, NULL);
	tidy_keeper(r->id);
	if (!r->changed.n)
		remove_record(s, r->mesh);
	else if (save_record(s, r, &why))
		kwgi_steps_say(s, KWG_WARNING, "%.300s", why.text);
}

static void done_waiting(struct kwg_steps *s)
{
	struct kwg_error why = { 0 };

	note_entry(s, KWGI_RESULT_WAITS);
	set_time(s->wait, s->opt.confirm);
	s->wait->running = false;
	if (save_record(s, s->wait, &why))
		kwgi_steps_say(s, KWG_WARNING, "%.300s; the time counts from the first step on", why.text);
	if (s->record.exists && strcmp(s->record.u.record.mesh, s->wait->mesh))
		remove_record(s, s->record.u.record.mesh);
}

/* Older than what the files say: those are held, as if they had not been confirmed. */
static void hold_files(struct kwg_steps *s)
{
	struct kwgi_record r = { .state = KWGI_RECORD_HELD, .mesh = s->cfg->mesh.name, .keeper = "",
				 .reason = "an older configuration was applied instead" };
	struct kwgi_inputs_list now = { 0 };
	struct kwgi_arena arena = { 0 };
	struct kwg_error why = { 0 };

	memcpy(r.origins, s->cfg->mesh.origins, sizeof(r.origins));
	r.since = r.until = kwgi_wall_seconds();
	snprintf(r.id, sizeof(r.id), "%016" PRIx64, (uint64_t)r.since);
	memcpy(r.boot, "-", 2);
	r.has_target = true;
	if (make_entry(&r.target, &arena, s, KWGI_RESULT_APPLIED) ||
	    kwgi_inputs_of(&now, &arena, s->opt.instead_of) ||
	    kwgi_inputs_changed_list(&r.changed, &arena, &r.target.files, &now))
		kwgi_steps_say(s, KWG_WARNING, "out of memory; the files are not held back");
	else if (!r.changed.n)
		remove_record(s, r.mesh);
	else if (save_record(s, &r, &why))
		kwgi_steps_say(s, KWG_WARNING, "%.300s; the files are not held back", why.text);
	kwgi_arena_free(&arena);
}

void kwgi_confirm_done(struct kwg_steps *s)
{
	if (s->opt.restore) {
		done_restoring(s);
		return;
	}
	forget_former(s);
	if (s->wait) {
		done_waiting(s);
		end_wait(s);
		return;
	}
	if (s->record.exists) {
		tidy_keeper(s->record.u.record.id);
		remove_record(s, s->record.u.record.mesh);
	}
	if (!s->given)
		forget_applied(s);
	else if (s->opt.from)
		note_entry(s, KWGI_RESULT_APPLIED);
	if (s->given && s->opt.from && s->opt.instead_of)
		hold_files(s);
}

/* ---- for programs -------------------------------------------------------------------- */

/* The only mesh that has one of these files. */
struct only {
	char mesh[64];
	unsigned n;
};

static void count_mesh(void *arg, const char *mesh, size_t len)
{
	struct only *o = arg;

	if (len >= sizeof(o->mesh) || (o->n && strlen(o->mesh) == len && !memcmp(o->mesh, mesh, len)))
		return;
	memcpy(o->mesh, mesh, len);
	o->mesh[len] = '\0';
	o->n++;
}

static int find_named(struct kwgi_kept *k, const char *mesh, struct kwg_error *err)
{
	struct only only = { .n = 0 };
	struct kwgi_mesh named = { .name = mesh };
	int ret = 0;

	*k = (struct kwgi_kept){ .exists = false };
	if (!mesh) {
		kwgi_kept_list(KWG_RUNDIR, kwgi_kept_confirm, count_mesh, &only);
		kwgi_kept_list(kwgi_kept_history, kwgi_kept_confirm, count_mesh, &only);
		if (only.n > 1)
			return kwgi_fail(err, KWG_ERR_USAGE, 0, "several meshes have something that was not confirmed; which one is meant? (--mesh NAME)");
		named.name = only.mesh;
	} else if (!kwgi_mesh_name_is_valid(mesh)) {
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "\"%.100s\" is no name of a mesh", mesh);
	}
	if (mesh || only.n)
		ret = kwgi_record_find(k, &named, err);
	if (!ret && !k->exists) {
		kwgi_kept_free(k);
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "nothing waits for a confirmation%s%s",
				mesh ? " of mesh " : "", mesh ? mesh : "");
	}
	return ret;
}

static bool keeper_lives(const struct kwgi_record *r)
{
	char name[32 + KWGI_RECORD_ID_TEXT], path[256];

	if (!strncmp(r->keeper, "timer ", 6)) {
		snprintf(path, sizeof(path), "/run/systemd/transient/%s", r->keeper + 6);
		if (!access(path, F_OK))
			return true;
	}
	/* The one that the timer has started, or a process of its own. */
	snprintf(name, sizeof(name), ".keeper-%s", r->id);
	return kwgi_lock_is_taken(KWG_RUNDIR, name);
}

static void describe(struct kwg_pending *out, const struct kwgi_record *r)
{
	char boot[KWGI_BOOT_ID_MAX];

	*out = (struct kwg_pending){
		.waits = r->state == KWGI_RECORD_WAITS, .due = kwgi_record_due_now(r),
		.running = r->running, .since = r->since, .until = r->until, .seconds = r->seconds,
	};
	if (!kwgi_boot_id(boot))
		out->left = kwgi_record_left(r, boot, kwgi_boot_ms());
	snprintf(out->mesh, sizeof(out->mesh), "%s", r->mesh);
	memcpy(out->id, r->id, sizeof(out->id));
	snprintf(out->keeper, sizeof(out->keeper), "%s", r->keeper);
	snprintf(out->reason, sizeof(out->reason), "%s", r->reason);
	out->keeper_lives = out->waits && keeper_lives(r);
}

_Static_assert(sizeof(((struct kwg_pending *)0)->id) == KWGI_RECORD_ID_TEXT, "a whole id");

int kwg_pending_get(struct kwg_pending *out, const char *mesh, struct kwg_error *err)
{
	struct kwgi_kept k;
	int ret = find_named(&k, mesh, err);

	if (ret)
		return ret;
	describe(out, &k.u.record);
	kwgi_kept_free(&k);
	return 0;
}

int kwg_pending_of(struct kwg_pending *out, const struct kwg_config *cfg, struct kwg_error *err)
{
	struct kwgi_kept k;
	int ret = kwgi_record_find(&k, &cfg->mesh, err);

	if (!ret && !k.exists)
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "nothing waits for a confirmation of mesh %s",
				cfg->mesh.name);
	if (!ret)
		describe(out, &k.u.record);
	kwgi_kept_free(&k);
	return ret;
}

int kwg_restore_config(struct kwg_config **out, const char *mesh, struct kwg_error *err)
{
	struct kwgi_kept k;
	int ret = find_named(&k, mesh, err);

	if (ret)
		return ret;
	if (k.u.record.has_target)
		ret = kwgi_entry_config(out, &k.u.record.target, &k.u.record, err);
	else
		*out = NULL;
	kwgi_kept_free(&k);
	return ret;
}

int kwg_keeper_begin(const char *id, struct kwg_error *err)
{
	char name[32 + KWGI_RECORD_ID_TEXT];
	int lock;

	if (strlen(id) >= KWGI_RECORD_ID_TEXT || strspn(id, "0123456789abcdef") != strlen(id))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "that is no number of a change");
	snprintf(name, sizeof(name), ".keeper-%s", id);
	/* Until the process ends. */
	return kwgi_lock_take(KWG_RUNDIR, name, id, 0, NULL, &lock, err);
}

void kwg_keeper_end(const char *id)
{
	char path[sizeof(KWG_RUNDIR) + 32 + KWGI_RECORD_ID_TEXT];

	if (snprintf(path, sizeof(path), KWG_RUNDIR "/.keeper-%s.lock", id) < (int)sizeof(path))
		unlink(path);
}

/* ---- confirming ------------------------------------------------------------------------ */

/* Who is confirmed has come to stay: in the history, and as what is in force. */
static void note_confirmed(const struct kwg_steps *s, const struct kwgi_record *r,
			   const struct kwgi_kept *applied)
{
	struct kwgi_entry e = applied->u.entry;
	struct kwg_error why = { 0 };

	if (!applied->exists)
		return;
	e.result = KWGI_RESULT_CONFIRMED;
	keep_entry(s, &e);
	warn_of(s, kwgi_history_conclude(kwgi_kept_history, r->mesh, KWGI_RESULT_CONFIRMED, &why), &why);
}

/* What was rolled back to stays, and the files that say otherwise are held now. */
static void hold_then(const struct kwg_steps *s, const struct kwgi_record *r,
		      const struct kwgi_kept *applied)
{
	struct kwgi_record held = *r;
	struct kwg_error why = { 0 };

	held.state = KWGI_RECORD_HELD;
	held.changed = r->then;
	held.then.n = 0;
	held.n_keys = 0;
	held.keeper = "";
	held.reason = "an older configuration was applied instead";
	held.target = applied->u.entry;
	held.has_target = applied->exists;
	if (save_record(s, &held, &why))
		kwgi_steps_say(s, KWG_WARNING, "%.300s; the files are not held back", why.text);
}

static int confirm(const struct kwg_steps *s, const char *mesh, const char *id,
		   struct kwg_error *err)
{
	struct kwgi_kept k, applied = { 0 };
	const struct kwgi_record *r = &k.u.record;
	int ret = find_named(&k, mesh, err);

	if (ret)
		return ret;
	if (r->state == KWGI_RECORD_HELD)
		ret = kwgi_fail(err, KWG_ERR_STOPPED, 0, "mesh %s: too late, it was rolled back (%.200s)",
				r->mesh, r->reason);
	else if (id && strcmp(id, r->id))
		ret = kwgi_fail(err, KWG_ERR_STOPPED, 0, "mesh %s: another change has taken its place",
				r->mesh);
	else if (kwgi_record_due_now(r) || r->running)
		ret = kwgi_fail(err, KWG_ERR_STOPPED, 0, "mesh %s: %s", r->mesh,
				r->running ? "its steps were not carried out to the end"
					   : "too late, the time is over");
	if (!ret)
		ret = kwgi_kept_entry(&applied, KWG_RUNDIR, r->mesh, kwgi_kept_applied, err);
	if (!ret) {
		tidy_keeper(r->id);
		note_confirmed(s, r, &applied);
		if (r->then.n && applied.exists)
			hold_then(s, r, &applied);
		else
			remove_record(s, r->mesh);
	}
	kwgi_kept_free(&applied);
	kwgi_kept_free(&k);
	return ret;
}

enum { CONFIRM_WAITS = 10 };	/* seconds for whoever is at work on the mesh */

int kwg_confirm(const char *mesh, const char *id, const struct kwg_host_options *opt,
		struct kwg_error *err)
{
	struct kwg_steps *s = calloc(1, sizeof(*s));
	struct kwg_pending p;
	int lock = -1, ret = s ? kwg_pending_get(&p, mesh, err) : kwgi_nomem(err);

	if (!ret)
		ret = kwgi_lock_take(KWG_RUNDIR, p.mesh, p.mesh, CONFIRM_WAITS, NULL, &lock, err);
	if (!ret) {
		ret = kwgi_host_options_take(&s->opt, opt, err);
		if (!ret)
			ret = confirm(s, p.mesh, id, err);
	}
	if (lock >= 0)
		close(lock);
	free(s);
	return ret;
}

/* ---- status -------------------------------------------------------------------------------- */

static void find_waiting(const struct kwg_pending *p, struct kwgi_findings *f)
{
	char at[32] = "";
	time_t t = (time_t)p->until;
	struct tm tm;

	if (localtime_r(&t, &tm))
		(void)strftime(at, sizeof(at), "%F %T", &tm);
	if (!p->due && p->keeper_lives)
		kwgi_findings_say(f, false, "unconfirmed",
				  "the configuration waits for a confirmation until %s, %" PRId64 " s more, then %s rolls back; to keep it: kilowg confirm",
				  at, (p->left + 999) / 1000, p->keeper);
	else
		kwgi_findings_say(f, true, "unconfirmed",
				  "the configuration waits for a confirmation until %s%s, and nothing will roll back (%s has gone); kilowg confirm, or kilowg rollback",
				  at, p->due ? ", which is over" : "", *p->keeper ? p->keeper : "who did");
}

void kwgi_confirm_find(const struct kwg_config *cfg, struct kwgi_findings *f)
{
	struct kwgi_kept k = { .exists = false };
	struct kwgi_arena arena = { 0 };
	const struct kwgi_input_file *held;
	struct kwg_pending p;

	if (!kwgi_record_find(&k, &cfg->mesh, NULL) && k.exists) {
		describe(&p, &k.u.record);
		if (p.waits)
			find_waiting(&p, f);
		else if (!find_held(&held, &k.u.record, &arena, cfg) && held)
			kwgi_findings_say(f, false, "held",
					  "the previous configuration is in force, not these files (%s); change them, or apply with --confirm, or with --supersede",
					  p.reason);
	}
	kwgi_arena_free(&arena);
	kwgi_kept_free(&k);
}

bool kwgi_confirm_holds(const struct kwg_config *cfg)
{
	const struct kwgi_input_file *held = NULL;
	struct kwgi_kept k = { .exists = false };
	struct kwgi_arena arena = { 0 };
	bool holds;

	holds = !kwgi_record_find(&k, &cfg->mesh, NULL) && k.exists &&
		k.u.record.state == KWGI_RECORD_HELD &&
		!find_held(&held, &k.u.record, &arena, cfg) && held;
	kwgi_arena_free(&arena);
	kwgi_kept_free(&k);
	return holds;
}
