/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A scripted WireGuard speaker: what a peer, or an attacker who knows some of
 * the keys, can send to a live device, with nothing done by itself. Made of the
 * library's cryptography, which has known answers of its own to pass.
 */
#ifndef WGPEER_H
#define WGPEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/cookie.h"
#include "dp/noise.h"

enum { PROTO = 253, DATAGRAM = 65536 };	/* RFC 3692: an inner protocol of nobody */

/* A peer of the target. Its inner address is 10.9.0.2 and up, its port 60000 and up. */
struct speaker {
	struct kwgi_identity id;
	struct kwgi_remote target;
	struct kwgi_cookie_maker maker;
	struct kwgi_cookie_checker checker;	/* mac1 of messages to us */
	struct kwgi_handshake handshake;
	struct kwgi_session_keys keys;
	uint32_t local_index, remote_index;	/* of the session */
	uint64_t counter;
	uint64_t last_initiation;		/* when; see space_initiations() */
	uint64_t session_since;
	int fd, fd2;				/* fd2: the same peer at another port */
	uint8_t inner[4];
};

struct heard {
	uint8_t data[DATAGRAM];
	size_t len;
	uint8_t tos;
};

/* What the program was started for. */
struct target {
	const char *netns, *uapi;
	struct sockaddr_in address;
	struct kwgi_key key;
	int sniff;		/* all packets of its wg0 */
	int raw;		/* sends packets of PROTO as its host */
	int proc_udp;		/* /proc/net/udp there */
};
extern struct target target;

/* ---- TAP ---- */
__attribute__((format(printf, 2, 3))) bool ok(bool passed, const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
__attribute__((noreturn)) void bail(const char *text);
int finish(void);

/* ---- time ---- */
uint64_t now_ns(void);
/* Until the device may accept another initiation of this peer (one in 20 ms). */
void space_initiations(struct speaker *s);

/* ---- sending and hearing ---- */
void target_open(char **args);	/* NETNS UAPI-SOCKET PUBLIC-KEY */
void speaker_open(struct speaker *s, unsigned number, const char *key_file);
void speaker_open_with(struct speaker *s, unsigned number, const struct kwgi_key *key);
void say_to(int fd, const void *msg, size_t len);
/* False if nothing comes within so many ms. */
bool hear(int fd, struct heard *m, int ms);
void drain(int fd);
uint32_t type_of(const struct heard *m);

/* ---- handshakes ---- */
/* Each later than all before. */
void next_timestamp(uint8_t out[KWGI_TIMESTAMP_LEN]);
void make_initiation(struct speaker *s, struct kwgi_initiation *msg, const uint8_t *timestamp);
/* mac1 of a message that was changed. */
void repair_mac1(void *msg, size_t len);
/* Takes a response of the target over. */
bool take_response(struct speaker *s, const struct heard *m);
/* Answers an initiation of the target. False if it is not what it should be. */
bool make_response(struct speaker *s, struct kwgi_response *msg, const struct heard *m,
		   struct kwgi_opened_initiation *o);
/* A whole handshake, with the first transport message. */
bool handshake(struct speaker *s);

/* ---- transport ---- */
/* Writes a message; returns its length. */
size_t seal(const struct speaker *s, uint8_t *msg, uint64_t counter, const void *packet,
	    size_t len);
bool open_message(const struct speaker *s, struct heard *m, uint8_t **packet, size_t *len);
/* An inner packet of PROTO with n bytes of content, from source (NULL: its own). */
size_t inner_packet(const struct speaker *s, uint8_t *out, const uint8_t *source, uint8_t tos,
		    size_t n);
void send_packet(struct speaker *s, int fd, const void *packet, size_t len);
void send_keepalive(struct speaker *s, int fd);
/* Pings the target's host through the tunnel. False without answer within so many ms. */
bool ping(struct speaker *s, int ms);

/* ---- what became of it ---- */
/*
 * All that was sent before has been worked off: two packets of another peer went
 * to the host and back, with a turn of the device's loop between them.
 */
void settle(void);
extern struct speaker *settler;
/* Nothing but keepalives of the session was heard at fd; settles first. */
bool silent(const struct speaker *s, int fd);
/* Counts packets of a protocol that came out of the tunnel since last asked; the last one. */
unsigned delivered(uint8_t proto, uint8_t *last, size_t *len);
/* What the device says about a peer, to be freed. */
char *state_of(const struct speaker *s);
bool state_is(const struct speaker *s, const char *state);
/* The port of its endpoint, or 0. */
unsigned port_of(const struct speaker *s);
/* As the target's host sends: a packet of PROTO to 10.9.0.LAST. */
void host_sends(unsigned last, uint8_t tos);

/* ---- attack_load.c ---- */
/* silent_one: the device has its endpoint, but no session with it. */
void check_flood(struct speaker *session, struct speaker *other, struct speaker *silent_one);
void check_mac2_of_response(struct speaker *s);
void check_noise(struct speaker *session, struct speaker *other, unsigned count);

#endif
