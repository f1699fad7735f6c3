/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What is wrong on a host or stands in the way, and what helps: for people and programs. */
#ifndef KWGI_FINDING_H
#define KWGI_FINDING_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/json.h"

struct kwgi_finding {
	bool error;		/* packets do not get through; else they may not */
	const char *code;	/* for programs, such as "no-answer" */
	const char *text;	/* what is wrong; one line */
	const char *remedy;	/* what to do; "": nothing */
};

struct kwgi_findings {
	struct kwgi_arena arena;
	struct kwgi_finding *v;
	uint32_t n, cap;
	bool failed;		/* out of memory; sticks */
};

/* Empties text and remedy (NULL: none), from which it is made. */
void kwgi_findings_add(struct kwgi_findings *f, bool error, const char *code,
		       struct kwgi_buf *text, struct kwgi_buf *remedy);
/* Both from one format: the text, "; ", the remedy. Neither may hold "; " otherwise. */
__attribute__((format(printf, 4, 5)))
void kwgi_findings_say(struct kwgi_findings *f, bool error, const char *code, const char *fmt, ...);

void kwgi_findings_copy_one(struct kwgi_findings *f, const struct kwgi_finding *one);
/* Adds all of another list. */
void kwgi_findings_copy(struct kwgi_findings *f, const struct kwgi_findings *from);

uint32_t kwgi_findings_errors(const struct kwgi_findings *f);
/* "text; remedy", for a log. */
void kwgi_finding_line(struct kwgi_buf *b, const struct kwgi_finding *f);
/* A list of objects. */
void kwgi_findings_json(struct kwgi_json *j, const char *key, const struct kwgi_findings *f);
/* All zero is fine. */
void kwgi_findings_free(struct kwgi_findings *f);

#endif
