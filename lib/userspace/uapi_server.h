/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The server side of the userspace WireGuard socket: it collects whole
 * requests and writes answers, and knows nothing of what they say. No client
 * can hold up another one or the caller.
 */
#ifndef KWGI_UAPI_SERVER_H
#define KWGI_UAPI_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "kilowg.h"

/*
 * One request with the empty line that ends it: what kwgi_uapi_parse() reads. Its
 * first line is "get=1" or "set=1".
 * Puts the answer with its "errno=N" line and empty line at the end into
 * *answer. Not 0: the connection ends after the answer. Secrets: the server wipes both.
 */
typedef int kwgi_uapi_handle(void *arg, const char *request, size_t len, struct kwgi_buf *answer);

struct kwgi_uapi_server_options {
	const char *dir;	/* NULL: /var/run/wireguard; made (0755) if missing */
	const char *ifname;	/* the socket is dir/ifname.sock */
	int fd;			/* -1, or a listening socket that somebody else made (WG_UAPI_FD) */
	/* fd is of a predecessor, whose socket had this inode; 0: it is not. */
	dev_t dev;
	ino_t ino;
	bool hands_over;	/* "handover=1" is understood */
	kwgi_uapi_handle *handle;
	void *arg;
};

struct kwgi_uapi_server;

enum { KWGI_UAPI_REMOVED = 1 };

/*
 * Binds and listens; the socket answers as soon as its name exists. A socket
 * there that refuses connections is replaced; if one answers: KWG_ERR_KERNEL
 * with EADDRINUSE, and nothing is touched. o is not kept but for handle and
 * arg. KWG_ERR_KERNEL, KWG_ERR_USAGE, KWG_ERR_NOMEM. An adopted fd belongs to *out on success only.
 */
int kwgi_uapi_server_open(struct kwgi_uapi_server **out, const struct kwgi_uapi_server_options *o,
			  struct kwg_error *err);

/* Ends all connections, wipes, and removes the socket's name if it still is our socket. */
void kwgi_uapi_server_close(struct kwgi_uapi_server *s);

/*
 * Who has asked for all by "handover=1": that connection, without anything that was not read, which
 * is the caller's from now on; -1: nobody.
 */
int kwgi_uapi_server_asker(struct kwgi_uapi_server *s);

/*
 * A client of our own process, on a connected socket that does not block; it belongs to the server
 * on success, and keeps its place however long it is silent. 0 or an errno.
 */
int kwgi_uapi_server_add(struct kwgi_uapi_server *s, int fd);

/* SO_PEERCRED tells clients of this process from now on, not of that which made the socket. */
void kwgi_uapi_server_is_ours(struct kwgi_uapi_server *s);

/* What a successor needs: the socket, and the inode of its name, 0 if that is not ours. */
int kwgi_uapi_server_listener(const struct kwgi_uapi_server *s, uint64_t *dev, uint64_t *ino);

/* The folder of its name, for kwgi_sandbox_enter(). */
int kwgi_uapi_server_folder(const struct kwgi_uapi_server *s);

/* Closes all without touching the name: it is a successor's now. */
void kwgi_uapi_server_abandon(struct kwgi_uapi_server *s);

/* To be polled for reading (it is an epoll descriptor). */
int kwgi_uapi_server_fd(const struct kwgi_uapi_server *s);

/* When process() is next due even if fd is quiet; CLOCK_BOOTTIME ns, UINT64_MAX: never. */
uint64_t kwgi_uapi_server_deadline(const struct kwgi_uapi_server *s);

/*
 * Does what can be done without waiting, and a bounded amount of it. Calls
 * handle(). 0, or KWGI_UAPI_REMOVED once the socket's name was removed or
 * replaced by somebody: the sign, with other implementations, to end.
 */
int kwgi_uapi_server_process(struct kwgi_uapi_server *s, uint64_t now);

#endif
