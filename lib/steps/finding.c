/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "steps/finding.h"

static const char *keep(struct kwgi_findings *f, const char *s, size_t len)
{
	const char *copy = kwgi_arena_strndup(&f->arena, s ? s : "", len);

	f->failed |= !copy;
	return copy;
}

static void add(struct kwgi_findings *f, bool error, const char *code, const char *text,
		size_t text_len, const char *remedy)
{
	struct kwgi_finding finding = {
		error, code, keep(f, text, text_len), keep(f, remedy, remedy ? strlen(remedy) : 0),
	};

	if (kwgi_arena_grow(&f->arena, &f->v, f->n, &f->cap, sizeof(*f->v)))
		f->failed = true;
	if (!f->failed)
		f->v[f->n++] = finding;
}

void kwgi_findings_add(struct kwgi_findings *f, bool error, const char *code,
		       struct kwgi_buf *text, struct kwgi_buf *remedy)
{
	f->failed |= text->failed || (remedy && remedy->failed);
	if (!f->failed)
		add(f, error, code, text->p, text->len, remedy ? remedy->p : NULL);
	kwgi_buf_free(text);
	if (remedy)
		kwgi_buf_free(remedy);
}

void kwgi_findings_say(struct kwgi_findings *f, bool error, const char *code, const char *fmt, ...)
{
	struct kwgi_buf b = { 0 };
	const char *end;
	va_list ap;

	va_start(ap, fmt);
	kwgi_buf_vprintf(&b, fmt, ap);
	va_end(ap);
	f->failed |= b.failed;
	if (!f->failed) {
		end = strstr(b.p, "; ");
		add(f, error, code, b.p, end ? (size_t)(end - b.p) : b.len, end ? end + 2 : "");
	}
	kwgi_buf_free(&b);
}

void kwgi_findings_copy_one(struct kwgi_findings *f, const struct kwgi_finding *one)
{
	if (!f->failed)
		add(f, one->error, one->code, one->text, strlen(one->text), one->remedy);
}

void kwgi_findings_copy(struct kwgi_findings *f, const struct kwgi_findings *from)
{
	uint32_t i;

	f->failed |= from->failed;
	for (i = 0; i < from->n; i++)
		kwgi_findings_copy_one(f, &from->v[i]);
}

uint32_t kwgi_findings_errors(const struct kwgi_findings *f)
{
	uint32_t i, n = 0;

	for (i = 0; i < f->n; i++)
		n += f->v[i].error;
	return n;
}

void kwgi_finding_line(struct kwgi_buf *b, const struct kwgi_finding *f)
{
	kwgi_buf_printf(b, "%s%s%s", f->text, *f->remedy ? "; " : "", f->remedy);
}

void kwgi_findings_json(struct kwgi_json *j, const char *key, const struct kwgi_findings *f)
{
	uint32_t i;

	kwgi_json_array(j, key);
	for (i = 0; i < f->n; i++) {
		kwgi_json_object(j, NULL);
		kwgi_json_string(j, "code", f->v[i].code);
		kwgi_json_string(j, "remedy", *f->v[i].remedy ? f->v[i].remedy : NULL);
		kwgi_json_string(j, "severity", f->v[i].error ? "error" : "warning");
		kwgi_json_string(j, "text", f->v[i].text);
		kwgi_json_end_object(j);
	}
	kwgi_json_end_array(j);
}

void kwgi_findings_free(struct kwgi_findings *f)
{
	kwgi_arena_free(&f->arena);
	*f = (struct kwgi_findings){ 0 };
}
