/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The text of the WireGuard userspace API (wireguard.com/xplatform), in both
 * directions, as values: no socket and no device here. A request is read as a
 * whole before anything of it is applied.
 */
#ifndef KWGI_UAPI_TEXT_H
#define KWGI_UAPI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/key.h"
#include "dp/allowedips.h"

enum {
	KWGI_UAPI_LINE_MAX = 4096,		/* longer lines are refused */
	KWGI_UAPI_REQUEST_MAX = 64 << 20,	/* enough for 2^16 peers; for whoever reads */
};

/* ---- requests ------------------------------------ */

enum kwgi_uapi_op {
	KWGI_UAPI_GET,
	KWGI_UAPI_SET,
};

struct kwgi_uapi_endpoint {
	struct kwgi_addr addr;			/* a v4-mapped address is an IPv4 one */
	uint16_t port;				/* host order, not 0 */
	uint32_t scope_id;			/* IPv6: interface index, or 0 */
	const char *scope;			/* IPv6: interface name to be looked up, or NULL */
};

enum kwgi_uapi_ip_op {
	KWGI_UAPI_IP_ADD,
	KWGI_UAPI_IP_REMOVE,			/* "-PREFIX" */
	KWGI_UAPI_IP_CLEAR,			/* replace_allowed_ips=true; no prefix */
};

struct kwgi_uapi_ip {
	struct kwgi_prefix prefix;		/* host bits are zero; v4-mapped ones stay IPv6 */
	uint8_t op;				/* enum kwgi_uapi_ip_op */
};

/* What a section of a peer, or the part before the first one, says. */
enum {
	KWGI_UAPI_PRIVATE_KEY = 1 << 0,		/* zero: take it away */
	KWGI_UAPI_LISTEN_PORT = 1 << 1,
	KWGI_UAPI_FWMARK = 1 << 2,
	KWGI_UAPI_REPLACE_PEERS = 1 << 3,

	KWGI_UAPI_REMOVE = 1 << 0,		/* wherever it stands, no peer is left */
	KWGI_UAPI_UPDATE_ONLY = 1 << 1,		/* an unknown peer: skip the section */
	KWGI_UAPI_PSK = 1 << 2,			/* zero: none */
	KWGI_UAPI_ENDPOINT = 1 << 3,
	KWGI_UAPI_KEEPALIVE = 1 << 4,
};

/* One public_key= and what follows. Two sections may name one peer: apply one after the other. */
struct kwgi_uapi_peer {
	struct kwgi_key public_key;
	struct kwgi_key psk;
	struct kwgi_uapi_endpoint endpoint;
	const struct kwgi_uapi_ip *ips;		/* to be applied in this order */
	uint32_t n_ips;
	uint16_t keepalive;			/* seconds, 0: off */
	uint8_t parts;				/* KWGI_UAPI_REMOVE ... KEEPALIVE */
};

struct kwgi_uapi_set {
	struct kwgi_key private_key;		/* as it was written: not clamped */
	uint32_t fwmark;
	uint16_t listen_port;
	uint8_t parts;				/* KWGI_UAPI_PRIVATE_KEY ... REPLACE_PEERS */
	const struct kwgi_uapi_peer *peers;
	uint32_t n_peers;
};

struct kwgi_uapi_request {
	enum kwgi_uapi_op op;
	struct kwgi_uapi_set set;		/* of KWGI_UAPI_SET */
};

/*
 * Length of the first request in what has been read so far, with the empty
 * line that ends it, or 0 if that is still missing. *scanned (0 at first)
 * keeps what was looked at already, so that reading in pieces costs no more;
 * set it to 0 again when a request has been taken out of the buffer.
 */
size_t kwgi_uapi_request_len(const char *text, size_t len, size_t *scanned);

/* Where a request is wrong: its line, from 1 on, and the key that stands there. */
struct kwgi_uapi_fault {
	unsigned line;
	char key[32];		/* only letters and underscores; "" if it is none that is known */
};

/*
 * Reads exactly one request, empty line included. What it points to is in the
 * arena and holds keys: kwgi_arena_free() and wiping *out are the caller's,
 * also after an error. Returns 0, or the errno (positive) for the client:
 *   EPROTO	a line without "=", no empty line at the end or more text after it
 *   EINVAL	unknown operation or key, a key in the wrong part, a bad value, a long line
 *   ENOMEM	no memory
 * After an error *out is zeroed.
 */
int kwgi_uapi_parse(struct kwgi_uapi_request *out, struct kwgi_arena *a,
		    const char *text, size_t len);
/* The same, and says where the fault is. */
int kwgi_uapi_parse_at(struct kwgi_uapi_request *out, struct kwgi_arena *a,
		       const char *text, size_t len, struct kwgi_uapi_fault *fault);

/* ---- answers ------------------------------------ */

struct kwgi_uapi_device_info {
	const struct kwgi_key *private_key;	/* NULL: none */
	uint32_t fwmark;			/* 0: none */
	uint16_t listen_port;			/* 0: none */
};

struct kwgi_uapi_peer_info {
	const struct kwgi_key *public_key;
	const struct kwgi_key *psk;		/* NULL: none, written as zeros */
	const struct kwgi_uapi_endpoint *endpoint;	/* NULL: unknown */
	uint64_t handshake_sec;			/* wall clock of the last handshake, 0: never */
	uint32_t handshake_nsec;
	uint64_t tx_bytes, rx_bytes;
	uint16_t keepalive;
	const struct kwgi_allowedips_list *ips;	/* NULL: none */
};

/*
 * An answer to get: the device, then each peer in order of creation, then the
 * errno. It holds keys: kwgi_buf_free() wipes. A failure sticks in the buffer.
 */
void kwgi_uapi_print_device(struct kwgi_buf *b, const struct kwgi_uapi_device_info *d);
void kwgi_uapi_print_peer(struct kwgi_buf *b, const struct kwgi_uapi_peer_info *p);

/* "errno=N" and the empty line that ends every answer. e is 0 or positive; it is written negative. */
void kwgi_uapi_print_errno(struct kwgi_buf *b, int e);

#endif
