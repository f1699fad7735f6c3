/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "steps/iptables_input.h"
#include "steps/iptables_words.h"

enum { DEPTH = 16, RULE_MAX = 1024, LOOKS_MAX = 1000000 };

enum match { NO, MAYBE, YES };
enum outcome { CONTINUES, RETURNS, ACCEPTS, DROPS };

/* "CHAIN RULE", behind "-A ". */
struct line {
	const char *text;
	size_t len, chain;		/* chain: bytes of its name */
};

struct walk {
	const struct kwgi_input_packet *packet;
	const char *const *own;
	struct line *v;
	uint32_t n, cap;
	uint32_t looks;
	int depth;
	bool policy_drops;
	bool maybe;			/* a rule that may match would accept */
	bool meant;			/* and names our port or protocol */
	bool named;			/* the rule that accepted did so */
	struct kwgi_ipt_words words;	/* of the rule being looked at */
};

/* ---- lines ------------------------------------------------------------ */

static int add_line(struct walk *k, struct kwgi_arena *a, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);

	if (!space)
		return 0;
	if (kwgi_arena_grow(a, &k->v, k->n, &k->cap, sizeof(*k->v)))
		return -1;
	k->v[k->n++] = (struct line){ line, len, (size_t)(space - line) };
	return 0;
}

static bool starts(const char *line, size_t len, const char *with)
{
	return len >= strlen(with) && !memcmp(line, with, strlen(with));
}

static int read_lines(struct walk *k, struct kwgi_arena *a, const char *text, size_t len)
{
	bool filter = false;
	const char *end;
	size_t n;

	for (; len; text += n, len -= n) {
		end = memchr(text, '\n', len);
		n = end ? (size_t)(end - text) : len;
		if (starts(text, n, "*"))
			filter = n == 7 && starts(text, n, "*filter");
		else if (filter && starts(text, n, ":INPUT DROP"))
			k->policy_drops = true;
		else if (filter && starts(text, n, "-A ") && add_line(k, a, text + 3, n - 3))
			return -1;
		n += !!end;
	}
	return 0;
}

/* ---- what a rule compares --------------------------------------------- */

struct rule {
	enum match match;
	bool port;			/* a condition is our port or protocol */
	const char *target;		/* NULL: none */
	bool is_goto;
};

static void join(struct rule *r, enum match m, bool inverted)
{
	if (inverted && m != MAYBE)
		m = m == YES ? NO : YES;
	if (m < r->match)
		r->match = m;
}

static bool is(const char *word, const char *a)
{
	return !strcmp(word, a);
}

/* Numbers and names, of which /etc/protocols has a say. */
static enum match match_protocol(const struct walk *k, const char *s)
{
	if (is(s, "all") || is(s, "0"))
		return YES;
	if (k->packet->port)
		return is(s, "udp") || is(s, "17") ? YES : NO;
	return is(s, "4") || is(s, "ipencap") || is(s, "ipip") || is(s, "ipv4") ? YES : NO;
}

/* One "N" or "N:M", up to a comma. */
static bool is_in_range(const char *s, unsigned port)
{
	char *end;
	unsigned long from = strtoul(s, &end, 10), to = from;

	if (*end == ':')
		to = end[1] && end[1] != ',' ? strtoul(end + 1, NULL, 10) : 65535;
	return port >= from && port <= to;
}

static enum match match_ports(const struct walk *k, const char *list)
{
	const char *s = list;

	while (k->packet->port && s) {
		if (is_in_range(s, k->packet->port))
			return YES;
		s = strchr(s, ',');
		s = s ? s + 1 : NULL;
	}
	return NO;
}

/* A packet that is none of an established connection comes over some link of others. */
static enum match match_link(const struct walk *k, const char *name)
{
	int i;

	if (is(name, "lo"))
		return NO;
	for (i = 0; i < 2; i++)
		if (k->own[i] && *k->own[i] && is(name, k->own[i]))
			return NO;
	return is(name, "+") ? YES : MAYBE;
}

static bool has_state(const char *list, const char *state)
{
	const char *s = list;
	size_t len = strlen(state);

	while (s) {
		if (!strncmp(s, state, len) && (!s[len] || s[len] == ','))
			return true;
		s = strchr(s, ',');
		s = s ? s + 1 : NULL;
	}
	return false;
}

/* What "-m" may name without that anything is compared by it. */
static bool says_nothing(const char *module)
{
	static const char *const names[] = { "udp", "tcp", "comment", "conntrack", "state", "multiport",
					     "addrtype" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (is(module, names[i]))
			return true;
	return false;
}

/* Has option and its value; false: it is none that is known. */
static bool compare(struct walk *k, struct rule *r, const char *option, const char *value, bool inverted)
{
	enum match m;

	if (is(option, "-p")) {
		m = match_protocol(k, value);
		join(r, m, inverted);
		r->port |= !k->packet->port && m == YES && !inverted && !is(value, "all");
	} else if (is(option, "--dport") || is(option, "--dports")) {
		m = match_ports(k, value);
		join(r, m, inverted);
		r->port |= m == YES && !inverted;
	} else if (is(option, "-i")) {
		join(r, match_link(k, value), inverted);
	} else if (is(option, "--ctstate") || is(option, "--state")) {
		join(r, has_state(value, "NEW") ? YES : NO, inverted);
	} else if (is(option, "--dst-type")) {
		join(r, has_state(value, "LOCAL") ? YES : NO, inverted);
	} else if (is(option, "-m")) {
		join(r, says_nothing(value) ? YES : MAYBE, false);
	} else if (is(option, "-s") || is(option, "-d") || is(option, "--sport") ||
		   is(option, "--sports") || is(option, "--ports") || is(option, "--src-type")) {
		join(r, MAYBE, false);
	} else {
		return is(option, "--comment");
	}
	return true;
}

static struct rule read_rule(struct walk *k, const char *text)
{
	struct rule r = { .match = YES };
	bool inverted = false;
	int i;

	kwgi_ipt_split(&k->words, text);
	if (!k->words.whole)
		r.match = MAYBE;
	for (i = 0; i < k->words.n; i++) {
		const char *word = k->words.v[i], *value = i + 1 < k->words.n ? k->words.v[i + 1] : NULL;

		if (is(word, "!")) {
			inverted = true;
			continue;
		}
		if (value && (is(word, "-j") || is(word, "-g"))) {
			r.target = value;
			r.is_goto = is(word, "-g");
			return r;
		}
		if (value && compare(k, &r, word, value, inverted))
			i++;
		else if (is(word, "-f"))
			join(&r, NO, inverted);
		inverted = false;
	}
	return r;
}

/* ---- chains ------------------------------------------------------------ */

static enum outcome walk_chain(struct walk *k, const char *chain);

static bool is_chain(const struct walk *k, const char *name)
{
	size_t len = strlen(name);
	uint32_t i;

	for (i = 0; i < k->n; i++)
		if (k->v[i].chain == len && !memcmp(k->v[i].text, name, len))
			return true;
	return false;
}

/* The chain of a target is empty, or it is one that only looks on, such as LOG. */
static enum outcome outcome_of(struct walk *k, const struct rule *r, bool *named)
{
	char chain[KWGI_IPT_WORD_MAX];
	enum outcome o;

	if (!r->target)
		return CONTINUES;
	if (is(r->target, "DROP") || is(r->target, "REJECT"))
		return DROPS;
	/* Who takes packets out of the kernel decides there. */
	if (is(r->target, "ACCEPT") || is(r->target, "NFQUEUE") || is(r->target, "QUEUE"))
		return ACCEPTS;
	if (is(r->target, "RETURN"))
		return RETURNS;
	if (!is_chain(k, r->target))
		return CONTINUES;
	strcpy(chain, r->target);
	k->named = false;
	o = walk_chain(k, chain);
	*named |= k->named;
	return r->is_goto && o == CONTINUES ? RETURNS : o;
}

static enum outcome look_at(struct walk *k, const struct line *line)
{
	char text[RULE_MAX];
	size_t len = line->len - line->chain - 1;
	bool named = k->named, port;
	enum outcome o;
	struct rule r;

	if (len >= sizeof(text))
		return CONTINUES;
	memcpy(text, line->text + line->chain + 1, len);
	text[len] = '\0';
	r = read_rule(k, text);
	if (r.match == NO)
		return CONTINUES;
	port = r.port;
	o = outcome_of(k, &r, &port);
	k->named = named || (o == ACCEPTS && port);
	if (r.match == YES)
		return o;
	/* What returns may leave a chain that drops. */
	k->maybe |= o == ACCEPTS || o == RETURNS;
	k->meant |= o == ACCEPTS && port;
	/* Somebody has thought of us. */
	return k->meant ? ACCEPTS : CONTINUES;
}

static enum outcome walk_chain(struct walk *k, const char *chain)
{
	size_t len = strlen(chain);
	enum outcome o = CONTINUES;
	uint32_t i;

	if (k->depth == DEPTH)
		return CONTINUES;
	k->depth++;
	for (i = 0; i < k->n && o == CONTINUES; i++) {
		/* Nobody waits for an answer to so many. */
		if (++k->looks > LOOKS_MAX)
			o = ACCEPTS;
		else if (k->v[i].chain == len && !memcmp(k->v[i].text, chain, len))
			o = look_at(k, &k->v[i]);
	}
	k->depth--;
	return o == RETURNS ? CONTINUES : o;
}

int kwgi_ipt_input(enum kwgi_input_verdict *out, struct kwgi_arena *a, const char *text, size_t len,
		   const struct kwgi_input_packet *p, const char *const own[2])
{
	struct walk k = { .packet = p, .own = own };
	enum outcome o;

	if (read_lines(&k, a, text, len))
		return -1;
	o = walk_chain(&k, "INPUT");
	*out = o == ACCEPTS || (o != DROPS && !k.policy_drops) ? KWGI_INPUT_PASSES
	       : k.maybe ? KWGI_INPUT_UNSURE : KWGI_INPUT_DROPPED;
	return 0;
}
