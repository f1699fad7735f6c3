/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/buf.h"

/*
 * Room for len more bytes and a NUL. Not realloc(): what is outgrown may hold
 * a key and has to be wiped.
 */
static bool reserve(struct kwgi_buf *b, size_t len)
{
	size_t cap = b->cap ? b->cap : 256;
	char *p;

	if (b->failed || len > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
		b->failed = true;
		return false;
	}
	if (b->len + len + 1 <= b->cap)
		return true;
	while (cap < b->len + len + 1)
		cap *= 2;
	p = malloc(cap);
	if (!p) {
		b->failed = true;
		return false;
	}
	if (b->p) {
		memcpy(p, b->p, b->len);
		sodium_memzero(b->p, b->len);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void kwgi_buf_add(struct kwgi_buf *b, const void *p, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len)
		memcpy(b->p + b->len, p, len);
	b->len += len;
	b->p[b->len] = '\0';
}

void kwgi_buf_puts(struct kwgi_buf *b, const char *s)
{
	kwgi_buf_add(b, s, strlen(s));
}

void kwgi_buf_putc(struct kwgi_buf *b, char c)
{
	kwgi_buf_add(b, &c, 1);
}

void kwgi_buf_putu(struct kwgi_buf *b, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	kwgi_buf_add(b, digits + i, sizeof(digits) - i);
}

void kwgi_buf_vprintf(struct kwgi_buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0 || !reserve(b, (size_t)n)) {
		b->failed = true;
		return;
	}
	vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

void kwgi_buf_printf(struct kwgi_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kwgi_buf_vprintf(b, fmt, ap);
	va_end(ap);
}

char *kwgi_buf_take(struct kwgi_buf *b, size_t *len)
{
	char *p;

	kwgi_buf_add(b, "", 0);
	if (b->failed) {
		kwgi_buf_free(b);
		return NULL;
	}
	p = b->p;
	if (len)
		*len = b->len;
	*b = (struct kwgi_buf){ 0 };
	return p;
}

void kwgi_buf_free(struct kwgi_buf *b)
{
	if (b->p) {
		sodium_memzero(b->p, b->len);
		free(b->p);
	}
	*b = (struct kwgi_buf){ 0 };
}
