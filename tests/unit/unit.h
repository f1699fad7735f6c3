/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What the unit tests share: the runner, short ways to write values, random numbers. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/key.h"
#include "config/config.h"
#include "config/diag.h"

#define N_OF(table) (sizeof(table) / sizeof(*(table)))

/* Runs the tests that add() puts into the one case of a suite. Exit status for main(). */
static inline int unit_run(const char *name, void (*add)(TCase *tc))
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	add(tc);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- values ---------------------------------------------------------- */

/* No address for "". */
static inline struct kwgi_addr addr(const char *s)
{
	struct kwgi_addr a = { 0 };

	ck_assert_msg(!*s || !kwgi_addr_parse(&a, s), "no address: %s", s);
	return a;
}

/* No prefix for "". */
static inline struct kwgi_prefix prefix(const char *s)
{
	struct kwgi_prefix p = { .len = 0 };

	ck_assert_msg(!*s || !kwgi_prefix_parse(&p, s), "no prefix: %s", s);
	return p;
}

/* An address with port; no endpoint for "". */
static inline struct kwgi_endpoint endpoint(const char *s)
{
	struct kwgi_endpoint e = { 0 };
	size_t host_len = 0;

	ck_assert_msg(!*s || !kwgi_endpoint_parse(&e, s, &host_len), "no endpoint: %s", s);
	ck_assert_msg(!host_len, "a name: %s", s);
	return e;
}

/* The key whose bytes are all n. */
static inline struct kwgi_key key(unsigned n)
{
	struct kwgi_key k;

	memset(k.b, (int)n, sizeof(k.b));
	return k;
}

/* The text of key(n), in one of a few static buffers. */
static inline const char *key_text(unsigned n)
{
	static char text[8][KWGI_KEY_TEXT];
	static unsigned next;
	struct kwgi_key k = key(n);

	next = (next + 1) % 8;
	return kwgi_key_format(text[next], &k);
}

/* ---- random numbers: the same on every run and machine --------------- */

/* xorshift64* (Vigna, 2016). seed is not 0. */
static inline uint32_t random_u32(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)(*seed * 2685821657736338717u >> 32);
}

/* 0 to n - 1 */
static inline uint32_t random_below(uint64_t *seed, uint32_t n)
{
	return random_u32(seed) % n;
}

/* ---- configurations -------------------------------------------------- */

/* Reads a text, without checks over the whole. Ends with kwgi_arena_free(). */
static inline void config_read(struct kwg_config *cfg, const char *text)
{
	memset(cfg, 0, sizeof(*cfg));
	ck_assert_int_eq(kwgi_config_init(cfg), 0);
	ck_assert_int_eq(kwgi_config_add_text(cfg, "t", text, strlen(text)), 0);
}

/* All remarks as "file:line: [warning: ]key: text" lines; free() it. */
static inline char *diags_text(struct kwgi_diags *d)
{
	struct kwgi_buf b = { 0 };
	uint32_t i;

	kwgi_diags_finish(d);
	for (i = 0; i < d->n; i++) {
		const struct kwg_diag *g = &d->v[i].diag;

		kwgi_buf_printf(&b, "%s:%u: %s%s: %s\n", g->file, g->line,
				g->severity == KWG_WARNING ? "warning: " : "", g->key, g->text);
	}
	return kwgi_buf_take(&b, NULL);
}

#endif
