/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A shared object for LD_PRELOAD: lets the Nth operation of a program fail, or kills the program
 * right before it. Operations are calls of the functions below, counted from the moment at which
 * the program has taken its lock; before, it changes nothing. KWG_INJECT says what is to happen:
 *
 *	count		nothing, only the list is written
 *	kill N		SIGKILL
 *	fail N K	operation N fails with the Kth of the reasons that it has, from 0 on
 *
 * KWG_INJECT_LOG names the file for the list, a line for each operation: its number, function, how
 * many reasons to fail it has, and whether it changes something; or for which reason it fails.
 *
 * A reason may be REFUSED: the kernel, or the userspace WireGuard, gets a request that it has to
 * refuse. What receives has received before it fails: the answer is lost. Functions that the
 * libraries call inside of themselves are not seen here, strace sees those.
 */
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The wrappers have the types of glibc, which are transparent unions for GNU C. */
#pragma GCC diagnostic ignored "-Wpedantic"

enum { REFUSED = -1, LIST_END = 0, BATCH_MAX = 1 << 20 };

static char how;		/* first letter of KWG_INJECT; 0 before the lock is taken */
static unsigned at, reason, count;
static int list = -1;
static bool changes, spawned;	/* does this operation change something; is a program at it? */

/* ---- counting ---------------------------------------------------------- */

static void begin(void)
{
	const char *what = getenv("KWG_INJECT"), *path = getenv("KWG_INJECT_LOG");
	int fd;

	if (!what || !path || how)
		return;
	/* Out of the way of the numbers that the program itself would get. */
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	list = fcntl(fd, F_DUPFD_CLOEXEC, 500);
	syscall(SYS_close, fd);
	how = *what;
	sscanf(what, "%*s %u %u", &at, &reason);
	/* Not for the programs that this one starts. */
	unsetenv("LD_PRELOAD");
}

static void note(const char *function, const char *with, const char *and)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%u %s %s%s\n", count, function, with, and);

	syscall(SYS_write, list, line, (size_t)n);
}

/* What a program that was started changes goes on for some time. */
static void note_reasons(const char *function, const int *reasons)
{
	char text[16];
	int n = 0;

	while (reasons[n] != LIST_END)
		n++;
	snprintf(text, sizeof(text), "%d", n);
	note(function, text, changes || spawned ? " changes" : "");
	spawned = !strcmp(function, "posix_spawn");
	changes = false;
}

/* 0: the operation goes on; else the reason for which it fails. */
static int operation(const char *function, const int *reasons)
{
	unsigned i;

	if (!how)
		return 0;
	if (++count != at) {
		note_reasons(function, reasons);
		return 0;
	}
	if (how == 'k') {
		note(function, "killed", "");
		kill(getpid(), SIGKILL);
	}
	for (i = 0; i < reason && reasons[i + 1] != LIST_END; i++)
		;
	note(function, "fails: ", reasons[i] == REFUSED ? "refused" : strerror(reasons[i]));
	return reasons[i];
}

/* One that changes something: between two of these all points to be killed at are the same. */
static int change(const char *function, const int *reasons)
{
	changes = true;
	return operation(function, reasons);
}

#define REASONS(...) ((const int[]){ __VA_ARGS__, LIST_END })
#define NEXT(function) ((__typeof__(&function))(uintptr_t)dlsym(RTLD_NEXT, #function))

static int fail(int e)
{
	errno = e;
	return -1;
}

/* ---- refusing ---------------------------------------------------------- */

/* Too short for what any request begins with, except dumps. */
static ssize_t send_short(int fd, const struct nlmsghdr *nlh, int flags, const struct sockaddr *to,
			  socklen_t to_len)
{
	struct {
		struct nlmsghdr nlh;
		char payload[4];
	} request = { .nlh = *nlh };

	request.nlh.nlmsg_len = sizeof(request);
	return NEXT(sendto)(fd, &request, sizeof(request), flags, to, to_len) < 0 ? -1
									   : (ssize_t)nlh->nlmsg_len;
}

/* The second message of a batch of nf_tables becomes one that there is not. */
static ssize_t send_wrong(int fd, const void *batch, size_t len, int flags,
			  const struct sockaddr *to, socklen_t to_len)
{
	static _Alignas(8) char copy[BATCH_MAX];
	struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)copy;

	memcpy(copy, batch, len);
	nlh = (struct nlmsghdr *)(void *)(copy + NLMSG_ALIGN(nlh->nlmsg_len));
	nlh->nlmsg_type |= 0xff;
	return NEXT(sendto)(fd, copy, len, flags, to, to_len);
}

static bool can_be_refused(const struct nlmsghdr *nlh, size_t len)
{
	return len >= sizeof(*nlh) && len <= BATCH_MAX &&
	       (len > NLMSG_ALIGN(nlh->nlmsg_len) || (nlh->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP);
}

/* Is it no question? */
static bool is_change(int fd, const struct nlmsghdr *nlh, size_t len)
{
	const struct genlmsghdr *genl = NLMSG_DATA(nlh);
	socklen_t size = sizeof(int);
	int bus = -1;

	(void)getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &bus, &size);
	if (bus == NETLINK_ROUTE)	/* NEW, DEL, GET, SET */
		return (nlh->nlmsg_type & 3) != 2;
	if (bus == NETLINK_GENERIC)	/* WG_CMD_GET_DEVICE is 0 */
		return nlh->nlmsg_type != GENL_ID_CTRL && genl->cmd;
	return len > NLMSG_ALIGN(nlh->nlmsg_len);
}

/* ---- sockets ----------------------------------------------------------- */

ssize_t sendto(int fd, const void *p, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	const struct nlmsghdr *nlh = p;
	int e;

	changes = is_change(fd, nlh, len);
	e = operation("sendto", REASONS(ENOBUFS, can_be_refused(nlh, len) ? REFUSED : EPERM));
	if (e == REFUSED && len > NLMSG_ALIGN(nlh->nlmsg_len))
		return send_wrong(fd, p, len, flags, to, to_len);
	if (e == REFUSED)
		return send_short(fd, nlh, flags, to, to_len);
	return e ? fail(e) : NEXT(sendto)(fd, p, len, flags, to, to_len);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	int e = operation("recvmsg", REASONS(ENOBUFS));
	ssize_t n = NEXT(recvmsg)(fd, msg, flags);

	return e ? fail(e) : n;
}

/* To a userspace WireGuard. */
ssize_t send(int fd, const void *p, size_t len, int flags)
{
	static const char wrong[] = "set=1\nrefused=1\n\n";
	int e;

	changes = !strncmp(p, wrong, 4);
	e = operation("send", REASONS(EPIPE, REFUSED));
	if (e == REFUSED)
		return NEXT(send)(fd, wrong, sizeof(wrong) - 1, flags) < 0 ? -1 : (ssize_t)len;
	return e ? fail(e) : NEXT(send)(fd, p, len, flags);
}

ssize_t recv(int fd, void *p, size_t len, int flags)
{
	int e = operation("recv", REASONS(ECONNRESET));
	ssize_t n = NEXT(recv)(fd, p, len, flags);

	return e ? fail(e) : n;
}

ssize_t __recv_chk(int fd, void *p, size_t len, size_t room, int flags);
ssize_t __recv_chk(int fd, void *p, size_t len, size_t room, int flags)
{
	return len > room ? fail(EFAULT) : recv(fd, p, len, flags);
}

int socket(int domain, int type, int protocol)
{
	int e = operation("socket", REASONS(EMFILE));

	return e ? fail(e) : NEXT(socket)(domain, type, protocol);
}

int bind(int fd, const struct sockaddr *to, socklen_t len)
{
	int e = operation("bind", REASONS(ENOMEM));

	return e ? fail(e) : NEXT(bind)(fd, to, len);
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	int e = operation("connect", REASONS(EAGAIN));

	return e ? fail(e) : NEXT(connect)(fd, to, len);
}

unsigned if_nametoindex(const char *name)
{
	int e = operation("if_nametoindex", REASONS(EMFILE));

	if (!e)
		return NEXT(if_nametoindex)(name);
	errno = e;
	return 0;
}

/* ---- files ------------------------------------------------------------- */

int flock(int fd, int what)
{
	int ret = NEXT(flock)(fd, what);

	if (!ret)
		begin();
	return ret;
}

int open(const char *path, int flags, ...)
{
	unsigned mode = 0;
	va_list args;
	int e;

	changes = flags & O_CREAT;
	e = operation("open", REASONS(changes ? ENOSPC : EMFILE));
	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(args, unsigned);
	va_end(args);
	return e ? fail(e) : NEXT(open)(path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

FILE *fopen(const char *path, const char *mode)
{
	int e = operation("fopen", REASONS(EMFILE));

	if (!e)
		return NEXT(fopen)(path, mode);
	errno = e;
	return NULL;
}

DIR *opendir(const char *path)
{
	int e = operation("opendir", REASONS(EMFILE));

	if (!e)
		return NEXT(opendir)(path);
	errno = e;
	return NULL;
}

ssize_t read(int fd, void *p, size_t len)
{
	struct stat st;
	/* A pipe has no errors of its own. */
	bool pipe = !fstat(fd, &st) && S_ISFIFO(st.st_mode);
	int e = operation("read", REASONS(pipe ? EINTR : EIO));

	return e ? fail(e) : NEXT(read)(fd, p, len);
}

ssize_t __read_chk(int fd, void *p, size_t len, size_t room);
ssize_t __read_chk(int fd, void *p, size_t len, size_t room)
{
	return len > room ? fail(EFAULT) : read(fd, p, len);
}

ssize_t write(int fd, const void *p, size_t len)
{
	int e = change("write", REASONS(ENOSPC, EIO));

	/* The disk is full in the middle. */
	if (e == ENOSPC && len > 1)
		return NEXT(write)(fd, p, len / 2) < 0 ? -1 : fail(e);
	return e ? fail(e) : NEXT(write)(fd, p, len);
}

int rename(const char *from, const char *to)
{
	int e = change("rename", REASONS(ENOSPC));

	return e ? fail(e) : NEXT(rename)(from, to);
}

int link(const char *from, const char *to)
{
	int e = change("link", REASONS(ENOSPC));

	return e ? fail(e) : NEXT(link)(from, to);
}

int unlink(const char *path)
{
	int e = change("unlink", REASONS(EIO));

	return e ? fail(e) : NEXT(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
	int e = change("mkdir", REASONS(ENOSPC));

	return e ? fail(e) : NEXT(mkdir)(path, mode);
}

int fchmod(int fd, mode_t mode)
{
	int e = change("fchmod", REASONS(EIO));

	return e ? fail(e) : NEXT(fchmod)(fd, mode);
}

int fsync(int fd)
{
	int e = operation("fsync", REASONS(EIO));

	return e ? fail(e) : NEXT(fsync)(fd);
}

/* ---- programs ---------------------------------------------------------- */

int pipe2(int fds[2], int flags)
{
	int e = operation("pipe2", REASONS(EMFILE));

	return e ? fail(e) : NEXT(pipe2)(fds, flags);
}

int memfd_create(const char *name, unsigned flags)
{
	int e = operation("memfd_create", REASONS(EMFILE));

	return e ? fail(e) : NEXT(memfd_create)(name, flags);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
		const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	int e = change("posix_spawn", REASONS(EAGAIN));

	return e ? e : NEXT(posix_spawn)(pid, path, files, attr, argv, env);
}

/* These fail for no reason; but they are moments to be killed: while a program runs, and after it. */
int poll(struct pollfd *fds, nfds_t n, int ms)
{
	(void)operation("poll", &(const int){ LIST_END });
	return NEXT(poll)(fds, n, ms);
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	(void)operation("waitpid", &(const int){ LIST_END });
	return NEXT(waitpid)(pid, status, options);
}
