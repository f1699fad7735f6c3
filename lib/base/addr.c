/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/num.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static struct kwgi_addr from_v4(const uint8_t b[4])
{
	struct kwgi_addr a = { .family = KWGI_AF_V4 };

	memcpy(a.b, b, 4);
	return a;
}

int kwgi_addr_parse(struct kwgi_addr *out, const char *s)
{
	struct kwgi_addr a = { 0 };

	if (inet_pton(AF_INET, s, a.b) == 1) {
		a.family = KWGI_AF_V4;
	} else if (inet_pton(AF_INET6, s, a.b) == 1) {
		a.family = KWGI_AF_V6;
		if (!memcmp(a.b, mapped, sizeof(mapped)))
			a = from_v4(a.b + sizeof(mapped));
	} else {
		return -1;
	}
	*out = a;
	return 0;
}

int kwgi_prefix_parse(struct kwgi_prefix *out, const char *s)
{
	const char *slash = strchr(s, '/');
	char text[KWGI_ADDR_TEXT];
	struct kwgi_prefix p;
	uint64_t len, bits;

	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return -1;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	/* The length counts in the family that was written. */
	bits = strchr(text, ':') ? 128 : 32;
	if (kwgi_addr_parse(&p.addr, text) || kwgi_num_parse(&len, slash + 1, bits))
		return -1;
	if (bits == 128 && p.addr.family == KWGI_AF_V4) {
		if (len < 96)
			return -1;
		len -= 96;
	}
	p.len = (uint8_t)len;
	*out = p;
	return 0;
}

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool kwgi_is_dns_name(const char *s, size_t len)
{
	size_t i, label = 0;

	if (!len || len > 253)
		return false;
	for (i = 0; i < len; i++) {
		if (s[i] == '.') {
			if (!label || s[i - 1] == '-')
				return false;
			label = 0;
		} else if (is_label_char(s[i]) || (s[i] == '-' && label)) {
			label++;
		} else {
			return false;
		}
	}
	return label && s[len - 1] != '-';
}

int kwgi_endpoint_parse(struct kwgi_endpoint *out, const char *s, size_t *host_len)
{
	const char *colon = strrchr(s, ':'), *host = s;
	struct kwgi_endpoint e = { 0 };
	char text[KWGI_ADDR_TEXT];
	uint64_t port;
	size_t len;
	bool bracket;

	if (!colon || kwgi_num_parse(&port, colon + 1, 65535) || !port)
		return -1;
	len = (size_t)(colon - s);
	bracket = len >= 2 && s[0] == '[' && s[len - 1] == ']';
	if (bracket) {
		host++;
		len -= 2;
	}
	e.port = (uint16_t)port;
	*host_len = 0;
	if (len && len < sizeof(text)) {
		memcpy(text, host, len);
		text[len] = '\0';
		if (!kwgi_addr_parse(&e.addr, text)) {
			/* "1:2:3:4" could be cut anywhere: brackets are required. */
			if (bracket != !!memchr(host, ':', len))
				return -1;
			*out = e;
			return 0;
		}
	}
	if (bracket || !kwgi_is_dns_name(host, len))
		return -1;
	*host_len = len;
	*out = e;
	return 0;
}

unsigned kwgi_addr_bits(const struct kwgi_addr *a)
{
	switch (a->family) {
	case KWGI_AF_V4:
		return 32;
	case KWGI_AF_V6:
		return 128;
	}
	return 0;
}

int kwgi_addr_cmp(const struct kwgi_addr *a, const struct kwgi_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool kwgi_addr_equal(const struct kwgi_addr *a, const struct kwgi_addr *b)
{
	return !kwgi_addr_cmp(a, b);
}

static bool is_rfc1918(const struct kwgi_addr *a)
{
	return a->b[0] == 10 || (a->b[0] == 172 && (a->b[1] & 0xf0) == 16) ||
	       (a->b[0] == 192 && a->b[1] == 168);
}

/*
 * Kilo (pkg/mesh/discoverips.go, isPublic): every IPv4 address outside
 * RFC 1918 and every IPv6 address outside fd00::/16 counts as public. That
 * makes loopback and fd12::1 public, too; leaders are chosen by it, so it has
 * to be the same on every node.
 */
bool kwgi_addr_is_public(const struct kwgi_addr *a)
{
	switch (a->family) {
	case KWGI_AF_V4:
		return !is_rfc1918(a);
	case KWGI_AF_V6:
		return !(a->b[0] == 0xfd && a->b[1] == 0);
	}
	return false;
}

/*
 * Between private addresses of one location packets pass in clear, so in doubt an
 * address is not private. 100.64.0.0/10 is shared by the customers of a provider
 * (RFC 6598), link-local addresses by whoever is plugged in, and fc00::/8 is not
 * assigned (RFC 4193).
 */
bool kwgi_addr_is_private(const struct kwgi_addr *a)
{
	switch (a->family) {
	case KWGI_AF_V4:
		return is_rfc1918(a);
	case KWGI_AF_V6:
		return a->b[0] == 0xfd;
	}
	return false;
}

bool kwgi_addr_is_inner(const struct kwgi_addr *a)
{
	return kwgi_addr_is_private(a) || (a->family == KWGI_AF_V6 && (a->b[0] & 0xfe) == 0xfc) ||
	       (a->family == KWGI_AF_V4 && a->b[0] == 100 && (a->b[1] & 0xc0) == 64);
}

const char *kwgi_addr_useless(const struct kwgi_addr *a)
{
	static const uint8_t zero[16], one[16] = { [15] = 1 };

	if (!memcmp(a->b, zero, sizeof(zero)))
		return "unspecified";
	if (a->family == KWGI_AF_V4 ? a->b[0] == 127 : !memcmp(a->b, one, sizeof(one)))
		return "loopback";
	if (a->family == KWGI_AF_V4 ? (a->b[0] & 0xf0) == 224 : a->b[0] == 0xff)
		return "multicast";
	return NULL;
}

bool kwgi_addr_add(struct kwgi_addr *out, const struct kwgi_addr *a, uint64_t n)
{
	struct kwgi_addr r = *a;
	int i;

	for (i = (int)kwgi_addr_bits(a) / 8 - 1; i >= 0 && n; i--) {
		n += r.b[i];
		r.b[i] = (uint8_t)n;
		n >>= 8;
	}
	if (n)
		return false;
	*out = r;
	return true;
}

uint64_t kwgi_addr_offset(const struct kwgi_addr *a, const struct kwgi_addr *base)
{
	int i, bytes = (int)kwgi_addr_bits(a) / 8;
	uint64_t diff = 0;

	if (kwgi_addr_cmp(a, base) < 0)
		return UINT64_MAX;
	/* Schoolbook subtraction from the left; borrow shows up as a smaller diff. */
	for (i = 0; i < bytes; i++) {
		if (diff >> 56)
			return UINT64_MAX;
		diff = diff * 256 + a->b[i] - base->b[i];
	}
	return diff >> 63 ? UINT64_MAX : diff;
}

struct kwgi_prefix kwgi_prefix_host(const struct kwgi_addr *a)
{
	return (struct kwgi_prefix){ *a, (uint8_t)kwgi_addr_bits(a) };
}

struct kwgi_prefix kwgi_prefix_masked(const struct kwgi_prefix *p)
{
	struct kwgi_prefix m = *p;
	unsigned i = p->len / 8u;

	if (p->len % 8u) {
		m.addr.b[i] &= (uint8_t)(0xff00u >> (p->len % 8u));
		i++;
	}
	memset(m.addr.b + i, 0, sizeof(m.addr.b) - i);
	return m;
}

bool kwgi_prefix_has_host_bits(const struct kwgi_prefix *p)
{
	struct kwgi_prefix m = kwgi_prefix_masked(p);

	return !kwgi_prefix_equal(&m, p);
}

bool kwgi_prefix_contains(const struct kwgi_prefix *p, const struct kwgi_addr *a)
{
	unsigned whole = p->len / 8u, rest = p->len % 8u;

	if (p->addr.family != a->family || !a->family || memcmp(p->addr.b, a->b, whole))
		return false;
	return !rest || !((p->addr.b[whole] ^ a->b[whole]) >> (8u - rest));
}

int kwgi_prefix_cmp(const struct kwgi_prefix *a, const struct kwgi_prefix *b)
{
	int c = kwgi_addr_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->len - (int)b->len;
}

bool kwgi_prefix_equal(const struct kwgi_prefix *a, const struct kwgi_prefix *b)
{
	return !kwgi_prefix_cmp(a, b);
}

static int by_prefix(const void *a, const void *b)
{
	return kwgi_prefix_cmp(a, b);
}

uint32_t kwgi_prefix_outermost(struct kwgi_prefix *v, uint32_t n)
{
	uint32_t i, kept = 0;

	if (n)
		qsort(v, n, sizeof(*v), by_prefix);
	/* Sorted, a network stands before those inside it. */
	for (i = 0; i < n; i++)
		if (!kept || !kwgi_prefix_contains(&v[kept - 1], &v[i].addr))
			v[kept++] = v[i];
	return kept;
}

static char *put_num(char *p, unsigned n, unsigned base)
{
	static const char digits[] = "0123456789abcdef";
	char tmp[8];
	int i = 0;

	do
		tmp[i++] = digits[n % base];
	while (n /= base);
	while (i)
		*p++ = tmp[--i];
	return p;
}

static char *format_v6(char *p, const uint8_t b[16])
{
	unsigned group[8], i;
	unsigned best = 8, best_len = 1, run;

	for (i = 0; i < 8; i++)
		group[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
	/* RFC 5952 4.2: the longest run of two or more zero groups, the first of equals. */
	for (i = 0; i < 8; i += run + 1) {
		for (run = 0; i + run < 8 && !group[i + run]; run++)
			;
		if (run > best_len) {
			best = i;
			best_len = run;
		}
	}
	for (i = 0; i < 8; i++) {
		if (i == best) {
			*p++ = ':';
			*p++ = ':';
			i += best_len - 1;
			continue;
		}
		if (i && !(best < 8 && i == best + best_len))
			*p++ = ':';
		p = put_num(p, group[i], 16);
	}
	return p;
}

char *kwgi_addr_format(char out[KWGI_ADDR_TEXT], const struct kwgi_addr *a)
{
	char *p = out;
	int i;

	switch (a->family) {
	case KWGI_AF_V4:
		for (i = 0; i < 4; i++) {
			if (i)
				*p++ = '.';
			p = put_num(p, a->b[i], 10);
		}
		break;
	case KWGI_AF_V6:
		p = format_v6(p, a->b);
		break;
	}
	*p = '\0';
	return out;
}

char *kwgi_prefix_format(char out[KWGI_PREFIX_TEXT], const struct kwgi_prefix *p)
{
	char *end = out + strlen(kwgi_addr_format(out, &p->addr));

	*end++ = '/';
	*put_num(end, p->len, 10) = '\0';
	return out;
}

void kwgi_buf_addr(struct kwgi_buf *b, const struct kwgi_addr *a)
{
	char text[KWGI_ADDR_TEXT];

	kwgi_buf_puts(b, kwgi_addr_format(text, a));
}

void kwgi_buf_prefix(struct kwgi_buf *b, const struct kwgi_prefix *p)
{
	char text[KWGI_PREFIX_TEXT];

	kwgi_buf_puts(b, kwgi_prefix_format(text, p));
}

void kwgi_buf_endpoint(struct kwgi_buf *b, const struct kwgi_endpoint *e)
{
	bool v6 = !e->host && e->addr.family == KWGI_AF_V6;

	if (v6)
		kwgi_buf_putc(b, '[');
	if (e->host)
		kwgi_buf_puts(b, e->host);
	else
		kwgi_buf_addr(b, &e->addr);
	kwgi_buf_puts(b, v6 ? "]:" : ":");
	kwgi_buf_putu(b, e->port);
}
