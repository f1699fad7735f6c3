/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/dataplane_handover.h"
#include "userspace/dataplane_io.h"
#include "userspace/worker_in.h"

_Static_assert(sizeof(((struct kwgi_handover_plane *)0)->notify) >
	       sizeof(((struct sockaddr_un *)0)->sun_path), "each name fits");

/* ---- the successor ------------------------------------ */

static bool has_any(const struct kwgi_handover_fds *fds)
{
	struct kwgi_handover_fds none;

	kwgi_handover_fds_init(&none);
	return memcmp(fds, &none, sizeof(none));
}

int kwgi_inheritance_find(struct kwgi_inheritance *in, const struct kwg_userspace_options *o,
			  struct kwg_error *err)
{
	int ret = KWGI_HANDOVER_NOBODY;

	*in = (struct kwgi_inheritance){ .conn = -1, .state = KWGI_HANDOVER_STATE_NONE };
	kwgi_handover_fds_init(&in->fds);
	kwgi_handover_fds_kept(&in->fds, o->kept_fds, o->kept_names);
	in->kept = has_any(&in->fds);
	if (!in->kept && o->replace)
		ret = kwgi_handover_ask(o->socket_dir, o->ifname, &in->fds, &in->conn, err);
	if (ret < 0)
		return ret;
	in->any = in->kept || !ret;
	in->all = in->fds;
	return 0;
}

void kwgi_inheritance_end(struct kwgi_inheritance *in)
{
	kwgi_handover_state_close(&in->state);
	kwgi_handover_fds_close(&in->fds);
	if (in->conn >= 0)
		close(in->conn);
	in->conn = -1;
	in->any = false;
}

void kwgi_inheritance_refuse(struct kwgi_inheritance *in, const struct kwgi_notifier *n)
{
	kwgi_inheritance_end(in);
	kwgi_handover_forget(n, &in->all, true);
}

int kwgi_inheritance_load(struct kwgi_inheritance *in, struct kwgi_dataplane *p,
			  struct kwg_error *err)
{
	int fd = in->fds.state, ret;

	in->fds.state = -1;
	ret = kwgi_handover_state_open(&in->state, fd, err);
	if (!ret)
		ret = kwgi_handover_state_load(&in->state, &in->plane, p->device, err);
	if (ret)
		return ret;
	p->listen_at = in->plane.listen_at;
	p->listen_wait = in->plane.listen_wait;
	/* Its service manager is ours, unless we have one of our own. */
	if (p->notifier.fd < 0 && *in->plane.notify &&
	    !kwgi_notifier_open(&p->notifier, in->plane.notify)) {
		p->keeps = in->plane.keeps;
		p->ready_told = true;
		snprintf(p->notify_name, sizeof(p->notify_name), "%s", in->plane.notify);
	}
	return 0;
}

int kwgi_inheritance_tun(struct kwgi_inheritance *in, struct kwgi_dataplane *p,
			 const struct kwgi_tun_options *t, struct kwg_error *err)
{
	int *v = in->fds.tun, ret;
	uint32_t i;

	ret = kwgi_tun_adopt(&p->tun, v[0], t, err);
	if (ret)
		return ret;
	v[0] = -1;
	for (i = 1; !ret && i < in->plane.queues; i++) {
		ret = kwgi_tun_adopt_queue(&p->tun, v[i], err);
		if (!ret)
			v[i] = -1;
	}
	return ret;
}

int kwgi_inheritance_check_home(const struct kwgi_inheritance *in, const struct kwgi_dataplane *p,
				struct kwg_error *err)
{
	uint64_t dev, ino;

	kwgi_link_home(p->link, &dev, &ino);
	if (!ino || !in->plane.netns_ino ||
	    (dev == in->plane.netns_dev && ino == in->plane.netns_ino))
		return 0;
	return kwgi_fail(err, KWG_ERR_USAGE, 0,
			 "the running one was started in another network namespace; start its successor there, too");
}

int kwgi_inheritance_sockets(struct kwgi_inheritance *in, struct kwgi_dataplane *p,
			     struct kwg_error *err)
{
	const struct kwgi_udp_options o = {
		.fwmark = p->device->fwmark, .no_gso = p->no_gso, .no_gro = p->no_gro,
	};
	unsigned i;
	int ret = 0;

	/* Without sockets only while the interface is down. */
	if (in->fds.ip4[0] < 0 && !p->device->up)
		return 0;
	for (i = 0; !ret && i < p->n_workers; i++) {
		ret = kwgi_udp_adopt(&p->workers[i].udp, in->fds.ip4[i], in->fds.ip6[i], &o, err);
		if (!ret)
			in->fds.ip4[i] = in->fds.ip6[i] = -1;
	}
	return ret ? ret : kwgi_dataplane_watch_sockets(p, err);
}

int kwgi_inheritance_claim(struct kwgi_inheritance *in, struct kwgi_dataplane *p,
			   struct kwg_error *err)
{
	if (!kwgi_handover_state_claim(&in->state))
		return kwgi_fail(err, KWG_ERR_KERNEL, 0,
				 "it took too long: the running one goes on");
	p->borrowed = false;
	if (in->conn >= 0)
		kwgi_handover_claimed(in->conn);
	if (in->kept)
		kwgi_handover_forget(&p->notifier, &in->all, false);
	kwgi_uapi_server_is_ours(p->uapi);
	kwgi_inheritance_end(in);
	return 0;
}

/* ---- the predecessor ------------------------------------ */

/* A successor does not get the port before: what waits there is received here. Not without an end. */
static void drain(struct kwgi_dataplane *p)
{
	enum { TURNS = 1000 };
	unsigned i, n;
	bool any;

	for (i = 0; p->former_at && i < p->n_workers; i++) {
		for (n = 0, any = true; any && n < TURNS; n++) {
			any = kwgi_worker_read_former(&p->workers[i], 4);
			any |= kwgi_worker_read_former(&p->workers[i], 6);
		}
	}
}

static void describe(const struct kwgi_dataplane *p, struct kwgi_handover_plane *plane,
		     struct kwgi_handover_fds *fds)
{
	unsigned i;

	*plane = (struct kwgi_handover_plane){
		.listen_at = p->listen_at, .listen_wait = p->listen_wait, .queues = p->tun.queues,
		.keeps = p->keeps,
	};
	memcpy(plane->notify, p->notify_name, sizeof(plane->notify));
	kwgi_link_home(p->link, &plane->netns_dev, &plane->netns_ino);
	kwgi_handover_fds_init(fds);
	fds->listener = kwgi_uapi_server_listener(p->uapi, &plane->socket_dev, &plane->socket_ino);
	for (i = 0; i < p->n_workers; i++) {
		fds->tun[i] = p->tun.fd[i];
		fds->ip4[i] = p->workers[i].udp.fd4;
		fds->ip6[i] = p->workers[i].udp.fd6;
	}
}

/* Goes to the manager: which process is the service's from now on. */
static void name_successor(const struct kwgi_dataplane *p, int conn)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	char text[40];

	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &cred, &len) || cred.pid <= 0)
		return;
	snprintf(text, sizeof(text), "MAINPID=%d", (int)cred.pid);
	(void)kwgi_notifier_send(&p->notifier, text, -1);
}

bool kwgi_dataplane_give(struct kwgi_dataplane *p, int conn)
{
	struct kwgi_handover_state state = KWGI_HANDOVER_STATE_NONE;
	struct kwgi_handover_plane plane;
	struct kwgi_handover_fds fds;
	struct kwg_error err = { 0 };
	bool taken = false;
	int e;

	drain(p);
	describe(p, &plane, &fds);
	if (!kwgi_handover_state_make(&state, &plane, p->device, &err)) {
		fds.state = state.fd;
		e = kwgi_handover_answer(conn, &fds);
		if (!e)
			kwgi_handover_wait(conn);
		/* If it cannot be claimed back, the successor has it, or had it and has ended. */
		taken = !kwgi_handover_state_claim(&state);
		if (e)
			kwgi_fail(&err, KWG_ERR_KERNEL, e, "%s", kwgi_errtext(e));
		else if (!taken)
			kwgi_fail(&err, KWG_ERR_KERNEL, 0, "the successor has failed");
	}
	if (taken)
		name_successor(p, conn);
	else
		kwgi_dataplane_say(p, true, "nothing was handed over: %s", err.text);
	kwgi_handover_state_close(&state);
	close(conn);
	return taken;
}

bool kwgi_dataplane_keep(struct kwgi_dataplane *p)
{
	struct kwgi_handover_state state = KWGI_HANDOVER_STATE_NONE;
	struct kwgi_handover_plane plane;
	struct kwgi_handover_fds fds;
	struct kwg_error err = { 0 };
	int e;

	drain(p);
	describe(p, &plane, &fds);
	/* The next one has a manager of its own. */
	plane.notify[0] = '\0';
	if (kwgi_handover_state_make(&state, &plane, p->device, &err)) {
		kwgi_dataplane_say(p, true, "nothing was handed over: %s", err.text);
		return false;
	}
	fds.state = state.fd;
	e = kwgi_handover_keep(&p->notifier, &fds);
	if (e) {
		kwgi_dataplane_say(p, true, "nothing was handed over: telling the service manager: %s",
				   kwgi_errtext(e));
		(void)kwgi_handover_state_claim(&state);
		kwgi_handover_forget(&p->notifier, &fds, false);
	}
	kwgi_handover_state_close(&state);
	return !e;
}
