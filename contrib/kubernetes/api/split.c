/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "split.h"

/* Deeper than any object, and far from an overflow. */
enum { DEPTH_MAX = 1000, KEEP_ROOM = 1 << 18 };

void split_init(struct split *s, bool is_list)
{
	*s = (struct split){ .is_list = is_list };
}

void split_free(struct split *s)
{
	if (s->text)
		explicit_bzero(s->text, s->room);	/* peers have preshared keys */
	free(s->text);
	*s = (struct split){ 0 };
}

static void append(struct split *s, const char *text, size_t len)
{
	size_t room = s->room ? s->room : 16384;
	char *new;

	if (s->too_long)
		return;
	if (s->len + len > SPLIT_OBJECT_MAX) {
		s->too_long = true;
		return;
	}
	while (room < s->len + len)
		room *= 2;
	if (room != s->room) {
		new = malloc(room);
		if (!new) {
			s->too_long = true;
			return;
		}
		if (s->len)
			memcpy(new, s->text, s->len);
		if (s->text)
			explicit_bzero(s->text, s->room);
		free(s->text);
		s->text = new;
		s->room = room;
	}
	memcpy(s->text + s->len, text, len);
	s->len += len;
}

/* Is a value that begins here, inside of s->depth brackets, one that is wanted? */
static bool is_wanted(struct split *s, char bracket)
{
	if (bracket != '{')
		return false;
	if (!s->is_list) {
		s->part = SPLIT_OBJECT;
		return s->depth == 0;
	}
	s->part = s->depth == 1 ? SPLIT_METADATA : SPLIT_OBJECT;
	return (s->depth == 1 && !strcmp(s->key, "metadata")) || (s->depth == 2 && !strcmp(s->key, "items"));
}

static void in_string(struct split *s, char c)
{
	bool at_top = s->is_list && s->depth == 1;

	if (s->escaped) {
		s->escaped = false;
	} else if (c == '\\') {
		s->escaped = true;
	} else if (c == '"') {
		s->in_string = false;
		if (at_top)
			s->key[s->key_len < sizeof(s->key) ? s->key_len : 0] = '\0';
		return;
	}
	if (at_top && s->key_len < sizeof(s->key))
		s->key[s->key_len++] = c;
}

static void opens(struct split *s, char c)
{
	if (!s->taking && is_wanted(s, c)) {
		s->taking = true;
		s->from_depth = s->depth;
	}
	if (++s->depth > DEPTH_MAX)
		s->broken = true;
}

/* Returns whether that was the end of what is taken. */
static bool closes(struct split *s)
{
	if (!s->depth) {
		s->broken = true;
		return false;
	}
	if (!--s->depth)
		s->ended = true;
	return s->taking && s->depth == s->from_depth;
}

/* ---- what nobody reads ------------------------------------------------ */

/* Most of a node, and of what it takes to read one. None is a field that anything depends on. */
static const char *const unread[] = {
	"conditions", "images", "managedFields", "volumesAttached", "volumesInUse",
};

/* The end of the string that begins at I, behind its quote. */
static size_t skip_string(const char *text, size_t len, size_t i)
{
	for (i++; i < len && text[i] != '"'; i++)
		i += text[i] == '\\';
	return i < len ? i + 1 : len;
}

/* The end of the array that begins at I. */
static size_t skip_array(const char *text, size_t len, size_t i)
{
	size_t depth = 0;

	while (i < len) {
		if (text[i] == '"') {
			i = skip_string(text, len, i);
			continue;
		}
		depth += text[i] == '[';
		depth -= text[i] == ']';
		i++;
		if (!depth)
			break;
	}
	return i;
}

static bool is_unread(const char *key, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(unread) / sizeof(*unread); i++)
		if (strlen(unread[i]) == len && !memcmp(unread[i], key, len))
			return true;
	return false;
}

size_t split_prune(char *text, size_t len)
{
	size_t i = 0, n = 0, from, to;

	while (i < len) {
		from = i;
		if (text[i] != '"') {
			text[n++] = text[i++];
			continue;
		}
		i = skip_string(text, len, from);
		memmove(text + n, text + from, i - from);
		n += i - from;
		if (i - from < 2 || !is_unread(text + n - (i - from) + 1, i - from - 2))
			continue;
		for (to = i; to < len && strchr(": \t\r\n", text[to]) && text[to]; to++)
			;
		/* A label of that name has text. */
		if (to == i || to >= len || text[to] != '[')
			continue;
		to = skip_array(text, len, to);
		if (to - i < 3)
			continue;	/* it is no JSON; who parses it says so */
		memcpy(text + n, ":[]", 3);
		n += 3;
		i = to;
	}
	return n;
}

static void hand_over(struct split *s, void (*take)(void *, enum split_part, const char *, size_t),
		      void *user)
{
	if (s->too_long)
		s->passed_over++;
	else
		take(user, s->part, s->text, split_prune(s->text, s->len));
	s->taking = s->too_long = false;
	s->len = 0;
	if (s->room > KEEP_ROOM) {
		explicit_bzero(s->text, s->room);
		free(s->text);
		s->text = NULL;
		s->room = 0;
	}
}

void split_feed(struct split *s, const char *text, size_t len,
		void (*take)(void *user, enum split_part part, const char *text, size_t len),
		void *user)
{
	size_t i, from = 0;

	for (i = 0; i < len && !s->broken; i++) {
		char c = text[i];
		bool was_taking = s->taking;

		if (s->in_string) {
			in_string(s, c);
		} else if (c == '"') {
			s->in_string = true;
			s->key_len = s->is_list && s->depth == 1 ? 0 : s->key_len;
		} else if (c == '{' || c == '[') {
			opens(s, c);
			if (s->taking && !was_taking)
				from = i;
		} else if (c == '}' || c == ']') {
			if (closes(s)) {
				append(s, text + from, i + 1 - from);
				hand_over(s, take, user);
			}
		} else if (!s->depth && c != '\n' && c != ' ' && c != '\r' && c != '\t') {
			s->broken = true;
		}
	}
	if (s->taking && from < len)
		append(s, text + from, len - from);
}
