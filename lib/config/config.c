/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/config_keys.h"
#include "config/ini.h"

/* ---- near misses ----------------------------------------------------- */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '_' ? '-' : c;
}

/* Levenshtein distance, blind to case and to _ for -. b at most KWGI_INI_MAX_KEY long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[KWGI_INI_MAX_KEY + 2], diagonal, above, i, j;
	unsigned n = (unsigned)strlen(b);

	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 1; a[i - 1]; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= n; j++) {
			above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1,
				      diagonal + (fold(a[i - 1]) != fold(b[j - 1])));
			diagonal = above;
		}
	}
	return row[n];
}

struct guess {
	const char *name;
	unsigned distance;
};

static void consider(struct guess *g, const char *word, const char *candidate)
{
	unsigned d, limit = (unsigned)strlen(candidate) / 3 + 1;

	if (strlen(word) > KWGI_INI_MAX_KEY)
		return;
	d = distance(word, candidate);
	if (d <= limit && (!g->name || d < g->distance)) {
		g->name = candidate;
		g->distance = d;
	}
}

static const struct kwgi_section *find_section(struct kwgi_parse *p, const char *name)
{
	struct guess g = { 0 };
	size_t i;

	for (i = 0; i < KWGI_SECTIONS; i++)
		if (!strcmp(name, kwgi_sections[i].name))
			return &kwgi_sections[i];
	for (i = 0; i < KWGI_SECTIONS; i++)
		consider(&g, name, kwgi_sections[i].name);
	kwgi_diags_add(&p->cfg->diags, KWG_ERROR, p->at, "",
		       "unknown section [%s]%s%s%s; [mesh], [local], [node], [peer] and [end] are accepted",
		       strlen(name) > KWGI_INI_MAX_KEY ? "..." : name, g.name ? ", did you mean [" : "", g.name ? g.name : "",
		       g.name ? "]" : "");
	return NULL;
}

static const struct kwgi_section_key *key_in(const struct kwgi_section *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n_keys; i++)
		if (!strcmp(name, s->keys[i].name))
			return &s->keys[i];
	return NULL;
}

/* As wg(8) has it in its files. */
static void report_private_key(struct kwgi_parse *p, const char *name)
{
	const char *where = "a node's stays on its own host, in the file that private-key-file in [local] names; the others need its public-key";

	if (!strcmp(p->section->name, "peer"))
		where = "a peer's stays on its own machine, and \"kilowg showconf peer NAME --private-key FILE\" puts it into the configuration for that; give public-key";
	else if (!strcmp(p->section->name, "local"))
		where = "that of this host has a file of its own; give the path of that as private-key-file";
	kwgi_diags_add(&p->cfg->diags, KWG_ERROR, p->at, name, "a private key does not belong in this file: %s",
		       where);
}

/* A key that belongs elsewhere, one that is nearly there, or neither. */
static void report_unknown_key(struct kwgi_parse *p, const char *name)
{
	const struct kwgi_section *s = p->section;
	struct kwgi_diags *d = &p->cfg->diags;
	struct guess g = { 0 };
	size_t i;

	if (!distance(name, "private-key") || !distance(name, "privatekey")) {
		report_private_key(p, name);
		return;
	}
	for (i = 0; i < KWGI_SECTIONS; i++) {
		if (key_in(&kwgi_sections[i], name)) {
			kwgi_diags_add(d, KWG_ERROR, p->at, name,
				       "unknown key in [%s]; it belongs in [%s]", s->name,
				       kwgi_sections[i].name);
			return;
		}
	}
	for (i = 0; i < s->n_keys; i++)
		consider(&g, name, s->keys[i].name);
	if (g.name)
		kwgi_diags_add(d, KWG_ERROR, p->at, name,
			       "unknown key in [%s]; did you mean %s?", s->name, g.name);
	else
		kwgi_diags_add(d, KWG_ERROR, p->at, name,
			       "unknown key in [%s]; kilowg.ini(5) has the list", s->name);
}

/* ---- reading --------------------------------------------------------- */

/* After [end] there can only be what was never meant to be read, such as two files in one. */
static bool is_behind_end(struct kwgi_parse *p)
{
	char end[KWGI_PLACE_TEXT];

	if (!p->end_at.line)
		return false;
	kwgi_diags_add(&p->cfg->diags, KWG_ERROR, p->at, "",
		       "follows [end] (%s); only comments may follow it",
		       kwgi_diags_place(&p->cfg->diags, end, p->end_at));
	return true;
}

static void on_section(void *arg, const char *name, struct kwgi_place at)
{
	struct kwgi_parse *p = arg;

	p->at = at;
	p->object = NULL;
	if (is_behind_end(p))
		return;
	memset(p->seen, 0, sizeof(p->seen));
	p->section = find_section(p, name);
	if (p->section)
		p->object = p->section->begin(p);
}

/* A key pasted into the wrong line must not reach a log. */
static bool looks_like_key(const char *v)
{
	size_t len = strlen(v);

	return len >= 40 && strspn(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789+/=") >= 40;
}

static void note_refused(struct kwgi_parse *p, const struct kwgi_section_key *k)
{
	static const struct { const char *key; uint8_t bit; } bits[] = {
		{ "name", KWGI_REFUSED_NAME }, { "public-key", KWGI_REFUSED_KEY },
		{ "endpoint", KWGI_REFUSED_ENDPOINT }, { "pod-cidr", KWGI_REFUSED_NETWORKS },
		{ "allowed-ip", KWGI_REFUSED_NETWORKS },
	};
	size_t i;

	for (i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		if (strcmp(k->name, bits[i].key))
			continue;
		if (!strcmp(p->section->name, "node"))
			((struct kwgi_node *)p->object)->refused |= bits[i].bit;
		else if (!strcmp(p->section->name, "peer"))
			((struct kwgi_peer *)p->object)->refused |= bits[i].bit;
	}
}

static void set_value(struct kwgi_parse *p, const struct kwgi_section_key *k, const char *v)
{
	struct kwgi_diags *d = &p->cfg->diags;

	p->accepts = NULL;
	if (!k->set(p, (char *)p->object + k->offset, v))
		return;
	note_refused(p, k);
	if (!*v)
		kwgi_diags_add(d, KWG_ERROR, p->at, k->name, "the value is empty; accepted: %s",
			       k->type);
	else if (p->accepts)
		kwgi_diags_add(d, KWG_ERROR, p->at, k->name, "\"%.100s\" is not accepted: %s", v,
			       p->accepts);
	else if (k->secret || looks_like_key(v))
		kwgi_diags_add(d, KWG_ERROR, p->at, k->name,
			       "the value (not shown) is not accepted; accepted: %s", k->type);
	else
		kwgi_diags_add(d, KWG_ERROR, p->at, k->name,
			       "\"%.100s\" is not accepted; accepted: %s", v, k->type);
}

/* Each item of a comma-separated list; an empty item is an error. */
static void set_list(struct kwgi_parse *p, const struct kwgi_section_key *k, char *v)
{
	char *next, *end;

	for (; v; v = next) {
		next = strchr(v, ',');
		if (next)
			*next++ = '\0';
		v += strspn(v, " \t");
		for (end = v + strlen(v); end > v && (end[-1] == ' ' || end[-1] == '\t'); end--)
			end[-1] = '\0';
		set_value(p, k, v);
	}
}

static void on_entry(void *arg, const char *name, char *value, struct kwgi_place at)
{
	struct kwgi_parse *p = arg;
	const struct kwgi_section_key *k;
	char first[KWGI_PLACE_TEXT];
	struct kwgi_place *seen;
	bool local;

	p->at = at;
	if (is_behind_end(p) || !p->object)
		return;
	k = key_in(p->section, name);
	if (!k) {
		report_unknown_key(p, name);
		return;
	}
	local = p->object == &p->cfg->local;
	seen = &(local ? p->cfg->local_seen : p->seen)[k - p->section->keys];
	if (seen->line && !k->repeatable) {
		kwgi_diags_add(&p->cfg->diags, KWG_ERROR, at, name,
			       "given twice in %s[%s]; once is accepted, and %s has it",
			       local ? "" : "one ", p->section->name,
			       kwgi_diags_place(&p->cfg->diags, first, *seen));
		return;
	}
	*seen = at;
	if (k->repeatable) {
		set_list(p, k, value);
		return;
	}
	set_value(p, k, value);
	if (k->place_offset)
		memcpy((char *)p->object + k->place_offset, &at, sizeof(at));
}

static const struct kwgi_ini_ops ini_ops = { on_section, on_entry };

static int keep_text(struct kwg_config *cfg, const char *name, const char *text, size_t len)
{
	char *copy = kwgi_arena_strndup(&cfg->arena, text, len);

	if (!copy || kwgi_arena_grow(&cfg->arena, &cfg->texts, cfg->n_texts, &cfg->texts_cap,
				     sizeof(*cfg->texts)))
		return -1;
	cfg->texts[cfg->n_texts++] = (struct kwgi_config_text){ name, copy, len };
	return 0;
}

int kwgi_config_add_text(struct kwg_config *cfg, const char *name, const char *text, size_t len)
{
	struct kwgi_parse p = { .cfg = cfg };
	uint32_t file = kwgi_diags_file(&cfg->diags, name);

	if (file == UINT32_MAX || keep_text(cfg, cfg->diags.files[file], text, len) || kwgi_ini_parse(text, len, file, &ini_ops, &p, &cfg->diags) ||
	    p.nomem)
		return KWG_ERR_NOMEM;
	cfg->unended = len && text[len - 1] != '\n' && !p.end_at.line;
	if (p.marker_at.line && !p.end_at.line)
		kwgi_diags_add(&cfg->diags, KWG_ERROR, p.marker_at, "end-marker",
			       "the file does not end with [end], so a part of it is missing; write it again");
	return cfg->diags.failed ? KWG_ERR_NOMEM : 0;
}

int kwgi_config_set_local(struct kwg_config *cfg, const char *key, const char *value,
			  const char **why)
{
	struct kwgi_parse p = { .cfg = cfg, .section = &kwgi_sections[KWGI_SECTION_LOCAL], .object = &cfg->local };
	size_t i;

	*why = "there is no such key in [local]";
	for (i = 0; i < p.section->n_keys; i++) {
		const struct kwgi_section_key *k = &p.section->keys[i];

		if (strcmp(key, k->name))
			continue;
		*why = k->type;
		if (k->set(&p, (char *)p.object + k->offset, value))
			return KWG_ERR_USAGE;
		if (!strcmp(key, "interface"))
			cfg->interface_option = cfg->local.interface;
		return p.nomem ? KWG_ERR_NOMEM : 0;
	}
	return KWG_ERR_USAGE;
}

int kwgi_config_init(struct kwg_config *cfg)
{
	struct kwgi_parse p = { .cfg = cfg };

	cfg->diags.arena = &cfg->arena;
	kwgi_config_defaults(&p);
	return p.nomem ? KWG_ERR_NOMEM : 0;
}
