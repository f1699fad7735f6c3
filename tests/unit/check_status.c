/* SPDX-License-Identifier: ISC */
/* When is a mesh healthy, and how is that said? */
#include "steps/health.h"
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

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, reasons, 0, N_OF(unanswered));
	tcase_add_loop_test(tc, health, 0, N_OF(cases));
	tcase_add_test(tc, amounts_and_ages);
	tcase_add_test(tc, text);
}

int main(void)
{
	return unit_run("status", add);
}
