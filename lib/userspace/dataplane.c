/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "userspace/cipher.h"
#include "userspace/dataplane.h"
#include "userspace/dataplane_handover.h"
#include "userspace/dataplane_io.h"
#include "userspace/sandbox.h"
#include "userspace/worker.h"
#include "userspace/worker_in.h"
#include "userspace/worker_out.h"

enum { WORKERS_MAX = 4 };	/* without being told */

/* ---- making it ------------------------------------ */

static int open_worker(struct kwgi_dataplane *p, unsigned i, struct kwg_error *err)
{
	struct kwgi_worker *w = &p->workers[i];

	if (kwgi_worker_out_init(w) || kwgi_worker_in_init(w))
		return kwgi_nomem(err);
	if (kwgi_loop_open(&w->loop, err))
		return err->status;
	w->tun = p->tun.fd[i];
	if (kwgi_loop_add(&w->loop, w->tun, EPOLLIN, KWGI_ON_TUN))
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "epoll: %s", kwgi_errtext(errno));
	return 0;
}

static int open_workers(struct kwgi_dataplane *p, struct kwg_error *err)
{
	unsigned i;
	int ret;

	p->workers = calloc(p->tun.queues, sizeof(*p->workers));
	if (!p->workers)
		return kwgi_nomem(err);
	p->n_workers = p->tun.queues;
	for (i = 0; i < p->n_workers; i++) {
		p->workers[i].plane = p;
		p->workers[i].udp = p->workers[i].former = KWGI_UDP_CLOSED;
		p->workers[i].loop = (struct kwgi_loop){ .epoll = -1, .timer = -1 };
		pthread_mutex_init(&p->workers[i].lock, NULL);
	}
	for (i = 0; i < p->n_workers; i++) {
		ret = open_worker(p, i, err);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * One for each two processors that the process may use: programs whose packets they are need
 * some, too. Beyond four, packets of few peers have no more to share.
 */
static unsigned usual_workers(void)
{
	cpu_set_t cpus;
	int n;

	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return 1;
	n = CPU_COUNT(&cpus) / 2;
	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static int open_tun(struct kwgi_dataplane *p, const struct kwg_userspace_options *o,
		    struct kwgi_inheritance *in, struct kwg_error *err)
{
	struct kwgi_tun_options t = {
		.queues = o->workers ? o->workers : usual_workers(),
		.no_offload = o->without & KWG_WITHOUT_TSO,
		.keep_mtu = in->any,
	};
	int ret;

	if (in->any)
		ret = kwgi_inheritance_tun(in, p, &t, err);
	else if (o->tun_fd >= 0)
		ret = kwgi_tun_adopt(&p->tun, o->tun_fd, &t, err);
	else
		ret = kwgi_tun_open(&p->tun, o->ifname, &t, err);
	if (ret)
		return ret;
	if (p->tun.vnet_hdr)
		p->coalesce |= KWGI_COALESCE_VNET;
	if (p->tun.vnet_hdr && p->tun.tso)
		p->coalesce |= KWGI_COALESCE_TCP4 | KWGI_COALESCE_TCP6;
	if (p->tun.vnet_hdr && p->tun.uso && !(o->without & KWG_WITHOUT_USO))
		p->coalesce |= KWGI_COALESCE_UDP;
	return 0;
}

static int open_uapi(struct kwgi_dataplane *p, const struct kwg_userspace_options *o,
		     struct kwgi_inheritance *in, struct kwg_error *err)
{
	struct kwgi_uapi_server_options u = {
		.dir = o->socket_dir, .ifname = o->ifname, .fd = o->uapi_fd,
		.handle = kwgi_dataplane_request, .arg = p, .hands_over = o->hands_over,
	};
	int ret;

	if (in->any) {
		u.fd = in->fds.listener;
		u.dev = (dev_t)in->plane.socket_dev;
		u.ino = (ino_t)in->plane.socket_ino;
	}
	ret = kwgi_uapi_server_open(&p->uapi, &u, err);
	if (!ret && in->any)
		in->fds.listener = -1;
	return ret;
}

static int open_device(struct kwgi_dataplane *p, const struct kwg_userspace_options *o,
		       struct kwg_error *err)
{
	const struct kwgi_device_io io = kwgi_dataplane_io(p);
	const struct kwgi_aead *aead = kwgi_cipher_choose(o->aead);

	if (!aead)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "no cipher \"%s\" here; there are sodium, avx2 and avx512, as the "
				 "processor can, and openssl, where built with it", o->aead);
	p->device = kwgi_device_new(&io, aead);
	return p->device ? 0 : kwgi_nomem(err);
}

static int watch(struct kwgi_dataplane *p, int stop_fd)
{
	struct kwgi_loop *l = &p->workers[0].loop;
	int e = kwgi_loop_add(l, kwgi_link_fd(p->link), EPOLLIN, KWGI_ON_LINK);

	if (!e)
		e = kwgi_loop_add(l, p->wake, EPOLLIN, KWGI_ON_WAKE);
	if (!e)
		e = kwgi_loop_add(l, p->route.fd, EPOLLIN, KWGI_ON_ROUTE);
	if (!e)
		e = kwgi_loop_add(l, kwgi_uapi_server_fd(p->uapi), EPOLLIN, KWGI_ON_UAPI);
	if (!e && stop_fd >= 0)
		e = kwgi_loop_add(l, stop_fd, EPOLLIN, KWGI_ON_STOP);
	return e;
}

/*
 * The TUN device first: it says whether the name is free. The socket last: who
 * sees it may use it.
 */
static int open_all(struct kwgi_dataplane *p, const struct kwg_userspace_options *o,
		    struct kwgi_inheritance *in, struct kwg_error *err)
{
	int e, ret = open_device(p, o, err);

	p->borrowed = in->any;
	if (!ret && in->any)
		ret = kwgi_inheritance_load(in, p, err);
	p->wake = kwgi_wake_open();
	p->end = kwgi_wake_open();
	if (p->wake < 0 || p->end < 0)
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "eventfd: %s", kwgi_errtext(errno));
	if (!ret)
		ret = open_tun(p, o, in, err);
	if (!ret)
		ret = open_workers(p, err);
	if (!ret)
		ret = kwgi_link_open(&p->link, p->tun.fd[0], err);
	if (!ret && in->any)
		ret = kwgi_inheritance_check_home(in, p, err);
	if (!ret) {
		ret = kwgi_route_open(&p->route, err);
		p->has_route = !ret;
	}
	if (!ret)
		ret = open_uapi(p, o, in, err);
	if (!ret && in->any)
		ret = kwgi_inheritance_sockets(in, p, err);
	if (ret)
		return ret;
	p->watchdog.seconds = o->watchdog;
	p->watchdog.hung = o->hung;
	p->watchdog.arg = o->arg;
	ret = o->watchdog && o->hung ? kwgi_watchdog_open(&p->watchdog, p->uapi, err) : 0;
	if (ret)
		return ret;
	e = watch(p, o->stop_fd);
	return e ? kwgi_fail(err, KWG_ERR_KERNEL, e, "epoll: %s", kwgi_errtext(e)) : 0;
}

static void close_all(struct kwgi_dataplane *p)
{
	unsigned i;

	kwgi_watchdog_close(&p->watchdog);
	if (p->borrowed || p->gone)
		kwgi_uapi_server_abandon(p->uapi);
	else
		kwgi_uapi_server_close(p->uapi);
	if (p->workers)
		kwgi_dataplane_close_sockets(p);
	for (i = 0; i < p->n_workers; i++) {
		kwgi_worker_out_free(&p->workers[i]);
		kwgi_worker_in_free(&p->workers[i]);
		kwgi_loop_close(&p->workers[i].loop);
		pthread_mutex_destroy(&p->workers[i].lock);
	}
	free(p->workers);
	if (p->has_route)
		kwgi_route_close(&p->route);
	if (p->link)
		kwgi_link_close(p->link);
	kwgi_device_free(p->device);
	kwgi_keymem_end(&p->keys);
	if (p->tun.queues)
		kwgi_tun_close(&p->tun);
	if (p->wake >= 0)
		close(p->wake);
	if (p->end >= 0)
		close(p->end);
	kwgi_notifier_close(&p->notifier);
}

/* ---- running it ------------------------------------ */

static int start_workers(struct kwgi_dataplane *p, struct kwg_error *err);
static void end_workers(struct kwgi_dataplane *p);

/* Whoever has asked gets all; if it does not take it, we go on. */
static void hand_over(struct kwgi_dataplane *p, int conn)
{
	struct kwg_error err = { 0 };

	kwgi_dataplane_say(p, false, "handing over to a successor");
	end_workers(p);
	p->gone = kwgi_dataplane_give(p, conn);
	if (!p->gone && !start_workers(p, &err))
		return;
	if (!p->gone)
		kwgi_dataplane_say(p, true, "%s", err.text);
	atomic_store(&p->stop, true);
}

static void serve_uapi(struct kwgi_dataplane *p)
{
	int asker;

	if (kwgi_uapi_server_process(p->uapi, kwgi_now()) == KWGI_UAPI_REMOVED)
		atomic_store(&p->stop, true);
	asker = kwgi_uapi_server_asker(p->uapi);
	if (asker >= 0)
		hand_over(p, asker);
}

static void tun_failed(struct kwgi_worker *w)
{
	if (kwgi_link_refresh(w->plane->link))
		kwgi_dataplane_link_changed(w);
	if (kwgi_link_state(w->plane->link)->where != KWGI_LINK_GONE)
		return;
	atomic_store(&w->plane->stop, true);
}

/* False: it is none of a socket's. */
static bool read_socket(struct kwgi_worker *w, uint64_t what)
{
	switch (what) {
	case KWGI_ON_UDP4:
	case KWGI_ON_UDP6:
		kwgi_worker_read_udp(w, what == KWGI_ON_UDP4 ? 4 : 6);
		return true;
	case KWGI_ON_FORMER4:
	case KWGI_ON_FORMER6:
		(void)kwgi_worker_read_former(w, what == KWGI_ON_FORMER4 ? 4 : 6);
		return true;
	}
	return false;
}

static void handle_event(struct kwgi_worker *w, uint64_t what)
{
	struct kwgi_dataplane *p = w->plane;

	switch (what) {
	case KWGI_ON_TUN:
		if (!kwgi_worker_read_tun(w))
			tun_failed(w);
		break;
	case KWGI_ON_UDP4:
	case KWGI_ON_UDP6:
	case KWGI_ON_FORMER4:
	case KWGI_ON_FORMER6:
		(void)read_socket(w, what);
		/* What was written there may have been answered at once: by ping, with an ACK. */
		if (!kwgi_worker_read_tun(w))
			tun_failed(w);
		break;
	case KWGI_ON_LINK:
		if (kwgi_link_process(p->link))
			kwgi_dataplane_link_changed(w);
		break;
	case KWGI_ON_ROUTE:
		kwgi_sources_notices(w);
		break;
	case KWGI_ON_UAPI:
		serve_uapi(p);
		break;
	case KWGI_ON_STOP:
		p->stop_asked = true;
		atomic_store(&p->stop, true);
		break;
	case KWGI_ON_WAKE:
		kwgi_wake_clear(p->wake);
		break;
	}
}

/*
 * When something is due; 0: now. Told to the other workers under the lock that
 * they need for changing it, so that none of them misses to wake us.
 */
static uint64_t look_at_deadline(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	uint64_t deadline, sources;

	kwgi_worker_lock(w);
	deadline = p->device->queue_len ? 0 : kwgi_timers_next(p->device);
	sources = kwgi_sources_deadline(w);
	if (sources < deadline)
		deadline = sources;
	if (p->listen_at && p->listen_at < deadline)
		deadline = p->listen_at;
	if (p->former_at && p->former_at < deadline)
		deadline = p->former_at;
	p->deadline = deadline;
	kwgi_worker_unlock(w);
	return deadline;
}

static bool device_is_due(struct kwgi_worker *w, uint64_t now)
{
	struct kwgi_dataplane *p = w->plane;
	bool due;

	kwgi_worker_lock(w);
	due = p->device->queue_len || kwgi_timers_next(p->device) <= now ||
	      (p->listen_at && p->listen_at <= now) || (p->former_at && p->former_at <= now);
	kwgi_worker_unlock(w);
	return due;
}

/* Sources, timers, and some of the handshakes that wait. Returns when to be called again. */
static uint64_t do_what_is_due(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	uint64_t deadline = look_at_deadline(w);
	struct kwgi_time t;

	if (deadline == UINT64_MAX || (deadline && deadline > kwgi_now()))
		return deadline;
	t = kwgi_dataplane_time();
	kwgi_sources_work(w, t.now);
	/* The locks of all are for handshakes and timers alone. */
	if (!device_is_due(w, t.now))
		return look_at_deadline(w);
	kwgi_worker_lock_all(w);
	kwgi_work_handshakes(p->device, KWGI_HANDSHAKES_PER_TURN, &t);
	kwgi_timers_work(p->device, KWGI_TIMERS_PER_TURN, &t);
	kwgi_worker_unlock_all(w);
	if (p->listen_at && p->listen_at <= t.now)
		kwgi_dataplane_link_changed(w);
	if (p->former_at && p->former_at <= t.now)
		kwgi_dataplane_former_due(w, t.now);
	return look_at_deadline(w);
}

/* All workers but the first do nothing else than this. */
static void *run_packets(void *arg)
{
	struct kwgi_worker *w = arg;
	struct epoll_event v[4];
	bool stop = false;
	int i, n;

	while (!stop) {
		n = kwgi_loop_wait(&w->loop, v, 4, KWGI_NEVER);
		for (i = 0; i < n; i++) {
			stop |= v[i].data.u64 == KWGI_ON_STOP;
			(void)read_socket(w, v[i].data.u64);
			/* A device that has gone is the first worker's to notice. */
			if (!stop && !kwgi_worker_read_tun(w))
				kwgi_loop_remove(&w->loop, w->tun);
		}
	}
	return NULL;
}

static int start_workers(struct kwgi_dataplane *p, struct kwg_error *err)
{
	unsigned i;
	int e;

	kwgi_wake_clear(p->end);
	for (i = 1; i < p->n_workers; i++) {
		struct kwgi_worker *w = &p->workers[i];

		e = w->watches_end ? 0 : kwgi_loop_add(&w->loop, p->end, EPOLLIN, KWGI_ON_STOP);
		w->watches_end = !e;
		if (!e)
			e = pthread_create(&w->thread, NULL, run_packets, w);
		if (e)
			return kwgi_fail(err, KWG_ERR_KERNEL, e, "cannot start a thread: %s",
					 kwgi_errtext(e));
		w->started = true;
	}
	return 0;
}

static void end_workers(struct kwgi_dataplane *p)
{
	unsigned i;

	if (p->end >= 0)
		kwgi_wake_set(p->end);
	for (i = 1; i < p->n_workers; i++) {
		if (p->workers[i].started)
			pthread_join(p->workers[i].thread, NULL);
		p->workers[i].started = false;
	}
}

static void run(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	struct epoll_event v[8];
	uint64_t deadline, other;
	int i, n;

	while (!atomic_load_explicit(&p->stop, memory_order_relaxed)) {
		deadline = do_what_is_due(w);
		other = kwgi_uapi_server_deadline(p->uapi);
		n = kwgi_loop_wait(&w->loop, v, 8, other < deadline ? other : deadline);
		/* Once all is handed over, not a packet more may be sent. */
		for (i = 0; i < n && !atomic_load_explicit(&p->stop, memory_order_relaxed); i++)
			handle_event(w, v[i].data.u64);
		if (n == 0 && other <= kwgi_now())
			handle_event(w, KWGI_ON_UAPI);
	}
}

static const struct kwgi_dataplane closed = {
	.wake = -1, .end = -1, .notifier = { .fd = -1 }, .watchdog = { .fd = -1, .stop = -1 },
};

/* All from the beginning; with what a predecessor has left, if that is in order. */
static int begin(struct kwgi_dataplane *p, const struct kwg_userspace_options *o,
		 struct kwgi_inheritance *in, struct kwg_error *err)
{
	int ret;

	*p = closed;
	p->log = o->log;
	p->log_arg = o->arg;
	p->verbose = o->verbose;
	p->no_gso = o->without & KWG_WITHOUT_GSO;
	p->no_gro = o->without & KWG_WITHOUT_GRO;
	p->no_aio = o->without & KWG_WITHOUT_AIO;
	(void)kwgi_notifier_open(&p->notifier, o->notify_socket);
	if (p->notifier.fd >= 0)
		snprintf(p->notify_name, sizeof(p->notify_name), "%s", o->notify_socket);
	p->keeps = o->keeps && p->notifier.fd >= 0;
	ret = open_all(p, o, in, err);
	if (!ret || !in->kept || !in->any)
		return ret;
	/* The one before has ended: what is left of it must not keep us from serving at all. */
	kwgi_dataplane_say(p, true, "starting anew: %s", err->text);
	close_all(p);
	(void)kwgi_notifier_open(&p->notifier, o->notify_socket);
	kwgi_inheritance_refuse(in, &p->notifier);
	kwgi_notifier_close(&p->notifier);
	return begin(p, o, in, err);
}

/* Who relies on the filter has to know that there is none. */
static int enter_sandbox(struct kwgi_dataplane *p, struct kwg_error *err)
{
	bool filtered;
	int ret = kwgi_sandbox_enter(0, kwgi_uapi_server_folder(p->uapi), &filtered, err);

	if (!ret && !filtered)
		kwgi_dataplane_say(p, true, "system calls are not filtered: %s",
				   kwgi_sandbox_has_seccomp() ? "the kernel has no seccomp filters"
							      : "built without libseccomp");
	return ret;
}

static void end(struct kwgi_dataplane *p)
{
	if (!p->gone)
		(void)kwgi_notifier_send(&p->notifier, "STOPPING=1", -1);
	kwgi_dataplane_say(p, false, "ending");
	end_workers(p);
	if (p->stop_asked && p->keeps && !p->gone)
		p->gone = kwgi_dataplane_keep(p);
}

int kwgi_dataplane_run(const struct kwg_userspace_options *o, struct kwg_error *err)
{
	struct kwgi_inheritance in;
	struct kwgi_dataplane p;
	struct kwg_error own = { 0 };
	int ret = kwgi_inheritance_find(&in, o, &own);

	if (!ret)
		ret = begin(&p, o, &in, &own);
	else
		p = closed;
	if (!ret && o->sandbox)
		ret = enter_sandbox(&p, &own);
	if (!ret && in.any)
		ret = kwgi_inheritance_claim(&in, &p, &own);
	if (!ret)
		ret = start_workers(&p, &own);
	if (!ret && p.watchdog.fd >= 0)
		ret = kwgi_watchdog_start(&p.watchdog, &own);
	if (!ret) {
		kwgi_dataplane_say(&p, false, "cipher %s, offloads of the TUN device: %s",
				   p.device->aead->name, kwgi_tun_offloads(&p.tun));
		kwgi_dataplane_link_changed(&p.workers[0]);
		if (o->ready)
			o->ready(o->arg);
		if (!p.ready_told)
			(void)kwgi_notifier_send(&p.notifier, "READY=1", -1);
		run(&p.workers[0]);
		end(&p);
	}
	end_workers(&p);
	close_all(&p);
	kwgi_inheritance_end(&in);
	if (ret && err)
		*err = own;
	return ret;
}
