/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "host/cni.h"
#include "host/conflist.h"
#include "host/files.h"
#include "sys/errtext.h"

enum { MAX_SIZE = 1 << 20 };

static int fail_errno(struct kwg_error *err, const char *path, const char *what)
{
	int e = errno;

	return kwgi_fail(err, KWG_ERR_IO, e, "%.300s: %s: %s", path, what, kwgi_errtext(e));
}

/* ---- reading --------------------------------------------------------- */

/* What stands at path: *found, and *st of it. Only a file can be replaced as one. */
static int look_at(const char *path, struct stat *st, bool *found, struct kwg_error *err)
{
	*found = !lstat(path, st);
	if (!*found)
		return errno == ENOENT ? 0 : fail_errno(err, path, "looking at the CNI configuration");
	if (S_ISLNK(st->st_mode))
		return kwgi_fail(err, KWG_ERR_CONFIG, 0,
				 "%.300s: this is a symbolic link, which writing would replace by a file; let cni-path be the file behind it, or set cni = no",
				 path);
	if (!S_ISREG(st->st_mode))
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "%.300s: cni-path has to be a file, and this is none",
				 path);
	return 0;
}

static int read_file(const char *path, char **text, size_t *len, struct kwg_error *err)
{
	struct stat st;
	bool found;
	int ret = look_at(path, &st, &found, err);

	*text = NULL;
	*len = 0;
	if (ret || !found)
		return ret;
	return kwgi_file_read(path, MAX_SIZE, text, len, err);
}

/* The nearest folder above path that there is. */
static void folder_above(char out[4096], const char *path)
{
	char *slash;

	snprintf(out, 4096, "%s", path);
	do {
		slash = strrchr(out, '/');
		if (!slash || slash == out) {
			memcpy(out, "/", 2);
			return;
		}
		*slash = '\0';
	} while (access(out, F_OK));
}

static int check_writable(const char *path, struct kwg_error *err)
{
	char folder[4096];
	int e;

	folder_above(folder, path);
	if (!access(folder, W_OK | X_OK))
		return 0;
	e = errno;
	return kwgi_fail(err, KWG_ERR_IO, e,
			 "%.200s: the CNI configuration cannot be written into this folder: %s; let cni-path be in one that can be written, or set cni = no",
			 folder, kwgi_errtext(e));
}

static int list_networks(struct kwgi_cni_file *f, const struct kwgi_cidrs *pods,
			 struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	uint32_t i;

	for (i = 0; i < pods->n; i++) {
		kwgi_buf_puts(&b, i ? "," : "");
		kwgi_buf_prefix(&b, &pods->v[i].prefix);
	}
	f->networks = kwgi_buf_take(&b, NULL);
	return f->networks ? 0 : kwgi_nomem(err);
}

int kwgi_cni_prepare(struct kwgi_cni_file *f, const char *path, const struct kwgi_cidrs *pods,
		     uint32_t mtu, bool to_write, struct kwg_error *err)
{
	int ret;

	*f = (struct kwgi_cni_file){ .path = path };
	ret = read_file(path, &f->old, &f->old_len, err);
	if (!ret && f->old)
		ret = kwgi_conflist_set(path, f->old, f->old_len, pods, &f->text, &f->len, err);
	else if (!ret)
		ret = kwgi_conflist_make(pods, mtu, &f->text, &f->len, err);
	if (!ret && f->text && to_write)
		ret = check_writable(path, err);
	return ret ? ret : list_networks(f, pods, err);
}

void kwgi_cni_free(struct kwgi_cni_file *f)
{
	free(f->old);
	free(f->text);
	free(f->networks);
	*f = (struct kwgi_cni_file){ .path = NULL };
}

/* ---- writing --------------------------------------------------------- */

/*
 * Beside the file, so that it can be renamed, and by a name of which the runtimes
 * take no notice (libcni: ConfFiles reads *.conf, *.conflist and *.json). Always
 * the same, so that crashes leave one at most.
 */
static int temporary_name(char out[4096], const char *path)
{
	const char *base = strrchr(path, '/') + 1;

	return snprintf(out, 4096, "%.*s.%s.kilowg", (int)(base - path), path, base) < 4096 ? 0 : -1;
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* like: the file that it takes the place of, or NULL. */
static int write_temporary(const char *tmp, const char *text, size_t len, const struct stat *like,
			   struct kwg_error *err)
{
	int fd, ret = 0;

	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, tmp, "creating");
	if (write_all(fd, text, len) || (like && fchown(fd, like->st_uid, like->st_gid)) ||
	    fchmod(fd, like ? like->st_mode & 07777 : 0644) || fsync(fd))
		ret = fail_errno(err, tmp, "writing");
	close(fd);
	if (ret)
		unlink(tmp);
	return ret;
}

/* A rename lasts when its folder has been written. Some file systems cannot sync folders. */
static void sync_folder(const char *path)
{
	char folder[4096];
	int fd;

	folder_above(folder, path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

/* Is it what was seen, byte for byte? text NULL: no file. */
static int check_same(const char *path, const char *text, size_t len, struct kwg_error *err)
{
	size_t have_len;
	char *have;
	int ret = read_file(path, &have, &have_len, err);

	if (!ret && (!have != !text || have_len != len || (have && memcmp(have, text, len))))
		ret = kwgi_fail(err, KWG_ERR_IO, 0,
				"%.300s: another program has just changed it; it is not touched", path);
	free(have);
	return ret;
}

static int replace(const char *path, const char *tmp, const struct stat *like,
		   struct kwg_error *err)
{
	/* link() does not replace a file that has come in between. */
	if (like ? rename(tmp, path) : link(tmp, path)) {
		int ret = fail_errno(err, path, "writing");

		unlink(tmp);
		return ret;
	}
	if (!like)
		unlink(tmp);
	sync_folder(path);
	return 0;
}

/* From one content to the other; NULL: no file. */
static int change(const char *path, const char *from, size_t from_len, const char *to,
		  size_t to_len, struct kwg_error *err)
{
	char tmp[4096];
	struct stat st;
	bool found;
	int ret;

	if (temporary_name(tmp, path))
		return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", path);
	ret = check_same(path, from, from_len, err);
	if (!ret)
		ret = look_at(path, &st, &found, err);
	if (ret)
		return ret;
	if (!to)
		return unlink(path) ? fail_errno(err, path, "removing") : 0;
	ret = kwgi_file_make_parents(path, 0755, err);
	if (!ret)
		ret = write_temporary(tmp, to, to_len, found ? &st : NULL, err);
	return ret ? ret : replace(path, tmp, found ? &st : NULL, err);
}

int kwgi_cni_step(const struct kwgi_step *s, bool undo, struct kwg_error *err)
{
	const struct kwgi_cni_file *f = s->u.cni.file;

	return undo ? change(f->path, f->text, f->len, f->old, f->old_len, err)
		    : change(f->path, f->old, f->old_len, f->text, f->len, err);
}

void kwgi_cni_tidy(const char *path)
{
	char tmp[4096];

	if (!temporary_name(tmp, path))
		unlink(tmp);
}
