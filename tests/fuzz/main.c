/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Runs a fuzz target over files, and over all files in folders: a corpus, or what a fuzzer found.
 * With configure --enable-fuzzing, libFuzzer takes the place of this. Arguments that begin with -
 * are libFuzzer's, and are not looked at.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static unsigned inputs;

static void die(const char *path)
{
	perror(path);
	exit(EXIT_FAILURE);
}

static void run_file(const char *path, FILE *f)
{
	size_t cap = 4096, len = 0, got;
	uint8_t *data = malloc(cap), *exact;

	while (data && (got = fread(data + len, 1, cap - len, f)) > 0) {
		len += got;
		if (len == cap) {
			cap *= 2;
			data = realloc(data, cap);
		}
	}
	/* Of its exact size, so that sanitizers see what reads behind it. */
	exact = realloc(data, len ? len : 1);
	if (!exact || ferror(f))
		die(path);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	inputs++;
}

static void run_path(const char *path)
{
	char name[4096];
	struct dirent *e;
	DIR *d = opendir(path);
	FILE *f;

	if (!d) {
		f = fopen(path, "rb");
		if (!f)
			die(path);
		run_file(path, f);
		fclose(f);
		return;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		run_path(name);
	}
	closedir(d);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (argv[i][0] != '-')
			run_path(argv[i]);
	}
	fprintf(stderr, "%u inputs\n", inputs);
	return inputs ? EXIT_SUCCESS : EXIT_FAILURE;
}
