/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* When is a mesh healthy, and how is that said? */
#include "steps/health.h"
#include "steps/metrics.h"
#include "steps/status.h"
#include "unit.h"

enum { NOW = 1000000, NEVER = -1000, NO_PEER = -1001 };

/* One peer as it is wanted and as it is; handshake: its age, NEVER, or NO_PEER. */
static const struct {
	uint32_t keepalive, drift;
	bool endpoint, link;
	int64_t handshake;
	bool healthy;
	const char *state;
} cases[] = {
	{ 25, 0, true, true, 0, true, "ok" },
	{ 25, 0, true, true, 179, true, "ok" },
	{ 25, 0, true, true, 180, false, "unanswered" },
	{ 25, 0, true, true, 100000, false, "unanswered" },
	{ 25, 0, true, true, NEVER, false, "unanswered" },
	/* without a keepalive nobody has to talk */
	{ 0, 0, true, true, 180, true, "idle" },
	{ 0, 0, true, true, NEVER, false, "unanswered" },	/* it was sent to */
	{ 0, 0, true, true, 5, true, "ok" },
	/* nor can one begin without an endpoint */
	{ 25, 0, false, true, 10, true, "ok" },
	{ 25, 0, true, true, NO_PEER, false, "missing" },
	{ 0, 0, true, true, NO_PEER, false, "missing" },
	{ 25, 1, true, true, 5, false, "ok" },
	{ 25, 0, true, false, 5, false, NULL },
	/* a clock that went backwards */
	{ 25, 0, true, true, -50, false, "ok" },
	{ 25, 0, true, true, -1, true, "ok" },
};

struct world {
	struct kwg_config cfg;
	struct kwgi_segment segment;
	struct kwgi_node node;
	struct kwg_plan plan;
	struct kwgi_desired_peer want;
	struct kwgi_desired wanted;
	struct kwgi_host_peer have;
	struct kwgi_link links[2];
	struct kwgi_host host;
	struct kwgi_status s;
};

static void make(struct world *o, int i)
{
	memset(o, 0, sizeof(*o));
	o->cfg.mesh.name = "kilo";
	o->segment.id = "location:x";
	o->node.name = "a";
	o->plan = (struct kwg_plan){ .cfg = &o->cfg, .node = &o->node, .segment = &o->segment,
				     .leader = true };
	o->want = (struct kwgi_desired_peer){ .name = "location:y" };
	o->want.peer.key = key(1);
	o->want.peer.keepalive = cases[i].keepalive;
	o->wanted.ifname = "wg0";
	o->wanted.peers = &o->want;
	o->wanted.n_peers = 1;
	o->have.key = key(1);
	if (cases[i].endpoint)
		o->have.endpoint = endpoint("203.0.113.1:51820");
	if (cases[i].handshake != NEVER)
		o->have.last_handshake = NOW - cases[i].handshake;
	o->have.rx_bytes = 1536;
	o->have.tx_bytes = 1023;
	o->links[0] = (struct kwgi_link){ .index = 5, .name = "wg0", .up = true, .mtu = 1420 };
	o->host.links = o->links;
	o->host.n_links = cases[i].link;
	o->host.wg = (struct kwgi_host_wg){ .present = true, .implementation = "kernel", .port = 51820,
					    .peers = &o->have, .n_peers = cases[i].handshake != NO_PEER };
	o->s = (struct kwgi_status){ .plan = &o->plan, .wanted = &o->wanted, .host = &o->host,
				     .drift = cases[i].drift, .now = NOW, .boot = 5000 };
}

START_TEST(health)
{
	char state[32];
	struct kwgi_buf b = { 0 };
	struct world o;

	make(&o, _i);
	kwgi_health_peers(&o.s, &o.s.findings);
	ck_assert_int_eq(kwgi_status_is_healthy(&o.s), cases[_i].healthy);
	kwgi_status_json(&o.s, &b);
	ck_assert_ptr_nonnull(strstr(b.p, cases[_i].healthy ? "\"healthy\": true" : "\"healthy\": false"));
	if (cases[_i].state) {
		snprintf(state, sizeof(state), "\"state\": \"%s\"", cases[_i].state);
		ck_assert_msg(strstr(b.p, state) != NULL, "no %s in\n%s", state, b.p);
	}
	kwgi_buf_free(&b);
	kwgi_findings_free(&o.s.findings);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *text;
} amounts[] = {
	{ 0, " 0 B " }, { 1023, " 1023 B " }, { 1024, " 1.0 KiB " }, { 1536, " 1.5 KiB " },
	{ 1048575, " 1023.9 KiB " }, { 1048576, " 1.0 MiB " }, { 5368709120, " 5.0 GiB " },
	{ UINT64_MAX, " 16383.9 PiB " },
};

static const struct {
	int64_t age;
	const char *text;
} ages[] = {
	{ 0, " 0 s ago " }, { 59, " 59 s ago " }, { 60, " 1 min ago " }, { 3599, " 59 min ago " },
	{ 3600, " 1 h ago " }, { 86399, " 23 h ago " }, { 86400, " 1 d ago " }, { -5, " in 5 s " },
};

static char *text_of(struct world *o, bool colour)
{
	struct kwgi_buf b = { 0 };

	kwgi_status_text(&o->s, colour, &b);
	return kwgi_buf_take(&b, NULL);
}

START_TEST(amounts_and_ages)
{
	struct world o;
	char *text;
	size_t i;

	for (i = 0; i < N_OF(amounts); i++) {
		make(&o, 0);
		o.have.rx_bytes = amounts[i].bytes;
		text = text_of(&o, false);
		ck_assert_msg(strstr(text, amounts[i].text) != NULL, "no %s in\n%s", amounts[i].text, text);
		free(text);
	}
	for (i = 0; i < N_OF(ages); i++) {
		make(&o, 0);
		o.have.last_handshake = NOW - ages[i].age;
		text = text_of(&o, false);
		ck_assert_msg(strstr(text, ages[i].text) != NULL, "no %s in\n%s", ages[i].text, text);
		free(text);
	}
}
END_TEST

START_TEST(text)
{
	struct world o;
	char *got;

	make(&o, 0);
	got = text_of(&o, false);
	ck_assert_str_eq(got,
			 "mesh kilo, node a: leader of location:x\n"
			 "interface wg0: up, mtu 1420, kernel WireGuard, port 51820, 1 peers\n"
			 "PEER        ENDPOINT           HANDSHAKE   RECEIVED    SENT        STATE\n"
			 "location:y  203.0.113.1:51820  0 s ago     1.5 KiB     1023 B      ok\n"
			 "drift: none\n");
	free(got);
	make(&o, 11);
	got = text_of(&o, false);
	ck_assert_ptr_nonnull(strstr(got, "drift: 1 difference; \"kilowg diff\""));
	free(got);
	make(&o, 12);
	got = text_of(&o, false);
	ck_assert_ptr_nonnull(strstr(got, "interface wg0: missing\n"));
	ck_assert_ptr_null(strchr(got, '\033'));
	free(got);
	make(&o, 0);
	strcpy(o.wanted.tunnel.name, "wg0-ipip");
	o.wanted.tunnel.kind = "ipip";
	got = text_of(&o, false);
	ck_assert_ptr_nonnull(strstr(got, "tunnel wg0-ipip: missing\n"));
	free(got);
	o.links[1] = (struct kwgi_link){ .index = 9, .name = "wg0-ipip", .kind = "ipip", .mtu = 1480, .up = true };
	o.host.n_links = 2;
	got = text_of(&o, false);
	ck_assert_ptr_nonnull(strstr(got, "tunnel wg0-ipip: up, mtu 1480, ipip\n"));
	free(got);
	make(&o, 2);
	got = text_of(&o, true);
	ck_assert_ptr_nonnull(strstr(got, "\033[31munanswered\033[0m\n"));
	free(got);
}
END_TEST

/* Who does not answer, what the memo of WireGuard says of it, and the reasons that are named. */
static const struct {
	int64_t handshake;
	uint64_t rx;
	bool psk;
	const char *text, *remedy;
} unanswered[] = {
	{ NEVER, 0, false, "location:y: no answer from 203.0.113.1:51820/udp",
	  "is the port open there; is public-key (mesh.ini:41) the key that \"kilowg pubkey\" prints there; is its clock right" },
	{ 500, 1536, false, "location:y: no answer from 203.0.113.1:51820/udp",
	  "is that host up, and kilowg applied there; is the port still open there; is public-key (mesh.ini:41) the key that \"kilowg pubkey\" prints there; is its clock right" },
	{ NEVER, 148, true, "location:y: no answer from 203.0.113.1:51820/udp",
	  "what it sends arrives here, so our answers get lost: is there a firewall that drops UDP from here to it; is preshared-key the same there" },
	{ -50, 0, false, "the clock of this host went backwards: the last handshake with location:y was 50 seconds later than now, and peers refuse handshakes from here until then",
	  "set the clock, and let it be kept (timedatectl set-ntp yes)" },
};

START_TEST(reasons)
{
	struct kwgi_wg_peer planned = { .key = key(1), .node = &(struct kwgi_node){ .key_at = { 0, 41 } } };
	struct kwgi_findings *f;
	struct world o;

	make(&o, 0);
	o.cfg.diags.arena = &o.cfg.arena;
	ck_assert_uint_eq(kwgi_diags_file(&o.cfg.diags, "mesh.ini"), 0);
	o.plan.peers = &planned;
	o.plan.n_peers = 1;
	o.have.last_handshake = unanswered[_i].handshake == NEVER ? 0 : NOW - unanswered[_i].handshake;
	o.have.rx_bytes = unanswered[_i].rx;
	if (unanswered[_i].psk)
		o.want.peer.psk = key(9);
	f = &o.s.findings;
	kwgi_health_peers(&o.s, f);
	ck_assert_uint_eq(f->n, 1);
	ck_assert_str_eq(f->v[0].text, unanswered[_i].text);
	ck_assert_str_eq(f->v[0].remedy, unanswered[_i].remedy);
	ck_assert(f->v[0].error);
	kwgi_findings_free(f);
	kwgi_arena_free(&o.cfg.arena);
}
END_TEST

/* ---- metrics --------------------------------------------------------- */

struct metrics {
	struct world o;
	struct kwgi_step steps_v[3];
	struct kwgi_steps steps;
	struct kwgi_node there;
	struct kwgi_wg_peer planned;
	struct kwgi_entry last;
	struct kwgi_metrics m;
};

static void make_metrics(struct metrics *t, int i)
{
	memset(t, 0, sizeof(*t));
	make(&t->o, i);
	t->o.wanted.n_nodes = 3;
	t->o.node.location = "x";
	t->there = (struct kwgi_node){ .name = "c", .location = "y" };
	t->planned = (struct kwgi_wg_peer){ .key = key(1), .node = &t->there };
	t->o.plan.peers = &t->planned;
	t->o.plan.n_peers = 1;
	t->steps.v = t->steps_v;
	t->m = (struct kwgi_metrics){ .status = &t->o.s, .steps = &t->steps, .version = "1.0", .digest = "abc" };
}

static char *metrics_of(struct metrics *t)
{
	struct kwgi_buf b = { 0 };

	kwgi_metrics_text(&t->m, &b);
	return kwgi_buf_take(&b, NULL);
}

static void has(struct metrics *t, const char *line)
{
	char *all = metrics_of(t), *at = strstr(all, line), name[64] = "";
	const char *others;

	/* Not all of it: that would be too much for a message of check. */
	snprintf(name, sizeof(name), "\n%.*s", (int)strcspn(line, "{") + 1, line);
	others = strstr(all, name) ? strstr(all, name) : "\nnone of that name";
	ck_assert_msg(at && (at == all || at[-1] == '\n') && at[strlen(line)] == '\n', "no line %s but %.*s",
		      line, (int)strcspn(others + 1, "\n") + 1, others);
	free(all);
}

static void has_not(struct metrics *t, const char *word)
{
	char *all = metrics_of(t);

	ck_assert_msg(!strstr(all, word), "%s is there", word);
	free(all);
}

#define PEER "{mesh=\"kilo\",peer=\"location:y\",location=\"y\""

START_TEST(metrics)
{
	struct metrics t;

	make_metrics(&t, 0);
	has(&t, "# HELP kilowg_peer_receive_bytes_total Bytes received from the peer.");
	has(&t, "# TYPE kilowg_peer_receive_bytes_total counter");
	has(&t, "kilowg_peer_receive_bytes_total" PEER "} 1536");
	has(&t, "kilowg_peer_transmit_bytes_total" PEER "} 1023");
	has(&t, "kilowg_peer_last_handshake_timestamp_seconds" PEER "} 1000000");
	has(&t, "kilowg_peer_endpoint_known" PEER "} 1");
	has(&t, "kilowg_peer_state" PEER ",state=\"ok\"} 1");
	has(&t, "kilowg_peer_state" PEER ",state=\"unanswered\"} 0");
	has(&t, "kilowg_up{mesh=\"kilo\"} 1");
	has(&t, "kilowg_healthy{mesh=\"kilo\"} 1");
	has(&t, "kilowg_nodes{mesh=\"kilo\"} 3");
	has(&t, "kilowg_listen_port{mesh=\"kilo\"} 51820");
	has(&t, "kilowg_interface_mtu_bytes{mesh=\"kilo\"} 1420");
	has(&t, "kilowg_build_info{mesh=\"kilo\",version=\"1.0\"} 1");
	has(&t, "kilowg_plan_info{mesh=\"kilo\",node=\"a\",location=\"x\",digest=\"abc\"} 1");
	has(&t, "kilowg_interface_info{mesh=\"kilo\",interface=\"wg0\",backend=\"\",implementation=\"kernel\"} 1");
	/* What is not known is not there. */
	has_not(&t, "kilowg_last_apply_success{");
	has_not(&t, "kilowg_confirmation_waiting{");
	has_not(&t, "# EOF");
	make_metrics(&t, 3);	/* unanswered */
	has(&t, "kilowg_peer_state" PEER ",state=\"unanswered\"} 1");
	make_metrics(&t, 4);	/* never a handshake */
	has_not(&t, "timestamp_seconds" PEER);
	make_metrics(&t, 9);	/* WireGuard does not know it */
	has(&t, "kilowg_peer_state" PEER ",state=\"missing\"} 1");
	has_not(&t, "kilowg_peer_receive_bytes_total{");
	make_metrics(&t, 12);	/* no interface */
	has(&t, "kilowg_up{mesh=\"kilo\"} 0");
	has_not(&t, "kilowg_interface_mtu_bytes{");
	/* A follower's is down. */
	make_metrics(&t, 0);
	t.o.links[0].up = false;
	has(&t, "kilowg_up{mesh=\"kilo\"} 1");
	t.o.wanted.up = true;
	has(&t, "kilowg_up{mesh=\"kilo\"} 0");
}
END_TEST

START_TEST(metrics_of_drift)
{
	struct metrics t;

	make_metrics(&t, 0);
	t.steps_v[0].kind = KWGI_STEP_ROUTE_ADD;
	t.steps_v[1].kind = KWGI_STEP_ROUTE_DEL;
	t.steps_v[2].kind = KWGI_STEP_IPTABLES;
	t.steps.n = 3;
	t.m.refused = 1;
	t.m.left_out = 2;
	has(&t, "kilowg_drift{mesh=\"kilo\",kind=\"route\"} 2");
	has(&t, "kilowg_drift{mesh=\"kilo\",kind=\"firewall\"} 1");
	has(&t, "kilowg_drift{mesh=\"kilo\",kind=\"cni\"} 1");
	has(&t, "kilowg_drift{mesh=\"kilo\",kind=\"peer\"} 0");
	has(&t, "kilowg_left_out{mesh=\"kilo\"} 2");
	kwgi_findings_say(&t.o.s.findings, true, "no-answer", "a; b");
	kwgi_findings_say(&t.o.s.findings, false, "no-answer", "a; b");
	kwgi_findings_say(&t.o.s.findings, true, "no-answer", "c; d");
	has(&t, "kilowg_findings{mesh=\"kilo\",code=\"no-answer\",severity=\"error\"} 2");
	has(&t, "kilowg_findings{mesh=\"kilo\",code=\"no-answer\",severity=\"warning\"} 1");
	kwgi_findings_free(&t.o.s.findings);
}
END_TEST

static const struct {
	const char *result, *name;
	bool good;
} last_results[] = {
	{ "applied", "applied", true },
	{ "waits for a confirmation", "waiting", true },
	{ "confirmed", "confirmed", true },
	{ "undone: it was not confirmed in time", "undone", false },
	{ "failed: step 3 of 9: File exists", "failed", false },
	{ "what a later version says", "", false },
};

START_TEST(metrics_of_history)
{
	struct metrics t;
	char line[128];

	make_metrics(&t, 0);
	t.last = (struct kwgi_entry){ .time = 77, .from = "kilowg.service", .result = last_results[_i].result,
				      .plan = "d1" };
	t.m.last = &t.last;
	snprintf(line, sizeof(line), "kilowg_last_apply_info{mesh=\"kilo\",result=\"%s\",digest=\"d1\",from=\"kilowg.service\"} 1",
		 last_results[_i].name);
	has(&t, line);
	snprintf(line, sizeof(line), "kilowg_last_apply_success{mesh=\"kilo\"} %d", last_results[_i].good);
	has(&t, line);
	has(&t, "kilowg_last_apply_timestamp_seconds{mesh=\"kilo\"} 77");
	t.m.confirmation_known = true;
	has(&t, "kilowg_confirmation_waiting{mesh=\"kilo\"} 0");
	has_not(&t, "kilowg_confirmation_deadline_timestamp_seconds{");
	t.m.waits = t.m.held = true;
	t.m.until = 99;
	has(&t, "kilowg_confirmation_waiting{mesh=\"kilo\"} 1");
	has(&t, "kilowg_configuration_held{mesh=\"kilo\"} 1");
	has(&t, "kilowg_confirmation_deadline_timestamp_seconds{mesh=\"kilo\"} 99");
}
END_TEST

/* Sorted, each once, with its HELP before its TYPE before its samples. */
static void check_order(char *all)
{
	char name[64], before[64] = "";
	char *line, *state;

	for (line = strtok_r(all, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		if (sscanf(line, "# HELP %63s", name) == 1) {
			ck_assert_msg(strcmp(before, name) < 0, "%s after %s", name, before);
			strcpy(before, name);
		} else if (*line != '#') {
			ck_assert_msg(!strncmp(line, before, strlen(before)), "%s under %s", line, before);
		}
	}
}

START_TEST(metrics_form)
{
	struct metrics t;
	char *all;

	make_metrics(&t, 0);
	all = metrics_of(&t);
	check_order(all);
	free(all);
	t.o.cfg.mesh.name = "a\"b\\c\nd\xff\xc3\xa9";
	has(&t, "kilowg_leader{mesh=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa9\"} 1");
	make_metrics(&t, 0);
	t.m.openmetrics = true;
	has(&t, "# TYPE kilowg_peer_receive_bytes counter");
	has(&t, "# UNIT kilowg_peer_receive_bytes bytes");
	has(&t, "kilowg_peer_receive_bytes_total" PEER "} 1536");
	has(&t, "# TYPE kilowg_build info");
	all = metrics_of(&t);
	ck_assert_str_eq(all + strlen(all) - 6, "# EOF\n");
	free(all);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, metrics);
	tcase_add_test(tc, metrics_of_drift);
	tcase_add_loop_test(tc, metrics_of_history, 0, N_OF(last_results));
	tcase_add_test(tc, metrics_form);
	tcase_add_loop_test(tc, reasons, 0, N_OF(unanswered));
	tcase_add_loop_test(tc, health, 0, N_OF(cases));
	tcase_add_test(tc, amounts_and_ages);
	tcase_add_test(tc, text);
}

int main(void)
{
	return unit_run("status", add);
}
