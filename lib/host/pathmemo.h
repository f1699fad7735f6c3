/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Path MTUs that the kernel has learnt, kept for longer than it does. It forgets
 * them ten minutes after the last packet that was too large, and with the right
 * MTU there is none: without this note the MTU would go up and down for ever. A
 * note that is lost costs a few fragments, so that errors are not reported.
 */
#ifndef KWGI_PATHMEMO_H
#define KWGI_PATHMEMO_H

#include "steps/snapshot.h"

/* h->paths get the MTUs of DIR/MESH.paths that are still believed. */
void kwgi_pathmemo_recall(const char *dir, const char *mesh, struct kwgi_host *h);
/* Writes the file anew, or removes it if nothing has been learnt. */
void kwgi_pathmemo_save(const char *dir, const char *mesh, const struct kwgi_host *h);
void kwgi_pathmemo_forget(const char *dir, const char *mesh);

#endif
