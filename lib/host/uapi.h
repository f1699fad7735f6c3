/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Userspace WireGuard over its socket (wireguard.com/xplatform, "Cross-platform
 * Userspace Implementation"), with the quirks of the daemons that people run.
 */
#ifndef KWGI_UAPI_H
#define KWGI_UAPI_H

#include "host/stop.h"
#include "host/wg.h"

/* Where all userspace WireGuards have their sockets. */
#define KWGI_UAPI_DIR "/var/run/wireguard"

/*
 * Connects to the device of the daemon that answers for ifname. On errors *w is all zero.
 * KWG_ERR_KERNEL if there is none, KWG_ERR_USAGE if the name is too long.
 */
int kwgi_uapi_open(struct kwgi_wg *w, const char *ifname, struct kwg_error *err);

/* A connection to the daemon of this interface, closed by the caller; -1 with errno. */
int kwgi_uapi_connect(const char *ifname);

/* Does a daemon accept connections for this interface, or will it, once it is less busy? */
bool kwgi_uapi_answers(const char *ifname);

/*
 * A request without effect, and its answer: who accepts connections need not
 * be ready for them yet. KWG_ERR_KERNEL.
 */
int kwgi_uapi_greet(const char *ifname, struct kwg_error *err);

/*
 * Waits until one does; deadline in ms of the monotonic clock. A socket that
 * a dead daemon left does not count. stop may be NULL. KWG_ERR_TIMEOUT,
 * KWG_ERR_KERNEL, KWG_ERR_STOPPED.
 */
int kwgi_uapi_wait(const char *ifname, int64_t deadline, const struct kwgi_stop *stop,
		   struct kwg_error *err);

#endif
