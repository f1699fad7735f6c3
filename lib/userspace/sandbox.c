/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* capabilities(7), prctl(2), capset(2), Linux Documentation/userspace-api/no_new_privs.rst */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/landlock.h"
#include "userspace/sandbox.h"
#include "userspace/seccomp.h"

/* Linux 4.3 */
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

#define KEEP ((1u << CAP_NET_ADMIN) | (1u << CAP_NET_BIND_SERVICE))

void kwgi_sandbox_no_dumps(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void kwgi_sandbox_allow_locking(void)
{
	struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };

	/* CAP_SYS_RESOURCE, which is given up with all the rest. */
	if (!setrlimit(RLIMIT_MEMLOCK, &l) || getrlimit(RLIMIT_MEMLOCK, &l))
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &l);
}

/* ---- capabilities ---------------------------------------------------- */

/* What nobody can get back, not even by running a file with capabilities. */
static void shrink_bounds(void)
{
	unsigned cap;

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* EINVAL: the kernel knows no more. EPERM: without CAP_SETPCAP they stay, unused. */
	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap >= 32 || !(KEEP & 1u << cap))
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/* A service manager may have left no more than that already, and denied capset(2), too. */
static bool has_no_more(const struct __user_cap_data_struct *d)
{
	return !(d[0].permitted & ~KEEP) && d[0].effective == d[0].permitted && !d[0].inheritable &&
	       !d[1].permitted && !d[1].effective && !d[1].inheritable;
}

/* Keeps of KEEP what it has: an unprivileged user may have been given less. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	memset(d, 0, sizeof(d));
	if (syscall(SYS_capget, &h, d))
		return errno;
	shrink_bounds();
	if (has_no_more(d))
		return 0;
	d[0].permitted &= KEEP;
	d[0].effective = d[0].permitted;
	d[0].inheritable = 0;
	memset(&d[1], 0, sizeof(d[1]));
	return syscall(SYS_capset, &h, d) ? errno : 0;
}

int kwgi_sandbox_enter(unsigned flags, int folder, bool *filtered, struct kwg_error *err)
{
	int e = drop_capabilities();
	bool is_filtered = false;

	if (e)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "dropping capabilities: %s",
				 kwgi_errtext(e));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "no_new_privs: %s",
				 kwgi_errtext(errno));
	/* Losing capabilities does not, but other changes of identity may have made it dumpable. */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (!(flags & KWGI_SANDBOX_NO_SECCOMP))
		kwgi_landlock_enter(folder);
	e = flags & KWGI_SANDBOX_NO_SECCOMP ? 0 : kwgi_seccomp_enter(folder, &is_filtered);
	if (e)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "filtering system calls: %s",
				 kwgi_errtext(e));
	if (filtered)
		*filtered = is_filtered;
	return 0;
}

bool kwgi_sandbox_has_seccomp(void)
{
	return kwgi_seccomp_is_built_in();
}
