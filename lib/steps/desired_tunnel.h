/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The encapsulating tunnel within the location, as a device. */
#ifndef KWGI_DESIRED_TUNNEL_H
#define KWGI_DESIRED_TUNNEL_H

#include "steps/snapshot.h"

struct kwgi_desired_tunnel {
	char name[KWGI_IFNAME_MAX + 1];	/* "": there is none */
	const char *kind;		/* "ipip", "vxlan"; NULL: others make it */
	bool set_up;			/* that of others may be down */
	char alias[KWGI_ALIAS_MAX];
	struct kwgi_tunnel conf;
	uint32_t mtu;
	struct kwgi_prefix addr;	/* family NONE: none */
	struct kwgi_host_neigh *neighs;	/* in the order of kwgi_neigh_cmp; without ifindex */
	uint32_t n_neighs;
};

/*
 * Fills t, which is all zero, and stays without a name if no link has the address that it is bound
 * to; lists come from a. KWG_ERR_KERNEL if the device of another CNI is missing, KWG_ERR_CONFIG if
 * this tunnel cannot carry what it has to, KWG_ERR_NOMEM.
 */
int kwgi_desired_tunnel(struct kwgi_desired_tunnel *t, struct kwgi_arena *a,
			const struct kwg_plan *plan, const struct kwgi_host *h,
			struct kwg_error *err);
/*
 * Name of the device that others have to make for this plan, or NULL. h may
 * be NULL; cilium's is desired only where it is there.
 */
const char *kwgi_desired_foreign_tunnel(const struct kwg_plan *plan, const struct kwgi_host *h);
/* By kind, then by what they are found by: MAC address or address. */
int kwgi_neigh_cmp(const struct kwgi_host_neigh *a, const struct kwgi_host_neigh *b);

#endif
