/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The filter for system calls of the data plane; inner to sandbox.c. */
#ifndef KWGI_SECCOMP_H
#define KWGI_SECCOMP_H

#include <stdbool.h>

/*
 * For all threads. folder: a descriptor of the only folder in which names may be removed, or -1.
 * *filtered: false if it is not built in or the kernel has none. 0, also then, or an errno.
 */
int kwgi_seccomp_enter(int folder, bool *filtered);

bool kwgi_seccomp_is_built_in(void);

#endif
