/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Steps about policy rules as rtnetlink requests. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "host/rtnl.h"

enum { WHAT = 128, TRIES = 20 };

static struct nlmsghdr *build(struct kwgi_nl *nl, const struct kwgi_host_rule *r, uint16_t type,
			      uint16_t flags)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, type, flags);
	struct fib_rule_hdr *frh = mnl_nlmsg_put_extra_header(nlh, sizeof(*frh));

	frh->family = kwgi_rtnl_family(r->family);
	frh->action = FR_ACT_TO_TBL;
	frh->flags = r->invert ? FIB_RULE_INVERT : 0;
	frh->src_len = r->src.len;
	frh->dst_len = r->dst.len;
	kwgi_rtnl_put_addr(nlh, FRA_SRC, &r->src.addr);
	kwgi_rtnl_put_addr(nlh, FRA_DST, &r->dst.addr);
	if (*r->iif)
		mnl_attr_put_strz(nlh, FRA_IIFNAME, r->iif);
	if (r->mask) {
		mnl_attr_put_u32(nlh, FRA_FWMARK, r->fwmark);
		mnl_attr_put_u32(nlh, FRA_FWMASK, r->mask);
	}
	if (r->suppress)
		mnl_attr_put_u32(nlh, FRA_SUPPRESS_PREFIXLEN, r->suppress - 1);
	mnl_attr_put_u32(nlh, FRA_TABLE, r->table);
	mnl_attr_put_u32(nlh, FRA_PRIORITY, r->priority);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, r->protocol);
	return nlh;
}

/* What went wrong with which rule. */
static void describe(char what[WHAT], const struct kwgi_host_rule *r, const char *verb)
{
	char text[KWGI_PREFIX_TEXT] = "all";

	if (r->dst.addr.family)
		kwgi_prefix_format(text, &r->dst);
	snprintf(what, WHAT, "%s rule %u to %s lookup %u", verb, r->priority, text, r->table);
}

static int delete_first(struct kwgi_nl *nl, const struct kwgi_host_rule *r, struct kwg_error *err)
{
	char what[WHAT];

	describe(what, r, "removing");
	return kwgi_nl_request(nl, build(nl, r, RTM_DELRULE, 0), what, err);
}

/* ---- the right one ---------------------------------------------------- */

struct search {
	const struct kwgi_host_rule *wanted;
	struct kwgi_arena arena;
	struct kwgi_host_rule *v;	/* before the wanted one, and taken for it */
	uint32_t n, cap;
	bool found, nomem;
};

/*
 * What is not said in a request to delete, matches anything (net/core/fib_rules.c, rule_find): so
 * "from all lookup 1107" would delete the first one that leads to that table.
 */
static bool is_taken_for(const struct kwgi_host_rule *have, const struct kwgi_host_rule *r)
{
	return have->family == r->family && have->table == r->table &&
	       have->priority == r->priority && have->protocol == r->protocol &&
	       (!r->src.len || kwgi_prefix_equal(&have->src, &r->src)) &&
	       (!r->dst.len || kwgi_prefix_equal(&have->dst, &r->dst)) &&
	       (!*r->iif || !strcmp(have->iif, r->iif)) &&
	       (!r->fwmark || have->fwmark == r->fwmark) && (!r->mask || have->mask == r->mask) &&
	       (!r->suppress || have->suppress == r->suppress);
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(nlh);
	struct search *s = arg;
	struct kwgi_host_rule have;

	if (nlh->nlmsg_type != RTM_NEWRULE || frh->action != FR_ACT_TO_TBL || s->found)
		return MNL_CB_OK;
	kwgi_rtnl_read_rule(&have, nlh);
	if (!is_taken_for(&have, s->wanted))
		return MNL_CB_OK;
	s->found = !kwgi_host_rule_cmp(&have, s->wanted);
	if (s->found)
		return MNL_CB_OK;
	if (kwgi_arena_grow(&s->arena, &s->v, s->n, &s->cap, sizeof(*s->v))) {
		s->nomem = true;
		return MNL_CB_ERROR;
	}
	s->v[s->n++] = have;
	return MNL_CB_OK;
}

static int find_those_before(struct kwgi_nl *nl, struct search *s, struct kwg_error *err)
{
	struct fib_rule_hdr *frh;
	struct nlmsghdr *nlh;
	int i, ret = KWGI_NL_AGAIN;

	for (i = 0; i < TRIES && ret == KWGI_NL_AGAIN; i++) {
		s->n = 0;
		s->found = false;
		nlh = kwgi_nl_begin(nl, RTM_GETRULE, 0);
		frh = mnl_nlmsg_put_extra_header(nlh, sizeof(*frh));
		frh->family = kwgi_rtnl_family(s->wanted->family);
		ret = kwgi_nl_dump(nl, nlh, on_rule, s, "listing rules", err);
		if (s->nomem)
			return kwgi_nomem(err);
	}
	if (ret == KWGI_NL_AGAIN)
		return kwgi_fail(err, KWG_ERR_KERNEL, EAGAIN,
				 "listing rules: they changed under way %d times in a row", TRIES);
	if (!ret && !s->found)
		return kwgi_fail(err, KWG_ERR_KERNEL, ENOENT, "removing a rule: there is none");
	return ret;
}

/*
 * To the kernel a rule is there already if one is taken for it (rule_exists), or one differs in the
 * protocol only; which makes it refuse NLM_F_EXCL.
 */
static int add_rule(struct kwgi_nl *nl, const struct kwgi_host_rule *r, bool beside,
		    struct kwg_error *err)
{
	struct search s = { .wanted = r };
	struct kwg_error own = { 0 };
	char what[WHAT];
	int ret = -1;

	describe(what, r, "adding");
	if (!beside) {
		ret = kwgi_nl_request(nl, build(nl, r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL), what,
				      &own);
		if (ret && own.sys_errno == EEXIST && !r->dst.len && find_those_before(nl, &s, NULL))
			beside = !s.found && s.n;
		kwgi_arena_free(&s.arena);
	}
	if (beside)
		return kwgi_nl_request(nl, build(nl, r, RTM_NEWRULE, NLM_F_CREATE), what, err);
	if (ret && err)
		*err = own;
	return ret;
}

/*
 * Those that are taken for it come behind it, one by one, while it is still there itself. One with
 * a destination is not taken for another: those of ours that have none have no fellow with one but
 * while the rules of an earlier version make room.
 */
static int remove_rule(struct kwgi_nl *nl, const struct kwgi_host_rule *r, struct kwg_error *err)
{
	struct search s = { .wanted = r };
	int ret = r->dst.len ? 0 : find_those_before(nl, &s, err);
	uint32_t i;

	for (i = 0; i < s.n && !ret; i++) {
		ret = delete_first(nl, &s.v[i], err);
		if (!ret)
			ret = add_rule(nl, &s.v[i], true, err);
	}
	if (!ret)
		ret = delete_first(nl, r, err);
	kwgi_arena_free(&s.arena);
	return ret;
}

int kwgi_rtnl_rule_step(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
			struct kwg_error *err)
{
	const struct kwgi_host_rule *r = &s->u.rule.rule;

	if ((s->kind == KWGI_STEP_RULE_ADD) != undo)
		return add_rule(nl, r, s->u.rule.beside, err);
	return remove_rule(nl, r, err);
}
