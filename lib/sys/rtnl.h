/* SPDX-License-Identifier: ISC */
/* Links, addresses, routes and policy rules over rtnetlink (rtnetlink(7)). */
#ifndef KWGI_RTNL_H
#define KWGI_RTNL_H

#include "core/steps.h"
#include "sys/mnl.h"

/*
 * Fills links and addresses of the namespace, and the routes and rules that
 * carry this protocol number, into h (which is empty). KWG_ERR_KERNEL,
 * KWG_ERR_NOMEM.
 */
int kwgi_rtnl_observe(struct kwgi_nl *nl, uint8_t protocol, struct kwgi_host *h,
		      struct kwg_error *err);

/* Carries out or undoes a step about a link, address, rule or route. KWG_ERR_KERNEL. */
int kwgi_rtnl_step(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		   struct kwg_error *err);

/*
 * Asks the kernel to make a WireGuard link, under the name of one that is not
 * finished, and removes it at once. KWG_ERR_KERNEL if the kernel refuses for
 * another reason than that it has no WireGuard, such as no privilege.
 */
int kwgi_rtnl_probe_wireguard(struct kwgi_nl *nl, const char *ifname, bool *has,
			      struct kwg_error *err);

/*
 * Waits until the link exists; deadline in ms of the monotonic clock. *is_tun:
 * there may be a userspace WireGuard behind it. KWG_ERR_TIMEOUT, KWG_ERR_KERNEL.
 */
int kwgi_rtnl_wait_link(const char *ifname, int64_t deadline, bool *is_tun,
			struct kwg_error *err);

#endif
