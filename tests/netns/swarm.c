/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * swarm COUNT: prints public keys, one a line.
 * swarm COUNT NETNS UAPI-SOCKET PUBLIC-KEY: they all begin at once; each has to have
 * its session, and none may meet a cookie.
 * swarm COUNT NETNS UAPI-SOCKET PUBLIC-KEY stay: they begin one after another; then it says how
 * many have a session, and waits for the end of its input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <sodium.h>

#include "dp/blake2s.h"
#include "tests/netns/wgpeer.h"

enum { MOST = 4000 };

/* Keys for a test, that need no files. */
static void identity(struct kwgi_identity *id, unsigned number)
{
	struct kwgi_key key;

	kwgi_hash(key.b, "swarm", 5, &number, sizeof(number));
	kwgi_identity_set(id, &key);
}

static void print_keys(unsigned count)
{
	struct kwgi_identity id = { 0 };
	char text[KWGI_KEY_TEXT];
	unsigned i;

	for (i = 0; i < count; i++) {
		identity(&id, i);
		puts(kwgi_key_format(text, &id.public_key));
	}
}

/* Each has two sockets. */
static void more_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= 2 * MOST + 100)
		return;
	l.rlim_cur = l.rlim_max < 2 * MOST + 100 ? l.rlim_max : 2 * MOST + 100;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

static void begin_all(struct speaker *v, unsigned count)
{
	static struct kwgi_initiation msg[MOST];
	unsigned i;

	for (i = 0; i < count; i++)
		make_initiation(&v[i], &msg[i], NULL);
	for (i = 0; i < count; i++)
		say_to(v[i].fd, &msg[i], sizeof(msg[i]));
}

/* How long one is waited for, in ms: all of them together for so long. */
static int patience(uint64_t begun)
{
	uint64_t end = begun + 20 * KWGI_SECOND, now = now_ns();

	return now < end ? (int)((end - now) / KWGI_MS) : 0;
}

static void all_at_once(struct speaker *v, unsigned count)
{
	static struct heard m;
	uint64_t begun = now_ns();
	unsigned i, sessions = 0, cookies = 0;

	begin_all(v, count);
	for (i = 0; i < count; i++)
		if (hear(v[i].fd, &m, patience(begun))) {
			cookies += type_of(&m) == KWGI_MSG_COOKIE_REPLY;
			if (take_response(&v[i], &m))
				sessions += ping(&v[i], 2000);
		}
	ok(sessions == count, "%u of %u peers that begin at once have a session", sessions, count);
	ok(!cookies, "without a cookie (%u)", cookies);
	printf("all have pinged after %u ms\n", (unsigned)((now_ns() - begun) / KWGI_MS));
}

static void stay(struct speaker *v, unsigned count)
{
	unsigned i, sessions = 0;

	for (i = 0; i < count; i++)
		sessions += handshake(&v[i]);
	printf("%u sessions\n", sessions);
	fflush(stdout);
	while (getchar() != EOF)
		;
}

int main(int argc, char **argv)
{
	static struct speaker v[MOST];
	unsigned i, count = argc > 1 ? (unsigned)atoi(argv[1]) : 0;

	if (sodium_init() < 0 || !count || count > MOST || argc < 2 || argc == 3 || argc == 4 || argc > 6)
		return 2;
	if (argc == 2) {
		print_keys(count);
		return 0;
	}
	more_descriptors();
	target_open(argv + 2);
	for (i = 0; i < count; i++) {
		struct kwgi_identity id = { 0 };

		identity(&id, i);
		speaker_open_with(&v[i], i, &id.private_key);
	}
	if (argc == 6) {
		stay(v, count);
		return 0;
	}
	all_at_once(v, count);
	return finish();
}
