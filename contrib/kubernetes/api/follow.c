/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Follows the nodes and peers of a cluster: one list each at the start and when the server has
 * forgotten where we were, and one watch each from then on. What plans depend on is written into
 * files of the current folder, and whoever reads there is woken, when it changes and not when a
 * node merely checks in.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "http.h"
#include "objects.h"
#include "server.h"
#include "split.h"

/* Milliseconds. */
enum {
	TICK = 1000,
	LIST_WAIT = 30000,	/* for more of a list */
	/* Nodes check in all the time, and bookmarks come about once a minute. */
	WATCH_WAIT = 150000,
	PROXY_WAIT = 60000,	/* for its socket; it may be starved of time */
	CONFIG_WAIT = 30000,	/* for kubectl, until it has read its configuration */
	/* Check-ins of others, which come all the time, are taken together. */
	READ_EVERY = 250,
	CONFIG_MAX = 1 << 20,	/* bytes */
	WATCH_SHORT = 10000,	/* ends of watches after less than that are failures */
	FIRST_RETRY = 1000, LAST_RETRY = 30000,
	WATCH_MIN = 300, WATCH_SPREAD = 300,	/* seconds for which a watch is asked for */
	CLOCK_NEAR = 2,		/* seconds: Date has no more digits, and the answer took its time */
	BODY_MAX = 4096,	/* of an error */
	/* More nodes than this move apart from each other by the debounce time again. */
	NODES_PER_SPREAD = 250,
};

static const char socket_name[] = "api.sock", config_name[] = "config.json", server_name[] = "api.json";

/* How the server is reached. */
enum way {
	WAY_UNKNOWN,		/* kubectl is asked for its configuration */
	WAY_DIRECT,
	WAY_PROXY,		/* by a "kubectl proxy" of our own */
};

enum feed_state {
	FEED_WAITING,		/* until its time has come */
	FEED_LISTING,
	FEED_WATCHING,
};

struct follower;

/* One kind of object. */
struct feed {
	struct follower *f;
	const char *path, *what;
	bool is_node;
	enum feed_state state;
	struct http http;
	struct split split;
	struct store store;
	char version[64];	/* where we are; empty: nowhere */
	bool answered;		/* what the head of the answer tells has been looked at */
	bool listed;		/* the store has, or had, all that there is */
	bool expired;		/* the server said so */
	char trouble[300];	/* what the server said in the stream */
	int64_t next;		/* when to try again */
	int64_t began, last_data;
	unsigned failures;
	char body[BODY_MAX];	/* of an answer that is not 200 */
	size_t body_len;
};

struct follower {
	const struct follow_options *o;
	struct feed feeds[2];
	CURLM *multi;
	enum way way;
	struct server server;	/* unless the way is unknown */
	pid_t kubectl;		/* 0: it does not run */
	int64_t kubectl_since, kubectl_next;
	unsigned kubectl_failures;
	bool busy;		/* something has come in the last turn */
	bool away;
	int64_t lost_at;	/* server time of the last news before that */
	int64_t contact;	/* server time when the server was last heard */
	int64_t offset;		/* server time minus CLOCK_BOOTTIME, seconds */
	bool has_offset;
	int64_t skew_written;
	bool dirty, written;
	int64_t due;
	int64_t next_age;	/* when to look for nodes that have got too old */
	char *self;		/* of the own node, as last written; NULL: not there */
	char *self_waking;
	int wake_fd;
	bool failed_once;
	unsigned slow_told;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* ---- time ------------------------------------------------------------- */

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Does not jump when somebody sets the clock. */
static int64_t now_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

/* Seconds since 1970 as the API server counts them. */
static int64_t server_time(const struct follower *f)
{
	return f->has_offset ? now_ms() / 1000 + f->offset : clock_ms(CLOCK_REALTIME) / 1000;
}

static int64_t skew(const struct follower *f)
{
	int64_t d = server_time(f) - clock_ms(CLOCK_REALTIME) / 1000;

	return d >= -CLOCK_NEAR && d <= CLOCK_NEAR ? 0 : d;
}

static int64_t random_below(int64_t n)
{
	uint32_t r = 0;

	if (n <= 0 || getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		return 0;
	return (int64_t)(r % (uint64_t)n);
}

/* ---- files for the agent ---------------------------------------------- */

static void wake(struct follower *f, const char *why)
{
	ssize_t n;

	if (f->wake_fd < 0)
		return;
	n = write(f->wake_fd, why, strlen(why));
	(void)n;	/* if it is full, the agent has enough to be woken by */
}

/* NAME.new is renamed if all of it could be written. */
static FILE *begin_file(const char *name)
{
	char new[64];
	int fd;

	snprintf(new, sizeof(new), "%s.new", name);
	unlink(new);
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

static bool end_file(FILE *f, const char *name)
{
	char new[64];
	bool well;

	snprintf(new, sizeof(new), "%s.new", name);
	well = f && !ferror(f);
	if (f && fclose(f))
		well = false;
	if (well && !rename(new, name))
		return true;
	fprintf(stderr, "kilowg-agent: %s cannot be written: %s\n", name, strerror(errno));
	return false;
}

static bool write_text(const char *name, const char *text)
{
	FILE *f = begin_file(name);

	if (f)
		fprintf(f, "%s\n", text);
	return end_file(f, name);
}

static bool is_gone(const struct follower *f, const struct object *o)
{
	return f->o->max_age && server_time(f) - o->seen >= f->o->max_age;
}

struct writing {
	struct follower *f;
	FILE *file;
};

static void write_node(void *user, struct object *o)
{
	struct writing *w = user;

	o->gone = is_gone(w->f, o);
	object_write_node(o, w->file);
}

static void write_peer(void *user, struct object *o)
{
	object_write_peer(o, ((struct writing *)user)->file);
}

static void write_skew(struct follower *f)
{
	char text[32];
	int64_t s = skew(f), d = s - f->skew_written;

	/* Seconds that are cut off differently are no news. */
	if (d >= -1 && d <= 1 && (s || !f->skew_written))
		return;
	snprintf(text, sizeof(text), "%lld", (long long)s);
	if (write_text("skew", text))
		f->skew_written = s;
}

static void write_state(struct follower *f)
{
	struct writing w = { f, begin_file("state.json") };

	if (w.file) {
		store_each(&f->feeds[0].store, write_node, &w);
		store_each(&f->feeds[1].store, write_peer, &w);
	}
	f->due = now_ms() + FIRST_RETRY;
	if (!end_file(w.file, "state.json"))
		return;
	f->dirty = false;
	f->written = true;
	wake(f, "changed\n");
}

/* Something that matters has changed. */
static void news(struct follower *f)
{
	int64_t wait = (int64_t)(f->o->debounce * 1000);

	if (f->dirty)
		return;
	f->dirty = true;
	wait += random_below(wait * (1 + (int64_t)f->feeds[0].store.n / NODES_PER_SPREAD) + 1);
	f->due = now_ms() + (f->written && !f->o->once ? wait : 0);
}

/* ---- whether the server is there -------------------------------------- */

/* What has kept a node from checking in may have been the server. */
static void spare(void *user, struct object *o)
{
	struct follower *f = user;

	if (o->seen + f->o->max_age > f->lost_at && o->seen < server_time(f))
		o->seen = server_time(f);
}

static void lose(struct follower *f, const char *why)
{
	char text[300];

	shown(text, sizeof(text), why, strlen(why));
	f->failed_once = true;
	if (f->o->once)
		fprintf(stderr, "kilowg-agent: the cluster cannot be read: %s\n", text);
	if (!f->away)
		f->lost_at = f->contact;
	write_text("away", text);
	if (!f->away)
		wake(f, "away\n");
	f->away = true;
}

static void find_again(struct follower *f)
{
	if (!f->away)
		return;
	f->away = false;
	unlink("away");
	store_each(&f->feeds[0].store, spare, f);
	wake(f, "back\n");
}

/* ---- kubectl ---------------------------------------------------------- */

/* What it prints as OUT_NAME, what it complains of in kubectl.err. */
static void start_kubectl(struct follower *f, const char *const *argv, const char *out_name)
{
	int out, err;

	f->kubectl_since = now_ms();
	f->kubectl = fork();
	if (f->kubectl)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	err = open("kubectl.err", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	out = open(out_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (out >= 0 && err >= 0) {
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
	}
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "kubectl cannot be run: %s\n", strerror(errno));
	_exit(127);
}

static void start_proxy(struct follower *f)
{
	static const char *const argv[] = {
		"kubectl", "proxy", "--unix-socket=api.sock", "--reject-methods=^(POST|PUT|DELETE|CONNECT)$",
		"--accept-paths=^/(api/v1/nodes(/[a-z0-9.-]+)?|apis/kilo\\.squat\\.ai/v1alpha1/peers)$", NULL,
	};

	unlink(socket_name);
	start_kubectl(f, argv, "/dev/null");
}

static void read_config(struct follower *f)
{
	static const char *const argv[] = {
		"kubectl", "config", "view", "--raw", "--minify", "--flatten", "-o", "json", NULL,
	};

	start_kubectl(f, argv, config_name);
}

/* The last line of what it has complained of. */
static void kubectl_trouble(struct follower *f)
{
	char text[2048], *line;
	FILE *in = fopen("kubectl.err", "r");
	size_t n = 0;

	if (in) {
		if (!fseek(in, -(long)sizeof(text) + 1, SEEK_END) || !fseek(in, 0, SEEK_SET))
			n = fread(text, 1, sizeof(text) - 1, in);
		fclose(in);
	}
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	text[n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	lose(f, *line ? line : "kubectl proxy has ended");
}

static int64_t retry_in(unsigned failures)
{
	int64_t wait = FIRST_RETRY;

	while (failures-- > 1 && wait < LAST_RETRY)
		wait *= 2;
	if (wait > LAST_RETRY)
		wait = LAST_RETRY;
	return wait + random_below(wait);
}

static void drop(struct feed *d)
{
	http_close(&d->http);
	split_free(&d->split);
	d->state = FEED_WAITING;
}

/* As kubectl does: its configuration, or else that of a pod. What needs kubectl gets its proxy. */
static void choose_way(struct follower *f)
{
	size_t len = 0;
	char *text = read_file(config_name, CONFIG_MAX, &len);

	unlink(config_name);
	server_free(&f->server);
	f->way = WAY_DIRECT;
	if (!(text && server_from_config(&f->server, text, len)) && !(!len && server_in_cluster(&f->server)))
		f->way = server_by_proxy(&f->server, socket_name) ? WAY_PROXY : WAY_UNKNOWN;
	if (text)
		explicit_bzero(text, len);
	free(text);
	if (f->way != WAY_UNKNOWN && !server_save(&f->server, server_name))
		fprintf(stderr, "kilowg-agent: %s cannot be written: %s\n", server_name, strerror(errno));
}

static void kubectl_ended(struct follower *f)
{
	f->kubectl = 0;
	if (f->way == WAY_UNKNOWN) {
		choose_way(f);
		return;
	}
	f->kubectl_failures = now_ms() - f->kubectl_since > 60000 ? 1 : f->kubectl_failures + 1;
	f->kubectl_next = now_ms() + retry_in(f->kubectl_failures);
	drop(&f->feeds[0]);
	drop(&f->feeds[1]);
	kubectl_trouble(f);
}

static void look_at_kubectl(struct follower *f)
{
	int status;

	if (f->kubectl > 0 && waitpid(f->kubectl, &status, WNOHANG) == f->kubectl)
		kubectl_ended(f);
	else if (f->kubectl > 0 && f->way == WAY_UNKNOWN && now_ms() - f->kubectl_since > CONFIG_WAIT)
		kill(f->kubectl, SIGKILL);
	if (f->kubectl > 0 || f->way == WAY_DIRECT || now_ms() < f->kubectl_next)
		return;
	(f->way == WAY_PROXY ? start_proxy : read_config)(f);
}

/* The login is refused: there may be another one now. */
static void forget_way(struct follower *f, int64_t wait)
{
	f->way = WAY_UNKNOWN;
	f->kubectl_next = now_ms() + wait;
}

static bool can_ask(const struct follower *f)
{
	return f->way == WAY_DIRECT || (f->way == WAY_PROXY && f->kubectl > 0);
}

/* ---- what comes in ---------------------------------------------------- */

/* Others leave it out, and it may not know why. */
static void look_at_clock(struct follower *f, struct object *o, int64_t was)
{
	int64_t late = server_time(f) - o->told_seen;

	if (was == o->told_seen || !was || f->away || o->told_slow || late > 86400 || !f->o->max_age ||
	    (late < f->o->max_age / 2 && late > -30) || f->slow_told >= 100)
		return;
	o->told_slow = true;
	f->slow_told++;
	fprintf(stderr, "kilowg-agent: the clock of node %s is about %lld seconds %s that of the API server%s\n",
		o->name, (long long)(late < 0 ? -late : late), late < 0 ? "ahead of" : "behind",
		late < f->o->max_age ? "" : ", so it is taken for gone");
}

static void look_at_self(struct follower *f, const json_t *node)
{
	char *text = object_self(node, f->o->label, false), *waking = object_self(node, f->o->label, true);

	if (!text || !waking) {
		free(text);
		free(waking);
		return;
	}
	if ((!f->self || strcmp(f->self, text)) && write_text("self.json", text)) {
		free(f->self);
		f->self = text;
		text = NULL;
	}
	if (!f->self_waking || strcmp(f->self_waking, waking)) {
		news(f);
		free(f->self_waking);
		f->self_waking = waking;
		waking = NULL;
	}
	free(text);
	free(waking);
}

static void forget_self(struct follower *f)
{
	unlink("self.json");
	free(f->self);
	free(f->self_waking);
	f->self = f->self_waking = NULL;
	news(f);
}

static bool is_self(const struct feed *d, const char *name)
{
	return d->is_node && !strcmp(name, d->f->o->node);
}

static void put_object(struct feed *d, const json_t *object)
{
	struct follower *f = d->f;
	const char *name = object_name(object);
	enum object_change change;
	struct object *o = NULL;
	int64_t was;

	if (!name)
		return;
	if (d->is_node) {
		was = 0;
		change = store_put_node(&d->store, object, f->o->label, server_time(f), &o, &was);
		if (o && d->state == FEED_WATCHING)
			look_at_clock(f, o, was);
	} else {
		change = store_put_peer(&d->store, object);
	}
	if (change == OBJECT_FAILED)
		fprintf(stderr, "kilowg-agent: %s %s cannot be kept: out of memory\n", d->what, name);
	if (change == OBJECT_NEWS)
		news(f);
	if (is_self(d, name))
		look_at_self(f, object);
}

static void keep_version(struct feed *d, const json_t *of)
{
	const char *v = json_string_value(json_object_get(json_object_get(of, "metadata"), "resourceVersion"));

	/* It becomes part of a path. */
	if (v && *v && strlen(v) < sizeof(d->version) && strspn(v, "0123456789") == strlen(v))
		snprintf(d->version, sizeof(d->version), "%s", v);
}

static void event(struct feed *d, const json_t *j)
{
	const char *type = json_string_value(json_object_get(j, "type"));
	const json_t *object = json_object_get(j, "object");
	const char *text;
	json_int_t code;

	if (!type)
		type = "";
	if (!strcmp(type, "ERROR")) {
		code = json_integer_value(json_object_get(object, "code"));
		text = json_string_value(json_object_get(object, "message"));
		d->expired = code == 410;
		snprintf(d->trouble, sizeof(d->trouble), "%s", text ? text : "the watch has failed");
		return;
	}
	keep_version(d, object);
	d->failures = 0;
	if (!strcmp(type, "ADDED") || !strcmp(type, "MODIFIED")) {
		put_object(d, object);
	} else if (!strcmp(type, "DELETED")) {
		text = object_name(object);
		if (text && store_remove(&d->store, text))
			news(d->f);
		if (text && is_self(d, text))
			forget_self(d->f);
	}
}

static void take_object(void *user, enum split_part part, const char *text, size_t len)
{
	struct feed *d = user;
	json_error_t error;
	json_t *j = json_loadb(text, len, JSON_ALLOW_NUL, &error), *wrapped;

	if (!json_is_object(j)) {
		fprintf(stderr, "kilowg-agent: something among the %ss cannot be read: %.100s\n", d->what, error.text);
	} else if (part == SPLIT_METADATA) {
		wrapped = json_pack("{sO}", "metadata", j);
		keep_version(d, wrapped);
		json_decref(wrapped);
	} else if (d->state == FEED_LISTING) {
		put_object(d, j);
	} else {
		event(d, j);
	}
	json_decref(j);
}

static void take(void *user, const char *text, size_t len)
{
	struct feed *d = user;

	d->last_data = now_ms();
	d->f->busy = true;
	d->f->contact = server_time(d->f);
	if (d->http.status == 200) {
		split_feed(&d->split, text, len, take_object, d);
		return;
	}
	if (len > sizeof(d->body) - d->body_len)
		len = sizeof(d->body) - d->body_len;
	memcpy(d->body + d->body_len, text, len);
	d->body_len += len;
}

/* ---- one feed --------------------------------------------------------- */

static void fail(struct feed *d, const char *why)
{
	int64_t wait;
	char text[512];

	d->failures++;
	wait = retry_in(d->failures);
	if (d->http.retry_after && d->http.retry_after * 1000 > wait)
		wait = (d->http.retry_after > 300 ? 300 : d->http.retry_after) * 1000 + random_below(5000);
	if (d->f->way == WAY_DIRECT && (d->http.status == 401 || d->http.no_trust))
		forget_way(d->f, wait);
	snprintf(text, sizeof(text), "%ss: %s", d->what, why);
	drop(d);
	d->next = now_ms() + wait;
	lose(d->f, text);
}

static void begin_request(struct feed *d)
{
	struct http_request r = { .method = "GET" };
	char path[256];

	if (*d->version)
		snprintf(path, sizeof(path), "%s?watch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%d",
			 d->path, d->version, WATCH_MIN + (int)random_below(WATCH_SPREAD));
	else
		snprintf(path, sizeof(path), "%s?resourceVersion=0", d->path);
	r.path = path;
	if (!http_open(&d->http, d->f->multi, &d->f->server, &r, take, d)) {
		fail(d, "there is no memory for a request");
		return;
	}
	split_init(&d->split, !*d->version);
	d->state = *d->version ? FEED_WATCHING : FEED_LISTING;
	d->store.list += d->state == FEED_LISTING;
	d->began = d->last_data = now_ms();
	d->body_len = 0;
	d->expired = d->answered = false;
	*d->trouble = '\0';
}

static bool all_listed(const struct follower *f)
{
	return f->feeds[0].listed && f->feeds[1].listed;
}

static void end_list(struct feed *d)
{
	bool has_self = false;

	if (d->split.broken || !d->split.ended || !*d->version) {
		*d->version = '\0';
		fail(d, "the list is none");
		return;
	}
	if (d->split.passed_over)
		fprintf(stderr, "kilowg-agent: %ss that were too long were passed over: %u\n", d->what, d->split.passed_over);
	if (store_sweep(&d->store))
		news(d->f);
	if (d->is_node) {
		has_self = store_has(&d->store, d->f->o->node);
		if (!has_self && d->f->self)
			forget_self(d->f);
	}
	if (!d->listed)
		news(d->f);
	d->listed = true;
	drop(d);
	d->next = now_ms();
}

static void end_watch(struct feed *d)
{
	if (d->expired) {
		/* Nothing is lost: the list has it. But a server that says nothing else is one in trouble. */
		*d->version = '\0';
		d->failures++;
		drop(d);
		d->next = now_ms() + (d->failures > 1 ? retry_in(d->failures) : random_below(FIRST_RETRY));
	} else if (*d->trouble) {
		fail(d, d->trouble);
	} else if (d->split.broken) {
		*d->version = '\0';
		fail(d, "what comes is not JSON");
	} else {
		/* It has an end every few minutes, of its own or with the server. */
		d->failures = now_ms() - d->began > WATCH_SHORT ? 0 : d->failures + 1;
		drop(d);
		d->next = now_ms() + (d->failures ? retry_in(d->failures) : random_below(FIRST_RETRY));
	}
}

static void end_request(struct feed *d)
{
	char why[300];

	if (d->http.nobody && d->f->way == WAY_PROXY && now_ms() - d->f->kubectl_since < PROXY_WAIT) {
		/* kubectl needs a moment for its socket. */
		drop(d);
		d->next = now_ms() + 50;
	} else if (!d->http.status) {
		snprintf(why, sizeof(why), "%s", d->http.why);
		fail(d, why);
	} else if (d->http.status == 410 && *d->version) {
		d->expired = true;
		end_watch(d);
	} else if (d->http.status != 200) {
		reason_of(why, sizeof(why), d->http.status, d->body, d->body_len);
		fail(d, why);
	} else if (d->state == FEED_WATCHING) {
		end_watch(d);
	} else if (d->http.state == HTTP_BROKEN) {
		*d->version = '\0';
		fail(d, "the list has broken off");
	} else {
		end_list(d);
	}
}

/* What the head of an answer tells. */
static void answered(struct feed *d)
{
	struct follower *f = d->f;

	if (d->http.date && d->http.status == 200) {
		f->offset = d->http.date - now_ms() / 1000;
		f->has_offset = true;
		write_skew(f);
	}
	if (d->http.status != 200)
		return;
	f->contact = server_time(f);
	if (d->state == FEED_WATCHING && f->feeds[0].state == FEED_WATCHING && f->feeds[1].state == FEED_WATCHING &&
	    f->feeds[0].http.status == 200 && f->feeds[1].http.status == 200)
		find_again(f);
}

static void continue_feed(struct feed *d)
{
	if (d->http.status && !d->answered) {
		d->answered = true;
		answered(d);
	}
	if (d->http.state == HTTP_DONE || d->http.state == HTTP_BROKEN || *d->trouble || d->expired ||
	    d->split.broken)
		end_request(d);
}

static void look_at_feed(struct feed *d)
{
	int64_t quiet = now_ms() - d->last_data;

	if (d->state == FEED_WAITING) {
		if (now_ms() >= d->next && can_ask(d->f))
			begin_request(d);
	} else if (d->state == FEED_LISTING || !d->http.status) {
		if (quiet > LIST_WAIT)
			fail(d, "no answer within 30 seconds");
	} else if (quiet > WATCH_WAIT) {
		/* Perhaps nothing has happened; perhaps nobody is there any more. */
		drop(d);
		d->next = now_ms();
	}
}

/* ---- the whole -------------------------------------------------------- */

static void look_at_age(void *user, struct object *o)
{
	struct follower *f = user;

	if (is_gone(f, o) != o->gone && strcmp(o->name, f->o->node))
		news(f);
}

static int wait_ms(struct follower *f)
{
	int64_t next = now_ms() + TICK, wait;
	size_t i;

	for (i = 0; i < 2; i++)
		if (can_ask(f) && f->feeds[i].state == FEED_WAITING && f->feeds[i].next < next)
			next = f->feeds[i].next;
	if (f->dirty && all_listed(f) && f->due < next)
		next = f->due;
	wait = next - now_ms();
	if (f->way == WAY_UNKNOWN && wait > 50)
		return 50;	/* kubectl is about to answer */
	return wait < 20 ? 20 : (int)wait;
}

/* Nothing is urgent but what is answered at once: the debounce time is longer. */
static void nap(const struct follower *f)
{
	struct timespec t = { 0, READ_EVERY * 1000000L };

	if (f->busy && !f->dirty && f->feeds[0].state == FEED_WATCHING && f->feeds[1].state == FEED_WATCHING)
		nanosleep(&t, NULL);	/* a signal ends it */
}

static void turn(struct follower *f)
{
	size_t i;

	look_at_kubectl(f);
	for (i = 0; i < 2; i++)
		look_at_feed(&f->feeds[i]);
	nap(f);
	f->busy = false;
	http_turn(f->multi, wait_ms(f));
	for (i = 0; i < 2; i++)
		if (f->feeds[i].state != FEED_WAITING)
			continue_feed(&f->feeds[i]);
	if (!all_listed(f))
		return;
	/* Ages are in seconds, and check-ins of others come many times in one. */
	if (f->written && !f->away && now_ms() >= f->next_age) {
		f->next_age = now_ms() + TICK;
		store_each(&f->feeds[0].store, look_at_age, f);
	}
	if (f->dirty && now_ms() >= f->due)
		write_state(f);
	write_skew(f);
}

static bool begin(struct follower *f)
{
	size_t i;

	f->multi = curl_global_init(CURL_GLOBAL_DEFAULT) ? NULL : curl_multi_init();
	if (!f->multi) {
		fprintf(stderr, "kilowg-agent: libcurl does not start\n");
		return false;
	}

	f->feeds[0] = (struct feed){ .path = "/api/v1/nodes", .what = "node", .is_node = true };
	f->feeds[1] = (struct feed){ .path = "/apis/kilo.squat.ai/v1alpha1/peers", .what = "peer" };
	for (i = 0; i < 2; i++)
		f->feeds[i].f = f;
	f->contact = server_time(f);
	f->wake_fd = f->o->wake ? open("wake.pipe", O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;
	unlink("away");
	unlink("self.json");
	unlink("state.json");
	unlink(server_name);
	write_text("skew", "0");
	return true;
}

static void end(struct follower *f)
{
	size_t i;

	if (f->kubectl > 0) {
		kill(f->kubectl, SIGKILL);	/* it has nothing to finish */
		waitpid(f->kubectl, NULL, 0);
	}
	unlink(socket_name);
	unlink(config_name);
	unlink(server_name);
	server_remove_files();
	for (i = 0; i < 2; i++) {
		drop(&f->feeds[i]);
		store_free(&f->feeds[i].store);
	}
	free(f->self);
	free(f->self_waking);
	if (f->wake_fd >= 0)
		close(f->wake_fd);
	server_free(&f->server);
	curl_multi_cleanup(f->multi);
	curl_global_cleanup();
}

int follow(const struct follow_options *o)
{
	struct follower f = { .o = o };
	struct sigaction on_term = { .sa_handler = stop };

	sigaction(SIGTERM, &on_term, NULL);
	sigaction(SIGINT, &on_term, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	end_with_parent(SIGTERM);
	objects_wipe_memory();
	if (!begin(&f))
		return EXIT_FAILED;
	while (!stopped && !(o->once && (f.written || f.failed_once)))
		turn(&f);
	end(&f);
	return o->once && !f.written ? EXIT_FAILED : EXIT_DONE;
}
