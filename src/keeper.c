/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"

enum { MAX_ARGS = 24, START_WAITS = 15000, LOOK = 20 };	/* ms to come up; ms between two looks */

bool has_systemd(void)
{
	return !access("/run/systemd/system", F_OK) && !access("/run/systemd/private", W_OK);
}

const char *find_systemd_run(void)
{
	static const char *const paths[] = { "/usr/bin/systemd-run", "/bin/systemd-run" };

	return access(paths[0], X_OK) && !access(paths[1], X_OK) ? paths[1] : paths[0];
}

/* ---- starting other programs ----------------------------------------------- */

static void close_from(int first)
{
	int fd;

#ifdef SYS_close_range
	if (!syscall(SYS_close_range, (unsigned)first, ~0u, 0u))
		return;
#endif
	for (fd = first; fd < 65536; fd++)
		close(fd);
}

/* Of the caller it keeps neither session nor files, folder, masks or ignored signals. */
_Noreturn static void become(const char *const *argv)
{
	int fd = open("/dev/null", O_RDWR), i;
	sigset_t none;

	(void)setsid();
	(void)!chdir("/");
	for (i = 0; fd >= 0 && i < 3; i++)
		(void)dup2(fd, i);
	close_from(3);
	for (i = 1; i < 32; i++)
		(void)signal(i, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static pid_t start(const char *const *argv)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (!pid)
		become(argv);
	return pid;
}

/* Its exit status, or -1. */
static int run(const char *const *argv)
{
	pid_t pid = start(argv);
	int status;

	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- what is started --------------------------------------------------------- */

static const char *own_path(char path[4096])
{
	ssize_t n = readlink("/proc/self/exe", path, 4095);

	path[n > 0 ? n : 0] = '\0';
	/* It has been replaced by another version. */
	if (n <= 0 || access(path, X_OK))
		snprintf(path, 4096, "%s/kilowg", KWG_BINDIR);
	return path;
}

struct words {
	const char *v[MAX_ARGS + 1];
	int n;
};

static void add(struct words *w, const char *word)
{
	if (w->n < MAX_ARGS)
		w->v[w->n++] = word;
}

static void add_command(struct words *w, const char *path, const char *mesh, const char *id)
{
	add(w, path);
	add(w, "rollback");
	add(w, "--mesh");
	add(w, mesh);
	add(w, "--when-due");
	add(w, id);
}

/* systemd starts it where systemd is itself, so that has to be where we are. */
static bool same_namespace(const char *name)
{
	char own[64], its[64];
	struct stat a, b;

	snprintf(own, sizeof(own), "/proc/self/ns/%s", name);
	snprintf(its, sizeof(its), "/proc/1/ns/%s", name);
	return !stat(own, &a) && !stat(its, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool start_timer(const struct keeper *k, const char *path, const char *mesh, const char *id,
			char *keeper, size_t size)
{
	char unit[64], active[40], env[4200];
	struct words w = { .n = 0 };

	if (!has_systemd() || !same_namespace("net") || !same_namespace("mnt"))
		return false;
	snprintf(unit, sizeof(unit), "--unit=kilowg-confirm-%s", id);
	snprintf(active, sizeof(active), "--on-active=%us", k->seconds);
	add(&w, find_systemd_run());
	add(&w, "--quiet");
	add(&w, "--collect");
	add(&w, unit);
	add(&w, active);
	add(&w, "--timer-property=AccuracySec=100ms");
	add(&w, "--property=OOMScoreAdjust=-900");
	/* A daemon that it starts is in a scope; if not, it stays with what this has done. */
	add(&w, "--property=KillMode=process");
	if (k->userspace && snprintf(env, sizeof(env), "--setenv=KILOWG_USERSPACE=%s", k->userspace) <
				    (int)sizeof(env))
		add(&w, env);
	add(&w, "--");
	add_command(&w, path, mesh, id);
	if (run(w.v))
		return false;
	snprintf(keeper, size, "timer kilowg-confirm-%s.timer", id);
	return true;
}

static void pause_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Until it has taken its lock. */
static bool is_up(const char *mesh, pid_t pid)
{
	struct kwg_pending p;
	long waited;

	for (waited = 0; waited < START_WAITS; waited += LOOK) {
		if (!kwg_pending_get(&p, mesh, NULL) && p.keeper_lives)
			return true;
		if (waitpid(pid, NULL, WNOHANG))
			return false;
		pause_ms(LOOK);
	}
	return false;
}

static bool start_process(bool scope, const char *path, const char *mesh, const char *id,
			  char *keeper, size_t size)
{
	struct words w = { .n = 0 };
	pid_t pid;

	/* Where systemd ends a session, it ends all that is in it. */
	if (scope) {
		add(&w, find_systemd_run());
		add(&w, "--scope");
		add(&w, "--collect");
		add(&w, "--quiet");
		add(&w, "--");
	}
	add_command(&w, path, mesh, id);
	pid = start(w.v);
	if (pid < 0)
		return false;
	if (!is_up(mesh, pid)) {
		kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return false;
	}
	snprintf(keeper, size, "process %ld", (long)pid);
	return true;
}

int keeper_start(void *arg, const char *mesh, const char *id, char *keeper, size_t size,
		 struct kwg_error *err)
{
	const struct keeper *k = arg;
	char path[4096];

	own_path(path);
	if (start_timer(k, path, mesh, id, keeper, size) ||
	    (has_systemd() && start_process(true, path, mesh, id, keeper, size)) ||
	    start_process(false, path, mesh, id, keeper, size))
		return 0;
	if (err) {
		*err = (struct kwg_error){ .status = KWG_ERR_IO };
		snprintf(err->text, sizeof(err->text),
			 "nothing was changed: %.300s cannot be started to roll back in time", path);
	}
	return KWG_ERR_IO;
}

void keeper_stop(const char *keeper)
{
	const char *const argv[] = { access("/usr/bin/systemctl", X_OK) ? "/bin/systemctl"
									: "/usr/bin/systemctl",
				     "stop", "--quiet", "--no-block", keeper + strlen("timer "), NULL };

	if (!strncmp(keeper, "timer ", 6) && has_systemd())
		(void)run(argv);
}

/* ---- the process that waits ------------------------------------------------------ */

static void arm(int timer, int64_t ms)
{
	const struct itimerspec t = { .it_value = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000 + 1) } };

	(void)timerfd_settime(timer, 0, &t, NULL);
}

static void drain(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

void keeper_protect(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "-900", 4);
	close(fd);
}

bool keeper_wait(const char *mesh, const char *id)
{
	/* A clock that nobody sets, and that goes on while the host sleeps. */
	int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	int folder = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd p[] = { { timer, POLLIN, 0 }, { folder, POLLIN, 0 } };
	struct kwg_pending now;
	int mine;

	(void)inotify_add_watch(folder, KWG_RUNDIR, IN_MOVED_TO | IN_DELETE);
	for (;;) {
		now = (struct kwg_pending){ .waits = false };
		mine = !kwg_pending_get(&now, mesh, NULL) && now.waits && !strcmp(now.id, id);
		/* Of one that has just begun nobody knows whether it stays. */
		if ((!mine && !now.running) || (mine && now.due))
			break;
		arm(timer, mine ? now.left : 1000);
		(void)poll(p, 2, timer >= 0 ? -1 : 1000);
		drain(timer);
		drain(folder);
	}
	close(timer);
	close(folder);
	return mine;
}
