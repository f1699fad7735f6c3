/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The whole configuration of a machine outside of the mesh, in the formats of several programs. */
#ifndef KWGI_CLIENT_H
#define KWGI_CLIENT_H

#include "plan/showconf.h"

struct kwgi_client {
	const struct kwgi_peer_view *view;
	const char *mesh;		/* its name is the connection's and, cut off, the interface's */
	const struct kwgi_key *key;	/* the private one; NULL: a place for it */
	const struct kwgi_key *psk;	/* all zero: none */
};

/* Its addresses: those of the peer's section, or else its allowed IPs that are of one host. */
bool kwgi_client_has_address(const struct kwgi_peer *p);

/* wg-quick(8), of which the tools for phones read the same. */
void kwgi_client_wg_quick(const struct kwgi_client *c, struct kwgi_buf *b);
/* wg(8) setconf. */
void kwgi_client_wg(const struct kwgi_client *c, struct kwgi_buf *b);
/* systemd.netdev(5) and systemd.network(5), one after the other; routes included. */
void kwgi_client_networkd(const struct kwgi_client *c, struct kwgi_buf *b);
/* A keyfile of NetworkManager, see nm-settings-keyfile(5). */
void kwgi_client_nm(const struct kwgi_client *c, struct kwgi_buf *b);
/* The same facts for programs. */
void kwgi_client_json(const struct kwgi_client *c, struct kwgi_buf *b);
void kwgi_client_yaml(const struct kwgi_client *c, struct kwgi_buf *b);

#endif
