/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * How long does it take from text to plan, and how much memory? For meshes of
 * 100 to 50,000 nodes, with one leader per location and with one per node.
 * Every size runs in a process of its own, so that the peak is its own.
 *
 * plan [NODES [location|full]]: only that one, once, for profilers.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kilowg.h"

enum {
	LOCATIONS = 50,
	MIN_RUNS = 5, MAX_RUNS = 20,
	ENOUGH_MS = 500,	/* of runs of one size */
	/* What has to be reached, see below. */
	TARGET_NODES = 10000, TARGET_MS = 100, TARGET_MIB = 64,
	BASE_NODES = 1000, LAST_NODES = 50000,
};

static const double SLACK = 1.2;

struct result {
	double ms;		/* the best run */
	double mib;		/* peak of the process, text included */
	double text_mib;
	double start_mib;	/* before there was a text */
	unsigned runs;
	char digest[KWG_DIGEST_TEXT];
};

/* ---- the mesh -------------------------------------------------------- */

struct text {
	char *p;
	size_t len, cap;
};

__attribute__((format(printf, 2, 3)))
static void put(struct text *t, const char *fmt, ...);

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->cap - t->len < 1024) {
		fprintf(stderr, "the text is longer than expected\n");
		exit(EXIT_FAILURE);
	}
	va_start(ap, fmt);
	t->len += (size_t)vsnprintf(t->p + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
}

/* A key in base64 that is different for each n. */
static const char *key(unsigned n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static char text[KWG_KEY_TEXT];
	uint64_t x = (n + 1) * 11400714819323198485u;
	int i;

	/* Mixed, so that keys do not come sorted. */
	for (i = 0; i < 42; i++) {
		text[i] = digits[x >> 58];
		x = (x ^ x >> 27) * 11400714819323198485u + n + 1;
	}
	text[42] = 'E';
	text[43] = '=';
	return text;
}

/* The nodes of a file stand in no order that means something: this is one to one. */
static unsigned shuffled(unsigned i, unsigned n)
{
	return (unsigned)((uint64_t)i * 7919 % n);	/* a prime that divides no n in use */
}

static void put_node(struct text *t, unsigned i)
{
	unsigned location = i % LOCATIONS;

	put(t, "[node]\nname = node-%05u.location-%02u.example.org\nlocation = location-%02u\n", i, location,
	    location);
	put(t, "public-key = %s\n", key(i));
	put(t, "endpoint = %u.%u.%u.%u:51820\n", 203 + (i >> 16), i >> 8 & 255, i & 255, location + 1);
	put(t, "internal-ip = 192.%u.%u.%u/14\n", 168 + (i >> 16), i >> 8 & 255, i & 255);
	/* 10.64.0.0/10 in pieces of 64 addresses */
	put(t, "pod-cidr = 10.%u.%u.%u/26\n", 64 + (i >> 10), i >> 2 & 255, (i & 3) * 64);
	if (i % 10 == 0)
		put(t, "persistent-keepalive = 25\ndiscovered-endpoint = %s 198.51.100.7:%u\n", key(i + 10),
		    1024 + i);
	if (i % 50 == 3)
		put(t, "allowed-location-ip = 172.%u.%u.0/24\n", 16 + (i / 50 >> 8), i / 50 & 255);
}

static void put_peer(struct text *t, unsigned i)
{
	put(t, "[peer]\nname = peer-%u\npublic-key = %s\nallowed-ip = 100.64.%u.%u/32\n", i, key(1000000 + i),
	    i >> 8, i & 255);
	if (i % 2)
		put(t, "endpoint = peer-%u.example.org:51820\n", i);
}

/* A peer for every hundred nodes. */
static struct text make_text(unsigned nodes, bool full)
{
	struct text t = { .cap = nodes * 420 + 100000 };
	unsigned i;

	t.p = malloc(t.cap);
	if (!t.p)
		exit(EXIT_FAILURE);
	put(&t, "[mesh]\nformat = 1\ngranularity = %s\nsubnet = 11.0.0.0/8\nservice-cidr = 10.0.0.0/16\n",
	    full ? "full" : "location");
	for (i = 0; i < nodes; i++)
		put_node(&t, shuffled(i, nodes));
	for (i = 0; i < nodes / 100; i++)
		put_peer(&t, i);
	return t;
}

/* ---- measuring ------------------------------------------------------- */

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double peak_mib(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)r.ru_maxrss / 1024;
}

_Noreturn static void die(const struct kwg_error *err)
{
	fprintf(stderr, "%s\n", err->text);
	exit(EXIT_FAILURE);
}

/* Text to digest of the plan of the first node, which leads its location. */
static double one_run(const struct text *t, char digest[KWG_DIGEST_TEXT])
{
	double start = now_ms();
	struct kwg_error err = { 0 };
	struct kwg_config *cfg = kwg_config_new();
	struct kwg_plan *plan;

	if (!cfg || kwg_config_add_text(cfg, "bench.ini", t->p, t->len, &err) ||
	    kwg_config_finish(cfg, &err) ||
	    kwg_plan_new(&plan, cfg, "node-00000.location-00.example.org", &err) ||
	    kwg_plan_digest(plan, digest, &err))
		die(&err);
	start = now_ms() - start;
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	return start;
}

static struct result measure(unsigned nodes, bool full, unsigned max_runs)
{
	struct result r = { .start_mib = peak_mib() };
	struct text t = make_text(nodes, full);
	double ms, total = 0;

	r.text_mib = (double)t.len / 1048576;
	while (r.runs < max_runs && (r.runs < MIN_RUNS || total < ENOUGH_MS)) {
		ms = one_run(&t, r.digest);
		total += ms;
		if (!r.runs || ms < r.ms)
			r.ms = ms;
		if (!r.runs)
			r.mib = peak_mib();
		r.runs++;
	}
	free(t.p);
	return r;
}

/* In a process of its own; false if that failed. */
static bool measure_apart(struct result *r, unsigned nodes, bool full)
{
	int fds[2], status;
	bool ok;
	pid_t pid;

	if (pipe(fds))
		return false;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		*r = measure(nodes, full, MAX_RUNS);
		_exit(write(fds[1], r, sizeof(*r)) == (ssize_t)sizeof(*r) ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	close(fds[1]);
	ok = pid > 0 && read(fds[0], r, sizeof(*r)) == (ssize_t)sizeof(*r);
	close(fds[0]);
	return pid > 0 && waitpid(pid, &status, 0) == pid && ok;
}

/* ---- the table ------------------------------------------------------- */

/* Without libm: the digits of the binary logarithm one by one. */
static double n_log_n(unsigned n)
{
	double x = n, log = 0, digit = 1;

	for (; x >= 2; x /= 2)
		log++;
	while (digit > 1e-9) {
		digit /= 2;
		x *= x;
		if (x >= 2) {
			x /= 2;
			log += digit;
		}
	}
	return n * log;
}

static void verdict(bool met, const char *what)
{
	printf("%s  %s\n", met ? "met    " : "NOT MET", what);
}

static void judge(const struct result *target, const struct result *base, const struct result *last,
		  const char *granularity)
{
	double growth = last->ms / base->ms * n_log_n(BASE_NODES) / n_log_n(LAST_NODES);
	char text[128];

	if (!strcmp(granularity, "location")) {
		snprintf(text, sizeof(text), "%d nodes in %d locations under %d ms: %.1f ms", TARGET_NODES,
			 LOCATIONS, TARGET_MS, target->ms);
		verdict(target->ms < TARGET_MS, text);
		snprintf(text, sizeof(text), "%d nodes in %d locations under %d MiB: %.1f MiB", TARGET_NODES,
			 LOCATIONS, TARGET_MIB, target->mib);
		verdict(target->mib < TARGET_MIB, text);
	}
	snprintf(text, sizeof(text), "%s: grows as n log n from %d to %d, times %.1f at most: %.2f",
		 granularity, BASE_NODES, LAST_NODES, SLACK, growth);
	verdict(growth < SLACK, text);
}

static int table(void)
{
	static const unsigned sizes[] = { 100, BASE_NODES, TARGET_NODES, LAST_NODES };
	static const char *const names[] = { "location", "full" };
	struct result r[2][4];
	size_t g, i;

	printf("%-11s %6s %10s %10s %10s %10s %11s %5s\n", "granularity", "nodes", "ms", "ns/node",
	       "peak MiB", "text MiB", "n log n = 1", "runs");
	for (g = 0; g < 2; g++) {
		for (i = 0; i < 4; i++) {
			if (!measure_apart(&r[g][i], sizes[i], g))
				return EXIT_FAILURE;
		}
		for (i = 0; i < 4; i++)
			printf("%-11s %6u %10.2f %10.0f %10.1f %10.1f %11.2f %5u\n", names[g], sizes[i],
			       r[g][i].ms, r[g][i].ms * 1e6 / sizes[i], r[g][i].mib, r[g][i].text_mib,
			       r[g][i].ms / r[g][1].ms * n_log_n(BASE_NODES) / n_log_n(sizes[i]),
			       r[g][i].runs);
	}
	printf("\n(the process has %.1f MiB before it has a text)\n", r[0][0].start_mib);
	for (g = 0; g < 2; g++)
		judge(&r[g][2], &r[g][1], &r[g][3], names[g]);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct result r;

	if (argc < 2)
		return table();
	r = measure((unsigned)atoi(argv[1]), argc > 2 && !strcmp(argv[2], "full"), 1);
	printf("%.2f ms, %.1f MiB, %s\n", r.ms, r.mib, r.digest);
	return EXIT_SUCCESS;
}
