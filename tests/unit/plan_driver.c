/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * plan_driver FILE NODE: the plan of a node through the public interface, for
 * tests/properties.t.sh, which builds it in several ways. It reads the file
 * itself, so that it needs nothing of lib/host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/files.h"
#include "kilowg.h"

/* What lib/kilowg.c wants of lib/host/files.c and this program does not use. */
int kwgi_file_read(const char *path, size_t max, char **out, size_t *len, struct kwg_error *err)
{
	(void)path, (void)max, (void)out, (void)len, (void)err;
	abort();
}

int kwgi_file_read_key(const char *path, struct kwgi_key *key, bool *too_open, struct kwg_error *err)
{
	(void)path, (void)key, (void)too_open, (void)err;
	abort();
}

/* Where a file is does not count for a plan. */
void kwgi_file_origins(const char *path, char out[KWGI_ORIGINS][KWGI_ORIGIN_TEXT])
{
	(void)path;
	memset(out, 0, KWGI_ORIGINS * sizeof(*out));
}

bool kwgi_file_is_dir(const char *path)
{
	(void)path;
	abort();
}

int kwgi_dir_list_ini(const char *dir, char ***names, size_t *n, struct kwg_error *err)
{
	(void)dir, (void)names, (void)n, (void)err;
	abort();
}

void kwgi_dir_list_free(char **names, size_t n)
{
	(void)names, (void)n;
	abort();
}

int kwgi_file_random(void *p, size_t len)
{
	(void)p, (void)len;
	abort();
}

static char *read_file(const char *path, size_t *len)
{
	enum { MAX = 16 << 20 };
	char *text = malloc(MAX);
	FILE *f = fopen(path, "rb");

	if (!text || !f) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	*len = fread(text, 1, MAX, f);
	fclose(f);
	return text;
}

static int fail(const struct kwg_error *err)
{
	fprintf(stderr, "%s\n", err->text);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct kwg_config *cfg = kwg_config_new();
	struct kwg_error err = { 0 };
	struct kwg_plan *plan;
	char *text, *out;
	size_t len;

	if (argc != 3 || !cfg)
		return EXIT_FAILURE;
	text = read_file(argv[1], &len);
	if (kwg_config_add_text(cfg, argv[1], text, len, &err) || kwg_config_finish(cfg, &err) ||
	    kwg_plan_new(&plan, cfg, argv[2], &err) || kwg_plan_text(plan, &out, NULL, &err))
		return fail(&err);
	fputs(out, stdout);
	kwg_text_free(out);
	kwg_plan_free(plan);
	kwg_config_free(cfg);
	free(text);
	return EXIT_SUCCESS;
}
