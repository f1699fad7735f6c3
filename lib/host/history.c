/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "base/num.h"
#include "host/files.h"
#include "host/history.h"
#include "sys/errtext.h"

enum { NUMBER_DIGITS = 10, PATH_SIZE = 4096 };

static const char suffix[] = ".entry";
const char kwgi_kept_applied[] = ".applied", kwgi_kept_confirm[] = ".confirm";

/* ---- names of files ----------------------------------------------------- */

static int entry_path(char path[PATH_SIZE], const char *dir, const char *mesh, uint64_t number)
{
	return snprintf(path, PATH_SIZE, "%s/%s.%0*" PRIu64 "%s", dir, mesh, NUMBER_DIGITS, number,
			suffix) < PATH_SIZE ? 0 : -1;
}

static int too_long(struct kwg_error *err, const char *dir)
{
	return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", dir);
}

/* MESH.NUMBER.entry; false if the name is no such thing. */
static bool take_apart(const char *name, char mesh[64], uint64_t *number)
{
	size_t len = strlen(name), end = sizeof(suffix) - 1 + NUMBER_DIGITS + 1, i;
	const char *digits;

	if (len <= end || len - end >= 64 || strcmp(name + len - (sizeof(suffix) - 1), suffix))
		return false;
	digits = name + len - end;
	if (*digits++ != '.')
		return false;
	*number = 0;
	for (i = 0; i < NUMBER_DIGITS; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(digits[i] - '0');
	}
	memcpy(mesh, name, len - end);
	mesh[len - end] = '\0';
	return true;
}

/* ---- the folder ---------------------------------------------------------- */

struct found {
	char mesh[64];
	uint64_t number;
	off_t size;
	int64_t time;			/* ns, of the last change */
};

struct founds {
	struct kwgi_arena arena;
	struct found *v;
	uint32_t n, cap;
};

static int add_found(struct founds *f, int dirfd, const char *name)
{
	struct found *v;
	struct stat st;

	if (kwgi_arena_grow(&f->arena, &f->v, f->n, &f->cap, sizeof(*f->v)))
		return -1;
	v = &f->v[f->n];
	if (!take_apart(name, v->mesh, &v->number) || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	v->size = st.st_size;
	v->time = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	f->n++;
	return 0;
}

/* What a crash has left half written goes. */
static void tidy(int dirfd, const char *name)
{
	size_t len = strlen(name);

	if (len > 10 && !strcmp(name + len - 10, ".entry.new"))
		(void)unlinkat(dirfd, name, 0);
}

static int find(struct founds *f, const char *dir, bool to_write, struct kwg_error *err)
{
	DIR *stream = opendir(dir);
	const struct dirent *d;
	int ret = 0;

	if (!stream && errno == ENOENT)
		return 0;
	if (!stream)
		return kwgi_fail(err, KWG_ERR_IO, errno, "%.300s: reading the folder: %s", dir,
				 kwgi_errtext(errno));
	while (!ret && (d = readdir(stream))) {
		if (to_write)
			tidy(dirfd(stream), d->d_name);
		if (add_found(f, dirfd(stream), d->d_name))
			ret = kwgi_nomem(err);
	}
	closedir(stream);
	return ret;
}

static const struct found *newest_of(const struct founds *f, const char *mesh)
{
	const struct found *best = NULL;
	uint32_t i;

	for (i = 0; i < f->n; i++)
		if (!strcmp(f->v[i].mesh, mesh) && (!best || f->v[i].number > best->number))
			best = &f->v[i];
	return best;
}

/* ---- reading -------------------------------------------------------------- */

static void free_text(char *text, size_t len)
{
	if (text)
		sodium_memzero(text, len);
	free(text);
}

/* 1: it is none. */
static int load_one(struct kwgi_stored *s, struct kwgi_arena *a, const char *dir, const char *mesh,
		    uint64_t number)
{
	char path[PATH_SIZE];

	*s = (struct kwgi_stored){ .number = number };
	if (entry_path(path, dir, mesh, number) ||
	    kwgi_file_read_trusted(path, KWGI_RECORD_BYTES, &s->text, &s->len, NULL))
		return 1;
	if (!kwgi_entry_parse(&s->entry, a, s->text, s->len) && !strcmp(s->entry.mesh, mesh))
		return 0;
	free_text(s->text, s->len);
	return 1;
}

static bool same_origin(const struct kwgi_entry *e, const char (*origins)[KWGI_ORIGIN_TEXT])
{
	uint32_t i, k;

	for (i = 0; origins && i < KWGI_ORIGINS; i++)
		for (k = 0; k < KWGI_ORIGINS; k++)
			if (*origins[i] && !strcmp(origins[i], e->origins[k]))
				return true;
	return false;
}

/* By time; within a second by number, which one mesh counts. */
static int by_age(const void *a, const void *b)
{
	const struct kwgi_stored *x = a, *y = b;

	if (!strcmp(x->entry.mesh, y->entry.mesh))
		return x->number > y->number ? -1 : 1;
	return x->entry.time > y->entry.time ? -1 : 1;
}

int kwgi_history_load(struct kwgi_history *h, const char *dir, const char *mesh,
		      const char (*origins)[KWGI_ORIGIN_TEXT], struct kwg_error *err)
{
	struct founds f = { 0 };
	struct kwgi_stored s;
	uint32_t i;
	int ret = find(&f, dir, false, err);

	*h = (struct kwgi_history){ .n = 0 };
	for (i = 0; !ret && i < f.n; i++) {
		if (mesh && !origins && strcmp(f.v[i].mesh, mesh))
			continue;
		if (load_one(&s, &h->arena, dir, f.v[i].mesh, f.v[i].number))
			continue;
		if (mesh && strcmp(s.entry.mesh, mesh) && !same_origin(&s.entry, origins)) {
			free_text(s.text, s.len);
			continue;
		}
		if (kwgi_arena_grow(&h->arena, &h->v, h->n, &h->cap, sizeof(*h->v))) {
			free_text(s.text, s.len);
			ret = kwgi_nomem(err);
		} else {
			h->v[h->n++] = s;
		}
	}
	kwgi_arena_free(&f.arena);
	if (ret)
		kwgi_history_free(h);
	else if (h->n)
		qsort(h->v, h->n, sizeof(*h->v), by_age);
	return ret;
}

void kwgi_history_free(struct kwgi_history *h)
{
	uint32_t i;

	for (i = 0; i < h->n; i++)
		free_text(h->v[i].text, h->v[i].len);
	kwgi_arena_free(&h->arena);
	*h = (struct kwgi_history){ .n = 0 };
}

/* ---- writing -------------------------------------------------------------- */

static void remove_found(struct founds *f, uint32_t i, const char *dir)
{
	char path[PATH_SIZE];

	if (!entry_path(path, dir, f->v[i].mesh, f->v[i].number))
		unlink(path);
	f->v[i] = f->v[--f->n];
}

/* The oldest of a mesh, or of all. UINT32_MAX: there is none. */
static uint32_t oldest(const struct founds *f, const char *mesh)
{
	uint32_t i, best = UINT32_MAX;

	for (i = 0; i < f->n; i++) {
		if (mesh && strcmp(f->v[i].mesh, mesh))
			continue;
		if (best == UINT32_MAX || (mesh ? f->v[i].number < f->v[best].number
						: f->v[i].time < f->v[best].time))
			best = i;
	}
	return best;
}

static uint32_t count_of(const struct founds *f, const char *mesh)
{
	uint32_t i, n = 0;

	for (i = 0; i < f->n; i++)
		n += !strcmp(f->v[i].mesh, mesh);
	return n;
}

static uint64_t bytes_of(const struct founds *f)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < f->n; i++)
		sum += (uint64_t)f->v[i].size;
	return sum;
}

/* Before, so that the limits hold at any time, and a full disk has room again. */
static void make_room(struct founds *f, const char *dir, const char *mesh, size_t len)
{
	while (count_of(f, mesh) >= KWGI_HISTORY_ENTRIES)
		remove_found(f, oldest(f, mesh), dir);
	while (f->n && bytes_of(f) + len > KWGI_HISTORY_BYTES)
		remove_found(f, oldest(f, NULL), dir);
}

static int write_entry(const char *dir, uint64_t number, const struct kwgi_entry *e,
		       struct founds *f, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	char path[PATH_SIZE];
	uint32_t i;
	int ret;

	kwgi_entry_format(&b, e);
	if (b.failed || entry_path(path, dir, e->mesh, number)) {
		kwgi_buf_free(&b);
		return b.failed ? kwgi_nomem(err) : too_long(err, dir);
	}
	if (b.len > KWGI_HISTORY_BYTES) {
		kwgi_buf_free(&b);
		return kwgi_fail(err, KWG_ERR_IO, EFBIG, "%.300s: the configuration is larger than the %d MiB that are kept",
				 path, KWGI_HISTORY_BYTES >> 20);
	}
	for (i = 0; i < f->n; i++)
		if (f->v[i].number == number && !strcmp(f->v[i].mesh, e->mesh))
			f->v[i--] = f->v[--f->n];
	make_room(f, dir, e->mesh, b.len);
	ret = kwgi_file_replace_secret(path, b.p, b.len, err);
	kwgi_buf_free(&b);
	return ret;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* The place for e after the last one, or the last one's own; 0: it is there already. */
static uint64_t place_for(const struct kwgi_stored *last, const struct kwgi_entry *e)
{
	bool same = kwgi_entry_same(&last->entry, e);

	if (same && (!strcmp(last->entry.result, e->result) ||
		     (kwgi_entry_is_good(&last->entry) && !strcmp(e->result, KWGI_RESULT_APPLIED))))
		return 0;
	if (same && kwgi_entry_is_good(&last->entry) && !kwgi_entry_is_good(e))
		return last->number + 1;
	return same || begins(last->entry.result, KWGI_RESULT_FAILED) ? last->number
								      : last->number + 1;
}

/* Another one takes its place before anybody has confirmed it. */
static void conclude_last(const char *dir, struct kwgi_stored *last, const struct kwgi_entry *e,
			  struct founds *f)
{
	if (strcmp(last->entry.result, KWGI_RESULT_WAITS) || kwgi_entry_same(&last->entry, e) ||
	    begins(e->result, KWGI_RESULT_FAILED))
		return;
	last->entry.result = KWGI_RESULT_UNDONE ": replaced before it was confirmed";
	(void)write_entry(dir, last->number, &last->entry, f, NULL);
}

int kwgi_history_add(const char *dir, const struct kwgi_entry *e, struct kwg_error *err)
{
	struct founds f = { 0 }, again = { 0 };
	struct kwgi_arena arena = { 0 };
	struct kwgi_stored last = { 0 };
	const struct found *newest;
	uint64_t number = 1;
	int ret = find(&f, dir, true, err);

	if (ret)
		return ret;
	newest = newest_of(&f, e->mesh);
	if (newest && !load_one(&last, &arena, dir, e->mesh, newest->number)) {
		number = place_for(&last, e);
		if (number)
			conclude_last(dir, &last, e, &f);
	} else if (newest) {
		number = newest->number + 1;
	}
	kwgi_arena_free(&f.arena);
	if (number)
		ret = find(&again, dir, false, err);
	if (number && !ret)
		ret = write_entry(dir, number, e, &again, err);
	free_text(last.text, last.len);
	kwgi_arena_free(&arena);
	kwgi_arena_free(&again.arena);
	return ret;
}

int kwgi_history_conclude(const char *dir, const char *mesh, const char *result,
			  struct kwg_error *err)
{
	struct founds f = { 0 };
	struct kwgi_arena arena = { 0 };
	struct kwgi_stored last = { 0 };
	const struct found *newest;
	int ret = find(&f, dir, false, err);

	newest = ret ? NULL : newest_of(&f, mesh);
	if (newest && !load_one(&last, &arena, dir, mesh, newest->number) &&
	    !strcmp(last.entry.result, KWGI_RESULT_WAITS)) {
		last.entry.result = result;
		ret = write_entry(dir, last.number, &last.entry, &f, err);
	}
	free_text(last.text, last.len);
	kwgi_arena_free(&arena);
	kwgi_arena_free(&f.arena);
	return ret;
}

/* ---- single files ----------------------------------------------------------- */

static int kept_path(char path[PATH_SIZE], const char *dir, const char *mesh, const char *end)
{
	return snprintf(path, PATH_SIZE, "%s/%s%s", dir, mesh, end) < PATH_SIZE ? 0 : -1;
}

static int read_kept(struct kwgi_kept *k, const char *dir, const char *mesh, const char *end,
		     struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	char path[PATH_SIZE];
	int ret;

	*k = (struct kwgi_kept){ .exists = false };
	if (kept_path(path, dir, mesh, end))
		return too_long(err, dir);
	ret = kwgi_file_read_trusted(path, KWGI_RECORD_BYTES, &k->text, &k->len, &own);
	/* Who may not read it is not root, and changes nothing anyway. */
	if (ret && (own.sys_errno == ENOENT || own.sys_errno == EACCES))
		return 0;
	if (ret && err)
		*err = own;
	k->exists = !ret;
	return ret;
}

int kwgi_kept_entry(struct kwgi_kept *k, const char *dir, const char *mesh, const char *end,
		    struct kwg_error *err)
{
	int ret = read_kept(k, dir, mesh, end, err);

	if (!ret && k->exists)
		k->exists = !kwgi_entry_parse(&k->u.entry, &k->arena, k->text, k->len);
	return ret;
}

int kwgi_kept_record(struct kwgi_kept *k, const char *dir, const char *mesh, struct kwg_error *err)
{
	int ret = read_kept(k, dir, mesh, kwgi_kept_confirm, err);

	if (!ret && k->exists)
		k->exists = !kwgi_record_parse(&k->u.record, &k->arena, k->text, k->len);
	return ret;
}

void kwgi_kept_free(struct kwgi_kept *k)
{
	free_text(k->text, k->len);
	kwgi_arena_free(&k->arena);
	*k = (struct kwgi_kept){ .exists = false };
}

/* Empties b. */
static int write_kept(const char *dir, const char *mesh, const char *end, struct kwgi_buf *b,
		      struct kwg_error *err)
{
	char path[PATH_SIZE];
	int ret;

	if (b->failed)
		ret = kwgi_nomem(err);
	else if (kept_path(path, dir, mesh, end))
		ret = too_long(err, dir);
	else
		ret = kwgi_file_replace_secret(path, b->p, b->len, err);
	kwgi_buf_free(b);
	return ret;
}

int kwgi_kept_write_entry(const char *dir, const char *end, const struct kwgi_entry *e,
			  struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };

	kwgi_entry_format(&b, e);
	return write_kept(dir, e->mesh, end, &b, err);
}

int kwgi_kept_write_record(const char *dir, const struct kwgi_record *r, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };

	kwgi_record_format(&b, r);
	return write_kept(dir, r->mesh, kwgi_kept_confirm, &b, err);
}

int kwgi_kept_remove(const char *dir, const char *mesh, const char *end, struct kwg_error *err)
{
	char path[PATH_SIZE];

	if (kept_path(path, dir, mesh, end))
		return too_long(err, dir);
	if (!unlink(path) || errno == ENOENT)
		return 0;
	return kwgi_fail(err, KWG_ERR_IO, errno, "%.300s: removing: %s", path, kwgi_errtext(errno));
}

void kwgi_kept_list(const char *dir, const char *end, void (*found)(void *arg, const char *mesh, size_t len),
		    void *arg)
{
	DIR *stream = opendir(dir);
	size_t len, n = strlen(end);
	const struct dirent *d;

	while (stream && (d = readdir(stream))) {
		len = strlen(d->d_name);
		if (len > n && !strcmp(d->d_name + len - n, end))
			found(arg, d->d_name, len - n);
	}
	if (stream)
		closedir(stream);
}
