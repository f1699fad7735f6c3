/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Whose turn it is among the addresses of each name that has several, from one
 * run to the next. A note that is lost costs some seconds of waiting, so that
 * errors are not reported.
 */
#ifndef KWGI_TURNS_H
#define KWGI_TURNS_H

#include "steps/names.h"

/* turns[i] gets what DIR/MESH.names has of plan->peers[i]. */
void kwgi_turns_recall(const char *dir, const char *mesh, const struct kwg_plan *plan,
		       struct kwgi_turn *turns);
/* Writes the file anew, or removes it if there is nothing to be kept. */
void kwgi_turns_save(const char *dir, const char *mesh, const struct kwgi_turn *turns, uint32_t n);
void kwgi_turns_forget(const char *dir, const char *mesh);

#endif
