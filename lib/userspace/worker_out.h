/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* From the TUN device to the sockets: read and split, seal, send in bursts. */
#ifndef KWGI_WORKER_OUT_H
#define KWGI_WORKER_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dp/split.h"
#include "userspace/worker.h"

enum {
	KWGI_OUT_SEGMENTS = 2048,	/* packets of one turn from the TUN; one read has up to KWGI_SPLIT_SEGMENTS */
	KWGI_OUT_ARENA = 512 * 1024,
};

struct kwgi_worker_out {
	struct kwgi_split split;
	uint8_t *arena;
	struct kwgi_segment segments[KWGI_SPLIT_SEGMENTS];
	struct kwgi_outgoing packets[KWGI_OUT_SEGMENTS];
	struct kwgi_udp_out bursts[KWGI_UDP_BATCH];
	struct iovec iov[KWGI_BATCH];	/* of bursts */
};

/* 0 or -1 without memory. */
int kwgi_worker_out_init(struct kwgi_worker *w);
void kwgi_worker_out_free(struct kwgi_worker *w);

/*
 * Takes in what is there, a bounded amount, and passes it on. False if the TUN
 * device is of no use any more.
 */
bool kwgi_worker_read_tun(struct kwgi_worker *w);

/* Sends one datagram, for struct kwgi_device_io; the worker holds the device alone. */
void kwgi_worker_send(struct kwgi_worker *w, struct kwgi_path *to, const uint8_t *msg, size_t len,
		      uint8_t tos);

#endif
