/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade's look at this host for what any mesh has left on it. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "facade.h"
#include "host/apply.h"
#include "host/ipt.h"
#include "host/journal.h"
#include "host/nft.h"
#include "host/rtnl.h"
#include "kilowg.h"
#include "kilowg_steps.h"
#include "steps/mark.h"

struct names {
	struct kwgi_arena *arena;
	const char **v;
	uint32_t n, cap;
	bool failed;
};

static void add_name(void *arg, const char *name, size_t len)
{
	struct names *l = arg;
	char *copy = kwgi_arena_strndup(l->arena, name, len);

	if (!copy || kwgi_arena_grow(l->arena, &l->v, l->n, &l->cap, sizeof(*l->v)))
		l->failed = true;
	else
		l->v[l->n++] = copy;
}

static void add_mark(struct names *l, const char *mark)
{
	size_t len;
	const char *mesh = kwgi_mark_mesh(mark, &len);

	if (mesh)
		add_name(l, mesh, len);
}

static bool add_comment(const char *mark, const void *arg)
{
	add_mark(*(struct names *const *)arg, mark);
	return false;
}

static int add_iptables(struct names *l, const struct kwgi_host *h)
{
	struct kwgi_ipt_rules none;
	uint32_t i;

	for (i = 0; i < h->n_iptables; i++)
		if (kwgi_ipt_pick(&none, l->arena, &h->iptables[i], NULL, 0, add_comment, &l))
			return -1;
	return 0;
}

static int find(struct names *l, struct kwgi_nl *nl, struct kwgi_host *h, struct kwg_error *err)
{
	int ret = kwgi_nft_observe(h, err);
	uint32_t i;

	if (!ret)
		ret = kwgi_rtnl_observe(nl, 0, h, err);
	if (!ret)
		ret = kwgi_ipt_observe(h, false, err);
	if (ret)
		return ret;
	for (i = 0; i < h->n_links; i++)
		add_mark(l, h->links[i].alias);
	for (i = 0; i < h->n_tables; i++)
		add_mark(l, h->tables[i].mark);
	kwgi_journal_list(KWG_RUNDIR, add_name, l);
	return add_iptables(l, h) || l->failed ? kwgi_nomem(err) : 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int kwg_meshes(char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_host h = { 0 };
	struct names l = { .arena = &h.arena };
	struct kwgi_buf b = { 0 };
	struct kwgi_nl nl;
	uint32_t i;
	int ret = kwgi_nl_open(&nl, NETLINK_ROUTE, err);

	if (ret)
		return ret;
	ret = find(&l, &nl, &h, err);
	if (!ret && l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_text);
	kwgi_buf_puts(&b, "");
	for (i = 0; !ret && i < l.n; i++)
		if (!i || strcmp(l.v[i - 1], l.v[i]))
			kwgi_buf_printf(&b, "%s\n", l.v[i]);
	if (!ret)
		ret = kwgi_give(&b, out, len, err);
	else
		kwgi_buf_free(&b);
	kwgi_nl_close(&nl);
	kwgi_host_free(&h);
	return ret;
}
