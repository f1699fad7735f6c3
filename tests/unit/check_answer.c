/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Does a peer answer? What one look tells, and what several do. */
#include "steps/answer.h"
#include "unit.h"

enum { MAX_LOOKS = 5, WALL = 1000000, BOOT = 5000, NEVER = -1 };

/* Each look: seconds since the first, age of the handshake, bytes. */
static const struct {
	const char *what;
	uint32_t keepalive;
	bool no_endpoint;
	struct {
		int64_t at, age;
		uint64_t rx, tx;
	} looks[MAX_LOOKS];
	enum kwgi_answer_state answer;
	bool unsure;
} cases[] = {
	{ "a session", 0, false, { { 0, 5, 100, 100 } }, KWGI_ANSWER_OK, false },
	{ "nobody has sent anything", 0, false, { { 0, NEVER, 0, 0 } }, KWGI_ANSWER_IDLE, false },
	{ "an initiation has just gone", 0, false, { { 0, NEVER, 0, 148 } }, KWGI_ANSWER_NONE, true },
	{ "and was not answered", 0, false, { { 0, NEVER, 0, 148 }, { 6, NEVER, 0, 296 } },
	  KWGI_ANSWER_NONE, false },
	{ "and was answered", 0, false, { { 0, NEVER, 0, 148 }, { 1, 0, 92, 180 } },
	  KWGI_ANSWER_OK, false },
	{ "the peer's initiations come, our answers do not get there", 0, false,
	  { { 0, NEVER, 148, 240 }, { 6, NEVER, 296, 480 } }, KWGI_ANSWER_NONE, false },
	{ "an old session: is anything sent?", 0, false, { { 0, 5000, 100, 100 } },
	  KWGI_ANSWER_IDLE, true },
	{ "nothing was", 0, false, { { 0, 5000, 100, 100 }, { 6, 5006, 100, 100 } },
	  KWGI_ANSWER_IDLE, false },
	{ "it is", 0, false, { { 0, 5000, 100, 100 }, { 4, 5004, 100, 248 } },
	  KWGI_ANSWER_NONE, true },
	{ "without an answer", 0, false,
	  { { 0, 5000, 100, 100 }, { 4, 5004, 100, 248 }, { 10, 5010, 100, 396 } },
	  KWGI_ANSWER_NONE, false },
	{ "with an answer", 0, false,
	  { { 0, 5000, 100, 100 }, { 4, 5004, 100, 248 }, { 5, 0, 192, 280 } }, KWGI_ANSWER_OK, false },
	{ "an old session, and its peer's initiations", 0, false,
	  { { 0, 5000, 100, 100 }, { 5, 5005, 248, 192 }, { 12, 5012, 544, 376 } },
	  KWGI_ANSWER_NONE, false },
	{ "a session that ended between two looks, after talk", 0, false,
	  { { 0, 10, 100, 100 }, { 900, 910, 900, 900 }, { 910, 920, 900, 900 } },
	  KWGI_ANSWER_IDLE, false },
	{ "one that ended with the keepalive after what came last", 0, false,
	  { { 0, 10, 100, 100 }, { 900, 910, 100, 132 }, { 910, 920, 100, 132 } },
	  KWGI_ANSWER_IDLE, false },
	{ "one that ended unanswered", 0, false,
	  { { 0, 10, 100, 100 }, { 900, 910, 100, 1000 }, { 910, 920, 100, 1000 } },
	  KWGI_ANSWER_NONE, false },
	{ "a session in which nothing comes back, for a moment", 0, false,
	  { { 0, 10, 100, 100 }, { 5, 15, 100, 500 }, { 10, 20, 100, 900 } }, KWGI_ANSWER_OK, false },
	{ "and for longer than it may", 0, false,
	  { { 0, 10, 100, 100 }, { 5, 15, 100, 500 }, { 20, 30, 100, 900 } }, KWGI_ANSWER_NONE, false },
	{ "in which something came back", 0, false,
	  { { 0, 10, 100, 100 }, { 5, 15, 100, 500 }, { 20, 30, 132, 900 } }, KWGI_ANSWER_OK, false },
	{ "persistent keepalives want no answer", 25, false,
	  { { 0, 10, 100, 100 }, { 30, 40, 100, 164 }, { 80, 90, 100, 228 } }, KWGI_ANSWER_OK, false },
	{ "but without a session they begin a handshake", 25, false,
	  { { 0, 200, 100, 100 }, { 6, 206, 100, 248 } }, KWGI_ANSWER_NONE, false },
	{ "which only the next seconds tell", 25, false, { { 0, 180, 100, 100 } },
	  KWGI_ANSWER_NONE, true },
	{ "and where to is not known, they do not", 25, true, { { 0, NEVER, 0, 0 } },
	  KWGI_ANSWER_IDLE, false },
	{ "the device was made anew", 0, false,
	  { { 0, NEVER, 0, 1480 }, { 60, NEVER, 0, 0 } }, KWGI_ANSWER_IDLE, false },
	{ "a memo of before the host started", 0, false,
	  { { 0, NEVER, 0, 1480 }, { -4000, NEVER, 0, 1480 } }, KWGI_ANSWER_NONE, true },
};

START_TEST(looks)
{
	struct kwgi_answer_memo memo = { 0 };
	struct kwgi_host_peer peer = { .key = key(1), .keepalive = cases[_i].keepalive };
	struct kwgi_answer_look look = { &peer, cases[_i].keepalive, 0, 0 };
	enum kwgi_answer_state answer = KWGI_ANSWER_MISSING;
	bool sure = false;
	size_t i;

	if (!cases[_i].no_endpoint)
		peer.endpoint = endpoint("203.0.113.1:51820");
	for (i = 0; i < MAX_LOOKS && (!i || cases[_i].looks[i].at); i++) {
		look.wall = WALL + cases[_i].looks[i].at;
		look.boot = BOOT + cases[_i].looks[i].at;
		peer.last_handshake = cases[_i].looks[i].age == NEVER ? 0
								      : look.wall - cases[_i].looks[i].age;
		peer.rx_bytes = cases[_i].looks[i].rx;
		peer.tx_bytes = cases[_i].looks[i].tx;
		kwgi_answer_note(&memo, &look);
		answer = kwgi_answer_judge(&memo, &look, &sure);
	}
	ck_assert_msg(answer == cases[_i].answer, "%s: %s", cases[_i].what, kwgi_answer_names[answer]);
	ck_assert_msg(sure == !cases[_i].unsure, "%s: sure %d", cases[_i].what, sure);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, looks, 0, N_OF(cases));
}

int main(void)
{
	return unit_run("answer", add);
}
