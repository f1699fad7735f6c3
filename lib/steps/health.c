/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "steps/health.h"

enum { CLOCK_SLACK = 2 };	/* seconds that a clock may differ from itself */

static struct kwgi_answer_look look_at(const struct kwgi_status *s, const struct kwgi_desired_peer *want,
				       const struct kwgi_host_peer *have)
{
	return (struct kwgi_answer_look){ have, want->peer.keepalive, s->now, s->boot };
}

enum kwgi_answer_state kwgi_health_answer(const struct kwgi_status *s, uint32_t i, bool *sure)
{
	const struct kwgi_desired_peer *want = &s->wanted->peers[i];
	const struct kwgi_host_peer *have = kwgi_host_peer(&s->host->wg, &want->peer.key);
	struct kwgi_answer_look look = look_at(s, want, have);
	struct kwgi_answer_memo first = { 0 };

	*sure = true;
	if (!have)
		return KWGI_ANSWER_MISSING;
	if (s->memos)
		return kwgi_answer_judge(&s->memos[i], &look, sure);
	kwgi_answer_note(&first, &look);
	return kwgi_answer_judge(&first, &look, sure);
}

/* ---- peers that do not answer ---------------------------------------- */

static const struct kwgi_wg_peer *planned(const struct kwgi_status *s, const struct kwgi_key *key)
{
	uint32_t i;

	for (i = 0; i < s->plan->n_peers; i++)
		if (!kwgi_key_cmp(&s->plan->peers[i].key, key))
			return &s->plan->peers[i];
	return NULL;
}

/* "public-key (mesh.ini:41)" */
static void put_key_place(struct kwgi_buf *b, const struct kwgi_status *s, const struct kwgi_key *key)
{
	const struct kwgi_wg_peer *p = planned(s, key);
	struct kwgi_place at = p && p->node ? p->node->key_at : p && p->peer ? p->peer->key_at
								: (struct kwgi_place){ 0 };
	char place[KWGI_PLACE_TEXT];

	kwgi_buf_puts(b, "public-key");
	if (at.line)
		kwgi_buf_printf(b, " (%s)", kwgi_diags_place(&s->plan->cfg->diags, place, at));
}

/* Its handshakes come, so that its key, clock and way are right. */
static void put_reasons_heard(struct kwgi_buf *b, const struct kwgi_desired_peer *want)
{
	kwgi_buf_puts(b, "what it sends arrives here, so our answers get lost: is there a firewall that drops UDP from here to it");
	if (!kwgi_key_is_zero(&want->peer.psk))
		kwgi_buf_puts(b, "; is preshared-key the same there");
}

/* In the order of how likely they are. */
static void put_reasons(struct kwgi_buf *b, const struct kwgi_status *s,
			const struct kwgi_desired_peer *want, const struct kwgi_host_peer *have)
{
	if (!have->last_handshake && have->rx_bytes) {
		put_reasons_heard(b, want);
		return;
	}
	if (have->last_handshake)
		kwgi_buf_puts(b, "is that host up, and kilowg applied there; is the port still open there");
	else
		kwgi_buf_puts(b, "is the port open there");
	kwgi_buf_puts(b, "; is ");
	put_key_place(b, s, &want->peer.key);
	kwgi_buf_puts(b, " the key that \"kilowg pubkey\" prints there; is its clock right");
}

static void find_unanswered(const struct kwgi_status *s, const struct kwgi_desired_peer *want,
			    const struct kwgi_host_peer *have, struct kwgi_findings *f)
{
	struct kwgi_buf text = { 0 }, remedy = { 0 };

	kwgi_buf_printf(&text, "%s: no answer from ", want->name);
	if (have->endpoint.port) {
		kwgi_buf_endpoint(&text, &have->endpoint);
		kwgi_buf_puts(&text, "/udp");
	} else {
		kwgi_buf_puts(&text, "it, and no endpoint is known");
	}
	put_reasons(&remedy, s, want, have);
	kwgi_findings_add(f, true, "no-answer", &text, &remedy);
}

static void find_missing(const struct kwgi_status *s, const struct kwgi_desired_peer *want,
			 struct kwgi_findings *f)
{
	/* If the interface is missing, all its peers are. */
	if (s->host->wg.present)
		kwgi_findings_say(f, true, "peer-missing", "%s: WireGuard does not have this peer; kilowg apply adds it",
				  want->name);
}

/* ---- the clock ------------------------------------------------------- */

/*
 * WireGuard paper, 5.1: the time in an initiation has to be later than that of
 * the last one, or the peer drops it as a replay.
 */
static void find_backward_clock(const struct kwgi_status *s, struct kwgi_findings *f)
{
	const char *name = NULL;
	int64_t ahead = 0, a;
	uint32_t i;

	for (i = 0; i < s->wanted->n_peers; i++) {
		const struct kwgi_host_peer *have =
			kwgi_host_peer(&s->host->wg, &s->wanted->peers[i].peer.key);

		a = have ? have->last_handshake - s->now : 0;
		if (a > ahead) {
			ahead = a;
			name = s->wanted->peers[i].name;
		}
	}
	if (ahead < CLOCK_SLACK)
		return;
	kwgi_findings_say(f, true, "clock-backwards",
			  "the clock of this host went backwards: the last handshake with %s was %lld seconds later than now, and peers refuse handshakes from here until then; set the clock, and let it be kept (timedatectl set-ntp yes)",
			  name, (long long)ahead);
}

void kwgi_health_peers(const struct kwgi_status *s, struct kwgi_findings *f)
{
	uint32_t i;
	bool sure;

	for (i = 0; i < s->wanted->n_peers; i++) {
		const struct kwgi_desired_peer *want = &s->wanted->peers[i];

		switch (kwgi_health_answer(s, i, &sure)) {
		case KWGI_ANSWER_OK:
		case KWGI_ANSWER_IDLE:
			break;
		case KWGI_ANSWER_NONE:
			find_unanswered(s, want, kwgi_host_peer(&s->host->wg, &want->peer.key), f);
			break;
		case KWGI_ANSWER_MISSING:
			find_missing(s, want, f);
			break;
		}
	}
	find_backward_clock(s, f);
}
