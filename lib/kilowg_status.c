/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade's look at the health of the mesh on this host. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "facade.h"
#include "host/echo.h"
#include "host/files.h"
#include "host/peermemo.h"
#include "host/rtnl_ways.h"
#include "kept.h"
#include "kilowg_steps.h"
#include "steps/around.h"
#include "steps/health.h"
#include "steps/metrics.h"
#include "steps/status.h"

enum { LOOK_AGAIN = 250 };	/* ms between two looks at the peers */

struct look {
	struct kwg_steps *s;
	struct kwgi_status status;
	struct kwgi_answer_memo *memos;
	int64_t wall_offset;		/* from the clock of the host's start to the caller's */
};

/* ---- peers ----------------------------------------------------------- */

static void note_peers(struct look *l)
{
	const struct kwgi_desired *w = &l->s->wanted;
	uint32_t i;

	l->status.boot = kwgi_boot_seconds();
	l->status.now = l->status.boot + l->wall_offset;
	for (i = 0; i < w->n_peers; i++) {
		const struct kwgi_answer_look look = {
			.peer = kwgi_host_peer(&l->s->host.wg, &w->peers[i].peer.key),
			.keepalive = w->peers[i].peer.keepalive,
			.wall = l->status.now, .boot = l->status.boot,
		};

		if (look.peer)
			kwgi_answer_note(&l->memos[i], &look);
	}
}

static bool are_sure(const struct look *l)
{
	bool sure = true;
	uint32_t i;

	for (i = 0; i < l->s->wanted.n_peers && sure; i++)
		(void)kwgi_health_answer(&l->status, i, &sure);
	return sure;
}

/* Of each peer that is still there, what changes by itself. */
static int read_counters(struct look *l, struct kwg_error *err)
{
	struct kwgi_host_wg *wg = &l->s->host.wg, now = { 0 };
	struct kwgi_arena arena = { 0 };
	int ret = l->s->live.wg.ops->get(&l->s->live.wg, &arena, &now, err);
	uint32_t i;

	for (i = 0; !ret && i < wg->n_peers; i++) {
		const struct kwgi_host_peer *p = kwgi_host_peer(&now, &wg->peers[i].key);

		if (!p)
			continue;
		wg->peers[i].endpoint = p->endpoint;
		wg->peers[i].last_handshake = p->last_handshake;
		wg->peers[i].rx_bytes = p->rx_bytes;
		wg->peers[i].tx_bytes = p->tx_bytes;
	}
	kwgi_arena_free(&arena);
	return ret;
}

/*
 * One look is enough if it, or it with an earlier one, tells of each peer whether it answers.
 * Else some more are taken, until what was sent has had time to be answered: twice that time
 * where first something has to be sent.
 */
static int look_at_peers(struct look *l, struct kwg_error *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_AGAIN * 1000000 };
	int64_t deadline = kwgi_monotonic_ms() + (2 * KWGI_ANSWER_WAIT + 1) * 1000;
	int ret = 0;

	kwgi_steps_progress(l->s, "waiting for answers of peers");
	note_peers(l);
	while (l->s->live.wg_open && !are_sure(l) && kwgi_monotonic_ms() < deadline) {
		nanosleep(&pause, NULL);
		ret = read_counters(l, err);
		if (ret)
			return ret;
		note_peers(l);
	}
	return 0;
}

/* ---- probe ----------------------------------------------------------- */

enum { PROBE_WAIT_SESSION = 11 };	/* seconds; after 10 WireGuard answers with a keepalive */

/* An address behind a peer: that in the mesh if it has one, for which the kernel there answers. */
static bool find_target(const struct kwgi_desired *w, const struct kwgi_host_peer *p,
			struct kwgi_addr *to)
{
	const struct kwgi_prefix *best = NULL;
	uint32_t i;

	for (i = 0; i < p->n_allowed_ips; i++) {
		const struct kwgi_prefix *a = &p->allowed_ips[i];

		if (kwgi_prefix_contains(&w->subnet, &a->addr)) {
			best = a;
			break;
		}
		if (a->len && (!best || a->len > best->len))
			best = a;
	}
	if (!best)
		return false;
	*to = best->addr;
	return best->len == kwgi_addr_bits(to) || kwgi_addr_add(to, &best->addr, 1);
}

/* What a peer had sent when it was asked. */
struct probe {
	bool asked;
	bool session;
	uint64_t rx;
	int64_t handshake;
};

static void ask_peers(struct look *l, struct probe *v)
{
	const struct kwgi_desired *w = &l->s->wanted;
	struct kwgi_echo echo;
	struct kwgi_addr to;
	uint32_t i;

	kwgi_echo_open(&echo, w->ifname);
	for (i = 0; i < w->n_peers; i++) {
		const struct kwgi_host_peer *p = kwgi_host_peer(&l->s->host.wg, &w->peers[i].peer.key);

		if (!p || !p->endpoint.port || !find_target(w, p, &to))
			continue;
		v[i].asked = kwgi_echo_send(&echo, &to);
		if (!v[i].asked)
			kwgi_findings_say(&l->status.findings, false, "not-asked",
					  "%s: no packet could be sent to it: %s",
					  w->peers[i].name, strerror(errno));
		v[i].rx = p->rx_bytes;
		v[i].handshake = p->last_handshake;
		v[i].session = p->last_handshake &&
			       l->status.now - p->last_handshake < KWGI_SESSION_LASTS;
	}
	kwgi_echo_close(&echo);
}

static bool has_come(const struct look *l, const struct probe *v, uint32_t i)
{
	const struct kwgi_host_peer *p =
		kwgi_host_peer(&l->s->host.wg, &l->s->wanted.peers[i].peer.key);

	return !p || p->last_handshake != v->handshake || (v->session && p->rx_bytes != v->rx);
}

/* Of those that were asked and have not answered; how long is it worth to wait? */
static int64_t wait_of(const struct look *l, const struct probe *v)
{
	int64_t wait = 0, this;
	uint32_t i;

	for (i = 0; i < l->s->wanted.n_peers; i++) {
		this = v[i].session ? PROBE_WAIT_SESSION : KWGI_ANSWER_WAIT;
		if (v[i].asked && !has_come(l, &v[i], i) && this > wait)
			wait = this;
	}
	return wait;
}

/* Who was asked and did not answer in time was sent to long enough ago. */
static void note_unanswered(struct look *l, const struct probe *v)
{
	uint32_t i;

	for (i = 0; i < l->s->wanted.n_peers; i++)
		if (v[i].asked && !has_come(l, &v[i], i))
			l->memos[i].sent_at = l->status.boot - KWGI_ANSWER_WAIT_SESSION;
}

static int probe_peers(struct look *l, struct kwg_error *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_AGAIN * 1000000 };
	struct probe *v = kwgi_arena_alloc(&l->s->wanted.arena, l->s->wanted.n_peers + 1u, sizeof(*v));
	int64_t begin = kwgi_monotonic_ms();
	int ret = 0;

	if (!v)
		return kwgi_nomem(err);
	if (!l->s->live.wg_open)
		return 0;
	note_peers(l);
	ask_peers(l, v);
	while (!ret && kwgi_monotonic_ms() - begin < wait_of(l, v) * 1000) {
		nanosleep(&pause, NULL);
		ret = read_counters(l, err);
	}
	note_peers(l);
	note_unanswered(l, v);
	return ret;
}

/* ---- probe of a follower ---------------------------------------------- */

/* Of the segments of a topology: those that are asked, and those that have answered. */
struct through {
	const struct kwgi_topology *topo;
	bool *asked, *answered;
	uint32_t left;
};

static void hear(struct through *t, const struct kwgi_addr *from)
{
	uint32_t i;

	for (i = 0; i < t->topo->n_segments; i++) {
		if (!t->asked[i] || t->answered[i] || !kwgi_addr_equal(&t->topo->segments[i].wg_ip, from))
			continue;
		t->answered[i] = true;
		t->left--;
	}
}

static void ask_segments(struct look *l, struct through *t)
{
	int64_t deadline = kwgi_monotonic_ms() + KWGI_ANSWER_WAIT * 1000, wait;
	struct kwgi_echo echo;
	struct kwgi_addr from;
	uint32_t i;

	kwgi_echo_open(&echo, NULL);
	for (i = 0; i < t->topo->n_segments; i++) {
		const struct kwgi_segment *s = &t->topo->segments[i];

		t->asked[i] = s != l->status.plan->segment &&
			      kwgi_leader_route(&l->s->wanted, &s->wg_ip) &&
			      kwgi_echo_send(&echo, &s->wg_ip);
		t->left += t->asked[i];
	}
	while (t->left && (wait = deadline - kwgi_monotonic_ms()) > 0)
		if (kwgi_echo_receive(&echo, &from, (int)wait))
			hear(t, &from);
	kwgi_echo_close(&echo);
}

static void tell_of_segments(struct look *l, const struct through *t)
{
	uint32_t i;

	for (i = 0; i < t->topo->n_segments; i++) {
		const struct kwgi_segment *s = &t->topo->segments[i];
		char addr[KWGI_ADDR_TEXT];

		if (t->asked[i] && !t->answered[i])
			kwgi_findings_say(&l->status.findings, true, "no-echo",
					  "%s: no echo from %s through leader %s; see what \"kilowg status\" says on %s, and on %s, which leads there",
					  s->id, kwgi_addr_format(addr, &s->wg_ip),
					  l->status.plan->segment->leader->name,
					  l->status.plan->segment->leader->name, s->leader->name);
	}
}

/* It has no peers, but a leader that forwards to other locations, or does not. */
static int probe_through_leader(struct look *l, struct kwg_error *err)
{
	struct through t = { .topo = l->status.plan->topo };
	struct kwgi_arena *a = &l->s->wanted.arena;

	t.asked = kwgi_arena_alloc(a, t.topo->n_segments + 1u, sizeof(*t.asked));
	t.answered = kwgi_arena_alloc(a, t.topo->n_segments + 1u, sizeof(*t.answered));
	if (!t.asked || !t.answered)
		return kwgi_nomem(err);
	ask_segments(l, &t);
	tell_of_segments(l, &t);
	return 0;
}

/* ---- the whole ------------------------------------------------------- */

static int look_at_all(struct look *l, const struct kwg_plan *plan, struct kwg_error *err)
{
	struct kwg_steps *s = l->s;
	const char *mesh = plan->cfg->mesh.name;
	int ret = 0;

	l->memos = kwgi_arena_alloc(&s->wanted.arena, s->wanted.n_peers + 1u, sizeof(*l->memos));
	if (!l->memos)
		return kwgi_nomem(err);
	l->status.plan = plan;
	l->status.wanted = &s->wanted;
	l->status.host = &s->host;
	l->status.backend = &s->backend;
	l->status.drift = s->steps.n + s->cni_refused + s->left_out.n;
	l->status.memos = l->memos;
	kwgi_peermemo_recall(KWG_RUNDIR, mesh, &s->wanted, l->memos);
	if (s->opt.probe)
		ret = plan->leader ? probe_peers(l, err) : probe_through_leader(l, err);
	if (!ret)
		ret = look_at_peers(l, err);
	if (ret)
		return ret;
	kwgi_leader_find(&l->status.leader, plan, &s->wanted);
	ret = kwgi_leader_ask(&s->live.nl, &l->status.leader, err);
	if (ret)
		return ret;
	kwgi_peermemo_save(KWG_RUNDIR, mesh, l->memos, s->wanted.n_peers);
	kwgi_health_peers(&l->status, &l->status.findings);
	ret = kwgi_steps_find(s, &l->status.findings, err);
	if (ret)
		return ret;
	kwgi_confirm_find(plan->cfg, &l->status.findings);
	kwgi_around_warnings(plan, &l->status.findings);
	kwgi_leader_judge(&l->status.leader, plan, &l->status.findings);
	return l->status.findings.failed ? kwgi_nomem(err) : 0;
}

/* Frees also what a failure has left. */
static void end_look(struct look *l)
{
	kwgi_findings_free(&l->status.findings);
	kwg_steps_free(l->s);
}

/* end_look() is due whatever it returns. */
static int begin_look(struct look *l, const struct kwg_plan *plan, const struct kwg_host_options *opt,
		      int64_t now, struct kwg_error *err)
{
	struct kwg_host_options read_only;
	int ret = kwgi_host_options_take(&read_only, opt, err);

	*l = (struct look){ .wall_offset = now - kwgi_boot_seconds() };
	if (ret)
		return ret;
	read_only.read_only = true;
	read_only.no_lookup = true;
	ret = kwgi_steps_new(&l->s, plan, &read_only, true, err);
	if (ret)
		return ret;
	ret = look_at_all(l, plan, err);
	kwgi_steps_progress(l->s, NULL);
	return ret;
}

int kwg_status(const struct kwg_plan *plan, const struct kwg_host_options *opt, int64_t now,
	       bool json, bool colour, bool *healthy, char **out, size_t *len,
	       struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	struct look l;
	int ret = begin_look(&l, plan, opt, now, err);

	if (!ret) {
		if (json)
			kwgi_status_json(&l.status, &b);
		else
			kwgi_status_text(&l.status, colour, &b);
		ret = kwgi_give(&b, out, len, err);
	}
	if (!ret)
		*healthy = kwgi_status_is_healthy(&l.status);
	end_look(&l);
	return ret;
}

/* ---- metrics --------------------------------------------------------- */

/* Who may not read what is kept has the other metrics. */
static void recall(struct kwgi_metrics *m, struct kwgi_history *h, const struct kwg_config *cfg)
{
	struct kwg_error why = { 0 };
	struct kwg_pending p;
	int ret;

	if (!kwgi_history_load(h, kwgi_kept_history, cfg->mesh.name, cfg->mesh.origins, NULL) && h->n)
		m->last = &h->v[0].entry;
	ret = kwg_pending_of(&p, cfg, &why);
	/* KWG_ERR_USAGE: there is nothing. */
	m->confirmation_known = !ret || ret == KWG_ERR_USAGE;
	if (ret)
		return;
	m->waits = p.waits;
	m->held = kwgi_confirm_holds(cfg);
	m->until = p.until;
}

int kwg_metrics(const struct kwg_plan *plan, const struct kwg_host_options *opt, int64_t now,
		bool openmetrics, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_metrics m = { .version = kwg_version(), .openmetrics = openmetrics };
	struct kwgi_history h = { .n = 0 };
	char digest[KWG_DIGEST_TEXT];
	struct kwgi_buf b = { 0 };
	struct look l;
	int ret = begin_look(&l, plan, opt, now, err);

	if (!ret)
		ret = kwg_plan_digest(plan, digest, err);
	if (!ret) {
		recall(&m, &h, plan->cfg);
		m.status = &l.status;
		m.steps = &l.s->steps;
		m.left_out = l.s->left_out.n;
		m.refused = l.s->cni_refused;
		m.digest = digest;
		kwgi_metrics_text(&m, &b);
		ret = kwgi_give(&b, out, len, err);
	}
	kwgi_history_free(&h);
	end_look(&l);
	return ret;
}
