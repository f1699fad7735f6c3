/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
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

/*
 * A pipe with a name would let whoever opens it wait for ever. Those of a shell, as /dev/fd/63 and
 * /dev/stdin, have their other end already, and may take their time.
 */
static bool may_be_read(int fd, const char *path)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st))
		return false;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))	/* reading a folder has its own error */
		return true;
	return (!strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6)) &&
	       !fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

int kwgi_file_read(const char *path, size_t max, char **out, size_t *len, struct kwg_error *err)
{
	int fd, ret;

	if (!strcmp(path, "-"))
		return read_all(STDIN_FILENO, path, max, out, len, err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail_errno(err, path, "opening");
	if (may_be_read(fd, path))
		ret = read_all(fd, path, max, out, len, err);
	else
		ret = kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: is not a regular file", path);
	close(fd);
	return ret;
}

/* Whoever may write the file may say what is ours: that is only who runs kilowg, and root. */
bool kwgi_file_is_trusted(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
	       (!st.st_uid || st.st_uid == geteuid());
}

int kwgi_file_read_trusted(const char *path, size_t max, char **out, size_t *len,
			   struct kwg_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), ret;

	if (fd < 0)
		return fail_errno(err, path, "opening");
	if (kwgi_file_is_trusted(fd))
		ret = read_all(fd, path, max, out, len, err);
	else
		ret = kwgi_fail(err, KWG_ERR_IO, EPERM,
				"%.300s: is no file that root alone can write to", path);
	close(fd);
	return ret;
}

bool kwgi_file_exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

bool kwgi_file_is_missing(const char *path)
{
	struct stat st;

	return stat(path, &st) && (errno == ENOENT || errno == ENOTDIR);
}

static void number_of(const char *path, char out[KWGI_ORIGIN_TEXT])
{
	uint64_t hash = 14695981039346656037u;	/* FNV-1a */

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 1099511628211u;
	snprintf(out, KWGI_ORIGIN_TEXT, "%016" PRIx64, hash);
}

/* /dev/fd/3 and the like are another file for each process. */
static bool has_own_path(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && strncmp(path, "/dev/", 5) &&
	       strncmp(path, "/proc/", 6);
}

void kwgi_file_origins(const char *path, char out[KWGI_ORIGINS][KWGI_ORIGIN_TEXT])
{
	char *real = strcmp(path, "-") ? realpath(path, NULL) : NULL, cwd[4096], named[8192];

	out[0][0] = out[1][0] = '\0';
	if (!real)
		return;
	number_of(real, out[0]);
	free(real);
	if (!has_own_path(path) || (*path != '/' && !getcwd(cwd, sizeof(cwd))))
		return;
	if (*path == '/')
		number_of(path, out[1]);
	else if (snprintf(named, sizeof(named), "%s/%s", cwd, path) < (int)sizeof(named))
		number_of(named, out[1]);
	if (!strcmp(out[0], out[1]))
		out[1][0] = '\0';
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

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	for (; len; text += n, len -= (size_t)n) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return -1;
	}
	return 0;
}

static int write_and_sync(int fd, const char *text)
{
	return write_all(fd, text, strlen(text)) || write_all(fd, "\n", 1) || fsync(fd) ? -1 : 0;
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
	char tmp[4096];

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return -1;
	unlink(tmp);
	if (!write_new(tmp, text, len) && !rename(tmp, path))
		return 0;
	unlink(tmp);
	return -1;
}

/* What was renamed in there stays renamed, whatever happens now. */
static void sync_folder_of(const char *path)
{
	char *copy = strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
	int fd;

	if (slash && slash != copy) {
		*slash = '\0';
		fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			(void)fsync(fd);
			close(fd);
		}
	}
	free(copy);
}

static int make_folder_of(const char *path, struct kwg_error *err)
{
	char *copy = strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
	bool there;

	if (!slash) {
		free(copy);
		return copy ? 0 : kwgi_nomem(err);
	}
	*slash = '\0';
	there = kwgi_file_is_dir(copy);
	free(copy);
	return there ? 0 : kwgi_file_make_parents(path, 0700, err);
}

/* Makes what was written into tmp the file; *fd is closed. */
static int finish_replacing(const char *tmp, int fd, const char *path, const char *text, size_t len,
			    struct kwg_error *err)
{
	int ret = 0;

	if (write_all(fd, text, len) || fsync(fd) || rename(tmp, path)) {
		ret = fail_errno(err, path, "writing");
		unlink(tmp);
	}
	close(fd);
	if (!ret)
		sync_folder_of(path);
	return ret;
}

int kwgi_file_replace_secret(const char *path, const char *text, size_t len, struct kwg_error *err)
{
	char tmp[4096];
	int fd, ret = make_folder_of(path, err);

	if (ret)
		return ret;
	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", path);
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail_errno(err, tmp, "creating");
	if (fchmod(fd, 0600)) {
		ret = fail_errno(err, path, "writing");
		unlink(tmp);
		close(fd);
		return ret;
	}
	return finish_replacing(tmp, fd, path, text, len, err);
}

/* Of a file that people have: its owner and mode, and nothing else in its folder is touched. */
static int create_beside(char *tmp, int *fd, const char *path, struct kwg_error *err)
{
	struct stat st, made;
	int ret = 0;

	if (stat(path, &st))
		return fail_errno(err, path, "opening");
	if (!S_ISREG(st.st_mode))
		return kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: is no regular file", path);
	*fd = mkostemp(tmp, O_CLOEXEC);
	if (*fd < 0)
		return fail_errno(err, path, "creating a file beside it");
	if (fstat(*fd, &made) ||
	    ((made.st_uid != st.st_uid || made.st_gid != st.st_gid) && fchown(*fd, st.st_uid, st.st_gid)) ||
	    fchmod(*fd, st.st_mode & 07777)) {
		ret = fail_errno(err, path, "keeping its owner and mode");
		unlink(tmp);
		close(*fd);
	}
	return ret;
}

static int check_is(const char *path, struct kwgi_file_text wanted, struct kwg_error *err)
{
	char *text;
	size_t len;
	int ret = kwgi_file_read(path, KWGI_FILE_MAX_CONFIG, &text, &len, err);

	if (ret)
		return ret;
	if (len != wanted.len || (len && memcmp(text, wanted.p, len)))
		ret = kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: another program has changed the file meanwhile; try again",
				path);
	sodium_memzero(text, len);
	free(text);
	return ret;
}

/* The lock is gone with the descriptor. A file system without locks is no reason not to write. */
static int lock_folder_of(const char *path)
{
	char *copy = strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;
	int fd = -1;

	if (slash) {
		slash[slash == copy] = '\0';
		fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	free(copy);
	if (fd >= 0)
		(void)flock(fd, LOCK_EX);
	return fd;
}

int kwgi_file_replace_same(const char *path, struct kwgi_file_text before, struct kwgi_file_text after,
			   struct kwg_error *err)
{
	char *real = realpath(path, NULL), tmp[4096 + 8];
	int lock, fd = -1, ret;

	if (!real)
		return fail_errno(err, path, "opening");
	lock = lock_folder_of(real);
	snprintf(tmp, sizeof(tmp), "%s.XXXXXX", real);
	ret = check_is(real, before, err);
	if (!ret)
		ret = create_beside(tmp, &fd, real, err);
	if (!ret)
		ret = finish_replacing(tmp, fd, real, after.p, after.len, err);
	if (lock >= 0)
		close(lock);
	free(real);
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

enum {
	HOLDER_TEXT = 256,	/* bytes */
	LOCK_LOOK = 100,	/* ms between two tries */
	HOLDER_LOOK = 10,
	HOLDER_TRIES = 20
};

/* What this program was called with; no option has a secret. */
static void own_command(char *out, size_t size)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t i, n = fd < 0 ? 0 : read(fd, out, size - 1);

	if (fd >= 0)
		close(fd);
	n = n < 0 ? 0 : n;
	while (n && !out[n - 1])
		n--;
	for (i = 0; i < n; i++)
		if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
			out[i] = ' ';
	out[n] = '\0';
}

/* Nobody is worse off if it cannot be noted. */
static void note_holder(int lock)
{
	char text[HOLDER_TEXT], command[HOLDER_TEXT - 64];
	int n;

	own_command(command, sizeof(command));
	n = snprintf(text, sizeof(text), "%ld %" PRId64 " %s\n", (long)getpid(), kwgi_wall_seconds(),
		     command);
	if (!ftruncate(lock, 0) && n > 0)
		(void)!pwrite(lock, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, 0);
}

/*
 * What the file says, if that is of one that runs. Between taking the lock and noting who did there is a
 * moment with the text of the one before, or half of the new one.
 */
static bool read_holder(int lock, char text[HOLDER_TEXT], long *pid, int64_t *since, int *command)
{
	ssize_t n = pread(lock, text, HOLDER_TEXT - 1, 0);
	char *end;

	text[n > 0 ? n : 0] = '\0';
	end = strchr(text, '\n');
	if (!end)
		return false;
	*end = '\0';
	*command = 0;
	if (sscanf(text, "%ld %" SCNd64 " %n", pid, since, command) < 2 || !*command || *pid <= 0)
		return false;
	return !kill((pid_t)*pid, 0) || errno == EPERM;
}

/* "kilowg apply (process 4711) since 12:34:56", or "another kilowg". */
static void describe_holder(int lock, char *out, size_t size)
{
	char text[HOLDER_TEXT], at[32] = "";
	int command, tries = HOLDER_TRIES;
	int64_t since;
	struct tm tm;
	bool known;
	time_t t;
	long pid;

	while (!(known = read_holder(lock, text, &pid, &since, &command)) && --tries)
		kwgi_stop_pause(NULL, HOLDER_LOOK);
	if (!known) {
		snprintf(out, size, "another kilowg");
		return;
	}
	t = (time_t)since;
	if (localtime_r(&t, &tm))
		(void)strftime(at, sizeof(at), "%F %T", &tm);
	snprintf(out, size, "\"%.150s\" (process %ld, since %s)", text + command, pid, at);
}

/* 0, or -1 with errno. */
static int lock_within(int lock, int seconds, const struct kwgi_stop *stop)
{
	int64_t deadline = kwgi_monotonic_ms() + (int64_t)seconds * 1000;
	bool forever = seconds == KWGI_LOCK_FOREVER;
	/* In turn with others who wait, unless somebody may end that. */
	bool blocks = forever && !(stop && stop->has_fd);

	for (;;) {
		if (!flock(lock, LOCK_EX | (blocks ? 0 : LOCK_NB)))
			return 0;
		if (errno == EWOULDBLOCK && kwgi_stop_cancelled(stop)) {
			errno = ECANCELED;
			return -1;
		}
		if (errno == EWOULDBLOCK && !forever && kwgi_monotonic_ms() >= deadline) {
			errno = EWOULDBLOCK;
			return -1;
		}
		if (errno != EINTR && errno != EWOULDBLOCK)
			return -1;
		/* There is no lock with a time limit. */
		if (errno == EWOULDBLOCK)
			kwgi_stop_pause(stop, LOCK_LOOK);
	}
}

static int open_lock(const char *dir, const char *name, char path[4096], int *fd,
		     struct kwg_error *err)
{
	int ret;

	if (snprintf(path, 4096, "%s/%s.lock", dir, name) >= 4096)
		return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", dir);
	ret = kwgi_file_make_parents(path, 0755, err);
	if (ret)
		return ret;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *fd < 0 ? fail_errno(err, path, "opening the lock") : 0;
}

int kwgi_lock_take(const char *dir, const char *name, const char *mesh, int seconds,
		   const struct kwgi_stop *stop, int *fd, struct kwg_error *err)
{
	char path[4096], holder[HOLDER_TEXT + 64];
	int lock = -1, ret = open_lock(dir, name, path, &lock, err);

	if (ret)
		return ret;
	if (!lock_within(lock, seconds, stop)) {
		note_holder(lock);
		*fd = lock;
		return 0;
	}
	if (errno == EWOULDBLOCK) {
		describe_holder(lock, holder, sizeof(holder));
		ret = kwgi_fail(err, KWG_ERR_LOCKED, 0, "%s is at work on mesh %s (%.150s is locked)",
				holder, mesh, path);
	} else if (errno == ECANCELED) {
		ret = kwgi_stop_fail(stop, err, "mesh %s was free", mesh);
	} else {
		ret = fail_errno(err, path, "locking");
	}
	close(lock);
	return ret;
}

bool kwgi_lock_is_taken(const char *dir, const char *name)
{
	char path[4096];
	bool taken;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s.lock", dir, name) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	taken = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	close(fd);
	return taken;
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

int64_t kwgi_boot_seconds(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_BOOTTIME, &t) ? 0 : (int64_t)t.tv_sec;
}

int64_t kwgi_boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int kwgi_boot_id(char boot[KWGI_BOOT_ID_MAX])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot, KWGI_BOOT_ID_MAX - 1);
	int e = n < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	if (e && e != ENOENT && e != EACCES)
		return e;
	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	if (!*boot)
		memcpy(boot, "-", 2);
	return 0;
}

int64_t kwgi_monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
