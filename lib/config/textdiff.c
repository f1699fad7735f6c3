/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "config/textdiff.h"

enum { CONTEXT = 3, KEY_RUN = 40 };

static const char hidden[] = "(not shown)";

/* A line with its end; false behind the last. */
static bool next_line(const struct kwgi_text *t, size_t *at, struct kwgi_text *line)
{
	const char *nl;

	if (*at >= t->len)
		return false;
	line->p = t->p + *at;
	nl = memchr(line->p, '\n', t->len - *at);
	line->len = nl ? (size_t)(nl - line->p) + 1 : t->len - *at;
	*at += line->len;
	return true;
}

static size_t count(const struct kwgi_text *t, size_t from, size_t to)
{
	size_t n = 0;
	struct kwgi_text line;

	while (from < to && next_line(t, &from, &line))
		n++;
	return n;
}

/* Where the last line of the first len bytes begins. */
static size_t line_before(const struct kwgi_text *t, size_t len)
{
	for (len--; len && t->p[len - 1] != '\n'; len--)
		;
	return len;
}

/* ---- secrets --------------------------------------------------------- */

static bool is_key_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
	       c == '/';
}

/* Where something begins that may be a key in base64, or the end. */
static size_t key_in(const char *p, size_t from, size_t len)
{
	size_t i, run = 0;

	for (i = from; i < len; i++) {
		run = is_key_char(p[i]) ? run + 1 : 0;
		if (run == KEY_RUN)
			return i + 1 - run;
	}
	return len;
}

static bool is_word(const char *p, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(p, word, len);
}

/* How much of a line may be shown: all, or less than that. */
static size_t shown(const char *p, size_t len)
{
	size_t from = 0, n, value;
	const char *comment;

	while (from < len && strchr(" \t#;", p[from]))
		from++;
	n = from;
	while (n < len && !strchr(" \t=", p[n]))
		n++;
	value = n;
	while (value < len && strchr(" \t", p[value]))
		value++;
	if (value == len || p[value] != '=')
		return key_in(p, 0, len);
	if (is_word(p + from, n - from, "preshared-key") || is_word(p + from, n - from, "private-key"))
		return value + 1;
	if (!is_word(p + from, n - from, "public-key") && !is_word(p + from, n - from, "discovered-endpoint"))
		return key_in(p, 0, len);
	/* That of a comment behind it is another one. */
	comment = memchr(p + value, '#', len - value);
	if (!comment)
		comment = memchr(p + value, ';', len - value);
	return comment ? key_in(p, (size_t)(comment - p), len) : len;
}

static void put_line(struct kwgi_buf *out, char sign, const struct kwgi_text *line)
{
	size_t len = line->len, i, part;

	if (len && line->p[len - 1] == '\n')
		len--;
	if (len && line->p[len - 1] == '\r')
		len--;
	kwgi_buf_putc(out, sign);
	part = shown(line->p, len);
	for (i = 0; i < part; i++) {
		unsigned char c = (unsigned char)line->p[i];

		kwgi_buf_putc(out, (c < ' ' && c != '\t') || c == 127 ? '?' : (char)c);
	}
	if (part < len) {
		kwgi_buf_puts(out, part && line->p[part - 1] == ' ' ? "" : " ");
		kwgi_buf_puts(out, hidden);
	}
	kwgi_buf_putc(out, '\n');
	if (line->p[line->len - 1] != '\n')
		kwgi_buf_puts(out, "\\ No newline at end of file\n");
}

static void put_lines(struct kwgi_buf *out, char sign, const struct kwgi_text *t, size_t from, size_t to)
{
	struct kwgi_text line;

	while (from < to && next_line(t, &from, &line))
		put_line(out, sign, &line);
}

/* ---- the hunk -------------------------------------------------------- */

/* "first,number": of none the line before. */
static void put_range(struct kwgi_buf *out, const struct kwgi_text *t, size_t from, size_t to)
{
	size_t first = count(t, 0, from), n = count(t, from, to);

	kwgi_buf_putu(out, n ? first + 1 : first);
	if (n == 1)
		return;
	kwgi_buf_putc(out, ',');
	kwgi_buf_putu(out, n);
}

/* How many bytes of whole lines are equal at the beginning. */
static size_t equal_head(const struct kwgi_text *a, const struct kwgi_text *b)
{
	struct kwgi_text x, y;
	size_t at = 0, i = 0, k = 0;

	while (next_line(a, &i, &x) && next_line(b, &k, &y) && x.len == y.len && !memcmp(x.p, y.p, x.len))
		at = i;
	return at;
}

/* The same at the end, of what is behind the head. */
static size_t equal_tail(const struct kwgi_text *a, const struct kwgi_text *b, size_t head)
{
	size_t tail = 0;

	while (a->len - tail > head && b->len - tail > head) {
		size_t i = line_before(a, a->len - tail), k = line_before(b, b->len - tail);
		size_t len = a->len - tail - i;

		if (len != b->len - tail - k || memcmp(a->p + i, b->p + k, len))
			break;
		tail += len;
	}
	return tail;
}

void kwgi_textdiff(struct kwgi_buf *out, const char *name, const struct kwgi_text *before,
		   const struct kwgi_text *after)
{
	size_t head = equal_head(before, after), tail = equal_tail(before, after, head), from = head, end;
	struct kwgi_text line;
	int i;

	if (head == before->len && head == after->len)
		return;
	for (i = 0; i < CONTEXT && from; i++)
		from = line_before(before, from);
	end = before->len - tail;
	for (i = 0; i < CONTEXT && next_line(before, &end, &line); i++)
		;
	kwgi_buf_printf(out, "--- %s\n+++ %s\n@@ -", name, name);
	put_range(out, before, from, end);
	kwgi_buf_puts(out, " +");
	put_range(out, after, from, after->len - (before->len - end));
	kwgi_buf_puts(out, " @@\n");
	put_lines(out, ' ', before, from, head);
	put_lines(out, '-', before, head, before->len - tail);
	put_lines(out, '+', after, head, after->len - tail);
	put_lines(out, ' ', before, before->len - tail, end);
}
