/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Memory for keys: pieces that do not overlap, pages that are locked and go back. */
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit.h"
#include "userspace/keymem.h"

enum { PIECES = 3000 };

static const size_t sizes[] = { 1, 64, 200, 1216 };

/* A line of /proc/self/status, kB. */
static long status_kb(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	ck_assert(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			kb = atol(line + strlen(name));
	fclose(f);
	return kb;
}

/* Locks nothing over so many bytes, also where the tests are root's. False: cannot be. */
static bool limit_locking(rlim_t bytes)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];
	struct rlimit l = { bytes, bytes };

	memset(d, 0, sizeof(d));
	if (syscall(SYS_capget, &h, d))
		return false;
	d[0].effective &= ~(1u << CAP_IPC_LOCK);
	d[0].permitted &= ~(1u << CAP_IPC_LOCK);
	return !syscall(SYS_capset, &h, d) && !setrlimit(RLIMIT_MEMLOCK, &l);
}

static bool all_are(const uint8_t *p, size_t len, uint8_t value)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* Random pieces come and go; each keeps its content, and a new one is zeroed. */
START_TEST(pieces_are_apart)
{
	struct kwgi_keymem m = { 0 };
	struct {
		uint8_t *p, value;
		size_t size;
	} v[PIECES] = { 0 };
	uint64_t seed = 7;
	unsigned turn, i;

	for (turn = 0; turn < 20 * PIECES; turn++) {
		i = random_below(&seed, PIECES);
		if (v[i].p) {
			ck_assert(all_are(v[i].p, v[i].size, v[i].value));
			kwgi_keymem_free(&m, v[i].p, v[i].size);
			v[i].p = NULL;
			continue;
		}
		v[i].size = sizes[random_below(&seed, N_OF(sizes))];
		v[i].value = (uint8_t)random_u32(&seed);
		v[i].p = kwgi_keymem_alloc(&m, v[i].size);
		ck_assert(v[i].p && (uintptr_t)v[i].p % KWGI_KEYMEM_ALIGN == 0);
		ck_assert(all_are(v[i].p, v[i].size, 0));
		memset(v[i].p, v[i].value, v[i].size);
	}
	for (i = 0; i < PIECES; i++)
		kwgi_keymem_free(&m, v[i].p, v[i].size);
	kwgi_keymem_end(&m);
}
END_TEST

START_TEST(what_cannot_be)
{
	struct kwgi_keymem m = { 0 };
	void *p[KWGI_KEYMEM_SIZES];
	unsigned i;

	ck_assert(!kwgi_keymem_alloc(&m, 0));
	ck_assert(!kwgi_keymem_alloc(&m, KWGI_KEYMEM_CHUNK / 4 + 1));
	for (i = 0; i < KWGI_KEYMEM_SIZES; i++) {
		p[i] = kwgi_keymem_alloc(&m, 64 * (i + 1));
		ck_assert(p[i]);
	}
	ck_assert(!kwgi_keymem_alloc(&m, 64 * (i + 1)));
	for (i = 0; i < KWGI_KEYMEM_SIZES; i++)
		kwgi_keymem_free(&m, p[i], 64 * (i + 1));
	kwgi_keymem_free(&m, NULL, 64);
	kwgi_keymem_end(&m);
}
END_TEST

/* The address sanitizer makes mlock() do nothing. */
static bool can_lock(void)
{
	void *p = malloc(1);
	bool does;

	ck_assert(p && !status_kb("VmLck:"));
	does = !mlock(p, 1) && status_kb("VmLck:");
	munlock(p, 1);
	free(p);
	return does;
}

/* What is allowed is locked, what is over the limit serves, too, and all goes back. */
START_TEST(locked_up_to_the_limit)
{
	const long chunk = KWGI_KEYMEM_CHUNK / 1024;
	struct kwgi_keymem m = { 0 };
	static void *p[PIECES];
	unsigned i;

	if (!can_lock() || !limit_locking(4 * KWGI_KEYMEM_CHUNK))
		return;
	p[0] = kwgi_keymem_alloc(&m, 1216);
	ck_assert_int_eq(status_kb("VmLck:"), chunk);
	ck_assert_int_eq(m.error, 0);
	for (i = 1; i < PIECES; i++) {
		p[i] = kwgi_keymem_alloc(&m, 1216);
		ck_assert(p[i]);
		memset(p[i], 1, 1216);
	}
	ck_assert_int_eq(status_kb("VmLck:"), 4 * chunk);
	ck_assert(m.error == ENOMEM || m.error == EAGAIN);
	for (i = 0; i < PIECES; i++)
		kwgi_keymem_free(&m, p[i], 1216);
	ck_assert_int_le(status_kb("VmLck:"), chunk);
	kwgi_keymem_end(&m);
	ck_assert_int_eq(status_kb("VmLck:"), 0);
}
END_TEST

START_TEST(nothing_may_be_locked)
{
	struct kwgi_keymem m = { 0 };
	void *p;

	if (!can_lock() || !limit_locking(0))
		return;
	p = kwgi_keymem_alloc(&m, 64);
	ck_assert(p);
	ck_assert_int_eq(m.error, EPERM);
	ck_assert_int_eq(status_kb("VmLck:"), 0);
	kwgi_keymem_free(&m, p, 64);
	kwgi_keymem_end(&m);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, pieces_are_apart);
	tcase_add_test(tc, what_cannot_be);
	tcase_add_test(tc, locked_up_to_the_limit);
	tcase_add_test(tc, nothing_may_be_locked);
}

int main(void)
{
	return unit_run("keymem", add);
}
