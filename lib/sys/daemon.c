/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "sys/daemon.h"
#include "sys/errtext.h"
#include "sys/files.h"
#include "sys/uapi.h"

extern char **environ;

enum {
	END_TIMEOUT = 5000,	/* ms that a daemon without interface may take to end */
	MAX_WORDS = 32,
	MAX_COMPLAINT = 200,
};

/* ---- the note -------------------------------------------------------- */

static int note_path(char path[4096], const struct kwgi_launch *l)
{
	return snprintf(path, 4096, "%s/%s.starting", l->dir, l->mesh) < 4096 ? 0 : -1;
}

int kwgi_daemon_note(const struct kwgi_launch *l, const char *ifname, struct kwg_error *err)
{
	char path[4096];
	int fd, e;

	if (note_path(path, l))
		return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", l->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && write(fd, ifname, strlen(ifname)) == (ssize_t)strlen(ifname) && !close(fd))
		return 0;
	e = errno;
	return kwgi_fail(err, KWG_ERR_IO, e, "%.300s: writing: %s", path, kwgi_errtext(e));
}

void kwgi_daemon_noted(const struct kwgi_launch *l, char ifname[KWGI_IFNAME_MAX + 1])
{
	char path[4096];
	ssize_t n;
	int fd;

	memset(ifname, 0, KWGI_IFNAME_MAX + 1);
	if (note_path(path, l))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	n = read(fd, ifname, KWGI_IFNAME_MAX);
	if (n < 0)
		*ifname = '\0';
	close(fd);
}

void kwgi_daemon_forget(const struct kwgi_launch *l)
{
	char path[4096];

	if (!note_path(path, l))
		unlink(path);
}

/* ---- starting -------------------------------------------------------- */

/*
 * The daemon may keep standard error open for good. A file in memory that
 * cannot grow once we have read it holds nobody up, neither a pipeline that
 * kilowg stands in nor the daemon.
 */
static int make_stderr(void)
{
	return memfd_create("kilowg-userspace", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static void read_complaint(int fd, char out[MAX_COMPLAINT])
{
	ssize_t n = fd < 0 ? -1 : pread(fd, out, MAX_COMPLAINT - 1, 0);
	char *p;

	out[n > 0 ? n : 0] = '\0';
	for (p = out; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	while (p > out && p[-1] == ' ')
		*--p = '\0';
	if (fd >= 0)
		(void)fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
}

/* Its own session, no signal blocked or ignored, no standard input and output of ours. */
static int spawn(pid_t *pid, char *const *argv, int stderr_fd)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int e;

	if (posix_spawn_file_actions_init(&files))
		return ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return ENOMEM;
	}
	sigemptyset(&none);
	sigfillset(&all);
	e = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (!e)
		e = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	if (!e && stderr_fd >= 0)
		e = posix_spawn_file_actions_adddup2(&files, stderr_fd, 2);
	if (!e)
		e = posix_spawnattr_setsigmask(&attr, &none);
	if (!e)
		e = posix_spawnattr_setsigdefault(&attr, &all);
	if (!e)
		e = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
							    POSIX_SPAWN_SETSIGDEF);
	if (!e)
		e = posix_spawn(pid, argv[0], &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return e;
}

/* Until the process has ended or the time is over; false then. Old kernels wait for ever. */
static bool wait_process(pid_t pid, int64_t deadline)
{
	struct pollfd p = { .events = POLLIN };
	int64_t left;
	int n;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0)
		return true;
	do {
		left = deadline - kwgi_monotonic_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	close(p.fd);
	return n > 0;
}

/* The exit status; 0 also if the caller's program does not let anybody wait for children. */
static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const struct kwgi_launch *l, char *const *argv, int64_t deadline,
	       struct kwg_error *err)
{
	char complaint[MAX_COMPLAINT];
	int fd = make_stderr(), e, status;
	pid_t pid;
	bool ended;

	e = spawn(&pid, argv, fd);
	if (e) {
		close(fd);
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "starting %.200s: %s", argv[0],
				 kwgi_errtext(e));
	}
	ended = wait_process(pid, deadline);
	if (!ended)
		kill(pid, SIGKILL);
	status = reap(pid);
	read_complaint(fd, complaint);
	close(fd);
	if (!ended)
		return kwgi_fail(err, KWG_ERR_TIMEOUT, 0,
				 "%.200s has not gone into the background within interface-timeout (%u s)",
				 argv[0], l->timeout);
	if (!status)
		return 0;
	return kwgi_fail(err, KWG_ERR_KERNEL, 0, "%.150s ends with exit status %d%s%s", argv[0],
			 status, *complaint ? ": " : "", complaint);
}

static int check_free(const char *ifname, struct kwg_error *err)
{
	kwgi_daemon_wait_end(ifname);
	if (!kwgi_uapi_answers(ifname))
		return 0;
	return kwgi_fail(err, KWG_ERR_KERNEL, EADDRINUSE,
			 "%s: a userspace WireGuard answers for this name, but the interface is not here; is it in another network namespace?",
			 ifname);
}

/* The words after the n that argv has already; nobody writes to them. */
static size_t put_words(char **argv, size_t n, const char *const *words)
{
	for (; words && *words && n < MAX_WORDS; words++)
		argv[n++] = (char *)(uintptr_t)*words;
	return n;
}

static int run_command(const struct kwgi_launch *l, char *const *argv, int64_t deadline,
		       struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	int ret = run(l, argv, deadline, &own);

	if (ret && own.sys_errno)
		return kwgi_fail(err, ret, own.sys_errno,
				 "%.400s; it is the userspace WireGuard of hosts whose kernel has none",
				 own.text);
	if (ret && err)
		*err = own;
	return ret;
}

/*
 * A launcher ends with its own failure or that of the command, and nobody can
 * tell which. Only if the command alone gets through it was the launcher's.
 */
static int run_launcher(const struct kwgi_launch *l, char *const *argv, char *const *command,
			int64_t deadline, struct kwg_error *err)
{
	struct kwgi_buf line = { 0 };
	struct kwg_error own = { 0 };
	int ret = run(l, argv, deadline, &own);

	if (!ret || ret == KWG_ERR_TIMEOUT) {
		if (ret && err)
			*err = own;
		return ret;
	}
	ret = run_command(l, command, deadline, err);
	if (ret || !l->log)
		return ret;
	kwgi_buf_printf(&line, "%s; %s was started without it, and may end together with the unit or session that it was started from",
			own.text, command[0]);
	if (!line.failed)
		l->log(l->log_arg, KWG_WARNING, line.p);
	kwgi_buf_free(&line);
	return 0;
}

int kwgi_daemon_start(const struct kwgi_launch *l, const char *ifname, struct kwg_error *err)
{
	int64_t deadline = kwgi_monotonic_ms() + (int64_t)l->timeout * 1000;
	char name[KWGI_IFNAME_MAX + 1], *argv[MAX_WORDS + 2];
	size_t first, n;
	int ret;

	first = put_words(argv, 0, l->launcher);
	n = put_words(argv, first, l->command);
	if (n == first || n == MAX_WORDS || strlen(ifname) >= sizeof(name))
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "no userspace WireGuard to start is known");
	memcpy(name, ifname, strlen(ifname) + 1);
	argv[n] = name;
	argv[n + 1] = NULL;
	ret = check_free(ifname, err);
	if (ret)
		return ret;
	ret = first ? run_launcher(l, argv, argv + first, deadline, err)
		    : run_command(l, argv, deadline, err);
	return ret ? ret : kwgi_uapi_wait(ifname, deadline, err);
}

void kwgi_daemon_wait_end(const char *ifname)
{
	int64_t deadline = kwgi_monotonic_ms() + END_TIMEOUT;
	struct pollfd p = { .events = 0 };
	int64_t left;

	/* Who closes the socket hangs up on us, too. */
	while ((left = deadline - kwgi_monotonic_ms()) > 0) {
		p.fd = kwgi_uapi_connect(ifname);
		if (p.fd < 0)
			return;
		(void)poll(&p, 1, (int)left);
		close(p.fd);
	}
}
