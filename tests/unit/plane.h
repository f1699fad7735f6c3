/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The workers of a data plane, as they are, between stand-ins for all that they call of the system:
 * a TUN device and sockets that are queues in memory, a clock, and locks that only look whether
 * they are used well. On the other side of the sockets are devices, the peers. Whatever is sent, in
 * either direction, has to arrive once, unchanged, and in order; what a stand-in is given has to
 * lie within the worker's memory. The program is aborted if something is wrong.
 *
 * There is one plane. Its host is 10.1.0.1 and fd01::1, peer n is 10.9.x.y and fd09::n.
 */
#ifndef PLANE_H
#define PLANE_H

#include <stdbool.h>
#include <stdint.h>

#include "dp/device.h"

enum { PLANE_PEERS = 300, PLANE_WORKERS = 4 };	/* at most */

struct plane_options {
	unsigned peers, workers;
	bool offloads;		/* of the TUN device and the sockets */
};

/* One read from the TUN device, or one packet of a peer. */
struct plane_packet {
	unsigned peer, worker;	/* to or from whom; the queue it is read from, if it is read */
	bool ip6;
	uint8_t tos;
	uint32_t payload;	/* of TCP */
	uint32_t gso;		/* not 0: to be cut into segments with so much payload; with offloads */
};

/* All peers have a session afterwards. */
void plane_begin(const struct plane_options *o);
void plane_end(void);

/* The host sends; or the peer does. Nothing is looked at before plane_turns(). */
void plane_send(const struct plane_packet *p);
void plane_answer(const struct plane_packet *p);
/* A datagram that no peer has made, as if from this one. */
void plane_intrude(unsigned peer, const uint8_t *data, size_t len);
/* Turns of all workers until nothing is left. What had to arrive has. */
void plane_turns(void);

/* Each begins with the turns that are due. */
void plane_tick(uint64_t ns);
void plane_set_mtu(uint32_t mtu);
void plane_set_up(bool up);
/* A request of UAPI. */
void plane_configure(const char *text, size_t len);

/* The public key of a peer, for that. */
const struct kwgi_key *plane_key(unsigned peer);

/* Reads of the TUN device and messages to the sockets so far; the most messages of one call. */
struct plane_count {
	unsigned long reads, messages, datagrams, received, writes;
	unsigned most;
};
extern struct plane_count plane_count;

#endif
