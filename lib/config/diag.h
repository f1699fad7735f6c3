/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Remarks on the configuration: collected by the library, shown by the program. */
#ifndef KWGI_DIAG_H
#define KWGI_DIAG_H

#include "base/arena.h"
#include "kilowg.h"

/* Where something stands: an index into the list of files, and a 1-based line. */
struct kwgi_place {
	uint32_t file, line;
};

struct kwgi_diag_entry {
	struct kwg_diag diag;
	struct kwgi_place at;
	uint32_t seq;		/* keeps equal places in order of arrival */
};

struct kwgi_diags {
	struct kwgi_arena *arena;
	const char **files;
	uint32_t n_files, files_cap;
	struct kwgi_diag_entry *v;
	uint32_t n, cap;
	uint32_t errors, dropped;
	bool failed;		/* out of memory; sticks */
};

enum { KWGI_DIAGS_MAX = 1000, KWGI_PLACE_TEXT = 320 };

/* Registers a file; its index for places. UINT32_MAX if there is no memory. */
uint32_t kwgi_diags_file(struct kwgi_diags *d, const char *name);

/*
 * Adds a remark. Beyond KWGI_DIAGS_MAX only the number is kept. Never put a
 * key's value into the text.
 */
__attribute__((format(printf, 5, 6)))
void kwgi_diags_add(struct kwgi_diags *d, enum kwg_severity severity, struct kwgi_place at,
		    const char *key, const char *fmt, ...);

/* "file:line", cut if it must be. Returns out. */
char *kwgi_diags_place(const struct kwgi_diags *d, char out[KWGI_PLACE_TEXT], struct kwgi_place at);

/* Sorts by place and adds a last remark about those that were dropped. */
void kwgi_diags_finish(struct kwgi_diags *d);

#endif
