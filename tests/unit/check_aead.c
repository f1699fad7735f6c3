/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Every implementation of the AEAD against vectors, and against libsodium. */
#include <sodium.h>

#include "dp/aead.h"
#include "unit.h"

enum {
	TAG = KWGI_AEAD_TAG,
	MAX_LEN = 65535,
	MAX_BATCH = 140,
	MAX_MIXED = 1500,	/* longest packet of a mixed batch */
	GUARD = 64,		/* bytes around a packet that must stay as they are */
};

static const char *const NAMES[] = { "sodium", "avx2", "avx512", "neon", "openssl" };

static const struct kwgi_aead *sodium(void)
{
	return kwgi_aead_by_name("sodium");
}

/* Those of NAMES that can run here. */
static const struct kwgi_aead *present[N_OF(NAMES)];
static int n_present;

static void find_present(void)
{
	size_t i;

	for (i = 0; i < N_OF(NAMES); i++) {
		present[n_present] = kwgi_aead_by_name(NAMES[i]);
		if (present[n_present])
			n_present++;
		else
			printf("# %s is not built in, or not possible on this CPU\n", NAMES[i]);
	}
	fflush(stdout);
}

static void fill(uint8_t *p, size_t len, uint64_t *seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)random_u32(seed);
}

static uint64_t random_u64(uint64_t *seed)
{
	return (uint64_t)random_u32(seed) << 32 | random_u32(seed);
}

/* ---- vectors --------------------------------------------------------- */

static size_t from_hex(uint8_t *out, size_t max, const char *hex)
{
	size_t len;

	ck_assert_int_eq(sodium_hex2bin(out, max, hex, strlen(hex), NULL, &len, NULL), 0);
	return len;
}

static void check_vector(const struct kwgi_aead *a, const char *key_hex, uint64_t counter,
			 const char *plain_hex, const char *sealed_hex)
{
	uint8_t key[32], plain[256], sealed[256], data[256];
	size_t len = from_hex(plain, sizeof(plain), plain_hex);
	struct kwgi_aead_packet p = { .data = data, .len = (uint32_t)len, .counter = counter };

	ck_assert_uint_eq(from_hex(key, sizeof(key), key_hex), 32);
	ck_assert_uint_eq(from_hex(sealed, sizeof(sealed), sealed_hex), len + TAG);
	memcpy(data, plain, len);
	a->seal(key, &p, 1);
	ck_assert_mem_eq(data, sealed, len + TAG);
	ck_assert_uint_eq(a->open(key, &p, 1), 1);
	ck_assert(p.ok);
	ck_assert_msg(!len || !memcmp(data, plain, len), "%s: another plaintext", a->name);
}

/*
 * Lines of tests/vectors/aead.txt: key, counter, plaintext (- is none), ciphertext with tag.
 * Made by an implementation that shares nothing with ours.
 */
START_TEST(vectors)
{
	const struct kwgi_aead *a = present[_i];
	const char *top = getenv("top_srcdir");
	char path[512], line[1024], k[80], plain[300], sealed[300];
	unsigned long long counter;
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/vectors/aead.txt", top ? top : ".");
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "cannot read %s", path);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		ck_assert_int_eq(sscanf(line, "%79s %llu %299s %299s", k, &counter, plain, sealed), 4);
		check_vector(a, k, counter, strcmp(plain, "-") ? plain : "", sealed);
		n++;
	}
	fclose(f);
	ck_assert_uint_ge(n, 3);
}
END_TEST

/*
 * RFC 8439 section 2.4.2, whose nonce begins with zeros and whose key stream with block 1, as those
 * of a packet. (Section 2.8.2 has additional data and another nonce: that cannot be said here.)
 */
START_TEST(rfc8439_stream)
{
	static const char key_hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
	static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
		"only one tip for the future, sunscreen would be it.";
	static const char cipher_hex[] =
		"6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
		"f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
		"07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
		"5af90bbf74a35be6b40b8eedf2785e42874d";
	const struct kwgi_aead *a = present[_i];
	uint8_t key[32], cipher[128], data[128 + TAG];
	struct kwgi_aead_packet p = { .data = data, .len = sizeof(text) - 1, .counter = 0x4a000000 };

	from_hex(key, sizeof(key), key_hex);
	ck_assert_uint_eq(from_hex(cipher, sizeof(cipher), cipher_hex), p.len);
	memcpy(data, text, p.len);
	a->seal(key, &p, 1);
	ck_assert_mem_eq(data, cipher, p.len);
}
END_TEST

/* ---- against libsodium ----------------------------------------------- */

/* One packet: sealed alike, nothing around it touched, opened again. */
static void compare_one(const struct kwgi_aead *a, uint32_t len, unsigned align, uint64_t *seed)
{
	static uint8_t want[MAX_LEN + TAG], plain[MAX_LEN];
	static uint8_t room[GUARD * 3 + MAX_LEN + TAG] __attribute__((aligned(64)));
	uint8_t key[32], before[GUARD], after[GUARD];
	struct kwgi_aead_packet p = { .data = room + GUARD + align, .len = len };
	struct kwgi_aead_packet q = { .data = want, .len = len };

	fill(key, sizeof(key), seed);
	fill(plain, len, seed);
	p.counter = q.counter = random_u64(seed);
	fill(before, sizeof(before), seed);
	fill(after, sizeof(after), seed);
	memcpy(p.data - GUARD, before, GUARD);
	memcpy(p.data, plain, len);
	memcpy(p.data + len + TAG, after, GUARD);
	memcpy(want, plain, len);

	a->seal(key, &p, 1);
	sodium()->seal(key, &q, 1);
	ck_assert_msg(!memcmp(p.data, want, len + TAG), "%s seals %u bytes differently", a->name, len);
	ck_assert_uint_eq(a->open(key, &p, 1), 1);
	ck_assert(p.ok && !memcmp(p.data, plain, len));
	ck_assert_msg(!memcmp(p.data - GUARD, before, GUARD) &&
		      !memcmp(p.data + len + TAG, after, GUARD), "%s: %u bytes, written around", a->name,
		      len);
}

START_TEST(lengths)
{
	const struct kwgi_aead *a = present[_i];
	uint64_t seed = 1;
	uint32_t len;

	for (len = 0; len <= 2100; len++)
		compare_one(a, len, len * 7 % 64, &seed);
	for (; len < MAX_LEN; len += 1009)
		compare_one(a, len, len % 64, &seed);
	compare_one(a, MAX_LEN, 1, &seed);
}
END_TEST

START_TEST(alignments)
{
	static const uint32_t some[] = { 0, 1, 16, 63, 64, 65, 112, 113, 128, 1420, 1472 };
	const struct kwgi_aead *a = present[_i];
	uint64_t seed = 2;
	unsigned align;
	size_t i;

	for (align = 0; align < 64; align++) {
		for (i = 0; i < N_OF(some); i++)
			compare_one(a, some[i], align, &seed);
	}
}
END_TEST

struct batch {
	struct kwgi_aead_packet v[MAX_BATCH];
	uint8_t data[MAX_BATCH * (MAX_MIXED + TAG + GUARD)];
	size_t used;
	unsigned n;
	uint8_t key[32];
};

/* Packets one behind the other, with a few bytes between. The last ones are empty. */
static void batch_fill(struct batch *b, unsigned n, uint32_t longest, unsigned empty, uint64_t *seed)
{
	unsigned i;

	b->used = 0;
	b->n = n;
	fill(b->key, sizeof(b->key), seed);
	fill(b->data, sizeof(b->data), seed);
	for (i = 0; i < n; i++) {
		b->used += random_below(seed, 20);
		b->v[i] = (struct kwgi_aead_packet){ .data = b->data + b->used,
						     .len = i < n - empty ? random_below(seed, longest + 1) : 0,
						     .counter = random_u64(seed) };
		b->used += b->v[i].len + TAG;
	}
}

static void batch_copy(struct batch *to, const struct batch *from)
{
	unsigned i;

	memcpy(to, from, sizeof(*to));
	for (i = 0; i < to->n; i++)
		to->v[i].data = to->data + (from->v[i].data - from->data);
}

/* Sealed with libsodium, and some packets changed after that in a bit. */
static unsigned damage(struct batch *b, uint64_t *seed)
{
	unsigned i, good = 0;
	uint32_t bit;

	for (i = 0; i < b->n; i++) {
		if (random_below(seed, 3)) {
			good++;
			continue;
		}
		bit = random_below(seed, (b->v[i].len + TAG) * 8);
		b->v[i].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	return good;
}

static void compare_batch(const struct kwgi_aead *a, unsigned n, uint32_t longest, unsigned empty,
			  uint64_t *seed)
{
	static struct batch plain, want, got, opened;
	unsigned i, good;

	batch_fill(&plain, n, longest, empty, seed);
	batch_copy(&want, &plain);
	batch_copy(&got, &plain);
	sodium()->seal(want.key, want.v, n);
	a->seal(got.key, got.v, n);
	ck_assert_msg(!memcmp(want.data, got.data, sizeof(want.data)), "%s: %u packets", a->name, n);

	good = damage(&got, seed);
	batch_copy(&opened, &got);
	ck_assert_uint_eq(a->open(opened.key, opened.v, n), good);
	for (i = 0; i < n; i++) {
		const struct kwgi_aead_packet *p = &opened.v[i];

		if (p->ok) {
			ck_assert(!memcmp(p->data, plain.v[i].data, p->len));
			good--;
		} else {
			/* No plaintext (by chance only in a few bytes). */
			ck_assert(p->len < 16 || memcmp(p->data, plain.v[i].data, p->len));
		}
		/* Tags are read only. */
		ck_assert(!memcmp(p->data + p->len, got.v[i].data + p->len, TAG));
	}
	ck_assert_uint_eq(good, 0);
}

START_TEST(batches)
{
	static const uint32_t longest[] = { 0, 16, 64, 130, MAX_MIXED };
	const struct kwgi_aead *a = present[_i];
	uint64_t seed = 3;
	unsigned n;
	size_t i;

	for (n = 1; n <= MAX_BATCH; n++) {
		for (i = 0; i < N_OF(longest); i++)
			compare_batch(a, n, longest[i], 0, &seed);
	}
}
END_TEST

/* Keys that are made ahead, and then no key stream to be made together with them. */
START_TEST(long_ones_and_then_empty_ones)
{
	uint64_t seed = 4;
	unsigned n, empty;

	for (n = 80; n < 96; n++) {
		for (empty = 1; empty <= 24; empty++)
			compare_batch(present[_i], n, MAX_MIXED, empty, &seed);
	}
}
END_TEST

/* Each bit of tag and ciphertext counts, wherever in the batch. */
START_TEST(every_bit)
{
	const struct kwgi_aead *a = present[_i];
	static struct batch sealed, b;
	uint64_t seed = 4;
	unsigned i, bit;

	batch_fill(&sealed, 9, 100, 0, &seed);
	a->seal(sealed.key, sealed.v, sealed.n);
	for (i = 0; i < sealed.n; i++) {
		for (bit = 0; bit < (sealed.v[i].len + TAG) * 8; bit++) {
			batch_copy(&b, &sealed);
			b.v[i].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_uint_eq(a->open(b.key, b.v, b.n), b.n - 1);
			ck_assert(!b.v[i].ok);
		}
	}
}
END_TEST

START_TEST(no_packets)
{
	const struct kwgi_aead *a = present[_i];
	uint8_t key[32] = { 0 };

	a->seal(key, NULL, 0);
	ck_assert_uint_eq(a->open(key, NULL, 0), 0);
}
END_TEST

/* The largest and the smallest limbs in Poly1305: ciphertext that is all ones, or zeros. */
START_TEST(extreme_ciphertexts)
{
	const struct kwgi_aead *a = present[_i];
	uint8_t want[300 + TAG], got[300 + TAG], key[32];
	uint64_t seed = 5;
	uint32_t len, i;
	int ones;

	for (i = 0; i < 2000; i++) {
		struct kwgi_aead_packet p = { .data = want, .counter = i }, q = { .data = got, .counter = i };

		fill(key, sizeof(key), &seed);
		len = random_below(&seed, 301);
		ones = i & 1 ? 0xff : 0;
		p.len = q.len = len;
		memset(want, 0, sizeof(want));
		sodium()->seal(key, &p, 1);	/* the key stream */
		while (len--)
			want[len] ^= (uint8_t)ones;
		memcpy(got, want, sizeof(got));
		sodium()->seal(key, &p, 1);
		a->seal(key, &q, 1);
		ck_assert(!memcmp(want, got, p.len + TAG));
	}
}
END_TEST

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

/* ---- what is left behind --------------------------------------------- */

/* The address sanitizer's frames are much larger than those that are wiped. */
#ifndef SANITIZED
enum { SCANNED = 24000 };

/* Room on the stack for what the call after this leaves there. */
__attribute__((noinline)) static void paint_stack(void)
{
	uint8_t room[SCANNED];

	memset(room, 0xa5, sizeof(room));
	__asm__ volatile("" : : "m"(room));
}

/* How often one of n numbers of 8 bytes stands where paint_stack() painted. */
__attribute__((noinline)) static unsigned scan_stack(const uint64_t *secrets, size_t n)
{
	uint8_t room[SCANNED];
	unsigned found = 0;
	uint64_t x = 0;
	size_t i, j;

	__asm__ volatile("" : "=m"(room));	/* as it is: not initialised */
	for (i = 0; i < sizeof(room); i++) {
		x = x >> 8 | (uint64_t)room[i] << 56;
		for (j = 0; j < n; j++)
			found += i >= 7 && x == secrets[j];
	}
	return found;
}

/* Of the key, of r (also clamped, and as a limb of 44 bits) and s, and of the key stream, nothing stays on the stack. */
START_TEST(stack_is_wiped)
{
	const struct kwgi_aead *a = present[_i];
	static const uint32_t some[] = { 64, 128, 300, 1420, 1421 };
	static uint8_t data[20][1500 + TAG];
	struct kwgi_aead_packet v[20];
	uint8_t key[32], nonce[12] = { 0 };
	uint64_t secrets[16], seed = 6;
	unsigned n, i;
	size_t k;

	if (!strcmp(a->name, "sodium") || !strcmp(a->name, "openssl"))
		return;		/* not ours */
	fill(key, sizeof(key), &seed);
	memcpy(secrets, key, 32);
	memset(secrets + 4, 0, 64);
	crypto_stream_chacha20_ietf((uint8_t *)(secrets + 4), 64, nonce, key);
	secrets[12] = secrets[4] & 0xffc0fffffff;
	secrets[13] = secrets[4] & 0x0ffffffc0fffffff;
	secrets[14] = secrets[5] & 0x0ffffffc0ffffffc;
	secrets[15] = secrets[14] + secrets[14] / 4;
	for (k = 0; k < N_OF(some); k++) {
		for (n = 1; n <= 20; n += 19) {
			for (i = 0; i < n; i++)
				v[i] = (struct kwgi_aead_packet){ .data = data[i], .len = some[k],
								  .counter = i };
			paint_stack();
			a->seal(key, v, n);
			ck_assert_uint_eq(scan_stack(secrets, N_OF(secrets)), 0);
			paint_stack();
			a->open(key, v, n);
			ck_assert_uint_eq(scan_stack(secrets, N_OF(secrets)), 0);
			ck_assert(v[n - 1].ok);
		}
	}
}
END_TEST
#endif

START_TEST(names)
{
	unsigned i;

	ck_assert_ptr_nonnull(kwgi_aead_by_name("sodium"));
	ck_assert_ptr_null(kwgi_aead_by_name(""));
	ck_assert_ptr_null(kwgi_aead_by_name("rot13"));
	for (i = 0; i < N_OF(NAMES); i++) {
		const struct kwgi_aead *a = kwgi_aead_by_name(NAMES[i]);

		ck_assert(!a || !strcmp(a->name, NAMES[i]));
	}
	ck_assert_ptr_eq(kwgi_aead_best(), kwgi_aead_by_name(kwgi_aead_best()->name));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, names);
	tcase_add_loop_test(tc, vectors, 0, n_present);
	tcase_add_loop_test(tc, rfc8439_stream, 0, n_present);
	tcase_add_loop_test(tc, lengths, 0, n_present);
	tcase_add_loop_test(tc, alignments, 0, n_present);
	tcase_add_loop_test(tc, batches, 0, n_present);
	tcase_add_loop_test(tc, long_ones_and_then_empty_ones, 0, n_present);
	tcase_add_loop_test(tc, every_bit, 0, n_present);
	tcase_add_loop_test(tc, no_packets, 0, n_present);
	tcase_add_loop_test(tc, extreme_ciphertexts, 0, n_present);
#ifndef SANITIZED
	tcase_add_loop_test(tc, stack_is_wiped, 0, n_present);
#endif
}

int main(void)
{
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	find_present();
	return unit_run("aead", add);
}
