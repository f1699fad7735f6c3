/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What the files of the difference share. Each kwgi_diff_*() looks at one kind
 * of object and appends to one of two lists: what makes, and what breaks.
 * Making comes first.
 */
#ifndef KWGI_DIFF_H
#define KWGI_DIFF_H

#include <string.h>

#include "base/prefixset.h"
#include "steps/desired.h"
#include "steps/mark.h"

struct kwgi_diff {
	struct kwgi_steps *s;
	const struct kwgi_desired *w;
	const struct kwgi_host *h;
	const struct kwgi_link *link;	/* the WireGuard link, NULL if it is not there */
	bool userspace;			/* a daemon is behind it, or will be once it is made */
	bool makes_room;		/* another link of ours is up until the wanted one is made */
	const struct kwgi_link *tunnel;	/* the tunnel of ours that can stay, or NULL */
	const struct kwgi_link *renamed;	/* that gets the name of the wanted one, or NULL */
	uint32_t *gone;			/* links that go before others are made: their indices */
	uint32_t n_gone, gone_cap;
	bool *taken;			/* routes of the host that go before others are made */
	bool *taken_rules;		/* rules that do */
	struct kwgi_prefixset owners;	/* allowed IPs of the device, value: index of the peer */
	struct kwgi_step *breaks;	/* what goes away, carried out after the rest */
	uint32_t n_breaks, breaks_cap;
	bool failed;
};

/* Appends a step that makes, or one that breaks; running out of memory sets d->failed. */
void kwgi_diff_make(struct kwgi_diff *d, const struct kwgi_step *step);
void kwgi_diff_break(struct kwgi_diff *d, const struct kwgi_step *step);

/*
 * Routes that are taken off before something that takes them along in the kernel, so that undoing
 * brings them back; what is wanted of them is made again. Of the host's routes the one with index
 * i; those of a link (family NONE: of both); those whose source this address is, on any link.
 */
void kwgi_diff_take_route(struct kwgi_diff *d, uint32_t i);
void kwgi_diff_take_routes(struct kwgi_diff *d, const struct kwgi_link *l, uint8_t family);
void kwgi_diff_take_sources(struct kwgi_diff *d, const struct kwgi_addr *source);

/* A WireGuard device that the kernel does not carry is a TUN device with a daemon. */
static inline bool kwgi_diff_has_daemon(const struct kwgi_link *l)
{
	return strcmp(l->kind, "wireguard") != 0;
}

static inline bool kwgi_diff_is_ours(const struct kwgi_diff *d, const struct kwgi_link *l)
{
	return kwgi_mark_is_ours(l->alias, &d->h->owner);
}

/* diff_links.c: links and addresses. KWG_ERR_KERNEL if a link of others is in the way. */
int kwgi_diff_check_foreign(struct kwgi_diff *d, struct kwg_error *err);
void kwgi_diff_links(struct kwgi_diff *d);
/* A WireGuard link of ours that is up and not the wanted one: it needs the port of that. */
bool kwgi_diff_is_set_down(const struct kwgi_diff *d, const struct kwgi_link *l);
/* After the device and its peers, before kwgi_diff_up(). */
void kwgi_diff_make_room(struct kwgi_diff *d);
/* A daemon may take its port at once, so it gets it when the other one has given it back. */
bool kwgi_diff_port_is_late(const struct kwgi_diff *d);
void kwgi_diff_up(struct kwgi_diff *d);
void kwgi_diff_addrs(struct kwgi_diff *d);

/* diff_addrs.c: did we set this address of this link? */
typedef bool kwgi_is_our_addr(const struct kwgi_diff *d, const struct kwgi_host_addr *a,
			      const struct kwgi_link *l);
/* The addresses of one link, NULL: that will be made, called name. want of no family: none. */
void kwgi_diff_link_addrs(struct kwgi_diff *d, const struct kwgi_link *l, const char *name,
			  const struct kwgi_prefix *want, kwgi_is_our_addr *is_ours);
/*
 * diff_tunnel.c: the encapsulating tunnel with addresses and neighbours.
 * KWG_ERR_KERNEL if a link of others is in the way.
 */
int kwgi_diff_check_tunnel(struct kwgi_diff *d, struct kwg_error *err);
void kwgi_diff_tunnel(struct kwgi_diff *d);
/* Has what is on this link been dealt with when the link went? */
bool kwgi_diff_is_gone(const struct kwgi_diff *d, uint32_t ifindex);

/* diff_wg.c */
void kwgi_diff_device(struct kwgi_diff *d);
void kwgi_diff_peers(struct kwgi_diff *d);

/* diff_routes.c */
void kwgi_diff_routes(struct kwgi_diff *d);

/* diff_rules.c */
/* Before WireGuard gets another mark: takes off what leads packets without the new one into it. */
void kwgi_diff_take_rules(struct kwgi_diff *d);
void kwgi_diff_rules(struct kwgi_diff *d);
/* Before the rules, and after them: return path checks. */
void kwgi_diff_checks(struct kwgi_diff *d);
/* diff_closed.c: what is to be closed is so before anything else happens ... */
void kwgi_diff_close(struct kwgi_diff *d);
/* ... and what is not any more, after routes have gone. */
void kwgi_diff_reopen(struct kwgi_diff *d);

/* diff_firewall.c: KWG_ERR_KERNEL if a table or chain of others has the name of ours. */
int kwgi_diff_nftables(struct kwgi_diff *d, struct kwg_error *err);
int kwgi_diff_iptables(struct kwgi_diff *d, struct kwg_error *err);

#endif
