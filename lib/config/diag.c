/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "config/diag.h"

uint32_t kwgi_diags_file(struct kwgi_diags *d, const char *name)
{
	char *copy = kwgi_arena_strndup(d->arena, name, strlen(name));

	if (!copy || kwgi_arena_grow(d->arena, &d->files, d->n_files, &d->files_cap,
				     sizeof(*d->files))) {
		d->failed = true;
		return UINT32_MAX;
	}
	d->files[d->n_files] = copy;
	return d->n_files++;
}

static const char *file_name(const struct kwgi_diags *d, struct kwgi_place at)
{
	return at.line && at.file < d->n_files ? d->files[at.file] : "";
}

/* A copy that can stand on a terminal: bytes of what it would obey become question marks. */
static char *printable(struct kwgi_diags *d, const char *s)
{
	char *copy = kwgi_arena_strndup(d->arena, s, strlen(s)), *c;
	size_t len;

	for (c = copy; c && *c; c += len ? len : 1) {
		len = kwgi_utf8_printable(c);
		if (!len)
			*c = '?';
	}
	return copy;
}

static void append(struct kwgi_diags *d, enum kwg_severity severity, struct kwgi_place at,
		   const char *key, const char *text)
{
	struct kwgi_diag_entry *e;

	if (kwgi_arena_grow(d->arena, &d->v, d->n, &d->cap, sizeof(*d->v))) {
		d->failed = true;
		return;
	}
	e = &d->v[d->n];
	e->at = at;
	e->seq = d->n++;
	e->diag.severity = severity;
	e->diag.file = file_name(d, at);
	e->diag.line = at.line;
	e->diag.key = printable(d, key);
	e->diag.text = printable(d, text);
	if (!e->diag.key || !e->diag.text) {
		d->failed = true;
		d->n--;
	}
}

void kwgi_diags_add(struct kwgi_diags *d, enum kwg_severity severity, struct kwgi_place at,
		    const char *key, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	if (severity == KWG_ERROR)
		d->errors++;
	if (d->n >= KWGI_DIAGS_MAX) {
		d->dropped++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	append(d, severity, at, key, text);
}

char *kwgi_diags_place(const struct kwgi_diags *d, char out[KWGI_PLACE_TEXT], struct kwgi_place at)
{
	snprintf(out, KWGI_PLACE_TEXT, "%.300s:%u", file_name(d, at), at.line);
	return out;
}

static int by_place(const void *a, const void *b)
{
	const struct kwgi_diag_entry *x = a, *y = b;

	/* Remarks without a place come last. */
	if (!x->at.line != !y->at.line)
		return x->at.line ? -1 : 1;
	if (x->at.file != y->at.file)
		return x->at.file < y->at.file ? -1 : 1;
	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

void kwgi_diags_finish(struct kwgi_diags *d)
{
	char text[80];

	if (d->n)
		qsort(d->v, d->n, sizeof(*d->v), by_place);
	if (!d->dropped)
		return;
	snprintf(text, sizeof(text), "%u more remarks are not shown", d->dropped);
	append(d, KWG_WARNING, (struct kwgi_place){ 0 }, "", text);
}
