/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over the first files of a host: its key, what is its own, and the mesh with one node. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "config/edit.h"
#include "facade.h"
#include "host/files.h"
#include "kilowg.h"

enum { KEY, LOCAL, MESH, N_FILES };

/* One of the files: text without the last end of line, as kwgi_file_write_new_secret() takes it. */
struct new_file {
	struct kwgi_buf path, text;
	bool there;		/* as it is to be */
	bool made;		/* by this call */
};

struct init {
	struct kwg_init_options opt;
	struct new_file files[N_FILES];
	struct kwgi_buf section;
	struct kwgi_key public_key;
};

static void free_init(struct init *in)
{
	int i;

	for (i = 0; i < N_FILES; i++) {
		kwgi_buf_free(&in->files[i].path);
		kwgi_buf_free(&in->files[i].text);
	}
	kwgi_buf_free(&in->section);
}

/* ---- texts ----------------------------------------------------------- */

static bool is_given(const char *value)
{
	return value && *value && strcmp(value, "-");
}

static int check_value(const char *key, const char *value, struct kwg_error *err)
{
	if (!is_given(value) || kwgi_edit_is_value(value))
		return 0;
	return kwgi_fail(err, KWG_ERR_USAGE, 0,
			 "%s: no value has control characters, or \"#\" or \";\" at its beginning or behind a blank", key);
}

static int check_values(const struct kwg_init_options *o, struct kwg_error *err)
{
	int ret = check_value("name", o->name, err);

	if (!ret && !is_given(o->name))
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "a node wants a name");
	if (!ret)
		ret = check_value("location", o->location, err);
	if (!ret)
		ret = check_value("endpoint", o->endpoint, err);
	if (!ret)
		ret = check_value("internal-ip", o->internal_ip, err);
	return ret ? ret : check_value("private-key-file", o->private_key_file, err);
}

/* The key that is there, or a new one. */
static int find_key(struct init *in, struct kwg_error *err)
{
	struct new_file *f = &in->files[KEY];
	char text[KWG_KEY_TEXT];
	struct kwgi_key key;
	bool too_open;
	int ret;

	f->there = !kwgi_file_is_missing(f->path.p);
	ret = f->there ? kwgi_file_read_key(f->path.p, &key, &too_open, err) : kwg_genkey(text, err);
	if (ret)
		return ret;
	if (!f->there && kwgi_key_parse(&key, text))
		ret = kwgi_fail(err, KWG_ERR_IO, 0, "the new key is none");
	else if (kwgi_key_public(&in->public_key, &key))
		ret = kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: the private key has no public key", f->path.p);
	else if (!f->there)
		kwgi_buf_puts(&f->text, text);
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(text, sizeof(text));
	return ret;
}

static void put(struct kwgi_buf *b, const char *key, const char *value)
{
	if (is_given(value))
		kwgi_buf_printf(b, "%s = %s\n", key, value);
}

/* Who cannot be called has to call. */
static void write_section(struct init *in)
{
	const struct kwg_init_options *o = &in->opt;
	struct kwgi_buf *b = &in->section;

	kwgi_buf_puts(b, "[node]\n");
	put(b, "name", o->name);
	kwgi_buf_puts(b, "public-key = ");
	kwgi_buf_key(b, &in->public_key);
	kwgi_buf_putc(b, '\n');
	put(b, "location", o->location);
	put(b, "endpoint", o->endpoint);
	if (!is_given(o->endpoint))
		kwgi_buf_puts(b, "persistent-keepalive = 25\n");
	kwgi_buf_printf(b, "internal-ip = %s\n", is_given(o->internal_ip) ? o->internal_ip : "-");
}

static void write_texts(struct init *in)
{
	struct kwgi_buf *local = &in->files[LOCAL].text, *mesh = &in->files[MESH].text;

	kwgi_buf_printf(local, "# Of this host alone, see kilowg.ini(5).\n[local]\nnode = %s", in->opt.name);
	if (in->opt.private_key_file)
		kwgi_buf_printf(local, "\nprivate-key-file = %s", in->opt.private_key_file);
	kwgi_buf_puts(mesh, "# The same on all hosts. \"kilowg node add\" adds others, see kilowg(8).\n[mesh]\nformat = 1\n\n");
	/* Without its last end of line. */
	if (in->section.len)
		kwgi_buf_add(mesh, in->section.p, in->section.len - 1);
}

/* ---- files ----------------------------------------------------------- */

static int name_files(struct init *in, struct kwg_error *err)
{
	const char *folder = in->opt.folder ? in->opt.folder : KWG_SYSCONFDIR;
	bool failed = false;
	int i;

	kwgi_buf_puts(&in->files[KEY].path, in->opt.private_key_file ? in->opt.private_key_file : KWG_STATEDIR "/key");
	kwgi_buf_printf(&in->files[LOCAL].path, "%s/local.ini", folder);
	kwgi_buf_printf(&in->files[MESH].path, "%s/mesh.ini", folder);
	for (i = 0; i < N_FILES; i++)
		failed |= in->files[i].path.failed;
	return failed ? kwgi_nomem(err) : 0;
}

/* One that is there has to be what it is to be: of a call that was cut off, or the same once more. */
static int look_at(struct new_file *f, struct kwg_error *err)
{
	char *text;
	size_t len;
	int ret;

	if (f->text.failed)
		return kwgi_nomem(err);
	if (!kwgi_file_exists(f->path.p))
		return 0;
	ret = kwgi_file_read(f->path.p, KWGI_FILE_MAX_CONFIG, &text, &len, err);
	if (ret)
		return ret;
	f->there = len == f->text.len + 1 && !memcmp(text, f->text.p, f->text.len);
	sodium_memzero(text, len);
	free(text);
	return f->there ? 0 : kwgi_fail(err, KWG_ERR_USAGE, 0,
					"%.300s exists already and is not changed; no file was created",
					f->path.p);
}

/* With what else is read on this host. */
static int check_together(const struct init *in, struct kwg_error *err)
{
	struct kwg_config *cfg = kwg_config_new();
	size_t i;
	int ret = cfg ? 0 : kwgi_nomem(err);

	if (!ret)
		ret = in->opt.folder ? kwg_config_add_path(cfg, in->opt.folder, err) : kwg_config_add_default(cfg, err);
	/* No folder or no file yet is what is wanted. */
	if (ret == KWG_ERR_IO && !cfg->n_texts)
		ret = 0;
	for (i = LOCAL; i < N_FILES && !ret; i++)
		if (!in->files[i].there)
			ret = kwg_config_add_text(cfg, in->files[i].path.p, in->files[i].text.p, in->files[i].text.len,
						  err);
	if (!ret)
		ret = kwg_config_finish(cfg, err);
	for (i = 0; ret == KWG_ERR_CONFIG && i < cfg->diags.n; i++) {
		const struct kwg_diag *d = &cfg->diags.v[i].diag;

		if (d->severity != KWG_ERROR)
			continue;
		ret = kwgi_fail(err, KWG_ERR_CONFIG, 0, "%.100s:%u: %.32s%s%.300s; no file was made", d->file, d->line,
				d->key, *d->key ? ": " : "", d->text);
		break;
	}
	kwg_config_free(cfg);
	return ret;
}

static int write_files(struct init *in, struct kwg_error *err)
{
	int i, ret = 0;

	for (i = 0; i < N_FILES && !ret; i++) {
		if (in->files[i].there)
			continue;
		ret = kwgi_file_write_new_secret(in->files[i].path.p, in->files[i].text.p, err);
		in->files[i].made = !ret;
	}
	for (i = 0; i < N_FILES && ret; i++)
		if (in->files[i].made)
			unlink(in->files[i].path.p);
	return ret;
}

int kwg_init(const struct kwg_init_options *options, char **out, size_t *len, struct kwg_error *err)
{
	struct init in = { .opt = KWG_INIT_OPTIONS_INIT };
	int ret = kwgi_take(&in.opt, sizeof(in.opt), options, "kwg_init_options", err);

	if (!ret)
		ret = check_values(&in.opt, err);
	if (!ret)
		ret = name_files(&in, err);
	if (!ret)
		ret = find_key(&in, err);
	if (!ret) {
		write_section(&in);
		write_texts(&in);
		ret = in.section.failed ? kwgi_nomem(err) : look_at(&in.files[LOCAL], err);
	}
	if (!ret)
		ret = look_at(&in.files[MESH], err);
	if (!ret)
		ret = check_together(&in, err);
	if (!ret)
		ret = write_files(&in, err);
	if (!ret)
		ret = kwgi_give(&in.section, out, len, err);
	free_init(&in);
	return ret;
}
