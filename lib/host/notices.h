/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What the kernel tells of changes to links, addresses, routes, policy rules,
 * neighbours of a tunnel and the firewall, and who has made them.
 */
#ifndef KWGI_NOTICES_H
#define KWGI_NOTICES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "plan/plan.h"

/* What may have taken something away from us; the first of each kind is remembered. */
enum kwgi_cause {
	KWGI_CAUSE_LINK_GONE,
	KWGI_CAUSE_LINK_CHANGED,
	KWGI_CAUSE_ADDR_GONE,
	KWGI_CAUSE_ADDR_NEW,
	KWGI_CAUSE_ROUTE_GONE,
	KWGI_CAUSE_ROUTE_REPLACED,
	KWGI_CAUSE_ROUTE_NEW,
	KWGI_CAUSE_RULE_GONE,
	KWGI_CAUSE_RULE_NEW,
	KWGI_CAUSE_NEIGH,
	KWGI_CAUSE_FIREWALL,
	KWGI_CAUSE_LOST,		/* there was more than the socket could hold */
	KWGI_N_CAUSES,
};

enum { KWGI_CAUSE_TEXT = 120 };

struct kwgi_notices {
	int route, netfilter;		/* sockets; netfilter -1: the kernel has none */
	uint8_t protocol;		/* of our routes and rules */
	char ifname[KWGI_IFNAME_MAX + 1], tunnel[KWGI_IFNAME_MAX + 1];
	char table[KWGI_NAME_MAX + sizeof("kilowg-")];	/* of nftables; "": none */
	bool iptables;			/* chains of iptables matter instead */
	bool touched;			/* the netfilter transaction that is being told matters */
	char causes[KWGI_N_CAUSES][KWGI_CAUSE_TEXT];	/* "": did not happen */
};

/* KWG_ERR_KERNEL. On errors *n is safe for kwgi_notices_close(). */
int kwgi_notices_open(struct kwgi_notices *n, struct kwg_error *err);
void kwgi_notices_close(struct kwgi_notices *n);

/* From now on what this plan makes matters. */
void kwgi_notices_follow(struct kwgi_notices *n, const struct kwg_plan *plan);
/* Where the tunnel is now; it may have been made anew. */
void kwgi_notices_refilter(struct kwgi_notices *n);

/*
 * Reads all that is there. True if there is anything that matters. ours: what
 * has come since we began to change things ourselves, so that only others who
 * are known by name are blamed.
 */
bool kwgi_notices_read(struct kwgi_notices *n, bool ours);

/* What is remembered, as "address 10.1.1.1/24 removed by ip (pid 17), ...". */
void kwgi_notices_text(const struct kwgi_notices *n, struct kwgi_buf *b);
void kwgi_notices_forget(struct kwgi_notices *n);

#endif
