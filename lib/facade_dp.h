/* SPDX-License-Identifier: ISC */
#ifndef FACADE_DP_H
#define FACADE_DP_H

#include <stddef.h>

/* Random bytes by libsodium, which is initialised; for struct kwgi_device_io. */
void kwgi_system_random(void *arg, void *out, size_t len);

#endif
