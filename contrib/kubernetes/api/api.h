/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* kilowg-api: what kilowg-agent cannot do in a shell; see kilowg-api(8). */
#ifndef KILOWG_API_H
#define KILOWG_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2,
	EXIT_LIMIT = 124,	/* as of timeout(1) */
};

struct follow_options {
	const char *node, *label;
	int64_t max_age;	/* seconds; 0: none is too old */
	double debounce;	/* seconds */
	bool once, wake;
};

int follow(const struct follow_options *o);

/* Seconds, a command and its arguments, NULL. */
int limit(unsigned seconds, char *const *command);

/*
 * A merge patch of a node, in FILE; or, with FILE NULL, just the question whether the server
 * answers. API is what server_load() takes.
 */
int ask(const char *api, const char *node, const char *file);

/* The name of a node, of which a path can be made. */
bool is_node_name(const char *text);

/* SIGNAL comes if whoever started this process ends, however that happens. */
void end_with_parent(int signal);

/* TEXT without what does not belong into a log, cut to LEN - 1 bytes. */
void shown(char *out, size_t len, const char *text, size_t text_len);

/* What an API server says of an error, in JSON, or the first line of what else is said. */
void reason_of(char *out, size_t len, unsigned status, const char *body, size_t body_len);

#endif
