/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over the configurations that were applied: looking back, and which to go back to. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "base/error.h"
#include "config/json.h"
#include "facade.h"
#include "host/files.h"
#include "kept.h"
#include "kilowg_steps.h"
#include "plan/plan.h"

/* ---- which mesh ----------------------------------------------------------- */

/* All entries are of one mesh, or of the names that it had. */
static int check_one_mesh(const struct kwgi_history *h, struct kwg_error *err)
{
	uint32_t i;

	for (i = 1; i < h->n; i++) {
		const struct kwgi_entry *a = &h->v[0].entry, *b = &h->v[i].entry;

		if (strcmp(a->mesh, b->mesh) && strcmp(a->origins[0], b->origins[0]))
			return kwgi_fail(err, KWG_ERR_USAGE, 0,
					 "there are several meshes, such as %s and %s; which one is meant? (--mesh NAME)",
					 a->mesh, b->mesh);
	}
	return 0;
}

static int load(struct kwgi_history *h, const char *mesh, struct kwg_error *err)
{
	int ret;

	if (mesh && !kwgi_mesh_name_is_valid(mesh))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "\"%.100s\" is no name of a mesh", mesh);
	ret = kwgi_history_load(h, kwgi_kept_history, mesh, NULL, err);
	if (!ret && !mesh)
		ret = check_one_mesh(h, err);
	if (!ret && !h->n)
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "no configuration is kept%s%s yet",
				mesh ? " of mesh " : "", mesh ? mesh : "");
	return ret;
}

/* ---- the list ---------------------------------------------------------------- */

static void put_time(struct kwgi_buf *b, int64_t seconds)
{
	time_t t = (time_t)seconds;
	char at[32] = "?";
	struct tm tm;

	if (localtime_r(&t, &tm))
		(void)strftime(at, sizeof(at), "%F %T", &tm);
	kwgi_buf_puts(b, at);
}

static bool is_in_force(const struct kwgi_entry *e)
{
	struct kwgi_kept k;
	bool same;

	same = !kwgi_kept_entry(&k, KWG_RUNDIR, e->mesh, kwgi_kept_applied, NULL) && k.exists &&
	       kwgi_entry_same(&k.u.entry, e);
	kwgi_kept_free(&k);
	return same;
}

/* Names and errors may hold what a terminal would obey. */
static void put_safe(struct kwgi_buf *b, const char *s)
{
	for (; *s; s++)
		kwgi_buf_putc(b, (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
}

/* "mesh.ini local.ini", without their folder if that is one. */
static void put_files(struct kwgi_buf *b, const struct kwgi_entry *e)
{
	const char *slash;
	uint32_t i;

	for (i = 0; i < e->files.n; i++) {
		if (e->files.v[i].secret)
			continue;
		slash = strrchr(e->files.v[i].path, '/');
		kwgi_buf_putc(b, ' ');
		put_safe(b, slash ? slash + 1 : e->files.v[i].path);
	}
}

static void put_line(struct kwgi_buf *b, uint32_t number, const struct kwgi_entry *e, bool in_force)
{
	kwgi_buf_printf(b, "%c%2u  ", in_force ? '*' : ' ', number);
	put_time(b, e->time);
	kwgi_buf_puts(b, "  ");
	put_safe(b, e->result);
	kwgi_buf_printf(b, "  mesh %s node %s  %.12s  by ", e->mesh, e->node, e->plan);
	put_safe(b, e->from);
	kwgi_buf_puts(b, *e->user ? ", " : "");
	put_safe(b, e->user);
	kwgi_buf_puts(b, " :");
	put_files(b, e);
	kwgi_buf_putc(b, '\n');
}

static void put_object(struct kwgi_json *j, uint32_t number, const struct kwgi_entry *e,
		       bool in_force)
{
	uint32_t i;

	kwgi_json_object(j, NULL);
	kwgi_json_uint(j, "number", number);
	kwgi_json_bool(j, "in_force", in_force);
	kwgi_json_int(j, "time", e->time);
	kwgi_json_string(j, "mesh", e->mesh);
	kwgi_json_string(j, "node", e->node);
	kwgi_json_string(j, "result", e->result);
	kwgi_json_string(j, "plan", e->plan);
	kwgi_json_string(j, "from", e->from);
	kwgi_json_string(j, "user", e->user);
	kwgi_json_array(j, "files");
	for (i = 0; i < e->files.n; i++) {
		kwgi_json_object(j, NULL);
		kwgi_json_string(j, "path", e->files.v[i].path);
		kwgi_json_string(j, "digest", e->files.v[i].digest);
		kwgi_json_bool(j, "secret", e->files.v[i].secret);
		kwgi_json_end_object(j);
	}
	kwgi_json_end_array(j);
	kwgi_json_end_object(j);
}

int kwg_history(const char *mesh, bool json, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_history h = { .n = 0 };
	struct kwgi_buf b = { 0 };
	struct kwgi_json j = { .b = &b };
	bool in_force, found = false;
	uint32_t i;
	int ret = load(&h, mesh, err);

	if (json) {
		kwgi_json_object(&j, NULL);
		kwgi_json_uint(&j, "schema", 1);
		kwgi_json_array(&j, "entries");
	}
	for (i = 0; !ret && i < h.n; i++) {
		in_force = !found && is_in_force(&h.v[i].entry);
		found = found || in_force;
		if (json)
			put_object(&j, i + 1, &h.v[i].entry, in_force);
		else
			put_line(&b, i + 1, &h.v[i].entry, in_force);
	}
	if (json) {
		kwgi_json_end_array(&j);
		kwgi_json_end_object(&j);
	}
	kwgi_history_free(&h);
	if (!ret)
		return kwgi_give(&b, out, len, err);
	kwgi_buf_free(&b);
	return ret;
}

/* ---- one of them ---------------------------------------------------------------- */

static int pick(const struct kwgi_entry **e, const struct kwgi_history *h, unsigned n,
		struct kwg_error *err)
{
	if (!n || n > h->n)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "there is no configuration %u; \"kilowg history\" lists 1 to %u",
				 n, h->n);
	*e = &h->v[n - 1].entry;
	return 0;
}

/* The last one that was in force and is another than what is. */
static int pick_before(const struct kwgi_entry **e, const struct kwgi_history *h,
		       struct kwg_error *err)
{
	const struct kwgi_entry *now = NULL;
	uint32_t i;

	for (i = 0; i < h->n && !now; i++)
		if (is_in_force(&h->v[i].entry))
			now = &h->v[i].entry;
	for (i = 0; i < h->n; i++) {
		if (!kwgi_entry_is_good(&h->v[i].entry) ||
		    (now && (&h->v[i].entry <= now || kwgi_entry_same(now, &h->v[i].entry))))
			continue;
		*e = &h->v[i].entry;
		return 0;
	}
	return kwgi_fail(err, KWG_ERR_USAGE, 0, "no configuration from before is kept");
}

static int make_plan(struct kwg_config **cfg, struct kwg_plan **plan, const struct kwgi_entry *e,
		     struct kwg_error *err)
{
	int ret = kwgi_entry_config(cfg, e, NULL, err);

	return ret ? ret : kwg_plan_new(plan, *cfg, e->node, err);
}

static int diff_entries(struct kwgi_buf *b, const struct kwgi_entry *a, const struct kwgi_entry *c,
			struct kwg_error *err)
{
	struct kwg_config *cfg[2] = { NULL, NULL };
	struct kwg_plan *plan[2] = { NULL, NULL };
	char *text[2] = { NULL, NULL };
	int ret = make_plan(&cfg[0], &plan[0], a, err), i;

	if (!ret)
		ret = make_plan(&cfg[1], &plan[1], c, err);
	for (i = 0; !ret && i < 2; i++) {
		struct kwgi_buf t = { 0 };

		kwgi_plan_text(plan[i], &t);
		ret = kwgi_give(&t, &text[i], NULL, err);
	}
	if (!ret && kwgi_plan_text_diff(b, text[0], text[1]))
		ret = kwgi_nomem(err);
	for (i = 0; i < 2; i++) {
		free(text[i]);
		kwg_plan_free(plan[i]);
		kwg_config_free(cfg[i]);
	}
	return ret;
}

int kwg_history_diff(const char *mesh, unsigned a, unsigned b, char **out, size_t *len,
		     struct kwg_error *err)
{
	struct kwgi_history h = { .n = 0 };
	const struct kwgi_entry *x = NULL, *y = NULL;
	struct kwgi_buf text = { 0 };
	int ret = load(&h, mesh, err);

	if (!ret)
		ret = pick(&x, &h, a, err);
	if (!ret)
		ret = pick(&y, &h, b, err);
	kwgi_buf_puts(&text, "");
	if (!ret)
		ret = diff_entries(&text, x, y, err);
	kwgi_history_free(&h);
	if (!ret)
		return kwgi_give(&text, out, len, err);
	kwgi_buf_free(&text);
	return ret;
}

/* A secret in a file is that of now, which may be another one than then. */
static void tell_of_secrets(const struct kwgi_entry *e, const struct kwg_host_options *opt)
{
	struct kwg_steps s = { .opt = *opt };
	struct kwgi_key key;
	char digest[KWGI_DIGEST_TEXT];
	uint32_t i;
	bool open;

	for (i = 0; i < e->files.n; i++) {
		const struct kwgi_input_file *in = &e->files.v[i];

		if (!in->secret)
			continue;
		memcpy(digest, "-", 2);
		if (!kwgi_file_read_key(in->path, &key, &open, NULL)) {
			kwgi_digest(digest, key.b, sizeof(key.b));
			sodium_memzero(&key, sizeof(key));
		}
		if (strcmp(digest, in->digest))
			kwgi_steps_say(&s, KWG_WARNING, "%s: holds another key than it did then; keys in files are not kept",
				       in->path);
	}
}

int kwg_history_config(struct kwg_config **out, const char *mesh, unsigned n,
		       const struct kwg_host_options *opt, struct kwg_error *err)
{
	struct kwgi_history h = { .n = 0 };
	const struct kwgi_entry *e = NULL;
	int ret = load(&h, mesh, err);

	if (!ret)
		ret = n ? pick(&e, &h, n, err) : pick_before(&e, &h, err);
	if (!ret)
		ret = kwgi_entry_config(out, e, NULL, err);
	if (!ret)
		tell_of_secrets(e, opt);
	kwgi_history_free(&h);
	return ret;
}
