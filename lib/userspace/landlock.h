/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Where the process may still touch names of files: a filter for system calls cannot read paths. */
#ifndef KWGI_LANDLOCK_H
#define KWGI_LANDLOCK_H

/*
 * For the calling thread and those it starts: no file can be opened or made, and names can be removed
 * beneath folder only (-1: nowhere). Without privileges, after no_new_privs. Best effort: from
 * Linux 5.13 on, where Landlock is not switched off.
 */
void kwgi_landlock_enter(int folder);

#endif
