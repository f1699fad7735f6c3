/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * One word and its value a line:
 *
 *	kilowg-journal 1
 *	boot 6f3c...		/proc/sys/kernel/random/boot_id
 *	origin 0123456789abcdef
 *	protocol 107
 *	making kwgnew12345678
 *	chains kilo0
 *	base ip6 mangle FORWARD
 *	address 10.4.0.1/16
 *	valid-mark set
 *	nodes 12
 *	node berlin-1
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "host/files.h"
#include "host/journal.h"
#include "steps/iptables.h"
#include "steps/mark.h"
#include "sys/errtext.h"

enum { TEXT_MAX = 16 * 1024 };

static const char header[] = "kilowg-journal 1\n", suffix[] = ".journal";

static int file_path(char path[4096], const char *dir, const char *mesh)
{
	return snprintf(path, 4096, "%s/%s%s", dir, mesh, suffix) < 4096 ? 0 : -1;
}

/*
 * What it is written to first. By the origin, if there is one, which stays when the mesh gets
 * another name: so a crash leaves one file at most, and whoever comes next removes it.
 */
static int new_path(char path[4096], const char *dir, const struct kwgi_mesh *mesh)
{
	return snprintf(path, 4096, "%s/%s%s.new", dir, *mesh->origins[0] ? mesh->origins[0] : mesh->name,
			suffix) < 4096 ? 0 : -1;
}

/* ---- reading --------------------------------------------------------- */

static void add_to(char v[][KWGI_IFNAME_MAX + 1], uint32_t *n, uint32_t max, const char *name)
{
	uint32_t i;

	if (!*name || strlen(name) > KWGI_IFNAME_MAX)
		return;
	for (i = 0; i < *n; i++)
		if (!strcmp(v[i], name))
			return;
	if (*n < max)
		memcpy(v[(*n)++], name, strlen(name) + 1);
}

static void add_making(struct kwgi_journal *j, const char *name)
{
	add_to(j->making, &j->n_making, KWGI_MAKING_MAX, name);
}

static void add_chains(struct kwgi_journal *j, const char *ifname)
{
	add_to(j->chains, &j->n_chains, KWGI_CHAINS_MAX, ifname);
}

static void add_set(struct kwgi_journal *j, const struct kwgi_prefix *p)
{
	uint32_t i;

	for (i = 0; i < j->n_set; i++)
		if (kwgi_prefix_equal(&j->set[i], p))
			return;
	if (j->n_set < KWGI_SET_MAX)
		j->set[j->n_set++] = *p;
}

static void add_origin(struct kwgi_journal *j, const char *origin)
{
	uint32_t i;

	for (i = 0; i < KWGI_ORIGINS && strlen(origin) < KWGI_ORIGIN_TEXT; i++)
		if (!*j->origins[i]) {
			memcpy(j->origins[i], origin, strlen(origin) + 1);
			return;
		}
}

enum { BASE_TEXT = 32 };

static const char *base_text(char text[BASE_TEXT], bool v6, int n)
{
	const char *chain;
	int table = kwgi_ipt_base_table(n, &chain);

	snprintf(text, BASE_TEXT, "%s %s %s", v6 ? "ip6" : "ip", kwgi_ipt_table_name(table), chain);
	return text;
}

static void read_base(struct kwgi_journal *j, const char *value)
{
	char text[BASE_TEXT];
	int i, n;

	for (i = 0; i < 2; i++)
		for (n = 0; n < KWGI_IPT_BASES; n++)
			if (!strcmp(value, base_text(text, i, n)))
				j->bases[i] |= (uint16_t)(1 << n);
}

static void set_node(struct kwgi_journal *j, const char *name)
{
	if (strlen(name) < sizeof(j->node))
		memcpy(j->node, name, strlen(name) + 1);
}

static bool read_line(struct kwgi_journal *j, const char *word, const char *value, const char *boot)
{
	struct kwgi_prefix prefix;
	unsigned long number;

	if (!strcmp(word, "boot"))
		return !strcmp(value, boot);
	if (!strcmp(word, "origin"))
		add_origin(j, value);
	if (!strcmp(word, "making"))
		add_making(j, value);
	if (!strcmp(word, "chains"))
		add_chains(j, value);
	if (!strcmp(word, "base"))
		read_base(j, value);
	if (!strcmp(word, "valid-mark"))
		j->valid_mark = true;
	if (!strcmp(word, "address") && !kwgi_prefix_parse(&prefix, value))
		add_set(j, &prefix);
	if (!strcmp(word, "node"))
		set_node(j, value);
	if (!strcmp(word, "nodes")) {
		number = strtoul(value, NULL, 10);
		j->nodes = number < UINT32_MAX ? (uint32_t)number : 0;
	}
	if (!strcmp(word, "protocol")) {
		number = strtoul(value, NULL, 10);
		if (number && number < 256)
			j->protocols[number] = true;
	}
	return true;
}

/* False if it is of another start of the host. */
static bool parse(struct kwgi_journal *j, char *text, const char *boot)
{
	char *line, *value, *rest = text + sizeof(header) - 1;

	while ((line = strtok_r(rest, "\n", &rest))) {
		value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = '\0';
		if (!read_line(j, line, value, boot))
			return false;
	}
	return true;
}

/*
 * What is there and cannot be read may name what nobody else knows to be ours: then nothing is done.
 * Who may not read it is not root, and changes nothing anyway.
 */
static int fail_reading(struct kwg_error *err, const char *path, int e)
{
	if (e == ENOENT || e == ELOOP || e == EACCES)
		return 0;
	return kwgi_fail(err, KWG_ERR_IO, e, "%.300s: reading: %s", path, kwgi_errtext(e));
}

static int read_text(const char *path, char text[TEXT_MAX], ssize_t *n, struct kwg_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), ret = 0;

	*n = 0;
	if (fd < 0)
		return fail_reading(err, path, errno);
	if (kwgi_file_is_trusted(fd))
		*n = read(fd, text, TEXT_MAX - 1);
	if (*n < 0)
		ret = fail_reading(err, path, errno);
	close(fd);
	return ret;
}

static int read_one(struct kwgi_journal *j, const char *dir, const char *mesh, struct kwg_error *err)
{
	char path[4096], text[TEXT_MAX], boot[KWGI_BOOT_ID_MAX];
	ssize_t n;
	int ret, no_boot;

	memset(j, 0, sizeof(*j));
	if (file_path(path, dir, mesh))
		return 0;
	ret = read_text(path, text, &n, err);
	if (ret || n < (ssize_t)sizeof(header) - 1 || memcmp(text, header, sizeof(header) - 1))
		return ret;
	no_boot = kwgi_boot_id(boot);
	if (no_boot)
		return fail_reading(err, path, no_boot);
	text[n] = '\0';
	j->exists = parse(j, text, boot);
	if (!j->exists)
		memset(j, 0, sizeof(*j));
	return 0;
}

static void merge(struct kwgi_journal *to, const struct kwgi_journal *from)
{
	uint32_t i;

	to->exists |= from->exists;
	to->valid_mark |= from->valid_mark;
	if (!*to->node)
		set_node(to, from->node);
	if (to->nodes < from->nodes)
		to->nodes = from->nodes;
	for (i = 0; i < 256; i++)
		to->protocols[i] |= from->protocols[i];
	for (i = 0; i < from->n_making; i++)
		add_making(to, from->making[i]);
	for (i = 0; i < from->n_chains; i++)
		add_chains(to, from->chains[i]);
	for (i = 0; i < 2; i++)
		to->bases[i] |= from->bases[i];
	for (i = 0; i < from->n_set; i++)
		add_set(to, &from->set[i]);
}

/* ---- former names ---------------------------------------------------- */

struct names {
	const char **v;
	uint32_t n, cap;
};

/* The length of a mesh's name in that of a file, NAME.journal; 0: it is none. */
static size_t mesh_len(const char *file)
{
	size_t len = strlen(file), end = sizeof(suffix) - 1;

	return len <= end || strcmp(file + len - end, suffix) ? 0 : len - end;
}

static bool same_origin(const struct kwgi_journal *j, const struct kwgi_mesh *mesh)
{
	uint32_t i, k;

	for (i = 0; i < KWGI_ORIGINS; i++)
		for (k = 0; k < KWGI_ORIGINS; k++)
			if (*j->origins[i] && !strcmp(j->origins[i], mesh->origins[k]))
				return true;
	return false;
}

static int look_at(struct kwgi_host *h, const char *dir, const char *file,
		   const struct kwgi_mesh *mesh, struct names *names, struct kwg_error *err)
{
	size_t len = mesh_len(file);
	char *name = len ? kwgi_arena_strndup(&h->arena, file, len) : NULL;
	struct kwgi_journal j;
	int ret;

	if (!name)
		return len ? kwgi_nomem(err) : 0;
	if (!strcmp(name, mesh->name))
		return 0;
	ret = read_one(&j, dir, name, err);
	if (ret || !j.exists || !same_origin(&j, mesh))
		return ret;
	if (kwgi_arena_grow(&h->arena, &names->v, names->n, &names->cap, sizeof(*names->v)))
		return kwgi_nomem(err);
	names->v[names->n++] = name;
	merge(&h->journal, &j);
	return 0;
}

static int find_former(struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh,
		       struct kwg_error *err)
{
	struct names names = { 0 };
	const struct dirent *d;
	DIR *stream;
	int ret = 0;

	if (!*mesh->origins[0])
		return 0;
	stream = opendir(dir);
	if (!stream)
		return fail_reading(err, dir, errno);
	while (!ret && (d = readdir(stream)))
		ret = look_at(h, dir, d->d_name, mesh, &names, err);
	closedir(stream);
	h->owner.former = names.v;
	h->owner.n_former = names.n;
	return ret;
}

void kwgi_journal_list(const char *dir, void (*found)(void *arg, const char *mesh, size_t len),
		       void *arg)
{
	DIR *stream = opendir(dir);
	const struct dirent *d;

	if (!stream)
		return;
	while ((d = readdir(stream)))
		if (mesh_len(d->d_name))
			found(arg, d->d_name, mesh_len(d->d_name));
	closedir(stream);
}

int kwgi_journal_read(struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh,
		      struct kwg_error *err)
{
	int ret;

	h->owner = (struct kwgi_owner){ .mesh = mesh->name };
	ret = read_one(&h->own_journal, dir, mesh->name, err);
	if (ret)
		return ret;
	h->journal = h->own_journal;
	ret = find_former(h, dir, mesh, err);
	if (!ret && h->owner.n_former && *h->journal.origins[0] &&
	    !same_origin(&h->journal, mesh))
		return kwgi_fail(err, KWG_ERR_CONFIG, 0,
				 "the mesh \"%s\" of this file was to be called \"%s\", but a mesh of this name from another file is here; give it another name, or first remove the other one: kilowg down --mesh %s",
				 h->owner.former[0], mesh->name, mesh->name);
	return ret;
}

/* ---- writing --------------------------------------------------------- */

static void format(struct kwgi_buf *b, const struct kwgi_journal *j, const char *boot)
{
	char text[BASE_TEXT], address[KWGI_PREFIX_TEXT];
	uint32_t i;
	int n;

	kwgi_buf_printf(b, "%sboot %s\n", header, boot);
	for (i = 0; i < KWGI_ORIGINS; i++)
		if (*j->origins[i])
			kwgi_buf_printf(b, "origin %s\n", j->origins[i]);
	for (i = 0; i < 256; i++)
		if (j->protocols[i])
			kwgi_buf_printf(b, "protocol %u\n", i);
	for (i = 0; i < j->n_making; i++)
		kwgi_buf_printf(b, "making %s\n", j->making[i]);
	for (i = 0; i < j->n_chains; i++)
		kwgi_buf_printf(b, "chains %s\n", j->chains[i]);
	for (i = 0; i < 2; i++)
		for (n = 0; n < KWGI_IPT_BASES; n++)
			if (j->bases[i] & 1 << n)
				kwgi_buf_printf(b, "base %s\n", base_text(text, i, n));
	for (i = 0; i < j->n_set; i++)
		kwgi_buf_printf(b, "address %s\n", kwgi_prefix_format(address, &j->set[i]));
	if (j->valid_mark)
		kwgi_buf_puts(b, "valid-mark set\n");
	if (j->nodes)
		kwgi_buf_printf(b, "nodes %u\n", j->nodes);
	if (*j->node)
		kwgi_buf_printf(b, "node %s\n", j->node);
}

static bool is_there(const char *path, const struct kwgi_buf *b)
{
	char text[TEXT_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	return n >= 0 && (size_t)n == b->len && !memcmp(text, b->p, b->len);
}

static int write_text(const char *tmp, const char *path, const struct kwgi_buf *b)
{
	int fd, e = 0;

	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	if (write(fd, b->p, b->len) != (ssize_t)b->len)
		e = errno ? errno : ENOSPC;
	if (close(fd) && !e)
		e = errno;
	if (!e && rename(tmp, path))
		e = errno;
	if (e)
		unlink(tmp);
	return e;
}

static int save(const char *dir, const struct kwgi_mesh *mesh, const struct kwgi_journal *j,
		struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	char path[4096], tmp[4096], boot[KWGI_BOOT_ID_MAX];
	int e = kwgi_boot_id(boot);

	if (file_path(path, dir, mesh->name) || new_path(tmp, dir, mesh))
		return kwgi_fail(err, KWG_ERR_IO, ENAMETOOLONG, "%.300s: the path is too long", dir);
	format(&b, j, boot);
	if (b.failed)
		return kwgi_nomem(err);
	unlink(tmp);
	if (!e && !is_there(path, &b))
		e = write_text(tmp, path, &b);
	kwgi_buf_free(&b);
	return e ? kwgi_fail(err, KWG_ERR_IO, e, "%.300s: writing: %s", path, kwgi_errtext(e)) : 0;
}

static void note_iptables(struct kwgi_journal *j, const struct kwgi_ipt_rules *r)
{
	if (r)
		j->bases[r->family == KWGI_AF_V6] |= kwgi_ipt_made_bases(r);
}

void kwgi_journal_note(struct kwgi_journal *j, const struct kwgi_steps *s)
{
	char name[KWGI_IFNAME_MAX + 1];
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		const struct kwgi_step *step = &s->v[i];

		if (step->kind == KWGI_STEP_LINK_DAEMON)
			add_making(j, step->link);
		/* The step that deletes a link makes it once more when it is undone. */
		if (step->kind == KWGI_STEP_LINK_ADD || step->kind == KWGI_STEP_LINK_DEL) {
			kwgi_mark_unfinished_name(name, step->link);
			add_making(j, name);
		}
		if (step->kind == KWGI_STEP_ROUTE_ADD || step->kind == KWGI_STEP_ROUTE_CHANGE)
			j->protocols[step->u.route.route.protocol] = true;
		if (step->kind == KWGI_STEP_VALID_MARK && step->u.valid_mark.set)
			j->valid_mark = true;
		if (step->kind == KWGI_STEP_ADDR_ADD)
			add_set(j, &step->u.addr.prefix);
		if (step->kind == KWGI_STEP_IPTABLES && step->u.iptables.rules)
			add_chains(j, step->link);
		if (step->kind == KWGI_STEP_RULE_ADD)
			j->protocols[step->u.rule.rule.protocol] = true;
		if (step->kind == KWGI_STEP_IPTABLES) {
			note_iptables(j, step->u.iptables.rules);
			note_iptables(j, step->u.iptables.old);
		}
	}
}

/* What does not come from a file is where it was before. */
static void set_origins(struct kwgi_journal *j, const struct kwgi_mesh *mesh)
{
	if (*mesh->origins[0])
		memcpy(j->origins, mesh->origins, sizeof(j->origins));
}

int kwgi_journal_begin(const struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh,
		       const struct kwgi_steps *s, struct kwg_error *err)
{
	struct kwgi_journal j = h->journal;

	kwgi_journal_note(&j, s);
	set_origins(&j, mesh);
	return save(dir, mesh, &j, err);
}

static void remove_one(const char *dir, const char *mesh)
{
	char path[4096];

	if (!file_path(path, dir, mesh))
		unlink(path);
}

static void remove_former(const struct kwgi_host *h, const char *dir)
{
	uint32_t i;

	for (i = 0; i < h->owner.n_former; i++)
		remove_one(dir, h->owner.former[i]);
}

void kwgi_journal_end(const struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh,
		      const struct kwgi_desired *w, const uint16_t bases[2])
{
	struct kwgi_journal j = { .exists = true, .bases = { bases[0], bases[1] } };

	memcpy(j.origins, h->journal.origins, sizeof(j.origins));
	set_origins(&j, mesh);
	j.protocols[w->protocol] = true;
	/* What was set by somebody else is not ours to take back. */
	j.valid_mark = w->default_way.valid_mark &&
		       (h->journal.valid_mark || !h->checks.valid_mark);
	if (w->n_iptables)
		add_chains(&j, w->ifname);
	if (w->addr.addr.family)
		add_set(&j, &w->addr);
	j.nodes = w->n_nodes;
	if (w->node)
		set_node(&j, w->node);
	/* If it cannot be written, it says too much: that does no harm. */
	if (!save(dir, mesh, &j, NULL))
		remove_former(h, dir);
}

void kwgi_journal_undo(const struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh)
{
	if (h->own_journal.exists)
		(void)save(dir, mesh, &h->own_journal, NULL);
	else
		remove_one(dir, mesh->name);
}

void kwgi_journal_remove(const struct kwgi_host *h, const char *dir, const struct kwgi_mesh *mesh)
{
	char tmp[4096];

	if (!new_path(tmp, dir, mesh))
		unlink(tmp);
	remove_former(h, dir);
	remove_one(dir, mesh->name);
}
