/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Changes in the text of an INI file. What is not changed stays as it is: comments, the order, blank
 * lines, and how lines end. Sections are found by the line of their header, from 1 on, as places
 * have it; what a line is is decided as ini.c does. Texts may hold secrets.
 */
#ifndef KWGI_EDIT_H
#define KWGI_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct kwgi_text {
	const char *p;
	size_t len;
};

/* Can it be a value, and be read back as it is? Nothing in it may begin a comment or end the line. */
bool kwgi_edit_is_value(const char *value);

/*
 * Adds a section, whose lines end with LF and whose first is its header: behind the last section of
 * its name, or else of any, and before [end]. A blank line is around it.
 */
void kwgi_edit_add(struct kwgi_buf *out, const struct kwgi_text *t, const char *section);

/* The section at the line, its header included, with LF at the end of each line. */
void kwgi_edit_section(struct kwgi_buf *out, const struct kwgi_text *t, uint32_t line);

/*
 * Gives the key of the section this value: in place of the first that it has, of which the comment
 * stays, and of all others; or behind its last entry. NULL: takes the key out.
 */
void kwgi_edit_set(struct kwgi_buf *out, const struct kwgi_text *t, uint32_t line, const char *key,
		   const char *value);

/*
 * Takes a section out, with the comments in it and right below its last entry. Those above its header
 * stay, since they may be about more than it.
 */
void kwgi_edit_remove(struct kwgi_buf *out, const struct kwgi_text *t, uint32_t line);

#endif
