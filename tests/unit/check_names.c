/* SPDX-License-Identifier: ISC */
/* Endpoints that are names: what is left alone, and which answer is taken. */
#include "steps/names.h"
#include "unit.h"

enum { NOW = 1000000000 };

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

static uint32_t parse_answers(struct kwgi_answer v[8], const char *list)
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
	struct kwgi_answer answers[8];
	uint32_t n = parse_answers(answers, choices[_i].answers);
	struct kwgi_buf b = { 0 };

	if (!kwgi_names_choose(&out, &p, &have, answers, n)) {
		ck_assert_str_eq(choices[_i].want, "");
		ck_assert_uint_eq(out.port, 7);
		ck_assert(!out.addr.family);
		return;
	}
	kwgi_buf_endpoint(&b, &out);
	ck_assert_str_eq(b.p, choices[_i].want);
	kwgi_buf_free(&b);
	if (have.endpoint.port)
		return;
	/* A peer that WireGuard does not have is one without endpoint. */
	ck_assert(kwgi_names_choose(&out, &p, NULL, answers, n));
	kwgi_buf_endpoint(&b, &out);
	ck_assert_str_eq(b.p, choices[_i].want);
	kwgi_buf_free(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, fresh_sessions, 0, N_OF(sessions));
	tcase_add_test(tc, named);
	tcase_add_loop_test(tc, choice, 0, N_OF(choices));
}

int main(void)
{
	return unit_run("names", add);
}
