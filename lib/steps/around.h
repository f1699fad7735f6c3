/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What a host has around the mesh that the mesh depends on, and no step changes. */
#ifndef KWGI_AROUND_H
#define KWGI_AROUND_H

#include "steps/desired.h"
#include "steps/finding.h"

enum { KWGI_AROUND_LINKS = 8, KWGI_COMM_MAX = 64 };

/* A link over which packets come that are for somebody else. */
struct kwgi_around_link {
	char name[KWGI_IFNAME_MAX + 1];
	bool off;			/* it does not forward IPv4 */
	bool ra;			/* its IPv6 default route is of a router's advertisement ... */
	int accept_ra;			/* ... which it accepts with 2 only, if it forwards; -1: not known */
};

struct kwgi_around {
	struct kwgi_around_link links[KWGI_AROUND_LINKS];
	uint32_t n_links;
	bool off4, off6;		/* for the whole host: net.ipv4.ip_forward, net.ipv6.conf.all */
	const char *path_filter;	/* of others, that drops what members send through the tunnel; NULL: none */
	/* Who has the port of WireGuard, while WireGuard has not. */
	bool port_held;
	long holder;			/* process; 0: the kernel; -1: not to be seen */
	char holder_name[KWGI_COMM_MAX];
	char cni_first[KWGI_NFT_NAME_MAX];	/* CNI configuration that comes before ours; "": none */
};

/*
 * Which links have to forward: what comes out of WireGuard and what the others of the location
 * send, on a leader; and what pods send, where there are some. Without this nothing has to.
 */
void kwgi_around_list(struct kwgi_around *a, const struct kwg_plan *plan,
		      const struct kwgi_desired *w, const struct kwgi_host *h);
/* Does packets of this family have to be forwarded here? */
bool kwgi_around_forwards(const struct kwgi_around *a, const struct kwgi_desired *w, uint8_t family);
/* "NAME (process PID)", or what else can be said of who has the port. */
void kwgi_around_put_holder(struct kwgi_buf *out, const struct kwgi_around *a);
void kwgi_around_judge(const struct kwgi_around *a, const struct kwg_plan *plan,
		       const struct kwgi_desired *w, struct kwgi_findings *f);

/* Nodes and peers of the files that take no part, and why. */
void kwgi_around_left_out(const struct kwg_config *cfg, struct kwgi_findings *f);
/* Warnings of the configuration and the plan. */
void kwgi_around_warnings(const struct kwg_plan *plan, struct kwgi_findings *f);

#endif
