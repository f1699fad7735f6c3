/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The little of HTTP/1.1 (RFC 9112) that is needed to talk to "kubectl proxy" over its
 * socket: one request per connection, and an answer that may go on for hours.
 */
#ifndef KILOWG_API_HTTP_H
#define KILOWG_API_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_state {
	HTTP_CLOSED,
	HTTP_SENDING,
	HTTP_HEAD,		/* status line and fields */
	HTTP_LENGTH,		/* line with the length of a chunk */
	HTTP_DATA,		/* of a chunk, or of all */
	HTTP_DATA_END,		/* line end after a chunk */
	HTTP_TRAILER,
	HTTP_DONE,		/* the answer was complete */
	HTTP_BROKEN,		/* it was not, or is none */
};

struct http {
	int fd;
	enum http_state state;
	char *request;
	size_t request_len, sent;
	unsigned status;	/* of the answer; 0 until its first line is there */
	int64_t date;		/* seconds since 1970 of the field Date; 0: none */
	unsigned retry_after;	/* seconds; 0: none */
	bool chunked, has_length;
	uint64_t left;		/* bytes of the chunk, or of the body */
	char line[1024];
	size_t line_len;
};

/*
 * Begins a request: METHOD and PATH, of which the caller knows that they hold no blanks or
 * line ends, and a BODY of the TYPE if that is not NULL. Does not wait. Returns false, with
 * errno, if there is nobody at the socket.
 */
bool http_open(struct http *h, const char *socket, const char *method, const char *path,
	       const char *type, const void *body, size_t len);

/* What to poll() for. */
short http_events(const struct http *h);

/*
 * Goes on after poll(). Each piece of the body is handed to TAKE. The state tells what is to
 * be expected: at HTTP_DONE and HTTP_BROKEN nothing comes any more.
 */
void http_continue(struct http *h, void (*take)(void *user, const char *text, size_t len),
		   void *user);

void http_close(struct http *h);

#endif
