/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What happens to a data plane, as a sequence of operations; see tests/unit/plane.h for what is
 * looked at meanwhile.
 *
 * Input: a byte that chooses peers, workers and offloads, then operations: a byte that says which,
 * and what it takes. Packets come many at a time, in one turn of a worker: how many, how the
 * peers take turns, and how length and TOS go on from packet to packet.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "tests/unit/plane.h"

enum {
	MAX_OPS = 64, MAX_PACKETS = 3000, MAX_READS = 12,	/* of an input */
	LONGEST = 2048,			/* payload that is not cut */
	GSO_MIN = 48,			/* the least of Linux' TCP */
	TEXT = 512,
};

static struct plane_options options;
static unsigned packets, reads;

/* ---- packets ------------------------------------ */

/* How the next packets follow each other. */
struct run {
	struct plane_packet p;
	unsigned n;
	uint8_t peer_step, peer_run, tos_step;
	int32_t payload_step;
	bool both;		/* IPv4 and IPv6 in turn */
};

static struct run take_run(struct fuzz_input *in)
{
	struct run r = { .n = 1 + 2u * fuzz_u8(in) };
	uint8_t how = fuzz_u8(in);

	r.p.peer = fuzz_u8(in);
	r.p.worker = how % options.workers;
	r.p.ip6 = how >> 2 & 1;
	r.both = how >> 3 & 1;
	r.peer_run = (uint8_t)(1 + (how >> 4 & 3));
	r.tos_step = how >> 6;
	r.peer_step = fuzz_u8(in);
	r.p.tos = fuzz_u8(in);
	r.p.payload = (uint32_t)fuzz_uint(in, 2) % LONGEST;
	r.payload_step = (int8_t)fuzz_u8(in);
	if (r.n > MAX_PACKETS - packets)
		r.n = MAX_PACKETS - packets;
	packets += r.n;
	return r;
}

static struct plane_packet packet_of(const struct run *r, unsigned i)
{
	struct plane_packet p = r->p;

	p.peer = (p.peer + i / r->peer_run * r->peer_step) % options.peers;
	p.tos = (uint8_t)(p.tos + i * r->tos_step);
	p.payload = (p.payload + i * (uint32_t)r->payload_step) % LONGEST;
	p.ip6 ^= r->both && i % 2;
	return p;
}

static void send_many(struct fuzz_input *in)
{
	const struct run r = take_run(in);
	struct plane_packet p;
	unsigned i;

	for (i = 0; i < r.n; i++) {
		p = packet_of(&r, i);
		plane_send(&p);
	}
}

static void answer_many(struct fuzz_input *in)
{
	const struct run r = take_run(in);
	struct plane_packet p;
	unsigned i;

	for (i = 0; i < r.n; i++) {
		p = packet_of(&r, i);
		plane_answer(&p);
	}
}

/* One read that the worker has to cut. */
static void send_large(struct fuzz_input *in)
{
	struct plane_packet p = { .peer = fuzz_u8(in) % options.peers, .tos = fuzz_u8(in) };

	p.ip6 = p.tos & 4;
	p.worker = p.tos % options.workers;
	p.gso = GSO_MIN + (uint32_t)fuzz_uint(in, 2) % LONGEST;
	p.payload = 1 + (uint32_t)fuzz_uint(in, 2) % 65000;
	if (reads++ < MAX_READS)
		plane_send(&p);
}

static void intrude(struct fuzz_input *in)
{
	unsigned peer = fuzz_u8(in) % options.peers;
	uint8_t data[256];
	size_t len = fuzz_u8(in);

	memset(data, 0, sizeof(data));
	data[0] = fuzz_u8(in) % 5;
	fuzz_bytes(in, data + 4, len < 16 ? len : 16);
	plane_intrude(peer, data, len);
}

/* ---- configuration ------------------------------------ */

/* Mostly right, about a peer; or any text. */
static void configure(struct fuzz_input *in)
{
	static const char *const what[] = {
		"remove=true", "replace_allowed_ips=true", "allowed_ip=10.9.0.0/16", "allowed_ip=fd09::/16",
		"endpoint=198.18.0.2:10000", "endpoint=198.18.0.9:9", "persistent_keepalive_interval=1",
		"persistent_keepalive_interval=0", "update_only=true",
		"preshared_key=0000000000000000000000000000000000000000000000000000000000000001",
		"allowed_ip=10.9.0.1/32\nallowed_ip=fd09::1/128",
		"allowed_ip=-10.9.0.1/32", "replace_peers=true", "fwmark=1", "listen_port=0",
		"private_key=3800000000000000000000000000000000000000000000000000000000000048",
	};
	char text[TEXT], key[KWGI_KEY_HEX];
	unsigned i = fuzz_u8(in), peer = fuzz_u8(in) % options.peers;
	int len;

	if (i == 255) {
		fuzz_bytes(in, (uint8_t *)text, sizeof(text));
		plane_configure(text, peer * 64 % sizeof(text));
		return;
	}
	i %= sizeof(what) / sizeof(*what);
	if (i < 12)
		len = snprintf(text, sizeof(text), "set=1\npublic_key=%s\n%s\n\n",
			       kwgi_key_format_hex(key, plane_key(peer)), what[i]);
	else
		len = snprintf(text, sizeof(text), "set=1\n%s\n\n", what[i]);
	plane_configure(text, (size_t)len);
}

/* ---- operations ------------------------------------ */

static void operate(struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 10) {
	case 0:
	case 1:
		send_many(in);
		break;
	case 2:
	case 3:
		answer_many(in);
		break;
	case 4:
		send_large(in);
		break;
	case 5:
		plane_tick(fuzz_uint(in, 2) * (KWGI_SECOND / 100));
		break;
	case 6:
		configure(in);
		break;
	case 7:
		plane_set_mtu((uint32_t)fuzz_uint(in, 2));
		break;
	case 8:
		intrude(in);
		break;
	default:
		plane_set_up(fuzz_u8(in) & 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const unsigned counts[] = { 2, 3, 4, 9 };
	struct fuzz_input in = { data, len };
	uint8_t first = fuzz_u8(&in);
	unsigned n;

	options = (struct plane_options){ .peers = counts[first & 3], .workers = 1 + (first >> 2 & 3),
					  .offloads = !(first >> 4 & 1) };
	packets = reads = 0;
	plane_begin(&options);
	for (n = 0; in.left && n < MAX_OPS; n++)
		operate(&in);
	plane_turns();
	plane_end();
	return 0;
}
