/* SPDX-License-Identifier: ISC */
#ifndef KWGI_WG_GENL_H
#define KWGI_WG_GENL_H

#include "sys/wg.h"

/* Finds the generic netlink family. KWG_ERR_KERNEL if the kernel has no WireGuard. */
int kwgi_wg_genl_open(struct kwgi_wg *w, struct kwg_error *err);

#endif
