/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Where entries and records (plan/entry.h) are kept. A folder has the entries of all
 * meshes, as MESH.NUMBER.entry; of each the last ten, and 64 MiB in all. Only root can
 * read them. Whoever changes those of a mesh has its lock.
 */
#ifndef KWGI_HISTORY_H
#define KWGI_HISTORY_H

#include "kilowg.h"
#include "plan/entry.h"

enum {
	KWGI_HISTORY_ENTRIES = 10,
	KWGI_HISTORY_BYTES = 64 * 1024 * 1024,
	/* An entry has the texts of the files, and the record has an entry. */
	KWGI_RECORD_BYTES = KWGI_HISTORY_BYTES + 1024 * 1024,
};

struct kwgi_stored {
	uint64_t number;
	struct kwgi_entry entry;
	char *text;			/* that the entry's files point into */
	size_t len;
};

/* Newest first. */
struct kwgi_history {
	struct kwgi_arena arena;
	struct kwgi_stored *v;
	uint32_t n, cap;
};

/*
 * The entries of a mesh, and those of a mesh of another name that come from the same file
 * (origins, may be NULL). What is no entry, or not whole, is passed over. KWG_ERR_IO, KWG_ERR_NOMEM;
 * no folder is no error.
 */
int kwgi_history_load(struct kwgi_history *h, const char *dir, const char *mesh,
		      const char (*origins)[KWGI_ORIGIN_TEXT], struct kwg_error *err);
/* All zero is fine. */
void kwgi_history_free(struct kwgi_history *h);

/*
 * Keeps one more, unless the last one is the same, whose result is then made that of e; one that
 * failed makes room for it. KWG_ERR_IO.
 */
int kwgi_history_add(const char *dir, const struct kwgi_entry *e, struct kwg_error *err);
/* Of the last entry, if that waits for a confirmation. */
int kwgi_history_conclude(const char *dir, const char *mesh, const char *result,
			  struct kwg_error *err);

/* A text of its own file, with what was parsed from it. */
struct kwgi_kept {
	struct kwgi_arena arena;
	char *text;
	size_t len;
	bool exists;
	union {
		struct kwgi_entry entry;
		struct kwgi_record record;
	} u;
};

/* No file, or one that is damaged: exists is false, and 0. KWG_ERR_IO, KWG_ERR_NOMEM. */
int kwgi_kept_entry(struct kwgi_kept *k, const char *dir, const char *mesh, const char *suffix,
		    struct kwg_error *err);
int kwgi_kept_record(struct kwgi_kept *k, const char *dir, const char *mesh, struct kwg_error *err);
void kwgi_kept_free(struct kwgi_kept *k);

int kwgi_kept_write_entry(const char *dir, const char *suffix, const struct kwgi_entry *e,
			  struct kwg_error *err);
int kwgi_kept_write_record(const char *dir, const struct kwgi_record *r, struct kwg_error *err);
/* 0 also if there is none. KWG_ERR_IO. */
int kwgi_kept_remove(const char *dir, const char *mesh, const char *suffix, struct kwg_error *err);

/* The meshes that have a file with this suffix there. */
void kwgi_kept_list(const char *dir, const char *suffix,
		    void (*found)(void *arg, const char *mesh, size_t len), void *arg);

/* Suffixes: what is in force, and the record. */
extern const char kwgi_kept_applied[], kwgi_kept_confirm[];

#endif
