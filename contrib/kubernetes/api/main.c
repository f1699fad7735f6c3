/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api.h"
#include "http.h"
#include "kilowg.h"	/* its version alone */

enum {
	ASK_WAIT = 10,			/* seconds */
	PATCH_MAX = 1 << 20,
	SECONDS_MAX = 1000000,
};

static const char usage_text[] =
"usage: kilowg-api follow --node NAME [options]\n"
"       kilowg-api patch API NODE FILE\n"
"       kilowg-api reach API NODE\n"
"       kilowg-api limit SECONDS COMMAND [ARGUMENT...]\n"
"\n"
"The part of kilowg-agent(8) that talks to the API server.\n"
"\n"
"follow: keeps nodes and peers, as far as a mesh depends on them, in files of the\n"
"current folder: state.json and self.json; away is there with a reason while the server\n"
"is not; api.json tells how it is reached; skew has the seconds that this host's clock is behind the server's.\n"
"  --node NAME            the Node that this host is\n"
"  --topology-label NAME  label with the location (topology.kubernetes.io/region)\n"
"  --max-age SECONDS      mark nodes not seen for as long as gone (60; 0: none)\n"
"  --debounce SECONDS     wait for more changes after the first (1)\n"
"  --wake                 write a line into wake.pipe when something has changed\n"
"  --once                 end when the files are written\n"
"patch: sends a merge patch of a node. API is the file api.json of follow, or the socket of\n"
"\"kubectl proxy\".\n"
"reach: asks for the node, to see whether the server answers.\n"
"limit: runs a command in a process group of its own; ends it, with exit status 124, if\n"
"it takes longer, and if whoever started this ends.\n"
"\n"
"  -V, --version          print the version\n"
"  -h, --help             print this\n";

static int bad(const char *text)
{
	fprintf(stderr, "kilowg-api: %s\nkilowg-api --help shows what is accepted\n", text);
	return EXIT_USAGE;
}

bool is_node_name(const char *text)
{
	size_t n = strlen(text);

	return n && n <= 253 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n &&
		text[0] != '.' && text[0] != '-' && text[n - 1] != '.' && text[n - 1] != '-';
}

void shown(char *out, size_t len, const char *text, size_t text_len)
{
	size_t i;

	for (i = 0; i + 1 < len && i < text_len; i++)
		out[i] = (unsigned char)text[i] < 32 || text[i] == 127 ? ' ' : text[i];
	while (i && out[i - 1] == ' ')
		i--;
	out[i] = '\0';
}

void reason_of(char *out, size_t len, unsigned status, const char *body, size_t body_len)
{
	json_t *j = json_loadb(body, body_len, 0, NULL);
	const char *message = json_string_value(json_object_get(j, "message"));
	const char *end = memchr(body, '\n', body_len);

	if (message && *message)
		shown(out, len, message, strlen(message));
	else
		shown(out, len, body, end ? (size_t)(end - body) : body_len);
	if (!*out)
		snprintf(out, len, "HTTP status %u", status);
	json_decref(j);
}

/* ---- one request ------------------------------------------------------ */

struct answer {
	char text[4096];
	size_t len;
};

static void take(void *user, const char *text, size_t len)
{
	struct answer *a = user;

	if (len > sizeof(a->text) - a->len)
		len = sizeof(a->text) - a->len;
	memcpy(a->text + a->len, text, len);
	a->len += len;
}

/* Until there is an answer, or until ASK_WAIT has passed. */
static void exchange(CURLM *multi, const struct http *h)
{
	struct timespec t;
	time_t deadline;

	clock_gettime(CLOCK_MONOTONIC, &t);
	deadline = t.tv_sec + ASK_WAIT;
	while (h->state != HTTP_DONE && h->state != HTTP_BROKEN && t.tv_sec < deadline) {
		http_turn(multi, 500);
		clock_gettime(CLOCK_MONOTONIC, &t);
	}
}

static bool request(const struct server *to, const struct http_request *r)
{
	struct answer a = { .len = 0 };
	char why[300];
	CURLM *multi = curl_global_init(CURL_GLOBAL_DEFAULT) ? NULL : curl_multi_init();
	struct http h;
	bool well;

	if (!multi || !http_open(&h, multi, to, r, take, &a)) {
		fprintf(stderr, "kilowg-api: out of memory\n");
		curl_multi_cleanup(multi);
		return false;
	}
	exchange(multi, &h);
	well = h.status == 200;
	if (!h.status && h.state == HTTP_BROKEN) {
		fprintf(stderr, "kilowg-api: %s\n", h.why);
	} else if (!h.status) {
		fprintf(stderr, "kilowg-api: there was no answer within %d seconds\n", ASK_WAIT);
	} else if (!well) {
		reason_of(why, sizeof(why), h.status, a.text, a.len);
		fprintf(stderr, "kilowg-api: %s\n", why);
	}
	http_close(&h);
	curl_multi_cleanup(multi);
	curl_global_cleanup();
	return well;
}

int ask(const char *api, const char *node, const char *file)
{
	struct http_request r = { .method = file ? "PATCH" : "GET", .type = "application/merge-patch+json" };
	struct server to;
	char path[300], *body = NULL;
	bool well;

	if (!is_node_name(node))
		return bad("NODE is the name of a Kubernetes node");
	if (!server_load(&to, api)) {
		fprintf(stderr, "kilowg-api: %s: %s\n", api, strerror(errno));
		return EXIT_FAILED;
	}
	if (file && !(body = read_file(file, PATCH_MAX, &r.len))) {
		fprintf(stderr, "kilowg-api: %s: %s\n", file, strerror(errno));
		server_free(&to);
		return EXIT_FAILED;
	}
	snprintf(path, sizeof(path), "/api/v1/nodes/%s%s", node, file ? "" : "?resourceVersion=0");
	r.path = path;
	r.body = body;
	well = request(&to, &r);
	free(body);
	server_free(&to);
	return well ? EXIT_DONE : EXIT_FAILED;
}

/* ---- options ---------------------------------------------------------- */

static bool seconds(const char *text, int64_t *out)
{
	if (!*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
		return false;
	*out = strtoll(text, NULL, 10);
	return *out <= SECONDS_MAX;
}

static int follow_command(int argc, char **argv)
{
	static const struct option known[] = {
		{ "node", required_argument, NULL, 'n' }, { "topology-label", required_argument, NULL, 't' },
		{ "max-age", required_argument, NULL, 'm' }, { "debounce", required_argument, NULL, 'd' },
		{ "wake", no_argument, NULL, 'w' }, { "once", no_argument, NULL, 'o' }, { 0 },
	};
	struct follow_options o = { .label = "topology.kubernetes.io/region", .max_age = 60, .debounce = 1 };
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'n': o.node = optarg; break;
		case 't': o.label = optarg; break;
		case 'w': o.wake = true; break;
		case 'o': o.once = true; break;
		case 'm':
			if (!seconds(optarg, &o.max_age))
				return bad("--max-age is a number of seconds");
			break;
		case 'd':
			o.debounce = strtod(optarg, &end);
			if (end == optarg || *end || !(o.debounce >= 0 && o.debounce <= 3600))
				return bad("--debounce is a number of seconds");
			break;
		default:
			return bad("there is no such option");
		}
	}
	if (optind != argc)
		return bad("follow takes no operand");
	if (!o.node || !is_node_name(o.node))
		return bad("--node is the name of a Kubernetes node");
	umask(077);
	return follow(&o);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	int64_t n;

	if (!strcmp(command, "--help") || !strcmp(command, "-h")) {
		fputs(usage_text, stdout);
		return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
	}
	if (!strcmp(command, "--version") || !strcmp(command, "-V")) {
		puts("kilowg-api " KWG_VERSION);
		return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
	}
	if (!strcmp(command, "follow"))
		return follow_command(argc - 1, argv + 1);
	if (!strcmp(command, "patch"))
		return argc == 5 ? ask(argv[2], argv[3], argv[4]) : bad("patch takes API, a node and a file");
	if (!strcmp(command, "reach"))
		return argc == 4 ? ask(argv[2], argv[3], NULL) : bad("reach takes API and a node");
	if (!strcmp(command, "limit")) {
		if (argc < 4 || !seconds(argv[2], &n) || !n)
			return bad("limit takes seconds and a command");
		return limit((unsigned)n, argv + 3);
	}
	return bad("there is no such command");
}
