/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Programs that are run to their end: real ones, small, those that hang and those that talk too much. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "host/files.h"
#include "host/spawn.h"
#include "unit.h"

/* A shell makes a program of a line; kilowg itself uses none. */
static int run(const char *script, const char *input, struct kwgi_buf *out, size_t max,
	       uint32_t timeout, struct kwg_error *err)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	const struct kwgi_program p = {
		.argv = argv, .input = input, .input_size = input ? strlen(input) : 0,
		.out = out, .out_max = max, .timeout = timeout,
	};

	memset(err, 0, sizeof(*err));
	return kwgi_program_run(&p, err);
}

START_TEST(output)
{
	struct kwgi_buf out = { 0 };
	struct kwg_error err;

	ck_assert_int_eq(run("cat; echo end", "one\ntwo\n", &out, 100, 10000, &err), 0);
	ck_assert_str_eq(out.p, "one\ntwo\nend\n");
	kwgi_buf_free(&out);
	/* nobody cares */
	ck_assert_int_eq(run("yes | head -c 1000000", NULL, NULL, 0, 10000, &err), 0);
	/* nothing to read */
	ck_assert_int_eq(run("cat", NULL, &out, 100, 10000, &err), 0);
	ck_assert_uint_eq(out.len, 0);
	kwgi_buf_free(&out);
}
END_TEST

/* More than pipes hold, both ways at once. */
START_TEST(much)
{
	enum { SIZE = 3000000 };
	struct kwgi_buf out = { 0 };
	struct kwg_error err;
	char *text = malloc(SIZE + 1);

	memset(text, 'x', SIZE);
	text[SIZE] = '\0';
	ck_assert_int_eq(run("cat; cat /dev/zero | head -c 500000 >&2", text, &out, SIZE, 60000, &err), 0);
	ck_assert_uint_eq(out.len, SIZE);
	ck_assert(!memcmp(out.p, text, SIZE));
	kwgi_buf_free(&out);
	ck_assert_int_eq(run("cat", text, &out, SIZE - 1, 60000, &err), KWG_ERR_KERNEL);
	ck_assert_msg(strstr(err.text, "/bin/sh writes more than 2 MiB") != NULL, "%s", err.text);
	kwgi_buf_free(&out);
	/* one that never ends */
	ck_assert_int_eq(run("yes", NULL, &out, 1 << 20, 60000, &err), KWG_ERR_KERNEL);
	ck_assert_uint_le(out.len, 1 << 20);
	kwgi_buf_free(&out);
	free(text);
}
END_TEST

START_TEST(failures)
{
	static const char *const none[] = { "/no/such/program", NULL };
	const struct kwgi_program p = { .argv = none, .timeout = 1000 };
	struct kwg_error err = { 0 };

	ck_assert_int_eq(run("echo 'it is  broken' >&2; echo >&2; exit 7", NULL, NULL, 0, 10000, &err),
			 KWG_ERR_KERNEL);
	ck_assert_str_eq(err.text, "/bin/sh ends with exit status 7: it is  broken");
	ck_assert_int_eq(run("exit 1", NULL, NULL, 0, 10000, &err), KWG_ERR_KERNEL);
	ck_assert_str_eq(err.text, "/bin/sh ends with exit status 1");
	ck_assert_int_eq(run("kill -9 $$", NULL, NULL, 0, 10000, &err), KWG_ERR_KERNEL);
	ck_assert_str_eq(err.text, "/bin/sh ends with exit status 137");
	/* of much that it complains, the start; no control characters */
	ck_assert_int_eq(run("printf 'a\\033[31mb\\n' >&2; yes x | head -n 9999 >&2; exit 2", NULL, NULL, 0,
			     10000, &err), KWG_ERR_KERNEL);
	ck_assert_msg(!strncmp(err.text, "/bin/sh ends with exit status 2: a [31mb x x", 44), "%s", err.text);
	ck_assert_uint_lt(strlen(err.text), 300);
	ck_assert_int_eq(kwgi_program_run(&p, &err), KWG_ERR_KERNEL);
	ck_assert_int_eq(err.sys_errno, ENOENT);
	ck_assert_str_eq(err.text, "starting /no/such/program: No such file or directory");
}
END_TEST

/* One that hangs is ended, also if it says nothing, or has closed what we read. */
START_TEST(deadline)
{
	static const char *const scripts[] = { "exec sleep 60", "exec sleep 60 >&- 2>&-",
					       "echo here >&2; exec sleep 60" };
	struct kwg_error err;
	int64_t start;
	size_t i;

	for (i = 0; i < N_OF(scripts); i++) {
		start = kwgi_monotonic_ms();
		ck_assert_int_eq(run(scripts[i], NULL, NULL, 0, 1000, &err), KWG_ERR_TIMEOUT);
		ck_assert_msg(strstr(err.text, "/bin/sh has not ended within 1 s") != NULL, "%s", err.text);
		ck_assert_int_lt(kwgi_monotonic_ms() - start, 30000);
	}
	ck_assert(strstr(err.text, ": here") != NULL);
}
END_TEST

/* Nothing of ours: environment, signals that are blocked or ignored, files that are open. */
START_TEST(surroundings)
{
	struct kwgi_buf out = { 0 };
	struct kwg_error err;
	sigset_t all;

	/* Of signals the first 16: two that the C library uses itself stay as they are. */
	setenv("LD_PRELOAD_OF_OURS", "secret", 1);
	setenv("PATH", "/nowhere", 1);
	signal(SIGTERM, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	ck_assert_int_eq(run("env | grep -v '^PWD=\\|^_=\\|^SHLVL=\\|^OLDPWD=' | sort; grep -E '^Sig(Blk|Ign)' /proc/self/status | sed 's/:.*\\(....\\)$/:\\1/'",
			     NULL, &out, 4096, 10000, &err), 0);
	ck_assert_str_eq(out.p, "LC_ALL=C\nPATH=/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin\n"
				"SigBlk:0000\nSigIgn:0000\n");
	kwgi_buf_free(&out);
	ck_assert_int_ge(dup2(0, 77), 0);
	ck_assert_int_eq(run("exec ls /proc/self/fd", NULL, &out, 4096, 10000, &err), 0);
	/* 3 is the folder itself. */
	ck_assert_str_eq(out.p, "0\n1\n2\n3\n");
	kwgi_buf_free(&out);
	close(77);
}
END_TEST

/* What a terminal sends to our process group is not for them. */
START_TEST(session)
{
	struct kwgi_buf out = { 0 };
	struct kwg_error err;
	int group, sid;

	ck_assert_int_eq(run("exec cut -d ' ' -f 5,6 /proc/self/stat", NULL, &out, 100, 10000, &err), 0);
	ck_assert_int_eq(sscanf(out.p, "%d %d", &group, &sid), 2);
	ck_assert_int_ne(group, getpgrp());
	ck_assert_int_ne(sid, getsid(0));
	kwgi_buf_free(&out);
}
END_TEST

/* Standard error that nobody reads is not that of this process. */
START_TEST(silent)
{
	static const char *const argv[] = { "/bin/sh", "-c", "[ /dev/null -ef /proc/self/fd/2 ]", NULL };
	const struct kwgi_spawn s = { .argv = argv, .in = -1, .out = -1, .err = -1 };
	pid_t pid;

	ck_assert_int_eq(kwgi_spawn(&pid, &s), 0);
	ck_assert_int_eq(kwgi_spawn_reap(pid), 0);
}
END_TEST

static bool has_asked;

static bool ask(void *arg)
{
	ck_assert_ptr_eq(arg, &has_asked);
	has_asked = true;
	return true;
}

/* Waiting can be given up, and what was started goes together with its children. */
START_TEST(stopping)
{
	static const char *const argv[] = { "/bin/sh", "-c", "sleep 60 & echo $!; wait", NULL };
	const struct kwgi_stop stop = { .asked = ask, .arg = &has_asked }, never = { .asked = NULL };
	int64_t start = kwgi_monotonic_ms();
	struct kwgi_spawn s = { .argv = argv, .in = -1, .err = -1 };
	char text[32] = "";
	int out[2];
	pid_t pid;

	ck_assert_int_eq(pipe(out), 0);
	s.out = out[1];
	ck_assert_int_eq(kwgi_spawn(&pid, &s), 0);
	close(out[1]);
	ck_assert_int_gt(read(out[0], text, sizeof(text) - 1), 0);
	ck_assert(!kwgi_spawn_wait(pid, start + 300, &never));
	ck_assert_int_ge(kwgi_monotonic_ms() - start, 300);
	ck_assert(!kwgi_spawn_wait(pid, start + 60000, &stop));
	ck_assert(has_asked);
	ck_assert_int_lt(kwgi_monotonic_ms() - start, 30000);
	kwgi_spawn_kill(pid);
	ck_assert_int_eq(kwgi_spawn_reap(pid), 128 + SIGKILL);
	/* The end of the pipe comes when its last writer has gone. */
	ck_assert_int_eq(read(out[0], text, 1), 0);
	ck_assert_int_lt(kwgi_monotonic_ms() - start, 30000);
	close(out[0]);
}
END_TEST

START_TEST(finding)
{
	char path[KWGI_PROGRAM_PATH_MAX];

	setenv("PATH", "/nowhere", 1);
	ck_assert(kwgi_program_find(path, "cat"));
	ck_assert_msg(!strcmp(path, "/usr/bin/cat") || !strcmp(path, "/bin/cat"), "%s", path);
	ck_assert(!kwgi_program_find(path, "no-such-program-anywhere"));
	ck_assert(!kwgi_program_find(path, "a-name-that-is-longer-than-any-that-is-ever-looked-for-by-anybody"));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, output);
	tcase_add_test(tc, much);
	tcase_add_test(tc, failures);
	tcase_add_test(tc, deadline);
	tcase_add_test(tc, surroundings);
	tcase_add_test(tc, session);
	tcase_add_test(tc, silent);
	tcase_add_test(tc, stopping);
	tcase_add_test(tc, finding);
}

int main(void)
{
	return unit_run("spawn", add);
}
