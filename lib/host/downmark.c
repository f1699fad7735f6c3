/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "host/downmark.h"
#include "sys/errtext.h"

enum { PATH_SIZE = 4096 };

static int mark_path(char path[PATH_SIZE], const char *dir, const char *mesh)
{
	return snprintf(path, PATH_SIZE, "%s/%s.down", dir, mesh) < PATH_SIZE ? 0 : -1;
}

int kwgi_downmark_set(const char *dir, const char *mesh, struct kwg_error *err)
{
	char path[PATH_SIZE];
	int fd;

	if (mark_path(path, dir, mesh))
		return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return kwgi_fail(err, KWG_ERR_IO, errno, "%.300s: making: %s", path,
				 kwgi_errtext(errno));
	close(fd);
	return 0;
}

void kwgi_downmark_clear(const char *dir, const char *mesh)
{
	char path[PATH_SIZE];

	if (!mark_path(path, dir, mesh))
		unlink(path);
}

bool kwgi_downmark_is_set(const char *dir, const char *mesh)
{
	char path[PATH_SIZE];
	struct stat st;

	return !mark_path(path, dir, mesh) && !lstat(path, &st);
}
