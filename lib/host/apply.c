/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "host/apply.h"
#include "host/cni.h"
#include "host/ipt.h"
#include "host/nft.h"
#include "host/rtnl.h"
#include "host/uapi.h"
#include "host/wake.h"
#include "host/wg_genl.h"
#include "steps/steps.h"

int kwgi_live_open(struct kwgi_live *live, struct kwg_error *err)
{
	int ret = kwgi_nl_open(&live->nl, NETLINK_ROUTE, err);

	live->nl_open = !ret;
	return ret;
}

static void close_wg(struct kwgi_live *live)
{
	if (live->wg_open)
		kwgi_wg_close(&live->wg);
	live->wg_open = false;
}

void kwgi_live_forget_wg(struct kwgi_live *live)
{
	close_wg(live);
}

void kwgi_live_close(struct kwgi_live *live)
{
	close_wg(live);
	if (live->nl_open)
		kwgi_nl_close(&live->nl);
	live->nl_open = false;
}

/* What has this name now, while steps are carried out or undone? */
static bool is_in_kernel(const struct kwgi_live *live, const char *ifname,
			 const struct kwgi_host *h)
{
	uint32_t i;

	if (!strcmp(live->made, ifname))
		return !live->made_userspace;
	for (i = 0; i < h->n_links; i++)
		if (!strcmp(h->links[i].name, ifname))
			return !strcmp(h->links[i].kind, "wireguard");
	return true;
}

static int open_wg(struct kwgi_live *live, const char *ifname, const struct kwgi_host *h,
		   struct kwg_error *err)
{
	int ret;

	if (live->wg_open && !strcmp(live->wg.ifname, ifname))
		return 0;
	close_wg(live);
	/* Which of them the link says, not the socket: those are shared by all network namespaces. */
	if (is_in_kernel(live, ifname, h))
		ret = kwgi_wg_genl_open(&live->wg, ifname, err);
	else
		ret = kwgi_uapi_open(&live->wg, ifname, err);
	live->wg_open = !ret;
	return ret;
}

static int get_wg(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
		  struct kwgi_host_wg *wg, struct kwg_error *err)
{
	int ret = open_wg(live, ifname, h, err);

	return ret ? ret : live->wg.ops->get(&live->wg, &h->arena, wg, err);
}

int kwgi_live_observe_old(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			  struct kwg_error *err)
{
	int ret = get_wg(live, ifname, h, &h->old_wg, err);

	if (!ret)
		memcpy(h->old_ifname, ifname, strlen(ifname) + 1);
	return ret;
}

int kwgi_live_observe_aside(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			    struct kwg_error *err)
{
	int ret = get_wg(live, ifname, h, &h->aside_wg, err);

	close_wg(live);
	return ret;
}

int kwgi_live_observe(struct kwgi_live *live, uint8_t protocol, struct kwgi_host *h,
		      struct kwg_error *err)
{
	int ret = kwgi_rtnl_observe(&live->nl, protocol, h, err);

	if (!ret)
		ret = kwgi_nft_observe(h, err);
	if (!ret && live->launch.dir)
		kwgi_daemon_noted(&live->launch, h->starting);
	return ret;
}

int kwgi_live_observe_wg(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			 struct kwg_error *err)
{
	return kwgi_host_link(h, ifname) ? get_wg(live, ifname, h, &h->wg, err) : 0;
}

static bool is_wireguard_step(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_WG_DEVICE || s->kind == KWGI_STEP_PEER_SET ||
	       s->kind == KWGI_STEP_PEER_DEL;
}

/* ---- links with a daemon ---------------------------------------------- */

/* socket: the name that the daemon goes by. */
static int delete_link(struct kwgi_live *live, const char *name, const char *socket,
		       struct kwg_error *err)
{
	const struct kwgi_step del = { .kind = KWGI_STEP_LINK_DEL, .link = name };
	struct kwgi_owner owner;
	int ret;

	kwgi_daemon_find(&live->launch, name, socket, &owner);
	ret = kwgi_rtnl_step(&live->nl, &del, false, err);
	/* Its daemon ends now; until then it holds its port, and the name of its socket. */
	if (!ret)
		kwgi_daemon_end(socket, &owner);
	kwgi_owner_close(&owner);
	return ret;
}

static int start_daemon(struct kwgi_live *live, const char *name, const char *alias,
			struct kwg_error *err)
{
	const struct kwgi_step mark = { .kind = KWGI_STEP_LINK_ALIAS, .link = name,
					.u.link_alias = { .alias = alias } };
	int ret = kwgi_daemon_note(&live->launch, name, err);

	if (ret)
		return ret;
	ret = kwgi_daemon_start(&live->launch, name, err);
	if (!ret)
		ret = kwgi_rtnl_step(&live->nl, &mark, false, err);
	/* What it has made goes; a link that somebody else made meanwhile has no daemon of ours. */
	if (ret && kwgi_uapi_answers(name))
		(void)delete_link(live, name, name, NULL);
	kwgi_daemon_forget(&live->launch);
	return ret;
}

/* Steps that make or delete a link behind which there is, or will be, a daemon. */
static bool is_daemon_step(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_LINK_DAEMON ||
	       (s->kind == KWGI_STEP_LINK_DEL && s->u.link_alias.kind &&
		!strcmp(s->u.link_alias.kind, "tun"));
}

static int run_daemon_step(struct kwgi_live *live, const struct kwgi_step *s, bool undo,
			   struct kwg_error *err)
{
	bool start = (s->kind == KWGI_STEP_LINK_DAEMON) != undo;
	const char *alias = s->kind == KWGI_STEP_LINK_DAEMON ? s->u.link_alias.alias
							     : s->u.link_alias.old_alias;
	const char *socket = s->kind == KWGI_STEP_LINK_DEL && s->label ? s->label : s->link;

	return start ? start_daemon(live, s->link, alias, err)
		     : delete_link(live, s->link, socket, err);
}

/* Steps after which a name may stand for another link than before. */
static int run_link_step(struct kwgi_live *live, const struct kwgi_step *s, bool undo,
			 struct kwg_error *err)
{
	bool makes = s->kind == KWGI_STEP_LINK_ADD || s->kind == KWGI_STEP_LINK_DAEMON;
	int ret;

	close_wg(live);
	ret = is_daemon_step(s) ? run_daemon_step(live, s, undo, err)
				: kwgi_rtnl_step(&live->nl, s, undo, err);
	if (ret || !makes)
		return ret;
	live->made_userspace = s->kind == KWGI_STEP_LINK_DAEMON;
	snprintf(live->made, sizeof(live->made), "%s", undo ? "" : s->link);
	return 0;
}

static int run_step(struct kwgi_live *live, const struct kwgi_host *h, const struct kwgi_step *s,
		    bool undo, struct kwg_error *err)
{
	int ret;

	if (s->kind == KWGI_STEP_LINK_WAIT)
		return undo ? 0 : kwgi_fail(err, KWG_ERR_KERNEL, 0,
					    "%s: the interface has gone; create-interface = no says that somebody else makes it",
					    s->link);
	if (s->kind == KWGI_STEP_FIREWALL)
		return kwgi_nft_step(s, undo, err);
	if (s->kind == KWGI_STEP_CNI)
		return kwgi_cni_step(s, undo, err);
	if (s->kind == KWGI_STEP_IPTABLES)
		return kwgi_ipt_step(s, undo, err);
	if (s->kind == KWGI_STEP_LINK_ADD || s->kind == KWGI_STEP_LINK_DAEMON ||
	    s->kind == KWGI_STEP_LINK_DEL || s->kind == KWGI_STEP_LINK_NAME)
		return run_link_step(live, s, undo, err);
	if (!is_wireguard_step(s))
		return kwgi_rtnl_step(&live->nl, s, undo, err);
	ret = open_wg(live, s->link, h, err);
	return ret ? ret : kwgi_wg_step(&live->wg, s, undo, err);
}

/* The failed step's own words, with the step in front of them. */
static void name_step(const struct kwgi_steps *s, uint32_t i, struct kwg_error *err)
{
	struct kwgi_buf line = { 0 };
	char reason[sizeof(err->text)];

	if (!err)
		return;
	memcpy(reason, err->text, sizeof(reason));
	kwgi_step_format(&line, &s->v[i], s->host, false);
	snprintf(err->text, sizeof(err->text), "step %u of %u (%.220s): %.250s", i + 1, s->n,
		 line.p ? line.p : "?", reason);
	kwgi_buf_free(&line);
}

static void undo_steps(struct kwgi_live *live, const struct kwgi_steps *s, uint32_t done,
		       kwg_log_fn *log, void *log_arg)
{
	struct kwg_error err = { 0 };
	uint32_t i;

	/* Whatever has to be waited for now. */
	live->launch.stop = (struct kwgi_stop){ 0 };
	for (i = done; i-- > 0;)
		if (run_step(live, s->host, &s->v[i], true, &err) && log)
			log(log_arg, KWG_WARNING, err.text);
}

int kwgi_live_run(struct kwgi_live *live, const struct kwgi_steps *s, kwg_log_fn *log,
		  void *log_arg, struct kwg_error *err)
{
	uint32_t i;
	int ret;

	for (i = 0; i < s->n; i++) {
		ret = run_step(live, s->host, &s->v[i], false, err);
		if (!ret)
			continue;
		name_step(s, i, err);
		/* A WireGuard step may have been carried out in part: undo it, too. */
		undo_steps(live, s, is_wireguard_step(&s->v[i]) ? i + 1 : i, log, log_arg);
		return ret;
	}
	ret = kwgi_wake(s, err);
	if (ret)
		undo_steps(live, s, s->n, log, log_arg);
	return ret;
}
