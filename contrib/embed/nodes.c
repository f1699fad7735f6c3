/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What embedding libkilowg looks like: reads the files named on the command
 * line, shows every remark, and prints the digest of one node's plan.
 *
 *     cc nodes.c $(pkg-config --static --cflags --libs kilowg) -o nodes
 *     ./nodes NODE FILE...
 */
#include <stdio.h>

#include <kilowg.h>

static void print_remarks(const struct kwg_config *cfg)
{
	size_t i;

	for (i = 0; i < kwg_config_diag_count(cfg); i++) {
		const struct kwg_diag *d = kwg_config_diag(cfg, i);

		fprintf(stderr, "%s:%u: %s\n", d->file, d->line, d->text);
	}
}

static int print_digest(const struct kwg_config *cfg, const char *node, struct kwg_error *err)
{
	char digest[KWG_DIGEST_TEXT];
	struct kwg_plan *plan;
	int ret = kwg_plan_new(&plan, cfg, node, err);

	if (ret)
		return ret;
	ret = kwg_plan_digest(plan, digest, err);
	if (!ret)
		printf("%s %s\n", node, digest);
	kwg_plan_free(plan);
	return ret;
}

int main(int argc, char **argv)
{
	struct kwg_config *cfg = kwg_config_new();
	struct kwg_error err = { 0 };
	int i, ret = 0;

	if (!cfg || argc < 3) {
		fprintf(stderr, "usage: nodes NODE FILE...\n");
		kwg_config_free(cfg);
		return 1;
	}
	for (i = 2; i < argc && !ret; i++)
		ret = kwg_config_add_path(cfg, argv[i], &err);
	if (!ret)
		ret = kwg_config_finish(cfg, &err);
	print_remarks(cfg);
	if (!ret)
		ret = print_digest(cfg, argv[1], &err);
	if (ret)
		fprintf(stderr, "%s\n", err.text);
	kwg_config_free(cfg);
	return ret ? 1 : 0;
}
