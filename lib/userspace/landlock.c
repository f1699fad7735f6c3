/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* landlock(7). Headers and C libraries do not have all of it yet. */
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "userspace/landlock.h"

/* The same numbers on all architectures but alpha. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* The sanitizers read files at the end. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KWGI_NO_LANDLOCK
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KWGI_NO_LANDLOCK
#endif

#ifdef KWGI_NO_LANDLOCK

void kwgi_landlock_enter(int folder)
{
	(void)folder;
}

#else

enum {
	REMOVE_FILE = 1 << 5,
	ALL_ACCESS = (1 << 13) - 1,	/* of the first version, which each kernel with Landlock knows */
	PATH_BENEATH = 1,
};

struct ruleset {
	uint64_t handled_access_fs;
};

struct path_beneath {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

void kwgi_landlock_enter(int folder)
{
	const struct ruleset rules = { .handled_access_fs = ALL_ACCESS };
	const struct path_beneath names = { .allowed_access = REMOVE_FILE, .parent_fd = folder };
	int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);

	if (fd < 0)
		return;
	/* Who could not remove its socket's name in the end is better off with the filter alone. */
	if (folder < 0 || !syscall(SYS_landlock_add_rule, fd, PATH_BENEATH, &names, 0))
		(void)syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
}

#endif
