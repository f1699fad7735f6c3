/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#ifndef KWGI_UTF8_H
#define KWGI_UTF8_H

#include <stddef.h>

/* Length of the well-formed UTF-8 character at s (RFC 3629), 0 if there is none or at the end. */
size_t kwgi_utf8_len(const char *s);

/*
 * The same, and 0 for what a terminal or an editor obeys instead of showing it: control characters
 * (C0, DEL, C1), separators of lines, and those that change the direction of text (UAX #9), which
 * make a name look like another one.
 */
size_t kwgi_utf8_printable(const char *s);

#endif
