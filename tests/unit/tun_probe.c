/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A data plane without WireGuard: makes a TUN device with all that
 * belongs to it, follows it, and prints what happens. For tests/netns/tun.sh.
 *
 * tun_probe [-f] [-q QUEUES] [-p] [-x] IFNAME
 *   -p  packets without header   -x  hands device and socket to another tun_probe
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../src/daemonise.h"
#include "userspace/event.h"
#include "userspace/link.h"
#include "userspace/notify.h"
#include "userspace/route.h"
#include "userspace/sandbox.h"
#include "userspace/tun.h"
#include "userspace/uapi_server.h"
#include "userspace/udp.h"

enum source { SIGNAL, LINK, ROUTE, UAPI, TUN };

struct probe {
	struct daemonise d;
	struct kwgi_tun tun;
	struct kwgi_link *link;
	struct kwgi_route route;
	struct kwgi_uapi_server *uapi;
	struct kwgi_udp udp;
	struct kwgi_loop loop;
	int signals, wake;
};

static int answer(void *arg, const char *request, size_t len, struct kwgi_buf *out)
{
	(void)arg;
	(void)request;
	(void)len;
	kwgi_buf_puts(out, "errno=0\n\n");
	return 0;
}

_Noreturn static void fail(struct probe *p, const struct kwg_error *err)
{
	daemonise_failed(&p->d, err->text);
	exit(EXIT_FAILURE);
}

static void print_state(const struct probe *p)
{
	static const char *const where[] = { "here", "away", "gone" };
	const struct kwgi_link_state *s = kwgi_link_state(p->link);

	printf("%s %s %s mtu %u%s\n", where[s->where], s->name, s->up ? "up" : "down", s->mtu,
	       s->blind ? " blind" : "");
	fflush(stdout);
}

/* Another thread, for what the sandbox must leave it. */
static void *worker(void *arg)
{
	struct probe *p = arg;
	void *memory = malloc(1 << 22);
	struct pollfd fd = { .fd = p->wake, .events = POLLIN };

	if (memory)
		memset(memory, 1, 1 << 22);
	poll(&fd, 1, -1);
	free(memory);
	return NULL;
}

static int descriptor(struct probe *p, const char *name)
{
	int fd = environment_fd(name);
	struct kwg_error err;

	if (fd == -2) {
		snprintf(err.text, sizeof(err.text), "%s is not a number", name);
		fail(p, &err);
	}
	return fd;
}

static void open_all(struct probe *p, const char *name, const struct kwgi_tun_options *o)
{
	struct kwgi_udp_options udp = { .port = 0, .fwmark = 7 };
	struct kwgi_uapi_server_options uapi = {
		.ifname = name, .fd = descriptor(p, "WG_UAPI_FD"), .handle = answer,
	};
	int tun = descriptor(p, "WG_TUN_FD");
	struct kwg_error err;
	sigset_t set;

	if (tun >= 0 ? kwgi_tun_adopt(&p->tun, tun, o, &err) :
		       kwgi_tun_open(&p->tun, name, o, &err))
		fail(p, &err);
	if (kwgi_uapi_server_open(&p->uapi, &uapi, &err) ||
	    kwgi_link_open(&p->link, p->tun.fd[0], &err) || kwgi_route_open(&p->route, &err) ||
	    kwgi_loop_open(&p->loop, &err))
		fail(p, &err);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p->wake = kwgi_wake_open();
	if (kwgi_sandbox_enter(0, kwgi_uapi_server_folder(p->uapi), NULL, &err))
		fail(p, &err);
	/* What has to work afterwards. */
	if (kwgi_udp_open(&p->udp, &udp, &err))
		fail(p, &err);
}

static void loop_all(struct probe *p)
{
	kwgi_loop_add(&p->loop, p->signals, EPOLLIN, SIGNAL);
	kwgi_loop_add(&p->loop, kwgi_link_fd(p->link), EPOLLIN, LINK);
	kwgi_loop_add(&p->loop, p->route.fd, EPOLLIN, ROUTE);
	kwgi_loop_add(&p->loop, kwgi_uapi_server_fd(p->uapi), EPOLLIN, UAPI);
	kwgi_loop_add(&p->loop, p->tun.fd[0], EPOLLIN, TUN);
}

/* Packets go nowhere; an error is the end of the device, or a state of it. */
static void read_tun(struct probe *p)
{
	char packet[2048];
	ssize_t n;

	while ((n = read(p->tun.fd[0], packet, sizeof(packet))) > 0)
		;
	if (n < 0 && errno != EAGAIN && kwgi_link_refresh(p->link))
		print_state(p);
}

/* Which way to a place that the test knows. */
static void print_route(struct probe *p)
{
	struct kwgi_sockaddr to = { .v4 = { .sin_family = AF_INET } };
	struct kwgi_source any = { .family = AF_UNSPEC };
	struct kwgi_changes changes = { .n = 0 };
	uint32_t oif;

	to.v4.sin_addr.s_addr = htonl(0xc0000207);	/* 192.0.2.7 */
	if (!kwgi_route_notices(&p->route, 0, &changes))
		return;
	if (kwgi_route_oif(&p->route, &to, &any, 7, 51820, &oif))
		printf("no route\n");
	else
		printf("route %u\n", oif);
	fflush(stdout);
}

/* NULL, or why it ends. */
static const char *turn(struct probe *p)
{
	struct epoll_event ev[8];
	int i, n = kwgi_loop_wait(&p->loop, ev, 8, kwgi_uapi_server_deadline(p->uapi));

	if (n < 0)
		return "loop";
	for (i = 0; i < n; i++) {
		if (ev[i].data.u64 == SIGNAL)
			return "signal";
		if (ev[i].data.u64 == LINK && kwgi_link_process(p->link))
			print_state(p);
		if (ev[i].data.u64 == TUN)
			read_tun(p);
		if (ev[i].data.u64 == ROUTE)
			print_route(p);
	}
	if (kwgi_uapi_server_process(p->uapi, kwgi_now()) == KWGI_UAPI_REMOVED)
		return "socket";
	return kwgi_link_state(p->link)->where == KWGI_LINK_GONE ? "link" : NULL;
}

static int run(struct probe *p)
{
	const char *why;
	pthread_t thread;

	if (pthread_create(&thread, NULL, worker, p))
		return EXIT_FAILURE;
	printf("offloads: %s\n", kwgi_tun_offloads(&p->tun));
	print_state(p);
	(void)daemonise_ready(&p->d);
	while (!(why = turn(p)))
		;
	printf("end: %s\n", why);
	kwgi_wake_set(p->wake);
	pthread_join(thread, NULL);
	kwgi_uapi_server_close(p->uapi);
	kwgi_udp_close(&p->udp);
	kwgi_route_close(&p->route);
	kwgi_link_close(p->link);
	kwgi_loop_close(&p->loop);
	kwgi_tun_close(&p->tun);
	return EXIT_SUCCESS;
}

/* As wireguard-go's parent does: the device and a listening socket go to a child by number. */
static int hand_over(struct probe *p, char *self, char *name, const struct kwgi_tun_options *o)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct kwg_error err;
	char number[16];

	if (kwgi_tun_open(&p->tun, name, o, &err))
		fail(p, &err);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/var/run/wireguard/%s.sock", name);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 5))
		return EXIT_FAILURE;
	fcntl(p->tun.fd[0], F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", p->tun.fd[0]);
	setenv("WG_TUN_FD", number, 1);
	snprintf(number, sizeof(number), "%d", fd);
	setenv("WG_UAPI_FD", number, 1);
	execl(self, self, "-f", name, (char *)NULL);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct kwgi_tun_options o = { .queues = 1 };
	struct probe p = { .udp = KWGI_UDP_CLOSED };
	bool foreground = environment_foreground(), exec = false;
	int c;

	while ((c = getopt(argc, argv, "fq:px")) != -1) {
		if (c == 'f')
			foreground = true;
		else if (c == 'q')
			o.queues = (unsigned)atoi(optarg);
		else if (c == 'p')
			o.no_vnet_hdr = true;
		else if (c == 'x')
			exec = true;
		else
			return EXIT_FAILURE;
	}
	if (optind != argc - 1)
		return EXIT_FAILURE;
	p.d.parent = -1;
	if (exec)
		return hand_over(&p, argv[0], argv[optind], &o);
	kwgi_sandbox_no_dumps();
	if (daemonise_begin(&p.d, foreground, environment_log_level() == LEVEL_DEBUG))
		return EXIT_FAILURE;
	open_all(&p, argv[optind], &o);
	loop_all(&p);
	return run(&p);
}
