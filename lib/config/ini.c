/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * inih reads through our own line reader. How inih behaves is fixed when the
 * distribution compiles it; its usual build cuts lines at 199 bytes and
 * section names at 49, keeps "# text" in values, takes an indented line as
 * more of the value before it, cannot tell two equal section headers in a row
 * apart, and tells the handler no line number. So the reader hands inih
 * nothing that it could damage: one short line for each line of the text,
 *
 *     [17]       for the seventeenth section header,
 *     key=1      for an entry,
 *
 * or an empty line for a comment and for what has been reported as an error.
 * The section's name and the entry's value wait in struct reader; inih calls
 * the handler before it asks for the next line.
 */
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "config/ini.h"

struct reader {
	const char *p, *end;
	uint32_t file, line;		/* line: the one inih is looking at */
	uint32_t sections;		/* headers so far, 1-based index of the current one */
	bool skip;			/* inside a section whose header was not understood */
	char *text;			/* the current line, cut into key and value */
	char *value;
	const struct kwgi_ini_ops *ops;
	void *arg;
	struct kwgi_diags *d;
};

static struct kwgi_place here(const struct reader *r)
{
	return (struct kwgi_place){ r->file, r->line };
}

__attribute__((format(printf, 3, 4)))
static void complain(struct reader *r, const char *key, const char *fmt, ...);

static void complain(struct reader *r, const char *key, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	kwgi_diags_add(r->d, KWG_ERROR, here(r), key, "%s", text);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *trim(char *s)
{
	size_t len;

	while (is_blank(*s))
		s++;
	len = strlen(s);
	while (len && (is_blank(s[len - 1]) || s[len - 1] == '\r'))
		len--;
	s[len] = '\0';
	return s;
}

/* A comment begins with # or ; at the start of the line or after a blank. */
static void cut_comment(char *s)
{
	char *p;

	for (p = s; *p; p++) {
		if ((*p == '#' || *p == ';') && (p == s || is_blank(p[-1]))) {
			*p = '\0';
			return;
		}
	}
}

/* Copies the next line into r->text; false if it cannot be used (and was reported). */
static bool take_line(struct reader *r)
{
	const char *nl = memchr(r->p, '\n', (size_t)(r->end - r->p));
	const char *start = r->p;
	size_t len = (size_t)((nl ? nl : r->end) - start);

	r->p = nl ? nl + 1 : r->end;
	r->line++;
	if (len > KWGI_INI_MAX_LINE) {
		complain(r, "", "the line has %zu bytes; at most %d are accepted", len,
			 KWGI_INI_MAX_LINE);
		return false;
	}
	if (memchr(start, '\0', len)) {
		complain(r, "", "the line has a NUL byte; text is accepted");
		return false;
	}
	memcpy(r->text, start, len);
	r->text[len] = '\0';
	return true;
}

static void begin_section(struct reader *r, char *s, char *out, size_t size)
{
	char *close = strchr(s, ']');

	r->skip = true;
	if (!close || *trim(close + 1)) {
		complain(r, "", "a section header is [name] and nothing else on its line");
		return;
	}
	*close = '\0';
	r->skip = false;
	r->sections++;
	r->ops->section(r->arg, trim(s + 1), here(r));
	snprintf(out, size, "[%u]\n", r->sections);
}

static void begin_entry(struct reader *r, char *s, char *out)
{
	char *eq = strchr(s, '='), *key;

	if (!eq) {
		complain(r, "", "there is no \"=\"; a line is [section], key = value or # comment");
		return;
	}
	*eq = '\0';
	key = trim(s);
	if (!*key || strlen(key) > KWGI_INI_MAX_KEY ||
	    strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
		    strlen(key)) {
		complain(r, "", "the text before \"=\" is no key; a key is made of letters, digits and dashes");
		return;
	}
	if (r->skip)
		return;
	if (!r->sections) {
		complain(r, key, "is before the first section; begin with [mesh], [local], [node] or [peer]");
		return;
	}
	r->value = trim(eq + 1);
	/* next_line() has seen that it fits. */
	stpcpy(stpcpy(out, key), "=1\n");
}

/* An ini_reader: the replacement line for inih, or NULL at the end. */
static char *next_line(char *out, int size, void *stream)
{
	struct reader *r = stream;
	char *s;

	if (r->p == r->end || size < KWGI_INI_MAX_KEY + 16)
		return NULL;
	memcpy(out, "\n", 2);
	if (!take_line(r))
		return out;
	cut_comment(r->text);
	s = trim(r->text);
	if (*s == '[')
		begin_section(r, s, out, (size_t)size);
	else if (*s)
		begin_entry(r, s, out);
	return out;
}

#if INI_HANDLER_LINENO
static int on_entry(void *user, const char *section, const char *key, const char *value, int lineno)
#else
static int on_entry(void *user, const char *section, const char *key, const char *value)
#endif
{
	struct reader *r = user;

#if INI_HANDLER_LINENO
	(void)lineno;
#endif
	(void)section;
	(void)value;
	/* Some builds of inih call with no key for each new section. */
	if (!key || !r->value)
		return 1;
	r->ops->entry(r->arg, key, r->value, here(r));
	r->value = NULL;
	return 1;
}

int kwgi_ini_parse(const char *text, size_t len, uint32_t file, const struct kwgi_ini_ops *ops,
		   void *arg, struct kwgi_diags *d)
{
	struct reader r = { .p = text, .end = text + len, .file = file,
			    .ops = ops, .arg = arg, .d = d };

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		r.p += 3;
	r.text = malloc(KWGI_INI_MAX_LINE + 1);
	if (!r.text)
		return KWG_ERR_NOMEM;
	/* Every line that inih sees is well-formed: anything but 0 and a
	 * finished text means a library built in a way that does not work. */
	if (ini_parse_stream(next_line, &r, on_entry, &r) || r.p != r.end)
		complain(&r, "", "the inih library on this system cannot read this line");
	sodium_memzero(r.text, KWGI_INI_MAX_LINE + 1);	/* preshared keys */
	free(r.text);
	return d->failed ? KWG_ERR_NOMEM : 0;
}
