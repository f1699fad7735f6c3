/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The messages of WireGuard as they are on the wire, and the constants of the
 * protocol (WireGuard paper, sections 5.4 and 6.1). Integers are little-endian
 * byte arrays here, so that these structs have no padding and no alignment.
 */
#ifndef KWGI_MESSAGES_H
#define KWGI_MESSAGES_H

#include <stdint.h>

#include "dp/blake2s.h"

enum {
	KWGI_MSG_INITIATION = 1,
	KWGI_MSG_RESPONSE = 2,
	KWGI_MSG_COOKIE_REPLY = 3,
	KWGI_MSG_TRANSPORT = 4,
};

enum {
	KWGI_TAG_LEN = 16,
	KWGI_COOKIE_LEN = 16,
	KWGI_COOKIE_NONCE_LEN = 24,
	KWGI_TIMESTAMP_LEN = 12,	/* TAI64N */
	KWGI_PADDING = 16,
	KWGI_STAGED_MAX = 128,		/* packets that wait for a session, per peer */
};

/* Nanoseconds, on a clock that counts suspend. */
#define KWGI_SECOND UINT64_C(1000000000)
#define KWGI_MS UINT64_C(1000000)

#define REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
#define REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13))
#define REKEY_AFTER_TIME (120 * KWGI_SECOND)
#define REJECT_AFTER_TIME (180 * KWGI_SECOND)
#define REKEY_TIMEOUT (5 * KWGI_SECOND)
#define REKEY_TIMEOUT_JITTER (333 * KWGI_MS)
#define KEEPALIVE_TIMEOUT (10 * KWGI_SECOND)
#define COOKIE_SECRET_LIFETIME (120 * KWGI_SECOND)
#define COOKIE_LATENCY (5 * KWGI_SECOND)
#define KWGI_TIMESTAMP_STEP (UINT64_C(1) << 24)	/* ns; timestamps are rounded down to it */
#define INITIATIONS_INTERVAL (20 * KWGI_MS)	/* of one peer that are accepted */
enum { MAX_HANDSHAKE_RETRIES = 18 };		/* about REKEY_ATTEMPT_TIME */

struct kwgi_macs {
	uint8_t mac1[KWGI_MAC_LEN];
	uint8_t mac2[KWGI_MAC_LEN];
};

struct kwgi_initiation {
	uint8_t type[4];
	uint8_t sender[4];
	uint8_t ephemeral[32];
	uint8_t encrypted_static[32 + KWGI_TAG_LEN];
	uint8_t encrypted_timestamp[KWGI_TIMESTAMP_LEN + KWGI_TAG_LEN];
	struct kwgi_macs macs;
};

struct kwgi_response {
	uint8_t type[4];
	uint8_t sender[4];
	uint8_t receiver[4];
	uint8_t ephemeral[32];
	uint8_t encrypted_nothing[KWGI_TAG_LEN];
	struct kwgi_macs macs;
};

struct kwgi_cookie_reply {
	uint8_t type[4];
	uint8_t receiver[4];
	uint8_t nonce[KWGI_COOKIE_NONCE_LEN];
	uint8_t encrypted_cookie[KWGI_COOKIE_LEN + KWGI_TAG_LEN];
};

/* Ciphertext and tag follow. */
struct kwgi_transport {
	uint8_t type[4];
	uint8_t receiver[4];
	uint8_t counter[8];
};

enum {
	KWGI_TRANSPORT_MIN = sizeof(struct kwgi_transport) + KWGI_TAG_LEN,
	KWGI_HANDSHAKE_MAX = sizeof(struct kwgi_initiation),
};

_Static_assert(sizeof(struct kwgi_initiation) == 148, "initiation");
_Static_assert(sizeof(struct kwgi_response) == 92, "response");
_Static_assert(sizeof(struct kwgi_cookie_reply) == 64, "cookie reply");
_Static_assert(sizeof(struct kwgi_transport) == 16, "transport");

static inline uint32_t kwgi_get32(const uint8_t p[4])
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t kwgi_get64(const uint8_t p[8])
{
	return (uint64_t)kwgi_get32(p) | (uint64_t)kwgi_get32(p + 4) << 32;
}

static inline void kwgi_put32(uint8_t p[4], uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(n >> 8 * i);
}

static inline void kwgi_put64(uint8_t p[8], uint64_t n)
{
	kwgi_put32(p, (uint32_t)n);
	kwgi_put32(p + 4, (uint32_t)(n >> 32));
}

#endif
