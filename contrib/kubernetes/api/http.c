/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"

enum {
	RETRY_AFTER_MAX = 3600,	/* seconds: longest wait that a server may ask for */
	CONNECT_WAIT = 10,	/* seconds */
	TOKEN_MAX = 1 << 16,
	FIELD_MAX = 128,
	BUFFER = 64 << 10,	/* bytes read at a time */
};

/* ---- what comes in ---------------------------------------------------- */

static size_t on_body(char *text, size_t one, size_t len, void *user)
{
	struct http *h = user;

	(void)one;
	h->take(h->user, text, len);
	return len;
}

/* Is LINE the field NAME? Its value then. */
static bool is_field(const char *line, const char *name, const char **value)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) || line[n] != ':')
		return false;
	*value = line + n + 1 + strspn(line + n + 1, " \t");
	return true;
}

static void field(struct http *h, const char *line)
{
	const char *value;
	unsigned long n;
	time_t date;

	if (is_field(line, "Date", &value)) {
		date = curl_getdate(value, NULL);
		h->date = date > 0 ? date : 0;
	} else if (is_field(line, "Retry-After", &value)) {
		n = strspn(value, "0123456789") == strlen(value) ? strtoul(value, NULL, 10) : 0;
		h->retry_after = n > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (unsigned)n;
	}
}

static size_t on_head(char *text, size_t one, size_t len, void *user)
{
	struct http *h = user;
	char line[FIELD_MAX];
	size_t n = len;
	long status = 0;

	(void)one;
	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (!n) {
		curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200) {	/* else another head follows */
			h->status = (unsigned)status;
			h->state = HTTP_BODY;
		}
	} else if (n < sizeof(line)) {
		memcpy(line, text, n);
		line[n] = '\0';
		field(h, line);
	}
	return len;
}

/* ---- what goes out ---------------------------------------------------- */

static bool add_field(struct http *h, const char *text)
{
	struct curl_slist *more = curl_slist_append(h->fields, text);

	if (!more)
		return false;
	h->fields = more;
	return true;
}

/* It is read each time: a pod's is another one each hour. */
static bool add_token(struct http *h, const char *file)
{
	static const char before[] = "Authorization: Bearer ";
	size_t len, n;
	char *token = read_file(file, TOKEN_MAX, &len), *text;
	bool well;

	if (!token) {
		snprintf(h->why, sizeof(h->why), "%s cannot be read", file);
		h->no_trust = true;
		return true;	/* the server says what it thinks of that */
	}
	n = strcspn(token, "\r\n");
	text = malloc(sizeof(before) + n);
	well = text != NULL;
	if (well) {
		memcpy(text, before, sizeof(before) - 1);
		memcpy(text + sizeof(before) - 1, token, n);
		text[sizeof(before) - 1 + n] = '\0';
		well = add_field(h, text);
		explicit_bzero(text, sizeof(before) + n);
	}
	free(text);
	explicit_bzero(token, len);
	free(token);
	return well;
}

static bool set_server(struct http *h, const struct server *to, const char *path)
{
	size_t room = strlen(to->url) + strlen(path) + 1;
	char *url = malloc(room);
	CURLcode bad;

	if (!url)
		return false;
	snprintf(url, room, "%s%s", to->url, path);
	bad = curl_easy_setopt(h->easy, CURLOPT_URL, url);
	free(url);
	if (to->socket)
		bad |= curl_easy_setopt(h->easy, CURLOPT_UNIX_SOCKET_PATH, to->socket);
	if (to->ca_file) {
		/* This one alone, and none of those that the host trusts. */
		bad |= curl_easy_setopt(h->easy, CURLOPT_CAINFO, to->ca_file);
		curl_easy_setopt(h->easy, CURLOPT_CAPATH, NULL);
	}
	if (to->cert_file) {
		bad |= curl_easy_setopt(h->easy, CURLOPT_SSLCERT, to->cert_file);
		bad |= curl_easy_setopt(h->easy, CURLOPT_SSLKEY, to->key_file);
	}
	if (to->insecure) {
		bad |= curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		bad |= curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return !bad && (!to->token_file || add_token(h, to->token_file));
}

static bool set_request(struct http *h, const struct http_request *r)
{
	char type[96];
	CURLcode bad = curl_easy_setopt(h->easy, CURLOPT_CUSTOMREQUEST, r->method);

	if (!add_field(h, "Accept: application/json"))
		return false;
	if (!r->body)
		return !bad;
	snprintf(type, sizeof(type), "Content-Type: %.48s", r->type);
	bad |= curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE, (long)r->len);
	bad |= curl_easy_setopt(h->easy, CURLOPT_COPYPOSTFIELDS, r->body);
	return !bad && add_field(h, type) && add_field(h, "Expect:");
}

static bool set_rest(struct http *h)
{
	CURLcode bad = 0;

	bad |= curl_easy_setopt(h->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(h->easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_WAIT);
	bad |= curl_easy_setopt(h->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/* Minutes lie between two requests: the other side may have closed it long ago. */
	bad |= curl_easy_setopt(h->easy, CURLOPT_FORBID_REUSE, 1L);
	bad |= curl_easy_setopt(h->easy, CURLOPT_BUFFERSIZE, (long)BUFFER);
	bad |= curl_easy_setopt(h->easy, CURLOPT_USERAGENT, "kilowg");
	bad |= curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->fields);
	bad |= curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, on_head);
	bad |= curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, h);
	bad |= curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
	bad |= curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->why);
	bad |= curl_easy_setopt(h->easy, CURLOPT_PRIVATE, h);
	return !bad;
}

/* ---- requests --------------------------------------------------------- */

bool http_open(struct http *h, CURLM *multi, const struct server *to, const struct http_request *r,
	       void (*take)(void *user, const char *text, size_t len), void *user)
{
	*h = (struct http){ .multi = multi, .take = take, .user = user, .easy = curl_easy_init() };
	if (h->easy && set_server(h, to, r->path) && set_request(h, r) && set_rest(h) &&
	    !curl_multi_add_handle(multi, h->easy)) {
		h->state = HTTP_HEAD;
		return true;
	}
	curl_easy_cleanup(h->easy);
	h->easy = NULL;
	http_close(h);
	return false;
}

static void ended(struct http *h, CURLcode result)
{
	h->state = result ? HTTP_BROKEN : HTTP_DONE;
	if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CONNECT_ERROR ||
	    result == CURLE_SSL_CERTPROBLEM || result == CURLE_SSL_CACERT_BADFILE)
		h->no_trust = true;
	h->nobody = result == CURLE_COULDNT_CONNECT;
	if (result && !*h->why)
		snprintf(h->why, sizeof(h->why), "%s", curl_easy_strerror(result));
}

void http_turn(CURLM *multi, int ms)
{
	struct http *h = NULL;
	const CURLMsg *m;
	int n;

	curl_multi_poll(multi, NULL, 0, ms, NULL);
	curl_multi_perform(multi, &n);
	while ((m = curl_multi_info_read(multi, &n)))
		if (m->msg == CURLMSG_DONE && !curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&h))
			ended(h, m->data.result);
}

void http_close(struct http *h)
{
	struct curl_slist *f;

	if (h->easy) {
		curl_multi_remove_handle(h->multi, h->easy);
		curl_easy_cleanup(h->easy);
	}
	for (f = h->fields; f; f = f->next)
		explicit_bzero(f->data, strlen(f->data));	/* one has the token */
	curl_slist_free_all(h->fields);
	*h = (struct http){ 0 };
}
