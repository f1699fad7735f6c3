/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * For tests/musl.sh: what the distribution's libmnl and libinih, compiled for glibc, want of it and
 * musl has not. musl takes their "libc.so.6" for itself.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

const unsigned short **__ctype_b_loc(void);
int __fprintf_chk(FILE *f, int flag, const char *format, ...);

static unsigned short table[384];
static const unsigned short *of_bytes = table + 128;

/* glibc's bits of isspace() and isprint(), on machines that are little endian. */
__attribute__((constructor)) static void fill(void)
{
	int c;

	for (c = 0; c < 128; c++)
		table[128 + c] = (unsigned short)((isspace(c) ? 1 << 13 : 0) | (isprint(c) ? 1 << 14 : 0));
}

const unsigned short **__ctype_b_loc(void)
{
	return &of_bytes;
}

int __fprintf_chk(FILE *f, int flag, const char *format, ...)
{
	va_list args;
	int n;

	(void)flag;
	va_start(args, format);
	n = vfprintf(f, format, args);
	va_end(args);
	return n;
}
