/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "host/daemon.h"
#include "host/files.h"
#include "host/spawn.h"
#include "host/uapi.h"
#include "sys/errtext.h"

extern char **environ;

enum {
	END_TIMEOUT = 5000,	/* ms that a daemon without interface may take to end */
	MAX_WORDS = 32,
};

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

static void read_complaint(int fd, char out[KWGI_COMPLAINT_MAX])
{
	ssize_t n = fd < 0 ? -1 : pread(fd, out, KWGI_COMPLAINT_MAX - 1, 0);

	out[n > 0 ? n : 0] = '\0';
	kwgi_spawn_tidy(out);
	if (fd >= 0)
		(void)fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
}

/* It gets no descriptors but the first three, so what numbers of others mean is not for it. */
static bool names_descriptor(const char *variable)
{
	static const char *const names[] = { "WG_TUN_FD=", "WG_UAPI_FD=", "LISTEN_PID=",
					     "LISTEN_FDS=", "LISTEN_FDNAMES=" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

/* The environment of this process without those; NULL if there is no memory. */
static const char **make_environment(void)
{
	const char **env;
	size_t i, n = 0;

	while (environ[n])
		n++;
	env = calloc(n + 1, sizeof(*env));
	for (i = n = 0; env && environ[i]; i++)
		if (!names_descriptor(environ[i]))
			env[n++] = environ[i];
	return env;
}

static int spawn(pid_t *pid, const char *const *argv, int fd)
{
	const char **env = make_environment();
	int e = env ? kwgi_spawn(pid, &(struct kwgi_spawn){ .argv = argv, .env = env, .in = -1,
							    .out = -1, .err = fd }) : ENOMEM;

	free(env);
	return e;
}

static int run(const struct kwgi_launch *l, const char *const *argv, int64_t deadline,
	       struct kwg_error *err)
{
	char complaint[KWGI_COMPLAINT_MAX];
	int fd = make_stderr(), e, status;
	pid_t pid;
	bool ended;

	e = spawn(&pid, argv, fd);
	if (e) {
		if (fd >= 0)
			close(fd);
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "starting %.200s: %s", argv[0],
				 kwgi_errtext(e));
	}
	ended = kwgi_spawn_wait(pid, deadline, &l->stop);
	if (!ended)
		kwgi_spawn_kill(pid);
	status = kwgi_spawn_reap(pid);
	read_complaint(fd, complaint);
	if (fd >= 0)
		close(fd);
	if (!ended && kwgi_stop_asked(&l->stop))
		return kwgi_stop_fail(&l->stop, err, "%.200s went into the background", argv[0]);
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

/* The words after the n that argv has already. */
static size_t put_words(const char **argv, size_t n, const char *const *words)
{
	for (; words && *words && n < MAX_WORDS; words++)
		argv[n++] = *words;
	return n;
}

static int run_command(const struct kwgi_launch *l, const char *const *argv, int64_t deadline,
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
static int run_launcher(const struct kwgi_launch *l, const char *const *argv,
			const char *const *command, int64_t deadline, struct kwg_error *err)
{
	struct kwgi_buf line = { 0 };
	struct kwg_error own = { 0 };
	int ret = run(l, argv, deadline, &own);

	if (!ret || ret == KWG_ERR_TIMEOUT || ret == KWG_ERR_STOPPED ||
	    ret == KWG_ERR_CANCELLED) {
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
	const char *argv[MAX_WORDS + 2];
	size_t first, n;
	int ret;

	first = put_words(argv, 0, l->launcher);
	n = put_words(argv, first, l->command);
	if (n == first || n == MAX_WORDS)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "no userspace WireGuard to start is known");
	argv[n] = ifname;
	argv[n + 1] = NULL;
	ret = check_free(ifname, err);
	if (ret)
		return ret;
	ret = first ? run_launcher(l, argv, argv + first, deadline, err)
		    : run_command(l, argv, deadline, err);
	if (!ret)
		ret = kwgi_uapi_wait(ifname, deadline, &l->stop, err);
	/* wireguard-go sets the link's MTU after its socket is there, but before it answers. */
	return ret ? ret : kwgi_uapi_greet(ifname, err);
}

/* ---- ending ---------------------------------------------------------- */

void kwgi_daemon_find(const struct kwgi_launch *l, const char *link, const char *socket,
		      struct kwgi_process *owner)
{
	const char *path = l->command ? l->command[0] : "";
	const char *slash = strrchr(path, '/');
	int fd = kwgi_uapi_connect(socket);

	kwgi_process_find(owner, fd, link, slash ? slash + 1 : path);
	if (fd >= 0)
		close(fd);
}

/* False if it still answers when the time is up. */
static bool wait_end(const char *ifname)
{
	int64_t deadline = kwgi_monotonic_ms() + END_TIMEOUT;
	struct pollfd p = { .events = 0 };
	int64_t left;

	/* Who closes the socket hangs up on us, too. */
	while ((left = deadline - kwgi_monotonic_ms()) > 0) {
		p.fd = kwgi_uapi_connect(ifname);
		if (p.fd < 0 && errno != EAGAIN)
			return true;
		if (p.fd < 0)
			continue;	/* it took its time to say that it is busy */
		(void)poll(&p, 1, (int)left);
		close(p.fd);
	}
	return false;
}

void kwgi_daemon_wait_end(const char *ifname)
{
	(void)wait_end(ifname);
}

void kwgi_daemon_end(const char *socket, const struct kwgi_process *owner)
{
	if (!wait_end(socket))
		(void)kwgi_process_end(owner);
}
