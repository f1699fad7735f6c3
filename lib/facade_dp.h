/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What the parts of the facade over lib/dp share. */
#ifndef KWGI_FACADE_DP_H
#define KWGI_FACADE_DP_H

#include <stddef.h>

#include "dp/protocol.h"
#include "kilowg.h"

enum { KWGI_DATAGRAM_MAX = 65536 };

struct kwg_device {
	struct kwgi_device *d;
	struct kwg_device_callbacks cb;
	uint8_t room[KWG_HEADROOM + KWGI_DATAGRAM_MAX + KWG_TAILROOM];	/* for copies */
};

/* Random bytes by libsodium, which is initialised; for struct kwgi_device_io. */
void kwgi_system_random(void *arg, void *out, size_t len);

/* Carries a change out and sends what it makes due. KWG_ERR_KERNEL with the errno, KWG_ERR_NOMEM. */
int kwgi_device_change(struct kwg_device *dev, const struct kwgi_uapi_set *set,
		       const struct kwgi_time *t, struct kwg_error *err);

#endif
