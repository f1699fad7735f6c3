/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The event loop with its timer, waking, and notes to a service manager. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"
#include "userspace/event.h"
#include "userspace/notify.h"

#define MS 1000000ull

START_TEST(a_deadline_ends_the_wait)
{
	struct kwgi_loop l;
	struct epoll_event ev[4];
	uint64_t deadline = kwgi_now() + 30 * MS;

	ck_assert_int_eq(kwgi_loop_open(&l, NULL), 0);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), 0), 0);
	ck_assert(kwgi_now() < deadline);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), deadline), 0);
	ck_assert(kwgi_now() >= deadline);
	/* One in the past, too. */
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), 1), 0);
	kwgi_loop_close(&l);
}
END_TEST

START_TEST(a_deadline_can_move)
{
	struct kwgi_loop l;
	struct epoll_event ev[4];
	uint64_t deadline;
	int fd = kwgi_wake_open();

	ck_assert_int_eq(kwgi_loop_open(&l, NULL), 0);
	ck_assert_int_eq(kwgi_loop_add(&l, fd, EPOLLIN, 1), 0);
	/* Armed for far away, where an event ends the wait. */
	kwgi_wake_set(fd);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), kwgi_now() + 60000 * MS), 1);
	kwgi_wake_clear(fd);
	/* Forward. */
	deadline = kwgi_now() + 20 * MS;
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), deadline), 0);
	ck_assert(kwgi_now() >= deadline);
	/* Back: it wakes early once at most. */
	kwgi_wake_set(fd);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), kwgi_now() + 20 * MS), 1);
	kwgi_wake_clear(fd);
	deadline = kwgi_now() + 60 * MS;
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), deadline), 0);
	if (kwgi_now() < deadline)
		ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), deadline), 0);
	ck_assert(kwgi_now() >= deadline);
	kwgi_loop_close(&l);
	close(fd);
}
END_TEST

START_TEST(another_thread_wakes)
{
	struct kwgi_loop l;
	struct epoll_event ev[4];
	int fd = kwgi_wake_open();

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(kwgi_loop_open(&l, NULL), 0);
	ck_assert_int_eq(kwgi_loop_add(&l, fd, EPOLLIN, 42), 0);
	kwgi_wake_set(fd);
	kwgi_wake_set(fd);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), KWGI_NEVER), 1);
	ck_assert_uint_eq(ev[0].data.u64, 42);
	kwgi_wake_clear(fd);
	kwgi_wake_clear(fd);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), 0), 0);

	/* An event and the deadline at once: the event alone comes back. */
	kwgi_wake_set(fd);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), 1), 1);
	ck_assert_uint_eq(ev[0].data.u64, 42);

	ck_assert_int_eq(kwgi_loop_modify(&l, fd, 0, 42), 0);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), 0), 0);
	ck_assert_int_eq(kwgi_loop_modify(&l, fd, EPOLLIN, 43), 0);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), 0), 1);
	ck_assert_uint_eq(ev[0].data.u64, 43);
	ck_assert_int_eq(kwgi_loop_remove(&l, fd), 0);
	ck_assert_int_eq(kwgi_loop_wait(&l, ev, N_OF(ev), 0), 0);
	kwgi_loop_close(&l);
	close(fd);
}
END_TEST

static void notified(const char *text, const struct sockaddr_un *sa, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char got[64] = "";

	ck_assert(!bind(fd, (const struct sockaddr *)sa, len));
	ck_assert_int_eq(kwgi_notify(text, "READY=1\nSTATUS=up"), 0);
	ck_assert_int_eq(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 17);
	ck_assert_str_eq(got, "READY=1\nSTATUS=up");
	close(fd);
}

START_TEST(the_service_manager_hears)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX }, abstract = { .sun_family = AF_UNIX };
	char text[64];
	int n;

	snprintf(path.sun_path, sizeof(path.sun_path), "/tmp/kilowg-notify.%d", (int)getpid());
	notified(path.sun_path, &path, sizeof(path));
	unlink(path.sun_path);
	n = snprintf(text, sizeof(text), "@kilowg-notify.%d", (int)getpid());
	memcpy(abstract.sun_path + 1, text + 1, (size_t)n - 1);
	notified(text, &abstract, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n));

	ck_assert_int_eq(kwgi_notify(NULL, "READY=1"), 0);
	ck_assert_int_eq(kwgi_notify("", "READY=1"), 0);
	ck_assert_int_eq(kwgi_notify("relative", "READY=1"), EINVAL);
	ck_assert_int_eq(kwgi_notify(path.sun_path, "READY=1"), ENOENT);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, a_deadline_ends_the_wait);
	tcase_add_test(tc, a_deadline_can_move);
	tcase_add_test(tc, another_thread_wakes);
	tcase_add_test(tc, the_service_manager_hears);
}

int main(void)
{
	return unit_run("event", add);
}
