/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The UDP sockets over the loopback device, all without privileges. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "unit.h"
#include "userspace/udp.h"

static uint8_t buffer[KWGI_UDP_BATCH][KWGI_UDP_BUFFER];
static struct kwgi_udp_in in[KWGI_UDP_BATCH];

static struct kwgi_udp open_udp(const struct kwgi_udp_options *o)
{
	struct kwgi_udp u;
	struct kwg_error err = { .text = "" };

	ck_assert_msg(!kwgi_udp_open(&u, o, &err), "%s", err.text);
	return u;
}

static struct kwgi_udp open_any(void)
{
	struct kwgi_udp_options o = { .port = 0 };

	return open_udp(&o);
}

static struct kwgi_sockaddr to_v4(const char *ip, uint16_t port)
{
	struct kwgi_sockaddr sa = { .v4 = { .sin_family = AF_INET, .sin_port = htons(port) } };

	ck_assert_int_eq(inet_pton(AF_INET, ip, &sa.v4.sin_addr), 1);
	return sa;
}

static struct kwgi_sockaddr to_v6(const char *ip, uint16_t port)
{
	struct kwgi_sockaddr sa = { .v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) } };

	ck_assert_int_eq(inet_pton(AF_INET6, ip, &sa.v6.sin6_addr), 1);
	return sa;
}

static void fill(uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
}

/* Waits until something is there; the number of messages. */
static unsigned receive(struct kwgi_udp *u, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned i;
	int n;

	for (i = 0; i < KWGI_UDP_BATCH; i++)
		in[i] = (struct kwgi_udp_in){ .data = buffer[i], .cap = KWGI_UDP_BUFFER };
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	n = kwgi_udp_receive(u, fd, in, KWGI_UDP_BATCH);
	ck_assert_int_ge(n, 0);
	return (unsigned)n;
}

/* Receives datagrams of size bytes, the last of which may be shorter; they are text. */
static unsigned receive_text(struct kwgi_udp *u, int fd, const uint8_t *text, size_t len,
			     size_t size)
{
	size_t at = 0, off;
	unsigned i, n, messages = 0;

	while (at < len) {
		n = receive(u, fd);
		messages += n;
		for (i = 0; i < n; i++) {
			size_t part = in[i].gso_size ? in[i].gso_size : in[i].len;

			for (off = 0; off < in[i].len; off += part, at += part) {
				if (part > in[i].len - off)
					part = in[i].len - off;
				ck_assert_uint_eq(part, len - at < size ? len - at : size);
				ck_assert(!memcmp(in[i].data + off, text + at, part));
			}
		}
	}
	ck_assert_uint_eq(at, len);
	return messages;
}

static bool has_v6(const struct kwgi_udp *u)
{
	struct kwgi_sockaddr sa = to_v6("::1", 9);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	bool has = u->fd6 >= 0 && !connect(fd, (struct sockaddr *)&sa, sizeof(sa.v6));

	if (fd >= 0)
		close(fd);
	return has;
}

/* ---- ports ----------------------------------------------------------- */

START_TEST(both_families_have_one_port)
{
	struct kwgi_udp u = open_any();
	struct sockaddr_in6 sa;
	socklen_t len = sizeof(sa);

	ck_assert_uint_ne(u.port, 0);
	if (u.fd6 >= 0) {
		ck_assert(!getsockname(u.fd6, (struct sockaddr *)&sa, &len));
		ck_assert_uint_eq(ntohs(sa.sin6_port), u.port);
	}
	kwgi_udp_close(&u);
	ck_assert_int_eq(u.fd4, -1);
	kwgi_udp_close(&u);
}
END_TEST

START_TEST(a_taken_port_is_refused)
{
	struct kwgi_udp u = open_any(), v, many[2];
	struct kwgi_udp_options o = { .port = u.port };
	struct kwg_error err;

	ck_assert_int_eq(kwgi_udp_open(&v, &o, &err), KWG_ERR_KERNEL);
	ck_assert_int_eq(err.sys_errno, EADDRINUSE);
	ck_assert_int_eq(v.fd4, -1);
	ck_assert_int_eq(kwgi_udp_open_many(many, 2, &o, &err), KWG_ERR_KERNEL);
	ck_assert_int_eq(err.sys_errno, EADDRINUSE);
	kwgi_udp_close(&u);
	v = open_udp(&o);
	kwgi_udp_close(&v);
}
END_TEST

START_TEST(a_port_taken_in_ipv6_only_is_refused)
{
	struct kwgi_udp u = open_any(), v;
	struct kwgi_udp_options o = { .port = u.port };
	struct kwg_error err;

	if (u.fd6 >= 0) {
		close(u.fd4);
		u.fd4 = -1;
		ck_assert_int_eq(kwgi_udp_open(&v, &o, &err), KWG_ERR_KERNEL);
		ck_assert_int_eq(err.sys_errno, EADDRINUSE);
		ck_assert_int_eq(v.fd4, -1);
	}
	kwgi_udp_close(&u);
}
END_TEST

START_TEST(several_pairs_share_the_flows_of_one_port)
{
	enum { PAIRS = 3, FLOWS = 64 };
	struct kwgi_udp v[PAIRS], more[2], from;
	struct kwgi_udp_options o = { .port = 0 };
	uint8_t byte = 1;
	struct iovec iov = { &byte, 1 };
	unsigned i, used = 0, got = 0;

	ck_assert_int_eq(kwgi_udp_open_many(v, PAIRS, &o, NULL), 0);
	for (i = 1; i < PAIRS; i++)
		ck_assert_uint_eq(v[i].port, v[0].port);
	o.port = v[0].port;
	/* Another instance is refused, also one with several pairs. */
	ck_assert_int_eq(kwgi_udp_open(&from, &o, NULL), KWG_ERR_KERNEL);
	ck_assert_int_eq(kwgi_udp_open_many(more, 2, &o, NULL), KWG_ERR_KERNEL);

	for (i = 0; i < FLOWS; i++) {
		struct kwgi_udp_out out = {
			.to = to_v4("127.0.0.1", v[0].port), .iov = &iov, .n_iov = 1,
		};

		from = open_any();
		ck_assert_uint_eq(kwgi_udp_send(&from, &out, 1, 0), 0);
		kwgi_udp_close(&from);
	}
	for (i = 0; i < PAIRS; i++) {
		struct pollfd p = { .fd = v[i].fd4, .events = POLLIN };
		unsigned mine = 0;

		while (poll(&p, 1, 0) == 1)
			mine += receive(&v[i], v[i].fd4);
		used += mine > 0;
		got += mine;
	}
	ck_assert_uint_eq(got, FLOWS);
	ck_assert_uint_eq(used, PAIRS);
	for (i = 0; i < PAIRS; i++)
		kwgi_udp_close(&v[i]);
}
END_TEST

/* ---- what comes with a datagram -------------------------------------- */

static void round_trip(struct kwgi_udp *a, struct kwgi_udp *b, int fd_b, struct kwgi_sockaddr to)
{
	char text[] = "hello";
	struct iovec iov[2] = { { text, 2 }, { text + 2, 3 } };
	struct kwgi_udp_out out = { .to = to, .iov = iov, .n_iov = 2, .tos = 0x88 };
	struct kwgi_sockaddr back;
	struct kwgi_source at;

	ck_assert_uint_eq(kwgi_udp_send(a, &out, 1, 0), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT);
	ck_assert_uint_eq(receive(b, fd_b), 1);
	ck_assert_uint_eq(in[0].len, 5);
	ck_assert(!memcmp(in[0].data, "hello", 5));
	ck_assert_uint_eq(in[0].tos, 0x88);
	ck_assert_uint_eq(in[0].gso_size, 0);
	ck_assert_uint_eq(in[0].to.family, to.family);
	ck_assert_uint_eq(in[0].to.ifindex, if_nametoindex("lo"));

	/* The answer comes from where the question went to. */
	back = in[0].from;
	at = in[0].to;
	out = (struct kwgi_udp_out){ .to = back, .from = at, .iov = iov, .n_iov = 2 };
	ck_assert_uint_eq(kwgi_udp_send(b, &out, 1, 0), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT);
	ck_assert_uint_eq(receive(a, to.family == AF_INET ? a->fd4 : a->fd6), 1);
	ck_assert(!memcmp(&in[0].from, &to, sizeof(to)));
	ck_assert_uint_eq(in[0].tos, 0);
}

START_TEST(addresses_tos_and_source_come_along)
{
	struct kwgi_udp a = open_any(), b = open_any();

	round_trip(&a, &b, b.fd4, to_v4("127.0.0.1", b.port));
	/* Not the address that the kernel would choose. */
	round_trip(&a, &b, b.fd4, to_v4("127.0.0.77", b.port));
	if (has_v6(&a))
		round_trip(&a, &b, b.fd6, to_v6("::1", b.port));
	kwgi_udp_close(&a);
	kwgi_udp_close(&b);
}
END_TEST

START_TEST(a_shared_object_sends_and_receives)
{
	struct kwgi_udp a = open_any(), b = open_any(), copy;

	ck_assert_int_eq(kwgi_udp_share(&copy, &b, NULL), 0);
	ck_assert_int_ne(copy.fd4, b.fd4);
	round_trip(&a, &copy, copy.fd4, to_v4("127.0.0.1", b.port));
	kwgi_udp_close(&copy);
	round_trip(&a, &b, b.fd4, to_v4("127.0.0.1", b.port));
	kwgi_udp_close(&a);
	kwgi_udp_close(&b);
}
END_TEST

START_TEST(nothing_there_is_no_error)
{
	struct kwgi_udp u = open_any();
	struct kwgi_udp_in one = { .data = buffer[0], .cap = KWGI_UDP_BUFFER };

	ck_assert_int_eq(kwgi_udp_receive(&u, u.fd4, &one, 1), 0);
	ck_assert_int_eq(kwgi_udp_receive(&u, -1, &one, 1), -EBADF);
	kwgi_udp_close(&u);
}
END_TEST

START_TEST(what_is_too_large_for_its_buffer_is_dropped)
{
	struct kwgi_udp u = open_any();
	struct pollfd p = { .fd = u.fd4, .events = POLLIN };
	static uint8_t data[200];
	struct iovec iov = { data, sizeof(data) };
	struct kwgi_udp_out out = { .to = to_v4("127.0.0.1", u.port), .iov = &iov, .n_iov = 1 };
	struct kwgi_udp_in one = { .data = buffer[0], .cap = 100 };

	ck_assert_uint_eq(kwgi_udp_send(&u, &out, 1, 0), 0);
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(kwgi_udp_receive(&u, u.fd4, &one, 1), 1);
	ck_assert_uint_eq(one.len, 0);
	ck_assert_uint_eq(u.stats.truncated, 1);
	kwgi_udp_close(&u);
}
END_TEST

/* ---- bursts ---------------------------------------------------------- */

static unsigned lo_mtu(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert(!ioctl(fd, SIOCGIFMTU, &ifr));
	close(fd);
	return (unsigned)ifr.ifr_mtu;
}

static void burst_to(const struct kwgi_udp_options *o, size_t len, uint16_t size, size_t piece,
		     uint8_t result, bool v6)
{
	const unsigned headers = v6 ? 48 : 28;
	static uint8_t data[65536];
	struct iovec iov[KWGI_UDP_SEGMENTS];
	struct kwgi_udp a = open_udp(o), b = open_udp(o);
	struct kwgi_udp_out out = {
		.to = v6 ? to_v6("::1", b.port) : to_v4("127.0.0.1", b.port),
		.iov = iov, .gso_size = size, .tos = 1,
	};
	size_t at;
	unsigned n;

	/* As over the loopback device of tests/netns/tun.sh. */
	if (a.gso && size < len && size + headers > lo_mtu())
		result = KWGI_UDP_ONE_BY_ONE;
	fill(data, len);
	for (at = 0; at < len; at += piece)
		iov[out.n_iov++] = (struct iovec){ data + at, len - at < piece ? len - at : piece };
	ck_assert_uint_eq(kwgi_udp_send(&a, &out, 1, 0), 0);
	if (a.gso)
		ck_assert_uint_eq(out.result, KWGI_UDP_SENT | result);
	n = receive_text(&b, v6 ? b.fd6 : b.fd4, data, len, size);
	ck_assert_uint_eq(in[0].tos, 1);
	ck_assert_uint_eq(in[0].to.family, v6 ? AF_INET6 : AF_INET);
	ck_assert_uint_eq(in[0].to.ifindex, if_nametoindex("lo"));
	/* The loopback device hands a burst over as it is, unless it is larger with its headers. */
	if (a.gso && b.gro && !result && len > 65450)
		ck_assert_uint_ge(n, 1);
	else if (a.gso && b.gro && !result)
		ck_assert_uint_eq(n, 1);
	else if (!b.gro)
		ck_assert_uint_eq(n, (len + size - 1) / size);
	kwgi_udp_close(&a);
	kwgi_udp_close(&b);
}

/* How the iovecs cut a burst must not matter. */
static void burst(const struct kwgi_udp_options *o, size_t len, uint16_t size, size_t piece,
		  uint8_t result)
{
	struct kwgi_udp u = open_any();
	bool v6 = has_v6(&u);

	kwgi_udp_close(&u);
	burst_to(o, len, size, piece, result, false);
	if (v6)
		burst_to(o, len, size, piece, len > KWGI_UDP_MAX_V6 ? KWGI_UDP_ONE_BY_ONE : result,
			 true);
}

START_TEST(bursts_arrive_whole)
{
	struct kwgi_udp_options plain = { .no_gso = true, .no_gro = true }, none = { .port = 0 },
				gso = { .no_gro = true }, gro = { .no_gso = true };
	struct kwgi_udp_options *o[] = { &none, &plain, &gso, &gro };
	unsigned i;

	for (i = 0; i < N_OF(o); i++) {
		uint8_t cut = o[i]->no_gso ? KWGI_UDP_ONE_BY_ONE : 0;

		burst(o[i], 14000, 1400, 1400, cut);
		burst(o[i], 14001, 1400, 1400, cut);
		burst(o[i], 13999, 1400, 14000, cut);
		burst(o[i], 64 * 1000, 1000, 1003, cut);
		burst(o[i], 5000, 1000, 300, cut);
		burst(o[i], 1000, 1000, 1000, 0);
		burst(o[i], 30000, 8900, 8900, cut);
		burst(o[i], 65507, 1450, 1450, cut);
	}
}
END_TEST

START_TEST(a_burst_that_no_kernel_takes_is_cut)
{
	struct kwgi_udp_options o = { .port = 0 };

	/* More than 64 datagrams. */
	burst(&o, 100 * 100, 100, 1000, KWGI_UDP_ONE_BY_ONE);
	/* More than IPv4 carries. */
	burst(&o, 65536, 1400, 1400, KWGI_UDP_ONE_BY_ONE);
}
END_TEST

START_TEST(many_bursts_and_datagrams_keep_their_order)
{
	static uint8_t data[200 * 100];
	struct kwgi_udp_options o = { .no_gso = true };
	struct kwgi_udp a = open_udp(&o), b = open_any();
	struct kwgi_udp_out out[20];
	struct iovec iov[20];
	unsigned i;

	fill(data, sizeof(data));
	for (i = 0; i < N_OF(out); i++) {
		iov[i] = (struct iovec){ data + i * 1000, 1000 };
		out[i] = (struct kwgi_udp_out){
			.to = to_v4("127.0.0.1", b.port), .iov = &iov[i], .n_iov = 1,
			.gso_size = 100,
		};
	}
	/* 200 datagrams: more than one sendmmsg() takes. */
	ck_assert_uint_eq(kwgi_udp_send(&a, out, N_OF(out), 0), 0);
	receive_text(&b, b.fd4, data, sizeof(data), 100);
	kwgi_udp_close(&a);
	kwgi_udp_close(&b);
}
END_TEST

/* ---- errors ---------------------------------------------------------- */

START_TEST(errors_take_only_their_own_message)
{
	static uint8_t data[70000];
	struct kwgi_udp a = open_any(), b = open_any();
	struct iovec small = { data, 10 }, huge = { data, sizeof(data) };
	struct kwgi_sockaddr to = to_v4("127.0.0.1", b.port);
	struct kwgi_udp_out out[] = {
		{ .to = to, .iov = &huge, .n_iov = 1 },
		{ .to = to, .iov = &small, .n_iov = 1 },
		/* broadcast without SO_BROADCAST */
		{ .to = to_v4("127.255.255.255", 9), .iov = &small, .n_iov = 1 },
		{ .to = to, .iov = &small, .n_iov = 1 },
		{ .to = { .family = AF_UNSPEC }, .iov = &small, .n_iov = 1 },
		{ .to = to_v4("127.0.0.1", 0), .iov = &small, .n_iov = 1 },
		{ .to = to, .iov = &small, .n_iov = 1 },
	};
	unsigned i;

	ck_assert_uint_eq(kwgi_udp_send(&a, out, N_OF(out), 0), 4);
	for (i = 0; i < N_OF(out); i++) {
		bool good = out[i].iov == &small && out[i].to.v4.sin_port == htons(b.port);

		ck_assert_uint_eq(out[i].result, good ? KWGI_UDP_SENT : KWGI_UDP_DROPPED);
		ck_assert(good == !out[i].error);
	}
	ck_assert_int_eq(out[0].error, EMSGSIZE);
	ck_assert_int_eq(out[2].error, EACCES);
	ck_assert_uint_eq(a.stats.sent, 3);
	ck_assert_uint_eq(a.stats.dropped, 4);
	ck_assert_uint_eq(receive(&b, b.fd4), 3);
	kwgi_udp_close(&a);
	kwgi_udp_close(&b);
}
END_TEST

static void source_is_dropped(struct kwgi_udp *a, struct kwgi_udp *b, struct kwgi_sockaddr to,
			      struct kwgi_source from, uint16_t gso)
{
	static uint8_t data[300];
	struct iovec iov = { data, sizeof(data) };
	struct kwgi_udp_out out = {
		.to = to, .from = from, .iov = &iov, .n_iov = 1, .gso_size = gso,
	};

	ck_assert_uint_eq(kwgi_udp_send(a, &out, 1, 0), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT | KWGI_UDP_SOURCE_GONE |
				      (gso && !a->gso ? KWGI_UDP_ONE_BY_ONE : 0));
	receive_text(b, to.family == AF_INET ? b->fd4 : b->fd6, data, sizeof(data),
		     gso ? gso : sizeof(data));
	ck_assert(in[0].from.family == to.family);
}

START_TEST(a_source_that_is_gone_is_left_out)
{
	struct kwgi_udp a = open_any(), b = open_any();
	struct kwgi_source v4 = { .family = AF_INET }, v6 = { .family = AF_INET6 };
	unsigned i;

	/* RFC 5737, RFC 3849: nobody has them. */
	inet_pton(AF_INET, "192.0.2.9", &v4.v4);
	inet_pton(AF_INET6, "2001:db8::9", &v6.v6);
	for (i = 0; i < 2; i++) {
		uint16_t gso = i ? 100 : 0;

		source_is_dropped(&a, &b, to_v4("127.0.0.1", b.port), v4, gso);
		if (has_v6(&a))
			source_is_dropped(&a, &b, to_v6("::1", b.port), v6, gso);
	}
	kwgi_udp_close(&a);
	kwgi_udp_close(&b);
}
END_TEST

/* Only the address counts: where it was met is no way, and may be gone. */
START_TEST(the_interface_of_a_source_is_not_used)
{
	struct kwgi_udp a = open_any(), b = open_any();
	char byte = 1;
	struct iovec iov = { &byte, 1 };
	struct kwgi_udp_out out = {
		.to = to_v4("127.0.0.1", b.port), .iov = &iov, .n_iov = 1,
		.from = { .family = AF_INET, .ifindex = 0x7ffffff0 },
	};

	inet_pton(AF_INET, "127.0.0.2", &out.from.v4);
	ck_assert_uint_eq(kwgi_udp_send(&a, &out, 1, 0), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT);
	receive_text(&b, b.fd4, (uint8_t *)&byte, 1, 1);
	ck_assert(in[0].from.v4.sin_addr.s_addr == out.from.v4.s_addr);
	kwgi_udp_close(&a);
	kwgi_udp_close(&b);
}
END_TEST

START_TEST(a_source_of_the_other_family_is_not_used)
{
	struct kwgi_udp a = open_any();
	char byte = 1;
	struct iovec iov = { &byte, 1 };
	struct kwgi_udp_out out = {
		.to = to_v4("127.0.0.1", a.port), .iov = &iov, .n_iov = 1,
		.from = { .family = AF_INET6, .v6 = IN6ADDR_LOOPBACK_INIT },
	};

	ck_assert_uint_eq(kwgi_udp_send(&a, &out, 1, 0), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT);
	kwgi_udp_close(&a);
}
END_TEST

START_TEST(a_refused_burst_goes_one_by_one_and_is_remembered)
{
	static uint8_t data[1000];
	struct kwgi_udp a = open_any(), b = open_any();
	struct iovec iov = { data, sizeof(data) };
	struct kwgi_udp_out out = {
		.to = to_v4("127.0.0.1", b.port), .iov = &iov, .n_iov = 1, .gso_size = 100,
	};
	int checksum_off = 1;
	uint64_t resent;

	if (!a.gso) {
		kwgi_udp_close(&a);
		kwgi_udp_close(&b);
		return;
	}
	fill(data, sizeof(data));
	/* Linux refuses UDP_SEGMENT without checksums: EINVAL (net/ipv4/udp.c, udp_send_skb). */
	ck_assert(!setsockopt(a.fd4, SOL_SOCKET, SO_NO_CHECK, &checksum_off, sizeof(int)));
	ck_assert_uint_eq(kwgi_udp_send(&a, &out, 1, 5), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT | KWGI_UDP_ONE_BY_ONE);
	receive_text(&b, b.fd4, data, sizeof(data), 100);
	resent = a.stats.resent;
	ck_assert_uint_eq(resent, 1);

	/* Known now: no second refusal, also for another port there. */
	out.to.v4.sin_port = htons(b.port);
	ck_assert_uint_eq(kwgi_udp_send(&a, &out, 1, 6), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT | KWGI_UDP_ONE_BY_ONE);
	receive_text(&b, b.fd4, data, sizeof(data), 100);
	ck_assert_uint_eq(a.stats.resent, 1);

	/* Smaller ones are tried, and everything again after ten minutes. */
	checksum_off = 0;
	ck_assert(!setsockopt(a.fd4, SOL_SOCKET, SO_NO_CHECK, &checksum_off, sizeof(int)));
	out.gso_size = 99;
	ck_assert_uint_eq(kwgi_udp_send(&a, &out, 1, 7), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT);
	receive_text(&b, b.fd4, data, sizeof(data), 99);
	out.gso_size = 100;
	ck_assert_uint_eq(kwgi_udp_send(&a, &out, 1, 601000000000ull), 0);
	ck_assert_uint_eq(out.result, KWGI_UDP_SENT);
	receive_text(&b, b.fd4, data, sizeof(data), 100);
	kwgi_udp_close(&a);
	kwgi_udp_close(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, both_families_have_one_port);
	tcase_add_test(tc, a_taken_port_is_refused);
	tcase_add_test(tc, a_port_taken_in_ipv6_only_is_refused);
	tcase_add_test(tc, several_pairs_share_the_flows_of_one_port);
	tcase_add_test(tc, addresses_tos_and_source_come_along);
	tcase_add_test(tc, a_shared_object_sends_and_receives);
	tcase_add_test(tc, nothing_there_is_no_error);
	tcase_add_test(tc, what_is_too_large_for_its_buffer_is_dropped);
	tcase_add_test(tc, bursts_arrive_whole);
	tcase_add_test(tc, a_burst_that_no_kernel_takes_is_cut);
	tcase_add_test(tc, many_bursts_and_datagrams_keep_their_order);
	tcase_add_test(tc, errors_take_only_their_own_message);
	tcase_add_test(tc, a_source_that_is_gone_is_left_out);
	tcase_add_test(tc, the_interface_of_a_source_is_not_used);
	tcase_add_test(tc, a_source_of_the_other_family_is_not_used);
	tcase_add_test(tc, a_refused_burst_goes_one_by_one_and_is_remembered);
}

int main(void)
{
	return unit_run("udp", add);
}
