/* SPDX-License-Identifier: ISC */
#ifndef KWGI_UTF8_H
#define KWGI_UTF8_H

#include <stddef.h>

/* Length of the well-formed UTF-8 character at s (RFC 3629), 0 if there is none or at the end. */
size_t kwgi_utf8_len(const char *s);

#endif
