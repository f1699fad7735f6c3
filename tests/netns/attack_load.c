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
	/* On one processor: enough at once to be load for a second, then a rest. */
	BURST_BATCHES = 1024 / FLOOD_BATCH, REST = 4,
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
	ok(ping(session, 2000), "the session goes on");
}

/* ---- the flood ------------------------------------------------------------------------------ */

/*
 * A flood comes from elsewhere. Where there is one processor, as in a guest, the
 * sender's own work would take it away from the device, so this leaves it to the
 * device most of the time.
 */
static void rest(unsigned batch)
{
	static uint64_t began;
	uint64_t ns;

	if (sysconf(_SC_NPROCESSORS_ONLN) > 1 || batch % BURST_BATCHES)
		return;
	if (began) {
		ns = REST * (now_ns() - began);
		nanosleep(&(struct timespec){ (time_t)(ns / KWGI_SECOND), (long)(ns % KWGI_SECOND) },
			  NULL);
	}
	began = now_ns();
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
	for (i = 0;; i++) {
		rest(i);
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
	uint64_t end = now_ns() + 10 * KWGI_SECOND;
	struct kwgi_initiation msg;

	while (now_ns() < end) {
		space_initiations(s);
		make_initiation(s, &msg, NULL);
		say_to(fd, &msg, sizeof(msg));
		s->last_initiation = now_ns();
		if (hear(fd, &m, 500) && type_of(&m) == type)
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
	unsigned i;

	for (i = 0; i < 100; i++) {
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
	if (!ok(wait_type(s->fd, KWGI_MSG_INITIATION, 8000) && make_response(s, &msg, &m, &o),
		"under load the device begins a handshake of its own"))
		return;
	ok(repeat_until(s, &msg, KWGI_MSG_COOKIE_REPLY) && is_cookie(&m) &&
	   kwgi_get32(m.data + 4) == kwgi_get32(msg.sender) &&
	   kwgi_cookie_consume_reply(&s->maker, (const void *)m.data, now_ns()),
	   "the response without mac2 gets a cookie");
	ok(wait_type(s->fd, KWGI_MSG_INITIATION, 8000) && make_response(s, &msg, &m, &o),
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
	ok(wait_type(s->fd, KWGI_MSG_RESPONSE, 2000) && !memcmp(m.data + m.len - 16, none, 16),
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
	ok(wait_type(s->fd, KWGI_MSG_RESPONSE, 2000) &&
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
		n += ping(s, 300);
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

	drain(fd);
	child = fork();
	if (child == 0)
		flood(fd);
	if (ok(hear(fd, &m, 5000) && is_cookie(&m), "a flood of initiations: cookies")) {
		check_cookies(other);
		check_cookie_for_response(silent_one);
	}
	check_session(session);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	check_answers(fd);
	/* One of the last second of load may get a cookie still. */
	end = now_ns() + 10 * KWGI_SECOND;
	while (!answered_by(other, other->fd, KWGI_MSG_RESPONSE) && now_ns() < end)
		;
	ok(type_of(&m) == KWGI_MSG_RESPONSE && take_response(other, &m),
	   "when it is over, initiations are answered again without mac2");
	ok(ping(session, 2000), "the session goes on");
}
