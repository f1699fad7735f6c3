/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

/* Longest wait that a server may ask for. */
enum { RETRY_AFTER_MAX = 3600 };

static int connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* Of a local socket this succeeds or fails at once. */
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

bool http_open(struct http *h, const char *socket, const char *method, const char *path,
	       const char *type, const void *body, size_t len)
{
	char length[96] = "";
	size_t room;
	int n;

	*h = (struct http){ .fd = connect_to(socket) };
	if (h->fd < 0)
		return false;
	if (body)
		snprintf(length, sizeof(length), "Content-Type: %.48s\r\nContent-Length: %zu\r\n", type, len);
	room = strlen(path) + len + 512;
	h->request = malloc(room);
	if (!h->request) {
		http_close(h);
		errno = ENOMEM;
		return false;
	}
	n = snprintf(h->request, room, "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
		     "User-Agent: kilowg\r\nConnection: close\r\n%s\r\n", method, path, length);
	if (n < 0 || (size_t)n + len > room) {
		http_close(h);
		errno = EINVAL;
		return false;
	}
	if (body)
		memcpy(h->request + n, body, len);
	h->request_len = (size_t)n + len;
	h->state = HTTP_SENDING;
	return true;
}

short http_events(const struct http *h)
{
	return h->state == HTTP_SENDING ? POLLIN | POLLOUT : POLLIN;
}

void http_close(struct http *h)
{
	if (h->fd >= 0)
		close(h->fd);
	free(h->request);
	*h = (struct http){ .fd = -1 };
}

static void broken(struct http *h)
{
	h->state = HTTP_BROKEN;
}

static void send_more(struct http *h)
{
	ssize_t n = send(h->fd, h->request + h->sent, h->request_len - h->sent, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			broken(h);
		return;
	}
	h->sent += (size_t)n;
	if (h->sent == h->request_len)
		h->state = HTTP_HEAD;
}

/* Decimal digits and nothing else, up to MAX. */
static bool number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > max / 10)
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*out = v;
	return v <= max;
}

/* RFC 9110, 5.6.7: the form that is to be sent. */
static int64_t date_of(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

	return end && !*end ? (int64_t)timegm(&tm) : 0;
}

static void field(struct http *h, char *line)
{
	char *value = strchr(line, ':');
	uint64_t n;

	if (!value)
		return;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (!strcasecmp(line, "Transfer-Encoding"))
		h->chunked = !strcasecmp(value, "chunked");
	else if (!strcasecmp(line, "Content-Length")) {
		h->has_length = number(value, INT64_MAX, &h->left);
		if (!h->has_length)
			broken(h);
	} else if (!strcasecmp(line, "Date"))
		h->date = date_of(value);
	else if (!strcasecmp(line, "Retry-After") && number(value, RETRY_AFTER_MAX, &n))
		h->retry_after = (unsigned)n;
}

/* The empty line after the fields. */
static void begin_body(struct http *h)
{
	if (h->status / 100 == 1)
		h->status = 0;	/* another answer follows */
	else if (h->chunked)
		h->state = HTTP_LENGTH;
	else if (h->has_length && !h->left)
		h->state = HTTP_DONE;
	else
		h->state = HTTP_DATA;
}

static void status_line(struct http *h, const char *line)
{
	if (strncmp(line, "HTTP/1.", 7) || strlen(line) < 12 || line[8] != ' ' ||
	    line[9] < '1' || line[9] > '5' || line[10] < '0' || line[10] > '9' ||
	    line[11] < '0' || line[11] > '9')
		broken(h);
	else
		h->status = (unsigned)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
}

static void chunk_length(struct http *h, const char *line)
{
	char *end;

	errno = 0;
	h->left = strtoull(line, &end, 16);
	if (end == line || *line == '-' || *line == '+' || errno || (*end && *end != ';' && *end != ' '))
		broken(h);
	else
		h->state = h->left ? HTTP_DATA : HTTP_TRAILER;
}

static void whole_line(struct http *h, char *line)
{
	switch (h->state) {
	case HTTP_HEAD:
		if (!h->status)
			status_line(h, line);
		else if (*line)
			field(h, line);
		else
			begin_body(h);
		break;
	case HTTP_LENGTH:
		chunk_length(h, line);
		break;
	case HTTP_DATA_END:
		if (*line)
			broken(h);
		else
			h->state = HTTP_LENGTH;
		break;
	case HTTP_TRAILER:
		if (!*line)
			h->state = HTTP_DONE;
		break;
	case HTTP_CLOSED:
	case HTTP_SENDING:
	case HTTP_DATA:
	case HTTP_DONE:
	case HTTP_BROKEN:
		break;
	}
}

/* Takes a line out of TEXT; what is too long for a line is cut, as only long fields are. */
static size_t take_line(struct http *h, const char *text, size_t len)
{
	const char *end = memchr(text, '\n', len);
	size_t n = end ? (size_t)(end - text) : len, i;

	for (i = 0; i < n && h->line_len < sizeof(h->line) - 1; i++)
		h->line[h->line_len++] = text[i];
	if (!end)
		return len;
	if (h->line_len && h->line[h->line_len - 1] == '\r')
		h->line_len--;
	h->line[h->line_len] = '\0';
	h->line_len = 0;
	whole_line(h, h->line);
	return n + 1;
}

static size_t take_data(struct http *h, const char *text, size_t len,
			void (*take)(void *, const char *, size_t), void *user)
{
	size_t n = len;

	if (h->chunked || h->has_length) {
		if (n > h->left)
			n = (size_t)h->left;
		h->left -= n;
	}
	take(user, text, n);
	if (h->chunked && !h->left)
		h->state = HTTP_DATA_END;
	else if (h->has_length && !h->left)
		h->state = HTTP_DONE;
	return n;
}

void http_continue(struct http *h, void (*take)(void *user, const char *text, size_t len),
		   void *user)
{
	char text[65536];
	size_t at = 0;
	ssize_t n;

	if (h->state == HTTP_SENDING)
		send_more(h);
	n = recv(h->fd, text, sizeof(text), 0);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			broken(h);
		return;
	}
	if (!n) {
		/* Without a length the end of the connection is that of the body. */
		h->state = h->state == HTTP_DATA && !h->chunked && !h->has_length ? HTTP_DONE : HTTP_BROKEN;
		return;
	}
	if (h->state == HTTP_SENDING)
		h->state = HTTP_HEAD;	/* an answer before all was sent: a refusal */
	while (at < (size_t)n && h->state != HTTP_DONE && h->state != HTTP_BROKEN)
		at += h->state == HTTP_DATA ? take_data(h, text + at, (size_t)n - at, take, user) :
			take_line(h, text + at, (size_t)n - at);
}
