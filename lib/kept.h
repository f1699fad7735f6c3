/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What kilowg_confirm.c and kilowg_history.c share: configurations that are kept. */
#ifndef KWGI_KEPT_H
#define KWGI_KEPT_H

#include "host/history.h"
#include "kilowg.h"

/* The folder of the history, and of the copy of records. */
extern const char kwgi_kept_history[];

/* The record of a mesh, whatever name it had. KWG_ERR_IO, KWG_ERR_NOMEM. */
int kwgi_record_find(struct kwgi_kept *k, const struct kwgi_mesh *mesh, struct kwg_error *err);
bool kwgi_record_due_now(const struct kwgi_record *r);

/* The files that a configuration depends on, as they are now; texts are those of cfg. 0 or -1. */
int kwgi_inputs_of(struct kwgi_inputs_list *l, struct kwgi_arena *a, const struct kwg_config *cfg);

/*
 * The configuration of an entry, which need not live on; secrets as the record has them, or as their
 * files have them (keys = NULL). KWG_ERR_CONFIG, KWG_ERR_NOMEM.
 */
int kwgi_entry_config(struct kwg_config **out, const struct kwgi_entry *e,
		      const struct kwgi_record *keys, struct kwg_error *err);

#endif
