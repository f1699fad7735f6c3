/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The TUN device: the side of the tunnel that the host sees. */
#ifndef KWGI_TUN_H
#define KWGI_TUN_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "kilowg.h"

enum {
	KWGI_TUN_QUEUES = 64,	/* at most */
	KWGI_TUN_MTU = 1420,	/* of a new device */
	KWGI_TUN_VNET_HDR = 10,	/* bytes of struct virtio_net_hdr before each packet */
};

struct kwgi_tun_options {
	unsigned queues;	/* 0 and 1: a plain device; more: IFF_MULTI_QUEUE */
	bool no_vnet_hdr;	/* packets without header, and so without offloads */
	bool no_offload;	/* the header, but all packets whole and with checksums */
	bool keep_mtu;		/* of an adopted device */
};

struct kwgi_tun {
	char name[IFNAMSIZ];	/* at the time of opening */
	int fd[KWGI_TUN_QUEUES];	/* one for each queue: non-blocking, close-on-exec */
	unsigned queues;
	/*
	 * Every read and write begins with KWGI_TUN_VNET_HDR bytes, native endian. Without it a
	 * read or write is just the packet.
	 */
	bool vnet_hdr;
	/* What the host may hand us, and we it. tso implies csum, uso implies tso. */
	bool csum;		/* packets with partial checksums */
	bool tso;		/* TCP packets over IPv4 and IPv6 to be segmented */
	bool uso;		/* UDP packets to be segmented */
};

/*
 * 1 to 15 bytes, no '/', no white space or control character, no ':' (the
 * kernel refuses it), no '%' (it would be a pattern to it), not "." or "..".
 * KWG_ERR_USAGE with a text that names the reason.
 */
int kwgi_tun_check_name(const char *name, struct kwg_error *err);

/*
 * Makes the device, exclusively: it is down, has the MTU of KWGI_TUN_MTU, and
 * goes with its last descriptor. KWG_ERR_USAGE (name), KWG_ERR_KERNEL with
 * EBUSY (the name is taken), ENOENT (no /dev/net/tun), EPERM and others.
 */
int kwgi_tun_open(struct kwgi_tun *t, const char *name, const struct kwgi_tun_options *o,
		  struct kwg_error *err);

/*
 * Takes a descriptor that somebody else attached to a device (WG_TUN_FD). It
 * belongs to *t on success only. Whether there are headers is as it is;
 * o->queues is not looked at. KWG_ERR_KERNEL, KWG_ERR_USAGE if it is no TUN device
 * or packets have another prefix.
 */
int kwgi_tun_adopt(struct kwgi_tun *t, int fd, const struct kwgi_tun_options *o,
		   struct kwg_error *err);

/* One more queue of an adopted device; it belongs to *t on success only. KWG_ERR_USAGE, KWG_ERR_KERNEL. */
int kwgi_tun_adopt_queue(struct kwgi_tun *t, int fd, struct kwg_error *err);

/* Closes all queues; with the last one the device goes, unless it was made persistent. */
void kwgi_tun_close(struct kwgi_tun *t);

/* "checksums, TSO, USO" or "none", for a log line. */
const char *kwgi_tun_offloads(const struct kwgi_tun *t);

#endif
