/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Running iptables-save and iptables-restore. */
#include <fcntl.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "host/ipt.h"
#include "host/nft.h"
#include "host/spawn.h"

enum {
	TIMEOUT = 30000,		/* ms; the lock below included */
	OUTPUT_MAX = 256 * 1024 * 1024,	/* of iptables-save: some millions of rules */
};

static const char lock_seconds[] = "20";	/* that iptables-restore waits for the lock of others */

static int find_program(char path[KWGI_PROGRAM_PATH_MAX], const struct kwgi_ipt_rules *r,
			const char *what)
{
	char name[40];

	snprintf(name, sizeof(name), "%s-%s", kwgi_ipt_program(r), what);
	return kwgi_program_find(path, name) ? 0 : -1;
}

static int missing(const struct kwgi_ipt_rules *r, const char *what, struct kwg_error *err)
{
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "firewall = iptables needs %s-%s, which is in none of %s; install the package iptables, or set firewall = nftables",
			 kwgi_ipt_program(r), what, kwgi_program_folders);
}

/* ---- observing ------------------------------------------------------- */

/* Is there IPv6 in this network namespace? Without it, ip6tables has nothing to say. */
static bool has_ipv6(void)
{
	return !access("/proc/net/if_inet6", F_OK);
}

/* The kernel's list of them. */
bool kwgi_ipt_has_legacy(bool v6)
{
	int fd = open(v6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names",
		      O_RDONLY | O_CLOEXEC);
	char c;
	bool any = fd >= 0 && read(fd, &c, 1) == 1;

	if (fd >= 0)
		close(fd);
	return any;
}

static int add_drop(struct kwgi_host *h, const struct kwgi_ipt_rules *r)
{
	struct kwgi_drop *d;

	/* That of iptables-nft stands in nf_tables, where it has been seen. */
	if ((!r->forward_drop && !r->forward_rule_drops) || r->is_nft)
		return 0;
	if (kwgi_arena_grow(&h->arena, &h->drops, h->n_drops, &h->drops_cap, sizeof(*h->drops)))
		return -1;
	d = &h->drops[h->n_drops++];
	*d = (struct kwgi_drop){ .family = r->family, .iptables = true, .legacy = true,
				  .by_rule = !r->forward_drop };
	snprintf(d->chain, sizeof(d->chain), "%s filter FORWARD", r->family == KWGI_AF_V6 ? "ip6" : "ip");
	return 0;
}

/*
 * Which of the two is it? Of interest where there are no tables, which tell it, too. A program that
 * does not know the option is the older one; one that cannot be run may be either.
 */
static int ask_version(const char *path, bool *nft, struct kwg_error *err)
{
	const char *const argv[] = { path, "--version", NULL };
	struct kwgi_buf out = { 0 };
	struct kwgi_program p = { .argv = argv, .out = &out, .out_max = 4096, .timeout = TIMEOUT };
	struct kwg_error own = { 0 };
	int ret = kwgi_program_run(&p, &own);

	*nft = !ret && out.p && strstr(out.p, "nf_tables");
	kwgi_buf_free(&out);
	if (!ret || (ret == KWG_ERR_KERNEL && !own.sys_errno))
		return 0;
	if (err)
		*err = own;
	return ret;
}

/* legacy: whether that has tables here. Then a program that prints none is the other. */
static int save(struct kwgi_host *h, char path[KWGI_PROGRAM_PATH_MAX], struct kwgi_ipt_rules *r,
		bool legacy, struct kwg_error *err)
{
	const char *const argv[] = { path, NULL };
	struct kwgi_buf out = { 0 };
	struct kwgi_program p = { .argv = argv, .out = &out, .out_max = OUTPUT_MAX,
				  .timeout = TIMEOUT };
	int ret = kwgi_program_run(&p, err);

	if (!ret && kwgi_ipt_parse(r, &h->arena, out.p, out.len))
		ret = kwgi_nomem(err);
	kwgi_buf_free(&out);
	if (ret)
		return ret;
	if (!r->has_tables && !r->is_nft && !legacy) {
		ret = ask_version(path, &r->is_nft, err);
		if (ret)
			return ret;
	}
	r->is_nft |= !r->has_tables && legacy;
	r->bases = r->is_nft ? h->nft_bases[r->family == KWGI_AF_V6] : KWGI_IPT_ALL_BASES;
	if (add_drop(h, r) || kwgi_arena_grow(&h->arena, &h->iptables, h->n_iptables,
					      &h->iptables_cap, sizeof(*h->iptables)))
		return kwgi_nomem(err);
	h->iptables[h->n_iptables++] = *r;
	return 0;
}

/* What only may have something of ours: that it cannot be looked at stops nobody. */
static int pass_over(struct kwgi_host *h, int ret, struct kwg_error *err)
{
	if (ret == KWG_ERR_NOMEM)
		return kwgi_nomem(err);
	h->iptables_unseen |= ret != 0;
	return 0;
}

static int observe_other(struct kwgi_host *h, uint8_t family, uint8_t variant,
			 struct kwg_error *err)
{
	struct kwgi_ipt_rules r = { .family = family, .variant = variant };
	char path[KWGI_PROGRAM_PATH_MAX];

	if (!find_program(path, &r, "save"))
		return pass_over(h, save(h, path, &r, false, NULL), err);
	h->iptables_unseen = true;
	return 0;
}

/*
 * The iptables of that name is one of two, and the other may have rules, too: those
 * of before an update of the system, say.
 */
static int observe_family(struct kwgi_host *h, uint8_t family, bool wanted, struct kwg_error *err)
{
	bool legacy = kwgi_ipt_has_legacy(family == KWGI_AF_V6), nft = h->nft_iptables;
	struct kwgi_ipt_rules r = { .family = family };
	char path[KWGI_PROGRAM_PATH_MAX], restore[KWGI_PROGRAM_PATH_MAX];
	int ret;

	if (!wanted && !legacy && !nft)
		return 0;
	if (find_program(path, &r, "save")) {
		h->iptables_unseen = true;
		return wanted ? missing(&r, "save", err) : 0;
	}
	if (wanted && find_program(restore, &r, "restore"))
		return missing(&r, "restore", err);
	ret = save(h, path, &r, legacy, err);
	if (!wanted)
		ret = pass_over(h, ret, err);
	if (!ret && nft && !r.is_nft)
		ret = observe_other(h, family, KWGI_IPT_NFT, err);
	else if (!ret && legacy && r.is_nft)
		ret = observe_other(h, family, KWGI_IPT_LEGACY, err);
	return ret;
}

int kwgi_ipt_observe(struct kwgi_host *h, bool wanted, struct kwg_error *err)
{
	int ret = observe_family(h, KWGI_AF_V4, wanted, err);

	if (!ret && has_ipv6())
		ret = observe_family(h, KWGI_AF_V6, wanted, err);
	return ret;
}

/* ---- changing -------------------------------------------------------- */

static bool has_jump(const struct kwgi_ipt_rules *r, int table, const char *chain)
{
	uint32_t i;

	for (i = 0; r && i < r->tables[table].n_jumps; i++)
		if (!strcmp(r->tables[table].jumps[i].chain, chain))
			return true;
	return false;
}

/* Built-in chains that there are because of jumps that are gone. If it fails: kwgi_ipt_tidy(). */
static void remove_made(const struct kwgi_ipt_rules *to, const struct kwgi_ipt_rules *from)
{
	uint32_t i;
	int t;

	for (t = 0; from && t < KWGI_IPT_TABLES; t++)
		for (i = 0; i < from->tables[t].n_jumps; i++) {
			const struct kwgi_ipt_jump *j = &from->tables[t].jumps[i];

			if (kwgi_ipt_has_made(j) && !has_jump(to, t, j->chain))
				(void)kwgi_nft_remove_empty(from->family == KWGI_AF_V6 ? NFPROTO_IPV6
										       : NFPROTO_IPV4,
							    kwgi_ipt_table_name(t), j->chain);
		}
}

static int restore(const struct kwgi_ipt_rules *to, const struct kwgi_ipt_rules *from,
		   struct kwg_error *err)
{
	char path[KWGI_PROGRAM_PATH_MAX];
	const char *const argv[] = { path, "--noflush", "--wait", lock_seconds, NULL };
	struct kwgi_program p = { .argv = argv, .timeout = TIMEOUT };
	struct kwgi_buf text = { 0 };
	int ret;

	if (find_program(path, to ? to : from, "restore"))
		return missing(to ? to : from, "restore", err);
	kwgi_ipt_format(&text, to, from);
	if (text.failed)
		return kwgi_nomem(err);
	p.input = text.p;
	p.input_size = text.len;
	ret = kwgi_program_run(&p, err);
	kwgi_buf_free(&text);
	if (!ret)
		remove_made(to, from);
	return ret;
}

static bool tidy_base(bool v6, int n)
{
	const char *chain;
	int table = kwgi_ipt_base_table(n, &chain);

	return !kwgi_nft_remove_empty(v6 ? NFPROTO_IPV6 : NFPROTO_IPV4, kwgi_ipt_table_name(table),
				      chain);
}

void kwgi_ipt_tidy(uint16_t bases[2])
{
	int i, n;

	for (i = 0; i < 2; i++)
		for (n = 0; n < KWGI_IPT_BASES; n++)
			if (bases[i] & 1 << n && tidy_base(i, n))
				bases[i] &= (uint16_t)~(1 << n);
}

static bool has_mark(const struct kwgi_ipt_rules *r, const char *mark)
{
	uint32_t i;
	int t;

	for (t = 0; r && t < KWGI_IPT_TABLES; t++)
		for (i = 0; i < r->tables[t].n_jumps; i++)
			if (strstr(r->tables[t].jumps[i].rule, mark))
				return true;
	return false;
}

static bool is_of_step(const char *mark, const void *arg)
{
	const struct kwgi_step *s = arg;

	return has_mark(s->u.iptables.rules, mark) || has_mark(s->u.iptables.old, mark);
}

/*
 * Each table is a transaction of its own: goes back from those that were changed before one failed.
 * From what there is, since jumps that are there already would be there twice.
 */
static int go_back(const struct kwgi_step *s, struct kwg_error *err)
{
	const struct kwgi_ipt_rules *any = s->u.iptables.old ? s->u.iptables.old : s->u.iptables.rules;
	struct kwgi_ipt_rules now = { .family = any->family, .variant = any->variant };
	char path[KWGI_PROGRAM_PATH_MAX];
	struct kwgi_host h = { 0 };
	int ret;

	if (find_program(path, &now, "save"))
		return missing(&now, "save", err);
	ret = save(&h, path, &now, false, err);
	if (!ret && kwgi_ipt_pick(&now, &h.arena, &h.iptables[0], NULL, 0, is_of_step, s))
		ret = kwgi_nomem(err);
	if (!ret)
		ret = restore(s->u.iptables.old, &now, err);
	kwgi_host_free(&h);
	return ret;
}

int kwgi_ipt_step(const struct kwgi_step *s, bool undo, struct kwg_error *err)
{
	return undo ? go_back(s, err) : restore(s->u.iptables.rules, s->u.iptables.old, err);
}
