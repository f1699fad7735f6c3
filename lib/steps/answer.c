/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "steps/answer.h"

enum { KEEPALIVE_BYTES = 32 };

const char *const kwgi_answer_names[] = { "ok", "idle", "unanswered", "missing" };

/* One that lies in the future, by a clock that was set back, counts as now. */
static bool has_session(const struct kwgi_answer_look *l)
{
	return l->peer->last_handshake && l->wall - l->peer->last_handshake < KWGI_SESSION_LASTS;
}

/* Was there still a session at the look that the memo begins with? */
static bool had_session(const struct kwgi_answer_memo *m, const struct kwgi_answer_look *l)
{
	return m->handshake && l->wall - (l->boot - m->at) - m->handshake < KWGI_SESSION_LASTS;
}

/*
 * Without a session, what comes is the beginning of handshakes that the peer
 * makes: it does not get our answers to these.
 */
static bool has_answered(const struct kwgi_answer_memo *m, const struct kwgi_answer_look *l)
{
	if (!m->at || m->at > l->boot || m->handshake != l->peer->last_handshake ||
	    l->peer->rx_bytes < m->rx || l->peer->tx_bytes < m->tx)
		return true;
	return l->peer->rx_bytes != m->rx && had_session(m, l);
}

/* Keepalives want no answer: the one that follows what came last, and persistent ones. */
static uint64_t unasked_bytes(const struct kwgi_answer_memo *m, const struct kwgi_answer_look *l)
{
	uint64_t n = 1;

	if (!had_session(m, l))
		return 0;
	if (l->peer->keepalive)
		n += (uint64_t)(l->boot - m->at) / l->peer->keepalive + 1;
	return n * KEEPALIVE_BYTES;
}

static bool has_sent(const struct kwgi_answer_memo *m, const struct kwgi_answer_look *l)
{
	if (has_session(l))
		return l->peer->tx_bytes - m->tx > unasked_bytes(m, l);
	/* Persistent keepalives begin a handshake, too. */
	if (l->keepalive && l->peer->endpoint.port)
		return true;
	return l->peer->last_handshake ? l->peer->tx_bytes - m->tx > unasked_bytes(m, l)
				       : l->peer->tx_bytes > 0;
}

void kwgi_answer_note(struct kwgi_answer_memo *m, const struct kwgi_answer_look *l)
{
	if (has_answered(m, l))
		*m = (struct kwgi_answer_memo){
			.key = l->peer->key, .handshake = l->peer->last_handshake,
			.rx = l->peer->rx_bytes, .tx = l->peer->tx_bytes, .at = l->boot,
		};
	if (!m->sent_at && has_sent(m, l))
		m->sent_at = l->boot;
}

enum kwgi_answer_state kwgi_answer_judge(const struct kwgi_answer_memo *m,
				   const struct kwgi_answer_look *l, bool *sure)
{
	*sure = true;
	if (has_session(l))
		return m->sent_at && l->boot - m->sent_at >= KWGI_ANSWER_WAIT_SESSION ?
		       KWGI_ANSWER_NONE : KWGI_ANSWER_OK;
	if (m->sent_at) {
		*sure = l->boot - m->sent_at >= KWGI_ANSWER_WAIT;
		return KWGI_ANSWER_NONE;
	}
	/* Who had a session once may be sent to right now: that shows within some seconds only. */
	*sure = !l->peer->last_handshake || l->boot - m->at >= KWGI_ANSWER_WAIT;
	return KWGI_ANSWER_IDLE;
}
