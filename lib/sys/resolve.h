/* SPDX-License-Identifier: ISC */
#ifndef KWGI_RESOLVE_H
#define KWGI_RESOLVE_H

#include "base/addr.h"

/*
 * Looks a host name up. If current is among the answers it stays, so that
 * rotating answers change nothing; else the smallest address is taken. False,
 * with *why set to a text of the C library, if the name has no address.
 */
bool kwgi_resolve(const char *host, const struct kwgi_addr *current, struct kwgi_addr *out,
		  const char **why);

#endif
