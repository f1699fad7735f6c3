/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Cuts what an API server sends into single objects while it comes in, so that a list of
 * 50 MB needs no more memory than the largest object in it. What is inside of an object is
 * not looked at.
 */
#ifndef KILOWG_API_SPLIT_H
#define KILOWG_API_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

/* An object of the API server has at most 1.5 MiB, of which escapes can make six times as much. */
enum { SPLIT_OBJECT_MAX = 16 << 20 };

enum split_part {
	SPLIT_OBJECT,		/* of a stream, or of the items of a list */
	SPLIT_METADATA,		/* of a list */
};

struct split {
	bool is_list;		/* one object {"metadata": {...}, "items": [...]}; else a stream of them */
	bool in_string, escaped, taking, too_long, broken, ended;
	unsigned depth, from_depth;
	enum split_part part;
	char key[16];		/* the last string at the top of a list */
	size_t key_len;
	char *text;
	size_t len, room;
	unsigned passed_over;	/* objects that were too long */
};

void split_init(struct split *s, bool is_list);
void split_free(struct split *s);

/* TEXT goes on; each whole object is handed to TAKE. Sets broken if it is not JSON. */
void split_feed(struct split *s, const char *text, size_t len,
		void (*take)(void *user, enum split_part part, const char *text, size_t len),
		void *user);

/*
 * Makes arrays of JSON that nobody reads, such as the images of a node, empty ones, in place: to
 * parse them would take five times as long as all else. Returns the new length.
 */
size_t split_prune(char *text, size_t len);

#endif
