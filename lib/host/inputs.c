/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Folders are watched, not files: a file that is renamed over another is another
 * file, and what is read is found by its name. What an event means is not asked
 * for either, as links and folders can change in many ways: it only makes us
 * look whether names, places or times are others than before.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "host/files.h"
#include "host/inputs.h"
#include "host/uapi.h"
#include "sys/errtext.h"

/* Not IN_MODIFY: a file that is being written is not complete yet. */
#define EVENTS (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |	\
		IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR)
/* The nearest folder above one that is missing: only that it comes matters. */
#define ABOVE_EVENTS (IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* ---- what is watched --------------------------------------------------- */

/* The folder above, in place; false for "/" and "." */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (!strcmp(path, "/") || !strcmp(path, "."))
		return false;
	if (!slash)
		snprintf(path, 2, ".");
	else if (slash == path)
		path[1] = '\0';
	else
		*slash = '\0';
	return true;
}

/* The nearest folder above what is missing. */
static void watch_above(const struct kwgi_inputs *in, const char *missing)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", missing) >= (int)sizeof(path))
		return;
	while (go_up(path))
		if (inotify_add_watch(in->fd, path, ABOVE_EVENTS | IN_MASK_ADD) >= 0)
			return;
}

static void watch_folder_of(const struct kwgi_inputs *in, const char *file)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", file) < (int)sizeof(path) && go_up(path))
		(void)inotify_add_watch(in->fd, path, EVENTS);
}

/* A link's own folder, and that of what it stands for. */
static void watch_file(const struct kwgi_inputs *in, const char *path)
{
	char real[PATH_MAX];

	watch_folder_of(in, path);
	if (realpath(path, real) && strcmp(real, path))
		watch_folder_of(in, real);
}

/* ---- what they are ----------------------------------------------------- */

static void mix(uint64_t *sum, const void *data, size_t len)
{
	const unsigned char *p = data;

	/* FNV-1a */
	while (len--)
		*sum = (*sum ^ *p++) * 0x100000001b3u;
}

static void mix_file(uint64_t *sum, const char *path)
{
	struct stat st;
	int64_t v[] = { 0, 0, 0, 0, 0, 0, 0 };

	if (!stat(path, &st)) {
		v[0] = (int64_t)st.st_dev;
		v[1] = (int64_t)st.st_ino;
		v[2] = (int64_t)st.st_size;
		v[3] = (int64_t)st.st_mtim.tv_sec;
		v[4] = (int64_t)st.st_mtim.tv_nsec;
		v[5] = (int64_t)st.st_ctim.tv_sec;
		v[6] = (int64_t)st.st_ctim.tv_nsec;
	}
	mix(sum, path, strlen(path) + 1);
	mix(sum, v, sizeof(v));
}

static void take_file(const struct kwgi_inputs *in, uint64_t *sum, const char *path)
{
	watch_file(in, path);
	mix_file(sum, path);
}

static void take_folder(const struct kwgi_inputs *in, uint64_t *sum, const char *folder)
{
	char path[PATH_MAX], **names;
	size_t i, n;

	(void)inotify_add_watch(in->fd, folder, EVENTS);
	if (kwgi_dir_list_ini(folder, &names, &n, NULL))
		return;
	for (i = 0; i < n; i++)
		if (snprintf(path, sizeof(path), "%s/%s", folder, names[i]) < (int)sizeof(path))
			take_file(in, sum, path);
	kwgi_dir_list_free(names, n);
}

bool kwgi_inputs_changed(struct kwgi_inputs *in)
{
	uint64_t sum = 0xcbf29ce484222325u;
	bool changed;
	size_t i;

	for (i = 0; i < in->n; i++) {
		if (!kwgi_file_exists(in->paths[i]))
			watch_above(in, in->paths[i]);
		else if (kwgi_file_is_dir(in->paths[i]))
			take_folder(in, &sum, in->paths[i]);
		else
			take_file(in, &sum, in->paths[i]);
	}
	changed = sum != in->sum;
	in->sum = sum;
	return changed;
}

/* ---- events ------------------------------------------------------------ */

/* What every apply writes to the folder of its lock, which may be one of those that are read. */
static bool is_own(const char *name)
{
	static const char *const ends[] = { ".lock", ".paths", ".paths.new", ".starting",
					    ".applied", ".applied.new", ".confirm.new" };
	size_t i, len = strlen(name);

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (len >= strlen(ends[i]) && !strcmp(name + len - strlen(ends[i]), ends[i]))
			return true;
	return false;
}

static unsigned meaning_of(const struct kwgi_inputs *in, const struct inotify_event *ev)
{
	const char *name = ev->len ? ev->name : "";

	if (ev->mask & IN_Q_OVERFLOW)
		return KWGI_INPUTS_FILES | KWGI_INPUTS_SOCKET;
	if (in->socket_folder >= 0 && ev->wd == in->socket_folder)
		return *in->socket && !strcmp(name, in->socket) ? KWGI_INPUTS_SOCKET : 0;
	/* The last event of a watch, which tells nothing. */
	return (ev->mask & IN_IGNORED) || is_own(name) ? 0 : KWGI_INPUTS_FILES;
}

unsigned kwgi_inputs_read(struct kwgi_inputs *in)
{
	_Alignas(struct inotify_event) char buf[4096];
	const struct inotify_event *ev;
	unsigned meaning = 0;
	ssize_t n, at;

	for (;;) {
		n = read(in->fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return meaning;
		for (at = 0; at < n; at += (ssize_t)(sizeof(*ev) + ev->len)) {
			ev = (const struct inotify_event *)(const void *)(buf + at);
			meaning |= meaning_of(in, ev);
		}
	}
}

void kwgi_inputs_follow(struct kwgi_inputs *in, const char *ifname)
{
	snprintf(in->socket, sizeof(in->socket), "%.*s.sock", KWGI_IFNAME_MAX, ifname);
	/* One that is missing is made together with an interface, of which there is a notice. */
	in->socket_folder = inotify_add_watch(in->fd, KWGI_UAPI_DIR,
					      IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM |
					      IN_ONLYDIR);
}

/* ---- life -------------------------------------------------------------- */

int kwgi_inputs_open(struct kwgi_inputs *in, const char *const *paths, size_t n,
		     struct kwg_error *err)
{
	*in = (struct kwgi_inputs){ .paths = paths, .n = n, .socket_folder = -1 };
	in->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (in->fd < 0)
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "watching files: %s",
				 kwgi_errtext(errno));
	(void)kwgi_inputs_changed(in);
	return 0;
}

void kwgi_inputs_close(struct kwgi_inputs *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
}
