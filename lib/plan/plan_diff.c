/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The difference of two plans, which have one fact per line and one order. */
#include <stdlib.h>
#include <string.h>

#include "plan/entry.h"

/* A fact: its line, and the line that it belongs to, if it is indented. */
struct fact {
	const char *line, *above;
	size_t len, above_len;		/* above: so much of it as names it */
};

struct facts {
	struct fact *v;			/* in the order of the text */
	const struct fact **sorted;
	size_t n;
};

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n + 1;
}

static int by_bytes(const char *a, size_t na, const char *b, size_t nb)
{
	int c = memcmp(a, b, na < nb ? na : nb);

	return c ? c : na < nb ? -1 : na > nb;
}

static int cmp_facts(const struct fact *a, const struct fact *b)
{
	int c = by_bytes(a->line, a->len, b->line, b->len);

	return c ? c : by_bytes(a->above, a->above_len, b->above, b->above_len);
}

static int by_fact(const void *a, const void *b)
{
	return cmp_facts(*(const struct fact *const *)a, *(const struct fact *const *)b);
}

/* "wireguard-peer KEY": what else stands in the line may differ. */
static size_t name_len(const char *line, size_t len)
{
	const char *blank = memchr(line, ' ', len);

	blank = blank ? memchr(blank + 1, ' ', len - (size_t)(blank + 1 - line)) : NULL;
	return blank ? (size_t)(blank - line) : len;
}

static int split(struct facts *f, const char *text)
{
	const struct fact *head = NULL;
	size_t cap = count_lines(text), i;

	f->v = calloc(cap, sizeof(*f->v));
	f->sorted = calloc(cap, sizeof(*f->sorted));
	if (!f->v || !f->sorted)
		return -1;
	while (*text) {
		struct fact *v = &f->v[f->n++];

		*v = (struct fact){ .line = text, .len = strcspn(text, "\n"), .above = "" };
		if (*text == ' ' && head) {
			v->above = head->line;
			v->above_len = name_len(head->line, head->len);
		} else {
			head = v;
		}
		text += v->len + (text[v->len] == '\n');
	}
	for (i = 0; i < f->n; i++)
		f->sorted[i] = &f->v[i];
	if (f->n)
		qsort(f->sorted, f->n, sizeof(*f->sorted), by_fact);
	return 0;
}

static bool has(const struct facts *f, const struct fact *v)
{
	size_t low = 0, high = f->n, mid;
	int c;

	while (low < high) {
		mid = low + (high - low) / 2;
		c = cmp_facts(v, f->sorted[mid]);
		if (!c)
			return true;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

static void put_fact(struct kwgi_buf *b, const char *sign, const char *line, size_t len)
{
	kwgi_buf_puts(b, sign);
	kwgi_buf_add(b, line, len);
	kwgi_buf_putc(b, '\n');
}

/* What of f the other one lacks. */
static void put_missing(struct kwgi_buf *b, const struct facts *f, const struct facts *other,
			const char *sign)
{
	const char *told = NULL;
	size_t i;

	for (i = 0; i < f->n; i++) {
		const struct fact *v = &f->v[i];

		if (has(other, v))
			continue;
		if (!v->above_len)
			told = v->line;
		else if (told != v->above)
			put_fact(b, "  ", told = v->above, strcspn(v->above, "\n"));
		put_fact(b, sign, v->line, v->len);
	}
}

int kwgi_plan_text_diff(struct kwgi_buf *b, const char *from, const char *to)
{
	struct facts f = { 0 }, t = { 0 };
	int ret = split(&f, from) || split(&t, to) ? -1 : 0;

	if (!ret) {
		put_missing(b, &f, &t, "- ");
		put_missing(b, &t, &f, "+ ");
	}
	free(f.v);
	free(f.sorted);
	free(t.v);
	free(t.sorted);
	return ret || b->failed ? -1 : 0;
}
