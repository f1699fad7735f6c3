/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Addresses, prefixes (CIDR) and endpoints, as values. An IPv4-mapped IPv6
 * address or network is the IPv4 one, everywhere.
 */
#ifndef KWGI_ADDR_H
#define KWGI_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum kwgi_family {
	KWGI_AF_NONE = 0,
	KWGI_AF_V4 = 4,
	KWGI_AF_V6 = 6,
};

enum {
	KWGI_ADDR_TEXT = 46,	/* longest address with NUL */
	KWGI_PREFIX_TEXT = 50,	/* longest address/length with NUL */
};

struct kwgi_addr {
	uint8_t family;		/* enum kwgi_family; NONE: no address */
	uint8_t b[16];		/* network order; IPv4 in the first four, rest zero */
};

struct kwgi_prefix {
	struct kwgi_addr addr;
	uint8_t len;		/* bits */
};

struct kwgi_endpoint {
	const char *host;	/* DNS name, or NULL: addr holds */
	struct kwgi_addr addr;
	uint16_t port;		/* host order; 0: no endpoint */
};

/* All parsers return 0 or -1 and leave *out untouched on failure. */
int kwgi_addr_parse(struct kwgi_addr *out, const char *s);
/* "address/length"; host bits are kept. */
int kwgi_prefix_parse(struct kwgi_prefix *out, const char *s);
/* A lower-case name of the RFC 1123 form, 253 characters at most, no final dot. */
bool kwgi_is_dns_name(const char *s, size_t len);
/*
 * "address:port", "[v6]:port", "name:port". For a name, out->host points to
 * nothing yet and *host_len says how many bytes of s are the name; else 0.
 */
int kwgi_endpoint_parse(struct kwgi_endpoint *out, const char *s, size_t *host_len);

unsigned kwgi_addr_bits(const struct kwgi_addr *a);		/* 32, 128, or 0 */
int kwgi_addr_cmp(const struct kwgi_addr *a, const struct kwgi_addr *b);
bool kwgi_addr_equal(const struct kwgi_addr *a, const struct kwgi_addr *b);
/* Public as Kilo sees it: see addr.c. */
bool kwgi_addr_is_public(const struct kwgi_addr *a);
/* Not reached from everywhere: RFC 1918, RFC 4193, and those of providers, RFC 6598. */
bool kwgi_addr_is_inner(const struct kwgi_addr *a);
/* Of a network of one's own: RFC 1918 and fd00::/8. Not all others are public. */
bool kwgi_addr_is_private(const struct kwgi_addr *a);
/* "loopback", "multicast", "unspecified", or NULL for an address of use to others. */
const char *kwgi_addr_useless(const struct kwgi_addr *a);
/* a + n; false if that leaves the address space. */
bool kwgi_addr_add(struct kwgi_addr *out, const struct kwgi_addr *a, uint64_t n);
/* a - base if that is below 2^63, else UINT64_MAX; both of one family. */
uint64_t kwgi_addr_offset(const struct kwgi_addr *a, const struct kwgi_addr *base);

/* The host prefix: /32 or /128. */
struct kwgi_prefix kwgi_prefix_host(const struct kwgi_addr *a);
struct kwgi_prefix kwgi_prefix_masked(const struct kwgi_prefix *p);
bool kwgi_prefix_has_host_bits(const struct kwgi_prefix *p);
bool kwgi_prefix_contains(const struct kwgi_prefix *p, const struct kwgi_addr *a);
/* By family, address, then length: a network stands before those inside it. */
int kwgi_prefix_cmp(const struct kwgi_prefix *a, const struct kwgi_prefix *b);
/* Sorts, and drops those inside another. Returns how many are left. */
uint32_t kwgi_prefix_outermost(struct kwgi_prefix *v, uint32_t n);
bool kwgi_prefix_equal(const struct kwgi_prefix *a, const struct kwgi_prefix *b);

/* RFC 5952 text, the same on every libc. Each returns out. */
char *kwgi_addr_format(char out[KWGI_ADDR_TEXT], const struct kwgi_addr *a);
char *kwgi_prefix_format(char out[KWGI_PREFIX_TEXT], const struct kwgi_prefix *p);
void kwgi_buf_addr(struct kwgi_buf *b, const struct kwgi_addr *a);
void kwgi_buf_prefix(struct kwgi_buf *b, const struct kwgi_prefix *p);
void kwgi_buf_endpoint(struct kwgi_buf *b, const struct kwgi_endpoint *e);

#endif
