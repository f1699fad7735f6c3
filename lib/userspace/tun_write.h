/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Packets for the host, many with one system call: with asynchronous I/O (io_submit(2)), which a
 * TUN device carries out at once. It is not for the call itself: a receiver that a packet wakes
 * does not run before the last one is there, where it would have run after each of them.
 */
#ifndef KWGI_TUN_WRITE_H
#define KWGI_TUN_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/aio_abi.h>

#include "dp/coalesce.h"

enum {
	KWGI_TUN_WRITES = 64,	/* of one system call */
};

/* One per thread. */
struct kwgi_tun_writer {
	aio_context_t context;	/* 0: one writev(2) for each write */
	struct iocb requests[KWGI_TUN_WRITES];
	struct iocb *list[KWGI_TUN_WRITES];
	struct io_event results[KWGI_TUN_WRITES];
};

/*
 * batched: many at once, if the kernel can (CONFIG_AIO) and lets this process (fs.aio-max-nr).
 * Before a sandbox is entered. Needs kwgi_tun_writer_free() in any case.
 */
void kwgi_tun_writer_init(struct kwgi_tun_writer *w, bool batched);
void kwgi_tun_writer_free(struct kwgi_tun_writer *w);

/*
 * Writes all of v, in their order, to fd, a TUN device that does not block. A write that fails is
 * left out: the link is down, or the host has no memory.
 */
void kwgi_tun_write(struct kwgi_tun_writer *w, int fd, const struct kwgi_write *v, unsigned n);

#endif
