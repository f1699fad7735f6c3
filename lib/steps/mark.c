/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "steps/mark.h"

static const char mark[] = "kilowg mesh=";
static const char adopted_word[] = " adopted", tunnel_word[] = " tunnel";

void kwgi_mark_format(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol, uint32_t port,
		      bool adopted)
{
	snprintf(out, KWGI_ALIAS_MAX, "%s%s protocol=%u port=%u%s", mark, mesh, protocol, port,
		 adopted ? adopted_word : "");
}

void kwgi_mark_adopted(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol, uint32_t port,
		       uint32_t mtu)
{
	size_t len;

	kwgi_mark_format(out, mesh, protocol, port, !mtu);
	len = strlen(out);
	if (mtu)
		snprintf(out + len, KWGI_ALIAS_MAX - len, " mtu=%u%s", mtu, adopted_word);
}

void kwgi_mark_table(char out[KWGI_NFT_MARK_MAX], const char *mesh, uint8_t protocol,
		     const char *digest)
{
	snprintf(out, KWGI_NFT_MARK_MAX, "%s%s protocol=%u digest=%.32s", mark, mesh, protocol,
		 digest);
}

const char *kwgi_mark_mesh(const char *alias, size_t *len)
{
	if (strncmp(alias, mark, sizeof(mark) - 1))
		return NULL;
	alias += sizeof(mark) - 1;
	*len = strcspn(alias, " ");
	return alias;
}

static bool is_name(const char *name, const char *p, size_t len)
{
	return name && strlen(name) == len && !memcmp(name, p, len);
}

bool kwgi_mark_is_ours(const char *alias, const struct kwgi_owner *owner)
{
	size_t len;
	const char *mesh = kwgi_mark_mesh(alias, &len);
	uint32_t i;

	if (!mesh || mesh[len] != ' ')
		return false;
	for (i = 0; i < owner->n_former; i++)
		if (is_name(owner->former[i], mesh, len))
			return true;
	return is_name(owner->mesh, mesh, len);
}

static bool ends_with(const char *s, const char *word)
{
	size_t len = strlen(s), n = strlen(word);

	return len > n && !strcmp(s + len - n, word);
}

bool kwgi_mark_is_adopted(const char *alias)
{
	return ends_with(alias, adopted_word);
}

void kwgi_mark_tunnel(char out[KWGI_ALIAS_MAX], const char *mesh, uint8_t protocol)
{
	snprintf(out, KWGI_ALIAS_MAX, "%s%s protocol=%u%s", mark, mesh, protocol, tunnel_word);
}

bool kwgi_mark_is_tunnel(const char *alias)
{
	return !strncmp(alias, mark, sizeof(mark) - 1) && ends_with(alias, tunnel_word);
}

static void derived_name(char out[KWGI_IFNAME_MAX + 1], const char *prefix, const char *ifname)
{
	uint32_t hash = 2166136261u;	/* FNV-1a: all that it has to do is differ */

	for (; *ifname; ifname++)
		hash = (hash ^ (unsigned char)*ifname) * 16777619u;
	snprintf(out, KWGI_IFNAME_MAX + 1, "%.6s%08x", prefix, hash);
}

void kwgi_mark_unfinished_name(char out[KWGI_IFNAME_MAX + 1], const char *ifname)
{
	derived_name(out, "kwgnew", ifname);
}

void kwgi_mark_aside_name(char out[KWGI_IFNAME_MAX + 1], const char *ifname)
{
	derived_name(out, "kwgold", ifname);
}

bool kwgi_mark_is_rival(const char *alias, const struct kwgi_owner *owner)
{
	size_t len;

	return kwgi_mark_mesh(alias, &len) && !kwgi_mark_is_ours(alias, owner);
}

uint32_t kwgi_mark_number(const char *alias, const char *word)
{
	const char *p = strstr(alias, word);

	return p ? (uint32_t)strtoul(p + strlen(word), NULL, 10) : 0;
}
