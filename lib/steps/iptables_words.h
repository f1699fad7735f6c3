/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The words of a rule as iptables-save prints it. */
#ifndef KWGI_IPTABLES_WORDS_H
#define KWGI_IPTABLES_WORDS_H

#include <stdbool.h>

enum { KWGI_IPT_WORDS = 32, KWGI_IPT_WORD_MAX = 256 };

/* Quotes gone, and what they and backslashes keep together. */
struct kwgi_ipt_words {
	char v[KWGI_IPT_WORDS][KWGI_IPT_WORD_MAX];
	int n;
	bool whole;		/* nothing was too long */
};

void kwgi_ipt_split(struct kwgi_ipt_words *w, const char *rule);
/* The word behind this one; NULL: none. */
const char *kwgi_ipt_value_of(const struct kwgi_ipt_words *w, const char *option);

#endif
