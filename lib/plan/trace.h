/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * How a packet gets from one place to another in the mesh as planned: at each node the policy
 * rules, the routes, WireGuard's allowed IPs on both sides, the tunnel's filter and masquerading
 * decide as the kernel does, each node by its own plan. What [local] says holds for all nodes.
 */
#ifndef KWGI_TRACE_H
#define KWGI_TRACE_H

#include "plan/tracer.h"

enum kwgi_end_kind {
	KWGI_END_NODE,		/* a node itself */
	KWGI_END_POD,		/* a pod of the node */
	KWGI_END_SITE,		/* a host behind the node: of an allowed-location-ip */
	KWGI_END_PEER,		/* an outside peer, or a host behind it */
	KWGI_END_OUTSIDE,	/* no part of the mesh */
};

/* Where a packet begins or ends. */
struct kwgi_end {
	enum kwgi_end_kind kind;
	const struct kwgi_node *node;		/* of NODE, POD; of SITE who leads to it */
	const struct kwgi_mesh_peer *peer;	/* of PEER */
	struct kwgi_addr addr;			/* family NONE, of NODE: whichever the route says */
};

enum kwgi_via {
	KWGI_VIA_NOTHING,	/* it ends here */
	KWGI_VIA_LINK,		/* in clear over the private network */
	KWGI_VIA_TUNNEL,	/* encapsulated over the private network */
	KWGI_VIA_WIREGUARD,
	KWGI_VIA_HOST,		/* by routes of the host that are not of the mesh */
};

/* Why a packet ends. */
enum kwgi_ending {
	KWGI_STOP_ARRIVED,
	KWGI_STOP_LEFT,		/* the mesh, by the host's own routes */
	KWGI_STOP_ELSEWHERE,	/* another has that address, too, and gets it */
	KWGI_STOP_NO_PEER,	/* no WireGuard peer has the destination among its allowed IPs */
	KWGI_STOP_SOURCE,	/* the receiver's WireGuard expects the source from another peer, or none */
	KWGI_STOP_ENDPOINT,	/* neither side has an endpoint of the other */
	KWGI_STOP_GATEWAY,	/* the gateway is no node, or not in the node's private network */
	KWGI_STOP_TUNNEL,	/* the receiver drops what this node encapsulates */
	KWGI_STOP_FAMILY,	/* source and destination are of different address families */
	KWGI_STOP_LOOP,
};

enum { KWGI_MAX_HOPS = 12 };

struct kwgi_hop {
	const struct kwgi_node *node;		/* NULL: the peer */
	const struct kwgi_mesh_peer *peer;
	struct kwgi_addr src, dst;		/* as it leaves */
	struct kwgi_addr masqueraded;		/* the source before; family NONE: it is not */
	struct kwgi_addr restored;		/* the destination before connection tracking put it back */
	enum kwgi_via via;
	const struct kwgi_rule *rule;		/* that led to route-table; NULL: the main table */
	const struct kwgi_route *route;		/* NULL: a network that the node is in */
	const struct kwgi_wg_peer *wg;		/* of WIREGUARD: to whom */
};

struct kwgi_trace {
	struct kwgi_hop hops[KWGI_MAX_HOPS];
	uint32_t n;
	enum kwgi_ending stop;
	struct kwgi_end end;			/* where it has got to */
	const char *expected;			/* of SOURCE: the peer that it is expected from, or NULL */
};

/* Whose address is it? By the configuration alone; of several the closest. */
struct kwgi_end kwgi_trace_whose(struct kwgi_tracer *t, const struct kwgi_addr *a);
/* An address of the end to send to: family NONE if it has none of this one. */
struct kwgi_addr kwgi_trace_address(const struct kwgi_tracer *t, const struct kwgi_end *e, uint8_t family);

/*
 * Traces a packet from an end to an address of another one. back: the trace of the packet that this
 * one answers, whose masquerading is undone on the way, or NULL. 0, or -1 if there is no memory.
 */
int kwgi_trace(struct kwgi_tracer *t, const struct kwgi_end *from, const struct kwgi_end *to,
	       const struct kwgi_trace *back, struct kwgi_trace *out);
/* The answer: from where it has ended to where it came from. */
int kwgi_trace_answer(struct kwgi_tracer *t, const struct kwgi_end *from, const struct kwgi_trace *there,
		      struct kwgi_trace *out);

/* ---- for many packets ------------------------------------------------ */

/* What a node or peer does with any packet for an address. */
struct kwgi_decision {
	bool varies;			/* the source counts, too: only a trace tells */
	enum kwgi_via via;
	struct kwgi_end end;		/* of NOTHING */
	uint32_t next;			/* else the place, or UINT32_MAX: none */
	bool has_endpoint;		/* of WIREGUARD: one of the two, of the other */
	struct kwgi_addr src;		/* of its own packets */
};

/* 0 or -1. */
int kwgi_trace_decide(const struct kwgi_tracer *t, uint32_t place, const struct kwgi_addr *dst,
		      struct kwgi_decision *out);
/* From which place does WireGuard expect this source? UINT32_MAX: from none. The place was decided at. */
uint32_t kwgi_trace_expects(const struct kwgi_tracer *t, uint32_t place, const struct kwgi_addr *src);
/* Does it accept the encapsulated packets of all members of its segment? */
bool kwgi_trace_accepts_tunnel(const struct kwgi_tracer *t, uint32_t place);

#endif
