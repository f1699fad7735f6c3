/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The sections of kilowg.ini(5), their keys, and how a value becomes a field. With config.h it is in
 * a circle of files: config.c reads by these tables, which are about the fields of its structs.
 */
#ifndef KWGI_CONFIG_KEYS_H
#define KWGI_CONFIG_KEYS_H

#include <stddef.h>

#include "config/config.h"


/* One reading of one text. */
struct kwgi_parse {
	struct kwg_config *cfg;
	const struct kwgi_section *section;
	void *object;				/* the mesh, node, peer or local being filled */
	const char *accepts;			/* set by a setter that can say more */
	struct kwgi_place at;
	struct kwgi_place seen[KWGI_SECTION_KEYS]; /* where each key of the section stands */
	struct kwgi_place marker_at;		/* where this text says that it ends with [end] */
	struct kwgi_place end_at;		/* where its [end] is */
	bool nomem;
};

/* Reads v into the field; 0, or -1 if it is not accepted. */
typedef int kwgi_setter(struct kwgi_parse *p, void *field, const char *v);

struct kwgi_section_key {
	const char *name;
	kwgi_setter *set;
	size_t offset;
	size_t place_offset;	/* where the place goes; 0: nowhere */
	bool repeatable;
	bool secret;		/* the value never stands in a message */
	const char *type, *fallback;
};

struct kwgi_section {
	const char *name;
	const struct kwgi_section_key *keys;
	size_t n_keys;
	void *(*begin)(struct kwgi_parse *p);
};

enum { KWGI_SECTIONS = 5, KWGI_SECTION_LOCAL = 1 };

extern const struct kwgi_section kwgi_sections[KWGI_SECTIONS];

/* Puts the default of each single key that has one; [mesh] and [local] only. */
void kwgi_config_defaults(struct kwgi_parse *p);

#endif
