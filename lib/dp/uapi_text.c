/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Reading never looks at a value's bytes through a table and never says what
 * they were: they may be a key. Lines are spans of the request, without NUL.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "dp/uapi_text.h"

struct span {
	const char *p;
	size_t len;
};

struct parser {
	struct kwgi_arena *arena;
	struct kwgi_uapi_set *set;
	struct kwgi_uapi_peer *peers;		/* as many as there are lines for */
	struct kwgi_uapi_ip *ips;		/* of all peers, in order; likewise */
	uint32_t n_ips;
	struct kwgi_uapi_peer *peer;		/* the section, or NULL before the first */
	struct kwgi_uapi_fault at;		/* what is being read */
};

/* ---- spans ------------------------------------ */

static bool is(struct span s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

static bool begins(struct span s, const char *text)
{
	return s.len >= strlen(text) && !memcmp(s.p, text, strlen(text));
}

/* What stands before the first (or behind it, in *rest) of a byte; false if it is not there. */
static bool cut(struct span s, char at, struct span *before, struct span *rest)
{
	const char *p = memchr(s.p, at, s.len);

	if (!p)
		return false;
	*before = (struct span){ s.p, (size_t)(p - s.p) };
	*rest = (struct span){ p + 1, s.len - before->len - 1 };
	return true;
}

/* The next line of what is left; false without a newline. */
static bool take_line(struct span *text, struct span *line)
{
	return cut(*text, '\n', line, text);
}

/* ---- values: 0 or EINVAL ---------------------------------------------- */

static int read_number(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	size_t i;

	if (!s.len)
		return EINVAL;
	for (i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return EINVAL;
		n = n * 10 + (uint64_t)(s.p[i] - '0');
		if (n > max)			/* and max is far below 2^60 */
			return EINVAL;
	}
	*out = n;
	return 0;
}

/* sodium_hex2bin() takes both cases, and the same time for all digits. */
static int read_key(struct span s, struct kwgi_key *out)
{
	size_t len;

	if (s.len != KWGI_KEY_HEX - 1 ||
	    sodium_hex2bin(out->b, sizeof(out->b), s.p, s.len, NULL, &len, NULL) ||
	    len != sizeof(out->b))
		return EINVAL;
	return 0;
}

static int read_true(struct span s)
{
	return is(s, "true") ? 0 : EINVAL;
}

/* As it is written: a v4-mapped address stays an IPv6 one. */
static int read_addr(struct span s, struct kwgi_addr *out)
{
	struct kwgi_addr a = { .family = memchr(s.p, ':', s.len) ? KWGI_AF_V6 : KWGI_AF_V4 };
	char text[KWGI_ADDR_TEXT];

	if (s.len >= sizeof(text) || memchr(s.p, '\0', s.len))
		return EINVAL;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	if (inet_pton(a.family == KWGI_AF_V4 ? AF_INET : AF_INET6, text, a.b) != 1)
		return EINVAL;
	*out = a;
	return 0;
}

static int read_prefix(struct span s, struct kwgi_prefix *out)
{
	struct span addr, len;
	struct kwgi_prefix p;
	uint64_t n;

	if (!cut(s, '/', &addr, &len) || read_addr(addr, &p.addr) ||
	    read_number(len, kwgi_addr_bits(&p.addr), &n) || (len.len > 1 && *len.p == '0'))
		return EINVAL;
	p.len = (uint8_t)n;
	*out = kwgi_prefix_masked(&p);
	return 0;
}

/* Digits are an interface index, all else a name as the kernel allows it (dev_valid_name()). */
static int read_scope(struct parser *p, struct span s, struct kwgi_uapi_endpoint *e)
{
	uint64_t n;
	size_t i;

	if (!read_number(s, UINT32_MAX, &n)) {
		e->scope_id = (uint32_t)n;
		return n ? 0 : EINVAL;
	}
	if (!s.len || s.len > 15 || is(s, ".") || is(s, ".."))
		return EINVAL;
	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("/:%[]", s.p[i]))
			return EINVAL;
	e->scope = kwgi_arena_strndup(p->arena, s.p, s.len);
	return e->scope ? 0 : ENOMEM;
}

/* What stands in brackets. */
static int read_host6(struct parser *p, struct span s, struct kwgi_uapi_endpoint *e)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct span addr = s, scope = { 0 };
	bool scoped = cut(s, '%', &addr, &scope);

	if (read_addr(addr, &e->addr) || e->addr.family != KWGI_AF_V6)
		return EINVAL;
	if (!memcmp(e->addr.b, mapped, sizeof(mapped))) {
		if (scoped)
			return EINVAL;
		e->addr.family = KWGI_AF_V4;
		memmove(e->addr.b, e->addr.b + 12, 4);
		memset(e->addr.b + 4, 0, 12);
	}
	return scoped ? read_scope(p, scope, e) : 0;
}

static int read_endpoint(struct parser *p, struct span s, struct kwgi_uapi_endpoint *out)
{
	const char *colon = memrchr(s.p, ':', s.len);
	struct kwgi_uapi_endpoint e = { 0 };
	struct span host = { s.p, colon ? (size_t)(colon - s.p) : 0 };
	uint64_t port;
	int ret;

	if (!colon || read_number((struct span){ colon + 1, s.len - host.len - 1 }, 65535, &port) ||
	    !port)
		return EINVAL;
	e.port = (uint16_t)port;
	if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		ret = read_host6(p, (struct span){ host.p + 1, host.len - 2 }, &e);
	else
		ret = memchr(host.p, ':', host.len) ? EINVAL : read_addr(host, &e.addr);
	if (!ret)
		*out = e;
	return ret;
}

/* ---- keys of the device: 0 or errno ------------------------------------ */

static int set_private_key(struct parser *p, struct span v)
{
	p->set->parts |= KWGI_UAPI_PRIVATE_KEY;
	return read_key(v, &p->set->private_key);
}

static int set_listen_port(struct parser *p, struct span v)
{
	uint64_t n;

	if (read_number(v, 65535, &n))
		return EINVAL;
	p->set->parts |= KWGI_UAPI_LISTEN_PORT;
	p->set->listen_port = (uint16_t)n;
	return 0;
}

static int set_fwmark(struct parser *p, struct span v)
{
	uint64_t n;

	if (read_number(v, UINT32_MAX, &n))
		return EINVAL;
	p->set->parts |= KWGI_UAPI_FWMARK;
	p->set->fwmark = (uint32_t)n;
	return 0;
}

static int set_replace_peers(struct parser *p, struct span v)
{
	p->set->parts |= KWGI_UAPI_REPLACE_PEERS;
	return read_true(v);
}

/* ---- keys of a peer: 0 or errno ------------------------------------ */

static int set_public_key(struct parser *p, struct span v)
{
	struct kwgi_key key;

	if (read_key(v, &key))
		return EINVAL;
	p->peer = &p->peers[p->set->n_peers++];
	p->peer->public_key = key;
	p->peer->ips = p->ips + p->n_ips;
	return 0;
}

static int set_remove(struct parser *p, struct span v)
{
	p->peer->parts |= KWGI_UAPI_REMOVE;
	return read_true(v);
}

static int set_update_only(struct parser *p, struct span v)
{
	p->peer->parts |= KWGI_UAPI_UPDATE_ONLY;
	return read_true(v);
}

static int set_psk(struct parser *p, struct span v)
{
	p->peer->parts |= KWGI_UAPI_PSK;
	return read_key(v, &p->peer->psk);
}

static int set_endpoint(struct parser *p, struct span v)
{
	p->peer->parts |= KWGI_UAPI_ENDPOINT;
	return read_endpoint(p, v, &p->peer->endpoint);
}

static int set_keepalive(struct parser *p, struct span v)
{
	uint64_t n;

	if (read_number(v, 65535, &n))
		return EINVAL;
	p->peer->parts |= KWGI_UAPI_KEEPALIVE;
	p->peer->keepalive = (uint16_t)n;
	return 0;
}

static struct kwgi_uapi_ip *new_ip(struct parser *p, enum kwgi_uapi_ip_op op)
{
	struct kwgi_uapi_ip *ip = &p->ips[p->n_ips++];

	p->peer->n_ips++;
	ip->op = (uint8_t)op;
	return ip;
}

static int set_replace_allowed_ips(struct parser *p, struct span v)
{
	new_ip(p, KWGI_UAPI_IP_CLEAR);
	return read_true(v);
}

static int set_allowed_ip(struct parser *p, struct span v)
{
	bool remove = begins(v, "-");

	if (remove)
		v = (struct span){ v.p + 1, v.len - 1 };
	return read_prefix(v, &new_ip(p, remove ? KWGI_UAPI_IP_REMOVE : KWGI_UAPI_IP_ADD)->prefix);
}

static int set_protocol_version(struct parser *p, struct span v)
{
	(void)p;
	return is(v, "1") ? 0 : EINVAL;
}

/* ---- lines ------------------------------------ */

struct setter {
	const char *name;
	int (*set)(struct parser *p, struct span value);
};

static const struct setter device_keys[] = {
	{ "private_key", set_private_key },
	{ "listen_port", set_listen_port },
	{ "fwmark", set_fwmark },
	{ "replace_peers", set_replace_peers },
	{ "public_key", set_public_key },
	{ 0 },
};

static const struct setter peer_keys[] = {
	{ "allowed_ip", set_allowed_ip },	/* first: most lines are of this kind */
	{ "public_key", set_public_key },
	{ "remove", set_remove },
	{ "update_only", set_update_only },
	{ "preshared_key", set_psk },
	{ "endpoint", set_endpoint },
	{ "persistent_keepalive_interval", set_keepalive },
	{ "replace_allowed_ips", set_replace_allowed_ips },
	{ "protocol_version", set_protocol_version },
	{ 0 },
};

static int read_line(struct parser *p, struct span line)
{
	const struct setter *s = p->peer ? peer_keys : device_keys;
	struct span key, value;

	if (!cut(line, '=', &key, &value))
		return EPROTO;
	if (line.len > KWGI_UAPI_LINE_MAX)
		return EINVAL;
	for (; s->name; s++)
		if (is(key, s->name)) {
			snprintf(p->at.key, sizeof(p->at.key), "%s", s->name);
			return s->set(p, value);
		}
	return EINVAL;
}

/*
 * Takes room for all that the lines could say. Only a whole key counts, so
 * that short lines which will be refused do not make a request a large one.
 */
static int reserve(struct parser *p, struct span text)
{
	static const char peer[] = "public_key=";
	size_t n_peers = 0, n_ips = 0;
	struct span line;

	while (take_line(&text, &line)) {
		if (line.len == strlen(peer) + KWGI_KEY_HEX - 1 && begins(line, peer))
			n_peers++;
		else if (begins(line, "allowed_ip=") || begins(line, "replace_allowed_ips="))
			n_ips++;
	}
	if (n_peers > UINT32_MAX || n_ips > UINT32_MAX)
		return ENOMEM;
	p->peers = kwgi_arena_alloc(p->arena, n_peers, sizeof(*p->peers));
	p->ips = kwgi_arena_alloc(p->arena, n_ips, sizeof(*p->ips));
	p->set->peers = p->peers;
	return p->peers && p->ips ? 0 : ENOMEM;
}

static int read_op(struct span line, enum kwgi_uapi_op *op)
{
	if (!memchr(line.p, '=', line.len))
		return EPROTO;
	if (!is(line, "get=1") && !is(line, "set=1"))
		return EINVAL;
	*op = is(line, "get=1") ? KWGI_UAPI_GET : KWGI_UAPI_SET;
	return 0;
}

static int read_request(struct parser *p, struct span text, enum kwgi_uapi_op *op)
{
	struct span line;
	int ret;

	if (!take_line(&text, &line))
		return EPROTO;
	p->at.line = 1;
	ret = read_op(line, op);
	if (!ret && *op == KWGI_UAPI_SET)
		ret = reserve(p, text);
	while (!ret) {
		p->at.line++;
		p->at.key[0] = '\0';
		if (!take_line(&text, &line))
			return EPROTO;
		if (!line.len)
			return text.len ? EPROTO : 0;
		ret = *op == KWGI_UAPI_SET ? read_line(p, line) : EINVAL;
	}
	return ret;
}

int kwgi_uapi_parse(struct kwgi_uapi_request *out, struct kwgi_arena *a,
		    const char *text, size_t len)
{
	struct kwgi_uapi_fault fault;

	return kwgi_uapi_parse_at(out, a, text, len, &fault);
}

int kwgi_uapi_parse_at(struct kwgi_uapi_request *out, struct kwgi_arena *a,
		       const char *text, size_t len, struct kwgi_uapi_fault *fault)
{
	struct parser p = { .arena = a, .set = &out->set };
	int ret;

	memset(out, 0, sizeof(*out));
	ret = len ? read_request(&p, (struct span){ text, len }, &out->op) : EPROTO;
	if (ret)
		sodium_memzero(out, sizeof(*out));
	*fault = p.at;
	return ret;
}

size_t kwgi_uapi_request_len(const char *text, size_t len, size_t *scanned)
{
	size_t from = *scanned;
	const char *end;

	if (!len)
		return 0;
	if (text[0] == '\n')
		return 1;
	end = memmem(text + from, len - from, "\n\n", 2);
	if (end)
		return (size_t)(end - text) + 2;
	*scanned = len - 1;		/* the last byte may be the first half */
	return 0;
}

/* ---- answers ------------------------------------ */

static void put_number(struct kwgi_buf *b, const char *name, uint64_t n)
{
	kwgi_buf_puts(b, name);
	kwgi_buf_putc(b, '=');
	kwgi_buf_putu(b, n);
	kwgi_buf_putc(b, '\n');
}

static void put_key(struct kwgi_buf *b, const char *name, const struct kwgi_key *k)
{
	char hex[KWGI_KEY_HEX];

	kwgi_buf_puts(b, name);
	kwgi_buf_putc(b, '=');
	kwgi_buf_puts(b, kwgi_key_format_hex(hex, k));
	kwgi_buf_putc(b, '\n');
	sodium_memzero(hex, sizeof(hex));
}

/* Without the scope of a link-local address `wg syncconf` would lose it. */
static void put_endpoint(struct kwgi_buf *b, const struct kwgi_uapi_endpoint *e)
{
	bool v6 = e->addr.family == KWGI_AF_V6;

	kwgi_buf_puts(b, v6 ? "endpoint=[" : "endpoint=");
	kwgi_buf_addr(b, &e->addr);
	if (v6 && (e->scope || e->scope_id)) {
		kwgi_buf_putc(b, '%');
		if (e->scope)
			kwgi_buf_puts(b, e->scope);
		else
			kwgi_buf_putu(b, e->scope_id);
	}
	kwgi_buf_puts(b, v6 ? "]:" : ":");
	kwgi_buf_putu(b, e->port);
	kwgi_buf_putc(b, '\n');
}

static void put_ips(struct kwgi_buf *b, const struct kwgi_allowedips_list *list)
{
	const struct kwgi_allowedips_node *n;
	struct kwgi_prefix p;

	for (n = list->first; n;) {
		n = kwgi_allowedips_next(n, &p);
		kwgi_buf_puts(b, "allowed_ip=");
		kwgi_buf_prefix(b, &p);
		kwgi_buf_putc(b, '\n');
	}
}

void kwgi_uapi_print_device(struct kwgi_buf *b, const struct kwgi_uapi_device_info *d)
{
	if (d->private_key)
		put_key(b, "private_key", d->private_key);
	if (d->listen_port)
		put_number(b, "listen_port", d->listen_port);
	if (d->fwmark)
		put_number(b, "fwmark", d->fwmark);
}

void kwgi_uapi_print_peer(struct kwgi_buf *b, const struct kwgi_uapi_peer_info *p)
{
	static const struct kwgi_key none;

	put_key(b, "public_key", p->public_key);
	put_key(b, "preshared_key", p->psk ? p->psk : &none);
	kwgi_buf_puts(b, "protocol_version=1\n");
	if (p->endpoint)
		put_endpoint(b, p->endpoint);
	put_number(b, "last_handshake_time_sec", p->handshake_sec);
	put_number(b, "last_handshake_time_nsec", p->handshake_nsec);
	put_number(b, "tx_bytes", p->tx_bytes);
	put_number(b, "rx_bytes", p->rx_bytes);
	put_number(b, "persistent_keepalive_interval", p->keepalive);
	if (p->ips)
		put_ips(b, p->ips);
}

void kwgi_uapi_print_errno(struct kwgi_buf *b, int e)
{
	kwgi_buf_puts(b, e ? "errno=-" : "errno=");
	kwgi_buf_putu(b, (uint64_t)e);
	kwgi_buf_puts(b, "\n\n");
}
