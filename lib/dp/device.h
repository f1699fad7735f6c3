/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A WireGuard device without I/O: packets, datagrams, time and random bytes
 * come in; datagrams, packets and a deadline go out.
 *
 * Threads. kwgi_send_batch() and kwgi_receive_batch() may run in several
 * threads at once, as long as no other function of the device does. What they
 * find that they may not change themselves is told in their results, for
 * kwgi_send_slow(), kwgi_receive_slow() and kwgi_run_deferred() (dp/deferred.h),
 * which want the device alone, as all the rest does.
 */
#ifndef KWGI_DEVICE_H
#define KWGI_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/aead.h"
#include "dp/allowedips.h"
#include "dp/indextable.h"
#include "dp/keymap.h"
#include "dp/peer.h"
#include "dp/ratelimiter.h"
#include "dp/uapi_text.h"

/* Nanoseconds: of a clock that counts suspend and never goes back; and since 1970. */
struct kwgi_time {
	uint64_t now, wall;
};

enum kwgi_event {
	KWGI_EVENT_INITIATION_SENT,
	KWGI_EVENT_INITIATION_RECEIVED,
	KWGI_EVENT_RESPONSE_SENT,
	KWGI_EVENT_RESPONSE_RECEIVED,
	KWGI_EVENT_COOKIE_REPLY_SENT,
	KWGI_EVENT_COOKIE_RECEIVED,
	KWGI_EVENT_KEEPALIVE_SENT,
	KWGI_EVENT_GAVE_UP,
	KWGI_EVENT_KEYS_ERASED,
	KWGI_EVENT_PEER_ADDED,
	KWGI_EVENT_PEER_REMOVED,
};

/* What the device asks of its surroundings. */
struct kwgi_device_io {
	void *arg;
	void (*random)(void *arg, void *out, size_t len);
	/*
	 * Sends a datagram with this TOS byte. May clear the source of the path
	 * when it does not serve any more.
	 */
	void (*send)(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos);
	/* Tells; NULL: nobody listens. p may be NULL. */
	void (*event)(void *arg, const struct kwgi_dp_peer *p, enum kwgi_event event);
	/*
	 * For configuration; each may be NULL and returns 0 or an errno. port: 0 means
	 * any. scope: the interface index of a name.
	 */
	int (*listen)(void *arg, uint16_t port);
	int (*fwmark)(void *arg, uint32_t mark);
	uint32_t (*scope)(void *arg, const char *name);
	/*
	 * Memory for what holds keys, zeroed; the device is held alone. It is wiped when it is
	 * given back. Both NULL: of the heap.
	 */
	void *(*alloc)(void *arg, size_t size);
	void (*release)(void *arg, void *p, size_t size);
	/* How many sources of handshakes are told apart under load; 0: as many as may attack a host. */
	uint32_t sources;
};

enum {
	KWGI_BATCH = 256,		/* packets sealed or opened at once, at most */
	/*
	 * Load begins when so many wait, or came faster than KWGI_LOAD_COST each: a mesh whose nodes
	 * all begin at once does not do that, a flood does within half a second. What waits by then
	 * is worked off; of what comes under load, fewer wait, so that who is honest waits less.
	 */
	KWGI_HANDSHAKE_QUEUE = 1536,
	KWGI_UNDER_LOAD_QUEUE = 1024,
	KWGI_TOS_HANDSHAKE = 0x88,	/* AF41, as the kernel's */
	/* Waiting, of all peers together: a host may have many dead peers and much to say to them. */
	KWGI_STAGED_BYTES = 16 * 1024 * 1024,
	KWGI_HOLDERS = 25,		/* powers of two up to that */
};

_Static_assert(KWGI_STAGED_BYTES == 1 << (KWGI_HOLDERS - 1), "each number of bytes has its list");

/* ns of time for a handshake, in the long run: as each takes about half of it, half of a processor. */
#define KWGI_LOAD_COST (100 * KWGI_MS / 512)

struct kwgi_queued_handshake {
	struct kwgi_path from;
	bool suspect;			/* came under load: has to show a cookie */
	uint8_t len;
	uint8_t msg[KWGI_HANDSHAKE_MAX];
};

struct kwgi_device {
	struct kwgi_device_io io;
	const struct kwgi_aead *aead;
	struct kwgi_allowedips allowed_ips;
	struct kwgi_indextable indices;
	uint32_t index_prefix;		/* what all of them begin with, */
	uint8_t index_bits;		/* in so many bits */
	uint32_t mtu;			/* caps padding; 0: unknown */
	bool up;
	bool new_paths;			/* some peer's path has no way yet; the caller resets it */

	struct kwgi_identity identity;
	struct kwgi_keymap by_key;
	struct kwgi_dp_peer *first, *last;
	uint32_t n_peers;
	uint16_t listen_port;		/* as configured, or what io.listen made of 0 */
	uint32_t fwmark;

	struct kwgi_cookie_checker checker;
	struct kwgi_ratelimiter limiter;
	uint64_t under_load_until;
	uint64_t busy_until;		/* all that came, at KWGI_LOAD_COST each */
	struct kwgi_queued_handshake *queue;	/* ring of queue_size, which grows when needed */
	unsigned queue_head, queue_len, queue_size;

	struct kwgi_dp_peer **heap;	/* of timers, by scheduled */
	uint32_t heap_len, heap_cap;
	size_t staged_bytes;
	struct kwgi_dp_peer *holders[KWGI_HOLDERS];	/* of waiting packets; peer.c */
};

/* NULL without memory. aead as chosen by kwgi_aead_best(). */
struct kwgi_device *kwgi_device_new(const struct kwgi_device_io *io, const struct kwgi_aead *aead);
/* Wipes and frees it. NULL is fine. */
void kwgi_device_free(struct kwgi_device *d);

/* ---- configuration ------------------------------------ */

/* The link's state: down forgets sessions, up begins anew. */
void kwgi_device_set_up(struct kwgi_device *d, bool up, const struct kwgi_time *t);
/* The same, and up again begins a handshake at once with each peer that had a session before. */
void kwgi_device_suspend(struct kwgi_device *d, const struct kwgi_time *t);
void kwgi_device_resume(struct kwgi_device *d, const struct kwgi_time *t);
void kwgi_device_set_private_key(struct kwgi_device *d, const struct kwgi_key *key);

struct kwgi_dp_peer *kwgi_device_find(const struct kwgi_device *d,
				      const struct kwgi_key *public_key);
/* A new peer, the last of the list; NULL without memory, or if the key is our own. */
struct kwgi_dp_peer *kwgi_device_add(struct kwgi_device *d, const struct kwgi_key *public_key);
void kwgi_device_remove(struct kwgi_device *d, struct kwgi_dp_peer *p);
void kwgi_peer_set_psk(struct kwgi_dp_peer *p, const struct kwgi_key *psk);
void kwgi_peer_set_path(struct kwgi_dp_peer *p, const struct kwgi_path *path);
/* ns; turned on while the device is up, a keepalive is due at once. */
void kwgi_peer_set_persistent(struct kwgi_device *d, struct kwgi_dp_peer *p, uint64_t interval,
			      const struct kwgi_time *t);
/* All sticky sources: after a change of port or mark. */
void kwgi_device_clear_sources(struct kwgi_device *d);
/* Those that are this address, of 4 or 16 bytes by family: it is not ours any more. */
void kwgi_device_forget_source(struct kwgi_device *d, uint8_t family, const uint8_t *source);

/* Carries a parsed request out; returns 0 or the errno that the answer tells. */
int kwgi_device_configure(struct kwgi_device *d, const struct kwgi_uapi_set *set,
			  const struct kwgi_time *t);
/* The answer to get=1, without its errno line. */
void kwgi_device_print(const struct kwgi_device *d, struct kwgi_buf *out);

/* ---- many packets at once ------------------------------------ */

struct kwgi_deferred;

enum kwgi_send_status {
	KWGI_SEND_NOW,		/* sealed: message, message_len, to peer->path */
	KWGI_SEND_SLOW,		/* untouched; to be given to kwgi_send_slow() */
	KWGI_SEND_NO_PEER,	/* its destination is nobody's */
	KWGI_SEND_NO_PATH,	/* nobody knows where its peer is */
};

/* A packet on its way out. It is sealed in place. */
struct kwgi_outgoing {
	/* In: the inner packet; 16 bytes room before it, its padding and 16 behind it. */
	uint8_t *packet;
	uint32_t len;
	/* Out: */
	enum kwgi_send_status status;
	struct kwgi_dp_peer *peer;		/* until the device is let go */
	uint8_t tos;
	uint8_t *message;
	uint32_t message_len;
};

/*
 * Finds the peers of n packets and seals them; packets of one peer keep their
 * order and are those that stand together.
 */
void kwgi_send_batch(struct kwgi_device *d, struct kwgi_outgoing *v, unsigned n, uint64_t now,
		     struct kwgi_deferred *todo);
/* Stages a packet that had no session, and asks for one. */
void kwgi_send_slow(struct kwgi_device *d, const struct kwgi_outgoing *o,
		    const struct kwgi_time *t);

enum kwgi_receive_status {
	KWGI_RECEIVED_PACKET,		/* packet, packet_len: for the host */
	KWGI_RECEIVED_KEEPALIVE,
	KWGI_RECEIVED_HANDSHAKE,	/* well-formed; to be given to kwgi_queue_handshake() */
	KWGI_DROPPED_MALFORMED,
	KWGI_DROPPED_NO_SESSION,
	KWGI_DROPPED_NOT_AUTHENTIC,
	KWGI_DROPPED_REPLAY,
	KWGI_DROPPED_CONTENT,		/* no IP packet, or congested and not ECN-capable */
	KWGI_DROPPED_SOURCE,		/* not an allowed IP of the peer */
};

/* A datagram that has arrived. It is opened in place. */
struct kwgi_incoming {
	uint8_t *message;
	uint32_t message_len;
	const struct kwgi_path *from;
	uint8_t tos;			/* of the outer packet */
	/* Out: */
	enum kwgi_receive_status status;
	bool slow;			/* to be given to kwgi_receive_slow() as well */
	uint32_t index;			/* of its session, for that */
	uint8_t *packet;		/* in message */
	uint32_t packet_len;
};

void kwgi_receive_batch(struct kwgi_device *d, struct kwgi_incoming *v, unsigned n, uint64_t now,
			struct kwgi_deferred *todo);
/* Takes over what an authentic datagram has told: a new path, a confirmed session. */
void kwgi_receive_slow(struct kwgi_device *d, const struct kwgi_incoming *in,
		       const struct kwgi_time *t);

/* ---- handshakes and timers ------------------------------------ */

/* Queues a handshake message with a valid mac1; the rest is dropped. */
void kwgi_queue_handshake(struct kwgi_device *d, const struct kwgi_incoming *in, uint64_t now);
/* Works at most this many off; returns how many are left. */
unsigned kwgi_work_handshakes(struct kwgi_device *d, unsigned max, const struct kwgi_time *t);

/* Runs what is due; returns when to call again, UINT64_MAX: never. */
uint64_t kwgi_timers_run(struct kwgi_device *d, const struct kwgi_time *t);
/* The same for at most max peers: each may begin a handshake. */
uint64_t kwgi_timers_work(struct kwgi_device *d, unsigned max, const struct kwgi_time *t);
uint64_t kwgi_timers_next(const struct kwgi_device *d);

/* ---- for one thread ------------------------------------ */

/* Both do all that the functions above do for one packet or datagram. */
enum kwgi_send_status kwgi_device_send(struct kwgi_device *d, uint8_t *packet, uint32_t len,
				       const struct kwgi_time *t);
enum kwgi_receive_status kwgi_device_receive(struct kwgi_device *d, struct kwgi_incoming *in,
					     const struct kwgi_time *t);

#endif
