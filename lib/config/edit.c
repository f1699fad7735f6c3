/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "config/edit.h"

enum kind { BLANK, COMMENT, HEADER, ENTRY };

/* len is without the end of the line, whole with it. */
struct line {
	const char *p;
	size_t len, whole;
	enum kind kind;
};

struct lines {
	struct line *v;
	size_t n;
	const char *end;	/* how lines of this text end */
};

static const char bom[] = "\xef\xbb\xbf";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Where a comment begins, or the end. */
static size_t comment_in(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((p[i] == '#' || p[i] == ';') && (!i || is_blank(p[i - 1])))
			break;
	return i;
}

/* From *p on without blanks at both ends; its length. */
static size_t trim(const char **p, size_t len)
{
	while (len && is_blank(**p)) {
		(*p)++;
		len--;
	}
	while (len && is_blank((*p)[len - 1]))
		len--;
	return len;
}

static enum kind kind_of(const char *p, size_t len)
{
	size_t comment = comment_in(p, len);

	if (!trim(&p, comment))
		return comment < len ? COMMENT : BLANK;
	return *p == '[' ? HEADER : ENTRY;
}

/* ---- lines ----------------------------------------------------------- */

static size_t count_lines(const char *p, const char *end)
{
	size_t n = 0;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		p = nl ? nl + 1 : end;
		n++;
	}
	return n;
}

/* Cuts it, behind a byte order mark, which goes to out. 0 or -1. */
static int cut(struct lines *l, const struct kwgi_text *t, struct kwgi_buf *out)
{
	bool marked = t->len >= 3 && !memcmp(t->p, bom, 3);
	const char *p = t->p + (marked ? 3 : 0), *end = t->p + t->len;
	size_t i, crlf = 0;

	l->n = count_lines(p, end);
	l->v = calloc(l->n + 1, sizeof(*l->v));
	if (!l->v) {
		out->failed = true;
		return -1;
	}
	for (i = 0; i < l->n; i++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *next = nl ? nl + 1 : end;
		size_t len = (size_t)((nl ? nl : end) - p);

		if (len && p[len - 1] == '\r') {
			len--;
			crlf += nl != NULL;
		}
		l->v[i] = (struct line){ p, len, (size_t)(next - p), kind_of(p, len) };
		p = next;
	}
	l->end = crlf * 2 > l->n ? "\r\n" : "\n";
	if (marked)
		kwgi_buf_add(out, bom, 3);
	return 0;
}

static void put_lines(struct kwgi_buf *out, const struct lines *l, size_t from, size_t to)
{
	for (; from < to; from++)
		kwgi_buf_add(out, l->v[from].p, l->v[from].whole);
}

/* The text so far has to end with a whole line. */
static void end_line(struct kwgi_buf *out, const struct lines *l)
{
	if (out->len && out->p && out->p[out->len - 1] != '\n' && !(out->len == 3 && !memcmp(out->p, bom, 3)))
		kwgi_buf_puts(out, l->end);
}

/* ---- sections -------------------------------------------------------- */

static size_t next_header(const struct lines *l, size_t i)
{
	for (i++; i < l->n && l->v[i].kind != HEADER; i++)
		;
	return i;
}

static size_t last_entry(const struct lines *l, size_t header)
{
	size_t i, last = header, end = next_header(l, header);

	for (i = header; i < end; i++)
		if (l->v[i].kind == ENTRY)
			last = i;
	return last;
}

/* Behind the section: comments right below belong to it, unless they stand right above the next one. */
static size_t section_end(const struct lines *l, size_t header)
{
	size_t end = last_entry(l, header) + 1, i = end;

	while (i < l->n && l->v[i].kind == COMMENT)
		i++;
	return i == l->n || l->v[i].kind == BLANK ? i : end;
}

static bool is_named(const struct line *line, const char *name, size_t len)
{
	const char *p = line->p, *close;
	size_t n = trim(&p, comment_in(p, line->len));

	close = n ? memchr(p, ']', n) : NULL;
	if (!close)
		return false;
	n = (size_t)(close - ++p);
	n = trim(&p, n);
	return n == len && !memcmp(p, name, len);
}

/* Where a section of this name is to be put in. */
static size_t place_for(const struct lines *l, const char *name, size_t len)
{
	size_t i, of_name = 0, of_any = 0;

	for (i = 0; i < l->n; i++) {
		if (l->v[i].kind != HEADER)
			continue;
		if (is_named(&l->v[i], "end", 3))
			break;
		of_any = section_end(l, i);
		if (is_named(&l->v[i], name, len))
			of_name = of_any;
	}
	if (of_name || of_any)
		return of_name ? of_name : of_any;
	/* What stands right above [end] is about that. */
	while (i < l->n && i && l->v[i - 1].kind == COMMENT)
		i--;
	return i;
}

/* ---- entries --------------------------------------------------------- */

/* The value of an entry with this key: where it is in its line. */
static bool find_value(const struct line *line, const char *key, const char **value, size_t *len)
{
	size_t n = comment_in(line->p, line->len), key_len;
	const char *eq = line->kind == ENTRY ? memchr(line->p, '=', n) : NULL, *p = line->p;

	if (!eq)
		return false;
	key_len = trim(&p, (size_t)(eq - p));
	if (key_len != strlen(key) || memcmp(p, key, key_len))
		return false;
	*value = eq + 1;
	*len = trim(value, n - (size_t)(eq + 1 - line->p));
	return true;
}

static void replace_value(struct kwgi_buf *out, const struct line *line, const char *at, size_t len,
			  const char *value)
{
	size_t before = (size_t)(at - line->p);

	kwgi_buf_add(out, line->p, before);
	if (before && line->p[before - 1] == '=')
		kwgi_buf_putc(out, ' ');
	kwgi_buf_puts(out, value);
	/* An empty one may stand right before a comment. */
	if (!len && before < line->len)
		kwgi_buf_putc(out, ' ');
	kwgi_buf_add(out, at + len, line->whole - before - len);
}

/* ---- public ---------------------------------------------------------- */

bool kwgi_edit_is_value(const char *value)
{
	size_t len = strlen(value), i;

	for (i = 0; i < len; i++)
		if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 127)
			return false;
	return len && comment_in(value, len) == len;
}

static void put_section(struct kwgi_buf *out, const struct lines *l, const char *section)
{
	size_t n;

	for (; *section; section += n + (section[n] == '\n')) {
		n = strcspn(section, "\n");
		kwgi_buf_add(out, section, n);
		kwgi_buf_puts(out, l->end);
	}
}

void kwgi_edit_add(struct kwgi_buf *out, const struct kwgi_text *t, const char *section)
{
	struct lines l;
	size_t at;

	if (cut(&l, t, out))
		return;
	at = place_for(&l, section + 1, strcspn(section + 1, "]"));
	put_lines(out, &l, 0, at);
	end_line(out, &l);
	if (at && l.v[at - 1].kind != BLANK)
		kwgi_buf_puts(out, l.end);
	put_section(out, &l, section);
	if (at < l.n && l.v[at].kind != BLANK)
		kwgi_buf_puts(out, l.end);
	put_lines(out, &l, at, l.n);
	free(l.v);
}

void kwgi_edit_section(struct kwgi_buf *out, const struct kwgi_text *t, uint32_t line)
{
	struct kwgi_buf mark = { 0 };
	struct lines l;
	size_t i, end;

	if (cut(&l, t, &mark)) {
		out->failed = true;
		return;
	}
	kwgi_buf_free(&mark);
	end = line && line <= l.n ? section_end(&l, line - 1) : 0;
	for (i = line - 1; i < end; i++) {
		kwgi_buf_add(out, l.v[i].p, l.v[i].len);
		kwgi_buf_putc(out, '\n');
	}
	free(l.v);
}

static void put_new_entry(struct kwgi_buf *out, const struct lines *l, const char *key, const char *value)
{
	end_line(out, l);
	kwgi_buf_printf(out, "%s = %s%s", key, value, l->end);
}

void kwgi_edit_set(struct kwgi_buf *out, const struct kwgi_text *t, uint32_t line, const char *key,
		   const char *value)
{
	size_t i, last, len, header = line - 1;
	bool has = false, seen = false;
	const char *at;
	struct lines l;

	if (cut(&l, t, out))
		return;
	if (header >= l.n) {
		put_lines(out, &l, 0, l.n);
		free(l.v);
		return;
	}
	last = last_entry(&l, header);
	for (i = header; i <= last; i++)
		has |= find_value(&l.v[i], key, &at, &len);
	for (i = 0; i < l.n; i++) {
		if (i < header || i > last || !find_value(&l.v[i], key, &at, &len)) {
			put_lines(out, &l, i, i + 1);
		} else if (value && !seen) {
			replace_value(out, &l.v[i], at, len, value);
			seen = true;
		}
		if (i == last && value && !has)
			put_new_entry(out, &l, key, value);
	}
	free(l.v);
}

void kwgi_edit_remove(struct kwgi_buf *out, const struct kwgi_text *t, uint32_t line)
{
	size_t header = line - 1, start, end;
	struct lines l;

	if (cut(&l, t, out))
		return;
	if (!line || line > l.n) {
		put_lines(out, &l, 0, l.n);
		free(l.v);
		return;
	}
	start = header;
	end = section_end(&l, header);
	/* Of the blank lines around it those that are left are enough. */
	if (end == l.n || l.v[end].kind == BLANK) {
		while (start && l.v[start - 1].kind == BLANK)
			start--;
		while (!start && end < l.n && l.v[end].kind == BLANK)
			end++;
	}
	put_lines(out, &l, 0, start);
	put_lines(out, &l, end, l.n);
	free(l.v);
}
