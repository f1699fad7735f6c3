/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Known answers from tests/vectors (made by an independent implementation in
 * Python; kept there as lines of words), and the seed of random tests.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <sodium.h>

#include "unit.h"

/* ck_assert() tells the runner of every success as well: too dear for a million of them. */
#define must(x) do { if (!(x)) ck_abort_msg("not so: %s", #x); } while (0)

static inline FILE *vectors_open(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/vectors/%s", top ? top : ".", name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "cannot open %s", path);
	return f;
}

/* The words of the next line that is no comment, at most max; 0 at the end of the file. */
static inline int vectors_words(FILE *f, char line[], int size, char *word[], int max)
{
	char *save;
	int n = 0;

	do {
		if (!fgets(line, size, f))
			return 0;
	} while (*line == '#' || *line == '\n');
	while (n < max && (word[n] = strtok_r(n ? NULL : line, " \n", &save)))
		n++;
	return n;
}

/* Number of bytes that a word of hex digits stands for; "-" is none. */
static inline size_t vectors_hex(uint8_t *out, size_t size, const char *hex)
{
	size_t len = 0;

	if (strcmp(hex, "-"))
		ck_assert_int_eq(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &len, NULL), 0);
	return len;
}

/* KWG_TEST_SEED if that is set, else the same in every run. */
static inline uint64_t test_seed(uint64_t seed)
{
	const char *s = getenv("KWG_TEST_SEED");
	uint64_t n = s ? strtoull(s, NULL, 0) : 0;

	return n ? n : seed;
}

#endif
