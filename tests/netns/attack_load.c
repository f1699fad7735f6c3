/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Many messages: random ones, and a flood of initiations by one who knows the public key. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "tests/netns/wgpeer.h"

enum {
	FLOOD_BATCH = 64, PINGS = 300, BETWEEN_LOOKS = 128,
	MOST_WAITING = 1 << 20, LEAST_WAITING = 1 << 14,	/* bytes in the socket of the device */
	PATIENCE = 20000,	/* ms for what surely comes, however busy the machine is */
};

static struct heard m;

/* ---- random and changed messages ------------------------------------------------------- */

/* One that has something of a real one, but is none. Returns its length. */
static size_t make_noise(const struct speaker *s, uint8_t *msg)
{
	static const size_t lengths[] = { 0, 148, 92, 64, 32 };
	uint32_t type = 1 + randombytes_uniform(4);
	size_t len = lengths[type];
	uint8_t packet[300];

	randombytes_buf(msg, 512);
	if (randombytes_uniform(4) == 0)
		return randombytes_uniform(512);
	kwgi_put32(msg, type);
	if (type == KWGI_MSG_TRANSPORT) {
		len = seal(s, msg, randombytes_random(), packet,
			   inner_packet(s, packet, NULL, 0, randombytes_uniform(200)));
		msg[8 + randombytes_uniform((uint32_t)len - 8)] ^= (uint8_t)(1 + randombytes_uniform(255));
	} else if (randombytes_uniform(2)) {
		kwgi_put32(msg + (type == KWGI_MSG_RESPONSE ? 8 : 4), s->remote_index);
	}
	if (randombytes_uniform(8) == 0)
		len = len - 1 + randombytes_uniform(3);
	/* Seldom enough that it is no load, for which a cookie would be the answer. */
	if (randombytes_uniform(64) == 0 && type != KWGI_MSG_TRANSPORT)
		repair_mac1(msg, len);
	return len;
}

void check_noise(struct speaker *session, struct speaker *other, unsigned count)
{
	static uint8_t msg[600];
	char *state = state_of(session);
	bool quiet = true;
	unsigned i;

	delivered(PROTO, NULL, NULL);
	drain(other->fd);
	for (i = 0; i < count && quiet; i++) {
		say_to(other->fd, msg, make_noise(session, msg));
		if (i % BETWEEN_LOOKS == 0)
			quiet &= silent(session, other->fd);
	}
	ok(quiet && silent(session, other->fd), "%u random and changed messages: no answer", count);
	ok(!delivered(PROTO, NULL, NULL), "nothing comes out of the tunnel");
	ok(state_is(session, state), "nothing has changed");
	free(state);
	ok(ping(session, PATIENCE), "the session goes on");
}

/* ---- the flood ------------------------------------------------------------------------------ */

/* What waits in the device's socket, in bytes, and how many datagrams found no room there so far. */
static void look_at_queue(unsigned *waiting, unsigned *dropped)
{
	unsigned port, bytes, drops;
	char text[65536], *line;
	ssize_t n = pread(target.proc_udp, text, sizeof(text) - 1, 0);

	*waiting = *dropped = 0;
	text[n > 0 ? n : 0] = '\0';
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, " %*u: %*8x:%4x %*8x:%*4x %*x %*x:%x %*x:%*x %*x %*u %*u %*u %*u %*s %u",
			   &port, &bytes, &drops) != 3 || port != ntohs(target.address.sin_port))
			continue;
		*waiting += bytes;
		*dropped += drops;
	}
}

/*
 * The flood is as much as the device takes: there is always more of it in its socket, but nothing is
 * thrown away there, by the kernel, where it could do nothing for its session. So it is the same
 * test on a slow machine, a busy one, and one with one processor, where the sender's own work would
 * take that away from the device.
 */
static void wait_for_room(void)
{
	static unsigned most = MOST_WAITING, dropped_before;
	const struct timespec pause = { .tv_nsec = 200000 };
	unsigned waiting, dropped;

	for (;;) {
		look_at_queue(&waiting, &dropped);
		if (dropped != dropped_before && most > LEAST_WAITING)
			most /= 2;
		dropped_before = dropped;
		if (waiting < most)
			return;
		nanosleep(&pause, NULL);
	}
}

/* Initiations whose mac1 is right, and the rest noise, as fast as they go. */
static void flood(int fd)
{
	static struct kwgi_initiation msg[FLOOD_BATCH];
	struct mmsghdr v[FLOOD_BATCH];
	struct iovec iov[FLOOD_BATCH];
	unsigned i;

	memset(v, 0, sizeof(v));
	for (i = 0; i < FLOOD_BATCH; i++) {
		randombytes_buf(&msg[i], sizeof(msg[i]));
		kwgi_put32(msg[i].type, KWGI_MSG_INITIATION);
		repair_mac1(&msg[i], sizeof(msg[i]));
		iov[i] = (struct iovec){ &msg[i], sizeof(msg[i]) };
		v[i].msg_hdr.msg_iov = &iov[i];
		v[i].msg_hdr.msg_iovlen = 1;
		v[i].msg_hdr.msg_name = &target.address;
		v[i].msg_hdr.msg_namelen = sizeof(target.address);
	}
	for (;;) {
		wait_for_room();
		if (sendmmsg(fd, v, FLOOD_BATCH, 0) < 0)
			_exit(1);
	}
}

static bool is_cookie(const struct heard *h)
{
	return type_of(h) == KWGI_MSG_COOKIE_REPLY && h->len == sizeof(struct kwgi_cookie_reply);
}

/*
 * Sends initiations from fd until one is answered with this type. Between two looks of the device at
 * the flood, as on a machine that has other work, there may be answers of another.
 */
static bool answered_by(struct speaker *s, int fd, uint32_t type)
{
	uint64_t end = now_ns() + PATIENCE * KWGI_MS;
	struct kwgi_initiation msg;

	while (now_ns() < end) {
		space_initiations(s);
		drain(fd);	/* what comes now answers this one */
		make_initiation(s, &msg, NULL);
		say_to(fd, &msg, sizeof(msg));
		s->last_initiation = now_ns();
		if (hear(fd, &m, 2000) && type_of(&m) == type)
			return true;
	}
	return false;
}

static void check_cookies(struct speaker *s)
{
	struct kwgi_cookie_maker without = s->maker;

	ok(answered_by(s, s->fd, KWGI_MSG_COOKIE_REPLY) && is_cookie(&m),
	   "under load a right initiation gets a cookie");
	ok(kwgi_cookie_consume_reply(&s->maker, (const void *)m.data, now_ns()), "which opens");
	drain(s->fd);
	ok(answered_by(s, s->fd2, KWGI_MSG_COOKIE_REPLY), "from another port it does not serve");
	ok(answered_by(s, s->fd, KWGI_MSG_RESPONSE) && take_response(s, &m),
	   "with its mac2 an initiation is answered");
	send_keepalive(s, s->fd);
	s->maker = without;
}

/* ---- cookies for responses ------------------------------------------------------------- */

static bool wait_type(int fd, uint32_t type, int ms)
{
	uint64_t end = now_ns() + (uint64_t)ms * KWGI_MS;

	while (now_ns() < end)
		if (hear(fd, &m, ms) && type_of(&m) == type)
			return true;
	return false;
}

/* Says it until this is the answer: the queue of handshakes overflows under the flood. */
static bool repeat_until(struct speaker *s, const struct kwgi_response *msg, uint32_t type)
{
	uint64_t end = now_ns() + PATIENCE * KWGI_MS;

	while (now_ns() < end) {
		say_to(s->fd, msg, sizeof(*msg));
		if (wait_type(s->fd, type, 30))
			return true;
	}
	return false;
}

/*
 * The device begins a handshake while it is under load: our response gets a cookie, and
 * the one to its next initiation, 5 s later, has a mac2 and is taken.
 */
static void check_cookie_for_response(struct speaker *s)
{
	struct kwgi_cookie_maker without = s->maker;
	struct kwgi_opened_initiation o = { 0 };
	struct kwgi_response msg;
	uint8_t *packet;
	size_t len;

	drain(s->fd);
	host_sends(s->inner[3], 0);
	if (!ok(wait_type(s->fd, KWGI_MSG_INITIATION, PATIENCE) && make_response(s, &msg, &m, &o),
		"under load the device begins a handshake of its own"))
		return;
	ok(repeat_until(s, &msg, KWGI_MSG_COOKIE_REPLY) && is_cookie(&m) &&
	   kwgi_get32(m.data + 4) == kwgi_get32(msg.sender) &&
	   kwgi_cookie_consume_reply(&s->maker, (const void *)m.data, now_ns()),
	   "the response without mac2 gets a cookie");
	ok(wait_type(s->fd, KWGI_MSG_INITIATION, PATIENCE) && make_response(s, &msg, &m, &o),
	   "the device tries again");
	ok(repeat_until(s, &msg, KWGI_MSG_TRANSPORT) && open_message(s, &m, &packet, &len) &&
	   packet[9] == PROTO, "the response with mac2 is taken: what waited comes");
	s->maker = without;
}

/* We are under load: the device's responses have a mac2 once it has got a cookie. */
void check_mac2_of_response(struct speaker *s)
{
	static const uint8_t none[KWGI_MAC_LEN], source[] = "where the device is";
	uint8_t random[32], nonce[KWGI_COOKIE_NONCE_LEN];
	struct kwgi_cookie_reply reply;
	struct kwgi_initiation msg;
	char *state;

	space_initiations(s);
	make_initiation(s, &msg, NULL);
	say_to(s->fd, &msg, sizeof(msg));
	ok(wait_type(s->fd, KWGI_MSG_RESPONSE, PATIENCE) && !memcmp(m.data + m.len - 16, none, 16),
	   "a response has no mac2 at first");
	s->last_initiation = now_ns();
	randombytes_buf(random, sizeof(random));
	randombytes_buf(nonce, sizeof(nonce));
	kwgi_cookie_renew(&s->checker, random, now_ns());
	kwgi_cookie_create_reply(&reply, &s->checker, m.data, m.len, source, sizeof(source), nonce);
	reply.encrypted_cookie[0] ^= 1;
	say_to(s->fd, &reply, sizeof(reply));
	reply.encrypted_cookie[0] ^= 1;
	state = state_of(s);
	say_to(s->fd, &reply, sizeof(reply));
	ok(silent(s, s->fd) && state_is(s, state), "a cookie reply is not answered, and changes no state");
	free(state);
	space_initiations(s);
	make_initiation(s, &msg, NULL);
	say_to(s->fd, &msg, sizeof(msg));
	ok(wait_type(s->fd, KWGI_MSG_RESPONSE, PATIENCE) &&
	   kwgi_cookie_mac2_ok(&s->checker, m.data, m.len, source, sizeof(source), now_ns()),
	   "the next response has the mac2 of the cookie");
	s->last_initiation = now_ns();
	ok(take_response(s, &m), "and is a right one");
	send_keepalive(s, s->fd);
}

static void check_session(struct speaker *s)
{
	unsigned i, n = 0;

	for (i = 0; i < PINGS; i++)
		n += ping(s, 2000);
	ok(n >= PINGS * 9 / 10, "a session goes on under the flood: %u of %u packets and answers", n,
	   PINGS);
}

/* Each answer to the flood is a cookie reply, and there are no more of them than messages. */
static void check_answers(int fd)
{
	unsigned n = 0, wrong = 0;

	while (hear(fd, &m, 0)) {
		n++;
		wrong += !is_cookie(&m);
	}
	ok(n && !wrong, "the flood got %u cookies, and %u other answers", n, wrong);
}

void check_flood(struct speaker *session, struct speaker *other, struct speaker *silent_one)
{
	/* One more socket: settler's second one, which nothing else uses. */
	int fd = settler->fd2;
	uint64_t end;
	pid_t child;

	ok(handshake(session), "a session that is young, for a flood that may take minutes");
	drain(fd);
	child = fork();
	if (child == 0)
		flood(fd);
	if (ok(hear(fd, &m, PATIENCE) && is_cookie(&m), "a flood of initiations: cookies")) {
		check_cookies(other);
		check_cookie_for_response(silent_one);
	}
	check_session(session);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	check_answers(fd);
	/* One of the last second of load may get a cookie still. */
	end = now_ns() + PATIENCE * KWGI_MS;
	while (!answered_by(other, other->fd, KWGI_MSG_RESPONSE) && now_ns() < end)
		;
	ok(type_of(&m) == KWGI_MSG_RESPONSE && take_response(other, &m),
	   "when it is over, initiations are answered again without mac2");
	ok(ping(session, PATIENCE), "the session goes on");
}
