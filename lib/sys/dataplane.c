/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "sys/dataplane.h"
#include "sys/errtext.h"
#include "sys/notify.h"
#include "sys/path.h"
#include "sys/sandbox.h"
#include "sys/userspace.h"

/* What a descriptor in the first worker's loop is. */
enum { EVENT_TUN, EVENT_UDP4, EVENT_UDP6, EVENT_LINK, EVENT_ROUTE, EVENT_UAPI, EVENT_STOP,
       EVENT_WAKE };

/* ---- time and locks ------------------------------------------------------------------ */

struct kwgi_time kwgi_dataplane_time(void)
{
	struct kwgi_time t = { .now = kwgi_now() };
	uint64_t sec;
	uint32_t nsec;

	kwgi_wall_clock(&sec, &nsec);
	t.wall = sec * KWGI_SECOND + nsec;
	return t;
}

void kwgi_worker_lock(struct kwgi_worker *w)
{
	pthread_mutex_lock(&w->lock);
}

void kwgi_worker_unlock(struct kwgi_worker *w)
{
	pthread_mutex_unlock(&w->lock);
}

void kwgi_worker_lock_all(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	unsigned i;

	for (i = 0; i < p->n_workers; i++)
		pthread_mutex_lock(&p->workers[i].lock);
	p->alone = w;
}

void kwgi_worker_unlock_all(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	bool sooner = w != p->workers &&
		      (p->device->queue_len || kwgi_timers_next(p->device) < p->deadline);
	unsigned i;

	p->alone = NULL;
	for (i = p->n_workers; i--; )
		pthread_mutex_unlock(&p->workers[i].lock);
	if (sooner)
		kwgi_wake_set(p->wake);
}

/* ---- the log -------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4)))
static void say(struct kwgi_dataplane *p, bool error, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (!p->log || (!error && !p->verbose))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	p->log(p->log_arg, error, line);
}

/* Peers are named as wireguard-go does, so that its users find them: AbCd…wxYz. */
static void tell_event(void *arg, const struct kwgi_peer *peer, enum kwgi_event event)
{
	static const char *const text[] = {
		[KWGI_EVENT_INITIATION_SENT] = "sending handshake initiation",
		[KWGI_EVENT_INITIATION_RECEIVED] = "received handshake initiation",
		[KWGI_EVENT_RESPONSE_SENT] = "sending handshake response",
		[KWGI_EVENT_RESPONSE_RECEIVED] = "received handshake response",
		[KWGI_EVENT_COOKIE_REPLY_SENT] = "under load: sending cookie reply",
		[KWGI_EVENT_COOKIE_RECEIVED] = "received cookie reply",
		[KWGI_EVENT_KEEPALIVE_SENT] = "sending keepalive packet",
		[KWGI_EVENT_KEEPALIVE_RECEIVED] = "received keepalive packet",
		[KWGI_EVENT_GAVE_UP] = "handshake did not complete, giving up",
		[KWGI_EVENT_KEYS_ERASED] = "erasing keys of a session that has ended",
		[KWGI_EVENT_PEER_ADDED] = "peer added",
		[KWGI_EVENT_PEER_REMOVED] = "peer removed",
	};
	struct kwgi_dataplane *p = arg;
	char key[KWGI_KEY_TEXT];

	if (!p->log || !p->verbose)
		return;
	if (!peer) {
		say(p, false, "%s", text[event]);
		return;
	}
	kwgi_key_format(key, &peer->remote.static_public);
	say(p, false, "peer(%.4s\xe2\x80\xa6%.4s): %s", key, key + 39, text[event]);
}

/* ---- sockets ---------------------------------------------------------------------------- */

static int watch_sockets(struct kwgi_worker *w)
{
	int e = w->udp.fd4 < 0 ? 0 : kwgi_loop_add(&w->loop, w->udp.fd4, EPOLLIN, EVENT_UDP4);

	if (!e && w->udp.fd6 >= 0)
		e = kwgi_loop_add(&w->loop, w->udp.fd6, EPOLLIN, EVENT_UDP6);
	return e;
}

static void close_sockets(struct kwgi_dataplane *p)
{
	unsigned i;

	for (i = 0; i < p->n_workers; i++) {
		kwgi_udp_close(&p->workers[i].udp);
		p->workers[i].udp = KWGI_UDP_CLOSED;
	}
}

/* New sockets for all workers; the old ones go only if that succeeds. 0 or an errno. */
static int open_sockets(struct kwgi_dataplane *p, uint16_t port)
{
	struct kwgi_udp_options o = {
		.port = port, .fwmark = p->device->fwmark,
		.no_gso = p->no_gso, .no_gro = p->no_gro,
	};
	struct kwgi_udp *v = calloc(p->n_workers, sizeof(*v));
	struct kwg_error err = { 0 };
	unsigned i;
	int e = 0;

	if (!v)
		return ENOMEM;
	if (p->n_workers > 1 ? kwgi_udp_open_many(v, p->n_workers, &o, &err) :
			       kwgi_udp_open(v, &o, &err)) {
		free(v);
		say(p, true, "cannot listen: %s", err.text);
		return err.sys_errno ? err.sys_errno : EADDRINUSE;
	}
	close_sockets(p);
	for (i = 0; i < p->n_workers; i++) {
		p->workers[i].udp = v[i];
		e = e ? e : watch_sockets(&p->workers[i]);
	}
	p->device->listen_port = v[0].port;
	free(v);
	return e;
}

/* While the link is down the port is only remembered. */
static int io_listen(void *arg, uint16_t port)
{
	struct kwgi_dataplane *p = arg;

	if (p->device->up)
		return open_sockets(p, port);
	p->device->listen_port = port;
	return 0;
}

static int io_fwmark(void *arg, uint32_t mark)
{
	struct kwgi_dataplane *p = arg;
	unsigned i;
	int e = 0;

	for (i = 0; i < p->n_workers && !e; i++)
		if (p->workers[i].udp.fd4 >= 0)
			e = kwgi_udp_set_fwmark(&p->workers[i].udp, mark);
	return e ? EADDRINUSE : 0;
}

static void io_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	struct kwgi_dataplane *p = arg;

	kwgi_worker_send(p->alone, to, msg, len, tos);
}

static void io_random(void *arg, void *out, size_t len)
{
	(void)arg;
	randombytes_buf(out, len);
}

static uint32_t io_scope(void *arg, const char *name)
{
	(void)arg;
	return if_nametoindex(name);
}

/* ---- the link ------------------------------------------------------------------------------ */

static void go_up(struct kwgi_dataplane *p, const struct kwgi_time *t)
{
	/* A port in use is told in the log, and tried again with the next configuration. */
	if (p->workers[0].udp.fd4 < 0 && open_sockets(p, p->device->listen_port))
		return;
	kwgi_device_set_up(p->device, true, t);
	say(p, false, "interface up, listening on port %u", p->device->listen_port);
}

/* Brings the device to the link's state; the device is held alone. */
static void follow_link(struct kwgi_dataplane *p, const struct kwgi_time *t)
{
	const struct kwgi_link_state *s = kwgi_link_state(p->link);
	unsigned i;

	if (s->where == KWGI_LINK_GONE) {
		atomic_store(&p->stop, true);
		return;
	}
	if (s->mtu && s->mtu != p->device->mtu) {
		p->device->mtu = s->mtu;
		for (i = 0; i < p->n_workers; i++)
			kwgi_split_set_mtu(&p->workers[i].out->split, s->mtu);
	}
	if (s->up && !p->device->up) {
		go_up(p, t);
	} else if (!s->up && p->device->up) {
		kwgi_device_set_up(p->device, false, t);
		close_sockets(p);
		say(p, false, "interface down");
	}
}

static void link_changed(struct kwgi_worker *w)
{
	struct kwgi_time t = kwgi_dataplane_time();

	kwgi_worker_lock_all(w);
	follow_link(w->plane, &t);
	kwgi_worker_unlock_all(w);
}

/*
 * Routes have changed: a peer's sticky source is forgotten if the way to the
 * peer now leaves through another interface.
 */
static void check_sources(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	struct kwgi_sockaddr to;
	struct kwgi_source from;
	struct kwgi_peer *peer;
	uint32_t oif;

	kwgi_worker_lock_all(w);
	for (peer = p->device->first; peer; peer = peer->next_peer) {
		if (!peer->path.has_source)
			continue;
		kwgi_path_sockaddr(&to, &peer->path);
		kwgi_path_source(&from, &peer->path);
		if (kwgi_route_oif(&p->route, &to, &from, p->device->fwmark, &oif) ||
		    oif != peer->path.source_ifindex)
			peer->path.has_source = false;
	}
	kwgi_worker_unlock_all(w);
}

/* ---- configuration ---------------------------------------------------------------------------- */

static int configure(struct kwgi_worker *w, const struct kwgi_uapi_request *r,
		     struct kwgi_buf *answer)
{
	struct kwgi_dataplane *p = w->plane;
	struct kwgi_time t = kwgi_dataplane_time();
	int e = 0;

	kwgi_worker_lock_all(w);
	if (r->op == KWGI_UAPI_GET) {
		kwgi_device_print(p->device, answer);
	} else {
		e = kwgi_device_configure(p->device, &r->set, &t);
		follow_link(p, &t);
	}
	kwgi_worker_unlock_all(w);
	return e;
}

static int handle_request(void *arg, const char *request, size_t len, struct kwgi_buf *answer)
{
	struct kwgi_dataplane *p = arg;
	struct kwgi_uapi_request r;
	struct kwgi_arena a = { 0 };
	int e;

	e = kwgi_uapi_parse(&r, &a, request, len);
	if (!e)
		e = configure(&p->workers[0], &r, answer);
	kwgi_uapi_print_errno(answer, e);
	kwgi_arena_free(&a);
	sodium_memzero(&r, sizeof(r));
	return 0;
}

/* ---- making it ------------------------------------------------------------------------------------ */

static int open_worker(struct kwgi_dataplane *p, unsigned i, struct kwg_error *err)
{
	struct kwgi_worker *w = &p->workers[i];

	if (kwgi_worker_out_init(w) || kwgi_worker_in_init(w))
		return kwgi_nomem(err);
	if (kwgi_loop_open(&w->loop, err))
		return err->status;
	w->tun = p->tun.fd[i];
	if (kwgi_loop_add(&w->loop, w->tun, EPOLLIN, EVENT_TUN))
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
		p->workers[i].udp = KWGI_UDP_CLOSED;
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

static int open_tun(struct kwgi_dataplane *p, const struct kwg_userspace_options *o,
		    struct kwg_error *err)
{
	struct kwgi_tun_options t = {
		.queues = o->workers ? o->workers : 1,
		.no_offload = o->without & KWG_WITHOUT_TSO,
	};
	int ret = o->tun_fd >= 0 ? kwgi_tun_adopt(&p->tun, o->tun_fd, &t, err) :
				   kwgi_tun_open(&p->tun, o->ifname, &t, err);

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
		     struct kwg_error *err)
{
	const struct kwgi_uapi_server_options u = {
		.dir = o->socket_dir, .ifname = o->ifname, .fd = o->uapi_fd,
		.handle = handle_request, .arg = p,
	};

	return kwgi_uapi_server_open(&p->uapi, &u, err);
}

static int open_device(struct kwgi_dataplane *p, const struct kwg_userspace_options *o,
		       struct kwg_error *err)
{
	const struct kwgi_device_io io = {
		.arg = p, .random = io_random, .send = io_send, .event = tell_event,
		.listen = io_listen, .fwmark = io_fwmark, .scope = io_scope,
	};
	const struct kwgi_aead *aead = o->aead ? kwgi_aead_by_name(o->aead) : kwgi_aead_best();

	if (!aead)
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "no cipher \"%s\" here; there are sodium, avx2 and avx512, as the "
				 "processor can", o->aead);
	p->device = kwgi_device_new(&io, aead);
	return p->device ? 0 : kwgi_nomem(err);
}

static int watch(struct kwgi_dataplane *p, int stop_fd)
{
	struct kwgi_loop *l = &p->workers[0].loop;
	int e = kwgi_loop_add(l, kwgi_link_fd(p->link), EPOLLIN, EVENT_LINK);

	if (!e)
		e = kwgi_loop_add(l, p->wake, EPOLLIN, EVENT_WAKE);
	if (!e)
		e = kwgi_loop_add(l, p->route.fd, EPOLLIN, EVENT_ROUTE);
	if (!e)
		e = kwgi_loop_add(l, kwgi_uapi_server_fd(p->uapi), EPOLLIN, EVENT_UAPI);
	if (!e && stop_fd >= 0)
		e = kwgi_loop_add(l, stop_fd, EPOLLIN, EVENT_STOP);
	return e;
}

/*
 * The TUN device first: it says whether the name is free. The socket last: who
 * sees it may use it.
 */
static int open_all(struct kwgi_dataplane *p, const struct kwg_userspace_options *o,
		    struct kwg_error *err)
{
	int e, ret = open_device(p, o, err);

	p->wake = kwgi_wake_open();
	p->end = kwgi_wake_open();
	if (p->wake < 0 || p->end < 0)
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "eventfd: %s", kwgi_errtext(errno));
	if (!ret)
		ret = open_tun(p, o, err);
	if (!ret)
		ret = open_workers(p, err);
	if (!ret)
		ret = kwgi_link_open(&p->link, p->tun.fd[0], err);
	if (!ret) {
		ret = kwgi_route_open(&p->route, err);
		p->has_route = !ret;
	}
	if (!ret)
		ret = open_uapi(p, o, err);
	if (ret)
		return ret;
	e = watch(p, o->stop_fd);
	return e ? kwgi_fail(err, KWG_ERR_KERNEL, e, "epoll: %s", kwgi_errtext(e)) : 0;
}

static void close_all(struct kwgi_dataplane *p)
{
	unsigned i;

	if (p->uapi)
		kwgi_uapi_server_close(p->uapi);
	if (p->workers)
		close_sockets(p);
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
	if (p->tun.queues)
		kwgi_tun_close(&p->tun);
	if (p->wake >= 0)
		close(p->wake);
	if (p->end >= 0)
		close(p->end);
}

/* ---- running it ---------------------------------------------------------------------------- */

static void tun_failed(struct kwgi_worker *w)
{
	if (kwgi_link_refresh(w->plane->link))
		link_changed(w);
	if (kwgi_link_state(w->plane->link)->where != KWGI_LINK_GONE)
		return;
	atomic_store(&w->plane->stop, true);
}

static void handle_event(struct kwgi_worker *w, uint64_t what)
{
	struct kwgi_dataplane *p = w->plane;

	switch (what) {
	case EVENT_TUN:
		if (!kwgi_worker_read_tun(w))
			tun_failed(w);
		break;
	case EVENT_UDP4:
	case EVENT_UDP6:
		kwgi_worker_read_udp(w, what == EVENT_UDP4 ? 4 : 6);
		/* What was written there may have been answered at once: by ping, with an ACK. */
		if (!kwgi_worker_read_tun(w))
			tun_failed(w);
		break;
	case EVENT_LINK:
		if (kwgi_link_process(p->link))
			link_changed(w);
		break;
	case EVENT_ROUTE:
		if (kwgi_route_changed(&p->route))
			check_sources(w);
		break;
	case EVENT_UAPI:
		if (kwgi_uapi_server_process(p->uapi, kwgi_now()) == KWGI_UAPI_REMOVED)
			atomic_store(&p->stop, true);
		break;
	case EVENT_STOP:
		atomic_store(&p->stop, true);
		break;
	case EVENT_WAKE:
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
	uint64_t deadline;

	kwgi_worker_lock(w);
	deadline = p->device->queue_len ? 0 : kwgi_timers_next(p->device);
	p->deadline = deadline;
	kwgi_worker_unlock(w);
	return deadline;
}

/* Timers, and some of the handshakes that wait. Returns when to be called again. */
static uint64_t do_what_is_due(struct kwgi_worker *w)
{
	struct kwgi_dataplane *p = w->plane;
	uint64_t deadline = look_at_deadline(w);
	struct kwgi_time t;

	if (deadline == UINT64_MAX || (deadline && deadline > kwgi_now()))
		return deadline;
	t = kwgi_dataplane_time();
	kwgi_worker_lock_all(w);
	kwgi_work_handshakes(p->device, KWGI_HANDSHAKES_PER_TURN, &t);
	kwgi_timers_run(p->device, &t);
	kwgi_worker_unlock_all(w);
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
			stop |= v[i].data.u64 == EVENT_STOP;
			if (v[i].data.u64 == EVENT_UDP4 || v[i].data.u64 == EVENT_UDP6)
				kwgi_worker_read_udp(w, v[i].data.u64 == EVENT_UDP4 ? 4 : 6);
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

	for (i = 1; i < p->n_workers; i++) {
		struct kwgi_worker *w = &p->workers[i];

		e = kwgi_loop_add(&w->loop, p->end, EPOLLIN, EVENT_STOP);
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
	for (i = 1; i < p->n_workers; i++)
		if (p->workers[i].started)
			pthread_join(p->workers[i].thread, NULL);
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
		for (i = 0; i < n; i++)
			handle_event(w, v[i].data.u64);
		if (n == 0 && other <= kwgi_now())
			handle_event(w, EVENT_UAPI);
	}
}

int kwgi_userspace_run(const struct kwg_userspace_options *o, struct kwg_error *err)
{
	struct kwgi_dataplane p = { .wake = -1, .end = -1 };
	struct kwg_error own = { 0 };
	int ret;

	p.log = o->log;
	p.log_arg = o->arg;
	p.verbose = o->verbose;
	p.no_gso = o->without & KWG_WITHOUT_GSO;
	p.no_gro = o->without & KWG_WITHOUT_GRO;
	ret = open_all(&p, o, &own);
	if (!ret && o->sandbox)
		ret = kwgi_sandbox_enter(0, &own);
	if (!ret)
		ret = start_workers(&p, &own);
	if (!ret) {
		say(&p, false, "%s: cipher %s, offloads of the TUN device: %s", p.tun.name,
		    p.device->aead->name, kwgi_tun_offloads(&p.tun));
		link_changed(&p.workers[0]);
		if (o->ready)
			o->ready(o->arg);
		(void)kwgi_notify(o->notify_socket, "READY=1");
		run(&p.workers[0]);
		(void)kwgi_notify(o->notify_socket, "STOPPING=1");
		say(&p, false, "%s: ending", p.tun.name);
	}
	end_workers(&p);
	close_all(&p);
	if (ret && err)
		*err = own;
	return ret;
}
