/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "steps/iptables_words.h"

static const char *take_word(const char *p, char out[KWGI_IPT_WORD_MAX], bool *fits)
{
	bool quoted = false;
	size_t n = 0;

	for (; *p && (quoted || *p != ' '); p++) {
		if (*p == '"') {
			quoted = !quoted;
			continue;
		}
		if (*p == '\\' && p[1])
			p++;
		if (n + 1 < KWGI_IPT_WORD_MAX)
			out[n++] = *p;
		else
			*fits = false;
	}
	out[n] = '\0';
	return p;
}

void kwgi_ipt_split(struct kwgi_ipt_words *w, const char *rule)
{
	w->n = 0;
	w->whole = true;
	for (;;) {
		while (*rule == ' ')
			rule++;
		if (!*rule)
			return;
		if (w->n == KWGI_IPT_WORDS) {
			w->whole = false;
			return;
		}
		rule = take_word(rule, w->v[w->n++], &w->whole);
	}
}

const char *kwgi_ipt_value_of(const struct kwgi_ipt_words *w, const char *option)
{
	int i;

	for (i = 0; i + 1 < w->n; i++)
		if (!strcmp(w->v[i], option))
			return w->v[i + 1];
	return NULL;
}
