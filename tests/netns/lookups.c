/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * lookups SECONDS TIMES NAME...: looks names up as apply does, and prints for
 * each how it went. Then waits until the threads of it have ended, so that what
 * they leave behind shows: to a leak checker, and in the number of threads.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/files.h"
#include "host/resolve.h"

static unsigned count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void print(const struct kwgi_lookup *l)
{
	char text[KWGI_ADDR_TEXT];
	uint32_t i;

	printf("%s:", l->host);
	if (!l->n)
		printf(" %s", l->why);
	for (i = 0; i < l->n; i++)
		printf(" %s%s", l->answers[i].reachable ? "" : "!",
		       kwgi_addr_format(text, &l->answers[i].addr));
	putchar('\n');
}

static int look_up(unsigned seconds, char **names, uint32_t n)
{
	struct kwgi_lookup *v = calloc(n, sizeof(*v));
	struct kwg_error err = { 0 };
	uint32_t i;
	int ret;

	if (!v)
		return -1;
	for (i = 0; i < n; i++)
		v[i].host = names[i];
	ret = kwgi_resolve(v, n, seconds * 1000, 0, NULL, &err);
	for (i = 0; i < n && !ret; i++)
		print(&v[i]);
	kwgi_resolve_free(v, n);
	free(v);
	return ret;
}

int main(int argc, char **argv)
{
	int64_t start, end;
	unsigned times, most;

	if (argc < 4)
		return EXIT_FAILURE;
	start = kwgi_monotonic_ms();
	for (times = (unsigned)atoi(argv[2]); times; times--)
		if (look_up((unsigned)atoi(argv[1]), argv + 3, (uint32_t)argc - 3))
			return EXIT_FAILURE;
	end = kwgi_monotonic_ms();
	most = count_threads();
	while (count_threads() > 1 && kwgi_monotonic_ms() < end + 30000)
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	fprintf(stderr, "took %lld ms; threads: %u, after %lld ms %u\n", (long long)(end - start),
		most, (long long)(kwgi_monotonic_ms() - end), count_threads());
	return count_threads() == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
