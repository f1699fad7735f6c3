/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Reading what iptables-save prints: a line "*TABLE", lines ":CHAIN POLICY
 * [COUNTERS]", lines "-A CHAIN RULE", "COMMIT"; for each table that is in use.
 */
#include <stdlib.h>
#include <string.h>

#include "steps/iptables.h"
#include "steps/iptables_words.h"

static const char own_prefix[] = "kilowg-", own_mark[] = "kilowg mesh=";

/* ---- words of a rule ------------------------------------------------- */

static bool is_option(const char *word, const char *a, const char *b)
{
	return !strcmp(word, a) || !strcmp(word, b);
}

/* What an option means, however this version of iptables writes it (/etc/protocols has a say). */
static void tidy_value(const char *option, char value[KWGI_IPT_WORD_MAX])
{
	struct kwgi_prefix net;
	struct kwgi_addr host;

	if (is_option(option, "-p", "--protocol")) {
		if (is_option(value, "ipencap", "ipip") || !strcmp(value, "ipv4"))
			memcpy(value, "4", 2);
		else if (!strcmp(value, "6"))
			memcpy(value, "tcp", 4);
	} else if (is_option(option, "-s", "-d")) {
		if (!kwgi_addr_parse(&host, value))
			net = kwgi_prefix_host(&host);
		else if (kwgi_prefix_parse(&net, value))
			return;
		kwgi_prefix_format(value, &net);
	}
}

/*
 * Options in the order in which they stand, of which iptables-save has a fixed
 * one; "-m tcp" says no more than "-p tcp".
 */
static void tidy(struct kwgi_ipt_words *w)
{
	int i, n = 0;

	for (i = 0; i < w->n; i++) {
		if (i + 1 < w->n && !strcmp(w->v[i], "-m") && !strcmp(w->v[i + 1], "tcp")) {
			i++;
			continue;
		}
		if (i)
			tidy_value(w->v[i - 1], w->v[i]);
		if (n != i)
			memcpy(w->v[n], w->v[i], KWGI_IPT_WORD_MAX);
		n++;
	}
	w->n = n;
}

bool kwgi_ipt_equal_rules(const char *a, const char *b)
{
	struct kwgi_ipt_words x, y;
	int i;

	if (!strcmp(a, b))
		return true;
	kwgi_ipt_split(&x, a);
	kwgi_ipt_split(&y, b);
	if (!x.whole || !y.whole)
		return false;
	tidy(&x);
	tidy(&y);
	if (x.n != y.n)
		return false;
	for (i = 0; i < x.n; i++)
		if (strcmp(x.v[i], y.v[i]))
			return false;
	return true;
}

/* Does it drop all packets, so that none gets to a rule behind it? */
static bool drops_all(const struct kwgi_ipt_words *w)
{
	const char *target = kwgi_ipt_value_of(w, "-j");
	int i = 0;

	if (!target || !is_option(target, "DROP", "REJECT"))
		return false;
	while (i + 3 < w->n && !strcmp(w->v[i], "-m") && !strcmp(w->v[i + 1], "comment"))
		i += 4;
	return !strcmp(w->v[i], "-j");
}

/* ---- lines ----------------------------------------------------------- */

struct parser {
	struct kwgi_arena *arena;
	struct kwgi_ipt_rules *out;
	int table;			/* -1: none that we use */
	/* The built-in chain whose rules are being read. */
	char chain[KWGI_IPT_NAME_MAX];
	uint32_t at;
	bool dropped;
	struct kwgi_ipt_words words;
};

static bool is_own_name(const char *name, size_t len)
{
	return len > sizeof(own_prefix) - 1 && !memcmp(name, own_prefix, sizeof(own_prefix) - 1);
}

static struct kwgi_ipt_chain *find_chain(struct kwgi_ipt_table *t, const char *name, size_t len)
{
	uint32_t i;

	for (i = 0; i < t->n_chains; i++)
		if (!strncmp(t->chains[i].name, name, len) && !t->chains[i].name[len])
			return &t->chains[i];
	return NULL;
}

static int add_chain(struct parser *p, const char *name, size_t len)
{
	struct kwgi_ipt_table *t = &p->out->tables[p->table];
	const char *copy;

	if (find_chain(t, name, len))
		return 0;
	copy = kwgi_arena_strndup(p->arena, name, len);
	if (!copy ||
	    kwgi_arena_grow(p->arena, &t->chains, t->n_chains, &t->chains_cap, sizeof(*t->chains)))
		return -1;
	t->chains[t->n_chains++] = (struct kwgi_ipt_chain){ .name = copy };
	return 0;
}

static int on_chain(struct parser *p, const char *line, size_t len)
{
	const char *end = memchr(line, ' ', len);
	size_t name = end ? (size_t)(end - line) : len;

	if (is_own_name(line, name))
		return add_chain(p, line, name);
	if (p->table == KWGI_IPT_FILTER && len >= 12 && !memcmp(line, "FORWARD DROP", 12))
		p->out->forward_drop = true;
	return 0;
}

static int add_rule(struct parser *p, struct kwgi_ipt_chain *c, const char *rule, size_t len)
{
	const char *copy = kwgi_arena_strndup(p->arena, rule, len);

	if (!copy || kwgi_arena_grow(p->arena, &c->rules, c->n, &c->cap, sizeof(*c->rules)))
		return -1;
	c->rules[c->n++] = copy;
	return 0;
}

static int add_jump(struct parser *p, const char *chain, size_t chain_len, const char *rule,
		    size_t len)
{
	struct kwgi_ipt_table *t = &p->out->tables[p->table];
	struct kwgi_ipt_jump j = { .at = p->at, .too_late = p->dropped };

	j.chain = kwgi_arena_strndup(p->arena, chain, chain_len);
	j.rule = kwgi_arena_strndup(p->arena, rule, len);
	if (!j.chain || !j.rule ||
	    kwgi_arena_grow(p->arena, &t->jumps, t->n_jumps, &t->jumps_cap, sizeof(*t->jumps)))
		return -1;
	t->jumps[t->n_jumps++] = j;
	return 0;
}

/* A rule of others, or a jump of ours among them. */
static int on_other_rule(struct parser *p, const char *chain, size_t chain_len, const char *rule,
			 size_t len)
{
	char text[1024];
	const char *mark;

	if (chain_len >= sizeof(p->chain))
		return 0;
	if (strncmp(p->chain, chain, chain_len) || p->chain[chain_len]) {
		memcpy(p->chain, chain, chain_len);
		p->chain[chain_len] = '\0';
		p->at = 0;
		p->dropped = false;
	}
	p->at++;
	if (len >= sizeof(text))
		return 0;
	memcpy(text, rule, len);
	text[len] = '\0';
	kwgi_ipt_split(&p->words, text);
	mark = kwgi_ipt_value_of(&p->words, "--comment");
	if (mark && !strncmp(mark, own_mark, sizeof(own_mark) - 1))
		return add_jump(p, chain, chain_len, rule, len);
	p->dropped |= drops_all(&p->words);
	if (p->dropped && p->table == KWGI_IPT_FILTER && !strcmp(p->chain, "FORWARD"))
		p->out->forward_rule_drops = true;
	return 0;
}

static int on_rule(struct parser *p, const char *line, size_t len)
{
	const char *rule = memchr(line, ' ', len);
	size_t name = rule ? (size_t)(rule - line) : len;
	struct kwgi_ipt_chain *c;

	if (!rule)
		return 0;
	rule++;
	if (!is_own_name(line, name))
		return on_other_rule(p, line, name, rule, len - name - 1);
	c = find_chain(&p->out->tables[p->table], line, name);
	return c ? add_rule(p, c, rule, len - name - 1) : 0;
}

static int table_of(const char *name, size_t len)
{
	if (len == 6 && !memcmp(name, "mangle", 6))
		return KWGI_IPT_MANGLE;
	if (len == 3 && !memcmp(name, "nat", 3))
		return KWGI_IPT_NAT;
	return len == 6 && !memcmp(name, "filter", 6) ? KWGI_IPT_FILTER : -1;
}

static int on_line(struct parser *p, const char *line, size_t len)
{
	if (len && *line == '#' && memmem(line, len, "(nf_tables)", 11))
		p->out->is_nft = true;
	if (len && *line == '*') {
		p->table = table_of(line + 1, len - 1);
		p->out->has_tables = true;
		*p->chain = '\0';
		return 0;
	}
	if (p->table < 0)
		return 0;
	if (len > 1 && *line == ':')
		return on_chain(p, line + 1, len - 1);
	return len > 3 && !memcmp(line, "-A ", 3) ? on_rule(p, line + 3, len - 3) : 0;
}

int kwgi_ipt_parse(struct kwgi_ipt_rules *out, struct kwgi_arena *a, const char *text, size_t len)
{
	struct parser p = { .arena = a, .out = out, .table = -1 };
	const char *end;
	size_t n;

	for (; len; text += n, len -= n) {
		end = memchr(text, '\n', len);
		n = end ? (size_t)(end - text) : len;
		if (on_line(&p, text, n))
			return -1;
		n += !!end;
	}
	return 0;
}

/* ---- whose ----------------------------------------------------------- */

/* "kilowg-INTERFACE-PURPOSE": is it this interface, given with its length? */
static bool is_of(const char *chain, const char *ifname, size_t len)
{
	const char *p = chain + sizeof(own_prefix) - 1, *dash = strrchr(chain, '-');

	return dash && (size_t)(dash - p) == len && !memcmp(p, ifname, len);
}

struct picker {
	const char (*ifnames)[KWGI_IFNAME_MAX + 1];
	uint32_t n_ifnames;
	bool (*accepts)(const char *mark, const void *arg);
	const void *arg;
	const struct kwgi_ipt_rules *all;
};

/* Is it a chain of an interface whose chains are ours? */
static bool is_of_any(const struct picker *p, const char *chain)
{
	uint32_t i;

	for (i = 0; i < p->n_ifnames; i++)
		if (is_of(chain, p->ifnames[i], strlen(p->ifnames[i])))
			return true;
	return false;
}

static bool wants_jump(const struct picker *p, const struct kwgi_ipt_jump *j, struct kwgi_ipt_words *w)
{
	const char *mark, *target;

	kwgi_ipt_split(w, j->rule);
	mark = kwgi_ipt_value_of(w, "--comment");
	target = kwgi_ipt_value_of(w, "-j");
	if (target && is_own_name(target, strlen(target)) && is_of_any(p, target))
		return true;
	return mark && p->accepts(mark, p->arg);
}

/* Does a jump that is wanted lead to a chain of the same interface? */
static bool wants_chain(const struct picker *p, const char *name, struct kwgi_ipt_words *w)
{
	const char *target, *dash;
	uint32_t i;
	int t;

	if (is_of_any(p, name))
		return true;
	for (t = 0; t < KWGI_IPT_TABLES; t++)
		for (i = 0; i < p->all->tables[t].n_jumps; i++) {
			if (!wants_jump(p, &p->all->tables[t].jumps[i], w))
				continue;
			target = kwgi_ipt_value_of(w, "-j");
			dash = target ? strrchr(target, '-') : NULL;
			if (dash && is_own_name(target, strlen(target)) &&
			    dash >= target + sizeof(own_prefix) - 1 &&
			    is_of(name, target + sizeof(own_prefix) - 1,
				  (size_t)(dash - target) - (sizeof(own_prefix) - 1)))
				return true;
		}
	return false;
}

int kwgi_ipt_pick(struct kwgi_ipt_rules *out, struct kwgi_arena *a,
		  const struct kwgi_ipt_rules *all,
		  const char (*ifnames)[KWGI_IFNAME_MAX + 1], uint32_t n_ifnames,
		  bool (*accepts)(const char *mark, const void *arg), const void *arg)
{
	const struct picker p = { ifnames, n_ifnames, accepts, arg, all };
	struct kwgi_ipt_words w;
	uint32_t i;
	int t;

	*out = *all;
	memset(out->tables, 0, sizeof(out->tables));
	for (t = 0; t < KWGI_IPT_TABLES; t++) {
		const struct kwgi_ipt_table *from = &all->tables[t];
		struct kwgi_ipt_table *to = &out->tables[t];

		to->chains = kwgi_arena_alloc(a, from->n_chains + 1u, sizeof(*to->chains));
		to->jumps = kwgi_arena_alloc(a, from->n_jumps + 1u, sizeof(*to->jumps));
		if (!to->chains || !to->jumps)
			return -1;
		for (i = 0; i < from->n_chains; i++)
			if (wants_chain(&p, from->chains[i].name, &w))
				to->chains[to->n_chains++] = from->chains[i];
		for (i = 0; i < from->n_jumps; i++)
			if (wants_jump(&p, &from->jumps[i], &w))
				to->jumps[to->n_jumps++] = from->jumps[i];
	}
	return 0;
}

static bool has_chain(const struct kwgi_ipt_table *t, const char *name)
{
	uint32_t i;

	for (i = 0; i < t->n_chains; i++)
		if (!strcmp(t->chains[i].name, name))
			return true;
	return false;
}

const char *kwgi_ipt_clash(const struct kwgi_ipt_rules *want, const struct kwgi_ipt_rules *have,
			   const struct kwgi_ipt_rules *all)
{
	uint32_t i;
	int t;

	for (t = 0; t < KWGI_IPT_TABLES; t++)
		for (i = 0; i < want->tables[t].n_chains; i++) {
			const char *name = want->tables[t].chains[i].name;

			if (has_chain(&all->tables[t], name) && !has_chain(&have->tables[t], name))
				return name;
		}
	return NULL;
}
