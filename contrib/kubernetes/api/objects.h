/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What is kept of the nodes and peers of a cluster: a line of JSON each, with just those
 * fields on which a plan depends, so that a change of others is none.
 */
#ifndef KILOWG_API_OBJECTS_H
#define KILOWG_API_OBJECTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What one object may have of such fields, in bytes. More is left out, and that is told. */
enum { OBJECT_LINE_MAX = 128 << 10 };

struct object {
	struct object *next;	/* in its bucket */
	char *name, *line;	/* owned */
	size_t line_len;
	int64_t told_seen;	/* when a node checked in, by its own clock; seconds since 1970 */
	int64_t seen;		/* as it counts: never later than when that was first heard of */
	bool gone;		/* as last written: not seen lately */
	bool told_slow;
	unsigned list;		/* number of the list it was in, or later */
};

struct store {
	struct object **buckets;
	size_t n_buckets, n;
	unsigned list;
};

enum object_change { OBJECT_SAME, OBJECT_NEWS, OBJECT_FAILED };

void store_free(struct store *s);

/*
 * Adds a node of the API server, or what is new of it. NOW is the API server's time. *WAS
 * becomes the time of which it told before; *OUT stays as it is if the node cannot be kept.
 */
enum object_change store_put_node(struct store *s, const json_t *node, const char *location_label,
				  int64_t now, struct object **out, int64_t *was);
enum object_change store_put_peer(struct store *s, const json_t *peer);

/* Returns whether there was one. */
bool store_remove(struct store *s, const char *name);

bool store_has(struct store *s, const char *name);

/* After a list: removes what was not in it. Returns how many. */
size_t store_sweep(struct store *s);

/* Calls VISIT for each. */
void store_each(struct store *s, void (*visit)(void *user, struct object *o), void *user);

/* The line of a node for kilowg-render, with when it was seen; of a peer. */
void object_write_node(const struct object *o, FILE *f);
void object_write_peer(const struct object *o, FILE *f);

/* The name of an object, or NULL if it has none that is fit for use. */
const char *object_name(const json_t *object);

/*
 * What kilowg-publish and kilowg-label need of this host's own node, in JSON. With
 * FOR_WAKING without what they write themselves. To be freed; NULL without memory.
 */
char *object_self(const json_t *node, const char *location_label, bool for_waking);

/* jansson's memory holds preshared keys: all of it is wiped when it is freed. */
void objects_wipe_memory(void);

#endif
