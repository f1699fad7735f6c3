/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Two questions to the kernel. Both make it load the module where there is one
 * (net/netlink/genetlink.c, ctrl_getfamily; net/core/rtnetlink.c, rtnl_newlink),
 * so they are right for built-in modules and for those not loaded yet.
 *
 * The link is asked for with no transmit queue at all. The kernel looks up the
 * kind first and answers EOPNOTSUPP if it has none; then rtnl_create_link()
 * refuses the number of queues with EINVAL, before anything exists that others
 * could see. A kernel that looked at the number first would say EINVAL to any
 * kind, so a kind that nobody has is asked for, too.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "config/json.h"
#include "host/detect.h"
#include "host/wg_genl.h"
#include "sys/mnl.h"

/* ---- the kernel ------------------------------------------------------ */

/* The error with which a link of this kind and without queues is refused. */
static int refusal(struct kwgi_nl *nl, const char *kind)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct kwg_error own = { 0 };
	struct nlattr *info;

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(nlh, IFLA_NUM_TX_QUEUES, 0);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	mnl_attr_nest_end(nlh, info);
	return kwgi_nl_request(nl, nlh, "asking for a link", &own) ? own.sys_errno : 0;
}

static enum kwgi_answer ask_link(struct kwgi_nl *nl)
{
	switch (refusal(nl, "wireguard")) {
	case EPERM:
	case EACCES:
		return KWGI_ANSWER_DENIED;
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
	case ENOSYS:
		return KWGI_ANSWER_NO;
	case EINVAL:
		return refusal(nl, "kwg-none") == EOPNOTSUPP ? KWGI_ANSWER_YES
							     : KWGI_ANSWER_UNCLEAR;
	}
	return KWGI_ANSWER_UNCLEAR;
}

static int ask_kernel(struct kwgi_detection *d, struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	struct kwgi_nl nl = { 0 };
	bool has = false;
	int ret = kwgi_nl_open(&nl, NETLINK_ROUTE, err);

	if (ret)
		return ret;
	/* Some sandboxes have no generic netlink, which only means no WireGuard. */
	ret = kwgi_wg_genl_has(&has, &own);
	d->genl = ret ? KWGI_ANSWER_UNCLEAR : has ? KWGI_ANSWER_YES : KWGI_ANSWER_NO;
	d->link = ask_link(&nl);
	kwgi_nl_close(&nl);
	return 0;
}

/* ---- files ----------------------------------------------------------- */

enum { LINE = 4096, PATH = 512 };

static bool is_loaded(const char *line)
{
	return !strncmp(line, "wireguard ", 10);
}

/* "kernel/drivers/net/wireguard/wireguard.ko", with or without ".xz" and the like. */
static bool is_module(const char *line)
{
	static const char file[] = "wireguard.ko";
	size_t len = strcspn(line, ":\n");
	const char *p = line, *slash;

	while ((slash = memchr(p, '/', len - (size_t)(p - line))))
		p = slash + 1;
	if ((size_t)(line + len - p) < sizeof(file) - 1 || strncmp(p, file, sizeof(file) - 1))
		return false;
	p += sizeof(file) - 1;
	return p == line + len || *p == '.';
}

static bool any_line(const char *path, bool (*fits)(const char *line))
{
	FILE *f = fopen(path, "re");
	char line[LINE];
	bool begins = true, found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		found = begins && fits(line);
		/* Lines of modules.dep can be long; only the beginning counts. */
		begins = strchr(line, '\n') != NULL;
	}
	fclose(f);
	return found;
}

static bool any_list(const char *root, const char *release, const char *name)
{
	static const char *const dirs[] = { "/lib/modules", "/usr/lib/modules" };
	char path[PATH];
	size_t i;
	int n;

	for (i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		n = snprintf(path, sizeof(path), "%s%s/%s/%s", root, dirs[i], release, name);
		if (n > 0 && n < PATH && any_line(path, is_module))
			return true;
	}
	return false;
}

void kwgi_detect_hints(struct kwgi_module_hints *h, const char *root, const char *release)
{
	char path[PATH];
	int n = snprintf(path, sizeof(path), "%s/proc/modules", root);

	h->loaded = n > 0 && n < PATH && any_line(path, is_loaded);
	h->builtin = any_list(root, release, "modules.builtin");
	h->loadable = any_list(root, release, "modules.dep");
}

int kwgi_detect(struct kwgi_detection *d, struct kwg_error *err)
{
	struct utsname u;
	int ret;

	*d = (struct kwgi_detection){ .genl = KWGI_ANSWER_NO };
	ret = ask_kernel(d, err);
	if (!ret && !uname(&u))
		kwgi_detect_hints(&d->hints, "", u.release);
	return ret;
}

bool kwgi_detection_has(const struct kwgi_detection *d)
{
	return d->genl == KWGI_ANSWER_YES || d->link == KWGI_ANSWER_YES;
}

/* ---- text ------------------------------------------------------------ */

static const char *const answer_names[] = { "no", "yes", "denied", "unclear" };

static const char *yes_no(bool v)
{
	return v ? "yes" : "no";
}

void kwgi_detection_text(const struct kwgi_detection *d, struct kwgi_buf *b)
{
	kwgi_buf_printf(b, "kernel WireGuard: %s\n", yes_no(kwgi_detection_has(d)));
	kwgi_buf_printf(b, "generic netlink: %s\n", answer_names[d->genl]);
	kwgi_buf_printf(b, "link: %s%s\n", answer_names[d->link],
			d->link == KWGI_ANSWER_DENIED ? " (needs CAP_NET_ADMIN)" : "");
	kwgi_buf_printf(b, "module loaded: %s\nmodule built in: %s\nmodule loadable: %s\n",
			yes_no(d->hints.loaded), yes_no(d->hints.builtin),
			yes_no(d->hints.loadable));
}

void kwgi_detection_json(const struct kwgi_detection *d, struct kwgi_buf *b)
{
	struct kwgi_json json = { .b = b }, *j = &json;

	kwgi_json_object(j, NULL);
	kwgi_json_string(j, "generic_netlink", answer_names[d->genl]);
	kwgi_json_bool(j, "kernel_wireguard", kwgi_detection_has(d));
	kwgi_json_string(j, "link", answer_names[d->link]);
	kwgi_json_object(j, "module");
	kwgi_json_bool(j, "builtin", d->hints.builtin);
	kwgi_json_bool(j, "loadable", d->hints.loadable);
	kwgi_json_bool(j, "loaded", d->hints.loaded);
	kwgi_json_end_object(j);
	kwgi_json_bool(j, "privileged", d->link != KWGI_ANSWER_DENIED);
	kwgi_json_uint(j, "schema", 1);
	kwgi_json_end_object(j);
}
