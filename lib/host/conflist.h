/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The text of a CNI configuration list (CNI specification, section 1), in which
 * the host-local plugin is told what addresses the pods of this node get.
 */
#ifndef KWGI_CONFLIST_H
#define KWGI_CONFLIST_H

#include "config/config.h"

/* Was it built in? The functions below fail without it. */
bool kwgi_conflist_can(void);

/*
 * Sets the ranges of all host-local plugins in text: one range set per family,
 * in the order of the pods' networks. All else keeps its meaning, its order and
 * the value of its numbers. *out is malloc()ed text of *out_len bytes, or NULL
 * if the ranges are these already. name: of the file, for messages.
 * KWG_ERR_CONFIG with line, column and byte if text is not JSON, or no such
 * list; KWG_ERR_NOMEM.
 */
int kwgi_conflist_set(const char *name, const char *text, size_t len,
		      const struct kwgi_cidrs *pods, char **out, size_t *out_len,
		      struct kwg_error *err);

/* A new one, as Kilo's manifests have it (bridge and portmap), with this MTU. As above. */
int kwgi_conflist_make(const struct kwgi_cidrs *pods, uint32_t mtu, char **out, size_t *out_len,
		       struct kwg_error *err);

#endif
