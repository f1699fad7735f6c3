/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "userspace/path.h"

void kwgi_path_sockaddr(struct kwgi_sockaddr *out, const struct kwgi_path *p)
{
	memset(out, 0, sizeof(*out));
	if (p->family == 4) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(p->port);
		memcpy(&out->v4.sin_addr, p->addr, 4);
	} else if (p->family == 6) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(p->port);
		out->v6.sin6_scope_id = p->scope;
		memcpy(&out->v6.sin6_addr, p->addr, 16);
	}
}

void kwgi_path_source(struct kwgi_source *out, const struct kwgi_path *p)
{
	memset(out, 0, sizeof(*out));
	if (!p->has_source || p->way_changed)
		return;
	out->family = p->family == 4 ? AF_INET : AF_INET6;
	out->ifindex = p->source_ifindex;
	memcpy(&out->v6, p->source, p->family == 4 ? 4 : 16);
}

void kwgi_path_from(struct kwgi_path *out, const struct kwgi_sockaddr *from,
		    const struct kwgi_source *to)
{
	memset(out, 0, sizeof(*out));
	if (from->family == AF_INET) {
		out->family = 4;
		out->port = ntohs(from->v4.sin_port);
		memcpy(out->addr, &from->v4.sin_addr, 4);
	} else {
		out->family = 6;
		out->port = ntohs(from->v6.sin6_port);
		out->scope = from->v6.sin6_scope_id;
		memcpy(out->addr, &from->v6.sin6_addr, 16);
	}
	out->has_source = to->family == from->family;
	if (!out->has_source)
		return;
	out->source_ifindex = to->ifindex;
	memcpy(out->source, &to->v6, out->family == 4 ? 4 : 16);
}
