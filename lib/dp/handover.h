/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * A device as bytes, for the process that goes on with it: configuration, sessions, timers and
 * waiting packets. Numbers are of this machine, times those of its clocks: bytes of another boot
 * are of no use. They hold all keys.
 *
 * Send counters and replay windows must never go back. So whoever saves a device sends and
 * receives nothing any more, unless nobody has loaded it: see userspace/takeover.h.
 */
#ifndef KWGI_DP_HANDOVER_H
#define KWGI_DP_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "dp/device.h"

/*
 * Of these bytes. A change to what is in them, to their order or to a length that is one of theirs
 * is a new version; tests/vectors/handover-1.txt has some of this one.
 */
enum { KWGI_HANDOVER_VERSION = 1 };

/* The device is held alone. How many bytes it takes. */
size_t kwgi_handover_size(struct kwgi_device *d);
/* Writes them; len is what kwgi_handover_size() has said. */
void kwgi_handover_save(struct kwgi_device *d, uint8_t *out, size_t len);

/*
 * Takes them into a device without private key and peers. -1 if they are not of this version
 * whole and in order, or without memory: the device may only be freed then. Nothing is sent.
 */
int kwgi_handover_load(struct kwgi_device *d, const uint8_t *in, size_t len);

#endif
