/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The state of our own link, followed by rtnetlink: a TUN descriptor itself
 * does not tell up from down. A link that is moved to another network
 * namespace is followed there without entering it: all privileges that needs
 * beyond CAP_NET_ADMIN are used in kwgi_link_open().
 */
#ifndef KWGI_LINK_H
#define KWGI_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "kilowg.h"

enum kwgi_link_where {
	KWGI_LINK_HERE,		/* in the namespace that we were born in */
	KWGI_LINK_AWAY,		/* in another one */
	KWGI_LINK_GONE,		/* deleted: the end */
};

struct kwgi_link_state {
	enum kwgi_link_where where;
	/*
	 * Away, and the kernel is too old to ask (before Linux 5.2): up is then taken for
	 * granted, and mtu is the last known.
	 */
	bool blind;
	bool up;		/* IFF_UP */
	uint32_t mtu;
	uint32_t ifindex;	/* where it is */
	char name[IFNAMSIZ];	/* its present one */
};

struct kwgi_link;

/*
 * tun_fd: one queue of the device, which stays the caller's and must outlive
 * *out. The state is known on return. KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
int kwgi_link_open(struct kwgi_link **out, int tun_fd, struct kwg_error *err);
void kwgi_link_close(struct kwgi_link *l);

/* To be polled for reading. */
int kwgi_link_fd(const struct kwgi_link *l);

/* The namespace that we were born in, as fstat(2) tells it; ino 0: not known. */
void kwgi_link_home(const struct kwgi_link *l, uint64_t *dev, uint64_t *ino);

const struct kwgi_link_state *kwgi_link_state(const struct kwgi_link *l);

/*
 * Takes in what has happened, without waiting for more. True if the state has changed;
 * compare with an older copy for what. Events that were lost are made up for
 * by asking.
 */
bool kwgi_link_process(struct kwgi_link *l);

/*
 * Asks anew. For when a read of the TUN descriptor fails with EBADFD, or poll
 * reports POLLERR: that is all there is to hear when the link is deleted together with its
 * namespace. The descriptor must be polled for reading then, as the kernel wakes nobody
 * who waits for errors alone. True if the state has changed.
 */
bool kwgi_link_refresh(struct kwgi_link *l);

#endif
