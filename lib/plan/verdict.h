/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Networks and addresses of a mesh that are equal, or one inside the other: what it
 * means for each kind of them. The table of verdicts is in verdict.c, and the same in
 * kilowg.ini(5).
 */
#ifndef KWGI_VERDICT_H
#define KWGI_VERDICT_H

#include "config/config.h"

/* What a network or an address is of. */
enum kwgi_net_kind {
	KWGI_NET_SUBNET,	/* of [mesh] */
	KWGI_NET_SERVICE,	/* service-cidr */
	KWGI_NET_POD,		/* pod-cidr */
	KWGI_NET_INTERNAL,	/* internal-ip, as an address that others reach through the mesh */
	KWGI_NET_NETWORK,	/* internal-ip, as the network that it is in */
	KWGI_NET_WIREGUARD,	/* the address of a leader inside the mesh */
	KWGI_NET_ENDPOINT,	/* of a node; of one that does not lead only beside its own networks */
	KWGI_NET_LOCATION,	/* allowed-location-ip */
	KWGI_NET_PEER,		/* allowed-ip */
	KWGI_NET_PEER_ENDPOINT,
	KWGI_N_NET_KINDS,
};

/* How the first one lies to the second. */
enum kwgi_relation { KWGI_EQUAL, KWGI_INSIDE, KWGI_AROUND, KWGI_N_RELATIONS };

/* How near the owners are to each other: a node or peer, a segment, a location. */
enum kwgi_nearness {
	KWGI_OWN = 1 << 0,		/* of one node, or of one peer */
	KWGI_SEGMENT = 1 << 1,		/* of two nodes of one segment */
	KWGI_LOCATION = 1 << 2,		/* of two segments with one location */
	KWGI_FAR = 1 << 3,		/* of anybody else */
	KWGI_ANY = KWGI_OWN | KWGI_SEGMENT | KWGI_LOCATION | KWGI_FAR,
};

enum kwgi_verdict {
	KWGI_FINE,
	KWGI_SAID,	/* by the verdict on another pair, which cannot be without it */
	KWGI_WARNED,
	KWGI_LEFT_OUT,	/* the first one is not carried out, with a warning */
	KWGI_WRONG,	/* an error */
};

/* A network or an address, of whom, and where it stands. */
struct kwgi_net {
	struct kwgi_prefix prefix;	/* no host bits */
	uint8_t kind;			/* enum kwgi_net_kind */
	bool outside;			/* its own networks apart, nobody goes there by way of the mesh */
	uint16_t port;			/* of endpoints */
	uint32_t location, segment, owner;	/* equal numbers: the same one */
	const struct kwgi_node *node;	/* one of the two, or none: of [mesh] */
	const struct kwgi_peer *peer;
	struct kwgi_place at;
};

enum kwgi_relation kwgi_relation_of(const struct kwgi_prefix *a, const struct kwgi_prefix *b);

/*
 * Of a pair, the first is the one to complain about; each pair of kinds stands in the
 * table in one order only. FINE where it does not stand.
 */
enum kwgi_verdict kwgi_verdict_of(enum kwgi_net_kind first, enum kwgi_net_kind second,
				  enum kwgi_nearness near, enum kwgi_relation relation);
/* Only if both have one port? */
bool kwgi_verdict_needs_port(enum kwgi_net_kind first, enum kwgi_net_kind second);
/* Says so in cfg->diags; more: of how many others the same is true. */
void kwgi_verdict_say(struct kwg_config *cfg, enum kwgi_verdict verdict, const struct kwgi_net *a,
		      const struct kwgi_net *b, enum kwgi_nearness near, uint32_t more);

#endif
