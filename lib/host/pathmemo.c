/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A line for each path: address, name and MTU of the device, path MTU, and when
 * the kernel last said so, in seconds since the start of the host.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "host/files.h"
#include "host/pathmemo.h"

enum {
	BELIEVED = 24 * 3600,		/* seconds; a path may become wider, but that is rare */
	MAX_FILE = 1 << 20,
};

static int file_path(char path[4096], const char *dir, const char *mesh)
{
	return snprintf(path, 4096, "%s/%s.paths", dir, mesh) < 4096 ? 0 : -1;
}

static void new_path(char tmp[4096 + 4], const char *path)
{
	snprintf(tmp, 4096 + 4, "%s.new", path);
}

void kwgi_pathmemo_forget(const char *dir, const char *mesh)
{
	char path[4096], tmp[4096 + 4];

	if (file_path(path, dir, mesh))
		return;
	unlink(path);
	new_path(tmp, path);
	unlink(tmp);
}

static struct kwgi_host_path *find(struct kwgi_host *h, const struct kwgi_addr *to)
{
	uint32_t i;

	for (i = 0; i < h->n_paths; i++)
		if (kwgi_addr_equal(&h->paths[i].to, to))
			return &h->paths[i];
	return NULL;
}

/* It counts as long as the datagrams leave through the same device, with the same MTU. */
static void recall_line(struct kwgi_host *h, const char *line)
{
	char to[KWGI_ADDR_TEXT], name[KWGI_IFNAME_MAX + 1];
	const struct kwgi_link *l;
	struct kwgi_host_path *p;
	struct kwgi_addr a;
	uint32_t link_mtu, mtu;
	int64_t at, age;

	if (sscanf(line, "%45s %15s %" SCNu32 " %" SCNu32 " %" SCNd64, to, name, &link_mtu, &mtu,
		   &at) != 5 || kwgi_addr_parse(&a, to))
		return;
	age = kwgi_boot_seconds() - at;
	p = find(h, &a);
	l = p ? kwgi_host_link_by_index(h, p->oif) : NULL;
	if (!l || strcmp(l->name, name) || l->mtu != link_mtu || age < 0 || age > BELIEVED ||
	    p->learnt || !mtu || (p->mtu && p->mtu <= mtu))
		return;
	p->mtu = mtu;
	p->learnt = true;
	p->learnt_at = at;
}

void kwgi_pathmemo_recall(const char *dir, const char *mesh, struct kwgi_host *h)
{
	char path[4096], *text, *line, *rest, *copy;
	uint32_t i;
	size_t len;

	for (i = 0; i < h->n_paths; i++)
		if (h->paths[i].learnt)
			h->paths[i].learnt_at = kwgi_boot_seconds();
	if (file_path(path, dir, mesh) || !kwgi_file_exists(path) ||
	    kwgi_file_read(path, MAX_FILE, &text, &len, NULL))
		return;
	copy = strndup(text, len);
	for (line = copy ? strtok_r(copy, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
		recall_line(h, line);
	free(copy);
	free(text);
}

static void format_paths(struct kwgi_buf *b, const struct kwgi_host *h)
{
	char to[KWGI_ADDR_TEXT];
	uint32_t i;

	for (i = 0; i < h->n_paths; i++) {
		const struct kwgi_host_path *p = &h->paths[i];
		const struct kwgi_link *l = p->learnt ? kwgi_host_link_by_index(h, p->oif) : NULL;

		if (l)
			kwgi_buf_printf(b, "%s %s %" PRIu32 " %" PRIu32 " %" PRId64 "\n",
					kwgi_addr_format(to, &p->to), l->name, l->mtu, p->mtu, p->learnt_at);
	}
}

static bool has_learnt(const struct kwgi_host *h)
{
	uint32_t i;

	for (i = 0; i < h->n_paths; i++)
		if (h->paths[i].learnt)
			return true;
	return false;
}

void kwgi_pathmemo_save(const char *dir, const char *mesh, const struct kwgi_host *h)
{
	struct kwgi_buf b = { 0 };
	char path[4096], *text;
	size_t len;

	if (file_path(path, dir, mesh))
		return;
	if (!has_learnt(h)) {
		kwgi_pathmemo_forget(dir, mesh);
		return;
	}
	format_paths(&b, h);
	text = kwgi_buf_take(&b, &len);
	if (text)
		(void)kwgi_file_replace(path, text, len);
	free(text);
}
