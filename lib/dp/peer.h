/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * One peer: its sessions, timers and waiting packets.
 *
 * Locking. Whoever changes the device, a peer or a table holds the device
 * alone. kwgi_send_batch() and kwgi_receive_batch() run in several threads at once;
 * they read everything, and change only what is atomic here or guarded by a
 * keypair's replay_lock.
 *
 * With device.h it is in a circle of files: a device has its peers, and what a peer's sessions do
 * changes the tables of the device.
 */
#ifndef KWGI_PEER_H
#define KWGI_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/allowedips.h"
#include "dp/cookie.h"
#include "dp/noise.h"
#include "dp/replay.h"

struct kwgi_device;
struct kwgi_device_io;

/* Where datagrams to a peer go, and from which of our addresses. */
struct kwgi_path {
	uint8_t family;		/* 4 or 6; 0: nowhere */
	uint8_t addr[16];	/* network order, the rest zero */
	uint16_t port;		/* host order */
	uint32_t scope;		/* interface of a link-local address, or 0 */
	bool has_source;	/* sticky source: where its last datagram arrived */
	uint8_t source[16];
	uint32_t source_ifindex;
	/* Through which interface the way led when that was asked first; 0: not yet. */
	uint32_t way;
	bool way_changed;	/* it leads elsewhere now: meanwhile the source is not used */
};

/* Do they lead to the same place, from the same address? A link-local one is one with its link. */
bool kwgi_path_same(const struct kwgi_path *a, const struct kwgi_path *b);

/*
 * What becomes of a session that the peer began while an initiation of our own was on its way
 * (both sides begin at once). Two sessions may come of that, and both sides have to agree on one.
 */
enum kwgi_crossing {
	KWGI_CROSSING_NONE,
	KWGI_CROSSING_OPEN,	/* our own initiation has no answer yet */
	KWGI_CROSSING_RIVAL,	/* it has, and that session is the current one */
	KWGI_CROSSING_LOST,	/* another is used: this one only receives */
};

/* A session. What only it needs is together, what every packet needs comes first. */
struct kwgi_keypair {
	struct kwgi_dp_peer *peer;
	_Atomic uint64_t next_counter;	/* of what we send */
	uint64_t created;
	uint32_t local_index, remote_index;
	bool initiator;			/* by us */
	bool may_send;			/* false once our private key has changed */
	enum kwgi_crossing crossing;	/* of p->next_pair */
	struct kwgi_key send_key, receive_key;
	atomic_flag replay_lock;
	struct kwgi_replay replay;
};

/* A packet that waits for a session; with room for header, padding and tag. */
struct kwgi_staged {
	struct kwgi_staged *next;
	uint32_t len;			/* of the inner packet; 0: a keepalive */
	uint32_t size;			/* of data */
	uint8_t data[];			/* the inner packet is at sizeof(struct kwgi_transport) */
};

/* A timer is the time at which it is due; 0: not armed. */
struct kwgi_timers {
	_Atomic uint64_t keepalive, new_handshake, persistent;
	_Atomic bool another_keepalive;
	uint64_t retransmit, erase;
	uint64_t jitter;		/* of the next new_handshake */
	/* When kwgi_timers_run() looks at this peer; UINT64_MAX: never. */
	_Atomic uint64_t scheduled;
	uint32_t heap_slot;
};

struct kwgi_dp_peer {
	struct kwgi_keypair *current, *previous, *next_pair;
	struct kwgi_path path;
	struct kwgi_allowedips_list allowed_ips;
	_Atomic uint64_t rx_bytes, tx_bytes;
	atomic_flag deferred;		/* stands in a struct kwgi_deferred already */
	struct kwgi_timers timers;
	uint64_t persistent_interval;	/* ns; 0: off */

	struct kwgi_remote remote;
	struct kwgi_handshake handshake;
	bool handshake_indexed;		/* its local_index is in the table */
	uint8_t greatest_timestamp[KWGI_TIMESTAMP_LEN];
	uint64_t next_initiation_wall;	/* the least wall clock of our next timestamp */
	uint64_t last_initiation_received, last_handshake_sent;	/* 0: never */
	uint64_t handshake_pause;	/* ns after it: no initiation of ours */
	uint64_t last_handshake_wall;	/* ns since 1970; 0: never */
	unsigned attempts;
	bool last_minute_sent;		/* initiation shortly before the session's end */
	bool had_session;		/* when the device was suspended */
	struct kwgi_cookie_maker cookie;

	struct kwgi_staged *staged, **staged_end;
	unsigned staged_count;
	size_t staged_bytes;
	/* Others that hold about as much: device's holders. */
	struct kwgi_dp_peer *prev_holder, *next_holder;

	struct kwgi_dp_peer *prev_peer, *next_peer;	/* in the order of creation */
};

/* An authentic message has come from there; the device is held alone. */
void kwgi_peer_moved(struct kwgi_device *d, struct kwgi_dp_peer *p, const struct kwgi_path *from);

/* ---- memory: the device is held alone ------------------------------------ */

/* Memory for what holds keys, zeroed; NULL without. io: also before there is a device. */
void *kwgi_secret_alloc(const struct kwgi_device_io *io, size_t size);
/* Wipes it and gives it back. */
void kwgi_secret_free(const struct kwgi_device_io *io, void *p, size_t size);

/* ---- sessions: the device is held alone ------------------------------------ */

/* A keypair with no index yet, or NULL. */
struct kwgi_keypair *kwgi_keypair_new(struct kwgi_device *d, struct kwgi_dp_peer *p,
				      const struct kwgi_session_keys *keys, uint32_t remote_index, bool initiator, uint64_t now);
/* Takes its index out of the table, wipes and frees it. NULL is fine. */
void kwgi_keypair_drop(struct kwgi_device *d, struct kwgi_keypair *kp);

/* The rotation of keypairs (WireGuard paper, section 6.3); both sides at once: peer.c. */
void kwgi_peer_begin_as_initiator(struct kwgi_device *d, struct kwgi_dp_peer *p,
				  struct kwgi_keypair *kp);
void kwgi_peer_begin_as_responder(struct kwgi_device *d, struct kwgi_dp_peer *p,
				  struct kwgi_keypair *kp);
/* A packet has come in the session that waits for it. */
void kwgi_peer_confirm_next(struct kwgi_device *d, struct kwgi_dp_peer *p);

/* Does a packet in this session tell something new: that the peer has it? In any thread. */
static inline bool kwgi_peer_is_unconfirmed(const struct kwgi_dp_peer *p,
					    const struct kwgi_keypair *kp)
{
	return kp == p->next_pair && kp->crossing != KWGI_CROSSING_LOST;
}

/* May it be used at this time? */
bool kwgi_keypair_receives(const struct kwgi_keypair *kp, uint64_t now);
bool kwgi_keypair_sends(const struct kwgi_keypair *kp, uint64_t now);

/* Forgets the handshake and all sessions. */
void kwgi_peer_erase_keys(struct kwgi_device *d, struct kwgi_dp_peer *p);
void kwgi_peer_drop_handshake(struct kwgi_device *d, struct kwgi_dp_peer *p);

/* ---- waiting packets: the device is held alone ------------------------- */

/*
 * Copies a packet to the end of the queue; the oldest one goes if it is full. If there is no room
 * for all peers together, the oldest packets of who holds most go. Without memory, that one does.
 */
void kwgi_peer_stage(struct kwgi_device *d, struct kwgi_dp_peer *p, const uint8_t *packet,
		     uint32_t len);
void kwgi_peer_drop_staged(struct kwgi_device *d, struct kwgi_dp_peer *p);

#endif
