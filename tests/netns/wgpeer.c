/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "sys/ctypes.h"
#include "tests/netns/wgpeer.h"

enum {
	TARGET_PORT = 51820, FIRST_PORT = 10000, PORTS_APART = 10000,
	ANSWER = 20000, SETTLED = 20000,	/* ms, on a busy machine */
};

struct target target;
struct speaker *settler;
static unsigned n_tests, n_failed;

/* ---- TAP -------------------------------------------------------------------------- */

bool ok(bool passed, const char *fmt, ...)
{
	va_list ap;

	n_failed += !passed;
	printf("%s %u - ", passed ? "ok" : "not ok", ++n_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	return passed;
}

void say(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void bail(const char *text)
{
	printf("not ok %u - %s: %s\n", ++n_tests, text, strerror(errno));
	exit(1);
}

int finish(void)
{
	return n_failed ? 1 : 0;
}

/* ---- time ------------------------------------------------------------------------- */

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * KWGI_SECOND + (uint64_t)t.tv_nsec;
}

void space_initiations(struct speaker *s)
{
	uint64_t until = s->last_initiation + INITIATIONS_INTERVAL + KWGI_MS;
	struct timespec t = { (time_t)(until / KWGI_SECOND), (long)(until % KWGI_SECOND) };

	while (now_ns() < until)
		clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL);
}

/* ---- sockets ---------------------------------------------------------------------- */

static int udp_socket(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int on = 1, size = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (void *)&a, sizeof(a)) ||
	    setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)))
		bail("UDP socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

/* Sockets in the target's namespace: what its host sees and says. */
static void open_host(void)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int own = open("/proc/self/ns/net", O_RDONLY), other = open(target.netns, O_RDONLY);
	int size = 8 << 20;

	if (own < 0 || other < 0 || setns(other, CLONE_NEWNET))
		bail(target.netns);
	target.sniff = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
	a.sll_ifindex = (int)if_nametoindex("wg0");
	if (target.sniff < 0 || bind(target.sniff, (void *)&a, sizeof(a)))
		bail("packet socket");
	setsockopt(target.sniff, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	target.raw = socket(AF_INET, SOCK_RAW, PROTO);
	target.proc_udp = open("/proc/thread-self/net/udp", O_RDONLY | O_CLOEXEC);
	if (target.raw < 0 || target.proc_udp < 0 || setns(own, CLONE_NEWNET))
		bail("raw socket");
	close(own);
	close(other);
}

void target_open(char **args)
{
	target.netns = args[0];
	target.uapi = args[1];
	if (sodium_init() < 0 || kwgi_key_parse(&target.key, args[2]))
		bail("key of the target");
	target.address.sin_family = AF_INET;
	target.address.sin_port = htons(TARGET_PORT);
	inet_pton(AF_INET, "192.0.2.1", &target.address.sin_addr);
	open_host();
}

static void read_key(struct kwgi_key *key, const char *file)
{
	char text[KWGI_KEY_TEXT] = { 0 };
	FILE *f = fopen(file, "r");

	if (!f || fread(text, 1, KWGI_KEY_TEXT - 1, f) != KWGI_KEY_TEXT - 1 ||
	    kwgi_key_parse(key, text))
		bail(file);
	fclose(f);
}

void speaker_open(struct speaker *s, unsigned number, const char *key_file)
{
	struct kwgi_key key;

	read_key(&key, key_file);
	speaker_open_with(s, number, &key);
}

void speaker_open_with(struct speaker *s, unsigned number, const struct kwgi_key *key)
{
	memset(s, 0, sizeof(*s));
	kwgi_identity_set(&s->id, key);
	s->target.static_public = target.key;
	kwgi_remote_precompute(&s->target, &s->id);
	kwgi_cookie_keys(s->maker.mac1_key, s->maker.cookie_key, &target.key);
	kwgi_cookie_keys(s->checker.mac1_key, s->checker.cookie_key, &s->id.public_key);
	s->fd = udp_socket(FIRST_PORT + number);
	s->fd2 = udp_socket(FIRST_PORT + PORTS_APART + number);
	memcpy(s->inner, (uint8_t[]){ 10, 9, (uint8_t)(number / 250), (uint8_t)(2 + number % 250) }, 4);
}

void say_to(int fd, const void *msg, size_t len)
{
	if (sendto(fd, msg, len, 0, (void *)&target.address, sizeof(target.address)) < 0)
		bail("sendto");
}

bool hear(int fd, struct heard *m, int ms)
{
	uint8_t control[128];
	struct iovec iov = { m->data, sizeof(m->data) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct cmsghdr *c;
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return false;
	n = recvmsg(fd, &h, MSG_DONTWAIT);
	if (n < 0)
		return false;
	m->len = (size_t)n;
	for (c = CMSG_FIRSTHDR(&h); c; c = kwgi_cmsg_next(&h, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			m->tos = *CMSG_DATA(c);
	return true;
}

void drain(int fd)
{
	static struct heard m;

	while (hear(fd, &m, 0))
		;
}

uint32_t type_of(const struct heard *m)
{
	return m->len < 4 ? 0 : kwgi_get32(m->data);
}

/* ---- handshakes --------------------------------------------------------------------- */

void next_timestamp(uint8_t out[KWGI_TIMESTAMP_LEN])
{
	static uint64_t wall;

	if (!wall)
		wall = (uint64_t)time(NULL) * KWGI_SECOND;
	wall += 1 << 24;
	kwgi_tai64n(out, wall);
}

void make_initiation(struct speaker *s, struct kwgi_initiation *msg, const uint8_t *timestamp)
{
	uint8_t own[KWGI_TIMESTAMP_LEN], random[32];

	if (!timestamp)
		next_timestamp(own);
	randombytes_buf(random, sizeof(random));
	s->handshake.local_index = randombytes_random();
	if (!kwgi_noise_create_initiation(msg, &s->handshake, &s->id, &s->target, random,
					  timestamp ? timestamp : own))
		bail("initiation");
	kwgi_cookie_add_macs(&s->maker, (uint8_t *)msg, sizeof(*msg), now_ns());
}

void repair_mac1(void *msg, size_t len)
{
	struct kwgi_cookie_maker m;

	memset(&m, 0, sizeof(m));
	kwgi_cookie_keys(m.mac1_key, m.cookie_key, &target.key);
	kwgi_cookie_add_macs(&m, msg, len, now_ns());
}

bool take_response(struct speaker *s, const struct heard *m)
{
	const struct kwgi_response *msg = (const void *)m->data;

	if (type_of(m) != KWGI_MSG_RESPONSE || m->len != sizeof(*msg) ||
	    kwgi_get32(msg->receiver) != s->handshake.local_index ||
	    !kwgi_cookie_mac1_ok(&s->checker, m->data, m->len))
		return false;
	if (!kwgi_noise_consume_response(&s->keys, &s->handshake, msg, &s->id, &s->target))
		return false;
	s->local_index = s->handshake.local_index;
	s->remote_index = s->handshake.remote_index;
	s->counter = 0;
	s->session_since = now_ns();
	return true;
}

bool make_response(struct speaker *s, struct kwgi_response *msg, const struct heard *m,
		   struct kwgi_opened_initiation *o)
{
	const struct kwgi_initiation *in = (const void *)m->data;
	uint8_t random[32];

	if (type_of(m) != KWGI_MSG_INITIATION || m->len != sizeof(*in) ||
	    !kwgi_cookie_mac1_ok(&s->checker, m->data, m->len) ||
	    !kwgi_noise_open_static(o, in, &s->id) ||
	    memcmp(o->static_public, target.key.b, sizeof(o->static_public)) ||
	    !kwgi_noise_open_timestamp(o, in, &s->target))
		return false;
	randombytes_buf(random, sizeof(random));
	s->local_index = randombytes_random();
	s->remote_index = kwgi_get32(in->sender);
	s->counter = 0;
	if (!kwgi_noise_create_response(msg, &s->keys, o, &s->target, s->local_index, random))
		return false;
	kwgi_cookie_add_macs(&s->maker, (uint8_t *)msg, sizeof(*msg), now_ns());
	return true;
}

bool handshake(struct speaker *s)
{
	static struct heard m;
	struct kwgi_initiation msg;

	space_initiations(s);
	make_initiation(s, &msg, NULL);
	say_to(s->fd, &msg, sizeof(msg));
	while (hear(s->fd, &m, ANSWER)) {
		s->last_initiation = now_ns();
		if (!take_response(s, &m))
			continue;
		send_keepalive(s, s->fd);
		return true;
	}
	return false;
}

/* ---- transport ------------------------------------------------------------------------- */

size_t seal(const struct speaker *s, uint8_t *msg, uint64_t counter, const void *packet,
	    size_t len)
{
	size_t padded = (len + 15) / 16 * 16;
	uint8_t nonce[12] = { 0 };

	kwgi_put32(msg, KWGI_MSG_TRANSPORT);
	kwgi_put32(msg + 4, s->remote_index);
	kwgi_put64(msg + 8, counter);
	kwgi_put64(nonce + 4, counter);
	memset(msg + 16, 0, padded);
	if (len)
		memcpy(msg + 16, packet, len);
	crypto_aead_chacha20poly1305_ietf_encrypt(msg + 16, NULL, msg + 16, padded, NULL, 0, NULL,
						  nonce, s->keys.send.b);
	return 16 + padded + 16;
}

bool open_message(const struct speaker *s, struct heard *m, uint8_t **packet, size_t *len)
{
	uint8_t nonce[12] = { 0 };

	if (type_of(m) != KWGI_MSG_TRANSPORT || m->len < KWGI_TRANSPORT_MIN ||
	    kwgi_get32(m->data + 4) != s->local_index)
		return false;
	memcpy(nonce + 4, m->data + 8, 8);
	*packet = m->data + 16;
	*len = m->len - KWGI_TRANSPORT_MIN;
	return !crypto_aead_chacha20poly1305_ietf_decrypt(*packet, NULL, NULL, *packet,
							  m->len - 16, NULL, 0, nonce,
							  s->keys.receive.b);
}

static uint16_t checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void ip_header(uint8_t *p, const uint8_t source[4], const uint8_t to[4], uint8_t proto,
		      uint8_t tos, size_t len)
{
	uint16_t sum;

	memset(p, 0, 20);
	p[0] = 0x45;
	p[1] = tos;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	p[8] = 64;
	p[9] = proto;
	memcpy(p + 12, source, 4);
	memcpy(p + 16, to, 4);
	sum = checksum(p, 20);
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
}

size_t inner_packet(const struct speaker *s, uint8_t *out, const uint8_t *source, uint8_t tos,
		    size_t n)
{
	/* A group that the host has not joined: it sees the packet and answers nothing. */
	ip_header(out, source ? source : s->inner, (uint8_t[]){ 224, 0, 0, 99 }, PROTO, tos,
		  20 + n);
	memset(out + 20, 0xa5, n);
	return 20 + n;
}

void send_packet(struct speaker *s, int fd, const void *packet, size_t len)
{
	static uint8_t msg[DATAGRAM];

	say_to(fd, msg, seal(s, msg, s->counter++, packet, len));
}

void send_keepalive(struct speaker *s, int fd)
{
	send_packet(s, fd, NULL, 0);
}

bool ping(struct speaker *s, int ms)
{
	static struct heard m;
	static uint16_t id;
	uint8_t p[28] = { 0 }, *answer;
	uint64_t end = now_ns() + (uint64_t)ms * KWGI_MS;
	uint16_t sum;
	size_t len;

	id++;
	ip_header(p, s->inner, (uint8_t[]){ 10, 9, 0, 1 }, IPPROTO_ICMP, 0, sizeof(p));
	p[20] = 8;
	memcpy(p + 24, &id, sizeof(id));
	sum = checksum(p + 20, 8);
	p[22] = (uint8_t)(sum >> 8);
	p[23] = (uint8_t)sum;
	send_packet(s, s->fd, p, sizeof(p));
	while (now_ns() < end)
		if (hear(s->fd, &m, ms) && open_message(s, &m, &answer, &len) && len >= 28 &&
		    answer[9] == IPPROTO_ICMP && answer[20] == 0 && !memcmp(answer + 24, &id, 2))
			return true;
	return false;
}

/* ---- what became of it ------------------------------------------------------------------ */

/* A session ends after three minutes, and a busy machine may take longer for all. */
static void renew_settler(void)
{
	if (now_ns() - settler->session_since > 60 * KWGI_SECOND && !handshake(settler))
		bail("the device answers no initiation any more");
}

void settle(void)
{
	renew_settler();
	if (!ping(settler, SETTLED) || !ping(settler, SETTLED))
		bail("the device does not serve any more");
}

bool silent(const struct speaker *s, int fd)
{
	static struct heard m;
	bool quiet = true;
	uint8_t *packet;
	size_t len;

	settle();
	while (hear(fd, &m, 0)) {
		if (open_message(s, &m, &packet, &len) && !len)
			continue;
		say("heard type %u, %zu bytes", type_of(&m), m.len);
		quiet = false;
	}
	return quiet;
}

unsigned delivered(uint8_t proto, uint8_t *last, size_t *len)
{
	static uint8_t p[DATAGRAM];
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	unsigned count = 0;
	ssize_t n;

	for (;;) {
		n = recvfrom(target.sniff, p, sizeof(p), MSG_DONTWAIT, (void *)&from, &from_len);
		if (n < 0)
			return count;
		if (from.sll_pkttype == PACKET_OUTGOING || n < 20 || p[9] != proto)
			continue;
		count++;
		if (last) {
			memcpy(last, p, (size_t)n);
			*len = (size_t)n;
		}
	}
}

static char *ask(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char *text = calloc(1, 1 << 20);
	size_t len = 0;
	ssize_t n;

	strncpy(a.sun_path, target.uapi, sizeof(a.sun_path) - 1);
	if (fd < 0 || !text || connect(fd, (void *)&a, sizeof(a)) || write(fd, "get=1\n\n", 7) != 7)
		bail(target.uapi);
	while (!strstr(text, "errno=") && (n = read(fd, text + len, (1 << 20) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	return text;
}

char *state_of(const struct speaker *s)
{
	char line[96] = "public_key=", *text = ask(), *from, *to, *state;

	kwgi_key_format_hex(line + strlen(line), &s->id.public_key);
	from = strstr(text, line);
	if (!from)
		bail("the device has lost a peer");
	to = strstr(from + 1, "public_key=");
	state = strndup(from, to ? (size_t)(to - from) : strlen(from));
	free(text);
	return state;
}

bool state_is(const struct speaker *s, const char *state)
{
	char *is = state_of(s);
	bool same = !strcmp(is, state);

	if (!same)
		say("state was %zu bytes, is:\n%s", strlen(state), is);
	free(is);
	return same;
}

unsigned port_of(const struct speaker *s)
{
	char *text = state_of(s), *p = strstr(text, "endpoint=");
	unsigned port = 0;

	if (p)
		sscanf(p, "endpoint=192.0.2.2:%u", &port);
	free(text);
	return port;
}

void host_sends(unsigned last, uint8_t tos)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(0x0a090000 | last) };
	int value = tos;

	setsockopt(target.raw, IPPROTO_IP, IP_TOS, &value, sizeof(value));
	/* That nobody is there may be told by the call, too. */
	(void)!sendto(target.raw, "content", 7, 0, (void *)&a, sizeof(a));
}
