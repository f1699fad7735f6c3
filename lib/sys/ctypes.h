/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#ifndef KWGI_CTYPES_H
#define KWGI_CTYPES_H

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

/*
 * What C libraries have different types for: a number of buffers is an int where POSIX is taken
 * at its word, as musl does, and a size_t in glibc; lengths of control messages are a socklen_t
 * or a size_t; a request of ioctl() is an int or an unsigned long.
 */

/* n: at most UIO_MAXIOV, 1024, which any of the types holds. */
static inline void kwgi_msg_iov(struct msghdr *m, struct iovec *iov, size_t n)
{
	m->msg_iov = iov;
	m->msg_iovlen = (uint16_t)n;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
static inline int kwgi_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static inline struct cmsghdr *kwgi_cmsg_next(struct msghdr *m, struct cmsghdr *c)
{
	return CMSG_NXTHDR(m, c);
}
#pragma GCC diagnostic pop

#endif
