/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* sd_notify(3): tells a service manager how it goes, and lets it keep descriptors. */
#ifndef KWGI_NOTIFY_H
#define KWGI_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

struct kwgi_notifier {
	int fd;				/* -1: nobody wants to know */
	struct sockaddr_un to;
	socklen_t to_len;
};

#define KWGI_NOTIFIER_NONE ((struct kwgi_notifier){ .fd = -1 })

/*
 * socket_name: the value of NOTIFY_SOCKET ("/path" or "@abstract"), NULL or "":
 * nobody wants to know. 0 or an errno; *n may be used and closed in any case.
 */
int kwgi_notifier_open(struct kwgi_notifier *n, const char *socket_name);
void kwgi_notifier_close(struct kwgi_notifier *n);

/*
 * state: "READY=1", "STOPPING=1", "STATUS=...", lines of them. fd: goes along, or -1. Returns
 * 0, also if nobody wants to know, or an errno.
 */
int kwgi_notifier_send(const struct kwgi_notifier *n, const char *state, int fd);

/* Lets n descriptors go along with a message. control: aligned, zeroed, CMSG_SPACE() of them. */
void kwgi_rights_put(struct msghdr *m, void *control, const int *fd, size_t n);

/* All three for one message. */
int kwgi_notify(const char *socket_name, const char *state);

#endif
