/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The journal of a mesh: DIR/MESH.journal says what apply is about to change, before it does, and
 * what there is of ours in the kernel that carries no name of ours: numbers of routes and rules,
 * and links without a mark. So whoever comes after a crash finds it all, whatever the files say by
 * then. As that, it lasts until the host starts anew.
 */
#ifndef KWGI_JOURNAL_H
#define KWGI_JOURNAL_H

#include "config/config.h"
#include "steps/desired.h"
#include "steps/step.h"

/*
 * Reads the journal of the mesh, and those of meshes that came from the same file under another
 * name, into h->owner and h->journal. What is of somebody else or another start of the host is none.
 * KWG_ERR_IO, KWG_ERR_NOMEM; KWG_ERR_CONFIG if the mesh had another name, and has that of a mesh
 * from another file now.
 */
int kwgi_journal_read(struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh,
		      struct kwg_error *err);

/* Calls found for each mesh that has a journal. */
void kwgi_journal_list(const char *dir, void (*found)(void *arg, const char *mesh, size_t len),
		       void *arg);

/* Adds what these steps are about to make. */
void kwgi_journal_note(struct kwgi_journal *j, const struct kwgi_steps *s);

/* Before these steps: adds what they are about to make to what h->journal has. KWG_ERR_IO. */
int kwgi_journal_begin(const struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh,
		       const struct kwgi_steps *s, struct kwg_error *err);

/*
 * All is done: what is wanted only, and under this name only; and the built-in chains that could
 * not be removed yet.
 */
void kwgi_journal_end(const struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh,
		      const struct kwgi_desired *w, const uint16_t bases[2]);
/* All was undone: as it was. */
void kwgi_journal_undo(const struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh);
/* Nothing of the mesh is left. */
void kwgi_journal_remove(const struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh);

#endif
