/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What code inside the sandbox can and cannot do: the table in kilowg-userspace(8). */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/ctypes.h"
#include "unit.h"
#include "userspace/sandbox.h"

enum {
	DENIED = EPERM,		/* with this errno */
	NO_NAME = EACCES,	/* with this one, where the kernel has Landlock */
	PASSES = 0,		/* the call is made; whatever the kernel says then */
	KILLED = -1,		/* the process ends */
};

static char dir[64];
static int folder, other, udp, netlink;

static int result(long ret)
{
	return ret < 0 ? errno : 0;
}

static struct sockaddr_in nowhere(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(9),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int sock(int family, int type)
{
	return result(socket(family, type | SOCK_CLOEXEC, 0));
}

static int option(int level, int name)
{
	int on = 1;

	return result(setsockopt(udp, level, name, &on, sizeof(on)));
}

static int request(unsigned long r)
{
	struct ifreq ifr = { .ifr_flags = 0 };

	return result(kwgi_ioctl(udp, r, &ifr));
}

static int send_with(int flags)
{
	struct sockaddr_in to = nowhere();

	return result(sendto(udp, "x", 1, flags, (struct sockaddr *)&to, sizeof(to)));
}

static int message_with(int flags)
{
	struct sockaddr_in to = nowhere();
	struct iovec iov = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr m = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1 };

	return result(sendmsg(udp, &m, flags));
}

static int do_write(void)
{
	int fd[2];
	char c;

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fd) ? 0 : result(write(fd[0], "x", 1) < 0 ? -1 : read(fd[1], &c, 1));
}
static int do_ask(void)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} ask = { { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		  { .rtgen_family = AF_UNSPEC } };
	char answer[8192];

	return send(netlink, &ask, sizeof(ask), 0) < 0 ? errno : result(recv(netlink, answer, sizeof(answer), 0));
}
static int do_udp4(void) { return sock(AF_INET, SOCK_DGRAM); }
static int do_udp6(void) { int e = sock(AF_INET6, SOCK_DGRAM); return e == EAFNOSUPPORT ? 0 : e; }
static int do_send(void) { return send_with(MSG_DONTWAIT); }
static int do_message(void) { return message_with(MSG_DONTWAIT); }
static int do_mark(void) { (void)option(SOL_SOCKET, SO_MARK); return option(IPPROTO_IP, IP_PKTINFO); }
static int do_ifindex(void) { return request(SIOCGIFINDEX) == ENODEV ? 0 : EPERM; }
static int do_name(void) { return result(unlinkat(folder, "name", 0)); }
static int do_own_signal(void) { return result(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0)); }
static int do_look(void) { struct stat st; return result(stat("/etc/passwd", &st)); }
static int do_memory(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? errno : result(ftruncate(fd, 4096));
}
static void *nothing(void *arg) { return arg; }
static int do_thread(void)
{
	pthread_t t;
	int e = pthread_create(&t, NULL, nothing, NULL);

	return e ? e : pthread_join(t, NULL);
}

static int do_file(void) { return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }
static int do_unix(void) { return sock(AF_UNIX, SOCK_DGRAM); }
static int do_netlink(void) { return sock(AF_NETLINK, SOCK_RAW); }
static int do_tcp(void) { return sock(AF_INET, SOCK_STREAM); }
static int do_raw(void) { return sock(AF_INET, SOCK_RAW); }
static int do_protocol(void) { return result(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP)); }
static int do_connect(void)
{
	struct sockaddr_in to = nowhere();

	return result(connect(udp, (struct sockaddr *)&to, sizeof(to)));
}
static int do_fastopen(void) { return send_with(MSG_DONTWAIT | 0x20000000); }
static int do_fastopen_message(void) { return message_with(MSG_DONTWAIT | 0x20000000); }
static int do_device(void) { return option(SOL_SOCKET, SO_BINDTODEVICE); }
static int do_filter(void) { return option(SOL_SOCKET, SO_ATTACH_FILTER); }
static int do_group(void) { return option(IPPROTO_IP, IP_ADD_MEMBERSHIP); }
static int do_set_flags(void) { return request(SIOCSIFFLAGS); }
static int do_attach(void) { return request(TUNSETIFF); }
static int do_other_name(void) { return result(unlinkat(other, "name", 0)); }
static int do_path(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/other/name", dir);
	return result(unlinkat(AT_FDCWD, path, 0));
}
static int do_absolute(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s.outside/name", dir);
	return result(unlinkat(folder, path, 0));
}
static int do_upwards(void)
{
	char path[80];

	snprintf(path, sizeof(path), "..%s.outside/name", strrchr(dir, '/'));
	return result(unlinkat(folder, path, 0));
}
static int do_owner(void) { return result(fcntl(udp, F_SETOWN, getppid())); }
static int do_affinity(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? errno : result(sched_setaffinity(getppid(), sizeof(set), &set));
}
static int do_other_signal(void) { return result(syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int do_kill(void) { return result(kill(getppid(), 0)); }
static int do_run(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}
static int do_clone(void) { return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }
static int do_clone3(void) { return result(syscall(SYS_clone3, NULL, 0)) == ENOSYS ? EPERM : 0; }
static int do_exec(void) { return result(execl("/bin/true", "true", (char *)NULL)); }
static int do_ptrace(void) { return result(syscall(SYS_ptrace, 0, 0, 0, 0)); }
static int do_unshare(void) { return result(unshare(CLONE_NEWNET)); }

static const struct {
	const char *what;
	int (*try)(void);
	int wanted;
} table[] = {
	{ "read and write what is open", do_write, PASSES },
	{ "ask for links over a netlink socket that is open", do_ask, PASSES },
	{ "open a UDP socket over IPv4", do_udp4, PASSES },
	{ "open a UDP socket over IPv6", do_udp6, PASSES },
	{ "send to anybody by UDP", do_send, PASSES },
	{ "send to anybody by UDP, a message", do_message, PASSES },
	{ "set the options of UDP sockets that it needs", do_mark, PASSES },
	{ "learn the number of an interface", do_ifindex, PASSES },
	{ "remove a name in the folder of its socket", do_name, PASSES },
	{ "send itself a signal", do_own_signal, PASSES },
	{ "learn whether a file is there", do_look, PASSES },
	{ "make memory that can be handed over", do_memory, PASSES },
	{ "start threads", do_thread, PASSES },
	{ "open a file", do_file, DENIED },
	{ "open a UNIX socket", do_unix, DENIED },
	{ "open a netlink socket", do_netlink, DENIED },
	{ "open a TCP socket", do_tcp, DENIED },
	{ "open a raw socket", do_raw, DENIED },
	{ "open a socket of a protocol like UDP", do_protocol, DENIED },
	{ "connect a socket", do_connect, DENIED },
	{ "connect by sending", do_fastopen, DENIED },
	{ "connect by sending a message", do_fastopen_message, DENIED },
	{ "bind a socket to an interface", do_device, DENIED },
	{ "attach a program to a socket", do_filter, DENIED },
	{ "join a multicast group", do_group, DENIED },
	{ "change an interface by ioctl(2)", do_set_flags, DENIED },
	{ "attach to another TUN device", do_attach, DENIED },
	{ "remove a name in another folder", do_other_name, DENIED },
	{ "remove a name by its path", do_path, DENIED },
	{ "remove a name elsewhere through the folder", do_absolute, NO_NAME },
	{ "remove a name above the folder", do_upwards, NO_NAME },
	{ "have another process sent a signal", do_owner, DENIED },
	{ "move another process to other processors", do_affinity, DENIED },
	{ "send another process a signal", do_other_signal, DENIED },
	{ "send another process a signal by kill(2)", do_kill, DENIED },
	{ "make memory that can be run", do_run, DENIED },
	{ "start a process", do_clone, DENIED },
	{ "start a process by clone3(2)", do_clone3, DENIED },
	{ "run a program", do_exec, KILLED },
	{ "look into another process", do_ptrace, KILLED },
	{ "enter another namespace", do_unshare, KILLED },
};

static int enter_and_try(unsigned i)
{
	struct kwg_error err = { 0 };
	bool filtered = false;
	int got;

	if (kwgi_sandbox_enter(0, folder, &filtered, &err))
		_exit(201);
	if (!filtered)
		_exit(202);
	got = table[i].try();
	_exit(got < 0 || got > 200 ? 200 : got);
}

static bool has_landlock(void)
{
	return syscall(444 /* landlock_create_ruleset */, NULL, 0, 1 /* its version */) > 0;
}

START_TEST(the_table_holds)
{
	unsigned i = (unsigned)_i;
	char path[96], outside[80];
	pid_t child;
	int status;

	if (table[i].wanted == NO_NAME && !has_landlock())
		return;
	snprintf(dir, sizeof(dir), "/tmp/kilowg-sandbox.%d", (int)getpid());
	ck_assert(!mkdir(dir, 0700));
	snprintf(path, sizeof(path), "%s/other", dir);
	ck_assert(!mkdir(path, 0700));
	folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	other = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	close(openat(folder, "name", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	close(openat(other, "name", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	snprintf(outside, sizeof(outside), "%s.outside", dir);
	ck_assert(!mkdir(outside, 0700));
	snprintf(path, sizeof(path), "%s/name", outside);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child)
		enter_and_try(i);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (table[i].wanted == KILLED)
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: it lives", table[i].what);
	else
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == table[i].wanted,
			      "%s: wanted %d, got %d", table[i].what, table[i].wanted,
			      WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	(void)unlink(path);
	ck_assert(!rmdir(outside));
	(void)unlinkat(folder, "name", 0);
	(void)unlinkat(other, "name", 0);
	(void)unlinkat(folder, "other", AT_REMOVEDIR);
	ck_assert(!rmdir(dir));
}
END_TEST

static void add_tests(TCase *tc)
{
	if (!kwgi_sandbox_has_seccomp()) {
		fprintf(stderr, "# built without libseccomp: nothing to test\n");
		return;
	}
	tcase_add_loop_test(tc, the_table_holds, 0, N_OF(table));
}

int main(void)
{
	return unit_run("sandbox", add_tests);
}
