/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "host/apply.h"
#include "host/around.h"
#include "host/checks.h"
#include "host/cni.h"
#include "host/ipt.h"
#include "host/journal.h"
#include "host/nft.h"
#include "host/rtnl.h"
#include "host/uapi.h"
#include "host/wake.h"
#include "host/wg_genl.h"
#include "steps/mark.h"
#include "steps/restore.h"
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

/* What is there the link says, not the socket: those are shared by all network namespaces. */
static int open_wg(struct kwgi_live *live, const char *ifname, bool userspace,
		   struct kwg_error *err)
{
	int ret;

	if (live->wg_open && live->wg_userspace == userspace && !strcmp(live->wg.ifname, ifname))
		return 0;
	close_wg(live);
	ret = userspace ? kwgi_uapi_open(&live->wg, ifname, err)
			: kwgi_wg_genl_open(&live->wg, ifname, err);
	live->wg_open = !ret;
	live->wg_userspace = userspace;
	return ret;
}

static int get_wg(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
		  struct kwgi_host_wg *wg, struct kwg_error *err)
{
	const struct kwgi_link *l = kwgi_host_link_named(h, ifname);
	int ret = open_wg(live, ifname, l && strcmp(l->kind, "wireguard"), err);

	return ret ? ret : live->wg.ops->get(&live->wg, &h->arena, wg, err);
}

int kwgi_live_observe_old(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			  struct kwg_error *err)
{
	struct kwgi_old_device *old;
	int ret;

	if (kwgi_arena_grow(&h->arena, &h->old_devices, h->n_old_devices, &h->old_devices_cap,
			    sizeof(*h->old_devices)))
		return kwgi_nomem(err);
	old = &h->old_devices[h->n_old_devices];
	memset(old, 0, sizeof(*old));
	ret = get_wg(live, ifname, h, &old->wg, err);
	if (ret)
		return ret;
	memcpy(old->ifname, ifname, strlen(ifname) + 1);
	h->n_old_devices++;
	return 0;
}

int kwgi_live_observe_aside(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			    struct kwg_error *err)
{
	int ret = get_wg(live, ifname, h, &h->aside_wg, err);

	close_wg(live);
	return ret;
}

/* Marks name a number, too: of what an earlier kilowg made, or when the journal was removed. */
static void learn_protocols(struct kwgi_host *h)
{
	uint32_t i, number;

	for (i = 0; i < h->n_tables; i++) {
		number = kwgi_mark_number(h->tables[i].mark, " protocol=");
		if (number < 256 && kwgi_mark_is_ours(h->tables[i].mark, &h->owner))
			h->journal.protocols[number] = true;
	}
	h->journal.protocols[0] = false;
}

int kwgi_live_observe(struct kwgi_live *live, uint8_t protocol, struct kwgi_host *h,
		      struct kwg_error *err)
{
	int i, ret = 0;

	kwgi_checks_observe(&h->checks);
	h->owner.mesh = live->mesh->name;
	if (live->dir)
		ret = kwgi_journal_read(h, live->dir, live->mesh, err);
	if (!ret)
		ret = kwgi_nft_observe(h, err);
	if (ret)
		return ret;
	learn_protocols(h);
	/* As if they were not there: who needs them now has to remove them later. */
	for (i = 0; i < 2; i++)
		h->nft_bases[i] &= (uint16_t)~h->journal.bases[i];
	return kwgi_rtnl_observe(&live->nl, protocol, h, err);
}

/* Neither the kernel's WireGuard nor a daemon's is of another kind. */
static bool may_be_wireguard(const struct kwgi_link *l)
{
	return !strcmp(l->kind, "wireguard") || !strcmp(l->kind, "tun");
}

int kwgi_live_observe_wg(struct kwgi_live *live, const char *ifname, struct kwgi_host *h,
			 struct kwg_error *err)
{
	const struct kwgi_link *l = kwgi_host_link(h, ifname);

	if (l && !may_be_wireguard(l))
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "%s: a foreign interface has this name, %s%s, and no WireGuard; remove or rename it, or give another interface name",
				 ifname, *l->kind ? "of kind " : "a piece of hardware", l->kind);
	return l ? get_wg(live, ifname, h, &h->wg, err) : 0;
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
	struct kwgi_process process;
	int ret;

	kwgi_daemon_find(&live->launch, name, socket, &process);
	ret = kwgi_rtnl_step(&live->nl, &del, false, err);
	/* Its daemon ends now; until then it holds its port, and the name of its socket. */
	if (!ret)
		kwgi_daemon_end(socket, &process);
	kwgi_process_close(&process);
	return ret;
}

static int start_daemon(struct kwgi_live *live, const char *name, const char *alias,
			struct kwg_error *err)
{
	const struct kwgi_step mark = { .kind = KWGI_STEP_LINK_ALIAS, .link = name,
					.u.link_alias = { .alias = alias } };
	int ret = kwgi_daemon_start(&live->launch, name, err);

	if (!ret)
		ret = kwgi_rtnl_step(&live->nl, &mark, false, err);
	/* What it has made goes; a link that somebody else made meanwhile has no daemon of ours. */
	if (ret && kwgi_uapi_answers(name))
		(void)delete_link(live, name, name, NULL);
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

/* After these steps a name may stand for another link than before. */
static int run_link_step(struct kwgi_live *live, const struct kwgi_step *s, bool undo,
			 struct kwg_error *err)
{
	close_wg(live);
	if (is_daemon_step(s))
		return run_daemon_step(live, s, undo, err);
	return kwgi_rtnl_step(&live->nl, s, undo, err);
}

/* "Address already in use" says neither which port it is nor who has it. */
static void name_holder(uint16_t port, struct kwg_error *err)
{
	struct kwgi_around a = { 0 };
	struct kwgi_buf who = { 0 };

	if (!err || err->sys_errno != EADDRINUSE || !port)
		return;
	kwgi_around_port(&a, port);
	if (a.port_held)
		kwgi_around_put_holder(&who, &a);
	kwgi_fail(err, KWG_ERR_KERNEL, EADDRINUSE, "UDP port %u is in use%s%s", port,
		  who.p ? ", by " : "", who.p ? who.p : "");
	kwgi_buf_free(&who);
}

static uint16_t port_of(const struct kwgi_step *s, bool undo)
{
	if (s->kind == KWGI_STEP_LINK_UP)
		return s->u.wg.conf.port;
	if (s->kind == KWGI_STEP_WG_DEVICE && s->parts & KWGI_WG_PORT)
		return undo ? s->u.wg.old.port : s->u.wg.conf.port;
	return 0;
}

/*
 * The kernel refuses to bring up a link whose port somebody else has. That of a daemon comes up
 * all the same; asked for the port again, the daemon has to say whether it could get it.
 */
static int set_up(struct kwgi_live *live, const struct kwgi_step *s, bool undo,
		  struct kwg_error *err)
{
	int ret = kwgi_rtnl_step(&live->nl, s, undo, err);

	if (ret || undo || !s->userspace || !s->u.wg.conf.port)
		return ret;
	ret = open_wg(live, s->link, true, err);
	return ret ? ret : live->wg.ops->set_device(&live->wg, KWGI_WG_PORT, &s->u.wg.conf, err);
}

static int run_known_step(struct kwgi_live *live, const struct kwgi_step *s, bool undo,
		    struct kwg_error *err)
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
	if (s->kind == KWGI_STEP_VALID_MARK)
		return kwgi_checks_step(s, undo, err);
	if (s->kind == KWGI_STEP_LINK_ADD || s->kind == KWGI_STEP_LINK_DAEMON ||
	    s->kind == KWGI_STEP_LINK_DEL || s->kind == KWGI_STEP_LINK_NAME)
		return run_link_step(live, s, undo, err);
	if (s->kind == KWGI_STEP_LINK_UP)
		return set_up(live, s, undo, err);
	if (!is_wireguard_step(s))
		return kwgi_rtnl_step(&live->nl, s, undo, err);
	ret = open_wg(live, s->link, s->userspace, err);
	return ret ? ret : kwgi_wg_step(&live->wg, s, undo, err);
}

static int run_step(struct kwgi_live *live, const struct kwgi_step *s, bool undo,
		    struct kwg_error *err)
{
	int ret = run_known_step(live, s, undo, err);

	if (ret)
		name_holder(port_of(s, undo), err);
	return ret;
}

/* The failed step's own words, with the step in front of them. */
static void name_step(const struct kwgi_steps *s, uint32_t i, struct kwg_error *err)
{
	struct kwgi_buf line = { 0 };
	char reason[sizeof(err->text)];

	if (!err)
		return;
	err->step = i + 1;
	memcpy(reason, err->text, sizeof(reason));
	kwgi_step_format(&line, &s->v[i], s->host, false);
	snprintf(err->text, sizeof(err->text), "step %u of %u (%.220s): %.250s", i + 1, s->n,
		 line.p ? line.p : "?", reason);
	kwgi_buf_free(&line);
}

/* Is what the step is about looked at again after undoing? Then only what stays so is told. */
static bool is_restored(const struct kwgi_step *s)
{
	return s->kind == KWGI_STEP_ADDR_ADD || s->kind == KWGI_STEP_ADDR_DEL ||
	       s->kind == KWGI_STEP_NEIGH_SET || s->kind == KWGI_STEP_NEIGH_DEL ||
	       s->kind == KWGI_STEP_RULE_ADD || s->kind == KWGI_STEP_RULE_DEL ||
	       s->kind == KWGI_STEP_ROUTE_ADD || s->kind == KWGI_STEP_ROUTE_CHANGE ||
	       s->kind == KWGI_STEP_ROUTE_DEL;
}

static void undo_steps(struct kwgi_live *live, const struct kwgi_steps *s, uint32_t done,
		       kwg_log_fn *log, void *log_arg)
{
	struct kwg_error err = { 0 };
	uint32_t i;

	/* Whatever has to be waited for now. */
	live->launch.stop = (struct kwgi_stop){ 0 };
	for (i = done; i-- > 0;)
		if (run_step(live, &s->v[i], true, &err) && log && !is_restored(&s->v[i]))
			log(log_arg, KWG_WARNING, err.text);
}

/*
 * Undone steps do not bring back what the kernel took along, and the order of the kernel's
 * conditions may be another one backwards: so the host is looked at, and what is missing made.
 */
static void restore(struct kwgi_live *live, const struct kwgi_host *before, kwg_log_fn *log,
		    void *log_arg)
{
	struct kwgi_steps s = { 0 };
	struct kwgi_host now = { 0 };
	struct kwg_error err = { 0 };
	uint32_t i;
	int ret;

	now.interest = before->interest;
	now.owner = before->owner;
	now.journal = before->journal;
	ret = kwgi_rtnl_observe(&live->nl, before->protocol, &now, &err);
	if (!ret && kwgi_steps_restore(&s, &now, before))
		ret = kwgi_nomem(&err);
	if (ret && log)
		log(log_arg, KWG_WARNING, err.text);
	for (i = 0; !ret && i < s.n; i++)
		if (run_step(live, &s.v[i], false, &err) && log)
			log(log_arg, KWG_WARNING, err.text);
	kwgi_steps_clear(&s);
	kwgi_host_free(&now);
}

void kwgi_live_undo(struct kwgi_live *live, const struct kwgi_steps *s, kwg_log_fn *log,
		    void *log_arg)
{
	undo_steps(live, s, s->n, log, log_arg);
	restore(live, s->host, log, log_arg);
}

/*
 * May a step that failed have been carried out, in part or as a whole? A peer is several requests,
 * and so are the tables of iptables; and the kernel's answer may have been lost.
 */
static bool may_be_done(const struct kwgi_step *s, int ret)
{
	return ret == KWGI_IN_DOUBT || is_wireguard_step(s) || s->kind == KWGI_STEP_LINK_UP || s->kind == KWGI_STEP_IPTABLES;
}

/* It is somebody else's: no reason to give up. */
static int tell(kwg_log_fn *log, void *log_arg, const struct kwg_error *err)
{
	if (log && err)
		log(log_arg, KWG_WARNING, err->text);
	return 0;
}

/*
 * Reasons that are about this route alone: somebody has one of its destination and metric, of
 * whatever type, its family is disabled on the link, or its gateway or source cannot be used.
 */
static bool is_about_route(int sys_errno)
{
	return sys_errno == EEXIST || sys_errno == EACCES || sys_errno == EINVAL ||
	       sys_errno == ENETUNREACH || sys_errno == EHOSTUNREACH ||
	       sys_errno == EADDRNOTAVAIL || sys_errno == EAFNOSUPPORT ||
	       sys_errno == EOPNOTSUPP;
}

/* The route is left out then. The words after the last colon are the kernel's. */
static bool is_refused(struct kwgi_live *live, const struct kwgi_step *s, int ret,
		       const struct kwg_error *err)
{
	if (!live->refusals || ret != KWG_ERR_KERNEL || !err || !is_about_route(err->sys_errno) ||
	    (s->kind != KWGI_STEP_ROUTE_ADD && s->kind != KWGI_STEP_ROUTE_CHANGE))
		return false;
	return !kwgi_refusals_add(live->refusals, &s->u.route.route, err->text);
}

static int give_up(struct kwgi_live *live, const struct kwgi_steps *s, uint32_t done, int ret,
		   kwg_log_fn *log, void *log_arg)
{
	undo_steps(live, s, done, log, log_arg);
	restore(live, s->host, log, log_arg);
	return ret == KWGI_IN_DOUBT ? KWG_ERR_KERNEL : ret;
}

/*
 * Steps about peers of a daemon, with one request. Returns how many; 0: one by one, so that it is
 * known which of them fails. Each may be carried out twice.
 */
static uint32_t run_together(struct kwgi_live *live, const struct kwgi_steps *s, uint32_t from,
			     uint32_t to)
{
	uint32_t n = kwgi_wg_together(&s->v[from], to - from);

	if (n < 2 || open_wg(live, s->v[from].link, s->v[from].userspace, NULL) ||
	    !live->wg.ops->peers || live->wg.ops->peers(&live->wg, &s->v[from], n, NULL))
		return 0;
	return n;
}

static void tell_progress(const struct kwgi_live *live, uint32_t i, uint32_t n)
{
	char what[48];

	if (!live->progress)
		return;
	snprintf(what, sizeof(what), "step %u of %u", i + 1, n);
	live->progress(live->progress_arg, what, i + 1, n);
}

static int run_steps(struct kwgi_live *live, const struct kwgi_steps *s, uint32_t from, uint32_t to,
		     kwg_log_fn *log, void *log_arg, struct kwg_error *err)
{
	uint32_t i, n, one_by_one = from;
	int ret;

	for (i = from; i < to; i++) {
		if (kwgi_stop_cancelled(&live->launch.stop)) {
			ret = kwgi_stop_fail(&live->launch.stop, err, "step %u of %u", i + 1, s->n);
			return give_up(live, s, i, ret, log, log_arg);
		}
		tell_progress(live, i, s->n);
		n = i < one_by_one ? 0 : run_together(live, s, i, to);
		if (n) {
			i += n - 1;
			continue;
		}
		if (i >= one_by_one)
			one_by_one = i + kwgi_wg_together(&s->v[i], to - i);
		ret = run_step(live, &s->v[i], false, err);
		if (ret && s->v[i].kind == KWGI_STEP_ROUTE_AGAIN)
			ret = tell(log, log_arg, err);
		if (!ret || is_refused(live, &s->v[i], ret, err))
			continue;
		name_step(s, i, err);
		return give_up(live, s, may_be_done(&s->v[i], ret) ? i + 1 : i, ret, log, log_arg);
	}
	return 0;
}

int kwgi_live_run(struct kwgi_live *live, const struct kwgi_steps *s, kwg_log_fn *log,
		  void *log_arg, struct kwg_error *err)
{
	uint32_t last = s->n;
	int ret;

	/* What cannot be undone comes after all that can fail. */
	while (last && kwgi_step_is_final(&s->v[last - 1]))
		last--;
	ret = run_steps(live, s, 0, last, log, log_arg, err);
	if (ret)
		return ret;
	ret = kwgi_wake(s, err);
	if (ret)
		return give_up(live, s, last, ret, log, log_arg);
	return run_steps(live, s, last, s->n, log, log_arg, err);
}
