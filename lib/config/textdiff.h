/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What differs between two texts of an INI file, for people: secrets are not shown. */
#ifndef KWGI_TEXTDIFF_H
#define KWGI_TEXTDIFF_H

#include "config/edit.h"

/*
 * As diff -u shows it, in one hunk from the first difference to the last; nothing if they are equal.
 * Values of keys that hold secrets, and what looks like a key and is no public one, are replaced, as
 * are control characters.
 */
void kwgi_textdiff(struct kwgi_buf *out, const char *name, const struct kwgi_text *before,
		   const struct kwgi_text *after);

#endif
