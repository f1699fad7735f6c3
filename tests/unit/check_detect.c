/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What the files of modules suggest, and whose word counts. */
#include <sys/stat.h>
#include <unistd.h>

#include "host/detect.h"
#include "unit.h"

static const struct {
	const char *proc, *builtin, *dep;	/* contents, NULL: no such file */
	bool loaded, is_builtin, loadable;
} cases[] = {
	{ NULL, NULL, NULL, false, false, false },
	{ "", "", "", false, false, false },
	{ "ip6_udp_tunnel 16384 1 wireguard, Live 0x0\nwireguard 98304 0 - Live 0x0\n", "", "",
	  true, false, false },
	/* a user of another module is no line of its own, nor is a longer name */
	{ "udp_tunnel 16384 1 wireguard, Live 0x0\nwireguard_x 1 0 - Live 0x0\n", "", "",
	  false, false, false },
	{ "", "kernel/net/ipv4/tunnel4.ko\nkernel/drivers/net/wireguard/wireguard.ko\n", "",
	  false, true, false },
	{ "", "", "kernel/drivers/net/wireguard/wireguard.ko.xz: kernel/lib/x.ko.xz\n",
	  false, false, true },
	{ "", "", "kernel/drivers/net/wireguard/wireguard.ko:\n", false, false, true },
	{ "", "", "wireguard.ko: x.ko\n", false, false, true },
	{ "", "", "updates/dkms/wireguard.ko.zst:", false, false, true },
	/* what depends on it is not it */
	{ "", "", "kernel/x.ko: kernel/drivers/net/wireguard/wireguard.ko\n", false, false, false },
	{ "", "", "kernel/notwireguard.ko:\nkernel/wireguard.kox:\nwireguard/x.ko:\n",
	  false, false, false },
};

static char root[64];

static void put(const char *name, const char *content)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	unlink(path);
	if (!content)
		return;
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void make_folders(void)
{
	static const char *const dirs[] = { "proc", "lib", "lib/modules", "lib/modules/6.1-x" };
	char path[256];
	size_t i;

	snprintf(root, sizeof(root), "/tmp/check_detect.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	for (i = 0; i < N_OF(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
}

static void remove_folders(void)
{
	static const char *const dirs[] = { "proc", "lib/modules/6.1-x", "lib/modules", "lib", "" };
	char path[256];
	size_t i;

	put("proc/modules", NULL);
	put("lib/modules/6.1-x/modules.builtin", NULL);
	put("lib/modules/6.1-x/modules.dep", NULL);
	for (i = 0; i < N_OF(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		ck_assert_int_eq(rmdir(path), 0);
	}
}

START_TEST(hints)
{
	struct kwgi_module_hints h;

	make_folders();
	put("proc/modules", cases[_i].proc);
	put("lib/modules/6.1-x/modules.builtin", cases[_i].builtin);
	put("lib/modules/6.1-x/modules.dep", cases[_i].dep);
	kwgi_detect_hints(&h, root, "6.1-x");
	ck_assert(h.loaded == cases[_i].loaded);
	ck_assert(h.builtin == cases[_i].is_builtin);
	ck_assert(h.loadable == cases[_i].loadable);
	kwgi_detect_hints(&h, root, "6.1-y");
	ck_assert(!h.builtin && !h.loadable);
	remove_folders();
}
END_TEST

/* Files never decide. */
START_TEST(whose_word_counts)
{
	struct kwgi_detection d = { .hints = { true, true, true } };
	int genl, link;

	for (genl = KWGI_ANSWER_NO; genl <= KWGI_ANSWER_UNCLEAR; genl++) {
		for (link = KWGI_ANSWER_NO; link <= KWGI_ANSWER_UNCLEAR; link++) {
			d.genl = (enum kwgi_answer)genl;
			d.link = (enum kwgi_answer)link;
			ck_assert(kwgi_detection_has(&d) ==
				  (genl == KWGI_ANSWER_YES || link == KWGI_ANSWER_YES));
		}
	}
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, hints, 0, N_OF(cases));
	tcase_add_test(tc, whose_word_counts);
}

int main(void)
{
	return unit_run("detect", add);
}
