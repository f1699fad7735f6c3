/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Growing text buffer. Failure sticks: writers need not check, the reader
 * checks once, in kwgi_buf_take().
 */
#ifndef KWGI_BUF_H
#define KWGI_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kwgi_buf {
	char *p;
	size_t len, cap;
	bool failed;
};

void kwgi_buf_add(struct kwgi_buf *b, const void *p, size_t len);
void kwgi_buf_puts(struct kwgi_buf *b, const char *s);
void kwgi_buf_putc(struct kwgi_buf *b, char c);
void kwgi_buf_putu(struct kwgi_buf *b, uint64_t n);
__attribute__((format(printf, 2, 3)))
void kwgi_buf_printf(struct kwgi_buf *b, const char *fmt, ...);
__attribute__((format(printf, 2, 0)))
void kwgi_buf_vprintf(struct kwgi_buf *b, const char *fmt, va_list ap);

/* Hands the NUL-terminated text to the caller, who frees it. NULL if any write failed. */
char *kwgi_buf_take(struct kwgi_buf *b, size_t *len);

/* Wipes and frees; the buffer is then empty and usable. */
void kwgi_buf_free(struct kwgi_buf *b);

#endif
