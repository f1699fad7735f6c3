/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Links, addresses, routes and policy rules over rtnetlink (rtnetlink(7)). */
#ifndef KWGI_RTNL_H
#define KWGI_RTNL_H

#include "host/stop.h"
#include "steps/step.h"
#include "sys/mnl.h"

/*
 * Fills links and addresses of the namespace, and the routes and rules that carry this protocol
 * number (0: no more) or one that is ours, into h, which is empty but for owner and journal; to
 * this it adds the numbers that marks of links name. KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
int kwgi_rtnl_observe(struct kwgi_nl *nl, uint8_t protocol, struct kwgi_host *h,
		      struct kwg_error *err);

/* Carries out or undoes a step about a link, address, rule or route. KWG_ERR_KERNEL. */
int kwgi_rtnl_step(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
		   struct kwg_error *err);

/* Of linux/if_tunnel.h, which not every libc lets stand beside net/if.h. */
enum {
	KWGI_IPTUN_LINK = 1, KWGI_IPTUN_LOCAL = 2, KWGI_IPTUN_REMOTE = 3, KWGI_IPTUN_TTL = 4,
	KWGI_IPTUN_PMTUDISC = 10,
};

/* rtnl_link.c: the same for steps about links. */
int kwgi_rtnl_link_step(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
			struct kwg_error *err);

/* rtnl_rule.c: the same for steps about policy rules. */
int kwgi_rtnl_rule_step(struct kwgi_nl *nl, const struct kwgi_step *s, bool undo,
			struct kwg_error *err);

/* What a message about a policy rule says, of those that look into a table. */
void kwgi_rtnl_read_rule(struct kwgi_host_rule *r, const struct nlmsghdr *nlh);
/* What the attributes of a message about a route say. */
void kwgi_rtnl_read_route(struct kwgi_host_route *r, const struct nlmsghdr *nlh);
/*
 * The whole of a message of a dump of routes; the default metric of IPv6 is 0. False: it is none of
 * this family (AF_*) and type (RTN_*), or one that the kernel has learnt.
 */
bool kwgi_rtnl_read_dumped(struct kwgi_host_route *r, const struct nlmsghdr *nlh, uint8_t family,
			   uint8_t type);
/*
 * Dumps all routes, and more, of both families: type is RTM_GETROUTE or the like, whose request
 * begins with header bytes, the family first; *family is that of the dump while cb is called. What
 * changes meanwhile is looked at the next time, and a family that there is not has nothing.
 */
void kwgi_rtnl_dump_both(struct kwgi_nl *nl, uint16_t type, size_t header, uint8_t *family, mnl_cb_t cb,
			 void *arg);
/* AF_INET or AF_INET6. */
uint8_t kwgi_rtnl_family(uint8_t family);
/* Nothing for an address of no family. */
void kwgi_rtnl_put_addr(struct nlmsghdr *nlh, uint16_t type, const struct kwgi_addr *a);
/* Index of a device by name. KWG_ERR_KERNEL. */
int kwgi_rtnl_index(const char *name, uint32_t *index, struct kwg_error *err);

/*
 * Asks the kernel to make a WireGuard link, under the name of one that is not
 * finished, and removes it at once. KWG_ERR_KERNEL if the kernel refuses for
 * another reason than that it has no WireGuard, such as no privilege.
 */
int kwgi_rtnl_probe_wireguard(struct kwgi_nl *nl, const char *ifname, bool *has,
			      struct kwg_error *err);

/*
 * Waits until the link exists, and is set up if that is asked for; deadline in
 * ms of the monotonic clock. who: for the error, what says that somebody else
 * makes it. stop (may be NULL) ends it, when it is cancelled. KWG_ERR_TIMEOUT, KWG_ERR_KERNEL.
 */
int kwgi_rtnl_wait_link(const char *ifname, bool up, int64_t deadline,
			const struct kwgi_stop *stop, const char *who, struct kwg_error *err);
/* Is it a TUN device, so that there may be a userspace WireGuard behind it? KWG_ERR_KERNEL. */
int kwgi_rtnl_is_tun(const char *ifname, bool *is_tun, struct kwg_error *err);

#endif
