/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The networks of pods in CNI configuration lists: what changes, and what does not. */
#include <kilowg.h>

#include "host/conflist.h"
#include "unit.h"

/* A list with one host-local plugin of this ipam. */
#define LIST(ipam) "{\"name\":\"n\",\"plugins\":[{\"type\":\"bridge\",\"ipam\":" ipam "}]}"
#define HOST(rest) "{\"type\":\"host-local\"" rest "}"
#define R1(a) ",\"ranges\":[[{\"subnet\":\"" a "\"}]]"
#define R2(a, b) ",\"ranges\":[[{\"subnet\":\"" a "\"}],[{\"subnet\":\"" b "\"}]]"
#define V4 "10.2.1.0/24"
#define V6 "fd00:2:1::/64"

static void parse_pods(struct kwgi_cidrs *pods, const char *list)
{
	static struct kwgi_cidr v[4];
	char copy[128], *item, *rest = copy;

	*pods = (struct kwgi_cidrs){ .v = v };
	memcpy(copy, list, strlen(list) + 1);
	while ((item = strtok_r(rest, " ", &rest)))
		v[pods->n++].prefix = prefix(item);
}

/* Without blanks and newlines outside of strings. */
static void squeeze(char *s)
{
	bool quoted = false;
	char *to = s;

	for (; *s; s++) {
		if (*s == '"')
			quoted = !quoted;
		if (quoted || (*s != ' ' && *s != '\n'))
			*to++ = *s;
	}
	*to = '\0';
}

/* want NULL: nothing to change. */
static const struct {
	const char *pods, *text, *want;
} cases[] = {
	/* new, and the same once more */
	{ V4, LIST(HOST("")), LIST(HOST(R1(V4))) },
	{ V4 " " V6, LIST(HOST("")), LIST(HOST(R2(V4, V6))) },
	{ V6 " " V4, LIST(HOST("")), LIST(HOST(R2(V6, V4))) },
	{ V4, LIST(HOST(R1(V4))), NULL },
	{ V4 " " V6, LIST(HOST(R2(V4, V6))), NULL },
	/* two of a family are one set: a pod gets an address of each set */
	{ V4 " 10.2.9.0/24", LIST(HOST("")),
	  LIST(HOST(",\"ranges\":[[{\"subnet\":\"10.2.1.0/24\"},{\"subnet\":\"10.2.9.0/24\"}]]")) },
	{ V4 " " V6 " 10.2.9.0/24", LIST(HOST("")),
	  LIST(HOST(",\"ranges\":[[{\"subnet\":\"10.2.1.0/24\"},{\"subnet\":\"10.2.9.0/24\"}],"
		    "[{\"subnet\":\"fd00:2:1::/64\"}]]")) },
	/* others */
	{ V4, LIST(HOST(R1("10.2.2.0/24"))), LIST(HOST(R1(V4))) },
	{ V4, LIST(HOST(R2(V4, V6))), LIST(HOST(R1(V4))) },
	{ V4 " " V6, LIST(HOST(R1(V4))), LIST(HOST(R2(V4, V6))) },
	{ V4 " " V6, LIST(HOST(R2(V6, V4))), LIST(HOST(R2(V4, V6))) },
	{ V4, LIST(HOST(",\"ranges\":[]")), LIST(HOST(R1(V4))) },
	{ V4, LIST(HOST(",\"ranges\":null")), LIST(HOST(R1(V4))) },
	{ V4, LIST(HOST(",\"ranges\":[[]]")), LIST(HOST(R1(V4))) },
	{ V4, LIST(HOST(",\"ranges\":[{\"subnet\":\"10.2.1.0/24\"}]")), LIST(HOST(R1(V4))) },
	{ V4, LIST(HOST(",\"ranges\":\"x\"")), LIST(HOST(R1(V4))) },
	{ V4, LIST(HOST(R1("x"))), LIST(HOST(R1(V4))) },
	{ V4, LIST(HOST(",\"ranges\":[[{\"subnet\":7}]]")), LIST(HOST(R1(V4))) },
	/* more about the right network stays, about another one not */
	{ V4, LIST(HOST(",\"ranges\":[[{\"subnet\":\"10.2.1.0/24\",\"gateway\":\"10.2.1.9\"}]]")), NULL },
	{ V4, LIST(HOST(",\"ranges\":[[{\"subnet\":\"10.2.2.0/24\",\"gateway\":\"10.2.2.9\"}]]")),
	  LIST(HOST(R1(V4))) },
	/* the older form, which would count beside the ranges */
	{ V4, LIST(HOST(",\"subnet\":\"10.2.1.0/24\"")), NULL },
	{ V4, LIST(HOST(",\"subnet\":\"10.2.2.0/24\",\"rangeStart\":\"10.2.2.9\",\"dataDir\":\"/d\"")),
	  LIST(HOST(",\"dataDir\":\"/d\"" R1(V4))) },
	{ V4 " " V6, LIST(HOST(",\"subnet\":\"10.2.1.0/24\"")), LIST(HOST(R2(V4, V6))) },
	/* the rest stays, in its order and with its numbers */
	{ V4, "{\"z\":1,\"plugins\":[{\"type\":\"a\",\"x\":{\"b\":[1,2.5,0.1,1e300,-0.0,9223372036854775807],\"a\":null}},"
	      "{\"ipam\":{\"b\":\"\\u00e4/\\u0000\",\"type\":\"host-local\",\"a\":true},\"q\":1.1}],\"a\":{}}",
	      "{\"z\":1,\"plugins\":[{\"type\":\"a\",\"x\":{\"b\":[1,2.5,0.1,1e300,-0.0,9223372036854775807],\"a\":null}},"
	      "{\"ipam\":{\"b\":\"\xc3\xa4/\\u0000\",\"type\":\"host-local\",\"a\":true" R1(V4) "},\"q\":1.1}],\"a\":{}}" },
	{ V4, "{\"x\":0.12345678901234567,\"plugins\":[{\"ipam\":" HOST("") "}]}",
	      "{\"x\":0.12345678901234566,\"plugins\":[{\"ipam\":" HOST(R1(V4)) "}]}" },
	/* several plugins */
	{ V4, "{\"plugins\":[{\"ipam\":" HOST(R1(V4)) "},{\"ipam\":{\"type\":\"dhcp\"}},{\"ipam\":" HOST("") "}]}",
	      "{\"plugins\":[{\"ipam\":" HOST(R1(V4)) "},{\"ipam\":{\"type\":\"dhcp\"}},{\"ipam\":" HOST(R1(V4)) "}]}" },
};

START_TEST(sets_ranges)
{
	struct kwg_error err = { 0 };
	struct kwgi_cidrs pods;
	char *out = NULL, *again = NULL;
	size_t len, n;

	parse_pods(&pods, cases[_i].pods);
	ck_assert_msg(!kwgi_conflist_set("f", cases[_i].text, strlen(cases[_i].text), &pods, &out, &len,
					 &err), "%s: %s", cases[_i].text, err.text);
	if (!cases[_i].want) {
		ck_assert_ptr_null(out);
		return;
	}
	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(len, strlen(out));
	ck_assert_int_eq(out[len - 1], '\n');
	ck_assert_int_eq(kwgi_conflist_set("f", out, len, &pods, &again, &n, &err), 0);
	ck_assert_msg(!again, "a second time something changes: %s", again);
	squeeze(out);
	ck_assert_str_eq(out, cases[_i].want);
	free(out);
}
END_TEST

static const struct {
	const char *text, *message;
} mistakes[] = {
	{ "", "f:1: this is not JSON: " },
	{ "{\n\"a\": 1,\n\"b\" 2}", "f:3: this is not JSON: ':' expected near '2' (column 5, byte 15); nothing is changed" },
	{ "{\"a\": 1, \"a\": 2}", "f:1: this is not JSON: duplicate object key" },
	{ "{\"plugins\": []} x", "f:1: this is not JSON: end of file expected" },
	{ "[]", "f: this is no CNI configuration list" },
	{ "{}", "f: this is no CNI configuration list: it has no array called plugins" },
	{ "{\"type\": \"bridge\", \"ipam\": {\"type\": \"host-local\"}}", "has no array called plugins" },
	{ "{\"plugins\": {}}", "has no array called plugins" },
	{ "{\"plugins\": []}", "no plugin in it has an ipam of the type host-local" },
	{ "{\"plugins\": [1, [], {\"ipam\": 1}, {\"ipam\": {\"type\": \"dhcp\"}}]}",
	  "no plugin in it has an ipam of the type host-local" },
};

START_TEST(refuses)
{
	struct kwg_error err = { 0 };
	struct kwgi_cidrs pods;
	char *out = NULL;
	size_t len;

	parse_pods(&pods, V4);
	ck_assert_int_eq(kwgi_conflist_set("f", mistakes[_i].text, strlen(mistakes[_i].text), &pods, &out,
					   &len, &err), KWG_ERR_CONFIG);
	ck_assert_msg(strstr(err.text, mistakes[_i].message), "%s", err.text);
	ck_assert_ptr_null(out);
}
END_TEST

START_TEST(makes)
{
	struct kwg_error err = { 0 };
	struct kwgi_cidrs pods;
	char *out, *again = NULL;
	size_t len, n;

	parse_pods(&pods, V4 " " V6);
	ck_assert_int_eq(kwgi_conflist_make(&pods, 1337, &out, &len, &err), 0);
	ck_assert_int_eq(kwgi_conflist_set("f", out, len, &pods, &again, &n, &err), 0);
	ck_assert_ptr_null(again);
	squeeze(out);
	ck_assert_ptr_nonnull(strstr(out, "\"mtu\":1337,\"ipam\":" HOST(R2(V4, V6)) "}"));
	free(out);
}
END_TEST

START_TEST(says_what_is_missing)
{
	struct kwg_error err = { 0 };
	struct kwgi_cidrs pods;
	char *out;
	size_t len;

	parse_pods(&pods, V4);
	ck_assert_int_eq(kwgi_conflist_make(&pods, 1420, &out, &len, &err), KWG_ERR_CONFIG);
	ck_assert_msg(strstr(err.text, "built without libjansson"), "%s", err.text);
}
END_TEST

static void add(TCase *tc)
{
	if (!kwgi_conflist_can()) {
		tcase_add_test(tc, says_what_is_missing);
		return;
	}
	tcase_add_loop_test(tc, sets_ranges, 0, N_OF(cases));
	tcase_add_loop_test(tc, refuses, 0, N_OF(mistakes));
	tcase_add_test(tc, makes);
}

int main(void)
{
	return unit_run("conflist", add);
}
