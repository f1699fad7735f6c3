/* SPDX-License-Identifier: ISC */
/* The filter for system calls of the data plane; inner to sandbox.c. */
#ifndef KWGI_SECCOMP_H
#define KWGI_SECCOMP_H

#include <stdbool.h>

/* For all threads. 0, also if it is not built in or the kernel has none, or an errno. */
int kwgi_seccomp_enter(void);

bool kwgi_seccomp_is_built_in(void);

#endif
