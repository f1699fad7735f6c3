/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The UAPI socket's server and its clients, in one process that takes turns. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"
#include "userspace/uapi_server.h"

#define SECOND 1000000000ull

static char dir[64], name[80];

/* What handle() was given last, and what it answers. */
static struct kwgi_buf seen;
static unsigned handled;
static size_t answer_size;
static int answer_end;

static int handle(void *arg, const char *request, size_t len, struct kwgi_buf *answer)
{
	static char block[65536];
	size_t left, n;

	memset(block, 'x', sizeof(block));
	ck_assert_ptr_eq(arg, &handled);
	ck_assert(len > 2 && !memcmp(request + len - 2, "\n\n", 2));
	ck_assert_int_eq(request[len - 1], '\n');
	kwgi_buf_free(&seen);
	kwgi_buf_add(&seen, request, len);
	for (left = answer_size; left; left -= n) {
		n = left < sizeof(block) ? left : sizeof(block);
		kwgi_buf_add(answer, block, n);
	}
	kwgi_buf_printf(answer, "n=%u\nerrno=0\n\n", ++handled);
	return answer_end;
}

static int try_open(struct kwgi_uapi_server **s, int fd, struct kwg_error *err)
{
	struct kwgi_uapi_server_options o = {
		.dir = dir, .ifname = "wgx", .fd = fd, .handle = handle, .arg = &handled,
	};

	return kwgi_uapi_server_open(s, &o, err);
}

static struct kwgi_uapi_server *begin(void)
{
	struct kwgi_uapi_server *s = NULL;
	struct kwg_error err;

	handled = 0;
	answer_size = 0;
	answer_end = 0;
	snprintf(dir, sizeof(dir), "/tmp/kilowg-uapi.%d", (int)getpid());
	snprintf(name, sizeof(name), "%s/wgx.sock", dir);
	ck_assert_msg(!try_open(&s, -1, &err), "%s", err.text);
	return s;
}

static void end(struct kwgi_uapi_server *s)
{
	kwgi_uapi_server_close(s);
	kwgi_buf_free(&seen);
	ck_assert_int_eq(access(name, F_OK), -1);
	/* Nothing else was left behind. */
	ck_assert(!rmdir(dir));
}

static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, name, strlen(name));
	ck_assert(!connect(fd, (struct sockaddr *)&sa, sizeof(sa)));
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Lets the server work until it has nothing to do. */
static int work(struct kwgi_uapi_server *s, uint64_t now)
{
	struct pollfd p = { .fd = kwgi_uapi_server_fd(s), .events = POLLIN };
	int ret = 0, turns = 0;

	while (poll(&p, 1, 0) == 1 || kwgi_uapi_server_deadline(s) <= now) {
		ret |= kwgi_uapi_server_process(s, now);
		ck_assert_int_lt(++turns, 100000);
	}
	return ret;
}

/* What is there to read, 4 KB at most; "EOF" at the end if the server has closed. */
static const char *hear(int fd)
{
	static char text[4096];
	size_t len = 0;
	ssize_t n;

	do {
		n = recv(fd, text + len, sizeof(text) - 8 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 && len < sizeof(text) - 8);
	strcpy(text + len, n ? "" : "EOF");
	return text;
}

/* ---- requests -------------------------------------------------------- */

START_TEST(a_request_is_answered)
{
	struct kwgi_uapi_server *s = begin();
	int fd = dial();

	say(fd, "get=1\n\n");
	work(s, 1);
	ck_assert_str_eq(hear(fd), "n=1\nerrno=0\n\n");
	ck_assert_str_eq(seen.p, "get=1\n\n");
	say(fd, "set=1\nlisten_port=1\nfwmark=2\n\n");
	work(s, 1);
	ck_assert_str_eq(hear(fd), "n=2\nerrno=0\n\n");
	ck_assert_str_eq(seen.p, "set=1\nlisten_port=1\nfwmark=2\n\n");
	close(fd);
	work(s, 1);
	ck_assert(kwgi_uapi_server_deadline(s) == UINT64_MAX);
	end(s);
}
END_TEST

START_TEST(several_requests_at_once_are_answered_in_turn)
{
	struct kwgi_uapi_server *s = begin();
	int fd = dial(), i;

	for (i = 0; i < 50; i++)
		say(fd, "get=1\n\n");
	say(fd, "set=1\nfw");
	work(s, 1);
	ck_assert_uint_eq(handled, 50);
	ck_assert(strstr(hear(fd), "n=1\nerrno=0\n\nn=2\n"));
	say(fd, "mark=3\n\n");
	/* The end of what it sends: the answer still comes. */
	shutdown(fd, SHUT_WR);
	work(s, 1);
	ck_assert_str_eq(seen.p, "set=1\nfwmark=3\n\n");
	ck_assert_str_eq(hear(fd), "n=51\nerrno=0\n\nEOF");
	close(fd);
	end(s);
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte)
{
	struct kwgi_uapi_server *s = begin();
	const char *text = "set=1\nprivate_key=00\n\nget=1\n\n", *p;
	int fd = dial();

	for (p = text; *p; p++) {
		ck_assert_int_eq(send(fd, p, 1, 0), 1);
		work(s, 1);
		ck_assert_uint_eq(handled, (unsigned)(p - text >= 21) + (p - text >= 28));
	}
	close(fd);
	end(s);
}
END_TEST

START_TEST(a_large_request_arrives_whole)
{
	enum { LINES = 200000 };
	struct kwgi_uapi_server *s = begin();
	struct kwgi_buf text = { 0 };
	size_t at = 0;
	ssize_t n;
	int fd = dial(), i;

	kwgi_buf_puts(&text, "set=1\n");
	for (i = 0; i < LINES; i++)
		kwgi_buf_printf(&text, "allowed_ip=10.%d.%d.%d/32\n", i >> 16,
				i >> 8 & 255, i & 255);
	kwgi_buf_puts(&text, "\n");
	while (at < text.len) {
		n = send(fd, text.p + at, text.len - at, 0);
		ck_assert(n > 0 || errno == EAGAIN);
		at += n > 0 ? (size_t)n : 0;
		work(s, 1);
	}
	ck_assert_uint_eq(handled, 1);
	ck_assert_uint_eq(seen.len, text.len);
	ck_assert(!memcmp(seen.p, text.p, seen.len));
	kwgi_buf_free(&text);
	close(fd);
	end(s);
}
END_TEST

static void refused(struct kwgi_uapi_server *s, const char *text)
{
	int fd = dial();

	handled = 0;
	say(fd, text);
	work(s, 1);
	ck_assert_str_eq(hear(fd), "errno=-71\n\nEOF");
	/* What still comes is thrown away, and ends nothing. */
	say(fd, "get=1\n\n");
	work(s, 1);
	ck_assert_uint_eq(handled, 0);
	close(fd);
	work(s, 1);
	ck_assert(kwgi_uapi_server_deadline(s) == UINT64_MAX);
}

START_TEST(what_is_no_request_is_refused_at_once)
{
	struct kwgi_uapi_server *s = begin();
	static char line[5000];

	refused(s, "\n");
	refused(s, "hello\n");
	refused(s, "get=2\n\n");
	refused(s, "get=1 \n\n");
	refused(s, " set=1\n");
	memcpy(line, "set=1\n", 6);
	memset(line + 6, 'a', sizeof(line) - 7);
	refused(s, line);
	refused(s, line + 6);
	end(s);
}
END_TEST

START_TEST(the_callback_can_end_a_connection)
{
	struct kwgi_uapi_server *s = begin();
	int fd = dial();

	answer_end = 1;
	say(fd, "get=1\n\nget=1\n\n");
	work(s, 1);
	ck_assert_str_eq(hear(fd), "n=1\nerrno=0\n\nEOF");
	/* It does not go: its place is taken back. */
	ck_assert(kwgi_uapi_server_deadline(s) == 1 + 30 * SECOND);
	work(s, 1 + 30 * SECOND);
	ck_assert(kwgi_uapi_server_deadline(s) == UINT64_MAX);
	ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	close(fd);
	end(s);
}
END_TEST

START_TEST(an_incomplete_request_is_discarded)
{
	struct kwgi_uapi_server *s = begin();
	int fd = dial();

	say(fd, "set=1\nprivate_key=11\n");
	shutdown(fd, SHUT_WR);
	work(s, 1);
	ck_assert_str_eq(hear(fd), "EOF");
	ck_assert_uint_eq(handled, 0);
	close(fd);
	end(s);
}
END_TEST

/* ---- clients do not disturb each other -------------------------------- */

START_TEST(a_half_request_times_out_and_holds_up_nobody)
{
	struct kwgi_uapi_server *s = begin();
	int half = dial(), idle = dial(), other;

	say(half, "set=1\nfwma");
	work(s, 5 * SECOND);
	ck_assert(kwgi_uapi_server_deadline(s) == 35 * SECOND);
	other = dial();
	say(other, "get=1\n\n");
	work(s, 6 * SECOND);
	ck_assert_str_eq(hear(other), "n=1\nerrno=0\n\n");
	work(s, 35 * SECOND - 1);
	ck_assert_str_eq(hear(half), "");
	work(s, 35 * SECOND);
	ck_assert_str_eq(hear(half), "EOF");
	/* A client between two requests may be silent for ever. */
	ck_assert(kwgi_uapi_server_deadline(s) == UINT64_MAX);
	work(s, 1000 * SECOND);
	say(idle, "get=1\n\n");
	work(s, 1000 * SECOND);
	ck_assert_str_eq(hear(idle), "n=2\nerrno=0\n\n");
	close(half);
	close(idle);
	close(other);
	end(s);
}
END_TEST

START_TEST(a_client_that_does_not_read_holds_up_nobody)
{
	enum { SIZE = 3000000 };
	struct kwgi_uapi_server *s = begin();
	int slow = dial(), other = dial();
	size_t total = 0;
	const char *text;

	answer_size = SIZE;
	say(slow, "get=1\n\nget=1\n\n");
	work(s, SECOND);
	ck_assert_uint_eq(handled, 1);
	answer_size = 0;
	say(other, "get=1\n\n");
	work(s, SECOND);
	ck_assert_str_eq(hear(other), "n=2\nerrno=0\n\n");
	/* When it reads, it gets all of it, and then its second answer. */
	do {
		text = hear(slow);
		total += strlen(text);
		work(s, 20 * SECOND);
	} while (!strstr(text, "n=3\n"));
	ck_assert_uint_eq(total, SIZE + 2 * strlen("n=1\nerrno=0\n\n"));
	ck_assert(kwgi_uapi_server_deadline(s) == UINT64_MAX);

	/* And when it never reads, it has to go. */
	answer_size = SIZE;
	say(slow, "get=1\n\n");
	work(s, 40 * SECOND);
	ck_assert(kwgi_uapi_server_deadline(s) == 70 * SECOND);
	work(s, 70 * SECOND);
	ck_assert(kwgi_uapi_server_deadline(s) == UINT64_MAX);
	close(slow);
	close(other);
	end(s);
}
END_TEST

/* Of many who do not read, all answers together have a bound; a change is told in any case. */
START_TEST(unread_answers_are_no_more_than_fit)
{
	enum { READERS = 12 };
	struct kwgi_uapi_server *s = begin();
	int fd[READERS], i, refused = 0;

	answer_size = 20 << 20;
	for (i = 0; i < READERS; i++) {
		fd[i] = dial();
		say(fd[i], "get=1\n\n");
		work(s, 1);
		refused += !strcmp(hear(fd[i]), "errno=-105\n\nEOF");
		ck_assert_int_eq(refused, i < 6 ? 0 : i - 5);
	}
	answer_size = 0;
	i = dial();
	say(i, "set=1\nfwmark=1\n\n");
	work(s, 1);
	ck_assert_str_eq(hear(i), "n=13\nerrno=0\n\n");
	close(i);
	for (i = 0; i < READERS; i++)
		close(fd[i]);
	work(s, 1);
	answer_size = 20 << 20;
	i = dial();
	say(i, "get=1\n\n");
	work(s, 1);
	ck_assert_str_eq(strncmp(hear(i), "xxx", 3) ? "no" : "yes", "yes");
	close(i);
	work(s, 1);
	end(s);
}
END_TEST

START_TEST(a_client_that_goes_with_its_answer_unread_is_forgotten)
{
	struct kwgi_uapi_server *s = begin();
	int fd = dial();

	answer_size = 3000000;
	say(fd, "get=1\n\n");
	work(s, 1);
	close(fd);
	work(s, 1);
	ck_assert(kwgi_uapi_server_deadline(s) == UINT64_MAX);
	end(s);
}
END_TEST

START_TEST(silent_clients_make_place_for_new_ones)
{
	struct kwgi_uapi_server *s = begin();
	int fd[200];
	unsigned i;

	for (i = 0; i < N_OF(fd); i++) {
		fd[i] = dial();
		work(s, i * SECOND);
	}
	say(fd[199], "get=1\n\n");
	work(s, 200 * SECOND);
	ck_assert_str_eq(hear(fd[199]), "n=1\nerrno=0\n\n");
	ck_assert_str_eq(hear(fd[0]), "EOF");
	for (i = 0; i < N_OF(fd); i++)
		close(fd[i]);
	end(s);
}
END_TEST

/* More than there are places, all at once: who has no place waits, and nobody is thrown out. */
START_TEST(a_crowd_is_served_in_turn)
{
	struct kwgi_uapi_server *s = begin();
	char answer[40];
	int fd[300];
	unsigned i, served = 0;

	for (i = 0; i < N_OF(fd); i++) {
		fd[i] = dial();
		say(fd[i], "get=1\n\n");
	}
	while (served < N_OF(fd)) {
		work(s, SECOND);
		for (i = 0; i < N_OF(fd); i++) {
			if (fd[i] < 0 || !*strcpy(answer, hear(fd[i])))
				continue;
			ck_assert_ptr_nonnull(strstr(answer, "\nerrno=0\n\n"));
			ck_assert_ptr_null(strstr(answer, "EOF"));
			close(fd[i]);
			fd[i] = -1;
			served++;
		}
	}
	ck_assert_uint_eq(handled, N_OF(fd));
	work(s, SECOND);
	ck_assert(kwgi_uapi_server_deadline(s) == UINT64_MAX);
	end(s);
}
END_TEST

/* However many begin a request and do not go on: after a second, others have their place. */
START_TEST(half_requests_make_place_for_new_ones)
{
	struct kwgi_uapi_server *s = begin();
	int fd[64], early, late;
	unsigned i;

	for (i = 0; i < N_OF(fd); i++) {
		fd[i] = dial();
		say(fd[i], "set=1\nfwma");
		work(s, SECOND + i);
	}
	early = dial();
	say(early, "get=1\n\n");
	/* One that goes on keeps its place. */
	say(fd[0], "rk=1");
	work(s, 2 * SECOND);
	ck_assert_str_eq(hear(early), "");
	ck_assert(kwgi_uapi_server_deadline(s) == 2 * SECOND + 1);
	work(s, 2 * SECOND + 1);
	ck_assert_str_eq(hear(early), "n=1\nerrno=0\n\n");
	close(early);
	late = dial();
	say(late, "get=1\n\n");
	work(s, 2 * SECOND + 2);
	ck_assert_str_eq(hear(late), "n=2\nerrno=0\n\n");
	ck_assert_str_eq(hear(fd[0]), "");
	ck_assert_str_eq(hear(fd[1]), "EOF");
	ck_assert_str_eq(hear(fd[2]), "");
	for (i = 0; i < N_OF(fd); i++)
		close(fd[i]);
	close(late);
	end(s);
}
END_TEST

/* ---- the name -------------------------------------------------------- */

START_TEST(folder_and_socket_have_their_modes)
{
	struct kwgi_uapi_server *s;
	struct stat st;

	umask(0);
	s = begin();
	ck_assert(!lstat(name, &st));
	ck_assert_uint_eq(st.st_mode, S_IFSOCK | 0600);
	ck_assert(!lstat(dir, &st));
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0755);
	end(s);
}
END_TEST

START_TEST(a_second_instance_is_refused)
{
	struct kwgi_uapi_server *s = begin(), *t;
	struct kwg_error err;
	struct stat before, after;
	int fd;

	ck_assert(!lstat(name, &before));
	ck_assert_int_eq(try_open(&t, -1, &err), KWG_ERR_KERNEL);
	ck_assert_int_eq(err.sys_errno, EADDRINUSE);
	ck_assert(!lstat(name, &after));
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	fd = dial();
	say(fd, "get=1\n\n");
	ck_assert_int_eq(work(s, 1), 0);
	ck_assert_str_eq(hear(fd), "n=1\nerrno=0\n\n");
	close(fd);
	end(s);
}
END_TEST

START_TEST(a_dead_socket_is_replaced)
{
	struct kwgi_uapi_server *s = begin();
	int fd;

	/* As after a crash. */
	kwgi_uapi_server_abandon(s);
	ck_assert_int_eq(access(name, F_OK), 0);
	s = begin();
	fd = dial();
	say(fd, "get=1\n\n");
	work(s, 1);
	ck_assert_str_eq(hear(fd), "n=1\nerrno=0\n\n");
	close(fd);
	end(s);
}
END_TEST

START_TEST(a_file_is_not_replaced)
{
	struct kwgi_uapi_server *s = begin(), *t;
	struct kwg_error err;
	FILE *f;

	unlink(name);
	f = fopen(name, "w");
	fclose(f);
	ck_assert_int_eq(try_open(&t, -1, &err), KWG_ERR_KERNEL);
	ck_assert_int_eq(err.sys_errno, ENOTSOCK);
	/* It is somebody else's for the first one, too. */
	ck_assert_int_eq(work(s, 1), KWGI_UAPI_REMOVED);
	kwgi_uapi_server_close(s);
	ck_assert_int_eq(access(name, F_OK), 0);
	unlink(name);
	rmdir(dir);
}
END_TEST

START_TEST(a_removed_socket_is_noticed)
{
	struct kwgi_uapi_server *s = begin();
	struct kwg_error err;

	ck_assert(!chmod(name, 0666));
	ck_assert_int_eq(work(s, 1), 0);
	unlink(name);
	ck_assert_int_eq(work(s, 1), KWGI_UAPI_REMOVED);
	kwgi_uapi_server_close(s);
	ck_assert(!try_open(&s, -1, &err));
	end(s);
}
END_TEST

START_TEST(another_user_is_sent_away)
{
	struct kwgi_uapi_server *s = begin();
	int fd, status;
	pid_t child;

	/* Only root can become somebody else. */
	if (!geteuid()) {
		ck_assert(!chmod(name, 0666) && !chmod(dir, 0755));
		child = fork();
		if (!child) {
			if (setuid(65534))
				_exit(1);
			fd = dial();
			say(fd, "get=1\n\n");
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
		work(s, 1);
		ck_assert_uint_eq(handled, 0);
	}
	end(s);
}
END_TEST

START_TEST(a_listening_socket_is_adopted)
{
	struct kwgi_uapi_server *s = begin(), *t;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	struct kwg_error err;

	kwgi_uapi_server_close(s);
	memcpy(sa.sun_path, name, strlen(name));
	ck_assert_int_eq(try_open(&t, listener, &err), KWG_ERR_USAGE);
	ck_assert(!bind(listener, (struct sockaddr *)&sa, sizeof(sa)) && !listen(listener, 5));
	ck_assert(!try_open(&s, listener, &err));
	fd = dial();
	say(fd, "get=1\n\n");
	work(s, 1);
	ck_assert_str_eq(hear(fd), "n=1\nerrno=0\n\n");
	close(fd);
	end(s);
}
END_TEST

START_TEST(a_long_name_is_refused)
{
	struct kwgi_uapi_server *s;
	struct kwg_error err;
	struct kwgi_uapi_server_options o = { .ifname = "wgx", .fd = -1, .handle = handle };
	char longer[120];

	memset(longer, 'd', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	o.dir = longer;
	ck_assert_int_eq(kwgi_uapi_server_open(&s, &o, &err), KWG_ERR_USAGE);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, a_request_is_answered);
	tcase_add_test(tc, several_requests_at_once_are_answered_in_turn);
	tcase_add_test(tc, a_request_may_come_byte_by_byte);
	tcase_add_test(tc, a_large_request_arrives_whole);
	tcase_add_test(tc, what_is_no_request_is_refused_at_once);
	tcase_add_test(tc, the_callback_can_end_a_connection);
	tcase_add_test(tc, an_incomplete_request_is_discarded);
	tcase_add_test(tc, a_half_request_times_out_and_holds_up_nobody);
	tcase_add_test(tc, a_client_that_does_not_read_holds_up_nobody);
	tcase_add_test(tc, unread_answers_are_no_more_than_fit);
	tcase_add_test(tc, a_client_that_goes_with_its_answer_unread_is_forgotten);
	tcase_add_test(tc, silent_clients_make_place_for_new_ones);
	tcase_add_test(tc, half_requests_make_place_for_new_ones);
	tcase_add_test(tc, a_crowd_is_served_in_turn);
	tcase_add_test(tc, folder_and_socket_have_their_modes);
	tcase_add_test(tc, a_second_instance_is_refused);
	tcase_add_test(tc, a_dead_socket_is_replaced);
	tcase_add_test(tc, a_file_is_not_replaced);
	tcase_add_test(tc, a_removed_socket_is_noticed);
	tcase_add_test(tc, another_user_is_sent_away);
	tcase_add_test(tc, a_listening_socket_is_adopted);
	tcase_add_test(tc, a_long_name_is_refused);
}

int main(void)
{
	return unit_run("uapi_server", add);
}
