/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* From the sockets to the TUN device: receive, open, coalesce, write. */
#ifndef KWGI_WORKER_IN_H
#define KWGI_WORKER_IN_H

#include <stdint.h>

#include "dp/coalesce.h"
#include "userspace/tun_write.h"
#include "userspace/worker.h"

enum { KWGI_IN_MESSAGES = 32 };		/* of one recvmmsg() */

struct kwgi_worker_in {
	uint8_t *buffers;
	struct kwgi_udp_in messages[KWGI_IN_MESSAGES];
	struct kwgi_path from[KWGI_IN_MESSAGES];
	struct kwgi_incoming batch[KWGI_BATCH];
	unsigned n;			/* in batch */
	struct kwgi_coalesce coalesce;
	struct kwgi_tun_writer writer;
};

/* 0 or -1 without memory. */
int kwgi_worker_in_init(struct kwgi_worker *w);
void kwgi_worker_in_free(struct kwgi_worker *w);

/* Takes in what is there, a bounded amount, and passes it on. family: 4 or 6. */
void kwgi_worker_read_udp(struct kwgi_worker *w, int family);
/* The same with the port before. Returns whether anything was there. */
bool kwgi_worker_read_former(struct kwgi_worker *w, int family);

#endif
