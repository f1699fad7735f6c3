/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * attack NETNS UAPI-SOCKET PUBLIC-KEY COUNT KEY0 ... KEY4: what a live device
 * must do and not do with real, changed, repeated and random messages. Run by attack.sh.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <sodium.h>

#include "dp/replay.h"
#include "tests/netns/wgpeer.h"

enum { PATIENCE = 20000 };	/* ms for what surely comes, however busy the machine is */

static struct heard m;

/* ---- the device responds -------------------------------------------------------------- */

static bool response_comes(struct speaker *s)
{
	while (hear(s->fd, &m, PATIENCE)) {
		s->last_initiation = now_ns();
		if (take_response(s, &m))
			return true;
	}
	return false;
}

static void check_initiations(struct speaker *s)
{
	struct kwgi_initiation first, msg;
	uint8_t stamp[KWGI_TIMESTAMP_LEN], late[KWGI_TIMESTAMP_LEN];
	uint8_t *packet;
	char *state;
	size_t len;

	space_initiations(s);
	next_timestamp(late);
	next_timestamp(stamp);
	make_initiation(s, &first, stamp);
	say_to(s->fd, &first, sizeof(first));
	ok(response_comes(s), "an initiation is answered");
	ok(m.tos == 0x88, "with the TOS of handshakes, 0x88 (%#x)", m.tos);
	host_sends(s->inner[3], 0);
	ok(silent(s, s->fd), "the responder sends nothing before it has heard from the initiator");
	send_keepalive(s, s->fd);
	ok(hear(s->fd, &m, PATIENCE) && open_message(s, &m, &packet, &len) && len >= 27 &&
	   packet[9] == PROTO && m.tos == 0, "and then what waited, with TOS 0");
	state = state_of(s);
	space_initiations(s);
	say_to(s->fd, &first, sizeof(first));
	say_to(s->fd2, &first, sizeof(first));
	ok(silent(s, s->fd) && silent(s, s->fd2), "an initiation sent again is not answered");
	make_initiation(s, &msg, stamp);
	say_to(s->fd, &msg, sizeof(msg));
	ok(silent(s, s->fd), "nor another one with the same timestamp");
	make_initiation(s, &msg, late);
	say_to(s->fd, &msg, sizeof(msg));
	ok(silent(s, s->fd), "nor one with an earlier timestamp");
	ok(state_is(s, state), "and nothing has changed");
	free(state);
}

/* Two at once: the machine may be too busy to send them within 20 ms. */
static void check_initiation_rate(struct speaker *s)
{
	struct kwgi_initiation a, b;
	unsigned answers = 0, tries;
	uint64_t began = 0;

	for (tries = 0; tries < 50; tries++) {
		space_initiations(s);
		drain(s->fd);
		make_initiation(s, &a, NULL);
		make_initiation(s, &b, NULL);
		began = now_ns();
		say_to(s->fd, &a, sizeof(a));
		say_to(s->fd, &b, sizeof(b));
		settle();
		s->last_initiation = now_ns();
		for (answers = 0; hear(s->fd, &m, 0); )
			answers += type_of(&m) == KWGI_MSG_RESPONSE;
		if (s->last_initiation - began < INITIATIONS_INTERVAL)
			break;
	}
	ok(answers == 1, "of two initiations within 20 ms one is answered (%u)", answers);
	ok(handshake(s), "another one later is");
}

static void check_mangled_initiation(struct speaker *s)
{
	struct kwgi_initiation msg;
	char *state = state_of(s);
	uint8_t copy[sizeof(msg)];
	bool quiet = true;
	size_t i;

	space_initiations(s);
	make_initiation(s, &msg, NULL);
	for (i = 0; i < sizeof(msg) - KWGI_MAC_LEN; i++) {
		memcpy(copy, &msg, sizeof(msg));
		copy[i] ^= (uint8_t)(1 << randombytes_uniform(8));
		say_to(s->fd, copy, sizeof(copy));
		/* The sender index is protected by mac1 alone. */
		if (i >= 116 || (i >= 4 && i < 8))
			continue;
		repair_mac1(copy, sizeof(copy));
		say_to(s->fd, copy, sizeof(copy));
		if (!silent(s, s->fd)) {
			say("byte %zu", i);
			quiet = false;
		}
	}
	ok(quiet && silent(s, s->fd), "an initiation with any byte changed is not answered, "
	   "also with mac1 right");
	ok(state_is(s, state), "and changes nothing");
	free(state);
	randombytes_buf(msg.macs.mac2, sizeof(msg.macs.mac2));
	say_to(s->fd, &msg, sizeof(msg));
	ok(response_comes(s), "the same one as it was is, whatever its mac2 without load");
	send_keepalive(s, s->fd);
}

/* ---- the device initiates ---------------------------------------------------------------- */

static bool wait_initiation(struct speaker *s)
{
	while (hear(s->fd, &m, PATIENCE))
		if (type_of(&m) == KWGI_MSG_INITIATION)
			return true;
	return false;
}

static void check_mangled_response(struct speaker *s)
{
	struct kwgi_opened_initiation o = { 0 };
	static const uint8_t none[KWGI_MAC_LEN];
	struct kwgi_response msg;
	uint8_t copy[sizeof(msg)], *packet;
	bool quiet = true;
	char *state;
	size_t i, len;

	host_sends(s->inner[3], 0);
	ok(wait_initiation(s) && make_response(s, &msg, &m, &o),
	   "a packet for a peer: the device begins a handshake");
	ok(m.tos == 0x88, "with the TOS of handshakes");
	ok(!memcmp(m.data + 132, none, 16), "without mac2");
	ok(!(o.timestamp[9] | o.timestamp[10] | o.timestamp[11]),
	   "its clock is told only in steps of 2^24 ns");
	state = state_of(s);
	for (i = 0; i < sizeof(msg) - KWGI_MAC_LEN; i++) {
		memcpy(copy, &msg, sizeof(msg));
		copy[i] ^= (uint8_t)(1 << randombytes_uniform(8));
		say_to(s->fd, copy, sizeof(copy));
		if (i >= 60 || (i >= 4 && i < 8))
			continue;
		repair_mac1(copy, sizeof(copy));
		say_to(s->fd, copy, sizeof(copy));
		quiet &= silent(s, s->fd);
	}
	ok(quiet && silent(s, s->fd), "a response with any byte changed leads to nothing, "
	   "also with mac1 right");
	ok(state_is(s, state), "and changes nothing");
	free(state);
	say_to(s->fd2, &msg, sizeof(msg));
	ok(hear(s->fd2, &m, PATIENCE) && open_message(s, &m, &packet, &len) && packet[9] == PROTO,
	   "the right one is followed by what waited, to where it came from");
	state = state_of(s);
	say_to(s->fd, &msg, sizeof(msg));
	ok(silent(s, s->fd) && state_is(s, state), "the same again leads to nothing");
	free(state);
}

/* ---- transport --------------------------------------------------------------------------- */

/* Sends a packet with this counter; was it delivered? */
static bool passes(const struct speaker *s, uint64_t counter)
{
	uint8_t packet[64], msg[128];
	size_t n = seal(s, msg, counter, packet, inner_packet(s, packet, NULL, 0, 9));

	say_to(s->fd, msg, n);
	settle();
	return delivered(PROTO, NULL, NULL) == 1;
}

static void check_window(struct speaker *s)
{
	const uint64_t last = 100000, edge = KWGI_REPLAY_WINDOW;

	delivered(PROTO, NULL, NULL);
	ok(passes(s, 5) && passes(s, 6), "packets are delivered");
	ok(!passes(s, 5) && !passes(s, 6), "but not twice");
	ok(passes(s, 3), "an older one, late, is");
	ok(!passes(s, 3), "once");
	ok(passes(s, last), "a counter far ahead is fine");
	ok(!passes(s, 4) && !passes(s, last - edge - 1), "after it what is older than the window is not");
	ok(passes(s, last - edge) && passes(s, last - 1), "and what is within it is");
	ok(!passes(s, last - edge) && !passes(s, last - 1) && !passes(s, last), "once");
	ok(!passes(s, REJECT_AFTER_MESSAGES) && !passes(s, UINT64_MAX),
	   "the last counters of all are refused");
	ok(passes(s, last + 1), "and do not move the window");
	s->counter = last + 2;
}

static void check_mangled_transport(struct speaker *s)
{
	uint8_t packet[64], msg[128], copy[128];
	size_t i, n;
	char *state;

	n = seal(s, msg, s->counter, packet, inner_packet(s, packet, NULL, 0, 20));
	state = state_of(s);
	for (i = 0; i < n; i++) {
		memcpy(copy, msg, n);
		copy[i] ^= (uint8_t)(1 << randombytes_uniform(8));
		say_to(s->fd, copy, n);
		say_to(s->fd2, copy, n);
	}
	for (i = 0; i < n; i++)
		say_to(s->fd2, msg, i);
	for (i = 1; i < 4; i++) {
		memcpy(copy, msg, n);
		copy[i] = 1;
		say_to(s->fd2, copy, n);
	}
	memcpy(copy, msg, n);
	kwgi_put64(copy + 8, UINT64_C(1) << 50);
	say_to(s->fd2, copy, n);
	ok(silent(s, s->fd) && silent(s, s->fd2) && !delivered(PROTO, NULL, NULL),
	   "a packet with any byte changed, any other length or a reserved byte is not delivered");
	ok(state_is(s, state), "and changes nothing, nor where the peer is");
	free(state);
	say_to(s->fd, msg, n);
	settle();
	ok(delivered(PROTO, NULL, NULL) == 1, "as it was it is");
	s->counter++;
}

/* Sends an inner packet; how many have come out? */
static unsigned comes_out(struct speaker *s, const uint8_t *packet, size_t len, uint8_t *out,
			  size_t *out_len)
{
	send_packet(s, s->fd, packet, len);
	settle();
	return delivered(PROTO, out, out_len);
}

static void check_contents(struct speaker *s)
{
	static uint8_t out[DATAGRAM];
	uint8_t p[128];
	size_t n, len;
	bool all = true;

	for (n = 0; n < 40; n++)
		all &= comes_out(s, p, inner_packet(s, p, NULL, 0, n), out, &len) == 1 &&
		       len == 20 + n;
	ok(all, "packets of all lengths come out without their padding");
	n = inner_packet(s, p, NULL, 0, 20);
	p[3] = 49;	/* longer than what is there, padding included */
	all = !comes_out(s, p, n, out, &len);
	inner_packet(s, p, NULL, 0, 20);
	p[3] = 19;
	all &= !comes_out(s, p, n, out, &len);
	inner_packet(s, p, NULL, 0, 20);
	p[0] = 0x55;
	all &= !comes_out(s, p, n, out, &len);
	inner_packet(s, p, NULL, 0, 20);
	all &= !comes_out(s, p, 16, out, &len);
	memset(p, 0, sizeof(p));
	all &= !comes_out(s, p, sizeof(p), out, &len);
	ok(all, "what is no whole IP packet does not");
}

static void check_roaming(struct speaker *s, unsigned first, unsigned second)
{
	static const uint8_t nobody[4] = { 10, 9, 0, 77 };
	uint8_t p[64], msg[128], bad[128];
	size_t n;

	send_keepalive(s, s->fd);
	settle();
	ok(port_of(s) == first, "a keepalive tells where a peer is");
	n = seal(s, msg, s->counter++, p, inner_packet(s, p, nobody, 0, 9));
	say_to(s->fd2, msg, n);
	settle();
	ok(!delivered(PROTO, NULL, NULL), "a source address that is not the peer's is dropped");
	ok(port_of(s) == second, "but tells where it is");
	inner_packet(s, p, settler->inner, 0, 9);
	send_packet(s, s->fd2, p, 29);
	settle();
	ok(!delivered(PROTO, NULL, NULL), "and so is another peer's");
	send_keepalive(s, s->fd);
	settle();
	memcpy(bad, msg, n);
	kwgi_put64(bad + 8, s->counter);
	say_to(s->fd2, msg, n);
	say_to(s->fd2, bad, n);
	settle();
	ok(port_of(s) == first, "a replay or a wrong tag from elsewhere does not");
}

/* ---- ECN and DSCP ---------------------------------------------------------------------------- */

static void set_tos(int fd, int tos)
{
	setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
}

static bool header_sums_up(const uint8_t *p)
{
	uint32_t sum = 0;
	unsigned i;

	for (i = 0; i < 20; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

/* RFC 6040 section 4.2, as in tests/vectors/ecn.json: [inner][outer]; -1: dropped. */
static void check_ecn(struct speaker *s)
{
	static const int wanted[4][4] = { { 0, 0, 0, -1 }, { 1, 1, 1, 3 }, { 2, 2, 2, 3 },
					  { 3, 3, 3, 3 } };
	static uint8_t out[DATAGRAM];
	uint8_t p[64], *packet;
	bool all = true, leaks = false;
	size_t len;
	int inner, outer;

	for (inner = 0; inner < 4; inner++)
		for (outer = 0; outer < 4; outer++) {
			set_tos(s->fd, 0xb8 | outer);
			len = inner_packet(s, p, NULL, (uint8_t)(0x28 | inner), 9);
			if (comes_out(s, p, len, out, &len) != (wanted[inner][outer] >= 0) ||
			    (wanted[inner][outer] >= 0 &&
			     (out[1] != (0x28 | wanted[inner][outer]) || !header_sums_up(out)))) {
				say("inner %d, outer %d: %#x", inner, outer, out[1]);
				all = false;
			}
		}
	set_tos(s->fd, 0);
	ok(all, "congestion met outside is told inside, or the packet dropped (RFC 6040)");
	drain(s->fd);
	for (inner = 0, all = true; inner < 4; inner++) {
		host_sends(s->inner[3], (uint8_t)(0xb8 | inner));
		all &= hear(s->fd, &m, PATIENCE) && open_message(s, &m, &packet, &len) &&
		       packet[1] == (0xb8 | inner) && (m.tos & 3) == inner;
		leaks |= m.tos >> 2;
	}
	ok(all, "the ECN field inside is copied outside");
	ok(!leaks, "and DSCP is not");
}

/* ---- what is nobody's ------------------------------------------------------------------------ */

/* Lengths, types, reserved bytes, indices: none gets an answer. */
static void check_malformed(struct speaker *s)
{
	struct kwgi_initiation msg;
	uint8_t buf[256];
	char *state = state_of(s);
	unsigned type, i;
	bool quiet = true;
	size_t len;

	for (type = 0; type < 256; type++) {
		for (len = 0; len <= 200; len += type < 6 ? 1 : 74) {
			if (type == 1 && len == sizeof(msg))
				continue;
			randombytes_buf(buf, sizeof(buf));
			kwgi_put32(buf, type);
			if (len > sizeof(struct kwgi_macs))
				repair_mac1(buf, len);
			say_to(s->fd, buf, len);
		}
		quiet &= silent(s, s->fd);
	}
	ok(quiet, "lengths 0 to 200, types 0 to 255, indices of nobody: no answer");
	space_initiations(s);
	for (i = 1; i < 4; i++) {
		make_initiation(s, &msg, NULL);
		msg.type[i] = 0x80;
		repair_mac1(&msg, sizeof(msg));
		say_to(s->fd, &msg, sizeof(msg));
	}
	ok(silent(s, s->fd), "initiations with a reserved byte: no answer");
	for (i = 0; i < 64; i++) {
		randombytes_buf(&msg, sizeof(msg));
		kwgi_put32(msg.type, KWGI_MSG_INITIATION);
		repair_mac1(&msg, sizeof(msg));
		say_to(s->fd, &msg, sizeof(msg));
	}
	ok(silent(s, s->fd) && silent(s, s->fd), "a few that know only the public key: no answer");
	ok(state_is(s, state), "nothing has changed");
	free(state);
}

static void check_stranger(struct speaker *s)
{
	struct kwgi_initiation msg;
	struct speaker stranger = *s;
	struct kwgi_key key;

	randombytes_buf(&key, sizeof(key));
	kwgi_identity_set(&stranger.id, &key);
	kwgi_remote_precompute(&stranger.target, &stranger.id);
	make_initiation(&stranger, &msg, NULL);
	say_to(s->fd, &msg, sizeof(msg));
	ok(silent(s, s->fd), "a right initiation of nobody's key: no answer");
	space_initiations(s);
	s->target.psk.b[0] ^= 1;
	make_initiation(s, &msg, NULL);
	say_to(s->fd, &msg, sizeof(msg));
	ok(hear(s->fd, &m, PATIENCE) && !take_response(s, &m),
	   "with another preshared key the response does not open");
	s->last_initiation = now_ns();
	s->target.psk.b[0] ^= 1;
	ok(handshake(s), "and with the right one it does");
}

static void check_unreachable(void)
{
	uint64_t began, passed, most;
	unsigned n = 0, sent = 0;

	delivered(IPPROTO_ICMP, NULL, NULL);
	began = now_ns();
	do {
		host_sends(77, 0);
		if (++sent % 64 == 0)
			n += delivered(IPPROTO_ICMP, NULL, NULL);
	} while (now_ns() - began < 100 * KWGI_MS);
	settle();
	passed = now_ns() - began;
	n += delivered(IPPROTO_ICMP, NULL, NULL);
	/* What settle() got for its pings went the other way. */
	most = passed / (10 * KWGI_MS) + 15;	/* one in 10 ms, and 10 at once */
	ok(n >= 10 && n <= most, "%u packets for nobody: %u answers, at most %u", sent, n,
	   (unsigned)most);
}

int main(int argc, char **argv)
{
	static struct speaker v[5];
	unsigned i;

	if (argc != 10)
		return 2;
	target_open(argv + 1);
	for (i = 0; i < 5; i++)
		speaker_open(&v[i], i, argv[5 + i]);
	settler = &v[3];
	if (!ok(handshake(settler) && ping(settler, PATIENCE), "a session"))
		return 1;
	check_initiations(&v[0]);
	check_initiation_rate(&v[0]);
	check_mangled_initiation(&v[0]);
	check_mangled_response(&v[1]);
	ok(handshake(&v[0]), "a new session");
	check_window(&v[0]);
	check_mangled_transport(&v[0]);
	check_contents(&v[0]);
	check_roaming(&v[0], 10000, 20000);
	check_ecn(&v[0]);
	check_malformed(&v[0]);
	check_stranger(&v[0]);
	check_unreachable();
	check_noise(&v[0], &v[2], (unsigned)atoi(argv[4]));
	check_mac2_of_response(&v[2]);
	check_flood(&v[0], &v[2], &v[4]);
	return finish();
}
