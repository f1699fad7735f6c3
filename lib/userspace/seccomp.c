/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What is listed works. What would be of use only to an intruder ends the
 * process. All else fails with EPERM, so that a C library that tries something
 * new finds another way; clone3 with ENOSYS, for the same reason: its flags lie in
 * memory, where a filter cannot look.
 */
#include "userspace/seccomp.h"

/* The sanitizers' own threads and checks at exit do much more. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef KWG_SECCOMP
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#undef KWG_SECCOMP
#endif

#ifdef KWG_SECCOMP

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const int allowed[] = {
	/* the TUN device, sockets */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close),
	SCMP_SYS(recv), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(listen),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
	SCMP_SYS(dup),
	SCMP_SYS(io_submit), SCMP_SYS(io_getevents), SCMP_SYS(io_destroy),
	/* waiting */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(pselect6),
	SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	SCMP_SYS(signalfd4), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall),
	/* time, randomness */
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
	/* the same with 64-bit time, where the machine has 32 bits */
	SCMP_SYS(clock_gettime64), SCMP_SYS(clock_nanosleep_time64), SCMP_SYS(futex_time64),
	SCMP_SYS(ppoll_time64), SCMP_SYS(pselect6_time64), SCMP_SYS(recvmmsg_time64),
	SCMP_SYS(timerfd_settime64),
	/* the UAPI socket's name */
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(stat64), SCMP_SYS(lstat64), SCMP_SYS(fstat64), SCMP_SYS(fstatat64),
	SCMP_SYS(inotify_rm_watch),
	/* handing over */
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
	/* threads */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getcpu), SCMP_SYS(membarrier),
	/* signals, the end */
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* who am I */
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname),
};

static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(bpf),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
	SCMP_SYS(chroot), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(userfaultfd),
	SCMP_SYS(perf_event_open), SCMP_SYS(keyctl), SCMP_SYS(io_uring_setup),
};

/* A system call that this architecture lacks is no error. */
static int add(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (seccomp_rule_add(ctx, action, calls[i], 0) == -ENOMEM)
			return -ENOMEM;
	return 0;
}

/* ---- by argument ------------------------------------ */

/* A call that this architecture lacks, or that its C library has by another number, is no error. */
static int allow(scmp_filter_ctx ctx, int call, unsigned n, const struct scmp_arg_cmp *args)
{
	int ret = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, n, args);

	return ret == -EDOM || ret == -EFAULT || ret == -EINVAL ? 0 : ret;
}

static int allow_if(scmp_filter_ctx ctx, int call, struct scmp_arg_cmp a)
{
	return allow(ctx, call, 1, &a);
}

/* The lower 32 bits: some C libraries extend the sign of an int. */
#define IS(arg, value) SCMP_CMP((arg), SCMP_CMP_MASKED_EQ, 0xffffffff, (uint32_t)(value))
#define WITHOUT(arg, bits) SCMP_CMP((arg), SCMP_CMP_MASKED_EQ, (uint32_t)(bits), 0)

/* Opening a TCP connection with the first data; UDP has no use for it. */
#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

/* clone(2): the flags are the second argument there. */
#if defined(__s390__) || defined(__s390x__)
enum { CLONE_FLAGS = 1 };
#else
enum { CLONE_FLAGS = 0 };
#endif

/* Threads, and none in namespaces of its own. Signals to ourselves, which the C library sends in need. */
static int add_threads(scmp_filter_ctx ctx)
{
	const uint32_t spaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
				CLONE_NEWPID | CLONE_NEWNET | 0x02000000 /* CLONE_NEWCGROUP */;
	int ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (!ret)
		ret = allow_if(ctx, SCMP_SYS(clone), SCMP_CMP(CLONE_FLAGS, SCMP_CMP_MASKED_EQ,
							      spaces | CLONE_THREAD, CLONE_THREAD));
	if (!ret)
		ret = allow_if(ctx, SCMP_SYS(tgkill), IS(0, getpid()));
	return ret;
}

/* Memory, but none to run. glibc names the memory of threads' stacks and arenas. */
static int add_memory(scmp_filter_ctx ctx)
{
	static const int mappers[] = { SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect) };
	size_t i;
	int ret = allow_if(ctx, SCMP_SYS(prctl), IS(0, 0x53564d41 /* PR_SET_VMA */));

	for (i = 0; !ret && i < sizeof(mappers) / sizeof(*mappers); i++)
		ret = allow_if(ctx, mappers[i], WITHOUT(2, PROT_EXEC));
	return ret;
}

/* Not F_SETOWN, by which the kernel sends others the signal that F_SETSIG names. */
static int add_descriptors(scmp_filter_ctx ctx)
{
	static const int commands[] = {
		F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS,
	};
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < sizeof(commands) / sizeof(*commands); i++) {
		ret = allow_if(ctx, SCMP_SYS(fcntl), IS(1, commands[i]));
		if (!ret)
			ret = allow_if(ctx, SCMP_SYS(fcntl64), IS(1, commands[i]));
	}
	return ret;
}

/* UDP, and what is open already. */
static int add_sockets(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const struct { int call; unsigned flags; } senders[] = {
		{ SCMP_SYS(send), 3 }, { SCMP_SYS(sendto), 3 }, { SCMP_SYS(sendmsg), 2 },
		{ SCMP_SYS(sendmmsg), 3 },
	};
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < sizeof(families) / sizeof(*families); i++) {
		const struct scmp_arg_cmp a[] = {
			IS(0, families[i]), SCMP_CMP(1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM), IS(2, 0),
		};

		ret = allow(ctx, SCMP_SYS(socket), 3, a);
	}
	for (i = 0; !ret && i < sizeof(senders) / sizeof(*senders); i++)
		ret = allow_if(ctx, senders[i].call, WITHOUT(senders[i].flags, MSG_FASTOPEN));
	return ret;
}

/* Those of udp.c, link.c and mnl.c. */
static int add_options(scmp_filter_ctx ctx)
{
	static const struct { int level, name; } options[] = {
		{ SOL_SOCKET, SO_REUSEPORT }, { SOL_SOCKET, SO_MARK },
		{ SOL_SOCKET, SO_RCVBUF }, { SOL_SOCKET, SO_RCVBUFFORCE },
		{ SOL_SOCKET, SO_SNDBUF }, { SOL_SOCKET, SO_SNDBUFFORCE },
		{ IPPROTO_IP, IP_MTU_DISCOVER }, { IPPROTO_IP, IP_PKTINFO }, { IPPROTO_IP, IP_RECVTOS },
		{ IPPROTO_IPV6, IPV6_V6ONLY }, { IPPROTO_IPV6, IPV6_MTU_DISCOVER },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO }, { IPPROTO_IPV6, IPV6_RECVTCLASS },
		{ IPPROTO_UDP, 104 /* UDP_GRO */ },
		{ 270 /* SOL_NETLINK */, 1 /* NETLINK_ADD_MEMBERSHIP */ },
		{ 270 /* SOL_NETLINK */, 2 /* NETLINK_DROP_MEMBERSHIP */ },
	};
	static const unsigned long requests[] = {
		TUNGETIFF, _IO('T', 227) /* TUNGETDEVNETNS */, SIOCGIFINDEX,
	};
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < sizeof(options) / sizeof(*options); i++) {
		const struct scmp_arg_cmp a[] = { IS(1, options[i].level), IS(2, options[i].name) };

		ret = allow(ctx, SCMP_SYS(setsockopt), 2, a);
	}
	for (i = 0; !ret && i < sizeof(requests) / sizeof(*requests); i++)
		ret = allow_if(ctx, SCMP_SYS(ioctl), IS(1, requests[i]));
	return ret;
}

static int add_conditional(scmp_filter_ctx ctx, int folder)
{
	int ret = add_threads(ctx);

	if (!ret)
		ret = add_memory(ctx);
	if (!ret)
		ret = add_descriptors(ctx);
	if (!ret)
		ret = add_sockets(ctx);
	if (!ret)
		ret = add_options(ctx);
	/* The configuration socket's name. */
	if (!ret && folder >= 0)
		ret = allow_if(ctx, SCMP_SYS(unlinkat), IS(0, folder));
	return ret;
}

int kwgi_seccomp_enter(int folder, bool *filtered)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int ret;

	*filtered = false;
	if (!ctx)
		return ENOMEM;
	/* All threads; other architectures' calls (a 32-bit entry) end the process by default. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
#if SCMP_VER_MAJOR > 2 || (SCMP_VER_MAJOR == 2 && SCMP_VER_MINOR >= 5)
	/* Before 2.5 the kernel's errors came as they are; since then they are ECANCELED without this. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1);
#endif
	ret = add(ctx, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(*allowed));
	if (!ret)
		ret = add(ctx, SCMP_ACT_KILL_PROCESS, deadly, sizeof(deadly) / sizeof(*deadly));
	if (!ret)
		ret = add_conditional(ctx, folder);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	*filtered = !ret;
	/* A kernel without CONFIG_SECCOMP_FILTER: the rest of the sandbox stands. */
	return ret == -EINVAL || ret == -ENOSYS ? 0 : -ret;
}

bool kwgi_seccomp_is_built_in(void)
{
	return true;
}

#else

int kwgi_seccomp_enter(int folder, bool *filtered)
{
	(void)folder;
	*filtered = false;
	return 0;
}

bool kwgi_seccomp_is_built_in(void)
{
	return false;
}

#endif
