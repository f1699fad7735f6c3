/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Which WireGuard is used, what stays until told, and what is said about it. */
#include "steps/backend.h"
#include "steps/desired.h"
#include "unit.h"

#define OURS "kilowg mesh=kilo protocol=107 port=51820"

enum { AUTO = KWGI_BACKEND_AUTO, KERNEL = KWGI_BACKEND_KERNEL,
       USER = KWGI_BACKEND_USERSPACE, EXTERNAL = KWGI_BACKEND_EXTERNAL };

/* kind NULL: no interface. The result: u userspace, x external, r replace, s could switch. */
static const struct {
	uint32_t backend;
	bool create, kernel_has;
	const char *kind, *alias;
	bool answers, told;
	const char *result, *reason;
} cases[] = {
	{ AUTO, true, true, NULL, "", false, false, "", "auto: the kernel has WireGuard" },
	{ AUTO, true, false, NULL, "", false, false, "u", "auto: the kernel has no WireGuard" },
	{ KERNEL, true, false, NULL, "", false, false, "", "backend = kernel" },
	{ USER, true, true, NULL, "", false, false, "u", "backend = userspace" },
	/* there already, and right */
	{ AUTO, true, true, "wireguard", OURS, false, false, "", "auto: the kernel has WireGuard" },
	{ AUTO, true, false, "tun", OURS, true, false, "u", "auto: the kernel has no WireGuard" },
	/* the daemon is dead, the interface is not */
	{ AUTO, true, false, "tun", OURS, false, false, "ur", "auto: the kernel has no WireGuard" },
	{ AUTO, true, true, "tun", OURS, false, false, "r", "auto: the kernel has WireGuard" },
	/* the kernel has got WireGuard meanwhile */
	{ AUTO, true, true, "tun", OURS, true, false, "us", "--switch-backend" },
	{ AUTO, true, true, "tun", OURS, true, true, "r", "auto: the kernel has WireGuard" },
	{ KERNEL, true, true, "tun", OURS, true, false, "us", "backend = kernel was set" },
	{ USER, true, true, "wireguard", OURS, false, false, "s", "backend = userspace was set" },
	{ USER, true, true, "wireguard", OURS, false, true, "ur", "backend = userspace" },
	/* of a start that was cut short */
	{ AUTO, true, false, "tun", "", true, false, "u", "auto: the kernel has no WireGuard" },
	{ AUTO, true, false, "tun", "", false, false, "ur", "auto: the kernel has no WireGuard" },
	/* of somebody else: never replaced */
	{ AUTO, true, false, "wireguard", "other", false, true, "u", "auto" },
	{ AUTO, true, true, "tun", "other", false, true, "", "auto" },
	{ AUTO, false, true, "tun", "", true, true, "ux", "somebody else" },
	{ EXTERNAL, true, true, "wireguard", "", false, true, "x", "somebody else" },
	{ AUTO, true, true, "tun", OURS " adopted", true, true, "ux", "somebody else" },
	{ AUTO, false, false, NULL, "", false, false, "x", "somebody else" },
};

START_TEST(choice)
{
	struct kwg_config cfg = { .mesh.name = "kilo", .local.interface = "kilo0" };
	struct kwgi_host h = { .owner.mesh = "kilo", .journal = { .making = { "kilo0" }, .n_making = 1 } };
	struct kwgi_backend_choice c;
	struct kwgi_link link = { .index = 5, .name = "kilo0" };
	char result[5] = "", *p = result;

	cfg.local.backend = cases[_i].backend;
	cfg.local.create_interface = cases[_i].create;
	if (cases[_i].kind) {
		strcpy(link.kind, cases[_i].kind);
		strcpy(link.alias, cases[_i].alias);
		h.links = &link;
		h.n_links = 1;
	}
	kwgi_backend_choose(&c, &cfg, &h, cases[_i].kernel_has, cases[_i].answers, cases[_i].told);
	if (c.userspace)
		*p++ = 'u';
	if (c.external)
		*p++ = 'x';
	if (c.replace)
		*p++ = 'r';
	if (c.could_switch)
		*p++ = 's';
	ck_assert_str_eq(result, cases[_i].result);
	/* Only what works is kept until its successor does. */
	ck_assert_int_eq(c.aside, c.replace && cases[_i].told && (cases[_i].answers || *cases[_i].kind == 'w'));
	ck_assert_ptr_nonnull(strstr(c.reason, cases[_i].reason));
}
END_TEST

static void add(TCase *t)
{
	tcase_add_loop_test(t, choice, 0, sizeof(cases) / sizeof(*cases));
}

int main(void)
{
	return unit_run("backend", add);
}
