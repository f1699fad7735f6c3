/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over what is pure: configuration, plan, keys. kilowg_views.c has views, kilowg_host.c the rest. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "facade.h"
#include "host/files.h"
#include "kilowg.h"
#include "plan/overlaps.h"
#include "plan/plan.h"
#include "plan/reach.h"

const char *kwg_version(void)
{
	return KWG_VERSION;
}

unsigned kwg_features(void)
{
	unsigned features = 0;

#ifdef KWG_SECCOMP
	features |= KWG_FEATURE_SECCOMP;
#endif
#ifdef KWG_WITH_OPENSSL
	features |= KWG_FEATURE_LIBCRYPTO;
#endif
#ifdef KWG_WITH_JANSSON
	features |= KWG_FEATURE_CNI;
#endif
	return features;
}

void kwg_text_free(char *text)
{
	if (!text)
		return;
	sodium_memzero(text, strlen(text));
	free(text);
}

/* No struct will ever grow to this: what has not been initialised is not read to its "end". */
enum { STRUCT_MAX = 4096 };

int kwgi_take(void *out, size_t size, const void *given, const char *name, struct kwg_error *err)
{
	const uint8_t *p = given;
	size_t given_size = 0, i;

	if (given)
		memcpy(&given_size, given, sizeof(given_size));
	if (given_size < sizeof(given_size) || given_size > STRUCT_MAX)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "struct %s has no size: initialise it with its macro", name);
	for (i = size; i < given_size; i++)
		if (p[i])
			return kwgi_fail(err, KWG_ERR_USAGE, 0,
					 "struct %s has options of a newer library", name);
	memcpy(out, given, given_size < size ? given_size : size);
	memcpy(out, &size, sizeof(size));
	return 0;
}

int kwgi_give(struct kwgi_buf *b, char **out, size_t *len, struct kwg_error *err)
{
	char *text = kwgi_buf_take(b, len);

	if (!text)
		return kwgi_nomem(err);
	*out = text;
	return 0;
}

/* ---- configuration --------------------------------------------------- */

struct kwg_config *kwg_config_new(void)
{
	struct kwg_config *cfg = calloc(1, sizeof(*cfg));

	if (cfg && kwgi_config_init(cfg)) {
		kwg_config_free(cfg);
		return NULL;
	}
	return cfg;
}

void kwg_config_free(struct kwg_config *cfg)
{
	if (!cfg)
		return;
	kwgi_arena_free(&cfg->arena);
	sodium_memzero(cfg, sizeof(*cfg));
	free(cfg);
}

/* What was added later would be in none of the checks, and in no plan. */
static int check_open(const struct kwg_config *cfg, struct kwg_error *err)
{
	return cfg->finished ? kwgi_fail(err, KWG_ERR_USAGE, 0, "the configuration is finished already") : 0;
}

int kwg_config_add_text(struct kwg_config *cfg, const char *name, const char *text, size_t len,
			struct kwg_error *err)
{
	int ret = check_open(cfg, err);

	if (!ret && kwgi_config_add_text(cfg, name, text, len))
		ret = kwgi_nomem(err);
	return ret;
}

/* What kwgi_guard_judge() looks at. */
static int note_shape(struct kwg_config *cfg, const char *path, size_t len, struct kwg_error *err)
{
	const char **which = !len ? &cfg->empty : cfg->unended ? &cfg->cut_off : NULL;

	if (!which || *which)
		return 0;
	*which = kwgi_arena_strndup(&cfg->arena, path, strlen(path));
	return *which ? 0 : kwgi_nomem(err);
}

/* hides: in the place of another one of its name, and may so be empty. */
static int add_file(struct kwg_config *cfg, const char *path, bool hides, struct kwg_error *err)
{
	char *text;
	size_t len;
	int ret;

	ret = kwgi_file_read(path, KWGI_FILE_MAX_CONFIG, &text, &len, err);
	if (ret)
		return ret;
	ret = kwg_config_add_text(cfg, path, text, len, err);
	if (!ret && (len || !hides))
		ret = note_shape(cfg, path, len, err);
	sodium_memzero(text, len);
	free(text);
	return ret;
}

/* dir/name in cfg's arena, or NULL. */
static char *join(struct kwg_config *cfg, const char *dir, const char *name)
{
	struct kwgi_buf b = { 0 };
	char *path = NULL;

	kwgi_buf_puts(&b, dir);
	kwgi_buf_putc(&b, '/');
	kwgi_buf_puts(&b, name);
	if (!b.failed)
		path = kwgi_arena_strndup(&cfg->arena, b.p, b.len);
	kwgi_buf_free(&b);
	return path;
}

/* A file of a folder; names that an earlier folder has are masked. */
struct found {
	const char *name, *path;
	uint32_t rank;
};

struct founds {
	struct found *v;
	uint32_t n, cap;
};

static int by_name_and_rank(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : x->rank < y->rank ? -1 : 1;
}

static int find_in_dir(struct kwg_config *cfg, const char *dir, struct founds *f,
		       struct kwg_error *err)
{
	char **names;
	size_t i, n;
	int ret;

	ret = kwgi_dir_list_ini(dir, &names, &n, err);
	if (ret)
		return ret;
	for (i = 0; i < n && !ret; i++) {
		char *path = join(cfg, dir, names[i]);

		if (!path || kwgi_arena_grow(&cfg->arena, &f->v, f->n, &f->cap, sizeof(*f->v))) {
			ret = kwgi_nomem(err);
			break;
		}
		f->v[f->n] = (struct found){ path + strlen(dir) + 1, path, f->n };
		f->n++;
	}
	kwgi_dir_list_free(names, n);
	return ret;
}

static bool hides_another(const struct founds *f, uint32_t i)
{
	return i + 1 < f->n && !strcmp(f->v[i].name, f->v[i + 1].name);
}

static int add_found(struct kwg_config *cfg, struct founds *f, struct kwg_error *err)
{
	uint32_t i;
	int ret = 0;

	if (f->n)
		qsort(f->v, f->n, sizeof(*f->v), by_name_and_rank);
	for (i = 0; i < f->n && !ret; i++)
		if (!i || strcmp(f->v[i].name, f->v[i - 1].name))
			ret = add_file(cfg, f->v[i].path, hides_another(f, i), err);
	return ret;
}

int kwg_config_add_path(struct kwg_config *cfg, const char *path, struct kwg_error *err)
{
	struct founds f = { 0 };
	int ret = check_open(cfg, err);

	if (ret)
		return ret;
	if (!kwgi_file_is_dir(path))
		return add_file(cfg, path, false, err);
	ret = find_in_dir(cfg, path, &f, err);
	if (!ret && !f.n)
		ret = kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: there is no *.ini file in this folder",
				path);
	return ret ? ret : add_found(cfg, &f, err);
}

int kwg_config_add_default(struct kwg_config *cfg, struct kwg_error *err)
{
	static const char *const dirs[] = { KWG_SYSCONFDIR, KWG_RUNDIR, KWG_VENDORDIR };
	struct founds f = { 0 };
	int ret = check_open(cfg, err);
	size_t i;

	if (ret)
		return ret;
	for (i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		if (!kwgi_file_is_dir(dirs[i]))
			continue;
		ret = find_in_dir(cfg, dirs[i], &f, err);
		if (ret)
			return ret;
	}
	if (!f.n)
		return kwgi_fail(err, KWG_ERR_IO, 0, "there is no *.ini file in %s, %s or %s; \"kilowg init\" makes the first",
				 dirs[0], dirs[1], dirs[2]);
	return add_found(cfg, &f, err);
}

int kwg_config_set_local(struct kwg_config *cfg, const char *key, const char *value,
			 struct kwg_error *err)
{
	const char *why;
	int ret = check_open(cfg, err);

	if (ret)
		return ret;
	ret = kwgi_config_set_local(cfg, key, value, &why);
	if (ret == KWG_ERR_NOMEM)
		return kwgi_nomem(err);
	if (ret)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "%s: \"%.100s\" is not accepted; accepted: %s",
				 key, value, why);
	return 0;
}

/* Of the file that [mesh] stands in, or else the first one; a name that is no path has none. */
static void find_origins(struct kwg_config *cfg)
{
	uint32_t file = cfg->mesh.at.line ? cfg->mesh.at.file : 0;

	if (file < cfg->diags.n_files)
		kwgi_file_origins(cfg->diags.files[file], cfg->mesh.origins);
}

int kwg_config_finish(struct kwg_config *cfg, struct kwg_error *err)
{
	int ret = check_open(cfg, err);

	if (ret)
		return ret;
	cfg->finished = true;
	find_origins(cfg);
	kwgi_check(cfg);
	/* Also with errors: it may have more to say. */
	if (kwgi_topology_build(cfg) || kwgi_overlaps(cfg, cfg->topology) ||
	    kwgi_reach(cfg, cfg->topology))
		return kwgi_nomem(err);
	if (cfg->diags.failed)
		return kwgi_nomem(err);
	kwgi_diags_finish(&cfg->diags);
	if (cfg->diags.errors)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "the configuration has %u error%s",
				 cfg->diags.errors, cfg->diags.errors == 1 ? "" : "s");
	return 0;
}

size_t kwg_config_diag_count(const struct kwg_config *cfg)
{
	return cfg->diags.n;
}

const struct kwg_diag *kwg_config_diag(const struct kwg_config *cfg, size_t i)
{
	return i < cfg->diags.n ? &cfg->diags.v[i].diag : NULL;
}

const char *kwg_config_local_node(const struct kwg_config *cfg)
{
	return cfg->local.node;
}

int kwg_config_json(const struct kwg_config *cfg, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };

	kwgi_config_json(cfg, &b);
	return kwgi_give(&b, out, len, err);
}

int kwg_config_names(const struct kwg_config *cfg, bool peers, char **out, size_t *len,
		     struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	const char *name;
	uint32_t i;

	kwgi_buf_puts(&b, "");
	for (i = 0; i < (peers ? cfg->n_peers : cfg->n_nodes); i++) {
		name = peers ? cfg->peers[i].name : cfg->nodes[i].name;
		if (!name)
			continue;
		kwgi_buf_puts(&b, name);
		kwgi_buf_putc(&b, '\n');
	}
	return kwgi_give(&b, out, len, err);
}

int kwg_config_keys(char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };

	kwgi_config_keys(&b);
	return kwgi_give(&b, out, len, err);
}

/* ---- plan ------------------------------------------------------------ */

int kwg_plan_new(struct kwg_plan **out, const struct kwg_config *cfg, const char *node,
		 struct kwg_error *err)
{
	struct kwg_plan *plan = calloc(1, sizeof(*plan));
	int ret;

	if (!plan)
		return kwgi_nomem(err);
	ret = kwgi_plan_build(plan, cfg, node, err);
	if (ret) {
		kwg_plan_free(plan);
		return ret;
	}
	*out = plan;
	return 0;
}

void kwg_plan_free(struct kwg_plan *plan)
{
	if (!plan)
		return;
	kwgi_arena_free(&plan->arena);
	free(plan);
}

size_t kwg_plan_diag_count(const struct kwg_plan *plan)
{
	return plan->diags.n;
}

const struct kwg_diag *kwg_plan_diag(const struct kwg_plan *plan, size_t i)
{
	return i < plan->diags.n ? &plan->diags.v[i].diag : NULL;
}

/* Canonical text into b, its digest into digest. */
static void text_and_digest(const struct kwg_plan *plan, struct kwgi_buf *b,
			    char digest[KWG_DIGEST_TEXT])
{
	kwgi_plan_text(plan, b);
	kwgi_digest(digest, b->p ? b->p : "", b->len);
}

int kwg_plan_text(const struct kwg_plan *plan, char **out, size_t *len, struct kwg_error *err)
{
	char digest[KWG_DIGEST_TEXT];
	struct kwgi_buf b = { 0 };

	text_and_digest(plan, &b, digest);
	kwgi_buf_printf(&b, "digest blake2b-256 %s\n", digest);
	return kwgi_give(&b, out, len, err);
}

int kwg_plan_json(const struct kwg_plan *plan, char **out, size_t *len, struct kwg_error *err)
{
	char digest[KWG_DIGEST_TEXT];
	struct kwgi_buf b = { 0 };

	text_and_digest(plan, &b, digest);
	b.len = 0;
	kwgi_plan_json(plan, digest, &b);
	return kwgi_give(&b, out, len, err);
}

int kwg_plan_digest(const struct kwg_plan *plan, char out[KWG_DIGEST_TEXT], struct kwg_error *err)
{
	char digest[KWG_DIGEST_TEXT];
	struct kwgi_buf b = { 0 };
	bool failed;

	text_and_digest(plan, &b, digest);
	failed = b.failed;
	kwgi_buf_free(&b);
	if (failed)
		return kwgi_nomem(err);
	memcpy(out, digest, sizeof(digest));
	return 0;
}

/* ---- keys ------------------------------------------------------------ */

static int give_key(struct kwgi_key *k, char out[KWG_KEY_TEXT])
{
	kwgi_key_format(out, k);
	sodium_memzero(k, sizeof(*k));
	return 0;
}

static int random_key(struct kwgi_key *k, struct kwg_error *err)
{
	if (kwgi_file_random(k->b, sizeof(k->b)))
		return kwgi_fail(err, KWG_ERR_IO, 0, "the kernel gives no random bytes");
	return 0;
}

int kwg_genkey(char out[KWG_KEY_TEXT], struct kwg_error *err)
{
	struct kwgi_key k;
	int ret = random_key(&k, err);

	if (ret)
		return ret;
	kwgi_key_clamp(&k);
	return give_key(&k, out);
}

int kwg_genpsk(char out[KWG_KEY_TEXT], struct kwg_error *err)
{
	struct kwgi_key k;
	int ret = random_key(&k, err);

	return ret ? ret : give_key(&k, out);
}

int kwg_pubkey(char out[KWG_KEY_TEXT], const char *private_key, struct kwg_error *err)
{
	struct kwgi_key priv, pub;
	int ret = 0;

	if (kwgi_key_parse(&priv, private_key) || kwgi_key_is_zero(&priv) || kwgi_key_public(&pub, &priv))
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0,
				"the private key is no key of 32 bytes in base64 (44 characters)");
	else
		give_key(&pub, out);
	sodium_memzero(&priv, sizeof(priv));
	return ret;
}
