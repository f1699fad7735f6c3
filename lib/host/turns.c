/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A line for each peer: its key, the address whose turn it is, since when, in
 * seconds since the start of the host, and the bytes that the peer had received
 * and sent then.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "host/files.h"
#include "host/turns.h"

enum { MAX_FILE = 1 << 20 };

static int file_path(char path[4096], const char *dir, const char *mesh)
{
	return snprintf(path, 4096, "%s/%s.names", dir, mesh) < 4096 ? 0 : -1;
}

void kwgi_turns_forget(const char *dir, const char *mesh)
{
	char path[4096];

	if (!file_path(path, dir, mesh))
		unlink(path);
}

static int parse_line(struct kwgi_turn *t, const char *line)
{
	char key[KWGI_KEY_TEXT], addr[KWGI_ADDR_TEXT];

	*t = (struct kwgi_turn){ .since = 0 };
	if (sscanf(line, "%44s %45s %" SCNd64 " %" SCNu64 " %" SCNu64, key, addr, &t->since,
		   &t->rx_bytes, &t->tx_bytes) != 5 ||
	    kwgi_key_parse(&t->key, key) || kwgi_addr_parse(&t->addr, addr))
		return -1;
	return 0;
}

/* The files have the keys in any order, but there are few names with several addresses. */
static void recall_line(struct kwgi_turn *turns, uint32_t n, const char *line)
{
	struct kwgi_turn t;
	uint32_t i;

	if (parse_line(&t, line))
		return;
	for (i = 0; i < n; i++)
		if (!kwgi_key_cmp(&turns[i].key, &t.key))
			turns[i] = t;
}

void kwgi_turns_recall(const char *dir, const char *mesh, const struct kwg_plan *plan,
		       struct kwgi_turn *turns)
{
	char path[4096], *text, *line, *rest, *copy;
	size_t len;
	uint32_t i;

	for (i = 0; i < plan->n_peers; i++)
		turns[i] = (struct kwgi_turn){ .key = plan->peers[i].key };
	if (file_path(path, dir, mesh) || !kwgi_file_exists(path) ||
	    kwgi_file_read(path, MAX_FILE, &text, &len, NULL))
		return;
	copy = strndup(text, len);
	for (line = copy ? strtok_r(copy, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		recall_line(turns, plan->n_peers, line);
	free(copy);
	free(text);
}

static void format_turns(struct kwgi_buf *b, const struct kwgi_turn *turns, uint32_t n)
{
	char key[KWGI_KEY_TEXT], addr[KWGI_ADDR_TEXT];
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct kwgi_turn *t = &turns[i];

		if (!t->addr.family)
			continue;
		kwgi_key_format(key, &t->key);
		kwgi_buf_printf(b, "%s %s %" PRId64 " %" PRIu64 " %" PRIu64 "\n", key,
				kwgi_addr_format(addr, &t->addr), t->since, t->rx_bytes, t->tx_bytes);
	}
}

void kwgi_turns_save(const char *dir, const char *mesh, const struct kwgi_turn *turns, uint32_t n)
{
	struct kwgi_buf b = { 0 };
	char path[4096], *text;
	size_t len;

	format_turns(&b, turns, n);
	if (b.failed || !b.len) {
		kwgi_buf_free(&b);
		kwgi_turns_forget(dir, mesh);
		return;
	}
	text = kwgi_buf_take(&b, &len);
	if (text && !file_path(path, dir, mesh))
		(void)kwgi_file_replace(path, text, len);
	free(text);
}
