/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * How fast is each implementation of the AEAD? GB/s of plaintext on one core, and the ratio to
 * libsodium: medians of rounds in which all implementations take turns.
 *
 * aead [IMPLEMENTATION LENGTH BATCH]: only that one, for a second, for profilers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "dp/aead.h"

enum {
	ROUNDS = 15, ROUND_US = 1500, MAX_BATCH = 64,
	/* Packets of one length between two looks at the clock: as many as fit into the bytes. */
	MIN_POOL = 64, MAX_POOL = 1024, POOL_BYTES = 128 << 10,
};

static const char *const NAMES[] = { "sodium", "openssl", "avx2", "avx512" };
static const uint32_t LENGTHS[] = { 64, 128, 256, 512, 1024, 1420, 16384 };
static const unsigned BATCHES[] = { 1, MAX_BATCH };

enum { N_NAMES = sizeof(NAMES) / sizeof(*NAMES), N_LENGTHS = sizeof(LENGTHS) / sizeof(*LENGTHS) };

static const uint8_t KEY[32] = { 1, 2, 3 };

struct work {
	struct kwgi_aead_packet *v;
	unsigned pool;		/* packets in v */
	unsigned n;		/* packets in a batch; a divisor of pool */
	uint32_t len;
	uint8_t *data;
};

/* Of this thread on a CPU: other work on the machine counts less. */
static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Packets as a data plane has them: 16 bytes of header before, the tag behind. */
static struct work work_new(uint32_t len, unsigned n)
{
	size_t step = (len + 32u + 63) / 64 * 64;
	struct work w = { .len = len, .n = n, .pool = POOL_BYTES / len };
	unsigned i;

	w.pool = w.pool < MIN_POOL ? MIN_POOL : w.pool > MAX_POOL ? MAX_POOL : w.pool;
	w.pool -= w.pool % n;
	w.v = calloc(w.pool, sizeof(*w.v));
	w.data = aligned_alloc(64, w.pool * step);
	if (!w.v || !w.data)
		exit(EXIT_FAILURE);
	memset(w.data, 0, w.pool * step);
	for (i = 0; i < w.pool; i++)
		w.v[i] = (struct kwgi_aead_packet){ .data = w.data + i * step + 16, .len = len };
	return w;
}

static void work_free(struct work *w)
{
	free(w->v);
	free(w->data);
}

/* Microseconds for the whole pool. */
static double seal_pool(const struct kwgi_aead *a, struct work *w)
{
	double start = cpu_us();
	unsigned i;

	for (i = 0; i < w->pool; i++)
		w->v[i].counter += w->pool;
	for (i = 0; i < w->pool; i += w->n)
		a->seal(KEY, w->v + i, w->n);
	return cpu_us() - start;
}

static double open_pool(const struct kwgi_aead *a, struct work *w)
{
	double start = cpu_us();
	unsigned i, good = 0;

	for (i = 0; i < w->pool; i += w->n)
		good += a->open(KEY, w->v + i, w->n);
	if (good != w->pool) {
		fprintf(stderr, "%s: a tag is wrong\n", a->name);
		exit(EXIT_FAILURE);
	}
	return cpu_us() - start;
}

/* Seals and opens for a while: GB/s of both. */
static void one_round(const struct kwgi_aead *a, struct work *w, double us, double *seal, double *open)
{
	double sealing = 0, opening = 0, bytes = 0;

	while (sealing + opening < us) {
		sealing += seal_pool(a, w);
		opening += open_pool(a, w);
		bytes += (double)w->pool * w->len;
	}
	*seal = bytes / sealing / 1e3;
	*open = bytes / opening / 1e3;
}

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), cmp_double);
	return v[ROUNDS / 2];
}

static void print_row(const char *what, const struct work *w, double gbs[N_NAMES][ROUNDS])
{
	double base = 0, m;
	unsigned i;

	printf("%-4s %6u %5u", what, w->len, w->n);
	for (i = 0; i < N_NAMES; i++) {
		m = median(gbs[i]);
		if (!i)
			base = m;
		if (m > 0)
			printf("  %6.2f (%5.2f)", m, m / base);
		else
			printf("  %6s %7s", "-", "");
	}
	printf("\n");
}

static void rows(uint32_t len, unsigned n)
{
	static double seal[N_NAMES][ROUNDS], open[N_NAMES][ROUNDS];
	struct work w = work_new(len, n);
	const struct kwgi_aead *a;
	unsigned i, r;

	for (r = 0; r < ROUNDS; r++) {
		for (i = 0; i < N_NAMES; i++) {
			seal[i][r] = open[i][r] = 0;
			a = kwgi_aead_by_name(NAMES[i]);
			if (a)
				one_round(a, &w, ROUND_US, &seal[i][r], &open[i][r]);
		}
	}
	print_row("seal", &w, seal);
	print_row("open", &w, open);
	work_free(&w);
}

static int one(char **argv)
{
	const struct kwgi_aead *a = kwgi_aead_by_name(argv[1]);
	int len = atoi(argv[2]), n = atoi(argv[3]);
	double seal, open;
	struct work w;

	if (!a || len < 1 || n < 1 || n > MAX_BATCH) {
		fprintf(stderr, "no such implementation here, or no such length or batch\n");
		return EXIT_FAILURE;
	}
	w = work_new((uint32_t)len, (unsigned)n);
	one_round(a, &w, 1e6, &seal, &open);
	printf("seal %.2f GB/s, open %.2f GB/s\n", seal, open);
	work_free(&w);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	unsigned b, i;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	if (argc == 4)
		return one(argv);
	printf("GB/s (times libsodium), median of %d rounds\n%-4s %6s %5s", ROUNDS, "", "bytes", "batch");
	for (i = 0; i < N_NAMES; i++)
		printf("  %14s", NAMES[i]);
	printf("\n");
	for (b = 0; b < 2; b++) {
		for (i = 0; i < N_LENGTHS; i++)
			rows(LENGTHS[i], BATCHES[b]);
	}
	return EXIT_SUCCESS;
}
