/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What is kept of an applied configuration, so that it can be applied again: an
 * entry. And of a change that somebody still has to confirm, or that was taken
 * back: a record, which has the entry to go back to inside. Both are text, a word and its
 * value a line; the texts of files stand in it as they are, with their length before.
 */
#ifndef KWGI_ENTRY_H
#define KWGI_ENTRY_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"

enum { KWGI_DIGEST_TEXT = 65, KWGI_RECORD_ID_TEXT = 17, KWGI_BOOT_TEXT = 64 };

/* A file that a configuration depends on. Of secrets only where they stand, and a digest. */
struct kwgi_input_file {
	const char *path;
	char digest[KWGI_DIGEST_TEXT];	/* "-": the file is not there */
	bool secret;
	const char *text;		/* NULL: of a secret, and in lists of a record */
	size_t len;
};

struct kwgi_inputs_list {
	struct kwgi_input_file *v;
	uint32_t n, cap;
};

struct kwgi_entry {
	struct kwgi_arena *arena;
	const char *mesh, *node;
	const char *interface;		/* that an option named, or NULL */
	char origins[KWGI_ORIGINS][KWGI_ORIGIN_TEXT];
	int64_t time;			/* seconds since 1970 */
	const char *from, *user;	/* which program, and who called it */
	const char *result;		/* KWGI_RESULT_..., or the text of an error */
	char plan[KWGI_DIGEST_TEXT];
	struct kwgi_inputs_list files;
};

#define KWGI_RESULT_APPLIED "applied"
#define KWGI_RESULT_WAITS "waits for a confirmation"
#define KWGI_RESULT_CONFIRMED "confirmed"
#define KWGI_RESULT_UNDONE "undone"		/* with ": " and the reason */
#define KWGI_RESULT_FAILED "failed"		/* the same */

/* Was it in force, so that going back to it makes sense? */
bool kwgi_entry_is_good(const struct kwgi_entry *e);
/* Do they ask for the same: files, node, interface, plan? */
bool kwgi_entry_same(const struct kwgi_entry *a, const struct kwgi_entry *b);

void kwgi_entry_format(struct kwgi_buf *b, const struct kwgi_entry *e);
/* Everything but the texts of files is copied to the arena; those stay where they are in text. 0 or -1: it is none, or not whole. */
int kwgi_entry_parse(struct kwgi_entry *e, struct kwgi_arena *a, const char *text, size_t len);

/* Appends one. 0 or -1. */
int kwgi_inputs_add(struct kwgi_inputs_list *l, struct kwgi_arena *a, const struct kwgi_input_file *in);
const struct kwgi_input_file *kwgi_inputs_find(const struct kwgi_inputs_list *l, const char *path);
/*
 * Which files of now make the difference to before? Those that before does not have,
 * or has otherwise, and INI files that now lacks, with the digest "-". 0 or -1.
 */
int kwgi_inputs_changed_list(struct kwgi_inputs_list *out, struct kwgi_arena *a,
			     const struct kwgi_inputs_list *before,
			     const struct kwgi_inputs_list *now);
/* The first of changed (from before) that stands in now as it stands there; NULL: there is none. */
const struct kwgi_input_file *kwgi_inputs_held(const struct kwgi_inputs_list *changed,
					  const struct kwgi_inputs_list *before,
					  const struct kwgi_inputs_list *now);

/* ---- records ----------------------------------------------------------- */

enum kwgi_record_state {
	KWGI_RECORD_WAITS,		/* for a confirmation; else back to target */
	KWGI_RECORD_HELD,		/* target is in force, whatever files say that are in changed */
};

/* A secret as it was, whatever its file holds now. */
struct kwgi_kept_key {
	const char *path;
	struct kwgi_key key;
};

struct kwgi_record {
	enum kwgi_record_state state;
	const char *mesh;		/* of what was applied */
	char origins[KWGI_ORIGINS][KWGI_ORIGIN_TEXT];
	char id[KWGI_RECORD_ID_TEXT];	/* of this one wait */
	char boot[KWGI_BOOT_TEXT];	/* the host's start that due is of */
	int64_t due;			/* ms since then, those asleep included */
	int64_t since, until;		/* for people: seconds since 1970 */
	uint32_t seconds;
	bool running;			/* the steps were not all done when this was written */
	const char *keeper;		/* what goes back in time, such as "process 4711" */
	const char *reason;		/* of KWGI_RECORD_HELD */
	struct kwgi_inputs_list changed;	/* what is held when there is no confirmation */
	struct kwgi_inputs_list then;		/* what is held if there is one */
	struct kwgi_kept_key *keys;
	uint32_t n_keys, keys_cap;
	bool has_target;		/* false: there was no mesh */
	struct kwgi_entry target;
};

void kwgi_record_format(struct kwgi_buf *b, const struct kwgi_record *r);
/* The same as for an entry. The keys are the arena's to wipe. */
int kwgi_record_parse(struct kwgi_record *r, struct kwgi_arena *a, const char *text, size_t len);
/* Is its time over? now: as due, of this start of the host. */
bool kwgi_record_is_due(const struct kwgi_record *r, const char *boot, int64_t now);
/* ms that are left. */
int64_t kwgi_record_left(const struct kwgi_record *r, const char *boot, int64_t now);

/* ---- the difference of two plans --------------------------------------- */

/*
 * Both are canonical texts. Lines that only the first has begin with "- ", those of
 * the second with "+ "; what belongs to a peer stands below the peer. 0 or -1.
 */
int kwgi_plan_text_diff(struct kwgi_buf *b, const char *from, const char *to);

#endif
