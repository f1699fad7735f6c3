/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "base/utf8.h"
#include "config/json.h"

static void quote(struct kwgi_buf *b, const char *s)
{
	static const char hex[] = "0123456789abcdef";
	size_t len;

	kwgi_buf_putc(b, '"');
	for (; *s; s += len) {
		len = kwgi_utf8_len(s);
		if (!len) {
			/* No UTF-8: the replacement character keeps the output valid. */
			kwgi_buf_puts(b, "\\ufffd");
			len = 1;
		} else if (*s == '"' || *s == '\\') {
			kwgi_buf_putc(b, '\\');
			kwgi_buf_putc(b, *s);
		} else if (*s == '\n') {
			kwgi_buf_puts(b, "\\n");
		} else if (*s == '\t') {
			kwgi_buf_puts(b, "\\t");
		} else if ((unsigned char)*s < 32) {
			kwgi_buf_puts(b, "\\u00");
			kwgi_buf_putc(b, hex[*s >> 4]);
			kwgi_buf_putc(b, hex[*s & 15]);
		} else {
			kwgi_buf_add(b, s, len);
		}
	}
	kwgi_buf_putc(b, '"');
}

static void newline(struct kwgi_json *j)
{
	unsigned i;

	kwgi_buf_putc(j->b, '\n');
	for (i = 0; i < j->depth; i++)
		kwgi_buf_putc(j->b, ' ');
}

static void element(struct kwgi_json *j, const char *key)
{
	if (j->more)
		kwgi_buf_putc(j->b, ',');
	if (j->depth)
		newline(j);
	j->more = true;
	if (!key)
		return;
	quote(j->b, key);
	kwgi_buf_puts(j->b, ": ");
}

static void begin(struct kwgi_json *j, const char *key, char c)
{
	element(j, key);
	kwgi_buf_putc(j->b, c);
	j->depth++;
	j->more = false;
}

static void end(struct kwgi_json *j, char c)
{
	j->depth--;
	if (j->more)
		newline(j);
	kwgi_buf_putc(j->b, c);
	j->more = true;
	if (!j->depth)
		kwgi_buf_putc(j->b, '\n');
}

void kwgi_json_object(struct kwgi_json *j, const char *key)
{
	begin(j, key, '{');
}

void kwgi_json_end_object(struct kwgi_json *j)
{
	end(j, '}');
}

void kwgi_json_array(struct kwgi_json *j, const char *key)
{
	begin(j, key, '[');
}

void kwgi_json_end_array(struct kwgi_json *j)
{
	end(j, ']');
}

void kwgi_json_null(struct kwgi_json *j, const char *key)
{
	element(j, key);
	kwgi_buf_puts(j->b, "null");
}

void kwgi_json_string(struct kwgi_json *j, const char *key, const char *s)
{
	if (!s) {
		kwgi_json_null(j, key);
		return;
	}
	element(j, key);
	quote(j->b, s);
}

void kwgi_json_uint(struct kwgi_json *j, const char *key, uint64_t n)
{
	element(j, key);
	kwgi_buf_putu(j->b, n);
}

void kwgi_json_int(struct kwgi_json *j, const char *key, int64_t n)
{
	element(j, key);
	if (n < 0)
		kwgi_buf_putc(j->b, '-');
	kwgi_buf_putu(j->b, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void kwgi_json_bool(struct kwgi_json *j, const char *key, bool v)
{
	element(j, key);
	kwgi_buf_puts(j->b, v ? "true" : "false");
}

void kwgi_json_addr(struct kwgi_json *j, const char *key, const struct kwgi_addr *a)
{
	char text[KWGI_ADDR_TEXT];

	kwgi_json_string(j, key, a->family ? kwgi_addr_format(text, a) : NULL);
}

void kwgi_json_prefix(struct kwgi_json *j, const char *key, const struct kwgi_prefix *p)
{
	char text[KWGI_PREFIX_TEXT];

	kwgi_json_string(j, key, p->addr.family ? kwgi_prefix_format(text, p) : NULL);
}

void kwgi_json_endpoint(struct kwgi_json *j, const char *key, const struct kwgi_endpoint *e)
{
	if (!e->port) {
		kwgi_json_null(j, key);
		return;
	}
	element(j, key);
	kwgi_buf_putc(j->b, '"');
	kwgi_buf_endpoint(j->b, e);	/* of letters that need no escape */
	kwgi_buf_putc(j->b, '"');
}

void kwgi_json_key(struct kwgi_json *j, const char *key, const struct kwgi_key *k)
{
	char text[KWGI_KEY_TEXT];

	kwgi_json_string(j, key, kwgi_key_is_zero(k) ? NULL : kwgi_key_format(text, k));
}
