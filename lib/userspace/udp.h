/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The outer UDP sockets: one for IPv4 and one for IPv6 on the same port, read
 * and written in batches. A struct kwgi_udp is used by one thread; for more
 * threads there are kwgi_udp_open_many() and kwgi_udp_share().
 */
#ifndef KWGI_UDP_H
#define KWGI_UDP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "kilowg.h"

enum {
	KWGI_UDP_BATCH = 128,		/* messages of one call; more are cut or looped over */
	KWGI_UDP_BUFFER = 65536,	/* a receive buffer: with UDP_GRO the kernel fills it */
	KWGI_UDP_SEGMENTS = 64,		/* of one burst; only newer kernels take more */
	KWGI_UDP_MAX_V4 = 65507,	/* largest payload, also of a whole burst */
	KWGI_UDP_MAX_V6 = 65527,
};

/* Where a datagram goes to or came from. All bytes zero: nowhere. */
struct kwgi_sockaddr {
	union {
		sa_family_t family;	/* AF_UNSPEC, AF_INET, AF_INET6 */
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};
_Static_assert(sizeof(struct kwgi_sockaddr) == 28, "an endpoint is 28 bytes");

/* Our own side of a path, the "sticky source". All bytes zero: the kernel chooses. */
struct kwgi_source {
	sa_family_t family;	/* if it is not that of the endpoint, the source is not used */
	uint32_t ifindex;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
};

struct kwgi_udp_options {
	uint16_t port;		/* host order; 0: a random one */
	uint32_t fwmark;	/* 0: none */
	bool no_gso, no_gro;	/* do without, though the kernel can */
	bool no_v6;		/* IPv4 alone */
};

struct kwgi_udp_stats {
	uint64_t sent;		/* messages; a burst is one */
	uint64_t dropped;	/* messages that an error took (bursts: segments) */
	uint64_t resent;	/* bursts that went out one by one after a refusal */
	uint64_t truncated;	/* received and larger than their buffer: dropped */
	int last_error;		/* errno of the last drop */
};

struct kwgi_udp_work;

struct kwgi_udp {
	int fd4, fd6;		/* non-blocking, to poll and to hand in below; -1: none */
	uint16_t port;		/* host order */
	uint32_t fwmark;
	bool gso, gro;		/* both sockets can UDP_SEGMENT, UDP_GRO */
	struct kwgi_udp_stats stats;
	struct kwgi_udp_work *work;
};

/* One received message. */
struct kwgi_udp_in {
	uint8_t *data;		/* in: the caller's buffer of */
	size_t cap;		/* in: so many bytes, best KWGI_UDP_BUFFER */
	size_t len;
	/* 0: one datagram. Else data holds datagrams of that size, the last may be shorter. */
	uint16_t gso_size;
	uint8_t tos;		/* TOS or traffic class, of each datagram */
	struct kwgi_sockaddr from;	/* IPv4-mapped addresses do not occur */
	struct kwgi_source to;	/* what answers should come from */
};

/* What became of a sent message; several may hold. */
enum {
	KWGI_UDP_SENT = 1,		/* all of it */
	KWGI_UDP_DROPPED = 2,		/* some of it was dropped; error says why */
	KWGI_UDP_SOURCE_GONE = 4,	/* its source is refused: forget it where it is kept */
	KWGI_UDP_ONE_BY_ONE = 8,	/* the burst is too large for its path or its device */
};

/* One message to send. iov and what it points to stay the caller's. */
struct kwgi_udp_out {
	struct kwgi_sockaddr to;
	struct kwgi_source from;
	struct iovec *iov;	/* together the message; at most KWGI_UDP_SEGMENTS */
	uint32_t n_iov;
	/*
	 * 0: one datagram. Else a burst of datagrams of that size (the last may be shorter): at
	 * most KWGI_UDP_SEGMENTS and KWGI_UDP_MAX_V4 or _V6 bytes. How iov cuts them does not
	 * matter. Works without kernel support, too.
	 */
	uint16_t gso_size;
	uint8_t tos;
	uint8_t result;		/* out: bits as above */
	int error;		/* out: errno of a drop */
};

/*
 * Opens both sockets on o->port. Without IPv6 in the kernel, IPv4 alone.
 * KWG_ERR_KERNEL with EADDRINUSE if either is taken (by anybody: no address
 * is reused), with EACCES, EPERM (fwmark); KWG_ERR_NOMEM. On errors *u is
 * closed, that is safe for kwgi_udp_close().
 */
int kwgi_udp_open(struct kwgi_udp *u, const struct kwgi_udp_options *o, struct kwg_error *err);

/*
 * The same with n pairs on one port, among which the kernel spreads flows
 * (SO_REUSEPORT, within this process only: a port that somebody else has,
 * also another instance, is EADDRINUSE). All or none.
 */
int kwgi_udp_open_many(struct kwgi_udp *v, unsigned n, const struct kwgi_udp_options *o,
		       struct kwg_error *err);

/*
 * Takes sockets that a predecessor has opened so; fd6 -1: there is none. They belong to *u on
 * success only. The port is theirs; of o only no_gso, no_gro and fwmark count, which they have.
 * KWG_ERR_KERNEL, KWG_ERR_USAGE if they are no such sockets, KWG_ERR_NOMEM.
 */
int kwgi_udp_adopt(struct kwgi_udp *u, int fd4, int fd6, const struct kwgi_udp_options *o,
		   struct kwg_error *err);

/* Another object, for another thread, on the sockets of u. KWG_ERR_KERNEL, KWG_ERR_NOMEM. */
int kwgi_udp_share(struct kwgi_udp *copy, const struct kwgi_udp *u, struct kwg_error *err);

/* Closes what is open. A struct of zeros must not be closed: it names descriptor 0. */
void kwgi_udp_close(struct kwgi_udp *u);

/* What a closed one looks like; kwgi_udp_close() leaves it so. */
#define KWGI_UDP_CLOSED ((struct kwgi_udp){ .fd4 = -1, .fd6 = -1 })

/* SO_MARK on both sockets, 0 removes it. The caller clears sticky sources then. 0 or an errno. */
int kwgi_udp_set_fwmark(struct kwgi_udp *u, uint32_t fwmark);

/*
 * Receives up to n messages (at most KWGI_UDP_BATCH) from one of the two
 * sockets without waiting. Returns their number; 0 if nothing is there; or a
 * negative errno if the socket is of no use any more. Messages that are too
 * large for their buffer come with len 0.
 */
int kwgi_udp_receive(struct kwgi_udp *u, int fd, struct kwgi_udp_in *v, unsigned n);

/*
 * Sends n messages without waiting; those of one endpoint leave in order. now
 * (ns, any steady clock) is for remembering, for ten minutes, which burst sizes a
 * destination refused. Fills result and error of each. Errors only drop
 * messages: nothing here is fatal, nothing is tried for ever. Returns the
 * number of messages that are not whole on their way.
 */
unsigned kwgi_udp_send(struct kwgi_udp *u, struct kwgi_udp_out *v, unsigned n, uint64_t now);

#endif
