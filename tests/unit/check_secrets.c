/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * No key stays in memory when it is not needed any more: this searches all
 * writable memory of the process for keys that it knows. It knows them masked,
 * so that it does not find its own.
 */
#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "base/stack.h"
#include "dp/protocol.h"
#include "kilowg.h"
#include "wire.h"

enum { MASK = 0xa5, SECRETS = 32, FROM = 4, LEN = 16, CHUNK = 1 << 16 };

/* More at once is no memory of ours but the shadow of a sanitizer. */
#define RANGE_MAX (UINT64_C(1) << 30)

static struct {
	const char *name;
	uint8_t masked[LEN];
} secrets[SECRETS];
static unsigned n_secrets;
static struct wire w;

/* ---- the search ---------------------------------------------------------------------- */

/* Of bytes in the middle, so that clamping makes no difference. */
static void remember(const char *name, const uint8_t *key)
{
	unsigned i;

	ck_assert_uint_lt(n_secrets, SECRETS);
	secrets[n_secrets].name = name;
	for (i = 0; i < LEN; i++)
		secrets[n_secrets].masked[i] = key[FROM + i] ^ MASK;
	n_secrets++;
}

static bool is_at(const uint8_t *p, const uint8_t masked[LEN])
{
	unsigned i;

	for (i = 0; i < LEN; i++)
		if ((p[i] ^ MASK) != masked[i])
			return false;
	return true;
}

/* Bit n of the result: secret n is in these bytes. */
static uint32_t search_bytes(const uint8_t *p, size_t len)
{
	uint32_t found = 0;
	unsigned i;
	size_t at;

	for (at = 0; at + LEN <= len; at++)
		for (i = 0; i < n_secrets; i++)
			if ((p[at] ^ MASK) == secrets[i].masked[0] && is_at(p + at, secrets[i].masked))
				found |= 1u << i;
	return found;
}

static uint32_t search_range(int fd, uint64_t begin, uint64_t end, uint8_t *chunk)
{
	uint32_t found = 0;
	ssize_t n;

	for (; begin + LEN <= end; begin += (uint64_t)n - LEN + 1) {
		n = pread(fd, chunk, end - begin < CHUNK ? end - begin : CHUNK, (off_t)begin);
		if (n < LEN)
			break;
		found |= search_bytes(chunk, (size_t)n);
		/* What was found is not to be found here. */
		sodium_memzero(chunk, (size_t)n);
	}
	return found;
}

static uint32_t search(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uint8_t *chunk = malloc(CHUNK);
	unsigned long begin, end;
	uint32_t found = 0;
	char line[512];

	ck_assert(maps && fd >= 0 && chunk);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &begin, &end) == 2 && strstr(line, " rw") &&
		    end - begin < RANGE_MAX)
			found |= search_range(fd, begin, end, chunk);
	free(chunk);
	fclose(maps);
	close(fd);
	return found;
}

static void none_of(uint32_t mask)
{
	uint32_t found = search() & mask;
	unsigned i;

	for (i = 0; i < n_secrets; i++)
		ck_assert_msg(!(found & 1u << i), "still in memory: %s", secrets[i].name);
}

/* The search can find them, as long as they are there. */
static void all_of(uint32_t mask)
{
	uint32_t found = search() & mask;
	unsigned i;

	for (i = 0; i < n_secrets; i++)
		if (mask & 1u << i)
			ck_assert_msg(found & 1u << i, "not found: %s", secrets[i].name);
}

#define ALL ((1u << n_secrets) - 1)

/* ---- what is known ------------------------------------------------------------------------ */

static void remember_session(const struct kwgi_keypair *kp)
{
	remember("session key to send", kp->send_key.b);
	remember("session key to receive", kp->receive_key.b);
}

/* All that a peer has: a session, the one before, and a handshake under way. */
static void remember_peer(const struct kwgi_dp_peer *p)
{
	remember("preshared key", p->remote.psk.b);
	remember("DH of static keys", p->remote.static_static.b);
	remember_session(p->current);
	remember_session(p->previous);
	remember("ephemeral key", p->handshake.ephemeral_private.b);
	remember("chaining key", p->handshake.chaining_key);
}

/* Two hosts with two sessions, and host 0 with a third handshake under way. */
static void live(void)
{
	struct kwgi_key psk = { { 1 } };

	randombytes_buf(psk.b, sizeof(psk.b));
	wire_pair(&w, 2, 99);
	kwgi_peer_set_psk(peer(&w, 0, 1), &psk);
	kwgi_peer_set_psk(peer(&w, 1, 0), &psk);
	meet(&w);
	w.move = settle;
	run_for(&w, 130 * KWGI_SECOND);
	say(&w, 0, 1, 2);
	settle(&w);
	ck_assert_ptr_nonnull(peer(&w, 0, 1)->previous);
	run_for(&w, 6 * KWGI_SECOND);
	kwgi_initiate(w.h[0].d, peer(&w, 0, 1), false, &w.t);
	sodium_memzero(&psk, sizeof(psk));
	n_secrets = 0;
}

/* The other host goes, which has the same keys. */
static void alone(void)
{
	kwgi_device_free(w.h[1].d);
	w.h[1].d = NULL;
	sodium_memzero(&w.h[1].private_key, sizeof(w.h[1].private_key));
	sodium_memzero(&w.h[0].private_key, sizeof(w.h[0].private_key));
}

/* ---- tests ---------------------------------------------------------------------------------- */

START_TEST(removed_peer)
{
	live();
	remember_peer(peer(&w, 0, 1));
	alone();
	all_of(ALL);
	kwgi_device_remove(w.h[0].d, w.h[0].d->first);
	none_of(ALL);
	wire_free(&w);
}
END_TEST

START_TEST(freed_device)
{
	live();
	remember_peer(peer(&w, 0, 1));
	remember("private key", w.h[0].private_key.b);
	remember("other private key", w.h[1].private_key.b);
	all_of(ALL);
	alone();
	none_of(1u << (n_secrets - 1));
	kwgi_device_free(w.h[0].d);
	w.h[0].d = NULL;
	none_of(ALL);
	wire_free(&w);
}
END_TEST

START_TEST(link_down)
{
	live();
	remember_peer(peer(&w, 0, 1));
	alone();
	kwgi_device_set_up(w.h[0].d, false, &w.t);
	/* The preshared key and the DH of static keys are still needed. */
	all_of(3);
	none_of(ALL & ~3u);
	wire_free(&w);
}
END_TEST

START_TEST(old_sessions_and_handshakes)
{
	uint32_t gone;

	live();
	remember_session(peer(&w, 0, 1)->previous);
	remember("ephemeral key", peer(&w, 0, 1)->handshake.ephemeral_private.b);
	gone = ALL;
	remember_session(peer(&w, 0, 1)->current);
	/* The third handshake is completed: the session before the last goes, on both sides. */
	settle(&w);
	say(&w, 0, 1, 3);
	settle(&w);
	none_of(gone);
	all_of(ALL & ~gone);
	/* And after 9 minutes the rest. */
	w.move = NULL;
	run_for(&w, 541 * KWGI_SECOND);
	none_of(ALL);
	wire_free(&w);
}
END_TEST

START_TEST(new_private_key)
{
	struct kwgi_key other = key(5);

	live();
	remember("private key", w.h[0].private_key.b);
	remember("DH of static keys", peer(&w, 0, 1)->remote.static_static.b);
	remember("ephemeral key", peer(&w, 0, 1)->handshake.ephemeral_private.b);
	alone();
	all_of(ALL);
	kwgi_device_set_private_key(w.h[0].d, &other);
	none_of(ALL);
	wire_free(&w);
}
END_TEST

/* From text to text: requests, answers and what the arena held. */
static void drop(void *arg, const struct kwg_endpoint *to, const uint8_t *datagram, size_t len,
		 uint8_t tos)
{
	(void)arg, (void)to, (void)datagram, (void)len, (void)tos;
}

static void forget(void *arg, const uint8_t *public_key, uint8_t *packet, size_t len)
{
	(void)arg, (void)public_key, (void)packet, (void)len;
}

START_TEST(configured_device)
{
	struct kwg_device_callbacks cb = { .size = sizeof(cb), .send = drop, .deliver = forget };
	char hex[2][KWGI_KEY_HEX], text[400], *answer;
	struct kwg_device *dev;
	struct kwgi_key k[2];
	size_t len;

	n_secrets = 0;
	randombytes_buf(k, sizeof(k));
	remember("private key", k[0].b);
	remember("preshared key", k[1].b);
	kwgi_key_format_hex(hex[0], &k[0]);
	kwgi_key_format_hex(hex[1], &k[1]);
	remember("private key in hex", (uint8_t *)hex[0]);
	remember("preshared key in hex", (uint8_t *)hex[1]);
	snprintf(text, sizeof(text), "set=1\nprivate_key=%s\npublic_key=%064d\npreshared_key=%s\n"
		 "endpoint=192.0.2.1:1\npersistent_keepalive_interval=1\n\n", hex[0], 9, hex[1]);
	ck_assert_int_eq(kwg_device_new(&dev, &cb, NULL), 0);
	ck_assert_int_eq(kwg_device_set(dev, text, strlen(text), 1, 1, NULL), 0);
	ck_assert_int_eq(kwg_device_get(dev, &answer, &len, NULL), 0);
	sodium_memzero(k, sizeof(k));
	sodium_memzero(hex, sizeof(hex));
	sodium_memzero(text, sizeof(text));
	all_of(ALL);
	kwg_text_free(answer);
	none_of(ALL & ~3u);
	kwg_device_free(dev);
	none_of(ALL);
}
END_TEST

START_TEST(freed_tunnel)
{
	char text[3][KWG_KEY_TEXT], out[256];
	struct kwg_tunnel *t;
	struct kwgi_key k;
	size_t len = sizeof(out);

	n_secrets = 0;
	ck_assert_int_eq(kwg_genkey(text[0], NULL) || kwg_genkey(text[1], NULL) ||
			 kwg_genpsk(text[2], NULL), 0);
	kwgi_key_parse(&k, text[0]);
	remember("private key", k.b);
	kwgi_key_parse(&k, text[2]);
	remember("preshared key", k.b);
	sodium_memzero(&k, sizeof(k));
	ck_assert_int_eq(kwg_tunnel_new(&t, text[0], text[1], text[2], 0, 1, 1, NULL), 0);
	ck_assert_int_eq(kwg_tunnel_handshake(t, out, &len, 1, 1), KWG_TUNNEL_SEND);
	all_of(ALL);
	kwg_tunnel_free(t);
	none_of(ALL);
}
END_TEST

/* Stands for a function of libsodium that leaves a key behind, as deep as those of curve25519. */
__attribute__((noinline)) static unsigned leave_behind(const uint8_t *key)
{
	volatile uint8_t v[6000];
	size_t i;

	for (i = 0; i < sizeof(v); i++)
		v[i] = key[i % 32];
	return v[sizeof(v) - 1];
}

__attribute__((noinline)) static void call_and_wipe(const uint8_t *key, size_t wiped)
{
	(void)leave_behind(key);
	if (wiped)
		kwgi_stack_wipe(wiped);
}

START_TEST(what_others_leave_on_the_stack)
{
	uint8_t key[32];

	randombytes_buf(key, sizeof(key));
	n_secrets = 0;
	remember("key on the stack", key);
	call_and_wipe(key, 0);
	all_of(ALL);
	call_and_wipe(key, KWGI_STACK_CURVE);
	sodium_memzero(key, sizeof(key));
	none_of(ALL);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, removed_peer);
	tcase_add_test(tc, freed_device);
	tcase_add_test(tc, link_down);
	tcase_add_test(tc, old_sessions_and_handshakes);
	tcase_add_test(tc, new_private_key);
	tcase_add_test(tc, configured_device);
	tcase_add_test(tc, freed_tunnel);
	tcase_add_test(tc, what_others_leave_on_the_stack);
}

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

int main(void)
{
#ifdef SANITIZED
	puts("1..0 # SKIP the memory of the address sanitizer is too large to be searched");
	return EXIT_SUCCESS;
#endif
	return unit_run("secrets", add);
}
