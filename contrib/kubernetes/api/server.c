/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"

enum { DESCRIPTION_MAX = 1 << 16 };

#define POD "/var/run/secrets/kubernetes.io/serviceaccount/"

static const char ca_name[] = "api.ca", cert_name[] = "api.cert", key_name[] = "api.key", token_name[] = "api.token";

/* ---- files ------------------------------------------------------------ */

char *read_file(const char *name, size_t max, size_t *len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;
	char *text = fd < 0 ? NULL : malloc(max + 2);
	ssize_t n = -1;

	*len = 0;
	while (text && *len <= max && (n = read(fd, text + *len, max + 1 - *len)) > 0)
		*len += (size_t)n;
	error = *len > max ? EFBIG : errno;
	if (fd >= 0)
		close(fd);
	if (!text || n < 0 || *len > max) {
		free(text);
		errno = error;
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

static bool write_file(const char *name, const void *text, size_t len)
{
	char new[64];
	ssize_t n = -1;
	int fd;

	snprintf(new, sizeof(new), "%s.new", name);
	unlink(new);
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0) {
		n = write(fd, text, len);
		close(fd);
	}
	return n == (ssize_t)len && !rename(new, name);
}

void server_remove_files(void)
{
	unlink(ca_name);
	unlink(cert_name);
	unlink(key_name);
	unlink(token_name);
}

/* ---- kubectl's configuration ------------------------------------------ */

/* Has OBJECT nothing but these? */
static bool has_only(const json_t *object, const char *const *known)
{
	const char *key;
	const json_t *v;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)object, key, v) {
		for (i = 0; known[i] && strcmp(known[i], key); i++)
			;
		if (!known[i])
			return false;
	}
	return true;
}

static bool keep(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	return *to != NULL;
}

/* Base64 of KEY becomes the file NAME, if there is such a key. */
static bool data_to_file(const json_t *in, const char *key, const char *name, char **file)
{
	const json_t *v = json_object_get(in, key);
	size_t len = json_string_length(v);
	unsigned char *raw;
	bool well;

	if (!v)
		return true;
	raw = malloc(len + 1);
	well = raw && json_is_string(v) &&
		!sodium_base642bin(raw, len + 1, json_string_value(v), len, "\r\n ", &len, NULL,
				   sodium_base64_VARIANT_ORIGINAL) &&
		write_file(name, raw, len) && keep(file, name);
	if (raw)
		sodium_memzero(raw, json_string_length(v) + 1);
	free(raw);
	return well;
}

static bool take_token(struct server *s, const json_t *user)
{
	const json_t *file = json_object_get(user, "tokenFile"), *token = json_object_get(user, "token");

	/* As client-go has it: the file first. kubectl alone knows to what a relative path is so. */
	if (file)
		return json_is_string(file) && *json_string_value(file) == '/' && keep(&s->token_file, json_string_value(file));
	return !token || (json_is_string(token) &&
			  write_file(token_name, json_string_value(token), json_string_length(token)) &&
			  keep(&s->token_file, token_name));
}

static bool take_url(struct server *s, const json_t *cluster)
{
	const char *url = json_string_value(json_object_get(cluster, "server"));
	size_t n = url ? strlen(url) : 0;

	while (n && url[n - 1] == '/')
		n--;
	/* It is written into a request: printable ASCII alone. Without TLS a token would be sent to anyone. */
	if (n < 9 || strncmp(url, "https://", 8) || strspn(url, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
							     "0123456789-._~:/[]%") < n)
		return false;
	s->url = strndup(url, n);
	return s->url != NULL;
}

/* The one thing in the list that --minify has left, by KEY. */
static const json_t *only_one(const json_t *config, const char *list, const char *key)
{
	const json_t *v = json_object_get(config, list);

	return json_array_size(v) == 1 ? json_object_get(json_array_get(v, 0), key) : NULL;
}

static bool take_config(struct server *s, const json_t *config)
{
	static const char *const of_cluster[] = {
		"certificate-authority-data", "disable-compression", "extensions", "insecure-skip-tls-verify", "server", NULL
	};
	static const char *const of_user[] = {
		"client-certificate-data", "client-key-data", "extensions", "token", "tokenFile", NULL
	};
	const json_t *cluster = only_one(config, "clusters", "cluster"), *user = only_one(config, "users", "user");

	s->insecure = json_is_true(json_object_get(cluster, "insecure-skip-tls-verify"));
	return json_is_object(cluster) && json_is_object(user) && has_only(cluster, of_cluster) && has_only(user, of_user) &&
		take_url(s, cluster) && take_token(s, user) &&
		data_to_file(cluster, "certificate-authority-data", ca_name, &s->ca_file) &&
		data_to_file(user, "client-certificate-data", cert_name, &s->cert_file) &&
		data_to_file(user, "client-key-data", key_name, &s->key_file) && !s->cert_file == !s->key_file;
}

bool server_from_config(struct server *s, const char *text, size_t len)
{
	json_t *config = json_loadb(text, len, 0, NULL);
	bool well;

	*s = (struct server){ 0 };
	well = take_config(s, config);
	json_decref(config);
	if (well)
		return true;
	server_free(s);
	server_remove_files();
	return false;
}

/* ---- a pod ------------------------------------------------------------ */

static bool is_digits(const char *text)
{
	return *text && strlen(text) <= 5 && strspn(text, "0123456789") == strlen(text);
}

bool server_in_cluster(struct server *s)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	char url[300];
	int n;

	*s = (struct server){ 0 };
	if (!host || !port || !*host || !is_digits(port) || access(POD "token", R_OK) ||
	    strspn(host, "ABCDEFabcdefghijklmnopqrstuvwxyz0123456789.:-") != strlen(host))
		return false;
	n = snprintf(url, sizeof(url), strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	if (n > 0 && (size_t)n < sizeof(url) && keep(&s->url, url) && keep(&s->token_file, POD "token") &&
	    keep(&s->ca_file, POD "ca.crt"))
		return true;
	server_free(s);
	return false;
}

bool server_by_proxy(struct server *s, const char *socket)
{
	*s = (struct server){ 0 };
	return keep(&s->url, "http://localhost") && keep(&s->socket, socket);
}

/* ---- from one process to another -------------------------------------- */

struct text_field {
	const char *key;
	size_t offset;
};

static const struct text_field text_fields[] = {
	{ "url", offsetof(struct server, url) }, { "socket", offsetof(struct server, socket) },
	{ "ca", offsetof(struct server, ca_file) }, { "certificate", offsetof(struct server, cert_file) },
	{ "key", offsetof(struct server, key_file) }, { "token", offsetof(struct server, token_file) },
};

enum { N_TEXT_FIELDS = sizeof(text_fields) / sizeof(*text_fields) };

static char **field_of(const struct server *s, size_t i)
{
	return (char **)((uintptr_t)s + text_fields[i].offset);
}

bool server_save(const struct server *s, const char *name)
{
	json_t *j = json_object();
	json_free_t freed;
	char *text;
	bool well;
	size_t i;

	for (i = 0; i < N_TEXT_FIELDS; i++)
		if (*field_of(s, i))
			json_object_set_new(j, text_fields[i].key, json_string(*field_of(s, i)));
	json_object_set_new(j, "insecure", json_boolean(s->insecure));
	text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(j);
	well = text && write_file(name, text, strlen(text));
	json_get_alloc_funcs(NULL, &freed);
	freed(text);
	return well;
}

bool server_load(struct server *s, const char *name)
{
	struct stat st;
	size_t len, i;
	bool well = true;
	char *text;
	json_t *j;

	*s = (struct server){ 0 };
	if (!stat(name, &st) && S_ISSOCK(st.st_mode))
		return server_by_proxy(s, name);
	text = read_file(name, DESCRIPTION_MAX, &len);
	if (!text)
		return false;
	j = json_loadb(text, len, 0, NULL);
	free(text);
	for (i = 0; i < N_TEXT_FIELDS; i++)
		if (json_is_string(json_object_get(j, text_fields[i].key)))
			well &= keep(field_of(s, i), json_string_value(json_object_get(j, text_fields[i].key)));
	s->insecure = json_is_true(json_object_get(j, "insecure"));
	json_decref(j);
	if (well && s->url)
		return true;
	server_free(s);
	errno = EINVAL;
	return false;
}

void server_free(struct server *s)
{
	size_t i;

	for (i = 0; i < N_TEXT_FIELDS; i++)
		free(*field_of(s, i));
	*s = (struct server){ 0 };
}
