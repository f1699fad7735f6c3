/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Many writes with one system call, to a socket that keeps them apart as a TUN device does. */
#include "unit.h"
#include "userspace/tun_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WRITES = 3 * KWGI_TUN_WRITES + 2, TOO_LONG = 1 << 22 };

static struct {
	struct kwgi_tun_writer writer;
	int to[2];
	char text[WRITES][16];
	struct iovec iov[WRITES][2];
	struct kwgi_write v[WRITES];
} t;

static void setup(void)
{
	unsigned i;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, t.to), 0);
	for (i = 0; i < WRITES; i++) {
		snprintf(t.text[i], sizeof(t.text[i]), "%u", i);
		t.iov[i][0] = (struct iovec){ (void *)(uintptr_t)"no. ", 4 };
		t.iov[i][1] = (struct iovec){ t.text[i], strlen(t.text[i]) };
		t.v[i] = (struct kwgi_write){ t.iov[i], 2, 1 };
	}
}

static void teardown(void)
{
	kwgi_tun_writer_free(&t.writer);
	close(t.to[0]);
	close(t.to[1]);
}

/* The numbers from first to last - 1 come, once each and in order, but for without. */
static void arrive(unsigned first, unsigned last, unsigned without)
{
	char got[32], want[32];
	ssize_t n;

	for (; first < last; first++) {
		if (first == without)
			continue;
		snprintf(want, sizeof(want), "no. %u", first);
		n = read(t.to[1], got, sizeof(got) - 1);
		ck_assert_int_ge(n, 0);
		got[n] = '\0';
		ck_assert_str_eq(got, want);
	}
	ck_assert_int_eq(read(t.to[1], got, sizeof(got)), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

static void write_and_see(unsigned n)
{
	kwgi_tun_write(&t.writer, t.to[0], t.v, n);
	arrive(0, n, WRITES);
}

START_TEST(any_number_arrives_in_order)
{
	static const unsigned numbers[] = {
		0, 1, 2, 3, KWGI_TUN_WRITES - 1, KWGI_TUN_WRITES, KWGI_TUN_WRITES + 1,
		2 * KWGI_TUN_WRITES, 2 * KWGI_TUN_WRITES + 1, WRITES,
	};
	unsigned i;

	kwgi_tun_writer_init(&t.writer, _i);
	if (_i && !t.writer.context)
		printf("check_tun_write.c: no asynchronous I/O here, one write after the other was tested\n");
	for (i = 0; i < N_OF(numbers); i++)
		write_and_see(numbers[i]);
	ck_assert(_i || !t.writer.context);
}
END_TEST

/* That one is lost; the others are written, and the next ones, too. */
START_TEST(one_that_fails_is_left_out)
{
	static char much[TOO_LONG];
	static const unsigned at[] = { 0, 5, KWGI_TUN_WRITES - 1, KWGI_TUN_WRITES };
	aio_context_t context;
	unsigned i;

	kwgi_tun_writer_init(&t.writer, true);
	context = t.writer.context;
	for (i = 0; i < N_OF(at); i++) {
		t.iov[at[i]][1] = (struct iovec){ much, sizeof(much) };
		kwgi_tun_write(&t.writer, t.to[0], t.v, WRITES);
		arrive(0, WRITES, at[i]);
		t.iov[at[i]][1] = (struct iovec){ t.text[at[i]], strlen(t.text[at[i]]) };
	}
	write_and_see(WRITES);
	ck_assert(t.writer.context == context);
}
END_TEST

/* A write that the kernel does not even take: the others are written one by one from then on. */
START_TEST(one_that_is_refused_is_left_out)
{
	kwgi_tun_writer_init(&t.writer, true);
	t.v[5].n = -1;
	kwgi_tun_write(&t.writer, t.to[0], t.v, WRITES);
	arrive(0, WRITES, 5);
	t.v[5].n = 2;
	write_and_see(WRITES);
}
END_TEST

/* As where a filter forbids it, or in a process that another one has forked. */
START_TEST(without_a_context_that_works)
{
	kwgi_tun_writer_init(&t.writer, false);
	t.writer.context = 1;
	write_and_see(WRITES);
	ck_assert(!t.writer.context);
	write_and_see(WRITES);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, any_number_arrives_in_order, 0, 2);
	tcase_add_test(tc, one_that_fails_is_left_out);
	tcase_add_test(tc, one_that_is_refused_is_left_out);
	tcase_add_test(tc, without_a_context_that_works);
}

int main(void)
{
	return unit_run("tun_write", add);
}
