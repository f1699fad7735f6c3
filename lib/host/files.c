/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "host/files.h"
#include "sys/errtext.h"

static int fail_errno(struct kwg_error *err, const char *path, const char *what)
{
	int e = errno;

	return kwgi_fail(err, KWG_ERR_IO, e, "%.300s: %s: %s", path, what, kwgi_errtext(e));
}

/* ---- reading --------------------------------------------------------- */

/* Grows by copying, so that what is outgrown can be wiped. */
static int grow(char **buf, size_t *cap, size_t used)
{
	size_t want = *cap ? *cap * 2 : 16384;
	char *p = malloc(want);

	if (!p)
		return -1;
	if (*buf) {
		memcpy(p, *buf, used);
		sodium_memzero(*buf, used);
		free(*buf);
	}
	*buf = p;
	*cap = want;
	return 0;
}

static int read_all(int fd, const char *path, size_t max, char **out, size_t *len,
		    struct kwg_error *err)
{
	size_t cap = 0, used = 0;
	char *buf = NULL;
	ssize_t n;
	int ret;

	do {
		if (used == cap && grow(&buf, &cap, used)) {
			ret = kwgi_nomem(err);
			goto err_free;
		}
		n = read(fd, buf + used, cap - used);
		if (n < 0 && errno != EINTR) {
			ret = fail_errno(err, path, "reading");
			goto err_free;
		}
		used += n > 0 ? (size_t)n : 0;
		if (used > max) {
			ret = kwgi_fail(err, KWG_ERR_IO, EFBIG,
					"%.300s: the file is larger than the %zu bytes that are accepted",
					path, max);
			goto err_free;
		}
	} while (n);
	*out = buf;
	*len = used;
	return 0;

err_free:
	if (buf) {
		sodium_memzero(buf, used);
		free(buf);
	}
	return ret;
}

int kwgi_file_read(const char *path, size_t max, char **out, size_t *len, struct kwg_error *err)
{
	int fd, ret;

	if (!strcmp(path, "-"))
		return read_all(STDIN_FILENO, path, max, out, len, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, path, "opening");
	ret = read_all(fd, path, max, out, len, err);
	close(fd);
	return ret;
}

bool kwgi_file_exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

void kwgi_file_origin(const char *path, char out[KWGI_ORIGIN_TEXT])
{
	char *real = strcmp(path, "-") ? realpath(path, NULL) : NULL;
	uint64_t hash = 14695981039346656037u;	/* FNV-1a */
	const char *p;

	*out = '\0';
	if (!real)
		return;
	for (p = real; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	snprintf(out, KWGI_ORIGIN_TEXT, "%016" PRIx64, hash);
	free(real);
}

bool kwgi_file_is_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int kwgi_file_read_key(const char *path, struct kwgi_key *key, bool *too_open,
		       struct kwg_error *err)
{
	char *text, line[KWGI_KEY_TEXT + 2] = "";
	struct stat st;
	size_t len;
	int ret;

	ret = kwgi_file_read(path, 4096, &text, &len, err);
	if (ret)
		return ret;
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
		len--;
	if (len < sizeof(line))
		memcpy(line, text, len);
	if (kwgi_key_parse(key, line))
		ret = kwgi_fail(err, KWG_ERR_IO, 0,
				"%.300s: the file holds no key of 32 bytes in base64 (44 characters)",
				path);
	*too_open = !stat(path, &st) && S_ISREG(st.st_mode) && (st.st_mode & 0077);
	sodium_memzero(line, sizeof(line));
	sodium_memzero(text, len);
	free(text);
	return ret;
}

/* ---- writing --------------------------------------------------------- */

int kwgi_file_make_parents(const char *path, mode_t mode, struct kwg_error *err)
{
	char *copy = strdup(path), *p;
	int ret = 0;

	if (!copy)
		return kwgi_nomem(err);
	for (p = strchr(copy + 1, '/'); p && !ret; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(copy, mode) ? errno != EEXIST : chmod(copy, mode))
			ret = fail_errno(err, copy, "making the folder");
		*p = '/';
	}
	free(copy);
	return ret;
}

static int write_and_sync(int fd, const char *text)
{
	size_t len = strlen(text);

	if (write(fd, text, len) != (ssize_t)len || write(fd, "\n", 1) != 1)
		return -1;
	return fsync(fd);
}

int kwgi_file_write_new_secret(const char *path, const char *text, struct kwg_error *err)
{
	char tmp[4096];
	int fd, ret;

	ret = kwgi_file_make_parents(path, 0700, err);
	if (ret)
		return ret;
	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp))
		return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", path);
	fd = mkostemp(tmp, O_CLOEXEC);		/* mode 0600 */
	if (fd < 0)
		return fail_errno(err, tmp, "creating");
	/* link() and not rename(): it never replaces a file that came in between. */
	if (write_and_sync(fd, text) || link(tmp, path))
		ret = fail_errno(err, path, "writing");
	unlink(tmp);
	close(fd);
	return ret;
}

/* ---- folders --------------------------------------------------------- */

static int is_ini(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 4 && !strcmp(d->d_name + len - 4, ".ini");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int kwgi_dir_list_ini(const char *path, char ***names, size_t *n, struct kwg_error *err)
{
	struct dirent **entries;
	int i, count = scandir(path, &entries, is_ini, by_bytes);
	char **v;
	bool ok;

	if (count < 0)
		return fail_errno(err, path, "reading the folder");
	v = calloc((size_t)count + 1, sizeof(*v));
	ok = v != NULL;
	for (i = 0; i < count; i++) {
		if (ok) {
			v[i] = strdup(entries[i]->d_name);
			ok = v[i] != NULL;
		}
		free(entries[i]);
	}
	free(entries);
	if (!ok) {
		kwgi_dir_list_free(v, (size_t)count);
		return kwgi_nomem(err);
	}
	*names = v;
	*n = (size_t)count;
	return 0;
}

void kwgi_dir_list_free(char **names, size_t n)
{
	size_t i;

	for (i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
}

/* ---- lock, randomness, clock ----------------------------------------- */

int kwgi_lock_take(const char *dir, const char *name, bool wait, int *fd, struct kwg_error *err)
{
	char path[4096];
	int lock, ret;

	if (snprintf(path, sizeof(path), "%s/%s.lock", dir, name) >= (int)sizeof(path))
		return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", dir);
	ret = kwgi_file_make_parents(path, 0755, err);
	if (ret)
		return ret;
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return fail_errno(err, path, "opening the lock");
	while ((ret = flock(lock, LOCK_EX | (wait ? 0 : LOCK_NB))) && errno == EINTR)
		;
	if (!ret) {
		*fd = lock;
		return 0;
	}
	if (errno == EWOULDBLOCK)
		ret = kwgi_fail(err, KWG_ERR_LOCKED, 0,
				"another kilowg is at work on mesh %s (%.300s is locked)", name, path);
	else
		ret = fail_errno(err, path, "locking");
	close(lock);
	return ret;
}

/* To a file that is not there yet. */
static int write_new(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "wxe");
	bool failed;

	if (!f)
		return -1;
	failed = fwrite(text, 1, len, f) != len;
	failed |= fclose(f) != 0;
	return failed ? -1 : 0;
}

int kwgi_file_replace(const char *path, const char *text, size_t len)
{
	char tmp[4096 + 4];
	int ret;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return -1;
	unlink(tmp);
	ret = write_new(tmp, text, len) || rename(tmp, path) ? -1 : 0;
	if (ret)
		unlink(tmp);
	return ret;
}

int kwgi_file_random(void *p, size_t len)
{
	return getrandom(p, len, 0) == (ssize_t)len ? 0 : -1;
}

int64_t kwgi_wall_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

int64_t kwgi_monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t kwgi_boot_seconds(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_BOOTTIME, &t) ? 0 : (int64_t)t.tv_sec;
}
