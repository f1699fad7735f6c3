/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over changes in the files of a configuration. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "config/config_keys.h"
#include "config/edit.h"
#include "config/textdiff.h"
#include "facade.h"
#include "host/files.h"
#include "kilowg.h"
#include "plan/peeraddr.h"

struct kwg_edit {
	const struct kwg_config *cfg;
	uint32_t file;		/* index of its text, and of its name */
	struct kwgi_buf now;
};

static struct kwgi_text before(const struct kwg_edit *e)
{
	return (struct kwgi_text){ e->cfg->texts[e->file].text, e->cfg->texts[e->file].len };
}

static struct kwgi_text after(const struct kwg_edit *e)
{
	return (struct kwgi_text){ e->now.p ? e->now.p : "", e->now.len };
}

const char *kwg_edit_file(const struct kwg_edit *e)
{
	return e->cfg->texts[e->file].name;
}

void kwg_edit_free(struct kwg_edit *e)
{
	if (!e)
		return;
	kwgi_buf_free(&e->now);
	free(e);
}

static int new_edit(struct kwg_edit **out, const struct kwg_config *cfg, uint32_t file, struct kwg_error *err)
{
	struct kwg_edit *e;

	if (!strcmp(cfg->texts[file].name, "-"))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "standard input cannot be changed; name a file");
	e = calloc(1, sizeof(*e));
	if (!e)
		return kwgi_nomem(err);
	e->cfg = cfg;
	e->file = file;
	*out = e;
	return 0;
}

/* ---- which file ------------------------------------------------------ */

/* Does it say anything of the mesh, and not of this host alone? */
static bool is_of_mesh(const struct kwg_config *cfg, uint32_t file)
{
	uint32_t i;

	if (cfg->mesh.at.line && cfg->mesh.at.file == file)
		return true;
	for (i = 0; i < cfg->n_nodes; i++)
		if (cfg->nodes[i].at.file == file)
			return true;
	for (i = 0; i < cfg->n_peers; i++)
		if (cfg->peers[i].at.file == file)
			return true;
	return false;
}

static int fail_ambiguous(const struct kwg_config *cfg, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	uint32_t i, n = 0;
	int ret;

	for (i = 0; i < cfg->n_texts; i++)
		if (is_of_mesh(cfg, i))
			kwgi_buf_printf(&b, "%s%s", n++ ? ", " : "", cfg->texts[i].name);
	ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "several files describe the mesh: %.400s; say which one to change",
			b.p ? b.p : "");
	kwgi_buf_free(&b);
	return ret;
}

/* The one file of the mesh; of several the one that is named. */
static int find_file(const struct kwg_config *cfg, const char *name, uint32_t *file, struct kwg_error *err)
{
	uint32_t i, n = 0;

	for (i = 0; i < cfg->n_texts; i++) {
		if (name && !strcmp(cfg->texts[i].name, name)) {
			*file = i;
			return 0;
		}
		if (!name && (is_of_mesh(cfg, i) || cfg->n_texts == 1)) {
			*file = i;
			n++;
		}
	}
	if (name)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "%.300s is not one of the files of this configuration", name);
	if (n > 1)
		return fail_ambiguous(cfg, err);
	return n ? 0 : kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "no file describes the mesh; say which one to change");
}

/* Where the section of a node or peer begins. */
static int find_section(const struct kwg_config *cfg, bool peer, const char *name, struct kwgi_place *at,
			struct kwg_error *err)
{
	const char *what = peer ? "peer" : "node";
	char first[KWGI_PLACE_TEXT], second[KWGI_PLACE_TEXT];
	uint32_t i, n = 0;

	for (i = 0; i < (peer ? cfg->n_peers : cfg->n_nodes); i++) {
		struct kwgi_place here = peer ? cfg->peers[i].at : cfg->nodes[i].at;

		if (strcmp(peer ? cfg->peers[i].name : cfg->nodes[i].name, name))
			continue;
		if (n++)
			return kwgi_fail(err, KWG_ERR_USAGE, 0,
					 "%s \"%.100s\" stands at %.150s and at %.150s; take one of them out by hand",
					 what, name, kwgi_diags_place(&cfg->diags, first, *at),
					 kwgi_diags_place(&cfg->diags, second, here));
		*at = here;
	}
	return n ? 0 : kwgi_fail(err, KWG_ERR_USAGE, 0, "there is no %s \"%.253s\" in the files", what, name);
}

/* ---- settings: "key=value" ------------------------------------------- */

/* The key of a setting and its value, without blanks around them. */
static int split(const char *setting, char key[KWGI_INI_MAX_KEY + 1], const char **value, struct kwg_error *err)
{
	const char *eq = strchr(setting, '=');
	size_t len = eq ? (size_t)(eq - setting) : 0;

	if (!eq)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "\"%.60s\" is no setting; key=value is one", setting);
	while (len && setting[len - 1] == ' ')
		len--;
	if (!len || len > KWGI_INI_MAX_KEY ||
	    strspn(setting, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") < len)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "the text before \"=\" of a setting is no key; a key is made of letters, digits and dashes");
	memcpy(key, setting, len);
	key[len] = '\0';
	*value = eq + 1 + strspn(eq + 1, " \t");
	return 0;
}

/* All who may look at processes can read what stands on a command line. */
static int check_setting(const char *key, const char *value, struct kwg_error *err)
{
	if (!strcmp(key, "preshared-key") || !strcmp(key, "private-key"))
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "%s: a secret is not for the command line, which others can see; %s", key,
				 strcmp(key, "private-key") ? "use preshared-key-file, or give the section by a file or standard input"
							    : "a private key stays on the machine that it is of");
	if (*value && !kwgi_edit_is_value(value))
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "%s: no value has control characters, or \"#\" or \";\" at its beginning or behind a blank", key);
	return 0;
}

/* Of the same key after this one the values, too, as a list. */
static int join_values(struct kwgi_buf *list, const char *key, const char *const *settings, size_t n,
		       struct kwg_error *err)
{
	char other[KWGI_INI_MAX_KEY + 1];
	const char *value;
	size_t i;
	int ret;

	for (i = 0; i < n; i++) {
		ret = split(settings[i], other, &value, err);
		if (!ret)
			ret = check_setting(other, value, err);
		if (ret)
			return ret;
		if (strcmp(key, other))
			continue;
		if (list->len)
			kwgi_buf_puts(list, ", ");
		kwgi_buf_puts(list, value);
	}
	return 0;
}

static bool is_given_before(const char *key, const char *const *settings, size_t n)
{
	char other[KWGI_INI_MAX_KEY + 1];
	const char *value;
	size_t i;

	for (i = 0; i < n; i++)
		if (!split(settings[i], other, &value, NULL) && !strcmp(key, other))
			return true;
	return false;
}

/* In the section at a line of a text; an empty value takes the key out. */
static int apply_settings(struct kwgi_buf *text, uint32_t line, const char *const *settings, size_t n,
			  struct kwg_error *err)
{
	char key[KWGI_INI_MAX_KEY + 1];
	const char *value;
	size_t i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		struct kwgi_buf list = { 0 }, out = { 0 };
		struct kwgi_text t;

		ret = split(settings[i], key, &value, err);
		if (!ret && is_given_before(key, settings, i))
			continue;
		if (!ret)
			ret = join_values(&list, key, settings + i, n - i, err);
		if (!ret) {
			t = (struct kwgi_text){ text->p ? text->p : "", text->len };
			kwgi_edit_set(&out, &t, line, key, list.len ? list.p : NULL);
			out.failed |= list.failed | text->failed;
			kwgi_buf_free(text);
			*text = out;
		}
		kwgi_buf_free(&list);
	}
	return ret;
}

/* ---- the section that is to be added --------------------------------- */

/* Its text alone has to be one section of the kind. */
static int read_section(struct kwgi_buf *out, bool peer, const char *text, size_t len, struct kwg_error *err)
{
	const char *what = peer ? "peer" : "node";
	struct kwg_config *cfg = kwg_config_new();
	struct kwgi_text t = { text, len };
	int ret = 0;

	if (!cfg || kwgi_config_add_text(cfg, "", text, len))
		ret = kwgi_nomem(err);
	else if (cfg->n_nodes != (peer ? 0u : 1u) || cfg->n_peers != (peer ? 1u : 0u) || cfg->mesh.at.line || cfg->local.at.line)
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0,
				"the text that is to be added has to be one [%s] section, and nothing else", what);
	else if (cfg->diags.errors && cfg->diags.n)
		ret = kwgi_fail(err, KWG_ERR_CONFIG, 0, "line %u of the text that is to be added: %.32s%s%.300s",
				cfg->diags.v[0].diag.line, cfg->diags.v[0].diag.key,
				*cfg->diags.v[0].diag.key ? ": " : "", cfg->diags.v[0].diag.text);
	else
		kwgi_edit_section(out, &t, peer ? cfg->peers[0].at.line : cfg->nodes[0].at.line);
	kwg_config_free(cfg);
	return ret;
}

/* Is there a name in it? Without one it could not be added. */
static int name_section(struct kwgi_buf *section, const char *name, struct kwg_error *err)
{
	struct kwgi_text t = { section->p, section->len };
	struct kwgi_buf out = { 0 };

	if (!name || section->failed)
		return 0;
	if (!kwgi_edit_is_value(name))
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "no name is empty, or has control characters, or \"#\" or \";\" at its beginning or behind a blank");
	kwgi_edit_set(&out, &t, 1, "name", name);
	kwgi_buf_free(section);
	*section = out;
	return 0;
}

int kwg_edit_add(struct kwg_edit **out, const struct kwg_config *cfg, const char *file, bool peer,
		 const char *name, const char *text, size_t len, const char *const *settings, size_t n,
		 struct kwg_error *err)
{
	struct kwgi_buf section = { 0 };
	struct kwg_edit *e = NULL;
	struct kwgi_text t;
	uint32_t index = 0;
	int ret = find_file(cfg, file, &index, err);

	if (!ret)
		ret = new_edit(&e, cfg, index, err);
	if (!ret && text)
		ret = read_section(&section, peer, text, len, err);
	else if (!ret)
		kwgi_buf_puts(&section, peer ? "[peer]\n" : "[node]\n");
	if (!ret)
		ret = name_section(&section, name, err);
	if (!ret)
		ret = apply_settings(&section, 1, settings, n, err);
	if (!ret && !section.failed) {
		t = before(e);
		kwgi_edit_add(&e->now, &t, section.p);
	}
	if (!ret && (section.failed || e->now.failed))
		ret = kwgi_nomem(err);
	kwgi_buf_free(&section);
	if (ret)
		kwg_edit_free(e);
	else
		*out = e;
	return ret;
}

int kwg_edit_set(struct kwg_edit **out, const struct kwg_config *cfg, bool peer, const char *name,
		 const char *const *settings, size_t n, struct kwg_error *err)
{
	struct kwg_edit *e = NULL;
	struct kwgi_place at;
	int ret = find_section(cfg, peer, name, &at, err);

	if (!ret)
		ret = new_edit(&e, cfg, at.file, err);
	if (!ret) {
		kwgi_buf_add(&e->now, before(e).p, before(e).len);
		ret = apply_settings(&e->now, at.line, settings, n, err);
	}
	if (!ret && e->now.failed)
		ret = kwgi_nomem(err);
	if (ret)
		kwg_edit_free(e);
	else
		*out = e;
	return ret;
}

int kwg_edit_remove(struct kwg_edit **out, const struct kwg_config *cfg, bool peer, const char *name,
		    struct kwg_error *err)
{
	struct kwg_edit *e = NULL;
	struct kwgi_place at;
	struct kwgi_text t;
	int ret = find_section(cfg, peer, name, &at, err);

	if (!ret)
		ret = new_edit(&e, cfg, at.file, err);
	if (ret)
		return ret;
	t = before(e);
	kwgi_edit_remove(&e->now, &t, at.line);
	if (e->now.failed) {
		kwg_edit_free(e);
		return kwgi_nomem(err);
	}
	*out = e;
	return 0;
}

/* ---- what becomes of it ---------------------------------------------- */

int kwg_edit_config(const struct kwg_edit *e, struct kwg_config **out, struct kwg_error *err)
{
	const struct kwg_config *old = e->cfg;
	struct kwg_config *cfg = kwg_config_new();
	uint32_t i;
	int ret = cfg ? 0 : kwgi_nomem(err);

	for (i = 0; i < old->n_texts && !ret; i++) {
		struct kwgi_text t = i == e->file ? after(e)
						  : (struct kwgi_text){ old->texts[i].text, old->texts[i].len };

		ret = kwg_config_add_text(cfg, old->texts[i].name, t.p, t.len, err);
	}
	if (!ret && old->interface_option)
		ret = kwg_config_set_local(cfg, "interface", old->interface_option, err);
	if (!ret)
		ret = kwg_config_finish(cfg, err);
	/* The remarks say what the errors are. */
	if (ret && ret != KWG_ERR_CONFIG) {
		kwg_config_free(cfg);
		return ret;
	}
	*out = cfg;
	return 0;
}

int kwg_edit_diff(const struct kwg_edit *e, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_text a = before(e), b = after(e);
	struct kwgi_buf diff = { 0 };

	kwgi_buf_puts(&diff, "");
	kwgi_textdiff(&diff, kwg_edit_file(e), &a, &b);
	return kwgi_give(&diff, out, len, err);
}

int kwg_edit_save(const struct kwg_edit *e, struct kwg_error *err)
{
	struct kwgi_text a = before(e), b = after(e);

	return kwgi_file_replace_same(kwg_edit_file(e), (struct kwgi_file_text){ a.p, a.len },
				      (struct kwgi_file_text){ b.p, b.len }, err);
}

int kwg_config_free_addresses(const struct kwg_config *cfg, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_addr found[KWGI_PEERADDR_MAX];
	int i, n = kwgi_peeraddr_find(found, cfg);
	struct kwgi_buf b = { 0 };

	if (n < 0)
		return kwgi_nomem(err);
	if (!n)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "no address is free after those of other peers, or after the subnet of the mesh");
	for (i = 0; i < n; i++) {
		struct kwgi_prefix host = kwgi_prefix_host(&found[i]);

		kwgi_buf_puts(&b, i ? ", " : "");
		kwgi_buf_prefix(&b, &host);
	}
	return kwgi_give(&b, out, len, err);
}
