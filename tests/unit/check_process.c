/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Who listens on a socket; those who have a TUN device are in tests/netns/daemon-hangs.sh. */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/process.h"
#include "unit.h"

/* A process that listens at an abstract name; returns a connection to it. */
static int listener(pid_t *pid, bool stays)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int ready[2], fd = socket(AF_UNIX, SOCK_STREAM, 0), to;
	char c;

	snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "kilowg-check-%d", (int)getpid());
	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	*pid = fork();
	if (!*pid) {
		if (listen(fd, 1) || write(ready[1], "", 1) != 1)
			_exit(1);
		if (stays)
			pause();
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	if (!stays)
		ck_assert_int_eq(waitpid(*pid, NULL, 0), *pid);
	to = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(to, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return to;
}

START_TEST(named)
{
	struct kwgi_process o;
	char text[64], wanted[64];
	pid_t pid;
	int fd = listener(&pid, true);

	kwgi_process_find(&o, fd, "no-such-device", "check_process");
	snprintf(wanted, sizeof(wanted), "check_process (process %d)", (int)pid);
	ck_assert_str_eq(kwgi_process_describe(&o, text, sizeof(text)), wanted);
	/* We see that it has no device, so it is left alone. */
	ck_assert(!o.sure);
	ck_assert(!kwgi_process_end(&o));
	ck_assert_int_eq(kill(pid, 0), 0);
	/* And if it had one: stopped, it does not listen to the first signal. */
	kill(pid, SIGSTOP);
	o.sure = true;
	ck_assert(kwgi_process_end(&o));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	kwgi_process_close(&o);
	ck_assert_int_eq(o.pid, 0);
	close(fd);
}
END_TEST

/* As with wireguard-go, whose parent listens and goes: a number says nothing then. */
START_TEST(gone)
{
	struct kwgi_process o;
	char text[64];
	pid_t pid;
	int fd = listener(&pid, false);

	kwgi_process_find(&o, fd, "no-such-device", "");
	ck_assert(!o.sure);
	ck_assert_str_eq(kwgi_process_describe(&o, text, sizeof(text)), "the userspace WireGuard");
	kwgi_process_close(&o);
	close(fd);
}
END_TEST

START_TEST(nobody)
{
	struct kwgi_process o;

	kwgi_process_find(&o, -1, "no-such-device", NULL);
	ck_assert_int_eq(o.pid, 0);
	ck_assert(!kwgi_process_end(&o));
	kwgi_process_close(&o);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, named);
	tcase_add_test(tc, gone);
	tcase_add_test(tc, nobody);
}

int main(void)
{
	return unit_run("process", add);
}
