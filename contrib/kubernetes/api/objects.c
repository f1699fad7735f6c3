/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "objects.h"

#define PREFIX "kilo.squat.ai/"

enum { DUMP = JSON_COMPACT | JSON_SORT_KEYS };

/* Of others. Not: wireguard-ip and granularity, which each works out; last-seen is kept apart. */
static const char *const plan_notes[] = {
	PREFIX "allowed-location-ips", PREFIX "cni-compatibility-ip", PREFIX "discovered-endpoints",
	PREFIX "endpoint", PREFIX "force-endpoint", PREFIX "force-internal-ip", PREFIX "internal-ip",
	PREFIX "key", PREFIX "leader", PREFIX "location", PREFIX "persistent-keepalive",
};
/* What this host writes into its own node all the time. */
static const char *const own_notes[] = {
	PREFIX "granularity", PREFIX "last-seen", PREFIX "wireguard-ip",
};
static const char *const peer_fields[] = {
	"allowedIPs", "endpoint", "persistentKeepalive", "presharedKey", "publicKey",
};

#define N_OF(array) (sizeof(array) / sizeof(*(array)))

/* ---- memory that is wiped -------------------------------------------- */

/* In front of what jansson gets; keeps its alignment. */
union front {
	size_t len;
	max_align_t align;
};

static void *wiped_malloc(size_t len)
{
	union front *p = len > SIZE_MAX - sizeof(*p) ? NULL : malloc(sizeof(*p) + len);

	if (!p)
		return NULL;
	p->len = len;
	return p + 1;
}

static void wiped_free(void *mem)
{
	union front *p = mem;

	if (!p)
		return;
	p--;
	explicit_bzero(p + 1, p->len);
	free(p);
}

void objects_wipe_memory(void)
{
	json_set_alloc_funcs(wiped_malloc, wiped_free);
}

/* A dump in memory of our own. */
static char *dump(const json_t *j, size_t *len)
{
	char *text = json_dumps(j, DUMP), *out;

	if (!text)
		return NULL;
	*len = strlen(text);
	out = malloc(*len + 1);
	if (out)
		memcpy(out, text, *len + 1);
	wiped_free(text);
	return out;
}

/* ---- the fields in use ------------------------------------------------ */

static void copy_text(json_t *to, const json_t *from, const char *key)
{
	json_t *v = json_object_get(from, key);

	/* Numbers and the like are no values of annotations and labels. */
	if (json_is_string(v))
		json_object_set(to, key, v);
}

static json_t *new_object(json_t *in, const char *key)
{
	json_t *j = json_object();

	if (json_object_set_new(in, key, j))
		return NULL;
	return json_object_get(in, key);
}

static void copy_pods(json_t *to, const json_t *node)
{
	const json_t *from = json_object_get(node, "spec");
	json_t *spec = new_object(to, "spec"), *v = json_object_get(from, "podCIDRs");

	copy_text(spec, from, "podCIDR");
	if (json_is_array(v))
		json_object_set(spec, "podCIDRs", v);
}

static json_t *begin_object(const char *kind, const char *name, json_t **metadata)
{
	json_t *j = json_object();

	json_object_set_new(j, "kind", json_string(kind));
	*metadata = new_object(j, "metadata");
	json_object_set_new(*metadata, "name", json_string(name));
	return j;
}

const char *object_name(const json_t *object)
{
	const json_t *name = json_object_get(json_object_get(object, "metadata"), "name");
	const char *text = json_string_value(name);

	/* The API server lets no others through; ends of line and NUL would be trouble. */
	if (!text || !*text || strlen(text) != json_string_length(name) || strlen(text) > 253 ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(text))
		return NULL;
	return text;
}

static json_t *project_node(const json_t *node, const char *name, const char *label)
{
	const json_t *from = json_object_get(node, "metadata");
	json_t *metadata, *notes, *j = begin_object("Node", name, &metadata);
	size_t i;

	notes = new_object(metadata, "annotations");
	for (i = 0; i < N_OF(plan_notes); i++)
		copy_text(notes, json_object_get(from, "annotations"), plan_notes[i]);
	copy_text(new_object(metadata, "labels"), json_object_get(from, "labels"), label);
	copy_pods(j, node);
	return j;
}

static json_t *project_peer(const json_t *peer, const char *name)
{
	const json_t *from = json_object_get(peer, "spec");
	json_t *metadata, *j = begin_object("Peer", name, &metadata), *spec = new_object(j, "spec"), *v;
	size_t i;

	for (i = 0; i < N_OF(peer_fields); i++) {
		v = json_object_get(from, peer_fields[i]);
		if (v)
			json_object_set(spec, peer_fields[i], v);
	}
	return j;
}

static bool is_own_note(const char *key)
{
	size_t i;

	for (i = 0; i < N_OF(own_notes); i++)
		if (!strcmp(key, own_notes[i]))
			return true;
	return false;
}

char *object_self(const json_t *node, const char *label, bool for_waking)
{
	const json_t *from = json_object_get(node, "metadata");
	const char *name = object_name(node), *key;
	json_t *metadata, *notes, *labels, *v, *j;
	char *text;
	size_t len;

	if (!name)
		return NULL;
	j = begin_object("Node", name, &metadata);
	notes = new_object(metadata, "annotations");
	labels = new_object(metadata, "labels");
	json_object_foreach(json_object_get(from, "annotations"), key, v)
		if (!strncmp(key, PREFIX, strlen(PREFIX)) && !(for_waking && is_own_note(key)))
			copy_text(notes, json_object_get(from, "annotations"), key);
	copy_text(labels, json_object_get(from, "labels"), label);
	copy_text(labels, json_object_get(from, "labels"), "nkml.squat.ai/wireguard");
	copy_pods(j, node);
	v = json_object_get(json_object_get(node, "status"), "addresses");
	if (json_is_array(v))
		json_object_set(new_object(j, "status"), "addresses", v);
	text = dump(j, &len);
	json_decref(j);
	return text;
}

/* ---- the store -------------------------------------------------------- */

static size_t hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325;	/* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3;
	return (size_t)(h ^ h >> 32);
}

static bool grow(struct store *s)
{
	size_t n = s->n_buckets ? s->n_buckets * 4 : 64, i;
	struct object **buckets = calloc(n, sizeof(*buckets)), *o, *next;

	if (!buckets)
		return false;
	for (i = 0; i < s->n_buckets; i++)
		for (o = s->buckets[i]; o; o = next) {
			next = o->next;
			o->next = buckets[hash(o->name) % n];
			buckets[hash(o->name) % n] = o;
		}
	free(s->buckets);
	s->buckets = buckets;
	s->n_buckets = n;
	return true;
}

static void object_free(struct object *o)
{
	if (o->line)
		explicit_bzero(o->line, o->line_len);
	free(o->line);
	free(o->name);
	free(o);
}

static struct object **place_of(struct store *s, const char *name)
{
	struct object **at = &s->buckets[hash(name) % s->n_buckets];

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

/* The object of this name, which is made if it is not there. */
static struct object *find(struct store *s, const char *name)
{
	struct object **at;

	if (s->n >= s->n_buckets && !grow(s))
		return NULL;
	at = place_of(s, name);
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return NULL;
		(*at)->name = strdup(name);
		if (!(*at)->name) {
			free(*at);
			*at = NULL;
			return NULL;
		}
		s->n++;
	}
	return *at;
}

bool store_remove(struct store *s, const char *name)
{
	struct object **at, *o;

	if (!s->n_buckets)
		return false;
	at = place_of(s, name);
	o = *at;
	if (!o)
		return false;
	*at = o->next;
	object_free(o);
	s->n--;
	return true;
}

bool store_has(struct store *s, const char *name)
{
	return s->n_buckets && *place_of(s, name);
}

size_t store_sweep(struct store *s)
{
	struct object **at, *o;
	size_t i, n = 0;

	for (i = 0; i < s->n_buckets; i++)
		for (at = &s->buckets[i]; (o = *at); ) {
			if (o->list == s->list) {
				at = &o->next;
				continue;
			}
			*at = o->next;
			object_free(o);
			s->n--;
			n++;
		}
	return n;
}

void store_each(struct store *s, void (*visit)(void *user, struct object *o), void *user)
{
	struct object *o;
	size_t i;

	for (i = 0; i < s->n_buckets; i++)
		for (o = s->buckets[i]; o; o = o->next)
			visit(user, o);
}

void store_free(struct store *s)
{
	s->list++;
	store_sweep(s);
	free(s->buckets);
	*s = (struct store){ 0 };
}

/* Takes the projection J of an object, which it frees. */
static enum object_change put(struct store *s, const char *name, json_t *j, struct object **out)
{
	struct object *o = find(s, name);
	size_t len = 0;
	char *line = NULL;

	if (o)
		line = dump(j, &len);
	if (line && len > OBJECT_LINE_MAX) {
		free(line);
		json_object_del(j, "spec");
		json_object_del(json_object_get(j, "metadata"), "annotations");
		json_object_set_new(j, "large", json_integer((json_int_t)len));
		line = dump(j, &len);
	}
	json_decref(j);
	if (!line) {
		if (o && !o->line)
			store_remove(s, name);
		return OBJECT_FAILED;
	}
	*out = o;
	o->list = s->list;
	if (o->line && o->line_len == len && !memcmp(o->line, line, len)) {
		free(line);
		return OBJECT_SAME;
	}
	if (o->line)
		explicit_bzero(o->line, o->line_len);
	free(o->line);
	o->line = line;
	o->line_len = len;
	return OBJECT_NEWS;
}

/* Seconds since 1970 in decimal digits; 0 for what is none. */
static int64_t seconds_of(const json_t *node)
{
	const json_t *notes = json_object_get(json_object_get(node, "metadata"), "annotations");
	const char *text = json_string_value(json_object_get(notes, PREFIX "last-seen"));

	if (!text || !*text || strlen(text) > 15 || strspn(text, "0123456789") != strlen(text))
		return 0;
	return strtoll(text, NULL, 10);
}

enum object_change store_put_node(struct store *s, const json_t *node, const char *label,
				  int64_t now, struct object **out, int64_t *was)
{
	const char *name = object_name(node);
	enum object_change change;
	int64_t seen;

	if (!name)
		return OBJECT_FAILED;
	change = put(s, name, project_node(node, name, label), out);
	if (change == OBJECT_FAILED)
		return change;
	seen = seconds_of(node);
	*was = (*out)->told_seen;
	if (seen != (*out)->told_seen) {
		(*out)->told_seen = seen;
		/* A clock that is ahead does not keep a node that has died. */
		(*out)->seen = seen < now ? seen : now;
	}
	return change;
}

enum object_change store_put_peer(struct store *s, const json_t *peer)
{
	const char *name = object_name(peer);
	struct object *o;

	return name ? put(s, name, project_peer(peer, name), &o) : OBJECT_FAILED;
}

void object_write_node(const struct object *o, FILE *f)
{
	fprintf(f, "{\"kilowg\":{\"gone\":%s,\"seen\":%lld},%s\n", o->gone ? "true" : "false",
		(long long)o->seen, o->line + 1);
}

void object_write_peer(const struct object *o, FILE *f)
{
	fprintf(f, "%s\n", o->line);
}
