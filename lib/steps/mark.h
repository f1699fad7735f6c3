/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Marks: by which kilowg finds again what it has made, after a crash, too. A link has one as its
 * alias, a table of nf_tables as its comment; routes and rules have a protocol number.
 */
#ifndef KWGI_MARK_H
#define KWGI_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "steps/snapshot.h"

/*
 * Our mark: "kilowg mesh=NAME protocol=N port=N", and " adopted" for a link
 * somebody else made.
 */
void kwgi_mark_format(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol, uint32_t port,
		      bool adopted);
/*
 * That of a link somebody else made, which had another MTU before: with " mtu=N"
 * in front of " adopted", so that it gets it back. mtu 0: it had the same.
 */
void kwgi_mark_adopted(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol, uint32_t port,
		       uint32_t mtu);
/* Does an alias carry the mark of this mesh, by this name or one before? */
bool kwgi_mark_is_ours(const char *alias, const struct kwgi_owner *owner);
bool kwgi_mark_is_adopted(const char *alias);
/* The mark of a tunnel, of whichever mesh: "kilowg mesh=NAME protocol=N tunnel". */
void kwgi_mark_tunnel(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol);
bool kwgi_mark_is_tunnel(const char *alias);
/*
 * The kernel takes no alias when it makes a link (net/core/rtnetlink.c,
 * rtnl_create_link), so a link is made under this name, and marked and renamed
 * in one request. One that a crash left under it stands in the journal.
 */
void kwgi_mark_unfinished_name(char out[KWGI_IFNAME_MAX + 1], const char *ifname);
/* What a link is called while another one takes its name. */
void kwgi_mark_aside_name(char out[KWGI_IFNAME_MAX + 1], const char *ifname);
/* A number after "WORD=" in a mark; 0 if there is none. */
uint32_t kwgi_mark_number(const char *alias, const char *word);
/* Is it the mark of another mesh of kilowg? */
bool kwgi_mark_is_rival(const char *alias, const struct kwgi_owner *owner);
/* The name of the mesh in a mark, and its length; NULL: it is none of kilowg. */
const char *kwgi_mark_mesh(const char *alias, size_t *len);

/*
 * The mark of a table: "kilowg mesh=NAME protocol=N digest=...", digest being
 * that of its messages.
 */
void kwgi_mark_table(char out[KWGI_NFT_MARK_MAX], const char *mesh, uint8_t protocol,
		     const char *digest);

#endif
