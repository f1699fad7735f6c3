/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/num.h"
#include "plan/entry.h"
#include "plan/plan.h"

static const char entry_header[] = "kilowg-entry 1\n", record_header[] = "kilowg-record 1\n";

_Static_assert((int)KWGI_DIGEST_TEXT == (int)KWG_DIGEST_TEXT, "one form of digests");

/* ---- writing ----------------------------------------------------------- */

/* What would end a line, and the sign of that, in hex. */
static void put_value(struct kwgi_buf *b, const char *v)
{
	for (; *v; v++)
		if ((unsigned char)*v < ' ' || *v == '%' || *v == 0x7f)
			kwgi_buf_printf(b, "%%%02x", (unsigned char)*v);
		else
			kwgi_buf_putc(b, *v);
}

static void put_line(struct kwgi_buf *b, const char *word, const char *value)
{
	if (!value)
		return;
	kwgi_buf_puts(b, word);
	kwgi_buf_putc(b, ' ');
	put_value(b, value);
	kwgi_buf_putc(b, '\n');
}

static void put_number(struct kwgi_buf *b, const char *word, int64_t n)
{
	kwgi_buf_printf(b, "%s %" PRId64 "\n", word, n < 0 ? 0 : n);
}

static void put_origins(struct kwgi_buf *b, char (*origins)[KWGI_ORIGIN_TEXT])
{
	uint32_t i;

	for (i = 0; i < KWGI_ORIGINS; i++)
		if (*origins[i])
			put_line(b, "origin", origins[i]);
}

/* From start on: whoever reads it knows that it is whole. */
static void put_end(struct kwgi_buf *b, size_t start)
{
	char digest[KWGI_DIGEST_TEXT];

	kwgi_digest(digest, b->p ? b->p + start : "", b->len - start);
	put_line(b, "end", digest);
}

static void put_input(struct kwgi_buf *b, const char *word, const struct kwgi_input_file *in)
{
	kwgi_buf_printf(b, "%s %s ", word, in->digest);
	if (in->text)
		kwgi_buf_printf(b, "%zu ", in->len);
	put_value(b, in->path);
	kwgi_buf_putc(b, '\n');
	if (in->text) {
		kwgi_buf_add(b, in->text, in->len);
		kwgi_buf_putc(b, '\n');
	}
}

void kwgi_entry_format(struct kwgi_buf *b, const struct kwgi_entry *e)
{
	size_t start = b->len;
	uint32_t i;

	kwgi_buf_puts(b, entry_header);
	put_line(b, "mesh", e->mesh);
	put_line(b, "node", e->node);
	put_line(b, "interface", e->interface);
	put_origins(b, (char (*)[KWGI_ORIGIN_TEXT])e->origins);
	put_number(b, "time", e->time);
	put_line(b, "from", e->from);
	put_line(b, "user", e->user);
	put_line(b, "result", e->result);
	put_line(b, "plan", e->plan);
	for (i = 0; i < e->files.n; i++)
		put_input(b, e->files.v[i].secret ? "secret" : "file", &e->files.v[i]);
	put_end(b, start);
}

static void put_list(struct kwgi_buf *b, const char *word, const struct kwgi_inputs_list *l)
{
	uint32_t i;

	for (i = 0; i < l->n; i++) {
		const struct kwgi_input_file bare = { .path = l->v[i].path, .text = NULL };
		struct kwgi_input_file in = bare;

		memcpy(in.digest, l->v[i].digest, sizeof(in.digest));
		put_input(b, word, &in);
	}
}

static void put_keys(struct kwgi_buf *b, const struct kwgi_record *r)
{
	char text[KWGI_KEY_TEXT];
	uint32_t i;

	for (i = 0; i < r->n_keys; i++) {
		kwgi_key_format(text, &r->keys[i].key);
		kwgi_buf_printf(b, "key %s ", text);
		put_value(b, r->keys[i].path);
		kwgi_buf_putc(b, '\n');
	}
	sodium_memzero(text, sizeof(text));
}

void kwgi_record_format(struct kwgi_buf *b, const struct kwgi_record *r)
{
	size_t start = b->len;

	kwgi_buf_puts(b, record_header);
	put_line(b, "state", r->state == KWGI_RECORD_WAITS ? "waits" : "held");
	put_line(b, "mesh", r->mesh);
	put_origins(b, (char (*)[KWGI_ORIGIN_TEXT])r->origins);
	put_line(b, "id", r->id);
	put_line(b, "boot", r->boot);
	put_number(b, "due", r->due);
	put_number(b, "since", r->since);
	put_number(b, "until", r->until);
	put_number(b, "seconds", r->seconds);
	put_number(b, "running", r->running);
	put_line(b, "keeper", r->keeper);
	put_line(b, "reason", r->reason);
	put_list(b, "changed", &r->changed);
	put_list(b, "then", &r->then);
	put_keys(b, r);
	if (r->has_target) {
		kwgi_buf_puts(b, "target 1\n");
		kwgi_entry_format(b, &r->target);
	}
	put_end(b, start);
}

/* ---- reading ----------------------------------------------------------- */

/* What is left of a text, line by line. */
struct lines {
	struct kwgi_arena *arena;
	const char *start, *p, *end;
	bool bad;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. 0 or -1. */
static int decode(char *s)
{
	char *to = s;
	int high, low;

	for (; *s; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		high = hex_digit(s[1]);
		low = high < 0 ? -1 : hex_digit(s[2]);
		if (low < 0 || !(high * 16 + low))
			return -1;
		*to++ = (char)(high * 16 + low);
		s += 2;
	}
	*to = '\0';
	return 0;
}

/* The next line as a word and the rest, not decoded yet. False at the end, or if it is bad. */
static bool next_line(struct lines *l, char **word, char **value)
{
	const char *nl = l->p < l->end ? memchr(l->p, '\n', (size_t)(l->end - l->p)) : NULL;

	if (!nl) {
		l->bad = l->bad || l->p < l->end;
		return false;
	}
	*word = kwgi_arena_strndup(l->arena, l->p, (size_t)(nl - l->p));
	/* A NUL would hide what is behind it. */
	if (!*word || strlen(*word) != (size_t)(nl - l->p)) {
		l->bad = true;
		return false;
	}
	l->p = nl + 1;
	*value = strchr(*word, ' ');
	if (!*value)
		l->bad = true;
	else
		*(*value)++ = '\0';
	return *value;
}

static void begin(struct lines *l, struct kwgi_arena *a, const char *text, size_t len,
		  const char *header)
{
	size_t n = strlen(header);

	*l = (struct lines){ .arena = a, .start = text, .p = text, .end = text + len };
	if (len < n || memcmp(text, header, n))
		l->bad = true;
	else
		l->p += n;
}

/* line: where the line of the word "end" begins. */
static bool is_whole(const struct lines *l, const char *line, const char *value)
{
	char digest[KWGI_DIGEST_TEXT];

	kwgi_digest(digest, l->start, (size_t)(line - l->start));
	return !strcmp(digest, value);
}

static void read_text(struct lines *l, const char **out, char *value)
{
	if (decode(value))
		l->bad = true;
	*out = value;
}

static void read_number(struct lines *l, int64_t *out, const char *value)
{
	uint64_t n;

	if (kwgi_num_parse(&n, value, INT64_MAX))
		l->bad = true;
	else
		*out = (int64_t)n;
}

/* A text without blanks for a field of this size. */
static void read_fixed(struct lines *l, char *out, size_t size, const char *value)
{
	size_t len = strlen(value);

	if (len >= size || strpbrk(value, " %/")) {
		l->bad = true;
		return;
	}
	memcpy(out, value, len + 1);
}

static void read_origin(struct lines *l, char (*origins)[KWGI_ORIGIN_TEXT], const char *value)
{
	uint32_t i;

	for (i = 0; i < KWGI_ORIGINS; i++) {
		if (*origins[i])
			continue;
		read_fixed(l, origins[i], KWGI_ORIGIN_TEXT, value);
		return;
	}
	l->bad = true;
}

/* The first word of *value, which goes on behind it. */
static char *first_word(struct lines *l, char **value)
{
	char *word = *value, *blank = strchr(word, ' ');

	if (!blank) {
		l->bad = true;
		return word;
	}
	*blank = '\0';
	*value = blank + 1;
	return word;
}

static void read_input(struct lines *l, struct kwgi_inputs_list *list, char *value, bool has_text,
		       bool secret)
{
	struct kwgi_input_file in = { .secret = secret };
	uint64_t len = 0;

	read_fixed(l, in.digest, sizeof(in.digest), first_word(l, &value));
	if (has_text && !l->bad && kwgi_num_parse(&len, first_word(l, &value), SIZE_MAX / 2))
		l->bad = true;
	if (l->bad)
		return;
	read_text(l, &in.path, value);
	if (has_text) {
		if (len >= (uint64_t)(l->end - l->p) || l->p[len] != '\n') {
			l->bad = true;
			return;
		}
		in.text = l->p;
		in.len = (size_t)len;
		l->p += len + 1;
	}
	l->bad = l->bad || kwgi_inputs_add(list, l->arena, &in);
}

/* False: it is no word of an entry. */
static bool read_entry_line(struct lines *l, struct kwgi_entry *e, const char *word, char *value)
{
	if (!strcmp(word, "mesh"))
		read_text(l, &e->mesh, value);
	else if (!strcmp(word, "node"))
		read_text(l, &e->node, value);
	else if (!strcmp(word, "interface"))
		read_text(l, &e->interface, value);
	else if (!strcmp(word, "origin"))
		read_origin(l, e->origins, value);
	else if (!strcmp(word, "time"))
		read_number(l, &e->time, value);
	else if (!strcmp(word, "from"))
		read_text(l, &e->from, value);
	else if (!strcmp(word, "user"))
		read_text(l, &e->user, value);
	else if (!strcmp(word, "result"))
		read_text(l, &e->result, value);
	else if (!strcmp(word, "plan"))
		read_fixed(l, e->plan, sizeof(e->plan), value);
	else if (!strcmp(word, "secret"))
		read_input(l, &e->files, value, false, true);
	else if (!strcmp(word, "file"))
		read_input(l, &e->files, value, true, false);
	else
		return false;
	return true;
}

/* *rest: behind it. */
static int parse_entry(struct kwgi_entry *e, struct kwgi_arena *a, const char *text, size_t len,
		       const char **rest)
{
	struct lines l;
	char *word, *value;
	const char *line;
	bool whole = false;

	*e = (struct kwgi_entry){ .arena = a };
	begin(&l, a, text, len, entry_header);
	while (!l.bad && !whole && (line = l.p, next_line(&l, &word, &value))) {
		if (!strcmp(word, "end"))
			whole = is_whole(&l, line, value);
		else if (read_entry_line(&l, e, word, value))
			continue;
		l.bad = l.bad || !whole;
	}
	*rest = l.p;
	return l.bad || !whole || !e->mesh || !kwgi_mesh_name_is_valid(e->mesh) || !e->node ||
	       !e->from || !e->user || !e->result ? -1 : 0;
}

int kwgi_entry_parse(struct kwgi_entry *e, struct kwgi_arena *a, const char *text, size_t len)
{
	const char *rest;

	return parse_entry(e, a, text, len, &rest) || rest != text + len ? -1 : 0;
}

static void read_key(struct lines *l, struct kwgi_record *r, char *value)
{
	struct kwgi_kept_key *k;

	if (kwgi_arena_grow(l->arena, &r->keys, r->n_keys, &r->keys_cap, sizeof(*r->keys))) {
		l->bad = true;
		return;
	}
	k = &r->keys[r->n_keys];
	if (kwgi_key_parse(&k->key, first_word(l, &value)))
		l->bad = true;
	read_text(l, &k->path, value);
	r->n_keys++;
}

static void read_target(struct lines *l, struct kwgi_record *r)
{
	const char *rest = l->p;

	if (parse_entry(&r->target, l->arena, l->p, (size_t)(l->end - l->p), &rest))
		l->bad = true;
	r->has_target = true;
	l->p = rest;
}

static void read_state(struct lines *l, struct kwgi_record *r, const char *value)
{
	if (!strcmp(value, "waits"))
		r->state = KWGI_RECORD_WAITS;
	else if (!strcmp(value, "held"))
		r->state = KWGI_RECORD_HELD;
	else
		l->bad = true;
}

static void read_numbers(struct lines *l, struct kwgi_record *r, const char *word, const char *value)
{
	int64_t n = 0;

	read_number(l, &n, value);
	if (!strcmp(word, "due"))
		r->due = n;
	else if (!strcmp(word, "since"))
		r->since = n;
	else if (!strcmp(word, "until"))
		r->until = n;
	else if (!strcmp(word, "running"))
		r->running = n;
	else if (!strcmp(word, "seconds") && n <= UINT32_MAX)
		r->seconds = (uint32_t)n;
	else
		l->bad = true;
}

static void read_record_line(struct lines *l, struct kwgi_record *r, const char *word, char *value)
{
	if (!strcmp(word, "state"))
		read_state(l, r, value);
	else if (!strcmp(word, "mesh"))
		read_text(l, &r->mesh, value);
	else if (!strcmp(word, "origin"))
		read_origin(l, r->origins, value);
	else if (!strcmp(word, "id"))
		read_fixed(l, r->id, sizeof(r->id), value);
	else if (!strcmp(word, "boot"))
		read_fixed(l, r->boot, sizeof(r->boot), value);
	else if (!strcmp(word, "keeper"))
		read_text(l, &r->keeper, value);
	else if (!strcmp(word, "reason"))
		read_text(l, &r->reason, value);
	else if (!strcmp(word, "changed"))
		read_input(l, &r->changed, value, false, false);
	else if (!strcmp(word, "then"))
		read_input(l, &r->then, value, false, false);
	else if (!strcmp(word, "key"))
		read_key(l, r, value);
	else if (!strcmp(word, "target") && !r->has_target)
		read_target(l, r);
	else
		read_numbers(l, r, word, value);
}

int kwgi_record_parse(struct kwgi_record *r, struct kwgi_arena *a, const char *text, size_t len)
{
	struct lines l;
	char *word, *value;
	const char *line;
	bool whole = false;

	*r = (struct kwgi_record){ .keeper = "", .reason = "" };
	begin(&l, a, text, len, record_header);
	while (!l.bad && !whole && (line = l.p, next_line(&l, &word, &value))) {
		if (!strcmp(word, "end")) {
			whole = is_whole(&l, line, value);
			l.bad = l.bad || !whole;
		} else {
			read_record_line(&l, r, word, value);
		}
	}
	return l.bad || !whole || l.p != l.end || !r->mesh || !kwgi_mesh_name_is_valid(r->mesh) ||
	       !*r->id ? -1 : 0;
}

/* ---- what they say ------------------------------------------------------ */

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

bool kwgi_entry_is_good(const struct kwgi_entry *e)
{
	return !strcmp(e->result, KWGI_RESULT_APPLIED) || begins(e->result, KWGI_RESULT_CONFIRMED);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool kwgi_entry_same(const struct kwgi_entry *a, const struct kwgi_entry *b)
{
	uint32_t i;

	if (strcmp(a->mesh, b->mesh) || strcmp(a->node, b->node) || strcmp(a->plan, b->plan) ||
	    !same_text(a->interface, b->interface) || a->files.n != b->files.n)
		return false;
	for (i = 0; i < a->files.n; i++)
		if (strcmp(a->files.v[i].path, b->files.v[i].path) ||
		    strcmp(a->files.v[i].digest, b->files.v[i].digest))
			return false;
	return true;
}

int kwgi_inputs_add(struct kwgi_inputs_list *l, struct kwgi_arena *a, const struct kwgi_input_file *in)
{
	if (kwgi_arena_grow(a, &l->v, l->n, &l->cap, sizeof(*l->v)))
		return -1;
	l->v[l->n++] = *in;
	return 0;
}

const struct kwgi_input_file *kwgi_inputs_find(const struct kwgi_inputs_list *l, const char *path)
{
	uint32_t i;

	for (i = 0; i < l->n; i++)
		if (!strcmp(l->v[i].path, path))
			return &l->v[i];
	return NULL;
}

static bool has_same(const struct kwgi_inputs_list *l, const struct kwgi_input_file *in)
{
	const struct kwgi_input_file *other = kwgi_inputs_find(l, in->path);

	return !strcmp(in->digest, other ? other->digest : "-");
}

/* Do both have a file that is no secret? Else they are from different places, and one lacks nothing. */
static bool share_file(const struct kwgi_inputs_list *a, const struct kwgi_inputs_list *b)
{
	uint32_t i;

	for (i = 0; i < a->n; i++)
		if (!a->v[i].secret && kwgi_inputs_find(b, a->v[i].path))
			return true;
	return false;
}

int kwgi_inputs_changed_list(struct kwgi_inputs_list *out, struct kwgi_arena *a,
			     const struct kwgi_inputs_list *before,
			     const struct kwgi_inputs_list *now)
{
	bool share = share_file(before, now);
	uint32_t i;

	for (i = 0; i < now->n; i++) {
		struct kwgi_input_file in = now->v[i];

		in.text = NULL;
		if (!has_same(before, &now->v[i]) && kwgi_inputs_add(out, a, &in))
			return -1;
	}
	for (i = 0; share && i < before->n; i++) {
		const struct kwgi_input_file absent = { .path = before->v[i].path, .digest = "-" };

		if (!before->v[i].secret && !kwgi_inputs_find(now, absent.path) &&
		    kwgi_inputs_add(out, a, &absent))
			return -1;
	}
	return 0;
}

const struct kwgi_input_file *kwgi_inputs_held(const struct kwgi_inputs_list *changed,
					  const struct kwgi_inputs_list *before,
					  const struct kwgi_inputs_list *now)
{
	bool share = share_file(before, now);
	uint32_t i;

	for (i = 0; i < changed->n; i++)
		if (has_same(now, &changed->v[i]) && (share || strcmp(changed->v[i].digest, "-")))
			return &changed->v[i];
	return NULL;
}

int64_t kwgi_record_left(const struct kwgi_record *r, const char *boot, int64_t now)
{
	/* A due time too far away is none that this program has written. */
	if (r->state != KWGI_RECORD_WAITS || strcmp(r->boot, boot) || r->due <= now)
		return 0;
	return r->due - now;
}

bool kwgi_record_is_due(const struct kwgi_record *r, const char *boot, int64_t now)
{
	return r->state == KWGI_RECORD_WAITS && !kwgi_record_left(r, boot, now);
}
