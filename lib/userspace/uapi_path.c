/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/uapi_path.h"

/* Where many wait for the server's few places; cut to net.core.somaxconn. */
enum { BACKLOG = 4096 };

static int fail(const struct kwgi_uapi_path *p, int e, struct kwg_error *err)
{
	if (e == EADDRINUSE)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "%s: something answers there already",
				 p->name);
	if (e == ENOTSOCK)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "%s is there already, and is no socket",
				 p->name);
	return kwgi_fail(err, KWG_ERR_KERNEL, e, "%s: %s", p->name, kwgi_errtext(e));
}

int kwgi_uapi_path_init(struct kwgi_uapi_path *p, const char *dir, const char *ifname,
			struct kwg_error *err)
{
	*p = (struct kwgi_uapi_path){ .dir = -1 };
	if (!dir)
		dir = KWGI_UAPI_PATH_DIR;
	if (snprintf(p->name, sizeof(p->name), "%s/%s.sock", dir, ifname) >= (int)sizeof(p->name))
		return kwgi_fail(err, KWG_ERR_USAGE, ENAMETOOLONG,
				 "%s/%s.sock is too long for the name of a socket", dir, ifname);
	/* 0755 less the umask of the process, which is not ours to change. */
	if (mkdir(dir, 0755) && errno != EEXIST)
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "%s: %s", dir, kwgi_errtext(errno));
	p->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0)
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "%s: %s", dir, kwgi_errtext(errno));
	return 0;
}

/* ---- listening ------------------------------------------------------- */

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memcpy(sa.sun_path, name, strnlen(name, sizeof(sa.sun_path) - 1));
	return sa;
}

/*
 * Linux: a socket's inode gets the mode that fchmod() gave to the unbound
 * socket, less the umask. So no moment is there in which others could connect.
 */
static int listen_at(const char *name, struct stat *st)
{
	struct sockaddr_un sa = address(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), e;

	if (fd < 0)
		return -errno;
	if (!fchmod(fd, 0600) && !bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (!chmod(name, 0600) && !listen(fd, BACKLOG) && !lstat(name, st))
			return fd;
		e = errno;
		(void)unlink(name);
	} else {
		e = errno;
	}
	close(fd);
	return -e;
}

/* 0 if the name is free now. A socket whose server has ended refuses connections. */
static int make_room(const char *name)
{
	struct sockaddr_un sa = address(name);
	struct stat st;
	int fd, e = 0;

	if (lstat(name, &st))
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	/* EAGAIN: it listens, and is busy. */
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)) || errno == EAGAIN)
		e = EADDRINUSE;
	else if (errno != ECONNREFUSED && errno != ENOENT)
		e = errno;
	else if (unlink(name) && errno != ENOENT)
		e = errno;
	close(fd);
	return e;
}

/* "dir/.NAME.PID": wg(8) takes only names that end in ".sock" for interfaces. */
static int waiting_name(char *out, size_t size, const char *name)
{
	const char *slash = strrchr(name, '/');
	int dir = (int)(slash - name);
	int stem = (int)(strlen(slash + 1) - strlen(".sock"));

	return snprintf(out, size, "%.*s/.%.*s.%d", dir, name, stem, slash + 1, (int)getpid()) <
	       (int)size ? 0 : ENAMETOOLONG;
}

/*
 * Between bind() and listen() a socket refuses connections, and wg(8) removes
 * one that does. So it is bound under another name and gets its own when it
 * listens; link(), unlike rename(), replaces nobody's.
 */
static int listen_and_link(struct kwgi_uapi_path *p, int *out)
{
	char waiting[sizeof(p->name)];
	struct stat st;
	int fd, e;

	e = waiting_name(waiting, sizeof(waiting), p->name);
	if (e)
		return e;
	(void)unlink(waiting);
	fd = listen_at(waiting, &st);
	if (fd < 0)
		return -fd;
	e = link(waiting, p->name) ? errno : 0;
	(void)unlink(waiting);
	if (e) {
		close(fd);
		return e;
	}
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	*out = fd;
	return 0;
}

/* Where files have one name only. */
static int listen_directly(struct kwgi_uapi_path *p, int *out)
{
	struct stat st;
	int fd = listen_at(p->name, &st);

	if (fd < 0)
		return -fd;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	*out = fd;
	return 0;
}

int kwgi_uapi_path_listen(struct kwgi_uapi_path *p, int *fd, struct kwg_error *err)
{
	int e = make_room(p->name);

	if (!e)
		e = listen_and_link(p, fd);
	if (e == EPERM || e == EOPNOTSUPP || e == ENAMETOOLONG)
		e = listen_directly(p, fd);
	/* Somebody was faster. */
	if (e == EEXIST)
		e = EADDRINUSE;
	return e ? fail(p, e, err) : 0;
}

/* ---- a socket of somebody else's making ------------------------------ */

int kwgi_uapi_path_adopt(struct kwgi_uapi_path *p, int fd, struct kwg_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof(sa), int_len = sizeof(int);
	int listens = 0, flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_len) || !listens ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) || sa.sun_family != AF_UNIX)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "descriptor %d is not a UNIX socket that listens", fd);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "descriptor %d: %s", fd,
				 kwgi_errtext(errno));
	/* /run and /var/run are often one: compare what the names lead to. */
	sa.sun_path[sizeof(sa.sun_path) - 1] = '\0';
	if (!lstat(p->name, &st) && S_ISSOCK(st.st_mode)) {
		struct stat bound;

		if (*sa.sun_path && !lstat(sa.sun_path, &bound) && bound.st_dev == st.st_dev &&
		    bound.st_ino == st.st_ino) {
			p->dev = st.st_dev;
			p->ino = st.st_ino;
		}
	}
	return 0;
}

/* It was bound under another name, so it cannot say that this one is its own. */
void kwgi_uapi_path_inherit(struct kwgi_uapi_path *p, dev_t dev, ino_t ino)
{
	p->dev = dev;
	p->ino = ino;
	if (!kwgi_uapi_path_is_there(p))
		p->ino = 0;
}

/* Linux notes who calls it, also when the socket listens already (net/unix/af_unix.c, unix_listen()). */
void kwgi_uapi_path_listen_again(int fd)
{
	(void)listen(fd, BACKLOG);
}

/* ---- watching and removing ------------------------------------------- */

static const char *base(const struct kwgi_uapi_path *p)
{
	return strrchr(p->name, '/') + 1;
}

bool kwgi_uapi_path_is_there(const struct kwgi_uapi_path *p)
{
	struct stat st;

	return !p->ino ||
	       (!fstatat(p->dir, base(p), &st, AT_SYMLINK_NOFOLLOW) && st.st_dev == p->dev && st.st_ino == p->ino);
}

void kwgi_uapi_path_remove(struct kwgi_uapi_path *p)
{
	if (p->ino && kwgi_uapi_path_is_there(p))
		(void)unlinkat(p->dir, base(p), 0);
	p->ino = 0;
}

void kwgi_uapi_path_close(struct kwgi_uapi_path *p)
{
	if (p->dir >= 0)
		close(p->dir);
	p->dir = -1;
}
