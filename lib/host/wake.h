/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The first packet of a device that was made anew, and to a peer that takes the place of another. */
#ifndef KWGI_WAKE_H
#define KWGI_WAKE_H

#include "steps/step.h"

/*
 * A new device is quiet until this host sends something, and until then what
 * peers send to the one that it replaces is lost, for up to 15 seconds. So each
 * peer with an endpoint is sent a handshake, after the steps, if they have made
 * the device or set it up. So is a peer that gets allowed IPs of another, e.g.
 * the new leader of a location: it may have tried in vain before it was known
 * here, and tries again every 5 seconds only. KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
int kwgi_wake(const struct kwgi_steps *s, struct kwg_error *err);

#endif
