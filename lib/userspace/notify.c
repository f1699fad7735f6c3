/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "userspace/notify.h"

int kwgi_notify(const char *socket_name, const char *state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t len;
	int fd, e = 0;

	if (!socket_name || !*socket_name)
		return 0;
	len = strlen(socket_name);
	if ((*socket_name != '/' && *socket_name != '@') || len >= sizeof(sa.sun_path))
		return EINVAL;
	memcpy(sa.sun_path, socket_name, len);
	/* unix(7): an abstract name begins with a NUL and is as long as the address says. */
	if (*socket_name == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		e = errno;
	close(fd);
	return e;
}
