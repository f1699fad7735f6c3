/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "host/files.h"
#include "host/spawn.h"
#include "sys/errtext.h"

extern char **environ;

/* ---- starting -------------------------------------------------------- */

#ifdef HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP
static int close_others(posix_spawn_file_actions_t *files)
{
	return posix_spawn_file_actions_addclosefrom_np(files, 3);
}
#else
static int close_one(posix_spawn_file_actions_t *files, int fd)
{
	int flags = fd < 3 ? -1 : fcntl(fd, F_GETFD);

	return flags < 0 || flags & FD_CLOEXEC ? 0 : posix_spawn_file_actions_addclose(files, fd);
}

/* Without /proc: all numbers that there may be, but not a billion. */
static int close_any(posix_spawn_file_actions_t *files)
{
	enum { MOST = 1 << 20 };
	long max = sysconf(_SC_OPEN_MAX);
	int fd, e = 0;

	for (fd = 3; fd < (max < MOST ? max : MOST) && !e; fd++)
		e = close_one(files, fd);
	return e;
}

/* What this process has open now and would pass on. */
static int close_others(posix_spawn_file_actions_t *files)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int e = 0;

	if (!dir)
		return close_any(files);
	while (!e && (entry = readdir(dir)))
		e = close_one(files, atoi(entry->d_name));
	closedir(dir);
	return e;
}
#endif

static int add_files(posix_spawn_file_actions_t *files, const struct kwgi_spawn *s)
{
	int e;

	e = s->in < 0 ? posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0)
		      : posix_spawn_file_actions_adddup2(files, s->in, 0);
	if (!e)
		e = s->out < 0 ? posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0)
			       : posix_spawn_file_actions_adddup2(files, s->out, 1);
	if (!e)
		e = s->err < 0 ? posix_spawn_file_actions_addopen(files, 2, "/dev/null", O_WRONLY, 0)
			       : posix_spawn_file_actions_adddup2(files, s->err, 2);
	return e ? e : close_others(files);
}

static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int e;

	sigemptyset(&none);
	sigfillset(&all);
	e = posix_spawnattr_setsigmask(attr, &none);
	if (!e)
		e = posix_spawnattr_setsigdefault(attr, &all);
	if (!e)
		e = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						   POSIX_SPAWN_SETSID);
	return e;
}

/* posix_spawn() takes lists of char *, for old times' sake, and writes to none. */
static char *const *unconst(const char *const *list)
{
	return (char *const *)(uintptr_t)list;
}

int kwgi_spawn(pid_t *pid, const struct kwgi_spawn *s)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int e;

	if (posix_spawn_file_actions_init(&files))
		return ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return ENOMEM;
	}
	e = add_files(&files, s);
	if (!e)
		e = set_attributes(&attr);
	if (!e)
		e = posix_spawn(pid, s->argv[0], &files, &attr, unconst(s->argv),
				s->env ? unconst(s->env) : environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return e;
}

/* ---- waiting --------------------------------------------------------- */

static int poll_until(struct pollfd *p, nfds_t n, int64_t deadline)
{
	int64_t left;
	int ret;

	do {
		left = deadline - kwgi_monotonic_ms();
		ret = poll(p, n, left > 0 ? (int)left : 0);
	} while (ret < 0 && errno == EINTR);
	return ret;
}

bool kwgi_spawn_wait(pid_t pid, int64_t deadline, const struct kwgi_stop *stop)
{
	struct pollfd p = { .events = POLLIN };
	int64_t next;
	int n;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0)
		return true;
	do {
		next = stop ? kwgi_monotonic_ms() + KWGI_STOP_LOOK : deadline;
		n = poll_until(&p, 1, next < deadline ? next : deadline);
	} while (!n && kwgi_monotonic_ms() < deadline && !kwgi_stop_asked(stop));
	close(p.fd);
	return n > 0;
}

void kwgi_spawn_kill(pid_t pid)
{
	if (kill(-pid, SIGKILL))
		kill(pid, SIGKILL);
}

int kwgi_spawn_reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void kwgi_spawn_tidy(char *complaint)
{
	char *p;

	for (p = complaint; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	while (p > complaint && p[-1] == ' ')
		*--p = '\0';
}

/* ---- running to the end ---------------------------------------------- */

#define FOLDERS "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin"

const char kwgi_program_folders[] = FOLDERS;

bool kwgi_program_find(char path[KWGI_PROGRAM_PATH_MAX], const char *name)
{
	const char *p = kwgi_program_folders, *end;

	for (; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, ':');
		if (snprintf(path, KWGI_PROGRAM_PATH_MAX, "%.*s/%s", (int)(end - p), p, name) <
			    KWGI_PROGRAM_PATH_MAX &&
		    !access(path, X_OK))
			return true;
	}
	return false;
}

struct running {
	const struct kwgi_program *p;
	pid_t pid;
	int64_t deadline;
	int in, out[2], err[2];		/* pipes: what we read, what the program writes to */
	char complaint[KWGI_COMPLAINT_MAX];
	size_t complained;
	bool too_much;
};

/* A file in memory: writing to a pipe could block, or end us by SIGPIPE. */
static int make_input(const void *p, size_t size)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	const char *from = p;
	ssize_t n;

	while (fd >= 0 && size) {
		n = write(fd, from, size);
		if (n < 0 && errno != EINTR) {
			close(fd);
			return -1;
		}
		if (n > 0) {
			from += n;
			size -= (size_t)n;
		}
	}
	if (fd >= 0)
		(void)lseek(fd, 0, SEEK_SET);
	return fd;
}

static void close_all(struct running *r)
{
	const int fds[] = { r->in, r->out[0], r->out[1], r->err[0], r->err[1] };
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	r->in = r->out[0] = r->out[1] = r->err[0] = r->err[1] = -1;
}

static int open_all(struct running *r)
{
	r->in = make_input(r->p->input, r->p->input_size);
	return r->in < 0 || pipe2(r->out, O_CLOEXEC) || pipe2(r->err, O_CLOEXEC) ? errno : 0;
}

static int start(struct running *r)
{
	static const char *const env[] = { "PATH=" FOLDERS, "LC_ALL=C", NULL };
	int e = open_all(r);

	if (!e)
		e = kwgi_spawn(&r->pid, &(struct kwgi_spawn){ .argv = r->p->argv, .env = env,
							      .in = r->in, .out = r->out[1],
							      .err = r->err[1] });
	if (e) {
		close_all(r);
		return e;
	}
	/* Without these the end of what it writes would never come. */
	close(r->out[1]);
	close(r->err[1]);
	r->out[1] = r->err[1] = -1;
	return 0;
}

static void take_output(struct running *r, const char *p, size_t n)
{
	struct kwgi_buf *out = r->p->out;

	if (!out)
		return;
	if (n > r->p->out_max - out->len) {
		r->too_much = true;
		return;
	}
	kwgi_buf_add(out, p, n);
}

static void take_complaint(struct running *r, const char *p, size_t n)
{
	size_t room = sizeof(r->complaint) - 1 - r->complained;

	if (n > room)
		n = room;
	memcpy(r->complaint + r->complained, p, n);
	r->complained += n;
}

/* Reads what there is; closes the pipe at its end. */
static void read_some(struct running *r, struct pollfd *p, bool is_output)
{
	char buf[16384];
	ssize_t n;

	if (!p->revents)
		return;
	n = read(p->fd, buf, sizeof(buf));
	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0)
		p->fd = -1;		/* poll() passes over it */
	else if (is_output)
		take_output(r, buf, (size_t)n);
	else
		take_complaint(r, buf, (size_t)n);
}

/* Until it has closed both; false if it takes too long or writes too much. */
static bool read_all(struct running *r)
{
	struct pollfd p[2] = { { r->out[0], POLLIN, 0 }, { r->err[0], POLLIN, 0 } };

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll_until(p, 2, r->deadline) <= 0)
			return false;
		read_some(r, &p[0], true);
		read_some(r, &p[1], false);
		if (r->too_much)
			return false;
	}
	return true;
}

int kwgi_program_run(const struct kwgi_program *p, struct kwg_error *err)
{
	struct running r = { .p = p, .in = -1, .out = { -1, -1 }, .err = { -1, -1 },
			     .deadline = kwgi_monotonic_ms() + p->timeout };
	int e = start(&r), status;
	bool ended;

	if (e)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "starting %.100s: %s", p->argv[0],
				 kwgi_errtext(e));
	ended = read_all(&r) && kwgi_spawn_wait(r.pid, r.deadline, NULL);
	if (!ended)
		kwgi_spawn_kill(r.pid);
	status = kwgi_spawn_reap(r.pid);
	close_all(&r);
	kwgi_spawn_tidy(r.complaint);
	if (r.too_much)
		return kwgi_fail(err, KWG_ERR_KERNEL, EFBIG, "%.100s writes more than %zu MiB",
				 p->argv[0], p->out_max >> 20);
	if (!ended)
		return kwgi_fail(err, KWG_ERR_TIMEOUT, 0, "%.100s has not ended within %u s%s%s",
				 p->argv[0], p->timeout / 1000, *r.complaint ? ": " : "", r.complaint);
	if (status)
		return kwgi_fail(err, KWG_ERR_KERNEL, 0, "%.100s ends with exit status %d%s%s",
				 p->argv[0], status, *r.complaint ? ": " : "", r.complaint);
	return p->out && p->out->failed ? kwgi_nomem(err) : 0;
}
