/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Requests to the userspace API from a hostile client. What is accepted is
 * written again, in the form of an answer, and read once more: it must be the
 * same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dp/uapi_text.h"
#include "fuzz.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void put_hex(struct kwgi_buf *b, const char *name, const struct kwgi_key *k)
{
	char hex[KWGI_KEY_HEX];

	kwgi_buf_printf(b, "%s=%s\n", name, kwgi_key_format_hex(hex, k));
}

/* Its endpoint as the printer of answers writes it. */
static void put_endpoint(struct kwgi_buf *b, const struct kwgi_uapi_peer *p)
{
	struct kwgi_buf answer = { 0 };
	const char *line, *end;

	kwgi_uapi_print_peer(&answer, &(struct kwgi_uapi_peer_info){
		.public_key = &p->public_key, .endpoint = &p->endpoint });
	line = strstr(answer.p, "endpoint=");
	end = strchr(line, '\n');
	kwgi_buf_add(b, line, (size_t)(end - line) + 1);
	kwgi_buf_free(&answer);
}

static void put_peer(struct kwgi_buf *b, const struct kwgi_uapi_peer *p)
{
	uint32_t i;

	put_hex(b, "public_key", &p->public_key);
	if (p->parts & KWGI_UAPI_REMOVE)
		kwgi_buf_puts(b, "remove=true\n");
	if (p->parts & KWGI_UAPI_UPDATE_ONLY)
		kwgi_buf_puts(b, "update_only=true\n");
	if (p->parts & KWGI_UAPI_PSK)
		put_hex(b, "preshared_key", &p->psk);
	if (p->parts & KWGI_UAPI_ENDPOINT)
		put_endpoint(b, p);
	if (p->parts & KWGI_UAPI_KEEPALIVE)
		kwgi_buf_printf(b, "persistent_keepalive_interval=%u\n", p->keepalive);
	for (i = 0; i < p->n_ips; i++) {
		if (p->ips[i].op == KWGI_UAPI_IP_CLEAR) {
			kwgi_buf_puts(b, "replace_allowed_ips=true\n");
			continue;
		}
		kwgi_buf_puts(b, p->ips[i].op == KWGI_UAPI_IP_ADD ? "allowed_ip=" : "allowed_ip=-");
		kwgi_buf_prefix(b, &p->ips[i].prefix);
		kwgi_buf_putc(b, '\n');
	}
}

static void put_set(struct kwgi_buf *b, const struct kwgi_uapi_set *s)
{
	uint32_t i;

	kwgi_buf_puts(b, "set=1\n");
	if (s->parts & KWGI_UAPI_PRIVATE_KEY)
		put_hex(b, "private_key", &s->private_key);
	if (s->parts & KWGI_UAPI_LISTEN_PORT)
		kwgi_buf_printf(b, "listen_port=%u\n", s->listen_port);
	if (s->parts & KWGI_UAPI_FWMARK)
		kwgi_buf_printf(b, "fwmark=%u\n", s->fwmark);
	if (s->parts & KWGI_UAPI_REPLACE_PEERS)
		kwgi_buf_puts(b, "replace_peers=true\n");
	for (i = 0; i < s->n_peers; i++)
		put_peer(b, &s->peers[i]);
	kwgi_buf_putc(b, '\n');
}

static void check_set(const struct kwgi_uapi_set *s)
{
	struct kwgi_buf first = { 0 }, second = { 0 };
	struct kwgi_uapi_request again;
	struct kwgi_arena a = { 0 };

	put_set(&first, s);
	must(!first.failed);
	must(!kwgi_uapi_parse(&again, &a, first.p, first.len));
	put_set(&second, &again.set);
	must(first.len == second.len && !memcmp(first.p, second.p, first.len));
	kwgi_buf_free(&first);
	kwgi_buf_free(&second);
	kwgi_arena_free(&a);
}

/* As whoever reads a socket does: requests one after another. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct kwgi_uapi_request r;
	struct kwgi_arena a = { 0 };
	size_t len, scanned = 0;
	int ret;

	(void)kwgi_uapi_parse(&r, &a, text, size);
	while ((len = kwgi_uapi_request_len(text, size, &scanned))) {
		ret = kwgi_uapi_parse(&r, &a, text, len);
		must(!ret || ret == EPROTO || ret == EINVAL);
		if (!ret && r.op == KWGI_UAPI_SET)
			check_set(&r.set);
		text += len;
		size -= len;
		scanned = 0;
	}
	kwgi_arena_free(&a);
	return 0;
}
