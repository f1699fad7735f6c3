/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * INI text into sections and entries, through inih. All that inih would lose
 * or guess is dealt with here; see ini.c.
 */
#ifndef KWGI_INI_H
#define KWGI_INI_H

#include "config/diag.h"

enum {
	KWGI_INI_MAX_TEXT = 64 * 1024 * 1024,
	KWGI_INI_MAX_LINE = 64 * 1024,	/* bytes of one line */
	/* Longer than any key of ours, shorter than a WireGuard key that lost its way. */
	KWGI_INI_MAX_KEY = 32,
};

/* Strings are valid during the call only. value may be written to. */
struct kwgi_ini_ops {
	void (*section)(void *arg, const char *name, struct kwgi_place at);
	void (*entry)(void *arg, const char *key, char *value, struct kwgi_place at);
};

/*
 * Reads len bytes and calls ops in the order of the text. What is not
 * understood becomes an error in d and is left out; reading goes on.
 * Returns 0 or KWG_ERR_NOMEM.
 */
int kwgi_ini_parse(const char *text, size_t len, uint32_t file, const struct kwgi_ini_ops *ops,
		   void *arg, struct kwgi_diags *d);

#endif
