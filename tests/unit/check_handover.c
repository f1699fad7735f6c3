/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* A device goes on as another one, at any moment, and nobody notices. */
#include <endian.h>

#include "dp/handover.h"
#include "pair.h"
#include "vectors.h"

struct image {
	uint8_t *p;
	size_t len;
};

static struct image save(struct kwgi_device *d)
{
	struct image i = { .len = kwgi_handover_size(d) };

	i.p = malloc(i.len);
	ck_assert_ptr_nonnull(i.p);
	kwgi_handover_save(d, i.p, i.len);
	return i;
}

/* An empty device of a host. Its random numbers go on where they were. */
static struct kwgi_device *empty(struct host *h)
{
	uint64_t seed = h->seed;
	struct kwgi_device *d = kwgi_device_new(&h->d->io, h->d->aead);

	ck_assert_ptr_nonnull(d);
	h->seed = seed;
	return d;
}

static void replace(struct host *h)
{
	struct image i = save(h->d), again;
	struct kwgi_device *d = empty(h);

	ck_assert_int_eq(kwgi_handover_load(d, i.p, i.len), 0);
	again = save(d);
	ck_assert_uint_eq(again.len, i.len);
	ck_assert(!memcmp(again.p, i.p, i.len));
	h->d->io.event = NULL;
	kwgi_device_free(h->d);
	h->d = d;
	free(again.p);
	free(i.p);
}

/* ---- sessions ------------------------------------ */

START_TEST(a_session_goes_on)
{
	struct datagram old;

	say(&w, 0, 1, 1);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[1]), 1);
	say(&w, 0, 1, 2);
	old = *take_type(&w.h[0], KWGI_MSG_TRANSPORT);
	give(&w, 0, 1, &old);
	replace(&w.h[0]);
	replace(&w.h[1]);
	/* What was received already is received no second time. */
	ck_assert_int_eq(give(&w, 0, 1, &old), KWGI_DROPPED_REPLAY);
	say(&w, 0, 1, 3);
	ck_assert_uint_gt(kwgi_get64(w.h[0].outbox[w.h[0].out_head % OUTBOX].data + 8),
			  kwgi_get64(old.data + 8));
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[1]), 3);
	say(&w, 1, 0, 4);
	settle(&w);
	ck_assert_uint_eq(heard(&w.h[0]), 4);
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_INITIATION_SENT], 1);
	ck_assert_uint_eq(w.h[1].events[KWGI_EVENT_INITIATION_SENT], 0);
}
END_TEST

START_TEST(a_half_handshake_goes_on)
{
	struct datagram *g;

	say(&w, 0, 1, 7);
	g = take_type(&w.h[0], KWGI_MSG_INITIATION);
	replace(&w.h[0]);
	give(&w, 0, 1, g);
	replace(&w.h[1]);
	settle(&w);
	/* The packet that waited for the session has arrived, too. */
	ck_assert_uint_eq(heard(&w.h[1]), 7);
	ck_assert_uint_eq(w.h[0].events[KWGI_EVENT_INITIATION_SENT], 1);
}
END_TEST

START_TEST(an_empty_device_goes_on)
{
	struct kwgi_device_io io = w.h[0].d->io;
	struct kwgi_device *d = kwgi_device_new(&io, w.h[0].d->aead), *e;
	struct image i = save(d);

	e = kwgi_device_new(&io, w.h[0].d->aead);
	ck_assert_int_eq(kwgi_handover_load(e, i.p, i.len), 0);
	ck_assert(!e->identity.set);
	kwgi_device_free(d);
	kwgi_device_free(e);
	free(i.p);
}
END_TEST

/* ---- the same behaviour ------------------------------------ */

struct record {
	uint64_t digest;
	unsigned datagrams, received, initiations;
};

static void note(struct record *r, const struct datagram *g)
{
	uint32_t i;

	r->datagrams++;
	for (i = 0; i < g->len; i++)
		r->digest = (r->digest ^ g->data[i]) * UINT64_C(0x100000001b3);
}

/* Datagrams are carried, and some of them lost. */
static void carry(struct record *r, uint64_t *dice)
{
	struct datagram *g;
	unsigned i, turns;

	for (turns = 0; turns < 20; turns++) {
		for (i = 0; i < w.n; i++) {
			g = take(&w.h[i]);
			if (!g)
				continue;
			note(r, g);
			if (random_u32(dice) % 8 && host_at(&w, &g->to) >= 0)
				give(&w, i, (unsigned)host_at(&w, &g->to), g);
			w.t.now++;
			w.t.wall++;
		}
	}
}

/* What three hosts do in some hours; replaced or not, all their datagrams are the same. */
static struct record live(bool replaced, uint64_t seed)
{
	struct record r = { .digest = 1 };
	uint64_t dice = seed, other = seed;
	unsigned i, a, b;

	wire_free(&w);
	wire_pair(&w, 3, seed);
	befriend(&w, 0, 2, true);
	befriend(&w, 2, 0, true);
	kwgi_device_set_up(w.h[2].d, true, &w.t);
	for (i = 0; i < 600; i++) {
		a = random_u32(&dice) % 3;
		b = a ? 0 : 1 + random_u32(&dice) % 2;
		/* No two timers are due at the same time: which comes first would be chance. */
		run_for(&w, random_u32(&dice) % 1000000 + 1);
		switch (random_u32(&dice) % 7) {
		case 0: run_for(&w, random_u32(&dice) % 200 * S); break;
		case 1: run_for(&w, random_u32(&dice) % 20 * S); break;
		case 2: kwgi_peer_set_persistent(w.h[a].d, peer(&w, a, b), random_u32(&dice) % 3 * 25 * S, &w.t); break;
		default: say(&w, a, b, i); break;
		}
		if (replaced)
			replace(&w.h[random_u32(&other) % 3]);
		carry(&r, &dice);
		if (replaced)
			replace(&w.h[random_u32(&other) % 3]);
	}
	for (i = 0; i < 3; i++) {
		r.received += w.h[i].received;
		r.initiations += w.h[i].events[KWGI_EVENT_INITIATION_SENT];
	}
	return r;
}

START_TEST(nobody_notices_whenever_it_happens)
{
	uint64_t seed = (uint64_t)_i + 1;
	struct record a = live(false, seed), b = live(true, seed);

	ck_assert_uint_gt(a.received, 20);
	ck_assert_uint_gt(a.initiations, 5);
	ck_assert_uint_eq(a.datagrams, b.datagrams);
	ck_assert_uint_eq(a.received, b.received);
	ck_assert(a.digest == b.digest);
}
END_TEST

/* ---- bytes that are not in order ------------------------------------ */

static struct image busy(void)
{
	say(&w, 0, 1, 1);
	settle(&w);
	befriend(&w, 0, 2, true);
	say(&w, 0, 2, 1);
	return save(w.h[0].d);
}

START_TEST(cut_off_bytes_are_refused)
{
	struct image i = busy();
	size_t len;

	for (len = 0; len < i.len; len++) {
		uint8_t *part = malloc(len ? len : 1);
		struct kwgi_device *d = empty(&w.h[0]);

		memcpy(part, i.p, len);
		ck_assert_int_eq(kwgi_handover_load(d, part, len), -1);
		kwgi_device_free(d);
		free(part);
	}
	free(i.p);
}
END_TEST

START_TEST(any_bytes_do_no_harm)
{
	struct image i = busy();
	uint64_t dice = 5;
	unsigned n, k;

	for (n = 0; n < 3000; n++) {
		struct kwgi_device *d = empty(&w.h[0]);
		uint8_t *p = malloc(i.len);

		memcpy(p, i.p, i.len);
		for (k = random_u32(&dice) % 4 + 1; k; k--)
			p[random_u32(&dice) % i.len] = (uint8_t)random_u32(&dice);
		if (!kwgi_handover_load(d, p, i.len))
			kwgi_timers_run(d, &w.t);
		kwgi_device_free(d);
		lose(&w.h[0]);
		free(p);
	}
	free(i.p);
}
END_TEST

/* Two sessions with one index would end each other. */
START_TEST(an_index_belongs_to_one)
{
	struct kwgi_device *d = empty(&w.h[0]);
	struct kwgi_keypair *kp;
	struct image i;

	say(&w, 0, 1, 1);
	settle(&w);
	befriend(&w, 0, 2, true);
	kp = kwgi_keypair_new(w.h[0].d, peer(&w, 0, 2), &(struct kwgi_session_keys){ 0 }, 1, true, w.t.now);
	kp->local_index = p01()->current->local_index;
	peer(&w, 0, 2)->current = kp;
	i = save(w.h[0].d);
	peer(&w, 0, 2)->current = NULL;
	kwgi_secret_free(&w.h[0].d->io, kp, sizeof(*kp));
	ck_assert_int_eq(kwgi_handover_load(d, i.p, i.len), -1);
	kwgi_device_free(d);
	free(i.p);
}
END_TEST

/* What is confirmed as a rival takes the place of the current session: that has to be there. */
START_TEST(a_rival_has_somebody_to_win_over)
{
	struct kwgi_device *d = empty(&w.h[0]);
	struct kwgi_keypair *current;
	struct image i;

	say(&w, 0, 1, 1);
	settle(&w);
	current = p01()->current;
	current->crossing = KWGI_CROSSING_RIVAL;
	p01()->next_pair = current;
	p01()->current = NULL;
	i = save(w.h[0].d);
	p01()->current = current;
	p01()->next_pair = NULL;
	ck_assert_int_eq(kwgi_handover_load(d, i.p, i.len), -1);
	kwgi_device_free(d);
	free(i.p);
}
END_TEST

/* ---- the format ------------------------------------ */

enum { LINE = 32 };	/* bytes in a line of a file of vectors */

/* Different bytes for each member, and the same each time. */
#define fill(v) fill_bytes(&(v), sizeof(v))

static unsigned filled;

static void fill_bytes(void *v, size_t n)
{
	uint8_t *p = v;
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (uint8_t)(filled * 37 + i * 11 + 1);
	filled++;
}

static void fill_path(struct kwgi_path *p)
{
	fill(*p);
	p->family = 6;
	p->has_source = true;
	p->way_changed = false;
}

static struct kwgi_keypair *fill_session(struct kwgi_device *d, struct kwgi_dp_peer *p, uint32_t index)
{
	const struct kwgi_session_keys none = { 0 };
	struct kwgi_keypair *kp = kwgi_keypair_new(d, p, &none, index + 1, index & 1, index + 2);

	kp->next_counter = index + 3;
	kp->local_index = index;
	kp->crossing = KWGI_CROSSING_RIVAL;
	fill(kp->send_key);
	fill(kp->receive_key);
	fill(kp->replay);
	ck_assert_int_eq(kwgi_indextable_put(&d->indices, index, KWGI_INDEX_KEYPAIR, kp), 0);
	return kp;
}

static void fill_handshake(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	struct kwgi_handshake *h = &p->handshake;

	fill(*h);
	h->state = KWGI_HANDSHAKE_INITIATION_CONSUMED;
	h->local_index = 77;
	p->handshake_indexed = true;
	ck_assert_int_eq(kwgi_indextable_put(&d->indices, 77, KWGI_INDEX_HANDSHAKE, p), 0);
}

static void fill_timers(struct kwgi_timers *t)
{
	t->keepalive = 1000;
	t->new_handshake = 1001;
	t->persistent = 1002;
	t->another_keepalive = true;
	t->retransmit = 1003;
	t->erase = 1004;
	t->jitter = 1005;
}

static void fill_peer(struct kwgi_device *d, struct kwgi_dp_peer *p)
{
	const struct kwgi_prefix v4 = { .addr = { .family = 4, .b = { 10, 1, 2 } }, .len = 24 };
	const struct kwgi_prefix v6 = { .addr = { .family = 6, .b = { 0xfd, 1 } }, .len = 17 };
	uint8_t packet[40];

	fill(packet);
	ck_assert_int_eq(kwgi_allowedips_insert(&d->allowed_ips, &v4, &p->allowed_ips), 0);
	ck_assert_int_eq(kwgi_allowedips_insert(&d->allowed_ips, &v6, &p->allowed_ips), 0);
	kwgi_peer_stage(d, p, packet, sizeof(packet));
	fill_path(&p->path);
	fill(p->remote.psk);
	fill(p->remote.static_static);
	p->remote.has_static_static = true;
	p->rx_bytes = 2000;
	p->tx_bytes = 2001;
	p->persistent_interval = 2002;
	fill(p->greatest_timestamp);
	p->next_initiation_wall = 2003;
	p->last_initiation_received = 2004;
	p->last_handshake_sent = 2005;
	p->handshake_pause = 2006;
	p->last_handshake_wall = 2007;
	p->attempts = 2008;
	p->last_minute_sent = true;
	fill(p->cookie);
	p->cookie.sent_mac1 = false;
	fill_timers(&p->timers);
	fill_handshake(d, p);
	p->current = fill_session(d, p, 100);
	p->previous = fill_session(d, p, 201);
	p->next_pair = fill_session(d, p, 302);
}

/* Everything that a device can have, with no number from how it behaves. */
static struct kwgi_device *device_with_all(void)
{
	struct kwgi_device *d = empty(&w.h[0]);
	struct kwgi_queued_handshake *q;
	struct kwgi_key key;

	filled = 0;
	fill(key);
	kwgi_device_set_private_key(d, &key);
	fill(key);
	fill_peer(d, kwgi_device_add(d, &key));
	fill(key);
	kwgi_device_add(d, &key)->timers.jitter = 0;	/* of another one that is as it was made */
	d->mtu = 3000;
	d->up = true;
	d->listen_port = 3001;
	d->fwmark = 3002;
	fill(d->checker.secret);
	d->checker.secret_until = 3003;
	d->under_load_until = 3004;
	d->busy_until = 3005;
	d->new_paths = true;
	ck_assert_ptr_nonnull(kwgi_device_queue_add(d));
	d->queue_head = d->queue_size - 1;
	q = kwgi_device_queued(d, 0);
	fill(*q);
	fill_path(&q->from);
	q->suspect = true;
	q->len = sizeof(struct kwgi_initiation);
	kwgi_put32(q->msg, KWGI_MSG_INITIATION);
	return d;
}

static void write_image(const char *name, const struct image *i)
{
	FILE *f = fopen(name, "w");
	size_t k;

	ck_assert_ptr_nonnull(f);
	fprintf(f, "# A device with all that there is, as check_handover makes it: format %d.\n",
		KWGI_HANDOVER_VERSION);
	for (k = 0; k < i->len; k++)
		fprintf(f, "%02x%s", i->p[k], k % LINE == LINE - 1 || k == i->len - 1 ? "\n" : "");
	fclose(f);
}

static struct image read_image(void)
{
	char name[40], line[4 * LINE], *word[1];
	struct image i = { malloc(65536), 0 };
	FILE *f;

	snprintf(name, sizeof(name), "handover-%d.txt", KWGI_HANDOVER_VERSION);
	f = vectors_open(name);
	while (i.len < 65536 - LINE && vectors_words(f, line, sizeof(line), word, 1))
		i.len += vectors_hex(i.p + i.len, LINE, word[0]);
	fclose(f);
	return i;
}

/*
 * What is written is what the programs before have written under this number: a successor reads
 * what another program wrote. After a change that is meant, count KWGI_HANDOVER_VERSION up, and have
 * KWG_TEST_RECORD=FILE written.
 */
START_TEST(the_format_is_that_of_its_number)
{
	struct kwgi_device *d = device_with_all(), *e = empty(&w.h[0]);
	struct image now = save(d), then = { 0 };

	if (getenv("KWG_TEST_RECORD"))
		write_image(getenv("KWG_TEST_RECORD"), &now);
	ck_assert_int_eq(kwgi_handover_load(e, now.p, now.len), 0);
	if (htole32(1) == 1) {	/* the numbers of the file */
		then = read_image();
		ck_assert_uint_eq(now.len, then.len);
		ck_assert(!memcmp(now.p, then.p, then.len));
	}
	kwgi_device_free(d);
	kwgi_device_free(e);
	free(now.p);
	free(then.p);
}
END_TEST

static void add_tests(TCase *tc)
{
	pair_fixture(tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_session_goes_on);
	tcase_add_test(tc, a_half_handshake_goes_on);
	tcase_add_test(tc, an_empty_device_goes_on);
	tcase_add_loop_test(tc, nobody_notices_whenever_it_happens, 0, 3);
	tcase_add_test(tc, cut_off_bytes_are_refused);
	tcase_add_test(tc, any_bytes_do_no_harm);
	tcase_add_test(tc, an_index_belongs_to_one);
	tcase_add_test(tc, a_rival_has_somebody_to_win_over);
	tcase_add_test(tc, the_format_is_that_of_its_number);
}

int main(void)
{
	return unit_run("handover", add_tests);
}
