/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Datagrams from a hostile network to a device that has live sessions. An
 * input is a list of operations, the first byte of each saying what it is:
 *
 *  - a datagram as it stands;
 *  - a genuine one of the peer (data, initiation, response) with some bytes
 *    changed and its end cut off or lengthened, or not changed at all;
 *  - time passes; the other side sends; we send.
 *
 * The device may not answer what is not authentic, hand out what the peer has
 * not said, or touch memory that is not its own.
 *
 * Each input begins with two new devices and a session. Nearly all of what that costs is X25519, which
 * is not what is looked at here: a multiplication stands in for it.
 */
#include <stdlib.h>
#include <string.h>

#include "dp/protocol.h"
#include "fuzz.h"

enum { DATAGRAM = 2048, TAIL = 64, MAX_OPS = 64 };

struct side {
	struct kwgi_device *d;
	struct kwgi_dp_peer *p;
	uint64_t seed;
	unsigned sent;			/* datagrams */
	uint8_t last[DATAGRAM];		/* the last of them */
	size_t last_len;
};

static struct side us, them;
static struct kwgi_time t;
static const struct kwgi_path our_path = { .family = 4, .addr = { 192, 0, 2, 1 }, .port = 1 };
static const struct kwgi_path their_path = { .family = 4, .addr = { 192, 0, 2, 2 }, .port = 2 };

static void must(bool ok)
{
	if (!ok)
		abort();
}

/*
 * What each input allocates is freed at its end. Kept back for long, as is usual, that is new pages
 * for each input; a megabyte still finds who uses what was freed a few inputs ago.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1";
}

/* ---- in place of X25519 ------------------------------------------------------------------ */

/* The linker is told to take these (--wrap). */
int __wrap_crypto_scalarmult_curve25519(uint8_t *q, const uint8_t *n, const uint8_t *p);
int __wrap_crypto_scalarmult_curve25519_base(uint8_t *q, const uint8_t *n);

/* What two sides compute is the same, of all bytes of both keys; no key of zeros is accepted. */
int __wrap_crypto_scalarmult_curve25519(uint8_t *q, const uint8_t *n, const uint8_t *p)
{
	uint64_t a, b, any = 0;
	unsigned i;

	for (i = 0; i < 32; i += 8) {
		memcpy(&a, n + i, 8);
		memcpy(&b, p + i, 8);
		a *= b;
		any |= a;
		memcpy(q + i, &a, 8);
	}
	return any ? 0 : -1;
}

int __wrap_crypto_scalarmult_curve25519_base(uint8_t *q, const uint8_t *n)
{
	static const uint8_t base[32] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 3, 3, 8, 3,
					  2, 7, 9, 5, 1, 2, 8, 8, 4, 1, 9, 7 };

	return __wrap_crypto_scalarmult_curve25519(q, n, base);
}

/* ---- two devices that know each other ------------------------------------------------ */

static void side_random(void *arg, void *out, size_t len)
{
	struct side *s = arg;
	uint8_t *p = out;

	while (len--) {
		s->seed = s->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
		*p++ = (uint8_t)(s->seed >> 56);
	}
}

static void side_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	struct side *s = arg;

	(void)to;
	(void)tos;
	s->sent++;
	must(len <= DATAGRAM);
	memcpy(s->last, msg, len);
	s->last_len = len;
}

static void side_init(struct side *s, uint64_t seed)
{
	struct kwgi_device_io io = { .arg = s, .random = side_random, .send = side_send, .sources = 16 };
	struct kwgi_key k;

	s->seed = seed;
	s->d = kwgi_device_new(&io, kwgi_aead_by_name("sodium"));
	must(s->d);
	side_random(s, k.b, sizeof(k.b));
	kwgi_device_set_private_key(s->d, &k);
	kwgi_device_set_up(s->d, true, &t);
}

static void introduce(struct side *s, const struct side *other, const struct kwgi_path *path)
{
	static const struct kwgi_prefix all = { .addr = { .family = KWGI_AF_V4 } };

	s->p = kwgi_device_add(s->d, &other->d->identity.public_key);
	must(s->p && !kwgi_allowedips_insert(&s->d->allowed_ips, &all, &s->p->allowed_ips));
	kwgi_peer_set_path(s->p, path);
}

/* The last datagram of one side to the other, where it is opened in a copy of its exact length. */
static enum kwgi_receive_status carry(struct side *to, const uint8_t *msg, size_t len,
				      const struct kwgi_path *from)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct kwgi_incoming in = { .message = copy, .message_len = (uint32_t)len, .from = from };
	enum kwgi_receive_status status;

	must(copy);
	memcpy(copy, msg, len);
	status = kwgi_device_receive(to->d, &in, &t);
	if (status == KWGI_RECEIVED_PACKET) {
		must(in.packet >= copy && in.packet + in.packet_len <= copy + len);
		must(in.packet_len >= 20 && in.packet[0] >> 4 == 4);
	}
	free(copy);
	return status;
}

static void say(struct side *s, uint8_t content)
{
	uint8_t room[16 + 64 + 32] = { [16] = 0x45, [16 + 3] = 40, [16 + 20] = content };

	kwgi_device_send(s->d, room + 16, 40, &t);
}

static void begin(void)
{
	memset(&us, 0, sizeof(us));
	memset(&them, 0, sizeof(them));
	t.now = 1000 * KWGI_SECOND;
	t.wall = 1700000000 * KWGI_SECOND;
	side_init(&us, 1);
	side_init(&them, 2);
	introduce(&us, &them, &their_path);
	introduce(&them, &us, &our_path);
	say(&them, 0);
	carry(&us, them.last, them.last_len, &their_path);
	carry(&them, us.last, us.last_len, &our_path);
	must(carry(&us, them.last, them.last_len, &their_path) == KWGI_RECEIVED_PACKET);
}

static void end(void)
{
	kwgi_device_free(us.d);
	kwgi_device_free(them.d);
}

/* ---- operations -------------------------------------------------------------------------- */

static void raw(struct fuzz_input *in)
{
	size_t len = (size_t)fuzz_uint(in, 2) % DATAGRAM;
	unsigned sent = us.sent;
	uint8_t msg[DATAGRAM];

	fuzz_bytes(in, msg, len);
	must(carry(&us, msg, len, &our_path) != KWGI_RECEIVED_PACKET);
	must(us.sent == sent);
}

/* The right macs over wrong contents get further: under them everything is changed. */
static void sign(uint8_t *msg, size_t len)
{
	if (len >= sizeof(struct kwgi_response))
		kwgi_cookie_add_macs(&them.p->cookie, msg, len, t.now);
}

static void mangled(struct fuzz_input *in)
{
	uint8_t msg[DATAGRAM + TAIL] = { 0 };
	size_t len = them.last_len, changes = fuzz_u8(in) % 4;
	bool genuine = !changes, signed_again = fuzz_u8(in) & 1;
	unsigned sent = us.sent;
	enum kwgi_receive_status status;

	memcpy(msg, them.last, len);
	while (changes--) {
		size_t at = (size_t)fuzz_uint(in, 2) % (len ? len : 1);

		msg[at] ^= fuzz_u8(in);
	}
	len = (len + (size_t)(fuzz_u8(in) % TAIL)) - (size_t)fuzz_u8(in) % (len + 1);
	if (signed_again)
		sign(msg, len);
	genuine = len == them.last_len && !memcmp(msg, them.last, len);
	status = carry(&us, msg, len, &their_path);
	if (genuine || signed_again)
		return;
	/* X25519 and mac2 leave nothing that may be changed: transport has a tag over all. */
	must(status != KWGI_RECEIVED_PACKET && status != KWGI_RECEIVED_KEEPALIVE);
	must(us.sent == sent || kwgi_get32(msg) != KWGI_MSG_TRANSPORT);
}

static void operate(struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 8) {
	case 0:
		raw(in);
		break;
	case 1:
		t.now += fuzz_uint(in, 2) * KWGI_SECOND / 100;
		t.wall += KWGI_SECOND;
		kwgi_timers_run(us.d, &t);
		kwgi_timers_run(them.d, &t);
		break;
	case 2:
		say(&them, fuzz_u8(in));
		break;
	case 3:
		say(&us, fuzz_u8(in));
		break;
	case 4:
		carry(&them, us.last, us.last_len, &our_path);
		break;
	case 5:
		them.p->last_handshake_sent = 0;
		kwgi_initiate(them.d, them.p, false, &t);
		break;
	case 6:
		us.d->under_load_until = t.now + KWGI_SECOND;
		break;
	default:
		mangled(in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	unsigned n;

	begin();
	for (n = 0; in.left && n < MAX_OPS; n++)
		operate(&in);
	end();
	return 0;
}
