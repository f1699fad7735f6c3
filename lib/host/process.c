/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * SO_PEERCRED says who called listen(). With wireguard-go that is its parent,
 * which has gone, and whose number may be somebody else's by now. What counts is
 * who has the TUN device, which /proc/PID/fdinfo tells of those whose files we
 * may see. A descriptor of the process, taken before we look, makes sure that
 * we end the one that we have looked at. Where we may see nobody's files, as in
 * a unit with ProtectProc=, SO_PEERPIDFD still tells whether who listened lives.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host/files.h"
#include "host/process.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77		/* Linux 6.5 */
#endif

enum {
	TERM_TIMEOUT = 1000,	/* ms to end by itself */
	KILL_TIMEOUT = 5000,
	LOOK = 20,		/* ms between two looks, without a descriptor */
	PATH = 64,		/* of a file below /proc/PID */
};

/* ---- /proc ----------------------------------------------------------- */

/* The start of a file below /proc, as text. */
static bool read_text(int dir, const char *path, char *out, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool is_in_our_namespace(int process)
{
	struct stat ours, theirs;

	return !stat("/proc/self/ns/net", &ours) && !fstatat(process, "ns/net", &theirs, 0) &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* Is this descriptor the device? As has_device(). */
static int is_device(int process, const char *fd, const char *ifname)
{
	char path[PATH], line[PATH], text[1024];
	ssize_t n;

	snprintf(path, sizeof(path), "fd/%.20s", fd);
	n = readlinkat(process, path, text, sizeof(text) - 1);
	if (n < 0)
		return errno == EACCES || errno == EPERM ? -1 : 0;
	text[n] = '\0';
	if (!strstr(text, "/tun"))
		return 0;
	snprintf(path, sizeof(path), "fdinfo/%.20s", fd);
	snprintf(line, sizeof(line), "\niff:\t%.20s\n", ifname);
	return read_text(process, path, text, sizeof(text)) && strstr(text, line);
}

/* 1: it has the device, 0: it has not, -1: nobody lets us see. */
static int has_device(int process, const char *ifname)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (!found && (entry = readdir(dir)))
		found = is_device(process, entry->d_name, ifname);
	closedir(dir);
	return found > 0 ? is_in_our_namespace(process) : found;
}

/* ---- finding --------------------------------------------------------- */

/* Another process becomes the one that is meant. */
static void take(struct kwgi_process *o, pid_t pid)
{
	kwgi_process_close(o);
	o->pid = pid;
	o->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

/* Who listens on the other side. True if it is certain that the number is not another's by now. */
static bool take_listener(struct kwgi_process *o, int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	int pidfd = -1;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid <= 1)
		return false;
	len = sizeof(pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len)) {
		take(o, peer.pid);
		return false;
	}
	o->pid = peer.pid;
	o->pidfd = pidfd;
	return !has_ended(pidfd);
}

static bool is_called(const struct kwgi_process *o, const char *program)
{
	return program && *program && !strncmp(o->name, program, sizeof(o->name) - 1);
}

/*
 * Looks at it, by now that nothing else can get its number unnoticed. Where we
 * cannot see its files, it counts if it is certain who it is, or by its name.
 */
static void look(struct kwgi_process *o, const char *ifname, bool certain, const char *program)
{
	char path[PATH];
	int process, has;

	snprintf(path, sizeof(path), "/proc/%d", (int)o->pid);
	process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	has = process < 0 ? -1 : has_device(process, ifname);
	if (process >= 0 && read_text(process, "comm", o->name, sizeof(o->name)))
		o->name[strcspn(o->name, "\n")] = '\0';
	o->sure = has > 0 || (has < 0 && (certain || is_called(o, program)));
	if (process >= 0)
		close(process);
	if (!o->sure && !*o->name)
		kwgi_process_close(o);
}

/* The first process may have it only because it keeps it for a daemon that is being restarted. */
static bool keeps_it(const struct kwgi_process *o, const char *program)
{
	return o->pid == 1 && !is_called(o, program);
}

static void look_at_all(struct kwgi_process *o, const char *ifname, const char *program)
{
	DIR *dir = opendir("/proc");
	struct kwgi_process other = { .pidfd = -1 };
	struct dirent *entry;

	while (dir && !other.sure && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		take(&other, atoi(entry->d_name));
		look(&other, ifname, false, NULL);
		if (keeps_it(&other, program))
			other.sure = false;
	}
	if (dir)
		closedir(dir);
	if (!other.sure) {
		kwgi_process_close(&other);
		return;
	}
	kwgi_process_close(o);
	*o = other;
}

void kwgi_process_find(struct kwgi_process *o, int fd, const char *ifname, const char *program)
{
	bool certain;

	*o = (struct kwgi_process){ .pidfd = -1 };
	certain = take_listener(o, fd);
	if (o->pid)
		look(o, ifname, certain, program);
	if (!o->sure)
		look_at_all(o, ifname, program);
}

void kwgi_process_close(struct kwgi_process *o)
{
	if (o->pidfd >= 0)
		close(o->pidfd);
	*o = (struct kwgi_process){ .pidfd = -1 };
}

const char *kwgi_process_describe(const struct kwgi_process *o, char *out, size_t size)
{
	if (o->pid && *o->name)
		snprintf(out, size, "%s (process %d)", o->name, (int)o->pid);
	else if (o->pid)
		snprintf(out, size, "the userspace WireGuard (process %d)", (int)o->pid);
	else
		snprintf(out, size, "the userspace WireGuard");
	return out;
}

/* ---- ending ---------------------------------------------------------- */

static void signal_it(const struct kwgi_process *o, int signal)
{
	/* The kernels that have one call but not the other are few, but there are some. */
	if (o->pidfd < 0 ||
	    (syscall(SYS_pidfd_send_signal, o->pidfd, signal, NULL, 0) && errno == ENOSYS))
		(void)kill(o->pid, signal);
}

static bool is_gone(const struct kwgi_process *o, int timeout)
{
	const struct timespec pause = { .tv_nsec = LOOK * 1000000 };
	int64_t deadline = kwgi_monotonic_ms() + timeout;
	struct pollfd p = { .fd = o->pidfd, .events = POLLIN };
	int64_t left;

	while ((left = deadline - kwgi_monotonic_ms()) > 0) {
		if (o->pidfd >= 0 && poll(&p, 1, (int)left) > 0)
			return true;
		if (o->pidfd < 0 && kill(o->pid, 0) && errno == ESRCH)
			return true;
		if (o->pidfd < 0)
			nanosleep(&pause, NULL);
	}
	return false;
}

bool kwgi_process_end(const struct kwgi_process *o)
{
	if (!o->sure)
		return false;
	signal_it(o, SIGTERM);
	if (is_gone(o, TERM_TIMEOUT))
		return true;
	signal_it(o, SIGKILL);
	return is_gone(o, KILL_TIMEOUT);
}
