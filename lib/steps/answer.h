/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Does a peer answer? WireGuard tells when the last handshake was, and how many
 * bytes came and went; not when. So one look at a peer is compared with those
 * before it, the first of which may be from an earlier run.
 */
#ifndef KWGI_ANSWER_H
#define KWGI_ANSWER_H

#include "steps/snapshot.h"

enum kwgi_answer_state {
	KWGI_ANSWER_OK,		/* there is a session */
	KWGI_ANSWER_IDLE,	/* there is none, and nothing was sent that asks for one */
	KWGI_ANSWER_NONE,	/* packets went out, and nothing came back */
	KWGI_ANSWER_MISSING,	/* WireGuard does not know the peer */
};

enum {
	/* WireGuard paper, 6.1: after this many seconds a session carries nothing any more. */
	KWGI_SESSION_LASTS = 180,
	/* Seconds. Without an answer a handshake begins anew after 5 (paper, 6.4). */
	KWGI_ANSWER_WAIT = 6,
	/* With a session every packet is answered by then, with a keepalive if need be (6.5). */
	KWGI_ANSWER_WAIT_SESSION = 15,
};

/* What is kept of the looks at one peer; at and sent_at in seconds since the start of the host. */
struct kwgi_answer_memo {
	struct kwgi_key key;
	int64_t handshake;		/* as WireGuard says it, in seconds since 1970 */
	uint64_t rx, tx;		/* bytes when it last answered, as far as was seen ... */
	int64_t at;			/* ... at this time */
	int64_t sent_at;		/* when it was first seen that more had been sent since; 0: never */
};

/* One look at a peer. */
struct kwgi_answer_look {
	const struct kwgi_host_peer *peer;
	uint32_t keepalive;		/* that it is to get; seconds */
	int64_t wall, boot;		/* now: seconds since 1970, and since the start of the host */
};

/* *memo: of the looks before, all zero if there were none; becomes that of this one. */
void kwgi_answer_note(struct kwgi_answer_memo *memo, const struct kwgi_answer_look *look);

/* memo: with this look. *sure becomes false if another look some seconds later may say otherwise. */
enum kwgi_answer_state kwgi_answer_judge(const struct kwgi_answer_memo *memo,
				   const struct kwgi_answer_look *look, bool *sure);

extern const char *const kwgi_answer_names[];

#endif
