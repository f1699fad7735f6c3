/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What a node tells the others about itself; also as the annotations of Kilo's agent. */
#ifndef KWGI_FACTS_H
#define KWGI_FACTS_H

#include "steps/backend.h"

struct kwgi_facts {
	const struct kwg_config *cfg;
	const char *name;			/* of the node */
	const struct kwgi_node *node;		/* NULL: the files do not have it */
	const struct kwg_plan *plan;		/* NULL: it does not take part */
	const struct kwgi_host *host;
	const struct kwgi_backend_choice *backend;
	struct kwgi_key key;			/* public; all zero: there is none yet */
	uint32_t mtu;				/* that the interface would get; 0: not known */
};

/*
 * Endpoints that WireGuard has learnt, as Kilo chooses and writes them
 * (pkg/mesh/mesh.go, discoverNATEndpoints): of nodes and peers that take part and
 * have a keepalive of their own, after the first handshake.
 * {"KEY":{"IP":"203.0.113.2","Port":1024,"Zone":""}}, sorted by key.
 */
void kwgi_facts_discovered(const struct kwgi_facts *a, struct kwgi_buf *b);

void kwgi_facts_text(const struct kwgi_facts *a, struct kwgi_buf *b);
void kwgi_facts_json(const struct kwgi_facts *a, struct kwgi_buf *b);
/*
 * The [node] section for the others' files: as the files have it, with the key of this host; of a node that
 * they do not have, with what the host shows. What only people can decide is a comment.
 */
void kwgi_facts_ini(const struct kwgi_facts *a, struct kwgi_buf *b);

#endif
