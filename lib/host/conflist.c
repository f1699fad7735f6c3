/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/conflist.h"

#ifdef KWG_WITH_JANSSON
#include <jansson.h>

bool kwgi_conflist_can(void)
{
	return true;
}

/* Kilo: manifests/kilo-k3s.yaml and others, the ConfigMap. */
static const char pattern[] =
	"{\"cniVersion\": \"0.3.1\", \"name\": \"kilo\", \"plugins\": ["
	"{\"name\": \"kubernetes\", \"type\": \"bridge\", \"bridge\": \"kube-bridge\","
	" \"isDefaultGateway\": true, \"forceAddress\": true, \"mtu\": 0,"
	" \"ipam\": {\"type\": \"host-local\"}},"
	"{\"type\": \"portmap\", \"snat\": true, \"capabilities\": {\"portMappings\": true}}]}";

static bool text_is(const json_t *v, const char *want)
{
	return json_is_string(v) && !strcmp(json_string_value(v), want);
}

/* ---- are they there already? ----------------------------------------- */

static bool is_subnet(const json_t *range, const struct kwgi_prefix *want)
{
	const char *text = json_string_value(json_object_get(range, "subnet"));
	struct kwgi_prefix p;

	return text && !kwgi_prefix_parse(&p, text) && kwgi_prefix_equal(&p, want);
}

/* Does one set hold the networks of this family, in order, and nothing else? */
static bool is_set(const json_t *set, const struct kwgi_cidrs *pods, uint8_t family)
{
	size_t at = 0;
	uint32_t i;

	for (i = 0; i < pods->n; i++)
		if (pods->v[i].prefix.addr.family == family &&
		    !is_subnet(json_array_get(set, at++), &pods->v[i].prefix))
			return false;
	return json_is_array(set) && json_array_size(set) == at;
}

/* The families of the networks in the order in which they come first. */
static size_t families_of(const struct kwgi_cidrs *pods, uint8_t out[2])
{
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < pods->n; i++) {
		uint8_t family = pods->v[i].prefix.addr.family;

		if (!n || (n == 1 && out[0] != family))
			out[n++] = family;
	}
	return n;
}

/* A subnet beside the ranges is one more range (host-local: README, "subnet"). */
static bool has_ranges(const json_t *ipam, const struct kwgi_cidrs *pods)
{
	const json_t *ranges = json_object_get(ipam, "ranges");
	uint8_t families[2];
	size_t i, n = families_of(pods, families);

	if (json_object_get(ipam, "subnet"))
		return !ranges && pods->n == 1 && is_subnet(ipam, &pods->v[0].prefix);
	for (i = 0; i < n; i++)
		if (!is_set(json_array_get(ranges, i), pods, families[i]))
			return false;
	return json_is_array(ranges) && json_array_size(ranges) == n;
}

/* ---- setting --------------------------------------------------------- */

/* These take v over, also when it is NULL for want of memory. */
static int put(json_t *list, json_t *v)
{
	return json_array_append_new(list, v);
}

static json_t *make_set(const struct kwgi_cidrs *pods, uint8_t family)
{
	json_t *set = json_array();
	char text[KWGI_PREFIX_TEXT];
	uint32_t i;

	for (i = 0; set && i < pods->n; i++) {
		if (pods->v[i].prefix.addr.family != family)
			continue;
		kwgi_prefix_format(text, &pods->v[i].prefix);
		if (put(set, json_pack("{s:s}", "subnet", text))) {
			json_decref(set);
			return NULL;
		}
	}
	return set;
}

static int set_ranges(json_t *ipam, const struct kwgi_cidrs *pods)
{
	static const char *const single[] = { "subnet", "rangeStart", "rangeEnd", "gateway" };
	json_t *ranges = json_array();
	uint8_t families[2];
	size_t i, n = families_of(pods, families);

	for (i = 0; ranges && i < n; i++)
		if (put(ranges, make_set(pods, families[i]))) {
			json_decref(ranges);
			return -1;
		}
	if (json_object_get(ipam, "subnet"))
		for (i = 0; i < sizeof(single) / sizeof(*single); i++)
			(void)json_object_del(ipam, single[i]);
	return json_object_set_new(ipam, "ranges", ranges);
}

/* *found: plugins that are told; *changed: those to which it is news. 0, or -1: no memory. */
static int set_plugins(json_t *plugins, const struct kwgi_cidrs *pods, size_t *found,
		       size_t *changed)
{
	json_t *plugin, *ipam;
	size_t i;

	*found = *changed = 0;
	json_array_foreach(plugins, i, plugin) {
		ipam = json_object_get(plugin, "ipam");
		if (!text_is(json_object_get(ipam, "type"), "host-local"))
			continue;
		++*found;
		if (has_ranges(ipam, pods))
			continue;
		++*changed;
		if (set_ranges(ipam, pods))
			return -1;
	}
	return 0;
}

/* ---- text ------------------------------------------------------------ */

/*
 * With 17 digits each number is read back as it was, but 0.1 is written
 * as 0.10000000000000001; so fewer are tried first.
 */
static char *write_text(const json_t *root)
{
	size_t digits;
	char *text = NULL;
	json_t *again;
	bool equal;

	for (digits = 15; digits <= 17; digits++) {
		free(text);
		text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(digits));
		again = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
		equal = again && json_equal(again, root);
		json_decref(again);
		if (equal)
			return text;
	}
	free(text);
	return NULL;
}

/* With a newline at its end. */
static int give_text(const json_t *root, char **out, size_t *out_len, struct kwg_error *err)
{
	char *text = write_text(root), *more;
	size_t len = text ? strlen(text) : 0;

	more = text ? realloc(text, len + 2) : NULL;
	if (!more) {
		free(text);
		return kwgi_nomem(err);
	}
	more[len] = '\n';
	more[len + 1] = '\0';
	*out = more;
	*out_len = len + 1;
	return 0;
}

static int set_root(const char *name, json_t *root, const struct kwgi_cidrs *pods, char **out,
		    size_t *out_len, struct kwg_error *err)
{
	json_t *plugins = json_object_get(root, "plugins");
	size_t found, changed;

	if (!json_is_array(plugins))
		return kwgi_fail(err, KWG_ERR_CONFIG, 0,
				 "%.300s: this is no CNI configuration list: it has no array called plugins",
				 name);
	if (set_plugins(plugins, pods, &found, &changed))
		return kwgi_nomem(err);
	if (!found)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0,
				 "%.300s: no plugin in it has an ipam of the type host-local, so there is nobody to tell the networks of the pods; with another IPAM set cni = no",
				 name);
	*out = NULL;
	return changed ? give_text(root, out, out_len, err) : 0;
}

int kwgi_conflist_set(const char *name, const char *text, size_t len,
		      const struct kwgi_cidrs *pods, char **out, size_t *out_len,
		      struct kwg_error *err)
{
	json_error_t why;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	int ret;

	if (!root)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0,
				 "%.300s:%d: this is not JSON: %.100s (column %d, byte %d); nothing is changed",
				 name, why.line, why.text, why.column, why.position);
	ret = set_root(name, root, pods, out, out_len, err);
	json_decref(root);
	return ret;
}

int kwgi_conflist_make(const struct kwgi_cidrs *pods, uint32_t mtu, char **out, size_t *out_len,
		       struct kwg_error *err)
{
	json_t *root = json_loads(pattern, 0, NULL), *bridge;
	int ret;

	bridge = json_array_get(json_object_get(root, "plugins"), 0);
	if (!root || json_object_set_new(bridge, "mtu", json_integer(mtu)))
		ret = kwgi_nomem(err);
	else
		ret = set_root("", root, pods, out, out_len, err);
	json_decref(root);
	return ret;
}

#else

bool kwgi_conflist_can(void)
{
	return false;
}

static int fail(struct kwg_error *err)
{
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "cni = yes: this kilowg was built without libjansson, which it needs for that (configure --with-jansson); set cni = no");
}

int kwgi_conflist_set(const char *name, const char *text, size_t len,
		      const struct kwgi_cidrs *pods, char **out, size_t *out_len,
		      struct kwg_error *err)
{
	(void)name, (void)text, (void)len, (void)pods, (void)out, (void)out_len;
	return fail(err);
}

int kwgi_conflist_make(const struct kwgi_cidrs *pods, uint32_t mtu, char **out, size_t *out_len,
		       struct kwg_error *err)
{
	(void)pods, (void)mtu, (void)out, (void)out_len;
	return fail(err);
}

#endif
