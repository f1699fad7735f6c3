/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "userspace/notify.h"

enum { TIMEOUT = 5 };	/* s that a manager may be busy */

int kwgi_notifier_open(struct kwgi_notifier *n, const char *socket_name)
{
	const struct timeval t = { .tv_sec = TIMEOUT };
	size_t len;

	*n = KWGI_NOTIFIER_NONE;
	if (!socket_name || !*socket_name)
		return 0;
	len = strlen(socket_name);
	if ((*socket_name != '/' && *socket_name != '@') || len >= sizeof(n->to.sun_path))
		return EINVAL;
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, socket_name, len);
	/* unix(7): an abstract name begins with a NUL and is as long as the address says. */
	if (*socket_name == '@')
		n->to.sun_path[0] = '\0';
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0)
		return errno;
	(void)setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	return 0;
}

void kwgi_notifier_close(struct kwgi_notifier *n)
{
	if (n->fd >= 0)
		close(n->fd);
	*n = KWGI_NOTIFIER_NONE;
}

static ssize_t send_again(int fd, const struct msghdr *m)
{
	ssize_t sent;

	do
		sent = sendmsg(fd, m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

void kwgi_rights_put(struct msghdr *m, void *control, const int *fd, size_t n)
{
	struct cmsghdr *c = control;

	m->msg_control = control;
	m->msg_controllen = (socklen_t)CMSG_SPACE(n * sizeof(*fd));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = (socklen_t)CMSG_LEN(n * sizeof(*fd));
	memcpy(CMSG_DATA(c), fd, n * sizeof(*fd));
}

int kwgi_notifier_send(const struct kwgi_notifier *n, const char *state, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)state, .iov_len = strlen(state) };
	struct sockaddr_un to = n->to;
	struct msghdr m = {
		.msg_name = &to, .msg_namelen = n->to_len, .msg_iov = &iov, .msg_iovlen = 1,
	};

	if (n->fd < 0)
		return 0;
	if (fd >= 0)
		kwgi_rights_put(&m, control, &fd, 1);
	return send_again(n->fd, &m) < 0 ? errno : 0;
}

int kwgi_notify(const char *socket_name, const char *state)
{
	struct kwgi_notifier n;
	int e = kwgi_notifier_open(&n, socket_name);

	if (!e)
		e = kwgi_notifier_send(&n, state, -1);
	kwgi_notifier_close(&n);
	return e;
}
