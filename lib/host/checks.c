/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "host/checks.h"
#include "sys/errtext.h"

enum { STRICT = 1, LOOSE = 2 };

static const char folder[] = "/proc/sys/net/ipv4/conf";
static const char valid_mark[] = "/proc/sys/net/ipv4/conf/all/src_valid_mark";

/* A digit; 0 if there is none. */
static int read_digit(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = '0';

	if (fd < 0)
		return 0;
	if (read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c - '0';
}

static int rp_filter(const char *link)
{
	char path[sizeof(folder) + 300];

	snprintf(path, sizeof(path), "%s/%.255s/rp_filter", folder, link);
	return read_digit(path);
}

/* Of the value for all links and that of a link the greater one counts. */
void kwgi_checks_observe(struct kwgi_checks *c)
{
	int all = rp_filter("all"), own;
	DIR *d = all >= LOOSE ? NULL : opendir(folder);
	const struct dirent *e;

	c->strict = false;
	while (d && !c->strict && (e = readdir(d))) {
		if (e->d_name[0] == '.' || !strcmp(e->d_name, "all") ||
		    !strcmp(e->d_name, "default") || !strcmp(e->d_name, "lo"))
			continue;
		own = rp_filter(e->d_name);
		c->strict = own == STRICT || (all == STRICT && own < LOOSE);
	}
	if (d)
		closedir(d);
	c->valid_mark = read_digit(valid_mark);
	c->read_only = access(valid_mark, W_OK) != 0;
}

int kwgi_checks_step(const struct kwgi_step *s, bool undo, struct kwg_error *err)
{
	const char *text = s->u.valid_mark.set != undo ? "1\n" : "0\n";
	int fd = open(valid_mark, O_WRONLY | O_CLOEXEC), e = 0;

	if (fd < 0)
		e = errno;
	else if (write(fd, text, 2) != 2)
		e = errno ? errno : EIO;
	if (fd >= 0)
		close(fd);
	return e ? kwgi_fail(err, KWG_ERR_KERNEL, e, "%s: writing: %s", valid_mark, kwgi_errtext(e))
		 : 0;
}
