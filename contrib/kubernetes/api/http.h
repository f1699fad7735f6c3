/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Requests to an API server, by libcurl: several at a time, and an answer may go on for hours. */
#ifndef KILOWG_API_HTTP_H
#define KILOWG_API_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server.h"

enum http_state {
	HTTP_CLOSED,
	HTTP_HEAD,		/* no answer yet */
	HTTP_BODY,
	HTTP_DONE,		/* the answer was complete */
	HTTP_BROKEN,		/* it was not, or there is none */
};

struct http {
	CURLM *multi;		/* not owned */
	CURL *easy;
	struct curl_slist *fields;
	enum http_state state;
	unsigned status;	/* of the answer; 0 until its head is there */
	int64_t date;		/* seconds since 1970 of the field Date; 0: none */
	unsigned retry_after;	/* seconds; 0: none */
	bool no_trust;		/* it failed for certificates */
	bool nobody;		/* it failed since nobody listens there */
	char why[CURL_ERROR_SIZE];	/* it is broken */
	void (*take)(void *user, const char *text, size_t len);
	void *user;
};

struct http_request {
	const char *method;
	const char *path;	/* the caller knows that it holds no blanks or line ends */
	const char *type;	/* of the body */
	const char *body;	/* NULL: none */
	size_t len;
};

/*
 * Begins a request, and hands each piece of the answer's body to TAKE from http_turn() on, in which
 * nothing may be closed. H must not move meanwhile. Does not wait. False without memory.
 */
bool http_open(struct http *h, CURLM *multi, const struct server *to, const struct http_request *r,
	       void (*take)(void *user, const char *text, size_t len), void *user);

/* Waits for up to so many ms until something comes, and goes on with all requests. */
void http_turn(CURLM *multi, int ms);

void http_close(struct http *h);

#endif
