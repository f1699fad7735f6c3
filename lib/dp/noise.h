/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (WireGuard paper,
 * section 5.4; noiseprotocol.org revision 34): only its cryptography. Who may
 * send when, and what becomes of the sessions, is peer.c's and device.c's.
 */
#ifndef KWGI_NOISE_H
#define KWGI_NOISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/key.h"
#include "dp/messages.h"

/* Our own static key pair and what is computed from it once. */
struct kwgi_identity {
	bool set;
	struct kwgi_key private_key, public_key;
};

enum kwgi_handshake_state {
	KWGI_HANDSHAKE_NONE,
	KWGI_HANDSHAKE_INITIATION_CREATED,
	KWGI_HANDSHAKE_INITIATION_CONSUMED,
};

/* A handshake with one peer, between two messages. Wiped when it ends. */
struct kwgi_handshake {
	enum kwgi_handshake_state state;
	uint32_t local_index, remote_index;	/* local: 0 is an index like any other */
	struct kwgi_key ephemeral_private;	/* of an initiation that we sent */
	uint8_t remote_ephemeral[32];		/* of an initiation that we received */
	uint8_t hash[32], chaining_key[32];
};

/* What is fixed about the other side. */
struct kwgi_remote {
	struct kwgi_key static_public, psk;	/* psk: all zero if there is none */
	struct kwgi_key static_static;		/* DH of both static keys */
	bool has_static_static;			/* false also if the result is all zero */
};

/* An initiation whose sender is known, but that has changed nothing yet. */
struct kwgi_opened_initiation {
	uint32_t remote_index;
	uint8_t static_public[32];
	uint8_t timestamp[KWGI_TIMESTAMP_LEN];	/* after kwgi_noise_open_timestamp() */
	uint8_t ephemeral[32];
	uint8_t hash[32], chaining_key[32];
};

/* Keys of a session, named from our side. */
struct kwgi_session_keys {
	struct kwgi_key send, receive;
};

/*
 * Sets the private key, clamped, and computes the public one. All zero: no key.
 * The old one is wiped.
 */
void kwgi_identity_set(struct kwgi_identity *id, const struct kwgi_key *private_key);

/* Computes the DH of both static keys; to be called when either has changed. */
void kwgi_remote_precompute(struct kwgi_remote *r, const struct kwgi_identity *id);

/*
 * Makes an initiation without macs; h->local_index is its sender index. The
 * caller gives 32 random bytes for the ephemeral key and wipes them. False,
 * and h is wiped, if there is no private key or a DH result is all zero.
 */
bool kwgi_noise_create_initiation(struct kwgi_initiation *msg, struct kwgi_handshake *h,
				  const struct kwgi_identity *id, const struct kwgi_remote *r,
				  const uint8_t random[32],
				  const uint8_t timestamp[KWGI_TIMESTAMP_LEN]);

/* Opens the sender's static key: to learn whose initiation it is. The caller wipes *o. */
bool kwgi_noise_open_static(struct kwgi_opened_initiation *o, const struct kwgi_initiation *msg,
			    const struct kwgi_identity *id);

/* Opens the timestamp. That authenticates the sender; r is the peer of that static key. */
bool kwgi_noise_open_timestamp(struct kwgi_opened_initiation *o, const struct kwgi_initiation *msg,
			       const struct kwgi_remote *r);

/*
 * Answers an opened initiation: makes the response without macs, with
 * local_index as its sender index, and the keys of the new session. False
 * if a DH result is all zero.
 */
bool kwgi_noise_create_response(struct kwgi_response *msg, struct kwgi_session_keys *keys,
				const struct kwgi_opened_initiation *o,
				const struct kwgi_remote *r, uint32_t local_index,
				const uint8_t random[32]);

/*
 * Consumes the response to the initiation of h. False if it is not authentic;
 * h is as before then. On success h is wiped but for its indices.
 */
bool kwgi_noise_consume_response(struct kwgi_session_keys *keys, struct kwgi_handshake *h,
				 const struct kwgi_response *msg,
				 const struct kwgi_identity *id, const struct kwgi_remote *r);

/* Forgets the handshake. Its index has to be out of the table already. */
void kwgi_handshake_wipe(struct kwgi_handshake *h);

/*
 * TAI64N of nanoseconds since 1970, rounded down to a multiple of 2^24 ns, so
 * that a clock's exact time is not told (WireGuard paper, section 5.1;
 * cr.yp.to/libtai/tai64.html).
 */
void kwgi_tai64n(uint8_t out[KWGI_TIMESTAMP_LEN], uint64_t wall_ns);

#endif
