/* SPDX-License-Identifier: ISC */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sys/resolve.h"

static struct kwgi_addr from_sockaddr(const struct sockaddr *sa)
{
	struct kwgi_addr a = { 0 };

	if (sa->sa_family == AF_INET) {
		a.family = KWGI_AF_V4;
		memcpy(a.b, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		a.family = KWGI_AF_V6;
		memcpy(a.b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	}
	return a;
}

bool kwgi_resolve(const char *host, const struct kwgi_addr *current, struct kwgi_addr *out,
		  const char **why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG };
	struct kwgi_addr best = { 0 }, a;
	struct addrinfo *list, *i;
	int ret = getaddrinfo(host, NULL, &hints, &list);

	if (ret) {
		*why = gai_strerror(ret);
		return false;
	}
	for (i = list; i; i = i->ai_next) {
		a = from_sockaddr(i->ai_addr);
		if (!a.family)
			continue;
		if (kwgi_addr_equal(&a, current)) {
			best = a;
			break;
		}
		if (!best.family || kwgi_addr_cmp(&a, &best) < 0)
			best = a;
	}
	freeaddrinfo(list);
	*why = "the name has no address";
	if (!best.family)
		return false;
	*out = best;
	return true;
}
