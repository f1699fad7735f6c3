/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "userspace/tun_write.h"

/* glibc has no functions for these. */

void kwgi_tun_writer_init(struct kwgi_tun_writer *w, bool batched)
{
	memset(w, 0, sizeof(*w));
	if (batched && syscall(SYS_io_setup, (unsigned)KWGI_TUN_WRITES, &w->context) < 0)
		w->context = 0;
}

void kwgi_tun_writer_free(struct kwgi_tun_writer *w)
{
	if (w->context)
		syscall(SYS_io_destroy, w->context);
	w->context = 0;
}

static void prepare(struct kwgi_tun_writer *w, int fd, const struct kwgi_write *v, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		w->requests[i] = (struct iocb){
			.aio_lio_opcode = IOCB_CMD_PWRITEV,
			.aio_fildes = (uint32_t)fd,
			.aio_buf = (__u64)(uintptr_t)v[i].iov,
			.aio_nbytes = (__u64)v[i].n,
		};
		w->list[i] = &w->requests[i];
	}
}

/* How many of the first of v, up to KWGI_TUN_WRITES, have been written or failed for good. */
static unsigned submit(struct kwgi_tun_writer *w, int fd, const struct kwgi_write *v, unsigned n)
{
	long done;

	if (n > KWGI_TUN_WRITES)
		n = KWGI_TUN_WRITES;
	prepare(w, fd, v, n);
	done = syscall(SYS_io_submit, w->context, (long)n, w->list);
	/* The results make room for the next ones; all are there already. */
	if (done > 0 && syscall(SYS_io_getevents, w->context, done, done, w->results, NULL) == done)
		return (unsigned)done;
	/* It does not work here, and will not the next time. */
	kwgi_tun_writer_free(w);
	return done > 0 ? (unsigned)done : 0;
}

void kwgi_tun_write(struct kwgi_tun_writer *w, int fd, const struct kwgi_write *v, unsigned n)
{
	unsigned i = 0;

	while (w->context && n - i > 1)
		i += submit(w, fd, v + i, n - i);
	for (; i < n; i++)
		if (writev(fd, v[i].iov, v[i].n) < 0)
			continue;
}
