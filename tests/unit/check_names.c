/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Endpoints that are names: what is left alone, and which answer is taken. */
#include "steps/names.h"
#include "unit.h"

enum { NOW = 1000000000, UP = 5000 };

/* ---- left alone ------------------------------------------------------ */

static const struct {
	const char *endpoint;
	int64_t last_handshake;
	bool works;
} sessions[] = {
	{ "192.0.2.1:51820", NOW, true },
	{ "192.0.2.1:51820", NOW - 179, true },
	{ "192.0.2.1:51820", NOW - 180, false },
	{ "192.0.2.1:51820", NOW - 100000, false },
	{ "192.0.2.1:51820", 0, false },
	/* the clock was set back by a little, and by ten years */
	{ "192.0.2.1:51820", NOW + 179, true },
	{ "192.0.2.1:51820", NOW + 180, false },
	{ "192.0.2.1:51820", NOW + 315360000, false },
	/* packets go nowhere */
	{ "", NOW, false },
};

START_TEST(fresh_sessions)
{
	struct kwgi_host_peer p = {
		.endpoint = endpoint(sessions[_i].endpoint),
		.last_handshake = sessions[_i].last_handshake,
	};

	ck_assert_int_eq(kwgi_names_works(&p, NOW), sessions[_i].works);
	ck_assert(!kwgi_names_works(NULL, NOW));
}
END_TEST

START_TEST(named)
{
	struct kwgi_wg_peer p = { .endpoint = { .host = "a.example", .port = 1 } };

	ck_assert(kwgi_names_is_named(&p));
	p.endpoint_address = addr("192.0.2.1");
	ck_assert_msg(!kwgi_names_is_named(&p), "the files say where it is");
	p.endpoint_address = addr("");
	p.endpoint.host = NULL;
	ck_assert_msg(!kwgi_names_is_named(&p), "an address");
	p.endpoint = (struct kwgi_endpoint){ .host = "a.example" };
	ck_assert_msg(!kwgi_names_is_named(&p), "no endpoint");
}
END_TEST

/* ---- choice ---------------------------------------------------------- */

/* answers: separated by blanks; ! marks one without a route. want "": none. */
static const struct {
	const char *in_use, *answers, *want;
	bool roams;
} choices[] = {
	/* new: the lowest, IPv4 first, in whatever order they come */
	{ "", "", "", false },
	{ "", "192.0.2.7", "192.0.2.7:500", false },
	{ "", "192.0.2.9 192.0.2.7 192.0.2.8", "192.0.2.7:500", false },
	{ "", "192.0.2.8 192.0.2.9 192.0.2.7", "192.0.2.7:500", false },
	{ "", "2001:db8::1 192.0.2.7", "192.0.2.7:500", false },
	{ "", "2001:db8::2 2001:db8::1", "[2001:db8::1]:500", false },
	/* no route */
	{ "", "!192.0.2.7 2001:db8::1", "[2001:db8::1]:500", false },
	{ "", "!2001:db8::1 192.0.2.7", "192.0.2.7:500", false },
	{ "", "!2001:db8::1", "", false },
	{ "192.0.2.1:500", "!2001:db8::1", "", false },
	/* in use */
	{ "192.0.2.8:500", "192.0.2.9 192.0.2.7 192.0.2.8", "192.0.2.8:500", false },
	{ "192.0.2.1:500", "192.0.2.9 192.0.2.7 192.0.2.8", "192.0.2.7:500", false },
	{ "[2001:db8::1]:500", "192.0.2.7 2001:db8::1", "[2001:db8::1]:500", false },
	{ "[2001:db8::1]:500", "192.0.2.7 !2001:db8::1", "192.0.2.7:500", false },
	/* another port is the file's word, or what was learnt */
	{ "192.0.2.8:900", "192.0.2.7 192.0.2.8", "192.0.2.8:500", false },
	{ "192.0.2.8:900", "192.0.2.7 192.0.2.8", "192.0.2.8:900", true },
	{ "192.0.2.1:900", "192.0.2.7 192.0.2.8", "192.0.2.7:500", true },
	/* what lying or filtering servers say */
	{ "", "0.0.0.0", "", false },
	{ "", "::", "", false },
	{ "", "127.0.0.1 ::1", "", false },
	{ "", "224.0.0.1 ff02::1 192.0.2.7", "192.0.2.7:500", false },
	{ "127.0.0.1:500", "127.0.0.1 192.0.2.7", "192.0.2.7:500", false },
};

static uint32_t parse_answers(struct kwgi_name_answer v[8], const char *list)
{
	char copy[256], *item, *rest = copy;
	uint32_t n = 0;

	ck_assert_uint_lt(strlen(list), sizeof(copy));
	memcpy(copy, list, strlen(list) + 1);
	while ((item = strtok_r(rest, " ", &rest))) {
		v[n].reachable = *item != '!';
		v[n++].addr = addr(item + (*item == '!'));
	}
	return n;
}

START_TEST(choice)
{
	struct kwgi_wg_peer p = { .endpoint = { .host = "a.example", .port = 500 },
				  .roams = choices[_i].roams };
	struct kwgi_host_peer have = { .endpoint = endpoint(choices[_i].in_use) };
	struct kwgi_endpoint out = { .port = 7 };
	struct kwgi_name_answer answers[8];
	uint32_t n = parse_answers(answers, choices[_i].answers);
	struct kwgi_turn turn = { .since = 0 };
	struct kwgi_buf b = { 0 };

	if (!kwgi_names_choose(&out, &turn, &p, &have, answers, n, UP)) {
		ck_assert_str_eq(choices[_i].want, "");
		ck_assert_uint_eq(out.port, 7);
		ck_assert(!out.addr.family && !turn.addr.family);
		return;
	}
	kwgi_buf_endpoint(&b, &out);
	ck_assert_str_eq(b.p, choices[_i].want);
	kwgi_buf_free(&b);
	if (have.endpoint.port)
		return;
	/* A peer that WireGuard does not have is one without endpoint. */
	turn = (struct kwgi_turn){ .since = 0 };
	ck_assert(kwgi_names_choose(&out, &turn, &p, NULL, answers, n, UP));
	kwgi_buf_endpoint(&b, &out);
	ck_assert_str_eq(b.p, choices[_i].want);
	kwgi_buf_free(&b);
}
END_TEST

/* ---- turns ----------------------------------------------------------- */

#define TWO "192.0.2.7 192.0.2.8"
#define ALL "2001:db8::9 192.0.2.8 192.0.2.7 2001:db8::1"

enum { KEPT, ANEW, IDLE };	/* what becomes of the time that the turn has lasted */

/* What was noted: whose turn, for how many seconds, and what the peer has sent and got since then. */
static const struct {
	const char *in_use, *answers, *turn;
	int64_t lasted;
	int64_t sent, got;
	uint32_t keepalive;
	const char *want;
	bool waits;
	int time;
} turns[] = {
	/* new, or in use already: the turn begins */
	{ "", TWO, "", 0, 0, 0, 0, "192.0.2.7", true, ANEW },
	{ "192.0.2.8", TWO, "", 0, 999, 0, 25, "192.0.2.8", true, ANEW },
	/* asked, and too short a time */
	{ "192.0.2.7", TWO, "192.0.2.7", 14, 999, 0, 0, "192.0.2.7", true, KEPT },
	{ "192.0.2.7", TWO, "192.0.2.7", 14, 0, 0, 25, "192.0.2.7", true, KEPT },
	/* long enough */
	{ "192.0.2.7", TWO, "192.0.2.7", 15, 296, 0, 0, "192.0.2.8", true, ANEW },
	{ "192.0.2.7", TWO, "192.0.2.7", 15, 0, 0, 25, "192.0.2.8", true, ANEW },
	{ "192.0.2.7", TWO, "192.0.2.7", 4000, 9999, 0, 0, "192.0.2.8", true, ANEW },
	{ "192.0.2.8", TWO, "192.0.2.8", 15, 0, 0, 25, "192.0.2.7", true, ANEW },
	/* nobody has asked, or only a moment ago */
	{ "192.0.2.7", TWO, "192.0.2.7", 4000, 0, 0, 0, "192.0.2.7", false, IDLE },
	{ "192.0.2.7", TWO, "192.0.2.7", 4000, 148, 0, 0, "192.0.2.7", true, KEPT },
	/* something came */
	{ "192.0.2.7", TWO, "192.0.2.7", 4000, 999, 92, 25, "192.0.2.7", true, ANEW },
	/* counters and clocks that went back */
	{ "192.0.2.7", TWO, "192.0.2.7", 4000, -1, 0, 25, "192.0.2.7", true, ANEW },
	{ "192.0.2.7", TWO, "192.0.2.7", 4000, -1, -1, 25, "192.0.2.7", true, ANEW },
	{ "192.0.2.7", TWO, "192.0.2.7", -9, 999, 0, 25, "192.0.2.7", true, ANEW },
	/* IPv4 first, low before high, round and round */
	{ "192.0.2.7", ALL, "192.0.2.7", 20, 0, 0, 25, "192.0.2.8", true, ANEW },
	{ "192.0.2.8", ALL, "192.0.2.8", 20, 0, 0, 25, "2001:db8::1", true, ANEW },
	{ "2001:db8::1", ALL, "2001:db8::1", 20, 0, 0, 25, "2001:db8::9", true, ANEW },
	{ "2001:db8::9", ALL, "2001:db8::9", 20, 0, 0, 25, "192.0.2.7", true, ANEW },
	/* without those that cannot be reached */
	{ "192.0.2.7", "192.0.2.7 !192.0.2.8 192.0.2.9 0.0.0.0", "192.0.2.7", 20, 0, 0, 25, "192.0.2.9", true,
	  ANEW },
	/* somebody else has moved it */
	{ "192.0.2.8", TWO, "192.0.2.7", 4000, 999, 0, 25, "192.0.2.8", true, ANEW },
	{ "192.0.2.99", TWO, "192.0.2.8", 4000, 999, 0, 25, "192.0.2.7", true, ANEW },
	/* the interface is made anew: on with the one that was in use */
	{ "", TWO, "192.0.2.8", 4000, 0, 0, 25, "192.0.2.8", true, ANEW },
	{ "", TWO, "192.0.2.99", 4000, 0, 0, 25, "192.0.2.7", true, ANEW },
	/* the list has changed */
	{ "192.0.2.7", "192.0.2.8 192.0.2.9", "192.0.2.7", 4000, 999, 0, 25, "192.0.2.8", true, ANEW },
	{ "192.0.2.7", "192.0.2.8", "192.0.2.7", 4000, 999, 0, 25, "192.0.2.8", false, IDLE },
	/* one address, also if it is listed twice, is all that there is */
	{ "192.0.2.7", "192.0.2.7 192.0.2.7", "192.0.2.7", 4000, 999, 0, 25, "192.0.2.7", false, IDLE },
	{ "192.0.2.7", "192.0.2.7 !192.0.2.8", "192.0.2.7", 4000, 999, 0, 25, "192.0.2.7", false, IDLE },
};

static void check_turn(const struct kwgi_turn *turn, const struct kwgi_host_peer *have, int i)
{
	bool several = turns[i].waits || !strcmp(turns[i].answers, TWO);

	ck_assert_int_eq(turn->waits, turns[i].waits);
	ck_assert_int_eq(turn->addr.family != KWGI_AF_NONE, several);
	if (!several)
		return;
	ck_assert_int_eq(turn->since, turns[i].time == KEPT ? UP - turns[i].lasted : UP);
	if (turns[i].time == ANEW) {
		ck_assert_uint_eq(turn->rx_bytes, have->rx_bytes);
		ck_assert_uint_eq(turn->tx_bytes, have->tx_bytes);
	}
}

START_TEST(turn)
{
	struct kwgi_wg_peer p = { .endpoint = { .host = "a.example", .port = 500 },
				  .keepalive = turns[_i].keepalive };
	struct kwgi_host_peer have = {
		.endpoint = { .addr = addr(turns[_i].in_use), .port = *turns[_i].in_use ? 500 : 0 },
		.rx_bytes = (uint64_t)(3000 + turns[_i].got), .tx_bytes = (uint64_t)(7000 + turns[_i].sent),
	};
	struct kwgi_turn t = { .addr = addr(turns[_i].turn), .since = UP - turns[_i].lasted,
			       .rx_bytes = 3000, .tx_bytes = 7000, .waits = true };
	struct kwgi_name_answer answers[8];
	uint32_t n = parse_answers(answers, turns[_i].answers);
	struct kwgi_endpoint out = { .port = 7 };
	struct kwgi_addr want = addr(turns[_i].want);

	ck_assert(kwgi_names_choose(&out, &t, &p, &have, answers, n, UP));
	ck_assert(kwgi_addr_equal(&out.addr, &want));
	ck_assert_uint_eq(out.port, 500);
	check_turn(&t, &have, _i);
}
END_TEST

/* A name server that rotates its answers, and a run every second: each address has its time. */
START_TEST(rotation)
{
	static const char *const answers[] = { "192.0.2.7 192.0.2.8 192.0.2.9", "192.0.2.8 192.0.2.9 192.0.2.7",
					       "192.0.2.9 192.0.2.7 192.0.2.8" };
	struct kwgi_wg_peer p = { .endpoint = { .host = "a.example", .port = 500 } };
	struct kwgi_host_peer have = { .rx_bytes = 0 };
	struct kwgi_turn t = { .since = 0 };
	struct kwgi_name_answer v[8];
	struct kwgi_addr want;
	char text[32];
	int64_t now;

	for (now = 0; now < 300; now++) {
		ck_assert(kwgi_names_choose(&have.endpoint, &t, &p, &have, v,
					    parse_answers(v, answers[now % 3]), now));
		snprintf(text, sizeof(text), "192.0.2.%d", (int)(7 + now / 15 % 3));
		want = addr(text);
		ck_assert_msg(kwgi_addr_equal(&have.endpoint.addr, &want), "after %d s", (int)now);
		have.tx_bytes += now % 5 ? 0 : 148;
	}
}
END_TEST

START_TEST(rest)
{
	struct kwgi_host_peer have = { .endpoint = endpoint("192.0.2.8:500"), .rx_bytes = 10, .tx_bytes = 20 };
	struct kwgi_turn t = { .waits = true };

	kwgi_names_rest(&t, &have, UP);
	ck_assert_msg(!t.waits && !t.addr.family, "one address: nothing to be noted");
	t = (struct kwgi_turn){ .addr = addr("192.0.2.7"), .since = 3, .waits = true };
	kwgi_names_rest(&t, &have, UP);
	ck_assert(!t.waits && kwgi_addr_equal(&t.addr, &have.endpoint.addr));
	ck_assert_int_eq(t.since, UP);
	ck_assert_uint_eq(t.rx_bytes + t.tx_bytes, 30);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, fresh_sessions, 0, N_OF(sessions));
	tcase_add_test(tc, named);
	tcase_add_loop_test(tc, choice, 0, N_OF(choices));
	tcase_add_loop_test(tc, turn, 0, N_OF(turns));
	tcase_add_test(tc, rotation);
	tcase_add_test(tc, rest);
}

int main(void)
{
	return unit_run("names", add);
}
