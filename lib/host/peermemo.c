/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A line for each peer: public key, last handshake, bytes received and sent, when that was seen
 * first, and when it was seen first that more had been sent.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/files.h"
#include "host/peermemo.h"

enum { MAX_FILE = 8 << 20 };

static int file_path(char path[4096], const char *dir, const char *mesh)
{
	return snprintf(path, 4096, "%s/%s.peers", dir, mesh) < 4096 ? 0 : -1;
}

static int by_key(const void *key, const void *peer)
{
	return kwgi_key_cmp(key, &((const struct kwgi_desired_peer *)peer)->peer.key);
}

static void recall_line(const struct kwgi_desired *w, struct kwgi_answer_memo *memos,
			const char *line)
{
	const struct kwgi_desired_peer *p;
	struct kwgi_answer_memo m;
	char key[KWGI_KEY_TEXT];

	if (sscanf(line, "%44s %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64, key,
		   &m.handshake, &m.rx, &m.tx, &m.at, &m.sent_at) != 6 || kwgi_key_parse(&m.key, key))
		return;
	p = w->n_peers ? bsearch(&m.key, w->peers, w->n_peers, sizeof(*w->peers), by_key) : NULL;
	if (p)
		memos[p - w->peers] = m;
}

void kwgi_peermemo_recall(const char *dir, const char *mesh, const struct kwgi_desired *w,
			  struct kwgi_answer_memo *memos)
{
	char path[4096], *text, *copy, *line, *rest;
	size_t len;

	if (file_path(path, dir, mesh) || !kwgi_file_exists(path) ||
	    kwgi_file_read(path, MAX_FILE, &text, &len, NULL))
		return;
	copy = strndup(text, len);
	for (line = copy ? strtok_r(copy, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		recall_line(w, memos, line);
	free(copy);
	free(text);
}

void kwgi_peermemo_save(const char *dir, const char *mesh, const struct kwgi_answer_memo *memos,
			uint32_t n)
{
	struct kwgi_buf b = { 0 };
	char path[4096];
	uint32_t i;

	if (file_path(path, dir, mesh))
		return;
	for (i = 0; i < n; i++) {
		const struct kwgi_answer_memo *m = &memos[i];

		if (!m->at)
			continue;
		kwgi_buf_key(&b, &m->key);
		kwgi_buf_printf(&b, " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n",
				m->handshake, m->rx, m->tx, m->at, m->sent_at);
	}
	if (b.len && !b.failed)
		(void)kwgi_file_replace(path, b.p, b.len);
	kwgi_buf_free(&b);
}

void kwgi_peermemo_forget(const char *dir, const char *mesh)
{
	char path[4096];

	if (!file_path(path, dir, mesh))
		unlink(path);
}
